//! What a caller holds while its record is on the way to the disk. No I/O here.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::error::LedgerError;

/// The result of one append, shared between caller and writer.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<SlotState>);

#[derive(Debug, Default)]
struct SlotState {
    result: Option<Result<u64, LedgerError>>,
    waker: Option<Waker>,
}

impl Slot {
    /// Sets the result unless there is one already, and wakes the caller.
    pub(crate) fn resolve(&self, result: Result<u64, LedgerError>) {
        let waker = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.result.is_some() {
                return;
            }
            state.result = Some(result);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Resolves to the index of the record's first leaf once the record is durable, or to why it is
/// not. Dropping it does not take the record back.
#[derive(Debug)]
#[must_use = "a record is durable only when its receipt says so"]
pub struct Receipt(Arc<Slot>);

impl Receipt {
    pub(crate) fn new() -> (Self, Arc<Slot>) {
        let slot = Arc::new(Slot::default());
        (Self(Arc::clone(&slot)), slot)
    }

    pub(crate) fn failed(error: LedgerError) -> Self {
        let (receipt, slot) = Self::new();
        slot.resolve(Err(error));
        receipt
    }

    /// The result, if there is one by now. Never blocks on the disk.
    pub fn try_get(&self) -> Option<Result<u64, LedgerError>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).result.clone()
    }

    /// Blocks the calling thread until there is a result; not for async code.
    ///
    /// # Errors
    /// Why the record is not durable.
    pub fn wait(mut self) -> Result<u64, LedgerError> {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self).poll(&mut context) {
                Poll::Ready(result) => return result,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

impl Future for Receipt {
    type Output = Result<u64, LedgerError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.result {
            Some(result) => Poll::Ready(result.clone()),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
