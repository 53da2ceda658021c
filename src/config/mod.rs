//! The configuration file, from TOML to validated types ("parse, don't validate").
//!
//! [`load`] gives a [`Config`] whose values need no further looking at, or every error of the file
//! at once, each with its place. It reads one file and nothing else: whether certificates, keys
//! and tables exist is found out by `pgglass check` and by whoever opens them.

mod assignment;
mod categories;
mod diagnostic;
mod login;
mod masks;
mod policy;
mod reader;
mod roles;
mod server;
mod tables;
mod terms;
mod units;
mod version;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use diagnostic::{ConfigErrors, Diagnostic, Place, Severity};
pub use login::{Account, LoginMethod, LoginSettings, UpstreamLogin};

pub(crate) use server::is_loopback;

use crate::catalog::QualifiedName;
use crate::policy::Policy;
use diagnostic::Findings;
use reader::Section;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file it came from, as it was named.
    pub file: PathBuf,
    /// `[listen]`
    pub listen: Listen,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[login]`
    pub login: LoginSettings,
    /// How long before a certificate ends the log warns, longest first.
    pub warn_before: Vec<Duration>,
    /// `[ledger]`
    pub ledger: LedgerSettings,
    /// Everything about who sees what.
    pub policy: Arc<Policy>,
    /// What is allowed but should be looked at.
    pub warnings: Vec<Diagnostic>,
}

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// Certificate and key; `None` only together with [`Cleartext::Loopback`] and a loopback address.
    pub tls: Option<TlsFiles>,
    /// Who may connect without TLS.
    pub cleartext: Cleartext,
    /// Most client connections at a time.
    pub max_connections: u32,
    /// Most sessions of one user at a time; `None` is as many as there are connections.
    pub max_connections_per_user: Option<u32>,
    /// A session that is idle outside a transaction for longer is ended.
    pub idle_session_timeout: Option<Duration>,
    /// A session that is idle inside a transaction for longer is ended.
    pub idle_in_transaction_session_timeout: Option<Duration>,
    /// Time from accept to a finished login.
    pub login_timeout: Duration,
    /// How long SIGTERM waits for running statements.
    pub shutdown_grace: Duration,
}

/// PEM files of one end of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, the leaf first.
    pub certificate: PathBuf,
    /// Private key.
    pub private_key: PathBuf,
}

/// Who may connect without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cleartext {
    /// Nobody.
    Never,
    /// Peers whose address is a loopback address.
    Loopback,
}

/// The PostgreSQL server behind the proxy, and the proxy's own account there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS towards the server.
    pub tls: UpstreamTls,
    /// Our certificate, shown to a server that asks for one.
    pub identity: Option<TlsFiles>,
    /// As whom clients are logged in.
    pub login: UpstreamLogin,
    /// Time for a connection to be established.
    pub connect_timeout: Duration,
    /// The proxy's own account.
    pub service_user: String,
    /// File with that account's password; surrounding white space does not count.
    pub service_password_file: PathBuf,
    /// The database whose catalog the policy is held against.
    pub service_database: String,
    /// The query that yields the SCRAM verifier of user `$1` and, optionally, until when it holds.
    pub auth_query: String,
    /// How often the catalog is looked at for changes made elsewhere.
    pub catalog_poll: Duration,
}

/// TLS towards the server; the words are libpq's `sslmode`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UpstreamTls {
    /// None: loopback or a link that is trusted otherwise.
    Disable,
    /// Encrypted; the server's certificate is not looked at.
    Require,
    /// Encrypted, and the certificate must be signed by `ca` and carry the host's name.
    VerifyFull {
        /// PEM file with the accepted authorities.
        ca: PathBuf,
    },
}

/// Where and how the ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSettings {
    /// Name of this node; stands in checkpoints. Letters, digits, `-`, `_`, `.`.
    pub node: String,
    /// Folder of the log.
    pub directory: PathBuf,
    /// File with the Ed25519 signing key.
    pub signing_key: PathBuf,
    /// Longest time between checkpoints while there are new records.
    pub checkpoint_every: Duration,
    /// Bytes of a segment file before the next one begins.
    pub segment_bytes: u64,
    /// A flush that takes longer counts as failed.
    pub flush_deadline: Duration,
    /// Bytes kept free for break-glass and denial records when the disk fills.
    pub reserve: u64,
    /// What happens when a record cannot be made durable.
    pub on_failure: OnLedgerFailure,
}

/// What happens when a record cannot be made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnLedgerFailure {
    /// The statement fails with GLS-230; the proxy keeps running.
    FailOperation,
    /// The proxy ends.
    Shutdown,
}

/// Reads a configuration file. Relative paths in it count from the file's folder.
///
/// # Errors
/// All that is wrong with it, or that it cannot be read.
pub fn load(path: impl AsRef<Path>) -> Result<Config, ConfigErrors> {
    let path = path.as_ref();
    let failed = |message: String, help: Option<String>| ConfigErrors {
        errors: vec![Diagnostic {
            severity: Severity::Error,
            file: path.to_owned(),
            place: None,
            message,
            help,
        }],
        warnings: Vec::new(),
    };
    let bytes = std::fs::read(path).map_err(|e| failed(format!("cannot read the file: {e}"), None))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        failed(format!("not UTF-8 text (at byte {at})"), Some("save the file as UTF-8".to_owned()))
    })?;
    parse(&text, path)
}

/// A name as configurations write them: `schema.name`, a part with a dot or a quote in double quotes. A name of one
/// part has an empty schema.
pub(crate) fn name_of(text: &str) -> Option<QualifiedName> {
    match reader::split_name(text, 2).as_deref() {
        Some([schema, name]) => Some(QualifiedName::new(schema.as_str(), name.as_str())),
        _ => match reader::split_name(text, 1).as_deref() {
            Some([name]) => Some(QualifiedName::new("", name.as_str())),
            _ => None,
        },
    }
}

/// Reads a configuration text; `file` is where it is said to come from.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigErrors> {
    let mut findings = Findings::new(file, text);
    let (root, syntax) = toml::de::DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        // What follows a syntax error would be guesswork: only the syntax is reported.
        for error in syntax {
            findings.error(error.span().unwrap_or(0..0), error.message().trim_end());
        }
        return Err(findings.finish().err().unwrap_or(ConfigErrors { errors: vec![], warnings: vec![] }));
    }
    let base = file.parent().unwrap_or(Path::new(""));
    let mut top = Section::new("", 0..0, root.get_ref());
    let listen = server::listen(&mut top, base, &mut findings);
    let upstream = server::upstream(&mut top, base, &mut findings);
    let ledger = server::ledger(&mut top, base, &mut findings);
    let policy = policy::read(&mut top, &mut findings);
    let draft = login::login(&mut top, base, &mut findings);
    let warn_before = login::warn_before(&mut top, &mut findings);
    let parts = (listen.as_ref(), upstream.as_ref(), policy.as_ref());
    let login = login::together(draft, &mut top, parts, &mut findings);
    top.finish(&mut findings);
    let warnings = findings.finish()?;
    match (listen, upstream, ledger, policy) {
        (Some(listen), Some(upstream), Some(ledger), Some(policy)) => {
            let policy = Arc::new(policy);
            Ok(Config {
                file: file.to_owned(),
                listen,
                upstream,
                login,
                warn_before,
                ledger,
                policy,
                warnings,
            })
        }
        _ => Err(ConfigErrors { errors: vec![incomplete(file)], warnings }),
    }
}

/// A part that is absent without an error of its own: no file is known that does this, and if one
/// exists it is refused all the same.
fn incomplete(file: &Path) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        file: file.to_owned(),
        place: None,
        message: "the configuration is incomplete".to_owned(),
        help: None,
    }
}
