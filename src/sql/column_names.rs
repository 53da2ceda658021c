//! What PostgreSQL calls a column that is given no name: `FigureColname` (parse_target.c), on the tree of its expression.
//! The checker finds columns by these names, so one that is not known is said to be so.

use pg_query::protobuf::{AExprKind, JsonExprOp, MinMaxOp, SqlValueFunctionOp, SubLinkType, XmlExprOp};

use super::tree::{Node, Tree};

/// Of what has no name.
const NAMELESS: &str = "?column?";

/// The constants true and false are casts in servers older than this one.
const PLAIN_BOOLEANS: u32 = 150_000;

/// The name of a select list item without one, on a server of this version; `None` where the expression does not tell.
pub(super) fn column_name(value: &Node, server_version: u32) -> Option<String> {
    match figure(value, server_version)? {
        Figure::Nothing => Some(NAMELESS.to_owned()),
        Figure::Weak(name) | Figure::Strong(name) => Some(name.to_owned()),
    }
}

/// True for `t.*` and `(row).*`: several columns, or none.
pub(super) fn is_star(value: &Node) -> bool {
    let last = match value.kind {
        "ColumnRef" => value.list("fields").last(),
        "AIndirection" => value.list("indirection").last(),
        _ => None,
    };
    last.and_then(Tree::as_node).is_some_and(|n| n.kind == "AStar")
}

/// A name as good as the expression gives it: one of a type, or of CASE, gives way to another inside.
enum Figure<'n> {
    Nothing,
    Weak(&'n str),
    Strong(&'n str),
}

impl<'n> Figure<'n> {
    fn or(self, name: &'n str) -> Self {
        match self {
            strong @ Figure::Strong(_) => strong,
            Figure::Nothing | Figure::Weak(_) => Figure::Weak(name),
        }
    }
}

fn figure(node: &Node, version: u32) -> Option<Figure<'_>> {
    use Figure::{Nothing, Strong, Weak};
    let inside = |field: &str| node.node(field).map_or(Some(Nothing), |n| figure(n, version));
    let last = |field: &str| node.names(field).last().copied();
    Some(match node.kind {
        _ if is_star(node) => return None,
        "ColumnRef" => last("fields").map_or(Nothing, Strong),
        "AIndirection" => match last("indirection") {
            Some(name) => Strong(name),
            None => inside("arg")?,
        },
        "FuncCall" => last("funcname").map_or(Nothing, Strong),
        "AExpr" if node.int("kind") == i64::from(AExprKind::AexprNullif as i32) => Strong("nullif"),
        "TypeCast" => match node.node("type_name").and_then(|t| t.names("names").last().copied()) {
            Some(name) => inside("arg")?.or(name),
            None => inside("arg")?,
        },
        "CollateClause" => inside("arg")?,
        "CaseExpr" => inside("defresult")?.or("case"),
        "AConst" if version < PLAIN_BOOLEANS && node.node("val").is_some_and(|v| v.kind == "Boolean") => {
            Weak("bool")
        }
        "SubLink" => return sublink(node, version),
        "GroupingFunc" => Strong("grouping"),
        "MergeSupportFunc" => Strong("merge_action"),
        "AArrayExpr" => Strong("array"),
        "RowExpr" => Strong("row"),
        "CoalesceExpr" => Strong("coalesce"),
        "MinMaxExpr" => match i32::try_from(node.int("op")).ok().and_then(|op| MinMaxOp::try_from(op).ok()) {
            Some(MinMaxOp::IsGreatest) => Strong("greatest"),
            Some(MinMaxOp::IsLeast) => Strong("least"),
            Some(MinMaxOp::Undefined) | None => return None,
        },
        "SqlValueFunction" => Strong(value_function(node)?),
        "XmlExpr" => xml(node)?,
        "XmlSerialize" => Strong("xmlserialize"),
        "JsonParseExpr" => Strong("json"),
        "JsonScalarExpr" => Strong("json_scalar"),
        "JsonSerializeExpr" => Strong("json_serialize"),
        "JsonObjectConstructor" => Strong("json_object"),
        "JsonArrayConstructor" | "JsonArrayQueryConstructor" => Strong("json_array"),
        "JsonObjectAgg" => Strong("json_objectagg"),
        "JsonArrayAgg" => Strong("json_arrayagg"),
        "JsonFuncExpr" => {
            match i32::try_from(node.int("op")).ok().and_then(|op| JsonExprOp::try_from(op).ok())? {
                JsonExprOp::JsonExistsOp => Strong("json_exists"),
                JsonExprOp::JsonQueryOp => Strong("json_query"),
                JsonExprOp::JsonValueOp => Strong("json_value"),
                JsonExprOp::JsonTableOp | JsonExprOp::Undefined => return None,
            }
        }
        _ => Nothing,
    })
}

/// A scalar subquery's column is called as in the subquery.
fn sublink(node: &Node, version: u32) -> Option<Figure<'_>> {
    Some(match i32::try_from(node.int("sub_link_type")).ok().and_then(|t| SubLinkType::try_from(t).ok())? {
        SubLinkType::ExistsSublink => Figure::Strong("exists"),
        SubLinkType::ArraySublink => Figure::Strong("array"),
        SubLinkType::ExprSublink | SubLinkType::MultiexprSublink => {
            let mut select = node.node("subselect")?;
            while let Some(left) = select.node("larg") {
                select = left;
            }
            if select.has("values_lists") {
                return Some(Figure::Strong("column1"));
            }
            let target = select.nodes("target_list").next()?;
            match target.str("name") {
                "" => match figure(target.node("val")?, version)? {
                    Figure::Nothing => Figure::Strong(NAMELESS),
                    Figure::Weak(name) | Figure::Strong(name) => Figure::Strong(name),
                },
                name => Figure::Strong(name),
            }
        }
        SubLinkType::AllSublink
        | SubLinkType::AnySublink
        | SubLinkType::RowcompareSublink
        | SubLinkType::CteSublink
        | SubLinkType::Undefined => Figure::Nothing,
    })
}

fn value_function(node: &Node) -> Option<&'static str> {
    use SqlValueFunctionOp as V;
    Some(match i32::try_from(node.int("op")).ok().and_then(|op| V::try_from(op).ok())? {
        V::SvfopCurrentDate => "current_date",
        V::SvfopCurrentTime | V::SvfopCurrentTimeN => "current_time",
        V::SvfopCurrentTimestamp | V::SvfopCurrentTimestampN => "current_timestamp",
        V::SvfopLocaltime | V::SvfopLocaltimeN => "localtime",
        V::SvfopLocaltimestamp | V::SvfopLocaltimestampN => "localtimestamp",
        V::SvfopCurrentRole => "current_role",
        V::SvfopCurrentUser => "current_user",
        V::SvfopUser => "user",
        V::SvfopSessionUser => "session_user",
        V::SvfopCurrentCatalog => "current_catalog",
        V::SvfopCurrentSchema => "current_schema",
        V::SqlvalueFunctionOpUndefined => return None,
    })
}

fn xml(node: &Node) -> Option<Figure<'_>> {
    use XmlExprOp as X;
    Some(Figure::Strong(match i32::try_from(node.int("op")).ok().and_then(|op| X::try_from(op).ok())? {
        X::IsXmlconcat => "xmlconcat",
        X::IsXmlelement => "xmlelement",
        X::IsXmlforest => "xmlforest",
        X::IsXmlparse => "xmlparse",
        X::IsXmlpi => "xmlpi",
        X::IsXmlroot => "xmlroot",
        X::IsXmlserialize => "xmlserialize",
        X::IsDocument => return Some(Figure::Nothing),
        X::Undefined => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parse_ours;

    fn name(expr: &str, version: u32) -> Option<String> {
        let parsed = parse_ours(&format!("SELECT {expr} FROM t")).expect("PostgreSQL reads it");
        let target = parsed.statements[0].root.nodes("target_list").next().cloned().expect("an item");
        column_name(target.node("val").expect("a value"), version)
    }

    /// As `SELECT ...` shows them on versions 15 and 18.
    #[test]
    fn columns_are_called_what_the_server_calls_them() {
        for (expr, expected) in [
            ("t.a", "a"),
            ("(t.r).f", "f"),
            ("(t.r).f[1]", "f"),
            ("t.arr[1]", "arr"),
            ("a::int", "a"),
            ("(a + 1)::int", "int4"),
            ("'x'::character varying(3)", "varchar"),
            ("date '2020-01-01'", "date"),
            ("a + 1", "?column?"),
            ("-a", "?column?"),
            ("NOT a", "?column?"),
            ("a IS NULL", "?column?"),
            ("a LIKE 'x' ESCAPE 'y'", "?column?"),
            ("a IN (SELECT 1)", "?column?"),
            ("1", "?column?"),
            ("$1", "?column?"),
            ("lower(a)", "lower"),
            ("lower(a)::int", "lower"),
            ("pg_catalog.lower(a) COLLATE \"C\"", "lower"),
            ("(a, b) OVERLAPS (c, d)", "overlaps"),
            ("a AT TIME ZONE 'UTC'", "timezone"),
            ("extract(year FROM a)", "extract"),
            ("position('a' IN b)", "position"),
            ("trim(a)", "btrim"),
            ("trim(LEADING FROM a)", "ltrim"),
            ("substring(a FROM 1)", "substring"),
            ("a IS NFC NORMALIZED", "is_normalized"),
            ("collation for (a)", "pg_collation_for"),
            ("count(*) OVER ()", "count"),
            ("NULLIF(a, b)", "nullif"),
            ("COALESCE(a, b)", "coalesce"),
            ("GREATEST(a, b)", "greatest"),
            ("LEAST(a, b)", "least"),
            ("ARRAY[a]", "array"),
            ("ARRAY(SELECT 1)", "array"),
            ("EXISTS (SELECT 1)", "exists"),
            ("ROW(a, b)", "row"),
            ("(a, b)", "row"),
            ("CASE WHEN a THEN b END", "case"),
            ("CASE WHEN a THEN b ELSE c END", "c"),
            ("CASE WHEN a THEN b ELSE c::int + 1 END", "case"),
            ("CASE WHEN a THEN b ELSE 'x'::text END", "case"),
            ("(CASE WHEN a THEN b END)::int", "int4"),
            ("(SELECT x.y FROM x)", "y"),
            ("(SELECT 1 AS one UNION SELECT 2)", "one"),
            ("(SELECT 1)", "?column?"),
            ("(SELECT 1)::int", "?column?"),
            ("(VALUES (1))", "column1"),
            ("current_user", "current_user"),
            ("current_timestamp(2)", "current_timestamp"),
            ("xmlelement(name x)", "xmlelement"),
            ("a IS DOCUMENT", "?column?"),
            ("json_value(a, '$')", "json_value"),
            ("true", "?column?"),
        ] {
            assert_eq!(name(expr, 150_000).as_deref(), Some(expected), "{expr}");
        }
        assert_eq!(name("true", 140_000).as_deref(), Some("bool"));
        for star in ["t.*", "(t.r).*", "(SELECT * FROM x)", "(TABLE x)"] {
            assert_eq!(name(star, 150_000), None, "{star}");
        }
    }
}
