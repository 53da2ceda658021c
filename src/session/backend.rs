//! The server's messages: each belongs to the op at the head of the queue. Rows of guarded runs go
//! through their run's window and leave behind its record; everything else goes through.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::layout::Layout;
use super::ops::Op;
use super::outbox::RunId;
use super::peer::Stream;
use super::run::Mode;
use super::{Ended, Session};
use crate::ledger::Priority;
use crate::ledger::record::Outcome;
use crate::policy::{GlsCode, Refusal};
use crate::sql::Strategy;
use crate::wire::frame::Frame;
use crate::wire::message::{self, Report, ServerTag, Status};

impl<C: Stream, S: Stream> Session<C, S> {
    /// Handles one message of the server.
    pub(super) async fn on_server(&mut self, frame: Frame) -> Result<(), Ended> {
        self.emit_local();
        let Some(tag) = ServerTag::of(frame.tag()) else {
            return Err(Ended::Protocol(format!("the server sent message type {:#04x}", frame.tag())));
        };
        match tag {
            ServerTag::NoticeResponse => self.on_notice(&frame)?,
            ServerTag::ParameterStatus => self.on_parameter_status(frame)?,
            ServerTag::NotificationResponse => self.show(&frame.into_raw()),
            ServerTag::DataRow => self.on_row(frame)?,
            ServerTag::RowDescription | ServerTag::NoData => self.on_description(frame, tag)?,
            ServerTag::ParameterDescription => self.on_parameters(frame)?,
            ServerTag::ParseComplete => match self.ops.pop() {
                Some(Op::Parse { hidden, .. }) => self.show_unless(hidden, frame),
                _ => return Err(unexpected(tag)),
            },
            ServerTag::BindComplete => match self.ops.pop() {
                Some(Op::Bind { hidden, .. }) => self.show_unless(hidden, frame),
                _ => return Err(unexpected(tag)),
            },
            ServerTag::CloseComplete => match self.ops.pop() {
                Some(Op::Close { hidden }) => self.show_unless(hidden, frame),
                _ => return Err(unexpected(tag)),
            },
            ServerTag::CommandComplete | ServerTag::EmptyQueryResponse | ServerTag::PortalSuspended => {
                self.on_complete(frame, tag).await?;
            }
            ServerTag::ErrorResponse => self.on_error(&frame)?,
            ServerTag::ReadyForQuery => self.on_ready(frame)?,
            ServerTag::CopyInResponse => {
                self.copying_in = true;
                self.pass_to_run(frame, tag)?;
            }
            ServerTag::CopyOutResponse | ServerTag::CopyData | ServerTag::CopyDone => {
                self.pass_to_run(frame, tag)?;
            }
            ServerTag::Authentication
            | ServerTag::BackendKeyData
            | ServerTag::NegotiateProtocolVersion
            | ServerTag::CopyBothResponse
            | ServerTag::FunctionCallResponse => return Err(unexpected(tag)),
        }
        self.emit_local();
        Ok(())
    }

    /// Queues bytes for the client unless it was already told of an error.
    fn show(&mut self, bytes: &[u8]) {
        if !self.muted {
            self.outbox.push(bytes);
        }
    }

    fn show_unless(&mut self, hidden: bool, frame: Frame) {
        if !hidden {
            self.show(&frame.into_raw());
        }
    }

    /// The run whose reply is coming, if the head of the queue has one.
    fn head_run(&self) -> Option<RunId> {
        match self.ops.head() {
            Some(Op::Query { run } | Op::Execute { run }) => Some(*run),
            _ => None,
        }
    }

    /// Before the first byte of an unattributed reply: its record gates everything behind it.
    fn open_gate(&mut self, id: RunId) {
        if let Some(receipt) = self.runs.get_mut(&id).and_then(|r| r.gate.take()) {
            self.outbox.push_gated(id, true, BytesMut::new(), receipt);
        }
    }

    /// A message that goes through as part of a run that is not guarded.
    fn pass_to_run(&mut self, frame: Frame, tag: ServerTag) -> Result<(), Ended> {
        let id = self.head_run().ok_or_else(|| unexpected(tag))?;
        self.open_gate(id);
        match self.runs.get_mut(&id).map(|r| (&r.mode, &mut r.bytes)) {
            Some((Mode::Verbatim | Mode::Unattributed { .. }, bytes)) => {
                *bytes += frame.body().len() as u64;
                self.show(&frame.into_raw());
                Ok(())
            }
            // COPY of protected tables is refused before it is sent.
            Some((Mode::Guarded(_), _)) | None => Err(unexpected(tag)),
        }
    }

    fn on_row(&mut self, frame: Frame) -> Result<(), Ended> {
        if let Some(Op::Probe) = self.ops.head() {
            self.probe.push(super::authority::text_row(frame.body())?);
            return Ok(());
        }
        let id = self.head_run().ok_or_else(|| unexpected(ServerTag::DataRow))?;
        self.open_gate(id);
        let Some(run) = self.runs.get_mut(&id) else { return Err(unexpected(ServerTag::DataRow)) };
        match run.mode {
            Mode::Verbatim | Mode::Unattributed { .. } => {
                run.rows += 1;
                run.bytes += frame.body().len() as u64;
                self.show(&frame.into_raw());
            }
            Mode::Guarded(_) => {
                if run.take_row(frame.body())? {
                    self.release_window(id);
                }
            }
        }
        Ok(())
    }

    /// A full window: its record is appended and the rows wait for it.
    fn release_window(&mut self, id: RunId) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let bodies = run.window_records(&self.identity);
        let window = run.window.split();
        let revoked = run.revoked.is_some();
        let writes = run.writes();
        let mut receipt = None;
        for body in bodies {
            receipt = Some(self.world.append(body, Priority::Ordinary));
        }
        if let Some(receipt) = receipt
            && !revoked
            && !self.muted
        {
            self.outbox.push_gated(id, writes, window, receipt);
        }
    }

    fn on_description(&mut self, frame: Frame, tag: ServerTag) -> Result<(), Ended> {
        match self.ops.head() {
            Some(Op::Query { .. }) => return self.pass_to_run(frame, tag),
            Some(Op::Probe) => return Ok(()),
            Some(Op::Describe { .. }) => {}
            _ => return Err(unexpected(tag)),
        }
        let Some(Op::Describe { shown, plan, statement, run }) = self.ops.pop() else {
            return Err(unexpected(tag));
        };
        let Some(plan) = plan else {
            // A simple query that was sent as extended messages answers no NoData.
            if shown && !(run.is_some() && tag == ServerTag::NoData) {
                match run {
                    Some(id) => {
                        self.open_gate(id);
                        self.show(&frame.into_raw());
                    }
                    None => self.show(&frame.into_raw()),
                }
            }
            return Ok(());
        };
        let mut visible = None;
        let layout = if tag == ServerTag::NoData {
            Layout::default()
        } else {
            let (layout, body) = Layout::split(frame.body())?;
            visible = Some(body);
            layout
        };
        let answer = match visible {
            Some(body) if !plan.rows_are_witnesses => whole(b'T', &body)?,
            _ => Bytes::from_static(b"n\0\0\0\x04"),
        };
        let no_data = answer.first() == Some(&b'n');
        let layout = Arc::new(layout);
        if let Some(name) = statement
            && let Some(prepared) = self.statements.prepared.get_mut(&name)
        {
            prepared.layout = Some(Arc::clone(&layout));
        }
        match run {
            Some(id) => {
                if let Some(run) = self.runs.get_mut(&id) {
                    run.layout = Some(layout);
                    if !no_data {
                        run.window.extend_from_slice(&answer);
                    }
                }
            }
            None if shown => self.show(&answer),
            None => {}
        }
        Ok(())
    }

    fn on_parameters(&mut self, frame: Frame) -> Result<(), Ended> {
        let Some(Op::Describe { shown, plan, statement, .. }) = self.ops.head() else {
            return Err(unexpected(ServerTag::ParameterDescription));
        };
        let (shown, plan, statement) = (*shown, plan.clone(), statement.clone());
        let Some(plan) = plan else {
            if shown {
                self.show(&frame.into_raw());
            }
            return Ok(());
        };
        let mut types = message::decode_parameter_description(frame.body())?;
        types.truncate(usize::from(plan.client_params));
        if shown {
            self.show(&message::encode_parameter_description(&types)?);
        }
        if let Some(name) = statement
            && let Some(prepared) = self.statements.prepared.get_mut(&name)
        {
            prepared.types = types;
        }
        Ok(())
    }

    async fn on_complete(&mut self, frame: Frame, tag: ServerTag) -> Result<(), Ended> {
        if let Some(Op::Probe) = self.ops.head() {
            self.ops.pop();
            return Ok(());
        }
        let id = self.head_run().ok_or_else(|| unexpected(tag))?;
        let simple = matches!(self.ops.head(), Some(Op::Query { .. }));
        self.open_gate(id);
        let Some(run) = self.runs.get(&id) else { return Err(unexpected(tag)) };
        match run.mode {
            Mode::Verbatim | Mode::Unattributed { .. } => {
                self.finish_plain(id, Outcome::Ok, simple);
                if !simple {
                    self.ops.pop();
                    self.runs.remove(&id);
                }
                self.show(&frame.into_raw());
            }
            Mode::Guarded(_) => {
                self.ops.pop();
                self.finish_guarded(id, frame, tag).await?;
            }
        }
        Ok(())
    }

    /// Records one statement of a run that is not guarded; nothing waits for it. A verbatim simple
    /// query of several statements is one run with a record for each.
    fn finish_plain(&mut self, id: RunId, outcome: Outcome, simple: bool) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        for body in run.final_records(&self.identity, outcome) {
            drop(self.world.append(body, Priority::Ordinary));
        }
        if simple {
            run.next_text += 1;
            run.rows = 0;
            run.bytes = 0;
        }
    }

    /// The end of a guarded execution: what is left of its rows leaves with its tag, behind its record.
    async fn finish_guarded(&mut self, id: RunId, frame: Frame, tag: ServerTag) -> Result<(), Ended> {
        let Some(mut run) = self.runs.remove(&id) else { return Err(unexpected(tag)) };
        let Some(plan) = run.plan().cloned() else { return Err(unexpected(tag)) };
        if let Some(code) = run.revoked {
            let refusal = super::report::revoked(code);
            return self.end_with_refusal(run, &refusal);
        }
        let affected = match tag {
            ServerTag::CommandComplete => message::CommandTag::decode(frame.body())?.rows.unwrap_or(0),
            _ => 0,
        };
        let nothing = if plan.rows_are_witnesses { affected == 0 } else { run.rows == 0 };
        let empty = nothing || (plan.lineage.strategy != Strategy::Pinned && !run.found);
        if plan.block && empty && tag == ServerTag::CommandComplete {
            let outside = self.world.outside(&self.principal, &run.grants, &mut run.sought).await;
            if outside {
                let refusal = self.world.not_your_patient(&run.sought, &self.role);
                return self.end_with_refusal(run, &refusal);
            }
        }
        let reply = match tag {
            ServerTag::CommandComplete => {
                let parsed = message::CommandTag::decode(frame.body())?;
                if plan.has_marker && parsed.command == "SELECT" {
                    message::command_complete(&format!("SELECT {}", run.rows))?
                } else {
                    frame.into_raw()
                }
            }
            _ => frame.into_raw(),
        };
        if plan.filtered && tag == ServerTag::CommandComplete && self.context.policy.policy.notice_withheld {
            run.window.extend_from_slice(&super::report::rows_withheld());
        }
        run.window.extend_from_slice(&reply);
        let window = run.window.split();
        let mut receipt = None;
        for body in run.final_records(&self.identity, Outcome::Ok) {
            receipt = Some(self.world.append(body, Priority::Ordinary));
        }
        match receipt {
            Some(receipt) if !self.muted => self.outbox.push_gated(id, run.writes(), window, receipt),
            _ => {}
        }
        Ok(())
    }

    /// Ends a run with an error of ours in place of what the server answered. Later replies of the
    /// same pipeline are swallowed, as the server would not have given them.
    fn end_with_refusal(&mut self, mut run: super::run::Run, refusal: &Refusal) -> Result<(), Ended> {
        self.outbox.revoke(run.id);
        let event = self.event_id();
        let outcome = Outcome::Refused { code: refusal.code.as_str().to_owned() };
        run.rows = 0;
        run.bytes = 0;
        for body in run.final_records(&self.identity, outcome) {
            drop(self.world.append(body, Priority::Reserve));
        }
        let _ = event;
        let error = super::report::refusal(refusal, Some(&run.statement)).error_response();
        self.show(&error);
        self.muted = true;
        Ok(())
    }

    fn on_error(&mut self, frame: &Frame) -> Result<(), Ended> {
        let report = Report::decode(&frame.body_bytes())?;
        if report.is_fatal() {
            self.show(&frame.raw());
            return Ok(());
        }
        if self.namespace_touched {
            self.namespace = None;
        }
        let head = self.ops.pop();
        match head {
            Some(Op::Poison { error }) => {
                // In a transaction that failed before, the server's own words are the right ones.
                let bytes = if &*report.code() == "25P02" { frame.raw() } else { error };
                self.show(&bytes);
                self.discard_to_sync();
            }
            Some(Op::Query { run }) => {
                self.open_gate(run);
                let outcome = Outcome::Error { sqlstate: report.code().into_owned() };
                self.finish_plain(run, outcome, true);
                self.show(&frame.raw());
                // ReadyForQuery follows and ends it.
                if let Some(run) = self.runs.get_mut(&run) {
                    run.next_text = run.texts.len();
                }
                self.ops.push_front(Op::Query { run });
            }
            Some(Op::Execute { run }) => {
                self.open_gate(run);
                self.fail_run(run, &report, frame)?;
                self.discard_to_sync();
            }
            Some(Op::Parse { created, hidden }) => {
                self.forget(created, None);
                self.fail_preparation(&report, frame, hidden);
                self.discard_to_sync();
            }
            Some(Op::Bind { created, hidden }) => {
                self.forget(None, created);
                self.fail_preparation(&report, frame, hidden);
                self.discard_to_sync();
            }
            Some(Op::Describe { .. } | Op::Close { .. } | Op::Probe) => {
                self.fail_preparation(&report, frame, false);
                self.discard_to_sync();
            }
            // An error between pipelines (a failing commit at Sync, a terminating server).
            Some(op @ Op::Sync { .. }) => {
                self.show(&frame.raw());
                self.ops.push_front(op);
            }
            Some(op @ Op::Local { .. }) => {
                self.show(&frame.raw());
                self.ops.push_front(op);
            }
            None => self.show(&frame.raw()),
        }
        Ok(())
    }

    /// An error before execution: about the client's text, or about ours. `Position` is dropped where
    /// the text the server saw is not the client's.
    fn fail_preparation(&mut self, report: &Report, frame: &Frame, _hidden: bool) {
        let guarded_next = self.ops.iter().any(|op| match op {
            Op::Execute { run } => self.runs.get(run).is_some_and(|r| r.plan().is_some()),
            Op::Describe { plan, .. } => plan.is_some(),
            _ => false,
        });
        if guarded_next || self.role.is_restricted() {
            let redacted = super::report::server_error(report, self.role.is_restricted());
            self.show(&redacted);
        } else {
            self.show(&frame.raw());
        }
        // The run that waited for this never ran; the refusal by the server is recorded.
        let pending: Vec<RunId> = self.pending_runs();
        if let Some(id) = pending.first().copied()
            && let Some(mut run) = self.runs.remove(&id)
        {
            let outcome = Outcome::Error { sqlstate: report.code().into_owned() };
            for body in run.final_records(&self.identity, outcome) {
                drop(self.world.append(body, Priority::Ordinary));
            }
        }
    }

    /// Runs asked for and not begun, up to the next Sync.
    fn pending_runs(&self) -> Vec<RunId> {
        self.ops
            .iter()
            .take_while(|op| !matches!(op, Op::Sync { .. } | Op::Query { .. }))
            .filter_map(|op| match op {
                Op::Execute { run } => Some(*run),
                _ => None,
            })
            .collect()
    }

    /// The server's error for an execution.
    fn fail_run(&mut self, id: RunId, report: &Report, frame: &Frame) -> Result<(), Ended> {
        let Some(mut run) = self.runs.remove(&id) else { return Err(unexpected(ServerTag::ErrorResponse)) };
        let outcome = match &*report.code() {
            "57014" => Outcome::Cancelled,
            code => Outcome::Error { sqlstate: code.to_owned() },
        };
        let guarded = run.plan().is_some();
        if let Some(code) = run.revoked {
            return self.end_with_refusal(run, &super::report::revoked(code));
        }
        // A new row whose patient is outside: the check in RETURNING raised it.
        if guarded && &*report.code() == "22P02" && report.message().contains("GLS-201") {
            let refusal = self.world.not_your_patient(&[], &self.role);
            return self.end_with_refusal(run, &refusal);
        }
        let error = if guarded {
            super::report::server_error(report, self.role.is_restricted())
        } else {
            frame.raw()
        };
        // Rows taken before the error leave with it, as they would without us.
        run.window.extend_from_slice(&error);
        let window = run.window.split();
        let mut receipt = None;
        for body in run.final_records(&self.identity, outcome) {
            receipt = Some(self.world.append(body, Priority::Ordinary));
        }
        match receipt {
            Some(receipt) if guarded && !self.muted => self.outbox.push_gated(id, run.writes(), window, receipt),
            _ => self.show(&window),
        }
        Ok(())
    }

    /// After an error in the extended protocol the server ignores everything up to Sync: so do we.
    fn discard_to_sync(&mut self) {
        while let Some(op) = self.ops.head() {
            match op {
                Op::Sync { .. } | Op::Query { .. } => return,
                Op::Execute { run } => {
                    let run = *run;
                    self.runs.remove(&run);
                }
                Op::Parse { created, .. } => {
                    let created = created.clone();
                    self.forget(created, None);
                }
                Op::Bind { created, .. } => {
                    let created = created.clone();
                    self.forget(None, created);
                }
                Op::Describe { .. } | Op::Close { .. } | Op::Local { .. } | Op::Poison { .. } | Op::Probe => {}
            }
            self.ops.pop();
        }
        // No Sync of the client's among what was sent: it is still to come.
        self.skipping = true;
    }

    /// Forgets a statement or portal that did not come to exist.
    fn forget(&mut self, statement: Option<String>, portal: Option<String>) {
        if let Some(name) = statement {
            self.statements.prepared.remove(&name);
        }
        if let Some(name) = portal {
            self.statements.portals.remove(&name);
        }
    }

    fn on_ready(&mut self, frame: Frame) -> Result<(), Ended> {
        let status = Status::decode(frame.body())?;
        self.status = status;
        self.in_pipeline = false;
        self.copying_in = false;
        if status == Status::Idle {
            if self.namespace_touched {
                self.namespace = None;
                self.namespace_touched = false;
            }
            // Portals end with their transaction.
            self.statements.portals.retain(|_, p| p.is_glass());
        }
        loop {
            match self.ops.pop() {
                Some(Op::Sync { shown }) => {
                    self.muted = false;
                    self.show_unless(!shown, frame);
                    return Ok(());
                }
                Some(Op::Query { run }) => {
                    self.runs.remove(&run);
                    self.muted = false;
                    self.show(&frame.into_raw());
                    return Ok(());
                }
                Some(Op::Local { bytes }) => self.show(&bytes),
                // What the server skipped after an error.
                Some(Op::Execute { run }) => {
                    self.runs.remove(&run);
                }
                Some(_) => {}
                None => return Err(unexpected(ServerTag::ReadyForQuery)),
            }
        }
    }

    fn on_notice(&mut self, frame: &Frame) -> Result<(), Ended> {
        let guarded = self
            .head_run()
            .and_then(|id| self.runs.get(&id))
            .is_some_and(|run| run.plan().is_some() && self.role.is_restricted());
        if guarded {
            // What a trigger or function says about a row may be about any row.
            let report = Report::decode(&frame.body_bytes())?;
            let quiet = super::report::redacted_notice(&report);
            self.show(&quiet);
        } else {
            self.show(&frame.raw());
        }
        Ok(())
    }

    fn on_parameter_status(&mut self, frame: Frame) -> Result<(), Ended> {
        let (name, value) = message::decode_parameter_status(frame.body())?;
        match name {
            "client_encoding" => value.clone_into(&mut self.encoding),
            "standard_conforming_strings" => self.conforming_strings = value == "on",
            "application_name" => self.identity.from.application_name = Some(value.to_owned()),
            _ => {}
        }
        self.show(&frame.into_raw());
        Ok(())
    }

    /// A window's record could not be made durable: its rows stay back, the client is told.
    pub(super) fn on_gate_failed(&mut self, failure: &super::outbox::GateFailure) -> Result<(), Ended> {
        tracing::error!(run = failure.run, error = %failure.error, "ledger: rows withheld");
        if failure.error.shutdown {
            self.world.request_shutdown();
        }
        let refusal = super::report::ledger_refusal(&failure.error);
        let error = super::report::refusal(&refusal, None).error_response();
        let status = self.outbox.replace_exchange(&error);
        self.muted |= status.is_none();
        let open_transaction = match status {
            Some(status) => status != b'I',
            None => self.status != Status::Idle || self.in_pipeline,
        };
        if failure.writes && open_transaction {
            // The client is told that the statement failed, and could still commit what it did: only
            // closing the connection undoes it.
            return Err(Ended::Ledger(failure.error.to_string()));
        }
        Ok(())
    }
}

/// A message that the present state does not allow: the two sides are out of step, which must end.
fn unexpected(tag: ServerTag) -> Ended {
    Ended::Protocol(format!("unexpected {tag:?} from the server"))
}

/// One whole message.
fn whole(tag: u8, body: &[u8]) -> Result<Bytes, Ended> {
    let mut out = BytesMut::with_capacity(body.len() + 5);
    message::put_message(&mut out, tag, |o| {
        o.extend_from_slice(body);
        Ok(())
    })?;
    Ok(out.freeze())
}

/// The code a run ends with when the policy under it changed.
pub(super) const POLICY_CHANGED: GlsCode = GlsCode::SessionEnded;
