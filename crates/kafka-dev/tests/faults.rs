//! Each fault as the client meets it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use kafka_dev::{ApiKey, Broker, Config, Fault, Handle, ResponseError};
use kafka_protocol::messages::{MetadataRequest, ProduceRequest};
use support::{ANYONE, PRODUCE_VERSION, Wire, produce_request};

fn cluster() -> Handle {
    Broker::start(Config::in_memory().topic("t", 1)).unwrap()
}

fn stored(cluster: &Handle) -> usize {
    cluster.records("t", 0).unwrap().len()
}

#[test]
fn an_error_is_answered_and_nothing_is_done() {
    let cluster = cluster();
    cluster.faults().on(ApiKey::Produce).then(Fault::Error(ResponseError::NotLeaderOrFollower));
    let mut wire = Wire::connect(&cluster.bootstrap());
    let error = wire.produce("t", ANYONE, &["x"]).error_code;
    assert_eq!((error, stored(&cluster)), (ResponseError::NotLeaderOrFollower.code(), 0));
    assert_eq!(wire.produce("t", ANYONE, &["x"]).error_code, 0);
}

#[test]
fn a_dropped_response_leaves_the_work_done_and_the_connection_closed() {
    let cluster = cluster();
    cluster.faults().on(ApiKey::Produce).nth(2).then(Fault::DropResponse);
    let mut wire = Wire::connect(&cluster.bootstrap());
    assert_eq!(wire.produce("t", ANYONE, &["a"]).error_code, 0);
    assert!(wire.try_produce("t", ANYONE, &["b"]).is_err());
    assert_eq!(stored(&cluster), 2);
}

#[test]
fn a_closed_connection_leaves_the_work_undone() {
    let cluster = cluster();
    cluster.faults().on(ApiKey::Produce).then(Fault::CloseConnection);
    let mut wire = Wire::connect(&cluster.bootstrap());
    assert!(wire.try_produce("t", ANYONE, &["a"]).is_err());
    assert_eq!(stored(&cluster), 0);
}

#[test]
fn a_request_that_is_never_answered_keeps_its_connection_open() {
    let cluster = cluster();
    cluster.faults().on(ApiKey::Produce).then(Fault::NeverAnswer);
    let mut wire = Wire::connect(&cluster.bootstrap());
    wire.set_patience(Duration::from_millis(100));
    let error = wire.try_produce("t", ANYONE, &["a"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert_eq!(stored(&cluster), 0);
    let mut other = Wire::connect(&cluster.bootstrap());
    assert_eq!(other.produce("t", ANYONE, &["b"]).error_code, 0);
}

#[test]
fn work_may_be_done_and_never_answered() {
    let cluster = cluster();
    cluster.faults().on(ApiKey::Produce).then(Fault::WorkThenNeverAnswer);
    let mut wire = Wire::connect(&cluster.bootstrap());
    wire.set_patience(Duration::from_millis(100));
    assert!(wire.try_produce("t", ANYONE, &["a"]).is_err());
    assert_eq!(stored(&cluster), 1);
}

#[test]
fn a_delay_delays() {
    let cluster = cluster();
    cluster.faults().on(ApiKey::Metadata).then(Fault::Delay(Duration::from_millis(80)));
    let mut wire = Wire::connect(&cluster.bootstrap());
    let asked = Instant::now();
    wire.call(&MetadataRequest::default(), 9);
    assert!(asked.elapsed() >= Duration::from_millis(80));
}

#[test]
fn a_corrupt_answer_keeps_its_length_and_correlation_id() {
    let cluster = cluster();
    cluster.faults().on(ApiKey::Produce).then(Fault::Corrupt);
    let mut wire = Wire::connect(&cluster.bootstrap());
    let id = wire.send(&produce_request("t", ANYONE, &["a"]), PRODUCE_VERSION);
    let frame = wire.receive_raw().unwrap();
    assert_eq!(frame[..4], id.to_be_bytes());
    assert_eq!(frame[4], 0xff, "the empty tagged fields of the header, inverted");
    wire.send(&produce_request("t", ANYONE, &["b"]), PRODUCE_VERSION);
    assert!(wire.receive::<ProduceRequest>(PRODUCE_VERSION).is_ok());
}

#[test]
fn a_truncated_answer_ends_the_connection() {
    let cluster = cluster();
    cluster.faults().on(ApiKey::Produce).then(Fault::Truncate);
    let mut wire = Wire::connect(&cluster.bootstrap());
    let error = wire.try_produce("t", ANYONE, &["a"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn the_leader_moves_right_before_the_request() {
    let cluster = Broker::start(Config::in_memory().brokers(2).topic("t", 1)).unwrap();
    let leader = cluster.leader("t", 0).unwrap().unwrap();
    let to = 3 - leader;
    let moves = Fault::MoveLeader { topic: "t".to_owned(), partition: 0, to };
    cluster.faults().on(ApiKey::Produce).topic("t").broker(leader).then(moves);
    let mut wire = Wire::connect(&cluster.address(leader).unwrap());
    let error = wire.produce("t", ANYONE, &["a"]).error_code;
    assert_eq!(error, ResponseError::NotLeaderOrFollower.code());
    assert_eq!(cluster.leader("t", 0).unwrap(), Some(to));
}

#[test]
fn a_broker_stops_in_the_middle_of_a_request_to_it() {
    let cluster = Broker::start(Config::in_memory().brokers(2).topic("t", 1)).unwrap();
    let leader = cluster.leader("t", 0).unwrap().unwrap();
    cluster.faults().on(ApiKey::Produce).then(Fault::StopBroker(leader));
    let mut wire = Wire::connect(&cluster.address(leader).unwrap());
    assert!(wire.try_produce("t", ANYONE, &["a"]).is_err());
    assert_eq!(cluster.live_brokers(), [3 - leader]);
}

#[test]
fn rules_can_name_the_client_and_end_when_cleared() {
    let cluster = cluster();
    let faults = cluster.faults();
    faults.on_any().client("somebody else").always().then(Fault::CloseConnection);
    let mut wire = Wire::connect(&cluster.bootstrap());
    assert_eq!(wire.produce("t", ANYONE, &["a"]).error_code, 0);
    faults.on_any().client("wire").always().then(Fault::CloseConnection);
    assert!(wire.try_produce("t", ANYONE, &["b"]).is_err());
    faults.clear();
    let mut wire = Wire::connect(&cluster.bootstrap());
    assert_eq!(wire.produce("t", ANYONE, &["c"]).error_code, 0);
}
