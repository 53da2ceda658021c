//! From the configuration to the values that the two ends of a connection are made with: certificates, trust, how
//! clients come in. Read at start and again at SIGHUP. Not here: what is done with them (`serve`).

use sha2::{Digest as _, Sha256};

use super::ServeError;
use crate::config::{self, Config, LoginMethod, UpstreamTls as TlsMode};
use crate::session::login::entry::Entry;
use crate::wire::client::{AcceptSettings, Cleartext, Method};
use crate::wire::tls::{ClientTrust, Identity, ServerTls, UpstreamTls};
use crate::wire::upstream::UpstreamSettings;

/// Iterations a user that does not exist seems to have: PostgreSQL's default (`scram_iterations`).
const MOCK_ITERATIONS: u32 = 4096;

/// All of them.
pub(super) struct Settings {
    pub(super) accept: AcceptSettings,
    pub(super) entry: Entry,
    pub(super) upstream: UpstreamSettings,
}

impl Settings {
    /// Reads every file that the configuration names for logins.
    pub(super) fn load(config: &Config) -> Result<Self, ServeError> {
        Ok(Self {
            accept: accept(config)?,
            entry: Entry::load(config).map_err(ServeError::Entry)?,
            upstream: upstream(config)?,
        })
    }
}

fn upstream(config: &Config) -> Result<UpstreamSettings, ServeError> {
    let upstream = &config.upstream;
    let identity = upstream
        .identity
        .as_ref()
        .map(|files| Identity { certificate: &files.certificate, key: &files.private_key });
    Ok(UpstreamSettings {
        host: upstream.host.clone(),
        port: upstream.port,
        tls: match &upstream.tls {
            TlsMode::Disable => UpstreamTls::Disable,
            TlsMode::Require => UpstreamTls::require(identity)?,
            TlsMode::VerifyFull { ca } => UpstreamTls::verify_full(Some(ca), identity)?,
        },
        connect_timeout: upstream.connect_timeout,
    })
}

fn accept(config: &Config) -> Result<AcceptSettings, ServeError> {
    let (listen, login) = (&config.listen, &config.login);
    let clients = login
        .client_ca
        .as_deref()
        .map(|authorities| ClientTrust { authorities, revocations: login.client_crl.as_deref() });
    let tls = match &listen.tls {
        None => None,
        Some(files) => Some(ServerTls::load(&files.certificate, &files.private_key, clients)?),
    };
    for warning in tls.iter().flat_map(|t| t.warnings()) {
        tracing::warn!("{warning}");
    }
    Ok(AcceptSettings {
        tls,
        cleartext: match listen.cleartext {
            config::Cleartext::Never => Cleartext::Never,
            config::Cleartext::Loopback => Cleartext::Loopback,
        },
        method: match login.method {
            LoginMethod::Scram => Method::Scram,
            LoginMethod::Cert => Method::Certificate,
            LoginMethod::CertAndScram => Method::CertificateAndScram,
        },
        names: login.names.clone(),
        login_timeout: listen.login_timeout,
        mock_secret: mock_secret(config)?,
        mock_iterations: MOCK_ITERATIONS,
    })
}

/// Derived from the ledger's signing key: a secret of this node that stays the same over restarts, so that the
/// salts of users that do not exist stay the same, too.
fn mock_secret(config: &Config) -> Result<[u8; 32], ServeError> {
    let path = &config.ledger.signing_key;
    let key = std::fs::read(path)
        .map(zeroize::Zeroizing::new)
        .map_err(|source| ServeError::SigningKey { path: path.clone(), source })?;
    Ok(Sha256::new().chain_update(b"pgglass salts of unknown users\0").chain_update(&*key).finalize().into())
}
