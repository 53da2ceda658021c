//! A stream between a session and whoever plays its peer: two buffers. Nothing is ever woken: the session
//! is looked at again whenever the target did something.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Both ends share it.
#[derive(Clone, Default)]
pub(super) struct Pipe(Arc<Mutex<Ends>>);

#[derive(Default)]
pub(super) struct Ends {
    /// For the session.
    pub(super) inbound: BytesMut,
    /// The peer said everything it will say.
    pub(super) ended: bool,
    /// From the session, not yet looked at.
    pub(super) outbound: BytesMut,
    /// The peer does not read.
    pub(super) stalled: bool,
}

impl Pipe {
    pub(super) fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap()
    }

    pub(super) fn send(&self, bytes: &[u8]) {
        let mut ends = self.ends();
        if !ends.ended {
            ends.inbound.extend_from_slice(bytes);
        }
    }

    pub(super) fn received(&self) -> BytesMut {
        self.ends().outbound.split()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut ends = self.ends();
        let n = ends.inbound.len().min(buf.remaining());
        if n == 0 && !ends.ended {
            return Poll::Pending;
        }
        buf.put_slice(&ends.inbound[..n]);
        ends.inbound.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut ends = self.ends();
        if ends.stalled {
            return Poll::Pending;
        }
        ends.outbound.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
