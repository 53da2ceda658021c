//! Bare names in subqueries of a write whose target has masked columns. One that is called like such a column, or like
//! the target, and is a column of a table of the subquery gets that table's name: the checker, which goes by names, then
//! sees that it is not the target's. What is not certain stays as it is. Not for queries that are sorted by names, where a
//! bare name is that of an output column first.

use std::collections::BTreeSet;

use sqlparser::ast::{AccessExpr, Distinct, Expr, Ident, Query, Select, SetExpr, Statement};

use super::relations::{Items, Relations};
use super::walk::{Edit, edit};
use super::{Occurrence, PlanError, PlanInput, any_expr, fold};

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
    let relations = Relations::of(ast, occurrences, input);
    let mut qualifier = Qualifier { relations, doubtful, blocks: Vec::new() };
    edit(ast, &mut qualifier)
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
