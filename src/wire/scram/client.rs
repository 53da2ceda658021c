//! The client end of SCRAM-SHA-256: logs in with recovered keys, or with a password.
//!
//! Two steps, each a type: [`ClientStart`] sends the first message, [`ClientProof`] answers the server's
//! challenge and yields a check of the server's signature. Not here: the server end (see `server`).

use std::fmt;

use base64::Engine as _;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{BASE64, Key, SHA_256, SHA_256_PLUS, ScramKeys, attribute, derive, hmac, xor};

/// More iterations than any sensible server asks for; a hostile one could ask for four billion.
const MAX_ITERATIONS: u32 = 1_000_000;

/// Why a login upstream failed on our side of the exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScramClientError {
    /// The server offers neither SCRAM mechanism.
    #[error("the server offers no SCRAM-SHA-256")]
    Mechanism,
    /// A message that is not SCRAM.
    #[error("malformed SCRAM message from the server ({0})")]
    Malformed(&'static str),
    /// The server's salt or iterations are not those of the verifier the client was checked against.
    #[error("the server's password verifier is not the one the client was checked against (changed?)")]
    VerifierChanged,
    /// The server asks for more work than we do.
    #[error("the server asks for {0} iterations")]
    Iterations(u32),
    /// The server said no within SCRAM.
    #[error("the server refused the exchange: {0}")]
    Refused(String),
    /// The server does not hold the verifier's ServerKey: it is not who it should be.
    #[error("the server could not prove that it knows the user's verifier")]
    ServerSignature,
}

/// What to log in with.
#[derive(Clone)]
pub enum ClientSecret {
    /// Keys that a client's proof yielded.
    Keys(ScramKeys),
    /// A password; wiped when dropped.
    Password(Zeroizing<String>),
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientSecret::Keys(_) => "Keys(..)",
            ClientSecret::Password(_) => "Password(..)",
        })
    }
}

/// Whether and how the exchange is bound to the TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientBinding {
    /// We cannot bind: clear text, or a certificate without a binding.
    Unsupported,
    /// We could, and the server does not offer it.
    NotOffered,
    /// Bound to the server's certificate with this hash (`tls-server-end-point`).
    EndPoint(Vec<u8>),
}

impl ClientBinding {
    /// Chooses from what the server offers (each mechanism ended by a NUL) and the binding we could make.
    ///
    /// # Errors
    /// [`ScramClientError::Mechanism`] if there is nothing to choose.
    pub fn choose(offered: &[u8], end_point: Option<Vec<u8>>) -> Result<Self, ScramClientError> {
        let has = |name: &str| offered.split(|&b| b == 0).any(|m| m == name.as_bytes());
        match end_point {
            Some(hash) if has(SHA_256_PLUS) => Ok(ClientBinding::EndPoint(hash)),
            Some(_) if has(SHA_256) => Ok(ClientBinding::NotOffered),
            None if has(SHA_256) => Ok(ClientBinding::Unsupported),
            Some(_) | None => Err(ScramClientError::Mechanism),
        }
    }

    /// The mechanism's name.
    pub fn mechanism(&self) -> &'static str {
        match self {
            ClientBinding::EndPoint(_) => SHA_256_PLUS,
            ClientBinding::Unsupported | ClientBinding::NotOffered => SHA_256,
        }
    }

    fn header(&self) -> &'static str {
        match self {
            ClientBinding::Unsupported => "n,,",
            ClientBinding::NotOffered => "y,,",
            ClientBinding::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            ClientBinding::Unsupported | ClientBinding::NotOffered => &[],
            ClientBinding::EndPoint(hash) => hash,
        }
    }
}

/// The exchange before the server's challenge.
#[derive(Debug)]
pub struct ClientStart {
    binding: ClientBinding,
    nonce: String,
}

/// What is left after our proof: the server has to prove itself too.
#[derive(Debug)]
#[must_use]
pub struct ClientProof {
    signature: Key,
}

impl ClientStart {
    /// An exchange with a fresh nonce (printable, see [`super::nonce`]).
    pub fn new(binding: ClientBinding, nonce: String) -> Self {
        ClientStart { binding, nonce }
    }

    /// The first message. The user name in it is empty, as libpq's: the startup packet's counts.
    pub fn first(&self) -> String {
        format!("{}{}", self.binding.header(), self.bare())
    }

    /// Takes the server's challenge; gives the answer and the check that remains.
    ///
    /// # Errors
    /// [`ScramClientError`].
    pub fn challenge(
        self,
        message: &[u8],
        secret: &ClientSecret,
    ) -> Result<(String, ClientProof), ScramClientError> {
        use ScramClientError::Malformed;
        let message = std::str::from_utf8(message).map_err(|_| Malformed("not UTF-8"))?;
        let (nonce, rest) = attribute(message, 'r').ok_or(Malformed("nonce"))?;
        let (salt, rest) = attribute(rest, 's').ok_or(Malformed("salt"))?;
        let (iterations, _) = attribute(rest, 'i').ok_or(Malformed("iterations"))?;
        if !nonce.strip_prefix(&self.nonce).is_some_and(super::is_nonce) {
            return Err(Malformed("nonce does not extend ours"));
        }
        let salt = BASE64.decode(salt).map_err(|_| Malformed("salt"))?;
        let iterations: u32 = iterations.parse().map_err(|_| Malformed("iterations"))?;

        let (client_key, server_key) = match secret {
            ClientSecret::Keys(keys) if keys.salt == salt && keys.iterations == iterations => {
                (keys.client_key.clone(), keys.server_key.clone())
            }
            ClientSecret::Keys(_) => return Err(ScramClientError::VerifierChanged),
            ClientSecret::Password(_) if !(1..=MAX_ITERATIONS).contains(&iterations) => {
                return Err(ScramClientError::Iterations(iterations));
            }
            ClientSecret::Password(password) => derive(password, &salt, iterations),
        };
        let binding = BASE64.encode([self.binding.header().as_bytes(), self.binding.data()].concat());
        let without_proof = format!("c={binding},r={nonce}");
        let auth_message = format!("{},{message},{without_proof}", self.bare());
        let stored_key = Key(Sha256::digest(client_key.bytes()).into());
        let proof = xor(client_key.bytes(), &hmac(stored_key.bytes(), &[auth_message.as_bytes()]));
        let signature = Key(hmac(server_key.bytes(), &[auth_message.as_bytes()]));
        Ok((format!("{without_proof},p={}", BASE64.encode(proof)), ClientProof { signature }))
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }
}

impl ClientProof {
    /// Takes the server's last message and checks that it holds the user's verifier.
    ///
    /// # Errors
    /// [`ScramClientError`].
    pub fn server_final(self, message: &[u8]) -> Result<(), ScramClientError> {
        use ScramClientError::Malformed;
        let message = std::str::from_utf8(message).map_err(|_| Malformed("not UTF-8"))?;
        if let Some((error, _)) = attribute(message, 'e') {
            return Err(ScramClientError::Refused(error.to_owned()));
        }
        let (signature, _) = attribute(message, 'v').ok_or(Malformed("signature"))?;
        let signature = BASE64.decode(signature).map_err(|_| Malformed("signature"))?;
        if bool::from(signature.ct_eq(self.signature.bytes())) {
            Ok(())
        } else {
            Err(ScramClientError::ServerSignature)
        }
    }
}
