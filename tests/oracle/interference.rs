//! Non-interference: two databases that differ in hidden rows only give the same answers through pgglass, whatever
//! the planner's settings and statistics on either side.

use crate::common::wire::Wire;
use crate::data::{Rows, Who};
use crate::difference::{Comparison, Difference, What, compare, report, shrink};
use crate::generate;
use crate::play::{Answer, Way, play};
use crate::schema::{HIDING, MASKED, SEALED};
use crate::stage::{copy, mix, proxy};
use crate::tally::{Options, Tally, place};

fn compared(a: &Answer, b: &Answer, ordered: bool, way: Way) -> Comparison {
    match compare(a, b, ordered, way) {
        Comparison::Refused(reason) => Comparison::Different(Difference {
            what: What::Fails,
            expected: "an answer".to_owned(),
            got: reason,
        }),
        Comparison::RefusedInError => match a.refused() {
            Some(reason) => Comparison::Refused(reason.to_owned()),
            None => Comparison::RefusedInError,
        },
        other if a.canary.is_some() => {
            let got = format!("{:?} {other:?}", a.canary);
            Comparison::Different(Difference { what: What::Canary, expected: String::new(), got })
        }
        other => other,
    }
}

fn run(name: &'static str, user: &str, short: u64) {
    let options = Options::get(short);
    let mut tally = Tally::new(name);
    let (mut one, mut other) = (copy(), copy());
    let (proxy_one, proxy_other) = (proxy(&one), proxy(&other));
    for (epoch, queries) in options.epochs() {
        let seed = |n| mix(&[options.seed, epoch, n]);
        one.fill(&Rows::new(seed(11), seed(12), true), Who::Everyone, false);
        other.fill(&Rows::new(seed(11), seed(13), true), Who::Everyone, false);
        one.disturb(seed(14));
        other.disturb(seed(15));
        let mut a = Wire::through(&proxy_one, &one.database, user);
        let mut b = Wire::through(&proxy_other, &other.database, user);
        for n in queries {
            let query = generate::query(mix(&[options.seed, epoch, n, 16]));
            let way = Way::of(mix(&[options.seed, epoch, n, 17]));
            let mut ask = |query: &generate::Query| {
                let (first, second) = (play(&mut a, query, way), play(&mut b, query, way));
                compared(&first, &second, query.ordered, way)
            };
            let comparison = ask(&query);
            let Some(difference) = tally.count(comparison, || query.node.text()) else { continue };
            let (small, found) = shrink(&query, difference.what, 400, |smaller| match ask(smaller) {
                Comparison::Different(d) => Some(d),
                _ => None,
            });
            let place = place(options.seed, epoch, n);
            tally.differs(report(&place, &small, way, found.as_ref().unwrap_or(&difference)));
            if tally.has_enough() {
                return tally.end();
            }
        }
    }
    tally.end();
}

#[test]
fn hidden_rows_change_nothing() {
    run("interference::hidden_rows_change_nothing", HIDING, 100);
}

#[test]
fn closed_rows_change_nothing() {
    run("interference::closed_rows_change_nothing", SEALED, 60);
}

#[test]
fn hidden_rows_change_nothing_for_the_masked() {
    run("interference::hidden_rows_change_nothing_for_the_masked", MASKED, 50);
}
