//! What decides whose rows are whose beyond a row's own way to its patient: a role that is filtered may not write it,
//! or it would help itself to rows. Which columns a row's own way begins with is for the check of the row written.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{BoundTable, KeyPath, Path, Patients, Policy, Step, TableRule};
use crate::catalog::{Catalog, Oid, Relation};

/// What filtered roles may not write.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    /// Columns whose value makes rows of other tables a patient's, or a patient somebody's.
    pub(super) columns: HashMap<Oid, BTreeSet<String>>,
    /// Relations out of which no row may go: it would take a label off.
    pub(super) labels: HashSet<Oid>,
    /// Every relation that says who is assigned to whom or which labels patients have, behind views, too.
    pub(super) tellers: HashSet<Oid>,
}

impl Links {
    /// The links of a policy whose rules hold for `tables`.
    pub(super) fn of(policy: &Policy, tables: &HashMap<Oid, BoundTable>, catalog: &Catalog) -> Self {
        let mut links = Links::default();
        for rule in &policy.tables {
            rule.paths().for_each(|path| links.way(rule, path, tables, catalog));
        }
        for labels in &policy.labels {
            let Some(relation) = catalog.lookup(&labels.relation) else { continue };
            let mut columns = BTreeSet::from([labels.column.clone()]);
            // Its own key is checked with every row that is written.
            if tables.get(&relation.oid).and_then(|t| t.rule.own_key()) != Some(&labels.patient) {
                columns.insert(labels.patient.clone());
            }
            links.labels.insert(relation.oid);
            links.labels.extend(reads(catalog, relation.oid).into_keys());
            links.add(relation, columns, catalog);
        }
        links.tellers.extend(links.labels.iter().copied());
        for source in policy.all_sources() {
            let columns = source.columns();
            for relation in source.relations().iter().filter_map(|name| catalog.lookup(name)) {
                let read = relation.columns.iter().filter(|c| columns.contains(&c.name.as_str()));
                links.tellers.insert(relation.oid);
                links.tellers.extend(reads(catalog, relation.oid).into_keys());
                links.add(relation, read.map(|c| c.name.clone()).collect(), catalog);
            }
        }
        links.spread(catalog);
        links.raise(catalog);
        links
    }

    /// Columns of a relation, and what it is made of where it is a view.
    fn add(&mut self, relation: &Relation, columns: BTreeSet<String>, catalog: &Catalog) {
        self.columns.entry(relation.oid).or_default().extend(columns);
        for (oid, read) in reads(catalog, relation.oid) {
            self.columns.entry(oid).or_default().extend(read);
        }
    }

    /// The columns on a row's way that other rows' own checks leave open.
    fn way(
        &mut self,
        rule: &TableRule,
        path: &KeyPath,
        tables: &HashMap<Oid, BoundTable>,
        catalog: &Catalog,
    ) {
        for (i, step) in path.steps.iter().enumerate() {
            let Some(relation) = catalog.lookup(&step.table) else { continue };
            let table = tables.get(&relation.oid);
            let checked = table.is_some_and(|t| goes_the_same_way(rule, path, i, &t.rule));
            let mut columns = BTreeSet::new();
            if step.many || !checked {
                columns.insert(step.references.clone());
            }
            if !checked {
                columns.insert(path.steps.get(i + 1).map_or(&path.key, |s| &s.column).clone());
            }
            match table {
                _ if columns.is_empty() => {}
                // What it is made of has checks of its own, or none.
                Some(_) => self.columns.entry(relation.oid).or_default().extend(columns),
                None => self.add(relation, columns, catalog),
            }
        }
    }

    /// Partitions and children have the columns of what they are parts of, and a row that is written to the whole can be
    /// one of a part.
    fn spread(&mut self, catalog: &Catalog) {
        let columns: Vec<(Oid, BTreeSet<String>)> =
            self.columns.iter().map(|(oid, columns)| (*oid, columns.clone())).collect();
        for (oid, columns) in columns {
            for kin in catalog.kin(oid) {
                self.columns.entry(kin).or_default().extend(columns.iter().cloned());
            }
        }
        for relations in [&mut self.labels, &mut self.tellers] {
            let kin: Vec<Oid> = relations.iter().flat_map(|oid| catalog.kin(*oid)).collect();
            relations.extend(kin);
        }
    }

    /// A view through which such columns may be written has none that may.
    fn raise(&mut self, catalog: &Catalog) {
        for view in catalog.view_reads.keys() {
            let read = reads(catalog, *view);
            let decides = |(oid, read): (&Oid, &BTreeSet<String>)| {
                self.labels.contains(oid) || self.columns.get(oid).is_some_and(|c| !c.is_disjoint(read))
            };
            if !read.iter().any(decides) {
                continue;
            }
            if read.keys().any(|oid| self.labels.contains(oid)) {
                self.labels.insert(*view);
            }
            let all = catalog.relation(*view).into_iter().flat_map(|r| &r.columns);
            self.columns.entry(*view).or_default().extend(all.map(|c| c.name.clone()));
        }
    }
}

/// True when the way of `rule` goes on, behind its step `i`, as the rows of the table reached there go to their
/// patients by `next`, their own rule: whoever writes one of those is held to it.
fn goes_the_same_way(rule: &TableRule, path: &KeyPath, i: usize, next: &TableRule) -> bool {
    let onward = shortest(path.steps.get(i + 1..).unwrap_or_default(), &path.key);
    let Path::One(own) = &next.path else { return false };
    // A row of which all patients have to be the user's can be shown by moving one that any of them shows.
    let as_strict = !own.is_many() || rule.patients == Patients::Any || next.patients == Patients::All;
    as_strict && onward == shortest(&own.steps, &own.key)
}

/// A way without the steps that end at the very value they begin with: `patient_id = patient.id`, key `id`.
fn shortest<'p>(mut steps: &'p [Step], mut key: &'p str) -> (&'p [Step], &'p str) {
    while let Some((last, before)) =
        steps.split_last().filter(|(last, _)| !last.many && last.references == key)
    {
        (steps, key) = (before, &last.column);
    }
    (steps, key)
}

/// The columns that a view is made of, through other views: all of a relation where it says none. Empty for a table.
pub(super) fn reads(catalog: &Catalog, view: Oid) -> HashMap<Oid, BTreeSet<String>> {
    let mut found: HashMap<Oid, BTreeSet<String>> = HashMap::new();
    let (mut todo, mut seen) = (vec![view], HashSet::from([view]));
    while let Some(view) = todo.pop() {
        for (oid, column) in catalog.view_reads.get(&view).into_iter().flatten() {
            let all = || catalog.relation(*oid).into_iter().flat_map(|r| &r.columns).map(|c| c.name.clone());
            let columns = found.entry(*oid).or_default();
            match column {
                Some(column) => _ = columns.insert(column.clone()),
                None => columns.extend(all()),
            }
            if seen.insert(*oid) {
                todo.push(*oid);
            }
        }
    }
    found
}

impl TableRule {
    /// The tables on this rule's way whose own rule goes another way to the patient, with that table's rule.
    pub(super) fn other_ways<'a>(
        &'a self,
        tables: &'a HashMap<Oid, BoundTable>,
        catalog: &'a Catalog,
    ) -> impl Iterator<Item = (&'a Step, &'a BoundTable)> {
        self.paths().flat_map(move |path| {
            path.steps.iter().enumerate().filter_map(move |(i, step)| {
                let table = tables.get(&catalog.lookup(&step.table)?.oid)?;
                (!goes_the_same_way(self, path, i, &table.rule)).then_some((step, table))
            })
        })
    }
}
