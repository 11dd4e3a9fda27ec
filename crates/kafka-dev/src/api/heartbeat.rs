//! Heartbeat of the classic protocol, versions 0 to 4 (KIP-345 static members).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code_of};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;

impl Serve for HeartbeatRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 4 };

    async fn serve(self, call: &mut Call<'_>) -> HeartbeatResponse {
        let now = call.shared().clock.now();
        let heard = call.check_coordinator(&self.group_id).and_then(|()| {
            let mut cluster = call.cluster();
            let group = cluster.groups.get_mut(&self.group_id).ok_or(ResponseError::UnknownMemberId)?;
            let instance = self.group_instance_id.as_deref();
            group.classic.heartbeat(&self.member_id, instance, self.generation_id, now)
        });
        HeartbeatResponse::default().with_error_code(code_of(&heard))
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> HeartbeatResponse {
        HeartbeatResponse::default().with_error_code(error.code())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::new(Operation::Read, Resource::Group, &self.group_id)]
    }
}
