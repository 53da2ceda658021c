//! Statements around what has a name on the server that the client does not know: EXPLAIN and CREATE TABLE AS of an
//! EXECUTE, and changes of rows that a cursor stands on. Not here: EXECUTE and FETCH themselves (`translate`).

use std::sync::Arc;

use crate::policy::{GlsCode, Refusal};
use crate::session::Session;
use crate::session::names::objects::Holds;
use crate::session::names::translate::{Outcome, Stop, Translated, plain, untold, verbatim};
use crate::session::peer::Stream;
use crate::sql::planner::PlannedStatement;
use crate::sql::{Verdict, object_names};

impl<C: Stream, S: Stream> Session<C, S> {
    /// EXECUTE of, or around, a statement that was not seen to be prepared.
    pub(in crate::session) fn unknown_statement(
        &mut self,
        statement: &Arc<PlannedStatement>,
        name: &str,
    ) -> Result<Option<Translated>, Stop> {
        if self.skipping || matches!(self.statements.prepared.get(name), Some(p) if !p.is_glass()) {
            return Ok(None);
        }
        if self.role.is_restricted() {
            return Err(plain("26000", format!("prepared statement \"{name}\" does not exist")));
        }
        Ok(Some(untold(statement)))
    }

    /// EXPLAIN or CREATE TABLE AS of an EXECUTE. What it says or makes is the client's own text's, which the server
    /// knows under another name then: for roles that see everyone.
    pub(in crate::session) async fn around(
        &mut self,
        statement: &Arc<PlannedStatement>,
        name: &str,
    ) -> Outcome<Option<Translated>> {
        let known = match self.statement_called(name, &statement.text).await? {
            Ok(Some(known)) => known,
            Ok(None) => return Ok(self.unknown_statement(statement, name)),
            Err(stop) => return Ok(Err(stop)),
        };
        let (footprint, reason) = match &known.holds {
            Holds::Free => return Ok(Ok(None)),
            Holds::Unattributed { footprint, reason } => (footprint.clone(), *reason),
            Holds::Guarded(plan) => (plan.footprint.clone(), "EXECUTE"),
        };
        if self.role.is_restricted() {
            return Ok(Err(self.stop(&statement.text, &around_protected())));
        }
        let text = if known.upstream == name {
            statement.text.to_string()
        } else {
            let twin = match self.twin(name, true).await? {
                Ok(twin) => twin,
                Err(stop) => return Ok(Err(stop)),
            };
            if self.skipping {
                return Ok(Ok(None));
            }
            let upstream = twin.map(|twin| twin.into_parts().1);
            match upstream.and_then(|u| object_names::with_statement(&statement.text, &u)) {
                Some(text) => text,
                None => return Ok(Err(self.stop(&statement.text, &around_protected()))),
            }
        };
        let verdict = Verdict::Unattributed { footprint, reason };
        let mut translated = verbatim(statement, text);
        let observed = self.spared(around_protected());
        translated.statement =
            Arc::new(PlannedStatement { verdict, observed, ..PlannedStatement::clone(statement) });
        Ok(Ok(Some(translated)))
    }

    /// A change of rows that cursors stand on, which the server knows by other names.
    pub(in crate::session) fn current_of(
        &mut self,
        statement: &Arc<PlannedStatement>,
        names: &[String],
    ) -> Result<Option<Translated>, Stop> {
        let upstream = |name: &str| {
            let portal = self.statements.portals.get(name).map(|p| &p.name);
            let known = portal.or_else(|| self.objects.cursors.get(name).map(|c| &c.upstream));
            known.filter(|u| *u != name).cloned()
        };
        if !names.iter().any(|name| upstream(name).is_some()) {
            return Ok(None);
        }
        let made = object_names::with_cursors(&statement.text, upstream);
        match made.filter(|_| !self.role.is_restricted()) {
            Some(text) => {
                let observed = self.spared(on_guarded_cursor());
                let statement = PlannedStatement { observed, ..PlannedStatement::clone(statement) };
                Ok(Some(Translated { parameters: None, ..verbatim(&statement, text) }))
            }
            None => Err(self.stop(&statement.text, &on_guarded_cursor())),
        }
    }
}

fn around_protected() -> Refusal {
    Refusal::new(
        GlsCode::CannotGuard,
        "this statement cannot be guarded: EXPLAIN or CREATE TABLE AS of a prepared statement on protected tables",
    )
    .with_hint("Roles that see all patients may run it.")
}

fn on_guarded_cursor() -> Refusal {
    Refusal::new(
        GlsCode::CannotGuard,
        "this statement cannot be guarded: WHERE CURRENT OF a cursor over protected tables",
    )
    .with_hint("Name the row by its primary key.")
}
