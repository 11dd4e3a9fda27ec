//! `kafka-dev`: a Kafka cluster in one process, for learning. Production is Apache Kafka.

mod flags;
mod prompt;

use std::process::ExitCode;

use clap::Parser;
use kafka_dev::{Broker, Handle};

use crate::flags::Flags;

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "the place where errors are told")]
            {
                eprintln!("kafka-dev: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(flags: &Flags) -> anyhow::Result<()> {
    let cluster = Broker::start(flags.config()?)?;
    greet(&cluster.bootstrap(), flags.client_properties());
    serve_prompt(&cluster).await?;
    cluster.shutdown();
    Ok(())
}

/// On stderr, since stdout is for data.
#[allow(clippy::print_stderr, reason = "the greeting of a server in the foreground")]
fn greet(bootstrap: &str, client_properties: Option<String>) {
    eprintln!("kafka-dev listens on {bootstrap}. Ctrl-C stops it.");
    eprintln!("{}", prompt::HELP);
    if let Some(properties) = client_properties {
        eprintln!("Clients need a file with these properties, for -F:");
        eprint!("{properties}");
    }
    eprintln!("In other terminals:");
    eprintln!("  kafka-admin -b {bootstrap} create-topic rider-updates --partitions 2");
    eprintln!("  kafka-produce -b {bootstrap}");
    eprintln!("  kafka-consume -b {bootstrap} user-1");
}

/// Obeys what is typed until a signal comes.
#[allow(clippy::print_stderr, reason = "answers to what was typed; stdout is for data")]
async fn serve_prompt(cluster: &Handle) -> std::io::Result<()> {
    let mut lines = prompt::lines();
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        tokio::select! {
            stopped = &mut stop => return stopped,
            line = lines.recv() => match line {
                Some(line) if line.trim().is_empty() => {}
                Some(line) => eprintln!("{}", prompt::obey(cluster, &line)),
                None => return stop.await,
            }
        }
    }
}

async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
