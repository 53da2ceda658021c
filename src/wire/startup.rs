//! The packets before any message has a tag: SSLRequest, GSSENCRequest, CancelRequest, StartupMessage,
//! and the first byte of a TLS handshake that comes without being asked for. Sans-IO.
//! Source: PostgreSQL manual, "Message Formats"; `src/backend/tcop/backend_startup.c`.
//! Not here: what is answered (see `client`), and which startup parameters are acceptable.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::message::{Body, MessageError};

/// `MAX_STARTUP_PACKET_LENGTH`, bytes, the length field included.
pub const MAX_STARTUP: u32 = 10_000;
/// The newest minor version of protocol 3 we speak with a client.
pub const NEWEST_MINOR: u16 = 2;

const CANCEL: u32 = (1234 << 16) | 5678;
const SSL: u32 = (1234 << 16) | 5679;
const GSS: u32 = (1234 << 16) | 5680;
/// The record type of a TLS handshake: the first byte of direct TLS.
pub const TLS_HANDSHAKE: u8 = 0x16;

/// The first packet of a connection, or the one after a declined encryption request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Startup {
    /// The client asks for TLS.
    Ssl,
    /// The client asks for GSSAPI encryption.
    GssEnc,
    /// The client wants a statement of another connection cancelled.
    Cancel(CancelRequest),
    /// The client wants to log in.
    Login(StartupMessage),
}

/// A CancelRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// The process id we gave out in BackendKeyData.
    pub pid: i32,
    /// The secret we gave out with it; 4 to 256 bytes.
    pub secret: Bytes,
}

/// A StartupMessage of protocol 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupMessage {
    /// The minor version asked for.
    pub minor: u16,
    /// Every parameter but the protocol options; of a repeated one the last counts, and only that one is
    /// sent on.
    pub parameters: BTreeMap<String, String>,
    /// Names of `_pq_.` protocol options asked for. We know none.
    pub protocol_options: Vec<String>,
}

impl StartupMessage {
    /// The minor version to go on with, and whether the client has to be told by
    /// NegotiateProtocolVersion.
    pub fn negotiate(&self) -> (u16, bool) {
        // 3.1 was never specified; what asks for it can do 3.0.
        let minor = if self.minor >= NEWEST_MINOR { NEWEST_MINOR } else { 0 };
        (minor, minor != self.minor || !self.protocol_options.is_empty())
    }
}

/// A first packet that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// The length is too small or too large to be one: usually another protocol.
    #[error("invalid length of startup packet")]
    Length,
    /// A protocol other than 3.x.
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{NEWEST_MINOR}")]
    Version {
        /// Major version asked for.
        major: u16,
        /// Minor version asked for.
        minor: u16,
    },
    /// The parameters do not end where the packet does.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    /// A parameter is not UTF-8.
    #[error("startup packet holds text that is not UTF-8")]
    NotUtf8,
    /// A cancel request of impossible size.
    #[error("invalid length of query cancel packet")]
    Cancel,
}

/// Takes the packet at the front of `buf`; `None` if more bytes are needed. A length field alone never
/// makes anything allocate.
///
/// # Errors
/// [`StartupError`]; the connection cannot go on.
pub fn take(buf: &mut BytesMut) -> Result<Option<Startup>, StartupError> {
    let Some(field) = buf.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*field);
    if !(8..=MAX_STARTUP).contains(&length) {
        return Err(StartupError::Length);
    }
    if buf.len() < length as usize {
        return Ok(None);
    }
    let packet = buf.split_to(length as usize).freeze();
    let mut body = Body::new(packet.get(4..).unwrap_or(&[]));
    let code = body.u32().map_err(|_| StartupError::Length)?;
    match code {
        SSL if length == 8 => Ok(Some(Startup::Ssl)),
        GSS if length == 8 => Ok(Some(Startup::GssEnc)),
        SSL | GSS => Err(StartupError::Length),
        CANCEL => {
            let pid = body.i32().map_err(|_| StartupError::Cancel)?;
            let secret = body.rest();
            if !(4..=256).contains(&secret.len()) {
                return Err(StartupError::Cancel);
            }
            Ok(Some(Startup::Cancel(CancelRequest { pid, secret: packet.slice_ref(secret) })))
        }
        version => {
            let (major, minor) = ((version >> 16) as u16, (version & 0xffff) as u16);
            if major != 3 {
                return Err(StartupError::Version { major, minor });
            }
            login(minor, body).map(Startup::Login).map(Some)
        }
    }
}

fn login(minor: u16, mut body: Body<'_>) -> Result<StartupMessage, StartupError> {
    let mut message = StartupMessage { minor, parameters: BTreeMap::new(), protocol_options: Vec::new() };
    let text = |body: &mut Body<'_>| {
        body.text().map(str::to_owned).map_err(|e| match e {
            MessageError::NotUtf8 => StartupError::NotUtf8,
            _ => StartupError::Layout,
        })
    };
    loop {
        let name = text(&mut body)?;
        if name.is_empty() {
            break;
        }
        let value = text(&mut body)?;
        if name.starts_with("_pq_.") {
            message.protocol_options.push(name);
        } else {
            message.parameters.insert(name, value);
        }
    }
    body.end().map_err(|_| StartupError::Layout)?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(code: u32, body: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        out.extend_from_slice(&(body.len() as u32 + 8).to_be_bytes());
        out.extend_from_slice(&code.to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    fn one(code: u32, body: &[u8]) -> Result<Option<Startup>, StartupError> {
        take(&mut packet(code, body))
    }

    #[test]
    fn a_login() {
        let mut buf = packet(3 << 16, b"user\0amy\0application_name\0\0_pq_.x\0y\0user\0bob\0\0");
        buf.extend_from_slice(b"rest");
        let Ok(Some(Startup::Login(message))) = take(&mut buf) else { panic!() };
        assert_eq!(message.parameters["user"], "bob");
        assert_eq!(message.parameters["application_name"], "");
        assert_eq!(message.protocol_options, ["_pq_.x"]);
        assert_eq!(message.negotiate(), (0, true));
        assert_eq!(&buf[..], b"rest");
    }

    #[test]
    fn versions() {
        for (minor, options, want) in [
            (0, 0, (0, false)),
            (1, 0, (0, true)),
            (2, 0, (2, false)),
            (2, 1, (2, true)),
            (9999, 0, (2, true)),
        ] {
            let message = StartupMessage {
                minor,
                parameters: BTreeMap::new(),
                protocol_options: vec!["_pq_.x".to_owned(); options],
            };
            assert_eq!(message.negotiate(), want, "{minor}");
        }
        assert_eq!(one(2 << 16, b"\0"), Err(StartupError::Version { major: 2, minor: 0 }));
    }

    #[test]
    fn what_is_not_a_startup_packet() {
        assert_eq!(take(&mut BytesMut::from(&b"GET / HTTP/1.1\r\n"[..])), Err(StartupError::Length));
        assert_eq!(take(&mut BytesMut::from(&b"\x40\0\0\0"[..])), Err(StartupError::Length));
        assert_eq!(take(&mut BytesMut::from(&b"\0\0\0\x07"[..])), Err(StartupError::Length));
        assert_eq!(one(3 << 16, b"user\0amy\0"), Err(StartupError::Layout));
        assert_eq!(one(3 << 16, b"user\0amy\0\0x"), Err(StartupError::Layout));
        assert_eq!(one(3 << 16, b"user\0\xff\0\0"), Err(StartupError::NotUtf8));
        assert_eq!(one(SSL, b"more"), Err(StartupError::Length));
        assert_eq!(one(CANCEL, b"\0\0\0\x01abc"), Err(StartupError::Cancel));
        assert_eq!(one(CANCEL, &[1; 261]), Err(StartupError::Cancel));
    }

    #[test]
    fn requests() {
        assert_eq!(one(SSL, b""), Ok(Some(Startup::Ssl)));
        assert_eq!(one(GSS, b""), Ok(Some(Startup::GssEnc)));
        let secret = Bytes::from_static(&[9; 32]);
        let body = [&7i32.to_be_bytes()[..], &secret].concat();
        assert_eq!(one(CANCEL, &body), Ok(Some(Startup::Cancel(CancelRequest { pid: 7, secret }))));
    }

    proptest! {
        // Property: a prefix of a packet is "more", never a decision, and consumes nothing.
        #[test]
        fn a_prefix_waits(cut in 0usize..30) {
            let whole = packet(3 << 16, b"user\0amy\0database\0x\0\0");
            let mut part = BytesMut::from(&whole[..cut.min(whole.len() - 1)]);
            let before = part.clone();
            prop_assert_eq!(take(&mut part), Ok(None));
            prop_assert_eq!(part, before);
        }

        #[test]
        fn garbage(bytes in proptest::collection::vec(any::<u8>(), 0..80), length in 0u8..80, code in 0usize..5) {
            let code = [SSL, GSS, CANCEL, 3 << 16, (3 << 16) | 2][code];
            let framed = [&[0, 0, 0, length][..], &code.to_be_bytes(), &bytes].concat();
            let _ = (take(&mut BytesMut::from(&framed[..])), take(&mut BytesMut::from(&bytes[..])));
        }
    }
}
