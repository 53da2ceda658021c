//! Data-modifying WITH queries: each gets a name of ours and hidden RETURNING items, whose keys the wrap
//! collects; under the client's name stands a plain query of the columns that the client returns.
//! Not for what those items say (see `dml`).

use sqlparser::ast::{
    Cte, Expr, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableObject, With,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::dml::{Writer, trees};
use super::returning::returning_of;
use super::{PlanError, PlanInput, fold, occurrence_of};
use crate::catalog::quote_ident;
use crate::sql::column_names::column_name;
use crate::sql::lineage::returned_columns;
use crate::sql::parse::{is_reserved, parse_ours};

/// True for a WITH query that writes.
pub(super) fn modifies(query: &Query) -> bool {
    match query.body.as_ref() {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => true,
        SetExpr::Query(inner) => modifies(inner),
        SetExpr::Select(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_) | SetExpr::Table(_) => false,
    }
}

/// True for a statement whose own WITH writes.
pub(super) fn in_with(ast: &Statement) -> bool {
    match ast {
        Statement::Query(query) => query.with.iter().flat_map(|w| &w.cte_tables).any(|c| modifies(&c.query)),
        _ => false,
    }
}

/// Gives every data-modifying query of the WITH its hidden columns.
pub(super) fn writes(clause: &mut With, writer: &mut Writer<'_, '_>) -> Result<(), PlanError> {
    let mut made = Vec::with_capacity(clause.cte_tables.len() + 2);
    for (n, mut cte) in std::mem::take(&mut clause.cte_tables).into_iter().enumerate() {
        let (SetExpr::Insert(write) | SetExpr::Update(write) | SetExpr::Delete(write)) =
            cte.query.body.as_mut()
        else {
            if modifies(&cte.query) {
                return Err(PlanError::guard("a data-modifying WITH query in parentheses", "take them away"));
            }
            made.push(cte);
            continue;
        };
        writer.masked(write);
        let hidden = writer.hidden(write)?;
        writer.offered(write)?;
        if hidden.is_empty() {
            made.push(cte);
            continue;
        }
        let ours = format!("__glass_x{}", n + 1);
        let mut hidden = hidden;
        hidden.extend(writer.referred(write, &ours));
        for item in &hidden {
            let SelectItem::ExprWithAlias { alias, .. } = item else { continue };
            let key = match alias.value.get("__glass_".len()..).and_then(|rest| rest.chars().next()) {
                Some('k') => format!("{ours}.{alias}"),
                Some('s') => format!("pg_catalog.unnest({ours}.{alias})"),
                _ => continue,
            };
            writer.sets.push(format!("ARRAY(SELECT DISTINCT {key} FROM {ours})"));
        }
        let names = match returning_of(write)? {
            Some(_) => Some(names(write, writer)?),
            None => None,
        };
        returning_of(write)?.get_or_insert_default().extend(hidden);
        let (first, second) = split(cte, &ours, names)?;
        made.push(first);
        made.extend(second);
    }
    clause.cte_tables = made;
    Ok(())
}

/// The write under our name, and the query of its own columns under the client's, if it returns any.
fn split(mut cte: Cte, ours: &str, names: Option<Vec<String>>) -> Result<(Cte, Option<Cte>), PlanError> {
    let (columns, list) = match &names {
        None => (String::new(), "1".to_owned()),
        Some(names) => {
            let columns: Vec<String> = (1..=names.len()).map(|i| format!("__glass_o{i}")).collect();
            let shown: Vec<String> =
                columns.iter().zip(names).map(|(c, name)| format!("{c} AS {}", quote_ident(name))).collect();
            (format!(" ({})", columns.join(", ")), shown.join(", "))
        }
    };
    let text =
        format!("WITH {ours}{columns} AS (SELECT 1), __glass_y AS (SELECT {list} FROM {ours}) SELECT 1");
    let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, &text)
        .map_err(PlanError::from)?
        .into_iter()
        .filter_map(|s| match s {
            Statement::Query(query) => query.with,
            _ => None,
        })
        .flat_map(|w| w.cte_tables);
    let (Some(mut first), Some(mut second)) = (parsed.next(), parsed.next()) else {
        return Err(PlanError::Parse("a WITH of ours".to_owned()));
    };
    std::mem::swap(&mut first.query, &mut cte.query);
    second.alias = cte.alias;
    Ok((first, names.is_some().then_some(second)))
}

/// The names of the columns that a write returns to the client.
fn names(write: &mut Statement, writer: &Writer<'_, '_>) -> Result<Vec<String>, PlanError> {
    let unknown = || {
        PlanError::guard(
            "a data-modifying WITH query that returns a column whose name cannot be told",
            "give every column of RETURNING a name: expression AS name",
        )
    };
    let items = returning_of(write)?.clone().unwrap_or_default();
    let from = match &*write {
        Statement::Insert(insert) => {
            let TableObject::TableName(name) = &insert.table else { return Err(unknown()) };
            let Some(o) = occurrence_of(name).map(|n| &writer.occurrences[n]) else { return Err(unknown()) };
            let columns = o.relation.columns.iter().map(|c| c.name.clone()).collect();
            vec![(o.alias.clone(), Some(columns))]
        }
        other => returned_columns(&trees(other).0, writer.occurrences, writer.input),
    };
    let mut out = Vec::new();
    for item in &items {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => out.push(fold(alias)),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => out.push(fold(name)),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                out.push(parts.last().map(fold).ok_or_else(unknown)?);
            }
            SelectItem::UnnamedExpr(expr) => out.push(name_of(expr, writer.input).ok_or_else(unknown)?),
            SelectItem::Wildcard(_) => {
                for (_, columns) in &from {
                    out.extend(columns.clone().ok_or_else(unknown)?);
                }
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let alias = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                let mut of = from.iter().filter(|(a, _)| *a == alias);
                match (of.next(), of.next()) {
                    (Some((_, Some(columns))), None) => out.extend(columns.iter().cloned()),
                    _ => return Err(unknown()),
                }
            }
            _ => return Err(unknown()),
        }
    }
    Ok(out)
}

/// The name that PostgreSQL gives to a column of this expression.
fn name_of(expr: &Expr, input: &PlanInput<'_>) -> Option<String> {
    let mut parsed = parse_ours(&format!("SELECT {expr}")).ok()?.statements;
    let root = parsed.pop().filter(|_| parsed.is_empty())?.root;
    let name = column_name(root.nodes("target_list").next()?.node("val")?, input.catalog.server_version)?;
    // Words of ours stand for some of the client's.
    (!is_reserved(&name)).then_some(name)
}
