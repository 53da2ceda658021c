//! P1 and P4 under the row limit of Execute, which drivers set to one where they expect no rows (pgJDBC's
//! executeUpdate and executeBatch) and to the fetch size where they expect many.

use crate::common::{Postgres, Proxy, patients_of_amy};
use crate::support::{hide, leave_amys, told};
use crate::wire::{Wire, bind, execute, parse, sync};

/// Statements, and the condition on `clinic.problem` whose rows' patients the record must name.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "INSERT INTO clinic.problem (problem_id, patient_id, icd10, title, status) VALUES \
         (7000001, 880003, 'A00', 't', 'active'), (7000002, 880015, 'A00', 't', 'active')",
        "patient_id IN (880003, 880015)",
    ),
    (
        "UPDATE clinic.problem SET title = 'x' WHERE patient_id IN (880003, 880015)",
        "patient_id IN (880003, 880015)",
    ),
    ("UPDATE clinic.problem SET title = 'x' WHERE icd10 < 'F'", "icd10 < 'F'"),
    ("UPDATE clinic.problem SET title = 'x' WHERE icd10 < 'F' RETURNING title", "icd10 < 'F'"),
    ("DELETE FROM clinic.problem WHERE icd10 < 'F' RETURNING 1", "icd10 < 'F'"),
    ("DELETE FROM clinic.problem WHERE icd10 < 'F'", "icd10 < 'F'"),
    ("UPDATE clinic.problem SET title = 'x' WHERE icd10 = 'none'", "false"),
    (
        "UPDATE clinic.problem SET title = 'x' WHERE patient_id IN (SELECT patient_id FROM clinic.patient) AND icd10 < 'F'",
        "icd10 < 'F'",
    ),
    (
        "DELETE FROM clinic.problem WHERE patient_id NOT IN (SELECT patient_id FROM clinic.patient) AND icd10 < 'F' RETURNING 1",
        "false",
    ),
    (
        "WITH d AS (DELETE FROM clinic.problem WHERE icd10 < 'F' RETURNING problem_id) SELECT problem_id FROM d ORDER BY 1",
        "icd10 < 'F'",
    ),
    ("SELECT count(*) FROM clinic.problem HAVING count(*) < 0", "true"),
    ("SELECT status, count(*) FROM clinic.problem GROUP BY 1 ORDER BY 1", "true"),
    ("SELECT patient_id FROM clinic.problem WHERE icd10 = 'none'", "false"),
];

#[test]
fn a_row_limit_holds_back_neither_the_count_nor_the_patients_of_a_write() {
    let server = Postgres::shared();
    let (whole, hers) = (server.demo(), server.demo());
    leave_amys(&hers);
    for database in [&whole, &hers] {
        server.psql(database.name(), "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse");
    }
    let proxy = Proxy::start_with(&whole, hide);
    let amys: Vec<String> = patients_of_amy().iter().map(i64::to_string).collect();
    for (user, same) in [("dba_gus", &whole), ("nurse_amy", &hers)] {
        let mut direct = Wire::direct(same, user);
        let mut through = Wire::through(&proxy, &whole, user);
        for (sql, condition) in STATEMENTS {
            for limits in [&[1_u32][..], &[1, 1, 0], &[2], &[0, 1], &[1000, 1000]] {
                // A text of its own, so that its record is found.
                let sql = format!("{sql} /* {user} {limits:?} */");
                let executes = limits.iter().flat_map(|limit| execute("p", *limit)).collect();
                let messages = [parse("", &sql), bind("p", "", &[]), executes, sync()].concat();
                let [wanted, got] = [&mut direct, &mut through].map(|wire| {
                    wire.ok("BEGIN");
                    wire.send(&messages);
                    let reply = wire.reply();
                    wire.ok("ROLLBACK");
                    reply
                });
                // Directly, a write that is done cannot be executed again; a portal with rows of ours is at its end.
                let known = wanted.tags().find('E').unwrap_or(wanted.messages.len());
                assert_eq!(got.messages[..known].len(), known, "{sql}");
                for (got, wanted) in got.messages[..known].iter().zip(&wanted.messages) {
                    assert_eq!(got, wanted, "{sql}");
                }
                let question = format!("SELECT DISTINCT patient_id FROM clinic.problem WHERE {condition}");
                let matter = direct.ok(&question).firsts();
                let told = told(&proxy, &sql);
                let missing: Vec<_> = matter.iter().filter(|p| !told.names(p)).collect();
                assert!(
                    missing.is_empty(),
                    "{sql}: {} of {} not named: {told:?}",
                    missing.len(),
                    matter.len()
                );
                assert!(told.ended, "{sql}");
                let strangers = told.patients.iter().filter(|p| !amys.contains(*p));
                assert!(user == "dba_gus" || !told.all_patients && strangers.count() == 0, "{sql}: {told:?}");
            }
        }
    }
}

/// The cursor stands behind rows that the client never took.
#[test]
fn rows_of_a_fetch_that_the_client_did_not_take_are_in_its_record() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, hide);
    for user in ["dba_gus", "nurse_amy"] {
        let mut wire = Wire::through(&proxy, &database, user);
        let query = "SELECT patient_id FROM clinic.problem ORDER BY problem_id LIMIT 5";
        let matter = wire.ok(query).firsts();
        wire.ok(&format!("BEGIN; DECLARE c CURSOR FOR {query}"));
        let sql = format!("FETCH 5 FROM c /* {user} */");
        wire.send(&[parse("", &sql), bind("p", "", &[]), execute("p", 1), sync()].concat());
        assert_eq!(wire.reply().tags(), "12DsZ");
        let told = told(&proxy, &sql);
        let missing: Vec<_> = matter.iter().filter(|p| !told.names(p)).collect();
        assert!(missing.is_empty(), "{user}: {missing:?} of {matter:?}: {told:?}");
    }
}
