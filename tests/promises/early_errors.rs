//! What the server says of a guarded statement before it runs: of its text when it is parsed, and of what is computed
//! when Bind plans it, which can be of the values that statistics hold.

use crate::common::{Postgres, Proxy, patients_of_amy};
use crate::support::{hide, told};
use crate::wire::{Wire, bind, describe_portal, describe_statement, execute, flush, parse, sync};

/// Computed when it is planned: the same for the server as a value of its statistics.
const PLANNED: [(&str, &str); 3] = [
    ("SELECT name FROM clinic.patient WHERE language = 'en' AND length(name) > 'CANARY'::text::int", "22P02"),
    ("SELECT name FROM clinic.patient WHERE birth_date > ('CANARY'::text)::date", "22007"),
    ("SELECT name FROM clinic.patient WHERE patient_id > 1 / 0", "22012"),
];

/// How much of an exchange is sent.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Query,
    Execute,
    Describe,
    Bind,
    Flush,
}

#[test]
fn what_planning_computes_is_withheld_and_recorded_once() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for (shape, sqlstate) in PLANNED {
        for sent in [Sent::Query, Sent::Execute, Sent::Describe, Sent::Bind, Sent::Flush] {
            let sql = format!("{shape} /* {sent:?} */");
            let bound = [parse("", &sql), bind("", "", &[])].concat();
            match sent {
                Sent::Query => amy.send(&crate::wire::query(&sql)),
                Sent::Execute => amy.send(&[&bound[..], &execute("", 0), &sync()].concat()),
                Sent::Describe => amy.send(&[&bound[..], &describe_portal(""), &sync()].concat()),
                Sent::Bind => amy.send(&[&bound[..], &sync()].concat()),
                Sent::Flush => amy.send(&[&bound[..], &flush(), &execute("", 0), &sync()].concat()),
            }
            let failure = amy.reply().refusal();
            assert_eq!(failure.sqlstate, sqlstate, "{sql}");
            assert!(!failure.message.contains("CANARY"), "{sql}: {failure:?}");
            assert_eq!(failure.message == "division by zero", sqlstate == "22012", "{failure:?}");
            let told = told(&proxy, &sql);
            assert_eq!(
                (told.times, told.errors.as_slice()),
                (1, &[sqlstate.to_owned()][..]),
                "{sql}: {told:?}"
            );
            assert!(patients_of_amy().iter().all(|p| told.names(&p.to_string())), "{sql}: {told:?}");
            assert!(!told.names("880001") && told.exact == Some(false), "{sql}: {told:?}");
        }
    }
    // Two of the same portal: the one that failed is recorded, the other was skipped.
    let (first, second) =
        (format!("{} /* first */", PLANNED[0].0), "SELECT name FROM clinic.patient /* second */");
    amy.send(
        &[parse("", &first), bind("", "", &[]), parse("", second), bind("", "", &[]), execute("", 0), sync()]
            .concat(),
    );
    assert!(!amy.reply().refusal().message.contains("CANARY"));
    assert_eq!(told(&proxy, &first).times, 1);
    assert_eq!(amy.query("SELECT count(*) FROM clinic.patient").value(), "25");
}

/// The client's own values, in the server's words, and the text's own errors.
#[test]
fn what_is_the_clients_own_stays_readable() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mut direct = Wire::direct(&database, "nurse_amy");
    let by_date = "SELECT name FROM clinic.patient WHERE birth_date = $1 AND patient_id = $2";
    for parameters in
        [["mine", "1"], ["2020-01-01", "x1"], ["2020-13-45", "1"], ["2020-01-01", "99999999999999999999"]]
    {
        let (ours, theirs) = (amy.extended(by_date, &parameters), direct.extended(by_date, &parameters));
        assert_eq!(ours.failure(), theirs.failure(), "{parameters:?}");
        let context = |reply: &crate::wire::Reply| {
            let error = reply.messages.iter().find(|m| m.tag == b'E').expect("an error").body.clone();
            let found = error.split(|b| *b == 0).find(|f| f.first() == Some(&b'W'));
            found.map(|f| String::from_utf8_lossy(f).into_owned())
        };
        assert_eq!(context(&ours), context(&theirs), "{parameters:?}");
    }
    // A value that cannot be read is nobody's row.
    let told_of = told(&proxy, by_date);
    assert!(!told_of.names("880003") && !told_of.all_patients, "{told_of:?}");
    for sql in
        ["SELECT nosuch FROM clinic.patient", "SELECT name FROM clinic.patient WHERE birth_date = 'mine'"]
    {
        assert_eq!(amy.query(sql).failure(), direct.query(sql).failure(), "{sql}");
        // Also when it is only prepared.
        let sql = format!("{sql} /* prepared */");
        amy.send(&[parse("", &sql), describe_statement(""), sync()].concat());
        assert_eq!(amy.reply().refusal().message, direct.query(&sql).refusal().message, "{sql}");
        let told = told(&proxy, &sql);
        assert_eq!((told.times, told.errors.len()), (1, 1), "{sql}: {told:?}");
        assert!(!told.all_patients, "{sql}: {told:?}");
    }
}

/// Whatever names a relation that is not there: PostgreSQL's own code and words.
#[test]
fn a_relation_that_does_not_exist_is_an_ordinary_error() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mut direct = Wire::direct(&database, "nurse_amy");
    for sql in [
        "DROP TABLE nosuch",
        "DROP VIEW clinic.nosuch",
        "DROP SEQUENCE nosuch",
        "ANALYZE nosuch",
        "CREATE INDEX ON nosuch (x)",
        "TRUNCATE clinic.nosuch",
        "COPY nosuch TO STDOUT",
        "SELECT * FROM nosuch",
    ] {
        assert_eq!(amy.query(sql).failure(), direct.query(sql).failure(), "{sql}");
        assert_eq!(amy.extended(sql, &[]).refusal().message, direct.query(sql).refusal().message, "{sql}");
    }
    // What is there stays as closed as it was.
    for sql in
        ["DROP TABLE clinic.patient", "DROP TABLE nosuch, clinic.patient", "DROP INDEX clinic.patient_pkey"]
    {
        assert_eq!(amy.query(sql).refusal().gls().as_deref(), Some("GLS-240"), "{sql}");
    }
}

/// A function that no schema has, too; one that is there and is not allowed stays GLS-240.
#[test]
fn a_function_that_does_not_exist_is_an_ordinary_error() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mut direct = Wire::direct(&database, "nurse_amy");
    for sql in [
        "SELECT nofn(name) FROM clinic.patient",
        "SELECT name FROM clinic.patient WHERE clinic.nofn(name, 1) ORDER BY 1",
        "SELECT nofn()",
        "UPDATE clinic.patient SET name = nofn(name)",
    ] {
        let seen = amy.query(sql).failure();
        assert_eq!(seen.as_ref().map(|f| f.sqlstate.as_str()), Some("42883"), "{sql}: {seen:?}");
        assert_eq!(seen, direct.query(sql).failure(), "{sql}");
    }
    for (sql, sqlstate) in
        [("SELECT 1; SELECT nofn(1)", "42883"), ("SELECT 1; SELECT * FROM nosuch", "42P01")]
    {
        assert_eq!(amy.query(sql).refusal().sqlstate, sqlstate, "{sql}");
    }
    let sql = "SELECT nofn(name) FROM clinic.patient";
    assert_eq!(amy.extended(sql, &[]).refusal().message, direct.query(sql).refusal().message);
    for sql in ["SELECT pg_sleep(1) FROM clinic.patient", "SELECT lo_get(1) FROM clinic.patient"] {
        assert_eq!(amy.query(sql).refusal().gls().as_deref(), Some("GLS-240"), "{sql}");
    }
    assert_eq!(amy.ok("SELECT 1").value(), "1");
}
