//! Debian's kcat against the broker: metadata, codecs, idempotence, transactions, groups.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_dev::{Broker, Config, Handle};
use kafka_testkit::{kcat, skip_without_kcat};

fn cluster(brokers: usize, partitions: usize) -> Handle {
    Broker::start(Config::in_memory().brokers(brokers).topic("t", partitions)).unwrap()
}

fn produce(cluster: &Handle, lines: &str, options: &[&str]) {
    let bootstrap = cluster.bootstrap();
    let arguments = [&["-b", bootstrap.as_str(), "-P", "-t", "t"], options].concat();
    let _ = kcat(&arguments, lines).expect_code(0);
}

fn consume(cluster: &Handle, options: &[&str]) -> Vec<String> {
    let bootstrap = cluster.bootstrap();
    let arguments = [&["-b", bootstrap.as_str(), "-C", "-t", "t", "-e", "-q"], options].concat();
    let read = kcat(&arguments, "").expect_code(0);
    let mut lines: Vec<String> = read.stdout.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn metadata_shows_every_broker_and_replica() {
    if skip_without_kcat() {
        return;
    }
    let cluster = cluster(3, 2);
    let listed = kcat(&["-b", &cluster.bootstrap(), "-L"], "").expect_code(0).stdout;
    assert!(listed.contains("3 brokers:"), "{listed}");
    assert_eq!(listed.matches("replicas: ").count(), 2, "{listed}");
}

#[test]
fn records_of_every_codec_come_back_as_they_went() {
    if skip_without_kcat() {
        return;
    }
    let cluster = cluster(1, 1);
    let long = "x".repeat(2000);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        produce(&cluster, &format!("{codec} {long}\n"), &["-z", codec]);
    }
    let expected: Vec<String> =
        ["gzip", "lz4", "none", "snappy", "zstd"].iter().map(|codec| format!("{codec} {long}")).collect();
    assert_eq!(consume(&cluster, &[]), expected);
    let stored = cluster.records("t", 0).unwrap();
    assert_eq!(stored.len(), 5, "the broker can read all codecs too");
}

#[test]
fn ten_thousand_idempotent_records_arrive_once_each() {
    if skip_without_kcat() {
        return;
    }
    let cluster = cluster(3, 3);
    let lines: String = (0..10_000).map(|n| format!("{n:05}\n")).collect();
    produce(&cluster, &lines, &["-X", "enable.idempotence=true"]);
    let read = consume(&cluster, &[]);
    assert_eq!(read, lines.lines().collect::<Vec<_>>());
}

#[test]
fn a_transaction_is_seen_whole() {
    if skip_without_kcat() {
        return;
    }
    let cluster = cluster(1, 1);
    produce(&cluster, "a\nb\n", &["-X", "transactional.id=x"]);
    assert_eq!(consume(&cluster, &["-X", "isolation.level=read_committed"]), ["a", "b"]);
}

#[test]
fn offsets_are_found_by_time() {
    if skip_without_kcat() {
        return;
    }
    let cluster = cluster(1, 1);
    produce(&cluster, "a\n", &[]);
    let found = kcat(&["-b", &cluster.bootstrap(), "-Q", "-t", "t:0:1"], "").expect_code(0);
    assert!(found.stdout.contains("offset 0"), "{}", found.stdout);
}

/// A member of a group that runs until it is killed.
struct Member {
    child: std::process::Child,
    lines: tempfile::NamedTempFile,
}

impl Member {
    fn start(cluster: &Handle) -> Self {
        let lines = tempfile::NamedTempFile::new().unwrap();
        let bootstrap = cluster.bootstrap();
        let options = ["-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000", "-u"];
        let child = Command::new("kcat")
            .args(["-b", bootstrap.as_str(), "-G", "g", "t"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(lines.reopen().unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, lines }
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(self.lines.path()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn when_one_of_two_members_is_killed_the_other_takes_over() {
    if skip_without_kcat() {
        return;
    }
    let cluster = cluster(1, 2);
    let (first, second) = (Member::start(&cluster), Member::start(&cluster));
    let feed = |what: &str| {
        produce(&cluster, &format!("p0-{what}\n"), &["-p", "0"]);
        produce(&cluster, &format!("p1-{what}\n"), &["-p", "1"]);
    };
    wait_until("sharing of the partitions", || {
        feed("early");
        !first.lines().is_empty() && !second.lines().is_empty()
    });
    drop(first);
    cluster.advance(Duration::from_secs(7));
    feed("last");
    wait_until("the take-over", || {
        let lines = second.lines();
        ["p0-last", "p1-last"].iter().all(|last| lines.iter().any(|line| line.starts_with(last)))
    });
}
