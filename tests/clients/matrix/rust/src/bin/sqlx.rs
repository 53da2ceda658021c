//! sqlx: prepared and cached statements, its own questions about types and nullability (what `query!` and
//! `cargo sqlx prepare` ask), streams, savepoints, COPY, LISTEN, pools. See lib.rs.

use std::error::Error;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use pgglass_matrix::*;
use sqlx::postgres::types::{PgInterval, PgRange};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions, PgRow, PgSslMode};
use sqlx::{Column, Connection, Either, Executor, QueryBuilder, Row, Statement, TypeInfo, ValueRef};

fn options() -> PgConnectOptions {
    let port = env("PGPORT").parse().expect("a port");
    let options = PgConnectOptions::new_without_pgpass()
        .host(&env("PGHOST"))
        .port(port)
        .username(&env("PGUSER"))
        .password(&env("PGPASSWORD"))
        .database(&env("PGDATABASE"))
        .application_name("matrix");
    match authority() {
        Some(file) => options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(file),
        None => options.ssl_mode(PgSslMode::Disable),
    }
}

async fn connect() -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect_with(&options()).await
}

fn one(row: &PgRow) -> Value {
    let cell = |i| match row.try_get_raw(i) {
        Ok(value) if value.is_null() => Value::Null,
        Ok(value) => value.as_bytes().map_or_else(|e| json!(e.to_string()), shown),
        Err(e) => json!(e.to_string()),
    };
    (0..row.len()).map(cell).collect()
}

fn plain(rows: &[PgRow]) -> Value {
    rows.iter().map(one).collect()
}

fn columns<C: Column>(columns: &[C]) -> Value {
    columns.iter().map(|c| json!([c.name(), c.type_info().name()])).collect()
}

fn told(error: &(dyn Error + Send + Sync + 'static)) -> Value {
    let Some(sqlx::Error::Database(error)) = error.downcast_ref() else { return json!(error.to_string()) };
    let error = error.downcast_ref::<sqlx::postgres::PgDatabaseError>();
    let position = error.position().map(|p| format!("{p:?}"));
    json!([
        error.code(),
        error.message(),
        error.detail(),
        error.hint(),
        position,
        error.table(),
        error.constraint()
    ])
}

fn refused<T>(result: Result<T, sqlx::Error>) -> Value {
    match result {
        Ok(_) => json!("not refused"),
        Err(error) => told(&error),
    }
}

async fn results() -> Checked {
    let mut c = connect().await?;
    let mut all = Vec::new();
    for sql in [PATIENTS, JOINED, COUNTED, WARDS] {
        let rows = sqlx::query(sql).fetch_all(&mut c).await?;
        all.push(json!([columns(rows[0].columns()), plain(&rows)]));
    }
    Ok(all.into())
}

async fn simple() -> Checked {
    let mut c = connect().await?;
    c.execute("CREATE TEMP TABLE t (i int)").await?;
    let sql = format!("SELECT 1 AS a; {PATIENTS}; INSERT INTO t VALUES (1), (2); SELECT 2");
    let mut said = Vec::new();
    let mut stream = sqlx::raw_sql(&sql).fetch_many(&mut c);
    while let Some(part) = stream.try_next().await? {
        said.push(match part {
            Either::Left(done) => json!({ "rows affected": done.rows_affected() }),
            Either::Right(row) => one(&row),
        });
    }
    Ok(said.into())
}

/// The same statement again and again, and more statements than the cache has room for.
async fn cached(room: usize) -> Checked {
    let mut c = PgConnection::connect_with(&options().statement_cache_capacity(room)).await?;
    let mut said = Vec::new();
    for i in 0..5 {
        said.push(plain(&sqlx::query(BY_KEY).bind(MINE + APART * i).fetch_all(&mut c).await?));
        for j in 0..4 {
            let sql = format!("SELECT count(*), {j}::int4 FROM clinic.problem WHERE patient_id = $1");
            said.push(plain(&sqlx::query(&sql).bind(MINE + APART * i).fetch_all(&mut c).await?));
        }
    }
    said.push(json!(c.cached_statements_size()));
    c.clear_cached_statements().await?;
    said.push(plain(&sqlx::query(BY_KEY).bind(MINE).persistent(false).fetch_all(&mut c).await?));
    Ok(said.into())
}

async fn prepared() -> Checked {
    let mut c = connect().await?;
    let mut said = Vec::new();
    for sql in [BY_KEY, JOINED, "INSERT INTO clinic.ward (ward_id, code) VALUES ($1, $2)"] {
        let statement = c.prepare(sql).await?;
        let parameters = match statement.parameters() {
            Some(Either::Left(types)) => types.iter().map(|t| t.name().to_owned()).collect(),
            other => vec![format!("{other:?}")],
        };
        said.push(json!([parameters, columns(statement.columns())]));
    }
    Ok(said.into())
}

/// What `query!` and `cargo sqlx prepare` ask.
async fn described(sql: &str) -> Checked {
    let mut c = connect().await?;
    let about = c.describe(sql).await?;
    let nullable: Vec<_> = (0..about.columns().len()).map(|i| about.nullable(i)).collect();
    Ok(json!([columns(about.columns()), nullable]))
}

async fn left_early() -> Checked {
    let mut c = connect().await?;
    let first = {
        let mut rows = sqlx::query(JOINED).fetch(&mut c);
        rows.try_next().await?.map(|row| one(&row))
    };
    let alive = plain(&sqlx::query("SELECT 1 AS alive").fetch_all(&mut c).await?);
    let optional =
        sqlx::query("SELECT 1 FROM clinic.ward WHERE ward_id = -1").fetch_optional(&mut c).await?.is_none();
    Ok(json!([first, alive, optional]))
}

async fn transactions() -> Checked {
    let mut c = connect().await?;
    c.execute("CREATE TEMP TABLE t (i int4)").await?;
    let mut outer = c.begin().await?;
    sqlx::query("INSERT INTO t VALUES ($1)").bind(1).execute(&mut *outer).await?;
    let mut inner = outer.begin().await?;
    let failed = refused(sqlx::query("SELECT nope FROM clinic.patient").fetch_all(&mut *inner).await);
    let aborted = refused(sqlx::query(PATIENTS).fetch_all(&mut *inner).await);
    inner.rollback().await?;
    let seen =
        sqlx::query("SELECT i, (SELECT count(*) FROM clinic.patient) FROM t").fetch_all(&mut *outer).await?;
    outer.commit().await?;
    {
        let mut dropped = c.begin().await?;
        sqlx::query("INSERT INTO t VALUES (2)").execute(&mut *dropped).await?;
    }
    let left = sqlx::query("SELECT count(*) FROM t").fetch_all(&mut c).await?;
    Ok(json!([failed, aborted, plain(&seen), plain(&left)]))
}

async fn written() -> Checked {
    let mut c = connect().await?;
    let mut transaction = c.begin().await?;
    let sql = "INSERT INTO clinic.note (note_id, patient_id, author, kind, written_at, body) ";
    let mut builder = QueryBuilder::new(sql);
    builder.push_values(0..20_i64, |mut row, i| {
        row.push_bind(7_100_000 + i).push_bind(MINE + APART * i).push_bind("matrix").push_bind("progress");
        row.push("now()").push_bind(format!("note {i}"));
    });
    let counted = builder.build().execute(&mut *transaction).await?.rows_affected();
    let sql = "SELECT patient_id, body FROM clinic.note WHERE author = 'matrix' ORDER BY 1";
    let seen = plain(&sqlx::query(sql).fetch_all(&mut *transaction).await?);
    transaction.rollback().await?;
    Ok(json!([counted, seen]))
}

async fn bulk() -> Checked {
    let mut c = connect().await?;
    c.execute("CREATE TEMP TABLE many (a int8, b text, c jsonb)").await?;
    let mut builder = QueryBuilder::new("INSERT INTO many ");
    builder.push_values(0..20_000_i64, |mut row, i| {
        row.push_bind(i).push_bind(format!("row {i}")).push_bind(json!({ "i": i }));
    });
    let counted = builder.build().execute(&mut c).await?.rows_affected();
    let unnested = sqlx::query("INSERT INTO many (a, b) SELECT * FROM unnest($1::int8[], $2::text[])")
        .bind((0..5000_i64).collect::<Vec<_>>())
        .bind((0..5000).map(|i| format!("u{i}")).collect::<Vec<_>>())
        .execute(&mut c)
        .await?
        .rows_affected();
    let seen = sqlx::query("SELECT count(*), sum(a), max(b) FROM many").fetch_all(&mut c).await?;
    Ok(json!([counted, unnested, plain(&seen)]))
}

async fn copies() -> Checked {
    let mut c = connect().await?;
    c.execute("CREATE TEMP TABLE loaded (a int4, b text)").await?;
    let mut sink = c.copy_in_raw("COPY loaded FROM STDIN (FORMAT csv)").await?;
    for i in 0..500 {
        sink.send(format!("{i},row {i}\n").as_bytes()).await?;
    }
    let loaded = sink.finish().await?;
    let mut aborted = c.copy_in_raw("COPY loaded FROM STDIN").await?;
    aborted.send(&b"1\tx\n"[..]).await?;
    aborted.abort("changed our mind").await?;
    let mut said = vec![json!(loaded)];
    for sql in [format!("COPY ({PATIENTS}) TO STDOUT (FORMAT csv)"), "COPY clinic.ward TO STDOUT".into()] {
        let parts: Vec<_> = c.copy_out_raw(&sql).await?.try_collect().await?;
        said.push(json!(String::from_utf8_lossy(&parts.concat())));
    }
    said.push(plain(&sqlx::query("SELECT count(*), max(a) FROM loaded").fetch_all(&mut c).await?));
    Ok(said.into())
}

async fn errors() -> Checked {
    let mut c = connect().await?;
    let mut said = Vec::new();
    for sql in [
        "SELECT 1/0",
        "SELEC",
        "SELECT nope FROM clinic.patient",
        "SELECT *\nFROM nowhere",
        "SELECT 'x'::int4",
    ] {
        said.push(refused(sqlx::query(sql).fetch_all(&mut c).await));
        said.push(refused(c.execute(sql).await));
    }
    c.execute("CREATE TEMP TABLE once (i int4 CONSTRAINT only_once UNIQUE)").await?;
    c.execute("INSERT INTO once VALUES (1)").await?;
    said.push(refused(c.execute("INSERT INTO once VALUES (1)").await));
    said.push(plain(&sqlx::query("SELECT 1 AS alive").fetch_all(&mut c).await?));
    Ok(said.into())
}

async fn listen() -> Checked {
    let pool = PgPoolOptions::new().max_connections(2).connect_with(options()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen_all(["matrix", "Other Channel"]).await?;
    pool.execute("NOTIFY matrix, 'hello'").await?;
    sqlx::query("SELECT pg_notify($1, $2)").bind("Other Channel").bind("there").execute(&pool).await?;
    let mut heard = Vec::new();
    for _ in 0..2 {
        let n = tokio::time::timeout(Duration::from_secs(10), listener.recv()).await??;
        heard.push(json!([n.channel(), n.payload()]));
    }
    Ok(heard.into())
}

async fn pool() -> Checked {
    let pool =
        PgPoolOptions::new().max_connections(3).test_before_acquire(true).connect_with(options()).await?;
    let ask =
        async |i: i32| sqlx::query("SELECT $1, count(*) FROM clinic.patient").bind(i).fetch_all(&pool).await;
    let all = join_all((0..12).map(ask)).await;
    let said = all.into_iter().map(|r| r.map_or_else(|e| told(&e), |rows| plain(&rows))).collect();
    pool.close().await;
    Ok(said)
}

async fn types() -> Checked {
    let mut c = connect().await?;
    c.execute("CREATE TEMP TABLE kinds (a int4[], r int4range, j jsonb, i interval, n numeric, t text[])")
        .await?;
    sqlx::query("INSERT INTO kinds VALUES ($1, $2, $3, $4, 1.50, $5)")
        .bind([Some(1), None])
        .bind(PgRange::from(1..5))
        .bind(json!({ "k": [1] }))
        .bind(PgInterval { months: 1, days: 2, microseconds: 3 })
        .bind(["x", "y"])
        .execute(&mut c)
        .await?;
    let rows = sqlx::query("SELECT * FROM kinds").fetch_all(&mut c).await?;
    let row = c.fetch_one("SELECT k AS whole, w AS ward FROM kinds k, clinic.ward w LIMIT 1").await?;
    let found: (chrono::NaiveDate, Option<String>, i64) =
        sqlx::query_as("SELECT birth_date, email, patient_id FROM clinic.patient WHERE patient_id = $1")
            .bind(MINE)
            .fetch_one(&mut c)
            .await?;
    let many = sqlx::query_scalar::<_, String>(
        "SELECT mrn FROM clinic.patient WHERE patient_id = ANY ($1) ORDER BY 1",
    )
    .bind((0..5).map(|i| MINE + APART * i).collect::<Vec<_>>())
    .fetch_all(&mut c)
    .await?;
    Ok(json!([plain(&rows), columns(row.columns()), format!("{found:?}"), many]))
}

async fn large() -> Checked {
    let mut c = connect().await?;
    let rows = sqlx::query("SELECT length($1), md5($1), length($2)")
        .bind("x".repeat(5_000_000))
        .bind(vec![7_u8; 3_000_000])
        .fetch_all(&mut c)
        .await?;
    let keys: Vec<i64> = (0..50_000).map(|i| 870_000 + i).collect();
    let sql = "SELECT count(*), sum(patient_id) FROM clinic.patient WHERE patient_id = ANY ($1)";
    Ok(json!([plain(&rows), plain(&sqlx::query(sql).bind(keys).fetch_all(&mut c).await?)]))
}

/// What sqlx-cli, SeaORM and the like ask of a database.
async fn introspection() -> Checked {
    let mut c = connect().await?;
    let mut said = Vec::new();
    for sql in [
        "SELECT current_database()",
        "SELECT version() IS NOT NULL, current_schema(), current_setting('server_version_num') IS NOT NULL",
        "SELECT pg_try_advisory_lock($1)",
        "SELECT pg_advisory_unlock($1)",
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'clinic' ORDER BY 1",
        "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns \
         WHERE table_schema = 'clinic' AND table_name = 'patient' ORDER BY ordinal_position",
        "SELECT conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE connamespace = 'clinic'::regnamespace ORDER BY 1",
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'clinic' ORDER BY 1",
    ] {
        let query = sqlx::query(sql);
        let query = if sql.contains("$1") { query.bind(4711_i64) } else { query };
        let rows = query.fetch_all(&mut c).await;
        // The copy has a name of its own.
        let named = |rows: Vec<PgRow>| {
            if sql.contains("current_database") { json!(rows.len()) } else { plain(&rows) }
        };
        said.push(rows.map_or_else(|e| told(&e), named));
    }
    Ok(said.into())
}

const PLAIN_WITH_OUTER: &str =
    "SELECT a.code, b.name FROM clinic.ward a LEFT JOIN clinic.ward b ON b.ward_id = a.ward_id + 1";

#[tokio::main]
async fn main() {
    say("results", results(), told).await;
    say("simple query of several statements", simple(), told).await;
    say("statement cache", cached(100), told).await;
    say("statement cache, too small", cached(2), told).await;
    say("no statement cache", cached(0), told).await;
    say("prepared", prepared(), told).await;
    say("describe, reference table", described(PLAIN_WITH_OUTER), told).await;
    say("describe, patients", described(BY_KEY), told).await;
    say("describe, join", described(JOINED), told).await;
    say("stream left early", left_early(), told).await;
    say("transactions", transactions(), told).await;
    say("rows written", written(), told).await;
    say("bulk", bulk(), told).await;
    say("COPY", copies(), told).await;
    say("errors", errors(), told).await;
    say("LISTEN", listen(), told).await;
    say("pool", pool(), told).await;
    say("types", types(), told).await;
    say("large parameters", large(), told).await;
    say("introspection", introspection(), told).await;
}
