//! Logins through both ends of `wire` against a real PostgreSQL, and hostile peers against either end.
//! Not here: statements and policy; after the login the bytes are relayed as they are.

// The helpers are not test functions, which clippy.toml's leave covers only.
#![allow(clippy::unwrap_used, clippy::zombie_processes)]

mod encryption;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pgglass::wire::buffered::FrameReader;
use pgglass::wire::client::{self, AcceptSettings, Accepted, Cleartext, Method};
use pgglass::wire::frame::Limits;
use pgglass::wire::message::{MessageError, Report};
use pgglass::wire::names::NameMap;
use pgglass::wire::scram::client::{ClientBinding, ClientSecret, ClientStart};
use pgglass::wire::tls::{ClientTrust, Identity, ServerTls, UpstreamTls};
use pgglass::wire::upstream::{self, Credentials, UpstreamError, UpstreamSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::NoTls;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use support::*;

#[tokio::test]
async fn a_user_logs_in_as_itself_without_a_stored_password() {
    let plain = proxy(Setup::default()).await;
    let client = plain.connect("amy", "amy-pw").await.unwrap();
    assert_eq!(whoami(&client).await, "amy");
    let rows = client.query("SELECT g FROM generate_series(1, 10000) g", &[]).await.unwrap();
    assert_eq!(rows.len(), 10_000);
    assert_eq!(whoami(&plain.connect("zoe", "zoe-pw").await.unwrap()).await, "zoe");
}

#[tokio::test]
async fn over_tls_on_both_sides_bound_and_unbound() {
    for upstream in [SERVER.verify_full(), UpstreamTls::require(None).unwrap()] {
        let proxy = proxy(Setup { cleartext: Cleartext::Never, upstream, ..Setup::default() }).await;
        for binding in [ChannelBinding::Require, ChannelBinding::Disable] {
            let client = proxy.connect_tls(binding).await.unwrap();
            assert_eq!(whoami(&client).await, "amy");
            // The upstream is under TLS too, and says so.
            let ssl: bool = client
                .query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])
                .await
                .unwrap()
                .get(0);
            assert!(ssl);
        }
    }
}

#[tokio::test]
async fn direct_tls_needs_the_protocols_name() {
    use tokio_rustls::TlsConnector;
    let proxy = proxy(Setup { cleartext: Cleartext::Never, ..Setup::default() }).await;
    for (alpn, tag) in [(true, b'R'), (false, b'E')] {
        let mut config = proxy.client_config();
        if alpn {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        let tcp = TcpStream::connect(proxy.address).await.unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        // Refused without ALPN before anything is read, so the write may find a closed connection.
        let _ = stream.write_all(&startup(b"user\0amy\0\0")).await;
        assert_eq!(stream.read_u8().await.unwrap(), tag, "{alpn}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_verified_and_named() {
    let dir = tempfile::tempdir().unwrap();
    write_certificate(dir.path(), "proxy");
    let authority = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::OrganizationName, name);
        let certificate = params.self_signed(&key).unwrap();
        (certificate, rcgen::Issuer::new(params, key))
    };
    let ((ours, issuer), (_, stranger)) = (authority("ours"), authority("stranger"));
    std::fs::write(dir.path().join("ca.crt"), ours.pem()).unwrap();
    let path = |name: &str| dir.path().join(name);
    let authorities = path("ca.crt");
    let trust = ClientTrust { authorities: &authorities, revocations: None };
    let tls = ServerTls::load(&path("proxy.crt"), &path("proxy.key"), Some(trust)).unwrap();
    let settings = AcceptSettings {
        tls: Some(tls),
        cleartext: Cleartext::Never,
        login_timeout: Duration::from_secs(5),
        method: Method::Scram,
        names: NameMap::default(),
        mock_secret: [7; 32],
        mock_iterations: 4096,
    };
    let verifiers = FromServer(SERVER.root().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (signer, let_in) in [(Some(&issuer), true), (Some(&stranger), false), (None, true)] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        roots.add(CertificateDer::from_pem_file(path("proxy.crt")).unwrap()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match signer {
            None => builder.with_no_client_auth(),
            Some(signer) => {
                let key = rcgen::KeyPair::generate().unwrap();
                let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
                params.distinguished_name = rcgen::DistinguishedName::new();
                params.distinguished_name.push(rcgen::DnType::CommonName, "nurse_amy");
                let certificate = params.signed_by(&key, signer).unwrap();
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        let mut client = tokio_postgres::Config::new();
        client.host("127.0.0.1").port(port).user("amy").password("amy-pw").ssl_mode(SslMode::Require);
        let connecting =
            tokio::spawn(async move { client.connect(MakeRustlsConnect::new(config)).await.is_ok() });
        let (tcp, _) = listener.accept().await.unwrap();
        match client::accept(tcp, &settings, &verifiers, Ok(())).await {
            Ok(Accepted::Login(login)) => {
                let tls = login.tls.clone().unwrap();
                assert!(let_in, "a stranger's certificate was accepted");
                assert_eq!(tls.client_name.as_deref(), signer.map(|_| "nurse_amy"));
                assert_eq!(tls.version, "TLSv1.3");
                login.refuse(&Report::fatal("57P03", "bye")).await;
            }
            other => assert!(!let_in, "{other:?}"),
        }
        assert!(!connecting.await.unwrap());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_user_is_not_told() {
    let proxy = proxy(Setup::default()).await;
    for (user, password) in
        [("amy", "wrong"), ("nobody", "x"), ("eve", "eve-pw"), ("old", "old-pw"), ("eve", "wrong")]
    {
        let error = proxy.connect(user, password).await.err().unwrap();
        let said = error.as_db_error().unwrap();
        assert_eq!(said.code(), &SqlState::INVALID_PASSWORD, "{user}");
        assert_eq!(said.message(), format!("password authentication failed for user \"{user}\""));
        assert_eq!(said.severity(), "FATAL");
        assert_eq!((said.detail(), said.hint()), (None, None));
    }
}

#[tokio::test]
async fn clear_text_is_refused_with_a_way_out() {
    let proxy = proxy(Setup { cleartext: Cleartext::Never, ..Setup::default() }).await;
    let error = proxy.connect("amy", "amy-pw").await.err().unwrap();
    let said = error.as_db_error().unwrap();
    assert_eq!(said.code(), &SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert!(said.hint().unwrap().contains("sslmode=require"));
}

#[tokio::test]
async fn without_a_certificate_tls_is_declined() {
    let proxy = proxy(Setup { tls: false, ..Setup::default() }).await;
    let prefer = proxy.config("amy", "amy-pw", SslMode::Prefer).connect(proxy.trust()).await;
    assert!(prefer.is_ok());
    assert!(proxy.connect_tls(ChannelBinding::Prefer).await.is_err());
}

#[tokio::test]
async fn a_login_that_is_not_admitted_hears_why() {
    let full = Report::fatal("53300", "sorry, too many clients already");
    let proxy = proxy(Setup { admission: Err(full), ..Setup::default() }).await;
    let error = proxy.connect("amy", "amy-pw").await.err().unwrap();
    assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS));
}

#[tokio::test]
async fn the_servers_own_refusal_reaches_the_client_whole() {
    let proxy = proxy(Setup::default()).await;
    let mut config = proxy.config("amy", "amy-pw", SslMode::Disable);
    let error = config.dbname("no_such_db").connect(NoTls).await.err().unwrap();
    let said = error.as_db_error().unwrap();
    assert_eq!(said.code(), &SqlState::UNDEFINED_DATABASE);
    assert_eq!(said.message(), "database \"no_such_db\" does not exist");
}

#[tokio::test]
async fn a_cancel_request_finds_its_statement() {
    for upstream in [UpstreamTls::Disable, SERVER.verify_full()] {
        let proxy = proxy(Setup { upstream, ..Setup::default() }).await;
        let client = proxy.connect("amy", "amy-pw").await.unwrap();
        let token = client.cancel_token();
        let sleeping = client.batch_execute("SELECT pg_sleep(20)");
        let cancelling = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            token.cancel_query(NoTls).await.unwrap();
        };
        let (error, ()) = tokio::join!(sleeping, cancelling);
        assert_eq!(error.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
        assert_eq!(whoami(&client).await, "amy");
    }
}

#[tokio::test]
async fn psql_logs_in_in_every_way() {
    let proxy = proxy(Setup::default()).await;
    for ssl in ["disable", "prefer", "require", "verify-full"] {
        let text = format!(
            "host=127.0.0.1 port={} user=amy dbname=postgres sslmode={ssl} sslrootcert={} application_name=ünicode",
            proxy.address.port(),
            proxy.certificate.display()
        );
        let run = move || {
            Command::new("psql")
                .env("PGPASSWORD", "amy-pw")
                .args(["-XAtc", "SHOW application_name", &text])
                .output()
        };
        let out = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
        let (said, error) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success() && !said.is_empty(), "{ssl}: {said} {error}");
    }
}

#[tokio::test]
async fn hostile_clients_are_told_and_closed() {
    let proxy = proxy(Setup::default()).await;
    let mut early = SSL_REQUEST.to_vec();
    early.extend_from_slice(&startup(b"user\0amy\0\0"));
    let ask = |more: &[u8]| [&startup(b"user\0amy\0\0")[..], more].concat();
    for (what, bytes, code) in [
        // As the server, which says this to its log alone; the last is a goodbye before the startup packet.
        ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), None),
        ("a gigabyte of startup", b"\x40\0\0\0\0\x03\0\0".to_vec(), None),
        ("terminate", b"X\0\0\0\x04".to_vec(), None),
        ("protocol 2", b"\0\0\0\x09\0\x02\0\0\0".to_vec(), Some("0A000")),
        ("early data", early, Some("08P01")),
        ("no user", startup(b"database\0x\0\0"), Some("28000")),
        ("replication", startup(b"user\0amy\0replication\0database\0\0"), Some("42501")),
        ("replication on", startup(b"user\0amy\0replication\0on\0\0"), Some("42501")),
        ("a long name", startup(&[b"user\0", &[b'a'; 64][..], b"\0\0"].concat()), Some("42622")),
        ("no terminator", startup(b"user\0amy\0"), Some("08P01")),
        ("a query for a password", ask(b"Q\0\0\0\x0dselect 1\0"), Some("08P01")),
        ("a gigabyte of password", ask(b"p\x40\0\0\0"), Some("08P01")),
        ("a length of zero", ask(b"p\0\0\0\0"), Some("08P01")),
        ("a mechanism of its own", ask(b"p\0\0\0\x0ePLAIN\0\0\0\0\0"), Some("08P01")),
        ("an empty response", ask(b"p\0\0\0\x04"), Some("08P01")),
        ("a tls record that is none", vec![0x16; 64], None),
    ] {
        assert_eq!(proxy.raw(&bytes).await.as_deref(), code, "{what}");
    }
    // The proxy still serves.
    assert_eq!(whoami(&proxy.connect("amy", "amy-pw").await.unwrap()).await, "amy");
}

#[tokio::test]
async fn a_silent_client_is_closed_in_time() {
    let setup = Setup { login_timeout: Duration::from_millis(300), ..Setup::default() };
    let proxy = proxy(setup).await;
    assert_eq!(proxy.raw(b"\0\0").await.as_deref(), Some("57014"));
    assert_eq!(proxy.raw(&startup(b"user\0amy\0\0")).await.as_deref(), Some("57014"));
}

#[tokio::test]
async fn newer_protocols_are_negotiated_down() {
    let proxy = proxy(Setup::default()).await;
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    let mut packet = startup(b"user\0amy\0_pq_.future\0on\0\0");
    packet[4..8].copy_from_slice(&((3u32 << 16) | 9999).to_be_bytes());
    stream.write_all(&packet).await.unwrap();
    let mut reader = FrameReader::new(stream, Limits::only(1000), BytesMut::new());
    let negotiated = reader.frame().await.unwrap().unwrap();
    assert_eq!((negotiated.tag(), negotiated.body()), (b'v', &b"\0\x03\0\x02\0\0\0\x01_pq_.future\0"[..]));
    assert_eq!(reader.frame().await.unwrap().unwrap().tag(), b'R');
}

#[tokio::test]
async fn protocol_3_2_has_long_cancel_keys() {
    use pgwire::messages::{Message, cancel::CancelRequest, startup as pg};
    let message = |message: &dyn Fn(&mut BytesMut)| {
        let mut out = BytesMut::new();
        message(&mut out);
        out
    };
    let proxy = proxy(Setup::default()).await;
    let mut packet = startup(b"user\0amy\0database\0postgres\0\0");
    packet[4..8].copy_from_slice(&((3u32 << 16) | 2).to_be_bytes());
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(&packet).await.unwrap();
    let mut reader = FrameReader::new(stream, Limits::only(1000), BytesMut::new());
    let sasl = reader.frame().await.unwrap().unwrap();
    assert_eq!(sasl.body(), b"\0\0\0\x0aSCRAM-SHA-256\0\0");

    let start = ClientStart::new(ClientBinding::Unsupported, "nonce".into());
    let first = pg::SASLInitialResponse::new("SCRAM-SHA-256".into(), Some(start.first().into()));
    let bytes = message(&|out| first.encode(out).unwrap());
    reader.get_mut().write_all(&bytes).await.unwrap();
    let challenge = reader.frame().await.unwrap().unwrap();
    let password = ClientSecret::Password(String::from("amy-pw").into());
    let (answer, proof) = start.challenge(&challenge.body()[4..], &password).unwrap();
    let answer = pg::SASLResponse::new(answer.into());
    // A query right behind the proof is not lost.
    let mut bytes = message(&|out| answer.encode(out).unwrap());
    bytes.extend_from_slice(b"Q\0\0\0\x18SELECT pg_sleep(20)\0");
    reader.get_mut().write_all(&bytes).await.unwrap();
    let last = reader.frame().await.unwrap().unwrap();
    proof.server_final(&last.body()[4..]).unwrap();

    let mut key = None;
    loop {
        let frame = reader.frame().await.unwrap().unwrap();
        match frame.tag() {
            b'K' => key = Some(frame.body_bytes()),
            b'Z' => break,
            _ => {}
        }
    }
    let key = key.unwrap();
    assert_eq!(key.len(), 4 + 32);
    let (pid, secret) = (i32::from_be_bytes(key[..4].try_into().unwrap()), key.slice(4..));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let cancel = CancelRequest::new(pid, pg::SecretKey::Bytes(secret));
    let mut other = TcpStream::connect(proxy.address).await.unwrap();
    other.write_all(&message(&|out| cancel.encode(out).unwrap())).await.unwrap();
    let cancelled = loop {
        let frame = reader.frame().await.unwrap().unwrap();
        if frame.tag() == b'E' {
            break Report::decode(&frame.body_bytes()).unwrap();
        }
    };
    assert_eq!(cancelled.code(), "57014");
}

/// A server that sends `says` and then closes, or keeps silent.
async fn fake_server(says: &'static [u8], close: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 512]).await;
        stream.write_all(says).await.unwrap();
        if !close {
            std::future::pending::<()>().await;
        }
    });
    port
}

#[tokio::test]
async fn peers_that_are_no_postgresql_are_named() {
    let parameters = [("user".to_owned(), "amy".to_owned())].into();
    let login = |port, tls, credentials| {
        let connect_timeout = Duration::from_millis(500);
        let settings = UpstreamSettings { host: "127.0.0.1".into(), port, tls, connect_timeout };
        let parameters = &parameters;
        async move { upstream::connect(&settings, parameters, &credentials).await.err().unwrap() }
    };
    let plain = |port| login(port, UpstreamTls::Disable, Credentials::None);
    let http: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    assert!(
        matches!(plain(fake_server(http, true).await).await, UpstreamError::NotPostgres(s) if s.starts_with("HTTP/1.1"))
    );
    assert!(matches!(plain(fake_server(b"", false).await).await, UpstreamError::Timeout));
    assert!(matches!(plain(fake_server(b"", true).await).await, UpstreamError::Closed));
    assert!(matches!(plain(fake_server(b"R\x40\0\0\0", false).await).await, UpstreamError::NotPostgres(_)));
    assert!(matches!(plain(free_port()).await, UpstreamError::Connect { .. }));
    let md5: &[u8] = b"R\0\0\0\x0c\0\0\0\x05abcd";
    assert!(matches!(plain(fake_server(md5, false).await).await, UpstreamError::Method(_)));
    // Ready before authenticated: not a login.
    assert!(matches!(plain(fake_server(b"Z\0\0\0\x05I", false).await).await, UpstreamError::NotPostgres(_)));
    // In the middle of SCRAM a plain "you are in" is not believed.
    let unproved: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x08\0\0\0\0";
    let password = || Credentials::Scram(ClientSecret::Password(String::from("pw").into()));
    let error = login(fake_server(unproved, false).await, UpstreamTls::Disable, password()).await;
    assert!(matches!(error, UpstreamError::Unproved), "{error}");
    let require = || UpstreamTls::require(None).unwrap();
    assert!(matches!(
        login(fake_server(b"N", false).await, require(), password()).await,
        UpstreamError::NoTls
    ));
    assert!(matches!(
        login(fake_server(http, true).await, require(), password()).await,
        UpstreamError::NotPostgres(_)
    ));
    // A certificate for another authority is not trusted.
    let dir = tempfile::tempdir().unwrap();
    write_certificate(dir.path(), "other");
    let other = UpstreamTls::verify_full(Some(&dir.path().join("other.crt")), None).unwrap();
    assert!(matches!(login(SERVER.port, other, password()).await, UpstreamError::Tls(_)));
}

#[tokio::test]
async fn our_certificate_is_shown_upstream() {
    let path = |name: &str| SERVER.dir.path().join(name);
    let (certificate, key) = (&path("proxy.crt"), &path("proxy.key"));
    let tls = UpstreamTls::require(Some(Identity { certificate, key })).unwrap();
    let proxy = proxy(Setup { upstream: tls, ..Setup::default() }).await;
    let client = proxy.connect("amy", "amy-pw").await.unwrap();
    let sql = "SELECT client_dn IS NOT NULL FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn a_password_logs_in_upstream_too() {
    let parameters =
        [("user".to_owned(), "amy".to_owned()), ("database".to_owned(), "postgres".to_owned())].into();
    let with = |text: &str| Credentials::Scram(ClientSecret::Password(text.to_owned().into()));
    for tls in [UpstreamTls::Disable, SERVER.verify_full()] {
        let settings = SERVER.upstream(tls);
        let server = upstream::connect(&settings, &parameters, &with("amy-pw")).await.unwrap();
        assert!(server.parameters.iter().any(|(name, _)| name == "server_version"));
        assert!(server.pid > 0 && server.secret.len() == secret_bytes(&server) && server.buffered.is_empty());
        let wrong = upstream::connect(&settings, &parameters, &with("wrong")).await.unwrap_err();
        assert!(matches!(wrong, UpstreamError::Refused(report) if report.code() == "28P01"));
        let mut smuggled = parameters.clone();
        smuggled.insert("application_name".into(), "x\0replication\0true".into());
        let refused = upstream::connect(&settings, &smuggled, &with("amy-pw")).await.unwrap_err();
        assert!(matches!(refused, UpstreamError::Message(MessageError::Nul)));
    }
}
