//! The columns by which it is decided whose rows are whose, kept from one binding of a policy to the next. Rules go by the
//! names of columns; where a name was given to another column while the first is still there, what rests on it is closed
//! until a policy is loaded. Not for masks (see `shown`).

use std::collections::BTreeMap;

use super::{BoundPolicy, Problem, RowCategory, Source};
use crate::catalog::{Catalog, Oid, QualifiedName};

/// The numbers of columns by which it is decided whose rows are whose, or of what category: they, too, go by names.
#[derive(Debug, Clone, Default)]
pub(super) struct Deciding(BTreeMap<(Oid, String), i16>);

/// Columns whose names were given to others, with what is to be said of each.
type Exchanged = BTreeMap<(Oid, String), Problem>;

impl Deciding {
    /// The catalog without the columns that have the name of another which is still there, and what is to be said of each;
    /// `None` where there is none.
    pub(super) fn without_exchanged(&self, catalog: &Catalog) -> Option<(Catalog, Exchanged)> {
        let exchanged = self.0.iter().filter_map(|((oid, name), number)| {
            let relation = catalog.relation(*oid)?;
            let now = relation.column(name).filter(|c| c.attnum != *number)?;
            let before = relation.columns.iter().find(|c| c.attnum == *number)?;
            Some(((*oid, now.name.clone()), is_another(&relation.name, &now.name, &before.name)))
        });
        let exchanged: Exchanged = exchanged.collect();
        if exchanged.is_empty() {
            return None;
        }
        let mut without = catalog.clone();
        for (oid, relation) in &mut without.relations {
            relation.columns.retain(|c| !exchanged.contains_key(&(*oid, c.name.clone())));
        }
        Some((without, exchanged))
    }

    /// Adds what `bound` decides by, where it was not known; what is gone is forgotten.
    pub(super) fn add(&mut self, bound: &BoundPolicy, catalog: &Catalog) {
        let policy = &bound.policy;
        let mut names: Vec<(Oid, &str)> = Vec::new();
        for table in bound.tables.values() {
            let category = match &table.rule.category {
                Some(RowCategory::ByValue { column, .. }) => Some(column.as_str()),
                Some(RowCategory::Whole(_)) | None => None,
            };
            let own = table.rule.owner_columns().into_iter().chain(category);
            names.extend(own.map(|name| (table.oid, name)));
        }
        let oid = |name: &QualifiedName| catalog.lookup(name).map(|r| r.oid);
        for path in policy.tables.iter().flat_map(|rule| rule.paths()) {
            for (i, step) in path.steps.iter().enumerate() {
                let next = path.steps.get(i + 1).map_or(&path.key, |next| &next.column);
                let columns = [step.references.as_str(), next.as_str()];
                names.extend(oid(&step.table).into_iter().flat_map(|oid| columns.map(|name| (oid, name))));
            }
        }
        for labels in &policy.labels {
            let columns = [labels.patient.as_str(), labels.column.as_str()];
            names.extend(oid(&labels.relation).into_iter().flat_map(|oid| columns.map(|name| (oid, name))));
        }
        let sources: Vec<Source> = policy.all_sources().collect();
        for source in &sources {
            let columns = source.columns();
            let oids = source.relations().iter().filter_map(oid);
            names.extend(oids.flat_map(|oid| columns.iter().map(move |name| (oid, *name))));
        }
        let there = |oid: Oid, number: i16| {
            catalog.relation(oid).is_some_and(|r| r.columns.iter().any(|c| c.attnum == number))
        };
        self.0.retain(|(oid, _), number| there(*oid, *number));
        for (oid, name) in names {
            let Some(column) = catalog.relation(oid).and_then(|r| r.column(name)) else { continue };
            self.0.entry((oid, name.to_owned())).or_insert(column.attnum);
        }
    }
}

fn is_another(relation: &QualifiedName, name: &str, before: &str) -> Problem {
    Problem {
        code: "column-exchanged",
        message: format!(
            "{relation}: column {name} is another one than when the policy was loaded, that one is {before} now: what the \
             policy tells by it is closed"
        ),
        help: "give the columns their names back, or, if rows are to be told by this one, reload the configuration (SIGHUP)"
            .to_owned(),
    }
}
