//! MERGE into a protected table: which forms can be guarded, and the check of the patient of each row that
//! it inserts or gives to another patient. There is no RETURNING before PostgreSQL 17, so the check stands
//! in the condition of the action and reads the value that is about to be written. Not for the guard of
//! the rows that are met, which stands in ON (see `place`): rows of others are then no match.

use sqlparser::ast::{
    AssignmentTarget, Expr, Merge, MergeAction, MergeClause, MergeClauseKind, MergeInsertExpr,
    MergeInsertKind, MergeUpdateKind, ObjectName, SetExpr, Statement, TableFactor,
};

use super::returning::{changes_no_part, reads_mask};
use super::{Occurrence, Placeholders, PlanError, PlanInput, actions, any_expr, fold, occurrence_of};
use crate::policy::{Change, GuardParams, merged_key_check};

/// The protected table that a MERGE changes.
pub(super) fn target_of(merge: &Merge) -> Option<usize> {
    match &merge.table {
        TableFactor::Table { name, .. } => occurrence_of(name),
        _ => None,
    }
}

fn column(name: &ObjectName) -> Option<String> {
    name.0.first().and_then(|p| p.as_ident()).map(fold)
}

/// Refuses what cannot be guarded.
pub(super) fn judge(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> Result<(), PlanError> {
    match ast {
        Statement::Query(query) => match query.body.as_mut() {
            SetExpr::Merge(inner) => judge(inner, occurrences, input),
            _ => Err(PlanError::guard("this kind of write", "")),
        },
        Statement::Merge(merge) => judge_merge(merge, occurrences, input),
        _ => Err(PlanError::guard("this kind of write", "")),
    }
}

fn judge_merge(
    merge: &Merge,
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> Result<(), PlanError> {
    let refuse = |what: &str, instead| Err(PlanError::guard(what, instead));
    let Some(o) = target_of(merge).map(|n| &occurrences[n]) else {
        return refuse(
            "it would copy rows of protected tables into a table without a rule",
            "read the rows with a query of their own, or write to a table that is mapped to patients",
        );
    };
    if merge.output.is_some() {
        return refuse("MERGE with RETURNING", "INSERT ... ON CONFLICT, or UPDATE ... FROM, with RETURNING");
    }
    let by_source = |c: &MergeClause| matches!(c.clause_kind, MergeClauseKind::NotMatchedBySource);
    if merge.clauses.iter().any(by_source) {
        return refuse("MERGE with WHEN NOT MATCHED BY SOURCE", "UPDATE or DELETE ... WHERE NOT EXISTS");
    }
    let unconditional = |i: usize| {
        let all = merge.clauses.iter().map(|c| (matches!(c.clause_kind, MergeClauseKind::Matched), c));
        let mut after = all.skip(i);
        let Some((kind, clause)) = after.next() else { return false };
        clause.predicate.is_none() && after.any(|(other, _)| other == kind)
    };
    if (0..merge.clauses.len()).any(unconditional) {
        // An error for the server, which the check of a patient in its condition would hide.
        return refuse("unreachable WHEN clause specified after unconditional WHEN clause", "");
    }
    let mut masked = |e: &Expr| reads_mask(e, o);
    if !o.masks.is_empty() && (any_expr(&merge.on, &mut masked) || any_expr(&merge.clauses, &mut masked)) {
        return Err(PlanError::guard(
            format!("a write on {} that reads a column masked for this role", o.table.name),
            "name only columns that are not masked",
        ));
    }
    for clause in merge.clauses.iter().filter(|_| !o.masks.is_empty()) {
        if let MergeAction::Update(update) = &clause.action
            && let MergeUpdateKind::Set(assignments) = &update.kind
        {
            changes_no_part(assignments, o)?;
        }
    }
    for clause in &merge.clauses {
        let change = match &clause.action {
            MergeAction::Delete { .. } => Change::Delete,
            MergeAction::Update(_) => {
                let all = || o.relation.columns.iter().map(|c| c.name.clone()).collect();
                Change::Update(written(clause, o).map_or_else(all, |names| names.into_iter().collect()))
            }
            MergeAction::Insert(_) | MergeAction::DoNothing { .. } => continue,
        };
        if !actions::of_change(&change, o, input)?.is_empty() {
            return Err(actions::refused(o, "MERGE"));
        }
    }
    if !o.filter {
        return Ok(());
    }
    let deletes = |c: &MergeClause| matches!(c.action, MergeAction::Delete { .. });
    if input.policy.labels.contains(&o.relation.oid) && merge.clauses.iter().any(deletes) {
        return Err(super::dml::labels_off(o));
    }
    let link = |c: &str| input.policy.is_link(o.relation.oid, c);
    let computed = input.catalog.computes(o.relation.oid, link);
    let writes = |c: &MergeClause| {
        written(c, o).is_none_or(|names| names.iter().any(|n| link(n)) || (computed && !names.is_empty()))
    };
    if merge.clauses.iter().any(writes) {
        return Err(PlanError::guard(
            format!("a column of {} that decides whose rows of other tables are", o.table.name),
            "leave the column out; a role that sees every patient can write it",
        ));
    }
    // The check reads what the action says, not what is stored.
    let deciding = o.table.deciding_columns();
    let stores = |c: &MergeClause| matches!(c.action, MergeAction::Insert(_) | MergeAction::Update(_));
    if merge.clauses.iter().any(stores)
        && (input.catalog.rewrites_rows(o.relation.oid)
            || input.catalog.computes(o.relation.oid, |c| deciding.contains(&c)))
    {
        return Err(PlanError::guard(
            format!(
                "MERGE into {}, where triggers or generated columns could change whose a row is, or its category",
                o.table.name
            ),
            "INSERT ... ON CONFLICT, or UPDATE ... FROM",
        ));
    }
    Ok(())
}

/// The columns that an action writes; `None` where that cannot be told.
fn written(clause: &MergeClause, o: &Occurrence<'_>) -> Option<Vec<String>> {
    match &clause.action {
        MergeAction::Insert(MergeInsertExpr { columns, .. }) if columns.is_empty() => {
            Some(o.relation.columns.iter().map(|c| c.name.clone()).collect())
        }
        MergeAction::Insert(insert) => insert.columns.iter().map(column).collect(),
        MergeAction::Update(update) => {
            let MergeUpdateKind::Set(assignments) = &update.kind else { return None };
            let names = assignments.iter().flat_map(|a| match &a.target {
                AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
                AssignmentTarget::Tuple(names) => names.as_slice(),
            });
            names.map(column).collect()
        }
        MergeAction::Delete { .. } | MergeAction::DoNothing { .. } => Some(Vec::new()),
    }
}

/// The value that an action gives to `name`: none if it writes other columns, an error where it is no plain one.
fn value<'c>(clause: &'c MergeClause, name: &str, o: &Occurrence<'_>) -> Result<Option<&'c Expr>, PlanError> {
    let unknown = || {
        PlanError::guard(
            format!(
                "MERGE that writes {name}, which says whose row of {} it is, or its category, in this form",
                o.table.name
            ),
            "a constant, a parameter or a column of the source",
        )
    };
    let found = match &clause.action {
        MergeAction::Insert(insert) => {
            let MergeInsertKind::Values(values) = &insert.kind else { return Err(unknown()) };
            let names = written(clause, o).ok_or_else(unknown)?;
            let at = names.iter().position(|n| n == name).ok_or_else(unknown)?;
            let [row] = values.rows.as_slice() else { return Err(unknown()) };
            Some(row.get(at).ok_or_else(unknown)?)
        }
        MergeAction::Update(update) => {
            let MergeUpdateKind::Set(assignments) = &update.kind else { return Err(unknown()) };
            let mut found = None;
            for a in assignments {
                match &a.target {
                    AssignmentTarget::ColumnName(n) if column(n).as_deref() == Some(name) => {
                        found = Some(&a.value);
                    }
                    AssignmentTarget::ColumnName(_) => {}
                    AssignmentTarget::Tuple(names) => {
                        if names.iter().any(|n| column(n).is_none_or(|n| n == name)) {
                            return Err(unknown());
                        }
                    }
                }
            }
            found
        }
        MergeAction::Delete { .. } | MergeAction::DoNothing { .. } => None,
    };
    match found {
        Some(expr) if !plain(expr) => Err(unknown()),
        found => Ok(found),
    }
}

/// A value that is the same whenever it is read.
fn plain(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => plain(inner),
        Expr::Cast { expr, .. } => plain(expr),
        Expr::Identifier(name) => name.quote_style.is_some() || fold(name) != "default",
        Expr::CompoundIdentifier(_) | Expr::Value(_) => true,
        _ => false,
    }
}

/// Puts the check of the patient into the condition of an action that writes whose row it is.
pub(super) fn check_keys(
    clause: &MergeClause,
    o: &Occurrence<'_>,
    params: GuardParams,
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Result<Option<Expr>, PlanError> {
    let owners = o.table.deciding_columns();
    let mut values = Vec::new();
    let mut writes = false;
    for owner in owners {
        let found = value(clause, owner, o)?;
        writes |= found.is_some();
        let said = found.map_or_else(
            || format!("{}.{}", crate::catalog::quote_ident(&o.alias), crate::catalog::quote_ident(owner)),
            ToString::to_string,
        );
        let ty = o.relation.column(owner).map(|c| c.type_sql.clone()).unwrap_or_default();
        values.push((owner.to_owned(), format!("({said})::{ty}")));
    }
    if !writes {
        return Ok(None);
    }
    let check = merged_key_check(&input.policy.policy, o.table, &values, params);
    Ok(Some(Expr::Identifier(texts.stand_for(check))))
}
