//! A certificate authority for one test process, its server certificate, and client settings.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName,
    DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate of a client and its key, PEM.
pub struct ClientIdentity {
    /// The certificate.
    pub certificate_pem: String,
    /// The key.
    pub key_pem: String,
}

impl Authority {
    /// The one of this process.
    pub fn shared() -> &'static Authority {
        static AUTHORITY: OnceLock<Authority> = OnceLock::new();
        AUTHORITY.get_or_init(Authority::new)
    }

    fn new() -> Self {
        let mut ca_params = CertificateParams::new(Vec::new()).unwrap();
        // A name of its own: OpenSSL takes a certificate issued by its own subject for self-signed.
        ca_params.distinguished_name = DistinguishedName::new();
        ca_params.distinguished_name.push(DnType::CommonName, "pgglass test authority");
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(ca_params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        Self {
            ca_pem: ca.pem(),
            server_pem: server.pem(),
            server_key_pem: key.serialize_pem(),
            ca_der: ca.der().clone(),
            issuer: ca,
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

    /// A client's certificate for this common name, e-mail address and serial number.
    pub fn client(&self, common_name: &str, email: Option<&str>, serial: u64) -> ClientIdentity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names.extend(email.map(|e| SanType::Rfc822Name(e.try_into().unwrap())));
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        ClientIdentity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// Another certificate of `localhost`.
    pub fn server_again(&self) -> ClientIdentity {
        self.server_with(|_| {})
    }

    /// A certificate of `localhost` whose time is over.
    pub fn ended_server(&self) -> ClientIdentity {
        self.server_with(|params| params.not_after = date_time_ymd(2020, 1, 1))
    }

    fn server_with(&self, change: impl FnOnce(&mut CertificateParams)) -> ClientIdentity {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        ClientIdentity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// A revocation list with these serial numbers, PEM.
    pub fn revocations(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A connector that shows this certificate.
    pub fn connector_with(&self, client: &ClientIdentity) -> MakeRustlsConnect {
        let chain = vec![CertificateDer::from_pem_slice(client.certificate_pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(client.key_pem.as_bytes()).unwrap();
        MakeRustlsConnect::new(self.builder().with_client_auth_cert(chain, key).unwrap())
    }

    /// A TLS connector that trusts this authority and nobody else.
    pub fn connector(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new(self.client_config())
    }

    /// Client settings that trust this authority and nobody else.
    pub fn client_config(&self) -> rustls::ClientConfig {
        self.builder().with_no_client_auth()
    }

    fn builder(&self) -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.ca_der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }
}
