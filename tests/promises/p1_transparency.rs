//! P1: what touches nothing protected goes through byte for byte, both ways; an unrestricted user's
//! results through the proxy equal the direct ones.

use crate::common::Postgres;
use crate::support::proxy;
use crate::wire::{
    Reply, Wire, bind, describe_portal, describe_statement, execute, frame, parse, query, sync,
};

/// Statements of a restricted user that touch nothing protected.
const UNPROTECTED: &[&str] = &[
    "SELECT 1",
    "select\t'odd   spacing' /* and a comment */ as \"A b\" -- until here",
    "",
    ";",
    "-- nothing but a comment",
    "SELECT 1; SELECT 'two', NULL, ''; SELECT 3 WHERE false",
    "SELECT * FROM clinic.ward ORDER BY ward_id",
    "SELECT d.name, count(*) OVER () FROM clinic.drug d WHERE d.high_risk ORDER BY 1 LIMIT 3 OFFSET 1",
    "TABLE clinic.drug",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT 'x\\', E'y\\'z', $$dollar$$, U&'d\\0061t'",
    "SELECT g, repeat('x', 50) FROM generate_series(1, 5000) g",
    "SELECT 1/0",
    "SELECT 1; SELECT 1/0; SELECT 2",
    "SELECT 'abc'::int",
    "SELECT no_such_column FROM clinic.ward",
    "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'ward'",
    "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a \
     WHERE a.attrelid = 'clinic.patient'::regclass AND a.attnum > 0 ORDER BY a.attnum",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'clinic' ORDER BY 1",
    "SELECT t.oid, typname, typelem FROM pg_type t WHERE typname = 'int4'",
    "SHOW search_path",
    "SET search_path = clinic, pg_catalog",
    "SELECT * FROM ward WHERE ward_id = 3",
    "RESET search_path",
    "SET application_name = 'another'",
    "SET TIME ZONE 'Europe/Vienna'",
    "SET DateStyle = 'SQL, DMY'",
    "SELECT date '2025-02-01', timestamptz '2025-06-01 00:00+00'",
    "COMMIT",
    "BEGIN; SELECT 1",
    "SAVEPOINT s; SELECT 1/0",
    "SELECT 1",
    "ROLLBACK TO s; SELECT 2",
    "DECLARE c CURSOR FOR SELECT ward_id FROM clinic.ward ORDER BY 1",
    "FETCH 2 FROM c",
    "MOVE 3 IN c",
    "CLOSE c; COMMIT",
    "PREPARE p(int) AS SELECT name FROM clinic.ward WHERE ward_id = $1",
    "EXECUTE p(4)",
    "DEALLOCATE p",
    "COPY (SELECT ward_id, name FROM clinic.ward ORDER BY 1) TO STDOUT",
    "COPY (SELECT name FROM clinic.drug ORDER BY 1) TO STDOUT (FORMAT csv, HEADER)",
    "UPDATE clinic.ward SET name = name",
    "DELETE FROM clinic.drug",
];

#[test]
fn a_reply_about_nothing_protected_is_the_servers_byte_for_byte() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let (mut direct, mut through) =
        (Wire::direct(&database, "nurse_amy"), Wire::through(&proxy, &database, "nurse_amy"));
    let mut wrong = Vec::new();
    for sql in UNPROTECTED {
        let (expected, got) = (direct.query(sql), through.query(sql));
        if expected != got {
            wrong.push(format!("{sql}\n   expected {}\n   got      {}", shown(&expected), shown(&got)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), UNPROTECTED.len(), wrong.join("\n"));
    assert_eq!(direct.received, through.received);
}

#[test]
fn the_text_reaches_the_server_as_it_was_typed() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for sql in [
        "select  W.name   from clinic.WARD as w -- typed\nwhere w.ward_id=3 /* so */",
        "SELECT E'a\\'b', 'c\\', U&'d\\0061'",
        "/* tool:7 */ SELECT 1;; SELECT 2 ;",
    ] {
        for extended in [false, true] {
            if extended && sql.contains(";;") {
                continue;
            }
            let reply = if extended { amy.extended(sql, &[]) } else { amy.query(sql) };
            assert_eq!(reply.failure(), None, "{sql}");
            let seen = database.server().psql(
                database.name(),
                &format!(
                    "SELECT query FROM pg_stat_activity WHERE usename = 'nurse_amy' AND datname = '{}'",
                    database.name()
                ),
            );
            assert_eq!(seen.trim_end_matches('\n'), sql, "extended: {extended}");
        }
    }
}

/// A prepared statement that every step of the extended protocol may use.
const WARDS: &str = "SELECT ward_id, name FROM clinic.ward WHERE ward_id > $1 ORDER BY 1";

/// Runs steps on a fresh pair of connections each and says what differs. The statement after a step
/// shows whether messages and replies still belong together.
fn differences(steps: Vec<(&str, Vec<u8>)>) -> Vec<String> {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut wrong = Vec::new();
    for (what, bytes) in steps {
        let (mut direct, mut through) =
            (Wire::direct(&database, "nurse_amy"), Wire::through(&proxy, &database, "nurse_amy"));
        let sent = [&[parse("w", WARDS), sync()].concat(), &bytes, &query("SELECT 'next'")];
        for (step, bytes) in sent.into_iter().enumerate() {
            direct.send(bytes);
            through.send(bytes);
            let expected = direct.reply();
            let Some(got) = through.try_reply() else {
                wrong
                    .push(format!("{what} {step}: the connection was closed; expected {}", shown(&expected)));
                break;
            };
            if expected != got {
                wrong.push(format!(
                    "{what} {step}\n   expected {}\n   got      {}",
                    shown(&expected),
                    shown(&got)
                ));
            }
        }
    }
    wrong
}

#[test]
fn the_extended_protocol_is_the_servers_byte_for_byte() {
    let binary = {
        let mut body = b"\0w\0\0\0\0\x01\0\0\0\x013".to_vec();
        body.extend([0, 2, 0, 1, 0, 1]);
        frame(b'B', &body)
    };
    let wrong = differences(vec![
        ("described", [describe_statement("w"), sync()].concat()),
        ("bound", [bind("", "w", &["5"]), describe_portal(""), execute("", 0), sync()].concat()),
        ("binary results", [binary, describe_portal(""), execute("", 0), sync()].concat()),
        (
            "suspended",
            [bind("p", "w", &["1"]), execute("p", 3), execute("p", 4), execute("p", 0), sync()].concat(),
        ),
        ("no error, then a Query", [parse("x", "SELECT 1"), query("SELECT 2")].concat()),
        ("empty", [parse("", ""), bind("", "", &[]), describe_portal(""), execute("", 0), sync()].concat()),
        ("closing what is not there", [frame(b'C', b"Snothing\0"), sync()].concat()),
        (
            "a pipeline",
            (1..20)
                .flat_map(|n| {
                    [parse("", "SELECT $1::int * 2"), bind("", "", &[&n.to_string()]), execute("", 0)]
                        .concat()
                })
                .chain(sync())
                .collect(),
        ),
    ]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_in_the_extended_protocol_are_the_servers_byte_for_byte() {
    let wrong = differences(vec![
        (
            "skipped until Sync",
            [parse("", "SELECT 1/0"), bind("", "", &[]), execute("", 0), parse("x", "SELECT 2"), sync()]
                .concat(),
        ),
        ("no such column", [parse("", "SELECT nothing FROM clinic.ward"), sync()].concat()),
        ("name in use", [parse("w", "SELECT 1"), sync()].concat()),
        ("bad value", [bind("", "w", &["five"]), execute("", 0), sync()].concat()),
    ]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A name that the proxy does not know is never asked of the server, which could know a statement
    // of the proxy's under it. The error has PostgreSQL's code and words, not its source line.
    let unknown = differences(vec![
        ("no such statement", [bind("", "nothing", &[]), sync()].concat()),
        ("no such portal", [execute("nothing", 0), sync()].concat()),
        ("closed", [frame(b'C', b"Sw\0"), bind("", "w", &["1"]), sync()].concat()),
    ]);
    for difference in unknown {
        let said = |of: &str| difference.lines().find_map(|l| l.trim().strip_prefix(of).map(str::to_owned));
        assert_eq!(said("expected "), said("got      "), "{difference}");
        assert!(said("got      ").is_some(), "{difference}");
    }
}

#[test]
fn a_query_that_the_server_skips_is_not_waited_for() {
    let wrong = differences(vec![
        (
            "after an error at Execute",
            [parse("", "SELECT 1/0"), bind("", "", &[]), execute("", 0), query("SELECT 2"), sync()].concat(),
        ),
        (
            "after an error at Parse",
            [parse("", "SELECT nothing FROM clinic.ward"), query("SELECT 2"), sync()].concat(),
        ),
    ]);
    assert!(wrong.iter().all(|w| !w.contains("closed")), "{}", wrong.join("\n"));
}

#[test]
fn an_error_behind_a_change_of_the_search_path_is_answered() {
    let moved = query("SET search_path = clinic");
    let wrong = differences(vec![
        (
            "a name in use, then a Bind",
            [&moved[..], &parse("w", "SELECT 8"), &bind("", "w", &["1"]), &sync()].concat(),
        ),
        (
            "a name in use, then a Query",
            [&moved[..], &parse("w", "SELECT 8"), &query("SELECT 3"), &sync()].concat(),
        ),
        (
            "a statement that cannot run twice",
            [&moved[..], &parse("s", "SET search_path = clinic"), &bind("", "s", &[]), &execute("", 0)]
                .into_iter()
                .chain([&execute("", 0)[..], &query("SELECT 3"), &sync()])
                .collect::<Vec<_>>()
                .concat(),
        ),
    ]);
    assert!(wrong.iter().all(|w| !w.contains("closed")), "{}", wrong.join("\n"));
}

/// Statements of an unrestricted user on protected tables, in a fixed order of rows.
const UNRESTRICTED: &[&str] = &[
    "SELECT * FROM clinic.patient ORDER BY patient_id",
    "SELECT p.*, n.body FROM clinic.patient p JOIN clinic.note n USING (patient_id) ORDER BY n.note_id LIMIT 50",
    "SELECT count(*) FROM clinic.lab_result",
    "SELECT sex, count(*), avg(extract(year FROM birth_date)) FROM clinic.patient GROUP BY sex ORDER BY sex",
    "SELECT DISTINCT language FROM clinic.patient ORDER BY 1",
    "SELECT name FROM clinic.patient WHERE patient_id = 880001",
    "SELECT name FROM clinic.patient WHERE patient_id = -1",
    "SELECT patient_id FROM clinic.patient EXCEPT SELECT patient_id FROM clinic.allergy ORDER BY 1 LIMIT 20",
    "SELECT patient_id, rank() OVER (ORDER BY birth_date, patient_id) FROM clinic.patient ORDER BY 2 LIMIT 20",
    "WITH x AS (SELECT patient_id, count(*) AS n FROM clinic.note GROUP BY 1 HAVING count(*) > 2) SELECT * FROM x ORDER BY 1 LIMIT 10",
    "SELECT name, (SELECT count(*) FROM clinic.note n WHERE n.patient_id = p.patient_id) FROM clinic.patient p ORDER BY 1, 2 LIMIT 10",
    "SELECT p FROM clinic.patient p ORDER BY patient_id LIMIT 3",
    "SELECT value / 0 FROM clinic.lab_result",
    "SELECT name::int FROM clinic.patient",
    "SELECT nothing FROM clinic.patient",
    "SELECT * FROM clinic.patient WHERE patient_id = 'x'",
    "SELECT * FROM clinic.current_medication ORDER BY medication_order_id LIMIT 20",
    "BEGIN",
    "UPDATE clinic.problem SET status = 'resolved' WHERE patient_id = 880001",
    "DELETE FROM clinic.note WHERE patient_id = 880001 RETURNING note_id",
    "INSERT INTO clinic.problem VALUES (1, 880001, 'X', 'x', NULL, 'active')",
    "SELECT 1",
    "ROLLBACK",
    "SELECT upper(name) AS \"Name\", birth_date::timestamp(0) FROM clinic.patient ORDER BY patient_id LIMIT 4",
];

#[test]
fn an_unrestricted_users_results_equal_the_direct_ones() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let (mut direct, mut through) =
        (Wire::direct(&database, "dba_gus"), Wire::through(&proxy, &database, "dba_gus"));
    let mut wrong = Vec::new();
    for extended in [false, true] {
        // One after the other: they would wait for each other's locks.
        let run = |wire: &mut Wire| -> Vec<Reply> {
            let one = |sql: &&str| if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
            UNRESTRICTED.iter().map(one).collect()
        };
        let (expected, got) = (run(&mut direct), run(&mut through));
        for ((sql, expected), got) in UNRESTRICTED.iter().zip(expected).zip(got) {
            let same = expected.rows() == got.rows()
                && expected.columns() == got.columns()
                && expected.commands() == got.commands()
                && expected.failure() == got.failure()
                && expected.status() == got.status()
                && expected.tags() == got.tags();
            if !same {
                wrong.push(format!(
                    "{sql} (extended: {extended})\n   expected {}\n   got      {}",
                    shown(&expected),
                    shown(&got)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_that_the_proxy_finds_itself_have_the_servers_sqlstate() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    for user in ["nurse_amy", "dba_gus"] {
        let (mut direct, mut through) =
            (Wire::direct(&database, user), Wire::through(&proxy, &database, user));
        for sql in [
            "SELEC 1",
            "SELECT 'x\\' UNION', 1'",
            "SELECT * FROM clinic.no_such_table",
            "SELECT (",
            "SELECT $$",
        ] {
            let (expected, got) = (direct.query(sql), through.query(sql));
            assert_eq!(expected.refusal().sqlstate, got.refusal().sqlstate, "{sql}");
            assert_eq!(through.query("SELECT 1").value(), "1");
        }
    }
}

#[test]
fn an_unrestricted_users_copies_equal_the_direct_ones() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let (mut direct, mut through) =
        (Wire::direct(&database, "dba_gus"), Wire::through(&proxy, &database, "dba_gus"));
    for sql in [
        "COPY (SELECT * FROM clinic.patient ORDER BY patient_id) TO STDOUT",
        "COPY (SELECT body FROM clinic.note ORDER BY note_id) TO STDOUT (FORMAT csv, HEADER)",
        "COPY clinic.allergy TO STDOUT",
    ] {
        let (expected, got) = (direct.query(sql), through.query(sql));
        assert_eq!(got.failure(), None, "{sql}");
        let data = |reply: &Reply| -> Vec<u8> {
            reply.messages.iter().filter(|m| m.tag == b'd').flat_map(|m| m.body.clone()).collect()
        };
        assert!(data(&expected) == data(&got), "{sql}: other data");
        assert_eq!(expected.commands(), got.commands(), "{sql}");
    }
}

/// A reply in one line, long ones cut.
fn shown(reply: &Reply) -> String {
    let mut text = format!(
        "{:.60} {:?} {:?} {:?} {:?} {} row(s) {:?}",
        reply.tags(),
        reply.commands(),
        reply.failure(),
        reply.notices(),
        reply.columns().unwrap_or_default(),
        reply.rows().len(),
        reply.rows().iter().take(2).collect::<Vec<_>>()
    );
    let end = (0..=900.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    text.truncate(end);
    text
}

/// A text that a session asks again and again is kept prepared; a simple query has its columns of now all the same.
#[test]
fn a_repeated_simple_query_has_the_columns_that_its_tables_have_now() {
    let server = Postgres::shared();
    let database = server.demo();
    let proxy = proxy(&database);
    let mut wires = ["nurse_amy", "dba_gus"].map(|user| Wire::through(&proxy, &database, user));
    let sql = "SELECT * FROM clinic.allergy WHERE patient_id = 880003";
    for wire in &mut wires {
        for _ in 0..3 {
            wire.ok(sql);
        }
    }
    for change in ["ADD COLUMN extra int", "ALTER COLUMN extra TYPE text", "DROP COLUMN extra"] {
        server.psql(database.name(), &format!("ALTER TABLE clinic.allergy {change}"));
        for wire in &mut wires {
            // The first one may come before the proxy has seen the change.
            wire.query(sql);
            assert_eq!(wire.query(sql).failure(), None, "{change}");
        }
    }
}
