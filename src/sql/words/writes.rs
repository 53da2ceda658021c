//! Forms of INSERT and UPDATE.

use super::tailor::Tailor;
use crate::catalog::{QualifiedName, quote_ident};

impl Tailor<'_> {
    /// What ON CONFLICT goes by, beginning with its parenthesis: names stand for expressions, for columns with a
    /// collation or an operator class, and for the condition of a partial index.
    pub(super) fn arbiter(&mut self, open: usize) -> Option<()> {
        let close = self.closing(open)?;
        let mut depth = 0;
        let end = (close + 1..self.words.len()).find(|j| {
            depth += i32::from(self.is(*j, &["(", "["])) - i32::from(self.is(*j, &[")", "]"]));
            depth == 0 && self.is(*j, &["do"]) && self.is(j + 1, &["nothing", "update"])
        })?;
        if !self.plain(open + 1, end) {
            return None;
        }
        let mut from = open + 1;
        for at in open + 1..=close {
            depth += i32::from(self.is(at, &["(", "["])) - i32::from(self.is(at, &[")", "]"]));
            if at < close && !(depth == 0 && self.is(at, &[","])) {
                continue;
            }
            if at > from + 1 {
                let (name, said) = (self.fresh("__glass_x"), self.said(from, at)?.to_owned());
                self.replace(from, at, name.clone(), name, said);
            }
            from = at + 1;
        }
        if end > close + 1 {
            let name = self.fresh("__glass_x");
            let (words, said) = (format!(", {name}) "), self.said(close, end)?.to_owned());
            self.replace(close, end, words, format!(", {name})"), said);
        }
        Some(())
    }

    /// OVERRIDING ... VALUE without a list of columns before it: behind the list that is meant.
    pub(super) fn unlisted(&mut self, i: usize) -> Option<()> {
        let into = (i.saturating_sub(8)..i).rev().find(|j| self.is(*j, &["into"]))?;
        let name = |at: usize| {
            let word = self.said(at, at + 1)?;
            let quoted = word.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
            Some(quoted.map_or_else(|| word.to_ascii_lowercase(), |q| q.replace("\"\"", "\"")))
        };
        let (schema, table) = if self.is(into + 2, &["."]) {
            (name(into + 1), name(into + 3)?)
        } else {
            (None, name(into + 1)?)
        };
        let meant = |n: &QualifiedName| n.name == table && schema.as_ref().is_none_or(|s| n.schema == *s);
        let mut found = self.catalog.relations.values().filter(|r| meant(&r.name));
        let (Some(relation), None) = (found.next(), found.next()) else { return None };
        let mut given = relation.columns.len();
        if self.follow(i + 3, &["values", "("]) {
            let (mut depth, close) = (0, self.closing(i + 4)?);
            given = 1
                + (i + 4..close)
                    .filter(|j| {
                        depth += i32::from(self.is(*j, &["(", "["])) - i32::from(self.is(*j, &[")", "]"]));
                        depth == 1 && self.is(*j, &[","])
                    })
                    .count();
        }
        let columns: Vec<String> =
            relation.columns.iter().take(given).map(|c| quote_ident(&c.name)).collect();
        let words = format!("({}, {})", columns.join(", "), self.fresh("__glass_x"));
        let said = self.said(i, i + 3)?.to_owned();
        self.replace(i, i + 3, words.clone(), words, said);
        Some(())
    }

    /// `SET a[1] = b`: the element goes to the value, its parameters beside it.
    pub(super) fn element(&mut self, i: usize) -> Option<()> {
        let mut depth = 0;
        let open = (0..i).rev().find(|j| {
            depth += i32::from(self.is(*j, &["]"])) - i32::from(self.is(*j, &["["]));
            depth == 0 && !self.is(j - usize::from(*j > 0), &["]"])
        })?;
        let clauses = ["set", "where", "select", "from", "returning", "values", "on", "having", "by", "when"];
        let mut depth = 0;
        let clause = (0..open).rev().find(|j| {
            depth += i32::from(self.is(*j, &[")", "]"])) - i32::from(self.is(*j, &["(", "["]));
            depth < 0 || (depth == 0 && self.is(*j, &clauses))
        })?;
        if !self.is(clause, &["set"]) || open < 2 || !self.is(open - 2, &["set", ","]) {
            return None;
        }
        let mut depth = 0;
        let end = (i + 1..self.words.len())
            .find(|j| {
                let ends = depth == 0 && self.is(*j, &[",", ")", "where", "from", "returning", "when"]);
                depth += i32::from(self.is(*j, &["(", "["])) - i32::from(self.is(*j, &[")", "]"]));
                ends
            })
            .unwrap_or(self.words.len());
        if self.is(i + 1, &["default"]) {
            return None;
        }
        let parameters: String = self.parameters(open, i)?.iter().map(|p| format!("{p}, ")).collect();
        let words = format!(" = {}({parameters}", self.fresh("__glass_x"));
        let said = format!("{} = (", self.said(open, i)?);
        self.replace(open, i + 1, words.clone(), words, said);
        self.insert_before(end, ")");
        Some(())
    }

    /// `INSERT INTO t (a[1])`: a name behind the column's.
    pub(super) fn listed_element(&mut self, i: usize) -> Option<()> {
        let mut depth = 0;
        let open = (0..i).rev().find(|j| {
            depth += i32::from(self.is(*j, &["(", "["])) - i32::from(self.is(*j, &[")", "]"]));
            depth > 0
        })?;
        // INSERT INTO a.b AS c, or MERGE's INSERT.
        let insert = (open.saturating_sub(7)..open).rev().find(|j| self.is(*j, &["insert", "(", ")"]))?;
        let into = self.is(insert + 1, &["into"]) || insert + 1 == open;
        if !self.is(open, &["("]) || !self.is(insert, &["insert"]) || !into {
            return None;
        }
        let mut end = i;
        while self.is(end, &["["]) {
            end = self.closing(end)? + 1;
        }
        if self.plain(i, end) {
            let words = format!(".{}", self.fresh("__glass_x"));
            let said = self.said(i, end)?.to_owned();
            self.replace(i, end, words.clone(), words, said);
        }
        Some(())
    }

    /// Parentheses around a query without FROM before ON CONFLICT: `ON` would be read as the name of its last column.
    pub(super) fn source(&mut self, on: usize) -> Option<()> {
        let (mut depth, mut begins, mut from) = (0, None, false);
        for j in (0..on).rev() {
            depth += i32::from(self.is(j, &[")", "]"])) - i32::from(self.is(j, &["(", "["]));
            if depth < 0 || (depth == 0 && self.is(j, &["into"])) {
                break;
            }
            if depth == 0 && self.is(j, &["select", "with"]) {
                begins = Some(j);
            }
            // Of the last query of a UNION.
            from |= depth == 0 && begins.is_none() && self.is(j, &["from", "values"]);
        }
        let begins = begins.filter(|_| !from)?;
        self.insert_before(begins, "(");
        self.insert_before(on, ") ");
        Some(())
    }
}
