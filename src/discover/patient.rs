//! Which table holds the patients, and which of its columns names one.

use std::collections::BTreeSet;

use super::schema::{Edge, Schema, Source, Table};
use super::words::any;
use super::{DiscoverError, Options, shown};
use crate::catalog::QualifiedName;
use crate::policy::KeyType;

/// Words for a patient, the surest first, with how much each says about a table.
pub(super) const PATIENT_WORDS: [(&str, u32); 11] = [
    ("patient", 100),
    ("person", 80),
    ("pat", 80),
    ("subject", 65),
    ("beneficiary", 60),
    ("individual", 50),
    ("resident", 45),
    ("participant", 45),
    ("member", 45),
    ("client", 45),
    ("case", 30),
];

/// The table of patients.
#[derive(Debug)]
pub(super) struct Patient {
    pub(super) table: usize,
    pub(super) key: usize,
    pub(super) key_type: KeyType,
    /// Why this one, in words.
    pub(super) why: Vec<String>,
    /// What else it may be: `schema.table.column`, and why not.
    pub(super) others: Vec<String>,
}

/// The key type that a column of this type can hold.
pub(super) fn key_type(base: &str) -> Option<KeyType> {
    match base {
        "integer" => Some(KeyType::Int4),
        "bigint" => Some(KeyType::Int8),
        "text" | "character varying" => Some(KeyType::Text),
        "uuid" => Some(KeyType::Uuid),
        _ => None,
    }
}

struct Candidate {
    table: usize,
    key: usize,
    score: u32,
    named: u32,
    leads_here: usize,
}

/// Finds the patient table, or takes the one that was named.
pub(super) fn find(schema: &Schema<'_>, options: &Options) -> Result<Patient, DiscoverError> {
    let leads = leads_to(schema);
    let mut candidates: Vec<Candidate> = (0..schema.tables.len())
        .filter(|t| schema.tables[*t].is_table())
        .filter_map(|table| candidate(schema, &leads, table))
        .collect();
    if let Some(name) = &options.patient_table {
        let table = named_table(schema, name)?;
        let name = &schema.tables[table].relation.name;
        let named = &schema.tables[table];
        let key = match &options.patient_key {
            Some(column) => named.column(column).ok_or_else(|| DiscoverError::NoSuchColumn {
                table: shown(&name.to_string()),
                column: shown(column),
            })?,
            None => key_of(named).ok_or_else(|| DiscoverError::NoKey { table: shown(&name.to_string()) })?,
        };
        return chosen(schema, &leads, table, key, vec!["named on the command line".to_owned()], Vec::new());
    }
    candidates.sort_by(|a, b| b.score.cmp(&a.score).then(a.table.cmp(&b.table)));
    let Some(first) = candidates.first() else {
        return Err(DiscoverError::NoPatientTable { candidates: most_led_to(schema, &leads) });
    };
    // A patient who is a person by a foreign key is the nearer of the two: persons may be staff.
    let is_first = |c: &&Candidate| {
        let up = |e: &Edge| e.column == c.key && e.source == Source::ForeignKey;
        let leads = |e: &Edge| up(e) && (e.to, e.references) == (first.table, first.key);
        c.named > first.named && schema.edges[c.table].iter().any(leads)
    };
    let best = candidates.iter().find(is_first).unwrap_or(first);
    let mut why = Vec::new();
    if best.named > 0 {
        why.push("its name".to_owned());
    }
    if best.leads_here > 0 {
        why.push(format!("{} other tables lead to it", best.leads_here));
    }
    if born(&schema.tables[best.table]) {
        why.push("a date of birth".to_owned());
    }
    let others = candidates
        .iter()
        .filter(|c| c.table != best.table)
        .filter(|c| c.score + 40 >= best.score && c.named > 0)
        .take(4)
        .map(|c| {
            let (table, key) = (&schema.tables[c.table], &schema.tables[c.table].columns[c.key].name);
            format!("{}.{} ({} tables lead to it)", table.relation.name, key, c.leads_here)
        })
        .collect();
    let key = match &options.patient_key {
        Some(column) => {
            schema.tables[best.table].column(column).ok_or_else(|| DiscoverError::NoSuchColumn {
                table: shown(&schema.tables[best.table].relation.name.to_string()),
                column: shown(column),
            })?
        }
        None => best.key,
    };
    chosen(schema, &leads, best.table, key, why, others)
}

/// The table of this name; without a schema, the only one of it.
fn named_table(schema: &Schema<'_>, name: &QualifiedName) -> Result<usize, DiscoverError> {
    let is = |t: &usize| {
        let it = &schema.tables[*t].relation.name;
        *it == *name || (name.schema.is_empty() && it.name == name.name)
    };
    let found: Vec<usize> = (0..schema.tables.len()).filter(is).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(DiscoverError::NoSuchTable { name: shown(name.to_string().trim_start_matches('.')) }),
        several => Err(DiscoverError::SeveralTables {
            names: several.iter().map(|t| shown(&schema.tables[*t].relation.name.to_string())).collect(),
        }),
    }
}

fn chosen(
    schema: &Schema<'_>,
    leads: &[BTreeSet<usize>],
    table: usize,
    key: usize,
    mut why: Vec<String>,
    others: Vec<String>,
) -> Result<Patient, DiscoverError> {
    let relation = &schema.tables[table];
    let column = &relation.columns[key];
    let key_type = key_type(&column.base).ok_or_else(|| DiscoverError::KeyType {
        column: shown(&format!("{}.{}", relation.relation.name, column.name)),
        base: column.base.clone(),
    })?;
    if !column.unique {
        why.push("its key is NOT unique in the database: two rows could be one patient".to_owned());
    }
    if leads[table].is_empty() {
        why.push("NOTHING leads to it: look whether it is the right one".to_owned());
    }
    Ok(Patient { table, key, key_type, why, others })
}

/// By table: the tables with an edge to its key.
fn leads_to(schema: &Schema<'_>) -> Vec<BTreeSet<usize>> {
    let mut leads = vec![BTreeSet::new(); schema.tables.len()];
    for (from, edges) in schema.edges.iter().enumerate() {
        for edge in edges.iter().filter(|e| e.source != Source::NameEnd && e.to != from) {
            leads[edge.to].insert(from);
        }
    }
    leads
}

/// The tables that most others lead to, for an error that says where to look.
fn most_led_to(schema: &Schema<'_>, leads: &[BTreeSet<usize>]) -> Vec<String> {
    let mut tables: Vec<usize> = (0..schema.tables.len()).filter(|t| !leads[*t].is_empty()).collect();
    tables.sort_by_key(|t| (std::cmp::Reverse(leads[*t].len()), *t));
    tables
        .iter()
        .take(5)
        .map(|t| shown(&format!("{} ({})", schema.tables[*t].relation.name, leads[*t].len())))
        .collect()
}

/// How much a table's name speaks for patients: the whole of it, or its last word.
fn named(table: &Table<'_>) -> u32 {
    let last = table.words.last();
    let word = PATIENT_WORDS.iter().find(|(w, _)| last.is_some_and(|l| l == w));
    let Some((_, weight)) = word else { return 0 };
    let master = any(&table.words, &["master", "index", "demographic", "registry"]);
    if table.words.len() == 1 || master { *weight } else { weight / 2 }
}

fn born(table: &Table<'_>) -> bool {
    table.columns.iter().any(|c| {
        any(&c.words, &["dob", "birthdate", "birthday", "dateofbirth"])
            || (any(&c.words, &["birth"]) && any(&c.words, &["date", "datetime", "year", "day"]))
    })
}

/// The column that names a patient in a table of patients.
fn key_of(table: &Table<'_>) -> Option<usize> {
    let of_patient = |i: &usize| {
        let c = &table.columns[*i];
        key_type(&c.base).is_some()
            && PATIENT_WORDS.iter().any(|(w, _)| {
                c.normal == format!("{w}_id")
                    || c.normal == format!("{w}id")
                    || c.normal == format!("{w}_key")
            })
    };
    let fits = |i: &usize| key_type(&table.columns[*i].base).is_some();
    let unique = || (0..table.columns.len()).filter(|i| table.columns[*i].unique);
    unique()
        .find(of_patient)
        .or(table.key.filter(fits))
        .or_else(|| (0..table.columns.len()).find(of_patient))
        // Of a type that cannot be one: better said than passed over.
        .or(table.key)
}

fn candidate(schema: &Schema<'_>, leads: &[BTreeSet<usize>], table: usize) -> Option<Candidate> {
    let it = &schema.tables[table];
    let key = key_of(it)?;
    let named = named(it);
    let alive = any(&it.words, &["history", "audit", "log", "archive", "backup", "old", "tmp", "temp"]);
    let person = it
        .columns
        .iter()
        .filter(|c| {
            let word = ["gender", "sex", "mrn", "race", "ethnicity", "deceased", "dead", "dod", "ssn"];
            any(&c.words, &word)
                || (any(&c.words, &["first", "last", "given", "family"]) && any(&c.words, &["name"]))
        })
        .count();
    if named == 0 && !(born(it) && person > 0 && leads[table].len() > 1) {
        return None;
    }
    let most = leads.iter().enumerate().map(|(t, l)| if t == table { 0 } else { l.len() }).max().unwrap_or(0);
    let share = (40 * leads[table].len()).checked_div(most.max(leads[table].len())).unwrap_or(0);
    let mut score = named + u32::try_from(share).unwrap_or(0) + u32::try_from(person.min(3) * 5).unwrap_or(0);
    score += if born(it) { 15 } else { 0 };
    if alive {
        score /= 3;
    }
    Some(Candidate { table, key, score, named, leads_here: leads[table].len() })
}
