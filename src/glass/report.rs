//! What break-glass says without changing anything: `glass.status`, `glass.why`, `glass.help`, and
//! the rows about a session that the other calls answer with. Not for decisions (`decide`).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::SessionId;
use super::answer::{Reply, seconds_until, span, utc};
use super::call::Function;
use super::decide::{EXTENSION, Facts, MAX_EXTENSIONS, Principal, reasons, resolve};
use super::desk::{Desk, Session, State};
use super::transition::{Ending, Opened};
use crate::policy::{GlassProfile, Scope};

/// How long `glass.status()` shows a session that is over: the time a review may take.
const SHOWN_AFTER_END: SignedDuration = SignedDuration::from_hours(72);

impl Desk {
    /// The caller's sessions, active or ended lately; for a privacy officer also everybody's
    /// active ones, whose ids `glass.revoke` needs.
    pub(super) fn status(&self, who: &Principal<'_>, now: Timestamp) -> Reply {
        let own = |s: &&Session| {
            s.terms.user == who.user
                && (s.is_active(now) || now.duration_since(end_of(s, now).0) < SHOWN_AFTER_END)
        };
        let others = |s: &&Session| who.role.privacy_officer && s.is_active(now);
        let mut rows: Vec<_> =
            self.sessions().filter(|s| own(s) || others(s)).map(|s| status_row(s, now)).collect();
        if let Some(profile) = who.profile {
            let left =
                (profile.max_sessions_per_day as usize).saturating_sub(self.opened_last_day(who.user, now));
            let mut row = vec![None; Function::Status.columns().len()];
            if let Some(last) = row.last_mut() {
                *last = Some(format!("{left} of {} sessions left in 24 h", profile.max_sessions_per_day));
            }
            rows.push(row);
        }
        Reply::of(Function::Status, rows)
    }

    /// Why the caller can or cannot see a patient, rule by rule. What it says about a patient that
    /// does not exist is what it says about any other outside the assignment.
    pub(super) fn why(&self, typed: &str, who: &Principal<'_>, facts: &Facts<'_>, now: Timestamp) -> Reply {
        let key = resolve(typed, facts).key;
        let line = |rule: &str, answer: &str, message: String| {
            vec![Some(rule.to_owned()), Some(answer.to_owned()), Some(message)]
        };
        let role = &who.role.name;
        let scope = match who.role.scope {
            Scope::All => {
                line("role", "yes", format!("role {role} sees all patients; every access is recorded"))
            }
            Scope::None => line("role", "no", format!("role {role} sees no patients")),
            Scope::Assigned => line("role", "depends", format!("role {role} sees assigned patients")),
        };
        let assignment = match facts.assigned {
            Some(true) => line("assignment", "yes", "this patient is assigned to you".to_owned()),
            Some(false) => line("assignment", "no", "no assignment names you and this patient".to_owned()),
            None => line("assignment", "unknown", "the assignment could not be looked up".to_owned()),
        };
        // By typed text as well, so that a text that names nobody is answered like one that does.
        let covers = |s: &&Session| {
            s.terms.patients.iter().any(|p| p.typed == typed || (key.is_some() && p.key == key))
        };
        let session = match self.active(who.user, who.connection, now).find(covers) {
            Some(s) => line("break-glass", "yes", format!("session {} until {}", s.id, utc(s.expires_at))),
            None => line("break-glass", "no", "no active session of yours names this patient".to_owned()),
        };
        let mut lines = vec![scope, assignment];
        if who.role.limited {
            let message = format!(
                "some categories of data, or labels of patients, are closed to role {role}: what is of them stays hidden, \
                 unless a break-glass session names it"
            );
            lines.push(line("categories and labels", "depends", message));
        }
        let may = match who.profile {
            Some(_) => {
                line("may break glass", "yes", format!("in an emergency: {}", Function::Open.example()))
            }
            None => line("may break glass", "no", format!("role {role} cannot break glass")),
        };
        lines.extend([session, may]);
        Reply::of(Function::Why, lines)
    }
}

pub(super) fn active_message(
    id: &SessionId,
    expires_at: Timestamp,
    terms: &Opened,
    now: Timestamp,
) -> String {
    format!(
        "break-glass session {id} is active for {} (until {}), read only, patients named: {}{}. \
         Every access is recorded and will be reviewed. If nothing shows, check the number you typed.",
        span(seconds_until(expires_at, now)),
        utc(expires_at),
        terms.patients.len(),
        opened_names(terms),
    )
}

/// What a session opens by name, in words.
fn opened_names(terms: &Opened) -> String {
    let named = [("categories", &terms.categories), ("labels", &terms.labels)];
    let named = named.into_iter().filter(|(_, names)| !names.is_empty());
    named.map(|(what, names)| format!(", {what} opened: {}", names.join(", "))).collect()
}

/// The row of an active session for open and extend.
pub(super) fn row(session: &Session, expires_at: Timestamp, now: Timestamp) -> Vec<Option<String>> {
    let patients = session.terms.patients.len();
    vec![
        Some(session.id.to_string()),
        Some("active".to_owned()),
        Some(patients.to_string()),
        Some(utc(expires_at)),
        Some(active_message(&session.id, expires_at, &session.terms, now)),
    ]
}

pub(super) fn ended_row(session: &Session, how: Ending, now: Timestamp) -> Vec<Option<String>> {
    vec![
        Some(session.id.to_string()),
        Some(how.as_str().to_owned()),
        Some(session.terms.patients.len().to_string()),
        Some(utc(now)),
        Some(format!("break-glass session {} has ended and waits for its review", session.id)),
    ]
}

/// When and how a session that is not active came to its end.
fn end_of(session: &Session, now: Timestamp) -> (Timestamp, Ending) {
    match &session.state {
        State::ReviewPending(ended) => (ended.effective, ended.how),
        State::Active => {
            let (end, how) = session.deadline();
            if end <= now { (end, how) } else { (now, Ending::ProxyRestarted) }
        }
    }
}

fn status_row(session: &Session, now: Timestamp) -> Vec<Option<String>> {
    let active = session.is_active(now);
    let (end, how) = end_of(session, now);
    let extensions = session.terms.max_extensions.saturating_sub(session.extensions);
    let (deadline, _) = session.deadline();
    let message = if active {
        format!(
            "{} left; closes {} if not used{}",
            span(seconds_until(session.expires_at, now)),
            utc(deadline),
            opened_names(&session.terms)
        )
    } else {
        format!("ended {} because {how}; review pending", utc(end))
    };
    vec![
        Some(session.id.to_string()),
        Some(session.terms.user.clone()),
        Some(if active { "active" } else { how.as_str() }.to_owned()),
        Some(session.terms.reason.clone()),
        Some(session.terms.patients.len().to_string()),
        Some(utc(session.opened_at)),
        Some(utc(session.expires_at)),
        active.then(|| span(seconds_until(session.expires_at, now))),
        Some(session.terms.binding.as_str().to_owned()),
        active.then(|| extensions.to_string()),
        Some(message),
    ]
}

/// What sessions open only when they name it.
fn opened_on_request(profile: &GlassProfile) -> String {
    let named = [("Categories", "categories", &profile.categories), ("Labels", "labels", &profile.labels)];
    let named = named.into_iter().filter(|(_, _, names)| !names.is_empty());
    named
        .map(|(what, key, names)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!(". {what} open only when named ({key} => ARRAY['...']): {}", names.join(", "))
        })
        .collect()
}

/// What there is to call, with the caller's own terms.
pub(super) fn help(who: &Principal<'_>) -> Reply {
    let terms = match who.profile {
        Some(p) => {
            let text = |d: Duration| span(i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
            format!(
                "opens at once, read only, only the patients named, for {} (ttl => '...', up to {}), closes after {} \
                 unused. Reasons: {}. Note: at least {} characters. Up to {} patients (patients => ARRAY['...']), {} \
                 sessions in 24 h. bind => 'connection' (default) or 'principal' (all your connections){}",
                text(p.ttl),
                text(p.max_ttl),
                text(p.idle_close),
                reasons(p),
                p.note_min_chars,
                p.max_patients,
                p.max_sessions_per_day,
                opened_on_request(p)
            )
        }
        None => format!("your role ({}) cannot break glass", who.role.name),
    };
    let rows = Function::ALL
        .into_iter()
        .filter(|f| *f != Function::Revoke || who.role.privacy_officer)
        .map(|f| {
            let message = match f {
                Function::Open => terms.clone(),
                Function::Close => "ends your sessions on this connection, or the one named".to_owned(),
                Function::Extend => {
                    format!("up to {MAX_EXTENSIONS} times {} more", span(EXTENSION.as_secs().cast_signed()))
                }
                Function::Revoke => "ends anybody's session".to_owned(),
                Function::Status => "your sessions, time and quota left".to_owned(),
                Function::Help => "this table".to_owned(),
                Function::Why => "why you can or cannot see a patient, rule by rule".to_owned(),
            };
            vec![Some(f.example().to_owned()), Some(message)]
        })
        .collect();
    Reply::of(Function::Help, rows)
}
