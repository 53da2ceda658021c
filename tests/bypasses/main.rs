//! The list of bypasses: a hundred ways around a guard, each a permanent test by its number. What must come of each is
//! judged against a database that holds only what the user may see; hidden text must be in no byte she receives, hidden
//! rows must be unchanged, and the session must go on. docs/attacks.md explains the classes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
mod own_code;
mod protocol;
mod rows;
mod values;

use std::collections::BTreeSet;

use common::wire::{Reply, Wire};
use common::{Database, Postgres, Proxy};

use rows::{ROWS, Row};

/// What must come of a way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// The reply of a database without what is hidden.
    Filtered,
    /// A refusal by policy (42501).
    Refused,
    /// One of the two.
    Either,
    /// An ordinary error of any kind, or the reply of a database without what is hidden.
    Failed,
    /// The reply of the very database.
    Allowed,
}

const CANARY: &str = "CANARY";

pub(crate) struct Stage {
    pub(crate) whole: Database<'static>,
    pub(crate) hers: Database<'static>,
    pub(crate) proxy: Proxy<'static>,
}

/// The database, the one with her rows only, and pgglass in front of the first.
pub(crate) fn stage() -> Stage {
    let server = Postgres::shared();
    let whole = server.database_with(include_str!("stage.sql"));
    let hers = server.copy_of(&whole);
    server.psql(
        hers.name(),
        "DELETE FROM notes WHERE mrn <> 1; DELETE FROM patients WHERE mrn <> 1; DELETE FROM visits WHERE mrn <> 1;
         DELETE FROM watched WHERE mrn <> 1; UPDATE patients SET ssn = NULL; REFRESH MATERIALIZED VIEW patients_mv",
    );
    let proxy = Proxy::start_from(&whole, include_str!("stage.toml"), |config| config);
    Stage { whole, hers, proxy }
}

impl Stage {
    pub(crate) fn amy(&self) -> Wire {
        Wire::through(&self.proxy, &self.whole, "nurse_amy")
    }

    /// Everything she may neither see nor change.
    pub(crate) fn hidden(&self) -> String {
        self.whole.server().psql(
            self.whole.name(),
            "SELECT p::text FROM patients p WHERE mrn <> 1 UNION ALL SELECT n::text FROM notes n WHERE mrn <> 1
             UNION ALL SELECT v::text FROM visits v WHERE mrn <> 1 UNION ALL SELECT w::text FROM watched w WHERE mrn <> 1
             UNION ALL SELECT ssn FROM patients WHERE mrn = 1 UNION ALL SELECT a::text FROM glass.assigned a
             UNION ALL SELECT s::text FROM scratch s ORDER BY 1",
        )
    }
}

pub(crate) fn assert_no_canary(wire: &Wire, what: &str) {
    let found = wire.received.windows(CANARY.len()).position(|w| w == CANARY.as_bytes());
    if let Some(at) = found {
        let around = &wire.received[at.saturating_sub(80)..(at + 40).min(wire.received.len())];
        panic!("{what}: hidden text left: {}", String::from_utf8_lossy(around));
    }
}

/// Rows (in any order unless the text says one), command tags, and whether there was an error, with its SQLSTATE.
pub(crate) fn outcome(reply: &Reply, text: &str) -> (Vec<String>, Vec<String>, Option<String>) {
    let mut rows: Vec<String> = reply.rows().iter().map(|r| format!("{r:?}")).collect();
    if !text.contains("ORDER BY") {
        rows.sort();
    }
    let copied = reply.messages.iter().filter(|m| m.tag == b'd').map(|m| format!("{:?}", m.body));
    (rows.into_iter().chain(copied).collect(), reply.commands(), reply.failure().map(|f| f.sqlstate))
}

/// The text whose reply counts: the last, or the last but an ending of the transaction.
fn judged(row: &Row) -> usize {
    row.texts.len() - if row.texts.last() == Some(&"ROLLBACK") { 2 } else { 1 }
}

pub(crate) fn refused(reply: &Reply) -> bool {
    reply.failure().is_some_and(|f| f.sqlstate == "42501" || f.gls().is_some())
}

/// Why the reply is not what must come of this row.
fn wrong(row: &Row, got: &Reply, hers: &Reply, whole: &Reply) -> Option<String> {
    let text = row.texts[judged(row)];
    let same = |other: &Reply| outcome(got, text) == outcome(other, text);
    let right = match row.want {
        Want::Filtered => same(hers),
        Want::Refused => refused(got),
        Want::Either => refused(got) || same(hers),
        Want::Failed => got.failure().is_some() || same(hers),
        Want::Allowed => same(whole),
    };
    (!right).then(|| {
        format!(
            "#{} {text}\n  wanted {:?}, got {:?} {:?}\n  her own rows: {:?}",
            row.n,
            row.want,
            outcome(got, text),
            got.failure(),
            outcome(hers, text)
        )
    })
}

fn play(wire: &mut Wire, row: &Row, extended: bool) -> Reply {
    let mut kept = Reply::default();
    for (i, text) in row.texts.iter().enumerate() {
        // What is refused in a transaction fails it; the ending comes all the same.
        let reply = if extended { wire.extended(text, &[]) } else { wire.query(text) };
        if i == judged(row) {
            kept = reply;
        }
    }
    if kept.status() != 'I' {
        wire.query("ROLLBACK");
    }
    kept
}

#[test]
fn every_way_in_by_simple_query_and_by_protocol() {
    let stage = stage();
    let before = stage.hidden();
    let mut wrongs = Vec::new();
    for extended in [false, true] {
        for row in ROWS {
            // Several statements are for simple queries alone; COPY asks for its own messages.
            let single = row.texts.iter().all(|t| !t.contains(';') || t.starts_with("DO"));
            if extended && !single {
                continue;
            }
            let mut amy = stage.amy();
            amy.forget();
            let got = play(&mut amy, row, extended);
            assert_no_canary(&amy, &format!("#{} {:?}", row.n, row.texts));
            // What is done to her own rows must not be there for the next row of the list.
            let compared = match row.want {
                Want::Filtered => true,
                Want::Either | Want::Failed => got.failure().is_none(),
                Want::Refused | Want::Allowed => false,
            };
            let hers = match compared {
                true => play(&mut Wire::direct(&stage.hers, "nurse_amy"), row, extended),
                false => Reply::default(),
            };
            let whole = match row.want {
                Want::Allowed => play(&mut Wire::direct(&stage.whole, "nurse_amy"), row, extended),
                Want::Filtered | Want::Refused | Want::Either | Want::Failed => Reply::default(),
            };
            wrongs.extend(wrong(row, &got, &hers, &whole));
            let alive = amy.query("SELECT count(*) FROM public.patients").value();
            assert_eq!(alive, "1", "#{}: the session was talked out of its guard", row.n);
        }
    }
    assert_eq!(stage.hidden(), before, "hidden rows were changed");
    assert!(wrongs.is_empty(), "{} of {}:\n{}", wrongs.len(), 2 * ROWS.len(), wrongs.join("\n"));
}

/// No number of the list is without a test.
#[test]
fn every_number_has_a_test() {
    let by_text: BTreeSet<u16> = ROWS.iter().map(|r| r.n).collect();
    let others = protocol::NUMBERS.iter().chain(own_code::NUMBERS).chain(values::NUMBERS).copied().collect();
    let all: BTreeSet<u16> = by_text.union(&others).copied().collect();
    let last = all.last().copied().unwrap_or_default();
    let missing: Vec<u16> = (1..=last).filter(|n| !all.contains(n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
