//! Client certificates: alone and with a password, mapped to users, revoked; and ours towards the server.

use std::path::PathBuf;

use tokio_postgres::error::DbError;

use crate::common::{Authority, ClientIdentity, Database, Postgres, Proxy};
use crate::support::{Watched, said, watched};

/// A server that lets the holder of pgglass's certificate in as any nurse, and nobody in otherwise but by
/// password: `cert` with a map (docs/logins.md).
fn server_with_cert_auth(server: &Postgres) {
    let hba = server.data().join("pg_hba.conf");
    let before = std::fs::read_to_string(&hba).unwrap();
    let line = "hostssl all nurse_amy,nurse_bob 127.0.0.1/32 cert map=pgglass\n";
    std::fs::write(&hba, format!("{line}{before}")).unwrap();
    let map = "pgglass pgglass-proxy nurse_amy\npgglass pgglass-proxy nurse_bob\n";
    std::fs::write(server.data().join("pg_ident.conf"), map).unwrap();
    server.psql("postgres", "ALTER SYSTEM SET ssl_ca_file = 'ca.crt'");
    server.psql("postgres", "SELECT pg_reload_conf()");
}

fn put(server: &Postgres, name: &str, identity: &ClientIdentity) -> (PathBuf, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = |end: &str| server.root().join(format!("{name}.{end}"));
    std::fs::write(file("crt"), &identity.certificate_pem).unwrap();
    std::fs::write(file("key"), &identity.key_pem).unwrap();
    std::fs::set_permissions(file("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    (file("crt"), file("key"))
}

async fn login(proxy: &Proxy<'_>, user: &str, client: &ClientIdentity) -> Result<Watched, DbError> {
    let connector = Authority::shared().connector_with(client);
    Watched::connect_with(&proxy.client(user), connector)
        .await
        .map_err(|e| e.as_db_error().cloned().unwrap_or_else(|| panic!("{e:?}\n{}", proxy.log())))
}

/// pgglass that asks for certificates and shows its own to the server.
fn by_certificate<'a>(database: &Database<'a>, server: &Postgres, login: &str) -> Proxy<'a> {
    let ours = Authority::shared().client("pgglass-proxy", None, 1);
    let (certificate, key) = put(server, "pgglass-proxy", &ours);
    let ca = server.data().join("ca.crt");
    Proxy::start_with(database, |config| {
        let upstream = format!(
            "tls = \"verify-full\"\nca = \"{}\"\nlogin = \"certificate\"\nclient_certificate = \"{}\"\nclient_key = \"{}\"",
            ca.display(),
            certificate.display(),
            key.display()
        );
        let config = config
            .replace("tls = \"disable\"", &upstream)
            .replace("host = \"127.0.0.1\"", "host = \"localhost\"");
        format!("{config}\n[login]\nclient_ca = \"{}\"\n{login}", ca.display())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_alone_logs_in_here_and_at_the_server() {
    let server = Postgres::start();
    server_with_cert_auth(&server);
    let database = server.demo();
    let revoked = server.root().join("clients.crl");
    std::fs::write(&revoked, Authority::shared().revocations(&[66])).unwrap();
    let proxy = by_certificate(
        &database,
        &server,
        &format!(
            "method = \"cert\"\nclient_crl = \"{}\"\n\
             [[login.map]]\nfrom = \"cn\"\nname = \"nurse_bob\"\nuser = \"nurse_bob\"\n\
             [[login.map]]\nfrom = \"email\"\nname = \"*@clinic.example\"\nuser = \"nurse_*\"\n",
            revoked.display()
        ),
    );
    let authority = Authority::shared();
    let amy = authority.client("Amy Adams", Some("amy@clinic.example"), 10);
    let session = login(&proxy, "nurse_amy", &amy).await.unwrap();
    // The server's own rights hold: the session is the user's.
    assert_eq!(session.text("SELECT session_user::text").await, "nurse_amy");
    assert_eq!(session.count("SELECT count(*) FROM clinic.patient").await, 25);
    let bob = authority.client("nurse_bob", None, 11);
    let bobs = login(&proxy, "nurse_bob", &bob).await.unwrap();
    assert_eq!(bobs.text("SELECT session_user::text").await, "nurse_bob");
    // Somebody else's name, or a name that the map does not know.
    for (user, client) in [
        ("nurse_bob", &amy),
        ("nurse_amy", &bob),
        ("nurse_amy", &authority.client("nurse_amy", Some("amy@home.example"), 12)),
    ] {
        let error = login(&proxy, user, client).await.err().unwrap();
        let words = format!("certificate authentication failed for user \"{user}\"");
        assert_eq!(said(&error), ("FATAL", "28000", words.as_str()));
    }
    // None at all; the password does not help.
    let error = crate::support::refused(&proxy, "nurse_amy").await;
    assert_eq!(said(&error), ("FATAL", "28000", "connection requires a valid client certificate"));
    // Revoked, or by an authority of one's own: the handshake fails.
    let gone = authority.connector_with(&authority.client("nurse_bob", None, 66));
    assert!(Watched::connect_with(&proxy.client("nurse_bob"), gone).await.is_err());
    let own = rcgen_self_signed("nurse_bob");
    assert!(Watched::connect_with(&proxy.client("nurse_bob"), authority.connector_with(&own)).await.is_err());
    // The record says how.
    drop((session, bobs));
    let ledger = ledger_text(proxy);
    assert!(ledger.contains("cert email=amy@clinic.example"), "no such method in the ledger");
    assert!(ledger.contains("the certificate does not stand for this user"));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_and_password_are_both_needed() {
    let server = Postgres::shared();
    let database = server.demo();
    let ca = server.data().join("ca.crt");
    let proxy = Proxy::start_with(&database, |config| {
        format!("{config}\n[login]\nmethod = \"cert+scram\"\nclient_ca = \"{}\"\n", ca.display())
    });
    let amy = Authority::shared().client("nurse_amy", None, 20);
    // Without a map the common name is the user; the password's key logs in to the server.
    let session = login(&proxy, "nurse_amy", &amy).await.unwrap();
    assert_eq!(session.text("SELECT session_user::text").await, "nurse_amy");
    let mut wrong = proxy.client("nurse_amy");
    wrong.password("wrong");
    let error = Watched::connect_with(&wrong, Authority::shared().connector_with(&amy)).await.err().unwrap();
    assert_eq!(error.code().unwrap().code(), "28P01");
    let error = login(&proxy, "nurse_bob", &amy).await.err().unwrap();
    assert_eq!(said(&error), ("FATAL", "28000", "certificate authentication failed for user \"nurse_bob\""));
    let error = crate::support::refused(&proxy, "nurse_amy").await;
    assert_eq!(said(&error).1, "28000");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_authorities_are_read_again_at_sighup() {
    let server = Postgres::shared();
    let database = server.demo();
    let ca = server.root().join(format!("{}-clients.crt", database.name()));
    let own = rcgen_self_signed("nurse_amy");
    // Signed by itself, it is its own authority: at first the only one.
    std::fs::write(&ca, &own.certificate_pem).unwrap();
    let proxy = Proxy::start_with(&database, |config| {
        format!("{config}\n[login]\nmethod = \"cert+scram\"\nclient_ca = \"{}\"\n", ca.display())
    });
    let amy = Authority::shared().client("nurse_amy", None, 30);
    let connector = || Authority::shared().connector_with(&amy);
    assert!(Watched::connect_with(&proxy.client("nurse_amy"), connector()).await.is_err());
    std::fs::write(&ca, &Authority::shared().ca_pem).unwrap();
    assert!(proxy.reload_with(|c| c));
    login(&proxy, "nurse_amy", &amy).await.unwrap();
    // Our own certificate: a new one, for the same name, is shown to the next client.
    let shown = |port: u16| async move {
        let tcp = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut config = Authority::shared().client_config();
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let stream = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let before = shown(proxy.port()).await;
    let new = Authority::shared().server_again();
    put_pair(&proxy, &new);
    assert_eq!(shown(proxy.port()).await, before);
    assert!(proxy.reload_with(|c| c));
    assert_ne!(shown(proxy.port()).await, before);
    // A key that does not fit changes nothing.
    std::fs::write(proxy.directory().join("tls/server.key"), &own.key_pem).unwrap();
    assert!(!proxy.reload_with(|c| c));
    assert!(proxy.log().contains("does not belong to certificate"), "{}", proxy.log());
    login(&proxy, "nurse_amy", &amy).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_near_its_end_is_in_the_log() {
    let database = Postgres::shared().demo();
    // rcgen's own certificates end in the year 4096; one that ended is warned about at start.
    let proxy = Proxy::start_with(&database, |config| {
        let old = Authority::shared().ended_server();
        let directory = config.lines().find_map(|l| l.strip_prefix("certificate = \"")).unwrap();
        let file = directory.trim_end_matches('"');
        std::fs::write(file, &old.certificate_pem).unwrap();
        std::fs::write(file.replace(".crt", ".key"), &old.key_pem).unwrap();
        config
    });
    let log = proxy.log();
    assert!(log.contains("listen.certificate has EXPIRED"), "{log}");
    let fresh = Proxy::start(&database);
    assert!(!fresh.log().contains("EXPIRED") && !fresh.log().contains("expires in"), "{}", fresh.log());
    watched(&fresh, "nurse_amy").await;
}

fn put_pair(proxy: &Proxy<'_>, pair: &ClientIdentity) {
    std::fs::write(proxy.directory().join("tls/server.crt"), &pair.certificate_pem).unwrap();
    std::fs::write(proxy.directory().join("tls/server.key"), &pair.key_pem).unwrap();
}

fn rcgen_self_signed(common_name: &str) -> ClientIdentity {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    let certificate = params.self_signed(&key).unwrap();
    ClientIdentity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
}

/// Everything the ledger holds, after the proxy has ended.
fn ledger_text(mut proxy: Proxy<'_>) -> String {
    proxy.stop();
    crate::accounts::ledger(&proxy)
}
