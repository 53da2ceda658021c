//! Cursors and prepared statements of SQL that this session knows. A guarded one has a name of ours on
//! the server that is used once: what is read under it was made by the statement that we remember,
//! whatever became of the client's name since (a rollback, a failed DECLARE). So a wrong belief about
//! the client's names can only end in an error. Sans-IO; sending is in `translate`.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::glass::Grants;
use crate::policy::RESERVED_PREFIX;
use crate::session::names::Twin;
use crate::session::names::statements::{Decided, Portal};
use crate::session::run::ops::Undo;
use crate::sql::objects::{Object, Wrap};
use crate::sql::planner::PlannedStatement;
use crate::sql::{Footprint, GuardedPlan, StatementKind, Strategy, Verdict};

/// What stands behind a name.
#[derive(Debug, Clone)]
pub(in crate::session) enum Holds {
    /// Nothing protected; the client's own name stands on the server.
    Free,
    /// A guarded statement: the plan without its wrapper.
    Guarded(Arc<GuardedPlan>),
    /// An unrestricted role's, whose patients cannot be told; under the client's own name.
    Unattributed { footprint: Footprint, reason: &'static str },
}

impl Holds {
    pub(in crate::session) fn of(statement: &PlannedStatement) -> Option<Self> {
        match &statement.verdict {
            Verdict::Verbatim => Some(Holds::Free),
            Verdict::Guarded(plan) => match &plan.wrap {
                Wrap::Declare(named) | Wrap::Prepare(named) => Some(Holds::Guarded(Arc::clone(&named.inner))),
                Wrap::Plain | Wrap::Fetch(_) | Wrap::Move(_) | Wrap::Execute(_) | Wrap::Commit => None,
            },
            Verdict::Unattributed { footprint, reason } => {
                Some(Holds::Unattributed { footprint: footprint.clone(), reason })
            }
            Verdict::Refused(_) => None,
        }
    }

    pub(in crate::session) fn guarded(&self) -> Option<&Arc<GuardedPlan>> {
        match self {
            Holds::Guarded(plan) => Some(plan),
            Holds::Free | Holds::Unattributed { .. } => None,
        }
    }
}

/// The authority under which something was made.
#[derive(Debug, Clone)]
pub(in crate::session) struct MadeUnder {
    pub(in crate::session) policy_version: Arc<str>,
    pub(in crate::session) role: Arc<str>,
    pub(in crate::session) grants: Arc<Grants>,
}

/// A cursor.
#[derive(Debug, Clone)]
pub(in crate::session) struct Cursor {
    /// Its name on the server.
    pub(in crate::session) upstream: String,
    pub(in crate::session) holds: Holds,
    pub(in crate::session) binary: bool,
    pub(in crate::session) hold: bool,
    /// WITH HOLD, and its transaction ended: it has run to its end.
    settled: bool,
    pub(in crate::session) moves_names: bool,
    pub(in crate::session) under: MadeUnder,
    /// The parameters it was declared with.
    pub(in crate::session) parameters: Vec<Option<String>>,
    /// A row named a patient.
    pub(in crate::session) found: bool,
    /// Patients of a bound: they stand for every row.
    kept: BTreeSet<String>,
    /// Whom the user could see when it was declared, where rows may be skipped unseen.
    pub(in crate::session) reach: Option<Arc<[String]>>,
    /// The plan of its DECLARE, to tell whose failure an error is.
    plan: Option<Arc<GuardedPlan>>,
}

/// A prepared statement.
#[derive(Debug, Clone)]
pub(in crate::session) struct SqlPrepared {
    /// Its name on the server.
    pub(in crate::session) upstream: String,
    pub(in crate::session) holds: Holds,
    /// The client's PREPARE.
    pub(in crate::session) text: Arc<str>,
    /// The context it was decided in.
    pub(in crate::session) context: u64,
    pub(in crate::session) moves_names: bool,
    plan: Option<Arc<GuardedPlan>>,
}

/// Whom a FETCH that skipped rows, or a MERGE, may have depended on.
#[derive(Debug, Clone)]
pub(in crate::session) enum Passed {
    /// These patients at most.
    These(Arc<[String]>),
    /// Anyone.
    Anyone,
}

impl Passed {
    /// Whom the user could see, where that could be found out.
    pub(in crate::session) fn of(reach: Option<Vec<String>>) -> Self {
        reach.map_or(Passed::Anyone, |patients| Passed::These(patients.into()))
    }
}

/// Both tables.
#[derive(Debug, Default)]
pub(in crate::session) struct Objects {
    pub(in crate::session) cursors: HashMap<String, Cursor>,
    pub(in crate::session) prepared: HashMap<String, SqlPrepared>,
    /// Prepared statements that are on the server a second time, by name and whether as the client's own text.
    pub(in crate::session) twins: HashMap<(String, bool), Twin>,
    /// What was forgotten at the word of statements that are not answered yet, the last one last.
    pub(in crate::session) doubts: Vec<Undo>,
    /// How many those statements are.
    pub(in crate::session) forgetting: u32,
    /// What may have been forgotten by statements that failed, which only the server can tell.
    pub(in crate::session) doubtful: Vec<Undo>,
    next: u64,
    /// Names of ours given last, and whose they are: the server can speak of one that is gone.
    given: VecDeque<(String, String)>,
}

/// Entries of a table; a client that makes more names than this has the oldest knowledge dropped, and
/// is told that they do not exist.
const MOST: usize = 10_000;

/// Names of ours that are remembered for what the server says of them.
const MOST_GIVEN: usize = 1_000;

impl Objects {
    /// A name on the server that was never used: `c` for cursors, `p` for prepared statements, `o` for
    /// what lives for one message.
    pub(in crate::session) fn fresh(&mut self, letter: char) -> String {
        self.next += 1;
        format!("{RESERVED_PREFIX}{letter}{}", self.next)
    }

    /// The cursor of this name on the server.
    pub(in crate::session) fn upstream_cursor(&mut self, upstream: &str) -> Option<&mut Cursor> {
        self.cursors.values_mut().find(|c| c.upstream == upstream && c.holds.guarded().is_some())
    }

    /// The same for something that has a name of the client's.
    pub(in crate::session) fn fresh_for(&mut self, letter: char, client: &str) -> String {
        let upstream = self.fresh(letter);
        if self.given.len() >= MOST_GIVEN {
            self.given.pop_front();
        }
        self.given.push_back((upstream.clone(), client.to_owned()));
        upstream
    }

    /// The client's name for a name of ours.
    pub(in crate::session) fn client_name(&self, upstream: &str) -> Option<&str> {
        let cursors = self.cursors.iter().map(|(name, c)| (name, &c.upstream));
        let prepared = self.prepared.iter().map(|(name, p)| (name, &p.upstream));
        let given = self.given.iter().rev().map(|(upstream, name)| (name, upstream));
        given.chain(cursors).chain(prepared).find(|(_, u)| *u == upstream).map(|(name, _)| name.as_str())
    }

    /// Notes a statement about to be sent, `upstream` being its object's name on the server.
    pub(in crate::session) fn note(
        &mut self,
        statement: &PlannedStatement,
        upstream: Option<&str>,
        parameters: &[Option<String>],
        under: MadeUnder,
        context: u64,
    ) {
        let Some(object) = &statement.object else { return };
        match object {
            Object::Declare { name, binary, hold, moves_names, .. } => {
                let Some(holds) = Holds::of(statement) else { return };
                if self.cursors.len() >= MOST {
                    self.cursors.clear();
                }
                let cursor = Cursor {
                    upstream: upstream.unwrap_or(name).to_owned(),
                    holds,
                    binary: *binary,
                    hold: *hold,
                    settled: false,
                    moves_names: *moves_names,
                    under,
                    parameters: parameters.to_vec(),
                    found: false,
                    kept: BTreeSet::new(),
                    reach: None,
                    plan: statement.guarded().cloned(),
                };
                self.cursors.insert(name.clone(), cursor);
            }
            Object::Prepare { name, moves_names } => {
                let Some(holds) = Holds::of(statement) else { return };
                if self.prepared.len() >= MOST {
                    self.prepared.clear();
                }
                let prepared = SqlPrepared {
                    upstream: upstream.unwrap_or(name).to_owned(),
                    holds,
                    text: Arc::from(statement.text.as_ref()),
                    context,
                    moves_names: *moves_names,
                    plan: statement.guarded().cloned(),
                };
                self.prepared.insert(name.clone(), prepared);
            }
            // Forgotten in `names`.
            Object::Close(_)
            | Object::Fetch(_)
            | Object::Execute { .. }
            | Object::Around(_)
            | Object::CurrentOf(_) => {}
        }
    }

    /// The DECLARE or PREPARE of this plan failed.
    pub(in crate::session) fn failed(&mut self, plan: &Arc<GuardedPlan>) {
        let other = |p: &Option<Arc<GuardedPlan>>| p.as_ref().is_none_or(|p| !Arc::ptr_eq(p, plan));
        self.cursors.retain(|_, c| other(&c.plan));
        self.prepared.retain(|_, p| other(&p.plan));
    }

    /// No transaction is open any more: cursors without HOLD are gone.
    pub(in crate::session) fn idle(&mut self) {
        self.cursors.retain(|_, c| c.hold);
        for cursor in self.cursors.values_mut() {
            cursor.settled = true;
        }
    }

    /// What the end of the transaction still runs: guarded cursors WITH HOLD, as one plan.
    pub(in crate::session) fn unsettled(&self) -> Option<GuardedPlan> {
        let mut all: Option<GuardedPlan> = None;
        for plan in self.cursors.values().filter(|c| c.hold && !c.settled).filter_map(|c| c.holds.guarded()) {
            crate::session::run::commit::join(&mut all, plan.filtered, plan.grants_param, &plan.footprint);
        }
        all
    }
}

impl Cursor {
    /// A portal of the protocol as SQL may read on in it; `None` where that has no guard of its own, writes, or
    /// rests on patients that an Execute of the protocol told.
    pub(in crate::session) fn of_portal(portal: &Portal) -> Option<Self> {
        let Decided::Sent(statement) = &portal.decided else { return None };
        let holds = match &statement.verdict {
            Verdict::Guarded(plan) => {
                let told_before = plan.filtered && plan.lineage.strategy == Strategy::Bound;
                let reads = plan.kind == StatementKind::Select && plan.copy.is_none();
                if !reads || told_before || !matches!(plan.wrap, Wrap::Plain) {
                    return None;
                }
                Holds::Guarded(Arc::clone(plan))
            }
            Verdict::Unattributed { footprint, reason } if statement.object.is_none() => {
                Holds::Unattributed { footprint: footprint.clone(), reason }
            }
            Verdict::Unattributed { .. } | Verdict::Verbatim | Verdict::Refused(_) => return None,
        };
        Some(Self {
            upstream: portal.name.clone(),
            holds,
            binary: false,
            hold: false,
            settled: false,
            moves_names: statement.effects.changes_namespace,
            under: MadeUnder {
                policy_version: portal.policy_version.clone(),
                role: portal.role.clone(),
                grants: Arc::clone(&portal.grants),
            },
            parameters: portal.parameters.clone(),
            found: false,
            kept: BTreeSet::new(),
            reach: None,
            plan: None,
        })
    }

    /// Whom a FETCH by `plan` may have passed over, if it jumps.
    pub(in crate::session) fn passed(&self) -> Passed {
        self.reach.as_ref().map_or(Passed::Anyone, |reach| Passed::These(Arc::clone(reach)))
    }

    /// The patients on whose visibility rows of this cursor rest, `keys` being those the rows named.
    pub(in crate::session) fn rests_on(&mut self, keys: &BTreeSet<String>) -> BTreeSet<String> {
        let bound = self.holds.guarded().is_some_and(|p| p.lineage.strategy == Strategy::Bound);
        if !bound {
            return keys.clone();
        }
        self.kept.extend(keys.iter().cloned());
        match (&self.reach, self.kept.is_empty()) {
            (Some(reach), true) => reach.iter().cloned().collect(),
            _ => self.kept.clone(),
        }
    }
}
