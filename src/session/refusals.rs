//! Refusing a statement: the error, its record, and a server transaction that fails as it would for
//! any error. The texts are in `report`.

use bytes::Bytes;

use super::ops::Op;
use super::peer::Stream;
use super::run::Mode;
use super::{Ended, Session, report};
use crate::ledger::Priority;
use crate::ledger::record::Outcome;
use crate::policy::{GlsCode, Refusal};
use crate::wire::message::{self, Parse, Status};

/// Text of a statement that cannot parse: sent in place of a refused one inside a transaction.
const POISON: &str = "pgglass_refused_this_statement";

/// Its statement name: it never comes to exist, and the client's unnamed statement stays.
const POISON_NAME: &str = "__glass_refused";

impl<C: Stream, S: Stream> Session<C, S> {
    /// Refuses a simple query: an error and ReadyForQuery; inside a transaction the server is made to
    /// fail it too.
    pub(super) async fn refuse_simple(&mut self, text: &str, refusal: &Refusal) -> Result<(), Ended> {
        let error = self.refused(text, refusal);
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
    pub(super) async fn refuse_extended(&mut self, text: &str, refusal: &Refusal) -> Result<(), Ended> {
        let error = self.refused(text, refusal);
        self.poison(error);
        self.skipping = true;
        Ok(())
    }

    /// A name that is in none of our tables: the error PostgreSQL has for it.
    pub(super) fn unknown(&mut self, sqlstate: &str, message: String) -> Result<(), Ended> {
        self.poison(message::Report::error(sqlstate, message).error_response());
        self.skipping = true;
        Ok(())
    }

    /// Records a refusal and makes its ErrorResponse.
    pub(super) fn refused(&mut self, text: &str, refusal: &Refusal) -> Bytes {
        let run = self.new_run(vec![text.into()], Mode::Verbatim, Vec::new());
        let mut event = None;
        if let Some(mut run) = self.runs.remove(&run) {
            event = Some(run.statement.clone());
            let outcome = Outcome::Refused { code: refusal.code.as_str().to_owned() };
            for body in run.final_records(&self.identity, outcome) {
                self.world.note(body, Priority::Reserve);
            }
        }
        report::refusal(refusal, event.as_ref()).error_response()
    }

    /// Sends a Parse that fails, so that the server's transaction fails as it would for any error.
    pub(super) fn poison(&mut self, error: Bytes) {
        if self.status == Status::Idle && self.ops.is_empty() && !self.in_pipeline {
            self.answer(error);
            return;
        }
        self.poison_server(error);
    }

    /// The same, whatever the state.
    pub(super) fn poison_server(&mut self, error: Bytes) {
        let parse =
            Parse { name: POISON_NAME.to_owned(), query: POISON.to_owned(), parameter_types: Vec::new() };
        if let Ok(bytes) = parse.encode() {
            self.to_server.push(&bytes);
            self.ops.push(Op::Poison { error });
        }
    }
}

/// A message that is not text we can read.
pub(super) fn not_text(e: &message::MessageError) -> Refusal {
    Refusal {
        sqlstate: "22021",
        ..Refusal::new(GlsCode::CannotGuard, format!("the statement cannot be read: {e}"))
    }
}
