//! One end of a session as a pollable thing: bytes in through a frame decoder, bytes out from a
//! buffer. One task polls both ends, so no locks and no second wake-up stand between them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::frame::{FrameDecoder, Limits};

/// Bytes one read asks for.
const READ: usize = 64 * 1024;

thread_local! {
    /// Where a read puts its bytes, before the session they belong to makes room for as many as came. One
    /// a thread: a session that waits holds no buffer.
    static SCRATCH: std::cell::RefCell<Box<[u8]>> = std::cell::RefCell::new(vec![0; READ].into_boxed_slice());
}

/// A stream that carries one end of a session.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One end of a session.
pub(super) struct Peer<S> {
    io: S,
    /// Frames that came in.
    pub(super) decoder: FrameDecoder,
    /// The stream ended.
    pub(super) closed: bool,
    flush_due: bool,
}

impl<S: Stream> Peer<S> {
    /// An end over `io`, beginning with bytes already read from it.
    pub(super) fn new(io: S, limits: Limits, buffered: BytesMut) -> Self {
        // Copied: the buffer the login read with is 32 KiB, and would stay for as long as the session.
        let buffered = BytesMut::from(&buffered[..]);
        Self { io, decoder: FrameDecoder::new(limits, buffered), closed: false, flush_due: false }
    }

    /// Reads once. `Ready(Ok(0))` is the end of the stream.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            let n = buf.filled().len();
            if n == 0 {
                self.closed = true;
            } else {
                self.decoder.feed(buf.filled());
            }
            Poll::Ready(Ok(n))
        })
    }

    /// Writes as much of `bytes` as the stream takes and returns how much that was; flushes (TLS
    /// records) when everything is written. `Pending` when nothing could be written.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut written = 0;
        while written < bytes.len() {
            match Pin::new(&mut self.io).poll_write(cx, &bytes[written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    written += n;
                    self.flush_due = true;
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => break,
            }
        }
        if written == bytes.len() && self.flush_due && Pin::new(&mut self.io).poll_flush(cx)?.is_ready() {
            self.flush_due = false;
        }
        if written == 0 && (!bytes.is_empty() || self.flush_due) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(written))
        }
    }

    /// True when written bytes still sit in the stream's own buffer.
    pub(super) fn flush_due(&self) -> bool {
        self.flush_due
    }

    /// Closes the sending side.
    pub(super) async fn shutdown(&mut self) {
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut self.io).await;
    }
}

/// A plain output buffer with the two calls the driver needs.
#[derive(Debug, Default)]
pub(super) struct Out(pub(super) BytesMut);

impl Out {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn advance(&mut self, n: usize) {
        self.0.advance(n);
    }
}
