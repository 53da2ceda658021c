//! `GROUP BY` the primary key alone, where a derived table stands in place of the table: PostgreSQL then no
//! longer knows that the key decides the other columns, so those that are read are grouped by as well. Not
//! for grouping sets, nor for keys that are masked.

use std::collections::HashSet;

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinOperator, Query, Select, SelectItem, Statement, TableFactor,
    TableWithJoins, Value,
};

use super::place::{Side, side};
use super::walk::{Edit, Look, edit, look};
use super::{Occurrence, PlanError, PlanInput, fold, occurrence_of};
use crate::catalog::{Catalog, Column};

/// Completes the GROUP BY lists of `ast`.
pub(super) fn by_whole_keys(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    derived: &[bool],
    input: &PlanInput<'_>,
) -> Result<(), PlanError> {
    let keyed =
        |n: usize| derived[n] && input.catalog.keys.primary.contains_key(&occurrences[n].relation.oid);
    if !(0..occurrences.len()).any(keyed) {
        return Ok(());
    }
    let mut names = Names::default();
    look(ast, &mut names);
    edit(ast, &mut Grouper { occurrences, derived, input, names })
}

/// The last names of all columns in a statement.
#[derive(Default)]
struct Names(HashSet<String>);

impl Look for Names {
    fn expr(&mut self, expr: &Expr) -> bool {
        match expr {
            Expr::Identifier(name) => self.0.insert(fold(name)),
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|p| self.0.insert(fold(p))),
            _ => false,
        };
        false
    }
}

struct Grouper<'a, 'b> {
    occurrences: &'a [Occurrence<'b>],
    derived: &'a [bool],
    input: &'a PlanInput<'b>,
    names: Names,
}

/// One table of a FROM clause.
struct Item {
    occurrence: Option<usize>,
    /// A column of this name without an alias is this table's, if several have it.
    leads: bool,
}

impl Edit for Grouper<'_, '_> {
    fn query(&mut self, _: &mut Query) -> Result<(), PlanError> {
        Ok(())
    }

    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        let star = select
            .projection
            .iter()
            .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
        let mut items = Vec::new();
        for (i, tree) in select.from.iter().enumerate() {
            tree_items(tree, i == 0, &mut items);
        }
        let GroupByExpr::Expressions(keys, modifiers) = &mut select.group_by else { return Ok(()) };
        if keys.is_empty() || !modifiers.is_empty() || keys.iter().any(is_set) {
            return Ok(());
        }
        let meant: Vec<Option<&Expr>> = keys.iter().map(|key| shown_as(key, &select.projection)).collect();
        let mut more = Vec::new();
        for item in &items {
            let Some(n) = item.occurrence.filter(|n| self.derived[*n]) else { continue };
            let o = &self.occurrences[n];
            let Some(primary) = self.input.catalog.keys.primary.get(&o.relation.oid) else { continue };
            let grouped = |column: &str| {
                meant.iter().flatten().any(|k| self.names_it(k, column, item, n, &items))
                    || keys.iter().any(|k| self.names_it(k, column, item, n, &items))
            };
            if o.renamed || !primary.iter().all(|c| o.clear(c) && grouped(c)) {
                continue;
            }
            for column in &o.relation.columns {
                let read = star || self.names.0.contains(&column.name);
                if read && groupable(column, self.input.catalog) && !grouped(&column.name) {
                    more.push(Expr::CompoundIdentifier(vec![
                        Ident::with_quote('"', &o.alias),
                        Ident::with_quote('"', &column.name),
                    ]));
                }
            }
        }
        keys.extend(more);
        Ok(())
    }
}

impl Grouper<'_, '_> {
    /// True when the key is the column of occurrence `n`.
    fn names_it(&self, key: &Expr, column: &str, item: &Item, n: usize, items: &[Item]) -> bool {
        match key {
            Expr::Nested(inner) => self.names_it(inner, column, item, n, items),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, name] => fold(alias) == self.occurrences[n].alias && fold(name) == column,
                _ => false,
            },
            Expr::Identifier(name) => {
                let others = items.iter().filter(|i| i.occurrence != Some(n));
                let alone = || {
                    others.into_iter().all(|i| {
                        i.occurrence.is_some_and(|o| self.occurrences[o].relation.column(column).is_none())
                    })
                };
                fold(name) == column && (item.leads || alone())
            }
            _ => false,
        }
    }
}

/// What a key means that is the number or the name of a column of the select list. (A column of FROM of that name comes
/// first: then what is shown under it is grouped by something else, or not at all, and no valid statement.)
fn shown_as<'p>(key: &Expr, projection: &'p [SelectItem]) -> Option<&'p Expr> {
    let star =
        |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    match key {
        Expr::Nested(inner) if matches!(inner.as_ref(), Expr::Identifier(_)) => shown_as(inner, projection),
        Expr::Value(v) => {
            let Value::Number(number, false) = &v.value else { return None };
            let at = number.parse::<usize>().ok()?.checked_sub(1)?;
            if projection.iter().take(at).any(star) {
                return None;
            }
            match projection.get(at)? {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
                _ => None,
            }
        }
        Expr::Identifier(name) => projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if fold(alias) == fold(name) => Some(expr),
            _ => None,
        }),
        _ => None,
    }
}

fn is_set(key: &Expr) -> bool {
    matches!(key, Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_) | Expr::Tuple(_))
}

fn tree_items(tree: &TableWithJoins, first: bool, items: &mut Vec<Item>) {
    let merges_left = |o: &JoinOperator| matches!(side(o), Ok((Side::Inner | Side::Left, _)));
    let leads = first && tree.joins.iter().all(|j| merges_left(&j.join_operator));
    factor_items(&tree.relation, leads, items);
    tree.joins.iter().for_each(|j| factor_items(&j.relation, false, items));
}

fn factor_items(factor: &TableFactor, leads: bool, items: &mut Vec<Item>) {
    match factor {
        TableFactor::Table { name, args: None, .. } => {
            let occurrence = occurrence_of(name);
            items.push(Item { occurrence, leads: leads && occurrence.is_some() });
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            tree_items(table_with_joins, false, items);
        }
        _ => items.push(Item { occurrence: None, leads: false }),
    }
}

/// True for columns whose types certainly have an equality, domains by the type behind them.
fn groupable(column: &Column, catalog: &Catalog) -> bool {
    const TYPES: [&str; 33] = [
        "bigint",
        "bit",
        "boolean",
        "bytea",
        "character",
        "cidr",
        "date",
        "datemultirange",
        "daterange",
        "double precision",
        "inet",
        "int4multirange",
        "int4range",
        "int8range",
        "integer",
        "interval",
        "jsonb",
        "macaddr",
        "macaddr8",
        "money",
        "name",
        "numeric",
        "numrange",
        "oid",
        "real",
        "smallint",
        "text",
        "time",
        "tsquery",
        "tsrange",
        "tstzrange",
        "tsvector",
        "uuid",
    ];
    let built_in = |type_sql: &str| {
        let head = type_sql.split(['(', '[']).next().unwrap_or_default().trim_end();
        let longer = ["timestamp", "time ", "character varying", "bit varying"];
        TYPES.contains(&head) || longer.iter().any(|l| head.starts_with(l))
    };
    match &column.domain_base {
        // A name without its schema is one of `pg_catalog`'s, unless the database has another of that name.
        Some(base) => built_in(base) && !catalog.foreign_types.contains_key(base.as_str()),
        None => (column.builtin_type && built_in(&column.type_sql)) || catalog.is_enum(column),
    }
}
