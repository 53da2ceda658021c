//! INSERT, UPDATE and DELETE: RETURNING items that name the patients of the rows written and
//! check new keys, and what cannot be written through a guard. Not for filters (see `place`).

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, FromTable, Insert, OnConflictAction, OnInsert, SelectItem, SetExpr,
    Statement, TableWithJoins, UpdateTableFromKind,
};

use super::{Occurrence, Placeholders, PlanError, PlanInput, any_expr, fold, ident};
use crate::policy::{GuardParams, new_key_check};
use crate::sql::lineage::{Analysis, Evidence, WriteWitness, carry_write};

/// A write with its witnesses.
pub(super) struct Done {
    pub(super) evidence: Evidence,
    /// The client asked for no rows.
    pub(super) rows_are_witnesses: bool,
}

/// Adds witnesses and key checks to the tagged write `ast`.
pub(super) fn witness(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    analysis: &Analysis,
    params: GuardParams,
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Result<Done, PlanError> {
    let target = occurrences.iter().find(|o| o.target);
    if let Some(target) = target.filter(|o| !o.masks.is_empty()) {
        reads_no_mask(ast, target)?;
    }
    let write = written(ast)?;
    if let Some(target) = target {
        writes_no_link(write, target, input)?;
    }
    if target.is_none() && input.role.is_restricted() && !matches!(write, Statement::Delete(_)) {
        return Err(PlanError::guard(
            "it would copy rows of protected tables into a table without a rule",
            "read the rows with a query of their own",
        ));
    }
    let told = told(write, occurrences, input);
    if let Some(n) = told.untold.iter().find(|n| analysis.pinned[**n].is_none()) {
        return Err(PlanError::guard(
            format!(
                "a write reads {} where its patients cannot be told (a subquery, WITH or an outer join)",
                occurrences[*n].table.name
            ),
            "join the table in FROM or USING, or name the patient: key = constant",
        ));
    }
    let check = match (&*write, target) {
        (Statement::Insert(insert), Some(target)) => inserts(insert, target)?,
        (Statement::Update(update), Some(target)) => {
            let changes = assigns_key(&update.assignments, target);
            let old_is_pinned =
                occurrences.iter().zip(&analysis.pinned).any(|(o, pinned)| o.target && pinned.is_some());
            if changes && !old_is_pinned {
                return Err(PlanError::guard(
                    format!("an UPDATE of the patient key of {}", target.table.name),
                    "name the present patient in WHERE: key = constant",
                ));
            }
            changes
        }
        _ => false,
    };
    let mut items: Vec<SelectItem> = Vec::new();
    let mut add = |text: String, name: String| {
        let expr = Expr::Identifier(texts.stand_for(text));
        items.push(SelectItem::ExprWithAlias { expr, alias: ident(name) });
    };
    if let Some(target) = target.filter(|o| check && o.filter) {
        let text = new_key_check(&input.policy.policy, target.table, &target.alias, params);
        add(text, "__glass_c1".to_owned());
    }
    for (i, (key, set)) in told.keys.into_iter().enumerate() {
        add(key, format!("__glass_{}{}", if set { 's' } else { 'k' }, i + 1));
    }
    let returning = match write {
        Statement::Insert(insert) => &mut insert.returning,
        Statement::Update(update) => &mut update.returning,
        Statement::Delete(delete) => &mut delete.returning,
        _ => return Err(PlanError::guard("this kind of write", "")),
    };
    let client_reads = returning.is_some();
    if !items.is_empty() {
        returning.get_or_insert_default().extend(items);
    }
    let rows_are_witnesses = !client_reads && returning.is_some();
    let evidence = if analysis.all_pinned() { Evidence::Pinned } else { Evidence::Carried };
    Ok(Done { evidence, rows_are_witnesses })
}

/// The write itself, below a WITH.
fn written(ast: &mut Statement) -> Result<&mut Statement, PlanError> {
    if let Statement::Query(query) = ast {
        return match query.body.as_mut() {
            SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => written(inner),
            _ => Err(PlanError::guard("this kind of write", "")),
        };
    }
    Ok(ast)
}

/// The keys a write can return, and the occurrences those do not cover.
fn told(write: &Statement, occurrences: &[Occurrence<'_>], input: &PlanInput<'_>) -> WriteWitness {
    let mut trees: Vec<&TableWithJoins> = Vec::new();
    let selection = match write {
        Statement::Update(update) => {
            trees.push(&update.table);
            if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) =
                &update.from
            {
                trees.extend(from);
            }
            update.selection.as_ref()
        }
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            trees.extend(from.iter().chain(delete.using.iter().flatten()));
            delete.selection.as_ref()
        }
        _ => {
            let targets = occurrences.iter().filter(|o| o.target);
            let keys = targets.map(|o| (input.witness(o), o.table.rule.is_many()));
            return WriteWitness {
                keys: keys.collect(),
                untold: (0..occurrences.len()).filter(|n| !occurrences[*n].target).collect(),
            };
        }
    };
    carry_write(&trees, selection, occurrences, input)
}

/// True (new rows are checked), or why this INSERT cannot be guarded.
fn inserts(insert: &Insert, target: &Occurrence<'_>) -> Result<bool, PlanError> {
    let Some(on) = &insert.on else { return Ok(true) };
    let refuse = || {
        PlanError::guard(
            format!("ON CONFLICT on {}: a row that is not shown could decide the outcome", target.table.name),
            "use UPDATE, and INSERT when no row was found",
        )
    };
    let OnInsert::OnConflict(conflict) = on else { return Err(refuse()) };
    match &conflict.action {
        OnConflictAction::DoUpdate(update)
            if !target.filter && !assigns_key(&update.assignments, target) && update.selection.is_none() =>
        {
            Ok(true)
        }
        OnConflictAction::DoUpdate(_) | OnConflictAction::DoNothing => Err(refuse()),
    }
}

/// True when an assignment changes the key, or the column that leads to it.
fn assigns_key(assignments: &[Assignment], target: &Occurrence<'_>) -> bool {
    let owners = target.table.rule.owner_columns();
    assigns(assignments, |column| owners.contains(&column))
}

/// True when an assignment is to a column that `is_one` says, or that cannot be told.
fn assigns(assignments: &[Assignment], is_one: impl Fn(&str) -> bool) -> bool {
    assignments.iter().any(|a| {
        let names = match &a.target {
            AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
            AssignmentTarget::Tuple(names) => names.as_slice(),
        };
        names.iter().any(|n| n.0.first().and_then(|p| p.as_ident()).is_none_or(|i| is_one(&fold(i))))
    })
}

/// Refuses to a filtered role what would make rows of other tables its patients'.
fn writes_no_link(
    write: &Statement,
    target: &Occurrence<'_>,
    input: &PlanInput<'_>,
) -> Result<(), PlanError> {
    let link = |column: &str| input.policy.is_link(target.relation.oid, column);
    let writes = match write {
        Statement::Insert(insert) if insert.columns.is_empty() => {
            target.relation.columns.iter().any(|c| link(&c.name))
        }
        Statement::Insert(insert) => insert
            .columns
            .iter()
            .any(|n| n.0.first().and_then(|p| p.as_ident()).is_none_or(|i| link(&fold(i)))),
        Statement::Update(update) => assigns(&update.assignments, link),
        _ => false,
    };
    if writes && target.filter {
        return Err(PlanError::guard(
            format!("a column of {} that decides whose rows of other tables are", target.table.name),
            "leave the column out; a role that sees every patient can write it",
        ));
    }
    Ok(())
}

/// Refuses a write on a masked table that might read a masked column, judged by name.
fn reads_no_mask(ast: &Statement, target: &Occurrence<'_>) -> Result<(), PlanError> {
    let reads = |name: &sqlparser::ast::Ident| {
        let name = fold(name);
        !target.clear(&name) || name == target.alias
    };
    let found = any_expr(ast, &mut |expr| match expr {
        Expr::Identifier(name) => reads(name),
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(reads),
        Expr::QualifiedWildcard(..) | Expr::Wildcard(_) => true,
        _ => false,
    });
    let star = |items: &Option<Vec<SelectItem>>| {
        items
            .iter()
            .flatten()
            .any(|i| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
    };
    let all = match ast {
        Statement::Insert(insert) => star(&insert.returning),
        Statement::Update(update) => star(&update.returning),
        Statement::Delete(delete) => star(&delete.returning),
        _ => true,
    };
    if found || all {
        return Err(PlanError::guard(
            format!("a write on {} that reads a column masked for this role", target.table.name),
            "name only columns that are not masked",
        ));
    }
    Ok(())
}
