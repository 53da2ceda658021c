//! The server's messages: each belongs to the op at the head of the queue. Rows of guarded runs go
//! through their run's window and leave behind its record; everything else goes through.

pub(in crate::session) mod constraints;
pub(in crate::session) mod descriptions;
pub(in crate::session) mod failures;
pub(in crate::session) mod layout;
pub(in crate::session) mod outbox;
pub(in crate::session) mod report;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::ledger::Priority;
use crate::ledger::record::Outcome;
use crate::policy::GlsCode;
use crate::session::peer::Stream;
use crate::session::run::ending::Ending;
use crate::session::run::ops::{Op, Undo};
use crate::session::run::{Mode, Run};
use crate::session::server::outbox::RunId;
use crate::session::{Ended, Session};
use crate::wire::frame::Frame;
use crate::wire::message::{self, Report, ServerTag, Status};

/// What a message of the server leaves to be done with something to wait for.
pub(in crate::session) enum Later {
    /// A full window of a cursor's rows: they must be of the user's patients at present.
    Window(RunId),
    /// The same at the end of a FETCH, and a portal that stopped at a row limit.
    RowsLeft { id: RunId, frame: Frame, tag: ServerTag },
    /// The end of a run that named patients and found none.
    Sought(Ending),
    /// An error.
    Error(Frame),
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// Handles one message of the server, but for what has to be waited for.
    pub(in crate::session) fn on_server(&mut self, frame: Frame) -> Result<Option<Later>, Ended> {
        self.emit_local();
        let Some(tag) = ServerTag::of(frame.tag()) else {
            return Err(Ended::Protocol(format!("the server sent message type {:#04x}", frame.tag())));
        };
        // A body here is another message that a wrong length made part of this one.
        let empty = matches!(
            tag,
            ServerTag::ParseComplete
                | ServerTag::BindComplete
                | ServerTag::CloseComplete
                | ServerTag::NoData
                | ServerTag::EmptyQueryResponse
                | ServerTag::PortalSuspended
                | ServerTag::CopyDone
        );
        if empty && !frame.body().is_empty() {
            return Err(Ended::Protocol(format!("{tag:?} of the server has a body")));
        }
        match tag {
            ServerTag::NoticeResponse => self.on_notice(&frame)?,
            ServerTag::ParameterStatus => self.on_parameter_status(frame)?,
            ServerTag::NotificationResponse => {
                let Some((head, channel)) = notification(frame.body()) else {
                    return Err(Ended::Protocol("a malformed notification from the server".into()));
                };
                if self.role.hears(channel) {
                    self.show(&frame.into_raw());
                } else {
                    // Who sent it may have put values of any row into it.
                    let quiet = message::notification_without_payload(head)?;
                    self.show(&quiet);
                }
            }
            ServerTag::DataRow => {
                if let Some(full) = self.on_row(frame)? {
                    if self.reads_cursor(full) {
                        return Ok(Some(Later::Window(full)));
                    }
                    self.release_window(full);
                }
            }
            ServerTag::RowDescription | ServerTag::NoData => self.on_description(frame, tag)?,
            ServerTag::ParameterDescription => self.on_parameters(frame)?,
            ServerTag::ParseComplete => match self.ops.pop() {
                Some(Op::Parse { hidden, undo, .. }) => {
                    if let Some(Undo::Own { key, name }) = undo {
                        self.own_names.made(key, name);
                    }
                    self.show_unless(hidden, frame);
                }
                _ => return Err(unexpected(tag)),
            },
            ServerTag::BindComplete => match self.ops.pop() {
                Some(Op::Bind { hidden, .. }) => self.show_unless(hidden, frame),
                _ => return Err(unexpected(tag)),
            },
            ServerTag::CloseComplete => match self.ops.pop() {
                Some(Op::Close { hidden, .. }) => self.show_unless(hidden, frame),
                _ => return Err(unexpected(tag)),
            },
            ServerTag::CommandComplete | ServerTag::EmptyQueryResponse | ServerTag::PortalSuspended => {
                if let Some(later) = self.on_complete(frame, tag)? {
                    return Ok(Some(later));
                }
            }
            ServerTag::ErrorResponse => return Ok(Some(Later::Error(frame))),
            ServerTag::ReadyForQuery => self.on_ready(frame)?,
            ServerTag::CopyInResponse => {
                self.copying_in = true;
                if !self.on_copy_in(&frame)? {
                    self.pass_to_run(frame, tag)?;
                }
            }
            ServerTag::CopyOutResponse | ServerTag::CopyData | ServerTag::CopyDone => {
                if !self.on_copy_out(&frame, tag)? {
                    self.pass_to_run(frame, tag)?;
                }
            }
            ServerTag::FunctionCallResponse => self.on_function_result(frame)?,
            ServerTag::Authentication
            | ServerTag::BackendKeyData
            | ServerTag::NegotiateProtocolVersion
            | ServerTag::CopyBothResponse => return Err(unexpected(tag)),
        }
        self.emit_local();
        Ok(None)
    }

    /// What [`Session::on_server`] left.
    pub(in crate::session) async fn finish_later(&mut self, later: Later) -> Result<(), Ended> {
        match later {
            Later::Window(id) => {
                self.hold_to_present(id).await;
                self.release_window(id);
                Ok(())
            }
            Later::RowsLeft { id, frame, tag } => {
                self.hold_to_present(id).await;
                if tag == ServerTag::PortalSuspended {
                    self.note_unread_rows(id).await;
                }
                match self.finish_guarded(id, frame, tag)? {
                    Some(ending) => self.look_up_sought(ending).await,
                    None => Ok(()),
                }
            }
            Later::Sought(ending) => self.look_up_sought(ending).await,
            Later::Error(frame) => self.on_error(&frame).await,
        }
    }

    /// Queues bytes for the client unless it was already told of an error.
    pub(in crate::session) fn show(&mut self, bytes: &[u8]) {
        if !self.muted {
            self.outbox.push(bytes);
        }
    }

    pub(in crate::session) fn show_unless(&mut self, hidden: bool, frame: Frame) {
        if !hidden {
            self.show(&frame.into_raw());
        }
    }

    /// The run whose reply is coming, if the head of the queue has one.
    pub(in crate::session) fn head_run(&self) -> Option<RunId> {
        match self.ops.head() {
            Some(Op::Query { run } | Op::Execute { run }) => Some(*run),
            _ => None,
        }
    }

    /// An unattributed run failed: one that never read names nobody.
    pub(in crate::session) fn note_unread(&mut self, id: RunId, report: &Report) {
        if let Some(run) = self.runs.get_mut(&id)
            && run.gate_due
            && crate::session::run::never_read(report)
        {
            run.gate_due = false;
            run.unread = true;
        }
    }

    /// Before the first byte of an unattributed reply: its record gates everything behind it.
    pub(in crate::session) fn open_gate(&mut self, id: RunId) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let description = run.description.take();
        if std::mem::take(&mut run.gate_due) {
            let mut receipt = None;
            for body in run.window_records(&self.identity) {
                receipt = Some(self.world.append(body, Priority::Ordinary));
            }
            if let Some(receipt) = receipt {
                self.outbox.push_gated(id, true, BytesMut::new(), receipt);
            }
        }
        if let Some(description) = description {
            self.show(&description);
        }
    }

    /// A message that goes through as part of a run that is not guarded.
    pub(in crate::session) fn pass_to_run(&mut self, frame: Frame, tag: ServerTag) -> Result<(), Ended> {
        let id = self.head_run().ok_or_else(|| unexpected(tag))?;
        if self.runs.get(&id).is_some_and(|run| run.answers_nothing) {
            return Err(unexpected(tag));
        }
        self.open_gate(id);
        match self.runs.get_mut(&id).map(|r| (&r.mode, &mut r.bytes)) {
            Some((Mode::Verbatim | Mode::Unattributed { .. }, bytes)) => {
                *bytes += frame.body().len() as u64;
                self.show(&frame.into_raw());
                Ok(())
            }
            // Guarded COPY has its own way (`copy`).
            Some((Mode::Guarded(_), _)) | None => Err(unexpected(tag)),
        }
    }

    /// Passes on what is here of the rows or COPY data of a run that is not guarded, without taking
    /// messages apart. False when something else comes next.
    pub(in crate::session) fn relay_rows(&mut self) -> Result<bool, Ended> {
        let Some(tag @ (b'D' | b'd')) = self.server.decoder.next_tag() else { return Ok(false) };
        let Some(id) = self.head_run() else { return Ok(false) };
        let relayed = |r: &&mut Run| r.plan().is_none() && !r.hidden && !r.answers_nothing;
        let Some(run) = self.runs.get_mut(&id).filter(relayed) else { return Ok(false) };
        let Some(stretch) = self.server.decoder.stretch(tag)? else { return Ok(false) };
        if tag == b'D' {
            run.rows += stretch.begun();
        }
        run.bytes += stretch.body();
        self.open_gate(id);
        self.outbox.relay(stretch, self.muted);
        Ok(true)
    }

    /// Takes a row; says which run's window is full.
    pub(in crate::session) fn on_row(&mut self, frame: Frame) -> Result<Option<RunId>, Ended> {
        if let Some(Op::Probe) = self.ops.head() {
            self.probe.push(super::authority::text_row(frame.body())?);
            return Ok(None);
        }
        let id = self.head_run().ok_or_else(|| unexpected(ServerTag::DataRow))?;
        self.open_gate(id);
        let Some(run) = self.runs.get_mut(&id) else { return Err(unexpected(ServerTag::DataRow)) };
        match run.mode {
            _ if run.answers_nothing => return Err(unexpected(ServerTag::DataRow)),
            _ if run.hidden => {}
            Mode::Verbatim | Mode::Unattributed { .. } => {
                run.rows += 1;
                run.bytes += frame.body().len() as u64;
                self.show(&frame.into_raw());
            }
            Mode::Guarded(_) => {
                if run.take_row(frame.body())? {
                    return Ok(Some(id));
                }
            }
        }
        Ok(None)
    }

    /// A full window: its record is appended and the rows wait for it.
    pub(in crate::session) fn release_window(&mut self, id: RunId) {
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

    fn on_complete(&mut self, frame: Frame, tag: ServerTag) -> Result<Option<Later>, Ended> {
        if let Some(Op::Probe) = self.ops.head() {
            self.ops.pop();
            return Ok(None);
        }
        let id = self.head_run().ok_or_else(|| unexpected(tag))?;
        let simple = matches!(self.ops.head(), Some(Op::Query { .. }));
        if self.objects.forgetting > 0 && tag == ServerTag::CommandComplete {
            let said = frame.body().split(|b| *b == 0).next().unwrap_or_default();
            self.forgotten(&String::from_utf8_lossy(said));
        }
        self.open_gate(id);
        let Some(run) = self.runs.get(&id) else { return Err(unexpected(tag)) };
        if run.answers_nothing && tag != ServerTag::EmptyQueryResponse {
            return Err(unexpected(tag));
        }
        match run.mode {
            Mode::Verbatim | Mode::Unattributed { .. } => {
                let hidden = run.hidden;
                let warning = run.warning().filter(|_| tag == ServerTag::CommandComplete);
                if tag == ServerTag::CommandComplete {
                    self.block_over |= ends_block(frame.body());
                    self.note_written(id);
                }
                self.finish_plain(id, Outcome::Ok, simple);
                if !simple {
                    self.ops.pop();
                    self.runs.remove(&id);
                }
                if let Some(warning) = warning {
                    self.show(&warning);
                }
                self.show_unless(hidden, frame);
            }
            Mode::Guarded(_) => {
                if !simple {
                    self.ops.pop();
                }
                if self.reads_cursor(id) || tag == ServerTag::PortalSuspended {
                    return Ok(Some(Later::RowsLeft { id, frame, tag }));
                }
                return Ok(self.finish_guarded(id, frame, tag)?.map(Later::Sought));
            }
        }
        Ok(None)
    }

    /// Records one statement of a run that is not guarded; nothing waits for it. A verbatim simple
    /// query of several statements is one run with a record for each.
    pub(in crate::session) fn finish_plain(&mut self, id: RunId, outcome: Outcome, simple: bool) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.hidden && outcome == Outcome::Ok {
            return;
        }
        for body in run.final_records(&self.identity, outcome) {
            self.world.note(body, Priority::Ordinary);
        }
        if simple {
            run.next_text += 1;
            run.rows = 0;
            run.bytes = 0;
        }
    }

    pub(in crate::session) fn on_ready(&mut self, frame: Frame) -> Result<(), Ended> {
        let status = Status::decode(frame.body())?;
        self.release_held()?;
        self.status = status;
        self.block_over = false;
        if status != Status::Failed {
            self.statements.failed_portal = None;
        }
        if std::mem::take(&mut self.abort_due) && status == Status::InTransaction {
            return self.abort_transaction();
        }
        self.copying_in = false;
        self.transaction_moves &= !self.ops.nothing_behind_sync();
        if status == Status::Idle {
            self.written = None;
            if self.namespace_touched {
                self.namespace = None;
                self.namespace_touched = false;
            }
            // What was sent since may have made new ones.
            if self.ops.nothing_behind_sync() {
                self.objects.idle();
            }
        }
        self.take_ready(frame)?;
        if status == Status::Idle {
            // Portals end with their transaction, but for those that were bound behind this Sync since.
            let (statements, ops) = (&mut self.statements, &self.ops);
            statements.portals.retain(|_, p| p.is_glass() || !ops.is_over(p.exchange));
        }
        // The client may be in its next pipeline already.
        self.in_pipeline = self.ops.open_pipeline();
        Ok(())
    }

    /// Ends the exchange that a ReadyForQuery answers.
    fn take_ready(&mut self, frame: Frame) -> Result<(), Ended> {
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
                Some(op) => self.undo(op),
                None => return Err(unexpected(ServerTag::ReadyForQuery)),
            }
        }
    }

    /// A statement was refused after the server had run it: the transaction it ran in is made to
    /// fail, and the client's ReadyForQuery comes after that.
    pub(in crate::session) fn abort_transaction(&mut self) -> Result<(), Ended> {
        while let Some(op) = self.ops.pop() {
            match op {
                Op::Sync { .. } | Op::Query { .. } => break,
                Op::Execute { run } => {
                    if let Some(run) = self.runs.remove(&run) {
                        self.note_skipped(&run);
                    }
                }
                _ => {}
            }
        }
        if !self.ops.is_empty() {
            // The client pipelines beyond this Sync: the abort would come after what it sent since.
            return Err(Ended::Protocol("a statement of a pipelined transaction was refused".into()));
        }
        self.muted = true;
        self.poison_server(Bytes::new());
        self.to_server.push(&message::sync());
        self.ops.push(Op::Sync { shown: true });
        Ok(())
    }

    pub(in crate::session) fn on_notice(&mut self, frame: &Frame) -> Result<(), Ended> {
        // Before an execution too: planning can look at the values that statistics hold.
        let runs = match self.head_run() {
            Some(id) => vec![id],
            None => self.pending_runs(),
        };
        let guarded = || runs.iter().filter_map(|id| self.runs.get(id)).any(|run| run.plan().is_some());
        let bound = matches!(self.ops.head(), Some(Op::Bind { subject: Some(_), .. }));
        if self.role.is_restricted() && (bound || self.deferred_may_speak() || guarded()) {
            // What a trigger or function says about a row may be about any row.
            let report = Report::decode(&frame.body_bytes())?;
            let quiet = crate::session::server::report::redacted_notice(&report);
            self.show(&quiet);
        } else {
            self.show(&frame.raw());
        }
        Ok(())
    }

    pub(in crate::session) fn on_parameter_status(&mut self, frame: Frame) -> Result<(), Ended> {
        let (name, value) = message::decode_parameter_status(frame.body())?;
        match name {
            "client_encoding" => value.clone_into(&mut self.encoding),
            "standard_conforming_strings" => self.conforming_strings = value == "on",
            "application_name" => {
                Arc::make_mut(&mut self.identity.from).application_name = Some(value.to_owned());
            }
            _ => {}
        }
        self.show(&frame.into_raw());
        Ok(())
    }
}

/// A message that the present state does not allow: the two sides are out of step, which must end.
pub(in crate::session) fn unexpected(tag: ServerTag) -> Ended {
    Ended::Protocol(format!("unexpected {tag:?} from the server"))
}

/// True for the command tag of a statement that ended a transaction (also with AND CHAIN).
fn ends_block(tag: &[u8]) -> bool {
    [&b"COMMIT"[..], b"ROLLBACK", b"PREPARE TRANSACTION"].iter().any(|end| tag.starts_with(end))
}

/// A process id and two strings, and nothing else: such a message goes to the client whatever is under way, so
/// another one must not pass for it. What stands before the second string (its payload), and the channel.
fn notification(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let strings = body.get(4..).unwrap_or_default();
    let whole = strings.last() == Some(&0) && strings.iter().filter(|b| **b == 0).count() == 2;
    let end = strings.iter().position(|b| *b == 0).filter(|_| whole)?;
    Some((body.get(..end + 5)?, strings.get(..end)?))
}

/// The code a run ends with when the policy under it changed.
pub(in crate::session) const POLICY_CHANGED: GlsCode = GlsCode::SessionEnded;

/// The code a run ends with when the proxy could not ask whether its patients are the user's still.
pub(in crate::session) const ASSIGNMENT_UNKNOWN: GlsCode = GlsCode::CannotGuard;
