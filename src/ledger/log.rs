//! The ledger as the rest of the program holds it: open, append, health, close.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use super::config::{LedgerConfig, OnFailure};
use super::error::{Cause, LedgerError};
use super::keys::PrivateKey;
use super::leaf;
use super::queue::{Form, MAX_WAITING, Priority, Queue};
use super::receipt::Receipt;
use super::record::Record;
use super::recover::{Replay, recover};
use super::segment::sync_directory;
use super::writer::Writer;

/// A handle on the ledger; clones share it. Dropping the last one drains and ends the writer
/// without waiting for it; [`Ledger::close`] waits.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    node: String,
    queue: Arc<Queue>,
    flush_deadline: Duration,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Ledger {
    /// Opens the directory (creating it when absent), recovers what is stored, starts a new segment
    /// and the writer thread. Reads the whole stored log.
    ///
    /// # Errors
    /// When another process has the directory, the key is unusable or does not carry the node's
    /// name, the stored log is damaged (and `accept_damage` is not set), or a file cannot be
    /// created. A full disk is no error here: see [`Ledger::healthy`].
    pub fn open(config: LedgerConfig) -> Result<(Ledger, Replay), LedgerError> {
        let key = PrivateKey::read(&config.signing_key)?;
        if key.name() != config.node {
            let message = format!("it is named {:?}, the node is {:?}", key.name(), config.node);
            return Err(Cause::Key { message }.into());
        }
        // Records hold statement texts and patient keys: the group may read, others may not.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(&config.directory)
            .map_err(|e| LedgerError::io("create directory", &config.directory, &e))?;
        let lock = lock(&config)?;
        let (start, replay) = recover(&config, &key.public())?;
        let deadline = config.flush_deadline;
        let queue = Arc::new(Queue::new(deadline, config.on_failure == OnFailure::Shutdown));
        let (path, node) = (config.directory.clone(), config.node.clone());
        let writer = Writer::start(config, key, Arc::clone(&queue), start)?;
        sync_directory(&path)?;
        let ledger = Ledger(Arc::new(Handle { node, queue: Arc::clone(&queue), flush_deadline: deadline }));
        let ended = Ended(Arc::clone(&queue));
        spawn("ledger-writer", move || {
            let _ended = ended;
            let _lock = lock;
            writer.run();
        })?;
        spawn("ledger-watchdog", move || queue.watch())?;
        Ok((ledger, replay))
    }

    /// Hands in a record that nothing waits for: it shares the flush of the next one something does wait
    /// for, or has one of its own within 25 ms, and the writer encodes it.
    pub fn append_later(&self, record: Record, priority: Priority) {
        if let Err(error) = self.check(&record) {
            tracing::error!(%error, id = %record.id, "a record was not kept");
            return;
        }
        let bytes = record.weight();
        drop(self.0.queue.push(Form::Record(Box::new(record)), bytes, priority, false));
    }

    /// A ledger whose records wait in a queue of the caller's.
    #[cfg(any(test, fuzzing))]
    pub(super) fn over(node: &str, queue: Arc<Queue>) -> Self {
        Ledger(Arc::new(Handle { node: node.to_owned(), queue, flush_deadline: Duration::ZERO }))
    }

    /// Hands a record to the writer. Encodes and hashes on the caller's thread and never waits for
    /// the disk. Past [`MAX_WAITING`] bytes the receipt fails at once with `Overloaded`.
    pub fn append(&self, record: &Record, priority: Priority) -> Receipt {
        let hashed = self
            .check(record)
            .and_then(|()| leaf::hashed(record).map_err(|message| Cause::Encode { message }));
        match hashed {
            Ok((_, bytes)) if bytes > MAX_WAITING => {
                let message = format!("{bytes} bytes are more than one record may have");
                Receipt::failed(Cause::Encode { message }.into())
            }
            Ok((leaves, bytes)) => self.0.queue.push(Form::Leaves(leaves), bytes, priority, true),
            Err(cause) => Receipt::failed(cause.into()),
        }
    }

    fn check(&self, record: &Record) -> Result<(), Cause> {
        if record.node == self.0.node {
            return Ok(());
        }
        let message = format!("it is of node {:?}, the ledger of {:?}", record.node, self.0.node);
        Err(Cause::Encode { message })
    }

    /// Whether ordinary records are taken. Cheap (one atomic load when they are).
    ///
    /// # Errors
    /// Why not: statements are refused with GLS-230.
    pub fn healthy(&self) -> Result<(), LedgerError> {
        self.0.queue.failure().map_or(Ok(()), Err)
    }

    /// The last signed checkpoint of this process, as a C2SP note; durable before it shows here.
    pub fn checkpoint(&self) -> Option<String> {
        self.0.queue.checkpoint()
    }

    /// Takes no more records (on any clone), writes what waits, signs a last checkpoint and waits
    /// for the writer, at most two flush deadlines.
    pub fn close(self) {
        self.0.queue.close();
        if !self.0.queue.wait_closed(self.0.flush_deadline.saturating_mul(2)) {
            tracing::error!("the ledger's writer does not end: its device does not answer");
        }
    }
}

/// Tells waiting callers when the writer thread is gone, for whatever reason.
struct Ended(Arc<Queue>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.set_closed();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), LedgerError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(|e| {
        Cause::Io { operation: "start thread", path: name.to_owned(), message: e.to_string() }.into()
    })
}

/// One writer a directory, held by the writer thread for as long as it lives.
fn lock(config: &LedgerConfig) -> Result<File, LedgerError> {
    let path = config.directory.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| LedgerError::io("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(Cause::Locked { path: config.directory.display().to_string() }.into())
        }
        Err(std::fs::TryLockError::Error(e)) => Err(LedgerError::io("lock", &path, &e)),
    }
}
