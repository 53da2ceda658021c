//! What a run is asked for, and what it says of itself: progress, refusals by reason, differences.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::difference::{Comparison, Difference};

/// A run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) queries: u64,
    pub(crate) seed: u64,
    /// This epoch and query alone.
    only: Option<(u64, u64)>,
}

/// Queries on one set of rows.
pub(crate) const EPOCH: u64 = 50;
/// A run ends after so many differences.
const ENOUGH: usize = 12;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

impl Options {
    /// From the environment (`./run oracle` sets it), or a short run.
    pub(crate) fn get(short: u64) -> Options {
        let only = std::env::var("PGGLASS_ORACLE_AT").ok().map(|at| {
            let parts: Vec<u64> = at.split(':').map(|p| p.parse().expect("EPOCH:QUERY")).collect();
            (parts[0], parts[1])
        });
        Options {
            queries: number("PGGLASS_ORACLE_QUERIES").unwrap_or(short),
            seed: number("PGGLASS_ORACLE_SEED").unwrap_or(1),
            only,
        }
    }

    /// The epochs and their queries.
    pub(crate) fn epochs(self) -> impl Iterator<Item = (u64, Vec<u64>)> {
        let (epochs, only) = (self.queries.div_ceil(EPOCH), self.only);
        (0..epochs.max(only.map_or(0, |(e, _)| e + 1)))
            .filter(move |e| only.is_none_or(|(epoch, _)| epoch == *e))
            .map(move |e| {
                let number = EPOCH.min(self.queries.saturating_sub(e * EPOCH)).max(u64::from(only.is_some()));
                (e, only.map_or_else(|| (0..number).collect(), |(_, query)| vec![query]))
            })
    }
}

/// A place in a run, as it is printed and as `PGGLASS_ORACLE_AT` takes it.
pub(crate) fn place(seed: u64, epoch: u64, query: u64) -> String {
    format!("--seed {seed} --at {epoch}:{query}")
}

/// What became of the queries.
pub(crate) struct Tally {
    name: &'static str,
    started: Instant,
    pub(crate) played: u64,
    failures: BTreeMap<String, (u64, String)>,
    refusals: BTreeMap<String, (u64, String)>,
    refused: u64,
    in_error: u64,
    slow: u64,
    known: BTreeMap<u32, u64>,
    differences: Vec<String>,
}

impl Tally {
    pub(crate) fn new(name: &'static str) -> Tally {
        Tally {
            name,
            started: Instant::now(),
            played: 0,
            failures: BTreeMap::new(),
            refusals: BTreeMap::new(),
            refused: 0,
            in_error: 0,
            slow: 0,
            known: BTreeMap::new(),
            differences: Vec::new(),
        }
    }

    /// Counts one query; its difference, if there is one.
    pub(crate) fn count(&mut self, comparison: Comparison, sql: impl Fn() -> String) -> Option<Difference> {
        self.played += 1;
        if self.played.is_multiple_of(500) {
            eprintln!(
                "{}: {} queries, {} refused, {} differences, {} s",
                self.name,
                self.played,
                self.refused,
                self.differences.len(),
                self.started.elapsed().as_secs()
            );
        }
        match comparison {
            Comparison::Same => None,
            Comparison::SameFailure(code) => {
                let entry = self.failures.entry(code).or_insert_with(|| (0, sql()));
                entry.0 += 1;
                if sql().len() < entry.1.len() {
                    entry.1 = sql();
                }
                None
            }
            Comparison::Refused(reason) => {
                self.refused += 1;
                let entry = self.refusals.entry(general(&reason)).or_insert_with(|| (0, sql()));
                entry.0 += 1;
                if sql().len() < entry.1.len() {
                    entry.1 = sql();
                }
                None
            }
            Comparison::RefusedInError => {
                self.in_error += 1;
                None
            }
            Comparison::Known(line) => {
                *self.known.entry(line).or_default() += 1;
                None
            }
            Comparison::Slow => {
                self.slow += 1;
                None
            }
            Comparison::Different(difference) => Some(difference),
        }
    }

    /// Notes a difference and prints it.
    pub(crate) fn differs(&mut self, report: String) {
        eprintln!("\n{} differs: {report}\n", self.name);
        self.differences.push(report);
    }

    pub(crate) fn has_enough(&self) -> bool {
        self.differences.len() >= ENOUGH
    }

    /// Prints the figures; fails when there are differences.
    pub(crate) fn end(self) {
        let percent = |n: u64| n as f64 * 100.0 / self.played.max(1) as f64;
        let mut refusals: Vec<_> = self.refusals.iter().collect();
        refusals.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
        eprintln!(
            "{}: {} queries in {} s, {} differences; refused {} ({:.2} %), refused in error {}, slow {}, differences of KNOWN_LIMITATIONS.md by line {:?}",
            self.name,
            self.played,
            self.started.elapsed().as_secs(),
            self.differences.len(),
            self.refused,
            percent(self.refused),
            self.in_error,
            self.slow,
            self.known
        );
        for (code, (n, example)) in &self.failures {
            eprintln!("  {n:5} fail on both sides with {code}\n        {example:.600}");
        }
        for (reason, (n, example)) in refusals {
            eprintln!("  {n:5} {reason}\n        {example:.600}");
        }
        assert!(
            self.differences.is_empty(),
            "{} differences:\n{}",
            self.differences.len(),
            self.differences.join("\n\n")
        );
    }
}

/// A refusal without the names that differ from query to query.
fn general(reason: &str) -> String {
    let mut out = String::new();
    for word in reason.split_inclusive(' ') {
        let bare: String = word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let numbered = bare.len() <= 4 && bare.ends_with(|c: char| c.is_ascii_digit());
        if numbered || word.contains("orc.") {
            out.push_str("* ");
        } else {
            out.push_str(word);
        }
    }
    out
}
