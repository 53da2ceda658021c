//! `pgglass verify`: checks a ledger against a public key.

use std::path::PathBuf;
use std::process::ExitCode;

/// Verify that a ledger is whole and unchanged, trusting only a public key
///
/// Reads every segment and checkpoint of the ledger and finds any record that was changed, removed,
/// moved or cut off. Needs neither the configuration nor the database nor the signing key, and
/// writes nothing. Exit status 0: whole; 1: not whole, or it cannot be read.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// The ledger's folder
    #[arg(long, value_name = "DIR")]
    pub directory: PathBuf,

    /// File with the public key, as written by `pgglass keygen`
    #[arg(long, value_name = "FILE")]
    pub public_key: PathBuf,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub(crate) fn run(_args: VerifyArgs) -> ExitCode {
    super::not_built("verify")
}
