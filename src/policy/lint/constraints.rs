//! Constraints that PostgreSQL keeps over rows and columns which a role may not see: a write that fails by one, or does
//! not, tells of them, and a foreign key with an action changes them. Not for what guards can answer.

use std::collections::BTreeMap;

use super::{Level, Lint};
use crate::catalog::{ForeignKey, Oid};
use crate::policy::Access;
use crate::policy::actions::same_patient;

impl Lint<'_> {
    /// Constraints that tie a column which a role sees masked to something that it may write.
    pub(super) fn tied_masks(&mut self) {
        let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for role in self.bound.policy.roles.values() {
            let masked = |oid: Oid, column: &str| match self.bound.access(role, oid) {
                Access::Protected { masks, .. } => masks.own(column).is_some(),
                Access::Free | Access::Denied(_) => false,
            };
            let writes = |oid: Oid| self.facts.writers.contains(&(role.name.to_string(), oid));
            let mut note = |oid: Oid, column: &str, what: String| {
                let Some(relation) = self.catalog.relation(oid) else { return };
                let roles = found.entry((format!("{}.{column}", relation.name), what)).or_default();
                if !roles.contains(&role.name.to_string()) {
                    roles.push(role.name.to_string());
                }
            };
            for c in self.facts.constraints.iter().filter(|c| writes(c.relation)) {
                // A check of one column tells its values of nobody.
                let ties = !c.check || c.columns.len() > 1;
                for column in c.columns.iter().filter(|column| ties && masked(c.relation, column)) {
                    let kind = if c.check { "the check" } else { "the unique index" };
                    note(c.relation, column, format!("{kind} {}", c.name));
                }
            }
            for key in self.facts.foreign_keys.iter().filter(|k| writes(k.from)) {
                let name = |oid| self.catalog.relation(oid).map(|r| r.name.to_string()).unwrap_or_default();
                for (from, to) in key.columns.iter().zip(&key.references) {
                    if masked(key.from, from) {
                        note(key.from, from, format!("its foreign key to {}", name(key.to)));
                    }
                    if masked(key.to, to) {
                        note(key.to, to, format!("the foreign key of {}", name(key.from)));
                    }
                }
            }
        }
        for ((column, what), roles) in found {
            let message =
                format!("masked for {}, who may write what {what} compares it with", roles.join(", "));
            let help = "a write that fails, or does not, confirms a guess of its value: \
                        take the right to write from the role, or the mask off the column";
            self.push(Level::Warning, "mask-tied", &column, message, help);
        }
    }

    /// Foreign keys by which a write to one patient's row changes rows that can be another's.
    pub(super) fn actions(&mut self) {
        let does = |action: &char| match action {
            'c' => Some("CASCADE"),
            'n' => Some("SET NULL"),
            'd' => Some("SET DEFAULT"),
            _ => None,
        };
        for key in &self.facts.foreign_keys {
            let [delete, update] = &key.actions;
            let acts = [("DELETE", does(delete)), ("UPDATE", does(update))];
            let said: Vec<String> =
                acts.iter().filter_map(|(on, does)| Some(format!("ON {on} {}", (*does)?))).collect();
            let decides = self.bound.links.contains_key(&key.from)
                || self.bound.labels.contains(&key.from)
                || self.bound.assignments.contains(&key.from);
            // What said it of a patient who is deleted.
            let own = self.bound.tables.get(&key.to).and_then(|t| t.rule.own_key());
            let gone =
                does(update).is_none() && own.is_some_and(|own| key.references.iter().any(|r| r == own));
            if said.is_empty() || gone && decides || !decides && self.is_of_one_patient(key) {
                continue;
            }
            let (Some(from), Some(to)) = (self.catalog.relation(key.from), self.catalog.relation(key.to))
            else {
                continue;
            };
            let what = match decides {
                true => "who sees whom",
                false => "rows that can be of other patients than the row there",
            };
            let message = format!(
                "{} of its foreign key ({}) to {} changes {what}",
                said.join(" and "),
                key.columns.join(", "),
                to.name
            );
            let help = "a write of a filtered role that would change a row which it may not see so finds no row, \
                        and records are less exact: use NO ACTION, or put the patient key into the foreign key";
            self.push(Level::Warning, "foreign-key-action", &from.name, message, help);
        }
    }

    /// True when one of both tables is nobody's, or a row belongs to the patient of the row that it refers to.
    fn is_of_one_patient(&self, key: &ForeignKey) -> bool {
        let tables = &self.bound.tables;
        let both = tables.contains_key(&key.from) && tables.contains_key(&key.to);
        !both || same_patient(self.bound, self.catalog, key, key.to).is_some()
    }
}
