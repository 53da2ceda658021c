//! Relations without a way to a patient: lists that everyone may read when that is likely, else questions.

use std::collections::BTreeSet;

use super::found::{Reference, Sorter};
use super::schema::{Source, Table};
use super::staff::{has_secrets, is_place, is_staff};
use super::words::any;
use crate::catalog::{RelationKind, Survey};
use crate::policy::HipaaIdentifier as Hipaa;

impl Sorter<'_> {
    /// What is left: lists that everyone may read when that is likely, else questions.
    pub(super) fn without_patients(&mut self, rest: Vec<usize>, survey: &Survey) -> Vec<Reference> {
        let mut open: BTreeSet<usize> = BTreeSet::new();
        for table in rest.iter().copied().filter(|t| self.schema.tables[*t].is_table()) {
            match self.against(table) {
                Some(why) => self.undecided(table, why),
                None => {
                    open.insert(table);
                }
            }
        }
        let taken: BTreeSet<usize> = self.entries.iter().map(|e| e.table).collect();
        // A table is a list when tables of patients or other lists point to it, or when all it points to are lists.
        let mut reference: Vec<Reference> = Vec::new();
        let mut lists: BTreeSet<usize> = BTreeSet::new();
        loop {
            let found: Vec<(usize, String)> = open
                .iter()
                .filter(|t| !lists.contains(t))
                .filter_map(|t| Some((*t, self.is_list(*t, &taken, &lists)?)))
                .collect();
            if found.is_empty() {
                break;
            }
            for (table, why) in found {
                lists.insert(table);
                let it = &self.schema.tables[table];
                let addresses = it
                    .columns
                    .iter()
                    .filter_map(|c| c.identifier)
                    .any(|i| matches!(i, Hipaa::Geography | Hipaa::Zip | Hipaa::FreeText));
                let doubt = match (is_staff(it), is_place(it), addresses) {
                    (true, ..) => "people who work there, not patients?",
                    (_, true, _) => "places, not where patients live?",
                    (.., true) => "it has places or free text, of no patient?",
                    _ => "",
                };
                let why = if doubt.is_empty() { why } else { format!("{doubt} {why}") };
                reference.push(Reference { table, why, doubt: !doubt.is_empty() });
            }
        }
        for table in open.difference(&lists) {
            self.undecided(
                *table,
                "nothing leads from it to a patient or from a patient to it, and its name does not say what it is",
            );
        }
        self.views_without_key(&rest, survey, &mut lists, &mut reference);
        reference.sort_by_key(|r| r.table);
        reference
    }

    /// Why a table without a way may still hold patients.
    fn against(&self, table: usize) -> Option<String> {
        let it = &self.schema.tables[table];
        if has_secrets(it) {
            return Some(
                "has a column for passwords or tokens: nobody needs it through the proxy".to_owned(),
            );
        }
        let patient = it.columns.iter().find(|c| {
            any(&c.words, &["patient", "person", "mrn", "ssn"])
                && !any(&c.words, &["count", "type", "paid", "concept", "contact"])
                && !is_staff(it)
        });
        if let Some(column) = patient {
            return Some(format!(
                "{} speaks of a patient, but no table has a key of that name and type: a key that is written \
                 differently, or a copy",
                column.name
            ));
        }
        if is_staff(it) || is_place(it) {
            return None;
        }
        let is_key = |i: usize| it.key == Some(i) || self.schema.edges[table].iter().any(|e| e.column == i);
        let strong = it.columns.iter().enumerate().filter(|(i, _)| !is_key(*i)).find_map(|(_, c)| {
            let found = c.identifier.filter(|i| {
                matches!(
                    i,
                    Hipaa::SocialSecurity
                        | Hipaa::MedicalRecord
                        | Hipaa::HealthPlan
                        | Hipaa::BirthDate
                        | Hipaa::Phone
                        | Hipaa::Fax
                        | Hipaa::Email
                        | Hipaa::Photo
                        | Hipaa::Biometric
                        | Hipaa::IpAddress
                )
            })?;
            Some(format!("no way leads from it to a patient, but {} looks like {}", c.name, found.describe()))
        });
        let document = || {
            let c =
                it.columns.iter().find(|c| matches!(c.base.as_str(), "json" | "jsonb" | "xml" | "bytea"))?;
            Some(format!("no way leads from it to a patient, but {} ({}) can hold anything", c.name, c.base))
        };
        let kept = || is_copy(it).then(|| "by its name it may hold copies of other tables' rows".to_owned());
        let composite = || {
            let (_, to, columns) = self.schema.composite.iter().find(|(from, ..)| *from == table)?;
            Some(format!(
                "its foreign key of several columns ({}) leads to {}: a rule follows one column. A view or a \
                 generated column with the patient key would do",
                columns.join(", "),
                self.schema.tables[*to].relation.name
            ))
        };
        strong.or_else(composite).or_else(document).or_else(kept)
    }

    fn is_list(&self, table: usize, taken: &BTreeSet<usize>, lists: &BTreeSet<usize>) -> Option<String> {
        let it = &self.schema.tables[table];
        let counts = |source: Source, name: &str| match source {
            Source::ForeignKey => format!("foreign key of {name}"),
            Source::Name | Source::NameEnd => format!("{name} has its key's name"),
        };
        let from = self.schema.edges.iter().enumerate().find_map(|(child, edges)| {
            let edge = edges.iter().find(|e| e.to == table && child != table)?;
            (taken.contains(&child) || lists.contains(&child))
                .then(|| counts(edge.source, &self.schema.tables[child].relation.name.to_string()))
        });
        let edges = &self.schema.edges[table];
        let onward = || {
            let others: BTreeSet<usize> = edges.iter().map(|e| e.to).filter(|t| *t != table).collect();
            (!others.is_empty() && others.iter().all(|t| lists.contains(t)))
                .then(|| "all it leads to are lists".to_owned())
        };
        let named = || {
            const LISTS: [&str; 23] = [
                "vocabulary",
                "concept",
                "code",
                "lookup",
                "dictionary",
                "dict",
                "ref",
                "reference",
                "type",
                "status",
                "category",
                "domain",
                "unit",
                "drug",
                "loinc",
                "icd",
                "snomed",
                "rxnorm",
                "atc",
                "icd10",
                "catalog",
                "d",
                "terminology",
            ];
            (any(&it.words, &LISTS) || is_place(it)).then(|| "its name".to_owned())
        };
        from.or_else(onward).or_else(named)
    }

    /// Views that show no key: of lists they are lists, of patients they are closed.
    fn views_without_key(
        &mut self,
        rest: &[usize],
        survey: &Survey,
        lists: &mut BTreeSet<usize>,
        reference: &mut Vec<Reference>,
    ) {
        let mut views: Vec<usize> =
            rest.iter().copied().filter(|t| !self.schema.tables[*t].is_table()).collect();
        loop {
            let found: Vec<usize> = views
                .iter()
                .copied()
                .filter(|v| {
                    let reads = survey.view_reads.get(&self.schema.tables[*v].relation.oid);
                    reads.is_some_and(|reads| {
                        reads.iter().all(|oid| self.schema.by_oid.get(oid).is_some_and(|t| lists.contains(t)))
                    })
                })
                .collect();
            if found.is_empty() {
                break;
            }
            for view in found {
                views.retain(|v| *v != view);
                lists.insert(view);
                reference.push(Reference { table: view, why: "a view of lists".to_owned(), doubt: false });
            }
        }
        for view in views {
            let it = &self.schema.tables[view];
            let reads: Vec<String> = survey
                .view_reads
                .get(&it.relation.oid)
                .into_iter()
                .flatten()
                .filter_map(|oid| self.schema.by_oid.get(oid))
                .map(|t| self.schema.tables[*t].relation.name.to_string())
                .collect();
            let why = match it.relation.kind {
                RelationKind::ForeignTable => {
                    "a foreign table without a column of the patient key's name".to_owned()
                }
                _ if reads.is_empty() => "a view without the patient key".to_owned(),
                _ => format!("a view that reads {} and does not show the patient key", reads.join(", ")),
            };
            self.undecided(view, why);
        }
    }
}

/// Tables that are filled from others.
pub(super) fn is_copy(table: &Table<'_>) -> bool {
    const COPIES: [&str; 13] = [
        "audit", "log", "history", "archive", "backup", "staging", "stage", "tmp", "temp", "import", "queue",
        "old", "copy",
    ];
    any(&table.words, &COPIES)
}
