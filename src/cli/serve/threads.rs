//! The threads sessions run on. Each has an event loop of its own, and a session stays on the one it began on:
//! both of its sockets wake the thread that serves them, and no other. Not here: what a session does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};

use crate::sql::parse::ROOM;

/// The threads.
pub(super) struct SessionThreads {
    threads: Vec<SessionThread>,
}

struct SessionThread {
    handle: Handle,
    sessions: Arc<AtomicUsize>,
}

impl SessionThreads {
    /// Starts one thread for each processor. `stack`: bytes of stack of the threads beside it that long statements are
    /// decided on; its own has room for the deepest, so that no text needs another.
    ///
    /// # Errors
    /// What the operating system has against a thread or an event loop.
    pub(super) fn start(stack: usize) -> std::io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            // Blocking threads of the loop decide long statements: they need the stack as well.
            let runtime = Builder::new_current_thread().enable_all().thread_stack_size(stack).build()?;
            let handle = runtime.handle().clone();
            std::thread::Builder::new()
                .name(format!("session-{number}"))
                .stack_size(ROOM)
                // Until the process ends: the last sessions are cut by then.
                .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
            threads.push(SessionThread { handle, sessions: Arc::default() });
        }
        Ok(Self { threads })
    }

    /// Runs a session on the thread that has the fewest.
    pub(super) fn spawn(&self, session: impl Future<Output = ()> + Send + 'static) {
        /// Counts down however the session ends.
        struct Leave(Arc<AtomicUsize>);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let Some(thread) = self.threads.iter().min_by_key(|t| t.sessions.load(Ordering::Relaxed)) else {
            return;
        };
        thread.sessions.fetch_add(1, Ordering::Relaxed);
        let leave = Leave(Arc::clone(&thread.sessions));
        thread.handle.spawn(async move {
            let _leave = leave;
            session.await;
        });
    }
}
