//! P3: no byte of a protected row leaves before the record that names its patient is durable. Shown
//! from outside: whatever a client has seen when the proxy is killed is in the ledger, and where the
//! ledger cannot be written nothing arrives.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::common::{Postgres, Proxy};
use crate::support::{clear, proxy, replaced, told, told_in, within};
use crate::wire::{Wire, bind, cells, execute, flush, parse, query, sync};

/// Many rows whose patients come one after the other.
fn stream(n: usize) -> String {
    format!(
        "SELECT p.patient_id, p.name, g, {n} AS run FROM clinic.patient p CROSS JOIN generate_series(1, 300) g ORDER BY p.patient_id"
    )
}

/// The patients in whole rows, and whether the end was seen.
fn seen(wire: &mut Wire, mut until: impl FnMut(usize)) -> (BTreeSet<String>, bool) {
    let (mut patients, mut rows) = (BTreeSet::new(), 0);
    while let Some(message) = wire.try_next() {
        match message.tag {
            b'D' => {
                rows += 1;
                patients.extend(cells(&message.body).swap_remove(0));
                until(rows);
                if rows % 1000 == 0 {
                    wire.forget();
                }
            }
            b'Z' => return (patients, true),
            _ => {}
        }
    }
    (patients, false)
}

#[test]
fn what_a_client_saw_before_a_crash_is_in_the_recovered_ledger() {
    let database = Postgres::shared().demo();
    let mut proxy = proxy(&database);
    let (mut interrupted, mut partly_recorded) = (0, 0);
    for (run, user) in
        ["dba_gus", "dr_chen", "dba_gus", "ana_fox", "dba_gus", "dr_chen", "dba_gus"].iter().enumerate()
    {
        let sql = stream(run);
        let mut wire = Wire::through(&proxy, &database, user);
        wire.send(&query(&sql));
        // At another moment each time, without a clock that makes a slow machine see nothing.
        let kill_at = [1, 400, 20_000, 3_000, 150_000, 9_000, 60_001][run];
        let pid = proxy.pid().unwrap().to_string();
        let (patients, ended) = seen(&mut wire, |rows| {
            if rows == kill_at {
                assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
            }
        });
        proxy.kill();
        interrupted += usize::from(!ended);
        assert!(!patients.is_empty(), "run {run} saw nothing");
        // As it is on disk, and after recovery.
        let before = told_in(&proxy.ledger(), &sql);
        proxy.serve();
        let after = told_in(&proxy.ledger(), &sql);
        for told in [&before, &after] {
            let missing: Vec<_> = patients.iter().filter(|p| !told.names(p)).collect();
            assert!(
                missing.is_empty(),
                "run {run} of {user}: {} of {} missing, {:?} ...",
                missing.len(),
                patients.len(),
                missing.first()
            );
        }
        assert!(
            before.patients.is_subset(&after.patients) && before.times == after.times,
            "recovery lost records"
        );
        partly_recorded += usize::from(!after.all_patients && after.patients.len() < 2000);
    }
    assert!(interrupted >= 4, "only {interrupted} of 7 were interrupted");
    assert!(partly_recorded >= 2, "everything was recorded at once: the test shows nothing");
    let verified = proxy.verify();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// A small file system of its own for the ledger.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(size: &str) -> Option<SmallDisk> {
        let path = tempfile::Builder::new().prefix("pgglass-disk.").tempdir().unwrap().keep();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk(path)),
            Ok(output) => {
                eprintln!(
                    "skipped: no small file system: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                let _ = std::fs::remove_dir(&path);
                None
            }
            Err(error) => {
                eprintln!("skipped: no mount command: {error}");
                None
            }
        }
    }

    /// Fills it up to what is left over, bytes.
    fn fill(&self, left: u64) {
        let free = || {
            let output = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.0).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().last().unwrap().trim().parse::<u64>().unwrap()
        };
        let size = usize::try_from(free().saturating_sub(left)).unwrap();
        // The last page may not fit; what counts is that the file system is full.
        let _ = std::fs::write(self.0.join("filler"), vec![1; size]);
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// The configuration with the ledger on `disk`.
fn on_disk(config: String, disk: &Path) -> String {
    let config = clear(config);
    let line = config.lines().find(|l| l.starts_with("directory = ")).unwrap().to_owned();
    let there = format!(
        "directory = \"{}\"\nreserve = \"256KiB\"\nsegment_bytes = \"1MiB\"",
        disk.join("ledger").display()
    );
    replaced(config, &line, &there)
}

#[test]
fn with_a_full_ledger_no_protected_row_arrives_and_the_rest_goes_on() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, |config| on_disk(config, &disk.0));
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "25");
    disk.fill(0);
    let protected = "SELECT name FROM clinic.patient ORDER BY patient_id";
    let mut refused = 0;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    for n in 0.. {
        // What fitted into the space allocated ahead may still go; then no more.
        if std::time::Instant::now() > until {
            break;
        }
        let reply = amy.query(protected);
        match reply.failure() {
            None => assert_eq!(refused, 0, "served again after {refused} refusals, try {n}"),
            Some(failure) => {
                assert_eq!(reply.rows().len(), 0, "a row and then an error");
                assert_eq!(failure.gls().as_deref(), Some("GLS-230"), "{failure:?}");
                refused += 1;
            }
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "a full disk refused nothing");
    // Every way to run a statement, and for who may see everyone as well.
    for wire in [&mut amy, &mut gus] {
        for sql in [
            protected,
            "SELECT count(*) FROM clinic.note",
            "SELECT EXISTS (SELECT FROM clinic.patient WHERE patient_id = 880003)",
        ] {
            assert_eq!(wire.query(sql).refusal().gls().as_deref(), Some("GLS-230"), "{sql}");
            assert_eq!(wire.extended(sql, &[]).refusal().gls().as_deref(), Some("GLS-230"), "{sql}");
        }
        let pipeline =
            [parse("s", protected), bind("p", "s", &[]), execute("p", 2), execute("p", 0), sync()].concat();
        wire.send(&pipeline);
        assert_eq!(wire.reply().refusal().gls().as_deref(), Some("GLS-230"));
        // The session goes on.
        assert_eq!(wire.ok("SELECT count(*) FROM clinic.ward").value(), "12");
        assert_eq!(
            wire.extended("SELECT name FROM clinic.drug ORDER BY drug_id LIMIT 1", &[]).value(),
            "warfarin"
        );
        assert_eq!(wire.query("BEGIN; SELECT 1").status(), 'T');
        assert_eq!(wire.query(protected).refusal().gls().as_deref(), Some("GLS-230"));
        assert_eq!(wire.query("SELECT 1").refusal().sqlstate, "25P02");
        assert_eq!(wire.query("ROLLBACK").status(), 'I');
    }
    // A change leaves no trace: it would be a read without a record, too.
    let before = database.server().psql(database.name(), "SELECT count(*) FROM clinic.note");
    let insert = "INSERT INTO clinic.note (patient_id, author, kind, written_at, body) VALUES (880003, 'a', 'b', now(), 'c')";
    assert_eq!(amy.query(insert).refusal().gls().as_deref(), Some("GLS-230"));
    assert_eq!(before, database.server().psql(database.name(), "SELECT count(*) FROM clinic.note"));
    disk.clear();
    assert!(
        within(Duration::from_secs(20), || amy.query(protected).failure().is_none()),
        "it does not recover"
    );
    assert!(told_in(&disk.0.join("ledger"), protected).times > 0);
    let verified = crate::common::pgglass(&[
        "verify".as_ref(),
        "--directory".as_ref(),
        disk.0.join("ledger").as_os_str(),
        "--public-key".as_ref(),
        proxy.public_key().as_os_str(),
    ]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn a_ledger_that_fills_while_rows_stream_stops_them_at_the_record() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, |config| on_disk(config, &disk.0));
    // Far more than the sockets in between hold (32 MiB and more) while the client fills the disk, and more
    // records than the space that the live segment allocated before.
    let sql = stream(99).replace("g,", "g, repeat('x', 800),");
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    gus.send(&query(&sql));
    let (patients, _) = seen(&mut gus, |rows| {
        if rows == 20_000 {
            disk.fill(0);
        }
    });
    let told = told_in(&disk.0.join("ledger"), &sql);
    assert!(!patients.is_empty());
    let missing: Vec<_> = patients.iter().filter(|p| !told.names(p)).collect();
    assert!(
        missing.is_empty(),
        "{} of {} patients without a record: {:?} ...",
        missing.len(),
        patients.len(),
        missing.first()
    );
    assert!(patients.len() < 2000, "the disk was not full");
}

#[test]
fn a_reply_is_recorded_when_it_is_complete_at_the_client() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for n in 0..40 {
        let sql = format!("SELECT name, {n} FROM clinic.patient WHERE patient_id = 880003");
        let reply = if n % 2 == 0 { amy.ok(&sql) } else { amy.extended(&sql, &[]) };
        assert_eq!(reply.rows().len(), 1);
        // At once, not after a while: the row is here, so its record must be there.
        let told = told_in(&proxy.ledger(), &sql);
        assert_eq!((told.times, told.patients.len()), (1, 1), "{sql}: {told:?}");
    }
    assert_eq!(
        told(&proxy, "SELECT name, 1 FROM clinic.patient WHERE patient_id = 880003").exact,
        Some(true)
    );
}

/// A Query that the server skips because the pipeline before it failed gets no reply of its own.
/// Whoever counts on one takes the next reply for it.
#[test]
fn a_pipeline_that_failed_does_not_mix_up_replies() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let starts = [
        [parse("", "SELECT 1/0"), bind("", "", &[]), execute("", 0)].concat(),
        parse("", "SELECT nothing FROM clinic.ward"),
        bind("", "nothing", &[]),
        parse("", "SELECT ctid FROM clinic.patient"),
        parse("", "SELEC"),
    ];
    let mut wrong = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        let mut amy = Wire::through(&proxy, &database, "nurse_amy");
        let sql = format!("SELECT name, {n} AS mixed FROM clinic.patient ORDER BY patient_id");
        let free = "SELECT name FROM clinic.ward ORDER BY ward_id";
        amy.send(
            &[start.clone(), query(free), query(free), sync(), query(&sql), query("SELECT 'end'")].concat(),
        );
        amy.until_silence(Duration::from_secs(2));
        let mut replies = Vec::new();
        while let Some(reply) = amy.try_reply() {
            replies.push(reply);
        }
        let told = told_in(&proxy.ledger(), &sql);
        for reply in &replies {
            // Her rows with another number of columns, or without a record, were taken for something else.
            let hers = reply
                .rows()
                .iter()
                .filter(|r| r.get(1).is_some_and(|c| c.as_deref() == Some(&n.to_string())))
                .count();
            let wide = reply.rows().iter().any(|r| r.len() > 2);
            if wide || hers > 0 && told.patients.len() != 25 {
                wrong.push(format!(
                    "start {n}: {hers} rows, wide: {wide}, recorded {told:?}, {:?}",
                    reply.columns()
                ));
            }
        }
        let tags: Vec<String> = replies.iter().map(|r| format!("{:.40}", r.tags())).collect();
        // Either all replies, each its own, or the session ended before one was taken for another
        // (that it ends is tests/promises/p1_transparency's to say).
        if replies.len() == 3 && replies[2].firsts() != ["end"] || replies.len() > 3 {
            wrong.push(format!("start {n}: {} replies {tags:?}", replies.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A portal that a ROLLBACK TO brings back, behind a simple query that was refused or failed, in a pipeline whose last
/// ReadyForQuery still said that the transaction failed: its rows leave with their record or not at all.
#[test]
fn a_portal_that_comes_back_to_life_has_no_rows_without_a_record() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let run = |name: &str, sql: &str| [parse(name, sql), bind(name, name, &[]), execute(name, 0)].concat();
    let reading = "SELECT patient_id, name FROM clinic.patient ORDER BY 1";
    for (user, failing) in [
        ("nurse_amy", "SELECT * FROM pg_stats"),
        ("nurse_amy", "SELECT 1/0"),
        ("dba_gus", "SELECT * FROM no_such"),
        ("dba_gus", "SELECT 1/0"),
        ("dba_gus", "SELEC"),
    ] {
        let mut wire = Wire::through(&proxy, &database, user);
        wire.ok("BEGIN");
        wire.send(&[parse("", reading), bind("", "", &[]), execute("", 1), sync()].concat());
        assert_eq!(wire.reply().rows().len(), 1, "{user}");
        wire.send(&[run("x", "SAVEPOINT s"), sync()].concat());
        assert_eq!(wire.reply().failure(), None);
        assert_eq!(wire.query(failing).status(), 'E', "{failing}");
        wire.send(&[run("z", "ROLLBACK TO s"), flush()].concat());
        assert_eq!((wire.next().tag, wire.next().tag, wire.next().tag), (b'1', b'2', b'C'));
        wire.send(&[execute("", 0), sync()].concat());
        let reply = wire.reply();
        if failing == "SELEC" {
            // No statement at all leaves the portal where it was.
            let record = told(&proxy, reading);
            assert!(reply.firsts().iter().all(|key| record.patients.contains(key)), "{user}, {failing}");
        } else {
            assert!(reply.rows().is_empty(), "{user}, {failing}: {} rows", reply.rows().len());
            assert_eq!(reply.failure().map(|f| f.sqlstate).as_deref(), Some("34000"), "{user}, {failing}");
        }
        assert!(reply.rows().iter().all(|row| row.len() == 2), "{user}, {failing}: hidden columns");
        wire.query("ROLLBACK");
        wire.ok("SELECT 1");
    }
}
