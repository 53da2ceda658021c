//! One access to one patient's data, put together from the records of a statement.
//!
//! A statement's intent, disclosures and end are separate records when its result is long. They are
//! joined here in one pass: what is held are the statements that are open at that point of the log,
//! and a line for each break-glass session. How an access is shown is `table`'s work.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::ledger::Stored;
use crate::ledger::record::{
    Body, Disclosure, End, EventId, From, Intent, Outcome, ProcessEvent, Record, Who,
};

/// Statement text beyond this is cut in the report (it is whole in the ledger).
const MAX_SQL: usize = 64 << 10;

/// What the ledger says about the patient in one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Rows of the patient were released.
    Exact,
    /// The patient is in a superset of those whose rows were released.
    Bounded,
    /// The statement may have read or changed any patient's rows of its relations: it cannot be told, or nothing was
    /// recorded after it had begun.
    Possibly,
    /// The statement named the patient and was refused.
    Refused,
    /// The statement named the patient; no rows of the patient are recorded as released.
    Sought,
    /// A break-glass session was opened over the patient.
    BreakGlass,
}

impl Certainty {
    /// The word as the JSON form has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Certainty::Exact => "exact",
            Certainty::Bounded => "bounded",
            Certainty::Possibly => "possibly",
            Certainty::Refused => "refused",
            Certainty::Sought => "sought",
            Certainty::BreakGlass => "break_glass",
        }
    }
}

/// One line of a patient's report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Access {
    /// When the statement came, RFC 3339 UTC.
    pub time: String,
    /// The node that recorded it.
    pub node: String,
    /// Event id of the first record.
    pub event: String,
    /// Leaf index of the first record: with a checkpoint, its proof.
    pub leaf: u64,
    /// Who.
    pub who: Arc<Who>,
    /// From where.
    pub from: Arc<From>,
    /// Kinds of data.
    pub classes: Vec<String>,
    /// Protected relations.
    pub relations: Vec<String>,
    /// What was asked.
    pub statement: String,
    /// What the ledger says about the patient.
    pub certainty: Certainty,
    /// Why it is not exact, or the code of the refusal.
    pub reasons: Vec<String>,
    /// Break-glass sessions it ran under.
    pub glass: Vec<GlassReason>,
    /// Rows released by the whole statement, of any patient; absent when no end was recorded.
    pub rows: Option<u64>,
    /// How the statement ended.
    pub outcome: String,
}

/// Why somebody broke the glass, in his own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GlassReason {
    /// Session id.
    pub session: String,
    /// HL7 ActReason code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Categories that the session opened by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Labels of patients that it opened by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// A statement that has begun.
#[derive(Debug)]
struct Open {
    access: Access,
    sought: bool,
    touched: Option<Certainty>,
}

/// Joins records to accesses of one patient.
#[derive(Debug)]
pub(crate) struct Join<'a> {
    patient: &'a str,
    open: HashMap<EventId, Open>,
    sessions: HashMap<String, GlassReason>,
    ready: VecDeque<Access>,
}

impl<'a> Join<'a> {
    pub(crate) fn new(patient: &'a str) -> Self {
        Self { patient, open: HashMap::new(), sessions: HashMap::new(), ready: VecDeque::new() }
    }

    /// The next complete access.
    pub(crate) fn pop(&mut self) -> Option<Access> {
        self.ready.pop_front()
    }

    /// The log is at its end: statements still open are reported as far as they are known.
    pub(crate) fn finish(&mut self) {
        let mut open: Vec<(EventId, Open)> = self.open.drain().collect();
        open.sort_by_key(|(_, o)| o.access.leaf);
        for (_, statement) in open {
            self.close(statement, None);
        }
    }

    /// Takes the next record.
    pub(crate) fn push(&mut self, stored: Stored) {
        let Stored { leaf, record, .. } = stored;
        let Record { id, time, node, body, .. } = record;
        let head = (format!("{time:.6}"), node, id, leaf);
        match body {
            Body::Intent { statement, intent } => {
                let open = self.begin(head, intent);
                self.open.insert(statement, open);
            }
            Body::Disclosure { statement, disclosure } => {
                if let Some(mut open) = self.open.remove(&statement) {
                    open.disclose(self.patient, &disclosure);
                    self.open.insert(statement, open);
                } else {
                    // Its intent is in a part of the log that cannot be read.
                    let mut open = self.begin(head, Intent::default());
                    open.disclose(self.patient, &disclosure);
                    self.open.insert(statement, open);
                }
            }
            Body::End { statement, end } => {
                if let Some(open) = self.open.remove(&statement) {
                    self.close(open, Some(&end));
                }
            }
            Body::Statement { statement, intent, disclosure, end } => {
                // A write is announced when it is sent, and told whole at its end.
                self.open.remove(&statement);
                let mut open = self.begin(head, intent);
                if let Some(disclosure) = disclosure {
                    open.disclose(self.patient, &disclosure);
                }
                self.close(open, Some(&end));
            }
            Body::Glass { session, transition } => self.glass(head, session, &transition),
            // Statements of a process before this one have no end: it crashed.
            Body::Process { event: ProcessEvent::Start, .. } => self.finish(),
            Body::Process { event: ProcessEvent::Stop, .. }
            | Body::Connection { .. }
            | Body::Authentication { .. }
            | Body::Policy { .. }
            | Body::Heartbeat {}
            | Body::Verify { .. }
            | Body::Report { .. } => {}
        }
    }

    fn begin(&self, head: (String, String, EventId, u64), intent: Intent) -> Open {
        let (time, node, event, leaf) = head;
        let Intent { who, from, what, glass_sessions, sought, .. } = intent;
        let glass = glass_sessions
            .into_iter()
            .map(|s| match self.sessions.get(&s) {
                Some(known) => known.clone(),
                None => GlassReason { session: s, ..GlassReason::default() },
            })
            .collect();
        let mut statement = what.sql;
        if statement.len() > MAX_SQL {
            statement.truncate(statement.floor_char_boundary(MAX_SQL));
            statement.push('\u{2026}');
        }
        let access = Access {
            time,
            node,
            event: event.0,
            leaf,
            who,
            from,
            classes: what.classes,
            relations: what.relations,
            statement,
            certainty: Certainty::Sought,
            reasons: Vec::new(),
            glass,
            rows: None,
            outcome: String::new(),
        };
        Open { access, sought: sought.iter().any(|p| p == self.patient), touched: None }
    }

    fn close(&mut self, open: Open, end: Option<&End>) {
        let Open { mut access, sought, touched } = open;
        let refused = match end.map(|e| &e.outcome) {
            Some(Outcome::Refused { code }) => Some(code.clone()),
            Some(Outcome::Ok | Outcome::Error { .. } | Outcome::Cancelled | Outcome::ReleaseUnknown)
            | None => None,
        };
        access.certainty = match (touched, refused) {
            // A refusal after rows had been released does not undo the release.
            (Some(certainty), _) => certainty,
            (None, Some(code)) if sought => {
                access.reasons.push(code);
                Certainty::Refused
            }
            // Nobody knows what it did: it names this patient, or it may have been about anyone.
            (None, None) if end.is_none() && sought => Certainty::Bounded,
            (None, None) if end.is_none() => Certainty::Possibly,
            (None, None) if sought => Certainty::Sought,
            (None, _) => return,
        };
        access.rows = end.map(|e| e.rows);
        access.outcome = end.map_or_else(|| "no end recorded".to_owned(), |e| outcome(&e.outcome));
        self.ready.push_back(access);
    }

    /// Remembers why a session was opened, and lists it when it names the patient.
    fn glass(&mut self, head: (String, String, EventId, u64), session: String, transition: &Value) {
        // The state machine owns the form; a change may be nested one level down.
        let change = transition.get("change").unwrap_or(transition);
        let text = |key: &str| change.get(key).and_then(Value::as_str).map(str::to_owned);
        if self.sessions.contains_key(&session) || text("reason").is_none() {
            return;
        }
        let names = |key: &str| {
            let listed = change.get(key).and_then(Value::as_array).into_iter().flatten();
            listed.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let known = GlassReason {
            session: session.clone(),
            reason: text("reason"),
            note: text("note"),
            categories: names("categories"),
            labels: names("labels"),
        };
        self.sessions.insert(session, known.clone());
        let names = |p: &Value| p.as_str().or_else(|| p.get("key")?.as_str()) == Some(self.patient);
        if !change.get("patients").and_then(Value::as_array).is_some_and(|list| list.iter().any(names)) {
            return;
        }
        let mut access = self.begin(head, Intent::default()).access;
        access.certainty = Certainty::BreakGlass;
        let who = Arc::make_mut(&mut access.who);
        who.principal = text("user").unwrap_or_default();
        who.role = text("role").unwrap_or_default();
        let from = Arc::make_mut(&mut access.from);
        from.address = text("address").unwrap_or_default();
        from.application_name = text("application").filter(|a| !a.is_empty());
        access.glass = vec![known];
        access.outcome = "session opened".to_owned();
        self.ready.push_back(access);
    }
}

impl Open {
    fn disclose(&mut self, patient: &str, disclosure: &Disclosure) {
        let named = disclosure.patients.iter().any(|p| p == patient);
        let now = match (named, disclosure.all_patients) {
            (true, _) if disclosure.exact => Certainty::Exact,
            (true, _) => Certainty::Bounded,
            (false, true) => Certainty::Possibly,
            (false, false) => return,
        };
        for reason in &disclosure.reasons {
            if !self.access.reasons.contains(reason) {
                self.access.reasons.push(reason.clone());
            }
        }
        // The surest of a statement's windows counts.
        self.touched = Some(match (self.touched, now) {
            (Some(Certainty::Exact), _) | (_, Certainty::Exact) => Certainty::Exact,
            (Some(Certainty::Bounded), _) | (_, Certainty::Bounded) => Certainty::Bounded,
            _ => now,
        });
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok => "ok".to_owned(),
        Outcome::Refused { code } => format!("refused {code}"),
        Outcome::Error { sqlstate } => format!("error {sqlstate}"),
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::ReleaseUnknown => "release unknown".to_owned(),
    }
}
