//! The bar of a long run, on a terminal: records, bytes, pace, what is on its way, and for files how long it will take.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::sink::Sink;
use crate::voice::Voice;

/// Runs that are shorter show no bar.
const SILENT: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(100);

/// How far reading is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Records that were handed over.
    pub(crate) records: AtomicU64,
    /// Bytes of input that were read.
    pub(crate) bytes: AtomicU64,
}

/// The place of the bar on stderr, with or without a bar in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panel(Arc<Mutex<Option<ProgressBar>>>);

impl Panel {
    fn lock(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remarks above the bar.
    pub(crate) fn voice(&self) -> Voice {
        let panel = self.clone();
        Voice::new(move |line| {
            let write = || drop(writeln!(std::io::stderr().lock(), "{line}"));
            match &*panel.lock() {
                Some(bar) => bar.suspend(write),
                None => write(),
            }
        })
    }

    /// Shows how far `progress` is of `size` bytes, where stderr is a terminal, until the result is stopped.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn watch(&self, progress: Arc<Progress>, size: Option<u64>, sink: Sink) -> Result<Watch> {
        let (end, ended) = mpsc::channel();
        if !std::io::stderr().is_terminal() {
            return Ok(Watch { end, thread: None });
        }
        let panel = self.clone();
        let show = move || {
            let start = Instant::now();
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if start.elapsed() > SILENT {
                    let mut place = panel.lock();
                    draw(place.get_or_insert_with(|| bar(size)), &progress, &sink, start.elapsed());
                }
            }
            if let Some(bar) = panel.lock().take() {
                bar.finish_and_clear();
            }
        };
        let thread = std::thread::Builder::new().name("progress".into()).spawn(show);
        Ok(Watch { end, thread: Some(thread.context("starting a thread")?) })
    }
}

/// A bar that is being shown.
#[derive(Debug)]
pub(crate) struct Watch {
    end: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Takes the bar away.
    pub(crate) fn stop(self) {
        drop(self.end);
        if let Some(thread) = self.thread {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

fn bar(size: Option<u64>) -> ProgressBar {
    let template = if size.is_some() { "{bar:30} {percent}%  {msg}  {eta} left" } else { "{spinner} {msg}" };
    let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
    // The templates are constants that a test reads.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn draw(bar: &ProgressBar, progress: &Progress, sink: &Sink, elapsed: Duration) {
    let (records, bytes) = (progress.records.load(Ordering::Relaxed), progress.bytes.load(Ordering::Relaxed));
    let per_second = (records as f64 / elapsed.as_secs_f64()) as u64;
    let waiting = HumanBytes(sink.buffered_bytes() as u64);
    bar.set_message(format!(
        "{} records, {}, {}/s, {waiting} on its way",
        HumanCount(records),
        HumanBytes(bytes),
        HumanCount(per_second)
    ));
    bar.set_position(bytes);
    bar.tick();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_read() {
        for size in [None, Some(10)] {
            assert_eq!(bar(size).length(), size);
        }
        assert!(ProgressStyle::with_template("{bar:30} {percent}%  {msg}  {eta} left").is_ok());
    }
}
