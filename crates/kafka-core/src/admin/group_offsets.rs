//! The offsets that groups have committed: read, set, delete. Share groups keep start offsets instead, under requests of
//! their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    AlterShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::groups::{by_group, of_group, subject};
use super::names::{by_topic, check, group_id, some_text, text, topic_name};
use super::stage::Stage;
use super::{Admin, Outcome};
use crate::error::{Error, Result};
use crate::wire::Api;
use crate::{ErrorCode, TopicPartition};

/// An offset that a group has committed: the next record it would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset.
    pub offset: i64,
    /// Leader epoch of the last record read, where it was committed along.
    pub leader_epoch: Option<i32>,
    /// Text that was committed along.
    pub metadata: Option<String>,
}

/// Results of the partitions of one group.
type Partitions = Vec<(TopicPartition, Result<()>)>;

impl Admin {
    /// Everything that groups have committed. An unknown group has committed nothing.
    pub async fn group_offsets(
        &self,
        groups: &[String],
    ) -> Vec<Outcome<String, BTreeMap<TopicPartition, CommittedOffset>>> {
        // Before version 8 a request is about one group.
        let build = |groups: &[String], version| {
            let group = |id: &String| {
                let group = OffsetFetchRequestGroup::default().with_group_id(group_id(id));
                group.with_member_id(None).with_member_epoch(-1).with_topics(None)
            };
            let first = groups.first().map(String::as_str).unwrap_or_default();
            let request = OffsetFetchRequest::default();
            Ok(if version >= 8 {
                request.with_groups(groups.iter().map(group).collect())
            } else {
                request.with_group_id(group_id(first)).with_topics(None)
            })
        };
        let read = |groups: &[String], answer| read_committed(groups, answer);
        let call = self.call("reading committed offsets");
        // A request about many groups that meets an old broker would lose all but the first: the answer shows it, and
        // the driver reports what the answer leaves out. One group at a time is only needed there.
        let stage = Stage::new(by_group(), build, read);
        let stage = if self.batches_offset_fetch().await { stage } else { stage.at_most(1) };
        call.run(stage, groups.to_vec()).await
    }

    /// Whether brokers take several groups in one OffsetFetch (Kafka 3.0).
    async fn batches_offset_fetch(&self) -> bool {
        let connection = self.cluster().any().await;
        connection.is_ok_and(|it| it.version::<OffsetFetchRequest>().is_none_or(|version| version >= 8))
    }

    /// Sets committed offsets of a group. The coordinator refuses while the group has members.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Vec<Outcome<TopicPartition>> {
        let keys = offsets.keys().cloned().collect();
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(group))
            .with_generation_id_or_member_epoch(-1)
            .with_member_id(text(""))
            .with_group_instance_id(None)
            .with_topics(commit_topics(&offsets));
        let read = |answer: <OffsetCommitRequest as Api>::Response| {
            let mut results = Partitions::new();
            for topic in answer.topics {
                for partition in topic.partitions {
                    let key = TopicPartition::new(&**topic.name, partition.partition_index);
                    let result = check::<OffsetCommitRequest>(key.to_string(), partition.error_code, None);
                    results.push((key, result.map_err(has_members)));
                }
            }
            Ok(results)
        };
        self.change_offsets("setting offsets", group, keys, request, read).await
    }

    /// Deletes committed offsets of a group. The coordinator refuses for topics that a member is subscribed to.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: Vec<TopicPartition>,
    ) -> Vec<Outcome<TopicPartition>> {
        let partition = |key: &TopicPartition| {
            let partition = OffsetDeleteRequestPartition::default().with_partition_index(key.partition);
            (key.topic.clone(), partition)
        };
        let topic = |(name, partitions): (Arc<str>, Vec<_>)| {
            OffsetDeleteRequestTopic::default().with_name(topic_name(&name)).with_partitions(partitions)
        };
        let topics = by_topic(partitions.iter().map(partition)).into_iter().map(topic).collect();
        let request = OffsetDeleteRequest::default().with_group_id(group_id(group)).with_topics(topics);
        let subject = subject(group);
        let read = move |answer: <OffsetDeleteRequest as Api>::Response| {
            check::<OffsetDeleteRequest>(subject.clone(), answer.error_code, None)?;
            let mut results = Partitions::new();
            for topic in answer.topics {
                for partition in topic.partitions {
                    let key = TopicPartition::new(&**topic.name, partition.partition_index);
                    let result = check::<OffsetDeleteRequest>(key.to_string(), partition.error_code, None);
                    results.push((key, result));
                }
            }
            Ok(results)
        };
        self.change_offsets("deleting offsets", group, partitions, request, read).await
    }

    /// The start offsets of share groups: records before them were handled.
    pub async fn share_group_offsets(
        &self,
        groups: &[String],
    ) -> Vec<Outcome<String, BTreeMap<TopicPartition, CommittedOffset>>> {
        let build = |groups: &[String], _| {
            let group = |id: &String| {
                DescribeShareGroupOffsetsRequestGroup::default().with_group_id(group_id(id)).with_topics(None)
            };
            Ok(DescribeShareGroupOffsetsRequest::default().with_groups(groups.iter().map(group).collect()))
        };
        let read = |_: &[String], answer| read_share_offsets(answer);
        self.call("reading share group offsets")
            .run(Stage::new(by_group(), build, read), groups.to_vec())
            .await
    }

    /// Sets the start offsets of a share group, which must be empty.
    pub async fn alter_share_group_offsets(
        &self,
        group: &str,
        offsets: BTreeMap<TopicPartition, i64>,
    ) -> Vec<Outcome<TopicPartition>> {
        let keys = offsets.keys().cloned().collect();
        let partition = |(key, offset): (&TopicPartition, &i64)| {
            let partition = AlterShareGroupOffsetsRequestPartition::default();
            (key.topic.clone(), partition.with_partition_index(key.partition).with_start_offset(*offset))
        };
        let topic = |(name, partitions): (Arc<str>, Vec<_>)| {
            let topic = AlterShareGroupOffsetsRequestTopic::default().with_topic_name(topic_name(&name));
            topic.with_partitions(partitions)
        };
        let topics = by_topic(offsets.iter().map(partition)).into_iter().map(topic).collect();
        let request =
            AlterShareGroupOffsetsRequest::default().with_group_id(group_id(group)).with_topics(topics);
        let subject = subject(group);
        let read = move |answer: <AlterShareGroupOffsetsRequest as Api>::Response| {
            let (code, message) = (answer.error_code, answer.error_message.as_ref());
            check::<AlterShareGroupOffsetsRequest>(subject.clone(), code, message)?;
            let mut results = Partitions::new();
            for topic in answer.responses {
                for partition in topic.partitions {
                    let key = TopicPartition::new(&**topic.topic_name, partition.partition_index);
                    let (code, message) = (partition.error_code, partition.error_message.as_ref());
                    let result = check::<AlterShareGroupOffsetsRequest>(key.to_string(), code, message);
                    results.push((key, result));
                }
            }
            Ok(results)
        };
        self.change_offsets("setting offsets", group, keys, request, read).await
    }

    /// Changes partitions of one group by one request. One result for each partition: its own, or the whole group's
    /// failure.
    async fn change_offsets<R: Api + Clone>(
        &self,
        what: &'static str,
        group: &str,
        partitions: Vec<TopicPartition>,
        request: R,
        read: impl Fn(R::Response) -> Result<Partitions> + Send + Sync + 'static,
    ) -> Vec<Outcome<TopicPartition>> {
        let stage = of_group(group, request, read).changing();
        match super::single(self.call(what).run(stage, [group.to_owned()]).await) {
            Ok(results) => results.into_iter().map(|(key, result)| Outcome::new(key, result)).collect(),
            Err(error) => partitions.into_iter().map(|key| Outcome::new(key, Err(error.clone()))).collect(),
        }
    }
}

/// The answer to a commit from outside the group while it has members is "unknown member": said in plain words.
fn has_members(error: Error) -> Error {
    match error {
        Error::Broker { subject, api, code: code @ ErrorCode::UNKNOWN_MEMBER_ID, .. } => {
            let message = Some("the group has members; stop them first".to_owned());
            Error::Broker { subject, api, code, message }
        }
        other => other,
    }
}

fn commit_topics(offsets: &BTreeMap<TopicPartition, CommittedOffset>) -> Vec<OffsetCommitRequestTopic> {
    let partition = |(key, committed): (&TopicPartition, &CommittedOffset)| {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(key.partition)
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch.unwrap_or(-1))
            .with_committed_metadata(some_text(committed.metadata.as_deref()));
        (key.topic.clone(), partition)
    };
    let topic = |(name, partitions): (Arc<str>, Vec<_>)| {
        OffsetCommitRequestTopic::default().with_name(topic_name(&name)).with_partitions(partitions)
    };
    by_topic(offsets.iter().map(partition)).into_iter().map(topic).collect()
}

type Committed = BTreeMap<TopicPartition, CommittedOffset>;

/// One partition of an answer: number, offset, leader epoch, metadata, error code.
type Raw = (i32, i64, i32, Option<StrBytes>, i16);

/// The partitions of a topic in an answer to OffsetFetch: two message types with the same fields.
macro_rules! raw_partitions {
    ($topic:expr) => {{
        let topic = $topic;
        let name: Arc<str> = (&**topic.name).into();
        topic.partitions.into_iter().map(move |p| {
            let raw =
                (p.partition_index, p.committed_offset, p.committed_leader_epoch, p.metadata, p.error_code);
            (Arc::clone(&name), raw)
        })
    }};
}

fn read_committed(
    groups: &[String],
    answer: <OffsetFetchRequest as Api>::Response,
) -> Vec<(String, Result<Committed>)> {
    if answer.groups.is_empty() {
        let group = groups.first().cloned().unwrap_or_default();
        let checked = check::<OffsetFetchRequest>(subject(&group), answer.error_code, None);
        let raw = answer.topics.into_iter().flat_map(|topic| raw_partitions!(topic));
        return vec![(group, checked.and_then(|()| committed(raw)))];
    }
    let read = |group: kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup| {
        let name = group.group_id.to_string();
        let checked = check::<OffsetFetchRequest>(subject(&name), group.error_code, None);
        let raw = group.topics.into_iter().flat_map(|topic| raw_partitions!(topic));
        (name, checked.and_then(|()| committed(raw)))
    };
    answer.groups.into_iter().map(read).collect()
}

/// Partitions without a committed offset are left out.
fn committed(raw: impl Iterator<Item = (Arc<str>, Raw)>) -> Result<Committed> {
    let mut all = Committed::new();
    for (topic, (partition, offset, epoch, metadata, code)) in raw {
        let key = TopicPartition { topic, partition };
        check::<OffsetFetchRequest>(key.to_string(), code, None)?;
        if offset >= 0 {
            let leader_epoch = Some(epoch).filter(|epoch| *epoch >= 0);
            let metadata = metadata.map(|text| text.to_string()).filter(|text| !text.is_empty());
            all.insert(key, CommittedOffset { offset, leader_epoch, metadata });
        }
    }
    Ok(all)
}

fn read_share_offsets(
    answer: <DescribeShareGroupOffsetsRequest as Api>::Response,
) -> Vec<(String, Result<Committed>)> {
    let mut results = Vec::new();
    for group in answer.groups {
        let name = group.group_id.to_string();
        let (code, message) = (group.error_code, group.error_message.as_ref());
        let checked = check::<DescribeShareGroupOffsetsRequest>(subject(&name), code, message);
        let raw = group.topics.into_iter().flat_map(|topic| {
            let name: Arc<str> = (&**topic.topic_name).into();
            topic.partitions.into_iter().map(move |p| {
                let raw = (p.partition_index, p.start_offset, p.leader_epoch, None, p.error_code);
                (Arc::clone(&name), raw)
            })
        });
        results.push((name, checked.and_then(|()| committed(raw))));
    }
    results
}
