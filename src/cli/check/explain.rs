//! `--explain`: every line of a policy in words. Each type is taken apart by name, so that a key that is added later
//! must be explained here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::catalog::QualifiedName;
use crate::policy::{
    Alternative, Assignment, AssignmentQuery, ColumnCategory, GlassProfile, Identifier, KeyPath, Labels,
    Mask, Masking, Membership, Outside, Path, Patients, Policy, PolicyMode, Role, RowCategory, Scope, Seen,
    Source, Step, TableRule, Values, WithheldNotice,
};

/// What a part of the policy means.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Explanation {
    /// The section, as in the file.
    section: String,
    /// Sentences.
    says: Vec<String>,
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "  {}", self.section)?;
        self.says.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// Explains a policy, in the order of a file.
pub(super) fn explain(policy: &Policy) -> Vec<Explanation> {
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
    let section = |section: &str, says: Vec<String>| Explanation { section: section.to_owned(), says };
    let mut out = vec![
        section("mode", vec![moded(*mode, "Roles that name no mode of their own: ")]),
        section("[patient]", {
            let mut says = vec![format!(
                "A patient is named by a value of type {}; every key column is of that type.",
                key_type.sql().trim_start_matches("pg_catalog.")
            )];
            says.extend(identifiers.iter().map(|Identifier { table, column }| {
                format!("A value of {table}.{column} names a patient, too: glass.open takes it, statements are searched for it.")
            }));
            says
        }),
        section("[assignment]", assigned(assignment)),
    ];
    out.extend(
        tables.iter().map(|rule| section(&format!("[[table]] {}", rule.name), table(rule, roles.values()))),
    );
    out.extend(labels.iter().map(|l| section("[[label]]", labelled(l, roles.values()))));
    for source in sources {
        out.push(section("[[assignment.source]]", further(source)));
    }
    if !deny.is_empty() {
        let names: Vec<String> = deny.iter().map(ToString::to_string).collect();
        let says =
            format!("Closed to every role that does not name them in allow_denied: {}.", names.join(", "));
        out.push(section("[deny]", vec![says]));
    }
    out.push(section("[reference]", referenced(reference)));
    out.extend(roles.values().map(|r| section(&format!("[role.{}]", r.name), role(r, policy))));
    out.push(section("Who gets which role", logins(membership)));
    out.extend(
        profiles.values().map(|p| section(&format!("[break_glass.{}]", p.name), profile(p, roles.values()))),
    );
    out
}

/// A further source of assignments.
fn further(source: &Source) -> Vec<String> {
    match source {
        Source::Relation(assignment) => assigned(assignment),
        Source::Query(AssignmentQuery { sql, relations, columns, .. }) => {
            let names: Vec<String> = relations.iter().map(ToString::to_string).collect();
            vec![
                format!("Every row of this query names a database user and a patient he treats, too: {sql}"),
                format!(
                    "{} are closed to restricted roles without a [[table]] entry; with one, filtered roles do not \
                     write their {}.",
                    names.join(", "),
                    columns.join(", ")
                ),
            ]
        }
    }
}

fn assigned(assignment: &Assignment) -> Vec<String> {
    let Assignment { relation, principal, patient, valid_from, valid_to } = assignment;
    let mut says = vec![format!(
        "A row of {relation} says: the database user in {principal} treats the patient in {patient}. It is read in every \
         guarded statement, so a change holds at the next one."
    )];
    match (valid_from, valid_to) {
        (None, None) => says.push("A row holds as long as it is there.".to_owned()),
        (from, to) => {
            let from = from.as_ref().map(|c| format!("from {c} on (NULL: always has)"));
            let to = to.as_ref().map(|c| format!("before {c} (NULL: for ever)"));
            let when: Vec<String> = from.into_iter().chain(to).collect();
            says.push(format!("A row holds {}.", when.join(" and ")));
        }
    }
    says.push("Clients of restricted roles cannot read it.".to_owned());
    says
}

fn table<'a>(rule: &TableRule, roles: impl Iterator<Item = &'a Role>) -> Vec<String> {
    let TableRule { name, class, path, patients, category, column_categories } = rule;
    let roles: Vec<&Role> = roles.collect();
    let mut says = match path {
        Path::One(path) => vec![format!("A row belongs to {}", way(name, path))],
        Path::When(alternatives) => {
            let mut says: Vec<String> = alternatives
                .iter()
                .map(|Alternative { column, is, path }| {
                    format!("A row whose {column} is {} belongs to {}", is.join(" or "), way(name, path))
                })
                .collect();
            says.push("Any other row is nobody's.".to_owned());
            says
        }
    };
    if rule.is_many() {
        says.push(
            match patients {
                Patients::Any => "A row of several patients is seen with any one of them.",
                Patients::All => "A row of several patients is seen only with all of them.",
            }
            .to_owned(),
        );
    }
    let closed: Vec<&str> = roles
        .iter()
        .filter(|r| r.classes.as_ref().is_some_and(|c| !c.contains(class)))
        .map(|r| &*r.name)
        .collect();
    says.push(match closed.as_slice() {
        [] => format!("Its class is {class}; no role is kept from it."),
        closed => format!("Its class is {class}, closed to: {}.", closed.join(", ")),
    });
    let seeing = |name: &str| seen_by(&roles, |r| &r.categories, name);
    match category {
        None => {}
        Some(RowCategory::Whole(name)) => says.push(format!(
            "Every row is of category {name}, {}; others are told GLS-204, or see the rows that a break-glass session \
             opens.",
            seeing(name)
        )),
        Some(RowCategory::ByValue { column, values, null_is_none }) => {
            says.extend(valued(&format!("A row whose {column} is"), "of category", values, &seeing));
            says.push(format!(
                "A row with any other value there{} is hidden from roles that do not see all categories.",
                if *null_is_none { "" } else { ", or with NULL," }
            ));
        }
    }
    for (column, ColumnCategory { category, mask }) in column_categories {
        says.push(format!(
            "Its column {column} is of category {category}, {}; to others it {}",
            seeing(category),
            masked(mask)
        ));
    }
    says
}

/// Which roles see a category or label.
fn seen_by(roles: &[&Role], of: impl Fn(&Role) -> &Seen, name: &str) -> String {
    let seeing: Vec<&str> = roles.iter().filter(|r| of(r).has(name)).map(|r| &*r.name).collect();
    match seeing.as_slice() {
        [] => "which no role sees".to_owned(),
        seeing => format!("seen by {}", seeing.join(", ")),
    }
}

/// What the values of a column stand for.
fn valued(what: &str, is: &str, values: &Values, seeing: &dyn Fn(&str) -> String) -> Vec<String> {
    let Values { names, none } = values;
    let mut says: Vec<String> = names
        .iter()
        .map(|(value, name)| format!("{what} {value:?} is {is} {name}, {}.", seeing(name)))
        .collect();
    if !none.is_empty() {
        let none: Vec<String> = none.iter().map(|v| format!("{v:?}")).collect();
        says.push(format!("{what} {} is {is} none.", none.join(" or ")));
    }
    says
}

fn labelled<'a>(labels: &Labels, roles: impl Iterator<Item = &'a Role>) -> Vec<String> {
    let Labels { relation, patient, column, values } = labels;
    let roles: Vec<&Role> = roles.collect();
    let seeing = |name: &str| seen_by(&roles, |r| &r.labels, name);
    let mut says = vec![format!(
        "A row of {relation} says that the patient in its {patient} has a label, told by {column}."
    )];
    says.extend(valued(&format!("A patient whose {column} there is"), "labelled", values, &seeing));
    says.push(
        "With any other value that is not NULL the patient is hidden from roles that do not see all labels."
            .to_owned(),
    );
    says.push("Who does not see one of a patient's labels sees no row of the patient.".to_owned());
    says
}

/// Whose a row is, in words.
fn way(name: &QualifiedName, path: &KeyPath) -> String {
    let KeyPath { steps, key } = path;
    let mut words = String::new();
    let mut at = name;
    for Step { column, table, references, many } in steps {
        let rows = if *many { "every row" } else { "the row" };
        let _ = write!(words, "{rows} of {table} whose {references} is its {column}, then ");
        at = table;
    }
    if steps.is_empty() {
        format!("the patient in its {key}; with NULL there it is nobody's.")
    } else {
        format!("the patient found over {words}the {key} of {at}. A row whose way ends before is nobody's.")
    }
}

fn referenced(reference: &BTreeSet<QualifiedName>) -> Vec<String> {
    if reference.is_empty() {
        return vec!["No relation is declared free of patients.".to_owned()];
    }
    let names: Vec<String> = reference.iter().map(ToString::to_string).collect();
    vec![
        format!("Free of patients, read by everyone without a guard: {}.", names.join(", ")),
        "What is neither here nor a [[table]] is closed to restricted roles (GLS-220).".to_owned(),
    ]
}

fn role(role: &Role, policy: &Policy) -> Vec<String> {
    let Role {
        name: _,
        scope,
        when: _,
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
        limited,
    } = role;
    let mut says = vec![match scope {
        Scope::Assigned => match outside {
            Outside::Hide => "Sees rows of assigned patients; other patients do not exist for it.".to_owned(),
            Outside::Block => {
                "Sees rows of assigned patients; other patients do not exist for it, and a lookup that \
                               names one is refused with GLS-201."
                    .to_owned()
            }
            Outside::Mask => {
                "Sees rows of every patient; those of patients who are not assigned are masked.".to_owned()
            }
        },
        Scope::All => "Sees rows of every patient; each is recorded.".to_owned(),
        Scope::None => "Sees no row of a patient.".to_owned(),
    }];
    says.extend(super::overview::terms(role));
    for (class, outside) in outside_of {
        says.push(match outside {
            Outside::Hide => format!("In tables of class {class} other patients do not exist."),
            Outside::Block => {
                format!("In tables of class {class} a lookup of another patient is refused with GLS-201.")
            }
            Outside::Mask => format!("In tables of class {class} rows of other patients are masked."),
        });
    }
    if !denied.is_empty() {
        let names: Vec<String> = denied.iter().map(ToString::to_string).collect();
        says.push(format!("Denied: {}.", names.join(", ")));
    }
    match classes {
        None if *scope == Scope::None => {}
        None => says.push("Tables of every class.".to_owned()),
        Some(classes) => {
            let words: Vec<&str> = classes.iter().map(String::as_str).collect();
            says.push(format!("Only tables of class {}; others are closed.", words.join(", ")));
        }
    }
    let Masking { preset, clear, outside: shown_outside, min_cell } = masking;
    if let Some(least) = min_cell {
        says.push(format!(
            "Sees groups of at least {least} patients only; what could tell fewer is refused with GLS-241."
        ));
    }
    if preset.is_some() {
        says.push(
            "Columns that hold one of the 18 identifiers of HIPAA, by their names and types, are masked (safe_harbor)."
                .to_owned(),
        );
    }
    for (table, columns) in masks {
        for (column, mask) in columns {
            says.push(format!("Masked: {table}.{column} {}", masked(mask)));
        }
    }
    for (table, columns) in shown_outside {
        for (column, mask) in columns {
            let shows = mask.as_ref().map_or_else(|| "stands as it is.".to_owned(), masked);
            says.push(format!("In rows of patients outside: {table}.{column} {shows}"));
        }
        says.push(format!("In rows of patients outside every other column of {table} is NULL."));
    }
    for (table, columns) in clear {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        says.push(format!("Not masked although the preset would: {table}.{}.", columns.join(", ")));
    }
    if *limited && *scope != Scope::None {
        says.extend(seen(
            "categories",
            "What is of another category is hidden (a column: masked).",
            categories,
        ));
        says.extend(seen("labels", "Patients with another label are hidden.", labels));
        if masks_outside(*outside, outside_of) {
            says.push("What is hidden by category or label is not shown masked either.".to_owned());
        }
    }
    if !functions.is_empty() {
        let names: Vec<String> = functions.iter().map(ToString::to_string).collect();
        says.push(format!("May call, with values of rows: {}.", names.join(", ")));
    }
    if !channels.is_empty() {
        let names: Vec<&str> = channels.iter().map(String::as_str).collect();
        says.push(format!("Gets what is sent on the channels {}.", names.join(", ")));
    }
    match break_glass {
        Some(profile) => says.push(format!("May break glass on the terms of [break_glass.{profile}].")),
        None => says.push("May not break glass (GLS-203).".to_owned()),
    }
    if *privacy_officer {
        says.push("May review and revoke other people's break-glass sessions.".to_owned());
    }
    says.push(
        if role.is_restricted() {
            "Restricted: dangerous functions and catalogs are closed to it, and what is not mapped."
        } else {
            "Not restricted: it also reads what is not mapped, unrecorded."
        }
        .to_owned(),
    );
    says.push(match rows_withheld {
        WithheldNotice::Always => {
            "A statement from which rows could have been withheld ends with a warning, GLS-202.".to_owned()
        }
        WithheldNotice::Once => {
            "The first statement of a session from which rows could have been withheld ends with a \
                                 warning, GLS-202."
                .to_owned()
        }
        WithheldNotice::Never => "It is not told when rows were withheld.".to_owned(),
    });
    if *mode != PolicyMode::Enforce {
        says.push(moded(*mode, "NOT ENFORCED: "));
    }
    says.push(members(&role.name, &policy.membership));
    says
}

fn masks_outside(outside: Outside, of: &BTreeMap<String, Outside>) -> bool {
    outside == Outside::Mask || of.values().any(|o| *o == Outside::Mask)
}

/// Which categories or labels a role sees.
fn seen(what: &str, others: &str, seen: &Seen) -> Option<String> {
    match seen {
        Seen::All => Some(format!("Sees all {what}.")),
        Seen::Only(names) if names.is_empty() => Some(format!("Sees no {what}. {others}")),
        Seen::Only(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Some(format!("Sees {what} {}. {others}", names.join(", ")))
        }
    }
}

/// What a mode means.
fn moded(mode: PolicyMode, of: &str) -> String {
    let says = match mode {
        PolicyMode::Enforce => "what is decided holds.",
        PolicyMode::Warn => {
            "every row is shown; what would have been done is recorded, and the client is warned (GLS-250)."
        }
        PolicyMode::Observe => {
            "every row is shown; what would have been done is recorded, and nobody is told."
        }
    };
    format!("{of}{says}")
}

/// What a masked column shows, in words.
fn masked(mask: &Mask) -> String {
    match mask {
        Mask::Null => "shows NULL.".to_owned(),
        Mask::Redact { text } => format!("shows {text:?} in place of every value."),
        Mask::Withhold { text } => format!("shows {text:?} in place of every value that is not NULL."),
        Mask::Partial { keep_last } => format!("shows the last {keep_last} characters, `*` for each before."),
        Mask::Zip3 { .. } => {
            "shows the first three digits of a ZIP code, 000 for areas of few people.".to_owned()
        }
        Mask::Year => "shows 1 January of the year.".to_owned(),
        Mask::Age90 => "shows an age of at most 90, or the year of birth of one.".to_owned(),
        Mask::BirthYear => "shows the year of birth, of nobody over 89.".to_owned(),
        Mask::Surrogate { table, value, surrogate } => {
            format!("shows {surrogate} of the row of {table} whose {value} it is; NULL without one.")
        }
    }
}

fn members(role: &str, membership: &Membership) -> String {
    let Membership { users, groups, default } = membership;
    let users: Vec<&str> = users.iter().filter(|(_, r)| *r == role).map(|(u, _)| u.as_str()).collect();
    let groups: Vec<&str> = groups.iter().filter(|(_, r)| r == role).map(|(g, _)| g.as_str()).collect();
    let mut who = Vec::new();
    if !users.is_empty() {
        who.push(format!("database users {}", users.join(", ")));
    }
    if !groups.is_empty() {
        who.push(format!("members of database role {}", groups.join(", ")));
    }
    if default.as_deref() == Some(role) {
        who.push("everyone in no other role".to_owned());
    }
    if who.is_empty() { "Nobody is in it.".to_owned() } else { format!("In it: {}.", who.join("; ")) }
}

fn logins(membership: &Membership) -> Vec<String> {
    let Membership { users, groups, default } = membership;
    let mut says = Vec::new();
    if !users.is_empty() {
        let names: Vec<String> = users.iter().map(|(user, role)| format!("{user} ({role})")).collect();
        says.push(format!("First, users named: {}.", names.join(", ")));
    }
    if !groups.is_empty() {
        let names: Vec<String> = groups.iter().map(|(group, role)| format!("{group} ({role})")).collect();
        says.push(format!(
            "Then the first database role of this list that the user is a member of: {}.",
            names.join(", ")
        ));
    }
    says.push(match default {
        Some(role) => format!("Everyone else: {role}."),
        None => "Everyone else is refused at login.".to_owned(),
    });
    says
}

fn profile<'a>(profile: &GlassProfile, roles: impl Iterator<Item = &'a Role>) -> Vec<String> {
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
    let who: Vec<&str> = roles.filter(|r| r.break_glass.as_ref() == Some(name)).map(|r| &*r.name).collect();
    let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
    let named = [("categories", categories), ("labels", labels)].map(|(what, names)| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match names.as_slice() {
            [] => format!("It opens no {what} that are closed to the role."),
            names => format!("It opens {what} {}, each only when the session names it.", names.join(", ")),
        }
    });
    let mut says = vec![
        if who.is_empty() { "No role uses it.".to_owned() } else { format!("For: {}.", who.join(", ")) },
        format!(
            "A session names a reason ({}) and a note of {note_min_chars} characters or more.",
            reasons.join(", ")
        ),
        format!(
            "It opens up to {max_patients} patients for {}, for {} at most, and ends after {} without use.",
            span(*ttl),
            span(*max_ttl),
            span(*idle_close)
        ),
        format!("One user may open {max_sessions_per_day} in 24 hours."),
    ];
    says.extend(named);
    says
}

fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
