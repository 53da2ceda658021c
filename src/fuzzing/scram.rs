//! Both ends of SCRAM: nothing but the one right message is accepted, whatever stands in the others.

use std::sync::OnceLock;

use crate::wire::scram::client::{ClientBinding, ClientSecret, ClientStart, ScramClientError};
use crate::wire::scram::server::{ScramError, ServerProof, ServerStart};
use crate::wire::scram::{SHA_256, SHA_256_PLUS, ScramKeys, ScramVerifier};

const CLIENT: &str = "fyko+d2lbbFgONRv9qkxdawL";
const SERVER: &str = "3rfcNHYJY1ZVvWVs7j";

/// One exchange between honest ends, with fixed nonces: its messages and the keys it yields.
struct Honest {
    verifier: ScramVerifier,
    first: String,
    challenge: String,
    last: String,
    done: String,
    keys: ScramKeys,
}

fn start(verifier: ScramVerifier, plus: bool, doomed: bool) -> ServerStart {
    let end_point = plus.then(|| [7_u8; 32].as_slice().into());
    ServerStart { verifier, doomed, end_point, nonce: SERVER.into() }
}

fn client_start() -> ClientStart {
    ClientStart::new(ClientBinding::Unsupported, CLIENT.into())
}

fn honest() -> &'static Honest {
    static ONCE: OnceLock<Honest> = OnceLock::new();
    ONCE.get_or_init(|| {
        let verifier = ScramVerifier::of_password("pencil", b"W22ZaJ0SNY7soEsU", 16);
        let client = client_start();
        let first = client.first();
        let (challenge, server) =
            start(verifier.clone(), false, false).client_first(SHA_256, first.as_bytes()).unwrap();
        let password = ClientSecret::Password("pencil".to_owned().into());
        let (last, proof) = client.challenge(challenge.as_bytes(), &password).unwrap();
        let (done, keys) = server.client_final(last.as_bytes()).unwrap();
        proof.server_final(done.as_bytes()).unwrap();
        Honest { verifier, first, challenge, last, done, keys }
    })
}

fn waiting() -> ServerProof {
    let honest = honest();
    start(honest.verifier.clone(), false, false).client_first(SHA_256, honest.first.as_bytes()).unwrap().1
}

/// The server end with a client that sends `message`.
pub(super) fn server(message: &[u8], choice: u8) {
    let honest = honest();
    let plus = choice & 1 != 0;
    let mechanism = [SHA_256, SHA_256_PLUS][usize::from(choice >> 1 & 1)];
    if let Ok((answer, next)) = start(honest.verifier.clone(), plus, false).client_first(mechanism, message) {
        assert!(mechanism == SHA_256 || plus, "a mechanism that was not offered");
        assert!(answer.contains(SERVER));
        // Made for another exchange. A client without channel binding may log in where it is offered (RFC 5802, 6).
        let replayed = next.client_final(honest.last.as_bytes());
        assert_eq!(replayed.is_ok(), message == honest.first.as_bytes(), "{message:?}");
    }
    match waiting().client_final(message) {
        Ok((answer, _)) => {
            assert_eq!((message, &*answer), (honest.last.as_bytes(), &*honest.done), "a proof was forged");
        }
        Err(error) => {
            assert_ne!(message, honest.last.as_bytes(), "{error}");
        }
    }
    let doomed = start(honest.verifier.clone(), false, true);
    let (_, doomed) = doomed.client_first(SHA_256, honest.first.as_bytes()).unwrap();
    assert!(doomed.client_final(message).is_err_and(|e| !matches!(e, ScramError::Mechanism)));
}

/// The client end with a server that sends `message`.
pub(super) fn client(message: &[u8], choice: u8) {
    let honest = honest();
    let keys = ClientSecret::Keys(honest.keys.clone());
    if let Ok((answer, proof)) = client_start().challenge(message, &keys) {
        assert!(answer.starts_with("c=biws,r="));
        let same = message == honest.challenge.as_bytes();
        assert_eq!(same, proof.server_final(honest.done.as_bytes()).is_ok(), "of another exchange");
    }
    // A password is stretched as often as the server says: only cheap ones here.
    let text = String::from_utf8_lossy(message);
    let often = text.split("i=").nth(1).is_some_and(|n| n.bytes().take_while(u8::is_ascii_digit).count() > 2);
    if !often {
        let password = ClientSecret::Password("pencil".to_owned().into());
        let _ = client_start().challenge(message, &password);
    }
    let (_, proof) = client_start().challenge(honest.challenge.as_bytes(), &keys).unwrap();
    match proof.server_final(message) {
        Ok(()) => {
            let rest = message.strip_prefix(honest.done.as_bytes());
            assert!(rest.is_some_and(|r| r.is_empty() || r[0] == b','), "a signature was forged");
        }
        Err(ScramClientError::Refused(_)) => assert!(message.starts_with(b"e=")),
        Err(_) => assert_ne!(message, honest.done.as_bytes()),
    }
    let end_point = (choice & 1 != 0).then(|| vec![7; 32]);
    if let Ok(binding) = ClientBinding::choose(message, end_point) {
        let offered = |name: &str| message.split(|b| *b == 0).any(|m| m == name.as_bytes());
        assert!(offered(binding.mechanism()));
        // One that could be bound is never left unbound.
        assert!(!(binding == ClientBinding::NotOffered && offered(SHA_256_PLUS)));
    }
}

/// A stored verifier.
pub(super) fn verifier(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(verifier) = text.parse::<ScramVerifier>() {
        let stored = verifier.to_stored();
        let again: ScramVerifier = stored.parse().expect("what is stored can be read");
        assert_eq!(again.to_stored(), stored);
    }
}

/// The messages of the honest exchange, with the kind of message that reads them.
#[cfg(test)]
pub(super) fn honest_messages() -> Vec<(u8, String)> {
    let honest = honest();
    vec![
        (15, honest.first.clone()),
        (15, honest.last.clone()),
        (16, honest.challenge.clone()),
        (16, honest.done.clone()),
        (16, format!("{SHA_256_PLUS}\0{SHA_256}\0\0")),
        (17, honest.verifier.to_stored()),
    ]
}
