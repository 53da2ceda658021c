//! Columns that point into one of several tables: which values stand for which table. Where a published standard
//! says it, it is known; elsewhere it is a guess for somebody to correct.

use super::paths::{Hop, Way};
use super::schema::{Schema, Source, Table};
use super::staff::is_staff;
use super::words::any;
use crate::policy::column_family;

/// The OMOP Common Data Model: `cost.cost_domain_id` holds the `domain_id` of the table that `cost_event_id` is a key
/// of (CDM 5.4, table COST; the domains and their tables are those of the Standardized Vocabularies).
const OMOP_DOMAINS: [(&str, &str); 8] = [
    ("Condition", "condition_occurrence"),
    ("Device", "device_exposure"),
    ("Drug", "drug_exposure"),
    ("Measurement", "measurement"),
    ("Observation", "observation"),
    ("Procedure", "procedure_occurrence"),
    ("Specimen", "specimen"),
    ("Visit", "visit_occurrence"),
];

/// Values and ways that are known.
pub(super) fn alternatives(
    schema: &Schema<'_>,
    table: usize,
    tells: usize,
    points: usize,
    ways: &[Option<Way>],
) -> Vec<(String, Way)> {
    let it = &schema.tables[table];
    let columns = (it.columns[tells].name.as_str(), it.columns[points].name.as_str());
    if it.relation.name.name != "cost" || columns != ("cost_domain_id", "cost_event_id") {
        return Vec::new();
    }
    let in_schema = |name: &str| {
        schema
            .tables
            .iter()
            .position(|t| t.relation.name.name == name && t.relation.name.schema == it.relation.name.schema)
    };
    let found: Vec<(String, Way)> = OMOP_DOMAINS
        .iter()
        .filter_map(|(value, name)| {
            Some(((*value).to_owned(), over(schema, table, points, in_schema(name)?, ways)?))
        })
        .collect();
    // All of them, or it is something else of that name.
    if found.len() == OMOP_DOMAINS.len() { found } else { Vec::new() }
}

/// Tables that the column can point to, with a word of their names as value.
pub(super) fn guesses(
    schema: &Schema<'_>,
    table: usize,
    tells: usize,
    points: usize,
    ways: &[Option<Way>],
) -> Vec<(String, Way)> {
    let it = &schema.tables[table];
    let by_table = any(&it.columns[tells].words, &["table"]);
    (0..schema.tables.len())
        .filter(|t| *t != table && schema.tables[*t].is_table() && !is_staff(&schema.tables[*t]))
        .filter(|t| schema.tables[*t].relation.name.schema == it.relation.name.schema)
        .filter_map(|target| {
            let way = over(schema, table, points, target, ways)?;
            let name = &schema.tables[target].relation.name.name;
            let value = if by_table { name.clone() } else { camel(&schema.tables[target].words) };
            Some((value, way))
        })
        .take(12)
        .collect()
}

/// A table whose rows tie two others together, each named by a pointer of its own.
pub(super) fn is_two_sided(table: &Table<'_>) -> bool {
    let ends = |end: &str| {
        table.columns.iter().any(|c| {
            let name = c.name.to_lowercase();
            name.ends_with(&format!("_id_{end}")) || name.ends_with(&format!("_id{end}"))
        })
    };
    ends("1") && ends("2")
}

fn camel(words: &[String]) -> String {
    let upper = |w: &String| {
        let mut chars = w.chars();
        chars.next().map(|c| c.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
    };
    words.iter().map(upper).collect()
}

/// From the pointer to the key of `target`, and on from there.
fn over(
    schema: &Schema<'_>,
    table: usize,
    points: usize,
    target: usize,
    ways: &[Option<Way>],
) -> Option<Way> {
    let it = &schema.tables[target];
    let key = it.key.filter(|k| {
        it.columns[*k].unique || schema.tables[table].columns[points].base == it.columns[*k].base
    })?;
    let family = |t: usize, c: usize| column_family(&schema.tables[t].columns[c].base);
    if family(table, points) != family(target, key) {
        return None;
    }
    let onward = ways[target].as_ref().filter(|w| w.hops.is_empty())?;
    let hop =
        Hop { from: table, column: points, to: target, references: key, source: Source::Name, many: false };
    Some(Way { hops: vec![hop], ..onward.clone() })
}
