//! What an active session says of itself on a connection: with the first statement, every ten
//! minutes, five minutes before the end, and once when it is over. Not for sending it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::answer::{seconds_until, span, utc};
use super::desk::{Desk, Session, State};
use super::{ConnectionId, SessionId};
use crate::policy::GlsCode;

const EVERY: SignedDuration = SignedDuration::from_mins(10);
const BEFORE_END: SignedDuration = SignedDuration::from_mins(5);

/// What one connection has been told. It belongs to the connection and dies with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoticesSeen(BTreeMap<SessionId, Seen>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    last: Timestamp,
    /// The expiry that was warned of; an extension gives a new one, and a new warning.
    warned_of: Option<Timestamp>,
}

/// Which of the notices it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// The session is active (SQLSTATE 00000, severity NOTICE).
    Active,
    /// It ends within five minutes (SQLSTATE 00000, severity NOTICE).
    Ending,
    /// It is over (SQLSTATE 01000, severity WARNING).
    Over,
}

/// A notice for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// About which session.
    pub session: SessionId,
    /// Which.
    pub kind: NoticeKind,
    /// The message field, with its code where it has one. It names no patient.
    pub message: String,
}

impl Desk {
    /// What to tell `connection` of `user` with the statement it runs at `now`.
    pub fn notices(
        &self,
        seen: &mut NoticesSeen,
        connection: ConnectionId,
        user: &str,
        now: Timestamp,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        seen.0.retain(|id, _| {
            let Some(session) = self.session(id) else { return false };
            let active = session.is_active(now);
            if !active {
                notices.push(over(session));
            }
            active
        });
        for session in self.active(user, connection, now) {
            let near_end = session.expires_at.duration_since(now) <= BEFORE_END;
            let told = seen.0.get(&session.id);
            let warned = told.is_some_and(|t| t.warned_of == Some(session.expires_at));
            let due = told.is_none_or(|t| now.duration_since(t.last) >= EVERY);
            if !due && (!near_end || warned) {
                continue;
            }
            let warned_of = if near_end { Some(session.expires_at) } else { told.and_then(|t| t.warned_of) };
            seen.0.insert(session.id.clone(), Seen { last: now, warned_of });
            notices.push(if near_end { ending(session, now) } else { active(session, now) });
        }
        notices
    }
}

fn active(session: &Session, now: Timestamp) -> Notice {
    let message = format!(
        "break-glass session {} is active: read only, {} left (until {}); every access is recorded and will be reviewed",
        session.id,
        span(seconds_until(session.expires_at, now)),
        utc(session.expires_at)
    );
    Notice { session: session.id.clone(), kind: NoticeKind::Active, message }
}

fn ending(session: &Session, now: Timestamp) -> Notice {
    let message = format!(
        "break-glass session {} ends in {}. If you still need it: SELECT glass.extend('{}', '30 min', 'why')",
        session.id,
        span(seconds_until(session.expires_at, now)),
        session.id
    );
    Notice { session: session.id.clone(), kind: NoticeKind::Ending, message }
}

fn over(session: &Session) -> Notice {
    let how = match &session.state {
        State::ReviewPending(ended) => ended.how,
        State::Active => session.deadline().1,
    };
    let message = format!(
        "{} break-glass session {} has ended because {how}; its patients are closed again",
        GlsCode::SessionEnded.as_str(),
        session.id
    );
    Notice { session: session.id.clone(), kind: NoticeKind::Over, message }
}
