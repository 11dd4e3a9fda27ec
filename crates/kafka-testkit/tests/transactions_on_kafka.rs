//! Transactions of `kafka-produce` on a real Kafka, by what readers of committed records see: Apache's console consumer
//! and ours.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use kafka_testkit::{Finished, Program, RealKafka, eventually, run, unique};

const LIMIT: Duration = Duration::from_secs(120);

/// What our consumer sees of a topic.
fn read(kafka: &RealKafka, topic: &str, isolation: &str) -> Vec<String> {
    let flags = [topic, "--no-group", "--exit", "--isolation-level", isolation, "-f", r"%v\n"];
    let read = run("kafka-consume", [&flags[..], &["-b", &kafka.bootstrap()]].concat(), "", LIMIT);
    read.expect_code(0).stdout.lines().map(str::to_owned).collect()
}

fn committed(kafka: &RealKafka, topic: &str) -> Vec<String> {
    read(kafka, topic, "read_committed")
}

fn produce(kafka: &RealKafka, topic: &str, arguments: &[&str], input: &str) -> Finished {
    let bootstrap = kafka.bootstrap();
    let flags = ["-b", &bootstrap, topic, "--raw"];
    run("kafka-produce", [&flags[..], arguments].concat(), input, LIMIT)
}

/// The node that coordinates a transactional id, as Apache's own tool sees it, once the id is known.
fn coordinator(kafka: &RealKafka, id: &str) -> u32 {
    let mut node = None;
    eventually("a coordinator", LIMIT, || {
        let described = kafka.tool("transactions", &["describe", "--transactional-id", id], "");
        let row = described.stdout.lines().find(|line| line.contains(id)).map(str::to_owned);
        node = row.and_then(|row| row.split_whitespace().next()?.parse().ok());
        node.is_some()
    });
    node.expect("a coordinator")
}

#[test]
fn what_was_committed_is_seen_and_what_was_aborted_is_not_by_apaches_consumer_and_ours() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, id) = (unique("commits"), unique("id"));
    kafka.create_topic(&topic, 1, &[]);
    let done = produce(&kafka, &topic, &["--transactional-id", &id], "a\nb\n").expect_code(0);
    assert!(done.stderr.contains(&format!("committed 2 records to {topic}")), "{}", done.stderr);
    // The third line has no key: all of it is aborted.
    let aborted = produce(&kafka, &topic, &["--transactional-id", &id, "-K", ":"], "k:x\nk:y\nz\n");
    assert!(aborted.expect_code(1).stderr.contains("aborted: 2 records"));
    let pieces = ["--transactional-id", &id, "--commit-every", "2"];
    let _ = produce(&kafka, &topic, &pieces, "c\nd\ne\n").expect_code(0);
    assert_eq!(read(&kafka, &topic, "read_uncommitted"), ["a", "b", "x", "y", "c", "d", "e"]);
    assert_eq!(committed(&kafka, &topic), ["a", "b", "c", "d", "e"]);
    let flags = ["--topic", &topic, "--from-beginning", "--isolation-level", "read_committed"];
    let ends = ["--max-messages", "5", "--timeout-ms", "20000"];
    let apache = kafka.tool("console-consumer", &[&flags[..], &ends].concat(), "").expect_code(0);
    assert_eq!(apache.stdout.lines().collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_producer_whose_id_was_taken_over_ends_with_1_and_says_so() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, id, bootstrap) = (unique("fenced"), unique("id"), kafka.bootstrap());
    kafka.create_topic(&topic, 1, &[]);
    let flags = ["-b", &bootstrap, &topic, "--raw", "--transactional-id", &id, "--commit-every", "1"];
    let mut first = Program::start("kafka-produce", flags);
    first.write("a\n");
    eventually("the first line is visible", LIMIT, || committed(&kafka, &topic) == ["a"]);
    let _ = produce(&kafka, &topic, &["--transactional-id", &id], "b\n").expect_code(0);
    first.write("c\n");
    let ended = first.finish(LIMIT).expect_code(1);
    assert!(ended.stderr.contains("a newer producer"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("committed 1 record to {topic}")), "{}", ended.stderr);
    assert_eq!(committed(&kafka, &topic), ["a", "b"]);
}

/// Commits every 50 lines while `trouble` happens to the coordinator of the transactional id; every line is visible once,
/// and in order.
fn commit_during(trouble: impl FnOnce(&RealKafka, u32)) {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let (topic, id, bootstrap) = (unique("coordinated"), unique("id"), kafka.bootstrap());
    kafka.create_topic(&topic, 1, &[]);
    let flags = ["-b", &bootstrap, &topic, "--raw", "--transactional-id", &id, "--commit-every", "50"];
    let mut producer = Program::start("kafka-produce", flags);
    let (mut stdin, stop) = (producer.take_stdin(), Arc::new(AtomicBool::new(false)));
    let until = Arc::clone(&stop);
    let writer = spawn(move || {
        let mut number = 0;
        while !until.load(Ordering::SeqCst) {
            writeln!(stdin, "line {number}").expect("the producer reads on");
            number += 1;
            sleep(Duration::from_millis(2));
        }
        number
    });
    let node = coordinator(&kafka, &id);
    trouble(&kafka, node);
    stop.store(true, Ordering::SeqCst);
    let count: usize = writer.join().expect("the writer does not panic");
    let ended = producer.finish(LIMIT).expect_code(0);
    assert!(ended.stderr.contains(&format!("committed {count} records to {topic}")), "{}", ended.stderr);
    let expected: Vec<String> = (0..count).map(|number| format!("line {number}")).collect();
    assert_eq!(committed(&kafka, &topic), expected);
}

#[test]
fn what_was_said_to_be_committed_is_visible_once_though_the_coordinator_is_killed() {
    commit_during(|kafka, node| {
        kafka.kill(node);
        kafka.start(node);
    });
}

#[test]
fn what_was_said_to_be_committed_is_visible_once_though_the_coordinator_is_frozen_and_thawed() {
    commit_during(|kafka, node| {
        kafka.freeze(node);
        sleep(Duration::from_secs(15));
        kafka.thaw(node);
        sleep(Duration::from_secs(1));
    });
}
