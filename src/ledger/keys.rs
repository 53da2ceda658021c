//! Signing keys as files, in the formats of C2SP signed-note: the `PRIVATE+KEY+...` line of Go's
//! `sumdb/note` for the private one, the `vkey` line for the public one. Ed25519 only.
//!
//! Signatures themselves are made and checked here too; what is signed is `checkpoint`'s business.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::{Cause, LedgerError};

/// The algorithm byte of Ed25519 in C2SP signed-note.
const ED25519: u8 = 0x01;
/// First words of a private key line.
const PRIVATE: &str = "PRIVATE+KEY+";

/// True for a name that C2SP signed-note allows for a key: not empty, no space, no plus sign.
pub fn valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_error(message: impl Into<String>) -> LedgerError {
    Cause::Key { message: message.into() }.into()
}

/// Key id: the first four bytes of SHA-256(name, newline, algorithm byte, public key).
fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize()
        .into();
    [hash[0], hash[1], hash[2], hash[3]]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Splits `name+hash+base64` and checks name and algorithm; returns name, hash and key bytes.
fn split_line(line: &str) -> Result<(&str, &str, Zeroizing<[u8; 32]>), LedgerError> {
    let mut words = line.trim_end().splitn(3, '+');
    let (Some(name), Some(hash), Some(key)) = (words.next(), words.next(), words.next()) else {
        return Err(key_error("not of the form name+hash+key"));
    };
    if !valid_name(name) {
        return Err(key_error("the key's name is not valid"));
    }
    let bytes = Zeroizing::new(BASE64.decode(key).map_err(|_| key_error("not base64"))?);
    match bytes.split_first() {
        Some((&ED25519, rest)) => {
            let key = rest.try_into().map_err(|_| key_error("not 32 bytes long"))?;
            Ok((name, hash, Zeroizing::new(key)))
        }
        _ => Err(key_error("not an Ed25519 key")),
    }
}

/// A private key with its name. The key is wiped when dropped.
pub struct PrivateKey {
    name: String,
    key: SigningKey,
}

impl PrivateKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    /// When `name` is no valid key name.
    pub fn generate(name: &str) -> Result<Self, LedgerError> {
        if !valid_name(name) {
            return Err(key_error(format!("{name:?} cannot name a key: no spaces and no '+'")));
        }
        let seed = Zeroizing::new(rand::random::<[u8; 32]>());
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// Reads a private key file. It must be readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be read, others may read it, or it is no key.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        let at = |e: std::io::Error| key_error(format!("{}: {e}", path.display()));
        let mode = std::fs::metadata(path).map_err(at)?.permissions().mode();
        if mode & 0o077 != 0 {
            let mode = mode & 0o777;
            return Err(key_error(format!(
                "{}: mode {mode:o} lets others read it; chmod 600",
                path.display()
            )));
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(at)?);
        let line = text
            .strip_prefix(PRIVATE)
            .ok_or_else(|| key_error(format!("{}: no private key", path.display())))?;
        let (name, hash, seed) = split_line(line)?;
        let key = SigningKey::from_bytes(&seed);
        if hex(&key_id(name, &key.verifying_key())) != hash {
            return Err(key_error(format!("{}: name and key do not belong together", path.display())));
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// Writes the private key (mode 0600) to `path` and the public one to `path` with `.pub`
    /// appended. Existing files are never overwritten. Returns the public file's path.
    ///
    /// # Errors
    /// When a file exists or cannot be written.
    pub fn write(&self, path: &Path) -> Result<PathBuf, LedgerError> {
        let id = hex(&key_id(&self.name, &self.key.verifying_key()));
        let mut bytes = Zeroizing::new(vec![ED25519]);
        bytes.extend_from_slice(self.key.as_bytes());
        let line = Zeroizing::new(format!("{PRIVATE}{}+{id}+{}\n", self.name, BASE64.encode(&*bytes)));
        let mut public_path = path.as_os_str().to_owned();
        public_path.push(".pub");
        let public_path = PathBuf::from(public_path);
        if public_path.exists() {
            return Err(key_error(format!("{} exists already", public_path.display())));
        }
        create_new(path, 0o600, line.as_bytes())?;
        create_new(&public_path, 0o644, format!("{}\n", self.public().to_line()).as_bytes())?;
        Ok(public_path)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The key's name, which is the node's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The signature line of a note with this text (which ends in a newline).
    pub(crate) fn sign_line(&self, text: &str) -> String {
        let mut bytes = key_id(&self.name, &self.key.verifying_key()).to_vec();
        bytes.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("\u{2014} {} {}\n", self.name, BASE64.encode(bytes))
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").field("name", &self.name).finish_non_exhaustive()
    }
}

fn create_new(path: &Path, mode: u32, content: &[u8]) -> Result<(), LedgerError> {
    let at = |e: std::io::Error| key_error(format!("{}: {e}", path.display()));
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(at)?;
    file.write_all(content).map_err(at)?;
    file.sync_all().map_err(at)
}

/// A public key with its name: all a verifier needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl PublicKey {
    /// Reads a file with a vkey line.
    ///
    /// # Errors
    /// When it cannot be read or is no key.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        let text =
            std::fs::read_to_string(path).map_err(|e| key_error(format!("{}: {e}", path.display())))?;
        Self::parse(&text)
    }

    /// Understands a vkey line, `name+hash+base64`.
    ///
    /// # Errors
    /// When it is no Ed25519 vkey, or hash and key do not belong together.
    pub fn parse(line: &str) -> Result<Self, LedgerError> {
        if line.starts_with(PRIVATE) {
            return Err(key_error("this is a private key; the public one is in the file with .pub"));
        }
        let (name, hash, key) = split_line(line)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| key_error("not a point of the curve"))?;
        if hex(&key_id(name, &key)) != hash {
            return Err(key_error("hash and key do not belong together"));
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// The vkey line, without a newline.
    pub fn to_line(&self) -> String {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        format!("{}+{}+{}", self.name, hex(&key_id(&self.name, &self.key)), BASE64.encode(bytes))
    }

    /// The key's name, which is the node's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True when `line` (no newline) is this key's signature line over `text`, in the one form
    /// that [`PrivateKey`] writes.
    pub(crate) fn verify_line(&self, text: &str, line: &str) -> bool {
        let Some(signature) = line.strip_prefix("\u{2014} ").and_then(|l| l.strip_prefix(self.name.as_str()))
        else {
            return false;
        };
        let Some(bytes) = signature.strip_prefix(' ').and_then(|s| BASE64.decode(s).ok()) else {
            return false;
        };
        let Some((id, signature)) = bytes.split_first_chunk::<4>() else { return false };
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        *id == key_id(&self.name, &self.key) && self.key.verify_strict(text.as_bytes(), &signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_private_ones_unreadable_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let key = PrivateKey::generate("demo-1").unwrap();
        let public_path = key.write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let public = PublicKey::read(&public_path).unwrap();
        let line = PrivateKey::read(&path).unwrap().sign_line("text\n");
        assert!(public.verify_line("text\n", line.trim_end()));
        assert!(!public.verify_line("texT\n", line.trim_end()));
        assert!(key.write(&path).is_err(), "overwrote a key");
        assert!(PublicKey::read(&path).is_err(), "took a private key for a public one");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(PrivateKey::read(&path).is_err());
    }

    /// The example of C2SP signed-note / Go's sumdb: a published vkey whose hash must match.
    #[test]
    fn a_published_vkey_is_understood() {
        let line = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        let key = PublicKey::parse(line).unwrap();
        assert_eq!((key.name(), key.to_line().as_str()), ("sum.golang.org", line));
        assert!(PublicKey::parse(&line.replace("033de0ae", "033de0af")).is_err());
        assert!(PublicKey::parse(&line.replace("sum.", "son.")).is_err());
    }
}
