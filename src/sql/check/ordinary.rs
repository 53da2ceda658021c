//! What fails at the very ends of a type only, for `min_cell`: `2026 - year_of_birth` overflows in the year -2,147,481,622,
//! which is nobody's. An error of it would tell that somebody has such a value, and no client can move the end: written
//! numbers are small. Not for rows that a user may not see: of those even that must not be told.

use super::Checker;
use super::safe::{string_const, written};
use super::types::{Block, Ty};
use crate::sql::tree::Node;

/// What an expression a few steps from columns is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Int,
    /// A whole number as `double precision`.
    Float,
    /// What has room for any of them.
    Numeric,
    Date,
    /// A timestamp, with a time zone or without.
    Moment,
}

impl Sort {
    fn is_number(self) -> bool {
        matches!(self, Sort::Int | Sort::Float | Sort::Numeric)
    }

    /// True where comparing both fails for no value.
    fn compares(self, other: Sort) -> bool {
        self.is_number() == other.is_number()
    }
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
                let moment = |n: &Node| {
                    let ty = self.safe(n, block);
                    matches!(ty, Some(Ty::Literal | Ty::Date | Ty::Timestamp | Ty::Timestamptz))
                };
                let beside = |of: Sort, n: &Node| match self.steps(n, block) {
                    Some(other) => of.compares(other),
                    None if of.is_number() => number(n),
                    None => moment(n),
                };
                let compared = |a: &Node, b: &Node| {
                    let bounds = |of| b.kind == "List" && b.children().into_iter().all(|n| beside(of, n));
                    self.steps(a, block).is_some_and(|of| beside(of, b) || bounds(of))
                };
                !self.cx.context.catalog.own_code.redefines(operator) && (compared(l, r) || compared(r, l))
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

    /// Numbers and moments, a few small steps from a column.
    fn steps(&self, node: &Node, block: &Block<'_>) -> Option<Sort> {
        self.steps_within(node, block, MOST_STEPS)
    }

    fn steps_within(&self, node: &Node, block: &Block<'_>, most: usize) -> Option<Sort> {
        match node.kind {
            "ColumnRef" => match block.column(&node.names("fields")) {
                Ty::Int(_) => Some(Sort::Int),
                Ty::Numeric | Ty::Decimal => Some(Sort::Numeric),
                Ty::Date => Some(Sort::Date),
                Ty::Timestamp | Ty::Timestamptz => Some(Sort::Moment),
                _ => None,
            },
            "AExpr" => self.step(node, block, most.checked_sub(1)?),
            "FuncCall" => self.step_by_name(node, block, most.checked_sub(1)?),
            "CaseExpr" => self.days_between(node, block).map(|_| Sort::Int),
            _ => None,
        }
    }

    /// The two dates of `CASE WHEN isfinite(a) AND isfinite(b) THEN a - b END`, which is how `a - b` of dates is written
    /// for such a role: of `infinity` it would fail.
    pub(super) fn days_between<'n>(&self, node: &'n Node, block: &Block<'_>) -> Option<[&'n Node; 2]> {
        let difference = node.nodes("args").next().and_then(|when| when.node("result"))?;
        let (l, r) = (difference.node("lexpr")?, difference.node("rexpr")?);
        let date = |n: &Node| n.kind == "ColumnRef" && block.column(&n.names("fields")) == Ty::Date;
        let [left, right] = [l, r].map(super::cells::column_text);
        let whole = super::expected::expression(&crate::policy::days_between(&left, &right)).ok()?;
        let bare = super::cells::is_column(l) && super::cells::is_column(r);
        let built_in = !self.cx.context.catalog.own_code.redefines("-");
        (bare && built_in && date(l) && date(r) && whole == *node).then_some([l, r])
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
            ("+" | "-", Some(Sort::Date | Sort::Moment), None) if is_small_interval(right) => {
                Some(Sort::Moment)
            }
            ("+" | "-", Some(Sort::Moment), _) => None,
            ("+" | "-", Some(sort), Some(_)) => Some(sort),
            ("/" | "*" | "%", Some(Sort::Date | Sort::Moment), _) => None,
            ("/", Some(sort), Some(n)) | ("%", Some(sort @ Sort::Int), Some(n)) if n > 0 => Some(sort),
            ("*", Some(sort @ (Sort::Float | Sort::Numeric)), Some(_)) => Some(sort),
            ("+" | "-", Some(Sort::Numeric), None) => {
                let other = self.steps_within(right, block, most)?;
                matches!(other, Sort::Int | Sort::Numeric).then_some(Sort::Numeric)
            }
            ("+" | "-", Some(Sort::Int), None)
                if self.steps_within(right, block, most) == Some(Sort::Numeric) =>
            {
                Some(Sort::Numeric)
            }
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
            ("+" | "-", None, None) if small(left).is_some() => {
                self.steps_within(right, block, most).filter(|sort| sort.is_number())
            }
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
            ("floor" | "ceil" | "ceiling", [of]) => match self.steps_within(of, block, most)? {
                Sort::Int | Sort::Float => Some(Sort::Float),
                Sort::Numeric => Some(Sort::Numeric),
                Sort::Date | Sort::Moment => None,
            },
            ("extract" | "date_part", _) => {
                let ty = self.safe(call, block)?;
                (ty == Ty::Numeric).then_some(Sort::Numeric)
            }
            ("width_bucket", [of, low, high, count]) => {
                let (low, high, count) = (written(low)?, written(high)?, written(count)?);
                let sound = low < high && (1..=SMALL).contains(&count);
                let sort = self.steps_within(of, block, most)?;
                (sound && matches!(sort, Sort::Int | Sort::Float)).then_some(Sort::Int)
            }
            _ => None,
        }
    }

    /// The columns of which an aggregate of `node` tells no more than aggregates of each would, and whether NULL counts as
    /// 0: `2026 - year`, `a - b`, `coalesce(a, 0)`, a whole number in another type.
    pub(super) fn linear<'n>(&self, node: &'n Node, block: &Block<'_>) -> Option<(Vec<&'n Node>, bool)> {
        match node.kind {
            "TypeCast" => {
                let column = node.node("arg").filter(|a| super::cells::is_column(a))?;
                let int = matches!(block.column(&column.names("fields")), Ty::Int(_));
                let wider = matches!(self.safe(node, block), Some(Ty::Float | Ty::Numeric));
                (int && wider).then(|| (vec![column], false))
            }
            "CoalesceExpr" => {
                let [column, zero] = <[&Node; 2]>::try_from(node.nodes("args").collect::<Vec<_>>()).ok()?;
                let number = self.steps(column, block).is_some_and(Sort::is_number);
                (number && super::cells::is_column(column) && written(zero) == Some(0))
                    .then(|| (vec![column], true))
            }
            "CaseExpr" => self.days_between(node, block).map(|both| (both.to_vec(), false)),
            "AExpr"
                if self.steps(node, block).is_some_and(Sort::is_number)
                    || self.of_whole_numbers(node, block) =>
            {
                let names = node.names("name");
                let ["+" | "-"] = names.as_slice() else { return None };
                let mut columns = Vec::new();
                for side in [node.node("lexpr")?, node.node("rexpr")?] {
                    match side.kind {
                        "ColumnRef" => columns.push(side),
                        "AConst" => {}
                        _ => return None,
                    }
                }
                (!columns.is_empty() && columns.iter().all(|c| super::cells::is_column(c)))
                    .then_some((columns, false))
            }
            _ => None,
        }
    }

    /// `a - b` of two columns of whole numbers, which fails at the ends of their type alone.
    fn of_whole_numbers(&self, node: &Node, block: &Block<'_>) -> bool {
        let int = |side| {
            node.node(side).is_some_and(|n| {
                n.kind == "ColumnRef" && matches!(block.column(&n.names("fields")), Ty::Int(_))
            })
        };
        let names = node.names("name");
        matches!(names.as_slice(), ["-"])
            && !self.cx.context.catalog.own_code.redefines("-")
            && int("lexpr")
            && int("rexpr")
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

/// True for `'30 days'::interval` and its kind: with more of it the client would choose the end of the calendar.
fn is_small_interval(node: &Node) -> bool {
    let interval = node.node("type_name").is_some_and(|t| {
        matches!(t.names("names").as_slice(), ["pg_catalog", "interval"] | ["interval"]) && !t.has("typmods")
    });
    let text = node.node("arg").and_then(string_const).unwrap_or_default();
    let mut words = text.split_ascii_whitespace();
    let (number, unit) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let most = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" | "minute" | "hour" | "day" => 9999,
        "week" | "mon" | "month" => 1200,
        "year" => 100,
        _ => 0,
    };
    let small = number.bytes().all(|b| b.is_ascii_digit()) && number.parse::<u32>().is_ok_and(|n| n <= most);
    interval && node.kind == "TypeCast" && small && most > 0 && words.next().is_none()
}
