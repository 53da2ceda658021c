//! Simple query: the bytes go through when nothing needs a guard; otherwise the statements are sent
//! as extended messages with one Sync and answered as a simple query is.

use std::sync::Arc;

use bytes::Bytes;

use crate::session::client::comments;
use crate::session::client::refusals::not_text;
use crate::session::names::translate::Stop;
use crate::session::peer::Stream;
use crate::session::run::Mode;
use crate::session::run::ops::Op;
use crate::session::{Ended, Session, Slow};
use crate::sql::cache::Form;
use crate::sql::objects::Object;
use crate::sql::planner::{PlannedStatement, behind_names};
use crate::sql::{Footprint, Verdict};
use crate::wire::frame::Frame;
use crate::wire::message::{self, Bind, Execute, Status, Target, TargetKind};

impl<C: Stream, S: Stream> Session<C, S> {
    pub(in crate::session) async fn on_query(&mut self, frame: Frame) -> Result<(), Ended> {
        // A simple query ends the unnamed statement, and one that runs something the unnamed portal.
        self.statements.prepared.remove("");
        let text: Arc<str> = match message::decode_query(frame.body()) {
            Ok(text) => text.into(),
            Err(e) => return self.refuse_simple("(not UTF-8)", &not_text(&e)).await,
        };
        if let Some(call) = self.glass_call(&text) {
            self.statements.portals.remove("");
            return Box::pin(self.glass_simple(&text, call)).await;
        }
        let planned = match self.decide(&text, Form::Simple).await? {
            Ok(planned) => planned,
            Err(refusal) => return self.refuse_simple(&text, &refusal).await,
        };
        if !planned.statements.is_empty() {
            self.statements.portals.remove("");
        }
        let refusal = planned.refusal().or_else(|| self.names_move(&planned.statements).then(behind_names));
        if let Some(refusal) = refusal {
            return self.refuse_simple(&text, &refusal).await;
        }
        if planned.statements.iter().any(|s| !matches!(s.verdict, Verdict::Verbatim))
            && let Err(error) = self.world.ledger_healthy()
        {
            return self.refuse_simple(&text, &crate::session::server::report::ledger_refusal(&error)).await;
        }
        for statement in &planned.statements {
            if !self.settle_names(statement).await? {
                return Ok(());
            }
        }
        match planned.statements.as_slice() {
            [one] if one.guarded().is_some_and(|p| p.copy_in().is_some()) => {
                self.send_copy_in(&text, one)?;
            }
            statements
                if self.translates(statements)
                    || statements.iter().any(|s| self.deallocates_glass(s).is_some()) =>
            {
                Box::pin(self.send_query_as_extended(&text, statements)).await?;
            }
            statements if statements.iter().all(|s| matches!(s.verdict, Verdict::Verbatim)) => {
                self.send_query_verbatim(frame, &text, statements, Mode::Verbatim)
            }
            // Nothing to guard: the bytes go through, and one record covers what cannot be told.
            statements if statements.iter().all(|s| s.guarded().is_none()) => {
                let mode = unattributed(statements);
                self.send_query_verbatim(frame, &text, statements, mode);
            }
            statements => Box::pin(self.send_query_as_extended(&text, statements)).await?,
        }
        Ok(())
    }

    pub(in crate::session) fn send_query_verbatim(
        &mut self,
        frame: Frame,
        text: &Arc<str>,
        statements: &[Arc<PlannedStatement>],
        mode: Mode,
    ) {
        let texts = if statements.is_empty() {
            vec![Arc::clone(text)]
        } else {
            statements.iter().map(|s| Arc::from(s.text.as_ref())).collect()
        };
        for statement in statements {
            self.note_effects(statement, None, &[]);
            self.copy_due |= statement.effects.copies_in;
        }
        let run = self.new_run(texts, mode, Vec::new());
        self.watch(run, statements.iter().map(|s| &**s));
        if let Some(run) = self.runs.get_mut(&run) {
            let before = comments::before(text, statements.iter().map(|s| &*s.text));
            run.comments = before.into_iter().map(Box::from).collect();
        }
        self.forward(frame);
        self.ops.push(Op::Query { run });
        self.announce(run);
    }

    /// A simple query with a guarded statement in it: sent as extended messages with one Sync, so that
    /// it stays one implicit transaction, and answered as a simple query is.
    pub(in crate::session) async fn send_query_as_extended(
        &mut self,
        text: &Arc<str>,
        statements: &[Arc<PlannedStatement>],
    ) -> Result<(), Ended> {
        for statement in statements {
            if let Some(Err(refusal)) = statement.guarded().map(|plan| self.copy_text(plan)) {
                return self.refuse_simple(&statement.text, &refusal).await;
            }
        }
        let block = self.open_block(statements).await?;
        self.send_rest(Rest { whole: Arc::clone(text), statements: statements.to_vec(), sent: 0, block })
            .await
    }

    /// Goes on with a simple query that waited for the end of a COPY from the client, which failed.
    pub(in crate::session) fn resume_query(&mut self) -> Slow<'_> {
        Box::pin(async {
            match self.rest.take_if(|_| !self.copying_in && self.ops.is_empty()) {
                Some(rest) => self.send_rest(rest).await,
                None => Ok(()),
            }
        })
    }

    /// Sends what is left of a simple query, up to a COPY that takes data from the client.
    pub(in crate::session) async fn send_rest(&mut self, mut rest: Rest) -> Result<(), Ended> {
        let statements = rest.statements.clone();
        let whole = Arc::clone(&rest.whole);
        let before = comments::before(&whole, statements.iter().map(|s| &*s.text));
        for statement in statements.iter().skip(rest.sent) {
            self.settle_lookup().await?;
            if self.skipping {
                break;
            }
            let comments = before.get(rest.sent).copied().filter(|c| !c.is_empty());
            rest.sent += 1;
            let copy = match statement.guarded().map_or(Ok(None), |plan| self.copy_text(plan)) {
                Ok(text) => text,
                // It was there when the first statement was sent.
                Err(_) => break,
            };
            if !self.settle_names(statement).await? {
                break;
            }
            if let Some(name) = self.deallocates_glass(statement) {
                self.deallocate_glass(&name);
                continue;
            }
            let settled = Box::pin(self.settle_object(statement)).await?;
            let translated = match settled {
                Ok(()) => Box::pin(self.translate(statement)).await?,
                Err(stop) => Err(stop),
            };
            let translated = match translated {
                Ok(translated) => translated,
                Err(Stop { error, failed }) if !self.skipping => {
                    let text = format!("{}{}", comments.unwrap_or_default(), statement.text);
                    self.note_failed(&text, failed);
                    self.poison(error);
                    break;
                }
                // An error came meanwhile, which the rest is behind.
                Err(_) => break,
            };
            if self.skipping {
                break;
            }
            let statement = translated.as_ref().map_or(statement, |t| &t.statement);
            let (text, plan, mode) = match &statement.verdict {
                Verdict::Guarded(plan) => {
                    (plan.text.as_str(), Some(Arc::clone(plan)), Mode::Guarded(Arc::clone(plan)))
                }
                Verdict::Unattributed { footprint, reason } => (
                    statement.text.as_ref(),
                    None,
                    Mode::Unattributed { footprint: footprint.clone(), reason },
                ),
                Verdict::Verbatim | Verdict::Refused(_) => (statement.text.as_ref(), None, Mode::Verbatim),
            };
            let text = translated.as_ref().map_or(text, |t| t.text.as_str());
            let upstream = translated.as_ref().and_then(|t| t.upstream.as_deref());
            let mut given = translated.as_ref().and_then(|t| t.parameters.clone()).unwrap_or_default();
            self.note_effects(statement, upstream, &given);
            given.extend(statement.given.iter().map(|g| Some(g.value.clone())));
            // The position of an error counts from the beginning of the client's message.
            if let (Some(plan), None) = (&plan, &translated) {
                let own = if statements.len() == 1 { &*rest.whole } else { &*statement.text };
                self.ask_origin(own, &[], plan);
            }
            let types: Vec<u32> = statement.given.iter().map(|g| g.type_oid).collect();
            let name = self.own_name(text, types, plan.is_some() && copy.is_none() && translated.is_none());
            let run = self.new_run(vec![Arc::from(statement.text.as_ref())], mode, given);
            self.watch(run, [&**statement]);
            if let Some(translated) = &translated {
                self.note_translated(translated, run);
            }
            if let Some(run) = self.runs.get_mut(&run) {
                run.runs_first = statement.effects.runs_first;
                run.simple = true;
                run.comments = comments.into_iter().map(Box::from).collect();
                if !statement.given.is_empty() {
                    // The client gave none: they stand in its text.
                    run.parameters.clear();
                    run.given = statement.given.iter().map(|g| g.position).collect();
                }
            }
            let described = self.describe_copy(plan.as_ref(), copy, run);
            let mut parameters: Vec<Option<Bytes>> =
                statement.given.iter().map(|g| Some(Bytes::copy_from_slice(g.value.as_bytes()))).collect();
            if let (Some(plan), false) = (&plan, described) {
                parameters.extend(self.own_parameters(plan));
            }
            let bind = Bind {
                portal: String::new(),
                statement: name.clone(),
                parameter_formats: Vec::new(),
                parameters,
                result_formats: translated.as_ref().map(|t| t.formats.clone()).unwrap_or_default(),
            };
            let portal = Target { kind: TargetKind::Portal, name: String::new() };
            let execute = Execute { portal: String::new(), max_rows: 0 };
            self.send(bind.encode(), Op::Bind { hidden: true, subject: None, portal: None });
            if !described && !statement.effects.copies_in {
                let op = Op::Describe { shown: true, plan, statement: None, run: Some(run) };
                self.send(portal.describe(), op);
            }
            self.send(execute.encode(), Op::Execute { run });
            self.announce(run);
            self.exchange_runs += 1;
            self.exchange_blocks |= statement.guarded().is_some_and(|p| p.block);
            if statement.effects.copies_in {
                // The server reads nothing else until the data has come.
                self.copy_due = true;
                self.rest = Some(rest);
                return Ok(());
            }
        }
        self.settle_exchange().await?;
        if rest.block {
            if !self.skipping {
                self.run_hidden(&Arc::from("(implicit transaction)"), "COMMIT", Mode::Verbatim);
            }
            self.close_block().await?;
        }
        self.skipping = false;
        self.to_server.push(&message::sync());
        self.ops.push(Op::Sync { shown: true });
        Ok(())
    }

    /// A simple query of several statements is a transaction block of its own when none was begun; a pipeline is
    /// none, and some statements want one. Then one is begun, which [`Session::close_block`] ends.
    async fn open_block(&mut self, statements: &[Arc<PlannedStatement>]) -> Result<bool, Ended> {
        let wants = statements.len() > 1 && statements.iter().any(|s| s.effects.wants_block);
        // Nothing behind the first statement that fails in a block is run.
        let fails = statements.iter().position(|s| s.effects.refuses_block);
        let run = statements.get(..fails.unwrap_or(statements.len())).unwrap_or_default();
        // The end of what the client begins itself, or of a cursor that is run to its end, is no business of ours.
        let held = |s: &PlannedStatement| matches!(s.object, Some(Object::Declare { hold: true, .. }));
        if !wants || run.iter().any(|s| s.effects.ends_transaction || held(s)) {
            return Ok(false);
        }
        self.quiesce().await?;
        if self.skipping || self.status != Status::Idle {
            return Ok(false);
        }
        self.run_hidden(&Arc::from("(implicit transaction)"), "BEGIN", Mode::Verbatim);
        Ok(true)
    }

    /// Waits for the end of a block of ours; one that failed is rolled back before the client is told that it is
    /// over.
    async fn close_block(&mut self) -> Result<(), Ended> {
        self.to_server.push(&message::sync());
        self.ops.push(Op::Sync { shown: false });
        self.quiesce().await?;
        if self.status != Status::Idle {
            self.run_hidden(&Arc::from("(implicit transaction)"), "ROLLBACK", Mode::Verbatim);
        }
        Ok(())
    }

    /// Before a Sync commits an exchange of several statements, one of which may be refused after the
    /// server has run it (GLS-201): waits for the answers, and lets the server fail too if it was.
    pub(in crate::session) async fn settle_exchange(&mut self) -> Result<(), Ended> {
        let several = std::mem::take(&mut self.exchange_runs) > 1;
        let blocks = std::mem::take(&mut self.exchange_blocks);
        if several && blocks {
            self.quiesce().await?;
        }
        if several && std::mem::take(&mut self.abort_due) {
            self.poison_server(Bytes::new());
        }
        // One that was refused already, or may be, by itself: the end of this exchange makes the transaction fail.
        let alone = !several && blocks && (self.transaction_moves || self.status != Status::Idle);
        self.lookup_in_transaction |= self.abort_due || alone;
        Ok(())
    }

    /// Before what is sent behind a statement that may be refused after the server has run it: whether it is sent at all
    /// depends on the answer, as a rollback does not undo everything.
    pub(in crate::session) async fn settle_lookup(&mut self) -> Result<(), Ended> {
        if std::mem::take(&mut self.exchange_blocks) {
            self.quiesce().await?;
        }
        Ok(())
    }

    /// Puts a message on its way and its op in the queue. A message that cannot be encoded (over the
    /// protocol's limit) is replaced by one that fails, so that both sides stay in step.
    pub(in crate::session) fn send(&mut self, bytes: Result<Bytes, message::MessageError>, op: Op) {
        match bytes {
            Ok(bytes) => {
                self.to_server.push(&bytes);
                self.ops.push(op);
            }
            Err(e) => {
                tracing::warn!(error = %e, "message could not be encoded");
                self.poison(crate::session::server::report::refusal(&not_text(&e), None).error_response());
            }
        }
    }
}

/// A simple query that is sent in parts.
#[derive(Debug)]
pub(in crate::session) struct Rest {
    /// The client's text.
    whole: Arc<str>,
    statements: Vec<Arc<PlannedStatement>>,
    /// Of them, those that were sent.
    sent: usize,
    /// A transaction block was begun for it.
    block: bool,
}

/// The footprints of all statements whose patients cannot be told, as one.
fn unattributed(statements: &[Arc<PlannedStatement>]) -> Mode {
    let mut all = Footprint::default();
    let mut why = "";
    for statement in statements {
        if let Verdict::Unattributed { footprint, reason } = &statement.verdict {
            all.relations.extend(footprint.relations.iter().cloned());
            all.classes.extend(footprint.classes.iter().cloned());
            why = reason;
        }
    }
    for names in [&mut all.relations, &mut all.classes] {
        names.sort();
        names.dedup();
    }
    Mode::Unattributed { footprint: all, reason: why }
}
