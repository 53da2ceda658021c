//! Statements of ours for guarded texts that come as simple queries: the second time a text is seen it is prepared under
//! a name of ours, if the server makes the same of it whenever it reads it (`sql::constants`): of a simple query it is
//! read each time. Names of the client's are in `names`.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;

use crate::session::Session;
use crate::session::peer::Stream;
use crate::session::run::ops::{Op, Undo};
use crate::sql::constants;
use crate::wire::message::{Parse, Target, TargetKind};

/// Distinct guarded texts of simple queries a session keeps prepared upstream under names of ours.
const OWN_NAMES: usize = 128;

/// Guarded texts of simple queries that were seen before, prepared upstream under names of ours.
#[derive(Debug, Default)]
pub(in crate::session) struct OwnNames {
    /// By text, types of parameters, and the namespace that tells what its names mean.
    pub(in crate::session) seen: HashMap<Bytes, OwnName>,
    pub(in crate::session) next: u64,
    /// The catalog changed: what was prepared before it may describe other columns than its text has now (0A000,
    /// which nobody gets who sends a simple query).
    pub(in crate::session) stale: bool,
}

/// What became of a text that was seen.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum OwnName {
    /// It was sent without a name.
    Once,
    /// It is read anew each time: time or settings decide what it means.
    Anew,
    /// The server was asked to prepare it under this name, and may fail to.
    Asked(String),
    /// It is prepared under this name.
    Made(String),
}

impl OwnNames {
    /// The server prepared what it was asked to. Nothing is known of it when all was forgotten since.
    pub(in crate::session) fn made(&mut self, key: Bytes, name: String) {
        if self.seen.get(&key) == Some(&OwnName::Asked(name.clone())) {
            self.seen.insert(key, OwnName::Made(name));
        }
    }

    /// The server did not, or never came to it.
    pub(in crate::session) fn failed(&mut self, key: Bytes, name: &str) {
        if matches!(self.seen.get(&key), Some(OwnName::Asked(asked)) if asked == name) {
            self.seen.insert(key, OwnName::Once);
        }
    }
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// Sends Parse for `text` and returns the statement name to bind: the unnamed one, or from the
    /// second time on a name of ours that stays prepared.
    pub(in crate::session) fn own_name(
        &mut self,
        text: &str,
        parameter_types: Vec<u32>,
        keep: bool,
    ) -> String {
        if std::mem::take(&mut self.own_names.stale) {
            self.forget_own_names();
        }
        let mut key = text.as_bytes().to_vec();
        // No text has a NUL byte in it.
        key.extend(parameter_types.iter().flat_map(|t| [&[0], t.to_be_bytes().as_slice()].concat()));
        let mut namespace = DefaultHasher::new();
        self.context.namespace.hash(&mut namespace);
        key.extend(namespace.finish().to_be_bytes());
        let key = Bytes::from(key);
        let mut name = String::new();
        let mut undo = None;
        if keep {
            match self.own_names.seen.get(&key) {
                Some(OwnName::Made(known)) => return known.clone(),
                // Behind a failure it would be skipped: what is bound meanwhile has no name.
                Some(OwnName::Asked(_) | OwnName::Anew) => {}
                Some(OwnName::Once)
                    if !constants::read_alike(text, &self.context.catalog, &self.context.namespace) =>
                {
                    self.own_names.seen.insert(key, OwnName::Anew);
                }
                Some(OwnName::Once) => {
                    self.own_names.next += 1;
                    name = format!("{}q{}", crate::policy::RESERVED_PREFIX, self.own_names.next);
                    self.own_names.seen.insert(key.clone(), OwnName::Asked(name.clone()));
                    undo = Some(Undo::Own { key, name: name.clone() });
                }
                None => {
                    if self.own_names.seen.len() >= OWN_NAMES {
                        self.forget_own_names();
                    }
                    self.own_names.seen.insert(key, OwnName::Once);
                }
            }
        }
        let parse = Parse { name: name.clone(), query: text.to_owned(), parameter_types };
        self.send(parse.encode(), Op::Parse { hidden: true, undo, subject: None });
        name
    }

    /// Closes every statement of ours upstream.
    pub(in crate::session) fn forget_own_names(&mut self) {
        for known in std::mem::take(&mut self.own_names.seen).into_values() {
            let (OwnName::Made(name) | OwnName::Asked(name)) = known else { continue };
            let target = Target { kind: TargetKind::Statement, name };
            self.send(target.close(), Op::Close { hidden: true, undo: None });
        }
    }
}
