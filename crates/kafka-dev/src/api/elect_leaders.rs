//! ElectLeaders, versions 1 and 2 (KIP-183, 460): the lead back to the preferred replicas.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ElectLeadersRequest;
use kafka_protocol::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code_of, text};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;

const PREFERRED: i8 = 0;

/// Results by topic and partition.
type Results = BTreeMap<String, Vec<(i32, Result<(), ResponseError>)>>;

impl Serve for ElectLeadersRequest {
    const SERVED: VersionRange = VersionRange { min: 1, max: 2 };

    async fn serve(self, call: &mut Call<'_>) -> ElectLeadersResponse {
        let mut results = Results::new();
        let mut cluster = call.cluster();
        for (topic, partition) in wanted(&self, &cluster) {
            let elected = match self.election_type {
                PREFERRED => cluster.elect_preferred(&topic, partition),
                _ => cluster.elect_unclean(&topic, partition),
            };
            // Who asks for all does not want to hear of those that need none.
            if self.topic_partitions.is_some() || elected != Err(ResponseError::ElectionNotNeeded) {
                results.entry(topic).or_default().push((partition, elected));
            }
        }
        drop(cluster);
        call.shared().changed.notify_waiters();
        respond(results)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> ElectLeadersResponse {
        ElectLeadersResponse::default().with_error_code(error.code())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Alter)]
    }
}

fn wanted(request: &ElectLeadersRequest, cluster: &Cluster) -> Vec<(String, i32)> {
    match &request.topic_partitions {
        Some(topics) => {
            let of = |topic: &kafka_protocol::messages::elect_leaders_request::TopicPartitions| {
                let name = topic.topic.to_string();
                topic.partitions.iter().map(move |index| (name.clone(), *index)).collect::<Vec<_>>()
            };
            topics.iter().flat_map(of).collect()
        }
        None => cluster
            .topics
            .iter()
            .flat_map(|(name, topic)| {
                topic.partitions.iter().zip(0..).map(|(_, index)| (name.clone(), index))
            })
            .collect(),
    }
}

fn respond(results: Results) -> ElectLeadersResponse {
    let topics = results.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(index, elected)| {
            PartitionResult::default()
                .with_partition_id(index)
                .with_error_code(code_of(&elected))
                .with_error_message(elected.err().map(|error| text(error.to_string())))
        });
        ReplicaElectionResult::default()
            .with_topic(kafka_protocol::messages::TopicName(text(topic)))
            .with_partition_result(partitions.collect())
    });
    ElectLeadersResponse::default().with_replica_election_results(topics.collect())
}
