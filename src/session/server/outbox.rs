//! What waits to leave for the client, in order: bytes that may go now, and windows of rows that
//! may go only when their record is durable. This is where promise P3 is kept: the only way from
//! here to the socket is [`Outbox::settle`], and it moves a gated window only after its receipt
//! resolved. Not here: what goes into a window or a record.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};

use crate::ledger::{LedgerError, Receipt};
use crate::wire::frame::Stretch;

/// Identifies the run (one execution of a statement) a window belongs to.
pub(in crate::session) type RunId = u64;

/// One thing in the queue.
#[derive(Debug)]
enum Held {
    /// Free to go once it is at the head.
    Free(BytesMut),
    /// Goes once the receipt resolved; `None` when it did.
    Gated { run: RunId, writes: bool, bytes: BytesMut, receipt: Receipt },
}

/// A window whose record could not be made durable.
#[derive(Debug)]
pub(in crate::session) struct GateFailure {
    /// The run whose rows stay back.
    pub(in crate::session) run: RunId,
    /// True when the statement changed something on the server.
    pub(in crate::session) writes: bool,
    /// Why.
    pub(in crate::session) error: LedgerError,
}

/// The queue towards one client.
#[derive(Debug, Default)]
pub(in crate::session) struct Outbox {
    ready: BytesMut,
    held: VecDeque<Held>,
    held_bytes: usize,
    open: Open,
}

/// Whether the bytes queued last end inside a frame that the server is still sending.
#[derive(Debug, Default)]
enum Open {
    /// They end with a frame.
    #[default]
    No,
    /// Its beginning is queued or sent: the rest must follow, and what else comes waits behind it.
    Passing { after: BytesMut },
    /// Its beginning was dropped, and so is the rest.
    Swallowing,
}

impl Outbox {
    /// Queues whole messages that need no record.
    pub(in crate::session) fn push(&mut self, bytes: &[u8]) {
        match &mut self.open {
            Open::No | Open::Swallowing => self.queue(bytes),
            Open::Passing { after } => after.extend_from_slice(bytes),
        }
    }

    /// Queues frames of the server as they come, a long one in parts; `swallow` those that begin now.
    pub(in crate::session) fn relay(&mut self, stretch: Stretch, swallow: bool) {
        match stretch {
            Stretch::Whole { .. } if swallow => {}
            Stretch::Whole { bytes, .. } => self.queue(&bytes),
            Stretch::Begin { .. } if swallow => self.open = Open::Swallowing,
            Stretch::Begin { bytes } => {
                self.queue(&bytes);
                self.open = Open::Passing { after: BytesMut::new() };
            }
            Stretch::Rest { bytes, last } => {
                if matches!(self.open, Open::Passing { .. }) {
                    self.queue(&bytes);
                }
                if last && let Open::Passing { after } = std::mem::take(&mut self.open) {
                    self.queue(&after);
                }
            }
        }
    }

    /// True when what was queued last ends inside a frame.
    pub(in crate::session) fn inside_frame(&self) -> bool {
        matches!(self.open, Open::Passing { .. })
    }

    fn queue(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.held.back_mut() {
            None => self.ready.extend_from_slice(bytes),
            Some(Held::Free(last)) => {
                self.held_bytes += bytes.len();
                last.extend_from_slice(bytes);
            }
            Some(Held::Gated { .. }) => {
                self.held_bytes += bytes.len();
                self.held.push_back(Held::Free(BytesMut::from(bytes)));
            }
        }
    }

    /// Queues bytes that may leave only after `receipt` resolved.
    pub(in crate::session) fn push_gated(
        &mut self,
        run: RunId,
        writes: bool,
        bytes: BytesMut,
        receipt: Receipt,
    ) {
        self.held_bytes += bytes.len();
        self.held.push_back(Held::Gated { run, writes, bytes, receipt });
    }

    /// Bytes waiting for a record or behind one that does.
    pub(in crate::session) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Bytes that may be written now.
    pub(in crate::session) fn ready(&self) -> &[u8] {
        &self.ready
    }

    /// Takes `n` written bytes off the front of [`Outbox::ready`].
    pub(in crate::session) fn advance(&mut self, n: usize) {
        self.ready.advance(n);
    }

    /// True when nothing is queued at all.
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.held.is_empty()
    }

    /// Drops the windows of `run` that have not been released. Their records stand: over-reporting
    /// is safe.
    pub(in crate::session) fn revoke(&mut self, run: RunId) {
        for held in &mut self.held {
            if let Held::Gated { run: r, bytes, .. } = held
                && *r == run
            {
                self.held_bytes -= bytes.len();
                bytes.clear();
            }
        }
    }

    /// Moves what may go from the queue to [`Outbox::ready`]. `Ready(Ok(()))` when something
    /// moved, `Pending` when the head still waits (the waker is registered) or nothing is held,
    /// `Ready(Err)` when the head's record failed: that window is dropped.
    pub(in crate::session) fn settle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), GateFailure>> {
        let mut moved = false;
        loop {
            match self.held.front_mut() {
                None => break,
                Some(Held::Free(bytes)) => {
                    self.held_bytes -= bytes.len();
                    self.ready.extend_from_slice(bytes);
                    moved = true;
                }
                Some(Held::Gated { run, writes, bytes, receipt }) => match Pin::new(receipt).poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(_)) => {
                        self.held_bytes -= bytes.len();
                        self.ready.extend_from_slice(bytes);
                        moved = true;
                    }
                    Poll::Ready(Err(error)) => {
                        self.held_bytes -= bytes.len();
                        let (run, writes) = (*run, *writes);
                        self.held.pop_front();
                        return Poll::Ready(Err(GateFailure { run, writes, error }));
                    }
                },
            }
            self.held.pop_front();
        }
        if moved { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Puts an error in place of a window that was dropped, and drops what follows it in the same
    /// exchange: everything held up to the next ReadyForQuery, but for what can come at any time
    /// (notifications, parameter changes). Returns the transaction status that ReadyForQuery says, or
    /// `None` when it is not held yet and later replies are still to be swallowed.
    pub(in crate::session) fn replace_exchange(&mut self, error: &[u8]) -> Option<u8> {
        self.ready.extend_from_slice(error);
        while let Some(held) = self.held.pop_front() {
            let (bytes, free) = match held {
                Held::Free(bytes) => (bytes, true),
                Held::Gated { bytes, .. } => (bytes, false),
            };
            self.held_bytes -= bytes.len();
            let mut rest = &bytes[..];
            while let Some((message, after)) = split_message(rest) {
                match message.first() {
                    Some(b'Z') => {
                        let status = message.get(5).copied();
                        if after.is_empty() {
                            self.ready.extend_from_slice(message);
                        } else {
                            // What comes behind belongs to the next exchange and waits its turn.
                            let mut kept = BytesMut::from(message);
                            kept.extend_from_slice(after);
                            self.held_bytes += kept.len();
                            self.held.push_front(Held::Free(kept));
                        }
                        return status;
                    }
                    Some(b'A' | b'S') if free => self.ready.extend_from_slice(message),
                    _ => {}
                }
                rest = after;
            }
        }
        // A frame whose beginning was among what was dropped: its rest is dropped as it comes.
        if let Open::Passing { after } = std::mem::take(&mut self.open) {
            self.open = Open::Swallowing;
            self.ready.extend_from_slice(&after);
        }
        None
    }
}

/// The first whole message of `bytes` and what follows it.
fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_be_bytes(*bytes.get(1..)?.first_chunk()?);
    bytes.split_at_checked(usize::try_from(length).ok()?.checked_add(1)?)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::ledger::Cause;

    fn settle(outbox: &mut Outbox) -> Poll<Result<(), GateFailure>> {
        outbox.settle(&mut Context::from_waker(Waker::noop()))
    }

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut m = vec![tag];
        m.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        m.extend_from_slice(body);
        m
    }

    fn begin(bytes: &[u8]) -> Stretch {
        Stretch::Begin { bytes: bytes.into() }
    }

    fn rest(bytes: &[u8], last: bool) -> Stretch {
        Stretch::Rest { bytes: bytes.into(), last }
    }

    #[test]
    fn nothing_comes_between_the_parts_of_a_frame() {
        let mut outbox = Outbox::default();
        outbox.relay(begin(b"D..."), false);
        outbox.push(b"notice ");
        outbox.relay(rest(b"...", false), true);
        assert!(outbox.inside_frame());
        outbox.relay(rest(b"end ", true), true);
        outbox.relay(Stretch::Whole { bytes: b"swallowed".as_slice().into(), frames: 1 }, true);
        outbox.push(b"next");
        assert_eq!(outbox.ready(), b"D......end notice next");
    }

    #[test]
    fn a_frame_whose_beginning_was_dropped_is_dropped_whole() {
        let mut outbox = Outbox::default();
        let (receipt, slot) = Receipt::new();
        outbox.push_gated(1, true, BytesMut::new(), receipt);
        outbox.relay(begin(&message(b'D', b"rows")[..7]), false);
        outbox.push(b"notice ");
        slot.resolve(Err(Cause::Closed.into()));
        assert!(settle(&mut outbox).is_ready());
        assert_eq!(outbox.replace_exchange(b"error "), None);
        outbox.relay(rest(b"ws", true), true);
        outbox.relay(begin(b"more"), true);
        outbox.relay(rest(b"more", true), false);
        outbox.push(b"next");
        assert_eq!(outbox.ready(), b"error notice next");
    }

    #[test]
    fn a_window_and_all_behind_it_wait_for_the_record() {
        let mut outbox = Outbox::default();
        let (receipt, slot) = Receipt::new();
        outbox.push(b"before ");
        outbox.push_gated(1, false, BytesMut::from(&b"rows "[..]), receipt);
        outbox.push(b"after");
        assert!(settle(&mut outbox).is_pending());
        assert_eq!(outbox.ready(), b"before ");
        assert_eq!(outbox.held_bytes(), 10);
        slot.resolve(Ok(7));
        assert!(settle(&mut outbox).is_ready());
        assert_eq!(outbox.ready(), b"before rows after");
        assert_eq!(outbox.held_bytes(), 0);
        outbox.advance(17);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_revoked_window_never_leaves_though_its_record_does() {
        let mut outbox = Outbox::default();
        let (receipt, slot) = Receipt::new();
        outbox.push_gated(1, false, BytesMut::from(&b"rows"[..]), receipt);
        outbox.revoke(1);
        slot.resolve(Ok(1));
        assert!(settle(&mut outbox).is_ready());
        assert_eq!(outbox.ready(), b"");
    }

    #[test]
    fn a_failed_record_takes_the_rest_of_its_exchange_with_it() {
        let mut outbox = Outbox::default();
        let (first, first_slot) = Receipt::new();
        let (second, _second_slot) = Receipt::new();
        let (notification, ready) = (message(b'A', b"n"), message(b'Z', b"I"));
        outbox.push_gated(1, false, message(b'D', b"rows").as_slice().into(), first);
        outbox.push(&notification);
        outbox.push(&message(b'D', b"more"));
        outbox.push_gated(2, false, message(b'D', b"other").as_slice().into(), second);
        outbox.push(&ready);
        outbox.push(&message(b'T', b"next exchange"));
        first_slot.resolve(Err(Cause::Closed.into()));
        let Poll::Ready(Err(failure)) = settle(&mut outbox) else { panic!("no failure") };
        assert_eq!(failure.run, 1);
        let error = message(b'E', b"GLS-230");
        assert_eq!(outbox.replace_exchange(&error), Some(b'I'));
        assert!(settle(&mut outbox).is_ready());
        let expected = [error, notification, ready, message(b'T', b"next exchange")].concat();
        assert_eq!(outbox.ready(), expected);
        assert_eq!(outbox.held_bytes(), 0);
    }
}
