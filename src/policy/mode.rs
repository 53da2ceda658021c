//! Whether a policy is enforced, or only watched while it is rolled out. Not here: what is decided (`sql`), what
//! is recorded of a decision that was not enforced (`ledger::record::Observed`).

use std::collections::BTreeSet;

use super::{Outside, Policy, Role, Scope, Seen, WithheldNotice};

/// What becomes of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PolicyMode {
    /// It holds.
    #[default]
    Enforce,
    /// It is recorded, and the client is warned of what would have happened. Nothing is withheld.
    Warn,
    /// It is recorded. Nothing is withheld.
    Observe,
}

impl PolicyMode {
    /// The word of the configuration, of records and of logs.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyMode::Enforce => "enforce",
            PolicyMode::Warn => "warn",
            PolicyMode::Observe => "observe",
        }
    }

    /// What a record says: nothing where the policy was enforced.
    pub fn recorded(self) -> Option<String> {
        (self != PolicyMode::Enforce).then(|| self.as_str().to_owned())
    }
}

impl Role {
    /// The role that a session of this one has while it is only watched: it sees what an unrestricted role sees, and
    /// breaks glass as before. Every field is named: for a new one somebody has to decide what letting through means.
    pub fn let_through(&self) -> Role {
        let Role {
            name,
            scope: _,
            when: _,
            outside: _,
            outside_of: _,
            denied: _,
            classes: _,
            masks: _,
            masking: _,
            functions: _,
            break_glass,
            privacy_officer,
            mode,
            rows_withheld: _,
            categories: _,
            labels: _,
            limited: _,
            channels,
        } = self;
        Role {
            channels: channels.clone(),
            name: name.clone(),
            scope: Scope::All,
            when: None,
            outside: Outside::Hide,
            outside_of: Default::default(),
            denied: BTreeSet::new(),
            classes: None,
            masks: Default::default(),
            masking: Default::default(),
            functions: BTreeSet::new(),
            break_glass: break_glass.clone(),
            privacy_officer: *privacy_officer,
            mode: *mode,
            rows_withheld: WithheldNotice::Never,
            categories: Seen::All,
            labels: Seen::All,
            limited: false,
        }
    }

    /// True for a role whose decisions are recorded and do not hold. An unrestricted role has none that could.
    pub fn is_watched(&self) -> bool {
        self.mode != PolicyMode::Enforce && self.is_restricted()
    }
}

impl Policy {
    /// The mode in words, with the roles that have another one: `observe; role nurse: enforce`.
    pub fn modes(&self) -> String {
        let mut words = self.mode.as_str().to_owned();
        for role in self.roles.values().filter(|r| r.mode != self.mode) {
            words.push_str(&format!("; role {}: {}", role.name, role.mode.as_str()));
        }
        words
    }

    /// What is to be said loudly, when there are restricted roles of which nothing is withheld.
    pub fn not_enforced(&self) -> Option<String> {
        let of = |mode| {
            let watched = self.roles.values().filter(move |r| r.is_watched() && r.mode == mode);
            watched.map(|r| r.name.to_string()).collect::<Vec<_>>()
        };
        let words: Vec<String> = [PolicyMode::Observe, PolicyMode::Warn]
            .into_iter()
            .map(|mode| (mode, of(mode)))
            .filter(|(_, roles)| !roles.is_empty())
            .map(|(mode, roles)| format!("{} mode: {}", mode.as_str(), roles.join(", ")))
            .collect();
        (!words.is_empty()).then(|| {
            format!(
                "THE POLICY IS NOT ENFORCED for these roles ({}): they see every patient's rows. Statements and \
                 what would have been refused or filtered are recorded; `pgglass report observed` lists them.",
                words.join("; ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Mask;
    use super::*;
    use crate::catalog::QualifiedName;

    fn nurse(mode: PolicyMode) -> Role {
        let table = QualifiedName { schema: "clinic".into(), name: "patient".into() };
        Role {
            outside: Outside::Block,
            classes: Some(BTreeSet::from(["labs".to_owned()])),
            masks: BTreeMap::from([(table, BTreeMap::from([("ssn".to_owned(), Mask::Null)]))]),
            break_glass: Some("clinical".into()),
            mode,
            ..Role::new("nurse", Scope::Assigned)
        }
    }

    #[test]
    fn who_is_let_through_is_unrestricted_and_breaks_glass_as_before() {
        let role = nurse(PolicyMode::Observe);
        let through = role.let_through();
        assert!(role.is_restricted() && !through.is_restricted());
        assert_eq!((&through.name, &through.break_glass), (&role.name, &role.break_glass));
    }

    #[test]
    fn only_restricted_roles_out_of_enforce_are_watched() {
        assert!(!nurse(PolicyMode::Enforce).is_watched());
        assert!(nurse(PolicyMode::Warn).is_watched() && nurse(PolicyMode::Observe).is_watched());
        assert!(!nurse(PolicyMode::Observe).let_through().is_watched());
    }
}
