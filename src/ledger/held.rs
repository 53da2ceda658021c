//! A ledger without a disk for the fuzz targets: its records become durable, or fail, when the target says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Cause;
use super::leaf;
use super::log::Ledger;
use super::queue::{Entry, Form, Queue};

/// The other end of such a ledger.
pub(crate) struct Held(Arc<Queue>);

/// A record that waits.
pub(crate) struct Waiting(Entry);

impl Held {
    /// A ledger of this node, and its other end.
    pub(crate) fn new(node: &str) -> (Ledger, Self) {
        let queue = Arc::new(Queue::new(Duration::from_secs(3600), false));
        (Ledger::over(node, Arc::clone(&queue)), Self(queue))
    }

    /// What came since the last call, in order.
    pub(crate) fn take(&self) -> Vec<Waiting> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            let batch = self.0.take(Instant::now()).batch;
            // The queue may wait 25 ms for more before it gives the first one.
            self.0.done(batch.iter().map(|e| e.bytes).sum());
            all.extend(batch.into_iter().map(Waiting));
        }
        all
    }

    /// Fails: nothing is taken any more, or (`None`) everything again.
    pub(crate) fn fail(&self, cause: Option<Cause>) {
        self.0.set_failure(cause.map(|cause| (cause.into(), true)));
    }
}

impl Waiting {
    /// Its leaves.
    pub(crate) fn leaves(&self) -> Vec<Vec<u8>> {
        match &self.0.form {
            Form::Leaves(leaves) => leaves.iter().map(|(leaf, _)| leaf.clone()).collect(),
            Form::Record(record) => leaf::encode(record).unwrap_or_default(),
        }
    }

    /// It is durable, or it never will be.
    pub(crate) fn settle(self, durable: bool) {
        self.0.slot.resolve(if durable { Ok(0) } else { Err(Cause::Closed.into()) });
    }
}
