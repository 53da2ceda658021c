//! Space kept aside for break-glass and denials: a file that is given up when the disk is full.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use super::error::LedgerError;

/// Name of the reserve file.
const NAME: &str = "reserve";

/// The reserve of a ledger directory.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// The reserve of `directory`, not yet held.
    pub(crate) fn new(directory: &Path, bytes: u64) -> Self {
        Self { path: directory.join(NAME), bytes, held: false }
    }

    /// True while the space is kept.
    pub(crate) fn is_held(&self) -> bool {
        self.held || self.bytes == 0
    }

    /// Bytes that [`Reserve::acquire`] would need now.
    pub(crate) fn needed(&self) -> u64 {
        if self.held { 0 } else { self.bytes }
    }

    /// Takes the space.
    ///
    /// # Errors
    /// When there is not enough; nothing is held then.
    pub(crate) fn acquire(&mut self) -> Result<(), LedgerError> {
        if self.is_held() {
            return Ok(());
        }
        let taken = allocate(&self.path, self.bytes);
        if let Err(e) = taken {
            let _ = std::fs::remove_file(&self.path);
            return Err(LedgerError::io("allocate", &self.path, &e));
        }
        self.held = true;
        Ok(())
    }

    /// Gives the space up.
    pub(crate) fn release(&mut self) {
        if !std::mem::take(&mut self.held) {
            return;
        }
        if let Err(e) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), error = %e, "the ledger's reserve cannot be released");
        }
    }
}

fn allocate(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        // A file system that cannot allocate: written zeros do the same on most of them.
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let zeros = vec![0; 1 << 20];
            let mut left = bytes;
            while left > 0 {
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
                file.write_all(&zeros[..n])?;
                left -= n as u64;
            }
        }
        Err(e) => return Err(e.into()),
    }
    file.sync_all()
}
