//! The service accounts of the configuration held against the server: an account that could lift itself above its
//! role's rights is an error. Not here: what the accounts may read, which is the server's grants.

use crate::catalog::{self, CatalogError};
use crate::config::{Config, UpstreamLogin};
use crate::policy::{Finding, Level};

/// Membership in these gives the server's files or programs, and with them everything.
const POWERS: &str = "{pg_read_server_files,pg_write_server_files,pg_execute_server_program}";

/// One row for the account `$1`, with each thing it must not be; `$2` is the proxy's own account, `$3` groups.
const QUERY: &str = "\
SELECT a.rolsuper, a.rolcreaterole, a.rolreplication, a.rolcanlogin,
       ARRAY(SELECT g.rolname::pg_catalog.text FROM pg_catalog.pg_roles AS g
              WHERE (g.rolname OPERATOR(pg_catalog.=) $2::pg_catalog.text
                     OR g.rolname OPERATOR(pg_catalog.=) ANY ($3::pg_catalog.text::pg_catalog.text[]))
                AND pg_catalog.pg_has_role(a.oid, g.oid, 'MEMBER'))
  FROM pg_catalog.pg_roles AS a WHERE a.rolname OPERATOR(pg_catalog.=) $1::pg_catalog.text";

/// What is wrong with the accounts; nothing for configurations without.
pub(super) async fn findings(
    client: &tokio_postgres::Client,
    config: &Config,
) -> Result<Vec<Finding>, CatalogError> {
    let UpstreamLogin::ServiceAccount(accounts) = &config.upstream.login else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for (role, account) in accounts {
        let problems = problems(client, &account.user, &config.upstream.service_user)
            .await
            .map_err(|source| CatalogError::Query { what: "accounts", source })?;
        out.extend(problems.into_iter().map(|problem| Finding {
            level: Level::Error,
            code: "account",
            subject: format!("upstream.account.{role}"),
            message: format!("{}: {problem}", account.user),
            help: Some(format!(
                "give the role an account with what its people need and nothing else: CREATE ROLE {} LOGIN ...",
                catalog::quote_ident(&account.user)
            )),
        }));
    }
    Ok(out)
}

async fn problems(
    client: &tokio_postgres::Client,
    user: &str,
    service_user: &str,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let Some(row) = client.query_opt(QUERY, &[&user, &service_user, &POWERS]).await? else {
        return Ok(vec!["no such user in the database".to_owned()]);
    };
    let mut problems = Vec::new();
    let mut say = |is: bool, what: &str| {
        if is {
            problems.push(what.to_owned());
        }
    };
    let superuser: bool = row.try_get(0)?;
    say(superuser, "is a superuser");
    say(row.try_get(1)?, "has CREATEROLE and could grant itself more");
    say(row.try_get(2)?, "has REPLICATION and could read everything past the proxy");
    say(!row.try_get::<_, bool>(3)?, "may not log in");
    if !superuser {
        // A superuser counts as a member of everything.
        let groups: Vec<String> = row.try_get(4)?;
        problems.extend(groups.iter().map(|group| format!("is a member of {group}")));
    }
    Ok(problems)
}
