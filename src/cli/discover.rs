//! `pgglass discover`: connects, reads the catalog, writes a first configuration. What is found out from the catalog
//! is found out in `crate::discover`.

mod conninfo;
mod sample;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{DOUBTFUL, FAILED};
use crate::catalog::{self, CatalogError, ConnectError, Groups};
use crate::config::{self, Upstream, UpstreamTls};
use crate::discover::{DiscoverError, Discovery, Options, Server, shown};
use conninfo::{Target, TargetError};

/// Write a first configuration for a database, from its catalog
///
/// Connects to a PostgreSQL server, reads the system catalog (keys, names and types of columns, views, groups of
/// people) and writes a commented configuration: the table of patients and its key, the way from every other table's
/// rows to their patient, classes, masks, reference tables, roles, and what it could not decide, with the reason.
/// Foreign keys are used where there are any, names where there are none; each line says which. No row of a table is
/// read unless --sample is given, and no value is ever printed.
///
/// The result is a configuration that `pgglass check --offline` accepts. Read it: lines with CHANGE hold placeholders,
/// and relations under "Left to decide" are closed to restricted roles until you decide. Any user who may connect will
/// do: the system catalog is open to everyone. docs/discover.md goes through an example.
///
/// Without TLS it connects to this machine only. To another it uses TLS; the server's certificate is verified when
/// sslmode=verify-full and sslrootcert=FILE stand in the connection string.
///
/// Exit status 0: written; 1: not (no connection, no table of patients ...); 2: wrong arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct DiscoverArgs {
    /// The database: "host=... port=... user=... dbname=... sslmode=... sslrootcert=..."
    #[arg(long, value_name = "CONNINFO")]
    pub upstream: String,

    /// File with the user's password; otherwise the environment variable PGPASSWORD, if it is set
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Look at this schema only; may be repeated. Name the one of the assignments, too
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Vec<String>,

    /// The table of patients, as SCHEMA.TABLE, when the guess is wrong
    #[arg(long, value_name = "TABLE")]
    pub patient_table: Option<String>,

    /// Its key column, when the guess is wrong
    #[arg(long, value_name = "COLUMN")]
    pub patient_key: Option<String>,

    /// Count, for ways that rest on names alone, how many of up to 1,000 keys are found where they should be
    #[arg(long)]
    pub sample: bool,

    /// Write to this file, which must not exist yet, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("--upstream: {0}")]
    Target(#[from] TargetError),
    #[error(
        "--patient-table: `{0}` is no name; write SCHEMA.TABLE, a part with a dot in it in double quotes"
    )]
    TableName(String),
    #[error("{0}")]
    Connect(String),
    #[error("{0}; nothing was written")]
    Catalog(#[from] CatalogError),
    #[error("{0}")]
    Discover(#[from] DiscoverError),
    #[error("cannot write {}: {source}{}", path.display(),
        if source.kind() == std::io::ErrorKind::AlreadyExists { "; remove it, or name another with --out" } else { "" })]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

/// Runs the command.
pub(crate) fn run(args: DiscoverArgs) -> ExitCode {
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)
        .and_then(|runtime| runtime.block_on(discover(&args)));
    match result.and_then(|text| put(args.out.as_deref(), &text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgglass: {error}");
            let wrong_arguments = matches!(error, Failure::Target(_) | Failure::TableName(_));
            ExitCode::from(if wrong_arguments { DOUBTFUL } else { FAILED })
        }
    }
}

async fn discover(args: &DiscoverArgs) -> Result<String, Failure> {
    let target = Target::parse(&args.upstream)?;
    let patient_table = match &args.patient_table {
        None => None,
        Some(text) => Some(config::name_of(text).ok_or_else(|| Failure::TableName(shown(text)))?),
    };
    let options =
        Options { schemas: args.schema.clone(), patient_table, patient_key: args.patient_key.clone() };
    let password = password(args, &target)?;
    if target.tls == UpstreamTls::Require {
        eprintln!("pgglass: note: the server's certificate is not verified (sslmode=require)");
    }
    let upstream = target.upstream();
    let client = catalog::connect_with(&upstream, password.as_deref())
        .await
        .map_err(|e| Failure::Connect(in_our_words(e, &upstream)))?;
    let snapshot = catalog::load(&client, 1).await?;
    let facts = catalog::facts(&client, &[], &[], None).await?;
    let survey = catalog::survey(&client).await?;
    let mut discovery = Discovery::new(&snapshot, &facts, &survey, &options)?;
    if args.sample {
        sample::look(&client, &mut discovery).await;
    }
    let groups: Groups = catalog::groups(&client, &discovery.protected()).await?;
    let server = Server {
        host: target.host.clone(),
        port: target.port,
        tls: match target.tls {
            UpstreamTls::Disable => "disable",
            UpstreamTls::Require => "require",
            UpstreamTls::VerifyFull { .. } => "verify-full",
        },
        ca: match &target.tls {
            UpstreamTls::VerifyFull { ca } => Some(absolute(ca)),
            UpstreamTls::Disable | UpstreamTls::Require => None,
        },
        database: target.database.clone(),
        sampled: args.sample,
    };
    Ok(discovery.write(&groups, &server))
}

/// Paths in the file count from its folder, those of the command line from here.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn password(args: &DiscoverArgs, target: &Target) -> Result<Option<String>, Failure> {
    if let Some(path) = &args.password_file {
        return catalog::read_password(path).map(Some).map_err(|e| Failure::Connect(e.to_string()));
    }
    Ok(target.password.clone().or_else(|| std::env::var("PGPASSWORD").ok().filter(|p| !p.is_empty())))
}

/// Errors of the proxy's own account speak of the configuration; here it is the command line.
fn in_our_words(error: ConnectError, upstream: &Upstream) -> String {
    match error {
        ConnectError::Refused { server, user, reason } => {
            format!("{server} refuses user {user}: {reason}; check user and --password-file (or PGPASSWORD)")
        }
        ConnectError::Tls { server, reason } => {
            let host = &upstream.host;
            format!("no TLS connection to {server}: {reason}; check host ({host}), sslmode and sslrootcert")
        }
        ConnectError::NotPostgres { server, reason } if reason.contains("password missing") => {
            format!("{server} asks for a password: give --password-file or PGPASSWORD")
        }
        other => other.to_string(),
    }
}

fn put(out: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(path) = out else {
        // A reader that went away (`| head`) is no failure.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
        return Ok(());
    };
    let failed = |source| Failure::Write { path: path.to_owned(), source };
    let mut file = std::fs::File::options().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    eprintln!("pgglass: {} is written; now read it, and: pgglass check --config {0}", path.display());
    Ok(())
}
