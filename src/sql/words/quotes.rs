//! Names in quotes: words that the rewriter's parser takes for keywords of other dialects, or that PostgreSQL takes for
//! names where that does not (`FROM t open`, `FROM t AS p (settings)`). Which words are names is asked of PostgreSQL's own
//! grammar: in quotes, a name reads the same and a keyword does not. Nothing has to trust this.

use std::collections::BTreeSet;
use std::ops::Range;

use pg_query::protobuf::{KeywordKind, Token};
use sqlparser::keywords::ALL_KEYWORDS;

/// Bytes that are parsed to find names, for one text.
const MOST_PARSED: usize = 1 << 17;

struct Word {
    place: Range<usize>,
    kind: KeywordKind,
    /// It could be the name of a function or of a type, whose unquoted names the rewriter knows.
    known: bool,
}

/// `text` with quotes around names, in one form or two; none when there is nothing to quote. `same` tells whether
/// PostgreSQL reads a text as this one.
pub(in crate::sql) fn quoted(text: &str, same: impl Fn(&str) -> bool) -> Vec<String> {
    let words = words(text).unwrap_or_default();
    // Another keyword for the parser than for PostgreSQL, or a keyword for both that is a name here.
    let (sure, perhaps): (Vec<&Word>, Vec<&Word>) =
        words.iter().partition(|w| w.kind == KeywordKind::NoKeyword);
    let mut left = MOST_PARSED.checked_div(text.len()).unwrap_or_default();
    let mut all = sure;
    // Most are all names or all keywords: halves are asked about before each alone.
    let mut todo = vec![perhaps.as_slice()];
    while let Some(some) = todo.pop().filter(|_| left > 0) {
        left -= 1;
        if same(&in_quotes(text, some)) {
            all.extend_from_slice(some);
        } else if some.len() > 1 {
            let (first, second) = some.split_at(some.len() / 2);
            todo.extend([second, first]);
        }
    }
    let few: Vec<&Word> = all.iter().copied().filter(|w| !w.known).collect();
    let mut found = Vec::new();
    for names in [few, all] {
        let made = in_quotes(text, &names);
        if made != text && !found.contains(&made) && same(&made) {
            found.push(made);
        }
    }
    found
}

/// The words that the parser knows.
fn words(text: &str) -> Option<Vec<Word>> {
    let scanned = pg_query::scan(text).ok()?;
    let place = |i: usize| {
        let token = scanned.tokens.get(i)?;
        Some(usize::try_from(token.start).ok()?..usize::try_from(token.end).ok()?)
    };
    let said = |i: usize| place(i).and_then(|p| text.get(p)).unwrap_or_default();
    let mut found = Vec::new();
    for (i, token) in scanned.tokens.iter().enumerate() {
        let upper = said(i).to_ascii_uppercase();
        if ALL_KEYWORDS.binary_search(&upper.as_str()).is_err() {
            continue;
        }
        let before = i.checked_sub(1).map(said).unwrap_or_default();
        let type_of_a_constant =
            scanned.tokens.get(i + 1).is_some_and(|t| matches!(t.token(), Token::Sconst | Token::Usconst));
        let kind = token.keyword_kind();
        let named = before == "." || before.eq_ignore_ascii_case("as");
        let ends = matches!(said(i + 1), "" | "," | ")" | ";") || said(i + 1).eq_ignore_ascii_case("from");
        if type_of_a_constant || (kind == KeywordKind::ReservedKeyword && !named && !ends) {
            continue;
        }
        let known = before == "::" || said(i + 1) == "(";
        found.push(Word { place: place(i)?, kind, known });
    }
    Some(found)
}

fn in_quotes(text: &str, names: &[&Word]) -> String {
    let places: BTreeSet<(usize, usize)> = names.iter().map(|w| (w.place.start, w.place.end)).collect();
    let mut out = String::with_capacity(text.len() + 2 * places.len());
    let mut at = 0;
    for (start, end) in places {
        let lower = text.get(start..end).unwrap_or_default().to_ascii_lowercase();
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push_str(&format!("\"{lower}\""));
        at = end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parse_ours;

    /// As `quoted`, with PostgreSQL's own answer.
    fn forms(text: &str) -> Vec<String> {
        let root = |sql: &str| parse_ours(sql).ok().map(|mut p| p.statements.remove(0).root);
        quoted(text, |other| root(other) == root(text))
    }

    #[test]
    fn names_are_quoted_and_keywords_are_not() {
        for (text, want) in [
            ("SELECT a FROM t open", r#"SELECT a FROM t "open""#),
            ("SELECT Settings.a FROM t AS Settings", r#"SELECT "settings".a FROM t AS "settings""#),
            (
                "SELECT a AS select, b AS \"Top\" FROM t top",
                r#"SELECT a AS "select", b AS "Top" FROM t "top""#,
            ),
            (
                "SELECT year FROM t WHERE interval '1' year > x",
                r#"SELECT "year" FROM t WHERE interval '1' year > x"#,
            ),
            ("SELECT date '2020-01-01', pivot FROM t", r#"SELECT date '2020-01-01', "pivot" FROM t"#),
            (
                "SELECT count(*), a::int, a::date FROM t sample",
                r#"SELECT count(*), a::int, a::date FROM t "sample""#,
            ),
            ("UPDATE t SET set = 1", r#"UPDATE t SET "set" = 1"#),
        ] {
            assert_eq!(forms(text).first().map(String::as_str), Some(want), "{text}");
        }
        assert_eq!(forms("SELECT a FROM t format (b)"), [r#"SELECT a FROM t "format" (b)"#]);
        assert!(forms("SELECT a FROM t WHERE b IN (SELECT c FROM u)").is_empty());
    }

    #[test]
    fn a_long_text_is_not_parsed_for_each_of_its_words() {
        let text = format!("SELECT {} FROM t", vec!["year"; 4_000].join(", "));
        let asked = std::cell::Cell::new(0);
        quoted(&text, |_| {
            asked.set(asked.get() + 1);
            false
        });
        assert!(asked.get() * text.len() <= MOST_PARSED + 3 * text.len(), "{}", asked.get());
    }
}
