//! What a client sees on a connection: order, unknown APIs, bad bytes, idempotence, long polls, transactions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use kafka_dev::{Broker, Config, Handle, ResponseError};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use support::{ANYONE, FETCH_VERSION, PRODUCE_VERSION, Producer, Wire, fetch_request, name, produce_request};

const READ_UNCOMMITTED: i8 = 0;
const READ_COMMITTED: i8 = 1;

fn cluster() -> Handle {
    Broker::start(Config::in_memory().topic("t", 1)).unwrap()
}

fn values(cluster: &Handle) -> Vec<String> {
    let text = |record: kafka_dev::Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    cluster.records("t", 0).unwrap().into_iter().map(text).collect()
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    let sent: Vec<i32> = ["a", "b", "c"]
        .iter()
        .map(|v| wire.send(&produce_request("t", ANYONE, &[v]), PRODUCE_VERSION))
        .collect();
    let answered: Vec<i32> =
        (0..3).map(|_| wire.receive::<ProduceRequest>(PRODUCE_VERSION).unwrap().0).collect();
    assert_eq!(answered, sent);
    assert_eq!(values(&cluster), ["a", "b", "c"]);
}

#[test]
fn an_api_that_does_not_exist_is_answered_and_the_connection_stays_open() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    wire.send_raw(999, 0, 1, &[]).unwrap();
    let answer = wire.receive_raw().unwrap();
    assert_eq!(i16::from_be_bytes([answer[8], answer[9]]), ResponseError::UnsupportedVersion.code());
    assert_eq!(wire.call(&MetadataRequest::default().with_topics(None), 9).topics.len(), 1);
}

#[test]
fn api_versions_from_the_future_is_answered_in_the_oldest_form() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    wire.send_raw(ApiKey::ApiVersions as i16, 99, 2, &[0, 0, 0]).unwrap();
    let (_, response) = wire.receive::<ApiVersionsRequest>(0).unwrap();
    assert_eq!(response.error_code, ResponseError::UnsupportedVersion.code());
    assert!(response.api_keys.iter().any(|api| api.api_key == ApiKey::Produce as i16));
}

#[test]
fn bad_bytes_close_their_connection_and_nothing_else() {
    let cluster = cluster();
    let mut good = Wire::connect(&cluster.bootstrap());
    for body in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x80; 64], &[]] {
        let mut bad = Wire::connect(&cluster.bootstrap());
        bad.send_raw(ApiKey::Metadata as i16, 12, 2, body).unwrap();
        assert!(bad.receive_raw().is_err());
    }
    assert_eq!(good.produce("t", ANYONE, &["still here"]).error_code, 0);
}

#[test]
fn a_batch_with_a_wrong_checksum_is_refused() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    let mut request = produce_request("t", ANYONE, &["x"]);
    let records = request.topic_data[0].partition_data[0].records.as_mut().unwrap();
    let mut bytes = records.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    *records = bytes.into();
    let response = wire.call(&request, PRODUCE_VERSION);
    let error = response.responses[0].partition_responses[0].error_code;
    assert_eq!(error, ResponseError::CorruptMessage.code());
}

#[test]
fn a_repeated_batch_is_acknowledged_with_its_offset_and_stored_once() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    let id = wire.init_producer(None).producer_id.0;
    let producer = Producer { id, epoch: 0, sequence: 0, transactional: false };
    let first = wire.produce("t", producer, &["a", "b"]);
    let again = wire.produce("t", producer, &["a", "b"]);
    assert_eq!((first.error_code, again.error_code, again.base_offset), (0, 0, first.base_offset));
    let gap = wire.produce("t", Producer { sequence: 5, ..producer }, &["f"]);
    assert_eq!(gap.error_code, ResponseError::OutOfOrderSequenceNumber.code());
    assert_eq!(values(&cluster), ["a", "b"]);
}

#[test]
fn a_fetch_waits_for_records_and_not_longer() {
    let cluster = cluster();
    let mut reader = Wire::connect(&cluster.bootstrap());
    let mut writer = Wire::connect(&cluster.bootstrap());
    let asked = Instant::now();
    reader.send(&fetch_request("t", 0, READ_UNCOMMITTED, 5000), FETCH_VERSION);
    writer.produce("t", ANYONE, &["x"]);
    let (_, response) = reader.receive::<FetchRequest>(FETCH_VERSION).unwrap();
    assert!(response.responses[0].partitions[0].records.as_ref().is_some_and(|records| !records.is_empty()));
    assert!(asked.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_fetch_past_the_end_is_out_of_range() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    let error = wire.fetch("t", 1, READ_UNCOMMITTED).error_code;
    assert_eq!(error, ResponseError::OffsetOutOfRange.code());
}

#[test]
fn partitions_get_another_leader_when_theirs_stops() {
    let cluster = Broker::start(Config::in_memory().brokers(3).topic("t", 1)).unwrap();
    let first = cluster.leader("t", 0).unwrap().unwrap();
    let mut wire = Wire::connect(&cluster.address(first).unwrap());
    assert_eq!(wire.produce("t", ANYONE, &["before"]).error_code, 0);
    cluster.stop_broker(first).unwrap();
    assert!(wire.try_produce("t", ANYONE, &["lost"]).is_err());
    let second = cluster.leader("t", 0).unwrap().unwrap();
    assert_ne!(first, second);
    let mut wire = Wire::connect(&cluster.address(second).unwrap());
    assert_eq!(wire.produce("t", ANYONE, &["after"]).error_code, 0);
    cluster.start_broker(first).unwrap();
    let mut old = Wire::connect(&cluster.address(first).unwrap());
    let error = old.produce("t", ANYONE, &["wrong"]).error_code;
    assert_eq!(error, ResponseError::NotLeaderOrFollower.code());
    assert_eq!(values(&cluster), ["before", "after"]);
}

#[test]
fn a_restarted_broker_takes_the_lead_back_when_told_to() {
    let cluster = Broker::start(Config::in_memory().brokers(2).topic("t", 1)).unwrap();
    let first = cluster.leader("t", 0).unwrap().unwrap();
    cluster.stop_broker(first).unwrap();
    assert!(cluster.move_leader("t", 0, first).is_err());
    cluster.start_broker(first).unwrap();
    cluster.move_leader("t", 0, first).unwrap();
    assert_eq!(cluster.leader("t", 0).unwrap(), Some(first));
}

fn begin(wire: &mut Wire, id: &str) -> Producer {
    let given = wire.init_producer(Some(id));
    let producer =
        Producer { id: given.producer_id.0, epoch: given.producer_epoch, sequence: 0, transactional: true };
    let topic = AddPartitionsToTxnTopic::default().with_name(name("t")).with_partitions(vec![0]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(StrBytes::from_string(id.to_owned())))
        .with_v3_and_below_producer_id(given.producer_id)
        .with_v3_and_below_producer_epoch(given.producer_epoch)
        .with_v3_and_below_topics(vec![topic]);
    let added = wire.call(&request, 3);
    assert_eq!(added.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code, 0);
    producer
}

fn write(wire: &mut Wire, id: &str, producer: Producer, value: &str) -> i16 {
    let id = TransactionalId(StrBytes::from_string(id.to_owned()));
    let request = produce_request("t", producer, &[value]).with_transactional_id(Some(id));
    wire.call(&request, PRODUCE_VERSION).responses[0].partition_responses[0].error_code
}

fn end(wire: &mut Wire, id: &str, producer: Producer, commit: bool) -> i16 {
    let request = EndTxnRequest::default()
        .with_transactional_id(TransactionalId(StrBytes::from_string(id.to_owned())))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_committed(commit);
    wire.call(&request, 3).error_code
}

#[test]
fn an_open_transaction_is_hidden_from_read_committed_until_it_ends() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    let producer = begin(&mut wire, "x");
    assert_eq!(write(&mut wire, "x", producer, "a"), 0);
    let open = wire.fetch("t", 0, READ_COMMITTED);
    assert_eq!((open.last_stable_offset, open.high_watermark), (0, 1));
    assert!(open.records.unwrap().is_empty());
    assert_eq!(end(&mut wire, "x", producer, true), 0);
    let ended = wire.fetch("t", 0, READ_COMMITTED);
    assert_eq!((ended.last_stable_offset, ended.aborted_transactions), (2, Some(Vec::new())));
    assert!(!ended.records.unwrap().is_empty());
}

#[test]
fn an_aborted_transaction_is_named_to_read_committed_consumers() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    let producer = begin(&mut wire, "x");
    write(&mut wire, "x", producer, "a");
    assert_eq!(end(&mut wire, "x", producer, false), 0);
    let aborted = wire.fetch("t", 0, READ_COMMITTED).aborted_transactions.unwrap();
    assert_eq!((aborted.len(), aborted[0].producer_id.0, aborted[0].first_offset), (1, producer.id, 0));
}

#[test]
fn writing_to_a_partition_outside_the_transaction_is_refused() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    let given = wire.init_producer(Some("x"));
    let producer =
        Producer { id: given.producer_id.0, epoch: given.producer_epoch, sequence: 0, transactional: true };
    assert_eq!(write(&mut wire, "x", producer, "a"), ResponseError::InvalidTxnState.code());
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    let producer = begin(&mut wire, "x");
    write(&mut wire, "x", producer, "a");
    cluster.advance(Duration::from_secs(61));
    let fetch = fetch_request("t", 1, READ_COMMITTED, 5000);
    let response = wire.call(&fetch, FETCH_VERSION);
    assert_eq!(response.responses[0].partitions[0].last_stable_offset, 2);
    assert_eq!(end(&mut wire, "x", producer, true), ResponseError::ProducerFenced.code());
}

#[test]
fn old_records_go_when_their_time_is_over() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    wire.produce("t", ANYONE, &["old"]);
    cluster.advance(Duration::from_secs(8 * 24 * 3600));
    let deadline = Instant::now() + Duration::from_secs(10);
    while wire.offset("t", -2) == 0 {
        assert!(Instant::now() < deadline, "retention did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((wire.offset("t", -2), wire.offset("t", -1)), (1, 1));
}

#[test]
fn what_fuzzing_starts_from_are_requests() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/request");
    for file in std::fs::read_dir(corpus).unwrap() {
        let path = file.unwrap().path();
        assert!(kafka_dev::decode_request(&std::fs::read(&path).unwrap()), "{}", path.display());
    }
}
