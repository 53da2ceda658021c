//! Where a guard goes. From the table up its join tree: at the first join where it is on the
//! nullable side, that join's ON; if there is none, WHERE. Where there is no ON to use (FULL,
//! NATURAL, USING), where a join has an alias of its own, or where columns are masked, renamed or
//! fenced, a derived table stands in place of the table. Not for what the guard says.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, FromTable, JoinConstraint, JoinOperator, Merge, ObjectName,
    ObjectNamePart, OnConflict, OnConflictAction, OnInsert, Query, Select, Statement, TableFactor,
    TableObject, TableSampleKind, TableWithJoins, UpdateTableFromKind,
};

use sqlparser::ast::helpers::attached_token::AttachedToken;

use super::dml::changes_key;
use super::returning::reads_mask;
use super::walk::{Edit, edit};
use super::{
    Fence, Occurrence, Placeholders, PlanError, PlanInput, actions, any_expr, any_query, around, first,
    group, lock, merge, occurrence_of, opaque, split,
};
use crate::policy::{
    DerivedShape, GuardParams, Steady, derived_table, guard_conjunct, holds_rows, is_steady, our_alias,
    proposed_key_check, steady_condition, untouched,
};
use crate::sql::lineage::Analysis;

/// Puts the guard of every occurrence into `ast` and its real name in place of its tag.
pub(super) fn guards(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    analysis: &Analysis,
    params: GuardParams,
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Result<(), PlanError> {
    let mut derived = Vec::with_capacity(occurrences.len());
    let locked = locked_in(ast, occurrences)?;
    let held = held_in(ast, occurrences)?;
    for (n, o) in occurrences.iter().enumerate() {
        let replace = !o.masks.is_empty() || (o.filter && (input.fence != Fence::None || o.renamed));
        derived.push(replace && !o.target && !locked.contains(&n));
    }
    let around = match input.fence {
        Fence::None => vec![Vec::new(); occurrences.len()],
        _ => around::equalities(ast, occurrences, input),
    };
    if input.fence.blocks() && locked.is_empty() {
        group::by_whole_keys(ast, occurrences, &derived, input)?;
        let split = split::blocks(ast, occurrences, input, texts)?;
        derived.iter_mut().zip(split).for_each(|(derived, split)| *derived &= !split);
    }
    let steady = occurrences.iter().enumerate().map(|(n, o)| steady(o, o.target || held.contains(&n)));
    let steady = steady.collect();
    let beyond = vec![Vec::new(); occurrences.len()];
    let local =
        analysis.local.iter().zip(around).map(|(own, around)| [own.as_slice(), &around].concat()).collect();
    let mut placer =
        Placer { occurrences, derived, locked, analysis, local, steady, beyond, params, input, texts };
    edit(ast, &mut placer)?;
    if input.fence.asks_first() {
        first::items(ast, placer.texts)?;
    }
    group::by_whole_keys(ast, occurrences, &placer.derived, input)?;
    edit(ast, &mut Namer { placer, samples: Vec::new() })
}

/// The occurrences that locking clauses lock and that keep their place for it; an error where one cannot.
fn locked_in(ast: &mut Statement, occurrences: &[Occurrence<'_>]) -> Result<Vec<usize>, PlanError> {
    struct Locks<'a, 'b>(&'a [Occurrence<'b>], Vec<usize>);
    impl Edit for Locks<'_, '_> {
        fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
            for n in lock::locked(query, &|n| self.0[n].alias.clone()) {
                let Some(o) = self.0.get(n) else { continue };
                let reads = !o.masks.is_empty()
                    && (o.masks.outside.is_some()
                        || query.to_string().contains('*')
                        || any_expr(query, &mut |e| reads_mask(e, o)));
                if !reads && !o.renamed {
                    self.1.push(n);
                } else if !lock::all_rows(query) {
                    return Err(PlanError::guard(
                        format!(
                            "it locks rows of {} that it reads masked or under other names",
                            o.table.name
                        ),
                        "name columns that are not masked, or leave out LIMIT",
                    ));
                }
            }
            Ok(())
        }
    }
    let mut locks = Locks(occurrences, Vec::new());
    edit(ast, &mut locks)?;
    Ok(locks.1)
}

/// The occurrences whose rows are locked, in whatever form they stand.
fn held_in(ast: &mut Statement, occurrences: &[Occurrence<'_>]) -> Result<Vec<usize>, PlanError> {
    struct Held<'a, 'b>(&'a [Occurrence<'b>], Vec<usize>);
    impl Edit for Held<'_, '_> {
        fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
            let alias = |n: usize| self.0.get(n).map(|o| o.alias.clone()).unwrap_or_default();
            let found = lock::held(query, &alias);
            self.1.extend(found);
            Ok(())
        }
    }
    let mut held = Held(occurrences, Vec::new());
    edit(ast, &mut held)?;
    Ok(held.1)
}

/// What the rows of an occurrence have to show when they are locked.
fn steady(o: &Occurrence<'_>, locked: bool) -> Option<Steady> {
    (locked && o.filter && is_steady(o.table, o.relation.kind)).then_some(Steady::Way)
}

pub(super) struct Placer<'a, 'b> {
    pub(super) occurrences: &'a [Occurrence<'b>],
    /// By occurrence: a derived table stands in its place and holds the guard.
    derived: Vec<bool>,
    /// Occurrences that a locking clause locks.
    locked: Vec<usize>,
    analysis: &'a Analysis,
    /// By occurrence: conditions that go behind its fence with the guard.
    local: Vec<Vec<String>>,
    /// By occurrence: what its guard needs beside it, as its rows are locked.
    steady: Vec<Option<Steady>>,
    /// By occurrence: what its guard needs beside it, as rows of other tables are changed with its own.
    beyond: Vec<Vec<String>>,
    pub(super) params: GuardParams,
    pub(super) input: &'a PlanInput<'b>,
    pub(super) texts: &'a mut Placeholders,
}

/// The join operators of PostgreSQL, by what they make nullable.
pub(crate) enum Side {
    Inner,
    Left,
    Right,
    Full,
}

/// What an operator does to its operands, with its constraint; an error for foreign ones.
pub(crate) fn side(operator: &JoinOperator) -> Result<(Side, &JoinConstraint), PlanError> {
    match operator {
        JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::CrossJoin(c) => Ok((Side::Inner, c)),
        JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => Ok((Side::Left, c)),
        JoinOperator::Right(c) | JoinOperator::RightOuter(c) => Ok((Side::Right, c)),
        JoinOperator::FullOuter(c) => Ok((Side::Full, c)),
        JoinOperator::Semi(_)
        | JoinOperator::LeftSemi(_)
        | JoinOperator::RightSemi(_)
        | JoinOperator::Anti(_)
        | JoinOperator::LeftAnti(_)
        | JoinOperator::RightAnti(_)
        | JoinOperator::CrossApply
        | JoinOperator::OuterApply
        | JoinOperator::AsOf { .. }
        | JoinOperator::StraightJoin(_)
        | JoinOperator::ArrayJoin
        | JoinOperator::LeftArrayJoin
        | JoinOperator::InnerArrayJoin => Err(PlanError::guard("a join that PostgreSQL does not have", "")),
    }
}

/// The ON of a join, if it has one.
pub(super) fn on_of(operator: &mut JoinOperator) -> Option<&mut Expr> {
    match operator {
        JoinOperator::Left(JoinConstraint::On(e))
        | JoinOperator::LeftOuter(JoinConstraint::On(e))
        | JoinOperator::Right(JoinConstraint::On(e))
        | JoinOperator::RightOuter(JoinConstraint::On(e)) => Some(e),
        _ => None,
    }
}

impl Placer<'_, '_> {
    fn guard(&mut self, n: usize) -> Expr {
        let o = &self.occurrences[n];
        let guard = guard_conjunct(&self.input.policy.policy, o.table, &o.alias, self.params);
        let beside: Vec<String> = self
            .steady_text(n)
            .into_iter()
            .chain(self.beyond.get(n).into_iter().flatten().cloned())
            .collect();
        let text = match beside.as_slice() {
            [] => guard,
            _ => format!("({guard} AND {})", beside.join(" AND ")),
        };
        Expr::Identifier(self.texts.stand_for(text))
    }

    pub(super) fn steady_text(&self, n: usize) -> Option<String> {
        let o = &self.occurrences[n];
        let steady = (*self.steady.get(n)?)?;
        Some(steady_condition(&self.input.policy.policy, o.table, &o.alias, self.params, steady))
    }

    /// `condition AND guard ...`, the client's part in parentheses.
    fn and(&mut self, condition: Expr, pending: Vec<usize>) -> Expr {
        let mut all = match condition {
            Expr::Nested(_) => condition,
            other => Expr::Nested(Box::new(other)),
        };
        for n in pending {
            let right = Box::new(self.guard(n));
            all = Expr::BinaryOp { left: Box::new(all), op: BinaryOperator::And, right };
        }
        all
    }

    fn filter(&mut self, selection: &mut Option<Expr>, pending: Vec<usize>) {
        let mut pending = pending.into_iter();
        let condition = match selection.take() {
            Some(condition) => condition,
            None => {
                let Some(first) = pending.next() else { return };
                let guard = self.guard(first);
                let rest: Vec<usize> = pending.collect();
                *selection = Some(if rest.is_empty() { guard } else { self.and(guard, rest) });
                return;
            }
        };
        let pending: Vec<usize> = pending.collect();
        *selection = Some(if pending.is_empty() { condition } else { self.and(condition, pending) });
    }

    /// The occurrences of a FROM list whose guards belong into WHERE.
    fn from(&mut self, from: &mut [TableWithJoins]) -> Result<Vec<usize>, PlanError> {
        let mut pending = Vec::new();
        for tree in from {
            pending.extend(self.tree(tree)?);
        }
        Ok(pending)
    }

    fn tree(&mut self, tree: &mut TableWithJoins) -> Result<Vec<usize>, PlanError> {
        let mut left = self.factor(&mut tree.relation)?;
        for join in &mut tree.joins {
            let right = self.factor(&mut join.relation)?;
            let (preserved, nullable) = match side(&join.join_operator)?.0 {
                Side::Inner => {
                    left.extend(right);
                    continue;
                }
                Side::Left => (left, right),
                Side::Right => (right, left),
                Side::Full => {
                    left.extend(right);
                    (Vec::new(), left)
                }
            };
            left = preserved;
            if nullable.is_empty() {
                continue;
            }
            match on_of(&mut join.join_operator) {
                Some(on) => {
                    let condition = std::mem::replace(on, Expr::Nested(Box::new(Expr::Tuple(Vec::new()))));
                    *on = self.and(condition, nullable);
                }
                None => nullable.into_iter().for_each(|n| self.derived[n] = true),
            }
        }
        Ok(left)
    }

    fn factor(&mut self, factor: &mut TableFactor) -> Result<Vec<usize>, PlanError> {
        match factor {
            TableFactor::Table { name, .. } => {
                let own = occurrence_of(name).filter(|n| self.occurrences[*n].filter && !self.derived[*n]);
                Ok(own.into_iter().collect())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let inside = self.tree(table_with_joins)?;
                if alias.is_none() {
                    return Ok(inside);
                }
                inside.into_iter().for_each(|n| self.derived[n] = true);
                Ok(Vec::new())
            }
            // Their queries are blocks of their own, visited by themselves.
            _ => Ok(Vec::new()),
        }
    }

    fn write(&mut self, statement: &mut Statement) -> Result<(), PlanError> {
        if let Statement::Update(update) = &*statement
            && let TableFactor::Table { name, .. } = &update.table.relation
            && let Some(n) = occurrence_of(name)
            && let Some(o) = self.occurrences.get(n).filter(|o| o.filter && holds_rows(o.relation.kind))
            && changes_key(&update.assignments, o, self.input)
            && self.analysis.pinned.get(n).is_none_or(Option::is_none)
            && let Some(steady) = self.steady.get_mut(n)
        {
            // Whose the row was is recorded from the snapshot.
            *steady = Some(Steady::Never);
        }
        if let Some(n) = actions::target_name(statement).and_then(occurrence_of)
            && let Some(o) = self.occurrences.get(n).filter(|o| o.filter)
        {
            let chains = actions::of_write(statement, o, self.input)?;
            let (policy, catalog) = (self.input.policy, self.input.catalog);
            self.beyond[n] = untouched(policy, catalog, &chains, &o.alias, self.params);
        }
        self.sources_to_where(statement);
        let fenced = self.fence_target(statement);
        match statement {
            Statement::Update(update) => {
                if fenced.is_some() {
                    update.selection = fenced;
                }
                let mut pending = self.tree(&mut update.table)?;
                if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) =
                    &mut update.from
                {
                    pending.extend(self.from(from)?);
                }
                self.filter(&mut update.selection, pending);
            }
            Statement::Delete(delete) => {
                if fenced.is_some() {
                    delete.selection = fenced;
                }
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &mut delete.from;
                let mut pending = self.from(from)?;
                if let Some(using) = &mut delete.using {
                    pending.extend(self.from(using)?);
                }
                self.filter(&mut delete.selection, pending);
            }
            Statement::Insert(insert) => {
                if let TableObject::TableName(name) = &insert.table
                    && let Some(n) = occurrence_of(name).filter(|n| self.occurrences[*n].filter)
                    && let Some(OnInsert::OnConflict(OnConflict {
                        action: OnConflictAction::DoUpdate(update),
                        ..
                    })) = &mut insert.on
                {
                    // A condition that is known to be false would take the check of the key with it.
                    if let Some(condition) = update.selection.take() {
                        update.selection = Some(match self.input.fence {
                            Fence::None => opaque::hidden(condition)?,
                            _ => self.behind_visible(condition, &[n]),
                        });
                    }
                    self.filter(&mut update.selection, vec![n]);
                    let o = &self.occurrences[n];
                    let check = proposed_key_check(&self.input.policy.policy, o.table, self.params);
                    update.selection = update.selection.take().map(|guarded| Expr::BinaryOp {
                        left: Box::new(Expr::Identifier(self.texts.stand_for(check))),
                        op: BinaryOperator::And,
                        right: Box::new(Expr::Nested(Box::new(guarded))),
                    });
                }
            }
            Statement::Merge(merge) => self.merge(merge)?,
            _ => {}
        }
        Ok(())
    }

    /// The target's guard stands in ON: a hidden row is no match. The source, which the join may preserve, is
    /// filtered in a derived table.
    fn merge(&mut self, merge: &mut Merge) -> Result<(), PlanError> {
        for n in self.factor(&mut merge.source)? {
            self.derived[n] = true;
        }
        let Some(n) = merge::target_of(merge).filter(|n| self.occurrences[*n].filter) else { return Ok(()) };
        let tree = |relation: &TableFactor| TableWithJoins { relation: relation.clone(), joins: Vec::new() };
        let trees = [tree(&merge.table), tree(&merge.source)];
        let trees: Vec<&TableWithJoins> = trees.iter().collect();
        if let Some(fenced) = self.fence_condition(&trees, &merge.on, &[n]) {
            *merge.on = fenced;
        }
        let on = std::mem::replace(merge.on.as_mut(), Expr::Tuple(Vec::new()));
        *merge.on = self.and(on, vec![n]);
        for clause in &mut merge.clauses {
            let o = &self.occurrences[n];
            let Some(check) = merge::check_keys(clause, o, self.params, self.input, self.texts)? else {
                continue;
            };
            clause.predicate = Some(match clause.predicate.take() {
                None => check,
                Some(condition) => case_when(Expr::Nested(Box::new(condition)), check),
            });
        }
        Ok(())
    }
}

/// `CASE WHEN condition THEN result END`.
pub(super) fn case_when(condition: Expr, result: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: None,
    }
}

impl Edit for Placer<'_, '_> {
    fn statement(&mut self, statement: &mut Statement) -> Result<(), PlanError> {
        self.write(statement)
    }

    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        let pending = self.from(&mut select.from)?;
        if pending.iter().any(|n| self.locked.contains(n)) {
            if self.input.fence != Fence::None {
                self.fence_outer(&mut select.from, &pending);
                self.to_where(&mut select.from, &mut select.selection);
            }
            let trees: Vec<&TableWithJoins> = select.from.iter().collect();
            let fenced = select.selection.as_ref().and_then(|s| self.fence_condition(&trees, s, &pending));
            if fenced.is_some() {
                select.selection = fenced;
            }
        }
        self.filter(&mut select.selection, pending);
        Ok(())
    }
}

/// Puts names, or derived tables, in place of the tags.
struct Namer<'a, 'b> {
    placer: Placer<'a, 'b>,
    /// TABLESAMPLE clauses that go into derived tables, by occurrence.
    samples: Vec<(usize, String)>,
}

impl Namer<'_, '_> {
    /// Takes the samples off the tables that derived tables will stand for.
    fn take_samples(&mut self, tree: &mut TableWithJoins) {
        for factor in
            std::iter::once(&mut tree.relation).chain(tree.joins.iter_mut().map(|j| &mut j.relation))
        {
            match factor {
                TableFactor::Table { name, sample, .. } => {
                    let derived = occurrence_of(name).filter(|n| self.placer.derived[*n]);
                    let plain = !any_query(sample, &mut |_| true);
                    if let (Some(n), true, Some(TableSampleKind::AfterTableAlias(clause))) =
                        (derived, plain, &*sample)
                    {
                        self.samples.push((n, clause.to_string()));
                        *sample = None;
                    }
                }
                TableFactor::NestedJoin { table_with_joins, .. } => self.take_samples(table_with_joins),
                _ => {}
            }
        }
    }
}

impl Edit for Namer<'_, '_> {
    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        select.from.iter_mut().for_each(|tree| self.take_samples(tree));
        Ok(())
    }

    fn relation(&mut self, name: &mut ObjectName) -> Result<(), PlanError> {
        let Some(n) = occurrence_of(name) else { return Ok(()) };
        let p = &mut self.placer;
        let o = &p.occurrences[n];
        let text = if p.derived[n] {
            let sample = self.samples.iter().find(|(of, _)| *of == n).map(|(_, sample)| sample.as_str());
            if o.sampled && (sample.is_none() || !o.masks.is_empty()) {
                let (at, hint) = match o.masks.is_empty() {
                    true => (" at this place", "sample in a subquery of its own"),
                    false => (
                        ", whose masked form cannot be sampled",
                        "leave it out, and take some of the rows by WHERE random() < 0.01 or ORDER BY random() LIMIT 100",
                    ),
                };
                return Err(PlanError::guard(format!("TABLESAMPLE of {}{at}", o.table.name), hint));
            }
            let shape = DerivedShape {
                only: o.only,
                sample,
                filter: o.filter.then_some(p.params),
                inside: o.masks.outside.map(|_| p.params),
                steady: p.steady.get(n).is_some_and(Option::is_some),
                fence: p.input.fence != Fence::None && (o.filter || o.table.hides_rows()),
                witness: None,
                // The masked form is checked as a whole, so nothing of the client's stands in it.
                local: match p.input.fence != Fence::None && o.filter && o.masks.is_empty() {
                    true => &p.local[n],
                    false => &[],
                },
            };
            let inner = our_alias();
            derived_table(&p.input.policy.policy, o.table, o.relation, &o.masks, &inner, shape)
        } else {
            format!("{}{}", if o.only { "ONLY " } else { "" }, o.table.name.to_sql())
        };
        *name = ObjectName(vec![ObjectNamePart::Identifier(p.texts.stand_for(text))]);
        Ok(())
    }
}
