//! COPY to the client: the rows without their witness fields, and what those say. Sans-IO.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::split::{BadData, Cut, Kind, Span, Splitter, value};
use crate::policy::RESERVED_PREFIX;
use crate::session::server::layout::{Layout, Witness};
use crate::sql::copy::CopyFormat;
use crate::wire::message::{MessageError, put_message};

/// The reading end of one `COPY ... TO STDOUT`.
#[derive(Debug)]
pub(in crate::session) struct Outgoing {
    format: CopyFormat,
    layout: Arc<Layout>,
    splitter: Splitter,
}

/// What a piece of data said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Taken {
    /// Patient keys.
    pub(in crate::session) keys: Vec<String>,
    /// Rows of the client's.
    pub(in crate::session) rows: u64,
}

impl Outgoing {
    /// `layout` is that of the query inside.
    pub(in crate::session) fn new(format: &CopyFormat, layout: Arc<Layout>) -> Self {
        Self { format: format.clone(), layout, splitter: Splitter::new(format) }
    }

    /// A CopyOutResponse body for the client's columns only.
    pub(in crate::session) fn response(&self, body: &[u8]) -> Result<BytesMut, BadData> {
        const BAD: BadData = BadData::Malformed("CopyOutResponse");
        let (format, rest) = body.split_first().ok_or(BAD)?;
        let (count, formats) = rest.split_first_chunk::<2>().ok_or(BAD)?;
        let columns = usize::from(u16::from_be_bytes(*count));
        let binary = matches!(self.format, CopyFormat::Binary);
        if columns != self.layout.len() || formats.len() != 2 * columns || (*format == 1) != binary {
            return Err(BAD);
        }
        let mut out = BytesMut::with_capacity(body.len());
        out.put_u8(*format);
        out.put_u16(u16::try_from(self.layout.visible()).map_err(|_| BAD)?);
        for (i, code) in formats.chunks_exact(2).enumerate() {
            if !self.layout.is_hidden(i) {
                out.extend_from_slice(code);
            }
        }
        Ok(out)
    }

    /// Takes the body of a CopyData and appends what of it is the client's to `window`, as one message.
    pub(in crate::session) fn take(&mut self, body: &[u8], window: &mut BytesMut) -> Result<Taken, BadData> {
        self.splitter.push(body);
        self.drain(false, window)
    }

    /// The end of the data.
    pub(in crate::session) fn finish(&mut self, window: &mut BytesMut) -> Result<Taken, BadData> {
        let taken = self.drain(true, window)?;
        if self.splitter.is_complete() { Ok(taken) } else { Err(BadData::Malformed("it has no end")) }
    }

    fn drain(&mut self, last: bool, window: &mut BytesMut) -> Result<Taken, BadData> {
        let mut taken = Taken::default();
        let before = window.len();
        let mut error = None;
        let (format, layout, splitter) = (&self.format, &*self.layout, &mut self.splitter);
        let put = put_message(window, b'd', |out| {
            loop {
                match splitter.next(last) {
                    Ok(Some(cut)) => {
                        if let Err(e) = piece(format, layout, &cut, out, &mut taken) {
                            error = Some(e);
                            return Ok(());
                        }
                    }
                    Ok(None) => return Ok(()),
                    Err(e) => {
                        error = Some(e);
                        return Ok(());
                    }
                }
            }
        });
        if let Some(error) = error {
            window.truncate(before);
            return Err(error);
        }
        match put {
            Ok(()) => {}
            Err(MessageError::TooMany) => return Err(BadData::TooLong),
            Err(_) => return Err(BadData::Malformed("message")),
        }
        if window.len() == before + 5 {
            window.truncate(before);
        }
        Ok(taken)
    }
}

fn piece(
    format: &CopyFormat,
    layout: &Layout,
    cut: &Cut<'_>,
    out: &mut BytesMut,
    taken: &mut Taken,
) -> Result<(), BadData> {
    match cut.kind {
        Kind::Other => {
            out.extend_from_slice(cut.raw);
            Ok(())
        }
        // COPY to the client ends with CopyDone, never with a marker; in csv it is quoted where it is a value.
        Kind::Marker => Err(BadData::Malformed("an end marker")),
        Kind::Row | Kind::Names if cut.spans.len() != layout.len() => {
            Err(BadData::Malformed("another number of fields than columns"))
        }
        Kind::Names => {
            let named = |(i, span): (usize, &Span)| {
                let name = value(format, cut.raw, *span).unwrap_or_default();
                name.starts_with(RESERVED_PREFIX.as_bytes()) == layout.is_hidden(i)
            };
            if !cut.spans.iter().enumerate().all(named) {
                return Err(BadData::Malformed("other columns than described"));
            }
            visible(format, layout, cut, out);
            Ok(())
        }
        Kind::Row => {
            let binary = matches!(format, CopyFormat::Binary);
            let mut witness = Witness { keys: Vec::new(), visible: true };
            for (i, span) in cut.spans.iter().enumerate().filter(|(i, _)| layout.is_hidden(*i)) {
                layout
                    .take_value(i, value(format, cut.raw, *span).as_deref(), binary, &mut witness)
                    .map_err(|m| BadData::Malformed(m.0))?;
            }
            taken.keys.append(&mut witness.keys);
            if witness.visible {
                taken.rows += 1;
                visible(format, layout, cut, out);
            }
            Ok(())
        }
    }
}

/// The fields of the client's own, in the row's own form.
fn visible(format: &CopyFormat, layout: &Layout, cut: &Cut<'_>, out: &mut BytesMut) {
    let spans = cut.spans.iter().enumerate().filter(|(i, _)| !layout.is_hidden(*i)).map(|(_, s)| *s);
    let field = |span: Span| cut.raw.get(span.start..span.end).unwrap_or_default();
    let delimiter = match format {
        CopyFormat::Binary => {
            out.put_u16(u16::try_from(layout.visible()).unwrap_or(u16::MAX));
            for span in spans {
                let length =
                    if span.quoted { i32::try_from(span.end - span.start).unwrap_or(-1) } else { -1 };
                out.put_i32(length);
                out.extend_from_slice(field(span));
            }
            return;
        }
        CopyFormat::Text { delimiter, .. } | CopyFormat::Csv { delimiter, .. } => *delimiter,
    };
    for (n, span) in spans.enumerate() {
        if n > 0 {
            out.put_u8(delimiter);
        }
        match format {
            // The only value of a line that looks like the end marker is quoted (`CopyAttributeOutCSV`).
            CopyFormat::Csv { quote, .. } if layout.visible() == 1 && field(span) == b"\\." => {
                out.extend_from_slice(&[*quote, b'\\', b'.', *quote]);
            }
            _ => out.extend_from_slice(field(span)),
        }
    }
    let end = cut.spans.last().map_or(0, |s| s.end);
    out.extend_from_slice(cut.raw.get(end..).unwrap_or_default());
}
