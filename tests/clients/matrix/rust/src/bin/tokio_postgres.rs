//! tokio-postgres: binary results, pipelining, portals, COPY, cancelling, LISTEN. See lib.rs.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use pgglass_matrix::*;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

struct Connected {
    client: Client,
    heard: UnboundedReceiver<AsyncMessage>,
}

fn tls() -> Result<MakeRustlsConnect, Box<dyn Error + Send + Sync>> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(file) = authority() {
        roots.add(CertificateDer::from_pem_file(file)?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

async fn connect() -> Result<Connected, Box<dyn Error + Send + Sync>> {
    let mut config = Config::new();
    config.host(env("PGHOST")).port(env("PGPORT").parse()?).user(env("PGUSER")).password(env("PGPASSWORD"));
    config.dbname(env("PGDATABASE")).application_name("matrix");
    config.ssl_mode(match authority() {
        Some(_) => tokio_postgres::config::SslMode::Require,
        None => tokio_postgres::config::SslMode::Disable,
    });
    let (client, mut connection) = config.connect(tls()?).await?;
    let (tell, heard) = unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(|context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            let _ = tell.send(message);
        }
    });
    Ok(Connected { client, heard })
}

/// A value of any type as its bytes.
struct Raw(Value);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(shown(raw)))
    }
    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Value::Null))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

fn plain(rows: &[Row]) -> Value {
    rows.iter().map(|row| (0..row.len()).map(|i| row.get::<_, Raw>(i).0).collect::<Value>()).collect()
}

fn columns(statement: &Statement) -> Value {
    let of = |c: &tokio_postgres::Column| {
        json!([c.name(), c.type_().name(), c.table_oid().is_some(), c.column_id(), c.type_modifier()])
    };
    statement.columns().iter().map(of).collect()
}

fn told_by_server(error: &DbError) -> Value {
    let position = match error.position() {
        Some(ErrorPosition::Original(at)) => json!(at),
        Some(ErrorPosition::Internal { position, query }) => json!([position, query]),
        None => Value::Null,
    };
    json!([error.severity(), error.code().code(), error.message(), error.detail(), error.hint(), position])
}

fn told(error: &(dyn Error + Send + Sync + 'static)) -> Value {
    match error.downcast_ref::<tokio_postgres::Error>() {
        Some(error) => match error.as_db_error() {
            Some(error) => told_by_server(error),
            None => json!(error.to_string()),
        },
        None => json!(error.to_string()),
    }
}

fn refused<T>(result: Result<T, tokio_postgres::Error>) -> Value {
    match result {
        Ok(_) => json!("not refused"),
        Err(error) => told(&error),
    }
}

async fn results() -> Checked {
    let c = connect().await?.client;
    let mut all = Vec::new();
    for sql in [PATIENTS, JOINED, COUNTED, WARDS] {
        let statement = c.prepare(sql).await?;
        all.push(json!([columns(&statement), plain(&c.query(&statement, &[]).await?)]));
    }
    Ok(all.into())
}

async fn simple() -> Checked {
    let c = connect().await?.client;
    let said = c.simple_query(&format!("SELECT 1 AS a; {PATIENTS}; SELECT 'x'; ROLLBACK")).await?;
    let told = said.iter().map(|message| match message {
        SimpleQueryMessage::RowDescription(about) => about.iter().map(|c| c.name()).collect(),
        SimpleQueryMessage::Row(row) => (0..row.len()).map(|i| row.get(i)).collect(),
        SimpleQueryMessage::CommandComplete(count) => json!(count),
        _ => json!("something else"),
    });
    Ok(told.collect())
}

async fn prepared() -> Checked {
    let c = connect().await?.client;
    let statement = c.prepare(BY_KEY).await?;
    let mut all =
        vec![json!(statement.params().iter().map(Type::name).collect::<Vec<_>>()), columns(&statement)];
    for i in 0..6 {
        all.push(plain(&c.query(&statement, &[&(MINE + APART * i)]).await?));
    }
    Ok(all.into())
}

async fn pipelined() -> Checked {
    let c = connect().await?.client;
    let statement =
        c.prepare("SELECT count(*), min(title) FROM clinic.problem WHERE patient_id = $1").await?;
    let keys: Vec<i64> = (0..20).map(|i| MINE + APART * i).collect();
    let ask = async |key: &i64| c.query(&statement, &[key_of(key)]).await;
    let asked = join_all(keys.iter().map(ask));
    Ok(asked.await.into_iter().map(|rows| rows.map(|r| plain(&r)).unwrap_or_else(|e| told(&e))).collect())
}

/// A parameter as tokio-postgres takes it.
fn key_of(key: &i64) -> &(dyn ToSql + Sync) {
    key
}

async fn pipelined_with_an_error() -> Checked {
    let c = connect().await?.client;
    let divided = c.prepare("SELECT 1 / $1::int4").await?;
    let counted = c.prepare("SELECT count(*) FROM clinic.patient").await?;
    let (a, b, d) =
        tokio::join!(c.query(&counted, &[]), c.query(&divided, &[&0_i32]), c.query(&counted, &[]),);
    Ok(json!([plain(&a?), refused(b), plain(&d?)]))
}

async fn typed() -> Checked {
    let c = connect().await?.client;
    let rows = c.query_typed(BY_KEY, &[(&MINE, Type::INT8)]).await?;
    let none =
        c.query_typed("SELECT * FROM clinic.ward WHERE ward_id = $1", &[(&-1_i32, Type::INT4)]).await?;
    Ok(json!([plain(&rows), plain(&none)]))
}

async fn portal() -> Checked {
    let mut c = connect().await?.client;
    let transaction = c.transaction().await?;
    let portal = transaction.bind(PATIENTS, &[]).await?;
    let mut parts = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 7).await?;
        if rows.is_empty() {
            break;
        }
        parts.push(plain(&rows));
    }
    let (one, other) = (transaction.bind(WARDS, &[]).await?, transaction.bind(JOINED, &[]).await?);
    for _ in 0..3 {
        parts.push(plain(&transaction.query_portal(&one, 2).await?));
        parts.push(plain(&transaction.query_portal(&other, 4).await?));
    }
    transaction.commit().await?;
    Ok(parts.into())
}

async fn dropped_stream() -> Checked {
    let c = connect().await?.client;
    let first = {
        let mut rows = pin!(c.query_raw(JOINED, stream_of_none()).await?);
        rows.try_next().await?.map(|row| plain(&[row]))
    };
    Ok(json!([first, plain(&c.query("SELECT 1 AS alive", &[]).await?)]))
}

fn stream_of_none() -> Vec<&'static (dyn ToSql + Sync)> {
    Vec::new()
}

async fn transactions() -> Checked {
    let mut c = connect().await?.client;
    c.batch_execute("CREATE TEMP TABLE t (i int4)").await?;
    let mut outer = c.transaction().await?;
    outer.execute("INSERT INTO t VALUES ($1)", &[&1_i32]).await?;
    let inner = outer.savepoint("inside").await?;
    let failed = refused(inner.query("SELECT nope FROM clinic.patient", &[]).await);
    let aborted = refused(inner.query(PATIENTS, &[]).await);
    inner.rollback().await?;
    let seen = plain(&outer.query("SELECT i, (SELECT count(*) FROM clinic.patient) FROM t", &[]).await?);
    outer.commit().await?;
    let serial = c
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::Serializable)
        .read_only(true)
        .deferrable(true)
        .start()
        .await?;
    let counted = plain(&serial.query(COUNTED, &[]).await?);
    let write = refused(serial.execute("INSERT INTO clinic.ward VALUES (99, 'x', 'x', 1, 1)", &[]).await);
    serial.rollback().await?;
    Ok(json!([failed, aborted, seen, counted, write]))
}

async fn written() -> Checked {
    let mut c = connect().await?.client;
    let transaction = c.transaction().await?;
    let note = "INSERT INTO clinic.note (note_id, patient_id, author, kind, written_at, body) \
        VALUES ($1, $2, 'matrix', 'progress', '2026-01-01 00:00Z', $3)";
    let statement = transaction.prepare(note).await?;
    let mut counts = Vec::new();
    for i in 0..5_i64 {
        let body = format!("note {i}");
        counts.push(transaction.execute(&statement, &[&(i + 7_000_000), &(MINE + APART * i), &body]).await?);
    }
    let seen = plain(
        &transaction
            .query("SELECT patient_id, body FROM clinic.note WHERE author = 'matrix' ORDER BY 1", &[])
            .await?,
    );
    transaction.rollback().await?;
    Ok(json!([counts, seen]))
}

async fn copy_in() -> Checked {
    let c = connect().await?.client;
    c.batch_execute("CREATE TEMP TABLE loaded (a int4, b text)").await?;
    let mut sink = pin!(c.copy_in::<_, Bytes>("COPY loaded FROM STDIN").await?);
    for i in 0..3000 {
        sink.feed(Bytes::from(format!("{i}\tline {i}\n"))).await?;
    }
    let text = sink.as_mut().finish().await?;
    let sink = c.copy_in("COPY loaded FROM STDIN (FORMAT binary)").await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT]));
    for i in 0..100_i32 {
        writer.as_mut().write(&[&i, &"binary"]).await?;
    }
    let binary = writer.finish().await?;
    Ok(json!([text, binary, plain(&c.query("SELECT count(*), sum(a), max(b) FROM loaded", &[]).await?)]))
}

async fn copy_out() -> Checked {
    let c = connect().await?.client;
    let mut said = Vec::new();
    for sql in
        [format!("COPY ({PATIENTS}) TO STDOUT"), "COPY clinic.ward TO STDOUT (FORMAT csv, HEADER)".into()]
    {
        let parts: Vec<Bytes> = c.copy_out(&sql).await?.try_collect().await?;
        said.push(json!(String::from_utf8_lossy(&parts.concat())));
    }
    let out = c.copy_out(&format!("COPY ({JOINED}) TO STDOUT (FORMAT binary)")).await?;
    let types = [Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::NUMERIC];
    let rows: Vec<_> = BinaryCopyOutStream::new(out, &types).try_collect().await?;
    said.push(rows.iter().map(|row| (0..5).map(|i| row.get::<Raw>(i).0).collect::<Value>()).collect());
    Ok(said.into())
}

async fn errors() -> Checked {
    let c = connect().await?.client;
    let mut said = Vec::new();
    for sql in [
        "SELECT 1/0",
        "SELEC",
        "SELECT nope FROM clinic.patient",
        "SELECT *\nFROM nowhere",
        "SELECT 'x'::int4",
    ] {
        said.push(refused(c.query(sql, &[]).await));
        said.push(refused(c.simple_query(sql).await));
    }
    said.push(plain(&c.query("SELECT 1 AS alive", &[]).await?));
    Ok(said.into())
}

async fn listen() -> Checked {
    let (mut one, other) = (connect().await?, connect().await?.client);
    one.client.batch_execute("LISTEN matrix; LISTEN \"Other Channel\"").await?;
    other
        .batch_execute("NOTIFY matrix, 'hello'; SELECT pg_notify('Other Channel', repeat('x', 5000))")
        .await?;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        match tokio::time::timeout(Duration::from_secs(10), one.heard.recv()).await? {
            Some(AsyncMessage::Notification(n)) => heard.push(json!([n.channel(), n.payload().len()])),
            Some(_) => {}
            None => break,
        }
    }
    Ok(heard.into())
}

async fn notices() -> Checked {
    let mut c = connect().await?;
    for sql in ["ROLLBACK", "CREATE TEMP TABLE n (i int4)", "CREATE TEMP TABLE IF NOT EXISTS n (i int4)"] {
        c.client.batch_execute(sql).await?;
    }
    let mut heard = Vec::new();
    while let Ok(message) = c.heard.try_recv() {
        if let AsyncMessage::Notice(notice) = message {
            heard.push(told_by_server(&notice));
        }
    }
    Ok(heard.into())
}

const LONG: &str = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";

async fn cancelled() -> Checked {
    let c = connect().await?.client;
    let (token, connector) = (c.cancel_token(), tls()?);
    let later = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        token.cancel_query(connector).await
    };
    let (said, sent) = tokio::join!(c.query(LONG, &[]), later);
    sent?;
    Ok(json!([refused(said), plain(&c.query(COUNTED, &[]).await?)]))
}

async fn given_up() -> Checked {
    let c = connect().await?.client;
    // The future is dropped, the statement runs on: the next one waits for it.
    let sleep = "SELECT count(*) FROM generate_series(1, 1000000)";
    let late = tokio::time::timeout(Duration::from_millis(1), c.query(sleep, &[])).await.is_err();
    let _ = late;
    Ok(plain(&c.query(WARDS, &[]).await?))
}

async fn large() -> Checked {
    let c = connect().await?.client;
    let text = "x".repeat(5_000_000);
    let keys: Vec<i64> = (0..50_000).map(|i| 870_000 + i).collect();
    let length = plain(&c.query("SELECT length($1::text), md5($1)", &[&text]).await?);
    let found = plain(
        &c.query(
            "SELECT count(*), sum(patient_id) FROM clinic.patient WHERE patient_id = ANY ($1)",
            &[&keys],
        )
        .await?,
    );
    let many: Vec<&(dyn ToSql + Sync)> = keys[10_000..11_000].iter().map(key_of).collect();
    let listed: Vec<String> = (1..=many.len()).map(|i| format!("${i}")).collect();
    let sql = format!(
        "SELECT patient_id, name FROM clinic.patient WHERE patient_id IN ({}) ORDER BY 1",
        listed.join(", ")
    );
    let by_list = plain(&c.query(&sql, &many).await?);
    let nothing = format!(
        "SELECT count(*) FROM unnest(ARRAY[{}])",
        (1..=1600).map(|i| format!("${i}::int8")).collect::<Vec<_>>().join(", ")
    );
    let all: Vec<&(dyn ToSql + Sync)> = keys[..1600].iter().map(key_of).collect();
    Ok(json!([length, found, by_list, plain(&c.query(&nothing, &all).await?)]))
}

async fn most_parameters() -> Checked {
    let c = connect().await?.client;
    c.batch_execute("CREATE TEMP TABLE wide (a int8)").await?;
    let keys: Vec<i64> = (0..65_535).collect();
    let all: Vec<&(dyn ToSql + Sync)> = keys.iter().map(key_of).collect();
    let listed: Vec<String> = (1..=all.len()).map(|i| format!("(${i})")).collect();
    let inserted = c.execute(&format!("INSERT INTO wide VALUES {}", listed.join(", ")), &all).await?;
    Ok(json!([inserted, plain(&c.query("SELECT count(*), sum(a) FROM wide", &[]).await?)]))
}

async fn types() -> Checked {
    let c = connect().await?.client;
    c.batch_execute(
        "CREATE TEMP TABLE kinds (a int4[], r int4range, j jsonb, i interval, n numeric, b bytea, p point)",
    )
    .await?;
    c.batch_execute("INSERT INTO kinds VALUES ('{1,NULL}', '[1,5)', '{\"k\": [1]}', '1 day 2 h', 'NaN', '\\x00ff', '(1,2)')").await?;
    let statement = c.prepare("SELECT k, k.*, ROW(1, 'x') FROM kinds k").await?;
    let kinds: Vec<String> = statement
        .columns()
        .iter()
        .map(|c| format!("{:?}", c.type_().kind()).chars().take(9).collect())
        .collect();
    let ward = c.prepare("SELECT w FROM clinic.ward w ORDER BY ward_id LIMIT 2").await?;
    let fields: Vec<String> = match ward.columns()[0].type_().kind() {
        tokio_postgres::types::Kind::Composite(fields) => {
            fields.iter().map(|f| f.name().to_owned()).collect()
        }
        other => vec![format!("{other:?}")],
    };
    let row = c
        .query_one(
            "SELECT $1::jsonb -> 'a', $2::timestamptz, $3::date",
            &[
                &json!({"a": [1, 2]}),
                &chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
                &chrono::NaiveDate::from_ymd_opt(2026, 2, 3).unwrap(),
            ],
        )
        .await?;
    // Without the bytes of composite values, which hold type OIDs.
    Ok(json!([
        kinds,
        fields,
        plain(&[row]),
        c.query(&ward, &[]).await?.len(),
        plain(&c.query("SELECT * FROM kinds", &[]).await?)
    ]))
}

async fn concurrently() -> Checked {
    let one = |i: i32| async move {
        let c = connect().await?.client;
        Ok::<_, Box<dyn Error + Send + Sync>>(plain(
            &c.query("SELECT $1::int4, count(*) FROM clinic.patient", &[&i]).await?,
        ))
    };
    let all = join_all((0..8).map(one)).await;
    Ok(all.into_iter().map(|r| r.unwrap_or_else(|e| told(&*e))).collect())
}

#[tokio::main]
async fn main() {
    say("results", results(), told).await;
    say("simple query of several statements", simple(), told).await;
    say("prepared", prepared(), told).await;
    say("pipelined", pipelined(), told).await;
    say("pipelined, with an error", pipelined_with_an_error(), told).await;
    say("typed, unnamed", typed(), told).await;
    say("portals in parts", portal(), told).await;
    say("stream left early", dropped_stream(), told).await;
    say("transactions", transactions(), told).await;
    say("rows written", written(), told).await;
    say("COPY in", copy_in(), told).await;
    say("COPY out", copy_out(), told).await;
    say("errors", errors(), told).await;
    say("LISTEN", listen(), told).await;
    say("notices", notices(), told).await;
    say("cancel", cancelled(), told).await;
    say("given up", given_up(), told).await;
    say("large parameters", large(), told).await;
    say("65,535 parameters", most_parameters(), told).await;
    say("types", types(), told).await;
    say("concurrently", concurrently(), told).await;
}
