//! The bar of a long run whose end is known: on a terminal, where the records go elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Runs that are shorter show no bar.
const SILENT: Duration = Duration::from_millis(500);

/// How far reading is, in offsets.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For so many offsets, where anybody can see it.
    pub(crate) fn new(total: u64, quiet: bool) -> Option<Self> {
        let is_seen = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        (is_seen && !quiet).then(|| Self { started: Instant::now(), total, done: 0, bar: None })
    }

    /// So many more are behind us.
    pub(crate) fn add(&mut self, offsets: u64) {
        self.done += offsets;
        if self.bar.is_none() && self.started.elapsed() > SILENT {
            let form = "{wide_bar} {percent}% of {human_len} offsets, {per_sec}, {eta} left";
            // The form is right: it is the same in every run.
            let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar = Some(ProgressBar::new(self.total).with_style(style));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done.min(self.total));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
