//! ListPartitionReassignments, version 0 (KIP-455): none, since moves are over at once.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;

impl Serve for ListPartitionReassignmentsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 0 };

    async fn serve(self, _call: &mut Call<'_>) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse::default().with_error_message(None)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.to_string())))
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Describe)]
    }
}
