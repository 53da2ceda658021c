//! The verifier: proves a ledger directory, or copies of it, with nothing but a public key.
//!
//! Every leaf is hashed again from its stored bytes; every trailer's and every checkpoint's root
//! must be the root of exactly those leaves. What lies above the last signed checkpoint is
//! consistent but not yet proven, and the result says where that begins. A log cut back together
//! with its checkpoints can be told only from a checkpoint kept elsewhere: pass it as `known`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, entries, is_torn_note};
use super::error::LedgerError;
use super::keys::PublicKey;
use super::leaf::Assembler;
use super::merkle::{Tree, leaf_hash};
use super::segment::{self, Header, checkpoints_path};
use super::walk::{Batch, Event, Place, Walk};

/// A record's time may differ from its batch's by this much before it is remarked on.
const CLOCK_SLACK_US: i64 = 60_000_000;
/// Most findings and most remarks that are kept; the rest is counted.
const MOST_LISTED: usize = 200;

/// Something wrong, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// Bytes from its start.
    pub offset: u64,
    /// The leaf concerned, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// What.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, offset {}", self.file, self.offset)?;
        if let Some(leaf) = self.leaf {
            write!(f, ", leaf {leaf}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What the verifier found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Name of the key: the log's origin.
    pub origin: String,
    /// True when nothing is wrong.
    pub ok: bool,
    /// Segments read.
    pub segments: u64,
    /// Leaves read.
    pub leaves: u64,
    /// Records read.
    pub records: u64,
    /// Leaves proven by a signed checkpoint: leaf 0 to `proven` - 1. Zero when nothing is proven.
    pub proven: u64,
    /// Event id of the last record that is proven.
    pub proven_to_record: Option<String>,
    /// Time of that record, as it states it.
    pub proven_to_time: Option<String>,
    /// Root at `proven`, lower-case hex.
    pub root: String,
    /// Checkpoints whose signature and root hold.
    pub checkpoints: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub findings_not_listed: u64,
    /// What is worth knowing: torn tails, leaves not signed yet, clocks.
    pub remarks: Vec<Finding>,
    /// Remarks beyond those listed.
    pub remarks_not_listed: u64,
}

/// Verifies `directory` with `key`. `known` are checkpoint notes kept elsewhere. `progress` is
/// called now and then with bytes read and bytes in all.
///
/// # Errors
/// When the directory cannot be read at all. What is wrong in it is in the result.
pub fn verify(
    directory: &Path,
    key: &PublicKey,
    known: &[String],
    mut progress: impl FnMut(u64, u64),
) -> Result<Verification, LedgerError> {
    // First the checkpoints' lengths, then the segments': what a running proxy signs, it stored before.
    let notes = checkpoint_files(directory)?;
    let walk = Walk::new(directory)?;
    let total = walk.remaining();
    let mut audit = Audit::new(directory, key, notes);
    audit.known(known);
    audit.strangers(directory)?;
    audit.at_size(Place { segment: 0, offset: 0, leaf: None });
    let mut walk = walk;
    let mut reported = 0;
    while let Some(event) = walk.next() {
        audit.event(event);
        let done = total.saturating_sub(walk.remaining());
        if done - reported >= 64 << 20 {
            reported = done;
            progress(done, total);
        }
    }
    Ok(audit.finish())
}

/// Checkpoints files with their lengths now.
fn checkpoint_files(directory: &Path) -> Result<VecDeque<(u64, u64)>, LedgerError> {
    segment::numbers(directory, "checkpoints")?
        .into_iter()
        .map(|n| {
            let path = checkpoints_path(directory, n);
            let length = std::fs::metadata(&path).map_err(|e| LedgerError::io("stat", &path, &e))?.len();
            Ok((n, length))
        })
        .collect()
}

/// A checkpoint that waits for the tree to reach its size.
struct Waiting {
    checkpoint: Checkpoint,
    file: String,
    offset: u64,
}

struct Audit<'a> {
    directory: &'a Path,
    key: &'a PublicKey,
    notes: VecDeque<(u64, u64)>,
    /// Checkpoints not reached yet, by size.
    waiting: BTreeMap<u64, Vec<Waiting>>,
    last_size: u64,
    /// `None` from damage on until a segment header restores it.
    tree: Option<Tree>,
    /// True when the tree was restored from a header and no signature has confirmed it since.
    restored: bool,
    /// True once anything before was damaged: a later checkpoint does not prove the whole prefix.
    broken: bool,
    last_time_us: i64,
    assembler: Assembler,
    last_record: Option<(String, String)>,
    /// The present segment has no checkpoints file: it is created with the segment, so it was removed.
    notes_missing: bool,
    /// Where what counts ends.
    end: Place,
    result: Verification,
}

/// The part of a record that the verifier looks at.
#[derive(Deserialize)]
struct Glance {
    v: u32,
    id: String,
    time: Timestamp,
    node: String,
    kind: String,
}

impl<'a> Audit<'a> {
    fn new(directory: &'a Path, key: &'a PublicKey, notes: VecDeque<(u64, u64)>) -> Self {
        Self {
            directory,
            key,
            notes,
            waiting: BTreeMap::new(),
            last_size: 0,
            tree: Some(Tree::default()),
            restored: false,
            broken: false,
            last_time_us: i64::MIN,
            assembler: Assembler::default(),
            last_record: None,
            notes_missing: false,
            end: Place { segment: 0, offset: 0, leaf: None },
            result: Verification { origin: key.name().to_owned(), ..Verification::default() },
        }
    }

    fn finding(&mut self, file: String, offset: u64, leaf: Option<u64>, message: String) {
        self.broken = true;
        if self.result.findings.len() < MOST_LISTED {
            self.result.findings.push(Finding { file, offset, leaf, message });
        } else {
            self.result.findings_not_listed += 1;
        }
    }

    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.finding(segment_name(place.segment), place.offset, place.leaf, message.into());
    }

    fn remark(&mut self, file: String, offset: u64, message: String) {
        if self.result.remarks.len() < MOST_LISTED {
            self.result.remarks.push(Finding { file, offset, leaf: None, message });
        } else {
            self.result.remarks_not_listed += 1;
        }
    }

    /// Checkpoints kept elsewhere.
    fn known(&mut self, notes: &[String]) {
        for (i, note) in notes.iter().enumerate() {
            let file = format!("known checkpoint {}", i + 1);
            match Checkpoint::verify(note, self.key) {
                Ok(checkpoint) => {
                    let waiting = Waiting { file, offset: 0, checkpoint };
                    self.waiting.entry(waiting.checkpoint.size).or_default().push(waiting);
                }
                Err(e) => self.finding(file, 0, None, e.to_string()),
            }
        }
    }

    /// Files that no ledger writes.
    fn strangers(&mut self, directory: &Path) -> Result<(), LedgerError> {
        let at = |e: std::io::Error| LedgerError::io("read directory", directory, &e);
        let mut ours: BTreeSet<String> =
            ["lock", "reserve", "frontier", "frontier.new"].map(str::to_owned).into();
        for extension in ["segment", "checkpoints"] {
            ours.extend(
                segment::numbers(directory, extension)?.into_iter().map(|n| format!("{n:08}.{extension}")),
            );
        }
        for entry in std::fs::read_dir(directory).map_err(at)? {
            let name = entry.map_err(at)?.file_name().to_string_lossy().into_owned();
            if !ours.contains(&name) {
                self.remark(name, 0, "not a file of the ledger; not looked at".into());
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Segment { place, header, end } => self.segment(place, &header, end),
            Event::Batch(batch) => self.batch(batch),
            Event::Damage { place, message } => {
                self.tree = None;
                self.assembler.reset();
                self.wrong(place, message);
            }
            Event::Tail { place, bytes } => {
                let message = format!(
                    "{bytes} bytes after the last complete batch: unacknowledged, not part of the log"
                );
                self.remark(segment_name(place.segment), place.offset, message);
            }
            Event::Abandoned { place, bytes } => {
                let message =
                    format!("{bytes} bytes after the segment's end: unacknowledged, not part of the log");
                self.remark(segment_name(place.segment), place.offset, message);
            }
        }
    }

    fn segment(&mut self, place: Place, header: &Header, end: u64) {
        self.result.segments += 1;
        self.end = Place { offset: end, leaf: None, ..place };
        if header.node != self.key.name() {
            self.wrong(
                place,
                format!("it is of node {:?}, the key is of {:?}", header.node, self.key.name()),
            );
        }
        match (&self.tree, header.tree()) {
            (Some(tree), Some(claimed)) if *tree == claimed => {}
            (None, Some(claimed)) => {
                self.tree = Some(claimed);
                self.restored = true;
            }
            (_, claimed) => {
                self.wrong(place, "the header does not continue the leaves before it");
                self.tree = claimed;
                self.restored = true;
            }
        }
        let notes = checkpoints_path(self.directory, place.segment);
        self.notes_missing = !notes.exists();
        self.load_checkpoints(place.segment);
        self.at_size(place);
    }

    /// Reads the checkpoints files up to this segment's.
    fn load_checkpoints(&mut self, up_to: u64) {
        while let Some((number, length)) = self.notes.front().copied().filter(|(n, _)| *n <= up_to) {
            self.notes.pop_front();
            let path = checkpoints_path(self.directory, number);
            let file = format!("{number:08}.checkpoints");
            let mut bytes = Vec::new();
            let read = std::fs::File::open(&path).and_then(|f| f.take(length).read_to_end(&mut bytes));
            if let Err(e) = read {
                self.finding(file, 0, None, format!("cannot be read: {e}"));
                continue;
            }
            match std::str::from_utf8(&bytes) {
                Ok(text) => self.checkpoints(&file, text),
                Err(e) => {
                    // No length: the file ends within a character, as a torn note may.
                    if e.error_len().is_some() {
                        let message = "a byte that no checkpoint has".to_owned();
                        self.finding(file.clone(), e.valid_up_to() as u64, None, message);
                    }
                    self.checkpoints(&file, &String::from_utf8_lossy(&bytes));
                }
            }
        }
    }

    fn checkpoints(&mut self, file: &str, text: &str) {
        for entry in entries(text) {
            let offset = entry.offset as u64;
            let Some(note) = entry.note else {
                let torn = text.get(entry.offset..).unwrap_or("");
                let message = format!("{} bytes of an incomplete checkpoint", torn.len());
                if is_torn_note(torn, self.key) {
                    self.remark(file.to_owned(), offset, format!("{message}: it was never shown to anyone"));
                } else {
                    self.finding(file.to_owned(), offset, None, format!("{message}, changed afterwards"));
                }
                continue;
            };
            let checkpoint = match Checkpoint::verify(note, self.key) {
                Ok(checkpoint) => checkpoint,
                Err(e) => {
                    self.finding(file.to_owned(), offset, None, e.to_string());
                    continue;
                }
            };
            if checkpoint.size < self.last_size {
                let message =
                    format!("size {} after a checkpoint of size {}", checkpoint.size, self.last_size);
                self.finding(file.to_owned(), offset, None, message);
            }
            let seen = self.tree.as_ref().map_or(0, Tree::size);
            if self.tree.is_some() && checkpoint.size < seen {
                let message =
                    format!("size {} stands in a segment that begins with leaf {seen}", checkpoint.size);
                self.finding(file.to_owned(), offset, None, message);
                continue;
            }
            self.last_size = self.last_size.max(checkpoint.size);
            let waiting = Waiting { checkpoint, file: file.to_owned(), offset };
            self.waiting.entry(waiting.checkpoint.size).or_default().push(waiting);
        }
    }

    /// The tree has its present size: checkpoints of this size must have its root.
    fn at_size(&mut self, place: Place) {
        let Some((size, root)) = self.tree.as_ref().map(|t| (t.size(), t.root())) else { return };
        // A signed size lies at the end of a batch; one that was passed over is not a size we ever had.
        while let Some(first) = self.waiting.first_entry().filter(|e| *e.key() <= size) {
            for waiting in first.remove() {
                let Waiting { checkpoint, file, offset } = waiting;
                if checkpoint.size != size {
                    let message = format!("size {} is not where a batch ends", checkpoint.size);
                    self.finding(file, offset, None, message);
                } else if checkpoint.root != root {
                    let message =
                        format!("the leaves up to {size} do not have the root that this checkpoint signs");
                    self.finding(file, offset, None, message);
                    self.wrong(
                        place,
                        format!("leaves 0 to {} are not those that were signed", size.saturating_sub(1)),
                    );
                } else {
                    self.result.checkpoints += 1;
                    self.restored = false;
                    if !self.broken {
                        self.result.proven = size;
                        self.result.root = root.iter().map(|b| format!("{b:02x}")).collect();
                        let (id, time) = self.last_record.clone().unzip();
                        (self.result.proven_to_record, self.result.proven_to_time) = (id, time);
                    }
                }
            }
        }
    }

    fn batch(&mut self, batch: Batch) {
        let Batch { leaves, trailer, place, whole, end } = batch;
        self.end = Place { offset: end, leaf: None, ..place };
        self.result.leaves += leaves.len() as u64;
        if std::mem::take(&mut self.notes_missing) {
            self.wrong(Place { offset: 0, leaf: None, ..place }, "its checkpoints file is missing");
        }
        if let Some(tree) = self.tree.as_mut().filter(|_| whole) {
            for leaf in &leaves {
                tree.push(leaf_hash(&leaf.payload));
            }
            if tree.root() != trailer.root {
                let first = Place { leaf: Some(trailer.first), ..place };
                self.tree = None;
                self.wrong(first, "the leaves of this batch do not have the root that its trailer states");
            }
        }
        if trailer.time_us < self.last_time_us {
            self.wrong(place, "the batch is older than the one before it");
        }
        for leaf in leaves {
            match self.assembler.push(&leaf.payload) {
                Ok(Some(text)) => self.record(leaf.place, &text, trailer.time_us),
                Ok(None) => {}
                Err(message) => self.wrong(leaf.place, message),
            }
        }
        self.last_time_us = self.last_time_us.max(trailer.time_us);
        self.at_size(place);
    }

    fn record(&mut self, place: Place, text: &[u8], batch_us: i64) {
        self.result.records += 1;
        let glance: Glance = match serde_json::from_slice(text) {
            Ok(glance) => glance,
            Err(e) => return self.wrong(place, format!("the leaf is no record: {e}")),
        };
        if glance.v > super::record::RECORD_VERSION {
            let message =
                format!("record version {} ({}) is newer than this verifier", glance.v, glance.kind);
            self.remark(segment_name(place.segment), place.offset, message);
        }
        if glance.node != self.key.name() {
            self.wrong(place, format!("a record of node {:?}", glance.node));
        }
        let us = glance.time.as_microsecond();
        let behind = self.last_time_us != i64::MIN && us < self.last_time_us.saturating_sub(CLOCK_SLACK_US);
        if behind || us > batch_us.saturating_add(CLOCK_SLACK_US) {
            let message = format!(
                "record {} states {}, more than 60 s from when it was written",
                glance.id, glance.time
            );
            self.remark(segment_name(place.segment), place.offset, message);
        }
        self.last_record = Some((glance.id, format!("{:.6}", glance.time)));
    }

    fn finish(mut self) -> Verification {
        self.load_checkpoints(u64::MAX);
        let end = self.tree.as_ref().map(Tree::size);
        self.at_size(self.end);
        let beyond: Vec<Waiting> = std::mem::take(&mut self.waiting).into_values().flatten().collect();
        if let Some(last) = beyond.last() {
            let (count, size) = (beyond.len(), last.checkpoint.size);
            let signed = format!(
                "{count} checkpoint(s), the last at {}, offset {}, sign {size} leaves",
                last.file, last.offset
            );
            let message = match end {
                Some(end) => format!("the end of the log is missing or damaged: {signed}, {end} are here"),
                None => format!("{signed}; after the damage this cannot be checked"),
            };
            let place = Place { leaf: end, ..self.end };
            self.wrong(place, message);
        }
        if self.result.segments == 0 {
            self.finding("ledger".to_owned(), 0, None, "no segment of a ledger is here".to_owned());
        } else if self.result.leaves > 0 && self.result.checkpoints == 0 {
            let message = "no checkpoint signed with this key: nothing is proven".to_owned();
            self.finding("ledger".to_owned(), 0, None, message);
        }
        if let Some(end) = end.filter(|e| *e > self.result.proven && !self.broken) {
            let message = format!(
                "{} leaves after the last checkpoint are consistent but not signed yet",
                end - self.result.proven
            );
            self.remark(segment_name(self.end.segment), self.end.offset, message);
        }
        if self.restored && self.tree.is_some() {
            self.remark(String::from("ledger"), 0, "leaves after the damage are not signed yet".into());
        }
        self.result.ok = self.result.findings.is_empty();
        self.result
    }
}

fn segment_name(number: u64) -> String {
    format!("{number:08}.segment")
}
