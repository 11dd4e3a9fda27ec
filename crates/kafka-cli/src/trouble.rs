//! Failures to reach the cluster, said soon and once: one line per cause, then a count.

use std::io::Write;
use std::time::{Duration, Instant};

use kafka_core::{Client, Error};
use tokio::sync::watch;

use crate::exit::hint_for;
use crate::printable::printable;

/// How often a cause that goes on is counted out.
const REMIND: Duration = Duration::from_secs(10);

/// What was said last, and how often it came since.
#[derive(Debug, Default)]
struct Log {
    last: Option<String>,
    repeats: u32,
    said_at: Option<Instant>,
}

impl Log {
    /// Takes what the cluster's trouble is now; the line to write, where there is something new to say.
    fn note(&mut self, trouble: Option<&Error>, now: Instant) -> Option<String> {
        let Some(error) = trouble else {
            self.repeats = 0;
            self.said_at = None;
            return self.last.take().map(|_| "connected again".to_owned());
        };
        // What will not pass ends the run, which says it then.
        if !error.is_retriable() {
            return None;
        }
        let text = error.to_string();
        if self.last.as_ref() != Some(&text) {
            self.repeats = 0;
            self.said_at = Some(now);
            self.last = Some(text.clone());
            let hint = hint_for(error).map(|hint| format!(" ({hint})")).unwrap_or_default();
            return Some(format!("{text}{hint}; trying again"));
        }
        self.repeats += 1;
        if self.said_at.is_some_and(|said| now < said + REMIND) {
            return None;
        }
        self.said_at = Some(now);
        Some(format!("{text} (again, {} times)", std::mem::take(&mut self.repeats)))
    }
}

/// Writes what keeps the client from its cluster to stderr, for as long as the client lives.
pub(crate) async fn follow(client: Client) {
    let trouble = client.cluster().watch_trouble();
    drop(client);
    follow_source(trouble).await;
}

/// Writes what `trouble` says to stderr, for as long as it may say something.
pub(crate) async fn follow_source(mut trouble: watch::Receiver<Option<Error>>) {
    let mut log = Log::default();
    while trouble.changed().await.is_ok() {
        let line = log.note(trouble.borrow_and_update().as_ref(), Instant::now());
        if let Some(line) = line {
            say(&line);
        }
    }
}

pub(crate) fn say(line: &str) {
    // A closed stderr must not end the run.
    let _ = writeln!(std::io::stderr(), "{}", printable(line));
}

#[cfg(test)]
mod tests {
    use kafka_core::RequestFailure;

    use super::*;

    #[test]
    fn a_cause_is_said_once_then_counted_and_its_end_is_said() {
        let failure = RequestFailure::Disconnected("reset".into());
        let lost = Error::Request { broker: "b:1".into(), api: "Metadata", failure };
        let (mut log, start) = (Log::default(), Instant::now());
        assert_eq!(log.note(None, start), None);
        assert_eq!(log.note(Some(&Error::Config("wrong for ever".into())), start), None);
        assert_eq!(
            log.note(Some(&lost), start).unwrap(),
            "Metadata to b:1: connection lost: reset; trying again"
        );
        assert_eq!(log.note(Some(&lost), start + Duration::from_secs(1)), None);
        assert_eq!(
            log.note(Some(&lost), start + REMIND).unwrap(),
            "Metadata to b:1: connection lost: reset (again, 2 times)"
        );
        assert_eq!(log.note(None, start + REMIND).unwrap(), "connected again");
        assert_eq!(
            log.note(Some(&lost), start + REMIND).unwrap(),
            "Metadata to b:1: connection lost: reset; trying again"
        );
    }
}
