//! The state machine against a model that knows only intervals: random calls, times, lost and
//! repeated transitions, restarts by replay through JSON.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const USERS: [&str; 2] = ["ann", "bob"];
const CONNECTIONS: u64 = 3;

#[derive(Debug, Clone)]
enum Op {
    Wait(i64),
    Open { user: usize, connection: u64, patients: Vec<u8>, ttl: Option<u64>, principal: bool },
    Close { user: usize, connection: u64, nth: Option<usize> },
    Extend { user: usize, nth: usize, minutes: u64, delay: i64 },
    Revoke { nth: usize },
    Use { user: usize, connection: u64 },
    Tick,
    ConnectionClosed(u64),
    RightsWithdrawn(usize),
    Again(usize),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let (user, connection, nth) = (0..USERS.len(), 0..CONNECTIONS, 0..6usize);
    let patients = prop::collection::vec(1..8u8, 1..5);
    prop_oneof![
        6 => prop_oneof![0..60i64, 0..1200i64, 0..20_000i64].prop_map(Op::Wait),
        6 => (user.clone(), connection.clone(), patients, prop::option::of(1..110u64), any::<bool>()).prop_map(
            |(user, connection, patients, ttl, principal)| Op::Open { user, connection, patients, ttl, principal }
        ),
        2 => (user.clone(), connection.clone(), prop::option::of(nth.clone()))
            .prop_map(|(user, connection, nth)| Op::Close { user, connection, nth }),
        3 => (user.clone(), nth.clone(), 0..35u64, prop_oneof![Just(0), 0..1000i64])
            .prop_map(|(user, nth, minutes, delay)| Op::Extend { user, nth, minutes, delay }),
        1 => nth.clone().prop_map(|nth| Op::Revoke { nth }),
        6 => (user.clone(), connection.clone()).prop_map(|(user, connection)| Op::Use { user, connection }),
        2 => Just(Op::Tick),
        1 => connection.prop_map(Op::ConnectionClosed),
        1 => user.prop_map(Op::RightsWithdrawn),
        1 => (0..40usize).prop_map(Op::Again),
        1 => Just(Op::Restart),
    ]
}

/// What the model keeps of a session.
#[derive(Debug, Clone)]
struct Expected {
    id: SessionId,
    user: String,
    connection: Option<u64>,
    patients: BTreeSet<String>,
    opened: Timestamp,
    expires: Timestamp,
    last_use: Timestamp,
    dead: bool,
}

impl Expected {
    fn active(&self, user: &str, connection: u64, now: Timestamp) -> bool {
        let mine = self.user == user && self.connection.is_none_or(|c| c == connection);
        mine && self.alive(now)
    }

    fn alive(&self, now: Timestamp) -> bool {
        let idle_end = self.last_use + SignedDuration::from_mins(15);
        !self.dead && self.opened <= now && now < self.expires && now < idle_end
    }
}

struct World {
    desk: Desk,
    log: Vec<Transition>,
    uses: Vec<(SessionId, Timestamp)>,
    model: Vec<Expected>,
    now: Timestamp,
    random: u64,
    profile: GlassProfile,
    nurse: Role,
    officer: Role,
}

impl World {
    fn new() -> Self {
        let (nurse, officer) = (role("nurse", false), role("officer", true));
        let (desk, now) = (Desk::default(), t(0));
        World {
            desk,
            log: vec![],
            uses: vec![],
            model: vec![],
            now,
            random: 7,
            profile: profile(),
            nurse,
            officer,
        }
    }

    fn take(&mut self, transitions: &[Transition]) {
        for transition in transitions {
            self.log.push(transition.clone());
            let _ = self.desk.apply(transition);
            let before = self.desk.clone();
            assert_eq!(self.desk.apply(transition), Applied::Already);
            assert_eq!(before, self.desk, "a repeated transition changes nothing");
        }
    }

    fn decide(&mut self, call: &Call, role: &Role, user: &str, connection: u64) -> Result<Decision, Refusal> {
        let resolved = resolved(call);
        // Few ids, so that they collide.
        self.random = (self.random * 5 + 3) % 16;
        let facts = Facts { resolved: &resolved, assigned: None, random: self.random };
        self.desk.decide(call, &who(user, role, Some(&self.profile), connection), &facts, self.now)
    }

    fn nth(&self, nth: usize) -> Option<SessionId> {
        self.model.iter().rev().nth(nth).map(|s| s.id.clone())
    }

    fn step(&mut self, op: &Op) {
        let (nurse, officer, now) = (self.nurse.clone(), self.officer.clone(), self.now);
        match op {
            Op::Wait(seconds) => self.now += SignedDuration::from_secs(*seconds),
            Op::Open { user, connection, patients, ttl, principal } => {
                let names: BTreeSet<String> = patients.iter().map(u8::to_string).collect();
                let bind = if *principal { Bind::Principal } else { Bind::Connection };
                let call = Call::Open(OpenCall {
                    patients: names.iter().cloned().collect(),
                    reason: "btg".into(),
                    note: NOTE.into(),
                    ttl: ttl.map(minutes),
                    bind,
                    categories: Vec::new(),
                    labels: Vec::new(),
                });
                let user = USERS[*user];
                let lately = |s: &&Expected| s.user == user && now.duration_since(s.opened).as_hours() < 24;
                let opened = self.model.iter().filter(lately).count();
                let fits = names.len() <= 3 && ttl.is_none_or(|m| (5..=100).contains(&m));
                match self.decide(&call, &nurse, user, *connection) {
                    Ok(decision) => {
                        assert!(fits, "{call:?}");
                        for transition in &decision.transitions {
                            assert!(opened < 4, "quota of a day");
                            self.model.push(Expected {
                                id: transition.session.clone(),
                                user: user.into(),
                                connection: (!principal).then_some(*connection),
                                patients: names.clone(),
                                opened: now,
                                expires: now + SignedDuration::from_mins(ttl.unwrap_or(60).cast_signed()),
                                last_use: now,
                                dead: false,
                            });
                        }
                        self.take(&decision.transitions);
                    }
                    Err(_) => assert!(!fits || opened >= 4, "refused without cause: {call:?}"),
                }
            }
            Op::Close { user, connection, nth } => {
                let session = nth.and_then(|n| self.nth(n));
                let call = Call::Close { session: session.clone() };
                let user = USERS[*user];
                if let Ok(decision) = self.decide(&call, &nurse, user, *connection) {
                    for s in &mut self.model {
                        let meant =
                            session.as_ref().map_or(s.active(user, *connection, now), |id| s.id == *id);
                        assert!(session.is_none() || !meant || s.user == user);
                        s.dead |= meant;
                    }
                    self.take(&decision.transitions);
                }
            }
            Op::Extend { user, nth, minutes: m, delay } => {
                let Some(session) = self.nth(*nth) else { return };
                let call =
                    Call::Extend { session: session.clone(), ttl: Some(minutes(*m)), note: NOTE.into() };
                if let Ok(decision) = self.decide(&call, &nurse, USERS[*user], 0) {
                    // The ledger took its time, and the clock went on: the end may have come first.
                    self.now += SignedDuration::from_secs(*delay);
                    let ends = self.desk.tick(self.now);
                    self.take(&ends);
                    let later = self.now;
                    let extended = self.model.iter_mut().find(|s| s.id == session).unwrap();
                    assert!((1..=30).contains(m) && extended.alive(now) && extended.user == USERS[*user]);
                    if extended.alive(later) {
                        let longest = extended.opened + SignedDuration::from_mins(100);
                        extended.expires =
                            (extended.expires + SignedDuration::from_mins(m.cast_signed())).min(longest);
                        extended.last_use = extended.last_use.max(now);
                    }
                    self.take(&decision.transitions);
                }
            }
            Op::Revoke { nth } => {
                let Some(session) = self.nth(*nth) else { return };
                let call = Call::Revoke { session: session.clone(), note: NOTE.into() };
                assert!(self.decide(&call, &nurse, "ann", 0).is_err());
                if let Ok(decision) = self.decide(&call, &officer, "eve", 9) {
                    self.model.iter_mut().filter(|s| s.id == session).for_each(|s| s.dead = true);
                    self.take(&decision.transitions);
                }
            }
            Op::Use { user, connection } => {
                let grants = self.desk.grants(USERS[*user], ConnectionId(*connection), now);
                for id in grants.sessions {
                    self.desk.used(&id, now);
                    self.uses.push((id.clone(), now));
                    self.model.iter_mut().filter(|s| s.id == id).for_each(|s| s.last_use = now);
                }
                // Sessions that are over, or not mine, do not gain by a mark.
                for s in self.model.iter().filter(|s| !s.alive(now)) {
                    self.desk.used(&s.id, now);
                }
            }
            Op::Tick => {
                let ends = self.desk.tick(now);
                for end in &ends {
                    let session = self.model.iter().find(|s| s.id == end.session).unwrap();
                    assert!(!session.alive(now), "ended before its time");
                }
                self.take(&ends);
                assert!(self.desk.tick(now).is_empty());
            }
            Op::ConnectionClosed(connection) => {
                let ends = self.desk.connection_closed(ConnectionId(*connection), now);
                self.model
                    .iter_mut()
                    .filter(|s| s.connection == Some(*connection))
                    .for_each(|s| s.dead = true);
                self.take(&ends);
            }
            Op::RightsWithdrawn(user) => {
                let ends = self.desk.rights_withdrawn(USERS[*user], now);
                self.model.iter_mut().filter(|s| s.user == USERS[*user]).for_each(|s| s.dead = true);
                self.take(&ends);
            }
            Op::Again(n) => {
                if let Some(old) = self.log.get(*n).cloned() {
                    let before = self.desk.clone();
                    assert_eq!(self.desk.apply(&old), Applied::Already);
                    assert_eq!(before, self.desk);
                }
            }
            Op::Restart => self.restart(),
        }
    }

    fn restart(&mut self) {
        let lines: Vec<String> = self.log.iter().map(|t| serde_json::to_string(t).unwrap()).collect();
        let read: Vec<Transition> = lines.iter().map(|l| Transition::from_json(l).unwrap()).collect();
        assert_eq!(read, self.log);
        let mut again = Desk::replay(&read);
        for (id, at) in &self.uses {
            again.used(id, *at);
        }
        // The same state: the open sessions with their idle time, the ended ones with their end.
        let face = |s: &Session| {
            let deadline = (s.state == State::Active).then(|| s.deadline());
            (
                s.id.clone(),
                s.terms.clone(),
                s.opened_at,
                s.expires_at,
                s.extensions,
                s.state.clone(),
                deadline,
            )
        };
        assert!(self.desk.sessions().map(face).eq(again.sessions().map(face)));
        again.restarted();
        self.model.iter_mut().filter(|s| s.connection.is_some()).for_each(|s| s.dead = true);
        self.desk = again;
        self.check();
        let ends = self.desk.tick(self.now);
        self.take(&ends);
    }

    fn check(&self) {
        for user in USERS.into_iter().chain(["eve"]) {
            for connection in 0..CONNECTIONS {
                let grants = self.desk.grants(user, ConnectionId(connection), self.now);
                let active: Vec<&Expected> =
                    self.model.iter().filter(|s| s.active(user, connection, self.now)).collect();
                let patients: BTreeSet<String> =
                    active.iter().flat_map(|s| s.patients.iter().cloned()).collect();
                let sessions: BTreeSet<SessionId> = active.iter().map(|s| s.id.clone()).collect();
                assert_eq!(grants.sessions.iter().cloned().collect::<BTreeSet<_>>(), sessions);
                assert_eq!(grants.patients, patients.into_iter().collect::<Vec<_>>());
                assert!(grants.patients.len() <= 3 * grants.sessions.len());
                assert_eq!(grants.next_change.is_some(), !grants.sessions.is_empty());
                if let Some(at) = grants.next_change {
                    // The answer may be kept until then, and not longer.
                    let ask = |at| self.desk.grants(user, ConnectionId(connection), at);
                    assert!(at > self.now && ask(at).sessions.len() < grants.sessions.len());
                    assert_eq!(ask(at - SignedDuration::from_nanos(1)), grants);
                }
            }
        }
        for session in self.desk.sessions() {
            if let State::ReviewPending(ended) = &session.state {
                assert!(!session.is_active(self.now));
                assert!(ended.effective <= self.now && ended.effective <= session.expires_at);
            }
        }
        assert_eq!(self.desk.sessions().count(), self.model.len(), "no session is lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn grants_are_what_the_model_says(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in &ops {
            world.step(op);
            world.check();
        }
        // In the end every session waits for its review.
        world.now += SignedDuration::from_hours(24);
        let ends = world.desk.tick(world.now);
        world.take(&ends);
        for session in world.desk.sessions() {
            prop_assert!(matches!(session.state, State::ReviewPending(_)));
        }
    }
}
