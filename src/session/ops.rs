//! What was sent to the server and what its reply is for, in order. Every message sent upstream
//! leaves one [`Op`]; every reply belongs to the op at the head. Answers of our own queue here too,
//! so that they leave in the client's order.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::outbox::RunId;
use super::statements::Prepared;
use crate::sql::GuardedPlan;

/// One message sent upstream, or one answer of ours in its place.
#[derive(Debug)]
pub(super) enum Op {
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
    },
    /// Bind.
    Bind {
        /// True when the client did not send it.
        hidden: bool,
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

/// An entry of the table of statements as it was before a message of the client changed it. The
/// server may fail or skip that message; then the name means what it meant before.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    /// The client's name of the statement.
    pub(super) name: String,
    /// What it stood for.
    pub(super) previous: Option<Prepared>,
}

/// The queue of ops.
#[derive(Debug, Default)]
pub(super) struct Ops {
    queue: VecDeque<Op>,
}

impl Ops {
    /// Adds an op.
    pub(super) fn push(&mut self, op: Op) {
        self.queue.push_back(op);
    }

    /// Puts an op back at the head.
    pub(super) fn push_front(&mut self, op: Op) {
        self.queue.push_front(op);
    }

    /// The op whose reply comes next.
    pub(super) fn head(&self) -> Option<&Op> {
        self.queue.front()
    }

    /// Removes the head.
    pub(super) fn pop(&mut self) -> Option<Op> {
        self.queue.pop_front()
    }

    /// True when every reply came.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// All ops, head first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Op> {
        self.queue.iter()
    }

    /// True while a change of the client's statement names is not answered yet.
    pub(super) fn names_in_flight(&self) -> bool {
        self.queue
            .iter()
            .any(|op| matches!(op, Op::Parse { undo: Some(_), .. } | Op::Close { undo: Some(_), .. }))
    }

    /// True when a ReadyForQuery is still to come.
    pub(super) fn has_sync(&self) -> bool {
        self.queue.iter().any(|op| matches!(op, Op::Sync { .. } | Op::Query { .. }))
    }

    /// True when something was sent since the last Sync, so that the server is inside a pipeline.
    pub(super) fn open_pipeline(&self) -> bool {
        !matches!(self.queue.back(), None | Some(Op::Sync { .. } | Op::Query { .. }))
    }
}
