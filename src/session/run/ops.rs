//! What was sent to the server and what its reply is for, in order. Every message sent upstream
//! leaves one [`Op`]; every reply belongs to the op at the head. Answers of our own queue here too,
//! so that they leave in the client's order.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::session::names::objects::{Cursor, SqlPrepared};
use crate::session::names::statements::{Portal, Prepared};
use crate::session::server::outbox::RunId;
use crate::sql::GuardedPlan;

/// One message sent upstream, or one answer of ours in its place.
#[derive(Debug)]
pub(in crate::session) enum Op {
    /// A simple query whose bytes went through; its reply ends with ReadyForQuery.
    Query {
        /// Its run.
        run: RunId,
    },
    /// Parse.
    Parse {
        /// True when the client did not send it.
        hidden: bool,
        /// What the table of statements goes back to when this fails or is skipped.
        undo: Option<Undo>,
        /// The guarded statement that is to be prepared.
        subject: Option<Box<Subject>>,
    },
    /// Bind.
    Bind {
        /// True when the client did not send it.
        hidden: bool,
        /// The guarded statement that is bound, where no run tells of it.
        subject: Option<Box<Subject>>,
        /// The client's portal that this makes, to be forgotten when it fails or is skipped.
        portal: Option<String>,
    },
    /// Describe of a statement or portal.
    Describe {
        /// The client sees the answer.
        shown: bool,
        /// The plan whose hidden columns and parameters are stripped from the answer.
        plan: Option<Arc<GuardedPlan>>,
        /// Remember the layout for this statement of the client's.
        statement: Option<String>,
        /// The run that follows in the same simple query: its rows have this layout, and the
        /// description leaves with them.
        run: Option<RunId>,
    },
    /// Describe of the client's own text of a guarded statement: nothing of it is shown, and the plan
    /// learns where its columns come from. Its Parse stands before it: an error in the text is the
    /// server's own, with the position the client knows.
    Origin {
        /// The plan.
        plan: Arc<GuardedPlan>,
    },
    /// Execute.
    Execute {
        /// Its run.
        run: RunId,
    },
    /// Close.
    Close {
        /// True when the client did not send it.
        hidden: bool,
        /// What the table of statements goes back to when this is skipped.
        undo: Option<Undo>,
    },
    /// Sync, or the end of a simple query that was sent as extended messages.
    Sync {
        /// The client sees the ReadyForQuery.
        shown: bool,
    },
    /// An answer of ours; nothing was sent.
    Local {
        /// Whole messages.
        bytes: Bytes,
    },
    /// A Parse that must fail, sent in place of a refused statement so that the transaction is
    /// aborted as any failed statement aborts it. The error the client sees is ours.
    Poison {
        /// Our ErrorResponse.
        error: Bytes,
    },
    /// A question of our own (namespace); rows are collected, nothing is shown.
    Probe,
}

/// A guarded statement that is not run yet, as it is recorded when the server fails it before.
#[derive(Debug)]
pub(in crate::session) struct Subject {
    /// The client's text.
    pub(in crate::session) text: Arc<str>,
    /// Its plan.
    pub(in crate::session) plan: Arc<GuardedPlan>,
    /// The client's parameters.
    pub(in crate::session) parameters: Vec<Option<String>>,
}

/// An entry of a table of names as it was before a message of the client changed it. The server may fail or skip
/// that message; then the name means what it meant before.
#[derive(Debug, Clone)]
pub(in crate::session) enum Undo {
    /// A statement of the protocol.
    Statement {
        /// The client's name of it.
        name: String,
        /// What it stood for.
        previous: Option<Box<Prepared>>,
    },
    /// A portal.
    Portal {
        /// The client's name of it.
        name: String,
        /// What it stood for.
        previous: Box<Portal>,
    },
    /// A statement that SQL prepared.
    Sql {
        /// The client's name of it.
        name: String,
        /// What it stood for.
        previous: Box<SqlPrepared>,
    },
    /// A cursor of SQL.
    Cursor {
        /// The client's name of it.
        name: String,
        /// What it stood for.
        previous: Box<Cursor>,
    },
    /// A statement of ours for a text that came as a simple query: there is none.
    Own {
        /// The text and the types of its parameters (see `OwnNames`).
        key: Bytes,
        /// Its name on the server.
        name: String,
    },
}

impl Undo {
    /// The client's name.
    pub(in crate::session) fn name(&self) -> &str {
        match self {
            Undo::Statement { name, .. }
            | Undo::Portal { name, .. }
            | Undo::Sql { name, .. }
            | Undo::Cursor { name, .. } => name,
            Undo::Own { .. } => "",
        }
    }

    /// The name on the server of what it stood for; empty for nothing.
    pub(in crate::session) fn upstream(&self) -> &str {
        match self {
            Undo::Statement { previous, .. } => previous.as_ref().map_or("", |p| &p.upstream),
            Undo::Portal { previous, .. } => &previous.name,
            Undo::Sql { previous, .. } => &previous.upstream,
            Undo::Cursor { previous, .. } => &previous.upstream,
            Undo::Own { .. } => "",
        }
    }

    /// True for a prepared statement, false for a portal or cursor.
    pub(in crate::session) fn is_statement(&self) -> bool {
        matches!(self, Undo::Statement { .. } | Undo::Sql { .. })
    }
}

/// The queue of ops.
#[derive(Debug, Default)]
pub(in crate::session) struct Ops {
    queue: VecDeque<Op>,
    /// Ops in the queue that change a name of the client's.
    naming: usize,
    /// Exchanges (what ends with a ReadyForQuery) that were sent, and that left the queue.
    sent: u64,
    ended: u64,
}

impl Op {
    fn names(&self) -> bool {
        matches!(self, Op::Parse { undo: Some(u), .. } | Op::Close { undo: Some(u), .. } if u.is_statement())
    }

    /// A Parse that is not to bring back the unnamed statement before it. False for any other message.
    pub(in crate::session) fn forget_unnamed(&mut self) -> bool {
        match self {
            Op::Parse { undo: Some(Undo::Statement { name, previous }), .. } if name.is_empty() => {
                *previous = None;
                true
            }
            _ => false,
        }
    }

    fn ends_exchange(&self) -> bool {
        matches!(self, Op::Sync { .. } | Op::Query { .. })
    }
}

impl Ops {
    /// Adds an op.
    pub(in crate::session) fn push(&mut self, op: Op) {
        self.naming += usize::from(op.names());
        self.sent += u64::from(op.ends_exchange());
        self.queue.push_back(op);
    }

    /// Puts an op back at the head.
    pub(in crate::session) fn push_front(&mut self, op: Op) {
        self.naming += usize::from(op.names());
        self.ended -= u64::from(op.ends_exchange());
        self.queue.push_front(op);
    }

    /// The op whose reply comes next.
    pub(in crate::session) fn head(&self) -> Option<&Op> {
        self.queue.front()
    }

    /// Removes the head.
    pub(in crate::session) fn pop(&mut self) -> Option<Op> {
        let op = self.queue.pop_front()?;
        self.naming -= usize::from(op.names());
        self.ended += u64::from(op.ends_exchange());
        Some(op)
    }

    /// The same for the Parse of the client's that messages of ours, one of which failed, were to prepare.
    pub(in crate::session) fn forget_next_unnamed(&mut self) {
        let ours = |op: &&mut Op| {
            matches!(
                op,
                Op::Parse { undo: None | Some(Undo::Own { .. }), .. }
                    | Op::Origin { .. }
                    | Op::Close { undo: None, hidden: true }
            )
        };
        if let Some(op) = self.queue.iter_mut().find(|op| !ours(op)) {
            op.forget_unnamed();
        }
    }

    /// The guarded statement whose own text, which failed, stands before it in the queue.
    pub(in crate::session) fn subject_of_origin(&mut self) -> Option<Box<Subject>> {
        let Some(Op::Origin { plan }) = self.queue.front() else { return None };
        let plan = Arc::clone(plan);
        let before_sync = self.queue.iter_mut().take_while(|op| !op.ends_exchange());
        before_sync
            .filter_map(|op| match op {
                Op::Parse { subject, .. } => Some(subject),
                _ => None,
            })
            .find(|s| s.as_ref().is_some_and(|s| Arc::ptr_eq(&s.plan, &plan)))?
            .take()
    }

    /// True when every reply came.
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// All ops, head first.
    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = &Op> {
        self.queue.iter()
    }

    /// The number of the exchange that what is sent now belongs to.
    pub(in crate::session) fn exchange(&self) -> u64 {
        self.sent
    }

    /// True when the exchange with this number is over.
    pub(in crate::session) fn is_over(&self, exchange: u64) -> bool {
        exchange < self.ended
    }

    /// True while a change of the client's statement names is not answered yet.
    pub(in crate::session) fn names_in_flight(&self) -> bool {
        self.naming > 0
    }

    /// True when a ReadyForQuery is still to come.
    pub(in crate::session) fn has_sync(&self) -> bool {
        self.queue.iter().any(|op| matches!(op, Op::Sync { .. } | Op::Query { .. }))
    }

    /// True when nothing was sent behind the Sync whose answer comes next.
    pub(in crate::session) fn nothing_behind_sync(&self) -> bool {
        let sync = self.queue.iter().position(|op| matches!(op, Op::Sync { .. } | Op::Query { .. }));
        sync.is_some_and(|at| at + 1 == self.queue.len())
    }

    /// True when something was sent since the last Sync, so that the server is inside a pipeline.
    pub(in crate::session) fn open_pipeline(&self) -> bool {
        !matches!(self.queue.back(), None | Some(Op::Sync { .. } | Op::Query { .. }))
    }
}
