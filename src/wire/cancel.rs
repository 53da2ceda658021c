//! Our own cancel keys: what a client was given in BackendKeyData, and which upstream it stands for.
//! A key is valid as long as its [`CancelKey`] lives. Not here: sending the cancel (see `upstream`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rand::TryRngCore;
use rand::rngs::OsRng;
use subtle::ConstantTimeEq;

/// Bytes of secret in protocol 3.0.
pub const SECRET_3_0: usize = 4;
/// Bytes of secret we give in protocol 3.2, as PostgreSQL 18 does (`MAX_CANCEL_KEY_LENGTH` is 256).
pub const SECRET_3_2: usize = 32;

/// The cancel keys of all sessions; cloning shares them.
#[derive(Debug)]
pub struct CancelRegistry<T> {
    keys: Arc<Mutex<HashMap<i32, Vec<Held<T>>>>>,
}

#[derive(Debug)]
struct Held<T> {
    secret: Vec<u8>,
    target: T,
}

impl<T> Clone for CancelRegistry<T> {
    fn clone(&self) -> Self {
        CancelRegistry { keys: Arc::clone(&self.keys) }
    }
}

impl<T> Default for CancelRegistry<T> {
    fn default() -> Self {
        CancelRegistry { keys: Arc::default() }
    }
}

/// No key could be made.
#[derive(Debug, thiserror::Error)]
pub enum CancelKeyError {
    /// The operating system has no randomness to give.
    #[error("no randomness for a cancel key: {0}")]
    Random(#[from] rand::rand_core::OsError),
}

impl<T: Clone> CancelRegistry<T> {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// A key for `target`, whose server process is `pid`: clients know their own notifications by it, show
    /// it, and pass it to `pg_terminate_backend`. Protocol `minor` decides how long the secret is.
    ///
    /// # Errors
    /// [`CancelKeyError`].
    pub fn register(&self, target: T, pid: i32, minor: u16) -> Result<CancelKey<T>, CancelKeyError> {
        let mut secret = vec![0; if minor >= 2 { SECRET_3_2 } else { SECRET_3_0 }];
        OsRng.try_fill_bytes(&mut secret)?;
        // A server that was restarted may give a process id a second time before we forgot the first.
        self.lock().entry(pid).or_default().push(Held { secret: secret.clone(), target });
        Ok(CancelKey { registry: self.clone(), pid, secret })
    }

    /// What the key stands for; `None` if there is no such key. Like PostgreSQL, nothing is said to the
    /// client in either case.
    pub fn find(&self, pid: i32, secret: &[u8]) -> Option<T> {
        let keys = self.lock();
        let held = keys.get(&pid)?.iter().find(|held| bool::from(held.secret.ct_eq(secret)))?;
        Some(held.target.clone())
    }

    /// How many keys are valid.
    pub fn len(&self) -> usize {
        self.lock().values().map(Vec::len).sum()
    }

    /// Whether no key is valid.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> CancelRegistry<T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i32, Vec<Held<T>>>> {
        // Every change is one insert or remove, so the map is whole even if a holder panicked.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A valid cancel key. Dropping it makes it invalid.
#[derive(Debug)]
#[must_use]
pub struct CancelKey<T> {
    registry: CancelRegistry<T>,
    /// The process id given to the client.
    pub pid: i32,
    /// The secret given to the client; [`SECRET_3_0`] or [`SECRET_3_2`] bytes.
    pub secret: Vec<u8>,
}

impl<T> Drop for CancelKey<T> {
    fn drop(&mut self) {
        let mut keys = self.registry.lock();
        if let Some(held) = keys.get_mut(&self.pid) {
            held.retain(|held| held.secret != self.secret);
            if held.is_empty() {
                keys.remove(&self.pid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_target_until_dropped() {
        let registry = CancelRegistry::new();
        let (one, two) = (registry.register("one", 7, 0).unwrap(), registry.register("two", 7, 2).unwrap());
        assert_eq!((one.secret.len(), two.secret.len()), (SECRET_3_0, SECRET_3_2));
        assert_eq!(registry.find(one.pid, &one.secret), Some("one"));
        assert_eq!(
            registry.find(one.pid, &two.secret),
            Some("two"),
            "one process id, told apart by the secret"
        );
        assert_eq!(registry.find(one.pid, &[]), None);
        assert_eq!(registry.find(8, &one.secret), None);
        assert_eq!(registry.find(two.pid, &two.secret[..4]), None);
        let (pid, secret) = (one.pid, one.secret.clone());
        drop(one);
        assert_eq!((registry.find(pid, &secret), registry.len()), (None, 1));
        assert_eq!(registry.find(two.pid, &two.secret), Some("two"));
    }
}
