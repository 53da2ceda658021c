//! Whom a write would give rows to, where it says so itself: for the record of one that is refused.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, ObjectName, OnConflict, OnConflictAction, OnInsert, SelectItem,
    SetExpr, Statement,
};

use super::dml::{columns_of, target_of};
use super::{Occurrence, fold};
use crate::sql::PinValue;
use crate::sql::lineage::constant;

/// The patients whom the writes of a statement, at the top or in its WITH, would give rows to: the constants and
/// parameters that it writes to patient keys.
pub(super) fn of(ast: &Statement, occurrences: &[Occurrence<'_>]) -> Vec<PinValue> {
    let mut aims = Vec::new();
    let mut write = ast;
    while let Statement::Query(query) = write {
        let inside = query.with.iter().flat_map(|with| &with.cte_tables);
        for body in inside.map(|cte| cte.query.body.as_ref()) {
            if let SetExpr::Insert(inner) | SetExpr::Update(inner) = body {
                aims_of(inner, occurrences, &mut aims);
            }
        }
        let (SetExpr::Insert(inner) | SetExpr::Update(inner)) = query.body.as_ref() else { return aims };
        write = inner;
    }
    aims_of(write, occurrences, &mut aims);
    aims
}

fn aims_of(write: &Statement, occurrences: &[Occurrence<'_>], aims: &mut Vec<PinValue>) {
    let Some(target) = target_of(write).and_then(|n| occurrences.get(n)) else { return };
    let Some(path) = target.table.rule.single().filter(|path| path.steps.is_empty()) else { return };
    let mut given = |value: Option<&Expr>| {
        if let Some(value) = value.and_then(constant)
            && !aims.contains(&value)
        {
            aims.push(value);
        }
    };
    let mut assigned = |assignments: &[Assignment]| {
        for Assignment { target, value } in assignments {
            let is_key = |name: &ObjectName| {
                name.0.first().and_then(|p| p.as_ident()).map(fold).as_ref() == Some(&path.key)
            };
            match (target, value) {
                (AssignmentTarget::ColumnName(name), value) if is_key(name) => given(Some(value)),
                (AssignmentTarget::Tuple(names), Expr::Tuple(values)) => {
                    given(names.iter().position(is_key).and_then(|at| values.get(at)));
                }
                _ => {}
            }
        }
    };
    match write {
        Statement::Update(update) => assigned(&update.assignments),
        Statement::Insert(insert) => {
            if let Some(OnInsert::OnConflict(OnConflict {
                action: OnConflictAction::DoUpdate(update), ..
            })) = &insert.on
            {
                assigned(&update.assignments);
            }
            let names = columns_of(insert, target);
            let Some(at) = names.iter().position(|name| *name == path.key) else { return };
            let source = insert.source.as_ref().map(|source| source.body.as_ref());
            if let Some(SetExpr::Values(values)) = source {
                values.rows.iter().for_each(|row| given(row.get(at)));
            }
            if let Some(SetExpr::Select(select)) = source
                && let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) =
                    select.projection.get(at)
            {
                given(Some(expr));
            }
        }
        _ => {}
    }
}
