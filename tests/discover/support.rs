//! Running `pgglass discover` and reading what it wrote.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use pgglass::config::{self, Config};

use crate::common::Database;

/// The connection string of the superuser of a harness server.
pub(crate) fn conninfo(database: &Database<'_>) -> String {
    let server = database.server();
    // The harness has no password for the superuser over TCP; `dba_gus` sees the catalog as everyone does.
    format!("host=127.0.0.1 port={} user=dba_gus dbname={}", server.port(), database.name())
}

/// Runs it.
pub(crate) fn run(conninfo: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgglass"))
        .args(["discover", "--upstream", conninfo])
        .args(more)
        .env("PGPASSWORD", "dba_gus-demo")
        .stdin(Stdio::null())
        .output()
        .expect("pgglass runs")
}

/// What it writes, which `pgglass check --offline` accepts as it is.
pub(crate) fn discover(database: &Database<'_>, more: &[&str]) -> String {
    let output = run(&conninfo(database), more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    accepted(&text);
    text
}

/// The policy of a configuration.
pub(crate) fn policy_of(text: &str) -> Config {
    config::parse(text, Path::new("pgglass.toml")).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// `pgglass check --offline` has nothing against it.
pub(crate) fn accepted(text: &str) {
    let folder = tempfile::tempdir().expect("tempdir");
    let file = folder.path().join("pgglass.toml");
    std::fs::write(&file, text).expect("write");
    let output = crate::common::pgglass(&["check", "--offline", "--config", &file.display().to_string()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("0 errors, 0 warnings"), "{said}\n{text}");
}
