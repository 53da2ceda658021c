//! The meeting point of callers, the writer thread and the watchdog: what waits, what is being
//! flushed, and whether the ledger is healthy. No file is touched here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Cause, LedgerError};
use super::leaf::Hashed;
use super::receipt::{Receipt, Slot};
use super::record::Record;

/// Whether a record may use the space kept for emergencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Ordinary work: refused first when the disk fills or the queue is full.
    Ordinary,
    /// Break-glass and denials: may use the reserve.
    Reserve,
}

/// Most bytes that wait or are being flushed, ordinary records; a caller past it gets a receipt
/// that has failed ([`Cause::Overloaded`]) rather than one that waits, so that a stuck disk shows.
pub const MAX_WAITING: u64 = 64 << 20;
/// The same for records of [`Priority::Reserve`], on top.
pub const MAX_WAITING_RESERVE: u64 = 16 << 20;
/// A record that nobody waits for is flushed with the next one somebody does, or after this long.
const LATER: Duration = Duration::from_millis(25);
/// ... or when this many bytes wait.
const LATER_BYTES: u64 = 1 << 20;
/// The writer closes a batch at this many leaf bytes.
const BATCH_BYTES: u64 = 4 << 20;

/// A record as it was handed in.
#[derive(Debug)]
pub(crate) enum Form {
    /// Encoded and hashed by who waits for it: many do that at once.
    Leaves(Vec<Hashed>),
    /// Left to the writer, which does a batch of them at a time: nobody waits for it.
    Record(Box<Record>),
}

/// One record on its way.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) form: Form,
    /// Bytes of its leaves, or about as many, counted while it waits.
    pub(crate) bytes: u64,
    pub(crate) priority: Priority,
    pub(crate) slot: Arc<Slot>,
}

/// Why the ledger takes no ordinary record.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) error: LedgerError,
    /// True while records of [`Priority::Reserve`] are still taken.
    pub(crate) reserve_open: bool,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Entry>,
    waiting: u64,
    /// Somebody waits for one of the queued records.
    prompt: bool,
    /// When the first of the queued records came, if nobody waits for any.
    later_since: Option<Instant>,
    in_flight: Vec<Arc<Slot>>,
    flush_started: Option<Instant>,
    failure: Option<Failure>,
    closing: bool,
    closed: bool,
    checkpoint: Option<String>,
}

/// Shared by everyone.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    ended: Condvar,
    unhealthy: AtomicBool,
    deadline: Duration,
    shutdown_on_failure: bool,
}

/// What the writer is to do next.
pub(crate) struct Work {
    pub(crate) batch: Vec<Entry>,
    pub(crate) closing: bool,
}

impl Queue {
    pub(crate) fn new(deadline: Duration, shutdown_on_failure: bool) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
            unhealthy: AtomicBool::new(false),
            deadline,
            shutdown_on_failure,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record in, or refuses it. `prompt`: somebody waits for it, so it is flushed at once.
    pub(crate) fn push(&self, form: Form, bytes: u64, priority: Priority, prompt: bool) -> Receipt {
        let mut state = self.lock();
        if state.closing || state.closed {
            return Receipt::failed(Cause::Closed.into());
        }
        let reserve = priority == Priority::Reserve;
        if let Some(failure) = state.failure.as_ref().filter(|f| !(reserve && f.reserve_open)) {
            return Receipt::failed(failure.error.clone());
        }
        let bound = MAX_WAITING + if reserve { MAX_WAITING_RESERVE } else { 0 };
        // A record that alone is larger than the bound still passes an empty queue.
        if state.waiting > 0 && state.waiting + bytes > bound {
            return Receipt::failed(Cause::Overloaded { bytes: state.waiting }.into());
        }
        let (receipt, slot) = Receipt::new();
        state.waiting += bytes;
        state.queue.push_back(Entry { form, bytes, priority, slot });
        let wake = if prompt || state.waiting >= LATER_BYTES {
            !std::mem::replace(&mut state.prompt, true)
        } else if state.prompt || state.later_since.is_some() {
            false
        } else {
            state.later_since = Some(Instant::now());
            true
        };
        drop(state);
        if wake {
            self.work.notify_one();
        }
        receipt
    }

    /// For the writer: the next batch, or an empty one at `until` or when closing.
    pub(crate) fn take(&self, until: Instant) -> Work {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let due = state.later_since.map_or(until, |since| until.min(since + LATER));
            if state.prompt || state.closing || now >= due {
                break;
            }
            state = self.work.wait_timeout(state, due - now).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.prompt = false;
        state.later_since = None;
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES {
            let Some(entry) = state.queue.pop_front() else { break };
            bytes += entry.bytes;
            batch.push(entry);
        }
        // What did not fit this batch goes with the next, at once.
        state.prompt = !state.queue.is_empty();
        state.in_flight = batch.iter().map(|e| Arc::clone(&e.slot)).collect();
        state.flush_started = Some(Instant::now());
        Work { batch, closing: state.closing }
    }

    /// For the writer: what [`Queue::take`] gave (`bytes` of leaves) is dealt with.
    pub(crate) fn done(&self, bytes: u64) {
        let mut state = self.lock();
        state.waiting = state.waiting.saturating_sub(bytes);
        state.in_flight.clear();
        state.flush_started = None;
        if matches!(&state.failure, Some(f) if matches!(f.error.cause, Cause::Hung { .. })) {
            state.failure = None;
            self.unhealthy.store(false, Ordering::Release);
        }
    }

    /// For the writer: nothing is queued any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// Sets or clears the failure. Returns the error as receipts shall carry it.
    pub(crate) fn set_failure(&self, failure: Option<(LedgerError, bool)>) -> Option<LedgerError> {
        let mut state = self.lock();
        self.unhealthy.store(failure.is_some(), Ordering::Release);
        state.failure = failure.map(|(mut error, reserve_open)| {
            error.shutdown = self.shutdown_on_failure;
            Failure { error, reserve_open }
        });
        state.failure.as_ref().map(|f| f.error.clone())
    }

    /// Why no ordinary record is taken now, if so.
    pub(crate) fn failure(&self) -> Option<LedgerError> {
        if !self.unhealthy.load(Ordering::Acquire) {
            return None;
        }
        self.lock().failure.as_ref().map(|f| f.error.clone())
    }

    pub(crate) fn set_checkpoint(&self, note: String) {
        self.lock().checkpoint = Some(note);
    }

    pub(crate) fn checkpoint(&self) -> Option<String> {
        self.lock().checkpoint.clone()
    }

    /// Asks the writer to drain and end.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_all();
    }

    /// Waits for the writer's end, `longest` at most. True when it ended.
    pub(crate) fn wait_closed(&self, longest: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .ended
            .wait_timeout_while(state, longest, |s| !s.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.closed
    }

    /// The writer is gone: whatever still waits fails.
    pub(crate) fn set_closed(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.unhealthy.store(true, Ordering::Release);
        let error: LedgerError = Cause::Closed.into();
        state.failure.get_or_insert(Failure { error: error.clone(), reserve_open: false });
        fail_all(&mut state, &error);
        drop(state);
        self.ended.notify_all();
    }

    /// The watchdog: fails what waits when a flush does not return in time. Ends with the writer.
    pub(crate) fn watch(&self) {
        let tick = (self.deadline / 4).max(Duration::from_millis(5));
        let mut state = self.lock();
        while !state.closed {
            state = self.ended.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner).0;
            if state.flush_started.is_some_and(|t| t.elapsed() > self.deadline) {
                let millis = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX);
                let error = LedgerError { cause: Cause::Hung { millis }, shutdown: self.shutdown_on_failure };
                if state.failure.is_none() {
                    self.unhealthy.store(true, Ordering::Release);
                    state.failure = Some(Failure { error: error.clone(), reserve_open: false });
                }
                fail_all(&mut state, &error);
            }
        }
    }
}

fn fail_all(state: &mut State, error: &LedgerError) {
    for slot in state.in_flight.drain(..) {
        slot.resolve(Err(error.clone()));
    }
    while let Some(entry) = state.queue.pop_front() {
        state.waiting = state.waiting.saturating_sub(entry.bytes);
        entry.slot.resolve(Err(error.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &Queue, bytes: usize, priority: Priority) -> Receipt {
        queue.push(Form::Leaves(vec![(vec![b'x'; bytes], [0; 32])]), bytes as u64, priority, true)
    }

    #[test]
    fn a_flush_that_hangs_fails_what_waits_and_ends_when_it_returns() {
        let queue = Arc::new(Queue::new(Duration::from_millis(40), true));
        let watched = Arc::clone(&queue);
        let watchdog = std::thread::spawn(move || watched.watch());
        let flushing = push(&queue, 10, Priority::Ordinary);
        let work = queue.take(Instant::now());
        let waiting = push(&queue, 10, Priority::Reserve);
        for receipt in [flushing, waiting] {
            let error = receipt.wait().unwrap_err();
            assert!(matches!(error.cause, Cause::Hung { millis: 40 }) && error.shutdown, "{error:?}");
        }
        assert!(queue.failure().is_some());
        let refused = push(&queue, 10, Priority::Reserve).try_get();
        assert!(matches!(refused, Some(Err(_))), "taken by a device that hangs");
        // The device answers after all: the record stays failed for its caller, the ledger is well.
        work.batch[0].slot.resolve(Ok(0));
        queue.done(10);
        assert_eq!(queue.failure(), None);
        assert_eq!(push(&queue, 10, Priority::Ordinary).try_get(), None);
        queue.set_closed();
        watchdog.join().unwrap();
    }

    #[test]
    fn what_waits_is_bounded_and_emergencies_have_room_of_their_own() {
        let queue = Queue::new(Duration::from_secs(9), false);
        let half = MAX_WAITING as usize / 2;
        let overloaded =
            |r: &Receipt| matches!(r.try_get(), Some(Err(e)) if matches!(e.cause, Cause::Overloaded { .. }));
        assert!(!overloaded(&push(&queue, half, Priority::Ordinary)));
        assert!(!overloaded(&push(&queue, half, Priority::Ordinary)));
        assert!(overloaded(&push(&queue, 1, Priority::Ordinary)));
        assert!(!overloaded(&push(&queue, 1, Priority::Reserve)));
        let work = queue.take(Instant::now());
        queue.done(work.batch.iter().map(|e| e.bytes).sum());
        assert!(!overloaded(&push(&queue, 1, Priority::Ordinary)), "room again");
    }

    #[test]
    fn a_writer_that_is_gone_leaves_nobody_waiting() {
        let queue = Queue::new(Duration::from_secs(9), false);
        let receipt = push(&queue, 1, Priority::Ordinary);
        queue.set_closed();
        assert_eq!(receipt.wait().unwrap_err().cause, Cause::Closed);
        assert!(queue.failure().is_some());
    }
}
