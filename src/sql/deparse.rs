//! libpg_query's own text of a tree: `TABLE t`, `ISNULL`, `U&""` and the like are written in the common form there.
//! Not trusted: who asks compares what comes back. Its printer takes for granted that some lists have the length, and
//! some nodes the kind, that common SQL gives them; where a build checks that (`USE_ASSERT_CHECKING`, as cargo's
//! development profile sets it) the whole process would end. Trees of another shape are not given to it.

use super::parse;
use super::tree::{Node, Tree};

/// The text of the tree `root` that `text` has, where its printer can be asked for it.
pub(super) fn deparse(text: &str, root: &Node) -> Option<String> {
    const LONGEST: usize = 64 * 1024;
    if text.len() > LONGEST || !is_query(root) || !fits(root) {
        return None;
    }
    let deparsed = parse::messages(text, |parsed| parsed.deparse(Default::default()).ok()).ok()?;
    Some(in_rewriters_words(deparsed?))
}

/// Queries and writes, also declared or prepared: options of other statements can be anything.
fn is_query(root: &Node) -> bool {
    match root.kind {
        "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => true,
        "DeclareCursorStmt" | "PrepareStmt" => root.node("query").is_some_and(is_query),
        _ => false,
    }
}

/// True when every node is of a shape that the printer takes for granted (its assertions, libpg_query 18).
fn fits(node: &Node) -> bool {
    let fit = match node.kind {
        "FuncCall" => call_fits(node),
        "TypeName" => type_fits(node),
        "RangeFunction" => {
            node.nodes("functions").all(|list| list.nodes("items").next().is_none_or(in_from_fits))
        }
        _ => true,
    };
    fit && node.children().into_iter().all(fits)
}

/// Functions with a syntax of their own are printed in it.
fn call_fits(call: &Node) -> bool {
    let args = call.list("args");
    match call.names("funcname").as_slice() {
        ["pg_catalog", "ltrim" | "rtrim" | "btrim"] => matches!(args.len(), 1 | 2),
        ["pg_catalog", "substring"] => matches!(args.len(), 2 | 3),
        ["pg_catalog", "normalize" | "is_normalized"] => match args {
            [_] => true,
            [_, Tree::Node(form)] => form.kind == "AConst",
            _ => false,
        },
        _ => true,
    }
}

/// Modifiers are numbers, parameters or words; those of `interval` the bits of its fields.
fn type_fits(name: &Node) -> bool {
    let modifiers: Vec<&Node> = name.nodes("typmods").collect();
    let number = |n: &Node| match n.node("val") {
        Some(val) if n.kind == "AConst" && val.kind == "Integer" => i32::try_from(val.int("ival")).ok(),
        _ => None,
    };
    if modifiers.is_empty() {
        return true;
    }
    match name.names("names").as_slice() {
        ["pg_catalog", "interval"] => {
            let numbers: Option<Vec<i32>> = modifiers.into_iter().map(number).collect();
            matches!(numbers.as_deref(), Some([fields] | [fields, _]) if INTERVAL_FIELDS.contains(fields))
        }
        _ => modifiers.into_iter().all(|m| matches!(m.kind, "AConst" | "ParamRef" | "ColumnRef")),
    }
}

/// The fields of an interval as PostgreSQL numbers them (utils/timestamp.h, `INTERVAL_MASK`): `year`, `month`, `day`,
/// `hour`, `minute`, `second`, what they span, and all.
const INTERVAL_FIELDS: [i32; 14] = {
    const YEAR: i32 = 1 << 2;
    const MONTH: i32 = 1 << 1;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    const SECOND: i32 = 1 << 12;
    [
        YEAR,
        MONTH,
        DAY,
        HOUR,
        MINUTE,
        SECOND,
        YEAR | MONTH,
        DAY | HOUR,
        DAY | HOUR | MINUTE,
        DAY | HOUR | MINUTE | SECOND,
        HOUR | MINUTE,
        HOUR | MINUTE | SECOND,
        MINUTE | SECOND,
        0x7FFF,
    ]
};

/// What may stand in FROM as a function.
fn in_from_fits(function: &Node) -> bool {
    const KINDS: [&str; 7] =
        ["FuncCall", "SqlValueFunction", "TypeCast", "CoalesceExpr", "MinMaxExpr", "XmlExpr", "XmlSerialize"];
    KINDS.contains(&function.kind)
}

/// Forms that the rewriter's parser does not know, or loses, in others that PostgreSQL's grammar reads as the same:
/// `trim(TRAILING FROM x)`, which pgJDBC writes for `{fn length(x)}`, without the FROM (gram.y, `trim_list`), `LIMIT ALL`
/// as `LIMIT NULL`, and quotes in a string, some of which are printed as fewer, behind backslashes. Whether it means the
/// same is for the caller to compare.
fn in_rewriters_words(mut text: String) -> String {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("trim") && !lower.contains("limit all") && !text.contains("''") {
        return text;
    }
    let Ok(scanned) = pg_query::scan(&text) else { return text };
    let tokens: Vec<_> = scanned
        .tokens
        .iter()
        .filter_map(|t| Some(usize::try_from(t.start).ok()?..usize::try_from(t.end).ok()?))
        .collect();
    let is = |i: usize, words: &[&str]| {
        let word = tokens.get(i).and_then(|t| text.get(t.clone())).unwrap_or_default();
        words.iter().any(|w| word.eq_ignore_ascii_case(w))
    };
    let changes = (0..tokens.len()).filter_map(|i| {
        if is(i, &["limit"]) && is(i + 1, &["all"]) {
            return Some((tokens[i + 1].clone(), "NULL".to_owned()));
        }
        if let Some(quoted) = text.get(tokens[i].clone()).and_then(quotes_behind_backslashes) {
            return Some((tokens[i].clone(), quoted));
        }
        if !is(i, &["trim"]) || !is(i + 1, &["("]) {
            return None;
        }
        let from = i + 2 + usize::from(is(i + 2, &["both", "leading", "trailing"]));
        is(from, &["from"]).then(|| (tokens[from].clone(), String::new()))
    });
    // From the end, so that the places before stay.
    for (place, words) in changes.collect::<Vec<_>>().into_iter().rev() {
        text.replace_range(place, &words);
    }
    text
}

/// A string constant with quotes in it in its escaped form.
fn quotes_behind_backslashes(token: &str) -> Option<String> {
    let inner = token.strip_prefix('\'')?.strip_suffix('\'')?;
    inner.contains("''").then(|| format!("E'{}'", inner.replace('\\', "\\\\").replace("''", "\\'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(sql: &str) -> Option<String> {
        let parsed = parse::parse(sql).expect("PostgreSQL reads it");
        deparse(sql, &parsed.statements[0].root)
    }

    /// Each ended the process where the printer's assertions are checked, as they are in tests.
    #[test]
    fn shapes_that_the_printer_does_not_expect_are_kept_from_it() {
        for expr in [
            "TRIM(TRAILING 'a','b','c')",
            "TRIM(BOTH 'x' FROM 'a','b')",
            "TRIM(LEADING FROM 'a','b','c')",
            "pg_catalog.substring('a')",
            "pg_catalog.normalize('a', b)",
            "'1'::pg_catalog.interval('x')",
            "CAST('1' AS pg_catalog.interval('x'))",
            "'1'::pg_catalog.interval(-1)",
            "pg_catalog.interval(3,4) '1'",
            "'1'::pg_catalog.interval((SELECT 1))",
            "'1'::pg_catalog.interval(1, 2, 3)",
            "'1'::pg_catalog.numeric('a',1+1)",
            "x::geometry(f(1))",
        ] {
            assert_eq!(printed(&format!("SELECT {expr} FROM t")), None, "{expr}");
        }
        for sql in [
            "SELECT * FROM t, nullif(1, 2)",
            "SELECT * FROM t, json_object('a': 1)",
            "SELECT * FROM t, json_array(1) j",
            "SELECT * FROM t, ROWS FROM (nullif(1, 2), json_scalar(1)) r",
            "COPY v TO STDOUT WITH (FORMAT bogus)",
            "COPY v TO STDOUT WITH (HEADER *)",
            "COPY v TO STDOUT WITH (FORCE_QUOTE 5)",
            "EXPLAIN (x 1.5) SELECT 1",
            "PREPARE p AS SELECT * FROM t, nullif(1, 2)",
            "INSERT INTO t SELECT trim(both 'x' from 'a', 'b')",
        ] {
            assert_eq!(printed(sql), None, "{sql}");
        }
    }

    #[test]
    fn others_are_printed() {
        for sql in [
            "TABLE t",
            "SELECT a ISNULL, trim(both 'x' from b), substring(a from 1 for 2), normalize(a, NFC), a IS NFC NORMALIZED FROM t",
            "SELECT interval '1' day to second, interval '1' hour, interval(3) '1', '1'::interval second(2) FROM t",
            "SELECT a::numeric(5,2), a::varchar(3), a::geometry(Point, 4326), a::timestamptz(3) FROM t",
            "SELECT * FROM t, coalesce(1, 2), current_date, cast(1 AS int), greatest(1, 2), ROWS FROM (f(1), g(2)) r",
            "DECLARE c CURSOR FOR TABLE t",
            "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
        ] {
            assert!(printed(sql).is_some(), "{sql}");
        }
    }
}
