//! A PostgreSQL for tests in a temporary directory: Unix socket and loopback port, SCRAM, TLS for
//! clients that ask for it, nothing synchronised to disk. As root it runs as user `postgres`.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use tokio_postgres::Config;

use super::reaper::Reaper;
use super::{Authority, Session, free_port};

/// The template that [`Postgres::demo`] copies.
const DEMO_TEMPLATE: &str = "demo";

/// A running server.
pub struct Postgres {
    root: PathBuf,
    port: u16,
    programs: PathBuf,
    reaper: Reaper,
    demo_loaded: OnceLock<()>,
    // CREATE DATABASE fails while another session is in the template; and roles are the server's,
    // so two tests at once would make them twice.
    creating: Mutex<()>,
    created: AtomicU32,
}

impl Postgres {
    /// The server that all tests of this binary share.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Postgres::start)
    }

    /// A server of one's own, for tests that change roles, settings or stop it.
    pub fn start() -> Postgres {
        let programs = programs();
        let root = tempfile::Builder::new().prefix("pgglass-harness.").tempdir().unwrap().keep();
        // The postgres user goes through it to its own directories.
        set_mode(&root, 0o711);
        let data = root.join("database");
        let stop = as_postgres(&[
            path(&programs.join("pg_ctl")),
            "-D".into(),
            path(&data),
            "-m".into(),
            "immediate".into(),
            "stop".into(),
        ]);
        let reaper = Reaper::watch(&root, &stop);
        for name in ["database", "socket"] {
            std::fs::create_dir(root.join(name)).unwrap();
            set_mode(&root.join(name), 0o700);
            give_to_postgres(&root.join(name));
        }
        let initdb = [
            path(&programs.join("initdb")),
            "-D".into(),
            path(&data),
            "-U".into(),
            "postgres".into(),
            "--no-sync".into(),
            "--encoding=UTF8".into(),
            "--locale=C.UTF-8".into(),
            "--auth-local=trust".into(),
            "--auth-host=scram-sha-256".into(),
        ];
        must("initdb", run(&as_postgres(&initdb)));
        Authority::shared().write_to(&data);
        for name in ["ca.crt", "server.crt", "server.key"] {
            give_to_postgres(&data.join(name));
        }
        let port = launch(&programs, &root);
        Postgres {
            root,
            port,
            programs,
            reaper,
            demo_loaded: OnceLock::new(),
            creating: Mutex::new(()),
            created: AtomicU32::new(0),
        }
    }

    /// The server's data directory, where `pg_hba.conf` is.
    pub fn data(&self) -> PathBuf {
        self.root.join("database")
    }

    /// Stops it at once; every session ends.
    pub fn stop(&self) {
        let stop = ["-D".into(), path(&self.data()), "-m".into(), "fast".into(), "-w".into(), "stop".into()];
        let command = [&[path(&self.programs.join("pg_ctl"))][..], &stop].concat();
        must("pg_ctl stop", run(&as_postgres(&command)));
    }

    /// Starts it again on the same port.
    pub fn start_again(&self) {
        must("pg_ctl start", run(&as_postgres(&start_command(&self.programs, &self.root, self.port))));
    }

    /// The loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The temporary directory, removed with the server.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Has this process group killed if the test process ends before [`Postgres::forget`].
    pub fn register(&self, group: u32) {
        self.reaper.register(group);
    }

    /// The process group has ended.
    pub fn forget(&self, group: u32) {
        self.reaper.forget(group);
    }

    /// A fresh copy of the demonstration database (2,000 patients; see `demo/data.sql`).
    pub fn demo(&self) -> Database<'_> {
        self.demo_loaded.get_or_init(|| {
            let _one_at_a_time = self.one_at_a_time();
            self.psql("postgres", &format!("CREATE DATABASE {DEMO_TEMPLATE}"));
            for sql in [
                include_str!("../../demo/roles.sql"),
                include_str!("../../demo/schema.sql"),
                include_str!("../../demo/data.sql"),
            ] {
                self.psql(DEMO_TEMPLATE, sql);
            }
        });
        self.create(&format!("TEMPLATE {DEMO_TEMPLATE}"))
    }

    /// An empty database with `sql` run in it as superuser. The demonstration's roles exist.
    pub fn database_with(&self, sql: &str) -> Database<'_> {
        let database = self.create("TEMPLATE template0");
        {
            let _one_at_a_time = self.one_at_a_time();
            self.psql(database.name(), include_str!("../../demo/roles.sql"));
        }
        self.psql(database.name(), sql);
        database
    }

    /// A copy of a database, its object identifiers the same. Nobody may be connected to it.
    pub fn copy_of(&self, database: &Database<'_>) -> Database<'_> {
        self.create(&format!("TEMPLATE {}", database.name()))
    }

    fn create(&self, clause: &str) -> Database<'_> {
        let name = format!("test_{}", self.created.fetch_add(1, Ordering::Relaxed));
        let _one_at_a_time = self.one_at_a_time();
        self.psql("postgres", &format!("CREATE DATABASE {name} {clause}"));
        Database { server: self, name }
    }

    /// Held while a database or a role is made: a test that failed holds nobody up.
    fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.creating.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Runs SQL as superuser through psql, all in one transaction unless it is one statement that
    /// cannot be (CREATE DATABASE). Panics with psql's message on an error.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        // A distribution of the server alone has no psql; any recent one will do.
        let own = self.programs.join("psql");
        let mut command = Command::new(if own.exists() { own } else { PathBuf::from("psql") });
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        command.arg("-h").arg(self.root.join("socket")).arg("-p").arg(self.port.to_string());
        command.env("PGOPTIONS", "-c client_min_messages=warning").arg("-f").arg("-");
        must("psql", feed(command, sql))
    }
}

/// A database of one test. Left to the server's end; dropping it would wait for its sessions.
pub struct Database<'a> {
    pub(super) server: &'a Postgres,
    name: String,
}

impl Database<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its server.
    pub fn server(&self) -> &Postgres {
        self.server
    }

    /// Past the proxy, as superuser.
    pub async fn superuser(&self) -> Session {
        let mut config = Config::new();
        config.host_path(self.server.root.join("socket")).port(self.server.port);
        config.user("postgres").dbname(&self.name);
        Session::connect_clear(&config).await.expect("connect as superuser")
    }

    /// Past the proxy, as one of the demonstration's users, over TLS.
    pub async fn connect(&self, user: &str) -> Session {
        let mut config = Config::new();
        config.host("localhost").port(self.server.port).dbname(&self.name);
        config.user(user).password(format!("{user}-demo"));
        Session::connect_tls(&config).await.unwrap_or_else(|e| panic!("direct login of {user}: {e:?}"))
    }
}

/// `$PGGLASS_TEST_PGBIN` (see tests/versions.sh), or the newest installed server's program directory.
fn programs() -> PathBuf {
    if let Some(chosen) = std::env::var_os("PGGLASS_TEST_PGBIN") {
        return PathBuf::from(chosen);
    }
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").expect("a PostgreSQL server under /usr/lib/postgresql");
    versions
        .filter_map(|entry| entry.ok())
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs.join("initdb").exists().then_some((version, programs))
        })
        .max()
        .expect("initdb in /usr/lib/postgresql/*/bin")
        .1
}

/// Starts the server on a free port; another one may take the port first, then once more.
fn launch(programs: &Path, root: &Path) -> u16 {
    let log = root.join("database/server.log");
    let mut last = String::new();
    for _ in 0..5 {
        let port = free_port();
        let output = run(&as_postgres(&start_command(programs, root, port)));
        if output.status.success() {
            return port;
        }
        last = std::fs::read_to_string(&log).unwrap_or_default();
    }
    panic!("PostgreSQL did not start:\n{last}");
}

fn start_command(programs: &Path, root: &Path, port: u16) -> Vec<String> {
    let data = root.join("database");
    let settings = format!(
        "-p {port} -c listen_addresses=127.0.0.1 -k {} -c max_connections=300 -c ssl=on \
         -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c shared_buffers=64MB",
        root.join("socket").display()
    );
    vec![
        path(&programs.join("pg_ctl")),
        "-D".into(),
        path(&data),
        "-w".into(),
        "-l".into(),
        path(&data.join("server.log")),
        "-o".into(),
        settings,
        "start".into(),
    ]
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| id(&["-u"]) == 0)
}

fn id(args: &[&str]) -> u32 {
    let output = Command::new("id").args(args).output().expect("run id");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number from id")
}

/// `initdb` and `postgres` refuse to run as root.
fn as_postgres(command: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    if is_root() {
        all.extend(["runuser", "-u", "postgres", "--"].map(str::to_owned));
    }
    all.extend_from_slice(command);
    all
}

fn give_to_postgres(file: &Path) {
    if is_root() {
        chown(file, Some(id(&["-u", "postgres"])), Some(id(&["-g", "postgres"]))).unwrap();
    }
}

fn set_mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn path(file: &Path) -> String {
    file.to_str().expect("a temporary directory with a UTF-8 name").to_owned()
}

fn run(command: &[String]) -> Output {
    let (program, args) = command.split_first().expect("a command");
    // Output goes to a file, not a pipe: the server would inherit the pipe and keep it open.
    let log = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new(program)
        .args(args)
        .current_dir("/")
        .stdin(std::process::Stdio::null())
        .stdout(log.reopen().unwrap())
        .stderr(log.reopen().unwrap())
        .status()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    Output { status, stdout: Vec::new(), stderr: std::fs::read(log.path()).unwrap_or_default() }
}

fn feed(mut command: Command, input: &str) -> Output {
    use std::io::Write;
    use std::process::Stdio;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start psql");
    let mut stdin = child.stdin.take().unwrap();
    // psql writes little here, far less than a pipe holds, so writing first cannot block for ever.
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn must(what: &str, output: Output) -> String {
    assert!(output.status.success(), "{what} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
