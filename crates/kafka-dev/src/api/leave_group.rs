//! LeaveGroup, versions 0 to 5 (KIP-345 several members at once from 3, 800 reason).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code_of};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;

/// First version that names several members.
const BATCH_VERSION: i16 = 3;

impl Serve for LeaveGroupRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 5 };

    async fn serve(self, call: &mut Call<'_>) -> LeaveGroupResponse {
        if let Err(error) = call.check_coordinator(&self.group_id) {
            return self.refuse(call.version, error);
        }
        let now = call.shared().clock.now();
        let mut cluster = call.cluster();
        let mut leave = |member_id: &str, instance: Option<&str>| {
            let group = cluster.groups.get_mut(&self.group_id).ok_or(ResponseError::UnknownMemberId)?;
            group.classic.leave(member_id, instance, now)
        };
        let response = if call.version < BATCH_VERSION {
            LeaveGroupResponse::default().with_error_code(code_of(&leave(&self.member_id, None)))
        } else {
            let left = self.members.iter().map(|member| {
                let result = leave(&member.member_id, member.group_instance_id.as_deref());
                member_response(member, code_of(&result))
            });
            LeaveGroupResponse::default().with_members(left.collect())
        };
        cluster.groups.deliver(&self.group_id);
        drop(cluster);
        call.shared().timers.notify_one();
        response
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> LeaveGroupResponse {
        LeaveGroupResponse::default().with_error_code(error.code())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::new(Operation::Read, Resource::Group, &self.group_id)]
    }
}

fn member_response(member: &MemberIdentity, error_code: i16) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(member.member_id.clone())
        .with_group_instance_id(member.group_instance_id.clone())
        .with_error_code(error_code)
}
