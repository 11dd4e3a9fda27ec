//! Transactions: their states, who is fenced, and what readers see.

use kafka_dev::ResponseError as E;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use kafka_testkit::eventually;

use super::support::{PRODUCE_VERSION, Producer, Wire, name, produce_request};
use super::{GROUP, PATIENCE, TRANSACTION, code, group_id, stage, text};

const READ_COMMITTED: i8 = 1;

fn transactional(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

/// A producer id and epoch for a transactional id.
fn init(wire: &mut Wire, id: &str) -> Producer {
    let mut given = InitProducerIdResponse::default();
    eventually("a producer id", PATIENCE, || {
        given = wire.init_producer(Some(id));
        given.error_code == 0
    });
    Producer { id: given.producer_id.0, epoch: given.producer_epoch, sequence: 0, transactional: true }
}

fn add(wire: &mut Wire, id: &str, producer: Producer, topic: &str) -> i16 {
    let topic = AddPartitionsToTxnTopic::default().with_name(name(topic)).with_partitions(vec![0]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(transactional(id))
        .with_v3_and_below_producer_id(ProducerId(producer.id))
        .with_v3_and_below_producer_epoch(producer.epoch)
        .with_v3_and_below_topics(vec![topic]);
    wire.call(&request, 3).results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
}

/// Adds once the transaction before it has been ended everywhere.
fn begin(wire: &mut Wire, id: &str, producer: Producer, topic: &str) {
    eventually("a partition in the transaction", PATIENCE, || {
        let added = add(wire, id, producer, topic);
        assert!([0, code(E::ConcurrentTransactions)].contains(&added), "{added}");
        added == 0
    });
}

fn write(wire: &mut Wire, id: &str, producer: Producer, topic: &str) -> i16 {
    let request = produce_request(topic, producer, &["v"]).with_transactional_id(Some(transactional(id)));
    wire.call(&request, PRODUCE_VERSION).responses[0].partition_responses[0].error_code
}

fn end(wire: &mut Wire, id: &str, producer: Producer, commit: bool) -> i16 {
    let request = EndTxnRequest::default()
        .with_transactional_id(transactional(id))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_committed(commit);
    wire.call(&request, 3).error_code
}

#[test]
fn an_open_transaction_is_hidden_until_it_ends_and_an_aborted_one_is_named() {
    let Some(mut stage) = stage() else { return };
    let id = stage.coordinated(TRANSACTION);
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    let producer = init(wire, &id);
    begin(wire, &id, producer, topic);
    assert_eq!(write(wire, &id, producer, topic), 0);
    let open = wire.fetch(topic, 0, READ_COMMITTED);
    assert_eq!((open.last_stable_offset, open.high_watermark), (0, 1));
    assert!(open.records.is_none_or(|records| records.is_empty()));
    assert_eq!(end(wire, &id, producer, true), 0);
    eventually("the marker", PATIENCE, || wire.fetch(topic, 0, READ_COMMITTED).last_stable_offset == 2);

    begin(wire, &id, producer, topic);
    assert_eq!(write(wire, &id, Producer { sequence: 1, ..producer }, topic), 0);
    assert_eq!(end(wire, &id, producer, false), 0);
    eventually("the marker", PATIENCE, || wire.fetch(topic, 0, READ_COMMITTED).last_stable_offset == 4);
    let aborted = wire.fetch(topic, 0, READ_COMMITTED).aborted_transactions.unwrap();
    assert_eq!((aborted.len(), aborted[0].producer_id.0, aborted[0].first_offset), (1, producer.id, 2));
}

#[test]
fn ending_twice_is_harmless_and_ending_otherwise_is_refused() {
    let Some(mut stage) = stage() else { return };
    let id = stage.coordinated(TRANSACTION);
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    let producer = init(wire, &id);
    assert_eq!(end(wire, &id, producer, true), code(E::InvalidTxnState), "nothing was begun");
    begin(wire, &id, producer, topic);
    assert_eq!(end(wire, &id, producer, true), 0);
    eventually("the end of the transaction", PATIENCE, || end(wire, &id, producer, true) == 0);
    assert_eq!(end(wire, &id, producer, false), code(E::InvalidTxnState));
}

#[test]
fn a_producer_that_was_replaced_is_fenced() {
    let Some(mut stage) = stage() else { return };
    let id = stage.coordinated(TRANSACTION);
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    let old = init(wire, &id);
    begin(wire, &id, old, topic);
    assert_eq!(write(wire, &id, old, topic), 0);
    let new = init(wire, &id);
    assert_eq!(new.id, old.id);
    assert!(new.epoch > old.epoch, "{} after {}", new.epoch, old.epoch);
    assert_eq!(end(wire, &id, old, true), code(E::ProducerFenced));
    assert_eq!(add(wire, &id, old, topic), code(E::ProducerFenced));
    eventually("the old transaction's end", PATIENCE, || {
        wire.fetch(topic, 0, READ_COMMITTED).last_stable_offset == 2
    });
    assert_eq!(write(wire, &id, Producer { sequence: 1, ..old }, topic), code(E::InvalidProducerEpoch));
}

#[test]
fn what_was_not_begun_cannot_be_written_to() {
    let Some(mut stage) = stage() else { return };
    let id = stage.coordinated(TRANSACTION);
    let producer = init(&mut stage.wire, &id);
    assert_eq!(write(&mut stage.wire, &id, producer, &stage.topic), code(E::InvalidTxnState));
}

#[test]
fn strangers_are_told_apart() {
    let Some(mut stage) = stage() else { return };
    let id = stage.coordinated(TRANSACTION);
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    let nobody = Producer { id: 987_654_321, epoch: 0, sequence: 0, transactional: true };
    assert_eq!(end(wire, &id, nobody, true), code(E::InvalidProducerIdMapping));
    assert_eq!(add(wire, &id, nobody, topic), code(E::InvalidProducerIdMapping));
    let known = init(wire, &id);
    assert_eq!(
        add(wire, &id, Producer { id: known.id + 1, ..known }, topic),
        code(E::InvalidProducerIdMapping)
    );
    let missing = format!("{topic}-missing");
    assert_eq!(add(wire, &id, known, &missing), code(E::UnknownTopicOrPartition));
    let too_long = InitProducerIdRequest::default()
        .with_transactional_id(Some(transactional(&id)))
        .with_transaction_timeout_ms(i32::MAX);
    assert_eq!(wire.call(&too_long, 4).error_code, code(E::InvalidTransactionTimeout));
    let describe = DescribeTransactionsRequest::default();
    let of = |id: &str| describe.clone().with_transactional_ids(vec![transactional(id)]);
    assert_eq!(wire.call(&of(&id), 0).transaction_states[0].transaction_state.as_str(), "Empty");
    let unknown = wire.call(&of(&format!("{id}-unknown")), 0).transaction_states[0].error_code;
    assert_eq!(unknown, code(E::TransactionalIdNotFound));
}

fn add_group(wire: &mut Wire, id: &str, producer: Producer, group: &str) -> i16 {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(transactional(id))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_group_id(group_id(group));
    wire.call(&request, 3).error_code
}

fn commit_offset(
    wire: &mut Wire,
    id: &str,
    producer: Producer,
    group: &str,
    topic: &str,
    offset: i64,
) -> i16 {
    let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic =
        TxnOffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(transactional(id))
        .with_group_id(group_id(group))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_generation_id(-1)
        .with_topics(vec![topic]);
    wire.call(&request, 3).topics[0].partitions[0].error_code
}

/// Code and offset of partition 0; `stable` waits for no open transaction.
fn committed(wire: &mut Wire, group: &str, topic: &str, stable: bool) -> (i16, i64) {
    let asked = OffsetFetchRequestTopic::default().with_name(name(topic)).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(Some(vec![asked]));
    let found = wire.call(&request.with_require_stable(stable), 7).topics[0].partitions[0].clone();
    (found.error_code, found.committed_offset)
}

#[test]
fn offsets_of_a_transaction_count_once_it_commits_and_never_where_it_aborts() {
    let Some(mut stage) = stage() else { return };
    let (id, group) = (stage.coordinated(TRANSACTION), stage.coordinated(GROUP));
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    let producer = init(wire, &id);
    for (commits, offset, before, after) in [(true, 7, -1, 7), (false, 9, 7, 7)] {
        eventually("the group is in the transaction", PATIENCE, || {
            let added = add_group(wire, &id, producer, &group);
            assert!([0, code(E::ConcurrentTransactions)].contains(&added), "{added}");
            added == 0
        });
        assert_eq!(commit_offset(wire, &id, producer, &group, topic, offset), 0);
        assert_eq!(committed(wire, &group, topic, true).0, code(E::UnstableOffsetCommit));
        assert_eq!(committed(wire, &group, topic, false), (0, before));
        assert_eq!(end(wire, &id, producer, commits), 0);
        eventually("the transaction is over", PATIENCE, || committed(wire, &group, topic, true).0 == 0);
        assert_eq!(committed(wire, &group, topic, true), (0, after));
    }
    let older = Producer { epoch: producer.epoch - 1, ..producer };
    assert_eq!(add_group(wire, &id, older, &group), code(E::ProducerFenced));
    assert_eq!(commit_offset(wire, &id, older, &group, topic, 1), code(E::InvalidProducerEpoch));
}

#[test]
fn an_open_transaction_is_listed_and_seen_at_its_partition() {
    let Some(mut stage) = stage() else { return };
    let id = stage.coordinated(TRANSACTION);
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    let producer = init(wire, &id);
    let listed = |wire: &mut Wire, states: &[&str], producer: i64| {
        let request = ListTransactionsRequest::default()
            .with_state_filters(states.iter().copied().map(text).collect())
            .with_producer_id_filters(vec![ProducerId(producer)])
            .with_duration_filter(-1);
        let answer = wire.call(&request, 1);
        assert_eq!(answer.error_code, 0);
        let ours = answer.transaction_states.into_iter().filter(|state| *state.transactional_id == *id);
        let unknown: Vec<_> = answer.unknown_state_filters.iter().map(|word| word.to_string()).collect();
        (ours.map(|state| state.transaction_state.to_string()).collect::<Vec<_>>(), unknown)
    };
    let open_at = |wire: &mut Wire| {
        let asked = TopicRequest::default().with_name(name(topic)).with_partition_indexes(vec![0]);
        let answer = wire.call(&DescribeProducersRequest::default().with_topics(vec![asked]), 0);
        let partition = answer.topics[0].partitions[0].clone();
        assert_eq!(partition.error_code, 0);
        let ours = partition.active_producers.iter().find(|active| active.producer_id.0 == producer.id);
        ours.map(|active| (active.producer_epoch, active.last_sequence, active.current_txn_start_offset))
    };
    assert_eq!(listed(wire, &[], producer.id), (vec!["Empty".to_owned()], vec![]));
    assert_eq!(open_at(wire), None);
    begin(wire, &id, producer, topic);
    assert_eq!(write(wire, &id, producer, topic), 0);
    assert_eq!(listed(wire, &["Ongoing"], producer.id).0, ["Ongoing"]);
    assert_eq!(listed(wire, &["Empty"], producer.id).0, [""; 0]);
    assert_eq!(listed(wire, &["Ongoing"], producer.id + 1).0, [""; 0]);
    assert_eq!(listed(wire, &["Sleeping"], producer.id).1, ["Sleeping"]);
    assert_eq!(open_at(wire), Some((producer.epoch.into(), 0, 0)));
    assert_eq!(end(wire, &id, producer, true), 0);
    eventually("it is over", PATIENCE, || {
        listed(wire, &["CompleteCommit"], producer.id).0 == ["CompleteCommit"]
    });
    eventually("the marker", PATIENCE, || open_at(wire) == Some((producer.epoch.into(), 0, -1)));
}
