//! Which relation says who treats whom, if there is one.

use super::paths::{KeySource, Way};
use super::patient::Patient;
use super::schema::{Schema, Table};
use super::words::any;
use crate::catalog::Facts;

/// A relation that says it.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) table: usize,
    pub(super) principal: usize,
    pub(super) patient: usize,
    pub(super) valid_from: Option<usize>,
    pub(super) valid_to: Option<usize>,
    /// A unique index over both columns, which the row filter needs.
    pub(super) unique: bool,
}

/// The likely one first; none without a text column for users beside the patient key.
pub(super) fn find(
    schema: &Schema<'_>,
    facts: &Facts,
    patient: &Patient,
    ways: &[Option<Way>],
) -> Vec<Assignment> {
    let mut found: Vec<(u32, Assignment)> = ways
        .iter()
        .enumerate()
        .filter(|(table, _)| *table != patient.table)
        .filter_map(|(table, way)| {
            let way = way.as_ref().filter(|w| w.hops.is_empty() && w.key_source != KeySource::Itself)?;
            assignment(schema, facts, patient, table, way)
        })
        .collect();
    found.sort_by_key(|(score, a)| (std::cmp::Reverse(*score), a.table));
    found.into_iter().map(|(_, a)| a).collect()
}

fn assignment(
    schema: &Schema<'_>,
    facts: &Facts,
    patient: &Patient,
    table: usize,
    way: &Way,
) -> Option<(u32, Assignment)> {
    let it = &schema.tables[table];
    let named = named(it);
    let (user_score, principal) = principal(it, way.key)?;
    let names = [it.columns[principal].name.as_str(), it.columns[way.key].name.as_str()];
    let unique = facts.is_unique(it.relation.oid, &names);
    // A table of results has a user and a patient, too: its name, or its key, must say that this is about the two.
    if named == 0 || (!unique && named < 3) {
        return None;
    }
    super::patient::key_type(&it.columns[way.key].base).filter(|t| *t == patient.key_type)?;
    let time = |words: &[&str]| {
        it.columns.iter().position(|c| c.base == "timestamp with time zone" && any(&c.words, words))
    };
    let valid_from = time(&["from", "start", "begin", "since", "starts", "valid_from"]);
    let valid_to = time(&["to", "until", "end", "ends", "expires", "expiry", "through", "thru"]);
    let score = named * 20 + user_score * 5 + if unique { 15 } else { 0 };
    Some((
        score,
        Assignment {
            table,
            principal,
            patient: way.key,
            valid_from: valid_from.filter(|c| Some(*c) != valid_to),
            valid_to,
            unique,
        },
    ))
}

/// How much the name says that it is about who treats whom.
fn named(table: &Table<'_>) -> u32 {
    let has = |words: &[&str]| any(&table.words, words);
    // Beds, wards and the like are assigned, too.
    if has(&["bed", "room", "ward", "slot", "locker", "study", "cohort", "program"]) {
        return 0;
    }
    let team = has(&["care"]) && has(&["team"]);
    let relation = has(&["treatment", "care"]) && has(&["relationship", "relation"]);
    if team
        || relation
        || has(&["assigned", "assignment", "caseload", "panel", "treatmentrelationship", "careteam"])
    {
        3
    } else if has(&["access", "permission", "grant", "team", "provider", "user"]) {
        1
    } else {
        0
    }
}

/// The column with the user's name.
fn principal(table: &Table<'_>, key: usize) -> Option<(u32, usize)> {
    let score = |words: &[String]| {
        if any(words, &["username", "login", "principal", "userid"]) || any(words, &["user"]) {
            4
        } else if any(
            words,
            &["clinician", "provider", "practitioner", "staff", "employee", "member", "nurse"],
        ) {
            2
        } else {
            0
        }
    };
    (0..table.columns.len())
        .filter(|i| *i != key)
        .filter(|i| matches!(table.columns[*i].base.as_str(), "text" | "character varying" | "name"))
        .map(|i| (score(&table.columns[i].words), i))
        .filter(|(score, _)| *score > 0)
        .max_by_key(|(score, i)| (*score, std::cmp::Reverse(*i)))
}
