//! The runs under way, by number. A session looks one up for nearly every message; numbers only grow and
//! answers come in order, so they stand in a row. Not here: what a run is (`run`).

use std::collections::VecDeque;

use crate::session::run::Run;
use crate::session::server::outbox::RunId;

/// Runs under way.
#[derive(Debug, Default)]
pub(in crate::session) struct Runs {
    /// Number of the first slot.
    first: RunId,
    /// A run that ended before an older one leaves its slot empty. Neither end is.
    slots: VecDeque<Option<Box<Run>>>,
}

impl Runs {
    fn index(&self, id: RunId) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first)?).ok()
    }

    /// The run with this number.
    pub(in crate::session) fn get(&self, id: &RunId) -> Option<&Run> {
        self.slots.get(self.index(*id)?)?.as_deref()
    }

    /// The run with this number.
    pub(in crate::session) fn get_mut(&mut self, id: &RunId) -> Option<&mut Run> {
        let index = self.index(*id)?;
        self.slots.get_mut(index)?.as_deref_mut()
    }

    /// Puts a run under its number, in place of one that has it.
    pub(in crate::session) fn insert(&mut self, run: Box<Run>) {
        if self.slots.is_empty() {
            self.first = run.id;
        }
        while run.id < self.first {
            self.slots.push_front(None);
            self.first -= 1;
        }
        let index = self.index(run.id).unwrap_or_default();
        while self.slots.len() <= index {
            self.slots.push_back(None);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(run);
        }
    }

    /// Takes a run out.
    pub(in crate::session) fn remove(&mut self, id: &RunId) -> Option<Box<Run>> {
        let index = self.index(*id)?;
        let run = self.slots.get_mut(index)?.take();
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
        while let Some(None) = self.slots.back() {
            self.slots.pop_back();
        }
        run
    }

    /// All of them, the oldest first.
    pub(in crate::session) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }

    /// Takes all of them out, the oldest first.
    pub(in crate::session) fn take_all(&mut self) -> impl Iterator<Item = Box<Run>> {
        std::mem::take(&mut self.slots).into_iter().flatten()
    }

    /// True when nothing runs.
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::session::run::{Authority, Mode};

    fn run(id: RunId) -> Box<Run> {
        let authority = Authority { policy_version: "".into(), role: "".into(), grants: Default::default() };
        let statement = crate::ledger::record::EventId(id.to_string());
        Box::new(Run::new(id, statement, Vec::new(), Mode::Verbatim, Vec::new(), authority, Vec::new()))
    }

    proptest! {
        #[test]
        fn as_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..20), 0..60)) {
            let (mut runs, mut known) = (Runs::default(), BTreeSet::new());
            for (insert, id) in steps {
                if insert {
                    known.insert(id);
                    runs.insert(run(id));
                } else {
                    prop_assert_eq!(runs.remove(&id).map(|r| r.id), known.take(&id));
                }
                prop_assert_eq!(runs.is_empty(), known.is_empty());
                for id in 0..22 {
                    prop_assert_eq!(runs.get(&id).map(|r| r.id), known.get(&id).copied());
                    prop_assert_eq!(runs.get_mut(&id).map(|r| r.id), known.get(&id).copied());
                }
                prop_assert!(runs.iter_mut().map(|r| r.id).eq(known.iter().copied()));
            }
            prop_assert!(runs.take_all().map(|r| r.id).eq(known));
            prop_assert!(runs.is_empty());
        }
    }
}
