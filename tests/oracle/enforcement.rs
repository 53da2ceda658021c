//! Enforcement: through pgglass as a restricted user = directly on a copy of the database in which the other patients'
//! rows, and nobody's, are not there (and masked cells have their masks for values): rows, order, columns, tags, errors.
//! No hidden text in any byte.

use crate::common::wire::Wire;
use crate::data::{Rows, Who};
use crate::difference::{Comparison, compare, report, shrink};
use crate::generate;
use crate::play::{Way, play};
use crate::schema::{GRANTED, HIDING, MASKED, MASKED_ALL, SEALED};
use crate::stage::{copy, mix, proxy};
use crate::tally::{Options, Tally, place};

/// Who asks, and what the copy holds.
struct Case {
    name: &'static str,
    user: &'static str,
    who: Who,
    masked: bool,
    /// Hidden rows that make expressions fail.
    wild: bool,
}

fn run(case: &Case, short: u64) {
    let options = Options::get(short);
    let mut tally = Tally::new(case.name);
    let (mut whole, mut hers) = (copy(), copy());
    let proxy = proxy(&whole);
    for (epoch, queries) in options.epochs() {
        let seed = |n| mix(&[options.seed, epoch, n]);
        let rows = Rows::new(seed(1), seed(2), case.wild);
        whole.fill(&rows, Who::Everyone, false);
        hers.fill(&rows, case.who, case.masked);
        whole.disturb(seed(3));
        let mut through = Wire::through(&proxy, &whole.database, case.user);
        let mut direct = Wire::direct(&hers.database, case.user);
        if case.user == GRANTED {
            for patient in [2, 3] {
                through
                    .ok(&format!("SELECT * FROM glass.open('{patient}', 'BTG', 'the oracle looks at them')"));
            }
        }
        for n in queries {
            let query = generate::query(mix(&[options.seed, epoch, n, 4]));
            let way = Way::of(mix(&[options.seed, epoch, n, 5]));
            let mut ask = |query: &generate::Query| {
                let expected = play(&mut direct, query, way);
                let got = play(&mut through, query, way);
                compare(&expected, &got, query.ordered, way)
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

const VISIBLE: Who = Who::Visible { without: None };

#[test]
fn hiding() {
    run(&Case { name: "enforcement::hiding", user: HIDING, who: VISIBLE, masked: false, wild: true }, 200);
}

#[test]
fn granted() {
    run(&Case { name: "enforcement::granted", user: GRANTED, who: VISIBLE, masked: false, wild: true }, 80);
}

/// Everyone is assigned; category and label close what is not to be seen.
#[test]
fn sealed() {
    run(&Case { name: "enforcement::sealed", user: SEALED, who: VISIBLE, masked: false, wild: true }, 120);
}

#[test]
fn masked() {
    run(&Case { name: "enforcement::masked", user: MASKED, who: VISIBLE, masked: true, wild: true }, 100);
}

#[test]
fn masked_alone() {
    let who = Who::Everyone;
    run(&Case { name: "enforcement::masked_alone", user: MASKED_ALL, who, masked: true, wild: false }, 60);
}
