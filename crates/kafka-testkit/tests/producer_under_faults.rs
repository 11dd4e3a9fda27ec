//! `kafka-produce` on a real Kafka that loses answers, whose leaders are killed, frozen and rolled, or that is gone: what
//! was acknowledged is there once and in order, and what was not is named.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use kafka_testkit::{FaultProxy, Program, RealKafka, Rule, api, kcat, run, skip_without_kcat, unique};

const LIMIT: Duration = Duration::from_secs(180);

/// Every record of every partition, in the order of each log, as `PARTITION LINE`, read by kcat.
fn read_all(kafka: &RealKafka, topic: &str) -> Vec<(u32, String)> {
    let flags = ["-C", "-e", "-q", "-b", &kafka.bootstrap(), "-t", topic, "-o", "beginning", "-f", "%p %s\n"];
    let read = kcat(&flags, "").expect_code(0).stdout;
    let split = |line: &str| {
        line.split_once(' ').map(|(partition, line)| (partition.parse().unwrap(), line.to_owned()))
    };
    read.lines().filter_map(split).collect()
}

/// Panics unless the topic holds `line 0` to `line COUNT-1`, each once, in order within each partition.
fn assert_whole(kafka: &RealKafka, topic: &str, count: usize) {
    let read = read_all(kafka, topic);
    let mut seen = vec![0_u32; count];
    let mut last: BTreeMap<u32, usize> = BTreeMap::new();
    for (partition, line) in &read {
        let number: usize = line.strip_prefix("line ").and_then(|n| n.parse().ok()).expect("a line of ours");
        seen[number] += 1;
        let before = last.insert(*partition, number);
        assert!(
            before.is_none_or(|before| before < number),
            "partition {partition}: {number} after {before:?}"
        );
    }
    let lost = seen.iter().filter(|&&times| times == 0).count();
    let doubled = seen.iter().filter(|&&times| times > 1).count();
    assert_eq!((lost, doubled), (0, 0), "lost and doubled of {count}");
}

/// Writes `line 0` and so on to the producer's stdin, at about this many a second, until `stop`; then says how many.
fn write_lines(producer: &mut Program, per_second: u64, stop: Arc<AtomicBool>) -> JoinHandle<usize> {
    let mut stdin = producer.take_stdin();
    spawn(move || {
        let mut number = 0;
        while !stop.load(Ordering::SeqCst) {
            for _ in 0..per_second / 50 {
                writeln!(stdin, "line {number}").expect("the producer reads on");
                number += 1;
            }
            sleep(Duration::from_millis(20));
        }
        number
    })
}

/// Produces while `trouble` happens, then asserts that all is there.
fn produce_during(kafka: &RealKafka, partitions: u32, trouble: impl FnOnce(&RealKafka, &str)) {
    let topic = unique("trouble");
    kafka.create_topic(&topic, partitions, &[]);
    let mut producer = Program::start("kafka-produce", ["-b", &kafka.bootstrap(), &topic, "--raw"]);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write_lines(&mut producer, 2000, Arc::clone(&stop));
    trouble(kafka, &topic);
    stop.store(true, Ordering::SeqCst);
    let count = writer.join().expect("the writer does not panic");
    let _ = producer.finish(LIMIT).expect_code(0);
    assert_whole(kafka, &topic, count);
}

#[test]
fn ten_thousand_lines_survive_a_leader_that_is_killed_and_restarted() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    produce_during(&kafka, 1, |kafka, topic| {
        sleep(Duration::from_secs(1));
        let leader = kafka.leader(topic, 0).expect("a leader");
        kafka.kill(leader);
        sleep(Duration::from_secs(3));
        kafka.start(leader);
    });
}

#[test]
fn nothing_is_lost_or_doubled_while_every_broker_is_killed_in_turn() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    produce_during(&kafka, 6, |kafka, _| {
        for node in 1..=3 {
            kafka.kill(node);
            kafka.start(node);
        }
    });
}

#[test]
fn nothing_is_lost_or_doubled_while_every_broker_is_rolled_in_turn() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    produce_during(&kafka, 6, |kafka, _| {
        for node in 1..=3 {
            kafka.stop(node);
            kafka.start(node);
        }
    });
}

#[test]
fn nothing_is_lost_or_doubled_while_a_leader_is_frozen_for_fifteen_seconds() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    produce_during(&kafka, 3, |kafka, topic| {
        let leader = kafka.leader(topic, 0).expect("a leader");
        kafka.freeze(leader);
        sleep(Duration::from_secs(15));
        kafka.thaw(leader);
        sleep(Duration::from_secs(2));
    });
}

#[test]
fn nothing_is_doubled_when_acknowledgements_are_swallowed() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let topic = unique("swallowed");
    kafka.create_topic(&topic, 2, &[]);
    let proxy = FaultProxy::start(&kafka);
    proxy.add(Rule::SwallowEvery { api: api::PRODUCE, nth: 3, cut: true });
    let lines: String = (0..12_000).map(|number| format!("line {number}\n")).collect();
    let arguments = ["-b", proxy.bootstrap(), &topic, "--raw", "-X", "batch.size=4000"];
    let _ = run("kafka-produce", arguments, lines, LIMIT).expect_code(0);
    assert!(proxy.swallowed() > 3, "{} answers were swallowed", proxy.swallowed());
    assert_whole(&kafka, &topic, 12_000);
}

#[test]
fn a_cluster_without_enough_replicas_is_an_error_and_not_a_loss() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    let topic = unique("short");
    kafka.create_topic(&topic, 1, &["--config", "min.insync.replicas=3"]);
    let follower = (1..=3).find(|&node| Some(node) != kafka.leader(&topic, 0)).expect("three nodes");
    kafka.stop(follower);
    let arguments = ["-b", &kafka.bootstrap(), &topic, "--raw", "-X", "delivery.timeout.ms=8000"];
    let arguments = arguments.into_iter().chain(["-X", "request.timeout.ms=3000"]);
    let sent = run("kafka-produce", arguments, "line in vain\n", Duration::from_secs(60)).expect_code(1);
    assert!(
        sent.stderr.contains("replicas") || sent.stderr.contains("NOT_ENOUGH"),
        "says why: {}",
        sent.stderr
    );
    kafka.start(follower);
    assert!(read_all(&kafka, &topic).len() <= 1);
}

#[test]
fn lines_that_outlive_the_delivery_timeout_are_named_and_the_acknowledged_ones_are_there() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let topic = unique("gone");
    kafka.create_topic(&topic, 1, &[]);
    let proxy = FaultProxy::start(&kafka);
    let timeouts = ["-X", "delivery.timeout.ms=4000", "-X", "request.timeout.ms=2000"];
    let arguments = ["-b", proxy.bootstrap(), &topic, "--raw"].into_iter().chain(timeouts);
    let mut producer = Program::start("kafka-produce", arguments);
    producer.write("line 0\n");
    kafka_testkit::eventually("the first line", LIMIT, || !read_all(&kafka, &topic).is_empty());
    proxy.refuse(true);
    proxy.cut();
    producer.write("line 1\n");
    let ended = producer.finish(Duration::from_secs(30)).expect_code(1);
    assert!(ended.stderr.contains("line 1") || ended.stderr.contains("possibly"), "{}", ended.stderr);
    assert_eq!(read_all(&kafka, &topic), [(0, "line 0".to_owned())]);
}
