//! Names of cursors and prepared statements inside other statements (`EXPLAIN EXECUTE`, `CREATE TABLE AS
//! EXECUTE`, `WHERE CURRENT OF`) and in a PREPARE: found, and put in another's place. Every text made here is
//! parsed again with PostgreSQL's grammar and compared with the client's own tree. Not for what stands behind a
//! name (`session`).

use pg_query::protobuf::Token;

use super::objects::tokens;
use super::parse::{Statement, parse_ours};
use super::tree::{Node, Tree};

/// The statement that an EXPLAIN or CREATE TABLE AS executes, by its name.
pub(super) fn executed(root: &Node) -> Option<&str> {
    let inside = root.node("query").filter(|_| matches!(root.kind, "ExplainStmt" | "CreateTableAsStmt"))?;
    match inside.kind {
        "ExecuteStmt" => Some(inside.str("name")),
        "CreateTableAsStmt" => executed(inside),
        _ => None,
    }
}

/// The cursors of `WHERE CURRENT OF` in it, each once.
pub(super) fn current_of(statement: &Statement) -> Vec<String> {
    // A key word stands in the text as it is; the tree is walked only where it can be.
    let word = |w: &[u8]| w.eq_ignore_ascii_case(b"current");
    let mut found = Vec::new();
    // An EXPLAIN that runs nothing looks for no cursor, and would show the name.
    let option = |o: &Node| o.str("defname") == "analyze";
    let shows = statement.root.kind == "ExplainStmt" && !statement.root.nodes("options").any(option);
    if !shows && statement.text.as_bytes().windows(7).any(word) {
        cursors(&statement.root, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn cursors(node: &Node, found: &mut Vec<String>) {
    if node.kind == "CurrentOfExpr" {
        found.push(node.str("cursor_name").to_owned());
    }
    node.children().into_iter().for_each(|child| cursors(child, found));
}

/// `text` (EXPLAIN or CREATE TABLE AS of an EXECUTE, or a PREPARE) for the prepared statement called `upstream`;
/// `None` where that cannot be written so that it reads as the client's.
pub fn with_statement(text: &str, upstream: &str) -> Option<String> {
    let keywords = [Token::Execute as i32, Token::Prepare as i32];
    let tokens = tokens(text)?;
    let at = tokens.windows(2).filter(|pair| pair.first().is_some_and(|t| keywords.contains(&t.2)));
    let places = at.filter_map(|pair| pair.get(1)).map(|name| (name.0, name.1));
    // `execute` can be a name as well, of the table or of the statement itself: what counts is the tree.
    places.into_iter().find_map(|place| {
        let made = replaced(text, &[(place, upstream)])?;
        reads_as(text, &made, &|node| match node.kind {
            "ExecuteStmt" | "PrepareStmt" => Some(("name", upstream.to_owned())),
            _ => None,
        })
        .then_some(made)
    })
}

/// `text` with the cursors of its `WHERE CURRENT OF` called what `upstream` says; `None` where that cannot be
/// written so that it reads as the client's.
pub fn with_cursors(text: &str, upstream: impl Fn(&str) -> Option<String>) -> Option<String> {
    let tokens = tokens(text)?;
    let mut places = Vec::new();
    let mut names = Vec::new();
    let original = parse_ours(text).ok()?.statements;
    let [original] = original.as_slice() else { return None };
    cursors(&original.root, &mut names);
    for three in tokens.windows(3) {
        let [(_, _, current), (_, _, of), (start, end, _)] = three else { return None };
        if *current == Token::CurrentP as i32 && *of == Token::Of as i32 {
            places.push((*start, *end));
        }
    }
    if places.len() != names.len() {
        return None;
    }
    // The tree's fields stand in another order than the text's words: the name is read from the text.
    let mut with = Vec::new();
    for (start, end) in &places {
        let name = identifier(text.get(*start..*end)?)?;
        with.push((
            (*start, *end),
            upstream(&name).unwrap_or_else(|| text.get(*start..*end).unwrap_or("").to_owned()),
        ));
    }
    let pairs: Vec<((usize, usize), &str)> = with.iter().map(|(p, n)| (*p, n.as_str())).collect();
    let made = replaced(text, &pairs)?;
    let renamed = |node: &Node| {
        let name = (node.kind == "CurrentOfExpr").then(|| node.str("cursor_name"))?;
        Some(("cursor_name", upstream(name)?))
    };
    reads_as(text, &made, &renamed).then_some(made)
}

/// What a word of a text names, as PostgreSQL reads it.
fn identifier(word: &str) -> Option<String> {
    let statements = parse_ours(&format!("CLOSE {word}")).ok()?.statements;
    match statements.as_slice() {
        [one] if one.root.kind == "ClosePortalStmt" => Some(one.root.str("portalname").to_owned()),
        _ => None,
    }
}

fn replaced(text: &str, places: &[((usize, usize), &str)]) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 32);
    let mut done = 0;
    for ((start, end), with) in places {
        out.push_str(text.get(done..*start)?);
        out.push_str(with);
        done = *end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}

/// True when `made` is one statement that differs from `text` in the string fields that `renamed` tells, and in
/// nothing else.
fn reads_as(text: &str, made: &str, renamed: &dyn Fn(&Node) -> Option<(&'static str, String)>) -> bool {
    let (Ok(original), Ok(made)) = (parse_ours(text), parse_ours(made)) else { return false };
    let ([original], [made]) = (original.statements.as_slice(), made.statements.as_slice()) else {
        return false;
    };
    let mut expected = original.root.clone();
    rename(&mut expected, renamed);
    expected == made.root
}

fn rename(node: &mut Node, renamed: &dyn Fn(&Node) -> Option<(&'static str, String)>) {
    if let Some((field, name)) = renamed(node)
        && let Some((_, value)) = node.fields.iter_mut().find(|(f, _)| *f == field)
    {
        *value = Tree::Str(name);
    }
    for (_, value) in &mut node.fields {
        rename_in(value, renamed);
    }
}

fn rename_in(value: &mut Tree, renamed: &dyn Fn(&Node) -> Option<(&'static str, String)>) {
    match value {
        Tree::Node(node) => rename(node, renamed),
        Tree::List(items) => items.iter_mut().for_each(|item| rename_in(item, renamed)),
        Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_called_by_another_name_and_nothing_else_changes() {
        for (text, made) in [
            ("EXPLAIN EXECUTE p", "EXPLAIN EXECUTE __glass_o1"),
            (
                "explain (analyze, costs off) execute /* p */ \"P p\" (1, 'execute p')",
                "explain (analyze, costs off) execute /* p */ __glass_o1 (1, 'execute p')",
            ),
            (
                "CREATE TEMP TABLE execute AS EXECUTE execute(1) WITH NO DATA",
                "CREATE TEMP TABLE execute AS EXECUTE __glass_o1(1) WITH NO DATA",
            ),
            ("EXPLAIN CREATE TABLE x AS EXECUTE p", "EXPLAIN CREATE TABLE x AS EXECUTE __glass_o1"),
            (
                "PREPARE prepare(int) AS SELECT $1 AS prepare",
                "PREPARE __glass_o1(int) AS SELECT $1 AS prepare",
            ),
        ] {
            assert_eq!(with_statement(text, "__glass_o1").as_deref(), Some(made));
        }
        for text in ["SELECT 1", "EXECUTE p; EXECUTE p", "EXPLAIN SELECT execute FROM t"] {
            assert_eq!(with_statement(text, "__glass_o1"), None, "{text}");
        }
    }

    #[test]
    fn cursors_are_called_by_other_names_and_nothing_else_changes() {
        let upstream = |name: &str| (name != "free").then(|| format!("__glass_{}", name.len()));
        for (text, made) in [
            ("UPDATE t SET a = 1 WHERE CURRENT OF c", "UPDATE t SET a = 1 WHERE CURRENT OF __glass_1"),
            (
                "DELETE FROM t WHERE current -- of c\n of \"C c\" RETURNING 'current of c'",
                "DELETE FROM t WHERE current -- of c\n of __glass_3 RETURNING 'current of c'",
            ),
            (
                "WITH x AS (DELETE FROM t WHERE CURRENT OF free RETURNING *), y AS (UPDATE u SET a = 1 \
                 WHERE CURRENT OF CC) SELECT * FROM x",
                "WITH x AS (DELETE FROM t WHERE CURRENT OF free RETURNING *), y AS (UPDATE u SET a = 1 \
                 WHERE CURRENT OF __glass_2) SELECT * FROM x",
            ),
        ] {
            assert_eq!(with_cursors(text, upstream).as_deref(), Some(made));
        }
        let one = |text: &str| crate::sql::parse::parse(text).unwrap().statements.remove(0);
        assert_eq!(current_of(&one("EXPLAIN ANALYZE DELETE FROM t WHERE CURRENT OF \"X\"")), ["X"]);
        assert!(current_of(&one("EXPLAIN DELETE FROM t WHERE CURRENT OF x")).is_empty());
        assert!(current_of(&one("SELECT current_date, 'current of c'")).is_empty());
    }
}
