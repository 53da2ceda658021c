//! What the server says once statements were answered: deferred constraints and triggers at the end of a transaction,
//! or where it says that they are checked now. It is about rows as an immediate error is: told without values, and
//! recorded with everyone who may have decided.

use crate::common::{Database, Postgres, Proxy, patients_of_amy};
use crate::support::{Told, hide, replaced, told};
use crate::wire::{Reply, Wire, bind, execute, flush, parse, sync};

/// Beds that a hidden patient has, numbers that masks hide, and a trigger that speaks of what was written.
const STAGE: &str = "
    UPDATE clinic.patient SET ssn = '1234' || ssn WHERE ssn IS NOT NULL;
    CREATE TABLE clinic.stay (stay_id int8 PRIMARY KEY, patient_id int8 NOT NULL, during int4range,
        EXCLUDE USING gist (during WITH &&) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO clinic.stay VALUES (1, 880001, '[1234,1300)'), (2, 880003, '[1,2)');
    CREATE TABLE clinic.claim (claim_id int8 PRIMARY KEY, patient_id int8 NOT NULL,
        ssn text REFERENCES clinic.patient (ssn) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO clinic.claim SELECT 1, 880051, ssn FROM clinic.patient WHERE patient_id = 880051;
    CREATE TABLE clinic.memo (memo_id int8 PRIMARY KEY, patient_id int8 NOT NULL, body text);
    CREATE FUNCTION clinic.say() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE NOTICE 'row 1234, others: %', (SELECT max(ssn) FROM clinic.patient);
            IF NEW.body = 'fail' THEN
                RAISE EXCEPTION 'row 1234, others: %', (SELECT max(ssn) FROM clinic.patient)
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            RETURN NULL;
        END $$;
    CREATE CONSTRAINT TRIGGER say AFTER INSERT ON clinic.memo DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION clinic.say();
    CREATE TABLE clinic.rate (rate_id int8 PRIMARY KEY, amount int4 UNIQUE DEFERRABLE INITIALLY DEFERRED);
    GRANT SELECT, INSERT, UPDATE, DELETE ON clinic.stay, clinic.memo, clinic.rate, clinic.claim, clinic.patient
        TO nurse, billing, dba;";

fn stage(config: String) -> String {
    let tables = ["stay", "claim", "memo"]
        .map(|t| format!("[[table]]\nname = \"clinic.{t}\"\nclass = \"visits\"\nkey = \"patient_id\"\n\n"));
    let config = replaced(hide(config), "[reference]", &format!("{}[reference]", tables.concat()));
    replaced(config, "\"clinic.drug\"]", "\"clinic.drug\", \"clinic.rate\"]")
}

fn start() -> (Database<'static>, Proxy<'static>) {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), STAGE);
    let proxy = Proxy::start_with(&database, stage);
    (database, proxy)
}

/// Nothing of a hidden row or masked column in any byte received.
fn assert_quiet(wire: &mut Wire, sql: &str) {
    let found = wire.received.windows(4).any(|w| w == b"1234");
    assert!(!found, "{sql}: {}", String::from_utf8_lossy(&wire.received));
    wire.forget();
}

fn code(reply: &Reply) -> String {
    reply.failure().map(|f| f.sqlstate).unwrap_or_default()
}

/// As an immediate error is recorded: an error, not exact, and anyone whom the user sees.
fn assert_recorded(proxy: &Proxy<'_>, sql: &str, sqlstate: &str) {
    let told = told(proxy, sql);
    let mine = |p: &i64| told.names(&p.to_string());
    assert!(patients_of_amy().iter().all(mine), "{sql}: {told:?}");
    assert!(!told.names("880001") && told.exact == Some(false), "{sql}: {told:?}");
    assert_eq!(told.errors, [sqlstate], "{sql}");
    assert_eq!(told.times, 1, "{sql}");
}

/// A statement that a deferred constraint or trigger fails, and its SQLSTATE.
fn failing() -> Vec<(String, &'static str)> {
    let mut n = 100;
    let mut next = move || {
        n += 1;
        n
    };
    let mut all = Vec::new();
    for _ in 0..2 {
        all.push((format!("INSERT INTO clinic.stay VALUES ({}, 880003, '[1000,9999)')", next()), "23P01"));
        all.push((
            format!("UPDATE clinic.stay SET during = '[1000,{})' WHERE patient_id = 880003", next() + 5000),
            "23P01",
        ));
        all.push((format!("INSERT INTO clinic.memo VALUES ({}, 880003, 'fail')", next()), "42501"));
    }
    all
}

#[test]
fn an_implicit_commit_that_fails_quotes_nothing_and_is_an_error_in_the_record() {
    let (database, proxy) = start();
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for (i, (sql, sqlstate)) in failing().into_iter().enumerate() {
        let reply = if i < 3 { amy.query(&sql) } else { amy.extended(&sql, &[]) };
        assert_eq!((code(&reply).as_str(), reply.status()), (sqlstate, 'I'), "{sql}");
        if i < 3 {
            // As the server does: no command is complete before it is kept.
            assert!(reply.commands().is_empty(), "{sql}: {}", reply.tags());
        }
        assert_quiet(&mut amy, &sql);
        assert_recorded(&proxy, &sql, sqlstate);
    }
    // What succeeds speaks without values, too, and is recorded as it was.
    let sql = "INSERT INTO clinic.memo VALUES (1, 880003, 'fine')";
    let reply = amy.ok(sql);
    assert_eq!(reply.commands(), ["INSERT 0 1"]);
    assert_eq!(reply.notices().len(), 1);
    assert!(!reply.notices()[0].message.contains("failed"), "{:?}", reply.notices());
    assert_quiet(&mut amy, sql);
    let told = told(&proxy, sql);
    assert_eq!((told.exact, told.patients.len(), told.errors.len()), (Some(true), 1, 0), "{told:?}");
}

#[test]
fn so_are_commit_and_set_constraints() {
    let (database, proxy) = start();
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for (round, by_protocol) in [false, true].into_iter().enumerate() {
        for (n, (write, sqlstate)) in failing().into_iter().take(3).enumerate() {
            for (m, end) in
                ["COMMIT", "END", "COMMIT AND CHAIN", "SET CONSTRAINTS ALL IMMEDIATE"].into_iter().enumerate()
            {
                let end = format!("{end} /* {round} {n} {m} */");
                amy.ok("BEGIN");
                amy.ok(&write);
                let reply = if by_protocol { amy.extended(&end, &[]) } else { amy.query(&end) };
                assert_eq!(code(&reply), sqlstate, "{end}: {write}");
                assert_quiet(&mut amy, &end);
                assert_recorded(&proxy, &end, sqlstate);
                amy.query("ROLLBACK");
            }
            // All in one message.
            let sql = format!("BEGIN; {write}; COMMIT /* one {round} {n} */");
            let reply = amy.query(&sql);
            assert_eq!(code(&reply), sqlstate, "{sql}");
            assert_quiet(&mut amy, &sql);
            assert_recorded(&proxy, &format!("COMMIT /* one {round} {n} */"), sqlstate);
            amy.query("ROLLBACK");
        }
    }
    // Notices on the way to success.
    for end in ["COMMIT", "SET CONSTRAINTS ALL IMMEDIATE; COMMIT"] {
        amy.ok("BEGIN");
        amy.ok("INSERT INTO clinic.memo VALUES (7, 880003, 'fine')");
        let reply = amy.ok(end);
        assert_eq!(reply.notices().len(), 1, "{end}");
        assert_quiet(&mut amy, end);
        amy.ok("DELETE FROM clinic.memo WHERE patient_id = 880003");
    }
}

/// A Sync, a Flush before it, and a simple query that ends what was pipelined before it.
#[test]
fn so_is_whatever_else_ends_the_transaction() {
    let (database, proxy) = start();
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for (sql, sqlstate) in failing().into_iter().take(3) {
        let run = [parse("", &sql), bind("", "", &[]), execute("", 0)].concat();
        amy.send(&[&run[..], &flush()].concat());
        for _ in 0..3 {
            assert_ne!(amy.next().tag, b'E', "{sql}");
        }
        amy.send(&sync());
        assert_eq!(code(&amy.reply()), sqlstate, "{sql}");
        assert_quiet(&mut amy, &sql);
        let two = [&run[..], &parse("", "SELECT 1"), &bind("", "", &[]), &execute("", 0), &sync()].concat();
        amy.send(&two);
        assert_eq!(code(&amy.reply()), sqlstate, "{sql}");
        assert_quiet(&mut amy, &sql);
        let last = format!("SELECT 7 /* {sqlstate} {} */", &sql[..7]);
        amy.send(&[&run[..], &crate::wire::query(&last)].concat());
        assert_eq!(code(&amy.reply()), sqlstate, "{sql}");
        assert_quiet(&mut amy, &sql);
        assert_recorded(&proxy, &last, sqlstate);
        amy.ok("SELECT 8");
    }
    let ends = told(&proxy, "(end of a transaction)");
    assert_eq!((ends.errors.len(), ends.exact), (6, Some(false)), "{ends:?}");
    assert!(patients_of_amy().iter().all(|p| ends.names(&p.to_string())), "{ends:?}");
}

#[test]
fn a_masked_column_is_not_told_at_commit() {
    let (database, proxy) = start();
    let mut eva = Wire::through(&proxy, &database, "bill_eva");
    let delete = "DELETE FROM clinic.claim WHERE claim_id = 1";
    for (write, sqlstate) in [
        ("UPDATE clinic.patient SET ssn = NULL WHERE patient_id = 880051", "23503"),
        ("INSERT INTO clinic.claim VALUES (2, 880051, 'nosuch')", "23503"),
    ] {
        let reply = eva.query(write);
        // A write that the role may not do is refused before; then there is nothing to be told.
        if code(&reply) == "42501" {
            continue;
        }
        assert_eq!(code(&reply), sqlstate, "{write}");
        assert_quiet(&mut eva, write);
        let told = told(&proxy, write);
        assert!(told.all_patients && told.exact == Some(false) && told.errors == [sqlstate], "{told:?}");
    }
    eva.query(delete);
    assert_quiet(&mut eva, delete);
}

/// Whoever sees everything gets the server's words, and the record does not say who decided.
#[test]
fn unrestricted_users_read_what_the_server_says() {
    let (database, proxy) = start();
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    let mut direct = Wire::direct(&database, "dba_gus");
    let write = "INSERT INTO clinic.stay VALUES (10, 880003, '[1000,9999)')";
    for sql in [write, "SELECT 1"] {
        assert_eq!(gus.query(sql).messages, direct.query(sql).messages, "{sql}");
    }
    let end = "COMMIT /* gus */";
    let ended = |wire: &mut Wire| {
        wire.ok("BEGIN");
        wire.ok(write);
        wire.query(end).messages
    };
    assert_eq!(ended(&mut gus), ended(&mut direct));
    for sql in [write, end] {
        let Told { all_patients, errors, exact, .. } = told(&proxy, sql);
        let ended: Vec<&str> = errors.iter().map(String::as_str).collect();
        assert!(all_patients && exact != Some(true) || sql == write, "{sql}");
        assert_eq!(ended, ["23P01"], "{sql}");
    }
}

/// What holds no value stays as it is.
#[test]
fn words_without_values_stay() {
    let (database, proxy) = start();
    let (mut amy, mut direct) =
        (Wire::through(&proxy, &database, "nurse_amy"), Wire::direct(&database, "nurse_amy"));
    for sql in [
        "COMMIT",
        "ROLLBACK",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "SET CONSTRAINTS nosuch IMMEDIATE",
        "BEGIN; SELECT 'abc'::int",
        "COMMIT",
    ] {
        assert_eq!(amy.query(sql).messages, direct.query(sql).messages, "{sql}");
    }
    // A client's own words inside a transaction that wrote.
    let own = |wire: &mut Wire| {
        wire.ok("BEGIN");
        wire.ok("INSERT INTO clinic.stay VALUES (11, 880003, '[5,6)')");
        ["SELECT 'abc'::int", "ROLLBACK"].map(|sql| wire.query(sql).messages)
    };
    assert_eq!(own(&mut amy), own(&mut direct));
    // An unprotected table's own: the code and the names.
    let sql = "INSERT INTO clinic.rate VALUES (1, 5), (2, 5)";
    assert_eq!((code(&amy.query(sql)), code(&direct.query(sql))), ("23505".into(), "23505".into()));
}

/// The server's words about a constraint are made of names: without them nobody knows what was wrong with the row. Its
/// detail, which quotes the row, and whatever a function raises, stay.
#[test]
fn an_error_of_a_constraint_names_it_and_quotes_no_value() {
    let stage = "
        CREATE TABLE clinic.slot (slot_id int8 PRIMARY KEY, patient_id int8 NOT NULL REFERENCES clinic.patient, ward int8 NOT NULL,
            room text UNIQUE, size int4 CONSTRAINT slot_size CHECK (size < 10), during int4range, EXCLUDE USING gist (during WITH &&));
        CREATE TABLE clinic.slot_use (use_id int8 PRIMARY KEY, patient_id int8, slot_id int8 REFERENCES clinic.slot DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE clinic.secret_use (use_id int8 PRIMARY KEY, slot_id int8 CONSTRAINT secret_1234 REFERENCES clinic.slot);
        INSERT INTO clinic.slot VALUES (1, 880003, 1, '1234', 1, '[1234,1300)'), (2, 880003, 1, '2', 1, '[1,2)'), (3, 880003, 1, '3', 1, '[3,4)');
        INSERT INTO clinic.slot_use VALUES (1, 880003, 2); INSERT INTO clinic.secret_use VALUES (1, 3);
        CREATE FUNCTION clinic.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'duplicate key value violates unique constraint \"%\"', NEW.room || '1234'
                USING ERRCODE = '23505', SCHEMA = 'clinic', TABLE = 'slot', CONSTRAINT = NEW.room || '1234'; END $$;
        CREATE TRIGGER tell AFTER INSERT ON clinic.slot FOR EACH ROW WHEN (NEW.room = 'tell') EXECUTE FUNCTION clinic.tell();
        GRANT SELECT, INSERT, UPDATE, DELETE ON clinic.slot, clinic.slot_use TO nurse; GRANT SELECT ON clinic.patient TO nurse;";
    let config = |config: String| {
        let tables = ["slot", "slot_use"].map(|t| {
            format!("[[table]]\nname = \"clinic.{t}\"\nclass = \"visits\"\nkey = \"patient_id\"\n\n")
        });
        replaced(hide(config), "[reference]", &format!("{}[reference]", tables.concat()))
    };
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), stage);
    let proxy = Proxy::start_with(&database, config);
    let mut direct = Wire::direct(&database, "nurse_amy");
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let fields =
        |reply: &Reply| (b"CMstcn".map(|field| reply.failure_field(field)), reply.failure_field(b'D'));
    let insert = "INSERT INTO clinic.slot (slot_id, patient_id, ward, room, size, during) VALUES";
    for (sql, named) in [
        (format!("{insert} (10, 880003, NULL, 'x1234', 1, '[5000,5001)')"), true),
        (format!("{insert} (1, 880003, 1, 'x1234', 1, '[5000,5001)')"), true),
        (format!("{insert} (10, 880003, 1, '1234', 1, '[5000,5001)')"), true),
        (format!("{insert} (10, 880003, 1, 'x1234', 1234, '[5000,5001)')"), true),
        (format!("{insert} (10, 880003, 1, 'x', 1, '[1235,1236)')"), true),
        ("UPDATE clinic.slot SET ward = NULL WHERE slot_id = 1".to_owned(), true),
        ("INSERT INTO clinic.slot_use VALUES (5, 880003, 1234)".to_owned(), true),
        ("DELETE FROM clinic.slot WHERE slot_id = 2".to_owned(), true),
        // The table behind it is closed to the role.
        ("DELETE FROM clinic.slot WHERE slot_id = 3".to_owned(), false),
        (format!("{insert} (10, 880003, 1, 'tell', 1, '[5000,5001)')"), false),
    ] {
        for extended in [false, true] {
            let ask = |wire: &mut Wire| {
                wire.forget();
                let reply = if extended { wire.extended(&sql, &[]) } else { wire.query(&sql) };
                fields(&reply)
            };
            let (expected, got) = (ask(&mut direct), ask(&mut amy));
            assert_eq!(got.0[0], expected.0[0], "{sql}: {got:?}");
            assert_eq!(got.1, None, "{sql}: a detail");
            assert_eq!(got.0 == expected.0, named, "{sql}: {got:?}, the server: {expected:?}");
            let secret = |text: &Option<String>| text.as_ref().is_some_and(|t| t.contains("1234"));
            let told = if sql.contains("slot_id = 3") { &got.0[1..2] } else { &got.0[..] };
            assert!(!told.iter().any(secret), "{sql}: {got:?}");
        }
    }
}
