//! The thread on which the network lives, and the signals that end a run.
//!
//! The main thread does the blocking work (reading stdin, writing stdout), so heartbeats and retries never depend on a
//! terminal.

use std::future::Future;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

/// A tokio runtime on a thread of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread or no event queue.
    pub fn start() -> Result<Self> {
        let (end, ended) = oneshot::channel();
        let (send_handle, handle) = mpsc::channel();
        let network = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _ = send_handle.send(Ok(runtime.handle().clone()));
                // Either way the owner is gone.
                let _ = runtime.block_on(ended);
                // Not waiting for a name lookup that hangs.
                runtime.shutdown_background();
            }
            Err(error) => drop(send_handle.send(Err(error))),
        };
        let thread =
            std::thread::Builder::new().name("kafka".into()).spawn(network).context("starting a thread")?;
        let handle =
            handle.recv().context("starting the network thread")?.context("starting the network thread")?;
        Ok(Self { handle, end: Some(end), thread: Some(thread) })
    }

    /// For spawning tasks and for creating what must be created within a runtime (`let _in = handle.enter()`).
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `future` to its end while this thread waits. The network goes on in its own thread.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle.block_on(future)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

/// Whether the user asked to stop: Ctrl-C, SIGTERM or a closed terminal. Clones see the same.
///
/// The first signal asks for a clean end. The second one ends the process at once, with 128 plus the signal's number as
/// shells have it.
#[derive(Debug, Clone)]
pub struct Stop {
    requested: watch::Receiver<bool>,
    request: watch::Sender<bool>,
}

impl Stop {
    /// Nothing is asked for yet, and no signal is listened to: for tests and embedding.
    #[must_use]
    pub fn new() -> Self {
        let (request, requested) = watch::channel(false);
        Self { requested, request }
    }

    /// Listens to the signals from now on.
    ///
    /// # Errors
    /// The system refuses a signal handler.
    pub fn on_signals(runtime: &Runtime) -> Result<Self> {
        let stop = Self::new();
        let _inside = runtime.handle().enter();
        listen(&stop.request).context("installing the signal handlers")?;
        Ok(stop)
    }

    /// Asks for a clean end, as the first signal does.
    pub fn request(&self) {
        self.request.send_replace(true);
    }

    /// Whether a clean end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until a clean end is asked for.
    pub async fn requested(&self) {
        let mut requested = self.requested.clone();
        // The sender lives as long as this does.
        let _ = requested.wait_for(|requested| *requested).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

fn note_signal(request: &watch::Sender<bool>, number: i32) {
    if request.send_replace(true) {
        std::process::exit(128 + number);
    }
}

#[cfg(unix)]
fn listen(request: &watch::Sender<bool>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signals, request) = (signal(kind)?, request.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                note_signal(&request, kind.as_raw_value());
            }
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn listen(request: &watch::Sender<bool>) -> std::io::Result<()> {
    let request = request.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            note_signal(&request, 2);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_go_on_while_the_main_thread_does_something_else() {
        let runtime = Runtime::start().unwrap();
        let (done, seen) = mpsc::channel();
        runtime.handle().spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            done.send(()).unwrap();
        });
        seen.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert_eq!(runtime.block_on(async { 7 }), 7);
    }

    #[test]
    fn a_request_to_stop_reaches_everybody_who_waits() {
        let runtime = Runtime::start().unwrap();
        let stop = Stop::new();
        let waiting = stop.clone();
        let task = runtime.handle().spawn(async move { waiting.requested().await });
        stop.request();
        runtime.block_on(task).unwrap();
        assert!(stop.is_requested());
    }
}
