//! CreateAcls, versions 1 to 3 (KIP-11, 290 prefixes).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use kafka_protocol::messages::create_acls_response::{AclCreationResult, CreateAclsResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Acl, LITERAL, Operation, PREFIXED};
use crate::cluster::{Cluster, storage_error};

impl Serve for CreateAclsRequest {
    const SERVED: VersionRange = VersionRange { min: 1, max: 3 };

    async fn serve(self, call: &mut Call<'_>) -> CreateAclsResponse {
        if !call.connection.users().is_required() {
            return self.refuse(call.version, ResponseError::SecurityDisabled);
        }
        let mut cluster = call.cluster();
        let results = self.creations.iter().map(|creation| {
            let added = check(creation).and_then(|acl| cluster.acls.add(acl).map_err(storage_error));
            result(added.err())
        });
        let results = results.collect();
        CreateAclsResponse::default().with_results(results)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> CreateAclsResponse {
        let results = self.creations.iter().map(|_| result(Some(error)));
        CreateAclsResponse::default().with_results(results.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Alter)]
    }
}

/// A rule names one thing each; only filters may say "any".
fn check(creation: &AclCreation) -> Result<Acl, ResponseError> {
    let is_rule = (2..=7).contains(&creation.resource_type)
        && matches!(creation.resource_pattern_type, LITERAL | PREFIXED)
        && (2..=15).contains(&creation.operation)
        && (2..=3).contains(&creation.permission_type)
        && creation.principal.contains(':')
        && !creation.resource_name.is_empty();
    if !is_rule {
        return Err(ResponseError::InvalidRequest);
    }
    Ok(Acl {
        resource: creation.resource_type,
        name: creation.resource_name.to_string(),
        pattern: creation.resource_pattern_type,
        principal: creation.principal.to_string(),
        host: creation.host.to_string(),
        operation: creation.operation,
        permission: creation.permission_type,
    })
}

fn result(error: Option<ResponseError>) -> AclCreationResult {
    AclCreationResult::default()
        .with_error_code(super::code(error))
        .with_error_message(error.map(|error| text(error.to_string())))
}
