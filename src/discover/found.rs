//! What becomes of each relation: an entry, a reference table, or a question for somebody who knows it.

use std::collections::{BTreeMap, BTreeSet};

use super::assignment::{self, Assignment};
use super::classes::{self, Class};
use super::extensions;
use super::known;
use super::lists::is_copy;
use super::paths::{self, Hop, KeySource, Way};
use super::patient::{self, Patient};
use super::schema::{Schema, Source, Table};
use super::staff::{has_secrets, is_place, is_staff};
use super::words::any;
use super::{DiscoverError, Options};
use crate::catalog::{Facts, QualifiedName, RelationKind, Survey};
use crate::policy::HipaaIdentifier as Hipaa;

/// A relation whose rows belong to patients.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) table: usize,
    pub(super) class: Class,
    pub(super) class_guessed: bool,
    pub(super) owner: Owner,
    /// What somebody should know or do.
    pub(super) notes: Vec<String>,
    /// Why it is written as a comment only.
    pub(super) doubt: Option<String>,
}

/// How its rows belong to them.
#[derive(Debug)]
pub(super) enum Owner {
    /// One way for every row.
    Way(Way),
    /// The value of a column says which table another column points to.
    When { tells: usize, ways: Vec<(String, Way)> },
}

/// A relation without patients.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) table: usize,
    pub(super) why: String,
    /// Look again.
    pub(super) doubt: bool,
}

/// A relation nobody but its owners can decide about.
#[derive(Debug)]
pub(super) struct Undecided {
    pub(super) table: usize,
    pub(super) why: String,
    /// An entry for one patient key is what it likely needs.
    pub(super) one_key: bool,
}

/// Everything found out.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) patient: Patient,
    pub(super) entries: Vec<Entry>,
    pub(super) reference: Vec<Reference>,
    pub(super) undecided: Vec<Undecided>,
    /// The likely one first.
    pub(super) assignments: Vec<Assignment>,
    /// Unique columns that name a patient: table, column, what it holds.
    pub(super) identifiers: Vec<(usize, usize, Hipaa)>,
    /// Functions of extensions that roles can be given, by extension.
    pub(super) functions: BTreeMap<&'static str, Vec<QualifiedName>>,
}

impl Found {
    pub(super) fn new(
        schema: &Schema<'_>,
        facts: &Facts,
        survey: &Survey,
        options: &Options,
    ) -> Result<Self, DiscoverError> {
        let patient = patient::find(schema, options)?;
        let ways = paths::ways(schema, &patient);
        let assignments = assignment::find(schema, facts, &patient, &ways);
        let mut sorter =
            Sorter { schema, patient: &patient, ways: &ways, entries: Vec::new(), undecided: Vec::new() };
        // The first one is the assignment; the others are tables of patients like any.
        let assigned = assignments.first().map(|a| a.table);
        let rest: Vec<usize> = (0..schema.tables.len())
            .filter(|t| Some(*t) != assigned && !sorter.polymorphic(*t, true) && !sorter.takes(*t))
            .collect();
        let rest =
            rest.into_iter().filter(|t| !sorter.reverse(*t) && !sorter.polymorphic(*t, false)).collect();
        let reference = sorter.without_patients(rest, survey);
        let Sorter { mut entries, mut undecided, .. } = sorter;
        entries.sort_by_key(|e| (e.table != patient.table, e.class, e.table));
        undecided.sort_by_key(|u| u.table);
        let identifiers = identifiers(schema, &patient, &ways);
        let functions = extensions::computing(survey);
        Ok(Self { patient, entries, reference, undecided, assignments, identifiers, functions })
    }
}

/// Sorts relations into entries and questions, one after the other.
pub(super) struct Sorter<'a> {
    pub(super) schema: &'a Schema<'a>,
    patient: &'a Patient,
    ways: &'a [Option<Way>],
    pub(super) entries: Vec<Entry>,
    undecided: Vec<Undecided>,
}

impl Sorter<'_> {
    pub(super) fn undecided(&mut self, table: usize, why: impl Into<String>) {
        self.undecided.push(Undecided { table, why: why.into(), one_key: true });
    }

    fn class(&self, table: usize, way: Option<&Way>) -> (Class, bool) {
        let own = classes::guess(&self.schema.tables[table]);
        let parent =
            || way.and_then(|w| w.hops.first()).and_then(|h| classes::guess(&self.schema.tables[h.to]));
        match own.or_else(parent) {
            Some(class) => (class, false),
            None => (Class::Other, true),
        }
    }

    /// Takes a relation that has a way.
    fn takes(&mut self, table: usize) -> bool {
        let Some(way) = &self.ways[table] else { return false };
        let it = &self.schema.tables[table];
        if table != self.patient.table && it.is_table() && is_staff(it) {
            let column = &it.columns[way.hops.first().map_or(way.key, |h| h.column)].name;
            self.undecided(
                table,
                format!(
                    "looks like people who work there, although {column} leads to a patient or person. As an entry \
                     its rows are seen with that patient only; in [reference] by everyone"
                ),
            );
            return true;
        }
        let (class, class_guessed) = self.class(table, Some(way));
        let mut way = way.clone();
        let mut notes = Vec::new();
        let mut doubt = self.key_of_another_type(&mut way);
        self.describe(table, &way, &mut notes);
        if way.key_source == KeySource::Word {
            notes.push(format!(
                "{} is taken for the patient by its name and type alone: look whether it is",
                it.columns[way.key].name
            ));
        }
        if doubt.is_none()
            && way.hops.iter().any(|h| {
                any(&self.schema.tables[h.from].columns[h.column].words, &["creator", "author", "user"])
            })
        {
            doubt = Some("the only way leads over who wrote the row, who is hardly its patient".to_owned());
        }
        self.entries.push(Entry { table, class, class_guessed, owner: Owner::Way(way), notes, doubt });
        true
    }

    /// A key column of another type than the patient's cannot be compared with the assignment; a step to the table
    /// of patients can, when the types are of one family.
    fn key_of_another_type(&self, way: &mut Way) -> Option<String> {
        let key = &self.schema.tables[way.key_table].columns[way.key];
        if patient::key_type(&key.base) == Some(self.patient.key_type) {
            return None;
        }
        let patients = &self.schema.tables[self.patient.table].columns[self.patient.key];
        let edge = self.schema.edges[way.key_table]
            .iter()
            .find(|e| e.column == way.key && e.to == self.patient.table && e.references == self.patient.key);
        match edge {
            Some(edge) if patients.unique => {
                way.hops.push(Hop {
                    from: way.key_table,
                    column: way.key,
                    to: edge.to,
                    references: edge.references,
                    source: edge.source,
                    many: false,
                });
                way.key_table = self.patient.table;
                way.key = self.patient.key;
                None
            }
            _ => Some(format!(
                "{} is of type {}, the patient key of type {}: make it the same type first",
                key.name, key.base, patients.base
            )),
        }
    }

    fn describe(&self, table: usize, way: &Way, notes: &mut Vec<String>) {
        let it = &self.schema.tables[table];
        for hop in &way.hops {
            let (from, to) = (&self.schema.tables[hop.from], &self.schema.tables[hop.to]);
            let target = &to.columns[hop.references];
            if !target.unique && !hop.many {
                notes.push(format!(
                    "{}.{} has no unique index, which the step needs: CREATE UNIQUE INDEX ON {} ({});",
                    to.relation.name,
                    target.name,
                    to.relation.name.to_sql(),
                    crate::catalog::quote_ident(&target.name)
                ));
            }
            if !from.columns[hop.column].not_null && !hop.many && it.is_table() {
                notes.push(format!("rows with NULL in {} are nobody's", from.columns[hop.column].name));
            }
        }
        let key = &self.schema.tables[way.key_table].columns[way.key];
        if way.hops.is_empty() && !key.not_null && it.is_table() && table != self.patient.table {
            notes.push(format!("rows with NULL in {} are nobody's", key.name));
        }
        if way.hops.is_empty() && !way.other_keys.is_empty() {
            let others: Vec<&str> = way.other_keys.iter().map(|k| it.columns[*k].name.as_str()).collect();
            notes.push(format!(
                "names other patients, too ({}): its rows are seen with the patient of {} alone",
                others.join(", "),
                key.name
            ));
        }
        match it.relation.kind {
            RelationKind::MaterializedView => {
                notes.push("a materialized view: by its column's name alone; its rows are as old as its last refresh".into());
            }
            RelationKind::View => notes.push("a view that shows the key: by its column's name alone".into()),
            RelationKind::ForeignTable => notes.push("a foreign table: by its column's name alone".into()),
            _ => {}
        }
    }

    /// Rows that belong to whoever points to them: an address and those who live there.
    fn reverse(&mut self, table: usize) -> bool {
        let it = &self.schema.tables[table];
        let personal = it.columns.iter().filter_map(|c| c.identifier).any(|i| {
            matches!(
                i,
                Hipaa::Geography | Hipaa::Zip | Hipaa::Phone | Hipaa::Email | Hipaa::Fax | Hipaa::BirthDate
            )
        });
        if !it.is_table() || !personal || is_staff(it) || is_place(it) || has_secrets(it) {
            return false;
        }
        let mut from: Vec<(usize, Hop)> = Vec::new();
        let mut elsewhere: BTreeSet<usize> = BTreeSet::new();
        for (child, edges) in self.schema.edges.iter().enumerate() {
            for edge in edges.iter().filter(|e| e.to == table) {
                let direct = self.ways[child].as_ref().is_some_and(|w| w.hops.is_empty());
                if direct && self.schema.tables[child].is_table() {
                    from.push((
                        child,
                        Hop {
                            from: table,
                            column: edge.references,
                            to: child,
                            references: edge.column,
                            source: edge.source,
                            many: true,
                        },
                    ));
                } else {
                    elsewhere.insert(child);
                }
            }
        }
        let event = |t: usize| classes::guess(&self.schema.tables[t]) != Some(Class::Demographics);
        from.sort_by_key(|(child, hop)| (*child != self.patient.table, event(*child), hop.source, *child));
        let Some((child, hop)) = from.first().cloned() else { return false };
        let Some(onward) = self.ways[child].clone() else { return false };
        let itself = self.ways[child].as_ref().is_some_and(|w| w.key_source == KeySource::Itself);
        if !itself && from.iter().any(|(child, _)| event(*child)) {
            // Events point to it: where something happened, not where somebody lives.
            return false;
        }
        let (class, class_guessed) = self.class(table, None);
        let mut notes = vec![format!(
            "nothing in it names a patient; its rows belong to whoever points to them from {}.{}, everyone of them",
            self.schema.tables[child].relation.name, self.schema.tables[child].columns[hop.references].name
        )];
        let others: Vec<String> = from
            .iter()
            .skip(1)
            .map(|(child, _)| *child)
            .chain(elsewhere)
            .filter(|c| *c != child)
            .collect::<BTreeSet<usize>>()
            .into_iter()
            .map(|c| self.schema.tables[c].relation.name.to_string())
            .collect();
        if !others.is_empty() {
            notes.push(format!("rows that only {} point to are nobody's", others.join(", ")));
        }
        let way = Way { hops: vec![hop], ..onward };
        self.entries.push(Entry { table, class, class_guessed, owner: Owner::Way(way), notes, doubt: None });
        true
    }

    /// A column that points into one of several tables, and one that says which; only `known` ones, or guesses too.
    fn polymorphic(&mut self, table: usize, known: bool) -> bool {
        let it = &self.schema.tables[table];
        let Some((points, tells)) = pointer(it, &self.schema.edges[table]) else { return false };
        let name = |c: usize| it.columns[c].name.clone();
        let (class, class_guessed) = self.class(table, None);
        let two = known::is_two_sided(it);
        let ways =
            if two { Vec::new() } else { known::alternatives(self.schema, table, tells, points, self.ways) };
        if known && ways.is_empty() {
            return false;
        }
        if two {
            let why = format!(
                "each row ties two records together ({} with {}, and another pair), of one patient or of two. A rule \
                 can follow one of them only, and rows would be recorded without the other patient: leave it closed, \
                 or give roles a view of the rows of one patient",
                name(tells),
                name(points)
            );
            self.undecided.push(Undecided { table, why, one_key: false });
            return true;
        }
        if is_copy(it) {
            return false;
        }
        let certain = !ways.is_empty();
        let ways = if certain { ways } else { known::guesses(self.schema, table, tells, points, self.ways) };
        let notes = vec![format!("{} says which table {} points to", name(tells), name(points))];
        let doubt = (!certain).then(|| {
            format!(
                "which values {} has, and which table each stands for, cannot be read from the catalog: correct the \
                 values of `is`, remove what is not there, and take the # away",
                name(tells)
            )
        });
        if ways.is_empty() {
            self.undecided(
                table,
                format!("{} seems to say which table {} points to, but none fits", name(tells), name(points)),
            );
            return true;
        }
        self.entries.push(Entry {
            table,
            class,
            class_guessed,
            owner: Owner::When { tells, ways },
            notes,
            doubt,
        });
        true
    }
}

/// A column that points to a row of some table, and the one that says of which: `cost_event_id` and
/// `cost_domain_id`, `commentable_id` and `commentable_type`.
fn pointer(table: &Table<'_>, edges: &[super::schema::Edge]) -> Option<(usize, usize)> {
    const POINTS: [&str; 9] =
        ["event", "fact", "object", "entity", "resource", "record", "target", "parent", "item"];
    const TELLS: [&str; 7] = ["domain", "type", "table", "class", "kind", "field", "model"];
    let has_edge = |i: usize| edges.iter().any(|e| e.column == i && e.source != Source::NameEnd);
    let is_id = |i: usize| {
        let c = &table.columns[i];
        let last = c.words.iter().rev().find(|w| !w.chars().all(|c| c.is_ascii_digit()));
        last.is_some_and(|w| w == "id") && table.key != Some(i) && !has_edge(i)
    };
    (0..table.columns.len()).filter(|i| is_id(*i)).find_map(|points| {
        let stem = table.columns[points].normal.strip_suffix("_id").unwrap_or_default();
        let speaks = any(&table.columns[points].words, &POINTS);
        let tells = (0..table.columns.len()).find(|i| {
            let c = &table.columns[*i];
            let same = c
                .normal
                .strip_prefix(stem)
                .is_some_and(|rest| TELLS.iter().any(|t| rest.strip_prefix('_') == Some(t)));
            *i != points
                && !stem.is_empty()
                && (same || (speaks && any(&c.words, &TELLS) && tells_with(&c.normal)))
        })?;
        Some((points, tells))
    })
}

/// `cost_domain_id`, `domain_concept_id_1`, `entity_type`; not `cost_type_concept_id`, which is a code of its own.
fn tells_with(normal: &str) -> bool {
    normal.contains("domain") || normal.contains("field") || !normal.ends_with("_concept_id")
}

/// Unique columns of tables with one row a patient that hold a number people are known by.
fn identifiers(schema: &Schema<'_>, patient: &Patient, ways: &[Option<Way>]) -> Vec<(usize, usize, Hipaa)> {
    let mut found: Vec<(usize, usize, Hipaa)> = Vec::new();
    for (table, way) in ways.iter().enumerate() {
        let it = &schema.tables[table];
        let direct = way.as_ref().filter(|w| w.hops.is_empty() && it.is_table());
        let Some(way) = direct.filter(|w| table == patient.table || it.columns[w.key].unique) else {
            continue;
        };
        for (i, column) in it.columns.iter().enumerate().filter(|(i, c)| c.unique && *i != way.key) {
            let known = column
                .identifier
                .filter(|h| matches!(h, Hipaa::MedicalRecord | Hipaa::SocialSecurity | Hipaa::HealthPlan));
            found.extend(known.map(|h| (table, i, h)));
        }
    }
    found.sort_by_key(|(table, column, what)| {
        (*what != Hipaa::MedicalRecord, *table != patient.table, *table, *column)
    });
    found
}
