//! pgglass: a transparent PostgreSQL proxy that knows which rows belong to which patient.
//!
//! The folders follow the way of a statement: `wire` reads it, `session` pairs it with its
//! reply, `sql` decides what becomes of it under `policy`, `ledger` makes its record durable,
//! and only then does the reply leave. Arrows run one way:
//! `cli -> session -> sql, ledger, glass -> policy -> catalog, config`; `wire` knows none of them.
//! `discover` stands aside: it writes a first configuration from a catalog, for `cli`.

pub mod audit;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod discover;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod glass;
pub mod ledger;
pub mod policy;
pub mod session;
pub mod sql;
pub mod wire;
