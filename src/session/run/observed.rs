//! A run whose policy decision is recorded and does not hold: which patients enforcing would have withheld, what the
//! record says of it, and of what the client is warned. The decision itself is made in `sql::observed`.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::glass::Grants;
use crate::ledger::record;
use crate::ledger::record::ObservedVerdict;
use crate::policy::{PolicyMode, Refusal, Role, Scope};
use crate::session::Session;
use crate::session::peer::Stream;
use crate::session::run::{Mode, Run};
use crate::session::server::report;
use crate::session::world::World;
use crate::sql::objects::Wrap;
use crate::sql::observed::{Observed, Would};
use crate::sql::planner::PlannedStatement;
use crate::sql::{StatementKind, Strategy};

/// Patients of one run that are looked up; of more it is said that some may be missing.
const MOST_SEEN: usize = 100_000;

/// What is known of a run that is only watched.
#[derive(Debug)]
pub(in crate::session) struct Watch {
    mode: PolicyMode,
    /// The decision on each of its texts.
    decided: Vec<Option<Arc<Observed>>>,
    /// Patients named or returned so far.
    seen: BTreeSet<String>,
    /// Of them, those outside the assignment, sorted; once they were looked up.
    outside: Vec<String>,
    /// There may be more of them than are known.
    unknown: bool,
    /// There may be patients among them that changed nothing.
    superset: bool,
    /// What enforcing would have found out when it ran.
    late: Option<Refusal>,
}

impl Watch {
    /// For a run of statements with these decisions.
    pub(in crate::session) fn new(mode: PolicyMode, decided: Vec<Option<Arc<Observed>>>) -> Self {
        Self {
            mode,
            decided,
            seen: BTreeSet::new(),
            outside: Vec::new(),
            unknown: false,
            superset: false,
            late: None,
        }
    }

    /// Patients of rows that went by.
    pub(in crate::session) fn see<'a>(&mut self, keys: impl IntoIterator<Item = &'a String>) {
        for key in keys {
            if self.seen.len() >= MOST_SEEN {
                self.unknown = true;
                return;
            }
            if !self.seen.contains(key) {
                self.seen.insert(key.clone());
            }
        }
    }

    /// True when patients of a break-glass session would count as assigned.
    pub(in crate::session) fn uses_grants(&self) -> bool {
        self.decided.iter().flatten().any(|o| matches!(o.decision, Would::Guard { grants: true, .. }))
    }

    fn decision(&self, text: usize) -> Option<&Observed> {
        self.decided.get(text)?.as_deref()
    }
}

/// The role that a session has, and the one that the policy gives it where that is only watched.
pub(in crate::session) fn in_force(role: Arc<Role>) -> (Arc<Role>, Option<Arc<Role>>) {
    if role.is_watched() { (Arc::new(role.let_through()), Some(role)) } else { (role, None) }
}

impl Run {
    /// The fingerprint of its present text, where it is watched.
    pub(in crate::session) fn fingerprint(&self) -> Option<String> {
        self.watch.as_ref()?.decision(self.next_text)?.fingerprint.clone()
    }

    /// An error can rest on rows that never came.
    pub(in crate::session) fn watched_rows(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.unknown |= self.by_rows;
        }
    }

    /// What the record says of the decision on its present text.
    pub(in crate::session) fn observed(&self) -> Option<record::Observed> {
        let watch = self.watch.as_ref()?;
        let decision = watch.decision(self.next_text)?;
        let untold = matches!(self.mode, Mode::Unattributed { .. }) || self.lost || self.passed.is_some();
        let unknown = watch.unknown || untold;
        let mut observed = record::Observed {
            mode: watch.mode.as_str().to_owned(),
            outside: watch.outside.clone(),
            outside_bounded: unknown || (watch.superset && !watch.outside.is_empty()),
            masks: decision.masks.clone(),
            ..record::Observed::default()
        };
        let others = unknown || !watch.outside.is_empty();
        if others {
            observed.masks.extend(decision.masks_outside.iter().cloned());
        }
        let refusal = match &decision.decision {
            Would::Refuse(refusal) => Some(refusal),
            Would::Guard { .. } | Would::Pass => watch.late.as_ref(),
        };
        observed.verdict = match (&decision.decision, refusal) {
            (_, Some(refusal)) => {
                observed.code = Some(refusal.code.as_str().to_owned());
                observed.message = Some(refusal.message.clone());
                ObservedVerdict::Refuse
            }
            (Would::Guard { filtered: true, .. }, None) if others => ObservedVerdict::Filter,
            _ if !observed.masks.is_empty() => ObservedVerdict::Mask,
            _ => {
                observed.outside_bounded = false;
                ObservedVerdict::Pass
            }
        };
        Some(observed)
    }

    /// Of what the client is warned, where it is.
    pub(in crate::session) fn warning(&self) -> Option<Bytes> {
        if self.watch.as_ref()?.mode != PolicyMode::Warn || self.hidden {
            return None;
        }
        report::would_enforce(&self.observed()?)
    }
}

impl World {
    /// Of these keys, sorted and canonical, those that are neither assigned to a principal nor granted; `None` when the
    /// assignment cannot be read.
    async fn outside_among(
        &self,
        principal: &str,
        role: &Role,
        grants: &Grants,
        mut keys: Vec<String>,
    ) -> Option<Vec<String>> {
        keys.retain(|key| grants.patients.binary_search(key).is_err());
        if keys.is_empty() {
            return Some(keys);
        }
        let rules = Arc::clone(&self.rules());
        let closed = rules.policy.closed_labels(role)?;
        match self.service.assigned_among(&rules.policy.policy, closed, principal, &keys).await {
            Ok(assigned) => {
                let assigned: HashSet<String> = assigned.into_iter().collect();
                keys.retain(|key| !assigned.contains(key));
                Some(keys)
            }
            Err(error) => {
                tracing::warn!(%error, "the assignment could not be read");
                None
            }
        }
    }
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// Notes the decisions on the statements that a run consists of, where they are only watched.
    pub(in crate::session) fn watch<'a>(
        &mut self,
        id: u64,
        statements: impl IntoIterator<Item = &'a PlannedStatement>,
    ) {
        if self.context.watched.is_none() {
            return;
        }
        let decided: Vec<_> = statements.into_iter().map(|s| s.observed.clone()).collect();
        self.watch_as(id, decided);
    }

    /// The same with these decisions.
    pub(in crate::session) fn watch_as(&mut self, id: u64, decided: Vec<Option<Arc<Observed>>>) {
        if let Some(run) = self.runs.get_mut(&id)
            && run.watch.is_none()
            && decided.iter().any(Option::is_some)
        {
            run.watch = Some(Box::new(Watch::new(self.role.mode, decided)));
        }
    }

    /// A decision of the session's own that a watched role is spared.
    pub(in crate::session) fn spared(&self, refusal: Refusal) -> Option<Arc<Observed>> {
        self.context.watched.as_ref().map(|_| Arc::new(Observed::refused(refusal)))
    }

    /// Finds out which patients of a run that is over lie outside the assignment. `empty`: it returned nothing; `kept`:
    /// what it changed is not undone by a refusal.
    pub(in crate::session) async fn look_outside(&mut self, run: &mut Run, empty: bool, kept: bool) {
        let Some(role) = self.context.watched.clone().filter(|r| r.scope == Scope::Assigned) else { return };
        let Some(plan) = run.plan().cloned() else { return };
        let text = run.next_text;
        let Some(decision) = run.watch.as_ref().and_then(|w| w.decision(text)).map(|o| o.decision.clone())
        else {
            return;
        };
        let (block, kind) = match decision {
            Would::Pass => return,
            Would::Refuse(_) => (false, None),
            Would::Guard { block, kind, .. } => (block, Some(kind)),
        };
        let key_type = self.context.policy.policy.key_type;
        let named = run.sought.iter().filter(|s| s.is_key() && s.certain);
        let named: Vec<String> = named.filter_map(|s| key_type.canonical(&s.value)).collect();
        let grants = Arc::clone(&run.grants);
        let mut sought = run.sought.clone();
        let rows = run.rows;
        let batch = matches!(plan.wrap, Wrap::Fetch(_)) && rows > 0;
        let Some(watch) = &mut run.watch else { return };
        watch.see(&named);
        watch.superset = !plan.lineage.exact;
        let seen: Vec<String> = watch.seen.iter().cloned().collect();
        match self.world.outside_among(&self.principal, &role, &grants, seen).await {
            Some(outside) => watch.outside = outside,
            None => watch.unknown = true,
        }
        let is_outside = |key: &String| watch.outside.binary_search(key).is_ok();
        match kind {
            // The check of new rows.
            Some(StatementKind::Insert) if !watch.outside.is_empty() => {
                watch.late = Some(self.world.not_your_patient(&[], &role));
            }
            Some(_)
                if block
                    && !kept
                    && self.world.outside(&self.principal, &role, &grants, &mut sought).await =>
            {
                let inside = match plan.lineage.strategy {
                    Strategy::Pinned => rows > 0 && sought.iter().any(|s| s.inside == Some(true)),
                    Strategy::Carried | Strategy::Bound => watch.seen.iter().any(|k| !is_outside(k)),
                };
                // Some rows of a cursor need not be of a patient who is named, where others are.
                let judged = !batch || sought.iter().all(|s| s.inside != Some(true));
                if judged && (empty || !inside) {
                    watch.late = Some(self.world.not_your_patient(&[], &role));
                } else {
                    watch.unknown |= plan.lineage.strategy == Strategy::Pinned;
                }
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::GlsCode;
    use crate::sql::Footprint;

    fn watched(decision: Would, mode: Mode) -> Run {
        let authority = crate::session::run::Authority {
            policy_version: "".into(),
            role: "".into(),
            grants: Default::default(),
        };
        let statement = record::EventId("S".into());
        let mut run = Run::new(1, statement, vec!["x".into()], mode, Vec::new(), authority, Vec::new());
        let observed = Observed { fingerprint: None, decision, masks: Vec::new(), masks_outside: Vec::new() };
        run.watch = Some(Box::new(Watch::new(PolicyMode::Warn, vec![Some(Arc::new(observed))])));
        run
    }

    fn filter() -> Would {
        Would::Guard { filtered: true, block: false, kind: StatementKind::Select, pins: 0, grants: false }
    }

    #[test]
    fn a_filter_that_would_have_withheld_nobody_passes_and_warns_of_nothing() {
        let mut run = watched(filter(), Mode::Verbatim);
        assert_eq!(run.observed().unwrap().verdict, ObservedVerdict::Pass);
        assert!(run.warning().is_none());
        run.watch.as_mut().unwrap().outside = vec!["7".into()];
        let observed = run.observed().unwrap();
        assert_eq!((observed.verdict, observed.outside_bounded), (ObservedVerdict::Filter, false));
        assert!(run.warning().is_some());
    }

    #[test]
    fn where_patients_cannot_be_told_rows_may_have_been_withheld() {
        let untold = Mode::Unattributed { footprint: Footprint::default(), reason: "X" };
        let observed = watched(filter(), untold.clone()).observed().unwrap();
        assert_eq!((observed.verdict, observed.outside_bounded), (ObservedVerdict::Filter, true));
        let observed = watched(Would::Pass, untold).observed().unwrap();
        assert_eq!((observed.verdict, observed.outside_bounded), (ObservedVerdict::Pass, false));
    }

    #[test]
    fn a_refusal_says_its_code_and_the_warning_that_nothing_was_withheld() {
        let refusal = Refusal::new(GlsCode::NotMapped, "clinic.x is not mapped");
        let run = watched(Would::Refuse(refusal), Mode::Verbatim);
        assert_eq!(run.observed().unwrap().code.as_deref(), Some("GLS-220"));
        let raw = run.warning().unwrap();
        let told = crate::wire::message::Report::decode(&raw.slice(5..)).unwrap();
        assert_eq!(
            told.message(),
            "GLS-250 would be refused under enforce: GLS-220 clinic.x is not mapped; nothing was withheld"
        );
        assert_eq!((&*told.code(), told.field(b'n').as_deref()), ("01000", Some("GLS-250")));
    }
}
