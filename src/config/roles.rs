//! `[role.*]`: who is in a role, whose rows it sees, what is masked, which glass it may break.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::DeValue;

use super::categories::Known;
use super::diagnostic::Findings;
use super::masks::{self, MaskSettings};
use super::policy::{is_table, own_name};
use super::reader::{Section, qualified, unknown};
use super::tables::Tables;
use super::terms;
use crate::catalog::QualifiedName;
use crate::policy::{
    GlassProfile, Labels, Membership, Outside, PolicyMode, Role, Scope, WithheldNotice, limits,
};

/// What holds for a role that says nothing else.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    pub(super) mode: PolicyMode,
    pub(super) rows_withheld: WithheldNotice,
}

/// What else of the file a role depends on.
pub(super) struct Given<'a> {
    pub(super) settings: &'a MaskSettings,
    pub(super) deny: &'a BTreeSet<QualifiedName>,
    pub(super) defaults: Defaults,
    pub(super) known: &'a Known,
    pub(super) labels: &'a [Labels],
}

pub(super) fn read(
    top: &mut Section<'_>,
    tables: &Tables,
    profiles: &BTreeMap<String, GlassProfile>,
    given: &Given<'_>,
    findings: &mut Findings<'_>,
) -> (BTreeMap<String, Role>, Membership) {
    let mut roles = BTreeMap::new();
    let mut places = BTreeMap::new();
    let mut members = Members::default();
    let section = top.section(findings, "role");
    let span = section.span.clone();
    for (name, value) in section.entries() {
        own_name(findings, "role", &name);
        let mut s = Section::of(findings, format!("[role.{}]", name.get_ref()), value);
        members.read(&mut s, &name, findings);
        if let Some(role) = role(&mut s, name.get_ref(), tables, profiles, given, findings) {
            places.insert(name.get_ref().clone(), s.key_span("when"));
            roles.insert(name.get_ref().clone(), role);
        }
        s.finish(findings);
    }
    terms::together(&roles, &places, findings);
    if roles.is_empty() {
        findings.warning(span, "no role is defined: nobody can log in", "add a [role.NAME]");
    }
    (roles, members.membership)
}

/// Collects who is in which role while roles are read, and refuses the same one twice.
#[derive(Default)]
struct Members {
    membership: Membership,
}

impl Members {
    fn read(&mut self, s: &mut Section<'_>, role: &Spanned<String>, findings: &mut Findings<'_>) {
        let users = s.strings(findings, "users").unwrap_or_default();
        let groups = s.strings(findings, "groups").unwrap_or_default();
        let default = s.boolean(findings, "default", false);
        if users.is_empty() && groups.is_empty() && !default {
            findings.warning(
                role.span(),
                format!("nobody is in role `{}`", role.get_ref()),
                "name `groups` (database roles), `users`, or set default = true",
            );
        }
        for user in users {
            if let Some(other) = self.membership.users.get(user.get_ref()) {
                let message = format!("user `{}` is in role `{other}` already", user.get_ref());
                findings.error(user.span(), message);
                continue;
            }
            self.membership.users.insert(user.into_inner(), role.get_ref().clone());
        }
        for group in groups {
            if let Some((_, other)) = self.membership.groups.iter().find(|(g, _)| g == group.get_ref()) {
                let message = format!("database role `{}` is in role `{other}` already", group.get_ref());
                findings.error(group.span(), message);
                continue;
            }
            self.membership.groups.push((group.into_inner(), role.get_ref().clone()));
        }
        if default {
            if let Some(other) = &self.membership.default {
                let message = format!("role `{other}` is the default already");
                findings.error(s.key_span("default"), message);
            } else {
                self.membership.default = Some(role.get_ref().clone());
            }
        }
    }
}

fn role(
    s: &mut Section<'_>,
    name: &str,
    tables: &Tables,
    profiles: &BTreeMap<String, GlassProfile>,
    given: &Given<'_>,
    findings: &mut Findings<'_>,
) -> Option<Role> {
    const SCOPES: [(&str, Scope); 3] =
        [("assigned", Scope::Assigned), ("all", Scope::All), ("none", Scope::None)];
    let scope = s.choice(findings, "scope", &SCOPES);
    if scope.is_none() && s.take("scope").is_none() {
        s.missing(findings, "scope", "\"assigned\"");
    }
    let Given { settings, deny, defaults, known, labels: all_labels } = *given;
    let when = terms::read(s, findings);
    let (outside, outside_of) = outside(s, tables, findings);
    let denied = denied(s, deny, findings);
    let classes = classes(s, tables, findings);
    let masks = masks::read(s, tables, settings, findings);
    let mut functions = BTreeSet::new();
    for text in s.strings(findings, "functions").unwrap_or_default() {
        functions.extend(qualified(findings, &text));
    }
    let channels = s.strings(findings, "channels").unwrap_or_default();
    let channels = channels.into_iter().map(Spanned::into_inner).collect();
    let break_glass = s.string(findings, "break_glass");
    let privacy_officer = s.boolean(findings, "privacy_officer", false);
    let mode = super::policy::mode(s, findings).map_or(defaults.mode, Spanned::into_inner);
    let rows_withheld = super::policy::rows_withheld(s, findings).unwrap_or(defaults.rows_withheld);
    let [categories, labels] = known.seen(s, findings);
    let scope = scope?.into_inner();
    let limited = limits(tables.rules(), all_labels, &categories, &labels);

    let masks_outside = matches!(outside.as_ref().map(Spanned::get_ref), Some(Outside::Mask))
        || outside_of.values().any(|o| *o == Outside::Mask);
    for (table, span) in masks.outside_places.iter().filter(|_| !masks_outside) {
        findings.warning(
            span.clone(),
            format!("the outside_masks of {table} have no effect unless outside is \"mask\""),
            "remove them, or set outside = \"mask\"",
        );
    }
    if let Some(outside) = outside.as_ref().filter(|_| scope != Scope::Assigned) {
        findings.warning(
            outside.span(),
            "`outside` has no effect unless scope is \"assigned\"",
            "remove it: nothing is outside, or everything is",
        );
    }
    if let Some(profile) = &break_glass {
        if !profiles.contains_key(profile.get_ref()) {
            let known: Vec<&str> = profiles.keys().map(String::as_str).collect();
            unknown(findings, profile.span(), "there is no break-glass profile", profile.get_ref(), &known);
        }
        if scope == Scope::None || (scope == Scope::All && !limited) {
            findings.warning(
                profile.span(),
                "`break_glass` has no effect unless scope is \"assigned\" or a category or label is closed to the role",
                "remove it: a session adds patients to the assigned ones, and opens categories and labels of them",
            );
        }
    }
    if let Some(classes) = &classes {
        for (table, span) in &masks.places {
            let Some(class) = tables.rule(table).map(|r| r.class.as_str()) else { continue };
            if !classes.contains(class) {
                findings.warning(
                    span.clone(),
                    format!("the masks of {table} have no effect: the role may not read class `{class}`"),
                    "remove them, or add the class to `classes`",
                );
            }
        }
    }
    Some(Role {
        name: name.into(),
        scope,
        outside: outside.map_or(Outside::Hide, Spanned::into_inner),
        when,
        outside_of,
        denied,
        classes,
        masks: masks.named,
        masking: masks.masking,
        functions,
        channels,
        break_glass: break_glass.map(Spanned::into_inner),
        privacy_officer,
        mode,
        rows_withheld,
        categories,
        labels,
        limited,
    })
}

/// The words of `outside`.
const OUTSIDE: [(&str, Outside); 3] =
    [("hide", Outside::Hide), ("block", Outside::Block), ("mask", Outside::Mask)];

/// `outside`: a word, or a table of class to word, with `default` for the others.
fn outside(
    s: &mut Section<'_>,
    tables: &Tables,
    findings: &mut Findings<'_>,
) -> (Option<Spanned<Outside>>, BTreeMap<String, Outside>) {
    let Some(value) = s.take("outside").filter(|v| is_table(v)) else {
        return (s.choice(findings, "outside", &OUTSIDE), BTreeMap::new());
    };
    let mut default = None;
    let mut of = BTreeMap::new();
    let known = tables.classes();
    for (class, value) in Section::of(findings, "`outside`".to_owned(), value).entries() {
        let word = match value.get_ref() {
            DeValue::String(word) => OUTSIDE.iter().find(|(w, _)| w == word).map(|(_, o)| *o),
            _ => None,
        };
        let Some(word) = word else {
            let words: Vec<&str> = OUTSIDE.iter().map(|(w, _)| *w).collect();
            findings.error_help(
                value.span(),
                format!("`outside` of `{}` is none of the words", class.get_ref()),
                format!("one of {}", words.join(", ")),
            );
            continue;
        };
        if class.get_ref() == "default" {
            default = Some(Spanned::new(value.span(), word));
        } else if known.contains(&class.get_ref().as_str()) {
            of.insert(class.into_inner(), word);
        } else {
            unknown(findings, class.span(), "no [[table]] is of class", class.get_ref(), &known);
        }
    }
    (default.or_else(|| Some(Spanned::new(value.span(), Outside::Hide))), of)
}

/// The denied relations that the role does not name in `allow_denied`.
fn denied(
    s: &mut Section<'_>,
    deny: &BTreeSet<QualifiedName>,
    findings: &mut Findings<'_>,
) -> BTreeSet<QualifiedName> {
    let mut left = deny.clone();
    for text in s.strings(findings, "allow_denied").unwrap_or_default() {
        let Some(name) = qualified(findings, &text) else { continue };
        if !left.remove(&name) && !deny.contains(&name) {
            findings.warning(
                text.span(),
                format!("{name} is not denied"),
                "remove it, or name it in deny.tables",
            );
        }
    }
    left
}

fn classes(s: &mut Section<'_>, tables: &Tables, findings: &mut Findings<'_>) -> Option<BTreeSet<String>> {
    let span = s.key_span("classes");
    let words = s.strings(findings, "classes")?;
    if words.is_empty() {
        findings.error_help(
            span,
            format!("{} may read no class", s.name),
            "remove `classes` for every class, or set scope = \"none\"",
        );
    }
    let known = tables.classes();
    for word in &words {
        if !known.contains(&word.get_ref().as_str()) {
            unknown(findings, word.span(), "no [[table]] is of class", word.get_ref(), &known);
        }
    }
    Some(words.into_iter().map(Spanned::into_inner).collect())
}
