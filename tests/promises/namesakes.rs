//! Tables of one name in different schemas, told apart by their schemas alone: as without a proxy (P1, P2).

use crate::common::Proxy;
use crate::p2_enforcement::{assert_no_canary, databases};
use crate::support::{amys, hide, replaced};
use crate::wire::Wire;

const STATEMENTS: &[&str] = &[
    "SELECT clinic.patient.name, annex.patient.word FROM clinic.patient, annex.patient WHERE clinic.patient.patient_id = annex.patient.patient_id ORDER BY 1",
    "SELECT clinic.patient.name, annex.patient.word FROM clinic.patient JOIN annex.patient ON annex.patient.patient_id = clinic.patient.patient_id ORDER BY 1",
    "SELECT count(*), count(annex.patient.*), max(annex.patient.word) FROM clinic.patient LEFT JOIN annex.patient USING (patient_id)",
    "SELECT * FROM clinic.patient NATURAL JOIN annex.patient ORDER BY patient_id",
    "SELECT annex.patient.*, clinic.patient.* FROM annex.patient RIGHT JOIN clinic.patient ON annex.patient.patient_id = clinic.patient.patient_id \
     AND annex.patient.number > 3 ORDER BY clinic.patient.patient_id",
    "SELECT name, word FROM clinic.patient, annex.patient WHERE clinic.patient.patient_id = annex.patient.patient_id AND 100 / annex.patient.number > 1 ORDER BY 1",
    "SELECT name, word FROM (clinic.patient JOIN annex.patient ON clinic.patient.patient_id = annex.patient.patient_id) \
     WHERE left(annex.patient.word, 1)::int + 1 > 0 ORDER BY 1",
    "SELECT clinic.patient.name, (SELECT count(*) FROM clinic.note WHERE clinic.note.patient_id = annex.patient.patient_id), x.n \
     FROM clinic.patient, annex.patient, LATERAL (SELECT count(*) AS n FROM clinic.problem p WHERE p.patient_id = annex.patient.patient_id) x \
     WHERE clinic.patient.patient_id = annex.patient.patient_id ORDER BY 1",
    "SELECT clinic.patient.sex, count(annex.patient.word) FROM clinic.patient, annex.patient WHERE clinic.patient.patient_id = annex.patient.patient_id \
     GROUP BY clinic.patient.sex HAVING min(annex.patient.number) >= 0 ORDER BY clinic.patient.sex",
    "WITH j AS (SELECT annex.patient.word AS w FROM clinic.patient, annex.patient WHERE clinic.patient.patient_id = annex.patient.patient_id) SELECT w FROM j ORDER BY w",
    // Beside a reference table.
    "SELECT clinic.encounter.encounter_id, annex.encounter.title FROM clinic.encounter JOIN annex.encounter ON annex.encounter.kind = clinic.encounter.kind ORDER BY 1",
    // Each in a block of its own, as before, and again inside.
    "SELECT name FROM clinic.patient WHERE EXISTS (SELECT FROM annex.patient WHERE annex.patient.patient_id = clinic.patient.patient_id AND annex.patient.number > 2) ORDER BY 1",
    "SELECT clinic.patient.name FROM clinic.patient, annex.patient WHERE clinic.patient.patient_id = annex.patient.patient_id AND EXISTS \
     (SELECT FROM clinic.patient WHERE clinic.patient.name > annex.patient.word) ORDER BY 1",
    // Writes.
    "UPDATE annex.patient SET word = clinic.patient.name FROM clinic.patient WHERE clinic.patient.patient_id = annex.patient.patient_id AND clinic.patient.sex = 'F' RETURNING annex.patient.word",
    "UPDATE annex.patient SET word = clinic.patient.name FROM clinic.patient WHERE clinic.patient.patient_id = annex.patient.patient_id AND 100 / length(clinic.patient.mrn) > 1",
    "DELETE FROM annex.patient USING clinic.patient WHERE clinic.patient.patient_id = annex.patient.patient_id AND clinic.patient.sex = 'M' RETURNING annex.patient.patient_id",
    // The server's to refuse: the name alone, one table twice.
    "SELECT patient.word FROM clinic.patient, annex.patient",
    "SELECT 1 FROM clinic.patient, clinic.patient",
    "SELECT 1 FROM clinic.patient, annex.patient, annex.patient",
    "SELECT annex.patient.nothing FROM clinic.patient, annex.patient",
];

fn stage(config: String) -> String {
    replaced(
        hide(config),
        "[reference]\ntables = [",
        "[[table]]\nname = \"annex.patient\"\nclass = \"demographics\"\nkey = \"patient_id\"\n\n[reference]\ntables = [\"annex.encounter\", ",
    )
}

#[test]
fn tables_of_one_name_are_told_apart_by_their_schemas() {
    let (whole, hers) = databases(
        "CREATE SCHEMA annex; CREATE TABLE annex.patient (patient_id int8 PRIMARY KEY, word text, number int4); \
         INSERT INTO annex.patient SELECT patient_id, CASE WHEN patient_id = 880001 THEN 'CANARY' ELSE patient_id::text END, patient_id % 7 + 1 FROM clinic.patient; \
         CREATE TABLE annex.encounter (kind text, title text); INSERT INTO annex.encounter VALUES ('inpatient', 'In'), ('emergency', 'Out'); \
         GRANT USAGE ON SCHEMA annex TO nurse, dba; GRANT ALL ON ALL TABLES IN SCHEMA annex TO nurse, dba; ANALYZE annex.patient",
    );
    let extra = format!("DELETE FROM annex.patient WHERE patient_id NOT IN ({})", amys());
    hers.server().psql(hers.name(), &extra);
    let proxy = Proxy::start_with(&whole, stage);
    let (mut direct, mut through) =
        (Wire::direct(&hers, "nurse_amy"), Wire::through(&proxy, &whole, "nurse_amy"));
    let (mut server, mut gus) = (Wire::direct(&whole, "dba_gus"), Wire::through(&proxy, &whole, "dba_gus"));
    let mut wrong = Vec::new();
    for sql in STATEMENTS {
        for (who, direct, through) in [("amy", &mut direct, &mut through), ("gus", &mut server, &mut gus)] {
            for extended in [false, true] {
                let [expected, got] = [&mut *direct, &mut *through].map(|wire| {
                    wire.ok("BEGIN");
                    let got = if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
                    wire.ok("ROLLBACK");
                    let names: Vec<_> = got.columns().into_iter().flatten().map(|c| c.name).collect();
                    let mut rows = got.rows();
                    if !sql.contains("ORDER BY") {
                        rows.sort();
                    }
                    (got.failure().map(|f| f.sqlstate), got.commands(), names, rows)
                });
                if expected != got {
                    wrong.push(format!("{who}: {sql}\n   {expected:?}\n   {got:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_no_canary(&through);
}
