//! A `tokio-postgres` client whose notices are kept, with the few shortcuts that tests repeat.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, SimpleQueryMessage};

use super::Authority;

/// A client and the notices it got. Dereferences to [`Client`].
pub struct Session {
    client: Client,
    notices: Arc<Mutex<Vec<DbError>>>,
}

impl Session {
    /// Connects over TLS, trusting the test authority.
    pub async fn connect_tls(config: &Config) -> Result<Self, tokio_postgres::Error> {
        let mut config = config.clone();
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let (client, connection) = config.connect(Authority::shared().connector()).await?;
        Ok(Self::drive(client, connection))
    }

    /// Connects in clear text (or over a Unix socket).
    pub async fn connect_clear(config: &Config) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = config.connect(NoTls).await?;
        Ok(Self::drive(client, connection))
    }

    fn drive<S, T>(client: Client, mut connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&notices);
        tokio::spawn(async move {
            // Ends with the connection; an error then reaches the client's own calls.
            while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message {
                    kept.lock().unwrap().push(notice);
                }
            }
        });
        Self { client, notices }
    }

    /// The notices and warnings since the last call.
    pub fn take_notices(&self) -> Vec<DbError> {
        std::mem::take(&mut *self.notices.lock().unwrap())
    }

    /// The single `int8` of a query, over the extended protocol.
    pub async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {}", describe(&e))).get(0)
    }

    /// The rows of a simple query as text; NULL as `None`.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.try_rows(sql).await.unwrap_or_else(|e| panic!("{sql}: {}", describe(&e)))
    }

    /// As [`Session::rows`], with the error.
    pub async fn try_rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        let messages = self.client.simple_query(sql).await?;
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
            }
        }
        Ok(rows)
    }

    /// The server's error for a simple query that must fail.
    pub async fn refusal(&self, sql: &str) -> DbError {
        match self.try_rows(sql).await {
            Ok(rows) => panic!("{sql}: expected an error, got {} row(s)", rows.len()),
            Err(e) => e.as_db_error().cloned().unwrap_or_else(|| panic!("{sql}: the connection failed: {e}")),
        }
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// The server's message where there is one; `tokio_postgres::Error` itself prints "db error".
pub fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |e| format!("{} {}", e.code().code(), e.message()))
}
