//! What each role sees of each protected table, in words.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::policy::{Access, BoundPolicy, Denial, KeyPath, Mask, Path, Patients, TableRule};

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
    /// Column to mask.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    masks: BTreeMap<String, String>,
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
    let none = |why| RoleView { rows: "none", why: Some(why), masks: BTreeMap::new() };
    match access {
        Access::Free => RoleView { rows: "all", why: None, masks: BTreeMap::new() },
        Access::Denied(Denial::NotMapped) => none("its rule does not hold"),
        Access::Denied(Denial::ClassNotAllowed) => none("class not allowed"),
        Access::Denied(Denial::ScopeNone) => none("scope none"),
        Access::Protected { filter, masks, block, .. } => RoleView {
            rows: match (filter, block) {
                (false, _) if masks.outside.is_some() => "mask",
                (false, _) => "all",
                (true, false) => "hide",
                (true, true) => "block",
            },
            why: None,
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
