//! Where a guard goes. From the table up its join tree: at the first join where it is on the
//! nullable side, that join's ON; if there is none, WHERE. Where there is no ON to use (FULL,
//! NATURAL, USING), where a join has an alias of its own, or where columns are masked, renamed or
//! fenced, a derived table stands in place of the table. Not for what the guard says.

use sqlparser::ast::{
    BinaryOperator, Expr, FromTable, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Select,
    Statement, TableFactor, TableWithJoins, UpdateTableFromKind,
};

use super::walk::{Edit, edit};
use super::{Occurrence, Placeholders, PlanError, PlanInput, occurrence_of};
use crate::policy::{DerivedShape, GuardParams, derived_table, guard_conjunct, our_alias};
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
    for o in occurrences {
        if o.target && o.filter && input.fence {
            return Err(PlanError::guard(
                format!("a condition of this write could read hidden rows of {}", o.table.name),
                "use plain comparisons in the condition, or name the rows by their key",
            ));
        }
        let replace = !o.masks.is_empty() || (o.filter && (input.fence || o.renamed));
        derived.push(replace && !o.target);
    }
    let mut placer = Placer { occurrences, derived, params, input, texts };
    edit(ast, &mut placer)?;
    edit(ast, &mut Namer { placer, analysis })
}

struct Placer<'a, 'b> {
    occurrences: &'a [Occurrence<'b>],
    /// By occurrence: a derived table stands in its place and holds the guard.
    derived: Vec<bool>,
    params: GuardParams,
    input: &'a PlanInput<'b>,
    texts: &'a mut Placeholders,
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
fn on_of(operator: &mut JoinOperator) -> Option<&mut Expr> {
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
        let text = guard_conjunct(&self.input.policy.policy, o.table, &o.alias, self.params);
        Expr::Identifier(self.texts.stand_for(text))
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
        match statement {
            Statement::Update(update) => {
                let mut pending = self.tree(&mut update.table)?;
                if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) =
                    &mut update.from
                {
                    pending.extend(self.from(from)?);
                }
                self.filter(&mut update.selection, pending);
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &mut delete.from;
                let mut pending = self.from(from)?;
                if let Some(using) = &mut delete.using {
                    pending.extend(self.from(using)?);
                }
                self.filter(&mut delete.selection, pending);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Edit for Placer<'_, '_> {
    fn statement(&mut self, statement: &mut Statement) -> Result<(), PlanError> {
        self.write(statement)
    }

    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        let pending = self.from(&mut select.from)?;
        self.filter(&mut select.selection, pending);
        Ok(())
    }
}

/// Puts names, or derived tables, in place of the tags.
struct Namer<'a, 'b, 'c> {
    placer: Placer<'a, 'b>,
    analysis: &'c Analysis,
}

impl Edit for Namer<'_, '_, '_> {
    fn relation(&mut self, name: &mut ObjectName) -> Result<(), PlanError> {
        let Some(n) = occurrence_of(name) else { return Ok(()) };
        let p = &mut self.placer;
        let o = &p.occurrences[n];
        let text = if p.derived[n] {
            if o.sampled {
                return Err(PlanError::guard(
                    format!("TABLESAMPLE of {} at this place", o.table.name),
                    "sample in a subquery of its own",
                ));
            }
            let shape = DerivedShape {
                filter: o.filter.then_some(p.params),
                inside: o.masks.outside.map(|_| p.params),
                fence: p.input.fence && o.filter,
                witness: None,
                // The masked form is checked as a whole, so nothing of the client's stands in it.
                local: match p.input.fence && o.filter && o.masks.is_empty() {
                    true => &self.analysis.local[n],
                    false => &[],
                },
            };
            let inner = our_alias(n + 1);
            derived_table(&p.input.policy.policy, o.table, o.relation, &o.masks, &inner, shape)
        } else {
            o.table.name.to_sql()
        };
        *name = ObjectName(vec![ObjectNamePart::Identifier(p.texts.stand_for(text))]);
        Ok(())
    }
}
