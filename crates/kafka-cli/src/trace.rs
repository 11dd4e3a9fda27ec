//! `--trace`: what the library does, one line per event on stderr.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::printable::printable;

/// Writes the library's events to stderr from now on. A second call changes nothing.
pub fn start() {
    let _ = tracing::subscriber::set_global_default(StderrLines { next_span: AtomicU64::new(1) });
}

/// A subscriber without filters and spans: the library has one level of detail that is worth reading.
struct StderrLines {
    next_span: AtomicU64,
}

impl Subscriber for StderrLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kafka")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.next_span.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let now = chrono::Utc::now().format("%H:%M:%S%.6f");
        let mut line = Line(format!("{now} {}", event.metadata().target()));
        event.record(&mut line);
        // A closed stderr must not end the run.
        let _ = writeln!(std::io::stderr().lock(), "{}", printable(&line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// ` message name=value name=value`
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}
