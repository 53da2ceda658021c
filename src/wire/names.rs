//! Which database user a client certificate stands for: the names in it, and rules from a name to a user, as
//! `pg_ident.conf` has them (manual, "User Name Maps"). Pure; whether the certificate is trusted was decided
//! before (`tls`), and reading its names is `cert`'s.

use std::fmt;

/// The names of a certificate that a rule can look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The subject's common name, if there is exactly one.
    pub common_name: Option<String>,
    /// Subject alternative names: DNS names.
    pub dns: Vec<String>,
    /// Subject alternative names: e-mail addresses.
    pub email: Vec<String>,
    /// Subject alternative names: URIs, such as a SPIFFE id.
    pub uri: Vec<String>,
}

/// Which name of a certificate a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameSource {
    /// The subject's common name.
    CommonName,
    /// A DNS name.
    Dns,
    /// An e-mail address.
    Email,
    /// A URI.
    Uri,
}

impl fmt::Display for NameSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameSource::CommonName => "cn",
            NameSource::Dns => "dns",
            NameSource::Email => "email",
            NameSource::Uri => "uri",
        })
    }
}

/// A text with at most one `*`, which stands for one or more characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    before: String,
    /// What comes after the `*`; `None` without one.
    after: Option<String>,
}

impl Pattern {
    /// Reads a pattern; `None` with more than one `*`.
    pub fn new(text: &str) -> Option<Self> {
        match text.split_once('*') {
            None => Some(Self { before: text.to_owned(), after: None }),
            Some((_, after)) if after.contains('*') => None,
            Some((before, after)) => Some(Self { before: before.to_owned(), after: Some(after.to_owned()) }),
        }
    }

    /// Whether it has a `*`.
    pub fn is_open(&self) -> bool {
        self.after.is_some()
    }

    /// Whether it is nothing but a `*`.
    pub fn matches_all(&self) -> bool {
        self.before.is_empty() && self.after.as_deref() == Some("")
    }

    /// What the `*` stands for in `value` (empty without a `*`); `None` when it does not match. Letter case
    /// counts: a rule that means two spellings is two rules.
    fn capture<'v>(&self, value: &'v str) -> Option<&'v str> {
        let Some(after) = &self.after else { return (self.before == value).then_some("") };
        value.strip_prefix(self.before.as_str())?.strip_suffix(after.as_str()).filter(|held| !held.is_empty())
    }

    /// The text with `held` in place of the `*`.
    fn fill(&self, held: &str) -> String {
        match &self.after {
            None => self.before.clone(),
            Some(after) => format!("{}{held}{after}", self.before),
        }
    }
}

/// A certificate whose `from` name matches `name` may log in as `user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRule {
    /// The name looked at.
    pub from: NameSource,
    /// What it must be.
    pub name: Pattern,
    /// The user; a `*` is what the one in `name` stood for.
    pub user: Pattern,
}

/// All rules. Without any, the common name must be the user's name, as in PostgreSQL's `cert` method.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameMap {
    /// The rules; one that allows the user is enough.
    pub rules: Vec<NameRule>,
}

impl NameMap {
    /// The name in the certificate by which its holder may log in as `user`, written `cn=...`; `None` when it
    /// may not.
    pub fn allows(&self, names: &Names, user: &str) -> Option<String> {
        if self.rules.is_empty() {
            let own = names.common_name.as_deref().filter(|name| *name == user);
            return own.map(|name| format!("cn={name}"));
        }
        self.rules.iter().find_map(|rule| {
            let values: Vec<&String> = match rule.from {
                NameSource::CommonName => names.common_name.iter().collect(),
                NameSource::Dns => names.dns.iter().collect(),
                NameSource::Email => names.email.iter().collect(),
                NameSource::Uri => names.uri.iter().collect(),
            };
            let of_rule =
                |value: &&&String| rule.name.capture(value).is_some_and(|held| rule.user.fill(held) == user);
            values.iter().find(of_rule).map(|value| format!("{}={value}", rule.from))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(from: NameSource, name: &str, user: &str) -> NameRule {
        NameRule { from, name: Pattern::new(name).unwrap(), user: Pattern::new(user).unwrap() }
    }

    fn amy() -> Names {
        Names {
            common_name: Some("Amy Nurse".into()),
            dns: vec!["ward3.example".into()],
            email: vec!["amy@clinic.example".into(), "amy@home.example".into()],
            uri: vec!["spiffe://clinic/amy".into()],
        }
    }

    #[test]
    fn without_rules_the_common_name_is_the_user() {
        let map = NameMap::default();
        assert_eq!(map.allows(&amy(), "Amy Nurse").as_deref(), Some("cn=Amy Nurse"));
        for other in ["amy nurse", "Amy Nurs", "Amy Nurse ", "", "ward3.example"] {
            assert_eq!(map.allows(&amy(), other), None, "{other}");
        }
        assert_eq!(map.allows(&Names::default(), ""), None);
    }

    #[test]
    fn rules_look_at_the_name_they_say() {
        let map = NameMap {
            rules: vec![
                rule(NameSource::CommonName, "Amy Nurse", "nurse_amy"),
                rule(NameSource::Email, "*@clinic.example", "*"),
                rule(NameSource::Uri, "spiffe://clinic/*", "svc_*"),
            ],
        };
        assert_eq!(map.allows(&amy(), "nurse_amy").as_deref(), Some("cn=Amy Nurse"));
        assert_eq!(map.allows(&amy(), "amy").as_deref(), Some("email=amy@clinic.example"));
        assert_eq!(map.allows(&amy(), "svc_amy").as_deref(), Some("uri=spiffe://clinic/amy"));
        // With rules the common name alone is nobody any more; a DNS name is no e-mail address.
        for other in ["Amy Nurse", "amy@home.example", "svc_bob", "*", "svc_", "ward3.example"] {
            assert_eq!(map.allows(&amy(), other), None, "{other}");
        }
        let dns = Names { dns: vec!["amy@clinic.example".into()], ..Names::default() };
        assert_eq!(map.allows(&dns, "amy"), None);
    }

    #[test]
    fn patterns() {
        assert!(Pattern::new("a*b*").is_none());
        assert!(Pattern::new("*").unwrap().matches_all());
        let middle = Pattern::new("ab*ba").unwrap();
        assert_eq!(middle.capture("ab-ba"), Some("-"));
        // The two halves do not share characters, and a star is at least one.
        for other in ["aba", "abba", "ab", "xab-ba", "ab-bax"] {
            assert_eq!(middle.capture(other), None, "{other}");
        }
    }

    proptest! {
        // Property: a rule without a star allows exactly its user to exactly its name.
        #[test]
        fn closed_rules_are_equality(name in "[a-c]{1,3}", value in "[a-c]{1,3}", user in "[a-c]{1,3}", claimed in "[a-c]{1,3}") {
            let map = NameMap { rules: vec![rule(NameSource::CommonName, &name, &user)] };
            let names = Names { common_name: Some(value.clone()), ..Names::default() };
            prop_assert_eq!(map.allows(&names, &claimed).is_some(), name == value && user == claimed);
        }
    }
}
