//! Texts that pass, texts that must not, and mutations of good texts.

mod fences;
mod masks;
mod parameters;

use proptest::prelude::*;

use super::{CheckContext, CheckFailure, ParameterSource, check};
use crate::policy::{
    Access, DerivedShape, GuardParams, Mask, Outside, Scope, TableMasks, Variant, derived_table,
};
use crate::sql::fixture::{Clinic, role};
use crate::sql::parse::parse;
use crate::sql::resolve::{Decision, decide};

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Pass,
    Fence,
    Fail,
}

fn run(clinic: &Clinic, text: &str) -> Seen {
    run_with(clinic, text, ParameterSource::UNDECLARED)
}

fn run_with(clinic: &Clinic, text: &str, source: ParameterSource<'_>) -> Seen {
    let sql = clinic.fill(text);
    match check(&sql, &CheckContext { source, ..clinic.check_context() }) {
        Ok(()) => Seen::Pass,
        Err(CheckFailure::NeedsFence(_)) => Seen::Fence,
        Err(CheckFailure::Failed(_) | CheckFailure::Cell(_)) => Seen::Fail,
    }
}

#[track_caller]
fn all(expected: Seen, clinic: &Clinic, texts: &[&str]) {
    for text in texts {
        let sql = clinic.fill(text);
        let seen = run(clinic, text);
        assert_eq!(seen, expected, "{text}\n{:?}", check(&sql, &clinic.check_context()));
    }
}

const PLACED: &[&str] = &[
    "SELECT * FROM patients WHERE {patients patients}",
    "SELECT p.name FROM patients p WHERE p.mrn = $1 AND {patients p}",
    "SELECT p.name FROM patients p WHERE (p.mrn = $1 OR true) AND {patients p}",
    "SELECT p.name, {key patients p} AS __glass_k1 FROM patients p WHERE {patients p}",
    "SELECT 1 FROM patients p JOIN notes n ON n.mrn = p.mrn WHERE {patients p} AND {notes n}",
    "SELECT 1 FROM patients p, notes n WHERE n.mrn = p.mrn AND {patients p} AND {notes n}",
    "SELECT 1 FROM patients p LEFT JOIN notes n ON n.mrn = p.mrn AND {notes n} WHERE {patients p}",
    "SELECT 1 FROM notes n RIGHT JOIN patients p ON n.mrn = p.mrn AND {notes n} WHERE {patients p}",
    "SELECT 1 FROM ward w LEFT JOIN (patients p JOIN notes n ON n.mrn = p.mrn) ON w.mrn = p.mrn AND {patients p} AND {notes n}",
    "SELECT 1 FROM (SELECT * FROM patients p WHERE {patients p}) a FULL JOIN (SELECT * FROM notes n WHERE {notes n}) b ON a.mrn = b.mrn",
    "SELECT * FROM ward w WHERE EXISTS (SELECT 1 FROM patients p WHERE p.mrn = w.mrn AND {patients p})",
    "WITH c AS (SELECT * FROM patients p WHERE {patients p}) SELECT * FROM c WHERE c.mrn = 2",
    "WITH patients AS (SELECT 1 AS mrn) SELECT * FROM patients",
    "WITH RECURSIVE c AS (SELECT mrn FROM patients p WHERE {patients p} UNION SELECT c.mrn FROM c JOIN notes n ON n.mrn = c.mrn WHERE {notes n}) SELECT * FROM c",
    "SELECT mrn FROM patients p WHERE {patients p} UNION ALL SELECT mrn FROM notes n WHERE {notes n}",
    "SELECT r.value, {key results r} AS __glass_k1 FROM results r WHERE {results r}",
    "SELECT r.unit, count(*), array_agg(DISTINCT {key results r}) AS __glass_s1 FROM results r WHERE {results r} GROUP BY r.unit",
    "SELECT * FROM ONLY patients WHERE {patients patients}",
    "SELECT * FROM patients_2024 c WHERE {patients_2024 c}",
    "SELECT p FROM patients p WHERE {patients p}",
    "UPDATE patients p SET name = $1 WHERE p.mrn = 1 AND {patients p} RETURNING {key patients p} AS __glass_k1",
    "UPDATE patients p SET mrn = $1 WHERE {patients p} RETURNING {new patients p} AS __glass_c1",
    "UPDATE notes n SET body = p.name FROM patients p WHERE p.mrn = n.mrn AND {notes n} AND {patients p}",
    "DELETE FROM notes n USING patients p WHERE p.mrn = n.mrn AND {notes n} AND {patients p}",
    "INSERT INTO patients (mrn, name) VALUES ($1, $2) RETURNING {new patients patients} AS __glass_c1",
    "INSERT INTO results AS r VALUES (1, 2) RETURNING r.value, {new results r} AS __glass_c1, {key results r} AS __glass_k1",
    "INSERT INTO notes (mrn) SELECT p.mrn FROM patients p WHERE {patients p} RETURNING {new notes notes} AS __glass_c1",
    "WITH x AS (DELETE FROM notes n WHERE {notes n} RETURNING *) SELECT * FROM x",
    "INSERT INTO patients (mrn) VALUES (CASE WHEN {merged patients 1} THEN (1)::bigint END) ON CONFLICT DO NOTHING RETURNING {new patients patients} AS __glass_c1",
    "INSERT INTO patients (name, mrn) VALUES (DEFAULT, CASE WHEN {merged patients $1} THEN ($1)::bigint END), ('x', CASE WHEN {merged patients '2'} THEN ('2')::bigint END) ON CONFLICT (mrn) DO NOTHING RETURNING {new patients patients} AS __glass_c1",
    "INSERT INTO notes (mrn, body) WITH __glass_z1 (mrn, body) AS MATERIALIZED (SELECT p.mrn, p.name FROM patients p WHERE {patients p}) SELECT * FROM __glass_z1 WHERE ({new notes __glass_z1}) IS NULL ON CONFLICT DO NOTHING RETURNING {new notes notes} AS __glass_c1",
    "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = excluded.name WHERE {patients patients} AND {proposed patients} RETURNING {new patients patients} AS __glass_c1",
    "INSERT INTO patients AS p (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET mrn = 2 WHERE (CASE WHEN pg_catalog.now() IS NOT NULL THEN p.visits > 3 END) AND {patients p} AND {proposed patients} RETURNING {new patients p} AS __glass_c1",
    "INSERT INTO patients AS p (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET mrn = 2 WHERE (CASE WHEN {visible patients p} THEN (1 / p.visits > 3) END) AND {patients p} AND {proposed patients} RETURNING {new patients p} AS __glass_c1",
    "UPDATE patients p SET name = 'x' WHERE CASE WHEN {visible patients p} THEN (1 / p.visits > 3) END AND {patients p}",
    "DELETE FROM results r WHERE CASE WHEN {visible results r} AND {steady results r} THEN (1 / r.value > 3) END AND {results r} AND {steady results r}",
    "UPDATE results r SET value = 1 WHERE {results r} AND {steady results r}",
    "SELECT * FROM results r WHERE {results r} AND {steady results r} FOR UPDATE",
    "SELECT 1 FROM results r JOIN notes n ON true WHERE {results r} AND {notes n} FOR SHARE OF n",
    "SELECT * FROM (SELECT r.value FROM results r WHERE {results r} AND {steady results r}) x FOR UPDATE",
    "WITH x AS (SELECT r.value FROM results r WHERE {results r}) SELECT * FROM x, notes n WHERE {notes n} FOR UPDATE",
    "INSERT INTO results AS r VALUES (1, 2) ON CONFLICT (order_id) DO UPDATE SET value = 3 WHERE {results r} AND {steady results r} AND {proposed results} RETURNING {new results r} AS __glass_c1",
    "WITH x AS (INSERT INTO notes (mrn) VALUES (1) RETURNING {new notes notes} AS __glass_c1, mrn) SELECT * FROM x",
    "SELECT p.mrn FROM patients p, notes n WHERE CASE WHEN {visible patients p} AND {visible notes n} THEN (1 / p.visits > n.id) END AND {patients p} AND {notes n} FOR UPDATE",
    "SELECT q.*, CASE WHEN row_number() OVER () = 1 THEN w.b END AS __glass_s1, q.__glass_m1 FROM (SELECT ARRAY(SELECT DISTINCT __glass_r1.mrn::pg_catalog.text FROM public.patients AS __glass_r1 WHERE {patients __glass_r1} AND (__glass_r1.mrn = $1)) AS b) w LEFT JOIN (SELECT *, true AS __glass_m1 FROM (SELECT p.name FROM patients p WHERE p.mrn = $1 AND {patients p}) q0 OFFSET 0) q ON true",
    "WITH __glass_x1 AS (INSERT INTO orders (order_id, mrn) VALUES (1, 2) RETURNING {new orders orders} AS __glass_c1, orders.order_id AS __glass_p1) INSERT INTO results (order_id) VALUES (1) RETURNING {new results results __glass_x1 __glass_p1} AS __glass_c2",
    "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN MATCHED THEN UPDATE SET body = w.name WHEN NOT MATCHED AND {merged notes w.mrn} THEN INSERT (id, mrn) VALUES (w.id, w.mrn)",
    "MERGE INTO notes n USING (SELECT p.mrn, p.name FROM patients p WHERE {patients p}) s ON (n.mrn = s.mrn) AND {notes n} WHEN MATCHED AND 1 / n.id > 0 THEN DELETE WHEN NOT MATCHED AND CASE WHEN (s.name = 'x') THEN {merged notes s.mrn} END THEN INSERT (mrn) VALUES (s.mrn)",
    "MERGE INTO notes n USING ward w ON CASE WHEN {visible notes n} THEN (1 / n.id = w.id) END AND {notes n} WHEN MATCHED AND {merged notes $1} THEN UPDATE SET mrn = $1, body = 'x'",
    "SELECT * FROM ward w",
    "SELECT 1 FROM patients p TABLESAMPLE bernoulli (50) WHERE {patients p}",
    "SELECT 1 FROM ward w TABLESAMPLE system (50)",
    "SELECT 1 FROM ward w TABLESAMPLE system (50) REPEATABLE (1)",
    "UPDATE patients p SET visits = x.n FROM (SELECT n.mrn, count(*)::int AS n FROM notes n WHERE {notes n} GROUP BY n.mrn) x WHERE x.mrn = p.mrn AND {patients p}",
    "SELECT * FROM tmp",
    "SELECT 1 FROM patients p JOIN unnest($1::int8[]) AS u ON u = 1 CROSS JOIN generate_series(1, 3) g WHERE {patients p}",
    "SELECT 1 FROM patients p JOIN notes n USING (mrn) WHERE {patients p} AND {notes n}",
];

#[test]
fn guards_at_their_places_pass() {
    all(Seen::Pass, &Clinic::new(), PLACED);
}

#[test]
fn guards_elsewhere_fail() {
    all(
        Seen::Fail,
        &Clinic::new(),
        &[
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT DO NOTHING",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT DO NOTHING RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (name) VALUES ('x') ON CONFLICT DO NOTHING RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients DEFAULT VALUES ON CONFLICT DO NOTHING RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (CASE WHEN {merged patients 1} THEN (2)::bigint END) ON CONFLICT DO NOTHING RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (CASE WHEN {merged patients 1} THEN (1)::bigint ELSE 3 END) ON CONFLICT DO NOTHING RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (CASE WHEN {merged patients 1} THEN (1)::bigint END), (2) ON CONFLICT DO NOTHING RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (CASE WHEN {merged patients random()} THEN (random())::bigint END) ON CONFLICT DO NOTHING RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn, visits) VALUES (1, CASE WHEN {merged patients 1} THEN (1)::bigint END) ON CONFLICT DO NOTHING RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO notes (id, mrn) WITH __glass_z1 (mrn, id) AS MATERIALIZED (SELECT 1, 2) SELECT * FROM __glass_z1 WHERE ({new notes __glass_z1}) IS NULL ON CONFLICT DO NOTHING RETURNING {new notes notes} AS __glass_c1",
            "INSERT INTO notes (mrn) WITH __glass_z1 (mrn) AS (SELECT 1) SELECT * FROM __glass_z1 WHERE ({new notes __glass_z1}) IS NULL ON CONFLICT DO NOTHING RETURNING {new notes notes} AS __glass_c1",
            "INSERT INTO notes (mrn) WITH __glass_z1 (mrn) AS MATERIALIZED (SELECT 1) SELECT 2 FROM __glass_z1 WHERE ({new notes __glass_z1}) IS NULL ON CONFLICT DO NOTHING RETURNING {new notes notes} AS __glass_c1",
            "INSERT INTO notes (mrn) WITH __glass_z1 (mrn) AS MATERIALIZED (SELECT 1) SELECT * FROM __glass_z1 WHERE ({new notes __glass_z1}) IS NULL LIMIT 0 ON CONFLICT DO NOTHING RETURNING {new notes notes} AS __glass_c1",
            "INSERT INTO notes (mrn) WITH __glass_z1 (mrn) AS MATERIALIZED (SELECT 1) SELECT * FROM __glass_z1 WHERE ({new notes __glass_z1}) IS NULL OR true ON CONFLICT DO NOTHING RETURNING {new notes notes} AS __glass_c1",
            "INSERT INTO notes (mrn) WITH __glass_z1 (mrn) AS MATERIALIZED (SELECT 1) SELECT * FROM __glass_z1 ON CONFLICT DO NOTHING RETURNING {new notes notes} AS __glass_c1",
            "INSERT INTO notes (mrn) WITH __glass_z1 (mrn) AS MATERIALIZED (SELECT p.mrn FROM patients p) SELECT * FROM __glass_z1 WHERE ({new notes __glass_z1}) IS NULL ON CONFLICT DO NOTHING RETURNING {new notes notes} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' WHERE {patients patients} RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' WHERE {patients excluded} RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' WHERE false AND {patients patients} AND {proposed patients} RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' WHERE {patients patients} OR true RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' WHERE {patients patients}",
            "WITH x AS (INSERT INTO notes (mrn) VALUES (1) RETURNING mrn) SELECT * FROM x",
            "WITH x AS (UPDATE notes SET mrn = 1 WHERE {notes notes} RETURNING mrn) SELECT * FROM x",
            "WITH x AS (DELETE FROM notes n) SELECT 1",
            "DELETE FROM patients p WHERE CASE WHEN {visible patients p} THEN true END",
            "UPDATE results r SET value = 1 WHERE {results r}",
            "DELETE FROM results r WHERE {results r} AND ({steady results r} OR true)",
            "DELETE FROM results r WHERE {results r} AND {steady results x}",
            "SELECT * FROM results r WHERE {results r} FOR UPDATE",
            "SELECT 1 FROM patients p TABLESAMPLE bernoulli (50) REPEATABLE (1) WHERE {patients p}",
            "SELECT 1 FROM patients p TABLESAMPLE system (50) WHERE {patients p}",
            "SELECT 1 FROM (SELECT p.mrn FROM patients p TABLESAMPLE bernoulli (50) REPEATABLE (1) WHERE {patients p} OFFSET 0) x",
            "SELECT 1 FROM results r JOIN notes n ON true WHERE {results r} AND {notes n} FOR SHARE OF r",
            "SELECT * FROM (SELECT r.value FROM results r WHERE {results r}) x FOR UPDATE",
            "SELECT * FROM (SELECT r.value FROM results r WHERE {results r}) x, ward w FOR UPDATE OF x",
            "INSERT INTO results AS r VALUES (1, 2) ON CONFLICT (order_id) DO UPDATE SET value = 3 WHERE {results r} AND {proposed results} RETURNING {new results r} AS __glass_c1",
            "DELETE FROM patients p WHERE CASE WHEN {patients p} THEN (1 / p.visits > 3) END AND {patients p}",
            "DELETE FROM patients p WHERE CASE WHEN {visible patients p} AND p.visits / 0 = 1 THEN true END AND {patients p}",
            "SELECT * FROM patients",
            "SELECT * FROM public.patients",
            "SELECT * FROM \"patients\" p",
            "SELECT * FROM ONLY patients",
            "SELECT * FROM patients_2024",
            "TABLE patients",
            "SELECT 1 FROM patients p WHERE {patients p} OR true",
            "SELECT 1 FROM patients p WHERE NOT {patients p}",
            "SELECT 1 FROM patients p WHERE ({patients p}) IS TRUE",
            "SELECT 1 FROM patients p WHERE CASE WHEN {patients p} THEN true ELSE true END",
            "SELECT 1 FROM patients p HAVING {patients p}",
            "SELECT {patients p} FROM patients p",
            "SELECT 1 FROM patients p WHERE {patients q}",
            "SELECT 1 FROM patients p, patients q WHERE {patients p}",
            "SELECT 1 FROM patients p, notes n WHERE {patients p} AND {notes p}",
            "SELECT 1 FROM patients p LEFT JOIN notes n ON n.mrn = p.mrn WHERE {patients p} AND {notes n}",
            "SELECT 1 FROM patients p LEFT JOIN notes n ON n.mrn = p.mrn AND {notes n} AND {patients p}",
            "SELECT 1 FROM patients p FULL JOIN ward n ON n.mrn = p.mrn AND {patients p}",
            "SELECT 1 FROM patients p FULL JOIN ward n ON n.mrn = p.mrn WHERE {patients p}",
            "SELECT 1 FROM patients p LEFT JOIN notes n USING (mrn) WHERE {patients p} AND {notes n}",
            "SELECT 1 FROM patients p JOIN ward w ON {patients p}",
            "SELECT * FROM (SELECT * FROM patients p) x WHERE {patients x}",
            "WITH c AS (SELECT * FROM patients p) SELECT * FROM c WHERE {patients c}",
            "SELECT * FROM ward w WHERE EXISTS (SELECT 1 FROM patients p) AND {patients w}",
            "SELECT 1 UNION SELECT mrn FROM patients p",
            "SELECT (SELECT max(mrn) FROM patients)",
            "SELECT 1 ORDER BY (SELECT max(mrn) FROM patients)",
            "SELECT 1 LIMIT (SELECT max(mrn) FROM patients)",
            "SELECT 1 FROM generate_series(1, (SELECT max(mrn) FROM patients)) g",
            "VALUES ((SELECT max(mrn) FROM patients))",
            "INSERT INTO patients (mrn) VALUES ($1)",
            "INSERT INTO patients (mrn) VALUES ($1) RETURNING {new patients patients} AS c1",
            "INSERT INTO patients (mrn) VALUES ($1) RETURNING {new notes patients} AS __glass_c1, true AS __glass_c2, {new patients p} AS __glass_c3",
            "INSERT INTO notes (mrn) SELECT p.mrn FROM patients p RETURNING {new notes notes} AS __glass_c1",
            "UPDATE patients p SET name = 'x'",
            "UPDATE patients p SET mrn = 2 WHERE {patients p}",
            "UPDATE patients p SET (name, mrn) = ('x', 2) WHERE {patients p}",
            "UPDATE results r SET order_id = 2 WHERE {results r}",
            "UPDATE ward w SET name = p.name FROM patients p WHERE true",
            "UPDATE ward w SET name = p.name FROM patients p WHERE {patients p}",
            "INSERT INTO ward (name) SELECT p.name FROM patients p WHERE {patients p}",
            "WITH x AS (INSERT INTO tmp SELECT p.name FROM patients p WHERE {patients p}) SELECT 1",
            "SELECT ctid FROM patients p WHERE {patients p}",
            "DELETE FROM notes n USING patients p WHERE p.mrn = n.mrn AND {notes n}",
            "WITH x AS (DELETE FROM notes n RETURNING *) SELECT * FROM x",
            "WITH __glass_x1 AS (INSERT INTO orders (order_id, mrn) VALUES (1, 2) RETURNING {new orders orders} AS __glass_c1, orders.mrn AS __glass_p1) INSERT INTO results (order_id) VALUES (1) RETURNING {new results results __glass_x1 __glass_p1} AS __glass_c2",
            "WITH __glass_x1 AS (INSERT INTO orders (order_id, mrn) VALUES (1, 2) RETURNING orders.order_id AS __glass_p1) INSERT INTO results (order_id) VALUES (1) RETURNING {new results results __glass_x1 __glass_p1} AS __glass_c2",
            "WITH __glass_x1 AS (INSERT INTO notes (id, mrn) VALUES (1, 2) RETURNING {new notes notes} AS __glass_c1, notes.id AS __glass_p1) INSERT INTO results (order_id) VALUES (1) RETURNING {new results results __glass_x1 __glass_p1} AS __glass_c2",
            "WITH __glass_x1 AS (UPDATE orders o SET code = $1 WHERE {orders o} RETURNING o.order_id AS __glass_p1) INSERT INTO results (order_id) VALUES (1) RETURNING {new results results __glass_x1 __glass_p1} AS __glass_c2",
            "WITH __glass_x1 AS (SELECT 1 AS __glass_p1) INSERT INTO results (order_id) VALUES (1) RETURNING {new results results __glass_x1 __glass_p1} AS __glass_c2",
            "WITH __glass_x1 (__glass_p1) AS (INSERT INTO orders (order_id, mrn) VALUES (1, 2) RETURNING orders.mrn, {new orders orders} AS __glass_c1, orders.order_id AS __glass_p1) INSERT INTO results (order_id) VALUES (1) RETURNING {new results results __glass_x1 __glass_p1} AS __glass_c2",
            "WITH __glass_x1 AS (INSERT INTO orders (order_id, mrn) VALUES (1, 2) RETURNING {new orders orders} AS __glass_c1, orders.order_id AS __glass_p1) UPDATE results r SET order_id = 1 WHERE {results r} RETURNING {new results r __glass_x1 __glass_p1} AS __glass_c2",
            "MERGE INTO notes n USING patients p ON n.mrn = p.mrn AND {notes n} AND {patients p} WHEN MATCHED THEN DELETE",
            "MERGE INTO notes n USING ward w ON (n.id = w.id OR {notes n}) WHEN MATCHED THEN DELETE",
            "MERGE INTO notes n USING ward w ON n.id = w.id WHEN MATCHED AND {notes n} THEN DELETE",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN NOT MATCHED THEN INSERT (id, mrn) VALUES (w.id, w.mrn)",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN NOT MATCHED AND {merged notes w.mrn} THEN INSERT (id, mrn) VALUES (w.mrn, w.id)",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN NOT MATCHED AND {merged notes w.mrn} THEN INSERT VALUES (w.mrn, w.id)",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN NOT MATCHED AND ({merged notes w.mrn} OR true) THEN INSERT (mrn) VALUES (w.mrn)",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN NOT MATCHED AND CASE WHEN true THEN {merged notes w.mrn} ELSE true END THEN INSERT (mrn) VALUES (w.mrn)",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN NOT MATCHED AND CASE WHEN w.id = 1 THEN true WHEN true THEN {merged notes w.mrn} END THEN INSERT (mrn) VALUES (w.mrn)",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN NOT MATCHED AND CASE w.active WHEN true THEN {merged notes w.mrn} END THEN INSERT (mrn) VALUES (w.mrn)",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN NOT MATCHED AND {merged notes lastval()} THEN INSERT (mrn) VALUES (lastval())",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN MATCHED AND {merged notes w.mrn} THEN UPDATE SET mrn = $1",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN MATCHED THEN UPDATE SET mrn = n.mrn",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN MATCHED THEN UPDATE SET (body, mrn) = ROW('x', 1)",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN NOT MATCHED BY SOURCE THEN DELETE",
            "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN MATCHED THEN DELETE RETURNING n.body",
            "MERGE INTO ward w USING (SELECT p.mrn FROM patients p WHERE {patients p}) s ON true WHEN MATCHED THEN UPDATE SET mrn = s.mrn",
            "WITH x AS (MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN MATCHED THEN DELETE RETURNING 1) SELECT 1",
            "MERGE INTO notes n USING ward w ON n.mrn = w.mrn WHEN MATCHED THEN DELETE",
            "SELECT 1; SELECT 2",
            "COPY patients TO STDOUT",
            "SELECT * FROM glass.assigned",
            "SELECT * FROM secret",
            "SELECT * FROM all_patients_v",
            "SELECT * FROM nowhere",
            "SELECT * FROM pg_stats",
            "SELECT pg_sleep(1) FROM ward",
            "SELECT * INTO TEMP x FROM patients p WHERE {patients p}",
        ],
    );
}

#[test]
fn names_cannot_be_captured() {
    all(
        Seen::Fail,
        &Clinic::new(),
        &[
            // The guard's alias would be the outer one.
            "SELECT 1 FROM patients a WHERE {patients a} AND EXISTS (SELECT 1 FROM (patients a JOIN ward w ON true) AS j WHERE {patients a})",
            "SELECT 1 FROM (patients a LEFT JOIN notes n ON {notes n}) AS j WHERE {patients a}",
            // The key's name given to another column.
            "SELECT 1 FROM patients AS t(ssn, mrn) WHERE {patients t}",
            "SELECT 1 FROM patients AS t(a, b, c, d) WHERE {patients t}",
            // A CTE called like a target does not replace it.
            "WITH patients AS (SELECT 1 AS mrn) DELETE FROM patients",
            "WITH c AS (SELECT * FROM patients), patients AS (SELECT 1) SELECT * FROM c",
            "WITH patients AS (SELECT * FROM patients) SELECT * FROM patients",
            "WITH patients AS (SELECT 1) SELECT * FROM public.patients",
            // Only inside the parentheses is the CTE in scope.
            "SELECT * FROM (WITH patients AS (SELECT 1) SELECT * FROM patients) x, patients",
            "INSERT INTO ward (id) WITH patients AS (SELECT 1 AS a) SELECT a FROM patients UNION SELECT mrn FROM notes",
            "UPDATE patients AS p SET mrn = 1 WHERE {patients p} RETURNING WITH (OLD AS q) {new patients p} AS __glass_c1",
        ],
    );
}

#[test]
fn b104_a_table_called_like_the_assignment_changes_nothing() {
    all(
        Seen::Pass,
        &Clinic::new(),
        &[
            "WITH assigned AS (SELECT 'me' AS user_name, 2 AS patient_id) SELECT * FROM patients p, assigned WHERE {patients p}",
        ],
    );
}

#[test]
fn b106_reserved_names_stand_only_where_they_are_ours() {
    all(
        Seen::Fail,
        &Clinic::new(),
        &[
            "SELECT 1 AS __glass_x1",
            "SELECT 1 AS __glass_k",
            "SELECT 1 AS \"__GLASS_k1\"",
            "SELECT __glass_f(1)",
            "SELECT 1::__glass_t",
            "SELECT * FROM ward TABLESAMPLE __glass_s(1)",
        ],
    );
}

/// What is closed to a role is part of the guard that policy makes; each part has to be there.
#[test]
fn a_guard_without_what_closes_categories_and_labels_is_none() {
    for scope in [Scope::Assigned, Scope::All] {
        let clinic = Clinic::limited(scope);
        for text in [
            "SELECT n.id FROM notes n WHERE {notes n}",
            "SELECT n.id FROM notes n JOIN results r ON r.order_id = n.id WHERE {notes n} AND {results r}",
            "SELECT n.id FROM notes n LEFT JOIN results r ON r.order_id = n.id AND {results r} WHERE {notes n}",
            "DELETE FROM notes n WHERE {notes n}",
            "UPDATE notes n SET body = 'p' WHERE {notes n} RETURNING {new notes n} AS __glass_c1",
        ] {
            all(Seen::Pass, &clinic, &[text]);
        }
        let whole = clinic.fill("{notes n}");
        let parts: Vec<&str> = whole.split(") AND (").collect();
        assert!(parts.len() > 1, "{whole}");
        let of_none = Clinic::new().fill("{notes n}");
        let category = parts.iter().find(|p| p.contains("\"body\"")).expect("the category");
        for guard in [
            of_none.as_str(),
            &whole.replace(category, "true"),
            &whole.replace("\"body\"", "\"id\""),
            &whole.replace("'n'", "'p'"),
            &whole.replace("label", "ward"),
            &format!("({whole} OR true)"),
            &format!("NOT ({whole})"),
        ] {
            let text = format!("SELECT n.id FROM notes n WHERE {guard}");
            assert_eq!(run(&clinic, &text), Seen::Fail, "{text}");
        }
        // A category of the row that is written is one of what has to be checked.
        all(
            Seen::Fail,
            &clinic,
            &["UPDATE notes n SET body = 'p' WHERE {notes n}", "INSERT INTO notes VALUES (1, 2, 'p')"],
        );
        // A column of a closed category is not read as it is.
        all(Seen::Fail, &clinic, &["SELECT p.weight FROM patients p WHERE {patients p}"]);
    }
    let clinic = Clinic::limited(Scope::Assigned);
    let assigned = clinic.fill("SELECT n.id FROM notes n WHERE {notes n}");
    for variant in [Variant::Granted, Variant::Opened] {
        let mut context = clinic.check_context();
        context.params = GuardParams::after(3, variant);
        assert!(check(&assigned, &context).is_err(), "{variant:?}");
    }
}

/// What the server computes, or a trigger may change, is written by every UPDATE.
#[test]
fn a_row_whose_category_no_text_writes_is_checked() {
    let checked = "UPDATE notes n SET id = 1 WHERE {notes n} RETURNING {new notes n} AS __glass_c1";
    let unchecked = [
        "UPDATE notes n SET id = 1 WHERE {notes n}",
        "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN MATCHED THEN UPDATE SET id = 1",
    ];
    let delete = "MERGE INTO notes n USING ward w ON n.id = w.id AND {notes n} WHEN MATCHED THEN DELETE";
    let plain = Clinic::limited(Scope::Assigned);
    all(Seen::Pass, &plain, &unchecked);
    let notes = plain.catalog.by_name[&crate::catalog::QualifiedName::new("public", "notes")];
    let computed = |column: &str| {
        let mut clinic = Clinic::limited(Scope::Assigned);
        let relation = clinic.catalog.relations.get_mut(&notes).expect("notes");
        relation.columns.iter_mut().filter(|c| c.name == column).for_each(|c| c.generated = true);
        clinic
    };
    let mut triggered = Clinic::limited(Scope::Assigned);
    triggered.catalog.relations.get_mut(&notes).expect("notes").rewrites_rows = true;
    let mut below = computed("body");
    let mut child = below.catalog.relations[&notes].clone();
    (child.oid, child.name.name, child.parents) = (77, "notes_2024".into(), vec![notes]);
    below.catalog.relations.insert(notes, plain.catalog.relations[&notes].clone());
    below.catalog.relations.insert(77, child);
    for clinic in [computed("body"), computed("mrn"), triggered, below] {
        all(Seen::Pass, &clinic, &[checked, delete]);
        all(Seen::Fail, &clinic, &unchecked);
    }
    all(Seen::Pass, &computed("id"), &unchecked);
}

#[test]
fn another_parameter_or_variant_is_another_guard() {
    let clinic = Clinic::new();
    let good = clinic.fill("SELECT 1 FROM patients p WHERE {patients p}");
    for n in ["$1", "$3", "$5"] {
        assert!(check(&good.replace("$4", n), &clinic.check_context()).is_err());
    }
    let mut granted = clinic.check_context();
    granted.params = GuardParams::after(3, Variant::Granted);
    assert!(check(&good, &granted).is_err(), "the variant is not the session's to choose");
}

#[test]
fn roles_that_see_everyone_need_no_guard() {
    let mut clinic = Clinic::new();
    clinic.role = role(Scope::All);
    all(
        Seen::Pass,
        &clinic,
        &[
            "SELECT p.*, {key patients p} AS __glass_k1 FROM patients p WHERE p.ssn::int > 0",
            "SELECT get_ssn(1), r.* FROM results r ORDER BY 1",
        ],
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// No mutation of a guarded text passes unless it leaves every guard alone.
    #[test]
    fn mutated_guards_never_pass(text in proptest::sample::select(PLACED), which in 0usize..8, kind in 0usize..9) {
        let clinic = Clinic::new();
        let spots: Vec<(usize, usize)> = text
            .match_indices('{')
            .filter(|(i, _)| !text[*i..].starts_with("{key"))
            .filter_map(|(i, _)| text[i..].find('}').map(|n| (i, i + n + 1)))
            .collect();
        prop_assume!(!spots.is_empty());
        let (start, end) = spots[which % spots.len()];
        let guard = clinic.fill(&text[start..end]);
        let bad = match kind {
            0 => "true".to_owned(),
            1 => format!("({guard} OR true)"),
            2 => format!("({guard} OR {guard})"),
            3 => format!("(NOT {guard})"),
            4 => guard.replace("$4", "$1"),
            5 => guard.replace("user_name", "patient_id"),
            6 => guard.replace("OPERATOR(pg_catalog.=)", "="),
            7 => guard.replace("\"mrn\"", "\"other\""),
            _ => guard.replace("\"glass\".\"assigned\"", "\"assigned\""),
        };
        let sql = format!("{}{bad}{}", clinic.fill(&text[..start]), clinic.fill(&text[end..]));
        prop_assert!(check(&sql, &clinic.check_context()).is_err(), "{sql}");
    }

    /// Any mixture of words gives an answer, never a panic; and whatever is verbatim for the role
    /// names no protected table outside a WITH of that name.
    #[test]
    fn any_words_get_an_answer(words in proptest::collection::vec(proptest::sample::select(WORDS), 1..24)) {
        let clinic = Clinic::new();
        let text = words.join(" ");
        if let Ok(parsed) = parse(&text) {
            for statement in &parsed.statements {
                let decision = decide(statement, &clinic.context());
                let reads = text.contains("notes") && !text.contains("WITH");
                if reads && statement.kind().is_some() && parsed.statements.len() == 1 && text.contains("FROM notes") {
                    prop_assert_ne!(decision, Decision::Verbatim, "{}", text);
                }
            }
        }
        let _ = check(&text, &clinic.check_context());
    }
}

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "notes",
    "ward",
    "FROM notes",
    "FROM ward w",
    "SELECT *",
    "SELECT 1",
    "(",
    ")",
    ",",
    "*",
    "UNION ALL",
    "JOIN",
    "LEFT JOIN",
    "ON true",
    "ON",
    "USING (mrn)",
    "AS x",
    "x",
    "mrn",
    "body",
    "= 1",
    "AND",
    "OR",
    "GROUP BY 1",
    "HAVING",
    "ORDER BY 1",
    "LIMIT 1",
    "OFFSET 0",
    "EXISTS",
    "IN",
    "(SELECT 1)",
    "(SELECT * FROM notes)",
    "DELETE FROM notes",
    "UPDATE notes SET body = 'x'",
    "INSERT INTO notes",
    "VALUES (1)",
    "RETURNING *",
    "WITH x AS",
    "LATERAL",
    "count(*)",
    "::int",
    "$1",
    ";",
    "CASE WHEN",
    "THEN 1 END",
    "NATURAL",
    "FULL JOIN",
    "TABLE notes",
];
