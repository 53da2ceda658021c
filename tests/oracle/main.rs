//! Oracles: random queries on a small clinical schema, and properties their answers must have. Built to what is promised,
//! not to how it is done: P1, P2 and P4 of the README, rules of the design's "Test oracles". One file an oracle;
//! `generate` makes the queries, `data` the rows. A short run from a fixed seed belongs to `cargo test`; longer ones are
//! `./run oracle --queries N --seed S [--oracle NAME]`. A difference is printed with its seed and in a smaller form.
//!
//! What differs legitimately from a database without the hidden rows, and is not generated: keys that are taken,
//! `pg_class.reltuples`, volatile functions, and errors that depend on which visible row is looked at first.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod data;
mod difference;
mod enforcement;
mod generate;
mod influence;
mod interference;
mod partition;
mod play;
mod schema;
mod sql;
mod stage;
mod tally;
mod transparency;
