//! `pgglass report`: what the ledger says, for auditors.

use std::path::PathBuf;
use std::process::ExitCode;

use super::FAILED;
use crate::audit::{Format, ReportError, observed_report, patient_report};

/// What to report.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ReportCommand {
    /// Who saw a patient's data, when and why
    Patient(PatientReportArgs),
    /// What would have been refused, filtered or masked while the policy was only watched
    Observed(ObservedReportArgs),
}

/// What would have been refused, filtered or masked while the policy was only watched
///
/// Lists, by statement (without its constants), user and tool, how often a role in observe or warn mode sent what
/// enforcing would have refused, filtered or masked, and why. What to look at before mode = "enforce".
#[derive(Debug, Clone, clap::Args)]
pub struct ObservedReportArgs {
    /// The ledger's folder
    #[arg(long, value_name = "DIR")]
    pub directory: PathBuf,

    /// Only what was recorded from this time on (UTC, as records have it: 2026-01-31 or 2026-01-31T08:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// How the report is written to standard output
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub format: ReportFormat,
}

/// Who saw a patient's data, when and why
///
/// Lists every record that names the patient, in order of time: who, in which role, from where,
/// under which break-glass session and reason, which tables, how many rows, and whether the
/// record's set of patients is exact or an upper bound.
#[derive(Debug, Clone, clap::Args)]
pub struct PatientReportArgs {
    /// The patient key, as it stands in the database
    #[arg(value_name = "ID")]
    pub id: String,

    /// The ledger's folder
    #[arg(long, value_name = "DIR")]
    pub directory: PathBuf,

    /// How the report is written to standard output
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub format: ReportFormat,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// A table for people
    Text,
    /// RFC 4180, with a header line
    Csv,
    /// One JSON object a line
    Json,
}

/// Runs the command.
pub(crate) fn run(command: ReportCommand) -> ExitCode {
    match command {
        ReportCommand::Patient(args) => patient(&args),
        ReportCommand::Observed(args) => observed(&args),
    }
}

impl From<ReportFormat> for Format {
    fn from(format: ReportFormat) -> Self {
        match format {
            ReportFormat::Text => Format::Text,
            ReportFormat::Csv => Format::Csv,
            ReportFormat::Json => Format::Json,
        }
    }
}

fn patient(args: &PatientReportArgs) -> ExitCode {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let warn = |warning: &str| eprintln!("pgglass: {warning}");
    let written = patient_report(&args.directory, &args.id, args.format.into(), &mut out, warn);
    exit(written.map(|summary| summary.unreadable))
}

fn observed(args: &ObservedReportArgs) -> ExitCode {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let warn = |warning: &str| eprintln!("pgglass: {warning}");
    let since = args.since.as_deref();
    let written = observed_report(&args.directory, since, args.format.into(), &mut out, warn);
    exit(written.map(|summary| summary.unreadable))
}

/// Of a report that was written, over so many places of the ledger that could not be read.
fn exit(written: Result<u64, ReportError>) -> ExitCode {
    match written {
        Ok(0) => ExitCode::SUCCESS,
        Ok(unreadable) => {
            eprintln!("pgglass: {unreadable} places of the ledger cannot be read: run `pgglass verify`");
            ExitCode::from(FAILED)
        }
        Err(error) => {
            eprintln!("pgglass: {error}");
            ExitCode::from(FAILED)
        }
    }
}
