//! The end of a guarded run: whether the patients it names are the user's, what its command tag says, the warning
//! that rows were withheld, and its last records.

use std::sync::Arc;

use bytes::Bytes;

use crate::ledger::Priority;
use crate::ledger::record::Outcome;
use crate::policy::WithheldNotice;
use crate::session::peer::Stream;
use crate::session::run::Run;
use crate::session::run::ops::Op;
use crate::session::server::outbox::RunId;
use crate::session::server::unexpected;
use crate::session::{Ended, Session};
use crate::sql::objects::Wrap;
use crate::sql::{GuardedPlan, StatementKind, Strategy};
use crate::wire::frame::Frame;
use crate::wire::message::{self, ServerTag, Status};

/// A guarded run whose last message came.
pub(in crate::session) struct Ending {
    run: Box<Run>,
    plan: Arc<GuardedPlan>,
    /// Nothing was found.
    empty: bool,
    /// Something was changed, or can have been, and stays so: a refusal would say that nothing was done.
    kept: bool,
    /// It names its patients, and they are the user's: there is nothing that could have been withheld.
    inside: bool,
    frame: Frame,
    tag: ServerTag,
}

/// A write that was run, in a transaction of its own: whether it is kept is known when the transaction has ended.
pub(in crate::session) struct Held {
    id: RunId,
    plan: Arc<GuardedPlan>,
    empty: bool,
    kept: bool,
    inside: bool,
    frame: Frame,
}

impl Held {
    /// Its run, which is still among those under way.
    pub(in crate::session) fn id(&self) -> RunId {
        self.id
    }

    /// What the server said of it.
    pub(in crate::session) fn tag(self, run: &Run) -> Result<Bytes, Ended> {
        reply(run, &self.plan, self.frame, ServerTag::CommandComplete)
    }
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// The end of a guarded execution: what is left of its rows leaves with its tag, behind its record.
    /// Given back when it has to be asked first whether the patients it names are the user's.
    pub(in crate::session) fn finish_guarded(
        &mut self,
        id: RunId,
        frame: Frame,
        tag: ServerTag,
    ) -> Result<Option<Ending>, Ended> {
        self.note_written(id);
        let Some(mut run) = self.runs.remove(&id) else { return Err(unexpected(tag)) };
        if run.hidden {
            return Ok(None);
        }
        let Some(plan) = run.plan().cloned() else { return Err(unexpected(tag)) };
        if let Some(code) = run.revoked {
            let refusal = crate::session::server::report::revoked(code);
            self.end_with_refusal(run, &refusal)?;
            return Ok(None);
        }
        if let Wrap::Fetch(upstream) | Wrap::Move(upstream) = &plan.wrap
            && let Some(cursor) = self.objects.upstream_cursor(upstream)
        {
            cursor.found |= run.found;
        }
        let affected = match tag {
            // A write that stands inside a query of ours: a row for each that it wrote.
            _ if plan.has_marker => run.moved,
            ServerTag::CommandComplete => message::CommandTag::decode(frame.body())?.rows.unwrap_or(0),
            _ => 0,
        };
        if plan.copy_in().is_some() {
            run.rows = affected;
        }
        let kept = match plan.kind {
            StatementKind::Select => false,
            // What its WITH queries did cannot be told.
            StatementKind::With => true,
            StatementKind::Insert | StatementKind::Update | StatementKind::Delete | StatementKind::Merge => {
                affected > 0
            }
        };
        let nothing = if plan.rows_are_witnesses { affected == 0 } else { run.rows == 0 };
        let empty = nothing || (plan.lineage.strategy != Strategy::Pinned && !run.found);
        let complete = tag == ServerTag::CommandComplete;
        // With rows that are all of the one patient named, or that carry the keys of all who are named, those are
        // inside; else it has to be asked: a patient who is named in a subquery need not be one of those the rows
        // are of.
        let named = || run.sought.iter().filter(|s| s.identifier.is_none());
        let keys_named = named().count();
        let met = (keys_named == 1 && plan.rows_show_pins)
            || named().all(|s| run.pending_keys().contains(&s.value));
        // Of several identifiers some may be of patients whose rows it did not meet.
        let identifiers = run.sought.len() - keys_named;
        // Nor need the rows be those of the one, beside other tables or where the record is of more than the rows.
        let exact =
            plan.lineage.strategy == Strategy::Carried && keys_named == 0 && run.pending_keys().len() == 1;
        let met = met && (identifiers == 0 || (identifiers == 1 && exact));
        let ask = (plan.filtered || plan.block) && complete && !run.sought.is_empty() && (empty || !met);
        // Where the policy is only watched, whom it would have withheld is asked too.
        let ask = ask || run.watch.is_some();
        // Nothing of its answer tells whose rows it met.
        let ask = ask || plan.kind == StatementKind::Merge;
        let inside = plan.rows_show_pins && keys_named == 1 && run.sought.len() == 1 && !empty;
        let ending = Ending { run, plan, empty, kept, inside, frame, tag };
        if ask {
            return Ok(Some(ending));
        }
        self.release_ending(ending)?;
        Ok(None)
    }

    pub(in crate::session) async fn look_up_sought(&mut self, mut ending: Ending) -> Result<(), Ended> {
        if ending.run.watch.is_some() {
            Box::pin(self.look_outside(&mut ending.run, ending.empty, ending.kept)).await;
            return self.release_ending(ending);
        }
        let run = &mut ending.run;
        if ending.plan.kind == StatementKind::Merge {
            let reach = match ending.plan.filtered {
                true => self.world.reach(&self.principal, &self.role, &run.grants).await,
                false => None,
            };
            run.passed = Some(crate::session::names::objects::Passed::of(reach));
        }
        let outside = self.world.outside(&self.principal, &self.role, &run.grants, &mut run.sought).await;
        // A session may have opened a patient, but not the patient's label.
        let labels = self.context.policy.closed_labels(&self.role).is_none_or(|closed| !closed.is_empty());
        let certain = !labels || ending.run.grants.patients.is_empty();
        let pinned = ending.plan.lineage.strategy == Strategy::Pinned;
        ending.inside |= pinned && !outside && certain;
        // Where its rows can be those of other tables, nobody's row was met if none of those named is the user's.
        let met_nobody = || ending.run.sought.iter().all(|s| s.inside != Some(true));
        ending.empty |= pinned && !ending.plan.rows_show_pins && ending.plan.filtered && met_nobody();
        // Some rows of a cursor need not be of a patient who is named, where others are.
        if matches!(ending.plan.wrap, Wrap::Fetch(_)) && ending.run.rows > 0 {
            ending.empty &= met_nobody();
        }
        if outside && ending.empty && !ending.kept && ending.plan.block {
            let refusal = self.world.not_your_patient(&ending.run.sought, &self.role);
            return self.end_with_refusal(ending.run, &refusal);
        }
        self.release_ending(ending)
    }

    /// The transaction of a write that was held back is kept.
    pub(in crate::session) fn release_held(&mut self) -> Result<(), Ended> {
        let Some(Held { id, plan, empty, kept, inside, frame }) = self.held.take() else { return Ok(()) };
        let Some(run) = self.runs.remove(&id) else { return Ok(()) };
        if let Some(code) = run.revoked {
            return self.end_with_refusal(run, &crate::session::server::report::revoked(code));
        }
        self.release(Ending { run, plan, empty, kept, inside, frame, tag: ServerTag::CommandComplete })
    }

    pub(in crate::session) fn release_ending(&mut self, ending: Ending) -> Result<(), Ended> {
        // The Sync behind it ends the transaction, which can fail over what was deferred to its end.
        let ends = self.status != Status::InTransaction && matches!(self.ops.head(), Some(Op::Sync { .. }));
        if !ends || !ending.run.writes() || ending.tag != ServerTag::CommandComplete {
            return self.release(ending);
        }
        let Ending { run, plan, empty, kept, inside, frame, .. } = ending;
        self.held = Some(Held { id: run.id, plan, empty, kept, inside, frame });
        self.runs.insert(run);
        Ok(())
    }

    fn release(&mut self, ending: Ending) -> Result<(), Ended> {
        let Ending { mut run, plan, empty, inside, frame, tag, .. } = ending;
        let reply = reply(&run, &plan, frame, tag)?;
        // Rows of a patient who is seen can be of a closed category.
        let inside = inside && !plan.closed;
        let says_withheld = match plan.wrap {
            Wrap::Plain | Wrap::Declare(_) | Wrap::Execute(_) => plan.kind == StatementKind::Select,
            Wrap::Prepare(_) | Wrap::Fetch(_) | Wrap::Move(_) | Wrap::Commit => false,
        };
        if (plan.filtered || plan.closed) && says_withheld && !inside && tag == ServerTag::CommandComplete {
            let tell = match self.role.rows_withheld {
                WithheldNotice::Always => true,
                WithheldNotice::Once => !self.told_withheld,
                WithheldNotice::Never => false,
            };
            if tell && !self.muted {
                self.told_withheld = true;
                run.window.extend_from_slice(&crate::session::server::report::rows_withheld(plan.closed));
            }
        }
        // What it read counts as absent where the user has just seen it.
        let opened = !run.grants.patients.is_empty() && plan.kind != StatementKind::Select;
        if opened && (plan.reads_others || empty) && plan.filtered && tag == ServerTag::CommandComplete {
            run.window.extend_from_slice(&crate::session::server::report::read_only());
        }
        if tag == ServerTag::CommandComplete
            && let Some(warning) = run.warning()
        {
            run.window.extend_from_slice(&warning);
        }
        run.window.extend_from_slice(&reply);
        let window = run.window.split();
        let mut receipt = None;
        for body in run.final_records(&self.identity, Outcome::Ok) {
            receipt = Some(self.world.append(body, Priority::Ordinary));
        }
        match receipt {
            Some(receipt) if !self.muted => self.outbox.push_gated(run.id, run.writes(), window, receipt),
            _ => {}
        }
        Ok(())
    }
}

/// The message that ends the reply, in the words of the client's own statement.
fn reply(run: &Run, plan: &GuardedPlan, frame: Frame, tag: ServerTag) -> Result<Bytes, Ended> {
    Ok(match tag {
        ServerTag::CommandComplete => {
            let parsed = message::CommandTag::decode(frame.body())?;
            if matches!(plan.wrap, Wrap::Move(_)) {
                message::command_complete(&format!("MOVE {}", run.moved))?
            } else if plan.has_marker && matches!(parsed.command, "SELECT" | "FETCH" | "COPY") {
                message::command_complete(&own_tag(plan, parsed.command, run))?
            } else {
                frame.into_raw()
            }
        }
        // The row that says that there is none.
        ServerTag::PortalSuspended if plan.has_marker && run.moved == 0 && plan.wrap == Wrap::Plain => {
            message::command_complete(&own_tag(plan, "SELECT", run))?
        }
        _ => frame.into_raw(),
    })
}

/// The tag of the client's own statement, which stands inside a query of ours (PostgreSQL,
/// `BuildQueryCompletionString`: INSERT has an OID, always 0).
fn own_tag(plan: &GuardedPlan, command: &str, run: &Run) -> String {
    match plan.kind {
        StatementKind::Select | StatementKind::With => format!("{command} {}", run.rows),
        StatementKind::Insert => format!("INSERT 0 {}", run.moved),
        StatementKind::Update => format!("UPDATE {}", run.moved),
        StatementKind::Delete => format!("DELETE {}", run.moved),
        StatementKind::Merge => format!("MERGE {}", run.moved),
    }
}
