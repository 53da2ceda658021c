//! Walks a ledger directory frame by frame and says what is there: segments, whole batches,
//! damage, torn tails. Recovery, the verifier and readers share it, so that they cannot disagree
//! about what counts as stored.
//!
//! It checks form and sequence only. Trees, signatures and records are checked by its callers.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::LedgerError;
use super::frame::{self, BadFrame, Head, Kind, Trailer};
use super::segment::{self, Header};

/// Most leaf bytes of one batch; the writer keeps far below (one record at most 64 MiB).
const MAX_BATCH: usize = 256 << 20;

/// Where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// Number of the segment.
    pub segment: u64,
    /// Bytes from the start of its file.
    pub offset: u64,
    /// Index of the leaf that is, or belongs, there, where known.
    pub leaf: Option<u64>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {:08}, offset {}", self.segment, self.offset)?;
        match self.leaf {
            Some(leaf) => write!(f, ", leaf {leaf}"),
            None => Ok(()),
        }
    }
}

/// One leaf of a batch.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) place: Place,
    pub(crate) index: u64,
    pub(crate) payload: Vec<u8>,
}

/// A batch that its trailer closes.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) trailer: Trailer,
    /// Where the trailer is.
    pub(crate) place: Place,
    /// Bytes from the start of the file to the end of the trailer.
    pub(crate) end: u64,
    /// False when leaves of it are missing; damage was reported then.
    pub(crate) whole: bool,
}

/// What the walk meets.
#[derive(Debug)]
pub(crate) enum Event {
    /// A segment begins.
    Segment { place: Place, header: Header, end: u64 },
    /// A batch.
    Batch(Batch),
    /// Something is not as it was written.
    Damage { place: Place, message: String },
    /// The last segment ends in bytes that were never acknowledged.
    Tail { place: Place, bytes: u64 },
    /// Bytes after the end that a later segment declares: never acknowledged.
    Abandoned { place: Place, bytes: u64 },
}

/// One file, before it is read.
#[derive(Debug)]
struct Segment {
    number: u64,
    path: PathBuf,
    length: u64,
    /// Where it ends, as a later segment says.
    end: Option<u64>,
    /// Nothing later says anything: a torn tail is possible here and nowhere else.
    open_ended: bool,
}

/// The walk. Reads one segment after the other; memory is bounded by one batch.
pub(crate) struct Walk {
    pending: VecDeque<Segment>,
    events: VecDeque<Event>,
    current: Option<Current>,
    /// Index of the next leaf; unknown at first and after damage.
    expected: Option<u64>,
    expected_number: u64,
}

struct Current {
    segment: Segment,
    reader: BufReader<File>,
    offset: u64,
    /// Where reading stops: the declared end, or the file's length.
    limit: u64,
    /// End of the last trailer (or of the header).
    good: u64,
    leaves: Vec<Leaf>,
    leaf_bytes: usize,
    whole: bool,
    started: bool,
}

enum Step {
    Frame { offset: u64, head: Head, payload: Vec<u8> },
    Bad { offset: u64, reason: BadFrame, resume: Option<u64> },
    Unreadable { offset: u64, message: String },
    End,
}

impl Walk {
    /// Surveys the directory. Lengths are taken now: what a running proxy appends later is not seen.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(crate) fn new(directory: &Path) -> Result<Self, LedgerError> {
        let mut segments = Vec::new();
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        let mut events = VecDeque::new();
        let mut open_from = 0;
        for number in segment::numbers(directory, "segment")? {
            let path = segment::segment_path(directory, number);
            let length = std::fs::metadata(&path).map_err(|e| LedgerError::io("stat", &path, &e))?.len();
            if let Some(header) = read_header(&path).filter(|h| h.segment == number) {
                open_from = number;
                for end in header.ends {
                    let before = ends.insert(end.segment, end.bytes);
                    if before.is_some_and(|b| b != end.bytes) || end.segment >= number {
                        let place = Place { segment: number, offset: 0, leaf: None };
                        let message = format!(
                            "it declares an end of segment {:08} that is not its to declare",
                            end.segment
                        );
                        events.push_back(Event::Damage { place, message });
                    }
                }
            }
            segments.push(Segment { number, path, length, end: None, open_ended: false });
        }
        for segment in &mut segments {
            segment.end = ends.remove(&segment.number);
            segment.open_ended = segment.end.is_none() && segment.number >= open_from;
        }
        // A segment that never came to be need not have a file.
        for (number, _) in ends.into_iter().filter(|(_, bytes)| *bytes == 0) {
            let path = segment::segment_path(directory, number);
            segments.push(Segment { number, path, length: 0, end: Some(0), open_ended: false });
        }
        segments.sort_by_key(|s| s.number);
        Ok(Self { pending: segments.into(), events, current: None, expected: Some(0), expected_number: 1 })
    }

    /// Bytes that remain to be read, for progress.
    pub(crate) fn remaining(&self) -> u64 {
        let current = self.current.as_ref().map_or(0, |c| c.limit.saturating_sub(c.offset));
        current + self.pending.iter().map(|s| s.end.unwrap_or(s.length).min(s.length)).sum::<u64>()
    }

    fn damage(&mut self, place: Place, message: impl Into<String>) {
        self.expected = None;
        self.events.push_back(Event::Damage { place, message: message.into() });
    }

    fn open_next(&mut self) -> Option<()> {
        let segment = self.pending.pop_front()?;
        let place = Place { segment: segment.number, offset: 0, leaf: self.expected };
        let gap = segment.number.saturating_sub(self.expected_number);
        self.expected_number = segment.number + 1;
        if gap > 0 {
            let first = segment.number - gap;
            self.damage(place, format!("{gap} segment file(s) before it are missing, from {first:08} on"));
        }
        if segment.end == Some(0) {
            if segment.length > 0 {
                self.events.push_back(Event::Abandoned { place, bytes: segment.length });
            }
            return Some(());
        }
        let limit = segment.end.unwrap_or(segment.length);
        let mut segment = segment;
        if segment.length < limit {
            let place = Place { offset: segment.length, ..place };
            let missing = limit - segment.length;
            self.damage(place, format!("{missing} bytes are missing at the end of the segment"));
            segment.open_ended = false;
        }
        match File::open(&segment.path) {
            Ok(file) => {
                let limit = limit.min(segment.length);
                let reader = BufReader::with_capacity(256 << 10, file);
                self.current = Some(Current {
                    segment,
                    reader,
                    offset: 0,
                    limit,
                    good: 0,
                    leaves: Vec::new(),
                    leaf_bytes: 0,
                    whole: true,
                    started: false,
                });
            }
            Err(e) => self.damage(place, format!("cannot be opened: {e}")),
        }
        Some(())
    }

    fn advance(&mut self, mut current: Current) {
        match current.step() {
            Step::Frame { offset, head, payload } => {
                self.frame(&mut current, offset, head, payload);
                self.current = Some(current);
            }
            Step::Bad { offset, reason, resume } => {
                let place = Place { segment: current.segment.number, offset, leaf: self.expected };
                match resume {
                    None if current.segment.open_ended => {
                        current.leaves.clear();
                        let from = Place { offset: current.good, leaf: None, ..place };
                        let bytes = current.limit - current.good;
                        self.events.push_back(Event::Tail { place: from, bytes });
                    }
                    None => self.damage(place, reason.to_string()),
                    Some(resume) => {
                        self.damage(place, format!("{reason}; valid frames follow at offset {resume}"));
                        current.whole = false;
                        current.started = true;
                        match current.reader.seek(SeekFrom::Start(resume)) {
                            Ok(_) => {
                                current.offset = resume;
                                self.current = Some(current);
                            }
                            Err(e) => self.damage(place, format!("cannot be read: {e}")),
                        }
                    }
                }
            }
            Step::Unreadable { offset, message } => {
                let place = Place { segment: current.segment.number, offset, leaf: self.expected };
                self.damage(place, format!("cannot be read: {message}"));
            }
            Step::End => self.finish(&current),
        }
    }

    fn frame(&mut self, current: &mut Current, offset: u64, head: Head, payload: Vec<u8>) {
        let place = Place { segment: current.segment.number, offset, leaf: Some(head.index) };
        if !current.started {
            current.started = true;
            if head.kind != Kind::Header {
                self.damage(place, "the segment does not begin with a header");
            }
        }
        match head.kind {
            Kind::Header => self.header(current, place, &payload),
            Kind::Leaf => {
                if self.expected.is_some_and(|e| e != head.index) {
                    let message =
                        format!("leaf {} where leaf {} belongs", head.index, self.expected.unwrap_or(0));
                    self.damage(place, message);
                    current.whole = false;
                }
                if self.expected.is_none() {
                    current.whole = false;
                }
                self.expected = Some(head.index.saturating_add(1));
                current.leaf_bytes += payload.len();
                if current.leaf_bytes > MAX_BATCH {
                    self.damage(place, "a batch without end");
                    current.leaves.clear();
                    current.leaf_bytes = 0;
                    current.whole = false;
                }
                current.leaves.push(Leaf { place, index: head.index, payload });
            }
            Kind::Trailer => self.trailer(current, place, head.index, &payload),
        }
    }

    fn header(&mut self, current: &mut Current, place: Place, payload: &[u8]) {
        let header: Header = match serde_json::from_slice(payload) {
            Ok(header) => header,
            Err(e) => return self.damage(place, format!("the segment header cannot be read: {e}")),
        };
        let number = current.segment.number;
        if place.offset != 0 {
            return self.damage(place, "a segment header inside a segment");
        }
        if header.segment != number {
            self.damage(place, format!("this file is segment {:08} under another name", header.segment));
        } else if self.expected.is_some_and(|e| e != header.size) {
            let expected = self.expected.unwrap_or(0);
            self.damage(
                place,
                format!("it begins with leaf {}, but leaf {expected} belongs here", header.size),
            );
        }
        self.expected = Some(header.size);
        current.good = current.offset;
        self.events.push_back(Event::Segment { place, header, end: current.offset });
    }

    fn trailer(&mut self, current: &mut Current, place: Place, index: u64, payload: &[u8]) {
        let leaves = std::mem::take(&mut current.leaves);
        current.leaf_bytes = 0;
        let mut whole = std::mem::replace(&mut current.whole, true);
        let Some(trailer) = Trailer::parse(index, payload) else {
            return self.damage(place, "malformed batch trailer");
        };
        let first = leaves.first().map(|l| l.index);
        let next = leaves.last().map(|l| l.index.saturating_add(1));
        if first != Some(trailer.first) || next != Some(trailer.next) {
            if whole {
                let message = format!(
                    "the trailer closes leaves {} to {}, which is not what stands before it",
                    trailer.first,
                    trailer.next.saturating_sub(1)
                );
                self.damage(place, message);
            }
            whole = false;
        } else if leaves.windows(2).all(|w| w[0].index.saturating_add(1) == w[1].index) {
            // Damage before this batch does not make the batch itself incomplete.
            whole = true;
        }
        self.expected = Some(trailer.next);
        current.good = current.offset;
        self.events.push_back(Event::Batch(Batch { leaves, trailer, place, end: current.offset, whole }));
    }

    /// The file is read to its limit.
    fn finish(&mut self, current: &Current) {
        let segment = &current.segment;
        let place = Place { segment: segment.number, offset: current.good, leaf: None };
        if current.good < current.limit {
            let bytes = current.limit - current.good;
            if segment.open_ended {
                // Leaves without a trailer do not count; the next leaf takes their place.
                self.events.push_back(Event::Tail { place, bytes });
            } else {
                self.damage(place, "the segment ends within a batch");
            }
        } else if segment.end.is_none() && !segment.open_ended {
            self.damage(place, "no later segment says that this one ends here");
        }
        if segment.length > current.limit {
            let place = Place { offset: current.limit, ..place };
            self.events.push_back(Event::Abandoned { place, bytes: segment.length - current.limit });
        }
    }
}

impl Iterator for Walk {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            match self.current.take() {
                Some(current) => self.advance(current),
                None => self.open_next()?,
            }
        }
    }
}

impl Current {
    fn step(&mut self) -> Step {
        let offset = self.offset;
        if offset >= self.limit {
            return Step::End;
        }
        match read_frame(&mut self.reader, self.limit - offset) {
            Ok(Ok((head, payload))) => {
                self.offset = offset + (frame::HEADER + head.rest()) as u64;
                Step::Frame { offset, head, payload }
            }
            Ok(Err(reason)) => match find_frame(self.reader.get_ref(), offset, self.limit) {
                Ok(resume) => Step::Bad { offset, reason, resume },
                Err(e) => Step::Unreadable { offset, message: e.to_string() },
            },
            Err(e) => Step::Unreadable { offset, message: e.to_string() },
        }
    }
}

type FrameResult = Result<(Head, Vec<u8>), BadFrame>;

/// Reads one frame of at most `room` bytes.
fn read_frame(reader: &mut impl std::io::Read, room: u64) -> std::io::Result<FrameResult> {
    let mut bytes = [0; frame::HEADER];
    if room < frame::HEADER as u64 {
        return Ok(Err(BadFrame::Short));
    }
    reader.read_exact(&mut bytes)?;
    let head = match Head::parse(&bytes) {
        Ok(head) => head,
        Err(reason) => return Ok(Err(reason)),
    };
    if room < (frame::HEADER + head.rest()) as u64 {
        return Ok(Err(BadFrame::Short));
    }
    let mut rest = vec![0; head.rest()];
    reader.read_exact(&mut rest)?;
    if let Err(reason) = head.check(&bytes, &rest) {
        return Ok(Err(reason));
    }
    rest.truncate(head.length);
    Ok(Ok((head, rest)))
}

/// The next valid frame after `bad` and before `limit`.
fn find_frame(file: &File, bad: u64, limit: u64) -> std::io::Result<Option<u64>> {
    let mut chunk = vec![0; 1 << 20];
    let mut at = bad - bad % frame::ALIGN + frame::ALIGN;
    while at < limit {
        let want = usize::try_from(limit - at).unwrap_or(usize::MAX).min(chunk.len());
        let n = file.read_at(&mut chunk[..want], at)?;
        if n == 0 {
            break;
        }
        for (i, word) in chunk[..n].chunks(frame::ALIGN as usize).enumerate() {
            if word.starts_with(&frame::MAGIC) {
                let here = at + i as u64 * frame::ALIGN;
                let mut window = vec![0; frame::HEADER + frame::MAX_PAYLOAD + frame::ALIGN as usize];
                let room = usize::try_from(limit - here).unwrap_or(usize::MAX).min(window.len());
                let got = file.read_at(&mut window[..room], here)?;
                if matches!(read_frame(&mut window[..got].take(got as u64), got as u64), Ok(Ok(_))) {
                    return Ok(Some(here));
                }
            }
        }
        at += (n as u64).next_multiple_of(frame::ALIGN);
    }
    Ok(None)
}

/// The header of a segment file, when its first frame is a valid one.
fn read_header(path: &Path) -> Option<Header> {
    let mut reader = BufReader::new(File::open(path).ok()?);
    let (head, payload) = read_frame(&mut reader, u64::MAX).ok()?.ok()?;
    (head.kind == Kind::Header).then(|| serde_json::from_slice(&payload).ok())?
}
