//! Verdicts on COPY between the client and protected relations, and on catalog queries that are let
//! through with a column withheld: statements whose plan is made of another one's. The plan of the
//! query itself is made in `planner`.

use std::sync::Arc;

use super::{Context, Decider};
use crate::catalog::QualifiedName;
use crate::policy::Refusal;
use crate::sql::copy::{self, CopyPlan};
use crate::sql::objects::Wrap;
use crate::sql::plan::TrustedPins;
use crate::sql::resolve::{self, Decision};
use crate::sql::{Footprint, GuardedPlan, Lineage, StatementKind, Strategy, Verdict, cannot_guard};

impl Decider<'_> {
    /// A catalog query with its closed columns read as NULL, when that is all that was wrong with it.
    pub(super) fn redacted(&self) -> Option<Verdict> {
        let Context { role, policy, catalog, namespace, .. } = self.context;
        let context = resolve::Context { role, bound: policy, catalog, namespace };
        let query = crate::sql::redact::redacted(self.statement, catalog, namespace)?;
        if resolve::decide(&query, &context) != Decision::Verbatim {
            return None;
        }
        Some(Verdict::Guarded(Arc::new(GuardedPlan {
            text: query.text,
            kind: StatementKind::Select,
            client_params: self.statement.max_param,
            principal_param: None,
            grants_param: None,
            opened_param: None,
            lineage: Lineage { strategy: Strategy::Pinned, exact: true, reasons: Vec::new() },
            pins: Vec::new(),
            aims: Vec::new(),
            rows_show_pins: false,
            block: false,
            filtered: false,
            closed: false,
            reads_others: false,
            rows_are_witnesses: false,
            has_marker: false,
            footprint: Footprint::default(),
            copy: None,
            origin: Arc::default(),
            wrap: Wrap::Plain,
            observed: None,
        })))
    }

    /// COPY between the client and protected relations. An unrestricted role's that cannot be read goes
    /// through, unattributed.
    pub(super) fn copy(&self, relations: &[QualifiedName], unknown_relation: &mut bool) -> Verdict {
        let plan = if self.statement.root.flag("is_from") {
            self.copy_in()
        } else {
            self.copy_out(unknown_relation)
        };
        match plan {
            Ok(plan) => Verdict::Guarded(Arc::new(plan)),
            Err(refusal) if self.context.role.is_restricted() => Verdict::Refused(refusal),
            Err(refusal) => {
                tracing::debug!(%refusal, "patients of a COPY cannot be told");
                let footprint = self.footprint(relations.iter().map(ToString::to_string));
                Verdict::Unattributed { footprint, reason: "COPY" }
            }
        }
    }

    /// The query inside is decided, planned and checked like any other.
    fn copy_out(&self, unknown_relation: &mut bool) -> Result<GuardedPlan, Refusal> {
        let Context { role, policy, catalog, namespace, .. } = self.context;
        let context = resolve::Context { role, bound: policy, catalog, namespace };
        let query = copy::inner_query(self.statement, &context)?;
        let mut decision = resolve::decide(&query, &context);
        if let Decision::UnknownRelation { otherwise, .. } = decision {
            *unknown_relation = true;
            decision = *otherwise;
        }
        let (kind, occurrences) = match decision {
            Decision::NeedsGuard { kind, occurrences } => (kind, occurrences),
            Decision::Refused(refusal) => return Err(refusal),
            Decision::Verbatim
            | Decision::Copy { .. }
            | Decision::Session(_)
            | Decision::Unattributed { .. }
            | Decision::UnknownRelation { .. } => {
                return Err(cannot_guard("COPY of this query", "run the query itself"));
            }
        };
        let inner =
            Decider { statement: &query, context: self.context, pins: TrustedPins::All, source: self.source };
        let mut plan = inner.plan(kind, &occurrences)?;
        let out = copy::out(self.statement, &plan.text, plan.has_marker, policy.policy.key_type)?;
        plan.copy = Some(CopyPlan::Out(out));
        Ok(plan)
    }

    /// The client's own bytes go to the server; what guards is the look at every row on its way.
    fn copy_in(&self) -> Result<GuardedPlan, Refusal> {
        let Context { role, policy, catalog, namespace, .. } = self.context;
        let context = resolve::Context { role, bound: policy, catalog, namespace };
        let (incoming, table, text) = copy::incoming(self.statement, &context)?;
        Ok(GuardedPlan {
            text,
            kind: StatementKind::Insert,
            client_params: 0,
            principal_param: None,
            grants_param: None,
            opened_param: None,
            lineage: Lineage { strategy: Strategy::Carried, exact: true, reasons: Vec::new() },
            pins: Vec::new(),
            aims: Vec::new(),
            rows_show_pins: false,
            block: false,
            filtered: incoming.check,
            closed: false,
            reads_others: false,
            rows_are_witnesses: false,
            has_marker: false,
            footprint: self.footprint(std::iter::once(table.to_string())),
            copy: Some(CopyPlan::In(incoming)),
            origin: Arc::default(),
            wrap: Wrap::Plain,
            observed: None,
        })
    }
}
