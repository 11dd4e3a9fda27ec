//! Reading through faults of the embedded broker: whatever happens to a request, every record is written once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use kafka_dev::{ApiKey, Broker, Config, Fault, Handle, ResponseError};
use kafka_testkit::{Program, Signal, kcat, run, skip_without_kcat};

const LIMIT: Duration = Duration::from_secs(60);

fn broker(brokers: usize) -> Handle {
    Broker::start(Config::in_memory().brokers(brokers).topic("t", 3)).unwrap()
}

/// Lines `from` to `to`, each to the partition of its number modulo three.
fn write(broker: &Handle, from: u32, to: u32) {
    let servers = broker.bootstrap();
    for partition in 0..3 {
        let lines: String = (from..to).filter(|n| n % 3 == partition).map(|n| format!("{n}\n")).collect();
        let partition = partition.to_string();
        let _ = kcat(&["-P", "-b", &servers, "-t", "t", "-p", &partition], lines).expect_code(0);
    }
}

fn numbers(text: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_request_that_fails_in_any_way_loses_and_repeats_nothing() {
    if skip_without_kcat() {
        return;
    }
    let faults = [
        Fault::Error(ResponseError::NotLeaderOrFollower),
        Fault::Error(ResponseError::FencedLeaderEpoch),
        Fault::Error(ResponseError::UnknownTopicId),
        Fault::Error(ResponseError::KafkaStorageError),
        Fault::CloseConnection,
        Fault::DropResponse,
        Fault::Truncate,
        Fault::NeverAnswer,
        Fault::Delay(Duration::from_millis(300)),
    ];
    let broker = broker(1);
    write(&broker, 0, 300);
    let expected: Vec<u32> = (0..300).collect();
    for fault in faults {
        for key in [ApiKey::Fetch, ApiKey::ListOffsets, ApiKey::Metadata] {
            broker.faults().clear();
            broker.faults().on(key).nth(1).then(fault.clone());
            let servers = broker.bootstrap();
            let arguments = [
                "-b",
                &servers,
                "--no-group",
                "t",
                "--exit",
                "-X",
                "request.timeout.ms=1000",
                "--timeout",
                "20s",
            ];
            let finished = run("kafka-consume", arguments, "", LIMIT).expect_code(0);
            assert_eq!(numbers(&finished.stdout), expected, "{fault:?} of {key:?}: {}", finished.stderr);
        }
    }
}

#[test]
fn a_leader_that_dies_is_followed_to_its_successor() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker(3);
    write(&broker, 0, 300);
    let servers = broker.bootstrap();
    let mut reader = Program::start("kafka-consume", ["-b", &servers, "followers", "t", "-f", "%v\\n"]);
    reader.wait_stdout(LIMIT, |out| out.lines().count() == 300);
    let leader = broker.leader("t", 0).unwrap().unwrap();
    broker.stop_broker(leader).unwrap();
    write(&broker, 300, 600);
    reader.wait_stdout(LIMIT, |out| out.lines().count() >= 600);
    reader.signal(Signal::Terminate);
    let finished = reader.finish(LIMIT).expect_code(0);
    assert_eq!(numbers(&finished.stdout), (0..600).collect::<Vec<_>>(), "{}", finished.stderr);
}

#[test]
fn a_leader_that_moves_again_and_again_costs_no_record() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker(3);
    write(&broker, 0, 300);
    for (nth, to) in [(2, 1), (4, 2), (6, 3)] {
        let fault = Fault::MoveLeader { topic: "t".into(), partition: 0, to };
        broker.faults().on(ApiKey::Fetch).nth(nth).then(fault);
    }
    let servers = broker.bootstrap();
    let arguments = ["-b", &servers, "--no-group", "t", "--exit", "-X", "max.partition.fetch.bytes=200"];
    let finished = run("kafka-consume", arguments, "", LIMIT).expect_code(0);
    assert_eq!(numbers(&finished.stdout), (0..300).collect::<Vec<_>>(), "{}", finished.stderr);
}
