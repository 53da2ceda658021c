//! Reading records back, in order, with bounded memory. Form and sequence of the frames are checked
//! on the way (checksums, indices, batch trailers); whether the log is proven is `verify`'s answer.

use std::collections::VecDeque;
use std::path::Path;

use super::error::LedgerError;
use super::leaf::Assembler;
use super::record::Record;
use super::walk::{Event, Place, Walk};

/// A record with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Index of the record's first leaf: with a checkpoint, what proves it.
    pub leaf: u64,
    /// Where its first leaf is.
    pub place: Place,
    /// The record.
    pub record: Record,
}

/// Something that should be a record and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Unreadable {
    /// Where.
    pub place: Place,
    /// Why.
    pub message: String,
}

/// An iterator over the records of a directory; see [`read_records`].
pub struct Records {
    walk: Walk,
    assembler: Assembler,
    first: Option<(u64, Place)>,
    ready: VecDeque<Result<Stored, Unreadable>>,
}

/// Every acknowledged record of a ledger directory in order. A damaged place yields one `Err`, and
/// reading goes on after it. A running proxy may append meanwhile; what it appended after the
/// call is not seen.
///
/// # Errors
/// When the directory cannot be read.
pub fn read_records(directory: &Path) -> Result<Records, LedgerError> {
    Ok(Records {
        walk: Walk::new(directory)?,
        assembler: Assembler::default(),
        first: None,
        ready: VecDeque::new(),
    })
}

impl Iterator for Records {
    type Item = Result<Stored, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            match self.walk.next()? {
                Event::Segment { .. } | Event::Tail { .. } | Event::Abandoned { .. } => {}
                Event::Damage { place, message } => {
                    self.assembler.reset();
                    self.first = None;
                    self.ready.push_back(Err(Unreadable { place, message }));
                }
                Event::Batch(batch) => {
                    for leaf in batch.leaves {
                        self.leaf(leaf.index, leaf.place, &leaf.payload);
                    }
                }
            }
        }
        self.ready.pop_front()
    }
}

impl Records {
    fn leaf(&mut self, index: u64, place: Place, payload: &[u8]) {
        let (first, first_place) = *self.first.get_or_insert((index, place));
        let text = match self.assembler.push(payload) {
            Ok(None) => return,
            Ok(Some(text)) => text,
            Err(message) => {
                self.first = None;
                return self.ready.push_back(Err(Unreadable { place, message }));
            }
        };
        self.first = None;
        self.ready.push_back(match serde_json::from_slice(&text) {
            Ok(record) => Ok(Stored { leaf: first, place: first_place, record }),
            Err(e) => {
                let message = format!("not a record this version reads: {e}");
                Err(Unreadable { place: first_place, message })
            }
        });
    }
}
