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
