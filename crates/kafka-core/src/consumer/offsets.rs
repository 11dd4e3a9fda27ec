//! The messages about offsets, built and read: committing them, asking for committed ones, finding them by time, and
//! checking them against a leader epoch. Data only; who sends them stands elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    BrokerId, GroupId, ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::{ErrorCode, TopicPartition};

/// An offset to commit: the next one to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// The offset.
    pub offset: i64,
    /// The leader epoch of the record before it; -1 where it is not known.
    pub leader_epoch: i32,
    /// Text kept with it.
    pub metadata: String,
}

/// An offset that was committed: the next one to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The offset.
    pub offset: i64,
    /// The leader epoch of the record before it; -1 where it is not known.
    pub leader_epoch: i32,
    /// Text kept with it.
    pub metadata: String,
}

/// Which offset of a partition is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OffsetQuery {
    /// The first one there is.
    Earliest,
    /// The one behind the last.
    Latest,
    /// The first record with this timestamp (milliseconds since 1970) or a later one.
    Time(i64),
}

impl OffsetQuery {
    fn timestamp(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::Time(ms) => ms.max(0),
        }
    }
}

/// Who commits: a member of a group, or with an empty member id and generation -1 somebody outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committer {
    pub(crate) group: Arc<str>,
    pub(crate) member_id: String,
    /// The generation, or the member epoch under KIP-848.
    pub(crate) generation: i32,
    pub(crate) instance_id: Option<String>,
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Puts what belongs to one topic together, by name.
fn by_topic<T>(items: impl IntoIterator<Item = (TopicPartition, T)>) -> BTreeMap<Arc<str>, Vec<(i32, T)>> {
    let mut topics: BTreeMap<Arc<str>, Vec<(i32, T)>> = BTreeMap::new();
    for (partition, item) in items {
        topics.entry(partition.topic).or_default().push((partition.partition, item));
    }
    topics
}

/// The request that commits `offsets`, in the layout of `version`: static members say so from version 7 on.
pub(crate) fn commit_request(
    committer: &Committer,
    offsets: impl IntoIterator<Item = (TopicPartition, OffsetToCommit)>,
    version: i16,
) -> OffsetCommitRequest {
    let topics = by_topic(offsets).into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(partition, offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(partition)
                .with_committed_offset(offset.offset)
                .with_committed_leader_epoch(offset.leader_epoch)
                .with_committed_metadata(Some(StrBytes::from_string(offset.metadata)))
        });
        OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(&topic)))
            .with_partitions(partitions.collect())
    });
    OffsetCommitRequest::default()
        .with_group_id(GroupId(text(&committer.group)))
        .with_generation_id_or_member_epoch(committer.generation)
        .with_member_id(text(&committer.member_id))
        .with_group_instance_id(committer.instance_id.as_deref().filter(|_| version >= 7).map(text))
        .with_topics(topics.collect())
}

/// What became of each offset of a commit.
pub(crate) fn read_commit(response: OffsetCommitResponse) -> Vec<(TopicPartition, ErrorCode)> {
    let topics = response.topics.into_iter();
    let of_topic = |topic: kafka_protocol::messages::offset_commit_response::OffsetCommitResponseTopic| {
        let name: Arc<str> = (**topic.name).into();
        topic.partitions.into_iter().map(move |partition| {
            let code = ErrorCode(partition.error_code);
            (TopicPartition::new(Arc::clone(&name), partition.partition_index), code)
        })
    };
    topics.flat_map(of_topic).collect()
}

/// The request for what `committer`'s group has committed, in the layout of `version`: one group, or (from version 8)
/// a list of them. Offsets that an open transaction may still change are refused for the moment (KIP-447).
pub(crate) fn fetch_request(
    committer: &Committer,
    partitions: impl IntoIterator<Item = TopicPartition>,
    version: i16,
) -> OffsetFetchRequest {
    let group = GroupId(text(&committer.group));
    let topics = by_topic(partitions.into_iter().map(|partition| (partition, ())));
    let topics =
        topics.into_iter().map(|(topic, list)| (TopicName(text(&topic)), list.into_iter().map(|(p, ())| p)));
    if version < 8 {
        let topics = topics.map(|(name, list)| {
            OffsetFetchRequestTopic::default().with_name(name).with_partition_indexes(list.collect())
        });
        return OffsetFetchRequest::default()
            .with_group_id(group)
            .with_topics(Some(topics.collect()))
            .with_require_stable(version >= 7);
    }
    let topics = topics.map(|(name, list)| {
        OffsetFetchRequestTopics::default().with_name(name).with_partition_indexes(list.collect())
    });
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(group)
        .with_member_id(Some(text(&committer.member_id)).filter(|id| !id.is_empty()))
        .with_member_epoch(committer.generation)
        .with_topics(Some(topics.collect()));
    OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(true)
}

/// What an answer says of one partition: its committed offset where it has one, or why that is not known.
pub(crate) type CommittedAnswer = (TopicPartition, Result<Option<Committed>, ErrorCode>);

/// What is committed, from either layout.
///
/// # Errors
/// The code that the whole answer carries.
pub(crate) fn read_fetch(response: OffsetFetchResponse) -> Result<Vec<CommittedAnswer>, ErrorCode> {
    fn read(
        topic: &TopicName,
        partition: i32,
        code: i16,
        offset: i64,
        leader_epoch: i32,
        metadata: Option<StrBytes>,
    ) -> CommittedAnswer {
        let metadata = metadata.map(|text| text.to_string()).unwrap_or_default();
        let committed = (offset >= 0).then_some(Committed { offset, leader_epoch, metadata });
        (TopicPartition::new(&***topic, partition), ErrorCode(code).check().map(|()| committed))
    }
    let mut all = Vec::new();
    ErrorCode(response.error_code).check()?;
    for topic in response.topics {
        all.extend(topic.partitions.into_iter().map(|p| {
            let offset = p.committed_offset;
            read(&topic.name, p.partition_index, p.error_code, offset, p.committed_leader_epoch, p.metadata)
        }));
    }
    for group in response.groups {
        ErrorCode(group.error_code).check()?;
        for topic in group.topics {
            all.extend(topic.partitions.into_iter().map(|p| {
                let offset = p.committed_offset;
                let epoch = p.committed_leader_epoch;
                read(&topic.name, p.partition_index, p.error_code, offset, epoch, p.metadata)
            }));
        }
    }
    Ok(all)
}

/// One question to a partition's leader: which offset, and the epoch under which we know the leader.
pub(crate) type Listing = (OffsetQuery, i32);

/// The request for offsets by place or time.
pub(crate) fn list_request(
    read_committed: bool,
    questions: impl IntoIterator<Item = (TopicPartition, Listing)>,
) -> ListOffsetsRequest {
    let topics = by_topic(questions).into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(partition, (query, leader_epoch))| {
            ListOffsetsPartition::default()
                .with_partition_index(partition)
                .with_current_leader_epoch(leader_epoch)
                .with_timestamp(query.timestamp())
        });
        ListOffsetsTopic::default().with_name(TopicName(text(&topic))).with_partitions(partitions.collect())
    });
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(read_committed))
        .with_topics(topics.collect())
}

/// The offsets found; `None` where no record has such a time.
pub(crate) fn read_list(
    response: ListOffsetsResponse,
) -> Vec<(TopicPartition, Result<Option<i64>, ErrorCode>)> {
    let mut all = Vec::new();
    for topic in response.topics {
        let name: Arc<str> = (**topic.name).into();
        all.extend(topic.partitions.into_iter().map(|partition| {
            let found = (partition.offset >= 0).then_some(partition.offset);
            let answer = ErrorCode(partition.error_code).check().map(|()| found);
            (TopicPartition::new(Arc::clone(&name), partition.partition_index), answer)
        }));
    }
    all
}

/// The epoch that a position was read under, and the one under which we know the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochQuestion {
    pub(crate) read_under: i32,
    pub(crate) current: i32,
}

/// The request for where epochs ended (KIP-320).
pub(crate) fn epoch_request(
    questions: impl IntoIterator<Item = (TopicPartition, EpochQuestion)>,
) -> OffsetForLeaderEpochRequest {
    let topics = by_topic(questions).into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(partition, question)| {
            OffsetForLeaderPartition::default()
                .with_partition(partition)
                .with_current_leader_epoch(question.current)
                .with_leader_epoch(question.read_under)
        });
        OffsetForLeaderTopic::default()
            .with_topic(TopicName(text(&topic)))
            .with_partitions(partitions.collect())
    });
    OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(topics.collect())
}

/// Where an epoch ended: the largest epoch at or below the one asked for, and the offset behind its last record.
/// Both are -1 where the leader does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochEnd {
    pub(crate) epoch: i32,
    pub(crate) end_offset: i64,
}

/// Where the epochs asked for ended.
pub(crate) fn read_epochs(
    response: OffsetForLeaderEpochResponse,
) -> Vec<(TopicPartition, Result<EpochEnd, ErrorCode>)> {
    let mut all = Vec::new();
    for topic in response.topics {
        let name: Arc<str> = (**topic.topic).into();
        all.extend(topic.partitions.into_iter().map(|partition| {
            let end = EpochEnd { epoch: partition.leader_epoch, end_offset: partition.end_offset };
            let answer = ErrorCode(partition.error_code).check().map(|()| end);
            (TopicPartition::new(Arc::clone(&name), partition.partition), answer)
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
        OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    };

    use super::*;
    use crate::wire::Api;

    fn committer() -> Committer {
        let instance_id = Some("i".to_owned());
        Committer { group: "g".into(), member_id: "m".into(), generation: 4, instance_id }
    }

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    fn encodes_in_every_version<R: Api>(build: impl Fn(i16) -> R) {
        for version in R::MIN..=R::MAX {
            let request = build(version);
            let encoded = request.encode(&mut BytesMut::new(), version);
            assert!(encoded.is_ok(), "{} version {version}: {encoded:?}", R::NAME);
        }
    }

    #[test]
    fn every_request_can_be_written_in_every_version_we_speak() {
        let offset = OffsetToCommit { offset: 5, leader_epoch: 2, metadata: String::new() };
        encodes_in_every_version(|version| {
            commit_request(&committer(), [(partition(0), offset.clone())], version)
        });
        encodes_in_every_version(|version| fetch_request(&committer(), [partition(0)], version));
        encodes_in_every_version(|version| {
            list_request(version >= 2, [(partition(0), (OffsetQuery::Latest, 3))])
        });
        let question = EpochQuestion { read_under: 1, current: 2 };
        encodes_in_every_version(|_| epoch_request([(partition(0), question)]));
    }

    #[test]
    fn committed_offsets_are_read_from_both_layouts_and_none_is_not_zero() {
        let name = TopicName(text("t"));
        let old = OffsetFetchResponseTopic::default().with_name(name.clone()).with_partitions(vec![
            OffsetFetchResponsePartition::default().with_partition_index(0).with_committed_offset(7),
            OffsetFetchResponsePartition::default().with_partition_index(1).with_committed_offset(-1),
        ]);
        let new = OffsetFetchResponseTopics::default().with_name(name).with_partitions(vec![
            OffsetFetchResponsePartitions::default().with_partition_index(0).with_committed_offset(7),
            OffsetFetchResponsePartitions::default().with_partition_index(1).with_committed_offset(-1),
        ]);
        let group = OffsetFetchResponseGroup::default().with_topics(vec![new]);
        let old = read_fetch(OffsetFetchResponse::default().with_topics(vec![old])).unwrap();
        let new = read_fetch(OffsetFetchResponse::default().with_groups(vec![group])).unwrap();
        assert_eq!(old, new);
        assert_eq!(old[0].1.as_ref().unwrap().as_ref().unwrap().offset, 7);
        assert_eq!(old[1], (partition(1), Ok(None)));
    }

    #[test]
    fn an_error_of_the_whole_answer_hides_no_partition_behind_it() {
        let group = OffsetFetchResponseGroup::default().with_error_code(16);
        let response = OffsetFetchResponse::default().with_groups(vec![group]);
        assert_eq!(read_fetch(response), Err(ErrorCode::NOT_COORDINATOR));
    }
}
