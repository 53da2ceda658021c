//! Where in the client's text that is which a refusal speaks of: the names and key words of its message are looked for
//! among the tokens of the statement. A place that is not certain is not told.

use std::ops::Range;
use std::sync::Arc;

use super::Verdict;
use super::planner::Planned;
use crate::policy::{GlsCode, Refusal};

/// Longest text that is looked through, bytes.
const LONGEST: usize = 64 * 1024;

/// Words of our messages that stand there as words of SQL and say nothing of a place.
const OUR_WORDS: [&str; 5] = ["SQL", "PostgreSQL", "UTF8", "FROM", "WHERE"];

/// What stands before the name of a relation.
const BEFORE_RELATIONS: [&str; 11] =
    ["from", "join", "into", "update", "only", "table", "using", "on", "copy", ",", "("];

/// Says of each refusal where in the text that is which it speaks of.
pub(super) fn refusals(planned: &mut Planned, text: &str) {
    let mut from = 0;
    for statement in &mut planned.statements {
        let Some(at) = text.get(from..).and_then(|rest| rest.find(&*statement.text)) else { return };
        let place = from + at..from + at + statement.text.len();
        from = place.end;
        if let Verdict::Refused(refusal) = &statement.verdict
            && refusal.position.is_none()
            && let Some(position) = position(refusal, text, place)
            && let Verdict::Refused(refusal) = &mut Arc::make_mut(statement).verdict
        {
            refusal.position = Some(position);
        }
    }
}

/// The position of that which the refusal of this statement names, in characters of `text` from 1; `statement` is where
/// its own text stands there, in bytes.
fn position(refusal: &Refusal, text: &str, statement: Range<usize>) -> Option<usize> {
    let own = text.get(statement.clone())?;
    if own.len() > LONGEST || !matches!(refusal.code, GlsCode::CannotGuard | GlsCode::NotMapped) {
        return None;
    }
    let tokens = tokens(own)?;
    let at = subjects(&refusal.message).find_map(|subject| subject.find(&tokens))?;
    Some(text.get(..statement.start + at)?.chars().count() + 1)
}

/// A token, as it is compared, and where it begins.
struct Token {
    word: String,
    start: usize,
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let scanned = pg_query::scan(text).ok()?;
    let token = |start: i32, end: i32| {
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
        let raw = text.get(start..end)?;
        let quoted = raw.strip_prefix('"').and_then(|r| r.strip_suffix('"'));
        let word = quoted.map_or_else(|| raw.to_ascii_lowercase(), |name| name.replace("\"\"", "\""));
        Some(Token { word, start })
    };
    scanned.tokens.iter().map(|t| token(t.start, t.end)).collect()
}

/// What a message speaks of.
#[derive(Debug, PartialEq, Eq)]
enum Subject<'a> {
    Function(&'a str),
    Relation(&'a str),
    /// A key word or another name.
    Word(&'a str),
}

/// What the message names, in its order: `function x`, `relation s.x`, `TABLESAMPLE`, `clinic.patient`.
fn subjects(message: &str) -> impl Iterator<Item = Subject<'_>> {
    let words: Vec<&str> = message
        .split(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | ';' | ':' | '(' | ')' | '\'' | '`'))
        .filter(|w| !w.is_empty())
        .collect();
    let subject = |i: usize| {
        let word = *words.get(i)?;
        let last = word.trim_end_matches('.').rsplit('.').next().unwrap_or(word);
        let capitals = word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase());
        match i.checked_sub(1).and_then(|before| words.get(before)).copied() {
            Some("function") => Some(Subject::Function(last)),
            Some("relation") => Some(Subject::Relation(last)),
            Some("setting" | "column" | "parameter" | "startup" | "name") => Some(Subject::Word(last)),
            _ if word.contains('.') && !word.ends_with('.') => Some(Subject::Relation(last)),
            _ if capitals && !OUR_WORDS.contains(&word) => Some(Subject::Word(last)),
            _ => None,
        }
    };
    let found: Vec<Subject<'_>> = (0..words.len()).filter_map(subject).collect();
    found.into_iter()
}

impl Subject<'_> {
    /// Where it begins, when that is certain: the first call of a function, the one place where a relation is read, the
    /// one token of another name.
    fn find(&self, tokens: &[Token]) -> Option<usize> {
        let word = |i: usize| tokens.get(i).map(|t| t.word.as_str());
        let is = |i: usize, name: &str| word(i).is_some_and(|w| w == name || w == name.to_ascii_lowercase());
        match self {
            Subject::Function(name) => {
                let call = (0..tokens.len()).find(|i| is(*i, name) && word(i + 1) == Some("("))?;
                tokens.get(qualified_from(call, tokens)).map(|t| t.start)
            }
            Subject::Relation(name) => {
                let places = (0..tokens.len()).filter(|i| is(*i, name)).map(|i| qualified_from(i, tokens));
                let read = |first: &usize| {
                    let before = first.checked_sub(1).and_then(word);
                    before.is_some_and(|b| BEFORE_RELATIONS.contains(&b))
                };
                one(places.filter(read)).and_then(|i| tokens.get(i)).map(|t| t.start)
            }
            Subject::Word(name) => {
                one((0..tokens.len()).filter(|i| is(*i, name))).and_then(|i| tokens.get(i)).map(|t| t.start)
            }
        }
    }
}

/// The first token of a qualified name whose last one this is.
fn qualified_from(mut last: usize, tokens: &[Token]) -> usize {
    while last >= 2 && tokens.get(last - 1).is_some_and(|t| t.word == ".") {
        last -= 2;
    }
    last
}

/// The only one, if there is exactly one.
fn one<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(message: &str, text: &str) -> Option<usize> {
        position(&Refusal::new(GlsCode::CannotGuard, message), text, 0..text.len())
    }

    #[test]
    fn functions_are_found_where_they_are_called() {
        let message = "function pg_sleep is not allowed for role nurse";
        assert_eq!(at(message, "SELECT pg_sleep, Pg_Catalog.PG_SLEEP(1)"), Some(18));
        assert_eq!(at(message, "SELECT 'äöü', \"pg_sleep\" (1)"), Some(15));
        assert_eq!(at(message, "SELECT 'pg_sleep(1)'"), None);
    }

    #[test]
    fn relations_are_found_where_they_are_read_and_only_once() {
        let message = "relation clinic.x is neither mapped to patients nor declared free of them";
        assert_eq!(at(message, "SELECT x.a FROM clinic.x"), Some(17));
        assert_eq!(at(message, "SELECT x.a FROM y JOIN x USING (a)"), Some(24));
        assert_eq!(at(message, "SELECT 1 FROM x, clinic.x y"), None);
    }

    #[test]
    fn key_words_are_found_where_there_is_one() {
        let message = "this statement cannot be guarded: TABLESAMPLE with a method that is not built in";
        assert_eq!(at(message, "SELECT 1 FROM t TABLESAMPLE x(1)"), Some(17));
        assert_eq!(at(message, "SELECT 1 FROM t TABLESAMPLE x(1), u TABLESAMPLE x(1)"), None);
        assert_eq!(at("this statement cannot be guarded: x", "SELECT x"), None);
    }

    #[test]
    fn positions_count_from_the_beginning_of_the_message() {
        let text = "SELECT 'ä'; SELECT pg_sleep(1)";
        let refusal = Refusal::new(GlsCode::CannotGuard, "function pg_sleep is not allowed for role nurse");
        assert_eq!(position(&refusal, text, 13..text.len()), Some(20));
    }
}
