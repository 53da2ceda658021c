//! Calls of functions that may be evaluated on rows that the filter has not seen yet: those of the reviewed list, with
//! arguments under which they cannot fail. Not for anything else that an expression can be (`safe`).

use super::Checker;
use super::moments::moment;
use super::safe::{array_of, string_const};
use super::types::{Block, Ty};
use crate::sql::functions::{SafeCall, safe_call};
use crate::sql::tree::Node;

impl Checker<'_> {
    pub(super) fn safe_function(&self, node: &Node, block: &Block<'_>) -> Option<Ty> {
        let name = node.names("funcname");
        let ([name] | ["pg_catalog", name]) = name.as_slice() else { return None };
        let plain = !["agg_order", "agg_filter", "over", "agg_within_group", "agg_star", "func_variadic"]
            .iter()
            .any(|f| node.has(f));
        let args: Vec<&Node> = node.nodes("args").collect();
        if matches!(*name, "count" | "min" | "max" | "bool_and" | "bool_or" | "array_agg")
            && !node.has("over")
        {
            let types = self.all_safe(args.iter().copied(), block)?;
            if self.may_contradict(args, block) {
                return None;
            }
            let sorted = node.nodes("agg_order").filter_map(|k| k.node("node"));
            self.all_safe(node.node("agg_filter").into_iter().chain(sorted), block)?;
            return Some(match (*name, types.first()) {
                ("count", _) => Ty::Int(8),
                ("bool_and" | "bool_or", _) => Ty::Bool,
                ("array_agg", ty) => array_of(ty.copied().unwrap_or(Ty::Unknown))?,
                (_, ty) => ty.copied().unwrap_or(Ty::Unknown),
            });
        }
        if !plain || self.shadowed(name) {
            return None;
        }
        let types = self.all_safe(args.iter().copied(), block)?;
        let reads_text = types.iter().any(|t| matches!(t, Ty::Text | Ty::Unknown | Ty::Given));
        if (self.collations.loose && reads_text) || self.may_contradict(args.iter().copied(), block) {
            return None;
        }
        // Sums of what cannot overflow: int2 and int4 to int8, the others to numeric.
        if matches!(*name, "sum" | "avg") {
            return match types.as_slice() {
                [Ty::Int(2 | 4)] if *name == "sum" => Some(Ty::Int(8)),
                [Ty::Int(_) | Ty::Numeric | Ty::Decimal] => Some(Ty::Numeric),
                _ => None,
            };
        }
        let texts = |range: std::ops::Range<usize>| {
            types.get(range).is_some_and(|t| t.iter().all(|t| matches!(t, Ty::Text | Ty::Literal)))
        };
        let constant_int = |i: usize, least: i64| {
            args.get(i).is_some_and(|a| {
                a.node("val")
                    .is_some_and(|v| a.kind == "AConst" && v.kind == "Integer" && v.int("ival") >= least)
            })
        };
        match safe_call(name)? {
            SafeCall::Text(arity) => (types.len() == arity && texts(0..arity)).then_some(Ty::Text),
            SafeCall::Trim => (matches!(types.len(), 1 | 2) && texts(0..types.len())).then_some(Ty::Text),
            SafeCall::Concat => texts(0..types.len()).then_some(Ty::Text),
            SafeCall::ConcatWith => {
                let constant = args.first().is_some_and(|a| string_const(a).is_some());
                (constant && texts(0..types.len())).then_some(Ty::Text)
            }
            SafeCall::SplitPart => {
                (types.len() == 3 && texts(0..2) && constant_int(2, 1)).then_some(Ty::Text)
            }
            SafeCall::Pad => {
                const LONGEST: i64 = 10_000;
                let short = !constant_int(1, LONGEST + 1) && constant_int(1, 0);
                let ok =
                    matches!(types.len(), 2 | 3) && texts(0..1) && short && (types.len() == 2 || texts(2..3));
                ok.then_some(Ty::Text)
            }
            SafeCall::Absolute => match types.as_slice() {
                [ty @ (Ty::Numeric | Ty::Decimal | Ty::Float)] => Some(*ty),
                _ => None,
            },
            SafeCall::ArraySize => {
                let ok = types.first() == Some(&Ty::Array)
                    && match *name {
                        "cardinality" => types.len() == 1,
                        _ => types.len() == 2 && constant_int(1, 0),
                    };
                ok.then_some(Ty::Int(4))
            }
            SafeCall::TextToInt(arity) => (types.len() == arity && texts(0..arity)).then_some(Ty::Int(4)),
            SafeCall::TextToBool => (types.len() == 2 && texts(0..2)).then_some(Ty::Bool),
            SafeCall::TextAndCount => {
                (types.len() == 2 && texts(0..1) && constant_int(1, 0)).then_some(Ty::Text)
            }
            SafeCall::Substring => {
                let ok = matches!(types.len(), 2 | 3)
                    && texts(0..1)
                    && constant_int(1, 0)
                    && (types.len() == 2 || constant_int(2, 0));
                ok.then_some(Ty::Text)
            }
            SafeCall::Round => match types.as_slice() {
                [Ty::Int(_) | Ty::Decimal] => Some(Ty::Numeric),
                [ty @ (Ty::Numeric | Ty::Float)] => Some(*ty),
                _ => None,
            },
            SafeCall::Now(ty) => types.is_empty().then_some(match ty {
                "timestamptz" => Ty::Timestamptz,
                _ => Ty::Unknown,
            }),
            SafeCall::Truncate => match (args.first().and_then(|a| string_const(a)), types.as_slice()) {
                (Some(unit), [_, ty @ (Ty::Date | Ty::Timestamp | Ty::Timestamptz)])
                    if truncation_unit(unit)
                        // A date becomes a timestamp, which ends earlier.
                        && (*ty != Ty::Date || args.get(1).is_some_and(|a| moment(a, 2))) =>
                {
                    Some(if *ty == Ty::Date { Ty::Timestamptz } else { *ty })
                }
                _ => None,
            },
            SafeCall::Extract => match (args.first().and_then(|a| string_const(a)), types.as_slice()) {
                (Some(field), [_, ty @ (Ty::Date | Ty::Timestamp | Ty::Timestamptz)]) => {
                    extract_field(field, *ty == Ty::Date).then_some(Ty::Numeric)
                }
                _ => None,
            },
            SafeCall::Jsonb => (types.as_slice() == [Ty::Jsonb]).then_some(Ty::Text),
            SafeCall::Finite => {
                matches!(types.as_slice(), [Ty::Date | Ty::Timestamp | Ty::Timestamptz]).then_some(Ty::Bool)
            }
        }
    }
}

/// True for a constant that names a period to truncate to.
pub(super) fn is_period(unit: &Node) -> bool {
    string_const(unit).is_some_and(truncation_unit)
}

fn truncation_unit(unit: &str) -> bool {
    matches!(
        unit,
        "second" | "minute" | "hour" | "day" | "week" | "month" | "quarter" | "year" | "decade" | "century"
    )
}

fn extract_field(field: &str, date: bool) -> bool {
    matches!(
        field,
        "day"
            | "week"
            | "month"
            | "quarter"
            | "year"
            | "decade"
            | "century"
            | "dow"
            | "doy"
            | "isodow"
            | "isoyear"
            | "epoch"
    ) || (!date && matches!(field, "second" | "minute" | "hour" | "milliseconds" | "microseconds"))
}
