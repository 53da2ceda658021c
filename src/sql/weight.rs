//! How much memory the parse of a text will take, told from its tokens before it is parsed. Not for
//! what the text means.
//!
//! libpg_query's tree arrives as protobuf messages whose nodes are 608 bytes each, and a list of
//! one has room for four. Measured: 3.6 MB of `(1),(1),...` took 2.7 GB, and one such text per
//! session ends a machine. So texts beyond a limit are refused, and heavy ones are parsed one at a
//! time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pg_query::protobuf::{KeywordKind, ScanToken};

/// Shorter texts, in bytes, are not weighed: none takes more than about 100 MB.
const NOT_WEIGHED: usize = 64 * 1024;

/// Heavier texts, in estimated bytes, are refused. 290,000 rows of one constant or 880,000
/// elements of an IN list are below it.
const MOST: usize = 1 << 30;

/// Longer texts, in bytes, must have fewer tokens than this even by [`most_tokens`]: telling them apart exactly
/// takes about 100 bytes each. It is large values that make a statement longer, not words.
const MOST_TOKENS: usize = 4 << 20;

/// Times that the bytes of a text are there while it is parsed: the parser's, its message's, its trees', the statement's.
const COPIES: usize = 8;

/// From this estimate on a text is parsed while no other such text is.
const HEAVY: usize = 64 << 20;

/// Bytes of a node.
const NODE: usize = 608;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The text is too heavy to be parsed.
#[derive(Debug)]
pub(super) struct TooHeavy {
    /// How many tokens it has.
    pub(super) tokens: usize,
}

/// Permission to parse `text`; to be held until its tree of protobuf messages is gone.
///
/// Waits while another heavy text is parsed (at most seconds; parsing keeps a thread busy anyway).
///
/// # Errors
/// [`TooHeavy`].
pub(super) fn admit(text: &str) -> Result<Option<MutexGuard<'static, ()>>, TooHeavy> {
    if text.len() < NOT_WEIGHED {
        return Ok(None);
    }
    if text.len() > MOST_TOKENS {
        match most_tokens(text) {
            0..MOST_TOKENS => {}
            tokens => return Err(TooHeavy { tokens }),
        }
    }
    // What cannot be split into tokens cannot be parsed either, and fails there with its message.
    let Ok(scanned) = pg_query::scan(text) else { return Ok(None) };
    let estimate: usize = scanned.tokens.iter().map(weight).sum::<usize>() + COPIES * text.len();
    match estimate {
        0..HEAVY => Ok(None),
        HEAVY..=MOST => Ok(Some(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner))),
        _ => Err(TooHeavy { tokens: scanned.tokens.len() }),
    }
}

/// More tokens than `text` can have, whatever stands in quotes or comments: two for each run of letters and digits
/// (`1a` is a number and a name), one for each other sign.
fn most_tokens(text: &str) -> usize {
    let mut tokens = 0;
    let mut in_word = false;
    for byte in text.bytes() {
        let word = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        if word {
            tokens += if in_word { 0 } else { 2 };
        } else if !byte.is_ascii_whitespace() {
            tokens += 1;
        }
        in_word = word;
    }
    tokens
}

/// The bytes that a token brings about: a parenthesis a list of four, a comma up to two places of
/// one, a name or an operator a node with a list of its own. Constants stand in a place counted.
fn weight(token: &ScanToken) -> usize {
    match (KeywordKind::try_from(token.keyword_kind), u8::try_from(token.token)) {
        (Ok(KeywordKind::ReservedKeyword), _) => NODE,
        (
            Ok(
                KeywordKind::UnreservedKeyword
                | KeywordKind::ColNameKeyword
                | KeywordKind::TypeFuncNameKeyword,
            ),
            _,
        ) => 6 * NODE,
        (_, Ok(b'(' | b'[')) => 4 * NODE,
        (_, Ok(b',')) => 2 * NODE,
        (_, Ok(b')' | b']' | b';' | b'.')) => 0,
        (_, Ok(_)) => 6 * NODE,
        (_, Err(_)) if is_constant(token) => 0,
        (_, Err(_)) => 6 * NODE,
    }
}

fn is_constant(token: &ScanToken) -> bool {
    use pg_query::protobuf::Token as T;
    matches!(
        T::try_from(token.token),
        Ok(T::Iconst
            | T::Fconst
            | T::Sconst
            | T::Bconst
            | T::Xconst
            | T::Param
            | T::SqlComment
            | T::CComment)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tokens_than_there_are() {
        for text in
            ["SELECT 1a, $1$2$3 FROM a.b--c", "1e5e5 x1 'it''s' /* a b */ <> 1.5.5", "\"a\"\"b\"é::int[]"]
        {
            if let Ok(scanned) = pg_query::scan(text) {
                assert!(scanned.tokens.len() <= most_tokens(text), "{text}");
            }
        }
    }

    #[test]
    fn what_takes_gigabytes_is_refused_and_bulk_loads_are_not() {
        let refused = |text: String| admit(&text).is_err();
        assert!(refused(format!("VALUES (1){}", ",(1)".repeat(900_000))));
        assert!(refused(format!("SELECT a{}", ",a".repeat(1_900_000))));
        assert!(refused(format!("SELECT 1 WHERE 1 IN (1{})", ",1+1".repeat(900_000))));
        assert!(!refused(format!("VALUES (1){}", ",(1)".repeat(200_000))));
        assert!(!refused(format!("SELECT 1 WHERE 1 IN (1{})", ",123456".repeat(500_000))));
        let row = ",(4711,'2024-01-01','a value of some length',NULL,17.25,'unit','F','remark')";
        assert!(!refused(format!("INSERT INTO t VALUES (1){}", row.repeat((3 << 20) / row.len()))));
        // A long text is one token, whatever stands in it.
        assert!(!refused(format!("SELECT '{}'", "a, (b), ".repeat(400_000))));
        assert!(!refused(format!("SELECT 1 /* {} */", "a, (b), ".repeat(400_000))));
        // Beyond that a text is a few large values, such as an image in hexadecimal, in base64 or as prose.
        assert!(!refused(format!("INSERT INTO t VALUES ('\\x{}', 1)", "cafe0123".repeat(1_500_000))));
        assert!(!refused(format!(
            "INSERT INTO t VALUES ('{}', 1)",
            "cafe0123abcdefghijk+ABCDEFGHIJK/".repeat(400_000)
        )));
        assert!(!refused(format!("INSERT INTO t VALUES ('{}', 1)", "many words of prose, ".repeat(400_000))));
        assert!(refused(format!("SELECT '{}'", "a, (b), ".repeat(1_000_000))));
        assert!(refused(format!("SELECT /* ' */ a{}", ",a".repeat(1_900_000))), "a quote in a comment");
    }
}
