//! A client whose end can be watched. Not here: any test.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::common::{Authority, Database, Proxy};

/// A client and what its connection ends with.
pub(crate) struct Watched {
    pub(crate) client: Client,
    end: JoinHandle<Option<tokio_postgres::Error>>,
}

impl Watched {
    pub(crate) async fn connect(config: &Config) -> Result<Self, tokio_postgres::Error> {
        Self::connect_with(config, Authority::shared().connector()).await
    }

    pub(crate) async fn connect_with(
        config: &Config,
        tls: MakeRustlsConnect,
    ) -> Result<Self, tokio_postgres::Error> {
        let mut config = config.clone();
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let (client, connection) = config.connect(tls).await?;
        Ok(Self { client, end: tokio::spawn(async move { connection.await.err() }) })
    }

    /// The error the connection ends with, which must come in time.
    pub(crate) async fn last_words(self) -> DbError {
        let end = tokio::time::timeout(Duration::from_secs(15), self.end).await.expect("the connection ends");
        let error = end.unwrap().expect("an error before the end");
        error.as_db_error().cloned().unwrap_or_else(|| panic!("no error of the server: {error:?}"))
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        let row = self.client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        row.get(0)
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
    }

    /// The error of a statement that must fail.
    pub(crate) async fn refusal(&self, sql: &str) -> DbError {
        let error = self.client.batch_execute(sql).await.expect_err(sql);
        error.as_db_error().cloned().unwrap_or_else(|| panic!("{sql}: {error:?}"))
    }
}

/// A watched session of one of the demonstration's users.
pub(crate) async fn watched(proxy: &Proxy<'_>, user: &str) -> Watched {
    Watched::connect(&proxy.client(user))
        .await
        .unwrap_or_else(|e| panic!("login of {user}: {e:?}\n{}", proxy.log()))
}

/// The error a login ends with.
pub(crate) async fn refused(proxy: &Proxy<'_>, user: &str) -> DbError {
    let error = Watched::connect(&proxy.client(user)).await.err().expect("the login fails");
    error.as_db_error().cloned().unwrap_or_else(|| panic!("{error:?}"))
}

pub(crate) fn said(error: &DbError) -> (&str, &str, &str) {
    (error.severity(), error.code().code(), error.message())
}

/// The number of sessions that these conditions find at the server.
pub(crate) async fn backends(database: &Database<'_>, condition: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND {condition}"
    );
    database.superuser().await.count(&sql).await
}

/// Tries until it is true; panics when it is not in time.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    for _ in 0..150 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within 15 s: {what}");
}

/// The template with lines added to a section.
pub(crate) fn with(config: &str, section: &str, lines: &str) -> String {
    let header = format!("[{section}]\n");
    assert!(config.contains(&header), "{section}");
    config.replacen(&header, &format!("{header}{lines}\n"), 1)
}
