//! CreatePartitions, versions 0 to 3 (KIP-195).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, told};
use crate::auth::acl::{Access, Operation};
use crate::cluster::{Cluster, Refusal};

impl Serve for CreatePartitionsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 3 };

    async fn serve(self, call: &mut Call<'_>) -> CreatePartitionsResponse {
        let mut cluster = call.cluster();
        let results = self.topics.iter().map(|topic| {
            let grown = grow(&mut cluster, topic, self.validate_only);
            result(topic, grown.err().as_ref())
        });
        let results = results.collect();
        drop(cluster);
        call.shared().changed.notify_waiters();
        CreatePartitionsResponse::default().with_results(results)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> CreatePartitionsResponse {
        let refusal = error.into();
        let results = self.topics.iter().map(|topic| result(topic, Some(&refusal)));
        CreatePartitionsResponse::default().with_results(results.collect())
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Alter, self.topics(cluster))
    }
}

fn grow(cluster: &mut Cluster, asked: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    let assignments = asked.assignments.as_ref().map(|assignments| {
        assignments.iter().map(|one| one.broker_ids.iter().map(|id| id.0).collect()).collect()
    });
    cluster.create_partitions(&asked.name, asked.count, assignments, validate_only)
}

fn result(topic: &CreatePartitionsTopic, refusal: Option<&Refusal>) -> CreatePartitionsTopicResult {
    let (code, message) = told(refusal);
    CreatePartitionsTopicResult::default()
        .with_name(topic.name.clone())
        .with_error_code(code)
        .with_error_message(message)
}
