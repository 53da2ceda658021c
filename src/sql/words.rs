//! Forms that the rewriter's parser does not know, in words that it does: tokens are replaced by
//! names of ours before it reads a text, and put back into what it prints. Whether what it prints is
//! still the client's statement is compared as PostgreSQL's trees, so nothing has to trust this. Not
//! for forms that need a guard of their own inside: what has a subquery in it is left alone.

use std::ops::Range;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::Tokenizer;

use crate::catalog::{Catalog, QualifiedName, quote_ident};
use crate::policy::RESERVED_PREFIX;

/// Stands before the name of a table read with ONLY, as one more part of it.
pub(super) const ONLY: &str = "__glass_only";

/// Names of what may read any column, a whole row, or several: nothing may be concluded from them.
const OPAQUE: &str = "__glass_o";

/// True for a name that stands for words nobody looked into.
pub(super) fn is_opaque(name: &str) -> bool {
    name.starts_with(OPAQUE) && name != ONLY
}

/// A text in the rewriter's words.
pub(super) struct Disguise {
    pub(super) text: String,
    /// What to put back, by what to look for.
    back: Vec<(String, String)>,
}

impl Disguise {
    /// A text that the rewriter printed, in the client's words.
    pub(super) fn undone(&self, printed: &str) -> String {
        let only = (format!("{ONLY}."), "ONLY ".to_owned());
        self.back.iter().chain([&only]).fold(printed.to_owned(), |text, (find, put)| text.replace(find, put))
    }
}

/// `text` in the rewriter's words; `None` when there is nothing to replace.
pub(super) fn disguised(text: &str, catalog: &Catalog) -> Option<Disguise> {
    if text.to_ascii_lowercase().contains(RESERVED_PREFIX) {
        return None;
    }
    let scanned = pg_query::scan(text).ok()?;
    let place = |t: &pg_query::protobuf::ScanToken| {
        Some(usize::try_from(t.start).ok()?..usize::try_from(t.end).ok()?)
    };
    let places: Vec<Range<usize>> = scanned.tokens.iter().map(place).collect::<Option<_>>()?;
    let words = places.iter().map(|p| text.get(p.clone()).map(str::to_ascii_lowercase));
    let words: Vec<String> = words.collect::<Option<_>>()?;
    let mut tailor = Tailor { text, places, words, catalog, edits: Vec::new(), back: Vec::new(), behind: 0 };
    for i in 0..tailor.words.len() {
        if i >= tailor.behind {
            tailor.look(i);
        }
    }
    if tailor.edits.is_empty() {
        return None;
    }
    let mut edits = tailor.edits;
    edits.sort_by_key(|(place, _)| (place.start, place.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (place, words) in &edits {
        out.push_str(text.get(at..place.start)?);
        out.push_str(words);
        at = place.end;
    }
    out.push_str(text.get(at..)?);
    Some(Disguise { text: out, back: tailor.back })
}

/// True for an operator.
fn is_sign(word: &str) -> bool {
    word.bytes().all(|b| b"+-*/<>=~!@#%^&|`?".contains(&b))
}

struct Tailor<'a> {
    text: &'a str,
    places: Vec<Range<usize>>,
    words: Vec<String>,
    catalog: &'a Catalog,
    edits: Vec<(Range<usize>, String)>,
    back: Vec<(String, String)>,
    /// Tokens before this one are replaced already.
    behind: usize,
}

/// With what a query or a write begins.
const BEGINS: [&str; 9] = ["select", "values", "with", "table", "insert", "update", "delete", "merge", "("];

const XML_AND_JSON: [&str; 13] = [
    "xmlexists",
    "xmlelement",
    "xmlforest",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmlattributes",
    "json_exists",
    "json_query",
    "json_value",
    "json_scalar",
    "json_serialize",
];

impl Tailor<'_> {
    fn is(&self, i: usize, words: &[&str]) -> bool {
        self.words.get(i).is_some_and(|w| words.contains(&w.as_str()))
    }

    fn follow(&self, i: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, w)| self.is(i + n, &[w]))
    }

    /// The tokens `from..to`, in the client's words.
    fn said(&self, from: usize, to: usize) -> Option<&str> {
        self.text.get(self.span(from, to)?)
    }

    fn span(&self, from: usize, to: usize) -> Option<Range<usize>> {
        Some(self.places.get(from)?.start..self.places.get(to.checked_sub(1)?)?.end)
    }

    fn fresh(&mut self, prefix: &str) -> String {
        format!("{prefix}{}_", self.back.len() + 1)
    }

    /// Replaces the tokens `from..to`; `find` is how it will be printed, `put` what comes back.
    fn replace(&mut self, from: usize, to: usize, words: String, find: String, put: String) {
        if let Some(span) = self.span(from, to) {
            self.edits.push((span, words));
            self.back.push((find, put));
            self.behind = self.behind.max(to);
        }
    }

    fn insert_before(&mut self, i: usize, words: &str) {
        let at = self.places.get(i).map_or(self.text.len(), |p| p.start);
        self.edits.push((at..at, words.to_owned()));
    }

    /// The token that closes the parenthesis at `open`.
    fn closing(&self, open: usize) -> Option<usize> {
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
    fn plain(&self, from: usize, to: usize) -> bool {
        let clean = |i: usize| {
            let word = self.words.get(i).map_or("", String::as_str);
            let call = self.is(i + 1, &["("]) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let long = self.is(i + 1, &["."]) && self.is(i + 3, &["."]);
            let known = || self.catalog.functions.get(word).map_or(&[][..], Vec::as_slice);
            let merges = call && known().iter().any(|f| f.kind != 'f' || f.volatility == 'v');
            let looked_into = matches!(word, "select" | "table" | "values" | "with" | "over" | "filter");
            !(looked_into || merges || long || word.starts_with('$'))
        };
        (from..to).all(clean)
    }

    fn look(&mut self, i: usize) -> Option<()> {
        match self.words.get(i)?.as_str() {
            "only" => {
                let a_table = i > 0 && !self.is(i - 1, &["row", "rows", "read"]) && i + 1 < self.words.len();
                let bracket = self.is(i + 1, &["("]);
                if !a_table || self.is(i + 1, &[")", ";", ","]) {
                    return None;
                }
                self.edits.push((self.span(i, if bracket { i + 2 } else { i + 1 })?, format!("{ONLY}.")));
                // `ONLY .name` is one name with blanks in it.
                if bracket {
                    let close = self.closing(i + 1)?;
                    self.edits.push((self.span(close, close + 1)?, String::new()));
                }
            }
            "for" => self.lock(i)?,
            "using" if self.is(i + 1, &["("]) => {
                let close = self.closing(i + 1)?;
                let plain = (i + 2..close).all(|j| !self.is(j, &["(", "select", "table", "values"]));
                if plain && self.is(close + 1, &["as"]) {
                    let alias = self.said(close + 1, close + 3)?.to_owned();
                    let name = self.fresh("__glass_x");
                    let (words, put) = (format!(", {name})"), format!(") {alias}"));
                    self.replace(close, close + 3, words.clone(), words, put);
                }
            }
            "symmetric" if i > 0 && self.is(i - 1, &["between"]) => {
                let mut depth = 0;
                let and = (i + 1..self.words.len()).find(|j| {
                    depth += i32::from(self.is(*j, &["(", "["])) - i32::from(self.is(*j, &[")", "]"]));
                    depth == 0 && self.is(*j, &["and"])
                })?;
                let name = self.fresh("__glass_x");
                self.replace(i, i + 1, format!("{name}("), name, "SYMMETRIC ".to_owned());
                self.insert_before(and, ") ");
            }
            "variadic" => {
                let mut depth = 0;
                let end = (i + 1..self.words.len()).find(|j| {
                    let ends = depth == 0 && (self.is(*j, &[")"]) || self.follow(*j, &["order", "by"]));
                    depth += i32::from(self.is(*j, &["(", "["])) - i32::from(self.is(*j, &[")", "]"]));
                    ends
                })?;
                let name = self.fresh("__glass_x");
                self.replace(i, i + 1, format!("{name}("), name, "VARIADIC ".to_owned());
                self.insert_before(end, ")");
            }
            "conflict" if i > 0 && self.is(i - 1, &["on"]) => {
                if self.is(i + 1, &["("]) {
                    self.arbiter(i + 1);
                }
                self.source(i - 1)?;
            }
            "like" | "ilike" if self.is(i + 1, &["any", "some", "all"]) && self.is(i + 2, &["("]) => {
                let not = i > 0 && self.is(i - 1, &["not"]);
                // gram.y, `subquery_Op`: they are read as these operators.
                let operator = match (not, self.is(i, &["ilike"])) {
                    (false, false) => "~~",
                    (true, false) => "!~~",
                    (false, true) => "~~*",
                    (true, true) => "!~~*",
                };
                self.edits.push((self.span(i - usize::from(not), i + 1)?, operator.to_owned()));
            }
            "any" | "some" | "all" if i > 1 && self.is(i + 1, &["("]) => self.quantified(i)?,
            "in" if self.follow(i + 1, &["(", "("]) && self.is(i + 3, &["select", "values", "with"]) => {
                // A list that begins with a subquery.
                let close = self.closing(i + 2)?;
                if self.is(close + 1, &[","]) {
                    let name = self.fresh("__glass_x");
                    self.edits.push((self.span(i + 1, i + 2)?, format!("({name}(")));
                    self.back.push((name, String::new()));
                    self.insert_before(close + 1, ")");
                }
            }
            // Columns of a function's rows without a name for them; the text of a WITH query is no such list.
            "as" if i > 0 && self.is(i - 1, &[")"]) && self.is(i + 1, &["("]) && !self.is(i + 2, &BEGINS) => {
                let name = self.fresh("__glass_x");
                self.replace(i, i + 1, format!("AS {name}"), format!("{name} "), String::new());
            }
            "document" if i > 1 && (self.is(i - 1, &["is"]) || self.follow(i - 2, &["is", "not"])) => {
                // As rare, of the same precedence, and printed as it is read.
                let words = "NFKD NORMALIZED";
                self.replace(i, i + 1, words.to_owned(), words.to_owned(), "DOCUMENT".to_owned());
            }
            "overriding" if i > 0 && self.is(i - 1, &[")"]) && self.is(i + 2, &["value"]) => {
                let name = self.fresh("__glass_x");
                let (words, said) = (format!(", {name})"), self.said(i - 1, i + 3)?.to_owned());
                self.replace(i - 1, i + 3, words.clone(), words, said);
            }
            "overriding" if i > 0 && self.is(i + 2, &["value"]) => self.unlisted(i)?,
            "=" if i > 3 && self.is(i - 1, &["]"]) => self.element(i)?,
            "[" if i > 3 && self.is(i - 2, &["(", ","]) => self.listed_element(i)?,
            "collation" if self.follow(i + 1, &["for", "("]) => {
                let name = self.fresh("__glass_x");
                self.replace(i, i + 2, name.clone(), name, "COLLATION FOR ".to_owned());
            }
            "*" if i > 0 && self.is(i - 1, &["."]) => {
                let of_a_row = i > 1 && self.is(i - 2, &[")"]);
                if of_a_row || self.is(i + 1, &["::", "typecast"]) || self.is_operand(i) {
                    let name = self.fresh(OPAQUE);
                    self.replace(i, i + 1, name.clone(), name, "*".to_owned());
                }
            }
            "distinct" if i > 1 && self.follow(i - 2, &["group", "by"]) => {
                let name = self.fresh("__glass_x");
                let words = format!("{name}, ");
                self.replace(i, i + 1, words.clone(), words, "DISTINCT ".to_owned());
            }
            "grouping" if self.follow(i + 1, &["sets", "("]) => {
                let end = self.closing(i + 2)? + 1;
                let nested = (i + 3..end).any(|j| self.is(j, &["rollup", "cube", "sets"]));
                if nested && self.plain(i + 3, end) {
                    self.opaque(i, end)?;
                }
            }
            "exclude" => self.frame(i)?,
            "preceding" | "following" if i > 1 => self.offset(i)?,
            "collate" if i > 1 => self.collated_type(i)?,
            "search" | "cycle" if i > 0 && self.is(i - 1, &[")"]) => self.traversal(i)?,
            "at" if self.is(i + 1, &["local"]) => {
                let name = self.fresh("__glass_x");
                let words = format!("AT TIME ZONE {name}");
                self.replace(i, i + 2, words.clone(), words, "AT LOCAL".to_owned());
            }
            "rows" if self.follow(i + 1, &["from", "("]) => {
                let end = self.closing(i + 2)? + 1;
                if self.plain(i + 3, end) {
                    let said = self.said(i, end)?.to_owned();
                    let words = format!("{}(0)", self.fresh(OPAQUE));
                    self.replace(i, end, words.clone(), words, said);
                }
            }
            word if self.is_torn(i) => {
                // Of the same precedence as any operator that the grammar has no word for.
                let name = format!("&#{}&", "~".repeat(self.back.len() + 1));
                let said = word.to_owned();
                self.replace(i, i + 1, name.clone(), name, said);
            }
            word if XML_AND_JSON.contains(&word) && self.is(i + 1, &["("]) => {
                let end = self.closing(i + 1)? + 1;
                if self.plain(i + 2, end) {
                    self.opaque(i, end)?;
                }
            }
            _ => {}
        }
        Some(())
    }

    /// True for `t.*`, its last token at `i`, beside an operator: a row, not a list of columns.
    fn is_operand(&self, i: usize) -> bool {
        let sign = |at: usize| self.words.get(at).is_some_and(|w| is_sign(w));
        let names = (0..i).rev().step_by(2).take_while(|dot| self.is(*dot, &["."])).count() * 2;
        let before = i.checked_sub(names + 1);
        self.is(i + 1, &["is", "isnull", "notnull", "in", "not", "between"])
            || sign(i + 1)
            || before.is_some_and(|at| sign(at) && !self.is(at, &["*"]))
    }

    /// One name in place of an expression.
    fn opaque(&mut self, from: usize, to: usize) -> Option<()> {
        let said = self.said(from, to)?.to_owned();
        let name = self.fresh(OPAQUE);
        self.replace(from, to, name.clone(), name, said);
        Some(())
    }

    /// `FOR NO KEY UPDATE`, `FOR KEY SHARE`, `... OF a, b`.
    fn lock(&mut self, i: usize) -> Option<()> {
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

    /// What ON CONFLICT goes by, beginning with its parenthesis: names stand for expressions, for columns with a
    /// collation or an operator class, and for the condition of a partial index.
    fn arbiter(&mut self, open: usize) -> Option<()> {
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
    fn unlisted(&mut self, i: usize) -> Option<()> {
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

    /// `SET a[1] = b`: the element goes to the value.
    fn element(&mut self, i: usize) -> Option<()> {
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
        if !self.plain(open, i) || self.is(i + 1, &["default"]) {
            return None;
        }
        let name = self.fresh("__glass_x");
        let said = format!("{} = ", self.said(open, i)?);
        self.replace(open, i + 1, format!(" = {name}("), format!(" = {name}"), said);
        self.insert_before(end, ")");
        Some(())
    }

    /// `INSERT INTO t (a[1])`: a name behind the column's.
    fn listed_element(&mut self, i: usize) -> Option<()> {
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
    fn source(&mut self, on: usize) -> Option<()> {
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

    /// `a <@ ANY (...)`, `a OPERATOR(pg_catalog.=) ANY (...)`: an operator that the parser reads there in its place.
    fn quantified(&mut self, i: usize) -> Option<()> {
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
    fn is_torn(&self, i: usize) -> bool {
        let word = self.words.get(i).map_or("", String::as_str);
        let torn = || Tokenizer::new(&PostgreSqlDialect {}, word).tokenize().map_or(true, |t| t.len() != 1);
        word.len() > 1 && is_sign(word) && !self.is(i + 1, &["any", "some", "all"]) && torn()
    }

    /// A window's frame with EXCLUDE.
    fn frame(&mut self, i: usize) -> Option<()> {
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
    fn offset(&mut self, i: usize) -> Option<()> {
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
    fn collated_type(&mut self, i: usize) -> Option<()> {
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
    fn traversal(&mut self, i: usize) -> Option<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_is_what_was_there() {
        for text in [
            "SELECT a FROM ONLY t AS x WHERE b BETWEEN SYMMETRIC 1 AND 2 AND c = 1",
            "SELECT f(VARIADIC a), collation for (b), (t).*, t.*::text FROM t FOR NO KEY UPDATE OF t",
            "SELECT sum(a) OVER (ORDER BY b ROWS 1 PRECEDING EXCLUDE TIES) FROM t GROUP BY DISTINCT a, b",
            "SELECT sum(a) OVER (ROWS CURRENT ROW EXCLUDE CURRENT ROW), xmlelement(name x, a), b AT LOCAL FROM t",
            "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 2 FROM r) SEARCH DEPTH FIRST BY a SET o \
             CYCLE a SET c TO 1 DEFAULT 0 USING p SELECT * FROM r JOIN s USING (a, b) AS j, ROWS FROM (f(1), g(2)) AS x",
            "SELECT a FROM t GROUP BY GROUPING SETS (ROLLUP (a, b), CUBE (c))",
            "SELECT sum(a) OVER (ORDER BY b RANGE '3 days' PRECEDING) FROM t",
            "SELECT sum(a) OVER (ORDER BY b RANGE BETWEEN '3 days' PRECEDING AND '1' FOLLOWING), sum(a) OVER (ORDER BY b RANGE \
             BETWEEN '1' PRECEDING AND '1' FOLLOWING EXCLUDE TIES) FROM t",
            "SELECT a::text COLLATE \"C\", (a || b)::varchar(10) COLLATE pg_catalog.\"C\" = 'x' FROM t ORDER BY f(a::pg_catalog.text) \
             COLLATE \"C\", a::character varying COLLATE \"C\"",
            "INSERT INTO t (a) VALUES (1) ON CONFLICT (a, lower(b) COLLATE \"C\", (c || 'x')) WHERE d = 'x' AND (e) DO NOTHING",
            "SELECT a FROM t WHERE a LIKE ALL (SELECT b FROM u) AND a NOT ILIKE SOME ('{x}') AND c <@ ANY (SELECT d FROM u) AND c && ALL ($1)",
            "SELECT a === b, a *<> c, d OPERATOR(pg_catalog.*=) e FROM t WHERE a OPERATOR(pg_catalog.=) ANY (SELECT 1) ORDER BY a USING ===",
            "SELECT a FROM t WHERE a IN ((SELECT 1), (SELECT 2), 3) AND b IS NOT DOCUMENT",
            "SELECT a FROM t, f('{}') AS (a int, b text), g('x') AS x (c int) WHERE a = b",
            "INSERT INTO s.t AS x (a, b[1], c[1:2]['x'], b[2]) VALUES (1, 2, 3, ARRAY[4, e[5]]) ON CONFLICT DO NOTHING RETURNING (b[1])",
            "MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED THEN INSERT (a, b[1]) VALUES (u.a, u.b[1])",
            "UPDATE t SET a[1] = 'x', b = c[2], d[1:2][3] = f(a[1], 2) FROM u WHERE a[1] = c[1] RETURNING a[1]",
            "INSERT INTO t AS x (a, b) OVERRIDING SYSTEM VALUE SELECT 1, 2 ON CONFLICT (a text_ops) DO UPDATE SET b = 2 WHERE x.a > 1",
        ] {
            let tree =
                |sql: &str| crate::sql::parse::parse_ours(sql).expect("parses").statements.remove(0).root;
            let disguise = disguised(text, &Catalog::default()).expect("something to replace");
            assert_eq!(tree(&disguise.undone(&disguise.text)), tree(text), "{}", disguise.text);
        }
        for text in [
            "INSERT INTO t SELECT 1, 'x' ON CONFLICT DO NOTHING",
            "INSERT INTO t SELECT a FROM u UNION SELECT 2 ON CONFLICT DO NOTHING",
            "INSERT INTO t (a) WITH x AS (SELECT 1) SELECT 2 ON CONFLICT (a) DO NOTHING",
        ] {
            let disguise = disguised(text, &Catalog::default()).expect("something to replace");
            assert!(disguise.text.contains(") ON CONFLICT"), "{}", disguise.text);
        }
        assert!(
            disguised("INSERT INTO t SELECT a FROM u ON CONFLICT DO NOTHING", &Catalog::default()).is_none()
        );
        assert!(disguised("SELECT a FROM t FOR UPDATE OF t", &Catalog::default()).is_none());
        assert!(disguised("SELECT 1 FROM t FETCH FIRST 1 ROW ONLY", &Catalog::default()).is_none());
        assert!(disguised("SELECT ROW(t.*), count(t.*), t.* FROM t", &Catalog::default()).is_none());
        assert!(disguised("SELECT xmlelement(name a, (SELECT 1)) FROM t", &Catalog::default()).is_none());
    }
}
