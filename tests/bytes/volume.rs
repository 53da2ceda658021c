//! Much data: values of ten megabytes, 200 MB in one reply and in one COPY, in bounded memory of the proxy; and
//! portals bound behind a Sync that is not answered yet.

use std::time::Duration;

use crate::common::wire::{bind, copy_data, copy_done, describe_portal, execute, flush, parse, query, sync};
use crate::play::{Script, Step, same, script};
use crate::stage::Stage;

/// Resident memory that the proxy may take more than before, MiB.
const MORE: u64 = 96;

/// The largest resident memory of the process so far, MiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

pub(crate) fn long_values() -> Vec<Script> {
    let sql = "SELECT repeat('x', n), n FROM unnest(ARRAY[1, 65000, 65527, 65528, 65529, 70000, 200000, 10000000, 3]) n";
    let copy: Vec<u8> = [1, 65_530, 70_000, 200_000, 10_000_000, 5]
        .iter()
        .enumerate()
        .flat_map(|(at, n)| copy_data(format!("{}\t{}\n", 1000 + at, "y".repeat(*n)).as_bytes()))
        .collect();
    vec![
        script("simple", &[query(sql), query("SELECT 1")]),
        script(
            "by protocol",
            &[
                parse("", sql),
                bind("p", "", &[]),
                describe_portal("p"),
                execute("p", 3),
                execute("p", 0),
                sync(),
            ],
        ),
        script("COPY out", &[query(&format!("COPY ({sql}) TO STDOUT")), query("SELECT 2")]),
        script(
            "COPY in",
            &[
                query("COPY scratch.t(a, b) FROM STDIN"),
                copy,
                copy_done(),
                query("DELETE FROM scratch.t WHERE a >= 1000 RETURNING a, length(b)"),
            ],
        ),
        script(
            "long values in the text",
            &[
                query(&format!("SELECT length('{}'), 1", "data ".repeat(1_000_000))),
                query(&format!("SELECT length('\\x{}'::bytea)", "0123cafe".repeat(700_000))),
                parse("", &format!("SELECT 2, length('{}')", "z".repeat(6_000_000))),
                bind("", "", &[]),
                execute("", 0),
                sync(),
            ],
        ),
        script(
            "a long parameter",
            &[
                parse("", "SELECT $1::text, length($1)"),
                bind("", "", &["z".repeat(2_000_000).as_str()]),
                execute("", 0),
                sync(),
            ],
        ),
    ]
}

#[test]
fn long_values_of_both_roles() {
    for user in ["dba_gus", "nurse_amy"] {
        same(&Stage::of(user), &long_values());
    }
}

#[test]
fn much_is_streamed_in_bounded_memory() {
    let stage = Stage::of("dba_gus");
    let before = peak(stage.proxy.pid().unwrap());
    let data: Vec<u8> = copy_data(format!("1\t{}\n", "y".repeat(10_000)).as_bytes());
    same(
        &stage,
        &[
            Script {
                name: "rows".into(),
                steps: vec![
                    Step::Send(query("SELECT repeat('x', 10000) FROM generate_series(1, 20000)")),
                    Step::Ready(1),
                ],
            },
            Script {
                name: "COPY out".into(),
                steps: vec![
                    Step::Send(query(
                        "COPY (SELECT repeat('x', 10000) FROM generate_series(1, 5000)) TO STDOUT",
                    )),
                    Step::Ready(1),
                ],
            },
            script(
                "COPY in",
                &[
                    query("CREATE TEMP TABLE much (a int, b text)"),
                    query("COPY much FROM STDIN"),
                    data.repeat(5000),
                    copy_done(),
                    query("SELECT count(*) FROM much"),
                ],
            ),
        ],
    );
    let after = peak(stage.proxy.pid().unwrap());
    println!("peak memory of the proxy: {before} MiB before, {after} MiB after");
    assert!(after < before + MORE, "{after} MiB, {before} MiB before");
}

#[test]
fn a_portal_bound_behind_a_sync_outlives_its_answer() {
    // The answer to the Sync comes between the Bind and the Execute.
    let sent = [
        parse("s", "SELECT a FROM scratch.t ORDER BY a LIMIT 9"),
        sync(),
        bind("", "s", &[]),
        execute("", 1),
        sync(),
        bind("p", "s", &[]),
    ];
    let steps = vec![
        Step::Send([&sent.concat()[..], &flush()].concat()),
        Step::Until(b'Z', 2),
        Step::Pause(Duration::from_millis(50)),
        Step::Send([execute("p", 2), execute("p", 0), sync()].concat()),
        Step::Marked,
    ];
    // One transaction, although the names are asked about in its middle.
    let moving = [
        sync(),
        parse("i", "INSERT INTO scratch.t(a) VALUES ($1)"),
        bind("", "i", &["8001"]),
        execute("", 0),
        parse("m", "SET search_path = clinic"),
        bind("", "m", &[]),
        execute("", 0),
        parse("", "SELECT 1/0"),
        bind("", "", &[]),
        execute("", 0),
        sync(),
        query("SELECT count(*) FROM scratch.t WHERE a = 8001; SHOW search_path"),
    ];
    for user in ["dba_gus", "nurse_amy"] {
        let scripts =
            [Script { name: "a portal".into(), steps: steps.clone() }, script("a transaction", &moving)];
        same(&Stage::of(user), &scripts);
    }
}
