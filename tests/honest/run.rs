//! Runs the statements of a file in one session through pgglass and in one directly, each in a transaction of its own that
//! is rolled back, unless the statement is one for outside of a transaction. Parameters are NULL.

use tokio_postgres::error::DbError;
use tokio_postgres::types::{IsNull, ToSql, Type};

use crate::common::{Database, Proxy, Session};
use crate::corpus::File;

/// How one statement ended.
pub(crate) enum Outcome {
    /// As directly, as far as an error goes.
    Answered,
    /// PostgreSQL itself refuses it here (another version, a missing right): says nothing about pgglass.
    Dishonest,
    /// Only through pgglass.
    Refused(Refused),
}

/// A refusal.
pub(crate) struct Refused {
    pub(crate) statement: String,
    pub(crate) reason: String,
}

pub(crate) async fn run(file: &File, role: &str, database: &Database<'_>, proxy: &Proxy<'_>) -> Vec<Outcome> {
    let direct = database.connect(role).await;
    let through = proxy.connect(role).await;
    let mut outcomes = Vec::new();
    if let Some(path) = file.search_path {
        for session in [&direct, &through] {
            session.batch_execute(&format!("SET search_path TO {path}, public")).await.unwrap();
        }
    }
    for statement in &file.statements {
        let want = one(&direct, statement).await;
        let got = one(&through, statement).await;
        outcomes.push(match (want, got) {
            (Err(error), _) => {
                println!("dishonest: {} | {role} | {} | {statement}", file.name, error.message());
                Outcome::Dishonest
            }
            (Ok(want), Ok(got)) => {
                assert_eq!(want, got, "columns of {statement}");
                Outcome::Answered
            }
            (Ok(_), Err(error)) => {
                Outcome::Refused(Refused { statement: (*statement).to_owned(), reason: reason(&error) })
            }
        });
    }
    outcomes
}

/// The message without its first line's names of relations and the like would group better, but tells less.
fn reason(error: &DbError) -> String {
    format!("{} {}", error.code().code(), error.message().lines().next().unwrap_or_default())
}

/// The names and types of its columns, when it says so.
async fn one(session: &Session, statement: &str) -> Result<Vec<(String, u32)>, DbError> {
    let own = outside(statement);
    if !own {
        session.batch_execute("BEGIN").await.unwrap();
    }
    let result = send(session, statement).await;
    // A statement that left a transaction open, or a failed one.
    let _ = session.batch_execute("ROLLBACK").await;
    if own {
        let _ = session.batch_execute("RESET ALL; UNLISTEN *").await;
    }
    // The other session is to get it too.
    if statement.contains("advisory") {
        let _ = session.batch_execute("SELECT pg_advisory_unlock_all()").await;
    }
    result
}

async fn send(session: &Session, statement: &str) -> Result<Vec<(String, u32)>, DbError> {
    let failed = |e: tokio_postgres::Error| {
        e.as_db_error().cloned().unwrap_or_else(|| panic!("{statement}: the connection failed: {e}"))
    };
    // It is decided at Parse; what it copies is of no interest here.
    if statement.starts_with("COPY ") {
        return session.prepare(statement).await.map(|_| Vec::new()).map_err(failed);
    }
    if !statement.contains("$1") {
        return session.simple_query(statement).await.map(|_| Vec::new()).map_err(failed);
    }
    let prepared = session.prepare(statement).await.map_err(failed)?;
    let nulls = vec![&Null as &(dyn ToSql + Sync); prepared.params().len()];
    session.query(&prepared, &nulls).await.map_err(failed)?;
    Ok(prepared.columns().iter().map(|c| (c.name().to_owned(), c.type_().oid())).collect())
}

/// Statements that end, begin or may not be in a transaction, or whose effect a rollback would undo.
fn outside(statement: &str) -> bool {
    let first = statement.split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    matches!(
        first.trim_end_matches(';'),
        "BEGIN"
            | "START"
            | "COMMIT"
            | "ROLLBACK"
            | "SET"
            | "RESET"
            | "DISCARD"
            | "LISTEN"
            | "UNLISTEN"
            | "DEALLOCATE"
            | "CLOSE"
            | "SHOW"
    )
}

/// NULL for a parameter of any type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(
        &self,
        _: &Type,
        _: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}
