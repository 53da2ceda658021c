//! The ledger as a whole, against real files: what is acknowledged survives, what is changed is found.

#[path = "ledger/durability.rs"]
mod durability;
#[path = "ledger/recovery.rs"]
mod recovery;
#[path = "ledger/support.rs"]
mod support;
#[path = "ledger/tampering.rs"]
mod tampering;
