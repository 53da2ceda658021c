//! The configuration held against its database: connect, read the catalog, bind, lint. `serve`
//! begins with the same, and goes on with what it read.

use crate::catalog::{self, Catalog, CatalogError, ConnectError, Service, ServiceError};
use crate::config::{Config, UpstreamLogin};
use crate::policy::{BoundPolicy, Finding, Level, Source, lint};
use crate::sql::resolve::{self, refused_own_code};
use std::collections::{BTreeMap, BTreeSet};
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
    let assignment =
        catalog.lookup(&config.policy.assignment.relation).map(|_| &config.policy.assignment.relation);
    let mut facts = catalog::facts(&client, &readers, &relations, assignment).await?;
    facts.writers = writers(&client, config, &bound).await?;
    let mut findings = lint(&bound, &catalog, &facts);
    if matches!(config.upstream.login, UpstreamLogin::ServiceAccount(_)) {
        // People need not be known to the database then; groups are still looked up there.
        findings
            .retain(|f| f.code != "no-such-role" || !config.policy.membership.users.contains_key(&f.subject));
    }
    findings.extend(unnamed_functions(&bound, &catalog));
    findings.extend(assignment_queries(&client, config).await);
    let unreadable = super::unreadable::findings(&client, config, &findings).await;
    findings.extend(unreadable);
    findings.extend(super::accounts::findings(&client, config).await?);
    findings.extend(auth_query(config).await);
    findings.sort();
    Ok(Checked { catalog, bound, findings })
}

/// Which roles of the policy have people who may insert into or update which protected tables.
async fn writers(
    client: &tokio_postgres::Client,
    config: &Config,
    bound: &BoundPolicy,
) -> Result<BTreeSet<(String, catalog::Oid)>, CatalogError> {
    let people: Vec<(String, String)> = match &config.upstream.login {
        UpstreamLogin::ServiceAccount(accounts) => {
            accounts.iter().map(|(role, account)| (account.user.clone(), role.clone())).collect()
        }
        _ => {
            let members = &config.policy.membership;
            let users = members.users.iter().map(|(user, role)| (user.clone(), role.clone()));
            users.chain(members.groups.iter().cloned()).collect()
        }
    };
    let names: Vec<String> = people.iter().map(|(name, _)| name.clone()).collect();
    let relations: Vec<catalog::Oid> = bound.tables.keys().copied().collect();
    let found = catalog::writers(client, &names, &relations).await?;
    let of = |(name, oid): (String, catalog::Oid)| {
        people.iter().filter(move |(n, _)| *n == name).map(move |(_, role)| (role.clone(), oid))
    };
    Ok(found.into_iter().flat_map(of).collect())
}

/// Functions that statements run without naming them and that roles may not run, each with the roles.
fn unnamed_functions(bound: &BoundPolicy, catalog: &Catalog) -> Vec<Finding> {
    let namespace = catalog::Namespace::default();
    let mut roles: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for role in bound.policy.roles.values() {
        for refused in refused_own_code(&resolve::Context { role, bound, catalog, namespace: &namespace }) {
            roles.entry(refused).or_default().push(&role.name);
        }
    }
    let finding = |((function, place), roles): ((String, String), Vec<&str>)| Finding {
        level: Level::Warning,
        code: "unnamed-function",
        subject: function.clone(),
        message: format!("runs behind {place}: statements that reach it are refused to {}", roles.join(", ")),
        help: Some(format!(
            "it reads what is closed, or cannot be read itself; if it shows nothing of patients, add \"{function}\" \
             to functions of the role"
        )),
    };
    roles.into_iter().map(finding).collect()
}

/// The queries of assignment sources, asked for their columns.
async fn assignment_queries(client: &tokio_postgres::Client, config: &Config) -> Vec<Finding> {
    let mut out = Vec::new();
    for source in &config.policy.sources {
        let Source::Query(query) = source else { continue };
        let finding = |message: String| Finding {
            level: Level::Error,
            code: "assignment-query",
            subject: query.relations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            message,
            help: Some(
                "every guarded statement runs it: its first column is the principal (text), its second \
                        the patient key"
                    .to_owned(),
            ),
        };
        match client.prepare(&query.sql).await {
            Err(error) => {
                let words = error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
                out.push(finding(format!("the server does not take the query: {words}")));
            }
            Ok(statement) => {
                let types: Vec<&str> = statement.columns().iter().map(|c| c.type_().name()).collect();
                let key = config.policy.key_type;
                let fits = match types.as_slice() {
                    [principal, patient] => {
                        matches!(*principal, "text" | "varchar" | "name") && key.takes(patient)
                    }
                    _ => false,
                };
                if !fits {
                    out.push(finding(format!(
                        "the query yields ({}), not (text, {})",
                        types.join(", "),
                        key.sql()
                    )));
                }
            }
        }
    }
    out
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
