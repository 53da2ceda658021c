//! One client's session: pairs messages with replies, decides every statement, holds rows back until
//! their record is durable, and keeps the client's view of its statements and portals.
//!
//! One task drives both ends of the connection ([`Session::drive`]). Client messages are handled
//! strictly in order (`client`), server messages are matched with the queue of what was sent
//! (`server`, [`run::ops::Ops`]). Not here: what a statement may do (`sql`, `policy`), how a record is
//! stored (`ledger`), how a break-glass session lives (`glass`).

mod alerts;
mod authority;
mod client;
mod copy;
mod decisions;
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
pub(crate) mod fuzzing;
pub mod idle;
pub mod login;
mod names;
mod peer;
mod run;
mod server;
pub mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use self::names::objects::Objects;
use self::names::own_names::OwnNames;
use self::names::statements::Statements;
use self::run::Identity;
use self::run::ops::{Op, Ops};
use self::run::runs::Runs;
use self::server::Later;
use self::server::layout::Layout;
use self::server::outbox::{Outbox, RunId};
use crate::catalog::Namespace;
use crate::glass::{ConnectionId, Grants, NoticesSeen};
use crate::ledger::Priority;
use crate::ledger::record::EventId;
use crate::policy::{Place, Refusal, Role};
use crate::sql::GuardedPlan;
use crate::sql::cache::Plans;
use crate::sql::planner::Context;
use crate::wire::frame::{Frame, Header, Piece};
use crate::wire::message::{self, Report, Status};
use alerts::Alerts;
use idle::{Idle, IdleKind, IdleLimits, Quiet};
use peer::{Out, Peer, Stream};
use world::{Phase, World};

/// How long a client that sends nothing more is kept while neither an answer comes nor a byte can be written: it may
/// have ended only its sending side, and may be gone.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// How long whom the user can see is asked for at a session's end.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Bytes held for the client (rows that wait for a record, output it does not read) above which no
/// more is read from the server.
const HELD_LIMIT: usize = 4 * 1024 * 1024;

/// Bytes waiting for the server above which no more is read from the client.
const SENT_LIMIT: usize = 1024 * 1024;

/// What a step returns that waits for the server or for a lookup, and is seldom taken. Boxed, so that the steps
/// it stands in stay small: their futures are moved for every message.
type Slow<'a, T = ()> = std::pin::Pin<Box<dyn Future<Output = Result<T, Ended>> + Send + 'a>>;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The client said goodbye or closed.
    #[error("the client closed the connection")]
    Client,
    /// The server closed.
    #[error("the server closed the connection")]
    Server,
    /// The proxy shuts down.
    #[error("the proxy shuts down")]
    Shutdown,
    /// The client was idle for too long.
    #[error("the client was idle for too long")]
    Idle(IdleKind),
    /// The user's role, and so the account upstream, is another one now.
    #[error("the role of the user changed")]
    RoleChanged,
    /// The server's socket failed: what it said last may be lost with it.
    #[error("connection to the server lost: {0}")]
    ServerLost(std::io::Error),
    /// The client's socket failed.
    #[error("connection lost: {0}")]
    Io(#[from] std::io::Error),
    /// Either side broke the protocol, or a state that must not be; the connection is closed.
    #[error("{0}")]
    Protocol(String),
    /// The ledger failed where only closing the connection undoes what was done.
    #[error("ledger: {0}")]
    Ledger(String),
}

impl From<message::MessageError> for Ended {
    fn from(e: message::MessageError) -> Self {
        Ended::Protocol(e.to_string())
    }
}

impl From<server::layout::Malformed> for Ended {
    fn from(e: server::layout::Malformed) -> Self {
        Ended::Protocol(e.to_string())
    }
}

impl From<crate::wire::frame::FrameError> for Ended {
    fn from(e: crate::wire::frame::FrameError) -> Self {
        Ended::Protocol(e.to_string())
    }
}

/// A session between a client stream `C` and a server stream `S`.
pub struct Session<C, S> {
    world: Arc<World>,
    client: Peer<C>,
    server: Peer<S>,
    to_server: Out,
    outbox: Outbox,
    ops: Ops,
    runs: Runs,
    next_run: RunId,
    statements: Statements,
    /// Cursors and prepared statements of SQL.
    objects: Objects,
    /// The layout that was described last.
    described_layout: Option<Arc<Layout>>,
    /// The types of the client's parameters that were described last.
    described_types: Vec<u32>,
    connection: ConnectionId,
    principal: String,
    role: Arc<Role>,
    identity: Identity,
    target: world::CancelTarget,
    /// Transaction status as of the last ReadyForQuery.
    status: Status,
    /// What unqualified names mean; `None` when it may have changed and must be asked.
    namespace: Option<Arc<Namespace>>,
    /// The role was unrestricted, or only watched, and is restricted now: `left_behind` is to be found out.
    limited_now: bool,
    /// Temporary relations that were made before that.
    left_behind: Vec<String>,
    /// Something changed the namespace inside the present transaction: its end changes it again.
    namespace_touched: bool,
    /// This session ran DDL since it last saw to it that the snapshot of the catalog is that of now.
    catalog_moved: bool,
    /// Rows of a probe being collected.
    probe: Vec<Vec<Option<String>>>,
    /// Everything decisions depend on; renumbered whenever it changes.
    context: Context,
    context_id: u64,
    plans: Arc<Plans>,
    grants: Arc<Grants>,
    /// Something was executed since the last Sync: the server is inside an implicit transaction.
    in_pipeline: bool,
    /// The client's messages are ignored up to its next Sync, as the server ignores them.
    skipping: bool,
    /// Replies are swallowed up to the next ReadyForQuery: the client was already told of an error.
    muted: bool,
    /// The client's statement names were changed before a Sync that is not answered yet.
    names_unsettled: bool,
    /// Executions since the last Sync, and whether one of them may be refused after it ran.
    exchange_runs: u32,
    exchange_blocks: bool,
    /// A transaction was begun or ended by a statement whose reply may be to come.
    transaction_moves: bool,
    /// A lookup that may be refused late is on its way in a transaction: what is behind it waits.
    lookup_in_transaction: bool,
    /// The server said why it closes.
    server_said_goodbye: bool,
    /// What the end of the present transaction can fail over: what was written in it.
    written: Option<Box<GuardedPlan>>,
    /// The transaction of the last ReadyForQuery ended since.
    block_over: bool,
    /// A write that was run, whose transaction ends with the answer that comes next.
    held: Option<run::ending::Held>,
    /// A statement was refused after the server had run it: if it ran in a transaction, that must fail.
    abort_due: bool,
    /// A COPY FROM STDIN was sent: whether the server takes data is known once it answered, and until
    /// then no message behind it can be understood.
    copy_due: bool,
    /// A simple query that waits for the end of a COPY from the client in it.
    rest: Option<client::simple::Rest>,
    /// The client sends COPY data.
    copying_in: bool,
    /// Why the client will not be heard any more, once what it sent before is answered.
    hung_up: Option<Ended>,
    /// A message over the limit, whose body is thrown away as it comes.
    oversized: Option<Header>,
    /// `client_encoding` and `standard_conforming_strings` as the server reported them.
    encoding: String,
    conforming_strings: bool,
    /// Statements of our own making prepared upstream: text of the guarded plan to name.
    own_names: OwnNames,
    /// What this connection was told of its break-glass sessions.
    notices_seen: NoticesSeen,
    alerts: Alerts,
    /// The client was told that rows are withheld.
    told_withheld: bool,
    idle: Idle,
    /// The role whose account the session is logged in to the server as; `None` when it is the user's own.
    account_of: Option<Arc<str>>,
    /// Where the client is.
    place: Place,
    /// The principal's role depends on the time: it is looked at before every statement.
    has_hours: bool,
    /// Why nothing is run now: the terms of the role are not met.
    unmet: Option<Refusal>,
    finishing: bool,
}

/// What woke the driver.
#[derive(Debug)]
enum Event {
    Progress,
    ClientGone(std::io::Error),
    ServerGone(Option<std::io::Error>),
    GateFailed(server::outbox::GateFailure),
    Changed,
    Shutdown(Phase),
    Idle(IdleKind),
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// Runs the session to its end and says why it ended. The client was told where it can be.
    pub async fn drive(mut self) -> Ended {
        let ended = match self.serve().await {
            Ok(never) => match never {},
            Err(ended) => ended,
        };
        self.farewell(&ended).await;
        ended
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Ended> {
        self.refresh_namespace().await?;
        loop {
            self.take_server_frames().await?;
            if self.account_of.as_ref().is_some_and(|role| *role != self.role.name) {
                return Err(Ended::RoleChanged);
            }
            self.take_client_frames().await?;
            self.take_server_frames().await?;
            if self.rest.is_some() {
                self.resume_query().await?;
            }
            if self.finishing && self.ops.is_empty() && self.status == Status::Idle && self.outbox.is_empty()
            {
                return Err(Ended::Shutdown);
            }
            if self.client.closed || self.hung_up.is_some() {
                self.wind_up().await?;
                continue;
            }
            let event = self.next_event(true).await;
            self.on_event(event)?;
        }
    }

    /// One step towards the end of a client that sends nothing more.
    fn wind_up(&mut self) -> Slow<'_> {
        Box::pin(async {
            if self.answers_due()
                && let Ok(event) = tokio::time::timeout(LAST_ANSWERS, self.next_event(true)).await
            {
                return self.on_event(event);
            }
            Err(self.hung_up.take().unwrap_or(Ended::Client))
        })
    }

    /// True while a client that sends nothing more has answers to come: what it sent up to its last Sync, as far as
    /// that needs nothing more of it.
    fn answers_due(&self) -> bool {
        let under_way = self.ops.has_sync() && !self.copying_in && !self.copy_due;
        under_way || !self.to_server.0.is_empty() || !self.outbox.is_empty() || self.client.flush_due()
    }

    /// Handles every whole frame the client sent.
    async fn take_client_frames(&mut self) -> Result<(), Ended> {
        while self.may_take_client() {
            if self.relay_copy_data()? {
                continue;
            }
            match self.client.decoder.piece() {
                Ok(Some(Piece::Whole(frame))) => self.on_client(frame).await?,
                Ok(Some(Piece::Start { header, .. })) => self.oversized = Some(header),
                Ok(Some(Piece::Chunk { last, .. })) if last => Box::pin(self.refuse_oversized()).await?,
                Ok(Some(Piece::Chunk { .. })) => {}
                Ok(None) => break,
                // What came before it is answered.
                Err(e) => self.hung_up = Some(e.into()),
            }
        }
        Ok(())
    }

    /// Handles every whole frame the server sent.
    async fn take_server_frames(&mut self) -> Result<(), Ended> {
        while let Some(later) = self.take_server_frames_now()? {
            Box::pin(self.finish_later(later)).await?;
            self.emit_local();
        }
        Ok(())
    }

    /// The same as far as nothing has to be waited for: few messages need that, and none of the many.
    fn take_server_frames_now(&mut self) -> Result<Option<Later>, Ended> {
        while self.may_take_server() {
            if self.relay_rows()? {
                continue;
            }
            if self.server.decoder.inside_frame() {
                break;
            }
            let Some(frame) = self.server.decoder.frame()? else { break };
            if let Some(later) = self.on_server(frame)? {
                return Ok(Some(later));
            }
        }
        Ok(None)
    }

    fn may_take_client(&self) -> bool {
        self.hung_up.is_none() && self.to_server.0.len() < SENT_LIMIT && self.outbox.held_bytes() < HELD_LIMIT
    }

    fn may_take_server(&self) -> bool {
        self.outbox.held_bytes() + self.outbox.ready().len() < HELD_LIMIT
    }

    /// Waits until something can go on: bytes moved in either direction, a record became durable, the
    /// authority changed, or the proxy shuts down.
    async fn next_event(&mut self, with_client: bool) -> Event {
        let read_client = with_client && self.may_take_client() && !self.client.closed;
        let read_server = self.may_take_server() && !self.server.closed;
        let limits = self.world.entry().idle;
        let deadline = if with_client { self.idle_deadline(limits) } else { None };
        // What was written can let more be read, end a shutdown, or begin a time of idleness: then there is
        // more to do than to wait.
        let written_matters = !read_client || !read_server || self.finishing || limits.any();
        let Self { client, server, to_server, outbox, alerts, .. } = self;
        std::future::poll_fn(|cx| {
            if let Some(event) = alerts.look() {
                return Poll::Ready(event);
            }
            let (mut progress, mut written) = (false, false);
            match outbox.settle(cx) {
                Poll::Ready(Ok(())) => progress = true,
                Poll::Ready(Err(failure)) => return Poll::Ready(Event::GateFailed(failure)),
                Poll::Pending => {}
            }
            if !outbox.ready().is_empty() || client.flush_due() {
                match client.poll_write(cx, outbox.ready()) {
                    Poll::Ready(Ok(n)) => {
                        outbox.advance(n);
                        written |= n > 0;
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Event::ClientGone(e)),
                    Poll::Pending => {}
                }
            }
            if !to_server.0.is_empty() || server.flush_due() {
                match server.poll_write(cx, &to_server.0) {
                    Poll::Ready(Ok(n)) => {
                        to_server.advance(n);
                        written |= n > 0;
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Event::ServerGone(Some(e))),
                    Poll::Pending => {}
                }
            }
            if read_server {
                match server.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Event::ServerGone(None)),
                    Poll::Ready(Ok(_)) => progress = true,
                    Poll::Ready(Err(e)) => return Poll::Ready(Event::ServerGone(Some(e))),
                    Poll::Pending => {}
                }
            }
            if read_client {
                match client.poll_fill(cx) {
                    // What it sent before is answered: `serve` sees the end.
                    Poll::Ready(Ok(0)) => progress = true,
                    Poll::Ready(Ok(_)) => progress = true,
                    Poll::Ready(Err(e)) => return Poll::Ready(Event::ClientGone(e)),
                    Poll::Pending => {}
                }
            }
            if progress || (written && written_matters) {
                return Poll::Ready(Event::Progress);
            }
            if let Poll::Ready(event) = alerts.poll(cx) {
                return Poll::Ready(event);
            }
            alerts.poll_deadline(cx, deadline).map(Event::Idle)
        })
        .await
    }

    fn on_event(&mut self, event: Event) -> Result<(), Ended> {
        match event {
            Event::Progress => Ok(()),
            Event::ClientGone(e) => Err(Ended::Io(e)),
            Event::ServerGone(Some(e)) => Err(Ended::ServerLost(e)),
            Event::ServerGone(None) => Err(Ended::Server),
            Event::GateFailed(failure) => self.on_gate_failed(&failure),
            Event::Changed => {
                self.on_authority_changed();
                Ok(())
            }
            Event::Shutdown(Phase::Serving) => Ok(()),
            Event::Shutdown(Phase::Draining) => {
                self.finishing = true;
                Ok(())
            }
            Event::Shutdown(Phase::Cutting) => Err(Ended::Shutdown),
            Event::Idle(kind) => Err(Ended::Idle(kind)),
        }
    }

    /// When the session has been idle for too long, if it is idle now.
    fn idle_deadline(&mut self, limits: IdleLimits) -> Option<(std::time::Instant, IdleKind)> {
        if !limits.any() {
            return None;
        }
        let answered = self.ops.is_empty() && !self.in_pipeline && !self.copying_in && !self.copy_due;
        let quiet = Quiet {
            waits_for_client: answered && self.client.decoder.buffered().is_empty(),
            drained: self.outbox.is_empty() && !self.client.flush_due(),
            status: self.status,
        };
        self.idle.deadline(quiet, limits, std::time::Instant::now())
    }

    /// Waits until every reply to what was sent has come. Inside a pipeline the server is asked to
    /// flush; client messages are not taken meanwhile.
    fn quiesce(&mut self) -> Slow<'_> {
        Box::pin(async {
            if self.ops.open_pipeline() && !self.ops.is_empty() {
                self.to_server.push(b"H\0\0\0\x04");
            }
            loop {
                self.take_server_frames().await?;
                self.emit_local();
                if self.ops.is_empty() {
                    return Ok(());
                }
                let event = self.next_event(false).await;
                self.on_event(event)?;
            }
        })
    }

    /// Waits until the server takes COPY data or refused to.
    fn await_copy(&mut self) -> Slow<'_> {
        self.copy_due = false;
        Box::pin(async {
            if self.ops.open_pipeline() {
                self.to_server.push(b"H\0\0\0\x04");
            }
            loop {
                self.take_server_frames().await?;
                self.emit_local();
                if self.copying_in || self.ops.is_empty() {
                    return Ok(());
                }
                let event = self.next_event(false).await;
                self.on_event(event)?;
            }
        })
    }

    /// Sends answers of ours that reached the head of the queue.
    fn emit_local(&mut self) {
        while let Some(Op::Local { bytes }) = self.ops.head() {
            if !self.muted {
                self.outbox.push(bytes);
            }
            self.ops.pop();
        }
    }

    /// Queues an answer of ours in the client's order.
    fn answer(&mut self, bytes: Bytes) {
        self.ops.push(Op::Local { bytes });
        self.emit_local();
    }

    /// A new event id.
    fn event_id(&self) -> EventId {
        self.world.event_id()
    }

    /// Tells the client why the session ends, as far as it can still be told, and records it.
    async fn farewell(&mut self, ended: &Ended) {
        let report = match ended {
            Ended::Client | Ended::Io(_) => None,
            Ended::Server | Ended::ServerLost(_) if self.server_said_goodbye => None,
            Ended::Server | Ended::ServerLost(_) => {
                Some(Report::fatal("08006", "the database server closed the connection"))
            }
            Ended::Shutdown => {
                Some(Report::fatal("57P01", "terminating connection due to administrator command"))
            }
            Ended::Idle(kind) => Some(kind.report()),
            Ended::RoleChanged => {
                Some(Report::fatal("57P01", "terminating connection due to a change of the user's role"))
            }
            Ended::Protocol(why) => Some(Report::fatal("08P01", format!("protocol violation: {why}"))),
            Ended::Ledger(why) => Some(
                Report::fatal("58030", format!("GLS-230 the audit ledger is unavailable: {why}"))
                    .constraint("GLS-230"),
            ),
        };
        // What runs at the server would go on, with nobody to take its reply.
        let cut = matches!(ended, Ended::Shutdown | Ended::RoleChanged) && !self.runs.is_empty();
        self.end_open_runs().await;
        if !matches!(ended, Ended::Client) {
            tracing::info!(connection = self.connection.0, user = %self.principal, reason = %ended, "session ended");
        }
        // What is ready may go; what still waits for a record stays back.
        let mut last = BytesMut::from(self.outbox.ready());
        if let Some(report) = report
            && (self.outbox.held_bytes() == 0
                || matches!(ended, Ended::Shutdown | Ended::Idle(_) | Ended::RoleChanged))
            // Behind half a row it could not be understood.
            && !(self.outbox.held_bytes() == 0 && self.outbox.inside_frame())
        {
            last.extend_from_slice(&report.error_response());
        }
        let goodbye = async {
            let client = &mut self.client;
            let mut rest = &last[..];
            while !rest.is_empty() || client.flush_due() {
                match std::future::poll_fn(|cx| client.poll_write(cx, rest)).await {
                    Ok(n) => rest = &rest[n..],
                    Err(_) => return,
                }
            }
            client.shutdown().await;
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
        if cut {
            let (settings, target) = (self.world.upstream(), &self.target);
            let cancel = crate::wire::upstream::cancel(&settings, target.pid, &target.secret);
            let _ = tokio::time::timeout(Duration::from_secs(1), cancel).await;
        }
        let server = &mut self.server;
        let bye = message::terminate();
        let _ = tokio::time::timeout(Duration::from_secs(1), async {
            let _ = std::future::poll_fn(|cx| server.poll_write(cx, &bye)).await;
            server.shutdown().await;
        })
        .await;
    }

    /// Records every run that was still under way.
    async fn end_open_runs(&mut self) {
        let until = tokio::time::Instant::now() + LAST_LOOK;
        let runs: Vec<_> = self.runs.take_all().collect();
        for mut run in runs {
            run.cut_off();
            // Where it cannot be asked any more, it may be anyone.
            let _ = tokio::time::timeout_at(until, self.look_up_reach(&mut run)).await;
            let bodies = run.final_records(&self.identity, crate::ledger::record::Outcome::ReleaseUnknown);
            for body in bodies {
                self.world.note(body, Priority::Ordinary);
            }
        }
    }

    /// A frame for the server, as the client sent it.
    fn forward(&mut self, frame: Frame) {
        self.to_server.push(&frame.into_raw());
    }
}

/// Patients a set of grants opens that another does not.
fn lost(before: &Grants, now: &Grants) -> bool {
    let left: BTreeSet<&String> = now.patients.iter().chain(&now.opened).collect();
    before.patients.iter().chain(&before.opened).any(|p| !left.contains(p))
}
