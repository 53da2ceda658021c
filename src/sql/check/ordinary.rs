//! What fails at the very ends of a type only, for `min_cell`: `2026 - year_of_birth` overflows in the year -2,147,481,622,
//! which is nobody's. An error of it would tell that somebody has such a value, and no client can move the end: written
//! numbers are small. Not for rows that a user may not see: of those even that must not be told.

use super::Checker;
use super::safe::{string_const, written};
use super::types::{Block, Ty};
use crate::sql::tree::Node;

/// What an expression of whole numbers is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Int,
    /// A whole number as `double precision`.
    Float,
}

/// Most that is added to a column, and that `double precision` is multiplied by.
const SMALL: i64 = 10_000;

/// Most steps from a column: of many small ones any number is reached, and with it the end of the type.
const MOST_STEPS: usize = 6;

/// Patterns of `to_char` that name a period.
const PERIODS: [&str; 14] = [
    "YYYY",
    "YYYY-MM",
    "YYYY-MM-DD",
    "YYYYMM",
    "YYYYMMDD",
    "YYYY/MM",
    "MM/YYYY",
    "YYYY-Q",
    "YYYY-\"Q\"Q",
    "IYYY-IW",
    "IYYY-\"W\"IW",
    "YYYY-WW",
    "MM",
    "Mon YYYY",
];

impl Checker<'_> {
    /// True for an expression that fails for no row, or at the ends of a type only.
    pub(super) fn is_ordinary(&self, node: &Node, block: &Block<'_>) -> bool {
        if self.safe(node, block).is_some()
            || self.steps(node, block).is_some()
            || self.names_a_period(node, block)
        {
            return true;
        }
        let ordinary = |node: &Node| self.is_ordinary(node, block);
        match node.kind {
            "BoolExpr" => node.nodes("args").all(ordinary),
            "AExpr" => {
                let names = node.names("name");
                let [operator @ ("=" | "<>" | "<" | "<=" | ">" | ">=" | "BETWEEN")] = names.as_slice() else {
                    return false;
                };
                let (Some(l), Some(r)) = (node.node("lexpr"), node.node("rexpr")) else { return false };
                let number = |n: &Node| written(n).is_some() || (n.kind == "ParamRef" && self.is_whole(n));
                let bounds = r.kind == "List" && r.children().into_iter().all(number);
                !self.cx.context.catalog.own_code.redefines(operator)
                    && ((self.steps(l, block).is_some() && (number(r) || bounds))
                        || (number(l) && self.steps(r, block).is_some()))
            }
            "CaseExpr" if !node.has("arg") => {
                let branch = |when: &Node| {
                    when.node("expr").is_some_and(ordinary)
                        && when.node("result").is_some_and(|r| r.kind == "AConst")
                };
                node.nodes("args").all(branch) && node.node("defresult").is_none_or(|r| r.kind == "AConst")
            }
            _ => false,
        }
    }

    /// True for a parameter beside which whole numbers stay what they are: converted to its type they might not fit.
    fn is_whole(&self, parameter: &Node) -> bool {
        !self.converted_to_parameter([parameter; 2].into_iter(), &[Ty::Int(8), Ty::Literal])
    }

    /// Whole numbers, a few small steps from a column.
    fn steps(&self, node: &Node, block: &Block<'_>) -> Option<Sort> {
        self.steps_within(node, block, MOST_STEPS)
    }

    fn steps_within(&self, node: &Node, block: &Block<'_>, most: usize) -> Option<Sort> {
        match node.kind {
            "ColumnRef" => matches!(block.column(&node.names("fields")), Ty::Int(_)).then_some(Sort::Int),
            "AExpr" => self.step(node, block, most.checked_sub(1)?),
            "FuncCall" => self.step_by_name(node, block, most.checked_sub(1)?),
            _ => None,
        }
    }

    fn step(&self, node: &Node, block: &Block<'_>, most: usize) -> Option<Sort> {
        let (left, right) = (node.node("lexpr")?, node.node("rexpr")?);
        let names = node.names("name");
        let [operator @ ("+" | "-" | "*" | "/" | "%")] = names.as_slice() else { return None };
        if self.cx.context.catalog.own_code.redefines(operator) {
            return None;
        }
        let small = |n: &Node| written(n).filter(|n| (-SMALL..=SMALL).contains(n));
        let sort = self.steps_within(left, block, most);
        match (*operator, sort, small(right)) {
            ("+" | "-", Some(sort), Some(_)) => Some(sort),
            ("/", Some(sort), Some(n)) | ("%", Some(sort @ Sort::Int), Some(n)) if n > 0 => Some(sort),
            ("*", Some(Sort::Float), Some(_)) => Some(Sort::Float),
            ("*", Some(Sort::Int), Some(n)) => {
                let by = (left.names("name") == ["/"]).then(|| left.node("rexpr").and_then(written))??;
                (0..=by).contains(&n).then_some(Sort::Int)
            }
            // What is left over: a - a % 10.
            ("-", Some(Sort::Int), None)
                if right.names("name") == ["%"] && right.node("lexpr") == Some(left) =>
            {
                self.steps_within(right, block, most)
            }
            ("+" | "-", None, None) if small(left).is_some() => self.steps_within(right, block, most),
            _ => None,
        }
    }

    fn step_by_name(&self, call: &Node, block: &Block<'_>, most: usize) -> Option<Sort> {
        let names = call.names("funcname");
        let name = *names.last()?;
        let plain = call.fields.iter().all(|(f, _)| matches!(*f, "funcname" | "args" | "funcformat"));
        if !plain || !matches!(names.as_slice(), [_] | ["pg_catalog", _]) || self.shadowed(name) {
            return None;
        }
        let args: Vec<&Node> = call.nodes("args").collect();
        match (name, args.as_slice()) {
            ("floor" | "ceil" | "ceiling", [of]) => self.steps_within(of, block, most).map(|_| Sort::Float),
            ("width_bucket", [of, low, high, count]) => {
                let (low, high, count) = (written(low)?, written(high)?, written(count)?);
                let sound = low < high && (1..=SMALL).contains(&count);
                self.steps_within(of, block, most).filter(|_| sound).map(|_| Sort::Int)
            }
            _ => None,
        }
    }

    /// `to_char(moment, 'YYYY-MM')`
    fn names_a_period(&self, call: &Node, block: &Block<'_>) -> bool {
        let args: Vec<&Node> = call.nodes("args").collect();
        let moment = |n: &Node| {
            n.kind == "ColumnRef"
                && matches!(block.column(&n.names("fields")), Ty::Date | Ty::Timestamp | Ty::Timestamptz)
        };
        call.kind == "FuncCall"
            && matches!(call.names("funcname").as_slice(), ["to_char"] | ["pg_catalog", "to_char"])
            && call.fields.iter().all(|(f, _)| matches!(*f, "funcname" | "args" | "funcformat"))
            && matches!(args.as_slice(), [at, pattern] if moment(at)
                && string_const(pattern).is_some_and(|p| PERIODS.contains(&p)))
            && !self.shadowed("to_char")
    }
}
