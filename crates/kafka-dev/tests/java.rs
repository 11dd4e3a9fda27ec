//! Apache's own tools against the broker, as a user of Kafka would run them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::Duration;

use kafka_dev::{Broker, Config, Handle};
use kafka_testkit::{Finished, Program, repository, skip_without_apache_tools};

const LIMIT: Duration = Duration::from_secs(60);
const RECORDS: usize = 100;

fn tool(cluster: &Handle, name: &str, arguments: &[&str], input: &str) -> Finished {
    let mut command = Command::new(repository().join("scripts/kafka.sh"));
    command.args(["tool", name, "--bootstrap-server", &cluster.bootstrap()]).args(arguments);
    Program::start_command(command).finish_with_input(input, LIMIT)
}

fn ok(cluster: &Handle, name: &str, arguments: &[&str]) -> String {
    tool(cluster, name, arguments, "").expect_code(0).stdout
}

fn consume(cluster: &Handle, group: &str, protocol: &str) -> usize {
    let protocol = format!("group.protocol={protocol}");
    let limit = RECORDS.to_string();
    let arguments = ["--topic", "t", "--from-beginning", "--group", group, "--max-messages", &limit];
    let more = ["--timeout-ms", "30000", "--consumer-property", &protocol];
    let read = tool(cluster, "console-consumer", &[&arguments[..], &more[..]].concat(), "").expect_code(0);
    let mut lines: Vec<&str> = read.stdout.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    lines.len()
}

#[test]
fn topics_are_created_described_altered_and_deleted() {
    if skip_without_apache_tools() {
        return;
    }
    let cluster = Broker::start(Config::in_memory().brokers(3)).unwrap();
    let create = ["--create", "--topic", "t", "--partitions", "2", "--config", "retention.ms=1000000"];
    ok(&cluster, "topics", &[&create[..], &["--replication-factor", "3"]].concat());
    let described = ok(&cluster, "topics", &["--describe", "--topic", "t"]);
    assert!(described.contains("PartitionCount: 2\tReplicationFactor: 3\tConfigs: retention.ms=1000000"));
    ok(&cluster, "topics", &["--alter", "--topic", "t", "--partitions", "4"]);
    let alter = ["--alter", "--entity-type", "topics", "--entity-name", "t"];
    ok(&cluster, "configs", &[&alter[..], &["--add-config", "cleanup.policy=[compact,delete]"]].concat());
    let configs = ok(&cluster, "configs", &["--describe", "--entity-type", "topics", "--entity-name", "t"]);
    assert!(configs.contains("cleanup.policy=compact,delete"), "{configs}");
    ok(&cluster, "topics", &["--delete", "--topic", "t"]);
    assert_eq!(ok(&cluster, "topics", &["--list"]).trim(), "");
}

#[test]
fn both_group_protocols_read_everything_and_the_groups_can_be_administered() {
    if skip_without_apache_tools() {
        return;
    }
    let cluster = Broker::start(Config::in_memory().topic("t", 3)).unwrap();
    let lines: String = (0..RECORDS).map(|n| format!("{n}\n")).collect();
    let _ = tool(&cluster, "console-producer", &["--topic", "t"], &lines).expect_code(0);
    let offsets = ok(&cluster, "get-offsets", &["--topic", "t"]);
    let stored: usize =
        offsets.lines().filter_map(|line| line.rsplit_once(':')?.1.parse::<usize>().ok()).sum();
    assert_eq!(stored, RECORDS);
    assert_eq!(consume(&cluster, "old", "classic"), RECORDS);
    assert_eq!(consume(&cluster, "new", "consumer"), RECORDS);
    let listed = ok(&cluster, "consumer-groups", &["--list", "--type", "--state"]);
    assert!(listed.contains("Classic") && listed.contains("Consumer"), "{listed}");
    for group in ["old", "new"] {
        let described = ok(&cluster, "consumer-groups", &["--describe", "--group", group]);
        assert_eq!(described.lines().filter(|line| line.starts_with(group)).count(), 3, "{described}");
        ok(&cluster, "consumer-groups", &["--describe", "--group", group, "--members"]);
        let state = ok(&cluster, "consumer-groups", &["--describe", "--group", group, "--state"]);
        assert!(state.contains("Empty"), "{state}");
        let reset = ["--reset-offsets", "--group", group, "--topic", "t", "--to-earliest", "--execute"];
        assert_eq!(ok(&cluster, "consumer-groups", &reset).matches(" 0 ").count(), 3 + 1);
        ok(&cluster, "consumer-groups", &["--delete", "--group", group]);
    }
}

#[test]
fn transactions_are_listed_and_described() {
    if skip_without_apache_tools() {
        return;
    }
    let cluster = Broker::start(Config::in_memory().topic("t", 1)).unwrap();
    let perf = ["--topic", "t", "--num-records", "1000", "--throughput", "-1", "--record-size", "100"];
    let more =
        ["--transactional-id", "x", "--transaction-duration-ms", "100", "--producer-props", "acks=all"];
    let bootstrap = format!("bootstrap.servers={}", cluster.bootstrap());
    let mut command = Command::new(repository().join("scripts/kafka.sh"));
    command.args(["tool", "producer-perf-test"]).args(perf).args(more).arg(bootstrap);
    let _ = Program::start_command(command).finish(LIMIT).expect_code(0);
    assert_eq!(cluster.records("t", 0).unwrap().len(), 1000);
    let listed = ok(&cluster, "transactions", &["list"]);
    assert!(listed.contains('x') && listed.contains("CompleteCommit"), "{listed}");
}
