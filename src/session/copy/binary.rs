//! The binary format: signature and header, rows of counted fields, the end (manual, "COPY", "Binary
//! Format").

use super::split::{BadData, Kind, Piece, Span};

/// The first bytes of every binary COPY.
pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

#[derive(Debug, Default)]
enum State {
    /// The header is to come.
    #[default]
    Header,
    /// A row is to come.
    Between,
    /// Inside a row: fields still to come.
    Row(u16),
    /// The end came.
    Ended,
}

/// Finds the ends of rows.
#[derive(Debug, Default)]
pub(super) struct BinaryScanner {
    state: State,
    at: usize,
}

fn int16(buffer: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(*buffer.get(at..)?.first_chunk()?))
}

fn int32(buffer: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*buffer.get(at..)?.first_chunk()?))
}

impl BinaryScanner {
    /// Looks for the end of the piece that `buffer` begins with.
    pub(super) fn scan(
        &mut self,
        buffer: &[u8],
        last: bool,
        spans: &mut Vec<Span>,
    ) -> Result<Option<Piece>, BadData> {
        let found = self.step(buffer, spans)?;
        if found.is_none() && last && !buffer.is_empty() {
            return Err(BadData::Malformed("it ends inside a row"));
        }
        Ok(found)
    }

    fn step(&mut self, buffer: &[u8], spans: &mut Vec<Span>) -> Result<Option<Piece>, BadData> {
        loop {
            match self.state {
                State::Header => {
                    // Signature, flags, length of the extension, the extension.
                    let Some(extension) = int32(buffer, SIGNATURE.len() + 4) else { return Ok(None) };
                    if buffer.get(..SIGNATURE.len()) != Some(SIGNATURE) {
                        return Err(BadData::Malformed("no binary signature"));
                    }
                    // A flag in the upper half changes the format; none is in use.
                    if int32(buffer, SIGNATURE.len()).is_none_or(|flags| flags & !0xffff != 0) {
                        return Err(BadData::Malformed("unknown binary format"));
                    }
                    let extension =
                        usize::try_from(extension).map_err(|_| BadData::Malformed("negative length"))?;
                    let length = SIGNATURE.len() + 8 + extension;
                    if buffer.len() < length {
                        return Ok(None);
                    }
                    self.state = State::Between;
                    spans.clear();
                    return Ok(Some(Piece { kind: Kind::Other, length }));
                }
                State::Between => {
                    let Some(fields) = int16(buffer, 0) else { return Ok(None) };
                    spans.clear();
                    match u16::try_from(fields) {
                        Ok(fields) => {
                            self.state = State::Row(fields);
                            self.at = 2;
                        }
                        Err(_) if fields == -1 => {
                            self.state = State::Ended;
                            return Ok(Some(Piece { kind: Kind::Other, length: 2 }));
                        }
                        Err(_) => return Err(BadData::Malformed("negative count")),
                    }
                }
                State::Row(0) => {
                    self.state = State::Between;
                    return Ok(Some(Piece { kind: Kind::Row, length: std::mem::take(&mut self.at) }));
                }
                State::Row(left) => {
                    let Some(length) = int32(buffer, self.at) else { return Ok(None) };
                    let start = self.at + 4;
                    let (size, present) = match usize::try_from(length) {
                        Ok(size) => (size, true),
                        Err(_) if length == -1 => (0, false),
                        Err(_) => return Err(BadData::Malformed("negative length")),
                    };
                    if buffer.len() < start + size {
                        return Ok(None);
                    }
                    spans.push(Span { start, end: start + size, quoted: present });
                    self.at = start + size;
                    self.state = State::Row(left - 1);
                }
                State::Ended if buffer.is_empty() => return Ok(None),
                State::Ended => return Err(BadData::Malformed("data after its end")),
            }
        }
    }

    /// True when the format may end here.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}
