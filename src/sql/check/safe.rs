//! Which expressions may be evaluated on rows that the filter has not seen yet: those that can
//! neither fail nor tell anything but by their value. See the design's "Evaluation order".
//!
//! [`Checker::safe`] answers with the expression's coarse type, or `None` for "not safe". A
//! parameter counts as safe only where nothing is computed from it: in a generic plan that
//! computation happens per row, so its error would tell that a row was there.

use pg_query::protobuf::{AExprKind, LimitOption, SqlValueFunctionOp, SubLinkType};

use super::Checker;
use super::moments::{moment, near_now, present, short_multiple};
use super::total::{all_comparable, comparable, converts, like_pattern, may_mean, total_cast, unify};
use super::types::{Block, Ty, array_of_enum, builtin, element_of_type_name, of_type_name};
use crate::sql::tree::Node;

pub(super) const AGGREGATES: [&str; 19] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "bool_and",
    "bool_or",
    "every",
    "stddev",
    "variance",
    "percentile_cont",
    "percentile_disc",
    "mode",
];

/// True when a call in `node` (sublinks aside) is an aggregate of this block or a window function: the whole
/// expression is then evaluated above every filter of its block. One that belongs to a query around is a constant
/// here, and what is made of it is evaluated anywhere.
pub(super) fn has_aggregate(node: &Node, block: &Block<'_>) -> bool {
    has_call(node, &|call| call.has("over") || is_own(call, block))
}

/// True when a call in `node`, sublinks aside, is one of these.
fn has_call(node: &Node, wanted: &dyn Fn(&Node) -> bool) -> bool {
    node.kind != "SelectStmt"
        && ((node.kind == "FuncCall" && wanted(node))
            || node.children().into_iter().any(|n| has_call(n, wanted)))
}

/// True for an aggregate that certainly belongs to this block: a column of it is among what it aggregates, or no
/// column at all (`check_agglevels_and_constraints`).
fn is_own(call: &Node, block: &Block<'_>) -> bool {
    let name = call.names("funcname");
    if !matches!(name.as_slice(), [n] | ["pg_catalog", n] if AGGREGATES.contains(n)) {
        return false;
    }
    if block.parent.is_none() {
        return true;
    }
    let (mut columns, mut queries) = (Vec::new(), false);
    let read = call.nodes("args").chain(call.nodes("agg_order")).chain(call.node("agg_filter"));
    read.for_each(|node| columns_of(node, &mut columns, &mut queries));
    (columns.is_empty() && !queries) || columns.into_iter().any(|column| block.owns(column))
}

/// The columns in `node`, and whether there are queries in it, whose columns are not among them.
fn columns_of<'n>(node: &'n Node, columns: &mut Vec<&'n Node>, queries: &mut bool) {
    match node.kind {
        "SelectStmt" => *queries = true,
        "ColumnRef" => columns.push(node),
        _ => node.children().into_iter().for_each(|child| columns_of(child, columns, queries)),
    }
}

/// True for a numeric constant.
pub(super) fn is_number(node: &Node) -> bool {
    node.node("val").is_some_and(|v| matches!(v.kind, "Integer" | "Float"))
}

pub(super) fn string_const(node: &Node) -> Option<&str> {
    node.node("val").filter(|v| node.kind == "AConst" && v.kind == "String").map(|v| v.str("sval"))
}

fn kind_of(node: &Node) -> Option<AExprKind> {
    i32::try_from(node.int("kind")).ok().and_then(|k| AExprKind::try_from(k).ok())
}

/// A whole number of four bytes, as it is written.
pub(super) fn written(node: &Node) -> Option<i64> {
    node.node("val").filter(|v| node.kind == "AConst" && v.kind == "Integer").map(|v| v.int("ival"))
}

/// `date_trunc('month', column)`, where that does not fail: a timestamp, as the column is.
fn truncated(node: &Node) -> bool {
    node.kind == "FuncCall"
        && matches!(node.names("funcname").as_slice(), ["date_trunc"] | ["pg_catalog", "date_trunc"])
        && node.nodes("args").nth(1).is_some_and(|a| a.kind == "ColumnRef")
}

impl Checker<'_> {
    /// The type of a safe expression, `None` for an unsafe one.
    pub(super) fn safe(&self, node: &Node, block: &Block<'_>) -> Option<Ty> {
        match node.kind {
            "AConst" => Some(if is_number(node) {
                Ty::Number
            } else if node.node("val").is_some_and(|v| v.kind == "Boolean") {
                Ty::Bool
            } else {
                Ty::Literal
            }),
            "ParamRef" => Some(Ty::Literal),
            "ColumnRef" => {
                let names = node.names("fields");
                let star = names.len() != node.list("fields").len();
                Some(if star { Ty::Unknown } else { block.column(&names) })
            }
            "TypeCast" => self.safe_cast(node, block),
            "CollateClause" => self.safe(node.node("arg")?, block),
            "SqlValueFunction" => value_function(node),
            "BoolExpr" => {
                let types = self.all_safe(node.nodes("args"), block)?;
                (!types.into_iter().any(|ty| self.becomes_a_condition(ty))).then_some(Ty::Bool)
            }
            "NullTest" => self.safe(node.node("arg")?, block).map(|_| Ty::Bool),
            "BooleanTest" => match self.safe(node.node("arg")?, block)? {
                Ty::Bool | Ty::Literal => Some(Ty::Bool),
                _ => None,
            },
            "CaseExpr" => self.safe_case(node, block),
            "CoalesceExpr" => self.safe_unified(node.nodes("args").collect(), block),
            "MinMaxExpr" => {
                let types = self.all_safe(node.nodes("args"), block)?;
                if self.may_contradict(node.nodes("args"), block)
                    || self.unified_with_parameter(node.nodes("args"), &types)
                {
                    return None;
                }
                let ty = all_comparable(&types).then(|| unify(&types)).flatten()?;
                Some(self.with_parameter(node.nodes("args"), &types, ty))
            }
            "AIndirection" => self.safe_subscript(node, block),
            "AArrayExpr" => array_of(self.safe_unified(node.nodes("elements").collect(), block)?),
            "RowExpr" => self.all_safe(node.nodes("args"), block).map(|_| Ty::Unknown),
            "AExpr" => self.safe_operator(node, block),
            "FuncCall" => self.safe_function(node, block),
            "SubLink" => self.safe_sublink(node, block),
            // Anything else, XML and SQL/JSON functions included, can fail on a value.
            _ => None,
        }
    }

    pub(super) fn all_safe<'n>(
        &self,
        nodes: impl Iterator<Item = &'n Node>,
        block: &Block<'_>,
    ) -> Option<Vec<Ty>> {
        nodes.map(|n| self.safe(n, block)).collect()
    }

    /// Alternatives, which are converted to one type.
    fn safe_unified(&self, nodes: Vec<&Node>, block: &Block<'_>) -> Option<Ty> {
        let types = self.all_safe(nodes.iter().copied(), block)?;
        if self.unified_with_parameter(nodes.iter().copied(), &types) {
            return None;
        }
        unify(&types).map(|ty| self.with_parameter(nodes.into_iter(), &types, ty))
    }

    fn safe_cast(&self, node: &Node, block: &Block<'_>) -> Option<Ty> {
        let arg = node.node("arg")?;
        let to = of_type_name(node.node("type_name")?, self.cx.context.catalog);
        // A constant is converted when the statement is planned, row or no row. Only types of pg_catalog: a user type's input function may do anything.
        if arg.kind == "AConst" {
            return (to != Ty::Unknown).then_some(to);
        }
        if arg.kind == "ParamRef" {
            return self.parameter_cast(arg, node.node("type_name")?);
        }
        let from = match self.safe(arg, block)? {
            Ty::Unknown => self.key_domain(arg, block).unwrap_or(Ty::Unknown),
            from => from,
        };
        // `double precision` has values for which `real` has no room.
        if from == Ty::Float && to == Ty::Float && !is_double(node.node("type_name")) {
            return None;
        }
        // What is at the end of the calendar would fail, a constant with the time zone only at run time: dates
        // go on where timestamps end, and a time zone moves what is last. Every timestamp has a date.
        let calendar = |t: Ty| matches!(t, Ty::Date | Ty::Timestamp | Ty::Timestamptz);
        if calendar(from) && calendar(to) && from != to {
            let near = if to == Ty::Date { present(arg) || truncated(arg) } else { moment(arg, 2) };
            if !near {
                return None;
            }
        }
        // Nobody has more rows than int4 counts.
        if arg.kind == "FuncCall"
            && matches!(arg.names("funcname").as_slice(), ["count"] | ["pg_catalog", "count"])
            && matches!((from, to), (Ty::Int(8), Ty::Int(4)))
        {
            return Some(to);
        }
        // `numeric(4,2)` has no room for every number.
        let narrow = to == Ty::Numeric && node.node("type_name").is_some_and(|t| t.has("typmods"));
        // A function of the database's own may do the conversion.
        let own = from != to && converts(&self.cx.context.catalog.own_code.converts, from, to);
        (!narrow && !own && total_cast(from, to)).then_some(to)
    }

    /// What is behind the domain of a patient key. Casts go by it also where an operator takes the domain itself.
    fn key_domain(&self, column: &Node, block: &Block<'_>) -> Option<Ty> {
        let names = column.names("fields");
        let ([alias, name], "ColumnRef", 2) = (names.as_slice(), column.kind, column.list("fields").len())
        else {
            return None;
        };
        let oid = block.relation(alias)?;
        self.table(oid).ok().filter(|t| t.rule.own_key() == Some(*name))?;
        let column = self.cx.context.catalog.relation(oid)?.column(name)?;
        column.domain_base.as_deref().map(builtin)
    }

    fn safe_case(&self, node: &Node, block: &Block<'_>) -> Option<Ty> {
        let subject = node.node("arg").map(|a| self.safe(a, block));
        let mut results = Vec::new();
        for when in node.nodes("args") {
            let condition = self.safe(when.node("expr")?, block)?;
            match subject {
                None if self.becomes_a_condition(condition) => return None,
                Some(Some(ty)) if !comparable(ty, condition) || self.own_operator("=", &[ty, condition]) => {
                    return None;
                }
                Some(Some(_)) if self.may_contradict([node.node("arg")?, when.node("expr")?], block) => {
                    return None;
                }
                Some(Some(ty))
                    if self.converted_to_parameter(
                        [node.node("arg")?, when.node("expr")?].into_iter(),
                        &[ty, condition],
                    ) =>
                {
                    return None;
                }
                Some(None) => return None,
                _ => {}
            }
            results.push(when.node("result")?);
        }
        results.extend(node.node("defresult"));
        self.safe_unified(results, block)
    }

    /// `tags[1]`, `tags[1:2]`: what is not there is NULL. What type an element has is not known.
    fn safe_subscript(&self, node: &Node, block: &Block<'_>) -> Option<Ty> {
        if self.safe(node.node("arg")?, block)? != Ty::Array {
            return None;
        }
        let mut slice = false;
        for step in node.list("indirection") {
            let step = step.as_node().filter(|step| step.kind == "AIndices")?;
            slice |= step.flag("is_slice");
            for bound in ["lidx", "uidx"].into_iter().filter_map(|bound| step.node(bound)) {
                // What is wider than int4 is converted, and may have no room there.
                let whole = bound.node("val").is_some_and(|v| bound.kind == "AConst" && v.kind == "Integer");
                if !whole && !matches!(self.safe(bound, block)?, Ty::Int(2 | 4)) {
                    return None;
                }
            }
        }
        Some(if slice { Ty::Array } else { Ty::Unknown })
    }

    fn safe_operator(&self, node: &Node, block: &Block<'_>) -> Option<Ty> {
        use AExprKind as K;
        let name = node.names("name");
        let ([op] | ["pg_catalog", op]) = name.as_slice() else { return None };
        let left = node.node("lexpr");
        match kind_of(node)? {
            K::AexprOp => self.safe_binary(op, left, node.node("rexpr"), block),
            K::AexprDistinct | K::AexprNotDistinct => self.safe_binary("=", left, node.node("rexpr"), block),
            K::AexprNullif => {
                // Each operand is looked at once: nested ones would double at every level.
                let (a, b) = (self.safe(left?, block)?, self.safe(node.node("rexpr")?, block)?);
                let operands = [left?, node.node("rexpr")?];
                if self.may_contradict(operands, block)
                    || self.converted_to_parameter(operands.into_iter(), &[a, b])
                {
                    return None;
                }
                (comparable(a, b) && !self.own_operator("=", &[a, b]))
                    .then(|| self.with_parameter(operands.into_iter(), &[a, b], a))
            }
            K::AexprIn => {
                let items = node.node("rexpr").map(|l| l.nodes("items").collect()).unwrap_or_default();
                self.compare_each(left?, items, true, block)
            }
            K::AexprBetween | K::AexprNotBetween | K::AexprBetweenSym | K::AexprNotBetweenSym => {
                let items = node.node("rexpr").map(|l| l.nodes("items").collect()).unwrap_or_default();
                self.compare_each(left?, items, false, block)
            }
            K::AexprOpAny | K::AexprOpAll => {
                if !is_comparison(op) {
                    return None;
                }
                let right = node.node("rexpr")?;
                match right.kind {
                    "AArrayExpr" => self.compare_each(left?, right.nodes("elements").collect(), true, block),
                    "ParamRef" | "AConst" => self.compare(left?, right, block),
                    // `$1::int[]`, `'{1,2}'::int[]`.
                    "TypeCast" => {
                        let arg = right.node("arg")?;
                        let ty = self.safe(left?, block)?;
                        let element = element_of_type_name(right.node("type_name")?, self.cx.context.catalog);
                        let fits = comparable(ty, element) && !self.own_comparison(ty, element);
                        if arg.kind == "AArrayExpr" {
                            return self
                                .compare_each(left?, arg.nodes("elements").collect(), true, block)
                                .filter(|_| fits);
                        }
                        // `'{a,b}'::status[]`: whatever the enum is, the two have to be of one.
                        if ty == Ty::Enum && matches!(arg.kind, "AConst" | "ParamRef") {
                            let name = right.node("type_name")?;
                            let given = arg.kind == "AConst" || self.parameter_is(arg, name);
                            let enums = given && array_of_enum(name, self.cx.context.catalog);
                            return (enums && !self.own_comparison(ty, ty)).then_some(Ty::Bool);
                        }
                        (fits && self.safe_cast(right, block)? == Ty::Array).then_some(Ty::Bool)
                    }
                    _ => None,
                }
            }
            K::AexprLike | K::AexprIlike => {
                if self.own_operator(op, &[Ty::Text])
                    || self.collations.loose
                    || self.may_contradict([left?], block)
                {
                    return None;
                }
                let text = matches!(self.safe(left?, block)?, Ty::Text | Ty::Literal);
                let pattern = string_const(node.node("rexpr")?)?;
                (text && like_pattern(pattern)).then_some(Ty::Bool)
            }
            K::AexprSimilar | K::Undefined => None,
        }
    }

    fn compare_each(&self, left: &Node, items: Vec<&Node>, listed: bool, block: &Block<'_>) -> Option<Ty> {
        if left.kind == "RowExpr" {
            let same = items.iter().all(|i| self.compare(left, i, block).is_some());
            return same.then_some(Ty::Bool);
        }
        let a = self.safe(left, block)?;
        if self.may_contradict(std::iter::once(left).chain(items.iter().copied()), block) {
            return None;
        }
        // All are converted to one common type.
        let types = self.all_safe(items.iter().copied(), block)?;
        let both: Vec<Ty> = std::iter::once(a).chain(types.iter().copied()).collect();
        let operands = || std::iter::once(left).chain(items.iter().copied());
        // The two of BETWEEN are compared one by one, and what is alone in a list as if there were none.
        let converted = match listed && items.len() > 1 {
            true => self.unified_with_parameter(operands(), &both),
            false => self.converted_to_parameter(operands(), &both),
        };
        if converted {
            return None;
        }
        let converted = || types.iter().any(|b| self.own_comparison(a, *b));
        let same = types.iter().all(|b| comparable(a, *b)) && !converted();
        (same && all_comparable(&types)).then_some(Ty::Bool)
    }

    fn compare(&self, left: &Node, right: &Node, block: &Block<'_>) -> Option<Ty> {
        if left.kind == "RowExpr" && right.kind == "RowExpr" {
            let (l, r): (Vec<_>, Vec<_>) = (left.nodes("args").collect(), right.nodes("args").collect());
            let same =
                l.len() == r.len() && l.iter().zip(&r).all(|(a, b)| self.compare(a, b, block).is_some());
            return same.then_some(Ty::Bool);
        }
        let (a, b) = (self.safe(left, block)?, self.safe(right, block)?);
        if self.may_contradict([left, right], block)
            || self.converted_to_parameter([left, right].into_iter(), &[a, b])
        {
            return None;
        }
        (comparable(a, b) && !self.own_comparison(a, b)).then_some(Ty::Bool)
    }

    /// True when a comparison of these may mean an operator of the database's own, or convert one to the other by a
    /// function of its own.
    pub(super) fn own_comparison(&self, a: Ty, b: Ty) -> bool {
        let own = &self.cx.context.catalog.own_code.converts;
        (a != b && (converts(own, a, b) || converts(own, b, a)))
            || COMPARISONS.iter().any(|op| self.own_operator(op, &[a, b]))
    }

    /// True for the token of an operator of the database's own that may be meant for operands of these types: it may
    /// do anything.
    fn own_operator(&self, token: &str, operands: &[Ty]) -> bool {
        may_mean(self.cx.context.catalog.own_code.operators.get(token), operands)
    }

    fn safe_binary(
        &self,
        op: &str,
        left: Option<&Node>,
        right: Option<&Node>,
        block: &Block<'_>,
    ) -> Option<Ty> {
        let right = right?;
        let Some(left) = left else {
            // A sign before a constant.
            return (matches!(op, "-" | "+") && right.kind == "AConst" && is_number(right))
                .then_some(Ty::Number);
        };
        if is_comparison(op) {
            return self.compare(left, right, block);
        }
        let (a, b) = (self.safe(left, block)?, self.safe(right, block)?);
        if self.own_operator(op, &[a, b]) || self.may_contradict([left, right], block) {
            return None;
        }
        match (op, a, b) {
            ("||", Ty::Text, Ty::Text | Ty::Literal) | ("||", Ty::Literal, Ty::Text) => Some(Ty::Text),
            ("->", Ty::Jsonb, Ty::Literal | Ty::Number) => Some(Ty::Jsonb),
            ("->>", Ty::Jsonb, Ty::Literal | Ty::Number) => Some(Ty::Text),
            ("#>", Ty::Jsonb, Ty::Literal) => Some(Ty::Jsonb),
            ("#>>", Ty::Jsonb, Ty::Literal) => Some(Ty::Text),
            ("@>" | "<@", Ty::Jsonb, Ty::Jsonb | Ty::Literal) => Some(Ty::Bool),
            ("?" | "?|" | "?&", Ty::Jsonb, Ty::Literal) => Some(Ty::Bool),
            // Constants only, folded when planned: fails always or never.
            ("+" | "-" | "*", Ty::Number, Ty::Number) => Some(Ty::Number),
            ("*", Ty::Number, Ty::Other("interval")) | ("*", Ty::Other("interval"), Ty::Number) => {
                short_multiple(left, right).then_some(Ty::Other("interval"))
            }
            // By a written number that is not 0, nor -1: the lowest one has no opposite.
            ("/" | "%", Ty::Int(width), Ty::Number) => {
                written(right).filter(|n| *n > 0).map(|_| Ty::Int(width.max(4)))
            }
            // Steps of ten: what was divided by as much before.
            ("*", Ty::Int(width), Ty::Number) => {
                let divisor = left.node("rexpr").filter(|_| left.names("name") == ["/"]).and_then(written);
                let fits = divisor.zip(written(right)).is_some_and(|(by, n)| (0..=by).contains(&n));
                fits.then_some(Ty::Int(width.max(4)))
            }
            ("+" | "-", _, _) => near_now(left, right, a),
            ("~~" | "!~~" | "~~*" | "!~~*", Ty::Text, Ty::Literal) => {
                (!self.collations.loose && string_const(right).is_some_and(like_pattern)).then_some(Ty::Bool)
            }
            _ => None,
        }
    }

    /// True when a user function of that name could be meant.
    pub(super) fn shadowed(&self, name: &str) -> bool {
        self.cx.context.catalog.functions.get(name).into_iter().flatten().any(|f| f.schema != "pg_catalog")
    }

    /// True when a subquery certainly has no more than one row, as more are an error: by LIMIT, or as it aggregates all
    /// of its rows.
    fn is_one_row(&self, select: &Node, block: &Block<'_>) -> bool {
        let ties = select.int("limit_option") == i64::from(LimitOption::WithTies as i32);
        let limited = select.node("limit_count").is_some_and(|l| {
            l.node("val").is_some_and(|v| l.kind == "AConst" && v.kind == "Integer" && v.int("ival") <= 1)
        });
        if limited && !ties {
            return true;
        }
        // Of a set operation nothing stands in them.
        if select.has("larg") || select.has("group_clause") || select.list("target_list").is_empty() {
            return select.list("values_lists").len() == 1;
        }
        let mut items = self.items_inside(select, block);
        if select.has("with_clause") {
            // A name in FROM may be that of one of its WITH queries.
            items.iter_mut().for_each(|item| item.columns = None);
        }
        let inner = Block { items: &items, ctes: block.ctes, parent: Some(block) };
        let aggregates = |target| has_call(target, &|call| !call.has("over") && is_own(call, &inner));
        select.nodes("target_list").all(aggregates)
    }

    /// The subquery's own expressions are judged where its block is walked; here only whether the
    /// link itself can fail.
    fn safe_sublink(&self, node: &Node, block: &Block<'_>) -> Option<Ty> {
        let kind =
            i32::try_from(node.int("sub_link_type")).ok().and_then(|k| SubLinkType::try_from(k).ok())?;
        let select = node.node("subselect")?;
        match kind {
            SubLinkType::ExistsSublink => Some(Ty::Bool),
            SubLinkType::ArraySublink => {
                array_of(self.inner_types(select, block).first().copied().unwrap_or(Ty::Unknown))
            }
            SubLinkType::AnySublink | SubLinkType::AllSublink => {
                let name = node.names("oper_name");
                let ok = name.is_empty()
                    || matches!(name.as_slice(), [op] | ["pg_catalog", op] if is_comparison(op));
                let test = node.node("testexpr")?;
                let left = match test.kind {
                    "RowExpr" => self.all_safe(test.nodes("args"), block)?,
                    _ => vec![self.safe(test, block)?],
                };
                let right = self.inner_types(select, block);
                let same = left.len() == right.len()
                    && left.iter().zip(&right).all(|(a, b)| {
                        let converted = self.converted_to_parameter([test, select].into_iter(), &[*a, *b]);
                        comparable(*a, *b) && !self.own_comparison(*a, *b) && !converted
                    });
                let contradicts = self.may_contradict([test, select], block);
                (ok && same && !contradicts).then_some(Ty::Bool)
            }
            SubLinkType::ExprSublink => {
                let types = self.inner_types(select, block);
                self.is_one_row(select, block).then(|| types.first().copied().unwrap_or(Ty::Unknown))
            }
            SubLinkType::RowcompareSublink
            | SubLinkType::MultiexprSublink
            | SubLinkType::CteSublink
            | SubLinkType::Undefined => None,
        }
    }
}

/// The type of an array of these: arrays of what is not known to compare do not compare either.
pub(super) fn array_of(element: Ty) -> Option<Ty> {
    Some(if matches!(element, Ty::Unknown | Ty::Given | Ty::Array) { Ty::Unknown } else { Ty::Array })
}

/// True for `float8`, `double precision`.
fn is_double(type_name: Option<&Node>) -> bool {
    type_name.is_some_and(|t| t.names("names").last() == Some(&"float8"))
}

const COMPARISONS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

pub(super) fn is_comparison(op: &str) -> bool {
    op == "!=" || COMPARISONS.contains(&op)
}

fn value_function(node: &Node) -> Option<Ty> {
    use SqlValueFunctionOp as V;
    Some(match i32::try_from(node.int("op")).ok().and_then(|k| V::try_from(k).ok())? {
        V::SvfopCurrentDate => Ty::Date,
        V::SvfopCurrentTimestamp | V::SvfopCurrentTimestampN => Ty::Timestamptz,
        V::SvfopLocaltimestamp | V::SvfopLocaltimestampN => Ty::Timestamp,
        V::SvfopCurrentTime | V::SvfopCurrentTimeN => Ty::Other("timetz"),
        V::SvfopLocaltime | V::SvfopLocaltimeN => Ty::Other("time"),
        V::SvfopCurrentRole
        | V::SvfopCurrentUser
        | V::SvfopUser
        | V::SvfopSessionUser
        | V::SvfopCurrentCatalog
        | V::SvfopCurrentSchema => Ty::Text,
        V::SqlvalueFunctionOpUndefined => return None,
    })
}
