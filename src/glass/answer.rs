//! Replies of `glass.*`: named text columns and rows, and how times are written in them. Not for
//! wire messages: the session encodes them.

use jiff::{SignedDuration, Timestamp};

use super::Function;
use crate::catalog::Oid;

/// `pg_type.oid` of `text`.
pub(super) const TEXT: Oid = 25;

/// One column of a result, for RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type: always `text`.
    pub type_oid: Oid,
}

/// A result set. Every row has as many values as there are columns; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, as text (also right for the binary format: the binary form of `text` is its bytes).
    pub rows: Vec<Vec<Option<String>>>,
    /// The CommandComplete tag: `SELECT n`.
    pub tag: String,
}

impl Reply {
    pub(super) fn new(columns: Vec<String>, rows: Vec<Vec<Option<String>>>) -> Self {
        let tag = format!("SELECT {}", rows.len());
        Self { columns, rows, tag }
    }

    /// The reply of `function` with these rows.
    pub(super) fn of(function: Function, rows: Vec<Vec<Option<String>>>) -> Self {
        Self::new(function.columns().iter().map(|c| (*c).to_owned()).collect(), rows)
    }

    /// The same as one column `name`, for `SELECT glass.f()`: the message of each row.
    pub(super) fn scalar(&self, name: &str) -> Self {
        let message = self.columns.iter().position(|c| c == "message");
        let rows = self.rows.iter().map(|row| vec![one_line(row, message)]).collect();
        Self::new(vec![name.to_owned()], rows)
    }
}

/// What tells a row apart, then its message.
fn one_line(row: &[Option<String>], message: Option<usize>) -> Option<String> {
    let text = message.and_then(|i| row.get(i)).cloned().flatten();
    let first = row.first().cloned().flatten();
    match (first, text) {
        (Some(first), Some(text)) if !text.contains(first.as_str()) => Some(format!("{first}: {text}")),
        (first, text) => text.or(first),
    }
}

/// `2026-03-01 02:10:00Z`.
pub(super) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `1 h 5 min`, `4 min`, `40 s`; nothing left is `0 s`.
pub(super) fn span(seconds: i64) -> String {
    match seconds.max(0) {
        s if s < 60 => format!("{s} s"),
        s if s < 3600 => format!("{} min", s / 60),
        s if s % 3600 < 60 => format!("{} h", s / 3600),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

/// The time from `now` to `end`, in whole seconds.
pub(super) fn seconds_until(end: Timestamp, now: Timestamp) -> i64 {
    end.duration_since(now).as_secs()
}

/// `at + seconds`, or `at` when that is no time any more: a term that cannot be computed is over.
pub(super) fn after(at: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        for (seconds, text) in
            [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (3905, "1 h 5 min")]
        {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(utc(Timestamp::UNIX_EPOCH), "1970-01-01 00:00:00Z");
        assert_eq!(after(Timestamp::MAX, 1), Timestamp::MAX);
        assert_eq!(after(Timestamp::UNIX_EPOCH, u64::MAX), Timestamp::UNIX_EPOCH);
    }
}
