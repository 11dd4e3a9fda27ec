//! SyncGroup, versions 0 to 5 (KIP-345 static members, 559 protocol type and name).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::group::classic::{SyncRequest, Synced};

impl Serve for SyncGroupRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 5 };

    async fn serve(self, call: &mut Call<'_>) -> SyncGroupResponse {
        if let Err(error) = call.check_coordinator(&self.group_id) {
            return self.refuse(call.version, error);
        }
        let now = call.shared().clock.now();
        let group = self.group_id.to_string();
        let waiting = call.cluster().groups.sync(&group, read(self), now);
        call.shared().timers.notify_one();
        let synced = match waiting {
            Some(waiting) => waiting.await.ok(),
            None => Some(Synced::refused(ResponseError::UnknownMemberId)),
        };
        respond(synced.unwrap_or_else(|| Synced::refused(ResponseError::CoordinatorNotAvailable)))
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> SyncGroupResponse {
        respond(Synced::refused(error))
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::new(Operation::Read, Resource::Group, &self.group_id)]
    }
}

fn read(request: SyncGroupRequest) -> SyncRequest {
    let assignments = request.assignments.into_iter();
    SyncRequest {
        token: 0,
        member_id: request.member_id.to_string(),
        instance: request.group_instance_id.as_ref().map(|id| id.to_string()),
        generation: request.generation_id,
        protocol_type: request.protocol_type.as_ref().map(|name| name.to_string()),
        protocol: request.protocol_name.as_ref().map(|name| name.to_string()),
        assignments: assignments.map(|one| (one.member_id.to_string(), one.assignment)).collect(),
    }
}

fn respond(synced: Synced) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(code(synced.error))
        .with_protocol_type(synced.protocol_type.map(text))
        .with_protocol_name(synced.protocol.map(text))
        .with_assignment(synced.assignment)
}
