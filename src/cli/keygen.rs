//! `pgglass keygen`: makes a signing key for a ledger.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::ledger::PrivateKey;

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
pub(crate) fn run(args: KeygenArgs) -> ExitCode {
    let written = PrivateKey::generate(&args.name).and_then(|key| {
        let public_path = key.write(&args.out)?;
        Ok((public_path, key.public().to_line()))
    });
    match written {
        Ok((public_path, line)) => {
            println!("{line}");
            eprintln!("private key: {}   public key: {}", args.out.display(), public_path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("pgglass: {error}");
            ExitCode::FAILURE
        }
    }
}
