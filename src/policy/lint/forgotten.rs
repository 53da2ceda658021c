//! Relations without an entry: those that a foreign key leads from to a patient were likely
//! forgotten, and all of them are closed to restricted roles.

use std::collections::{BTreeMap, HashMap};

use super::{Level, Lint, is_system_schema};
use crate::catalog::{ForeignKey, Oid, Relation, RelationKind};
use crate::policy::{KeyPath, Step};

impl Lint<'_> {
    /// Unmapped tables from which foreign keys lead to a protected one, with the entry to add.
    pub(super) fn forgotten(&mut self) {
        let mut paths: HashMap<Oid, KeyPath> =
            self.bound.tables.iter().filter_map(|(oid, t)| Some((*oid, t.rule.single()?.clone()))).collect();
        // Each round adds the tables one step further away, so the shortest path is found.
        loop {
            let found: Vec<(Oid, KeyPath)> = self
                .facts
                .foreign_keys
                .iter()
                .filter(|fk| !paths.contains_key(&fk.from) && !self.bound.tables.contains_key(&fk.from))
                .filter_map(|fk| Some((fk.from, self.path_over(fk, paths.get(&fk.to)?)?)))
                .collect();
            if found.is_empty() {
                break;
            }
            for (oid, path) in found {
                self.suggest(oid, &path);
                paths.entry(oid).or_insert(path);
            }
        }
    }

    /// The path of a table whose foreign key leads to one with a path.
    fn path_over(&self, fk: &ForeignKey, onward: &KeyPath) -> Option<KeyPath> {
        let ([column], [references]) = (fk.columns.as_slice(), fk.references.as_slice()) else { return None };
        if onward.steps.is_empty() && *references == onward.key {
            // The column holds the patient key itself: no step is needed.
            return Some(KeyPath { steps: Vec::new(), key: column.clone() });
        }
        let table = self.catalog.relation(fk.to)?.name.clone();
        let mut steps = vec![Step::new(column.clone(), table, references.clone())];
        steps.extend(onward.steps.iter().cloned());
        Some(KeyPath { steps, key: onward.key.clone() })
    }

    fn suggest(&mut self, oid: Oid, path: &KeyPath) {
        let Some(relation) = self.catalog.relation(oid) else { return };
        if self.bound.assignments.contains(&oid)
            || self.bound.broken.contains(&oid)
            || self.bound.denied.contains_key(&oid)
        {
            return;
        }
        let help = format!("[[table]]\nname = \"{}\"\nclass = \"...\"\n{}", relation.name, entry(path));
        if self.bound.reference.contains(&oid) {
            let message = "declared free of patients, but a foreign key leads from it to a protected table";
            self.push(Level::Warning, "reference-of-patients", &relation.name, message, help);
        } else {
            let message = "a foreign key leads from it to a protected table, but it has no [[table]] entry";
            self.push(Level::Warning, "forgotten", &relation.name, message, help);
        }
    }

    /// What restricted roles cannot read for want of an entry, one note a schema.
    pub(super) fn unmapped(&mut self) {
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut views: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for relation in self.catalog.relations.values().filter(|r| self.is_without_entry(r)) {
            let list = match relation.kind {
                RelationKind::Table | RelationKind::PartitionedTable => &mut tables,
                RelationKind::View | RelationKind::MaterializedView | RelationKind::ForeignTable => {
                    &mut views
                }
                RelationKind::Sequence
                | RelationKind::Index
                | RelationKind::CompositeType
                | RelationKind::Toast
                | RelationKind::Other => continue,
            };
            list.entry(relation.name.schema.clone()).or_default().push(relation.name.name.clone());
        }
        for (schema, mut names) in tables {
            names.sort();
            let message = format!("closed to restricted roles (GLS-220), no entry: {}", names.join(", "));
            let help = "add [[table]] entries, or name them in reference.tables";
            self.push(Level::Note, "not-mapped", schema, message, help);
        }
        for (schema, mut names) in views {
            names.sort();
            let message = format!(
                "no entry; restricted roles read views by their definition where it can be guarded, the rest is closed: {}",
                names.join(", ")
            );
            let help = "a view that shows the patient key may have a [[table]] entry of its own";
            self.push(Level::Note, "not-mapped", schema, message, help);
        }
    }

    fn is_without_entry(&self, relation: &Relation) -> bool {
        let oid = relation.oid;
        !is_system_schema(&relation.name.schema)
            && !self.bound.tables.contains_key(&oid)
            && !self.bound.broken.contains(&oid)
            && !self.bound.reference.contains(&oid)
            && !self.bound.assignments.contains(&oid)
            && !self.bound.denied.contains_key(&oid)
    }
}

/// The entry's lines for a path.
fn entry(path: &KeyPath) -> String {
    let steps: Vec<String> = path
        .steps
        .iter()
        .map(|s| {
            format!(
                "{{ column = \"{}\", table = \"{}\", references = \"{}\" }}",
                s.column, s.table, s.references
            )
        })
        .collect();
    let via = if steps.is_empty() { String::new() } else { format!("via = [{}]\n", steps.join(", ")) };
    format!("{via}key = \"{}\"", path.key)
}
