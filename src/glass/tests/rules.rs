//! Single rules by example.

use super::*;
use crate::policy::{GlsCode, Variant};

struct Room {
    desk: Desk,
    role: Role,
    profile: GlassProfile,
    random: u64,
}

impl Room {
    fn new() -> Self {
        Room { desk: Desk::default(), role: role("nurse", false), profile: profile(), random: 1 }
    }

    fn call(
        &mut self,
        user: &str,
        connection: u64,
        call: &Call,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        self.random += 1;
        let resolved = resolved(call);
        let facts = Facts { resolved: &resolved, assigned: None, random: self.random };
        let who = who(user, &self.role, Some(&self.profile), connection);
        let decision = self.desk.decide(call, &who, &facts, now)?;
        for transition in &decision.transitions {
            assert_eq!(self.desk.apply(transition), Applied::Changed);
        }
        Ok(decision)
    }

    fn done(&mut self, user: &str, connection: u64, call: &Call, now: Timestamp) {
        let _ = self.call(user, connection, call, now).unwrap();
    }

    fn patients(&self, user: &str, connection: u64, now: Timestamp) -> Vec<String> {
        self.desk.grants(user, ConnectionId(connection), now).patients
    }
}

fn session_of(decision: &Decision) -> SessionId {
    SessionId::parse(decision.reply.rows[0][0].as_ref().unwrap()).unwrap()
}

fn code(result: Result<Decision, Refusal>) -> GlsCode {
    result.expect_err("must be refused").code
}

#[test]
fn a_session_opens_only_its_patients_and_only_to_its_user() {
    let mut room = Room::new();
    room.done("ann", 1, &open(&["20", "007"], Bind::Connection), t(0));
    assert_eq!(room.patients("ann", 1, t(1)), ["20", "7"]);
    assert!(room.patients("ann", 2, t(1)).is_empty(), "another connection");
    assert!(room.patients("bob", 1, t(1)).is_empty(), "another user with the same connection number");
    room.done("ann", 2, &open(&["9"], Bind::Principal), t(2));
    assert_eq!(room.patients("ann", 1, t(3)), ["20", "7", "9"]);
    assert_eq!(room.patients("ann", 5, t(3)), ["9"]);
    assert!(room.patients("ann", 1, t(-1)).is_empty(), "before it was opened");
}

#[test]
fn it_ends_by_the_clock_without_a_tick() {
    let mut room = Room::new();
    let id = session_of(&room.call("ann", 1, &open(&["1"], Bind::Connection), t(0)).unwrap());
    assert_eq!(room.patients("ann", 1, t(899)), ["1"]);
    assert!(room.patients("ann", 1, t(900)).is_empty(), "idle for 15 min");
    room.desk.used(&id, t(900));
    assert!(room.patients("ann", 1, t(900)).is_empty(), "use after the end does not reopen it");
    let mut room = Room::new();
    let id = session_of(&room.call("ann", 1, &open(&["1"], Bind::Connection), t(0)).unwrap());
    for minute in 1..60 {
        room.desk.used(&id, t(60 * minute));
    }
    assert_eq!(room.patients("ann", 1, t(3599)), ["1"]);
    assert!(room.patients("ann", 1, t(3600)).is_empty(), "expired");
    let ends = room.desk.tick(t(4000));
    let [Transition { change: Change::Ended(ended), .. }] = ends.as_slice() else { panic!("{ends:?}") };
    assert_eq!((ended.how, ended.effective), (Ending::Expired, t(3600)));
    assert_eq!(code(room.call("ann", 1, &Call::Close { session: Some(id) }, t(4000))), GlsCode::SessionEnded);
}

#[test]
fn a_reply_does_not_tell_who_exists() {
    let mut known = Room::new();
    let mut unknown = Room::new();
    let a = known.call("ann", 1, &open(&["5"], Bind::Connection), t(0)).unwrap();
    let b = unknown.call("ann", 1, &open(&["MRN-5"], Bind::Connection), t(0)).unwrap();
    assert_eq!(a.reply, b.reply);
    assert_eq!(known.patients("ann", 1, t(1)), ["5"]);
    assert!(unknown.patients("ann", 1, t(1)).is_empty());
    let why =
        |room: &mut Room, p: &str| room.call("ann", 1, &Call::Why { patient: p.into() }, t(1)).unwrap().reply;
    assert_eq!(why(&mut known, "5"), why(&mut unknown, "MRN-5"));
    assert_eq!(why(&mut known, "6"), why(&mut known, "MRN-6"));
    let status = |room: &mut Room| room.call("ann", 1, &Call::Status, t(2)).unwrap().reply;
    assert_eq!(status(&mut known), status(&mut unknown));
}

#[test]
fn what_is_not_allowed_is_refused() {
    let mut room = Room::new();
    let mut with = |change: &dyn Fn(&mut OpenCall)| {
        let Call::Open(mut call) = open(&["1"], Bind::Connection) else { unreachable!() };
        change(&mut call);
        room.call("ann", 1, &Call::Open(call), t(0)).expect_err("must be refused")
    };
    let reason = with(&|c| c.reason = "TREAT".into());
    assert_eq!(reason.code, GlsCode::CannotBreakGlass);
    assert!(reason.hint.unwrap().contains("BTG, COVERAGE_SHIFT"));
    assert_eq!(with(&|c| c.note = "test test test".into()).code, GlsCode::CannotBreakGlass);
    assert_eq!(with(&|c| c.ttl = Some(minutes(4))).code, GlsCode::CannotBreakGlass);
    assert_eq!(with(&|c| c.ttl = Some(minutes(101))).code, GlsCode::CannotBreakGlass);
    assert_eq!(with(&|c| c.ttl = Some(Duration::MAX)).code, GlsCode::CannotBreakGlass);
    assert_eq!(with(&|c| c.patients = ["1", "2", "3", "4"].map(String::from).into()).code, GlsCode::Quota);
    assert_eq!(with(&|c| c.patients.clear()).code, GlsCode::CannotBreakGlass);
    let (role, call) = (role("billing", false), open(&["1"], Bind::Connection));
    let refusal = room.desk.decide(&call, &who("amy", &role, None, 1), &Facts::default(), t(0)).unwrap_err();
    assert_eq!(refusal.to_string(), "GLS-203 your role (billing) cannot break glass");
    assert_eq!((refusal.sqlstate, room.desk.sessions().count()), ("42501", 0));
}

#[test]
fn extensions_are_counted_and_end_at_the_longest_time() {
    let mut room = Room::new();
    let id = session_of(&room.call("ann", 1, &open(&["1"], Bind::Connection), t(0)).unwrap());
    let extend =
        |id: &SessionId, ttl| Call::Extend { session: id.clone(), ttl, note: "still in theatre".into() };
    assert_eq!(code(room.call("bob", 1, &extend(&id, None), t(10))), GlsCode::SessionEnded, "not bob's");
    assert_eq!(code(room.call("ann", 1, &extend(&id, Some(minutes(31))), t(10))), GlsCode::CannotBreakGlass);
    room.done("ann", 1, &extend(&id, None), t(10));
    assert_eq!(room.desk.session(&id).unwrap().expires_at, t(90 * 60));
    room.done("ann", 1, &extend(&id, None), t(20));
    assert_eq!(room.desk.session(&id).unwrap().expires_at, t(100 * 60), "the profile's longest time");
    assert_eq!(code(room.call("ann", 1, &extend(&id, None), t(30))), GlsCode::Quota);
}

#[test]
fn two_extensions_are_the_most_and_none_passes_the_longest_time() {
    let extend =
        |id: &SessionId| Call::Extend { session: id.clone(), ttl: None, note: "still in theatre".into() };
    let mut room = Room::new();
    room.profile.max_ttl = minutes(720);
    let id = session_of(&room.call("ann", 1, &open(&["1"], Bind::Connection), t(0)).unwrap());
    room.done("ann", 1, &extend(&id), t(800));
    assert_eq!(room.patients("ann", 1, t(1600)), ["1"], "an extension is a use");
    room.done("ann", 1, &extend(&id), t(1600));
    assert_eq!(code(room.call("ann", 1, &extend(&id), t(1610))), GlsCode::Quota);
    let third = Extended { number: 3, expires_at: t(99_999), note: NOTE.into() };
    let third = Transition { at: t(1611), session: id.clone(), change: Change::Extended(third) };
    assert_eq!(room.desk.apply(&third), Applied::Already);

    let mut room = Room::new();
    room.profile.ttl = room.profile.max_ttl;
    let id = session_of(&room.call("ann", 1, &open(&["1"], Bind::Connection), t(0)).unwrap());
    assert_eq!(code(room.call("ann", 1, &extend(&id), t(10))), GlsCode::Quota, "nothing left to extend by");
    let beyond = Extended { number: 1, expires_at: t(99_999), note: NOTE.into() };
    let beyond = Transition { at: t(11), session: id.clone(), change: Change::Extended(beyond) };
    let _ = room.desk.apply(&beyond);
    assert_eq!(room.desk.session(&id).unwrap().expires_at, t(6000), "whatever the ledger says");
}

#[test]
fn the_same_request_again_is_the_same_session() {
    let mut room = Room::new();
    let first = room.call("ann", 1, &open(&["1"], Bind::Principal), t(0)).unwrap();
    for connection in 2..20 {
        let again = room.call("ann", connection, &open(&["1"], Bind::Principal), t(5)).unwrap();
        assert_eq!((session_of(&again), again.transitions.len()), (session_of(&first), 0));
    }
    assert_eq!(room.desk.sessions().count(), 1);
    room.done("ann", 1, &open(&["1"], Bind::Connection), t(6));
    room.done("ann", 1, &open(&["2"], Bind::Principal), t(6));
    assert_eq!(room.desk.sessions().count(), 3, "another binding or another patient is another request");
}

#[test]
fn quota_of_a_day_and_the_link_to_the_session_before() {
    let mut room = Room::new();
    let first = session_of(&room.call("ann", 1, &open(&["1", "2"], Bind::Connection), t(0)).unwrap());
    for n in 1..4 {
        room.done("ann", 1, &Call::Close { session: None }, t(n * 10));
        room.done("ann", 1, &open(&["2"], Bind::Connection), t(n * 10 + 1));
    }
    let second = room.desk.of_user("ann").nth(1).unwrap();
    assert_eq!(second.terms.previous, Some(first));
    assert_eq!(code(room.call("ann", 1, &open(&["3"], Bind::Connection), t(100))), GlsCode::Quota);
    assert!(room.call("bob", 1, &open(&["3"], Bind::Connection), t(100)).is_ok());
    assert_eq!(code(room.call("ann", 1, &open(&["3"], Bind::Connection), t(86_399))), GlsCode::Quota);
    assert!(room.call("ann", 1, &open(&["3"], Bind::Connection), t(86_400)).is_ok());
}

#[test]
fn only_a_privacy_officer_revokes() {
    let mut room = Room::new();
    let id = session_of(&room.call("ann", 1, &open(&["1"], Bind::Principal), t(0)).unwrap());
    let revoke = Call::Revoke { session: id.clone(), note: "wrong patient".into() };
    assert_eq!(code(room.call("bob", 2, &revoke, t(1))), GlsCode::CannotBreakGlass);
    assert_eq!(code(room.call("ann", 1, &revoke, t(1))), GlsCode::CannotBreakGlass);
    assert_eq!(room.patients("ann", 1, t(1)), ["1"]);
    room.role.privacy_officer = true;
    let seen = room.call("eve", 3, &Call::Status, t(2)).unwrap().reply;
    assert_eq!(seen.rows[0][0], Some(id.to_string()));
    room.done("eve", 3, &revoke, t(2));
    assert!(room.patients("ann", 1, t(2)).is_empty());
    let State::ReviewPending(ended) = &room.desk.session(&id).unwrap().state else { panic!() };
    assert_eq!((ended.how, ended.by.as_deref()), (Ending::Revoked, Some("eve")));
    assert_eq!(code(room.call("eve", 3, &revoke, t(3))), GlsCode::SessionEnded);
}

#[test]
fn others_do_not_see_or_close_a_session() {
    let mut room = Room::new();
    let id = session_of(&room.call("ann", 1, &open(&["1"], Bind::Principal), t(0)).unwrap());
    let close = room.call("bob", 2, &Call::Close { session: Some(id.clone()) }, t(1)).unwrap_err();
    let nobodys = Call::Close { session: Some(SessionId::from_random(77)) };
    assert_eq!(close, room.call("bob", 2, &nobodys, t(1)).unwrap_err());
    let status = room.call("bob", 2, &Call::Status, t(1)).unwrap().reply;
    assert!(status.rows.iter().all(|r| r[0].is_none()));
    let none = room.call("bob", 2, &Call::Close { session: None }, t(1)).unwrap();
    assert!(none.transitions.is_empty());
}

#[test]
fn a_restart_ends_what_was_bound_to_a_connection() {
    let mut room = Room::new();
    let bound = session_of(&room.call("ann", 1, &open(&["1"], Bind::Connection), t(0)).unwrap());
    room.done("ann", 1, &open(&["2"], Bind::Principal), t(1));
    room.desk.restarted();
    assert_eq!(room.patients("ann", 1, t(2)), ["2"], "the number 1 is another connection now");
    let ends = room.desk.tick(t(2));
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].session, bound);
    assert!(matches!(&ends[0].change, Change::Ended(e) if e.how == Ending::ProxyRestarted));
}

#[test]
fn a_closed_connection_and_a_withdrawn_right_end_sessions() {
    let mut room = Room::new();
    room.done("ann", 1, &open(&["1"], Bind::Connection), t(0));
    room.done("ann", 1, &open(&["2"], Bind::Principal), t(0));
    room.done("bob", 2, &open(&["3"], Bind::Connection), t(0));
    for end in room.desk.connection_closed(ConnectionId(1), t(5)) {
        assert_eq!(room.desk.apply(&end), Applied::Changed);
    }
    assert_eq!(room.patients("ann", 1, t(5)), ["2"]);
    for end in room.desk.rights_withdrawn("ann", t(6)) {
        assert_eq!(room.desk.apply(&end), Applied::Changed);
    }
    assert!(room.patients("ann", 1, t(6)).is_empty());
    assert_eq!(room.patients("bob", 2, t(6)), ["3"]);
}

#[test]
fn notices_come_first_then_every_ten_minutes_and_before_the_end() {
    let mut room = Room::new();
    let id = session_of(&room.call("ann", 1, &open(&["1"], Bind::Connection), t(0)).unwrap());
    let (mut seen, mut told) = (NoticesSeen::default(), Vec::new());
    for minute in 0..=61 {
        let now = t(minute * 60);
        for notice in room.desk.notices(&mut seen, ConnectionId(1), "ann", now) {
            assert_eq!(notice.session, id);
            told.push((minute, notice.kind));
        }
        room.desk.used(&id, now);
    }
    use NoticeKind::{Active, Ending, Over};
    let expected = [
        (0, Active),
        (10, Active),
        (20, Active),
        (30, Active),
        (40, Active),
        (50, Active),
        (55, Ending),
        (60, Over),
    ];
    assert_eq!(told, expected);
    assert!(room.desk.notices(&mut NoticesSeen::default(), ConnectionId(2), "ann", t(60)).is_empty());
}

#[test]
fn every_reply_has_its_columns() {
    let mut room = Room::new();
    room.role.privacy_officer = true;
    let opened = room.call("ann", 1, &open(&["1"], Bind::Principal), t(0)).unwrap();
    let id = session_of(&opened);
    let calls = [
        (Function::Status, Call::Status),
        (Function::Help, Call::Help),
        (Function::Why, Call::Why { patient: "1".into() }),
        (Function::Extend, Call::Extend { session: id.clone(), ttl: None, note: NOTE.into() }),
        (Function::Revoke, Call::Revoke { session: id, note: "wrong patient".into() }),
        (Function::Close, Call::Close { session: None }),
    ];
    let mut replies = vec![(Function::Open, opened.reply)];
    for (function, call) in &calls {
        replies.push((*function, room.call("ann", 1, call, t(1)).unwrap().reply));
    }
    for (function, reply) in replies {
        assert_eq!(reply.columns, function.columns());
        assert!(
            !reply.rows.is_empty() && reply.rows.iter().all(|r| r.len() == reply.columns.len()),
            "{function:?}"
        );
        assert_eq!(reply.tag, format!("SELECT {}", reply.rows.len()));
        assert!(reply.scalar("x").rows.iter().all(|r| r.len() == 1 && r[0].is_some()));
    }
}

#[test]
fn a_transition_of_another_version_is_refused() {
    let mut room = Room::new();
    let opened = room.call("ann", 1, &open(&["1"], Bind::Connection), t(0)).unwrap().transitions.remove(0);
    let json = serde_json::to_string(&opened).unwrap();
    assert_eq!(Transition::from_json(&json).unwrap(), opened);
    let newer = json.replacen("\"v\":1", "\"v\":2", 1);
    assert!(matches!(Transition::from_json(&newer), Err(TransitionError::UnknownVersion(v)) if v == "2"));
    assert!(serde_json::from_str::<Transition>(&newer).is_err());
    let bad = [
        "",
        "{}",
        "[]",
        "{\"v\":1}",
        &json.replacen("\"opened\"", "\"reopened\"", 1),
        &json.replacen("\"reason\"", "\"raison\"", 1),
        &json.replacen("\"user\"", "\"extra\":1,\"user\"", 1),
    ];
    for bad in bad {
        assert!(Transition::from_json(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_gap_in_the_ledger_is_told() {
    let mut room = Room::new();
    room.done("ann", 1, &open(&["1"], Bind::Connection), t(0));
    let ends = room.desk.tick(t(9999));
    assert_eq!(Desk::default().apply(&ends[0]), Applied::UnknownSession);
}

#[test]
fn categories_and_labels_open_when_they_are_named_and_the_profile_has_them() {
    let mut room = Room::new();
    room.profile.categories = ["PSY".to_owned(), "HIV".to_owned()].into();
    room.profile.labels = ["EMP".to_owned()].into();
    let naming = |patients: &[&str], categories: &[&str], labels: &[&str]| {
        let Call::Open(open) = open(patients, Bind::Connection) else { panic!("open") };
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Call::Open(OpenCall { categories: names(categories), labels: names(labels), ..open })
    };
    room.done("ann", 1, &naming(&["7"], &[], &[]), t(0));
    let grants = room.desk.grants("ann", ConnectionId(1), t(1));
    assert_eq!((grants.variant(), grants.opened.len()), (Variant::Granted, 0), "not named");
    let decision = room.call("ann", 1, &naming(&["007", "9"], &["PSY"], &["EMP"]), t(2)).unwrap();
    let grants = room.desk.grants("ann", ConnectionId(1), t(3));
    assert_eq!(grants.variant(), Variant::Opened);
    assert_eq!(grants.opened, ["c/PSY/7", "c/PSY/9", "l/EMP/7", "l/EMP/9"]);
    assert!(
        decision.reply.rows[0][4]
            .as_ref()
            .is_some_and(|m| m.contains("categories opened: PSY, labels opened: EMP"))
    );
    for refused in
        [naming(&["7"], &["SDV"], &[]), naming(&["7"], &[], &["CEL"]), naming(&["7"], &["EMP"], &["PSY"])]
    {
        assert_eq!(code(room.call("ann", 1, &refused, t(4))), GlsCode::CannotBreakGlass);
    }
    // What the ledger keeps brings it back; a record from before there were any is read.
    let json = serde_json::to_value(&decision.transitions[0]).unwrap();
    let again: Transition = serde_json::from_value(json.clone()).unwrap();
    let replayed = Desk::replay([&again]);
    assert_eq!(replayed.grants("ann", ConnectionId(1), t(3)).opened, grants.opened);
    let old = room.call("ann", 2, &naming(&["3"], &[], &[]), t(5)).unwrap();
    let json = serde_json::to_string(&old.transitions[0]).unwrap();
    assert!(!json.contains("categories") && !json.contains("labels"), "{json}");
    assert_eq!(serde_json::from_str::<Transition>(&json).unwrap(), old.transitions[0]);
}
