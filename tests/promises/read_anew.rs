//! P1: a simple query is read each time it is sent. What the clock and the settings make of its constants is of now,
//! also when a session sends the same text again and again and pgglass keeps statements prepared.

use crate::common::{Database, Postgres, Proxy};
use crate::support::proxy;
use crate::wire::Wire;

/// Of the stage: `clinic.allergy` has columns of types whose constants mean what the settings say.
fn columns(database: &Database<'_>) {
    database.server().psql(
        database.name(),
        "ALTER TABLE clinic.allergy ADD day date, ADD moment timestamptz, ADD at timestamp, ADD span interval,
           ADD ids int[] DEFAULT '{1}', ADD code text DEFAULT 'I10', ADD cost money DEFAULT 1, ADD doc xml;
         GRANT UPDATE ON clinic.allergy TO nurse;
         GRANT UPDATE ON clinic.note TO nurse;",
    );
}

fn users(proxy: &Proxy<'_>, database: &Database<'_>) -> [(Wire, Wire); 2] {
    ["nurse_amy", "dba_gus"].map(|user| (Wire::direct(database, user), Wire::through(proxy, database, user)))
}

#[test]
fn now_is_now_each_time() {
    let database = Postgres::shared().demo();
    columns(&database);
    let proxy = proxy(&database);
    for (_, mut wire) in users(&proxy, &database) {
        for sql in [
            "SELECT 'now'::timestamptz = now(), patient_id FROM clinic.patient WHERE patient_id = 880003",
            "SELECT timestamptz 'now' = now(), count(*) FROM clinic.allergy WHERE patient_id = 880003",
            "SELECT (moment <= 'now') IS NOT FALSE AND 'now'::timestamp = localtimestamp, 1 FROM clinic.allergy \
             WHERE patient_id = 880003 ORDER BY allergy_id LIMIT 1",
            "SELECT max(m) = now(), 1 FROM (SELECT CASE WHEN true THEN 'NOW' ELSE moment END AS m FROM clinic.allergy \
             WHERE patient_id = 880003) s",
            "UPDATE clinic.allergy SET moment = 'now' WHERE patient_id = 880003 RETURNING moment = now()",
            "INSERT INTO clinic.note (patient_id, author, kind, written_at, body) \
             VALUES (880003, 'x', 'x', 'now', 'x') RETURNING written_at = now()",
        ] {
            for time in 1..=5 {
                let said = wire.ok(sql).firsts();
                assert!(!said.is_empty() && said.iter().all(|s| s == "t"), "{time}: {sql}: {said:?}");
            }
        }
        // Constants that are parameters, and a write that says nothing.
        for id in 1..=5 {
            let sql = format!(
                "SELECT time 'now' = localtime, allergy_id FROM clinic.allergy WHERE patient_id = 880003 AND allergy_id > -{id}"
            );
            let said = wire.ok(&sql).firsts();
            assert!(!said.is_empty() && said.iter().all(|s| s == "t"), "{sql}: {said:?}");
            wire.ok("BEGIN");
            wire.ok("UPDATE clinic.note SET written_at = 'now' WHERE patient_id = 880003");
            let all = "SELECT bool_and(written_at = now()) FROM clinic.note WHERE patient_id = 880003";
            assert_eq!(wire.ok(all).value(), "t");
            wire.ok("COMMIT");
        }
    }
}

/// Statements, and what changes what the server makes of them: before, after.
const READ: &[(&str, &[(&str, &str)])] = &[
    ("SELECT allergy_id, '02/03/2024'::date FROM clinic.allergy WHERE patient_id = 880003", DATES),
    (
        "SELECT allergy_id, date '02/03/2024' - date '2024-01-01' FROM clinic.allergy WHERE patient_id = 880003",
        DATES,
    ),
    (
        "SELECT count(*) FROM clinic.allergy WHERE patient_id = 880003 AND day IN ('02/03/2024', '2024-02-03')",
        DATES,
    ),
    (
        "UPDATE clinic.allergy SET day = '02/03/2024' WHERE patient_id = 880003 RETURNING day = date '2024-02-03'",
        DATES,
    ),
    ("UPDATE clinic.allergy SET at = '02/03/2024' WHERE patient_id = 880003 RETURNING at", DATES),
    ("SELECT allergy_id FROM clinic.allergy WHERE patient_id = 880003 AND day < '02/03/2024'", DATES),
    (
        "SELECT timestamptz '2025-01-01 00:00' AT TIME ZONE 'UTC', 1 FROM clinic.patient WHERE patient_id = 880003",
        ZONES,
    ),
    (
        "UPDATE clinic.allergy SET moment = '2025-01-01 00:00' WHERE patient_id = 880003 RETURNING moment AT TIME ZONE 'UTC'",
        ZONES,
    ),
    (
        "SELECT count(*) FROM clinic.allergy WHERE patient_id = 880003 AND moment <> ALL ('{2025-01-01 00:00}')",
        ZONES,
    ),
    ("SELECT date 'today' - date '2024-01-01', 1 FROM clinic.patient WHERE patient_id = 880003", ZONES),
    ("SELECT allergy_id, '{1,NULL}'::text[] FROM clinic.allergy WHERE patient_id = 880003", SWITCHES),
    (
        "SELECT allergy_id FROM clinic.allergy WHERE patient_id = 880003 AND code = ANY ('{I10,NULL}') IS NOT FALSE",
        SWITCHES,
    ),
    ("SELECT 'x<b/>'::xml, 1 FROM clinic.patient WHERE patient_id = 880003", SWITCHES),
    ("UPDATE clinic.allergy SET doc = 'x' WHERE patient_id = 880003 RETURNING allergy_id", SWITCHES),
    ("SELECT interval '-1 2:03:04', 1 FROM clinic.patient WHERE patient_id = 880003", SWITCHES),
    (
        "UPDATE clinic.allergy SET span = '-1 2:03:04' WHERE patient_id = 880003 RETURNING extract(epoch FROM span)",
        SWITCHES,
    ),
    ("SELECT allergy_id FROM clinic.allergy WHERE patient_id = 880003 AND (code = NULL) IS NOT FALSE", NULLS),
    // Those that are kept prepared.
    (
        "SELECT allergy_id, date '2024-02-03', code || ' 1' FROM clinic.allergy WHERE patient_id = 880003 AND code IN ('I10', 'E11')",
        DATES,
    ),
    (
        "SELECT allergy_id, timestamptz '2024-02-03 04:05+01' FROM clinic.allergy WHERE patient_id = 880003",
        ZONES,
    ),
    (
        "SELECT allergy_id, interval '1 day 2:03:04' FROM clinic.allergy WHERE patient_id = 880003 AND ids = ANY ('{\"{1}\",\"{2}\"}')",
        SWITCHES,
    ),
    (
        "UPDATE clinic.allergy SET reaction = 'hives' WHERE patient_id = 880003 RETURNING day, moment, span",
        DATES,
    ),
];

const DATES: &[(&str, &str)] = &[
    ("SET DateStyle = 'SQL, DMY'", "SET DateStyle = 'ISO, MDY'"),
    ("SET DateStyle = 'ISO, MDY'", "SET DateStyle = 'ISO, DMY'"),
    ("SET DateStyle = 'SQL, DMY'", "RESET DateStyle"),
    ("SET DateStyle = 'SQL, DMY'", "RESET ALL"),
    ("SET DateStyle = 'SQL, DMY'", "DISCARD ALL"),
    (
        "SELECT set_config('datestyle', 'ISO, DMY', false)",
        "SELECT set_config('datestyle', 'ISO, MDY', false)",
    ),
    ("BEGIN; SET LOCAL DateStyle = 'ISO, DMY'", "COMMIT"),
    ("BEGIN; SET LOCAL DateStyle = 'ISO, DMY'", "ROLLBACK"),
    ("BEGIN; SAVEPOINT s; SET DateStyle = 'ISO, DMY'", "ROLLBACK TO s; COMMIT"),
];

const ZONES: &[(&str, &str)] = &[
    ("SET TimeZone = 'UTC'", "SET TimeZone = '-167'"),
    ("SET TIME ZONE 'Pacific/Kiritimati'", "SET TIME ZONE 'America/Los_Angeles'"),
    ("BEGIN; SET LOCAL TimeZone = '100'", "ROLLBACK"),
    ("SET TimeZone = '100'", "RESET TimeZone"),
];

const SWITCHES: &[(&str, &str)] = &[
    (
        "SET array_nulls = on; SET xmloption = content; SET IntervalStyle = postgres",
        "SET array_nulls = off; SET xmloption = document; SET IntervalStyle = sql_standard",
    ),
    ("BEGIN; SET LOCAL array_nulls = off; SET LOCAL IntervalStyle = sql_standard", "ROLLBACK"),
];

/// Closed to restricted roles, for which nothing changes then.
const NULLS: &[(&str, &str)] = &[("SET transform_null_equals = off", "SET transform_null_equals = on")];

#[test]
fn constants_are_what_the_settings_of_the_moment_make_of_them() {
    let database = Postgres::shared().demo();
    columns(&database);
    let proxy = proxy(&database);
    let mut wrong = Vec::new();
    for (mut direct, mut through) in users(&proxy, &database) {
        for (sql, changes) in READ {
            for (before, after) in *changes {
                if through.query(after).failure().is_some_and(|f| f.sqlstate == "42501") {
                    assert_eq!(*changes, NULLS);
                    continue;
                }
                through.ok("ROLLBACK; RESET ALL");
                let steps = [before, sql, sql, sql, after, sql, sql, before, sql, after];
                // One behind the other: a transaction keeps what it has written from others.
                let [expected, got] = [&mut direct, &mut through].map(|wire| {
                    let replies = steps.map(|text| {
                        let reply = wire.query(text);
                        (reply.rows(), reply.columns(), reply.commands(), reply.failure().map(|f| f.sqlstate))
                    });
                    wire.query("ROLLBACK");
                    wire.ok("RESET ALL");
                    replies
                });
                for (step, (expected, got)) in expected.iter().zip(&got).enumerate() {
                    if expected != got {
                        let which = format!("{before} / {after}, step {step}: {}", steps[step]);
                        wrong.push(format!("{which}\n   expected {expected:?}\n   got      {got:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// What costs nobody the plan that is kept.
#[test]
fn common_texts_are_kept_prepared() {
    let database = Postgres::shared().demo();
    columns(&database);
    let proxy = proxy(&database);
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    for (kept, sql) in [
        (1, "SELECT * FROM clinic.patient WHERE patient_id = 880003"),
        (
            1,
            "SELECT * FROM clinic.allergy WHERE code IN ('I10', 'E11') AND substance LIKE 'P3%' AND day < '2024-01-01'",
        ),
        (
            1,
            "SELECT a.*, 'Ward 7' FROM clinic.allergy a JOIN clinic.patient p USING (patient_id) WHERE p.mrn > '100'",
        ),
        (1, "SELECT patient_id FROM clinic.note WHERE written_at > now() - interval '30 days'"),
        (1, "UPDATE clinic.allergy SET reaction = 'hives' WHERE patient_id = 880003"),
        (0, "SELECT patient_id FROM clinic.note WHERE written_at > timestamptz '2024-01-01'"),
        (0, "UPDATE clinic.allergy SET moment = 'now' WHERE patient_id = 880003"),
    ] {
        gus.ok("DEALLOCATE ALL");
        for _ in 0..4 {
            gus.ok(sql);
        }
        let known = gus.ok("SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql").value();
        assert_eq!(known, kept.to_string(), "{sql}");
    }
}
