//! The bound: the guarded statement as a subquery beside a scan that collects, in the same
//! statement and snapshot, the keys of every row that could have influenced it.
//!
//! One row of bounds is the preserved side, the original the nullable one, so there is a reply
//! row even when the original has none; the marker tells. `OFFSET 0` keeps the original's select
//! list from becoming nullable-side (it would then be evaluated below the filter).

use sqlparser::ast::{SetExpr, Statement};

use super::{Occurrence, Placeholders, PlanInput};
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
    let mut sets = Vec::new();
    for (n, o) in occurrences.iter().enumerate().filter(|(n, _)| !analysis.shares_row(*n)) {
        let filter = o.filter.then_some(params);
        let keys = bound_keys(&input.policy.policy, o.table, &our_alias(), filter, &analysis.local[n]);
        sets.push(keys);
    }
    around(&format!("({guarded})"), &sets)
}

/// The statement `ast`, which writes at its top or in its WITH, with `sets` (`text[]` expressions) as
/// `__glass_s1 ...` of its first row. Only the topmost WITH may write, so the client's stays there, and
/// a write at the top becomes its last query.
pub(super) fn write(ast: Statement, texts: &Placeholders, sets: &[String]) -> String {
    let mut queries = Vec::new();
    let mut words = "WITH ";
    let mut inner = |main: &str| {
        queries.push(format!("__glass_d1 AS ({})", texts.fill(main)));
        "__glass_d1".to_owned()
    };
    let from = match ast {
        Statement::Query(mut query) => {
            let mut with = Vec::new();
            if let Some(clause) = query.with.take() {
                if clause.recursive {
                    words = "WITH RECURSIVE ";
                }
                with = clause.cte_tables.iter().map(|c| texts.fill(&c.to_string())).collect();
            }
            let writes =
                matches!(query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_));
            let main = query.to_string();
            let from = if writes { inner(&main) } else { format!("({})", texts.fill(&main)) };
            with.append(&mut queries);
            queries = with;
            from
        }
        other => inner(&other.to_string()),
    };
    format!("{words}{} {}", queries.join(", "), around(&from, sets))
}

/// `from` (a table expression) beside one row of `sets`.
fn around(from: &str, sets: &[String]) -> String {
    let mut shown = String::new();
    let mut bounds = Vec::new();
    for (i, set) in (1..).zip(sets) {
        bounds.push(format!("{set} AS __glass_b{i}"));
        shown.push_str(&format!(
            ", CASE WHEN pg_catalog.row_number() OVER () OPERATOR(pg_catalog.=) 1 \
             THEN __glass_w.__glass_b{i} END AS __glass_s{i}"
        ));
    }
    format!(
        "SELECT __glass_q.*{shown} FROM (SELECT {}) AS __glass_w LEFT JOIN \
         (SELECT *, true AS __glass_m1 FROM {from} AS __glass_q0 OFFSET 0) AS __glass_q ON true",
        bounds.join(", ")
    )
}
