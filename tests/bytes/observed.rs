//! A restricted role that is only watched gets every byte that a direct connection of the same user gets: the scripts
//! of the unrestricted role, played by a user whom the policy restricts and `mode = "observe"` lets through.

use crate::play::{Step, same};
use crate::stage::Stage;
use crate::{constants, copy, extended, objects, protected, random, session, simple, volume};

fn amy() -> Stage {
    Stage::observed("nurse_amy")
}

#[test]
fn protected_tables_of_a_watched_role() {
    same(&amy(), &protected::open_scripts());
}

#[test]
fn protocols_of_a_watched_role() {
    let stage = amy();
    same(&stage, &simple::scripts());
    same(&stage, &extended::scripts());
    same(&stage, &session::open_scripts());
    same(&stage, &copy::scripts());
}

#[test]
fn constants_and_names_of_a_watched_role() {
    let stage = amy();
    same(&stage, &constants::scripts(constants::TEXTS));
    same(&stage, &constants::scripts(constants::NO_OPERATOR));
    same(&stage, &constants::failed_preparations());
    same(&stage, &objects::unnamed());
    same(&stage, &objects::called_by_name());
    same(&stage, &objects::blocks());
    let mut names = objects::shared_names();
    names.extend(objects::open_names());
    same(&stage, &names);
}

#[test]
fn long_values_of_a_watched_role() {
    same(&amy(), &volume::long_values());
}

#[test]
fn random_sessions_of_a_watched_role() {
    random::random_on(&amy(), true, "nurse_amy, watched");
}

/// The suite would see a policy that is enforced.
#[test]
fn a_watched_role_is_not_filtered() {
    let stage = amy();
    let count =
        [Step::Send(crate::common::wire::query("SELECT count(*) FROM clinic.patient")), Step::Ready(1)];
    let script = crate::play::Script { name: "count".into(), steps: count.into() };
    same(&stage, &[script]);
    let restricted = stage.through().ok("SELECT count(*) FROM clinic.patient").value();
    assert_eq!(restricted, stage.direct().ok("SELECT count(*) FROM clinic.patient").value());
    assert!(restricted.parse::<u32>().unwrap() > 1_000);
}
