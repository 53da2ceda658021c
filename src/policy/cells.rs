//! The least number of patients behind a row of an answer (`min_cell`): the condition that a group of
//! rows must fulfil to be shown. The rewriter places it in HAVING, the checker compares against it.
//! Which statements can carry it is for the checker (`sql/check/cells.rs`).

use super::{BoundTable, Policy, key_expression};

/// Aggregates of which no value is that of one row when enough patients stand behind them. What hands out
/// single values (min, max, array_agg, string_agg, json_agg, mode, percentiles) is not among them.
pub const CELL_AGGREGATES: [&str; 9] =
    ["count", "sum", "avg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp"];

/// True for groups in which rows of at least `least` patients of the occurrence `alias` of `table` stand,
/// with `argument`: rows in which this column (SQL text) is not NULL, since aggregates pass NULL over.
/// Only for tables whose rows belong to one patient each.
pub fn cell_condition(
    policy: &Policy,
    table: &BoundTable,
    alias: &str,
    argument: Option<&str>,
    least: u32,
) -> String {
    let key = key_expression(policy, table, alias, None);
    let counted = match argument {
        None => key,
        Some(column) => format!("CASE WHEN {column} IS NOT NULL THEN {key} END"),
    };
    format!("pg_catalog.count(DISTINCT {counted}) OPERATOR(pg_catalog.>=) {least}")
}
