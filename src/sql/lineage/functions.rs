//! What the functions that a block calls do to rows: merge them, number them, multiply them, or
//! change from call to call. Kinds come from the catalog; the names below hold also without it.

use sqlparser::ast::{Expr, Function, GroupByExpr, OrderBy, Query, Select, SetExpr, Visit};

use super::columns::{Block, single};
use crate::sql::plan::{CteNames, Look, Occurrence, PlanInput, any_expr, any_query, fold, look};

const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "range_intersect_agg",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
    "xmlagg",
];

/// True for the name of a built-in aggregate.
pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

const VOLATILE: &[&str] = &[
    "clock_timestamp",
    "currval",
    "gen_random_uuid",
    "lastval",
    "nextval",
    "pg_sleep",
    "random",
    "setseed",
    "setval",
    "timeofday",
    "txid_current",
    "uuid_generate_v4",
];

const ROW_MAKERS: &[&str] = &[
    "_each",
    "_each_text",
    "_elements",
    "_elements_text",
    "_object_keys",
    "_populate_recordset",
    "_to_recordset",
    "_path_query",
    "generate_series",
    "generate_subscripts",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "unnest",
];

/// True for the name of a built-in function that may return several rows.
pub(crate) fn makes_rows(name: &str) -> bool {
    ROW_MAKERS.iter().any(|suffix| name.ends_with(suffix))
}

/// The calls of one block.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Calls {
    /// A plain aggregate.
    pub(super) aggregate: bool,
    /// An aggregate inside a subquery that may be one of this block: it belongs to the innermost query of whose columns
    /// it is made (manual, 4.2.7).
    pub(super) aggregate_below: bool,
    /// A window function.
    pub(super) window: bool,
    /// A function that may return several rows or none.
    pub(super) row_maker: bool,
}

impl Calls {
    /// The calls in the select list, HAVING and ORDER BY of a block; of those of its subqueries, the aggregates that may
    /// be its own.
    pub(super) fn of_block(
        select: &Select,
        order_by: Option<&OrderBy>,
        occurrences: &[Occurrence<'_>],
        ctes: CteNames,
        input: &PlanInput<'_>,
    ) -> Self {
        let names = Names::of(select, occurrences, &ctes, input);
        let mut visitor =
            BlockCalls { occurrences, ctes, input, levels: vec![names], found: Calls::default() };
        look(&select.projection, &mut visitor);
        look(&select.having, &mut visitor);
        if let Some(order_by) = order_by {
            look(order_by, &mut visitor);
        }
        visitor.found
    }

    /// True when the block merges rows.
    pub(super) fn merges(self, select: &Select) -> bool {
        self.aggregate
            || select.having.is_some()
            || !matches!(&select.group_by, GroupByExpr::Expressions(e, m) if e.is_empty() && m.is_empty())
    }

    /// True when the block merges rows, or may.
    pub(super) fn may_merge(self, select: &Select) -> bool {
        self.aggregate_below || self.merges(select)
    }
}

/// The items of a block: their names, and those of their columns where they are known.
#[derive(Default)]
struct Names(Vec<(String, Option<Vec<String>>)>);

impl Names {
    fn of(select: &Select, occurrences: &[Occurrence<'_>], ctes: &CteNames, input: &PlanInput<'_>) -> Self {
        let block = Block::new(&select.from, None, occurrences, ctes, input);
        Self(block.items.into_iter().map(|item| (item.alias, item.columns)).collect())
    }

    /// True when the column is one of this block; `None` when it may be.
    fn have(&self, column: &Expr) -> Option<bool> {
        let name = match column {
            Expr::Identifier(name) => fold(name),
            Expr::CompoundIdentifier(parts) => {
                let alias = parts.len().checked_sub(2).and_then(|at| parts.get(at)).map(fold);
                return Some(self.0.iter().any(|(a, _)| Some(a) == alias.as_ref()));
            }
            _ => return Some(false),
        };
        // The column of a function in FROM is called like it.
        if self
            .0
            .iter()
            .any(|(alias, columns)| *alias == name || columns.iter().flatten().any(|c| *c == name))
        {
            return Some(true);
        }
        if self.0.iter().any(|(_, columns)| columns.is_none()) { None } else { Some(false) }
    }
}

struct BlockCalls<'a, 'b> {
    occurrences: &'a [Occurrence<'b>],
    ctes: CteNames,
    input: &'a PlanInput<'b>,
    /// The block, and the queries inside it on the way to what is looked at.
    levels: Vec<Names>,
    found: Calls,
}

impl BlockCalls<'_, '_> {
    /// True for an aggregate inside a subquery that may belong to the block.
    fn comes_from_below(&self, call: &Function) -> bool {
        let Some((own, around)) = self.levels.split_last() else { return false };
        let mut columns = Vec::new();
        any_expr(call, &mut |e| {
            if matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                columns.push(e.clone());
            }
            false
        });
        // Of a query among the arguments it is not looked at whose columns are whose.
        let queries = any_query(call, &mut |_| true);
        let sure = !queries && columns.iter().any(|c| own.have(c) == Some(true));
        !sure && columns.iter().any(|c| around.iter().any(|level| level.have(c) != Some(false)))
    }
}

impl Look for BlockCalls<'_, '_> {
    fn query(&mut self, query: &Query) -> bool {
        query.with.iter().flat_map(|w| &w.cte_tables).for_each(|c| self.ctes.push(fold(&c.alias.name)));
        let names = match query.body.as_ref() {
            SetExpr::Select(select) => Names::of(select, self.occurrences, &self.ctes, self.input),
            _ => Names::default(),
        };
        self.levels.push(names);
        false
    }

    fn query_end(&mut self) {
        self.levels.pop();
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        let Expr::Function(call) = expr else { return false };
        let name = last_name(call);
        let aggregate =
            call.over.is_none() && (has_kind(&name, 'a', self.input) || AGGREGATES.contains(&name.as_str()));
        if self.levels.len() > 1 {
            self.found.aggregate_below |= aggregate && self.comes_from_below(call);
        } else if call.over.is_some() {
            self.found.window = true;
        } else if aggregate {
            self.found.aggregate = true;
        } else if makes_rows(&name) || is_foreign(&name, self.input) {
            self.found.row_maker = true;
        }
        false
    }
}

fn last_name(call: &Function) -> String {
    single(&call.name).or_else(|| call.name.0.last().and_then(|p| p.as_ident()).map(fold)).unwrap_or_default()
}

fn has_kind(name: &str, kind: char, input: &PlanInput<'_>) -> bool {
    input.catalog.functions.get(name).is_some_and(|all| all.iter().any(|f| f.kind == kind))
}

/// True for a name that some schema other than `pg_catalog` also has.
fn is_foreign(name: &str, input: &PlanInput<'_>) -> bool {
    input.catalog.functions.get(name).is_some_and(|all| all.iter().any(|f| f.schema != "pg_catalog"))
}

/// True when any call anywhere in `node` may change from call to call.
pub(super) fn is_volatile<N: Visit>(node: &N, input: &PlanInput<'_>) -> bool {
    any_expr(node, &mut |expr| {
        let Expr::Function(call) = expr else { return false };
        let name = last_name(call);
        let overloads = input.catalog.functions.get(&name);
        overloads.is_some_and(|all| all.iter().any(|f| f.volatility == 'v'))
            || VOLATILE.contains(&name.as_str())
    })
}
