//! Why a connection did not become a login, for operators, and what its client is told.
//! Not here: the sending (see `client`).

use std::io;

use super::frame::FrameError;
use super::message::{MessageError, Report};
use super::names::Names;
use super::scram::server::ScramError;
use super::startup::StartupError;

/// Why a connection did not become a login. The text is for the log; [`AcceptError::report`] is for the
/// client and says less.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The client closed before it logged in: a port check, or a client that asks for a password first.
    #[error("the client closed the connection before logging in")]
    Closed,
    /// The socket failed.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// The login took too long.
    #[error("the login took too long")]
    Timeout,
    /// The first packet is not PostgreSQL's.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// Bytes in clear text behind a request for encryption.
    #[error("received unencrypted data after an encryption request")]
    EarlyData,
    /// A second request for the same encryption.
    #[error("encryption was requested twice")]
    EncryptionTwice,
    /// TLS without SSLRequest, and we have no certificate.
    #[error("direct TLS requested, and no certificate is configured")]
    DirectTls,
    /// TLS without SSLRequest and without ALPN.
    #[error("direct TLS without ALPN protocol \"postgresql\"")]
    Alpn,
    /// The TLS handshake failed.
    #[error("TLS handshake: {0}")]
    Tls(io::Error),
    /// No TLS, and clear text is not allowed from there.
    #[error("the client did not use TLS")]
    Cleartext {
        /// Whether TLS was to be had.
        offered: bool,
    },
    /// No user name.
    #[error("no user name in the startup packet")]
    NoUser,
    /// A user or database name over 63 bytes.
    #[error("user or database name is too long")]
    NameTooLong,
    /// A replication connection.
    #[error("the client asked for a replication connection")]
    Replication,
    /// The caller does not admit logins now.
    #[error("not admitted: {0}")]
    NotAdmitted(Report),
    /// The verifier could not be looked up.
    #[error("cannot look up the password verifier: {0}")]
    Lookup(String),
    /// Bytes that are not frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message that is not what its tag says.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A message other than the password.
    #[error("expected a password message, got tag {0:#04x}")]
    Unexpected(u8),
    /// SCRAM failed; a wrong password is `WrongProof`.
    #[error("user {user:?}: {error}")]
    Scram {
        /// The user as claimed.
        user: String,
        /// Why.
        error: ScramError,
    },
    /// The user does not exist, may not log in, or has no SCRAM verifier.
    #[error("user {user:?}: no such user, or no SCRAM verifier")]
    NoVerifier {
        /// The user as claimed.
        user: String,
    },
    /// A client certificate is needed, and the client showed none.
    #[error("user {user:?}: no client certificate")]
    NoCertificate {
        /// The user as claimed.
        user: String,
    },
    /// The client's certificate stands for somebody else.
    #[error("user {user:?}: the certificate does not stand for this user: {names:?}")]
    CertificateName {
        /// The user as claimed.
        user: String,
        /// The names in the certificate.
        names: Box<Names>,
    },
    /// The password's `VALID UNTIL` has passed.
    #[error("user {user:?}: the password has expired")]
    Expired {
        /// The user as claimed.
        user: String,
    },
}

impl AcceptError {
    /// The user that was claimed, where the failure is about who it is.
    pub fn user(&self) -> Option<&str> {
        match self {
            AcceptError::Scram { user, .. }
            | AcceptError::NoVerifier { user }
            | AcceptError::NoCertificate { user }
            | AcceptError::CertificateName { user, .. }
            | AcceptError::Expired { user } => Some(user),
            _ => None,
        }
    }

    /// What the client is told; `None` if nobody listens or nothing could be understood. Who does not
    /// exist, has an expired password or a wrong one is told the same, in PostgreSQL's words.
    pub fn report(&self) -> Option<Report> {
        let protocol = |text: String| Some(Report::fatal("08P01", text));
        match self {
            AcceptError::Closed | AcceptError::Io(_) | AcceptError::Tls(_) | AcceptError::DirectTls => None,
            // Another protocol, or a client that says goodbye before it said who it is: PostgreSQL writes this to its
            // log alone (`ProcessStartupPacket`, COMMERROR).
            AcceptError::Startup(StartupError::Length | StartupError::Cancel) => None,
            AcceptError::Timeout => Some(Report::fatal("57014", "canceling authentication due to timeout")),
            AcceptError::Startup(error @ StartupError::Version { .. }) => {
                Some(Report::fatal("0A000", error.to_string()))
            }
            AcceptError::Startup(error) => protocol(error.to_string()),
            AcceptError::EarlyData => protocol("received unencrypted data after SSL request".into()),
            AcceptError::EncryptionTwice => protocol("encryption was requested twice".into()),
            AcceptError::Alpn => protocol(
                "received direct SSL connection request without ALPN protocol negotiation extension".into(),
            ),
            AcceptError::Cleartext { offered } => {
                let report =
                    Report::fatal("28000", "connections without TLS are not accepted from this address");
                Some(match offered {
                    true => report.hint("Connect with sslmode=require or stronger."),
                    false => report.detail(
                        "The proxy has no TLS certificate configured, so sslmode=require cannot work yet.",
                    ),
                })
            }
            AcceptError::NoUser => {
                Some(Report::fatal("28000", "no PostgreSQL user name specified in startup packet"))
            }
            AcceptError::NameTooLong => {
                Some(Report::fatal("42622", "user or database name is longer than 63 bytes"))
            }
            AcceptError::Replication => {
                Some(Report::fatal("42501", "replication connections are not accepted"))
            }
            AcceptError::NotAdmitted(report) => Some(report.clone()),
            AcceptError::Lookup(_) => {
                Some(Report::fatal("57P03", "passwords cannot be checked at the moment"))
            }
            AcceptError::Frame(error) => protocol(error.to_string()),
            AcceptError::Message(error) => protocol(error.to_string()),
            AcceptError::Unexpected(tag) => {
                protocol(format!("expected SASL response, got message type {tag}"))
            }
            // As `ClientAuthentication` and `auth_failed` say it.
            AcceptError::NoCertificate { .. } => {
                Some(Report::fatal("28000", "connection requires a valid client certificate"))
            }
            AcceptError::CertificateName { user, .. } => {
                Some(Report::fatal("28000", format!("certificate authentication failed for user \"{user}\"")))
            }
            AcceptError::Scram { user, error: ScramError::WrongProof }
            | AcceptError::NoVerifier { user }
            | AcceptError::Expired { user } => {
                Some(Report::fatal("28P01", format!("password authentication failed for user \"{user}\"")))
            }
            AcceptError::Scram { error, .. } => Some(Report::fatal(error.sqlstate(), error.to_string())),
        }
    }
}
