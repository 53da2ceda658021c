//! What a write does to rows of other tables by foreign keys with an action: the condition that keeps it from rows of
//! patients outside, and the patients whose rows it changes so, for the record. Not for the texts of both (see
//! `policy::actions`).

use std::collections::BTreeSet;

use sqlparser::ast::{
    Assignment, AssignmentTarget, OnConflict, OnConflictAction, OnInsert, Statement, TableFactor,
};

use super::{Occurrence, PlanError, PlanInput, fold};
use crate::policy::{Chain, Change, chains};

/// The chains of foreign keys that a write of `target` sets off.
pub(super) fn of_write<'a>(
    write: &Statement,
    target: &Occurrence<'_>,
    input: &PlanInput<'a>,
) -> Result<Vec<Chain<'a>>, PlanError> {
    let change = match write {
        Statement::Delete(_) => Change::Delete,
        Statement::Update(update) => assigned(&update.assignments, target),
        Statement::Insert(insert) => {
            let Some(OnInsert::OnConflict(OnConflict { action: OnConflictAction::DoUpdate(update), .. })) =
                &insert.on
            else {
                return Ok(Vec::new());
            };
            let found = of_change(&assigned(&update.assignments, target), target, input)?;
            return if found.is_empty() { Ok(found) } else { Err(refused(target, "ON CONFLICT DO UPDATE")) };
        }
        _ => return Ok(Vec::new()),
    };
    of_change(&change, target, input)
}

/// The same of a change.
pub(super) fn of_change<'a>(
    change: &Change,
    target: &Occurrence<'_>,
    input: &PlanInput<'a>,
) -> Result<Vec<Chain<'a>>, PlanError> {
    chains(input.policy, input.role, input.catalog, target.relation.oid, change).map_err(|what| {
        PlanError::guard(
            format!("rows that refer to {} are changed with it, and {what}", target.table.name),
            "change the rows that refer to it first, or use foreign keys without an action",
        )
    })
}

/// The refusal of a form of write where rows that refer to it would be changed with it.
pub(super) fn refused(target: &Occurrence<'_>, form: &str) -> PlanError {
    PlanError::guard(
        format!(
            "{form} of {} changes rows of other tables by a foreign key with an action",
            target.table.name
        ),
        "UPDATE or DELETE",
    )
}

/// An UPDATE of the columns that are assigned; of all, where that cannot be told.
fn assigned(assignments: &[Assignment], target: &Occurrence<'_>) -> Change {
    let names = assignments.iter().flat_map(|a| match &a.target {
        AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
        AssignmentTarget::Tuple(names) => names.as_slice(),
    });
    let names: Option<BTreeSet<String>> =
        names.map(|n| n.0.first().and_then(|p| p.as_ident()).map(fold)).collect();
    Change::Update(names.unwrap_or_else(|| target.relation.columns.iter().map(|c| c.name.clone()).collect()))
}

/// The name of what a write changes.
pub(super) fn target_name(write: &Statement) -> Option<&sqlparser::ast::ObjectName> {
    match &super::dml::trees(write).0.first()?.relation {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}
