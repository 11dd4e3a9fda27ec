//! OffsetForLeaderEpoch, versions 2 to 4: where a leader epoch ended, to detect truncation (KIP-101, 279, 320).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;
use crate::cluster::topic::Partition;

impl Serve for OffsetForLeaderEpochRequest {
    const SERVED: VersionRange = VersionRange { min: 2, max: 4 };

    async fn serve(self, call: &mut Call<'_>) -> OffsetForLeaderEpochResponse {
        let broker = call.broker();
        let mut cluster = call.cluster();
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let end = cluster.led_by(broker, &topic.topic, asked.partition).and_then(|p| find(p, asked));
                respond(asked.partition, end)
            });
            let partitions = partitions.collect();
            OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions)
        });
        let topics = topics.collect();
        OffsetForLeaderEpochResponse::default().with_topics(topics)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> OffsetForLeaderEpochResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| respond(asked.partition, Err(error)));
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions.collect())
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        self.topics.iter().map(|topic| topic.topic.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Describe, self.topics(cluster))
    }
}

/// -1 and -1 for an epoch before the first or after the last.
fn find(partition: &Partition, asked: &OffsetForLeaderPartition) -> Result<(i32, i64), ResponseError> {
    super::check_epoch(asked.current_leader_epoch, partition.leader_epoch)?;
    if asked.leader_epoch == partition.leader_epoch {
        return Ok((asked.leader_epoch, partition.log.end_offset()));
    }
    if asked.leader_epoch > partition.leader_epoch {
        return Ok((-1, -1));
    }
    Ok(partition.log.end_of_epoch(asked.leader_epoch).unwrap_or((-1, -1)))
}

fn respond(partition: i32, end: Result<(i32, i64), ResponseError>) -> EpochEndOffset {
    let response = EpochEndOffset::default().with_partition(partition);
    match end {
        Ok((epoch, offset)) => response.with_leader_epoch(epoch).with_end_offset(offset),
        Err(error) => response.with_error_code(error.code()),
    }
}
