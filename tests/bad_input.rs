//! Wrong configurations, wrong servers, hostile first bytes: each gives a clear error, and a proxy
//! that serves goes on serving. Not here: what a logged-in user may do (tests/promises).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Database, Postgres, Proxy, pgglass};

/// A configuration that is right, in the folder of a stopped proxy, with its files.
struct Right {
    config: std::path::PathBuf,
    text: String,
}

fn right(database: &Database<'_>) -> Right {
    let mut proxy = Proxy::start(database);
    proxy.stop();
    let config = proxy.config();
    let text = std::fs::read_to_string(&config).unwrap();
    Right { config, text }
}

impl Right {
    /// Serves with one thing changed; it must end by itself, soon.
    fn serve(&self, from: &str, to: &str) -> (Output, String) {
        assert!(self.text.contains(from), "no {from:?} in the configuration");
        std::fs::write(&self.config, self.text.replacen(from, to, 1)).unwrap();
        ended(Command::new(env!("CARGO_BIN_EXE_pgglass")).args(["serve", "--config"]).arg(&self.config))
    }
}

/// Runs a command that must end within 40 s.
fn ended(command: &mut Command) -> (Output, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start pgglass");
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(40) {
            let _ = child.kill();
            let said = child.wait_with_output().unwrap();
            panic!("still running after 40 s: {}", String::from_utf8_lossy(&said.stderr));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("panicked"), "{said}");
    (output, said)
}

fn fails(right: &Right, from: &str, to: &str, words: &[&str]) {
    let (output, said) = right.serve(from, to);
    assert!(!output.status.success(), "{to}: it serves");
    assert!(output.status.code().is_some(), "{to}: ended by a signal");
    for word in words {
        assert!(said.contains(word), "{to}: no {word:?} in\n{said}");
    }
    assert!(!said.contains("listening"), "{to}: it listened first\n{said}");
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_a_suggestion() {
    let database = Postgres::shared().demo();
    let right = right(&database);
    let line = 1 + right.text.lines().position(|l| l.starts_with("scope = \"assigned\"")).unwrap();
    fails(
        &right,
        "scope = \"assigned\"",
        "scpe = \"assigned\"",
        &[&format!("pgglass.toml:{line}"), "scpe", "scope"],
    );
    let (output, _) = right.serve("[ledger]", "[legder]");
    let served = output.status.code();
    let checked =
        pgglass(&["check".as_ref(), "--offline".as_ref(), "--config".as_ref(), right.config.as_os_str()]);
    assert!(served.is_some_and(|c| c != 0) && checked.status.code().is_some_and(|c| c != 0));
    let said =
        String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("legder") && said.contains("ledger"), "{said}");
}

#[test]
fn wrong_values_and_files_are_named() {
    let database = Postgres::shared().demo();
    let right = right(&database);
    let dir = right.config.parent().unwrap().display().to_string();
    for (from, to, words) in [
        ("checkpoint_every = \"1s\"", "checkpoint_every = 1", &["checkpoint_every"][..]),
        ("scope = \"assigned\"", "scope = \"everyone\"", &["everyone", "assigned"]),
        ("key_type = \"int8\"", "key_type = \"int8\"\nkey_type = \"int8\"", &["key_type"]),
        ("[listen]", "[listen", &["pgglass.toml:"]),
        ("name = \"clinic.note\"", "name = \"clinic.notes\"", &["clinic.notes", "does not"]),
        ("key = \"patient_id\"", "key = \"person_id\"", &["person_id"]),
        ("secrets/service-password", "secrets/nothing", &["nothing"]),
        ("secrets/ledger.key", "secrets/nothing.key", &["nothing.key"]),
        ("service_user = \"pgglass\"", "service_user = \"nobody\"", &["nobody"]),
        ("FROM glass.verifier($1)", "FROM glass.verifyer($1)", &["verifyer"]),
    ] {
        fails(&right, from, to, words);
    }
    // The same folder and the right text serve again: nothing was damaged by failing.
    std::fs::write(&right.config, &right.text).unwrap();
    let missing = ended(
        Command::new(env!("CARGO_BIN_EXE_pgglass"))
            .args(["serve", "--config"])
            .arg(format!("{dir}/none.toml")),
    );
    assert!(!missing.0.status.success() && missing.1.contains("none.toml"), "{}", missing.1);
}

#[test]
fn wrong_tls_files_are_named() {
    let database = Postgres::shared().demo();
    let right = right(&database);
    let tls = right.config.parent().unwrap().join("tls");
    std::fs::write(
        tls.join("garbage.pem"),
        "-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    std::fs::write(tls.join("empty.pem"), "").unwrap();
    // The key of another certificate.
    let other = rcgen::KeyPair::generate().unwrap();
    std::fs::write(tls.join("other.key"), other.serialize_pem()).unwrap();
    private(&tls.join("other.key"));
    for (from, to, words) in [
        ("tls/server.crt", "tls/none.crt", &["none.crt"][..]),
        ("tls/server.crt", "tls/garbage.pem", &["garbage.pem"]),
        ("tls/server.crt", "tls/empty.pem", &["empty.pem"]),
        ("tls/server.key", "tls/none.key", &["none.key"]),
        ("tls/server.key", "tls/server.crt", &["server.crt"]),
        ("tls/server.key", "tls/other.key", &["other.key"]),
    ] {
        fails(&right, from, to, words);
    }
}

fn private(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn an_upstream_that_is_not_there_or_no_postgresql_is_named() {
    let database = Postgres::shared().demo();
    let right = right(&database);
    let port = format!("port = {}", database.server().port());
    let closed = common::free_port();
    fails(&right, &port, &format!("port = {closed}"), &[&closed.to_string()]);
    fails(&right, "host = \"127.0.0.1\"", "host = \"no-such-host.invalid\"", &["no-such-host.invalid"]);
    // Something that speaks first, something that answers nonsense, something that hangs up.
    for answer in [
        &b"220 mail.example ESMTP\r\n"[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"\0\0\0\0\0\0\0\0",
        b"R\x7f\xff\xff\xff\0\0\0\0",
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let fake = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.write_all(answer);
                let mut sink = [0; 512];
                let _ = stream.read(&mut sink);
            }
        });
        fails(&right, &port, &format!("port = {fake}"), &[&fake.to_string()]);
    }
}

fn startup(pairs: &[u8]) -> Vec<u8> {
    let length = u32::try_from(pairs.len() + 8).unwrap().to_be_bytes();
    [&length[..], &196_608_u32.to_be_bytes(), pairs].concat()
}

/// Sends bytes and reads what comes, at most a second of silence.
fn answer(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let _ = stream.write_all(bytes);
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut chunk) {
        got.extend_from_slice(&chunk[..n]);
    }
    got
}

/// Resident memory of a process, KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_first_packets_do_no_harm() {
    let database = Postgres::shared().demo();
    let proxy =
        Proxy::start_with(&database, |c| c.replace("cleartext = \"never\"", "cleartext = \"loopback\""));
    let amy = proxy.connect("nurse_amy").await;
    let before = resident(proxy.pid().unwrap());
    let gigabyte = 0x4000_0000_u32.to_be_bytes();
    let packets: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        vec![0; 64],
        vec![0xff; 64],
        [&gigabyte[..], &196_608_u32.to_be_bytes(), b"user\0amy\0\0"].concat(),
        [&0_u32.to_be_bytes()[..]].concat(),
        [&7_u32.to_be_bytes()[..], b"abc"].concat(),
        [&8_u32.to_be_bytes()[..], &0x0002_0000_u32.to_be_bytes()].concat(),
        startup(b"user\0nurse_amy"),
        startup(b"\0"),
        startup(b"database\0x\0\0"),
        startup(b"user\0\xff\xfe\0\0"),
        startup(b"user\0nobody_of_this_name\0database\0x\0\0"),
        startup(&[b"user\0".as_slice(), &vec![b'a'; 9000], b"\0\0"].concat()),
        // After a good startup packet: no SCRAM message but a query, and a password of a gigabyte.
        [startup(b"user\0nurse_amy\0\0"), b"Q\0\0\0\x0dSELECT 1\0".to_vec()].concat(),
        [startup(b"user\0nurse_amy\0\0"), b"p".to_vec(), gigabyte.to_vec(), vec![b'x'; 1000]].concat(),
        [startup(b"user\0nurse_amy\0\0"), b"p\0\0\0\x04".to_vec()].concat(),
        // TLS asked for, then something else.
        [&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes(), b"not TLS at all, sorry"].concat(),
        [&16_u32.to_be_bytes()[..], &80_877_102_u32.to_be_bytes(), &[0; 8]].concat(),
    ];
    for packet in &packets {
        let got = answer(proxy.port(), packet);
        assert!(!got.contains(&b'Z') || !got.windows(5).any(|w| w == b"Z\0\0\0\x05"), "{packet:?}: let in");
        assert_eq!(amy.count("SELECT count(*) FROM clinic.patient").await, 25);
    }
    let grown = resident(proxy.pid().unwrap()).saturating_sub(before);
    assert!(grown < 200 * 1024, "{grown} KiB more after hostile packets");
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
    // An error that a client can show, where the peer is a client.
    let unknown = answer(proxy.port(), &[&8_u32.to_be_bytes()[..], &0x0002_0000_u32.to_be_bytes()].concat());
    assert_eq!(unknown.first(), Some(&b'E'), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_logins_get_an_ordinary_error() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start(&database);
    let mut wrong = Vec::new();
    for (user, password, dbname) in [
        ("nurse_amy", "wrong", database.name()),
        ("nobody_of_this_name", "x", database.name()),
        ("postgres", "postgres-demo", database.name()),
        ("pgglass", "pgglass-demo", database.name()),
        ("nurse_amy", "nurse_amy-demo", "no_such_database"),
    ] {
        let mut config = proxy.client(user);
        config.password(password).dbname(dbname);
        match common::Session::connect_tls(&config).await {
            Ok(_) => wrong.push(format!("{user} to {dbname}: let in")),
            Err(error) => match error.as_db_error() {
                Some(db) => assert!(
                    matches!(db.code().code(), "28P01" | "28000" | "3D000" | "42501"),
                    "{user}: {db:?}"
                ),
                None => wrong.push(format!("{user} to {dbname}: no error of the protocol: {error}")),
            },
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(proxy.connect("nurse_amy").await.count("SELECT count(*) FROM clinic.patient").await, 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_cannot_be_parsed_leave_the_session() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start(&database);
    let amy = proxy.connect("nurse_amy").await;
    let deep = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let long = format!("SELECT {} FROM clinic.patient", vec!["1"; 5000].join(" + "));
    let wide =
        format!("SELECT name FROM clinic.patient WHERE patient_id IN ({})", vec!["880003"; 50_000].join(","));
    let ors =
        format!("SELECT name FROM clinic.patient WHERE {}", vec!["patient_id = 880003"; 5000].join(" OR "));
    for sql in
        ["SELEC", "SELECT $$", "SELECT (", ")", "\u{feff}SELECT", "SELECT 1 FROM", &deep, &long, &wide, &ors]
    {
        let short: String = sql.chars().take(60).collect();
        if let Err(error) = amy.try_rows(sql).await {
            assert!(error.as_db_error().is_some(), "{short}: {error}");
        }
        assert_eq!(amy.count("SELECT count(*) FROM clinic.patient").await, 25, "{short}");
    }
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_goes_away_is_an_ordinary_error_and_comes_back() {
    let server = Postgres::start();
    let database = server.demo();
    let proxy = Proxy::start(&database);
    let amy = proxy.connect("nurse_amy").await;
    server.psql(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    );
    assert!(amy.try_rows("SELECT count(*) FROM clinic.patient").await.is_err());
    let started = Instant::now();
    let again = loop {
        match proxy.try_connect("nurse_amy").await {
            Ok(session) => break session,
            Err(error) if started.elapsed() > Duration::from_secs(10) => panic!("{error:?}\n{}", proxy.log()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    assert_eq!(again.count("SELECT count(*) FROM clinic.patient").await, 25);
}
