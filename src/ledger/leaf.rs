//! A record as leaves: its JSON text whole where it fits 65,535 bytes, else cut into numbered parts.
//!
//! A part starts with the line `pgglass-part ID NUMBER COUNT` (counting from 1) and goes on with a
//! piece of the JSON text, cut between characters; the pieces joined in order are the record. All
//! parts of a record have neighbouring leaf indices. Hashing and storing are done elsewhere.

use super::merkle::{Hash, leaf_hash};
use super::record::Record;

/// Most bytes of one leaf.
pub(crate) const MAX_LEAF: usize = 65_535;

/// First word of a part.
const PART: &str = "pgglass-part";

/// Bytes of JSON text in one part: what the first line needs is subtracted.
const PART_TEXT: usize = MAX_LEAF - 128;

/// Bytes of the record of a short statement: room that is taken at once.
const USUAL_LEAF: usize = 1024;

/// One leaf and its hash.
pub(crate) type Hashed = (Vec<u8>, Hash);

/// The leaves of one record, each with its hash, and their bytes.
///
/// # Errors
/// As [`encode`].
pub(crate) fn hashed(record: &Record) -> Result<(Vec<Hashed>, u64), String> {
    let leaves: Vec<Hashed> = encode(record)?
        .into_iter()
        .map(|leaf| {
            let hash = leaf_hash(&leaf);
            (leaf, hash)
        })
        .collect();
    let bytes = leaves.iter().map(|(leaf, _)| leaf.len() as u64).sum();
    Ok((leaves, bytes))
}

/// The leaves of one record.
///
/// # Errors
/// When the record cannot be serialised, or its id is not one short word.
pub(crate) fn encode(record: &Record) -> Result<Vec<Vec<u8>>, String> {
    let mut text = Vec::with_capacity(USUAL_LEAF);
    serde_json::to_writer(&mut text, record).map_err(|e| e.to_string())?;
    let text = String::from_utf8(text).map_err(|e| e.to_string())?;
    let id = record.id.as_str();
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(format!("event id {id:?} is not one short word"));
    }
    if text.len() <= MAX_LEAF {
        return Ok(vec![text.into_bytes()]);
    }
    let mut pieces = Vec::with_capacity(text.len() / PART_TEXT + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PART_TEXT));
        pieces.push(piece);
        rest = after;
    }
    let count = pieces.len();
    Ok(pieces
        .into_iter()
        .enumerate()
        .map(|(i, piece)| format!("{PART} {id} {} {count}\n{piece}", i + 1).into_bytes())
        .collect())
}

/// Puts leaves, taken in order, together to records' JSON text.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    id: String,
    next: u32,
    count: u32,
    text: Vec<u8>,
}

impl Assembler {
    /// Takes the next leaf; returns the JSON text of a record when this leaf completes one.
    ///
    /// # Errors
    /// When a part is missing, out of order or malformed. What was begun is dropped.
    pub(crate) fn push(&mut self, leaf: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let open = self.open.take();
        if !leaf.starts_with(PART.as_bytes()) {
            return match open {
                None => Ok(Some(leaf.to_vec())),
                Some(o) => {
                    Err(format!("record {} breaks off after part {} of {}", o.id, o.next - 1, o.count))
                }
            };
        }
        let (id, number, count, piece) = parse_part(leaf).ok_or("malformed first line of a part")?;
        let mut open = match open {
            None if number == 1 => Open { id: id.to_owned(), next: 1, count, text: Vec::new() },
            Some(o) if o.id == id && o.next == number && o.count == count => o,
            None => return Err(format!("part {number} of record {id} without its beginning")),
            Some(o) => {
                return Err(format!("part {number} of {id} where part {} of {} belongs", o.next, o.id));
            }
        };
        open.text.extend_from_slice(piece);
        if number == count {
            return Ok(Some(open.text));
        }
        open.next += 1;
        self.open = Some(open);
        Ok(None)
    }

    /// Forgets a record that was begun (the leaves that follow are not its continuation).
    pub(crate) fn reset(&mut self) {
        self.open = None;
    }
}

fn parse_part(leaf: &[u8]) -> Option<(&str, u32, u32, &[u8])> {
    let end = leaf.iter().take(256).position(|b| *b == b'\n')?;
    let line = std::str::from_utf8(leaf.get(..end)?).ok()?;
    let mut words = line.strip_prefix(PART)?.strip_prefix(' ')?.split(' ');
    let id = words.next()?;
    let number: u32 = words.next()?.parse().ok()?;
    let count: u32 = words.next()?.parse().ok()?;
    let whole = words.next().is_none() && number >= 1 && number <= count && count >= 2;
    whole.then_some((id, number, count, leaf.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::super::record::{Body, EventId};
    use super::*;
    use proptest::prelude::*;

    fn record(note: &str) -> Record {
        let body = Body::Glass { session: "G-1".into(), transition: serde_json::json!({ "note": note }) };
        Record::new(EventId("E1".into()), jiff::Timestamp::UNIX_EPOCH, "n", body)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_length_comes_back(filler in "[aé€𝄞\"\\\\]{1,9}", times in 0usize..40_000) {
            let record = record(&filler.repeat(times));
            let leaves = encode(&record).unwrap();
            prop_assert!(leaves.iter().all(|l| l.len() <= MAX_LEAF && std::str::from_utf8(l).is_ok()));
            let mut assembler = Assembler::default();
            let mut whole = Vec::new();
            for leaf in &leaves {
                whole.extend(assembler.push(leaf).unwrap());
            }
            prop_assert_eq!(whole.len(), 1);
            prop_assert_eq!(serde_json::from_slice::<Record>(&whole[0]).unwrap(), record);
        }
    }

    #[test]
    fn a_missing_or_moved_part_is_noticed() {
        let leaves = encode(&record(&"x".repeat(200_000))).unwrap();
        assert_eq!(leaves.len(), 4);
        for order in [vec![1], vec![0, 2], vec![0, 1, 1], vec![0, 0]] {
            let mut assembler = Assembler::default();
            let failed = order.iter().any(|i: &usize| assembler.push(&leaves[*i]).is_err());
            assert!(failed, "{order:?}");
        }
        let mut assembler = Assembler::default();
        assert_eq!(assembler.push(&leaves[0]), Ok(None));
        assert!(assembler.push(b"{}").is_err());
    }
}
