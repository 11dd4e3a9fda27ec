//! JoinGroup, versions 0 to 9 (KIP-62 rebalance timeout, 345 static members, 394 member id required, 559 protocol type,
//! 800 reason, 814 skipped assignment).

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::JoinGroupRequest;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_protocol::protocol::VersionRange;
use uuid::Uuid;

use super::{Call, Serve, code, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::group::classic::{JoinRequest, Joined};

const REBALANCE_TIMEOUT_VERSION: i16 = 1;
const MEMBER_ID_REQUIRED_VERSION: i16 = 4;
const PROTOCOL_TYPE_VERSION: i16 = 7;
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

impl Serve for JoinGroupRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 9 };

    async fn serve(self, call: &mut Call<'_>) -> JoinGroupResponse {
        if let Err(error) = check(&self, call) {
            return self.refuse(call.version, error);
        }
        let now = call.shared().clock.now();
        let group = self.group_id.to_string();
        let request = read(self, call);
        let refused = JoinGroupResponse::default().with_member_id(text(&request.member_id));
        let joined = call.cluster().groups.join(&group, request, now);
        call.shared().timers.notify_one();
        match joined.await {
            Ok(joined) => respond(*joined, call.version),
            Err(_) => refused.with_error_code(ResponseError::CoordinatorNotAvailable.code()),
        }
    }

    fn refuse(&self, version: i16, error: ResponseError) -> JoinGroupResponse {
        respond(Joined::refused(&self.member_id, error), version)
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::new(Operation::Read, Resource::Group, &self.group_id)]
    }
}

fn check(request: &JoinGroupRequest, call: &Call<'_>) -> Result<(), ResponseError> {
    if request.group_id.is_empty() {
        return Err(ResponseError::InvalidGroupId);
    }
    call.check_coordinator(&request.group_id)?;
    let cluster = call.cluster();
    let group = cluster.groups.get(&request.group_id);
    if group.and_then(|group| group.next_gen.as_ref()).is_some_and(|group| !group.is_empty()) {
        return Err(ResponseError::InconsistentGroupProtocol);
    }
    let accepted = cluster.limits.session_timeout_ms.clone();
    if accepted.contains(&request.session_timeout_ms) {
        Ok(())
    } else {
        Err(ResponseError::InvalidSessionTimeout)
    }
}

fn read(request: JoinGroupRequest, call: &Call<'_>) -> JoinRequest {
    let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    let session_timeout = millis(request.session_timeout_ms);
    let has_rebalance_timeout = call.version >= REBALANCE_TIMEOUT_VERSION;
    let prefix = request.group_instance_id.as_deref().unwrap_or(&call.client_id);
    let protocols = request.protocols.into_iter();
    JoinRequest {
        token: 0,
        fresh_id: format!("{prefix}-{}", Uuid::new_v4()),
        member_id: request.member_id.to_string(),
        instance: request.group_instance_id.as_ref().map(|id| id.to_string()),
        client_id: call.client_id.clone(),
        client_host: call.client_host(),
        session_timeout,
        rebalance_timeout: if has_rebalance_timeout {
            millis(request.rebalance_timeout_ms)
        } else {
            session_timeout
        },
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.map(|protocol| (protocol.name.to_string(), protocol.metadata)).collect(),
        member_id_required: call.version >= MEMBER_ID_REQUIRED_VERSION,
        can_skip_assignment: call.version >= SKIP_ASSIGNMENT_VERSION,
    }
}

fn respond(joined: Joined, version: i16) -> JoinGroupResponse {
    // Before version 7 the name cannot be null.
    let protocol = joined.protocol.or_else(|| (version < PROTOCOL_TYPE_VERSION).then(String::new));
    let member = |(id, instance, metadata): (String, Option<String>, bytes::Bytes)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(id))
            .with_group_instance_id(instance.map(text))
            .with_metadata(metadata)
    };
    JoinGroupResponse::default()
        .with_error_code(code(joined.error))
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.map(text))
        .with_protocol_name(protocol.map(text))
        .with_leader(text(joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect())
}
