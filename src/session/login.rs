//! From an accepted socket to a running session: who it is, which role, the server connection as the
//! same user, and the records of all that. Not here: the handshake itself (`wire`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::ops::Ops;
use super::outbox::Outbox;
use super::peer::{Out, Peer};
use super::run::Identity;
use super::statements::Statements;
use super::world::{CancelTarget, World};
use super::{OwnNames, Session};
use crate::catalog::Namespace;
use crate::glass::{Grants, NoticesSeen};
use crate::ledger::Priority;
use crate::ledger::record::{Body, ConnectionEvent, From, Tls, Who};
use crate::policy::{Role, Variant};
use crate::sql::planner::Context;
use crate::wire::client::{self, AcceptError, AcceptSettings, Accepted, Login, StoredVerifier, Verifiers};
use crate::wire::frame::Limits;
use crate::wire::message::{Report, Status};
use crate::wire::scram::client::ClientSecret;
use crate::wire::upstream::{self, Credentials};

/// Longest message a client may send, bytes. A longer one is refused unread.
const CLIENT_LIMIT: u32 = 64 * 1024 * 1024;

/// Longest message taken from the server, bytes: the protocol's own limit.
const SERVER_LIMIT: u32 = 0x3fff_fff0;

/// Verifiers from the server, by the proxy's own account.
struct FromServer<'a>(&'a World);

impl Verifiers for FromServer<'_> {
    type Error = String;

    async fn verifier(&self, user: &str) -> Result<Option<StoredVerifier>, String> {
        let found = self.0.service.verifier(user).await.map_err(|e| e.to_string())?;
        let Some(found) = found else { return Ok(None) };
        match found.verifier.parse() {
            Ok(scram) => Ok(Some(StoredVerifier { scram, valid_until: found.valid_until })),
            Err(_) => {
                tracing::warn!(user, "the stored verifier is not SCRAM-SHA-256: the login is refused");
                Ok(None)
            }
        }
    }
}

/// Serves one client from its first byte to its last. `admission` refuses it with a report (too many
/// connections, shutting down) once it said who it is.
pub async fn serve(
    world: Arc<World>,
    stream: TcpStream,
    settings: Arc<AcceptSettings>,
    admission: Result<(), Report>,
) {
    let peer = stream.peer_addr().ok();
    let accepted = client::accept(stream, &settings, &FromServer(&world), admission).await;
    let login = match accepted {
        Ok(Accepted::Login(login)) => *login,
        Ok(Accepted::Cancel(request)) => {
            match world.cancels.find(request.pid, &request.secret) {
                Some(target) => world.cancel(&target),
                None => tracing::info!("a cancel request had no key of ours"),
            }
            return;
        }
        Err(error) => return record_failure(&world, peer, &error),
    };
    let user = login.user.clone();
    if let Err((report, why)) = open(&world, login).await {
        tracing::info!(user, reason = %why, report = %report, "login refused");
    }
}

/// Records a connection that did not become a login.
fn record_failure(world: &World, peer: Option<SocketAddr>, error: &AcceptError) {
    let user = match error {
        AcceptError::Closed => return,
        AcceptError::Scram { user, .. }
        | AcceptError::NoVerifier { user }
        | AcceptError::Expired { user } => user.clone(),
        _ => String::new(),
    };
    tracing::info!(%error, ?peer, "login failed");
    let from = From { address: peer.map(|p| p.to_string()).unwrap_or_default(), ..From::default() };
    let body = Body::Authentication {
        ok: false,
        user,
        database: None,
        from,
        method: Some("scram-sha-256".to_owned()),
        reason: Some(error.to_string()),
    };
    world.note(body, Priority::Reserve);
}

/// Opens the server side and runs the session.
async fn open(world: &Arc<World>, mut login: Login) -> Result<(), (Report, String)> {
    let from = From {
        address: login.peer.to_string(),
        tls: login.tls.as_ref().map(|t| Tls { version: t.version.clone(), cipher: t.cipher.clone() }),
        application_name: login.parameters.get("application_name").cloned(),
    };
    let role = match admit(world, &login) {
        Ok(role) => role,
        Err(report) => {
            let why = report.to_string();
            record_login(world, &login, &from, Some(&why));
            login.refuse(&report).await;
            return Err((report, why));
        }
    };
    let parameters = startup_parameters(&login);
    let credentials = Credentials::Scram(ClientSecret::Keys(login.keys.clone()));
    let upstream = match upstream::connect(&world.upstream, &parameters, &credentials).await {
        Ok(upstream) => upstream,
        Err(error) => {
            let why = error.to_string();
            let report = error.report();
            record_login(world, &login, &from, Some(&why));
            login.refuse(&report).await;
            return Err((report, why));
        }
    };
    record_login(world, &login, &from, None);
    let target = CancelTarget { pid: upstream.pid, secret: upstream.secret.clone() };
    let key = match world.cancels.register(target.clone(), login.minor) {
        Ok(key) => key,
        Err(error) => {
            let report = Report::fatal("53300", "no cancel key can be given out");
            login.refuse(&report).await;
            return Err((report, error.to_string()));
        }
    };
    if let Err(error) = login.welcome(&upstream.parameters, key.pid, &key.secret, upstream.status).await {
        return Err((Report::fatal("08006", "connection lost"), error.to_string()));
    }
    let status_of = |name: &str| {
        upstream
            .parameters
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    let (encoding, conforming) = (status_of("client_encoding"), status_of("standard_conforming_strings"));
    let connection = world.connection_id();
    let who = Who {
        principal: login.user.clone(),
        role: role.name.clone(),
        database_user: login.user.clone(),
        database: login.database.clone(),
    };
    let identity = Identity { who: who.clone(), from: from.clone() };
    world.note(connection_record(ConnectionEvent::Open, &identity, None), Priority::Ordinary);
    let rules = world.rules();
    let context = Context {
        role: Arc::clone(&role),
        policy: Arc::clone(&rules.policy),
        catalog: Arc::clone(&rules.catalog),
        namespace: Arc::new(Namespace::default()),
        variant: Variant::Assigned,
    };
    drop(rules);
    let session = Session {
        world: Arc::clone(world),
        client: Peer::new(login.stream, Limits::only(CLIENT_LIMIT), login.buffered),
        server: Peer::new(upstream.stream, Limits::only(SERVER_LIMIT), upstream.buffered),
        to_server: Out::default(),
        outbox: notices(&upstream.notices),
        ops: Ops::default(),
        runs: HashMap::new(),
        next_run: 0,
        statements: Statements::default(),
        protocol_names: HashSet::new(),
        sql_objects: HashMap::new(),
        connection,
        principal: login.user,
        role,
        identity: identity.clone(),
        target,
        status: Status::Idle,
        namespace: None,
        namespace_touched: false,
        probe: Vec::new(),
        plans: world.plans_for(&context),
        context,
        context_id: 1,
        grants: Arc::new(Grants::default()),
        in_pipeline: false,
        skipping: false,
        muted: false,
        abort_due: false,
        names_unsettled: false,
        exchange_runs: 0,
        exchange_blocks: false,
        server_said_goodbye: false,
        copy_due: false,
        copying_in: false,
        encoding,
        conforming_strings: conforming == "on",
        own_names: OwnNames::default(),
        notices_seen: NoticesSeen::default(),
        changed: world.watch(),
        shutdown: world.shutdown.subscribe(),
        finishing: false,
    };
    let ended = session.drive().await;
    drop(key);
    world.connection_closed(connection).await;
    let body = connection_record(ConnectionEvent::Close, &identity, Some(ended.to_string()));
    world.note(body, Priority::Ordinary);
    Ok(())
}

/// The server's notices of the login, first in the queue.
fn notices(notices: &[bytes::Bytes]) -> Outbox {
    let mut outbox = Outbox::default();
    for notice in notices {
        outbox.push(notice);
    }
    outbox
}

fn connection_record(event: ConnectionEvent, identity: &Identity, reason: Option<String>) -> Body {
    Body::Connection { event, from: identity.from.clone(), who: Some(identity.who.clone()), reason }
}

fn record_login(world: &World, login: &Login, from: &From, failure: Option<&str>) {
    let body = Body::Authentication {
        ok: failure.is_none(),
        user: login.user.clone(),
        database: Some(login.database.clone()),
        from: from.clone(),
        method: Some("scram-sha-256".to_owned()),
        reason: failure.map(str::to_owned),
    };
    world.note(body, if failure.is_some() { Priority::Reserve } else { Priority::Ordinary });
}

/// Whether a user that proved who it is may go on, and as what.
fn admit(world: &World, login: &Login) -> Result<Arc<Role>, Report> {
    if login.database != world.database {
        return Err(Report::fatal(
            "3D000",
            format!(
                "database \"{}\" is not served here: pgglass fronts \"{}\"",
                login.database, world.database
            ),
        ));
    }
    let Some(role) = world.find_role(&login.user) else {
        return Err(Report::fatal(
            "28000",
            format!("user \"{}\" has no role in the policy of pgglass", login.user),
        )
        .hint(
            "Ask whoever runs pgglass to add the user, or a database role it is a member of, to a [role].",
        ));
    };
    if role.is_restricted() {
        police(&login.parameters)?;
    }
    Ok(role)
}

/// Settings that a restricted user may give at startup, in lower case; everything else is refused.
const STARTUP_SETTINGS: &[&str] = &[
    "application_name",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "geqo",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "search_path",
    "standard_conforming_strings",
    "statement_timeout",
    "timezone",
    "work_mem",
];

/// Refuses startup parameters that a restricted user could not SET either.
fn police(parameters: &BTreeMap<String, String>) -> Result<(), Report> {
    let refuse = |name: &str| {
        Err(Report::fatal(
            "42501",
            format!("GLS-240 startup parameter \"{name}\" is not allowed for this role"),
        )
        .constraint("GLS-240"))
    };
    let check = |name: &str, value: &str| {
        let folded = name.to_ascii_lowercase().replace('-', "_");
        let quiet = folded != "client_min_messages" || !value.to_ascii_lowercase().starts_with("debug");
        if STARTUP_SETTINGS.contains(&folded.as_str()) && quiet { Ok(()) } else { refuse(name) }
    };
    for (name, value) in parameters {
        match name.as_str() {
            "user" | "database" => continue,
            "options" => {}
            _ => {
                check(name, value)?;
                continue;
            }
        }
        for (name, value) in options(value).ok_or(()).or_else(|()| refuse("options").map(|()| Vec::new()))? {
            check(&name, &value)?;
        }
    }
    Ok(())
}

/// The settings in a startup `options` value: `-c name=value` and `--name=value` (manual, postgres
/// reference page). `None` for anything else.
fn options(text: &str) -> Option<Vec<(String, String)>> {
    // Words are split at white space; a backslash quotes the next character (pg_split_opts).
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next()?
        } else {
            word.strip_prefix("--").or_else(|| word.strip_prefix("-c"))?.to_owned()
        };
        let (name, value) = setting.split_once('=')?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Some(settings)
}

/// What the server is told at startup: the client's parameters as they are.
fn startup_parameters(login: &Login) -> BTreeMap<String, String> {
    let mut parameters = login.parameters.clone();
    parameters.insert("user".to_owned(), login.user.clone());
    parameters.insert("database".to_owned(), login.database.clone());
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn startup_options_are_read_as_the_server_reads_them() {
        assert_eq!(
            options("-c search_path=a\\ b --statement_timeout=5 -cgeqo=off"),
            Some(vec![
                ("search_path".into(), "a b".into()),
                ("statement_timeout".into(), "5".into()),
                ("geqo".into(), "off".into())
            ])
        );
        assert_eq!(options("-d 5"), None);
        assert_eq!(options("-c role"), None);
    }

    #[test]
    fn a_restricted_user_cannot_take_a_role_or_hide_settings_at_startup() {
        let with = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        for (name, value) in [
            ("role", "dba"),
            ("session_authorization", "dba"),
            ("row_security", "off"),
            ("options", "-c role=dba"),
            ("options", "-c session-authorization=dba"),
            ("options", "-crow_security=off"),
            ("client_min_messages", "debug5"),
            ("options", "-c client_min_messages=DEBUG1"),
            ("options", "gibberish"),
        ] {
            assert!(police(&with(name, value)).is_err(), "{name}={value}");
        }
        for (name, value) in
            [("application_name", "psql"), ("options", "-c statement_timeout=5s"), ("DateStyle", "ISO")]
        {
            assert!(police(&with(name, value)).is_ok(), "{name}={value}");
        }
    }
}
