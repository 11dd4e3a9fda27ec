//! DescribeLogDirs, versions 1 to 4 (KIP-113, 827 sizes of the disk, told as unknown here).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, TopicName};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;
use crate::cluster::topic::Topic;

impl Serve for DescribeLogDirsRequest {
    const SERVED: VersionRange = VersionRange { min: 1, max: 4 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeLogDirsResponse {
        let broker = call.broker();
        let cluster = call.cluster();
        let wanted = |topic: &str, index: i32| match &self.topics {
            None => true,
            Some(topics) => {
                topics.iter().any(|asked| asked.topic.as_str() == topic && asked.partitions.contains(&index))
            }
        };
        let topics = cluster.topics.iter().map(|(name, topic)| {
            let partitions = here(topic, broker, |index| wanted(name, index));
            DescribeLogDirsTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
        });
        let topics = topics.filter(|topic| !topic.partitions.is_empty()).collect();
        let result =
            DescribeLogDirsResult::default().with_log_dir(text(cluster.log_dir())).with_topics(topics);
        DescribeLogDirsResponse::default().with_results(vec![result])
    }

    fn refuse(&self, version: i16, error: ResponseError) -> DescribeLogDirsResponse {
        let code = if version >= 3 { error.code() } else { 0 };
        DescribeLogDirsResponse::default().with_error_code(code)
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Describe)]
    }
}

/// The partitions of which this broker is a replica.
fn here(topic: &Topic, broker: i32, wanted: impl Fn(i32) -> bool) -> Vec<DescribeLogDirsPartition> {
    let replicas =
        topic.partitions.iter().zip(0..).filter(|(partition, _)| partition.replicas.contains(&broker));
    let described = replicas.filter(|(_, index)| wanted(*index)).map(|(partition, index)| {
        let size = i64::try_from(partition.log.size_bytes()).unwrap_or(i64::MAX);
        DescribeLogDirsPartition::default().with_partition_index(index).with_partition_size(size)
    });
    described.collect()
}
