//! Subqueries and WITH queries in FROM that only choose and compute, for a role with `min_cell`: they become a part of the
//! block around them, where the checker sees what is grouped: `SELECT band, count(*) FROM (SELECT age / 10 AS band FROM
//! person WHERE sex = 'F') p GROUP BY band` groups persons by `age / 10`. A view without an entry is one, too.
//!
//! What is not certain to mean the same stays where it is, and is refused there. Not for what groups, sorts for a limit,
//! or lists keys (see `cohorts`); nothing rests on this.

mod joins;
mod names;
mod put;
mod subquery;

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SetExpr, Statement,
    TableFactor, TableWithJoins,
};

use self::joins::{constraint, into_place, join_by_on, named_as, rename};
use self::names::{Nested, Qualify};
use self::put::Put;
use self::subquery::Parts;
use super::cohorts::{Names, bare_name, drop_unread};
use super::relations::{Items, Relations, called};
use super::walk::{Edit, edit, look};
use super::{PlanError, PlanInput, any_expr, fold};
use crate::catalog::Resolved;
use crate::sql::words::is_opaque;

/// Subqueries inside each other beyond this stay where they are.
const DEEPEST: usize = 16;

/// Merges those of `ast`.
pub(super) fn subqueries(ast: &mut Statement, input: &PlanInput<'_>) -> Result<(), PlanError> {
    let opaque = |e: &Expr| matches!(e, Expr::Identifier(name) if is_opaque(&name.value));
    if any_expr(ast, &mut { opaque }) {
        return Ok(());
    }
    let relations = Relations::of(ast, &[], input);
    let mut defined = Names::default();
    look(ast, &mut defined);
    let mut merger = Merger { relations, input, defined: defined.0, with: Vec::new(), changed: false };
    for _ in 0..DEEPEST {
        merger.changed = false;
        edit(ast, &mut merger)?;
        if !merger.changed {
            break;
        }
    }
    drop_unread(ast)
}

struct Merger<'a, 'b> {
    relations: Relations<'b, 'b>,
    input: &'a PlanInput<'b>,
    /// How often each name of a WITH query is defined.
    defined: BTreeMap<String, usize>,
    /// The WITH queries in scope that can be merged, of each query around; `None` hides one of its name.
    with: Vec<Vec<(String, Option<Box<Query>>)>>,
    changed: bool,
}

impl Edit for Merger<'_, '_> {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        let mut own = Vec::new();
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                let plain =
                    !with.recursive && cte.alias.columns.is_empty() && self.parts(&cte.query).is_some();
                own.push((fold(&cte.alias.name), plain.then(|| cte.query.clone())));
            }
        }
        self.with.push(own);
        if let SetExpr::Select(select) = query.body.as_mut() {
            for tree in &mut select.from {
                self.name_in(tree);
            }
        }
        while let Some(merged) = self.one(query) {
            *query = merged;
            self.changed = true;
        }
        Ok(())
    }

    fn query_end(&mut self) {
        self.with.pop();
    }
}
impl<'b> Merger<'_, 'b> {
    /// Puts WITH queries that can be merged in the place of their names.
    fn name_in(&mut self, tree: &mut TableWithJoins) {
        let factors =
            std::iter::once(&mut tree.relation).chain(tree.joins.iter_mut().map(|j| &mut j.relation));
        for factor in factors {
            let TableFactor::Table { name, alias, args: None, sample: None, .. } = factor else { continue };
            let Some(name) = bare_name(name) else { continue };
            // One that is defined once, and called like no table, is meant wherever its name stands.
            let table = self.input.catalog.resolve(None, &name, self.input.namespace);
            if self.defined.get(&name) != Some(&1) || !matches!(table, Resolved::Unknown) {
                continue;
            }
            let known = self.with.iter().rev().flat_map(|w| w.iter().rev()).find(|(n, _)| *n == name);
            let Some((_, Some(query))) = known else { continue };
            let alias = alias.take().unwrap_or_else(|| named_as(Ident::with_quote('"', name)));
            let subquery = query.clone();
            *factor = TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
            self.changed = true;
        }
    }

    /// `query` with the first subquery of its FROM that can be merged.
    fn one(&self, query: &Query) -> Option<Query> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let places =
            select.from.iter().enumerate().flat_map(|(t, tree)| (0..=tree.joins.len()).map(move |p| (t, p)));
        places.into_iter().find_map(|(tree, place)| {
            let mut merged = query.clone();
            self.merge(&mut merged, tree, place).map(|()| merged)
        })
    }

    fn merge(&self, query: &mut Query, tree: usize, place: usize) -> Option<()> {
        let Query { body, order_by, .. } = query;
        let SetExpr::Select(select) = body.as_mut() else { return None };
        let whole = select.from.get_mut(tree)?;
        let kept = whole.joins.iter().enumerate().all(|(i, j)| {
            let inner = matches!(
                j.join_operator,
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
            );
            let left = matches!(j.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_));
            !j.global && (inner || (left && i + 1 != place))
        });
        let natural =
            |j: &sqlparser::ast::Join| matches!(constraint(&j.join_operator), Some(JoinConstraint::Natural));
        let factor = match place.checked_sub(1) {
            None => &mut whole.relation,
            Some(at) => &mut whole.joins.get_mut(at)?.relation,
        };
        let TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None } = &*factor
        else {
            return None;
        };
        let mut parts = self.parts(subquery)?;
        for (at, name) in alias.columns.iter().enumerate() {
            parts.columns.get_mut(at)?.0 = fold(&name.name);
        }
        let alias = fold(&alias.name);
        // What stays of it while the rest is looked at.
        *factor = TableFactor::Table {
            name: ObjectName::from(vec![Ident::with_quote('"', &alias)]),
            alias: None,
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        };
        if !kept || whole.joins.iter().any(natural) {
            return None;
        }
        let others = self.others(select, tree, place)?;
        // Names that a table of the subquery may not have outside.
        let mut taken: BTreeSet<String> = others.iter().map(|(alias, _)| alias.clone()).collect();
        taken.insert(alias.clone());
        any_expr(&*select, &mut |e| {
            if let Expr::CompoundIdentifier(names) = e {
                taken.extend(names.first().map(fold));
            }
            false
        });
        let own: BTreeSet<String> = parts.items.iter().map(|(alias, _)| alias.clone()).collect();
        // Names in subqueries of expressions mean the same wherever these stand.
        let around = others.iter().map(|(alias, _)| alias).chain([&alias]).chain(&own).cloned().collect();
        let clear = |nodes: &[bool]| nodes.iter().all(|unclear| !unclear);
        let mut nested = Nested {
            relations: &self.relations,
            taken: &around,
            blocks: Vec::new(),
            tables: BTreeSet::new(),
        };
        let inside = [look(&parts.selection, &mut nested), look(&parts.from, &mut nested)];
        let outside = [
            look(&select.from, &mut nested),
            look(&select.projection, &mut nested),
            look(&select.selection, &mut nested),
            look(&select.group_by, &mut nested),
            look(&select.having, &mut nested),
            look(&select.named_window, &mut nested),
            look(&*order_by, &mut nested),
        ];
        if !clear(&inside) || !clear(&outside) {
            return None;
        }
        taken.append(&mut nested.tables);
        let all: BTreeSet<String> = taken.union(&own).cloned().collect();
        self.settle(&mut parts, &taken, &all)?;
        let merged = join_by_on(select.from.get_mut(tree)?, place, &alias, &parts, &others)?;
        let mut put =
            Put { alias: &alias, parts: &parts, others: &others, merged: &merged, depth: 0, failed: false };
        put.all(select, order_by)?;
        into_place(select.from.get_mut(tree)?, place, parts.from)?;
        let all = select.selection.take().into_iter().chain(parts.selection).map(nested_or);
        select.selection = all.reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        });
        Some(())
    }

    /// What else stands in the FROM clause, by the names of its columns.
    fn others(&self, select: &Select, tree: usize, place: usize) -> Option<Vec<(String, BTreeSet<String>)>> {
        let mut others = Vec::new();
        for (t, whole) in select.from.iter().enumerate() {
            let factors = std::iter::once(&whole.relation).chain(whole.joins.iter().map(|j| &j.relation));
            for (p, factor) in factors.enumerate() {
                if (t, p) == (tree, place) {
                    continue;
                }
                let known: Vec<(String, BTreeSet<String>)> = match factor {
                    TableFactor::Derived { lateral: false, subquery, .. } => {
                        let columns =
                            self.parts(subquery)?.columns.into_iter().map(|(name, _)| name).collect();
                        vec![(called(factor)?, columns)]
                    }
                    _ => {
                        let one = TableWithJoins { relation: factor.clone(), joins: Vec::new() };
                        let items: Items<'_> = self.relations.items(std::slice::from_ref(&one));
                        let names =
                            |r: &crate::catalog::Relation| r.columns.iter().map(|c| c.name.clone()).collect();
                        items?.into_iter().map(|(alias, r)| (alias, names(r))).collect()
                    }
                };
                others.extend(known);
            }
        }
        Some(others)
    }

    /// Gives the columns of a subquery the names of its tables, and these other names where theirs are taken.
    fn settle(&self, parts: &mut Parts<'_>, taken: &BTreeSet<String>, all: &BTreeSet<String>) -> Option<()> {
        let mut renamed = BTreeMap::new();
        for (alias, _) in &parts.items {
            let fresh = (1..).map(|n| format!("{alias}_{n}")).find(|name| !all.contains(name));
            let name = if taken.contains(alias) { fresh? } else { alias.clone() };
            renamed.insert(alias.clone(), name);
        }
        let mut qualify = Qualify { items: &parts.items, renamed: &renamed, depth: 0, failed: false };
        parts.columns.iter_mut().try_for_each(|(_, e)| edit(e, &mut qualify)).ok()?;
        edit(&mut parts.selection, &mut qualify).ok()?;
        edit(&mut parts.from, &mut qualify).ok()?;
        if qualify.failed {
            return None;
        }
        parts.from.iter_mut().for_each(|tree| rename(tree, &renamed));
        Some(())
    }
}

fn nested_or(condition: Expr) -> Expr {
    match condition {
        or @ Expr::BinaryOp { op: BinaryOperator::Or, .. } => Expr::Nested(Box::new(or)),
        other => other,
    }
}
