//! `kafka-dev`: a Kafka cluster in one process, for learning. Production is Apache Kafka.

mod prompt;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use kafka_dev::{Broker, Config, Handle};

/// A Kafka cluster on this machine, for learning and testing. For production run Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "kafka-dev", version)]
struct Arguments {
    /// Where to listen, and the address clients are told. More brokers take the ports that follow.
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:9092")]
    listen: String,

    /// A topic to create, with its number of partitions. May be given several times.
    #[arg(long, value_name = "NAME[:PARTITIONS]")]
    topic: Vec<String>,

    /// Where to keep topics, records and offsets. Default: kafka-dev in the XDG state folder.
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    data_dir: Option<PathBuf>,

    /// Keep nothing on disk.
    #[arg(long)]
    memory: bool,

    /// Wait for the disk on every append, to survive the death of the machine and not only of the process.
    #[arg(long, conflicts_with = "memory")]
    fsync: bool,

    /// How many brokers the cluster has.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    brokers: u8,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
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
async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cluster = Broker::start(config(arguments)?)?;
    greet(&cluster.bootstrap());
    serve_prompt(&cluster).await?;
    cluster.shutdown();
    Ok(())
}

fn config(arguments: &Arguments) -> anyhow::Result<Config> {
    let (host, port) = arguments.listen.rsplit_once(':').context("--listen wants HOST:PORT")?;
    let port = port.parse().with_context(|| format!("--listen: {port} is no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut config = Config::in_memory().listen(host, port).brokers(arguments.brokers.into());
    if !arguments.memory {
        let dir = arguments.data_dir.clone().or_else(default_data_dir);
        let dir = dir.context("no folder for the data: give --data-dir or --memory")?;
        config = config.data_dir(dir).fsync(arguments.fsync);
    }
    for topic in &arguments.topic {
        let (name, partitions) = topic.rsplit_once(':').unwrap_or((topic, "1"));
        let partitions =
            partitions.parse().with_context(|| format!("--topic {topic}: no number of partitions"))?;
        config = config.topic(name, partitions);
    }
    Ok(config)
}

/// `$XDG_STATE_HOME/kafka-dev`, by default below `~/.local/state`.
fn default_data_dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("kafka-dev"))
}

/// On stderr, since stdout is for data.
#[allow(clippy::print_stderr, reason = "the greeting of a server in the foreground")]
fn greet(bootstrap: &str) {
    eprintln!("kafka-dev listens on {bootstrap}. Ctrl-C stops it.");
    eprintln!("{}", prompt::HELP);
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
