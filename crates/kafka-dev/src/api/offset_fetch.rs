//! OffsetFetch, versions 1 to 9 (KIP-447 stable offsets, 709 several groups from 8, 848 member epoch).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::group::offsets::{Committed, Offsets};

/// First version that asks for several groups.
const BATCH_VERSION: i16 = 8;

impl Serve for OffsetFetchRequest {
    const SERVED: VersionRange = VersionRange { min: 1, max: 9 };

    async fn serve(self, call: &mut Call<'_>) -> OffsetFetchResponse {
        let groups = asked_groups(&self, call.version)
            .into_iter()
            .map(|asked| fetch(call, &asked, self.require_stable));
        respond(groups.collect(), call.version)
    }

    fn refuse(&self, version: i16, error: ResponseError) -> OffsetFetchResponse {
        let groups = asked_groups(self, version);
        respond(groups.iter().map(|asked| failure(&asked.group_id, error)).collect(), version)
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        let groups = self.groups.iter().map(|group| &group.group_id);
        let named = groups.chain(Some(&self.group_id).filter(|id| !id.is_empty()));
        named.map(|id| Access::new(Operation::Describe, Resource::Group, id)).collect()
    }
}

/// What is asked for, in the form of the newest version.
fn asked_groups(request: &OffsetFetchRequest, version: i16) -> Vec<OffsetFetchRequestGroup> {
    if version >= BATCH_VERSION {
        return request.groups.clone();
    }
    let topics = request.topics.as_ref().map(|topics| {
        let topics = topics.iter().map(|topic| {
            OffsetFetchRequestTopics::default()
                .with_name(topic.name.clone())
                .with_partition_indexes(topic.partition_indexes.clone())
        });
        topics.collect()
    });
    vec![OffsetFetchRequestGroup::default().with_group_id(request.group_id.clone()).with_topics(topics)]
}

fn fetch(call: &Call<'_>, asked: &OffsetFetchRequestGroup, stable_only: bool) -> OffsetFetchResponseGroup {
    if let Err(error) = call.check_coordinator(&asked.group_id) {
        return failure(&asked.group_id, error);
    }
    let cluster = call.cluster();
    let next_gen = cluster.groups.get(&asked.group_id).and_then(|group| group.next_gen.as_ref());
    if let (Some(group), Some(member)) = (next_gen, &asked.member_id)
        && asked.member_epoch >= 0
        && let Err(error) = group.check_epoch(member, asked.member_epoch)
    {
        return failure(&asked.group_id, error);
    }
    let none = Offsets::default();
    let offsets = cluster.groups.get(&asked.group_id).map_or(&none, |group| &group.offsets);
    let topics = match &asked.topics {
        Some(topics) => {
            let named = topics.iter().map(|topic| {
                named(offsets, topic, |index| {
                    let transactions = &cluster.transactions;
                    stable_only && transactions.has_pending_offset(&asked.group_id, &topic.name, index)
                })
            });
            named.collect()
        }
        None => all(offsets),
    };
    OffsetFetchResponseGroup::default().with_group_id(asked.group_id.clone()).with_topics(topics)
}

/// An offset that a transaction is about to change is withheld where the client asked for stable ones.
fn named(
    offsets: &Offsets,
    topic: &OffsetFetchRequestTopics,
    is_unstable: impl Fn(i32) -> bool,
) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter().map(|index| {
        if is_unstable(*index) {
            return partition(*index, None).with_error_code(ResponseError::UnstableOffsetCommit.code());
        }
        partition(*index, offsets.get(&topic.name, *index))
    });
    OffsetFetchResponseTopics::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
}

fn all(offsets: &Offsets) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    for (name, index, committed) in offsets.iter() {
        let found = partition(index, Some(committed));
        match topics.last_mut().filter(|topic| topic.name.as_str() == name) {
            Some(topic) => topic.partitions.push(found),
            None => {
                let topic = OffsetFetchResponseTopics::default().with_name(TopicName(text(name)));
                topics.push(topic.with_partitions(vec![found]));
            }
        }
    }
    topics
}

/// -1 for a partition without a commit.
fn partition(index: i32, committed: Option<&Committed>) -> OffsetFetchResponsePartitions {
    let metadata = committed.map_or("", |committed| &committed.metadata);
    OffsetFetchResponsePartitions::default()
        .with_partition_index(index)
        .with_committed_offset(committed.map_or(-1, |committed| committed.offset))
        .with_committed_leader_epoch(committed.map_or(-1, |committed| committed.leader_epoch))
        .with_metadata(Some(text(metadata)))
}

fn failure(group: &GroupId, error: ResponseError) -> OffsetFetchResponseGroup {
    OffsetFetchResponseGroup::default().with_group_id(group.clone()).with_error_code(error.code())
}

fn respond(groups: Vec<OffsetFetchResponseGroup>, version: i16) -> OffsetFetchResponse {
    if version >= BATCH_VERSION {
        return OffsetFetchResponse::default().with_groups(groups);
    }
    let Some(only) = groups.into_iter().next() else { return OffsetFetchResponse::default() };
    let topics = only.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|found| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(found.partition_index)
                .with_committed_offset(found.committed_offset)
                .with_committed_leader_epoch(found.committed_leader_epoch)
                .with_metadata(found.metadata)
                .with_error_code(found.error_code)
        });
        OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions.collect())
    });
    let error_code = if version >= 2 { only.error_code } else { 0 };
    OffsetFetchResponse::default().with_topics(topics.collect()).with_error_code(error_code)
}
