//! P5: what cannot be parsed, resolved, guarded or recorded is refused with an ordinary error and
//! recorded; the session goes on.

use crate::common::Postgres;
use crate::support::{proxy, replaced, told};
use crate::wire::{Wire, bind, execute, parse, sync};

/// What must be refused: text, SQLSTATE, GLS code if one is promised.
const REFUSED: &[(&str, &str, Option<&str>)] = &[
    ("SELEC 1", "42601", None),
    ("SELECT (", "42601", None),
    ("SELECT 'not closed", "42601", None),
    ("\u{1F4A3} DROP TABLE clinic.patient", "42601", None),
    ("SELECT name FROM clinic.patient; SELEC", "42601", None),
    ("SELECT * FROM clinic.unmapped", "42501", Some("GLS-220")),
    (
        "SELECT p.name FROM clinic.patient p JOIN clinic.unmapped u USING (patient_id)",
        "42501",
        Some("GLS-220"),
    ),
    ("INSERT INTO clinic.unmapped VALUES (1, 1)", "42501", Some("GLS-220")),
    ("SELECT count(*) FROM clinic.unmapped_view", "42501", Some("GLS-220")),
    ("SELECT clinic.leak(patient_id) FROM clinic.patient", "42501", None),
    ("SELECT clinic.leak(1)", "42501", None),
    ("SELECT query_to_xml('SELECT 1', true, false, '')", "42501", None),
    ("SELECT pg_sleep(0) FROM clinic.ward", "42501", None),
    ("SELECT pg_read_file('PG_VERSION')", "42501", None),
    ("SELECT set_config('role', 'clinic_owner', false)", "42501", None),
    ("SET ROLE clinic_owner", "42501", None),
    ("SET SESSION AUTHORIZATION dba_gus", "42501", None),
    ("SET row_security = off", "42501", None),
    ("DO $$ BEGIN PERFORM 1; END $$", "42501", None),
    ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "42501", None),
    ("CREATE TEMP TABLE copy AS SELECT * FROM clinic.patient", "42501", None),
    ("SELECT * INTO TEMP copy FROM clinic.patient", "42501", None),
    ("CREATE TEMP VIEW v AS SELECT * FROM clinic.patient", "42501", None),
    ("EXPLAIN ANALYZE SELECT * FROM clinic.patient", "42501", None),
    ("SELECT * FROM pg_catalog.pg_stats", "42501", None),
    ("SELECT * FROM glass.assigned", "42501", None),
    ("SELECT ctid FROM clinic.patient", "42501", Some("GLS-240")),
    (
        "MERGE INTO clinic.note n USING clinic.patient p ON n.patient_id = p.patient_id WHEN NOT MATCHED THEN INSERT (note_id) VALUES (1)",
        "42501",
        Some("GLS-240"),
    ),
    ("COPY clinic.patient FROM PROGRAM 'id'", "42501", None),
    ("COPY clinic.patient TO '/tmp/x'", "42501", None),
    ("LOCK TABLE clinic.patient", "42501", None),
    ("TRUNCATE clinic.patient", "42501", None),
    ("ALTER TABLE clinic.patient DISABLE TRIGGER ALL", "42501", None),
    // reserved_name
    ("SELECT __glass_k1 FROM clinic.patient", "42939", Some("GLS-240")),
    ("SELECT name AS __glass_k1 FROM clinic.patient", "42939", Some("GLS-240")),
];

const UNMAPPED: &str = "
    CREATE TABLE clinic.unmapped (a int, patient_id int8);
    CREATE VIEW clinic.unmapped_view AS SELECT p.name, u.a FROM clinic.patient p, clinic.unmapped u;
    CREATE FUNCTION clinic.leak(int8) RETURNS text LANGUAGE sql SECURITY DEFINER
        AS 'SELECT string_agg(name, '','') FROM clinic.patient';
    GRANT ALL ON clinic.unmapped, clinic.unmapped_view TO nurse;";

#[test]
fn what_cannot_be_guarded_is_refused_recorded_and_survived() {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), UNMAPPED);
    let proxy = proxy(&database);
    let mut wrong = Vec::new();
    for extended in [false, true] {
        let mut amy = Wire::through(&proxy, &database, "nurse_amy");
        for (sql, sqlstate, gls) in REFUSED {
            if extended && sql.contains("; ") {
                continue;
            }
            let typed = format!("{sql} /* extended: {extended} */");
            // An unclosed string takes the comment in; that is as good.
            let reply = if extended { amy.extended(&typed, &[]) } else { amy.query(&typed) };
            let Some(failure) = reply.failure() else {
                wrong.push(format!("{sql}: not refused, {:?} {:?}", reply.commands(), reply.rows()));
                continue;
            };
            if failure.sqlstate != *sqlstate || gls.is_some() && failure.gls().as_deref() != *gls {
                wrong.push(format!("{sql}: {failure:?}"));
            }
            if !reply.rows().is_empty() || reply.status() != 'I' || failure.severity != "ERROR" {
                wrong.push(format!("{sql}: {} {} {:?}", reply.tags(), reply.status(), failure.severity));
            }
            if amy.query("SELECT count(*) FROM clinic.patient").value() != "25" {
                wrong.push(format!("{sql}: the session is another one"));
            }
        }
    }
    // Recorded, each of them, with a code of refusal where the proxy refused.
    for (sql, sqlstate, gls) in REFUSED {
        for extended in [false, true] {
            let typed = format!("{sql} /* extended: {extended} */");
            if extended && sql.contains("; ") {
                continue;
            }
            let told = told(&proxy, &typed);
            if told.times == 0 || told.refused.is_empty() || gls.is_some_and(|g| told.refused != [g]) {
                wrong.push(format!(
                    "{typed}: in the ledger {} time(s), refused {:?} ({sqlstate})",
                    told.times, told.refused
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn inside_a_transaction_a_refusal_aborts_it() {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), UNMAPPED);
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let insert = "INSERT INTO clinic.note (patient_id, author, kind, written_at, body) VALUES (880003, 'nurse_amy', 'x', now(), 'y')";
    for refused in [
        "SELEC 1",
        "SELECT * FROM clinic.unmapped",
        "SELECT ctid FROM clinic.patient",
        "SELECT pg_sleep(0) FROM clinic.ward",
    ] {
        for extended in [false, true] {
            let run =
                |wire: &mut Wire, sql: &str| if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
            assert_eq!(run(&mut amy, "BEGIN").status(), 'T');
            assert_eq!(run(&mut amy, insert).failure(), None);
            let reply = run(&mut amy, refused);
            assert!(reply.failure().is_some(), "{refused}");
            assert_eq!(reply.status(), 'E', "{refused} (extended: {extended})");
            assert_eq!(
                run(&mut amy, "SELECT count(*) FROM clinic.patient").refusal().sqlstate,
                "25P02",
                "{refused}"
            );
            assert_eq!(run(&mut amy, "SELECT 1").refusal().sqlstate, "25P02", "{refused}");
            assert_eq!(run(&mut amy, "COMMIT").commands(), ["ROLLBACK"], "{refused}");
        }
        // With a savepoint, the part before it is kept.
        amy.ok("BEGIN; SAVEPOINT s");
        assert_eq!(amy.query(refused).status(), 'E', "{refused}");
        amy.ok("ROLLBACK TO s");
        assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "25");
        assert_eq!(amy.ok("ROLLBACK").status(), 'I');
    }
    let kept = database
        .server()
        .psql(database.name(), "SELECT count(*) FROM clinic.note WHERE kind = 'x' AND body = 'y'");
    assert_eq!(kept.trim(), "0", "a refused transaction was committed");
}

/// GLS-201: refused after it ran and found nothing.
const NOT_HERS: &str = "SELECT name FROM clinic.patient WHERE patient_id = 881234";

/// Every ErrorResponse inside a transaction leaves it failed; drivers count on it.
#[test]
fn inside_a_transaction_a_lookup_that_is_refused_aborts_it() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for extended in [false, true] {
        amy.ok("BEGIN");
        let reply = if extended { amy.extended(NOT_HERS, &[]) } else { amy.query(NOT_HERS) };
        assert_eq!(reply.refusal().gls().as_deref(), Some("GLS-201"));
        assert_eq!(reply.status(), 'E');
        assert_eq!(amy.query("COMMIT").commands(), ["ROLLBACK"]);
    }
}

#[test]
fn a_refusal_in_a_pipeline_skips_to_sync_as_the_server_does() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let insert = "INSERT INTO clinic.note (patient_id, author, kind, written_at, body) VALUES (880003, 'nurse_amy', 'pipe', now(), 'y')";
    let one = |sql: &str| [parse("", sql), bind("", "", &[]), execute("", 0)].concat();
    let count = "SELECT count(*) FROM clinic.note WHERE kind = 'pipe'";
    for refused in ["SELECT ctid FROM clinic.patient", "SELEC", "SELECT pg_sleep(0) FROM clinic.ward"] {
        let sent = [one(insert), one(refused), one(insert), one("SELECT 1"), sync(), one("SELECT 2"), sync()]
            .concat();
        amy.send(&sent);
        let (first, second) = (amy.reply(), amy.reply());
        assert_eq!(first.tags().matches('E').count(), 1, "{refused}: {}", first.tags());
        assert_eq!(first.commands(), ["INSERT 0 1"], "{refused}: what came after the error ran");
        assert_eq!(second.firsts(), ["2"], "{refused}");
        // The whole pipeline is one transaction: the part before the error is undone as well.
        assert_eq!(database.server().psql(database.name(), count).trim(), "0", "{refused}");
    }
}

/// The client is told of an error, so it believes that nothing of the pipeline happened.
#[test]
fn a_lookup_that_is_refused_in_a_pipeline_undoes_it() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let insert = |kind: &str| {
        let sql = format!(
            "INSERT INTO clinic.note (patient_id, author, kind, written_at, body) VALUES (880003, 'nurse_amy', '{kind}', now(), 'y')"
        );
        [parse("", &sql), bind("", "", &[]), execute("", 0)].concat()
    };
    let lookup = [parse("", NOT_HERS), bind("", "", &[]), execute("", 0)].concat();
    amy.send(&[insert("before"), lookup, insert("after"), sync()].concat());
    let reply = amy.reply();
    assert_eq!(reply.failure().and_then(|f| f.gls()).as_deref(), Some("GLS-201"), "{}", reply.tags());
    let kept = database
        .server()
        .psql(database.name(), "SELECT kind FROM clinic.note WHERE kind IN ('before', 'after') ORDER BY 1");
    assert_eq!(kept.trim(), "", "committed although the client got an error: {kept}");
}

/// Several statements in one Query are one transaction, too.
#[test]
fn a_lookup_that_is_refused_in_a_query_of_several_statements_undoes_it() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let insert = |kind: &str| {
        format!(
            "INSERT INTO clinic.note (patient_id, author, kind, written_at, body) VALUES (880003, 'nurse_amy', '{kind}', now(), 'y')"
        )
    };
    let reply = amy.query(&format!("{}; {NOT_HERS}; {}", insert("before"), insert("after")));
    assert_eq!(reply.failure().and_then(|f| f.gls()).as_deref(), Some("GLS-201"), "{}", reply.tags());
    let kept = database
        .server()
        .psql(database.name(), "SELECT kind FROM clinic.note WHERE kind IN ('before', 'after') ORDER BY 1");
    assert_eq!(kept.trim(), "", "committed although the client got an error: {kept}");
}

#[test]
fn a_table_made_later_is_closed_until_it_is_mapped() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    assert_eq!(amy.query("SELECT * FROM clinic.later").refusal().sqlstate, "42P01");
    database.server().psql(
        database.name(),
        "CREATE TABLE clinic.later AS SELECT * FROM clinic.patient; GRANT SELECT ON clinic.later TO nurse",
    );
    let refusal = amy.query("SELECT * FROM clinic.later").refusal();
    assert!(matches!(refusal.sqlstate.as_str(), "42501" | "42P01"), "{refusal:?}");
    let text = std::fs::read_to_string(proxy.config()).unwrap();
    let mapped = replaced(
        text,
        "[reference]",
        "[[table]]\nname = \"clinic.later\"\nclass = \"demographics\"\nkey = \"patient_id\"\n\n[reference]",
    );
    std::fs::write(proxy.config(), mapped).unwrap();
    crate::p6_revocation::reload(&proxy);
    assert!(
        crate::support::within(std::time::Duration::from_secs(20), || {
            let reply = amy.query("SELECT count(*) FROM clinic.later");
            reply.failure().is_none() && reply.value() == "25"
        }),
        "{:?}",
        amy.query("SELECT count(*) FROM clinic.later")
    );
}

#[test]
fn garbage_on_the_wire_ends_one_session_and_no_other() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut bystander = Wire::through(&proxy, &database, "nurse_amy");
    for garbage in [
        b"\0\0\0\0\0\0\0\0".to_vec(),
        b"Q\xff\xff\xff\xff".to_vec(),
        b"Q\x40\0\0\0SELECT".to_vec(),
        b"Q\0\0\0\x03".to_vec(),
        b"B\0\0\0\x08\0\0\0\0".to_vec(),
        b"P\0\0\0\x05x".to_vec(),
        b"E\0\0\0\x06\0\0".to_vec(),
        b"Q\0\0\0\x0bSELECT".to_vec(),
        b"Q\0\0\0\x08a\xff\xfe\0".to_vec(),
        b"~\0\0\0\x04".to_vec(),
        b"d\0\0\0\x05x".to_vec(),
        b"p\0\0\0\x05x".to_vec(),
    ] {
        let mut wire = Wire::through(&proxy, &database, "nurse_amy");
        wire.send(&garbage);
        // Then perhaps an error, perhaps the end; never a row, never a hang of the others.
        wire.stop_sending();
        while let Some(message) = wire.try_next() {
            assert_ne!(message.tag, b'D', "{garbage:?}");
        }
        assert_eq!(bystander.ok("SELECT count(*) FROM clinic.patient").value(), "25", "{garbage:?}");
    }
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
}
