//! What was acknowledged is there after SIGKILL, once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;

use kafka_dev::{Broker, Config};
use kafka_protocol::messages::ProduceRequest;
use support::{PRODUCE_VERSION, Producer, Program, Wire, produce_request};

const RECORDS: usize = 200_000;
const RECORDS_PER_BATCH: usize = 100;
const IN_FLIGHT: usize = 5;
/// Acknowledged batches after which the broker is killed.
const KILL_AFTER: [usize; 3] = [300, 900, 1_500];

fn values(batch: usize) -> Vec<String> {
    (0..RECORDS_PER_BATCH).map(|at| (batch * RECORDS_PER_BATCH + at).to_string()).collect()
}

fn send(wire: &mut Wire, id: i64, batch: usize) -> bool {
    let sequence = i32::try_from(batch * RECORDS_PER_BATCH).unwrap();
    let producer = Producer { id, epoch: 0, sequence, transactional: false };
    let values = values(batch);
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    wire.try_send(&produce_request("t", producer, &values), PRODUCE_VERSION).is_ok()
}

/// Sends batches from `from` on, five in flight, until all are acknowledged or the connection breaks or `stop_at` are
/// acknowledged; how many are.
fn produce(wire: &mut Wire, id: i64, from: usize, stop_at: usize) -> usize {
    let (mut sent, mut acknowledged) = (from, from);
    while acknowledged < stop_at {
        while sent < RECORDS / RECORDS_PER_BATCH && sent - acknowledged < IN_FLIGHT {
            if !send(wire, id, sent) {
                return acknowledged;
            }
            sent += 1;
        }
        let Ok((_, response)) = wire.receive::<ProduceRequest>(PRODUCE_VERSION) else { return acknowledged };
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
        acknowledged += 1;
    }
    acknowledged
}

#[test]
fn two_hundred_thousand_idempotent_records_survive_kill_9_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let arguments = ["--data-dir", data_dir, "--topic", "t:1"];
    let mut program = Program::start(&arguments);
    let mut wire = Wire::connect(&program.address);
    let id = wire.init_producer(None).producer_id.0;
    let mut acknowledged = 0;
    for kill_after in KILL_AFTER {
        acknowledged = produce(&mut wire, id, acknowledged, kill_after);
        let port = program.port();
        program.kill();
        program = Program::start_on(port, &arguments);
        wire = Wire::connect(&program.address);
    }
    let all = RECORDS / RECORDS_PER_BATCH;
    assert_eq!(produce(&mut wire, id, acknowledged, all), all);
    program.kill();
    let cluster = Broker::start(Config::in_memory().data_dir(dir.path())).unwrap();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for record in cluster.records("t", 0).unwrap() {
        *seen.entry(String::from_utf8(record.value.unwrap().to_vec()).unwrap()).or_default() += 1;
    }
    assert_eq!(seen.len(), RECORDS);
    assert!(seen.values().all(|count| *count == 1));
}

#[test]
fn two_brokers_cannot_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Broker::start(Config::in_memory().data_dir(dir.path())).unwrap();
    assert!(Broker::start(Config::in_memory().data_dir(dir.path())).is_err());
}

#[test]
fn topics_and_their_records_are_there_after_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config::in_memory().data_dir(dir.path()).brokers(3).topic("t", 2);
    let cluster = Broker::start(config()).unwrap();
    let leader = cluster.leader("t", 0).unwrap().unwrap();
    let mut wire = Wire::connect(&cluster.address(leader).unwrap());
    wire.produce("t", support::ANYONE, &["a"]);
    cluster.shutdown();
    let cluster = Broker::start(config()).unwrap();
    assert_eq!(cluster.records("t", 0).unwrap().len(), 1);
    assert!(cluster.records("t", 1).unwrap().is_empty());
}

#[test]
fn a_deleted_topic_leaves_nothing_behind_for_its_namesake() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Broker::start(Config::in_memory().data_dir(dir.path()).topic("t", 1)).unwrap();
    let mut wire = Wire::connect(&cluster.bootstrap());
    wire.produce("t", support::ANYONE, &["a"]);
    let request =
        kafka_protocol::messages::DeleteTopicsRequest::default().with_topic_names(vec![support::name("t")]);
    assert_eq!(wire.call(&request, 4).responses[0].error_code, 0);
    cluster.create_topic("t", 1).unwrap();
    assert!(cluster.records("t", 0).unwrap().is_empty());
}
