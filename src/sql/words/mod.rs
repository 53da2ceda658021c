//! Forms that the rewriter's parser does not know, in words that it does: tokens are replaced by
//! names of ours before it reads a text, and put back into what it prints. Whether what it prints is
//! still the client's statement is compared as PostgreSQL's trees, so nothing has to trust this. Not
//! for forms that need a guard of their own inside: what has a subquery in it is left alone.

mod queries;
mod quotes;
mod tailor;
mod writes;

use std::ops::Range;

pub(super) use self::quotes::quoted;
use self::tailor::Tailor;
use crate::catalog::Catalog;
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
            "any" | "some" | "all" if i > 1 && self.is(i + 1, &["("]) => {
                self.rows(i);
                self.quantified(i)?;
            }
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
                } else {
                    self.keys(i + 2)?;
                }
            }
            "rollup" | "cube" if self.is(i + 1, &["("]) => self.keys(i + 1)?,
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
                // What stands for it takes its parameters: where each stands, and how often, must be seen.
                let parameters = self.parameters(i + 3, end)?;
                let values: String = parameters.iter().map(|p| format!(", {p}")).collect();
                let said = self.said(i, end)?.to_owned();
                let words = format!("{}(0{values})", self.fresh(OPAQUE));
                self.replace(i, end, words.clone(), words, said);
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
            "SELECT a FROM t GROUP BY ROLLUP (a, (SELECT max(b) FROM u), (c, d)), CUBE ((a, b) OVERLAPS (c, d), (a + b) * 2), \
             GROUPING SETS ((VALUES (1)), (a, b), (a) || 'x', ())",
            "SELECT sum(a) OVER (ORDER BY b RANGE '3 days' PRECEDING) FROM t",
            "SELECT sum(a) OVER (ORDER BY b RANGE BETWEEN '3 days' PRECEDING AND '1' FOLLOWING), sum(a) OVER (ORDER BY b RANGE \
             BETWEEN '1' PRECEDING AND '1' FOLLOWING EXCLUDE TIES) FROM t",
            "SELECT a::text COLLATE \"C\", (a || b)::varchar(10) COLLATE pg_catalog.\"C\" = 'x' FROM t ORDER BY f(a::pg_catalog.text) \
             COLLATE \"C\", a::character varying COLLATE \"C\"",
            "INSERT INTO t (a) VALUES (1) ON CONFLICT (a, lower(b) COLLATE \"C\", (c || 'x')) WHERE d = 'x' AND (e) DO NOTHING",
            "SELECT a FROM t WHERE a LIKE ALL (SELECT b FROM u) AND a NOT ILIKE SOME ('{x}') AND c <@ ANY (SELECT d FROM u) AND c && ALL ($1)",
            "SELECT a FROM t WHERE a = ANY (VALUES (1), (2)) OR a <> ALL (VALUES (b) ORDER BY 1) AND a OPERATOR(pg_catalog.=) ANY (VALUES (3)) \
             AND b LIKE ANY (VALUES ('x'), ((SELECT c FROM u WHERE d === SOME (VALUES (4)))))",
            "SELECT a === b, a *<> c, d OPERATOR(pg_catalog.*=) e FROM t WHERE a OPERATOR(pg_catalog.=) ANY (SELECT 1) ORDER BY a USING ===",
            "SELECT a FROM t WHERE a IN ((SELECT 1), (SELECT 2), 3) AND b IS NOT DOCUMENT",
            "SELECT a FROM t, f('{}') AS (a int, b text), g('x') AS x (c int) WHERE a = b",
            "INSERT INTO s.t AS x (a, b[1], c[1:2]['x'], b[2]) VALUES (1, 2, 3, ARRAY[4, e[5]]) ON CONFLICT DO NOTHING RETURNING (b[1])",
            "SELECT a FROM t, ROWS FROM (unnest($2::int[]), g($1, $2)) WITH ORDINALITY AS x (a, b) WHERE t.a = $1",
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
        let all = "SELECT ALL a FROM t UNION ALL (VALUES (1)) EXCEPT ALL (VALUES (2))";
        assert!(disguised(all, &Catalog::default()).is_none());
        assert!(disguised("SELECT a FROM t FOR UPDATE OF t", &Catalog::default()).is_none());
        assert!(disguised("SELECT 1 FROM t FETCH FIRST 1 ROW ONLY", &Catalog::default()).is_none());
        assert!(disguised("SELECT ROW(t.*), count(t.*), t.* FROM t", &Catalog::default()).is_none());
        assert!(disguised("SELECT xmlelement(name a, (SELECT 1)) FROM t", &Catalog::default()).is_none());
    }
}
