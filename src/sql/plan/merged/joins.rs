//! The FROM clause that a subquery is merged into: the tables of the subquery in its place, USING as ON.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor,
    TableWithJoins,
};

use super::subquery::Parts;
use crate::sql::plan::cohorts::bare_name;
use crate::sql::plan::fold;
use crate::sql::plan::relations::called;

pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::CrossJoin(c) => Some(c),
        _ => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::CrossJoin(c) => Some(c),
        _ => None,
    }
}

pub(super) fn named_as(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

fn each_table(tree: &mut TableWithJoins, f: &mut dyn FnMut(&ObjectName, &mut Option<TableAlias>)) {
    for factor in std::iter::once(&mut tree.relation).chain(tree.joins.iter_mut().map(|j| &mut j.relation)) {
        match factor {
            TableFactor::Table { name, alias, .. } => f(name, alias),
            TableFactor::NestedJoin { table_with_joins, .. } => each_table(table_with_joins, f),
            _ => {}
        }
    }
}

pub(super) fn give_aliases(tree: &mut TableWithJoins) {
    each_table(tree, &mut |name, alias| {
        if let (None, Some(last)) = (&alias, name.0.last().and_then(|p| p.as_ident())) {
            *alias = Some(named_as(Ident::with_quote('"', fold(last))));
        }
    });
}

pub(super) fn rename(tree: &mut TableWithJoins, renamed: &BTreeMap<String, String>) {
    each_table(tree, &mut |_, alias| {
        if let Some(alias) = alias
            && let Some(name) = renamed.get(&fold(&alias.name))
        {
            alias.name = Ident::with_quote('"', name);
        }
    });
}
/// Puts the tables of the subquery in its place.
pub(super) fn into_place(tree: &mut TableWithJoins, place: usize, from: Vec<TableWithJoins>) -> Option<()> {
    let mut from = from.into_iter();
    let mut whole = from.next()?;
    for more in from {
        let relation = alone(more);
        let join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        whole.joins.push(sqlparser::ast::Join { relation, global: false, join_operator });
    }
    match place.checked_sub(1) {
        None => {
            whole.joins.append(&mut tree.joins);
            *tree = whole;
        }
        Some(at) => tree.joins.get_mut(at)?.relation = alone(whole),
    }
    Some(())
}

fn alone(tree: TableWithJoins) -> TableFactor {
    match tree.joins.is_empty() {
        true => tree.relation,
        false => TableFactor::NestedJoin { table_with_joins: Box::new(tree), alias: None },
    }
}

/// USING of the joins that the subquery has to do with as ON; what the merged columns are, by their names.
pub(super) fn join_by_on(
    tree: &mut TableWithJoins,
    place: usize,
    alias: &str,
    parts: &Parts<'_>,
    others: &[(String, BTreeSet<String>)],
) -> Option<BTreeMap<String, Expr>> {
    let own = |column: &str| parts.columns.iter().find(|(name, _)| name == column).map(|(_, e)| e.clone());
    let has = |factor: &TableFactor, column: &str| {
        called(factor).is_some_and(|name| others.iter().any(|(a, all)| *a == name && all.contains(column)))
    };
    let of = |factor: &TableFactor, column: &str| {
        let named = |n: &str| Ident::with_quote('"', n);
        Some(Expr::CompoundIdentifier(vec![named(&called(factor)?), named(column)]))
    };
    let mut merged: BTreeMap<String, Expr> = BTreeMap::new();
    let mut before = vec![tree.relation.clone()];
    for (at, join) in tree.joins.iter_mut().enumerate() {
        let here = at + 1 == place;
        if let Some(given) = constraint_mut(&mut join.join_operator)
            && let JoinConstraint::Using(columns) = &*given
            && at + 1 >= place
        {
            let mut all = Vec::new();
            for column in columns {
                let name = bare_name(column)?;
                let right = if here { own(&name)? } else { of(&join.relation, &name)? };
                let left = match merged.get(&name) {
                    Some(known) => known.clone(),
                    None => {
                        let tables =
                            before.iter().filter(|f| called(f).as_deref() != Some(alias) && has(f, &name));
                        let mut found: Vec<Expr> = tables.map(|f| of(f, &name)).collect::<Option<_>>()?;
                        found.extend(own(&name).filter(|_| !here));
                        let [one] = <[Expr; 1]>::try_from(found).ok()?;
                        one
                    }
                };
                merged.insert(name, left.clone());
                let (left, right) = (Box::new(left), Box::new(right));
                all.push(Expr::BinaryOp { left, op: BinaryOperator::Eq, right });
            }
            let on = all.into_iter().reduce(|l, r| Expr::BinaryOp {
                left: Box::new(l),
                op: BinaryOperator::And,
                right: Box::new(r),
            })?;
            *given = JoinConstraint::On(on);
        }
        before.push(join.relation.clone());
    }
    Some(merged)
}
