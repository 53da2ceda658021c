//! `pgglass serve`: runs the proxy. Starts what sessions share, listens, reloads on SIGHUP, drains on
//! SIGTERM. Not here: what happens on a connection (`session`).

mod expiry;
mod settings;
mod threads;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::FAILED;
use super::check::hold_against_server;
use crate::config::{self, Config, OnLedgerFailure, Upstream};
use crate::glass::{Desk, Transition};
use crate::ledger::record::{Body, PolicyEvent, ProcessEvent};
use crate::ledger::{Ledger, LedgerConfig, LedgerError, OnFailure, Priority, Replay};
use crate::policy::{Finding, Level};
use crate::session::login;
use crate::session::login::entry::{Entry, EntryError};
use crate::session::world::{Parts, Phase, Rules, World};
use crate::wire::client::AcceptSettings;
use crate::wire::message::Report;
use crate::wire::tls::TlsError;
use crate::wire::upstream::UpstreamSettings;
use settings::Settings;
use threads::SessionThreads;

/// Stack of a worker thread, bytes: libpg_query recurses on statements of up to 8 KiB there.
const WORKER_STACK: usize = 16 * 1024 * 1024;

/// How long sessions that are cut may take to tell their clients.
const FAREWELL: Duration = Duration::from_secs(4);

/// How often the clock of break-glass sessions is looked at.
const TICK: Duration = Duration::from_millis(200);

/// Serve clients until SIGTERM or SIGINT
///
/// Reads the configuration, holds the policy against the database (as `pgglass check` does) and
/// refuses to start on any error. On SIGHUP the policy, certificates, verifiers, accounts and limits
/// are read again; a configuration with errors is logged and recorded, and the old one stays in force.
/// On SIGTERM no new client is accepted and running statements have `shutdown_grace` to end; a second
/// signal ends at once.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "pgglass.toml")]
    pub config: PathBuf,

    /// Start although the ledger's end is damaged, and record that it was
    ///
    /// Without it the proxy does not start on a ledger whose last records cannot be read, so that a
    /// person looks at it first. A record cut short by a crash while it was being written is no
    /// damage.
    #[arg(long)]
    pub accept_damage: bool,
}

/// Why the proxy does not start, or stopped.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("{0}")]
    Config(#[from] config::ConfigErrors),
    #[error("the policy does not fit the database: run `pgglass check --config {0}`")]
    Policy(String),
    #[error("{0}")]
    Check(#[from] super::check::CheckError),
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    #[error("ledger: a break-glass transition cannot be read ({0}); refusing to guess who has access")]
    Transition(String),
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Entry(EntryError),
    #[error("{address}: {source}; is another process listening there?")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("ledger.signing_key: {}: {source}; make one: pgglass keygen --out FILE --name NODE", path.display())]
    SigningKey { path: PathBuf, source: std::io::Error },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
}

/// Runs the command.
pub(crate) fn run(args: ServeArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // The clock, the accept loop and the service account; sessions have threads of their own.
        .worker_threads(1)
        .enable_all()
        .thread_stack_size(WORKER_STACK)
        .thread_name("pgglass")
        .build()
        .map_err(|source| ServeError::Io { what: "cannot start", source });
    match runtime.and_then(|runtime| runtime.block_on(serve(&args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgglass: {error}");
            ExitCode::from(FAILED)
        }
    }
}

async fn serve(args: &ServeArgs) -> Result<(), ServeError> {
    let config = config::load(&args.config)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let Settings { accept, entry, upstream } = Settings::load(&config)?;
    let accept = Arc::new(ArcSwap::from_pointee(accept));
    let world = Arc::new(start_world(&config, args, entry, upstream).await?);
    let address = config.listen.address;
    let listener =
        TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    let local = listener.local_addr().map_err(|source| ServeError::Io { what: "listener", source })?;
    let certificates = Certificates::of(&config);
    certificates.look(None, SystemTime::now());
    let certificates = Arc::new(ArcSwap::from_pointee(certificates));
    spawn_expiry(&certificates);
    tracing::info!(address = %local, upstream = %format!("{}:{}", config.upstream.host, config.upstream.port),
        policy = %config.policy.version, "listening");
    spawn_clock(&world, config.upstream.catalog_poll);
    spawn_reminder(&world);
    let served = accept_loop(&world, listener, &accept, &certificates, &config, args).await;
    record_process(&world, ProcessEvent::Stop, None).await;
    world.close_ledger();
    served
}

/// Everything sessions share, in the order in which it can fail.
async fn start_world(
    config: &Config,
    args: &ServeArgs,
    entry: Entry,
    upstream: UpstreamSettings,
) -> Result<World, ServeError> {
    let client = crate::catalog::connect(&config.upstream).await.map_err(super::check::CheckError::from)?;
    let fingerprint = crate::catalog::fingerprint(&client).await.map_err(super::check::CheckError::from)?;
    drop(client);
    let checked = hold_against_server(config).await?;
    let errors = errors_of(&checked.findings);
    errors.iter().for_each(|text| tracing::error!("{text}"));
    if !errors.is_empty() {
        return Err(ServeError::Policy(args.config.display().to_string()));
    }
    let (ledger, replay) = Ledger::open(ledger_config(config, args.accept_damage))?;
    let (desk, detail) = replayed(&replay)?;
    let world = World::new(Parts {
        upstream,
        entry,
        service: config.upstream.clone(),
        node: config.ledger.node.clone(),
        rules: Rules { policy: Arc::new(checked.bound), catalog: Arc::new(checked.catalog) },
        fingerprint,
        ledger,
        desk,
    });
    record_process(&world, ProcessEvent::Start, detail).await;
    say_not_enforced(&world);
    record_policy(&world, PolicyEvent::Load, None, None);
    // Sessions bound to connections of the process before ended with it.
    world.tick().await;
    Ok(world)
}

/// The errors among findings, in words; warnings go to the log.
fn errors_of(findings: &[Finding]) -> Vec<String> {
    let text = |finding: &Finding| format!("{}: {}", finding.subject, finding.message);
    findings.iter().filter(|f| f.level == Level::Warning).for_each(|f| tracing::warn!("{}", text(f)));
    findings.iter().filter(|f| f.level == Level::Error).map(text).collect()
}

fn ledger_config(config: &Config, accept_damage: bool) -> LedgerConfig {
    let ledger = &config.ledger;
    LedgerConfig {
        node: ledger.node.clone(),
        directory: ledger.directory.clone(),
        signing_key: ledger.signing_key.clone(),
        checkpoint_every: ledger.checkpoint_every,
        segment_bytes: ledger.segment_bytes,
        flush_deadline: ledger.flush_deadline,
        reserve: ledger.reserve,
        on_failure: match ledger.on_failure {
            OnLedgerFailure::FailOperation => OnFailure::FailOperation,
            OnLedgerFailure::Shutdown => OnFailure::Shutdown,
        },
        accept_damage,
    }
}

/// The break-glass state as the ledger tells it, and what recovery found.
fn replayed(replay: &Replay) -> Result<(Desk, Option<String>), ServeError> {
    let mut transitions = Vec::new();
    for record in &replay.glass {
        if let Body::Glass { transition, .. } = &record.body {
            let read = serde_json::from_value::<Transition>(transition.clone())
                .map_err(|e| ServeError::Transition(format!("record {}: {e}", record.id)))?;
            transitions.push(read);
        }
    }
    let mut desk = Desk::replay(&transitions);
    desk.restarted();
    let mut found = replay.damage.clone();
    if replay.torn_bytes > 0 {
        found.push(format!("{} bytes were being written when the process before ended", replay.torn_bytes));
    }
    for line in &found {
        tracing::warn!("ledger: {line}");
    }
    Ok((desk, (!found.is_empty()).then(|| found.join("; "))))
}

/// Looks at the clock and at the catalog from time to time.
fn spawn_clock(world: &Arc<World>, catalog_poll: Duration) {
    let ticking = Arc::clone(world);
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(TICK);
        loop {
            interval.tick().await;
            ticking.tick().await;
        }
    });
    let polling = Arc::clone(world);
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(catalog_poll);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            polling.refresh_catalog().await;
        }
    });
}

/// How often the log says that a policy is not enforced.
const REMINDER: Duration = Duration::from_secs(3600);

/// Reminds the log's readers of a policy that is not enforced.
fn spawn_reminder(world: &Arc<World>) {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(REMINDER).await;
            say_not_enforced(&world);
        }
    });
}

fn say_not_enforced(world: &World) {
    if let Some(text) = world.rules().policy.policy.not_enforced() {
        tracing::warn!("{text}");
    }
}

/// Which certificates are looked at, and how long before their end the log warns. A reload swaps it.
struct Certificates {
    files: Vec<(&'static str, PathBuf)>,
    warn_before: Vec<Duration>,
}

impl Certificates {
    fn of(config: &Config) -> Self {
        Self { files: expiry::watched(config), warn_before: config.warn_before.clone() }
    }

    fn look(&self, last: Option<SystemTime>, now: SystemTime) {
        expiry::look(&self.files, &self.warn_before, last, now);
    }
}

/// Looks at the dates of certificates every day from now on.
fn spawn_expiry(certificates: &Arc<ArcSwap<Certificates>>) {
    let certificates = Arc::clone(certificates);
    tokio::spawn(async move {
        let mut last = SystemTime::now();
        loop {
            tokio::time::sleep(expiry::EVERY).await;
            let now = SystemTime::now();
            certificates.load().look(Some(last), now);
            last = now;
        }
    });
}

/// The signals that end the proxy.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, ServeError> {
        Ok(Self {
            terminate: Self::of(SignalKind::terminate())?,
            interrupt: Self::of(SignalKind::interrupt())?,
        })
    }

    fn of(kind: SignalKind) -> Result<Signal, ServeError> {
        signal(kind).map_err(|source| ServeError::Io { what: "signals", source })
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn accept_loop(
    world: &Arc<World>,
    listener: TcpListener,
    accept: &Arc<ArcSwap<AcceptSettings>>,
    certificates: &Arc<ArcSwap<Certificates>>,
    config: &Config,
    args: &ServeArgs,
) -> Result<(), ServeError> {
    let mut signals = Signals::new()?;
    let reloading = spawn_reload(world, accept, certificates, &config.upstream, args)?;
    let threads = SessionThreads::start(WORKER_STACK)
        .map_err(|source| ServeError::Io { what: "cannot start the threads of sessions", source })?;
    let open = Arc::new(AtomicU32::new(0));
    let mut shutdown = world.shutdown.subscribe();
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = shutdown.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(world, stream, accept.load_full(), &open, &threads),
                // Out of file descriptors, or a connection that is gone already: the next may do.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    reloading.abort();
    // New clients are refused by the operating system, which tells them at once to go elsewhere.
    drop(listener);
    drain(world, &open, config.listen.shutdown_grace, &mut signals).await;
    if world.shutdown_wanted() {
        return Err(LedgerError::from(crate::ledger::Cause::Closed).into());
    }
    Ok(())
}

/// One more connection, or a refusal once it said who it is.
fn admit(
    world: &Arc<World>,
    stream: TcpStream,
    settings: Arc<AcceptSettings>,
    open: &Arc<AtomicU32>,
    threads: &SessionThreads,
) {
    let most = world.entry().max_connections;
    let count = open.fetch_add(1, Ordering::AcqRel) + 1;
    let admission =
        if count > most { Err(Report::fatal("53300", "sorry, too many clients already")) } else { Ok(()) };
    let (world, open) = (Arc::clone(world), Arc::clone(open));
    // Counted down when the session ends in any way, a panic included.
    struct Leave(Arc<AtomicU32>);
    impl Drop for Leave {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
    let leave = Leave(open);
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, "a connection could not be handed to its thread"),
    };
    threads.spawn(async move {
        let _leave = leave;
        match TcpStream::from_std(stream) {
            Ok(stream) => login::serve(world, stream, settings, admission).await,
            Err(error) => tracing::warn!(%error, "a connection could not be taken over by its thread"),
        }
    });
}

/// Reloads at every SIGHUP, while clients go on coming in: the database is asked, and may take its time.
fn spawn_reload(
    world: &Arc<World>,
    accept: &Arc<ArcSwap<AcceptSettings>>,
    certificates: &Arc<ArcSwap<Certificates>>,
    upstream: &Upstream,
    args: &ServeArgs,
) -> Result<tokio::task::JoinHandle<()>, ServeError> {
    let mut hangup = Signals::of(SignalKind::hangup())?;
    let (world, accept, certificates) = (Arc::clone(world), Arc::clone(accept), Arc::clone(certificates));
    let (upstream, args) = (upstream.clone(), args.clone());
    Ok(tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload(&world, &accept, &certificates, &upstream, &args).await;
        }
    }))
}

/// Reads the configuration again and holds it against the database as at start. What is bound at start stays: the
/// address, the server and the proxy's account there (`upstream`), the ledger.
async fn reload(
    world: &Arc<World>,
    accept: &ArcSwap<AcceptSettings>,
    certificates: &ArcSwap<Certificates>,
    upstream: &Upstream,
    args: &ServeArgs,
) {
    let loaded = config::load(&args.config).map_err(ServeError::from).and_then(|config| {
        let settings = Settings::load(&config)?;
        Ok((config, settings))
    });
    let (config, settings) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return rejected(world, &error.to_string()),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let upstream = Upstream { login: config.upstream.login.clone(), ..upstream.clone() };
    match hold_against_server(&Config { upstream, ..config.clone() }).await {
        Err(error) => return rejected(world, &error.to_string()),
        Ok(checked) => {
            let errors = errors_of(&checked.findings);
            if !errors.is_empty() {
                return rejected(world, &errors.join("\n"));
            }
        }
    }
    let before = world.rules().policy.policy.modes();
    let mut accepted = world.set_policy(Arc::clone(&config.policy));
    // What it names may have been made since the catalog was last looked at.
    if accepted.is_err() && world.reread_catalog().await {
        accepted = world.set_policy(Arc::clone(&config.policy));
    }
    if let Err(problems) = accepted {
        return rejected(world, &problems.join("; "));
    }
    let Settings { accept: new, entry, upstream } = settings;
    accept.store(Arc::new(new));
    world.set_entry(entry, upstream);
    let watched = Certificates::of(&config);
    watched.look(None, SystemTime::now());
    certificates.store(Arc::new(watched));
    tracing::info!(policy = %config.policy.version, mode = %config.policy.modes(), "configuration reloaded");
    record_policy(world, PolicyEvent::Reload, None, Some(before));
}

fn rejected(world: &World, error: &str) {
    tracing::error!("the new configuration is NOT in force, the one before stays:\n{error}");
    record_policy(world, PolicyEvent::Rejected, Some(error.to_owned()), None);
}

/// Waits until sessions ended, up to the grace time; then they are told why and cut. A second signal does not
/// wait for anything.
async fn drain(world: &World, open: &AtomicU32, grace: Duration, signals: &mut Signals) {
    world.enter_phase(Phase::Draining);
    tracing::info!(sessions = open.load(Ordering::Acquire), "shutting down; a second signal ends at once");
    if !gone(open, grace, signals).await {
        return tracing::warn!(sessions = open.load(Ordering::Acquire), "ended by a second signal");
    }
    let left = open.load(Ordering::Acquire);
    if left > 0 {
        tracing::warn!(sessions = left, "sessions are cut");
        world.enter_phase(Phase::Cutting);
        gone(open, FAREWELL, signals).await;
    }
}

/// Waits until no connection is open, or the time is over; false when a signal came first.
async fn gone(open: &AtomicU32, at_most: Duration, signals: &mut Signals) -> bool {
    let started = Instant::now();
    while open.load(Ordering::Acquire) > 0 && started.elapsed() < at_most {
        tokio::select! {
            () = signals.end() => return false,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    true
}

async fn record_process(world: &World, event: ProcessEvent, detail: Option<String>) {
    let body = Body::Process {
        event,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        detail,
    };
    if let Err(error) = world.append(body, Priority::Reserve).await {
        tracing::error!(%error, "the ledger could not be written");
    }
}

/// `before`: the mode of the policy that was in force.
fn record_policy(world: &World, event: PolicyEvent, error: Option<String>, before: Option<String>) {
    let rules = world.rules();
    let policy = &rules.policy.policy;
    let (version, mode) = (Some(policy.version.to_string()), policy.modes());
    let mode_before = before.filter(|before| *before != mode);
    world.note(Body::Policy { event, version, error, mode: Some(mode), mode_before }, Priority::Reserve);
}
