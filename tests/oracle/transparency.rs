//! Transparency: a role of scope "all" gets what a direct connection to the same database gets.

use crate::common::wire::Wire;
use crate::data::{Rows, Who};
use crate::difference::{Comparison, compare, report, shrink};
use crate::generate;
use crate::play::{Way, play};
use crate::schema::UNRESTRICTED;
use crate::stage::{copy, mix, proxy};
use crate::tally::{Options, Tally, place};

#[test]
fn unrestricted() {
    let options = Options::get(100);
    let mut tally = Tally::new("transparency::unrestricted");
    let mut whole = copy();
    let proxy = proxy(&whole);
    for (epoch, queries) in options.epochs() {
        let seed = |n| mix(&[options.seed, epoch, n]);
        whole.fill(&Rows::new(seed(21), seed(22), false), Who::Everyone, false);
        whole.disturb(seed(23));
        let mut through = Wire::through(&proxy, &whole.database, UNRESTRICTED);
        let mut direct = Wire::direct(&whole.database, UNRESTRICTED);
        for n in queries {
            let query = generate::query(mix(&[options.seed, epoch, n, 24]));
            let way = Way::of(mix(&[options.seed, epoch, n, 25]));
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
