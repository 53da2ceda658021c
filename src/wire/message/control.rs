//! The messages that steer a connection: login answers, statuses, ReadyForQuery, Query, command tags.
//! Not here: extended query (see `extended`), rows (see `row`), errors (see `report`).

use bytes::{BufMut, Bytes, BytesMut};
use pgwire::messages::{Message, ProtocolVersion, startup as pg};

use super::body::{Body, MessageError, message, put_text};

/// The transaction status of a ReadyForQuery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not in a transaction block (`I`).
    Idle,
    /// In a transaction block (`T`).
    InTransaction,
    /// In a failed transaction block (`E`).
    Failed,
}

impl Status {
    /// The status in a ReadyForQuery's body.
    ///
    /// # Errors
    /// [`MessageError`] for any other body.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        match body {
            b"I" => Ok(Status::Idle),
            b"T" => Ok(Status::InTransaction),
            b"E" => Ok(Status::Failed),
            [other] => Err(MessageError::Unknown(u32::from(*other))),
            [] => Err(MessageError::Truncated),
            [..] => Err(MessageError::Trailing),
        }
    }

    /// The status byte.
    pub fn byte(self) -> u8 {
        match self {
            Status::Idle => b'I',
            Status::InTransaction => b'T',
            Status::Failed => b'E',
        }
    }
}

/// ReadyForQuery.
pub fn ready_for_query(status: Status) -> Bytes {
    Bytes::copy_from_slice(&[b'Z', 0, 0, 0, 5, status.byte()])
}

/// Sync, as a client sends it.
pub fn sync() -> Bytes {
    Bytes::from_static(b"S\0\0\0\x04")
}

/// Terminate, as a client sends it.
pub fn terminate() -> Bytes {
    Bytes::from_static(b"X\0\0\0\x04")
}

/// AuthenticationOk.
pub fn authentication_ok() -> Bytes {
    Bytes::from_static(b"R\0\0\0\x08\0\0\0\0")
}

/// ParameterStatus.
///
/// # Errors
/// [`MessageError::Nul`] for a NUL in a text; `TooMany` beyond the protocol's limit.
pub fn parameter_status(name: &str, value: &str) -> Result<Bytes, MessageError> {
    message(b'S', |out| {
        put_text(out, name)?;
        put_text(out, value)?;
        Ok(())
    })
}

/// Name and value of a ParameterStatus.
///
/// # Errors
/// [`MessageError`] for a body that is not one.
pub fn decode_parameter_status(body: &[u8]) -> Result<(&str, &str), MessageError> {
    let mut body = Body::new(body);
    let (name, value) = (body.text()?, body.text()?);
    body.end()?;
    Ok((name, value))
}

/// BackendKeyData. The secret has 4 bytes in protocol 3.0 and 4 to 256 in 3.2.
pub fn backend_key_data(pid: i32, secret: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(13 + secret.len());
    out.put_u8(b'K');
    out.put_u32(8 + u32::try_from(secret.len()).unwrap_or(0));
    out.put_i32(pid);
    out.put_slice(secret);
    out.freeze()
}

/// Process id and secret of a BackendKeyData.
pub(crate) fn decode_backend_key(body: &Bytes) -> Result<(i32, Bytes), MessageError> {
    let mut cursor = Body::new(body);
    let pid = cursor.i32()?;
    let secret = cursor.rest();
    match secret.len() {
        4..=256 => Ok((pid, body.slice_ref(secret))),
        n => Err(MessageError::Unknown(u32::try_from(n).unwrap_or(u32::MAX))),
    }
}

/// The minor version of protocol 3 that a server's NegotiateProtocolVersion says to go on with.
///
/// # Errors
/// [`MessageError::Unknown`] if it is none that was asked for, or names options, of which we send none.
pub(crate) fn decode_negotiate(body: &[u8], asked: u16) -> Result<u16, MessageError> {
    let mut body = Body::new(body);
    let version = body.u32()?;
    let options = body.u32()?;
    // The whole version number or the minor one alone: servers do the first, their manual says the second.
    let minor = u16::try_from(if version >> 16 == 3 { version & 0xffff } else { version })
        .map_err(|_| MessageError::Unknown(version))?;
    if options != 0 || minor > asked {
        return Err(MessageError::Unknown(version));
    }
    body.end()?;
    Ok(minor)
}

/// NegotiateProtocolVersion: the newest 3.x we speak, and the `_pq_.` options we do not know.
pub fn negotiate_protocol(minor: u16, unknown: &[String]) -> Bytes {
    // The field holds the whole version number, as PostgreSQL sends it and libpq reads it.
    let version = (3 << 16) | i32::from(minor);
    encode(&pg::NegotiateProtocolVersion::new(version, unknown.to_vec()))
}

/// Query, the simple protocol.
///
/// # Errors
/// [`MessageError::Nul`] for a NUL in a text; `TooMany` beyond the protocol's limit.
pub fn query(text: &str) -> Result<Bytes, MessageError> {
    message(b'Q', |out| put_text(out, text))
}

/// The text of a Query.
///
/// # Errors
/// [`MessageError`] for a body that is not one, also for text that is not UTF-8.
pub fn decode_query(body: &[u8]) -> Result<&str, MessageError> {
    let mut body = Body::new(body);
    let text = body.text()?;
    body.end()?;
    Ok(text)
}

/// A FunctionCall taken apart: the function, and its arguments as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// The function's OID in `pg_proc`.
    pub function: u32,
    /// Format codes of the arguments: none, one for all, or one each.
    pub formats: Vec<i16>,
    /// The arguments; `None` is NULL.
    pub arguments: Vec<Option<&'a [u8]>>,
}

impl<'a> FunctionCall<'a> {
    /// The call in a FunctionCall's body.
    ///
    /// # Errors
    /// [`MessageError`] for a body that is not one.
    pub fn decode(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut body = Body::new(body);
        let function = body.u32()?;
        let formats = (0..body.u16()?).map(|_| body.i16()).collect::<Result<_, _>>()?;
        let arguments = (0..body.u16()?).map(|_| body.value()).collect::<Result<_, _>>()?;
        // The format of the result is the server's to check.
        body.i16()?;
        body.end()?;
        Ok(Self { function, formats, arguments })
    }
}

/// NotificationResponse with an empty payload. `head`: the sender's process id and the channel, as another one has them.
///
/// # Errors
/// `TooMany` beyond the protocol's limit.
pub fn notification_without_payload(head: &[u8]) -> Result<Bytes, MessageError> {
    message(b'A', |out| {
        out.extend_from_slice(head);
        out.extend_from_slice(b"\0");
        Ok(())
    })
}

/// CommandComplete.
///
/// # Errors
/// [`MessageError::Nul`] for a NUL in a text; `TooMany` beyond the protocol's limit.
pub fn command_complete(tag: &str) -> Result<Bytes, MessageError> {
    message(b'C', |out| put_text(out, tag))
}

/// A command tag taken apart: `INSERT 0 5` is `INSERT` with 5 rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandTag<'a> {
    /// The whole tag.
    pub tag: &'a str,
    /// The command, without numbers: `INSERT`, `CREATE TABLE`.
    pub command: &'a str,
    /// Rows processed, for the commands that say it.
    pub rows: Option<u64>,
}

impl<'a> CommandTag<'a> {
    /// The tag of a CommandComplete's body.
    ///
    /// # Errors
    /// [`MessageError`] for a body that is not one.
    pub fn decode(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut body = Body::new(body);
        let tag = body.text()?;
        body.end()?;
        let numeric = |c: char| c.is_ascii_digit() || c == ' ';
        let command = tag.trim_end_matches(numeric);
        let rows = tag.get(command.len()..).and_then(|n| n.rsplit(' ').next()).and_then(|n| n.parse().ok());
        Ok(CommandTag { tag, command, rows })
    }
}

/// What a server asks for or says during a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authentication<'a> {
    Ok,
    Cleartext,
    Md5,
    /// The mechanisms, each ended by a NUL.
    Sasl(&'a [u8]),
    SaslContinue(&'a [u8]),
    SaslFinal(&'a [u8]),
    /// Kerberos, GSS, SSPI and what may come.
    Other(u32),
}

pub(crate) fn decode_authentication(body: &[u8]) -> Result<Authentication<'_>, MessageError> {
    let mut body = Body::new(body);
    Ok(match body.u32()? {
        0 => Authentication::Ok,
        3 => Authentication::Cleartext,
        5 => Authentication::Md5,
        10 => Authentication::Sasl(body.rest()),
        11 => Authentication::SaslContinue(body.rest()),
        12 => Authentication::SaslFinal(body.rest()),
        other => Authentication::Other(other),
    })
}

/// A login message of pgwire as bytes. These are small; one that is not becomes empty, and the peer's
/// login fails.
pub(crate) fn encode(message: &impl Message) -> Bytes {
    let mut out = BytesMut::new();
    match message.encode(&mut out) {
        Ok(()) => out.freeze(),
        Err(_) => Bytes::new(),
    }
}

/// The version we ask an upstream for. 3.2 (PostgreSQL 18) has cancel secrets that cannot be guessed; an older
/// server negotiates down to 3.0.
pub(crate) const UPSTREAM_PROTOCOL: ProtocolVersion = ProtocolVersion::PROTOCOL3_2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_tags() {
        for (tag, command, rows) in [
            ("INSERT 0 5", "INSERT", Some(5)),
            ("SELECT 0", "SELECT", Some(0)),
            ("CREATE TABLE", "CREATE TABLE", None),
            ("SELECT", "SELECT", None),
            ("COPY 12", "COPY", Some(12)),
            ("", "", None),
        ] {
            let raw = command_complete(tag).unwrap();
            let parsed = CommandTag::decode(&raw[5..]).unwrap();
            assert_eq!((parsed.tag, parsed.command, parsed.rows), (tag, command, rows));
        }
    }

    #[test]
    fn statuses_and_keys() {
        assert_eq!(Status::decode(&ready_for_query(Status::Failed)[5..]), Ok(Status::Failed));
        assert_eq!(Status::decode(b"X"), Err(MessageError::Unknown(0x58)));
        assert_eq!(Status::decode(b""), Err(MessageError::Truncated));
        let key = backend_key_data(7, &[1; 32]);
        assert_eq!(decode_backend_key(&key.slice(5..)), Ok((7, Bytes::from_static(&[1; 32]))));
        assert!(decode_backend_key(&key.slice(5..12)).is_err());
        let status = parameter_status("TimeZone", "UTC").unwrap();
        assert_eq!(decode_parameter_status(&status[5..]), Ok(("TimeZone", "UTC")));
        assert_eq!(
            &negotiate_protocol(2, &["_pq_.x".into()])[..],
            b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0"
        );
        assert_eq!(decode_query(&query("select 1").unwrap()[5..]), Ok("select 1"));
        assert_eq!(query("select 1\0; drop"), Err(MessageError::Nul));
        assert_eq!(decode_query(b"a\0b\0"), Err(MessageError::Trailing));
    }
}
