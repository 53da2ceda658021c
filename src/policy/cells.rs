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

/// True for groups in which the rows that one aggregate counts and another does not are of no patient of `alias`, or
/// of `least` at least: whoever is shown both can subtract. Those rows have no value in `without`, a column, but one
/// in `with`, or, where that is none, are any (`count(*)`).
pub fn difference_condition(
    policy: &Policy,
    table: &BoundTable,
    alias: &str,
    with: Option<&str>,
    without: &str,
    least: u32,
) -> String {
    let key = key_expression(policy, table, alias, None);
    let with = with.map(|column| format!("{column} IS NOT NULL AND ")).unwrap_or_default();
    let counted = format!("pg_catalog.count(DISTINCT CASE WHEN {with}{without} IS NULL THEN {key} END)");
    format!("(NOT ({counted} OPERATOR(pg_catalog.>) 0 AND {counted} OPERATOR(pg_catalog.<) {least}))")
}

/// What [`difference_condition`] is asked for, when a block counts rows (`all`) and `columns`.
pub fn differences<'c>(all: bool, columns: &[&'c str]) -> Vec<(Option<&'c str>, &'c str)> {
    let mut pairs: Vec<(Option<&str>, &str)> = Vec::new();
    for without in columns {
        pairs.extend(all.then_some((None, *without)));
        pairs.extend(columns.iter().filter(|with| *with != without).map(|with| (Some(*with), *without)));
    }
    pairs
}
