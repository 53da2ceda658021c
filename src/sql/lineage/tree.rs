//! The FROM clause of a block for carrying: which items bring hidden key columns, and which are
//! *N-items*, whose rows can appear or change when a protected row is deleted (the nullable side
//! of an outer join; a subquery that merges, numbers or limits). A condition that reads an N-item
//! above the operator that made it one could remove the very row that would have named a patient:
//! then nothing is carried. Not for pins.

use sqlparser::ast::{Expr, JoinConstraint, Query, TableFactor, TableWithJoins};

use super::carry::{Carrier, Hidden, Level, Reason, With};
use super::columns::{output_columns, table_item};
use crate::sql::plan::{Look, Side, fold, ident, look, occurrence_of, side};
use crate::sql::words::is_opaque;

/// One item.
#[derive(Debug)]
pub(super) struct FromItem {
    pub(super) alias: String,
    pub(super) columns: Option<Vec<String>>,
    /// Hidden columns it brings: how to refer to each, and its name where a star exposes it.
    pub(super) hidden: Vec<(String, Option<String>, bool)>,
    /// Deleting rows of this item's patients matters and is not covered by pins.
    pub(super) protected: bool,
    /// An N-item, and why.
    pub(super) n: Option<Reason>,
    /// The N-operator is inside the item itself.
    pub(super) inside: bool,
}

type Sub = Result<Vec<usize>, Reason>;

impl Carrier<'_, '_> {
    /// The items of a FROM list; the subqueries inside get their hidden columns.
    pub(super) fn from(&mut self, from: &mut [TableWithJoins], with: &With) -> Result<Vec<FromItem>, Reason> {
        let mut items = Vec::new();
        for tree in from.iter_mut() {
            self.tree(tree, with, &mut items)?;
        }
        if from.len() > 1
            && items.iter().any(|i| i.n.is_some())
            && from.iter().any(|t| is_lateral(&t.relation))
        {
            return Err("LATERAL");
        }
        if items.len() > 1
            && let Some(inside) = items.iter().find(|i| i.inside)
        {
            return Err(inside.n.unwrap_or("JOIN"));
        }
        Ok(items)
    }

    fn tree(&mut self, tree: &mut TableWithJoins, with: &With, items: &mut Vec<FromItem>) -> Sub {
        let mut left = self.factor(&mut tree.relation, with, items)?;
        for join in &mut tree.joins {
            let right = self.factor(&mut join.relation, with, items)?;
            if self.sublink_in(&join.join_operator, with).is_some() {
                return Err("SUBLINK_IN_ON");
            }
            let lateral = is_lateral(&join.relation);
            let Ok((kind, constraint)) = side(&join.join_operator) else { return Err("JOIN") };
            if matches!(constraint, JoinConstraint::Natural) && items.iter().any(has_names) {
                return Err("NATURAL_JOIN");
            }
            let is_n = |of: &[usize]| of.iter().any(|i| items[*i].n.is_some());
            let both = [left.as_slice(), right.as_slice()].concat();
            if lateral && is_n(&both) {
                return Err("LATERAL");
            }
            // The sides whose rows the condition can remove, and the nullable ones.
            let (removed, nullable): (&[usize], Vec<usize>) = match kind {
                Side::Inner => (&both, Vec::new()),
                Side::Left => (&right, right.clone()),
                Side::Right => (&left, left.clone()),
                Side::Full => (&both, both.clone()),
            };
            if is_n(removed) {
                match constraint {
                    JoinConstraint::On(on) if !matches!(kind, Side::Full) => avoids(on, items, removed)?,
                    JoinConstraint::None => {}
                    JoinConstraint::On(_) | JoinConstraint::Using(_) | JoinConstraint::Natural => {
                        return Err("OUTER_JOIN_BELOW_JOIN");
                    }
                }
            }
            if nullable.iter().any(|i| items[*i].protected) || (!nullable.is_empty() && is_n(&both)) {
                nullable.iter().for_each(|i| items[*i].n = Some("OUTER_JOIN"));
            }
            left = both;
        }
        Ok(left)
    }

    fn factor(&mut self, factor: &mut TableFactor, with: &With, items: &mut Vec<FromItem>) -> Sub {
        let item = match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let known = table_item(name, alias.as_ref(), self.occurrences, &with.names(), self.input);
                let mut item = FromItem::plain(known.alias, known.columns);
                if let Some(n) = occurrence_of(name) {
                    let o = &self.occurrences[n];
                    item.protected = self.is_open(n);
                    if o.sampled && item.protected {
                        return Err("TABLESAMPLE");
                    }
                    if o.key_is_clear() {
                        item.hidden.push((self.input.witness(o), None, o.table.rule.is_many()));
                    } else if item.protected {
                        return Err("MASKED_KEY");
                    }
                } else if let Some(cte) =
                    name.0.last().and_then(|p| p.as_ident()).filter(|_| name.0.len() == 1)
                    && let Some(found) = with.find(&fold(cte))
                {
                    item.bring(found.as_ref().map_err(|reason| *reason)?);
                }
                item
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                let columns = alias.as_ref().filter(|a| a.columns.is_empty()).and(output_columns(subquery));
                let shown = alias.as_ref().map(|a| fold(&a.name)).unwrap_or_default();
                let out = self.query(subquery, with, Level::Inner)?;
                if out.protected && alias.is_none() {
                    return Err("NO_ALIAS");
                }
                if *lateral && out.n.is_some() {
                    return Err("LATERAL");
                }
                let mut item = FromItem::plain(shown, columns);
                item.bring(&out);
                item
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                return self.tree(table_with_joins, with, items);
            }
            other => {
                if self.is_protected(other, with) {
                    return Err("FROM_ITEM");
                }
                FromItem::plain(String::new(), None)
            }
        };
        items.push(item);
        Ok(vec![items.len() - 1])
    }
}

impl FromItem {
    fn plain(alias: String, columns: Option<Vec<String>>) -> Self {
        Self { alias, columns, hidden: Vec::new(), protected: false, n: None, inside: false }
    }

    fn bring(&mut self, out: &super::carry::Out) {
        self.protected = out.protected;
        self.n = out.n;
        self.inside = out.n.is_some();
        for Hidden { name, set } in &out.hidden {
            let text = format!("{}.{}", crate::catalog::quote_ident(&self.alias), ident(name.as_str()));
            self.hidden.push((text, Some(name.clone()), *set));
        }
    }
}

fn has_names(item: &FromItem) -> bool {
    item.hidden.iter().any(|(_, name, _)| name.is_some())
}

fn is_lateral(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Derived { lateral, .. } => *lateral,
        TableFactor::Table { args, .. } => args.is_some(),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            is_lateral(&table_with_joins.relation)
                || table_with_joins.joins.iter().any(|j| is_lateral(&j.relation))
        }
        _ => true,
    }
}

/// Fails unless every column of `expr` is known to belong to an item that is no N-item of `among`.
pub(super) fn avoids(expr: &Expr, items: &[FromItem], among: &[usize]) -> Result<(), Reason> {
    let reason = among.iter().find_map(|i| items[*i].n).unwrap_or("OUTER_JOIN");
    if look(expr, &mut Avoid { items, among }) { Err(reason) } else { Ok(()) }
}

struct Avoid<'a> {
    items: &'a [FromItem],
    among: &'a [usize],
}

impl Avoid<'_> {
    fn is_n(&self, i: usize) -> bool {
        self.among.contains(&i) && self.items[i].n.is_some()
    }
}

impl Look for Avoid<'_> {
    fn query(&mut self, _: &Query) -> bool {
        true
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        let clean = match expr {
            Expr::Identifier(name) if is_opaque(&name.value) => false,
            Expr::CompoundIdentifier(parts) if parts.iter().any(|p| is_opaque(&p.value)) => false,
            Expr::Identifier(name) => {
                let name = fold(name);
                self.items.iter().enumerate().all(|(i, item)| {
                    let may_be_it =
                        item.alias == name || item.columns.as_ref().is_none_or(|c| c.contains(&name));
                    !may_be_it || !self.is_n(i)
                })
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., alias, _] => {
                    let alias = fold(alias);
                    let mut named = self.items.iter().enumerate().filter(|(_, i)| i.alias == alias);
                    match (named.next(), named.next()) {
                        (Some((i, _)), None) => !self.is_n(i),
                        _ => false,
                    }
                }
                _ => false,
            },
            Expr::QualifiedWildcard(..) | Expr::Wildcard(_) => false,
            _ => true,
        };
        !clean
    }
}
