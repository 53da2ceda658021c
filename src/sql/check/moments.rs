//! Moments that cannot leave the calendar: what is near the present, or a written date, and a little
//! arithmetic from there. Anything else about time can fail, at the latest for the last day there is.

use super::safe::string_const;
use super::types::Ty;
use crate::sql::functions::{SafeCall, safe_call};
use crate::sql::tree::Node;

/// `now() - interval '7 days'`, `current_date - 30`, `date '2024-01-01' + interval '1 month'`.
pub(super) fn near_now(left: &Node, right: &Node, ty: Ty) -> Option<Ty> {
    // At run time only near the present; a constant moment must be folded when planned, which
    // arithmetic with time zones is not.
    if !(present(left) && left.kind != "ColumnRef" || constant(left) && ty != Ty::Timestamptz) {
        return None;
    }
    if ty == Ty::Date && right.kind == "AConst" && right.node("val").is_some_and(|v| v.kind == "Integer") {
        let days = right.node("val").map_or(i64::MAX, |v| v.int("ival"));
        return (days.abs() <= 1_000_000).then_some(Ty::Date);
    }
    let interval = match right.kind {
        "TypeCast" => interval_text(right).is_some_and(short_interval),
        "AExpr" => {
            let times = right.names("name") == ["*"];
            let (l, r) = (right.node("lexpr"), right.node("rexpr"));
            times && l.zip(r).is_some_and(|(l, r)| short_multiple(l, r))
        }
        _ => false,
    };
    let result = if ty == Ty::Date { Ty::Timestamp } else { ty };
    interval.then_some(result)
}

/// An interval constant that takes now() nowhere near the ends of the calendar.
fn short_interval(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let digits = lower.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    let long = ["y", "dec", "cent", "mil", "p"].iter().any(|u| lower.contains(u) && !lower.contains("day"));
    text.len() <= 32
        && digits <= if long || lower.contains("year") { 3 } else { 4 }
        && !["dec", "cent", "mill"].iter().any(|u| lower.contains(u))
}

/// The text of an interval constant.
pub(super) fn interval_text(node: &Node) -> Option<&str> {
    let names = node.node("type_name").map(|t| t.names("names")).unwrap_or_default();
    matches!(names.as_slice(), ["interval"] | ["pg_catalog", "interval"])
        .then(|| node.node("arg").and_then(string_const))?
}

/// `30 * interval '1 day'`, `interval '1 month' * 3`: a whole number of times a period of one digit, which
/// together go no further than a thousand years.
pub(super) fn short_multiple(left: &Node, right: &Node) -> bool {
    let (number, text) = match (interval_text(left), interval_text(right)) {
        (Some(text), None) => (right, text),
        (None, Some(text)) => (left, text),
        _ => return false,
    };
    let whole = number.kind == "AConst" && number.node("val").is_some_and(|v| v.kind == "Integer");
    let times = number.node("val").map_or(i64::MAX, |v| v.int("ival")).unsigned_abs();
    let lower = text.trim().to_ascii_lowercase();
    let Some((one, unit)) = lower.split_once(' ') else { return false };
    let most = match unit.trim().trim_end_matches('s') {
        "year" => 100,
        "month" => 1_000,
        "week" | "day" | "hour" | "minute" | "min" | "second" | "sec" => 5_000,
        _ => return false,
    };
    whole && one.len() == 1 && one.bytes().all(|b| b.is_ascii_digit()) && times <= most
}

/// A column, or an expression whose value is near the present: at most two steps of arithmetic
/// from now(), none of which goes further than 999 years or 1,000,000 days.
pub(super) fn present(node: &Node) -> bool {
    node.kind == "ColumnRef" || moment(node, 2)
}

pub(super) fn moment(node: &Node, steps: usize) -> bool {
    match node.kind {
        "SqlValueFunction" => true,
        "FuncCall" => match node.names("funcname").as_slice() {
            ["date_trunc"] | ["pg_catalog", "date_trunc"] => {
                node.nodes("args").nth(1).is_some_and(|a| moment(a, steps))
            }
            [n] | ["pg_catalog", n] => matches!(safe_call(n), Some(SafeCall::Now(_))),
            _ => false,
        },
        "TypeCast" => dated(node) || node.node("arg").is_some_and(|a| moment(a, steps)),
        "AExpr" if steps > 1 => node.node("lexpr").is_some_and(|l| moment(l, steps - 1)),
        _ => false,
    }
}

/// `timestamptz '2026-01-01 ...'`: a constant of a year with four digits.
fn dated(node: &Node) -> bool {
    let text = node.node("arg").and_then(string_const).unwrap_or_default();
    let bytes = text.as_bytes();
    let digits =
        |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    let type_name = node.node("type_name").map(|t| t.names("names")).unwrap_or_default();
    let calendar = matches!(
        type_name.as_slice(),
        ["date" | "timestamp" | "timestamptz"] | ["pg_catalog", "date" | "timestamp" | "timestamptz"]
    );
    calendar
        && digits(0..4)
        && bytes.first().is_some_and(|b| *b != b'0')
        && bytes.get(4) == Some(&b'-')
        && digits(5..7)
        && bytes.get(7) == Some(&b'-')
        && digits(8..10)
        && bytes.get(10).is_none_or(|b| matches!(b, b' ' | b'T'))
        && !text.to_ascii_lowercase().contains("bc")
}

/// A typed constant, for example `date '2024-01-01'`.
fn constant(node: &Node) -> bool {
    node.kind == "TypeCast" && node.node("arg").is_some_and(|a| a.kind == "AConst")
}
