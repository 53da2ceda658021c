//! Ways in that take more than texts: message orders, timing, encryption, logins, other sessions.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::wire::{Wire, bind, bind_as, describe_portal, execute, frame, parse, query, sync};
use crate::{Stage, assert_no_canary, stage};

/// The numbers that are tested here, or whose design is.
pub(crate) const NUMBERS: &[u16] = &[45, 46, 47, 48, 51, 55, 60, 61, 91, 92, 93, 94, 96, 97, 98, 99, 105];

/// Her one patient's name is all that a query of names may show.
fn shows_ann_alone(wire: &mut Wire, what: &str) {
    assert_eq!(wire.query("SELECT name FROM patients").firsts(), ["Ann"], "{what}");
    assert_no_canary(wire, what);
}

#[test]
fn b45_what_is_long_is_not_forwarded_unread() {
    let stage = stage();
    let mut amy = stage.amy();
    let pad = "x".repeat(9 << 20);
    let reply = amy.query(&format!("SELECT name, ssn FROM patients /* {pad} */"));
    if let Some(failure) = reply.failure() {
        assert!(["42501", "54001", "54000"].contains(&failure.sqlstate.as_str()), "{failure:?}");
    } else {
        assert_eq!(reply.rows(), [[Some("Ann".to_owned()), None]]);
    }
    shows_ann_alone(&mut amy, "#45");
}

#[test]
fn b46_b47_every_message_of_a_read_is_decided() {
    let stage = stage();
    let mut amy = stage.amy();
    // A refused Parse is not made good by a later one of the same unnamed statement.
    let batch =
        [parse("", "SELECT get_ssn(2)"), parse("", "SELECT 1"), bind("", "", &[]), execute("", 0), sync()];
    amy.send(&batch.concat());
    assert_eq!(amy.reply().refusal().sqlstate, "42501");
    // The other way round: what was bound is what was decided.
    let batch = [
        parse("", "SELECT 1"),
        bind("", "", &[]),
        parse("x", "SELECT ssn FROM all_patients_v WHERE get_ssn(mrn) IS NOT NULL"),
        execute("", 0),
        sync(),
        query("SELECT name FROM patients"),
    ];
    amy.send(&batch.concat());
    assert_eq!(amy.reply().failure().map(|f| f.sqlstate), Some("42501".to_owned()));
    assert_eq!(amy.reply().firsts(), ["Ann"]);
    let batch = [
        parse("", "SELECT 1"),
        bind("", "", &[]),
        execute("", 0),
        sync(),
        query("SELECT name, ssn FROM patients; SELECT body FROM notes"),
    ];
    amy.send(&batch.concat());
    amy.reply();
    let reply = amy.reply();
    assert_eq!(reply.rows().len(), 4, "{:?}", reply.failure());
    shows_ann_alone(&mut amy, "#46, #47");
}

fn opened(amy: &mut Wire) -> String {
    let reply = amy.ok("SELECT * FROM glass.open('2', 'BTG', 'unconscious, unknown anticoagulant')");
    reply.firsts().remove(0)
}

#[test]
fn b48_b55_a_closed_session_ends_what_was_prepared_and_suspended_under_it() {
    let stage = stage();
    let mut amy = stage.amy();
    amy.send(&[parse("q", "SELECT name FROM patients ORDER BY mrn"), sync()].concat());
    amy.reply();
    opened(&mut amy);
    amy.forget();
    amy.send(&[bind("", "q", &[]), execute("", 0), sync()].concat());
    assert_eq!(amy.reply().firsts(), ["Ann", "CANARY-name-2"]);
    // #55: a portal that waits for its next row when the session ends.
    amy.send(&[query("BEGIN"), bind("p", "q", &[]), execute("p", 1), sync()].concat());
    amy.reply();
    assert_eq!(amy.reply().firsts(), ["Ann"]);
    amy.ok("SELECT glass.close()");
    amy.forget();
    amy.send(&[execute("p", 1), sync()].concat());
    let reply = amy.reply();
    assert!(reply.rows().is_empty() && reply.failure().is_some(), "{reply:?}");
    amy.query("ROLLBACK");
    // #48: prepared under the session, executed after it.
    amy.send(&[bind("", "q", &[]), execute("", 0), sync()].concat());
    assert_eq!(amy.reply().firsts(), ["Ann"]);
    shows_ann_alone(&mut amy, "#48, #55");
}

#[test]
fn b60_fast_path_calls_are_refused() {
    let stage = stage();
    let mut amy = stage.amy();
    let functions = stage.whole.server().psql(
        stage.whole.name(),
        "SELECT oid::int8 FROM pg_proc WHERE proname IN ('lo_get', 'loread', 'lo_open', 'get_ssn', 'query_to_xml', 'pg_read_file')",
    );
    for oid in functions.lines().map(|l| l.trim().parse::<u32>().unwrap()) {
        // One binary argument: 4711.
        let body =
            [&oid.to_be_bytes()[..], &[0, 1, 0, 1, 0, 1, 0, 0, 0, 4], &4711_u32.to_be_bytes(), &[0, 1]]
                .concat();
        amy.send(&frame(b'F', &body));
        let reply = amy.reply();
        assert_eq!(reply.failure().map(|f| f.sqlstate), Some("42501".to_owned()), "{oid}");
    }
    shows_ann_alone(&mut amy, "#60");
}

#[test]
fn b61_binary_results_are_masked() {
    let stage = stage();
    let mut amy = stage.amy();
    for sql in
        ["SELECT ssn, name FROM patients", "SELECT p FROM patients p", "SELECT array_agg(ssn) FROM patients"]
    {
        amy.send(
            &[parse("", sql), bind_as("", "", (&[], &[]), &[1]), describe_portal(""), execute("", 0), sync()]
                .concat(),
        );
        let reply = amy.reply();
        assert_eq!(reply.failure(), None, "{sql}");
        assert_eq!(reply.rows().len(), 1, "{sql}");
        assert_no_canary(&amy, sql);
    }
}

fn startup(stage: &Stage, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for (key, value) in [&[("user", "nurse_amy"), ("database", stage.whole.name())][..], pairs].concat() {
        body.extend([key.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], &body].concat()
}

/// What the proxy says to these first bytes until it ends or falls silent.
fn first_words(stage: &Stage, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", stage.proxy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    heard
}

/// `R` with code 10: the login goes on.
fn goes_on(heard: &[u8]) -> bool {
    heard.first() == Some(&b'R') && heard.get(5..9) == Some(&[0, 0, 0, 10])
}

#[test]
fn b51_b92_b93_b94_startup_is_policed() {
    let stage = stage();
    assert!(goes_on(&first_words(&stage, &startup(&stage, &[]))), "an ordinary login");
    for pairs in [
        &[("options", "-c row_security=off")][..],
        &[("options", "-crole=postgres")],
        &[("options", "-c session_replication_role=replica")],
        &[("options", "-c debug_print_plan=on -c client_min_messages=debug5")],
        &[("role", "postgres")],
        &[("row_security", "off")],
        &[("standard_conforming_strings", "off")],
        &[("replication", "database")],
        &[("replication", "true")],
    ] {
        let heard = first_words(&stage, &startup(&stage, pairs));
        // Refused at once, or after the login, when the role is known.
        assert!(
            heard.first() == Some(&b'E') || goes_on(&heard),
            "{pairs:?}: {:?}",
            String::from_utf8_lossy(&heard)
        );
    }
    // #92: clear text sent along with SSLRequest is never taken for something encrypted.
    let ssl = [0, 0, 0, 8, 4, 210, 22, 47];
    let heard = first_words(&stage, &[&ssl[..], &startup(&stage, &[])].concat());
    assert!(!goes_on(heard.get(1..).unwrap_or_default()), "{heard:?}");
    // #93: no encryption that pgglass could not look into.
    assert_eq!(first_words(&stage, &[0, 0, 0, 8, 4, 210, 22, 48]), b"N");
}

#[test]
fn b96_b91_another_sessions_key_cancels_nothing_and_plans_are_nobodys() {
    let stage = stage();
    let mut amy = stage.amy();
    let mut bob = Wire::through(&stage.proxy, &stage.whole, "nurse_bob");
    // #91: the same text of two people of one role: each sees her own patient, however often it runs.
    for _ in 0..3 {
        for (wire, mine) in [(&mut amy, "1"), (&mut bob, "2")] {
            assert_eq!(wire.query("SELECT mrn FROM patients").firsts(), [mine]);
            assert_eq!(wire.extended("SELECT mrn FROM patients WHERE mrn < 9", &[]).firsts(), [mine]);
        }
    }
    // #96: a made-up secret.
    let (pid, secret) = bob.key();
    let wrong: Vec<u8> = secret.iter().map(|b| b ^ 0x55).collect();
    let body = [&80_877_102_u32.to_be_bytes()[..], &pid.to_be_bytes(), &wrong].concat();
    let packet = [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], &body].concat();
    bob.send(&query("SELECT count(*) FROM generate_series(1, 3000000)"));
    first_words(&stage, &packet);
    assert_eq!(bob.reply().value(), "3000000");
    shows_ann_alone(&mut amy, "#91, #96");
}

#[test]
fn b97_an_expired_password_is_no_password() {
    let stage = stage();
    let server = stage.whole.server();
    server.psql(stage.whole.name(), "ALTER ROLE nurse_bob VALID UNTIL '2001-01-01'");
    let login = Wire::try_login(stage.proxy.port(), stage.whole.name(), "nurse_bob", Duration::from_secs(20));
    server.psql(stage.whole.name(), "ALTER ROLE nurse_bob VALID UNTIL 'infinity'");
    assert!(login.is_err());
}

#[test]
fn b98_b99_names_and_settings_are_what_the_server_has() {
    let stage = stage();
    let mut amy = stage.amy();
    amy.send(&[parse("s", "SELECT note FROM b.patients"), sync()].concat());
    amy.reply();
    for forget in ["DEALLOCATE ALL", "DISCARD ALL", "DEALLOCATE s"] {
        amy.query(forget);
        amy.send(&[parse("s", "SELECT name FROM patients"), sync()].concat());
        amy.reply();
        amy.send(&[bind("", "s", &[]), execute("", 0), sync()].concat());
        assert_eq!(amy.reply().firsts(), ["Ann"], "{forget}");
    }
    // #99: a rolled-back search path, in every form of rollback.
    for texts in [
        &["BEGIN", "SET LOCAL search_path = b", "ROLLBACK"][..],
        &["BEGIN", "SET search_path = b", "ROLLBACK"],
        &["BEGIN", "SAVEPOINT s", "SET search_path = b", "ROLLBACK TO s", "COMMIT"],
        &["BEGIN", "SET search_path = b", "SELECT 1/0", "COMMIT"],
    ] {
        for text in texts {
            amy.query(text);
        }
        shows_ann_alone(&mut amy, &format!("#99 {texts:?}"));
    }
}

/// Rows that another session commits meanwhile: whoever was counted is in the record, because the keys come in the same
/// statement. tests/promises (P4) looks at the record; here, that no second statement is sent for it.
#[test]
fn b105_the_witness_is_of_the_same_snapshot() {
    let stage = stage();
    let mut amy = stage.amy();
    let server = stage.whole.server();
    let all = "ALTER SYSTEM SET log_statement = 'all'";
    server.psql("postgres", all);
    server.psql("postgres", "SELECT pg_reload_conf()");
    // Every session takes it up at a statement of its own.
    while amy.ok("SHOW log_statement").value() != "all" {
        std::thread::sleep(Duration::from_millis(20));
    }
    amy.ok("SELECT count(*) FROM notes HAVING count(*) > 0");
    server.psql("postgres", "ALTER SYSTEM RESET log_statement");
    server.psql("postgres", "SELECT pg_reload_conf()");
    let log = std::fs::read_to_string(server.data().join("server.log")).unwrap();
    let run = |l: &&str| {
        l.contains("execute ") && l.contains("__glass_") && l.contains("notes") && l.contains("HAVING")
    };
    let about: Vec<&str> = log.lines().filter(run).collect();
    assert_eq!(about.len(), 1, "{about:?}");
    assert!(about[0].contains("__glass_s1"), "the keys do not come with it: {about:?}");
}
