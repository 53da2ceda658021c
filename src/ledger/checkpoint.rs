//! Checkpoints: the size and root of the tree as a C2SP tlog-checkpoint, a signed note.
//!
//! ```text
//! demo-1                      origin: the node
//! 1742                        size
//! base64(root)
//!
//! — demo-1 base64(key id, signature)
//! ```
//! A checkpoints file holds such notes, each followed by an empty line. Text in, values out; files
//! are written by the writer.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::keys::{PrivateKey, PublicKey};
use super::merkle::{Hash, Tree};

/// A checkpoint: under this origin, the tree of `size` leaves has this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root of the tree of `size` leaves.
    pub root: Hash,
}

/// Why a note is no checkpoint of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// Not in the one form that is written.
    #[error("not a checkpoint note: {0}")]
    Form(&'static str),
    /// The signature does not fit text and key.
    #[error("the signature is not by the key {0}")]
    Signature(String),
    /// It is of another log.
    #[error("it is a checkpoint of {found}, not of {expected}")]
    Origin {
        /// The origin it names.
        found: String,
        /// The origin expected.
        expected: String,
    },
}

impl Checkpoint {
    /// The checkpoint of a tree.
    pub fn of(origin: &str, tree: &Tree) -> Self {
        Self { origin: origin.to_owned(), size: tree.size(), root: tree.root() }
    }

    /// The text that is signed.
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// The signed note.
    pub fn sign(&self, key: &PrivateKey) -> String {
        let text = self.text();
        format!("{text}\n{}", key.sign_line(&text))
    }

    /// Understands a note and checks its signature. Only the canonical form is taken: the same
    /// checkpoint has one spelling, so that no byte of it can change unnoticed.
    ///
    /// # Errors
    /// When the form, the signature or the origin is not as expected.
    pub fn verify(note: &str, key: &PublicKey) -> Result<Self, BadNote> {
        let mut lines = note.split('\n');
        let mut line = |what| lines.next().ok_or(BadNote::Form(what));
        let origin = line("no origin")?.to_owned();
        let size = line("no size")?.parse().map_err(|_| BadNote::Form("the size is no number"))?;
        let root = BASE64.decode(line("no root")?).ok().and_then(|r| Hash::try_from(r).ok());
        let checkpoint = Self { origin, size, root: root.ok_or(BadNote::Form("the root is no hash"))? };
        let blank = line("no empty line")?;
        let signature = line("no signature")?;
        if !blank.is_empty() || lines.next() != Some("") || lines.next().is_some() {
            return Err(BadNote::Form("not three lines, an empty one and one signature"));
        }
        let text = checkpoint.text();
        if !note.starts_with(&text) {
            return Err(BadNote::Form("not in canonical form"));
        }
        if !key.verify_line(&text, signature) {
            return Err(BadNote::Signature(key.name().to_owned()));
        }
        if checkpoint.origin != key.name() {
            return Err(BadNote::Origin { found: checkpoint.origin, expected: key.name().to_owned() });
        }
        Ok(checkpoint)
    }
}

/// One note of a checkpoints file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Where it begins, bytes.
    pub(crate) offset: usize,
    /// The note, or `None` where the file ends in the middle of one (it was never shown).
    pub(crate) note: Option<&'a str>,
}

/// Splits the text of a checkpoints file into its notes. A note is complete when the empty line
/// after it is there.
pub(crate) fn entries(file: &str) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    let mut offset = 0;
    while let Some(rest) = file.get(offset..).filter(|r| !r.is_empty()) {
        // The empty line inside the note is the first "\n\n", the one after it the second.
        let inner = rest.find("\n\n").map(|i| i + 2);
        let end = inner.and_then(|i| rest.get(i..)?.find("\n\n").map(|j| i + j));
        match end {
            Some(end) => {
                found.push(Entry { offset, note: rest.get(..end + 1) });
                offset += end + 2;
            }
            None => {
                found.push(Entry { offset, note: None });
                break;
            }
        }
    }
    found
}

/// True when `torn`, the incomplete end of a checkpoints file, is what a crash leaves: the beginning
/// of a note under this key's name. Anything else was changed afterwards.
pub(crate) fn is_torn_note(torn: &str, key: &PublicKey) -> bool {
    // A file system may have extended the file before the bytes arrived.
    let torn = torn.trim_end_matches('\0');
    let mut lines = torn.split('\n');
    let (origin, size, root) = (lines.next().unwrap_or(""), lines.next(), lines.next());
    let (blank, signature, after) = (lines.next(), lines.next(), lines.next());
    let origin_fits = if size.is_some() { origin == key.name() } else { key.name().starts_with(origin) };
    let size_fits = size.is_none_or(|s| s.bytes().all(|c| c.is_ascii_digit()));
    let is_base64 = |c: u8| c.is_ascii_alphanumeric() || b"+/=".contains(&c);
    let root_fits = root.is_none_or(|r| r.len() <= 44 && r.bytes().all(is_base64));
    let begin = format!("\u{2014} {} ", key.name());
    // A cut within a character was decoded as U+FFFD.
    let signature_fits = signature.is_none_or(|s| {
        s.starts_with(&begin) || begin.starts_with(s.trim_end_matches(char::REPLACEMENT_CHARACTER))
    });
    let complete_fits = after.is_none_or(|a| a.is_empty() && Checkpoint::verify(torn, key).is_ok());
    origin_fits
        && size_fits
        && root_fits
        && blank.is_none_or(str::is_empty)
        && signature_fits
        && complete_fits
        && lines.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_and_no_changed_byte_does() {
        let key = PrivateKey::generate("demo-1").unwrap();
        let checkpoint = Checkpoint { origin: "demo-1".into(), size: 1742, root: [5; 32] };
        let note = checkpoint.sign(&key);
        assert_eq!(Checkpoint::verify(&note, &key.public()).unwrap(), checkpoint);
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert!(Checkpoint::verify(&text, &key.public()).is_err(), "byte {at} bit {bit}");
            }
        }
        let other = PrivateKey::generate("demo-1").unwrap();
        assert!(matches!(Checkpoint::verify(&note, &other.public()), Err(BadNote::Signature(_))));
    }

    #[test]
    fn a_file_splits_into_notes_and_a_torn_end() {
        let key = PrivateKey::generate("n").unwrap();
        let note = |size| Checkpoint { origin: "n".into(), size, root: [1; 32] }.sign(&key);
        let file = format!("{}\n{}\n", note(1), note(2));
        let whole = entries(&file);
        assert_eq!(whole.iter().map(|e| e.note.unwrap().to_owned()).collect::<Vec<_>>(), [note(1), note(2)]);
        for cut in 0..file.len() {
            let torn = entries(&file[..file.floor_char_boundary(cut)]);
            let complete = torn.iter().filter(|e| e.note.is_some()).count();
            assert_eq!(complete, usize::from(cut > note(1).len()), "cut {cut}");
            if let Some(Entry { offset, note: None }) = torn.last() {
                let end = &file[*offset..file.floor_char_boundary(cut)];
                assert!(is_torn_note(end, &key.public()), "cut {cut}: {end:?}");
            }
        }
    }
}
