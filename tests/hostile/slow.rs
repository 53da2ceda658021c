//! Clients that send a byte at a time: the time of a login holds however much comes, others are served, and what waits
//! costs little.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::wire::{Wire, copy_data, frame, parse, query};
use crate::common::{Postgres, Proxy};
use crate::{clear, lives, resident};

/// Connections of each kind.
const EACH: usize = 30;
/// Time between two bytes.
const PACE: Duration = Duration::from_millis(100);
/// The time a login may take here.
const LOGIN: Duration = Duration::from_secs(3);

/// What is sent at once, and what then comes byte by byte.
fn beginnings() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let startup = |pairs: &[u8]| {
        let body = [&196_608_u32.to_be_bytes()[..], pairs].concat();
        [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], &body].concat()
    };
    let long = startup(&[b"user\0", &b"u".repeat(9000)[..], b"\0\0"].concat());
    let ssl = [&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes()].concat();
    // The beginning of a ClientHello of 500 bytes (RFC 8446, 4.1.2).
    let hello = [&b"\x16\x03\x01\x01\xf4\x01\0\x01\xf0\x03\x03"[..], &[7; 489]].concat();
    let amy = startup(b"user\0nurse_amy\0database\0x\0\0");
    let sasl =
        frame(b'p', &[&b"SCRAM-SHA-256\0"[..], &400_u32.to_be_bytes(), &b"n,,n=,r=".repeat(50)].concat());
    vec![
        ("startup", Vec::new(), long),
        ("SSLRequest", Vec::new(), ssl.repeat(50)),
        ("ClientHello", ssl, hello.clone()),
        ("direct TLS", Vec::new(), hello),
        ("SASL response", amy, sasl),
    ]
}

/// Sends byte by byte up to the end of the connection; how long that took.
fn drip(mut socket: TcpStream, bytes: &[u8], longest: Duration) -> Duration {
    let start = Instant::now();
    socket.set_read_timeout(Some(PACE)).unwrap();
    let mut heard = [0; 1024];
    for byte in bytes.iter().cycle() {
        let gone = socket.write_all(&[*byte]).is_err();
        let ended = match socket.read(&mut heard) {
            Ok(n) => n == 0,
            Err(e) => !matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        };
        if gone || ended || start.elapsed() > longest {
            break;
        }
    }
    start.elapsed()
}

#[test]
fn a_login_ends_in_time_however_slowly_it_comes() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, |config| {
        let config = clear(config).replace("cleartext =", "login_timeout = \"3s\"\ncleartext =");
        config.replace("cleartext =", "max_connections = 400\ncleartext =")
    });
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    let before = resident(proxy.pid().unwrap());
    let address = ("127.0.0.1", proxy.port());
    let slow: Vec<_> = beginnings()
        .into_iter()
        .flat_map(|beginning| vec![beginning; EACH])
        .map(|(what, at_once, slowly)| {
            thread::spawn(move || {
                let mut socket = TcpStream::connect(address).unwrap();
                socket.write_all(&at_once).unwrap();
                (what, drip(socket, &slowly, LOGIN * 4))
            })
        })
        .collect();
    thread::sleep(LOGIN / 2);
    let start = Instant::now();
    lives(&proxy, &database, &mut other, "slow logins");
    assert!(start.elapsed() < LOGIN, "others waited for {:?}", start.elapsed());
    let during = resident(proxy.pid().unwrap());
    println!("{before} MiB before, {during} MiB with {} slow logins", slow.len());
    assert!(during < before + 60, "{before} MiB before, {during} MiB during");
    for thread in slow {
        let (what, took) = thread.join().unwrap();
        assert!(took < LOGIN + Duration::from_secs(2), "{what}: {took:?}");
    }
    lives(&proxy, &database, &mut other, "after slow logins");
}

/// A session may take its time; it must not cost others theirs, nor memory for what it only announces.
#[test]
fn messages_that_come_slowly_hold_up_nobody_else() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, clear);
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    let before = resident(proxy.pid().unwrap());
    let announced = |tag: u8, bytes: &[u8]| [&[tag][..], &60_000_000_u32.to_be_bytes(), bytes].concat();
    let kinds = [
        query("SELECT name FROM clinic.patient"),
        parse("", "SELECT name FROM clinic.patient"),
        announced(b'Q', b"SELECT "),
        announced(b'P', b"\0SELECT "),
        announced(b'B', b"\0\0\0\0"),
        [query("COPY clinic.ward FROM STDIN"), copy_data(b"1\t2")].concat(),
    ];
    let mut slow: Vec<Wire> = Vec::new();
    let mut sockets = Vec::new();
    for kind in kinds.iter().cycle().take(24) {
        let wire = Wire::through(&proxy, &database, "dba_gus");
        sockets.push((wire.socket(), kind));
        slow.push(wire);
    }
    for at in 0..30 {
        for (socket, bytes) in &mut sockets {
            let _ = socket.write_all(bytes.get(at..=at).unwrap_or_default());
        }
        if at % 10 == 0 {
            lives(&proxy, &database, &mut other, "slow messages");
        }
    }
    let during = resident(proxy.pid().unwrap());
    println!("{before} MiB before, {during} MiB with {} slow sessions", slow.len());
    assert!(during < before + 60, "{before} MiB before, {during} MiB during");
    drop(slow);
    lives(&proxy, &database, &mut other, "after slow messages");
}
