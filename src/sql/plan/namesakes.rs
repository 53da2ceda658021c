//! Tables of one name and different schemas, none with an alias: PostgreSQL tells them apart by their schemas, until they
//! carry aliases for their guards. Each gets an alias of its own then, and what names it with the schema says that. Where
//! the name stands without the schema, or rows are locked, nothing is done. Not for the names themselves (see `scope`).

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    Delete, Expr, FromTable, Ident, Query, Select, Statement, TableFactor, TableObject, TableWithJoins,
    UpdateTableFromKind,
};

use super::walk::{Edit, Look, edit, look};
use super::{Occurrence, PlanError, any_expr, fold, occurrence_of};

/// A table without an alias of the client's: its schema and name.
pub(super) type Written = (String, String);

/// Gives those of the `written` tables, each with the occurrence that it is, an alias of their own that share their name
/// with another one of the same FROM or, where a column is named with the schema, of the statement. By schema and name:
/// the alias.
pub(super) fn told_apart(
    ast: &mut Statement,
    found: &mut [Occurrence<'_>],
    written: &[(Written, usize)],
    text: &str,
) -> Result<BTreeMap<Written, String>, PlanError> {
    let schemas = written.iter().map(|((schema, _), n)| (*n, schema.as_str())).collect();
    let mut twice = Twice { schemas, tables: Vec::new(), others: Vec::new() };
    if !written.is_empty() {
        edit(ast, &mut Walk(&mut twice))?;
    }
    // In blocks of their own they have the same alias, and what is named with the schema would lose it.
    let pairs: BTreeSet<&Written> = written.iter().map(|(pair, _)| pair).collect();
    let apart = |a: &Written| pairs.iter().any(|b| a.1 == b.1 && a.0 != b.0);
    any_expr(ast, &mut |e| {
        if let Expr::CompoundIdentifier(parts) = e
            && let [.., schema, table, _] = parts.as_slice()
        {
            let pair = (fold(schema), fold(table));
            let torn = pairs.contains(&pair) && apart(&pair);
            twice.tables.extend(torn.then_some(pair.1));
        }
        false
    });
    let among = |table: &String| twice.tables.contains(table) && !twice.others.contains(table);
    let bare = |e: &Expr| match e {
        Expr::Identifier(name) => among(&fold(name)),
        Expr::CompoundIdentifier(parts) => matches!(parts.as_slice(), [of, _] if among(&fold(of))),
        _ => false,
    };
    if !twice.tables.iter().any(among) || any_expr(ast, &mut { bare }) || look(ast, &mut Locks) {
        return Ok(BTreeMap::new());
    }
    let mut aliases: BTreeMap<Written, String> = BTreeMap::new();
    let mut count = 0;
    let text = text.to_ascii_lowercase();
    let mut by_occurrence = BTreeMap::new();
    for (pair, n) in written.iter().filter(|((_, table), _)| among(table)) {
        let alias = aliases.entry(pair.clone()).or_insert_with(|| {
            loop {
                count += 1;
                let alias = format!("namesake_{count}");
                if !text.contains(&alias) {
                    break alias;
                }
            }
        });
        if let Some(o) = found.get_mut(*n) {
            o.alias.clone_from(alias);
            by_occurrence.insert(*n, alias.clone());
        }
    }
    edit(ast, &mut Walk(&mut Renamer { by_occurrence }))?;
    Ok(aliases)
}

struct Locks;

impl Look for Locks {
    fn query(&mut self, query: &Query) -> bool {
        !query.locks.is_empty()
    }
}

/// The items of the FROM clauses, one clause at a time, targets of UPDATE and DELETE included.
trait Clauses {
    fn clause(&mut self, trees: Vec<&mut TableWithJoins>);
    fn target(&mut self, _: &mut Statement) {}
}

fn clause_of(statement: &mut Statement) -> Vec<&mut TableWithJoins> {
    match statement {
        Statement::Update(update) => {
            let from = update.from.as_mut().map(|from| {
                let (UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = from;
                from
            });
            std::iter::once(&mut update.table).chain(from.into_iter().flatten()).collect()
        }
        Statement::Delete(Delete { from, using, .. }) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = from;
            from.iter_mut().chain(using.iter_mut().flatten()).collect()
        }
        _ => Vec::new(),
    }
}

/// Runs `f` on every item of a join tree.
fn each_factor(tree: &mut TableWithJoins, f: &mut dyn FnMut(&mut TableFactor)) {
    let factors = std::iter::once(&mut tree.relation).chain(tree.joins.iter_mut().map(|j| &mut j.relation));
    for factor in factors {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            each_factor(table_with_joins, f);
        }
        f(factor);
    }
}

/// Names that items of a FROM clause have in common.
struct Twice<'a> {
    /// By occurrence without an alias of the client's: its schema.
    schemas: BTreeMap<usize, &'a str>,
    /// Of tables without aliases, each of another schema.
    tables: Vec<String>,
    /// Of anything else: PostgreSQL refuses it.
    others: Vec<String>,
}

impl Clauses for Twice<'_> {
    fn clause(&mut self, trees: Vec<&mut TableWithJoins>) {
        let mut items: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
        for tree in trees {
            each_factor(tree, &mut |factor| {
                let TableFactor::Table { name, alias, .. } = factor else { return };
                let own: Vec<&Ident> = name.0.iter().filter_map(|p| p.as_ident()).collect();
                let schema = match (occurrence_of(name), own.as_slice(), &alias) {
                    (Some(n), ..) => self.schemas.get(&n).map(|s| (*s).to_owned()),
                    (None, [.., schema, _], None) => Some(fold(schema)),
                    _ => None,
                };
                let called = alias.as_ref().map(|a| &a.name).or(own.last().copied());
                if let Some(called) = called {
                    items.entry(fold(called)).or_default().push(schema);
                }
            });
        }
        for (name, mut schemas) in items.into_iter().filter(|(_, schemas)| schemas.len() > 1) {
            schemas.sort();
            let all = schemas.len();
            schemas.dedup();
            let apart = schemas.len() == all && schemas.iter().all(Option::is_some);
            if apart { self.tables.push(name) } else { self.others.push(name) }
        }
    }
}

struct Renamer {
    by_occurrence: BTreeMap<usize, String>,
}

impl Clauses for Renamer {
    fn clause(&mut self, trees: Vec<&mut TableWithJoins>) {
        for tree in trees {
            each_factor(tree, &mut |factor| {
                if let TableFactor::Table { name, alias: Some(alias), .. } = factor
                    && let Some(own) = occurrence_of(name).and_then(|n| self.by_occurrence.get(&n))
                {
                    alias.name = Ident::with_quote('"', own.as_str());
                }
            });
        }
    }

    fn target(&mut self, statement: &mut Statement) {
        match statement {
            Statement::Insert(insert) => {
                if let TableObject::TableName(name) = &insert.table
                    && let Some(own) = occurrence_of(name).and_then(|n| self.by_occurrence.get(&n))
                    && let Some(alias) = &mut insert.table_alias
                {
                    alias.alias = Ident::with_quote('"', own.as_str());
                }
            }
            Statement::Merge(merge) => {
                for factor in [&mut merge.table, &mut merge.source] {
                    if let TableFactor::Table { name, alias: Some(alias), .. } = factor
                        && let Some(own) = occurrence_of(name).and_then(|n| self.by_occurrence.get(&n))
                    {
                        alias.name = Ident::with_quote('"', own.as_str());
                    }
                }
            }
            _ => {}
        }
    }
}

struct Walk<'c>(&'c mut dyn Clauses);

impl Edit for Walk<'_> {
    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        self.0.clause(select.from.iter_mut().collect());
        Ok(())
    }

    fn statement(&mut self, statement: &mut Statement) -> Result<(), PlanError> {
        self.0.clause(clause_of(statement));
        self.0.target(statement);
        Ok(())
    }
}
