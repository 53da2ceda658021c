//! A PostgreSQL of the test's own, in a temporary directory, and what the test needs to know of
//! its catalog. Not a model of the proxy's own catalog loader.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgglass::catalog::{Catalog, Column, Function, QualifiedName, Relation, RelationKind};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const BIN: &str = "/usr/lib/postgresql/15/bin";

pub(crate) struct Server {
    dir: tempfile::TempDir,
    port: u16,
}

/// The command, run as `postgres` when the test itself runs as root (the server refuses root).
fn command(program: &str) -> Command {
    let program = PathBuf::from(BIN).join(program);
    if Path::new("/root").join(".").read_dir().is_ok() {
        let mut c = Command::new("runuser");
        c.args(["-u", "postgres", "--"]).arg(program);
        c
    } else {
        Command::new(program)
    }
}

fn run(c: &mut Command) {
    let out = c.stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "{c:?}: {}", String::from_utf8_lossy(&out.stderr));
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let _ = Command::new("chown").arg("postgres").arg(dir.path()).status();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = dir.path().join("data");
        run(command("initdb").args(["-A", "trust", "-U", "postgres", "-N", "-D"]).arg(&data));
        let options =
            format!("-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {}", dir.path().display());
        let log = dir.path().join("log");
        run(command("pg_ctl")
            .args(["-w", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(&log)
            .args(["-o", &options, "start"])
            .stdout(Stdio::null()));
        Self { dir, port }
    }

    pub(crate) async fn connect(&self) -> Client {
        let config = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.port);
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.dir.path().join("data");
        let _ = command("pg_ctl").args(["-m", "immediate", "-D"]).arg(data).arg("stop").output();
    }
}

/// Rows of a simple query as text, with the column names; or the SQLSTATE.
pub(crate) type Reply = Result<(Vec<String>, Vec<Vec<Option<String>>>), String>;

pub(crate) async fn simple(client: &Client, sql: &str) -> Reply {
    let messages = client.simple_query(sql).await.map_err(|e| {
        let text = e.as_db_error().map(|d| d.message().to_owned()).unwrap_or_default();
        format!("{} {text}", e.code().map(|c| c.code()).unwrap_or("?"))
    })?;
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    for m in messages {
        match m {
            SimpleQueryMessage::RowDescription(columns) => {
                names = columns.iter().map(|c| c.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
            }
            _ => {}
        }
    }
    Ok((names, rows))
}

pub(crate) async fn catalog(client: &Client) -> Catalog {
    let mut catalog = Catalog { epoch: 1, server_version: 150_000, ..Catalog::default() };
    let rows = client
        .query(
            "SELECT c.oid, n.nspname::text, c.relname::text, a.attname::text, a.attnum, a.atttypid, a.atttypmod, \
             format_type(a.atttypid, a.atttypmod) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
             JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped \
             WHERE relkind = 'r' AND nspname IN ('clinic', 'glass') ORDER BY c.oid, attnum",
            &[],
        )
        .await
        .unwrap();
    for row in rows {
        let name = QualifiedName::new(row.get::<_, String>(1), row.get::<_, String>(2));
        let oid: u32 = row.get(0);
        catalog.by_name.insert(name.clone(), oid);
        let relation = catalog.relations.entry(oid).or_insert_with(|| Relation {
            oid,
            name,
            kind: RelationKind::Table,
            columns: Vec::new(),
            parents: Vec::new(),
            has_triggers_or_rules: false,
            has_rules: false,
            rewrites_rows: false,
            row_security: false,
        });
        relation.columns.push(Column {
            name: row.get(3),
            attnum: row.get(4),
            type_oid: row.get(5),
            typmod: row.get(6),
            type_sql: row.get(7),
            builtin_type: true,
            domain_base: None,
            generated: false,
            computed_from: Vec::new(),
        });
    }
    let rows = client
        .query(
            "SELECT p.oid, nspname::text, proname::text, prorettype, proleakproof, provolatile::text, prokind::text \
             FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace",
            &[],
        )
        .await
        .unwrap();
    let mut functions: HashMap<String, Vec<Function>> = HashMap::new();
    for row in rows {
        let letter = |i: usize| row.get::<_, String>(i).chars().next().unwrap();
        functions.entry(row.get(2)).or_default().push(Function {
            oid: row.get(0),
            schema: row.get(1),
            args: Vec::new(),
            result: row.get(3),
            leakproof: row.get(4),
            volatility: letter(5),
            kind: letter(6),
            unary: false,
            takes_row: false,
        });
    }
    catalog.functions = functions;
    catalog
}
