//! Over-denial, measured: statements that honest people and tools send, run by restricted logins through pgglass and
//! directly; what only pgglass refuses is an outage for somebody. `corpus/` holds the statements, one a line;
//! `known.txt` the refusals that are known, each with its line of KNOWN_LIMITATIONS.md. Not here: what must be refused.
//!
//! `HONEST_REPORT=FILE` writes every refusal with its reason there; `HONEST_ONLY=NAME` runs one file of the corpus, and judges
//! nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod corpus;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use common::{Postgres, Proxy};
use run::{Outcome, Refused};

/// The share of statements that may be refused, in thousandths.
const MOST: usize = 5;

/// What is run where, by whom. Notes and the clinical classes are closed to some roles by the demonstration's policy.
const ALL: [&str; 4] = ["nurse_amy", "dr_chen", "bill_eva", "ana_fox"];
/// Catalog questions are the same for all; one who is filtered and one who is masked will do.
const TWO: [&str; 2] = ["nurse_amy", "ana_fox"];
const CLINICAL: [&str; 3] = ["nurse_amy", "dr_chen", "ana_fox"];
const CARERS: [&str; 2] = ["nurse_amy", "dr_chen"];

#[tokio::test(flavor = "multi_thread")]
async fn honest_statements_are_not_refused() {
    let server = Postgres::shared();
    let demo = server.demo();
    // pg_dump asks for it.
    server.psql(demo.name(), "GRANT SELECT ON SEQUENCE clinic.note_note_id_seq TO nurse, analyst");
    let demo_proxy = Proxy::start(&demo);
    let omop = server.database_with(include_str!("omop/schema.sql"));
    let omop_proxy = Proxy::start_from(&omop, include_str!("omop/pgglass.toml"), |config| config);
    let mut all = Vec::new();
    let only = std::env::var("HONEST_ONLY").ok();
    for file in corpus::files() {
        let (database, proxy) = if file.omop { (&omop, &omop_proxy) } else { (&demo, &demo_proxy) };
        let roles: &[&str] = match file.roles {
            corpus::Roles::All => &ALL,
            corpus::Roles::Two => &TWO,
            corpus::Roles::Clinical => &CLINICAL,
            corpus::Roles::Carers => &CARERS,
        };
        if only.as_ref().is_some_and(|o| *o != file.name) {
            continue;
        }
        for role in roles {
            let runs = run::run(&file, role, database, proxy).await;
            all.extend(runs.into_iter().map(|outcome| (file.name.clone(), *role, outcome)));
        }
    }
    judge(&all);
}

/// Prints the shares and fails when too much is refused, a refusal is not known, or a known one is gone.
fn judge(all: &[(String, &str, Outcome)]) {
    let known = corpus::known();
    let mut shares: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    let mut refusals: Vec<(&str, &str, &Refused)> = Vec::new();
    for (file, role, outcome) in all {
        if let Outcome::Dishonest = outcome {
            continue;
        }
        let share = shares.entry((file, role)).or_default();
        share.1 += 1;
        if let Outcome::Refused(refused) = outcome {
            share.0 += 1;
            refusals.push((file, role, refused));
        }
    }
    let total: usize = shares.values().map(|s| s.1).sum();
    let mut report = String::new();
    for ((file, role), (refused, of)) in &shares {
        writeln!(report, "{file:<18} {role:<10} {refused:>4} of {of:>4} refused").unwrap();
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, _, refused) in &refusals {
        *reasons.entry(&refused.reason).or_default() += 1;
    }
    for (reason, count) in &reasons {
        writeln!(report, "{count:>5} x {reason}").unwrap();
    }
    let share = refusals.len() as f64 * 100.0 / total.max(1) as f64;
    writeln!(report, "refused: {} of {total} ({share:.2} %)", refusals.len()).unwrap();
    println!("{report}");
    if let Some(path) = std::env::var_os("HONEST_REPORT") {
        for (file, role, refused) in &refusals {
            writeln!(report, "\n{file} | {role} | {}\n    {}", refused.reason, refused.statement).unwrap();
        }
        std::fs::write(path, &report).unwrap();
    }
    if std::env::var_os("HONEST_ONLY").is_some() {
        return;
    }
    let mut used = BTreeSet::new();
    let mut unknown = Vec::new();
    for (file, role, refused) in &refusals {
        match known.iter().position(|k| k.covers(file, &refused.statement)) {
            Some(i) => {
                used.insert(i);
            }
            None => unknown.push(format!("{file} | {role} | {}\n    {}", refused.reason, refused.statement)),
        }
    }
    unknown.sort();
    unknown.dedup();
    assert!(unknown.is_empty(), "refusals that known.txt does not have:\n{}", unknown.join("\n"));
    let gone: Vec<_> = known.iter().enumerate().filter(|(i, _)| !used.contains(i)).map(|(_, k)| k).collect();
    assert!(gone.is_empty(), "not refused any more; take these out of known.txt: {gone:#?}");
    assert!(refusals.len() * 1000 <= total * MOST, "{share:.2} % are refused");
}
