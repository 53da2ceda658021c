//! What the fuzz targets do with their bytes, one function a target. The targets themselves are in `fuzz/`
//! and hold nothing but a call; the corpus there is also run by `cargo test fuzzing`, so that neither can
//! rot. Compiled for tests and by cargo-fuzz only, never into the proxy.
//!
//! Every function panics where a property does not hold. Not here: properties that need a real server
//! (see `tests/`).

// A panic is how a target says that it found something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[cfg(test)]
mod corpus_tests;
mod frames;
mod messages;
mod scram;
#[cfg(test)]
mod seeds;
mod startup;
mod statements;

pub use crate::session::fuzzing::{copy, session};
pub use frames::frames;
pub use messages::messages;
pub use startup::startup;
pub use statements::statements;
pub(crate) use statements::{ROLES, context};

/// Takes the first `N` bytes as choices of a target; missing ones are zero. What follows is its data.
pub(crate) fn choices<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    let mut head = [0; N];
    let (first, rest) = data.split_at(N.min(data.len()));
    head[..first.len()].copy_from_slice(first);
    (head, rest)
}

/// `data` in pieces of these sizes, by turns; a size of 0 is all that is left.
pub(crate) fn pieces<'a>(data: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = data;
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = sizes.next().copied().filter(|n| *n > 0).unwrap_or(rest.len()).min(rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
