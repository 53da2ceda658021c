//! Encryption before the login: who asks for what in which order, the kinds of certificates SCRAM can be bound to,
//! and the newest libpq. Not here: what is wrong with a password (main.rs).

use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::ChannelBinding;

use crate::support::*;

const GSS_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";

#[tokio::test]
async fn gssapi_is_declined_and_tls_or_clear_text_may_follow() {
    let proxy = proxy(Setup::default()).await;
    for (next, answer) in [(SSL_REQUEST.to_vec(), b'S'), (startup(b"user\0amy\0\0"), b'R')] {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(GSS_REQUEST).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'N');
        stream.write_all(&next).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), answer);
    }
    // Once each, and nothing behind it in the same breath.
    let twice = [GSS_REQUEST, GSS_REQUEST].concat();
    let early = [GSS_REQUEST, &startup(b"user\0amy\0\0")].concat();
    for bytes in [twice, early] {
        assert_eq!(proxy.raw(&bytes).await.as_deref(), Some("08P01"));
    }
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(GSS_REQUEST).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'N');
    stream.write_all(GSS_REQUEST).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'E');
}

#[tokio::test]
async fn clear_text_behind_a_request_never_reaches_the_tls_session() {
    // As a man in the middle would inject it (CVE-2021-23214): in one packet, and in two before the answer is read.
    let proxy = proxy(Setup::default()).await;
    let injected = startup(b"user\0amy\0\0");
    for pause in [0, 50] {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(SSL_REQUEST).await.unwrap();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        stream.write_all(&injected).await.unwrap();
        let mut said = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut said)).await.unwrap();
        // Never a question for a password: an error in clear text, or `S` and a failed handshake.
        assert!(!said.contains(&b'R') || said.first() != Some(&b'R'), "{said:?}");
        assert!(matches!(said.first(), None | Some(b'E' | b'S')), "{said:?}");
        if said.first() == Some(&b'S') {
            // What follows is a TLS alert (0x15) or nothing.
            assert!(matches!(said.get(1), None | Some(0x15)), "{said:?}");
        }
    }
}

#[tokio::test]
async fn scram_is_bound_to_certificates_of_every_hash() {
    for hash in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let proxy = proxy(Setup { signature: hash, ..Setup::default() }).await;
        let client = proxy.connect_tls(ChannelBinding::Require).await.unwrap();
        assert_eq!(whoami(&client).await, "amy");
        let said = psql(&proxy, "channel_binding=require", None).await.unwrap();
        assert_eq!(said, "amy", "libpq computes the same binding");
    }
    // Ed25519 has none: SCRAM without binding works, and a client that insists is not fooled.
    let proxy = proxy(Setup { signature: &rcgen::PKCS_ED25519, ..Setup::default() }).await;
    assert!(proxy.connect_tls(ChannelBinding::Disable).await.is_ok());
    assert!(proxy.connect_tls(ChannelBinding::Require).await.is_err());
}

/// psql with libpq of PostgreSQL 18, which knows protocol 3.2 and direct TLS, when the tests run against such a
/// distribution (tests/versions.sh).
#[tokio::test]
async fn libpq_18_speaks_protocol_3_2_and_direct_tls() {
    let library = bin("../lib");
    if !library.join("libpq.so.5.18").exists() {
        return;
    }
    let proxy = proxy(Setup::default()).await;
    for parameters in [
        "min_protocol_version=3.2 max_protocol_version=3.2 sslmode=require",
        "min_protocol_version=3.2 sslmode=disable",
        "max_protocol_version=latest sslmode=require channel_binding=require",
        "min_protocol_version=3.2 sslmode=verify-full sslnegotiation=direct channel_binding=require",
        "max_protocol_version=3.0 sslmode=require require_auth=scram-sha-256",
    ] {
        assert_eq!(psql(&proxy, parameters, Some(&library)).await.unwrap(), "amy", "{parameters}");
    }
}

/// What psql says to `SELECT current_user`; with libpq from another place.
async fn psql(proxy: &Proxy, parameters: &str, library: Option<&std::path::Path>) -> Result<String, String> {
    let text = format!(
        "host=127.0.0.1 port={} user=amy dbname=postgres sslrootcert={} {parameters}",
        proxy.address.port(),
        proxy.certificate.display()
    );
    let mut command = Command::new("psql");
    command.env("PGPASSWORD", "amy-pw").args(["-XAtc", "SELECT current_user", &text]);
    if let Some(library) = library {
        command.env("LD_LIBRARY_PATH", library);
    }
    let out = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    match out.status.success() {
        true => Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
    }
}
