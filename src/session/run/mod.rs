//! One execution of a statement, from the message that asks for it to the end of its reply: what it
//! runs as, what its rows said, and the ledger records that follow from it. Sans-IO: it makes record
//! bodies; the session appends them and holds the rows back.

mod binary;
pub(in crate::session) mod commit;
pub(in crate::session) mod ending;
pub(in crate::session) mod observed;
pub(in crate::session) mod ops;
pub(in crate::session) mod runs;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use crate::glass::Grants;
use crate::ledger::record::{Body, Disclosure, End, EventId, From, Intent, Outcome, What, Who};
use crate::policy::{GlsCode, KeyType};
use crate::session::copy::CopyRun;
use crate::session::names::objects::Passed;
use crate::session::run::observed::Watch;
use crate::session::server::layout::Layout;
use crate::session::server::outbox::RunId;
use crate::sql::objects::Wrap;
use crate::sql::{Footprint, GuardedPlan, Pin, PinValue, StatementKind, Strategy};
use crate::wire::message::Report;

/// Rows of one window, bytes, before its record is made durable and it leaves.
pub(in crate::session) const WINDOW: usize = 128 * 1024;

/// How a run is treated.
#[derive(Debug, Clone)]
pub(in crate::session) enum Mode {
    /// Nothing protected in it.
    Verbatim,
    /// Possibly every patient of these relations.
    Unattributed { footprint: Footprint, reason: &'static str },
    /// With guards and witnesses.
    Guarded(Arc<GuardedPlan>),
}

/// Who runs it and from where: the same for every run of a session.
#[derive(Debug, Clone)]
pub(in crate::session) struct Identity {
    pub(in crate::session) who: Arc<Who>,
    pub(in crate::session) from: Arc<From>,
}

/// A patient the statement names, resolved as far as the text alone allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::session) struct Sought {
    /// Index into `Policy::identifiers`, or `None` for the key itself.
    pub(in crate::session) identifier: Option<usize>,
    /// The value as text; canonical when it is a key.
    pub(in crate::session) value: String,
    /// The patient key an identifier was found to mean, once it was looked up.
    pub(in crate::session) key: Option<String>,
    /// True where no other patient's row can matter; else it is what was asked for, and no part of the lineage.
    pub(in crate::session) certain: bool,
    /// True where the value is written into the record: not an identifier's that could be taken for a patient key.
    pub(in crate::session) told: bool,
    /// Whether the patient was found to be assigned or granted; `None` until it was looked up.
    pub(in crate::session) inside: Option<bool>,
}

impl Sought {
    /// True when the value is the patient key itself.
    pub(in crate::session) fn is_key(&self) -> bool {
        self.identifier.is_none()
    }
}

/// One execution.
#[derive(Debug)]
pub(in crate::session) struct Run {
    pub(in crate::session) id: RunId,
    /// The statement id that links its records.
    pub(in crate::session) statement: EventId,
    pub(in crate::session) started: Instant,
    /// Texts of the statements it consists of (several only for a verbatim simple query).
    pub(in crate::session) texts: Vec<Arc<str>>,
    pub(in crate::session) next_text: usize,
    /// The comments that stand before each in the client's message; fewer when the last have none.
    pub(in crate::session) comments: Vec<Box<str>>,
    pub(in crate::session) mode: Mode,
    pub(in crate::session) parameters: Vec<Option<String>>,
    /// Where in the client's text the constants stand that were sent as parameters: characters, from 1.
    pub(in crate::session) given: Vec<usize>,
    pub(in crate::session) policy_version: Arc<str>,
    pub(in crate::session) role: Arc<str>,
    pub(in crate::session) grants: Arc<Grants>,
    pub(in crate::session) sought: Vec<Sought>,
    /// Patients whom it would give rows to.
    pub(in crate::session) aims: Vec<String>,
    pub(in crate::session) layout: Option<Arc<Layout>>,
    /// Result format codes as bound, for a layout that comes later.
    pub(in crate::session) formats: Vec<i16>,
    /// Messages that wait for this run's record.
    pub(in crate::session) window: BytesMut,
    /// Keys not recorded yet.
    keys: BTreeSet<String>,
    /// True once any key was seen.
    pub(in crate::session) found: bool,
    pub(in crate::session) rows: u64,
    /// Rows of the client's own statement, shown or (MOVE) not.
    pub(in crate::session) moved: u64,
    pub(in crate::session) bytes: u64,
    /// True once `intent` was written: `disclosure` and `end` follow as records of their own.
    pub(in crate::session) intent_written: bool,
    /// A write whose `intent` was written when it was sent; its record at the end is whole all the same.
    pub(in crate::session) announced: bool,
    /// A write that may have been kept and whose reply did not come.
    pub(in crate::session) unknown: bool,
    /// Set when the authority it ran under ended: its rows stay back and its end becomes an error.
    pub(in crate::session) revoked: Option<GlsCode>,
    /// It failed, or was refused after it had read, which can depend on rows that never came: it may be anyone's
    /// whom the user could see.
    pub(in crate::session) by_rows: bool,
    /// Every patient the user could see, where an error makes that the set to record.
    pub(in crate::session) reach: Option<Vec<String>>,
    /// What it knows of its COPY, when it is one.
    pub(in crate::session) copy: CopyRun,
    /// Rows went by whose patients could not be read.
    pub(in crate::session) lost: bool,
    /// Whose rows it may have passed over without seeing them (a cursor that jumped, a write or a FETCH
    /// whose rows the client did not all take).
    pub(in crate::session) passed: Option<Passed>,
    /// Of an unattributed run: its disclosure is to be made durable before the first byte of its reply.
    pub(in crate::session) gate_due: bool,
    /// It failed before it read anything.
    pub(in crate::session) unread: bool,
    /// A statement of ours: only its error is shown.
    pub(in crate::session) hidden: bool,
    /// An error or an empty reply is all that may come of it.
    pub(in crate::session) answers_nothing: bool,
    /// It runs to its end before the server describes its result: the description waits for what follows it.
    pub(in crate::session) runs_first: bool,
    /// The client sent it in a simple query.
    pub(in crate::session) simple: bool,
    /// A function call message, whose answer is no row.
    pub(in crate::session) calls_function: bool,
    /// That description.
    pub(in crate::session) description: Option<Bytes>,
    /// What enforcing would have done with it, where that is only watched.
    pub(in crate::session) watch: Option<Box<Watch>>,
}

/// Under what authority a run was started.
#[derive(Debug, Clone)]
pub(in crate::session) struct Authority {
    pub(in crate::session) policy_version: Arc<str>,
    pub(in crate::session) role: Arc<str>,
    pub(in crate::session) grants: Arc<Grants>,
}

impl Run {
    /// A run that was just asked for.
    pub(in crate::session) fn new(
        id: RunId,
        statement: EventId,
        texts: Vec<Arc<str>>,
        mode: Mode,
        parameters: Vec<Option<String>>,
        authority: Authority,
        sought: Vec<Sought>,
    ) -> Self {
        Self {
            id,
            statement,
            started: Instant::now(),
            texts,
            next_text: 0,
            comments: Vec::new(),
            mode,
            parameters,
            given: Vec::new(),
            policy_version: authority.policy_version,
            role: authority.role,
            grants: authority.grants,
            sought,
            aims: Vec::new(),
            layout: None,
            formats: Vec::new(),
            window: BytesMut::new(),
            keys: BTreeSet::new(),
            found: false,
            rows: 0,
            moved: 0,
            bytes: 0,
            intent_written: false,
            announced: false,
            unknown: false,
            revoked: None,
            by_rows: false,
            reach: None,
            copy: CopyRun::default(),
            lost: false,
            passed: None,
            gate_due: false,
            unread: false,
            hidden: false,
            answers_nothing: false,
            runs_first: false,
            simple: false,
            calls_function: false,
            description: None,
            watch: None,
        }
    }

    /// True when it can change something on the server.
    pub(in crate::session) fn writes(&self) -> bool {
        match &self.mode {
            Mode::Verbatim => false,
            Mode::Unattributed { .. } => true,
            // What a role may do at the end of a transaction it did before.
            Mode::Guarded(plan) => plan.kind != StatementKind::Select || plan.wrap == Wrap::Commit,
        }
    }

    /// True when granted patients are bound into it.
    pub(in crate::session) fn uses_grants(&self) -> bool {
        self.plan().is_some_and(|p| p.grants_param.is_some())
    }

    /// The same, or they would be if the policy were enforced.
    pub(in crate::session) fn rests_on_grants(&self) -> bool {
        self.uses_grants() || self.watch.as_ref().is_some_and(|w| w.uses_grants())
    }

    /// The plan of a guarded run.
    pub(in crate::session) fn plan(&self) -> Option<&Arc<GuardedPlan>> {
        match &self.mode {
            Mode::Guarded(plan) => Some(plan),
            Mode::Verbatim | Mode::Unattributed { .. } => None,
        }
    }

    /// Takes one DataRow body of a guarded run into the window. Says whether the window is full.
    pub(in crate::session) fn take_row(
        &mut self,
        body: &[u8],
    ) -> Result<bool, crate::session::server::layout::Malformed> {
        let Some(layout) = self.layout.clone() else {
            return Err(crate::session::server::layout::Malformed("row before its description"));
        };
        let before = self.window.len();
        let witness = layout.take_row(body, &mut self.window)?;
        let shown = witness.visible && !self.plan().is_some_and(|p| p.rows_are_witnesses);
        self.moved += u64::from(witness.visible);
        if shown {
            self.rows += 1;
            self.bytes += (self.window.len() - before) as u64;
        } else {
            self.window.truncate(before);
        }
        self.take_keys(witness.keys);
        Ok(self.window.len() >= WINDOW)
    }

    /// Patients of rows that went by.
    pub(in crate::session) fn take_keys(&mut self, keys: impl IntoIterator<Item = String>) {
        match &mut self.watch {
            None => self.keys.extend(keys),
            Some(watch) => {
                let keys: Vec<String> = keys.into_iter().collect();
                watch.see(&keys);
                self.keys.extend(keys);
            }
        }
        self.found |= !self.keys.is_empty();
    }

    /// The keys of rows whose record is not written yet.
    pub(in crate::session) fn pending_keys(&self) -> &BTreeSet<String> {
        &self.keys
    }

    /// What the client wrote, as the record has it.
    fn text(&self) -> String {
        let Some(text) = self.texts.get(self.next_text) else { return String::new() };
        match self.comments.get(self.next_text) {
            Some(comments) if !comments.is_empty() => cut(&format!("{comments}{text}"), LONGEST_TEXT),
            _ => cut(text, LONGEST_TEXT),
        }
    }

    /// `Intent` of this run.
    pub(in crate::session) fn intent(&self, identity: &Identity) -> Intent {
        let footprint = match &self.mode {
            Mode::Verbatim => Footprint::default(),
            Mode::Unattributed { footprint, .. } => footprint.clone(),
            Mode::Guarded(plan) => plan.footprint.clone(),
        };
        Intent {
            who: Arc::clone(&identity.who),
            from: Arc::clone(&identity.from),
            what: What {
                sql: self.text(),
                parameters: self
                    .parameters
                    .iter()
                    .take(MOST_PARAMETERS)
                    .map(|p| p.as_ref().map(|p| cut(p, LONGEST_PARAMETER)))
                    .collect(),
                relations: footprint.relations,
                classes: footprint.classes,
                fingerprint: self.fingerprint(),
            },
            policy_version: Arc::clone(&self.policy_version),
            glass_sessions: if self.rests_on_grants() {
                self.grants.sessions.iter().map(ToString::to_string).collect()
            } else {
                Vec::new()
            },
            sought: self
                .sought
                .iter()
                .flat_map(|s| [Some(&s.value).filter(|_| s.told), s.key.as_ref()])
                .flatten()
                .chain(&self.aims)
                .cloned()
                .collect(),
        }
    }

    /// The patients of the rows taken since the last call, as a disclosure; `None` for a run that
    /// reads nothing protected.
    pub(in crate::session) fn disclosure(&mut self) -> Option<Disclosure> {
        match &self.mode {
            Mode::Verbatim => None,
            Mode::Unattributed { .. } if self.unread => None,
            Mode::Unattributed { reason, .. } => Some(Disclosure {
                patients: Vec::new(),
                all_patients: true,
                exact: false,
                reasons: vec![(*reason).to_owned()],
            }),
            Mode::Guarded(plan) => {
                let plan = Arc::clone(plan);
                let mut keys = std::mem::take(&mut self.keys);
                // A pinned table carries no witness: the pins are part of the lineage whatever carries
                // the rest of it.
                // Not so a patient who is hidden from the user: sought, and nothing of them returned.
                let pinned =
                    self.sought.iter().filter(|s| s.is_key() && s.certain && s.inside != Some(false));
                keys.extend(pinned.map(|s| s.value.clone()));
                let mut reasons: Vec<String> = plan.lineage.reasons.iter().map(|r| (*r).to_owned()).collect();
                let by_error = self.by_rows;
                // Under a filter nobody outside the assignment can have mattered.
                let reach = self.reach.take();
                let mut all_patients = (by_error && reach.is_none()) || self.lost;
                if by_error {
                    keys.extend(reach.into_iter().flatten());
                }
                if by_error && !self.unknown {
                    reasons.push("ERROR".to_owned());
                }
                if self.unknown {
                    reasons.push("NO REPLY".to_owned());
                    keys.extend(self.aims.iter().cloned());
                }
                match &self.passed {
                    None => {}
                    Some(Passed::Anyone) => all_patients = true,
                    Some(Passed::These(patients)) => keys.extend(patients.iter().cloned()),
                }
                Some(Disclosure {
                    patients: keys.into_iter().collect(),
                    all_patients,
                    exact: plan.lineage.exact
                        && !by_error
                        && !self.unknown
                        && !self.lost
                        && self.passed.is_none(),
                    reasons,
                })
            }
        }
    }

    /// Notes an error of the server.
    pub(in crate::session) fn failed_with(&mut self, report: &Report) {
        let of_rows = crate::session::server::report::depends_on_rows(report);
        // What the statement names is all that it reads; a write can meet other rows with the same key, and those
        // that refer to it or that a trigger reads.
        let pinned = self.plan().is_some_and(|p| p.lineage.strategy == Strategy::Pinned);
        let met = self.writes() && crate::session::server::report::depends_on_others(report);
        self.by_rows = of_rows && (!pinned || met);
        self.watched_rows();
    }

    /// Notes that its reply did not come. A write that was sent outside a transaction block may be kept all the same.
    pub(in crate::session) fn cut_off(&mut self) {
        self.unknown = self.writes() && (self.announced || self.intent_written);
        let pinned = self.plan().is_some_and(|p| p.lineage.strategy == Strategy::Pinned);
        self.by_rows |= self.unknown && !pinned;
    }

    /// How it ended.
    pub(in crate::session) fn end(&self, outcome: Outcome) -> End {
        End {
            rows: self.rows,
            bytes: self.bytes,
            outcome,
            duration_us: micros(self.started.elapsed()),
            observed: self.observed(),
        }
    }

    /// The body to append before an unattributed statement is sent.
    pub(in crate::session) fn announce(&mut self, identity: &Identity) -> Body {
        self.intent_written = true;
        self.gate_due = true;
        Body::Intent { statement: self.statement.clone(), intent: self.intent(identity) }
    }

    /// The body to append before a guarded write is sent that nothing but its own end commits; `None` when it was
    /// appended, or when it is no such run.
    pub(in crate::session) fn announce_write(&mut self, identity: &Identity) -> Option<Body> {
        if self.announced || self.intent_written || self.hidden || self.plan().is_none() || !self.writes() {
            return None;
        }
        self.announced = true;
        Some(Body::Intent { statement: self.statement.clone(), intent: self.intent(identity) })
    }

    /// The body to append when it was announced and the server skipped it, behind an error.
    pub(in crate::session) fn skipped(&self) -> Option<Body> {
        let outcome = Outcome::Error { sqlstate: SKIPPED.to_owned() };
        let open = self.announced || self.intent_written;
        open.then(|| Body::End { statement: self.statement.clone(), end: self.end(outcome) })
    }

    /// The bodies to append when a window is full and the statement goes on. The last one gates it.
    pub(in crate::session) fn window_records(&mut self, identity: &Identity) -> Vec<Body> {
        let mut bodies = Vec::new();
        if !self.intent_written && !self.announced {
            bodies.push(Body::Intent { statement: self.statement.clone(), intent: self.intent(identity) });
        }
        self.intent_written = true;
        if let Some(disclosure) = self.disclosure() {
            bodies.push(Body::Disclosure { statement: self.statement.clone(), disclosure });
        }
        bodies
    }

    /// The bodies to append when the statement is over: one record for a result that fitted one
    /// window, otherwise its last disclosure and its end.
    pub(in crate::session) fn final_records(&mut self, identity: &Identity, outcome: Outcome) -> Vec<Body> {
        let disclosure = self.disclosure();
        let end = self.end(outcome);
        let statement = self.statement.clone();
        if !self.intent_written {
            return vec![Body::Statement { statement, intent: self.intent(identity), disclosure, end }];
        }
        let disclosure =
            disclosure.map(|disclosure| Body::Disclosure { statement: statement.clone(), disclosure });
        disclosure.into_iter().chain([Body::End { statement, end }]).collect()
    }
}

/// How a statement ended that stood behind an error and was not run (in_failed_sql_transaction).
const SKIPPED: &str = "25P02";

/// Bytes of a statement's text that a record keeps: nobody may fill the ledger's disk with one text.
const LONGEST_TEXT: usize = 64 * 1024;
/// Bytes of one parameter that a record keeps.
const LONGEST_PARAMETER: usize = 4 * 1024;
/// Parameters that a record keeps.
const MOST_PARAMETERS: usize = 1_000;

/// The text, or its beginning with its length and SHA-256, so that it can still be recognised.
fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = (0..=longest).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let hash = hex(&Sha256::digest(text.as_bytes()));
    format!("{}... [cut: {} bytes, SHA-256 {hash}]", &text[..end], text.len())
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// True for the error of a statement that read nothing, whatever it is: a name in it does not exist, or its
/// transaction failed before. One with a context comes from a function, which may have read before it. A relation
/// or function that is missed where the text names it has a position; one that a row names (`::regclass`) has none.
pub(in crate::session) fn never_read(report: &Report) -> bool {
    let at_once = match &*report.code() {
        "26000" | "34000" | "42703" | "25P01" | "25P02" => true,
        "42P01" | "42883" => report.field(b'P').is_some(),
        _ => false,
    };
    at_once && report.field(b'W').is_none()
}

/// What a statement's pins say, with parameters filled in. A value that is no key of the key type
/// is kept as typed, so that the record shows what was asked for.
pub(in crate::session) fn sought(
    plan: &GuardedPlan,
    parameters: &[Option<String>],
    key: KeyType,
) -> Vec<Sought> {
    let mut all = Vec::new();
    for Pin { identifier, value, certain } in &plan.pins {
        let mut here = BTreeSet::new();
        for value in filled(value, parameters) {
            let values = match identifier {
                None => keys_meant(key, value),
                Some(_) => vec![value],
            };
            here.extend(values);
            if here.len() >= MOST_SOUGHT {
                break;
            }
        }
        let sought = |value: String| Sought {
            identifier: *identifier,
            told: identifier.is_none() || key.canonical(&value).is_none(),
            value,
            key: None,
            certain: *certain,
            inside: None,
        };
        all.extend(here.into_iter().map(sought));
    }
    all
}

/// Most patients looked at of those that an array names: a longer one is a list of work, and no lookup.
const MOST_SOUGHT: usize = 1_000;

/// The keys that a value as typed can mean. A cast rounds what is no whole number; which way depends on its type.
fn keys_meant(key: KeyType, value: String) -> Vec<String> {
    if let Some(key) = key.canonical(&value) {
        return vec![key];
    }
    if !matches!(key, KeyType::Int4 | KeyType::Int8) {
        return vec![value];
    }
    if let Some(key) = crate::sql::whole(&value).and_then(|v| key.canonical(&v.to_string())) {
        return vec![key];
    }
    let beside = value.trim().parse::<f64>().ok().filter(|v| v.abs() < 9e15);
    match beside {
        Some(v) => [v.floor(), v.ceil()].iter().filter_map(|v| key.canonical(&format!("{v:.0}"))).collect(),
        None => vec![value],
    }
}

/// The same of the patients whom a statement would give rows to.
pub(in crate::session) fn aims(
    plan: &GuardedPlan,
    parameters: &[Option<String>],
    key: KeyType,
) -> Vec<String> {
    let given = plan.aims.iter().flat_map(|value| filled(value, parameters));
    given.map(|value| key.canonical(&value).unwrap_or(value)).collect()
}

fn filled(value: &PinValue, parameters: &[Option<String>]) -> Vec<String> {
    let parameter = |n: u16| parameters.get(usize::from(n).checked_sub(1)?).cloned().flatten();
    match value {
        PinValue::Constant(text) => vec![text.clone()],
        PinValue::Parameter(n) => parameter(*n).into_iter().collect(),
        PinValue::Elements(n) => parameter(*n).and_then(|t| crate::sql::elements(&t)).unwrap_or_default(),
        PinValue::Both(both) => {
            let (one, other) = (filled(&both.0, parameters), filled(&both.1, parameters));
            if one == other { one } else { Vec::new() }
        }
    }
}

/// A bound parameter as text for the record: text as it is, binary integers and UUIDs decoded by the
/// declared type, anything else as hexadecimal.
pub(in crate::session) fn parameter_text(
    value: Option<&[u8]>,
    binary: bool,
    type_oid: u32,
) -> Option<String> {
    let value = value?;
    if !binary {
        let text = String::from_utf8_lossy(value).into_owned();
        // One value has one text: patients are told apart by it.
        let plain = match type_oid {
            20 | 21 | 23 => KeyType::Int8.canonical(&text),
            1042 => Some(text.trim_end_matches(' ').to_owned()),
            2950 => KeyType::Uuid.canonical(&text),
            _ => None,
        };
        return Some(plain.unwrap_or(text));
    }
    let text = match (type_oid, value.len()) {
        (21, 2) => value.try_into().ok().map(|b| i16::from_be_bytes(b).to_string()),
        (23 | 0, 4) => value.try_into().ok().map(|b| i32::from_be_bytes(b).to_string()),
        (20 | 0, 8) => value.try_into().ok().map(|b| i64::from_be_bytes(b).to_string()),
        (1042, _) => std::str::from_utf8(value).ok().map(|text| text.trim_end_matches(' ').to_owned()),
        (25 | 1043 | 19 | 705, _) => std::str::from_utf8(value).ok().map(str::to_owned),
        (700, 4) => value.try_into().ok().map(|b| f32::from_be_bytes(b).to_string()),
        (701, 8) => value.try_into().ok().map(|b| f64::from_be_bytes(b).to_string()),
        (1700, _) => binary::numeric(value),
        (oid, _) if binary::is_array(oid) => binary::array(value),
        (16, 1) => Some(if value == [0] { "f" } else { "t" }.to_owned()),
        (2950, 16) => KeyType::Uuid.canonical(&hex(value)),
        _ => None,
    };
    Some(text.unwrap_or_else(|| format!("\\x{}", hex(value))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
