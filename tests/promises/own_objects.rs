//! P3 and P4 for roles of scope "all": what a session has just made itself (a view, a function, a table
//! renamed) is in no snapshot of the catalog yet, and its rows are recorded all the same. And such a
//! role meets none of it: its statements do what they would do directly.

use crate::common::Postgres;
use crate::support::{proxy, told};
use crate::wire::{Wire, frame};

/// How rows of patients can be reached under a name that nobody knew a moment ago: what makes the
/// name, and a statement that reads by it.
const WAYS: &[(&str, &str)] = &[
    (
        "CREATE FUNCTION clinic.leak() RETURNS text LANGUAGE sql AS 'SELECT min(name) FROM clinic.patient'",
        "SELECT clinic.leak()",
    ),
    (
        "CREATE AGGREGATE clinic.every(text) (SFUNC = text_larger, STYPE = text)",
        "SELECT clinic.every(name) FROM clinic.patient",
    ),
    ("CREATE VIEW clinic.peek AS SELECT * FROM clinic.patient", "SELECT count(*) FROM clinic.peek"),
    ("CREATE TEMP VIEW glance AS SELECT * FROM clinic.patient", "SELECT count(*) FROM glance"),
    ("CREATE TEMP VIEW glimpse AS SELECT * FROM clinic.patient", "COPY (SELECT name FROM glimpse) TO STDOUT"),
    (
        "CREATE TABLE clinic.tap (n text); CREATE RULE drip AS ON INSERT TO clinic.tap DO ALSO SELECT name FROM clinic.patient",
        "INSERT INTO clinic.tap VALUES ('x')",
    ),
    (
        "CREATE TEMP TABLE spout (n text); CREATE RULE drop AS ON DELETE TO spout DO INSTEAD SELECT name FROM clinic.patient",
        "DELETE FROM spout",
    ),
    (
        "CREATE TEMP TABLE pipe (n text); CREATE RULE flow AS ON UPDATE TO pipe DO ALSO SELECT name FROM clinic.patient",
        "UPDATE pipe SET n = 'x'",
    ),
    (
        "CREATE FUNCTION clinic.both(int, int) RETURNS text LANGUAGE sql AS 'SELECT min(name) FROM clinic.patient'; \
         CREATE OPERATOR clinic.<%%> (leftarg = int, rightarg = int, function = clinic.both)",
        "SELECT 1 OPERATOR(clinic.<%%>) 2",
    ),
    ("ANALYZE clinic.problem", "SELECT most_common_vals FROM pg_stats WHERE tablename = 'problem'"),
    ("ALTER TABLE clinic.problem RENAME COLUMN patient_id TO pid", "SELECT count(*) FROM clinic.problem"),
    ("ALTER TABLE clinic.patient RENAME TO somebody", "SELECT count(*) FROM clinic.somebody"),
];

#[test]
fn what_a_session_has_just_made_is_read_with_a_record() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    let mut silent = Vec::new();
    for (n, (making, reading)) in WAYS.iter().enumerate() {
        for (how, end) in [("in a transaction", "ROLLBACK"), ("at once", "COMMIT")] {
            gus.ok("BEGIN");
            gus.ok(making);
            if how == "at once" {
                gus.ok("COMMIT");
            }
            let sql = format!("{reading} /* {n} {how} */");
            if let Some(failure) = gus.query(&sql).failure() {
                silent.push(format!("{sql}: {failure:?}"));
            }
            if !told(&proxy, &sql).names("880001") {
                silent.push(sql);
            }
            if how == "in a transaction" {
                gus.ok(end);
            }
        }
    }
    assert!(silent.is_empty(), "read without a record: {silent:#?}");
}

/// The names of the record are as good as before once the transaction is over.
#[test]
fn after_ddl_patients_are_told_one_by_one_again() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    gus.ok("BEGIN");
    gus.ok("ALTER TABLE clinic.ward RENAME TO station");
    let inside = "SELECT patient_id FROM clinic.patient WHERE patient_id = 880001 /* inside */";
    gus.ok(inside);
    gus.ok("ROLLBACK");
    let behind = "SELECT patient_id FROM clinic.patient WHERE patient_id = 880001 /* behind */";
    gus.ok(behind);
    assert!(told(&proxy, inside).all_patients);
    let told_behind = told(&proxy, behind);
    assert_eq!((told_behind.all_patients, told_behind.exact), (false, Some(true)), "{told_behind:?}");
    assert!(told_behind.names("880001"));
    // A table of its own is nobody else's business.
    gus.ok("CREATE TEMP TABLE mine (a int)");
    let count = "SELECT count(*) FROM mine /* mine */";
    gus.ok(count);
    assert!(!told(&proxy, count).all_patients);
}

/// What was prepared before the DDL is parsed again by the server, and means what names mean then.
#[test]
fn what_was_prepared_before_is_recorded_behind_ddl() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    let sql = "SELECT count(*) FROM clinic.ward /* swapped */";
    gus.send(&[crate::wire::parse("s", sql), crate::wire::sync()].concat());
    gus.reply();
    gus.ok("BEGIN");
    gus.ok("ALTER TABLE clinic.ward RENAME TO station");
    gus.ok("ALTER TABLE clinic.patient RENAME TO ward");
    let run = [crate::wire::bind("", "s", &[]), crate::wire::execute("", 0), crate::wire::sync()].concat();
    gus.send(&run);
    let reply = gus.reply();
    assert_eq!(reply.failure(), None);
    assert!(reply.value().parse::<u32>().is_ok_and(|rows| rows > 1_000), "{:?}", reply.rows());
    assert!(told(&proxy, sql).names("880001"));
    gus.ok("ROLLBACK");
}

/// libpq's large objects go by the function call message.
#[test]
fn function_calls_of_unrestricted_roles_are_run_and_recorded() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut answers = Vec::new();
    for mut gus in [Wire::direct(&database, "dba_gus"), Wire::through(&proxy, &database, "dba_gus")] {
        let mut call = |name: &str, arguments: &[&[u8]]| {
            let oid = gus.ok(&format!("SELECT '{name}'::regproc::oid")).value();
            let mut body = oid.parse::<u32>().unwrap().to_be_bytes().to_vec();
            body.extend([0, 1, 0, 1]);
            body.extend(u16::try_from(arguments.len()).unwrap().to_be_bytes());
            for argument in arguments {
                body.extend(u32::try_from(argument.len()).unwrap().to_be_bytes());
                body.extend_from_slice(argument);
            }
            body.extend([0, 1]);
            gus.send(&frame(b'F', &body));
            let reply = gus.reply();
            (reply.tags(), reply.failure().map(|f| (f.sqlstate, f.message)))
        };
        let object = 4_242_u32.to_be_bytes();
        answers.push([
            call("pg_catalog.lo_create", &[&object]),
            call("pg_catalog.lo_create", &[&object]),
            call("pg_catalog.lo_unlink", &[&object]),
            call("pg_catalog.lo_unlink", &[&object]),
            call("pg_catalog.lo_unlink", &[b"12"]),
            call("pg_catalog.textlen", &[b"abc"]),
        ]);
        gus.ok("SELECT 1");
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(
        answers[0].each_ref().map(|(_, failure)| failure.is_some()),
        [false, true, false, true, true, false]
    );
    for text in ["SELECT pg_catalog.lo_create($1)", "(function call message) pg_catalog.textlen"] {
        let told = told(&proxy, text);
        assert!(told.times >= 1 && told.all_patients, "{text}: {told:?}");
    }
}

/// Statements whose way through the proxy is another one than the server's: cursors with a second scan,
/// what an older grammar does not know in a failed transaction, DDL and reading in one transaction.
const SAME: &[&[&str]] = &[
    &[
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT patient_id FROM clinic.patient OFFSET 3",
        "FETCH 3 FROM c",
        "FETCH BACKWARD 2 FROM c",
        "FETCH BACKWARD ALL FROM c",
        "FETCH FORWARD 2 FROM c",
        "COMMIT",
    ],
    &[
        "BEGIN",
        "DECLARE c NO SCROLL CURSOR FOR SELECT patient_id FROM clinic.patient OFFSET 3",
        "FETCH 1 FROM c",
        "FETCH BACKWARD 1 FROM c",
        "ROLLBACK",
    ],
    &[
        "BEGIN",
        "SET LOCAL ROLE nurse",
        "SELECT 1/0",
        "GRANT nurse TO billing WITH ADMIN TRUE",
        "SELECT 1",
        "ROLLBACK",
    ],
    &[
        "BEGIN",
        "CREATE AGGREGATE clinic.last_of(text) (SFUNC = text_larger, STYPE = text)",
        "SET LOCAL search_path = clinic",
        "SELECT last_of(name) FROM patient",
        "ROLLBACK",
    ],
    &["SELECT * FROM clinic.nowhere", "SELECT nothing(1)", "SELECT nothing(name) FROM clinic.patient"],
];

#[test]
fn unrestricted_roles_notice_nothing() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut wrong = Vec::new();
    for (n, steps) in SAME.iter().enumerate() {
        // One after the other: what one has begun, the other would wait for.
        let [direct, through] = [true, false].map(|direct| {
            let mut gus = match direct {
                true => Wire::direct(&database, "dba_gus"),
                false => Wire::through(&proxy, &database, "dba_gus"),
            };
            let answers = steps.iter().map(|step| {
                let reply = gus.query(&format!("{step} /* same {n} */"));
                (reply.tags(), reply.rows(), reply.failure().map(|f| (f.sqlstate, f.message)))
            });
            answers.collect::<Vec<_>>()
        });
        for (step, (direct, through)) in steps.iter().zip(direct.iter().zip(&through)) {
            if direct != through {
                wrong.push(format!("{step}\n   {direct:?}\n   {through:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Nothing was read: it stands in nobody's report.
    assert!(!told(&proxy, "SELECT * FROM clinic.nowhere /* same 4 */").all_patients);
    assert!(!told(&proxy, "SELECT nothing(1) /* same 4 */").all_patients);
}

/// A rule runs other statements than the one that was sent, with the rights of its owner.
#[test]
fn a_restricted_role_writes_nothing_that_has_rules() {
    let server = Postgres::shared();
    let database = server.demo();
    server.psql(
        database.name(),
        "CREATE RULE drip AS ON UPDATE TO clinic.ward DO ALSO SELECT name FROM clinic.patient; \
         CREATE RULE drop AS ON UPDATE TO clinic.problem DO ALSO SELECT name FROM clinic.patient; \
         GRANT UPDATE ON clinic.ward, clinic.problem TO nurse",
    );
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for sql in [
        "UPDATE clinic.ward SET name = name WHERE ward_id = 1",
        "UPDATE clinic.problem SET status = status WHERE patient_id = 880003",
        "WITH x AS (UPDATE clinic.ward SET name = name RETURNING 1) SELECT * FROM x",
    ] {
        assert_eq!(amy.query(sql).refusal().gls().as_deref(), Some("GLS-240"), "{sql}");
        assert_eq!(amy.extended(sql, &[]).refusal().gls().as_deref(), Some("GLS-240"), "{sql}");
    }
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.ward WHERE ward_id = 1").value(), "1");
}
