//! Cursors and prepared statements of SQL, and what shares their names: portals and statements of the protocol.
//! Over protected tables the server knows them by other names, which must not be noticed.

use crate::common::wire::{
    bind, close_portal, close_statement, copy_data, copy_done, copy_fail, describe_portal,
    describe_statement, execute, flush, parse, query, sync,
};
use crate::play::{Script, Step, same, script};
use crate::stage::Stage;

/// One message after the other, each waited for.
fn steps(name: &str, messages: &[Vec<u8>]) -> Script {
    let steps = messages.iter().flat_map(|m| [Step::Send(m.clone()), Step::Ready(1)]);
    Script { name: name.to_owned(), steps: steps.collect() }
}

/// Simple queries, and then the same texts by the protocol.
fn both(name: &str, texts: &[&str]) -> [Script; 2] {
    let simple: Vec<Vec<u8>> = texts.iter().map(|sql| query(sql)).collect();
    let extended: Vec<Vec<u8>> = texts
        .iter()
        .map(|sql| [parse("", sql), bind("", "", &[]), describe_portal(""), execute("", 0), sync()].concat())
        .collect();
    [steps(name, &simple), steps(&format!("by protocol: {name}"), &extended)]
}

const PATIENTS: &str =
    "SELECT patient_id, name FROM clinic.patient WHERE patient_id >= 880003 ORDER BY patient_id";
const ONE: &str =
    "SELECT patient_id, name FROM clinic.patient WHERE patient_id >= $1 ORDER BY patient_id LIMIT 3";

/// For every role: the database past the proxy holds what the user may see.
pub(crate) fn shared_names() -> Vec<Script> {
    let p = |sql: &str| query(sql);
    let mut all = vec![
        steps(
            "statements of both have one namespace",
            &[
                [parse("s", ONE), sync()].concat(),
                p("PREPARE s AS SELECT 1"),
                p("PREPARE s AS SELECT name FROM clinic.patient"),
                p("EXECUTE s(880003)"),
                p("EXECUTE s('880015')"),
                p("EXECUTE s(880000 + 3)"),
                [bind("", "s", &["880003"]), execute("", 0), sync()].concat(),
                p("DEALLOCATE s"),
                p("EXECUTE s(880003)"),
                [bind("", "s", &["880003"]), execute("", 0), sync()].concat(),
                p("DEALLOCATE s"),
                p(&format!("PREPARE s(int8) AS {ONE}")),
                [parse("s", "SELECT 1"), sync()].concat(),
                [parse("s", "SELEC 1"), sync()].concat(),
                [parse("s", ONE), sync()].concat(),
                [describe_statement("s"), sync()].concat(),
                [bind("", "s", &["880003"]), describe_portal(""), execute("", 0), sync()].concat(),
                [bind("x", "s", &["880015"]), execute("x", 1), execute("x", 0), sync()].concat(),
                [bind("", "s", &[]), sync()].concat(),
                [bind("", "s", &["x"]), sync()].concat(),
                [close_statement("s"), sync()].concat(),
                [bind("", "s", &["880003"]), sync()].concat(),
                p("EXECUTE s(880003)"),
                [close_statement("s"), sync()].concat(),
                p(&format!("PREPARE s AS {PATIENTS}")),
                p("DEALLOCATE ALL"),
                [describe_statement("s"), sync()].concat(),
            ],
        ),
        steps(
            "also where nothing is protected",
            &[
                p("PREPARE s(int) AS SELECT $1 + 1"),
                [describe_statement("s"), sync()].concat(),
                [bind("", "s", &["41"]), execute("", 0), sync()].concat(),
                p("PREPARE s AS SELECT name FROM clinic.patient"),
                p("PREPARE s AS SELECT 3"),
                [parse("s", PATIENTS), sync()].concat(),
                [close_statement("s"), sync()].concat(),
                [parse("s", PATIENTS), sync()].concat(),
                p("EXECUTE s; DEALLOCATE s"),
                p("DEALLOCATE s; PREPARE s AS SELECT 4; EXECUTE s"),
                p("PREPARE s AS SELECT 4; SELECT 1"),
            ],
        ),
        steps(
            "in a failed transaction and after it",
            &[
                [parse("s", ONE), sync()].concat(),
                p("BEGIN"),
                p("SELECT 1/0"),
                p("DEALLOCATE s"),
                p("EXECUTE s(880003)"),
                p("PREPARE s AS SELECT 1"),
                p("ROLLBACK"),
                p("EXECUTE s(880003)"),
                query("SELECT 1/0; DEALLOCATE s"),
                query("EXECUTE s(880003)"),
            ],
        ),
        steps(
            "cursors and portals have one namespace",
            &[
                [parse("s", PATIENTS), parse("t", "SELECT name FROM clinic.ward ORDER BY 1"), sync()]
                    .concat(),
                p("BEGIN"),
                [bind("c", "s", &[]), execute("c", 2), sync()].concat(),
                p("FETCH 2 FROM c"),
                p("MOVE 2 IN c"),
                p("FETCH c"),
                [execute("c", 1), describe_portal("c"), sync()].concat(),
                p("SAVEPOINT a"),
                p("DECLARE c CURSOR FOR SELECT 1"),
                p("ROLLBACK TO a"),
                p(&format!("DECLARE c CURSOR FOR {PATIENTS}")),
                p("ROLLBACK TO a"),
                [bind("c", "s", &[]), sync()].concat(),
                p("ROLLBACK TO a"),
                [bind("c", "t", &[]), sync()].concat(),
                p("ROLLBACK TO a"),
                p("FETCH BACKWARD 1 FROM c"),
                p("ROLLBACK TO a"),
                p("CLOSE c"),
                p("FETCH c"),
                p("ROLLBACK TO a"),
                [execute("c", 1), sync()].concat(),
                p("ROLLBACK TO a"),
                [bind("c", "t", &[]), execute("c", 1), sync()].concat(),
                p("FETCH 2 FROM c"),
                [bind("c", "s", &[]), sync()].concat(),
                p("ROLLBACK TO a"),
                // The portal went with the savepoint: the name is free.
                [bind("c", "s", &[]), execute("c", 1), sync()].concat(),
                p("FETCH ALL FROM c"),
                [close_portal("c"), sync()].concat(),
                p(&format!("DECLARE c CURSOR FOR {PATIENTS}")),
                [describe_portal("c"), execute("c", 2), sync()].concat(),
                p("FETCH 1 FROM c"),
                [bind("c", "s", &[]), sync()].concat(),
                p("ROLLBACK TO a"),
                p(&format!("DECLARE c CURSOR FOR {PATIENTS}")),
                [close_portal("c"), sync()].concat(),
                p("FETCH c"),
                p("COMMIT"),
            ],
        ),
        steps(
            "portals in pipelines",
            &[
                [
                    parse("s", PATIENTS),
                    bind("p", "s", &[]),
                    execute("p", 1),
                    sync(),
                    bind("p", "s", &[]),
                    execute("p", 1),
                    parse("f", "FETCH 2 FROM p"),
                    bind("", "f", &[]),
                    execute("", 0),
                    execute("p", 1),
                    bind("p", "s", &[]),
                    execute("p", 1),
                ]
                .concat(),
                [sync(), bind("p", "s", &[]), execute("p", 1), close_portal("p"), execute("p", 1)].concat(),
                sync(),
            ],
        ),
    ];
    all.extend(both(
        "errors speak of the client's names",
        &[
            "DEALLOCATE nobody",
            "CLOSE nobody",
            "PREPARE p(int8) AS SELECT name FROM clinic.patient WHERE patient_id = $1",
            "PREPARE p AS SELECT 1",
            "BEGIN",
            "DECLARE c NO SCROLL CURSOR FOR SELECT name FROM clinic.patient ORDER BY patient_id",
            "FETCH 3 FROM c",
            "FETCH BACKWARD 1 FROM c",
            "ROLLBACK",
            "DISCARD ALL",
        ],
    ));
    all
}

/// A Parse of the unnamed statement that fails has dropped the one before; one that was skipped has not.
pub(crate) fn unnamed() -> Vec<Script> {
    let run = || [bind("", "", &[]), execute("", 0), sync()].concat();
    let mut all = Vec::new();
    for good in [PATIENTS, "SELECT 1"] {
        for bad in
            ["SELEC 1", "SELECT no_such FROM clinic.patient", "SELECT no_such", "SELECT * FROM no_such"]
        {
            let first = [parse("", good), sync()].concat();
            let fails = [parse("", bad), sync()].concat();
            let skipped = [parse("x", "SELEC 1"), parse("", bad), sync()].concat();
            all.push(steps(&format!("failed: {good}: {bad}"), &[first.clone(), fails, run(), run()]));
            all.push(steps(&format!("skipped: {good}: {bad}"), &[first, skipped, run(), run()]));
        }
    }
    all
}

/// What stands under no name when a transaction fails.
fn unnamed_portals() -> Vec<Script> {
    let ask = || [describe_portal(""), sync()].concat();
    let run = || [execute("", 0), sync()].concat();
    let mut all = Vec::new();
    for first in ["", "SELECT 1", PATIENTS, "ROLLBACK"] {
        for bad in [
            "SELECT 1/0",
            "SELEC 1",
            "SELECT no_such",
            "SELECT 1; SELECT name, 1 / (patient_id - patient_id) FROM clinic.patient",
        ] {
            let begun = [parse("", first), bind("", "", &[]), sync()].concat();
            let messages = [query("BEGIN"), begun, query(bad), ask(), run(), query("ROLLBACK"), ask(), run()];
            all.push(steps(&format!("unnamed portal: {first}: {bad}"), &messages));
            let messages = [query("BEGIN"), query(bad), ask(), run(), query("ROLLBACK")];
            all.push(steps(&format!("no unnamed portal: {bad}"), &messages));
        }
    }
    all
}

#[test]
fn the_unnamed_statement_and_portal() {
    for user in ["nurse_amy", "dba_gus"] {
        same(&Stage::of(user), &unnamed());
        same(&Stage::of(user), &unnamed_portals());
    }
}

#[test]
fn names_of_a_restricted_role() {
    same(&Stage::of("nurse_amy"), &shared_names());
}

/// For roles that see everyone.
pub(crate) fn open_names() -> Vec<Script> {
    let mut all = vec![steps(
        "several in one message",
        &[
            query("PREPARE s AS SELECT 3; EXECUTE s; PREPARE s AS SELECT 4; EXECUTE s"),
            query("EXECUTE s; DEALLOCATE s; PREPARE s AS SELECT 4; EXECUTE s"),
            [parse("t", ONE), sync()].concat(),
            query("EXECUTE t"),
            query("EXECUTE t(1, 2)"),
            query("EXECUTE t(880003); DEALLOCATE t; EXECUTE t(880003)"),
        ],
    )];
    all.extend(both(
        "errors of unknown names and wrong arguments",
        &[
            "EXECUTE nobody",
            "EXPLAIN EXECUTE nobody",
            "BEGIN",
            "FETCH nobody",
            "ROLLBACK",
            "PREPARE p(int8) AS SELECT name FROM clinic.patient WHERE patient_id = $1",
            "EXECUTE p(1, 2)",
            "EXECUTE p",
        ],
    ));
    all
}

const PROBLEM: &str = "SELECT problem_id, status FROM clinic.problem WHERE patient_id = 880003";

/// `WHERE CURRENT OF`, `EXPLAIN EXECUTE` and `CREATE TABLE AS EXECUTE`.
pub(crate) fn called_by_name() -> Vec<Script> {
    let mut all = Vec::new();
    for lock in ["", " FOR UPDATE"] {
        all.extend(both(
            "rows that a cursor stands on",
            &[
                "BEGIN",
                &format!("DECLARE \"C c\" CURSOR FOR {PROBLEM}{lock}"),
                "SAVEPOINT a",
                "UPDATE clinic.problem SET status = 'resolved' WHERE CURRENT OF \"C c\"",
                "ROLLBACK TO a",
                "FETCH \"C c\"",
                "UPDATE clinic.problem SET status = 'resolved' WHERE CURRENT OF \"C c\"",
                "UPDATE clinic.problem SET status = 'x' WHERE CURRENT OF \"C c\" RETURNING problem_id, status",
                "SAVEPOINT a",
                "UPDATE clinic.note SET body = 'x' WHERE CURRENT OF \"C c\"",
                "ROLLBACK TO a",
                "DELETE FROM clinic.problem WHERE CURRENT OF nobody",
                "ROLLBACK TO a",
                "EXPLAIN (COSTS OFF) DELETE FROM clinic.problem WHERE CURRENT OF \"C c\"",
                "DELETE FROM clinic.problem WHERE CURRENT OF \"C c\"",
                "DELETE FROM clinic.problem WHERE CURRENT OF \"C c\"",
                "FETCH ALL FROM \"C c\"",
                &format!("{PROBLEM} ORDER BY 1"),
                "DELETE FROM clinic.problem WHERE CURRENT OF \"C c\"",
                "ROLLBACK",
                "BEGIN",
                &format!("DECLARE s SCROLL CURSOR FOR {PROBLEM} ORDER BY status, problem_id{lock}"),
                "FETCH 2 FROM s",
                "DELETE FROM clinic.problem WHERE CURRENT OF s",
                "ROLLBACK",
                "BEGIN",
                &format!("DECLARE n CURSOR FOR SELECT b FROM scratch.t WHERE a = 7{lock}"),
                "FETCH n",
                "UPDATE scratch.t SET b = 'seven' WHERE CURRENT OF n RETURNING *",
                "ROLLBACK",
                "BEGIN",
                &format!("DECLARE g CURSOR FOR SELECT count(*) FROM clinic.problem{lock}"),
                "FETCH g",
                "DELETE FROM clinic.problem WHERE CURRENT OF g",
                "ROLLBACK",
            ],
        ));
    }
    all.push(steps(
        "rows that a portal stands on",
        &[
            query("BEGIN"),
            [parse("s", PROBLEM), bind("p", "s", &[]), execute("p", 1), sync()].concat(),
            query("SELECT 1"),
            query("DELETE FROM clinic.problem WHERE CURRENT OF p RETURNING status"),
            query("ROLLBACK"),
        ],
    ));
    let explain =
        |p: &str| format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) EXECUTE {p}");
    let around = |name: &str| -> Vec<String> {
        vec![
            explain(&format!("{name}(880003)")),
            explain(&format!("{name}('880015')")),
            format!("EXPLAIN EXECUTE {name}(880003)"),
            format!("EXPLAIN EXECUTE {name}"),
            format!("EXPLAIN EXECUTE {name}(1, 2)"),
            format!("EXPLAIN (FORMAT json) EXECUTE {name}(880000 + 3)"),
            format!("CREATE TEMP TABLE made AS EXECUTE {name}(880003)"),
            "SELECT * FROM made ORDER BY 1".into(),
            format!("CREATE TEMP TABLE made AS EXECUTE {name}(880003)"),
            "DROP TABLE made".into(),
            format!("CREATE TEMP TABLE made (x, y) AS EXECUTE {name}(880003) WITH NO DATA"),
            format!("CREATE TEMP TABLE IF NOT EXISTS made AS EXECUTE {name}(880003)"),
            "DROP TABLE made".into(),
            format!("EXPLAIN (COSTS OFF) CREATE TEMP TABLE made AS EXECUTE {name}(880003)"),
            format!("SELECT 1; EXPLAIN (COSTS OFF) EXECUTE {name}(880003); SELECT 2"),
            format!("EXECUTE {name}(880003)"),
        ]
    };
    // What is explained is a copy, whose executions count for themselves.
    let custom = "SET plan_cache_mode = force_custom_plan".to_owned();
    let texts =
        |before: &str| -> Vec<String> { [vec![custom.clone(), before.to_owned()], around("p")].concat() };
    for before in [
        format!("PREPARE p(int8) AS {ONE}"),
        "PREPARE p AS SELECT count(*) FROM clinic.note WHERE patient_id = $1".into(),
        "PREPARE p(int) AS SELECT b, a FROM scratch.t WHERE a < $1 ORDER BY 2 LIMIT 3".into(),
    ] {
        let texts = texts(&before);
        all.extend(both(&before, &texts.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    let mut messages = vec![query(&custom), [parse("p", ONE), sync()].concat()];
    messages.extend(around("p").iter().map(|sql| query(sql)));
    all.push(steps("a statement of the protocol", &messages));
    all.extend(both(
        "a change of rows that was prepared",
        &[
            "BEGIN",
            "PREPARE u(int8) AS UPDATE clinic.problem SET status = 'x' WHERE patient_id = $1",
            "EXPLAIN (COSTS OFF) EXECUTE u(880003)",
            &explain("u(880003)"),
            &format!("{PROBLEM} ORDER BY 1"),
            "ROLLBACK",
            "EXPLAIN (COSTS OFF) EXECUTE u(880003)",
            "DEALLOCATE u",
            "EXPLAIN (COSTS OFF) EXECUTE u(880003)",
        ],
    ));
    all
}

#[test]
fn objects_called_by_name_of_an_unrestricted_role() {
    same(&Stage::of("dba_gus"), &called_by_name());
}

/// A simple query of several statements is a transaction block, begun or not.
pub(crate) fn blocks() -> Vec<Script> {
    let declare = format!("DECLARE c CURSOR FOR {PATIENTS}");
    let texts = [
        format!("{declare}; FETCH 3 FROM c"),
        format!("{declare}; MOVE 2 FROM c; FETCH 3 FROM c; CLOSE c; {declare}; FETCH c"),
        format!("SELECT 1; {declare}; FETCH 2 FROM c; SELECT 2"),
        format!("BEGIN; {declare}; FETCH 2 FROM c; COMMIT; SELECT 1"),
        format!("{declare}; UPDATE scratch.t SET a = 1 WHERE a = 2"),
        format!("{declare}; FETCH 1 FROM c; FETCH ABSOLUTE 3 FROM c"),
        format!("{declare}; SELECT 1/0; FETCH 2 FROM c"),
        declare.clone(),
        "FETCH c; SELECT name FROM clinic.patient WHERE patient_id = 880003".into(),
        "LOCK TABLE clinic.ward IN ACCESS SHARE MODE; SELECT name FROM clinic.patient WHERE patient_id = 880003".into(),
        "SET LOCAL statement_timeout = 90000; SELECT name FROM clinic.patient WHERE patient_id = 880003".into(),
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT name FROM clinic.patient WHERE patient_id = 880003; SHOW transaction_isolation".into(),
        "SELECT name FROM clinic.patient WHERE patient_id = 880003; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into(),
        "SELECT name FROM clinic.patient WHERE patient_id = 880003; SELECT 1/0".into(),
        format!("DECLARE c CURSOR WITH HOLD FOR {PATIENTS}; FETCH 1 FROM c"),
        "FETCH 2 FROM c".into(),
        "CLOSE c".into(),
    ];
    vec![steps("blocks of one message", &texts.map(|sql| query(&sql)))]
}

#[test]
fn blocks_of_one_message() {
    same(&Stage::of("nurse_amy"), &blocks());
    let mut all = blocks();
    // What moves names, then an error that comes while a name is asked for.
    all.push(script(
        "an error meanwhile",
        &[
            [parse("s", "DISCARD PLANS"), bind("q", "s", &[]), execute("q", 0)].concat(),
            [parse("y", "COPY scratch.t(a) FROM STDIN"), bind("y", "y", &[]), execute("y", 0)].concat(),
            [flush(), copy_data(b""), copy_fail("no"), parse("", "PREPARE s AS SELECT 7")].concat(),
            [bind("", "", &[]), describe_portal(""), execute("", 2), sync()].concat(),
        ],
    ));
    all.push(steps(
        "what may stand in no block",
        &[
            query("VACUUM clinic.problem; SELECT name FROM clinic.patient WHERE patient_id = 880003"),
            query("DISCARD ALL; FETCH c; COMMIT"),
            query("VACUUM clinic.problem; MOVE c; COMMIT"),
            query("SELECT 1; DISCARD ALL; DECLARE c CURSOR WITH HOLD FOR SELECT 1; FETCH c; COMMIT"),
            query("BEGIN; DISCARD ALL; FETCH c; COMMIT"),
            query("ROLLBACK"),
        ],
    ));
    same(&Stage::of("dba_gus"), &all);
}

#[test]
fn names_of_an_unrestricted_role() {
    let mut scripts = shared_names();
    scripts.extend(open_names());
    same(&Stage::of("dba_gus"), &scripts);
}

/// COPY from the client among other statements of one message.
fn copies(table: &str, rows: [&[u8]; 2]) -> Vec<Script> {
    let one = "SELECT name FROM clinic.patient WHERE patient_id = 880003";
    let copy = format!("COPY {table} FROM STDIN");
    let [good, bad] = rows;
    let both = format!("{one}; {copy}; {one}");
    let sent = |sql: &str, messages: &[Vec<u8>]| [query(sql), messages.concat()].concat();
    vec![
        script(
            "first, last, between",
            &[sent(&both, &[copy_data(good), copy_done()]), query("BEGIN"), query("ROLLBACK")],
        ),
        script("nothing behind it", &[sent(&format!("{one}; {copy}"), &[copy_data(good), copy_done()])]),
        script("nothing before it", &[sent(&format!("{copy}; {one}"), &[copy_data(good), copy_done()])]),
        script(
            "twice",
            &[
                sent(
                    &format!("BEGIN; {copy}; {one}; SAVEPOINT a; {copy}; ROLLBACK; {one}"),
                    &[copy_data(good), copy_done(), copy_data(good), copy_done()],
                ),
                query("SELECT 1"),
            ],
        ),
        script("the client fails it", &[sent(&both, &[copy_data(good), copy_fail("no")]), query("SELECT 1")]),
        script("the server fails it", &[sent(&both, &[copy_data(bad), copy_done()]), query("SELECT 1")]),
        // The client learns of it before it goes on.
        Script {
            name: "and the client sees it".into(),
            steps: vec![
                Step::Send(sent(&both, &[copy_data(bad)])),
                Step::Ready(1),
                Step::Send([copy_data(good), copy_done(), query(one)].concat()),
                Step::Ready(1),
            ],
        },
        script(
            "it does not begin",
            &[
                sent(
                    &format!("{one}; COPY {table} (nothing) FROM STDIN; {one}"),
                    &[copy_data(good), copy_done()],
                ),
                query(one),
            ],
        ),
        script("it is not reached", &[sent(&format!("{one}; SELECT 1/0; {copy}; {one}"), &[]), query(one)]),
        script(
            "a failing statement behind it",
            &[sent(&format!("{copy}; SELECT 1/0; {one}"), &[copy_data(good), copy_done()]), query(one)],
        ),
        Script {
            name: "step by step".into(),
            steps: vec![
                Step::Send(query(&both)),
                Step::Until(b'G', 1),
                Step::Send(copy_data(good)),
                Step::Send([sync(), flush()].concat()),
                Step::Send(copy_done()),
                Step::Ready(1),
                Step::Send(query(&format!("DELETE FROM {table} WHERE false"))),
                Step::Ready(1),
            ],
        },
    ]
}

#[test]
fn copies_among_other_statements() {
    let bad = b"not a number\tx\n";
    same(&Stage::of("nurse_amy"), &copies("scratch.t (a)", [b"900001\n", bad]));
    let gus = Stage::of("dba_gus");
    same(&gus, &copies("scratch.t (a)", [b"900002\n", bad]));
    let row = b"990001\t880003\tX\tx\t\\N\tactive\n";
    same(&gus, &copies("clinic.problem", [row, bad]));
    let behind = b"990002\t880003\tX\tx\t\\N\tactive\n\\.\nwhatever comes behind the end\n";
    let end = [query("COPY clinic.problem FROM STDIN"), copy_data(behind), copy_done()].concat();
    same(&gus, &[script("behind the end of the data", &[end])]);
}
