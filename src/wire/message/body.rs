//! Reading a body without trusting it, and writing one with its length filled in.
//! Not here: any particular message.

use bytes::{BufMut, Bytes, BytesMut};

/// A body that is not what its tag says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A field reaches beyond the end of the body.
    #[error("message is shorter than it says")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("message is longer than its fields")]
    Trailing,
    /// A count or length is negative where that means nothing.
    #[error("message has a negative length")]
    Negative,
    /// A name or text is not UTF-8.
    #[error("message holds text that is not UTF-8")]
    NotUtf8,
    /// A kind, status or code that the protocol does not have.
    #[error("message holds an unknown code {0:#04x}")]
    Unknown(u32),
    /// A text to be sent holds a NUL, where the receiver would end it.
    #[error("text holds a NUL")]
    Nul,
    /// A list or text too long for its count field.
    #[error("message has more than its count field can say")]
    TooMany,
}

/// A cursor over a body; every step is checked.
pub(crate) struct Body<'a> {
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Body { rest: body }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], MessageError> {
        let (now, later) = self.rest.split_at_checked(n).ok_or(MessageError::Truncated)?;
        self.rest = later;
        Ok(now)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let (now, later) = self.rest.split_first_chunk::<N>().ok_or(MessageError::Truncated)?;
        self.rest = later;
        Ok(*now)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, MessageError> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, MessageError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A count of parameters or columns. PostgreSQL reads these as unsigned.
    pub(crate) fn u16(&mut self) -> Result<u16, MessageError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, MessageError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, MessageError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Bytes up to a NUL, which is consumed.
    pub(crate) fn cstr(&mut self) -> Result<&'a [u8], MessageError> {
        let end = self.rest.iter().position(|&b| b == 0).ok_or(MessageError::Truncated)?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, MessageError> {
        std::str::from_utf8(self.cstr()?).map_err(|_| MessageError::NotUtf8)
    }

    /// A value with its length before it; -1 is NULL.
    pub(crate) fn value(&mut self) -> Result<Option<&'a [u8]>, MessageError> {
        match self.i32()? {
            -1 => Ok(None),
            n => self.take(usize::try_from(n).map_err(|_| MessageError::Negative)?).map(Some),
        }
    }

    pub(crate) fn end(&self) -> Result<(), MessageError> {
        if self.rest.is_empty() { Ok(()) } else { Err(MessageError::Trailing) }
    }
}

/// Appends one message: `fill` writes the body, the length is put in afterwards.
///
/// # Errors
/// What `fill` says, or [`MessageError::TooMany`] for a body over the protocol's limit; `out` is then
/// as it was.
pub fn put_message(
    out: &mut BytesMut,
    tag: u8,
    fill: impl FnOnce(&mut BytesMut) -> Result<(), MessageError>,
) -> Result<(), MessageError> {
    let start = out.len();
    out.put_u8(tag);
    out.put_u32(0);
    let done = fill(out).and_then(|()| {
        // The length counts itself and not the tag.
        let length = u32::try_from(out.len() - start - 1).map_err(|_| MessageError::TooMany)?;
        if length > super::super::frame::PROTOCOL_LIMIT {
            return Err(MessageError::TooMany);
        }
        let field = out.get_mut(start + 1..start + 5).ok_or(MessageError::Truncated)?;
        field.copy_from_slice(&length.to_be_bytes());
        Ok(())
    });
    if done.is_err() {
        out.truncate(start);
    }
    done
}

/// One message as bytes of its own.
pub(crate) fn message(
    tag: u8,
    fill: impl FnOnce(&mut BytesMut) -> Result<(), MessageError>,
) -> Result<Bytes, MessageError> {
    let mut out = BytesMut::new();
    put_message(&mut out, tag, fill)?;
    Ok(out.freeze())
}

/// A text and its NUL. A NUL inside would end the text early for the receiver: what was checked would
/// not be what is read.
pub(crate) fn put_text(out: &mut BytesMut, text: &str) -> Result<(), MessageError> {
    if text.contains('\0') {
        return Err(MessageError::Nul);
    }
    out.put_slice(text.as_bytes());
    out.put_u8(0);
    Ok(())
}

/// A count before a list.
pub(crate) fn put_count(out: &mut BytesMut, n: usize) -> Result<(), MessageError> {
    out.put_u16(u16::try_from(n).map_err(|_| MessageError::TooMany)?);
    Ok(())
}

/// A value with its length before it; NULL is -1.
pub(crate) fn put_value(out: &mut BytesMut, value: Option<&[u8]>) -> Result<(), MessageError> {
    match value {
        None => out.put_i32(-1),
        Some(value) => {
            out.put_i32(i32::try_from(value.len()).map_err(|_| MessageError::TooMany)?);
            out.put_slice(value);
        }
    }
    Ok(())
}
