//! Where remarks for a person go: stderr, above a progress bar, or above the line that is being typed.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

/// Writes whole lines. Clones write to the same place.
#[derive(Clone)]
pub(crate) struct Voice(Arc<dyn Fn(&str) + Send + Sync>);

impl Voice {
    /// Lines are given to `write`, without line ends, safe for a terminal.
    pub(crate) fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// stderr as it is.
    pub(crate) fn stderr() -> Self {
        // A closed stderr must not end the run.
        Self::new(|line| drop(writeln!(std::io::stderr().lock(), "{line}")))
    }

    /// Says one line.
    pub(crate) fn say(&self, line: &str) {
        (self.0)(&kafka_cli::printable(line));
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Voice")
    }
}
