//! What a call comes to: the transitions that would carry it out and the reply, or a refusal.
//! Pure: nothing changes until the caller has logged and applied the transitions.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::answer::{Reply, after, seconds_until, span, utc};
use super::call::{Call, Function, OpenCall};
use super::desk::{Desk, Session, State};
use super::note::check_note;
use super::transition::{Change, Ending, Extended, Named, Opened, Transition};
use super::{ConnectionId, SessionId, unacceptable};
use crate::policy::{GlassProfile, GlsCode, Refusal, Role, Scope};

/// Shortest time that may be asked for, unless the profile's longest is shorter still.
const MIN_TTL: Duration = Duration::from_secs(5 * 60);
/// Longest single extension, and the default.
const EXTENSION: Duration = Duration::from_secs(30 * 60);
/// Extensions a session may get.
const MAX_EXTENSIONS: u32 = 2;
/// The day of `max_sessions_per_day`: the last 24 hours, so that midnight gives nothing away.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How long `glass.status()` shows a session that is over: the time a review may take.
const SHOWN_AFTER_END: SignedDuration = SignedDuration::from_hours(72);

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
        let patients: Vec<Named> = open.patients.iter().map(|typed| resolve(typed, facts)).collect();
        let same = |s: &&Session| {
            s.terms.reason == reason
                && s.terms.note == note
                && s.terms.binding == open.bind
                && s.terms.patients == patients
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
            role: who.role.name.clone(),
            profile: profile.name.clone(),
            reason,
            note,
            previous: self.previous(who.user, &patients, now),
            patients,
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
        let message = active_message(&id, expires_at, opened.patients.len(), now);
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

    fn opened_last_day(&self, user: &str, now: Timestamp) -> usize {
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

    /// The caller's sessions, active or ended lately; for a privacy officer also everybody's
    /// active ones, whose ids `glass.revoke` needs.
    fn status(&self, who: &Principal<'_>, now: Timestamp) -> Reply {
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
    fn why(&self, typed: &str, who: &Principal<'_>, facts: &Facts<'_>, now: Timestamp) -> Reply {
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
        let may = match who.profile {
            Some(_) => {
                line("may break glass", "yes", format!("in an emergency: {}", Function::Open.example()))
            }
            None => line("may break glass", "no", format!("role {role} cannot break glass")),
        };
        Reply::of(Function::Why, vec![scope, assignment, session, may])
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

fn reason(typed: &str, profile: &GlassProfile) -> Result<String, Refusal> {
    let code = typed.trim().to_ascii_uppercase();
    if profile.reasons.contains(&code) {
        return Ok(code);
    }
    Err(unacceptable("that reason is not one of yours").with_hint(format!("Reasons: {}", reasons(profile))))
}

fn reasons(profile: &GlassProfile) -> String {
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

fn resolve(typed: &str, facts: &Facts<'_>) -> Named {
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

fn active_message(id: &SessionId, expires_at: Timestamp, patients: usize, now: Timestamp) -> String {
    format!(
        "break-glass session {id} is active for {} (until {}), read only, patients named: {patients}. \
         Every access is recorded and will be reviewed. If nothing shows, check the number you typed.",
        span(seconds_until(expires_at, now)),
        utc(expires_at),
    )
}

/// The row of an active session for open and extend.
fn row(session: &Session, expires_at: Timestamp, now: Timestamp) -> Vec<Option<String>> {
    let patients = session.terms.patients.len();
    vec![
        Some(session.id.to_string()),
        Some("active".to_owned()),
        Some(patients.to_string()),
        Some(utc(expires_at)),
        Some(active_message(&session.id, expires_at, patients, now)),
    ]
}

fn ended_row(session: &Session, how: Ending, now: Timestamp) -> Vec<Option<String>> {
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
        format!("{} left; closes {} if not used", span(seconds_until(session.expires_at, now)), utc(deadline))
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

/// What there is to call, with the caller's own terms.
fn help(who: &Principal<'_>) -> Reply {
    let terms = match who.profile {
        Some(p) => {
            let text = |d: Duration| span(i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
            format!(
                "opens at once, read only, only the patients named, for {} (ttl => '...', up to {}), closes after {} \
                 unused. Reasons: {}. Note: at least {} characters. Up to {} patients (patients => ARRAY['...']), {} \
                 sessions in 24 h. bind => 'connection' (default) or 'principal' (all your connections)",
                text(p.ttl),
                text(p.max_ttl),
                text(p.idle_close),
                reasons(p),
                p.note_min_chars,
                p.max_patients,
                p.max_sessions_per_day
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
