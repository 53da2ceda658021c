//! The bound: the guarded statement as a subquery beside a scan that collects, in the same
//! statement and snapshot, the keys of every row that could have influenced it.
//!
//! One row of bounds is the preserved side, the original the nullable one, so there is a reply
//! row even when the original has none; the marker tells. `OFFSET 0` keeps the original's select
//! list from becoming nullable-side (it would then be evaluated below the filter).

use super::{Occurrence, PlanInput};
use crate::policy::{GuardParams, bound_keys, our_alias};
use crate::sql::lineage::Analysis;

/// `guarded` (a query) with its bounds as `__glass_s1 ...` of its first row.
pub(super) fn bound(
    guarded: &str,
    occurrences: &[Occurrence<'_>],
    analysis: &Analysis,
    params: GuardParams,
    input: &PlanInput<'_>,
) -> String {
    let mut shown = String::new();
    let mut bounds = Vec::new();
    for (n, o) in occurrences.iter().enumerate() {
        let i = n + 1;
        let filter = o.filter.then_some(params);
        let keys = bound_keys(&input.policy.policy, o.table, &our_alias(i), filter, &analysis.local[n]);
        bounds.push(format!("{keys} AS __glass_b{i}"));
        shown.push_str(&format!(
            ", CASE WHEN pg_catalog.row_number() OVER () OPERATOR(pg_catalog.=) 1 \
             THEN __glass_w.__glass_b{i} END AS __glass_s{i}"
        ));
    }
    format!(
        "SELECT __glass_q.*{shown} FROM (SELECT {}) AS __glass_w LEFT JOIN \
         (SELECT *, true AS __glass_m1 FROM ({guarded}) AS __glass_q0 OFFSET 0) AS __glass_q ON true",
        bounds.join(", ")
    )
}
