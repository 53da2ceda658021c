//! A certificate authority for one test process, its server certificate, and client settings.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use tokio_postgres_rustls::MakeRustlsConnect;

/// The authority that every server of this test process has its certificate from.
pub struct Authority {
    /// The authority's certificate, PEM.
    pub ca_pem: String,
    /// The certificate of `localhost` and `127.0.0.1`, PEM.
    pub server_pem: String,
    /// Its key, PEM.
    pub server_key_pem: String,
    ca_der: CertificateDer<'static>,
}

impl Authority {
    /// The one of this process.
    pub fn shared() -> &'static Authority {
        static AUTHORITY: OnceLock<Authority> = OnceLock::new();
        AUTHORITY.get_or_init(Authority::new)
    }

    fn new() -> Self {
        let mut ca_params = CertificateParams::new(Vec::new()).unwrap();
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = CertifiedIssuer::self_signed(ca_params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        Self {
            ca_pem: ca.pem(),
            server_pem: server.pem(),
            server_key_pem: key.serialize_pem(),
            ca_der: ca.der().clone(),
        }
    }

    /// Writes `server.crt`, `server.key` (readable by the owner only) and `ca.crt` to `directory`.
    pub fn write_to(&self, directory: &Path) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(directory.join("ca.crt"), &self.ca_pem).unwrap();
        std::fs::write(directory.join("server.crt"), &self.server_pem).unwrap();
        let key = directory.join("server.key");
        std::fs::write(&key, &self.server_key_pem).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A TLS connector that trusts this authority and nobody else.
    pub fn connector(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new(self.client_config())
    }

    /// Client settings that trust this authority and nobody else.
    pub fn client_config(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.ca_der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}
