//! The cluster itself: who belongs to it, where partitions live and who leads them, how much they hold.

use kafka_dev::ResponseError as E;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::*;
use kafka_testkit::eventually;

use super::support::{ANYONE, Wire, name};
use super::{PATIENCE, Stage, code, create, stage};

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

#[test]
fn a_broker_lists_the_brokers_and_leaves_other_endpoints_to_others() {
    let Some(mut stage) = stage() else { return };
    let asked = DescribeClusterRequest::default().with_endpoint_type(1);
    let found = stage.wire.call(&asked, 2);
    assert_eq!((found.error_code, found.endpoint_type), (0, 1));
    assert_eq!(found.brokers.len(), 1);
    assert_eq!((found.brokers[0].broker_id, found.brokers[0].is_fenced), (BrokerId(1), false));
    assert!(!found.cluster_id.is_empty());
    let controllers = stage.wire.call(&asked.clone().with_endpoint_type(2), 1);
    assert_eq!(controllers.error_code, code(E::MismatchedEndpointType));
    assert_eq!(stage.wire.call(&asked.with_endpoint_type(7), 1).error_code, code(E::UnsupportedEndpointType));
}

#[test]
fn topics_are_described_page_by_page() {
    let Some(mut stage) = stage() else { return };
    let topic = format!("{}-paged", stage.topic);
    assert_eq!(create(&mut stage.wire, &topic, 3), 0);
    let asked = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![TopicRequest::default().with_name(name(&topic))])
        .with_response_partition_limit(2)
        .with_cursor(None);
    let numbers = |page: &DescribeTopicPartitionsResponse| -> Vec<i32> {
        page.topics[0].partitions.iter().map(|partition| partition.partition_index).collect()
    };
    let mut first = DescribeTopicPartitionsResponse::default();
    eventually("the topic is known", PATIENCE, || {
        first = stage.wire.call(&asked, 0);
        first.topics[0].error_code == 0
    });
    assert_eq!(numbers(&first), [0, 1]);
    let next = first.next_cursor.expect("there is more");
    assert_eq!((next.topic_name.as_str(), next.partition_index), (topic.as_str(), 2));
    let cursor = Cursor::default().with_topic_name(name(&topic)).with_partition_index(2);
    let second = stage.wire.call(&asked.with_cursor(Some(cursor)), 0);
    assert_eq!((numbers(&second), second.next_cursor), (vec![2], None));
    let missing = TopicRequest::default().with_name(name(&format!("{topic}-missing")));
    let missing = DescribeTopicPartitionsRequest::default().with_topics(vec![missing]).with_cursor(None);
    let found = stage.wire.call(&missing.with_response_partition_limit(9), 0);
    assert_eq!(found.topics[0].error_code, code(E::UnknownTopicOrPartition));
}

/// The code for the partition, or the one for all.
fn elect(wire: &mut Wire, kind: i8, topic: &str, partition: i32) -> i16 {
    let topic = TopicPartitions::default().with_topic(name(topic)).with_partitions(vec![partition]);
    let request = ElectLeadersRequest::default()
        .with_election_type(kind)
        .with_topic_partitions(Some(vec![topic]))
        .with_timeout_ms(10_000);
    let answer = wire.call(&request, 2);
    assert_eq!(answer.error_code, 0);
    answer.replica_election_results[0].partition_result[0].error_code
}

#[test]
fn an_election_that_is_not_needed_is_told_from_one_that_cannot_be() {
    let Some(mut stage) = stage() else { return };
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    for kind in [PREFERRED, UNCLEAN] {
        assert_eq!(elect(wire, kind, topic, 0), code(E::ElectionNotNeeded));
        assert_eq!(elect(wire, kind, topic, 9), code(E::UnknownTopicOrPartition));
        assert_eq!(elect(wire, kind, &format!("{topic}-missing"), 0), code(E::UnknownTopicOrPartition));
    }
    let all = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(10_000);
    let answer = wire.call(&all, 2);
    assert_eq!(answer.error_code, 0);
    let mut ours = answer.replica_election_results.iter().filter(|result| result.topic.as_str() == topic);
    assert!(ours.all(|result| result.partition_result.is_empty()), "who asks for all hears of changes only");
}

fn reassign(stage: &mut Stage, topic: &str, partition: i32, replicas: Option<&[i32]>) -> i16 {
    let replicas = replicas.map(|ids| ids.iter().copied().map(BrokerId).collect());
    let partition = ReassignablePartition::default().with_partition_index(partition).with_replicas(replicas);
    let topic = ReassignableTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
    let answer = stage.wire.call(&request.with_timeout_ms(10_000), 0);
    assert_eq!(answer.error_code, 0, "{answer:?}");
    answer.responses[0].partitions[0].error_code
}

#[test]
fn a_partition_moves_to_brokers_that_are_there_only() {
    let Some(mut stage) = stage() else { return };
    let topic = stage.topic.clone();
    let invalid = code(E::InvalidReplicaAssignment);
    assert_eq!(reassign(&mut stage, &topic, 0, Some(&[9])), invalid);
    assert_eq!(reassign(&mut stage, &topic, 0, Some(&[])), invalid);
    assert_eq!(reassign(&mut stage, &topic, 0, Some(&[1, 1])), invalid);
    assert_eq!(reassign(&mut stage, &topic, 0, Some(&[1])), 0, "it is there already");
    assert_eq!(reassign(&mut stage, &topic, 0, None), code(E::NoReassignmentInProgress));
    assert_eq!(reassign(&mut stage, &topic, 9, Some(&[1])), code(E::UnknownTopicOrPartition));
    let missing = format!("{topic}-missing");
    assert_eq!(reassign(&mut stage, &missing, 0, Some(&[1])), code(E::UnknownTopicOrPartition));
    let ours = ListPartitionReassignmentsTopics::default().with_name(name(&topic));
    let ours = ours.with_partition_indexes(vec![0]);
    let list = ListPartitionReassignmentsRequest::default().with_topics(Some(vec![ours]));
    let listed = stage.wire.call(&list.with_timeout_ms(10_000), 0);
    assert_eq!((listed.error_code, listed.topics.len()), (0, 0));
}

#[test]
fn what_a_partition_holds_is_told_by_its_log() {
    let Some(mut stage) = stage() else { return };
    let ours = DescribableLogDirTopic::default().with_topic(name(&stage.topic)).with_partitions(vec![0, 9]);
    let request = DescribeLogDirsRequest::default().with_topics(Some(vec![ours]));
    let mut size = || {
        let answer = stage.wire.call(&request, 4);
        assert_eq!(answer.error_code, 0);
        let topics: Vec<_> = answer.results.iter().flat_map(|folder| &folder.topics).collect();
        assert_eq!(topics.len(), 1, "{answer:?}");
        assert_eq!(topics[0].partitions.len(), 1, "there is no partition 9: {answer:?}");
        let partition = &topics[0].partitions[0];
        assert_eq!((partition.partition_index, partition.offset_lag, partition.is_future_key), (0, 0, false));
        partition.partition_size
    };
    assert_eq!(size(), 0);
    assert_eq!(stage.wire.produce(&stage.topic, ANYONE, &["a", "b"]).error_code, 0);
    let answer = stage.wire.call(&request, 4);
    let held: i64 =
        answer.results.iter().flat_map(|folder| &folder.topics[0].partitions).map(|p| p.partition_size).sum();
    assert!((70..200).contains(&held), "a batch of two small records: {held}");
}
