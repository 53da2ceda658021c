//! Segment files on disk: names, the header frame, and the one file that is being written.
//!
//! A directory holds `00000001.segment` and `00000001.checkpoints`, then 2, 3 ... A process never
//! appends to files of another: it starts a new segment, whose header says where the ones before
//! it end. So nothing is ever truncated, renamed or rewritten. Walking segments is `walk`'s work.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};

use super::error::{Cause, LedgerError};
use super::frame::{self, Kind};
use super::merkle::{Hash, Tree};

/// Space is allocated ahead of the writer in steps of at most this many bytes.
const ALLOCATION_STEP: u64 = 4 << 20;

/// What a segment's first frame says, as JSON. Every part of it can be checked against the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Format version.
    pub(crate) v: u32,
    /// The node.
    pub(crate) node: String,
    /// Number of the segment, from 1.
    pub(crate) segment: u64,
    /// Leaves before it.
    pub(crate) size: u64,
    /// The tree before it: roots of its complete subtrees, base64, largest first.
    pub(crate) peaks: Vec<String>,
    /// Where earlier segments end. What lies after an end was never acknowledged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ends: Vec<SegmentEnd>,
}

/// Where a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentEnd {
    /// Number of the segment.
    pub(crate) segment: u64,
    /// Bytes of it that count; zero when it never came to be.
    pub(crate) bytes: u64,
}

impl Header {
    pub(crate) fn new(node: &str, segment: u64, tree: &Tree, ends: Vec<SegmentEnd>) -> Self {
        let peaks = tree.peaks().iter().map(|p| BASE64.encode(p)).collect();
        Self { v: 1, node: node.to_owned(), segment, size: tree.size(), peaks, ends }
    }

    /// The tree before this segment, as the header claims it.
    pub(crate) fn tree(&self) -> Option<Tree> {
        let peaks = self.peaks.iter().map(|p| BASE64.decode(p).ok().and_then(|p| Hash::try_from(p).ok()));
        Tree::from_peaks(self.size, peaks.collect::<Option<Vec<Hash>>>()?)
    }

    fn encode(&self) -> Result<Vec<u8>, LedgerError> {
        let payload = serde_json::to_vec(self).map_err(|e| Cause::Encode { message: e.to_string() })?;
        if payload.len() > frame::MAX_PAYLOAD {
            return Err(Cause::Encode { message: "segment header too long".into() }.into());
        }
        let mut out = Vec::new();
        frame::encode(&mut out, Kind::Header, self.size, &payload);
        Ok(out)
    }
}

/// Path of a segment.
pub(crate) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:08}.segment"))
}

/// Path of a segment's checkpoints.
pub(crate) fn checkpoints_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:08}.checkpoints"))
}

/// Numbers of the segments (or checkpoints files, by `extension`) in a directory, ascending.
pub(crate) fn numbers(directory: &Path, extension: &str) -> Result<Vec<u64>, LedgerError> {
    let at = |e: std::io::Error| LedgerError::io("read directory", directory, &e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(at)? {
        let name = entry.map_err(at)?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|n| n.strip_suffix(extension)?.strip_suffix('.')?.parse().ok());
        // Only the spelling we write: "1.segment" beside "00000001.segment" is a stranger.
        found.extend(number.filter(|n| name.to_str() == Some(format!("{n:08}.{extension}").as_str())));
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes names created in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), LedgerError> {
    File::open(directory)
        .and_then(|d| d.sync_all())
        .map_err(|e| LedgerError::io("fsync directory", directory, &e))
}

/// A file that only this process writes, at its end, and never again after a failure.
#[derive(Debug)]
struct Appending {
    file: File,
    path: PathBuf,
    written: u64,
}

impl Appending {
    fn create(path: PathBuf) -> Result<Self, LedgerError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(&path)
            .map_err(|e| LedgerError::io("create", &path, &e))?;
        Ok(Self { file, path, written: 0 })
    }

    /// Writes in one call; a short write is a failure like any other.
    fn write(&mut self, bytes: &[u8]) -> Result<(), LedgerError> {
        let n =
            self.file.write_at(bytes, self.written).map_err(|e| LedgerError::io("write", &self.path, &e))?;
        if n == bytes.len() {
            self.written += n as u64;
            return Ok(());
        }
        let path = self.path.display().to_string();
        let no_space = rustix::fs::fstatvfs(&self.file)
            .is_ok_and(|s| s.f_bavail.saturating_mul(s.f_frsize) < (bytes.len() - n) as u64);
        Err(if no_space {
            Cause::DiskFull { path }
        } else {
            let message = format!("only {n} of {} bytes were written", bytes.len());
            Cause::Io { operation: "write", path, message }
        }
        .into())
    }

    fn sync(&self) -> Result<(), LedgerError> {
        self.file.sync_data().map_err(|e| LedgerError::io("fdatasync", &self.path, &e))
    }

    /// Notices that the name no longer leads to this file.
    fn check_name(&self) -> Result<(), LedgerError> {
        let ours = rustix::fs::fstat(&self.file);
        let named = rustix::fs::stat(&self.path);
        match (ours, named) {
            (Ok(a), Ok(b)) if a.st_ino == b.st_ino && a.st_dev == b.st_dev => Ok(()),
            _ => Err(Cause::Replaced { path: self.path.display().to_string() }.into()),
        }
    }
}

/// The segment being written, with its checkpoints file.
#[derive(Debug)]
pub(crate) struct LiveSegment {
    number: u64,
    segment: Appending,
    checkpoints: Appending,
    /// Bytes allocated ahead; `None` once the file system refused.
    allocated: Option<u64>,
}

impl LiveSegment {
    /// Creates segment `header.segment` with its checkpoints file and makes both durable.
    pub(crate) fn create(directory: &Path, header: &Header) -> Result<Self, LedgerError> {
        let number = header.segment;
        let bytes = header.encode()?;
        let segment = Appending::create(segment_path(directory, number))?;
        let checkpoints = Appending::create(checkpoints_path(directory, number))?;
        let mut live = Self { number, segment, checkpoints, allocated: Some(0) };
        live.segment.write(&bytes)?;
        live.segment.sync()?;
        sync_directory(directory)?;
        Ok(live)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes written so far: after a failure, where the segment ends.
    pub(crate) fn written(&self) -> u64 {
        self.segment.written
    }

    /// Allocates ahead, up to `limit` bytes, where fewer than `need` are left. Only a hint: a full
    /// disk shows when writing.
    pub(crate) fn allocate_ahead(&mut self, need: u64, limit: u64) {
        let Some(allocated) = self.allocated else { return };
        let end = self.segment.written.saturating_add(need);
        if end <= allocated {
            return;
        }
        let until = end.max(allocated.saturating_add(ALLOCATION_STEP).min(limit));
        let from = self.segment.written;
        let done = rustix::fs::fallocate(&self.segment.file, FallocateFlags::KEEP_SIZE, from, until - from);
        self.allocated = done.is_ok().then_some(until);
    }

    /// Writes a batch and waits until it is durable.
    ///
    /// # Errors
    /// Any failure. The segment must not be written again; it ends at [`LiveSegment::written`].
    pub(crate) fn append(&mut self, batch: &[u8]) -> Result<(), LedgerError> {
        let before = self.segment.written;
        // The name is looked at last: a batch is not acknowledged in a file that nobody can find.
        let done = self
            .segment
            .write(batch)
            .and_then(|()| self.segment.sync())
            .and_then(|()| self.segment.check_name());
        if done.is_err() {
            self.segment.written = before;
        }
        done
    }

    /// Writes a signed note and waits until it is durable.
    pub(crate) fn append_checkpoint(&mut self, note: &str) -> Result<(), LedgerError> {
        self.checkpoints.write(format!("{note}\n").as_bytes())?;
        self.checkpoints.sync()?;
        self.checkpoints.check_name()
    }
}
