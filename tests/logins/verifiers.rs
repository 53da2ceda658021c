//! Verifiers from a file instead of from the server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::common::{Database, Postgres, Proxy};
use crate::support::{refused, said, watched, with};

/// The line of a user as the server stores the verifier.
async fn line(database: &Database<'_>, user: &str) -> String {
    let sql = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'");
    let verifier = database.superuser().await.rows(&sql).await.remove(0).remove(0).unwrap();
    format!("\"{user}\" \"{verifier}\"\n")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_file_log_in_as_themselves_and_a_reload_adds_more() {
    let database = Postgres::shared().demo();
    let amy = line(&database, "nurse_amy").await;
    let list = Postgres::shared().root().join(format!("{}.userlist", database.name()));
    write(&list, &format!("; people\n{amy}"));
    let proxy = Proxy::start_with(&database, |config| {
        // The server is not asked for verifiers: an auth_query that finds nobody does no harm.
        let query = "SELECT rolpassword, rolvaliduntil FROM glass.verifier($1)";
        let nobody = "SELECT NULL::text, NULL::timestamptz WHERE $1::text IS NULL";
        format!("{}\n[login]\nverifier_file = \"{}\"\n", config.replace(query, nobody), list.display())
    });
    // The key of the proof logs in to the server as the same user.
    let session = watched(&proxy, "nurse_amy").await;
    assert_eq!(session.text("SELECT session_user::text || '/' || current_user").await, "nurse_amy/nurse_amy");
    assert_eq!(session.count("SELECT count(*) FROM clinic.patient").await, 25);
    let unknown = ("FATAL", "28P01", "password authentication failed for user \"nurse_bob\"");
    assert_eq!(said(&refused(&proxy, "nurse_bob").await), unknown);

    let bob = line(&database, "nurse_bob").await;
    write(&list, &format!("{amy}{bob}"));
    assert_eq!(said(&refused(&proxy, "nurse_bob").await), unknown, "before SIGHUP nothing changes");
    assert!(proxy.reload_with(|c| c));
    assert_eq!(watched(&proxy, "nurse_bob").await.text("SELECT current_user::text").await, "nurse_bob");

    // A file that cannot be used changes nothing, and the log names the line but no verifier.
    write(&list, &format!("{amy}\n\"nurse_bob\" \"secret\"\n"));
    assert!(!proxy.reload_with(|c| c));
    let log = proxy.log();
    assert!(
        log.contains(&format!("{}:3: the second text is no SCRAM-SHA-256 verifier", list.display())),
        "{log}"
    );
    assert!(!log.contains("SCRAM-SHA-256$") && !log.contains("\"secret\""), "{log}");
    watched(&proxy, "nurse_bob").await;
    write(&list, &amy);
    std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(!proxy.reload_with(|c| c));
    assert!(proxy.log().contains("can be read or changed by others (mode 0644)"));
    watched(&proxy, "nurse_bob").await;

    // Expired in the file, or with another verifier than the server's: out.
    let expired = amy.replace("\"\n", "\" \"2020-01-01T00:00:00Z\"\n");
    write(&list, &format!("{expired}{}", bob.replace("nurse_bob", "dr_chen")));
    assert!(proxy.reload_with(|c| c));
    assert_eq!(refused(&proxy, "nurse_amy").await.code().code(), "28P01");
    let mut stale = proxy.client("dr_chen");
    stale.password("nurse_bob-demo");
    let error = crate::support::Watched::connect(&stale).await.err().unwrap();
    assert_eq!(error.as_db_error().unwrap().code().code(), "28P01");
    let told = async || proxy.log().contains("login.verifier_file is out of date");
    crate::support::eventually("the log says why", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_salt_of_an_unknown_user_survives_restart_and_reload() {
    use pgglass::wire::scram::client::{ClientBinding, ClientStart};
    let database = Postgres::shared().demo();
    let mut proxy =
        Proxy::start_with(&database, |c| with(&c.replace("\"never\"", "\"loopback\""), "listen", ""));
    // The server's first SCRAM message to a user that does not exist, less the nonce.
    let salt = |port: u16| {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let read = |stream: &mut std::net::TcpStream| {
            let mut head = [0; 5];
            stream.read_exact(&mut head).unwrap();
            let mut body = vec![0; u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4];
            stream.read_exact(&mut body).unwrap();
            body
        };
        let parameters = b"\0\x03\0\0user\0nobody\0\0";
        stream.write_all(&(parameters.len() as u32 + 4).to_be_bytes()).unwrap();
        stream.write_all(parameters).unwrap();
        read(&mut stream);
        let start = ClientStart::new(ClientBinding::Unsupported, "nonce".into());
        let first = start.first();
        let mut body = b"SCRAM-SHA-256\0".to_vec();
        body.extend_from_slice(&(first.len() as u32).to_be_bytes());
        body.extend_from_slice(first.as_bytes());
        stream.write_all(b"p").unwrap();
        stream.write_all(&(body.len() as u32 + 4).to_be_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let challenge = String::from_utf8(read(&mut stream)[4..].to_vec()).unwrap();
        challenge.split_once(",s=").unwrap().1.to_owned()
    };
    let before = salt(proxy.port());
    assert_eq!(salt(proxy.port()), before);
    assert!(proxy.reload_with(|c| c));
    assert_eq!(salt(proxy.port()), before);
    proxy.stop();
    proxy.serve();
    assert_eq!(salt(proxy.port()), before);
}
