//! What a call comes to: the transitions that would carry it out and the reply, or a refusal.
//! Pure: nothing changes until the caller has logged and applied the transitions.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::answer::{Reply, after, span, utc};
use super::call::{Call, Function, OpenCall};
use super::desk::{Desk, Session};
use super::note::check_note;
use super::report::{active_message, ended_row, help, row};
use super::transition::{Change, Ending, Extended, Named, Opened, Transition};
use super::{ConnectionId, SessionId, unacceptable};
use crate::policy::{GlassProfile, GlsCode, Refusal, Role};

/// Shortest time that may be asked for, unless the profile's longest is shorter still.
const MIN_TTL: Duration = Duration::from_secs(5 * 60);
/// Longest single extension, and the default.
pub(super) const EXTENSION: Duration = Duration::from_secs(30 * 60);
/// Extensions a session may get.
pub(super) const MAX_EXTENSIONS: u32 = 2;
/// The day of `max_sessions_per_day`: the last 24 hours, so that midnight gives nothing away.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    /// Database user name.
    pub user: &'a str,
    /// Its role.
    pub role: &'a Role,
    /// The role's break-glass profile, if it has one.
    pub profile: Option<&'a GlassProfile>,
    /// The connection.
    pub connection: ConnectionId,
    /// Client address, for the record.
    pub address: &'a str,
    /// application_name, for the record.
    pub application: &'a str,
}

/// What the caller found out for the decision.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// One for each of [`Call::patients`].
    pub resolved: &'a [ResolvedPatient],
    /// For `glass.why`: whether the patient is assigned to the user. `Some(false)` for a patient
    /// that does not exist, `None` when it could not be looked up.
    pub assigned: Option<bool>,
    /// 40 random bits for the id of a new session, from a generator that users cannot foresee.
    pub random: u64,
}

/// A patient as typed, and the key it means.
///
/// A text that is no key of the key type ([`crate::policy::KeyType::canonical`]) and that no
/// identifier column knows has `key: None`. It opens a session all the same, over nobody: the
/// reply may not tell who exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedPatient {
    /// As in [`Call::patients`].
    pub typed: String,
    /// The canonical key.
    pub key: Option<String>,
}

/// What to do, in this order: log all transitions, [`Desk::apply`] them, send the reply.
///
/// Between [`Desk::decide`] and the last `apply` no other decision may come, or quotas are counted
/// twice. An `apply` that does not return [`super::Applied::Changed`] means the session ended
/// meanwhile: answer GLS-210 instead of the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// What changes; empty when nothing does.
    pub transitions: Vec<Transition>,
    /// The reply, to go through [`super::Shape::present`].
    pub reply: Reply,
}

impl Desk {
    /// Decides a call.
    ///
    /// # Errors
    /// [`Refusal`]: GLS-203 (not allowed or not acceptable), GLS-206 (quota), GLS-210 (no such
    /// active session). The caller records refusals as well.
    pub fn decide(
        &self,
        call: &Call,
        who: &Principal<'_>,
        facts: &Facts<'_>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        match call {
            Call::Open(open) => self.open(open, who, facts, now),
            Call::Close { session } => self.close(session.as_ref(), who, now),
            Call::Extend { session, ttl, note } => self.extend(session, *ttl, note, who, now),
            Call::Revoke { session, note } => self.revoke(session, note, who, now),
            Call::Status => Ok(only(self.status(who, now))),
            Call::Help => Ok(only(help(who))),
            Call::Why { patient } => Ok(only(self.why(patient, who, facts, now))),
        }
    }

    fn open(
        &self,
        open: &OpenCall,
        who: &Principal<'_>,
        facts: &Facts<'_>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let profile = profile(who)?;
        let reason = reason(&open.reason, profile)?;
        let note = check_note(&open.note, profile.note_min_chars)?;
        let ttl = ttl(open.ttl, profile)?;
        if open.patients.is_empty() {
            return Err(unacceptable("no patient is named"));
        }
        if open.patients.len() > profile.max_patients as usize {
            return Err(quota(format!("one session may name {} patients at most", profile.max_patients)));
        }
        opens(&open.categories, &profile.categories, "category", "categories")?;
        opens(&open.labels, &profile.labels, "label", "labels")?;
        let patients: Vec<Named> = open.patients.iter().map(|typed| resolve(typed, facts)).collect();
        let same = |s: &&Session| {
            s.terms.reason == reason
                && s.terms.note == note
                && s.terms.binding == open.bind
                && s.terms.patients == patients
                && s.terms.categories == open.categories
                && s.terms.labels == open.labels
        };
        // A tool's "initial SQL" opens again with every connection: that is one session.
        if let Some(session) = self.active(who.user, who.connection, now).find(same) {
            return Ok(only(Reply::of(Function::Open, vec![row(session, session.expires_at, now)])));
        }
        let (used, max) = (self.opened_last_day(who.user, now), profile.max_sessions_per_day);
        if used >= max as usize {
            return Err(quota(format!("you have opened {used} sessions in 24 h, and {max} are allowed")));
        }
        let expires_at = after(now, ttl.as_secs());
        let opened = Opened {
            user: who.user.to_owned(),
            role: who.role.name.to_string(),
            profile: profile.name.clone(),
            reason,
            note,
            previous: self.previous(who.user, &patients, now),
            patients,
            categories: open.categories.clone(),
            labels: open.labels.clone(),
            binding: open.bind,
            connection: who.connection,
            address: who.address.to_owned(),
            application: who.application.to_owned(),
            expires_at,
            latest_end: after(now, profile.max_ttl.as_secs()),
            idle_close_seconds: profile.idle_close.as_secs(),
            max_extensions: MAX_EXTENSIONS,
        };
        let id = self.free_id(facts.random);
        let message = active_message(&id, expires_at, &opened, now);
        let row = vec![
            Some(id.to_string()),
            Some("active".to_owned()),
            Some(opened.patients.len().to_string()),
            Some(utc(expires_at)),
            Some(message),
        ];
        let transition = Transition { at: now, session: id, change: Change::Opened(Box::new(opened)) };
        Ok(Decision { transitions: vec![transition], reply: Reply::of(Function::Open, vec![row]) })
    }

    fn close(
        &self,
        session: Option<&SessionId>,
        who: &Principal<'_>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let sessions: Vec<&Session> = match session {
            Some(id) => vec![self.own_active(id, who, now)?],
            None => self.active(who.user, who.connection, now).collect(),
        };
        let transitions =
            sessions.iter().map(|s| s.end(Ending::Closed, Some(who.user), None, now)).collect::<Vec<_>>();
        let mut rows: Vec<_> = sessions.iter().map(|s| ended_row(s, Ending::Closed, now)).collect();
        if rows.is_empty() {
            rows.push(vec![None, None, None, None, Some("no break-glass session is open here".to_owned())]);
        }
        Ok(Decision { transitions, reply: Reply::of(Function::Close, rows) })
    }

    fn extend(
        &self,
        id: &SessionId,
        ttl: Option<Duration>,
        note: &str,
        who: &Principal<'_>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let profile = profile(who)?;
        let session = self.own_active(id, who, now)?;
        let note = check_note(note, profile.note_min_chars)?;
        let step = ttl.unwrap_or(EXTENSION);
        if step > EXTENSION || step < Duration::from_secs(60) {
            return Err(unacceptable(format!(
                "an extension is 1 min to {} long",
                span(EXTENSION.as_secs().cast_signed())
            )));
        }
        if session.extensions >= session.terms.max_extensions {
            return Err(quota(format!(
                "a session is extended {} times at most",
                session.terms.max_extensions
            ))
            .with_hint("If it is still an emergency, open a new session and say why."));
        }
        let expires_at = after(session.expires_at, step.as_secs()).min(session.terms.latest_end);
        if expires_at <= session.expires_at {
            return Err(quota(
                "this session has reached the longest time that your profile allows".to_owned(),
            )
            .with_hint("If it is still an emergency, open a new session and say why."));
        }
        let extended = Extended { number: session.extensions + 1, expires_at, note };
        let transition = Transition { at: now, session: id.clone(), change: Change::Extended(extended) };
        let reply = Reply::of(Function::Extend, vec![row(session, expires_at, now)]);
        Ok(Decision { transitions: vec![transition], reply })
    }

    fn revoke(
        &self,
        id: &SessionId,
        note: &str,
        who: &Principal<'_>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        if !who.role.privacy_officer {
            return Err(unacceptable(format!("your role ({}) cannot revoke sessions", who.role.name))
                .with_hint("Privacy officers can. Your own session ends with SELECT glass.close()."));
        }
        let note = check_note(note, 0)?;
        if note.is_empty() {
            return Err(unacceptable("say why the session is revoked"));
        }
        let session = self.session(id).filter(|s| s.is_active(now)).ok_or_else(not_active)?;
        let transition = session.end(Ending::Revoked, Some(who.user), Some(note), now);
        let reply = Reply::of(Function::Revoke, vec![ended_row(session, Ending::Revoked, now)]);
        Ok(Decision { transitions: vec![transition], reply })
    }

    /// A session of the caller's own that is active. Somebody else's and one that never was get
    /// the same answer.
    fn own_active(&self, id: &SessionId, who: &Principal<'_>, now: Timestamp) -> Result<&Session, Refusal> {
        self.session(id).filter(|s| s.terms.user == who.user && s.is_active(now)).ok_or_else(not_active)
    }

    /// How many sessions the user opened in the last 24 hours.
    pub(super) fn opened_last_day(&self, user: &str, now: Timestamp) -> usize {
        self.of_user(user).filter(|s| now.duration_since(s.opened_at) < DAY).count()
    }

    /// The user's last session over one of these patients, when it is over.
    fn previous(&self, user: &str, patients: &[Named], now: Timestamp) -> Option<SessionId> {
        let shares = |s: &&Session| s.keys().any(|k| patients.iter().any(|p| p.key.as_deref() == Some(k)));
        self.of_user(user).rev().filter(|s| !s.is_active(now)).find(shares).map(|s| s.id.clone())
    }

    /// The id of `random`, or the next one that is free.
    fn free_id(&self, random: u64) -> SessionId {
        let mut random = random;
        loop {
            let id = SessionId::from_random(random);
            if self.session(&id).is_none() {
                return id;
            }
            random = random.wrapping_add(1);
        }
    }
}

/// A reply without a change.
fn only(reply: Reply) -> Decision {
    Decision { transitions: Vec::new(), reply }
}

fn profile<'a>(who: &Principal<'a>) -> Result<&'a GlassProfile, Refusal> {
    who.profile.ok_or_else(|| {
        unacceptable(format!("your role ({}) cannot break glass", who.role.name))
            .with_hint("Ask a colleague who may, or whoever assigns patients. This attempt is recorded.")
    })
}

/// Refuses what the profile does not open.
fn opens(named: &[String], allowed: &BTreeSet<String>, one: &str, many: &str) -> Result<(), Refusal> {
    if named.iter().all(|name| allowed.contains(name)) {
        return Ok(());
    }
    let hint = match allowed.is_empty() {
        true => format!("Your profile opens no {many}."),
        false => {
            let names: Vec<&str> = allowed.iter().map(String::as_str).collect();
            format!("It opens {many} {}.", names.join(", "))
        }
    };
    Err(unacceptable(format!("your profile does not open that {one}")).with_hint(hint))
}

fn reason(typed: &str, profile: &GlassProfile) -> Result<String, Refusal> {
    let code = typed.trim().to_ascii_uppercase();
    if profile.reasons.contains(&code) {
        return Ok(code);
    }
    Err(unacceptable("that reason is not one of yours").with_hint(format!("Reasons: {}", reasons(profile))))
}

pub(super) fn reasons(profile: &GlassProfile) -> String {
    profile.reasons.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn ttl(asked: Option<Duration>, profile: &GlassProfile) -> Result<Duration, Refusal> {
    let (least, most) = (MIN_TTL.min(profile.max_ttl), profile.max_ttl);
    match asked {
        None => Ok(profile.ttl.min(most)),
        Some(ttl) if (least..=most).contains(&ttl) => Ok(ttl),
        Some(_) => {
            let text = |d: Duration| span(i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
            Err(unacceptable(format!("a session lasts {} to {}", text(least), text(most))))
        }
    }
}

pub(super) fn resolve(typed: &str, facts: &Facts<'_>) -> Named {
    let key = facts.resolved.iter().find(|r| r.typed == typed).and_then(|r| r.key.clone());
    Named { typed: typed.to_owned(), key }
}

fn quota(message: String) -> Refusal {
    Refusal::new(GlsCode::Quota, message)
}

fn not_active() -> Refusal {
    Refusal::new(GlsCode::SessionEnded, "there is no such active session").with_hint(
        "SELECT * FROM glass.status() lists yours. A session that ended does not reopen: open a new one.",
    )
}
