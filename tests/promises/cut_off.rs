//! Writes whose reply never came: the proxy was killed, ended by a second signal, or its client went away. The change
//! may be kept, so the ledger tells of it, and does not call what it tells exact. Not here: rows that left (p3_durable).

use std::time::Duration;

use crate::common::{Database, Postgres, Proxy, STRANGER, patients_of_amy};
use crate::support::{Told, hide, told_in, within};
use crate::wire::{Wire, bind, execute, flush, parse, query, sync};

/// Whose rows the writes wait for: one of nurse_amy's patients.
const PATIENT: &str = "880003";

/// How a write is sent.
#[derive(Debug, Clone, Copy)]
enum Way {
    Simple,
    Extended,
    /// In a block that was begun before, with the block's end behind it.
    WithCommit,
    /// Behind the end of a block, in the same pipeline.
    BehindCommit,
    /// In a block that nothing ends.
    InBlock,
}

const ALL: [Way; 5] = [Way::Simple, Way::Extended, Way::WithCommit, Way::BehindCommit, Way::InBlock];

/// A write under way.
struct Write {
    user: &'static str,
    sql: String,
    way: Way,
    mark: String,
    wire: Wire,
}

impl Write {
    fn kept(&self) -> bool {
        !matches!(self.way, Way::InBlock)
    }

    fn stands(&self, database: &Database<'_>) -> bool {
        let count = format!("SELECT count(*) FROM clinic.note WHERE author = '{}'", self.mark);
        database.server().psql(database.name(), &count).trim() != "0"
    }
}

/// The demonstration's data, where nurses may change notes.
fn demo() -> Database<'static> {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), "GRANT UPDATE ON clinic.note TO nurse_amy");
    database
}

/// Holds the patient's rows, sends writes to them, and waits until all wait.
fn under_way(proxy: &Proxy<'_>, database: &Database<'_>, run: &str, ways: &[Way]) -> (Wire, Vec<Write>) {
    let mut admin = Wire::direct(database, "dba_gus");
    admin.ok("BEGIN");
    admin.ok(&format!("SELECT FROM clinic.note WHERE patient_id = {PATIENT} FOR UPDATE"));
    let mut writes = Vec::new();
    for user in ["nurse_amy", "dba_gus"] {
        for (n, way) in ways.iter().copied().enumerate() {
            let mark = format!("{run}-{user}-{n}");
            // One row each, so that they wait for no other but the first.
            let sql = format!(
                "UPDATE clinic.note SET author = '{mark}' WHERE note_id = (SELECT note_id FROM clinic.note WHERE patient_id = {PATIENT} ORDER BY note_id LIMIT 1)"
            );
            let mut wire = Wire::through(proxy, database, user);
            if !matches!(way, Way::Simple | Way::Extended) {
                wire.ok("BEGIN");
            }
            let extended = |sql: &str| [parse("", sql), bind("", "", &[]), execute("", 0)].concat();
            wire.send(&match way {
                Way::Simple | Way::InBlock => query(&sql),
                Way::Extended => [extended(&sql), flush()].concat(),
                Way::WithCommit => [extended(&sql), extended("COMMIT"), sync()].concat(),
                Way::BehindCommit => [extended("COMMIT"), extended(&sql), sync()].concat(),
            });
            writes.push(Write { user, sql, way, mark, wire });
        }
    }
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting = within(Duration::from_secs(20), || {
        database.server().psql(database.name(), count).trim() == writes.len().to_string()
    });
    assert!(waiting, "{}", database.server().psql(database.name(), count));
    (admin, writes)
}

/// What was recorded of each, once the rows are let go.
fn recorded(proxy: &Proxy<'_>, writes: &[Write]) -> Vec<Told> {
    writes.iter().map(|w| told_in(&proxy.ledger(), &w.sql)).collect()
}

/// Every write that may be kept is in the ledger once, and its patients' reports do not leave it out.
fn reported(proxy: &Proxy<'_>, writes: &[Write]) {
    for (write, told) in writes.iter().zip(recorded(proxy, writes)) {
        assert_eq!(told.times, usize::from(write.kept()), "{} {:?}", write.user, write.way);
    }
    for patient in [PATIENT, &STRANGER.to_string()] {
        let report = proxy.report(patient);
        for write in writes.iter().filter(|w| w.kept()) {
            let lines: Vec<_> = report.iter().filter(|e| e["statement"] == write.sql.as_str()).collect();
            let [line] = lines.as_slice() else {
                panic!("{patient}: {} {:?}: {lines:?}", write.user, write.way)
            };
            assert_eq!(line["outcome"], "no end recorded");
            assert_ne!(line["certainty"], "exact");
            assert_ne!(line["certainty"], "sought");
        }
    }
}

#[test]
fn a_write_under_way_when_the_proxy_is_killed_is_recorded() {
    let database = demo();
    let mut proxy = Proxy::start_with(&database, hide);
    let (mut admin, writes) = under_way(&proxy, &database, "killed", &ALL);
    proxy.kill();
    admin.ok("COMMIT");
    // Each overwrites the one before: that one stands is enough to show that they can.
    assert!(within(Duration::from_secs(20), || writes.iter().any(|w| w.kept() && w.stands(&database))));
    proxy.serve();
    reported(&proxy, &writes);
    assert!(proxy.verify().status.success(), "the ledger is whole");
}

#[test]
fn a_write_under_way_at_a_second_sigterm_is_recorded() {
    let database = demo();
    let mut proxy = Proxy::start_with(&database, hide);
    let (mut admin, writes) = under_way(&proxy, &database, "ended", &ALL);
    proxy.signal("TERM");
    assert!(proxy.ended_within(Duration::from_millis(500)).is_none(), "the first one waits");
    proxy.signal("TERM");
    assert!(proxy.ended_within(Duration::from_secs(5)).expect("ends at once").success());
    admin.ok("COMMIT");
    reported(&proxy, &writes);
    assert!(proxy.verify().status.success(), "the ledger is whole");
}

#[test]
fn a_write_whose_client_went_away_is_recorded_without_being_exact() {
    let database = demo();
    let proxy = Proxy::start_with(&database, hide);
    let (mut admin, writes) =
        under_way(&proxy, &database, "gone", &[Way::Simple, Way::Extended, Way::InBlock]);
    for write in &writes {
        write.wire.socket().shutdown(std::net::Shutdown::Both).unwrap();
    }
    let mut all = Vec::new();
    assert!(
        within(Duration::from_secs(20), || {
            all = recorded(&proxy, &writes);
            all.iter().all(|t| t.ended)
        }),
        "{all:?}"
    );
    admin.ok("COMMIT");
    for (write, told) in writes.iter().zip(&all) {
        assert_eq!(told.times, 1, "{} {:?}", write.user, write.way);
        if !write.kept() {
            continue;
        }
        assert_eq!(told.exact, Some(false), "{} {:?}: {told:?}", write.user, write.way);
        if write.user == "nurse_amy" {
            assert!(
                patients_of_amy().iter().all(|p| told.names(&p.to_string())),
                "{:?}: {told:?}",
                write.way
            );
            assert!(!told.all_patients, "{:?}: nobody else can have mattered", write.way);
        } else {
            assert!(told.all_patients, "{:?}: {told:?}", write.way);
        }
    }
}

#[test]
fn a_write_that_was_announced_is_told_once_however_it_ends() {
    let database = demo();
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let update =
        |mark: &str| format!("UPDATE clinic.note SET author = '{mark}' WHERE patient_id = {PATIENT}");
    let (good, failed, behind) =
        (update("told-1"), update("told-2") + " AND 1/(note_id-note_id) > 0", update("told-3"));
    amy.ok(&good);
    let one = |sql: &str| [parse("", sql), bind("", "", &[]), execute("", 0)].concat();
    amy.send(&[one(&failed), one(&behind), sync()].concat());
    amy.reply().refusal();
    amy.ok("SELECT 1");
    assert!(within(Duration::from_secs(5), || {
        [&good, &failed, &behind].iter().all(|sql| told_in(&proxy.ledger(), sql).ended)
    }));
    let report = |patient: &str| -> Vec<(String, String, String)> {
        let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
        let lines = proxy.report(patient);
        let ours = lines.iter().filter(|e| e["statement"].as_str().is_some_and(|s| s.contains("told-")));
        ours.map(|e| (text(&e["statement"]), text(&e["certainty"]), text(&e["outcome"]))).collect()
    };
    let named = report(PATIENT);
    assert_eq!(named.iter().filter(|(sql, ..)| *sql == good).count(), 1, "{named:?}");
    assert!(named.contains(&(good, "exact".into(), "ok".into())), "{named:?}");
    // The server did not come to it.
    assert!(named.contains(&(behind.clone(), "sought".into(), "error 25P02".into())), "{named:?}");
    assert!(report(&STRANGER.to_string()).is_empty());
}
