//! Roles proposed for the groups of people that the database knows. What a name says is only a guess, so every
//! proposal is the least that could be meant, with what may be wanted beside it as a comment.

use std::collections::BTreeSet;

use super::classes::Class;
use super::words::{any, words};
use crate::catalog::Group;

/// A proposed role.
#[derive(Debug)]
pub(super) struct Proposal<'a> {
    pub(super) group: &'a Group,
    /// Name in the configuration.
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What the people of a group do, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// They treat patients.
    Clinical,
    /// Nothing in the name.
    Unknown,
    /// They bill and register.
    Administrative,
    /// They count.
    Analysis,
    /// They look after others' accesses.
    Oversight,
    /// They own the tables.
    Owner,
}

impl Kind {
    fn of(group: &Group) -> Kind {
        let words = words(&group.name);
        let has = |these: &[&str]| any(&words, these);
        if has(&["auditor", "audit", "privacy", "compliance", "officer", "dpo"]) {
            Kind::Oversight
        } else if group.owns || has(&["dba", "owner"]) {
            Kind::Owner
        } else if has(&[
            "nurse",
            "nursing",
            "physician",
            "doctor",
            "dr",
            "clinician",
            "clinical",
            "medic",
            "medical",
            "midwife",
            "therapist",
            "surgeon",
            "resident",
            "pharmacist",
            "pharmacy",
            "care",
            "radiologist",
            "radiology",
            "icu",
            "emergency",
            "lab",
            "paramedic",
        ]) {
            Kind::Clinical
        } else if has(&[
            "billing",
            "finance",
            "financial",
            "claim",
            "coding",
            "coder",
            "registration",
            "admission",
            "reception",
            "clerk",
            "secretary",
            "scheduling",
            "insurance",
        ]) {
            Kind::Administrative
        } else if has(&[
            "analyst",
            "analytics",
            "analysis",
            "research",
            "researcher",
            "scientist",
            "science",
            "bi",
            "report",
            "reporting",
            "statistics",
            "statistician",
            "quality",
            "study",
            "omop",
            "atlas",
            "dashboard",
            "grafana",
            "metabase",
            "tableau",
            "powerbi",
        ]) {
            Kind::Analysis
        } else {
            Kind::Unknown
        }
    }
}

/// One proposal a group whose members can log in and read something of patients, or look after them; the roles that
/// may least first, since the first in the file wins.
pub(super) fn proposals(groups: &[Group]) -> Vec<Proposal<'_>> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut out: Vec<Proposal<'_>> = groups
        .iter()
        .filter(|g| !super::text::unusable(&g.name))
        .map(|group| (Kind::of(group), group))
        // Groups of groups are reached through those.
        .filter(|(kind, g)| g.logins > 0 && (g.reads > 0 || *kind == Kind::Oversight))
        .map(|(kind, group)| Proposal { group, name: role_name(&group.name, &mut taken), kind })
        .collect();
    out.sort_by(|a, b| a.kind.cmp(&b.kind).then_with(|| a.group.name.cmp(&b.group.name)));
    out
}

/// 1 to 63 letters, digits, `_` and `-`, each once.
fn role_name(group: &str, taken: &mut BTreeSet<String>) -> String {
    let plain: String =
        group.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).take(40).collect();
    let bytes =
        plain.char_indices().take_while(|(i, c)| i + c.len_utf8() <= 50).map(|(_, c)| c).collect::<String>();
    let base = if bytes.starts_with(crate::policy::RESERVED_PREFIX) { format!("role{bytes}") } else { bytes };
    let mut name = base.clone();
    let mut n = 1;
    while !taken.insert(name.clone()) {
        n += 1;
        name = format!("{base}-{n}");
    }
    name
}

/// The classes that administration needs, of those there are.
pub(super) fn administrative(classes: &BTreeSet<Class>) -> Vec<&'static str> {
    classes.iter().filter(|c| c.is_administrative()).map(|c| c.word()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Group {
        Group { name: name.into(), logins: 1, groups: 0, reads: 1, owns: false }
    }

    #[test]
    fn groups_become_roles_with_names_that_can_be_configured() {
        let groups: Vec<Group> =
            ["ward nurses", "ward_nurses", "Ärzte", "a\nb\"c.d", "__glass_x", "bi_readers", "dpo"]
                .map(group)
                .into();
        let found = proposals(&groups);
        let names: BTreeSet<&str> = found.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names.len(), found.len());
        assert!(
            names.contains("ward_nurses") && names.contains("ward_nurses-2") && names.contains("a_b_c_d")
        );
        assert!(found.iter().all(|p| p.group.name != "__glass_x"), "reserved");
        let kind = |name: &str| found.iter().find(|p| p.group.name == name).map(|p| p.kind);
        assert_eq!(kind("ward nurses"), Some(Kind::Clinical));
        assert_eq!(kind("Ärzte"), Some(Kind::Unknown));
        assert_eq!(kind("bi_readers"), Some(Kind::Analysis));
        assert_eq!(kind("dpo"), Some(Kind::Oversight));
    }
}
