//! When a session has been idle for too long, by the limits of the configuration. Sans-IO: what is quiet and what
//! time it is come in as values.
//! Source: `PostgresMain` and `ProcessInterrupts` in `src/backend/tcop/postgres.c`.

use std::time::{Duration, Instant};

use crate::wire::message::{Report, Status};

/// How long a session may be idle; `None` is for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdleLimits {
    /// Outside a transaction.
    pub session: Option<Duration>,
    /// Inside a transaction, failed or not.
    pub in_transaction: Option<Duration>,
}

impl IdleLimits {
    /// True when there is one.
    pub(super) fn any(self) -> bool {
        self.session.is_some() || self.in_transaction.is_some()
    }
}

/// Which limit a session ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleKind {
    /// Outside a transaction.
    Session,
    /// Inside a transaction.
    InTransaction,
}

impl IdleKind {
    /// What the client is told: PostgreSQL's words and SQLSTATE.
    pub fn report(self) -> Report {
        match self {
            IdleKind::Session => Report::fatal("57P05", "terminating connection due to idle-session timeout"),
            IdleKind::InTransaction => {
                Report::fatal("25P03", "terminating connection due to idle-in-transaction timeout")
            }
        }
    }
}

/// Since when a session has been idle. Idle time begins when the last reply has left, and ends with the client's
/// next byte.
#[derive(Debug, Default)]
pub(super) struct Idle {
    since: Option<Instant>,
}

/// What a session looks like from outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quiet {
    /// Nothing was asked that is not answered, and no message has come in part.
    pub(super) waits_for_client: bool,
    /// Everything for the client has left: a reply that a slow client has not taken is no idleness.
    pub(super) drained: bool,
    /// The transaction status.
    pub(super) status: Status,
}

impl Idle {
    /// When the session is to end, and why, if nothing comes before.
    pub(super) fn deadline(
        &mut self,
        quiet: Quiet,
        limits: IdleLimits,
        now: Instant,
    ) -> Option<(Instant, IdleKind)> {
        if !quiet.waits_for_client {
            self.since = None;
            return None;
        }
        if self.since.is_none() && quiet.drained {
            self.since = Some(now);
        }
        let (limit, kind) = match quiet.status {
            Status::Idle => (limits.session, IdleKind::Session),
            Status::InTransaction | Status::Failed => (limits.in_transaction, IdleKind::InTransaction),
        };
        Some((self.since?.checked_add(limit?)?, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn quiet(status: Status) -> Quiet {
        Quiet { waits_for_client: true, drained: true, status }
    }

    #[test]
    fn the_time_runs_from_the_last_reply_to_the_next_byte() {
        let limits = IdleLimits { session: Some(10 * SECOND), in_transaction: Some(3 * SECOND) };
        let start = Instant::now();
        let at = |seconds: u32| start + seconds * SECOND;
        let mut idle = Idle::default();
        let end = |idle: &mut Idle, q, seconds| idle.deadline(q, limits, at(seconds));
        assert_eq!(end(&mut idle, quiet(Status::Idle), 0), Some((at(10), IdleKind::Session)));
        // A notification for the client in between changes nothing.
        let not_drained = Quiet { drained: false, ..quiet(Status::Idle) };
        assert_eq!(end(&mut idle, not_drained, 4), Some((at(10), IdleKind::Session)));
        // A statement does.
        let busy = Quiet { waits_for_client: false, ..quiet(Status::Idle) };
        assert_eq!(end(&mut idle, busy, 5), None);
        // A client that does not take its reply is not idle.
        assert_eq!(end(&mut idle, Quiet { drained: false, ..quiet(Status::Failed) }, 6), None);
        for status in [Status::InTransaction, Status::Failed] {
            assert_eq!(end(&mut idle, quiet(status), 7), Some((at(10), IdleKind::InTransaction)));
        }
    }

    #[test]
    fn without_a_limit_there_is_no_end() {
        let mut idle = Idle::default();
        let one = IdleLimits { session: None, in_transaction: Some(SECOND) };
        assert_eq!(idle.deadline(quiet(Status::Idle), one, Instant::now()), None);
        assert!(idle.deadline(quiet(Status::Failed), one, Instant::now()).is_some());
        assert_eq!(idle.deadline(quiet(Status::Failed), IdleLimits::default(), Instant::now()), None);
    }
}
