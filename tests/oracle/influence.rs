//! Influence: whoever's removal changes the answer is in the record. The answers without one patient come from copies
//! of the database in which that patient's rows are not there. What a record calls exact holds no patient outside the
//! assignment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use pgglass::ledger::read_records;
use pgglass::ledger::record::{Body, Disclosure, EventId};

use crate::common::wire::Wire;
use crate::data::{Rows, VISIBLE, Who, tame_patients};
use crate::difference::{Comparison, Difference, What, compare, report, shrink};
use crate::generate::{self, Query};
use crate::play::{Answer, Way, play};
use crate::schema::{HIDING, UNRESTRICTED};
use crate::stage::{copy, mix, proxy};
use crate::tally::{Options, Tally, place};

/// What the ledger says about a statement's text.
#[derive(Debug, Default, Clone)]
struct Told {
    patients: BTreeSet<String>,
    /// Named by the client, whoever they are.
    sought: BTreeSet<String>,
    all: bool,
    exact: Option<bool>,
    ended: bool,
}

impl Told {
    fn disclosed(&mut self, disclosure: &Disclosure) {
        self.patients.extend(disclosure.patients.iter().cloned());
        self.all |= disclosure.all_patients;
        self.exact = Some(self.exact.unwrap_or(true) && disclosure.exact);
    }
}

/// Every text in the ledger.
fn told(directory: &Path) -> BTreeMap<String, Told> {
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    let mut texts: BTreeMap<EventId, String> = BTreeMap::new();
    for stored in read_records(directory).expect("a readable ledger").flatten() {
        match stored.record.body {
            Body::Intent { statement, intent } => {
                let sql = intent.what.sql.trim().to_owned();
                let entry = told.entry(sql.clone()).or_default();
                entry.sought.extend(intent.sought);
                texts.insert(statement, sql);
            }
            Body::Statement { intent, disclosure, .. } => {
                let entry = told.entry(intent.what.sql.trim().to_owned()).or_default();
                entry.sought.extend(intent.sought);
                if let Some(disclosure) = disclosure {
                    entry.disclosed(&disclosure);
                }
                entry.ended = true;
            }
            Body::Disclosure { statement, disclosure } => {
                if let Some(entry) = texts.get(&statement).and_then(|t| told.get_mut(t)) {
                    entry.disclosed(&disclosure);
                }
            }
            Body::End { statement, .. } => {
                if let Some(entry) = texts.get(&statement).and_then(|t| told.get_mut(t)) {
                    entry.ended = true;
                }
            }
            _ => {}
        }
    }
    told
}

/// The text as the ledger has it.
fn text_of(query: &Query, way: Way) -> String {
    match way {
        Way::Simple => query.node.text(),
        _ => query.node.with_parameters().0,
    }
}

/// As `told` once all of these are there.
fn told_of(directory: &Path, texts: &[String]) -> BTreeMap<String, Told> {
    let started = Instant::now();
    loop {
        let all = told(directory);
        let there = |t: &String| all.get(t.trim()).is_some_and(|t| t.ended);
        if texts.iter().all(there) || started.elapsed() > Duration::from_secs(5) {
            return all;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The patients whose removal changes the answer.
fn influences(whole: &Answer, without: &[(i64, Answer)], ordered: bool, way: Way) -> Vec<i64> {
    let changed = |a: &Answer| matches!(compare(whole, a, ordered, way), Comparison::Different(_));
    without.iter().filter(|(_, a)| changed(a)).map(|(p, _)| *p).collect()
}

/// What is wrong with a record.
fn wrong(told: Option<&Told>, influence: &[i64], assigned: Option<&[i64]>) -> Option<Difference> {
    let Some(told) = told else {
        let expected = "a record".to_owned();
        return Some(Difference { what: What::Record, expected, got: "none".to_owned() });
    };
    let missing: Vec<_> = influence
        .iter()
        .map(i64::to_string)
        .filter(|p| !told.all && !told.patients.contains(p) && !told.sought.contains(p))
        .collect();
    let outside: Vec<_> = match assigned {
        Some(assigned) => {
            told.patients.iter().filter(|p| !assigned.iter().any(|a| a.to_string() == **p)).collect()
        }
        None => Vec::new(),
    };
    (!missing.is_empty() || !outside.is_empty()).then(|| Difference {
        what: What::Record,
        expected: format!("{influence:?}; missing {missing:?}, outside the assignment {outside:?}"),
        got: format!("{told:?}"),
    })
}

fn run(name: &'static str, user: &str, restricted: bool, short: u64) {
    let options = Options::get(short);
    let mut tally = Tally::new(name);
    let patients = if restricted { VISIBLE.to_vec() } else { tame_patients() };
    let mut whole = copy();
    let mut base = copy();
    let mut without: Vec<_> = patients.iter().map(|p| (*p, copy())).collect();
    let proxy = proxy(&whole);
    let (mut named, mut exact, mut influencing, mut asked) = (0_usize, 0_usize, 0_usize, 0_usize);
    for (epoch, queries) in options.epochs() {
        let seed = |n| mix(&[options.seed, epoch, n]);
        let rows = Rows::new(seed(31), seed(32), restricted);
        whole.fill(&rows, Who::Everyone, false);
        base.fill(&rows, if restricted { Who::Visible { without: None } } else { Who::Everyone }, false);
        for (patient, copy) in &mut without {
            let one = Some(*patient);
            copy.fill(
                &rows,
                if restricted { Who::Visible { without: one } } else { Who::Without(*patient) },
                false,
            );
        }
        let mut through = Wire::through(&proxy, &whole.database, user);
        let mut direct = Wire::direct(&base.database, user);
        let mut wires: Vec<(i64, Wire)> =
            without.iter().map(|(p, copy)| (*p, Wire::direct(&copy.database, user))).collect();
        let mut asked_now: Vec<(u64, Query, Way, Vec<i64>)> = Vec::new();
        let mut ask = |query: &Query, way: Way| {
            let got = play(&mut through, query, way);
            let whole = play(&mut direct, query, way);
            let others: Vec<(i64, Answer)> =
                wires.iter_mut().map(|(p, w)| (*p, play(w, query, way))).collect();
            let influence = influences(&whole, &others, query.ordered, way);
            (compare(&whole, &got, query.ordered, way), influence)
        };
        for n in queries {
            let query = generate::query(mix(&[options.seed, epoch, n, 34]));
            let way = if mix(&[options.seed, epoch, n, 35]).is_multiple_of(3) {
                Way::Extended
            } else {
                Way::Simple
            };
            let (comparison, influence) = ask(&query, way);
            let answered = matches!(comparison, Comparison::Same);
            // Other differences are the other oracles'.
            tally.count(comparison, || query.node.text());
            if answered && !asked_now.iter().any(|(_, q, w, _)| text_of(q, *w) == text_of(&query, way)) {
                asked_now.push((n, query, way, influence));
            }
        }
        let assigned = restricted.then_some(&VISIBLE[..]);
        let texts: Vec<String> = asked_now.iter().map(|(_, q, w, _)| text_of(q, *w)).collect();
        let said = told_of(&proxy.ledger(), &texts);
        for (n, query, way, influence) in asked_now {
            let told = said.get(text_of(&query, way).trim());
            if let Some(told) = told {
                asked += 1;
                influencing += influence.len();
                exact += usize::from(told.exact == Some(true));
                named += if told.all { patients.len() } else { told.patients.len() };
            }
            // What reads no protected table has no record.
            if told.is_none() && influence.is_empty() {
                continue;
            }
            let Some(difference) = wrong(told, &influence, assigned) else { continue };
            let (small, found) = shrink(&query, What::Record, 60, |smaller| {
                let (comparison, influence) = ask(smaller, way);
                let text = text_of(smaller, way);
                if !matches!(comparison, Comparison::Same) || said.contains_key(text.trim()) {
                    return None;
                }
                let said = told_of(&proxy.ledger(), std::slice::from_ref(&text));
                let told = said.get(text.trim());
                if told.is_none() && influence.is_empty() { None } else { wrong(told, &influence, assigned) }
            });
            let place = place(options.seed, epoch, n);
            tally.differs(report(&place, &small, way, found.as_ref().unwrap_or(&difference)));
        }
        if tally.has_enough() {
            break;
        }
    }
    let mean = |n: usize| n as f64 / asked.max(1) as f64;
    eprintln!(
        "{name}: of {} patients {:.2} change an answer, {:.2} are recorded, {:.0} % of the records exact",
        patients.len(),
        mean(influencing),
        mean(named),
        100.0 * mean(exact)
    );
    tally.end();
}

#[test]
fn of_the_assigned() {
    run("influence::of_the_assigned", HIDING, true, 80);
}

#[test]
fn of_everyone() {
    run("influence::of_everyone", UNRESTRICTED, false, 50);
}
