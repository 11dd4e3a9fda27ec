//! `kafka-produce` on a real Kafka that loses answers, whose leaders are killed, frozen and rolled, or that is gone: what
//! was acknowledged is there once and in order, and what was not is named.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use kafka_testkit::{FaultProxy, Link, Program, RealKafka, Rule, api, kcat, run, skip_without_kcat, unique};

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

/// Writes `k0:line 0` and so on to the producer's stdin, 97 keys in turn, at about this many a second, until `stop` and
/// until there are `at_least` so many; then says how many.
fn write_lines(
    producer: &mut Program,
    per_second: usize,
    at_least: usize,
    stop: Arc<AtomicBool>,
) -> JoinHandle<usize> {
    write_each(producer, per_second, at_least, stop, |number| format!("k{}:line {number}\n", number % 97))
}

/// As [`write_lines`], with what `line` makes of each number.
fn write_each(
    producer: &mut Program,
    per_second: usize,
    at_least: usize,
    stop: Arc<AtomicBool>,
    line: fn(usize) -> String,
) -> JoinHandle<usize> {
    let mut stdin = producer.take_stdin();
    spawn(move || {
        let mut number = 0;
        while number < at_least || !stop.load(Ordering::SeqCst) {
            let lines: String = (number..number + per_second / 50).map(line).collect();
            stdin.write_all(lines.as_bytes()).expect("the producer reads on");
            number += per_second / 50;
            sleep(Duration::from_millis(20));
        }
        number
    })
}

/// Produces keyed lines while `trouble` happens, then asserts that all are there, each key in order.
fn produce_during(
    kafka: &RealKafka,
    partitions: u32,
    (per_second, at_least): (usize, usize),
    trouble: impl FnOnce(&RealKafka, &str),
) {
    let topic = unique("trouble");
    kafka.create_topic(&topic, partitions, &[]);
    let mut producer =
        Program::start("kafka-produce", ["-b", &kafka.bootstrap(), &topic, "--raw", "-K", ":"]);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write_lines(&mut producer, per_second, at_least, Arc::clone(&stop));
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
    produce_during(&kafka, 1, (2_000, 10_000), |kafka, topic| {
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
    produce_during(&kafka, 6, (2_000, 0), |kafka, _| {
        for node in 1..=3 {
            kafka.kill(node);
            kafka.start(node);
        }
    });
}

#[test]
fn two_hundred_thousand_lines_survive_a_frozen_leader_and_brokers_rolled_in_turn() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    produce_during(&kafka, 6, (10_000, 200_000), |kafka, topic| {
        let leader = kafka.leader(topic, 0).expect("a leader");
        kafka.freeze(leader);
        sleep(Duration::from_secs(15));
        kafka.thaw(leader);
        for node in 1..=3 {
            kafka.stop(node);
            kafka.start(node);
        }
    });
}

#[test]
fn a_frozen_leader_is_not_waited_for_when_its_partitions_have_moved() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    let topic = unique("frozen");
    kafka.create_topic(&topic, 3, &[]);
    let bootstrap = kafka.bootstrap();
    // Whoever waited for an answer here would wait for the whole test.
    let patience = ["-X", "request.timeout.ms=600000", "-X", "delivery.timeout.ms=600000"];
    let arguments = ["-b", &bootstrap, &topic, "--raw", "-K", ":"].into_iter().chain(patience);
    let mut producer = Program::start("kafka-produce", arguments);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write_lines(&mut producer, 2_000, 0, Arc::clone(&stop));
    // One record, since reading to the end would never end while lines come.
    let first = ["-C", "-e", "-q", "-c", "1", "-b", &bootstrap, "-t", &topic, "-o", "beginning"];
    kafka_testkit::eventually("the first line", LIMIT, || !kcat(&first, "").stdout.is_empty());
    let leader = kafka.leader(&topic, 0).expect("a leader");
    kafka.freeze(leader);
    sleep(Duration::from_secs(2));
    stop.store(true, Ordering::SeqCst);
    let count = writer.join().expect("the writer does not panic");
    let finished = producer.finish(LIMIT);
    kafka.kill(leader);
    kafka.start(leader);
    let _ = finished.expect_code(0);
    assert_whole(&kafka, &topic, count);
}

/// A producer that is kept from one broker, of a thousand lines a second.
struct Hindered {
    topic: String,
    leaders: Vec<Option<u32>>,
    producer: Program,
    writer: JoinHandle<usize>,
}

impl Hindered {
    fn start(kafka: &RealKafka, proxy: &FaultProxy, has_keys: bool, stop: &Arc<AtomicBool>) -> Self {
        let topic = unique("hindered");
        kafka.create_topic(&topic, 6, &[]);
        let leaders = kafka.leaders(&topic);
        let keys: &[&str] = if has_keys { &["-K", ":"] } else { &[] };
        let arguments = ["-b", proxy.bootstrap(), &topic, "--raw", "-o", "json"];
        let mut producer = Program::start("kafka-produce", arguments.iter().chain(keys));
        let line: fn(usize) -> String = match has_keys {
            true => |number| format!("k{}:line {number}\n", number % 97),
            false => |number| format!("line {number}\n"),
        };
        let writer = write_each(&mut producer, 1_000, 0, Arc::clone(stop), line);
        producer.wait_stdout(LIMIT, |acknowledged| acknowledged.lines().count() > 500);
        Self { topic, leaders, producer, writer }
    }

    /// How many records of each partition were acknowledged.
    fn acknowledged(&self) -> Vec<usize> {
        let partition = |line: &str| -> Option<usize> {
            line.split("\"partition\":").nth(1)?.split(',').next()?.parse().ok()
        };
        let mut counts = vec![0; self.leaders.len()];
        self.producer.stdout().lines().filter_map(partition).for_each(|partition| counts[partition] += 1);
        counts
    }

    /// All is there, once and in order.
    fn finish(self, kafka: &RealKafka) {
        let count = self.writer.join().expect("the writer does not panic");
        let _ = self.producer.finish(LIMIT).expect_code(0);
        assert_whole(kafka, &self.topic, count);
    }
}

/// One of three brokers is out of reach for the producers, and alive for the others: its partitions do not move. The
/// other partitions do not wait for it, records without a key go there, and what is meant for it arrives in the end.
fn produce_without_one_broker(away: Duration, shut: fn(&Link), open: fn(&Link)) {
    /// What is under way when the broker goes away, and is noticed to wait for an answer in vain.
    const NOTICED: Duration = Duration::from_secs(3);
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    let (proxy, stop) = (FaultProxy::start(&kafka), Arc::new(AtomicBool::new(false)));
    let keyed = Hindered::start(&kafka, &proxy, true, &stop);
    let keyless = Hindered::start(&kafka, &proxy, false, &stop);
    let node = keyed.leaders[0].expect("a leader");
    shut(proxy.link(node));
    sleep(NOTICED);
    let before = [keyed.acknowledged(), keyless.acknowledged()];
    sleep(away - NOTICED);
    let after = [keyed.acknowledged(), keyless.acknowledged()];
    open(proxy.link(node));
    stop.store(true, Ordering::SeqCst);
    // A machine that is busy with other things writes fewer.
    let many = (away - NOTICED).as_secs() as usize * 1_000 / 5;
    for (partition, leader) in keyed.leaders.iter().enumerate() {
        let sent = after[0][partition] - before[0][partition];
        let least = if *leader == Some(node) { 0 } else { many / 12 };
        assert!(sent >= least, "{sent} records acknowledged by node {leader:?}, partition {partition}");
    }
    let sent: usize = after[1].iter().sum::<usize>() - before[1].iter().sum::<usize>();
    assert!(sent >= many, "{sent} records without a key were acknowledged meanwhile");
    keyed.finish(&kafka);
    keyless.finish(&kafka);
}

#[test]
fn a_broker_in_a_black_hole_holds_up_nothing_but_its_own_partitions_and_those_lose_and_double_nothing() {
    produce_without_one_broker(Duration::from_secs(20), Link::freeze, Link::thaw);
}

#[test]
fn a_broker_that_refuses_connections_holds_up_nothing_but_its_own_partitions() {
    let shut = |link: &Link| {
        link.refuse(true);
        link.cut();
    };
    produce_without_one_broker(Duration::from_secs(8), shut, |link| link.refuse(false));
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
fn an_answer_that_never_comes_costs_a_request_timeout_and_nothing_else() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let topic = unique("silent");
    kafka.create_topic(&topic, 2, &[]);
    let proxy = FaultProxy::start(&kafka);
    proxy.add(Rule::SwallowEvery { api: api::PRODUCE, nth: 5, cut: false });
    let lines: String = (0..3_000).map(|number| format!("line {number}\n")).collect();
    let settings = ["-X", "batch.size=4000", "-X", "request.timeout.ms=1500"];
    let arguments = ["-b", proxy.bootstrap(), &topic, "--raw"].into_iter().chain(settings);
    let _ = run("kafka-produce", arguments, lines, LIMIT).expect_code(0);
    assert!(proxy.swallowed() > 0);
    assert_whole(&kafka, &topic, 3_000);
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
fn every_line_is_acknowledged_or_named_when_the_cluster_is_gone_for_longer_than_the_delivery_timeout() {
    const LINES: usize = 20_000;
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, folder) = (unique("gone"), tempfile::tempdir().unwrap());
    kafka.create_topic(&topic, 2, &[]);
    let (proxy, failed) = (FaultProxy::start(&kafka), folder.path().join("failed.jsonl"));
    let settings = ["batch.size=2000", "delivery.timeout.ms=4000", "request.timeout.ms=2000"];
    let settings = settings.iter().flat_map(|setting| ["-X", setting]);
    let report = ["-o", "json", "--failed-file", failed.to_str().unwrap()];
    let arguments = ["-b", proxy.bootstrap(), &topic, "--raw", "-K", ":"].into_iter();
    let mut producer = Program::start("kafka-produce", arguments.chain(settings).chain(report));
    let lines = |range: std::ops::Range<usize>| range.map(|n| format!("{n}:line {n}\n")).collect::<String>();
    producer.write(lines(0..1_000));
    producer.wait_stdout(LIMIT, |acknowledged| acknowledged.lines().count() == 1_000);
    // Slow enough to be cut in the middle of it.
    proxy.add(Rule::Delay { api: api::PRODUCE, by: Duration::from_millis(50) });
    producer.write(lines(1_000..LINES));
    producer.wait_stdout(LIMIT, |acknowledged| acknowledged.lines().count() > 1_000);
    proxy.refuse(true);
    proxy.cut();
    let ended = producer.finish(Duration::from_secs(60)).expect_code(1);
    let key = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        record["key"].as_str().and_then(|key| key.parse::<usize>().ok()).expect("a key of ours")
    };
    let acknowledged: Vec<usize> = ended.stdout.lines().map(key).collect();
    let named: Vec<usize> = std::fs::read_to_string(&failed).unwrap().lines().map(key).collect();
    let mut all = [&acknowledged[..], &named].concat();
    all.sort_unstable();
    assert_eq!(all, (0..LINES).collect::<Vec<_>>(), "each line is acknowledged or named, and once");
    assert!(acknowledged.len() > 1_000 && !named.is_empty());
    let said = format!("sent {} records to {topic}", acknowledged.len());
    assert!(ended.stderr.contains(&said), "{said}: {}", ended.stderr);
    let number = |(_, line): &(u32, String)| line["line ".len()..].parse().unwrap();
    let mut stored: Vec<usize> = read_all(&kafka, &topic).iter().map(number).collect();
    stored.sort_unstable();
    assert!(stored.is_sorted_by(|one, next| one < next), "nothing is there twice");
    let is_stored = |number: &usize| stored.binary_search(number).is_ok();
    assert!(acknowledged.iter().all(is_stored), "what was acknowledged is there");
}
