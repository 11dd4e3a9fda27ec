//! AlterPartitionReassignments, versions 0 and 1 (KIP-455): a partition lives on other brokers from now on. There is
//! nothing to copy, so a move is over when it is answered, and there is none to cancel.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::AlterPartitionReassignmentsRequest;
use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text, told};
use crate::auth::acl::{Access, Operation};
use crate::cluster::{Cluster, Refusal};

impl Serve for AlterPartitionReassignmentsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 1 };

    async fn serve(self, call: &mut Call<'_>) -> AlterPartitionReassignmentsResponse {
        let response = {
            let mut cluster = call.cluster();
            let topics = self.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let done = reassign(&mut cluster, &topic.name, partition);
                    result(partition.partition_index, done.err().as_ref())
                });
                let partitions = partitions.collect();
                ReassignableTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
            });
            topics.collect()
        };
        call.shared().changed.notify_waiters();
        AlterPartitionReassignmentsResponse::default().with_error_message(None).with_responses(response)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> AlterPartitionReassignmentsResponse {
        AlterPartitionReassignmentsResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.to_string())))
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Alter)]
    }
}

fn reassign(cluster: &mut Cluster, topic: &str, asked: &ReassignablePartition) -> Result<(), Refusal> {
    let known = cluster.topics.get(topic).and_then(|topic| topic.partition(asked.partition_index));
    known.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let replicas = asked.replicas.as_ref().ok_or_else(|| {
        Refusal::new(ResponseError::NoReassignmentInProgress, "No partition reassignment is in progress.")
    })?;
    cluster.reassign(topic, asked.partition_index, replicas.iter().map(|id| id.0).collect())
}

fn result(index: i32, refusal: Option<&Refusal>) -> ReassignablePartitionResponse {
    let (code, message) = told(refusal);
    ReassignablePartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(code)
        .with_error_message(message)
}
