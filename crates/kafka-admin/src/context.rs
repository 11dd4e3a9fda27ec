//! What every command works with: the session, the admin handle, and the way to stdout.

use std::cell::Cell;
use std::future::Future;
use std::io::{BufWriter, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use kafka_cli::render::{self, Format, View};
use kafka_cli::time::parse_duration;
use kafka_cli::{ConnectionArgs, Exit, Failure, Session};
use kafka_core::admin::Admin;
use kafka_core::{Error, ErrorKind};
use serde::Serialize;

/// One run of the tool.
pub(crate) struct Context {
    pub(crate) session: Session,
    pub(crate) admin: Admin,
    pub(crate) format: Format,
    /// Whether it goes on until the user stops it, which is then its regular end. Documents come again and again: each time
    /// is one line of `-o jsonl`.
    until_stopped: Cell<bool>,
}

/// `--watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Show it again every so often, until Ctrl-C [default interval: 2s]
    #[arg(long, value_name = "INTERVAL", value_parser = parse_duration, num_args = 0..=1, default_missing_value = "2s")]
    watch: Option<Duration>,
}

impl Context {
    /// Makes the client; nothing is connected yet.
    pub(crate) fn start(connection: &ConnectionArgs, format: Format) -> Result<Self> {
        let session = connection.start()?;
        let admin = Admin::new(session.client.cluster().clone(), session.timeout);
        Ok(Self { session, admin, format, until_stopped: Cell::new(false) })
    }

    /// Runs a command to its end, or until the user stops it. What keeps it waiting is said on stderr.
    pub(crate) fn run(&self, command: impl Future<Output = Result<Exit>>) -> Result<Exit> {
        self.session.say_trouble(self.admin.watch_trouble());
        self.session.runtime.block_on(async {
            let mut command = std::pin::pin!(command);
            tokio::select! {
                biased;
                done = &mut command => done,
                // Who goes on until then hears of it as well, perhaps a moment later.
                () = self.session.stop.requested() => if self.until_stopped.get() {
                    command.await
                } else {
                    Err(Failure::new(Exit::Failed, "interrupted").into())
                },
            }
        })
    }

    /// From now on the command listens for the user's wish to stop itself, and ends well then.
    pub(crate) fn go_on_until_stopped(&self) {
        self.until_stopped.set(true);
    }

    /// Writes documents to stdout in the form that `-o` asks for.
    pub(crate) fn show<D: Serialize>(&self, documents: &[D], view: impl FnOnce() -> View) -> Result<()> {
        if self.until_stopped.get() && self.format == Format::Jsonl {
            return self.show_one(&documents, view);
        }
        show(self.format, documents, view)
    }

    /// Writes one document that stands for itself.
    pub(crate) fn show_one<D: Serialize>(&self, document: &D, view: impl FnOnce() -> View) -> Result<()> {
        write(|out| render::write_one(out, self.format, document, view))
    }

    /// Runs `tick` once, or again and again where `--watch` says so, until the user stops it. A failed tick is said and does
    /// not end it.
    pub(crate) async fn watch(
        &self,
        args: &WatchArgs,
        mut tick: impl AsyncFnMut() -> Result<Exit>,
    ) -> Result<Exit> {
        let Some(pause) = args.watch else { return tick().await };
        self.go_on_until_stopped();
        let redraw = !self.format.is_for_programs() && std::io::stdout().is_terminal();
        loop {
            if redraw {
                // To the first cell, then clear to the end: less flicker than clearing first.
                write(|out| out.write_all(b"\x1b[H\x1b[J"))?;
            }
            tokio::select! {
                done = tick() => match done {
                    Err(error) if kafka_cli::exit::exit_of(&error) == Exit::Done => return Ok(Exit::Done),
                    Err(error) => drop(kafka_cli::exit::report(&error)),
                    Ok(_) => {}
                },
                () = self.session.stop.requested() => return Ok(Exit::Done),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.session.stop.requested() => return Ok(Exit::Done),
            }
        }
    }

    /// The error about a topic, with the name that may have been meant where it does not exist.
    pub(crate) async fn explain_topic(&self, topic: &str, error: Error) -> anyhow::Error {
        if error.kind() != ErrorKind::NotFound {
            return error.into();
        }
        let known = self.admin.list_topics(true).await.unwrap_or_default();
        let failure = Failure::new(Exit::NotFound, error.to_string());
        match kafka_cli::nearest(topic, known.iter().map(|topic| &*topic.name)) {
            Some(near) => failure.hint(format!("did you mean {near}?")).into(),
            None => failure.hint("kafka-admin list-topics shows what is there").into(),
        }
    }
}

/// Writes documents to stdout in this form.
pub(crate) fn show<D: Serialize>(format: Format, documents: &[D], view: impl FnOnce() -> View) -> Result<()> {
    write(|out| render::write_all(out, format, documents, view))
}

/// Writes to stdout through one buffer.
pub(crate) fn write(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).context("writing to stdout")
}

/// A remark on stderr, beside the data. A closed stderr must not end the run.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", kafka_cli::printable(line));
}
