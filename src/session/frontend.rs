//! The client's messages: each is decided, then sent (as it is or guarded), answered here, or refused.

use std::sync::Arc;

use bytes::Bytes;

use super::ops::Op;
use super::peer::Stream;
use super::run::{self, Mode, Run};
use super::statements::{Decided, Portal, Prepared};
use super::{Ended, Session};
use crate::ledger::Priority;
use crate::policy::{GlsCode, Refusal};
use crate::sql::planner::{self, Planned, PlannedStatement};
use crate::sql::resolve::SessionObject;
use crate::sql::{Footprint, GuardedPlan, Verdict};
use crate::wire::frame::Frame;
use crate::wire::message::{self, Bind, ClientTag, Execute, Parse, Status, Target, TargetKind};

/// Distinct guarded texts of simple queries a session keeps prepared upstream under names of ours.
const OWN_NAMES: usize = 128;

/// Text of a statement that cannot parse: sent in place of a refused one inside a transaction.
const POISON: &str = "pgglass_refused_this_statement";

/// Its statement name: it never comes to exist, and the client's unnamed statement stays.
const POISON_NAME: &str = "__glass_refused";

impl<C: Stream, S: Stream> Session<C, S> {
    /// Handles one message of the client.
    pub(super) async fn on_client(&mut self, frame: Frame) -> Result<(), Ended> {
        let Some(tag) = ClientTag::of(frame.tag()) else {
            return Err(Ended::Protocol(format!("invalid frontend message type {}", frame.tag())));
        };
        if self.skipping && !matches!(tag, ClientTag::Sync | ClientTag::Terminate) {
            return Ok(());
        }
        match tag {
            ClientTag::Query => self.on_query(frame).await,
            ClientTag::Parse => self.on_parse(frame).await,
            ClientTag::Bind => self.on_bind(frame).await,
            ClientTag::Describe => self.on_describe(frame).await,
            ClientTag::Execute => self.on_execute(frame).await,
            ClientTag::Close => self.on_close(frame).await,
            ClientTag::Sync => {
                self.skipping = false;
                self.copying_in = false;
                self.forward(frame);
                self.ops.push(Op::Sync { shown: true });
                Ok(())
            }
            ClientTag::Flush => {
                self.forward(frame);
                Ok(())
            }
            ClientTag::CopyData | ClientTag::CopyDone | ClientTag::CopyFail => {
                // Outside COPY the server ignores these, and so do we.
                if self.copying_in {
                    self.copying_in = tag == ClientTag::CopyData;
                    self.forward(frame);
                }
                Ok(())
            }
            ClientTag::FunctionCall => {
                self.quiesce().await?;
                let refusal = Refusal::new(
                    GlsCode::CannotGuard,
                    "the function call message is not supported: call the function in a SELECT",
                );
                self.refuse_simple("(function call message)", &refusal).await
            }
            ClientTag::Password => Err(Ended::Protocol("unexpected password message".into())),
            ClientTag::Terminate => Err(Ended::Client),
        }
    }

    // --- simple query -----------------------------------------------------------------------------

    async fn on_query(&mut self, frame: Frame) -> Result<(), Ended> {
        // A simple query ends the unnamed statement and portal.
        self.statements.prepared.remove("");
        self.statements.portals.remove("");
        let text: Arc<str> = match message::decode_query(frame.body()) {
            Ok(text) => text.into(),
            Err(e) => return self.refuse_simple("(not UTF-8)", &not_text(&e)).await,
        };
        if let Some(call) = self.glass_call(&text) {
            return self.glass_simple(&text, call).await;
        }
        let planned = match self.decide(&text).await? {
            Ok(planned) => planned,
            Err(refusal) => return self.refuse_simple(&text, &refusal).await,
        };
        if let Some(refusal) = planned.refusal().or_else(|| self.unknown_object(&planned)) {
            return self.refuse_simple(&text, &refusal).await;
        }
        if planned.statements.iter().any(|s| !matches!(s.verdict, Verdict::Verbatim))
            && let Err(error) = self.world.ledger_healthy()
        {
            return self.refuse_simple(&text, &super::report::ledger_refusal(&error)).await;
        }
        match planned.statements.as_slice() {
            statements if statements.iter().all(|s| matches!(s.verdict, Verdict::Verbatim)) => {
                self.send_query_verbatim(frame, &text, statements, Mode::Verbatim)
            }
            // Nothing to guard: the bytes go through, and one record covers what cannot be told.
            statements if statements.iter().all(|s| s.guarded().is_none()) => {
                let mode = unattributed(statements);
                self.send_query_verbatim(frame, &text, statements, mode);
            }
            statements => self.send_query_as_extended(statements),
        }
        Ok(())
    }

    fn send_query_verbatim(
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
            self.note_effects(statement);
        }
        let run = self.new_run(texts, mode, Vec::new());
        self.forward(frame);
        self.ops.push(Op::Query { run });
        self.gate_unattributed(run);
    }

    /// A simple query with a guarded statement in it: sent as extended messages with one Sync, so that
    /// it stays one implicit transaction, and answered as a simple query is.
    fn send_query_as_extended(&mut self, statements: &[Arc<PlannedStatement>]) {
        for statement in statements {
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
            self.note_effects(statement);
            let name = self.own_name(text, plan.is_some());
            let run = self.new_run(vec![Arc::from(statement.text.as_ref())], mode, Vec::new());
            let parameters = plan.as_ref().map(|p| self.own_parameters(p)).unwrap_or_default();
            let bind = Bind {
                portal: String::new(),
                statement: name.clone(),
                parameter_formats: Vec::new(),
                parameters,
                result_formats: Vec::new(),
            };
            let portal = Target { kind: TargetKind::Portal, name: String::new() };
            let execute = Execute { portal: String::new(), max_rows: 0 };
            let describe_op = Op::Describe { shown: true, plan, statement: None, run: Some(run) };
            for (bytes, op) in [
                (bind.encode(), Op::Bind { hidden: true, created: None }),
                (portal.describe(), describe_op),
                (execute.encode(), Op::Execute { run }),
            ] {
                self.send(bytes, op);
            }
            self.gate_unattributed(run);
        }
        self.to_server.push(&message::sync());
        self.ops.push(Op::Sync { shown: true });
    }

    /// Sends Parse for `text` and returns the statement name to bind: the unnamed one, or from the
    /// second time on a name of ours that stays prepared.
    fn own_name(&mut self, text: &str, keep: bool) -> String {
        let key = Bytes::copy_from_slice(text.as_bytes());
        let mut name = String::new();
        if keep {
            if let Some(Some(known)) = self.own_names.seen.get(&key) {
                return known.clone();
            }
            if self.own_names.seen.contains_key(&key) {
                self.own_names.next += 1;
                name = format!("{}q{}", crate::policy::RESERVED_PREFIX, self.own_names.next);
                self.own_names.seen.insert(key, Some(name.clone()));
            } else {
                if self.own_names.seen.len() >= OWN_NAMES {
                    self.forget_own_names();
                }
                self.own_names.seen.insert(key, None);
            }
        }
        let parse = Parse { name: name.clone(), query: text.to_owned(), parameter_types: Vec::new() };
        self.send(parse.encode(), Op::Parse { hidden: true, created: None });
        name
    }

    /// Closes every statement of ours upstream.
    fn forget_own_names(&mut self) {
        for name in std::mem::take(&mut self.own_names.seen).into_values().flatten() {
            let target = Target { kind: TargetKind::Statement, name };
            self.send(target.close(), Op::Close { hidden: true });
        }
    }

    /// Puts a message on its way and its op in the queue. A message that cannot be encoded (over the
    /// protocol's limit) is replaced by one that fails, so that both sides stay in step.
    fn send(&mut self, bytes: Result<Bytes, message::MessageError>, op: Op) {
        match bytes {
            Ok(bytes) => {
                self.to_server.push(&bytes);
                self.ops.push(op);
            }
            Err(e) => {
                tracing::warn!(error = %e, "message could not be encoded");
                self.poison(super::report::refusal(&not_text(&e), None).error_response());
            }
        }
    }

    // --- extended query ---------------------------------------------------------------------------

    async fn on_parse(&mut self, frame: Frame) -> Result<(), Ended> {
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
            // PostgreSQL refuses this itself (42601), with its own words.
            _ => {
                self.forward(frame);
                self.ops.push(Op::Parse { hidden: false, created: None });
                return Ok(());
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
    fn send_parse(&mut self, name: &str, plan: &Arc<GuardedPlan>, types: &[u32], hidden: bool) {
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

    async fn on_bind(&mut self, frame: Frame) -> Result<(), Ended> {
        let bind = match Bind::decode(&frame.body_bytes()) {
            Ok(bind) => bind,
            Err(message::MessageError::NotUtf8) => {
                return self.refuse_extended("(not UTF-8)", &not_text(&message::MessageError::NotUtf8)).await;
            }
            Err(e) => return Err(e.into()),
        };
        let Some(prepared) = self.statements.prepared.get(&bind.statement).cloned() else {
            // Never forwarded: the server could know a statement of ours under that name.
            return self.unknown("26000", format!("prepared statement \"{}\" does not exist", bind.statement));
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

    async fn bind_guarded(
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
    fn own_parameters(&self, plan: &GuardedPlan) -> Vec<Option<Bytes>> {
        let mut ours = Vec::new();
        if plan.principal_param.is_some() {
            ours.push(Some(Bytes::copy_from_slice(self.principal.as_bytes())));
        }
        if plan.grants_param.is_some() {
            ours.push(Some(Bytes::from(array_literal(&self.grants.patients))));
        }
        ours
    }

    async fn on_describe(&mut self, frame: Frame) -> Result<(), Ended> {
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
                return self.unknown("26000", format!("prepared statement \"{}\" does not exist", target.name));
            }
            None => return self.unknown("34000", format!("portal \"{}\" does not exist", target.name)),
        };
        let statement = (is_statement && plan.is_some()).then(|| target.name.clone());
        self.forward(frame);
        self.ops.push(Op::Describe { shown: true, plan, statement, run: None });
        Ok(())
    }

    async fn on_execute(&mut self, frame: Frame) -> Result<(), Ended> {
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

    async fn on_close(&mut self, frame: Frame) -> Result<(), Ended> {
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

    // --- decisions --------------------------------------------------------------------------------

    /// Decides `text` in the present context, refreshing what the context is made of first. The outer
    /// error ends the session, the inner one refuses the statement.
    pub(super) async fn decide(&mut self, text: &str) -> Result<Result<Arc<Planned>, Refusal>, Ended> {
        if !self.encoding_is_understood() {
            match planner::transaction_or_setting(text) {
                Some(planned) => return Ok(Ok(Arc::new(planned))),
                None => return Ok(Err(super::report::encoding_refusal(&self.encoding, self.conforming_strings))),
            }
        }
        if let Err(refusal) = self.refresh_context().await? {
            // The namespace cannot be asked in a failed transaction; only its end is possible.
            return Ok(planner::transaction_end(text).map(Arc::new).ok_or(refusal));
        }
        let mut planned = self.plans.decide(text, &self.context);
        if planned.as_ref().is_ok_and(|p| p.unknown_relation()) && self.world.refresh_catalog().await {
            if let Err(refusal) = self.refresh_context().await? {
                return Ok(Err(refusal));
            }
            planned = self.plans.decide(text, &self.context);
        }
        Ok(planned)
    }

    /// Decides a prepared statement again when the context changed since, and prepares it anew
    /// upstream, behind the client's back, when its text is another now.
    async fn decide_again(
        &mut self,
        name: &str,
        mut prepared: Prepared,
    ) -> Result<Result<Prepared, (Arc<str>, Refusal)>, Ended> {
        if let Err(refusal) = self.refresh_context().await? {
            if self.status == Status::Failed {
                return Ok(Ok(prepared));
            }
            return Ok(Err((prepared.text, refusal)));
        }
        if prepared.context == self.context_id {
            return Ok(Ok(prepared));
        }
        let text = Arc::clone(&prepared.text);
        let planned = match self.decide(&text).await? {
            Ok(planned) => planned,
            Err(refusal) => return Ok(Err((text, refusal))),
        };
        if let Some(refusal) = planned.refusal() {
            return Ok(Err((text, refusal)));
        }
        let Some(statement) = planned.statements.first().cloned() else { return Ok(Ok(prepared)) };
        let before = prepared.guarded().map(|p| p.text.clone());
        let now = statement.guarded().map(|p| p.text.clone());
        prepared.decided = Decided::Sent(Arc::clone(&statement));
        prepared.context = self.context_id;
        if before != now {
            let target = Target { kind: TargetKind::Statement, name: name.to_owned() };
            self.send(target.close(), Op::Close { hidden: true });
            match statement.guarded() {
                Some(plan) => {
                    let plan = Arc::clone(plan);
                    prepared.layout = None;
                    self.send_parse(name, &plan, &prepared.types, true);
                }
                None => {
                    prepared.layout = None;
                    let parse = Parse {
                        name: name.to_owned(),
                        query: prepared.text.to_string(),
                        parameter_types: prepared.types.clone(),
                    };
                    self.send(parse.encode(), Op::Parse { hidden: true, created: None });
                }
            }
        }
        self.statements.prepared.insert(name.to_owned(), prepared.clone());
        Ok(Ok(prepared))
    }

    /// A run for a statement about to be sent.
    pub(super) fn new_run(&mut self, texts: Vec<Arc<str>>, mode: Mode, parameters: Vec<Option<String>>) -> u64 {
        self.next_run += 1;
        let id = self.next_run;
        let policy = &self.context.policy.policy;
        let sought = match &mode {
            Mode::Guarded(plan) => run::sought(plan, &parameters, policy.key_type),
            Mode::Verbatim | Mode::Unattributed { .. } => Vec::new(),
        };
        let run = Run::new(
            id,
            self.event_id(),
            texts,
            mode,
            parameters,
            run::Authority {
                policy_version: policy.version.clone(),
                role: self.role.name.clone(),
                grants: Arc::clone(&self.grants),
            },
            sought,
        );
        if run.uses_grants() {
            self.world.used(&self.grants);
            self.push_glass_notices();
        }
        self.runs.insert(id, run);
        id
    }

    /// An unattributed statement's record is made durable before its reply may leave.
    fn gate_unattributed(&mut self, id: u64) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        if !matches!(run.mode, Mode::Unattributed { .. }) {
            return;
        }
        let bodies = run.window_records(&self.identity);
        let mut receipt = None;
        for body in bodies {
            receipt = Some(self.world.append(body, Priority::Ordinary));
        }
        if let (Some(receipt), Some(run)) = (receipt, self.runs.get_mut(&id)) {
            run.gate = Some(receipt);
        }
    }

    /// A restricted role's `FETCH` or `EXECUTE` of something that no statement let through has made.
    fn unknown_object(&self, planned: &Planned) -> Option<Refusal> {
        planned.statements.iter().find_map(|s| self.unknown_object_of(s))
    }

    fn unknown_object_of(&self, statement: &PlannedStatement) -> Option<Refusal> {
        let needed = statement.effects.needs.as_ref()?;
        let known = match needed {
            // A cursor of SQL, opened over nothing protected, that no portal of ours hides.
            SessionObject::Cursor(name) => {
                self.sql_objects.contains_key(needed) && !self.statements.portals.contains_key(name)
            }
            // Prepared in this very context: names mean today what they meant then.
            SessionObject::Prepared(name) => {
                self.sql_objects.get(needed) == Some(&self.context_id)
                    && !self.statements.prepared.contains_key(name)
            }
        };
        (!known).then(|| {
            Refusal::new(
                GlsCode::CannotGuard,
                "this statement cannot be guarded: the cursor or prepared statement it names is not known here",
            )
            .with_hint("Send the query itself; drivers prepare statements and fetch in parts by protocol messages.")
        })
    }

    /// What a statement about to be sent does to what we know.
    fn note_effects(&mut self, statement: &PlannedStatement) {
        if statement.effects.changes_namespace {
            self.namespace = None;
            self.namespace_touched = true;
        }
        if statement.effects.ends_transaction && self.namespace_touched {
            self.namespace = None;
        }
        if let Some(made) = &statement.effects.makes {
            self.sql_objects.insert(made.clone(), self.context_id);
        }
        if statement.effects.forgets_prepared {
            self.sql_objects.clear();
            self.statements.clear();
            self.own_names.seen.clear();
        }
    }

    // --- refusals ---------------------------------------------------------------------------------

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
    fn unknown(&mut self, sqlstate: &str, message: String) -> Result<(), Ended> {
        self.poison(message::Report::error(sqlstate, message).error_response());
        self.skipping = true;
        Ok(())
    }

    /// Sends a Parse that fails, so that the server's transaction fails as it would for any error.
    fn poison(&mut self, error: Bytes) {
        if self.status == Status::Idle && self.ops.is_empty() && !self.in_pipeline {
            self.answer(error);
            return;
        }
        let parse = Parse { name: POISON_NAME.to_owned(), query: POISON.to_owned(), parameter_types: Vec::new() };
        if let Ok(bytes) = parse.encode() {
            self.to_server.push(&bytes);
            self.ops.push(Op::Poison { error });
        }
    }
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

/// A message that is not text we can read.
fn not_text(e: &message::MessageError) -> Refusal {
    Refusal { sqlstate: "22021", ..Refusal::new(GlsCode::CannotGuard, format!("the statement cannot be read: {e}")) }
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
