//! What each role sees of each protected table, in words.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::policy::{
    Access, BoundPolicy, DAYS, Denial, KeyPath, Labels, Mask, Path, Patients, Policy, Role, Source, TableRule,
};

/// One protected table.
#[derive(Debug, Serialize)]
pub(super) struct TableView {
    table: String,
    class: String,
    path: String,
    /// Role to what it sees.
    roles: BTreeMap<String, RoleView>,
    /// Partitions and inheritance children that follow this table's rule.
    children: Vec<String>,
}

/// What one role sees of a table.
#[derive(Debug, Serialize)]
struct RoleView {
    /// `all`, `hide`, `block` or `none`.
    rows: &'static str,
    /// Why `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    /// What of the rows is hidden beyond that, if anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    closed: Vec<String>,
    /// Column to mask.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    masks: BTreeMap<String, String>,
}

/// What holds beside the tables: sources of assignments, denied tables, place and time of roles.
pub(super) fn rules(policy: &Policy) -> Vec<String> {
    let mut out = Vec::new();
    if !policy.sources.is_empty() {
        let sources: Vec<String> = policy
            .all_sources()
            .map(|s| match s {
                Source::Relation(a) => a.relation.to_string(),
                Source::Query(q) => {
                    let names: Vec<String> = q.relations.iter().map(ToString::to_string).collect();
                    format!("a query of {}", names.join(", "))
                }
            })
            .collect();
        out.push(format!("a patient is assigned if one of these says so: {}", sources.join("; ")));
    }
    for name in &policy.deny {
        let open = policy.roles.values().filter(|r| !r.denied.contains(name)).map(|r| r.name.to_string());
        let open: Vec<String> = open.collect();
        let but = if open.is_empty() { String::new() } else { format!(" but {}", open.join(", ")) };
        out.push(format!("{name} is denied to every role{but}"));
    }
    for Labels { relation, patient, column, .. } in &policy.labels {
        out.push(format!("{relation}.{column} says which labels the patient in {patient} has"));
    }
    out.extend(policy.roles.values().filter_map(terms));
    out
}

/// Place and time of a role in words.
pub(super) fn terms(role: &Role) -> Option<String> {
    let terms = role.when.as_ref()?;
    let mut words = Vec::new();
    if !terms.networks.is_empty() {
        let networks = terms.networks.iter().map(|n| format!("{}/{}", n.address, n.bits));
        words.push(format!("from {}", networks.collect::<Vec<_>>().join(", ")));
    }
    if terms.certificate {
        words.push("with a client certificate".to_owned());
    }
    if let Some(hours) = &terms.hours {
        let clock = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
        words.extend(hours.minutes.map(|(from, to)| format!("from {} to {}", clock(from), clock(to))));
        if let Some(days) = &hours.days {
            let names = DAYS.iter().filter(|(_, n)| days.contains(n)).map(|(word, _)| *word);
            words.push(format!("on {}", names.collect::<Vec<_>>().join(", ")));
        }
        words.push(format!("by the clock of {}", hours.timezone_name));
    }
    let otherwise = match &terms.otherwise {
        Some(other) => format!("otherwise it is role {other}"),
        None => "otherwise nothing is run (GLS-209)".to_owned(),
    };
    Some(format!("role {} holds {}; {otherwise}", role.name, words.join(", ")))
}

/// The protected tables in order of name.
pub(super) fn tables(bound: &BoundPolicy) -> Vec<TableView> {
    let mut out: Vec<TableView> = bound.policy.tables.iter().filter_map(|rule| table(bound, rule)).collect();
    out.sort_by(|a, b| a.table.cmp(&b.table));
    out
}

fn table(bound: &BoundPolicy, rule: &TableRule) -> Option<TableView> {
    let of_rule = || bound.tables.values().filter(|t| t.rule.name == rule.name);
    let oid = of_rule().find(|t| t.name == rule.name)?.oid;
    let mut children: Vec<String> = of_rule().filter(|t| t.oid != oid).map(|t| t.name.to_string()).collect();
    children.sort();
    Some(TableView {
        table: rule.name.to_string(),
        class: rule.class.clone(),
        path: path(rule),
        roles: bound
            .policy
            .roles
            .values()
            .map(|r| (r.name.to_string(), role(bound.access(r, oid))))
            .collect(),
        children,
    })
}

/// `clinic.lab_result.order_id -> clinic.lab_order.order_id, then clinic.lab_order.patient_id`
fn path(rule: &TableRule) -> String {
    let mut words: Vec<String> = match &rule.path {
        Path::One(path) => vec![way(rule, path)],
        Path::When(alternatives) => alternatives
            .iter()
            .map(|a| format!("where {} is {}: {}", a.column, a.is.join(" or "), way(rule, &a.path)))
            .collect(),
    };
    if rule.is_many() {
        words.push(match rule.patients {
            Patients::Any => "a row of several patients is seen with any of them".to_owned(),
            Patients::All => "a row of several patients is seen with all of them only".to_owned(),
        });
    }
    words.join("; ")
}

fn way(rule: &TableRule, path: &KeyPath) -> String {
    let KeyPath { steps, key } = path;
    let mut at = rule.name.to_string();
    let mut words = String::new();
    for step in steps {
        let every = if step.many { "every row with " } else { "" };
        words.push_str(&format!("{at}.{} -> {every}{}.{}, then ", step.column, step.table, step.references));
        at = step.table.to_string();
    }
    format!("{words}{at}.{key}")
}

fn role(access: Access<'_>) -> RoleView {
    let nothing = |rows, why| RoleView { rows, why, closed: Vec::new(), masks: BTreeMap::new() };
    let none = |why| nothing("none", Some(why));
    match access {
        Access::Free => nothing("all", None),
        Access::Denied(Denial::NotMapped | Denial::Misfit | Denial::ProtectedPart) => {
            none("its rule does not hold")
        }
        Access::Denied(Denial::ClassNotAllowed) => none("class not allowed"),
        Access::Denied(Denial::ScopeNone) => none("scope none"),
        Access::Denied(Denial::Denied) => none("denied"),
        Access::Protected { table, filter, masks, block } => RoleView {
            rows: match (filter, block) {
                (false, _) if masks.outside.is_some() => "mask",
                (false, _) => "all",
                (true, _) if table.sees_everyone() => "all",
                (true, false) => "hide",
                (true, true) => "block",
            },
            why: None,
            closed: table.closed.as_ref().map(|c| c.words()).unwrap_or_default(),
            masks: masks.own.iter().map(|(column, mask)| ((*column).to_owned(), word(mask))).collect(),
        },
    }
}

fn word(mask: &Mask) -> String {
    match mask {
        Mask::Redact { text } | Mask::Withhold { text } => format!("{} {text:?}", mask.words().0),
        Mask::Partial { keep_last } => format!("partial, last {keep_last}"),
        Mask::Surrogate { table, .. } => format!("surrogate from {table}"),
        Mask::Null | Mask::Zip3 { .. } | Mask::Year | Mask::Age90 | Mask::BirthYear => {
            mask.words().0.to_owned()
        }
    }
}

impl std::fmt::Display for TableView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "  {} ({})\n    patient: {}", self.table, self.class, self.path)?;
        let width = self.roles.keys().map(|r| r.chars().count()).max().unwrap_or(0);
        for (name, view) in &self.roles {
            let rows = match view.rows {
                "all" => "all patients",
                "hide" => "assigned patients, others hidden",
                "mask" => "assigned patients, others masked",
                "block" => "assigned patients, others blocked",
                _ => "nothing",
            };
            write!(f, "\n    {name:width$}  {rows}")?;
            if let Some(why) = view.why {
                write!(f, " ({why})")?;
            }
            if !view.closed.is_empty() {
                write!(f, "; hidden: {}", view.closed.join(", "))?;
            }
            if !view.masks.is_empty() {
                let masks: Vec<String> = view.masks.iter().map(|(c, m)| format!("{c} ({m})")).collect();
                write!(f, "; masked: {}", masks.join(", "))?;
            }
        }
        if !self.children.is_empty() {
            write!(f, "\n    and its partitions: {}", self.children.join(", "))?;
        }
        Ok(())
    }
}
