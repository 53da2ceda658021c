//! The server end of SCRAM-SHA-256: checks a client's proof and recovers its ClientKey.
//!
//! Two steps, each a type: [`ServerStart`] takes the client's first message, [`ServerProof`] its last.
//! Follows `src/backend/libpq/auth-scram.c`. Not here: the client end (see `client`).

use std::sync::Arc;

use base64::Engine as _;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    BASE64, KEY, Key, SHA_256, SHA_256_PLUS, ScramKeys, ScramVerifier, attribute, hmac, is_nonce, xor,
};

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The proof does not match, or nothing could have matched.
    #[error("the password does not match")]
    WrongProof,
    /// A mechanism that was not offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// A message that is not SCRAM.
    #[error("malformed SCRAM message ({0})")]
    Malformed(&'static str),
    /// An authorization identity, which PostgreSQL does not support either.
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    /// The client was made to believe that we have no channel binding: someone is in the middle.
    #[error("SCRAM channel binding negotiation error")]
    Downgrade,
    /// The client is bound to another certificate than ours: someone is in the middle.
    #[error("SCRAM channel binding check failed")]
    Binding,
}

impl ScramError {
    /// The SQLSTATE that PostgreSQL gives.
    pub fn sqlstate(self) -> &'static str {
        match self {
            ScramError::WrongProof => "28P01",
            ScramError::Mechanism | ScramError::Malformed(_) => "08P01",
            ScramError::AuthorizationIdentity => "0A000",
            ScramError::Downgrade | ScramError::Binding => "28000",
        }
    }
}

/// The exchange before the client's first message.
#[derive(Debug)]
pub struct ServerStart {
    /// The verifier to check against; for a doomed exchange it only answers.
    pub verifier: ScramVerifier,
    /// Whether no proof is to be accepted: an unknown user, an expired password.
    pub doomed: bool,
    /// Our certificate's channel binding, if SCRAM-SHA-256-PLUS is offered.
    pub end_point: Option<Arc<[u8]>>,
    /// Our nonce, fresh for this exchange.
    pub nonce: String,
}

/// The exchange before the client's proof.
#[derive(Debug)]
#[must_use]
pub struct ServerProof {
    verifier: ScramVerifier,
    doomed: bool,
    /// The value that `c=` must have.
    binding: String,
    nonce: String,
    /// client-first-message-bare "," server-first-message ","
    auth_message: String,
}

impl ServerStart {
    /// The mechanisms to offer, best first.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        if self.end_point.is_some() { &[SHA_256_PLUS, SHA_256] } else { &[SHA_256] }
    }

    /// Takes the client's first message; gives the answer and the next step.
    ///
    /// # Errors
    /// [`ScramError`] with everything but a wrong proof.
    pub fn client_first(self, mechanism: &str, message: &[u8]) -> Result<(String, ServerProof), ScramError> {
        let plus = match mechanism {
            SHA_256 => false,
            SHA_256_PLUS if self.end_point.is_some() => true,
            _ => return Err(ScramError::Mechanism),
        };
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("not UTF-8"))?;
        let (flag, rest) = message.split_once(',').ok_or(ScramError::Malformed("no channel-binding flag"))?;
        let (identity, bare) = rest.split_once(',').ok_or(ScramError::Malformed("no identity"))?;
        match flag {
            "n" | "y" if plus => return Err(ScramError::Malformed("no channel binding with PLUS")),
            // RFC 5802 section 6: the client would have bound, and was told that we cannot.
            "y" if self.end_point.is_some() => return Err(ScramError::Downgrade),
            "n" | "y" => {}
            "p=tls-server-end-point" if plus => {}
            _ if flag.starts_with("p=") => return Err(ScramError::Malformed("channel-binding type")),
            _ => return Err(ScramError::Malformed("channel-binding flag")),
        }
        if !identity.is_empty() {
            return Err(ScramError::AuthorizationIdentity);
        }
        // The user name is the startup packet's, as in PostgreSQL; the one here is not looked at.
        // An extension (`m=`) would stand before it and is refused with it.
        let (_, rest) = attribute(bare, 'n').ok_or(ScramError::Malformed("user name"))?;
        let (client_nonce, _) = attribute(rest, 'r').ok_or(ScramError::Malformed("nonce"))?;
        if !is_nonce(client_nonce) {
            return Err(ScramError::Malformed("nonce"));
        }

        let mut binding = format!("{flag},,").into_bytes();
        if let (true, Some(hash)) = (plus, &self.end_point) {
            binding.extend_from_slice(hash);
        }
        let nonce = format!("{client_nonce}{}", self.nonce);
        let salt = BASE64.encode(&self.verifier.salt);
        let first = format!("r={nonce},s={salt},i={}", self.verifier.iterations);
        let proof = ServerProof {
            verifier: self.verifier,
            doomed: self.doomed,
            binding: BASE64.encode(binding),
            nonce,
            auth_message: format!("{bare},{first},"),
        };
        Ok((first, proof))
    }
}

impl ServerProof {
    /// Takes the client's last message; gives the answer and the keys it proved to have.
    ///
    /// # Errors
    /// [`ScramError`].
    pub fn client_final(self, message: &[u8]) -> Result<(String, ScramKeys), ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("not UTF-8"))?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed("no proof"))?;
        let (binding, rest) =
            attribute(without_proof, 'c').ok_or(ScramError::Malformed("channel binding"))?;
        let (nonce, _) = attribute(rest, 'r').ok_or(ScramError::Malformed("nonce"))?;
        if binding != self.binding {
            return Err(ScramError::Binding);
        }
        if !bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(ScramError::Malformed("nonce does not match"));
        }
        let proof = BASE64.decode(proof).map_err(|_| ScramError::Malformed("proof"))?;
        let proof: [u8; KEY] = proof.try_into().map_err(|_| ScramError::Malformed("proof"))?;

        let ScramVerifier { iterations, salt, stored_key, server_key } = self.verifier;
        let signed: [&[u8]; 2] = [self.auth_message.as_bytes(), without_proof.as_bytes()];
        let client_key = Key(xor(&proof, &hmac(stored_key.bytes(), &signed)));
        let matches = Sha256::digest(client_key.bytes()).ct_eq(stored_key.bytes());
        // Both are computed for every user, so that time tells nothing either.
        if !bool::from(matches) || self.doomed {
            return Err(ScramError::WrongProof);
        }
        let signature = BASE64.encode(hmac(server_key.bytes(), &signed));
        Ok((format!("v={signature}"), ScramKeys { client_key, server_key, salt, iterations }))
    }
}
