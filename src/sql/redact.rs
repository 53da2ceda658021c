//! Catalog queries of tools (pg_dump, psql, DBeaver) that mention a closed column, or the size of a
//! relation, beside much that is open: it is read as NULL, so that the tool works and the value stays. A
//! column only where it stands inside an expression or under a name of its own; the result is compared as
//! a tree and decided anew. Not for protected relations.

use pg_query::protobuf::Token;

use super::functions::CLOSED_COLUMNS;
use super::parse::{Statement, parse_ours};
use super::tree::{Node, Tree};

/// The query with NULL in place of every closed column, or `None` when there is none, or when that is
/// not all that would change.
pub(super) fn redacted(statement: &Statement) -> Option<Statement> {
    if statement.root.kind != "SelectStmt" || names_its_result(&statement.root) {
        return None;
    }
    let text = replaced(&statement.text)?;
    let parsed = parse_ours(&text).ok()?;
    let [query] = <[Statement; 1]>::try_from(parsed.statements).ok()?;
    // A parameter that is gone would be missing at Bind.
    (query.max_param == statement.max_param && same_but_closed(&statement.root, &query.root)).then_some(query)
}

/// Functions that tell how large a relation is or how often it was read, hidden rows included. All return
/// `bigint`.
const SIZES: [&str; 8] = [
    "pg_database_size",
    "pg_indexes_size",
    "pg_relation_size",
    "pg_stat_get_live_tuples",
    "pg_stat_get_numscans",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
];

/// What stands in place of a call of `function`: the same type, and the same name of a column.
fn no_size(function: &str) -> String {
    format!("(SELECT NULL::pg_catalog.int8 AS {function})")
}

fn size_called(node: &Node) -> Option<&str> {
    if node.kind != "FuncCall" {
        return None;
    }
    match node.names("funcname").as_slice() {
        [name] | ["pg_catalog", name] => SIZES.iter().find(|n| *n == name).copied(),
        _ => None,
    }
}

fn is_no_size(node: &Node, function: &str) -> bool {
    let expected = parse_ours(&format!("SELECT {}", no_size(function)));
    expected.is_ok_and(|p| {
        let target = p.statements.first().and_then(|s| s.root.nodes("target_list").next());
        target.and_then(|t| t.node("val")).is_some_and(|val| val == node)
    })
}

fn closed(name: &str) -> bool {
    CLOSED_COLUMNS.contains(&name)
}

fn is_closed_column(node: &Node) -> bool {
    node.kind == "ColumnRef" && node.names("fields").last().is_some_and(|n| closed(n))
}

/// True when a closed column gives its name and type to a column of a result.
fn names_its_result(node: &Node) -> bool {
    (node.kind == "ResTarget" && !node.has("name") && node.node("val").is_some_and(is_closed_column))
        || node.children().into_iter().any(names_its_result)
}

fn replaced(text: &str) -> Option<String> {
    let tokens = pg_query::scan_tokens(text).ok()?;
    let at = |i: usize| -> Option<(usize, usize)> {
        let token = tokens.get(i)?;
        Some((usize::try_from(token.start).ok()?, usize::try_from(token.end).ok()?))
    };
    let is =
        |i: Option<usize>, kind: Token| i.and_then(|i| tokens.get(i)).is_some_and(|t| t.token == kind as i32);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for i in 0..tokens.len() {
        let (start, end) = at(i)?;
        let before = i.checked_sub(1);
        if start < done {
            continue;
        }
        let name = text.get(start..end)?;
        if is(Some(i), Token::Ident) && SIZES.contains(&name) && is(Some(i + 1), Token::Ascii40) {
            let qualified = is(before, Token::Ascii46) && is(i.checked_sub(2), Token::Ident);
            let from = if qualified { at(i.checked_sub(2)?)?.0 } else { start };
            out.push_str(text.get(done..from)?);
            out.push_str(&no_size(name));
            done = at(closing(&tokens, i + 1)?)?.1;
            continue;
        }
        // A name after AS is a label.
        if !is(Some(i), Token::Ident) || !closed(name) || is(before, Token::As) {
            continue;
        }
        // `a.column`
        let qualified = is(before, Token::Ascii46) && is(i.checked_sub(2), Token::Ident);
        let from = if qualified { at(i.checked_sub(2)?)?.0 } else { start };
        out.push_str(text.get(done..from)?);
        out.push_str("NULL");
        done = end;
    }
    out.push_str(text.get(done..)?);
    (done > 0).then_some(out)
}

/// The token that closes the bracket at `open`.
fn closing(tokens: &[pg_query::protobuf::ScanToken], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        if token.token == Token::Ascii40 as i32 {
            depth += 1;
        } else if token.token == Token::Ascii41 as i32 {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(i);
            }
        }
    }
    None
}

/// True when `new` is `old` but for closed columns and sizes, each of which is NULL.
fn same_but_closed(old: &Node, new: &Node) -> bool {
    if let Some(function) = size_called(old) {
        return is_no_size(new, function);
    }
    if is_closed_column(old) {
        return new.kind == "AConst" && new.flag("isnull") && new.fields.len() == 1;
    }
    old.kind == new.kind
        && old.fields.len() == new.fields.len()
        && old.fields.iter().zip(&new.fields).all(|((a, x), (b, y))| a == b && same_value(x, y))
}

fn same_value(old: &Tree, new: &Tree) -> bool {
    match (old, new) {
        (Tree::Node(old), Tree::Node(new)) => same_but_closed(old, new),
        (Tree::List(old), Tree::List(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(a, b)| same_value(a, b))
        }
        (old, new) => old == new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(sql: &str) -> Option<String> {
        redacted(&parse_ours(sql).unwrap().statements[0]).map(|s| s.text)
    }

    #[test]
    fn a_closed_column_reads_as_null() {
        assert_eq!(
            redact("SELECT CASE WHEN a.atthasmissing THEN a.attmissingval ELSE null END AS attmissingval FROM pg_attribute a"),
            Some("SELECT CASE WHEN a.atthasmissing THEN NULL ELSE null END AS attmissingval FROM pg_attribute a".to_owned())
        );
        assert_eq!(
            redact("SELECT ARRAY(SELECT x FROM pg_options_to_table(srvoptions) x) AS srvoptions FROM pg_foreign_server")
                .as_deref(),
            Some("SELECT ARRAY(SELECT x FROM pg_options_to_table(NULL) x) AS srvoptions FROM pg_foreign_server")
        );
        assert_eq!(
            redact("SELECT a.attmissingval::text AS v FROM pg_attribute a").as_deref(),
            Some("SELECT NULL::text AS v FROM pg_attribute a")
        );
    }

    #[test]
    fn a_size_reads_as_null_under_the_name_it_had() {
        assert_eq!(
            redact("SELECT relname, pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)) AS \"Size\" FROM pg_class c").as_deref(),
            Some("SELECT relname, pg_catalog.pg_size_pretty((SELECT NULL::pg_catalog.int8 AS pg_table_size)) AS \"Size\" FROM pg_class c")
        );
        assert_eq!(
            redact(
                "SELECT pg_relation_size(quote_ident(nspname) || '.' || quote_ident((relname))) FROM pg_class"
            )
            .as_deref(),
            Some("SELECT (SELECT NULL::pg_catalog.int8 AS pg_relation_size) FROM pg_class")
        );
        for sql in [
            "SELECT other.pg_relation_size(oid) FROM pg_class",
            "SELECT pg_relation_size FROM pg_class",
            "SELECT (oid).pg_relation_size FROM pg_class",
            "SELECT pg_relation_size($1) FROM pg_class",
        ] {
            assert_eq!(redact(sql), None, "{sql}");
        }
    }

    #[test]
    fn what_would_change_more_is_left_as_it_is() {
        for sql in [
            "SELECT attmissingval FROM pg_attribute",
            "SELECT 1",
            "SELECT (a).attmissingval[1] AS x FROM pg_attribute a",
            "SELECT \"attmissingval\" AS x FROM pg_attribute",
            "SELECT attmissingval.x AS y FROM pg_attribute attmissingval",
            "SELECT pg_catalog.pg_attribute.attmissingval AS x FROM pg_catalog.pg_attribute",
            "UPDATE pg_attribute SET attmissingval = NULL",
        ] {
            assert_eq!(redact(sql), None, "{sql}");
        }
    }
}
