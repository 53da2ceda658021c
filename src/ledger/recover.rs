//! Recovery: reads a ledger directory back at start, checks it, and says where writing goes on.
//!
//! A torn tail after the last trailer was never acknowledged and is left behind. Anything else
//! that is not as written is damage, and refused unless the operator accepts it. Nothing is changed
//! on disk here.

use std::fs::File;
use std::path::Path;

use super::checkpoint::{Checkpoint, entries};
use super::config::LedgerConfig;
use super::error::LedgerError;
use super::keys::PublicKey;
use super::leaf::Assembler;
use super::merkle::{Tree, leaf_hash};
use super::record::{Body, Record};
use super::segment::{self, Header, SegmentEnd, checkpoints_path, segment_path};
use super::walk::{Batch, Event, Walk};
use super::writer::{FRONTIER, Start};

/// What opening a ledger found.
#[derive(Debug, Default)]
pub struct Replay {
    /// Every `glass` record, in order, for the fold that restores break-glass sessions.
    pub glass: Vec<Record>,
    /// Leaves stored so far.
    pub size: u64,
    /// Damage that was accepted, in words; to be recorded by whoever starts the process.
    pub damage: Vec<String>,
    /// Bytes of torn tails that were left behind (never acknowledged).
    pub torn_bytes: u64,
}

/// Reads the directory and decides where writing goes on.
pub(crate) fn recover(config: &LedgerConfig, key: &PublicKey) -> Result<(Start, Replay), LedgerError> {
    let directory = &config.directory;
    let checkpoint = last_checkpoint(directory, key)?;
    let signed = checkpoint.as_ref().map_or(0, |c| c.size);
    let frontier = checkpoint.as_ref().and_then(|c| frontier(directory, c));
    let mut fold = Fold {
        tree: Some(Tree::default()),
        before: Tree::default(),
        frontier,
        checkpoint,
        ends: Vec::new(),
        last_time_us: i64::MIN,
        assembler: Assembler::default(),
        replay: Replay::default(),
    };
    for event in Walk::new(directory)? {
        fold.event(event);
    }
    let tree = match fold.tree.take() {
        Some(tree) if tree.size() >= signed => Some(tree),
        Some(tree) => {
            let message = format!(
                "the log ends after {} leaves, below the last signed checkpoint of {signed}",
                tree.size()
            );
            fold.replay.damage.push(message);
            fold.frontier.clone()
        }
        None if fold.before.size() >= signed => Some(fold.before.clone()),
        None => fold.frontier.clone(),
    };
    let mut replay = fold.replay;
    if !replay.damage.is_empty() && !config.accept_damage {
        return Err(LedgerError::damaged(directory.display().to_string(), replay.damage.join("; ")));
    }
    let Some(tree) = tree else {
        let message = format!(
            "{}; without the file {FRONTIER:?} of the last checkpoint the log cannot go on: keep this directory and start another under a new node name",
            replay.damage.join("; ")
        );
        return Err(LedgerError::damaged(directory.display().to_string(), message));
    };
    replay.size = tree.size();
    // A crash while a segment is created may leave either of its two files.
    let mut numbers = segment::numbers(directory, "segment")?;
    numbers.extend(segment::numbers(directory, "checkpoints")?);
    numbers.sort_unstable();
    numbers.dedup();
    let last = numbers.last().copied().unwrap_or(0);
    let ends = undeclared_ends(&numbers, &fold.ends, directory)?;
    let start = Start {
        tree,
        next_segment: last + 1,
        ends,
        last_time_us: fold.last_time_us,
        checkpoint_size: signed,
    };
    Ok((start, replay))
}

struct Fold {
    /// The tree so far; `None` from damage on until something restores it.
    tree: Option<Tree>,
    /// The tree before the latest damage.
    before: Tree,
    frontier: Option<Tree>,
    checkpoint: Option<Checkpoint>,
    /// End of what counts, by segment, and whether a later header declares it.
    ends: Vec<(SegmentEnd, bool)>,
    last_time_us: i64,
    assembler: Assembler,
    replay: Replay,
}

impl Fold {
    fn event(&mut self, event: Event) {
        match event {
            Event::Segment { place, header, end } => self.segment(&header, end, place.segment),
            Event::Batch(batch) => self.batch(batch),
            Event::Damage { place, message } => self.damage(format!("{place}: {message}")),
            Event::Tail { bytes, .. } => self.replay.torn_bytes += bytes,
            Event::Abandoned { .. } => {}
        }
    }

    fn damage(&mut self, message: String) {
        if let Some(tree) = self.tree.take() {
            self.before = tree;
        }
        self.assembler.reset();
        self.replay.damage.push(message);
    }

    fn segment(&mut self, header: &Header, end: u64, number: u64) {
        for declared in &header.ends {
            for (known, is_declared) in &mut self.ends {
                *is_declared |= known.segment == declared.segment;
            }
        }
        self.ends.push((SegmentEnd { segment: number, bytes: end }, false));
        let claimed = header.tree();
        match (&self.tree, claimed) {
            (Some(tree), Some(claimed)) if *tree == claimed => {}
            (None, Some(claimed)) => self.tree = Some(claimed),
            _ => self.damage(format!("segment {number:08}: its header does not continue the log before it")),
        }
    }

    fn batch(&mut self, batch: Batch) {
        let place = batch.place;
        if self.tree.is_none() && batch.whole {
            self.tree = self.frontier.clone().filter(|f| f.size() == batch.trailer.first);
        }
        if let Some(tree) = &mut self.tree {
            for leaf in &batch.leaves {
                tree.push(leaf_hash(&leaf.payload));
            }
            let root = tree.root();
            let signed = self.checkpoint.as_ref().filter(|c| c.size == tree.size());
            if !batch.whole || root != batch.trailer.root {
                self.damage(format!("{place}: the batch's leaves do not have the root its trailer states"));
            } else if signed.is_some_and(|c| c.root != root) {
                self.damage(format!("{place}: the leaves up to here do not have the root that was signed"));
            }
        }
        if let Some((end, _)) = self.ends.last_mut().filter(|(e, _)| e.segment == place.segment) {
            end.bytes = batch.end;
        }
        self.last_time_us = self.last_time_us.max(batch.trailer.time_us);
        for leaf in batch.leaves {
            match self.assembler.push(&leaf.payload) {
                Ok(Some(text)) => self.record(&text),
                Ok(None) => {}
                Err(message) => self.damage(format!("{}: {message}", leaf.place)),
            }
        }
    }

    /// Keeps the glass records; the others are not even parsed.
    fn record(&mut self, text: &[u8]) {
        let needle = b"\"kind\":\"glass\"";
        if !text.windows(needle.len()).any(|w| w == needle) {
            return;
        }
        match serde_json::from_slice::<Record>(text) {
            Ok(record) if matches!(record.body, Body::Glass { .. }) => self.replay.glass.push(record),
            Ok(_) => {}
            Err(e) => self.damage(format!("a break-glass record cannot be read: {e}")),
        }
    }
}

/// The ends that the next segment must declare, made durable first: every segment from the last
/// readable one on that no header speaks of.
fn undeclared_ends(
    numbers: &[u64],
    known: &[(SegmentEnd, bool)],
    directory: &Path,
) -> Result<Vec<SegmentEnd>, LedgerError> {
    let last_readable = known.last().map_or(0, |(e, _)| e.segment);
    let mut ends: Vec<SegmentEnd> = known.iter().filter(|(_, declared)| !declared).map(|(e, _)| *e).collect();
    ends.extend(numbers.iter().filter(|n| **n > last_readable).map(|n| SegmentEnd { segment: *n, bytes: 0 }));
    for end in &ends {
        let path = segment_path(directory, end.segment);
        let synced = if end.bytes > 0 { File::open(&path).and_then(|f| f.sync_all()) } else { Ok(()) };
        synced.map_err(|e| LedgerError::io("fsync", &path, &e))?;
    }
    Ok(ends)
}

/// The last complete checkpoint in the directory; it must be signed by our key.
fn last_checkpoint(directory: &Path, key: &PublicKey) -> Result<Option<Checkpoint>, LedgerError> {
    for number in segment::numbers(directory, "checkpoints")?.into_iter().rev() {
        let path = checkpoints_path(directory, number);
        let bytes = std::fs::read(&path).map_err(|e| LedgerError::io("read", &path, &e))?;
        let text = String::from_utf8_lossy(&bytes);
        let Some(note) = entries(&text).into_iter().filter_map(|e| e.note).next_back() else { continue };
        return Checkpoint::verify(note, key)
            .map(Some)
            .map_err(|e| LedgerError::damaged(path.display().to_string(), e.to_string()));
    }
    Ok(None)
}

/// The complete subtrees at the checkpoint, if the file that keeps them fits what was signed.
fn frontier(directory: &Path, checkpoint: &Checkpoint) -> Option<Tree> {
    let text = std::fs::read(directory.join(FRONTIER)).ok()?;
    let header: Header = serde_json::from_slice(&text).ok()?;
    header.tree().filter(|t| t.size() == checkpoint.size && t.root() == checkpoint.root)
}
