//! Extended query: Parse, Bind, Describe, Execute, Close, with guards put in and hidden columns kept
//! out of what the client sees.

use std::sync::Arc;

use bytes::Bytes;

use super::ops::{Op, Undo};
use super::peer::Stream;
use super::refusals::not_text;
use super::run::{self, Mode};
use super::statements::{Decided, Portal, Prepared};
use super::{Ended, Session};
use crate::sql::planner::PlannedStatement;
use crate::sql::resolve::SessionObject;
use crate::sql::{GuardedPlan, Verdict};
use crate::wire::frame::Frame;
use crate::wire::message::{self, Bind, Execute, Parse, Target, TargetKind};

impl<C: Stream, S: Stream> Session<C, S> {
    pub(super) async fn on_parse(&mut self, frame: Frame) -> Result<(), Ended> {
        let parse = match Parse::decode(frame.body()) {
            Ok(parse) => parse,
            Err(message::MessageError::NotUtf8) => {
                return self.refuse_extended("(not UTF-8)", &not_text(&message::MessageError::NotUtf8)).await;
            }
            Err(e) => return Err(e.into()),
        };
        if !parse.name.is_empty()
            && let Some(before) = self.statements.prepared.get(&parse.name)
        {
            if before.upstream == parse.name && !before.is_glass() {
                // The server knows it too and says so in its own words; what the client wants under
                // the name is not sent.
                let taken = Parse { query: String::new(), ..parse };
                self.send(taken.encode(), Op::Parse { hidden: false, undo: None });
                return Ok(());
            }
            let message = format!("prepared statement \"{}\" already exists", parse.name);
            return self.unknown("42P05", message);
        }
        let text: Arc<str> = parse.query.as_str().into();
        if let Some(call) = self.glass_call(&text) {
            return self.glass_parse(parse, text, call).await;
        }
        let planned = match self.decide(&text).await? {
            Ok(planned) => planned,
            Err(refusal) => return self.refuse_extended(&text, &refusal).await,
        };
        if let Some(refusal) = planned.refusal() {
            return self.refuse_extended(&text, &refusal).await;
        }
        let decided = match planned.statements.as_slice() {
            [] => Decided::Empty,
            [one] => Decided::Sent(Arc::clone(one)),
            _ => {
                return self
                    .unknown("42601", "cannot insert multiple commands into a prepared statement".into());
            }
        };
        let mut prepared = Prepared {
            text,
            upstream: parse.name.clone(),
            types: parse.parameter_types.clone(),
            decided,
            context: self.context_id,
            layout: None,
        };
        self.note_protocol_name(&parse.name);
        let undo = Undo { name: parse.name.clone(), previous: self.statements.prepared.remove(&parse.name) };
        match prepared.guarded().cloned() {
            None => {
                self.forward(frame);
                self.ops.push(Op::Parse { hidden: false, undo: Some(undo) });
            }
            Some(plan) => {
                prepared.upstream = self.upstream_name(&parse.name);
                self.send_parse(&prepared, &plan, false, undo);
            }
        }
        self.statements.prepared.insert(parse.name, prepared);
        Ok(())
    }

    /// The server's name for a guarded statement. The unnamed one stays unnamed: whatever the client
    /// prepares next takes its place on both sides.
    pub(super) fn upstream_name(&mut self, client: &str) -> String {
        if client.is_empty() {
            return String::new();
        }
        self.own_names.next += 1;
        format!("{}g{}", crate::policy::RESERVED_PREFIX, self.own_names.next)
    }

    /// Parse of a guarded text, and a Describe that tells us its layout.
    pub(super) fn send_parse(
        &mut self,
        prepared: &Prepared,
        plan: &Arc<GuardedPlan>,
        hidden: bool,
        undo: Undo,
    ) {
        let ours = [plan.principal_param, plan.grants_param].into_iter().flatten().max();
        let mut parameter_types = prepared.types.clone();
        if ours.is_some() {
            // Types of ours are cast in the text; zero leaves the client's undeclared ones open.
            parameter_types.truncate(usize::from(plan.client_params));
        }
        let parse = Parse { name: prepared.upstream.clone(), query: plan.text.clone(), parameter_types };
        let name = undo.name.clone();
        self.send(parse.encode(), Op::Parse { hidden, undo: Some(undo) });
        let target = Target { kind: TargetKind::Statement, name: prepared.upstream.clone() };
        let op =
            Op::Describe { shown: false, plan: Some(Arc::clone(plan)), statement: Some(name), run: None };
        self.send(target.describe(), op);
    }

    pub(super) async fn on_bind(&mut self, frame: Frame) -> Result<(), Ended> {
        let bind = match Bind::decode(&frame.body_bytes()) {
            Ok(bind) => bind,
            Err(message::MessageError::NotUtf8) => {
                return self.refuse_extended("(not UTF-8)", &not_text(&message::MessageError::NotUtf8)).await;
            }
            Err(e) => return Err(e.into()),
        };
        let Some(prepared) = self.statements.prepared.get(&bind.statement).cloned() else {
            // Never forwarded: the server could know a statement of ours under that name.
            let target = Target { kind: TargetKind::Statement, name: bind.statement };
            return self.unknown_name(&target);
        };
        if let Decided::Glass(_) = prepared.decided {
            return self.glass_bind(bind, prepared);
        }
        let prepared = match self.decide_again(&bind.statement, prepared).await? {
            Ok(prepared) => prepared,
            Err((text, refusal)) => return self.refuse_extended(&text, &refusal).await,
        };
        match prepared.guarded().cloned() {
            None => {
                let parameters = parameters_of(&bind, &prepared.types);
                self.insert_portal(&bind, &prepared, None, parameters);
                self.forward(frame);
                self.ops.push(Op::Bind { hidden: false, portal: Some(bind.portal) });
                Ok(())
            }
            Some(plan) => self.bind_guarded(bind, prepared, &plan).await,
        }
    }

    pub(super) async fn bind_guarded(
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
            return self.unknown("08P01", message);
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
        let parameters = parameters_of(&bind, &prepared.types);
        let client_results = bind.result_formats.clone();
        let mut portal_layout = None;
        if let Some(layout) = &prepared.layout {
            // A count that fits no column is the server's to refuse.
            if let Some(formats) = layout.result_formats(&client_results) {
                bind.result_formats = formats;
            }
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
        self.insert_portal(&bind, &prepared, portal_layout, parameters);
        bind.statement.clone_from(&prepared.upstream);
        self.send(bind.encode(), Op::Bind { hidden: false, portal: Some(bind.portal.clone()) });
        Ok(())
    }

    pub(super) fn insert_portal(
        &mut self,
        bind: &Bind,
        prepared: &Prepared,
        layout: Option<Arc<super::layout::Layout>>,
        parameters: Vec<Option<String>>,
    ) {
        let portal = Portal {
            text: Arc::clone(&prepared.text),
            decided: prepared.decided.clone(),
            policy_version: self.context.policy.policy.version.clone(),
            role: self.role.name.clone(),
            types: prepared.types.clone(),
            result_formats: bind.result_formats.clone(),
            layout,
            parameters,
            raw: bind.parameters.clone(),
            raw_formats: bind.parameter_formats.clone(),
            grants: Arc::clone(&self.grants),
        };
        self.note_protocol_name(&bind.portal);
        self.statements.portals.insert(bind.portal.clone(), portal);
    }

    /// The bind values of ours, in the order of their numbers.
    pub(super) fn own_parameters(&self, plan: &GuardedPlan) -> Vec<Option<Bytes>> {
        let mut ours = Vec::new();
        if plan.principal_param.is_some() {
            ours.push(Some(Bytes::copy_from_slice(self.principal.as_bytes())));
        }
        if plan.grants_param.is_some() {
            ours.push(Some(Bytes::from(array_literal(&self.grants.patients))));
        }
        ours
    }

    pub(super) async fn on_describe(&mut self, frame: Frame) -> Result<(), Ended> {
        let target = Target::decode(frame.body())?;
        let is_statement = target.kind == TargetKind::Statement;
        let (decided, upstream) = if is_statement {
            match self.statements.prepared.get(&target.name) {
                Some(prepared) => (prepared.decided.clone(), prepared.upstream.clone()),
                None => return self.unknown_name(&target),
            }
        } else {
            match self.statements.portals.get(&target.name) {
                Some(portal) => (portal.decided.clone(), target.name.clone()),
                None if self.is_sql_cursor(&target.name) => (Decided::Empty, target.name.clone()),
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

    /// 26000 or 34000.
    fn unknown_name(&mut self, target: &Target) -> Result<(), Ended> {
        match target.kind {
            TargetKind::Statement if target.name.is_empty() => {
                self.unknown("26000", "unnamed prepared statement does not exist".to_owned())
            }
            TargetKind::Statement => {
                self.unknown("26000", format!("prepared statement \"{}\" does not exist", target.name))
            }
            TargetKind::Portal => self.unknown("34000", format!("portal \"{}\" does not exist", target.name)),
        }
    }

    fn note_protocol_name(&mut self, name: &str) {
        if !name.is_empty() && !self.protocol_names.contains(name) {
            self.protocol_names.insert(name.to_owned());
        }
    }

    /// True for a cursor that an SQL DECLARE opened, over nothing that needs a guard: its portal has
    /// the same name in the protocol.
    fn is_sql_cursor(&self, name: &str) -> bool {
        !self.protocol_names.contains(name)
            && self.sql_objects.contains_key(&SessionObject::Cursor(name.to_owned()))
    }

    pub(super) async fn on_execute(&mut self, frame: Frame) -> Result<(), Ended> {
        let execute = Execute::decode(frame.body())?;
        let Some(portal) = self.statements.portals.get(&execute.portal).cloned() else {
            if self.is_sql_cursor(&execute.portal) {
                let run = self.new_run(
                    vec![format!("(cursor {})", execute.portal).into()],
                    Mode::Verbatim,
                    Vec::new(),
                );
                self.forward(frame);
                self.in_pipeline = true;
                self.ops.push(Op::Execute { run });
                return Ok(());
            }
            return self.unknown("34000", format!("portal \"{}\" does not exist", execute.portal));
        };
        let (statement, mode) = match &portal.decided {
            Decided::Glass(shape) => {
                let shape = Arc::clone(shape);
                return self.glass_execute(&portal, &shape).await;
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
                let refusal = super::report::ledger_refusal(&error);
                return self.refuse_extended(&portal.text, &refusal).await;
            }
            if let Some(refusal) = self.authority_lost(&portal) {
                return self.refuse_extended(&portal.text, &refusal).await;
            }
        }
        if let Some(statement) = &statement {
            if let Some(refusal) = self.unknown_object_of(statement) {
                return self.refuse_extended(&portal.text, &refusal).await;
            }
            if let Some(name) = self.guarded_name(statement) {
                self.deallocate(name);
                return Ok(());
            }
            self.note_effects(statement);
            self.copy_due |= statement.effects.copies_in;
        }
        let run = self.new_run(vec![Arc::clone(&portal.text)], mode, portal.parameters.clone());
        if let Some(run) = self.runs.get_mut(&run) {
            run.layout = portal.layout.clone();
            run.formats.clone_from(&portal.result_formats);
            run.grants = Arc::clone(&portal.grants);
            self.exchange_blocks |= run.plan().is_some_and(|p| p.block);
        }
        self.exchange_runs += 1;
        self.forward(frame);
        self.in_pipeline = true;
        self.ops.push(Op::Execute { run });
        self.gate_unattributed(run);
        Ok(())
    }

    pub(super) async fn on_close(&mut self, frame: Frame) -> Result<(), Ended> {
        let target = Target::decode(frame.body())?;
        let mut op = Op::Close { hidden: false, undo: None };
        let mut upstream = target.name.clone();
        match target.kind {
            TargetKind::Statement => {
                if let Some(closed) = self.statements.prepared.remove(&target.name) {
                    if closed.is_glass() {
                        self.answer(Bytes::from_static(b"3\0\0\0\x04"));
                        return Ok(());
                    }
                    upstream.clone_from(&closed.upstream);
                    let undo = Undo { name: target.name.clone(), previous: Some(closed) };
                    op = Op::Close { hidden: false, undo: Some(undo) };
                }
            }
            TargetKind::Portal => {
                if self.statements.portals.remove(&target.name).is_some_and(|p| p.is_glass()) {
                    self.answer(Bytes::from_static(b"3\0\0\0\x04"));
                    return Ok(());
                }
            }
        }
        if upstream == target.name {
            self.forward(frame);
            self.ops.push(op);
        } else {
            self.send(Target { name: upstream, ..target }.close(), op);
        }
        Ok(())
    }

    /// The guarded statement that this one deallocates by its name in SQL, if it does: the server
    /// knows it under another name.
    pub(super) fn guarded_name(&self, statement: &PlannedStatement) -> Option<String> {
        let name = statement.effects.deallocates.as_ref()?;
        let prepared = self.statements.prepared.get(name)?;
        (prepared.upstream != *name || prepared.is_glass()).then(|| name.clone())
    }

    /// `DEALLOCATE name` of a statement whose name on the server is ours.
    pub(super) fn deallocate(&mut self, name: String) {
        let Some(closed) = self.statements.prepared.remove(&name) else { return };
        if !closed.is_glass() {
            let target = Target { kind: TargetKind::Statement, name: closed.upstream.clone() };
            let undo = Undo { name, previous: Some(closed) };
            self.send(target.close(), Op::Close { hidden: true, undo: Some(undo) });
        }
        self.answer(Bytes::from_static(b"C\0\0\0\x0fDEALLOCATE\0"));
    }
}

/// The client's parameters as text for the record.
fn parameters_of(bind: &Bind, types: &[u32]) -> Vec<Option<String>> {
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
