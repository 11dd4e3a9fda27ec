//! The flags that say which cluster and how to reach it, the same in all tools, and what is made from them.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use kafka_core::config::{Origin, property};
use kafka_core::{Client, Config, Error};
use tokio::sync::watch;

use crate::color::Color;
use crate::configuration::compose;
use crate::exit::Failure;
use crate::profile::Profiles;
use crate::runtime::{Runtime, Stop};
use crate::time::parse_duration;
use crate::{trace, trouble};

/// How long reaching the cluster, and a command, may take where `--timeout` is not given.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long connecting may stay silent.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which cluster, and how to reach it. Flags win over `-X`, that over the environment, then profile, file, defaults.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Brokers to ask first [env: KAFKA_BOOTSTRAP_SERVERS] [default: localhost:9092]
    #[arg(
        short,
        long,
        alias = "bootstrap-servers",
        value_name = "HOST:PORT,...",
        global = true,
        overrides_with = "bootstrap_server"
    )]
    pub bootstrap_server: Option<String>,
    /// Properties file, as Java's client.properties or librdkafka's
    #[arg(short = 'F', long, value_name = "FILE", global = true)]
    pub command_config: Option<PathBuf>,
    /// Any client property; may be repeated
    #[arg(short = 'X', value_name = "NAME=VALUE", global = true)]
    pub property: Vec<String>,
    /// A profile of kafka-admin profile [env: KAFKA_PROFILE]
    #[arg(short = 'P', long, value_name = "NAME", global = true)]
    pub profile: Option<String>,
    /// How long to wait for the cluster, e.g. 500ms, 30s, 2m [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, global = true)]
    pub timeout: Option<Duration>,
    /// Show every request on stderr
    #[arg(long, global = true)]
    pub trace: bool,
    /// When to use colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true)]
    pub color: Color,
    /// Nobody may be asked for a password: what would need one is an error, or is refused by the broker.
    #[arg(skip)]
    pub unattended: bool,
}

impl ConnectionArgs {
    /// How long a command may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// The configuration that flags, environment, profile and file make together.
    ///
    /// # Errors
    /// Unknown properties, values that are not allowed, files that cannot be read.
    pub fn config(&self) -> Result<Config> {
        self.config_in(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn config_in(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Config> {
        let mut composed = compose(self, &environment, Profiles::load)?;
        for warning in composed.warnings {
            trouble::say(&format!("warning: {warning}"));
        }
        if let Some(tool) = std::env::current_exe().ok().as_deref().and_then(Path::file_stem) {
            composed.config.set_from("client.id", &tool.to_string_lossy(), Origin::Default)?;
        }
        self.limit_times(&mut composed.config)?;
        Ok(composed.config)
    }

    /// No single step may take longer than the whole.
    fn limit_times(&self, config: &mut Config) -> Result<()> {
        let Some(limit) = self.timeout else { return Ok(()) };
        let limit = limit.max(Duration::from_millis(1));
        for property in [
            property::DEFAULT_API_TIMEOUT_MS,
            property::REQUEST_TIMEOUT_MS,
            property::SOCKET_CONNECTION_SETUP_TIMEOUT_MS,
            property::MAX_BLOCK_MS,
            property::DELIVERY_TIMEOUT_MS,
        ] {
            let millis = config.get(property).min(limit).as_millis();
            config.set_from(property.name(), &millis.to_string(), Origin::Flag("--timeout".into()))?;
        }
        Ok(())
    }

    /// Starts the network thread and makes the client. Nothing is connected yet.
    ///
    /// # Errors
    /// As for [`config`](Self::config); the system gives no thread.
    pub fn start(&self) -> Result<Session> {
        if self.trace {
            trace::start();
        }
        let config = self.config()?;
        let runtime = Runtime::start()?;
        let stop = Stop::on_signals(&runtime)?;
        let client = {
            let _inside = runtime.handle().enter();
            Client::new(config)?
        };
        Ok(Session { client, stop, timeout: self.timeout(), color: self.color, runtime })
    }
}

/// A client with the thread it lives on and the user's wish to stop.
#[derive(Debug)]
pub struct Session {
    /// The client.
    pub client: Client,
    /// Whether the user asked to stop.
    pub stop: Stop,
    /// `--timeout`.
    pub timeout: Duration,
    /// `--color`.
    pub color: Color,
    /// The thread of the network; last, so that the client goes first.
    pub runtime: Runtime,
}

impl Session {
    /// Runs `work` for at most `--timeout`; `what` names it in the error. The first signal ends it with an error.
    ///
    /// # Errors
    /// Those of `work`, [`Error::Timeout`], and an interruption.
    pub fn run_within_timeout<T, E: Into<anyhow::Error>>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T> {
        self.runtime.block_on(async {
            tokio::select! {
                done = tokio::time::timeout(self.timeout, work) => match done {
                    Ok(done) => done.map_err(Into::into),
                    Err(_) => Err(self.timed_out(what).into()),
                },
                () = self.stop.requested() => Err(Failure::new(crate::Exit::Failed, format!("{what}: interrupted")).into()),
            }
        })
    }

    fn servers(&self) -> String {
        self.client.config().get(property::BOOTSTRAP_SERVERS).join(",")
    }

    fn timed_out(&self, what: &str) -> Error {
        let last = self.client.cluster().watch_trouble().borrow().clone().map(Box::new);
        Error::Timeout { what: what.to_owned(), after: self.timeout, last }
    }

    /// Says on stderr what keeps calls waiting (`kafka_core::admin::Admin::watch_trouble`), and that nothing answers where
    /// that is all there is to say: for tools that end with their call.
    pub fn say_trouble(&self, trouble: watch::Receiver<Option<Error>>) {
        let (servers, cluster) = (self.servers(), self.client.cluster().clone());
        let silent = trouble.clone();
        self.runtime.handle().spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if silent.borrow().is_none() && cluster.any_open().is_none() {
                trouble::say(&format!("still connecting to {servers}"));
            }
        });
        self.runtime.handle().spawn(trouble::follow_source(trouble));
    }

    /// Waits until some broker answers: for tools that go on for long. What is in the way is said on stderr at once and
    /// tried again until `--timeout`; from then on what keeps the client from its cluster is said as it happens.
    ///
    /// # Errors
    /// [`Error::Timeout`] with the last cause; wrong credentials and certificates at once; an interruption.
    pub fn connect(&self) -> Result<()> {
        self.runtime.handle().spawn(trouble::follow(self.client.clone()));
        let cluster = self.client.cluster();
        self.run_within_timeout("connecting", async {
            let mut trouble = cluster.watch_trouble();
            let mut known = cluster.watch();
            let mut silence = std::pin::pin!(tokio::time::sleep(PATIENCE));
            cluster.request_refresh();
            loop {
                if known.borrow_and_update().version > 0 {
                    return Ok(());
                }
                if let Some(error) = trouble.borrow_and_update().clone().filter(|error| !error.is_retriable())
                {
                    return Err(error);
                }
                tokio::select! {
                    _ = known.changed() => {}
                    _ = trouble.changed() => {}
                    () = &mut silence, if !silence.is_elapsed() && trouble.borrow().is_none() => {
                        trouble::say(&format!("still connecting to {}", self.servers()));
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Tool {
        #[command(flatten)]
        connection: ConnectionArgs,
    }

    fn args(words: &[&str]) -> ConnectionArgs {
        Tool::parse_from(["tool"].iter().chain(words)).connection
    }

    fn no_environment(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn no_step_may_take_longer_than_the_time_out() {
        let config = args(&["--timeout", "2s"]).config_in(no_environment).unwrap();
        assert_eq!(config.get(property::REQUEST_TIMEOUT_MS), Duration::from_secs(2));
        let longer = args(&["--timeout", "2h"]).config_in(no_environment).unwrap();
        assert_eq!(longer.get(property::REQUEST_TIMEOUT_MS), Duration::from_secs(30));
    }

    #[test]
    fn an_address_that_is_given_twice_is_the_last_one() {
        let config = args(&["-b", "first:1", "-b", "last:2"]).config_in(no_environment).unwrap();
        assert_eq!(config.get(property::BOOTSTRAP_SERVERS), ["last:2"]);
    }

    #[test]
    fn a_property_without_a_value_is_a_wrong_usage() {
        let error = args(&["-X", "acks"]).config_in(no_environment).unwrap_err();
        assert_eq!(crate::exit::exit_of(&error), crate::Exit::Usage);
    }
}
