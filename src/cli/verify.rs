//! `pgglass verify`: checks a ledger against a public key.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::ledger::{LedgerError, PublicKey, Verification, verify};

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

    /// File with one checkpoint kept elsewhere, which the ledger must still contain; may be repeated
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Vec<PathBuf>,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub(crate) fn run(args: VerifyArgs) -> ExitCode {
    let found = match look(&args) {
        Ok(found) => found,
        Err(error) => {
            eprintln!("pgglass: {error}");
            return ExitCode::FAILURE;
        }
    };
    let text = if args.json {
        serde_json::to_string(&found).map(|mut t| {
            t.push('\n');
            t
        })
    } else {
        Ok(describe(&found))
    };
    let printed = text
        .map_err(std::io::Error::other)
        .and_then(|text| std::io::stdout().lock().write_all(text.as_bytes()));
    match printed {
        Ok(()) if found.ok => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("pgglass: {error}");
            ExitCode::FAILURE
        }
    }
}

fn look(args: &VerifyArgs) -> Result<Verification, LedgerError> {
    let key = PublicKey::read(&args.public_key)?;
    let known = args
        .checkpoint
        .iter()
        .map(|path| std::fs::read_to_string(path).map_err(|e| LedgerError::io("read", path, &e)));
    let known = known.collect::<Result<Vec<String>, LedgerError>>()?;
    verify(&args.directory, &key, &known, |done, total| {
        eprintln!("{} of {} MiB", done >> 20, total >> 20);
    })
}

/// The result for people.
pub(crate) fn describe(found: &Verification) -> String {
    let mut text = String::new();
    let mut line = |l: String| {
        text.push_str(&l);
        text.push('\n');
    };
    let verdict = if found.ok { "whole and unchanged" } else { "NOT AS IT WAS WRITTEN" };
    line(format!("ledger of {}: {verdict}", found.origin));
    line(format!(
        "  read      {} records in {} leaves, {} segments, {} valid checkpoints",
        found.records, found.leaves, found.segments, found.checkpoints
    ));
    match (&found.proven_to_record, &found.proven_to_time) {
        (Some(record), Some(time)) => {
            line(format!(
                "  proven    leaves 0 to {}, up to record {record} of {time}",
                found.proven.saturating_sub(1)
            ));
            line(format!("  root      {}", found.root));
        }
        _ => line("  proven    nothing: no checkpoint covers the beginning of the log".to_owned()),
    }
    for (word, list, more) in [
        ("WRONG", &found.findings, found.findings_not_listed),
        ("note", &found.remarks, found.remarks_not_listed),
    ] {
        for finding in list {
            line(format!("  {word:<9} {finding}"));
        }
        if more > 0 {
            line(format!("  {word:<9} and {more} more"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::PrivateKey;

    #[test]
    fn an_empty_folder_is_no_whole_ledger_and_the_text_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let public_key = PrivateKey::generate("n1").unwrap().write(&dir.path().join("key")).unwrap();
        let directory = dir.path().join("ledger");
        std::fs::create_dir(&directory).unwrap();
        let args =
            VerifyArgs { directory: directory.clone(), public_key, checkpoint: Vec::new(), json: false };
        let found = look(&args).unwrap();
        assert!(!found.ok);
        let text = describe(&found);
        assert!(text.starts_with("ledger of n1: NOT AS IT WAS WRITTEN"), "{text}");
        assert!(text.contains("WRONG") && text.contains("no segment of a ledger is here"), "{text}");
        let missing = VerifyArgs { directory: directory.join("nowhere"), ..args };
        assert!(look(&missing).is_err());
    }
}
