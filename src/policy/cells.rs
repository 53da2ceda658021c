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
    let key = key_expression(policy, table, alias, Named::All);
    let with = with.map(|column| format!("{column} IS NOT NULL AND ")).unwrap_or_default();
    let counted = format!("pg_catalog.count(DISTINCT CASE WHEN {with}{without} IS NULL THEN {key} END)");
    none_or_enough(&counted, least)
}

/// True where a count is of nobody, or of `least`.
fn none_or_enough(counted: &str, least: u32) -> String {
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
