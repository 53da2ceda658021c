//! COPY of protected tables inside a session: data to the client passes through its run's window and
//! leaves behind its record, as rows do; data from the client is looked at row by row before it goes
//! on to the server. The formats are in `lines` and `binary`, what they say in `out` and `incoming`.

mod binary;
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
pub(super) mod fuzzing;
mod incoming;
mod lines;
mod out;
mod split;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::peer::Stream;
use super::{Ended, Session};
use crate::glass::Grants;
use crate::policy::Refusal;
use crate::session::run::ops::Op;
use crate::session::run::{Mode, Sought, WINDOW};
use crate::session::server::outbox::RunId;
use crate::session::server::unexpected;
use crate::sql::literal;
use crate::sql::planner::PlannedStatement;
use crate::sql::{GuardedPlan, cannot_guard};
use crate::wire::frame::Frame;
use crate::wire::message::{Bind, ClientTag, Parse, ServerTag, Target, TargetKind, put_message, query};
use incoming::Incoming;
use out::Outgoing;
use split::BadData;

/// The assignment a COPY from the client is checked against is no older than this.
const FRESH: Duration = Duration::from_secs(1);

/// What a run knows of the COPY it is.
#[derive(Debug, Default)]
pub(super) struct CopyRun {
    outgoing: Option<Outgoing>,
    incoming: Option<Incoming>,
    /// The patients that may be written, and since when that is known.
    assigned: Option<(Instant, BTreeSet<String>)>,
    /// It was broken off for a key that is no value of the key's type at all.
    pub(super) invalid: bool,
    /// Why the COPY was broken off here: the client is told this in place of the server's error.
    pub(super) refused: Option<Refusal>,
}

impl CopyRun {
    /// True when the server was told that the COPY failed.
    fn is_broken_off(&self) -> bool {
        self.invalid || self.refused.is_some()
    }
}

impl From<BadData> for Ended {
    fn from(e: BadData) -> Self {
        Ended::Protocol(format!("from the server: {e}"))
    }
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// The text of a guarded COPY with this user's values in it.
    pub(super) fn copy_text(&self, plan: &GuardedPlan) -> Result<Option<String>, Refusal> {
        let Some(copy) = plan.copy_out() else { return Ok(None) };
        let ours = self.own_parameters(plan);
        let numbers = [plan.principal_param, plan.grants_param, plan.opened_param].into_iter().flatten();
        let mut values = Vec::new();
        for (number, value) in numbers.zip(&ours) {
            let text = value.as_deref().and_then(|v| std::str::from_utf8(v).ok());
            values.push((number, text.ok_or_else(|| cannot_guard("the user's name is no text", ""))?));
        }
        match literal::fill(&copy.text, &values) {
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                tracing::warn!(%error, text = %copy.text, "a guarded COPY could not be filled in");
                Err(cannot_guard(error, ""))
            }
        }
    }

    /// In a simple query: after the query inside a COPY was parsed, asks for its layout and parses the
    /// COPY itself in its place. False for anything that is no COPY.
    pub(super) fn describe_copy(
        &mut self,
        plan: Option<&Arc<GuardedPlan>>,
        text: Option<String>,
        run: RunId,
    ) -> bool {
        let (Some(plan), Some(text)) = (plan, text) else { return false };
        let inside = Target { kind: TargetKind::Statement, name: String::new() };
        let op = Op::Describe { shown: false, plan: Some(Arc::clone(plan)), statement: None, run: Some(run) };
        self.send(inside.describe(), op);
        let parse = Parse { name: String::new(), query: text, parameter_types: Vec::new() };
        self.send(parse.encode(), Op::Parse { hidden: true, undo: None, subject: None });
        true
    }

    /// A simple query that is a guarded COPY from the client, and nothing else.
    pub(super) fn send_copy_in(
        &mut self,
        text: &Arc<str>,
        statement: &PlannedStatement,
    ) -> Result<(), Ended> {
        let Some(plan) = statement.guarded() else { return Ok(()) };
        let bytes = query(&plan.text)?;
        self.note_effects(statement, None, &[]);
        self.copy_due = true;
        let run = self.new_run(vec![Arc::clone(text)], Mode::Guarded(Arc::clone(plan)), Vec::new());
        self.to_server.push(&bytes);
        self.ops.push(Op::Query { run });
        self.announce(run);
        Ok(())
    }

    /// Binds a COPY to the client as `portal`: its text holds the user's values, so it is prepared anew for every
    /// Bind, under a name that is never used again.
    pub(super) fn bind_copy(&mut self, bind: &Bind, portal: String, text: String) {
        self.own_names.next += 1;
        let name = format!("{}y{}", crate::policy::RESERVED_PREFIX, self.own_names.next);
        let parse = Parse { name: name.clone(), query: text, parameter_types: Vec::new() };
        self.send(parse.encode(), Op::Parse { hidden: true, undo: None, subject: None });
        let ours = Bind { portal, statement: name.clone(), ..bind.clone() };
        self.send(
            ours.encode(),
            Op::Bind { hidden: false, subject: None, portal: Some(bind.portal.clone()) },
        );
        // The portal keeps what it needs.
        let close = Target { kind: TargetKind::Statement, name };
        self.send(close.close(), Op::Close { hidden: true, undo: None });
    }

    /// CopyOutResponse, CopyData and CopyDone of the server. False when the run is not guarded.
    pub(super) fn on_copy_out(&mut self, frame: &Frame, tag: ServerTag) -> Result<bool, Ended> {
        let id = self.head_run().ok_or_else(|| unexpected(tag))?;
        let Some(run) = self.runs.get_mut(&id) else { return Err(unexpected(tag)) };
        let Some(plan) = run.plan().cloned() else { return Ok(false) };
        let Some(copy) = plan.copy_out() else { return Err(unexpected(tag)) };
        let body = frame.body();
        let taken = match (tag, &mut run.copy.outgoing) {
            (ServerTag::CopyOutResponse, outgoing @ None) => {
                let layout = run.layout.clone().ok_or_else(|| unexpected(tag))?;
                let started = outgoing.insert(Outgoing::new(&copy.format, layout));
                let response = started.response(body)?;
                put(&mut run.window, b'H', &response)?;
                return Ok(true);
            }
            (ServerTag::CopyData, Some(outgoing)) => outgoing.take(body, &mut run.window)?,
            (ServerTag::CopyDone, Some(outgoing)) => {
                let taken = outgoing.finish(&mut run.window)?;
                put(&mut run.window, b'c', &[])?;
                taken
            }
            _ => return Err(unexpected(tag)),
        };
        run.rows += taken.rows;
        run.bytes += body.len() as u64;
        run.take_keys(taken.keys);
        if run.window.len() >= WINDOW && tag == ServerTag::CopyData {
            self.release_window(id);
        }
        Ok(true)
    }

    /// The server takes COPY data. False when the run is not guarded.
    pub(super) fn on_copy_in(&mut self, frame: &Frame) -> Result<bool, Ended> {
        const TAG: ServerTag = ServerTag::CopyInResponse;
        let id = self.head_run().ok_or_else(|| unexpected(TAG))?;
        let Some(run) = self.runs.get_mut(&id) else { return Err(unexpected(TAG)) };
        let Some(plan) = run.plan().cloned() else { return Ok(false) };
        let Some(copy) = plan.copy_in() else { return Err(unexpected(TAG)) };
        let incoming = Incoming::new(copy, self.context.catalog.server_version);
        let columns = frame.body().get(1..3).map(|c| c.iter().fold(0, |n, b| n << 8 | usize::from(*b)));
        if columns != Some(incoming.columns()) {
            return Err(unexpected(TAG));
        }
        run.copy.incoming = Some(incoming);
        self.show(&frame.raw());
        Ok(true)
    }

    /// CopyData, CopyDone and CopyFail of the client while the server takes data.
    pub(super) async fn on_copy_input(&mut self, frame: Frame, tag: ClientTag) -> Result<(), Ended> {
        let id = self.head_run();
        self.take_copy_input(frame, tag).await?;
        let broken = id.and_then(|id| self.runs.get(&id)).is_some_and(|run| run.copy.is_broken_off());
        if tag == ClientTag::CopyDone
            && !broken
            && let Some(rest) = self.rest.take()
        {
            self.send_rest(rest).await?;
        }
        Ok(())
    }

    async fn take_copy_input(&mut self, frame: Frame, tag: ClientTag) -> Result<(), Ended> {
        self.copying_in = tag == ClientTag::CopyData;
        let id = self.head_run();
        let run = id.and_then(|id| self.runs.get_mut(&id));
        let (Some(id), Some(run)) = (id, run) else {
            self.forward(frame);
            return Ok(());
        };
        // The next statement of the same text may be another COPY.
        self.copy_due = !self.copying_in && run.texts.len() > 1;
        let revoked = run.revoked;
        let Some(mut incoming) = run.copy.incoming.take().filter(|_| tag != ClientTag::CopyFail) else {
            self.forward(frame);
            return Ok(());
        };
        if let Some(code) = revoked {
            self.break_off(id, crate::session::server::report::revoked(code), None);
            return Ok(());
        }
        let last = tag == ClientTag::CopyDone;
        let taken = incoming.take(if last { &[] } else { frame.body() }, last);
        let checks = incoming.checks();
        let batch = match taken {
            Ok(batch) => batch,
            Err(_) if !checks => {
                // Nothing is checked, so nothing is refused; whose rows they are cannot be told any more.
                if let Some(run) = self.runs.get_mut(&id) {
                    run.lost = true;
                }
                self.forward(frame);
                return Ok(());
            }
            Err(error) => {
                let refusal = Refusal {
                    sqlstate: if error == BadData::TooLong { "54000" } else { "22P04" },
                    ..cannot_guard(error, "")
                };
                self.break_off(id, refusal, None);
                return Ok(());
            }
        };
        if checks {
            let outside = match self.may_write(id).await {
                Some(mine) => {
                    batch.nobody.clone().or_else(|| batch.keys.iter().find(|k| !mine.contains(*k)).cloned())
                }
                None => {
                    self.break_off(id, cannot_guard("the assignment cannot be read now", "Try again."), None);
                    return Ok(());
                }
            };
            if let Some(key) = outside {
                let refusal = self.world.not_your_patient(&[], &self.role);
                self.break_off(id, refusal, Some(key));
                return Ok(());
            }
            if batch.invalid {
                // Not sent: what the server makes of it is not for us to guess, that it fails is.
                if let Some(run) = self.runs.get_mut(&id) {
                    run.copy.invalid = true;
                }
                self.fail_copy();
                return Ok(());
            }
        }
        if let Some(run) = self.runs.get_mut(&id) {
            run.take_keys(batch.keys);
            run.bytes += frame.body().len() as u64;
            run.copy.incoming = Some(incoming);
        }
        if !checks {
            self.forward(frame);
            return Ok(());
        }
        if !batch.bytes.is_empty() {
            put(&mut self.to_server.0, b'd', &batch.bytes)?;
        }
        if last {
            self.forward(frame);
        }
        Ok(())
    }

    /// The patients of the user's assignment; `None` when they cannot be told. Granted patients are
    /// not among them: break-glass is read only.
    async fn may_write(&mut self, id: RunId) -> Option<&BTreeSet<String>> {
        let known = self.runs.get(&id)?.copy.assigned.as_ref();
        if known.is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            let patients = self.world.reach(&self.principal, &self.role, &Grants::default()).await?;
            self.runs.get_mut(&id)?.copy.assigned = Some((Instant::now(), patients.into_iter().collect()));
        }
        self.runs.get(&id)?.copy.assigned.as_ref().map(|(_, patients)| patients)
    }

    /// Breaks off the COPY from the client that runs, if it is guarded.
    pub(super) fn break_off_copy(&mut self, refusal: &Refusal) -> bool {
        let guarded = |id: &RunId| self.runs.get(id).is_some_and(|r| r.plan().is_some());
        let Some(id) = self.head_run().filter(guarded) else { return false };
        self.break_off(id, refusal.clone(), None);
        true
    }

    /// Makes the server fail a COPY from the client; the client is told why when the server has.
    fn break_off(&mut self, id: RunId, refusal: Refusal, sought: Option<String>) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.sought.extend(sought.map(|value| Sought {
                identifier: None,
                certain: true,
                told: true,
                value,
                key: None,
                inside: Some(false),
            }));
            run.copy.refused = Some(refusal);
        }
        self.fail_copy();
    }

    fn fail_copy(&mut self) {
        self.copying_in = false;
        self.to_server.push(b"f\0\0\0\x0crefused\0");
    }
}

/// One message at the end of `out`.
fn put(out: &mut BytesMut, tag: u8, body: &[u8]) -> Result<(), Ended> {
    put_message(out, tag, |o| {
        o.extend_from_slice(body);
        Ok(())
    })?;
    Ok(())
}
