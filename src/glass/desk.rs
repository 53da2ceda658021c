//! The state of break-glass: a fold over transitions, and what follows from it at a given time.
//! It decides nothing about a request (`decide`) and does no I/O.
//!
//! Invariant: a session grants something exactly at times in `[opened_at, min(expires_at, end of
//! the idle time, effective end))`. The clock decides, not whether [`Desk::tick`] has run yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use super::answer::after;
use super::transition::{Binding, Change, Ended, Ending, Opened, Transition};
use super::{ConnectionId, SessionId};
use crate::policy::{Opens, Variant, token};

/// Every session there ever was, as the ledger tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desk {
    sessions: BTreeMap<SessionId, Session>,
    /// Every session of a user, in the order of opening.
    by_user: HashMap<String, Vec<SessionId>>,
    /// Those without an [`Ended`] yet; they may be over by the clock.
    open: BTreeSet<SessionId>,
    version: u64,
}

/// One session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// When it began.
    pub opened_at: Timestamp,
    /// Its terms.
    pub terms: Opened,
    /// Its end, extensions included.
    pub expires_at: Timestamp,
    /// Extensions so far.
    pub extensions: u32,
    /// Where it stands.
    pub state: State,
    /// Bound to a connection of an earlier run of the proxy.
    orphaned: bool,
    last_use: LastUse,
}

/// Where a session stands. A session that was active always goes to its review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not ended by any transition; still, the clock may have ended it.
    Active,
    /// Over, and waiting for its review. Terminal in this version.
    ReviewPending(Ended),
}

/// Microseconds since 1970. Atomic, so that a statement can mark its session under a shared lock.
#[derive(Debug)]
struct LastUse(AtomicI64);

impl Clone for LastUse {
    fn clone(&self) -> Self {
        LastUse(AtomicI64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl PartialEq for LastUse {
    fn eq(&self, other: &Self) -> bool {
        self.0.load(Ordering::Relaxed) == other.0.load(Ordering::Relaxed)
    }
}

/// What a transition did to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// The state changed.
    Changed,
    /// It was known already, or came after the session's end: nothing changed.
    Already,
    /// Its session is not known: the ledger that was replayed has a gap.
    UnknownSession,
}

/// What break-glass opens to one connection at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// The active sessions: the record of a statement names them.
    pub sessions: Vec<SessionId>,
    /// Canonical patient keys, sorted, none twice.
    pub patients: Vec<String>,
    /// What of these patients is opened beyond that, as [`token`]s, sorted, none twice.
    pub opened: Vec<String>,
    /// Grows with every applied transition. With the same version this answer holds until
    /// `next_change`; a different version says: ask again.
    pub version: u64,
    /// When the first of these sessions is over, unless it is used or extended. `None` without sessions.
    pub next_change: Option<Timestamp>,
}

impl Grants {
    /// The guard that a query gets under them.
    pub fn variant(&self) -> Variant {
        match (self.patients.is_empty(), self.opened.is_empty()) {
            (true, _) => Variant::Assigned,
            (false, true) => Variant::Granted,
            (false, false) => Variant::Opened,
        }
    }
}

impl Session {
    /// Until when it lasts if nothing more happens, and what ends it then.
    pub fn deadline(&self) -> (Timestamp, Ending) {
        let last_use =
            Timestamp::from_microsecond(self.last_use.0.load(Ordering::Relaxed)).unwrap_or(self.opened_at);
        let idle = after(last_use, self.terms.idle_close_seconds);
        if idle < self.expires_at { (idle, Ending::IdleClosed) } else { (self.expires_at, Ending::Expired) }
    }

    /// True when it grants its patients at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        match self.state {
            State::Active => !self.orphaned && self.opened_at <= now && now < self.deadline().0,
            State::ReviewPending(_) => false,
        }
    }

    /// True when it counts for this connection of its user.
    pub fn counts_for(&self, connection: ConnectionId) -> bool {
        match self.terms.binding {
            Binding::Connection => self.terms.connection == connection,
            Binding::Principal => true,
        }
    }

    /// The keys that it opens.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.terms.patients.iter().filter_map(|p| p.key.as_deref())
    }

    /// What it opens of its patients by name.
    fn tokens(&self) -> impl Iterator<Item = String> {
        let Opened { categories, labels, .. } = &self.terms;
        let named = categories.iter().map(|name| (Opens::Category, name));
        let named = named.chain(labels.iter().map(|name| (Opens::Label, name)));
        named.flat_map(|(opens, name)| self.keys().map(move |key| token(opens, name, key)))
    }

    /// The end that has come by the clock at `now`, though no transition says so yet.
    fn overdue(&self, now: Timestamp) -> Option<Ended> {
        if self.state != State::Active {
            return None;
        }
        let (end, how) = self.deadline();
        let (effective, how) = match (end <= now, self.orphaned) {
            (true, _) => (end, how),
            (false, true) => (now, Ending::ProxyRestarted),
            (false, false) => return None,
        };
        Some(Ended { how, effective, by: None, note: None })
    }

    fn mark_used(&self, at: Timestamp) {
        self.last_use.0.fetch_max(at.as_microsecond(), Ordering::Relaxed);
    }

    /// The transition that ends it now.
    pub(super) fn end(
        &self,
        how: Ending,
        by: Option<&str>,
        note: Option<String>,
        now: Timestamp,
    ) -> Transition {
        let effective = now;
        let ended = Ended { how, effective, by: by.map(str::to_owned), note };
        Transition { at: now, session: self.id.clone(), change: Change::Ended(ended) }
    }
}

impl Desk {
    /// The state after these transitions. At the start of the proxy, call [`Self::restarted`]
    /// next, and [`Self::used`] for every recorded statement that names a session (without that,
    /// the idle time counts from the opening or the last extension, and a session may close early).
    pub fn replay<'a>(transitions: impl IntoIterator<Item = &'a Transition>) -> Self {
        let mut desk = Self::default();
        for transition in transitions {
            let _ = desk.apply(transition);
        }
        desk
    }

    /// Says that every connection there was is gone: sessions bound to one grant nothing from here
    /// on. The next [`Self::tick`] returns their ends, which the caller must log.
    pub fn restarted(&mut self) {
        for id in &self.open {
            if let Some(session) = self.sessions.get_mut(id) {
                session.orphaned |= session.terms.binding == Binding::Connection;
            }
        }
        self.version += 1;
    }

    /// Takes a transition over. It is total and idempotent: what is known already, or comes after
    /// the end of its session, changes nothing. Terminal states never reopen.
    pub fn apply(&mut self, transition: &Transition) -> Applied {
        let applied = match &transition.change {
            Change::Opened(terms) => self.apply_opened(transition, terms),
            Change::Extended(extended) => match self.sessions.get_mut(&transition.session) {
                None => Applied::UnknownSession,
                Some(s)
                    if s.state == State::Active
                        && transition.at < s.expires_at
                        && extended.number == s.extensions + 1
                        && extended.number <= s.terms.max_extensions =>
                {
                    s.extensions = extended.number;
                    s.expires_at = extended.expires_at.max(s.expires_at).min(s.terms.latest_end);
                    s.mark_used(transition.at);
                    Applied::Changed
                }
                Some(_) => Applied::Already,
            },
            Change::Ended(ended) => match self.sessions.get_mut(&transition.session) {
                None => Applied::UnknownSession,
                Some(s) if s.state == State::Active => {
                    s.state = State::ReviewPending(ended.clone());
                    self.open.remove(&transition.session);
                    Applied::Changed
                }
                Some(_) => Applied::Already,
            },
        };
        if applied == Applied::Changed {
            self.version += 1;
        }
        applied
    }

    fn apply_opened(&mut self, transition: &Transition, terms: &Opened) -> Applied {
        if self.sessions.contains_key(&transition.session) {
            return Applied::Already;
        }
        let session = Session {
            id: transition.session.clone(),
            opened_at: transition.at,
            expires_at: terms.expires_at.min(terms.latest_end),
            terms: terms.clone(),
            extensions: 0,
            state: State::Active,
            orphaned: false,
            last_use: LastUse(AtomicI64::new(transition.at.as_microsecond())),
        };
        self.by_user.entry(terms.user.clone()).or_default().push(session.id.clone());
        self.open.insert(session.id.clone());
        self.sessions.insert(session.id.clone(), session);
        Applied::Changed
    }

    /// The ends that have come by the clock: expiries, idle closes, sessions whose connection a
    /// restart cut. The same ones come again until they are applied.
    pub fn tick(&self, now: Timestamp) -> Vec<Transition> {
        self.open_sessions()
            .filter_map(|s| {
                let change = Change::Ended(s.overdue(now)?);
                Some(Transition { at: now, session: s.id.clone(), change })
            })
            .collect()
    }

    /// The ends of the sessions bound to a connection that is gone.
    pub fn connection_closed(&self, connection: ConnectionId, now: Timestamp) -> Vec<Transition> {
        self.ends(now, Ending::ConnectionGone, |s| {
            s.terms.binding == Binding::Connection && s.terms.connection == connection && !s.orphaned
        })
    }

    /// The ends of a user's sessions when the policy no longer lets the user break glass (a reload
    /// took the profile away, the account was suspended).
    pub fn rights_withdrawn(&self, user: &str, now: Timestamp) -> Vec<Transition> {
        self.ends(now, Ending::RightsWithdrawn, |s| s.terms.user == user)
    }

    fn ends(&self, now: Timestamp, how: Ending, of: impl Fn(&Session) -> bool) -> Vec<Transition> {
        self.open_sessions()
            .filter(|s| of(s))
            .map(|s| match s.overdue(now) {
                // It had ended by itself before: that is how it ended.
                Some(ended) => Transition { at: now, session: s.id.clone(), change: Change::Ended(ended) },
                None => s.end(how, None, None, now),
            })
            .collect()
    }

    /// What is open to `connection` of `user` at `now`.
    pub fn grants(&self, user: &str, connection: ConnectionId, now: Timestamp) -> Grants {
        let mut grants = Grants { version: self.version, ..Grants::default() };
        let mut patients = BTreeSet::new();
        let mut opened = BTreeSet::new();
        for session in self.active(user, connection, now) {
            grants.sessions.push(session.id.clone());
            patients.extend(session.keys().map(str::to_owned));
            opened.extend(session.tokens());
            let end = session.deadline().0;
            grants.next_change = Some(grants.next_change.map_or(end, |at| at.min(end)));
        }
        grants.patients = patients.into_iter().collect();
        grants.opened = opened.into_iter().collect();
        grants
    }

    /// Marks that a statement used the session at `now`: the idle time starts again. A session
    /// that is over stays over.
    pub fn used(&self, session: &SessionId, now: Timestamp) {
        if let Some(session) = self.sessions.get(session).filter(|s| s.is_active(now)) {
            session.mark_used(now);
        }
    }

    /// The session of this name.
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// Every session, active or over, by name.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// The sessions that count for this connection at `now`.
    pub(super) fn active(
        &self,
        user: &str,
        connection: ConnectionId,
        now: Timestamp,
    ) -> impl Iterator<Item = &Session> {
        self.of_user(user)
            .filter(|s| self.open.contains(&s.id))
            .filter(move |s| s.counts_for(connection) && s.is_active(now))
    }

    /// Every session of the user, in the order of opening.
    pub(super) fn of_user(&self, user: &str) -> impl DoubleEndedIterator<Item = &Session> {
        self.by_user.get(user).into_iter().flatten().filter_map(|id| self.sessions.get(id))
    }

    fn open_sessions(&self) -> impl Iterator<Item = &Session> {
        self.open.iter().filter_map(|id| self.sessions.get(id))
    }
}
