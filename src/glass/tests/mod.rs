//! Tests of break-glass as a whole: `machine` holds the state against a model of its own,
//! `recognition` the SQL interface against hostile forms, `rules` single rules by example.

mod machine;
mod recognition;
mod rules;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::policy::{GlassProfile, Outside, Role, Scope};

/// A time: `seconds` after a fixed beginning.
fn t(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_secs(seconds)
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

fn profile() -> GlassProfile {
    GlassProfile {
        name: "clinical".into(),
        reasons: BTreeSet::from(["BTG".into(), "COVERAGE_SHIFT".into()]),
        ttl: minutes(60),
        max_ttl: minutes(100),
        idle_close: minutes(15),
        note_min_chars: 10,
        max_patients: 3,
        max_sessions_per_day: 4,
        categories: Default::default(),
        labels: Default::default(),
    }
}

fn role(name: &str, privacy_officer: bool) -> Role {
    Role {
        outside: Outside::Block,
        break_glass: Some("clinical".into()),
        privacy_officer,
        ..Role::new(name, Scope::Assigned)
    }
}

fn who<'a>(
    user: &'a str,
    role: &'a Role,
    profile: Option<&'a GlassProfile>,
    connection: u64,
) -> Principal<'a> {
    Principal {
        user,
        role,
        profile,
        connection: ConnectionId(connection),
        address: "10.0.0.7",
        application: "psql",
    }
}

const NOTE: &str = "unconscious, unknown anticoagulant, resus 2";

fn open(patients: &[&str], bind: Bind) -> Call {
    Call::Open(OpenCall {
        patients: patients.iter().map(|p| (*p).to_owned()).collect(),
        reason: "BTG".into(),
        note: NOTE.into(),
        ttl: None,
        bind,
        categories: Vec::new(),
        labels: Vec::new(),
    })
}

/// Numbers are keys; anything else names nobody.
fn resolved(call: &Call) -> Vec<ResolvedPatient> {
    let resolve = |typed: &String| ResolvedPatient {
        typed: typed.clone(),
        key: crate::policy::KeyType::Int8.canonical(typed),
    };
    call.patients().iter().map(resolve).collect()
}
