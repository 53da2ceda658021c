//! What can go wrong with the ledger, as a value that receipts share.
//!
//! It says which SQLSTATE a refused statement carries and whether the process should stop; it does
//! not decide what a client reads beyond that.

use std::path::Path;

/// Why a record is not durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// An operation on a file failed; nothing is retried on that file.
    #[error("{operation} {path}: {message}")]
    Io {
        /// What was tried: `write`, `fdatasync`, `create` ...
        operation: &'static str,
        /// On which file or directory.
        path: String,
        /// The operating system's words.
        message: String,
    },
    /// No space left for the ledger; only the reserve for break-glass and denials may remain.
    #[error("no space left for the ledger in {path}")]
    DiskFull {
        /// Directory of the ledger.
        path: String,
    },
    /// A flush did not return within the deadline.
    #[error("the ledger's device has not answered for {millis} ms")]
    Hung {
        /// The configured deadline, milliseconds.
        millis: u64,
    },
    /// The file being written is no longer the file of that name.
    #[error("the live ledger file {path} was removed or replaced")]
    Replaced {
        /// The file.
        path: String,
    },
    /// More bytes wait for the disk than the bound allows.
    #[error("{bytes} bytes of records already wait for the disk")]
    Overloaded {
        /// Bytes waiting.
        bytes: u64,
    },
    /// The record cannot be encoded.
    #[error("record cannot be encoded: {message}")]
    Encode {
        /// Why.
        message: String,
    },
    /// Another process has the directory.
    #[error("the ledger directory {path} is in use by another process")]
    Locked {
        /// Directory of the ledger.
        path: String,
    },
    /// The signing key cannot be used.
    #[error("signing key: {message}")]
    Key {
        /// Why.
        message: String,
    },
    /// What is stored contradicts itself or a signed checkpoint.
    #[error("the ledger is damaged: {place}: {message}")]
    Damaged {
        /// Segment, offset and leaf index, or the file.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}

/// A failure of the ledger. Cheap to clone: every waiting receipt gets one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct LedgerError {
    /// Why.
    pub cause: Cause,
    /// True when the process should stop rather than serve without a ledger
    /// (`on_failure = "shutdown"`).
    pub shutdown: bool,
}

impl LedgerError {
    /// The SQLSTATE of a statement refused for this (PostgreSQL manual, appendix A).
    pub fn sqlstate(&self) -> &'static str {
        match self.cause {
            Cause::DiskFull { .. } => "53100",
            Cause::Overloaded { .. } => "53000",
            Cause::Encode { .. } => "XX000",
            Cause::Io { .. }
            | Cause::Hung { .. }
            | Cause::Replaced { .. }
            | Cause::Locked { .. }
            | Cause::Key { .. }
            | Cause::Damaged { .. }
            | Cause::Closed => "58030",
        }
    }

    /// A failed operation on a file; ENOSPC and EDQUOT become [`Cause::DiskFull`].
    pub(crate) fn io(operation: &'static str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.display().to_string();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Cause::DiskFull { path }.into(),
            _ => Cause::Io { operation, path, message: error.to_string() }.into(),
        }
    }

    /// What is stored contradicts itself.
    pub(crate) fn damaged(place: impl Into<String>, message: impl Into<String>) -> Self {
        Cause::Damaged { place: place.into(), message: message.into() }.into()
    }
}

impl From<Cause> for LedgerError {
    fn from(cause: Cause) -> Self {
        Self { cause, shutdown: false }
    }
}
