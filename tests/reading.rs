//! Every form of reading that PostgreSQL's grammar offers (`reading/forms.sql`), whole: decided for a
//! restricted role on the catalog of a real server, and run there. What a form gives must be what the
//! original gives on a database without everybody else's rows, and whoever's deletion changes the
//! reply must be named. Not for the protocol (tests/promises), nor for random shapes (lineage_rewrite).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "lineage_rewrite/seen.rs"]
mod seen;
#[path = "lineage_rewrite/server.rs"]
#[allow(dead_code)] // the other test's catalog
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pgglass::catalog::{Namespace, QualifiedName, load};
use pgglass::policy::*;
use pgglass::sql::planner::{Context, decide};
use pgglass::sql::{GuardedPlan, Strategy, Verdict};
use seen::{STRANGERS, Seen, forget};
use server::{Reply, Server, simple};
use tokio_postgres::Client;

const FORMS: &str = include_str!("reading/forms.sql");
const SCHEMA: &str = include_str!("reading/schema.sql");

const MASKED: &str = "UPDATE patient SET name = '***', age = NULL;";
const PATIENTS: i64 = 6;

fn role(masks: bool) -> Role {
    let columns = [("name", Mask::Redact { text: "***".to_owned() }), ("age", Mask::Null)];
    let columns: BTreeMap<String, Mask> = columns.into_iter().map(|(c, m)| (c.to_owned(), m)).collect();
    let patient = QualifiedName::new("clinic", "patient");
    Role {
        name: if masks { "masked".into() } else { "nurse".into() },
        scope: Scope::Assigned,
        outside: Outside::Hide,
        classes: None,
        masks: if masks { BTreeMap::from([(patient, columns)]) } else { BTreeMap::new() },
        masking: Default::default(),
        mode: Default::default(),
        rows_withheld: Default::default(),
        outside_of: Default::default(),
        denied: Default::default(),
        when: Default::default(),
        categories: Default::default(),
        labels: Default::default(),
        limited: false,
        functions: BTreeSet::new(),
        channels: BTreeSet::new(),
        break_glass: None,
        privacy_officer: false,
    }
}

fn policy() -> Policy {
    let name = |n: &str| QualifiedName::new("clinic", n);
    let table = |n: &str, steps: Vec<Step>| {
        TableRule::new(name(n), "c", KeyPath { steps, key: "patient_id".to_owned() })
    };
    let step = Step {
        column: "order_id".into(),
        table: name("lab_order"),
        references: "order_id".into(),
        many: false,
    };
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
            table("patient", Vec::new()),
            table("encounter", Vec::new()),
            table("lab_order", Vec::new()),
            table("sample", Vec::new()),
            table("lab_result", vec![step]),
        ],
        reference: [name("ward")].into(),
        roles: BTreeMap::new(),
        membership: Membership::default(),
        sources: Vec::new(),
        deny: Default::default(),
        labels: Vec::new(),
        profiles: BTreeMap::new(),
        mode: Default::default(),
    }
}

struct World {
    client: Client,
    context: Context,
}

/// Order counts where the whole statement has an ORDER BY; of an error its SQLSTATE.
fn normal(sql: &str, reply: Reply) -> Reply {
    let ordered = sql.rsplit(')').next().unwrap_or(sql).contains("ORDER BY");
    match reply {
        Ok((names, mut rows)) => {
            if !ordered {
                rows.sort();
            }
            Ok((names, rows))
        }
        Err(e) => Err(e.split(' ').next().unwrap_or_default().to_owned()),
    }
}

impl World {
    fn verdict(&self, masks: bool, sql: &str) -> Verdict {
        let context = Context { role: Arc::new(role(masks)), ..self.context.clone() };
        match decide(sql, &context) {
            Ok(planned) => planned.statements[0].verdict.clone(),
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    async fn run(&self, plan: &GuardedPlan) -> Seen {
        let text = plan.text.replace("$1::pg_catalog.text", "'u'::pg_catalog.text");
        Seen::of(plan, simple(&self.client, &text).await)
    }

    /// Runs `sql` with the rows of `who` gone (and masks in place); nothing stays.
    async fn without(&self, who: &str, masks: bool, sql: &str) -> Reply {
        let masks = if masks { MASKED } else { "" };
        self.client.batch_execute(&format!("BEGIN; {} {masks}", forget(who))).await.unwrap();
        let reply = simple(&self.client, sql).await;
        self.client.batch_execute("ROLLBACK").await.unwrap();
        reply
    }

    async fn form(&self, masks: bool, sql: &str) -> Result<Option<Strategy>, String> {
        let expected = normal(sql, self.without(STRANGERS, masks, sql).await);
        let (reply, plan) = match self.verdict(masks, sql) {
            Verdict::Verbatim => (normal(sql, simple(&self.client, sql).await), None),
            Verdict::Guarded(plan) => {
                let seen = self.run(&plan).await;
                (normal(sql, seen.reply), Some((plan, seen.patients)))
            }
            Verdict::Refused(r) => return Err(format!("refused: {} {:?}", r.message, r.hint)),
            Verdict::Unattributed { reason, .. } => return Err(format!("unattributed: {reason}")),
        };
        let text = plan.as_ref().map_or("verbatim", |(p, _)| p.text.as_str());
        if reply != expected {
            return Err(format!("gives {reply:?}\n  not {expected:?}\n  {text}"));
        }
        let Some((plan, named)) = &plan else { return Ok(None) };
        for p in (1..=PATIENTS).filter(|p| !named.contains(p)) {
            let who = format!("coalesce(patient_id = {p}, false)");
            self.client.batch_execute(&format!("BEGIN; {}", forget(&who))).await.unwrap();
            let other = self.run(plan).await.reply;
            self.client.batch_execute("ROLLBACK").await.unwrap();
            if normal(sql, other) != reply {
                return Err(format!("{p} influences it, {named:?} are named\n  {text}"));
            }
        }
        Ok(Some(plan.lineage.strategy))
    }
}

async fn world() -> (Server, World) {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute(SCHEMA).await.unwrap();
    let own = server.connect().await;
    let catalog = load(&own, 1).await.unwrap();
    let bound = BoundPolicy::bind(Arc::new(policy()), &catalog, None);
    assert_eq!(bound.problems, []);
    let namespace = Namespace {
        schemas: vec!["pg_catalog".into(), "clinic".into(), "public".into()],
        ..Namespace::default()
    };
    let context = Context {
        role: Arc::new(role(false)),
        policy: Arc::new(bound),
        catalog: Arc::new(catalog),
        namespace: Arc::new(namespace),
        variant: Variant::Assigned,
        watched: None,
    };
    (server, World { client, context })
}

#[tokio::test]
async fn every_form_gives_what_a_database_of_the_assigned_gives() {
    let (_server, world) = world().await;
    let only = std::env::var("PGGLASS_FORM").unwrap_or_default();
    let forms = FORMS.lines().filter(|l| !l.is_empty() && !l.starts_with("--") && l.contains(&only));
    let (mut failures, mut seen): (Vec<String>, BTreeMap<String, usize>) = Default::default();
    let mut count = 0;
    for line in forms {
        count += 1;
        let (mark, sql) = match line.split_at(1) {
            (mark @ ("!" | "~" | "-"), sql) => (mark, sql),
            _ => ("", line),
        };
        for masks in [false, true] {
            let name = if masks { "masked" } else { "nurse" };
            if (mark, masks) == ("-", true) {
                continue;
            }
            let result = match (mark, world.verdict(masks, sql)) {
                ("!", Verdict::Refused(r)) if r.hint.as_ref().is_some_and(|h| !h.is_empty()) => Ok(None),
                ("!", Verdict::Refused(r)) => Err(format!("no hint: {}", r.message)),
                ("!", _) => Err("is not refused any more".to_owned()),
                ("~", Verdict::Guarded(plan)) => Ok(Some(plan.lineage.strategy)),
                ("~", other) => Err(format!("{other:?}")),
                _ => world.form(masks, sql).await,
            };
            match result {
                Ok(strategy) => *seen.entry(format!("{strategy:?}")).or_default() += 1,
                Err(e) => failures.push(format!("{name}: {sql}\n  {e}")),
            }
        }
    }
    println!("{count} forms: {seen:?}");
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n\n"));
}
