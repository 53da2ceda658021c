//! P2 and P3 under confusion of names: prepared statements of SQL and of the protocol share the server's names,
//! cursors share theirs with portals, and what an unqualified name means can change between Parse and Execute.
//! Whatever a client does with names, no unguarded text reads a protected table, and nothing is read unrecorded.

use crate::common::{Database, Postgres, Proxy};
use crate::cursors::assert_not_ours;
use crate::support::{has_merge, hide, replaced, told};
use crate::wire::{Reply, Wire, bind, execute, frame, parse, query, sync};

/// A reference table with the name of a protected one: what `note` means depends on the search path.
const TWIN: &str =
    "CREATE SCHEMA scratch; CREATE TABLE scratch.note (note_id int, patient_id int8, body text);
    INSERT INTO scratch.note SELECT g, 1, 'harmless' FROM generate_series(1, 3) g;
    GRANT USAGE ON SCHEMA scratch TO PUBLIC; GRANT SELECT ON scratch.note TO PUBLIC";

fn with_twin<'a>(database: &Database<'a>) -> Proxy<'a> {
    database.server().psql(database.name(), TWIN);
    Proxy::start_with(database, |config| {
        replaced(hide(config), "\"clinic.drug\"]", "\"clinic.drug\", \"scratch.note\"]")
    })
}

const COUNT: &str = "SELECT count(*) FROM note";

fn together(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

/// Steps of a client; each is one write, and everything that is answered is looked at.
fn attacks() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let run = |statement: &str| together(&[bind("", statement, &[]), execute("", 0), sync()]);
    let free = query("SET search_path TO scratch");
    let bound = query("SET search_path TO clinic");
    vec![
        (
            "a PREPARE that fails is not what stands under the name: the protocol's",
            vec![
                free.clone(),
                together(&[parse("s", COUNT), sync()]),
                query("PREPARE s AS SELECT 1"),
                bound.clone(),
                query("EXECUTE s"),
                together(&[parse("e", "EXECUTE s"), sync()]),
                run("e"),
                query("SELECT 0; EXECUTE s"),
                run("s"),
            ],
        ),
        (
            "a PREPARE that fails is not what stands under the name: SQL's",
            vec![
                free.clone(),
                query(&format!("PREPARE s AS {COUNT}")),
                bound.clone(),
                query("PREPARE s AS SELECT 1"),
                query("EXECUTE s"),
                run("s"),
            ],
        ),
        (
            "nor in one message",
            vec![
                free.clone(),
                query(&format!("PREPARE s AS {COUNT}; PREPARE s AS SELECT 1")),
                query("PREPARE s AS SELECT 1"),
                bound.clone(),
                query("EXECUTE s"),
                run("s"),
            ],
        ),
        (
            "nor in a pipeline",
            vec![
                free.clone(),
                together(&[
                    parse("a", &format!("PREPARE s AS {COUNT}")),
                    parse("b", "PREPARE s AS SELECT 1"),
                    bind("a", "a", &[]),
                    bind("b", "b", &[]),
                    execute("a", 0),
                    execute("b", 0),
                    sync(),
                ]),
                bound.clone(),
                query("EXECUTE s"),
                run("s"),
            ],
        ),
        (
            "nor between the protocol and SQL in a pipeline",
            vec![
                free.clone(),
                together(&[
                    parse("b", "PREPARE s AS SELECT 1"),
                    bind("b", "b", &[]),
                    parse("s", COUNT),
                    execute("b", 0),
                    sync(),
                ]),
                bound.clone(),
                query("EXECUTE s"),
                run("s"),
            ],
        ),
        (
            "EXECUTE is bound before names move and executed after",
            vec![
                free.clone(),
                query(&format!("PREPARE s AS {COUNT}")),
                query("BEGIN"),
                together(&[parse("e", "EXECUTE s"), bind("x", "e", &[]), sync()]),
                bound.clone(),
                together(&[execute("x", 0), sync()]),
                query("ROLLBACK"),
                query("BEGIN"),
                free.clone(),
                together(&[
                    parse("e2", "EXECUTE s"),
                    parse("m", "SET search_path TO clinic"),
                    bind("x", "e2", &[]),
                    bind("m", "m", &[]),
                    execute("m", 0),
                    execute("x", 0),
                    sync(),
                ]),
                query("ROLLBACK"),
            ],
        ),
        (
            "PREPARE is bound before names move and executed after",
            vec![
                free.clone(),
                query("BEGIN"),
                together(&[parse("e", &format!("PREPARE s AS {COUNT}")), bind("x", "e", &[]), sync()]),
                bound.clone(),
                together(&[execute("x", 0), sync()]),
                query("EXECUTE s"),
                run("s"),
                query("COMMIT"),
                query("EXECUTE s"),
                run("s"),
            ],
        ),
        (
            "DECLARE, COPY and CREATE TABLE are bound before names move and executed after",
            vec![
                query("BEGIN"),
                free.clone(),
                together(&[
                    parse("d", &format!("DECLARE c CURSOR FOR {COUNT}")),
                    bind("d", "d", &[]),
                    parse("y", "COPY note TO STDOUT"),
                    bind("y", "y", &[]),
                    parse("t", &format!("CREATE TEMP TABLE told AS {COUNT}")),
                    bind("t", "t", &[]),
                    sync(),
                ]),
                bound.clone(),
                query("SAVEPOINT a"),
                together(&[execute("d", 0), sync()]),
                query("FETCH c"),
                query("ROLLBACK TO a"),
                together(&[execute("y", 0), sync()]),
                query("ROLLBACK TO a"),
                together(&[execute("t", 0), sync()]),
                query("SELECT * FROM told"),
                query("ROLLBACK"),
            ],
        ),
        (
            "a name of the protocol's is closed and taken again",
            vec![
                free.clone(),
                together(&[parse("s", COUNT), sync()]),
                query("DEALLOCATE s"),
                query(&format!("PREPARE s AS {COUNT}")),
                together(&[frame(b'C', b"Ss\0"), sync()]),
                together(&[parse("s", "SELECT 1"), sync()]),
                query("PREPARE s AS SELECT 2"),
                bound.clone(),
                run("s"),
                query("EXECUTE s"),
            ],
        ),
        (
            "what was not forgotten, though it was asked for",
            vec![
                free.clone(),
                together(&[parse("s", COUNT), sync()]),
                query(&format!("PREPARE t AS {COUNT}")),
                query("BEGIN"),
                query("DISCARD ALL"),
                query("ROLLBACK"),
                bound.clone(),
                query("PREPARE s AS SELECT 1"),
                query("EXECUTE s"),
                query("PREPARE t AS SELECT 1"),
                query("EXECUTE t"),
                run("t"),
            ],
        ),
        (
            "nor in a message that failed before",
            vec![
                free.clone(),
                together(&[parse("s", COUNT), sync()]),
                query(&format!("PREPARE t AS {COUNT}")),
                query(&format!("PREPARE u AS {COUNT}")),
                query(&format!("PREPARE v AS {COUNT}")),
                query("SELECT 1/0; DEALLOCATE u; DEALLOCATE ALL"),
                query("PREPARE x AS SELECT 1"),
                query("DEALLOCATE x"),
                query("SELECT 1/0; DEALLOCATE v"),
                query("DEALLOCATE ALL; PREPARE w AS SELECT count(*) FROM note; SELECT 1/0; DEALLOCATE ALL"),
                bound.clone(),
                query("PREPARE s AS SELECT 1"),
                query("EXECUTE s"),
                query("PREPARE t AS SELECT 1"),
                query("EXECUTE t"),
                query("PREPARE u AS SELECT 1; EXECUTE u"),
                query("PREPARE v AS SELECT 1"),
                query("EXECUTE v"),
                query("PREPARE w AS SELECT 1"),
                query("EXECUTE w"),
                together(&[parse("s", "SELECT 1"), sync()]),
                query("EXECUTE s"),
            ],
        ),
        (
            "nor when something else was forgotten since",
            vec![
                free.clone(),
                query(&format!("PREPARE u AS {COUNT}")),
                query("SELECT 1/0; DEALLOCATE u; DEALLOCATE ALL"),
                query("PREPARE x AS SELECT 1"),
                query("DEALLOCATE x"),
                bound.clone(),
                query("PREPARE u AS SELECT 1"),
                query("EXECUTE u"),
            ],
        ),
        (
            "settings that a prepared statement makes",
            vec![
                free.clone(),
                query(&format!("PREPARE s AS {COUNT}")),
                query("PREPARE m AS SELECT set_config('search_path', 'clinic', false)"),
                query("EXECUTE m; EXECUTE s"),
                query("EXECUTE s"),
                run("s"),
            ],
        ),
        (
            "EXPLAIN and CREATE TABLE of what was prepared",
            vec![
                bound.clone(),
                query(&format!("PREPARE s AS {COUNT}")),
                together(&[parse("q", COUNT), sync()]),
                query("EXPLAIN ANALYZE EXECUTE s"),
                query("EXPLAIN ANALYZE EXECUTE q"),
                query("EXPLAIN EXECUTE s"),
                query("CREATE TEMP TABLE told AS EXECUTE s"),
                query("SELECT * FROM told"),
                free.clone(),
                query(&format!("PREPARE f AS {COUNT}")),
                bound.clone(),
                query("EXPLAIN ANALYZE EXECUTE f"),
                query("CREATE TEMP TABLE told AS EXECUTE f"),
                query("SELECT * FROM told"),
                free.clone(),
                query("BEGIN"),
                together(&[parse("e", "EXPLAIN ANALYZE EXECUTE f"), bind("x", "e", &[]), sync()]),
                bound,
                together(&[execute("x", 0), sync()]),
                query("ROLLBACK"),
            ],
        ),
    ]
}

/// Plays a step and reads its answers.
fn played(wire: &mut Wire, bytes: &[u8]) -> Vec<Reply> {
    let (mut at, mut asked) = (0, 0);
    while let Some(head) = bytes.get(at..at + 5) {
        asked += usize::from(matches!(head[0], b'Q' | b'S'));
        at += 1 + u32::from_be_bytes(head[1..5].try_into().unwrap()) as usize;
    }
    wire.send(bytes);
    (0..asked).map_while(|_| wire.try_reply()).collect()
}

#[test]
fn no_confusion_of_names_reads_a_protected_table_unguarded() {
    let database = Postgres::shared().demo();
    let proxy = with_twin(&database);
    let all = database.server().psql(database.name(), "SELECT count(*) FROM clinic.note").trim().to_owned();
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let hers = amy.ok("SELECT count(*) FROM clinic.note").value();
    assert_ne!(all, hers);
    let mut leaked = Vec::new();
    for (name, steps) in attacks() {
        let mut amy = Wire::through(&proxy, &database, "nurse_amy");
        for (n, step) in steps.iter().enumerate() {
            let mut cells = Vec::new();
            let replies = played(&mut amy, step);
            let copied = replies.iter().flat_map(|r| &r.messages).filter(|m| m.tag == b'd').count();
            cells.extend(replies.iter().flat_map(Reply::rows).flatten().flatten());
            // The cost estimates and actual rows of EXPLAIN are numbers of the whole table, too.
            let tells = |c: &String| *c == all || c.contains("Scan") || c.contains(&format!("rows={all}"));
            if copied > 3 || cells.iter().any(tells) {
                leaked.push(format!("{name}, step {n}: {cells:?} {copied}"));
            }
        }
        if played(&mut amy, &query("SELECT 1 AS alive")).first().is_none_or(|r| r.tags() != "TDCZ") {
            leaked.push(format!("{name}: the session ended"));
        }
        assert_not_ours(&amy);
    }
    assert!(leaked.is_empty(), "{}", leaked.join("\n"));
}

/// The same of an unrestricted role: what is read is recorded as read.
#[test]
fn no_confusion_of_names_reads_a_protected_table_unrecorded() {
    let database = Postgres::shared().demo();
    let proxy = with_twin(&database);
    let all = database.server().psql(database.name(), "SELECT count(*) FROM clinic.note").trim().to_owned();
    // The patients of a statement with an unusual form cannot be told.
    let untold = "SELECT count(*) FROM clinic.note, LATERAL (SELECT 1) AS l (x) WHERE tableoid IS NOT NULL";
    let cursor = format!("SELECT body FROM clinic.note WHERE body <> '{all}' FOR UPDATE");
    let prepared = |again: &str| {
        vec![
            query("DISCARD ALL"),
            query(&format!("PREPARE s AS {untold}")),
            query(again),
            query("EXECUTE s /* last */"),
        ]
    };
    let scripts = [
        ("prepared", prepared("PREPARE s AS SELECT 1")),
        ("prepared twice", prepared("SELECT 2; PREPARE s AS SELECT 1; SELECT 1")),
        (
            "by the protocol",
            vec![
                query("DISCARD ALL"),
                together(&[parse("s", untold), sync()]),
                query("PREPARE s AS SELECT 1"),
                query("EXECUTE s /* last */"),
            ],
        ),
        (
            "a cursor",
            vec![
                query("BEGIN"),
                query(&format!("DECLARE c CURSOR FOR {cursor}")),
                query("SAVEPOINT a"),
                query("DECLARE c CURSOR FOR SELECT 1"),
                query("ROLLBACK TO a"),
                query("FETCH c /* last */"),
                query("ROLLBACK"),
            ],
        ),
        (
            "a cursor that a portal could be",
            vec![
                query("BEGIN"),
                query(&format!("DECLARE c CURSOR FOR {cursor}")),
                query("SAVEPOINT a"),
                together(&[parse("x", "SELECT 1"), bind("c", "x", &[]), sync()]),
                query("ROLLBACK TO a"),
                query("FETCH c /* last */"),
                query("ROLLBACK"),
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for (n, (name, steps)) in scripts.into_iter().enumerate() {
        let mark = format!("last {n}");
        let mut gus = Wire::through(&proxy, &database, "dba_gus");
        let mut read = 0;
        for step in steps {
            let step = marked(&step, &mark);
            let replies = played(&mut gus, &step);
            if String::from_utf8_lossy(&step).contains(&mark) {
                read += replies.iter().flat_map(Reply::rows).count();
            }
        }
        for verb in ["EXECUTE s", "FETCH c"] {
            let told = told_now(&proxy, &format!("{verb} /* {mark} */"));
            if told.times > 0 && read > 0 && !told.all_patients && told.patients.is_empty() {
                wrong.push(format!("{name}: {told:?}"));
            }
        }
        if read == 0 {
            wrong.push(format!("{name}: nothing was read"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What failed before it read anything names nobody; what may have read is possibly everyone's.
#[test]
fn statements_that_never_read_are_nobodys() {
    let database = Postgres::shared().demo();
    let proxy = with_twin(&database);
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    let never = [
        "FETCH nobody",
        "EXECUTE nobody",
        "EXPLAIN EXECUTE nobody",
        "UPDATE clinic.note SET body = 'x' WHERE CURRENT OF nobody",
        "COPY clinic.patient (nothing) TO STDOUT",
        "COPY clinic.patient (nothing) FROM STDIN",
        "MERGE INTO clinic.note n USING (SELECT 1) x ON nothing = 1 WHEN MATCHED THEN DELETE",
    ];
    let merges = has_merge(&mut gus);
    for sql in never.into_iter().filter(|sql| merges || !sql.starts_with("MERGE")) {
        for how in ["simple", "extended"] {
            let text = format!("{sql} /* {how} */");
            gus.ok("BEGIN");
            let reply = if how == "simple" { gus.query(&text) } else { gus.extended(&text, &[]) };
            assert!(reply.failure().is_some(), "{text}");
            gus.ok("ROLLBACK");
            let told = told(&proxy, &text);
            assert!(told.times > 0 && !told.all_patients && told.patients.is_empty(), "{text}: {told:?}");
        }
    }
    let reads = "DO $$ DECLARE n text; BEGIN SELECT name INTO n FROM clinic.patient LIMIT 1; \
        RAISE EXCEPTION '%', n USING ERRCODE = '42703'; END $$";
    assert_eq!(gus.query(reads).refusal().sqlstate, "42703");
    assert!(told(&proxy, reads).all_patients);
}

/// Portals that SQL reads on in, and rows that a cursor stands on, are recorded as what they are.
#[test]
fn what_is_read_under_another_name_names_its_patients() {
    let database = Postgres::shared().demo();
    let proxy = with_twin(&database);
    for user in ["dba_gus", "nurse_amy"] {
        let mut wire = Wire::through(&proxy, &database, user);
        let select = "SELECT patient_id FROM clinic.patient WHERE patient_id >= 880003 ORDER BY patient_id";
        wire.ok("BEGIN");
        wire.send(&[parse("s", select), bind("p", "s", &[]), sync()].concat());
        wire.reply();
        let fetch = format!("FETCH 2 FROM p /* {user} */");
        let rows = wire.ok(&fetch).firsts();
        let fetched = told(&proxy, &fetch);
        assert_eq!((fetched.patients.into_iter().collect::<Vec<_>>(), fetched.all_patients), (rows, false));
        let call = format!("EXECUTE s /* {user} */");
        let rows = wire.ok(&call).firsts();
        assert_eq!(told(&proxy, &call).patients.len(), rows.len());
        wire.ok(&format!(
            "PREPARE t(int8) AS SELECT patient_id FROM clinic.patient WHERE patient_id = $1 -- {user}"
        ));
        wire.send(&[bind("", "t", &["880003"]), execute("", 0), sync()].concat());
        assert_eq!(wire.reply().firsts(), ["880003"]);
        let text = format!(
            "PREPARE t(int8) AS SELECT patient_id FROM clinic.patient WHERE patient_id = $1 -- {user}"
        );
        assert!(told(&proxy, &text).names("880003"), "{:?}", told(&proxy, &text));
        let text = format!("DECLARE c CURSOR FOR {select} FOR UPDATE /* {user} */");
        if user == "dba_gus" {
            wire.ok(&text);
            let fetch = "FETCH 3 FROM c /* locked */";
            assert_eq!(wire.ok(fetch).firsts().len(), 3);
            let fetched = told(&proxy, fetch);
            assert_eq!((fetched.patients.len(), fetched.all_patients), (3, false), "{fetched:?}");
            let change = "UPDATE clinic.patient SET sex = sex WHERE CURRENT OF c";
            assert_eq!(wire.ok(change).commands(), ["UPDATE 1"]);
            assert!(told(&proxy, change).names("880015") && told(&proxy, change).all_patients);
        }
    }
}

fn told_now(proxy: &Proxy<'_>, sql: &str) -> crate::support::Told {
    if crate::support::told_in(&proxy.ledger(), sql).times == 0 {
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    if crate::support::told_in(&proxy.ledger(), sql).times == 0 {
        return crate::support::Told::default();
    }
    told(proxy, sql)
}

/// A simple query with the mark of its script in it.
fn marked(step: &[u8], mark: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(step).into_owned();
    if !text.contains("/* last */") {
        return step.to_vec();
    }
    query(text[5..].trim_end_matches('\0').replace("/* last */", &format!("/* {mark} */")).as_str())
}

/// In one message, names behind EXECUTE mean what they meant before, unless what was prepared moves them.
#[test]
fn what_follows_execute_in_one_message_is_guarded() {
    let database = Postgres::shared().demo();
    let proxy = with_twin(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    amy.ok("SET search_path = clinic");
    amy.ok("PREPARE p AS SELECT count(*) FROM note");
    amy.ok("PREPARE q (int8) AS SELECT count(*) FROM note WHERE patient_id > $1");
    amy.ok("PREPARE m AS SELECT set_config('search_path', 'scratch', false)");
    let own = amy.query(COUNT).firsts().remove(0);
    for (sql, counts) in [
        ("EXECUTE p; EXECUTE p", 2),
        ("EXECUTE p; SELECT count(*) FROM note", 2),
        ("BEGIN; EXECUTE q(0); EXECUTE p; SELECT count(*) FROM note; COMMIT", 3),
        (
            "PREPARE r AS SELECT count(*) FROM note; EXECUTE r; EXECUTE r; DEALLOCATE r; SELECT count(*) FROM note",
            3,
        ),
    ] {
        let reply = amy.query(sql);
        assert_eq!((reply.failure(), reply.firsts()), (None, vec![own.clone(); counts]), "{sql}");
    }
    for sql in [
        "EXECUTE m; SELECT count(*) FROM note",
        "EXECUTE p; EXECUTE m; EXECUTE p; SELECT count(*) FROM note",
        "PREPARE n AS SELECT set_config('search_path', 'scratch', false); EXECUTE n; SELECT count(*) FROM note",
        "EXECUTE m; DEALLOCATE m; PREPARE m AS SELECT 1; EXECUTE m; SELECT count(*) FROM note",
        "EXECUTE nobody; SELECT count(*) FROM note",
        "EXECUTE p; SET search_path = scratch; SELECT count(*) FROM note",
    ] {
        let reply = amy.query(sql);
        assert_eq!(
            reply.failure().and_then(|f| f.gls()).as_deref(),
            Some("GLS-240"),
            "{sql}: {:?}",
            reply.rows()
        );
    }
    // By the protocol, of which nobody looked into the text.
    amy.send(&[parse("s", "SELECT set_config('search_path', 'scratch', false)"), sync()].concat());
    assert!(amy.reply().failure().is_none());
    let reply = amy.query("EXECUTE s; SELECT count(*) FROM note");
    assert_eq!(reply.failure().and_then(|f| f.gls()).as_deref(), Some("GLS-240"), "{:?}", reply.rows());
    assert_eq!(amy.query("EXECUTE p; SELECT count(*) FROM note").firsts(), [own.clone(), own]);
}
