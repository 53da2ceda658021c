//! The rewriter against a real PostgreSQL, on small random clinical databases:
//! - enforcement: a restricted user's reply equals the original statement's on a database from
//!   which everybody else's rows were deleted;
//! - soundness: a patient whose deletion changes the reply is named in the record;
//! - transparency: an unrestricted user's reply equals the original's.
//!
//! `PGGLASS_SEED` and `PGGLASS_DATABASES` choose the first database and how many are tried.

#![allow(clippy::unwrap_used)] // a test's helpers may fail the test

#[path = "lineage_rewrite/seen.rs"]
mod seen;
#[path = "lineage_rewrite/server.rs"]
mod server;
#[path = "lineage_rewrite/statements.rs"]
mod statements;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pgglass::catalog::{Catalog, Namespace, QualifiedName};
use pgglass::policy::*;
use pgglass::sql::plan::{Fence, Opaque, PlanError, PlanInput, reparse, rewrite};
use pgglass::sql::{GuardedPlan, Strategy};
use seen::{STRANGERS, Seen, forget};
use server::{Reply, Server, simple};
use tokio_postgres::Client;

const PATIENTS: i64 = 6;
const ASSIGNED: [i64; 3] = [1, 2, 4];

fn table(name: &str, class: &str, steps: &[(&str, &str, &str)]) -> TableRule {
    let steps = steps
        .iter()
        .map(|(column, table, references)| {
            Step::new(*column, QualifiedName::new("clinic", *table), *references)
        })
        .collect();
    TableRule::new(QualifiedName::new("clinic", name), class, KeyPath { steps, key: "patient_id".to_owned() })
}

fn role(name: &str, scope: Scope) -> Role {
    Role::new(name, scope)
}

fn policy() -> Policy {
    Policy {
        version: "0".into(),
        key_type: KeyType::Int8,
        identifiers: vec![Identifier {
            table: QualifiedName::new("clinic", "patient"),
            column: "mrn".to_owned(),
        }],
        assignment: Assignment {
            relation: QualifiedName::new("glass", "assigned"),
            principal: "user_name".to_owned(),
            patient: "patient_id".to_owned(),
            valid_from: None,
            valid_to: Some("valid_to".to_owned()),
        },
        tables: vec![
            table("patient", "demographics", &[]),
            table("encounter", "visits", &[]),
            table("lab_order", "labs", &[]),
            table("lab_result", "labs", &[("order_id", "lab_order", "order_id")]),
        ],
        reference: [QualifiedName::new("clinic", "ward")].into(),
        roles: BTreeMap::new(),
        membership: Membership::default(),
        profiles: BTreeMap::new(),
        mode: Default::default(),
        sources: Vec::new(),
        deny: Default::default(),
        labels: Vec::new(),
    }
}

const SCHEMA: &str = "
CREATE SCHEMA clinic; CREATE SCHEMA glass;
CREATE TABLE clinic.ward (ward int PRIMARY KEY, wname text);
INSERT INTO clinic.ward SELECT i, 'w' || i FROM generate_series(0, 3) i;
CREATE TABLE clinic.patient (patient_id int8 PRIMARY KEY, mrn text, name text, age int, ward int);
CREATE TABLE clinic.encounter (encounter_id int PRIMARY KEY, patient_id int8, kind text, score int);
CREATE TABLE clinic.lab_order (order_id int PRIMARY KEY, patient_id int8);
CREATE TABLE clinic.lab_result (result_id int PRIMARY KEY, order_id int, code text, value int);
CREATE TABLE glass.assigned (user_name text, patient_id int8, valid_to timestamptz, UNIQUE (user_name, patient_id));
INSERT INTO glass.assigned VALUES ('u', 1, NULL), ('u', 2, 'infinity'), ('u', 4, NULL), ('u', 3, '-infinity'), ('v', 5, NULL);
SET search_path = clinic, public;";

/// xorshift, so that a seed is a database.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
    fn or_null(&mut self, n: u64) -> String {
        if self.roll(8) == 0 { "NULL".to_owned() } else { self.roll(n).to_string() }
    }
}

async fn fill(client: &Client, dice: &mut Dice) {
    let mut sql = "TRUNCATE patient, encounter, lab_order, lab_result;".to_owned();
    for p in 1..=PATIENTS {
        let age = ["35", "45", "45", "55", "65", "NULL"][dice.roll(6) as usize];
        let ward = dice.or_null(4);
        sql += &format!("INSERT INTO patient VALUES ({p}, 'M{p}', 'n{}', {age}, {ward});", dice.roll(3));
    }
    let someone = |dice: &mut Dice| match dice.roll(9) {
        0 => "NULL".to_owned(),
        n => (1 + n % 6).to_string(),
    };
    for e in 0..dice.roll(9) {
        let (p, score) = (someone(dice), dice.or_null(4));
        let kind = ["in", "out"][dice.roll(2) as usize];
        sql += &format!("INSERT INTO encounter VALUES ({e}, {p}, '{kind}', {score});");
    }
    sql += "INSERT INTO lab_order VALUES (1, 1);";
    for o in 2..2 + dice.roll(5) {
        sql += &format!("INSERT INTO lab_order VALUES ({o}, {});", someone(dice));
    }
    for r in 0..dice.roll(8) {
        sql += &format!(
            "INSERT INTO lab_result VALUES ({r}, {}, 'c{}', {});",
            dice.or_null(6),
            dice.roll(2),
            dice.or_null(4)
        );
    }
    client.batch_execute(&sql).await.unwrap();
}

/// What the masks of [`masked`] do, done to the rows themselves.
const MASKED: &str = "UPDATE patient SET name = '***', age = NULL; UPDATE encounter SET patient_id = NULL;";

/// A restricted role with masks, the key of a table among them.
fn masked() -> Role {
    let mut role = role("masked", Scope::Assigned);
    let patient = [("name", Mask::Redact { text: "***".to_owned() }), ("age", Mask::Null)];
    let masks = [("patient", patient.to_vec()), ("encounter", vec![("patient_id", Mask::Null)])];
    for (table, columns) in masks {
        let columns = columns.into_iter().map(|(c, m)| (c.to_owned(), m)).collect();
        role.masks.insert(QualifiedName::new("clinic", table), columns);
    }
    role
}

/// True for a statement with an ORDER BY of its own, not in parentheses.
fn is_ordered(sql: &str) -> bool {
    let mut depth = 0;
    sql.match_indices(['(', ')', 'O']).any(|(i, found)| match found {
        "(" => {
            depth += 1;
            false
        }
        ")" => {
            depth -= 1;
            false
        }
        _ => depth == 0 && sql[i..].starts_with("ORDER BY"),
    })
}

/// Order counts only where the statement says so.
fn normal(sql: &str, reply: Reply) -> Reply {
    reply.map(|(names, mut rows)| {
        if !is_ordered(sql) {
            rows.sort();
        }
        (names, rows)
    })
}

struct World {
    client: Client,
    catalog: Catalog,
    bound: BoundPolicy,
    namespace: Namespace,
}

impl World {
    fn plan(&self, role: &Role, text: &str, fence: Fence) -> Result<GuardedPlan, PlanError> {
        let (ast, _) = reparse(text)?;
        let input = PlanInput {
            opaque: Opaque::Operators,
            text,
            role,
            policy: &self.bound,
            catalog: &self.catalog,
            namespace: &self.namespace,
            variant: Variant::Assigned,
            client_params: 0,
            fence,
            pins: Default::default(),
        };
        rewrite(ast, &input)
    }

    async fn run(&self, plan: &GuardedPlan) -> Seen {
        let text = plan.text.replace("$1::pg_catalog.text", "'u'::pg_catalog.text");
        Seen::of(plan, simple(&self.client, &text).await)
    }

    /// Runs `sql` after the rows of `who` were deleted; nothing stays.
    async fn without(&self, who: &str, plan: &GuardedPlan) -> Seen {
        self.client.batch_execute(&format!("BEGIN; {}", forget(who))).await.unwrap();
        let seen = self.run(plan).await;
        self.client.batch_execute("ROLLBACK").await.unwrap();
        seen
    }

    async fn original_without(&self, who: &str, role: &Role, sql: &str) -> Reply {
        let masks = if role.masks.is_empty() { "" } else { MASKED };
        self.client.batch_execute(&format!("BEGIN; {} {masks}", forget(who))).await.unwrap();
        let reply = simple(&self.client, sql).await;
        self.client.batch_execute("ROLLBACK").await.unwrap();
        reply
    }

    /// The properties for one query, one role, one database.
    async fn query(&self, role: &Role, sql: &str, fence: Fence) -> Result<Strategy, String> {
        let plan = self.plan(role, sql, fence).map_err(|e| format!("no plan: {e}"))?;
        let fail =
            |what: String| Err(format!("{}: {what}\n  {:?}\n  {}", role.name, plan.lineage, plan.text));
        let seen = self.run(&plan).await;
        let reply = normal(sql, seen.reply);
        let restricted = role.scope == Scope::Assigned;
        let who = if restricted { STRANGERS } else { "false" };
        let expected = normal(sql, self.original_without(who, role, sql).await);
        if reply != expected || reply.is_err() {
            return fail(format!("shows {reply:?}, the original {expected:?}"));
        }
        let pinned: BTreeSet<i64> = Seen::of(&plan, Ok((Vec::new(), Vec::new()))).patients;
        if restricted && !seen.patients.iter().all(|p| ASSIGNED.contains(p) || pinned.contains(p)) {
            return fail(format!("records {:?}, more than the assigned", seen.patients));
        }
        for p in (1..=PATIENTS).filter(|p| !seen.patients.contains(p)) {
            let other = self.without(&format!("coalesce(patient_id = {p}, false)"), &plan).await;
            if normal(sql, other.reply.clone()) != reply {
                return fail(format!("{p} influences {reply:?} but {:?} is recorded", seen.patients));
            }
        }
        Ok(plan.lineage.strategy)
    }

    /// A write: the reply, and the whole database afterwards.
    async fn write(&self, role: &Role, sql: &str) -> Result<(), String> {
        let plan = self.plan(role, sql, Fence::None).map_err(|e| format!("no plan: {e}"))?;
        let state = "SELECT 'p', patient_id, name, age::text FROM patient UNION ALL \
                     SELECT 'e', patient_id, kind, score::text FROM encounter UNION ALL \
                     SELECT 'r', patient_id, code, value::text FROM lab_result LEFT JOIN lab_order USING (order_id) \
                     ORDER BY 1, 2, 3, 4";
        let restricted = role.scope == Scope::Assigned;
        let mut states = Vec::new();
        let mut replies = Vec::new();
        for guarded in [false, true] {
            let who = if restricted && !guarded { STRANGERS } else { "false" };
            self.client.batch_execute(&format!("BEGIN; {}", forget(who))).await.unwrap();
            let reply = if guarded { self.run(&plan).await.reply } else { simple(&self.client, sql).await };
            replies.push(normal(sql, reply));
            if restricted {
                self.client.batch_execute(&forget(STRANGERS)).await.unwrap();
            }
            states.push(simple(&self.client, state).await);
            self.client.batch_execute("ROLLBACK").await.unwrap();
        }
        if replies[0] != replies[1] || states[0] != states[1] || replies[0].is_err() {
            return Err(format!("{}: {replies:?} {states:?}\n  {}", role.name, plan.text));
        }
        Ok(())
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[tokio::test]
async fn replies_and_records_hold_on_random_databases() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute(SCHEMA).await.unwrap();
    let catalog = server::catalog(&client).await;
    let bound = BoundPolicy::bind(Arc::new(policy()), &catalog, None);
    assert_eq!(bound.problems, []);
    let namespace = Namespace {
        schemas: vec!["pg_catalog".into(), "clinic".into(), "public".into()],
        temp_relations: vec![],
        temp_views: vec![],
        temp_types: vec![],
    };
    let world = World { client, catalog, bound, namespace };
    let (nurse, dba, masked) = (role("nurse", Scope::Assigned), role("dba", Scope::All), masked());
    let first = setting("PGGLASS_SEED", 1);
    let mut failures: BTreeMap<String, String> = BTreeMap::new();
    let mut strategies: BTreeMap<&str, String> = BTreeMap::new();
    for seed in first..first + setting("PGGLASS_DATABASES", 3) {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        dice.roll(2);
        fill(&world.client, &mut dice).await;
        for sql in statements::QUERIES.iter().filter(|s| !failures.contains_key(**s)).collect::<Vec<_>>() {
            for (role, fence) in [
                (&nurse, Fence::None),
                (&nurse, Fence::Blocks),
                (&nurse, Fence::Tables),
                (&dba, Fence::None),
                (&masked, Fence::None),
                (&masked, Fence::Blocks),
            ] {
                match world.query(role, sql, fence).await {
                    Ok(strategy) => {
                        strategies.insert(sql, format!("{strategy:?}"));
                    }
                    Err(e) => {
                        failures.entry((*sql).to_owned()).or_insert(format!("seed {seed}: {e}"));
                    }
                }
            }
        }
        for sql in statements::WRITES {
            for role in [&nurse, &dba] {
                if let Err(e) = world.write(role, sql).await {
                    failures.entry((*sql).to_owned()).or_insert(format!("seed {seed}: {e}"));
                }
            }
        }
    }
    for sql in [
        "INSERT INTO encounter (encounter_id, patient_id) VALUES (901, 5)",
        "INSERT INTO encounter (encounter_id, patient_id) VALUES (901, NULL)",
        "UPDATE encounter SET patient_id = 5 WHERE patient_id = 1",
    ] {
        world.client.batch_execute("INSERT INTO encounter VALUES (900, 1, 'x', 1)").await.ok();
        let plan = world.plan(&nurse, sql, Fence::None).unwrap();
        match world.run(&plan).await.reply {
            Err(e) if e.starts_with("22P02") && e.contains("GLS-201") => {}
            other => {
                failures.insert(sql.to_owned(), format!("a new key outside the assignment: {other:?}"));
            }
        }
    }
    let mut by_strategy: BTreeMap<String, usize> = BTreeMap::new();
    for (sql, s) in &strategies {
        *by_strategy.entry(s.clone()).or_default() += 1;
        if std::env::var_os("PGGLASS_SHOW").is_some() {
            println!("{s:8} {sql}");
        }
    }
    println!("{by_strategy:?}");
    let texts: Vec<String> = failures.iter().map(|(sql, e)| format!("{sql}\n  {e}")).collect();
    assert!(
        texts.is_empty(),
        "{} of {} fail:\n{}",
        texts.len(),
        statements::QUERIES.len(),
        texts.join("\n\n")
    );
}
