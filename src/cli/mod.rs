//! The command line: one file a command. This file only parses arguments and dispatches.

mod check;
mod discover;
mod keygen;
mod logging;
mod report;
mod serve;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use check::{CatalogSource, CheckArgs, ReplayArgs};
pub use discover::DiscoverArgs;
pub use keygen::KeygenArgs;
pub use logging::LogFormat;
pub use report::{PatientReportArgs, ReportCommand, ReportFormat};
pub use serve::ServeArgs;
pub use verify::VerifyArgs;

/// Exit code of a command that found what it looks for: a broken ledger, an unusable configuration.
pub(crate) const FAILED: u8 = 1;
/// Exit code of warnings under `--strict`, and clap's own for arguments it does not understand.
pub(crate) const DOUBTFUL: u8 = 2;

const AFTER_HELP: &str = "\
FILES
    pgglass.toml    The configuration. Paths in it count from its folder. Every key is described in
                    docs/configuration.md; config/pgglass.example.toml is a commented example.

ENVIRONMENT
    RUST_LOG        Which messages are logged, for example `info` (the default), `pgglass=debug` or
                    `warn,pgglass::ledger=trace`. No message holds a row, a parameter or a password.

EXIT STATUS
    0  done    1  failed, or errors were found    2  wrong arguments, or warnings under --strict

EXAMPLES
    pgglass keygen --out secrets/ledger.key --name ward-proxy-1
    pgglass check --config pgglass.toml
    pgglass check --config new.toml --replay ledger --against pgglass.toml
    pgglass serve --config pgglass.toml
    pgglass verify --directory ledger --public-key ledger.pub
    pgglass report patient 884213 --directory ledger --format csv";

/// A transparent PostgreSQL proxy that knows which rows belong to which patient
///
/// Clients connect to pgglass as they would to PostgreSQL, with the host name changed and nothing
/// else. It reads every statement, hides, masks or blocks what lies outside the user's patients
/// unless a break-glass session is open, and makes a record that names the patients durable before
/// any row leaves.
#[derive(Debug, Parser)]
#[command(name = "pgglass", version, after_long_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How log messages are written to standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients until SIGTERM or SIGINT
    Serve(ServeArgs),
    /// Write a first configuration for a database, from its catalog
    Discover(DiscoverArgs),
    /// Check a configuration, and the database it is meant for, without serving
    Check(CheckArgs),
    /// Verify that a ledger is whole and unchanged, trusting only a public key
    Verify(VerifyArgs),
    /// Report what the ledger says
    #[command(subcommand)]
    Report(ReportCommand),
    /// Make a signing key for a ledger
    Keygen(KeygenArgs),
}

/// Runs the command line and returns the process's exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = logging::start(cli.log_format) {
        eprintln!("pgglass: {error}");
        return ExitCode::from(DOUBTFUL);
    }
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Discover(args) => discover::run(args),
        Command::Check(args) => check::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Report(command) => report::run(command),
        Command::Keygen(args) => keygen::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_is_described() {
        fn look(command: &clap::Command) {
            for argument in
                command.get_arguments().filter(|a| a.get_id() != "help" && a.get_id() != "version")
            {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }

    #[test]
    fn the_examples_of_the_help_are_understood() {
        let examples =
            AFTER_HELP.lines().filter(|l| l.starts_with("    pgglass ") && !l.contains("The configuration"));
        let mut count = 0;
        for line in examples {
            Cli::try_parse_from(line.split_whitespace()).unwrap_or_else(|e| panic!("{line}: {e}"));
            count += 1;
        }
        assert_eq!(count, 6);
    }
}
