//! Statements on cursors and prepared statements of SQL, on their way to the server: under which name,
//! with what inside, by whose authority. What a session knows of them is in `objects`, the texts are
//! made and compared in `sql::objects`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::glass::Grants;
use crate::policy::{GlsCode, Refusal, Role};
use crate::session::names::objects::{Holds, MadeUnder, Passed};
use crate::session::names::statements::Portal;
use crate::session::peer::Stream;
use crate::session::run::Mode;
use crate::session::run::ops::Op;
use crate::session::server::outbox::RunId;
use crate::session::server::{ASSIGNMENT_UNKNOWN, POLICY_CHANGED};
use crate::session::world::World;
use crate::session::{Ended, Session, lost};
use crate::sql::cache::Form;
use crate::sql::object_names;
use crate::sql::objects::{self, Fetch, Object, Wrap};
use crate::sql::planner::PlannedStatement;
use crate::sql::{Footprint, GuardedPlan, Strategy, Verdict};
use crate::wire::message::{Bind, Execute, Parse, Report, Target, TargetKind};

/// A statement as it goes to the server.
#[derive(Debug)]
pub(in crate::session) struct Translated {
    /// The client's text with the verdict that holds for what is sent.
    pub(in crate::session) statement: Arc<PlannedStatement>,
    /// What is sent.
    pub(in crate::session) text: String,
    /// The name of its object on the server.
    pub(in crate::session) upstream: Option<String>,
    /// Values for pins and the record; `None` where they are the client's own of this Bind.
    pub(in crate::session) parameters: Option<Vec<Option<String>>>,
    /// Result formats a simple query has.
    pub(in crate::session) formats: Vec<i16>,
    /// What it was opened under, for what reads something opened before.
    pub(in crate::session) under: Option<MadeUnder>,
    /// Whom the user could see just before, for a cursor that may pass over rows.
    pub(in crate::session) reach: Option<Arc<[String]>>,
}

/// Why nothing is sent.
pub(in crate::session) struct Stop {
    /// The ErrorResponse.
    pub(in crate::session) error: Bytes,
    /// The SQLSTATE of one that is not recorded yet: PostgreSQL has it, too.
    pub(in crate::session) failed: Option<String>,
}

pub(in crate::session) type Outcome<T> = Result<Result<T, Stop>, Ended>;

/// Few enough keys to ask for one by one.
const FEW: usize = 3;

impl<C: Stream, S: Stream> Session<C, S> {
    /// True when one of these statements does not go to the server as the client wrote it, though it
    /// has no guard of its own, or when the server has to be asked first.
    pub(in crate::session) fn translates(&self, statements: &[Arc<PlannedStatement>]) -> bool {
        let ending = self.objects.unsettled().is_some();
        statements.iter().enumerate().any(|(i, statement)| {
            if ending && statement.effects.ends_transaction {
                return true;
            }
            let before = || statements.iter().take(i);
            let made = |name: &str| {
                before().any(|s| match &s.object {
                    Some(Object::Declare { name: n, .. } | Object::Prepare { name: n, .. }) => n == name,
                    _ => false,
                })
            };
            let cursor = |name: &str| match self.objects.cursors.get(name) {
                Some(c) => !matches!(c.holds, Holds::Free) || !self.present(&c.under),
                None => !made(name),
            };
            let hidden_statement = |name: &str| {
                let sql = self.objects.prepared.get(name).is_some_and(|p| p.upstream != name);
                sql || self.statements.prepared.get(name).is_some_and(|p| p.upstream != name)
            };
            if statement.effects.deallocates.as_deref().is_some_and(hidden_statement) {
                return true;
            }
            // What ran before in the same message may have moved names.
            let moved = || {
                before().any(|s| match &s.object {
                    Some(Object::Execute { name, .. } | Object::Around(name)) => {
                        self.objects.prepared.get(name).is_none_or(|p| p.moves_names)
                    }
                    Some(Object::Fetch(fetch)) => {
                        self.objects.cursors.get(&fetch.cursor).is_none_or(|c| c.moves_names)
                    }
                    Some(Object::Prepare { moves_names, .. } | Object::Declare { moves_names, .. }) => {
                        *moves_names
                    }
                    Some(Object::Close(_) | Object::CurrentOf(_)) | None => false,
                })
            };
            match &statement.object {
                None | Some(Object::Close(None)) => false,
                Some(Object::Declare { name, .. }) => self.portal_known(name) || made(name),
                Some(Object::Prepare { name, .. }) => self.statement_known(name) || made(name),
                Some(Object::Fetch(fetch)) => cursor(&fetch.cursor),
                Some(Object::Close(Some(name))) => cursor(name),
                Some(Object::CurrentOf(names)) => names.iter().any(|name| cursor(name)),
                Some(Object::Execute { name, .. } | Object::Around(name)) => {
                    match self.objects.prepared.get(name) {
                        Some(p) => !matches!(p.holds, Holds::Free) || p.context != self.context_id || moved(),
                        None => !made(name) || moved(),
                    }
                }
            }
        })
    }

    /// True when a statement stands behind one that was prepared and can change what names mean, or that nobody knows.
    pub(in crate::session) fn names_move(&self, statements: &[Arc<PlannedStatement>]) -> bool {
        statements.iter().enumerate().any(|(i, statement)| {
            let made = |name: &str| {
                let before = statements.iter().take(i);
                before
                    .filter_map(|s| match &s.object {
                        Some(Object::Prepare { name: made, moves_names }) if made == name => {
                            Some(*moves_names)
                        }
                        _ => None,
                    })
                    .reduce(|any, moves| any || moves)
            };
            statement.behind.iter().any(|name| {
                let known = self.objects.prepared.get(name).map(|p| p.moves_names);
                let known = match self.doubted(name, true).is_empty() {
                    true => known.or_else(|| self.statement_known(name).then_some(true)),
                    false => Some(true),
                };
                match (known, made(name)) {
                    (Some(one), Some(other)) => one || other,
                    (known, made) => known.or(made).unwrap_or(true),
                }
            })
        })
    }

    /// True when [`Session::translate`] has to look at it.
    pub(in crate::session) fn may_translate(&self, statement: &PlannedStatement) -> bool {
        let effects = &statement.effects;
        statement.object.is_some() || effects.deallocates.is_some() || effects.ends_transaction
    }

    /// True for a run whose rows rest on a cursor's snapshot.
    pub(in crate::session) fn reads_cursor(&self, id: RunId) -> bool {
        let plan = self.runs.get(&id).and_then(|run| run.plan());
        plan.is_some_and(|p| p.filtered && matches!(p.wrap, Wrap::Fetch(_) | Wrap::Move(_)))
    }

    /// What goes to the server in place of `statement`; `None` when that is its own text or plan.
    pub(in crate::session) async fn translate(
        &mut self,
        statement: &Arc<PlannedStatement>,
    ) -> Outcome<Option<Translated>> {
        if statement.effects.ends_transaction
            && let Some(plan) = self.objects.unsettled()
        {
            let text = statement.text.to_string();
            return Ok(Ok(Some(of_plan(statement, GuardedPlan { text, ..plan }))));
        }
        if let Some(name) = &statement.effects.deallocates {
            let ours = self.statements.prepared.get(name).map(|p| &p.upstream);
            let upstream = ours.or_else(|| self.objects.prepared.get(name).map(|p| &p.upstream));
            if let Some(upstream) = upstream.filter(|u| *u != name) {
                let text = format!("DEALLOCATE {upstream}");
                return Ok(Ok(Some(verbatim(statement, text))));
            }
        }
        let Some(object) = &statement.object else { return Ok(Ok(None)) };
        match object {
            Object::Declare { name, scroll, .. } => self.declare(statement, name, *scroll).await,
            Object::Prepare { name, .. } => {
                Ok(Ok(statement.guarded().cloned().and_then(|p| self.prepare_anew(statement, &p, name))))
            }
            Object::Fetch(fetch) => Ok(self.fetch(statement, fetch)),
            Object::Close(None) => Ok(Ok(None)),
            Object::Close(Some(name)) => Ok(self.close_cursor(statement, name)),
            Object::Execute { name, arguments } => self.execute(statement, name, arguments).await,
            Object::Around(name) => self.around(statement, name).await,
            Object::CurrentOf(names) => Ok(self.current_of(statement, names)),
        }
    }

    async fn declare(
        &mut self,
        statement: &Arc<PlannedStatement>,
        name: &str,
        scroll: bool,
    ) -> Outcome<Option<Translated>> {
        let guarded = statement.guarded().cloned();
        let Some(plan) = guarded else { return Ok(Ok(None)) };
        let Wrap::Declare(named) = &plan.wrap else { return Ok(Ok(None)) };
        // A parameter's type may be told by the client's Parse alone.
        if named.inner.client_params == 0 {
            self.ask_origin(&named.query, &[], &named.inner);
        }
        let upstream = self.objects.fresh_for('c', name);
        let text = named.text(&upstream);
        // Where rows can be passed over, the patients of those rows are told before it is opened.
        let told = named.inner.lineage.strategy == Strategy::Bound || scroll;
        let reach = match named.inner.filtered && told {
            true => self.world.reach(&self.principal, &self.role, &self.grants).await.map(Arc::from),
            false => None,
        };
        let mut translated = of_plan(statement, GuardedPlan { text, ..GuardedPlan::clone(&plan) });
        translated.parameters = None;
        translated.upstream = Some(upstream);
        translated.reach = reach;
        Ok(Ok(Some(translated)))
    }

    fn prepare_anew(
        &mut self,
        statement: &Arc<PlannedStatement>,
        plan: &Arc<GuardedPlan>,
        name: &str,
    ) -> Option<Translated> {
        let Wrap::Prepare(named) = &plan.wrap else { return None };
        let upstream = self.objects.fresh_for('p', name);
        let text = named.text(&upstream);
        let mut translated = of_plan(statement, GuardedPlan { text, ..GuardedPlan::clone(plan) });
        translated.upstream = Some(upstream);
        Some(translated)
    }

    fn fetch(
        &mut self,
        statement: &Arc<PlannedStatement>,
        fetch: &Fetch,
    ) -> Result<Option<Translated>, Stop> {
        self.refresh_rules();
        self.refresh_grants();
        let known = self.objects.cursors.get(&fetch.cursor).cloned();
        let cursor = match known {
            Some(cursor) => cursor,
            None => match self.portal_as_cursor(&fetch.cursor) {
                Some(cursor) => cursor,
                None => return self.unknown_cursor(statement, &fetch.cursor),
            },
        };
        if !self.present(&cursor.under) {
            return Err(self.stop(&statement.text, &no_longer()));
        }
        let mut effects = statement.effects.clone();
        effects.changes_namespace |= cursor.moves_names;
        let verdict = match &cursor.holds {
            Holds::Free => return Ok(None),
            Holds::Unattributed { footprint, reason } => {
                Verdict::Unattributed { footprint: footprint.clone(), reason }
            }
            Holds::Guarded(plan) => {
                let mut read = objects::fetch_plan(plan, fetch, &cursor.upstream);
                // Rows that came before are an answer too.
                read.block &= !cursor.found;
                if fetch.jumps(plan.lineage.strategy == Strategy::Bound) {
                    read.lineage.exact = false;
                    read.lineage.reasons.push(JUMP);
                }
                Verdict::Guarded(Arc::new(read))
            }
        };
        let text = match &verdict {
            Verdict::Guarded(plan) => plan.text.clone(),
            Verdict::Verbatim | Verdict::Unattributed { .. } | Verdict::Refused(_) => {
                statement.text.to_string()
            }
        };
        Ok(Some(Translated {
            statement: Arc::new(PlannedStatement { verdict, effects, ..PlannedStatement::clone(statement) }),
            text,
            upstream: None,
            parameters: Some(cursor.parameters),
            formats: if cursor.binary { vec![1] } else { Vec::new() },
            under: Some(cursor.under),
            reach: None,
        }))
    }

    /// A cursor that no statement seen here has opened.
    fn unknown_cursor(
        &mut self,
        statement: &Arc<PlannedStatement>,
        name: &str,
    ) -> Result<Option<Translated>, Stop> {
        if self.is_plain_portal(name) {
            return Ok(None);
        }
        if self.statements.portals.contains_key(name) {
            return Err(self.stop(&statement.text, &of_the_protocol()));
        }
        if self.role.is_restricted() {
            return Err(plain("34000", format!("cursor \"{name}\" does not exist")));
        }
        Ok(Some(untold(statement)))
    }

    fn close_cursor(
        &mut self,
        statement: &Arc<PlannedStatement>,
        name: &str,
    ) -> Result<Option<Translated>, Stop> {
        let portal = self.statements.portals.get(name);
        if portal.is_some_and(Portal::is_glass) {
            return Err(self.stop(&statement.text, &of_the_protocol()));
        }
        let upstream = portal.map(|p| &p.name);
        let upstream = upstream.or_else(|| self.objects.cursors.get(name).map(|c| &c.upstream));
        Ok(upstream.filter(|u| *u != name).map(|u| verbatim(statement, format!("CLOSE {u}"))))
    }

    async fn execute(
        &mut self,
        statement: &Arc<PlannedStatement>,
        name: &str,
        arguments: &[Option<String>],
    ) -> Outcome<Option<Translated>> {
        let known = match self.statement_called(name, &statement.text).await? {
            Ok(Some(known)) => known,
            Ok(None) => return Ok(self.unknown_statement(statement, name)),
            Err(stop) => return Ok(Err(stop)),
        };
        let mut effects = statement.effects.clone();
        effects.changes_namespace = known.moves_names;
        let (holds, upstream) = match known.holds.guarded() {
            // Its own text on the server may rest on the values of its parameters.
            Some(_) if self.statements.prepared.contains_key(name) => match self.twin(name, false).await? {
                Ok(Some(twin)) => twin.into_parts(),
                Ok(None) if self.skipping => return Ok(Ok(None)),
                Ok(None) => return Ok(Err(self.stop(&statement.text, &of_the_protocol()))),
                Err(stop) => return Ok(Err(stop)),
            },
            _ => (known.holds, known.upstream),
        };
        let with =
            |verdict| Arc::new(PlannedStatement { verdict, effects, ..PlannedStatement::clone(statement) });
        let plan = match &holds {
            Holds::Free => return Ok(Ok(None)),
            Holds::Unattributed { footprint, reason } => {
                let verdict = Verdict::Unattributed { footprint: footprint.clone(), reason };
                let text = if upstream == name {
                    statement.text.to_string()
                } else {
                    match object_names::with_statement(&statement.text, &upstream) {
                        Some(text) => text,
                        None => return Ok(Err(self.stop(&statement.text, &of_the_protocol()))),
                    }
                };
                return Ok(Ok(Some(Translated { statement: with(verdict), ..verbatim(statement, text) })));
            }
            Holds::Guarded(plan) => plan,
        };
        let ours: Vec<String> = self
            .own_parameters(plan)
            .iter()
            .flatten()
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect();
        // Without values of ours behind the client's the server counts right, and says so itself.
        if !ours.is_empty() && arguments.len() != usize::from(plan.client_params) {
            let report = Report::error(
                "42601",
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .detail(format!(
                "Expected {} parameters but got {}.",
                plan.client_params,
                arguments.len()
            ));
            return Ok(Err(failed(&report)));
        }
        match objects::execute_plan(plan, &statement.text, &upstream, &ours) {
            Err(refusal) => Ok(Err(self.stop(&statement.text, &refusal))),
            Ok(run) => {
                let text = run.text.clone();
                let verdict = Verdict::Guarded(Arc::new(run));
                let mut translated = verbatim(statement, text);
                translated.statement = with(verdict);
                translated.parameters = Some(arguments.to_vec());
                Ok(Ok(Some(translated)))
            }
        }
    }

    /// The context changed since `name` was prepared: decides its PREPARE again, and prepares it anew
    /// upstream, behind the client's back, when it is another statement now.
    pub(in crate::session) async fn prepare_again(&mut self, name: &str, text: &Arc<str>) -> Outcome<()> {
        let planned = match self.decide(text, Form::Prepared(&[])).await? {
            Ok(planned) => planned,
            Err(refusal) => return Ok(Err(self.stop(text, &refusal))),
        };
        if let Some(refusal) = planned.refusal() {
            return Ok(Err(self.stop(text, &refusal)));
        }
        let context = self.context_id;
        let [now] = planned.statements.as_slice() else { return Ok(Err(self.stop(text, &no_longer()))) };
        let Some(known) = self.objects.prepared.get_mut(name) else { return Ok(Ok(())) };
        let inside = now.guarded().and_then(|plan| match &plan.wrap {
            Wrap::Prepare(named) => Some(Arc::clone(&named.inner)),
            Wrap::Plain
            | Wrap::Declare(_)
            | Wrap::Fetch(_)
            | Wrap::Move(_)
            | Wrap::Execute(_)
            | Wrap::Commit => None,
        });
        let same = match (&known.holds, &now.verdict) {
            (Holds::Free, Verdict::Verbatim) => true,
            (Holds::Unattributed { .. }, Verdict::Unattributed { footprint, reason }) => {
                known.holds = Holds::Unattributed { footprint: footprint.clone(), reason };
                true
            }
            (Holds::Guarded(before), Verdict::Guarded(_)) => {
                let same = inside.as_ref().is_some_and(|inside| inside.text == before.text);
                if same && let Some(inside) = inside {
                    known.holds = Holds::Guarded(inside);
                }
                same
            }
            _ => false,
        };
        if same {
            known.context = context;
            return Ok(Ok(()));
        }
        let old = Target { kind: TargetKind::Statement, name: known.upstream.clone() };
        self.objects.prepared.remove(name);
        self.send(old.close(), Op::Close { hidden: true, undo: None });
        let (statement, sent, upstream) = match now.guarded() {
            Some(plan) => match self.prepare_anew(now, plan, name) {
                Some(t) => (t.statement, t.text, t.upstream),
                None => return Ok(Err(self.stop(text, &no_longer()))),
            },
            None => (Arc::clone(now), now.text.to_string(), None),
        };
        self.objects.note(&statement, upstream.as_deref(), &[], self.made_under(), context);
        let mode = match &statement.verdict {
            Verdict::Guarded(plan) => Mode::Guarded(Arc::clone(plan)),
            Verdict::Verbatim | Verdict::Unattributed { .. } | Verdict::Refused(_) => Mode::Verbatim,
        };
        self.run_hidden(&Arc::from(statement.text.as_ref()), &sent, mode);
        Ok(Ok(()))
    }

    /// Runs a statement of ours whose answer nobody sees unless it is an error.
    pub(in crate::session) fn run_hidden(&mut self, text: &Arc<str>, sent: &str, mode: Mode) {
        let run = self.new_run(vec![Arc::clone(text)], mode, Vec::new());
        if let Some(run) = self.runs.get_mut(&run) {
            run.hidden = true;
        }
        let name = self.objects.fresh('o');
        let parse = Parse { name: name.clone(), query: sent.to_owned(), parameter_types: Vec::new() };
        let bind = Bind {
            portal: name.clone(),
            statement: name.clone(),
            parameter_formats: Vec::new(),
            parameters: Vec::new(),
            result_formats: Vec::new(),
        };
        self.send(parse.encode(), Op::Parse { hidden: true, undo: None, subject: None });
        self.send(bind.encode(), Op::Bind { hidden: true, subject: None, portal: None });
        self.send(Execute { portal: name.clone(), max_rows: 0 }.encode(), Op::Execute { run });
        for kind in [TargetKind::Portal, TargetKind::Statement] {
            let target = Target { kind, name: name.clone() };
            self.send(target.close(), Op::Close { hidden: true, undo: None });
        }
    }

    /// What something made now is made under.
    pub(in crate::session) fn made_under(&self) -> MadeUnder {
        MadeUnder {
            policy_version: self.context.policy.policy.version.clone(),
            role: self.role.name.clone(),
            grants: Arc::clone(&self.grants),
        }
    }

    /// True while what something was made under still holds.
    pub(in crate::session) fn present(&self, under: &MadeUnder) -> bool {
        under.policy_version == self.context.policy.policy.version
            && under.role == self.role.name
            && !lost(&under.grants, &self.grants)
    }

    /// Rows of a cursor rest on the assignment of its DECLARE: before they leave, the patients they
    /// rest on must be the user's now. A run that fails this is revoked, and its rows stay back.
    pub(in crate::session) async fn hold_to_present(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else { return };
        let Some(plan) = run.plan().filter(|p| p.filtered && run.revoked.is_none()) else { return };
        let (Wrap::Fetch(upstream) | Wrap::Move(upstream)) = &plan.wrap else { return };
        let keys = run.pending_keys().clone();
        let Some(cursor) = self.objects.upstream_cursor(upstream) else { return };
        let needed = cursor.rests_on(&keys);
        let (world, grants) = (Arc::clone(&self.world), Arc::clone(&self.grants));
        let why =
            match all_visible(&world, &self.principal.clone(), &self.role.clone(), &grants, &needed).await {
                Some(true) => return,
                Some(false) => POLICY_CHANGED,
                None => ASSIGNMENT_UNKNOWN,
            };
        if let Some(run) = self.runs.get_mut(&id) {
            run.revoked = Some(why);
        }
        self.outbox.revoke(id);
    }

    /// Whom a run passed over without seeing.
    pub(in crate::session) fn passed_over(&mut self, plan: &GuardedPlan) -> Option<Passed> {
        let (Wrap::Fetch(upstream) | Wrap::Move(upstream)) = &plan.wrap else { return None };
        let jumps = plan.lineage.reasons.contains(&JUMP);
        jumps.then(|| self.objects.upstream_cursor(upstream).map_or(Passed::Anyone, |c| c.passed()))
    }

    /// A refusal, recorded, as what stops a statement.
    pub(in crate::session) fn stop(&mut self, text: &str, refusal: &Refusal) -> Stop {
        Stop { error: self.refused(text, refusal), failed: None }
    }
}

/// True when the principal may see all these patients now; `None` when that cannot be told.
async fn all_visible(
    world: &World,
    principal: &str,
    role: &Role,
    grants: &Grants,
    needed: &BTreeSet<String>,
) -> Option<bool> {
    let asked: Vec<&String> = needed.iter().filter(|k| !grants.patients.contains(*k)).collect();
    if asked.len() <= FEW {
        for key in asked {
            if !world.may_see(principal, role, key).await? {
                return Some(false);
            }
        }
        return Some(true);
    }
    let reach = world.reach(principal, role, grants).await?;
    let reach: BTreeSet<&String> = reach.iter().collect();
    Some(asked.iter().all(|key| reach.contains(*key)))
}

/// Why a record of a cursor that skipped rows is not exact.
pub(in crate::session) const JUMP: &str = "CURSOR_JUMP";

/// A statement with a plan in place of its own verdict.
fn of_plan(statement: &PlannedStatement, plan: GuardedPlan) -> Translated {
    let text = plan.text.clone();
    let verdict = Verdict::Guarded(Arc::new(plan));
    let mut translated = verbatim(statement, text);
    translated.statement = Arc::new(PlannedStatement { verdict, ..statement.clone() });
    translated
}

/// A statement that reads nothing, under another text.
pub(in crate::session) fn verbatim(statement: &PlannedStatement, text: String) -> Translated {
    Translated {
        statement: Arc::new(statement.clone()),
        text,
        upstream: None,
        parameters: Some(Vec::new()),
        formats: Vec::new(),
        under: None,
        reach: None,
    }
}

/// An unrestricted role's statement on something that was not seen to be made.
pub(in crate::session) fn untold(statement: &PlannedStatement) -> Translated {
    let verdict = Verdict::Unattributed { footprint: Footprint::default(), reason: "CURSOR" };
    let mut translated = verbatim(statement, statement.text.to_string());
    translated.statement = Arc::new(PlannedStatement { verdict, ..statement.clone() });
    translated
}

/// An error in PostgreSQL's own words.
pub(in crate::session) fn plain(sqlstate: &str, message: String) -> Stop {
    failed(&Report::error(sqlstate, message))
}

fn failed(report: &Report) -> Stop {
    Stop { error: report.error_response(), failed: Some(report.code().into_owned()) }
}

pub(in crate::session) fn of_the_protocol() -> Refusal {
    Refusal::new(
        GlsCode::CannotGuard,
        "this statement cannot be guarded: the cursor or prepared statement it names belongs to the protocol",
    )
    .with_hint("Use another name in SQL, or fetch and execute through the driver.")
}

/// What it was made under is no longer the present.
pub(in crate::session) fn no_longer() -> Refusal {
    Refusal::new(
        GlsCode::SessionEnded,
        "the role, policy, assignment or break-glass session this was opened under is no longer the present one: \
         nothing returned",
    )
    .with_hint("Close the cursor (or deallocate the statement) and make it again.")
}

/// What it meant when it was bound is not what it means now.
pub(in crate::session) fn names_moved() -> Refusal {
    Refusal::new(
        GlsCode::CannotGuard,
        "this statement cannot be guarded: names in it mean something else since it was bound",
    )
    .with_hint("Bind it again.")
}
