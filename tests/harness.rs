//! The harness tests itself and the demonstration's data, without the proxy: if these fail, the
//! failures of the other integration tests mean nothing.

mod common;

use common::Postgres;

#[tokio::test]
async fn the_demo_database_has_what_the_tests_count_on() {
    let database = Postgres::shared().demo();
    let session = database.superuser().await;
    for (relation, rows) in [
        ("clinic.ward", 12),
        ("clinic.drug", 20),
        ("clinic.patient", 2_000),
        ("clinic.encounter", 4_000),
        ("clinic.bed_assignment", 706),
        ("clinic.care_team", 2_300),
        ("clinic.problem", 4_200),
        ("clinic.allergy", 1_500),
        ("clinic.lab_order", 6_000),
        ("clinic.lab_result", 18_000),
        ("clinic.medication_order", 5_000),
        ("clinic.note", 6_000),
        ("clinic.appointment", 3_000),
        ("glass.assigned", 300),
    ] {
        assert_eq!(session.count(&format!("SELECT count(*) FROM {relation}")).await, rows, "{relation}");
    }
    for nobodys in [
        "clinic.encounter WHERE patient_id",
        "clinic.lab_order WHERE patient_id",
        "clinic.lab_result WHERE order_id",
        "clinic.appointment WHERE patient_id",
        "clinic.bed_assignment WHERE patient_id",
    ] {
        let rows = session.count(&format!("SELECT count(*) FROM {nobodys} IS NULL")).await;
        assert!(rows > 0, "no NULL key in {nobodys}");
    }
}

#[tokio::test]
async fn assignments_are_as_the_tour_expects() {
    let database = Postgres::shared().demo();
    let session = database.superuser().await;
    let held =
        "SELECT patient_id FROM glass.assigned WHERE user_name = 'nurse_amy' AND valid_to IS NULL ORDER BY 1";
    let amy: Vec<i64> = session.query(held, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(amy, common::patients_of_amy());
    for (user, held, expired) in [("nurse_bob", 25, 0), ("dr_chen", 120, 5), ("dr_diaz", 120, 0)] {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE valid_to IS NULL), count(*) FILTER (WHERE valid_to < now())
             FROM glass.assigned WHERE user_name = '{user}'"
        );
        let row = session.query_one(&sql, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (held, expired), "{user}");
    }
    let sql =
        format!("SELECT count(*) FROM glass.assigned WHERE patient_id IN ({0}, {0} + 1)", common::STRANGER);
    assert_eq!(session.count(&sql).await, 0, "the tour's patients are on nobody's list");
}

#[tokio::test]
async fn every_user_logs_in_with_scram_over_tls() {
    let database = Postgres::shared().demo();
    for user in common::USERS {
        let session = database.connect(user).await;
        let rows =
            session.rows("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await;
        assert_eq!(rows, [[Some(user.to_owned()), Some("t".to_owned())]]);
    }
}

#[tokio::test]
async fn the_service_account_has_what_it_needs_and_no_more() {
    let database = Postgres::shared().demo();
    let service = database.connect("pgglass").await;
    let verifier = service.rows("SELECT rolpassword FROM glass.verifier('nurse_amy')").await;
    assert!(verifier[0][0].as_deref().unwrap().starts_with("SCRAM-SHA-256$"));
    assert!(service.rows("SELECT * FROM glass.verifier('postgres')").await.is_empty(), "superusers stay out");
    assert_eq!(service.count("SELECT count(*) FROM glass.assigned").await, 300);
    let mrn = format!("SELECT patient_id FROM clinic.patient WHERE mrn = '{}'", common::STRANGER_MRN);
    assert_eq!(service.count(&mrn).await, common::STRANGER);
    for closed in
        ["SELECT name FROM clinic.patient", "SELECT body FROM clinic.note", "SELECT * FROM pg_authid"]
    {
        assert_eq!(service.refusal(closed).await.code().code(), "42501", "{closed}");
    }
    let amy = database.connect("nurse_amy").await;
    assert_eq!(amy.refusal("SELECT glass.verifier('dba_gus')").await.code().code(), "42501");
}

#[tokio::test]
async fn databases_of_different_tests_are_apart() {
    let server = Postgres::shared();
    let (one, two) = (server.demo(), server.database_with("CREATE TABLE public.only_here (a int)"));
    one.superuser().await.rows("DELETE FROM clinic.note").await;
    assert_eq!(server.demo().superuser().await.count("SELECT count(*) FROM clinic.note").await, 6_000);
    assert_eq!(two.superuser().await.count("SELECT count(*) FROM only_here").await, 0);
    assert!(one.superuser().await.try_rows("SELECT * FROM only_here").await.is_err());
}

#[tokio::test]
async fn notices_are_kept() {
    let session = Postgres::shared().demo().superuser().await;
    session.rows("DO $$ BEGIN RAISE WARNING 'look here'; END $$").await;
    let notices = session.take_notices();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].message(), "look here");
    assert!(session.take_notices().is_empty());
}

/// A server of one's own is gone, process and directory, as soon as it is dropped.
#[test]
fn dropping_a_server_removes_it() {
    let server = Postgres::start();
    let root = server.root().to_owned();
    assert!(root.join("database/postmaster.pid").exists());
    drop(server);
    assert!(!root.exists());
}

/// What an aborting test leaves to the reaper; run by the test below in a process of its own.
#[test]
#[ignore = "aborts; run by an_aborted_test_leaves_nothing_behind"]
fn aborts_with_a_server_running() {
    use std::os::unix::process::CommandExt;
    let server = Postgres::shared();
    let mut bystander = std::process::Command::new("sleep");
    // Not our output: whoever reads it would wait for the sleeper.
    bystander.arg("120").stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let bystander = bystander.process_group(0).spawn().unwrap();
    server.register(bystander.id());
    println!("left: {} {}", server.root().display(), bystander.id());
    std::process::abort();
}

#[test]
fn an_aborted_test_leaves_nothing_behind() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "aborts_with_a_server_running", "--nocapture"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let left = text.split("left: ").nth(1).unwrap_or_else(|| panic!("no line of the helper in:\n{text}"));
    let (root, process) = left.lines().next().unwrap().split_once(' ').unwrap();
    let process = format!("/proc/{process}");
    let gone = || !std::path::Path::new(root).exists() && !is_running(&process);
    let started = std::time::Instant::now();
    while !gone() && started.elapsed() < std::time::Duration::from_secs(20) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(gone(), "left behind: {left}");
}

/// False also for a process that is dead and merely not yet waited for.
fn is_running(process: &str) -> bool {
    std::fs::read_to_string(format!("{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
