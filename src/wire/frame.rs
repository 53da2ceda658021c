//! Frames: one tag byte, a length, a body. Sans-IO: bytes go in, frames come out as slices of the
//! read buffer, without a copy.
//!
//! Not here: what a body means (see `message`), sockets (see `buffered`), and the packets before the
//! login is over that have no tag (see `startup`).

use bytes::{Buf, Bytes, BytesMut};

/// Bytes before the body: the tag and the length field.
pub const HEADER: usize = 5;

/// The largest body PostgreSQL itself accepts (`PQ_LARGE_MESSAGE_LIMIT`, `MaxAllocSize - 1`), bytes.
pub const PROTOCOL_LIMIT: u32 = 0x3fff_fffe - 4;

/// A frame of more bytes than this is passed on as its bytes come; a shorter one waits until it is whole.
pub const LONG: usize = 64 * 1024;

/// How much room a read asks for, bytes. A buffer never grows by more than its content doubles.
const READ_ROOM: usize = 32 * 1024;

/// How long a body may be. One value a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Up to here a frame is gathered and handed over whole, bytes of body.
    pub gather: u32,
    /// Up to here a frame is let through in pieces; a longer one is an error, bytes of body.
    pub longest: u32,
}

impl Limits {
    /// Frames up to `gather` bytes of body whole, longer ones in pieces up to the protocol's limit.
    pub const fn gather(gather: u32) -> Self {
        Limits { gather, longest: PROTOCOL_LIMIT }
    }

    /// Nothing longer than `longest` bytes of body, and no pieces.
    pub const fn only(longest: u32) -> Self {
        Limits { gather: longest, longest }
    }
}

/// Bytes that are not frames, or frames that are not acceptable. The connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length field below 4, which cannot even count itself.
    #[error("invalid message length {length} for tag {tag:#04x}")]
    BadLength {
        /// The message's tag.
        tag: u8,
        /// The length field as sent.
        length: u32,
    },
    /// A body over the limit.
    #[error("message with tag {tag:#04x} has {body} bytes, more than the {limit} allowed")]
    TooLong {
        /// The message's tag.
        tag: u8,
        /// Bytes of body announced.
        body: u32,
        /// Bytes of body allowed.
        limit: u32,
    },
    /// A whole frame was asked for in the middle of one that is handed over in pieces.
    #[error("a frame was asked for inside one that is read in pieces")]
    InPieces,
}

/// One message: its tag and its body. Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Header and body; at least [`HEADER`] bytes by construction.
    raw: Bytes,
}

impl Frame {
    /// Takes the first frame of `raw`, which must be exactly one frame.
    ///
    /// # Errors
    /// `None` if `raw` is not exactly one frame.
    pub fn from_raw(raw: Bytes) -> Option<Self> {
        let header = Header::peek(&raw).ok()??;
        (raw.len() == HEADER + header.body as usize).then_some(Frame { raw })
    }

    /// The tag byte.
    pub fn tag(&self) -> u8 {
        self.raw.first().copied().unwrap_or(0)
    }

    /// The body, without tag and length.
    pub fn body(&self) -> &[u8] {
        self.raw.get(HEADER..).unwrap_or(&[])
    }

    /// The body as a shared slice that outlives the frame.
    pub fn body_bytes(&self) -> Bytes {
        self.raw.slice(HEADER.min(self.raw.len())..)
    }

    /// The original bytes, header included. No copy.
    pub fn raw(&self) -> Bytes {
        self.raw.clone()
    }

    /// The original bytes, header included, giving up the frame.
    pub fn into_raw(self) -> Bytes {
        self.raw
    }
}

/// The first five bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The tag byte.
    pub tag: u8,
    /// Bytes of body that follow.
    pub body: u32,
}

impl Header {
    fn peek(buf: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(&[tag, a, b, c, d]) = buf.first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]);
        match length.checked_sub(4) {
            Some(body) => Ok(Some(Header { tag, body })),
            None => Err(FrameError::BadLength { tag, length }),
        }
    }
}

/// A frame, or a part of one that is too long to gather.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A whole frame.
    Whole(Frame),
    /// The header of a long frame; its body follows in chunks. `raw` is the header's five bytes.
    Start {
        /// The header.
        header: Header,
        /// Its bytes, to be forwarded.
        raw: Bytes,
    },
    /// Some of a long frame's body; never empty.
    Chunk {
        /// The bytes.
        bytes: Bytes,
        /// Whether the frame ends here.
        last: bool,
    },
}

/// Bytes that are passed on as they lie in the buffer, without taking frames apart.
#[derive(Debug)]
pub enum Stretch {
    /// Consecutive whole frames.
    Whole {
        /// The bytes.
        bytes: BytesMut,
        /// How many frames.
        frames: u64,
    },
    /// The beginning of a long frame; what is missing follows as [`Stretch::Rest`].
    Begin {
        /// The bytes, header included.
        bytes: BytesMut,
    },
    /// More of a long frame.
    Rest {
        /// The bytes; never empty.
        bytes: BytesMut,
        /// Whether the frame ends here.
        last: bool,
    },
}

impl Stretch {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Stretch::Whole { bytes, .. } | Stretch::Begin { bytes } | Stretch::Rest { bytes, .. } => bytes,
        }
    }

    /// Frames that begin in it.
    pub fn begun(&self) -> u64 {
        match self {
            Stretch::Whole { frames, .. } => *frames,
            Stretch::Begin { .. } => 1,
            Stretch::Rest { .. } => 0,
        }
    }

    /// Bytes of the bodies in it, headers left out.
    pub fn body(&self) -> u64 {
        self.bytes().len() as u64 - self.begun() * HEADER as u64
    }
}

/// Cuts a stream of bytes into frames.
///
/// Bytes are put into [`FrameDecoder::room`]; frames are taken until there is none. A length field
/// alone never makes it allocate: the buffer grows with what really arrived.
#[derive(Debug)]
pub struct FrameDecoder {
    limits: Limits,
    buf: BytesMut,
    /// Bytes of body still to come of a frame handed over in pieces, and its tag.
    in_pieces: u32,
    pieces_of: u8,
}

impl FrameDecoder {
    /// A decoder that begins with bytes already read.
    pub fn new(limits: Limits, buffered: BytesMut) -> Self {
        FrameDecoder { limits, buf: buffered, in_pieces: 0, pieces_of: 0 }
    }

    /// Where to append bytes from the peer. It has room for at least one useful read.
    pub fn room(&mut self) -> &mut BytesMut {
        if self.buf.capacity() - self.buf.len() < READ_ROOM / 8 {
            self.buf.reserve(READ_ROOM.max(self.buf.len()));
        }
        &mut self.buf
    }

    /// Changes the limits for the frames that follow.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether the bytes so far end between two frames, so that an end of the stream is clean.
    pub fn between_frames(&self) -> bool {
        self.buf.is_empty() && self.in_pieces == 0
    }

    /// Takes in bytes from the peer. Holds no more memory than they need, and none once all of them are
    /// handed over: most sessions of a server are idle.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.buf.is_empty() {
            self.buf = BytesMut::from(bytes);
        } else {
            self.buf.extend_from_slice(bytes);
        }
    }

    /// Bytes read and not yet handed over.
    pub fn buffered(&self) -> &[u8] {
        &self.buf
    }

    /// Bytes read and not yet handed over, for whoever reads on.
    pub fn into_buffered(self) -> BytesMut {
        self.buf
    }

    /// The next whole frame, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; a frame over [`Limits::gather`] is one.
    pub fn frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.in_pieces > 0 {
            return Err(FrameError::InPieces);
        }
        let Some(Header { tag, body }) = Header::peek(&self.buf)? else { return Ok(None) };
        let limit = self.limits.gather.min(self.limits.longest);
        if body > limit {
            return Err(FrameError::TooLong { tag, body, limit });
        }
        Ok(self.take_whole(body))
    }

    /// The next frame or part of one, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; a frame over [`Limits::longest`] is one.
    pub fn piece(&mut self) -> Result<Option<Piece>, FrameError> {
        if self.in_pieces > 0 {
            if self.buf.is_empty() {
                return Ok(None);
            }
            let take = self.buf.len().min(self.in_pieces as usize);
            // `take` fits: it is at most the u32 it is compared with.
            self.in_pieces -= take as u32;
            let bytes = self.buf.split_to(take).freeze();
            return Ok(Some(Piece::Chunk { bytes, last: self.in_pieces == 0 }));
        }
        let Some(header) = Header::peek(&self.buf)? else { return Ok(None) };
        let Header { tag, body } = header;
        if body > self.limits.longest {
            return Err(FrameError::TooLong { tag, body, limit: self.limits.longest });
        }
        // An empty body is always whole, so that every `Start` has a last chunk.
        if body <= self.limits.gather || body == 0 {
            return Ok(self.take_whole(body).map(Piece::Whole));
        }
        (self.in_pieces, self.pieces_of) = (body, tag);
        Ok(Some(Piece::Start { header, raw: self.buf.split_to(HEADER).freeze() }))
    }

    /// True in the middle of a frame that is handed over in parts.
    pub fn inside_frame(&self) -> bool {
        self.in_pieces > 0
    }

    /// The tag of the frame that the next byte belongs to, if one is here.
    pub fn next_tag(&self) -> Option<u8> {
        if self.in_pieces > 0 { Some(self.pieces_of) } else { self.buf.first().copied() }
    }

    /// What can be passed on of frames with this tag: the whole ones that are here, else the part that
    /// is here of one longer than [`LONG`]. `None` when more bytes are needed, or another frame is next.
    ///
    /// # Errors
    /// [`FrameError`]; a frame over [`Limits::longest`] is one.
    pub fn stretch(&mut self, tag: u8) -> Result<Option<Stretch>, FrameError> {
        if self.in_pieces > 0 {
            return Ok(match self.piece()? {
                Some(Piece::Chunk { bytes, last }) => Some(Stretch::Rest { bytes: bytes.into(), last }),
                Some(Piece::Whole(_) | Piece::Start { .. }) | None => None,
            });
        }
        let (mut at, mut frames) = (0, 0);
        loop {
            let header = match Header::peek(self.buf.get(at..).unwrap_or(&[])) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                // What came before it goes first, as it would if it had come alone.
                Err(_) if at > 0 => break,
                Err(error) => return Err(error),
            };
            if header.tag != tag {
                break;
            }
            // Before anything else, so that it is the same however much of the frame is here.
            if header.body > self.limits.longest {
                if at > 0 {
                    break;
                }
                let limit = self.limits.longest;
                return Err(FrameError::TooLong { tag, body: header.body, limit });
            }
            let whole = HEADER + header.body as usize;
            if self.buf.len() - at >= whole {
                at += whole;
                frames += 1;
                continue;
            }
            if at == 0 && whole > LONG {
                // Fits: what is missing is less than the body, which is a u32.
                (self.in_pieces, self.pieces_of) = ((whole - self.buf.len()) as u32, tag);
                return Ok(Some(Stretch::Begin { bytes: self.buf.split() }));
            }
            break;
        }
        Ok((frames > 0).then(|| Stretch::Whole { bytes: self.buf.split_to(at), frames }))
    }

    fn take_whole(&mut self, body: u32) -> Option<Frame> {
        let whole = HEADER + body as usize;
        if self.buf.remaining() < whole {
            return None;
        }
        Some(Frame { raw: self.buf.split_to(whole).freeze() })
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
