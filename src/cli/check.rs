//! `pgglass check`: looks at a configuration, the files it names and the database it is meant for,
//! and says what each role sees. It changes nothing.

mod accounts;
mod explain;
mod files;
mod overview;
mod replay;
mod server;
mod unreadable;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::{DOUBTFUL, FAILED};
use crate::catalog::Catalog;
use crate::config::{self, Config, Diagnostic};
use crate::policy::{Finding, Level};
use explain::Explanation;
use overview::TableView;
use replay::Replay;

pub use replay::{CatalogSource, ReplayArgs};

pub(crate) use server::{CheckError, hold_against_server};

/// Check a configuration, and the database it is meant for, without serving
///
/// Prints, for each protected table, its class, the way from a row to its patient and what each
/// role sees; then everything that is wrong or likely forgotten: keys of the wrong type, paths over
/// columns that are not unique, masks that do not fit, tables that a foreign key ties to a patient
/// but that have no entry, missing rights of the service account. `pgglass serve` refuses to start
/// on the same errors.
///
/// With --explain it says in words what every line of the policy means. With --replay it decides statements that were
/// recorded (a ledger, or a file) once more under this configuration, and says which would change verdict: not run any
/// more, run although refused before, filtered or masked otherwise. It runs none of them, reads no row, and prints
/// neither parameters nor constants.
///
/// Exit status 0: no errors; 1: errors; 2: under --strict, warnings only, or a statement that would change.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "pgglass.toml")]
    pub config: PathBuf,

    /// Look at the file alone: neither the files it names nor the database
    #[arg(long)]
    pub offline: bool,

    /// Exit with status 2 when there are warnings and no errors
    #[arg(long)]
    pub strict: bool,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,

    /// Say in words what every line of the policy means: patients, assignments, tables, roles, masks, break-glass
    #[arg(long)]
    pub explain: bool,

    /// What is replayed
    #[command(flatten)]
    pub replay: ReplayArgs,
}

/// Everything a check found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// `enforce`, `warn` or `observe`, with the roles that have another mode.
    mode: Option<String>,
    /// Set when there are roles of which nothing is withheld.
    not_enforced: Option<String>,
    config: PathBuf,
    policy_version: Option<String>,
    /// What is wrong with the file, by place.
    diagnostics: Vec<Diagnostic>,
    /// What is wrong with the files it names and with the database.
    findings: Vec<Finding>,
    /// What holds beside the tables, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<String>,
    /// Protected tables, when the database was looked at.
    tables: Vec<TableView>,
    /// What the policy means, when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explanation: Vec<Explanation>,
    /// What recorded statements would become, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<Replay>,
    errors: usize,
    warnings: usize,
}

/// Runs the command.
pub(crate) fn run(args: CheckArgs) -> ExitCode {
    let mut report = Report { config: args.config.clone(), ..Report::default() };
    match config::load(&args.config) {
        Err(errors) => report.diagnostics = [errors.errors, errors.warnings].concat(),
        Ok(config) => {
            report.mode = Some(config.policy.modes());
            report.not_enforced = config.policy.not_enforced();
            report.policy_version = Some(config.policy.version.to_string());
            report.diagnostics.clone_from(&config.warnings);
            if args.explain {
                report.explanation = explain::explain(&config.policy);
            }
            let mut catalog = None;
            if !args.offline {
                report.findings = files::look(&config);
                catalog = look_at_server(&config, &mut report);
            }
            if let Some(file) = &args.replay.replay {
                replay_file(&args, file, &config, catalog.as_ref(), &mut report);
            }
        }
    }
    report.count();
    let printed = if args.json { report.json() } else { report.text() };
    // A reader that went away (`| head`) is no failure of the check.
    let _ = writeln!(std::io::stdout(), "{printed}");
    let changes = report.replay.as_ref().is_some_and(Replay::has_changes);
    match (report.errors, report.warnings) {
        (0, _) if args.strict && (changes || report.warnings > 0) => ExitCode::from(DOUBTFUL),
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    }
}

/// Replays a file; what keeps it from being replayed is an error of the report.
fn replay_file(
    args: &CheckArgs,
    file: &Path,
    config: &Config,
    catalog: Option<&Arc<Catalog>>,
    report: &mut Report,
) {
    let error = match (catalog, args.replay.catalog, args.offline) {
        (None, CatalogSource::Server, false) => {
            "the server's catalog could not be read (above); --catalog none does without".to_owned()
        }
        _ => match replay::replay(&args.replay, file, config, catalog) {
            Ok(replay) => {
                report.replay = Some(replay);
                return;
            }
            Err(error) => error.to_string(),
        },
    };
    report.findings.push(Finding {
        level: Level::Error,
        code: "replay",
        subject: String::new(),
        message: error,
        help: None,
    });
}

/// The catalog, when it could be read.
fn look_at_server(config: &Config, report: &mut Report) -> Option<Arc<Catalog>> {
    let looked = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CheckError::Runtime)
        .and_then(|runtime| runtime.block_on(hold_against_server(config)));
    match looked {
        Ok(checked) => {
            report.rules = overview::rules(&checked.bound.policy);
            report.tables = overview::tables(&checked.bound);
            report.findings.extend(checked.findings);
            Some(Arc::new(checked.catalog))
        }
        Err(error) => {
            report.findings.push(error.finding());
            None
        }
    }
}

impl Report {
    fn count(&mut self) {
        let in_file = |s| self.diagnostics.iter().filter(|d| d.severity == s).count();
        let elsewhere = |l| self.findings.iter().filter(|f| f.level == l).count();
        let errors = in_file(config::Severity::Error) + elsewhere(Level::Error);
        self.warnings = in_file(config::Severity::Warning) + elsewhere(Level::Warning);
        self.errors = errors;
    }

    fn json(&self) -> String {
        // Every key is a string and every value plain: there is nothing that cannot be written.
        serde_json::to_string_pretty(self).unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"))
    }

    fn text(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.mode.as_ref().map(|mode| format!("Mode: {mode}")));
        parts.extend(self.not_enforced.iter().map(|text| format!("{text}\n")));
        if !self.tables.is_empty() {
            parts.push("Protected tables".to_owned());
            parts.extend(self.tables.iter().map(ToString::to_string));
            parts.push(String::new());
        }
        if !self.rules.is_empty() {
            parts.push("Rules".to_owned());
            parts.extend(self.rules.iter().map(|rule| format!("  {rule}")));
            parts.push(String::new());
        }
        if !self.explanation.is_empty() {
            parts.push("What the policy says".to_owned());
            parts.extend(self.explanation.iter().map(ToString::to_string));
            parts.push(String::new());
        }
        if let Some(replay) = &self.replay {
            parts.push(replay.to_string());
            parts.push(String::new());
        }
        parts.extend(self.diagnostics.iter().map(ToString::to_string));
        parts.extend(self.findings.iter().map(|f| {
            let subject = if f.subject.is_empty() { String::new() } else { format!("{}: ", f.subject) };
            let help = f.help.as_ref().map(|h| format!("\n  help: {}", h.replace('\n', "\n        ")));
            format!("{}[{}]: {subject}{}{}", f.level, f.code, f.message, help.unwrap_or_default())
        }));
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let version = self.policy_version.as_deref().map(|v| format!(", policy {v}")).unwrap_or_default();
        parts.push(format!(
            "{}: {} error{}, {} warning{}{version}",
            self.config.display(),
            self.errors,
            plural(self.errors),
            self.warnings,
            plural(self.warnings)
        ));
        parts.join("\n")
    }
}
