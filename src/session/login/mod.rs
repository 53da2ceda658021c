//! From an accepted socket to a running session: who it is, which role, the server connection as the
//! same user, and the records of all that. Not here: the handshake itself (`wire`).

pub mod entry;
pub mod userlist;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::catalog::Namespace;
use crate::glass::{ConnectionId, Grants, NoticesSeen};
use crate::ledger::Priority;
use crate::ledger::record::{Body, ConnectionEvent, From, Observed, ObservedVerdict, Tls, Who};
use crate::policy::{GlsCode, Place, Role, Variant};
use crate::session::Session;
use crate::session::alerts::Alerts;
use crate::session::idle::Idle;
use crate::session::login::entry::{Entry, Lookup, UpstreamAs};
use crate::session::names::own_names::OwnNames;
use crate::session::names::statements::Statements;
use crate::session::peer::{Out, Peer, Stream};
use crate::session::run::Identity;
use crate::session::run::ops::Ops;
use crate::session::run::runs::Runs;
use crate::session::server::outbox::Outbox;
use crate::session::world::{CancelTarget, Phase, World};
use crate::sql::planner::Context;
use crate::sql::setting_allowed;
use crate::wire::client::{self, AcceptError, AcceptSettings, Accepted, Login, Method};
use crate::wire::frame::Limits;
use crate::wire::message::{Report, Status};
use crate::wire::scram::client::ScramClientError;
use crate::wire::startup::CancelRequest;
use crate::wire::upstream::{self, Upstream, UpstreamError};

/// Longest message of a client that is understood, bytes. A longer one is refused unread, COPY data apart:
/// that goes through as it comes.
pub(in crate::session) const CLIENT_LIMIT: u32 = 64 * 1024 * 1024;

/// Longest message taken from the server, bytes: the protocol's own limit.
pub(in crate::session) const SERVER_LIMIT: u32 = 0x3fff_fff0;

/// Serves one client from its first byte to its last. `admission` refuses it with a report (too many
/// connections, shutting down) once it said who it is.
pub async fn serve(
    world: Arc<World>,
    stream: TcpStream,
    settings: Arc<AcceptSettings>,
    admission: Result<(), Report>,
) {
    let peer = stream.peer_addr().ok();
    let entry = world.entry().clone();
    let lookup = Lookup { entry: &entry, service: &world.service };
    let accepted = Box::pin(client::accept(stream, &settings, &lookup, admission)).await;
    let login = match accepted {
        Ok(Accepted::Login(login)) => *login,
        Ok(Accepted::Cancel(cancel)) => {
            let CancelRequest { pid, secret } = &cancel.request;
            match world.cancels.find(*pid, secret) {
                Some(target) => world.cancel(&target).await,
                None => tracing::info!("a cancel request had no key of ours"),
            }
            // Not before the server's own end: a client that waits for ours sends its next statement then,
            // and a cancel that came later would hit that one.
            return cancel.close().await;
        }
        Err(error) => return record_failure(&world, peer, &error, settings.method),
    };
    let user = login.user.clone();
    // Steps of the login are boxed: what they needed is free again once the session runs.
    if let Err((report, why)) = Box::pin(open(&world, &entry, login)).await {
        tracing::info!(user, reason = %why, report = %report, "login refused");
    }
}

/// Records a connection that did not become a login.
fn record_failure(world: &World, peer: Option<SocketAddr>, error: &AcceptError, method: Method) {
    if matches!(error, AcceptError::Closed) {
        return;
    }
    let user = error.user().unwrap_or_default().to_owned();
    tracing::info!(%error, ?peer, "login failed");
    let from = From { address: peer.map(|p| p.to_string()).unwrap_or_default(), ..From::default() };
    let body = Body::Authentication {
        ok: false,
        user,
        database: None,
        from,
        method: Some(method_word(method).to_owned()),
        reason: Some(error.to_string()),
        observed: None,
    };
    world.note(body, Priority::Reserve);
}

fn method_word(method: Method) -> &'static str {
    match method {
        Method::Scram => "scram-sha-256",
        Method::Certificate => "cert",
        Method::CertificateAndScram => "cert+scram-sha-256",
    }
}

/// How a client proved who it is, with the name in its certificate.
fn proof(login: &Login) -> String {
    match (&login.certificate, &login.keys) {
        (None, _) => method_word(Method::Scram).to_owned(),
        (Some(name), None) => format!("{} {name}", method_word(Method::Certificate)),
        (Some(name), Some(_)) => format!("{} {name}", method_word(Method::CertificateAndScram)),
    }
}

/// Opens the server side and runs the session.
async fn open(world: &Arc<World>, entry: &Entry, mut login: Login) -> Result<(), (Report, String)> {
    let from = From {
        address: login.peer.to_string(),
        tls: login.tls.as_ref().map(|t| Tls { version: t.version.clone(), cipher: t.cipher.clone() }),
        application_name: login.parameters.get("application_name").cloned(),
    };
    let from_where = place_of(&login);
    let admitted = admit(world, &login).and_then(|role| {
        let server_as = entry.upstream_login(&login, &role.name)?;
        let place = world.crowd.enter(&login.user, entry.max_per_user)?;
        Ok((role, server_as, place))
    });
    let (role, server_as, place) = match admitted {
        Ok(admitted) => admitted,
        Err(report) => {
            let why = report.to_string();
            record_login(world, &login, &from, Some(&why), None);
            login.refuse(&report).await;
            return Err((report, why));
        }
    };
    let upstream = match Box::pin(connect(world, &login, &server_as)).await {
        Ok(upstream) => upstream,
        Err((report, why)) => {
            record_login(world, &login, &from, Some(&why), None);
            login.refuse(&report).await;
            return Err((report, why));
        }
    };
    record_login(world, &login, &from, None, observed_login(&role, &login));
    let target = CancelTarget { pid: upstream.pid, secret: upstream.secret.clone() };
    let key = match world.cancels.register(target.clone(), target.pid, login.minor) {
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
        role: role.name.to_string(),
        database_user: server_as.user.clone(),
        database: login.database.clone(),
        mode: role.mode.recorded(),
    };
    let identity = Identity { who: Arc::new(who), from: Arc::new(from.clone()) };
    world.note(connection_record(ConnectionEvent::Open, &identity, None), Priority::Ordinary);
    let rules = world.rules();
    let (role, watched) = crate::session::run::observed::in_force(role);
    let context = Context {
        role: Arc::clone(&role),
        policy: Arc::clone(&rules.policy),
        catalog: Arc::clone(&rules.catalog),
        namespace: Arc::new(Namespace::default()),
        variant: Variant::Assigned,
        watched,
    };
    drop(rules);
    let account_of = entry.bound_to_role().then(|| role.name.clone());
    let session = Session::new(Opening {
        world: Arc::clone(world),
        client: Peer::new(login.stream, Limits::gather(CLIENT_LIMIT), login.buffered),
        server: Peer::new(upstream.stream, Limits::only(SERVER_LIMIT), upstream.buffered),
        notices: upstream.notices,
        connection,
        identity: identity.clone(),
        target,
        context,
        encoding,
        conforming_strings: conforming == "on",
        account_of,
        place: from_where,
    });
    let session = Box::pin(session.drive());
    tracing::debug!(bytes = size_of_val(&*session), "session begins");
    let ended = session.await;
    drop((key, place));
    world.connection_closed(connection).await;
    let body = connection_record(ConnectionEvent::Close, &identity, Some(ended.to_string()));
    world.note(body, Priority::Ordinary);
    Ok(())
}

/// The server side of a session, with the statuses as the client is to see them. On an error: what the client is
/// told, and what happened.
async fn connect(world: &World, login: &Login, server_as: &UpstreamAs) -> Result<Upstream, (Report, String)> {
    let mut parameters = login.parameters.clone();
    parameters.insert("user".to_owned(), server_as.user.clone());
    parameters.insert("database".to_owned(), login.database.clone());
    let own_name = login.parameters.get("application_name");
    let label = server_as.label(own_name.map(String::as_str));
    if let Some(label) = &label {
        parameters.insert("application_name".to_owned(), label.clone());
    }
    let mut upstream = upstream::connect(&world.upstream(), &parameters, &server_as.credentials)
        .await
        .map_err(|error| (refusal(&error, server_as), reason(&error)))?;
    if label.is_some() {
        // The label is the server's; the client's own name is the client's.
        let shown = upstream.parameters.iter_mut().filter(|(name, _)| name == "application_name");
        shown.for_each(|(_, value)| *value = own_name.cloned().unwrap_or_default());
    }
    Ok(upstream)
}

/// What a client is told of a login upstream that failed. Of a service account's login it is told nothing that is
/// the account's affair.
fn refusal(error: &UpstreamError, server_as: &UpstreamAs) -> Report {
    match error {
        UpstreamError::Refused(report) if server_as.carries.is_some() && report.code().starts_with("28") => {
            Report::fatal("08006", "the proxy has no connection to the database server")
        }
        error => error.report(),
    }
}

fn reason(error: &UpstreamError) -> String {
    match error {
        UpstreamError::Scram(ScramClientError::VerifierChanged) => {
            "the server's verifier is another one than that which the client was checked against: the password \
             changed meanwhile, or login.verifier_file is out of date"
                .to_owned()
        }
        error => error.to_string(),
    }
}

/// What a session begins with.
pub(in crate::session) struct Opening<C, S> {
    pub(in crate::session) world: Arc<World>,
    pub(in crate::session) client: Peer<C>,
    pub(in crate::session) server: Peer<S>,
    /// Messages of the server's login that the client is to see.
    pub(in crate::session) notices: Vec<bytes::Bytes>,
    pub(in crate::session) connection: ConnectionId,
    pub(in crate::session) identity: Identity,
    pub(in crate::session) target: CancelTarget,
    /// Its namespace is asked from the server before anything is decided.
    pub(in crate::session) context: Context,
    /// `client_encoding` and `standard_conforming_strings` as the server reported them.
    pub(in crate::session) encoding: String,
    pub(in crate::session) conforming_strings: bool,
    /// The role whose account it is logged in as upstream, if it is one.
    pub(in crate::session) account_of: Option<Arc<str>>,
    /// Where the client is.
    pub(in crate::session) place: Place,
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// A session that both sides have been welcomed to and that waits for its first statement.
    pub(in crate::session) fn new(opening: Opening<C, S>) -> Self {
        let Opening { world, client, server, connection, identity, target, context, .. } = opening;
        let has_hours = world.role_has_hours(&identity.who.principal);
        let shutdown = world.shutdown.subscribe();
        let finishing = *shutdown.borrow() != Phase::Serving;
        Self {
            client,
            server,
            to_server: Out::default(),
            outbox: notices(&opening.notices),
            ops: Ops::default(),
            runs: Runs::default(),
            next_run: 0,
            statements: Statements::default(),
            described_types: Vec::new(),
            objects: crate::session::names::objects::Objects::default(),
            described_layout: None,
            connection,
            principal: identity.who.principal.clone(),
            role: Arc::clone(&context.role),
            identity,
            target,
            status: Status::Idle,
            namespace: None,
            limited_now: false,
            left_behind: Vec::new(),
            namespace_touched: false,
            catalog_moved: false,
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
            written: None,
            block_over: false,
            held: None,
            exchange_runs: 0,
            exchange_blocks: false,
            transaction_moves: false,
            lookup_in_transaction: false,
            server_said_goodbye: false,
            copy_due: false,
            rest: None,
            copying_in: false,
            oversized: None,
            hung_up: None,
            encoding: opening.encoding,
            conforming_strings: opening.conforming_strings,
            own_names: OwnNames::default(),
            notices_seen: NoticesSeen::default(),
            alerts: Alerts::new(world.watch(), shutdown),
            finishing,
            told_withheld: false,
            idle: Idle::default(),
            account_of: opening.account_of,
            has_hours,
            place: opening.place,
            unmet: None,
            world,
        }
    }
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
    Body::Connection { event, from: (*identity.from).clone(), who: Some((*identity.who).clone()), reason }
}

fn record_login(
    world: &World,
    login: &Login,
    from: &From,
    failure: Option<&str>,
    observed: Option<Observed>,
) {
    let body = Body::Authentication {
        ok: failure.is_none(),
        user: login.user.clone(),
        database: Some(login.database.clone()),
        from: from.clone(),
        method: Some(proof(login)),
        reason: failure.map(str::to_owned),
        observed,
    };
    world.note(body, if failure.is_some() { Priority::Reserve } else { Priority::Ordinary });
}

/// Where a login comes from.
fn place_of(login: &Login) -> Place {
    Place { address: Some(login.peer.ip()), certificate: login.certificate.is_some() }
}

/// Whether a user that proved who it is may go on, and as what.
fn admit(world: &World, login: &Login) -> Result<Arc<Role>, Report> {
    if *world.shutdown.borrow() != Phase::Serving {
        return Err(Report::fatal("57P03", "the database system is shutting down"));
    }
    if login.database != world.database {
        // PostgreSQL's words, which clients know. Whether the server has it is not for them to learn.
        return Err(Report::fatal("3D000", format!("database \"{}\" does not exist", login.database))
            .detail(format!("This is pgglass, which fronts the database \"{}\".", world.database)));
    }
    let Some(base) = world.find_role(&login.user) else {
        return Err(Report::fatal(
            "28000",
            format!("user \"{}\" has no role in the policy of pgglass", login.user),
        )
        .hint(
            "Ask whoever runs pgglass to add the user, or a database role it is a member of, to a [role].",
        ));
    };
    let policy = &world.rules().policy.policy;
    let role = policy.under_terms(&base, place_of(login), jiff::Timestamp::now()).map_err(|refusal| {
        let report = Report::fatal("28000", refusal.to_string());
        match &refusal.hint {
            Some(hint) => report.hint(hint.clone()),
            None => report,
        }
    })?;
    // With terms it may become another role while the session lasts.
    if (role.is_restricted() || base.when.is_some()) && !base.is_watched() {
        police(&login.parameters)?;
    }
    Ok(role)
}

/// What enforcing would have said of a login that was let in because its role is only watched.
fn observed_login(role: &Role, login: &Login) -> Option<Observed> {
    let refusal = role.is_watched().then(|| police(&login.parameters).err())??;
    Some(Observed {
        mode: role.mode.as_str().to_owned(),
        verdict: ObservedVerdict::Refuse,
        code: Some(GlsCode::CannotGuard.as_str().to_owned()),
        message: Some(refusal.message().trim_start_matches("GLS-240 ").to_owned()),
        ..Observed::default()
    })
}

/// Refuses startup parameters that a restricted user could not SET either.
pub(in crate::session) fn police(parameters: &BTreeMap<String, String>) -> Result<(), Report> {
    let refuse = |name: &str| {
        Err(Report::fatal(
            "42501",
            format!("GLS-240 startup parameter \"{name}\" is not allowed for this role"),
        )
        .constraint("GLS-240"))
    };
    let check = |name: &str, value: &str| {
        let folded = name.to_ascii_lowercase().replace('-', "_");
        // Under others, statements are refused while they last, with the remedy.
        let told_later = matches!(folded.as_str(), "client_encoding" | "standard_conforming_strings");
        if told_later || setting_allowed(&folded, value) { Ok(()) } else { refuse(name) }
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
            ("replication", "database"),
            ("options", "-c debug_print_plan=on"),
            ("options", "-c glass.user=dba"),
            ("options", "-c default_tablespace=fast"),
            ("client_min_messages", "log"),
            ("client_min_messages", "debug5"),
            ("options", "-c client_min_messages=DEBUG1"),
            ("options", "gibberish"),
        ] {
            assert!(police(&with(name, value)).is_err(), "{name}={value}");
        }
        for (name, value) in [
            ("application_name", "psql"),
            ("options", "-c statement_timeout=5s"),
            ("DateStyle", "ISO"),
            ("client_encoding", "LATIN1"),
            (
                "options",
                "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off --max-parallel-workers=0",
            ),
            ("options", "-c row_security=on -c app.tenant=7"),
        ] {
            assert!(police(&with(name, value)).is_ok(), "{name}={value}");
        }
    }
}
