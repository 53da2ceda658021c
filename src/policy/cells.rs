//! The least number of patients behind a row of an answer (`min_cell`): the condition that a group of
//! rows must fulfil to be shown. The rewriter places it in HAVING, the checker compares against it.
//! Which statements can carry it is for the checker (`sql/check/cells.rs`).

use super::{BoundTable, Named, Policy, key_expression};

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
    let key = key_expression(policy, table, alias, Named::All);
    let counted = match argument {
        None => key,
        Some(column) => format!("CASE WHEN {column} IS NOT NULL THEN {key} END"),
    };
    format!("pg_catalog.count(DISTINCT {counted}) OPERATOR(pg_catalog.>=) {least}")
}

/// True for groups in which the rows that fulfil `rows`, one of [`differences`], are of no patient of `alias`, or of
/// `least` at least: whoever is shown what some aggregates count and others do not can subtract.
pub fn difference_condition(
    policy: &Policy,
    table: &BoundTable,
    alias: &str,
    rows: &str,
    least: u32,
) -> String {
    let key = key_expression(policy, table, alias, Named::All);
    let counted = format!("pg_catalog.count(DISTINCT CASE WHEN {rows} THEN {key} END)");
    none_or_enough(&counted, least)
}

/// True where a count is of nobody, or of `least`.
fn none_or_enough(counted: &str, least: u32) -> String {
    format!("(NOT ({counted} OPERATOR(pg_catalog.>) 0 AND {counted} OPERATOR(pg_catalog.<) {least}))")
}

/// The rows that a block which counts rows (`all`) and `columns` counts in one way and not in another: those without a
/// value in one column, or with one in another beside. Of three counts two columns can be told together: how many rows
/// have both, or neither.
pub fn differences(all: bool, columns: &[&str]) -> Vec<String> {
    let mut rows = Vec::new();
    for (i, without) in columns.iter().enumerate() {
        rows.extend(all.then(|| format!("{without} IS NULL")));
        let others = columns.iter().enumerate().filter(|(j, _)| *j != i);
        for (j, with) in others {
            rows.push(format!("{with} IS NOT NULL AND {without} IS NULL"));
            if j < i && (all || columns.len() > 2) {
                rows.push(format!("{with} IS NULL AND {without} IS NULL"));
                rows.push(format!("{with} IS NOT NULL AND {without} IS NOT NULL"));
            }
        }
    }
    rows
}

/// Most different values of a column of which sums tell how many rows have which: count, sum and sum of squares are
/// three equations.
const FEW_VALUES: usize = 4;

/// True for groups of which a sum (an average, a variance) of `column` tells of no single patient of `alias` who has
/// which value: where it has at most [`FEW_VALUES`], or whoever asks knows the values (`known`: those of tables without
/// patients can be read), each is one of `least` patients. `rows` are those that are summed, all where that is none.
pub fn values_condition(
    policy: &Policy,
    table: &BoundTable,
    alias: &str,
    column: &str,
    rows: Option<&str>,
    known: bool,
    least: u32,
) -> String {
    let key = key_expression(policy, table, alias, Named::All);
    let value = rows.map_or_else(|| column.to_owned(), |rows| format!("CASE WHEN {rows} THEN {column} END"));
    let most = if known { "NULL".to_owned() } else { FEW_VALUES.to_string() };
    let enough = none_or_enough("__glass_n", least);
    format!(
        "(CASE WHEN pg_catalog.count(DISTINCT {value}) OPERATOR(pg_catalog.>) {most} THEN true ELSE \
         (SELECT pg_catalog.bool_and{enough} IS NOT FALSE FROM (SELECT pg_catalog.count(DISTINCT __glass_k) AS __glass_n \
         FROM ROWS FROM (pg_catalog.unnest(pg_catalog.array_agg({value})), \
         pg_catalog.unnest(pg_catalog.array_agg({key}))) AS __glass_u (__glass_v, __glass_k) \
         WHERE __glass_v IS NOT NULL GROUP BY __glass_v) AS __glass_d) END)"
    )
}

/// What a block's aggregates tell of parts of its groups: the rows for which one of these conditions is true (FILTER, or
/// `CASE WHEN ... THEN`), in which columns are NULL or not.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Conditions, as SQL text, each once.
    pub flags: &'a [&'a str],
    /// Columns that aggregates read, as SQL text.
    pub columns: &'a [&'a str],
    /// Patients are counted once, those of a part and those of the whole group: who stands in two parts can be computed.
    pub once: bool,
}

impl Parts<'_> {
    /// Most conditions and columns that may stand beside each other: their parts are counted one by one.
    pub const MOST_FLAGS: usize = 8;
    /// The same of columns.
    pub const MOST_COLUMNS: usize = 3;

    /// The conditions under which no part of a group tells of fewer patients of `alias` than `least`, nor its absence:
    /// a condition has to be true for `least`, not true for `least`, and never true for `least`, as who chooses it could
    /// else see by what is left out in which group somebody is. Parts by NULLs are of nobody, or of `least`.
    pub fn conditions(&self, policy: &Policy, table: &BoundTable, alias: &str, least: u32) -> Vec<String> {
        let key = key_expression(policy, table, alias, Named::All);
        let count = |rows: &str| format!("pg_catalog.count(DISTINCT CASE WHEN {rows} THEN {key} END)");
        let enough = |rows: String| format!("{} OPERATOR(pg_catalog.>=) {least}", count(&rows));
        let not_few = |rows: String| none_or_enough(&count(&rows), least);
        let mut all = Vec::new();
        for flag in self.flags {
            all.extend([enough(format!("({flag}) IS TRUE")), enough(format!("({flag}) IS NOT TRUE"))]);
            // Who has no row for which it is true: what counts patients once tells how many.
            let chosen = count(&format!("({flag}) IS TRUE"));
            all.push(format!(
                "pg_catalog.count(DISTINCT {key}) OPERATOR(pg_catalog.>=) ({chosen} OPERATOR(pg_catalog.+) {least})"
            ));
        }
        if self.once {
            for (n, one) in self.flags.iter().enumerate() {
                for other in self.flags.iter().skip(n + 1) {
                    let (one, other) = (format!("({one}) IS TRUE"), format!("({other}) IS TRUE"));
                    let (either, sum) = (
                        count(&format!("{one} OR {other}")),
                        format!("{} OPERATOR(pg_catalog.+) {}", count(&one), count(&other)),
                    );
                    // Those in both are the sum less those in either: none, or enough.
                    all.push(format!(
                        "(NOT ({either} OPERATOR(pg_catalog.<) ({sum}) AND {either} OPERATOR(pg_catalog.>) \
                         ({sum} OPERATOR(pg_catalog.-) {least})))"
                    ));
                }
            }
        }
        let by_columns = |rows: String| {
            (0..1_usize << self.columns.len()).map(move |null| {
                let part = |(i, column): (usize, &&str)| {
                    format!(" AND {column} IS {}", if null >> i & 1 == 1 { "NULL" } else { "NOT NULL" })
                };
                let parts: String = self.columns.iter().enumerate().map(part).collect();
                format!("{rows}{parts}")
            })
        };
        if !self.columns.is_empty() {
            for flag in self.flags {
                all.extend(by_columns(format!("({flag}) IS TRUE")).map(not_few));
            }
        }
        if self.flags.len() > 1 || (!self.flags.is_empty() && !self.columns.is_empty()) {
            let none: Vec<String> = self.flags.iter().map(|flag| format!("({flag}) IS NOT TRUE")).collect();
            all.extend(by_columns(none.join(" AND ")).map(not_few));
        }
        all
    }
}

/// The days between two columns of dates, as SQL text; NULL where one of them is `infinity`, of which `-` fails.
pub fn days_between(left: &str, right: &str) -> String {
    format!(
        "CASE WHEN pg_catalog.isfinite({left}) AND pg_catalog.isfinite({right}) THEN {left} OPERATOR(pg_catalog.-) {right} END"
    )
}
