//! COPY in both directions, simple and extended, with failures at every place.

use crate::common::wire::{
    bind, copy_data, copy_done, copy_fail, describe_portal, describe_statement, execute, flush, parse, query,
    sync,
};
use crate::play::{Script, Step, same, script};
use crate::stage::Stage;

const IN: &str = "COPY scratch.t(a, b) FROM STDIN";
const UNDO: &str = "DELETE FROM scratch.t WHERE a >= 1000";

fn rows(from: u32, to: u32) -> Vec<u8> {
    (from..to).flat_map(|n| format!("{n}\tcopied {n}\n").into_bytes()).collect()
}

pub(crate) fn scripts() -> Vec<Script> {
    let data = |from, to| copy_data(&rows(from, to));
    let by_protocol = |sql: &str| {
        [parse("", sql), describe_statement(""), bind("", "", &[]), describe_portal(""), execute("", 0)]
            .concat()
    };
    let mut all = vec![
        script(
            "out",
            &[
                query("COPY (SELECT a, b FROM scratch.t ORDER BY a) TO STDOUT"),
                query("COPY scratch.t TO STDOUT (FORMAT csv, HEADER)"),
                query("COPY scratch.t(a, f) TO STDOUT (FORMAT binary)"),
                query("COPY (SELECT 1 WHERE false) TO STDOUT"),
                query("COPY (SELECT 1/(3-a) FROM scratch.t ORDER BY a) TO STDOUT"),
                query("COPY scratch.t(no) TO STDOUT"),
                query("COPY (SELECT 1) TO STDOUT; SELECT 2; COPY (SELECT 3) TO STDOUT"),
            ],
        ),
        script(
            "out by protocol",
            &[
                by_protocol("COPY (SELECT a, b FROM scratch.t ORDER BY a) TO STDOUT"),
                sync(),
                by_protocol("COPY (SELECT 1/(3-a) FROM scratch.t ORDER BY a) TO STDOUT"),
                sync(),
                by_protocol("COPY (SELECT 1) TO STDOUT"),
                by_protocol("COPY (SELECT 2) TO STDOUT"),
                sync(),
            ],
        ),
        script(
            "in",
            &[query(IN), data(1000, 1100), data(1100, 1101), copy_data(b""), copy_done(), query(UNDO)],
        ),
        script("in, no rows", &[query(IN), copy_done(), query(IN), copy_data(b"\\.\n"), copy_done()]),
        script("in by protocol", &[by_protocol(IN), data(1000, 1100), copy_done(), sync(), query(UNDO)]),
        script(
            "in by protocol, Syncs and Flushes between",
            &[
                by_protocol(IN),
                sync(),
                data(1000, 1010),
                flush(),
                data(1010, 1020),
                sync(),
                copy_done(),
                sync(),
                query(UNDO),
            ],
        ),
        script("given up", &[query(IN), data(1000, 1010), copy_fail("changed my mind"), query(UNDO)]),
        script(
            "given up by protocol",
            &[by_protocol(IN), data(1000, 1010), copy_fail("changed my mind ä"), sync(), query(UNDO)],
        ),
        script(
            "given up by protocol, without Sync",
            &[by_protocol(IN), copy_fail("x"), parse("", "SELECT 1"), query("SELECT 2"), sync()],
        ),
        script(
            "an error in the middle",
            &[query(IN), data(1000, 1010), copy_data(b"x\ty\n"), data(1010, 1020), copy_done(), query(UNDO)],
        ),
        script(
            "an error in the middle by protocol",
            &[
                by_protocol(IN),
                data(1000, 1010),
                copy_data(b"1\n"),
                data(1010, 1020),
                copy_done(),
                sync(),
                query(UNDO),
            ],
        ),
        script(
            "an error at the end",
            &[
                query(IN),
                data(1000, 1010),
                copy_data(b"1\tdouble\n"),
                copy_done(),
                by_protocol(IN),
                copy_data(b"2\tdouble\n"),
                copy_done(),
                sync(),
                query(UNDO),
            ],
        ),
        script(
            "data after the end",
            &[
                query(IN),
                data(1000, 1001),
                copy_done(),
                data(1001, 1002),
                copy_done(),
                copy_fail("late"),
                query("SELECT 1"),
                query(UNDO),
            ],
        ),
        script(
            "data without COPY",
            &[data(1, 2), copy_done(), copy_fail("no"), query("SELECT 1"), copy_data(b""), sync()],
        ),
        script(
            "no COPY although asked",
            &[
                query("COPY scratch.t(no) FROM STDIN"),
                data(1, 2),
                copy_done(),
                query("SELECT 1"),
                by_protocol("COPY scratch.t(no) FROM STDIN"),
                data(1, 2),
                copy_done(),
                sync(),
            ],
        ),
        script(
            "several in one text",
            &[
                query("COPY scratch.t(a, b) FROM STDIN; SELECT 1; COPY scratch.t(a, b) FROM STDIN"),
                data(1000, 1003),
                copy_done(),
                data(1003, 1005),
                copy_done(),
                query(UNDO),
            ],
        ),
        script(
            "csv and binary",
            &[
                query("COPY scratch.t(a, b) FROM STDIN (FORMAT csv)"),
                copy_data(b"1000,\"a,\n"),
                copy_data(b"b\"\n1001,"),
                copy_data(b"c\n"),
                copy_done(),
                query("COPY scratch.t(a) FROM STDIN (FORMAT binary)"),
                copy_data(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"),
                copy_data(b"\0\x01\0\0\0\x04\0\0\x04\0"),
                copy_data(b"\xff\xff"),
                copy_done(),
                query("COPY scratch.t(a) FROM STDIN (FORMAT binary)"),
                copy_data(b"no"),
                copy_done(),
                query(UNDO),
            ],
        ),
        script(
            "in a transaction",
            &[
                query("BEGIN"),
                query(IN),
                data(1000, 1002),
                copy_done(),
                query("SAVEPOINT s"),
                query(IN),
                copy_data(b"1\n"),
                copy_done(),
                query("ROLLBACK TO s"),
                query("SELECT count(*) FROM scratch.t"),
                query("ROLLBACK"),
            ],
        ),
        script(
            "with a trigger that speaks",
            &[
                query("COPY scratch.log(words) FROM STDIN"),
                copy_data(b"a\nb\n"),
                copy_data(b"c\n"),
                copy_done(),
            ],
        ),
        script(
            "after other messages of a pipeline",
            &[
                parse("s", "SELECT 1"),
                bind("", "s", &[]),
                execute("", 0),
                by_protocol(IN),
                data(1000, 1002),
                copy_done(),
                bind("", "s", &[]),
                execute("", 0),
                sync(),
                query(UNDO),
            ],
        ),
    ];
    // Frames of every size: rows cut anywhere.
    let bytes = rows(1000, 40_000);
    for size in [1, 2, 3, 5, 13, 127, 4096, 65_530, 65_531, 65_532, 100_000, 1 << 20] {
        let bytes = if size < 100 { &bytes[..20_000] } else { &bytes[..] };
        let end = bytes.iter().rposition(|&b| b == b'\n').unwrap() + 1;
        let frames: Vec<u8> = bytes[..end].chunks(size).flat_map(copy_data).collect();
        all.push(script(
            &format!("frames of {size}"),
            &[
                query(IN),
                frames,
                copy_done(),
                query("SELECT count(*), sum(length(b)) FROM scratch.t"),
                query(UNDO),
            ],
        ));
    }
    all.push(Script {
        name: "Sync after an error".into(),
        steps: vec![
            Step::Send([by_protocol(IN), flush()].concat()),
            Step::Until(b'G', 1),
            Step::Send(copy_data(b"x\n")),
            Step::Until(b'E', 1),
            Step::Send(sync()),
            Step::Ready(1),
            Step::Send(query("BEGIN")),
            Step::Ready(1),
            Step::Send([by_protocol(IN), flush()].concat()),
            Step::Until(b'G', 1),
            Step::Send(copy_data(b"x\n")),
            Step::Until(b'E', 1),
            Step::Send(copy_data(b"late\n")),
            Step::Send(sync()),
            Step::Ready(1),
            Step::Send(query("ROLLBACK")),
            Step::Ready(1),
        ],
    });
    all.push(Script {
        name: "one after the other".into(),
        steps: vec![
            Step::Send(query(IN)),
            Step::Until(b'G', 1),
            Step::Send(data(1000, 1010)),
            Step::Send(copy_data(b"x\n")),
            Step::Until(b'E', 1),
            Step::Ready(1),
            Step::Send(data(1, 2)),
            Step::Send(copy_done()),
            Step::Send(query("SELECT 1")),
            Step::Ready(1),
            Step::Send([parse("", IN), bind("", "", &[]), execute("", 0), flush()].concat()),
            Step::Until(b'G', 1),
            Step::Send([data(1000, 1010), copy_done(), flush()].concat()),
            Step::Until(b'C', 1),
            Step::Send(sync()),
            Step::Ready(1),
            Step::Send(query(UNDO)),
            Step::Ready(1),
        ],
    });
    all
}

#[test]
fn copies_of_an_unrestricted_role() {
    same(&Stage::of("dba_gus"), &scripts());
}

#[test]
fn copies_of_a_restricted_role() {
    same(&Stage::of("nurse_amy"), &scripts());
}
