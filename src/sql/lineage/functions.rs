//! What the functions that a block calls do to rows: merge them, number them, multiply them, or
//! change from call to call. Kinds come from the catalog; the names below hold also without it.

use sqlparser::ast::{Expr, Function, GroupByExpr, OrderBy, Query, Select, Visit};

use super::columns::single;
use crate::sql::plan::{Look, PlanInput, any_expr, fold, look};

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

/// The calls of one block.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Calls {
    /// A plain aggregate.
    pub(super) aggregate: bool,
    /// A window function.
    pub(super) window: bool,
    /// A function that may return several rows or none.
    pub(super) row_maker: bool,
}

impl Calls {
    /// The calls in the select list, HAVING and ORDER BY of a block, not those of its subqueries.
    pub(super) fn of_block(select: &Select, order_by: Option<&OrderBy>, input: &PlanInput<'_>) -> Self {
        let mut visitor = BlockCalls { input, depth: 0, found: Calls::default() };
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
}

struct BlockCalls<'a, 'b> {
    input: &'a PlanInput<'b>,
    depth: usize,
    found: Calls,
}

impl Look for BlockCalls<'_, '_> {
    fn query(&mut self, _: &Query) -> bool {
        self.depth += 1;
        false
    }

    fn query_end(&mut self) {
        self.depth -= 1;
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        if let Expr::Function(call) = expr
            && self.depth == 0
        {
            let name = last_name(call);
            if call.over.is_some() {
                self.found.window = true;
            } else if has_kind(&name, 'a', self.input) || AGGREGATES.contains(&name.as_str()) {
                self.found.aggregate = true;
            } else if ROW_MAKERS.iter().any(|suffix| name.ends_with(suffix)) || is_foreign(&name, self.input)
            {
                self.found.row_maker = true;
            }
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
