//! What the promises' tests share: configurations, the database without the others' patients, and
//! what the ledger says about a statement.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use pgglass::ledger::read_records;
use pgglass::ledger::record::{Body, Disclosure, EventId, Outcome};

use crate::common::{Database, Proxy, patients_of_amy};
use crate::wire::Wire;

/// Clear text on the loopback, so that the tests' own client can look at the bytes.
pub(crate) fn clear(config: String) -> String {
    replaced(config, "cleartext = \"never\"", "cleartext = \"loopback\"")
}

/// As [`clear`], and hidden patients do not exist, without a word about them (P2's setting).
pub(crate) fn hide(config: String) -> String {
    let config = replaced(clear(config), "outside = \"block\"", "outside = \"hide\"");
    replaced(config, "rows_withheld = true", "rows_withheld = false")
}

/// A configuration changed where it must have been as the test thinks.
pub(crate) fn replaced(config: String, from: &str, to: &str) -> String {
    assert!(config.contains(from), "the demonstration's configuration has no {from:?}");
    config.replace(from, to)
}

/// A proxy with clear text.
pub(crate) fn proxy<'a>(database: &Database<'a>) -> Proxy<'a> {
    Proxy::start_with(database, clear)
}

/// Tables with a patient key of their own, those that refer to others first.
pub(crate) const KEYED: [&str; 10] = [
    "note",
    "lab_order",
    "medication_order",
    "allergy",
    "problem",
    "care_team",
    "appointment",
    "bed_assignment",
    "encounter",
    "patient",
];

/// SQL that deletes all rows of patients for which `gone` (a condition on `patient_id`) is true.
pub(crate) fn deletion(gone: &str) -> String {
    let mut sql = String::from("SET LOCAL session_replication_role = replica;\n");
    sql += &format!(
        "DELETE FROM clinic.lab_result r WHERE EXISTS (SELECT FROM clinic.lab_order WHERE order_id = r.order_id AND ({gone}));\n"
    );
    for table in KEYED {
        sql += &format!("DELETE FROM clinic.{table} WHERE {gone};\n");
    }
    sql + &format!("DELETE FROM glass.assigned WHERE {gone};\n")
}

/// The assigned patients of `nurse_amy` as a SQL list.
pub(crate) fn amys() -> String {
    patients_of_amy().iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

/// Leaves what belongs to `nurse_amy`'s patients: neither others' rows nor nobody's.
pub(crate) fn leave_amys(database: &Database<'_>) {
    let gone = deletion(&format!("(patient_id IN ({})) IS NOT TRUE", amys()));
    let sql = format!("BEGIN;\n{gone} DELETE FROM clinic.lab_result WHERE order_id IS NULL;\nCOMMIT;");
    database.server().psql(database.name(), &sql);
}

/// What the ledger says about a statement.
#[derive(Debug, Default, Clone)]
pub(crate) struct Told {
    /// How often its text is there.
    pub(crate) times: usize,
    pub(crate) patients: BTreeSet<String>,
    pub(crate) sought: BTreeSet<String>,
    pub(crate) all_patients: bool,
    pub(crate) exact: Option<bool>,
    pub(crate) refused: Vec<String>,
    /// SQLSTATEs of the errors it ended with.
    pub(crate) errors: Vec<String>,
    pub(crate) rows: u64,
    /// True once the statement's end is there.
    pub(crate) ended: bool,
}

impl Told {
    pub(crate) fn names(&self, patient: &str) -> bool {
        self.all_patients || self.patients.contains(patient)
    }

    fn disclosed(&mut self, disclosure: &Disclosure) {
        self.patients.extend(disclosure.patients.iter().cloned());
        self.all_patients |= disclosure.all_patients;
        self.exact = Some(self.exact.unwrap_or(true) && disclosure.exact);
    }
}

/// What the ledger in `directory` says about statements with this text.
pub(crate) fn told_in(directory: &Path, sql: &str) -> Told {
    let mut told = Told::default();
    let mut ids: BTreeSet<EventId> = BTreeSet::new();
    let same = |text: &str| text.trim() == sql.trim();
    for stored in read_records(directory).expect("a readable ledger") {
        let Ok(stored) = stored else { continue };
        match stored.record.body {
            Body::Intent { statement, intent } if same(&intent.what.sql) => {
                told.times += usize::from(ids.insert(statement));
                told.sought.extend(intent.sought);
            }
            Body::Statement { statement, intent, disclosure, end } if same(&intent.what.sql) => {
                told.times += usize::from(ids.insert(statement));
                told.sought.extend(intent.sought);
                if let Some(disclosure) = disclosure {
                    told.disclosed(&disclosure);
                }
                told.ended(&end.outcome, end.rows);
            }
            Body::Disclosure { statement, disclosure } if ids.contains(&statement) => {
                told.disclosed(&disclosure)
            }
            Body::End { statement, end } if ids.contains(&statement) => told.ended(&end.outcome, end.rows),
            _ => {}
        }
    }
    told
}

impl Told {
    fn ended(&mut self, outcome: &Outcome, rows: u64) {
        self.ended = true;
        self.rows += rows;
        match outcome {
            Outcome::Refused { code } => self.refused.push(code.clone()),
            Outcome::Error { sqlstate } => self.errors.push(sqlstate.clone()),
            Outcome::Ok | Outcome::Cancelled | Outcome::ReleaseUnknown => {}
        }
    }
}

/// As [`told_in`] for a running proxy: waits until the end of the statement is there, which may be
/// recorded after the client has its reply.
pub(crate) fn told(proxy: &Proxy<'_>, sql: &str) -> Told {
    let mut told = Told::default();
    within(Duration::from_secs(5), || {
        told = told_in(&proxy.ledger(), sql);
        told.ended
    });
    told
}

/// Whether something becomes true in time.
pub(crate) fn within(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > time {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the server has MERGE: before 15 its text is no statement for it.
pub(crate) fn has_merge(wire: &mut Wire) -> bool {
    wire.ok("SELECT current_setting('server_version_num')::int >= 150000").value() == "t"
}
