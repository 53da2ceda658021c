//! A policy held against a server, looked at for mistakes: what does not hold, what was likely
//! forgotten, what would slow every statement down. Pure: catalog and facts in, findings out.
//! `pgglass check` prints them, and the proxy does not start while there is an error.

mod assignment;
mod constraints;
mod forgotten;
mod masks;
mod reference;
mod types;
mod views;

pub(crate) use types::family as column_family;

use std::collections::BTreeSet;

use super::settled::{HELP_OF_VIEWS, unsettled_way};
use super::{BoundPolicy, KeyPath, Scope, Step, TableRule};
use crate::catalog::{Catalog, Column, Facts, Oid, QualifiedName, Relation, RelationKind};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The proxy does not start.
    Error,
    /// Somebody should look.
    Warning,
    /// Worth knowing; nothing to do.
    Note,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        })
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// What kind, a stable word for programs: `key-type`, `not-unique` ...
    pub code: &'static str,
    /// The relation, column or role it is about.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Looks at a bound policy. Errors first, then warnings, then notes; each by subject.
pub fn lint(bound: &BoundPolicy, catalog: &Catalog, facts: &Facts) -> Vec<Finding> {
    let mut lint = Lint { bound, catalog, facts, findings: Vec::new() };
    lint.problems();
    lint.assignments();
    lint.labels();
    lint.denied();
    lint.reference_parts();
    for table in &bound.policy.tables {
        lint.table(table);
    }
    lint.identifiers();
    lint.masks();
    lint.masks_outside();
    lint.presets();
    lint.computed();
    lint.tied_masks();
    lint.actions();
    lint.members();
    lint.rights();
    lint.forgotten();
    lint.unmapped();
    lint.views();
    lint.server();
    let mut findings = lint.findings;
    findings.sort();
    findings.dedup();
    findings
}

struct Lint<'a> {
    bound: &'a BoundPolicy,
    catalog: &'a Catalog,
    facts: &'a Facts,
    findings: Vec<Finding>,
}

/// Schemas of the server's own.
pub(crate) fn is_system_schema(schema: &str) -> bool {
    schema == "information_schema" || schema.starts_with("pg_")
}

impl<'a> Lint<'a> {
    fn push(
        &mut self,
        level: Level,
        code: &'static str,
        subject: impl ToString,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help: String = help.into();
        self.findings.push(Finding {
            level,
            code,
            subject: subject.to_string(),
            message: message.into(),
            help: (!help.is_empty()).then_some(help),
        });
    }

    /// Label relations: the key's type, what reads them, an index.
    fn labels(&mut self) {
        let policy = &self.bound.policy;
        for labels in &policy.labels {
            let Some(relation) = self.catalog.lookup(&labels.relation) else { continue };
            if let Some(column) = relation.column(&labels.patient) {
                self.key_column(&labels.relation, column);
            }
            if self.facts.row_security.contains(&relation.oid) {
                let message = "row-level security on a label relation can hide labels from guards";
                self.push(Level::Warning, "row-security", &labels.relation, message, "");
            }
        }
    }

    /// What did not bind. A misspelt `reference` only closes a table that was meant to be open.
    fn problems(&mut self) {
        // `masks` says by role and column what is wrong with the names of masks.
        for problem in self.bound.problems.iter().filter(|p| p.code != "mask-column") {
            let level =
                if problem.message.starts_with("reference table") { Level::Warning } else { Level::Error };
            self.push(level, problem.code, "", &problem.message, &problem.help);
        }
    }

    fn table(&mut self, rule: &TableRule) {
        let Some(relation) = self.catalog.lookup(&rule.name) else { return };
        rule.paths().for_each(|path| self.path(rule, path, relation));
        self.other_ways(rule);
        if let Some((view, what)) = unsettled_way(rule, self.catalog) {
            let message = format!(
                "its way leads over view {view}, which rests on {what}: if that decides whose a row is, a client can move it \
                 by its settings (SET TimeZone, DateStyle ...) or by what it creates"
            );
            self.push(Level::Warning, "way-settings", &rule.name, message, HELP_OF_VIEWS);
        }
        let triggers = self.facts.triggers.get(&relation.oid).cloned().unwrap_or_default();
        if !triggers.is_empty() {
            let message = format!("triggers or rules: {}", triggers.join(", "));
            let help = "they run with rights of their own and may copy rows to where no guard is; \
                        writes of restricted roles to this table are refused unless you have looked at them";
            self.push(Level::Warning, "triggers", &rule.name, message, help);
        }
    }

    /// Tables on the way whose rows are somebody's in another way: what leads onward there is checked by nothing.
    fn other_ways(&mut self, rule: &TableRule) {
        let ways = rule.other_ways(&self.bound.tables, self.catalog);
        let ways: Vec<(String, &QualifiedName)> =
            ways.filter(|(step, _)| !step.many).map(|(s, t)| (s.references.clone(), &t.name)).collect();
        for (references, name) in ways {
            let columns = self.catalog.lookup(name).and_then(|r| self.bound.links.get(&r.oid));
            let columns: Vec<&str> = columns.into_iter().flatten().map(String::as_str).collect();
            let message = format!(
                "its way leads over {name}.{references}, whose rows are somebody's in another way by their own entry"
            );
            let help = format!(
                "let the way end as that of {name} does; until then roles that are filtered may not write {} there",
                columns.join(", ")
            );
            self.push(Level::Warning, "other-way", &rule.name, message, help);
        }
    }

    fn path(&mut self, rule: &TableRule, path: &KeyPath, relation: &Relation) {
        let mut at = relation;
        for step in &path.steps {
            let Some(next) = self.catalog.lookup(&step.table) else { return };
            if let (Some(from), Some(to)) = (at.column(&step.column), next.column(&step.references)) {
                self.step(rule, step.many, (at, from), (next, to));
                self.orphans(step, at, next);
            }
            if self.bound.reference.contains(&next.oid) {
                let message =
                    format!("{} decides whose its rows are, but is declared free of patients", next.name);
                let help =
                    "a restricted role that can write there helps itself to rows: give it a [[table]] entry";
                self.push(Level::Error, "step-open", &rule.name, message, help);
            }
            at = next;
        }
        if let Some(column) = at.column(&path.key) {
            self.key_column(&at.name, column);
        }
    }

    /// Rows that lead nowhere yet can be there, and whoever inserts what they lead to has them.
    fn orphans(&mut self, step: &Step, from: &Relation, to: &Relation) {
        let (kin, over) = (self.catalog.kin(from.oid), self.catalog.kin(to.oid));
        let held = self.facts.foreign_keys.iter().any(|key| {
            let pair = key.columns.iter().zip(&key.references);
            kin.contains(&key.from)
                && over.contains(&key.to)
                && pair.into_iter().any(|(c, r)| *c == step.column && *r == step.references)
        });
        let is_table = matches!(to.kind, RelationKind::Table | RelationKind::PartitionedTable);
        if step.many || held || !is_table {
            return;
        }
        let message = format!(
            "no foreign key holds {} to {}.{}: a row whose {} is not there yet is nobody's, and becomes that of \
             whoever inserts it",
            step.column, to.name, step.references, step.references
        );
        let help = format!(
            "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({})",
            from.name.to_sql(),
            crate::catalog::quote_ident(&step.column),
            to.name.to_sql(),
            crate::catalog::quote_ident(&step.references)
        );
        self.push(Level::Note, "no-foreign-key", &from.name, message, help);
    }

    /// A step must reach at most one row unless it says otherwise, and its two columns must compare.
    fn step(&mut self, rule: &TableRule, many: bool, from: (&Relation, &Column), to: (&Relation, &Column)) {
        let (from_type, to_type) = (self.base_type(from.1).to_owned(), self.base_type(to.1).to_owned());
        if types::family(&from_type) != types::family(&to_type) {
            let message = format!(
                "{}.{} ({from_type}) cannot be compared with {}.{} ({to_type})",
                from.0.name, from.1.name, to.0.name, to.1.name
            );
            self.push(Level::Error, "step-type", &rule.name, message, "both columns must be of one type");
        }
        match (self.facts.is_unique(to.0.oid, &[&to.1.name]), many) {
            (true, false) => return,
            (true, true) => {
                let message = format!("{}.{} is unique: many = true costs time here", to.0.name, to.1.name);
                self.push(Level::Warning, "many-of-one", &rule.name, message, "remove many = true");
                return;
            }
            (false, true) => return,
            (false, false) => {}
        }
        let is_table = matches!(to.0.kind, RelationKind::Table | RelationKind::PartitionedTable);
        let message =
            format!("{}.{} is not unique: a row could reach several patients", to.0.name, to.1.name);
        if is_table {
            let help = format!(
                "CREATE UNIQUE INDEX ON {} ({}); or, if it is meant to, set many = true in this step",
                to.0.name.to_sql(),
                crate::catalog::quote_ident(&to.1.name)
            );
            self.push(Level::Error, "not-unique", &rule.name, message, help);
        } else {
            let message = format!("{}.{} cannot be shown to be unique (no table)", to.0.name, to.1.name);
            self.push(Level::Warning, "not-unique", &rule.name, message, "lead the path over tables");
        }
    }

    fn key_column(&mut self, relation: &QualifiedName, column: &Column) {
        let base = self.base_type(column);
        if !types::fits_key(self.bound.policy.key_type, base) {
            let message = format!(
                "patient key column {} is of type {base}; patient.key_type is {}",
                column.name,
                self.bound.policy.key_type.sql().trim_start_matches("pg_catalog.")
            );
            self.push(Level::Error, "key-type", relation, message, "all key columns must be of one type");
        }
    }

    fn identifiers(&mut self) {
        let policy = &self.bound.policy;
        for identifier in &policy.identifiers {
            let Some(relation) = self.catalog.lookup(&identifier.table) else { continue };
            let subject = format!("{}.{}", identifier.table, identifier.column);
            let Some(column) = relation.column(&identifier.column) else {
                let message = "the identifier's column does not exist";
                self.push(Level::Error, "does-not-exist", &subject, message, "correct patient.identifiers");
                continue;
            };
            let type_sql = column.domain_base.as_deref().unwrap_or(&column.type_sql);
            if reads_by_settings(type_sql) {
                let message = format!(
                    "what a value of type {type_sql} means depends on the session's settings (DateStyle, TimeZone, \
                     IntervalStyle, lc_monetary): the proxy would look up another patient than the client names"
                );
                let hint = "name patients by a column of a text, number or uuid type";
                self.push(Level::Error, "identifier-type", &subject, message, hint);
            } else if !self.facts.is_unique(relation.oid, &[&identifier.column]) {
                let message = "the identifier is not unique: a value that names two patients is refused";
                self.push(Level::Warning, "identifier-not-unique", &subject, message, "");
            }
        }
    }

    /// Users and groups of the configuration that the server does not know.
    fn members(&mut self) {
        let policy = &self.bound.policy;
        let users = policy.membership.users.keys().map(|u| (u, "user"));
        let groups = policy.membership.groups.iter().map(|(g, _)| (g, "group"));
        let missing: Vec<_> = users.chain(groups).filter(|(n, _)| !self.facts.roles.contains(*n)).collect();
        for (name, what) in missing {
            let message = format!("there is no such {what} among the database's roles");
            self.push(Level::Warning, "no-such-role", name, message, "names are case-sensitive");
        }
    }

    /// Guards run with the client's own rights, so every relation they read must be readable to it.
    fn rights(&mut self) {
        for (role, relation) in &self.facts.unreadable {
            let Some(relation) = self.catalog.relation(*relation) else { continue };
            let message = format!("database role {role} cannot read it, but the guards of its statements do");
            let help = format!(
                "GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT ON {} TO {role};",
                crate::catalog::quote_ident(&relation.name.schema),
                relation.name.to_sql(),
                role = crate::catalog::quote_ident(role),
            );
            self.push(Level::Warning, "guard-rights", &relation.name, message, help);
        }
    }

    fn server(&mut self) {
        let encryption = self.facts.password_encryption.as_str();
        if encryption != "scram-sha-256" {
            let message = format!("password_encryption is {encryption}; only SCRAM verifiers can be used");
            let help = "ALTER SYSTEM SET password_encryption = 'scram-sha-256', then have passwords set anew";
            self.push(Level::Error, "password-encryption", "server", message, help);
        }
    }

    /// The SQL name of a column's type without modifier, a domain's base type instead of the domain.
    fn base_type<'c>(&'c self, column: &'c Column) -> &'c str {
        match self.facts.domains.get(&column.type_oid) {
            Some(domain) => &domain.base_sql,
            None => super::mask::without_modifier(&column.type_sql),
        }
    }
}

impl BoundPolicy {
    /// The database roles whose statements get guards, and the relations those guards read: what
    /// [`crate::catalog::facts`] is asked about.
    pub fn guard_readers(&self, catalog: &Catalog) -> (Vec<String>, Vec<Oid>) {
        let policy = &self.policy;
        let is_guarded = |role: &String| {
            policy
                .roles
                .get(role)
                .is_some_and(|r| r.scope == Scope::Assigned || (r.scope == Scope::All && r.limited))
        };
        let users = policy.membership.users.iter().filter(|(_, role)| is_guarded(role)).map(|(u, _)| u);
        let groups = policy.membership.groups.iter().filter(|(_, role)| is_guarded(role)).map(|(g, _)| g);
        let mut relations: BTreeSet<Oid> = self.assignments.iter().copied().collect();
        for step in policy.tables.iter().flat_map(TableRule::steps) {
            relations.extend(catalog.lookup(&step.table).map(|r| r.oid));
        }
        relations.extend(policy.labels.iter().filter_map(|l| Some(catalog.lookup(&l.relation)?.oid)));
        (users.chain(groups).cloned().collect(), relations.into_iter().collect())
    }
}

/// True for types of which one text is another value under other settings of the session.
fn reads_by_settings(type_sql: &str) -> bool {
    let zoned_time = type_sql.starts_with("time") && type_sql.contains("with time zone");
    let of = ["date", "timestamp", "interval", "money", "tsrange", "tsmultirange", "tstz"];
    zoned_time || of.iter().any(|head| type_sql.starts_with(head))
}
