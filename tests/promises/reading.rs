//! P2 for ways of reading that no table's name shows: views without an entry of their own, and
//! conditions that only run when a hidden row is there.

use std::time::Duration;

use crate::p2_enforcement::{assert_no_canary, assert_none, compare, databases, pair};
use crate::support::within;
use crate::wire::{Reply, Wire};

const VIEWS: &str = "
CREATE VIEW clinic.v_women AS SELECT patient_id, mrn, name, birth_date AS born FROM clinic.patient WHERE birth_date < date '1985-01-01';
CREATE VIEW clinic.v_last_note (patient, body) AS
    SELECT DISTINCT ON (patient_id) patient_id, body FROM clinic.note ORDER BY patient_id, note_id DESC;
CREATE VIEW clinic.v_both AS SELECT w.name, w.born, n.body FROM clinic.v_women w LEFT JOIN clinic.v_last_note n ON n.patient = w.patient_id;
CREATE VIEW clinic.v_labs WITH (security_barrier) AS
    SELECT o.patient_id, r.analyte, r.value FROM clinic.lab_order o JOIN clinic.lab_result r USING (order_id) WHERE r.value > 1;
CREATE VIEW clinic.v_wards AS SELECT ward_id, upper(name) AS name FROM clinic.ward;
CREATE VIEW clinic.v_statistics AS SELECT tablename, most_common_vals::text AS common FROM pg_stats;
CREATE VIEW clinic.v_changing AS SELECT patient_id, name FROM clinic.patient;
GRANT SELECT ON ALL TABLES IN SCHEMA clinic TO nurse;";

const READS: &[&str] = &[
    "SELECT * FROM clinic.v_women ORDER BY patient_id",
    "SELECT name, born FROM clinic.v_women WHERE patient_id = 880003",
    "SELECT name FROM clinic.v_women WHERE patient_id = 880001",
    "SELECT clinic.v_women.name FROM clinic.v_women ORDER BY 1",
    "SELECT a, b FROM clinic.v_women AS v (a, b) ORDER BY a",
    "SELECT count(*) FROM clinic.v_last_note",
    "SELECT * FROM clinic.v_both ORDER BY name, body",
    "SELECT analyte, count(*), avg(value) FROM clinic.v_labs GROUP BY analyte ORDER BY 1",
    "SELECT patient_id FROM clinic.v_labs WHERE 1 / (CASE WHEN analyte LIKE 'CANARY%' THEN 0 ELSE 1 END) = 1 ORDER BY 1",
    "SELECT p.name, v.body FROM clinic.patient p LEFT JOIN clinic.v_last_note v ON v.patient = p.patient_id ORDER BY p.patient_id",
    "SELECT * FROM clinic.v_wards ORDER BY 1",
    "TABLE clinic.v_wards",
    "WITH x AS (SELECT * FROM clinic.v_women) SELECT count(*) FROM x",
];

/// Rows, and columns but for the views' OIDs, which are each database's own.
fn shown(reply: &Reply) -> String {
    let columns = reply.columns().unwrap_or_default();
    let columns: Vec<_> = columns.into_iter().map(|c| (c.name, c.rest.1, c.rest.2, c.rest.4)).collect();
    format!("{columns:?} {:?}", reply.rows())
}

#[test]
fn views_without_an_entry_show_what_their_tables_would() {
    let (whole, hers) = databases(VIEWS);
    let (proxy, mut direct, mut amy) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    for sql in READS {
        let (expected, simple, prepared) = (direct.query(sql), amy.query(sql), amy.extended(sql, &[]));
        for got in [simple, prepared] {
            if shown(&got) != shown(&expected) || got.failure().is_some() {
                wrong.push(format!(
                    "{sql}: {:.600} not {:.600} {:?}",
                    shown(&got),
                    shown(&expected),
                    got.failure()
                ));
            }
        }
    }
    for query in [
        "TABLE clinic.v_women",
        "TABLE /* all */ clinic.v_both",
        "WITH w AS (TABLE clinic.v_last_note) SELECT * FROM w",
        "SELECT patient_id FROM clinic.patient WHERE name IN (SELECT v.name FROM (TABLE clinic.v_women) v)",
        "TABLE clinic.patient",
    ] {
        let sql = format!("COPY ({query}) TO STDOUT");
        let rows = |wire: &mut Wire| {
            let reply = wire.query(&sql);
            let mut rows: Vec<_> =
                reply.messages.into_iter().filter(|m| m.tag != b'Z').map(|m| (m.tag, m.body)).collect();
            rows.sort();
            rows
        };
        let (expected, got) = (rows(&mut direct), rows(&mut amy));
        if expected != got {
            wrong.push(format!("{sql}: {got:.300?} not {expected:.300?}"));
        }
    }
    assert_none(&wrong, 2 * READS.len() + 5);
    assert_no_canary(&amy);
    // A definition's names are not the session's: pg_stats in it stays the server's.
    amy.query("CREATE TEMP TABLE pg_stats (tablename text, most_common_vals text)");
    assert!(amy.query("SELECT * FROM clinic.v_statistics").failure().is_some());
    assert!(amy.query("UPDATE clinic.v_women SET name = 'x'").failure().is_some());
    // A view that is made of something else is noticed.
    amy.ok("SELECT name FROM clinic.v_changing");
    whole.server().psql(
        whole.name(),
        "CREATE OR REPLACE VIEW clinic.v_changing AS SELECT patient_id, most_common_vals::text AS name FROM clinic.patient, pg_stats",
    );
    let refused = || amy.query("SELECT name FROM clinic.v_changing").failure().is_some();
    assert!(within(Duration::from_secs(10), refused));
    // While somebody changes a table that views read, statements on others are answered.
    let mut gus = Wire::direct(&whole, "dba_gus");
    gus.ok("BEGIN");
    gus.ok("LOCK TABLE clinic.patient IN ACCESS EXCLUSIVE MODE");
    whole.server().psql(whole.name(), "CREATE TABLE clinic.another (x int)");
    std::thread::sleep(Duration::from_millis(1500));
    amy.ok("SELECT count(*) FROM clinic.ward");
    gus.ok("ROLLBACK");
    let open = || amy.query("SELECT name FROM clinic.v_women").failure().is_none();
    assert!(within(Duration::from_secs(10), open), "the definition is asked for again");
    drop(proxy);
}

/// The nested loop asks the ward's condition only when a note was found, before its patient is looked at.
#[test]
fn a_condition_beside_hidden_rows_does_not_run_because_of_them() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut amy) = pair(&whole, &hers);
    let fails =
        "SELECT w.ward_id FROM clinic.ward w WHERE 1 / (CASE WHEN w.ward_id > 0 THEN 0 ELSE 1 END) > 0";
    let mut wrong = Vec::new();
    for wire in [&mut direct, &mut amy] {
        wire.ok("SET from_collapse_limit = 1");
        wire.ok("SET join_collapse_limit = 1");
    }
    for sql in [
        // The key decides the other columns, also behind a fence.
        "SELECT p.name, count(*) FROM clinic.patient p JOIN clinic.note n USING (patient_id) \
         WHERE 1000000 / p.patient_id > 0 GROUP BY p.patient_id ORDER BY p.patient_id"
            .to_owned(),
        "SELECT p.patient_id, p.name, count(n.note_id) AS n FROM clinic.patient p LEFT JOIN clinic.note n ON n.patient_id = p.patient_id \
         AND 100 / n.note_id >= 0 WHERE 1000000 / p.patient_id > 0 GROUP BY 1 ORDER BY n DESC, 1"
            .to_owned(),
        "SELECT p.patient_id AS id, p.name, (SELECT count(*) FROM clinic.note v WHERE v.patient_id = p.patient_id) FROM clinic.patient p \
         WHERE extract(year FROM age(p.birth_date)) > 0 GROUP BY id ORDER BY id"
            .to_owned(),
        "SELECT count(*), count(name) FROM clinic.patient TABLESAMPLE SYSTEM (100)".to_owned(),
        format!("SELECT 1 FROM clinic.note b, ({fails}) x WHERE b.body LIKE 'CANARY%'"),
        format!("SELECT 1 FROM clinic.note b CROSS JOIN ({fails} OFFSET 0) x WHERE b.body LIKE 'CANARY%'"),
        format!(
            "WITH x AS MATERIALIZED ({fails}) SELECT 1 FROM clinic.note b, x WHERE b.body LIKE 'CANARY%'"
        ),
    ] {
        compare(&mut wrong, "simple", &sql, &direct.query(&sql), &amy.query(&sql));
    }
    assert_none(&wrong, 7);
}

/// Types that are not built in, beside the operators that `citext` and `hstore` bring with them.
const TYPES: &str = "
CREATE EXTENSION citext SCHEMA public;
CREATE TYPE clinic.state AS ENUM ('new', 'known', 'closed');
CREATE DOMAIN clinic.code AS varchar(8) CHECK (VALUE <> '');
ALTER TABLE clinic.problem ADD state clinic.state, ADD tags text[], ADD code clinic.code, ADD period daterange, ADD words tsvector;
UPDATE clinic.problem SET state = (enum_range(NULL::clinic.state))[1 + problem_id % 3], tags = ARRAY['t' || problem_id % 2, icd10],
    code = 'c' || problem_id % 5, period = daterange(onset, NULL), words = title::tsvector;
ALTER TABLE clinic.allergy ADD nick public.citext;
UPDATE clinic.allergy SET nick = 'Nick' || allergy_id % 4;";

const TYPED: &[&str] = &[
    "SELECT problem_id, state FROM clinic.problem WHERE state = 'known' ORDER BY 1",
    "SELECT state, count(*) FROM clinic.problem WHERE state IN ('known', 'closed') AND tags[1] = 't1' GROUP BY state ORDER BY state",
    "SELECT p.problem_id, o.problem_id FROM clinic.problem p JOIN clinic.problem o ON o.patient_id = p.patient_id \
     AND o.state IS NOT DISTINCT FROM p.state AND o.state < 'closed' WHERE p.icd10 ~ '^[A-Z]' ORDER BY 1, 2",
    "SELECT p.problem_id, a.nick FROM clinic.problem p LEFT JOIN clinic.allergy a ON a.patient_id = p.patient_id \
     AND a.nick = 'nick2' AND p.state <> 'new' ORDER BY 1, 2",
    "SELECT p.* FROM clinic.problem p WHERE 100 / p.problem_id >= 0 GROUP BY p.problem_id ORDER BY p.problem_id",
    "SELECT state, tags, code, period, words FROM clinic.problem WHERE 100 / problem_id >= 0 GROUP BY problem_id ORDER BY problem_id",
    "SELECT tags[1], count(*) FROM clinic.problem GROUP BY tags[1] ORDER BY 1",
    "SELECT p.patient_id, d::date, count(n.note_id) FROM clinic.patient p \
     CROSS JOIN generate_series(current_date - 3, current_date, interval '1 day') d \
     LEFT JOIN clinic.note n ON n.patient_id = p.patient_id AND n.written_at::date = d::date GROUP BY 1, 2 ORDER BY 1, 2",
];

#[test]
fn enums_ranges_and_domains_read_as_they_do_directly() {
    let (whole, hers) = databases(TYPES);
    let (_proxy, mut direct, mut amy) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    for sql in TYPED {
        let (expected, simple, prepared) = (direct.query(sql), amy.query(sql), amy.extended(sql, &[]));
        for got in [simple, prepared] {
            if got.rows() != expected.rows() || got.failure().is_some() || expected.rows().is_empty() {
                wrong.push(format!("{sql}: {:?} {:?}", got.failure(), expected.failure()));
            }
        }
    }
    assert_none(&wrong, 2 * TYPED.len());
    assert_no_canary(&amy);
}

/// What the fences rest on, version by version: `OFFSET 0` is not documented to keep conditions out.
#[test]
fn offset_0_keeps_conditions_outside() {
    let database = crate::common::Postgres::shared().demo();
    let mut gus = Wire::direct(&database, "dba_gus");
    let inner = "(SELECT ward_id, name FROM clinic.ward WHERE ward_id > 0 OFFSET 0)";
    for sql in [
        format!("SELECT * FROM {inner} x WHERE 100 / length(name) > 1"),
        format!(
            "SELECT * FROM {inner} x JOIN clinic.drug d ON d.drug_id = x.ward_id WHERE 100 / length(x.name) > 1"
        ),
        format!("SELECT * FROM {inner} x WHERE name = 'x' AND 100 / length(name) > 1"),
    ] {
        let plan = gus.ok(&format!("EXPLAIN (COSTS OFF) {sql}")).firsts();
        let line = |what: &str| plan.iter().position(|l| l.contains(what));
        let (fence, scan) = (line("Subquery Scan on x"), line(" on ward"));
        let filter = plan.iter().position(|l| l.contains("length"));
        assert!(fence.is_some() && fence < filter && filter < scan, "{sql}\n{plan:#?}");
        assert!(line("Limit").is_none(), "{plan:#?}");
    }
    // The outer half of a split fence costs nothing.
    let shown = format!(
        "SELECT p.name FROM {inner} f, LATERAL (SELECT f.name AS name) p WHERE 100 / length(p.name) > 1"
    );
    let plan = gus.ok(&format!("EXPLAIN (COSTS OFF) {shown}")).firsts();
    assert!(!plan.iter().any(|l| l.contains("Nested Loop")), "{plan:#?}");
}

/// A table named with its schema carries an alias for its guard: what names the schema before the table's columns, or
/// its whole row, still means it.
#[test]
fn columns_named_with_the_schema_are_found_wherever_they_stand() {
    let more = "ALTER TABLE clinic.patient ADD tags text[], ADD doc jsonb; ALTER TABLE clinic.encounter ADD tags text[];
        UPDATE clinic.patient SET tags = ARRAY[sex, name, mrn], doc = jsonb_build_object('n', jsonb_build_array(name, patient_id));
        UPDATE clinic.encounter SET tags = ARRAY[complaint, 'x'];
        GRANT SELECT, INSERT, UPDATE, DELETE ON clinic.patient, clinic.encounter TO nurse, dba";
    let reads = [
        "SELECT clinic.patient.tags[1] FROM clinic.patient ORDER BY clinic.patient.tags[2], clinic.patient.patient_id",
        "SELECT clinic.patient.tags[1:2], clinic.patient.tags[:2][1:] FROM clinic.patient",
        "SELECT \"clinic\".\"patient\".\"doc\"['n'][1], clinic.patient.doc['n'][0]::text FROM \"clinic\".\"patient\"",
        "SELECT CLINIC.Patient.TAGS[1] COLLATE \"C\" AS t FROM clinic.patient WHERE clinic.patient.tags[1] = 'F' ORDER BY 1",
        "SELECT clinic.patient.tags[1], count(*) FROM clinic.patient GROUP BY clinic.patient.tags[1] HAVING max(clinic.patient.tags[2]) > 'A' ORDER BY 1",
        "SELECT clinic.patient.tags[1], count(clinic.patient.*) FROM clinic.patient GROUP BY GROUPING SETS ((clinic.patient.tags[1]), ()) ORDER BY 1",
        "SELECT clinic.patient.tags[1], count(*) FROM clinic.patient GROUP BY ROLLUP (clinic.patient.tags[1], clinic.patient.tags[3]) ORDER BY 1, 2",
        "SELECT DISTINCT ON (clinic.patient.tags[1]) clinic.patient.patient_id FROM clinic.patient ORDER BY clinic.patient.tags[1], 1",
        "SELECT max(clinic.patient.tags[2]), min(clinic.patient.doc['n']->>0) FROM clinic.patient",
        "SELECT count(clinic.patient.*), count(*) FROM clinic.patient",
        "SELECT to_jsonb(clinic.patient.*)->>'patient_id' FROM clinic.patient ORDER BY 1",
        "SELECT row_to_json(clinic.patient.*)::text, clinic.patient.* FROM clinic.patient ORDER BY clinic.patient.patient_id",
        "SELECT rank() OVER w, sum(length(clinic.patient.tags[2])) OVER (PARTITION BY clinic.patient.tags[1] ORDER BY clinic.patient.patient_id) \
         FROM clinic.patient WINDOW w AS (PARTITION BY clinic.patient.tags[1] ORDER BY clinic.patient.tags[2], clinic.patient.patient_id) ORDER BY 1, 2",
        "SELECT clinic.encounter.tags[1], clinic.patient.tags[1] FROM clinic.patient JOIN clinic.encounter \
         ON clinic.encounter.patient_id = clinic.patient.patient_id AND clinic.encounter.tags[2] = 'x'",
        "SELECT clinic.patient.tags[1] FROM clinic.patient LEFT JOIN clinic.encounter ON clinic.encounter.patient_id = clinic.patient.patient_id \
         AND clinic.encounter.tags[1] = clinic.patient.tags[2] \
         WHERE clinic.encounter.tags[1] IS NULL",
        "SELECT name FROM clinic.patient WHERE EXISTS (SELECT FROM clinic.encounter \
         WHERE clinic.encounter.patient_id = clinic.patient.patient_id AND clinic.encounter.tags[1] <> clinic.patient.tags[2])",
        "SELECT CASE WHEN clinic.patient.tags[1] = 'F' THEN clinic.patient.tags[2] END FROM clinic.patient",
        "SELECT (clinic.patient.tags)[1], (clinic.patient.tags[1]), clinic.patient.tags[1]::varchar(3) FROM clinic.patient",
        "SELECT count(*) FROM clinic.patient WHERE (clinic.patient.tags[1])::text IS NOT NULL AND clinic.patient.* IS NOT NULL",
        "SELECT clinic.patient.tags[array_length(clinic.patient.tags, 1)] FROM clinic.patient",
        "SELECT @.clinic.patient.tags[1], @.clinic.patient.name, count(@.clinic.patient.*) FROM @.clinic.patient GROUP BY 1, 2 ORDER BY 2, 1",
        "SELECT clinic.patient.tags[1] FROM patient ORDER BY clinic.patient.patient_id",
        "SELECT clinic.patient.name, count(clinic.patient.*) FROM patient GROUP BY clinic.patient.name ORDER BY 1",
    ];
    let writes = [
        "UPDATE clinic.patient SET language = clinic.patient.tags[1] WHERE clinic.patient.tags[1] = 'F' RETURNING clinic.patient.tags[1], clinic.patient.language",
        "UPDATE clinic.encounter SET tags[2] = clinic.encounter.tags[1] WHERE clinic.encounter.tags[2] = 'x' RETURNING to_jsonb(clinic.encounter.*)->>'tags'",
        "UPDATE clinic.encounter SET complaint = clinic.patient.tags[1] FROM clinic.patient WHERE clinic.patient.patient_id = clinic.encounter.patient_id",
        "DELETE FROM clinic.encounter WHERE clinic.encounter.tags[1] = 'x' RETURNING clinic.encounter.tags[1]",
        "INSERT INTO clinic.patient (patient_id, mrn, name, sex, birth_date) VALUES (880003, 'm', 'n', 'F', '1990-03-04') \
         ON CONFLICT (patient_id) DO UPDATE SET language = clinic.patient.tags[1] RETURNING clinic.patient.tags[1], clinic.patient.doc['n'][1]",
    ];
    let (whole, hers) = databases(more);
    let (proxy, mut direct, mut amy) = pair(&whole, &hers);
    let (mut server, mut gus) = (Wire::direct(&whole, "dba_gus"), Wire::through(&proxy, &whole, "dba_gus"));
    let mut wrong = Vec::new();
    let mut ask = |who: &str, direct: &mut Wire, through: &mut Wire, sql: &str, base: [&str; 2]| {
        let asked = [direct, through].into_iter().zip(base).map(|(wire, name)| {
            let sql = sql.replace('@', name);
            wire.ok("SET search_path = clinic, public");
            // One after the other: a role that sees everyone writes the same rows both times.
            [false, true].map(|extended| {
                wire.ok("BEGIN");
                let reply = if extended { wire.extended(&sql, &[]) } else { wire.query(&sql) };
                wire.ok("ROLLBACK");
                reply
            })
        });
        let [expected, got] = <[_; 2]>::try_from(asked.collect::<Vec<_>>()).expect("two");
        if let Some(failure) = expected[0].failure() {
            wrong.push(format!("{sql}: {failure:?}"));
        }
        for (expected, got) in expected.iter().zip(&got) {
            compare(&mut wrong, who, sql, expected, got);
        }
    };
    for sql in reads.iter().chain(&writes) {
        ask("amy", &mut direct, &mut amy, sql, [hers.name(), whole.name()]);
        ask("gus", &mut server, &mut gus, sql, [whole.name(), whole.name()]);
    }
    assert_none(&wrong, 4 * (reads.len() + writes.len()));
    // Without the schema the name would mean something else.
    let torn = [
        "SELECT name, (SELECT count(*) FROM clinic.encounter patient WHERE patient.patient_id = clinic.patient.patient_id) FROM clinic.patient",
        "SELECT name, v.n FROM clinic.patient, LATERAL (SELECT count(*) AS n FROM (VALUES (880003)) patient (patient_id) \
         WHERE patient.patient_id = clinic.patient.patient_id) v",
        "WITH patient AS (SELECT 880003 AS patient_id) SELECT name FROM clinic.patient \
         WHERE EXISTS (SELECT FROM patient WHERE patient.patient_id = clinic.patient.patient_id)",
        "UPDATE clinic.patient SET name = 'x' WHERE EXISTS (SELECT FROM clinic.ward patient WHERE clinic.patient.patient_id = 880003)",
    ];
    for sql in torn {
        let failure = amy.query(sql).failure();
        assert!(failure.as_ref().is_some_and(|f| f.sqlstate == "42501"), "{sql}: {failure:?}");
        // Who sees everyone has it unguarded, recorded as possibly every patient.
        let [expected, got] = [&mut server, &mut gus].map(|wire| {
            wire.ok("BEGIN");
            let reply = wire.query(sql);
            wire.ok("ROLLBACK");
            reply
        });
        assert_eq!(got.rows(), expected.rows(), "{sql}");
    }
    let aliased = "SELECT name, (SELECT count(*) FROM clinic.encounter e WHERE e.patient_id = clinic.patient.patient_id) FROM clinic.patient \
                   UNION ALL SELECT name, (SELECT count(*) FROM clinic.patient WHERE clinic.patient.sex = 'F') FROM clinic.patient p";
    assert!(amy.query(aliased).failure().is_none(), "{:?}", amy.query(aliased));
}
