//! DeleteGroups, versions 0 to 2 (KIP-229): groups without members, and their offsets.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use kafka_protocol::messages::{DeleteGroupsRequest, GroupId};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code_of};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;

impl Serve for DeleteGroupsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 2 };

    async fn serve(self, call: &mut Call<'_>) -> DeleteGroupsResponse {
        let results = self.groups_names.iter().map(|id| {
            let deleted = call.check_coordinator(id).and_then(|()| call.cluster().groups.delete(id));
            result(id, code_of(&deleted))
        });
        DeleteGroupsResponse::default().with_results(results.collect())
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DeleteGroupsResponse {
        let results = self.groups_names.iter().map(|id| result(id, error.code()));
        DeleteGroupsResponse::default().with_results(results.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        let groups = self.groups_names.iter();
        groups.map(|id| Access::new(Operation::Delete, Resource::Group, id)).collect()
    }
}

fn result(id: &GroupId, error_code: i16) -> DeletableGroupResult {
    DeletableGroupResult::default().with_group_id(id.clone()).with_error_code(error_code)
}
