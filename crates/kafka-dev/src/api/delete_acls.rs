//! DeleteAcls, versions 1 to 3 (KIP-11, 290 prefixes).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use kafka_protocol::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsResponse,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Acl, Filter, Operation};
use crate::cluster::{Cluster, storage_error};

impl Serve for DeleteAclsRequest {
    const SERVED: VersionRange = VersionRange { min: 1, max: 3 };

    async fn serve(self, call: &mut Call<'_>) -> DeleteAclsResponse {
        if !call.connection.users().is_required() {
            return self.refuse(call.version, ResponseError::SecurityDisabled);
        }
        let mut cluster = call.cluster();
        let results = self.filters.iter().map(|asked| match cluster.acls.remove(&filter(asked)) {
            Ok(removed) => DeleteAclsFilterResult::default()
                .with_error_message(None)
                .with_matching_acls(removed.iter().map(describe).collect()),
            Err(error) => failure(storage_error(error)),
        });
        let results = results.collect();
        DeleteAclsResponse::default().with_filter_results(results)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DeleteAclsResponse {
        let results = self.filters.iter().map(|_| failure(error));
        DeleteAclsResponse::default().with_filter_results(results.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Alter)]
    }
}

fn filter(asked: &DeleteAclsFilter) -> Filter {
    Filter {
        resource: asked.resource_type_filter,
        name: asked.resource_name_filter.as_ref().map(|name| name.to_string()),
        pattern: asked.pattern_type_filter,
        principal: asked.principal_filter.as_ref().map(|name| name.to_string()),
        host: asked.host_filter.as_ref().map(|host| host.to_string()),
        operation: asked.operation,
        permission: asked.permission_type,
    }
}

fn describe(acl: &Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_error_message(None)
        .with_resource_type(acl.resource)
        .with_resource_name(text(&acl.name))
        .with_pattern_type(acl.pattern)
        .with_principal(text(&acl.principal))
        .with_host(text(&acl.host))
        .with_operation(acl.operation)
        .with_permission_type(acl.permission)
}

fn failure(error: ResponseError) -> DeleteAclsFilterResult {
    DeleteAclsFilterResult::default()
        .with_error_code(error.code())
        .with_error_message(Some(text(error.to_string())))
}
