//! `report patient`: who saw a patient's data, when, from where, what kind, why, and how sure the
//! record is; and who asked for it and was refused.
//!
//! One pass over the ledger, memory bounded by the statements open at a time. Frames are checked on
//! the way; what cannot be read is said in the report. It does not prove the ledger: `verify` does.

use std::io::{self, Write};
use std::path::Path;

use super::access::Join;
use super::table;
use crate::ledger::{LedgerError, read_records};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// RFC 4180 with a header line.
    Csv,
    /// One JSON object a line.
    Json,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The report cannot be written.
    #[error("the report cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// What a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Accesses listed.
    pub accesses: u64,
    /// Records read.
    pub records: u64,
    /// Places of the ledger that could not be read: the report may miss accesses.
    pub unreadable: u64,
}

/// Writes every access to `patient` (the key as text, as the records have it) to `out`. Places that
/// cannot be read are told to `warn`.
///
/// # Errors
/// When the directory cannot be read or `out` cannot be written.
pub fn patient_report(
    directory: &Path,
    patient: &str,
    format: Format,
    out: &mut impl Write,
    mut warn: impl FnMut(&str),
) -> Result<Summary, ReportError> {
    let mut join = Join::new(patient);
    let mut summary = Summary::default();
    if format == Format::Csv {
        out.write_all(table::CSV_HEADER.as_bytes())?;
    }
    let drain = |join: &mut Join, out: &mut _| -> io::Result<u64> {
        let mut count = 0;
        while let Some(access) = join.pop() {
            count += 1;
            match format {
                Format::Text => table::text(out, &access)?,
                Format::Csv => table::csv(out, &access)?,
                Format::Json => table::json(out, &access)?,
            }
        }
        Ok(count)
    };
    for item in read_records(directory)? {
        match item {
            Ok(stored) => {
                summary.records += 1;
                join.push(stored);
                summary.accesses += drain(&mut join, out)?;
            }
            Err(unreadable) => {
                summary.unreadable += 1;
                warn(&unreadable.to_string());
            }
        }
    }
    join.finish();
    summary.accesses += drain(&mut join, out)?;
    if format == Format::Text {
        writeln!(out, "{} accesses in {} records", summary.accesses, summary.records)?;
        if summary.unreadable > 0 {
            writeln!(
                out,
                "INCOMPLETE: {} places of the ledger could not be read; run pgglass verify",
                summary.unreadable
            )?;
        }
    }
    out.flush()?;
    Ok(summary)
}
