//! `pgglass serve`: runs the proxy. Starts what sessions share, listens, reloads on SIGHUP, drains on
//! SIGTERM. Not here: what happens on a connection (`session`).

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::FAILED;
use super::check::hold_against_server;
use crate::config::{self, Config, OnLedgerFailure, UpstreamTls as TlsMode};
use crate::glass::{Desk, Transition};
use crate::ledger::record::{Body, PolicyEvent, ProcessEvent};
use crate::ledger::{Ledger, LedgerConfig, LedgerError, OnFailure, Priority, Replay};
use crate::policy::Level;
use crate::session::login;
use crate::session::world::{Parts, Rules, World};
use crate::wire::client::{AcceptSettings, Cleartext};
use crate::wire::message::Report;
use crate::wire::tls::{ServerTls, TlsError, UpstreamTls};
use crate::wire::upstream::UpstreamSettings;

/// Stack of a worker thread, bytes: libpg_query recurses on statements of up to 8 KiB there.
const WORKER_STACK: usize = 16 * 1024 * 1024;

/// Iterations a user that does not exist seems to have: PostgreSQL's default (`scram_iterations`).
const MOCK_ITERATIONS: u32 = 4096;

/// How often the clock of break-glass sessions is looked at.
const TICK: Duration = Duration::from_millis(200);

/// Serve clients until SIGTERM or SIGINT
///
/// Reads the configuration, holds the policy against the database (as `pgglass check` does) and
/// refuses to start on any error. On SIGHUP the policy and the certificate are read again; a
/// configuration with errors is logged and recorded, and the old one stays in force. On SIGTERM no
/// new client is accepted and running statements have `shutdown_grace` to end; a second signal ends
/// at once.
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
    #[error("{address}: {source}; is another process listening there?")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
}

/// Runs the command.
pub(crate) fn run(args: ServeArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
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
    let accept = Arc::new(ArcSwap::from_pointee(accept_settings(&config)?));
    let world = Arc::new(start_world(&config, args).await?);
    let address = config.listen.address;
    let listener =
        TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    let local = listener.local_addr().map_err(|source| ServeError::Io { what: "listener", source })?;
    tracing::info!(address = %local, upstream = %format!("{}:{}", config.upstream.host, config.upstream.port),
        policy = %config.policy.version, "listening");
    spawn_clock(&world, config.upstream.catalog_poll);
    let served = accept_loop(&world, &listener, &accept, &config, args).await;
    drop(listener);
    record_process(&world, ProcessEvent::Stop, None).await;
    world.close_ledger();
    served
}

/// Everything sessions share, in the order in which it can fail.
async fn start_world(config: &Config, args: &ServeArgs) -> Result<World, ServeError> {
    let client = crate::catalog::connect(&config.upstream).await.map_err(super::check::CheckError::from)?;
    let fingerprint = crate::catalog::fingerprint(&client).await.map_err(super::check::CheckError::from)?;
    drop(client);
    let checked = hold_against_server(config).await?;
    let mut errors = 0;
    for finding in &checked.findings {
        let text = format!("{}: {}", finding.subject, finding.message);
        match finding.level {
            Level::Error => {
                errors += 1;
                tracing::error!("{text}");
            }
            Level::Warning => tracing::warn!("{text}"),
            _ => {}
        }
    }
    if errors > 0 {
        return Err(ServeError::Policy(args.config.display().to_string()));
    }
    let (ledger, replay) = Ledger::open(ledger_config(config, args.accept_damage))?;
    let (desk, detail) = replayed(&replay)?;
    let world = World::new(Parts {
        upstream: upstream_settings(config)?,
        service: config.upstream.clone(),
        node: config.ledger.node.clone(),
        rules: Rules { policy: Arc::new(checked.bound), catalog: Arc::new(checked.catalog) },
        fingerprint,
        ledger,
        desk,
    });
    record_process(&world, ProcessEvent::Start, detail).await;
    record_policy(&world, PolicyEvent::Load, None);
    // Sessions bound to connections of the process before ended with it.
    world.tick().await;
    Ok(world)
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

fn upstream_settings(config: &Config) -> Result<UpstreamSettings, ServeError> {
    let upstream = &config.upstream;
    Ok(UpstreamSettings {
        host: upstream.host.clone(),
        port: upstream.port,
        tls: match &upstream.tls {
            TlsMode::Disable => UpstreamTls::Disable,
            TlsMode::Require => UpstreamTls::require(None)?,
            TlsMode::VerifyFull { ca } => UpstreamTls::verify_full(Some(ca), None)?,
        },
        connect_timeout: upstream.connect_timeout,
    })
}

fn accept_settings(config: &Config) -> Result<AcceptSettings, ServeError> {
    let listen = &config.listen;
    let tls = match &listen.tls {
        None => None,
        Some(files) => Some(ServerTls::load(&files.certificate, &files.private_key, None)?),
    };
    for warning in tls.iter().flat_map(|t| t.warnings()) {
        tracing::warn!("{warning}");
    }
    Ok(AcceptSettings {
        tls,
        cleartext: match listen.cleartext {
            config::Cleartext::Never => Cleartext::Never,
            config::Cleartext::Loopback => Cleartext::Loopback,
        },
        login_timeout: listen.login_timeout,
        mock_secret: rand::random(),
        mock_iterations: MOCK_ITERATIONS,
    })
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

/// The signals the proxy listens to.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, ServeError> {
        let on = |kind| signal(kind).map_err(|source| ServeError::Io { what: "signals", source });
        Ok(Self {
            hangup: on(SignalKind::hangup())?,
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
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
    listener: &TcpListener,
    accept: &Arc<ArcSwap<AcceptSettings>>,
    config: &Config,
    args: &ServeArgs,
) -> Result<(), ServeError> {
    let mut signals = Signals::new()?;
    let open = Arc::new(AtomicU32::new(0));
    let mut shutdown = world.shutdown.subscribe();
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = shutdown.changed() => break,
            _ = signals.hangup.recv() => reload(world, accept, args),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(world, stream, accept.load_full(), &open, config.listen.max_connections),
                // Out of file descriptors, or a connection that is gone already: the next may do.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
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
    most: u32,
) {
    let count = open.fetch_add(1, Ordering::AcqRel) + 1;
    let admission =
        if count > most { Err(Report::fatal("53300", "sorry, too many clients already")) } else { Ok(()) };
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    if let Err(error) = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive) {
        tracing::debug!(%error, "no TCP keepalive");
    }
    let (world, open) = (Arc::clone(world), Arc::clone(open));
    tokio::spawn(async move {
        // Counted down when the session ends in any way, a panic included.
        struct Leave(Arc<AtomicU32>);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
        let _leave = Leave(open);
        login::serve(world, stream, settings, admission).await;
    });
}

/// Reads the configuration again. Only the policy and the certificate change in a running proxy.
fn reload(world: &Arc<World>, accept: &ArcSwap<AcceptSettings>, args: &ServeArgs) {
    let loaded = config::load(&args.config).map_err(ServeError::from).and_then(|config| {
        let settings = accept_settings(&config)?;
        Ok((config, settings))
    });
    let (config, settings) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return rejected(world, &error.to_string()),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if let Err(problems) = world.set_policy(Arc::clone(&config.policy)) {
        return rejected(world, &problems.join("; "));
    }
    accept.store(Arc::new(settings));
    tracing::info!(policy = %config.policy.version, "configuration reloaded");
    record_policy(world, PolicyEvent::Reload, None);
}

fn rejected(world: &World, error: &str) {
    tracing::error!("the new configuration is NOT in force, the one before stays:\n{error}");
    record_policy(world, PolicyEvent::Rejected, Some(error.to_owned()));
}

/// Waits until sessions ended, up to the grace time; a second signal does not wait.
async fn drain(world: &World, open: &AtomicU32, grace: Duration, signals: &mut Signals) {
    world.shutdown.send_replace(true);
    let started = Instant::now();
    tracing::info!(sessions = open.load(Ordering::Acquire), "shutting down; a second signal ends at once");
    while open.load(Ordering::Acquire) > 0 && started.elapsed() < grace {
        tokio::select! {
            () = signals.end() => break,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    let left = open.load(Ordering::Acquire);
    if left > 0 {
        tracing::warn!(sessions = left, "sessions are cut");
    }
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

fn record_policy(world: &World, event: PolicyEvent, error: Option<String>) {
    let version = Some(world.rules().policy.policy.version.clone());
    world.note(Body::Policy { event, version, error }, Priority::Reserve);
}
