//! DeleteRecords, versions 0 to 2 (KIP-107): everything before an offset.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;

impl Serve for DeleteRecordsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 2 };

    async fn serve(self, call: &mut Call<'_>) -> DeleteRecordsResponse {
        let broker = call.broker();
        let mut cluster = call.cluster();
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let deleted =
                    cluster.delete_records(broker, &topic.name, asked.partition_index, asked.offset);
                result(asked.partition_index, deleted)
            });
            let partitions = partitions.collect();
            DeleteRecordsTopicResult::default().with_name(topic.name.clone()).with_partitions(partitions)
        });
        let topics = topics.collect();
        DeleteRecordsResponse::default().with_topics(topics)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DeleteRecordsResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| result(asked.partition_index, Err(error)));
            DeleteRecordsTopicResult::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        DeleteRecordsResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Delete, self.topics(cluster))
    }
}

fn result(index: i32, low_watermark: Result<i64, ResponseError>) -> DeleteRecordsPartitionResult {
    let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
    match low_watermark {
        Ok(low_watermark) => result.with_low_watermark(low_watermark),
        Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
    }
}
