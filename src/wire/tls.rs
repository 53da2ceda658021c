//! TLS settings from files: our certificate towards clients, trust towards the server.
//!
//! Both values are immutable and cheap to clone: a reload loads a new one and swaps it.
//! The crypto provider is always passed explicitly (ring), so no process-wide default matters.
//! Not here: the handshakes (see `client` and `upstream`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
};

/// The ALPN protocol of PostgreSQL (manual, "SSL Session Encryption"); IANA-registered.
pub const ALPN: &[u8] = b"postgresql";

/// Where distributions keep the certificates of public authorities.
const SYSTEM_CA: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why TLS cannot be set up. Every text names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {what} {}: {source}", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not PEM, or holds something else.
    #[error("{} holds no {what} in PEM form", path.display())]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error("private key {} does not belong to certificate {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate or key is not acceptable to rustls.
    #[error("cannot use {}: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// No file with the certificates of public authorities.
    #[error("no system certificates found; name a file with `ca`")]
    NoSystemCa,
    /// The provider cannot do TLS 1.2 and 1.3.
    #[error("TLS versions: {0}")]
    Versions(rustls::Error),
}

impl TlsError {
    fn of_identity(source: rustls::Error, Identity { certificate, key }: Identity<'_>) -> Self {
        match source {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Mismatch { certificate: certificate.into(), key: key.into() }
            }
            source => TlsError::Unusable { path: certificate.into(), source },
        }
    }
}

/// The files of a certificate chain (leaf first) and its key, both PEM.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The chain's file.
    pub certificate: &'a Path,
    /// The key's file.
    pub key: &'a Path,
}

/// Whose certificates clients may show, both files PEM.
#[derive(Debug, Clone, Copy)]
pub struct ClientTrust<'a> {
    /// The authorities.
    pub authorities: &'a Path,
    /// Their revocation lists. With this file every authority of a chain needs one, as with PostgreSQL's
    /// `ssl_crl_file`; a list that is out of date still counts.
    pub revocations: Option<&'a Path>,
}

/// Longest TLS record towards clients, bytes. libpq makes room for 8 KiB before it reads (fe-misc.c, `pqReadData`);
/// the rest of a longer record waits inside OpenSSL, where a client that polls the socket does not see it: it
/// hangs. PostgreSQL itself never sends more than 8 KiB in one record.
const RECORD: usize = 8 * 1024;

/// TLS towards clients.
#[derive(Clone)]
pub struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
    /// Our certificate's channel binding; `None` if it has none, then SCRAM-SHA-256-PLUS is not offered.
    pub(crate) end_point: Option<Arc<[u8]>>,
    warnings: Vec<String>,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Loads certificate chain and key. With `clients`, a client may present a certificate, and one that these
    /// authorities did not sign or have revoked is refused; none is needed.
    ///
    /// # Errors
    /// [`TlsError`] for files that are missing, not PEM, or do not belong together.
    pub fn load(certificate: &Path, key: &Path, clients: Option<ClientTrust<'_>>) -> Result<Self, TlsError> {
        let chain = certificates("certificate", certificate)?;
        let (private, warnings) = private_key(key)?;
        let end_point = chain.first().and_then(|leaf| super::cert::end_point_hash(leaf)).map(Arc::from);
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(ClientTrust { authorities: path, revocations: lists }) => {
                let lists = lists.map(revocations).transpose()?.unwrap_or_default();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider)
                    .with_crls(lists)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|e| TlsError::Unusable {
                        path: path.into(),
                        source: rustls::Error::General(e.to_string()),
                    })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, private)
            .map_err(|source| TlsError::of_identity(source, Identity { certificate, key }))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.max_fragment_size = Some(RECORD);
        Ok(ServerTls { config: Arc::new(config), end_point, warnings })
    }

    /// What an operator should know, such as a key that others can read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// TLS towards the server.
#[derive(Clone)]
pub enum UpstreamTls {
    /// Clear text: for loopback or a link that is trusted otherwise.
    Disable,
    /// TLS or no connection. How the server is trusted is in the value.
    Enable(Arc<ClientConfig>),
}

impl std::fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            UpstreamTls::Disable => "Disable",
            UpstreamTls::Enable(_) => "Enable",
        })
    }
}

impl UpstreamTls {
    /// `require` as libpq means it: encrypted, with whatever certificate the server shows. It protects
    /// against listeners. Against someone in the middle only SCRAM's channel binding does, which
    /// `upstream` uses when the server offers it and which one in the middle can hide. With `identity`
    /// the server is shown our certificate if it asks.
    ///
    /// # Errors
    /// [`TlsError`] for an identity that cannot be used.
    pub fn require(identity: Option<Identity<'_>>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)));
        Self::enable(builder, identity)
    }

    /// `verify-full`: the server's certificate must be for the host connected to, signed by `ca` or, without
    /// it, by an authority the system trusts. With `identity` the server is shown our certificate if it
    /// asks.
    ///
    /// # Errors
    /// [`TlsError`] if there are no usable authorities, or for an identity that cannot be used.
    pub fn verify_full(ca: Option<&Path>, identity: Option<Identity<'_>>) -> Result<Self, TlsError> {
        let roots = match ca {
            Some(path) => roots(path)?,
            None => {
                let path =
                    SYSTEM_CA.iter().map(Path::new).find(|p| p.exists()).ok_or(TlsError::NoSystemCa)?;
                // A system's bundle may hold a certificate rustls does not read; the others still count.
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(certificates("authority", path)?);
                store
            }
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?
            .with_root_certificates(roots);
        Self::enable(builder, identity)
    }

    fn enable(
        builder: ConfigBuilder<ClientConfig, WantsClientCert>,
        identity: Option<Identity<'_>>,
    ) -> Result<Self, TlsError> {
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates("certificate", identity.certificate)?;
                let (key, _) = private_key(identity.key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|source| TlsError::of_identity(source, identity))?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(UpstreamTls::Enable(Arc::new(config)))
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { what, path: path.into(), source })
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(what, path)?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) | Err(_) => Err(TlsError::Pem { what: "certificate", path: path.into() }),
    }
}

fn revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let pem = read("revocation list", path)?;
    match CertificateRevocationListDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(lists) if !lists.is_empty() => Ok(lists),
        Ok(_) | Err(_) => Err(TlsError::Pem { what: "revocation list", path: path.into() }),
    }
}

/// The certificates of a PEM file, for a look at their dates.
///
/// # Errors
/// [`TlsError`] for a file that is missing or not PEM.
pub fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates("certificate", path)
}

fn private_key(path: &Path) -> Result<(PrivateKeyDer<'static>, Vec<String>), TlsError> {
    let pem = zeroize::Zeroizing::new(read("private key", path)?);
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| TlsError::Pem { what: "private key", path: path.into() })?;
    let mut warnings = Vec::new();
    if readable_by_others(path) {
        warnings.push(format!("private key {} can be read by others; chmod 0600 it", path.display()));
    }
    Ok((key, warnings))
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> bool {
    false
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("authority", path)? {
        store.add(certificate).map_err(|source| TlsError::Unusable { path: path.into(), source })?;
    }
    Ok(store)
}

/// Accepts any certificate, and still checks that the server holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
