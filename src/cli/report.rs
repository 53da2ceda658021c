//! `pgglass report`: what the ledger says, for auditors.

use std::path::PathBuf;
use std::process::ExitCode;

use super::FAILED;
use crate::audit::{Format, patient_report};

/// What to report.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ReportCommand {
    /// Who saw a patient's data, when and why
    Patient(PatientReportArgs),
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
    }
}

fn patient(args: &PatientReportArgs) -> ExitCode {
    let format = match args.format {
        ReportFormat::Text => Format::Text,
        ReportFormat::Csv => Format::Csv,
        ReportFormat::Json => Format::Json,
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let warn = |warning: &str| eprintln!("pgglass: {warning}");
    match patient_report(&args.directory, &args.id, format, &mut out, warn) {
        Ok(summary) if summary.unreadable > 0 => {
            eprintln!(
                "pgglass: {} places of the ledger cannot be read: run `pgglass verify`",
                summary.unreadable
            );
            ExitCode::from(FAILED)
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgglass: {error}");
            ExitCode::from(FAILED)
        }
    }
}
