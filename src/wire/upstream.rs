//! The connecting end: from an address to a server that is ready for queries, logged in as the client's
//! user. Not here: which server, and what to do when it is down.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pgwire::messages::{cancel as pg_cancel, startup as pg};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::buffered::{FrameReader, ReadError};
use super::frame::Limits;
use super::message::{self, Authentication, MessageError, Report, ServerTag, Status};
use super::scram::client::{ClientBinding, ClientProof, ClientSecret, ClientStart, ScramClientError};
use super::stream::{Stream, prepare};
use super::tls::UpstreamTls;

/// No message of a login is longer than this, bytes of body; libpq's limit is 30,000.
const MAX_LOGIN_MESSAGE: u32 = 64 * 1024;

/// Where the server is and how it is reached.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Encryption and trust.
    pub tls: UpstreamTls,
    /// From the first packet to ReadyForQuery; also for the whole of a cancel request.
    pub connect_timeout: Duration,
}

/// What to prove oneself with.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// SCRAM, with keys recovered from a client or with a password.
    Scram(ClientSecret),
    /// Nothing; only a server that trusts the connection lets it in.
    None,
}

/// A server that is ready for queries.
#[derive(Debug)]
pub struct Upstream {
    /// The connection.
    pub stream: Stream,
    /// Parameter statuses in the order they came.
    pub parameters: Vec<(String, String)>,
    /// The backend's process id; 0 if the server gave no key.
    pub pid: i32,
    /// The backend's cancel secret; empty if the server gave no key.
    pub secret: Bytes,
    /// The transaction status.
    pub status: Status,
    /// Notices sent during the login, as raw messages.
    pub notices: Vec<Bytes>,
    /// Bytes read beyond ReadyForQuery.
    pub buffered: BytesMut,
}

/// Why there is no connection to the server.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No TCP connection.
    #[error("cannot connect to {host}:{port}: {source}")]
    Connect {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// The whole took longer than `connect_timeout`.
    #[error("the server did not answer in time")]
    Timeout,
    /// The server does not do TLS, and the settings demand it.
    #[error("the server does not support TLS")]
    NoTls,
    /// The TLS handshake failed; also a certificate that is not trusted.
    #[error("TLS with the server: {0}")]
    Tls(io::Error),
    /// The host is not a name that a certificate can be checked for.
    #[error("{0:?} is not a host name")]
    HostName(String),
    /// The peer does not speak PostgreSQL.
    #[error("the peer is not a PostgreSQL server (it sent {0:?})")]
    NotPostgres(String),
    /// The server closed during the login.
    #[error("the server closed the connection during the login")]
    Closed,
    /// The connection failed during the login.
    #[error("connection to the server lost: {0}")]
    Io(io::Error),
    /// The server said no; its report is whole.
    #[error("the server refused the login: {0}")]
    Refused(Report),
    /// SCRAM failed on our side.
    #[error(transparent)]
    Scram(#[from] ScramClientError),
    /// The server asks for something else than SCRAM.
    #[error(
        "the server asks for {0}, which a SCRAM pass-through cannot answer; use scram-sha-256 in pg_hba.conf"
    )]
    Method(&'static str),
    /// The server asks for a password, and all we have is a certificate.
    #[error(
        "the server asks for a password where our certificate should do; use cert with a map in pg_hba.conf"
    )]
    PasswordAsked,
    /// The server let us in in the middle of an exchange, without having proved itself.
    #[error("the server ended the SCRAM exchange without proving itself")]
    Unproved,
    /// A message that is not what its tag says, or out of place.
    #[error("the server sent a malformed login message: {0}")]
    Message(#[from] MessageError),
    /// The operating system has no randomness to give.
    #[error("no randomness for a nonce")]
    Random,
}

impl UpstreamError {
    /// What a client is told. The server's own report is handed on as it is; everything else says no
    /// more than that there is no connection (08006), and the rest is for the log.
    pub fn report(&self) -> Report {
        match self {
            UpstreamError::Refused(report) => report.clone(),
            UpstreamError::Scram(ScramClientError::VerifierChanged) => {
                Report::fatal("28P01", "the password was changed while logging in; connect again")
            }
            _ => Report::fatal("08006", "the proxy has no connection to the database server"),
        }
    }
}

/// Connects, encrypts, logs in, and reads up to ReadyForQuery. `parameters` are the startup parameters to
/// send, `user` among them. A server that asks for no password lets us in as it would any client; it has
/// then not proved itself either, and only `verify-full` tells who it is.
///
/// # Errors
/// [`UpstreamError`].
pub async fn connect(
    settings: &UpstreamSettings,
    parameters: &BTreeMap<String, String>,
    credentials: &Credentials,
) -> Result<Upstream, UpstreamError> {
    timeout(settings.connect_timeout, async {
        let stream = open(settings).await?;
        login(stream, parameters, credentials).await
    })
    .await
    .unwrap_or(Err(UpstreamError::Timeout))
}

/// Asks the server to cancel what the backend `pid` does, over TLS if the upstream uses it, and waits
/// until the server has closed, so that the request has been acted on.
///
/// # Errors
/// [`UpstreamError`]; never whether something was cancelled, which the server does not say.
pub async fn cancel(settings: &UpstreamSettings, pid: i32, secret: &Bytes) -> Result<(), UpstreamError> {
    let request = async {
        let mut stream = open(settings).await?;
        let request = pg_cancel::CancelRequest::new(pid, pg::SecretKey::Bytes(secret.clone()));
        stream.write_all(&message::encode(&request)).await.map_err(UpstreamError::Io)?;
        stream.flush().await.map_err(UpstreamError::Io)?;
        // A server closes without a word; how exactly does not matter.
        let _ = stream.read(&mut [0; 1]).await;
        Ok(())
    };
    timeout(settings.connect_timeout, request).await.unwrap_or(Err(UpstreamError::Timeout))
}

async fn open(settings: &UpstreamSettings) -> Result<Stream, UpstreamError> {
    let UpstreamSettings { host, port, tls, connect_timeout: _ } = settings;
    let connecting = async {
        let tcp = TcpStream::connect((host.as_str(), *port)).await?;
        prepare(&tcp)?;
        Ok(tcp)
    };
    let mut tcp = connecting.await.map_err(|source| UpstreamError::Connect {
        host: host.clone(),
        port: *port,
        source,
    })?;
    let config = match tls {
        UpstreamTls::Disable => return Ok(Stream::Plain(tcp)),
        UpstreamTls::Enable(config) => config,
    };
    let name = ServerName::try_from(host.clone()).map_err(|_| UpstreamError::HostName(host.clone()))?;
    tcp.write_all(&message::encode(&pg::SslRequest::new())).await.map_err(UpstreamError::Io)?;
    // Exactly one byte is read: what may follow in clear text goes to TLS, which refuses it
    // (CVE-2021-23222).
    match tcp.read_u8().await {
        Ok(b'S') => {}
        Ok(b'N' | b'E') => return Err(UpstreamError::NoTls),
        Ok(other) => return Err(not_postgres(&[other], &mut tcp).await),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(UpstreamError::Closed),
        Err(e) => return Err(UpstreamError::Io(e)),
    }
    let stream = TlsConnector::from(config.clone()).connect(name, tcp).await.map_err(UpstreamError::Tls)?;
    Ok(Stream::Tls(Box::new(stream.into())))
}

/// The error with the beginning of what the peer sent, for the operator to recognise it.
async fn not_postgres(start: &[u8], tcp: &mut TcpStream) -> UpstreamError {
    let mut said = BytesMut::from(start);
    said.reserve(32);
    let _ = tcp.try_read_buf(&mut said);
    UpstreamError::NotPostgres(excerpt(&said))
}

fn excerpt(said: &[u8]) -> String {
    String::from_utf8_lossy(said.get(..24).unwrap_or(said)).into_owned()
}

async fn login(
    mut stream: Stream,
    parameters: &BTreeMap<String, String>,
    credentials: &Credentials,
) -> Result<Upstream, UpstreamError> {
    // A NUL or an empty name would let a value be read as another parameter.
    if parameters.iter().any(|(name, value)| name.is_empty() || name.contains('\0') || value.contains('\0')) {
        return Err(MessageError::Nul.into());
    }
    let end_point = server_end_point(&stream);
    let mut startup = pg::Startup::new();
    let (major, minor) = message::UPSTREAM_PROTOCOL.version_number();
    (startup.protocol_number_major, startup.protocol_number_minor) = (major, minor);
    startup.parameters.clone_from(parameters);
    let packet = message::encode(&startup);
    if packet.is_empty() {
        return Err(MessageError::TooMany.into());
    }
    stream.write_all(&packet).await.map_err(UpstreamError::Io)?;
    stream.flush().await.map_err(UpstreamError::Io)?;

    let mut reader = FrameReader::new(stream, Limits::only(MAX_LOGIN_MESSAGE), BytesMut::new());
    let mut scram = Scram::Before;
    let (mut statuses, mut notices, mut key) = (Vec::new(), Vec::new(), (0, Bytes::new()));
    loop {
        let frame = match reader.frame().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(UpstreamError::Closed),
            Err(ReadError::Frame(_)) => {
                return Err(UpstreamError::NotPostgres(excerpt(reader.decoder_mut().buffered())));
            }
            Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                let said = reader.decoder_mut().buffered();
                return Err(UpstreamError::NotPostgres(excerpt(said)));
            }
            Err(ReadError::Io(e)) => return Err(UpstreamError::Io(e)),
        };
        match ServerTag::of(frame.tag()) {
            Some(ServerTag::Authentication) => {
                let asked = message::decode_authentication(frame.body())?;
                let (next, answer) = scram.step(asked, credentials, end_point.as_deref())?;
                scram = next;
                if let Some(answer) = answer {
                    let stream = reader.get_mut();
                    stream.write_all(&answer).await.map_err(UpstreamError::Io)?;
                    stream.flush().await.map_err(UpstreamError::Io)?;
                }
            }
            Some(ServerTag::ErrorResponse) => {
                return Err(UpstreamError::Refused(Report::decode(&frame.body_bytes())?));
            }
            Some(ServerTag::NoticeResponse) => notices.push(frame.into_raw()),
            // Before PostgreSQL 18: an older minor version, whose cancel keys are shorter. Nothing else differs.
            Some(ServerTag::NegotiateProtocolVersion) if matches!(scram, Scram::Before) => {
                message::decode_negotiate(frame.body(), minor)?;
            }
            // What follows means we are in, so it counts only after AuthenticationOk.
            Some(ServerTag::ParameterStatus) if matches!(scram, Scram::In) => {
                let (name, value) = message::decode_parameter_status(frame.body())?;
                statuses.push((name.to_owned(), value.to_owned()));
            }
            Some(ServerTag::BackendKeyData) if matches!(scram, Scram::In) => {
                key = message::decode_backend_key(&frame.body_bytes())?;
            }
            Some(ServerTag::ReadyForQuery) if matches!(scram, Scram::In) => {
                let status = Status::decode(frame.body())?;
                let (stream, buffered) = reader.into_parts();
                let (parameters, (pid, secret)) = (statuses, key);
                return Ok(Upstream { stream, parameters, pid, secret, status, notices, buffered });
            }
            Some(_) | None => return Err(UpstreamError::NotPostgres(excerpt(&frame.raw()))),
        }
    }
}

/// The channel binding of the server's certificate.
fn server_end_point(stream: &Stream) -> Option<Vec<u8>> {
    let Stream::Tls(tls) = stream else { return None };
    tls.get_ref().1.peer_certificates()?.first().and_then(|leaf| super::cert::end_point_hash(leaf))
}

/// How far the authentication is.
enum Scram {
    Before,
    Started(ClientStart),
    Proved(ClientProof),
    /// The server proved itself; AuthenticationOk is to follow.
    Verified,
    /// AuthenticationOk came.
    In,
}

impl Scram {
    fn step(
        self,
        asked: Authentication<'_>,
        credentials: &Credentials,
        end_point: Option<&[u8]>,
    ) -> Result<(Self, Option<Bytes>), UpstreamError> {
        match (self, asked, credentials) {
            (Scram::Before | Scram::Verified, Authentication::Ok, _) => Ok((Scram::In, None)),
            (Scram::Before, Authentication::Sasl(offered), Credentials::Scram(_)) => {
                let binding = ClientBinding::choose(offered, end_point.map(<[u8]>::to_vec))?;
                let nonce = super::scram::nonce().map_err(|_| UpstreamError::Random)?;
                let mechanism = binding.mechanism().to_owned();
                let start = ClientStart::new(binding, nonce);
                let response = pg::SASLInitialResponse::new(mechanism, Some(start.first().into()));
                Ok((Scram::Started(start), Some(message::encode(&response))))
            }
            (Scram::Started(start), Authentication::SaslContinue(challenge), Credentials::Scram(secret)) => {
                let (answer, proof) = start.challenge(challenge, secret)?;
                let response = pg::SASLResponse::new(answer.into());
                Ok((Scram::Proved(proof), Some(message::encode(&response))))
            }
            (Scram::Proved(proof), Authentication::SaslFinal(last), _) => {
                proof.server_final(last)?;
                Ok((Scram::Verified, None))
            }
            (Scram::Started(_) | Scram::Proved(_), Authentication::Ok, _) => Err(UpstreamError::Unproved),
            (Scram::Before, Authentication::Sasl(_), Credentials::None) => Err(UpstreamError::PasswordAsked),
            (_, Authentication::Cleartext, _) => Err(UpstreamError::Method("a password in clear text")),
            (_, Authentication::Md5, _) => Err(UpstreamError::Method("an MD5 password")),
            (_, Authentication::Other(_), _) => Err(UpstreamError::Method("Kerberos, GSSAPI or SSPI")),
            (_, Authentication::Ok | Authentication::Sasl(_), _)
            | (_, Authentication::SaslContinue(_) | Authentication::SaslFinal(_), _) => {
                Err(MessageError::Unknown(u32::from(b'R')).into())
            }
        }
    }
}
