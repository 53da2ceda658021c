//! The auditors' side: questions answered from the ledger's records alone, never from the database.

mod access;
pub mod report;
mod table;

pub use access::{Access, Certainty};
pub use report::{Format, ReportError, Summary, patient_report};
