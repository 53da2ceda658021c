//! Names that would mean another table or column once a subquery is merged.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{Expr, Ident, Query, SetExpr};

use crate::catalog::Relation;
use crate::sql::plan::relations::Relations;
use crate::sql::plan::walk::{Edit, Look};
use crate::sql::plan::{PlanError, fold};

/// Stops at a subquery of an expression in which a name could mean something else than it does now: a bare one that is no
/// column of its own tables, or a table that is called like one around.
pub(super) struct Nested<'a, 'b> {
    pub(super) relations: &'a Relations<'b, 'b>,
    pub(super) taken: &'a BTreeSet<String>,
    pub(super) blocks: Vec<Vec<(String, &'b Relation)>>,
    /// What the tables of the subqueries are called.
    pub(super) tables: BTreeSet<String>,
}

impl Look for Nested<'_, '_> {
    fn query(&mut self, query: &Query) -> bool {
        let items = match query.body.as_ref() {
            SetExpr::Select(select) => self.relations.items(&select.from),
            _ => None,
        };
        let clear =
            items.as_ref().is_some_and(|all| !all.iter().any(|(alias, _)| self.taken.contains(alias)));
        let items = items.unwrap_or_default();
        self.tables.extend(items.iter().map(|(alias, _)| alias.clone()));
        self.blocks.push(items);
        !clear
    }

    fn query_end(&mut self) {
        self.blocks.pop();
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        if self.blocks.is_empty() {
            return false;
        }
        match expr {
            Expr::Identifier(name) => {
                let name = fold(name);
                !self.blocks.iter().flatten().any(|(_, r)| r.column(&name).is_some())
            }
            Expr::CompoundIdentifier(parts) => parts.len() != 2,
            Expr::CompoundFieldAccess { .. } => true,
            _ => false,
        }
    }
}

/// Gives bare columns of a subquery the names of their tables.
pub(super) struct Qualify<'a, 'b> {
    pub(super) items: &'a [(String, &'b Relation)],
    pub(super) renamed: &'a BTreeMap<String, String>,
    pub(super) depth: usize,
    pub(super) failed: bool,
}

impl Edit for Qualify<'_, '_> {
    fn query(&mut self, _: &mut Query) -> Result<(), PlanError> {
        self.depth += 1;
        Ok(())
    }

    fn query_end(&mut self) {
        self.depth -= 1;
    }

    fn expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Identifier(name) if self.depth == 0 => {
                let name = fold(name);
                let mut found = self.items.iter().filter(|(_, r)| r.column(&name).is_some());
                match (found.next(), found.next()) {
                    (Some((alias, _)), None) => {
                        let alias = self.renamed.get(alias).unwrap_or(alias);
                        let named = |n: &str| Ident::with_quote('"', n);
                        *expr = Expr::CompoundIdentifier(vec![named(alias), named(&name)]);
                    }
                    _ => self.failed = true,
                }
            }
            Expr::CompoundIdentifier(parts) => match parts.as_mut_slice() {
                [alias, _] => {
                    if let Some(name) = self.renamed.get(&fold(alias)) {
                        *alias = Ident::with_quote('"', name);
                    } else if self.depth == 0 {
                        self.failed = true;
                    }
                }
                _ => self.failed = true,
            },
            Expr::CompoundFieldAccess { .. } => self.failed = true,
            _ => {}
        }
    }
}
