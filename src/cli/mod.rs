//! The command line: one file a command. This file only parses arguments and dispatches.

pub mod keygen;
pub mod verify;

use std::process::ExitCode;

/// Runs the command line and returns the process's exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
