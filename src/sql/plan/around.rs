//! The tables around a subquery: what a column that is none of its own belongs to. By it an equality with a row outside
//! goes behind the fence of a table, as it fails for no row: without, a correlated subquery reads all that its user may
//! see for every row around it. Where the planner would make a join of the subquery (EXISTS, LATERAL without groups or
//! limit), it stays outside: behind the fence it would be no join clause.
//!
//! Not for conditions other than equalities in WHERE; whether a copy is safe is for the checker to say.

use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, Select, SetExpr, Statement, TableFactor, TableWithJoins,
};

use super::opaque::compared;
use super::relations::{Relations, called};
use super::walk::{Look, look};
use super::{Occurrence, PlanInput, fold, occurrence_of};
use crate::catalog::{Catalog, Relation};
use crate::policy::our_alias;
use crate::sql::lineage::{conjuncts, is_aggregate};

/// A table by its name in a block; what it is, where that is known.
pub(super) type Named<'b> = (String, Option<&'b Relation>);

/// The tables of the blocks around, the innermost last.
pub(super) struct Around<'b> {
    /// `server_version_num`
    server: u32,
    levels: Vec<Level<'b>>,
    /// Queries of EXISTS, and of other expressions.
    exists: Vec<*const Query>,
    values: Vec<*const Query>,
}

struct Level<'b> {
    /// `None` where something has no known name.
    tables: Option<Vec<Named<'b>>>,
    /// It is run for each row around: the planner makes no join of it.
    apart: bool,
}

impl<'b> Around<'b> {
    pub(super) fn new(catalog: &Catalog) -> Self {
        Around { server: catalog.server_version, levels: Vec::new(), exists: Vec::new(), values: Vec::new() }
    }

    /// Notes the query of an expression that is about to be entered.
    pub(super) fn note(&mut self, expr: &Expr) {
        match expr {
            Expr::Exists { subquery, .. } => self.exists.push(std::ptr::from_ref(subquery.as_ref())),
            Expr::Subquery(subquery) => self.values.push(std::ptr::from_ref(subquery.as_ref())),
            // Joined since PostgreSQL 17 (convert_ANY_sublink_to_join, subselect.c).
            Expr::InSubquery { subquery, .. } if self.server < 170_000 => {
                self.values.push(std::ptr::from_ref(subquery.as_ref()));
            }
            _ => {}
        }
    }

    /// Enters a query.
    pub(super) fn enter(&mut self, query: &Query, relations: &Relations<'_, 'b>) {
        let here = std::ptr::from_ref(query);
        let (tables, computes) = match query.body.as_ref() {
            SetExpr::Select(select) => (named(&select.from, relations), computes(select)),
            _ => (Some(Vec::new()), false),
        };
        let limited = query.limit_clause.is_some() || query.fetch.is_some();
        let apart = !self.exists.contains(&here) && (self.values.contains(&here) || computes || limited);
        self.levels.push(Level { tables, apart });
    }

    pub(super) fn leave(&mut self) {
        self.levels.pop();
    }

    /// True in a query that is run for each row around.
    pub(super) fn apart(&self) -> bool {
        self.levels.len() > 1 && self.levels.last().is_some_and(|own| own.apart)
    }

    /// The table of that name around the innermost block, if none of that block's own is called so.
    pub(super) fn table(&self, name: &str) -> Option<&'b Relation> {
        let (own, around) = self.levels.split_last()?;
        if !own.apart || own.tables.as_ref()?.iter().any(|(own, _)| own == name) {
            return None;
        }
        for level in around.iter().rev() {
            if let Some((_, relation)) = level.tables.as_ref()?.iter().find(|(n, _)| n == name) {
                return *relation;
            }
        }
        None
    }

    /// The kind of a column of a table around, `alias.column`: what compares within a kind does so without an error.
    pub(super) fn kind(&self, expr: &Expr, catalog: &Catalog) -> Option<&'static str> {
        match expr {
            Expr::Nested(inner) => self.kind(inner, catalog),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, column] => kind(self.table(&fold(alias))?, &fold(column), catalog),
                _ => None,
            },
            _ => None,
        }
    }
}

/// True for a block with groups, aggregates, DISTINCT or windows.
fn computes(select: &Select) -> bool {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let mut calls = Calls(0);
    grouped || select.distinct.is_some() || select.having.is_some() || look(&select.projection, &mut calls)
}

/// Stops at an aggregate or window function of the block itself.
struct Calls(usize);

impl Look for Calls {
    fn query(&mut self, _: &Query) -> bool {
        self.0 += 1;
        false
    }

    fn query_end(&mut self) {
        self.0 -= 1;
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        let Expr::Function(call) = expr else { return false };
        let name = call.name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
        self.0 == 0 && (call.over.is_some() || is_aggregate(&name))
    }
}

/// The kind of a column that `=` compares as built in, under one collation.
fn kind(relation: &Relation, column: &str, catalog: &Catalog) -> Option<&'static str> {
    let kind = compared(catalog.acts_as(relation.column(column)?)?)?;
    let plain = kind != "text" || !catalog.collations.contains_key(&relation.oid);
    (plain && !catalog.own_code.redefines("=")).then_some(kind)
}

fn named<'b>(from: &[TableWithJoins], relations: &Relations<'_, 'b>) -> Option<Vec<Named<'b>>> {
    let mut all = Vec::new();
    for tree in from {
        let factors = std::iter::once(&tree.relation).chain(tree.joins.iter().map(|j| &j.relation));
        for factor in factors {
            match factor {
                TableFactor::NestedJoin { table_with_joins, alias: None } => {
                    all.extend(named(std::slice::from_ref(table_with_joins.as_ref()), relations)?);
                }
                _ => match relations.item(factor) {
                    Some((alias, relation)) => all.push((alias, Some(relation))),
                    None => all.push((called(factor)?, None)),
                },
            }
        }
    }
    Some(all)
}

/// By occurrence, its equalities with columns of tables around its block, as text over the alias `our_alias()`.
pub(super) fn equalities(
    ast: &Statement,
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> Vec<Vec<String>> {
    let relations = Relations::of(ast, occurrences, input);
    let found = vec![Vec::new(); occurrences.len()];
    let mut reader = Reader { relations, around: Around::new(input.catalog), occurrences, input, found };
    look(ast, &mut reader);
    reader.found
}

struct Reader<'a, 'b> {
    relations: Relations<'a, 'b>,
    around: Around<'b>,
    occurrences: &'a [Occurrence<'b>],
    input: &'a PlanInput<'b>,
    found: Vec<Vec<String>>,
}

impl Look for Reader<'_, '_> {
    fn query(&mut self, query: &Query) -> bool {
        self.around.enter(query, &self.relations);
        if let SetExpr::Select(select) = query.body.as_ref() {
            self.read(select);
        }
        false
    }

    fn query_end(&mut self) {
        self.around.leave();
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        self.around.note(expr);
        false
    }
}

impl Reader<'_, '_> {
    fn read(&mut self, select: &Select) {
        let Some(selection) = &select.selection else { return };
        let mut own = Vec::new();
        for tree in &select.from {
            let factors = std::iter::once(&tree.relation).chain(tree.joins.iter().map(|j| &j.relation));
            for factor in factors {
                let TableFactor::Table { name, .. } = factor else { continue };
                own.extend(occurrence_of(name).filter(|n| !self.occurrences[*n].renamed));
            }
        }
        let alone = select.from.len() == 1 && select.from.iter().all(|t| t.joins.is_empty());
        for condition in conjuncts(selection) {
            let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { continue };
            for (inner, outer) in [(left, right), (right, left)] {
                let Some(around) = self.around.kind(outer, self.input.catalog) else { continue };
                let Some((n, column)) = self.column(inner, &own, alone) else { continue };
                let o = &self.occurrences[n];
                if o.clear(&column) && kind(o.relation, &column, self.input.catalog) == Some(around) {
                    let own = vec![Ident::with_quote('"', our_alias()), Ident::with_quote('"', column)];
                    self.found[n].push(format!("{} = {outer}", Expr::CompoundIdentifier(own)));
                }
            }
        }
    }

    /// The column of one of the block's own occurrences.
    fn column(&self, expr: &Expr, own: &[usize], alone: bool) -> Option<(usize, String)> {
        match expr {
            Expr::Nested(inner) => self.column(inner, own, alone),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, column] => {
                    let alias = fold(alias);
                    let mut named = own.iter().filter(|n| self.occurrences[**n].alias == alias);
                    named.next().filter(|_| named.next().is_none()).map(|n| (*n, fold(column)))
                }
                _ => None,
            },
            Expr::Identifier(column) if alone => own.first().map(|n| (*n, fold(column))),
            _ => None,
        }
    }
}
