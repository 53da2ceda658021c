//! The end of a transaction, and `SET CONSTRAINTS`: what the server says there comes from deferred constraints and
//! triggers, of statements that were answered before. It is about any row they wrote or met, so it is told without
//! values, and recorded as an error that anyone the user sees may have decided. Not here: the end of a run (`ending`).

use std::sync::Arc;

use crate::ledger::Priority;
use crate::ledger::record::Outcome;
use crate::session::peer::Stream;
use crate::session::run::Mode;
use crate::session::run::ops::Op;
use crate::session::server::outbox::RunId;
use crate::session::server::unexpected;
use crate::session::{Ended, Session};
use crate::sql::objects::Wrap;
use crate::sql::{Footprint, GuardedPlan, Lineage, StatementKind, Strategy, effects};
use crate::wire::frame::Frame;
use crate::wire::message::{Report, ServerTag, Status};

/// Adds a statement to what a transaction ends with, as one plan.
pub(in crate::session) fn join(
    all: &mut Option<GuardedPlan>,
    filtered: bool,
    grants_param: Option<u16>,
    footprint: &Footprint,
) {
    let merged = all.get_or_insert_with(|| GuardedPlan {
        text: String::new(),
        kind: StatementKind::Select,
        client_params: 0,
        principal_param: None,
        grants_param: None,
        opened_param: None,
        lineage: Lineage { strategy: Strategy::Carried, exact: true, reasons: Vec::new() },
        pins: Vec::new(),
        aims: Vec::new(),
        rows_show_pins: false,
        block: false,
        filtered: true,
        closed: false,
        reads_others: false,
        rows_are_witnesses: false,
        has_marker: false,
        footprint: Footprint::default(),
        copy: None,
        origin: Default::default(),
        wrap: Wrap::Commit,
        observed: None,
    });
    merged.filtered &= filtered;
    merged.grants_param = merged.grants_param.or(grants_param);
    let known = &mut merged.footprint;
    for (names, more) in
        [(&mut known.relations, &footprint.relations), (&mut known.classes, &footprint.classes)]
    {
        names.extend(more.iter().cloned());
        names.sort();
        names.dedup();
    }
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// A run that was answered may have left something to be checked at the end of its transaction.
    pub(in crate::session) fn note_written(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id).filter(|run| run.writes()) else { return };
        let mut all = self.written.take().map(|plan| *plan);
        match &run.mode {
            Mode::Verbatim => {}
            Mode::Unattributed { footprint, .. } => join(&mut all, false, None, footprint),
            Mode::Guarded(plan) => join(&mut all, plan.filtered, plan.grants_param, &plan.footprint),
        }
        self.written = all.map(Box::new);
    }

    /// True when what the server says now can come from a deferred constraint or trigger, or from no statement that is
    /// known. What is guarded has rules of its own.
    pub(in crate::session) fn deferred_may_speak(&self) -> bool {
        let (id, simple) = match self.ops.head() {
            Some(Op::Query { run }) => (run, true),
            Some(Op::Execute { run }) => (run, false),
            None | Some(Op::Sync { .. } | Op::Local { .. }) => return true,
            Some(
                Op::Parse { .. }
                | Op::Bind { .. }
                | Op::Describe { .. }
                | Op::Origin { .. }
                | Op::Close { .. }
                | Op::Poison { .. }
                | Op::Probe,
            ) => return false,
        };
        let Some(run) = self.runs.get(id) else { return true };
        let Some(text) = run.texts.get(run.next_text) else { return true };
        // The end of a simple query is that of what was pipelined before it without a Sync.
        let in_block = self.status == Status::InTransaction && !self.block_over;
        run.hidden || (simple && self.written.is_some() && !in_block) || effects::runs_deferred(text)
    }

    /// The server's words for a restricted user, where they can be of a deferred constraint or trigger.
    pub(in crate::session) fn in_quiet_words(&self, report: &Report) -> Option<Frame> {
        let quiet = self.role.is_restricted() && self.deferred_may_speak();
        quiet
            .then(|| {
                Frame::from_raw(crate::session::server::report::deferred_error(report, &self.words(report)))
            })
            .flatten()
    }

    /// What failed at the end of the transaction.
    fn failed_end(&self) -> Option<GuardedPlan> {
        let mut all = self.objects.unsettled();
        if let Some(plan) = &self.written {
            join(&mut all, plan.filtered, plan.grants_param, &plan.footprint);
        }
        all
    }

    /// A statement failed that can have ended the transaction: its record names whose rows may have decided.
    pub(in crate::session) fn charge_with_written(&mut self) {
        let Some(Op::Query { run } | Op::Execute { run }) = self.ops.head() else { return };
        let id = *run;
        let Some(plan) = self.failed_end().filter(|_| self.deferred_may_speak()) else { return };
        if let Some(run) = self.runs.get_mut(&id)
            && matches!(run.mode, Mode::Verbatim)
        {
            run.mode = Mode::Guarded(Arc::new(plan));
        }
    }

    /// An error at the end of a transaction that no statement ended. False when nothing protected was written in it
    /// and no guarded cursor WITH HOLD ran to its end.
    pub(in crate::session) async fn end_failed(
        &mut self,
        report: &Report,
        frame: &Frame,
    ) -> Result<bool, Ended> {
        if let Some(held) = &self.held {
            let id = held.id();
            Box::pin(self.fail_run(id, report, frame)).await?;
            return Ok(true);
        }
        let text = match self.objects.unsettled() {
            Some(_) => "(end of a transaction with cursors WITH HOLD)",
            None => "(end of a transaction)",
        };
        let Some(plan) = self.failed_end() else { return Ok(false) };
        let restricted = self.role.is_restricted();
        let error = if restricted {
            crate::session::server::report::deferred_error(report, &self.words(report))
        } else {
            frame.raw()
        };
        let filtered = plan.filtered;
        let id = self.new_run(vec![text.into()], Mode::Guarded(Arc::new(plan)), Vec::new());
        let Some(mut run) = self.runs.remove(&id) else { return Err(unexpected(ServerTag::ErrorResponse)) };
        run.failed_with(report);
        if filtered && run.by_rows {
            run.reach = self.world.reach(&self.principal, &self.role, &run.grants).await;
        }
        let outcome = Outcome::Error { sqlstate: report.code().into_owned() };
        let mut receipt = None;
        for body in run.final_records(&self.identity, outcome) {
            receipt = Some(self.world.append(body, Priority::Ordinary));
        }
        match receipt {
            Some(receipt) if !self.muted => {
                self.outbox.push_gated(id, true, bytes::BytesMut::from(&error[..]), receipt);
            }
            _ => self.show(&error),
        }
        Ok(true)
    }
}
