//! The SQL text of a table's way to its patients: does a row reach a visible one, whose is it, may
//! it be written. `visible` is everywhere the subquery of the keys the principal may see.
//!
//! Not here: who is visible, and where the texts are put. The forms were chosen by measurement
//! (docs/paths.md): a semi-join wherever PostgreSQL can make one.

use super::path::{Alternative, KeyPath, Path, Patients, Step, TableRule};
use super::{BoundTable, RESERVED_PREFIX, col};
use crate::catalog::{quote_ident, quote_literal};

/// `left OPERATOR(pg_catalog.=) right`.
pub(super) fn equal(left: &str, right: &str) -> String {
    format!("{left} OPERATOR(pg_catalog.=) {right}")
}

/// The alias of the table that step `i` leads to.
pub(super) fn step_alias(kind: char, i: usize) -> String {
    format!("{RESERVED_PREFIX}{kind}{}", i + 1)
}

fn table_as(step: &Step, alias: &str) -> String {
    format!("{} AS {}", step.table.to_sql(), quote_ident(alias))
}

/// `value` is one of the rows of `query`: what becomes a semi-join.
pub(super) fn among(value: &str, query: &str) -> String {
    format!("({value} OPERATOR(pg_catalog.=) ANY ({query}))")
}

/// True for a row `at`, standing before step `from`, that reaches a visible patient.
fn reaches(path: &KeyPath, from: usize, at: &str, visible: &str) -> String {
    let Some(step) = path.steps.get(from) else { return among(&col(at, &path.key), visible) };
    let next = step_alias('t', from);
    let query = format!(
        "SELECT {} FROM {} WHERE {}",
        col(&next, &step.references),
        table_as(step, &next),
        reaches(path, from + 1, &next, visible)
    );
    among(&col(at, &step.column), &query)
}

/// `FROM ... WHERE first step = start` over all steps, and the key at its end.
pub(super) fn chain(path: &KeyPath, kind: char, start: &str) -> Option<(String, String)> {
    let first = path.steps.first()?;
    let mut at = step_alias(kind, 0);
    let mut from = table_as(first, &at);
    for (i, step) in path.steps.iter().enumerate().skip(1) {
        let next = step_alias(kind, i);
        from.push_str(&format!(
            " INNER JOIN {} ON {}",
            table_as(step, &next),
            equal(&col(&next, &step.references), &col(&at, &step.column)),
        ));
        at = next;
    }
    let condition = equal(&col(&step_alias(kind, 0), &first.references), start);
    Some((format!("FROM {from} WHERE {condition}"), col(&at, &path.key)))
}

/// Every way that a row `alias` takes, as a query with a row for each patient at its end whose key `found`
/// (SQL text of a condition on it, for the way that leads there) holds for. Not for tables that have the key themselves.
pub(super) fn ways(
    table: &BoundTable,
    alias: &str,
    kind: char,
    found: impl Fn(&KeyPath, &str) -> String,
) -> Vec<String> {
    let arm = |path: &KeyPath, taken: String| {
        let (from, key) = chain(path, kind, &col(alias, path.first_column()))?;
        Some(format!("SELECT 1 {from}{taken} AND {}", found(path, &key)))
    };
    match &table.rule.path {
        Path::One(path) => arm(path, String::new()).into_iter().collect(),
        Path::When(alternatives) => alternatives
            .iter()
            .filter_map(|a| arm(&a.path, format!(" AND {}", takes(table, a, alias))))
            .collect(),
    }
}

/// True when `key` is among the visible keys: for a value of a row, not for whole tables.
pub(super) fn is_visible(key: &str, visible: &str) -> String {
    let (v, k) = (format!("{RESERVED_PREFIX}v"), format!("{RESERVED_PREFIX}k"));
    format!(
        "EXISTS (SELECT 1 FROM ({visible}) AS {} ({}) WHERE {})",
        quote_ident(&v),
        quote_ident(&k),
        equal(&col(&v, &k), key)
    )
}

/// ` AND` no patient that is reached from `start` is hidden; nothing where a visible one is enough.
fn and_nobody_hidden(rule: &TableRule, path: &KeyPath, start: &str, visible: &str) -> String {
    match rule.patients {
        Patients::All if path.is_many() => chain(path, 'h', start).map_or_else(String::new, |(from, key)| {
            format!(
                " AND NOT EXISTS (SELECT 1 {from} AND {key} IS NOT NULL AND NOT {})",
                is_visible(&key, visible)
            )
        }),
        Patients::Any | Patients::All => String::new(),
    }
}

/// The condition that a row takes this alternative.
pub(super) fn takes(table: &BoundTable, alternative: &Alternative, alias: &str) -> String {
    let column = col(alias, &alternative.column);
    let values: Vec<String> = alternative.is.iter().map(|v| equal(&column, &constant(table, v))).collect();
    format!("({})", values.join(" OR "))
}

/// A value of the column that tells, in the column's own type without a modifier.
fn constant(table: &BoundTable, value: &str) -> String {
    format!("{}::{}", quote_literal(value), table.tells_type.as_deref().unwrap_or("pg_catalog.text"))
}

/// The filter: true exactly for rows that are visible. One conjunct, parenthesised.
pub(super) fn guard(table: &BoundTable, alias: &str, visible: &str) -> String {
    let rule = &*table.rule;
    match &rule.path {
        Path::One(path) => match path.steps.first() {
            Some(first) if rule.patients == Patients::All && path.is_many() => {
                among(&col(alias, &first.column), &reaching(table, path, visible))
            }
            Some(_) | None => reaches(path, 0, alias, visible),
        },
        Path::When(alternatives) => {
            let short = |a: &Alternative| a.path.steps.len() == 1;
            let any = !rule.is_many() || rule.patients == Patients::Any;
            if any && alternatives.iter().all(short) {
                by_value(table, alternatives, alias, visible)
            } else {
                by_exists(table, alternatives, alias, visible)
            }
        }
    }
}

/// A semi-join with the tables of all alternatives one upon the other: the planner pushes the row's
/// two columns into each, and finds the visible keys by index or by hash as there are few or many.
fn by_value(table: &BoundTable, alternatives: &[Alternative], alias: &str, visible: &str) -> String {
    let [u, d, i, k] = ["u", "d", "i", "k"].map(|n| format!("{RESERVED_PREFIX}{n}"));
    let mut arms = Vec::new();
    for a in alternatives {
        let Some(step) = a.path.steps.first() else { continue };
        let at = step_alias('t', 0);
        let id = col(&at, &step.references);
        let key = col(&at, &a.path.key);
        // One column as both would be compared once only, and the index on it not be used.
        let key = if id == key { format!("COALESCE({key}, {key})") } else { key };
        arms.extend(
            a.is.iter()
                .map(|v| format!("SELECT {}, {id}, {key} FROM {}", constant(table, v), table_as(step, &at))),
        );
    }
    let first = alternatives.first();
    let tells = first.map_or_else(String::new, |a| col(alias, &a.column));
    let from = first.map_or_else(String::new, |a| col(alias, a.path.first_column()));
    let query = format!(
        "SELECT {}, {} FROM ({}) AS {} ({}, {}, {}) WHERE {}",
        col(&u, &d),
        col(&u, &i),
        arms.join(" UNION ALL "),
        quote_ident(&u),
        quote_ident(&d),
        quote_ident(&i),
        quote_ident(&k),
        among(&col(&u, &k), visible),
    );
    among(&format!("ROW({tells}, {from})"), &query)
}

/// A subquery per row: flat in the number of assigned patients, linear in the rows that are read.
fn by_exists(table: &BoundTable, alternatives: &[Alternative], alias: &str, visible: &str) -> String {
    let arms: Vec<String> = alternatives
        .iter()
        .filter_map(|a| {
            let step = a.path.steps.first()?;
            let at = step_alias('t', 0);
            let start = col(alias, &step.column);
            Some(format!(
                "SELECT 1 FROM {} WHERE {} AND {} AND {}{}",
                table_as(step, &at),
                takes(table, a, alias),
                equal(&col(&at, &step.references), &start),
                reaches(&a.path, 1, &at, visible),
                and_nobody_hidden(&table.rule, &a.path, &start, visible),
            ))
        })
        .collect();
    format!("(EXISTS ({}))", arms.join(" UNION ALL "))
}

/// The patients of a row as text: one value, or a `text[]` where there can be several. Of a row of several patients only
/// those are named whose keys meet `by_key` (SQL text of a condition on a key), if it has one.
pub(super) fn witness(table: &BoundTable, alias: &str, by_key: impl Fn(&str) -> Option<String>) -> String {
    let rule = &*table.rule;
    if let Some(key) = rule.own_key() {
        return format!("{}::pg_catalog.text", col(alias, key));
    }
    let many = rule.is_many();
    let arm = |path: &KeyPath, condition: String| {
        let (from, key) = chain(path, 't', &col(alias, path.first_column()))?;
        let mut text = format!("SELECT {key}::pg_catalog.text {from}{condition}");
        if many {
            text.push_str(&format!(" AND {key} IS NOT NULL"));
            // Where all must be visible, those of a visible row are.
            if let Some(condition) = by_key(&key).filter(|_| rule.patients == Patients::Any) {
                text.push_str(&format!(" AND {condition}"));
            }
        }
        Some(text)
    };
    let arms: Vec<String> = match &rule.path {
        Path::One(path) => arm(path, String::new()).into_iter().collect(),
        Path::When(alternatives) => alternatives
            .iter()
            .filter_map(|a| arm(&a.path, format!(" AND {}", takes(table, a, alias))))
            .collect(),
    };
    let arms = arms.join(" UNION ALL ");
    if many { format!("ARRAY({arms})") } else { format!("({arms})") }
}

/// The values with which a row before the first step of `path` reaches a visible patient, as a query.
pub(super) fn reaching(table: &BoundTable, path: &KeyPath, visible: &str) -> String {
    let Some(first) = path.steps.first() else { return visible.to_owned() };
    let next = step_alias('t', 0);
    let start = col(&next, &first.references);
    format!(
        "SELECT {start} FROM {} WHERE {}{}",
        table_as(first, &next),
        reaches(path, 1, &next, visible),
        and_nobody_hidden(&table.rule, path, &start, visible),
    )
}

/// True for a row `alias` that is visible by one of several ways: evaluated once per row that is read. Of the ways of
/// one subquery the planner counts one, as there is in a row; each for itself they would be counted together, and the
/// sum is enough for JIT.
pub(super) fn takes_a_way(table: &BoundTable, alias: &str, visible: &str) -> String {
    let arms = ways(table, alias, 't', |path, key| {
        let start = col(alias, path.first_column());
        is_visible(key, visible) + &and_nobody_hidden(&table.rule, path, &start, visible)
    });
    format!("(EXISTS ({}))", arms.join(" UNION ALL "))
}

/// True for a written row `alias` that is visible: evaluated once per row that is written.
pub(super) fn may_write(table: &BoundTable, alias: &str, visible: &str) -> String {
    let rule = &*table.rule;
    let way = |path: &KeyPath| {
        let mut at = alias.to_owned();
        let mut text = String::new();
        for (i, step) in path.steps.iter().enumerate() {
            let next = step_alias('t', i);
            text.push_str(&format!(
                "EXISTS (SELECT 1 FROM {} WHERE {} AND ",
                table_as(step, &next),
                equal(&col(&next, &step.references), &col(&at, &step.column)),
            ));
            at = next;
        }
        text.push_str(&is_visible(&col(&at, &path.key), visible));
        text.push_str(&")".repeat(path.steps.len()));
        text + &and_nobody_hidden(rule, path, &col(alias, path.first_column()), visible)
    };
    match &rule.path {
        Path::One(path) => way(path),
        Path::When(alternatives) => {
            let all: Vec<String> = alternatives
                .iter()
                .map(|a| format!("({} AND {})", takes(table, a, alias), way(&a.path)))
                .collect();
            format!("({})", all.join(" OR "))
        }
    }
}
