//! Relations that are declared free of patients, but are read with rows that are not.

use super::{Level, Lint};
use crate::catalog::Oid;

impl Lint<'_> {
    /// A partition or child that is protected, or denied, closes what it is read through.
    pub(super) fn reference_parts(&mut self) {
        let bound = self.bound;
        let mut declared: Vec<Oid> = bound.reference.iter().copied().collect();
        declared.sort_unstable();
        for oid in declared.into_iter().filter(|oid| !bound.tables.contains_key(oid)) {
            let Some(relation) = self.catalog.relation(oid) else { continue };
            let not_free = |part: &Oid| {
                bound.tables.contains_key(part)
                    || bound.broken.contains(part)
                    || bound.denied.contains_key(part)
            };
            let family = self.catalog.family(oid);
            let mut parts: Vec<String> = family
                .iter()
                .filter(|part| **part != oid && not_free(part))
                .filter_map(|part| Some(self.catalog.relation(*part)?.name.to_string()))
                .collect();
            if parts.is_empty() {
                continue;
            }
            parts.sort();
            let message = format!(
                "declared free of patients, but rows of {} are read through it: it is closed to restricted roles, \
                 with ONLY as well",
                parts.join(", ")
            );
            let help = "give it a [[table]] entry, or take the part out of it (DETACH PARTITION, NO INHERIT)";
            self.push(Level::Warning, "reference-part", &relation.name, message, help);
        }
    }
}
