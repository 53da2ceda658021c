//! INSERT, UPDATE and DELETE, at the top or in WITH: RETURNING items that name the patients of the rows
//! written and check new keys, what else has to be collected, and what cannot be written through a guard.
//! Not for filters (see `place`).

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Expr, FromTable, Insert, OnConflict, OnConflictAction,
    OnInsert, SelectItem, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, UpdateTableFromKind,
    Value,
};

use super::returning::{reads_no_mask, returning_of};
use super::{
    Occurrence, Placeholders, PlanError, PlanInput, actions, fold, ident, occurrence_of, offered, with,
};
use crate::catalog::{QualifiedName, quote_ident};
use crate::policy::{Access, GuardParams, bound_keys, new_key_check_beside, our_alias, reached_keys};
use crate::sql::lineage::{Analysis, Evidence, WriteWitness, carry_write, compares};

/// A write with its witnesses.
pub(super) struct Done {
    pub(super) evidence: Evidence,
    /// The client asked for no rows.
    pub(super) rows_are_witnesses: bool,
    /// Sets of keys (`text[]` expressions) that the statement has to be wrapped with.
    pub(super) sets: Vec<String>,
}

/// Adds witnesses and key checks to the tagged statement `ast`, which writes at the top or in its WITH.
pub(super) fn witness(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    analysis: &Analysis,
    params: GuardParams,
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Result<Done, PlanError> {
    let told = vec![false; occurrences.len()];
    let mut writer = Writer {
        occurrences,
        analysis,
        params,
        input,
        texts,
        told,
        sets: Vec::new(),
        reached: Vec::new(),
        several: false,
        reasons: Vec::new(),
        checks: 0,
        keys: 0,
        parents: Vec::new(),
    };
    writer.several = several(ast);
    if let Statement::Query(query) = ast
        && let Some(clause) = &mut query.with
    {
        with::writes(clause, &mut writer)?;
    }
    let mut done = Done { evidence: Evidence::Pinned, rows_are_witnesses: false, sets: Vec::new() };
    let mut keys = 0;
    if let Some(write) = written(ast) {
        writer.masked(write);
        let items = writer.hidden(write)?;
        writer.offered(write)?;
        keys = items.len();
        let returning = returning_of(write)?;
        done.rows_are_witnesses = returning.is_none();
        if !items.is_empty() {
            returning.get_or_insert_default().extend(items);
        }
    }
    writer.bound_the_rest()?;
    writer.sets.append(&mut writer.reached);
    done.sets = writer.sets;
    let reasons = writer.reasons;
    if done.sets.is_empty() {
        done.rows_are_witnesses &= keys > 0;
    } else if let Some(write) = written(ast) {
        // What is wrapped has to have a row for every row written.
        let one = SelectItem::ExprWithAlias {
            expr: Expr::Value(Value::Boolean(true).into()),
            alias: ident("__glass_c0"),
        };
        returning_of(write)?.get_or_insert_with(|| vec![one]);
    }
    done.evidence = match (reasons.is_empty(), analysis.all_pinned()) {
        (false, _) => Evidence::Bound(reasons),
        (true, true) => Evidence::Pinned,
        (true, false) => Evidence::Carried,
    };
    Ok(done)
}

/// True for more than one write, in WITH and below it.
fn several(ast: &Statement) -> bool {
    let Statement::Query(query) = ast else { return false };
    let inside = query.with.iter().flat_map(|w| &w.cte_tables).filter(|c| with::modifies(&c.query)).count();
    inside + usize::from(matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_)))
        > 1
}

/// The write at the top, below a WITH.
fn written(ast: &mut Statement) -> Option<&mut Statement> {
    match ast {
        Statement::Query(query) => match query.body.as_mut() {
            SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => written(inner),
            _ => None,
        },
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => Some(ast),
        _ => None,
    }
}

/// The columns that an INSERT gives values for, in the order of the values.
pub(super) fn columns_of(insert: &Insert, target: &Occurrence<'_>) -> Vec<String> {
    match insert.columns.as_slice() {
        [] => target.relation.columns.iter().map(|c| c.name.clone()).collect(),
        given => given
            .iter()
            .map(|c| c.0.first().and_then(|p| p.as_ident()).map(fold).unwrap_or_default())
            .collect(),
    }
}

/// The FROM items of an UPDATE or DELETE, its target first, and its condition; of an INSERT none.
pub(super) fn trees(write: &Statement) -> (Vec<&TableWithJoins>, Option<&Expr>) {
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
        _ => None,
    };
    (trees, selection)
}

/// The occurrence that a write changes, if that is protected.
pub(super) fn target_of(write: &Statement) -> Option<usize> {
    let name = match write {
        Statement::Insert(Insert { table: TableObject::TableName(name), .. }) => name,
        _ => match &trees(write).0.first()?.relation {
            TableFactor::Table { name, .. } => name,
            _ => return None,
        },
    };
    occurrence_of(name)
}

/// Collects what the record needs of every write of a statement.
pub(super) struct Writer<'a, 'b> {
    pub(super) occurrences: &'a [Occurrence<'b>],
    analysis: &'a Analysis,
    pub(super) params: GuardParams,
    pub(super) input: &'a PlanInput<'b>,
    pub(super) texts: &'a mut Placeholders,
    /// By occurrence: its patients are told by the rows of its write.
    told: Vec<bool>,
    /// `text[]` expressions: keys of rows that no reply shows, bounds.
    pub(super) sets: Vec<String>,
    /// The same of rows that the server changes by itself.
    reached: Vec<String>,
    /// The statement writes more than once: a scan beside one write does not see what another one changes.
    several: bool,
    reasons: Vec<&'static str>,
    checks: usize,
    keys: usize,
    parents: Vec<Parent>,
}

/// A WITH query of ours that inserts rows which others of the statement refer to.
struct Parent {
    table: QualifiedName,
    references: String,
    query: String,
    column: String,
}

impl Writer<'_, '_> {
    /// The hidden RETURNING items of one write.
    pub(super) fn hidden(&mut self, write: &Statement) -> Result<Vec<SelectItem>, PlanError> {
        let occurrences = self.occurrences;
        let target = target_of(write);
        let o = target.map(|n| &occurrences[n]);
        if let Some(o) = o.filter(|o| !o.masks.is_empty()) {
            reads_no_mask(write, o)?;
        }
        if o.is_none() && self.input.role.is_restricted() && !matches!(write, Statement::Delete(_)) {
            return Err(PlanError::guard(
                "it would copy rows of protected tables into a table without a rule",
                "read the rows with a query of their own, or write to a table that is mapped to patients",
            ));
        }
        if let Some(o) = o {
            writes_no_link(write, o, self.input)?;
        }
        if let Some(n) = target {
            self.with_it(write, n)?;
        }
        let (trees, selection) = trees(write);
        let seen = match write {
            Statement::Update(_) | Statement::Delete(_) => {
                carry_write(&trees, selection, occurrences, self.input)
            }
            _ => WriteWitness {
                keys: o.map(|o| (self.input.witness(o), o.table.rule.is_many())).into_iter().collect(),
                told: target.into_iter().collect(),
            },
        };
        seen.told.iter().for_each(|n| self.told[*n] = true);
        let new_keys = match (write, target) {
            (Statement::Insert(insert), Some(n)) => {
                self.conflict(insert, n)?;
                true
            }
            (Statement::Update(update), Some(n)) => {
                let changes = changes_key(&update.assignments, &occurrences[n], self.input);
                if changes && self.analysis.pinned[n].is_none() {
                    // RETURNING tells whose the row is now, the bound whose it was.
                    self.before(n, &self.analysis.local[n].clone(), "KEY_CHANGED");
                }
                changes || changes_decision(&update.assignments, &occurrences[n], self.input)
            }
            _ => false,
        };
        let mut items = Vec::new();
        if let Some(o) = o.filter(|o| new_keys && o.filter) {
            let parents = match write {
                Statement::Insert(_) => self.parents_of(o),
                _ => Vec::new(),
            };
            let policy = &self.input.policy.policy;
            let check = new_key_check_beside(policy, o.table, &o.alias, self.params, &parents);
            items.push(self.item(check, 'c'));
        }
        for (key, set) in seen.keys {
            items.push(self.item(key, if set { 's' } else { 'k' }));
        }
        Ok(items)
    }

    /// Checks the patients of rows that are offered to a filtered table and may not be inserted.
    pub(super) fn offered(&mut self, write: &mut Statement) -> Result<(), PlanError> {
        let occurrences = self.occurrences;
        let Some(o) = target_of(write).map(|n| &occurrences[n]).filter(|o| o.filter) else { return Ok(()) };
        let Statement::Insert(insert) = write else { return Ok(()) };
        let parents = self.parents_of(o);
        offered::check(insert, o, &parents, self.params, self.input, self.texts)
    }

    /// The WITH queries that insert rows which may tell whose a row of `o` is.
    fn parents_of(&self, o: &Occurrence<'_>) -> Vec<(String, String)> {
        let Some(step) = o.table.rule.parent() else { return Vec::new() };
        let of = |p: &&Parent| p.table == step.table && p.references == step.references;
        self.parents.iter().filter(of).map(|p| (p.query.clone(), p.column.clone())).collect()
    }

    /// RETURNING items of an INSERT under the name `query`, for what other writes of the statement refer to.
    pub(super) fn referred(&mut self, write: &Statement, query: &str) -> Vec<SelectItem> {
        let occurrences = self.occurrences;
        let Some(o) = target_of(write).map(|n| &occurrences[n]).filter(|o| o.filter) else {
            return Vec::new();
        };
        if !matches!(write, Statement::Insert(_)) {
            return Vec::new();
        }
        let children = occurrences.iter().filter(|c| c.target && c.filter);
        let mut columns: Vec<&str> = children
            .filter_map(|c| c.table.rule.parent().filter(|step| step.table == o.table.rule.name))
            .map(|step| step.references.as_str())
            .collect();
        columns.sort_unstable();
        columns.dedup();
        let mut items = Vec::new();
        for references in columns {
            let column = format!("__glass_p{}", self.parents.len() + 1);
            let text = format!("{}.{}", quote_ident(&o.alias), quote_ident(references));
            let expr = Expr::Identifier(self.texts.stand_for(text));
            items.push(SelectItem::ExprWithAlias { expr, alias: ident(column.clone()) });
            self.parents.push(Parent {
                table: o.table.rule.name.clone(),
                references: references.to_owned(),
                query: query.to_owned(),
                column,
            });
        }
        items
    }

    fn item(&mut self, text: String, kind: char) -> SelectItem {
        let count = if kind == 'c' { &mut self.checks } else { &mut self.keys };
        *count += 1;
        let alias = ident(format!("__glass_{kind}{count}"));
        SelectItem::ExprWithAlias { expr: Expr::Identifier(self.texts.stand_for(text)), alias }
    }

    /// Records the rows of occurrence `n` as they were before the write.
    fn before(&mut self, n: usize, local: &[String], reason: &'static str) {
        let o = &self.occurrences[n];
        let filter = o.filter.then_some(self.params);
        self.sets.push(bound_keys(&self.input.policy.policy, o.table, &our_alias(), filter, local));
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Records the rows of other tables that the server changes with those of occurrence `n`.
    fn with_it(&mut self, write: &Statement, n: usize) -> Result<(), PlanError> {
        let (o, input) = (&self.occurrences[n], self.input);
        for chain in actions::of_write(write, o, input)? {
            if self.several {
                return Err(actions::refused(o, "a statement that writes more than once"));
            }
            let alias = our_alias();
            let masked = |oid| match input.policy.access(input.role, oid) {
                Access::Protected { masks, .. } => Some(!masks.is_empty()),
                Access::Free => Some(false),
                Access::Denied(_) => None,
            };
            let all: Option<Vec<bool>> =
                chain.relations().chain(std::iter::once(o.relation.oid)).map(masked).collect();
            let set = match all {
                Some(all) if !all.contains(&true) => {
                    let rows = (o.relation.oid, alias.as_str(), self.analysis.local[n].as_slice());
                    reached_keys(input.policy, input.role, input.catalog, rows, &chain, self.params)
                }
                // Anyone whose rows there the user sees.
                _ => {
                    let filters = match input.policy.access(input.role, chain.end().oid) {
                        Access::Protected { filter, masks, .. } => filter || masks.outside.is_some(),
                        Access::Free | Access::Denied(_) => true,
                    };
                    let filter = filters.then_some(self.params);
                    bound_keys(&input.policy.policy, chain.end(), &alias, filter, &[])
                }
            };
            self.reached.push(set);
            if !self.reasons.contains(&"FOREIGN_KEY") {
                self.reasons.push("FOREIGN_KEY");
            }
        }
        Ok(())
    }

    /// The bounds of what no write tells and no pin covers.
    fn bound_the_rest(&mut self) -> Result<(), PlanError> {
        let open = |n: &usize| !self.told[*n] && !self.analysis.is_covered(*n);
        let rest: Vec<usize> = (0..self.occurrences.len()).filter(open).collect();
        if !self.input.role.is_restricted() && (!rest.is_empty() || !self.sets.is_empty()) {
            return Err(PlanError::guard("a write that also reads other rows of patients", ""));
        }
        for n in rest {
            let local = self.analysis.local[n].clone();
            self.before(n, &local, "WRITE_READS");
        }
        Ok(())
    }

    /// What ON CONFLICT adds to the record: the row that is in the way decides, and shows only when it
    /// is updated.
    fn conflict(&mut self, insert: &Insert, n: usize) -> Result<(), PlanError> {
        let Some(on) = &insert.on else { return Ok(()) };
        let OnInsert::OnConflict(conflict) = on else {
            return Err(PlanError::guard("ON DUPLICATE KEY", "use ON CONFLICT"));
        };
        let shown = match &conflict.action {
            OnConflictAction::DoNothing => false,
            OnConflictAction::DoUpdate(update) => {
                update.selection.is_none()
                    && !changes_key(&update.assignments, &self.occurrences[n], self.input)
            }
        };
        if !shown {
            let local = in_the_way(insert, conflict, &self.occurrences[n]);
            self.before(n, &local, "ON_CONFLICT");
        }
        Ok(())
    }
}

/// Conditions that a row in the way of this INSERT meets, over our alias: its conflict columns have
/// one of the inserted values, where those stand in the text. None is always right.
fn in_the_way(insert: &Insert, conflict: &OnConflict, o: &Occurrence<'_>) -> Vec<String> {
    let (Some(ConflictTarget::Columns(by)), Some(source)) = (&conflict.conflict_target, &insert.source)
    else {
        return Vec::new();
    };
    let SetExpr::Values(values) = source.body.as_ref() else { return Vec::new() };
    if o.relation.has_triggers_or_rules || !o.masks.is_empty() {
        return Vec::new();
    }
    let names = columns_of(insert, o);
    let one = |name: String| {
        let column = o.relation.column(&name).filter(|c| c.builtin_type && compares(&c.type_sql))?;
        let at = names.iter().position(|n| *n == name)?;
        let values = values.rows.iter().map(|row| match row.get(at)? {
            Expr::Value(v) => match &v.value {
                Value::Number(..) | Value::Placeholder(_) => Some(v.to_string()),
                Value::SingleQuotedString(text) if !text.contains('\\') => Some(v.to_string()),
                _ => None,
            },
            _ => None,
        });
        // As INSERT converts it: an assignment and an explicit cast differ in what they refuse only.
        let list: Option<Vec<String>> =
            values.map(|v| Some(format!("{}::{}", v?, column.type_sql))).collect();
        let alias = crate::catalog::quote_ident(&our_alias());
        Some(format!("{alias}.{} IN ({})", crate::catalog::quote_ident(&name), list?.join(", ")))
    };
    by.iter().filter_map(|c| one(fold(c))).collect()
}

/// True when an UPDATE changes the key, or the column that leads to it: an assignment names it or, for filtered roles,
/// the server may compute it anew.
pub(super) fn changes_key(
    assignments: &[Assignment],
    target: &Occurrence<'_>,
    input: &PlanInput<'_>,
) -> bool {
    let owners = target.table.rule.owner_columns();
    let is_one = |column: &str| owners.contains(&column);
    assigns(assignments, is_one) || (target.filter && input.catalog.computes(target.relation.oid, is_one))
}

/// True when an UPDATE may change whether the row may be written: whose it is, or its category.
fn changes_decision(assignments: &[Assignment], target: &Occurrence<'_>, input: &PlanInput<'_>) -> bool {
    let deciding = target.table.deciding_columns();
    let is_one = |column: &str| deciding.contains(&column);
    let oid = target.relation.oid;
    assigns(assignments, is_one) || input.catalog.computes(oid, is_one) || input.catalog.rewrites_rows(oid)
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
    let labels = target.filter && input.policy.labels.contains(&target.relation.oid);
    let off = match write {
        Statement::Delete(_) => labels,
        Statement::Update(update) => labels && changes_key(&update.assignments, target, input),
        _ => false,
    };
    if off {
        return Err(labels_off(target));
    }
    let writes = match write {
        Statement::Insert(insert) => {
            let named = match insert.columns.as_slice() {
                [] => target.relation.columns.iter().any(|c| link(&c.name)),
                given => given
                    .iter()
                    .any(|n| n.0.first().and_then(|p| p.as_ident()).is_none_or(|i| link(&fold(i)))),
            };
            named
                || matches!(&insert.on, Some(OnInsert::OnConflict(OnConflict {
                    action: OnConflictAction::DoUpdate(update), ..
                })) if assigns(&update.assignments, link))
        }
        Statement::Update(update) => assigns(&update.assignments, link),
        _ => false,
    };
    // What the server computes is written with whatever it is computed from.
    let computed =
        || !matches!(write, Statement::Delete(_)) && input.catalog.computes(target.relation.oid, link);
    if target.filter && (writes || computed()) {
        return Err(PlanError::guard(
            format!("a column of {} that decides whose rows of other tables are", target.table.name),
            "leave the column out; a role that sees every patient can write it",
        ));
    }
    Ok(())
}

/// The refusal of what takes a label off a patient.
pub(super) fn labels_off(target: &Occurrence<'_>) -> PlanError {
    PlanError::guard(
        format!(
            "rows of {}, which say which labels patients have, are deleted or given to others",
            target.table.name
        ),
        "a role that sees every patient and label can do it",
    )
}
