//! The text and csv formats: where a line and its fields end. A scanner goes on where the last data
//! ended; it keeps its place, the buffer is the caller's.

use super::split::{BadData, Kind, Piece, Span};

/// Both text formats; csv has quotes.
#[derive(Debug)]
pub(super) struct LineScanner {
    delimiter: u8,
    /// Quote and escape of csv.
    quote: Option<(u8, u8)>,
    /// The next line holds the names.
    names_due: bool,
    /// How far the present line was read.
    at: usize,
    field: usize,
    quoted: bool,
    in_quote: bool,
    /// The sign before was an escape.
    escaped: bool,
    /// `\.` stands somewhere in the line.
    marker: bool,
    /// The last line ended with a carriage return: a newline may belong to it.
    after_return: bool,
}

impl LineScanner {
    pub(super) fn new(delimiter: u8, quote: Option<(u8, u8)>, header: bool) -> Self {
        Self {
            delimiter,
            quote,
            names_due: header,
            at: 0,
            field: 0,
            quoted: false,
            in_quote: false,
            escaped: false,
            marker: false,
            after_return: false,
        }
    }

    /// Looks for the end of the line that `buffer` begins with.
    pub(super) fn scan(
        &mut self,
        buffer: &[u8],
        last: bool,
        spans: &mut Vec<Span>,
    ) -> Result<Option<Piece>, BadData> {
        if self.at == 0 {
            spans.clear();
            if self.after_return && buffer.first() == Some(&b'\n') {
                self.after_return = false;
                return Ok(Some(Piece { kind: Kind::Other, length: 1 }));
            }
        }
        while let Some(&b) = buffer.get(self.at) {
            self.after_return = false;
            let here = self.at;
            self.at += 1;
            if self.escaped {
                self.escaped = false;
                self.marker |= self.quote.is_none() && b == b'.';
                continue;
            }
            match self.quote {
                None if b == b'\\' => {
                    self.escaped = true;
                    continue;
                }
                Some((quote, escape)) if self.in_quote => {
                    if b == escape && escape != quote {
                        self.escaped = true;
                    } else if b == quote {
                        self.in_quote = false;
                    }
                    continue;
                }
                Some((quote, _)) if b == quote => {
                    self.in_quote = true;
                    self.quoted = true;
                    continue;
                }
                _ => {}
            }
            if b == self.delimiter {
                self.field_ends(here, spans);
            } else if b == b'\n' || b == b'\r' {
                self.after_return = b == b'\r';
                return self.line_ends(buffer, here, spans).map(Some);
            }
        }
        if last && self.at > 0 {
            let end = self.at;
            return self.line_ends(buffer, end, spans).map(Some);
        }
        Ok(None)
    }

    fn field_ends(&mut self, end: usize, spans: &mut Vec<Span>) {
        spans.push(Span { start: self.field, end, quoted: self.quoted });
        self.field = end + 1;
        self.quoted = false;
    }

    fn line_ends(&mut self, buffer: &[u8], end: usize, spans: &mut Vec<Span>) -> Result<Piece, BadData> {
        self.field_ends(end, spans);
        let length = std::mem::take(&mut self.at);
        self.field = 0;
        if self.in_quote || self.escaped {
            return Err(BadData::Malformed("it ends inside a value"));
        }
        let marker = std::mem::take(&mut self.marker);
        let alone = buffer.get(..end) == Some(b"\\.");
        let kind = if std::mem::take(&mut self.names_due) {
            Kind::Names
        } else if alone {
            Kind::Marker
        } else if marker {
            // Servers differ in what they make of the line.
            return Err(BadData::Malformed("\\. is not alone on its line"));
        } else {
            Kind::Row
        };
        Ok(Piece { kind, length })
    }
}
