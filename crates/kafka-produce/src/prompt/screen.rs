//! Acknowledgements above the line that is being typed, none lost when typing ends.
//!
//! The editor takes a line to show only while it edits, and one at a time; whoever gives it a second one waits. So a
//! thread of its own gives them, and what the editor did not come to show before it ended is shown behind it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use rustyline::ExternalPrinter;

use crate::voice::Voice;

/// The editor holds one line and its giver another.
const UNSURE: usize = 2;

#[derive(Debug, Default)]
struct Lines {
    waiting: VecDeque<String>,
    /// The last ones that the editor was given, with how often it had drawn its line by then.
    given: VecDeque<(u64, String)>,
    is_editing: bool,
    has_printer: bool,
    has_ended: bool,
}

/// What the terminal shows besides the line that is being typed.
#[derive(Debug)]
pub(super) struct Screen {
    lines: Mutex<Lines>,
    more: Condvar,
    repaints: Arc<AtomicU64>,
}

impl Screen {
    /// `repaints` is how often the editor drew its line.
    pub(super) fn new(repaints: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { lines: Mutex::default(), more: Condvar::new(), repaints })
    }

    /// Shows lines by way of the editor from now on.
    pub(super) fn print_with(
        self: &Arc<Self>,
        mut printer: impl ExternalPrinter + Send + 'static,
    ) -> Result<()> {
        self.lock().has_printer = true;
        let screen = Arc::clone(self);
        let thread = std::thread::Builder::new().name("screen".into());
        let work = move || {
            while let Some(line) = screen.next() {
                if printer.print(format!("{line}\n")).is_err() {
                    Voice::stderr().say(&line);
                }
            }
        };
        thread.spawn(work).context("starting a thread")?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a line as soon as that is possible. Never waits.
    pub(super) fn say(&self, line: &str) {
        let mut lines = self.lock();
        if lines.has_ended || !lines.has_printer || (!lines.is_editing && lines.waiting.is_empty()) {
            Voice::stderr().say(line);
        } else {
            lines.waiting.push_back(line.to_owned());
            self.more.notify_all();
        }
    }

    /// Whether the editor edits.
    pub(super) fn editing(&self, is_editing: bool) {
        self.lock().is_editing = is_editing;
    }

    /// The next line for the editor; `None` when typing has ended.
    fn next(&self) -> Option<String> {
        let mut lines = self.lock();
        loop {
            if lines.has_ended {
                return None;
            }
            if let Some(line) = lines.waiting.pop_front() {
                if lines.given.len() == UNSURE {
                    lines.given.pop_front();
                }
                lines.given.push_back((self.repaints.load(Ordering::SeqCst), line.clone()));
                return Some(line);
            }
            lines = self.more.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Typing has ended: shows what the editor did not.
    pub(super) fn end(&self) {
        let mut lines = self.lock();
        lines.has_ended = true;
        self.more.notify_all();
        let repaints = self.repaints.load(Ordering::SeqCst);
        let given = std::mem::take(&mut lines.given).into_iter();
        let unseen = given.filter(|(drawn, _)| *drawn == repaints).map(|(_, line)| line);
        unseen.chain(std::mem::take(&mut lines.waiting)).for_each(|line| Voice::stderr().say(&line));
    }
}
