//! The configuration held against its database: connect, read the catalog, bind, lint. `serve`
//! begins with the same, and goes on with what it read.

use crate::catalog::{self, Catalog, CatalogError, ConnectError, Service, ServiceError};
use crate::config::{Config, UpstreamLogin};
use crate::policy::{BoundPolicy, Finding, Level, lint};
use std::sync::Arc;

/// Why the database could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The catalog cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The process could not start what runs the connection.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

impl CheckError {
    /// The error as a finding, for the report.
    pub(super) fn finding(&self) -> Finding {
        let (code, help) = match self {
            CheckError::Connect(ConnectError::Unreachable { .. }) => (
                "unreachable",
                Some("check upstream.host and upstream.port, and that the server listens there"),
            ),
            CheckError::Connect(ConnectError::NotPostgres { .. }) => {
                ("not-postgresql", Some("check upstream.port"))
            }
            CheckError::Connect(ConnectError::Tls { .. }) => ("tls", None),
            CheckError::Connect(ConnectError::Refused { .. }) => ("refused", None),
            CheckError::Connect(
                ConnectError::PasswordFile { .. }
                | ConnectError::Authorities { .. }
                | ConnectError::Identity { .. }
                | ConnectError::Server { .. },
            ) => ("connect", None),
            CheckError::Catalog(_) => ("catalog", None),
            CheckError::Runtime(_) => ("runtime", None),
        };
        Finding {
            level: Level::Error,
            code,
            subject: "upstream".to_owned(),
            message: self.to_string(),
            help: help.map(str::to_owned),
        }
    }
}

/// What was read and found.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The snapshot.
    #[allow(dead_code)] // the proxy starts with it
    pub(crate) catalog: Catalog,
    /// The policy bound to it.
    pub(crate) bound: BoundPolicy,
    /// Findings, errors first.
    pub(crate) findings: Vec<Finding>,
}

/// Holds a configuration against its database.
pub(crate) async fn hold_against_server(config: &Config) -> Result<Checked, CheckError> {
    let client = catalog::connect(&config.upstream).await?;
    let catalog = catalog::load(&client, 1).await?;
    let bound = BoundPolicy::bind(Arc::clone(&config.policy), &catalog, None);
    let (mut readers, relations) = bound.guard_readers(&catalog);
    if let UpstreamLogin::ServiceAccount(accounts) = &config.upstream.login {
        // Guards run with the rights of the account, whoever the person is.
        let guarded = |role: &String| {
            config.policy.roles.get(role).is_some_and(|r| r.scope == crate::policy::Scope::Assigned)
        };
        readers = accounts.iter().filter(|(role, _)| guarded(role)).map(|(_, a)| a.user.clone()).collect();
    }
    let assignment = bound.assignment.map(|_| &config.policy.assignment.relation);
    let facts = catalog::facts(&client, &readers, &relations, assignment).await?;
    let mut findings = lint(&bound, &catalog, &facts);
    if matches!(config.upstream.login, UpstreamLogin::ServiceAccount(_)) {
        // People need not be known to the database then; groups are still looked up there.
        findings
            .retain(|f| f.code != "no-such-role" || !config.policy.membership.users.contains_key(&f.subject));
    }
    findings.extend(super::accounts::findings(&client, config).await?);
    findings.extend(auth_query(config).await);
    findings.sort();
    Ok(Checked { catalog, bound, findings })
}

const AUTH_QUERY_HELP: &str = "\
give the service account the verifiers and nothing else, as a superuser:
CREATE FUNCTION glass.verifier(login name, OUT verifier text, OUT valid_until timestamptz)
  RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = login AND rolcanlogin $$;
REVOKE ALL ON FUNCTION glass.verifier(name) FROM PUBLIC;
GRANT USAGE ON SCHEMA glass TO SERVICE_USER;
GRANT EXECUTE ON FUNCTION glass.verifier(name) TO SERVICE_USER;
and set auth_query = \"SELECT verifier, valid_until FROM glass.verifier($1)\"";

async fn auth_query(config: &Config) -> Option<Finding> {
    // Not asked when verifiers come from a file, or nobody has a password.
    if config.login.verifier_file.is_some() || !config.login.method.wants_password() {
        return None;
    }
    let error = Service::new(config.upstream.clone()).validate().await.err()?;
    let user = catalog::quote_ident(&config.upstream.service_user);
    let help = match &error {
        ServiceError::AuthQuery(_) => Some(AUTH_QUERY_HELP.replace("SERVICE_USER", &user)),
        ServiceError::Connect(_)
        | ServiceError::Query { .. }
        | ServiceError::Timeout { .. }
        | ServiceError::Identifier(_)
        | ServiceError::Ambiguous(_) => None,
    };
    Some(Finding {
        level: Level::Error,
        code: "auth-query",
        subject: "upstream".to_owned(),
        message: error.to_string(),
        help,
    })
}
