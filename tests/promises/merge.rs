//! MERGE, and inserts that refer to each other, through the proxy: what it changes and counts is what it would on a database without the others' patients,
//! theirs stay as they are, and the record names everyone whose rows it could have met.

use crate::common::{Database, Proxy, patients_of_amy};
use crate::p2_enforcement::{assert_no_canary, databases};
use crate::support::{amys, has_merge, hide, told};
use crate::wire::Wire;

const GRANTS: &str = "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse";

const MERGES: &[&str] = &[
    "MERGE INTO clinic.problem t USING (VALUES (900001, 880003, 'I10'), (900002, 880015, 'E11.9')) AS s(id, p, c) \
     ON t.patient_id = s.p AND t.icd10 = s.c WHEN MATCHED THEN UPDATE SET title = 'again' WHEN NOT MATCHED THEN \
     INSERT (problem_id, patient_id, icd10, title, status) VALUES (s.id, s.p, s.c, 'new', 'active')",
    // Others have the same problems: theirs are no match.
    "MERGE INTO clinic.problem t USING (SELECT min(i.icd10) AS c FROM clinic.problem i) s ON t.icd10 = s.c AND t.title = 'nothing of hers' \
     WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (900003, 880003, s.c, 'none', NULL, 'active')",
    "MERGE INTO clinic.problem AS t USING clinic.patient p ON t.patient_id = p.patient_id AND t.title::text ILIKE '%e%' \
     WHEN MATCHED AND p.sex = 'F' THEN UPDATE SET title = p.name WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN \
     INSERT (problem_id, patient_id, icd10, title, status) VALUES (p.patient_id, p.patient_id, 'Z00', p.name, 'active')",
    "WITH s AS (SELECT order_id, min(ordered_at) AS at FROM clinic.lab_order WHERE patient_id IS NOT NULL GROUP BY order_id) \
     MERGE INTO clinic.lab_result r USING s ON r.order_id = s.order_id AND 10 / (r.result_id % 7 + 1) > 1 WHEN MATCHED THEN UPDATE SET unit = 'u' \
     WHEN NOT MATCHED THEN INSERT (result_id, order_id, analyte, unit, resulted_at) VALUES (s.order_id + 900000, s.order_id, 'x', 'y', s.at)",
    "MERGE INTO clinic.allergy a USING clinic.patient p ON a.patient_id = p.patient_id AND a.severity = 'severe' WHEN MATCHED THEN DELETE",
];

const OWN: &str = "SELECT 1, problem_id::text, p::text FROM clinic.problem p UNION ALL SELECT 2, result_id::text, r::text \
    FROM clinic.lab_result r UNION ALL SELECT 3, allergy_id::text, a::text FROM clinic.allergy a ORDER BY 1, 2";

/// Rows of others, as one sum.
fn others(database: &Database<'_>) -> String {
    let tables = ["problem", "allergy"].map(|t| {
        format!("SELECT x::text AS r FROM clinic.{t} x WHERE (patient_id IN ({})) IS NOT TRUE", amys())
    });
    let results = format!(
        "SELECT r::text FROM clinic.lab_result r LEFT JOIN clinic.lab_order o USING (order_id) WHERE (patient_id IN ({})) IS NOT TRUE",
        amys()
    );
    let sql = format!(
        "SELECT md5(string_agg(r, '' ORDER BY r)) FROM ({} UNION ALL {results}) x",
        tables.join(" UNION ALL ")
    );
    database.server().psql(database.name(), &sql)
}

#[test]
fn merge_does_what_it_would_without_the_others() {
    let (whole, hers) = databases(GRANTS);
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let mut direct = Wire::direct(&hers, "nurse_amy");
    if !has_merge(&mut direct) {
        return;
    }
    let before = others(&whole);
    for extended in [false, true] {
        for sql in MERGES {
            let sql = format!("{sql} /* extended: {extended} */");
            let (mut expected, mut got) = (Vec::new(), Vec::new());
            for (session, seen) in [(&mut direct, &mut expected), (&mut amy, &mut got)] {
                session.ok("BEGIN");
                let reply = if extended { session.extended(&sql, &[]) } else { session.query(&sql) };
                assert!(reply.failure().is_none(), "{sql}: {:?}", reply.failure());
                seen.push(format!("{:?} {:?}", reply.commands(), reply.columns()));
                seen.push(format!("{:?}", session.ok(OWN).rows()));
                session.ok("ROLLBACK");
            }
            assert_eq!(got, expected, "{sql}");
            let told = told(&proxy, &sql);
            assert_eq!(told.exact, Some(false), "{sql}: {told:?}");
            assert!(
                !told.all_patients && patients_of_amy().iter().all(|p| told.names(&p.to_string())),
                "{sql}: {told:?}"
            );
            assert_eq!(told.patients.len(), patients_of_amy().len(), "{sql}: {told:?}");
        }
    }
    // In autocommit, with parameters.
    let sql = "MERGE INTO clinic.problem t USING (SELECT $1::int8 AS id, $2::int8 AS p) s ON t.problem_id = s.id WHEN MATCHED THEN \
        UPDATE SET title = $3 WHEN NOT MATCHED THEN INSERT (problem_id, patient_id, icd10, title, status) VALUES ($1, s.p, 'I10', $3, 'active')";
    for _ in 0..2 {
        assert_eq!(amy.extended(sql, &["900010", "880003", "x"]).commands(), ["MERGE 1"]);
    }
    let refused = amy.extended(sql, &["900011", "880020", "x"]).refusal();
    assert_eq!(
        (refused.sqlstate.as_str(), refused.gls().as_deref()),
        ("42501", Some("GLS-201")),
        "{refused:?}"
    );
    assert_eq!(others(&whole), before);
    assert_no_canary(&amy);
}

/// The patient of a row can be told by one that the same statement inserts.
#[test]
fn a_row_and_rows_that_refer_to_it_are_inserted_together() {
    let (whole, hers) = databases(GRANTS);
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let mut direct = Wire::direct(&hers, "nurse_amy");
    let family = |patient: i64, order: &str| {
        format!(
            "WITH o AS (INSERT INTO clinic.lab_order (order_id, patient_id, panel, ordered_by, ordered_at) VALUES (900001, {patient}, 'p', 'a', now()) \
             RETURNING order_id, panel) INSERT INTO clinic.lab_result (result_id, order_id, analyte, unit, resulted_at) \
             SELECT 900000 + n, {order}, 'x' || n, panel, now() FROM o, generate_series(1, 2) n RETURNING result_id, order_id, analyte"
        )
    };
    for extended in [false, true] {
        let sql = format!("{} /* extended: {extended} */", family(880_003, "order_id"));
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        for (session, seen) in [(&mut direct, &mut expected), (&mut amy, &mut got)] {
            session.ok("BEGIN");
            let reply = if extended { session.extended(&sql, &[]) } else { session.query(&sql) };
            assert!(reply.failure().is_none(), "{sql}: {:?}", reply.failure());
            seen.push(format!("{:?} {:?} {:?}", reply.commands(), reply.columns(), reply.rows()));
            session.ok("ROLLBACK");
        }
        assert_eq!(got, expected, "{sql}");
        let told = told(&proxy, &sql);
        assert_eq!(told.patients.iter().collect::<Vec<_>>(), ["880003"], "{told:?}");
        assert!(!told.all_patients, "{told:?}");
    }
    let hidden = "(SELECT min(order_id) FROM clinic.lab_order WHERE patient_id = 880001)";
    let hidden = whole.server().psql(whole.name(), hidden.trim_matches(['(', ')']));
    for sql in [family(880_001, "order_id"), family(880_003, hidden.trim())] {
        assert_eq!(amy.query(&sql).refusal().gls().as_deref(), Some("GLS-201"), "{sql}");
    }
    assert_no_canary(&amy);
}
