//! Settings of the ledger, already validated values. Reading them from TOML is `config`'s work.

use std::path::PathBuf;
use std::time::Duration;

/// What happens when records cannot be made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The statements that need a record fail; the process stays.
    FailOperation,
    /// Errors ask the process to stop ([`super::LedgerError::shutdown`]).
    Shutdown,
}

/// Settings of one ledger.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// Name of the node: origin of its checkpoints and name of its key.
    pub node: String,
    /// Directory of the ledger, created when absent.
    pub directory: PathBuf,
    /// Private key file as `pgglass keygen` writes it.
    pub signing_key: PathBuf,
    /// A checkpoint is signed this often, also when nothing happened.
    pub checkpoint_every: Duration,
    /// A segment is closed near this many bytes.
    pub segment_bytes: u64,
    /// A flush that takes longer counts as failed.
    pub flush_deadline: Duration,
    /// Bytes kept free for [`super::Priority::Reserve`] records; zero for none.
    pub reserve: u64,
    /// What happens when records cannot be made durable.
    pub on_failure: OnFailure,
    /// Start although the stored log is damaged. The damage stays visible to the verifier for ever.
    pub accept_damage: bool,
}
