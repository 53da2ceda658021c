//! P3's ground: a receipt is good only for what is on the disk, and a failing disk is answered for.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use pgglass::ledger::{Cause, Ledger, OnFailure, Priority, read_records};

use crate::support::{Bench, config, notes};

/// A small file system of its own; `None` (and a reason) where mounting is not allowed.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .output();
        match done {
            Ok(out) if out.status.success() => Some(Self(dir)),
            Ok(out) => {
                eprintln!("skipped: no small file system: {}", String::from_utf8_lossy(&out.stderr).trim());
                None
            }
            Err(e) => {
                eprintln!("skipped: no mount command: {e}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_ordinary_records_keeps_the_reserve_and_recovers() {
    let Some(disk) = SmallDisk::new("1m") else { return };
    let bench = Bench::new();
    let directory = disk.0.path().join("ledger");
    let mut config = config(bench.dir.path(), directory.clone());
    config.reserve = 256 << 10;
    let filler = disk.0.path().join("filler");
    fs::write(&filler, vec![1; 300 << 10]).unwrap();
    let ledger = Ledger::open(config.clone()).unwrap().0;
    let mut acknowledged = Vec::new();
    let mut refused = None;
    for n in 0..2000 {
        let note = format!("ordinary {n} {}", "z".repeat(2000));
        match ledger.append(&bench.record(&note), Priority::Ordinary).wait() {
            Ok(_) => acknowledged.push(note),
            Err(e) => {
                refused = Some(e);
                break;
            }
        }
    }
    let refused = refused.expect("a disk of 1 MiB takes no 4 MB");
    assert_eq!((refused.sqlstate(), refused.shutdown), ("53100", false), "{refused}");
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    assert_eq!(ledger.healthy().unwrap_err().sqlstate(), "53100");
    for n in 0..40 {
        let note = format!("emergency {n} {}", "z".repeat(2000));
        ledger.append(&bench.record(&note), Priority::Reserve).wait().unwrap();
        acknowledged.push(note);
    }
    let again = ledger.append(&bench.record("ordinary"), Priority::Ordinary).wait();
    assert_eq!(again.unwrap_err().sqlstate(), "53100");
    fs::remove_file(&filler).unwrap();
    let start = Instant::now();
    while ledger.healthy().is_err() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(ledger.healthy(), Ok(()));
    ledger.append(&bench.record("well again"), Priority::Ordinary).wait().unwrap();
    acknowledged.push("well again".into());
    ledger.close();
    assert_eq!(notes(&directory), acknowledged);
    let found = pgglass::ledger::verify(&directory, &bench.key, &[], |_, _| {}).unwrap();
    assert!(found.ok && found.proven == found.leaves, "{found:?}");
    Ledger::open(config).unwrap().0.close();
}

const LIMITED: &str = "PGGLASS_TEST_LEDGER_LIMITED";

/// Not a test by itself: the process that [`a_short_write_moves_on_to_a_new_segment`] starts with a
/// limit on the size of its files.
#[test]
fn child_with_a_file_size_limit() {
    let Ok(dir) = std::env::var(LIMITED) else { return };
    let bench = Bench::new();
    let dir = std::path::PathBuf::from(dir);
    let ledger = Ledger::open(config(&dir, dir.join("ledger"))).unwrap().0;
    for n in 0..100 {
        let record = bench.record(&format!("{n} {}", "z".repeat(2000)));
        assert_eq!(ledger.append(&record, Priority::Ordinary).wait(), Ok(n));
    }
    assert_eq!(ledger.healthy(), Ok(()));
    ledger.close();
    println!("all acknowledged");
}

#[test]
fn a_short_write_moves_on_to_a_new_segment() {
    let bench = Bench::new();
    // A write across the limit is short, as on a failing device; the signal that comes with it is ignored.
    let limited = "trap '' XFSZ; ulimit -f 41; \
                   exec \"$0\" --exact durability::child_with_a_file_size_limit --nocapture";
    let output = Command::new("bash")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .env(LIMITED, bench.dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("all acknowledged"), "{said} {}", String::from_utf8_lossy(&output.stderr));
    let found = bench.verify();
    assert!(found.ok && found.proven == 100 && found.segments > 3, "{found:?}");
    assert!(found.remarks.iter().any(|r| r.message.contains("after the segment's end")), "{found:?}");
    let (ledger, replay) = Ledger::open(bench.config()).unwrap();
    assert_eq!((replay.glass.len(), replay.damage.len()), (100, 0));
    ledger.close();
}

#[test]
fn on_failure_shutdown_says_so() {
    let Some(disk) = SmallDisk::new("512k") else { return };
    let bench = Bench::new();
    let mut config = config(bench.dir.path(), disk.0.path().join("ledger"));
    config.on_failure = OnFailure::Shutdown;
    let ledger = Ledger::open(config).unwrap().0;
    let big = bench.record(&"z".repeat(600 << 10));
    let error = ledger.append(&big, Priority::Ordinary).wait().unwrap_err();
    assert!(error.shutdown && error.sqlstate() == "53100", "{error:?}");
    assert!(ledger.healthy().unwrap_err().shutdown);
}

#[test]
fn a_removed_live_file_is_noticed_before_anything_is_acknowledged() {
    let bench = Bench::new();
    let ledger = Ledger::open(bench.config()).unwrap().0;
    bench.append(&ledger, 0..3);
    fs::remove_file(bench.files("segment").remove(0)).unwrap();
    let error = ledger.append(&bench.record("lost"), Priority::Reserve).wait().unwrap_err();
    assert!(matches!(error.cause, Cause::Replaced { .. }), "{error}");
    assert!(ledger.healthy().is_err());
}

#[test]
fn receipts_resolve_in_order_with_their_leaf_index_under_async_too() {
    let bench = Bench::new();
    let ledger = Ledger::open(bench.config()).unwrap().0;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let indices = runtime.block_on(async {
        let receipts: Vec<_> =
            (0..100).map(|n| ledger.append(&bench.record(&n.to_string()), Priority::Ordinary)).collect();
        let mut indices = Vec::new();
        for receipt in receipts {
            indices.push(receipt.await.unwrap());
        }
        indices
    });
    assert_eq!(indices, (0..100).collect::<Vec<u64>>());
    let clone = ledger.clone();
    ledger.close();
    let closed = clone.append(&bench.record("late"), Priority::Ordinary).try_get();
    assert!(matches!(closed, Some(Err(e)) if e.cause == Cause::Closed));
    let leaves: Vec<u64> = read_records(&bench.ledger_dir()).unwrap().map(|r| r.unwrap().leaf).collect();
    assert_eq!(leaves, (0..100).collect::<Vec<u64>>());
}

#[test]
fn an_idle_log_is_signed_again_and_again() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.checkpoint_every = Duration::from_millis(10);
    let ledger = Ledger::open(config).unwrap().0;
    let start = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 4 && start.elapsed() < Duration::from_secs(20) {
        seen.extend(ledger.checkpoint());
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(seen.len() >= 4, "{seen:?}");
    ledger.close();
    let found = bench.verify();
    assert!(found.ok && found.proven == found.leaves && found.checkpoints >= 4, "{found:?}");
}

#[test]
fn a_running_ledger_verifies_at_any_moment_with_many_callers() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.segment_bytes = 20_000;
    config.checkpoint_every = Duration::from_millis(2);
    let ledger = Ledger::open(config).unwrap().0;
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let (ledger, bench) = (ledger.clone(), &bench);
                scope.spawn(move || {
                    let ids = pgglass::ledger::record::EventIds::default();
                    for n in 0..150 {
                        let mut record = bench.record(&format!("{caller}-{n}"));
                        record.id = ids.next(record.time);
                        ledger.append(&record, Priority::Ordinary).wait().unwrap();
                    }
                })
            })
            .collect();
        let mut rounds = 0;
        while rounds < 5 || callers.iter().any(|c| !c.is_finished()) {
            let found = bench.verify();
            // Before the first checkpoint nothing is proven, and the verifier says so.
            assert!(found.ok || found.proven == 0, "{found:?}");
            rounds += 1;
        }
    });
    ledger.close();
    let found = bench.verify();
    assert!(found.ok && found.proven == found.leaves, "{found:?}");
    let mut stored = bench.notes();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), 600);
}

/// Not a check: prints records per second with 1 and 64 in flight. Run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn throughput() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.segment_bytes = 64 << 20;
    let ledger = Ledger::open(config).unwrap().0;
    for (in_flight, count) in [(1usize, 3_000usize), (64, 60_000), (1024, 200_000)] {
        let record = bench.record(&"n".repeat(200));
        let start = Instant::now();
        let mut waiting = std::collections::VecDeque::new();
        for _ in 0..count {
            if waiting.len() == in_flight {
                let receipt: pgglass::ledger::Receipt = waiting.pop_front().unwrap();
                receipt.wait().unwrap();
            }
            waiting.push_back(ledger.append(&record, Priority::Ordinary));
        }
        for receipt in waiting {
            receipt.wait().unwrap();
        }
        let rate = count as f64 / start.elapsed().as_secs_f64();
        println!("{in_flight} in flight: {rate:.0} records/s");
    }
    ledger.close();
}
