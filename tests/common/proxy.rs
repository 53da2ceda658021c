//! The built pgglass binary in front of one test database, with a ledger of its own.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::Config;

use super::{Authority, Database, Postgres, Session, free_port};

/// How long a start may take; it reads the catalog and opens the ledger.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long SIGTERM may take before SIGKILL.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

/// Runs the built binary with these arguments and waits for it.
pub fn pgglass<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgglass")).args(args).stdin(Stdio::null()).output().expect("run pgglass")
}

/// A running proxy. Stopped and forgotten on drop, also while a test panics; its directory stays
/// until the server's ends.
pub struct Proxy<'a> {
    server: &'a Postgres,
    database: String,
    directory: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl<'a> Proxy<'a> {
    /// Starts pgglass with the demonstration's configuration.
    pub fn start(database: &Database<'a>) -> Self {
        Self::start_with(database, |config| config)
    }

    /// Starts pgglass with the demonstration's configuration as `edit` changes it. The text has
    /// its final paths and ports already.
    pub fn start_with(database: &Database<'a>, edit: impl FnOnce(String) -> String) -> Self {
        Self::start_from(database, include_str!("../../demo/pgglass.toml"), edit)
    }

    /// Starts pgglass with a configuration template of the test's own (the words between `@` of
    /// `demo/pgglass.toml` are filled in).
    pub fn start_from(database: &Database<'a>, template: &str, edit: impl FnOnce(String) -> String) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let node = format!("test-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        let directory = database.server.root().join(&node);
        for name in ["", "tls", "secrets", "ledger"] {
            private_directory(&directory.join(name));
        }
        Authority::shared().write_to(&directory.join("tls"));
        private_file(&directory.join("secrets/service-password"), "pgglass-demo\n");
        let key = directory.join("secrets/ledger.key");
        let keygen = pgglass(&[
            "keygen".as_ref(),
            "--out".as_ref(),
            key.as_os_str(),
            "--name".as_ref(),
            node.as_ref(),
        ]);
        assert!(keygen.status.success(), "keygen: {}", String::from_utf8_lossy(&keygen.stderr));
        let port = free_port();
        let config = template
            .replace("@LISTEN_PORT@", &port.to_string())
            .replace("@UPSTREAM_PORT@", &database.server.port().to_string())
            .replace("@DIR@", directory.to_str().unwrap())
            .replace("@DATABASE@", database.name())
            .replace("@NODE@", &node);
        std::fs::write(directory.join("pgglass.toml"), edit(config)).unwrap();
        let mut proxy = Self {
            server: database.server,
            database: database.name().to_owned(),
            directory,
            port,
            child: None,
        };
        proxy.serve();
        proxy
    }

    /// Starts the process on the directory as it is (after [`Proxy::stop`]: a restart).
    pub fn serve(&mut self) {
        assert!(self.child.is_none(), "already running");
        let log = std::fs::File::create(self.log_file()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pgglass"))
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("start pgglass");
        self.server.register(child.id());
        let child = self.child.insert(child);
        let log_file = self.directory.join("pgglass.log");
        let started = Instant::now();
        loop {
            let log = std::fs::read_to_string(&log_file).unwrap_or_default();
            if log.lines().any(|line| line.contains("listening")) {
                return;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("pgglass ended with {status} before it was ready:\n{log}");
            }
            assert!(started.elapsed() < READY_WITHIN, "pgglass is not ready after {READY_WITHIN:?}:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it with SIGTERM and waits, so that the ledger on disk is complete.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).stderr(Stdio::null()).status();
        let asked = Instant::now();
        while asked.elapsed() < STOPPED_WITHIN {
            if matches!(child.try_wait(), Ok(Some(_))) {
                self.server.forget(child.id());
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        end(&mut child, self.server);
    }

    /// Changes the configuration, sends SIGHUP, and waits until the log says what became of it: true when the new
    /// configuration is in force.
    pub fn reload_with(&self, edit: impl FnOnce(String) -> String) -> bool {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), edit(text)).unwrap();
        let told =
            |log: &str| (log.matches("configuration reloaded").count(), log.matches("NOT in force").count());
        let before = told(&self.log());
        self.signal("HUP");
        let asked = Instant::now();
        loop {
            let now = told(&self.log());
            if now != before {
                return now.0 > before.0;
            }
            assert!(asked.elapsed() < READY_WITHIN, "nothing became of SIGHUP:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().expect("a running proxy").to_string();
        assert!(Command::new("kill").arg(format!("-{name}")).arg(pid).status().unwrap().success());
    }

    /// Waits until the process has ended by itself, and how; `None` when it has not in time.
    pub fn ended_within(&mut self, at_most: Duration) -> Option<std::process::ExitStatus> {
        let asked = Instant::now();
        let child = self.child.as_mut().expect("a running proxy");
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(status);
            }
            if asked.elapsed() > at_most {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its directory, where the paths of the configuration lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Kills it as a crash would: no shutdown code runs.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child, self.server);
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory.join("pgglass.toml")
    }

    /// The ledger's directory.
    pub fn ledger(&self) -> PathBuf {
        self.directory.join("ledger")
    }

    /// The file with the public key of the ledger.
    pub fn public_key(&self) -> PathBuf {
        self.directory.join("secrets/ledger.key.pub")
    }

    /// The certificate authority for clients that are other processes.
    pub fn ca(&self) -> PathBuf {
        self.directory.join("tls/ca.crt")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Client settings for one of the demonstration's users, to be changed by the test.
    pub fn client(&self, user: &str) -> Config {
        let mut config = Config::new();
        config.host("localhost").port(self.port).dbname(&self.database);
        config.user(user).password(format!("{user}-demo")).application_name("tests");
        config
    }

    /// A session of this user through the proxy, over TLS.
    pub async fn connect(&self, user: &str) -> Session {
        self.try_connect(user).await.unwrap_or_else(|e| panic!("login of {user}: {e:?}\n{}", self.log()))
    }

    /// As [`Proxy::connect`], with the error.
    pub async fn try_connect(&self, user: &str) -> Result<Session, tokio_postgres::Error> {
        Session::connect_tls(&self.client(user)).await
    }

    /// `pgglass verify` over the ledger.
    pub fn verify(&self) -> Output {
        verify(&self.ledger(), &self.public_key())
    }

    /// The entries of `pgglass report patient ID --format json`: an array, or one object a line.
    pub fn report(&self, patient: &str) -> Vec<serde_json::Value> {
        let ledger = self.ledger();
        let args = [
            "report".as_ref(),
            "patient".as_ref(),
            patient.as_ref(),
            "--directory".as_ref(),
            ledger.as_os_str(),
        ];
        let output = pgglass(&[&args[..], &["--format".as_ref(), "json".as_ref()]].concat());
        assert!(output.status.success(), "report: {}", String::from_utf8_lossy(&output.stderr));
        entries(&String::from_utf8(output.stdout).expect("a report in UTF-8"))
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("pgglass.log")
    }
}

impl Drop for Proxy<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of pgglass ---\n{}", self.log());
        }
        self.kill();
    }
}

/// `pgglass verify` over any directory.
pub fn verify(ledger: &Path, public_key: &Path) -> Output {
    let args = ["verify".as_ref(), "--directory".as_ref(), ledger.as_os_str()];
    pgglass(&[&args[..], &["--public-key".as_ref(), public_key.as_os_str()]].concat())
}

fn entries(text: &str) -> Vec<serde_json::Value> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Array(entries)) => entries,
        Ok(other) => vec![other],
        Err(_) => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in report line {line}")))
            .collect(),
    }
}

fn end(child: &mut Child, server: &Postgres) {
    let _ = child.kill();
    let _ = child.wait();
    server.forget(child.id());
}

fn private_directory(directory: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(directory).unwrap();
}

fn private_file(file: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
