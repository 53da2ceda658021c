//! What a subquery that is merged consists of: its tables, its condition, and its columns by the names that they have outside.

use std::collections::BTreeSet;

use sqlparser::ast::{
    CastKind, DataType, Distinct, Expr, Function, GroupByExpr, Ident, JoinConstraint, Query, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableWithJoins, Value,
};

use super::Merger;
use super::joins::{constraint, give_aliases};
use crate::catalog::Relation;
use crate::sql::lineage::{is_aggregate, makes_rows};
use crate::sql::plan::cohorts::bare_name;
use crate::sql::plan::{any_expr, any_query, fold};

/// What a subquery consists of.
pub(super) struct Parts<'b> {
    pub(super) from: Vec<TableWithJoins>,
    pub(super) selection: Option<Expr>,
    pub(super) items: Vec<(String, &'b Relation)>,
    /// Its columns, by the names that they have outside.
    pub(super) columns: Vec<(String, Expr)>,
}

impl<'b> Merger<'_, 'b> {
    /// The parts of a query that only chooses and computes.
    pub(super) fn parts(&self, query: &Query) -> Option<Parts<'b>> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let plain = query.with.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty()
            && select.into.is_none()
            && select.having.is_none()
            && select.named_window.is_empty()
            && matches!(select.distinct, None | Some(Distinct::All))
            && matches!(&select.group_by, GroupByExpr::Expressions(keys, more) if keys.is_empty() && more.is_empty());
        if !plain {
            return None;
        }
        let mut items = self.relations.items(&select.from)?;
        let mut from = select.from.clone();
        from.iter_mut().for_each(give_aliases);
        let merges = |j: &sqlparser::ast::Join| {
            !matches!(constraint(&j.join_operator), Some(JoinConstraint::On(_) | JoinConstraint::None))
        };
        let merged = select.from.iter().any(|t| t.joins.iter().any(merges));
        let mut columns = Vec::new();
        let of = |alias: &str, column: &str| {
            let named = |n: &str| Ident::with_quote('"', n);
            (column.to_owned(), Expr::CompoundIdentifier(vec![named(alias), named(column)]))
        };
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { expr, alias } => columns.push((fold(alias), computed(expr)?)),
                SelectItem::UnnamedExpr(expr @ Expr::Identifier(name)) => {
                    columns.push((fold(name), expr.clone()))
                }
                SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts)) => {
                    columns.push((fold(parts.last()?), expr.clone()));
                }
                SelectItem::UnnamedExpr(expr) => {
                    // What has no name of which one is certain is not asked for.
                    let unnamed = format!("?column?{}", columns.len());
                    let name = name_of(expr).unwrap_or(unnamed);
                    columns.push((name, computed(expr)?));
                }
                SelectItem::Wildcard(more) if !merged && more.to_string().is_empty() => {
                    let all = items.iter().flat_map(|(a, r)| r.columns.iter().map(|c| of(a, &c.name)));
                    columns.extend(all);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), more)
                    if more.to_string().is_empty() =>
                {
                    let name = bare_name(name)?;
                    let (alias, relation) = items.iter().find(|(alias, _)| *alias == name)?;
                    columns.extend(relation.columns.iter().map(|c| of(alias, &c.name)));
                }
                _ => return None,
            }
        }
        let names: BTreeSet<&String> = columns.iter().map(|(name, _)| name).collect();
        if names.len() < columns.len() || !columns.iter().all(|(_, e)| self.computes(e)) {
            return None;
        }
        items.sort_by(|a, b| a.0.cmp(&b.0));
        (!items.windows(2).any(|w| matches!(w, [a, b] if a.0 == b.0))).then(|| Parts {
            from,
            selection: select.selection.clone(),
            items,
            columns,
        })
    }

    /// True for what is the same for a row however often it is asked for, and no aggregate.
    fn computes(&self, expr: &Expr) -> bool {
        let functions = &self.input.catalog.functions;
        let other = |e: &Expr| match e {
            Expr::Function(Function { name, over, filter, within_group, .. }) => {
                let name = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                let known = functions.get(&name).map_or(&[][..], Vec::as_slice);
                let volatile =
                    known.iter().any(|f| f.kind != 'f' || f.volatility == 'v' || f.schema != "pg_catalog");
                over.is_some()
                    || filter.is_some()
                    || !within_group.is_empty()
                    || volatile
                    || is_aggregate(&name)
                    || makes_rows(&name)
            }
            Expr::CompoundFieldAccess { .. } => true,
            _ => false,
        };
        !any_query(expr, &mut |_| true) && !any_expr(expr, &mut { other })
    }
}

/// A column that a subquery computes; a text has its type outside.
fn computed(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Nested(inner) => computed(inner),
        Expr::Value(v) => {
            let data_type = match &v.value {
                Value::SingleQuotedString(_) => DataType::Text,
                Value::Number(text, false) if text.parse::<i32>().is_ok() => DataType::Integer(None),
                _ => return None,
            };
            let (kind, expr) = (CastKind::DoubleColon, Box::new(expr.clone()));
            Some(Expr::Cast { kind, expr, data_type, format: None })
        }
        other => Some(other.clone()),
    }
}

/// What PostgreSQL calls a column without a name, where that is plain.
fn name_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Function(call) => call.name.0.last().and_then(|p| p.as_ident()).map(fold),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Cast { .. } | Expr::Nested(_) => shown_name(expr),
        _ => None,
    }
}
/// What PostgreSQL calls a column of the answer that is a column, or one in another type.
pub(super) fn shown_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(fold(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => shown_name(inner),
        _ => None,
    }
}
