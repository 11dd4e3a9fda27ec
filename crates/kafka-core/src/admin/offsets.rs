//! Offsets of partitions: the first, the last, by time; and deleting records up to one. One request per leader.

use std::collections::BTreeMap;

use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, DeleteRecordsRequest, ListOffsetsRequest};

use super::names::{by_topic, check, topic_name};
use super::stage::{Lookup, Stage};
use super::{Admin, Outcome};
use crate::TopicPartition;
use crate::error::{Error, RequestFailure, Result};
use crate::wire::Api;

/// Which offset of a partition is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first record that is there.
    Earliest,
    /// The offset after the last record that a reader may see.
    Latest,
    /// The first record whose timestamp is not below this one, in milliseconds since 1970-01-01 UTC.
    AtTimestamp(i64),
    /// The record with the highest timestamp (KIP-734, Kafka 3.0).
    MaxTimestamp,
    /// The first record on the leader's own disk (KIP-405, Kafka 3.4).
    EarliestLocal,
    /// The last record in tiered storage (KIP-1005, Kafka 3.9).
    LatestTiered,
}

impl OffsetSpec {
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::EarliestLocal => -4,
            Self::LatestTiered => -5,
            Self::AtTimestamp(ms) => ms.max(0),
        }
    }

    /// The first version of ListOffsets that knows it.
    fn since(self) -> i16 {
        match self {
            Self::Earliest | Self::Latest | Self::AtTimestamp(_) => 1,
            Self::MaxTimestamp => 7,
            Self::EarliestLocal => 8,
            Self::LatestTiered => 9,
        }
    }
}

/// What a reader may see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All records up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Nothing behind an open transaction.
    ReadCommitted,
}

/// An offset that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; `None` where no record is that late, or none is there.
    pub offset: Option<i64>,
    /// The record's timestamp in milliseconds, where the question was about time.
    pub timestamp: Option<i64>,
    /// The leader epoch of the record, where known.
    pub leader_epoch: Option<i32>,
}

impl Admin {
    /// Offsets of partitions, batched per leader, all leaders at once.
    pub async fn list_offsets(
        &self,
        specs: BTreeMap<TopicPartition, OffsetSpec>,
        isolation: IsolationLevel,
    ) -> Vec<Outcome<TopicPartition, ListedOffset>> {
        let call = self.call("asking for offsets");
        let (keys, timer) = (specs.keys().cloned().collect::<Vec<_>>(), call.clone());
        let build = move |keys: &[TopicPartition], version: i16| {
            let isolation = i8::from(isolation == IsolationLevel::ReadCommitted);
            let request =
                ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_isolation_level(isolation);
            let request = request.with_timeout_ms(timer.left_ms().min(30_000));
            Ok(request.with_topics(list_offsets_topics(keys, &specs, version)?))
        };
        let stage = Stage::new(Lookup::Leader(Clone::clone), build, |_, answer| read_offsets(answer));
        call.run(stage, keys).await
    }

    /// Deletes the records before the given offsets (-1: all that are there); the results are the first offsets left.
    pub async fn delete_records(
        &self,
        before: BTreeMap<TopicPartition, i64>,
    ) -> Vec<Outcome<TopicPartition, i64>> {
        let call = self.call("deleting records");
        let (keys, timer) = (before.keys().cloned().collect::<Vec<_>>(), call.clone());
        let build = move |keys: &[TopicPartition], _| {
            let partition = |key: &TopicPartition| {
                let offset = before.get(key).copied().unwrap_or_default();
                let partition = DeleteRecordsPartition::default().with_partition_index(key.partition);
                (key.topic.clone(), partition.with_offset(offset))
            };
            let topic = |(name, partitions): (std::sync::Arc<str>, Vec<_>)| {
                DeleteRecordsTopic::default().with_name(topic_name(&name)).with_partitions(partitions)
            };
            let topics = by_topic(keys.iter().map(partition)).into_iter().map(topic).collect();
            Ok(DeleteRecordsRequest::default().with_topics(topics).with_timeout_ms(timer.left_ms()))
        };
        let read = |_: &[TopicPartition], answer: <DeleteRecordsRequest as Api>::Response| {
            let mut results = Vec::new();
            for topic in answer.topics {
                for partition in topic.partitions {
                    let key = TopicPartition::new(&**topic.name, partition.partition_index);
                    let result = check::<DeleteRecordsRequest>(key.to_string(), partition.error_code, None);
                    results.push((key, result.map(|()| partition.low_watermark)));
                }
            }
            results
        };
        call.run(Stage::new(Lookup::Leader(Clone::clone), build, read).changing(), keys).await
    }
}

fn list_offsets_topics(
    keys: &[TopicPartition],
    specs: &BTreeMap<TopicPartition, OffsetSpec>,
    version: i16,
) -> Result<Vec<ListOffsetsTopic>> {
    let mut wanted = Vec::with_capacity(keys.len());
    for key in keys {
        let spec = specs.get(key).copied().unwrap_or(OffsetSpec::Latest);
        if version < spec.since() {
            let why = format!("{spec:?} needs version {} of ListOffsets", spec.since());
            let failure = RequestFailure::Unsupported(why);
            return Err(Error::Request {
                broker: "the broker".into(),
                api: ListOffsetsRequest::NAME,
                failure,
            });
        }
        let partition = ListOffsetsPartition::default()
            .with_partition_index(key.partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(spec.timestamp());
        wanted.push((key.topic.clone(), partition));
    }
    let topic = |(name, partitions): (std::sync::Arc<str>, Vec<_>)| {
        ListOffsetsTopic::default().with_name(topic_name(&name)).with_partitions(partitions)
    };
    Ok(by_topic(wanted).into_iter().map(topic).collect())
}

fn read_offsets(
    answer: <ListOffsetsRequest as Api>::Response,
) -> Vec<(TopicPartition, Result<ListedOffset>)> {
    let mut results = Vec::new();
    for topic in answer.topics {
        for partition in topic.partitions {
            let key = TopicPartition::new(&**topic.name, partition.partition_index);
            let result = check::<ListOffsetsRequest>(key.to_string(), partition.error_code, None);
            let listed = ListedOffset {
                offset: Some(partition.offset).filter(|offset| *offset >= 0),
                timestamp: Some(partition.timestamp).filter(|timestamp| *timestamp >= 0),
                leader_epoch: Some(partition.leader_epoch).filter(|epoch| *epoch >= 0),
            };
            results.push((key, result.map(|()| listed)));
        }
    }
    results
}
