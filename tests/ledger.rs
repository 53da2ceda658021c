//! The ledger as a whole, against real files: what is acknowledged survives, what is changed is found.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "ledger/durability.rs"]
mod durability;
#[path = "ledger/recovery.rs"]
mod recovery;
#[path = "ledger/report.rs"]
mod report;
#[path = "ledger/support.rs"]
mod support;
#[path = "ledger/tampering.rs"]
mod tampering;
