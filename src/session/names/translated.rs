//! Translated statements in the extended protocol: Bind and Describe of FETCH and EXECUTE, and SQL
//! cursors called as portals. What is sent in place of what is decided in `translate`.

use std::sync::Arc;

use crate::session::client::extended::{parameters_of, statement_named};
use crate::session::names::objects::{Cursor, Holds, Passed};
use crate::session::names::statements::{Decided, Prepared};
use crate::session::names::translate::{Translated, no_longer};
use crate::session::peer::Stream;
use crate::session::run::Mode;
use crate::session::run::ops::Op;
use crate::session::server::outbox::RunId;
use crate::session::{Ended, Session};
use crate::sql::objects::{self, Fetch, Object, Wrap};
use crate::sql::{GuardedPlan, Strategy};
use crate::wire::frame::Frame;
use crate::wire::message::{Bind, Execute, Parse, Target, TargetKind};

impl<C: Stream, S: Stream> Session<C, S> {
    /// Sends a client's Bind of a statement that goes to the server as another.
    pub(in crate::session) async fn bind_translated(
        &mut self,
        mut bind: Bind,
        prepared: &Prepared,
        translated: Translated,
    ) -> Result<(), Ended> {
        let mut crafted = prepared.clone();
        crafted.upstream = self.objects.fresh_for('o', &bind.statement);
        crafted.decided = Decided::Sent(Arc::clone(&translated.statement));
        crafted.layout = None;
        if matches!(translated.statement.object, Some(Object::Declare { .. })) {
            crafted.layout = Some(Arc::default());
            // What binary parameters say is known once the server told their types.
            let undeclared = prepared.types.len() < bind.parameters.len() || prepared.types.contains(&0);
            if undeclared && bind.parameter_formats.contains(&1) {
                self.quiesce().await?;
                if self.skipping {
                    return Ok(());
                }
                if let Some(told) = self.statements.prepared.get(&bind.statement) {
                    crafted.types.clone_from(&told.types);
                }
            }
        }
        let plan = translated.statement.guarded().cloned();
        let parameter_types = match &plan {
            Some(plan) => crafted.types.iter().copied().take(usize::from(plan.client_params)).collect(),
            None => crafted.types.clone(),
        };
        let parse = Parse { name: crafted.upstream.clone(), query: translated.text, parameter_types };
        self.send(parse.encode(), Op::Parse { hidden: true, undo: None, subject: None });
        let name = Target { kind: TargetKind::Statement, name: crafted.upstream.clone() };
        let portal = bind.portal.clone();
        match plan {
            None => {
                if self.portal_name_taken(&bind.portal).await? {
                    return Ok(());
                }
                let parameters = parameters_of(&bind, &crafted.types);
                bind.portal = self.insert_portal(&bind, &crafted, None, parameters);
                bind.statement.clone_from(&crafted.upstream);
                self.send(
                    bind.encode(),
                    Op::Bind { hidden: false, subject: None, portal: Some(portal.clone()) },
                );
            }
            Some(plan) => {
                if bind.result_formats.len() > 1 && crafted.layout.is_none() {
                    // One code a column: they have to be known first.
                    let op = Op::Describe {
                        shown: false,
                        plan: Some(Arc::clone(&plan)),
                        statement: None,
                        run: None,
                    };
                    self.send(name.describe(), op);
                    self.described_layout = None;
                    self.quiesce().await?;
                    if self.skipping {
                        return Ok(());
                    }
                    crafted.layout = Some(self.described_layout.take().unwrap_or_default());
                }
                self.bind_guarded(bind, crafted, &plan).await?;
                if self.skipping {
                    return Ok(());
                }
                // Its rows' columns, known before they come.
                let named = self.statements.portals.get(&portal).map(|p| p.name.clone());
                let target = Target { kind: TargetKind::Portal, name: named.unwrap_or_default() };
                let op = Op::Describe { shown: false, plan: Some(plan), statement: None, run: None };
                self.send(target.describe(), op);
            }
        }
        if let Some(bound) = self.statements.portals.get_mut(&portal) {
            bound.upstream = translated.upstream;
            bound.reach = translated.reach;
            if let Some(parameters) = translated.parameters {
                bound.parameters = parameters;
            }
            if let Some(under) = translated.under {
                bound.policy_version = under.policy_version;
                bound.role = under.role;
                bound.grants = under.grants;
            }
        }
        self.send(name.close(), Op::Close { hidden: true, undo: None });
        Ok(())
    }

    /// What a translated statement about to be sent tells beyond its text.
    pub(in crate::session) fn note_translated(&mut self, translated: &Translated, run: RunId) {
        if let Some(upstream) = &translated.upstream
            && let Some(cursor) = self.objects.upstream_cursor(upstream)
        {
            cursor.reach.clone_from(&translated.reach);
        }
        if let (Some(under), Some(run)) = (&translated.under, self.runs.get_mut(&run)) {
            run.grants = Arc::clone(&under.grants);
        }
    }

    /// The plan and name on the server of a guarded SQL cursor that the client calls by protocol.
    pub(in crate::session) fn cursor_portal(&self, name: &str) -> Option<(Arc<GuardedPlan>, String)> {
        let cursor = self.objects.cursors.get(name)?;
        let plan = cursor.holds.guarded()?;
        let all = Fetch {
            cursor: name.to_owned(),
            direction: objects::Direction::Forward,
            count: i64::MAX,
            moves: false,
        };
        Some((Arc::new(objects::fetch_plan(plan, &all, &cursor.upstream)), cursor.upstream.clone()))
    }

    /// Describes what goes to the server as another statement: a guarded SQL cursor as a portal, or
    /// FETCH and EXECUTE of guarded ones. False when the client's message is the right one.
    pub(in crate::session) async fn describe_object(&mut self, target: &Target) -> Result<bool, Ended> {
        if target.kind == TargetKind::Portal {
            if self.statements.portals.contains_key(&target.name) {
                return Ok(false);
            }
            let Some((plan, upstream)) = self.cursor_portal(&target.name) else { return Ok(false) };
            let op = Op::Describe { shown: true, plan: Some(plan), statement: None, run: None };
            self.send(Target { kind: TargetKind::Portal, name: upstream }.describe(), op);
            return Ok(true);
        }
        let Some(prepared) = self.statements.prepared.get(&target.name) else {
            return self.describe_sql_prepared(&target.name).await;
        };
        let Decided::Sent(statement) = &prepared.decided else { return Ok(false) };
        let reads = matches!(&statement.object, Some(Object::Fetch(_) | Object::Execute { .. }));
        if !reads || !self.translates(std::slice::from_ref(statement)) {
            return Ok(false);
        }
        let (statement, types) = (Arc::clone(statement), prepared.types.clone());
        // Not known, or no longer: the Execute will say so.
        let Ok(Some(translated)) = self.translate(&statement).await? else { return Ok(false) };
        let Some(plan) = translated.statement.guarded().cloned() else { return Ok(false) };
        if self.skipping {
            return Ok(true);
        }
        let name = self.objects.fresh('o');
        let parse = Parse { name: name.clone(), query: translated.text, parameter_types: types };
        self.send(parse.encode(), Op::Parse { hidden: true, undo: None, subject: None });
        let own = Target { kind: TargetKind::Statement, name };
        let op = Op::Describe { shown: true, plan: Some(plan), statement: None, run: None };
        self.send(own.describe(), op);
        self.send(own.close(), Op::Close { hidden: true, undo: None });
        Ok(true)
    }

    /// Describes a statement that SQL prepared. False when there is none.
    async fn describe_sql_prepared(&mut self, name: &str) -> Result<bool, Ended> {
        let prepared = match self.sql_prepared(name).await? {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return Ok(self.skipping),
            Err(stop) => {
                self.stopped(&statement_named(name), stop)?;
                return Ok(true);
            }
        };
        let op = Op::Describe { shown: true, plan: prepared.guarded().cloned(), statement: None, run: None };
        self.send(Target { kind: TargetKind::Statement, name: prepared.upstream }.describe(), op);
        Ok(true)
    }

    /// A portal of the protocol that SQL reads on in, as a cursor: noted, so that what was read is known.
    pub(in crate::session) fn portal_as_cursor(&mut self, name: &str) -> Option<Cursor> {
        let cursor = Cursor::of_portal(self.statements.portals.get(name)?)?;
        self.objects.cursors.insert(name.to_owned(), cursor.clone());
        Some(cursor)
    }

    /// A portal stopped at the client's row limit. A write or a FETCH ran to its end before its first row (pquery.c,
    /// `PortalRun`): there are rows that the client did not fetch and may never fetch, whose patients are told now.
    pub(in crate::session) async fn note_unread_rows(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else { return };
        let Some(plan) = run.plan().filter(|p| p.lineage.strategy != Strategy::Pinned) else { return };
        if !run.writes() && !matches!(plan.wrap, Wrap::Fetch(_)) {
            return;
        }
        let reach = match plan.filtered {
            true => self.world.reach(&self.principal, &self.role, &Arc::clone(&run.grants)).await,
            false => None,
        };
        if let Some(run) = self.runs.get_mut(&id) {
            run.passed = Some(Passed::of(reach));
        }
    }

    /// Execute of an SQL cursor without a guard, by its name as a portal.
    pub(in crate::session) async fn execute_sql_cursor(
        &mut self,
        frame: Frame,
        name: &str,
        cursor: Cursor,
    ) -> Result<(), Ended> {
        let text: Arc<str> = format!("(cursor {name})").into();
        let mode = match cursor.holds {
            Holds::Unattributed { footprint, reason } => Mode::Unattributed { footprint, reason },
            Holds::Free | Holds::Guarded(_) => Mode::Verbatim,
        };
        if !matches!(mode, Mode::Verbatim) {
            self.refresh_rules();
            self.refresh_grants();
            if !self.present(&cursor.under) {
                return self.refuse_extended(&text, &no_longer()).await;
            }
            if let Err(error) = self.world.ledger_healthy() {
                return self
                    .refuse_extended(&text, &crate::session::server::report::ledger_refusal(&error))
                    .await;
            }
        }
        let run = self.new_run(vec![text], mode, cursor.parameters);
        self.forward(frame);
        self.in_pipeline = true;
        self.exchange_runs += 1;
        self.ops.push(Op::Execute { run });
        self.announce(run);
        Ok(())
    }

    /// Execute of a guarded SQL cursor by its name as a portal.
    pub(in crate::session) async fn execute_cursor(
        &mut self,
        execute: &Execute,
        plan: Arc<GuardedPlan>,
        upstream: String,
    ) -> Result<(), Ended> {
        let text: Arc<str> = format!("(cursor {})", execute.portal).into();
        let known = self.objects.cursors.get(&execute.portal);
        let (under, parameters) = match known {
            Some(cursor) => (cursor.under.clone(), cursor.parameters.clone()),
            None => {
                let name = execute.portal.clone();
                return self.unknown_name(&Target { kind: TargetKind::Portal, name });
            }
        };
        self.refresh_rules();
        self.refresh_grants();
        if !self.present(&under) {
            return self.refuse_extended(&text, &no_longer()).await;
        }
        if let Err(error) = self.world.ledger_healthy() {
            return self
                .refuse_extended(&text, &crate::session::server::report::ledger_refusal(&error))
                .await;
        }
        let target = Target { kind: TargetKind::Portal, name: upstream.clone() };
        let op = Op::Describe { shown: false, plan: Some(Arc::clone(&plan)), statement: None, run: None };
        self.exchange_blocks |= plan.block;
        let run = self.new_run(vec![text], Mode::Guarded(plan), parameters);
        if let Some(run) = self.runs.get_mut(&run) {
            run.grants = under.grants;
        }
        self.send(target.describe(), op);
        let execute = Execute { portal: upstream, max_rows: execute.max_rows };
        self.send(execute.encode(), Op::Execute { run });
        self.in_pipeline = true;
        self.exchange_runs += 1;
        Ok(())
    }
}
