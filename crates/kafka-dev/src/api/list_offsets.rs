//! ListOffsets, versions 1 to 10: earliest, latest, by time, largest time (KIP-79, 98, 320, 734, 405 local log start).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;
use crate::cluster::topic::Partition;
use crate::log::TimedOffset;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const READ_COMMITTED: i8 = 1;
/// First version with leader epochs.
const EPOCH_VERSION: i16 = 4;

impl Serve for ListOffsetsRequest {
    const SERVED: VersionRange = VersionRange { min: 1, max: 10 };

    async fn serve(self, call: &mut Call<'_>) -> ListOffsetsResponse {
        let (broker, version) = (call.broker(), call.version);
        let mut cluster = call.cluster();
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let found = cluster
                    .led_by(broker, &topic.name, asked.partition_index)
                    .and_then(|partition| find(partition, asked, self.isolation_level));
                respond(asked.partition_index, found, version)
            });
            let partitions = partitions.collect();
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
        });
        let topics = topics.collect();
        ListOffsetsResponse::default().with_topics(topics)
    }

    fn refuse(&self, version: i16, error: ResponseError) -> ListOffsetsResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|asked| respond(asked.partition_index, Err(error), version));
            ListOffsetsTopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Describe, self.topics(cluster))
    }
}

/// None where no record is that young.
fn find(
    partition: &Partition,
    asked: &ListOffsetsPartition,
    isolation: i8,
) -> Result<Option<TimedOffset>, ResponseError> {
    super::check_epoch(asked.current_leader_epoch, partition.leader_epoch)?;
    let log = &partition.log;
    let stable = if isolation == READ_COMMITTED { log.last_stable_offset() } else { log.end_offset() };
    let at = |offset, leader_epoch| Some(TimedOffset { offset, timestamp: -1, leader_epoch });
    let searched = match asked.timestamp {
        LATEST => return Ok(at(stable, partition.leader_epoch)),
        EARLIEST | EARLIEST_LOCAL => return Ok(at(log.start_offset(), log.epoch_at(log.start_offset()))),
        LATEST_TIERED => return Ok(None),
        MAX_TIMESTAMP => log.max_timestamp(),
        timestamp if timestamp >= 0 => log.offset_for_time(timestamp),
        _ => return Err(ResponseError::InvalidRequest),
    };
    match searched {
        Ok(found) => Ok(found.filter(|found| found.offset < stable)),
        Err(error) => {
            tracing::error!(%error, "cannot search the log");
            Err(ResponseError::KafkaStorageError)
        }
    }
}

fn respond(
    index: i32,
    found: Result<Option<TimedOffset>, ResponseError>,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(index);
    match found {
        Ok(None) => response,
        Ok(Some(found)) => {
            let epoch = if version >= EPOCH_VERSION { found.leader_epoch } else { -1 };
            response.with_offset(found.offset).with_timestamp(found.timestamp).with_leader_epoch(epoch)
        }
        Err(error) => response.with_error_code(error.code()),
    }
}
