//! The writer thread: takes batches from the queue, makes them durable, answers for failures and
//! signs checkpoints. The only place that writes a ledger directory.
//!
//! The loop is closed: the next flush begins as soon as the last one returned, with whatever came
//! in meanwhile; no timer delays a record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::checkpoint::Checkpoint;
use super::config::LedgerConfig;
use super::error::{Cause, LedgerError};
use super::frame::{self, Kind, Trailer};
use super::keys::PrivateKey;
use super::leaf::{self, Hashed};
use super::merkle::Tree;
use super::queue::{self, Form, Priority, Queue};
use super::receipt::Slot;
use super::record::{Body, EventIds, Record};
use super::reserve::Reserve;
use super::segment::{Header, LiveSegment, SegmentEnd, checkpoints_path, segment_path};

/// How long after a failure the writer tries again at first and at most.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// Free bytes, beyond the reserve, without which a full disk is not tried again.
const FREE_AGAIN: u64 = 64 << 10;

/// Name of the file with the complete subtrees at the last checkpoint; needed only to go on after
/// damage, so it is a convenience and not synced.
pub(crate) const FRONTIER: &str = "frontier";

/// What the writer starts from.
pub(crate) struct Start {
    pub(crate) tree: Tree,
    pub(crate) next_segment: u64,
    pub(crate) ends: Vec<SegmentEnd>,
    pub(crate) last_time_us: i64,
    pub(crate) checkpoint_size: u64,
}

/// One record that is to be written.
struct Entry {
    leaves: Vec<Hashed>,
    /// Bytes of the leaves.
    bytes: u64,
    priority: Priority,
    slot: Arc<Slot>,
}

impl Entry {
    /// A record from the queue, encoded where it is not yet. One that cannot be is answered and left out.
    fn encoded(entry: queue::Entry) -> Option<Self> {
        let queue::Entry { form, bytes, priority, slot } = entry;
        match form {
            Form::Leaves(leaves) => Some(Self { leaves, bytes, priority, slot }),
            Form::Record(record) => match leaf::hashed(&record) {
                Ok((leaves, bytes)) => Some(Self { leaves, bytes, priority, slot }),
                Err(message) => {
                    tracing::error!(%message, id = %record.id, "a record was not kept");
                    slot.resolve(Err(Cause::Encode { message }.into()));
                    None
                }
            },
        }
    }
}

pub(crate) struct Writer {
    queue: Arc<Queue>,
    config: LedgerConfig,
    key: PrivateKey,
    ids: EventIds,
    live: Option<LiveSegment>,
    next_segment: u64,
    /// Ends that the next segment's header declares.
    ends: Vec<SegmentEnd>,
    tree: Tree,
    last_time_us: i64,
    checkpoint_size: u64,
    next_checkpoint: Instant,
    reserve: Reserve,
    retry: Option<(Instant, Duration)>,
    /// The log was interfered with: nothing more is written by this process.
    ended: bool,
}

impl Writer {
    /// A writer with its first segment created. When the disk is already full it starts in the
    /// state that takes only [`Priority::Reserve`] records.
    pub(crate) fn start(
        config: LedgerConfig,
        key: PrivateKey,
        queue: Arc<Queue>,
        start: Start,
    ) -> Result<Self, LedgerError> {
        let unsigned = start.tree.size() > start.checkpoint_size;
        let mut writer = Self {
            queue,
            ids: EventIds::default(),
            key,
            live: None,
            next_segment: start.next_segment,
            ends: start.ends,
            tree: start.tree,
            last_time_us: start.last_time_us,
            checkpoint_size: start.checkpoint_size,
            // What the process before left unsigned is signed at once.
            next_checkpoint: if unsigned { Instant::now() } else { Instant::now() + config.checkpoint_every },
            reserve: Reserve::new(&config.directory, config.reserve),
            retry: None,
            ended: false,
            config,
        };
        match writer.reserve.acquire().and_then(|()| writer.new_segment()) {
            Ok(()) => Ok(writer),
            Err(error) if matches!(error.cause, Cause::DiskFull { .. }) => {
                writer.fail(error);
                Ok(writer)
            }
            Err(error) => Err(error),
        }
    }

    /// The thread's whole life.
    pub(crate) fn run(mut self) {
        loop {
            let until = self.retry.map_or(self.next_checkpoint, |(at, _)| at.min(self.next_checkpoint));
            let work = self.queue.take(until);
            let bytes = work.batch.iter().map(|e| e.bytes).sum();
            let batch: Vec<Entry> = work.batch.into_iter().filter_map(Entry::encoded).collect();
            if !batch.is_empty() {
                self.write(batch);
            }
            let closing = work.closing && self.queue.is_empty();
            let now = Instant::now();
            if self.retry.is_some_and(|(at, _)| now >= at) {
                self.try_again();
            }
            if closing || now >= self.next_checkpoint {
                self.checkpoint_tick(closing);
                self.next_checkpoint = Instant::now() + self.config.checkpoint_every;
            }
            self.queue.done(bytes);
            if closing {
                return;
            }
        }
    }

    fn write(&mut self, batch: Vec<Entry>) {
        let refused = self.queue.failure();
        match (refused, self.ended) {
            (Some(error), true) => resolve(&batch, &Err(error)),
            (Some(error), false) if !matches!(error.cause, Cause::Hung { .. }) => {
                self.write_reserve(batch, &error)
            }
            _ => {
                if let Err(error) = self.roll_if_full(&batch).and_then(|()| self.append(&batch)) {
                    self.fail_over(batch, error);
                }
            }
        }
    }

    /// Writes and flushes one batch and answers its receipts.
    fn append(&mut self, batch: &[Entry]) -> Result<(), LedgerError> {
        if self.live.is_none() {
            self.new_segment()?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let mut tree = self.tree.clone();
        let mut bytes = Vec::with_capacity(
            batch.iter().map(|e| e.bytes as usize + 64 * e.leaves.len()).sum::<usize>() + 128,
        );
        let mut indices = Vec::with_capacity(batch.len());
        for entry in batch {
            indices.push(tree.size());
            for (leaf, hash) in &entry.leaves {
                frame::encode(&mut bytes, Kind::Leaf, tree.size(), leaf);
                tree.push(*hash);
            }
        }
        let time_us = Timestamp::now().as_microsecond().max(self.last_time_us);
        let trailer = Trailer { first: self.tree.size(), next: tree.size(), time_us, root: tree.root() };
        trailer.encode(&mut bytes);
        let Some(live) = self.live.as_mut() else { return Err(Cause::Closed.into()) };
        live.allocate_ahead(bytes.len() as u64, self.config.segment_bytes);
        live.append(&bytes)?;
        self.tree = tree;
        self.last_time_us = time_us;
        for (entry, index) in batch.iter().zip(indices) {
            entry.slot.resolve(Ok(index));
        }
        Ok(())
    }

    /// Starts the next segment when this one has its size; its last leaf gets signed first.
    fn roll_if_full(&mut self, batch: &[Entry]) -> Result<(), LedgerError> {
        let coming: u64 = batch.iter().map(|e| e.bytes).sum();
        let full = self
            .live
            .as_ref()
            .is_some_and(|l| l.written() > 4096 && l.written() + coming > self.config.segment_bytes);
        if !full {
            return Ok(());
        }
        self.sign_checkpoint()?;
        self.retire();
        self.new_segment()
    }

    /// The live segment is not written any more; the next header says where it ends.
    fn retire(&mut self) {
        if let Some(live) = self.live.take() {
            self.ends.push(SegmentEnd { segment: live.number(), bytes: live.written() });
        }
    }

    fn new_segment(&mut self) -> Result<(), LedgerError> {
        let number = self.next_segment;
        let header = Header::new(&self.config.node, number, &self.tree, self.ends.clone());
        match LiveSegment::create(&self.config.directory, &header) {
            Ok(live) => {
                self.next_segment = number + 1;
                self.ends.clear();
                self.live = Some(live);
                Ok(())
            }
            Err(error) => {
                // Nothing was ever acknowledged in it: the number can be used again if it is gone.
                let paths = [
                    segment_path(&self.config.directory, number),
                    checkpoints_path(&self.config.directory, number),
                ];
                for path in &paths {
                    let _ = std::fs::remove_file(path);
                }
                if paths.iter().any(|p| p.exists()) {
                    self.ends.push(SegmentEnd { segment: number, bytes: 0 });
                    self.next_segment = number + 1;
                }
                Err(error)
            }
        }
    }

    /// A file failed: it is never written again. What it did not acknowledge goes to a new segment.
    fn fail_over(&mut self, batch: Vec<Entry>, error: LedgerError) {
        tracing::error!(error = %error, "the ledger's file failed; going to a new segment");
        if let Cause::Replaced { .. } = error.cause {
            self.ended = true;
            self.live = None;
            let error = self.fail(error);
            return resolve(&batch, &Err(error));
        }
        self.retire();
        if let Cause::DiskFull { .. } = error.cause {
            let error = self.fail(error);
            return self.write_reserve(batch, &error);
        }
        if let Err(second) = self.append(&batch) {
            self.retire();
            let error = self.fail(second);
            resolve(&batch, &Err(error));
        }
    }

    /// While the disk is full: ordinary records fail, the others use the reserve.
    fn write_reserve(&mut self, batch: Vec<Entry>, error: &LedgerError) {
        let (reserved, ordinary): (Vec<Entry>, Vec<Entry>) =
            batch.into_iter().partition(|e| e.priority == Priority::Reserve);
        resolve(&ordinary, &Err(error.clone()));
        if reserved.is_empty() {
            return;
        }
        if !matches!(error.cause, Cause::DiskFull { .. }) {
            return resolve(&reserved, &Err(error.clone()));
        }
        if self.live.is_none() {
            self.reserve.release();
        }
        let mut outcome = self.append(&reserved);
        if outcome.is_err() {
            self.retire();
            if self.reserve.is_held() {
                self.reserve.release();
                outcome = self.append(&reserved);
            }
        }
        if let Err(second) = outcome {
            self.retire();
            let error = self.fail(second);
            resolve(&reserved, &Err(error));
        }
    }

    /// Records the failure for callers and plans the next try.
    fn fail(&mut self, error: LedgerError) -> LedgerError {
        let reserve_open = matches!(error.cause, Cause::DiskFull { .. });
        tracing::error!(error = %error, reserve_open, "the ledger takes no ordinary record");
        let wait = self.retry.map_or(RETRY_FIRST, |(_, w)| (w * 2).min(RETRY_LONGEST));
        self.retry = (!self.ended).then(|| (Instant::now() + wait, wait));
        let carried = self.queue.set_failure(Some((error.clone(), reserve_open)));
        carried.unwrap_or(error)
    }

    /// After a failure: healthy again once the reserve is held and a segment can be written.
    fn try_again(&mut self) {
        let Some((_, wait)) = self.retry else { return };
        let wait = (wait * 2).min(RETRY_LONGEST);
        self.retry = Some((Instant::now() + wait, wait));
        let need = FREE_AGAIN + self.reserve.needed();
        let enough = rustix::fs::statvfs(&self.config.directory)
            .is_ok_and(|s| s.f_bavail.saturating_mul(s.f_frsize) >= need);
        if !enough || self.reserve.acquire().is_err() {
            return;
        }
        if self.live.is_none() && self.new_segment().is_err() {
            return;
        }
        self.retry = None;
        self.queue.set_failure(None);
        tracing::info!("the ledger takes records again");
    }

    /// A checkpoint is due. An idle log gets a heartbeat first, so that its age can be told.
    fn checkpoint_tick(&mut self, closing: bool) {
        if self.ended || self.live.is_none() {
            return;
        }
        if self.tree.size() == self.checkpoint_size {
            if closing || self.queue.failure().is_some() {
                return;
            }
            let now = Timestamp::now();
            let record = Record::new(self.ids.next(now), now, self.config.node.as_str(), Body::Heartbeat {});
            if let Ok((leaves, bytes)) = leaf::hashed(&record) {
                let slot = Arc::new(Slot::default());
                self.write(vec![Entry { leaves, bytes, priority: Priority::Ordinary, slot }]);
            }
        }
        if let Err(error) = self.sign_checkpoint() {
            self.fail_over(Vec::new(), error);
        }
    }

    /// Signs the present tree. The note is durable before anyone can see it.
    fn sign_checkpoint(&mut self) -> Result<(), LedgerError> {
        let Some(live) = self.live.as_mut() else { return Ok(()) };
        if self.tree.size() == self.checkpoint_size {
            return Ok(());
        }
        let note = Checkpoint::of(&self.config.node, &self.tree).sign(&self.key);
        live.append_checkpoint(&note)?;
        self.checkpoint_size = self.tree.size();
        self.queue.set_checkpoint(note);
        self.save_frontier();
        Ok(())
    }

    fn save_frontier(&self) {
        let header = Header::new(&self.config.node, 0, &self.tree, Vec::new());
        let Ok(text) = serde_json::to_vec(&header) else { return };
        let path = self.config.directory.join(FRONTIER);
        let new = path.with_extension("new");
        let saved = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        if let Err(e) = saved {
            tracing::debug!(error = %e, "frontier not saved");
        }
    }
}

fn resolve(batch: &[Entry], result: &Result<u64, LedgerError>) {
    for entry in batch {
        entry.slot.resolve(result.clone());
    }
}
