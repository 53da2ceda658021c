//! The promises of the README, P1 to P7, each as properties of the built program in front of a real
//! PostgreSQL: written from what is promised, not from how it is done. Not here: units, and the
//! errors of setting it up (tests/bad_input.rs).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actions;
#[path = "../common/mod.rs"]
mod common;
mod conversions;
mod copy_stream;
mod cursor_steps;
mod cursors;
mod cursors_record;
mod cut_off;
mod domains;
mod early_errors;
mod late_errors;
mod links;
mod merge;
mod names;
mod namesakes;
mod observe;
mod own_objects;
mod p1_settings;
mod p1_transparency;
mod p2_categories;
mod p2_cells;
mod p2_closed;
mod p2_collations;
mod p2_computed;
mod p2_copy;
mod p2_enforcement;
mod p2_leaks;
mod p2_masked_writes;
mod p2_outside;
mod p2_several;
mod p2_statements;
mod p3_durable;
mod p4_record;
mod p5_fail_closed;
mod p6_revocation;
mod p7_tamper;
mod read_anew;
mod reading;
mod recorded_texts;
mod renamed;
mod row_limits;
mod settings;
mod sought;
mod support;
mod withheld;

use common::wire;
