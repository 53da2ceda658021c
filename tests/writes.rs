//! Writes of a restricted user against a real PostgreSQL, random ones over random little clinics:
//! - rows of other patients are as they were, whatever the write;
//! - what is written, returned and counted, and whether it fails, is as on a database that has only the
//!   user's rows;
//! - the record names every patient whose row was written, and every one whose removal changes the outcome.
//!
//! `PGGLASS_SEED`, `PGGLASS_DATABASES` and `PGGLASS_WRITES` choose the first database, how many are tried
//! and how many writes each gets. `PGGLASS_SHOW` prints what was refused and how often.

#![allow(clippy::unwrap_used, clippy::panic)] // a test's helpers may fail the test

#[path = "writes/generate.rs"]
mod generate;
#[path = "writes/idioms.rs"]
mod idioms;
#[path = "lineage_rewrite/seen.rs"]
mod seen;
#[path = "lineage_rewrite/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use generate::Dice;
use pgglass::catalog::{Namespace, QualifiedName};
use pgglass::policy::*;
use pgglass::sql::planner::{Context, decide};
use pgglass::sql::{GuardedPlan, StatementKind, Verdict};
use seen::{STRANGERS, Seen, forget};
use server::{Reply, Server, simple};
use tokio_postgres::Client;

const PATIENTS: i64 = 6;
const SCHEMA: &str = "
CREATE SCHEMA clinic; CREATE SCHEMA glass;
CREATE TABLE clinic.ward (ward int PRIMARY KEY, wname text);
INSERT INTO clinic.ward SELECT i, 'w' || i FROM generate_series(0, 3) i;
CREATE TABLE clinic.patient (patient_id int8 PRIMARY KEY, name text, age int, ward int);
CREATE TABLE clinic.encounter (encounter_id int PRIMARY KEY, patient_id int8, kind text, score int, tags text[], doc jsonb);
CREATE UNIQUE INDEX ON clinic.encounter (patient_id) WHERE kind = 'now';
CREATE UNIQUE INDEX ON clinic.encounter (patient_id, lower(kind)) WHERE score = 77;
CREATE TABLE clinic.lab_order (order_id int PRIMARY KEY, patient_id int8);
CREATE TABLE clinic.lab_result (result_id int PRIMARY KEY, order_id int, code text, value int);
CREATE TABLE glass.assigned (user_name text, patient_id int8, UNIQUE (user_name, patient_id));
INSERT INTO glass.assigned VALUES ('u', 1), ('u', 2), ('u', 4), ('v', 5);
SET search_path = clinic, public; SET jit = off;";

fn table(name: &str, steps: &[(&str, &str, &str)]) -> TableRule {
    let step = |(column, table, references): &(&str, &str, &str)| {
        Step::new(*column, QualifiedName::new("clinic", *table), *references)
    };
    let path = KeyPath { steps: steps.iter().map(step).collect(), key: "patient_id".to_owned() };
    TableRule::new(QualifiedName::new("clinic", name), "all", path)
}

fn policy() -> Policy {
    Policy {
        version: "0".into(),
        key_type: KeyType::Int8,
        identifiers: Vec::new(),
        assignment: Assignment {
            relation: QualifiedName::new("glass", "assigned"),
            principal: "user_name".to_owned(),
            patient: "patient_id".to_owned(),
            valid_from: None,
            valid_to: None,
        },
        tables: vec![
            table("patient", &[]),
            table("encounter", &[]),
            table("lab_order", &[]),
            table("lab_result", &[("order_id", "lab_order", "order_id")]),
        ],
        reference: [QualifiedName::new("clinic", "ward")].into(),
        roles: BTreeMap::new(),
        membership: Membership::default(),
        profiles: BTreeMap::new(),
        mode: Default::default(),
        deny: Default::default(),
        labels: Vec::new(),
        sources: Default::default(),
    }
}

fn nurse() -> Role {
    Role {
        name: "nurse".into(),
        scope: Scope::Assigned,
        outside: Outside::Hide,
        classes: None,
        masks: BTreeMap::new(),
        masking: Default::default(),
        functions: BTreeSet::new(),
        channels: BTreeSet::new(),
        break_glass: None,
        privacy_officer: false,
        mode: Default::default(),
        rows_withheld: Default::default(),
        denied: Default::default(),
        outside_of: Default::default(),
        when: Default::default(),
        categories: Default::default(),
        labels: Default::default(),
        limited: false,
    }
}

async fn fill(client: &Client, dice: &mut Dice) {
    let mut sql = "TRUNCATE patient, encounter, lab_order, lab_result;".to_owned();
    let mine = |p: u64| matches!(p, 1 | 2 | 4);
    for p in 1..=PATIENTS as u64 {
        let age = if mine(p) { dice.of(&["35", "45", "55", "NULL"]) } else { dice.of(&["0", "45"]) };
        sql += &format!("INSERT INTO patient VALUES ({p}, 'n{}', {age}, {});", dice.roll(3), dice.or_null(4));
    }
    for i in 0..10 {
        let p = 1 + dice.roll(7);
        let id = if mine(p) { i } else { 100 + i };
        let owner = if p == 7 { "NULL".to_owned() } else { p.to_string() };
        let score = if mine(p) {
            // Seldom a 0 of one's own.
            if dice.roll(30) == 0 { "0".to_owned() } else { dice.of(&["1", "2", "3", "NULL"]).to_owned() }
        } else {
            dice.of(&["0", "2147483647", "2"]).to_owned()
        };
        sql +=
            &format!("INSERT INTO encounter VALUES ({id}, {owner}, '{}', {score});", dice.of(&["in", "out"]));
        if dice.roll(2) == 0 {
            sql += &format!("INSERT INTO lab_order VALUES ({id}, {owner});");
            sql += &format!("INSERT INTO lab_result VALUES ({id}, {id}, 'c', {});", dice.or_null(4));
        }
    }
    client.batch_execute(&sql).await.unwrap();
}

/// Every row with its patient and the place it has in its table's key.
const STATE: &str = "SELECT patient_id, 'patient' AS t, patient_id AS id, p::text AS r FROM patient p UNION ALL \
    SELECT patient_id, 'encounter', encounter_id, e::text FROM encounter e UNION ALL \
    SELECT patient_id, 'order', order_id, o::text FROM lab_order o UNION ALL \
    SELECT patient_id, 'result', result_id, r::text FROM lab_result r LEFT JOIN lab_order USING (order_id) \
    ORDER BY 2, 3, 4";

/// What is in the database: rows of the patients that `keep` is true for.
async fn state(client: &Client, keep: impl Fn(Option<i64>) -> bool) -> Vec<Vec<Option<String>>> {
    let (_, rows) = simple(client, STATE).await.unwrap();
    rows.into_iter().filter(|r| keep(r[0].as_deref().map(|p| p.parse().unwrap()))).collect()
}

fn is_mine(p: Option<i64>) -> bool {
    matches!(p, Some(1 | 2 | 4))
}

fn sorted(reply: Reply) -> Reply {
    reply.map(|(names, mut rows)| {
        rows.sort();
        (names, rows)
    })
}

struct Outcome {
    reply: Reply,
    mine: Vec<Vec<Option<String>>>,
    others: Vec<Vec<Option<String>>>,
    patients: BTreeSet<i64>,
}

struct World {
    client: Client,
    context: Context,
}

impl World {
    /// The guarded write after `before`, and what is then in the database; nothing stays.
    async fn guarded(&self, plan: &GuardedPlan, before: &str) -> Outcome {
        self.client.batch_execute(&format!("BEGIN; {before} SAVEPOINT w")).await.unwrap();
        let text = plan.text.replace("$1::pg_catalog.text", "'u'::pg_catalog.text");
        let (reply, patients) = if plan.kind == StatementKind::Merge {
            // It returns nothing: the session records everyone whom the user can see.
            (self.counted(&text).await, BTreeSet::from([1, 2, 4]))
        } else {
            let Seen { reply, patients, moved } = Seen::of(plan, simple(&self.client, &text).await);
            // The number of rows is the command tag's.
            let reply = match plan.rows_are_witnesses {
                true => reply.map(|(names, _)| (names, vec![Vec::new(); moved])),
                false => reply,
            };
            (reply, patients)
        };
        if reply.is_err() {
            self.client.batch_execute("ROLLBACK TO w").await.unwrap();
        }
        let mine = state(&self.client, is_mine).await;
        let others = state(&self.client, |p| !is_mine(p)).await;
        self.client.batch_execute("ROLLBACK").await.unwrap();
        Outcome { reply: sorted(reply), mine, others, patients }
    }

    /// The reply to a statement, with an empty row for each that a statement without rows wrote.
    async fn counted(&self, sql: &str) -> Reply {
        let counted = self.client.simple_query(sql).await;
        match counted {
            Ok(messages) => {
                let (mut names, mut rows) = (None, Vec::new());
                let mut tag = 0;
                for m in messages {
                    match m {
                        tokio_postgres::SimpleQueryMessage::RowDescription(c) => {
                            names = Some(c.iter().map(|c| c.name().to_owned()).collect::<Vec<_>>());
                        }
                        tokio_postgres::SimpleQueryMessage::Row(row) => {
                            rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
                        }
                        tokio_postgres::SimpleQueryMessage::CommandComplete(n) => tag = n,
                        _ => {}
                    }
                }
                match names {
                    Some(names) => Ok((names, rows)),
                    None => Ok((Vec::new(), (0..tag).map(|_| Vec::new()).collect())),
                }
            }
            Err(e) => Err(format!("{} {}", e.code().unwrap().code(), e.as_db_error().unwrap().message())),
        }
    }

    /// The client's own write on a database of the user's rows.
    async fn alone(&self, sql: &str) -> (Reply, Vec<Vec<Option<String>>>) {
        self.client.batch_execute(&format!("BEGIN; {} SAVEPOINT w", forget(STRANGERS))).await.unwrap();
        let reply = self.counted(sql).await;
        if reply.is_err() {
            self.client.batch_execute("ROLLBACK TO w").await.unwrap();
        }
        let mine = state(&self.client, is_mine).await;
        self.client.batch_execute("ROLLBACK").await.unwrap();
        (sorted(reply), mine)
    }

    fn plan(&self, sql: &str) -> Result<Arc<GuardedPlan>, String> {
        let planned = decide(sql, &self.context).map_err(|r| r.to_string())?;
        match &planned.statements[0].verdict {
            Verdict::Guarded(plan) => Ok(Arc::clone(plan)),
            Verdict::Refused(refusal) => Err(format!("{}: {:?}", refusal.message, refusal.hint)),
            other => Err(format!("{other:?}")),
        }
    }

    async fn holds(&self, sql: &str, before: &[Vec<Option<String>>]) -> Result<Kind, String> {
        let plan = self.plan(sql).map_err(|e| format!("refused: {e}"))?;
        let fail = |what: String| Err(format!("{what}\n  {:?}\n  {}", plan.lineage, plan.text));
        let seen = self.guarded(&plan, "").await;
        let strangers: Vec<_> = before.iter().filter(|r| !is_mine(number(&r[0]))).cloned().collect();
        if seen.others != strangers {
            return fail(format!("rows of others changed: {:?}, were {strangers:?}", seen.others));
        }
        let (expected, mine) = self.alone(sql).await;
        let code = |r: &Reply| r.as_ref().err().and_then(|e| e.get(..5)).map(str::to_owned);
        match (code(&seen.reply), code(&expected)) {
            (None, None) => {}
            // Behind a filter of ours an expression may be spared a row that another condition removes.
            (None, Some(e)) if e.starts_with("22") && seen.mine != mine => return Ok(Kind::Spared),
            (None, Some(e)) if e.starts_with("22") => return Ok(Kind::Spared),
            (a, b) if a == b => return Ok(Kind::Failed),
            // Or be evaluated in the order in which it was written: then it fails without the others, too.
            (Some(e), None) if e.starts_with("22") => {
                let without = self.guarded(&plan, &forget(STRANGERS)).await;
                if without.reply == seen.reply {
                    return Ok(Kind::Spared);
                }
                return fail(format!("{:?}, without others {:?}", seen.reply, without.reply));
            }
            _ => return fail(format!("{:?}, alone {expected:?}", seen.reply)),
        }
        if seen.reply != expected || seen.mine != mine {
            return fail(format!("{:?} {:?}\n  alone {expected:?} {mine:?}", seen.reply, seen.mine));
        }
        let written: BTreeSet<i64> = before
            .iter()
            .filter(|r| is_mine(number(&r[0])) && !seen.mine.contains(r))
            .chain(seen.mine.iter().filter(|r| !before.contains(r)))
            .filter_map(|r| number(&r[0]))
            .collect();
        if !written.is_subset(&seen.patients) {
            return fail(format!("{written:?} written, {:?} recorded", seen.patients));
        }
        if let Some(p) = seen.patients.iter().find(|p| !is_mine(Some(**p)) && plan.pins.is_empty()) {
            return fail(format!("{p} recorded, who is hidden"));
        }
        for p in (1..=PATIENTS).filter(|p| !seen.patients.contains(p)) {
            let less = self.guarded(&plan, &forget(&format!("coalesce(patient_id = {p}, false)"))).await;
            let rest = |rows: &[Vec<Option<String>>]| -> Vec<_> {
                rows.iter().filter(|r| number(&r[0]) != Some(p)).cloned().collect()
            };
            if less.reply != seen.reply || rest(&less.mine) != rest(&seen.mine) {
                return fail(format!("{p} influences {:?}; {:?} recorded", seen.reply, seen.patients));
            }
        }
        Ok(if plan.lineage.exact { Kind::Exact } else { Kind::Bounded })
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Exact,
    Bounded,
    Failed,
    Spared,
}

fn number(field: &Option<String>) -> Option<i64> {
    field.as_deref().map(|p| p.parse().unwrap())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

async fn world(server: &Server) -> World {
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
    let context = Context {
        role: Arc::new(nurse()),
        policy: Arc::new(bound),
        catalog: Arc::new(catalog),
        namespace: Arc::new(namespace),
        variant: Variant::Assigned,
        watched: None,
    };
    World { client, context }
}

#[tokio::test]
async fn random_writes_change_and_tell_what_they_would_on_the_users_rows_alone() {
    let server = Server::start();
    let world = world(&server).await;
    let first = setting("PGGLASS_SEED", 1);
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in first..first + setting("PGGLASS_DATABASES", 6) {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        dice.roll(2);
        fill(&world.client, &mut dice).await;
        world.client.batch_execute(&generate::settings(&mut dice)).await.unwrap();
        let before = state(&world.client, |_| true).await;
        for _ in 0..setting("PGGLASS_WRITES", 40) {
            let sql = generate::statement(&mut dice);
            match world.holds(&sql, &before).await {
                Ok(kind) => *kinds.entry(kind).or_default() += 1,
                Err(e) => failures.push(format!("seed {seed}: {sql}\n  {e}")),
            }
        }
    }
    println!("{kinds:?}, {} failures", failures.len());
    failures.truncate(12);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test]
async fn writes_of_queues_bulk_loads_and_upserts_are_done_on_the_users_rows() {
    let server = Server::start();
    let world = world(&server).await;
    let mut failures = Vec::new();
    for seed in 1..=setting("PGGLASS_DATABASES", 4) {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        dice.roll(2);
        fill(&world.client, &mut dice).await;
        world.client.batch_execute(&generate::settings(&mut dice)).await.unwrap();
        let before = state(&world.client, |_| true).await;
        for sql in [idioms::QUEUES, idioms::BULK, idioms::UPSERTS, idioms::FAMILIES, idioms::MERGES].concat()
        {
            if let Err(e) = world.holds(sql, &before).await {
                failures.push(format!("seed {seed}: {sql}\n  {e}"));
            }
        }
    }
    let count = failures.len();
    failures.truncate(40);
    assert!(failures.is_empty(), "{count}\n{}", failures.join("\n\n"));
}

/// What a write reads beside its target is read before any row of it is met: were it read only for rows that
/// are met, its error would tell that a hidden one is there.
#[tokio::test]
async fn whether_what_a_write_reads_fails_depends_on_no_row_of_others() {
    let server = Server::start();
    let world = world(&server).await;
    let mut failures = Vec::new();
    for seed in 1..=setting("PGGLASS_DATABASES", 6) {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        dice.roll(2);
        fill(&world.client, &mut dice).await;
        let more = "INSERT INTO encounter VALUES (90, 1, 'in', 1), (91, 2, 'in', 1), (190, 5, 'in', 2147483647), (191, 6, 'out', 0); \
                    INSERT INTO lab_order VALUES (90, 1);";
        world.client.batch_execute(more).await.unwrap();
        world.client.batch_execute(&generate::settings(&mut dice)).await.unwrap();
        for sql in idioms::FAILING {
            let plan = match world.plan(sql) {
                Ok(plan) => plan,
                Err(e) => {
                    failures.push(format!("seed {seed}: {sql}\n  refused: {e}"));
                    continue;
                }
            };
            let with = world.guarded(&plan, "").await;
            let without =
                world.guarded(&plan, &format!("{};", forget(STRANGERS).trim_end_matches(';'))).await;
            if with.reply != without.reply || with.reply.is_ok() {
                failures.push(format!(
                    "seed {seed}: {sql}\n  {:?}, without {:?}\n  {}",
                    with.reply, without.reply, plan.text
                ));
            }
        }
    }
    failures.truncate(12);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Rows that are written are of the user's patients, whatever they refer to and whatever a source says.
#[tokio::test]
async fn no_row_of_another_patient_is_written() {
    let server = Server::start();
    let world = world(&server).await;
    let mut dice = Dice(7);
    fill(&world.client, &mut dice).await;
    let more = "INSERT INTO encounter VALUES (90, 1, 'in', 1), (190, 5, 'in', 2147483647); INSERT INTO lab_order VALUES (90, 1), (190, 5); \
                INSERT INTO lab_result VALUES (90, 90, 'c', 1), (190, 190, 'c', 1);";
    world.client.batch_execute(more).await.unwrap();
    let before = state(&world.client, |_| true).await;
    for sql in idioms::OUTSIDE {
        let plan = world.plan(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let seen = world.guarded(&plan, "").await;
        let refused = seen.reply.as_ref().is_err_and(|e| e.contains("GLS-201"));
        assert!(refused, "{sql}\n  {:?}\n  {}", seen.reply, plan.text);
        let strangers: Vec<_> = before.iter().filter(|r| !is_mine(number(&r[0]))).cloned().collect();
        assert_eq!(seen.others, strangers, "{sql}");
    }
    for sql in idioms::REFUSED {
        let refusal = world.plan(sql).map(|plan| plan.text.clone()).expect_err(sql);
        println!("{sql}\n  {refusal}");
    }
}
