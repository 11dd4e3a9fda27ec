//! DescribeAcls, versions 1 to 3 (KIP-11, 290 prefixes).

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::DescribeAclsRequest;
use kafka_protocol::messages::describe_acls_response::{
    AclDescription, DescribeAclsResource, DescribeAclsResponse,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Acl, Filter, Operation};
use crate::cluster::Cluster;

impl Serve for DescribeAclsRequest {
    const SERVED: VersionRange = VersionRange { min: 1, max: 3 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeAclsResponse {
        if !call.connection.users().is_required() {
            return self.refuse(call.version, ResponseError::SecurityDisabled);
        }
        let mut resources: BTreeMap<(i8, String, i8), Vec<AclDescription>> = BTreeMap::new();
        for acl in call.cluster().acls.find(&filter(&self)) {
            let key = (acl.resource, acl.name.clone(), acl.pattern);
            resources.entry(key).or_default().push(describe(&acl));
        }
        let resources = resources.into_iter().map(|((kind, name, pattern), acls)| {
            DescribeAclsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_pattern_type(pattern)
                .with_acls(acls)
        });
        DescribeAclsResponse::default().with_error_message(None).with_resources(resources.collect())
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DescribeAclsResponse {
        DescribeAclsResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.to_string())))
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Describe)]
    }
}

fn filter(request: &DescribeAclsRequest) -> Filter {
    Filter {
        resource: request.resource_type_filter,
        name: request.resource_name_filter.as_ref().map(|name| name.to_string()),
        pattern: request.pattern_type_filter,
        principal: request.principal_filter.as_ref().map(|name| name.to_string()),
        host: request.host_filter.as_ref().map(|host| host.to_string()),
        operation: request.operation,
        permission: request.permission_type,
    }
}

fn describe(acl: &Acl) -> AclDescription {
    AclDescription::default()
        .with_principal(text(&acl.principal))
        .with_host(text(&acl.host))
        .with_operation(acl.operation)
        .with_permission_type(acl.permission)
}
