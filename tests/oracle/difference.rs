//! What two answers to one query have to have in common, and how a query that shows a difference is made smaller.

use std::fmt;
use std::time::{Duration, Instant};

use crate::common::wire::{Column, Row};
use crate::generate::Query;
use crate::play::{Answer, Way};

/// Kinds of differences; a smaller query must show the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Canary,
    /// Only what comes through the proxy fails, or fails in another way.
    Fails,
    /// Only the expected answer fails.
    Succeeds,
    Columns,
    Rows,
    Order,
    Commands,
    /// A patient the answer rests on is not in the record, or one outside the assignment is.
    Record,
}

/// A difference.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    pub(crate) what: What,
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// How an answer through the proxy compares with the expected one.
#[derive(Debug, Clone)]
pub(crate) enum Comparison {
    Same,
    /// Both fail alike.
    SameFailure(String),
    /// Refused, although the query is answered otherwise.
    Refused(String),
    /// Refused, and in error anyway.
    RefusedInError,
    /// One took too long.
    Slow,
    /// A difference that KNOWN_LIMITATIONS.md names by this number.
    Known(u32),
    Different(Difference),
}

/// Compares. `ordered`: the order of rows is given.
pub(crate) fn compare(expected: &Answer, got: &Answer, ordered: bool, way: Way) -> Comparison {
    let different =
        |what| Comparison::Different(Difference { what, expected: shown(expected), got: shown(got) });
    if got.canary.is_some() {
        return different(What::Canary);
    }
    let code = |a: &Answer| a.failure.as_ref().map(|f| f.sqlstate.clone());
    let slow = |a: &Answer| code(a).as_deref() == Some("57014");
    if slow(expected) || slow(got) {
        return Comparison::Slow;
    }
    if let Some(refusal) = got.refused() {
        return if expected.failure.is_some() {
            Comparison::RefusedInError
        } else {
            Comparison::Refused(refusal.to_owned())
        };
    }
    match (code(expected), code(got)) {
        (Some(a), Some(b)) if a == b => return Comparison::SameFailure(a),
        // What is wrong in itself may be found wrong in another order.
        (Some(a), Some(b)) if a.starts_with("42") && b.starts_with("42") => {
            return Comparison::SameFailure(a);
        }
        (_, Some(_)) => return different(What::Fails),
        (Some(_), None) => return different(What::Succeeds),
        (None, None) => {}
    }
    let Some(known) = known_columns(expected, got, way) else { return different(What::Columns) };
    if expected.runs.len() != got.runs.len() {
        return different(What::Rows);
    }
    for (a, b) in expected.runs.iter().zip(&got.runs) {
        // Of values that are equal as `char(n)`, grouping keeps the one that comes first.
        if sorted(a) != sorted(b) && sorted(&trimmed(expected, a, true)) != sorted(&trimmed(got, b, true)) {
            return different(What::Rows);
        }
        if ordered && trimmed(expected, a, false) != trimmed(got, b, false) {
            return different(What::Order);
        }
    }
    if expected.commands != got.commands {
        return different(What::Commands);
    }
    known.map_or(Comparison::Same, Comparison::Known)
}

/// Rows as their order tells them apart: `'a'` and `'a  '` are equal as `char(n)`, and come in any order. `mixed`: those
/// columns only whose values have no common length.
fn trimmed(answer: &Answer, rows: &[Row], mixed: bool) -> Vec<Row> {
    const BPCHAR: u32 = 1042;
    let columns = answer.columns.as_deref().unwrap_or_default();
    let is_padded = |c: &Column| c.rest.2 == BPCHAR && (!mixed || c.rest.4 == -1);
    let padded: Vec<usize> =
        columns.iter().enumerate().filter(|(_, c)| is_padded(c)).map(|(i, _)| i).collect();
    let mut rows = rows.to_vec();
    for row in &mut rows {
        for i in &padded {
            if let Some(Some(value)) = row.get_mut(*i) {
                value.truncate(value.trim_end_matches(' ').len());
            }
        }
    }
    rows
}

/// The line of KNOWN_LIMITATIONS.md that tells of all that differs in the columns, if something does; None when no line
/// does.
fn known_columns(expected: &Answer, got: &Answer, way: Way) -> Option<Option<u32>> {
    const RECORD: u32 = 2249;
    let (Some(a), Some(b)) = (&expected.columns, &got.columns) else {
        return (expected.columns == got.columns).then_some(None);
    };
    let line = |(a, b): (&Column, &Column)| {
        let ((table, number, ty, _, typmod, _), (_, _, other, _, other_typmod, _)) = (a.rest, b.rest);
        if a == b {
            return Some(None);
        }
        let whole_row = table != 0 && number == 0 && other == RECORD;
        // What FETCH and EXECUTE give cannot be described by the client's own text.
        let through_sql = matches!(way, Way::Cursor | Way::Named);
        let masked = through_sql && (b.rest.0, ty, typmod) == (0, other, other_typmod);
        let folded = table == 0 && ty == other && other_typmod == -1;
        match (a.name == b.name, whole_row || masked, folded) {
            (true, true, _) => Some(Some(27)),
            (true, _, true) => Some(Some(90)),
            _ => None,
        }
    };
    let lines: Option<Vec<Option<u32>>> = a.iter().zip(b).map(line).collect();
    lines.filter(|_| a.len() == b.len()).map(|l| l.into_iter().flatten().next())
}

fn sorted(rows: &[Row]) -> Vec<&Row> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort();
    rows
}

fn shown(answer: &Answer) -> String {
    let mut text = String::new();
    if let Some(canary) = &answer.canary {
        text += &format!("CANARY {canary:?} ");
    }
    if let Some(failure) = &answer.failure {
        return text + &format!("{} {}", failure.sqlstate, failure.message);
    }
    let columns: Vec<String> =
        answer.columns.iter().flatten().map(|c| format!("{} {:?}", c.name, c.rest)).collect();
    let rows: Vec<String> = answer
        .runs
        .iter()
        .map(|run| {
            let rows: Vec<String> = run
                .iter()
                .map(|row| {
                    let cells: Vec<&str> = row.iter().map(|c| c.as_deref().unwrap_or("NULL")).collect();
                    format!("({})", cells.join(", "))
                })
                .collect();
            format!("{} rows {}", rows.len(), rows.join(" "))
        })
        .collect();
    text + &format!("{:?} [{}] {}", answer.commands, columns.join(", "), rows.join(" | "))
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\n  expected {:.900}\n  got      {:.900}", self.what, self.expected, self.got)
    }
}

/// How long a query is made smaller.
const LONGEST_SHRINK: Duration = Duration::from_secs(60);

/// The smallest form found that `differs` in the same way, in at most so many tries.
pub(crate) fn shrink(
    query: &Query,
    what: What,
    mut tries: usize,
    mut differs: impl FnMut(&Query) -> Option<Difference>,
) -> (Query, Option<Difference>) {
    let (mut best, mut last) = (query.clone(), None);
    let started = Instant::now();
    'smaller: loop {
        for node in best.node.smaller() {
            if node.size() >= best.node.size() && node.text().len() >= best.node.text().len() {
                continue;
            }
            if tries == 0 || started.elapsed() > LONGEST_SHRINK {
                return (best, last);
            }
            tries -= 1;
            let candidate = Query { node, ordered: best.ordered };
            if let Some(difference) = differs(&candidate)
                && difference.what == what
            {
                best = candidate;
                last = Some(difference);
                continue 'smaller;
            }
        }
        return (best, last);
    }
}

/// A difference as it is printed.
pub(crate) fn report(place: &str, query: &Query, way: Way, difference: &Difference) -> String {
    let sql = query.node.text();
    let (with, parameters) = query.node.with_parameters();
    let sent = if parameters.is_empty() || matches!(way, Way::Simple | Way::Cursor | Way::Copy) {
        String::new()
    } else {
        let values: Vec<_> = parameters.iter().map(|(_, v)| v.as_deref().unwrap_or("NULL")).collect();
        format!("\n  sent as  {with} {values:?}")
    };
    format!("{place} {way:?} ordered={}\n  {sql}{sent}\n  {difference}", query.ordered)
}
