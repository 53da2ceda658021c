//! What the planner evaluates by itself: to estimate a condition it runs its operator on values of the column's
//! statistics, which are those of all rows, hidden ones included; a fence does not stand in its way. An operator that
//! could fail on a value has to stand where the planner does not look for conditions: in a CASE whose condition only the
//! run tells.

use pg_query::protobuf::AExprKind;

use super::Checker;
use super::expected::expression;
use super::safe::{is_comparison, string_const};
use super::total::{like_pattern, may_mean};
use super::types::{Block, Ty, of_type_name};
use crate::sql::functions::is_estimated;
use crate::sql::tree::Node;

/// Operators of `pg_catalog` that give no condition.
const NO_CONDITIONS: [&str; 12] = ["+", "-", "*", "/", "%", "^", "||", "->", "->>", "#>", "#>>", "#-"];

impl Checker<'_> {
    /// Notes an operator in a condition (or what may become one) that the planner would try on statistics.
    pub(super) fn estimates(&mut self, node: &Node, block: &Block<'_>) {
        if self.estimated.is_none() && self.is_estimated(node, block) {
            self.estimated = Some("an operator that the planner tries on statistics".to_owned());
        }
    }

    /// The same for `=` of USING or NATURAL between columns of these types, where a function of the database's own, none
    /// of C, may stand behind it.
    pub(super) fn tried_by_using(&mut self, a: Ty, b: Ty) {
        let catalog = self.cx.context.catalog;
        let unknown = [a, b].contains(&Ty::Unknown);
        let mut comparisons = catalog.own_code.operators.iter().filter(|(op, _)| is_comparison(op));
        let tried = comparisons.any(|(_, own)| {
            let own: Vec<_> = own.iter().filter(|o| !o.functions.is_empty()).cloned().collect();
            !own.is_empty() && (unknown || may_mean(Some(&own), &[a, b]))
        });
        if tried && self.estimated.is_none() {
            self.estimated = Some("USING or NATURAL over an operator of the database's own".to_owned());
        }
    }

    fn is_estimated(&self, node: &Node, block: &Block<'_>) -> bool {
        if self.is_exempt(node) {
            return false;
        }
        match node.kind {
            // Nothing in them is taken for a condition; a query is judged for itself.
            "SelectStmt" | "MinMaxExpr" | "AArrayExpr" => false,
            "CaseExpr" if is_hidden(node) => false,
            // Of a CASE of the client's whose conditions are constants the planner leaves the result alone. Its conditions
            // are never taken for one of the statement's.
            "CaseExpr" => {
                let results = node.nodes("args").filter_map(|when| when.node("result"));
                results.chain(node.node("defresult")).any(|result| self.is_estimated(result, block))
            }
            "FuncCall" => {
                let name = node.names("funcname").last().copied().unwrap_or_default();
                let tried = is_estimated(name) || self.cx.context.catalog.is_own_condition(name);
                tried && !node.has("over") && reads_column(node) && self.safe(node, block).is_none()
            }
            "AExpr" if self.could_fail_on_statistics(node, block) => true,
            "SubLink" => {
                let (operator, test) = (node.names("oper_name"), node.node("testexpr"));
                let op = operator.last().copied().unwrap_or("=");
                let plain = is_comparison(op);
                test.is_some_and(reads_column)
                    && self.safe(node, block).is_none()
                    && (!plain
                        || self.compares_own(op, test.into_iter().chain(node.node("subselect")), block))
            }
            _ => node.children().into_iter().any(|child| self.is_estimated(child, block)),
        }
    }

    fn could_fail_on_statistics(&self, node: &Node, block: &Block<'_>) -> bool {
        use AExprKind as K;
        let name = node.names("name");
        let op = name.last().copied().unwrap_or_default();
        let own = &self.cx.context.catalog.foreign_operators;
        let kind = i32::try_from(node.int("kind")).ok().and_then(|k| K::try_from(k).ok());
        if kind == Some(K::AexprNullif) {
            return false;
        }
        if NO_CONDITIONS.contains(&op) && !own.contains(op) {
            return false;
        }
        // A pattern that cannot fail does not, whatever the text is.
        let pattern = node.node("rexpr").and_then(string_const).is_some_and(like_pattern);
        let like = matches!(kind, Some(K::AexprLike | K::AexprIlike)) && pattern;
        if like && !own.contains(op) && !self.collations.loose {
            return false;
        }
        if !reads_column(node) || self.safe(node, block).is_some() {
            return false;
        }
        let comparison = match kind {
            Some(K::AexprOp | K::AexprOpAny | K::AexprOpAll) => Some(op).filter(|op| is_comparison(op)),
            Some(K::AexprLike | K::AexprIlike | K::AexprSimilar | K::Undefined) | None => None,
            Some(K::AexprIn | K::AexprDistinct | K::AexprNotDistinct | K::AexprNullif) => Some("="),
            Some(_) => Some("<"),
        };
        let operands = [node.node("lexpr"), node.node("rexpr")].into_iter().flatten();
        comparison.is_none_or(|op| self.compares_own(op, operands, block))
    }

    /// True when a comparison of these may run a function that is not of `pg_catalog`, or is one of
    /// texts whose collations contradict each other: others never fail on values of one column. A function of the
    /// database's own can stand behind an operator, and tell how far bounds of a range are from each other.
    fn compares_own<'n>(
        &self,
        op: &str,
        operands: impl IntoIterator<Item = &'n Node>,
        block: &Block<'_>,
    ) -> bool {
        let catalog = self.cx.context.catalog;
        let mut values = Vec::new();
        operands.into_iter().for_each(|operand| values_in(operand, &mut values));
        let ranges = !matches!(op, "=" | "<>" | "!=")
            && catalog.foreign_types.values().any(|kind| matches!(kind, 'm' | 'r'));
        let unknown = values.iter().any(|value| !self.is_built_in(value, block));
        let types: Vec<Ty> =
            values.iter().map(|value| self.safe(value, block).unwrap_or(Ty::Unknown)).collect();
        // The planner tries commutators and negators, too.
        let mut comparisons = catalog.own_code.operators.iter().filter(|(op, _)| is_comparison(op));
        comparisons.any(|(_, own)| unknown || may_mean(Some(own), &types))
            || (ranges && unknown)
            || self.may_contradict(values.iter().copied().filter(|v| v.kind != "SelectStmt"), block)
    }

    /// True when the value is certainly of a type of `pg_catalog`.
    fn is_built_in(&self, node: &Node, block: &Block<'_>) -> bool {
        let catalog = self.cx.context.catalog;
        if let Some(ty) = self.safe(node, block) {
            return ty != Ty::Unknown;
        }
        match node.kind {
            "TypeCast" => node.node("type_name").is_some_and(|t| of_type_name(t, catalog) != Ty::Unknown),
            "FuncCall" => node.names("funcname").last().is_some_and(|n| !self.shadowed(n)),
            "AExpr" => {
                let op = node.names("name").last().copied().unwrap_or_default();
                NO_CONDITIONS.contains(&op) && !catalog.foreign_operators.contains(op)
            }
            "SubLink" => node.node("subselect").is_some_and(|select| self.is_built_in(select, block)),
            "SelectStmt" => {
                let types = self.inner_types(node, block);
                !types.is_empty() && !types.contains(&Ty::Unknown)
            }
            "CaseExpr" | "CoalesceExpr" | "MinMaxExpr" => {
                let results = node.nodes("args").map(|a| a.node("result").unwrap_or(a));
                results.chain(node.node("defresult")).all(|r| self.is_built_in(r, block))
            }
            "RowExpr" | "AArrayExpr" | "List" => {
                node.children().into_iter().all(|child| self.is_built_in(child, block))
            }
            _ => false,
        }
    }
}

/// What an operand compares: the parts of a row, a list or an array one by one.
fn values_in<'n>(operand: &'n Node, out: &mut Vec<&'n Node>) {
    match operand.kind {
        "RowExpr" | "AArrayExpr" | "List" => {
            operand.children().into_iter().for_each(|child| values_in(child, out));
        }
        _ => out.push(operand),
    }
}

/// True when a column is read in it, subqueries aside.
fn reads_column(node: &Node) -> bool {
    node.kind == "ColumnRef" || (node.kind != "SelectStmt" && node.children().into_iter().any(reads_column))
}

/// True for what only the run tells, whatever stands in it: `CASE WHEN pg_catalog.now() IS NOT NULL THEN ... END`.
pub(super) fn is_hidden(node: &Node) -> bool {
    let whens: Vec<&Node> = node.nodes("args").collect();
    let [when] = whens.as_slice() else { return false };
    let test = when.node("expr").filter(|e| e.kind == "NullTest" && e.has("arg"));
    let always = || expression("pg_catalog.now() IS NOT NULL").is_ok_and(|always| test == Some(&always));
    node.kind == "CaseExpr" && !node.has("arg") && !node.has("defresult") && test.is_some() && always()
}
