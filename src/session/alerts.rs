//! What reaches a session from outside its two connections: the rules changed, the proxy shuts down,
//! it has been idle for too long.
//! The futures live as long as the session, so that a round of the driver costs two looks and no new
//! registration.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::{Sleep, sleep_until};

use super::Event;
use super::world::Phase;

/// Resolves once the value changed.
type Watching = Pin<Box<dyn Future<Output = ()> + Send>>;

fn watching<T: Send + Sync + 'static>(mut receiver: watch::Receiver<T>) -> Watching {
    Box::pin(async move {
        if receiver.changed().await.is_err() {
            // The sender lives as long as the world; without it nothing can change any more.
            std::future::pending::<()>().await;
        }
    })
}

/// The alerts of a session.
pub(super) struct Alerts {
    rules: watch::Receiver<u64>,
    phase: watch::Receiver<Phase>,
    changed: Watching,
    shutdown: Watching,
    /// Wakes at the deadline of a session that is idle, or before: see [`Alerts::poll_deadline`].
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Alerts {
    /// Watches both from now on.
    pub(super) fn new(changed: watch::Receiver<u64>, shutdown: watch::Receiver<Phase>) -> Self {
        Self {
            rules: changed.clone(),
            phase: shutdown.clone(),
            changed: watching(changed),
            shutdown: watching(shutdown),
            alarm: None,
        }
    }

    /// What happened since the last look, if anything. Cheap, and wakes nobody when something happens.
    pub(super) fn look(&mut self) -> Option<Event> {
        // An error: the sender is gone, and nothing can change any more.
        if self.rules.has_changed().unwrap_or(false) {
            self.rules.mark_unchanged();
            return Some(Event::Changed);
        }
        if self.phase.has_changed().unwrap_or(false) {
            let phase = *self.phase.borrow_and_update();
            return Some(Event::Shutdown(phase));
        }
        None
    }

    /// The same for a task that is about to wait, and is to be woken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let woken = self.changed.as_mut().poll(cx).is_ready();
            let ended = self.shutdown.as_mut().poll(cx).is_ready();
            let event = self.look();
            // A future that resolved is not polled again. What was not seen yet resolves its successor.
            if woken {
                self.changed = watching(self.rules.clone());
            }
            if ended {
                self.shutdown = watching(self.phase.clone());
            }
            if let Some(event) = event {
                return Poll::Ready(event);
            }
            if !woken && !ended {
                return Poll::Pending;
            }
        }
    }

    /// Ready once the deadline has come. Every statement moves it, so the alarm is left as it is while
    /// it rings early enough, and set again when it rang too early.
    pub(super) fn poll_deadline<T>(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<(Instant, T)>,
    ) -> Poll<T> {
        let Some((at, what)) = deadline else { return Poll::Pending };
        let at = at.into();
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        loop {
            if at < alarm.deadline() {
                alarm.as_mut().reset(at);
            }
            match alarm.as_mut().poll(cx) {
                Poll::Ready(()) if alarm.deadline() < at => alarm.as_mut().reset(at),
                Poll::Ready(()) => return Poll::Ready(what),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {

    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_alarm_rings_at_the_deadline_wherever_it_moved() {
        let (changed, shutdown) = (watch::Sender::new(0), watch::Sender::new(Phase::Serving));
        let mut alerts = Alerts::new(changed.subscribe(), shutdown.subscribe());
        // Later and earlier than the one before.
        for millis in [10, 30, 5, 5, 12] {
            let at = Instant::now() + Duration::from_millis(millis);
            // Somebody looks at it before.
            let other = at + Duration::from_millis(millis);
            std::future::poll_fn(|cx| {
                assert!(alerts.poll_deadline(cx, Some((other, ()))).is_pending());
                Poll::Ready(())
            })
            .await;
            std::future::poll_fn(|cx| alerts.poll_deadline(cx, Some((at, ())))).await;
            assert!(Instant::now() >= at);
        }
        let quiet = std::future::poll_fn(|cx| Poll::Ready(alerts.poll(cx).is_pending())).await;
        assert!(quiet);
        shutdown.send_replace(Phase::Draining);
        changed.send_modify(|n| *n += 1);
        let mut next = async || std::future::poll_fn(|cx| alerts.poll(cx)).await;
        assert!(matches!(next().await, Event::Changed));
        assert!(matches!(next().await, Event::Shutdown(Phase::Draining)));
    }
}
