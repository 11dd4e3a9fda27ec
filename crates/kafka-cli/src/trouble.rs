//! Failures to reach the cluster, said soon and once: one line per cause, then a count.

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use kafka_core::{Client, Error};
use tokio::sync::watch;

use crate::exit::hint_for;
use crate::printable::printable;

/// How often a cause that goes on is counted out; one that was away for as long is said anew.
const REMIND: Duration = Duration::from_secs(10);

/// More causes than this at a time are begun anew.
const MAX_CAUSES: usize = 32;

/// What keeps a program from the cluster, cause by cause; several may take turns.
#[derive(Debug, Default)]
pub struct Troubles {
    causes: HashMap<String, Cause>,
}

/// When a cause was said and seen last, and how often it came since it was said.
#[derive(Debug)]
struct Cause {
    said_at: Instant,
    seen_at: Instant,
    repeats: u32,
}

impl Troubles {
    /// The line to write about an error that will be tried again: the first time, then a count now and then.
    pub fn line(&mut self, error: &Error, now: Instant) -> Option<String> {
        let text = error.to_string();
        let Some(cause) = self.causes.get_mut(&text).filter(|cause| now < cause.seen_at + REMIND) else {
            if self.causes.len() >= MAX_CAUSES {
                self.causes.clear();
            }
            let hint = hint_for(error).map(|hint| format!(" ({hint})")).unwrap_or_default();
            let line = format!("{text}{hint}; trying again");
            self.causes.insert(text, Cause { said_at: now, seen_at: now, repeats: 0 });
            return Some(line);
        };
        cause.seen_at = now;
        cause.repeats += 1;
        if now < cause.said_at + REMIND {
            return None;
        }
        cause.said_at = now;
        Some(format!("{text} (again, {} times)", std::mem::take(&mut cause.repeats)))
    }

    /// Takes what the cluster's trouble is now; the line to write, where there is something new to say.
    fn note(&mut self, trouble: Option<&Error>, now: Instant) -> Option<String> {
        let Some(error) = trouble else {
            let was_in_trouble = !std::mem::take(&mut self.causes).is_empty();
            return was_in_trouble.then(|| "connected again".to_owned());
        };
        // What will not pass ends the run, which says it then.
        error.is_retriable().then(|| self.line(error, now)).flatten()
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
    let mut log = Troubles::default();
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
        let (mut log, start) = (Troubles::default(), Instant::now());
        assert_eq!(log.note(None, start), None);
        assert_eq!(log.note(Some(&Error::Config("wrong for ever".into())), start), None);
        assert_eq!(
            log.note(Some(&lost), start).unwrap(),
            "Metadata to b:1: connection lost: reset; trying again"
        );
        assert_eq!(log.note(Some(&lost), start + REMIND / 2), None);
        assert_eq!(
            log.note(Some(&lost), start + REMIND).unwrap(),
            "Metadata to b:1: connection lost: reset (again, 2 times)"
        );
        assert_eq!(log.note(None, start + REMIND).unwrap(), "connected again");
        let anew = "Metadata to b:1: connection lost: reset; trying again";
        assert_eq!(log.note(Some(&lost), start + REMIND).unwrap(), anew);
        assert_eq!(log.line(&lost, start + REMIND * 2).unwrap(), anew, "it was away meanwhile");
    }

    #[test]
    fn causes_that_take_turns_are_said_once_each() {
        let lost = |why: &str| Error::Request {
            broker: "b:1".into(),
            api: "Metadata",
            failure: RequestFailure::Disconnected(why.into()),
        };
        let (closed, reset) = (lost("closed"), lost("reset"));
        let (mut log, now) = (Troubles::default(), Instant::now());
        let turns = [&closed, &reset].into_iter().cycle().take(20);
        assert_eq!(turns.filter_map(|error| log.note(Some(error), now)).count(), 2);
    }
}
