//! The calls of schema `glass` and their parameters: names, order, which ones exist here. Not for
//! reading SQL (`shape`) or values (`args`).

use std::time::Duration;

use super::{Binding, SessionId};

/// What `bind =>` says.
pub type Bind = Binding;

/// A call with its arguments read. The values are as the client wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `glass.open(...)`
    Open(OpenCall),
    /// `glass.close([session])`: the one named, or all that count on this connection.
    Close {
        /// Which.
        session: Option<SessionId>,
    },
    /// `glass.extend(session, ttl, note)`
    Extend {
        /// Which.
        session: SessionId,
        /// By how much; the default is the longest step.
        ttl: Option<Duration>,
        /// Why it is still needed.
        note: String,
    },
    /// `glass.revoke(session, note)`, by a privacy officer.
    Revoke {
        /// Which, anybody's.
        session: SessionId,
        /// Why.
        note: String,
    },
    /// `glass.status()`
    Status,
    /// `glass.help()`
    Help,
    /// `glass.why(patient)`
    Why {
        /// A key or an identifier, as typed.
        patient: String,
    },
}

/// The arguments of `glass.open`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// Keys or identifiers as typed, in order, none twice. The caller resolves them.
    pub patients: Vec<String>,
    /// HL7 ActReason code as typed.
    pub reason: String,
    /// The note as typed.
    pub note: String,
    /// How long; the profile's default when absent.
    pub ttl: Option<Duration>,
    /// What it is bound to.
    pub bind: Bind,
    /// Categories that it opens of these patients, in order, none twice.
    pub categories: Vec<String>,
    /// Labels of these patients that it opens, likewise.
    pub labels: Vec<String>,
}

impl Call {
    /// The patients that the call names, as typed: what the caller has to resolve for
    /// [`super::Facts::resolved`].
    pub fn patients(&self) -> &[String] {
        match self {
            Call::Open(open) => &open.patients,
            Call::Why { patient } => std::slice::from_ref(patient),
            Call::Close { .. } | Call::Extend { .. } | Call::Revoke { .. } | Call::Status | Call::Help => &[],
        }
    }
}

/// The functions that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `glass.open`
    Open,
    /// `glass.close`
    Close,
    /// `glass.extend`
    Extend,
    /// `glass.revoke`
    Revoke,
    /// `glass.status`
    Status,
    /// `glass.help`
    Help,
    /// `glass.why`
    Why,
}

/// A parameter's type as far as an undeclared bind parameter in its place is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One value.
    Text,
    /// An array.
    List,
}

/// A parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

const fn text(name: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Text }
}

const OPEN: &[Parameter] = &[
    text("patient"),
    text("reason"),
    text("note"),
    Parameter { name: "patients", kind: Kind::List },
    text("ttl"),
    text("scope"),
    text("access"),
    text("bind"),
    Parameter { name: "categories", kind: Kind::List },
    Parameter { name: "labels", kind: Kind::List },
];
const EXTEND: &[Parameter] = &[text("session"), text("ttl"), text("note")];

/// Parameters of the full design that this version has not: named, so that the refusal can say so.
const NOT_YET: [&str; 4] = ["otp", "incident", "previous", "quota"];

/// Functions of the full design that this version has not.
const FUNCTIONS_NOT_YET: [&str; 11] = [
    "justify",
    "approve",
    "deny",
    "withdraw",
    "review",
    "reasons",
    "grant_quota",
    "session_report",
    "patient_report",
    "my_accesses",
    "monthly_summary",
];

impl Function {
    /// Every function, in the order of the help table.
    pub const ALL: [Function; 7] = [
        Function::Open,
        Function::Close,
        Function::Extend,
        Function::Status,
        Function::Why,
        Function::Revoke,
        Function::Help,
    ];

    /// The name without its schema.
    pub fn name(self) -> &'static str {
        match self {
            Function::Open => "open",
            Function::Close => "close",
            Function::Extend => "extend",
            Function::Revoke => "revoke",
            Function::Status => "status",
            Function::Help => "help",
            Function::Why => "why",
        }
    }

    /// A call as it is written, for refusals and the help table.
    pub fn example(self) -> &'static str {
        match self {
            Function::Open => "SELECT * FROM glass.open('884213', 'BTG', 'why you need it', ttl => '30 min')",
            Function::Close => "SELECT glass.close()",
            Function::Extend => "SELECT glass.extend('G-XXXXXXXX', '30 min', 'why it is still needed')",
            Function::Revoke => "SELECT glass.revoke('G-XXXXXXXX', 'why')",
            Function::Status => "SELECT * FROM glass.status()",
            Function::Help => "SELECT * FROM glass.help()",
            Function::Why => "SELECT * FROM glass.why('884213')",
        }
    }

    /// The function of this name.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    /// True for a name of the full design that this version does not answer.
    pub(super) fn is_not_yet(name: &str) -> bool {
        FUNCTIONS_NOT_YET.contains(&name)
    }

    /// True for a parameter of the full design that this version does not have.
    pub(super) fn is_parameter_not_yet(name: &str) -> bool {
        NOT_YET.contains(&name)
    }

    /// The parameters; the first [`Self::positional`] of them may be given by position.
    pub(super) fn parameters(self) -> &'static [Parameter] {
        match self {
            Function::Open => OPEN,
            Function::Close => &EXTEND[..1],
            Function::Extend => EXTEND,
            Function::Revoke => const { &[text("session"), text("note")] },
            Function::Status | Function::Help => &[],
            Function::Why => &OPEN[..1],
        }
    }

    /// How many parameters may be given by position.
    pub(super) fn positional(self) -> usize {
        match self {
            Function::Open => 3,
            other => other.parameters().len(),
        }
    }

    /// The columns of its result in the form `SELECT * FROM glass.f()`; all are `text`.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Function::Open | Function::Close | Function::Extend | Function::Revoke => {
                &["session", "state", "patients", "expires_at", "message"]
            }
            Function::Status => &[
                "session",
                "user",
                "state",
                "reason",
                "patients",
                "opened_at",
                "expires_at",
                "remaining",
                "bound_to",
                "extensions_left",
                "message",
            ],
            Function::Help => &["call", "message"],
            Function::Why => &["rule", "answer", "message"],
        }
    }
}
