//! One connection of the proxy's own account to the server: password file, TLS, and errors that
//! say what to do. Connections that carry clients' statements are not made here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{Upstream, UpstreamTls};

/// Why the proxy's own account could not connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The password file cannot be read or is empty.
    #[error("cannot read a password from {}: {reason}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The authorities for `verify-full` cannot be read.
    #[error("cannot use the certificate authorities in {}: {reason}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Our certificate or its key cannot be used.
    #[error("cannot use {} to show the server who we are: {reason}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing answers there.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// `host:port`.
        server: String,
        /// Why.
        reason: String,
    },
    /// TLS was asked for and cannot be had: the server speaks none, or its certificate is not accepted.
    #[error("no TLS connection to {server}: {reason}; check upstream.tls, upstream.ca and upstream.host")]
    Tls {
        /// `host:port`.
        server: String,
        /// Why.
        reason: String,
    },
    /// Something answers that is no PostgreSQL server.
    #[error("{server} does not answer as a PostgreSQL server should: {reason}")]
    NotPostgres {
        /// `host:port`.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server refuses the account.
    #[error("{server} refuses user {user}: {reason}; check service_user and service_password_file")]
    Refused {
        /// `host:port`.
        server: String,
        /// The account.
        user: String,
        /// The server's words.
        reason: String,
    },
    /// The server answers with another error, for example an unknown database.
    #[error("{server} answers: {reason}")]
    Server {
        /// `host:port`.
        server: String,
        /// The server's words.
        reason: String,
    },
}

/// Connects the proxy's own account to its database, with an empty search path. The connection's
/// background task ends when the client is dropped.
///
/// # Errors
/// [`ConnectError`], with what to do about it in its text.
pub async fn connect(upstream: &Upstream) -> Result<tokio_postgres::Client, ConnectError> {
    let password = read_password(&upstream.service_password_file)?;
    connect_with(upstream, Some(&password)).await
}

/// The same with a password that stands in no file, or with none.
///
/// # Errors
/// As [`connect`].
pub async fn connect_with(
    upstream: &Upstream,
    password: Option<&str>,
) -> Result<tokio_postgres::Client, ConnectError> {
    let mut config = tokio_postgres::Config::new();
    if let Some(password) = password {
        config.password(password);
    }
    config
        .host(&upstream.host)
        .port(upstream.port)
        .user(&upstream.service_user)
        .dbname(&upstream.service_database)
        .application_name("pgglass")
        .connect_timeout(upstream.connect_timeout)
        .keepalives_idle(std::time::Duration::from_secs(30))
        .options("-c search_path= -c default_transaction_read_only=on");
    let tls = match &upstream.tls {
        UpstreamTls::Disable => {
            config.ssl_mode(tokio_postgres::config::SslMode::Disable);
            return run(&config, tokio_postgres::NoTls, upstream).await;
        }
        UpstreamTls::Require => {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = tls_builder(Arc::clone(&provider), upstream)?;
            let verifier = Arc::new(AnyCertificate { provider });
            shown(builder.dangerous().with_custom_certificate_verifier(verifier), upstream)?
        }
        UpstreamTls::VerifyFull { ca } => {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            shown(tls_builder(provider, upstream)?.with_root_certificates(authorities(ca)?), upstream)?
        }
    };
    config.ssl_mode(tokio_postgres::config::SslMode::Require);
    run(&config, MakeRustlsConnect::new(tls), upstream).await
}

fn tls_builder(
    provider: Arc<CryptoProvider>,
    upstream: &Upstream,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ConnectError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| ConnectError::Tls { server: server_name(upstream), reason: e.to_string() })
}

/// With our certificate, if there is one, for a server that asks.
fn shown(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    upstream: &Upstream,
) -> Result<ClientConfig, ConnectError> {
    let Some(files) = &upstream.identity else { return Ok(builder.with_no_client_auth()) };
    let failed = |path: &Path, reason: String| ConnectError::Identity { path: path.to_owned(), reason };
    let of_certificate = |e: String| failed(&files.certificate, e);
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .map_err(|e| of_certificate(e.to_string()))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| of_certificate(e.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.private_key)
        .map_err(|e| failed(&files.private_key, e.to_string()))?;
    builder.with_client_auth_cert(chain, key).map_err(|e| of_certificate(e.to_string()))
}

fn authorities(path: &Path) -> Result<RootCertStore, ConnectError> {
    let failed = |reason: String| ConnectError::Authorities { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| failed(e.to_string()))? {
        let certificate = certificate.map_err(|e| failed(e.to_string()))?;
        roots.add(certificate).map_err(|e| failed(e.to_string()))?;
    }
    if roots.is_empty() { Err(failed("no certificate in it".to_owned())) } else { Ok(roots) }
}

/// The first words of the file: a trailing newline is no part of a password.
pub(crate) fn read_password(path: &Path) -> Result<String, ConnectError> {
    let failed = |reason: String| ConnectError::PasswordFile { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    let password = text.trim();
    if password.is_empty() { Err(failed("it is empty".to_owned())) } else { Ok(password.to_owned()) }
}

fn server_name(upstream: &Upstream) -> String {
    format!("{}:{}", upstream.host, upstream.port)
}

async fn run<T>(
    config: &tokio_postgres::Config,
    tls: T,
    upstream: &Upstream,
) -> Result<tokio_postgres::Client, ConnectError>
where
    T: tokio_postgres::tls::MakeTlsConnect<tokio_postgres::Socket>,
    T::Stream: Send + 'static,
{
    // `connect_timeout` covers the TCP handshake only; a peer that accepts and says nothing must
    // not hold the start of the proxy for ever.
    let deadline = upstream.connect_timeout.saturating_mul(2);
    let connecting = tokio::time::timeout(deadline, config.connect(tls)).await;
    let (client, connection) = match connecting {
        Ok(result) => result.map_err(|e| classify(&e, upstream))?,
        Err(_) => {
            let reason = format!("no answer to the login within {} s", deadline.as_secs_f32());
            return Err(ConnectError::NotPostgres { server: server_name(upstream), reason });
        }
    };
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the service account's connection ended");
        }
    });
    Ok(client)
}

fn classify(error: &tokio_postgres::Error, upstream: &Upstream) -> ConnectError {
    let server = server_name(upstream);
    if let Some(db) = error.as_db_error() {
        let reason = db.message().to_owned();
        let refused = [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION];
        return if refused.contains(db.code()) {
            ConnectError::Refused { server, user: upstream.service_user.clone(), reason }
        } else {
            ConnectError::Server { server, reason }
        };
    }
    let mut reason = error.to_string();
    let mut unreachable = false;
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        unreachable |= inner.downcast_ref::<std::io::Error>().is_some_and(|e| {
            use std::io::ErrorKind as K;
            !matches!(e.kind(), K::UnexpectedEof | K::InvalidData | K::InvalidInput | K::Other)
        });
        let text = inner.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        source = inner.source();
    }
    // The driver does not show the kind of its errors but in their text.
    if reason.starts_with("error performing TLS handshake") {
        ConnectError::Tls { server, reason }
    } else if unreachable {
        ConnectError::Unreachable { server, reason }
    } else {
        ConnectError::NotPostgres { server, reason }
    }
}

/// libpq's `sslmode=require`: any certificate will do, but the peer must hold its key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
