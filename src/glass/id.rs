//! Names of sessions and connections. Not for secrets: a session id is an address, and what a
//! user may do with a session is decided by who asks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One client connection of this run of the proxy. Numbers start again with every run, which is
/// why nothing bound to a connection outlives a restart ([`super::Desk::restarted`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

/// A break-glass session's name: `G-` and 8 characters of Crockford base32 (40 bits), which has no
/// I, L, O and U and so survives being read out on a telephone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DIGITS: u32 = 8;

impl SessionId {
    /// The id of the low 40 bits of `random`.
    pub fn from_random(random: u64) -> Self {
        let digits = (0..DIGITS).rev().map(|i| char::from(ALPHABET[(random >> (5 * i)) as usize & 31]));
        Self(format!("G-{}", digits.collect::<String>()))
    }

    /// Reads an id as people type it: any case, `O` for 0, `I` and `L` for 1, the `G-` left out.
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        let body = upper.strip_prefix("G-").unwrap_or(&upper);
        let digits: Option<String> = body
            .chars()
            .map(|c| match c {
                'O' => Some('0'),
                'I' | 'L' => Some('1'),
                c => c.is_ascii().then_some(c).filter(|c| ALPHABET.contains(&(*c as u8))),
            })
            .collect();
        digits.filter(|d| d.len() == DIGITS as usize).map(|d| Self(format!("G-{d}")))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl TryFrom<String> for SessionId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no break-glass session id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_a_sloppy_reader() {
        let id = SessionId::from_random(0x01_0203_0405);
        assert_eq!(id.to_string(), "G-04106105");
        assert_eq!(SessionId::parse("g-o4i06lO5"), Some(id.clone()));
        assert_eq!(SessionId::parse(" 04106105 "), Some(id));
        for bad in ["", "G-", "G-7KQ2", "G-0410610U", "G-041061055", "G-0410610é"] {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_bit_counts() {
        let ids: std::collections::HashSet<_> = (0..40).map(|b| SessionId::from_random(1 << b)).collect();
        assert_eq!(ids.len(), 40);
        assert_eq!(SessionId::from_random(1 << 40), SessionId::from_random(0));
    }
}
