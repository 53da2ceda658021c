//! Texts that differ only in constants share one decision. A text is read into its skeleton, the text with a mark in
//! place of each constant that is compared, computed with or stored; a decision is kept under the skeleton when
//! PostgreSQL's grammar shows that nothing but such constants differs between texts that have it. Not here: what a
//! decision is, and where it is kept.

use std::ops::Range;

use super::parse::{self, Statement};
use super::tree::{Node, Tree};

/// What may stand in a mark's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Digits of a number that is an `int4`.
    Int4,
    /// Digits of a number that is an `int8`.
    Int8,
    /// `'...'` without a prefix.
    Text,
}

impl Class {
    fn type_oid(self) -> u32 {
        match self {
            Class::Int4 => 23,
            Class::Int8 => 20,
            Class::Text => 0,
        }
    }

    /// No accepted text has these bytes in it.
    fn mark(self) -> char {
        match self {
            Class::Int4 => '\x01',
            Class::Int8 => '\x02',
            Class::Text => '\x03',
        }
    }
}

/// A constant of a text that is a parameter of what is sent in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its value as text.
    pub value: String,
    /// Its type, as an OID; 0 where the other operand tells.
    pub type_oid: u32,
    /// Where it stands in the text: characters, from 1.
    pub position: usize,
}

/// A constant of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Constant {
    place: Range<usize>,
    class: Class,
}

/// A text with marks in place of constants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Skeleton {
    /// Equal for texts that differ in these constants only.
    pub(super) key: String,
    constants: Vec<Constant>,
}

/// What comes before a token, as far as it tells whether a constant there is compared, computed with or stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// An operator, BETWEEN, AND, or the beginning of a value in VALUES.
    Operand,
    /// The key word VALUES, or the comma behind a row of it.
    Row,
    /// The end of a row of VALUES.
    RowEnd,
    Other,
}

/// The skeleton of a text, or `None` when there is no constant to take out, or when something stands in it that takes
/// more to be read than this: comments, dollar quotes, prefixed strings, control characters.
pub(super) fn skeleton(text: &str) -> Option<Skeleton> {
    let bytes = text.as_bytes();
    let mut key = String::with_capacity(text.len());
    let mut constants = Vec::new();
    // For each open parenthesis: it holds a row of VALUES.
    let mut open: Vec<bool> = Vec::new();
    let mut before = Before::Other;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                key.push_str(text.get(start..at)?);
                continue;
            }
            b'\'' => {
                let joined = start.checked_sub(1).and_then(|i| bytes.get(i)).copied().is_some_and(joins);
                if joined {
                    return None;
                }
                at = end_of_quoted(bytes, start)?;
                if before == Before::Operand {
                    key.push(Class::Text.mark());
                    constants.push(Constant { place: start..at, class: Class::Text });
                    before = Before::Other;
                    continue;
                }
                before = Before::Other;
            }
            b'"' => {
                at = end_of_quoted(bytes, start)?;
                before = Before::Other;
            }
            b'0'..=b'9' => {
                at = end_of(bytes, start, |b| b.is_ascii_digit());
                let whole = !bytes.get(at).copied().is_some_and(|b| b == b'.' || in_name(b));
                let class = match text.get(start..at)?.parse::<i64>() {
                    Ok(number) if i32::try_from(number).is_ok() => Some(Class::Int4),
                    Ok(_) => Some(Class::Int8),
                    Err(_) => None,
                };
                if let (true, Before::Operand, Some(class)) = (whole, before, class) {
                    key.push(class.mark());
                    constants.push(Constant { place: start..at, class });
                    before = Before::Other;
                    continue;
                }
                at = end_of(bytes, at, |b| b == b'.' || in_name(b));
                before = Before::Other;
            }
            b'$' => {
                at = end_of(bytes, start + 1, |b| b.is_ascii_digit());
                if at == start + 1 || bytes.get(at).copied().is_some_and(in_name) {
                    return None;
                }
                before = Before::Other;
            }
            b'-' if bytes.get(start + 1) == Some(&b'-') => return None,
            b'/' if bytes.get(start + 1) == Some(&b'*') => return None,
            b'=' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%' => {
                at += 1;
                before = Before::Operand;
            }
            b'(' => {
                at += 1;
                let row = before == Before::Row;
                open.push(row);
                before = if row { Before::Operand } else { Before::Other };
            }
            b')' => {
                at += 1;
                before = if open.pop()? { Before::RowEnd } else { Before::Other };
            }
            b',' => {
                at += 1;
                before = match before {
                    Before::RowEnd => Before::Row,
                    _ if open.last() == Some(&true) => Before::Operand,
                    _ => Before::Other,
                };
            }
            b if in_name(b) => {
                at = end_of(bytes, start, in_name);
                let word = text.get(start..at)?;
                before = if word.eq_ignore_ascii_case("values") {
                    Before::Row
                } else if word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("between") {
                    Before::Operand
                } else {
                    Before::Other
                };
            }
            // A control character could be one of our marks.
            0..0x20 | 0x7f => return None,
            _ => {
                at += 1;
                before = Before::Other;
            }
        }
        key.push_str(text.get(start..at)?);
    }
    (!constants.is_empty()).then_some(Skeleton { key, constants })
}

/// True for what makes one word with a quote behind it (`E'..'`, `U&'..'`), or one string (`''`).
fn joins(byte: u8) -> bool {
    in_name(byte) || byte == b'&' || byte == b'\''
}

/// True inside a key word or name.
fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn end_of(bytes: &[u8], from: usize, inside: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !inside(*b)).unwrap_or(rest.len())
}

/// The end of what a quote at `start` begins; the quote twice is one inside. `None` without an end, or when there is a
/// control character in it.
fn end_of_quoted(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes.get(start)?;
    let mut at = start + 1;
    loop {
        let byte = bytes.get(at)?;
        at += 1;
        if byte == quote {
            if bytes.get(at) != Some(quote) {
                return Some(at);
            }
            at += 1;
        } else if matches!(byte, 0..=8 | 0x0e..=0x1f) {
            return None;
        }
    }
}

impl Skeleton {
    /// True when no text with this skeleton can be another statement than `statement`, which is all of `text`, but
    /// for the values of constants that a decision about names cannot depend on. PostgreSQL's grammar is asked: every
    /// constant is changed, and nothing else in the tree may change.
    pub(super) fn holds(&self, text: &str, statement: &Statement) -> bool {
        let Some(changed) = self.with_others(text) else { return false };
        let Ok(parsed) = parse::parse_ours(&changed) else { return false };
        let [other] = parsed.statements.as_slice() else { return false };
        let known = ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt"];
        known.contains(&statement.root.kind)
            && Comparison::Decided.changes(&statement.root, &other.root, false) == Some(self.constants.len())
    }

    /// The text with `$1`, `$2` ... in place of its constants, when it is a query that means the same with them: each
    /// constant is compared or computed with a column by an operator that gives both of them the same type.
    pub(super) fn with_parameters(&self, text: &str, statement: &Statement) -> Option<String> {
        let changed = self.with_others(text)?;
        let parsed = parse::parse_ours(&changed).ok()?;
        let [other] = parsed.statements.as_slice() else { return None };
        let means_the_same = statement.root.kind == "SelectStmt"
            && statement.max_param == 0
            && Comparison::Bound.changes(&statement.root, &other.root, false) == Some(self.constants.len());
        let mut number = 0;
        means_the_same.then(|| {
            self.replaced(text, |_, _| {
                number += 1;
                Some(format!("${number}"))
            })
        })?
    }

    /// What the parameters of [`Self::with_parameters`] stand for in `text`.
    pub(super) fn given(&self, text: &str) -> Option<Vec<Given>> {
        self.constants
            .iter()
            .map(|Constant { place, class }| {
                let value = text.get(place.clone())?;
                let position = text.get(..place.start)?.chars().count() + 1;
                let value = match class {
                    Class::Int4 | Class::Int8 => value.to_owned(),
                    Class::Text => value.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'"),
                };
                Some(Given { value, type_oid: class.type_oid(), position })
            })
            .collect()
    }

    /// The text with another value for every constant.
    pub(super) fn with_others(&self, text: &str) -> Option<String> {
        self.replaced(text, |class, value| {
            Some(match class {
                Class::Int4 | Class::Int8 => (value.parse::<i64>().ok()? ^ 1).to_string(),
                Class::Text => format!("{}x'", value.strip_suffix('\'')?),
            })
        })
    }

    fn replaced(&self, text: &str, mut by: impl FnMut(Class, &str) -> Option<String>) -> Option<String> {
        let mut out = String::with_capacity(text.len() + self.constants.len());
        let mut at = 0;
        for Constant { place, class } in &self.constants {
            out.push_str(text.get(at..place.start)?);
            out.push_str(&by(*class, text.get(place.clone())?)?);
            at = place.end;
        }
        out.push_str(text.get(at..)?);
        Some(out)
    }
}

/// Functions beside constants that may change. What reads relations or settings by name is none of them.
const PLAIN_FUNCTIONS: &[&str] =
    &["count", "sum", "min", "max", "avg", "lower", "upper", "length", "now", "abs", "round"];

/// Which constants of a tree may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// Those that no decision about names depends on. Everything else in the tree is something of which that is known.
    Decided,
    /// Those that can be parameters.
    Bound,
}

impl Comparison {
    /// How many constants differ between two trees, if nothing else does, and each stands where it may. `None` for a
    /// tree in which one could be more than a value: part of a type, an argument of a function, a limit, the number of
    /// a column, a name.
    fn changes(self, a: &Node, b: &Node, operand: bool) -> Option<usize> {
        if a.kind != b.kind {
            return None;
        }
        if a.kind == "AConst" {
            return if a == b { Some(0) } else { (operand && same_kind(a, b)).then_some(1) };
        }
        // What is selected, sorted or grouped by may stand in the text again and must stay equal to it: parameters of
        // one value have two numbers.
        if self == Comparison::Bound && a.kind == "SubLink" && !operand {
            return (a == b).then_some(0);
        }
        if (self == Comparison::Decided && !is_plain(a)) || a.fields.len() != b.fields.len() {
            return None;
        }
        let mut changed = 0;
        for ((name, one), (other_name, other)) in a.fields.iter().zip(&b.fields) {
            if name != other_name {
                return None;
            }
            changed += self.changes_in(one, other, self.holds_operands(a, name, operand))?;
        }
        Some(changed)
    }

    fn changes_in(self, a: &Tree, b: &Tree, operand: bool) -> Option<usize> {
        match (a, b) {
            (Tree::Node(a), Tree::Node(b)) => self.changes(a, b, operand),
            (Tree::List(a), Tree::List(b)) if a.len() == b.len() => {
                a.iter().zip(b).map(|(a, b)| self.changes_in(a, b, operand)).sum()
            }
            _ => (a == b).then_some(0),
        }
    }

    /// Whether a constant directly in this field of a node may change; `operand` says it of the node.
    fn holds_operands(self, node: &Node, field: &str, operand: bool) -> bool {
        match (node.kind, self) {
            ("SelectStmt", Comparison::Decided) => {
                matches!(field, "where_clause" | "having_clause" | "values_lists")
            }
            ("SelectStmt", Comparison::Bound) => field == "where_clause",
            ("UpdateStmt", Comparison::Decided) => matches!(field, "where_clause" | "target_list"),
            ("DeleteStmt", Comparison::Decided) => field == "where_clause",
            ("InsertStmt", Comparison::Decided) => field == "select_stmt",
            ("ResTarget", Comparison::Decided) => operand && field == "val",
            ("AExpr", Comparison::Decided) => operand && matches!(field, "lexpr" | "rexpr"),
            ("AExpr", Comparison::Bound) => {
                let of_a_column = |other: &str| node.node(other).is_some_and(|n| n.kind == "ColumnRef");
                let names = node.names("name");
                let known = ["=", "<>", "<", ">", "<=", ">=", "+", "-", "*", "BETWEEN"];
                let other = if field == "lexpr" { "rexpr" } else { "lexpr" };
                // A part of the arithmetic on the other side of a comparison is looked at by itself.
                operand
                    && matches!(field, "lexpr" | "rexpr")
                    && matches!(names.as_slice(), [name] if known.contains(name))
                    && (of_a_column(other) || node.node(field).is_some_and(|n| n.kind == "AExpr"))
            }
            ("BoolExpr" | "List", _) => operand,
            ("JoinExpr", _) => field == "quals",
            ("SubLink", Comparison::Decided) => field == "subselect",
            ("RangeSubselect", Comparison::Decided) => field == "subquery",
            _ => false,
        }
    }
}

/// True for two constants of one kind. A whole number beyond `int4` is a `Float` for the grammar.
fn same_kind(a: &Node, b: &Node) -> bool {
    let whole = |v: &Node| {
        let digits = v.str("fval").strip_prefix('-').unwrap_or(v.str("fval"));
        v.kind != "Float" || digits.bytes().all(|b| b.is_ascii_digit())
    };
    let kind = |n: &Node| n.node("val").filter(|v| whole(v)).map(|v| v.kind);
    kind(a).is_some() && kind(a) == kind(b)
}

/// True for what may stand beside constants that no decision depends on.
fn is_plain(node: &Node) -> bool {
    match node.kind {
        "FuncCall" => {
            let name = node.names("funcname");
            matches!(name.as_slice(), [name] | ["pg_catalog", name] if PLAIN_FUNCTIONS.contains(name))
        }
        "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "ResTarget" | "ColumnRef" | "AStar"
        | "String" | "RangeVar" | "Alias" | "AExpr" | "BoolExpr" | "List" | "JoinExpr" | "NullTest"
        | "SortBy" | "ParamRef" | "RangeSubselect" | "SubLink" | "CoalesceExpr" | "TypeCast" | "TypeName"
        | "Integer" | "Float" | "Boolean" | "AArrayExpr" | "SqlValueFunction" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<String> {
        let skeleton = skeleton(text)?;
        let parsed = parse::parse_ours(text).ok()?;
        let [statement] = parsed.statements.as_slice() else { return None };
        skeleton
            .holds(text, statement)
            .then(|| skeleton.key.replace('\x01', "#").replace('\x02', "##").replace('\x03', "'#'"))
    }

    #[test]
    fn constants_that_are_compared_computed_with_or_stored_are_taken_out() {
        for (text, expected) in [
            ("SELECT a FROM t WHERE id = 5", "SELECT a FROM t WHERE id = #"),
            ("SELECT a FROM t WHERE id=5 ;", "SELECT a FROM t WHERE id=# ;"),
            ("SELECT a FROM t WHERE id = -5", "SELECT a FROM t WHERE id = -#"),
            ("SELECT a FROM t WHERE id = 5000000000", "SELECT a FROM t WHERE id = ##"),
            ("SELECT a FROM t WHERE n = 'it''s' LIMIT 3", "SELECT a FROM t WHERE n = '#' LIMIT 3"),
            (
                "SELECT 1 FROM t WHERE a BETWEEN 2 AND 7 ORDER BY 1",
                "SELECT 1 FROM t WHERE a BETWEEN # AND # ORDER BY 1",
            ),
            ("UPDATE t SET a = a + 7 WHERE id = 3", "UPDATE t SET a = a + # WHERE id = #"),
            ("INSERT INTO t VALUES (1, 'x'), (2, now())", "INSERT INTO t VALUES (#, '#'), (#, now())"),
            ("INSERT INTO t (a, b) VALUES (1, 2 + 3)", "INSERT INTO t (a, b) VALUES (#, # + #)"),
            ("DELETE FROM \"t 1\" WHERE a > 1.5 AND b < 2", "DELETE FROM \"t 1\" WHERE a > 1.5 AND b < #"),
            ("SELECT a FROM t WHERE id = 5 AND b IN (1, 2)", "SELECT a FROM t WHERE id = # AND b IN (1, 2)"),
            (
                "SELECT a FROM t JOIN u ON t.i = u.i AND u.k = 4",
                "SELECT a FROM t JOIN u ON t.i = u.i AND u.k = #",
            ),
        ] {
            assert_eq!(key(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn others_are_not() {
        for text in [
            "SELECT 1",
            "SELECT 1 + 2",
            "SELECT a FROM t WHERE id = 5 OR f(x) > 3",
            "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'search_path'",
            "SELECT a FROM t WHERE o = 't'::regclass",
            "SELECT a FROM t WHERE n = E'x'",
            "SELECT a FROM t WHERE n = 'a' -- 'b'",
            "SELECT a FROM t WHERE n = 'a' /* b */",
            "SELECT a FROM t WHERE n = $$a$$",
            "SELECT a FROM t WHERE n = 1e5",
            "SELECT a FROM t WHERE n = 1e-5",
            "SELECT a FROM t WHERE n = 'a'; SELECT 2",
            "SET x = 5",
            "SELECT a[b = 5] FROM t",
            "SELECT a FROM t ORDER BY b = 5",
            "SELECT a FROM t LIMIT 3 + 2",
            "EXECUTE s(1 + 2)",
            "SELECT a FROM t WHERE u = U&'a' AND b = U& 'x'",
            "SELECT * FROM query_to_xml('x' || 'SELECT', true) WHERE a = 5",
        ] {
            assert_eq!(key(text), None, "{text}");
        }
    }

    #[test]
    fn expressions_that_must_be_equal_get_no_parameters() {
        for (text, bound) in [
            ("SELECT a FROM t WHERE b < 5", true),
            ("SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d = 5)", true),
            ("SELECT a FROM t WHERE b < 7 AND NOT EXISTS (SELECT FROM u WHERE d = 5)", true),
            ("SELECT a FROM (SELECT * FROM t WHERE b = 5) s", true),
            (
                "SELECT DISTINCT ON ((SELECT c FROM u WHERE d < 5)) a FROM t ORDER BY (SELECT c FROM u WHERE d < 5), b",
                false,
            ),
            ("SELECT (SELECT c FROM u WHERE d < 5) FROM t GROUP BY (SELECT c FROM u WHERE d < 5)", false),
            ("SELECT a FROM t WHERE b < 5 ORDER BY (SELECT c FROM u WHERE d < 5)", false),
        ] {
            let skeleton = skeleton(text).unwrap();
            let parsed = parse::parse_ours(text).unwrap();
            let with = skeleton.with_parameters(text, &parsed.statements[0]);
            assert_eq!(with.is_some(), bound, "{text}: {with:?}");
        }
    }

    #[test]
    fn no_text_panics() {
        let odd = [
            "'", "\"", "$", "$1", "1", "1.", "--", "/", "(", ")", ",", "=", "'a", "E'", "\u{1}", "ä",
            "values",
        ];
        for a in odd {
            for b in odd {
                for c in odd {
                    let text = format!("{a}{b}{c}");
                    if let Some(skeleton) = skeleton(&text) {
                        assert!(skeleton.with_others(&text).is_some(), "{text}");
                    }
                }
            }
        }
    }
}
