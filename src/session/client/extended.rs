//! Extended query behind Parse: Bind, Describe, Execute, Close, with guards put in and hidden columns kept
//! out of what the client sees.

use std::sync::Arc;

use bytes::Bytes;

use crate::session::client::refusals::not_text;
use crate::session::names::statements::{Decided, Portal, Prepared};
use crate::session::names::translate::Stop;
use crate::session::peer::Stream;
use crate::session::run::ops::{Op, Subject, Undo};
use crate::session::run::{self, Mode};
use crate::session::{Ended, Session};
use crate::sql::objects::Wrap;
use crate::sql::{GuardedPlan, Verdict};
use crate::wire::frame::Frame;
use crate::wire::message::{self, Bind, Execute, Target, TargetKind};

impl<C: Stream, S: Stream> Session<C, S> {
    pub(in crate::session) async fn on_bind(&mut self, frame: Frame) -> Result<(), Ended> {
        let mut bind = match Bind::decode(&frame.body_bytes()) {
            Ok(bind) => bind,
            Err(message::MessageError::NotUtf8) => {
                return self.refuse_extended("(not UTF-8)", &not_text(&message::MessageError::NotUtf8)).await;
            }
            Err(e) => return self.malformed(&e),
        };
        let prepared = match self.statements.prepared.get(&bind.statement).cloned() {
            Some(prepared) if prepared.is_glass() => {
                if !self.portal_name_taken(&bind.portal).await? {
                    self.glass_bind(bind, prepared)?;
                }
                return Ok(());
            }
            Some(prepared) => match self.decide_again(&bind.statement, prepared).await? {
                Ok(prepared) => prepared,
                Err((text, refusal)) => return self.refuse_extended(&text, &refusal).await,
            },
            None => match Box::pin(self.sql_prepared(&bind.statement)).await? {
                Ok(Some(prepared)) => prepared,
                Ok(None) if self.skipping => return Ok(()),
                // Never forwarded: the server could know a statement of ours under that name.
                Ok(None) => {
                    return self.unknown_name(&Target { kind: TargetKind::Statement, name: bind.statement });
                }
                Err(stop) => return self.stopped(&statement_named(&bind.statement), stop),
            },
        };
        if let Decided::Sent(statement) = &prepared.decided
            && self.may_translate(statement)
        {
            let statement = Arc::clone(statement);
            let translated = match Box::pin(self.translate(&statement)).await? {
                Ok(translated) => translated,
                Err(stop) => return self.stopped(&prepared.text, stop),
            };
            if self.skipping {
                return Ok(());
            }
            if let Some(translated) = translated {
                return Box::pin(self.bind_translated(bind, &prepared, translated)).await;
            }
        }
        match prepared.guarded().cloned() {
            None => {
                if !bind.portal.is_empty() && !Box::pin(self.portal_is_free(&bind.portal)).await? {
                    if !self.skipping && self.portal_on_server(&bind.portal) {
                        // It will fail there, in the server's words.
                        bind.statement.clone_from(&prepared.upstream);
                        self.send(bind.encode(), Op::Bind { hidden: false, subject: None, portal: None });
                    } else if !self.skipping {
                        return self
                            .stopped(&prepared.text, crate::session::names::cursor_exists(&bind.portal));
                    }
                    return Ok(());
                }
                if self.skipping {
                    return Ok(());
                }
                let parameters = parameters_of(&bind, &prepared.types);
                let name = self.insert_portal(&bind, &prepared, None, parameters);
                let op = Op::Bind { hidden: false, subject: None, portal: Some(bind.portal.clone()) };
                if prepared.upstream == bind.statement && name == bind.portal {
                    self.forward(frame);
                    self.ops.push(op);
                } else {
                    bind.statement.clone_from(&prepared.upstream);
                    bind.portal = name;
                    self.send(bind.encode(), op);
                }
                Ok(())
            }
            Some(plan) => self.bind_guarded(bind, prepared, &plan).await,
        }
    }

    /// What stops a message of the extended protocol.
    pub(in crate::session) fn stopped(
        &mut self,
        text: &str,
        Stop { error, failed }: Stop,
    ) -> Result<(), Ended> {
        // Behind an error that came meanwhile it would be skipped.
        if !self.skipping {
            self.note_failed(text, failed);
            self.poison(error);
        }
        self.skipping = true;
        Ok(())
    }

    /// True when no portal can be bound under this name: the client was told, or an error came meanwhile.
    pub(in crate::session) async fn portal_name_taken(&mut self, name: &str) -> Result<bool, Ended> {
        if name.is_empty() || !self.portal_known(name) {
            return Ok(false);
        }
        let free = Box::pin(self.portal_is_free(name)).await?;
        if !free && !self.skipping {
            self.stopped(&portal_named(name), crate::session::names::cursor_exists(name))?;
        }
        Ok(self.skipping)
    }

    pub(in crate::session) async fn bind_guarded(
        &mut self,
        mut bind: Bind,
        mut prepared: Prepared,
        plan: &Arc<GuardedPlan>,
    ) -> Result<(), Ended> {
        if bind.parameters.len() != usize::from(plan.client_params) {
            // With ours appended the server would count wrong: say it as the server does.
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                bind.parameters.len(),
                bind.statement,
                plan.client_params
            );
            return self.unknown(&prepared.text, "08P01", message);
        }
        // One format code a column cannot be extended before the columns are known, nor can a binary
        // value be read whose type the client left open.
        let binary = bind.parameter_formats.contains(&1);
        let undeclared = prepared.types.len() < bind.parameters.len() || prepared.types.contains(&0);
        if prepared.layout.is_none() && (bind.result_formats.len() > 1 || (binary && undeclared)) {
            self.quiesce().await?;
            if self.skipping {
                return Ok(());
            }
            let Some(again) = self.statements.prepared.get(&bind.statement).cloned() else {
                // Its Parse failed meanwhile; the client was told, and skips to its Sync.
                return Ok(());
            };
            prepared = again;
        }
        if self.portal_name_taken(&bind.portal).await? {
            return Ok(());
        }
        match self.copy_text(plan) {
            Ok(None) => {}
            Ok(Some(text)) => {
                let layout = prepared.layout.clone();
                let name = self.insert_portal(&bind, &prepared, layout, Vec::new());
                self.bind_copy(&bind, name, text);
                return Ok(());
            }
            Err(refusal) => return self.refuse_extended(&prepared.text, &refusal).await,
        }
        let parameters = parameters_of(&bind, &prepared.types);
        let client_results = bind.result_formats.clone();
        let mut portal_layout = None;
        if let Some(layout) = &prepared.layout {
            let Some(formats) = layout.result_formats(&client_results) else {
                let message = format!(
                    "bind message has {} result formats but query has {} columns",
                    client_results.len(),
                    layout.visible()
                );
                return self.unknown(&prepared.text, "08P01", message);
            };
            bind.result_formats = formats;
            portal_layout = Some(Arc::new(layout.with_formats(&bind.result_formats)));
        }
        let ours = self.own_parameters(plan);
        if !ours.is_empty() {
            let formats = &mut bind.parameter_formats;
            let count = bind.parameters.len();
            match formats.as_slice() {
                [] => {}
                [all] if count != 1 => *formats = vec![*all; count],
                _ => {}
            }
            if !formats.is_empty() {
                formats.extend(std::iter::repeat_n(0, ours.len()));
            }
            bind.parameters.extend(ours);
        }
        let subject = Subject {
            text: Arc::clone(&prepared.text),
            plan: Arc::clone(plan),
            parameters: parameters.clone(),
        };
        let subject = Some(Box::new(subject));
        let name = self.insert_portal(&bind, &prepared, portal_layout, parameters);
        bind.statement.clone_from(&prepared.upstream);
        let portal = Some(std::mem::replace(&mut bind.portal, name));
        let op = Op::Bind { hidden: false, subject, portal };
        self.send(bind.encode(), op);
        Ok(())
    }

    /// Notes a portal about to be bound, whose name is free. Returns its name on the server: a guarded one has one
    /// of ours, so that nothing SQL reads under the client's has a guard that it does not know of.
    pub(in crate::session) fn insert_portal(
        &mut self,
        bind: &Bind,
        prepared: &Prepared,
        layout: Option<Arc<crate::session::server::layout::Layout>>,
        parameters: Vec<Option<String>>,
    ) -> String {
        let guarded = prepared.guarded().is_some();
        let name = if guarded && !bind.portal.is_empty() {
            self.objects.fresh_for('b', &bind.portal)
        } else {
            bind.portal.clone()
        };
        let called = match &prepared.decided {
            Decided::Sent(statement) => self.called_by(statement),
            Decided::Empty | Decided::Glass(_) => None,
        };
        let portal = Portal {
            name: name.clone(),
            context: prepared.context,
            ran: false,
            called,
            exchange: self.ops.exchange(),
            text: Arc::clone(&prepared.text),
            decided: prepared.decided.clone(),
            policy_version: self.context.policy.policy.version.clone(),
            role: self.role.name.clone(),
            types: prepared.types.clone(),
            declared: Arc::clone(&prepared.declared),
            result_formats: bind.result_formats.clone(),
            layout,
            parameters,
            raw: bind.parameters.clone(),
            raw_formats: bind.parameter_formats.clone(),
            grants: Arc::clone(&self.grants),
            upstream: None,
            reach: None,
        };
        self.statements.portals.insert(bind.portal.clone(), portal);
        // A Sync would end it.
        self.in_pipeline = true;
        name
    }

    /// The bind values of ours, in the order of their numbers.
    pub(in crate::session) fn own_parameters(&self, plan: &GuardedPlan) -> Vec<Option<Bytes>> {
        let mut ours = Vec::new();
        match plan.wrap {
            Wrap::Plain | Wrap::Declare(_) => {}
            // What they read has them already, or they read nothing.
            Wrap::Prepare(_) | Wrap::Fetch(_) | Wrap::Move(_) | Wrap::Execute(_) | Wrap::Commit => {
                return ours;
            }
        }
        if plan.principal_param.is_some() {
            ours.push(Some(Bytes::copy_from_slice(self.principal.as_bytes())));
        }
        if plan.grants_param.is_some() {
            ours.push(Some(Bytes::from(array_literal(&self.grants.patients))));
        }
        if plan.opened_param.is_some() {
            ours.push(Some(Bytes::from(array_literal(&self.grants.opened))));
        }
        ours
    }

    pub(in crate::session) async fn on_describe(&mut self, frame: Frame) -> Result<(), Ended> {
        let target = match Target::decode(frame.body()) {
            Ok(target) => target,
            Err(e) => return self.malformed(&e),
        };
        let is_statement = target.kind == TargetKind::Statement;
        if Box::pin(self.describe_object(&target)).await? {
            return Ok(());
        }
        let (decided, upstream) = if is_statement {
            match self.statements.prepared.get(&target.name) {
                Some(prepared) => (prepared.decided.clone(), prepared.upstream.clone()),
                None => return self.unknown_name(&target),
            }
        } else {
            match self.statements.portals.get(&target.name) {
                Some(portal) => (portal.decided.clone(), portal.name.clone()),
                None if self.sql_cursor(&target.name).is_some() => (Decided::Empty, target.name.clone()),
                None if self.portal_failed(&target.name) => {
                    self.describe_failed_portal(frame);
                    return Ok(());
                }
                None => return self.unknown_name(&target),
            }
        };
        let plan = match decided {
            Decided::Glass(shape) => return self.glass_describe(&shape, &target.name, is_statement),
            Decided::Sent(statement) => statement.guarded().cloned(),
            Decided::Empty => None,
        };
        let statement = (is_statement && plan.is_some()).then(|| target.name.clone());
        let op = Op::Describe { shown: true, plan, statement, run: None };
        if upstream == target.name {
            self.forward(frame);
            self.ops.push(op);
        } else {
            self.send(Target { name: upstream, ..target }.describe(), op);
        }
        Ok(())
    }

    pub(in crate::session) async fn on_execute(&mut self, frame: Frame) -> Result<(), Ended> {
        let execute = match Execute::decode(frame.body()) {
            Ok(execute) => execute,
            Err(e) => return self.malformed(&e),
        };
        let Some(mut portal) = self.statements.portals.get(&execute.portal).cloned() else {
            if let Some((plan, upstream)) = self.cursor_portal(&execute.portal) {
                return Box::pin(self.execute_cursor(&execute, plan, upstream)).await;
            }
            if let Some(cursor) = self.sql_cursor(&execute.portal).cloned() {
                return Box::pin(self.execute_sql_cursor(frame, &execute.portal, cursor)).await;
            }
            if self.portal_failed(&execute.portal) {
                self.execute_failed_portal(frame, &execute.portal);
                return Ok(());
            }
            return self.unknown_name(&Target { kind: TargetKind::Portal, name: execute.portal });
        };
        let (statement, mode) = match &portal.decided {
            Decided::Glass(shape) => {
                let shape = Arc::clone(shape);
                return Box::pin(self.glass_execute(&portal, &shape)).await;
            }
            Decided::Empty => (None, Mode::Verbatim),
            Decided::Sent(statement) => (
                Some(Arc::clone(statement)),
                match &statement.verdict {
                    Verdict::Guarded(plan) => Mode::Guarded(Arc::clone(plan)),
                    Verdict::Unattributed { footprint, reason } => {
                        Mode::Unattributed { footprint: footprint.clone(), reason }
                    }
                    Verdict::Verbatim => Mode::Verbatim,
                    Verdict::Refused(refusal) => {
                        let refusal = refusal.clone();
                        return self.refuse_extended(&portal.text, &refusal).await;
                    }
                },
            ),
        };
        if !matches!(mode, Mode::Verbatim) {
            if let Err(error) = self.world.ledger_healthy() {
                let refusal = crate::session::server::report::ledger_refusal(&error);
                return self.refuse_extended(&portal.text, &refusal).await;
            }
            if let Some(refusal) = self.authority_lost(&portal) {
                return self.refuse_extended(&portal.text, &refusal).await;
            }
        }
        if let Some(statement) = &statement {
            if !self.settle_names(statement).await? {
                return Ok(());
            }
            if statement.effects.late_names || statement.object.is_some() {
                let settled = Box::pin(self.settle_meaning(&portal)).await?;
                if self.skipping {
                    return Ok(());
                }
                if settled.is_err() && !self.statements.portals.contains_key(&execute.portal) {
                    // A Sync ended it, whose answer came only now.
                    return self.unknown_name(&Target { kind: TargetKind::Portal, name: execute.portal });
                }
                match settled {
                    Ok(()) => {}
                    Err(_) if self.fails_on_the_server(statement) => portal.ran = true,
                    Err(stop) => return self.stopped(&portal.text, stop),
                }
            }
            if let Some(name) = self.deallocates_glass(statement) {
                self.deallocate_glass(&name);
                return Ok(());
            }
            if !(portal.ran && statement.object.is_some()) {
                self.note_effects(statement, portal.upstream.as_deref(), &portal.parameters);
            }
            if let Some(portal) = self.statements.portals.get_mut(&execute.portal) {
                portal.ran = true;
            }
            self.copy_due |= statement.effects.copies_in;
        }
        let run = self.new_run(vec![Arc::clone(&portal.text)], mode, portal.parameters.clone());
        self.watch(run, statement.as_deref());
        if let Some(run) = self.runs.get_mut(&run) {
            run.layout = portal.layout.clone();
            run.formats.clone_from(&portal.result_formats);
            run.grants = Arc::clone(&portal.grants);
            self.exchange_blocks |= run.plan().is_some_and(|p| p.block);
        }
        if let (Some(upstream), Some(_)) = (&portal.upstream, &portal.reach)
            && let Some(cursor) = self.objects.upstream_cursor(upstream)
        {
            cursor.reach.clone_from(&portal.reach);
        }
        self.exchange_runs += 1;
        // The rows are ours: a limit of the client's, who expects none, would hold back its tag and our keys.
        let unlimited = self.runs.get(&run).and_then(|r| r.plan()).is_some_and(|p| p.rows_are_witnesses);
        let max_rows = if unlimited { 0 } else { execute.max_rows };
        self.in_pipeline = true;
        if portal.name == execute.portal && max_rows == execute.max_rows {
            self.forward(frame);
            self.ops.push(Op::Execute { run });
        } else {
            let execute = Execute { portal: portal.name, max_rows };
            self.send(execute.encode(), Op::Execute { run });
        }
        self.announce(run);
        Ok(())
    }

    pub(in crate::session) async fn on_close(&mut self, frame: Frame) -> Result<(), Ended> {
        let target = match Target::decode(frame.body()) {
            Ok(target) => target,
            Err(e) => return self.malformed(&e),
        };
        let mut undo = None;
        let mut upstream = target.name.clone();
        match target.kind {
            TargetKind::Statement => match self.statements.prepared.remove(&target.name) {
                Some(closed) if closed.is_glass() => {
                    self.answer(Bytes::from_static(b"3\0\0\0\x04"));
                    return Ok(());
                }
                Some(closed) => {
                    upstream.clone_from(&closed.upstream);
                    let previous = Some(Box::new(closed));
                    undo = Some(Undo::Statement { name: target.name.clone(), previous });
                }
                None if self.close_sql_prepared(&target.name) => return Ok(()),
                None => {}
            },
            TargetKind::Portal => {
                let cursor = self.objects.cursors.remove(&target.name);
                match self.statements.portals.remove(&target.name) {
                    Some(portal) if portal.is_glass() => {
                        self.answer(Bytes::from_static(b"3\0\0\0\x04"));
                        return Ok(());
                    }
                    Some(closed) => {
                        upstream.clone_from(&closed.name);
                        undo = Some(Undo::Portal { name: target.name.clone(), previous: Box::new(closed) });
                    }
                    None => {
                        if let Some(closed) = cursor {
                            upstream.clone_from(&closed.upstream);
                            let previous = Box::new(closed);
                            undo = Some(Undo::Cursor { name: target.name.clone(), previous });
                        }
                    }
                }
            }
        }
        let op = Op::Close { hidden: false, undo };
        if upstream == target.name {
            self.forward(frame);
            self.ops.push(op);
        } else {
            self.send(Target { name: upstream, ..target }.close(), op);
        }
        Ok(())
    }
}

/// A prepared statement whose text is not known, for the record.
pub(in crate::session) fn statement_named(name: &str) -> String {
    format!("(statement \"{name}\")")
}

/// The same of a portal.
pub(in crate::session) fn portal_named(name: &str) -> String {
    format!("(portal \"{name}\")")
}

/// The client's parameters as text for the record.
pub(in crate::session) fn parameters_of(bind: &Bind, types: &[u32]) -> Vec<Option<String>> {
    bind.parameters
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let binary = match bind.parameter_formats.as_slice() {
                [] => false,
                [all] => *all == 1,
                each => each.get(i) == Some(&1),
            };
            run::parameter_text(value.as_deref(), binary, types.get(i).copied().unwrap_or(0))
        })
        .collect()
}

/// A PostgreSQL array literal of these texts.
fn array_literal(items: &[String]) -> String {
    let quoted: Vec<String> =
        items.iter().map(|i| format!("\"{}\"", i.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("{{{}}}", quoted.join(","))
}
