//! The packets before a login: read alike however they come, and what is read can be written again.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::{choices, pieces};
use crate::wire::cancel::CancelRegistry;
use crate::wire::message::{decode_negotiate, negotiate_protocol};
use crate::wire::startup::{
    CancelRequest, MAX_STARTUP, NEWEST_MINOR, Startup, StartupError, StartupMessage, take,
};

/// Bytes: a choice of cut, then what a client sends. The first packet may be followed by more.
pub fn startup(data: &[u8]) {
    let ([cut], stream) = choices::<1>(data);
    let mut whole = BytesMut::from(stream);
    let expected = take(&mut whole);
    let taken = stream.len() - whole.len();
    assert!(taken <= MAX_STARTUP as usize);
    assert!(taken > 0 || !matches!(expected, Ok(Some(_))));
    assert!(stream.ends_with(&whole), "what follows the packet is changed");

    // The same, cut: nothing is decided before it can be, and never differently after.
    let mut part = BytesMut::new();
    let mut got = Ok(None);
    let mut fed = 0;
    for piece in pieces(stream, &[usize::from(cut)]) {
        part.extend_from_slice(piece);
        fed += piece.len();
        let before = part.len();
        got = take(&mut part);
        if got != Ok(None) {
            break;
        }
        assert_eq!(part.len(), before, "a part of a packet was taken");
        assert!(before < MAX_STARTUP as usize, "a whole packet waits");
    }
    assert_eq!(got, expected);
    if let Ok(Some(packet)) = &expected {
        assert_eq!(fed - part.len(), taken);
        // A packet that is not the last byte of its own length waits for more.
        let mut less = BytesMut::from(&stream[..taken - 1]);
        assert_eq!(take(&mut less), Ok(None));
        written_again(packet);
    }
    if let Err(StartupError::Version { major, .. }) = expected {
        assert_ne!(major, 3);
    }
}

fn encode(packet: &Startup) -> BytesMut {
    let mut body = BytesMut::new();
    match packet {
        Startup::Ssl => body.put_u32(80_877_103),
        Startup::GssEnc => body.put_u32(80_877_104),
        Startup::Cancel(CancelRequest { pid, secret }) => {
            body.put_u32(80_877_102);
            body.put_i32(*pid);
            body.put_slice(secret);
        }
        Startup::Login(login) => {
            body.put_u16(3);
            body.put_u16(login.minor);
            let options = login.protocol_options.iter().map(|name| (name.as_str(), ""));
            for (name, value) in login.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain(options)
            {
                for text in [name, value] {
                    assert!(!text.contains('\0'));
                    body.put_slice(text.as_bytes());
                    body.put_u8(0);
                }
            }
            body.put_u8(0);
        }
    }
    let mut out = BytesMut::new();
    out.put_u32(body.len() as u32 + 4);
    out.put_slice(&body);
    out
}

fn written_again(packet: &Startup) {
    let mut bytes = encode(packet);
    assert_eq!(take(&mut bytes), Ok(Some(packet.clone())));
    assert!(bytes.is_empty());
    match packet {
        Startup::Ssl | Startup::GssEnc => {}
        Startup::Cancel(request) => stranger(request),
        Startup::Login(login) => negotiated(login),
    }
}

/// A key that was not given out never finds a session.
fn stranger(request: &CancelRequest) {
    let registry: CancelRegistry<u8> = CancelRegistry::new();
    let Ok(key) = registry.register(7, request.pid, NEWEST_MINOR) else { return };
    assert_eq!(registry.find(key.pid, &key.secret), Some(7));
    let known = request.pid == key.pid && request.secret[..] == key.secret[..];
    assert_eq!(registry.find(request.pid, &request.secret).is_some(), known);
}

fn negotiated(login: &StartupMessage) {
    let (minor, told) = login.negotiate();
    assert!(minor <= NEWEST_MINOR && minor <= login.minor, "newer than was asked for");
    assert!(minor == NEWEST_MINOR || login.minor < NEWEST_MINOR, "older than need be");
    assert_eq!(told, minor != login.minor || !login.protocol_options.is_empty());
    let answer: Bytes = negotiate_protocol(minor, &login.protocol_options);
    let length = answer.get(1..5).map(|l| u32::from_be_bytes([l[0], l[1], l[2], l[3]]) as usize);
    assert_eq!(length, Some(answer.len() - 1), "the length of NegotiateProtocolVersion");
    let read = decode_negotiate(&answer[5..], login.minor);
    assert_eq!(read.ok(), login.protocol_options.is_empty().then_some(minor));
    // The policy of startup parameters reads `options` as the server does.
    let parameters: &BTreeMap<String, String> = &login.parameters;
    let allowed = crate::session::fuzzing::police(parameters).is_ok();
    for closed in ["role", "session_authorization", "row_security"] {
        assert!(!(allowed && parameters.contains_key(closed)), "{closed} at startup");
    }
    // A backslash would make what looks like a setting a part of a value.
    if let Some(options) = parameters.get("options").filter(|o| allowed && !o.contains('\\')) {
        let plain = options.to_ascii_lowercase().replace('-', "_");
        for closed in ["_crole=", "__role=", "_crow_security=", "__row_security="] {
            assert!(!plain.split_ascii_whitespace().any(|w| w.starts_with(closed)), "{options}");
        }
    }
}
