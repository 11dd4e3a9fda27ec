//! DescribeGroups, versions 0 to 6: classic groups and their members (KIP-345 instances, 430, 1043 not found from 6).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_protocol::messages::{DescribeGroupsRequest, GroupId};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::group::classic::{ClassicGroup, Member, State};

/// First version that tells an unknown group by an error.
const NOT_FOUND_VERSION: i16 = 6;

impl Serve for DescribeGroupsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 6 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeGroupsResponse {
        let groups = self.groups.iter().map(|id| {
            if let Err(error) = call.check_coordinator(id) {
                return failure(id, error, call.version);
            }
            let cluster = call.cluster();
            match cluster.groups.get(id).filter(|group| group.next_gen.is_none()) {
                Some(group) => describe(id, &group.classic),
                None => missing(id, call.version),
            }
        });
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }

    fn refuse(&self, version: i16, error: ResponseError) -> DescribeGroupsResponse {
        let groups = self.groups.iter().map(|id| failure(id, error, version));
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        let groups = self.groups.iter();
        groups.map(|id| Access::new(Operation::Describe, Resource::Group, id)).collect()
    }
}

fn describe(id: &GroupId, group: &ClassicGroup) -> DescribedGroup {
    let stable = group.state() == State::Stable;
    let protocol = group.protocol().filter(|_| stable).unwrap_or("");
    let members = group.members().map(|member| describe_member(member, protocol, stable));
    DescribedGroup::default()
        .with_group_id(id.clone())
        .with_group_state(text(group.state().name()))
        .with_protocol_type(text(group.protocol_type().unwrap_or("")))
        .with_protocol_data(text(protocol))
        .with_members(members.collect())
        .with_error_message(None)
}

fn describe_member(member: &Member, protocol: &str, stable: bool) -> DescribedGroupMember {
    let described = DescribedGroupMember::default()
        .with_member_id(text(&member.id))
        .with_group_instance_id(member.instance.as_ref().map(text))
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host));
    if !stable {
        return described;
    }
    described
        .with_member_metadata(member.metadata(protocol))
        .with_member_assignment(member.assignment.clone())
}

/// Older clients learn from the state that there is no such group.
fn missing(id: &GroupId, version: i16) -> DescribedGroup {
    if version >= NOT_FOUND_VERSION {
        return failure(id, ResponseError::GroupIdNotFound, version);
    }
    DescribedGroup::default().with_group_id(id.clone()).with_group_state(text("Dead"))
}

fn failure(id: &GroupId, error: ResponseError, version: i16) -> DescribedGroup {
    let message = (version >= NOT_FOUND_VERSION).then(|| text(format!("Group {} not found.", id.as_str())));
    let is_missing = error == ResponseError::GroupIdNotFound;
    DescribedGroup::default()
        .with_group_id(id.clone())
        .with_error_code(error.code())
        .with_error_message(message.filter(|_| is_missing))
        .with_group_state(text(if is_missing { "Dead" } else { "" }))
}
