//! Refusing a statement: the error, its record, and a server transaction that fails as it would for
//! any error. The texts are in `report`.

use bytes::Bytes;

use crate::ledger::Priority;
use crate::ledger::record::Outcome;
use crate::policy::{GlsCode, Refusal};
use crate::session::peer::Stream;
use crate::session::run::Mode;
use crate::session::run::ops::Op;
use crate::session::server::report;
use crate::session::{Ended, Session};
use crate::sql::planner;
use crate::wire::frame::Frame;
use crate::wire::message::{self, Parse, Status, Target, TargetKind};

/// Text of a statement that means nothing: sent in place of a refused one inside a transaction. It is well formed, so
/// that a transaction that failed before is what the server speaks of.
const POISON: &str = "SELECT pgglass_refused_this_statement";

/// The same where the error comes before the state of the transaction: a name that does not exist, a message that is
/// malformed.
const MALFORMED: &str = "pgglass_refused_this_statement";

/// Its statement name: it never comes to exist, and the client's unnamed statement stays.
const POISON_NAME: &str = "__glass_refused";

/// Statement name of a text with an error of this kind, in case the server does not find it.
const UNREAD_NAME: &str = "__glass_unread";

/// SQLSTATE of a syntax error.
const SYNTAX_ERROR: &str = "42601";
/// SQLSTATE of a relation that does not exist.
const UNDEFINED_TABLE: &str = "42P01";
/// SQLSTATE of a function that does not exist.
const UNDEFINED_FUNCTION: &str = "42883";

impl<C: Stream, S: Stream> Session<C, S> {
    /// Refuses a simple query: an error and ReadyForQuery; inside a transaction the server is made to
    /// fail it too.
    pub(in crate::session) async fn refuse_simple(
        &mut self,
        text: &str,
        refusal: &Refusal,
    ) -> Result<(), Ended> {
        let error = self.refused(text, refusal);
        // Of several statements the server would say that it prepares but one.
        let as_it_is = refusal.sqlstate == SYNTAX_ERROR || planner::is_one_statement(text);
        if (in_servers_words(refusal) && as_it_is) || self.fails_anyway(text, refusal) {
            self.refuse_in_servers_words(text, &error);
            self.to_server.push(&message::sync());
            self.ops.push(Op::Sync { shown: true });
            return Ok(());
        }
        if self.status == Status::Idle && self.ops.is_empty() {
            self.outbox.push(&error);
            self.outbox.push(&message::ready_for_query(Status::Idle));
            return Ok(());
        }
        self.poison(error);
        self.to_server.push(&message::sync());
        self.ops.push(Op::Sync { shown: true });
        Ok(())
    }

    /// Refuses inside the extended protocol: an error, then the client's messages are ignored up to
    /// its Sync, as the server does.
    pub(in crate::session) async fn refuse_extended(
        &mut self,
        text: &str,
        refusal: &Refusal,
    ) -> Result<(), Ended> {
        let error = self.refused(text, refusal);
        if in_servers_words(refusal) || self.fails_anyway(text, refusal) {
            self.refuse_in_servers_words(text, &error);
        } else {
            self.poison(error);
        }
        self.skipping = true;
        Ok(())
    }

    /// A syntax error, an unknown relation or function is the server's to report: its words, its language, its
    /// position. The text is parsed there and never run; should the server understand it, what follows fails with our error.
    pub(in crate::session) fn refuse_in_servers_words(&mut self, text: &str, error: &Bytes) {
        let target = Target { kind: TargetKind::Statement, name: UNREAD_NAME.to_owned() };
        let parse =
            Parse { name: UNREAD_NAME.to_owned(), query: text.to_owned(), parameter_types: Vec::new() };
        // One that the server did understand is still there.
        self.send(target.close(), Op::Close { hidden: true, undo: None });
        self.send(parse.encode(), Op::Parse { hidden: true, undo: None, subject: None });
        self.poison_server(error.clone());
    }

    /// A name that is in none of our tables: the error PostgreSQL has for it.
    pub(in crate::session) fn unknown(
        &mut self,
        text: &str,
        sqlstate: &str,
        message: String,
    ) -> Result<(), Ended> {
        self.note_failed(text, Some(sqlstate.to_owned()));
        self.poison_with(MALFORMED, message::Report::error(sqlstate, message).error_response());
        self.skipping = true;
        Ok(())
    }

    /// Records what failed here, before anything of it was sent, with an error that PostgreSQL has, too.
    pub(in crate::session) fn note_failed(&mut self, text: &str, sqlstate: Option<String>) {
        let Some(sqlstate) = sqlstate else { return };
        let run = self.new_run(vec![text.into()], Mode::Verbatim, Vec::new());
        let Some(mut run) = self.runs.remove(&run) else { return };
        for body in run.final_records(&self.identity, Outcome::Error { sqlstate }) {
            self.world.note(body, Priority::Ordinary);
        }
    }

    /// True for the portal whose Bind made the transaction fail, while nothing but its end can be run, and for the
    /// unnamed one, which a simple query may have left behind. Not behind anything that was sent since the server said
    /// that the transaction failed: a ROLLBACK TO brings portals back, and they can have rows.
    pub(in crate::session) fn portal_failed(&self, name: &str) -> bool {
        self.status == Status::Failed
            && self.ops.is_empty()
            && !self.in_pipeline
            && (name.is_empty() || self.statements.failed_portal.as_deref() == Some(name))
    }

    /// Describe of that portal: an error in the server's words, or no columns.
    pub(in crate::session) fn describe_failed_portal(&mut self, frame: Frame) {
        self.forward(frame);
        self.ops.push(Op::Describe { shown: true, plan: None, statement: None, run: None });
    }

    /// Execute of that portal: an error, or an empty reply. Any other would have neither guard nor record, and ends the
    /// session.
    pub(in crate::session) fn execute_failed_portal(&mut self, frame: Frame, name: &str) {
        let run = self.new_run(vec![format!("(portal \"{name}\")").into()], Mode::Verbatim, Vec::new());
        if let Some(run) = self.runs.get_mut(&run) {
            run.answers_nothing = true;
        }
        self.in_pipeline = true;
        self.forward(frame);
        self.ops.push(Op::Execute { run });
    }

    /// A message of the extended protocol whose body is not what its tag says: an error, as the server has
    /// it; its frame was whole, so the session goes on.
    pub(in crate::session) fn malformed(&mut self, e: &message::MessageError) -> Result<(), Ended> {
        self.unknown("(malformed message)", "08P01", format!("invalid message format: {e}"))
    }

    /// Records a refusal and makes its ErrorResponse.
    pub(in crate::session) fn refused(&mut self, text: &str, refusal: &Refusal) -> Bytes {
        let run = self.new_run(vec![text.into()], Mode::Verbatim, Vec::new());
        let mut event = None;
        if let Some(mut run) = self.runs.remove(&run) {
            event = Some(run.statement.clone());
            let outcome = Outcome::Refused { code: refusal.code.as_str().to_owned() };
            for body in run.final_records(&self.identity, outcome) {
                self.world.note(body, Priority::Reserve);
            }
        }
        report::refusal(&report::not_run(refusal), event.as_ref()).error_response()
    }

    /// Sends a Parse that fails, so that the server's transaction fails as it would for any error.
    pub(in crate::session) fn poison(&mut self, error: Bytes) {
        self.poison_with(POISON, error);
    }

    fn poison_with(&mut self, text: &str, error: Bytes) {
        if self.status == Status::Idle && self.ops.is_empty() && !self.in_pipeline {
            self.answer(error);
            return;
        }
        self.send_poison(text, error);
    }

    /// The same as [`Session::poison`], whatever the state.
    pub(in crate::session) fn poison_server(&mut self, error: Bytes) {
        self.send_poison(POISON, error);
    }

    fn send_poison(&mut self, text: &str, error: Bytes) {
        let parse =
            Parse { name: POISON_NAME.to_owned(), query: text.to_owned(), parameter_types: Vec::new() };
        if let Ok(bytes) = parse.encode() {
            self.to_server.push(&bytes);
            self.ops.push(Op::Poison { error });
        }
    }
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// True for one statement in a failed transaction: the server says so itself, unless its grammar, which may be
    /// an older one, finds an error in the text first.
    fn fails_anyway(&self, text: &str, refusal: &Refusal) -> bool {
        let failed = self.status == Status::Failed && !self.skipping && self.ops.is_empty();
        failed && refusal.sqlstate == "25P02" && planner::is_one_statement(text)
    }
}

/// True for an error that the server has too, from the text alone.
fn in_servers_words(refusal: &Refusal) -> bool {
    matches!(refusal.sqlstate, SYNTAX_ERROR | UNDEFINED_TABLE | UNDEFINED_FUNCTION)
}

/// A message that is not text we can read.
pub(in crate::session) fn not_text(e: &message::MessageError) -> Refusal {
    Refusal {
        sqlstate: "22021",
        ..Refusal::new(GlsCode::CannotGuard, format!("the statement cannot be read: {e}"))
    }
}
