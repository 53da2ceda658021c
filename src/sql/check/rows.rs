//! Functions in FROM: which give rows that depend on no row and cannot fail, and what is known of their columns.

use super::Checker;
use super::moments::{interval_text, moment};
use super::safe::{is_number, string_const};
use super::types::{Block, Columns, Ty, element_of_type_name, of_type_name, under_names};
use crate::sql::column_names::column_name;
use crate::sql::tree::Node;

/// `1 day`, `15 minutes`: a whole number of periods, not nothing.
fn step(node: &Node) -> bool {
    let text = string_const(node).or_else(|| interval_text(node)).unwrap_or_default().to_ascii_lowercase();
    let Some((number, unit)) = text.split_once(' ') else { return false };
    let units = ["year", "month", "week", "day", "hour", "minute", "min", "second", "sec"];
    number.len() <= 4
        && number.bytes().all(|b| b.is_ascii_digit())
        && number.bytes().any(|b| b != b'0')
        && units.contains(&unit.strip_suffix('s').unwrap_or(unit))
}

/// Columns under an alias with a column list: the listed names replace the first ones.
pub(super) fn renamed(columns: Columns, node: &Node) -> Columns {
    under_names(columns, &node.node("alias").map(|a| a.names("colnames")).unwrap_or_default())
}

impl Checker<'_> {
    /// The name of a function in FROM: its alias, or what the column of its value would be called.
    pub(super) fn function_alias(&self, node: &Node) -> String {
        if let Some(alias) = node.node("alias").map(|a| a.str("aliasname")).filter(|a| !a.is_empty()) {
            return alias.to_owned();
        }
        let call = node.nodes("functions").next().and_then(|f| f.nodes("items").next());
        call.and_then(|call| column_name(call, self.cx.context.catalog.server_version)).unwrap_or_default()
    }

    /// `generate_series(1, 10)`, `unnest($1::int8[])`: rows that depend on no row, and cannot fail.
    pub(super) fn constant_rows(&self, call: &Node) -> bool {
        let args: Vec<&Node> = call.nodes("args").collect();
        let plain = !["agg_order", "agg_filter", "over", "func_variadic"].iter().any(|f| call.has(f));
        let name = call.names("funcname");
        plain
            && match (name.as_slice(), args.as_slice()) {
                (["generate_series"] | ["pg_catalog", "generate_series"], [from, to]) => {
                    is_number(from) && is_number(to)
                }
                (["generate_series"] | ["pg_catalog", "generate_series"], _) => self.series(call).is_some(),
                (["unnest"] | ["pg_catalog", "unnest"], [_, ..]) => args.iter().all(|array| {
                    let (inner, name) = match array.kind {
                        "TypeCast" => (array.node("arg"), array.node("type_name")),
                        _ => (Some(*array), None),
                    };
                    inner.is_some_and(|i| match i.kind {
                        "ParamRef" => name.is_none_or(|name| self.parameter_is(i, name)),
                        kind => kind == "AConst",
                    })
                }),
                _ => false,
            }
    }

    /// The type of `generate_series(current_date - 30, now(), interval '1 day')`: from one moment near the present, or
    /// written, to another, which no step leaves far behind.
    fn series(&self, call: &Node) -> Option<Ty> {
        let nowhere = Block { items: &[], ctes: &[], parent: None };
        let args: Vec<&Node> = call.nodes("args").collect();
        let [from, to, by] = args.as_slice() else { return None };
        if !moment(from, 2) || !moment(to, 2) || !step(by) || self.shadowed("generate_series") {
            return None;
        }
        match (self.safe(from, &nowhere)?, self.safe(to, &nowhere)?) {
            (Ty::Timestamp, Ty::Timestamp) => Some(Ty::Timestamp),
            (Ty::Date | Ty::Timestamptz, Ty::Date | Ty::Timestamptz) => Some(Ty::Timestamptz),
            _ => None,
        }
    }

    /// The columns of a function whose rows are constants, or that are listed with their types.
    pub(super) fn function_columns(&self, node: &Node, alias: &str) -> Columns {
        let call = node.nodes("functions").next()?.nodes("items").next()?;
        if node.list("functions").len() != 1 {
            return None;
        }
        let catalog = self.cx.context.catalog;
        let listed: Vec<&Node> = node.nodes("coldeflist").collect();
        if !listed.is_empty() {
            let ty = |c: &Node| c.node("type_name").map_or(Ty::Unknown, |t| of_type_name(t, catalog));
            return Some(listed.iter().map(|c| (c.str("colname").to_owned(), ty(c))).collect());
        }
        if !self.constant_rows(call) {
            return None;
        }
        let series = self.series(call);
        let element = |arg: &Node| match arg.node("type_name") {
            Some(name) => element_of_type_name(name, catalog),
            None if is_number(arg) => Ty::Numeric,
            None => Ty::Unknown,
        };
        let several = call.names("funcname").last() == Some(&"unnest") && call.list("args").len() > 1;
        let mut columns: Vec<(String, Ty)> = match several {
            true => call.nodes("args").map(|arg| ("unnest".to_owned(), element(arg))).collect(),
            false => vec![(alias.to_owned(), series.unwrap_or(element(call.nodes("args").next()?)))],
        };
        if node.flag("ordinality") {
            columns.push(("ordinality".to_owned(), Ty::Int(8)));
        }
        Some(renamed(Some(columns), node))?
    }
}
