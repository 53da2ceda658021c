//! Forms of expressions and queries.

use std::ops::Range;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::Tokenizer;

use super::tailor::{Tailor, is_sign};

impl Tailor<'_> {
    /// The keys of ROLLUP, CUBE and GROUPING SETS, beginning with the parenthesis: one that begins with a parenthesis is
    /// read as a list, and nothing behind the list. Parentheses around an expression are no part of it.
    pub(super) fn keys(&mut self, open: usize) -> Option<()> {
        let close = self.closing(open)?;
        let (mut depth, mut from) = (0, open + 1);
        for at in open + 1..=close {
            if at < close {
                depth += i32::from(self.is(at, &["(", "["])) - i32::from(self.is(at, &[")", "]"]));
            }
            if at < close && !(depth == 0 && self.is(at, &[","])) {
                continue;
            }
            let query = self.is(from + 1, &["select", "values", "with", "table"]);
            if self.is(from, &["("]) && (query || self.closing(from)? + 1 < at) {
                self.insert_before(from, "(");
                self.insert_before(at, ")");
            }
            from = at + 1;
        }
        Some(())
    }

    /// True for `t.*`, its last token at `i`, beside an operator: a row, not a list of columns.
    pub(super) fn is_operand(&self, i: usize) -> bool {
        let sign = |at: usize| self.words.get(at).is_some_and(|w| is_sign(w));
        let names = (0..i).rev().step_by(2).take_while(|dot| self.is(*dot, &["."])).count() * 2;
        let before = i.checked_sub(names + 1);
        self.is(i + 1, &["is", "isnull", "notnull", "in", "not", "between"])
            || sign(i + 1)
            || before.is_some_and(|at| sign(at) && !self.is(at, &["*"]))
    }

    /// `FOR NO KEY UPDATE`, `FOR KEY SHARE`, `... OF a, b`.
    pub(super) fn lock(&mut self, i: usize) -> Option<()> {
        let strengths: [&[&str]; 4] = [&["no", "key", "update"], &["key", "share"], &["update"], &["share"]];
        let strength = strengths.into_iter().find(|s| self.follow(i + 1, s))?;
        let mut end = i + 1 + strength.len();
        let mut several = false;
        if self.is(end, &["of"]) {
            end += 2;
            while self.is(end, &[",", "."]) {
                several |= self.is(end, &[","]);
                end += 2;
            }
        }
        if strength.len() == 1 && !several {
            return None;
        }
        let said = self.said(i, end)?.to_owned();
        let words = format!("FOR UPDATE OF {}", self.fresh("__glass_x"));
        self.replace(i, end, words.clone(), words, said);
        Some(())
    }

    /// `a = ANY (VALUES ...)`: rows that are written out are no query to the parser unless one stands before them.
    pub(super) fn rows(&mut self, i: usize) {
        let beside = i > 0
            && (self.is(i - 1, &[")", "like", "ilike"]) || self.words.get(i - 1).is_some_and(|w| is_sign(w)));
        if beside && self.is(i + 2, &["values"]) {
            let words = format!("SELECT {} UNION ALL ", self.fresh("__glass_x"));
            self.insert_before(i + 2, &words);
            self.back.push((words, String::new()));
        }
    }

    /// `a <@ ANY (...)`, `a OPERATOR(pg_catalog.=) ANY (...)`: an operator that the parser reads there in its place.
    pub(super) fn quantified(&mut self, i: usize) -> Option<()> {
        let known =
            ["=", "<>", "!=", "<", "<=", ">", ">=", "~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*"];
        let from = if self.is(i - 1, &[")"]) {
            let open = (0..i - 1).rev().find(|j| self.is(*j, &["("]))?;
            (open > 0 && self.is(open - 1, &["operator"])).then(|| open - 1)?
        } else {
            (is_sign(self.words.get(i - 1)?) && !self.is(i - 1, &known)).then(|| i - 1)?
        };
        let taken = |sign: &str| {
            let begins = |(_, words): &(Range<usize>, String)| words.split(' ').next() == Some(sign);
            self.words.iter().any(|w| w == sign) || self.edits.iter().any(begins)
        };
        let spare = ["!~~*", "!~*", "!~"].into_iter().find(|s| !taken(s))?;
        let quantifier = self.words.get(i)?.to_ascii_uppercase();
        let said = format!("{} {quantifier}(", self.said(from, i)?);
        let words = format!("{spare} {quantifier}(");
        self.replace(from, i + 2, words.clone(), words, said);
        Some(())
    }

    /// True for an operator that the parser reads as two: `===`, `@@@`, `*=`.
    pub(super) fn is_torn(&self, i: usize) -> bool {
        let word = self.words.get(i).map_or("", String::as_str);
        let torn = || Tokenizer::new(&PostgreSqlDialect {}, word).tokenize().map_or(true, |t| t.len() != 1);
        word.len() > 1 && is_sign(word) && !self.is(i + 1, &["any", "some", "all"]) && torn()
    }

    /// A window's frame with EXCLUDE.
    pub(super) fn frame(&mut self, i: usize) -> Option<()> {
        let mut depth = 0;
        let start = (0..i).rev().find(|j| {
            depth += i32::from(self.is(*j, &[")", "]"])) - i32::from(self.is(*j, &["(", "["]));
            depth < 0 || (depth == 0 && self.is(*j, &["rows", "range", "groups"]))
        })?;
        if depth < 0 {
            return None;
        }
        let end = i + if self.is(i + 1, &["current", "no"]) { 3 } else { 2 };
        if !self.plain(start, end) {
            return None;
        }
        let mut depth = 0;
        let sorted = (0..start)
            .rev()
            .take_while(|j| {
                depth += i32::from(self.is(*j, &[")", "]"])) - i32::from(self.is(*j, &["(", "["]));
                depth >= 0
            })
            .any(|j| self.is(j, &["by"]));
        let said = self.said(start, end)?.to_owned();
        let name = self.fresh("__glass_x");
        let words = if sorted { format!(", {name}") } else { format!("PARTITION BY {name}") };
        self.replace(start, end, words.clone(), words, format!(" {said}"));
        Some(())
    }

    /// `RANGE '3 days' PRECEDING`: a constant without a type before the token, which would be read as an interval.
    pub(super) fn offset(&mut self, i: usize) -> Option<()> {
        let constant = self.words.get(i - 1)?.starts_with('\'');
        let begins = self.is(i - 2, &["range", "rows", "groups", "between", "and"]);
        let mut depth = 0;
        let excludes = (i + 1..self.words.len())
            .take_while(|j| {
                depth += i32::from(self.is(*j, &["(", "["])) - i32::from(self.is(*j, &[")", "]"]));
                depth >= 0
            })
            .any(|j| self.is(j, &["exclude"]));
        // With EXCLUDE the whole frame is replaced.
        if constant && begins && !excludes {
            self.opaque(i - 1, i)?;
        }
        Some(())
    }

    /// `a::text COLLATE "C"`: the type with its collation becomes the name of one type.
    pub(super) fn collated_type(&mut self, i: usize) -> Option<()> {
        let of_a_type = |w: &String| {
            w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                || matches!(w.as_str(), "." | "(" | ")" | ",")
        };
        let from = (0..i).rev().take(16).take_while(|j| self.words.get(*j).is_some_and(of_a_type)).last()?;
        if from == 0 || !self.is(from - 1, &["::"]) {
            return None;
        }
        let end = if self.is(i + 2, &["."]) { i + 4 } else { i + 2 };
        self.opaque(from, end)
    }

    /// SEARCH and CYCLE behind a WITH query.
    pub(super) fn traversal(&mut self, i: usize) -> Option<()> {
        let mut end = i;
        while self.is(end, &["search", "cycle"]) {
            let last = if self.is(end, &["search"]) { "set" } else { "using" };
            end = (end..self.words.len()).find(|j| self.is(*j, &[last]))? + 2;
        }
        if !self.plain(i, end) {
            return None;
        }
        let said = self.said(i, end)?.to_owned();
        // A recursive query has no ORDER BY of its own.
        let words = format!(" ORDER BY {})", self.fresh("__glass_x"));
        self.replace(i - 1, end, words.clone(), words, format!(") {said}"));
        Some(())
    }
}
