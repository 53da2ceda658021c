//! What the service account has to read at run time, and may not: who is assigned to whom, and who has which label.
//! The server is asked to plan the question; it looks at the account's rights then, and reads no row.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::catalog::{QualifiedName, quote_ident};
use crate::config::Config;
use crate::policy::{Finding, Level};

/// Findings beyond those that are `known`.
pub(super) async fn findings(client: &Client, config: &Config, known: &[Finding]) -> Vec<Finding> {
    let policy = &config.policy;
    let sources = policy.all_sources().map(|s| {
        let what = "who is assigned to whom cannot be told, and FETCH from a cursor fails";
        ("assignment-unreadable", s.question(), s.relations().to_vec(), what)
    });
    let limited = policy.roles.values().any(|r| r.limited);
    let labels = policy.labels.iter().filter(|_| limited).map(|l| {
        let columns = format!("{}, {}", quote_ident(&l.patient), quote_ident(&l.column));
        let question = format!("SELECT {columns} FROM {}", l.relation.to_sql());
        let what = "who has which label cannot be told, and FETCH from a cursor fails";
        ("label-unreadable", question, vec![l.relation.clone()], what)
    });
    let mut out = Vec::new();
    for (code, question, relations, what) in sources.chain(labels).collect::<Vec<_>>() {
        let subject = relations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if known.iter().any(|f| f.code == code && f.subject == subject) {
            continue;
        }
        // Other errors are told of by who looks at columns and queries.
        let Err(error) = client.simple_query(&format!("EXPLAIN {question}")).await else { continue };
        let Some(error) = error.as_db_error().filter(|e| *e.code() == SqlState::INSUFFICIENT_PRIVILEGE)
        else {
            continue;
        };
        out.push(Finding {
            level: Level::Error,
            code,
            subject,
            message: format!("the service account cannot read it ({}): {what}", error.message()),
            help: Some(grants(&relations, &config.upstream.service_user)),
        });
    }
    out
}

fn grants(relations: &[QualifiedName], account: &str) -> String {
    let account = quote_ident(account);
    let grant = |r: &QualifiedName| {
        let schema = quote_ident(&r.schema);
        format!("GRANT USAGE ON SCHEMA {schema} TO {account}; GRANT SELECT ON {} TO {account};", r.to_sql())
    };
    relations.iter().map(grant).collect::<Vec<_>>().join(" ")
}
