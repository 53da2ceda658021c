//! Service accounts: the server knows an account of the role, the proxy knows the person.

use crate::common::{Database, Postgres, Proxy, STRANGER};
use crate::support::{backends, eventually, refused, said, watched};

/// An account for nurses and one for DBAs, with the rights that the groups have.
const ACCOUNTS: &str = "DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'clinic_nurse') THEN
        CREATE ROLE clinic_nurse LOGIN PASSWORD 'account-of-nurses';
        CREATE ROLE clinic_dba LOGIN PASSWORD 'account-of-dbas';
        GRANT nurse TO clinic_nurse;
        GRANT dba TO clinic_dba;
    END IF;
END $$";

fn by_accounts<'a>(database: &Database<'a>) -> Proxy<'a> {
    database.server().psql(database.name(), ACCOUNTS);
    Proxy::start_with(database, |config| {
        let secrets = config.lines().find_map(|l| l.strip_prefix("service_password_file = \"")).unwrap();
        let directory = secrets.trim_end_matches("service-password\"");
        let mut more = String::new();
        for (role, user, password) in
            [("nurse", "clinic_nurse", "account-of-nurses"), ("dba", "clinic_dba", "account-of-dbas")]
        {
            let file = format!("{directory}{user}");
            std::fs::write(&file, password).unwrap();
            more.push_str(&format!(
                "[upstream.account.{role}]\nuser = \"{user}\"\npassword_file = \"{file}\"\n"
            ));
        }
        let config = config.replace("tls = \"disable\"", "tls = \"disable\"\nlogin = \"service-account\"");
        format!("{config}\n{more}")
    })
}

/// Every record of the ledger as text, one after the other.
pub(crate) fn ledger(proxy: &Proxy<'_>) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(proxy.ledger()).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_file() {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&entry).unwrap()));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_person_is_the_principal_whatever_the_account() {
    let server = Postgres::start();
    let database = server.demo();
    let mut proxy = by_accounts(&database);
    let (amy, bob) = (watched(&proxy, "nurse_amy").await, watched(&proxy, "nurse_bob").await);
    for session in [&amy, &bob] {
        assert_eq!(
            session.text("SELECT session_user::text || '/' || current_user").await,
            "clinic_nurse/clinic_nurse"
        );
    }
    let sees = "SELECT string_agg(patient_id::text, ',' ORDER BY patient_id) FROM clinic.patient";
    let (of_amy, of_bob) = (amy.text(sees).await, bob.text(sees).await);
    assert_eq!(of_amy.split(',').count(), 25);
    assert_ne!(of_amy, of_bob, "the same account, two people, two sets of patients");
    let stranger = format!("SELECT name FROM clinic.patient WHERE patient_id = {STRANGER}");
    assert!(amy.refusal(&stranger).await.message().starts_with("GLS-201"));
    // Who works under the account can be told at the server.
    assert_eq!(
        backends(&database, "usename = 'clinic_nurse' AND application_name = 'nurse_amy/tests'").await,
        1
    );
    assert_eq!(amy.text("SHOW application_name").await, "nurse_amy/tests");

    // Break-glass is the person's, not the account's.
    let open = "SELECT * FROM glass.open('MRN0001234', 'BTG', 'unconscious in resus 2, unknown drugs')";
    amy.client.batch_execute(open).await.unwrap();
    assert_eq!(amy.client.query(&stranger, &[]).await.unwrap().len(), 1);
    assert!(bob.refusal(&stranger).await.message().starts_with("GLS-201"));

    // A role without an account does not come in; nor does one whose proof fails.
    let error = refused(&proxy, "bill_eva").await;
    assert_eq!(said(&error), ("FATAL", "28000", "role \"billing\" of pgglass has no database account"));
    drop((amy, bob));
    proxy.stop();
    let text = ledger(&proxy);
    assert!(
        text.contains("\"principal\":\"nurse_amy\"") && text.contains("\"database_user\":\"clinic_nurse\"")
    );
    let report = proxy.report(&STRANGER.to_string());
    assert!(!report.is_empty());
    for entry in report {
        // Bob asked for her, too, and was refused.
        let person = entry["who"]["principal"].as_str().unwrap().to_owned();
        assert!(["nurse_amy", "nurse_bob"].contains(&person.as_str()), "{entry}");
        // The end of a break-glass session has none.
        assert!(["clinic_nurse", ""].contains(&entry["who"]["database_user"].as_str().unwrap()), "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_client_resets_takes_the_guard_away() {
    let server = Postgres::start();
    let database = server.demo();
    let proxy = by_accounts(&database);
    let amy = watched(&proxy, "nurse_amy").await;
    let sees = "SELECT string_agg(patient_id::text, ',' ORDER BY patient_id) FROM clinic.patient";
    let before = amy.text(sees).await;
    assert_eq!(before.split(',').count(), 25);
    for sql in [
        "RESET ROLE",
        "RESET SESSION AUTHORIZATION",
        "SET SESSION AUTHORIZATION DEFAULT",
        "SET SESSION AUTHORIZATION clinic_nurse",
        "SET ROLE NONE",
        "SET ROLE nurse",
        "SET ROLE clinic_dba",
        "SET LOCAL ROLE nurse",
        "RESET ALL",
        "DISCARD ALL",
        "DISCARD PLANS",
        "SET application_name = 'dba_gus/psql'",
        "SELECT set_config('role', 'nurse', false)",
        "SELECT set_config('session_authorization', 'clinic_nurse', false)",
        "BEGIN; SET LOCAL session_authorization = 'clinic_nurse'; COMMIT",
    ] {
        // Some are refused, some do nothing: what counts is what is seen afterwards.
        let _ = amy.client.batch_execute(sql).await;
        let _ = amy.client.batch_execute("ROLLBACK").await;
        let now: String = amy.client.query_one(sees, &[]).await.unwrap().get(0);
        assert_eq!(now, before, "{sql}");
        assert_eq!(amy.text("SELECT current_user::text").await, "clinic_nurse", "{sql}");
    }
    // Colleagues under the same account are out of reach: their sessions, their statements.
    let bob = watched(&proxy, "nurse_bob").await;
    let others = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() OR query IS NOT NULL";
    assert_eq!(amy.count(others).await, 0);
    assert!(amy.count("SELECT count(*) FROM pg_stat_activity").await <= 1);
    let pid = bob.client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get::<_, i32>(0);
    for sql in [
        format!("SELECT pg_cancel_backend({pid})"),
        format!("SELECT pg_terminate_backend({pid})"),
        "SELECT * FROM glass.assigned".to_owned(),
        "INSERT INTO glass.assigned (user_name, patient_id) VALUES ('nurse_amy', 881234)".to_owned(),
        "COMMIT PREPARED 'x'".to_owned(),
        "SELECT lo_get(1)".to_owned(),
    ] {
        let error = amy.refusal(&sql).await;
        assert!(error.message().starts_with("GLS-"), "{sql}: {error:?}");
    }
    assert_eq!(bob.text("SELECT 'still here'").await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_not_a_way_up() {
    let server = Postgres::start();
    let database = server.demo();
    let proxy = by_accounts(&database);
    // The rights are those of the role's account, not of the person's own database role.
    let gus = watched(&proxy, "dba_gus").await;
    assert_eq!(gus.text("SELECT session_user::text").await, "clinic_dba");
    assert_eq!(gus.refusal("SET ROLE clinic_nurse").await.code().code(), "42501");
    assert_eq!(gus.refusal("SELECT glass.verifier('nurse_amy')").await.code().code(), "42501");

    // A session does not outlive the role whose account it has.
    let amy = watched(&proxy, "nurse_amy").await;
    let promoted = |c: String| {
        c.replace("[role.dba]\ngroups = [\"dba\"]", "[role.dba]\nusers = [\"nurse_amy\"]\ngroups = [\"dba\"]")
    };
    assert!(proxy.reload_with(promoted));
    let error = amy.last_words().await;
    assert_eq!(said(&error), ("FATAL", "57P01", "terminating connection due to a change of the user's role"));
    assert_eq!(watched(&proxy, "nurse_amy").await.text("SELECT session_user::text").await, "clinic_dba");

    // What is wrong with an account is the operator's affair, not the client's.
    server.psql(database.name(), "ALTER ROLE clinic_dba PASSWORD 'another'");
    let error = refused(&proxy, "dba_gus").await;
    assert_eq!(said(&error), ("FATAL", "08006", "the proxy has no connection to the database server"));
    eventually("the log says why", async || {
        proxy.log().contains("password authentication failed for user \\\"clinic_dba\\\"")
            || proxy.log().contains("password authentication failed for user \"clinic_dba\"")
    })
    .await;
    server.psql(database.name(), "ALTER ROLE clinic_dba PASSWORD 'account-of-dbas'");
    watched(&proxy, "dba_gus").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_too_many_rights_keeps_the_proxy_from_starting() {
    let server = Postgres::start();
    let database = server.demo();
    let proxy = by_accounts(&database);
    let check = || {
        let output =
            crate::common::pgglass(&["check".as_ref(), "--config".as_ref(), proxy.config().as_os_str()]);
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (fine, text) = check();
    assert!(fine && !text.contains("guard-rights"), "{text}");
    // The rights that guards need are the account's, not the person's.
    server.psql("postgres", "REVOKE nurse FROM clinic_nurse");
    let (fine, text) = check();
    assert!(fine && text.contains("database role clinic_nurse cannot read it"), "{text}");
    server.psql("postgres", "GRANT nurse TO clinic_nurse");
    for (give, take, word) in [
        ("ALTER ROLE clinic_nurse SUPERUSER", "ALTER ROLE clinic_nurse NOSUPERUSER", "superuser"),
        ("ALTER ROLE clinic_nurse CREATEROLE", "ALTER ROLE clinic_nurse NOCREATEROLE", "CREATEROLE"),
        ("ALTER ROLE clinic_nurse REPLICATION", "ALTER ROLE clinic_nurse NOREPLICATION", "REPLICATION"),
        ("GRANT pgglass TO clinic_nurse", "REVOKE pgglass FROM clinic_nurse", "member of pgglass"),
        (
            "GRANT pg_read_server_files TO clinic_nurse",
            "REVOKE pg_read_server_files FROM clinic_nurse",
            "member of pg_read_server_files",
        ),
        ("ALTER ROLE clinic_nurse NOLOGIN", "ALTER ROLE clinic_nurse LOGIN", "may not log in"),
        (
            "ALTER ROLE clinic_nurse RENAME TO clinic_else",
            "ALTER ROLE clinic_else RENAME TO clinic_nurse",
            "no such",
        ),
    ] {
        server.psql("postgres", give);
        let (fine, text) = check();
        assert!(!fine && text.contains("error[account]") && text.contains(word), "{give}: {text}");
        server.psql("postgres", take);
    }
}
