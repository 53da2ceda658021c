//! Every kind of path to a patient, from text to rows, on small random databases: a filtered role's
//! reply is the original statement's on a database without the rows that are not its patients', and
//! a patient whose removal changes the reply is in the record. The whole way is taken (resolve, plan,
//! check), so a form the checker does not accept fails here.
//!
//! `PGGLASS_SEED` and `PGGLASS_DATABASES` choose the first database and how many are tried.

#![allow(clippy::unwrap_used, clippy::panic)] // a test's helpers may fail the test

mod postgres;
#[path = "paths/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use pgglass::policy::{Outside, Role};
use pgglass::sql::{Strategy, Verdict};
use world::{ASSIGNED, Dice, OWNERS, PATIENTS, World, setting};

/// Tables with their identifier: reverse, subject lists (any, all), by value (one step; two steps and sets).
const TABLES: [(&str, &str, &str); 8] = [
    ("patient", "patient_id", "name"),
    ("visit", "visit_id", "kind"),
    ("lab", "lab_id", "kind"),
    ("address", "address_id", "kind"),
    ("appointment", "appointment_id", "kind"),
    ("conference", "conference_id", "kind"),
    ("cost", "cost_id", "kind"),
    ("fact", "fact_id", "kind"),
];

/// Over each table `{t}` with identifier `{i}` and text `{k}`, and `{o}` of the patients.
const QUERIES: [&str; 22] = [
    "SELECT * FROM {t}",
    "SELECT {k} FROM {t} ORDER BY {i}",
    "SELECT count(*) FROM {t}",
    "SELECT {k}, count(*) FROM {t} GROUP BY {k}",
    "SELECT DISTINCT {k} FROM {t}",
    "SELECT {i} FROM {t} WHERE {k} = 'a' ORDER BY 1",
    "SELECT {i} FROM {t} ORDER BY {i} LIMIT 2",
    "SELECT {i} FROM {t} ORDER BY {i} DESC LIMIT 1 OFFSET 1",
    "SELECT w.ward FROM ward w WHERE EXISTS (SELECT 1 FROM {t} t WHERE t.ward = w.ward)",
    "SELECT w.ward FROM ward w WHERE NOT EXISTS (SELECT 1 FROM {t} t WHERE t.ward = w.ward)",
    "SELECT w.ward, t.{i} FROM ward w LEFT JOIN {t} t ON t.ward = w.ward ORDER BY 1, 2",
    "SELECT w.ward, t.{i} FROM {t} t RIGHT JOIN ward w ON t.ward = w.ward WHERE t.{i} IS NULL ORDER BY 1",
    "SELECT w.ward, t.{i} FROM {t} t FULL JOIN ward w USING (ward) ORDER BY 1, 2",
    "SELECT t.{i}, v.visit_id FROM {t} t JOIN visit v ON v.ward = t.ward ORDER BY 1, 2",
    "SELECT t.{i}, c.cost_id FROM {t} t, cost c WHERE c.ward = t.ward ORDER BY 1, 2",
    "SELECT t.{i}, u.{i} FROM {t} t JOIN {t} u ON u.ward = t.ward ORDER BY 1, 2",
    "WITH x AS (SELECT {i}, ward FROM {t}) SELECT * FROM x WHERE ward > 0 ORDER BY 1",
    "SELECT max({i}) FROM (SELECT {i} FROM {t} WHERE ward = 1) s",
    "SELECT {i} FROM {t} UNION ALL SELECT visit_id FROM visit ORDER BY 1",
    "SELECT ward FROM {t} EXCEPT SELECT ward FROM visit",
    "SELECT {i}, rank() OVER (ORDER BY {k}) FROM {t} ORDER BY 1",
    "SELECT {i} FROM {t} WHERE 10 / (ward + 1) > 4 ORDER BY 1",
];

const WRITES: [&str; 4] = [
    "UPDATE {t} SET {k} = 'z' WHERE ward = 1",
    "UPDATE {t} SET {k} = 'z' RETURNING {i}",
    "DELETE FROM {t} WHERE {k} = 'a'",
    "DELETE FROM {t} RETURNING *",
];

fn of(template: &str, (t, i, k): (&str, &str, &str)) -> String {
    template.replace("{t}", t).replace("{i}", i).replace("{k}", k)
}

#[tokio::test]
async fn replies_and_records_hold_for_every_kind_of_path() {
    let mut world = World::new(false).await;
    let first = setting("PGGLASS_SEED", 1);
    let mut failures: BTreeMap<String, String> = BTreeMap::new();
    let mut strategies: BTreeMap<String, usize> = BTreeMap::new();
    for seed in first..first + setting("PGGLASS_DATABASES", 1) {
        let mut dice = Dice::new(seed);
        world.fill(&mut dice).await;
        for table in TABLES {
            for template in QUERIES {
                let sql = of(template, table);
                for role in [&world.nurse, &world.dba] {
                    match world.query(role, &sql).await {
                        Ok(Strategy::Bound) => *strategies.entry("bound".into()).or_default() += 1,
                        Ok(_) => *strategies.entry("exact".into()).or_default() += 1,
                        Err(e) => {
                            failures.entry(sql.clone()).or_insert(format!("seed {seed}: {e}"));
                        }
                    }
                }
            }
            for template in WRITES {
                let sql = of(template, table);
                if let Err(e) = world.write(&sql).await {
                    failures.entry(sql).or_insert(format!("seed {seed}: {e}"));
                }
            }
        }
    }
    println!("{strategies:?}");
    let texts: Vec<String> = failures.iter().map(|(sql, e)| format!("{sql}\n  {e}")).collect();
    assert!(texts.is_empty(), "{} fail:\n{}", texts.len(), texts.join("\n\n"));
}

/// New rows: what is written must be visible, or the statement is undone or refused beforehand.
#[tokio::test]
async fn rows_of_strangers_cannot_be_written_nor_taken() {
    let world = World::new(false).await;
    world
        .client
        .batch_execute(
            "INSERT INTO patient VALUES (1, 'a', 1, 10), (2, 'a', 1, 11), (5, 'a', 1, 12), (6, 'b', 1, 10); \
             INSERT INTO visit VALUES (1, 'a', 1, 1), (5, 'a', 1, 5); INSERT INTO lab VALUES (1, 'a', 1, 1), (5, 'a', 1, 5); \
             INSERT INTO address VALUES (10, 'a', 1), (11, 'a', 1), (12, 'a', 1); \
             INSERT INTO appointment VALUES (1, 'a', 1), (5, 'a', 1); INSERT INTO participant VALUES (1, 1), (5, 5); \
             INSERT INTO conference VALUES (1, 'a', 1), (2, 'a', 1); INSERT INTO attendee VALUES (1, 1), (1, 2), (2, 1), (2, 5); \
             INSERT INTO cost VALUES (1, 'a', 1, 'Visit', 1)",
        )
        .await
        .unwrap();
    for (sql, expected) in [
        ("INSERT INTO cost VALUES (2, 'x', 1, 'Visit', 1)", "ok"),
        ("INSERT INTO cost VALUES (2, 'x', 1, 'Person', 2)", "ok"),
        ("INSERT INTO cost VALUES (2, 'x', 1, 'Visit', 5)", "GLS-201"),
        ("INSERT INTO cost VALUES (2, 'x', 1, 'Person', 5)", "GLS-201"),
        ("INSERT INTO cost VALUES (2, 'x', 1, 'Else', 1)", "GLS-201"),
        ("INSERT INTO cost VALUES (2, 'x', 1, NULL, 1)", "GLS-201"),
        ("INSERT INTO fact VALUES (2, 'x', 1, 2, 1)", "ok"),
        ("INSERT INTO fact VALUES (2, 'x', 1, 2, 5)", "GLS-201"),
        ("INSERT INTO fact VALUES (2, 'x', 1, 3, 10)", "ok"), // 1 and 6 live there: one of them is enough
        ("INSERT INTO fact VALUES (2, 'x', 1, 3, 12)", "GLS-201"),
        ("INSERT INTO lab VALUES (2, 'x', 1, 5)", "GLS-201"),
        // Nobody lives there yet, so it is nobody's.
        ("INSERT INTO address VALUES (77, 'x', 1)", "GLS-201"),
        // What would make rows of others one's own.
        ("UPDATE patient SET address_id = 12 WHERE patient_id = 1", "GLS-240"),
        ("INSERT INTO patient VALUES (4, 'x', 1, 12)", "GLS-240"),
        ("INSERT INTO patient (patient_id, name) VALUES (4, 'x')", "ok"),
        ("INSERT INTO participant VALUES (5, 1)", "GLS-240"),
        ("UPDATE participant SET appointment_id = 5", "GLS-240"),
        ("DELETE FROM participant WHERE appointment_id = 1", "ok"),
        ("UPDATE cost SET domain = 'Lab'", "GLS-201"),
        ("UPDATE cost SET ref = 5", "GLS-201"),
        ("COPY cost FROM STDIN", "GLS-240"),
        ("COPY participant FROM STDIN", "GLS-240"),
        (
            "MERGE INTO cost c USING ward w ON false WHEN NOT MATCHED THEN INSERT VALUES (1, 'x', 1, 'Visit', 5)",
            "GLS-201",
        ),
        (
            "INSERT INTO patient (patient_id, name) VALUES (1, 'x') ON CONFLICT (patient_id) DO UPDATE SET address_id = 12",
            "GLS-240",
        ),
    ] {
        world.client.batch_execute("BEGIN").await.unwrap();
        let said = match world.decide(&world.nurse, sql) {
            Verdict::Guarded(plan) if plan.copy.is_some() => "copied".to_owned(),
            Verdict::Guarded(plan) => match world.run(&plan).await.reply {
                Ok(_) => "ok".to_owned(),
                Err(e) => e,
            },
            Verdict::Refused(refusal) => refusal.to_string(),
            other => format!("{other:?}"),
        };
        world.client.batch_execute("ROLLBACK").await.unwrap();
        assert!(said.contains(expected), "{sql}: {said}, not {expected}");
    }
    assert!(ASSIGNED.len() < PATIENTS as usize);
}

/// Who is shown the others' rows masked writes no more of them, and rows of several patients all the same.
#[tokio::test]
async fn rows_of_several_patients_are_written_where_others_are_shown_masked() {
    let world = World::new(false).await;
    let rows = "INSERT INTO patient VALUES (1, 'a', 1, 10), (5, 'a', 1, 12); INSERT INTO address VALUES (10, 'a', 1), (12, 'a', 1); \
         INSERT INTO appointment VALUES (1, 'a', 1), (5, 'a', 1); INSERT INTO participant VALUES (1, 1), (5, 5);";
    world.client.batch_execute(rows).await.unwrap();
    let masked = Arc::new(Role { outside: Outside::Mask, ..Role::clone(&world.nurse) });
    for table in ["appointment", "address"] {
        for sql in [
            format!("UPDATE {table} SET kind = 'x'"),
            format!("DELETE FROM {table} WHERE kind = 'a' RETURNING *"),
        ] {
            world.client.batch_execute("BEGIN").await.unwrap();
            let Verdict::Guarded(plan) = world.decide(&masked, &sql) else {
                panic!("{sql}: {:?}", world.decide(&masked, &sql));
            };
            let seen = world.run(&plan).await;
            assert!(seen.reply.is_ok(), "{sql}: {:?}", seen.reply);
            let left = format!("SELECT count(*) FROM {table} WHERE kind = 'a'");
            assert_eq!(world.client.query_one(&left, &[]).await.unwrap().get::<_, i64>(0), 1, "{sql}");
            world.client.batch_execute("ROLLBACK").await.unwrap();
        }
    }
}

/// Who is shown the others' rows masked sees the rows of a database in which their cells were replaced, and the record
/// names them. The question whose a row is stands once for each way in the plan, however many columns are masked, and
/// not at all where none is read; the table itself is found by its index.
#[tokio::test]
async fn rows_of_the_others_are_masked_on_every_kind_of_path() {
    for sources in [false, true] {
        let mut world = World::new(sources).await;
        let masked = Arc::new(Role { outside: Outside::Mask, ..Role::clone(&world.nurse) });
        let first = setting("PGGLASS_SEED", 1);
        let mut failures = Vec::new();
        let templates = if sources { &QUERIES[..3] } else { &QUERIES[..] };
        for seed in first..first + setting("PGGLASS_DATABASES", 1) {
            world.fill(&mut Dice::new(seed)).await;
            for table in TABLES {
                for template in templates {
                    let sql = of(template, table);
                    if let Err(e) = world.query(&masked, &sql).await {
                        failures.push(format!("{sql}\n  seed {seed}: {e}"));
                    }
                }
            }
        }
        assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n\n"));
        world
            .client
            .batch_execute(
                "CREATE INDEX ON cost (ref); CREATE INDEX ON fact (ref); CREATE INDEX ON lab (visit_id)",
            )
            .await
            .unwrap();
        world.client.batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off").await.unwrap();
        for ((table, owners), ways) in OWNERS.into_iter().zip([1, 1, 1, 1, 1, 2, 2, 3]) {
            let count = |plan: &[String], what: &str| plan.iter().filter(|l| l.contains(what)).count();
            let all = format!("SELECT * FROM {table}");
            let plan = world.explained(&masked, &all).await;
            let asked = count(&plan, " on assigned");
            assert!((1..=ways).contains(&asked), "{asked} times: {all}\n{}", plan.join("\n"));
            let lean = format!("SELECT {} FROM {table}", owners.join(", "));
            let plan = world.explained(&masked, &lean).await;
            assert_eq!(count(&plan, "assigned"), 0, "{lean}\n{}", plan.join("\n"));
            let last = owners.last().unwrap();
            if *last != "patient_id" || table == "patient" {
                let keyed = format!("SELECT * FROM {table} WHERE {last} = 3");
                let plan = world.explained(&masked, &keyed).await;
                let found =
                    plan.iter().any(|l| l.contains("Index Cond") && l.contains(&format!("({last} = 3)")));
                assert!(found, "{keyed}\n{}", plan.join("\n"));
            }
        }
    }
}

/// The same with three sources of assignments, one of them a query: a few forms over each table.
#[tokio::test]
async fn replies_and_records_hold_with_several_sources() {
    let mut world = World::new(true).await;
    world.fill(&mut Dice::new(setting("PGGLASS_SEED", 1))).await;
    for table in TABLES {
        for template in [QUERIES[0], QUERIES[2], QUERIES[10]] {
            let sql = of(template, table);
            let result = world.query(&world.nurse, &sql).await;
            assert!(result.is_ok(), "{sql}: {result:?}");
        }
    }
}
