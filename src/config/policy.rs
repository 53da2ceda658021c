//! `[patient]`, `[assignment]`, `[reference]`, `[break_glass.*]` and `[notices]`: who is assigned to
//! whom, and on what terms a glass is broken. Tables are read in `tables`, roles in `roles`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::categories::{self, Known};
use super::diagnostic::Findings;
use super::reader::{Section, qualified, qualified_column};
use super::tables::{self, Tables};
use super::{assignment, masks, roles, version};
use crate::catalog::QualifiedName;
use crate::policy::{
    Assignment, GlassProfile, Identifier, KeyType, Labels, Policy, PolicyMode, RESERVED_PREFIX, Source,
    WithheldNotice,
};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn read(top: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<Policy> {
    let tables = tables::read(top, findings);
    let mut patient = top.section(findings, "patient");
    let key_type = key_type(&mut patient, findings);
    let identifiers = identifiers(&mut patient, &tables, findings);
    patient.finish(findings);
    let (assignment, sources) = assignment::read(top, findings);
    let reference = reference(top, &tables, assignment.as_ref(), &sources, findings);
    let deny = deny(top, findings);
    if let Some(a) = assignment.as_ref().filter(|a| tables.contains(&a.get_ref().relation)) {
        findings.error_help(
            a.span(),
            format!("{} is the assignment relation and a [[table]] too", a.get_ref().relation),
            "remove its [[table]] entry: clients of restricted roles never read it",
        );
    }
    let labels = categories::labels(top, findings);
    label_relations(top, &labels, &reference, assignment.as_ref(), findings);
    let known = Known::of(&tables, &labels);
    let profiles = profiles(top, &known, findings);
    let mode = mode(top, findings);
    let policy_mode = mode.as_ref().map_or(PolicyMode::Enforce, |m| *m.get_ref());
    let settings = masks::settings(top, findings);
    let mut notices = top.section(findings, "notices");
    let rows_withheld = rows_withheld(&mut notices, findings).unwrap_or_default();
    notices.finish(findings);
    let defaults = roles::Defaults { mode: policy_mode, rows_withheld };
    let roles_need =
        roles::Given { settings: &settings, deny: &deny, defaults, known: &known, labels: &labels };
    let (roles, membership) = roles::read(top, &tables, &profiles, &roles_need, findings);
    let mut policy = Policy {
        version: "".into(),
        key_type: key_type?,
        identifiers,
        assignment: assignment?.into_inner(),
        sources,
        deny,
        labels,
        tables: tables.into_rules(),
        reference,
        roles,
        membership,
        profiles,
        mode: policy_mode,
    };
    if let Some(text) = policy.not_enforced() {
        let span = mode.map_or(0..0, |m| m.span());
        findings.warning(span, text, "mode = \"enforce\" once nothing of what the report lists surprises");
    }
    policy.version = version::of(&policy).into();
    Some(policy)
}

/// `mode`, of the whole policy or of a role.
pub(super) fn mode(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<Spanned<PolicyMode>> {
    const WORDS: [(&str, PolicyMode); 3] =
        [("enforce", PolicyMode::Enforce), ("warn", PolicyMode::Warn), ("observe", PolicyMode::Observe)];
    s.choice(findings, "mode", &WORDS)
}

/// `rows_withheld`, of the whole policy or of a role: true, false or "once".
pub(super) fn rows_withheld(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<WithheldNotice> {
    match s.take("rows_withheld").map(|v| (v.span(), v.get_ref()))? {
        (_, DeValue::Boolean(true)) => Some(WithheldNotice::Always),
        (_, DeValue::Boolean(false)) => Some(WithheldNotice::Never),
        (_, DeValue::String(word)) if word == "once" => Some(WithheldNotice::Once),
        (span, _) => {
            findings.error(span, "`rows_withheld` must be true, false or \"once\"");
            None
        }
    }
}

/// A name of the configuration's own (role, profile, class): letters, digits, `_` and `-`.
pub(super) fn own_name(findings: &mut Findings<'_>, what: &str, name: &Spanned<String>) {
    let word = name.get_ref();
    let fits = !word.is_empty()
        && word.len() <= 63
        && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    if !fits {
        findings.error_help(
            name.span(),
            format!("`{}` is no {what} name", word.escape_debug()),
            "1 to 63 letters, digits, `_` or `-`",
        );
    }
    reserved(findings, word, name);
}

/// Names that begin like the proxy's own would be mistaken for them.
fn reserved(findings: &mut Findings<'_>, word: &str, at: &Spanned<String>) {
    if word.starts_with(RESERVED_PREFIX) {
        findings.error(at.span(), format!("`{word}`: names that begin with {RESERVED_PREFIX} are reserved"));
    }
}

pub(super) fn column(
    s: &mut Section<'_>,
    findings: &mut Findings<'_>,
    key: &'static str,
) -> Option<Spanned<String>> {
    let column = s.string(findings, key)?;
    reserved(findings, column.get_ref(), &column);
    Some(column)
}

pub(super) fn required_column(
    s: &mut Section<'_>,
    findings: &mut Findings<'_>,
    key: &'static str,
    example: &str,
) -> Option<String> {
    if s.take(key).is_none() {
        s.missing(findings, key, example);
        return None;
    }
    column(s, findings, key).map(Spanned::into_inner)
}

pub(super) fn relation(
    s: &mut Section<'_>,
    findings: &mut Findings<'_>,
    key: &'static str,
    example: &str,
) -> Option<Spanned<QualifiedName>> {
    let text = s.required(findings, key, example)?;
    let name = qualified(findings, &text)?;
    reserved(findings, &name.name, &text);
    reserved(findings, &name.schema, &text);
    if matches!(name.schema.as_str(), "pg_catalog" | "information_schema" | "pg_toast") {
        findings
            .error(text.span(), format!("{name} is a system catalog; those are guarded without an entry"));
    }
    Some(Spanned::new(text.span(), name))
}

fn key_type(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<KeyType> {
    const WORDS: [(&str, KeyType); 4] =
        [("int4", KeyType::Int4), ("int8", KeyType::Int8), ("text", KeyType::Text), ("uuid", KeyType::Uuid)];
    if s.take("key_type").is_none() {
        s.missing(findings, "key_type", "\"int8\"");
        return None;
    }
    s.choice(findings, "key_type", &WORDS).map(Spanned::into_inner)
}

fn identifiers(s: &mut Section<'_>, tables: &Tables, findings: &mut Findings<'_>) -> Vec<Identifier> {
    let mut out = Vec::new();
    for text in s.strings(findings, "identifiers").unwrap_or_default() {
        let Some((table, column)) = qualified_column(findings, &text) else { continue };
        match tables.rule(&table) {
            None if tables.contains(&table) => {}
            None => {
                let what = "an identifier must be in a protected table, not";
                tables.unknown(findings, text.span(), what, &table);
            }
            Some(rule) if rule.own_key().is_none() => findings.error_help(
                text.span(),
                format!("{table} has no patient key of its own: its `key` is reached `via` other tables"),
                "name a column of a table whose [[table]] entry has no `via`",
            ),
            Some(_) => out.push(Identifier { table, column }),
        }
    }
    out
}

fn reference(
    top: &mut Section<'_>,
    tables: &Tables,
    assignment: Option<&Spanned<Assignment>>,
    sources: &[Source],
    findings: &mut Findings<'_>,
) -> BTreeSet<QualifiedName> {
    let mut s = top.section(findings, "reference");
    let mut out = BTreeSet::new();
    for text in s.strings(findings, "tables").unwrap_or_default() {
        let Some(name) = qualified(findings, &text) else { continue };
        if tables.contains(&name) {
            findings.error_help(
                text.span(),
                format!("{name} is protected by a [[table]] entry and declared free of patients"),
                "remove one of the two",
            );
        }
        if assignment.is_some_and(|a| a.get_ref().relation == name) {
            findings.error(text.span(), format!("{name} is the assignment relation; it names patients"));
        }
        if sources.iter().any(|s| s.relations().contains(&name)) {
            findings.error_help(
                text.span(),
                format!("{name} is read by an assignment source: it says who sees whom"),
                "remove it: clients of restricted roles never read it, unless it has a [[table]] entry",
            );
        }
        out.insert(name);
    }
    s.finish(findings);
    out
}

/// What reads or writes labels would see or change who is hidden.
fn label_relations(
    top: &Section<'_>,
    labels: &[Labels],
    reference: &BTreeSet<QualifiedName>,
    assignment: Option<&Spanned<Assignment>>,
    findings: &mut Findings<'_>,
) {
    for Labels { relation, .. } in labels {
        let span = top.key_span("label");
        if reference.contains(relation) {
            findings.error_help(
                span,
                format!("{relation} says which patients have a label, but is declared free of patients"),
                "remove it from [reference]: it is closed to restricted roles, unless it has a [[table]] entry",
            );
        } else if assignment.is_some_and(|a| a.get_ref().relation == *relation) {
            findings.error(span, format!("{relation} is the assignment relation and a [[label]] too"));
        }
    }
}

/// `[deny]`: what is closed to every role that does not name it in `allow_denied`.
fn deny(top: &mut Section<'_>, findings: &mut Findings<'_>) -> BTreeSet<QualifiedName> {
    let mut s = top.section(findings, "deny");
    let names = s.strings(findings, "tables").unwrap_or_default();
    s.finish(findings);
    names.iter().filter_map(|text| qualified(findings, text)).collect()
}

fn profiles(
    top: &mut Section<'_>,
    known: &Known,
    findings: &mut Findings<'_>,
) -> BTreeMap<String, GlassProfile> {
    let mut out = BTreeMap::new();
    for (name, value) in top.section(findings, "break_glass").entries() {
        own_name(findings, "break-glass profile", &name);
        let mut s = Section::of(findings, format!("[break_glass.{}]", name.get_ref()), value);
        let reasons = reasons(&mut s, findings);
        let second = Duration::from_secs(1);
        let ttl = s.duration(findings, "ttl", second, 60 * MINUTE);
        let max_ttl = s.duration(findings, "max_ttl", second, ttl.max(12 * 60 * MINUTE));
        let idle_close = s.duration(findings, "idle_close", second, 15 * MINUTE);
        let note_min_chars = s.integer(findings, "note_min_chars", 0..=4_000).unwrap_or(10);
        let max_patients = s.integer(findings, "max_patients", 1..=10_000).unwrap_or(5);
        let max_sessions_per_day = s.integer(findings, "max_sessions_per_day", 1..=100_000).unwrap_or(20);
        let [categories, labels] = known.openable(&mut s, findings);
        if ttl > max_ttl {
            findings.error_help(
                s.key_span("ttl"),
                "`ttl` is longer than `max_ttl`",
                "`ttl` is what a session gets when it asks for nothing; `max_ttl` the most it may ask for",
            );
        }
        if idle_close > max_ttl {
            findings.warning(
                s.key_span("idle_close"),
                "`idle_close` is longer than `max_ttl` and never takes effect",
                "make it shorter",
            );
        }
        s.finish(findings);
        let name = name.into_inner();
        out.insert(
            name.clone(),
            GlassProfile {
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
            },
        );
    }
    out
}

fn reasons(s: &mut Section<'_>, findings: &mut Findings<'_>) -> BTreeSet<String> {
    let span = s.key_span("reasons");
    let words = s.strings(findings, "reasons").unwrap_or_default();
    if words.is_empty() {
        findings.error_help(
            span,
            format!("{} accepts no reason", s.name),
            "for example: reasons = [\"BTG\"]",
        );
    }
    for word in &words {
        let code = word.get_ref();
        if !code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
            findings.error_help(
                word.span(),
                format!("`{code}` is no reason code"),
                "capital letters, digits and `_`, as in HL7's ActReason: BTG, ERTREAT",
            );
        }
    }
    words.into_iter().map(Spanned::into_inner).collect()
}

/// True for a value that is a table: used where a key may hold a word or a table.
pub(super) fn is_table(value: &Spanned<DeValue<'_>>) -> bool {
    matches!(value.get_ref(), DeValue::Table(_))
}
