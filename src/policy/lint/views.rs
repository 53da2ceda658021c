//! Views, materialized views and foreign tables: which of them can reach a protected table, and what
//! that means where they have no entry, or one that says there is nothing of patients in them.

use std::collections::BTreeSet;

use super::{Level, Lint, is_system_schema};
use crate::catalog::{Oid, Relation, RelationKind};

impl Lint<'_> {
    pub(super) fn views(&mut self) {
        let catalog = self.catalog;
        let mut relations: Vec<&Relation> = catalog.relations.values().collect();
        relations.sort_by(|a, b| a.name.cmp(&b.name));
        for relation in relations {
            if is_system_schema(&relation.name.schema) {
                continue;
            }
            if self.bound.tables.contains_key(&relation.oid) {
                self.view_with_an_entry(relation);
                continue;
            }
            match relation.kind {
                RelationKind::View | RelationKind::MaterializedView => self.view(relation),
                RelationKind::ForeignTable => self.foreign(relation),
                RelationKind::Table
                | RelationKind::PartitionedTable
                | RelationKind::Sequence
                | RelationKind::Index
                | RelationKind::CompositeType
                | RelationKind::Toast
                | RelationKind::Other => {}
            }
        }
    }

    fn view(&mut self, view: &Relation) {
        let reached = self.reached(view.oid);
        if reached.is_empty() {
            return;
        }
        let kept = view.kind == RelationKind::MaterializedView;
        let what = if kept { "keeps rows of" } else { "reads" };
        let names = reached.into_iter().collect::<Vec<_>>().join(", ");
        if self.bound.reference.contains(&view.oid) {
            let message = format!("declared free of patients, but it {what} {names}");
            let help = "restricted roles read it unguarded and unrecorded: give it a [[table]] entry, or make sure \
                        that nothing in it is about one patient";
            self.push(Level::Warning, "view-of-patients", &view.name, message, help);
        } else {
            let message = format!("{what} {names}, and has no entry");
            let help = match kept {
                true => "closed to restricted roles; if it shows the patient key, give it a [[table]] entry",
                false => "if it shows the patient key, a [[table]] entry guards it as a table of its own",
            };
            self.push(Level::Note, "view-of-patients", &view.name, message, help);
        }
    }

    /// A view's own entry stands for what it reads, categories included.
    fn view_with_an_entry(&mut self, view: &Relation) {
        let sensitive = |oid: Oid| {
            let rule = self.bound.tables.get(&oid).map(|t| &t.rule);
            rule.is_some_and(|r| r.category.is_some() || !r.column_categories.is_empty())
        };
        if !matches!(view.kind, RelationKind::View | RelationKind::MaterializedView) || sensitive(view.oid) {
            return;
        }
        let reads = self.facts.views.iter().filter(|(from, read)| *from == view.oid && sensitive(*read));
        let names: BTreeSet<String> =
            reads.filter_map(|(_, read)| Some(self.catalog.relation(*read)?.name.to_string())).collect();
        if names.is_empty() {
            return;
        }
        let message = format!(
            "its entry has no category, but it reads {}, which has one",
            names.into_iter().collect::<Vec<_>>().join(", ")
        );
        let help = "what of a category it shows is open to every role: give its entry the category, too";
        self.push(Level::Warning, "view-of-category", &view.name, message, help);
    }

    fn foreign(&mut self, relation: &Relation) {
        if self.bound.reference.contains(&relation.oid) {
            let message = "declared free of patients, but what a foreign table reads cannot be told here";
            let help = "make sure that nothing of patients is behind it";
            self.push(Level::Note, "foreign-table", &relation.name, message, help);
        }
    }

    /// The protected relations that a view reads, through other views as well.
    fn reached(&self, view: Oid) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let mut seen = BTreeSet::from([view]);
        let mut todo = vec![view];
        while let Some(at) = todo.pop() {
            for (_, read) in self.facts.views.iter().filter(|(from, _)| *from == at) {
                if !seen.insert(*read) {
                    continue;
                }
                let protected = self.bound.tables.contains_key(read) || self.bound.broken.contains(read);
                match self.catalog.relation(*read).filter(|_| protected) {
                    Some(relation) => _ = out.insert(relation.name.to_string()),
                    None => todo.push(*read),
                }
            }
        }
        out
    }
}
