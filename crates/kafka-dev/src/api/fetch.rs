//! Fetch, versions 4 to 18 (KIP-74 response limits, 98 isolation, 320 epochs, 392, 516 topic ids from 13, 951 new
//! leader in the answer, 227 sessions: `fetch_session`).

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{BrokerId, ProducerId};
use kafka_protocol::protocol::VersionRange;
use tokio::time::{Duration, Instant, timeout_at};

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;
use crate::cluster::topic::Partition;

const TOPIC_ID_VERSION: i16 = 13;
/// First version whose answer names the new leader's address.
const NEW_LEADER_VERSION: i16 = 16;
const READ_COMMITTED: i8 = 1;
/// Longest poll granted, whatever the client asks.
const MAX_WAIT: Duration = Duration::from_secs(3600);

impl Serve for FetchRequest {
    const SERVED: VersionRange = VersionRange { min: 4, max: 18 };

    async fn serve(mut self, call: &mut Call<'_>) -> FetchResponse {
        let scope = match call.cluster().fetch_sessions.open(call.broker(), &mut self) {
            Ok(scope) => scope,
            Err(error) => return FetchResponse::default().with_error_code(error.code()),
        };
        let wait = Duration::from_millis(u64::try_from(self.max_wait_ms).unwrap_or(0)).min(MAX_WAIT);
        let deadline = Instant::now() + wait;
        let (broker, version) = (call.broker(), call.version);
        loop {
            let changed = call.shared().changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let reader = Reader { broker, version, request: &self };
            if reader.is_ready(&mut call.cluster()) || timeout_at(deadline, changed).await.is_err() {
                let mut cluster = call.cluster();
                let response = reader.read(&mut cluster);
                return cluster.fetch_sessions.close(scope, response);
            }
        }
    }

    fn refuse(&self, version: i16, error: ResponseError) -> FetchResponse {
        let refused = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| failure(asked.partition, error));
            topic_response(topic, partitions.collect())
        });
        let top_level = if version >= 7 { error.code() } else { 0 };
        FetchResponse::default().with_error_code(top_level).with_responses(refused.collect())
    }

    fn topics(&self, cluster: &Cluster) -> Vec<String> {
        let name = |topic: &FetchTopic| match cluster.topic_name(topic.topic_id) {
            Some(name) => name.to_owned(),
            None => topic.topic.to_string(),
        };
        self.topics.iter().map(name).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Read, self.topics(cluster))
    }
}

/// One look at the logs on behalf of one request.
struct Reader<'a> {
    broker: i32,
    version: i16,
    request: &'a FetchRequest,
}

impl Reader<'_> {
    /// Whether there is an error to tell or enough to send.
    fn is_ready(&self, cluster: &mut Cluster) -> bool {
        let wanted = u64::try_from(self.request.min_bytes).unwrap_or(0);
        let mut available = 0;
        if self.request.topics.is_empty() {
            return wanted == 0;
        }
        for topic in &self.request.topics {
            let Some(name) = self.name(cluster, topic) else { return true };
            for asked in &topic.partitions {
                let Ok(partition) = self.check(cluster, &name, asked) else { return true };
                if asked.fetch_offset < self.end(partition) {
                    available += partition.log.bytes_from(asked.fetch_offset);
                }
            }
        }
        available >= wanted
    }

    fn read(&self, cluster: &mut Cluster) -> FetchResponse {
        let mut budget = usize::try_from(self.request.max_bytes).unwrap_or(0);
        let mut is_first = true;
        let mut moved = Vec::new();
        let responses = self.request.topics.iter().map(|topic| {
            let name = self.name(cluster, topic);
            let partitions = topic.partitions.iter().map(|asked| {
                let Some(name) = &name else {
                    return failure(asked.partition, ResponseError::UnknownTopicId);
                };
                match self.check(cluster, name, asked) {
                    Ok(partition) => self.read_partition(partition, asked, &mut budget, &mut is_first),
                    Err(error) => self.error(cluster, name, asked, error, &mut moved),
                }
            });
            let partitions = partitions.collect();
            topic_response(topic, partitions)
        });
        let responses = responses.collect();
        FetchResponse::default().with_responses(responses).with_node_endpoints(endpoints(cluster, &moved))
    }

    fn name(&self, cluster: &Cluster, topic: &FetchTopic) -> Option<String> {
        if self.version >= TOPIC_ID_VERSION {
            return cluster.topic_name(topic.topic_id).map(str::to_owned);
        }
        Some(topic.topic.to_string())
    }

    fn check<'c>(
        &self,
        cluster: &'c mut Cluster,
        name: &str,
        asked: &FetchPartition,
    ) -> Result<&'c mut Partition, ResponseError> {
        let partition = cluster.led_by(self.broker, name, asked.partition)?;
        super::check_epoch(asked.current_leader_epoch, partition.leader_epoch)?;
        let known = partition.log.start_offset()..=partition.log.end_offset();
        if known.contains(&asked.fetch_offset) { Ok(partition) } else { Err(ResponseError::OffsetOutOfRange) }
    }

    /// Where reading ends under the isolation level asked for.
    fn end(&self, partition: &Partition) -> i64 {
        if self.request.isolation_level == READ_COMMITTED {
            partition.log.last_stable_offset()
        } else {
            partition.log.end_offset()
        }
    }

    fn read_partition(
        &self,
        partition: &Partition,
        asked: &FetchPartition,
        budget: &mut usize,
        is_first: &mut bool,
    ) -> PartitionData {
        let (log, end) = (&partition.log, self.end(partition));
        let limit = usize::try_from(asked.partition_max_bytes).unwrap_or(0).min(*budget);
        let records = if limit == 0 && !*is_first {
            Bytes::new()
        } else {
            match log.read(asked.fetch_offset, end, limit, *is_first) {
                Ok(records) => records,
                Err(error) => {
                    tracing::error!(%error, "cannot read the log");
                    return failure(asked.partition, ResponseError::KafkaStorageError);
                }
            }
        };
        *budget = budget.saturating_sub(records.len());
        *is_first &= records.is_empty();
        let aborted = (self.request.isolation_level == READ_COMMITTED).then(|| {
            let aborted = log.aborted_between(asked.fetch_offset, end).into_iter();
            let named = |aborted: crate::log::Aborted| {
                AbortedTransaction::default()
                    .with_producer_id(ProducerId(aborted.producer_id))
                    .with_first_offset(aborted.first_offset)
            };
            aborted.map(named).collect()
        });
        PartitionData::default()
            .with_partition_index(asked.partition)
            .with_high_watermark(log.end_offset())
            .with_last_stable_offset(log.last_stable_offset())
            .with_log_start_offset(log.start_offset())
            .with_aborted_transactions(aborted)
            .with_records(Some(records))
    }

    fn error(
        &self,
        cluster: &Cluster,
        name: &str,
        asked: &FetchPartition,
        error: ResponseError,
        moved: &mut Vec<i32>,
    ) -> PartitionData {
        let response = failure(asked.partition, error);
        let moves = matches!(error, ResponseError::NotLeaderOrFollower | ResponseError::FencedLeaderEpoch);
        let partition = cluster.topics.get(name).and_then(|topic| topic.partition(asked.partition));
        let leader = partition.and_then(|partition| Some((partition.leader?, partition.leader_epoch)));
        let Some((leader, epoch)) = leader.filter(|_| moves && self.version >= NEW_LEADER_VERSION) else {
            return response;
        };
        moved.push(leader);
        let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(leader)).with_leader_epoch(epoch);
        response.with_current_leader(leader)
    }
}

fn topic_response(asked: &FetchTopic, partitions: Vec<PartitionData>) -> FetchableTopicResponse {
    FetchableTopicResponse::default()
        .with_topic(asked.topic.clone())
        .with_topic_id(asked.topic_id)
        .with_partitions(partitions)
}

fn failure(index: i32, error: ResponseError) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_error_code(error.code())
        .with_high_watermark(-1)
        .with_aborted_transactions(None)
        .with_records(Some(Bytes::new()))
}

fn endpoints(cluster: &Cluster, moved: &[i32]) -> Vec<NodeEndpoint> {
    let named = cluster.live_nodes().filter(|(id, _)| moved.contains(id));
    let endpoint = |(id, node): (i32, &crate::cluster::Node)| {
        NodeEndpoint::default()
            .with_node_id(BrokerId(id))
            .with_host(text(&node.host))
            .with_port(node.port.into())
            .with_rack(None)
    };
    named.map(endpoint).collect()
}
