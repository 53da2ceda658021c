//! COPY from the client: whole rows and the patients they name, before they go on to the server.
//! Sans-IO. Not here: whose patients may be written.

use std::collections::BTreeSet;

use bytes::BytesMut;

use super::split::{BadData, Cut, Kind, Splitter, value};
use crate::policy::KeyType;
use crate::sql::copy::{CopyFormat, CopyIn, KeyForm};

/// The reading end of one `COPY ... FROM STDIN` into a protected table.
#[derive(Debug)]
pub(in crate::session) struct Incoming {
    spec: CopyIn,
    splitter: Splitter,
    /// A line that is `\\.` ends the data; the server throws away what follows, and so it is not sent.
    marker_ends: bool,
    ended: bool,
}

/// Whole rows.
#[derive(Debug, Default)]
pub(in crate::session) struct Batch {
    /// As the client sent them.
    pub(in crate::session) bytes: BytesMut,
    /// Their patients, in the key's canonical form.
    pub(in crate::session) keys: BTreeSet<String>,
    /// The first key that is NULL or no key at all (as far as it can be shown): such a row would be nobody's.
    pub(in crate::session) nobody: Option<String>,
    /// A key is no value of the key's type, in any spelling that a server knows.
    pub(in crate::session) invalid: bool,
}

impl Incoming {
    /// For a plan's COPY.
    pub(in crate::session) fn new(spec: &CopyIn, server_version: u32) -> Self {
        let marker_ends = match spec.format {
            CopyFormat::Text { .. } => true,
            // From version 18 on it is a value; where it could be one, it is looked at.
            CopyFormat::Csv { .. } => server_version < 180_000 && spec.columns > 1,
            CopyFormat::Binary => false,
        };
        Self { spec: spec.clone(), splitter: Splitter::new(&spec.format), marker_ends, ended: false }
    }

    /// Fields of a row.
    pub(in crate::session) fn columns(&self) -> usize {
        self.spec.columns
    }

    /// True when rows outside the assignment are refused.
    pub(in crate::session) fn checks(&self) -> bool {
        self.spec.check
    }

    /// Takes the body of a CopyData; `last` when CopyDone came.
    pub(in crate::session) fn take(&mut self, body: &[u8], last: bool) -> Result<Batch, BadData> {
        let mut batch = Batch::default();
        if self.ended {
            return Ok(batch);
        }
        self.splitter.push(body);
        while let Some(cut) = self.splitter.next(last)? {
            batch.bytes.extend_from_slice(cut.raw);
            match cut.kind {
                Kind::Row => self.spec.row(&cut, &mut batch)?,
                Kind::Marker if self.marker_ends => {
                    self.ended = true;
                    return Ok(batch);
                }
                // In csv of one column it is a value for a server of version 18. What comes behind it is
                // looked at all the same.
                Kind::Marker if self.spec.columns == 1 => self.spec.row(&cut, &mut batch)?,
                Kind::Marker | Kind::Names | Kind::Other => {}
            }
        }
        Ok(batch)
    }
}

impl CopyIn {
    fn row(&self, cut: &Cut<'_>, batch: &mut Batch) -> Result<(), BadData> {
        if cut.spans.len() != self.columns {
            return Err(BadData::Malformed("another number of fields than columns"));
        }
        let span = cut.spans.get(self.key).ok_or(BadData::Malformed("no key"))?;
        let written = self.forced.value(&self.format, value(&self.format, cut.raw, *span));
        let binary = matches!(self.format, CopyFormat::Binary);
        let text = written.as_deref().and_then(|v| if binary { self.binary(v) } else { utf8(v) });
        match text.as_deref().and_then(|t| self.key_type.canonical(t)) {
            Some(key) => {
                batch.keys.insert(key);
            }
            None if text.as_deref().is_some_and(|t| !binary && never_a_key(self.key_type, t)) => {
                batch.invalid = true;
            }
            None => {
                batch.nobody.get_or_insert(text.unwrap_or_default());
            }
        }
        Ok(())
    }

    fn binary(&self, value: &[u8]) -> Option<String> {
        match self.key_form {
            KeyForm::Integer => match value.len() {
                2 => value.try_into().ok().map(|b| i16::from_be_bytes(b).to_string()),
                4 => value.try_into().ok().map(|b| i32::from_be_bytes(b).to_string()),
                8 => value.try_into().ok().map(|b| i64::from_be_bytes(b).to_string()),
                _ => None,
            },
            KeyForm::Text => utf8(value),
            KeyForm::Uuid => (value.len() == 16).then(|| value.iter().map(|b| format!("{b:02x}")).collect()),
        }
    }
}

fn utf8(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}

/// True for a text that no server takes for a key of this type. Servers of version 16 know more spellings of integers
/// than others: what could be one is left to the assignment, which does not have it.
fn never_a_key(key: KeyType, text: &str) -> bool {
    match key {
        KeyType::Int4 | KeyType::Int8 => {
            let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let based = digits.get(..2).is_some_and(|p| matches!(p, "0x" | "0X" | "0o" | "0O" | "0b" | "0B"));
            !based && (digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'_'))
        }
        // What is read here as no UUID has another number of digits, or signs that stand in none.
        KeyType::Uuid => true,
        KeyType::Text => false,
    }
}
