//! `x IN (SELECT ...)`: of its rows those alone matter that show `x`. Where that is a column, the query is read as if
//! its condition said so: a list of patients then reads those of the row beside it. Not for queries whose rows depend on
//! others of the same query (LIMIT, DISTINCT ON, grouping sets, WITH).

use sqlparser::ast::{BinaryOperator, Distinct, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr};

use super::pins::Sought;
use crate::sql::plan::any_expr;

/// The query of IN or = ANY, negated or not, and what is sought in it.
pub(super) fn by(expr: &Expr) -> Option<(&Query, &Expr)> {
    match expr {
        Expr::InSubquery { expr, subquery, .. } => Some((subquery, expr)),
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => match right.as_ref() {
            Expr::Subquery(query) => Some((query, left)),
            _ => None,
        },
        _ => None,
    }
}

/// Pairs of what `query` shows and what is sought; `None` where other rows than those that show it can matter.
pub(super) fn of<'q>(query: &'q Query, by: &'q Expr) -> Option<Vec<Sought<'q>>> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let whole = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    if !whole || !each_by_itself(select) {
        return None;
    }
    let shown: Vec<&Expr> = select.projection.iter().map(shown).collect::<Option<_>>()?;
    let by = match by {
        Expr::Tuple(parts) => parts.iter().collect(),
        one => vec![one],
    };
    (shown.len() == by.len()).then(|| shown.into_iter().zip(by).collect())
}

/// True where a row that is shown rests on rows alone that would show the same: groups have one value of each column
/// that is shown, grouping sets have not; windows look at other rows.
fn each_by_itself(select: &Select) -> bool {
    let mut window = |e: &Expr| matches!(e, Expr::Function(call) if call.over.is_some());
    if any_expr(select, &mut window) {
        return false;
    }
    let sets = |e: &Expr| matches!(e, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_));
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(keys, modifiers) => modifiers.is_empty() && !keys.iter().any(sets),
        GroupByExpr::All(_) => false,
    };
    grouped && !matches!(select.distinct, Some(Distinct::On(_)))
}

fn shown(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}
