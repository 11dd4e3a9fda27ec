//! DescribeCluster, versions 0 to 2 (KIP-700, 919 endpoint type, 1073 fenced brokers).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};

/// Types of endpoints. Before version 1 a request is about brokers.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Serve for DescribeClusterRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 2 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeClusterResponse {
        match self.endpoint_type {
            BROKERS => {}
            CONTROLLERS => return self.refuse(call.version, ResponseError::MismatchedEndpointType),
            _ => return self.refuse(call.version, ResponseError::UnsupportedEndpointType),
        }
        let cluster = call.cluster();
        let shown = cluster.nodes.iter().filter(|(_, node)| node.is_up || self.include_fenced_brokers);
        let brokers = shown.map(|(id, node)| {
            DescribeClusterBroker::default()
                .with_broker_id(BrokerId(*id))
                .with_host(text(&node.host))
                .with_port(node.port.into())
                .with_rack(None)
                .with_is_fenced(!node.is_up)
        });
        DescribeClusterResponse::default()
            .with_error_message(None)
            .with_cluster_id(text(&cluster.id))
            .with_controller_id(BrokerId(cluster.controller()))
            .with_brokers(brokers.collect())
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DescribeClusterResponse {
        DescribeClusterResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.to_string())))
    }
}
