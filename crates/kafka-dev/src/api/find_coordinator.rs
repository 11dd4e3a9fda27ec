//! FindCoordinator, versions 0 to 6: the broker of a group or transaction (KIP-699 batches from 4, 890, 932).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;

/// First version that asks for several at once.
const BATCH_VERSION: i16 = 4;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

impl Serve for FindCoordinatorRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 6 };

    async fn serve(self, call: &mut Call<'_>) -> FindCoordinatorResponse {
        let cluster = call.cluster();
        let found = |key: &StrBytes| match self.key_type {
            GROUP | TRANSACTION => coordinator(&cluster, key),
            _ => failure(key, ResponseError::InvalidRequest),
        };
        respond(&self, call.version, found)
    }

    fn refuse(&self, version: i16, error: ResponseError) -> FindCoordinatorResponse {
        respond(self, version, |key| failure(key, error))
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        let resource = if self.key_type == GROUP { Resource::Group } else { Resource::TransactionalId };
        let keys = self.coordinator_keys.iter().chain(Some(&self.key).filter(|key| !key.is_empty()));
        keys.map(|key| Access::new(Operation::Describe, resource, key)).collect()
    }
}

fn respond(
    request: &FindCoordinatorRequest,
    version: i16,
    find: impl Fn(&StrBytes) -> Coordinator,
) -> FindCoordinatorResponse {
    if version >= BATCH_VERSION {
        let found = request.coordinator_keys.iter().map(find).collect();
        return FindCoordinatorResponse::default().with_coordinators(found);
    }
    let found = find(&request.key);
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}

fn coordinator(cluster: &Cluster, key: &StrBytes) -> Coordinator {
    let found = cluster.coordinator(key).and_then(|id| Some((id, cluster.nodes.get(&id)?)));
    let Some((id, node)) = found else { return failure(key, ResponseError::CoordinatorNotAvailable) };
    Coordinator::default()
        .with_key(key.clone())
        .with_node_id(BrokerId(id))
        .with_host(text(&node.host))
        .with_port(node.port.into())
        .with_error_message(None)
}

fn failure(key: &StrBytes, error: ResponseError) -> Coordinator {
    Coordinator::default()
        .with_key(key.clone())
        .with_node_id(BrokerId(-1))
        .with_port(-1)
        .with_error_code(error.code())
        .with_error_message(Some(text(error.to_string())))
}
