//! What became of each thing a command was asked to change: a line or a document each, and the exit code of all.

use anyhow::Result;
use kafka_cli::render::{Block, View};
use kafka_cli::{Exit, exit};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::context::Context;

/// The exit code of several things: 0 when all went well, the common code when all failures share one, else 1.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    failed: Option<Exit>,
}

impl Tally {
    /// Counts a failure.
    pub(crate) fn add(&mut self, exit: Exit) {
        let same = self.failed.is_none_or(|known| known == exit);
        self.failed = Some(if same { exit } else { Exit::Failed });
    }

    /// Says an error on stderr and counts it.
    pub(crate) fn fail(&mut self, error: impl Into<anyhow::Error>) {
        self.add(exit::report(&error.into()));
    }

    /// The same, where there is an error.
    pub(crate) fn fail_if(&mut self, error: Option<impl Into<anyhow::Error>>) {
        if let Some(error) = error {
            self.fail(error);
        }
    }

    /// The code that fits.
    pub(crate) fn exit(&self) -> Exit {
        self.failed.unwrap_or(Exit::Done)
    }
}

/// One thing as programs see it.
#[derive(Debug, Serialize)]
struct Item {
    name: String,
    status: &'static str,
    error: Option<String>,
    #[serde(flatten)]
    details: Map<String, Value>,
    #[serde(skip)]
    said: String,
}

/// The results of a command that changes things.
#[derive(Debug, Default)]
pub(crate) struct Report {
    items: Vec<Item>,
    tally: Tally,
}

/// A thing that went well.
#[derive(Debug)]
pub(crate) struct Done {
    /// What happened, in one word for programs.
    pub(crate) status: &'static str,
    /// What happened, in a line for people.
    pub(crate) said: String,
    /// More for programs: an object.
    pub(crate) details: Value,
}

impl Done {
    /// Something that went well, without details.
    pub(crate) fn new(status: &'static str, said: impl Into<String>) -> Self {
        Self { status, said: said.into(), details: Value::Null }
    }

    /// With details for programs.
    pub(crate) fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

impl Report {
    /// Adds the result of `name`; a failure is said on stderr at once.
    pub(crate) fn add<E: Into<anyhow::Error>>(&mut self, name: impl Into<String>, result: Result<Done, E>) {
        let item = |status, error, details, said| Item { name: name.into(), status, error, details, said };
        self.items.push(match result {
            Ok(done) => {
                let details = if let Value::Object(map) = done.details { map } else { Map::new() };
                item(done.status, None, details, done.said)
            }
            Err(error) => {
                let error = error.into();
                self.tally.add(exit::report(&error));
                item("failed", Some(exit::one_line(&error)), Map::new(), String::new())
            }
        });
    }

    /// Writes what went well (and for programs also what did not) to stdout.
    pub(crate) fn finish(self, context: &Context) -> Result<Exit> {
        let view = || {
            let done = || self.items.iter().filter(|item| item.error.is_none());
            let view = done().fold(View::default(), |view, item| view.and(Block::Line(item.said.clone())));
            view.named(done().map(|item| item.name.clone()))
        };
        context.show(&self.items, view)?;
        Ok(self.tally.exit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_one_kind_keep_their_code_and_mixed_ones_are_plain_failures() {
        let tally = |exits: &[Exit]| {
            let mut tally = Tally::default();
            exits.iter().for_each(|exit| tally.add(*exit));
            tally.exit()
        };
        assert_eq!(tally(&[]), Exit::Done);
        assert_eq!(tally(&[Exit::NotFound, Exit::NotFound]), Exit::NotFound);
        assert_eq!(tally(&[Exit::NotFound, Exit::Denied]), Exit::Failed);
    }
}
