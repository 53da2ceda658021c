//! The clinic of `paths`: its schema and policy, random rows, what is whose in plain SQL (a model that
//! shares nothing with the guards), and the two properties.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pgglass::catalog::{Catalog, Namespace, QualifiedName, load};
use pgglass::policy::*;
use pgglass::sql::planner::{Context, decide};
use pgglass::sql::{GuardedPlan, PinValue, Strategy, Verdict};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::postgres::Postgres;

pub(crate) const PATIENTS: i64 = 6;
pub(crate) const ASSIGNED: [i64; 3] = [1, 2, 4];

const SCHEMA: &str = "
CREATE SCHEMA clinic; CREATE SCHEMA glass; CREATE SCHEMA model;
CREATE TABLE clinic.ward (ward int PRIMARY KEY);
INSERT INTO clinic.ward SELECT generate_series(0, 3);
CREATE TABLE clinic.patient (patient_id int8 PRIMARY KEY, name text, ward int, address_id int);
CREATE TABLE clinic.visit (visit_id int8 PRIMARY KEY, kind text, ward int, patient_id int8);
CREATE TABLE clinic.lab (lab_id int8 PRIMARY KEY, kind text, ward int, visit_id int8);
CREATE TABLE clinic.address (address_id int PRIMARY KEY, kind text, ward int);
CREATE TABLE clinic.appointment (appointment_id int PRIMARY KEY, kind text, ward int);
CREATE TABLE clinic.participant (appointment_id int, patient_id int8);
CREATE TABLE clinic.conference (conference_id int PRIMARY KEY, kind text, ward int);
CREATE TABLE clinic.attendee (conference_id int, patient_id int8);
CREATE TABLE clinic.cost (cost_id int8 PRIMARY KEY, kind text, ward int, domain varchar(6), ref int8);
CREATE TABLE clinic.fact (fact_id int8 PRIMARY KEY, kind text, ward int, dom int, ref int8);
CREATE TABLE glass.assigned (user_name text, patient_id int8, UNIQUE (user_name, patient_id));
INSERT INTO glass.assigned VALUES ('u', 1), ('u', 2), ('u', 4), ('v', 5);
CREATE TABLE glass.more (who name, patient int8, UNIQUE (who, patient));
INSERT INTO glass.more VALUES ('u', 1), ('u', 2), ('v', 6);
CREATE TABLE glass.team (team int, who text); CREATE TABLE glass.stay (team int, patient int8);
INSERT INTO glass.team VALUES (1, 'u'), (2, 'v'); INSERT INTO glass.stay VALUES (1, 4), (1, NULL), (2, 3);
CREATE VIEW model.owner (t, id, p) AS
    SELECT 'patient', patient_id, patient_id FROM clinic.patient
    UNION ALL SELECT 'visit', visit_id, patient_id FROM clinic.visit
    UNION ALL SELECT 'lab', lab_id, patient_id FROM clinic.lab JOIN clinic.visit USING (visit_id)
    UNION ALL SELECT 'address', address_id, patient_id FROM clinic.patient
    UNION ALL SELECT 'appointment', appointment_id, patient_id FROM clinic.participant
    UNION ALL SELECT 'conference', conference_id, patient_id FROM clinic.attendee
    UNION ALL SELECT 'cost', cost_id, patient_id FROM clinic.cost JOIN clinic.visit ON visit_id = ref WHERE domain = 'Visit'
    UNION ALL SELECT 'cost', cost_id, patient_id FROM clinic.cost JOIN clinic.patient ON patient_id = ref
        WHERE domain IN ('Person', 'Self')
    UNION ALL SELECT 'fact', fact_id, patient_id FROM clinic.fact JOIN clinic.visit ON visit_id = ref WHERE dom = 1
    UNION ALL SELECT 'fact', fact_id, patient_id FROM clinic.fact JOIN clinic.lab ON lab_id = ref
        JOIN clinic.visit USING (visit_id) WHERE dom = 2
    UNION ALL SELECT 'fact', fact_id, patient_id FROM clinic.fact JOIN clinic.patient ON address_id = ref WHERE dom = 3;
SET search_path = clinic, public;";

const KEYED: [(&str, &str); 8] = [
    ("patient", "patient_id"),
    ("visit", "visit_id"),
    ("lab", "lab_id"),
    ("address", "address_id"),
    ("appointment", "appointment_id"),
    ("conference", "conference_id"),
    ("cost", "cost_id"),
    ("fact", "fact_id"),
];

/// The columns by which rows of each table belong to their patients.
pub(crate) const OWNERS: [(&str, &[&str]); 8] = [
    ("patient", &["patient_id"]),
    ("visit", &["patient_id"]),
    ("lab", &["visit_id"]),
    ("address", &["address_id"]),
    ("appointment", &["appointment_id"]),
    ("conference", &["conference_id"]),
    ("cost", &["domain", "ref"]),
    ("fact", &["dom", "ref"]),
];

/// Everything but the rows that the assigned patients' user sees: a condition over `r`, and over the links.
fn strangers() -> (String, String) {
    let owner =
        |p: &str| format!("EXISTS (SELECT 1 FROM model.owner o WHERE o.t = r.t AND o.id = r.id AND {p})");
    let (ours, theirs) = (owner("p IN (1, 2, 4)"), owner("p NOT IN (1, 2, 4)"));
    let rows = format!("NOT {ours} OR (t = 'conference' AND {theirs})");
    (rows, "coalesce(patient_id NOT IN (1, 2, 4), true)".to_owned())
}

/// All rows of patient `p`: of a row of several, where any makes it visible, only if it is the last.
fn one(p: i64) -> (String, String) {
    let owner =
        |p: String| format!("EXISTS (SELECT 1 FROM model.owner o WHERE o.t = r.t AND o.id = r.id AND {p})");
    let (its, others) = (owner(format!("p = {p}")), owner(format!("p <> {p}")));
    (format!("{its} AND (t = 'conference' OR NOT {others})"), format!("patient_id = {p}"))
}

/// With `sources`, three of them share the assignments.
fn policy(sources: bool) -> Policy {
    let table = |n: &str| QualifiedName::new("clinic", n);
    let step = |c: &str, t: &str, r: &str, many: bool| Step { many, ..Step::new(c, table(t), r) };
    let path = |steps: Vec<Step>| KeyPath { steps, key: "patient_id".to_owned() };
    let rule = |n: &str, steps: Vec<Step>| TableRule::new(table(n), "c", path(steps));
    let when = |column: &str, is: &[&str], steps: Vec<Step>| Alternative {
        column: column.to_owned(),
        is: is.iter().map(|v| (*v).to_owned()).collect(),
        path: path(steps),
    };
    let by_visit = || step("visit_id", "visit", "visit_id", false);
    Policy {
        version: "0".into(),
        key_type: KeyType::Int8,
        identifiers: vec![],
        assignment: Assignment {
            relation: QualifiedName::new("glass", "assigned"),
            principal: "user_name".to_owned(),
            patient: "patient_id".to_owned(),
            valid_from: None,
            valid_to: None,
        },
        tables: vec![
            rule("patient", vec![]),
            rule("visit", vec![]),
            rule("participant", vec![]),
            rule("attendee", vec![]),
            rule("lab", vec![by_visit()]),
            rule("address", vec![step("address_id", "patient", "address_id", true)]),
            rule("appointment", vec![step("appointment_id", "participant", "appointment_id", true)]),
            TableRule {
                patients: Patients::All,
                ..rule("conference", vec![step("conference_id", "attendee", "conference_id", true)])
            },
            TableRule::new(
                table("cost"),
                "c",
                Path::When(vec![
                    when("domain", &["Visit"], vec![step("ref", "visit", "visit_id", false)]),
                    when("domain", &["Person", "Self"], vec![step("ref", "patient", "patient_id", false)]),
                ]),
            ),
            TableRule::new(
                table("fact"),
                "c",
                Path::When(vec![
                    when("dom", &["1"], vec![step("ref", "visit", "visit_id", false)]),
                    when("dom", &["2"], vec![step("ref", "lab", "lab_id", false), by_visit()]),
                    when("dom", &["3"], vec![step("ref", "patient", "address_id", true)]),
                ]),
            ),
        ],
        reference: [table("ward")].into(),
        roles: BTreeMap::new(),
        membership: Membership::default(),
        profiles: BTreeMap::new(),
        mode: PolicyMode::Enforce,
        // Patient 1 is assigned twice, 2 and 4 by one source each.
        sources: if !sources {
            Vec::new()
        } else {
            vec![
            Source::Relation(Assignment {
                relation: QualifiedName::new("glass", "more"),
                principal: "who".to_owned(),
                patient: "patient".to_owned(),
                valid_from: None,
                valid_to: None,
            }),
            Source::Query(AssignmentQuery {
                sql: "SELECT t.who, s.patient FROM glass.team t JOIN glass.stay s ON s.team OPERATOR(pg_catalog.=) t.team".to_owned(),
                relations: vec![QualifiedName::new("glass", "stay"), QualifiedName::new("glass", "team")],
                columns: ["patient", "team", "who"].map(str::to_owned).to_vec(),
                ..AssignmentQuery::default()
            }),
        ]
        },
        deny: Default::default(),
        labels: Vec::new(),
    }
}

/// xorshift, so that a seed is a database.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        dice.roll(2);
        dice
    }

    fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// One of 1 to `n`, or NULL.
    fn one(&mut self, n: u64) -> String {
        if self.roll(8) == 0 { "NULL".to_owned() } else { (1 + self.roll(n)).to_string() }
    }
}

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

type Reply = Result<(Vec<String>, Vec<Vec<Option<String>>>), String>;

async fn simple(client: &Client, sql: &str) -> Reply {
    let messages = client.simple_query(sql).await.map_err(|e| {
        let text = e.as_db_error().map(|d| d.message().to_owned()).unwrap_or_default();
        format!("{} {text}", e.code().map(|c| c.code()).unwrap_or("?"))
    })?;
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    for m in messages {
        match m {
            SimpleQueryMessage::RowDescription(c) => names = c.iter().map(|c| c.name().to_owned()).collect(),
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
            }
            _ => {}
        }
    }
    Ok((names, rows))
}

/// Order counts only where the statement says so.
fn normal(sql: &str, reply: Reply) -> Reply {
    reply.map(|(names, mut rows)| {
        if !sql.contains("ORDER BY") {
            rows.sort();
        }
        (names, rows)
    })
}

/// What the client sees, and whom the record names.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) reply: Reply,
    patients: BTreeSet<i64>,
}

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) nurse: Arc<Role>,
    pub(crate) dba: Arc<Role>,
    catalog: Arc<Catalog>,
    bound: Arc<BoundPolicy>,
    /// What deletes everybody else's rows (0), or those of patient `n`, in this database.
    forget: Vec<String>,
    /// What puts NULL in place of everybody else's cells, but for those that say whose they are.
    mask: String,
    _pg: Postgres,
}

impl World {
    pub(crate) async fn new(sources: bool) -> Self {
        let pg = Postgres::start();
        let client = pg.connect().await;
        client.batch_execute(SCHEMA).await.unwrap();
        if sources {
            let one = "DELETE FROM glass.assigned WHERE user_name = 'u' AND patient_id <> 1";
            client.batch_execute(one).await.unwrap();
        }
        let catalog = load(&pg.connect().await, 1).await.unwrap();
        let bound = BoundPolicy::bind(Arc::new(policy(sources)), &catalog, None);
        assert_eq!(bound.problems, []);
        Self {
            client,
            nurse: Arc::new(Role::new("nurse", Scope::Assigned)),
            dba: Arc::new(Role::new("dba", Scope::All)),
            catalog: Arc::new(catalog),
            bound: Arc::new(bound),
            forget: Vec::new(),
            mask: String::new(),
            _pg: pg,
        }
    }

    pub(crate) async fn fill(&mut self, dice: &mut Dice) {
        self.rows(dice).await;
        let all = KEYED
            .map(|(t, i)| format!("SELECT '{t}' AS t, {i}::int8 AS id FROM clinic.{t}"))
            .join(" UNION ALL ");
        self.forget.clear();
        self.mask.clear();
        for (rows, links) in std::iter::once(strangers()).chain((1..=PATIENTS).map(one)) {
            let query = format!("SELECT t, id FROM ({all}) r WHERE {rows}");
            let doomed = self.client.query(&query, &[]).await.unwrap();
            let mut sql = String::new();
            for (t, i) in KEYED {
                let ids = doomed
                    .iter()
                    .filter(|r| r.get::<_, &str>(0) == t)
                    .map(|r| r.get::<_, i64>(1).to_string());
                let ids: Vec<String> = ids.collect();
                if !ids.is_empty() {
                    let its = format!("WHERE {i} IN ({})", ids.join(", "));
                    sql += &format!("DELETE FROM clinic.{t} {its};");
                    if self.forget.is_empty() {
                        self.mask += &self.emptied(t, &its);
                    }
                }
            }
            for link in ["participant", "attendee"] {
                sql += &format!("DELETE FROM clinic.{link} WHERE {links};");
            }
            self.forget.push(sql);
        }
    }

    /// NULL in the cells of `table`'s rows of which the condition holds.
    fn emptied(&self, table: &str, condition: &str) -> String {
        let relation = self.catalog.lookup(&QualifiedName::new("clinic", table)).unwrap();
        let owners = OWNERS.iter().find(|(t, _)| *t == table).unwrap().1;
        let columns = relation.columns.iter().map(|c| c.name.as_str()).filter(|c| !owners.contains(c));
        let set: Vec<String> = columns.map(|c| format!("{c} = NULL")).collect();
        let mut sql = format!("ALTER TABLE clinic.{table} DROP CONSTRAINT {table}_pkey;");
        for key in KEYED.iter().filter(|(t, key)| *t == table && !owners.contains(key)) {
            sql += &format!("ALTER TABLE clinic.{table} ALTER {} DROP NOT NULL;", key.1);
        }
        sql + &format!("UPDATE clinic.{table} SET {} {condition};", set.join(", "))
    }

    /// The lines of the plan of `sql` as `role` asks it, without costs.
    pub(crate) async fn explained(&self, role: &Arc<Role>, sql: &str) -> Vec<String> {
        let text = self.plan(role, sql).unwrap().text.replace("$1::pg_catalog.text", "'u'::pg_catalog.text");
        let (_, rows) = simple(&self.client, &format!("EXPLAIN (COSTS OFF) {text}")).await.unwrap();
        rows.into_iter().flatten().flatten().collect()
    }

    async fn rows(&self, dice: &mut Dice) {
        let mut sql = "TRUNCATE patient, visit, lab, address, appointment, participant, conference, attendee, cost, fact;"
            .to_owned();
        let kind = |dice: &mut Dice| ["a", "b", "c"][dice.roll(3) as usize];
        for p in 1..=PATIENTS {
            sql += &format!(
                "INSERT INTO patient VALUES ({p}, '{}', {}, {});",
                kind(dice),
                dice.roll(4),
                dice.one(5)
            );
        }
        for (table, most) in [("address", 5), ("appointment", 5), ("conference", 5)] {
            for i in 1..=most {
                sql += &format!("INSERT INTO {table} VALUES ({i}, '{}', {});", kind(dice), dice.roll(4));
            }
        }
        for table in ["participant", "attendee"] {
            for _ in 0..3 + dice.roll(7) {
                sql += &format!("INSERT INTO {table} VALUES ({}, {});", dice.one(5), dice.one(6));
            }
        }
        for (table, of) in [("visit", 6), ("lab", 7)] {
            for i in 1..=6 {
                sql += &format!(
                    "INSERT INTO {table} VALUES ({i}, '{}', {}, {});",
                    kind(dice),
                    dice.roll(4),
                    dice.one(of)
                );
            }
        }
        for i in 1..=8 {
            let domain = ["Visit", "Visit", "Person", "Self", "Else"][dice.roll(5) as usize];
            let rest = |dice: &mut Dice| format!("{i}, '{}', {}", kind(dice), dice.roll(4));
            sql += &format!("INSERT INTO cost VALUES ({}, '{domain}', {});", rest(dice), dice.one(7));
            sql += &format!("INSERT INTO fact VALUES ({}, {}, {});", rest(dice), dice.one(4), dice.one(6));
        }
        self.client.batch_execute(&sql).await.unwrap();
    }

    pub(crate) fn decide(&self, role: &Arc<Role>, sql: &str) -> Verdict {
        let context = Context {
            role: Arc::clone(role),
            policy: Arc::clone(&self.bound),
            catalog: Arc::clone(&self.catalog),
            namespace: Arc::new(Namespace {
                schemas: vec!["pg_catalog".into(), "clinic".into(), "public".into()],
                temp_relations: vec![],
                temp_views: vec![],
                temp_types: vec![],
            }),
            variant: Variant::Assigned,
            watched: None,
        };
        decide(sql, &context).unwrap().statements[0].verdict.clone()
    }

    pub(crate) async fn run(&self, plan: &GuardedPlan) -> Seen {
        let text = plan.text.replace("$1::pg_catalog.text", "'u'::pg_catalog.text");
        let mut patients = BTreeSet::new();
        for pin in plan.pins.iter().filter(|p| p.certain) {
            if let PinValue::Constant(text) = &pin.value {
                patients.insert(text.parse().unwrap());
            }
        }
        let (names, rows) = match simple(&self.client, &text).await {
            Ok(ok) => ok,
            Err(e) => return Seen { reply: Err(e), patients },
        };
        let shown: Vec<usize> = (0..names.len()).filter(|i| !names[*i].starts_with("__glass_")).collect();
        let mut kept = Vec::new();
        for row in rows {
            let mut real = !plan.rows_are_witnesses;
            for (name, value) in names.iter().zip(&row) {
                match (name.get(..9), value) {
                    (Some("__glass_k"), Some(key)) => _ = patients.insert(key.parse().unwrap()),
                    (Some("__glass_s"), Some(set)) => {
                        let keys = set.trim_matches(['{', '}']).split(',');
                        patients.extend(
                            keys.filter(|k| !k.is_empty() && *k != "NULL").map(|k| k.parse::<i64>().unwrap()),
                        );
                    }
                    (Some("__glass_m"), None) => real = false,
                    _ => {}
                }
            }
            if real {
                kept.push(shown.iter().map(|i| row[*i].clone()).collect());
            }
        }
        let names = match plan.rows_are_witnesses {
            true => Vec::new(),
            false => shown.iter().map(|i| names[*i].clone()).collect(),
        };
        Seen { reply: Ok((names, kept)), patients }
    }

    fn plan(&self, role: &Arc<Role>, sql: &str) -> Result<Arc<GuardedPlan>, String> {
        match self.decide(role, sql) {
            Verdict::Guarded(plan) => Ok(plan),
            other => Err(format!("{}: {other:?}", role.name)),
        }
    }

    /// Runs `work`'s statement after `forget`; nothing stays.
    async fn after(&self, forget: &str, run: impl AsyncFnOnce() -> Reply) -> Reply {
        self.client.batch_execute(&format!("BEGIN; {forget}")).await.unwrap();
        let reply = run().await;
        self.client.batch_execute("ROLLBACK").await.unwrap();
        reply
    }

    /// The properties for one query, one role, one database.
    pub(crate) async fn query(&self, role: &Arc<Role>, sql: &str) -> Result<Strategy, String> {
        let plan = self.plan(role, sql)?;
        let fail =
            |what: String| Err(format!("{}: {what}\n  {:?}\n  {}", role.name, plan.lineage, plan.text));
        let seen = self.run(&plan).await;
        let reply = normal(sql, seen.reply);
        let restricted = role.scope == Scope::Assigned && role.outside != Outside::Mask;
        let who = match role.scope {
            Scope::Assigned if restricted => self.forget[0].as_str(),
            Scope::Assigned => self.mask.as_str(),
            _ => "",
        };
        let expected = normal(sql, self.after(who, async || simple(&self.client, sql).await).await);
        if reply != expected || reply.is_err() {
            return fail(format!("shows {reply:?}, the original {expected:?}"));
        }
        if restricted && !seen.patients.iter().all(|p| ASSIGNED.contains(p)) {
            return fail(format!("records {:?}, more than the assigned", seen.patients));
        }
        for p in (1..=PATIENTS).filter(|p| !seen.patients.contains(p)) {
            let other = self.after(&self.forget[p as usize], async || self.run(&plan).await.reply).await;
            if normal(sql, other) != reply {
                return fail(format!("{p} influences {reply:?} but {:?} is recorded", seen.patients));
            }
        }
        Ok(plan.lineage.strategy)
    }

    /// A write of the filtered role: the reply, and every table afterwards.
    pub(crate) async fn write(&self, sql: &str) -> Result<(), String> {
        let plan = self.plan(&self.nurse, sql)?;
        let state = KEYED.map(|(t, i)| format!("SELECT '{t}', {i}::int8, t::text FROM clinic.{t} t"));
        let state = state.join(" UNION ALL ") + " ORDER BY 1, 2";
        let mut found = Vec::new();
        for guarded in [false, true] {
            self.client.batch_execute("BEGIN").await.unwrap();
            if !guarded {
                self.client.batch_execute(&self.forget[0]).await.unwrap();
            }
            let reply = match guarded {
                true => self.run(&plan).await.reply,
                false => simple(&self.client, sql).await,
            };
            let reply = if plan.rows_are_witnesses { reply.map(|_| Default::default()) } else { reply };
            let after = simple(&self.client, &state).await;
            self.client.batch_execute("ROLLBACK").await.unwrap();
            found.push((normal(sql, reply), after));
        }
        let [(expected, theirs), (reply, ours)] = found.as_slice() else { return Err("two runs".to_owned()) };
        if reply != expected || reply.is_err() {
            return Err(format!("{reply:?}, the original {expected:?}\n  {}", plan.text));
        }
        // Everything that was not the user's is as it was; the rest is as the original left it.
        let before = simple(&self.client, &state).await;
        self.client.batch_execute(&format!("BEGIN; {}", self.forget[0])).await.unwrap();
        let own = simple(&self.client, &state).await;
        self.client.batch_execute("ROLLBACK").await.unwrap();
        let rows = |r: &Reply| -> Result<BTreeSet<Vec<Option<String>>>, String> {
            r.as_ref().map(|(_, rows)| rows.iter().cloned().collect()).map_err(Clone::clone)
        };
        let (before, own) = (rows(&before)?, rows(&own)?);
        let strangers: BTreeSet<_> = before.difference(&own).cloned().collect();
        let mut wanted = rows(theirs)?;
        wanted.extend(strangers);
        if rows(ours)? != wanted {
            return Err(format!("leaves other rows than the original\n  {}", plan.text));
        }
        Ok(())
    }
}
