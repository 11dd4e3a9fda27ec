//! The command line of `kafka-dev`, and the cluster that it asks for.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use kafka_dev::Config;

/// A Kafka cluster on this machine, for learning and testing. For production run Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "kafka-dev", version)]
pub(crate) struct Flags {
    /// Where to listen, and the address clients are told. More brokers take the ports that follow.
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:9092")]
    listen: String,

    /// What clients are told to connect to instead: a proxy, a forwarded port. More brokers are told as the ports that
    /// follow.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,

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

    /// Ask clients who they are (SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512): a file with a line NAME:PASSWORD for each
    /// user. Access rules (ACLs) are enforced then; what no rule is about is open to all of them.
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,

    /// A user to whom access rules do not apply. May be given several times.
    #[arg(long, value_name = "NAME", requires = "users")]
    super_user: Vec<String>,

    /// Speak TLS only, with this certificate chain in PEM. One for a try: openssl req -x509 -newkey
    /// ec:<(openssl ecparam -name prime256v1) -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost
    /// -keyout key.pem -out cert.pem
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of that certificate, in PEM, not encrypted.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl Flags {
    /// The cluster that is asked for. Reads the files that are named.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        let (host, port) = address("--listen", &self.listen)?;
        let mut config = Config::in_memory().listen(host, port).brokers(self.brokers.into());
        if let Some(told) = &self.advertise {
            let (host, port) = address("--advertise", told)?;
            config = config.advertise(host, port);
        }
        if !self.memory {
            let dir = self.data_dir.clone().or_else(default_data_dir);
            let dir = dir.context("no folder for the data: give --data-dir or --memory")?;
            config = config.data_dir(dir).fsync(self.fsync);
        }
        for topic in &self.topic {
            let (name, partitions) = topic.rsplit_once(':').unwrap_or((topic, "1"));
            let partitions =
                partitions.parse().with_context(|| format!("--topic {topic}: no number of partitions"))?;
            config = config.topic(name, partitions);
        }
        self.with_security(config)
    }

    fn with_security(&self, mut config: Config) -> anyhow::Result<Config> {
        if let Some(file) = &self.users {
            let users = users(file)?;
            let unknown = |name: &&String| !users.iter().any(|(known, _)| known == *name);
            if let Some(name) = self.super_user.iter().find(unknown) {
                anyhow::bail!("--super-user {name}: {} has no such user", file.display());
            }
            for (name, password) in users {
                let is_super = self.super_user.contains(&name);
                config =
                    if is_super { config.super_user(name, password) } else { config.user(name, password) };
            }
        }
        if let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) {
            config = config.tls(read(cert)?, read(key)?);
        }
        Ok(config)
    }

    /// What a client's properties file must say, where it must say anything.
    pub(crate) fn client_properties(&self) -> Option<String> {
        let protocol = match (&self.users, &self.tls_cert) {
            (None, None) => return None,
            (None, Some(_)) => "SSL",
            (Some(_), None) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        };
        let mut text = format!("  security.protocol={protocol}\n");
        if let Some(cert) = &self.tls_cert {
            text += &format!("  ssl.ca.location={}\n", cert.display());
        }
        if self.users.is_some() {
            text += "  sasl.mechanism=SCRAM-SHA-512\n  sasl.username=...\n  sasl.password=...\n";
        }
        Some(text)
    }
}

fn address<'a>(flag: &str, text: &'a str) -> anyhow::Result<(&'a str, u16)> {
    let (host, port) = text.rsplit_once(':').with_context(|| format!("{flag} wants HOST:PORT"))?;
    let port = port.parse().with_context(|| format!("{flag}: {port} is no port"))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Names and passwords, one pair to a line; empty lines and those that begin with # are left out.
fn users(file: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text = String::from_utf8(read(file)?).with_context(|| format!("{} is not UTF-8", file.display()))?;
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|(index, line)| {
        let pair = line.split_once(':').filter(|(name, password)| !name.is_empty() && !password.is_empty());
        // The line itself may hold a password.
        let (name, password) =
            pair.with_context(|| format!("{}, line {}: no NAME:PASSWORD", file.display(), index + 1))?;
        Ok((name.to_owned(), password.to_owned()))
    });
    let pairs = pairs.collect::<anyhow::Result<Vec<_>>>()?;
    anyhow::ensure!(!pairs.is_empty(), "{} names no user", file.display());
    Ok(pairs)
}

/// `$XDG_STATE_HOME/kafka-dev`, by default below `~/.local/state`.
fn default_data_dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("kafka-dev"))
}
