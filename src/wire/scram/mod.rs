//! SCRAM-SHA-256 (RFC 5802, RFC 7677): verifiers, keys, and the two ends of the exchange.
//!
//! Pass-through: a client's proof lets the server end (`server`) recover the ClientKey, and that key
//! lets the client end (`client`) log in upstream as the same user. No password is stored or seen.
//! Sans-IO, without a random source: nonces come in as values.
//! Not here: how messages travel (see `super::client` and `super::upstream`).

pub mod client;
pub mod server;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use rand::TryRngCore;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// The mechanism without channel binding.
pub const SHA_256: &str = "SCRAM-SHA-256";
/// The mechanism with channel binding.
pub const SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// PostgreSQL's default (`SCRAM_SHA_256_DEFAULT_ITERATIONS`).
pub const DEFAULT_ITERATIONS: u32 = 4096;

const KEY: usize = 32;

/// A key that is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Key([u8; KEY]);

impl Key {
    pub(crate) fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What a server stores of a password: enough to check a proof, not enough to make one.
#[derive(Debug, Clone)]
pub struct ScramVerifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

/// A stored password that is not a SCRAM-SHA-256 verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// An `md5...` hash. The user needs a new password under `password_encryption = scram-sha-256`.
    #[error("the stored password is an MD5 hash, not a SCRAM-SHA-256 verifier")]
    Md5,
    /// Anything else.
    #[error("the stored password is not a SCRAM-SHA-256 verifier")]
    Malformed,
}

impl FromStr for ScramVerifier {
    type Err = VerifierError;

    /// Parses `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey` as in `pg_authid.rolpassword`.
    fn from_str(text: &str) -> Result<Self, VerifierError> {
        if text.len() == 35 && text.starts_with("md5") {
            return Err(VerifierError::Md5);
        }
        let parse = || {
            let (scheme, rest) = text.split_once('$')?;
            let (salted, keys) = rest.split_once('$')?;
            let (iterations, salt) = salted.split_once(':')?;
            let (stored, server) = keys.split_once(':')?;
            let iterations = iterations.parse().ok().filter(|&n| n > 0)?;
            let salt = BASE64.decode(salt).ok().filter(|s| !s.is_empty())?;
            (scheme == SHA_256).then_some(())?;
            Some(ScramVerifier { iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
        };
        parse().ok_or(VerifierError::Malformed)
    }
}

impl ScramVerifier {
    /// The verifier of a password, as PostgreSQL would store it.
    pub fn of_password(password: &str, salt: &[u8], iterations: u32) -> Self {
        let (client_key, server_key) = derive(password, salt, iterations);
        let stored_key = Key(Sha256::digest(client_key.0).into());
        ScramVerifier { iterations, salt: salt.to_vec(), stored_key, server_key }
    }

    /// A verifier for a user that has none, so that the exchange does not reveal it: always the same for
    /// one user and `secret`, as a real one would be. No password matches it.
    pub fn mock(secret: &[u8; 32], user: &str, iterations: u32) -> Self {
        let derive = |what: &[u8]| hmac(secret, &[what, user.as_bytes()]);
        let salt = derive(b"salt\0");
        ScramVerifier {
            iterations,
            salt: salt.get(..16).unwrap_or(&salt).to_vec(),
            stored_key: Key(derive(b"stored\0")),
            server_key: Key(derive(b"server\0")),
        }
    }

    /// The stored text, as [`ScramVerifier::from_str`] reads it.
    pub fn to_stored(&self) -> String {
        let encode = |bytes: &[u8]| BASE64.encode(bytes);
        let (salt, stored, server) =
            (encode(&self.salt), encode(&self.stored_key.0), encode(&self.server_key.0));
        format!("{SHA_256}${}:{salt}${stored}:{server}", self.iterations)
    }
}

/// What a successful exchange leaves: enough to log in elsewhere as the same user with the same stored
/// verifier. As secret as the password, for that server.
#[derive(Debug, Clone)]
pub struct ScramKeys {
    client_key: Key,
    server_key: Key,
    salt: Vec<u8>,
    iterations: u32,
}

/// A nonce of 18 random bytes, printable, as PostgreSQL's (`SCRAM_RAW_NONCE_LEN`).
///
/// # Errors
/// The operating system has no randomness to give.
pub fn nonce() -> Result<String, rand::rand_core::OsError> {
    let mut raw = [0u8; 18];
    rand::rngs::OsRng.try_fill_bytes(&mut raw)?;
    Ok(BASE64.encode(raw))
}

fn key(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(BASE64.decode(text).ok()?);
    bytes.as_slice().try_into().ok().map(Key)
}

/// ClientKey and ServerKey of a password (RFC 5802 section 3). A password that SASLprep refuses is taken
/// as it is, as PostgreSQL does (`pg_saslprep`).
fn derive(password: &str, salt: &[u8], iterations: u32) -> (Key, Key) {
    let prepared = stringprep::saslprep(password).unwrap_or(password.into());
    let mut u = hmac(prepared.as_bytes(), &[salt, &1u32.to_be_bytes()]);
    let mut salted = Zeroizing::new(u);
    for _ in 1..iterations {
        u = hmac(prepared.as_bytes(), &[&u]);
        salted.iter_mut().zip(u).for_each(|(sum, byte)| *sum ^= byte);
    }
    u.zeroize();
    (Key(hmac(salted.as_slice(), &[b"Client Key"])), Key(hmac(salted.as_slice(), &[b"Server Key"])))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY] {
    // HMAC takes a key of any length; the error is for other constructions of the same trait.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; KEY] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn xor(a: &[u8; KEY], b: &[u8; KEY]) -> [u8; KEY] {
    let mut out = *a;
    out.iter_mut().zip(b).for_each(|(x, y)| *x ^= y);
    out
}

/// The value of the attribute `name=` at the front, up to the next comma; and what follows the comma.
fn attribute(text: &str, name: char) -> Option<(&str, &str)> {
    let value = text.strip_prefix(name)?.strip_prefix('=')?;
    Some(value.split_once(',').unwrap_or((value, "")))
}

/// Whether a nonce has only what RFC 5802 allows: printable ASCII without comma.
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
