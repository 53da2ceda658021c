//! Rows that keep their place: the target of a write, and rows that a locking clause locks, have no derived form that a
//! fence could stand in. What is more than a plain comparison in a condition beside them stands in a CASE behind the look
//! at their patient; from the ON of inner joins it goes to WHERE for that. Not for where guards go (see `place`).

use sqlparser::ast::{
    BinaryOperator, Expr, JoinConstraint, JoinOperator, Statement, TableFactor, TableWithJoins,
    UpdateTableFromKind, Value,
};

use super::dml::trees;
use super::place::{Placer, Side, case_when, on_of, side};
use super::{Fence, any_expr, occurrence_of};
use crate::policy::visible_condition;
use crate::sql::lineage::split_plain;

impl Placer<'_, '_> {
    /// `condition` in a form that is evaluated on visible rows of these occurrences alone.
    pub(super) fn behind_visible(&mut self, condition: Expr, rows: &[usize]) -> Expr {
        let visible = rows.iter().map(|n| {
            let o = &self.occurrences[*n];
            let visible = visible_condition(&self.input.policy.policy, o.table, &o.alias, self.params);
            self.steady_text(*n).into_iter().fold(visible, |v, steady| format!("{v} AND {steady}"))
        });
        let text = visible.collect::<Vec<_>>().join(" AND ");
        case_when(Expr::Identifier(self.texts.stand_for(text)), Expr::Nested(Box::new(condition)))
    }

    /// [`Self::to_where`] for what FROM and USING of a write on a filtered target join.
    pub(super) fn sources_to_where(&self, write: &mut Statement) {
        let filtered = |factor: &TableFactor| match factor {
            TableFactor::Table { name, .. } => {
                occurrence_of(name).is_some_and(|n| self.occurrences[n].filter)
            }
            _ => false,
        };
        let target = trees(write).0.first().is_some_and(|tree| filtered(&tree.relation));
        if self.input.fence == Fence::None || !target {
            return;
        }
        match write {
            Statement::Update(update) => {
                if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) =
                    &mut update.from
                {
                    self.to_where(from, &mut update.selection);
                }
            }
            Statement::Delete(delete) => {
                if let Some(using) = &mut delete.using {
                    self.to_where(using, &mut delete.selection);
                }
            }
            _ => {}
        }
    }

    /// A target has no derived form. Behind a fence, what is more than a plain comparison in the
    /// condition of its write stands behind the look at its patient.
    pub(super) fn fence_target(&mut self, write: &Statement) -> Option<Expr> {
        let (trees, selection) = trees(write);
        let TableFactor::Table { name, .. } = &trees.first()?.relation else { return None };
        let n = occurrence_of(name).filter(|n| self.occurrences[*n].filter)?;
        self.fence_condition(&trees, selection?, &[n])
    }

    pub(super) fn fence_condition(
        &mut self,
        trees: &[&TableWithJoins],
        selection: &Expr,
        rows: &[usize],
    ) -> Option<Expr> {
        if self.input.fence == Fence::None {
            return None;
        }
        let (plain, rest) = split_plain(trees, selection, self.occurrences, self.input);
        let case = self.behind_visible(all_of(rest)?, rows);
        let mut conditions = plain;
        conditions.push(case);
        all_of(conditions)
    }

    /// Moves what is more than a plain comparison from the ON of inner joins to WHERE, which means the same while
    /// nothing makes the rows nullable: there it can stand behind the look at a row that has no derived form.
    pub(super) fn to_where(&self, from: &mut [TableWithJoins], selection: &mut Option<Expr>) {
        let whole = from.to_vec();
        let trees: Vec<&TableWithJoins> = whole.iter().collect();
        for tree in from {
            let mut kept = true;
            for join in tree.joins.iter_mut().rev() {
                let Ok((side, constraint)) = side(&join.join_operator) else { return };
                kept &= matches!(side, Side::Inner | Side::Left);
                let (true, Side::Inner, JoinConstraint::On(on)) = (kept, side, constraint) else { continue };
                let (plain, rest) = split_plain(&trees, on, self.occurrences, self.input);
                // A name alone could mean another column among those of all items.
                let alone = |e: &Expr| any_expr(e, &mut |e| matches!(e, Expr::Identifier(_)));
                if rest.is_empty() || rest.iter().any(alone) {
                    continue;
                }
                let on = all_of(plain).unwrap_or_else(|| Expr::Value(Value::Boolean(true).into()));
                join.join_operator = JoinOperator::Inner(JoinConstraint::On(on));
                *selection = all_of(rest.into_iter().chain(selection.take()).collect());
            }
        }
    }

    /// The same for outer joins: what is more than a plain comparison in their ON stands behind the look at the
    /// locked `rows`, where these are all among the rows that the join joins.
    pub(super) fn fence_outer(&mut self, from: &mut [TableWithJoins], rows: &[usize]) {
        let whole = from.to_vec();
        let trees: Vec<&TableWithJoins> = whole.iter().collect();
        for tree in from {
            let mut joined = Vec::new();
            named_in(&tree.relation, &mut joined);
            for join in &mut tree.joins {
                named_in(&join.relation, &mut joined);
                let all = rows.iter().all(|n| joined.contains(n));
                let outer = matches!(side(&join.join_operator), Ok((Side::Left | Side::Right, _)));
                let Some(on) = on_of(&mut join.join_operator).filter(|_| all && outer) else { continue };
                if let Some(fenced) = self.fence_condition(&trees, on, rows) {
                    *on = fenced;
                }
            }
        }
    }
}

/// The expressions joined by AND.
fn all_of(exprs: Vec<Expr>) -> Option<Expr> {
    let nested = |e: Expr| if matches!(e, Expr::Nested(_)) { e } else { Expr::Nested(Box::new(e)) };
    exprs.into_iter().map(nested).reduce(|a, b| Expr::BinaryOp {
        left: Box::new(a),
        op: BinaryOperator::And,
        right: Box::new(b),
    })
}

/// The occurrences that stand in an item of FROM under their own aliases.
fn named_in(factor: &TableFactor, found: &mut Vec<usize>) {
    match factor {
        TableFactor::Table { name, .. } => found.extend(occurrence_of(name)),
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            named_in(&table_with_joins.relation, found);
            table_with_joins.joins.iter().for_each(|join| named_in(&join.relation, found));
        }
        _ => {}
    }
}
