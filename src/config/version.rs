//! The policy's version: what stands in every record, so that an auditor can tell under which
//! rules a statement ran. It depends on the rules only, not on comments, key order or layout.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::catalog::QualifiedName;
use crate::policy::{
    Alternative, Assignment, AssignmentQuery, ColumnCategory, GlassProfile, Hours, Identifier, KeyPath,
    KeyType, Labels, Mask, MaskPreset, Masking, Membership, Network, Outside, Path, Patients, Policy, Role,
    RowCategory, Scope, Seen, Source, Step, TableRule, Terms, Values,
};

/// First 16 hexadecimal digits of the SHA-256 of the policy's canonical form.
pub(super) fn of(policy: &Policy) -> String {
    let digest = Sha256::digest(canonical(policy).as_bytes());
    digest.iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One line a fact, every value length-prefixed so that no two policies share a form. Each type is
/// taken apart by name: a field that is added later must be decided about here.
fn canonical(policy: &Policy) -> String {
    let mut out = Canonical::default();
    let Policy {
        version: _,
        key_type,
        identifiers,
        assignment,
        sources,
        deny,
        labels,
        tables,
        reference,
        roles,
        membership,
        profiles,
        mode,
    } = policy;
    let key_type = match key_type {
        KeyType::Int4 => "int4",
        KeyType::Int8 => "int8",
        KeyType::Text => "text",
        KeyType::Uuid => "uuid",
    };
    out.line("key_type", &[key_type]);
    for Identifier { table, column } in identifiers {
        out.line("identifier", &[&table.to_sql(), column]);
    }
    out.assignment(assignment);
    for source in sources {
        match source {
            Source::Relation(assignment) => out.assignment(assignment),
            Source::Query(AssignmentQuery { sql, .. }) => out.line("query", &[sql]),
        }
    }
    for Labels { relation, patient, column, values } in labels {
        out.line("label", &[&relation.to_sql(), patient, column]);
        out.values(values);
    }
    for name in deny {
        out.line("deny", &[&name.to_sql()]);
    }
    let mut tables: Vec<&TableRule> = tables.iter().collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    tables.into_iter().for_each(|table| out.table(table));
    for name in reference {
        out.line("reference", &[&name.to_sql()]);
    }
    roles.values().for_each(|role| out.role(role));
    let Membership { users, groups, default } = membership;
    for (user, role) in users {
        out.line("user", &[user, role]);
    }
    for (group, role) in groups {
        out.line("group", &[group, role]);
    }
    out.line("default", &default.iter().map(String::as_str).collect::<Vec<_>>());
    profiles.values().for_each(|profile| out.profile(profile));
    out.line("mode", &[mode.as_str()]);
    out.text
}

#[derive(Default)]
struct Canonical {
    text: String,
}

impl Canonical {
    fn line(&mut self, what: &str, values: &[&str]) {
        self.text.push_str(what);
        for value in values {
            let _ = write!(self.text, " {}:{value}", value.len());
        }
        self.text.push('\n');
    }

    fn terms(&mut self, terms: Option<&Terms>) {
        let Some(Terms { networks, certificate, hours, otherwise }) = terms else { return };
        for Network { address, bits } in networks {
            self.line("network", &[&address.to_string(), &bits.to_string()]);
        }
        self.line("certificate", &[if *certificate { "required" } else { "" }]);
        if let Some(Hours { minutes, days, timezone: _, timezone_name }) = hours {
            let (from, to) = minutes.map_or_else(Default::default, |(a, b)| (a.to_string(), b.to_string()));
            self.line("hours", &[&from, &to, timezone_name]);
            let days = days.as_ref().map(|d| d.iter().map(u8::to_string).collect::<Vec<_>>().join(","));
            self.line("days", &[days.as_deref().unwrap_or("every")]);
        }
        self.line("otherwise", &otherwise.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn assignment(&mut self, assignment: &Assignment) {
        let Assignment { relation, principal, patient, valid_from, valid_to } = assignment;
        self.line("assignment", &[&relation.to_sql(), principal, patient]);
        self.line("valid_from", &valid_from.iter().map(String::as_str).collect::<Vec<_>>());
        self.line("valid_to", &valid_to.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn table(&mut self, table: &TableRule) {
        let TableRule { name, class, path, patients, category, column_categories } = table;
        let patients = match patients {
            Patients::Any => "any",
            Patients::All => "all",
        };
        self.line("table", &[&name.to_sql(), class, patients]);
        match category {
            None => {}
            Some(RowCategory::Whole(category)) => self.line("category", &[category]),
            Some(RowCategory::ByValue { column, values, null_is_none }) => {
                self.line("category by", &[column, if *null_is_none { "none" } else { "closed" }]);
                self.values(values);
            }
        }
        for (column, ColumnCategory { category, mask }) in column_categories {
            self.line("column category", &[column, category]);
            self.mask("shown", name, column, Some(mask));
        }
        match path {
            Path::One(path) => self.path(path),
            Path::When(alternatives) => {
                for Alternative { column, is, path } in alternatives {
                    self.line("when", &[column]);
                    self.line("is", &is.iter().map(String::as_str).collect::<Vec<_>>());
                    self.path(path);
                }
            }
        }
    }

    fn values(&mut self, Values { names, none }: &Values) {
        for (value, name) in names {
            self.line("value", &[value, name]);
        }
        for value in none {
            self.line("no name", &[value]);
        }
    }

    fn seen(&mut self, what: &str, seen: &Seen) {
        match seen {
            Seen::All => self.line(what, &["all"]),
            // As if it were not said, as it need not be.
            Seen::Only(names) if names.is_empty() => {}
            Seen::Only(names) => {
                self.line(&format!("some {what}"), &names.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }

    fn path(&mut self, KeyPath { steps, key }: &KeyPath) {
        for Step { column, table, references, many } in steps {
            self.line("step", &[column, &table.to_sql(), references, if *many { "many" } else { "" }]);
        }
        self.line("key", &[key]);
    }

    fn role(&mut self, role: &Role) {
        let Role {
            name,
            scope,
            when,
            outside,
            outside_of,
            denied,
            classes,
            masks,
            masking,
            functions,
            channels,
            break_glass,
            privacy_officer,
            mode,
            rows_withheld,
            categories,
            labels,
            // What follows from the others.
            limited: _,
        } = role;
        let scope = match scope {
            Scope::Assigned => "assigned",
            Scope::All => "all",
            Scope::None => "none",
        };
        let word = |outside: &Outside| match outside {
            Outside::Hide => "hide",
            Outside::Block => "block",
            Outside::Mask => "mask",
        };
        self.line("role", &[name, scope, word(outside), if *privacy_officer { "officer" } else { "" }]);
        self.terms(when.as_ref());
        for (class, outside) in outside_of {
            self.line("outside", &[class, word(outside)]);
        }
        for name in denied {
            self.line("denied", &[&name.to_sql()]);
        }
        match classes {
            None => self.line("every class", &[]),
            Some(classes) => self.line("classes", &classes.iter().map(String::as_str).collect::<Vec<_>>()),
        }
        for (table, columns) in masks {
            for (column, mask) in columns {
                self.mask("mask", table, column, Some(mask));
            }
        }
        let Masking { preset, clear, outside, min_cell } = masking;
        if let Some(least) = min_cell {
            self.line("min_cell", &[&least.to_string()]);
        }
        match preset {
            None => {}
            Some(MaskPreset::SafeHarbor { zip3_small }) => {
                self.line("safe_harbor", &zip3_small.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        for (table, columns) in clear {
            for column in columns {
                self.line("clear", &[&table.to_sql(), column]);
            }
        }
        for (table, columns) in outside {
            for (column, mask) in columns {
                self.mask("outside", table, column, mask.as_ref());
            }
        }
        for function in functions {
            self.line("function", &[&function.to_sql()]);
        }
        for channel in channels {
            self.line("channel", &[channel]);
        }
        self.seen("categories", categories);
        self.seen("labels", labels);
        self.line("role mode", &[mode.as_str(), rows_withheld.as_str()]);
        self.line("break_glass", &break_glass.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn mask(&mut self, what: &str, table: &QualifiedName, column: &str, mask: Option<&Mask>) {
        let (word, arguments) = mask.map_or(("none", Vec::new()), Mask::words);
        let table = table.to_sql();
        let mut values = vec![table.as_str(), column, word];
        values.extend(arguments.iter().map(String::as_str));
        self.line(what, &values);
    }

    fn profile(&mut self, profile: &GlassProfile) {
        let GlassProfile {
            name,
            reasons,
            ttl,
            max_ttl,
            idle_close,
            note_min_chars,
            max_patients,
            max_sessions_per_day,
            categories,
            labels,
        } = profile;
        let times = [ttl, max_ttl, idle_close].map(|d| d.as_millis().to_string());
        let counts = [note_min_chars, max_patients, max_sessions_per_day].map(u32::to_string);
        self.line("profile", &[name]);
        self.line("reasons", &reasons.iter().map(String::as_str).collect::<Vec<_>>());
        self.line("times_ms", &times.each_ref().map(String::as_str));
        self.line("counts", &counts.each_ref().map(String::as_str));
        for (what, names) in [("opens categories", categories), ("opens labels", labels)] {
            if !names.is_empty() {
                self.line(what, &names.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }
}
