//! `pgglass discover` as a user runs it: what it writes for known schemas is accepted by `pgglass check --offline` and
//! differs from a policy written by hand in a handful of lines at most; what it says when it cannot.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "discover/policies.rs"]
mod policies;
#[path = "discover/support.rs"]
mod support;
#[path = "discover/trouble.rs"]
mod trouble;
