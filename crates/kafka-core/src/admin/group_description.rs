//! What groups of every type are made of: state, members, assignments.
//!
//! Each type has a describe request of its own, and a broker answers "no such group" to the wrong one. So the types are
//! asked one after the other, each about the groups that the ones before did not know.

use std::collections::BTreeSet;

use bytes::Bytes;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeGroupsRequest, GroupId,
    ShareGroupDescribeRequest, consumer_group_describe_response, describe_groups_response,
    share_group_describe_response,
};
use kafka_protocol::protocol::Decodable;

use super::groups::{GroupKind, ListedGroup, by_group, subject};
use super::names::{check, group_id};
use super::stage::Stage;
use super::{Admin, Outcome};
use crate::error::{Error, RequestFailure, Result};
use crate::wire::{Api, GuardedBuf};
use crate::{ErrorCode, TopicPartition};

/// A group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Name.
    pub id: String,
    /// Type.
    pub kind: GroupKind,
    /// State in Kafka's word.
    pub state: String,
    /// What a classic group is for; `consumer` or `share` for the newer types.
    pub protocol_type: String,
    /// The assignor in use; empty while there is none.
    pub assignor: String,
    /// The group's epoch, for the newer types.
    pub epoch: Option<i32>,
    /// The members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// The member's epoch, for the newer types.
    pub epoch: Option<i32>,
    /// What it reads, sorted.
    pub assignment: Vec<TopicPartition>,
    /// The topics it subscribed to, where the broker knows them.
    pub subscribed_topics: Vec<String>,
}

/// What an answer says of each group.
type Described = Vec<(String, Result<GroupDescription>)>;

impl Admin {
    /// Groups of any type with their members (streams groups without). A group that does not exist is an error.
    pub async fn describe_groups(&self, groups: &[String]) -> Vec<Outcome<String, GroupDescription>> {
        let mut outcomes = self.describe_kind(GroupKind::Consumer, groups).await;
        for kind in [GroupKind::Classic, GroupKind::Share] {
            let left = of_another_kind(&outcomes);
            if left.is_empty() {
                return outcomes;
            }
            let found = self.describe_kind(kind, &left).await.into_iter();
            // Of a group that is of no type, the classic answer is the one to show: every broker has one.
            for found in found.filter(|found| kind == GroupKind::Classic || found.result.is_ok()) {
                if let Some(outcome) = outcomes.iter_mut().find(|outcome| outcome.key == found.key) {
                    *outcome = found;
                }
            }
        }
        let left = of_another_kind(&outcomes);
        for group in self.listed_only(&left).await {
            if let Some(outcome) = outcomes.iter_mut().find(|outcome| outcome.key == group.id) {
                outcome.result = Ok(group);
            }
        }
        outcomes
    }

    /// Those of these groups that brokers list, though they describe them under none of the types above: streams groups,
    /// and types to come. Their members stay unknown.
    async fn listed_only(&self, names: &[String]) -> Vec<GroupDescription> {
        if names.is_empty() {
            return Vec::new();
        }
        let Ok(metadata) = self.snapshot(Some(&[])).await else { return Vec::new() };
        let brokers: Vec<_> = metadata.brokers.keys().copied().collect();
        let listed = self.list_groups(&brokers).await;
        let listed = listed.into_iter().filter_map(|outcome| outcome.result.ok()).flatten();
        let wanted = listed.filter(|group| {
            matches!(group.kind, GroupKind::Streams | GroupKind::Unknown) && names.contains(&group.id)
        });
        let description = |group: ListedGroup| GroupDescription {
            id: group.id,
            kind: group.kind,
            state: group.state.unwrap_or_default(),
            protocol_type: group.protocol_type,
            assignor: String::new(),
            epoch: None,
            members: Vec::new(),
        };
        wanted.map(description).collect()
    }

    async fn describe_kind(
        &self,
        kind: GroupKind,
        groups: &[String],
    ) -> Vec<Outcome<String, GroupDescription>> {
        match kind {
            GroupKind::Consumer => {
                let request = |ids| ConsumerGroupDescribeRequest::default().with_group_ids(ids);
                self.describe_by(groups, request, |answer| {
                    let groups = answer.groups.into_iter();
                    groups.map(|group| (group.group_id.to_string(), read_consumer_group(group))).collect()
                })
                .await
            }
            GroupKind::Share => {
                let request = |ids| ShareGroupDescribeRequest::default().with_group_ids(ids);
                self.describe_by(groups, request, |answer| {
                    let groups = answer.groups.into_iter();
                    groups.map(|group| (group.group_id.to_string(), read_share_group(group))).collect()
                })
                .await
            }
            _ => {
                let request = |ids| DescribeGroupsRequest::default().with_groups(ids);
                self.describe_by(groups, request, |answer| {
                    let groups = answer.groups.into_iter();
                    groups.map(|group| (group.group_id.to_string(), read_classic_group(group))).collect()
                })
                .await
            }
        }
    }

    async fn describe_by<R: Api>(
        &self,
        groups: &[String],
        request: fn(Vec<GroupId>) -> R,
        read: fn(R::Response) -> Described,
    ) -> Vec<Outcome<String, GroupDescription>> {
        let build = move |groups: &[String], _| Ok(request(groups.iter().map(|id| group_id(id)).collect()));
        let stage = Stage::new(by_group(), build, move |_, answer| read(answer));
        self.call("describing groups").run(stage, groups.to_vec()).await
    }
}

/// The groups of which a broker said that they are of another type, or nothing that it knows.
fn of_another_kind(outcomes: &[Outcome<String, GroupDescription>]) -> Vec<String> {
    outcomes.iter().filter(|outcome| is_of_another_kind(outcome)).map(|o| o.key.clone()).collect()
}

/// Whether the broker knows no such group of this type, or no such type.
fn is_of_another_kind(outcome: &Outcome<String, GroupDescription>) -> bool {
    match &outcome.result {
        Ok(_) => false,
        Err(Error::Request { failure: RequestFailure::Unsupported(_), .. }) => true,
        Err(error) => matches!(
            error.code(),
            Some(
                ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION | ErrorCode::INVALID_GROUP_ID
            )
        ),
    }
}

/// A description that differs only in its members between the types.
fn described(id: &str, kind: GroupKind, state: &str, assignor: &str, epoch: i32) -> GroupDescription {
    GroupDescription {
        id: id.to_owned(),
        kind,
        state: state.to_owned(),
        protocol_type: kind.name().to_owned(),
        assignor: assignor.to_owned(),
        epoch: Some(epoch),
        members: Vec::new(),
    }
}

fn read_consumer_group(group: consumer_group_describe_response::DescribedGroup) -> Result<GroupDescription> {
    let (code, message) = (group.error_code, group.error_message.as_ref());
    check::<ConsumerGroupDescribeRequest>(subject(&group.group_id), code, message)?;
    let member = |member: consumer_group_describe_response::Member| {
        let assigned = member.assignment.topic_partitions.iter();
        let assigned = assigned.flat_map(|topic| partitions(&topic.topic_name, &topic.partitions));
        GroupMember {
            id: member.member_id.to_string(),
            instance_id: member.instance_id.map(|id| id.to_string()),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            epoch: Some(member.member_epoch),
            assignment: sorted(assigned),
            subscribed_topics: member.subscribed_topic_names.iter().map(|name| name.to_string()).collect(),
        }
    };
    let (kind, epoch) = (GroupKind::Consumer, group.group_epoch);
    let description = described(&group.group_id, kind, &group.group_state, &group.assignor_name, epoch);
    Ok(GroupDescription { members: group.members.into_iter().map(member).collect(), ..description })
}

fn read_share_group(group: share_group_describe_response::DescribedGroup) -> Result<GroupDescription> {
    let (code, message) = (group.error_code, group.error_message.as_ref());
    check::<ShareGroupDescribeRequest>(subject(&group.group_id), code, message)?;
    let member = |member: share_group_describe_response::Member| {
        let assigned = member.assignment.topic_partitions.iter();
        let assigned = assigned.flat_map(|topic| partitions(&topic.topic_name, &topic.partitions));
        GroupMember {
            id: member.member_id.to_string(),
            instance_id: None,
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            epoch: Some(member.member_epoch),
            assignment: sorted(assigned),
            subscribed_topics: member.subscribed_topic_names.iter().map(|name| name.to_string()).collect(),
        }
    };
    let (kind, epoch) = (GroupKind::Share, group.group_epoch);
    let description = described(&group.group_id, kind, &group.group_state, &group.assignor_name, epoch);
    Ok(GroupDescription { members: group.members.into_iter().map(member).collect(), ..description })
}

fn read_classic_group(group: describe_groups_response::DescribedGroup) -> Result<GroupDescription> {
    let name = group.group_id.to_string();
    check::<DescribeGroupsRequest>(subject(&name), group.error_code, group.error_message.as_ref())?;
    // Brokers before 4.0 answer about an unknown group that it is dead.
    if &*group.group_state == "Dead" {
        return Err(Error::NotFound { subject: subject(&name), api: DescribeGroupsRequest::NAME });
    }
    let is_consumer = matches!(&*group.protocol_type, "consumer" | "");
    let member = |member: describe_groups_response::DescribedGroupMember| GroupMember {
        id: member.member_id.to_string(),
        instance_id: member.group_instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        epoch: None,
        assignment: if is_consumer { read_assignment(member.member_assignment) } else { Vec::new() },
        subscribed_topics: Vec::new(),
    };
    Ok(GroupDescription {
        id: name,
        kind: GroupKind::Classic,
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        assignor: group.protocol_data.to_string(),
        epoch: None,
        members: group.members.into_iter().map(member).collect(),
    })
}

/// What a member of a classic consumer group was given. The bytes come from another client: what cannot be read counts
/// as nothing.
fn read_assignment(mut bytes: Bytes) -> Vec<TopicPartition> {
    let Ok(version) = bytes::Buf::try_get_i16(&mut bytes) else { return Vec::new() };
    let version = version.clamp(0, 3);
    let read = ConsumerProtocolAssignment::decode(&mut GuardedBuf::new(bytes, false, 0), version);
    let topics = read.map(|assignment| assignment.assigned_partitions).unwrap_or_default();
    sorted(topics.iter().flat_map(|topic| partitions(&topic.topic, &topic.partitions)))
}

fn partitions<'a>(topic: &'a str, ids: &'a [i32]) -> impl Iterator<Item = TopicPartition> + 'a {
    ids.iter().map(move |id| TopicPartition::new(topic, *id))
}

fn sorted(partitions: impl Iterator<Item = TopicPartition>) -> Vec<TopicPartition> {
    partitions.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::names::text;
    use super::*;

    #[test]
    fn an_assignment_that_another_client_wrote_is_read_or_counts_as_nothing() {
        let written = [
            &[0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2][..],
            &[0, 0, 0, 4, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff],
        ]
        .concat();
        let read = read_assignment(Bytes::from(written.clone()));
        assert_eq!(read, [TopicPartition::new("t", 2), TopicPartition::new("t", 4)]);
        for cut in 0..written.len() - 4 {
            assert!(read_assignment(Bytes::from(written[..cut].to_vec())).is_empty(), "cut at {cut}");
        }
        assert!(read_assignment(Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff])).is_empty());
    }

    #[test]
    fn a_dead_classic_group_is_one_that_does_not_exist() {
        let group = describe_groups_response::DescribedGroup::default()
            .with_group_id(group_id("g"))
            .with_group_state(text("Dead"));
        let error = read_classic_group(group).unwrap_err();
        assert_eq!(error.to_string(), "group g does not exist");
    }
}
