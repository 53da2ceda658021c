//! Recovery: what was acknowledged survives any crash; damage is refused unless accepted.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use pgglass::ledger::{Cause, Ledger, Priority};

use crate::support::{Bench, config};

const CHILD: &str = "PGGLASS_TEST_LEDGER_CHILD";

/// Not a test by itself: the process that [`every_acknowledged_record_survives_kill_9`] kills.
#[test]
fn child_that_appends_until_killed() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let dir = std::path::PathBuf::from(dir);
    let bench = Bench::inside(&dir);
    let mut config = config(&dir, dir.join("ledger"));
    config.segment_bytes = 60_000;
    config.checkpoint_every = std::time::Duration::from_millis(20);
    let ledger = Ledger::open(config).unwrap().0;
    let mut waiting = std::collections::VecDeque::new();
    let out = std::io::stdout();
    for n in 0u64.. {
        let note = format!("{}-{n}", std::process::id());
        let long = if n % 50 == 7 { "y".repeat(100_000) } else { String::new() };
        waiting.push_back((
            note.clone(),
            ledger.append(&bench.record(&format!("{note} {long}")), Priority::Ordinary),
        ));
        if waiting.len() > 8 {
            let (note, receipt) = waiting.pop_front().unwrap();
            receipt.wait().unwrap();
            writeln!(out.lock(), "ack {note}").unwrap();
        }
    }
}

#[test]
fn every_acknowledged_record_survives_kill_9() {
    let bench = Bench::new();
    let mut acknowledged = Vec::new();
    for round in 0..5u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "recovery::child_that_appends_until_killed", "--nocapture"])
            .env(CHILD, bench.dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = 150 + round * 37;
        for line in lines {
            let Ok(line) = line else { break };
            // The test harness writes its own words before the first line.
            if let Some((_, note)) = line.split_once("ack ") {
                acknowledged.push(note.to_owned());
            }
            if acknowledged.len() as u64 == enough * (round + 1) {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
    }
    assert!(acknowledged.len() > 700);
    let (ledger, replay) = Ledger::open(bench.config()).unwrap();
    assert!(replay.damage.is_empty());
    ledger.close();
    let found = bench.verify();
    assert!(found.ok, "{:?}", found.findings);
    let stored: std::collections::HashSet<String> =
        bench.notes().iter().map(|n| n.split(' ').next().unwrap().to_owned()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|a| !stored.contains(*a)).collect();
    assert!(lost.is_empty(), "acknowledged, then lost: {lost:?}");
    assert_eq!(replay.glass.len(), bench.notes().len());
}

#[test]
fn a_torn_tail_is_left_behind_and_said() {
    let bench = Bench::new();
    let ledger = Ledger::open(bench.config()).unwrap().0;
    bench.append(&ledger, 0..5);
    ledger.close();
    let whole = bench.files("segment").remove(0);
    let intact = fs::read(&whole).unwrap();
    // Half a batch of the kind a crash leaves: a leaf frame without its trailer, and part of one.
    let frame = &intact[..intact.len()];
    let second = (8..frame.len()).step_by(8).find(|i| frame[*i..].starts_with(b"pgGL")).unwrap();
    for torn in [3, 20, 100, 0] {
        let mut bytes = intact.clone();
        bytes.extend_from_slice(&intact[second..second + torn]);
        if torn == 0 {
            bytes.extend_from_slice(&[0; 4096]);
        }
        fs::write(&whole, &bytes).unwrap();
        let found = bench.verify();
        assert!(found.ok && found.remarks.iter().any(|r| r.message.contains("unacknowledged")), "{found:?}");
        let (ledger, replay) = Ledger::open(bench.config()).unwrap();
        assert_eq!((replay.glass.len(), replay.torn_bytes), (5, (bytes.len() - intact.len()) as u64));
        ledger.append(&bench.record("after"), Priority::Ordinary).wait().unwrap();
        ledger.close();
        let found = bench.verify();
        assert!(found.ok && found.proven == 6, "{found:?}");
        assert!(found.remarks.iter().any(|r| r.message.contains("unacknowledged")), "{found:?}");
        for file in bench
            .files("segment")
            .into_iter()
            .chain(bench.files("checkpoints"))
            .filter(|f| f.file_stem().is_some_and(|s| s != "00000001"))
        {
            fs::remove_file(file).unwrap();
        }
    }
}

#[test]
fn damage_is_refused_and_may_be_accepted_but_never_hidden() {
    for (what, at) in [("header", 40), ("early leaf", 600)] {
        let bench = Bench::new();
        let ledger = Ledger::open(bench.config()).unwrap().0;
        bench.append(&ledger, 0..9);
        ledger.close();
        let file = bench.files("segment").remove(0);
        let mut bytes = fs::read(&file).unwrap();
        bytes[at] ^= 4;
        fs::write(&file, bytes).unwrap();
        let refused = Ledger::open(bench.config()).unwrap_err();
        assert!(matches!(refused.cause, Cause::Damaged { .. }), "{what}: {refused}");
        assert_eq!(refused.sqlstate(), "58030");
        let mut config = bench.config();
        config.accept_damage = true;
        let (ledger, replay) = Ledger::open(config).unwrap();
        assert!(!replay.damage.is_empty() && replay.size == 9, "{what}: {replay:?}");
        assert_eq!(ledger.append(&bench.record("after"), Priority::Ordinary).wait(), Ok(9), "{what}");
        ledger.close();
        let found = bench.verify();
        assert!(!found.ok, "{what}");
        assert!(found.checkpoints >= 2, "{what}: the later checkpoint holds all the same: {found:?}");
        assert!(bench.notes().contains(&"after".to_owned()));
    }
}

#[test]
fn a_tail_missing_below_the_last_checkpoint_is_refused() {
    let bench = Bench::new();
    let ledger = Ledger::open(bench.config()).unwrap().0;
    bench.append(&ledger, 0..9);
    ledger.close();
    let file = bench.files("segment").remove(0);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 200]).unwrap();
    let refused = Ledger::open(bench.config()).unwrap_err();
    assert!(refused.to_string().contains("below the last signed checkpoint of 9"), "{refused}");
    let mut config = bench.config();
    config.accept_damage = true;
    let (ledger, replay) = Ledger::open(config.clone()).unwrap();
    assert_eq!(replay.size, 9, "no second tree of nine leaves may ever be signed");
    ledger.close();
    assert!(!bench.verify().ok);
    config.accept_damage = false;
    assert!(Ledger::open(config).is_err(), "accepting once does not accept for ever");
}

#[test]
fn one_process_a_directory() {
    let bench = Bench::new();
    let ledger = Ledger::open(bench.config()).unwrap().0;
    let second = Ledger::open(bench.config()).unwrap_err();
    assert!(matches!(second.cause, Cause::Locked { .. }));
    ledger.close();
    Ledger::open(bench.config()).unwrap().0.close();
}

#[test]
fn a_crash_while_a_segment_is_created_is_no_damage() {
    // Either of the two files of the next segment may exist, empty or half.
    let bench = Bench::new();
    let ledger = Ledger::open(bench.config()).unwrap().0;
    bench.append(&ledger, 0..4);
    ledger.close();
    let header = {
        let whole = fs::read(&bench.files("segment")[0]).unwrap();
        let second = (8..whole.len()).step_by(8).find(|i| whole[*i..].starts_with(b"pgGL")).unwrap();
        whole[..second].to_vec()
    };
    let next = |extension: &str| {
        let number: u64 = (bench.files("segment").into_iter().chain(bench.files("checkpoints")))
            .filter_map(|f| f.file_stem()?.to_str()?.parse().ok())
            .max()
            .unwrap();
        bench.ledger_dir().join(format!("{:08}.{extension}", number + 1))
    };
    for (n, left) in [&b""[..], &b""[..], &header[..9], &header[..header.len() - 1]].into_iter().enumerate() {
        let file = next(if n == 0 { "checkpoints" } else { "segment" });
        fs::write(file, left).unwrap();
        let found = bench.verify();
        assert!(found.ok, "crash {n}: {found:?}");
        let (ledger, replay) = Ledger::open(bench.config()).unwrap();
        assert_eq!(replay.glass.len(), 4 + n);
        ledger.append(&bench.record("next"), Priority::Ordinary).wait().unwrap();
        ledger.close();
        let found = bench.verify();
        assert!(found.ok && found.proven == 5 + n as u64, "crash {n}: {found:?}");
    }
}
