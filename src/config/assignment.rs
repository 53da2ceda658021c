//! `[assignment]` and `[[assignment.source]]`: who is assigned to whom, and the judgement of a query
//! that says so. The query becomes part of every guard, so nothing in it may mean something else under
//! a client's search_path, fail, or change: what is not on the list here is refused.

use pg_query::protobuf::{AExprKind, Token};
use toml::Spanned;

use super::diagnostic::Findings;
use super::policy::{column, relation, required_column};
use super::reader::Section;
use crate::catalog::QualifiedName;
use crate::policy::{Assignment, AssignmentQuery, Demand, RESERVED_PREFIX, Source, Value};
use crate::sql::tree::{Node, Tree, tree_of};

/// What was read: the first relation with its place, and the further sources.
pub(super) type Read = (Option<Spanned<Assignment>>, Vec<Source>);

pub(super) fn read(top: &mut Section<'_>, findings: &mut Findings<'_>) -> Read {
    let mut s = top.section(findings, "assignment");
    let mut sources = Vec::new();
    if s.take("source").is_some() {
        for item in s.array(findings, "source").into_iter().flat_map(|a| a.iter()) {
            let mut entry = Section::of(findings, "[[assignment.source]]".to_owned(), item);
            sources.extend(source(&mut entry, findings));
            entry.finish(findings);
        }
    }
    let first = of_relation(&mut s, findings);
    s.finish(findings);
    (first, sources)
}

fn of_relation(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<Spanned<Assignment>> {
    let relation = relation(s, findings, "relation", "\"glass.assigned\"");
    let principal = required_column(s, findings, "principal", "\"user_name\"");
    let patient = required_column(s, findings, "patient", "\"patient_id\"");
    let valid_from = column(s, findings, "valid_from").map(Spanned::into_inner);
    let valid_to = column(s, findings, "valid_to").map(Spanned::into_inner);
    let relation = relation?;
    let span = relation.span();
    let (relation, principal, patient) = (relation.into_inner(), principal?, patient?);
    Some(Spanned::new(span, Assignment { relation, principal, patient, valid_from, valid_to }))
}

fn source(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<Source> {
    let Some(query) = s.string(findings, "query") else {
        return of_relation(s, findings).map(|a| Source::Relation(a.into_inner()));
    };
    for key in ["relation", "principal", "patient", "valid_from", "valid_to"] {
        if s.take(key).is_some() {
            findings.error_help(
                s.key_span(key),
                format!("`{key}` beside `query`: the query itself says it"),
                "its first column is the principal, its second the patient",
            );
        }
    }
    match judge(query.get_ref()) {
        Ok(judged) => Some(Source::Query(judged)),
        Err(problem) => {
            findings.error_help(
                query.span(),
                format!("the assignment's query is not accepted: {problem}"),
                "one SELECT of a principal and a patient over tables named schema.table, joined with ON, \
                 with comparisons and functions of pg_catalog; or keep the rows in a table",
            );
            None
        }
    }
}

/// Nodes a query may consist of. Not `SubLink` with an operator of its own choosing, `USING`, window and
/// set-returning parts: they find operators by name, or rows twice.
const NODES: [&str; 24] = [
    "SelectStmt",
    "ResTarget",
    "ColumnRef",
    "RangeVar",
    "Alias",
    "JoinExpr",
    "AExpr",
    "BoolExpr",
    "NullTest",
    "AConst",
    "TypeCast",
    "TypeName",
    "FuncCall",
    "String",
    "Integer",
    "Float",
    "Boolean",
    "CoalesceExpr",
    "SubLink",
    "List",
    "BitString",
    "RangeSubselect",
    "Ival",
    "Sval",
];

/// Functions that give one answer within a statement and cannot fail.
const FUNCTIONS: [&str; 9] = [
    "now",
    "statement_timestamp",
    "transaction_timestamp",
    "lower",
    "upper",
    "btrim",
    "concat",
    "date_trunc",
    "timezone",
];

/// Operators, all of `pg_catalog`.
const OPERATORS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

/// The query with its operators qualified, or why it is not accepted.
fn judge(text: &str) -> Result<AssignmentQuery, String> {
    let sql = qualified(text)?;
    let parsed = pg_query::parse(&sql, 0).map_err(|e| e.to_string())?;
    let [statement] = parsed.protobuf.stmts.as_slice() else {
        return Err("it is not one statement".to_owned());
    };
    let Ok(Tree::Node(root)) = tree_of(&statement.stmt) else { return Err("it is empty".to_owned()) };
    if root.kind != "SelectStmt" {
        return Err("it is no SELECT".to_owned());
    }
    let star = |t: &Node| t.node("val").is_none_or(|v| v.children().iter().any(|c| c.kind == "AStar"));
    let mut arm = &root;
    while let Some(left) = arm.node("larg") {
        arm = left;
    }
    if arm.list("target_list").len() != 2 || arm.nodes("target_list").any(star) {
        return Err("its select list is not two columns, the principal and the patient".to_owned());
    }
    let mut found = AssignmentQuery {
        sql,
        relations: Vec::new(),
        columns: Vec::new(),
        aliases: Vec::new(),
        outputs: Vec::new(),
        demands: Vec::new(),
    };
    walk(&root, &mut found)?;
    found.relations.sort();
    found.relations.dedup();
    found.columns.sort();
    found.columns.dedup();
    if found.relations.is_empty() {
        return Err("it reads no relation".to_owned());
    }
    Ok(found)
}

/// Comparison operators written out with their schema: a client's search_path may hold others.
fn qualified(text: &str) -> Result<String, String> {
    if text.contains(RESERVED_PREFIX) {
        return Err(format!("names that begin with {RESERVED_PREFIX} are reserved"));
    }
    let scanned = pg_query::scan(text).map_err(|e| e.to_string())?;
    let mut out = String::new();
    let mut at = 0;
    let mut written_out = false;
    for token in &scanned.tokens {
        let (Ok(start), Ok(end)) = (usize::try_from(token.start), usize::try_from(token.end)) else {
            continue;
        };
        let (Some(before), Some(word)) = (text.get(at..start), text.get(start..end)) else { continue };
        if [Token::SqlComment as i32, Token::CComment as i32].contains(&token.token) {
            out.push_str(before);
            out.push(' ');
            at = end;
            continue;
        }
        out.push_str(before);
        at = end;
        let name = if word == "!=" { "<>" } else { word };
        // After a dot it stands in OPERATOR(schema.op) already.
        if OPERATORS.contains(&name) && !written_out {
            // A keyword, unlike what it stands for.
            let after = text.get(end..).unwrap_or_default();
            let space = |touches: bool| if touches { " " } else { "" };
            let (left, right) =
                (space(!out.ends_with(char::is_whitespace)), space(!after.starts_with(char::is_whitespace)));
            out.push_str(&format!("{left}OPERATOR(pg_catalog.{name}){right}"));
        } else {
            out.push_str(word);
        }
        written_out = word == ".";
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out.trim().trim_end_matches(';').to_owned())
}

fn walk(node: &Node, found: &mut AssignmentQuery) -> Result<(), String> {
    if !NODES.contains(&node.kind) {
        return Err(format!("{} is not allowed in it", node.kind));
    }
    let builtin = |names: &[&str]| names.len() == 2 && names.first() == Some(&"pg_catalog");
    match node.kind {
        "SelectStmt" => {
            for part in [
                "with_clause",
                "into_clause",
                "locking_clause",
                "window_clause",
                "group_clause",
                "sort_clause",
            ] {
                if node.has(part) {
                    return Err(format!(
                        "{} is not allowed in it",
                        part.trim_end_matches("_clause").to_uppercase()
                    ));
                }
            }
            if node.has("limit_count") || node.has("limit_offset") || node.has("values_lists") {
                return Err("LIMIT, OFFSET and VALUES are not allowed in it".to_owned());
            }
        }
        "RangeVar" => {
            let name = QualifiedName::new(node.str("schemaname"), node.str("relname"));
            if name.schema.is_empty() || node.has("catalogname") {
                return Err(format!("relation {} is not named as schema.table", name.name));
            }
            // They show what a session made and set, its temporary tables for one.
            if matches!(name.schema.as_str(), "pg_catalog" | "information_schema") {
                return Err(format!("relation {name} is the system's"));
            }
            let alias = node.node("alias").map_or(name.name.as_str(), |a| a.str("aliasname"));
            found.aliases.push((alias.to_owned(), name.clone()));
            found.relations.push(name);
        }
        "ColumnRef" => {
            found.columns.extend(node.names("fields").last().map(|c| (*c).to_owned()));
        }
        "AExpr" => {
            let known = [AExprKind::AexprOp, AExprKind::AexprOpAny, AExprKind::AexprOpAll];
            let names = node.names("name");
            if !known.iter().any(|k| node.int("kind") == *k as i64)
                || !builtin(&names)
                || !names.last().is_some_and(|n| OPERATORS.contains(n))
            {
                let name = names.last().copied().unwrap_or_default();
                return Err(format!(
                    "operator {name} is not allowed in it (nor IN, LIKE, BETWEEN; use =, <, >, = ANY)"
                ));
            }
            let (left, right) = (value(node.node("lexpr"))?, value(node.node("rexpr"))?);
            found.demands.push(match node.int("kind") == AExprKind::AexprOp as i64 {
                true => Demand::Alike(left, right),
                false => Demand::Listed(left, right),
            });
        }
        "FuncCall" => {
            let names = node.names("funcname");
            if !builtin(&names) || !names.last().is_some_and(|n| FUNCTIONS.contains(n)) {
                return Err(format!(
                    "function {} is not allowed in it (pg_catalog.NAME of: {})",
                    names.join("."),
                    FUNCTIONS.join(", ")
                ));
            }
            call(node, names.last().copied().unwrap_or_default(), found)?;
        }
        "ResTarget" => {
            let value = value(node.node("val"))?;
            let name = match (node.str("name"), &value) {
                ("", Value::Column(_, name)) => name.clone(),
                (name, _) => name.to_owned(),
            };
            found.outputs.push((name, value));
        }
        "CoalesceExpr" => {
            let values = node.nodes("args").map(|a| value(Some(a))).collect::<Result<Vec<_>, _>>()?;
            let pairs = values.iter().zip(values.iter().skip(1));
            found.demands.extend(pairs.map(|(a, b)| Demand::Alike(a.clone(), b.clone())));
        }
        "TypeCast" => {
            if let Value::Cast(of, to) = value(Some(node))? {
                found.demands.push(Demand::Cast(*of, to));
            }
        }
        "TypeName" if !builtin(&node.names("names")) => {
            return Err(format!("type {} is not named as pg_catalog.type", node.names("names").join(".")));
        }
        "JoinExpr" if node.flag("is_natural") || node.has("using_clause") => {
            return Err("USING and NATURAL are not allowed in it: join with ON".to_owned());
        }
        "SubLink" => {
            let exists = pg_query::protobuf::SubLinkType::ExistsSublink as i64;
            if node.int("sub_link_type") != exists {
                return Err("of subqueries only EXISTS is allowed in it".to_owned());
            }
        }
        _ => {}
    }
    node.children().into_iter().try_for_each(|child| walk(child, found))
}

/// What a call demands of its arguments.
fn call(node: &Node, name: &str, found: &mut AssignmentQuery) -> Result<(), String> {
    let args = node.nodes("args").map(|a| value(Some(a))).collect::<Result<Vec<_>, _>>()?;
    match (name, args.as_slice()) {
        ("now" | "statement_timestamp" | "transaction_timestamp", []) => {}
        ("lower" | "upper" | "btrim" | "concat", _) => {
            found
                .demands
                .extend(args.into_iter().filter(|a| !matches!(a, Value::Constant(_))).map(Demand::Written));
        }
        ("date_trunc", [Value::Constant(_), moment]) => found.demands.push(Demand::Zoneless(moment.clone())),
        ("timezone", [Value::Constant(_), moment]) => found.demands.push(Demand::Moment(moment.clone())),
        ("timezone", _) => {
            return Err("timezone is called otherwise than with the name of a zone and a moment".to_owned());
        }
        _ => return Err(format!("function {name} is called in another way than it allows")),
    }
    Ok(())
}

/// An expression, as far as its type matters.
fn value(node: Option<&Node>) -> Result<Value, String> {
    let unknown = || "an expression in it is not understood".to_owned();
    let node = node.ok_or_else(unknown)?;
    Ok(match node.kind {
        "ColumnRef" => match node.names("fields").as_slice() {
            [column] => Value::Column(None, (*column).to_owned()),
            [.., of, column] => Value::Column(Some((*of).to_owned()), (*column).to_owned()),
            [] => return Err(unknown()),
        },
        "AConst" => match node.node("val").map(|v| (v.kind, v)) {
            Some(("String" | "Sval", text)) => Value::Constant(text.str("sval").to_owned()),
            Some(("Boolean", _)) => Value::Typed("boolean"),
            Some(("Integer" | "Ival" | "Float", _)) | None => Value::Typed("numeric"),
            Some(_) => return Err("a constant in it is not understood".to_owned()),
        },
        "TypeCast" => {
            let name = node.node("type_name").ok_or_else(unknown)?;
            let array = if name.has("array_bounds") { "[]" } else { "" };
            let to = format!("{}{array}", name.names("names").last().copied().unwrap_or_default());
            Value::Cast(Box::new(value(node.node("arg"))?), to)
        }
        "FuncCall" => match (node.names("funcname").last().copied(), node.nodes("args").nth(1)) {
            (Some("now" | "statement_timestamp" | "transaction_timestamp"), _) => {
                Value::Typed("timestamp with time zone")
            }
            (Some("date_trunc"), _) => Value::Typed("timestamp without time zone"),
            (Some("timezone"), moment) => Value::AtZone(Box::new(value(moment)?)),
            _ => Value::Typed("text"),
        },
        "CoalesceExpr" => {
            Value::OneOf(node.nodes("args").map(|a| value(Some(a))).collect::<Result<Vec<_>, _>>()?)
        }
        "AExpr" | "BoolExpr" | "NullTest" | "SubLink" => Value::Typed("boolean"),
        _ => return Err(unknown()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_that_mean_the_same_for_every_client_are_accepted() {
        let judged = judge(
            "SELECT e.doctor, e.patient_id -- comment\n FROM clinic.encounter AS e JOIN hr.staff s ON s.id = e.staff_id \
             WHERE e.ended IS NULL AND s.unit != 'x=y' AND e.begun <= pg_catalog.now() \
             UNION ALL SELECT d.who, d.patient FROM clinic.duty d WHERE NOT EXISTS (SELECT 1 FROM clinic.off o WHERE o.who = d.who);",
        )
        .unwrap();
        assert_eq!(
            judged.relations.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["clinic.duty", "clinic.encounter", "clinic.off", "hr.staff"]
        );
        assert!(judged.sql.contains("OPERATOR(pg_catalog.<>) 'x=y'"), "{}", judged.sql);
        assert!(judged.sql.contains("OPERATOR(pg_catalog.<=) pg_catalog.now()"), "{}", judged.sql);
        assert!(judged.columns.contains(&"doctor".to_owned()));
        assert!(judge("SELECT a.b, a.c FROM s.a AS a WHERE a.d OPERATOR(pg_catalog.=) 1").is_ok());
    }

    #[test]
    fn what_a_client_could_bend_is_refused() {
        for text in [
            "",
            "SELECT 1; SELECT 2",
            "DELETE FROM s.a",
            "SELECT * FROM s.a",
            "SELECT b FROM s.a",
            "SELECT b, c FROM a",
            "SELECT b, c FROM db.s.a",
            "SELECT b, c FROM s.a FOR UPDATE",
            "SELECT b, c INTO x FROM s.a",
            "WITH w AS (SELECT 1) SELECT b, c FROM s.a",
            "SELECT b, pg_catalog.random() FROM s.a",
            "SELECT lower(b), c FROM s.a",
            "SELECT b, c::text FROM s.a",
            "SELECT b, c FROM s.a WHERE b LIKE 'x%'",
            "SELECT b, c FROM s.a WHERE b IN ('x', 'y')",
            "SELECT b, c FROM s.a WHERE b IN (SELECT d FROM s.e)",
            "SELECT b, c + 1 FROM s.a",
            "SELECT b, c FROM s.a WHERE b OPERATOR(evil.=) 'x'",
            "SELECT b, c FROM s.a JOIN s.d USING (b)",
            "SELECT b, c FROM s.a NATURAL JOIN s.d",
            "SELECT b, c FROM s.a WHERE b = current_user",
            "SELECT b, c FROM s.a WHERE b = $1",
            "SELECT b, c FROM s.a AS __glass_x",
            "SELECT b, c FROM s.a LIMIT 1",
            "SELECT b, c FROM s.a WHERE EXISTS (SELECT 1 FROM pg_catalog.pg_class e WHERE e.relname = 'x')",
            "SELECT b, c FROM s.f() AS a",
            "SELECT 'x', 1",
        ] {
            assert!(judge(text).is_err(), "{text}");
        }
    }
}
