//! Deciding a text in the session's context, again when the context changed, and what a statement
//! about to be sent does to what the session knows. The decision itself is made in `sql`.

use std::sync::Arc;

use super::peer::Stream;
use super::{Ended, Session};
use crate::ledger::Priority;
use crate::policy::{GlsCode, Refusal};
use crate::session::names::statements::{Decided, Prepared};
use crate::session::run::observed::Watch;
use crate::session::run::ops::{Op, Undo};
use crate::session::run::{self, Mode, Run};
use crate::sql::cache::Form;
use crate::sql::objects::Object;
use crate::sql::planner::{self, Context, Planned, PlannedStatement};
use crate::sql::resolve;
use crate::sql::{is_oid_type, oid_parameter};
use crate::wire::message::{Parse, Status, Target, TargetKind};

impl<C: Stream, S: Stream> Session<C, S> {
    /// Decides `text` in the present context, refreshing what the context is made of first. The outer
    /// error ends the session, the inner one refuses the statement.
    pub(super) async fn decide(
        &mut self,
        text: &str,
        form: Form<'_>,
    ) -> Result<Result<Arc<Planned>, Refusal>, Ended> {
        if !self.encoding_is_understood() {
            match planner::transaction_or_setting(text) {
                Some(planned) => return Ok(Ok(Arc::new(planned))),
                None => {
                    return Ok(Err(crate::session::server::report::encoding_refusal(
                        &self.encoding,
                        self.conforming_strings,
                    )));
                }
            }
        }
        if self.is_dumping(text)
            && let Some(planned) = planner::transaction_or_setting(text)
        {
            return Ok(Ok(Arc::new(planned)));
        }
        if let Err(refusal) = self.refresh_context().await? {
            // The namespace cannot be asked in a failed transaction; only its end is possible. The server reads a
            // text before it looks whether it may run.
            let refusal = || planner::syntax_error(text).unwrap_or(refusal);
            return Ok(planner::transaction_end(text).map(Arc::new).ok_or_else(refusal));
        }
        let mut planned = self.decide_here(text, form).await;
        if planned.as_ref().is_ok_and(|p| p.unknown_relation())
            && Box::pin(self.world.refresh_catalog()).await
        {
            if let Err(refusal) = self.refresh_context().await? {
                return Ok(Err(refusal));
            }
            planned = self.decide_here(text, form).await;
        }
        match planned {
            Ok(planned) if self.catalog_moved && !self.role.is_restricted() => {
                Box::pin(self.decide_behind_ddl(text, form, planned)).await
            }
            planned => Ok(planned),
        }
    }

    /// A statement behind DDL of this session: the snapshot of the catalog is taken anew before it reads. Inside a
    /// transaction nobody else can see what was made, and what reads is recorded as touching anything.
    async fn decide_behind_ddl(
        &mut self,
        text: &str,
        form: Form<'_>,
        planned: Arc<Planned>,
    ) -> Result<Result<Arc<Planned>, Refusal>, Ended> {
        if !planned.statements.iter().any(|s| s.effects.reads_rows) {
            return Ok(Ok(planned));
        }
        let over = self.status == Status::Idle && self.ops.is_empty() && !self.in_pipeline;
        if !over || !self.world.catalog_is_current().await {
            return Ok(Ok(Arc::new(planner::beyond_the_catalog(&planned))));
        }
        self.catalog_moved = false;
        // What was decided meanwhile is decided again.
        self.context_changed();
        if let Err(refusal) = self.refresh_context().await? {
            return Ok(Err(refusal));
        }
        Ok(self.decide_here(text, form).await)
    }

    /// Why values of these types may not be bound.
    pub(super) fn parameter_refusal(&self, types: &[u32], planned: &Planned) -> Option<Refusal> {
        let Context { role, policy, catalog, namespace, .. } = &self.context;
        // What they stand beside may be converted to them, row by row, and not fit.
        let guarded = planned.statements.iter().any(|s| s.guarded().is_some());
        if role.is_restricted() && guarded && types.iter().any(|t| is_oid_type(*t)) {
            return Some(oid_parameter());
        }
        resolve::parameter_refusal(types, &resolve::Context { role, bound: policy, catalog, namespace })
    }

    /// True for the one setting of pg_dump that nobody else has an honest use for. It asks for no
    /// silent gaps: PostgreSQL then fails what it would filter, so it opens nothing. Others are refused
    /// because only who looks for a way around sets it; that is a sign, not a guard.
    fn is_dumping(&self, text: &str) -> bool {
        text == "SET row_security = off" && self.identity.from.application_name.as_deref() == Some("pg_dump")
    }

    /// Decides in the present context. A long text can take seconds: it is decided where it keeps no
    /// other session waiting.
    async fn decide_here(&mut self, text: &str, form: Form<'_>) -> Result<Arc<Planned>, Refusal> {
        const LONG: usize = 4 * 1024;
        if text.len() <= LONG {
            return self.plans.decide(text, &self.context, form);
        }
        if let Some(known) = self.plans.kept(text, &self.context, form) {
            return Ok(known);
        }
        let (plans, context, text) = (Arc::clone(&self.plans), self.context.clone(), text.to_owned());
        let types = match form {
            Form::Prepared(types) => Some(types.to_owned()),
            Form::Simple => None,
        };
        let decide =
            move || plans.decide(&text, &context, types.as_deref().map_or(Form::Simple, Form::Prepared));
        let decided = tokio::task::spawn_blocking(decide).await;
        // The runtime ends, or the decision panicked: either way nothing was understood.
        decided
            .unwrap_or_else(|_| Err(Refusal::new(GlsCode::CannotGuard, "the statement could not be decided")))
    }

    /// Decides a prepared statement again when the context changed since, and prepares it anew
    /// upstream, behind the client's back, when its text is another now.
    pub(super) async fn decide_again(
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
        let planned = match Box::pin(self.decide(&text, Form::Prepared(&prepared.types))).await? {
            Ok(planned) => planned,
            Err(refusal) => return Ok(Err((text, refusal))),
        };
        if let Some(refusal) = planned.refusal().or_else(|| self.parameter_refusal(&prepared.types, &planned))
        {
            return Ok(Err((text, refusal)));
        }
        let Some(statement) = planned.statements.first().cloned() else { return Ok(Ok(prepared)) };
        let before = prepared.guarded().map(|p| p.text.clone());
        let now = statement.guarded().map(|p| p.text.clone());
        prepared.decided = Decided::Sent(Arc::clone(&statement));
        prepared.context = self.context_id;
        prepared.declared = prepared.types.as_slice().into();
        if before != now {
            if !name.is_empty() {
                let target = Target { kind: TargetKind::Statement, name: prepared.upstream.clone() };
                self.send(target.close(), Op::Close { hidden: true, undo: None });
            }
            prepared.layout = None;
            // Should the new Parse fail, the server knows the statement under no name.
            let undo = Undo::Statement { name: name.to_owned(), previous: None };
            match statement.guarded() {
                Some(plan) => {
                    let plan = Arc::clone(plan);
                    prepared.upstream = self.upstream_name(name);
                    self.send_parse(&prepared, &plan, true, undo);
                }
                None => {
                    name.clone_into(&mut prepared.upstream);
                    let parse = Parse {
                        name: name.to_owned(),
                        query: prepared.text.to_string(),
                        parameter_types: prepared.types.clone(),
                    };
                    self.send(parse.encode(), Op::Parse { hidden: true, undo: Some(undo), subject: None });
                }
            }
        }
        self.statements.prepared.insert(name.to_owned(), prepared.clone());
        Ok(Ok(prepared))
    }

    /// A run for a statement about to be sent.
    pub(super) fn new_run(
        &mut self,
        texts: Vec<Arc<str>>,
        mode: Mode,
        parameters: Vec<Option<String>>,
    ) -> u64 {
        self.next_run += 1;
        let id = self.next_run;
        let policy = &self.context.policy.policy;
        let sought = match &mode {
            Mode::Guarded(plan) => run::sought(plan, &parameters, policy.key_type),
            Mode::Verbatim | Mode::Unattributed { .. } => Vec::new(),
        };
        let aims = match &mode {
            Mode::Guarded(plan) => run::aims(plan, &parameters, policy.key_type),
            Mode::Verbatim | Mode::Unattributed { .. } => Vec::new(),
        };
        let passed = match &mode {
            Mode::Guarded(plan) => self.passed_over(plan),
            Mode::Verbatim | Mode::Unattributed { .. } => None,
        };
        let policy = &self.context.policy.policy;
        let mut run = Box::new(Run::new(
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
        ));
        run.passed = passed;
        run.aims = aims;
        if let Some(observed) = run.plan().and_then(|plan| plan.observed.clone()) {
            run.watch = Some(Box::new(Watch::new(self.role.mode, vec![Some(observed)])));
        }
        if run.rests_on_grants() {
            self.world.used(&self.grants);
            self.push_glass_notices();
        }
        self.runs.insert(run);
        id
    }

    /// Records a statement that was just put on its way, where its end alone would not do.
    ///
    /// An unattributed one is recorded before it runs; whom it may have read, before its reply leaves, which may be that
    /// it read nothing. A write that can be kept before its reply has come is recorded now too: should the proxy end in
    /// between, nothing else would tell of it. In a transaction block it is rolled back then, unless what ends the
    /// block was sent as well.
    pub(super) fn announce(&mut self, id: u64) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        if matches!(run.mode, Mode::Unattributed { .. }) {
            let body = run.announce(&self.identity);
            self.world.note(body, Priority::Ordinary);
        }
        let ends_block = run.plan().is_none();
        let in_block = self.status == Status::InTransaction && !self.block_over;
        if !ends_block && in_block && self.runs.iter_mut().all(|run| run.plan().is_some()) {
            return;
        }
        for run in self.runs.iter_mut() {
            if let Some(body) = run.announce_write(&self.identity) {
                // It has to be on its way to the disk before the statement is to the server; nothing waits for it.
                drop(self.world.append(body, Priority::Ordinary));
            }
        }
    }

    /// Before a statement that makes the server forget names: whether it will run depends on what was sent
    /// before it. False when it is skipped, because of an error that came meanwhile.
    pub(super) async fn settle_names(&mut self, statement: &PlannedStatement) -> Result<bool, Ended> {
        let effects = &statement.effects;
        let closes = matches!(statement.object, Some(Object::Close(_)));
        if (effects.forgets_prepared || effects.deallocates.is_some() || closes) && !self.ops.is_empty() {
            self.quiesce().await?;
        }
        Ok(!self.skipping)
    }

    /// What a statement about to be sent does to what we know.
    pub(super) fn note_effects(
        &mut self,
        statement: &PlannedStatement,
        upstream: Option<&str>,
        parameters: &[Option<String>],
    ) {
        if statement.effects.changes_namespace {
            self.namespace = None;
            self.namespace_touched = true;
        }
        self.transaction_moves |= statement.effects.ends_transaction;
        if statement.effects.ends_transaction && self.namespace_touched {
            self.namespace = None;
        }
        if statement.effects.changes_catalog && !self.catalog_moved {
            self.catalog_moved = true;
            self.context_changed();
        }
        // In a failed transaction nothing of this happens.
        if self.status == Status::Failed {
            return;
        }
        self.forget(statement);
        if statement.object.is_some() {
            let (under, context) = (self.made_under(), self.context_id);
            self.objects.note(statement, upstream, parameters, under, context);
        }
    }
}
