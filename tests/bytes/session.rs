//! What belongs to a session: the login's parameters, settings, transactions, notices and notifications, cancelling.

use std::time::Duration;

use crate::common::wire::{Wire, bind, execute, parse, query, sync};
use crate::play::{Script, Step, difference, same, script};
use crate::stage::Stage;

fn common() -> Vec<Script> {
    vec![
        script(
            "reported parameters",
            &[
                query("SET application_name = 'other'"),
                query("SET DateStyle = 'SQL, DMY'"),
                query("SET TIME ZONE 'Europe/Vienna'"),
                query("SET IntervalStyle = iso_8601"),
                query("SELECT timestamptz '2025-06-01 00:00+00', interval '1 day 2 h'"),
                query("BEGIN; SET LOCAL TIME ZONE 'UTC'; SELECT 1"),
                query("COMMIT"),
                query("BEGIN"),
                query("SET TIME ZONE 'UTC'"),
                query("ROLLBACK"),
                query("RESET ALL"),
                query("SHOW TimeZone"),
                query("SHOW no_such"),
                query("SET TIME ZONE 'nowhere'"),
                parse("", "SET application_name = 'by protocol'"),
                bind("", "", &[]),
                execute("", 0),
                sync(),
            ],
        ),
        script(
            "transactions",
            &[
                query("BEGIN"),
                query("BEGIN"),
                query("SAVEPOINT a"),
                query("SELECT 1/0"),
                query("SELECT 1"),
                query("ROLLBACK TO a"),
                query("RELEASE a"),
                query("RELEASE a"),
                query("COMMIT"),
                query("COMMIT"),
                query("ROLLBACK"),
                query("START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE"),
                query("UPDATE scratch.t SET a = a"),
                query("END"),
                query("BEGIN; SELECT 1/0; COMMIT"),
                query("ABORT"),
                query("SELECT 1; COMMIT; SELECT 2"),
                query("BEGIN; SELECT 1; COMMIT AND CHAIN; SELECT 3; ROLLBACK"),
                query("SAVEPOINT x"),
                query("SELECT 1; SAVEPOINT y"),
                query("SET TRANSACTION READ ONLY"),
            ],
        ),
        script(
            "notices",
            &[
                query("INSERT INTO scratch.log(words) VALUES ('x'), ('y')"),
                query("SET client_min_messages = error"),
                query("INSERT INTO scratch.log(words) VALUES ('quiet')"),
                query("RESET client_min_messages"),
                query("DROP TABLE IF EXISTS no_such_table"),
                query("ROLLBACK"),
                parse("", "INSERT INTO scratch.log(words) VALUES ($1)"),
                bind("", "", &["z"]),
                execute("", 0),
                sync(),
            ],
        ),
        script("listening", &[query("LISTEN a"), query("LISTEN \"B c\"; UNLISTEN a"), query("UNLISTEN *")]),
    ]
}

/// For roles that see everyone.
pub(crate) fn open_scripts() -> Vec<Script> {
    let mut scripts = common();
    scripts.extend([
        script(
            "notifications",
            &[
                query("LISTEN a"),
                query("NOTIFY a, 'one'"),
                query("BEGIN; NOTIFY a, 'two'; NOTIFY a, 'three'"),
                query("SELECT 1"),
                query("COMMIT"),
                query("NOTIFY a; SELECT 1"),
                parse("", "SELECT pg_notify('a', $1)"),
                bind("", "", &["four"]),
                execute("", 0),
                sync(),
                query("UNLISTEN a; NOTIFY a"),
            ],
        ),
        script(
            "an unknown setting",
            &[query("SET no_such_setting = 1"), query("SET a.b = 'x'"), query("SHOW a.b")],
        ),
        script(
            "two-phase commit",
            &[
                query("BEGIN; INSERT INTO scratch.t(a) VALUES (7001); PREPARE TRANSACTION 'bytes'"),
                query("SELECT count(*) FROM scratch.t WHERE a > 7000"),
                query("COMMIT PREPARED 'bytes'"),
                query("COMMIT PREPARED 'bytes'"),
                query("SELECT count(*) FROM scratch.t WHERE a > 7000"),
                query("BEGIN; DELETE FROM scratch.t WHERE a > 7000; PREPARE TRANSACTION 'bytes2'"),
                query("ROLLBACK PREPARED 'bytes2'"),
                query("PREPARE TRANSACTION 'x'"),
                query("BEGIN; SELECT 1/0"),
                query("PREPARE TRANSACTION 'y'"),
            ],
        ),
        script(
            "temporary tables",
            &[
                query("CREATE TEMP TABLE x (n int, m numeric(5,1))"),
                query("INSERT INTO x VALUES (1, 2), (3, 4)"),
                query("SELECT * FROM x"),
                query("CREATE TEMP TABLE y AS SELECT n FROM x"),
                query("SELECT y.n, x.m FROM y JOIN x USING (n)"),
                query("CREATE TEMP TABLE x ()"),
                query("ALTER TABLE x ADD o text"),
                query("TABLE x"),
                query("DROP TABLE x, y"),
                query("SELECT * FROM x"),
            ],
        ),
        Script {
            name: "cancelled".into(),
            steps: vec![
                Step::Send(query("SELECT 1; SELECT pg_sleep(30); SELECT 2")),
                Step::Cancel,
                Step::Ready(1),
                Step::Send(query("SELECT 3")),
                Step::Ready(1),
                Step::Send(
                    [
                        parse("", "SELECT pg_sleep($1)"),
                        bind("", "", &["30"]),
                        execute("", 0),
                        parse("", "SELECT 1"),
                        sync(),
                    ]
                    .concat(),
                ),
                Step::Cancel,
                Step::Ready(1),
                Step::Send(query("SELECT 4")),
                Step::Ready(1),
                Step::Send(query("BEGIN; SELECT pg_sleep(30)")),
                Step::Cancel,
                Step::Ready(1),
                Step::Send(query("SELECT 5")),
                Step::Ready(1),
                Step::Send(query("COPY (SELECT pg_sleep(30)) TO STDOUT")),
                Step::Ready(1),
                Step::Send(query("ROLLBACK")),
                Step::Ready(1),
                Step::Cancel,
                Step::Pause(Duration::from_millis(300)),
                Step::Send(query("SELECT 6")),
                Step::Ready(1),
            ],
        },
        Script {
            name: "terminated".into(),
            steps: vec![Step::Send(query("SELECT pg_terminate_backend(pg_backend_pid())")), Step::Ready(1)],
        },
        Script {
            name: "terminated in a pipeline".into(),
            steps: vec![
                Step::Send(
                    [
                        parse("", "SELECT 1, pg_terminate_backend(pg_backend_pid())"),
                        bind("", "", &[]),
                        execute("", 0),
                        parse("", "SELECT 2"),
                        sync(),
                    ]
                    .concat(),
                ),
                Step::Ready(1),
            ],
        },
    ]);
    scripts
}

#[test]
fn a_session_of_an_unrestricted_role() {
    same(&Stage::of("dba_gus"), &open_scripts());
}

#[test]
fn a_session_of_a_restricted_role() {
    same(&Stage::of("nurse_amy"), &common());
}

#[test]
fn the_end_of_a_login_is_the_servers() {
    for user in ["dba_gus", "nurse_amy"] {
        let stage = Stage::of(user);
        let after = |wire: crate::common::wire::Wire| {
            let ok = wire.login.iter().position(|m| m.tag == b'R' && m.body == [0; 4]).unwrap();
            let said: Vec<_> = wire.login[ok..]
                .iter()
                .map(|m| (m.tag, if m.tag == b'K' { vec![m.body.len() as u8] } else { m.body.clone() }))
                .collect();
            said
        };
        assert_eq!(after(stage.direct()), after(stage.through()), "{user}");
        assert_eq!(difference(&stage, &[script("nothing", &[])]), None);
    }
}

/// One pgglass serves one database; of others it says what the server says of those that it does not have.
#[test]
fn a_database_that_is_not_there() {
    let stage = Stage::of("dba_gus");
    let told = |port| {
        let heard = Wire::try_login(port, "nowhere", "dba_gus", Duration::from_secs(20)).err().unwrap();
        let error = heard.iter().find(|m| m.tag == b'E').unwrap();
        String::from_utf8_lossy(&error.body).into_owned()
    };
    for port in [stage.plain.server().port(), stage.proxy.port()] {
        let said = told(port);
        for field in ["SFATAL\0", "C3D000\0", "Mdatabase \"nowhere\" does not exist\0"] {
            assert!(said.contains(field), "{said}");
        }
    }
}
