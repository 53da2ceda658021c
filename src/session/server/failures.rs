//! What goes wrong with a run: errors of the server, refusals after the server answered, records that
//! could not be made durable; and the ops that an error makes void.

use std::sync::Arc;

use crate::ledger::Priority;
use crate::ledger::record::Outcome;
use crate::policy::{Access, MOVED, RESERVED_PREFIX, Refusal};
use crate::session::peer::Stream;
use crate::session::run::ops::{Op, Subject, Undo};
use crate::session::run::{Mode, Run};
use crate::session::server::constraints::Words;
use crate::session::server::outbox::RunId;
use crate::session::server::unexpected;
use crate::session::{Ended, Session};
use crate::sql::objects::Wrap;
use crate::sql::{GuardedPlan, StatementKind, Strategy};
use crate::wire::frame::Frame;
use crate::wire::message::{Report, ServerTag, Status};

impl<C: Stream, S: Stream> Session<C, S> {
    pub(in crate::session) async fn on_error(&mut self, frame: &Frame) -> Result<(), Ended> {
        let mut report = Report::decode(&frame.body_bytes())?;
        let restored = self.in_client_names(&mut report);
        let frame = restored.as_ref().unwrap_or(frame);
        if report.is_fatal() {
            self.server_said_goodbye = true;
            self.show(&frame.raw());
            return Ok(());
        }
        self.charge_with_written();
        let quiet = self.in_quiet_words(&report);
        let frame = quiet.as_ref().unwrap_or(frame);
        if self.namespace_touched {
            self.namespace = None;
        }
        self.not_forgotten();
        // A COPY FROM STDIN that failed takes no more data, nor does it swallow the Sync that follows.
        self.copying_in = false;
        let head = self.ops.pop();
        match head {
            Some(Op::Poison { error }) => {
                // In a transaction that failed before, the server's own words are the right ones.
                let bytes = if &*report.code() == "25P02" { frame.raw() } else { error };
                self.show(&bytes);
                self.discard_to_sync();
            }
            // A guarded COPY from the client, or the end of a transaction; ReadyForQuery follows and ends it.
            Some(Op::Query { run }) if self.runs.get(&run).is_some_and(|r| r.plan().is_some()) => {
                self.ops.push_front(Op::Query { run });
                self.fail_run(run, &report, frame).await?;
            }
            Some(Op::Query { run }) => {
                self.note_unread(run, &report);
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
                if let Some(run) = self.runs.get_mut(&run) {
                    run.description = None;
                }
                self.note_unread(run, &report);
                self.open_gate(run);
                self.fail_run(run, &report, frame).await?;
                self.discard_to_sync();
            }
            Some(mut op @ (Op::Parse { .. } | Op::Bind { .. })) => {
                // What stood under no name is gone on the server, too (postgres.c, `exec_parse_message`).
                if !op.forget_unnamed() && matches!(op, Op::Parse { hidden: true, .. }) {
                    self.ops.forget_next_unnamed();
                }
                let at_bind = matches!(op, Op::Bind { .. });
                let subject = match &mut op {
                    Op::Parse { subject, .. } | Op::Bind { subject, .. } => subject.take(),
                    _ => None,
                };
                if at_bind || self.parsed_our_text() {
                    Box::pin(self.fail_preparation(&report, frame, at_bind, subject)).await;
                } else {
                    self.show(&frame.raw());
                    let subject = subject.or_else(|| self.ops.subject_of_origin());
                    Box::pin(self.end_preparation(&report, false, subject)).await;
                }
                self.discard_to_sync();
                // Errors before there is a portal (postgres.c, `exec_bind_message`).
                let early = matches!(&*report.code(), "08P01" | "26000" | "42P03" | "25P02");
                if let (Op::Bind { portal, .. }, false) = (&op, early) {
                    self.statements.failed_portal.clone_from(portal);
                }
                // Met before the new catalog was.
                self.own_names.stale |=
                    matches!(op, Op::Bind { hidden: true, .. }) && report.code() == "0A000";
                self.undo(op);
            }
            Some(Op::Probe) => {
                return Err(Ended::Protocol(format!("the namespace cannot be asked: {report}")));
            }
            Some(Op::Describe { .. } | Op::Origin { .. } | Op::Close { .. }) => {
                if matches!(head, Some(Op::Origin { .. })) {
                    self.ops.forget_next_unnamed();
                }
                Box::pin(self.fail_preparation(&report, frame, false, None)).await;
                self.discard_to_sync();
            }
            // An error between pipelines (a failing commit at Sync, a terminating server).
            Some(op @ Op::Sync { .. }) => {
                if !self.end_failed(&report, frame).await? {
                    self.show(&frame.raw());
                }
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

    /// An error that calls a cursor or prepared statement by our name, in the client's words.
    fn in_client_names(&self, report: &mut Report) -> Option<Frame> {
        let mut changed = false;
        for field in *b"MDHW" {
            let Some(text) = report.field(field) else { continue };
            if !text.contains(RESERVED_PREFIX) {
                continue;
            }
            let words = self.client_words(&text);
            if words != text {
                *report = report.clone().with(field, words);
                changed = true;
            }
        }
        changed.then(|| Frame::from_raw(report.error_response())).flatten()
    }

    /// A text with the client's names where ours stand.
    fn client_words(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(RESERVED_PREFIX) {
            let (before, from) = rest.split_at(at);
            let end = from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(from.len());
            let (name, behind) = from.split_at(end);
            out.push_str(before);
            out.push_str(self.objects.client_name(name).unwrap_or(name));
            rest = behind;
        }
        out + rest
    }

    /// An error before execution. What the server says of a text that it only read is about that; `Position` and context
    /// are dropped where the text is not the client's. At Bind it plans.
    async fn fail_preparation(
        &mut self,
        report: &Report,
        frame: &Frame,
        at_bind: bool,
        subject: Option<Box<Subject>>,
    ) {
        let run = self.pending_runs().first().and_then(|id| self.runs.get(id));
        let describes_plan = |op: &Op| matches!(op, Op::Describe { plan: Some(_), .. });
        // The text that failed is the client's own.
        let original = matches!(self.ops.head(), Some(Op::Origin { .. } | Op::Poison { .. }));
        let guarded = subject.is_some()
            || !original
                && (run.is_some_and(|r| r.plan().is_some()) || self.ops.head().is_some_and(describes_plan));
        let given = run.filter(|_| subject.is_none()).map(|r| r.given.as_slice()).unwrap_or_default();
        let restricted = self.role.is_restricted();
        let error = match (guarded, at_bind) {
            (false, _) => frame.raw(),
            (true, false) => crate::session::server::report::analysis_error(report),
            (true, true) if !given.is_empty() => {
                crate::session::server::report::constant_error(report, restricted, given)
            }
            (true, true) => {
                let parameters = subject.as_ref().map_or(0, |s| s.parameters.len());
                crate::session::server::report::planning_error(report, restricted, parameters)
            }
        };
        self.show(&error);
        self.end_preparation(report, at_bind, subject).await;
    }

    /// Whether the Parse that was just taken off the queue was of a guarded text. What follows it tells:
    /// our own Describe, or the Bind of a simple query that is sent as extended messages.
    fn parsed_our_text(&self) -> bool {
        match self.ops.head() {
            Some(Op::Describe { shown: false, plan: Some(_), .. }) => true,
            Some(Op::Bind { hidden: true, .. }) => {
                let first = self.pending_runs().first().copied();
                first.and_then(|id| self.runs.get(&id)).is_some_and(|run| run.plan().is_some())
            }
            _ => false,
        }
    }

    /// What waited for a preparation never ran; the refusal by the server is recorded, once.
    async fn end_preparation(&mut self, report: &Report, at_bind: bool, subject: Option<Box<Subject>>) {
        let first = self.pending_runs().first().copied();
        let same = |run: &Run| {
            subject.as_ref().is_none_or(|s| {
                let named = run.texts.first().is_some_and(|text| *text == s.text);
                named && (!at_bind || run.parameters == s.parameters)
            })
        };
        let waits = first.filter(|id| self.runs.get(id).is_some_and(same));
        let id = match (waits, subject) {
            (Some(id), _) => id,
            (None, None) => return,
            (None, Some(subject)) => {
                let Subject { text, plan, parameters } = *subject;
                self.new_run(vec![text], Mode::Guarded(plan), parameters)
            }
        };
        let Some(mut run) = self.runs.remove(&id) else { return };
        // Its Parse or Bind failed; what a Bind computes is its own values, but for what it plans.
        run.unread = run.gate_due && crate::session::run::never_read(report);
        let given = run.parameters.len().max(run.given.len());
        if at_bind && crate::session::server::report::parameter_meant(report, given).is_none() {
            run.failed_with(report);
            self.look_up_reach(&mut run).await;
        }
        let outcome = Outcome::Error { sqlstate: report.code().into_owned() };
        for body in run.final_records(&self.identity, outcome) {
            self.world.note(body, Priority::Ordinary);
        }
    }

    /// Runs asked for and not begun, up to the next Sync.
    pub(in crate::session) fn pending_runs(&self) -> Vec<RunId> {
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
    pub(in crate::session) async fn fail_run(
        &mut self,
        id: RunId,
        report: &Report,
        frame: &Frame,
    ) -> Result<(), Ended> {
        let Some(mut run) = self.runs.remove(&id) else { return Err(unexpected(ServerTag::ErrorResponse)) };
        // What the server would have said, had it been sent the row.
        let invalid = run.copy.invalid.then(|| Report::error("22P02", "invalid input syntax"));
        let report = invalid.as_ref().unwrap_or(report);
        // The statement waited for a row that may have become another patient's.
        let moved = run.plan().is_some() && &*report.code() == "22P02" && report.message().contains(MOVED);
        let moved = moved.then(crate::session::server::report::row_moved);
        let report = moved.as_ref().unwrap_or(report);
        let outcome = match &*report.code() {
            "57014" => Outcome::Cancelled,
            code => Outcome::Error { sqlstate: code.to_owned() },
        };
        let guarded = run.plan().is_some();
        if let Some(plan) = run.plan() {
            self.objects.failed(plan);
        }
        if let Some(code) = run.revoked {
            return self.end_with_refusal(run, &crate::session::server::report::revoked(code));
        }
        if let Some(refusal) = run.copy.refused.take() {
            return self.end_with_refusal(run, &refusal);
        }
        // A new row whose patient is outside, or whose category is closed: the check in RETURNING raised it.
        if guarded && &*report.code() == "22P02" {
            let message = report.message();
            let refusal = match (message.find("GLS-201"), message.find("GLS-204")) {
                (Some(patient), category) if category.is_none_or(|at| patient < at) => {
                    Some(self.world.not_your_patient(&[], &self.role))
                }
                (_, Some(_)) => Some(crate::session::server::report::category_closed(&self.role)),
                (_, None) => None,
            };
            if let Some(refusal) = refusal {
                // It had read the rows it would have changed.
                run.by_rows = run.plan().is_some_and(|p| p.lineage.strategy != Strategy::Pinned);
                self.look_up_reach(&mut run).await;
                return self.end_with_refusal(run, &refusal);
            }
        }
        // A COPY from the client and the end of a transaction are sent as the client wrote them.
        let own_text = |p: &Arc<GuardedPlan>| p.copy_in().is_some() || p.wrap == Wrap::Commit;
        let as_sent = run.plan().is_some_and(own_text) && !self.role.is_restricted();
        let error = if guarded && !as_sent {
            crate::session::server::report::server_error(
                report,
                self.role.is_restricted(),
                &self.words(report),
            )
        } else {
            frame.raw()
        };
        run.failed_with(report);
        self.look_up_reach(&mut run).await;
        // The rows it had before it failed rest on the same assignment.
        self.runs.insert(run);
        self.hold_to_present(id).await;
        let Some(mut run) = self.runs.remove(&id) else { return Err(unexpected(ServerTag::ErrorResponse)) };
        if let Some(code) = run.revoked {
            return self.end_with_refusal(run, &crate::session::server::report::revoked(code));
        }
        if run.watch.is_some() {
            Box::pin(self.look_outside(&mut run, false, false)).await;
        }
        // The server runs a statement that writes to its end before it sends a row or describes one, and so
        // FETCH and EXECUTE.
        let whole_first = |wrap: &Wrap| matches!(wrap, Wrap::Fetch(_) | Wrap::Execute(_));
        let moved = run.moved;
        if let Some(held) = self.held.take_if(|held| held.id() == id) {
            // It ran to its end. In a simple query the server says so only once the transaction is kept.
            if !run.simple {
                let tag = held.tag(&run)?;
                run.window.extend_from_slice(&tag);
            }
        } else if run
            .plan()
            .is_some_and(|p| p.kind != StatementKind::Select || (moved == 0 && whole_first(&p.wrap)))
        {
            run.window.clear();
        }
        // Rows taken before the error leave with it, as they would without us.
        run.window.extend_from_slice(&error);
        let window = run.window.split();
        let mut receipt = None;
        for body in run.final_records(&self.identity, outcome) {
            receipt = Some(self.world.append(body, Priority::Ordinary));
        }
        match receipt {
            Some(receipt) if guarded && !self.muted => {
                self.outbox.push_gated(id, run.writes(), window, receipt)
            }
            _ => self.show(&window),
        }
        Ok(())
    }

    /// What of the server's error can be shown to a restricted user.
    pub(in crate::session) fn words(&self, report: &Report) -> Words {
        let policy = &self.context.policy;
        let open = |oid| !matches!(policy.access(&self.role, oid), Access::Denied(_));
        Words::of(report, &self.context.catalog, open)
    }

    /// Whom the user can see, where any of them may have decided how the run ended: under a filter nobody else can have.
    pub(in crate::session) async fn look_up_reach(&mut self, run: &mut Run) {
        if run.by_rows && run.plan().is_some_and(|p| p.filtered) {
            run.reach = Box::pin(self.world.reach(&self.principal, &self.role, &run.grants)).await;
        }
    }

    /// After an error in the extended protocol the server ignores everything up to Sync: so do we, and
    /// what the ignored messages did to the tables is taken back, the last one first.
    pub(in crate::session) fn discard_to_sync(&mut self) {
        let mut discarded = Vec::new();
        let mut sync = false;
        while let Some(op) = self.ops.pop() {
            // A Query that was pipelined without a Sync before it is ignored as well.
            if matches!(op, Op::Sync { .. }) {
                self.ops.push_front(op);
                sync = true;
                break;
            }
            discarded.push(op);
        }
        for op in discarded.into_iter().rev() {
            self.undo(op);
        }
        // No Sync of the client's among what was sent: it is still to come.
        self.skipping |= !sync;
    }

    /// Takes back what a message that did not happen changed here.
    pub(in crate::session) fn undo(&mut self, op: Op) {
        match op {
            Op::Parse { undo: Some(undo), .. } | Op::Close { undo: Some(undo), .. } => {
                self.take_back(undo);
            }
            Op::Bind { portal: Some(name), .. } => {
                self.statements.portals.remove(&name);
            }
            Op::Execute { run } | Op::Query { run } => {
                let Some(run) = self.runs.remove(&run) else { return };
                if let Some(plan) = run.plan() {
                    self.objects.failed(plan);
                }
                self.note_skipped(&run);
            }
            Op::Parse { undo: None, .. }
            | Op::Bind { portal: None, .. }
            | Op::Describe { .. }
            | Op::Origin { .. }
            | Op::Close { undo: None, .. }
            | Op::Sync { .. }
            | Op::Local { .. }
            | Op::Poison { .. }
            | Op::Probe => {}
        }
    }

    /// A run that was recorded when it was sent, and that the server did not run.
    pub(in crate::session) fn note_skipped(&self, run: &Run) {
        if let Some(body) = run.skipped() {
            self.world.note(body, Priority::Ordinary);
        }
    }

    /// Puts an entry of a table of names back.
    pub(in crate::session) fn take_back(&mut self, undo: Undo) {
        match undo {
            Undo::Statement { name, previous: Some(previous) } => {
                self.statements.prepared.insert(name, *previous);
            }
            Undo::Statement { name, previous: None } => {
                self.statements.prepared.remove(&name);
            }
            Undo::Portal { name, previous } => {
                self.statements.portals.insert(name, *previous);
            }
            Undo::Sql { name, previous } => {
                self.objects.prepared.insert(name, *previous);
            }
            Undo::Own { key, name } => self.own_names.failed(key, &name),
            Undo::Cursor { name, previous } => {
                self.objects.cursors.insert(name, *previous);
            }
        }
    }

    /// Ends a run with an error of ours in place of what the server answered. Later replies of the
    /// same pipeline are swallowed, as the server would not have given them.
    pub(in crate::session) fn end_with_refusal(
        &mut self,
        mut run: Box<crate::session::run::Run>,
        refusal: &Refusal,
    ) -> Result<(), Ended> {
        self.outbox.revoke(run.id);
        let outcome = Outcome::Refused { code: refusal.code.as_str().to_owned() };
        run.rows = 0;
        run.bytes = 0;
        for body in run.final_records(&self.identity, outcome) {
            self.world.note(body, Priority::Reserve);
        }
        let error = crate::session::server::report::refusal(refusal, Some(&run.statement)).error_response();
        self.show(&error);
        self.muted = true;
        // An error aborts the transaction it happens in; the server knows of none yet.
        self.abort_due = true;
        if !self.ops.has_sync() {
            self.skipping = true;
        }
        Ok(())
    }

    /// A window's record could not be made durable: its rows stay back, the client is told.
    pub(in crate::session) fn on_gate_failed(
        &mut self,
        failure: &crate::session::server::outbox::GateFailure,
    ) -> Result<(), Ended> {
        tracing::error!(run = failure.run, error = %failure.error, "ledger: rows withheld");
        if failure.error.shutdown {
            self.world.request_shutdown();
        }
        let refusal = crate::session::server::report::ledger_refusal(&failure.error);
        let error = crate::session::server::report::refusal(&refusal, None).error_response();
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
