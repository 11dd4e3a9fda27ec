//! The door between whoever reads input, in a thread of its own that may wait for it for ever, and whoever ends the run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use kafka_cli::Session;
use tokio::sync::oneshot;

/// Open until the run ends. What comes through before counts, what comes after is not taken.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closing: AtomicBool,
    is_closed: Mutex<bool>,
}

impl Gate {
    /// The right to hand records over for as long as the result is held; `None` when it is too late.
    pub(crate) fn enter(&self) -> Option<MutexGuard<'_, bool>> {
        let guard = self.is_closed.lock().unwrap_or_else(PoisonError::into_inner);
        (!*guard).then_some(guard)
    }

    /// Whether whoever is inside shall leave.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Waits until nobody is inside, and lets nobody in any more.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        *self.is_closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

/// Runs `work`, which hands records over through the gate, in a thread of its own. Returns when it is done, or when the
/// user asked to stop; then with `None`, and the thread is left to whatever it waits for.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn run_until_stopped<T: Send + 'static>(
    session: &Session,
    gate: &Arc<Gate>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>> {
    let (send, done) = oneshot::channel();
    let thread = std::thread::Builder::new().name("input".into());
    thread.spawn(move || drop(send.send(work()))).context("starting a thread")?;
    let ended = session.runtime.block_on(async {
        tokio::select! {
            ended = done => Some(ended),
            () = session.stop.requested() => None,
        }
    });
    gate.close();
    ended.map(|ended| ended.context("the thread that reads input ended early")).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_in_once_it_is_closed_and_whoever_is_inside_is_waited_for() {
        let gate = Arc::new(Gate::default());
        let inside = gate.enter();
        let closing = Arc::clone(&gate);
        let closer = std::thread::spawn(move || closing.close());
        while !gate.is_closing() {
            std::thread::yield_now();
        }
        assert!(!closer.is_finished());
        drop(inside);
        closer.join().unwrap();
        assert!(gate.enter().is_none());
    }
}
