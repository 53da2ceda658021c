//! The auditors' side: questions answered from the ledger's records alone, never from the database.

mod access;
mod observed;
pub mod report;
mod table;

pub use access::{Access, Certainty};
pub use observed::{ObservedSummary, observed_report};
pub use report::{Format, ReportError, Summary, patient_report};
