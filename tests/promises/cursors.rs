//! P2 and P6 for cursors and prepared statements of SQL (DECLARE, FETCH, MOVE, PREPARE, EXECUTE): what
//! they show, and what they show no more once something was revoked. Their records: cursors_record.

use std::collections::BTreeSet;

use crate::common::{Postgres, Proxy, STRANGER, STRANGER_MRN, patients_of_amy};
use crate::cursor_steps::{BOUND, HOLD, PREPARED, SCROLL};
use crate::p2_enforcement::{assert_no_canary, assert_none, compare, databases, pair};
use crate::p6_revocation::reload;
use crate::support::{clear, hide, proxy, replaced};
use crate::wire::{
    Reply, Wire, bind, describe_portal, describe_statement, execute, frame, parse, query, sync,
};

/// No name or column of the proxy's reached the client.
pub(crate) fn assert_not_ours(wire: &Wire) {
    let at = wire.received.windows(8).position(|w| w.eq_ignore_ascii_case(b"__glass_"));
    if let Some(at) = at {
        let around = &wire.received[at.saturating_sub(80)..(at + 60).min(wire.received.len())];
        panic!("a name of the proxy's reached the client: {}", String::from_utf8_lossy(around));
    }
}

/// Bind without parameters that asks for these result formats.
fn bind_formats(portal: &str, statement: &str, formats: &[u16]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0\0\0"].concat();
    body.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
    for format in formats {
        body.extend(format.to_be_bytes());
    }
    frame(b'B', &body)
}

#[test]
fn every_step_shows_what_a_database_without_the_others_shows() {
    let (whole, hers) = databases("GRANT CREATE ON SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&whole, hide);
    let mut wrong = Vec::new();
    let mut of = 0;
    for steps in [SCROLL, BOUND, HOLD, PREPARED] {
        for how in ["simple", "extended", "named"] {
            let mut direct = Wire::direct(&hers, "nurse_amy");
            let mut through = Wire::through(&proxy, &whole, "nurse_amy");
            for sql in steps {
                let answers = [&mut direct, &mut through].map(|wire| match how {
                    "simple" => wire.query(sql),
                    "extended" => wire.extended(sql, &[]),
                    _ => {
                        // As drivers do that describe a statement before they bind it, in binary.
                        wire.send(&[parse("n", sql), describe_statement("n"), sync()].concat());
                        let described = wire.reply();
                        let bound = [bind_formats("", "n", &[1]), execute("", 0), sync()].concat();
                        wire.send(&bound);
                        let mut reply = wire.reply();
                        wire.send(&[frame(b'C', b"Sn\0"), sync()].concat());
                        wire.reply();
                        reply.messages.splice(0..0, described.messages);
                        reply
                    }
                });
                of += 1;
                // (A wrong number of arguments is found at Bind and not at Execute.)
                let states = answers.each_ref().map(|a| a.failure().map(|f| f.sqlstate));
                if states[0] != states[1] || states[0].as_deref() != Some("42601") {
                    compare(&mut wrong, how, sql, &answers[0], &answers[1]);
                }
                // The server's own words where nothing is withheld.
                let said = answers.map(|a| a.failure());
                if let [Some(server), Some(ours)] = &said
                    && ["34", "26", "42", "55", "25", "08"].iter().any(|c| server.sqlstate.starts_with(c))
                    && server.message != ours.message
                {
                    wrong.push(format!("{how}: {sql}: {} became {}", server.message, ours.message));
                }
            }
            assert_no_canary(&through);
            assert_not_ours(&through);
        }
    }
    assert_none(&wrong, of);
}

#[test]
fn binary_cursors_and_formats_per_column_are_those_of_the_server() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    let declare = "DECLARE b BINARY CURSOR WITH HOLD FOR SELECT patient_id, name, birth_date FROM clinic.patient ORDER BY patient_id";
    let grouped = "DECLARE g BINARY CURSOR WITH HOLD FOR SELECT sex, count(*) FROM clinic.patient GROUP BY sex ORDER BY sex";
    let mut answers = [&mut direct, &mut through].map(|wire| {
        wire.ok(declare);
        wire.ok(grouped);
        let mut all = vec![wire.ok("FETCH 3 FROM b"), wire.ok("FETCH ALL FROM g"), wire.ok("MOVE 1 FROM b")];
        for formats in [&[][..], &[1], &[0, 1, 1]] {
            wire.send(
                &[
                    parse("", "FETCH 2 FROM b"),
                    bind_formats("", "", formats),
                    describe_portal(""),
                    execute("", 0),
                    sync(),
                ]
                .concat(),
            );
            all.push(wire.reply());
        }
        wire.ok("PREPARE p AS SELECT patient_id, birth_date FROM clinic.patient ORDER BY 1 LIMIT 3");
        for formats in [&[1][..], &[1, 0]] {
            wire.send(
                &[parse("", "EXECUTE p"), bind_formats("", "", formats), execute("", 2), sync()].concat(),
            );
            all.push(wire.reply());
        }
        // The cursor by its name as a portal, as psycopg describes it.
        wire.send(&[describe_portal("b"), sync()].concat());
        all.push(wire.reply());
        wire.send(&[describe_portal("b"), execute("b", 2), execute("b", 0), sync()].concat());
        all.push(wire.reply());
        wire.send(&[frame(b'C', b"Pb\0"), sync()].concat());
        all.push(wire.reply());
        wire.send(&[describe_portal("b"), sync()].concat());
        all.push(wire.reply());
        all
    });
    for (n, (expected, got)) in answers[0].iter().zip(&answers[1]).enumerate() {
        assert_eq!(expected.failure(), got.failure(), "answer {n}");
        if expected.failure().is_none() {
            assert_eq!(expected, got, "answer {n}");
        }
    }
    answers[1].clear();
    assert_no_canary(&through);
    assert_not_ours(&through);
}

/// Several steps in one message, and in one pipeline without waiting.
#[test]
fn one_message_and_one_pipeline_answer_as_the_server_does() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    let select = "SELECT patient_id, name FROM clinic.patient ORDER BY patient_id";
    let one = format!(
        "BEGIN; DECLARE c CURSOR FOR {select}; FETCH 2 FROM c; MOVE 2 FROM c; FETCH 1 FROM c; CLOSE c; COMMIT"
    );
    let free = "BEGIN; DECLARE c CURSOR FOR SELECT name FROM clinic.ward ORDER BY 1; FETCH 2 FROM c; COMMIT";
    let prepared = format!("PREPARE p AS {select} LIMIT 2; EXECUTE p; DEALLOCATE p");
    let failing = format!("BEGIN; DECLARE c CURSOR FOR {select}; FETCH 2 FROM d; FETCH 1 FROM c");
    for sql in [&one, free, &prepared, &failing, "ROLLBACK"] {
        let (expected, got) = (direct.query(sql), through.query(sql));
        assert_eq!(
            expected.failure().map(|f| (f.sqlstate, f.message)),
            got.failure().map(|f| (f.sqlstate, f.message))
        );
        assert_eq!(expected.tags(), got.tags(), "{sql}");
        assert_eq!(expected.rows(), got.rows(), "{sql}");
        assert_eq!(expected.commands(), got.commands(), "{sql}");
    }
    let declare =
        "DECLARE c CURSOR FOR SELECT patient_id, name FROM clinic.patient WHERE patient_id > $1 ORDER BY 1";
    let pipeline = [
        query("BEGIN"),
        parse("", declare),
        bind("", "", &["880100"]),
        execute("", 0),
        parse("f", "FETCH 2 FROM c"),
        bind("", "f", &[]),
        describe_portal(""),
        execute("", 0),
        bind("q", "f", &[]),
        execute("q", 1),
        execute("q", 0),
        sync(),
        query("COMMIT"),
    ]
    .concat();
    let answers = [&mut direct, &mut through].map(|wire| {
        wire.send(&pipeline);
        [wire.reply(), wire.reply(), wire.reply()]
    });
    assert_eq!(answers[0], answers[1]);
    assert_no_canary(&through);
    assert_not_ours(&through);
}

/// SQL and the protocol share the server's names: what one of them made is never taken for the other's,
/// so that no guarded portal is read without its witnesses and no guard's parameter is the client's.
#[test]
fn names_of_the_protocol_are_never_taken_for_those_of_sql() {
    let (whole, _) = databases("");
    let proxy = Proxy::start_with(&whole, hide);
    let guarded = "SELECT patient_id, name FROM clinic.patient ORDER BY 1";
    let free = "DECLARE x CURSOR WITH HOLD FOR SELECT 880003::int8, 'a'::text";
    let bound = [parse("s", guarded), bind("x", "s", &[]), sync()].concat();
    let closed = [bound.clone(), frame(b'C', b"Px\0"), sync()].concat();
    let failing = [parse("s", guarded), parse("s", guarded), bind("x", "s", &[]), sync()].concat();
    let attacks: [(&str, Vec<Vec<u8>>); 7] = [
        ("a bound portal", vec![query("BEGIN"), bound.clone(), query("FETCH ALL FROM x")]),
        (
            "and moved",
            vec![query("BEGIN"), bound.clone(), query("MOVE ALL FROM x"), query("FETCH PRIOR FROM x")],
        ),
        (
            "a cursor of that name before",
            vec![query(free), query("CLOSE x"), query("BEGIN"), bound.clone(), query("FETCH ALL FROM x")],
        ),
        (
            "a cursor of that name still",
            vec![query(free), query("BEGIN"), bound.clone(), query("FETCH ALL FROM x")],
        ),
        ("closed, then a cursor", vec![query("BEGIN"), closed, query(free), query("FETCH ALL FROM x")]),
        ("a Bind that failed", vec![query("BEGIN"), failing, query("FETCH ALL FROM x")]),
        (
            "EXECUTE of a statement of the protocol",
            vec![[parse("x", guarded), sync()].concat(), query("EXECUTE x"), query("EXECUTE x('dr_chen')")],
        ),
    ];
    for (what, messages) in attacks {
        let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
        for message in messages {
            amy.send(&message);
            let replies = syncs(&message);
            for _ in 0..replies {
                let Some(reply) = amy.try_reply() else { panic!("{what}: the connection was closed") };
                let rows = reply.firsts();
                assert!(strangers(&rows).is_empty(), "{what}: a row that the guard hides, of {rows:?}");
            }
        }
        assert_no_canary(&amy);
        assert_not_ours(&amy);
    }
}

/// How many ReadyForQuery the messages in `bytes` bring.
fn syncs(bytes: &[u8]) -> usize {
    let (mut at, mut found) = (0, 0);
    while let Some(head) = bytes.get(at..at + 5) {
        found += usize::from(matches!(head[0], b'Q' | b'S'));
        at += 1 + u32::from_be_bytes(head[1..5].try_into().unwrap()) as usize;
    }
    found
}

fn strangers(firsts: &[String]) -> Vec<&String> {
    let hers: BTreeSet<String> = patients_of_amy().iter().map(ToString::to_string).collect();
    firsts.iter().filter(|p| !hers.contains(*p)).collect()
}

#[test]
fn a_cursor_gives_nothing_more_of_a_patient_whose_glass_was_closed() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let select = format!(
        "SELECT patient_id, name FROM clinic.patient WHERE patient_id >= {} ORDER BY 1",
        STRANGER - 1000
    );
    for hold in [false, true] {
        let mut amy = Wire::through(&proxy, &database, "nurse_amy");
        let mut other = Wire::through(&proxy, &database, "nurse_amy");
        other.ok(&format!("SELECT * FROM glass.open('{STRANGER_MRN}', 'BTG', 'unconscious, unknown anticoagulant', bind => 'principal')"));
        amy.ok("BEGIN");
        let with = if hold { "WITH HOLD" } else { "" };
        amy.ok(&format!("DECLARE c SCROLL CURSOR {with} FOR {select}"));
        amy.ok(&format!("PREPARE p AS {select}"));
        assert_eq!(amy.ok("FETCH LAST FROM c").firsts(), [STRANGER.to_string()], "the glass is open");
        if hold {
            amy.ok("COMMIT");
        }
        // Parsed and bound before.
        amy.send(&[parse("f", "FETCH LAST FROM c"), bind("f", "f", &[]), sync()].concat());
        amy.reply();
        other.ok("SELECT glass.close()");
        amy.send(&[execute("f", 0), sync()].concat());
        assert!(strangers(&amy.reply().firsts()).is_empty(), "a portal bound before, hold {hold}");
        amy.query("ROLLBACK");
        if hold {
            for sql in ["FETCH FIRST FROM c", "FETCH LAST FROM c", "MOVE ALL FROM c"] {
                assert_eq!(amy.query(sql).refusal().sqlstate, "42501", "{sql}");
                assert_eq!(amy.extended(sql, &[]).refusal().sqlstate, "42501", "{sql}");
            }
            amy.send(&[describe_portal("c"), execute("c", 0), sync()].concat());
            assert_eq!(amy.reply().refusal().sqlstate, "42501", "the cursor as a portal");
        }
        let after = amy.ok("EXECUTE p").firsts();
        assert!(strangers(&after).is_empty(), "EXECUTE: {after:?}");
        assert_eq!(after.len(), 5);
    }
}

#[test]
fn a_cursor_gives_nothing_more_of_a_patient_who_was_unassigned() {
    for (how, select) in [
        ("carried", "SELECT patient_id FROM clinic.patient ORDER BY patient_id DESC"),
        ("bound", "SELECT patient_id FROM clinic.patient ORDER BY patient_id DESC LIMIT 3 OFFSET 0"),
        (
            "pinned",
            "SELECT patient_id FROM clinic.patient WHERE patient_id IN (880291, 880003) ORDER BY patient_id DESC",
        ),
    ] {
        for hold in ["", "WITH HOLD"] {
            let database = Postgres::shared().demo();
            let proxy = Proxy::start_with(&database, hide);
            let mut amy = Wire::through(&proxy, &database, "nurse_amy");
            amy.ok("BEGIN");
            amy.ok(&format!("DECLARE c SCROLL CURSOR {hold} FOR {select}"));
            assert_eq!(amy.ok("FETCH FIRST FROM c").firsts(), ["880291"]);
            if !hold.is_empty() {
                amy.ok("COMMIT");
                assert_eq!(amy.ok("FETCH FIRST FROM c").firsts(), ["880291"]);
            }
            database.server().psql(
                database.name(),
                "DELETE FROM glass.assigned WHERE user_name = 'nurse_amy' AND patient_id = 880291",
            );
            let reply = amy.query("FETCH FIRST FROM c");
            assert_eq!(reply.refusal().sqlstate, "42501", "{how} {hold}");
            assert_eq!(amy.query("ROLLBACK").failure(), None);
            assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "24");
        }
    }
}

#[test]
fn a_cursor_of_an_older_policy_is_refused_and_a_prepared_statement_decided_again() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, clear);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    amy.ok("DECLARE c CURSOR WITH HOLD FOR SELECT patient_id FROM clinic.patient");
    amy.ok("DECLARE w CURSOR WITH HOLD FOR SELECT name FROM clinic.ward");
    amy.ok("PREPARE p AS SELECT count(*) FROM clinic.patient");
    amy.ok("PREPARE w AS SELECT count(*) FROM clinic.ward");
    assert_eq!(amy.ok("FETCH c").rows().len(), 1);
    let text = std::fs::read_to_string(proxy.config()).unwrap();
    let text = replaced(text, "outside = \"block\"", "outside = \"hide\"");
    std::fs::write(proxy.config(), text).unwrap();
    reload(&proxy);
    for cursor in ["c", "w"] {
        assert_eq!(amy.query(&format!("FETCH {cursor}")).refusal().sqlstate, "42501", "{cursor}");
        amy.ok(&format!("CLOSE {cursor}"));
    }
    assert_eq!(amy.ok("EXECUTE p").value(), "25");
    assert_eq!(amy.ok("EXECUTE w").value(), "12");
    amy.ok("DEALLOCATE p");
    amy.ok("DEALLOCATE w");
}

#[test]
fn what_names_mean_at_execute_counts_and_not_at_prepare() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    for wire in [&mut direct, &mut through] {
        wire.ok("CREATE TEMP TABLE ward_list AS SELECT name FROM clinic.ward");
        wire.ok("PREPARE p AS SELECT count(*) FROM ward_list");
        assert_eq!(wire.ok("EXECUTE p").value(), "12");
    }
    // A table of that name without patients, then the one with them in its place.
    let steps = [
        "SET search_path TO pg_temp, clinic",
        "PREPARE q AS SELECT count(*) FROM ward",
        "EXECUTE q",
        "SET search_path TO clinic",
        "EXECUTE q",
        "EXECUTE p",
        "DROP TABLE pg_temp.ward_list",
        "EXECUTE p",
        "EXECUTE q",
    ];
    for sql in steps {
        let (expected, got) = (direct.query(sql), through.query(sql));
        assert_eq!(expected.rows(), got.rows(), "{sql}");
        assert_eq!(expected.failure().is_some(), got.failure().is_some(), "{sql}: {:?}", got.failure());
    }
    assert_not_ours(&through);
}

#[test]
fn what_cannot_be_guarded_is_refused_and_a_block_is_told() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let lookup = format!("SELECT name FROM clinic.patient WHERE patient_id = {STRANGER}");
    amy.ok("BEGIN");
    amy.ok(&format!("DECLARE c CURSOR FOR {lookup}"));
    assert_eq!(amy.query("FETCH c").refusal().gls().as_deref(), Some("GLS-201"));
    amy.ok("ROLLBACK");
    amy.ok("PREPARE p(int8) AS SELECT name FROM clinic.patient WHERE patient_id = $1");
    assert_eq!(amy.query(&format!("EXECUTE p({STRANGER})")).refusal().gls().as_deref(), Some("GLS-201"));
    assert_eq!(amy.ok("EXECUTE p(880003)").rows().len(), 1);
    assert_eq!(amy.ok(&format!("EXECUTE p({STRANGER} + 0)")).rows().len(), 0, "no row, and no word");
    // Hers first: the end of the cursor is no block.
    amy.ok("BEGIN");
    amy.ok(&format!(
        "DECLARE c CURSOR FOR SELECT name FROM clinic.patient WHERE patient_id IN (880003, {STRANGER})"
    ));
    assert_eq!(amy.ok("FETCH c").rows().len(), 1);
    assert_eq!(amy.ok("FETCH c").rows().len(), 0);
    for sql in
        ["SELECT name, statement FROM pg_cursors", "SELECT name, statement FROM pg_prepared_statements"]
    {
        for row in amy.ok(sql).rows() {
            assert!(!row[0].as_deref().is_some_and(|name| name.starts_with("__glass")), "{row:?}");
            assert_eq!(row[1], None, "{sql}");
        }
    }
    for sql in [
        "UPDATE clinic.patient SET name = 'x' WHERE CURRENT OF c",
        "DELETE FROM clinic.note WHERE CURRENT OF c",
        "EXPLAIN EXECUTE p(880001)",
        "CREATE TEMP TABLE mine AS EXECUTE p(880001)",
        "EXPLAIN DECLARE d CURSOR FOR SELECT * FROM clinic.patient",
        "SELECT cursor_to_xml('c', 10, true, false, '')",
        "SELECT query_to_xml('FETCH ALL FROM __glass_c1', true, false, '')",
        "FETCH ALL FROM __glass_c1",
        "EXECUTE __glass_p1(880001, 'dr_chen')",
        "EXECUTE p(880001, 'dr_chen')",
        "DECLARE __glass_c1 CURSOR FOR SELECT 1",
        "PREPARE __glass_p1 AS SELECT 1",
        "DEALLOCATE __glass_p1",
    ] {
        amy.query("ROLLBACK");
        for reply in [amy.query(sql), amy.extended(sql, &[])] {
            assert!(reply.failure().is_some(), "{sql}");
            assert!(reply.rows().is_empty(), "{sql}");
        }
    }
    assert_eq!(amy.ok("EXECUTE p(880003)").rows().len(), 1);
}

/// Masked and filtered tables are derived ones for the server: the client is told the table and number of each column as
/// without a proxy, in a message of several statements and of a cursor's rows, too.
#[test]
fn columns_keep_their_table_in_messages_of_several_statements_and_in_cursors() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, hide);
    let select =
        "SELECT patient_id, ssn, birth_date AS born, upper(name), p FROM clinic.patient p ORDER BY 1 LIMIT 3";
    for user in ["bill_eva", "nurse_amy"] {
        let mut direct = Wire::direct(&database, user);
        let mut through = Wire::through(&proxy, &database, user);
        for sql in [
            format!("BEGIN READ ONLY; {select}; COMMIT"),
            format!("SELECT 1; {select}; {select}"),
            format!("BEGIN; DECLARE c SCROLL CURSOR FOR {select}"),
            "FETCH 2 FROM c".to_owned(),
            "FETCH PRIOR FROM c; FETCH 1 FROM c".to_owned(),
            "COMMIT".to_owned(),
            format!("BEGIN; DECLARE d CURSOR FOR {select}; FETCH 1 FROM d; COMMIT"),
        ] {
            for extended in [false, true] {
                if extended && sql.contains(';') {
                    continue;
                }
                let ask =
                    |wire: &mut Wire| if extended { wire.extended(&sql, &[]) } else { wire.query(&sql) };
                let described = |reply: &Reply| -> Vec<Vec<u8>> {
                    reply.messages.iter().filter(|m| m.tag == b'T').map(|m| m.body.clone()).collect()
                };
                if extended && sql == "COMMIT" {
                    continue;
                }
                let (expected, got) = (ask(&mut direct), ask(&mut through));
                assert_eq!(got.failure(), None, "{user}: {sql}");
                assert_eq!(described(&got), described(&expected), "{user}: {sql}");
            }
        }
    }
}

/// Where the proxy cannot ask who is assigned any more, a cursor's rows stay back, and the error does not tell of a
/// session or policy that would have ended.
#[test]
fn a_cursor_whose_patients_cannot_be_asked_about_says_so() {
    let server = Postgres::shared();
    let database = server.demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let declare = "DECLARE c CURSOR FOR SELECT name FROM clinic.patient ORDER BY patient_id";
    for (right, rows) in
        [("REVOKE SELECT ON glass.assigned FROM", 0), ("GRANT SELECT ON glass.assigned TO", 2)]
    {
        server.psql(database.name(), &format!("{right} pgglass"));
        amy.ok("BEGIN");
        amy.ok(declare);
        let reply = amy.query("FETCH 2 FROM c");
        assert_eq!(reply.rows().len(), rows);
        if rows == 0 {
            let refusal = reply.refusal();
            assert_eq!(refusal.gls().as_deref(), Some("GLS-240"), "{refusal:?}");
            assert!(refusal.message.contains("who is assigned to whom cannot be read"), "{refusal:?}");
        }
        amy.query("ROLLBACK");
    }
}
