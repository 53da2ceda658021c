//! What the ledger keeps of break-glass: one transition of one session, versioned JSON, with all
//! that is needed to rebuild the state. Not for deciding: a transition is a fact.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ConnectionId, SessionId};

/// The version of the JSON form. A reader refuses every other.
const VERSION: u64 = 1;

/// One change of one session. It takes effect when applied, and is durable before that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "serde_json::Value")]
pub struct Transition {
    /// When it was decided.
    pub at: Timestamp,
    /// Whose it is.
    pub session: SessionId,
    /// What changed.
    pub change: Change,
}

/// The kinds of change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// The session begins, active.
    Opened(Box<Opened>),
    /// It lasts longer.
    Extended(Extended),
    /// It is over and waits for its review.
    Ended(Ended),
}

/// The beginning of a session: who, from where, why, whose data and on what terms. The terms are
/// copied from the profile, so that a later configuration does not change a running session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The principal (database user name).
    pub user: String,
    /// Role at the time.
    pub role: String,
    /// Break-glass profile at the time.
    pub profile: String,
    /// HL7 ActReason code.
    pub reason: String,
    /// The user's own words.
    pub note: String,
    /// The patients named, in the order named, each once.
    pub patients: Vec<Named>,
    /// Categories that it opens, in the order named, each once; records from before there were any have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Labels of patients that it opens, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What the session is bound to.
    pub binding: Binding,
    /// The connection that opened it.
    pub connection: ConnectionId,
    /// That connection's client address.
    pub address: String,
    /// Its application_name.
    pub application: String,
    /// The end, unless extended.
    pub expires_at: Timestamp,
    /// No extension goes beyond.
    pub latest_end: Timestamp,
    /// Seconds without use after which it closes.
    pub idle_close_seconds: u64,
    /// How many extensions it may get.
    pub max_extensions: u32,
    /// The user's last ended session over one of these patients.
    pub previous: Option<SessionId>,
}

/// A patient as named by the user, and the key that it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// What the user typed.
    pub typed: String,
    /// The canonical patient key; absent when the text named nobody (the user is not told).
    pub key: Option<String>,
}

/// What a session is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// The connection that opened it.
    Connection,
    /// Every connection of the same principal.
    Principal,
}

/// An extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extended {
    /// 1 for the first. What makes a replayed extension harmless.
    pub number: u32,
    /// The new end.
    pub expires_at: Timestamp,
    /// Why it is still needed.
    pub note: String,
}

/// An end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// How it ended.
    pub how: Ending,
    /// From when on it granted nothing: never later than the transition itself, which may be late.
    pub effective: Timestamp,
    /// Who ended it, when a person did.
    pub by: Option<String>,
    /// What that person said.
    pub note: Option<String>,
}

/// How a session ended. Each ending leads to the review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its time was over.
    Expired,
    /// Not used for the profile's `idle_close`.
    IdleClosed,
    /// The user closed it.
    Closed,
    /// A privacy officer ended it.
    Revoked,
    /// Cut: the connection it was bound to is gone.
    ConnectionGone,
    /// Cut: the proxy was restarted, and the connection it was bound to is gone with it.
    ProxyRestarted,
    /// Cut: the user may no longer break glass.
    RightsWithdrawn,
}

impl Binding {
    /// The word that users write and read.
    pub fn as_str(self) -> &'static str {
        match self {
            Binding::Connection => "connection",
            Binding::Principal => "principal",
        }
    }
}

impl Ending {
    /// The state's name as users read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Expired => "expired",
            Ending::IdleClosed => "idle_closed",
            Ending::Closed => "closed",
            Ending::Revoked => "revoked",
            Ending::ConnectionGone | Ending::ProxyRestarted | Ending::RightsWithdrawn => "cut",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Expired => "its time was over",
            Ending::IdleClosed => "it was not used",
            Ending::Closed => "it was closed",
            Ending::Revoked => "it was revoked",
            Ending::ConnectionGone => "its connection is gone",
            Ending::ProxyRestarted => "the proxy was restarted",
            Ending::RightsWithdrawn => "the right to break glass was withdrawn",
        })
    }
}

/// Why a transition could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// Written by another version of the proxy.
    #[error("break-glass transition of unknown version {0}; this version reads {VERSION}")]
    UnknownVersion(String),
    /// Not a transition of this version.
    #[error("unreadable break-glass transition: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Transition {
    /// Reads a transition from the ledger.
    ///
    /// # Errors
    /// [`TransitionError`]: the caller must not serve with a state that misses a transition.
    pub fn from_json(text: &str) -> Result<Self, TransitionError> {
        serde_json::from_str::<serde_json::Value>(text)?.try_into()
    }
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u64,
    at: Timestamp,
    session: SessionId,
    change: Change,
}

impl From<Transition> for Wire {
    fn from(t: Transition) -> Self {
        Wire { v: VERSION, at: t.at, session: t.session, change: t.change }
    }
}

impl TryFrom<serde_json::Value> for Transition {
    type Error = TransitionError;

    fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
        match value.get("v") {
            Some(v) if v.as_u64() == Some(VERSION) => {}
            other => {
                let found = other.map_or_else(|| "(none)".to_owned(), ToString::to_string);
                return Err(TransitionError::UnknownVersion(found));
            }
        }
        let Wire { v: _, at, session, change } = serde_json::from_value(value)?;
        Ok(Transition { at, session, change })
    }
}
