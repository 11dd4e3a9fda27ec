//! A real Apache Kafka for tests: found by environment variables that `scripts/test.sh` sets, handled through
//! `scripts/kafka.sh`, so that there is one place that knows how a broker is started, killed and frozen.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::program::{Finished, Program, repository};

/// Apache's tools start a Java machine each; on a loaded machine that takes its time.
const TOOL_LIMIT: Duration = Duration::from_secs(90);
const NODE_LIMIT: Duration = Duration::from_secs(150);
const KCAT_LIMIT: Duration = Duration::from_secs(60);

/// A running real Kafka, named as `scripts/kafka.sh` names it.
///
/// | variable | cluster |
/// |---|---|
/// | `KAFKA_TEST_ONE_NODE` | one node, shared by tests that leave it as it is |
/// | `KAFKA_TEST_THREE_NODES` | three nodes, lent to one test at a time, which may kill and freeze them |
/// | `KAFKA_TEST_SECURE` | one node with `--tls --sasl` |
#[derive(Debug)]
pub struct RealKafka {
    name: String,
    status: String,
    /// Held while a test may break the cluster.
    exclusive: Option<File>,
}

impl RealKafka {
    /// The one-node cluster, or none (with the reason on stderr) where the tests run without a real Kafka.
    ///
    /// # Panics
    /// Without one under `CI=true`.
    pub fn one_node() -> Option<Self> {
        Self::named_by("KAFKA_TEST_ONE_NODE")
    }

    /// The three-node cluster for this test alone; what it broke is mended when the handle goes. None and panics as
    /// [`Self::one_node`].
    pub fn three_nodes() -> Option<Self> {
        let mut kafka = Self::named_by("KAFKA_TEST_THREE_NODES")?;
        kafka.exclusive = Some(kafka.lock("nodes"));
        Some(kafka)
    }

    /// The one-node cluster with TLS and SASL listeners. None and panics as [`Self::one_node`].
    pub fn secure() -> Option<Self> {
        Self::named_by("KAFKA_TEST_SECURE")
    }

    fn named_by(variable: &str) -> Option<Self> {
        let Ok(name) = std::env::var(variable) else {
            let ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!ci, "{variable} is not set: under CI the tests need a real Kafka (scripts/test.sh)");
            eprintln!("skipped: {variable} is not set (scripts/test.sh starts a real Kafka)");
            return None;
        };
        let status = kafka_sh(&["status", "--name", &name], NODE_LIMIT).expect_code(0).stdout;
        Some(Self { name, status, exclusive: None })
    }

    /// Every word of the status lines that begin with `word`.
    fn lines(&self, word: &str) -> impl Iterator<Item = Vec<&str>> {
        let lines = self.status.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        lines.filter(move |words| words[0] == word)
    }

    /// Waits until no other test, of this process or another, holds the lock of that name; it goes with the file.
    pub(crate) fn lock(&self, name: &str) -> File {
        let file = File::create(self.run_folder().join(name).with_extension("lock"));
        let file = file.expect("the run folder is writable");
        file.lock().expect("the lock file can be locked");
        file
    }

    fn run_folder(&self) -> PathBuf {
        self.lines("run").next().map(|words| PathBuf::from(words[1])).expect("status names the run folder")
    }

    /// `HOST:PORT,…` of the plain listeners.
    pub fn bootstrap(&self) -> String {
        self.lines("bootstrap").next().map(|words| words[1].to_owned()).expect("status names the addresses")
    }

    /// `HOST:PORT` of a listener of node 1, e.g. `SASL_SSL`.
    pub fn listener(&self, name: &str) -> String {
        let mut listeners = self.lines("listener").filter(|words| words[1] == name);
        listeners.next().map(|words| words[2].to_owned()).unwrap_or_else(|| panic!("no listener {name}"))
    }

    /// A certificate or client file of `scripts/kafka.sh up --tls --sasl`, e.g. `ca.pem`, `ssl.properties`.
    pub fn file(&self, name: &str) -> PathBuf {
        let mut files = self.lines("file").filter(|words| words[1] == name);
        files.next().map(|words| PathBuf::from(words[2])).unwrap_or_else(|| panic!("no file {name}"))
    }

    /// For each node the port it advertises to clients of the proxied listener, and the real one behind.
    pub(crate) fn proxied_ports(&self) -> Vec<(u16, u16)> {
        let port = |word: &str| word.parse().expect("ports are numbers");
        self.lines("proxy").map(|words| (port(words[2]), port(words[3]))).collect()
    }

    /// SIGKILL to a node.
    pub fn kill(&self, node: u32) {
        self.node("kill", node);
    }

    /// A clean stop of a node, waited for.
    pub fn stop(&self, node: u32) {
        self.node("stop", node);
    }

    /// Starts a node again and waits until it answers.
    pub fn start(&self, node: u32) {
        self.node("start", node);
    }

    /// SIGSTOP: the node keeps its connections and says nothing.
    pub fn freeze(&self, node: u32) {
        self.node("freeze", node);
    }

    /// SIGCONT to a frozen node.
    pub fn thaw(&self, node: u32) {
        self.node("thaw", node);
    }

    fn node(&self, verb: &str, node: u32) {
        assert!(
            self.exclusive.is_some(),
            "only the three-node cluster may be broken: RealKafka::three_nodes()"
        );
        let _ = kafka_sh(&[verb, &node.to_string(), "--name", &self.name], NODE_LIMIT).expect_code(0);
    }

    /// Creates a topic with Apache's own tool. `settings` are more of its arguments.
    pub fn create_topic(&self, topic: &str, partitions: u32, settings: &[&str]) {
        let partitions = partitions.to_string();
        let mut arguments = vec!["--create", "--topic", topic, "--partitions", &partitions];
        arguments.extend_from_slice(settings);
        let _ = self.tool("topics", &arguments, "").expect_code(0);
    }

    /// The leaders of a topic's partitions, as Apache's own tool sees them; none where there is no leader.
    pub fn leaders(&self, topic: &str) -> Vec<Option<u32>> {
        let described = self.tool("topics", &["--describe", "--topic", topic], "").expect_code(0).stdout;
        let leader =
            |line: &str| line.split("Leader: ").nth(1)?.split_whitespace().next()?.parse::<u32>().ok();
        described.lines().filter(|line| line.contains("Partition: ")).map(leader).collect()
    }

    /// The leader of one partition, as [`Self::leaders`].
    pub fn leader(&self, topic: &str, partition: u32) -> Option<u32> {
        self.leaders(topic).into_iter().nth(partition as usize).flatten()
    }

    /// The node that coordinates a group, as Apache's own tool sees it.
    pub fn coordinator(&self, group: &str) -> u32 {
        let said = self.tool("consumer-groups", &["--describe", "--state", "--group", group], "").stdout;
        // "… 127.0.0.1:9092 (1) …"
        let node = said.rsplit('(').next().and_then(|rest| rest.split(')').next()?.parse().ok());
        node.unwrap_or_else(|| panic!("a coordinator in {said}"))
    }

    /// How many records a group has not committed, over all partitions, as Apache's own tool sees it.
    pub fn lag(&self, group: &str) -> i64 {
        let said = self.tool("consumer-groups", &["--describe", "--group", group], "").expect_code(0).stdout;
        // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …; no offset and no lag where nothing is committed.
        let lag = |line: &str| {
            let mut words = line.split_whitespace().skip(4);
            let (end, lag) = (words.next()?, words.next()?);
            lag.parse::<i64>().or_else(|_| end.parse()).ok()
        };
        said.lines().filter(|line| line.starts_with(group)).filter_map(lag).sum()
    }

    /// Runs one of Apache's own tools (`topics`, `console-producer`, …) against the plain listeners, with `input` on
    /// its stdin.
    pub fn tool(&self, name: &str, arguments: &[&str], input: impl Into<Vec<u8>>) -> Finished {
        apache_tool(&self.bootstrap(), name, arguments, input)
    }

    /// As [`Self::tool`], for tools that stay: the caller starts and ends it.
    pub fn tool_command(&self, name: &str, arguments: &[&str]) -> Command {
        apache_tool_command(&self.bootstrap(), name, arguments)
    }
}

impl Drop for RealKafka {
    fn drop(&mut self) {
        if self.exclusive.is_none() {
            return;
        }
        for words in self.lines("node") {
            for verb in ["thaw", "start"] {
                let _ = kafka_sh(&[verb, words[1], "--name", &self.name], NODE_LIMIT);
            }
        }
    }
}

/// Runs one of Apache's own tools against any broker, with `input` on its stdin.
pub(crate) fn apache_tool(
    bootstrap: &str,
    name: &str,
    arguments: &[&str],
    input: impl Into<Vec<u8>>,
) -> Finished {
    let command = apache_tool_command(bootstrap, name, arguments);
    Program::start_command(command).finish_with_input(input, TOOL_LIMIT)
}

fn apache_tool_command(bootstrap: &str, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(repository().join("scripts/kafka.sh"));
    command.args(["tool", name, "--bootstrap-server", bootstrap]).args(arguments);
    command
}

fn kafka_sh(arguments: &[&str], limit: Duration) -> Finished {
    let mut command = Command::new(repository().join("scripts/kafka.sh"));
    command.args(arguments);
    Program::start_command(command).finish(limit)
}

/// Runs kcat to its end with `input` on its stdin.
pub fn kcat(arguments: &[&str], input: impl Into<Vec<u8>>) -> Finished {
    let mut command = Command::new("kcat");
    command.args(arguments);
    Program::start_command(command).finish_with_input(input, KCAT_LIMIT)
}

/// Whether kcat is missing here, with a word on stderr.
///
/// # Panics
/// Where it is missing under `CI=true`.
pub fn skip_without_kcat() -> bool {
    let skips = skip_without("kcat");
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!skips || !ci, "kcat is not installed: under CI the tests need it (.ci/run installs it)");
    skips
}

/// Whether a test of what is done with another program, a shell say, has to be left out; says so.
pub fn skip_without(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: {program} is not installed");
    }
    !there
}
