//! Bare names in subqueries of a write whose target has masked columns. One that is called like such a column, or like
//! the target, and is a column of a table of the subquery gets that table's name: the checker, which goes by names, then
//! sees that it is not the target's. What is not certain stays as it is. Not for queries that are sorted by names, where a
//! bare name is that of an output column first.

use std::collections::BTreeSet;

use sqlparser::ast::{
    AccessExpr, Distinct, Expr, Ident, Query, Select, SetExpr, Statement, TableFactor, TableWithJoins,
};

use super::walk::{Edit, Look, edit, look};
use super::{Occurrence, PlanError, PlanInput, any_expr, fold, occurrence_of};
use crate::catalog::{Relation, Resolved};

/// Qualifies those names in the tagged `ast`.
pub(super) fn names(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> Result<(), PlanError> {
    let mut doubtful = BTreeSet::new();
    for target in occurrences.iter().filter(|o| o.target && !o.masks.is_empty()) {
        let masked = target.relation.columns.iter().filter(|c| !target.clear(&c.name));
        doubtful.extend(masked.map(|c| c.name.clone()));
        doubtful.insert(target.alias.clone());
    }
    // The parser has the names of a chain with subscripts one by one, like bare ones.
    let chain = |e: &Expr| {
        matches!(e, Expr::CompoundFieldAccess { access_chain, .. }
            if access_chain.iter().any(|a| matches!(a, AccessExpr::Dot(_))))
    };
    if doubtful.is_empty() || any_expr(ast, &mut { chain }) {
        return Ok(());
    }
    let mut ctes = Ctes(BTreeSet::new());
    look(ast, &mut ctes);
    let relations = Relations::new(occurrences, input, ctes.0);
    let mut qualifier = Qualifier { relations, doubtful, blocks: Vec::new() };
    edit(ast, &mut qualifier)
}

/// The names of all WITH queries.
struct Ctes(BTreeSet<String>);

impl Look for Ctes {
    fn query(&mut self, query: &Query) -> bool {
        self.0.extend(query.with.iter().flat_map(|w| &w.cte_tables).map(|c| fold(&c.alias.name)));
        false
    }
}

/// The tables of a block by the names it has for them; `None` when it may have other columns than theirs.
pub(super) type Items<'b> = Option<Vec<(String, &'b Relation)>>;

/// What the tables of a statement are.
pub(super) struct Relations<'a, 'b> {
    occurrences: &'a [Occurrence<'b>],
    input: PlanInput<'b>,
    ctes: BTreeSet<String>,
}

impl<'a, 'b> Relations<'a, 'b> {
    /// Of a statement, tagged with `occurrences` or none yet, that has WITH queries of these names.
    pub(super) fn new(
        occurrences: &'a [Occurrence<'b>],
        input: &PlanInput<'b>,
        ctes: BTreeSet<String>,
    ) -> Self {
        Relations { occurrences, input: *input, ctes }
    }

    pub(super) fn items(&self, from: &[TableWithJoins]) -> Items<'b> {
        let mut items = Vec::new();
        for tree in from {
            let factors = std::iter::once(&tree.relation).chain(tree.joins.iter().map(|j| &j.relation));
            for factor in factors {
                match factor {
                    TableFactor::NestedJoin { table_with_joins, alias: None } => {
                        items.extend(self.items(std::slice::from_ref(table_with_joins.as_ref()))?);
                    }
                    other => items.push(self.item(other)?),
                }
            }
        }
        Some(items)
    }

    pub(super) fn item(&self, factor: &TableFactor) -> Option<(String, &'b Relation)> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return None };
        if alias.as_ref().is_some_and(|a| !a.columns.is_empty()) {
            return None;
        }
        if let Some(o) = occurrence_of(name).and_then(|n| self.occurrences.get(n)) {
            return Some((o.alias.clone(), o.relation));
        }
        let parts: Vec<String> = name.0.iter().filter_map(|p| p.as_ident()).map(fold).collect();
        let (schema, table) = match parts.as_slice() {
            [table] if !self.ctes.contains(table) => (None, table),
            [schema, table] => (Some(schema.as_str()), table),
            _ => return None,
        };
        match self.input.catalog.resolve(schema, table, self.input.namespace) {
            Resolved::Relation(relation) => {
                Some((alias.as_ref().map_or_else(|| table.clone(), |a| fold(&a.name)), relation))
            }
            Resolved::Temporary | Resolved::Unknown => None,
        }
    }
}

struct Qualifier<'a, 'b> {
    relations: Relations<'a, 'b>,
    doubtful: BTreeSet<String>,
    /// Queries around what is looked at, the innermost last, each with whether a bare name in it is a column.
    blocks: Vec<(bool, Items<'b>)>,
}

impl Qualifier<'_, '_> {
    /// The one table that has the column, in the innermost block that has one.
    fn table_of(&self, column: &str) -> Option<&str> {
        for (_, items) in self.blocks.iter().rev() {
            let mut found = items.as_ref()?.iter().filter(|(_, relation)| relation.column(column).is_some());
            match (found.next(), found.next()) {
                (Some((alias, _)), None) => return Some(alias),
                (Some(_), Some(_)) => return None,
                (None, _) => {}
            }
        }
        None
    }
}

impl Edit for Qualifier<'_, '_> {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        let plain = query.order_by.is_none() && matches!(query.body.as_ref(), SetExpr::Select(_));
        self.blocks.push((plain, None));
        Ok(())
    }

    fn query_end(&mut self) {
        self.blocks.pop();
    }

    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        let sorts = matches!(select.distinct, Some(Distinct::On(_)));
        let items = if sorts { None } else { self.relations.items(&select.from) };
        if let Some((_, known)) = self.blocks.last_mut().filter(|(plain, _)| *plain) {
            *known = items;
        }
        Ok(())
    }

    fn expr(&mut self, expr: &mut Expr) {
        let Expr::Identifier(name) = &*expr else { return };
        let column = fold(name);
        if self.doubtful.contains(&column)
            && let Some(alias) = self.table_of(&column)
        {
            *expr = Expr::CompoundIdentifier(vec![Ident::with_quote('"', alias), name.clone()]);
        }
    }
}
