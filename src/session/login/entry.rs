//! How clients come in: where their verifiers are, how many there may be, as whom they are logged in to the
//! server. One value, read from the configuration, that a reload swaps. Not here: the handshake (`wire`), the
//! order of the steps (`login`), what a session may see (`policy`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::Service;
use crate::config::{Config, UpstreamLogin};
use crate::session::idle::IdleLimits;
use crate::session::login::userlist::{Userlist, UserlistError};
use crate::wire::client::{Login, StoredVerifier, Verifiers};
use crate::wire::message::Report;
use crate::wire::scram::client::ClientSecret;
use crate::wire::upstream::Credentials;

/// How clients come in.
#[derive(Debug)]
pub struct Entry {
    verifiers: Source,
    upstream: Accounts,
    /// Most connections at a time.
    pub max_connections: u32,
    /// Most sessions of one user at a time.
    pub max_per_user: Option<u32>,
    /// How long a session may be idle.
    pub idle: IdleLimits,
}

#[derive(Debug)]
enum Source {
    Server,
    File(Userlist),
}

#[derive(Debug)]
enum Accounts {
    PassThrough,
    Certificate,
    OfRoles(BTreeMap<String, Account>),
}

#[derive(Debug, Clone)]
struct Account {
    user: String,
    credentials: Credentials,
}

/// A file that the configuration names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The file of verifiers.
    #[error(transparent)]
    Userlist(#[from] UserlistError),
    /// The password of a role's account.
    #[error("the account of role {role}: {source}")]
    Password {
        /// The policy's role.
        role: String,
        /// Which file, and why.
        source: crate::catalog::ConnectError,
    },
}

impl Entry {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn load(config: &Config) -> Result<Self, EntryError> {
        let verifiers = match &config.login.verifier_file {
            Some(path) if config.login.method.wants_password() => Source::File(Userlist::load(path)?),
            Some(_) | None => Source::Server,
        };
        let upstream = match &config.upstream.login {
            UpstreamLogin::PassThrough => Accounts::PassThrough,
            UpstreamLogin::Certificate => Accounts::Certificate,
            UpstreamLogin::ServiceAccount(accounts) => {
                let mut of_roles = BTreeMap::new();
                for (role, account) in accounts {
                    let credentials = match &account.password_file {
                        None => Credentials::None,
                        Some(path) => {
                            let password = crate::catalog::read_password(path)
                                .map_err(|source| EntryError::Password { role: role.clone(), source })?;
                            Credentials::Scram(ClientSecret::Password(password.into()))
                        }
                    };
                    of_roles.insert(role.clone(), Account { user: account.user.clone(), credentials });
                }
                Accounts::OfRoles(of_roles)
            }
        };
        let listen = &config.listen;
        Ok(Self {
            verifiers,
            upstream,
            max_connections: listen.max_connections,
            max_per_user: listen.max_connections_per_user,
            idle: IdleLimits {
                session: listen.idle_session_timeout,
                in_transaction: listen.idle_in_transaction_session_timeout,
            },
        })
    }

    /// For sessions that begin without a login.
    #[cfg(any(test, fuzzing))]
    pub(in crate::session) fn nobody() -> Self {
        let idle = IdleLimits::default();
        let (verifiers, upstream) = (Source::Server, Accounts::PassThrough);
        Self { verifiers, upstream, max_connections: 1, max_per_user: None, idle }
    }

    /// As whom a client that proved who it is is logged in to the server.
    ///
    /// # Errors
    /// What the client is told: its role has no account.
    pub(in crate::session) fn upstream_login(&self, login: &Login, role: &str) -> Result<UpstreamAs, Report> {
        let as_itself = |credentials| UpstreamAs { user: login.user.clone(), credentials, carries: None };
        match &self.upstream {
            Accounts::PassThrough => match &login.keys {
                Some(keys) => Ok(as_itself(Credentials::Scram(ClientSecret::Keys(keys.clone())))),
                // The configuration does not allow it; a reload between two steps of a login can lead here.
                None => Err(Report::fatal("28000", "the login cannot be passed on; connect again")),
            },
            Accounts::Certificate => Ok(as_itself(Credentials::None)),
            Accounts::OfRoles(accounts) => match accounts.get(role) {
                Some(Account { user, credentials }) => Ok(UpstreamAs {
                    user: user.clone(),
                    credentials: credentials.clone(),
                    carries: Some(login.user.clone()),
                }),
                None => {
                    Err(Report::fatal("28000", format!("role \"{role}\" of pgglass has no database account")))
                }
            },
        }
    }

    /// Whether the account upstream depends on the role, so that a session cannot outlive its role.
    pub(in crate::session) fn bound_to_role(&self) -> bool {
        matches!(self.upstream, Accounts::OfRoles(_))
    }
}

/// As whom a client is logged in to the server.
#[derive(Debug)]
pub(in crate::session) struct UpstreamAs {
    /// The database user.
    pub(in crate::session) user: String,
    /// What proves it.
    pub(in crate::session) credentials: Credentials,
    /// The person behind a service account; `None` when `user` is the person.
    pub(in crate::session) carries: Option<String>,
}

impl UpstreamAs {
    /// The `application_name` of a session under a service account: who it is, for whoever looks at
    /// `pg_stat_activity` or the server's log. A label, not a proof: clients may change it.
    pub(in crate::session) fn label(&self, application_name: Option<&str>) -> Option<String> {
        let person = self.carries.as_deref()?;
        Some(match application_name.filter(|name| !name.is_empty()) {
            Some(name) => format!("{person}/{name}"),
            None => person.to_owned(),
        })
    }
}

/// Verifiers as a login asks for them.
pub(in crate::session) struct Lookup<'a> {
    pub(in crate::session) entry: &'a Entry,
    pub(in crate::session) service: &'a Service,
}

impl Verifiers for Lookup<'_> {
    type Error = String;

    async fn verifier(&self, user: &str) -> Result<Option<StoredVerifier>, String> {
        match &self.entry.verifiers {
            Source::File(list) => return Ok(list.find(user)),
            Source::Server => {}
        }
        let found = self.service.verifier(user).await.map_err(|e| e.to_string())?;
        let Some(found) = found else { return Ok(None) };
        match found.verifier.parse() {
            Ok(scram) => Ok(Some(StoredVerifier { scram, valid_until: found.valid_until })),
            Err(_) => {
                tracing::warn!(user, "the stored verifier is not SCRAM-SHA-256: the login is refused");
                Ok(None)
            }
        }
    }
}

/// How many sessions each user has.
#[derive(Debug, Default)]
pub(in crate::session) struct Crowd(Arc<Mutex<HashMap<String, u32>>>);

impl Crowd {
    /// Counts one more session of `user` for as long as the value lives.
    ///
    /// # Errors
    /// What the client is told (`InitPostgres`, "too many connections for role").
    pub(in crate::session) fn enter(&self, user: &str, most: Option<u32>) -> Result<Place, Report> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sessions.entry(user.to_owned()).or_insert(0);
        if most.is_some_and(|most| *count >= most) {
            return Err(Report::fatal("53300", format!("too many connections for role \"{user}\"")));
        }
        *count += 1;
        Ok(Place { crowd: Arc::clone(&self.0), user: user.to_owned() })
    }
}

/// One counted session.
#[derive(Debug)]
#[must_use]
pub(in crate::session) struct Place {
    crowd: Arc<Mutex<HashMap<String, u32>>>,
    user: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sessions = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sessions.get_mut(&self.user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sessions.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_a_user_are_counted_while_they_live() {
        let crowd = Crowd::default();
        let one = crowd.enter("amy", Some(2)).unwrap();
        let _two = crowd.enter("amy", Some(2)).unwrap();
        let refused = crowd.enter("amy", Some(2)).unwrap_err();
        assert_eq!(refused.code(), "53300");
        assert!(refused.to_string().contains("too many connections for role \"amy\""));
        let _bob = crowd.enter("bob", Some(2)).unwrap();
        drop(one);
        let _three = crowd.enter("amy", Some(2)).unwrap();
        let _unlimited: Vec<_> = (0..10).map(|_| crowd.enter("amy", None).unwrap()).collect();
    }

    #[test]
    fn an_account_is_labelled_with_the_person() {
        let of = |carries: Option<&str>| UpstreamAs {
            user: "clinic_nurse".into(),
            credentials: Credentials::None,
            carries: carries.map(str::to_owned),
        };
        assert_eq!(of(Some("amy")).label(Some("psql")).as_deref(), Some("amy/psql"));
        assert_eq!(of(Some("amy")).label(Some("")).as_deref(), Some("amy"));
        assert_eq!(of(None).label(Some("psql")), None);
    }
}
