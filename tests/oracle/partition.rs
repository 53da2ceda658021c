//! Partitioning: what a query gives is what it gives where any condition is true, false and unknown, together. Needs no
//! other database: a guard that a condition gets around, or NULL taken wrongly, does not add up.

use crate::common::wire::{Row, Wire};
use crate::data::{Rows, Who};
use crate::difference::{Comparison, Difference, What};
use crate::generate;
use crate::play::{Way, play};
use crate::schema::{HIDING, MASKED};
use crate::stage::{copy, mix, proxy};
use crate::tally::{Options, Tally, place};

fn run(name: &'static str, user: &str, short: u64) {
    let options = Options::get(short);
    let mut tally = Tally::new(name);
    let mut whole = copy();
    let proxy = proxy(&whole);
    for (epoch, queries) in options.epochs() {
        let seed = |n| mix(&[options.seed, epoch, n]);
        whole.fill(&Rows::new(seed(41), seed(42), true), Who::Everyone, false);
        whole.disturb(seed(43));
        let mut through = Wire::through(&proxy, &whole.database, user);
        for n in queries {
            let (query, parts) = generate::parted(mix(&[options.seed, epoch, n, 44]));
            let all = play(&mut through, &query, Way::Simple);
            let parts: Vec<_> = parts.iter().map(|p| (p, play(&mut through, p, Way::Simple))).collect();
            let canary = parts.iter().map(|(_, a)| a).chain([&all]).find_map(|a| a.canary.clone());
            let comparison = match parts.iter().map(|(_, a)| a).chain([&all]).find(|a| a.failure.is_some()) {
                Some(failed) => match (failed.refused(), &failed.failure) {
                    (Some(reason), _) => Comparison::Refused(reason.to_owned()),
                    // Without the condition its columns are still the same: what fails must be wrong in itself.
                    (None, Some(f)) if f.sqlstate.starts_with("42") => {
                        Comparison::SameFailure(f.sqlstate.clone())
                    }
                    (None, Some(f)) if f.sqlstate == "57014" => Comparison::Slow,
                    _ => different(&query, format!("{:?}", failed.failure)),
                },
                None if canary.is_some() => different(&query, format!("{canary:?}")),
                None => {
                    let mut expected: Vec<&Row> = all.runs.iter().flatten().collect();
                    let mut got: Vec<&Row> =
                        parts.iter().flat_map(|(_, a)| a.runs.iter().flatten()).collect();
                    expected.sort();
                    got.sort();
                    if expected == got {
                        Comparison::Same
                    } else {
                        different(&query, format!("{} rows: {expected:?}; in parts {got:?}", expected.len()))
                    }
                }
            };
            let Some(difference) = tally.count(comparison, || query.node.text()) else { continue };
            let place = place(options.seed, epoch, n);
            let condition = parts.first().map(|(p, _)| p.node.text()).unwrap_or_default();
            tally.differs(format!("{place}\n  {condition}\n  {difference}"));
            if tally.has_enough() {
                return tally.end();
            }
        }
    }
    tally.end();
}

fn different(query: &generate::Query, got: String) -> Comparison {
    Comparison::Different(Difference { what: What::Rows, expected: query.node.text(), got })
}

#[test]
fn parts_are_the_whole() {
    run("partition::parts_are_the_whole", HIDING, 60);
}

#[test]
fn parts_are_the_whole_for_the_masked() {
    run("partition::parts_are_the_whole_for_the_masked", MASKED, 40);
}
