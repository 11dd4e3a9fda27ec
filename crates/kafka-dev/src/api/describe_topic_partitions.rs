//! DescribeTopicPartitions, version 0 (KIP-966): topics page by page, with eligible leader replicas.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{BrokerId, DescribeTopicPartitionsRequest, TopicName};
use kafka_protocol::protocol::VersionRange;

use super::metadata::ids;
use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;
use crate::cluster::topic::{Partition, Topic};

/// Most partitions in one answer, as Kafka's `max.request.partition.size.limit`.
const MAX_PARTITIONS: usize = 2000;

impl Serve for DescribeTopicPartitionsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 0 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeTopicPartitionsResponse {
        let cluster = call.cluster();
        let mut names: Vec<String> = self.topics.iter().map(|topic| topic.name.to_string()).collect();
        if names.is_empty() {
            names = cluster.topics.keys().cloned().collect();
        }
        names.sort();
        names.dedup();
        let (from_topic, from_partition) = match &self.cursor {
            Some(cursor) => {
                (cursor.topic_name.to_string(), usize::try_from(cursor.partition_index).unwrap_or(0))
            }
            None => (String::new(), 0),
        };
        names.retain(|name| *name >= from_topic);
        let mut left = usize::try_from(self.response_partition_limit).unwrap_or(1).clamp(1, MAX_PARTITIONS);
        let mut response = DescribeTopicPartitionsResponse::default().with_next_cursor(None);
        for name in names {
            let first = if name == from_topic { from_partition } else { 0 };
            let Some(topic) = cluster.topics.get(&name) else {
                response.topics.push(failure(&name, ResponseError::UnknownTopicOrPartition));
                continue;
            };
            let page: Vec<_> = topic.partitions.iter().zip(0..).skip(first).take(left).collect();
            let next = first + page.len();
            left -= page.len();
            let partitions = page.into_iter().map(|(partition, index)| describe(partition, index)).collect();
            response.topics.push(named(&name, topic).with_partitions(partitions));
            if next < topic.partitions.len() {
                response.next_cursor = Some(cursor(&name, next));
                break;
            }
        }
        response
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DescribeTopicPartitionsResponse {
        let topics = self.topics.iter().map(|topic| failure(&topic.name, error));
        DescribeTopicPartitionsResponse::default().with_topics(topics.collect()).with_next_cursor(None)
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Describe, self.topics(cluster))
    }
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    Cursor::default()
        .with_topic_name(TopicName(text(topic)))
        .with_partition_index(i32::try_from(partition).unwrap_or(i32::MAX))
}

fn named(name: &str, topic: &Topic) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(text(name))))
        .with_topic_id(topic.id)
}

fn describe(partition: &Partition, index: i32) -> DescribeTopicPartitionsResponsePartition {
    let error = if partition.leader.is_none() { ResponseError::LeaderNotAvailable.code() } else { 0 };
    DescribeTopicPartitionsResponsePartition::default()
        .with_error_code(error)
        .with_partition_index(index)
        .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&partition.isr))
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
        .with_offline_replicas(ids(&partition.offline()))
}

fn failure(name: &str, error: ResponseError) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(TopicName(text(name))))
}
