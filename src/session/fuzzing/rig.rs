//! A session between two pipes, a ledger that waits, and the properties that hold whatever its peers say:
//! it comes to rest, what it writes are messages, no witness and no row before its record reaches the
//! client, and no more answers than questions.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context as Waking, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::pipe::Pipe;
use super::server::{HIDDEN, LEAK, ROW, Server, WITNESS};
use crate::catalog::Namespace;
use crate::config::{Upstream, UpstreamLogin, UpstreamTls};
use crate::fuzzing::ROLES;
use crate::glass::{ConnectionId, Desk};
use crate::ledger::held::{Held, Waiting};
use crate::ledger::record::{From, Who};
use crate::policy::{GlassProfile, RESERVED_PREFIX};
use crate::session::login::entry::Entry;
use crate::session::login::{CLIENT_LIMIT, Opening, SERVER_LIMIT};
use crate::session::peer::Peer;
use crate::session::run::Identity;
use crate::session::world::{CancelTarget, Parts, Rules, World};
use crate::session::{Ended, Session};
use crate::sql::planner::Context;
use crate::wire::frame::{FrameDecoder, Limits};
use crate::wire::message::ServerTag;
use crate::wire::upstream::UpstreamSettings;

const NODE: &str = "node-1";
const SOON: Duration = Duration::from_secs(5);

/// Looked at once and again until nobody asked for more.
#[derive(Default)]
struct Asked(AtomicBool);

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Rig {
    runtime: tokio::runtime::Runtime,
    session: Option<Pin<Box<dyn Future<Output = Ended> + Send>>>,
    asked: Arc<Asked>,
    pub(super) world: Arc<World>,
    pub(super) client: Pipe,
    pub(super) upstream: Pipe,
    pub(super) server: Server,
    ledger: Held,
    waiting: Vec<Waiting>,
    restricted: bool,
    /// Rows whose witness a durable record names.
    durable: BTreeSet<u64>,
    /// The last row that the server sent before the user's authority ended: none after it may be shown.
    last_row: Option<u64>,
    /// What reached the client.
    shown: FrameDecoder,
    /// Bytes that reached either side.
    pub(super) written: usize,
    questions: usize,
    answers: usize,
    /// The client's messages, to count the questions.
    asks: Option<FrameDecoder>,
    /// Values in rows of guarded statements that the client got.
    pub(super) values: usize,
    /// The server said something about rows that is not so: what a witness is cannot be known any more.
    pub(super) lied: bool,
}

/// The contexts of `crate::fuzzing`, whose roles may break glass.
fn context(role: u8) -> Context {
    static ALL: OnceLock<Vec<Context>> = OnceLock::new();
    let all = ALL.get_or_init(|| (0..ROLES).map(breaking_glass).collect());
    all[usize::from(role % ROLES)].clone()
}

fn breaking_glass(role: u8) -> Context {
    let mut context = crate::fuzzing::context(role);
    let mut policy = (*context.policy.policy).clone();
    let profile = GlassProfile {
        name: "btg".into(),
        reasons: BTreeSet::from(["BTG".to_owned()]),
        ttl: Duration::from_secs(60),
        max_ttl: Duration::from_secs(600),
        idle_close: Duration::from_secs(60),
        note_min_chars: 1,
        max_patients: 2,
        max_sessions_per_day: 3,
        categories: Default::default(),
        labels: Default::default(),
    };
    policy.profiles.insert("btg".into(), profile);
    policy.membership.default = Some("nurse".into());
    let mut role = (*context.role).clone();
    role.break_glass = Some("btg".into());
    policy.roles.insert("nurse".into(), role.clone());
    context.role = Arc::new(role);
    let mut bound = (*context.policy).clone();
    bound.policy = Arc::new(policy);
    context.policy = Arc::new(bound);
    context
}

impl Rig {
    pub(super) fn new(role: u8) -> Self {
        let context = Context { namespace: Arc::new(Namespace::default()), ..context(role) };
        let (ledger, held) = Held::new(NODE);
        let world = Arc::new(World::new(Parts {
            // Nobody listens there.
            upstream: UpstreamSettings {
                host: "127.0.0.1".into(),
                port: 1,
                tls: crate::wire::tls::UpstreamTls::Disable,
                connect_timeout: Duration::from_secs(1),
            },
            entry: Entry::nobody(),
            service: Upstream {
                host: "127.0.0.1".into(),
                port: 1,
                tls: UpstreamTls::Disable,
                identity: None,
                login: UpstreamLogin::PassThrough,
                connect_timeout: Duration::from_secs(1),
                service_user: "pgglass".into(),
                // No question to a database gets an answer, and none waits for it.
                service_password_file: "/nonexistent/password".into(),
                service_database: "clinic".into(),
                auth_query: String::new(),
                catalog_poll: Duration::from_secs(1),
            },
            node: NODE.into(),
            rules: Rules { policy: Arc::clone(&context.policy), catalog: Arc::clone(&context.catalog) },
            fingerprint: String::new(),
            ledger,
            desk: Desk::default(),
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (client, upstream) = (Pipe::default(), Pipe::default());
        let who = Who {
            principal: "amy".into(),
            role: context.role.name.to_string(),
            database_user: "amy".into(),
            database: "clinic".into(),
            mode: None,
        };
        let restricted = context.role.is_restricted();
        let entered = runtime.enter();
        let session = Session::new(Opening {
            world: Arc::clone(&world),
            client: Peer::new(client.clone(), Limits::gather(CLIENT_LIMIT), BytesMut::new()),
            server: Peer::new(upstream.clone(), Limits::only(SERVER_LIMIT), BytesMut::new()),
            notices: Vec::new(),
            connection: ConnectionId(1),
            identity: Identity { who: Arc::new(who), from: Arc::new(From::default()) },
            target: CancelTarget { pid: 7, secret: Bytes::from_static(b"four") },
            context,
            encoding: "UTF8".into(),
            conforming_strings: true,
            account_of: None,
            place: Default::default(),
        });
        drop(entered);
        Self {
            runtime,
            session: Some(Box::pin(session.drive())),
            asked: Arc::new(Asked::default()),
            world,
            client,
            upstream,
            server: Server::new(),
            ledger: held,
            waiting: Vec::new(),
            restricted,
            durable: BTreeSet::new(),
            last_row: None,
            shown: FrameDecoder::new(Limits::only(1 << 30), BytesMut::new()),
            written: 0,
            questions: 0,
            answers: 0,
            asks: Some(FrameDecoder::new(Limits::only(1 << 30), BytesMut::new())),
            values: 0,
            lied: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.session.is_none()
    }

    /// Says something as the client.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        if self.client.ends().ended {
            return;
        }
        self.server.clients.extend_from_slice(bytes);
        if let Some(asks) = &mut self.asks {
            asks.feed(bytes);
            loop {
                match asks.frame() {
                    Ok(Some(frame)) => self.questions += usize::from(b"QFS".contains(&frame.tag())),
                    Ok(None) => break,
                    Err(_) => {
                        self.asks = None;
                        break;
                    }
                }
            }
        }
        self.client.send(bytes);
    }

    /// Lets the session do what it can, and looks at what it did.
    pub(super) fn run(&mut self) {
        let waker = Waker::from(Arc::clone(&self.asked));
        let entered = self.runtime.enter();
        let mut rounds = 0;
        while let Some(session) = &mut self.session {
            self.asked.0.store(false, Ordering::Relaxed);
            if session.as_mut().poll(&mut Waking::from_waker(&waker)).is_ready() {
                self.session = None;
            } else if !self.asked.0.load(Ordering::Relaxed) {
                break;
            }
            rounds += 1;
            assert!(rounds < 10_000, "the session does not come to rest");
        }
        drop(entered);
        self.look();
    }

    fn look(&mut self) {
        let sent = self.upstream.received();
        let shown = self.client.received();
        self.written += sent.len() + shown.len();
        self.server.take(&sent);
        self.waiting.extend(self.ledger.take());
        self.shown.feed(&shown);
        while let Some(frame) = self.shown.frame().expect("the client gets frames") {
            let tag = ServerTag::of(frame.tag());
            assert!(tag.is_some(), "a client does not know {:#04x}", frame.tag());
            self.answers += usize::from(tag == Some(ServerTag::ReadyForQuery));
            self.seen(frame.body(), tag == Some(ServerTag::RowDescription));
        }
        assert!(self.answers <= self.questions, "{} answers to {} questions", self.answers, self.questions);
    }

    /// What a client may never see.
    fn seen(&mut self, body: &[u8], description: bool) {
        let find = |what: &str| body.windows(what.len()).position(|w| w == what.as_bytes());
        assert!(!description || find(RESERVED_PREFIX).is_none(), "a column of ours is described");
        if self.lied {
            return;
        }
        let text = || String::from_utf8_lossy(body);
        assert!(find(WITNESS).is_none(), "a witness: {}", text());
        assert!(find(HIDDEN).is_none(), "a row that is not the client's: {}", text());
        assert!(!self.restricted || find(LEAK).is_none(), "a value in an error: {}", text());
        for n in numbers(body, ROW) {
            self.values += 1;
            assert!(self.durable.contains(&n), "row {n} before its record: {}", text());
            assert!(
                self.last_row.is_none_or(|last| n <= last),
                "row {n} after its authority ended: {}",
                text()
            );
        }
    }

    /// Records become durable, the first or all of them, or never do.
    pub(super) fn settle(&mut self, all: bool, durable: bool) {
        self.waiting.extend(self.ledger.take());
        let count = if all { self.waiting.len() } else { self.waiting.len().min(1) };
        for record in self.waiting.drain(..count) {
            if durable {
                self.durable.extend(record.leaves().iter().flat_map(|leaf| numbers(leaf, WITNESS)));
            }
            record.settle(durable);
        }
    }

    pub(super) fn ledger_fails(&mut self, fails: bool) {
        self.ledger.fail(fails.then_some(crate::ledger::Cause::Overloaded { bytes: 1 }));
    }

    /// The policy loses the user's role.
    pub(super) fn revoke(&mut self) {
        let rules = self.world.rules().clone();
        let mut policy = (*rules.policy.policy).clone();
        policy.roles.clear();
        policy.version = "without".into();
        self.world.set_policy(Arc::new(policy)).expect("the same relations");
        self.last_row.get_or_insert(self.server.rows);
    }

    /// Both peers go away: now it has to end. How many values of guarded rows the client got.
    pub(super) fn end(mut self) -> usize {
        for end in [false, true] {
            for pipe in [&self.client, &self.upstream] {
                let mut ends = pipe.ends();
                ends.ended |= end;
                ends.stalled = false;
            }
            if !end {
                self.run();
                self.settle(true, true);
                self.run();
            }
        }
        let begun = Instant::now();
        while !self.is_over() {
            self.settle(true, true);
            self.run();
            assert!(begun.elapsed() < SOON, "the session does not end");
            if !self.is_over() {
                self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
            }
        }
        self.runtime.shutdown_background();
        self.values
    }
}

/// The numbers behind a mark, each ended by a full stop.
fn numbers(bytes: &[u8], mark: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for (at, _) in bytes.windows(mark.len()).enumerate().filter(|(_, w)| *w == mark.as_bytes()) {
        let rest = bytes.get(at + mark.len()..).unwrap_or_default();
        let digits: String = rest.iter().map(|b| char::from(*b)).take_while(char::is_ascii_digit).collect();
        if rest.get(digits.len()) == Some(&b'.') {
            found.extend(digits.parse::<u64>());
        }
    }
    found
}
