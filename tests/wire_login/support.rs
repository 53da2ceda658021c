//! A PostgreSQL server with TLS and SCRAM for the login tests, and a proxy made of `wire` alone.
//! Not here: any test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use pgglass::wire::cancel::CancelRegistry;
use pgglass::wire::client::{self, AcceptSettings, Accepted, Cleartext, Method, StoredVerifier, Verifiers};
use pgglass::wire::message::Report;
use pgglass::wire::names::NameMap;
use pgglass::wire::scram::client::ClientSecret;
use pgglass::wire::tls::{ServerTls, UpstreamTls};
use pgglass::wire::upstream::{self, Credentials, UpstreamSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// One server for all tests of this file, with TLS and SCRAM; stopped when the tests end.
pub(crate) struct Server {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
}

pub(crate) static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// A program of `$PGGLASS_TEST_PGBIN` (see tests/versions.sh) or of the newest installed server.
pub(crate) fn bin(name: &str) -> PathBuf {
    if let Some(chosen) = std::env::var_os("PGGLASS_TEST_PGBIN") {
        return PathBuf::from(chosen).join(name);
    }
    let base = Path::new("/usr/lib/postgresql");
    let mut versions: Vec<_> = std::fs::read_dir(base).unwrap().map(|e| e.unwrap().path()).collect();
    versions.sort();
    versions.pop().unwrap().join("bin").join(name)
}

pub(crate) fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program).stdout(Stdio::null());
    command
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("chown").arg("postgres").arg(dir.path()));
        let (data, port) = (dir.path().join("data"), free_port());
        let password = dir.path().join("password");
        std::fs::write(&password, "root-pw").unwrap();
        run(Command::new("chown").arg("postgres").arg(&password));
        run(as_postgres(&bin("initdb"))
            .args(["-A", "scram-sha-256", "-U", "postgres", "--no-sync", "-E", "UTF8", "--pwfile"])
            .arg(&password)
            .arg("-D")
            .arg(&data));
        write_certificate(&data, "server");
        write_certificate(dir.path(), "proxy");
        // One certificate is its own authority: what it signs is itself.
        std::fs::copy(dir.path().join("proxy.crt"), data.join("clients.crt")).unwrap();
        for file in ["server.crt", "server.key", "clients.crt"] {
            run(Command::new("chown").arg("postgres").arg(data.join(file)));
        }
        stop_with_this_process(dir.path());
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c ssl=on -c ssl_ca_file=clients.crt -c fsync=off",
            dir.path().display()
        );
        run(as_postgres(&bin("pg_ctl"))
            .args(["-w", "-D"])
            .arg(&data)
            .args(["-l"])
            .arg(data.join("log"))
            .args(["-o", &options, "start"]));
        let server = Server { dir, port };
        let sql = "CREATE ROLE amy LOGIN PASSWORD 'amy-pw';
            CREATE ROLE eve LOGIN PASSWORD 'eve-pw' VALID UNTIL '2020-01-01';
            CREATE ROLE zoe LOGIN PASSWORD 'zoe-pw' VALID UNTIL 'infinity';
            SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'old-pw';";
        let text = format!("host=127.0.0.1 port={port} user=postgres password=root-pw");
        run(Command::new("psql").args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &text, "-c", sql]));
        server
    }

    pub(crate) async fn root(&self) -> Client {
        let text =
            format!("host=127.0.0.1 port={} user=postgres password=root-pw sslmode=disable", self.port);
        let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) fn upstream(&self, tls: UpstreamTls) -> UpstreamSettings {
        let connect_timeout = Duration::from_secs(10);
        UpstreamSettings { host: "127.0.0.1".into(), port: self.port, tls, connect_timeout }
    }

    pub(crate) fn verify_full(&self) -> UpstreamTls {
        UpstreamTls::verify_full(Some(&self.dir.path().join("data/server.crt")), None).unwrap()
    }
}

/// A static is never dropped, so a watcher outlives the tests, stops the server and removes its directory.
pub(crate) fn stop_with_this_process(dir: &Path) {
    let script = "while kill -0 $1 2>/dev/null; do sleep 0.2; done; \
        runuser -u postgres -- $2 -m immediate -D $3/data stop >/dev/null 2>&1; rm -rf $3";
    let mut watcher = Command::new("sh");
    watcher.args(["-c", script, "sh", &std::process::id().to_string()]).arg(bin("pg_ctl")).arg(dir);
    watcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
}

pub(crate) fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

pub(crate) fn write_certificate(dir: &Path, name: &str) {
    write_certificate_with(dir, name, &rcgen::PKCS_ECDSA_P256_SHA256);
}

fn write_certificate_with(dir: &Path, name: &str, signature: &'static rcgen::SignatureAlgorithm) {
    let pair = rcgen::KeyPair::generate_for(signature).unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".into(), "localhost".into()]).unwrap();
    std::fs::write(dir.join(format!("{name}.crt")), params.self_signed(&pair).unwrap().pem()).unwrap();
    let key = dir.join(format!("{name}.key"));
    std::fs::write(&key, pair.serialize_pem()).unwrap();
    run(Command::new("chmod").arg("600").arg(&key));
}

/// Verifiers as the proxy reads them: from pg_authid.
pub(crate) struct FromServer(pub(crate) Client);

impl Verifiers for FromServer {
    type Error = tokio_postgres::Error;

    async fn verifier(&self, user: &str) -> Result<Option<StoredVerifier>, Self::Error> {
        let sql = "SELECT rolpassword, CASE WHEN isfinite(rolvaliduntil) THEN rolvaliduntil END
                   FROM pg_authid WHERE rolname = $1 AND rolcanlogin";
        Ok(self.0.query_opt(sql, &[&user]).await?.and_then(|row| {
            let scram = row.get::<_, Option<&str>>(0)?.parse().ok()?;
            Some(StoredVerifier { scram, valid_until: row.get::<_, Option<SystemTime>>(1) })
        }))
    }
}

/// A proxy made of `wire` alone.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: PathBuf,
    _dir: tempfile::TempDir,
}

pub(crate) struct Setup {
    pub(crate) tls: bool,
    pub(crate) cleartext: Cleartext,
    pub(crate) upstream: UpstreamTls,
    pub(crate) admission: Result<(), Report>,
    pub(crate) login_timeout: Duration,
    /// The key and signature of the proxy's certificate.
    pub(crate) signature: &'static rcgen::SignatureAlgorithm,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            tls: true,
            cleartext: Cleartext::Loopback,
            upstream: UpstreamTls::Disable,
            admission: Ok(()),
            login_timeout: Duration::from_secs(10),
            signature: &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

pub(crate) async fn proxy(setup: Setup) -> Proxy {
    let dir = tempfile::tempdir().unwrap();
    write_certificate_with(dir.path(), "proxy", setup.signature);
    let certificate = dir.path().join("proxy.crt");
    let tls = ServerTls::load(&certificate, &dir.path().join("proxy.key"), None).unwrap();
    let settings = Arc::new(AcceptSettings {
        tls: setup.tls.then_some(tls),
        cleartext: setup.cleartext,
        login_timeout: setup.login_timeout,
        method: Method::Scram,
        names: NameMap::default(),
        mock_secret: [7; 32],
        mock_iterations: 4096,
    });
    let upstream = Arc::new(SERVER.upstream(setup.upstream));
    let verifiers = Arc::new(FromServer(SERVER.root().await));
    let registry = CancelRegistry::<(i32, Bytes)>::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (settings, upstream, verifiers) = (settings.clone(), upstream.clone(), verifiers.clone());
            let (registry, admission) = (registry.clone(), setup.admission.clone());
            tokio::spawn(async move {
                match client::accept(stream, &settings, &*verifiers, admission).await {
                    Ok(Accepted::Cancel(cancel)) => {
                        if let Some((pid, secret)) = registry.find(cancel.request.pid, &cancel.request.secret)
                        {
                            upstream::cancel(&upstream, pid, &secret).await.unwrap();
                        }
                        cancel.close().await;
                    }
                    Ok(Accepted::Login(mut login)) => {
                        let secret = Credentials::Scram(ClientSecret::Keys(login.keys.clone().unwrap()));
                        match upstream::connect(&upstream, &login.parameters, &secret).await {
                            Err(error) => login.refuse(&error.report()).await,
                            Ok(mut server) => {
                                let key = registry
                                    .register((server.pid, server.secret.clone()), server.pid, login.minor)
                                    .unwrap();
                                login
                                    .welcome(&server.parameters, key.pid, &key.secret, server.status)
                                    .await
                                    .unwrap();
                                server.stream.write_all(&login.buffered).await.unwrap();
                                let _ = copy_bidirectional(&mut login.stream, &mut server.stream).await;
                            }
                        }
                    }
                    Err(_) => {}
                }
            });
        }
    });
    Proxy { address, certificate, _dir: dir }
}

impl Proxy {
    pub(crate) fn config(&self, user: &str, password: &str, ssl: SslMode) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.address.port()).user(user).password(password);
        config.dbname("postgres").ssl_mode(ssl);
        config
    }

    pub(crate) fn trust(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new(self.client_config())
    }

    pub(crate) fn client_config(&self) -> rustls::ClientConfig {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub(crate) async fn connect(&self, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config(user, password, SslMode::Disable).connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub(crate) async fn connect_tls(&self, binding: ChannelBinding) -> Result<Client, tokio_postgres::Error> {
        let mut config = self.config("amy", "amy-pw", SslMode::Require);
        config.channel_binding(binding);
        let (client, connection) = config.connect(self.trust()).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Sends raw bytes; gives the SQLSTATE of the ErrorResponse that comes, if one comes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut said = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut said)).await.unwrap();
        let start = said.iter().position(|&b| b == b'E')?;
        let report = Report::decode(&Bytes::copy_from_slice(&said[start + 5..])).unwrap();
        Some(report.code().into_owned())
    }
}

/// Bytes of the cancel secret that a server of this version gives in the newest protocol it knows.
pub(crate) fn secret_bytes(server: &upstream::Upstream) -> usize {
    let version = server.parameters.iter().find(|(name, _)| name == "server_version");
    let major = version.and_then(|(_, v)| v.split(['.', 'd', 'b', 'r']).next()?.trim().parse::<u32>().ok());
    if major.unwrap() >= 18 { 32 } else { 4 }
}

pub(crate) async fn whoami(client: &Client) -> String {
    client.query_one("SELECT current_user::text", &[]).await.unwrap().get(0)
}

pub(crate) fn startup(parameters: &[u8]) -> Vec<u8> {
    let mut out = ((parameters.len() + 8) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(3u32 << 16).to_be_bytes());
    out.extend_from_slice(parameters);
    out
}

pub(crate) const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
