//! Tests of TLS settings: every wrong file is named.

use super::*;

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Files { dir: tempfile::tempdir().unwrap() };
        for name in ["a", "b"] {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
            fs::write(files.path(&format!("{name}.crt")), made.cert.pem()).unwrap();
            fs::write(files.path(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
        }
        fs::write(files.path("empty"), "").unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn load(&self, certificate: &str, key: &str) -> Result<ServerTls, TlsError> {
        ServerTls::load(&self.path(certificate), &self.path(key), None)
    }
}

#[test]
fn each_wrong_file_is_named() {
    let files = Files::new();
    for (certificate, key, says) in [
        ("none", "a.key", "cannot read certificate"),
        ("a.crt", "none", "cannot read private key"),
        ("a.crt", "b.key", "b.key does not belong to certificate"),
        ("empty", "a.key", "empty holds no certificate"),
        ("a.crt", "empty", "empty holds no private key"),
        ("a.key", "a.crt", "a.key holds no certificate"),
        ("a.crt", "a.crt", "a.crt holds no private key"),
    ] {
        let error = files.load(certificate, key).unwrap_err().to_string();
        assert!(error.contains(says), "{certificate} {key}: {error}");
    }
    assert!(UpstreamTls::verify_full(Some(&files.path("empty")), None).is_err());
    assert!(UpstreamTls::verify_full(Some(&files.path("a.crt")), None).is_ok());
    let (certificate, key) = (&files.path("a.crt"), &files.path("b.key"));
    let error = UpstreamTls::require(Some(Identity { certificate, key })).unwrap_err().to_string();
    assert!(error.contains("b.key does not belong to certificate"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_key_for_everyone_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let files = Files::new();
    for (mode, warnings) in [(0o600, 0), (0o640, 0), (0o644, 1)] {
        fs::set_permissions(files.path("a.key"), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(files.load("a.crt", "a.key").unwrap().warnings().len(), warnings, "{mode:o}");
    }
}

/// The lengths in the headers of the records in `bytes` (RFC 8446, 5.1).
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let Some(header) = bytes.get(..5) {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        lengths.push(length);
        bytes = &bytes[5 + length..];
    }
    lengths
}

#[test]
fn no_record_to_a_client_is_longer_than_libpq_reads_at_once() {
    use std::io::Write;
    let files = Files::new();
    let tls = files.load("a.crt", "a.key").unwrap();
    let UpstreamTls::Enable(trusting) = UpstreamTls::require(None).unwrap() else { panic!("TLS is wanted") };
    let mut server = rustls::ServerConnection::new(tls.config).unwrap();
    let mut client = rustls::ClientConnection::new(trusting, "localhost".try_into().unwrap()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut up).unwrap();
        }
        server.read_tls(&mut &up[..]).unwrap();
        server.process_new_packets().unwrap();
        while server.wants_write() {
            server.write_tls(&mut down).unwrap();
        }
        client.read_tls(&mut &down[..]).unwrap();
        client.process_new_packets().unwrap();
    }
    server.writer().write_all(&[b'x'; 60_000]).unwrap();
    let mut sent = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut sent).unwrap();
    }
    let lengths = records(&sent);
    // Seventeen bytes are the cipher's.
    assert!(lengths.len() > 7 && lengths.iter().all(|n| *n <= 8 * 1024 + 17), "{lengths:?}");
}
