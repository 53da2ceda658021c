//! The ledger: a durable, tamper-evident log of who saw which patient's data.
//!
//! One log a node: records become leaves of an RFC 6962 Merkle tree, stored in segment files by one
//! writer thread; signed checkpoints fix size and root. A record counts when its [`Receipt`] says
//! so, and its rows leave only then (P3). Not here: what goes into a record (session, glass), and
//! reports over it (audit).

mod checkpoint;
mod config;
mod error;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod held;
mod keys;
mod leaf;
mod log;
mod merkle;
mod queue;
mod read;
mod receipt;
pub mod record;
mod recover;
mod reserve;
mod segment;
mod verify;
mod walk;
mod writer;

pub use checkpoint::{BadNote, Checkpoint};
pub use config::{LedgerConfig, OnFailure};
pub use error::{Cause, LedgerError};
pub use keys::{PrivateKey, PublicKey, valid_name};
pub use log::Ledger;
pub use merkle::{Hash, Tree, leaf_hash};
pub use queue::{MAX_WAITING, MAX_WAITING_RESERVE, Priority};
pub use read::{Records, Stored, Unreadable, read_records};
pub use receipt::Receipt;
pub use record::Record;
pub use recover::Replay;
pub use verify::{Finding, Verification, verify};
pub use walk::Place;
