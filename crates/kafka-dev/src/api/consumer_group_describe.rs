//! ConsumerGroupDescribe, versions 0 and 1 (KIP-848, 1099 member type).

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment, ConsumerGroupDescribeResponse, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, GroupId, TopicName};
use kafka_protocol::protocol::VersionRange;
use uuid::Uuid;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::group::next_gen::assignor::Slot;
use crate::group::next_gen::{self, NextGenGroup};

/// A member under the new protocol, as opposed to a classic one in the same group.
const CONSUMER_MEMBER: i8 = 1;

impl Serve for ConsumerGroupDescribeRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 1 };

    async fn serve(self, call: &mut Call<'_>) -> ConsumerGroupDescribeResponse {
        let groups = self.group_ids.iter().map(|id| {
            if let Err(error) = call.check_coordinator(id) {
                return failure(id, error);
            }
            let cluster = call.cluster();
            match cluster.groups.get(id).and_then(|group| group.next_gen.as_ref()) {
                Some(group) => describe(id, group, &cluster, call.version),
                None => failure(id, ResponseError::GroupIdNotFound),
            }
        });
        ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> ConsumerGroupDescribeResponse {
        let groups = self.group_ids.iter().map(|id| failure(id, error));
        ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        let groups = self.group_ids.iter();
        groups.map(|id| Access::new(Operation::Describe, Resource::Group, id)).collect()
    }
}

fn describe(id: &GroupId, group: &NextGenGroup, cluster: &Cluster, version: i16) -> DescribedGroup {
    let members = group.members().map(|member| describe_member(member, group, cluster, version));
    DescribedGroup::default()
        .with_error_message(None)
        .with_group_id(id.clone())
        .with_group_state(text(group.state_name()))
        .with_group_epoch(group.epoch())
        .with_assignment_epoch(group.target_epoch())
        .with_assignor_name(text(group.assignor().name()))
        .with_members(members.collect())
}

fn describe_member(
    member: &next_gen::Member,
    group: &NextGenGroup,
    cluster: &Cluster,
    version: i16,
) -> Member {
    let topics = member.topics.iter().map(|name| TopicName(text(name)));
    let described = Member::default()
        .with_member_id(text(&member.id))
        .with_instance_id(member.instance.as_ref().map(text))
        .with_rack_id(member.rack.as_ref().map(text))
        .with_member_epoch(member.epoch)
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host))
        .with_subscribed_topic_names(topics.collect())
        .with_subscribed_topic_regex(member.regex.as_ref().map(text))
        .with_assignment(assignment(&member.assigned, cluster))
        .with_target_assignment(assignment(&group.target_of(&member.id), cluster));
    if version >= 1 { described.with_member_type(CONSUMER_MEMBER) } else { described }
}

fn assignment(slots: &BTreeSet<Slot>, cluster: &Cluster) -> Assignment {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in slots {
        topics.entry(*topic).or_default().push(*partition);
    }
    let topics = topics.into_iter().map(|(id, partitions)| {
        let name = cluster.topic_name(id).unwrap_or("");
        TopicPartitions::default()
            .with_topic_id(id)
            .with_topic_name(TopicName(text(name)))
            .with_partitions(partitions)
    });
    Assignment::default().with_topic_partitions(topics.collect())
}

fn failure(id: &GroupId, error: ResponseError) -> DescribedGroup {
    let message = format!("Group {}: {error}", id.as_str());
    DescribedGroup::default()
        .with_group_id(id.clone())
        .with_error_code(error.code())
        .with_error_message(Some(text(message)))
}
