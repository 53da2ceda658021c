//! Frames over a socket: a reader that buffers and a writer that sends a batch in one write.
//!
//! Not here: the cutting itself (see `frame`) and anything that knows what a frame means.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frame::{Frame, FrameDecoder, FrameError, Limits, Piece};

/// Pushed slices below this are copied together, bytes: a copy is cheaper than an entry in a write.
const COPY_BELOW: usize = 4 * 1024;
/// Slices handed to one write.
const SLICES: usize = 16;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The peer's bytes are not acceptable frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The connection failed; also an end in the middle of a frame (`UnexpectedEof`).
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
}

/// Reads frames. Every method is cancel safe: a future dropped early loses no byte.
#[derive(Debug)]
pub struct FrameReader<R> {
    io: R,
    decoder: FrameDecoder,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `io`, beginning with bytes already read from it.
    pub fn new(io: R, limits: Limits, buffered: BytesMut) -> Self {
        FrameReader { io, decoder: FrameDecoder::new(limits, buffered) }
    }

    /// The next frame; `None` when the peer closed between two frames.
    ///
    /// # Errors
    /// [`ReadError`]; the connection cannot go on.
    pub async fn frame(&mut self) -> Result<Option<Frame>, ReadError> {
        loop {
            if let Some(frame) = self.decoder.frame()? {
                return Ok(Some(frame));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The next frame or part of a long one; `None` when the peer closed between two frames.
    ///
    /// # Errors
    /// [`ReadError`]; the connection cannot go on.
    pub async fn piece(&mut self) -> Result<Option<Piece>, ReadError> {
        loop {
            if let Some(piece) = self.decoder.piece()? {
                return Ok(Some(piece));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// A frame that is already here, without reading: the rest of the batch.
    ///
    /// # Errors
    /// [`FrameError`] as [`FrameDecoder::frame`].
    pub fn buffered_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        self.decoder.frame()
    }

    /// A piece that is already here, without reading: the rest of the batch.
    ///
    /// # Errors
    /// [`FrameError`] as [`FrameDecoder::piece`].
    pub fn buffered_piece(&mut self) -> Result<Option<Piece>, FrameError> {
        self.decoder.piece()
    }

    /// The stream below, to write to it. Reading from it directly would lose the order.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.io
    }

    /// The decoder, to change its limits.
    pub fn decoder_mut(&mut self) -> &mut FrameDecoder {
        &mut self.decoder
    }

    /// The stream and the bytes read from it and not yet handed over.
    pub fn into_parts(self) -> (R, BytesMut) {
        (self.io, self.decoder.into_buffered())
    }

    /// Reads once; `false` at a clean end.
    async fn fill(&mut self) -> Result<bool, ReadError> {
        match self.io.read_buf(self.decoder.room()).await? {
            0 if self.decoder.between_frames() => Ok(false),
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => Ok(true),
        }
    }
}

/// Gathers frames and sends them together.
#[derive(Debug)]
pub struct FrameWriter<W> {
    io: W,
    queue: VecDeque<Bytes>,
    /// Small slices copied together; they come after everything in `queue`.
    tail: BytesMut,
    queued: usize,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Writes to `io`.
    pub fn new(io: W) -> Self {
        FrameWriter { io, queue: VecDeque::new(), tail: BytesMut::new(), queued: 0 }
    }

    /// Puts bytes behind those waiting. Nothing is sent before [`FrameWriter::flush`].
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW {
            self.tail.extend_from_slice(&bytes);
        } else {
            self.seal_tail();
            self.queued += bytes.len();
            self.queue.push_back(bytes);
        }
    }

    /// Where to encode a small message in place, behind those waiting.
    pub fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Bytes waiting, so that a caller can bound them.
    pub fn pending(&self) -> usize {
        self.queued + self.tail.len()
    }

    /// Sends everything waiting. Cancel safe: what was not sent is still waiting.
    ///
    /// # Errors
    /// The socket's error; the connection cannot go on.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.seal_tail();
        while self.queued > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut filled = 0;
            for (slot, bytes) in slices.iter_mut().zip(&self.queue) {
                *slot = IoSlice::new(bytes);
                filled += 1;
            }
            let written = self.io.write_vectored(slices.get(..filled).unwrap_or(&[])).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.advance(written);
        }
        self.io.flush().await
    }

    /// Sends everything waiting and closes the sending side (with TLS: a close_notify).
    ///
    /// # Errors
    /// The socket's error.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.io.shutdown().await
    }

    /// The stream; what is still waiting is dropped.
    pub fn into_inner(self) -> W {
        self.io
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.queued += self.tail.len();
            self.queue.push_back(self.tail.split().freeze());
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.queued = self.queued.saturating_sub(written);
        while let Some(front) = self.queue.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        // Property: through a pipe of any width, what is pushed arrives, in order.
        #[test]
        fn pushed_frames_arrive(sizes in proptest::collection::vec(0usize..9000, 1..12), width in 1usize..9000) {
            block_on(async move {
                let (left, right) = tokio::io::duplex(width);
                let frames: Vec<Bytes> = sizes.iter().enumerate().map(|(i, &n)| {
                    let mut raw = vec![b'd'];
                    raw.extend_from_slice(&(n as u32 + 4).to_be_bytes());
                    raw.resize(n + 5, i as u8);
                    raw.into()
                }).collect();
                let sent = frames.clone();
                let writing = async move {
                    let mut writer = FrameWriter::new(left);
                    for frame in sent { writer.push(frame); }
                    assert_eq!(writer.pending(), sizes.iter().map(|n| n + 5).sum::<usize>());
                    writer.shutdown().await.unwrap();
                    assert_eq!(writer.pending(), 0);
                };
                let reading = async move {
                    let mut reader = FrameReader::new(right, Limits::gather(100_000), BytesMut::new());
                    let mut got = Vec::new();
                    while let Some(frame) = reader.frame().await.unwrap() { got.push(frame.into_raw()); }
                    assert_eq!(got, frames);
                };
                tokio::join!(writing, reading);
            });
        }
    }

    #[test]
    fn an_end_inside_a_frame_is_an_error() {
        block_on(async {
            let mut reader = FrameReader::new(&b"Q\0\0\0\x09ab"[..], Limits::gather(100), BytesMut::new());
            assert!(
                matches!(reader.frame().await, Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::UnexpectedEof)
            );
        });
    }
}
