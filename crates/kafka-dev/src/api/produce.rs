//! Produce, versions 3 to 13 (KIP-98 idempotence, 110 zstd from 7, 467 record errors, 951 new leader in the answer,
//! 516 topic ids from 13).

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::cluster::topic::Topic;
use crate::log::batch::{self, BatchHeader};
use crate::log::records::read_records;
use crate::log::{AppendOptions, Appended};
use crate::txn::{Now, Producer, State};

/// First version that may carry zstd.
const ZSTD_VERSION: i16 = 7;
const ZSTD: i16 = 4;
/// First version whose answer names the new leader.
const NEW_LEADER_VERSION: i16 = 10;
const TOPIC_ID_VERSION: i16 = 13;
/// First version that adds partitions to the transaction by writing to them.
const IMPLICIT_ADD_VERSION: i16 = 12;
const ALL_REPLICAS: i16 = -1;

impl Serve for ProduceRequest {
    const SERVED: VersionRange = VersionRange { min: 3, max: 13 };

    async fn serve(self, call: &mut Call<'_>) -> ProduceResponse {
        if !matches!(self.acks, -1..=1) {
            return self.refuse(call.version, ResponseError::InvalidRequiredAcks);
        }
        let mut moved = Vec::new();
        let mut failed = false;
        let (broker, version, now) = (call.broker(), call.version, call.now());
        let id = self.transactional_id.as_ref().map(|id| id.to_string());
        let mut cluster = call.cluster();
        let responses = self.topic_data.iter().map(|topic| {
            let name = topic_name(&cluster, topic, version);
            let partitions = topic.partition_data.iter().map(|data| {
                let request =
                    Append { broker, version, acks: self.acks, now, transactional_id: id.as_deref() };
                let result = match &name {
                    Some(name) => request.run(&mut cluster, name, data),
                    None => Err(ResponseError::UnknownTopicId),
                };
                failed |= result.is_err();
                let response = partition_response(data.index, &result);
                match (&name, result) {
                    (Some(name), Ok(_)) => with_log_start(&cluster, name, response),
                    (Some(name), Err(ResponseError::NotLeaderOrFollower))
                        if version >= NEW_LEADER_VERSION =>
                    {
                        with_leader(&cluster, name, response, &mut moved)
                    }
                    _ => response,
                }
            });
            let partitions = partitions.collect();
            topic_response(topic, partitions)
        });
        let responses = responses.collect();
        let endpoints = endpoints(&cluster, &moved);
        drop(cluster);
        call.shared().changed.notify_waiters();
        if self.transactional_id.is_some() {
            call.shared().timers.notify_one();
        }
        if failed && self.acks == 0 {
            call.disconnect = Some("a batch sent with acks=0 was refused".to_owned());
        }
        ProduceResponse::default().with_responses(responses).with_node_endpoints(endpoints)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> ProduceResponse {
        let refused = self.topic_data.iter().map(|topic| {
            let partitions = topic.partition_data.iter();
            let partitions = partitions.map(|data| partition_response(data.index, &Err(error))).collect();
            topic_response(topic, partitions)
        });
        ProduceResponse::default().with_responses(refused.collect())
    }

    fn topics(&self, cluster: &Cluster) -> Vec<String> {
        let name = |topic: &TopicProduceData| match cluster.topic_name(topic.topic_id) {
            Some(name) => name.to_owned(),
            None => topic.name.to_string(),
        };
        self.topic_data.iter().map(name).collect()
    }

    fn wants_answer(&self) -> bool {
        self.acks != 0
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        let mut needs = Access::to_topics(Operation::Write, self.topics(cluster));
        let transaction = self.transactional_id.iter();
        needs.extend(transaction.map(|id| Access::new(Operation::Write, Resource::TransactionalId, id)));
        needs
    }
}

/// What all batches of one request have in common.
struct Append<'a> {
    broker: i32,
    version: i16,
    acks: i16,
    now: Now,
    transactional_id: Option<&'a str>,
}

impl Append<'_> {
    fn run(
        &self,
        cluster: &mut Cluster,
        name: &str,
        data: &PartitionProduceData,
    ) -> Result<Appended, ResponseError> {
        cluster.led_by(self.broker, name, data.index)?;
        let records = data.records.as_ref().ok_or(ResponseError::InvalidRecord)?;
        let topic = cluster.topics.get_mut(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let header = self.check(topic, records)?;
        let wanted = topic.number("min.insync.replicas");
        let options = AppendOptions {
            leader_epoch: 0,
            log_append_time: topic.stamps_records(),
            segment_bytes: u64::try_from(topic.number("segment.bytes")).unwrap_or(u64::MAX),
            segment_ms: topic.number("segment.ms"),
            now_ms: self.now.wall_ms,
        };
        let partition = topic.partition_mut(data.index).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let in_sync = i64::try_from(partition.isr.len()).unwrap_or(i64::MAX);
        if self.acks == ALL_REPLICAS && in_sync < wanted {
            return Err(ResponseError::NotEnoughReplicas);
        }
        let options = AppendOptions { leader_epoch: partition.leader_epoch, ..options };
        if header.is_transactional() {
            self.check_transaction(cluster, name, data.index, &header)?;
        }
        let partition = cluster.led_by(self.broker, name, data.index)?;
        partition.log.append(&records[..header.size], &options)
    }

    /// The partition must be part of the transaction; from version 12 on writing makes it so (KIP-890).
    fn check_transaction(
        &self,
        cluster: &mut Cluster,
        topic: &str,
        index: i32,
        header: &BatchHeader,
    ) -> Result<(), ResponseError> {
        let id = self.transactional_id.ok_or(ResponseError::InvalidRequest)?;
        let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
        let fenced = |error| match error {
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
            error => error,
        };
        let transactions = &mut cluster.transactions;
        let known = transactions.check(id, producer).map_err(fenced)?;
        let partition = (topic.to_owned(), index);
        if known.state == State::Ongoing && known.partitions.contains(&partition) {
            return Ok(());
        }
        if self.version < IMPLICIT_ADD_VERSION {
            return Err(ResponseError::InvalidTxnState);
        }
        transactions.add_partitions(id, producer, [partition], self.now)
    }

    /// Kafka takes exactly one batch per partition and request since version 3.
    fn check(&self, topic: &Topic, records: &Bytes) -> Result<BatchHeader, ResponseError> {
        let header = BatchHeader::read(records).ok_or(ResponseError::CorruptMessage)?;
        if header.magic != 2 || header.size != records.len() {
            return Err(ResponseError::InvalidRecord);
        }
        if !batch::crc_holds(records) {
            return Err(ResponseError::CorruptMessage);
        }
        if header.record_count <= 0
            || header.last_offset_delta != header.record_count - 1
            || header.is_control()
        {
            return Err(ResponseError::InvalidRecord);
        }
        if header.is_idempotent() && (header.producer_epoch < 0 || header.base_sequence < 0) {
            return Err(ResponseError::InvalidRecord);
        }
        if header.compression() == ZSTD && self.version < ZSTD_VERSION {
            return Err(ResponseError::UnsupportedCompressionType);
        }
        if i64::try_from(header.size).unwrap_or(i64::MAX) > topic.number("max.message.bytes") {
            return Err(ResponseError::MessageTooLarge);
        }
        self.check_times(topic, &header)?;
        if topic.is_compacted() {
            let records = read_records(records).map_err(|_| ResponseError::CorruptMessage)?;
            if records.iter().any(|record| record.key.is_none()) {
                return Err(ResponseError::InvalidRecord);
            }
        }
        Ok(header)
    }

    fn check_times(&self, topic: &Topic, header: &BatchHeader) -> Result<(), ResponseError> {
        if topic.stamps_records() || header.max_timestamp < 0 {
            return Ok(());
        }
        let ahead = header.max_timestamp.saturating_sub(self.now.wall_ms);
        let behind = self.now.wall_ms.saturating_sub(header.base_timestamp);
        let too_far = ahead > topic.number("message.timestamp.after.max.ms")
            || behind > topic.number("message.timestamp.before.max.ms");
        if too_far { Err(ResponseError::InvalidTimestamp) } else { Ok(()) }
    }
}

fn topic_name(cluster: &Cluster, topic: &TopicProduceData, version: i16) -> Option<String> {
    if version >= TOPIC_ID_VERSION {
        return cluster.topic_name(topic.topic_id).map(str::to_owned);
    }
    Some(topic.name.to_string())
}

fn topic_response(
    asked: &TopicProduceData,
    partitions: Vec<PartitionProduceResponse>,
) -> TopicProduceResponse {
    TopicProduceResponse::default()
        .with_name(asked.name.clone())
        .with_topic_id(asked.topic_id)
        .with_partition_responses(partitions)
}

fn partition_response(index: i32, result: &Result<Appended, ResponseError>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index).with_error_message(None);
    match result {
        Ok(appended) => {
            response.with_base_offset(appended.base_offset).with_log_append_time_ms(appended.append_time)
        }
        Err(error) => response.with_error_code(error.code()).with_base_offset(-1),
    }
}

fn with_log_start(
    cluster: &Cluster,
    name: &str,
    response: PartitionProduceResponse,
) -> PartitionProduceResponse {
    let partition = cluster.topics.get(name).and_then(|topic| topic.partition(response.index));
    let start = partition.map_or(-1, |partition| partition.log.start_offset());
    response.with_log_start_offset(start)
}

fn with_leader(
    cluster: &Cluster,
    name: &str,
    response: PartitionProduceResponse,
    moved: &mut Vec<i32>,
) -> PartitionProduceResponse {
    let partition = cluster.topics.get(name).and_then(|topic| topic.partition(response.index));
    let Some((leader, epoch)) = partition.and_then(|p| Some((p.leader?, p.leader_epoch))) else {
        return response;
    };
    moved.push(leader);
    let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(leader)).with_leader_epoch(epoch);
    response.with_current_leader(leader)
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
