//! P6: the end of a break-glass session, a changed policy and a changed assignment hold at the next
//! Execute and portal resume, and within about a second for a statement that runs.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{Database, Postgres, Proxy, STRANGER, STRANGER_MRN};
use crate::support::{clear, hide, proxy, replaced, within};
use crate::wire::{Wire, bind, describe_portal, execute, parse, query, sync};

/// What P6 says, and what a busy machine may need on top.
const CUT_WITHIN: Duration = Duration::from_millis(2500);

/// Has the configuration read again and waits until it was, or was rejected.
pub(crate) fn reload(proxy: &Proxy<'_>) {
    let answers = || {
        let log = proxy.log();
        log.matches("configuration reloaded").count() + log.matches("NOT in force").count()
    };
    let before = answers();
    let pid = proxy.pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    assert!(within(Duration::from_secs(10), || answers() > before), "no reload:\n{}", proxy.log());
}

fn edit(proxy: &Proxy<'_>, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(proxy.config()).unwrap();
    std::fs::write(proxy.config(), change(text)).unwrap();
    reload(proxy);
}

/// Opens the glass for all of amy's connections.
fn open(wire: &mut Wire) -> String {
    let sql = format!(
        "SELECT * FROM glass.open('{STRANGER_MRN}', 'BTG', 'unconscious, unknown anticoagulant', bind => 'principal')"
    );
    wire.ok(&sql).rows()[0][0].clone().unwrap()
}

fn lookup() -> String {
    format!("SELECT patient_id, name FROM clinic.patient WHERE patient_id = {STRANGER}")
}

/// A statement over the stranger that never ends by itself and returns nothing meanwhile.
fn heavy() -> String {
    format!(
        "SELECT count(*) FROM clinic.patient p, generate_series(1, 100000) a, generate_series(1, 100000) b WHERE p.patient_id = {STRANGER} AND a <> b"
    )
}

/// One that sends rows all the time.
fn streaming() -> String {
    format!(
        "SELECT p.patient_id, a, b, p.name FROM clinic.patient p, generate_series(1, 20000) a, generate_series(1, 20000) b WHERE p.patient_id = {STRANGER}"
    )
}

/// Two connections of amy to a proxy, glass open.
fn opened<'a>(database: &Database<'a>, config: fn(String) -> String) -> (Proxy<'a>, Wire, Wire) {
    let proxy = Proxy::start_with(database, config);
    let (mut one, two) =
        (Wire::through(&proxy, database, "nurse_amy"), Wire::through(&proxy, database, "nurse_amy"));
    open(&mut one);
    assert_eq!(one.ok(&lookup()).rows().len(), 1, "the glass is open");
    (proxy, one, two)
}

#[test]
fn a_prepared_statement_is_refused_after_the_session_was_closed_elsewhere() {
    let database = Postgres::shared().demo();
    for config in [clear as fn(String) -> String, hide] {
        let (_proxy, mut amy, mut other) = opened(&database, config);
        amy.send(&[parse("s", &lookup()), sync()].concat());
        assert_eq!(amy.reply().failure(), None);
        let again = [bind("", "s", &[]), execute("", 0), sync()].concat();
        amy.send(&again);
        assert_eq!(amy.reply().rows().len(), 1);
        // Bound before, executed after: the portal too.
        let pending = "SELECT patient_id FROM clinic.patient WHERE patient_id >= 880291 ORDER BY 1";
        amy.ok("BEGIN");
        amy.send(&[parse("t", pending), bind("p", "t", &[]), sync()].concat());
        assert_eq!(amy.reply().failure(), None);
        other.ok("SELECT glass.close()");
        amy.send(&[execute("p", 0), sync()].concat());
        let portal = amy.reply();
        assert!(!portal.firsts().contains(&STRANGER.to_string()), "a bound portal: {:?}", portal.rows());
        amy.query("ROLLBACK");
        amy.send(&again);
        assert!(amy.reply().rows().is_empty(), "the prepared statement still answers");
        assert!(amy.query(&lookup()).rows().is_empty());
        assert!(amy.extended(&lookup(), &[]).rows().is_empty());
        assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "25");
    }
}

#[test]
fn a_suspended_portal_gives_nothing_of_the_patient_after_the_close() {
    let database = Postgres::shared().demo();
    let (_proxy, mut amy, mut other) = opened(&database, hide);
    let sql =
        "SELECT patient_id, note_id FROM clinic.note WHERE patient_id >= 880279 ORDER BY patient_id, note_id";
    amy.ok("BEGIN");
    amy.send(&[parse("", sql), bind("p", "", &[]), describe_portal("p"), execute("p", 1), sync()].concat());
    let first = amy.reply();
    assert_eq!((first.rows().len(), first.failure()), (1, None));
    other.ok("SELECT glass.close()");
    amy.send(&[execute("p", 0), sync()].concat());
    let rest = amy.reply();
    assert!(!rest.firsts().contains(&STRANGER.to_string()), "{:?}", rest.rows());
}

#[test]
fn a_close_in_a_pipeline_holds_for_what_comes_behind_it_only() {
    let database = Postgres::shared().demo();
    let (_proxy, mut amy, _other) = opened(&database, clear);
    let run = |sql: &str| [parse("", sql), bind("", "", &[]), describe_portal(""), execute("", 0)].concat();
    let (look, close) = (run(&lookup()), run("SELECT * FROM glass.close()"));
    amy.send(&[look.clone(), close, look, sync()].concat());
    let reply = amy.reply();
    assert_eq!(reply.firsts().iter().filter(|key| **key == STRANGER.to_string()).count(), 1);
    assert_eq!(reply.commands().len(), 2, "the lookup before the close, and the close: {}", reply.tags());
    assert_eq!(reply.failure().unwrap().gls(), Some("GLS-201".into()));
    // As simple queries.
    open(&mut amy);
    amy.send(&[query(&lookup()), query("SELECT glass.close()"), query(&lookup())].concat());
    assert_eq!(amy.reply().firsts(), [STRANGER.to_string()]);
    assert_eq!(amy.reply().failure(), None);
    assert_eq!(amy.reply().refusal().gls(), Some("GLS-201".into()));
}

#[test]
fn a_running_statement_is_cut_when_the_session_is_closed() {
    let database = Postgres::shared().demo();
    let (_proxy, mut amy, mut other) = opened(&database, clear);
    amy.send(&query(&heavy()));
    std::thread::sleep(Duration::from_millis(500));
    other.ok("SELECT glass.close()");
    let closed = Instant::now();
    let reply = amy.reply();
    assert!(closed.elapsed() < CUT_WITHIN, "cut only after {:?}", closed.elapsed());
    assert!(reply.refusal().severity == "ERROR", "{:?}", reply.failure());
    // Not only here: the server stops working on it.
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'nurse_amy' AND state = 'active' AND datname = current_database()";
    assert!(within(CUT_WITHIN, || database.server().psql(database.name(), busy).trim() == "0"));
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "25");
}

/// Closes the glass in the middle of `streaming` and returns how long rows went on.
fn streams_on(amy: &mut Wire, act: impl FnOnce()) -> Duration {
    amy.send(&query(&streaming()));
    let (mut act, mut at, mut rows) = (Some(act), Instant::now(), 0_u64);
    let mut last = None;
    loop {
        let message = amy.next();
        amy.forget();
        match message.tag {
            b'D' => {
                rows += 1;
                if rows == 5000 {
                    act.take().unwrap()();
                    at = Instant::now();
                } else if rows > 5000 {
                    last = Some(at.elapsed());
                    assert!(at.elapsed() < Duration::from_secs(10), "rows go on for 10 s");
                }
            }
            b'Z' => break,
            _ => {}
        }
    }
    assert!(rows >= 5000, "the stream ended by itself after {rows} rows");
    last.unwrap_or_default()
}

#[test]
fn rows_that_stream_stop_when_the_session_is_closed() {
    let database = Postgres::shared().demo();
    let (_proxy, mut amy, mut other) = opened(&database, clear);
    let on = streams_on(&mut amy, || drop(other.ok("SELECT glass.close()")));
    assert!(on < CUT_WITHIN, "{on:?}");
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "25");
}

#[test]
fn a_privacy_officer_ends_a_session_of_another() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let (mut amy, mut hal) =
        (Wire::through(&proxy, &database, "nurse_amy"), Wire::through(&proxy, &database, "audit_hal"));
    let mut bob = Wire::through(&proxy, &database, "nurse_bob");
    let session = open(&mut amy);
    assert_eq!(amy.ok(&lookup()).rows().len(), 1);
    // Not everyone may.
    let revoke = format!("SELECT glass.revoke('{session}', 'not an emergency at all')");
    assert!(bob.query(&revoke).failure().is_some());
    assert_eq!(amy.ok(&lookup()).rows().len(), 1);
    amy.send(&query(&heavy()));
    std::thread::sleep(Duration::from_millis(300));
    hal.ok(&revoke);
    let revoked = Instant::now();
    assert!(amy.reply().failure().is_some());
    assert!(revoked.elapsed() < CUT_WITHIN, "{:?}", revoked.elapsed());
    assert!(amy.query(&lookup()).rows().is_empty());
}

#[test]
fn a_session_expires_by_the_clock() {
    let database = Postgres::shared().demo();
    let short = |config| replaced(clear(config), "ttl = \"60min\"", "ttl = \"3s\"");
    let proxy = Proxy::start_with(&database, short);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    amy.send(&[parse("s", &lookup()), sync()].concat());
    amy.reply();
    open(&mut amy);
    let opened = Instant::now();
    assert_eq!(amy.ok(&lookup()).rows().len(), 1);
    amy.send(&query(&heavy()));
    assert!(amy.reply().failure().is_some());
    let cut = opened.elapsed();
    assert!(cut < Duration::from_secs(3) + CUT_WITHIN, "cut only after {cut:?}");
    assert!(cut > Duration::from_millis(2500), "cut before the end: {cut:?}");
    amy.send(&[bind("", "s", &[]), execute("", 0), sync()].concat());
    assert!(amy.reply().rows().is_empty());
    assert!(amy.query(&lookup()).rows().is_empty());
}

#[test]
fn a_session_bound_to_a_connection_is_nobody_elses_and_ends_with_it() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let (mut one, mut two) =
        (Wire::through(&proxy, &database, "nurse_amy"), Wire::through(&proxy, &database, "nurse_amy"));
    one.ok(&format!("SELECT * FROM glass.open('{STRANGER}', 'BTG', 'unconscious, unknown drugs')"));
    assert_eq!(one.ok(&lookup()).rows().len(), 1);
    assert!(two.query(&lookup()).rows().is_empty(), "another connection sees the patient");
    drop(one);
    let mut three = Wire::through(&proxy, &database, "nurse_amy");
    assert!(three.query(&lookup()).rows().is_empty());
    // The neighbour stays closed while the glass is open.
    open(&mut three);
    let neighbour = format!("SELECT name FROM clinic.patient WHERE patient_id = {}", STRANGER + 1);
    assert!(three.query(&neighbour).rows().is_empty());
    assert_eq!(three.ok("SELECT count(*) FROM clinic.patient").value(), "26");
}

#[test]
fn a_restart_keeps_open_what_was_open_and_closed_what_was_closed() {
    let database = Postgres::shared().demo();
    let mut proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    open(&mut amy);
    proxy.kill();
    proxy.serve();
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    assert_eq!(amy.query(&lookup()).rows().len(), 1, "the session did not survive the restart");
    amy.ok("SELECT glass.close()");
    proxy.kill();
    proxy.serve();
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    assert!(amy.query(&lookup()).rows().is_empty(), "a closed session came back");
}

#[test]
fn a_new_policy_holds_at_the_next_execute_and_cuts_what_runs() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let notes = "SELECT count(*) FROM clinic.note";
    amy.send(&[parse("n", notes), bind("", "n", &[]), execute("", 0), sync()].concat());
    let before = amy.reply().value();
    amy.ok("BEGIN");
    amy.send(
        &[
            parse("m", "SELECT note_id FROM clinic.note ORDER BY 1"),
            bind("p", "m", &[]),
            execute("p", 1),
            sync(),
        ]
        .concat(),
    );
    assert_eq!(amy.reply().rows().len(), 1);
    let mut running = Wire::through(&proxy, &database, "nurse_amy");
    running.send(&query("SELECT count(*) FROM clinic.note, generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a <> b"));
    std::thread::sleep(Duration::from_millis(500));
    // A file with errors changes nothing.
    edit(&proxy, |text| replaced(text, "[role.nurse]", "[role.nurse]\nscop = \"all\""));
    let mut third = Wire::through(&proxy, &database, "nurse_amy");
    assert_eq!(third.ok(notes).value(), before);
    edit(&proxy, |text| {
        replaced(text, "[role.nurse]\nscop = \"all\"", "[role.nurse]\nclasses = [\"demographics\"]")
    });
    let reloaded = Instant::now();
    assert!(running.reply().failure().is_some());
    assert!(reloaded.elapsed() < CUT_WITHIN, "{:?}", reloaded.elapsed());
    amy.send(&[execute("p", 0), sync()].concat());
    assert!(amy.reply().rows().is_empty(), "the portal went on");
    amy.query("ROLLBACK");
    amy.send(&[bind("", "n", &[]), execute("", 0), sync()].concat());
    assert_eq!(amy.reply().refusal().sqlstate, "42501");
    assert_eq!(third.query(notes).refusal().sqlstate, "42501");
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "25");
}

const UNASSIGN: &str = "DELETE FROM glass.assigned WHERE user_name = 'nurse_amy' AND patient_id = 880291";

#[test]
fn a_deleted_assignment_holds_at_the_next_execute() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let again = [bind("", "c", &[]), execute("", 0), sync()].concat();
    amy.send(&[parse("c", "SELECT count(*) FROM clinic.patient"), again.clone()].concat());
    assert_eq!(amy.reply().value(), "25");
    let lookup = "SELECT name FROM clinic.patient WHERE patient_id = 880291";
    assert_eq!(amy.ok(lookup).rows().len(), 1);
    database.server().psql(database.name(), UNASSIGN);
    amy.send(&again);
    assert_eq!(amy.reply().value(), "24");
    assert_eq!(amy.query(lookup).refusal().gls().as_deref(), Some("GLS-201"));
    // And in a transaction that was open all the time.
    amy.ok("BEGIN");
    amy.send(&again);
    assert_eq!(amy.reply().value(), "24");
    database.server().psql(
        database.name(),
        "DELETE FROM glass.assigned WHERE user_name = 'nurse_amy' AND patient_id = 880279",
    );
    amy.send(&again);
    assert_eq!(amy.reply().value(), "23");
}

#[test]
fn an_assignment_that_runs_out_inside_a_transaction_holds_there() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    database.server().psql(
        database.name(),
        "UPDATE glass.assigned SET valid_to = clock_timestamp() + interval '1500 ms' WHERE user_name = 'nurse_amy' AND patient_id = 880291",
    );
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    amy.ok("BEGIN");
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "25");
    std::thread::sleep(Duration::from_millis(1700));
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "24");
}

#[test]
#[ignore = "defect: the assignment is read in the transaction's old snapshot"]
fn a_deleted_assignment_holds_in_a_repeatable_read_transaction() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    amy.ok("BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "25");
    database.server().psql(database.name(), UNASSIGN);
    let reply = amy.query("SELECT patient_id FROM clinic.patient");
    assert!(
        !reply.firsts().contains(&"880291".to_owned()),
        "the snapshot of before still grants the patient"
    );
}

#[test]
#[ignore = "defect: the portal's rows come from the snapshot of its start"]
fn a_deleted_assignment_holds_when_a_portal_is_resumed() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    amy.ok("BEGIN");
    let sql = "SELECT patient_id FROM clinic.patient ORDER BY 1";
    amy.send(&[parse("", sql), bind("p", "", &[]), execute("p", 1), sync()].concat());
    assert_eq!(amy.reply().rows().len(), 1);
    database.server().psql(database.name(), UNASSIGN);
    amy.send(&[execute("p", 0), sync()].concat());
    assert!(!amy.reply().firsts().contains(&"880291".to_owned()), "the portal still gives the patient's row");
}

#[test]
#[ignore = "defect: nothing looks at the assignment while a statement runs"]
fn a_deleted_assignment_cuts_a_running_statement() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    database
        .server()
        .psql(database.name(), &format!("INSERT INTO glass.assigned VALUES ('nurse_amy', {STRANGER})"));
    let delete =
        format!("DELETE FROM glass.assigned WHERE user_name = 'nurse_amy' AND patient_id = {STRANGER}");
    let on = streams_on(&mut amy, || drop(database.server().psql(database.name(), &delete)));
    assert!(on < CUT_WITHIN, "{on:?}");
}

/// Correcting history is not an emergency.
#[test]
fn a_session_is_for_reading() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut chen = Wire::through(&proxy, &database, "dr_chen");
    chen.ok(&format!(
        "SELECT * FROM glass.open('{STRANGER_MRN}', 'BTG', 'unconscious, unknown anticoagulant')"
    ));
    assert_eq!(chen.ok(&lookup()).rows().len(), 1);
    let count =
        format!("SELECT count(*) FROM clinic.problem WHERE patient_id = {STRANGER} AND title = 'changed'");
    for sql in [
        format!("UPDATE clinic.problem SET title = 'changed' WHERE patient_id = {STRANGER}"),
        format!("INSERT INTO clinic.problem VALUES (900001, {STRANGER}, 'X', 'changed', NULL, 'active')"),
        "UPDATE clinic.problem SET title = 'changed'".to_owned(),
    ] {
        chen.query(&sql);
        chen.extended(&sql, &[]);
        assert_eq!(database.server().psql(database.name(), &count).trim(), "0", "{sql}");
    }
    assert_eq!(chen.ok(&lookup()).rows().len(), 1);
}
