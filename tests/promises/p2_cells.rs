//! `min_cell`: every row of an answer rests on at least so many patients. The oracle counts the patients
//! behind every group directly; what could tell a single patient is refused, and says so.

use crate::common::{Database, Postgres, Proxy};
use crate::support::{clear, replaced, told};
use crate::wire::{Wire, bind, describe_portal, execute, parse_typed, sync};

const LEAST: i64 = 11;

/// What the owner of the database is answered, a line a row.
fn direct(database: &Database<'_>, sql: &str) -> String {
    let sql = format!("\\pset format unaligned\n\\pset tuples_only on\n{sql}");
    database.server().psql(database.name(), &sql)
}

fn line(row: &[Option<String>]) -> String {
    row.iter().map(|c| c.clone().unwrap_or_default()).collect::<Vec<_>>().join("|")
}

fn cells(config: String) -> String {
    replaced(
        clear(config),
        "scope = \"all\"\nclasses = [\"demographics\", \"visits\", \"problems\"]",
        "scope = \"all\"\nmin_cell = 11",
    )
}

/// Keys, aggregates, FROM and WHERE of a block, the condition under which a row counts for the aggregate,
/// and the patient of its rows.
const GROUPS: &[(&str, &str, &str, &str)] = &[
    ("sex", "count(*)", "clinic.patient p", "p.patient_id"),
    ("date_trunc('year', birth_date)", "count(*)", "clinic.patient p", "p.patient_id"),
    (
        "left(zip, 3), sex",
        "count(*), count(DISTINCT patient_id)",
        "clinic.patient p WHERE sex IN ('F', 'X')",
        "p.patient_id",
    ),
    ("icd10", "count(*), count(DISTINCT patient_id)", "clinic.problem p", "p.patient_id"),
    ("icd10, title", "count(onset)", "clinic.problem p WHERE onset IS NOT NULL", "p.patient_id"),
    ("kind, ward_id", "avg(charge), sum(charge), count(*)", "clinic.encounter p", "p.patient_id"),
    (
        "w.name",
        "count(*), stddev(e.charge)",
        "clinic.ward w JOIN clinic.encounter e ON e.ward_id = w.ward_id",
        "e.patient_id",
    ),
    (
        "analyte, unit",
        "count(*), avg(value)",
        "clinic.lab_result r JOIN clinic.lab_order o USING (order_id) WHERE value IS NOT NULL",
        "o.patient_id",
    ),
    (
        "d.name",
        "count(*)",
        "clinic.drug d JOIN clinic.medication_order m ON m.drug_id = d.drug_id AND m.status = 'active'",
        "m.patient_id",
    ),
    (
        "p.language, n.kind",
        "count(*)",
        "clinic.patient p, clinic.note n WHERE n.patient_id = p.patient_id",
        "n.patient_id",
    ),
];

#[test]
fn groups_of_fewer_patients_are_not_shown() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    let owner = |sql: &str| database.server().psql(database.name(), sql);
    let (mut shown, mut withheld) = (0, 0);
    for (keys, aggregates, from, patient) in GROUPS {
        let group = (1..=keys.split(", ").count()).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
        let group = if keys.starts_with("date_trunc") {
            "1".to_owned()
        } else if keys.starts_with("left(") {
            "1, 2".to_owned()
        } else {
            group
        };
        for extended in [false, true] {
            let sql = format!("SELECT {keys}, {aggregates} FROM {from} GROUP BY {group} ORDER BY {group}");
            let got = if extended { analyst.extended(&sql, &[]) } else { analyst.query(&sql) };
            assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
            let rows: Vec<String> = got
                .rows()
                .iter()
                .map(|r| r.iter().map(|c| c.clone().unwrap_or_default()).collect::<Vec<_>>().join("|"))
                .collect();
            let text = owner(&format!(
                "\\pset format unaligned\n\\pset tuples_only on\nSELECT {keys}, {aggregates} FROM {from} GROUP BY {group} HAVING count(DISTINCT {patient}) >= {LEAST} \
                 ORDER BY {group}"
            ));
            let expected: Vec<&str> = text.lines().filter(|l| l.contains('|')).collect();
            assert_eq!(rows, expected, "{sql}");
            let all = owner(&format!(
                "\\pset format unaligned\n\\pset tuples_only on\nSELECT {keys}, '|' FROM {from} GROUP BY {group}"
            ));
            shown += rows.len();
            withheld += all.lines().filter(|l| l.contains('|')).count() - rows.len();
        }
    }
    assert!(shown > 100 && withheld > 10, "{shown} shown, {withheld} withheld");
    let sql = "SELECT sex, count(*) FROM clinic.patient GROUP BY sex";
    analyst.query(sql);
    assert!(told(&proxy, sql).patients.len() > 1000);
}

/// Neither can fail on a row, whatever operators other types have.
#[test]
fn enums_and_elements_of_arrays_choose_and_group() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "CREATE EXTENSION citext; CREATE TYPE clinic.state AS ENUM ('known', 'closed'); \
         ALTER TABLE clinic.encounter ADD state clinic.state, ADD tags text[]; \
         UPDATE clinic.encounter SET state = 'known', tags = ARRAY[kind, 'x']; \
         UPDATE clinic.encounter SET state = 'closed' WHERE patient_id < 880004",
    );
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    for sql in [
        "SELECT count(*) FROM clinic.encounter WHERE state = 'known'",
        "SELECT kind, count(*) FROM clinic.encounter WHERE state IN ('known') AND tags[1] IS NOT NULL GROUP BY kind HAVING count(*) > 3",
        "SELECT state, count(*) FROM clinic.encounter GROUP BY state",
        "SELECT tags[1], count(*) FROM clinic.encounter GROUP BY tags[1]",
    ] {
        let got = analyst.query(sql);
        assert!(got.failure().is_none() && !got.rows().is_empty(), "{sql}: {:?}", got.failure());
        assert!(!format!("{:?}", got.rows()).contains("closed"), "too few");
    }
}

/// What aggregates pass over does not count: a sum over two patients' values is no sum over a group's.
/// Beside a parameter whose type is certain a number is not converted; beside another one it could be, and fail.
#[test]
fn numbers_are_compared_with_parameters() {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), "ALTER TABLE clinic.problem ADD weight numeric, ADD score float8; UPDATE clinic.problem SET weight = problem_id % 7, score = problem_id % 5;");
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    for (types, condition, answered) in [
        (&[][..], "weight > $1", true),
        (&[1700], "weight > $1", true),
        (&[20], "weight BETWEEN $1 AND 6", true),
        (&[], "score > $1", true),
        (&[701], "score > $1", true),
        (&[], "weight > $1::numeric", true),
        (&[701], "weight > $1", false),
        (&[1700], "score > $1", false),
        (&[25], "weight > $1::numeric", false),
    ] {
        let sql = format!("SELECT icd10, count(*) FROM clinic.problem WHERE {condition} GROUP BY icd10");
        analyst.send(
            &[
                parse_typed("", &sql, types),
                bind("", "", &["3"]),
                describe_portal(""),
                execute("", 0),
                sync(),
            ]
            .concat(),
        );
        let reply = analyst.reply();
        let told = reply.failure().map(|f| f.message);
        assert_eq!(told.is_none(), answered, "{types:?} {condition}: {told:?}");
        assert!(told.is_none_or(|message| message.starts_with("GLS-241")), "{condition}");
    }
}

#[test]
fn a_value_of_few_patients_is_not_hidden_in_a_large_group() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "UPDATE clinic.patient SET address = NULL WHERE patient_id > 880010; \
         UPDATE clinic.lab_result SET value = NULL; UPDATE clinic.lab_result SET value = 7.77 WHERE result_id = \
         (SELECT min(result_id) FROM clinic.lab_result JOIN clinic.lab_order USING (order_id) WHERE patient_id IS NOT NULL)",
    );
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    for sql in [
        "SELECT count(address) FROM clinic.patient",
        "SELECT sex, count(*), count(address) FROM clinic.patient GROUP BY sex",
        "SELECT avg(value), sum(value), count(*) FROM clinic.lab_result",
        "SELECT count(*) FROM clinic.patient WHERE patient_id <= 880010",
        "SELECT count(*) FROM clinic.patient WHERE mrn = 'MRN0000001'",
        "SELECT * FROM (SELECT sex, count(*) AS a, count(address) FROM clinic.patient GROUP BY sex) g WHERE a > 0",
    ] {
        let got = analyst.query(sql);
        assert!(
            got.failure().is_none() && got.rows().is_empty(),
            "{sql}: {:?} {:?}",
            got.rows(),
            got.failure()
        );
    }
    // The same with enough of them.
    let got = analyst.query("SELECT count(mrn), count(*) FROM clinic.patient");
    assert_eq!(got.rows().len(), 1);
}

/// What one aggregate of a group counts and another does not is a group of its own.
#[test]
fn a_difference_of_two_counts_rests_on_as_many_patients() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "CREATE TABLE clinic.zone (zip text PRIMARY KEY, label text); \
         GRANT SELECT ON clinic.zone TO billing; \
         UPDATE clinic.patient SET phone = '1', email = 'e', address = 'a'; \
         UPDATE clinic.patient SET phone = NULL WHERE patient_id = 880003; \
         UPDATE clinic.patient SET email = NULL WHERE patient_id <= 880100; \
         UPDATE clinic.patient SET address = NULL WHERE patient_id <= 880101; \
         UPDATE clinic.patient SET sex = 'F', language = 'en'",
    );
    let proxy = Proxy::start_with(&database, |config| {
        replaced(cells(config), "[reference]\ntables = [", "[reference]\ntables = [\"clinic.zone\", ")
    });
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    for (sql, shown) in [
        ("SELECT sex, count(*), count(phone) FROM clinic.patient GROUP BY sex", 0),
        ("SELECT sex, count(*) - count(phone) FROM clinic.patient GROUP BY sex", 0),
        ("SELECT count(phone) FROM clinic.patient HAVING count(*) > 5", 0),
        ("SELECT count(phone) FROM clinic.patient ORDER BY count(*)", 0),
        ("SELECT n - m FROM (SELECT count(*) AS n, count(phone) AS m FROM clinic.patient) x", 0),
        ("SELECT count(DISTINCT patient_id), count(phone) FROM clinic.patient", 0),
        // One has an e-mail address and no address.
        ("SELECT count(email), count(address) FROM clinic.patient", 0),
        ("SELECT sex, count(phone) FROM clinic.patient GROUP BY sex", 1),
        ("SELECT count(phone) FROM clinic.patient", 1),
        ("SELECT count(*), count(email) FROM clinic.patient", 1),
        ("SELECT count(*), count(address), count(mrn) FROM clinic.patient ORDER BY count(*)", 1),
        ("SELECT count(*), avg(charge), sum(charge) FROM clinic.encounter", 1),
        ("SELECT count(*), sum(count(*)) OVER () FROM clinic.patient WHERE phone IS NOT NULL", 1),
    ] {
        for extended in [false, true] {
            let got = if extended { analyst.extended(sql, &[]) } else { analyst.query(sql) };
            assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
            assert_eq!(got.rows().len(), shown, "{sql}: {:?}", got.rows());
        }
    }
    // Rows that an outer join pads, and those of a table without patients that has no value.
    let few =
        "SELECT count(*), count(z.label) FROM clinic.patient p LEFT JOIN clinic.zone z ON z.zip = p.zip";
    let owner = |sql: &str| database.server().psql(database.name(), sql);
    owner(
        "DELETE FROM clinic.zone; INSERT INTO clinic.zone SELECT DISTINCT zip, 'z' FROM clinic.patient; \
           UPDATE clinic.patient SET zip = 'nowhere' WHERE patient_id = 880003",
    );
    assert_eq!(analyst.query(few).rows().len(), 0);
    owner("UPDATE clinic.patient SET zip = (SELECT min(zip) FROM clinic.zone) WHERE patient_id = 880003");
    assert_eq!(analyst.query(few).rows().len(), 1);
}

/// What FILTER or CASE chooses of a group, and what it does not choose, are of as many patients: the group is shown only
/// then, also if it chooses none of them, so that what is left out does not tell in which group somebody is.
#[test]
fn shares_of_a_group_rest_on_as_many_patients() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "UPDATE clinic.patient SET zip = '1000' || patient_id % 4, phone = '1', sex = CASE patient_id % 3 WHEN 0 THEN 'F' ELSE 'M' END; \
         UPDATE clinic.patient SET sex = 'F' WHERE zip = '10001'; \
         UPDATE clinic.patient SET sex = 'M' WHERE patient_id IN (SELECT patient_id FROM clinic.patient WHERE zip = '10001' ORDER BY 1 LIMIT 10); \
         UPDATE clinic.patient SET sex = 'F' WHERE zip = '10002'; \
         UPDATE clinic.patient SET phone = NULL WHERE patient_id IN (SELECT patient_id FROM clinic.patient WHERE zip = '10003' AND sex = 'F' ORDER BY 1 LIMIT 3)",
    );
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    let owner = |sql: &str| {
        let text = direct(&database, sql);
        text.lines().filter(|l| l.contains('|')).map(str::to_owned).collect::<Vec<_>>()
    };
    let (both, but_phones) = ("('10000', '10003')", "('10000')");
    for (aggregates, shown) in [
        ("count(*) FILTER (WHERE sex = 'F')", both),
        ("count(*), round(100.0 * count(*) FILTER (WHERE sex = 'F') / count(*), 1)", both),
        ("count(*), round(100.0 * sum(CASE WHEN sex = 'F' THEN 1 ELSE 0 END) / count(*), 1)", both),
        ("avg(CASE WHEN (sex = 'F') THEN 1.0 ELSE 0.0 END)", both),
        ("sum((sex = 'F')::int), sum(CAST(sex = 'F' AS integer)), avg((sex = 'F')::int)", both),
        ("count(CASE sex WHEN 'F' THEN 1 END), sum(CASE sex WHEN 'F' THEN 1 ELSE 0 END)", both),
        ("sum(CASE sex = 'F' OR sex = 'X' WHEN false THEN 1 ELSE 0 END)", both),
        ("count(DISTINCT CASE WHEN sex = 'F' THEN patient_id END), count(DISTINCT patient_id)", both),
        ("count(DISTINCT patient_id) FILTER (WHERE sex = 'F' AND birth_date < '2030-01-01')", both),
        (
            "count(birth_date) FILTER (WHERE sex IN ('F', 'X')), avg(CASE WHEN sex IN ('F', 'X') THEN 3.5 ELSE 0 END)",
            both,
        ),
        ("count(*) FILTER (WHERE sex = 'F'), count(*) FILTER (WHERE sex = 'M')", both),
        ("count(CASE WHEN sex = 'F' THEN 1 END), count(CASE WHEN sex = 'M' THEN 'x' ELSE NULL END)", both),
        ("count(phone) FILTER (WHERE sex = 'F')", but_phones),
        ("count(*) FILTER (WHERE sex = 'F'), count(phone)", but_phones),
        ("count(*) FILTER (WHERE sex = 'X')", "('')"),
        ("count(*) FILTER (WHERE mrn = 'MRN0000001')", "('')"),
        ("count(*) FILTER (WHERE mrn <> 'MRN0000001')", "('')"),
        ("sum(CASE WHEN mrn = 'MRN0000001' THEN 3 ELSE 0 END)", "('')"),
        ("sum((mrn = 'MRN0000001')::int)", "('')"),
    ] {
        let sql = |more: &str| {
            format!("SELECT zip, {aggregates}, '|' FROM clinic.patient{more} GROUP BY zip ORDER BY zip")
        };
        for extended in [false, true] {
            let got = if extended { analyst.extended(&sql(""), &[]) } else { analyst.query(&sql("")) };
            assert!(got.failure().is_none(), "{aggregates}: {:?}", got.failure());
            let cells = |r: &Vec<Option<String>>| {
                r.iter().map(|c| c.clone().unwrap_or_default()).collect::<Vec<_>>().join("|")
            };
            let rows: Vec<String> = got.rows().iter().map(cells).collect();
            assert_eq!(rows, owner(&sql(&format!(" WHERE zip IN {shown}"))), "{aggregates}");
        }
    }
    // In HAVING and ORDER BY, in a subquery, with parameters, of joined tables, and without groups.
    for (sql, rows) in [
        (
            "SELECT zip, count(*) FROM clinic.patient GROUP BY zip HAVING count(*) FILTER (WHERE sex = 'F') > 1",
            2,
        ),
        (
            "SELECT zip, count(*) FILTER (WHERE sex = 'F') AS f FROM clinic.patient GROUP BY zip ORDER BY count(*) FILTER (WHERE sex = 'F') DESC, f",
            2,
        ),
        (
            "SELECT f::float8 / n FROM (SELECT count(*) AS n, sum(CASE WHEN sex = 'F' THEN 1 END) AS f FROM clinic.patient GROUP BY zip) x",
            2,
        ),
        ("SELECT avg(CASE WHEN sex = 'F' THEN 1 ELSE 0 END) FROM clinic.patient", 1),
        (
            "SELECT e.kind, 100.0 * count(*) FILTER (WHERE p.sex = 'F') / count(*) FROM clinic.patient p JOIN clinic.encounter e ON e.patient_id = p.patient_id GROUP BY e.kind",
            3,
        ),
    ] {
        let got = analyst.query(sql);
        assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
        assert_eq!(got.rows().len(), rows, "{sql}: {:?}", got.rows());
    }
    // Some have been inpatients; but for none, all have been patients.
    for (condition, shown) in [("kind = 'inpatient'", true), ("kind <> 'x'", false)] {
        let sql = format!(
            "SELECT count(DISTINCT patient_id), count(DISTINCT patient_id) FILTER (WHERE {condition}) FROM clinic.encounter"
        );
        let got = analyst.query(&sql);
        assert_eq!((got.failure(), got.rows().len()), (None, usize::from(shown)), "{sql}");
    }
    // All but one have been inpatients, and many something else, too: the two counts differ by one patient.
    database.server().psql(
        database.name(),
        "UPDATE clinic.encounter e SET kind = CASE WHEN n = 1 THEN 'inpatient' ELSE 'outpatient' END FROM \
           (SELECT encounter_id, row_number() OVER (PARTITION BY patient_id ORDER BY encounter_id) AS n FROM clinic.encounter) x \
           WHERE x.encounter_id = e.encounter_id; \
         UPDATE clinic.encounter SET kind = 'outpatient' WHERE patient_id = (SELECT min(patient_id) FROM clinic.encounter)",
    );
    let sql = "SELECT count(DISTINCT patient_id), count(DISTINCT patient_id) FILTER (WHERE kind = 'inpatient') FROM clinic.encounter";
    let got = analyst.query(sql);
    assert_eq!((got.failure(), got.rows()), (None, Vec::new()), "{sql}");
    let got = analyst
        .extended("SELECT zip, count(*) FILTER (WHERE sex = $1) FROM clinic.patient GROUP BY zip", &["F"]);
    assert_eq!((got.failure(), got.rows().len()), (None, 2));
}

/// Patients are chosen by other rows of theirs, as they would be by a condition on these.
#[test]
fn cohorts_are_chosen_by_what_else_there_is_of_a_patient() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    let owner = |sql: &str| direct(&database, sql);
    let mut shown = 0;
    for from in [
        "clinic.patient p WHERE patient_id IN (SELECT patient_id FROM clinic.problem WHERE icd10 LIKE 'I%')",
        "clinic.patient p JOIN clinic.lab_order o USING (patient_id) JOIN clinic.lab_result r ON r.order_id = o.order_id WHERE r.flag = 'H'",
        "clinic.patient p JOIN clinic.encounter e ON e.patient_id = p.patient_id JOIN clinic.problem x ON x.patient_id = e.patient_id \
         JOIN clinic.ward w ON w.ward_id = e.ward_id WHERE x.onset <= e.admitted_at AND w.floor > 1",
        "clinic.patient p JOIN clinic.encounter e ON e.patient_id = p.patient_id JOIN clinic.ward w ON w.floor = e.ward_id",
        "clinic.patient p WHERE p.patient_id NOT IN (SELECT x.patient_id FROM clinic.problem x WHERE x.icd10 LIKE 'I%' AND x.onset > '2000-01-01')",
        "clinic.patient p WHERE EXISTS (SELECT 1 FROM clinic.problem WHERE patient_id = p.patient_id AND icd10 LIKE 'I%')",
        "clinic.patient p WHERE NOT EXISTS (SELECT * FROM clinic.problem x WHERE p.patient_id = x.patient_id) AND sex = 'F'",
        "clinic.patient p JOIN clinic.encounter e ON e.patient_id = p.patient_id WHERE e.kind = 'inpatient' AND EXISTS (SELECT FROM \
         clinic.medication_order m JOIN clinic.drug d ON d.drug_id = m.drug_id WHERE m.patient_id = e.patient_id AND d.high_risk)",
        "clinic.patient p WHERE patient_id IN (SELECT patient_id FROM clinic.encounter e WHERE e.kind = 'inpatient' AND \
         NOT EXISTS (SELECT FROM clinic.allergy a WHERE a.patient_id = e.patient_id))",
        "clinic.patient p WHERE patient_id IN (SELECT DISTINCT patient_id FROM clinic.problem WHERE problem_id IS NOT NULL AND icd10 <> 'I10')",
        "clinic.patient p JOIN clinic.encounter e USING (patient_id) WHERE p.patient_id <> 880003",
        "clinic.patient p WHERE NOT EXISTS (SELECT FROM clinic.ward w WHERE w.name = p.language)",
        "clinic.patient p WHERE sex IN (SELECT DISTINCT w.code FROM clinic.ward w JOIN clinic.drug d ON d.name = w.name) OR sex = 'F'",
        "clinic.patient p WHERE language NOT IN (SELECT w.name FROM clinic.ward w WHERE w.floor > 1 ORDER BY w.code LIMIT 3)",
        "clinic.patient p WHERE EXISTS (SELECT FROM clinic.problem x WHERE x.patient_id = p.patient_id AND x.icd10 NOT IN (SELECT w.code FROM clinic.ward w) \
         AND EXISTS (SELECT FROM clinic.allergy a WHERE a.patient_id = x.patient_id))",
        // Masked for this role.
        "clinic.patient p WHERE patient_id IN (SELECT patient_id FROM clinic.patient WHERE sex = 'F')",
    ] {
        let sql = |having: &str| {
            format!(
                "SELECT p.sex, count(DISTINCT p.patient_id), '|' FROM {from} GROUP BY p.sex{having} ORDER BY 1"
            )
        };
        for extended in [false, true] {
            let got = if extended { analyst.extended(&sql(""), &[]) } else { analyst.query(&sql("")) };
            assert!(got.failure().is_none(), "{from}: {:?}", got.failure());
            let rows: Vec<String> = got.rows().iter().map(|r| line(r)).collect();
            let text = owner(&sql(" HAVING count(DISTINCT p.patient_id) >= 11"));
            let expected: Vec<&str> = text.lines().filter(|l| l.contains('|')).collect();
            assert_eq!(rows, expected, "{from}");
            shown += rows.len();
        }
    }
    assert!(shown > 12, "{shown}");
}

/// The same, listed in a subquery of FROM or a WITH query.
#[test]
fn cohorts_are_joined_as_lists_of_keys() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    let owner = |sql: &str| direct(&database, sql);
    let heart = "SELECT DISTINCT patient_id FROM clinic.problem WHERE icd10 LIKE 'I%'";
    let mut shown = 0;
    // Each with what stands before ORDER BY, and for the direct connection a condition of the same meaning.
    for (sql, patient) in [
        (format!("WITH c AS ({heart}) SELECT p.sex, count(*) FROM clinic.patient p JOIN c ON c.patient_id = p.patient_id GROUP BY 1"), "p.patient_id"),
        (format!("WITH c AS ({heart}) SELECT sex, count(*) FROM c JOIN clinic.patient USING (patient_id) GROUP BY 1"), "patient_id"),
        (format!("WITH c AS ({heart}) SELECT sex, count(patient_id) FROM clinic.patient JOIN c USING (patient_id) JOIN clinic.encounter e \
                  USING (patient_id) WHERE e.kind = 'inpatient' OR e.ward_id = 1 GROUP BY 1"), "patient_id"),
        (format!("WITH heart AS ({heart}), pain AS (SELECT x.patient_id AS id FROM clinic.medication_order x JOIN clinic.drug d ON d.drug_id = x.drug_id \
                  WHERE d.high_risk GROUP BY x.patient_id) SELECT p.sex, count(DISTINCT h.patient_id) FROM clinic.patient p JOIN heart h ON \
                  p.patient_id = h.patient_id JOIN pain ON pain.id = h.patient_id GROUP BY p.sex"), "p.patient_id"),
        (format!("SELECT p.sex, count(*) FROM ({heart}) c, clinic.patient p WHERE p.patient_id = c.patient_id AND (p.sex = 'F' OR p.zip > '1') GROUP BY 1"), "p.patient_id"),
        (format!("SELECT e.kind, count(*), avg(e.charge) FROM clinic.encounter e LEFT JOIN clinic.ward w ON w.ward_id = e.ward_id \
                  INNER JOIN ({heart}) c ON e.patient_id = c.patient_id AND e.ward_id > 1 GROUP BY 1"), "e.patient_id"),
        // Not listed once, but counted once.
        ("WITH c AS (SELECT patient_id AS id FROM clinic.encounter WHERE kind = 'inpatient') SELECT p.sex, count(DISTINCT c.id) \
          FROM clinic.patient p JOIN c ON c.id = p.patient_id GROUP BY p.sex".to_owned(), "p.patient_id"),
        (format!("WITH c AS ({heart}) SELECT p.sex, count(*) FROM clinic.patient p WHERE p.zip > '1' AND p.patient_id IN (SELECT patient_id FROM c) GROUP BY 1"), "p.patient_id"),
        (format!("WITH c AS ({heart}) SELECT p.sex, count(*) FROM clinic.patient p WHERE p.patient_id NOT IN (SELECT DISTINCT c.patient_id FROM c) GROUP BY 1"), "p.patient_id"),
        // A list of a list.
        (format!("WITH c AS ({heart}), d AS (SELECT DISTINCT e.patient_id FROM clinic.encounter e JOIN c ON c.patient_id = e.patient_id WHERE \
                  e.kind = 'inpatient') SELECT p.sex, count(*) FROM clinic.patient p JOIN d USING (patient_id) GROUP BY 1"), "p.patient_id"),
        (format!("WITH c AS ({heart}), unread AS (SELECT patient_id, icd10 FROM clinic.problem) SELECT p.sex, count(*) FROM clinic.patient p \
                  JOIN c USING (patient_id) GROUP BY 1"), "p.patient_id"),
        (format!("WITH c AS ({heart}) SELECT CASE p.sex WHEN 'F' THEN 'w' WHEN 'M' THEN 'm' ELSE 'x' END AS s, count(*) FROM clinic.patient p \
                  JOIN c USING (patient_id) GROUP BY s"), "p.patient_id"),
        (format!("WITH c AS ({heart}) SELECT CASE p.sex = 'F' WHEN true THEN 'y' WHEN false THEN 'n' END AS s, count(*) FROM clinic.patient p \
                  JOIN c USING (patient_id) GROUP BY s"), "p.patient_id"),
        (format!("WITH c AS ({heart}) SELECT * FROM (SELECT p.sex, count(*) AS n FROM clinic.patient p JOIN c USING (patient_id) GROUP BY 1) g"), ""),
    ] {
        for extended in [false, true] {
            let ordered = format!("{sql} ORDER BY 1");
            let got = if extended { analyst.extended(&ordered, &[]) } else { analyst.query(&ordered) };
            assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
            let rows: Vec<String> = got.rows().iter().map(|r| line(r)).collect();
            let direct = match patient {
                "" => sql.replace(" GROUP BY 1)", " GROUP BY 1 HAVING count(DISTINCT p.patient_id) >= 11)"),
                patient => format!("{sql} HAVING count(DISTINCT {patient}) >= 11"),
            };
            let text = owner(&format!("{direct} ORDER BY 1"));
            let expected: Vec<&str> = text.lines().filter(|l| l.contains('|')).collect();
            assert_eq!(rows, expected, "{sql}");
            shown += rows.len();
        }
    }
    assert!(shown > 20, "{shown}");
    // What would mean something else among the conditions is not moved: a column that is
    // not the list's own (an error for PostgreSQL), what pads.
    for sql in [
        "SELECT p.sex, count(*) FROM clinic.patient p JOIN (SELECT DISTINCT patient_id FROM clinic.ward) c USING (patient_id) GROUP BY 1",
        "SELECT sex, count(*) FROM clinic.patient p JOIN (SELECT DISTINCT e.patient_id FROM clinic.encounter e WHERE e.ward_id = p.ward_id) c \
         ON c.patient_id = p.patient_id GROUP BY 1",
        "WITH c AS (SELECT DISTINCT patient_id FROM clinic.problem) SELECT p.sex, count(*) FROM clinic.patient p LEFT JOIN c USING (patient_id) GROUP BY 1",
        "WITH c AS (SELECT DISTINCT patient_id FROM clinic.problem) SELECT p.sex, count(*) FROM c RIGHT JOIN clinic.patient p USING (patient_id) GROUP BY 1",
        "WITH c AS (SELECT DISTINCT patient_id FROM clinic.problem LIMIT 20) SELECT p.sex, count(*) FROM clinic.patient p JOIN c USING (patient_id) GROUP BY 1",
        "WITH c AS (SELECT DISTINCT patient_id, icd10 FROM clinic.problem) SELECT p.sex, count(*) FROM clinic.patient p JOIN c USING (patient_id) GROUP BY 1",
        "WITH c AS (SELECT DISTINCT patient_id FROM clinic.problem) SELECT p.sex, count(c), count(*) FROM clinic.patient p JOIN c USING (patient_id) GROUP BY 1",
        "WITH c AS (SELECT DISTINCT patient_id FROM clinic.problem) SELECT p.sex, (SELECT count(*) FROM c) FROM clinic.patient p JOIN c USING (patient_id) GROUP BY 1",
    ] {
        let got = analyst.query(sql);
        let failure = got.failure().unwrap_or_else(|| panic!("{sql}: {:?}", got.rows()));
        assert!(
            failure.message.contains("GLS-24") || failure.sqlstate.starts_with("42"),
            "{sql}: {}",
            failure.message
        );
        analyst.query("ROLLBACK");
    }
}

/// What only chooses and computes below the groups is a part of their block: subqueries, WITH queries, views.
#[test]
fn subqueries_below_groups_are_grouped_as_their_tables() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "CREATE VIEW clinic.stays AS SELECT e.*, p.sex, date_part('year', e.admitted_at) AS year FROM clinic.encounter e \
           JOIN clinic.patient p USING (patient_id);
         CREATE VIEW clinic.known AS SELECT p.patient_id AS id, upper(p.sex) AS sex, CASE WHEN p.sex = 'F' THEN 'f' ELSE 'o' END AS kind \
           FROM clinic.patient p WHERE EXISTS (SELECT 1 FROM clinic.problem q WHERE q.patient_id = p.patient_id);
         GRANT SELECT ON clinic.stays, clinic.known TO PUBLIC",
    );
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    let mut same = Wire::direct(&database, "dba_gus");
    for sql in [
        "SELECT sex, count(*) FROM (SELECT * FROM clinic.patient WHERE sex IN ('F', 'M')) p GROUP BY 1 ORDER BY 1",
        "SELECT kind, count(*) FROM (SELECT CASE WHEN sex = 'F' THEN 'f' ELSE 'other' END AS kind FROM clinic.patient) s GROUP BY kind ORDER BY kind",
        "WITH b AS (SELECT * FROM clinic.patient WHERE sex = 'F') SELECT count(*), count(b.zip) FROM b",
        "WITH b AS MATERIALIZED (SELECT patient_id, sex AS s FROM clinic.patient WHERE sex IN ('F', 'M')), \
         d AS (SELECT b.s, b.patient_id, e.kind FROM b JOIN clinic.encounter e ON e.patient_id = b.patient_id) \
         SELECT s, kind, count(*), count(DISTINCT patient_id) FROM d GROUP BY s, kind ORDER BY 1, 2",
        "SELECT sex, count(*) FROM clinic.stays WHERE kind = 'inpatient' AND sex <> 'X' GROUP BY sex ORDER BY sex",
        "SELECT k.kind AS sex, count(*) FROM clinic.known k GROUP BY k.kind ORDER BY 1",
        "SELECT p.sex, q.kind, count(*) FROM clinic.patient p JOIN (SELECT patient_id, kind FROM clinic.encounter WHERE kind <> 'x') q \
         USING (patient_id) WHERE sex IN ('F', 'M') GROUP BY p.sex, q.kind ORDER BY 1, 2",
        "SELECT sex, n FROM (SELECT sex, count(*) AS n FROM (SELECT patient_id, sex FROM clinic.patient WHERE sex <> 'X' AND EXISTS \
         (SELECT 1 FROM clinic.problem v WHERE v.patient_id = patient.patient_id)) patient GROUP BY sex) y ORDER BY n DESC, sex",
        "SELECT y, count(a) FROM (SELECT sex, zip FROM clinic.patient WHERE sex <> 'X') t (y, a) GROUP BY y ORDER BY y",
        "SELECT x.name AS ward, count(*) FROM (SELECT e.patient_id, w.name FROM clinic.encounter e JOIN clinic.ward w USING (ward_id)) x \
         GROUP BY ward ORDER BY ward",
        "SELECT patient.name, count(*) FROM (SELECT patient.ward_id, patient.kind AS name FROM clinic.encounter patient) patient \
         GROUP BY patient.name ORDER BY 1",
        "SELECT 100 * n / sum(n) OVER () AS share FROM (SELECT s.sex, count(*) AS n FROM (SELECT sex FROM clinic.patient WHERE sex <> 'X') s \
         GROUP BY s.sex) g ORDER BY 1",
        "SELECT count(*) FROM (SELECT * FROM (SELECT q.* FROM (SELECT * FROM clinic.patient) q) z WHERE sex = 'F') p",
        "WITH p AS (SELECT * FROM clinic.patient WHERE sex <> 'X'), q AS (SELECT * FROM p WHERE zip IS NOT NULL) SELECT sex, count(*) FROM q \
         GROUP BY 1 ORDER BY 1",
        "SELECT sex, count(*) FROM (SELECT * FROM clinic.stays) v WHERE sex IN ('F', 'M') GROUP BY sex ORDER BY sex",
        "SELECT sex, count(*) FROM (SELECT * FROM clinic.patient WHERE sex <> 'X') p WHERE EXISTS (SELECT 1 FROM clinic.problem d \
         WHERE d.patient_id = p.patient_id) GROUP BY sex ORDER BY sex",
        "SELECT count(*) FROM (SELECT 1 FROM clinic.patient) p",
        "SELECT date_part, one, count(*) FROM (SELECT date_part('year', admitted_at), 1 AS one FROM clinic.encounter) e GROUP BY date_part, one ORDER BY 1",
        "WITH c AS (SELECT patient_id FROM clinic.encounter) SELECT p.sex, count(*) FROM clinic.patient p JOIN c USING (patient_id) \
         WHERE p.sex <> 'X' GROUP BY 1 ORDER BY 1",
        "WITH c AS (SELECT patient_id FROM clinic.encounter) SELECT p.sex, count(DISTINCT c.patient_id) FROM clinic.patient p JOIN c \
         ON c.patient_id = p.patient_id WHERE p.sex <> 'X' GROUP BY 1 ORDER BY count(*)",
        "SELECT p.sex::text, count(*) FROM (SELECT sex FROM clinic.patient WHERE sex IN ('F', 'M')) p GROUP BY p.sex::text ORDER BY 1",
    ] {
        let (expected, got, prepared) = (same.query(sql), analyst.query(sql), analyst.extended(sql, &[]));
        assert!(
            expected.failure().is_none() && !expected.rows().is_empty(),
            "{sql}: {:?}",
            expected.failure()
        );
        for got in [got, prepared] {
            assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
            assert_eq!(got.rows(), expected.rows(), "{sql}");
        }
        assert_eq!(analyst.query(sql).columns(), expected.columns(), "{sql}");
    }
    for refused in [
        "SELECT name FROM (SELECT * FROM clinic.patient) p",
        "SELECT sex, count(*) FROM (SELECT sex, row_number() OVER (ORDER BY birth_date) FROM clinic.patient) p GROUP BY sex",
        "SELECT sex, count(*) FROM (SELECT sex FROM clinic.patient ORDER BY birth_date LIMIT 100) p GROUP BY sex",
        "SELECT kind, count(*) FROM (SELECT DISTINCT kind, patient_id FROM clinic.encounter) p GROUP BY kind",
        "SELECT k, count(*) FROM (SELECT random() > 0.5 AS k FROM clinic.patient) p GROUP BY k",
        "SELECT name, count(*) FROM (SELECT p.name FROM clinic.patient p) p GROUP BY name HAVING max(name) > 'a'",
    ] {
        let got = analyst.query(refused);
        let message = got.failure().map(|f| f.message.clone()).unwrap_or_default();
        assert!(message.starts_with("GLS-241"), "{refused}: {message} {:?}", got.rows());
    }
}

/// What tells no more than the columns it is made of; days between dates, `infinity` among them; conditions and keys by
/// small steps of moments.
#[test]
fn what_is_computed_of_columns_by_small_steps_is_answered() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "CREATE TABLE clinic.stay (id int PRIMARY KEY, patient_id bigint NOT NULL REFERENCES clinic.patient, site int NOT NULL, born int NOT NULL,
           began date NOT NULL, ended date, charge numeric, paid numeric, seen timestamptz, flag int NOT NULL DEFAULT 0);
         INSERT INTO clinic.stay SELECT i, 880001 + i % 1000, i % 3, 1940 + i % 60, '2024-01-01'::date + i % 300,
           '2024-01-01'::date + i % 300 + i % 9, i % 700, i % 650, '2024-01-01'::timestamptz + make_interval(hours => i % 5000) FROM generate_series(1, 3000) i;
         UPDATE clinic.stay SET ended = NULL WHERE id % 10 = 0;
         GRANT SELECT ON clinic.stay TO PUBLIC",
    );
    let proxy = Proxy::start_with(&database, |config| {
        format!(
            "{}\n[[table]]\nname = \"clinic.stay\"\nkey = \"patient_id\"\nclass = \"demographics\"\n",
            cells(config)
        )
    });
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    let mut same = Wire::direct(&database, "dba_gus");
    for sql in [
        "SELECT site, count(*), avg(ended - began), stddev(ended - began) FROM clinic.stay GROUP BY site ORDER BY site",
        "SELECT ended - began AS days, count(*) FROM clinic.stay GROUP BY 1 ORDER BY 1",
        "SELECT site FROM clinic.stay GROUP BY site ORDER BY avg(ended - began) DESC, site",
        "SELECT avg(2024 - born), sum(born - 1900), avg(born::float8), sum(coalesce(born, 0)) FROM clinic.stay",
        "SELECT site, sum(charge - paid), avg(charge), avg(coalesce(paid, 0)) FROM clinic.stay GROUP BY site ORDER BY site",
        "SELECT extract(year FROM began) - born AS age, count(*) FROM clinic.stay GROUP BY 1 ORDER BY 1",
        "SELECT count(*) FROM clinic.stay WHERE extract(year FROM began) - born > 65 AND began + 30 < '2024-09-01' AND ended - began >= 2",
        "SELECT count(*) FROM clinic.stay WHERE seen + INTERVAL '2 weeks' > ended AND began + INTERVAL '1 month' <= seen",
        "SELECT count(DISTINCT a.patient_id) FROM clinic.stay a JOIN clinic.stay b ON b.patient_id = a.patient_id AND b.began > a.ended AND b.began <= a.ended + 300",
        "SELECT count(DISTINCT a.patient_id) FROM clinic.stay a JOIN clinic.stay b USING (patient_id) WHERE b.began BETWEEN a.ended AND a.ended + INTERVAL '12 months'",
    ] {
        let (expected, got) = (same.query(sql), analyst.query(sql));
        assert!(
            expected.failure().is_none() && !expected.rows().is_empty(),
            "{sql}: {:?}",
            expected.failure()
        );
        assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
        assert_eq!(got.rows(), expected.rows(), "{sql}");
    }
    // Of `infinity` there are no days; one patient's difference from all others is not shown.
    database.server().psql(database.name(), "UPDATE clinic.stay SET ended = 'infinity' WHERE patient_id IN (SELECT 880000 + i FROM generate_series(1, 90) i)");
    let got = analyst.query("SELECT count(ended - began) FROM clinic.stay WHERE site = 1");
    let direct =
        same.query("SELECT count(ended - began) FROM clinic.stay WHERE site = 1 AND isfinite(ended)");
    assert_eq!((got.failure(), got.rows()), (None, direct.rows()));
    database.server().psql(
        database.name(),
        "UPDATE clinic.stay SET paid = charge; UPDATE clinic.stay SET paid = 0 WHERE id = 7",
    );
    let got = analyst.query("SELECT site, sum(charge - paid) FROM clinic.stay GROUP BY site ORDER BY site");
    assert_eq!(got.firsts(), ["0", "2"]);
    // The sum of two columns beside that of one would tell the other's.
    database.server().psql(database.name(), "UPDATE clinic.stay SET flag = 1 WHERE id = 7");
    for sql in [
        "SELECT site, sum(flag) FROM clinic.stay GROUP BY site ORDER BY site",
        "SELECT site, sum(charge + flag) - sum(charge) FROM clinic.stay GROUP BY site ORDER BY site",
        "SELECT site, avg(charge - flag), avg(charge) FROM clinic.stay GROUP BY site ORDER BY site",
        "SELECT site FROM clinic.stay GROUP BY site ORDER BY sum(charge + flag) - sum(charge), site",
    ] {
        let got = analyst.query(sql);
        assert_eq!((got.failure(), got.firsts()), (None, vec!["0".to_owned(), "2".to_owned()]), "{sql}");
    }
    for refused in [
        "SELECT sum(born * site) FROM clinic.stay",
        "SELECT sum(patient_id - 880000) FROM clinic.stay",
        "SELECT sum(born / 1990) FROM clinic.stay",
        "SELECT sum(born - began::text::int) FROM clinic.stay",
        "SELECT count(DISTINCT born - 1) FROM clinic.stay",
        "SELECT count(*) FROM clinic.stay WHERE seen + INTERVAL '290000 years' > now()",
        "SELECT count(*) FROM clinic.stay WHERE began + 2147000000 > '2024-09-01'",
        "SELECT count(*) FROM clinic.stay WHERE seen + make_interval(years => born) > now()",
        "SELECT began - born, count(*) FROM clinic.stay GROUP BY 1",
    ] {
        let got = analyst.query(refused);
        let message = got.failure().map(|f| f.message.clone()).unwrap_or_default();
        assert!(message.starts_with("GLS-241"), "{refused}: {message} {:?}", got.rows());
    }
}

/// A sum of few different values tells how many have which, as a count of each would; so does one of values that can be
/// read in a table without patients.
#[test]
fn a_sum_tells_no_more_than_a_count_of_each_value() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "CREATE TABLE clinic.flags (patient_id bigint PRIMARY KEY REFERENCES clinic.patient, site int NOT NULL, zone int NOT NULL,
           hiv int, code numeric, score int, num int, word text, line int, sheet int NOT NULL, UNIQUE (sheet, line));
         INSERT INTO clinic.flags SELECT 880000 + i, i % 2, i % 7, (i % 2)::int * (i % 4 = 1)::int, 100, i % 50, i, NULL, i, 1
           FROM generate_series(1, 400) i;
         UPDATE clinic.flags SET hiv = 1, code = 777, num = NULL WHERE patient_id = 880006;
         UPDATE clinic.flags SET num = NULL, word = 'w' WHERE patient_id BETWEEN 880101 AND 880150;
         CREATE TABLE clinic.zones (zone int PRIMARY KEY, w numeric NOT NULL);
         INSERT INTO clinic.zones SELECT i, 1000::numeric ^ i FROM generate_series(0, 6) i;
         CREATE TABLE clinic.parent (LIKE clinic.zones INCLUDING ALL);
         CREATE TABLE clinic.child () INHERITS (clinic.parent); INSERT INTO clinic.child VALUES (1, 5), (1, 6);
         CREATE TABLE clinic.named (patient_id bigint PRIMARY KEY, w numeric NOT NULL);
         INSERT INTO clinic.named SELECT 880000 + i, 2::numeric ^ i FROM generate_series(1, 400) i;
         GRANT SELECT ON clinic.flags, clinic.zones, clinic.parent, clinic.child, clinic.named TO PUBLIC",
    );
    let proxy = Proxy::start_with(&database, |config| {
        let config = config.replace(
            "\"clinic.ward\", \"clinic.drug\"",
            "\"clinic.ward\", \"clinic.drug\", \"clinic.zones\", \"clinic.parent\", \"clinic.child\", \"clinic.named\"",
        );
        format!(
            "{}\n[[table]]\nname = \"clinic.flags\"\nkey = \"patient_id\"\nclass = \"demographics\"\n",
            cells(config)
        )
    });
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    for (sites, aggregate) in [
        ("1", "sum(hiv)"),
        ("1", "avg(hiv)"),
        ("1", "stddev(hiv)"),
        ("1", "sum(code)"),
        ("1", "sum(hiv) FILTER (WHERE score > 25)"),
        ("1", "avg(CASE WHEN score > 25 THEN hiv END)"),
        ("1", "sum(hiv) FILTER (WHERE hiv = 1)"),
        ("1", "count(*), count(num), count(word)"),
        ("0 1", "sum(score)"),
        ("0 1", "avg(num), stddev(score)"),
        ("0 1", "sum(score) FILTER (WHERE zone > 3)"),
    ] {
        let sql = format!("SELECT site, {aggregate} FROM clinic.flags GROUP BY site ORDER BY site");
        let got = analyst.query(&sql);
        assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
        let shown: Vec<String> = got.rows().into_iter().map(|r| r[0].clone().unwrap_or_default()).collect();
        assert_eq!(shown.join(" "), sites, "{sql}");
    }
    // Of weights that everyone can read, sums are shown where many have each.
    for (shown, sql) in [
        (1, "SELECT sum(n.w) FROM clinic.flags f JOIN clinic.zones n ON n.zone = f.zone"),
        (
            0,
            "SELECT sum(n.w) FROM clinic.flags f JOIN clinic.zones n USING (zone) WHERE f.patient_id < 880050",
        ),
        (0, "SELECT sum(w) FROM clinic.flags f JOIN clinic.named n USING (patient_id)"),
        (
            0,
            "SELECT sum(w) FILTER (WHERE site = 1) FROM clinic.flags f JOIN clinic.named n USING (patient_id)",
        ),
    ] {
        let got = analyst.query(sql);
        let (failure, rows) = (got.failure().map(|f| f.message.clone()), got.rows());
        assert!(failure.is_none() && rows.len() == shown, "{sql}: {failure:?} {rows:?}");
    }
    for refused in [
        "SELECT sum(line) FROM clinic.flags",
        "SELECT count(DISTINCT CASE WHEN site = 1 THEN patient_id ELSE 0 END) FROM clinic.flags",
        "SELECT n.w, count(*) FROM clinic.flags f JOIN clinic.parent n USING (zone) GROUP BY 1",
    ] {
        let got = analyst.query(refused);
        let message = got.failure().map(|f| f.message.clone()).unwrap_or_default();
        assert!(message.starts_with("GLS-241"), "{refused}: {message} {:?}", got.rows());
    }
}

/// Who has both of two values is the sum of the parts less the patients of the group, each counted once.
#[test]
fn few_who_stand_in_two_parts_are_not_told() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "CREATE TABLE clinic.enrolled (id int PRIMARY KEY, patient_id bigint NOT NULL REFERENCES clinic.patient, site int NOT NULL, arm text NOT NULL);
         INSERT INTO clinic.enrolled SELECT i, 880000 + i, 1 + i % 2, CASE WHEN i % 3 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 400) i;
         INSERT INTO clinic.enrolled VALUES (1001, 880003, 2, 'b');
         INSERT INTO clinic.enrolled SELECT 2000 + i, 880000 + i, 1, 'b' FROM generate_series(3, 90, 6) i WHERE i <> 3;
         ALTER TABLE clinic.enrolled ADD COLUMN code text, ADD COLUMN login text;
         UPDATE clinic.enrolled SET code = 'A' || id, login = 'A' || id;
         CREATE UNIQUE INDEX ON clinic.enrolled (code, site); CREATE UNIQUE INDEX ON clinic.enrolled (lower(login));
         CREATE TABLE clinic.dated (id int, patient_id bigint NOT NULL, year int, PRIMARY KEY (id, year)) PARTITION BY LIST (year);
         CREATE TABLE clinic.dated_2024 PARTITION OF clinic.dated FOR VALUES IN (2024);
         INSERT INTO clinic.dated SELECT i, 880000 + i, 2024 FROM generate_series(1, 50) i;
         GRANT SELECT ON clinic.enrolled, clinic.dated, clinic.dated_2024 TO PUBLIC",
    );
    let proxy = Proxy::start_with(&database, |config| {
        let config = format!(
            "{config}\n[[table]]\nname = \"clinic.dated\"\nkey = \"patient_id\"\nclass = \"demographics\"\n"
        );
        format!(
            "{}\n[[table]]\nname = \"clinic.enrolled\"\nkey = \"patient_id\"\nclass = \"demographics\"\n",
            cells(config)
        )
    });
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    // In site 2 one patient stands in both arms, in site 1 fourteen do, or none.
    let parts = "count(DISTINCT patient_id) FILTER (WHERE arm = 'a'), count(DISTINCT patient_id) FILTER (WHERE arm = 'b')";
    let sites = |sql: &str, analyst: &mut Wire| {
        let got = analyst.query(sql);
        assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
        got.rows().into_iter().map(|r| r[0].clone().unwrap_or_default()).collect::<Vec<_>>()
    };
    let both = format!(
        "SELECT site, count(DISTINCT patient_id), {parts} FROM clinic.enrolled GROUP BY 1 ORDER BY 1"
    );
    assert_eq!(sites(&both, &mut analyst), ["1"]);
    // Without the number of the whole nothing can be subtracted; nor where rows are counted.
    let apart = format!("SELECT site, {parts} FROM clinic.enrolled GROUP BY 1 ORDER BY 1");
    assert_eq!(sites(&apart, &mut analyst), ["1", "2"]);
    // What is unique with others, or by an expression, names a row beside another column; the period of a partition does
    // not, and a unique value that is told by nothing but a key.
    for (named, condition) in [
        (true, "code <> 'A5' OR site = 1"),
        (true, "login <> 'a5' OR site = 1"),
        (true, "patient_id IN (SELECT patient_id FROM clinic.enrolled WHERE login <> 'a5')"),
        (false, "arm <> 'a' OR id IS NULL"),
        (false, "login > 'a'"),
    ] {
        let got = analyst.query(&format!("SELECT count(*) FROM clinic.enrolled WHERE {condition}"));
        let message = got.failure().map(|f| f.message.clone()).unwrap_or_default();
        assert_eq!(message.contains("names a single"), named, "{condition}: {message}");
    }
    let period = "SELECT count(*) FROM clinic.patient WHERE patient_id IN (SELECT patient_id FROM clinic.dated WHERE year = 2024 AND id > 0)";
    let got = analyst.query(&period.replace(" AND id > 0", ""));
    assert!(got.failure().is_none(), "{:?}", got.failure());
    assert!(analyst.query(period).failure().is_some_and(|f| f.message.contains("names a single")));
}

/// Keys and conditions by steps of written numbers, which fail at the ends of a type only.
#[test]
fn groups_by_bands_and_periods() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    for (answered, sql) in [
        (true, "SELECT (60 - ward_id) / 10 * 10, count(*) FROM clinic.encounter GROUP BY 1"),
        (true, "SELECT ward_id - ward_id % 2, count(*) FROM clinic.encounter GROUP BY 1"),
        (true, "SELECT floor(ward_id / 2) * 2, count(*) FROM clinic.encounter GROUP BY 1"),
        (true, "SELECT width_bucket(ward_id, 1, 9, 3), count(*) FROM clinic.encounter GROUP BY 1"),
        (
            true,
            "SELECT to_char(admitted_at, 'YYYY-MM') AS month, count(*) FROM clinic.encounter GROUP BY month ORDER BY month",
        ),
        (
            true,
            "SELECT count(*) FROM clinic.encounter WHERE 9 - ward_id > 2 AND ward_id + 1 BETWEEN 0 AND 20",
        ),
        (
            true,
            "SELECT CASE WHEN 9 - ward_id < 3 THEN 'low' ELSE 'high' END AS band, count(*) FROM clinic.encounter GROUP BY band",
        ),
        (
            true,
            "SELECT kind, count(*), avg(CASE WHEN 9 - ward_id < 7 THEN 1.0 ELSE 0 END) FROM clinic.encounter GROUP BY kind",
        ),
        // The client moves the end, divides by what can be none, or writes a pattern that could fail.
        (false, "SELECT 2147483640 + ward_id, count(*) FROM clinic.encounter GROUP BY 1"),
        (false, "SELECT ward_id * 9999, count(*) FROM clinic.encounter GROUP BY 1"),
        (false, "SELECT 10 / ward_id, count(*) FROM clinic.encounter GROUP BY 1"),
        (false, "SELECT ward_id / 0, count(*) FROM clinic.encounter GROUP BY 1"),
        (false, "SELECT width_bucket(ward_id, 3, 3, 3), count(*) FROM clinic.encounter GROUP BY 1"),
        (false, "SELECT ceil(charge::float8) * 1e300, count(*) FROM clinic.encounter GROUP BY 1"),
        (false, "SELECT to_char(charge, '999'), count(*) FROM clinic.encounter GROUP BY 1"),
        (false, "SELECT count(*) FROM clinic.encounter WHERE ward_id + ward_id > 2"),
        // Of many small steps each end is reached, and whose value is beyond it fails.
        (
            true,
            &format!(
                "SELECT floor(ward_id){}, count(*) FROM clinic.encounter GROUP BY 1",
                " * 1000".repeat(5)
            ),
        ),
        (
            false,
            &format!(
                "SELECT floor(ward_id){}, count(*) FROM clinic.encounter GROUP BY 1",
                " * 10000".repeat(77)
            ),
        ),
        (
            false,
            &format!(
                "SELECT floor(ward_id){}, count(*) FROM clinic.encounter GROUP BY 1",
                " / 10000".repeat(90)
            ),
        ),
        (false, &format!("SELECT count(*) FROM clinic.encounter WHERE ward_id{} > 5", " + 10000".repeat(7))),
    ] {
        let got = analyst.query(sql);
        match got.failure() {
            None => assert!(answered && !got.rows().is_empty(), "{sql}: {:?}", got.rows()),
            Some(failure) => {
                assert!(!answered && failure.message.contains("could fail"), "{sql}: {}", failure.message)
            }
        }
    }
}

#[test]
fn what_is_computed_from_shown_groups_is_free() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    for sql in [
        "SELECT sex, count(*), round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS percent FROM clinic.patient GROUP BY sex",
        "SELECT * FROM (SELECT icd10, count(*) AS n FROM clinic.problem GROUP BY icd10) g WHERE 100 / n < 50 ORDER BY n DESC LIMIT 3",
        "WITH g AS (SELECT kind, avg(charge) AS a FROM clinic.encounter GROUP BY kind) SELECT a.kind, b.kind, a.a - b.a FROM g a, g b",
        "SELECT icd10, count(*) FROM clinic.problem GROUP BY icd10 HAVING count(*) > 20 ORDER BY count(*) DESC",
        "SELECT max(n), min(n) FROM (SELECT ward_id, count(*) AS n FROM clinic.encounter GROUP BY ward_id) g",
        "SELECT kind, count(*), rank() OVER (ORDER BY count(*) DESC) FROM clinic.encounter GROUP BY kind",
        "COPY (SELECT sex, count(*) FROM clinic.patient GROUP BY sex) TO STDOUT",
    ] {
        let got = analyst.query(sql);
        assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
    }
    // Conditions on groups that would fail on one that is not shown: its size, its key.
    let owner = |sql: &str| database.server().psql(database.name(), sql);
    let first = owner(
        "\\pset format unaligned\n\\pset tuples_only on\nSELECT left(zip, 5) FROM clinic.patient GROUP BY 1 HAVING count(*) < 11 LIMIT 1",
    );
    let zip = first.lines().map(str::trim).find(|l| l.len() == 5).expect("a ZIP code of few").to_owned();
    for sql in [
        format!("SELECT * FROM (SELECT zip, count(*) AS n FROM clinic.patient GROUP BY zip) g WHERE 1 / (CASE WHEN zip = '{zip}' THEN 0 ELSE 1 END) > 0"),
        format!("WITH g AS (SELECT zip, count(*) AS n FROM clinic.patient GROUP BY zip) SELECT n FROM g WHERE (CASE WHEN zip = '{zip}' THEN zip || 'x' ELSE '1' END)::int = 1"),
        "SELECT * FROM (SELECT zip, count(*) AS n FROM clinic.patient GROUP BY zip) g WHERE 1 / (n - 1) >= 0".to_owned(),
        "SELECT * FROM (SELECT zip, count(*) AS n FROM clinic.patient GROUP BY zip) g JOIN clinic.ward w ON w.ward_id = 1 / (n - 1)".to_owned(),
    ] {
        let got = analyst.query(&sql);
        assert!(got.failure().is_none(), "{sql}: {:?}", got.failure());
    }
    // Of a share, the groups that are not shown are no part.
    let rows = analyst
        .query("SELECT sum(share) FROM (SELECT count(*) / sum(count(*)) OVER () AS share FROM clinic.problem GROUP BY icd10) g")
        .rows();
    let sum: f64 = rows[0][0].as_deref().and_then(|v| v.parse().ok()).expect("a number");
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
}

#[test]
fn what_could_tell_a_single_patient_is_refused() {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), "GRANT ALL ON ALL TABLES IN SCHEMA clinic TO billing");
    let proxy = Proxy::start_with(&database, cells);
    let mut analyst = Wire::through(&proxy, &database, "bill_eva");
    for (sql, why) in [
        ("SELECT * FROM clinic.patient", "rows of single patients"),
        ("SELECT name FROM clinic.patient WHERE patient_id = 880003", "rows of single patients"),
        ("SELECT DISTINCT zip FROM clinic.patient", "rows of single patients"),
        ("SELECT rank() OVER (ORDER BY birth_date) FROM clinic.patient", "rows of single patients"),
        ("COPY clinic.patient TO STDOUT", "rows of single patients"),
        ("DECLARE c CURSOR FOR SELECT name FROM clinic.patient", "rows of single patients"),
        ("SELECT max(birth_date) FROM clinic.patient", "max()"),
        (
            "SELECT count(*), count(r.value) FROM clinic.patient p LEFT JOIN clinic.lab_order o USING (patient_id) \
             LEFT JOIN clinic.lab_result r ON r.order_id = o.order_id AND r.value IS NOT NULL",
            "an outer join",
        ),
        (
            "SELECT sum(a.patient_id) - sum(b.patient_id) FROM clinic.patient a \
             LEFT JOIN clinic.patient b ON a.patient_id = b.patient_id AND b.name <> 'x'",
            "an outer join",
        ),
        ("SELECT count(*) FROM clinic.patient p LEFT JOIN clinic.ward w ON p.name = 'x'", "an outer join"),
        ("SELECT sex, min(name) FROM clinic.patient GROUP BY sex", "min()"),
        ("SELECT array_agg(name) FROM clinic.patient", "array_agg()"),
        ("SELECT string_agg(name, ',') FROM clinic.patient", "string_agg()"),
        ("SELECT json_agg(p) FROM clinic.patient p", "json_agg()"),
        ("SELECT mode() WITHIN GROUP (ORDER BY zip) FROM clinic.patient", "mode()"),
        (
            "SELECT percentile_disc(0) WITHIN GROUP (ORDER BY charge) FROM clinic.encounter",
            "percentile_disc()",
        ),
        ("SELECT bool_or(sex = 'X') FROM clinic.patient", "bool_or()"),
        ("SELECT sum(patient_id + 1) FROM clinic.patient", "takes the values"),
        ("SELECT sum(ward_id * ward_id) FROM clinic.encounter", "of an expression"),
        (
            "SELECT count(CASE sex WHEN 'F' THEN 1 WHEN 'M' THEN 2 END) FROM clinic.patient",
            "of an expression",
        ),
        (
            "SELECT sum(CASE WHEN sex = 'F' THEN 1 ELSE patient_id END) FROM clinic.patient",
            "of an expression",
        ),
        (
            "SELECT sum(CASE WHEN sex = 'F' THEN 1 WHEN zip = '1' THEN 2 END) FROM clinic.patient",
            "of an expression",
        ),
        ("SELECT sum(CASE WHEN sex = 'F' THEN patient_id + 1 END) FROM clinic.patient", "of an expression"),
        ("SELECT stddev(CASE WHEN sex = 'F' THEN patient_id END) FROM clinic.patient", "of an expression"),
        ("SELECT avg((sex = 'F')::int + 1) FROM clinic.patient", "of an expression"),
        ("SELECT sum((patient_id)::int) FROM clinic.patient", "could fail"),
        ("SELECT max(zip) FILTER (WHERE sex = 'F') FROM clinic.patient", "max()"),
        ("SELECT count(*) FILTER (WHERE 1 / (patient_id - 880003) > 0) FROM clinic.patient", "could fail"),
        ("SELECT count(*) FILTER (WHERE sex) FROM clinic.patient", "could fail"),
        (
            "SELECT count(*) FILTER (WHERE sex = 'F'), count(*) FILTER (WHERE zip = '1') FROM clinic.patient",
            "more than one",
        ),
        (
            "SELECT count(*) FILTER (WHERE sex = 'F'), count(*) FILTER (WHERE sex <> 'F') FROM clinic.patient",
            "more than one",
        ),
        (
            "SELECT count(*) FILTER (WHERE zip > '1'), count(*) FILTER (WHERE zip > '2') FROM clinic.patient",
            "more than one",
        ),
        (
            "SELECT count(*) FILTER (WHERE sex = 'F'), count(name), count(mrn), count(zip), count(phone) FROM clinic.patient",
            "three columns",
        ),
        (
            "SELECT count(*) FILTER (WHERE patient_id IN (SELECT patient_id FROM clinic.problem)) FROM clinic.patient",
            "",
        ),
        (
            "SELECT w.ward_id, count(*) FILTER (WHERE e.ward_id <= w.beds) FROM clinic.ward w JOIN clinic.encounter e ON e.ward_id = w.ward_id GROUP BY 1",
            "other than =",
        ),
        ("SELECT sum(DISTINCT charge) FROM clinic.encounter", "DISTINCT"),
        ("SELECT sex, count(*) FROM clinic.patient GROUP BY ROLLUP (sex)", "ROLLUP"),
        ("SELECT sex, count(*) FROM clinic.patient GROUP BY GROUPING SETS ((sex), ())", "ROLLUP"),
        (
            "SELECT count(*) FROM clinic.patient UNION ALL SELECT count(*) FROM clinic.patient WHERE mrn <> 'MRN0000001'",
            "two blocks",
        ),
        (
            "SELECT (SELECT count(*) FROM clinic.patient p WHERE p.patient_id <> w.ward_id) FROM clinic.ward w",
            "subquery of an expression",
        ),
        (
            "SELECT w.ward_id, x.n FROM clinic.ward w, LATERAL (SELECT count(*) AS n FROM clinic.patient p WHERE p.patient_id > w.ward_id) x",
            "LATERAL",
        ),
        (
            "SELECT w.ward_id, count(*) FROM clinic.ward w JOIN clinic.encounter e ON e.ward_id <= w.ward_id GROUP BY w.ward_id",
            "other than =",
        ),
        (
            "SELECT w.ward_id, count(*) FROM clinic.ward w, clinic.encounter e WHERE e.ward_id = w.ward_id OR w.ward_id = 1 GROUP BY 1",
            "other than =",
        ),
        (
            "SELECT g, count(*) FROM clinic.patient, generate_series(1, 5) g WHERE patient_id > g GROUP BY g",
            "over a function",
        ),
        (
            "SELECT x.n, count(*) FROM clinic.encounter e JOIN (VALUES (1), (2)) x (n) ON x.n = e.ward_id GROUP BY 1",
            "over a function",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE 1 / (CASE WHEN mrn = 'MRN0000001' THEN 0 ELSE 1 END) > 0",
            "could fail",
        ),
        ("SELECT count(*) FROM clinic.patient GROUP BY 1 / (patient_id - 880001)", "could fail"),
        ("SELECT 1 / (patient_id - 880001), count(*) FROM clinic.patient GROUP BY 1", "could fail"),
        ("SELECT count(*) FROM clinic.problem GROUP BY icd10 HAVING 1 / (count(*) - 3) > 0", "HAVING"),
        (
            "SELECT count(*) FROM clinic.problem GROUP BY icd10 HAVING pg_catalog.count(DISTINCT 1 / (problem_id - 3)) OPERATOR(pg_catalog.>=) 1",
            "reserved",
        ),
        ("SELECT count(*) FROM clinic.patient GROUP BY zip HAVING to_number(zip, '99999') > 1", "HAVING"),
        ("SELECT zip, count(*) FROM clinic.patient GROUP BY zip ORDER BY zip::int", "sorting key"),
        ("SELECT count(*) FROM clinic.problem GROUP BY icd10 HAVING max(title) > 'a'", "max()"),
        ("SELECT count(*) FROM clinic.problem GROUP BY icd10 ORDER BY max(title)", "max()"),
        (
            "SELECT icd10, count(*) FROM clinic.problem WHERE icd10 IN (SELECT icd10 FROM clinic.problem WHERE patient_id = 880003) GROUP BY 1",
            "not tied",
        ),
        (
            "SELECT zip, count(*) FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.patient x WHERE x.zip = p.zip AND x.mrn = 'MRN0000001') GROUP BY zip",
            "not tied",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE EXISTS (SELECT FROM clinic.problem x WHERE x.icd10 = 'I10')",
            "not tied",
        ),
        (
            "SELECT count(*) FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.problem x, clinic.patient y WHERE x.patient_id = p.patient_id AND y.mrn = 'MRN0000001')",
            "not tied",
        ),
        (
            "SELECT count(*) FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.problem p WHERE p.patient_id = p.patient_id)",
            "not tied",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE patient_id IN (SELECT x.problem_id FROM clinic.problem x)",
            "not tied",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE patient_id IN (SELECT patient_id FROM clinic.problem GROUP BY patient_id HAVING count(*) > 2)",
            "more than choose",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE patient_id IN (SELECT patient_id FROM clinic.problem ORDER BY title LIMIT 20)",
            "more than choose",
        ),
        (
            "SELECT count(*) FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.problem x WHERE x.patient_id = p.patient_id AND 1 / (x.problem_id - 3) > 0)",
            "could fail",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE sex = 'F' OR patient_id IN (SELECT patient_id FROM clinic.problem)",
            "",
        ),
        (
            "SELECT w.ward_id, count(*) FROM clinic.ward w, clinic.encounter e WHERE e.ward_id = w.ward_id AND EXISTS \
             (SELECT FROM clinic.encounter x WHERE x.patient_id = e.patient_id AND x.ward_id <= w.ward_id) GROUP BY 1",
            "other than =",
        ),
        ("SELECT count(*), EXISTS (SELECT FROM clinic.problem) FROM clinic.patient", "subquery"),
        // What is taken out of one group only by a subquery.
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT FROM clinic.patient p WHERE p.patient_id = e.patient_id \
             AND p.language <> 'xx' AND p.language = e.kind) GROUP BY 1",
            "another column",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT FROM clinic.ward w WHERE w.code = e.kind AND \
             w.ward_id = e.patient_id) GROUP BY 1",
            "several columns",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT 1 WHERE e.kind = 'inpatient' AND e.patient_id = 880003 \
             UNION SELECT 1 WHERE false) GROUP BY 1",
            "names a patient",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT 1 WHERE kind = 'inpatient' AND patient_id = 880003) GROUP BY 1",
            "several columns",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT FROM (SELECT 1 WHERE e.kind = 'inpatient' AND e.patient_id = 880003) q) GROUP BY 1",
            "several columns",
        ),
        // The subquery in FROM does not see the ward beside it, but the encounter.
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT FROM clinic.ward e, \
             (SELECT 1 WHERE e.kind = 'inpatient' AND e.patient_id = 880003) q) GROUP BY 1",
            "several columns",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT 1 HAVING e.kind = 'inpatient' AND e.patient_id = 880003) GROUP BY 1",
            "several columns",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT FROM clinic.ward \
             LIMIT CASE WHEN e.kind = 'inpatient' AND e.patient_id = 880003 THEN 1 ELSE 0 END) GROUP BY 1",
            "several columns",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE e.kind IN (SELECT CASE WHEN e.patient_id = 880003 THEN w.code ELSE e.kind END \
             FROM clinic.ward w) GROUP BY 1",
            "several columns",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE e.kind NOT IN (SELECT p.title FROM clinic.problem p \
             WHERE p.patient_id = e.patient_id AND p.icd10 = 'I10') GROUP BY 1",
            "not tied",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT FROM clinic.patient p WHERE p.patient_id = e.patient_id \
             AND p.language <> 'xx' AND e.kind IN (SELECT w.name FROM clinic.ward w)) GROUP BY 1",
            "another column",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE NOT EXISTS (SELECT FROM clinic.patient p WHERE p.patient_id = e.patient_id \
             AND p.language <> 'xx' AND EXISTS (SELECT FROM clinic.ward w WHERE w.name = e.kind)) GROUP BY 1",
            "several columns",
        ),
        (
            "SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT FROM clinic.ward)) FROM clinic.encounter",
            "FILTER or CASE",
        ),
        // A list of patients or rows to leave out, and a key that is another column's name.
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e JOIN clinic.patient p USING (patient_id) JOIN clinic.ward w \
             ON w.code = p.mrn AND w.name = e.kind AND w.ward_id = 1 GROUP BY 1",
            "names a patient",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e JOIN clinic.ward w ON w.ward_id = e.encounter_id GROUP BY 1",
            "names a single row",
        ),
        (
            "SELECT e.encounter_id, count(*) FROM clinic.encounter e (patient_id, encounter_id) GROUP BY 1",
            "columns are renamed",
        ),
        (
            "SELECT e.kind, count(*) FROM clinic.encounter e WHERE e.encounter_id NOT IN (SELECT w.ward_id FROM clinic.ward w) GROUP BY 1",
            "several columns",
        ),
        // A value that few have, and a row.
        (
            "SELECT count(DISTINCT kind) FROM clinic.encounter WHERE kind = 'inpatient' OR charge = 1",
            "alike in several rows",
        ),
        (
            "SELECT ward_id, count(*) FROM clinic.encounter GROUP BY 1 HAVING count(DISTINCT kind) = 2",
            "alike in several rows",
        ),
        (
            "SELECT kind, count(*), sum(charge) FROM clinic.encounter WHERE encounter_id <> 5 GROUP BY 1",
            "names a single row",
        ),
        ("SELECT count(*) FILTER (WHERE encounter_id <> 5) FROM clinic.encounter", "names a single row"),
        // Sets of values are none that exclude each other.
        (
            "SELECT count(*) FILTER (WHERE zip = ANY ('{10000,10001}')) - count(*) FILTER (WHERE zip = '10000') FROM clinic.patient",
            "more than one condition",
        ),
        (
            "SELECT sum(charge) FILTER (WHERE kind IS DISTINCT FROM 'inpatient') - sum(charge) FILTER (WHERE kind = 'emergency') FROM clinic.encounter",
            "more than one condition",
        ),
        (
            "SELECT count(*) FILTER (WHERE sex = ALL ('{F}')), count(*) FILTER (WHERE sex = 'M') FROM clinic.patient",
            "more than one condition",
        ),
        (
            "SELECT count(*) FROM clinic.encounter e JOIN clinic.problem p ON e.patient_id IS DISTINCT FROM p.patient_id",
            "names a patient",
        ),
        (
            "SELECT count(*) FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.problem x WHERE x.patient_id IS DISTINCT FROM p.patient_id)",
            "",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE patient_id < 880012 AND (phone <> '555-0100' OR sex = 'F')",
            "names a patient",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE patient_id < 880012 AND (name <> 'x' OR sex = 'F')",
            "names a patient",
        ),
        // Rows of one patient beside those of another: what is taken from the one shows in the other.
        (
            "SELECT p.zip, count(DISTINCT p.patient_id), count(DISTINCT q.patient_id) FROM clinic.patient p JOIN clinic.patient q \
             ON q.zip = p.zip WHERE q.mrn <> 'MRN0000001' GROUP BY 1",
            "patient's key",
        ),
        (
            "SELECT x.icd10, count(DISTINCT y.patient_id), count(DISTINCT x.patient_id) FROM clinic.problem x JOIN clinic.problem y \
             USING (icd10) JOIN clinic.patient p ON p.patient_id = y.patient_id WHERE p.mrn <> 'MRN0000001' GROUP BY 1",
            "patient's key",
        ),
        // A patient is taken out of some of the groups.
        (
            "SELECT e.kind, count(DISTINCT p.patient_id) FROM clinic.encounter e JOIN clinic.patient p ON e.patient_id = p.patient_id \
             WHERE e.kind = 'inpatient' OR p.mrn <> 'MRN0000001' GROUP BY 1",
            "names a patient",
        ),
        (
            "SELECT kind, count(*) FROM clinic.encounter WHERE kind = 'inpatient' OR patient_id <> 880003 GROUP BY 1",
            "names a patient",
        ),
        (
            "SELECT count(*), count(*) FILTER (WHERE kind = 'inpatient' AND patient_id <> 880003) FROM clinic.encounter",
            "names a patient",
        ),
        (
            "SELECT e.kind, count(DISTINCT e.patient_id) FROM clinic.encounter e JOIN clinic.problem v ON v.patient_id = e.patient_id \
             WHERE v.onset <= e.admitted_at GROUP BY e.kind, e.admitted_at",
            "grouped by",
        ),
        (
            "SELECT count(*) FROM clinic.encounter e JOIN clinic.problem v ON v.patient_id = e.patient_id WHERE e.ward_id = 1 OR v.icd10 = 'I10'",
            "other than =",
        ),
        // A table without patients with several rows for one of theirs, and grouping keys of two tables.
        (
            "SELECT w.floor, count(*) FROM clinic.encounter e JOIN clinic.ward w ON w.beds = e.ward_id GROUP BY 1",
            "several rows",
        ),
        (
            "SELECT count(*), count(DISTINCT e.patient_id) FROM clinic.encounter e JOIN clinic.ward w ON w.beds = e.ward_id",
            "several rows",
        ),
        (
            "SELECT w.ward_id, count(DISTINCT p.patient_id) FROM clinic.patient p, clinic.ward w GROUP BY 1",
            "several rows",
        ),
        (
            "SELECT p.zip, CASE WHEN w.ward_id = 1 THEN 'all' WHEN p.sex = 'F' THEN 'x' ELSE 'but' END, count(DISTINCT p.patient_id) \
             FROM clinic.patient p, clinic.ward w GROUP BY 1, 2",
            "mixes columns",
        ),
        (
            "SELECT count(DISTINCT zip) FILTER (WHERE sex = 'F') FROM clinic.patient",
            "anything but the patient's key",
        ),
        (
            "SELECT count(*) FROM clinic.lab_order o WHERE EXISTS (SELECT FROM clinic.lab_result r WHERE r.order_id = o.order_id)",
            "without the patient's key",
        ),
        // Groups of one patient each: what is computed of none would look like an answer.
        (
            "SELECT avg(n) FROM (SELECT patient_id, count(*) AS n FROM clinic.note GROUP BY patient_id) x WHERE patient_id = 880003",
            "a grouping key",
        ),
        // An error that the client makes from what is not shown.
        (
            "SELECT sum(CASE WHEN p.sex = 'M' THEN 9e131071 ELSE 0 END) FROM clinic.patient p JOIN clinic.encounter e USING (patient_id) \
             WHERE p.mrn = 'MRN0000001'",
            "of an expression",
        ),
        (
            "SELECT sum(CASE WHEN sex = 'M' THEN '9e131071' ELSE 0.0 END) FROM clinic.patient WHERE mrn = 'MRN0000001'",
            "of an expression",
        ),
        // A patient or row is named where a group is cut: eleven of whom nothing is known stand around.
        (
            "SELECT count(*) FROM clinic.patient WHERE patient_id < 880012 GROUP BY (mrn = 'MRN0000001' AND sex = 'M')",
            "a grouping key",
        ),
        ("SELECT kind, count(*) FROM clinic.encounter GROUP BY kind, (encounter_id = 502)", "a grouping key"),
        (
            "SELECT CASE WHEN patient_id = 880003 AND ward_id = 2 THEN 1 ELSE ward_id END, count(*) FROM clinic.encounter GROUP BY 1",
            "a grouping key",
        ),
        (
            "SELECT coalesce(nullif(mrn, 'MRN0000001'), sex) = 'M' AS x, count(*) FROM clinic.patient GROUP BY x",
            "a grouping key",
        ),
        (
            "SELECT count(*) FROM clinic.patient p WHERE p.patient_id < 880012 AND NOT EXISTS (SELECT 1 FROM clinic.problem d WHERE \
             d.patient_id = p.patient_id AND d.patient_id = 880003 AND d.icd10 = 'I10')",
            "of a cohort",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE patient_id NOT IN (SELECT q.patient_id FROM clinic.patient q WHERE q.mrn = 'MRN0000001' AND q.sex = 'M')",
            "of a cohort",
        ),
        (
            "SELECT count(*) FROM clinic.patient p WHERE NOT EXISTS (SELECT 1 FROM clinic.problem d WHERE d.patient_id = p.patient_id AND \
             EXISTS (SELECT FROM clinic.encounter e WHERE e.patient_id = d.patient_id AND e.encounter_id = 52))",
            "of a cohort",
        ),
        (
            "SELECT count(*) FROM clinic.patient p WHERE NOT EXISTS (SELECT 1 FROM clinic.patient q JOIN clinic.ward w ON w.code = q.mrn \
             WHERE q.patient_id = p.patient_id AND w.floor = 1 AND q.sex = 'F')",
            "names a patient",
        ),
        (
            "SELECT count(*) FROM clinic.patient p WHERE NOT EXISTS (SELECT 1 FROM clinic.patient q WHERE q.patient_id = p.patient_id AND \
             q.sex = 'F' AND q.mrn IN (SELECT w.code FROM clinic.ward w))",
            "several columns",
        ),
        (
            "WITH c AS (SELECT DISTINCT q.patient_id FROM clinic.patient q WHERE q.mrn <> 'MRN0000001' OR q.sex = 'F') \
             SELECT count(*) FROM clinic.patient p JOIN c USING (patient_id) WHERE p.patient_id < 880012",
            "of a cohort",
        ),
        // What refers to a row, or is unique, or part of a key.
        (
            "SELECT count(*) FROM clinic.lab_result r WHERE r.order_id < 200 AND (r.order_id <> 52 OR r.value > 3)",
            "names a single row",
        ),
        (
            "SELECT count(*) FROM clinic.patient WHERE patient_id < 880012 AND (ssn <> 'x' OR sex = 'F')",
            "names a patient",
        ),
        ("SELECT count(*) FILTER (WHERE order_id <> 5) FROM clinic.lab_result", "names a single row"),
        ("SELECT ward_id, count(*), sum(patient_id) FROM clinic.encounter GROUP BY 1", "takes the values"),
        (
            "SELECT avg(CASE WHEN sex = 'F' THEN patient_id ELSE 0 END) FROM clinic.patient",
            "takes the values",
        ),
        // Rows that an outer join keeps for want of a patient's.
        (
            "SELECT count(*), count(DISTINCT e.patient_id) FROM clinic.ward w LEFT JOIN clinic.encounter e ON e.ward_id = w.ward_id WHERE w.ward_id IN (1, 2)",
            "for which there is no patient",
        ),
        (
            "SELECT w.name, count(w.ward_id) FROM clinic.encounter e RIGHT JOIN clinic.ward w ON e.ward_id = w.ward_id GROUP BY 1",
            "for which there is no patient",
        ),
        ("UPDATE clinic.patient SET name = 'x' WHERE patient_id = 880003", "writes"),
        ("DELETE FROM clinic.note WHERE patient_id = 880003", "writes"),
        ("EXPLAIN SELECT count(*) FROM clinic.patient", ""),
    ] {
        let got = analyst.query(sql);
        let failure = got.failure().unwrap_or_else(|| panic!("{sql}: {:?}", got.rows()));
        assert!(
            failure.message.contains("GLS-24") && failure.message.contains(why),
            "{sql}: {}",
            failure.message
        );
        assert!(got.rows().is_empty(), "{sql}");
        analyst.query("ROLLBACK");
    }
    // What is not about patients is untouched.
    assert_eq!(analyst.query("SELECT max(name) FROM clinic.ward").rows().len(), 1);
}
