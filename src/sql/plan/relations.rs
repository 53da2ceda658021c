//! What the names in FROM clauses are, before and after the occurrences of protected tables are tagged. What is certain to
//! be a relation of the catalog is told, nothing else.

use std::collections::BTreeSet;

use sqlparser::ast::{Query, Statement, TableFactor, TableWithJoins};

use super::walk::{Look, look};
use super::{Occurrence, PlanInput, fold, occurrence_of};
use crate::catalog::{Relation, Resolved};

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
    /// Of a statement, tagged with `occurrences`, or with none yet.
    pub(super) fn of(ast: &Statement, occurrences: &'a [Occurrence<'b>], input: &PlanInput<'b>) -> Self {
        let mut ctes = Ctes(BTreeSet::new());
        look(ast, &mut ctes);
        Relations { occurrences, input: *input, ctes: ctes.0 }
    }

    /// The tables of a FROM clause.
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

    /// A table by the name that its block has for it; `None` for what else stands there.
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

/// What a table is called.
pub(super) fn called(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(fold(&alias.name))
        }
        TableFactor::Table { name, alias: None, .. } => name.0.last().and_then(|p| p.as_ident()).map(fold),
        _ => None,
    }
}
