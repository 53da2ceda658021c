//! P4: every patient whose removal would change the reply is named in the record of the statement.
//! The oracle is leave-one-out: take one patient out of the database and look whether the reply
//! changes. Taken out of the database that holds nurse_amy's patients only, whose replies equal
//! those that she gets through the proxy (P2, checked here again).

use crate::common::{Postgres, Proxy, STRANGER, STRANGER_MRN, patients_of_amy};
use crate::support::{deletion, hide, leave_amys, proxy, told};
use crate::wire::{Reply, Wire};

/// Shapes in which the patients of the returned rows are not all that matter, and some in which they are.
const SHAPES: &[&str] = &[
    "SELECT patient_id, name FROM clinic.patient ORDER BY patient_id",
    "SELECT patient_id FROM clinic.patient WHERE sex = 'F' ORDER BY patient_id",
    "SELECT count(*) FROM clinic.patient WHERE sex = 'M'",
    "SELECT sex, count(*) FROM clinic.patient GROUP BY sex ORDER BY sex",
    "SELECT icd10, count(*) FROM clinic.problem GROUP BY icd10 HAVING count(*) > 4 ORDER BY icd10",
    "SELECT icd10 FROM clinic.problem GROUP BY icd10 HAVING count(*) < 4 ORDER BY icd10",
    "SELECT patient_id FROM clinic.patient ORDER BY birth_date, patient_id LIMIT 3",
    "SELECT patient_id FROM clinic.patient ORDER BY birth_date, patient_id LIMIT 3 OFFSET 5",
    "SELECT patient_id FROM (SELECT patient_id, rank() OVER (ORDER BY birth_date) AS r FROM clinic.patient) x WHERE r = 2",
    "SELECT patient_id, rank() OVER (ORDER BY birth_date) FROM clinic.patient ORDER BY 2, 1",
    "SELECT DISTINCT zip FROM clinic.patient ORDER BY zip",
    "SELECT w.ward_id FROM clinic.ward w LEFT JOIN clinic.encounter e ON e.ward_id = w.ward_id AND e.kind = 'emergency' WHERE e.encounter_id IS NULL ORDER BY 1",
    "SELECT w.name FROM clinic.ward w WHERE EXISTS (SELECT FROM clinic.encounter e WHERE e.ward_id = w.ward_id) ORDER BY 1",
    "SELECT w.name FROM clinic.ward w WHERE NOT EXISTS (SELECT FROM clinic.encounter e WHERE e.ward_id = w.ward_id AND e.kind = 'outpatient') ORDER BY 1",
    "SELECT d.drug_id FROM clinic.drug d WHERE d.drug_id NOT IN (SELECT drug_id FROM clinic.medication_order) ORDER BY 1",
    "SELECT d.drug_id FROM clinic.drug d WHERE d.drug_id IN (SELECT drug_id FROM clinic.medication_order WHERE status = 'active') ORDER BY 1",
    "SELECT drug_id FROM clinic.drug EXCEPT SELECT drug_id FROM clinic.medication_order ORDER BY 1",
    "SELECT name FROM clinic.patient WHERE birth_date = (SELECT max(birth_date) FROM clinic.patient)",
    "SELECT (SELECT count(*) FROM clinic.note), 1",
    "SELECT EXISTS (SELECT FROM clinic.allergy WHERE severity = 'severe' AND substance = 'latex')",
    "SELECT max(birth_date), min(birth_date) FROM clinic.patient",
    "SELECT string_agg(name, ', ' ORDER BY name) FROM clinic.patient",
    "SELECT w.ward_id, count(b.patient_id) FROM clinic.ward w LEFT JOIN clinic.bed_assignment b USING (ward_id) GROUP BY 1 ORDER BY 1",
    "SELECT patient_id FROM clinic.note GROUP BY patient_id ORDER BY count(*) DESC, patient_id LIMIT 2",
    "SELECT avg(r.value) FROM clinic.lab_result r JOIN clinic.lab_order o USING (order_id) WHERE r.analyte = 'potassium'",
    "SELECT patient_id FROM clinic.patient UNION SELECT patient_id FROM clinic.allergy ORDER BY 1",
    "SELECT p.patient_id FROM clinic.patient p CROSS JOIN LATERAL (SELECT kind FROM clinic.note n WHERE n.patient_id = p.patient_id ORDER BY note_id LIMIT 1) x WHERE x.kind = 'nursing' ORDER BY 1",
    "SELECT 1 / (CASE WHEN patient_id = 880027 THEN 0 ELSE 1 END) FROM clinic.patient",
    "SELECT (SELECT patient_id FROM clinic.patient WHERE birth_date > '1930-01-01')",
    "SELECT name FROM clinic.patient WHERE patient_id = 880039",
    "SELECT count(*) FROM clinic.patient a JOIN clinic.patient b ON a.birth_date < b.birth_date WHERE a.sex = 'F'",
    "SELECT coalesce(a.substance, 'none'), p.patient_id FROM clinic.patient p LEFT JOIN clinic.allergy a USING (patient_id) WHERE a.substance IS NULL ORDER BY 2",
];

fn essence(sql: &str, reply: &Reply) -> String {
    let mut rows = reply.rows();
    if !sql.contains("ORDER BY") {
        rows.sort();
    }
    match reply.failure() {
        Some(failure) => failure.sqlstate,
        None => format!("{:?} {rows:?}", reply.commands()),
    }
}

/// The reply without this patient.
fn without(owner: &mut Owner, patient: i64, sql: &str) -> String {
    owner.0.ok(&format!("BEGIN; {}", owner.1.replace("PATIENT", &patient.to_string())));
    let reply = owner.0.query(sql);
    owner.0.ok("ROLLBACK");
    essence(sql, &reply)
}

/// A connection past the proxy that may delete, and the deletion.
struct Owner(Wire, String);

#[test]
fn every_patient_who_matters_to_a_reply_is_in_its_record() {
    let server = Postgres::shared();
    let (whole, hers) = (server.demo(), server.demo());
    leave_amys(&hers);
    // A login of its own for the deletions: the test's client knows passwords, not sockets.
    server.psql(
        hers.name(),
        "DROP ROLE IF EXISTS deleter; CREATE ROLE deleter LOGIN SUPERUSER PASSWORD 'deleter-demo'",
    );
    let mut owner = Owner(Wire::direct(&hers, "deleter"), deletion("patient_id = PATIENT"));
    let mut direct = Wire::direct(&hers, "nurse_amy");
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let mut wrong = Vec::new();
    let mut mattered = 0;
    for (n, shape) in SHAPES.iter().enumerate() {
        // A text of its own, so that its record is found; the comment changes nothing.
        let sql = format!("{shape} /* shape {n} */");
        let full = essence(&sql, &direct.query(&sql));
        let got = amy.query(&sql);
        if essence(&sql, &got) != full {
            wrong.push(format!("{shape}\n   another reply than without the others: {:?}", got.failure()));
            continue;
        }
        let influence: Vec<i64> =
            patients_of_amy().into_iter().filter(|p| without(&mut owner, *p, &sql) != full).collect();
        mattered += influence.len();
        let told = told(&proxy, &sql);
        let missing: Vec<_> = influence.iter().filter(|p| !told.names(&p.to_string())).collect();
        if !missing.is_empty() {
            wrong.push(format!(
                "{shape}\n   {} of {} not named: {missing:?}, {told:?}",
                missing.len(),
                influence.len()
            ));
        }
        // In hide mode nobody outside the assignment can matter.
        let strangers: Vec<_> = told
            .patients
            .iter()
            .filter(|p| !patients_of_amy().iter().any(|a| a.to_string() == **p))
            .collect();
        // (An error tells of nobody's row in particular: "every patient" is allowed there.)
        if !strangers.is_empty() || told.all_patients && got.failure().is_none() {
            wrong.push(format!(
                "{shape}\n   names patients who are not hers: {strangers:?}, all: {}",
                told.all_patients
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SHAPES.len(), wrong.join("\n"));
    assert!(mattered > SHAPES.len() * 5, "only {mattered}: the oracle finds nothing");
}

#[test]
fn exact_says_exactly_whose_rows_were_returned() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for sql in [
        "SELECT patient_id FROM clinic.patient WHERE sex = 'F'",
        "SELECT patient_id, note_id FROM clinic.note WHERE kind = 'nursing'",
        "SELECT p.patient_id FROM clinic.patient p JOIN clinic.allergy a USING (patient_id)",
        "SELECT patient_id, count(*) FROM clinic.note GROUP BY patient_id",
        "SELECT patient_id FROM clinic.patient WHERE patient_id = 880015",
        "SELECT patient_id FROM clinic.patient ORDER BY patient_id LIMIT 4",
    ] {
        let reply = amy.ok(sql);
        let told = told(&proxy, sql);
        let returned: std::collections::BTreeSet<String> = reply.firsts().into_iter().collect();
        assert_eq!(told.exact, Some(true), "{sql}: {told:?}");
        assert_eq!(told.patients, returned, "{sql}");
        assert_eq!(told.rows, reply.rows().len() as u64, "{sql}");
    }
    // A superset does not say that it is exact.
    let bounded = "SELECT w.ward_id FROM clinic.ward w WHERE NOT EXISTS (SELECT FROM clinic.encounter e WHERE e.ward_id = w.ward_id)";
    amy.ok(bounded);
    assert_eq!(told(&proxy, bounded).exact, Some(false));
}

#[test]
fn what_was_sought_is_recorded_when_nothing_was_found() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let by_key = format!("SELECT name FROM clinic.patient WHERE patient_id = {STRANGER}");
    let by_number = format!("SELECT name FROM clinic.patient WHERE mrn = '{STRANGER_MRN}'");
    let below = format!("SELECT name FROM (SELECT * FROM clinic.patient) s WHERE s.patient_id = {STRANGER}");
    let renamed = format!(
        "SELECT n FROM (SELECT p AS q, n FROM (SELECT mrn AS p, name AS n FROM clinic.patient) t) s WHERE q = '{STRANGER_MRN}'"
    );
    for sql in [&by_key, &by_number, &below, &renamed] {
        assert_eq!(amy.query(sql).refusal().gls().as_deref(), Some("GLS-201"), "{sql}");
        let told = told(&proxy, sql);
        assert_eq!(told.refused, ["GLS-201"], "{sql}: {told:?}");
        assert!(told.sought.contains(&STRANGER.to_string()), "{sql}: {told:?}");
    }
    // Nothing is refused where the patient is hers, or the subquery's column is another one.
    let own = patients_of_amy()[0];
    for sql in [
        format!(
            "SELECT name FROM (SELECT * FROM clinic.patient) s WHERE s.patient_id = {own} AND name = 'nobody'"
        ),
        format!(
            "SELECT s.n FROM (SELECT count(*) AS patient_id, 1 AS n FROM clinic.patient) s WHERE s.patient_id = {STRANGER}"
        ),
    ] {
        assert!(amy.ok(&sql).rows().is_empty(), "{sql}");
    }
    // The report over the patient finds both tries, and one with a parameter.
    let bound = "SELECT name FROM clinic.patient WHERE patient_id = $1";
    assert_eq!(amy.extended(bound, &[&STRANGER.to_string()]).refusal().gls().as_deref(), Some("GLS-201"));
    let entries = serde_json::to_string(&proxy.report(&STRANGER.to_string())).unwrap();
    assert_eq!(entries.matches("refused GLS-201").count(), 5, "{entries}");
    // Whether the patient exists makes no difference to the answer.
    let (there, not_there) = (
        amy.query(&by_key).refusal(),
        amy.query("SELECT name FROM clinic.patient WHERE patient_id = 999999").refusal(),
    );
    assert_eq!(there.message.replace(&STRANGER.to_string(), "X"), not_there.message.replace("999999", "X"));
}

/// Texts that differ in constants are decided once; each record is that of its own text.
#[test]
fn texts_with_other_constants_name_their_own_patients() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    let hers: Vec<i64> = patients_of_amy().into_iter().take(3).collect();
    for round in 0..3 {
        for key in hers.iter().chain([&STRANGER, &5]) {
            let own = hers.contains(key);
            for sql in [
                format!("SELECT name FROM clinic.patient WHERE patient_id = {key} /* {round} */")
                    .replace(" /* 0 */", ""),
                format!("SELECT note_id, {round} FROM clinic.note WHERE patient_id = '{key}'"),
                format!("SELECT count(*) + {round} FROM clinic.note WHERE patient_id = {key}"),
            ] {
                let reply = amy.query(&sql);
                let gls = reply.failure().and_then(|f| f.gls());
                assert_eq!(gls, (!own).then(|| "GLS-201".to_owned()), "{sql}");
                let record = told(&proxy, &sql);
                let named: Vec<String> = record.patients.iter().cloned().collect();
                let expected = if own && !(sql.contains("note_id") && reply.rows().is_empty()) {
                    vec![key.to_string()]
                } else {
                    Vec::new()
                };
                assert!(named == expected || (own && named == [key.to_string()]), "{sql}: {record:?}");
                assert!(
                    record.sought.iter().any(|s| s.contains(&key.to_string())) || own,
                    "{sql}: {record:?}"
                );
            }
            let sql = format!("SELECT name, {round} FROM clinic.patient WHERE patient_id = {key}");
            let rows = gus.ok(&sql).rows().len();
            let record = told(&proxy, &sql);
            let named: Vec<String> = record.patients.iter().cloned().collect();
            assert_eq!(rows, usize::from(*key != 5), "{sql}");
            assert_eq!(named, [key.to_string()], "{sql}");
            assert!(!record.all_patients, "{sql}");
        }
    }
}

#[test]
fn a_change_names_whose_rows_it_changed() {
    let database = Postgres::shared().demo();
    let server = database.server();
    server.psql(database.name(), "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for (sql, patients) in [
        (
            "UPDATE clinic.problem SET title = 'x' WHERE patient_id IN (880003, 880015, 880001)",
            &["880003", "880015"][..],
        ),
        ("DELETE FROM clinic.allergy WHERE patient_id = 880003", &[]),
        ("DELETE FROM clinic.note WHERE patient_id = 880027", &["880027"]),
        (
            "INSERT INTO clinic.note (patient_id, author, kind, written_at, body) VALUES (880039, 'a', 'b', now(), 'c')",
            &["880039"],
        ),
        (
            "WITH i AS (INSERT INTO clinic.note (patient_id, author, kind, written_at, body) VALUES (880039, 'a', 'b', now(), 'c')) SELECT 1",
            &["880039"],
        ),
        (
            "INSERT INTO clinic.patient SELECT * FROM clinic.patient WHERE patient_id = 880051 ON CONFLICT DO NOTHING",
            &["880051"],
        ),
        (
            "UPDATE clinic.problem SET patient_id = 880015 WHERE patient_id = (SELECT min(patient_id) FROM clinic.patient)",
            &["880003", "880015"],
        ),
    ] {
        amy.ok(sql);
        let told = told(&proxy, sql);
        for patient in patients {
            assert!(told.names(patient), "{sql}: {told:?}");
        }
    }
}

/// The record accuses the user of a patient whose rows the reply did not depend on.
#[test]
fn exact_names_no_hidden_patient() {
    let database = Postgres::shared().demo();
    let server = database.server();
    server.psql(database.name(), "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for sql in [
        "SELECT name FROM clinic.patient WHERE patient_id IN (880001, 880003)",
        "SELECT name FROM clinic.patient WHERE patient_id = 880001",
        "UPDATE clinic.problem SET title = 'x' WHERE patient_id IN (880003, 880001)",
        "SELECT name, (SELECT count(*) FROM clinic.note WHERE patient_id = 880001) FROM clinic.patient",
        "SELECT name FROM clinic.patient WHERE sex = 'F' UNION ALL SELECT name FROM clinic.patient WHERE patient_id = 880001",
        "SELECT w.name, p.name FROM clinic.ward w LEFT JOIN clinic.patient p ON p.patient_id = 880001",
        "SELECT count(*) FROM clinic.note n JOIN clinic.patient p ON p.patient_id = n.patient_id AND n.patient_id IN (880001, 880003)",
        "SELECT name FROM clinic.patient WHERE EXISTS (SELECT FROM clinic.note WHERE patient_id = 880001) OR sex = 'F'",
        "WITH a AS (SELECT * FROM clinic.patient WHERE patient_id = 880001) SELECT p.name, a.name FROM clinic.patient p LEFT JOIN a ON true",
        "UPDATE clinic.problem SET title = 'y' WHERE patient_id = 880003 AND NOT EXISTS (SELECT FROM clinic.note WHERE patient_id = 880001)",
    ] {
        amy.ok(sql);
        let told = told(&proxy, sql);
        assert!(!told.names("880001") || told.exact == Some(false), "{sql}: {told:?}");
        assert!(told.sought.contains("880001"), "{sql}: {told:?}");
    }
}

/// Else every patient's report shows a nurse whose statement failed.
#[test]
fn an_error_names_no_hidden_patient() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let sql = "SELECT 1 / (CASE WHEN patient_id = 880027 THEN 0 ELSE 1 END) FROM clinic.patient";
    assert_eq!(amy.query(sql).failure().map(|f| f.sqlstate).as_deref(), Some("22012"));
    let told = told(&proxy, sql);
    assert!(told.names("880027") && !told.names("880001"), "{told:?}");
}

/// What was read decided whether the check was met: a bit about every row that the statement could see.
#[test]
fn a_refusal_after_reading_names_whose_rows_it_may_have_read() {
    let database = Postgres::shared().demo();
    let server = database.server();
    server.psql(database.name(), "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for sql in [
        "UPDATE clinic.note SET patient_id = 880001 WHERE kind = 'nursing'",
        "INSERT INTO clinic.note (note_id, patient_id, author, kind, written_at, body) \
         SELECT -1, 880001, 'a', 'b', now(), 'c' FROM clinic.note WHERE kind = 'nursing'",
    ] {
        for extended in [false, true] {
            let sql = format!("{sql} /* {extended} */");
            let reply = if extended { amy.extended(&sql, &[]) } else { amy.query(&sql) };
            assert_eq!(reply.refusal().gls().as_deref(), Some("GLS-201"), "{sql}");
            let told = told(&proxy, &sql);
            assert!(patients_of_amy().iter().all(|p| told.names(&p.to_string())), "{sql}: {told:?}");
            assert!(!told.names("880001") && told.exact == Some(false), "{sql}: {told:?}");
            assert_eq!((told.times, told.refused.as_slice()), (1, &["GLS-201".to_owned()][..]), "{sql}");
        }
    }
}

/// The row that was in the way, or that is missing, is another patient's.
#[test]
fn a_constraint_that_a_write_of_one_patient_violates_may_be_anyones() {
    let database = Postgres::shared().demo();
    let server = database.server();
    server.psql(database.name(), "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let taken = server.psql(database.name(), "SELECT mrn FROM clinic.patient WHERE patient_id = 880015");
    for (sql, sqlstate) in [
        (format!("UPDATE clinic.patient SET mrn = '{}' WHERE patient_id = 880003", taken.trim()), "23505"),
        ("DELETE FROM clinic.patient WHERE patient_id = 880003".to_owned(), "23503"),
    ] {
        assert_eq!(amy.query(&sql).failure().map(|f| f.sqlstate).as_deref(), Some(sqlstate), "{sql}");
        let told = told(&proxy, &sql);
        assert!(told.names("880015") && told.exact == Some(false), "{sql}: {told:?}");
    }
    // What is wrong with a value of the patient's own is nobody else's.
    let sql = "UPDATE clinic.patient SET birth_date = birth_date + 1 / (patient_id - 880003)::int WHERE patient_id = 880003";
    assert_eq!(amy.query(sql).failure().map(|f| f.sqlstate).as_deref(), Some("22012"));
    assert!(!told(&proxy, sql).names("880015"));
}

/// Whom a write would have given a row to stands in that patient's report, as whom a query asked for does.
#[test]
fn a_refused_write_is_in_the_report_of_the_patient_it_was_aimed_at() {
    let database = Postgres::shared().demo();
    let server = database.server();
    server.psql(database.name(), "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let insert = "INSERT INTO clinic.note (note_id, patient_id, author, kind, written_at, body)";
    let mine = "WHERE patient_id = 880003";
    for (sql, parameters) in [
        (format!("{insert} VALUES (-1, {STRANGER}, 'a', 'b', now(), 'c')"), &[][..]),
        (
            format!(
                "{insert} VALUES (-1, 880003, 'a', 'b', now(), 'c'), (-2, {STRANGER}, 'a', 'b', now(), 'c')"
            ),
            &[],
        ),
        (format!("{insert} SELECT -1, {STRANGER}, 'a', 'b', now(), 'c'"), &[]),
        (format!("{insert} VALUES (-1, $1, 'a', 'b', now(), 'c')"), &["STRANGER"]),
        (format!("WITH i AS ({insert} VALUES (-1, {STRANGER}, 'a', 'b', now(), 'c')) SELECT 1"), &[]),
        (format!("UPDATE clinic.note SET patient_id = {STRANGER} {mine}"), &[]),
        (format!("UPDATE clinic.note SET (kind, patient_id) = ('x', {STRANGER}) {mine}"), &[]),
        (format!("UPDATE clinic.note SET patient_id = $1::int8 {mine}"), &["STRANGER"]),
    ] {
        let stranger = STRANGER.to_string();
        let parameters: Vec<&str> = parameters.iter().map(|_| stranger.as_str()).collect();
        for extended in [false, true] {
            if !extended && !parameters.is_empty() {
                continue;
            }
            let sql = format!("{sql} /* {extended} */");
            let reply = if extended { amy.extended(&sql, &parameters) } else { amy.query(&sql) };
            assert_eq!(reply.refusal().gls().as_deref(), Some("GLS-201"), "{sql}");
            let told = told(&proxy, &sql);
            assert!(told.sought.contains(&stranger) && !told.names(&stranger), "{sql}: {told:?}");
        }
    }
    let entries = serde_json::to_string(&proxy.report(&STRANGER.to_string())).unwrap();
    assert_eq!(entries.matches("\"certainty\":\"refused\"").count(), 14, "{entries}");
}
