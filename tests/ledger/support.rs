//! A ledger in a temporary directory, with its key, for the tests of this folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgglass::ledger::record::{Body, EventIds, Record};
use pgglass::ledger::{
    Ledger, LedgerConfig, OnFailure, Priority, PrivateKey, PublicKey, Verification, read_records, verify,
};

pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) key: PublicKey,
    ids: EventIds,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::inside(&std::env::temp_dir())
    }

    /// In a directory of another: a process that is killed leaves nothing behind.
    pub(crate) fn inside(parent: &Path) -> Self {
        let dir = tempfile::tempdir_in(parent).unwrap();
        let key = PrivateKey::generate("node-1").unwrap();
        key.write(&dir.path().join("key")).unwrap();
        Self { key: key.public(), dir, ids: EventIds::default() }
    }

    pub(crate) fn ledger_dir(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    pub(crate) fn config(&self) -> LedgerConfig {
        config(self.dir.path(), self.ledger_dir())
    }

    pub(crate) fn record(&self, note: &str) -> Record {
        let body = Body::Glass { session: "G-1".into(), transition: serde_json::json!({ "note": note }) };
        let now = jiff::Timestamp::now();
        Record::new(self.ids.next(now), now, "node-1", body)
    }

    pub(crate) fn append(&self, ledger: &Ledger, notes: std::ops::Range<usize>) {
        for n in notes {
            ledger.append(&self.record(&format!("note {n}")), Priority::Ordinary).wait().unwrap();
        }
    }

    /// Three segments, two processes, checkpoints in between; closed in order.
    pub(crate) fn filled(&self) {
        let mut config = self.config();
        config.segment_bytes = 6000;
        config.checkpoint_every = Duration::from_millis(3);
        let ledger = Ledger::open(config.clone()).unwrap().0;
        self.append(&ledger, 0..25);
        ledger.append(&self.record(&"long ".repeat(30_000)), Priority::Ordinary).wait().unwrap();
        ledger.close();
        let ledger = Ledger::open(config).unwrap().0;
        self.append(&ledger, 25..35);
        ledger.close();
    }

    pub(crate) fn verify(&self) -> Verification {
        verify(&self.ledger_dir(), &self.key, &[], |_, _| {}).unwrap()
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        notes(&self.ledger_dir())
    }

    /// Files of the ledger with this extension, in order.
    pub(crate) fn files(&self, extension: &str) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = std::fs::read_dir(self.ledger_dir())
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == extension))
            .collect();
        found.sort();
        found
    }
}

pub(crate) fn config(keys: &Path, directory: PathBuf) -> LedgerConfig {
    LedgerConfig {
        node: "node-1".into(),
        directory,
        signing_key: keys.join("key"),
        checkpoint_every: Duration::from_secs(60),
        segment_bytes: 1 << 20,
        flush_deadline: Duration::from_secs(30),
        reserve: 0,
        on_failure: OnFailure::FailOperation,
        accept_damage: false,
    }
}

/// The notes of all readable glass records.
pub(crate) fn notes(directory: &Path) -> Vec<String> {
    read_records(directory)
        .unwrap()
        .filter_map(|r| match r.ok()?.record.body {
            Body::Glass { transition, .. } => Some(transition["note"].as_str()?.to_owned()),
            _ => None,
        })
        .collect()
}
