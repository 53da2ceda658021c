//! `pgglass serve`: runs the proxy.

use std::path::PathBuf;
use std::process::ExitCode;

/// Serve clients until SIGTERM or SIGINT
///
/// Reads the configuration, holds the policy against the database (as `pgglass check` does) and
/// refuses to start on any error. On SIGHUP the policy is read again; a policy with errors is
/// logged and the old one stays. On SIGTERM no new client is accepted and running statements have
/// `shutdown_grace` to end.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "pgglass.toml")]
    pub config: PathBuf,

    /// Start although the ledger's end is damaged, and record that it was
    ///
    /// Without it the proxy does not start on a ledger whose last records cannot be read, so that a
    /// person looks at it first. A record cut short by a crash while it was being written is no
    /// damage.
    #[arg(long)]
    pub accept_damage: bool,
}

/// Runs the command.
pub(crate) fn run(_args: ServeArgs) -> ExitCode {
    super::not_built("serve")
}
