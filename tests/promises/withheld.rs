//! GLS-202: a client is told that rows were withheld where they could have been, as its role is configured, and never
//! in a place where a client would not look for it.

use crate::common::{Postgres, Proxy, STRANGER};
use crate::support::{clear, replaced};
use crate::wire::{Reply, Wire, bind, execute, parse, sync};

/// Refusals by policy: the record, that nothing was run, where, and a form that works.
#[test]
fn a_refusal_says_where_and_what_to_do_next() {
    let server = Postgres::shared();
    let database = server.demo();
    let proxy = Proxy::start_with(&database, hidden);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let field = |reply: &Reply, tag: u8| {
        let error = reply.messages.iter().find(|m| m.tag == b'E').expect("an error").body.clone();
        let found = error.split(|b| *b == 0).find(|f| f.first() == Some(&tag));
        found.map(|f| String::from_utf8_lossy(&f[1..]).into_owned())
    };
    for (sql, position) in [
        ("SELECT 'ä', pg_sleep(1) FROM clinic.patient", Some("13")),
        ("SELECT 1; SELECT\n ctid FROM clinic.patient", Some("19")),
        ("LOCK TABLE clinic.patient", None),
    ] {
        let reply = amy.query(sql);
        assert_eq!(reply.refusal().gls().as_deref(), Some("GLS-240"), "{sql}");
        assert_eq!(field(&reply, b'P').as_deref(), position, "{sql}");
        let detail = field(&reply, b'D').unwrap_or_default();
        assert!(detail.starts_with("The statement was not run. Recorded as event "), "{detail}");
        assert!(field(&reply, b'H').is_some_and(|hint| hint.ends_with('.')), "{sql}");
    }
}

fn hidden(config: String) -> String {
    replaced(clear(config), "outside = \"block\"", "outside = \"hide\"")
}

fn told(reply: &Reply) -> usize {
    let notices = reply.notices();
    for notice in &notices {
        assert_eq!((notice.severity.as_str(), notice.sqlstate.as_str()), ("WARNING", "01000"));
        assert_eq!(notice.gls().as_deref(), Some("GLS-202"));
    }
    notices.len()
}

const ALL: &str = "SELECT count(*) FROM clinic.patient";

#[test]
fn said_where_rows_could_have_been_withheld_and_nowhere_else() {
    let server = Postgres::shared();
    let database = server.demo();
    let proxy = Proxy::start_with(&database, hidden);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let stranger = format!("SELECT name FROM clinic.patient WHERE patient_id = {STRANGER}");
    let both = format!("SELECT name FROM clinic.patient WHERE patient_id IN (880003, {STRANGER})");
    for (sql, times) in [
        (ALL, 1),
        (ALL, 1),
        ("SELECT name FROM clinic.patient WHERE sex = 'F' LIMIT 1", 1),
        (stranger.as_str(), 1),
        // Whether such a patient exists makes no difference.
        ("SELECT name FROM clinic.patient WHERE patient_id = -1", 1),
        (both.as_str(), 1),
        // An assigned patient has no rows that are withheld: none found is none.
        ("SELECT name FROM clinic.patient WHERE patient_id = 880003", 0),
        ("SELECT * FROM clinic.allergy WHERE patient_id = 880003 AND substance = 'no such thing'", 0),
        ("SELECT name FROM clinic.patient WHERE patient_id IN (880003, 880015)", 0),
        (
            "SELECT p.name FROM clinic.patient p JOIN clinic.note n USING (patient_id) WHERE patient_id = 880003 AND n.patient_id = 880003",
            0,
        ),
        ("SELECT name FROM clinic.ward", 0),
        ("SELECT 1", 0),
    ] {
        assert_eq!(told(&amy.ok(sql)), times, "{sql}");
        assert_eq!(told(&amy.extended(sql, &[])), times, "by protocol: {sql}");
    }
    let mut dba = Wire::through(&proxy, &database, "dba_gus");
    assert_eq!(told(&dba.ok(ALL)), 0);
}

#[test]
fn said_behind_the_rows_and_before_the_end_of_the_statement() {
    let server = Postgres::shared();
    let database = server.demo();
    let proxy = Proxy::start_with(&database, hidden);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    // Among COPY data no client expects a notice.
    let copied = amy.ok("COPY (SELECT patient_id FROM clinic.allergy) TO STDOUT");
    assert_eq!(told(&copied), 1);
    let tags = copied.tags();
    assert!(tags.starts_with('H') && tags.ends_with("dcNCZ"), "{tags}");
    assert!(!tags.trim_end_matches("NCZ").contains('N'), "{tags}");
    let tags = amy.ok(ALL).tags();
    assert_eq!(tags, "TDNCZ");
    // A portal that is read in parts is over once.
    let sql = "SELECT patient_id FROM clinic.patient";
    amy.send(
        &[parse("", sql), bind("", "", &[]), execute("", 3), execute("", 3), execute("", 0), sync()].concat(),
    );
    assert_eq!(told(&amy.reply()), 1);
}

#[test]
fn said_once_a_session_or_never_as_the_role_has_it() {
    let server = Postgres::shared();
    let database = server.demo();
    let proxy = Proxy::start_with(&database, |config| {
        let config = replaced(hidden(config), "[role.nurse]\n", "[role.nurse]\nrows_withheld = \"once\"\n");
        replaced(config, "[role.physician]\n", "[role.physician]\nrows_withheld = false\n")
    });
    for _ in 0..2 {
        let mut amy = Wire::through(&proxy, &database, "nurse_amy");
        let times: Vec<usize> = (0..3).map(|_| told(&amy.ok(ALL))).collect();
        assert_eq!(times, [1, 0, 0]);
    }
    let mut chen = Wire::through(&proxy, &database, "dr_chen");
    assert_eq!(told(&chen.ok(ALL)), 0);
}

/// Who writes while a break-glass session is open is told that nothing of the opened patients was read.
#[test]
fn a_write_says_that_it_reads_nothing_of_opened_patients() {
    let server = Postgres::shared();
    let database = server.demo();
    server.psql(database.name(), "GRANT INSERT, UPDATE, DELETE ON clinic.problem, clinic.note TO nurse");
    let proxy = Proxy::start_with(&database, |config| {
        replaced(hidden(config), "rows_withheld = true", "rows_withheld = false")
    });
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let count = format!("(SELECT count(*)::text FROM clinic.problem WHERE patient_id = {STRANGER})");
    let copies = format!("UPDATE clinic.problem SET title = {count} WHERE patient_id = 880003");
    let plain = "UPDATE clinic.problem SET title = title WHERE patient_id = 880003";
    let theirs = format!("UPDATE clinic.problem SET title = title WHERE patient_id = {STRANGER}");
    let said = |reply: Reply| -> Vec<String> {
        assert!(reply.failure().is_none(), "{:?}", reply.failure());
        let notices = reply.notices();
        assert!(notices.iter().all(|n| (n.severity.as_str(), n.sqlstate.as_str()) == ("WARNING", "01000")));
        notices.iter().filter_map(|n| n.gls()).collect()
    };
    for (sql, opened) in [(&copies, true), (&plain.to_owned(), false), (&theirs, true)] {
        assert!(said(amy.query(sql)).is_empty(), "{sql}");
        amy.ok(&format!(
            "SELECT * FROM glass.open('{STRANGER}', 'BTG', 'found unconscious in the corridor')"
        ));
        let wanted: &[&str] = if opened { &["GLS-205"] } else { &[] };
        assert_eq!(said(amy.query(sql)), wanted, "{sql}");
        assert_eq!(said(amy.extended(sql, &[])), wanted, "{sql}");
        amy.ok("SELECT * FROM glass.close()");
    }
}

/// What a trigger or another session sends can be of any row.
#[test]
fn notifications_come_without_their_payload() {
    let server = Postgres::shared();
    let database = server.demo();
    let proxy = Proxy::start_with(&database, |config| {
        replaced(hidden(config), "[role.nurse]", "[role.nurse]\nchannels = [\"jobs\"]")
    });
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    for wire in [&mut amy, &mut gus] {
        wire.ok("LISTEN results");
        wire.ok("LISTEN jobs");
    }
    amy.forget();
    gus.forget();
    gus.ok("SELECT pg_notify('results', 'CANARY of a row'), pg_notify('jobs', 'job 7'), pg_notify('results', '')");
    let heard = |wire: &mut Wire| -> Vec<String> {
        // They come with the next statement at the latest.
        wire.ok("SELECT 1");
        let text = String::from_utf8_lossy(&wire.received).into_owned();
        text.match_indices("results\0")
            .chain(text.match_indices("jobs\0"))
            .map(|(at, _)| text[at..].split('\0').take(2).collect::<Vec<_>>().join("="))
            .collect()
    };
    assert_eq!(heard(&mut gus), ["results=CANARY of a row", "results=", "jobs=job 7"]);
    assert_eq!(heard(&mut amy), ["results=", "results=", "jobs=job 7"]);
    assert_eq!(amy.ok("SELECT 2").value(), "2");
}
