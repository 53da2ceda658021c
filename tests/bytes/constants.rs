//! Texts that differ in constants: one decision and one prepared statement of ours stand behind them, which must not
//! be noticed, whatever the constants are.

use crate::common::wire::query;
use crate::play::{Script, Step, same};
use crate::stage::Stage;

/// A text with `?` in it, and what stands there one after the other.
pub(crate) const TEXTS: &[(&str, &[&str])] = &[
    (
        "SELECT patient_id, name FROM clinic.patient WHERE patient_id = ?",
        &[
            "880003",
            "880015",
            "'880015'",
            "' 880003 '",
            "-880003",
            "5000000000",
            "880003",
            "'x'",
            "''",
            "880003.0",
            "99999999999999999999",
            "880027",
            "NULL",
            "'9223372036854775808'",
            "0",
            "-9223372036854775808",
            "1e3",
        ],
    ),
    (
        "  SELECT name, sex FROM clinic.patient WHERE name <> 'äöü' AND birth_date > ? ORDER BY patient_id LIMIT 3 ; ",
        &[
            "'1950-01-01'",
            "'1980-01-01'",
            "'1950-13-01'",
            "'never'",
            "'-infinity'",
            "'1990-01-01'",
            "'2001-02-29'",
        ],
    ),
    (
        "SELECT name FROM clinic.patient WHERE sex = ? ORDER BY patient_id",
        &["'F'", "'F '", "'female'", "'M'", "''''", "'\\'", "'''; SELECT 1 --'", "E'F'", "'X'", "$$F$$"],
    ),
    (
        "SELECT patient_id FROM clinic.patient p WHERE p.patient_id BETWEEN 880003 AND ? AND ? > p.patient_id ORDER BY 1",
        &["880030", "880003", "'F'", "'880040'", "5000000000"],
    ),
    (
        "SELECT e.encounter_id, e.charge FROM clinic.encounter e JOIN clinic.ward w ON w.ward_id = e.ward_id AND w.floor > ? WHERE e.charge > ? ORDER BY 1",
        &["1", "2", "'3'", "300", "99999", "'x'", "3000000000", "2.5"],
    ),
    (
        "SELECT count(*) FROM clinic.note WHERE patient_id + ? = 880010",
        &["1", "7", "'7'", "9223372036854775807", "2147483648"],
    ),
    (
        "SELECT name FROM clinic.ward WHERE ward_id = ?",
        &["1", "2", "'2'", "-1", "3000000000", "'x'", "99999999999999999999"],
    ),
    (
        "SELECT name FROM clinic.ward WHERE code = ? OR floor = 2 ORDER BY ward_id",
        &["'A'", "'it''s'", "'ä'", "1", "''"],
    ),
    ("SELECT name, ? FROM clinic.patient WHERE patient_id = 880003", &["1", "'x'", "2"]),
    ("SELECT name FROM clinic.patient WHERE patient_id = 880003 OR name = ? ORDER BY ?", &["1", "'x'", "2"]),
    ("SELECT name FROM clinic.patient WHERE birth_date = ? + 1", &["1", "'2000-01-01'", "2"]),
];

/// What no operator compares; a restricted role is told that it cannot be guarded.
pub(crate) const NO_OPERATOR: &[(&str, &[&str])] = &[
    (
        "  SELECT name FROM clinic.patient WHERE name <> 'äöü' AND birth_date > ? ORDER BY 1",
        &["5", "'2000-01-01'", "7"],
    ),
    ("SELECT name FROM clinic.patient WHERE sex = ? ORDER BY patient_id", &["'F'", "1", "5000000000"]),
    (
        "SELECT patient_id FROM clinic.patient p WHERE p.patient_id BETWEEN 880003 AND ? AND ? = p.sex",
        &["880030", "5"],
    ),
];

pub(crate) fn scripts(texts: &[(&str, &[&str])]) -> Vec<Script> {
    let mut all = Vec::new();
    for (text, values) in texts {
        let texts: Vec<String> = values.iter().chain(*values).map(|value| text.replace('?', value)).collect();
        let one = |t: &String| [Step::Send(query(t)), Step::Ready(1)];
        all.push(Script { name: format!("one by one: {text}"), steps: texts.iter().flat_map(one).collect() });
        let at_once = texts.iter().flat_map(|t| query(t)).collect();
        all.push(Script {
            name: format!("at once: {text}"),
            steps: vec![Step::Send(at_once), Step::Ready(texts.len())],
        });
        let mut block = vec![Step::Send(query("BEGIN")), Step::Ready(1)];
        block.extend(texts.iter().flat_map(|t| {
            [
                Step::Send(query("SAVEPOINT s")),
                Step::Ready(1),
                Step::Send(query(t)),
                Step::Ready(1),
                Step::Send(query("ROLLBACK TO s")),
                Step::Ready(1),
            ]
        }));
        all.push(Script { name: format!("in a block: {text}"), steps: block });
    }
    all
}

/// A statement of ours that could not be prepared, or was skipped, is not taken for one that was.
pub(crate) fn failed_preparations() -> Vec<Script> {
    let q = |n: usize| format!("SELECT title FROM clinic.problem WHERE patient_id = {n} ORDER BY 1");
    let texts = |name: &str, texts: &[&str]| {
        let one = |t: &&str| [Step::Send(query(t)), Step::Ready(1)];
        let at_once = texts.iter().flat_map(|t| query(t)).collect();
        [
            Script { name: format!("one by one: {name}"), steps: texts.iter().flat_map(one).collect() },
            Script {
                name: format!("at once: {name}"),
                steps: vec![Step::Send(at_once), Step::Ready(texts.len())],
            },
        ]
    };
    let (a, b, c) = (q(880_003), q(880_015), q(880_027));
    let (a, b, c) = (a.as_str(), b.as_str(), c.as_str());
    let date = |d: &str, blanks: &str| {
        format!("{blanks}SELECT patient_id FROM clinic.patient WHERE birth_date > '{d}' ORDER BY 1 LIMIT 2")
    };
    let dates =
        [date("x", ""), date("y", " "), date("2000-01-01", ""), date("1990-01-01", " "), date("z", "  ")];
    let dates: Vec<&str> = dates.iter().chain(&dates).map(String::as_str).collect();
    [
        texts("in a failed transaction", &[a, "BEGIN", "SELECT 1/0", b, "ROLLBACK", c, a, b]),
        texts("before and in it", &["BEGIN", a, "SELECT 1/0", b, "ROLLBACK", c, a, b]),
        texts("twice in it", &["BEGIN", "SELECT 1/0", a, b, "ROLLBACK", c, a, b]),
        texts("several of one message", &[a, &format!("SELECT 1/0; {a}"), &format!("{b}; {a}; {c}"), b, c]),
        texts("values that are none", &dates),
        texts("forgotten", &[a, b, "DEALLOCATE ALL", c, a, b, "DISCARD ALL", a, b, c]),
        texts(
            "forgotten in a failed transaction",
            &[a, "BEGIN", b, "SELECT 1/0", "DEALLOCATE ALL", "ROLLBACK", c, a],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn failed_preparations_are_not_taken_for_good_ones() {
    same(&Stage::of("dba_gus"), &failed_preparations());
    same(&Stage::of("nurse_amy"), &failed_preparations());
}

#[test]
fn constants_of_an_unrestricted_role() {
    same(&Stage::of("dba_gus"), &scripts(TEXTS));
    same(&Stage::of("dba_gus"), &scripts(NO_OPERATOR));
}

#[test]
fn constants_of_a_restricted_role() {
    same(&Stage::of("nurse_amy"), &scripts(TEXTS));
}
