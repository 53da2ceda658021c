//! Names of prepared statements, and of cursors and portals. PostgreSQL has one table of each for SQL and the
//! protocol; what has a guard stands there under a name of ours, so that both sides can only be told apart, and
//! kept from taking one name twice, here. Before a name that may be taken is given again the server is asked: a
//! belief about what it stands for decides what is recorded, and what an unguarded text may read. Not here: what
//! is sent in place of a statement (`translate`).

pub(in crate::session) mod around;
pub(in crate::session) mod objects;
pub(in crate::session) mod own_names;
pub(in crate::session) mod statements;
pub(in crate::session) mod translate;
pub(in crate::session) mod translated;

use std::sync::Arc;

use crate::session::client::extended::{portal_named, statement_named};
use crate::session::names::objects::{Cursor, Holds, Objects};
use crate::session::names::statements::{Decided, Portal, Prepared};
use crate::session::names::translate::{Outcome, Stop, names_moved, of_the_protocol, plain};
use crate::session::peer::Stream;
use crate::session::run::ops::{Op, Undo};
use crate::session::{Ended, Session};
use crate::sql::cache::Form;
use crate::sql::effects::Effects;
use crate::sql::objects::{Object, Wrap};
use crate::sql::planner::PlannedStatement;
use crate::sql::{Footprint, GuardedPlan, Verdict};
use crate::wire::message::{Parse, Status, Target, TargetKind};

/// A prepared statement as SQL may call it.
#[derive(Debug, Clone)]
pub(in crate::session) struct Standing {
    /// What it reads.
    pub(in crate::session) holds: Holds,
    /// Its name on the server.
    pub(in crate::session) upstream: String,
    /// Running it can change what unqualified names mean.
    pub(in crate::session) moves_names: bool,
}

/// What a statement that was bound runs or reads by its name: the name on the server, and whether nothing
/// protected is behind it.
pub(in crate::session) type Called = Option<(String, bool)>;

/// A protocol's statement once more on the server, for SQL: with a guard that knows no values of parameters, or
/// as the client wrote it.
#[derive(Debug, Clone)]
pub(in crate::session) struct Twin {
    /// The name on the server of what it was made of.
    of: String,
    context: u64,
    upstream: String,
    holds: Holds,
}

/// Twins a session has at a time.
const MOST_TWINS: usize = 64;

impl<C: Stream, S: Stream> Session<C, S> {
    /// True when a prepared statement of this name may exist.
    pub(in crate::session) fn statement_known(&self, name: &str) -> bool {
        self.statements.prepared.contains_key(name)
            || self.objects.prepared.contains_key(name)
            || !self.doubted(name, true).is_empty()
    }

    /// True when a portal or cursor of this name may exist.
    pub(in crate::session) fn portal_known(&self, name: &str) -> bool {
        self.statements.portals.contains_key(name)
            || self.objects.cursors.contains_key(name)
            || !self.doubted(name, false).is_empty()
    }

    /// Forgets what a statement about to be sent makes the server forget. Whether it will be run, or skipped because
    /// of an error before it, is told by its answer: until then the names are in doubt.
    pub(in crate::session) fn forget(&mut self, statement: &PlannedStatement) {
        let effects = &statement.effects;
        let closes = match &statement.object {
            Some(Object::Close(name)) => Some(name.as_deref()),
            _ => effects.closes_cursors.then_some(None),
        };
        let deallocates = match &effects.deallocates {
            Some(name) => Some(Some(name.as_str())),
            None => effects.forgets_prepared.then_some(None),
        };
        if closes.is_none() && deallocates.is_none() {
            return;
        }
        self.objects.forgetting += 1;
        let doubts = &mut self.objects.doubts;
        if let Some(which) = deallocates {
            // The unnamed statement stays.
            let this = |name: &str| which.map_or(!name.is_empty(), |w| w == name);
            let ours = self.statements.prepared.extract_if(|name, _| this(name));
            doubts.extend(ours.map(|(name, p)| Undo::Statement { name, previous: Some(Box::new(p)) }));
            let sql = self.objects.prepared.extract_if(|name, _| this(name));
            doubts.extend(sql.map(|(name, p)| Undo::Sql { name, previous: Box::new(p) }));
        }
        if let Some(which) = closes {
            let this = |name: &str| which.is_none_or(|w| w == name);
            let ours = self.statements.portals.extract_if(|name, _| this(name));
            doubts.extend(ours.map(|(name, p)| Undo::Portal { name, previous: Box::new(p) }));
            let sql = self.objects.cursors.extract_if(|name, _| this(name));
            doubts.extend(sql.map(|(name, c)| Undo::Cursor { name, previous: Box::new(c) }));
        }
        if deallocates == Some(None) {
            self.own_names.seen.clear();
            self.objects.twins.clear();
        }
    }

    /// A statement was run to its end: one that makes the server forget did.
    pub(in crate::session) fn forgotten(&mut self, tag: &str) {
        let forgets = ["DEALLOCATE", "DEALLOCATE ALL", "DISCARD ALL", "CLOSE CURSOR", "CLOSE CURSOR ALL"];
        if self.objects.forgetting > 0 && forgets.contains(&tag) {
            self.objects.forgetting -= 1;
            if self.objects.forgetting == 0 {
                self.objects.doubts.clear();
            }
        }
    }

    /// An error came before what should have been forgotten was. With more than one statement that should have made
    /// the server forget, which of them it ran is not known, and the names stay in doubt.
    pub(in crate::session) fn not_forgotten(&mut self) {
        let which = std::mem::take(&mut self.objects.forgetting);
        let doubts = std::mem::take(&mut self.objects.doubts);
        if which != 1 {
            self.objects.doubtful.extend(doubts);
            return;
        }
        for undo in doubts.into_iter().rev() {
            let name = undo.name();
            let again =
                if undo.is_statement() { self.statement_known(name) } else { self.portal_known(name) };
            if !again {
                self.take_back(undo);
            }
        }
    }

    /// Whether a prepared statement can be made under this name. Then nothing is believed of it any more.
    pub(in crate::session) async fn statement_is_free(&mut self, name: &str) -> Result<bool, Ended> {
        if name.is_empty() || !self.statement_known(name) {
            return Ok(true);
        }
        self.quiesce().await?;
        let ours = self.statements.prepared.get(name);
        if ours.is_some_and(Prepared::is_glass) {
            return Ok(false);
        }
        let ours = ours.map(|p| p.upstream.clone());
        let sql = self.objects.prepared.get(name).map(|p| p.upstream.clone());
        let names = [ours, sql].into_iter().flatten().chain(self.doubted(name, true)).collect();
        match self.server_has("pg_prepared_statements", name, names).await? {
            Some(true) => return Ok(false),
            Some(false) => {
                self.statements.prepared.remove(name);
                self.objects.prepared.remove(name);
                self.objects.doubtful.retain(|undo| !undo.is_statement() || undo.name() != name);
            }
            None => {}
        }
        Ok(true)
    }

    /// The same for a portal or cursor.
    pub(in crate::session) async fn portal_is_free(&mut self, name: &str) -> Result<bool, Ended> {
        if name.is_empty() || !self.portal_known(name) {
            return Ok(true);
        }
        self.quiesce().await?;
        let ours = self.statements.portals.get(name);
        if ours.is_some_and(Portal::is_glass) {
            return Ok(false);
        }
        let ours = ours.map(|p| p.name.clone());
        let sql = self.objects.cursors.get(name).map(|c| c.upstream.clone());
        let names = [ours, sql].into_iter().flatten().chain(self.doubted(name, false)).collect();
        match self.server_has("pg_cursors", name, names).await? {
            Some(true) => return Ok(false),
            Some(false) => {
                self.statements.portals.remove(name);
                self.objects.cursors.remove(name);
                self.objects.doubtful.retain(|undo| undo.is_statement() || undo.name() != name);
            }
            None => {}
        }
        Ok(true)
    }

    /// Names on the server that a name in doubt may have.
    fn doubted(&self, name: &str, statement: bool) -> Vec<String> {
        let this = |u: &&Undo| u.is_statement() == statement && u.name() == name;
        let Objects { doubts, doubtful, .. } = &self.objects;
        doubts.iter().chain(doubtful).filter(this).map(|undo| undo.upstream().to_owned()).collect()
    }

    /// Whether the server has one of these names in a system view. `None` inside a failed transaction, where it
    /// cannot be asked: what comes next fails there anyway. Nothing may be outstanding.
    async fn server_has(
        &mut self,
        view: &str,
        name: &str,
        others: Vec<String>,
    ) -> Result<Option<bool>, Ended> {
        if self.skipping || self.status == Status::Failed {
            return Ok(None);
        }
        let names = others.iter().map(String::as_str).chain([name]);
        let list: Vec<String> = names.map(crate::catalog::quote_literal).collect();
        let question = format!(
            "SELECT 1 FROM pg_catalog.{view} AS v WHERE v.name OPERATOR(pg_catalog.=) \
             ANY (ARRAY[{}]::pg_catalog.text[])",
            list.join(", ")
        );
        Ok(Some(!self.ask(&question).await?.is_empty()))
    }

    /// Whether the cursor or statement that this one makes has a name that is free now. The inner error is for
    /// the client.
    pub(in crate::session) async fn settle_object(&mut self, statement: &PlannedStatement) -> Outcome<()> {
        let taken = match &statement.object {
            Some(Object::Declare { name, .. }) if !self.portal_is_free(name).await? => cursor_exists(name),
            Some(Object::Prepare { name, .. }) if !self.statement_is_free(name).await? => {
                statement_exists(name)
            }
            _ => return Ok(Ok(())),
        };
        Ok(Err(taken))
    }

    /// True when the server has a portal or cursor of this name under the same name, as far as is known.
    pub(in crate::session) fn portal_on_server(&self, name: &str) -> bool {
        self.statements.portals.get(name).is_some_and(|p| p.name == name && !p.is_glass())
            || self.objects.cursors.get(name).is_some_and(|c| c.upstream == name)
    }

    /// True for one that makes what is there already, and that the server would refuse itself.
    pub(in crate::session) fn fails_on_the_server(&self, statement: &PlannedStatement) -> bool {
        let there = match &statement.object {
            Some(Object::Declare { name, .. }) => self.portal_on_server(name),
            Some(Object::Prepare { name, .. }) => {
                let ours = self.statements.prepared.get(name).map(|p| p.upstream == *name && !p.is_glass());
                ours.or_else(|| self.objects.prepared.get(name).map(|p| p.upstream == *name)) == Some(true)
            }
            _ => false,
        };
        there && statement.guarded().is_none()
    }

    /// What a statement runs or reads by its name, as it is known now.
    pub(in crate::session) fn called_by(&self, statement: &PlannedStatement) -> Called {
        let free = |verdict: &Verdict| matches!(verdict, Verdict::Verbatim);
        match statement.object.as_ref()? {
            Object::Execute { name, .. } | Object::Around(name) => {
                if let Some(prepared) = self.statements.prepared.get(name) {
                    let plain = matches!(&prepared.decided, Decided::Sent(s) if free(&s.verdict));
                    return Some((prepared.upstream.clone(), plain));
                }
                let prepared = self.objects.prepared.get(name)?;
                Some((prepared.upstream.clone(), matches!(prepared.holds, Holds::Free)))
            }
            Object::Fetch(fetch) => {
                if let Some(cursor) = self.objects.cursors.get(&fetch.cursor) {
                    return Some((cursor.upstream.clone(), matches!(cursor.holds, Holds::Free)));
                }
                let portal = self.statements.portals.get(&fetch.cursor)?;
                let plain = matches!(&portal.decided, Decided::Sent(s) if free(&s.verdict));
                Some((portal.name.clone(), plain))
            }
            Object::Declare { .. } | Object::Close(_) | Object::Prepare { .. } | Object::CurrentOf(_) => None,
        }
    }

    /// Before a portal runs whose statement looks names up only now, or runs what another name stands for: it must
    /// mean what it meant when it was bound. The inner error is for the client.
    pub(in crate::session) async fn settle_meaning(&mut self, portal: &Portal) -> Outcome<()> {
        let Decided::Sent(bound) = &portal.decided else { return Ok(Ok(())) };
        // One that ran makes nothing again: the server says so.
        if !portal.ran
            && let Err(stop) = self.settle_object(bound).await?
        {
            return Ok(Err(stop));
        }
        if self.skipping {
            return Ok(Ok(()));
        }
        let moved = |this: &mut Self| Ok(Err(this.stop(&portal.text, &names_moved())));
        if let Some(Object::Fetch(fetch)) = &bound.object {
            // The server runs no portal that reads in itself.
            if fetch.cursor == portal.name && bound.guarded().is_none() {
                return Ok(Ok(()));
            }
            return if self.called_by(bound) == portal.called { Ok(Ok(())) } else { moved(self) };
        }
        if !bound.effects.late_names {
            return Ok(Ok(()));
        }
        if self.refresh_context().await?.is_err() {
            // A failed transaction: the server runs nothing of this.
            return Ok(Ok(()));
        }
        if let Some(Object::Execute { name, .. } | Object::Around(name)) = &bound.object {
            if let Err(stop) = self.statement_called(name, &portal.text).await? {
                return Ok(Err(stop));
            }
            return if self.called_by(bound) == portal.called { Ok(Ok(())) } else { moved(self) };
        }
        if portal.context == self.context_id {
            return Ok(Ok(()));
        }
        let now = match self.decide(&portal.text, Form::Prepared(&portal.declared)).await? {
            Ok(planned) => planned,
            Err(refusal) => return Ok(Err(self.stop(&portal.text, &refusal))),
        };
        if let Some(refusal) = now.refusal() {
            return Ok(Err(self.stop(&portal.text, &refusal)));
        }
        match now.statements.as_slice() {
            [one] if means_the_same(one, bound) => Ok(Ok(())),
            _ => moved(self),
        }
    }

    /// The prepared statement that the text `caller` calls by this name, decided as names are now; `None` for one
    /// that was not seen to be made, and when an error came meanwhile.
    pub(in crate::session) async fn statement_called(
        &mut self,
        name: &str,
        caller: &str,
    ) -> Outcome<Option<Standing>> {
        if let Err(refusal) = self.refresh_context().await? {
            return Ok(Err(self.stop(caller, &refusal)));
        }
        if let Some(prepared) = self.statements.prepared.get(name).cloned() {
            let prepared = match Box::pin(self.decide_again(name, prepared)).await? {
                Ok(prepared) => prepared,
                Err((text, refusal)) => return Ok(Err(self.stop(&text, &refusal))),
            };
            return Ok(match &prepared.decided {
                Decided::Sent(statement) if statement.object.is_none() => {
                    Ok(Some(standing(&prepared, statement)))
                }
                Decided::Empty => Ok(None),
                // What it runs is another matter.
                Decided::Sent(_) if !self.role.is_restricted() && prepared.upstream == name => {
                    let holds = Holds::Unattributed { footprint: Footprint::default(), reason: "EXECUTE" };
                    Ok(Some(Standing { holds, upstream: prepared.upstream.clone(), moves_names: true }))
                }
                Decided::Sent(_) | Decided::Glass(_) => Err(self.stop(&prepared.text, &of_the_protocol())),
            });
        }
        let Some(known) = self.objects.prepared.get(name).cloned() else { return Ok(Ok(None)) };
        if known.context != self.context_id
            && let Err(stop) = self.prepare_again(name, &known.text).await?
        {
            return Ok(Err(stop));
        }
        Ok(Ok(self.objects.prepared.get(name).map(|known| Standing {
            holds: known.holds.clone(),
            upstream: known.upstream.clone(),
            moves_names: known.moves_names,
        })))
    }

    /// The statement called `name` once more on the server: as the client wrote it (`own`), or, for a statement of
    /// the protocol, with a guard that does not know the values of its parameters, as an EXECUTE wants it. `None`
    /// when it cannot be had.
    pub(in crate::session) async fn twin(&mut self, name: &str, own: bool) -> Outcome<Option<Twin>> {
        let (of, text, types) = match (self.statements.prepared.get(name), self.objects.prepared.get(name)) {
            (Some(p), _) => (p.upstream.clone(), Arc::clone(&p.text), Some(p.types.clone())),
            (None, Some(p)) => (p.upstream.clone(), Arc::clone(&p.text), None),
            (None, None) => return Ok(Ok(None)),
        };
        let key = (name.to_owned(), own);
        if let Some(known) = self.objects.twins.get(&key) {
            if known.of == of && known.context == self.context_id {
                return Ok(Ok(Some(known.clone())));
            }
            let old = Target { kind: TargetKind::Statement, name: known.upstream.clone() };
            self.objects.twins.remove(&key);
            self.send(old.close(), Op::Close { hidden: true, undo: None });
        }
        if self.objects.twins.len() >= MOST_TWINS {
            for (_, old) in std::mem::take(&mut self.objects.twins) {
                let target = Target { kind: TargetKind::Statement, name: old.upstream };
                self.send(target.close(), Op::Close { hidden: true, undo: None });
            }
        }
        let upstream = self.objects.fresh_for('o', name);
        let mut holds = Holds::Free;
        let (query, types) = match types {
            // A PREPARE, under another name.
            None => match crate::sql::object_names::with_statement(&text, &upstream) {
                Some(text) => (text, None),
                None => return Ok(Ok(None)),
            },
            Some(types) if own => (text.to_string(), Some(types)),
            Some(types) => {
                let planned =
                    match self.decide(&format!("PREPARE x AS {text}"), Form::Prepared(&types)).await? {
                        Ok(planned) => planned,
                        Err(refusal) => return Ok(Err(self.stop(&text, &refusal))),
                    };
                if let Some(refusal) = planned.refusal() {
                    return Ok(Err(self.stop(&text, &refusal)));
                }
                let [one] = planned.statements.as_slice() else { return Ok(Ok(None)) };
                let Some(made) = Holds::of(one) else { return Ok(Ok(None)) };
                let (query, most) = match &made {
                    Holds::Guarded(plan) => (plan.text.clone(), usize::from(plan.client_params)),
                    Holds::Free | Holds::Unattributed { .. } => (text.to_string(), usize::MAX),
                };
                holds = made;
                (query, Some(types.into_iter().take(most).collect()))
            }
        };
        self.quiesce().await?;
        if self.skipping {
            return Ok(Ok(None));
        }
        match types {
            Some(parameter_types) => {
                let parse = Parse { name: upstream.clone(), query, parameter_types };
                self.send(parse.encode(), Op::Parse { hidden: true, undo: None, subject: None });
            }
            None => self.run_hidden(&text, &query, crate::session::run::Mode::Verbatim),
        }
        self.quiesce().await?;
        if self.skipping {
            return Ok(Ok(None));
        }
        let twin = Twin { of, context: self.context_id, upstream, holds };
        self.objects.twins.insert(key, twin.clone());
        Ok(Ok(Some(twin)))
    }

    /// A statement that SQL prepared, for a Bind or Describe of the protocol. `None` when there is none, and when
    /// an error came meanwhile.
    pub(in crate::session) async fn sql_prepared(&mut self, name: &str) -> Outcome<Option<Prepared>> {
        if !self.objects.prepared.contains_key(name) {
            return Ok(Ok(None));
        }
        let standing = match self.statement_called(name, name).await? {
            Ok(Some(standing)) => standing,
            Ok(None) => return Ok(Ok(None)),
            Err(stop) => return Ok(Err(stop)),
        };
        let Some(known) = self.objects.prepared.get(name).cloned() else { return Ok(Ok(None)) };
        let verdict = match &standing.holds {
            Holds::Free => Verdict::Verbatim,
            Holds::Guarded(plan) => Verdict::Guarded(Arc::clone(plan)),
            Holds::Unattributed { footprint, reason } => {
                Verdict::Unattributed { footprint: footprint.clone(), reason }
            }
        };
        let mut prepared = Prepared {
            text: Arc::clone(&known.text),
            upstream: standing.upstream.clone(),
            types: Vec::new(),
            declared: Arc::default(),
            decided: Decided::Sent(Arc::new(PlannedStatement {
                text: known.text.as_ref().into(),
                verdict,
                effects: Effects { changes_namespace: standing.moves_names, ..Effects::default() },
                unknown_relation: false,
                object: None,
                behind: Vec::new(),
                given: Vec::new(),
                observed: None,
            })),
            context: self.context_id,
            layout: None,
        };
        if let Some(plan) = standing.holds.guarded() {
            self.quiesce().await?;
            if self.skipping {
                return Ok(Ok(None));
            }
            let target = Target { kind: TargetKind::Statement, name: standing.upstream };
            let op = Op::Describe { shown: false, plan: Some(Arc::clone(plan)), statement: None, run: None };
            self.described_layout = None;
            self.send(target.describe(), op);
            self.quiesce().await?;
            if self.skipping {
                return Ok(Ok(None));
            }
            prepared.types = std::mem::take(&mut self.described_types);
            prepared.layout = Some(self.described_layout.take().unwrap_or_default());
        }
        Ok(Ok(Some(prepared)))
    }

    /// 26000 or 34000.
    pub(in crate::session) fn unknown_name(&mut self, target: &Target) -> Result<(), Ended> {
        let name = &target.name;
        match target.kind {
            TargetKind::Statement => {
                let message = match name.as_str() {
                    "" => "unnamed prepared statement does not exist".to_owned(),
                    name => format!("prepared statement \"{name}\" does not exist"),
                };
                self.unknown(&statement_named(name), "26000", message)
            }
            TargetKind::Portal => {
                self.unknown(&portal_named(name), "34000", format!("portal \"{name}\" does not exist"))
            }
        }
    }

    /// True for a portal of the protocol that touches nothing protected: SQL may read on in it under its own name.
    /// One that runs something by its name, or looks names up when it is run, is none.
    pub(in crate::session) fn is_plain_portal(&self, name: &str) -> bool {
        self.statements.portals.get(name).is_some_and(|portal| match &portal.decided {
            Decided::Sent(statement) => {
                matches!(statement.verdict, Verdict::Verbatim)
                    && statement.object.is_none()
                    && !statement.effects.late_names
            }
            Decided::Empty | Decided::Glass(_) => false,
        })
    }

    /// A cursor that an SQL DECLARE opened without a guard: its portal has the same name in the protocol.
    pub(in crate::session) fn sql_cursor(&self, name: &str) -> Option<&Cursor> {
        self.objects.cursors.get(name).filter(|c| c.upstream == name && c.holds.guarded().is_none())
    }

    /// The `glass.*` statement that this one deallocates by its name in SQL, if it does: the server does not know
    /// it.
    pub(in crate::session) fn deallocates_glass(&self, statement: &PlannedStatement) -> Option<String> {
        let name = statement.effects.deallocates.as_ref()?;
        self.statements.prepared.get(name)?.is_glass().then(|| name.clone())
    }

    /// `DEALLOCATE name` of a `glass.*` statement.
    pub(in crate::session) fn deallocate_glass(&mut self, name: &str) {
        self.statements.prepared.remove(name);
        self.answer(bytes::Bytes::from_static(b"C\0\0\0\x0fDEALLOCATE\0"));
    }

    /// Closes a statement that SQL prepared, as the protocol asks; false when there is none.
    pub(in crate::session) fn close_sql_prepared(&mut self, name: &str) -> bool {
        let Some(closed) = self.objects.prepared.remove(name) else { return false };
        let target = Target { kind: TargetKind::Statement, name: closed.upstream.clone() };
        let undo = Undo::Sql { name: name.to_owned(), previous: Box::new(closed) };
        self.send(target.close(), Op::Close { hidden: false, undo: Some(undo) });
        true
    }
}

impl Twin {
    /// The guarded plan, and its name on the server.
    pub(in crate::session) fn into_parts(self) -> (Holds, String) {
        (self.holds, self.upstream)
    }
}

fn standing(prepared: &Prepared, statement: &PlannedStatement) -> Standing {
    let holds = match &statement.verdict {
        Verdict::Guarded(plan) => Holds::Guarded(Arc::clone(plan)),
        Verdict::Unattributed { footprint, reason } => {
            Holds::Unattributed { footprint: footprint.clone(), reason }
        }
        // A refused statement is not prepared.
        Verdict::Verbatim | Verdict::Refused(_) => Holds::Free,
    };
    Standing { holds, upstream: prepared.upstream.clone(), moves_names: statement.effects.changes_namespace }
}

/// True when what was decided `now` sends and records what was decided when it was `bound`.
fn means_the_same(now: &PlannedStatement, bound: &PlannedStatement) -> bool {
    fn core(plan: &GuardedPlan) -> (&str, bool) {
        match &plan.wrap {
            Wrap::Declare(named) | Wrap::Prepare(named) => (named.inner.text.as_str(), true),
            Wrap::Plain | Wrap::Fetch(_) | Wrap::Move(_) | Wrap::Execute(_) | Wrap::Commit => {
                (plan.text.as_str(), false)
            }
        }
    }
    match (&now.verdict, &bound.verdict) {
        (Verdict::Verbatim, Verdict::Verbatim) => true,
        (Verdict::Guarded(a), Verdict::Guarded(b)) => core(a) == core(b) && a.copy == b.copy,
        (a @ Verdict::Unattributed { .. }, b @ Verdict::Unattributed { .. }) => a == b,
        (Verdict::Verbatim | Verdict::Guarded(_) | Verdict::Unattributed { .. } | Verdict::Refused(_), _) => {
            false
        }
    }
}

pub(in crate::session) fn cursor_exists(name: &str) -> Stop {
    plain("42P03", format!("cursor \"{name}\" already exists"))
}

pub(in crate::session) fn statement_exists(name: &str) -> Stop {
    plain("42P05", format!("prepared statement \"{name}\" already exists"))
}
