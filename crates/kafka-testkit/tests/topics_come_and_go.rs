//! `kafka-consume` while the topics it reads change, on a real Kafka: topics that match its pattern appear, partitions
//! are added, a topic is deleted and created anew. Each with a group under either protocol, and without one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::Duration;

use kafka_testkit::{Program, RealKafka, Signal, kcat, skip_without_kcat, unique};

/// Brokers look for topics that match a member's pattern every ten seconds or so.
const LIMIT: Duration = Duration::from_secs(90);

/// A broker, where kcat is here to write to it.
fn kafka() -> Option<RealKafka> {
    if skip_without_kcat() { None } else { RealKafka::one_node() }
}

/// One reader of each kind.
struct Readers(Vec<(&'static str, Program)>);

impl Readers {
    fn start(kafka: &RealKafka, arguments: &[&str]) -> Self {
        let start = |kind: &'static str| {
            let (bootstrap, group) = (kafka.bootstrap(), unique("group"));
            let mut all = vec!["-b", &bootstrap, "-f", "%t[%p] %v\\n"];
            match kind {
                "alone" => all.push("--no-group"),
                protocol => all.extend(["--group-protocol", protocol, &group]),
            }
            (kind, Program::start("kafka-consume", all.into_iter().chain(arguments.iter().copied())))
        };
        Self(["alone", "classic", "consumer"].map(start).into())
    }

    /// Waits until each has printed the line.
    fn expect(&mut self, line: &str) {
        for (_, reader) in &mut self.0 {
            reader.wait_stdout(LIMIT, |out| out.lines().any(|printed| printed == line));
        }
    }

    /// Ends them: each has printed these lines and no others, each once.
    fn end(self, mut lines: Vec<String>) {
        lines.sort();
        for (kind, reader) in self.0 {
            reader.signal(Signal::Terminate);
            let ended = reader.finish(Duration::from_secs(10)).expect_code(0);
            let mut printed: Vec<_> = ended.stdout.lines().map(str::to_owned).collect();
            printed.sort();
            assert_eq!(printed, lines, "{kind}: {}", ended.stderr);
        }
    }
}

fn send(kafka: &RealKafka, topic: &str, partition: u32, value: &str) -> String {
    let partition_text = partition.to_string();
    let flags = ["-P", "-b", &kafka.bootstrap(), "-t", topic, "-p", &partition_text];
    let _ = kcat(&flags, format!("{value}\n")).expect_code(0);
    format!("{topic}[{partition}] {value}")
}

#[test]
fn topics_that_match_the_pattern_are_read_when_they_appear() {
    let Some(kafka) = kafka() else { return };
    let prefix = unique("matched");
    let (first, second, other) = (format!("{prefix}-a"), format!("{prefix}-b"), format!("not-{prefix}-c"));
    kafka.create_topic(&first, 1, &[]);
    let mut readers = Readers::start(&kafka, &["--regex", &format!("{prefix}-.*")]);
    let mut lines = vec![send(&kafka, &first, 0, "one")];
    readers.expect(&lines[0]);
    kafka.create_topic(&other, 1, &[]);
    kafka.create_topic(&second, 2, &[]);
    send(&kafka, &other, 0, "not this");
    lines.push(send(&kafka, &second, 1, "two"));
    readers.expect(&lines[1]);
    // What was read goes on being read.
    lines.push(send(&kafka, &first, 0, "three"));
    readers.expect(&lines[2]);
    readers.end(lines);
}

#[test]
fn partitions_that_are_added_are_read_from_their_first_record() {
    let Some(kafka) = kafka() else { return };
    let topic = unique("grown");
    kafka.create_topic(&topic, 1, &[]);
    let mut readers = Readers::start(&kafka, &[&topic]);
    let mut lines = vec![send(&kafka, &topic, 0, "one")];
    readers.expect(&lines[0]);
    let _ = kafka.tool("topics", &["--alter", "--topic", &topic, "--partitions", "3"], "").expect_code(0);
    lines.push(send(&kafka, &topic, 2, "two"));
    lines.push(send(&kafka, &topic, 0, "three"));
    readers.expect(&lines[1]);
    readers.expect(&lines[2]);
    readers.end(lines);
}

#[test]
fn a_topic_that_is_deleted_and_created_anew_is_read_from_its_first_record() {
    let Some(kafka) = kafka() else { return };
    let topic = unique("anew");
    kafka.create_topic(&topic, 1, &[]);
    let mut readers = Readers::start(&kafka, &[&topic]);
    let mut lines = vec![send(&kafka, &topic, 0, "one"), send(&kafka, &topic, 0, "two")];
    readers.expect(&lines[1]);
    let _ = kafka.tool("topics", &["--delete", "--topic", &topic], "").expect_code(0);
    kafka.create_topic(&topic, 1, &[]);
    // Fewer records than had been read of the old one: an offset that is carried over would skip them.
    lines.push(send(&kafka, &topic, 0, "three"));
    readers.expect(&lines[2]);
    lines.push(send(&kafka, &topic, 0, "four"));
    readers.expect(&lines[3]);
    readers.end(lines);
}
