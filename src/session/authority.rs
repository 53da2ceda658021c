//! What a decision rests on and how it stays fresh: policy, catalog, role, break-glass grants and
//! the namespace of the session. Revocation reaches running statements from here.

use std::sync::Arc;

use super::peer::Stream;
use super::server::report;
use super::{Ended, Session, Slow, lost};
use crate::catalog::Namespace;
use crate::policy::{GlsCode, Refusal};
use crate::session::names::statements::Portal;
use crate::session::run::ops::Op;
use crate::session::server::POLICY_CHANGED;
use crate::wire::message::{self, Bind, DataRow, Execute, Parse, Status, Target, TargetKind};

/// Asks what unqualified names mean: the search path with its implicit schemas, and the session's
/// own temporary relations, and which of them are views or have rules.
const PROBE: &str = "SELECT k, n FROM (\
 SELECT 's'::pg_catalog.text AS k, u.s::pg_catalog.text AS n, u.o \
 FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS u(s, o) \
 UNION ALL SELECT CASE WHEN c.relhasrules THEN 'v' ELSE 't' END::pg_catalog.text, \
 c.relname::pg_catalog.text, '0'::pg_catalog.int8 \
 FROM pg_catalog.pg_class AS c WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()\
 UNION ALL SELECT 'y', t.typname::pg_catalog.text, '0'::pg_catalog.int8 \
 FROM pg_catalog.pg_type AS t WHERE pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) '0'::pg_catalog.oid \
 AND t.typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() \
 AND t.typelem OPERATOR(pg_catalog.=) '0'::pg_catalog.oid AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS r \
 WHERE r.oid OPERATOR(pg_catalog.=) t.typrelid AND r.relkind OPERATOR(pg_catalog.<>) 'c')\
 ) AS p ORDER BY p.o";

/// Statement and portal name of the probe.
const PROBE_NAME: &str = "__glass_probe";

impl<C: Stream, S: Stream> Session<C, S> {
    /// Brings the context up to date. The inner error refuses: the namespace cannot be asked while the
    /// transaction is failed.
    pub(super) async fn refresh_context(&mut self) -> Result<Result<(), Refusal>, Ended> {
        self.refresh_rules();
        self.refresh_grants();
        if let Some(refusal) = &self.unmet {
            return Ok(Err(refusal.clone()));
        }
        if self.namespace.is_none() {
            self.quiesce().await?;
        }
        if self.namespace.is_none() {
            // The server answers nothing before the next Sync, or nothing but that the transaction is over.
            if self.skipping || self.status == Status::Failed {
                return Ok(Err(Refusal {
                    sqlstate: "25P02",
                    ..Refusal::new(
                        GlsCode::CannotGuard,
                        "current transaction is aborted, commands ignored until end of transaction block",
                    )
                }));
            }
            self.refresh_namespace().await?;
        }
        Ok(Ok(()))
    }

    /// Policy, catalog and role as they are now.
    pub(super) fn refresh_rules(&mut self) {
        let rules = self.world.rules();
        let same = Arc::ptr_eq(&rules.policy, &self.context.policy);
        if same && !self.has_hours {
            return;
        }
        let (role, unmet) = self.world.role_at(&self.principal, self.place, jiff::Timestamp::now());
        self.unmet = unmet;
        if same && role.name == self.role.name {
            return;
        }
        self.has_hours = self.world.role_has_hours(&self.principal);
        self.context.policy = Arc::clone(&rules.policy);
        self.own_names.stale |= !Arc::ptr_eq(&self.context.catalog, &rules.catalog);
        self.context.catalog = Arc::clone(&rules.catalog);
        let (role, watched) = crate::session::run::observed::in_force(role);
        if role.is_restricted() && !self.role.is_restricted() {
            // What stands behind its temporary relations (views, triggers, defaults) was made without limits.
            self.limited_now = true;
            self.namespace = None;
        }
        self.role = role;
        self.context.role = Arc::clone(&self.role);
        self.context.watched = watched;
        let who = Arc::make_mut(&mut self.identity.who);
        who.role = self.role.name.to_string();
        who.mode = self.role.mode.recorded();
        self.context_changed();
    }

    /// Grants as they are now.
    pub(super) fn refresh_grants(&mut self) {
        if let Some(grants) = self.world.grants_if_changed(&self.grants, &self.principal, self.connection) {
            self.grants = Arc::new(grants);
        }
        let variant = self.grants.variant();
        if variant != self.context.variant {
            self.context.variant = variant;
            self.context_changed();
        }
    }

    pub(super) fn context_changed(&mut self) {
        self.context_id += 1;
        self.plans = self.world.plans_for(&self.context);
    }

    /// Asks the server for the namespace. Nothing may be outstanding, and the transaction not failed.
    pub(super) fn refresh_namespace(&mut self) -> Slow<'_> {
        Box::pin(async {
            let rows = self.ask(PROBE).await?;
            let mut namespace = Namespace::default();
            for row in rows {
                match <[Option<String>; 2]>::try_from(row) {
                    Ok([Some(kind), Some(name)]) if kind == "s" => namespace.schemas.push(name),
                    Ok([Some(kind), Some(name)]) if kind == "y" => namespace.temp_types.push(name),
                    Ok([Some(kind), Some(name)]) => {
                        if kind == "v" {
                            namespace.temp_views.push(name.clone());
                        }
                        namespace.temp_relations.push(name);
                    }
                    _ => return Err(Ended::Protocol("unexpected answer to the namespace question".into())),
                }
            }
            namespace.temp_relations.sort();
            if std::mem::take(&mut self.limited_now) {
                self.left_behind.clone_from(&namespace.temp_relations);
            }
            let still_there = self.left_behind.iter().filter(|n| namespace.temp_relations.contains(n));
            namespace.temp_views.extend(still_there.cloned());
            namespace.temp_views.sort();
            namespace.temp_views.dedup();
            if *self.context.namespace != namespace {
                self.context.namespace = Arc::new(namespace);
                self.context_changed();
            }
            self.namespace = Some(Arc::clone(&self.context.namespace));
            Ok(())
        })
    }

    /// Asks the server a question of ours. Nothing may be outstanding, and the transaction not failed. The
    /// question has names of its own: the unnamed statement and portal are the client's.
    pub(super) async fn ask(&mut self, question: &str) -> Result<Vec<Vec<Option<String>>>, Ended> {
        self.probe.clear();
        let inside = self.in_pipeline || self.ops.open_pipeline();
        let parse =
            Parse { name: PROBE_NAME.to_owned(), query: question.to_owned(), parameter_types: Vec::new() };
        let bind = Bind {
            portal: PROBE_NAME.to_owned(),
            statement: PROBE_NAME.to_owned(),
            parameter_formats: Vec::new(),
            parameters: Vec::new(),
            result_formats: Vec::new(),
        };
        let execute = Execute { portal: PROBE_NAME.to_owned(), max_rows: 0 };
        let close = |kind| Target { kind, name: PROBE_NAME.to_owned() }.close();
        for (bytes, op) in [
            (parse.encode()?, Op::Parse { hidden: true, undo: None, subject: None }),
            (bind.encode()?, Op::Bind { hidden: true, subject: None, portal: None }),
            (execute.encode()?, Op::Probe),
            (close(TargetKind::Portal)?, Op::Close { hidden: true, undo: None }),
            (close(TargetKind::Statement)?, Op::Close { hidden: true, undo: None }),
        ] {
            self.to_server.push(&bytes);
            self.ops.push(op);
        }
        if !inside {
            self.to_server.push(&message::sync());
            self.ops.push(Op::Sync { shown: false });
        }
        self.quiesce().await?;
        Ok(std::mem::take(&mut self.probe))
    }

    /// Why a portal may not be executed (or resumed) any more, if so.
    pub(super) fn authority_lost(&mut self, portal: &Portal) -> Option<Refusal> {
        self.refresh_rules();
        self.refresh_grants();
        if portal.policy_version != self.context.policy.policy.version || portal.role != self.role.name {
            return Some(Refusal::new(
                GlsCode::SessionEnded,
                "the policy changed since this statement was bound: nothing returned; run it again",
            ));
        }
        (portal.uses_grants() && lost(&portal.grants, &self.grants))
            .then(|| report::revoked(GlsCode::SessionEnded))
    }

    /// Something in the world changed: statements that run under what no longer holds are cut.
    pub(super) fn on_authority_changed(&mut self) {
        self.refresh_rules();
        self.refresh_grants();
        let version = self.context.policy.policy.version.clone();
        let mut cut = Vec::new();
        for run in self.runs.iter_mut() {
            if run.plan().is_none() || run.revoked.is_some() {
                continue;
            }
            let role_gone = run.role != self.role.name;
            let policy_gone = run.policy_version != version;
            let grant_gone = run.uses_grants() && lost(&run.grants, &self.grants);
            if role_gone || policy_gone || grant_gone {
                run.revoked = Some(POLICY_CHANGED);
                cut.push(run.id);
            }
        }
        if cut.is_empty() {
            return;
        }
        for id in cut {
            self.outbox.revoke(id);
        }
        tokio::spawn(self.world.cancel(&self.target));
    }

    /// Notices about break-glass sessions that are due.
    pub(super) fn push_glass_notices(&mut self) {
        for notice in self.world.glass_notices(&self.principal, self.connection, &mut self.notices_seen) {
            self.outbox.push(&report::notice(&notice));
        }
    }

    /// True while statements mean what the parser reads.
    pub(super) fn encoding_is_understood(&self) -> bool {
        // The server says `UNICODE` to who asked for UTF8 by that name (`check_client_encoding` of PostgreSQL).
        self.conforming_strings && matches!(self.encoding.as_str(), "UTF8" | "UNICODE" | "SQL_ASCII")
    }
}

/// A row of text columns.
pub(super) fn text_row(body: &[u8]) -> Result<Vec<Option<String>>, Ended> {
    let row = DataRow::decode(body)?;
    let mut values = Vec::new();
    for value in row.values() {
        let text = match value {
            None => None,
            Some(bytes) => Some(
                String::from_utf8(bytes.to_vec())
                    .map_err(|_| Ended::Protocol("a name in the catalog is not UTF-8".into()))?,
            ),
        };
        values.push(text);
    }
    Ok(values)
}
