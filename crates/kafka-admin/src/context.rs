//! What every command works with: the session, the admin handle, and the way to stdout.

use std::future::Future;
use std::io::{BufWriter, Write};

use anyhow::{Context as _, Result};
use kafka_cli::render::{self, Format, View};
use kafka_cli::{ConnectionArgs, Exit, Failure, Session};
use kafka_core::admin::Admin;
use kafka_core::{Error, ErrorKind};
use serde::Serialize;

/// One run of the tool.
pub(crate) struct Context {
    pub(crate) session: Session,
    pub(crate) admin: Admin,
    pub(crate) format: Format,
}

impl Context {
    /// Makes the client; nothing is connected yet.
    pub(crate) fn start(connection: &ConnectionArgs, format: Format) -> Result<Self> {
        let session = connection.start()?;
        let admin = Admin::new(session.client.cluster().clone(), session.timeout);
        Ok(Self { session, admin, format })
    }

    /// Runs a command to its end, or until the user stops it. What keeps it waiting is said on stderr.
    pub(crate) fn run(&self, command: impl Future<Output = Result<Exit>>) -> Result<Exit> {
        self.session.say_trouble(self.admin.watch_trouble());
        self.session.runtime.block_on(async {
            tokio::select! {
                done = command => done,
                () = self.session.stop.requested() => Err(Failure::new(Exit::Failed, "interrupted").into()),
            }
        })
    }

    /// Writes documents to stdout in the form that `-o` asks for.
    pub(crate) fn show<D: Serialize>(&self, documents: &[D], view: impl FnOnce() -> View) -> Result<()> {
        show(self.format, documents, view)
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
    let mut out = BufWriter::new(std::io::stdout().lock());
    render::write_all(&mut out, format, documents, view)
        .and_then(|()| out.flush())
        .context("writing to stdout")
}

/// A remark on stderr, beside the data. A closed stderr must not end the run.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", kafka_cli::printable(line));
}
