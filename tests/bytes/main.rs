//! The same messages of a client, played past the proxy and through it: the two streams of the server's messages
//! are equal byte for byte, but for what must differ (see `compare`). Not here: what a restricted role may not do
//! (tests/promises), peers that break the protocol (tests/hostile).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod constants;
mod copy;
mod extended;
mod function_call;
mod objects;
mod observed;
mod play;
mod protected;
mod random;
mod session;
mod simple;
mod stage;
mod volume;
