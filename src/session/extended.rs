//! Extended query: Parse, Bind, Describe, Execute, Close, with guards put in and hidden columns kept
//! out of what the client sees.

use std::sync::Arc;

use bytes::Bytes;

use super::ops::Op;
use super::peer::Stream;
use super::refusals::not_text;
use super::run::{self, Mode};
use super::statements::{Decided, Portal, Prepared};
use super::{Ended, Session};
use crate::policy::{GlsCode, Refusal};
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
        let prepared = Prepared {
            text,
            types: parse.parameter_types.clone(),
            decided,
            context: self.context_id,
            layout: None,
        };
        match prepared.guarded() {
            None => {
                self.forward(frame);
                self.ops.push(Op::Parse { hidden: false, created: Some(parse.name.clone()) });
            }
            Some(plan) => {
                let plan = Arc::clone(plan);
                self.send_parse(&parse.name, &plan, &prepared.types, false);
            }
        }
        self.statements.prepared.insert(parse.name, prepared);
        Ok(())
    }

    /// Parse of a guarded text under the client's name, and a Describe that tells us its layout.
    pub(super) fn send_parse(&mut self, name: &str, plan: &Arc<GuardedPlan>, types: &[u32], hidden: bool) {
        let ours = [plan.principal_param, plan.grants_param].into_iter().flatten().max();
        let mut parameter_types = types.to_vec();
        if ours.is_some() {
            // Types of ours are cast in the text; zero leaves the client's undeclared ones open.
            parameter_types.truncate(usize::from(plan.client_params));
        }
        let parse = Parse { name: name.to_owned(), query: plan.text.clone(), parameter_types };
        let created = (!hidden).then(|| name.to_owned());
        self.send(parse.encode(), Op::Parse { hidden, created });
        let target = Target { kind: TargetKind::Statement, name: name.to_owned() };
        let op = Op::Describe {
            shown: false,
            plan: Some(Arc::clone(plan)),
            statement: Some(name.to_owned()),
            run: None,
        };
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
            return self
                .unknown("26000", format!("prepared statement \"{}\" does not exist", bind.statement));
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
                self.ops.push(Op::Bind { hidden: false, created: Some(bind.portal) });
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
            let refusal = Refusal {
                sqlstate: "08P01",
                ..Refusal::new(
                    GlsCode::CannotGuard,
                    format!(
                        "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                        bind.parameters.len(),
                        bind.statement,
                        plan.client_params
                    ),
                )
            };
            return self.refuse_extended(&prepared.text, &refusal).await;
        }
        if prepared.layout.is_none() {
            self.quiesce().await?;
            let Some(again) = self.statements.prepared.get(&bind.statement).cloned() else {
                // Its Parse failed meanwhile; the client was told, and skips to its Sync.
                return Ok(());
            };
            prepared = again;
        }
        let parameters = parameters_of(&bind, &prepared.types);
        let client_results = bind.result_formats.clone();
        let layout = prepared.layout.clone().unwrap_or_default();
        let portal_layout = match layout.result_formats(&client_results) {
            Some(formats) => {
                bind.result_formats = formats;
                layout.with_formats(&bind.result_formats)
            }
            None => layout.with_formats(&client_results),
        };
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
        let client_bind = Bind { result_formats: client_results, ..bind.clone() };
        self.insert_portal(&client_bind, &prepared, Some(Arc::new(portal_layout)), parameters);
        self.send(bind.encode(), Op::Bind { hidden: false, created: Some(bind.portal.clone()) });
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
            first_result_format: bind.result_formats.first().copied().unwrap_or(0),
            layout,
            parameters,
            raw: bind.parameters.clone(),
            raw_formats: bind.parameter_formats.clone(),
            grants: Arc::clone(&self.grants),
        };
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
        let (decided, is_statement) = match target.kind {
            TargetKind::Statement => {
                (self.statements.prepared.get(&target.name).map(|p| p.decided.clone()), true)
            }
            TargetKind::Portal => {
                (self.statements.portals.get(&target.name).map(|p| p.decided.clone()), false)
            }
        };
        if let Some(Decided::Glass(shape)) = &decided {
            let shape = Arc::clone(shape);
            return self.glass_describe(&shape, &target.name, is_statement);
        }
        let plan = match &decided {
            Some(Decided::Sent(s)) => s.guarded().cloned(),
            Some(Decided::Empty | Decided::Glass(_)) => None,
            None if is_statement => {
                return self
                    .unknown("26000", format!("prepared statement \"{}\" does not exist", target.name));
            }
            None => return self.unknown("34000", format!("portal \"{}\" does not exist", target.name)),
        };
        let statement = (is_statement && plan.is_some()).then(|| target.name.clone());
        self.forward(frame);
        self.ops.push(Op::Describe { shown: true, plan, statement, run: None });
        Ok(())
    }

    pub(super) async fn on_execute(&mut self, frame: Frame) -> Result<(), Ended> {
        let execute = Execute::decode(frame.body())?;
        let Some(portal) = self.statements.portals.get(&execute.portal).cloned() else {
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
            self.note_effects(statement);
        }
        let run = self.new_run(vec![Arc::clone(&portal.text)], mode, portal.parameters.clone());
        if let Some(run) = self.runs.get_mut(&run) {
            run.layout = portal.layout.clone();
            run.grants = Arc::clone(&portal.grants);
        }
        self.forward(frame);
        self.in_pipeline = true;
        self.ops.push(Op::Execute { run });
        self.gate_unattributed(run);
        Ok(())
    }

    pub(super) async fn on_close(&mut self, frame: Frame) -> Result<(), Ended> {
        let target = Target::decode(frame.body())?;
        let was_glass = match target.kind {
            TargetKind::Statement => {
                self.statements.prepared.remove(&target.name).is_some_and(|p| p.is_glass())
            }
            TargetKind::Portal => self.statements.portals.remove(&target.name).is_some_and(|p| p.is_glass()),
        };
        if was_glass {
            self.answer(Bytes::from_static(b"3\0\0\0\x04"));
            return Ok(());
        }
        self.forward(frame);
        self.ops.push(Op::Close { hidden: false });
        Ok(())
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
