//! Frames: how leaves, batch trailers and a segment's header lie in a file. Bytes in, bytes out.
//!
//! ```text
//! 0   magic "pgGL"            8   length of the payload, u32     16  index, u64
//! 4   version 1               12  CRC32C, u32, over bytes 0..12, 24  payload
//! 5   kind                        16..24 and the payload         ..  zeros up to a multiple of 8
//! 6   zero, u16                   (all numbers little-endian)
//! ```
//! `index` is the leaf's index in a leaf, the next leaf's index in a header and a trailer. The
//! CRC finds accidents; what proves the leaves is the Merkle tree.

use super::merkle::Hash;

/// First bytes of every frame.
pub(crate) const MAGIC: [u8; 4] = *b"pgGL";
/// Bytes before the payload.
pub(crate) const HEADER: usize = 24;
/// Most bytes of a payload of any kind.
pub(crate) const MAX_PAYLOAD: usize = super::leaf::MAX_LEAF;
/// Frames start at multiples of this.
pub(crate) const ALIGN: u64 = 8;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first frame of a segment.
    Header,
    /// A leaf of the tree.
    Leaf,
    /// The end of a batch: everything before it was written in one flush.
    Trailer,
}

impl Kind {
    fn to_byte(self) -> u8 {
        match self {
            Kind::Header => 1,
            Kind::Leaf => 2,
            Kind::Trailer => 3,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Kind::Header),
            2 => Some(Kind::Leaf),
            3 => Some(Kind::Trailer),
            _ => None,
        }
    }
}

/// The first 24 bytes of a frame, understood but not yet trusted: the CRC needs the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) length: usize,
    pub(crate) index: u64,
    crc: u32,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFrame {
    #[error("no frame begins here")]
    Magic,
    #[error("frame version {0} is not known")]
    Version(u8),
    #[error("frame kind {0} is not known")]
    Kind(u8),
    #[error("a reserved byte is not zero")]
    Reserved,
    #[error("payload length {0} is out of range")]
    Length(u32),
    #[error("checksum does not match")]
    Checksum,
    #[error("padding is not zero")]
    Padding,
    #[error("the frame is cut off")]
    Short,
}

/// Zero bytes that follow a payload of this length.
fn padding(length: usize) -> usize {
    length.next_multiple_of(ALIGN as usize) - length
}

fn checksum(head: &[u8; HEADER], payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&head[..12]);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &head[16..]), payload)
}

/// Appends a frame to `out`. The caller keeps payloads within [`MAX_PAYLOAD`].
pub(crate) fn encode(out: &mut Vec<u8>, kind: Kind, index: u64, payload: &[u8]) {
    let mut head = [0u8; HEADER];
    head[..4].copy_from_slice(&MAGIC);
    head[4] = 1;
    head[5] = kind.to_byte();
    head[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[16..].copy_from_slice(&index.to_le_bytes());
    let crc = checksum(&head, payload);
    head[12..16].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.resize(out.len() + padding(payload.len()), 0);
}

fn u32_at(bytes: &[u8; HEADER], at: usize) -> u32 {
    let mut n = [0; 4];
    n.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(n)
}

impl Head {
    /// Understands the first 24 bytes of a frame.
    pub(crate) fn parse(bytes: &[u8; HEADER]) -> Result<Self, BadFrame> {
        if bytes[..4] != MAGIC {
            return Err(BadFrame::Magic);
        }
        if bytes[4] != 1 {
            return Err(BadFrame::Version(bytes[4]));
        }
        let kind = Kind::from_byte(bytes[5]).ok_or(BadFrame::Kind(bytes[5]))?;
        if bytes[6] != 0 || bytes[7] != 0 {
            return Err(BadFrame::Reserved);
        }
        let length = u32_at(bytes, 8);
        if length as usize > MAX_PAYLOAD {
            return Err(BadFrame::Length(length));
        }
        let mut index = [0; 8];
        index.copy_from_slice(&bytes[16..]);
        Ok(Self { kind, length: length as usize, index: u64::from_le_bytes(index), crc: u32_at(bytes, 12) })
    }

    /// Bytes that follow the first 24: payload and padding.
    pub(crate) fn rest(&self) -> usize {
        self.length + padding(self.length)
    }

    /// Checks payload and padding (`rest` bytes) against the first 24 bytes.
    pub(crate) fn check(&self, bytes: &[u8; HEADER], rest: &[u8]) -> Result<(), BadFrame> {
        let payload = rest.get(..self.length).ok_or(BadFrame::Short)?;
        if checksum(bytes, payload) != self.crc {
            return Err(BadFrame::Checksum);
        }
        if rest[self.length..].iter().any(|b| *b != 0) {
            return Err(BadFrame::Padding);
        }
        Ok(())
    }
}

/// What a batch trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// Index of the batch's first leaf.
    pub(crate) first: u64,
    /// Index of the leaf after its last: the size of the tree.
    pub(crate) next: u64,
    /// When it was written, microseconds since the Unix epoch; never before the trailer before it.
    pub(crate) time_us: i64,
    /// Root of the tree of `next` leaves.
    pub(crate) root: Hash,
}

impl Trailer {
    /// Appends the trailer as a frame.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut payload = [0u8; 48];
        payload[..8].copy_from_slice(&self.first.to_le_bytes());
        payload[8..16].copy_from_slice(&self.time_us.to_le_bytes());
        payload[16..].copy_from_slice(&self.root);
        encode(out, Kind::Trailer, self.next, &payload);
    }

    /// Understands a trailer's payload.
    pub(crate) fn parse(index: u64, payload: &[u8]) -> Option<Self> {
        let payload: &[u8; 48] = payload.try_into().ok()?;
        let (mut first, mut time, mut root) = ([0; 8], [0; 8], [0; 32]);
        first.copy_from_slice(&payload[..8]);
        time.copy_from_slice(&payload[8..16]);
        root.copy_from_slice(&payload[16..]);
        Some(Self { first: u64::from_le_bytes(first), next: index, time_us: i64::from_le_bytes(time), root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Result<(Head, Vec<u8>), BadFrame> {
        let head: &[u8; HEADER] =
            bytes.get(..HEADER).and_then(|h| h.try_into().ok()).ok_or(BadFrame::Short)?;
        let parsed = Head::parse(head)?;
        let rest = bytes.get(HEADER..HEADER + parsed.rest()).ok_or(BadFrame::Short)?;
        parsed.check(head, rest)?;
        Ok((parsed, rest[..parsed.length].to_vec()))
    }

    proptest! {
        #[test]
        fn comes_back_and_no_changed_bit_does(
            payload in prop::collection::vec(any::<u8>(), 0..200), index: u64, at: prop::sample::Index, bit in 0u8..8,
        ) {
            let mut bytes = Vec::new();
            encode(&mut bytes, Kind::Leaf, index, &payload);
            prop_assert_eq!(bytes.len() % 8, 0);
            let (head, back) = decode(&bytes).unwrap();
            prop_assert_eq!((head.kind, head.index, back), (Kind::Leaf, index, payload));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn a_trailer_comes_back() {
        let trailer = Trailer { first: 3, next: 9, time_us: -5, root: [7; 32] };
        let mut bytes = Vec::new();
        trailer.encode(&mut bytes);
        let (head, payload) = decode(&bytes).unwrap();
        assert_eq!(Trailer::parse(head.index, &payload), Some(trailer));
        assert_eq!(Trailer::parse(1, b"short"), None);
    }
}
