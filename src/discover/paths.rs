//! The way from each table's rows to their patient: over the key itself, or over other tables.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::patient::{PATIENT_WORDS, Patient, key_type};
use super::schema::{Edge, Schema, Source};
use super::staff::is_staff;
use super::words::any;

/// One step of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) from: usize,
    pub(super) column: usize,
    pub(super) to: usize,
    pub(super) references: usize,
    pub(super) source: Source,
    /// `references` is not unique there: an address and those who live at it.
    pub(super) many: bool,
}

/// How it is known that the last column is the patient's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeySource {
    /// It is the table of patients.
    Itself,
    /// An edge leads from it to the key.
    Edge(Source),
    /// A word for a patient, of the key's type (`subject_id`).
    Word,
    /// A view's column with the name of a key.
    ViewColumn,
}

/// A way.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) hops: Vec<Hop>,
    pub(super) key_table: usize,
    pub(super) key: usize,
    pub(super) key_source: KeySource,
    /// Other columns of the key's table that name a patient as well.
    pub(super) other_keys: Vec<usize>,
}

/// Columns that say who wrote a row, which is nobody's patient.
const AUTHOR: [&str; 16] = [
    "creator", "created", "changed", "modified", "updated", "voided", "entered", "author", "retired",
    "deleted", "recorded", "verified", "signed", "approved", "user", "staff",
];

/// The way of every table that has one.
pub(super) fn ways(schema: &Schema<'_>, patient: &Patient) -> Vec<Option<Way>> {
    let mut ways = direct(schema, patient);
    over_others(schema, &mut ways);
    views(schema, patient, &mut ways);
    ways
}

/// Tables that hold the key themselves. A patient who is a person by a foreign key has one key with that person,
/// and so has everything that leads to either.
fn direct(schema: &Schema<'_>, patient: &Patient) -> Vec<Option<Way>> {
    let mut keys: BTreeSet<(usize, usize)> = BTreeSet::from([(patient.table, patient.key)]);
    // Upwards: what the key itself refers to.
    let mut at = (patient.table, patient.key);
    for _ in 0..8 {
        let up = schema.edges[at.0].iter().find(|e| e.column == at.1 && e.source == Source::ForeignKey);
        let Some(edge) = up else { break };
        at = (edge.to, edge.references);
        if !keys.insert(at) {
            break;
        }
    }
    let roots = keys.clone();
    // Downwards: what refers to a key.
    let mut found: Vec<Vec<Edge>> = vec![Vec::new(); schema.tables.len()];
    loop {
        let before = keys.len();
        for (table, edges) in schema.edges.iter().enumerate() {
            for edge in edges {
                if !keys.contains(&(edge.to, edge.references)) {
                    continue;
                }
                if !found[table].iter().any(|f| f.column == edge.column) {
                    found[table].push(*edge);
                }
                // An end of a name (`mother_patient_id`) is a patient's key, but not one to go on from.
                if edge.source != Source::NameEnd && !roots.contains(&(table, edge.column)) {
                    keys.insert((table, edge.column));
                }
            }
        }
        if keys.len() == before {
            break;
        }
    }
    let key_normal = &schema.tables[patient.table].columns[patient.key].normal;
    (0..schema.tables.len())
        .map(|table| {
            if let Some((_, key)) = roots.iter().find(|(t, _)| *t == table) {
                return Some(way(table, *key, KeySource::Itself, Vec::new()));
            }
            let columns = &schema.tables[table].columns;
            let mut edges = found[table].clone();
            // The row's own patient before its mother, donor or author.
            edges.sort_by_key(|e| {
                let c = &columns[e.column];
                (
                    any(&c.words, &AUTHOR),
                    c.normal != *key_normal,
                    e.source,
                    !says_patient(&c.normal),
                    e.column,
                )
            });
            let Some((first, rest)) = edges.split_first() else { return word(schema, patient, table) };
            let rest = rest.iter().map(|e| e.column).collect();
            Some(way(table, first.column, KeySource::Edge(first.source), rest))
        })
        .collect()
}

fn way(table: usize, key: usize, key_source: KeySource, other_keys: Vec<usize>) -> Way {
    Way { hops: Vec::new(), key_table: table, key, key_source, other_keys }
}

fn says_patient(normal: &str) -> bool {
    PATIENT_WORDS
        .iter()
        .any(|(w, _)| normal == format!("{w}_id") || normal == *w || normal == format!("{w}id"))
}

/// A column that is a patient by its word alone, such as a cohort's `subject_id` where patients are persons.
fn word(schema: &Schema<'_>, patient: &Patient, table: usize) -> Option<Way> {
    let it = &schema.tables[table];
    if !it.is_table() {
        return None;
    }
    let has_edge = |column: usize| schema.edges[table].iter().any(|e| e.column == column);
    let key = (0..it.columns.len()).find(|i| {
        let c = &it.columns[*i];
        says_patient(&c.normal)
            && !c.normal.starts_with("case")
            && !c.normal.starts_with("member")
            && it.key != Some(*i)
            && key_type(&c.base) == Some(patient.key_type)
            && !has_edge(*i)
    })?;
    Some(way(table, key, KeySource::Word, Vec::new()))
}

/// How much worse a step is than none; the fewest steps win, foreign keys before names.
fn cost(schema: &Schema<'_>, table: usize, edge: &Edge) -> u32 {
    let (column, target) =
        (schema.edge_column(table, edge), &schema.tables[edge.to].columns[edge.references]);
    let mut cost = 100;
    cost += match edge.source {
        Source::ForeignKey => 0,
        Source::Name => 10,
        Source::NameEnd => 40,
    };
    cost += if target.unique { 0 } else { 20 };
    cost += if column.not_null { 0 } else { 5 };
    cost + if any(&column.words, &AUTHOR) { 500 } else { 0 }
}

/// Shortest ways of the tables without a key of their own (Dijkstra's algorithm, from the patient outwards).
fn over_others(schema: &Schema<'_>, ways: &mut [Option<Way>]) {
    let mut incoming: Vec<Vec<(usize, Edge)>> = vec![Vec::new(); schema.tables.len()];
    for (from, edges) in schema.edges.iter().enumerate() {
        for edge in edges.iter().filter(|e| e.to != from) {
            incoming[edge.to].push((from, *edge));
        }
    }
    let mut best = vec![u32::MAX; schema.tables.len()];
    let mut heap = BinaryHeap::new();
    for (table, way) in ways.iter().enumerate() {
        if way.is_some() {
            best[table] = 0;
            heap.push((Reverse(0), Reverse(table)));
        }
    }
    while let Some((Reverse(so_far), Reverse(at))) = heap.pop() {
        // Staff may be persons too; what they wrote is not theirs.
        if so_far > best[at] || is_staff(&schema.tables[at]) {
            continue;
        }
        for (from, edge) in &incoming[at] {
            let total = so_far + cost(schema, *from, edge);
            if !schema.tables[*from].is_table() || total >= best[*from] {
                continue;
            }
            let Some(onward) = ways[at].clone() else { continue };
            best[*from] = total;
            let mut hops = vec![Hop {
                from: *from,
                column: edge.column,
                to: at,
                references: edge.references,
                source: edge.source,
                many: false,
            }];
            hops.extend(onward.hops);
            ways[*from] = Some(Way { hops, ..onward });
            heap.push((Reverse(total), Reverse(*from)));
        }
    }
}

/// Views and foreign tables that show a column with the name of a key.
fn views(schema: &Schema<'_>, patient: &Patient, ways: &mut [Option<Way>]) {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for way in ways.iter().flatten().filter(|w| w.hops.is_empty() && w.key_source != KeySource::Word) {
        names.insert(&schema.tables[way.key_table].columns[way.key].name);
    }
    for (table, it) in schema.tables.iter().enumerate().filter(|(_, t)| !t.is_table()) {
        let own = &schema.tables[patient.table].columns[patient.key].name;
        let fits =
            |c: &&str| it.column(c).filter(|i| key_type(&it.columns[*i].base) == Some(patient.key_type));
        let plain = |c: &str| matches!(c, "id" | "uuid");
        let key = [own.as_str()]
            .into_iter()
            .chain(names.iter().copied())
            .filter(|c| !plain(c))
            .find_map(|c| fits(&c));
        ways[table] = key.map(|key| way(table, key, KeySource::ViewColumn, Vec::new()));
    }
}
