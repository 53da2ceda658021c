//! Who is assigned to whom, and what is denied: mistakes in the relations that say so.

use std::collections::BTreeSet;

use super::{Level, Lint, types};
use crate::catalog::RelationKind;
use crate::policy::{Assignment, Role, Source};

impl Lint<'_> {
    /// Every source of assignments.
    pub(super) fn assignments(&mut self) {
        let policy = &self.bound.policy;
        for source in policy.all_sources() {
            match source {
                Source::Relation(a) => self.assignment(&a, a == policy.assignment),
                Source::Query(q) => {
                    let subject = q.relations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    let message = "assignments are read by a query: every guarded statement runs it again";
                    let help = "a table with an index over (principal, patient) is faster";
                    self.push(Level::Warning, "assignment-kind", subject, message, help);
                }
            }
        }
    }

    /// Denied tables, and the roles that [deny] makes restricted ones.
    pub(super) fn denied(&mut self) {
        let policy = &self.bound.policy;
        for name in policy.deny.iter().filter(|n| policy.is_assignment(n)) {
            let message = "it is denied, but says who is assigned to whom: guards go on reading it";
            self.push(Level::Note, "denied", name, message, "");
        }
        for (oid, name) in &self.bound.denied {
            let parents = self.catalog.relation(*oid).map(|r| r.parents.clone()).unwrap_or_default();
            let open = parents
                .iter()
                .find(|p| self.bound.tables.contains_key(p) && !self.bound.denied.contains_key(p));
            if let Some(parent) = open.and_then(|p| self.catalog.relation(*p)) {
                let message =
                    format!("it is denied, but its rows are read through its parent {}", parent.name);
                self.push(Level::Error, "denied-part", name, message, "deny the parent, or detach it");
            }
        }
        for role in policy.roles.values() {
            let alone = Role { denied: BTreeSet::new(), ..role.clone() };
            if role.is_restricted() && !alone.is_restricted() {
                let message =
                    "it is restricted because tables are denied to it: what has no entry is closed, too";
                let help = "name the tables in its allow_denied, if it is to read them";
                self.push(Level::Note, "denied", &role.name, message, help);
            }
        }
    }

    fn assignment(&mut self, a: &Assignment, first: bool) {
        let Some(relation) = self.catalog.lookup(&a.relation) else { return };
        if let Some(column) = relation.column(&a.patient) {
            self.key_column(&a.relation, column);
        }
        if let Some(column) = relation.column(&a.principal) {
            let base = self.base_type(column);
            if !types::is_text(base) && base != "name" {
                let message = format!("the principal's column is of type {base}, not text");
                self.push(Level::Error, "principal-type", &a.relation, message, "make it text");
            }
        }
        for name in [&a.valid_from, &a.valid_to].into_iter().flatten() {
            let Some(column) = relation.column(name) else { continue };
            let base = self.base_type(column);
            if base != "timestamp with time zone" {
                // Compared with now(), any other type depends on the TimeZone of the client's session.
                let message =
                    format!("column {name} is of type {base}; a client could move it with SET TimeZone");
                self.push(Level::Error, "validity-type", &a.relation, message, "make it timestamptz");
            }
        }
        let is_table = matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable);
        if !is_table {
            let message = "the assignment relation is no table: every statement runs its query again";
            self.push(Level::Warning, "assignment-kind", &a.relation, message, "keep assignments in a table");
        } else if !self.facts.is_unique(relation.oid, &[&a.principal, &a.patient]) {
            let message = format!("no unique index over ({}, {})", a.principal, a.patient);
            let help = format!(
                "CREATE UNIQUE INDEX ON {} ({}, {});",
                a.relation.to_sql(),
                crate::catalog::quote_ident(&a.principal),
                crate::catalog::quote_ident(&a.patient)
            );
            self.push(Level::Error, "assignment-not-unique", &a.relation, message, help);
        }
        match self.facts.assignment_rows.filter(|_| first) {
            _ if !first => {}
            Some(true) => {}
            Some(false) => {
                let message = "no patient is assigned to anybody: restricted roles see nothing";
                self.push(Level::Warning, "assignment-empty", &a.relation, message, "");
            }
            None => {
                let message = "the service account cannot read the assignment relation";
                let help = format!("GRANT SELECT ON {} TO the service account;", a.relation.to_sql());
                self.push(Level::Error, "assignment-unreadable", &a.relation, message, help);
            }
        }
        if self.facts.row_security.contains(&relation.oid) {
            let message = "row-level security on the assignment relation can hide assignments from guards";
            self.push(Level::Warning, "row-security", &a.relation, message, "");
        }
    }
}
