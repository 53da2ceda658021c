//! The accepting end: from a fresh socket to a client that has proved who it is.
//!
//! Everything that fails on the way is answered with PostgreSQL's own error before it is returned. A
//! success is not answered: the caller connects upstream first, then calls [`Login::welcome`] or
//! [`Login::refuse`]. Not here: listening, where verifiers come from, which users may do what.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use pgwire::messages::startup as pg;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

pub use super::client_error::AcceptError;
use super::frame::{Frame, FrameDecoder, Limits};
use super::message::{self, Body, ClientTag, MessageError, Report, Status};
use super::names::NameMap;
use super::scram::server::{ScramError, ServerStart};
use super::scram::{self, ScramKeys, ScramVerifier};
use super::startup::{self, CancelRequest, Startup, StartupMessage};
use super::stream::{ClientStream, Stream, TlsInfo, prepare};
use super::tls::{ALPN, ServerTls};

/// `PG_MAX_SASL_MESSAGE_LENGTH`, bytes of body.
const MAX_SASL: u32 = 1024;
/// How long a refused client may take to read its error.
const LINGER: Duration = Duration::from_secs(1);

/// When a client may log in without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleartext {
    /// Never.
    Never,
    /// From this machine's loopback addresses.
    Loopback,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// SCRAM-SHA-256, with or without channel binding.
    #[default]
    Scram,
    /// A certificate that stands for the user. Nothing is left that could log in upstream as the user.
    Certificate,
    /// Both: first the certificate, then SCRAM.
    CertificateAndScram,
}

/// How connections are accepted. A reload makes a new value.
#[derive(Debug, Clone)]
pub struct AcceptSettings {
    /// Our certificate; without it no TLS is offered.
    pub tls: Option<ServerTls>,
    /// When a client may log in without TLS.
    pub cleartext: Cleartext,
    /// How a client proves who it is. With a certificate it has to be under TLS, whatever `cleartext` says.
    pub method: Method,
    /// Which user a certificate stands for.
    pub names: NameMap,
    /// From the first byte to the end of the client's proof.
    pub login_timeout: Duration,
    /// What the salts of users that do not exist are derived from. Secret; the same over restarts, or a
    /// salt that changes tells that the user does not exist.
    pub mock_secret: [u8; 32],
    /// The iterations claimed for them: what the server uses for new passwords (`scram_iterations`,
    /// [`scram::DEFAULT_ITERATIONS`] before PostgreSQL 16 and usually after).
    pub mock_iterations: u32,
}

/// A user's stored verifier.
#[derive(Debug, Clone)]
pub struct StoredVerifier {
    /// The verifier, parsed.
    pub scram: ScramVerifier,
    /// The end of `VALID UNTIL`; `None` is for ever.
    pub valid_until: Option<SystemTime>,
}

/// Where verifiers come from.
pub trait Verifiers: Sync {
    /// Why a verifier could not be looked up; for operators, not for the client.
    type Error: Display + Send;

    /// The verifier of `user`; `None` if the user does not exist, may not log in, or has no SCRAM
    /// verifier. The client cannot tell these from a wrong password.
    fn verifier(
        &self,
        user: &str,
    ) -> impl Future<Output = Result<Option<StoredVerifier>, Self::Error>> + Send;
}

/// What a connection turned out to be.
#[derive(Debug)]
#[must_use]
pub enum Accepted {
    /// A cancel request. Nothing is answered, but clients wait for the end of the connection.
    Cancel(Cancel),
    /// A client that proved who it is and waits for an answer.
    Login(Box<Login>),
}

/// A client that asked to cancel a session's statement.
#[derive(Debug)]
#[must_use]
pub struct Cancel {
    /// Whose statement.
    pub request: CancelRequest,
    stream: ClientStream,
}

impl Cancel {
    /// Ends the connection: what libpq takes for the sign that the cancel was carried out, and over TLS a
    /// missing close_notify for one that failed.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(LINGER, self.stream.shutdown()).await;
    }
}

/// A client that proved who it is and waits for AuthenticationOk.
#[derive(Debug)]
#[must_use]
pub struct Login {
    /// The connection.
    pub stream: ClientStream,
    /// Bytes the client sent already.
    pub buffered: BytesMut,
    /// The user, authenticated.
    pub user: String,
    /// The database asked for; the user's name if none was.
    pub database: String,
    /// Every startup parameter, `user` and `database` too; not `replication`, which is never on. Nothing
    /// is policed here: `options`, `search_path`, `role` and `session_authorization` are as sent.
    pub parameters: BTreeMap<String, String>,
    /// The minor version of protocol 3 agreed on: 0 or 2.
    pub minor: u16,
    /// What logs in upstream as the same user; `None` if a certificate alone proved who it is.
    pub keys: Option<ScramKeys>,
    /// The name in the client's certificate that stands for the user, such as `cn=amy`; `None` if none was
    /// asked for.
    pub certificate: Option<String>,
    /// What TLS agreed on; `None` in clear text.
    pub tls: Option<TlsInfo>,
    /// Where the client is.
    pub peer: SocketAddr,
}

impl Login {
    /// Lets the client in: AuthenticationOk, the server's parameter statuses, our cancel key and
    /// ReadyForQuery, in one write.
    ///
    /// # Errors
    /// The socket's error.
    pub async fn welcome(
        &mut self,
        statuses: &[(String, String)],
        pid: i32,
        secret: &[u8],
        status: Status,
    ) -> io::Result<()> {
        let mut out = BytesMut::from(&message::authentication_ok()[..]);
        for (name, value) in statuses {
            out.extend_from_slice(&message::parameter_status(name, value).map_err(io::Error::other)?);
        }
        out.extend_from_slice(&message::backend_key_data(pid, secret));
        out.extend_from_slice(&message::ready_for_query(status));
        self.stream.write_all(&out).await?;
        self.stream.flush().await
    }

    /// Turns the client away with this error and closes.
    pub async fn refuse(mut self, report: &Report) {
        farewell(&mut self.stream, report).await;
    }
}

/// Takes a fresh connection through encryption, startup and SCRAM. With an `admission` that is an error
/// (too many connections: 53300; shutting down: 57P03) a login is refused with it, after TLS and before
/// the password; cancel requests still come through.
///
/// # Errors
/// [`AcceptError`], after the client was told and the connection closed.
pub async fn accept<V: Verifiers>(
    stream: TcpStream,
    settings: &AcceptSettings,
    verifiers: &V,
    admission: Result<(), Report>,
) -> Result<Accepted, AcceptError> {
    let peer = stream.peer_addr()?;
    prepare(&stream)?;
    let mut connection = Connection { stream: Some(Stream::Plain(stream)), buf: BytesMut::new() };
    let run = connection.run(peer, settings, verifiers, admission);
    let result = match tokio::time::timeout(settings.login_timeout, run).await {
        Ok(result) => result,
        Err(_) => Err(AcceptError::Timeout),
    };
    if let (Err(error), Some(stream)) = (&result, &mut connection.stream)
        && let Some(report) = error.report()
    {
        farewell(stream, &report).await;
    }
    result
}

/// Sends a last error and closes so that it arrives: closing a socket with unread bytes resets it, and a
/// reset can overtake the error.
async fn farewell(stream: &mut Stream, report: &Report) {
    let goodbye = async {
        stream.write_all(&report.error_response()).await?;
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        for _ in 0..64 {
            if stream.read(&mut unread).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // The client is refused already; whether it heard why changes nothing.
    let _ = tokio::time::timeout(LINGER, goodbye).await;
}

/// A connection on its way to a login. The stream is absent only during a TLS handshake, so that a
/// handshake that fails closes it.
struct Connection {
    stream: Option<Stream>,
    buf: BytesMut,
}

impl Connection {
    async fn run<V: Verifiers>(
        &mut self,
        peer: SocketAddr,
        settings: &AcceptSettings,
        verifiers: &V,
        admission: Result<(), Report>,
    ) -> Result<Accepted, AcceptError> {
        let startup = match self.negotiate(settings).await? {
            First::Cancel(request) => {
                let stream = self.stream.take().ok_or(AcceptError::Closed)?;
                return Ok(Accepted::Cancel(Cancel { request, stream }));
            }
            First::Login(startup) => startup,
        };
        let (minor, tell) = startup.negotiate();
        if tell {
            self.send(&message::negotiate_protocol(minor, &startup.protocol_options)).await?;
        }
        let cleartext_allowed = match settings.cleartext {
            Cleartext::Never => false,
            Cleartext::Loopback => peer.ip().to_canonical().is_loopback(),
        };
        if !self.stream()?.is_tls() && !cleartext_allowed {
            return Err(AcceptError::Cleartext { offered: settings.tls.is_some() });
        }
        let Who { user, database, parameters } = who(startup)?;
        admission.map_err(AcceptError::NotAdmitted)?;
        let certificate = match settings.method {
            Method::Scram => None,
            Method::Certificate | Method::CertificateAndScram => Some(self.certificate(&user, settings)?),
        };
        let keys = match settings.method {
            Method::Certificate => None,
            Method::Scram | Method::CertificateAndScram => {
                Some(self.authenticate(&user, settings, verifiers).await?)
            }
        };
        let stream = self.stream.take().ok_or(AcceptError::Closed)?;
        let (tls, buffered) = (stream.tls_info(), std::mem::take(&mut self.buf));
        let login =
            Login { stream, buffered, user, database, parameters, minor, keys, certificate, tls, peer };
        Ok(Accepted::Login(Box::new(login)))
    }

    /// Encryption requests, until the client says what it wants.
    async fn negotiate(&mut self, settings: &AcceptSettings) -> Result<First, AcceptError> {
        let mut first = [0];
        if let Stream::Plain(tcp) = self.stream()?
            && tcp.peek(&mut first).await? == 0
        {
            return Err(AcceptError::Closed);
        }
        if first == [startup::TLS_HANDSHAKE] {
            let tls = settings.tls.as_ref().ok_or(AcceptError::DirectTls)?;
            self.start_tls(tls).await?;
            // Without ALPN another protocol's connection could be turned to us (manual, "SSL Session
            // Encryption").
            if !self.agreed_on_postgresql() {
                return Err(AcceptError::Alpn);
            }
        }
        // Each kind of encryption may be asked for once, as in `ProcessStartupPacket`.
        let (mut ssl_done, mut gss_done) = (self.stream()?.is_tls(), self.stream()?.is_tls());
        loop {
            match self.startup_packet().await? {
                Startup::Cancel(cancel) => return Ok(First::Cancel(cancel)),
                Startup::Login(message) => return Ok(First::Login(message)),
                Startup::Ssl if !ssl_done => {
                    ssl_done = true;
                    self.nothing_early()?;
                    match &settings.tls {
                        None => self.send(b"N").await?,
                        Some(tls) => {
                            gss_done = true;
                            self.send(b"S").await?;
                            self.start_tls(tls).await?;
                        }
                    }
                }
                Startup::GssEnc if !gss_done => {
                    gss_done = true;
                    self.nothing_early()?;
                    self.send(b"N").await?;
                }
                Startup::Ssl | Startup::GssEnc => return Err(AcceptError::EncryptionTwice),
            }
        }
    }

    /// Bytes sent in clear text behind a request for encryption would be taken for encrypted ones
    /// (CVE-2021-23214; CVE-2021-3935 in PgBouncer).
    fn nothing_early(&self) -> Result<(), AcceptError> {
        if self.buf.is_empty() { Ok(()) } else { Err(AcceptError::EarlyData) }
    }

    async fn start_tls(&mut self, tls: &ServerTls) -> Result<(), AcceptError> {
        let Some(Stream::Plain(tcp)) = self.stream.take() else { return Err(AcceptError::Closed) };
        let stream = TlsAcceptor::from(tls.config.clone()).accept(tcp).await.map_err(AcceptError::Tls)?;
        self.stream = Some(Stream::Tls(Box::new(stream.into())));
        Ok(())
    }

    fn agreed_on_postgresql(&self) -> bool {
        match &self.stream {
            Some(Stream::Tls(tls)) => tls.get_ref().1.alpn_protocol() == Some(ALPN),
            Some(Stream::Plain(_)) | None => false,
        }
    }

    /// The name in the client's certificate that stands for `user`. TLS has verified the certificate, or the
    /// handshake would have failed.
    fn certificate(&self, user: &str, settings: &AcceptSettings) -> Result<String, AcceptError> {
        let names = self.stream()?.client_names();
        let names = names.ok_or_else(|| AcceptError::NoCertificate { user: user.into() })?;
        settings
            .names
            .allows(&names, user)
            .ok_or_else(|| AcceptError::CertificateName { user: user.into(), names: Box::new(names) })
    }

    async fn authenticate<V: Verifiers>(
        &mut self,
        user: &str,
        settings: &AcceptSettings,
        verifiers: &V,
    ) -> Result<ScramKeys, AcceptError> {
        let stored = verifiers.verifier(user).await.map_err(|e| AcceptError::Lookup(e.to_string()))?;
        let (verifier, failure) = match stored {
            None => {
                let mock = ScramVerifier::mock(&settings.mock_secret, user, settings.mock_iterations);
                (mock, Some(Doom::NoVerifier))
            }
            Some(StoredVerifier { scram, valid_until }) => {
                let expired = valid_until.is_some_and(|end| end < SystemTime::now());
                (scram, expired.then_some(Doom::Expired))
            }
        };
        let end_point = match (self.stream()?, &settings.tls) {
            (Stream::Tls(_), Some(tls)) => tls.end_point.clone(),
            _ => None,
        };
        let nonce = scram::nonce().map_err(|e| AcceptError::Lookup(e.to_string()))?;
        let start = ServerStart { verifier, doomed: failure.is_some(), end_point, nonce };
        let scram_error = |error| match (error, &failure) {
            (ScramError::WrongProof, Some(Doom::NoVerifier)) => AcceptError::NoVerifier { user: user.into() },
            (ScramError::WrongProof, Some(Doom::Expired)) => AcceptError::Expired { user: user.into() },
            (error, _) => AcceptError::Scram { user: user.into(), error },
        };

        let offered = start.mechanisms().iter().map(|&m| m.to_owned()).collect();
        self.send(&message::encode(&pg::Authentication::SASL(offered))).await?;
        let response = self.password_message().await?;
        let (mechanism, first) = initial_response(response.body())?;
        let (challenge, proof) = start.client_first(mechanism, first).map_err(scram_error)?;
        self.send(&message::encode(&pg::Authentication::SASLContinue(challenge.into()))).await?;
        let response = self.password_message().await?;
        let (answer, keys) = proof.client_final(response.body()).map_err(scram_error)?;
        self.send(&message::encode(&pg::Authentication::SASLFinal(Bytes::from(answer)))).await?;
        Ok(keys)
    }

    async fn startup_packet(&mut self) -> Result<Startup, AcceptError> {
        loop {
            if let Some(packet) = startup::take(&mut self.buf)? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    async fn password_message(&mut self) -> Result<Frame, AcceptError> {
        let mut decoder = FrameDecoder::new(Limits::only(MAX_SASL), std::mem::take(&mut self.buf));
        let frame = loop {
            // The tag is looked at before its length is believed.
            if let Some(&tag) = decoder.buffered().first()
                && ClientTag::of(tag) != Some(ClientTag::Password)
            {
                return Err(AcceptError::Unexpected(tag));
            }
            if let Some(frame) = decoder.frame()? {
                break frame;
            }
            let stream = self.stream.as_mut().ok_or(AcceptError::Closed)?;
            if stream.read_buf(decoder.room()).await? == 0 {
                // libpq closes here to ask its user for a password.
                return Err(AcceptError::Closed);
            }
        };
        self.buf = decoder.into_buffered();
        Ok(frame)
    }

    async fn fill(&mut self) -> Result<(), AcceptError> {
        let stream = self.stream.as_mut().ok_or(AcceptError::Closed)?;
        self.buf.reserve(1024);
        if stream.read_buf(&mut self.buf).await? == 0 {
            return Err(AcceptError::Closed);
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), AcceptError> {
        let stream = self.stream.as_mut().ok_or(AcceptError::Closed)?;
        stream.write_all(bytes).await?;
        Ok(stream.flush().await?)
    }

    fn stream(&self) -> Result<&Stream, AcceptError> {
        self.stream.as_ref().ok_or(AcceptError::Closed)
    }
}

enum First {
    Cancel(CancelRequest),
    Login(StartupMessage),
}

/// Why no proof will do.
enum Doom {
    NoVerifier,
    Expired,
}

struct Who {
    user: String,
    database: String,
    parameters: BTreeMap<String, String>,
}

/// `NAMEDATALEN` less the terminator, bytes. PostgreSQL cuts longer names silently; then what we looked
/// up and what the server logs in could differ, so they are refused.
const MAX_NAME: usize = 63;

fn who(startup: StartupMessage) -> Result<Who, AcceptError> {
    let mut parameters = startup.parameters;
    // As `parse_bool`: anything else asks for a replication connection, which bypasses statements.
    if let Some(value) = parameters.remove("replication")
        && !matches!(value.to_ascii_lowercase().as_str(), "false" | "off" | "no" | "0" | "f" | "n")
    {
        return Err(AcceptError::Replication);
    }
    let user = parameters.get("user").filter(|user| !user.is_empty()).ok_or(AcceptError::NoUser)?.clone();
    let database = match parameters.get("database") {
        Some(name) if !name.is_empty() => name.clone(),
        Some(_) | None => user.clone(),
    };
    if user.len() > MAX_NAME || database.len() > MAX_NAME {
        return Err(AcceptError::NameTooLong);
    }
    parameters.insert("database".into(), database.clone());
    Ok(Who { user, database, parameters })
}

/// Mechanism and data of a SASLInitialResponse.
fn initial_response(body: &[u8]) -> Result<(&str, &[u8]), MessageError> {
    let mut body = Body::new(body);
    let mechanism = body.text()?;
    let data = body.value()?.unwrap_or(&[]);
    body.end()?;
    Ok((mechanism, data))
}
