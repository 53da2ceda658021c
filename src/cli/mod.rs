//! The command line: one file a command. This file only parses arguments and dispatches.

#[allow(dead_code)] // first used by the dispatch
mod keygen;
#[allow(dead_code)] // first used by the dispatch
mod verify;

use std::process::ExitCode;

pub use keygen::KeygenArgs;
pub use verify::VerifyArgs;

/// Runs the command line and returns the process's exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
