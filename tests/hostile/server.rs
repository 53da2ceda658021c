//! Hostile servers: one message of a real server's reply is changed on its way to the proxy, at the login, later,
//! or on the proxy's own connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::wire::{Wire, bind, describe_portal, execute, frame, parse, query, sync};
use crate::common::{Database, Postgres, Proxy};
use crate::{answer, clear, lives, tags};

/// What is done to the reply of the user whose sessions are lied to.
#[derive(Debug, Clone)]
enum Lie {
    /// The connection ends after so many bytes.
    Cut(usize),
    /// This message has this length field.
    Length(usize, u32),
    /// This message has another tag.
    Tag(usize, u8),
    /// This message does not come.
    Lost(usize),
    /// This message comes twice.
    Twice(usize),
    /// These bytes come before this message.
    Before(usize, Vec<u8>),
    /// The body of this message ends so many bytes early, its length field telling the truth.
    Shorter(usize, usize),
    /// Nothing comes from this message on, and the connection stays.
    Silence(usize),
}

/// Between the proxy and the server: nothing is changed before a lie is told, and then only for one user.
struct Liar {
    port: u16,
    lie: Arc<Mutex<Option<Lie>>>,
}

impl Liar {
    fn before(server: u16, user: &'static str) -> Liar {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let lie = Arc::new(Mutex::new(None));
        let told = Arc::clone(&lie);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                thread::spawn(move || carry(client, server, user, &told));
            }
        });
        Liar { port, lie }
    }
}

fn carry(client: TcpStream, server: u16, user: &str, lie: &Mutex<Option<Lie>>) -> Option<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).ok()?;
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let mut first = [0; 4096];
    let n = from.read(&mut first).ok()?;
    to.write_all(&first[..n]).ok()?;
    let name = format!("user\0{user}\0");
    let lied_to = first[..n].windows(name.len()).any(|w| w == name.as_bytes());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    if lied_to {
        lying(&mut from, &mut to, lie)
    } else {
        std::io::copy(&mut from, &mut to).ok().map(|_| ())
    };
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
    None
}

/// Passes messages on, and changes one of those that come after the lie was ordered.
fn lying(from: &mut TcpStream, to: &mut TcpStream, lie: &Mutex<Option<Lie>>) -> Option<()> {
    let (mut at, mut sent) = (0, 0);
    loop {
        let mut header = [0; 5];
        from.read_exact(&mut header).ok()?;
        let mut body = vec![0; u32::from_be_bytes(header[1..].try_into().ok()?) as usize - 4];
        from.read_exact(&mut body).ok()?;
        let mut message = [&header[..], &body].concat();
        let lie = lie.lock().unwrap().clone();
        match lie {
            Some(Lie::Cut(after)) if sent + message.len() > after => {
                to.write_all(&message[..after - sent]).ok()?;
                return None;
            }
            Some(Lie::Length(n, length)) if n == at => message[1..5].copy_from_slice(&length.to_be_bytes()),
            Some(Lie::Tag(n, tag)) if n == at => message[0] = tag,
            Some(Lie::Lost(n)) if n == at => message.clear(),
            Some(Lie::Twice(n)) if n == at => message = message.repeat(2),
            Some(Lie::Silence(n)) if at >= n => message.clear(),
            Some(Lie::Before(n, ref bytes)) if n == at => message = [bytes, &message[..]].concat(),
            Some(Lie::Shorter(n, by)) if n == at => {
                let by = by.min(body.len());
                message = frame(header[0], &body[..body.len() - by]);
            }
            _ => {}
        }
        if lie.is_some() {
            (at, sent) = (at + 1, sent + message.len());
        }
        to.write_all(&message).ok()?;
    }
}

/// What a server may never say in the middle of a reply, or not so.
fn intrusions() -> Vec<Vec<u8>> {
    let row = |cells: &[&[u8]]| -> Vec<u8> {
        let mut body = u16::try_from(cells.len()).unwrap().to_be_bytes().to_vec();
        for cell in cells {
            body.extend(u32::try_from(cell.len()).unwrap().to_be_bytes());
            body.extend(*cell);
        }
        frame(b'D', &body)
    };
    vec![
        row(&[]),
        row(&[b"LEAKED"]),
        row(&[&b"LEAKED"[..]; 20]),
        frame(b'D', b"\xff\xff\0\0\0\x06LEAKED"),
        frame(b'D', b""),
        frame(b'T', b"\0\0"),
        frame(b'T', b"\xff\xff"),
        frame(b'T', b"\0\x01LEAKED\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"),
        frame(b'd', b"LEAKED"),
        frame(b'c', b""),
        frame(b'G', b"\0\0\0"),
        frame(b'H', b"\0\0\0"),
        frame(b'W', b"\0\0\0"),
        frame(b'R', &[0; 4]),
        frame(b'R', &[0, 0, 0, 3]),
        frame(b'K', &[0; 8]),
        frame(b'v', &[0; 8]),
        frame(b'V', b"\0\0\0\x06LEAKED"),
        frame(b'Z', b"I"),
        frame(b'Z', b"Q"),
        frame(b'Z', b""),
        frame(b'S', b"no NUL"),
        frame(b'S', b"client_encoding\0SJIS\0"),
        frame(b'S', b"standard_conforming_strings\0off\0"),
        frame(b'1', b""),
        frame(b'2', b""),
        frame(b'3', b""),
        frame(b'n', b""),
        frame(b's', b""),
        frame(b'I', b""),
        frame(b't', b"\xff\xff"),
        frame(b'C', b"SELECT 99\0"),
        frame(b'C', b"no NUL"),
        frame(b'E', b""),
        frame(b'E', b"SERROR"),
        frame(b'E', b"SERROR\0VERROR\0C22012\0Msaid in the middle\0\0"),
        frame(b'E', b"SFATAL\0VFATAL\0C57P01\0Mended in the middle\0\0"),
        frame(b'N', b"SNOTICE\0VNOTICE\0C00000\0MLEAKED\0\0"),
        frame(b'N', b"x"),
        frame(b'A', b"\0\0\0\x01c\0p\0"),
        frame(b'\0', b""),
        frame(0xff, b"LEAKED"),
        b"garbage".to_vec(),
        vec![0; 64],
    ]
}

fn lies() -> Vec<Lie> {
    let mut all: Vec<Lie> = (0..160).map(Lie::Cut).collect();
    all.extend((160..2400).step_by(61).map(Lie::Cut));
    for at in 0..9 {
        for length in [0, 3, 4, 5, 7, 200, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            all.push(Lie::Length(at, length));
        }
        all.extend(b"TDCZEN12nts3IGHdcRKSAV\0\xff".iter().map(|tag| Lie::Tag(at, *tag)));
        all.extend([
            Lie::Lost(at),
            Lie::Twice(at),
            Lie::Shorter(at, 1),
            Lie::Shorter(at, 5),
            Lie::Shorter(at, 1000),
        ]);
        all.extend(intrusions().into_iter().map(|bytes| Lie::Before(at, bytes)));
    }
    all
}

/// A proxy behind which the liar stands.
fn behind<'a>(liar: &Liar, database: &Database<'a>) -> Proxy<'a> {
    let real = format!("port = {}", Postgres::shared().port());
    Proxy::start_with(database, |config| {
        let config = clear(config);
        assert!(config.contains(&real));
        let config = config.replace(&real, &format!("port = {}", liar.port));
        config.replace("service_user =", "connect_timeout = \"2s\"\nservice_user =")
    })
}

/// A part of the lies in a normal run: each kind at another place.
fn every() -> usize {
    std::env::var("PGGLASS_HOSTILE_ALL").map_or(7, |_| 1)
}

/// Every lie about the answer to these messages.
fn lied_to(name: &str, bytes: &[u8], guarded: bool) {
    let database = Postgres::shared().demo();
    let liar = Liar::before(Postgres::shared().port(), "nurse_amy");
    let proxy = behind(&liar, &database);
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    for (n, lie) in lies().into_iter().enumerate().filter(|(n, _)| n % every() == 0) {
        let what = format!("{name}, lie {n}: {lie:?}");
        let mut wire = Wire::through(&proxy, &database, "nurse_amy");
        // Behind what the proxy asks by itself.
        assert_eq!(wire.query("SELECT 1").value(), "1", "{what}");
        *liar.lie.lock().unwrap() = Some(lie.clone());
        // A server that waits, or a message that was lost, is no fault of the proxy's: the client gives up.
        let mut socket = wire.socket();
        let giving_up = thread::spawn(move || {
            thread::sleep(Duration::from_millis(250));
            let _ = socket.shutdown(Shutdown::Write);
            socket.flush()
        });
        let heard = answer(&mut wire, bytes, &what, |m| m.tag == b'Z');
        *liar.lie.lock().unwrap() = None;
        if heard.last().is_some_and(|m| m.tag == b'Z') {
            drop(wire);
        }
        drop(giving_up);
        let contains = |word: &[u8]| heard.iter().any(|m| m.body.windows(word.len()).any(|w| w == word));
        assert!(!contains(b"__glass_"), "{what}: a hidden column left: {}", tags(&heard));
        assert!(!guarded || !contains(b"LEAKED"), "{what}: {}", tags(&heard));
    }
    lives(&proxy, &database, &mut other, name);
}

#[test]
fn a_server_that_lies_about_guarded_rows() {
    lied_to("guarded", &query("SELECT name, ssn FROM clinic.patient ORDER BY patient_id"), true);
}

#[test]
fn a_server_that_lies_about_guarded_rows_by_protocol() {
    let sql = "SELECT name FROM clinic.patient WHERE patient_id > $1 ORDER BY patient_id";
    let messages =
        [parse("", sql), bind("", "", &["1"]), describe_portal(""), execute("", 3), execute("", 0), sync()];
    lied_to("guarded by protocol", &messages.concat(), true);
}

#[test]
fn a_server_that_lies_about_other_rows() {
    lied_to("plain", &query("SELECT w.*, repeat('x', 100000) FROM clinic.ward w"), false);
}

/// Messages of the server at a login: three or four for SCRAM, AuthenticationOk, settings, key, ReadyForQuery.
const LOGIN_MESSAGES: usize = 20;

/// Lies from the first byte of a login on, and every kind of Authentication message at every step.
fn lies_at_login() -> Vec<Lie> {
    let mut all: Vec<Lie> = (0..LOGIN_MESSAGES).map(Lie::Silence).collect();
    all.extend((0..600).step_by(3).map(Lie::Cut));
    for at in 0..LOGIN_MESSAGES {
        for length in [0, 3, 4, 7, 200, 0x7fff_ffff, 0xffff_ffff] {
            all.push(Lie::Length(at, length));
        }
        all.extend(b"RSKZEDTCNvA1\0\xff".iter().map(|tag| Lie::Tag(at, *tag)));
        all.extend([Lie::Lost(at), Lie::Twice(at), Lie::Shorter(at, 1), Lie::Shorter(at, 1000)]);
        for kind in [0, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13, 0xffff_ffff_u32] {
            for rest in [&b""[..], b"\0", b"salt", b"SCRAM-SHA-256\0\0", b"r=x,s=eA==,i=1", b"v=eA=="] {
                all.push(Lie::Before(at, frame(b'R', &[&kind.to_be_bytes()[..], rest].concat())));
            }
        }
        all.extend(intrusions().into_iter().map(|bytes| Lie::Before(at, bytes)));
    }
    all
}

#[test]
fn a_server_that_lies_at_the_login() {
    let database = Postgres::shared().demo();
    let liar = Liar::before(Postgres::shared().port(), "nurse_amy");
    let proxy = behind(&liar, &database);
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    let (mut admitted, mut refused) = (0, 0);
    for (n, lie) in lies_at_login().into_iter().enumerate().filter(|(n, _)| n % every() == 0) {
        let what = format!("lie {n}: {lie:?}");
        *liar.lie.lock().unwrap() = Some(lie);
        // More than the time a login may take: after that, silence is a fault.
        let login = Wire::try_login(proxy.port(), database.name(), "nurse_amy", crate::SOON);
        *liar.lie.lock().unwrap() = None;
        match login {
            // Nothing of a connection that began with a lie is believed later.
            Ok(mut wire) => {
                admitted += 1;
                let socket = wire.socket();
                let giving_up = thread::spawn(move || {
                    thread::sleep(Duration::from_millis(250));
                    let _ = socket.shutdown(Shutdown::Write);
                });
                let heard =
                    answer(&mut wire, &query("SELECT name FROM clinic.patient"), &what, |m| m.tag == b'Z');
                let rows = heard.iter().filter(|m| m.tag == b'D').count();
                assert!(rows == 0 || rows == 25, "{what}: {}", tags(&heard));
                drop(giving_up);
            }
            Err(heard) => {
                refused += 1;
                assert!(!heard.iter().any(|m| m.tag == b'Z'), "{what}: {}", tags(&heard));
            }
        }
    }
    println!("{admitted} logins went on, {refused} did not");
    assert!(admitted > 0 && refused > admitted);
    lives(&proxy, &database, &mut other, "lies at the login");
}

/// The proxy's own connection: catalog, verifiers, assignments.
#[test]
fn a_server_that_lies_to_the_proxy_itself() {
    let database = Postgres::shared().demo();
    let liar = Liar::before(Postgres::shared().port(), "pgglass");
    let proxy = behind(&liar, &database);
    let mut other = Wire::through(&proxy, &database, "nurse_bob");
    for (n, lie) in lies().into_iter().enumerate().filter(|(n, _)| n % (every() * 4) == 0) {
        let what = format!("lie {n}: {lie:?}");
        // After the last lie it has to connect anew, with growing pauses.
        let until = Instant::now() + crate::SOON * 4;
        while Wire::try_login(proxy.port(), database.name(), "nurse_amy", crate::SOON).is_err() {
            assert!(Instant::now() < until, "{what}: no login any more: {}", proxy.log());
            thread::sleep(Duration::from_millis(100));
        }
        *liar.lie.lock().unwrap() = Some(lie);
        let login = Wire::try_login(proxy.port(), database.name(), "nurse_amy", crate::SOON * 2);
        *liar.lie.lock().unwrap() = None;
        if let Ok(mut wire) = login {
            let heard =
                answer(&mut wire, &query("SELECT name FROM clinic.patient"), &what, |m| m.tag == b'Z');
            let rows = heard.iter().filter(|m| m.tag == b'D').count();
            assert!(rows == 0 || rows == 25, "{what}: {}", tags(&heard));
        }
    }
    thread::sleep(crate::SOON / 2);
    lives(&proxy, &database, &mut other, "lies to the proxy");
}
