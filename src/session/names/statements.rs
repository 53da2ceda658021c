//! The client's prepared statements and portals, as the session must know them to decide again at
//! Bind and Execute. Not here: the decision.

use std::collections::HashMap;
use std::sync::Arc;

use crate::glass;
use crate::session::server::layout::Layout;
use crate::sql::GuardedPlan;
use crate::sql::planner::PlannedStatement;

/// A statement the client prepared.
#[derive(Debug, Clone)]
pub(in crate::session) struct Prepared {
    /// The client's text.
    pub(in crate::session) text: Arc<str>,
    /// Its name on the server: the client's own for a verbatim statement, one that is never used
    /// again for a guarded one, so that no text of the client's can come to stand under it.
    pub(in crate::session) upstream: String,
    /// Parameter types as the client gave them, or the server told them since.
    pub(in crate::session) types: Vec<u32>,
    /// Those it was decided with.
    pub(in crate::session) declared: Arc<[u32]>,
    /// What was decided, and sent upstream under the client's name.
    pub(in crate::session) decided: Decided,
    /// The context (role, policy, catalog, namespace, grants) it was decided in.
    pub(in crate::session) context: u64,
    /// Layout of the guarded reply, once the server described it.
    pub(in crate::session) layout: Option<Arc<Layout>>,
}

impl Prepared {
    /// The plan, when it is guarded.
    pub(in crate::session) fn guarded(&self) -> Option<&Arc<GuardedPlan>> {
        match &self.decided {
            Decided::Sent(statement) => statement.guarded(),
            Decided::Empty | Decided::Glass(_) => None,
        }
    }

    /// True for a call answered here.
    pub(in crate::session) fn is_glass(&self) -> bool {
        matches!(self.decided, Decided::Glass(_))
    }
}

/// What became of a prepared statement.
#[derive(Debug, Clone)]
pub(in crate::session) enum Decided {
    /// An empty string.
    Empty,
    /// Sent upstream, verbatim or guarded.
    Sent(Arc<PlannedStatement>),
    /// A `glass.*` call, answered here.
    Glass(Arc<glass::Shape>),
}

/// A portal the client bound.
#[derive(Debug, Clone)]
pub(in crate::session) struct Portal {
    /// Its name on the server: one of ours for a guarded one that has a name.
    pub(in crate::session) name: String,
    /// The context it was decided in.
    pub(in crate::session) context: u64,
    /// It was executed before.
    pub(in crate::session) ran: bool,
    /// What it runs or reads by its name, when it does.
    pub(in crate::session) called: crate::session::names::Called,
    /// The client's text.
    pub(in crate::session) text: Arc<str>,
    /// The exchange it was bound in.
    pub(in crate::session) exchange: u64,
    /// What was decided at Bind.
    pub(in crate::session) decided: Decided,
    /// Version of the policy in force at Bind.
    pub(in crate::session) policy_version: Arc<str>,
    /// Name of the role at Bind.
    pub(in crate::session) role: Arc<str>,
    /// Parameter types.
    pub(in crate::session) types: Vec<u32>,
    /// Those it was decided with.
    pub(in crate::session) declared: Arc<[u32]>,
    /// Layout with the formats of this Bind, if the server had described the statement by then.
    pub(in crate::session) layout: Option<Arc<Layout>>,
    /// Result format codes as they were sent.
    pub(in crate::session) result_formats: Vec<i16>,
    /// Parameter values as text, for the record and for pins.
    pub(in crate::session) parameters: Vec<Option<String>>,
    /// Raw parameters for `glass.*`.
    pub(in crate::session) raw: Vec<Option<bytes::Bytes>>,
    /// Their format codes as bound.
    pub(in crate::session) raw_formats: Vec<i16>,
    /// Break-glass sessions whose patients were bound.
    pub(in crate::session) grants: Arc<glass::Grants>,
    /// The server's name of the cursor or prepared statement that it makes.
    pub(in crate::session) upstream: Option<String>,
    /// Whom the user could see when it was bound, for a cursor that may pass over rows.
    pub(in crate::session) reach: Option<Arc<[String]>>,
}

impl Portal {
    /// The plan, when it is guarded.
    pub(in crate::session) fn plan(&self) -> Option<&Arc<GuardedPlan>> {
        match &self.decided {
            Decided::Sent(statement) => statement.guarded(),
            Decided::Empty | Decided::Glass(_) => None,
        }
    }

    /// True when granted patients were bound into it.
    pub(in crate::session) fn uses_grants(&self) -> bool {
        match &self.decided {
            Decided::Sent(statement) => statement.guarded().is_some_and(|p| p.grants_param.is_some()),
            Decided::Empty | Decided::Glass(_) => false,
        }
    }

    /// True for a call answered here.
    pub(in crate::session) fn is_glass(&self) -> bool {
        matches!(self.decided, Decided::Glass(_))
    }
}

/// Both tables. The unnamed ones have the empty name.
#[derive(Debug, Default)]
pub(in crate::session) struct Statements {
    /// Prepared statements by name.
    pub(in crate::session) prepared: HashMap<String, Prepared>,
    /// Portals by name.
    pub(in crate::session) portals: HashMap<String, Portal>,
    /// The portal whose Bind made the present transaction fail: the server keeps its name until the
    /// transaction ends, and answers what is asked of it as it does everything then.
    pub(in crate::session) failed_portal: Option<String>,
}
