//! Questions the proxy asks the server about people: a user's stored verifier, whether a patient
//! is assigned to a principal, which patient an identifier names. It keeps one connection of the
//! proxy's own account and makes a new one when that fails; it decides nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Timestamp, ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use super::{ConnectError, QualifiedName, connect, quote_ident};
use crate::config::Upstream;
use crate::policy::{ClosedLabels, Identifier, Policy, open_assigned_keys};

/// Why a question has no answer. Whoever asks must take it for "no".
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No connection can be made.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// The server answered with an error, or the connection broke twice.
    #[error("the server could not answer ({what}): {source}")]
    Query {
        /// What was asked.
        what: &'static str,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// No answer in time.
    #[error("the server did not answer ({what}) within {} s", .limit.as_secs_f32())]
    Timeout {
        /// What was asked.
        what: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// `auth_query` does not take one name and yield a verifier.
    #[error("auth_query {0}")]
    AuthQuery(String),
    /// The configured identifier is not a column of the table, or its table has no key of its own.
    #[error("{0} cannot be used as an identifier")]
    Identifier(String),
    /// One identifier value names several patients.
    #[error("the {0} given names more than one patient")]
    Ambiguous(String),
}

/// What the server stores for a user.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredVerifier {
    /// `SCRAM-SHA-256$...` or whatever else the server keeps (for example `md5...`).
    pub verifier: String,
    /// The password holds until then; `None` means without end.
    pub valid_until: Option<SystemTime>,
}

impl std::fmt::Debug for StoredVerifier {
    /// Without the verifier: it must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredVerifier").field("valid_until", &self.valid_until).finish_non_exhaustive()
    }
}

/// How long one question may take, connecting included.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Short, so that logins work again as soon as the server is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The proxy's own connection for such questions. Cheap to share behind an `Arc`; questions of
/// several tasks are pipelined on one connection.
pub struct Service {
    upstream: Upstream,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// After a failed attempt: when the next one may be made, and what the last one said.
    failed: Option<(Instant, Duration, Arc<ConnectError>)>,
}

/// One connection with the statements prepared on it, by text.
struct Session {
    client: Client,
    statements: Mutex<HashMap<String, Statement>>,
}

impl Service {
    /// A service that connects when it is first asked something.
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream, state: Mutex::default() }
    }

    /// Connects and checks that `auth_query` takes one name and yields a verifier.
    ///
    /// # Errors
    /// [`ServiceError::Connect`], [`ServiceError::AuthQuery`] and those of any question.
    pub async fn validate(&self) -> Result<(), ServiceError> {
        let session = self.session().await?;
        let statement = session.statement(&self.upstream.auth_query).await.map_err(auth_query_error)?;
        check_columns(statement.columns())?;
        // Run for a user that cannot exist, so that missing rights show at the start of the proxy.
        self.verifier("__glass_nobody").await.map(|_| ())
    }

    /// The stored verifier of a user, or `None` when there is no such user or no password.
    ///
    /// # Errors
    /// Any [`ServiceError`] but those of identifiers.
    pub async fn verifier(&self, user: &str) -> Result<Option<StoredVerifier>, ServiceError> {
        let rows = self.ask("verifier", &self.upstream.auth_query, &[&user]).await.map_err(|e| match e {
            ServiceError::Query { source, .. } => auth_query_error(source),
            other => other,
        })?;
        let Some(row) = rows.first() else { return Ok(None) };
        if rows.len() > 1 {
            return Err(ServiceError::AuthQuery("yields more than one row for a user".to_owned()));
        }
        stored_verifier(row)
    }

    /// True when `key` is assigned to `principal` now, by the policy's assignment relation, and none of
    /// `closed` is a label of it.
    ///
    /// # Errors
    /// Those of any question.
    pub async fn assigned(
        &self,
        policy: &Policy,
        closed: &[ClosedLabels],
        principal: &str,
        key: &str,
    ) -> Result<bool, ServiceError> {
        let Some(key) = policy.key_type.canonical(key) else { return Ok(false) };
        let query = assigned_query(policy, closed);
        let rows = self.ask("assignment", &query, &[&principal, &key]).await?;
        Ok(!rows.is_empty())
    }

    /// Every patient assigned to `principal` now whom no label of `closed` hides, as canonical text.
    ///
    /// # Errors
    /// [`ServiceError`] when the server cannot be asked.
    pub async fn assigned_patients(
        &self,
        policy: &Policy,
        closed: &[ClosedLabels],
        principal: &str,
    ) -> Result<Vec<String>, ServiceError> {
        let query = assigned_patients_query(policy, closed);
        let rows = self.ask("assignment", &query, &[&principal]).await?;
        rows.iter()
            .map(|row| row.try_get(0).map_err(|source| ServiceError::Query { what: "assignment", source }))
            .collect()
    }

    /// Of these canonical keys, those that are assigned to `principal` now and that no label of `closed` hides.
    ///
    /// # Errors
    /// [`ServiceError`] when the server cannot be asked.
    pub async fn assigned_among(
        &self,
        policy: &Policy,
        closed: &[ClosedLabels],
        principal: &str,
        keys: &[String],
    ) -> Result<Vec<String>, ServiceError> {
        let query = assigned_among_query(policy, closed);
        let rows = self.ask("assignment", &query, &[&principal, &keys]).await?;
        rows.iter()
            .map(|row| row.try_get(0).map_err(|source| ServiceError::Query { what: "assignment", source }))
            .collect()
    }

    /// The key of the patient whose identifying column holds `value`, as text, or `None`.
    ///
    /// # Errors
    /// [`ServiceError::Ambiguous`] when there are several, [`ServiceError::Identifier`] when the
    /// policy's identifier does not exist on the server, and those of any question.
    pub async fn resolve_identifier(
        &self,
        policy: &Policy,
        identifier: &Identifier,
        value: &str,
    ) -> Result<Option<String>, ServiceError> {
        let named = || format!("{}.{}", identifier.table, identifier.column);
        let rule = policy.tables.iter().find(|t| t.name == identifier.table);
        let Some(key) = rule.and_then(|r| r.own_key()) else { return Err(ServiceError::Identifier(named())) };
        // The value is compared in the column's own type, so that an index on it serves, but
        // without the type's modifier: a cast to varchar(8) would cut the value short.
        let relation = identifier.table.to_sql();
        let types = self.ask("identifier type", COLUMN_TYPE, &[&relation, &identifier.column]).await?;
        let Some(type_sql) = types.first().and_then(|r| r.try_get::<_, String>(0).ok()) else {
            return Err(ServiceError::Identifier(named()));
        };
        let query = identifier_query(&identifier.table, key, &identifier.column, &type_sql);
        let rows = match self.ask("identifier", &query, &[&value]).await {
            Ok(rows) => rows,
            // A value that is none of the column's type names nobody.
            Err(ServiceError::Query { source, .. }) if is_data_exception(&source) => return Ok(None),
            Err(other) => return Err(other),
        };
        match rows.as_slice() {
            [] => Ok(None),
            [row] => row.try_get(0).map_err(|source| ServiceError::Query { what: "identifier", source }),
            _ => Err(ServiceError::Ambiguous(identifier.column.clone())),
        }
    }

    /// Asks within [`ANSWER_LIMIT`]; once more over a new connection when the old one is gone, as
    /// every question only reads.
    async fn ask(
        &self,
        what: &'static str,
        query: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, ServiceError> {
        let limit = ANSWER_LIMIT;
        let asking = async {
            let session = self.session().await?;
            match session.ask(query, params).await {
                Ok(rows) => Ok(rows),
                Err(e) if session.client.is_closed() || e.is_closed() => {
                    self.forget(&session).await;
                    let session = self.session().await?;
                    session.ask(query, params).await.map_err(|source| ServiceError::Query { what, source })
                }
                Err(source) => Err(ServiceError::Query { what, source }),
            }
        };
        match tokio::time::timeout(limit, asking).await {
            Ok(answer) => answer,
            Err(_) => {
                // A connection that is silent may stay so: the next question gets a new one.
                if let Ok(mut state) = self.state.try_lock() {
                    state.session = None;
                }
                Err(ServiceError::Timeout { what, limit })
            }
        }
    }

    async fn forget(&self, session: &Arc<Session>) {
        let mut state = self.state.lock().await;
        if state.session.as_ref().is_some_and(|s| Arc::ptr_eq(s, session)) {
            state.session = None;
        }
    }

    /// The connection, a new one if need be. While attempts fail, they are made after growing
    /// pauses only; in between the last error is the answer at once.
    async fn session(&self) -> Result<Arc<Session>, ServiceError> {
        let mut state = self.state.lock().await;
        if let Some(session) = state.session.as_ref().filter(|s| !s.client.is_closed()) {
            return Ok(Arc::clone(session));
        }
        if let Some((not_before, _, error)) = state.failed.as_ref()
            && Instant::now() < *not_before
        {
            return Err(ServiceError::Connect(Arc::clone(error)));
        }
        match connect(&self.upstream).await {
            Ok(client) => {
                let session = Arc::new(Session { client, statements: Mutex::default() });
                *state = State { session: Some(Arc::clone(&session)), failed: None };
                Ok(session)
            }
            Err(error) => {
                let pause =
                    state.failed.as_ref().map_or(FIRST_PAUSE, |(_, p, _)| (*p * 2).min(LONGEST_PAUSE));
                let error = Arc::new(error);
                *state = State {
                    session: None,
                    failed: Some((Instant::now() + pause, pause, Arc::clone(&error))),
                };
                Err(ServiceError::Connect(error))
            }
        }
    }
}

impl Session {
    async fn statement(&self, query: &str) -> Result<Statement, tokio_postgres::Error> {
        let mut statements = self.statements.lock().await;
        if let Some(statement) = statements.get(query) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(query).await?;
        statements.insert(query.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn ask(
        &self,
        query: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let statement = self.statement(query).await?;
        self.client.query(&statement, params).await
    }
}

fn auth_query_error(source: tokio_postgres::Error) -> ServiceError {
    match source.as_db_error() {
        Some(e) => ServiceError::AuthQuery(format!("fails: {}", e.message())),
        None => ServiceError::Query { what: "verifier", source },
    }
}

/// A verifier and, if it likes, until when it holds.
fn check_columns(columns: &[tokio_postgres::Column]) -> Result<(), ServiceError> {
    let types: Vec<&Type> = columns.iter().map(tokio_postgres::Column::type_).collect();
    let problem = match types.as_slice() {
        [] => "yields no column".to_owned(),
        [first, ..] if ![Type::TEXT, Type::VARCHAR, Type::NAME].contains(first) => {
            format!("yields a verifier of type {first}, not text")
        }
        [_, second, ..] if **second != Type::TIMESTAMPTZ => {
            format!("yields a second column of type {second}, not timestamptz")
        }
        [_, _, _, ..] => "yields more than two columns".to_owned(),
        [_] | [_, _] => return Ok(()),
    };
    Err(ServiceError::AuthQuery(problem))
}

fn stored_verifier(row: &Row) -> Result<Option<StoredVerifier>, ServiceError> {
    let failed = |source| ServiceError::Query { what: "verifier", source };
    check_columns(row.columns())?;
    let verifier: Option<String> = row.try_get(0).map_err(failed)?;
    let until: Option<Timestamp<SystemTime>> =
        if row.len() > 1 { row.try_get(1).map_err(failed)? } else { None };
    let valid_until = match until {
        None | Some(Timestamp::PosInfinity) => None,
        Some(Timestamp::NegInfinity) => Some(SystemTime::UNIX_EPOCH),
        Some(Timestamp::Value(at)) => Some(at),
    };
    Ok(verifier.map(|verifier| StoredVerifier { verifier, valid_until }))
}

fn is_data_exception(error: &tokio_postgres::Error) -> bool {
    let not_of_type = [SqlState::CHECK_VIOLATION];
    error.code().is_some_and(|c| c.code().starts_with("22") || not_of_type.contains(c))
}

const COLUMN_TYPE: &str = "\
SELECT pg_catalog.format_type(atttypid, -1) FROM pg_catalog.pg_attribute
 WHERE attrelid = pg_catalog.to_regclass($1) AND attname = $2 AND attnum > 0 AND NOT attisdropped";

/// The principal's patients, by the text that guards have too.
fn assigned_patients_query(policy: &Policy, closed: &[ClosedLabels]) -> String {
    let keys = open_assigned_keys(policy, closed, "$1::pg_catalog.text");
    format!("SELECT v.k::pg_catalog.text FROM ({keys}) AS v (k)")
}

/// One row when the assignment holds now.
fn assigned_query(policy: &Policy, closed: &[ClosedLabels]) -> String {
    format!(
        "SELECT 1 FROM ({}) AS v (k) WHERE v.k OPERATOR(pg_catalog.=) ($2::pg_catalog.text)::{} LIMIT 1",
        open_assigned_keys(policy, closed, "$1::pg_catalog.text"),
        policy.key_type.sql()
    )
}

/// Those of an array of keys for which the assignment holds now.
fn assigned_among_query(policy: &Policy, closed: &[ClosedLabels]) -> String {
    format!(
        "{} WHERE v.k OPERATOR(pg_catalog.=) ANY (($2::pg_catalog.text[])::{}[])",
        assigned_patients_query(policy, closed),
        policy.key_type.sql()
    )
}

/// At most two rows, so that "several" can be told from "one".
fn identifier_query(table: &QualifiedName, key: &str, column: &str, type_sql: &str) -> String {
    format!(
        "SELECT DISTINCT t.{key}::pg_catalog.text FROM {} AS t WHERE t.{} = ($1::pg_catalog.text)::{type_sql} \
         AND t.{key} IS NOT NULL LIMIT 2",
        table.to_sql(),
        quote_ident(column),
        key = quote_ident(key),
    )
}
