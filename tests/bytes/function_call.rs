//! The function call message, with which drivers read and write large objects: answered as the server answers it,
//! and recorded as the `SELECT` of the same function is. What restricted roles are told stands in tests/promises.

use pgglass::ledger::read_records;
use pgglass::ledger::record::Body;

use crate::common::wire::{Wire, bind, execute, frame, parse, query, sync};
use crate::play::{Script, Step, same, script};
use crate::stage::Stage;

/// `INV_READ | INV_WRITE` (libpq-fs.h).
const READ_WRITE: u32 = 0x6_0000;

const CREATE: u32 = 715;
const OPEN: u32 = 952;
const CLOSE: u32 = 953;
const READ: u32 = 954;
const WRITE: u32 = 955;
const SEEK: u32 = 956;
const UNLINK: u32 = 964;
const TELL: u32 = 3171;

/// A call with binary arguments and a binary result.
fn call(function: u32, arguments: &[&[u8]]) -> Vec<u8> {
    let mut body = function.to_be_bytes().to_vec();
    body.extend([0, 1, 0, 1]);
    body.extend(u16::try_from(arguments.len()).unwrap().to_be_bytes());
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend(*argument);
    }
    body.extend([0, 1]);
    frame(b'F', &body)
}

fn int(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

/// Messages, each after the answer to the one before.
fn one_by_one(name: &str, messages: Vec<Vec<u8>>) -> Script {
    let steps = messages.into_iter().flat_map(|m| [Step::Send(m), Step::Ready(1)]).collect();
    Script { name: name.to_owned(), steps }
}

#[test]
fn large_objects_are_read_and_written_as_directly() {
    let stage = Stage::of("dba_gus");
    let object = int(700_001);
    let all = vec![
        query("BEGIN"),
        call(CREATE, &[&object]),
        call(OPEN, &[&object, &int(READ_WRITE)]),
        call(WRITE, &[&int(0), "twelve bytes".as_bytes()]),
        call(SEEK, &[&int(0), &int(7), &int(0)]),
        call(TELL, &[&int(0)]),
        call(READ, &[&int(0), &int(100)]),
        call(CLOSE, &[&int(0)]),
        call(CLOSE, &[&int(0)]),
        call(READ, &[&int(0), &int(100)]),
        query("SELECT 1"),
        query("ROLLBACK"),
    ];
    let open = [parse("", "SELECT 1"), bind("", "", &[]), execute("", 0)].concat();
    let scripts = [
        one_by_one("one by one", all.clone()),
        script("at once", &all),
        // In autocommit a descriptor is gone at once; no such object; too few arguments; too many.
        one_by_one(
            "errors",
            vec![
                call(OPEN, &[&int(1), &int(READ_WRITE)]),
                call(READ, &[&int(0), &int(9)]),
                call(UNLINK, &[&int(1)]),
                call(UNLINK, &[]),
                call(CLOSE, &[&int(0), &int(0)]),
                call(CLOSE, &[&int(0)[..3]]),
                query("SELECT 1"),
            ],
        ),
        // Behind a pipeline without Sync, and behind one that failed.
        script("pipelines", &[open.clone(), call(UNLINK, &[&int(1)]), sync(), query("SELECT 2")]),
        script(
            "a failed pipeline",
            &[parse("", "SELECT nothing"), call(UNLINK, &[&int(1)]), open, sync(), query("SELECT 3")],
        ),
    ];
    same(&stage, &scripts);
}

#[test]
fn a_call_is_recorded_as_the_select_of_it() {
    let stage = Stage::of("dba_gus");
    let mut gus: Wire = stage.through();
    gus.until_silence(std::time::Duration::from_secs(10));
    gus.ok("BEGIN");
    for message in [
        call(CREATE, &[&int(700_002)]),
        call(OPEN, &[&int(700_002), &int(READ_WRITE)]),
        call(READ, &[&int(0), &int(10)]),
    ] {
        gus.send(&message);
        assert!(gus.reply().tags().contains('V'));
    }
    // Whom it may have read about is durable before its result leaves: no waiting here.
    let text = "SELECT pg_catalog.loread($1, $2)";
    let records = read_records(&stage.proxy.ledger()).unwrap();
    let bodies: Vec<Body> = records.into_iter().filter_map(|r| Some(r.ok()?.record.body)).collect();
    let (id, intent) = bodies
        .iter()
        .find_map(|b| match b {
            Body::Intent { statement, intent } if intent.what.sql == text => Some((statement, intent)),
            _ => None,
        })
        .expect("an intent");
    assert_eq!(intent.what.parameters, [Some("0".to_owned()), Some("10".to_owned())]);
    let everyone = bodies.iter().any(
        |b| matches!(b, Body::Disclosure { statement, disclosure } if statement == id && disclosure.all_patients),
    );
    assert!(everyone, "what was read is recorded as possibly about every patient");
}
