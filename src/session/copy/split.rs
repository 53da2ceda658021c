//! COPY data cut into rows and fields, however it was cut into messages. The bytes of a field stay as
//! they are; `value` reads one. Sans-IO. Not here: what a field means.
//!
//! Source: manual, "COPY", section "File Formats"; `CopyReadLineText`, `CopyReadAttributesText`,
//! `CopyReadAttributesCSV` in `src/backend/commands/copyfromparse.c`.

use bytes::{Buf, BytesMut};

use super::binary::BinaryScanner;
use super::lines::LineScanner;
use crate::sql::copy::CopyFormat;

/// Longest row that is gathered, bytes. PostgreSQL's own limit of a row is 1 GiB.
pub(in crate::session) const LONGEST_ROW: usize = 256 * 1024 * 1024;

/// Data that is not what its format says, or cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::session) enum BadData {
    /// Not of the format.
    #[error("malformed COPY data: {0}")]
    Malformed(&'static str),
    /// A row over [`LONGEST_ROW`].
    #[error("a row of the COPY data is longer than {LONGEST_ROW} bytes")]
    TooLong,
}

/// Where a field stands in its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// A part of it was in quotes (csv). For binary: it is not NULL.
    pub(super) quoted: bool,
}

/// What a piece of the data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A row.
    Row,
    /// The line with the columns' names.
    Names,
    /// A line that is `\\.`: the end of the data in the text format, and up to PostgreSQL 17 in csv.
    Marker,
    /// The header or the end of the binary format, the second half of a line end.
    Other,
}

/// One piece: `buffer[..length]`, with the fields of a row or of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) length: usize,
}

#[derive(Debug)]
enum Scanner {
    Lines(LineScanner),
    Binary(BinaryScanner),
}

/// Cuts one COPY.
#[derive(Debug)]
pub(super) struct Splitter {
    buffer: BytesMut,
    /// Bytes at the front that were handed out.
    taken: usize,
    spans: Vec<Span>,
    scanner: Scanner,
}

/// One piece handed out.
pub(super) struct Cut<'a> {
    pub(super) kind: Kind,
    pub(super) raw: &'a [u8],
    pub(super) spans: &'a [Span],
}

impl Splitter {
    pub(super) fn new(format: &CopyFormat) -> Self {
        let scanner = match format {
            CopyFormat::Text { delimiter, header, .. } => {
                Scanner::Lines(LineScanner::new(*delimiter, None, *header))
            }
            CopyFormat::Csv { delimiter, quote, escape, header, .. } => {
                Scanner::Lines(LineScanner::new(*delimiter, Some((*quote, *escape)), *header))
            }
            CopyFormat::Binary => Scanner::Binary(BinaryScanner::default()),
        };
        Self { buffer: BytesMut::new(), taken: 0, spans: Vec::new(), scanner }
    }

    /// Adds data.
    pub(super) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next whole piece. With `last` what is left is one.
    pub(super) fn next(&mut self, last: bool) -> Result<Option<Cut<'_>>, BadData> {
        self.buffer.advance(std::mem::take(&mut self.taken));
        let piece = match &mut self.scanner {
            Scanner::Lines(lines) => lines.scan(&self.buffer, last, &mut self.spans)?,
            Scanner::Binary(binary) => binary.scan(&self.buffer, last, &mut self.spans)?,
        };
        match piece {
            Some(Piece { kind, length }) => {
                self.taken = length;
                let raw = self.buffer.get(..length).ok_or(BadData::Malformed("piece"))?;
                Ok(Some(Cut { kind, raw, spans: &self.spans }))
            }
            None if self.buffer.len() > LONGEST_ROW => Err(BadData::TooLong),
            None => Ok(None),
        }
    }

    /// True when everything was handed out and the format may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.buffer.len() == self.taken
            && match &self.scanner {
                Scanner::Lines(_) => true,
                Scanner::Binary(binary) => binary.is_complete(),
            }
    }
}

/// The value of a field as it was before it was written in this format; `None` for NULL.
pub(super) fn value(format: &CopyFormat, raw: &[u8], span: Span) -> Option<Vec<u8>> {
    let bytes = raw.get(span.start..span.end).unwrap_or_default();
    match format {
        CopyFormat::Text { null, .. } => (bytes != null).then(|| unescape(bytes)),
        CopyFormat::Csv { quote, escape, null, .. } => {
            (span.quoted || bytes != null).then(|| unquote(bytes, *quote, *escape))
        }
        CopyFormat::Binary => span.quoted.then(|| bytes.to_vec()),
    }
}

/// The text format's escapes: `\b \f \n \r \t \v`, `\` with up to three octal or `\x` with up to two
/// hexadecimal digits, and any other sign for itself.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(b) = rest.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        let digits = |first: u32, most: usize, radix: u32, rest: &mut std::iter::Peekable<_>| {
            let mut value = first;
            for _ in 0..most {
                let digit = rest.peek().and_then(|b: &u8| char::from(*b).to_digit(radix));
                let Some(digit) = digit else { break };
                rest.next();
                value = value * radix + digit;
            }
            // PostgreSQL keeps the low byte.
            (value & 0xff).to_le_bytes()[0]
        };
        match rest.next() {
            None => {}
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'v') => out.push(11),
            Some(d @ b'0'..=b'7') => out.push(digits(u32::from(d - b'0'), 2, 8, &mut rest)),
            Some(b'x') if rest.peek().is_some_and(u8::is_ascii_hexdigit) => {
                out.push(digits(0, 2, 16, &mut rest));
            }
            Some(other) => out.push(other),
        }
    }
    out
}

fn unquote(bytes: &[u8], quote: u8, escape: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut inside = false;
    let mut rest = bytes.iter().copied().peekable();
    while let Some(b) = rest.next() {
        let escaped = inside && b == escape;
        match rest.next_if(|n| escaped && (*n == quote || *n == escape)) {
            Some(next) => out.push(next),
            None if b == quote => inside = !inside,
            None => out.push(b),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_postgresql_reads_them() {
        for (written, read) in [
            (&br"a\tb\\n"[..], &b"a\tb\\n"[..]),
            (br"\101\x41\x4\8\N", b"AA\x048N"),
            (br"\0\1234\xg\q", b"\0S4xgq"),
            (b"\\", b""),
        ] {
            assert_eq!(unescape(written), read, "{}", String::from_utf8_lossy(written));
        }
        for (written, escape, read) in [
            (&br#""a""b""#[..], b'"', &br#"a"b"#[..]),
            (br#"x"y"z"#, b'"', b"xyz"),
            (br#""a\"b\\c\d""#, b'\\', br#"a"b\c\d"#),
            (br#"a\b"#, b'\\', br"a\b"),
        ] {
            assert_eq!(unquote(written, b'"', escape), read, "{}", String::from_utf8_lossy(written));
        }
    }
}
