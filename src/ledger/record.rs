//! What a ledger record says: plain data, a versioned JSON object readable without this program.
//!
//! Not here: how records are stored (leaf, frame) and when they must be durable (session).
//! Field names are part of the format: once released they are only ever added to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the record format written by this program.
pub const RECORD_VERSION: u32 = 1;

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Format version, [`RECORD_VERSION`].
    pub v: u32,
    /// Event id, unique within the node.
    pub id: EventId,
    /// When it happened, UTC, microseconds.
    #[serde(with = "micros")]
    pub time: Timestamp,
    /// The node that wrote it.
    pub node: String,
    /// `kind` and `body`.
    #[serde(flatten)]
    pub body: Body,
}

impl Record {
    /// A record of the present version.
    pub fn new(id: EventId, time: Timestamp, node: impl Into<String>, body: Body) -> Self {
        Self { v: RECORD_VERSION, id, time, node: node.into(), body }
    }

    /// About how many bytes it takes: what of it can be long, and a little for the rest.
    pub(crate) fn weight(&self) -> u64 {
        let long = match &self.body {
            Body::Intent { intent, .. } | Body::Statement { intent, .. } => {
                let parameters = intent.what.parameters.iter().flatten().map(String::len).sum::<usize>();
                intent.what.sql.len() + parameters
            }
            Body::Disclosure { disclosure, .. } => disclosure.patients.iter().map(String::len).sum(),
            Body::Connection { .. }
            | Body::Authentication { .. }
            | Body::Glass { .. }
            | Body::Policy { .. }
            | Body::Process { .. }
            | Body::End { .. }
            | Body::Heartbeat {}
            | Body::Verify { .. }
            | Body::Report { .. } => 0,
        };
        long as u64 + 1024
    }
}

/// What happened, by kind. In JSON: `"kind": "...", "body": {...}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum Body {
    /// A statement is about to run.
    Intent {
        /// Links intent, disclosures and end of one statement.
        statement: EventId,
        /// Who, from where, what.
        intent: Intent,
    },
    /// A window of rows is about to be released.
    Disclosure {
        /// The statement.
        statement: EventId,
        /// Whose rows.
        disclosure: Disclosure,
    },
    /// A statement is over.
    End {
        /// The statement.
        statement: EventId,
        /// How it went.
        end: End,
    },
    /// Intent, disclosure and end in one: the whole result fitted one window.
    Statement {
        /// The statement.
        statement: EventId,
        /// Who, from where, what.
        intent: Intent,
        /// Whose rows; absent when nothing of a patient was released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disclosure: Option<Disclosure>,
        /// How it went.
        end: End,
    },
    /// A client connection opened or closed.
    Connection {
        /// Open or close.
        event: ConnectionEvent,
        /// From where.
        from: From,
        /// Who, once known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        who: Option<Who>,
        /// Why it closed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A login succeeded or failed.
    Authentication {
        /// True when it succeeded.
        ok: bool,
        /// The user name as given.
        user: String,
        /// The database as given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        database: Option<String>,
        /// From where.
        from: From,
        /// `scram-sha-256`, `cert` ...
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<String>,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What enforcing the policy would have said against it, where it was let in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        observed: Option<Observed>,
    },
    /// A break-glass transition; the state machine owns its content.
    Glass {
        /// Session id, `G-7KQ2`.
        session: String,
        /// What the state machine wrote.
        transition: serde_json::Value,
    },
    /// A policy was loaded, reloaded, or refused.
    Policy {
        /// Which.
        event: PolicyEvent,
        /// Version of the policy in force after the event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// Why a reload was rejected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// The mode in force after the event, with the roles that have another one; absent in records of versions
        /// that knew none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
        /// The mode before, when the event changed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode_before: Option<String>,
    },
    /// The proxy started or stopped.
    Process {
        /// Which.
        event: ProcessEvent,
        /// Version of the program.
        version: String,
        /// Operating system's process id.
        pid: u32,
        /// What recovery found, why it stopped ...
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Nothing happened since the last checkpoint; the log is alive.
    Heartbeat {},
    /// An auditor verified the ledger.
    Verify {
        /// Operating-system or database user.
        by: String,
        /// True when nothing was found.
        ok: bool,
        /// Leaves proven by a signed checkpoint.
        proven: u64,
    },
    /// An auditor asked for a report.
    Report {
        /// Operating-system or database user.
        by: String,
        /// `patient`, `session`, `user` ...
        report: String,
        /// What was asked for.
        subject: String,
    },
}

/// What a statement is, before it runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Intent {
    /// Who.
    pub who: Arc<Who>,
    /// From where.
    pub from: Arc<From>,
    /// What.
    pub what: What,
    /// Version of the policy it ran under.
    pub policy_version: Arc<str>,
    /// Break-glass sessions it used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub glass_sessions: Vec<String>,
    /// Patients the statement names, whether or not anything was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sought: Vec<String>,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Who {
    /// The person or service.
    pub principal: String,
    /// Its role in the policy.
    pub role: String,
    /// The database user.
    pub database_user: String,
    /// The database.
    pub database: String,
    /// `warn` or `observe` while what the policy decides about the role is recorded and does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Where a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct From {
    /// `address:port`, or `local`.
    pub address: String,
    /// TLS of the connection; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// What the client calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_name: Option<String>,
}

/// TLS of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// `TLSv1.3`
    pub version: String,
    /// The cipher suite's name.
    pub cipher: String,
}

/// What a statement says and reads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct What {
    /// The original text.
    pub sql: String,
    /// Parameters as text, `null` for NULL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Option<String>>,
    /// Protected relations, `schema.name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<String>,
    /// Their classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// libpg_query's fingerprint: the same for statements that differ only in constants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Whose rows are released.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Disclosure {
    /// Patient keys as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<String>,
    /// True: possibly every patient of the relations, because they cannot be told apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_patients: bool,
    /// True when `patients` is exactly the set; false when it is a superset.
    pub exact: bool,
    /// Why not exact: `HAVING`, `OFFSET` ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// How a statement went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Rows released.
    pub rows: u64,
    /// Bytes of row data released.
    pub bytes: u64,
    /// Outcome.
    pub outcome: Outcome,
    /// From receipt to the end, microseconds.
    pub duration_us: u64,
    /// What enforcing the policy would have done, where it was not enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
}

/// What enforcing the policy would have done with a statement that was let through.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// `warn` or `observe`.
    pub mode: String,
    /// In one word.
    pub verdict: ObservedVerdict,
    /// Of a refusal: its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of a refusal: its text, without the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Patients that the statement named or returned, and that lie outside the assignment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<String>,
    /// True when `outside` may hold patients that changed nothing, or miss some.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside_bounded: bool,
    /// Masked columns that the statement may have read, `schema.table.column`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<String>,
}

/// What enforcing would have done, the weightiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservedVerdict {
    /// The statement would not have run.
    Refuse,
    /// Rows would have been withheld.
    Filter,
    /// Values would have been masked.
    Mask,
    /// Nothing else than what happened.
    #[default]
    Pass,
}

/// Outcome of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran.
    Ok,
    /// Not run: a stable code such as `GLS-201`.
    Refused {
        /// The code.
        code: String,
    },
    /// The server reported an error.
    Error {
        /// Its SQLSTATE.
        sqlstate: String,
    },
    /// Cancelled by the client.
    Cancelled,
    /// The connection or the proxy failed while rows were being released.
    ReleaseUnknown,
}

/// Of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionEvent {
    /// It opened.
    Open,
    /// It closed.
    Close,
}

/// Of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyEvent {
    /// At start.
    Load,
    /// While running.
    Reload,
    /// A reload was refused; the policy before stays in force.
    Rejected,
}

/// Of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessEvent {
    /// It started.
    Start,
    /// It stops in order.
    Stop,
}

/// A short event id in Crockford's base32 (no I, L, O, U), fit for an error's DETAIL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub String);

impl EventId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes event ids: 12 characters, 30 bits of seconds (they sort by time until 2053) and 30 bits
/// of a counter that starts at random, so that ids repeat only after 2^30 in one second.
#[derive(Debug)]
pub struct EventIds {
    counter: AtomicU64,
}

/// Seconds of 2020-01-01T00:00:00Z since the Unix epoch: where event ids count from.
const ID_EPOCH: i64 = 1_577_836_800;

impl EventIds {
    /// A source whose counter starts at `seed` (a random number).
    pub fn new(seed: u64) -> Self {
        Self { counter: AtomicU64::new(seed) }
    }

    /// The next id.
    pub fn next(&self, now: Timestamp) -> EventId {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let seconds = u64::try_from(now.as_second().saturating_sub(ID_EPOCH)).unwrap_or(0);
        let low = self.counter.fetch_add(1, Ordering::Relaxed) & 0x3FFF_FFFF;
        let bits = ((seconds & 0x3FFF_FFFF) << 30) | low;
        let text =
            (0..12).rev().map(|digit| char::from(ALPHABET[(bits >> (digit * 5)) as usize & 31])).collect();
        EventId(text)
    }
}

impl Default for EventIds {
    fn default() -> Self {
        Self::new(rand::random())
    }
}

/// RFC 3339 with exactly six digits of the second, so that times sort as text.
mod micros {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{time:.6}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_microsecond(micros).unwrap()
    }

    #[test]
    fn a_statement_reads_as_documented() {
        let intent = Intent {
            who: Arc::new(Who {
                principal: "ada".into(),
                role: "nurse".into(),
                database_user: "ada".into(),
                database: "clinic".into(),
                mode: None,
            }),
            from: From { address: "10.0.0.7:5100".into(), tls: None, application_name: None }.into(),
            what: What {
                sql: "SELECT 1".into(),
                parameters: vec![None, Some("7".into())],
                ..What::default()
            },
            policy_version: "00ff".into(),
            ..Intent::default()
        };
        let end = End {
            rows: 1,
            bytes: 4,
            outcome: Outcome::Refused { code: "GLS-201".into() },
            duration_us: 12,
            observed: None,
        };
        let body = Body::Statement { statement: EventId("S1".into()), intent, disclosure: None, end };
        let record = Record::new(EventId("E1".into()), at(1_700_000_000_000_000), "n1", body);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            text,
            r#"{"v":1,"id":"E1","time":"2023-11-14T22:13:20.000000Z","node":"n1","kind":"statement","body":{"statement":"S1","intent":{"who":{"principal":"ada","role":"nurse","database_user":"ada","database":"clinic"},"from":{"address":"10.0.0.7:5100"},"what":{"sql":"SELECT 1","parameters":[null,"7"]},"policy_version":"00ff"},"end":{"rows":1,"bytes":4,"outcome":{"refused":{"code":"GLS-201"}},"duration_us":12}}}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn a_heartbeat_and_an_opaque_transition_survive() {
        for body in [
            Body::Heartbeat {},
            Body::Glass { session: "G-7KQ2".into(), transition: serde_json::json!({"reason":"BTG","n":[1]}) },
        ] {
            let record = Record::new(EventId("E".into()), at(1), "n", body);
            let text = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{text}");
        }
    }

    #[test]
    fn ids_are_unique_sort_by_time_and_are_crockford() {
        let ids = EventIds::new(0x3FFF_FFFF);
        let mut seen: Vec<String> =
            (0..1000).map(|_| ids.next(at(1_800_000_000_000_000)).to_string()).collect();
        let later = ids.next(at(1_800_000_001_000_000)).to_string();
        assert!(seen.iter().all(|id| id.len() == 12 && *id < later));
        assert!(seen.iter().all(|id| id.bytes().all(|c| c.is_ascii_alphanumeric() && !b"ILOU".contains(&c))));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }
}
