//! A text as PostgreSQL's scanner cuts it, and what is to be replaced in it. Not for what stands for what.

use std::ops::Range;

use super::OPAQUE;
use crate::catalog::Catalog;

/// True for an operator.
pub(super) fn is_sign(word: &str) -> bool {
    word.bytes().all(|b| b"+-*/<>=~!@#%^&|`?".contains(&b))
}

pub(super) struct Tailor<'a> {
    pub(super) text: &'a str,
    pub(super) places: Vec<Range<usize>>,
    pub(super) words: Vec<String>,
    pub(super) catalog: &'a Catalog,
    pub(super) edits: Vec<(Range<usize>, String)>,
    pub(super) back: Vec<(String, String)>,
    /// Tokens before this one are replaced already.
    pub(super) behind: usize,
}

impl Tailor<'_> {
    pub(super) fn is(&self, i: usize, words: &[&str]) -> bool {
        self.words.get(i).is_some_and(|w| words.contains(&w.as_str()))
    }

    pub(super) fn follow(&self, i: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, w)| self.is(i + n, &[w]))
    }

    /// The tokens `from..to`, in the client's words.
    pub(super) fn said(&self, from: usize, to: usize) -> Option<&str> {
        self.text.get(self.span(from, to)?)
    }

    pub(super) fn span(&self, from: usize, to: usize) -> Option<Range<usize>> {
        Some(self.places.get(from)?.start..self.places.get(to.checked_sub(1)?)?.end)
    }

    pub(super) fn fresh(&mut self, prefix: &str) -> String {
        format!("{prefix}{}_", self.back.len() + 1)
    }

    /// Replaces the tokens `from..to`; `find` is how it will be printed, `put` what comes back.
    pub(super) fn replace(&mut self, from: usize, to: usize, words: String, find: String, put: String) {
        if let Some(span) = self.span(from, to) {
            self.edits.push((span, words));
            self.back.push((find, put));
            self.behind = self.behind.max(to);
        }
    }

    pub(super) fn insert_before(&mut self, i: usize, words: &str) {
        let at = self.places.get(i).map_or(self.text.len(), |p| p.start);
        self.edits.push((at..at, words.to_owned()));
    }

    /// The token that closes the parenthesis at `open`.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0;
        for i in open..self.words.len() {
            match self.words.get(i).map(String::as_str) {
                Some("(" | "[") => depth += 1,
                Some(")" | "]") => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(i);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// True when nothing in the tokens has to be looked into: no subquery, no parameter, no name of three
    /// parts, no call of what merges rows or gives another value every time.
    pub(super) fn plain(&self, from: usize, to: usize) -> bool {
        self.parameters(from, to).is_some_and(|parameters| parameters.is_empty())
    }

    /// The parameters in the tokens, each as often as it stands there, when nothing else has to be looked into.
    pub(super) fn parameters(&self, from: usize, to: usize) -> Option<Vec<&str>> {
        let clean = |i: usize| {
            let word = self.words.get(i).map_or("", String::as_str);
            let call = self.is(i + 1, &["("]) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let long = self.is(i + 1, &["."]) && self.is(i + 3, &["."]);
            let known = || self.catalog.functions.get(word).map_or(&[][..], Vec::as_slice);
            let merges = call && known().iter().any(|f| f.kind != 'f' || f.volatility == 'v');
            let looked_into = matches!(word, "select" | "table" | "values" | "with" | "over" | "filter");
            let dollar = word.strip_prefix('$');
            let quoted = dollar.is_some_and(|d| d.is_empty() || !d.bytes().all(|b| b.is_ascii_digit()));
            !(looked_into || merges || long || quoted)
        };
        let words = self.words.get(from..to)?;
        let parameters = words.iter().filter(|w| w.starts_with('$')).map(String::as_str).collect();
        (from..to).all(clean).then_some(parameters)
    }

    /// One name in place of an expression.
    pub(super) fn opaque(&mut self, from: usize, to: usize) -> Option<()> {
        let said = self.said(from, to)?.to_owned();
        let name = self.fresh(OPAQUE);
        self.replace(from, to, name.clone(), name, said);
        Some(())
    }
}
