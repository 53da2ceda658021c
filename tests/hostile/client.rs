//! Hostile clients that are logged in.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::common::Postgres;
use crate::common::Proxy;
use crate::common::wire::{
    Wire, bind, bind_as, copy_data, copy_done, describe_portal, execute, flush, frame, parse, query, sync,
};
use crate::{answer, clear, lives, resident, tags};

const ROWS: &str = "SELECT name FROM clinic.patient ORDER BY patient_id";

fn with_length(tag: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// Well-formed messages of every kind.
fn messages() -> Vec<Vec<u8>> {
    vec![
        query(ROWS),
        parse("s", ROWS),
        bind_as("p", "s", (&[1], &[Some(b"x")]), &[0, 1]),
        describe_portal("p"),
        execute("p", 3),
        frame(b'C', b"Ss\0"),
        sync(),
        flush(),
        copy_data(b"x\n"),
        copy_done(),
        frame(b'f', b"no\0"),
        frame(b'p', b"password\0"),
        frame(b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        frame(b'X', b""),
    ]
}

#[test]
fn a_message_cut_at_any_byte_ends_the_session_and_nothing_else() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, clear);
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    for message in messages() {
        for cut in 1..message.len() {
            let mut wire = Wire::through(&proxy, &database, "nurse_amy");
            wire.send(&message[..cut]);
            wire.stop_sending();
            let heard = answer(&mut wire, b"", "cut", |_| false);
            assert!(
                !tags(&heard).contains('D'),
                "{:?} cut at {cut}: {}",
                char::from(message[0]),
                tags(&heard)
            );
        }
    }
    lives(&proxy, &database, &mut other, "cut");
}

#[test]
fn lying_lengths_unknown_tags_and_bodies_that_disagree_have_an_answer() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, clear);
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    let before = resident(proxy.pid().unwrap());
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for tag in b"QPBDECSHdcfpFX" {
        for length in [0, 1, 3, 0x7fff_ffff, 0xffff_ffff, 0x8000_0000] {
            all.push((
                format!("{} with length {length}", char::from(*tag)),
                with_length(*tag, length, b"abc"),
            ));
        }
        all.push((format!("{} empty", char::from(*tag)), frame(*tag, b"")));
        all.push((format!("{} without NUL", char::from(*tag)), frame(*tag, b"abc")));
        all.push((format!("{} not UTF-8", char::from(*tag)), frame(*tag, b"\xff\xfe\0\xc3\0\0\0")));
        all.push((format!("{} with NULs", char::from(*tag)), frame(*tag, b"\0\0SELECT 1\0\0\0\0\0")));
        all.push((format!("{} with more", char::from(*tag)), frame(*tag, b"s\0SELECT 1\0\0\0and more")));
    }
    for tag in (0..=255).filter(|t| !b"QPBDECSHdcfpFX".contains(t)) {
        all.push((format!("tag {tag}"), frame(tag, b"x\0")));
    }
    let counts = |p: &[u8]| frame(b'B', &[b"\0\0", p].concat());
    all.push(("65,535 formats of none".into(), counts(b"\xff\xff")));
    all.push(("65,535 values of none".into(), counts(b"\0\0\xff\xff\0\0\0\x01")));
    all.push(("a value of 2 GiB".into(), counts(b"\0\0\0\x01\x7f\xff\xff\xffx\0\0")));
    all.push(("a value of -2 bytes".into(), counts(b"\0\0\0\x01\xff\xff\xff\xfex\0\0")));
    all.push(("70,000 formats".into(), bind_as("", "", (&[], &[]), &vec![1; 65_535])));
    all.push(("Bind before Parse".into(), [bind("", "none", &[]), execute("", 0)].concat()));
    all.push(("COPY data outside COPY".into(), [copy_data(b"x"), copy_done()].concat()));
    all.push((
        "Query during COPY".into(),
        [query("COPY (SELECT 1) TO STDOUT"), query("COPY clinic.ward FROM STDIN"), query(ROWS)].concat(),
    ));
    all.push((
        "names of the proxy".into(),
        [bind("", "__glass_q1", &[]), execute("__glass_probe", 0), parse("__glass_origin", ROWS)].concat(),
    ));
    all.push((
        "a statement of too many signs".into(),
        query(&format!("SELECT 1 /* {} */", "x,".repeat(2_500_000))),
    ));
    for (what, bytes) in &all {
        let mut wire = Wire::through(&proxy, &database, "nurse_amy");
        // A length that lies swallows what comes behind; the end of the sending must end it.
        let _ = wire.socket().write_all(&[&bytes[..], &sync(), &query("SELECT 'end'")].concat());
        wire.stop_sending();
        let heard = answer(&mut wire, b"", what, |_| false);
        let said = tags(&heard);
        let end = heard.iter().any(|m| m.tag == b'D' && m.body.ends_with(b"end"));
        assert!(said.contains('E') || end || said.is_empty(), "{what}: {said}");
    }
    lives(&proxy, &database, &mut other, "all");
    let after = resident(proxy.pid().unwrap());
    assert!(after < before + 300, "{before} MiB before, {after} MiB after");
}

#[test]
fn a_client_that_does_not_read_costs_bounded_memory() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, clear);
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    let before = resident(proxy.pid().unwrap());
    let mut silent: Vec<Wire> = (0..4).map(|_| Wire::through(&proxy, &database, "dba_gus")).collect();
    for (n, wire) in silent.iter_mut().enumerate() {
        wire.send(&query(match n {
            0 => "SELECT repeat('x', 10000) FROM generate_series(1, 100000)",
            1 => "COPY (SELECT repeat('x', 10000) FROM generate_series(1, 100000)) TO STDOUT",
            2 => "SELECT repeat('x', 300000000)",
            _ => "SELECT p.*, repeat('x', 100000) FROM clinic.patient p, clinic.ward",
        }));
    }
    // A pipeline without end, whose answers nobody reads.
    let mut flood = Wire::through(&proxy, &database, "nurse_amy").socket();
    flood.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let many = [parse("", "SELECT repeat('y', 10000)"), bind("", "", &[]), execute("", 0), sync()]
        .concat()
        .repeat(100);
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until && flood.write_all(&many).is_ok() {}
    let after = resident(proxy.pid().unwrap());
    println!("{before} MiB before, {after} MiB after");
    assert!(after < before + 160, "{before} MiB before, {after} MiB after");
    lives(&proxy, &database, &mut other, "clients that do not read");
    drop(silent);
}

#[test]
fn floods_of_syncs_and_half_open_connections_are_borne() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, clear);
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    let mut wire = Wire::through(&proxy, &database, "nurse_amy");
    let mut socket = wire.socket();
    let flood = std::thread::spawn(move || {
        socket.write_all(&[sync().repeat(50_000), query("SELECT 'end'")].concat())
    });
    let heard = answer(&mut wire, b"", "flood", |m| m.tag == b'C');
    assert_eq!(heard.iter().filter(|m| m.tag == b'Z').count(), 50_000);
    flood.join().unwrap().unwrap();
    // Terminate in the middle of a reply, and an end without a word in the middle of a pipeline and of a COPY.
    for end in [
        query("SELECT g FROM generate_series(1, 1000000) g"),
        [parse("", ROWS), bind("", "", &[])].concat(),
        query("COPY clinic.ward FROM STDIN"),
    ] {
        for terminated in [true, false] {
            let mut wire = Wire::through(&proxy, &database, "dba_gus");
            wire.send(&end);
            wire.send(&if terminated { frame(b'X', b"") } else { Vec::new() });
            drop(wire);
        }
    }
    lives(&proxy, &database, &mut other, "ends in the middle");
}

/// What a client sent before it ended its side, said goodbye or sent what is no message is answered first, as the
/// server does it.
#[test]
fn what_was_sent_before_the_end_is_answered() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, clear);
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    let slow = query("SELECT pg_sleep(0.2)");
    let by_protocol =
        [parse("", ROWS), bind("", "", &[]), describe_portal(""), execute("", 0), sync()].concat();
    let ends = [
        ("nothing", Vec::new()),
        ("goodbye", frame(b'X', b"")),
        ("half a message", query("SELECT 1")[..9].to_vec()),
        ("a lying length", with_length(b'Q', 1, b"")),
        ("an unknown message", frame(b'@', b"abc")),
        ("no message", b"garbage without an end".to_vec()),
        ("a pipeline without Sync", parse("", ROWS)),
    ];
    for (name, end) in ends {
        let mut wire = Wire::through(&proxy, &database, "dba_gus");
        let all = [slow.clone(), query(ROWS), by_protocol.clone(), by_protocol.clone(), end].concat();
        wire.send(&all);
        wire.stop_sending();
        let heard = answer(&mut wire, b"", name, |_| false);
        assert_eq!(heard.iter().filter(|m| m.tag == b'Z').count(), 4, "{name}: {}", tags(&heard));
        assert!(heard.iter().filter(|m| m.tag == b'D').count() > 900, "{name}");
        // In the middle of COPY nothing more can come of it.
        let mut wire = Wire::through(&proxy, &database, "dba_gus");
        wire.send(&[query("BEGIN"), query("COPY clinic.ward FROM STDIN"), copy_data(b"9\t")].concat());
        wire.stop_sending();
        let begun = Instant::now();
        answer(&mut wire, b"", name, |_| false);
        assert!(begun.elapsed() < Duration::from_secs(5), "{name}");
    }
    lives(&proxy, &database, &mut other, "ends");
}
