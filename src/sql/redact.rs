//! Catalog queries of tools (pg_dump, psql, DBeaver, reporting servers) that mention a closed column, the size of a
//! relation, or a relation that counts rows, beside much that is open: it is read as NULL, so that the tool works and the
//! value stays. A column only where it stands inside an expression or under a name of its own; a relation as the query
//! that `functions` has for it. The result is compared as a tree and decided anew. Not for protected relations.

use pg_query::protobuf::Token;

use super::functions::{CLOSED_COLUMNS, is_withheld_relation, withheld_function, withheld_relation};
use super::parse::{Statement, parse_ours};
use super::resolve::{Resolution, resolve_name};
use super::tree::{Node, Tree};
use crate::catalog::{Catalog, Namespace, RelationKind};

/// The query with NULL in place of every closed column, size and count, or `None` when there is none, or when that is
/// not all that would change.
pub(super) fn redacted(statement: &Statement, catalog: &Catalog, namespace: &Namespace) -> Option<Statement> {
    if statement.root.kind != "SelectStmt" || names_its_result(&statement.root) {
        return None;
    }
    let redaction = Redaction { catalog, namespace };
    if let Some(query) = redaction.sequence_at_its_start(&statement.root) {
        return Some(query);
    }
    if redaction.hidden_by_cte(&statement.root) {
        return None;
    }
    let text = redaction.replaced(&statement.text)?;
    let parsed = parse_ours(&text).ok()?;
    let [query] = <[Statement; 1]>::try_from(parsed.statements).ok()?;
    // A parameter that is gone would be missing at Bind.
    (query.max_param == statement.max_param && redaction.same(&statement.root, &query.root)).then_some(query)
}

/// True for a subquery that reads a withheld relation exactly as `functions` says: nothing in it is closed.
pub(super) fn is_withheld(node: &Node, catalog: &Catalog) -> bool {
    let Some(query) = (node.kind == "RangeSubselect").then(|| node.node("subquery")).flatten() else {
        return false;
    };
    let mut from = query.nodes("from_clause");
    let (Some(range), None) = (from.next(), from.next()) else { return false };
    range.kind == "RangeVar"
        && range.str("schemaname") == "pg_catalog"
        && !node.flag("lateral")
        && expected_query(range.str("relname"), catalog).is_some_and(|expected| expected == *query)
}

fn expected_query(name: &str, catalog: &Catalog) -> Option<Node> {
    let mut parsed = parse_ours(&withheld_relation(name, catalog)?).ok()?;
    Some(parsed.statements.pop()?.root)
}

/// What stands in place of a call of `function`: the same type, and the same name of a column.
fn no_answer(function: &str) -> Option<String> {
    withheld_function(function).map(|ty| format!("(SELECT NULL::pg_catalog.{ty} AS {function})"))
}

fn withheld_called(node: &Node) -> Option<&str> {
    if node.kind != "FuncCall" {
        return None;
    }
    match node.names("funcname").as_slice() {
        [name] | ["pg_catalog", name] => withheld_function(name).map(|_| *name),
        _ => None,
    }
}

fn is_no_answer(node: &Node, function: &str) -> bool {
    let expected = no_answer(function).and_then(|text| parse_ours(&format!("SELECT {text}")).ok());
    expected.is_some_and(|p| {
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

struct Redaction<'a> {
    catalog: &'a Catalog,
    namespace: &'a Namespace,
}

impl Redaction<'_> {
    /// True when a name that is withheld as a relation is one of a WITH query somewhere.
    fn hidden_by_cte(&self, node: &Node) -> bool {
        (node.kind == "CommonTableExpr" && is_withheld_relation(node.str("ctename")))
            || node.children().into_iter().any(|c| self.hidden_by_cte(c))
    }

    /// `SELECT last_value, is_called FROM sequence`, in exactly this form, is what pg_dump asks: it is told of a sequence
    /// that has not been used. How far it was used tells how many rows there are.
    fn sequence_at_its_start(&self, select: &Node) -> Option<Statement> {
        let only = |node: &Node, fields: &[&str]| node.fields.iter().all(|(field, _)| fields.contains(field));
        let named = |name: &str, target: Option<&Node>| {
            target.is_some_and(|t| {
                only(t, &["val"])
                    && t.node("val").is_some_and(|v| v.kind == "ColumnRef" && v.names("fields") == [name])
            })
        };
        let mut targets = select.nodes("target_list");
        let mut from = select.nodes("from_clause");
        let (range, None) = (from.next()?, from.next()) else { return None };
        let asked = named("last_value", targets.next()) && named("is_called", targets.next());
        let plain = only(select, &["target_list", "from_clause", "limit_option", "op"])
            && range.kind == "RangeVar"
            && only(range, &["schemaname", "relname", "inh", "relpersistence"]);
        if !asked || targets.next().is_some() || !plain {
            return None;
        }
        let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty());
        let meant = resolve_name(self.catalog, self.namespace, schema, range.str("relname"));
        let [Resolution::User(oid)] = meant.as_slice() else { return None };
        self.catalog.relation(*oid).filter(|r| r.kind == RelationKind::Sequence)?;
        let text = format!(
            "SELECT seqstart AS last_value, false AS is_called FROM pg_catalog.pg_sequence \
             WHERE seqrelid OPERATOR(pg_catalog.=) '{oid}'::pg_catalog.oid"
        );
        parse_ours(&text).ok()?.statements.pop()
    }

    /// The name of the system relation that a FROM item means, when it is one that is withheld.
    fn withheld_range<'n>(&self, node: &'n Node) -> Option<&'n str> {
        let (schema, name) = (node.str("schemaname"), node.str("relname"));
        if node.kind != "RangeVar" || !is_withheld_relation(name) || !node.str("catalogname").is_empty() {
            return None;
        }
        let schema = Some(schema).filter(|s| !s.is_empty());
        let meant = resolve_name(self.catalog, self.namespace, schema, name);
        meant.iter().all(|r| *r == Resolution::System(false)).then_some(name)
    }

    fn replaced(&self, text: &str) -> Option<String> {
        let tokens = pg_query::scan_tokens(text).ok()?;
        let at = |i: usize| -> Option<(usize, usize)> {
            let token = tokens.get(i)?;
            Some((usize::try_from(token.start).ok()?, usize::try_from(token.end).ok()?))
        };
        let is = |i: Option<usize>, kind: Token| {
            i.and_then(|i| tokens.get(i)).is_some_and(|t| t.token == kind as i32)
        };
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for i in 0..tokens.len() {
            let (start, end) = at(i)?;
            let before = i.checked_sub(1);
            if start < done {
                continue;
            }
            let written = text.get(start..end)?;
            let name = written.strip_prefix('"').and_then(|w| w.strip_suffix('"')).unwrap_or(written);
            if !is(Some(i), Token::Ident) {
                continue;
            }
            // `a.name`
            let qualified = is(before, Token::Ascii46) && is(i.checked_sub(2), Token::Ident);
            let first = if qualified { i.checked_sub(2)? } else { i };
            let from = at(first)?.0;
            let opener = first.checked_sub(1);
            let lower = name.to_ascii_lowercase();
            let called = is(Some(i + 1), Token::Ascii40);
            if called && let Some(nothing) = no_answer(&lower) {
                out.push_str(text.get(done..from)?);
                out.push_str(&nothing);
                done = at(closing(&tokens, i + 1)?)?.1;
            } else if !called
                && [Token::From, Token::Join, Token::Ascii44, Token::Ascii40].iter().any(|t| is(opener, *t))
                && let Some(query) = withheld_relation(&lower, self.catalog)
            {
                out.push_str(text.get(done..from)?);
                out.push_str(&format!("({query})"));
                if !alias_follows(tokens.get(i + 1)) {
                    out.push_str(&format!(" {lower}"));
                }
                done = end;
            // A name after AS is a label.
            } else if closed(name) && !is(before, Token::As) {
                out.push_str(text.get(done..from)?);
                out.push_str("NULL");
                done = end;
            }
        }
        out.push_str(text.get(done..)?);
        (done > 0).then_some(out)
    }

    /// True when `new` is `old` but for closed columns, sizes and counts, each of which is NULL.
    fn same(&self, old: &Node, new: &Node) -> bool {
        if let Some(function) = withheld_called(old) {
            return is_no_answer(new, function);
        }
        if let Some(name) = self.withheld_range(old) {
            let alias = new.node("alias").is_some_and(|a| match old.node("alias") {
                Some(given) => a == given,
                None => a.fields.len() == 1 && a.str("aliasname") == name,
            });
            let plain = new.fields.len() == 2 && old.int("inh") == 1;
            return new.kind == "RangeSubselect"
                && plain
                && alias
                && is_withheld(new, self.catalog)
                && new
                    .node("subquery")
                    .is_some_and(|q| expected_query(name, self.catalog).as_ref() == Some(q));
        }
        if is_closed_column(old) {
            return new.kind == "AConst" && new.flag("isnull") && new.fields.len() == 1;
        }
        old.kind == new.kind
            && old.fields.len() == new.fields.len()
            && old.fields.iter().zip(&new.fields).all(|((a, x), (b, y))| a == b && self.same_value(x, y))
    }

    fn same_value(&self, old: &Tree, new: &Tree) -> bool {
        match (old, new) {
            (Tree::Node(old), Tree::Node(new)) => self.same(old, new),
            (Tree::List(old), Tree::List(new)) => {
                old.len() == new.len() && old.iter().zip(new).all(|(a, b)| self.same_value(a, b))
            }
            (old, new) => old == new,
        }
    }
}

/// True when this token after the name of a relation gives it an alias.
fn alias_follows(token: Option<&pg_query::protobuf::ScanToken>) -> bool {
    use pg_query::protobuf::KeywordKind as K;
    token.is_some_and(|t| {
        t.token == Token::As as i32
            || t.token == Token::Ident as i32
            || t.keyword_kind == K::UnreservedKeyword as i32
            || t.keyword_kind == K::ColNameKeyword as i32
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Column, QualifiedName, Relation};

    /// A catalog with the relations that the tests read.
    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        for (oid, name, columns) in [
            (3, "steps", &[("last_value", "bigint")][..]),
            (
                1,
                "pg_stat_user_tables",
                &[("relid", "oid"), ("relname", "name"), ("n_live_tup", "bigint")][..],
            ),
            (2, "pg_stat_activity", &[("pid", "integer"), ("query", "text"), ("state", "text")][..]),
        ] {
            let sequence = name == "steps";
            let name = QualifiedName::new(if sequence { "public" } else { "pg_catalog" }, name);
            let columns = columns.iter().map(|(name, type_sql)| Column {
                name: (*name).to_owned(),
                attnum: 1,
                type_oid: 25,
                typmod: -1,
                type_sql: (*type_sql).to_owned(),
                builtin_type: true,
                generated: false,
                computed_from: Vec::new(),
                domain_base: None,
            });
            let relation = Relation {
                oid,
                name: name.clone(),
                kind: if sequence { RelationKind::Sequence } else { RelationKind::View },
                columns: columns.collect(),
                parents: Vec::new(),
                has_triggers_or_rules: false,
                has_rules: false,
                rewrites_rows: false,
                row_security: false,
            };
            catalog.by_name.insert(name, oid);
            catalog.relations.insert(oid, relation);
        }
        catalog
    }

    fn redact(sql: &str) -> Option<String> {
        let schemas = vec!["pg_catalog".to_owned(), "public".to_owned()];
        let namespace = Namespace { schemas, ..Namespace::default() };
        redacted(&parse_ours(sql).unwrap().statements[0], &catalog(), &namespace).map(|s| s.text)
    }

    #[test]
    fn a_relation_that_counts_rows_is_read_without_its_counts() {
        const TABLES: &str = "(SELECT \"relid\", \"relname\", NULL::bigint AS \"n_live_tup\" FROM pg_catalog.\"pg_stat_user_tables\")";
        const ACTIVITY: &str = "(SELECT \"pid\", NULL::pg_catalog.text AS \"query\", NULL::pg_catalog.text AS \"state\" FROM \
             pg_catalog.\"pg_stat_activity\" WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())";
        let activity = ACTIVITY.replace("NULL::pg_catalog.text AS \"state\"", "\"state\"");
        for (sql, expected) in [
            (
                "SELECT n_live_tup FROM pg_stat_user_tables",
                format!("SELECT n_live_tup FROM {TABLES} pg_stat_user_tables"),
            ),
            (
                "SELECT c.relname, s.* FROM pg_class c LEFT JOIN pg_catalog.pg_stat_user_tables AS s ON s.relid = c.oid",
                format!("SELECT c.relname, s.* FROM pg_class c LEFT JOIN {TABLES} AS s ON s.relid = c.oid"),
            ),
            (
                "SELECT count(*), (SELECT max(relid) FROM PG_STAT_USER_TABLES st) FROM pg_stat_activity WHERE state = 'x'",
                format!(
                    "SELECT count(*), (SELECT max(relid) FROM {TABLES} st) FROM {activity} pg_stat_activity WHERE state = 'x'"
                ),
            ),
        ] {
            assert_eq!(redact(sql).as_deref(), Some(expected.as_str()), "{sql}");
        }
        for sql in [
            "WITH pg_stat_activity AS (SELECT 1) SELECT * FROM pg_stat_activity",
            "SELECT 1 FROM ONLY pg_stat_activity",
            "SELECT 1, pg_stat_activity FROM pg_stat_activity",
            "SELECT 1 FROM other.pg_stat_activity",
            "SELECT 1 FROM pg_stats",
            "UPDATE pg_stat_activity SET state = 'x'",
        ] {
            assert_eq!(redact(sql), None, "{sql}");
        }
        let query = |sql: &str| {
            parse_ours(sql).unwrap().statements[0].root.nodes("from_clause").next().cloned().unwrap()
        };
        assert!(is_withheld(&query(&format!("SELECT 1 FROM {TABLES} x")), &catalog()));
        for (from, to) in [
            ("NULL::bigint AS ", ""),
            ("NULL::bigint", "n_live_tup"),
            (" WHERE pid OPERATOR(pg_catalog.=) ", " WHERE pid <> "),
        ] {
            for sql in [TABLES, &activity] {
                let other = sql.replace(from, to);
                assert!(
                    other == *sql || !is_withheld(&query(&format!("SELECT 1 FROM {other} x")), &catalog()),
                    "{other}"
                );
            }
        }
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
    fn pg_dump_is_told_of_a_sequence_that_was_not_used() {
        let expected = "SELECT seqstart AS last_value, false AS is_called FROM pg_catalog.pg_sequence \
             WHERE seqrelid OPERATOR(pg_catalog.=) '3'::pg_catalog.oid";
        assert_eq!(redact("SELECT last_value, is_called FROM public.steps").as_deref(), Some(expected));
        for sql in [
            "SELECT last_value FROM steps",
            "SELECT is_called, last_value FROM steps",
            "SELECT last_value, is_called FROM steps s",
            "SELECT last_value, is_called FROM steps, steps b",
            "SELECT last_value, is_called FROM steps WHERE is_called",
            "SELECT last_value AS v, is_called FROM steps",
            "SELECT last_value, is_called, log_cnt FROM steps",
            "SELECT last_value, is_called FROM pg_stat_activity_2",
            "SELECT last_value, is_called FROM other.steps",
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
            "SELECT attmissingval.x AS y FROM pg_attribute attmissingval",
            "SELECT pg_catalog.pg_attribute.attmissingval AS x FROM pg_catalog.pg_attribute",
            "UPDATE pg_attribute SET attmissingval = NULL",
        ] {
            assert_eq!(redact(sql), None, "{sql}");
        }
    }
}
