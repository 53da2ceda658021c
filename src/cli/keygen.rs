//! `pgglass keygen`: makes a signing key for a ledger.

use std::path::PathBuf;
use std::process::ExitCode;

/// Make a signing key for a ledger
///
/// Writes an Ed25519 private key that only its owner may read, and next to it the public key, in a
/// file of the same name with `.pub` added. Keep copies of the public key where the operators of
/// this machine cannot change them: it is all a verifier trusts. An existing file is never
/// overwritten.
#[derive(Debug, Clone, clap::Args)]
pub struct KeygenArgs {
    /// The private key's file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// The key's name, which is the ledger's node name
    #[arg(long, value_name = "NODE")]
    pub name: String,
}

/// Runs the command.
pub(crate) fn run(_args: KeygenArgs) -> ExitCode {
    super::not_built("keygen")
}
