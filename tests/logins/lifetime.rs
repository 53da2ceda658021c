//! Limits, timeouts, and the ends of sessions: PostgreSQL's own codes and words, and nothing left behind.

use std::time::{Duration, Instant};

use crate::common::{Postgres, Proxy};
use crate::support::{backends, eventually, refused, said, watched, with};

#[tokio::test(flavor = "multi_thread")]
async fn one_client_too_many_is_told_so_as_postgresql_does() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, |c| with(&c, "listen", "max_connections = 2"));
    let (one, _two) = (watched(&proxy, "nurse_amy").await, watched(&proxy, "nurse_bob").await);
    let error = refused(&proxy, "dr_chen").await;
    assert_eq!(said(&error), ("FATAL", "53300", "sorry, too many clients already"));
    // A place that is free again is given away again.
    drop(one);
    eventually("a place is free", async || proxy.try_connect("dr_chen").await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_cannot_take_every_place() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, |c| with(&c, "listen", "max_connections_per_user = 2"));
    let (one, _two) = (watched(&proxy, "nurse_amy").await, watched(&proxy, "nurse_amy").await);
    let error = refused(&proxy, "nurse_amy").await;
    assert_eq!(said(&error), ("FATAL", "53300", "too many connections for role \"nurse_amy\""));
    // Others come in, and a failed proof takes no place of anybody.
    watched(&proxy, "nurse_bob").await;
    let mut wrong = proxy.client("dr_chen");
    wrong.password("wrong");
    for _ in 0..3 {
        assert!(crate::common::Session::connect_tls(&wrong).await.is_err());
    }
    watched(&proxy, "dr_chen").await;
    drop(one);
    eventually("a place is free", async || proxy.try_connect("nurse_amy").await.is_ok()).await;
    // The limit is read again at SIGHUP.
    let mut keep = None;
    eventually("a place is free", async || {
        keep = crate::support::Watched::connect(&proxy.client("nurse_amy")).await.ok();
        keep.is_some()
    })
    .await;
    assert_eq!(refused(&proxy, "nurse_amy").await.code().code(), "53300");
    assert!(proxy.reload_with(|c| c.replace("per_user = 2", "per_user = 3")));
    watched(&proxy, "nurse_amy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_sessions_end_with_postgresqls_codes() {
    let database = Postgres::shared().demo();
    let limits = "idle_session_timeout = \"1500ms\"\nidle_in_transaction_session_timeout = \"500ms\"";
    let proxy = Proxy::start_with(&database, |c| with(&c, "listen", limits));
    let idle = watched(&proxy, "nurse_amy").await;
    let idle_since = Instant::now();
    let in_transaction = watched(&proxy, "nurse_amy").await;
    let failed = watched(&proxy, "nurse_amy").await;
    let busy = watched(&proxy, "dba_gus").await;
    in_transaction.client.batch_execute("BEGIN").await.unwrap();
    failed.client.batch_execute("BEGIN").await.unwrap();
    failed.client.batch_execute("SELECT 1/0").await.unwrap_err();
    let running = tokio::spawn(async move {
        // Longer than both limits, in and outside a transaction: a session that works is not idle.
        busy.client.batch_execute("SELECT pg_sleep(2)").await.unwrap();
        busy.client.batch_execute("BEGIN; SELECT pg_sleep(2); COMMIT").await.unwrap();
        busy.text("SELECT 'still here'").await
    });
    for session in [in_transaction, failed] {
        let error = session.last_words().await;
        let words = "terminating connection due to idle-in-transaction timeout";
        assert_eq!(said(&error), ("FATAL", "25P03", words));
    }
    let error = idle.last_words().await;
    assert_eq!(said(&error), ("FATAL", "57P05", "terminating connection due to idle-session timeout"));
    assert!(idle_since.elapsed() > Duration::from_millis(1400), "{:?}", idle_since.elapsed());
    assert_eq!(running.await.unwrap(), "still here");
    eventually("no backend is left", async || backends(&database, "usename = 'nurse_amy'").await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_timeout_and_termination_reach_the_client() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start(&database);
    let session = watched(&proxy, "nurse_amy").await;
    session.client.batch_execute("SET idle_session_timeout = '300ms'").await.unwrap();
    let error = session.last_words().await;
    assert_eq!(said(&error), ("FATAL", "57P05", "terminating connection due to idle-session timeout"));

    let words = "terminating connection due to administrator command";
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dba_gus' AND datname = current_database()";
    let idle = watched(&proxy, "dba_gus").await;
    database.superuser().await.rows(kill).await;
    assert_eq!(said(&idle.last_words().await), ("FATAL", "57P01", words));
    // In the middle of a statement.
    let busy = watched(&proxy, "dba_gus").await;
    let run = busy.client.batch_execute("SELECT pg_sleep(20)");
    let end = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        database.superuser().await.rows(kill).await;
    };
    let (result, ()) = tokio::join!(run, end);
    assert_eq!(said(result.unwrap_err().as_db_error().unwrap()), ("FATAL", "57P01", words));
    assert_eq!(watched(&proxy, "dr_chen").await.text("SELECT 'next'").await, "next");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_dies_leaves_nothing_behind() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start(&database);
    let psql = |sql: &str| {
        let text = format!(
            "host=localhost port={} user=dba_gus dbname={} sslmode=verify-full sslrootcert={}",
            proxy.port(),
            database.name(),
            proxy.ca().display()
        );
        std::process::Command::new("psql")
            .env("PGPASSWORD", "dba_gus-demo")
            .args(["-X", "-c", "BEGIN", "-c", sql, &text])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut one = psql("SELECT pg_sleep(2)");
    eventually("the statement runs", async || {
        backends(&database, "usename = 'dba_gus' AND state = 'active' AND query LIKE '%pg_sleep%'").await == 1
    })
    .await;
    one.kill().unwrap();
    one.wait().unwrap();
    eventually("its backend is gone", async || backends(&database, "usename = 'dba_gus'").await == 0).await;
    let log = proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_ends_sessions_and_nothing_else() {
    let server = Postgres::start();
    let database = server.demo();
    let proxy = Proxy::start(&database);
    let idle = watched(&proxy, "nurse_amy").await;
    assert_eq!(idle.count("SELECT count(*) FROM clinic.patient").await, 25);
    // The driver closes its statement behind the answer. A server that ends with that unread resets the
    // connection, and its last words are lost for anybody.
    idle.client.batch_execute("").await.unwrap();
    server.stop();
    let error = idle.last_words().await;
    assert_eq!(said(&error), ("FATAL", "57P01", "terminating connection due to administrator command"));
    // While it is down a login fails soon and in the protocol; several, so that the pause before the next
    // attempt at the server has grown.
    for _ in 0..50 {
        let error = refused(&proxy, "nurse_amy").await;
        assert_eq!(said(&error).0, "FATAL");
        assert!(["57P03", "08006"].contains(&error.code().code()), "{error:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.start_again();
    let back = Instant::now();
    eventually("logins work again", async || proxy.try_connect("nurse_amy").await.is_ok()).await;
    assert!(back.elapsed() < Duration::from_millis(2500), "{:?}", back.elapsed());
    // Everything that asks the server by the proxy's own account works, too.
    let again = watched(&proxy, "nurse_amy").await;
    assert_eq!(again.count("SELECT count(*) FROM clinic.patient").await, 25);
    let stranger = again.refusal("SELECT name FROM clinic.patient WHERE mrn = 'MRN0001234'").await;
    assert!(stranger.message().starts_with("GLS-201"), "{stranger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_waits_for_work_then_cuts_with_a_word() {
    let database = Postgres::shared().demo();
    let mut proxy = Proxy::start_with(&database, |c| with(&c, "listen", "shutdown_grace = \"2s\""));
    let (idle, open) = (watched(&proxy, "nurse_amy").await, watched(&proxy, "nurse_bob").await);
    let (short, long) = (watched(&proxy, "dba_gus").await, watched(&proxy, "dba_gus").await);
    open.client.batch_execute("BEGIN").await.unwrap();
    let short_run = tokio::spawn(async move { short.client.batch_execute("SELECT pg_sleep(1)").await });
    let long_run = tokio::spawn(async move { long.client.batch_execute("SELECT pg_sleep(60)").await });
    eventually("both statements run", async || {
        backends(&database, "state = 'active' AND query LIKE '%pg_sleep%' AND usename = 'dba_gus'").await == 2
    })
    .await;
    let asked = Instant::now();
    proxy.signal("TERM");
    let words = ("FATAL", "57P01", "terminating connection due to administrator command");
    assert_eq!(said(&idle.last_words().await), words);
    assert!(asked.elapsed() < Duration::from_millis(1900), "idle sessions end at once");
    // Nobody new comes in, and is told by the operating system.
    assert!(proxy.try_connect("nurse_amy").await.is_err_and(|e| e.as_db_error().is_none()));
    // A session in a transaction goes on until the grace is over.
    assert_eq!(open.text("SELECT 'in time'").await, "in time");
    short_run.await.unwrap().expect("a statement that ends within the grace is not cut");
    assert_eq!(said(&open.last_words().await), words);
    assert!(asked.elapsed() > Duration::from_millis(1900), "{:?}", asked.elapsed());
    assert_eq!(said(long_run.await.unwrap().unwrap_err().as_db_error().unwrap()), words);
    let status = proxy.ended_within(Duration::from_secs(6)).expect("the process ends");
    assert!(status.success(), "{status}");
    // What ran at the server was cancelled: nobody takes its reply.
    eventually("the server works for nobody", async || backends(&database, "usename = 'dba_gus'").await == 0)
        .await;
    assert!(proxy.verify().status.success(), "the ledger is whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_does_not_wait() {
    let database = Postgres::shared().demo();
    let mut proxy = Proxy::start(&database);
    let open = watched(&proxy, "nurse_bob").await;
    open.client.batch_execute("BEGIN").await.unwrap();
    proxy.signal("TERM");
    assert!(proxy.ended_within(Duration::from_millis(700)).is_none(), "the first one waits");
    proxy.signal("TERM");
    assert!(proxy.ended_within(Duration::from_secs(5)).expect("ends at once").success());
    assert!(proxy.verify().status.success(), "the ledger is whole");
}
