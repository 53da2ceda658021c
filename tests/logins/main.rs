//! How clients come in, stay and go: limits, timeouts, deaths and restarts; verifiers from a file; client
//! certificates; service accounts. Against a real PostgreSQL and the built binary.
//! Not here: the handshake's bytes (tests/wire_login), what a session may see (tests/promises).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod accounts;
mod certificates;
mod lifetime;
mod support;
mod terms;
mod verifiers;
