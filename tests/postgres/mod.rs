//! A throwaway PostgreSQL server for tests: its own data folder, a free loopback port, SCRAM
//! logins, gone when dropped. It knows nothing of the proxy.
//!
//! The binaries are those in `$PGGLASS_TEST_PGBIN`, or the newest under /usr/lib/postgresql. The
//! server refuses to run as root, so a root user hands it to the account `postgres`.

#![allow(dead_code, clippy::expect_used)] // each test file uses a part of it

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The superuser's password.
pub(crate) const PASSWORD: &str = "secret of the test";

/// A running server.
pub(crate) struct Postgres {
    dir: tempfile::TempDir,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
}

impl Postgres {
    /// Creates and starts a server whose superuser is `postgres`.
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("pgglass-test-").tempdir().expect("tempdir");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(dir.path()));
        }
        let password = dir.path().join("password");
        std::fs::write(&password, PASSWORD).expect("write");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&password));
        }
        let server = Self { port: free_port(), dir };
        run(server
            .command("initdb")
            .args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "-N", "-D"])
            .arg(server.data())
            .arg(format!("--pwfile={}", password.display())));
        let options = format!(
            "-c port={} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
             -c shared_buffers=32MB -c max_connections=60",
            server.port
        );
        run(server
            .command("pg_ctl")
            .args(["-w", "-t", "60", "-s", "-o", &options, "-l"])
            .arg(server.dir.path().join("log"))
            .arg("-D")
            .arg(server.data())
            .arg("start"));
        server
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, name: &str) -> Command {
        let path = binaries().join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir("/").stdout(Stdio::null()).stdin(Stdio::null());
        command
    }

    /// A connection as `user` with `password`.
    pub(crate) async fn connect_as(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(user).password(password).dbname(database);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match config.connect(tokio_postgres::NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(e) => assert!(Instant::now() < deadline, "cannot connect: {e}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A connection as the superuser.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        self.connect_as("postgres", PASSWORD, "postgres").await
    }

    /// Turns TLS on with this certificate and key (PEM); new connections may use it.
    pub(crate) async fn enable_tls(&self, certificate: &str, key: &str) {
        for (name, content) in [("server.crt", certificate), ("server.key", key)] {
            use std::os::unix::fs::PermissionsExt as _;
            let path = self.data().join(name);
            std::fs::write(&path, content).expect("write");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
            if is_root() {
                run(Command::new("chown").arg("postgres").arg(&path));
            }
        }
        let client = self.connect().await;
        client.execute("ALTER SYSTEM SET ssl = on", &[]).await.expect("ssl");
        client.execute("SELECT pg_reload_conf()", &[]).await.expect("reload");
        let deadline = Instant::now() + Duration::from_secs(20);
        while client.query_one("SHOW ssl", &[]).await.expect("ssl").get::<_, String>(0) != "on" {
            assert!(Instant::now() < deadline, "the server does not turn TLS on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops the server at once and starts it again on the same port.
    pub(crate) fn restart(&self) {
        let options = format!(
            "-c port={} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off",
            self.port
        );
        run(self
            .command("pg_ctl")
            .args(["-w", "-s", "-m", "immediate", "-o", &options, "-l"])
            .arg(self.dir.path().join("log"))
            .arg("-D")
            .arg(self.data())
            .arg("restart"));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self
            .command("pg_ctl")
            .args(["-w", "-s", "-m", "immediate", "-D"])
            .arg(self.data())
            .arg("stop")
            .status();
    }
}

fn run(command: &mut Command) {
    let status = command.status().expect("the program starts");
    assert!(status.success(), "{command:?}: {status}");
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("address").port()
}

/// True for uid 0, read from the owner of this process's own entry in /proc.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn binaries() -> PathBuf {
    if let Ok(dir) = std::env::var("PGGLASS_TEST_PGBIN") {
        return PathBuf::from(dir);
    }
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL under /usr/lib/postgresql, or PGGLASS_TEST_PGBIN")
        .filter_map(|e| {
            let e = e.ok()?;
            Some((e.file_name().to_str()?.parse().ok()?, e.path().join("bin")))
        })
        .filter(|(_, bin): &(u32, PathBuf)| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().expect("a PostgreSQL server").1
}
