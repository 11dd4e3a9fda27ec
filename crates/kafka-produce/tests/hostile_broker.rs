//! Brokers that fail at one kind of request for ever: the run ends within `--timeout`, says why in a few lines, and never
//! calls a record sent that was not acknowledged. The lies about frames and metadata are told in kafka-cli/tests/hostile.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::time::{Duration, Instant};

use kafka_dev::{ApiKey, Broker, Config, Fault, ResponseError};
use kafka_testkit::{binary, run};

/// What `--timeout` says, once for reaching the cluster and once for the record.
const TIMEOUT: Duration = Duration::from_secs(2);
/// And what a loaded machine may take on top.
const SLACK: Duration = Duration::from_secs(4);
const STDERR_LINES: usize = 8;

const FAULTS: [Fault; 8] = [
    Fault::Delay(Duration::from_secs(3600)),
    Fault::Error(ResponseError::UnknownServerError),
    Fault::Error(ResponseError::NotLeaderOrFollower),
    Fault::DropResponse,
    Fault::CloseConnection,
    Fault::NeverAnswer,
    Fault::Corrupt,
    Fault::Truncate,
];

fn survive(key: ApiKey, fault: &Fault, arguments: &[&str]) {
    let broker = Broker::start(Config::in_memory().topic("t", 1)).unwrap();
    broker.faults().on(key).always().then(fault.clone());
    let (started, bootstrap) = (Instant::now(), broker.bootstrap());
    let flags = ["t", "--raw", "-b", &bootstrap, "--timeout", "1s"];
    let done = run("kafka-produce", [&flags[..], arguments].concat(), "a line\n", TIMEOUT + SLACK * 2);
    let shown = format!("{key:?}, {fault:?}: {done:?} after {:?}", started.elapsed());
    assert!(started.elapsed() < TIMEOUT + SLACK, "{shown}");
    assert!(done.code.is_some_and(|code| (1..=6).contains(&code)), "{shown}");
    assert!(!done.stderr.contains("sent 1 record") && !done.stderr.contains("committed 1"), "{shown}");
    assert!(!done.stderr.is_empty() && done.stderr.lines().count() <= STDERR_LINES, "{shown}");
    assert!(!done.stderr.contains("panicked"), "{shown}");
}

fn survive_all(keys: &[ApiKey], arguments: &[&str]) {
    // Built before the clock runs.
    binary("kafka-produce");
    for key in keys {
        std::thread::scope(|scope| {
            for fault in &FAULTS {
                scope.spawn(|| survive(*key, fault, arguments));
            }
        });
    }
}

#[test]
fn a_request_that_fails_for_ever_ends_the_run_in_time() {
    survive_all(&[ApiKey::ApiVersions, ApiKey::Metadata, ApiKey::InitProducerId, ApiKey::Produce], &[]);
}

#[test]
fn a_request_of_a_transaction_that_fails_for_ever_ends_the_run_in_time() {
    let keys = [ApiKey::FindCoordinator, ApiKey::InitProducerId, ApiKey::Produce, ApiKey::EndTxn];
    survive_all(&keys, &["--transactional-id", "x"]);
}
