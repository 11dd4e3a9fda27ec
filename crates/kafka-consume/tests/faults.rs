//! Reading through faults of the embedded broker: whatever happens to a request, every record is written once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use kafka_dev::{ApiKey, Broker, Config, Fault, Handle, ResponseError};
use kafka_testkit::{Program, Signal, binary, eventually, kcat, run, skip_without_kcat};

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

#[test]
fn a_member_that_stood_still_prints_nothing_of_what_it_had_fetched_and_others_have_printed_meanwhile() {
    /// One answer and a little: it was handed out before.
    const IN_HAND: usize = 200_000;
    let broker = Broker::start(Config::in_memory().topic("t", 1)).unwrap();
    let servers = broker.bootstrap();
    let lines: String = (0..40_000).map(|number| format!("{number:0>99}\n")).collect();
    let arguments = ["-b", &servers, "t", "--raw", "-X", "batch.size=10000"];
    let _ = run("kafka-produce", arguments, lines, LIMIT).expect_code(0);

    let flags = ["-b", &servers, "g", "t", "-f", "%v\\n", "--group-protocol", "classic"];
    let limits = ["session.timeout.ms=6000", "max.partition.fetch.bytes=200000"];
    let limits = limits.map(|limit| ["-X", limit]).concat();
    let mut sleeper = Command::new(binary("kafka-consume"));
    sleeper.args(flags).args(&limits).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut sleeper = sleeper.spawn().unwrap();
    let (mut pipe, told) = (sleeper.stdout.take().unwrap(), sleeper.stderr.take().unwrap());
    // One line is read, so that it is known to be at work, and no more: it fetches ahead, and waits for the pipe.
    let mut printed = vec![0; 100];
    pipe.read_exact(&mut printed).unwrap();
    eventually("a full pipe", LIMIT, || rustix::io::ioctl_fionread(&pipe).unwrap() > 60_000);
    Signal::Freeze.send(sleeper.id());
    let mut other = Program::start("kafka-consume", flags.iter().chain(&limits));
    other.wait_stdout(LIMIT, |out| out.len() >= 36_000 * 100);

    let reader = std::thread::spawn(move || {
        pipe.read_to_end(&mut printed).unwrap();
        printed.len()
    });
    // It has time to print what it had fetched before it hears from the coordinator.
    broker.faults().on(ApiKey::Heartbeat).then(Fault::Delay(Duration::from_secs(2)));
    Signal::Thaw.send(sleeper.id());
    let lost = BufReader::new(told).lines().any(|line| line.unwrap().starts_with("lost "));
    Signal::Terminate.send(sleeper.id());
    assert!(lost && sleeper.wait().unwrap().success());
    let printed = reader.join().unwrap();
    assert!(printed < IN_HAND, "{printed} bytes");
}
