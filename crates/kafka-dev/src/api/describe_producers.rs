//! DescribeProducers, version 0 (KIP-664): who writes to a partition with a producer id.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, ProducerId};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;
use crate::cluster::topic::Partition;

impl Serve for DescribeProducersRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 0 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeProducersResponse {
        let broker = call.broker();
        let mut cluster = call.cluster();
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                match cluster.led_by(broker, &topic.name, *index) {
                    Ok(partition) => describe(*index, partition),
                    Err(error) => failure(*index, error),
                }
            });
            let partitions = partitions.collect();
            TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
        });
        let topics = topics.collect();
        DescribeProducersResponse::default().with_topics(topics)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DescribeProducersResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| failure(*index, error));
            TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
        });
        DescribeProducersResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Read, self.topics(cluster))
    }
}

fn describe(index: i32, partition: &Partition) -> PartitionResponse {
    let producers = partition.log.producers.iter().map(|(id, entry)| {
        ProducerState::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(entry.epoch.into())
            .with_last_sequence(entry.last_sequence())
            .with_last_timestamp(entry.last_timestamp)
            .with_coordinator_epoch(0)
            .with_current_txn_start_offset(entry.transaction_start.unwrap_or(-1))
    });
    PartitionResponse::default()
        .with_partition_index(index)
        .with_error_message(None)
        .with_active_producers(producers.collect())
}

fn failure(index: i32, error: ResponseError) -> PartitionResponse {
    PartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(error.code())
        .with_error_message(None)
}
