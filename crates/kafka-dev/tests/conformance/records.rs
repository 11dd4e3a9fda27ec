//! Writing and reading records: order, idempotence, ends, long polls, epochs.

use std::time::{Duration, Instant};

use kafka_dev::ResponseError as E;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::*;
use kafka_testkit::eventually;

use super::support::{
    ANYONE, FETCH_VERSION, PRODUCE_VERSION, Producer, Wire, fetch_request, name, produce_request,
};
use super::{PATIENCE, code, stage};

#[test]
fn pipelined_requests_are_answered_in_order() {
    let Some(mut stage) = stage() else { return };
    let send =
        |value: &str| stage.wire.send(&produce_request(&stage.topic, ANYONE, &[value]), PRODUCE_VERSION);
    let sent: Vec<i32> = ["a", "b", "c"].map(send).to_vec();
    let answered: Vec<i32> =
        (0..3).map(|_| stage.wire.receive::<ProduceRequest>(PRODUCE_VERSION).unwrap().0).collect();
    assert_eq!(answered, sent);
    assert_eq!(stage.wire.offset(&stage.topic, -1), 3);
}

#[test]
fn api_versions_from_the_future_is_answered_in_the_oldest_form() {
    let Some(mut stage) = stage() else { return };
    stage.wire.send_raw(ApiKey::ApiVersions as i16, 99, 2, &[0, 0, 0]).unwrap();
    let (_, response) = stage.wire.receive::<ApiVersionsRequest>(0).unwrap();
    assert_eq!(response.error_code, code(E::UnsupportedVersion));
    assert!(response.api_keys.iter().any(|api| api.api_key == ApiKey::ApiVersions as i16));
}

#[test]
fn bad_bytes_close_their_connection_and_nothing_else() {
    let Some(mut stage) = stage() else { return };
    for body in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[]] {
        let mut bad = stage.connect();
        bad.send_raw(ApiKey::Metadata as i16, 12, 2, body).unwrap();
        assert!(bad.receive_raw().is_err());
    }
    assert_eq!(stage.wire.produce(&stage.topic, ANYONE, &["still here"]).error_code, 0);
}

#[test]
fn a_batch_with_a_wrong_checksum_is_refused() {
    let Some(mut stage) = stage() else { return };
    let mut request = produce_request(&stage.topic, ANYONE, &["x"]);
    let records = request.topic_data[0].partition_data[0].records.as_mut().unwrap();
    let mut bytes = records.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    *records = bytes.into();
    let response = stage.wire.call(&request, PRODUCE_VERSION);
    assert_eq!(response.responses[0].partition_responses[0].error_code, code(E::CorruptMessage));
}

#[test]
fn a_number_of_acknowledgements_that_cannot_be_is_refused() {
    let Some(mut stage) = stage() else { return };
    let request = produce_request(&stage.topic, ANYONE, &["x"]).with_acks(2);
    let response = stage.wire.call(&request, PRODUCE_VERSION);
    assert_eq!(response.responses[0].partition_responses[0].error_code, code(E::InvalidRequiredAcks));
}

#[test]
fn a_repeated_batch_is_acknowledged_with_its_offset_and_stored_once() {
    let Some(mut stage) = stage() else { return };
    let (wire, topic) = (&mut stage.wire, &stage.topic);
    let mut given = wire.init_producer(None);
    eventually("a producer id", PATIENCE, || {
        given = wire.init_producer(None);
        given.error_code == 0
    });
    let id = given.producer_id.0;
    let producer = Producer { id, epoch: 0, sequence: 0, transactional: false };
    let first = wire.produce(topic, producer, &["a", "b"]);
    let again = wire.produce(topic, producer, &["a", "b"]);
    assert_eq!((first.error_code, again.error_code, again.base_offset), (0, 0, first.base_offset));
    let gap = wire.produce(topic, Producer { sequence: 5, ..producer }, &["f"]);
    assert_eq!(gap.error_code, code(E::OutOfOrderSequenceNumber));
    for sequence in 2..8 {
        assert_eq!(wire.produce(topic, Producer { sequence, ..producer }, &["n"]).error_code, 0);
    }
    let forgotten = wire.produce(topic, producer, &["a", "b"]);
    assert!(
        [code(E::OutOfOrderSequenceNumber), code(E::DuplicateSequenceNumber)].contains(&forgotten.error_code),
        "only the last five batches are known: {forgotten:?}"
    );
    let next = Producer { epoch: 1, sequence: 0, ..producer };
    assert_eq!(wire.produce(topic, next, &["new epoch"]).error_code, 0);
    let fenced = wire.produce(topic, Producer { sequence: 8, ..producer }, &["old epoch"]);
    assert_eq!(fenced.error_code, code(E::InvalidProducerEpoch));
    assert_eq!(wire.offset(topic, -1), 9);
}

#[test]
fn a_fetch_waits_for_records_and_not_longer() {
    let Some(mut stage) = stage() else { return };
    let mut reader = stage.connect();
    let asked = Instant::now();
    reader.send(&fetch_request(&stage.topic, 0, 0, 5000), FETCH_VERSION);
    stage.wire.produce(&stage.topic, ANYONE, &["x"]);
    let (_, response) = reader.receive::<FetchRequest>(FETCH_VERSION).unwrap();
    assert!(response.responses[0].partitions[0].records.as_ref().is_some_and(|records| !records.is_empty()));
    assert!(asked.elapsed() < Duration::from_secs(4));
    let asked = Instant::now();
    let empty = reader.call(&fetch_request(&stage.topic, 1, 0, 300), FETCH_VERSION);
    assert!(empty.responses[0].partitions[0].records.as_ref().is_none_or(|records| records.is_empty()));
    assert!(asked.elapsed() >= Duration::from_millis(290), "{:?}", asked.elapsed());
}

#[test]
fn a_place_outside_the_log_is_out_of_range_and_its_end_is_not() {
    let Some(mut stage) = stage() else { return };
    stage.wire.produce(&stage.topic, ANYONE, &["x"]);
    assert_eq!(stage.wire.fetch(&stage.topic, 1, 0).error_code, 0);
    for outside in [2, -5] {
        let error = stage.wire.fetch(&stage.topic, outside, 0).error_code;
        assert_eq!(error, code(E::OffsetOutOfRange), "{outside}");
    }
}

/// The code, offset and timestamp that `ListOffsets` answers for a partition and time.
fn listed(wire: &mut Wire, topic: &str, partition: i32, timestamp: i64) -> (i16, i64, i64) {
    let asked = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
    let found = wire.call(&request, 7).topics[0].partitions[0].clone();
    (found.error_code, found.offset, found.timestamp)
}

#[test]
fn offsets_are_listed_by_place_and_time() {
    let Some(mut stage) = stage() else { return };
    let (earliest, latest, of_greatest_time) = (-2, -1, -3);
    let (wire, topic) = (&mut stage.wire, &stage.topic);
    assert_eq!(listed(wire, topic, 0, of_greatest_time), (0, -1, -1));
    wire.produce(topic, ANYONE, &["a", "b"]);
    assert_eq!(listed(wire, topic, 0, earliest), (0, 0, -1));
    assert_eq!(listed(wire, topic, 0, latest), (0, 2, -1));
    let (error, offset, timestamp) = listed(wire, topic, 0, of_greatest_time);
    assert_eq!((error, offset), (0, 0), "the first record with the greatest time");
    assert_eq!(listed(wire, topic, 0, timestamp), (0, 0, timestamp));
    assert_eq!(listed(wire, topic, 0, timestamp + 1), (0, -1, -1));
    assert_eq!(listed(wire, topic, 9, latest).0, code(E::UnknownTopicOrPartition));
}

#[test]
fn leader_epochs_that_are_not_the_current_one_are_told_apart() {
    let Some(mut stage) = stage() else { return };
    let mut fetch = |epoch: i32| {
        let partition =
            FetchPartition::default().with_current_leader_epoch(epoch).with_partition_max_bytes(1024);
        let topic = FetchTopic::default().with_topic(name(&stage.topic)).with_partitions(vec![partition]);
        let request = FetchRequest::default().with_max_bytes(1024).with_topics(vec![topic]);
        stage.wire.call(&request, FETCH_VERSION).responses[0].partitions[0].error_code
    };
    assert_eq!([fetch(-1), fetch(0)], [0, 0]);
    assert_eq!(fetch(7), code(E::UnknownLeaderEpoch));
}
