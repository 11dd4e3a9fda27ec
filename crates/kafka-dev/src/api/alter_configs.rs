//! AlterConfigs, versions 0 to 2 (KIP-133): replaces all settings of a topic. IncrementalAlterConfigs took its place.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsRequest, AlterConfigsResource};
use kafka_protocol::messages::alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, describe_configs, told};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::topic::Topic;
use crate::cluster::{Cluster, Refusal};

impl Serve for AlterConfigsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 2 };

    async fn serve(self, call: &mut Call<'_>) -> AlterConfigsResponse {
        let mut cluster = call.cluster();
        let results = self.resources.iter().map(|resource| {
            let altered = alter(&mut cluster, resource, self.validate_only);
            result(resource, altered.err().as_ref())
        });
        let results = results.collect();
        AlterConfigsResponse::default().with_responses(results)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> AlterConfigsResponse {
        let refusal = error.into();
        let results = self.resources.iter().map(|resource| result(resource, Some(&refusal)));
        AlterConfigsResponse::default().with_responses(results.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        access(self.resources.iter().map(|resource| (resource.resource_type, &*resource.resource_name)))
    }
}

fn alter(cluster: &mut Cluster, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    topic(cluster, resource.resource_type, &resource.resource_name)?;
    let set = resource.configs.iter().filter_map(|config| {
        let value = config.value.as_ref()?;
        Some((config.name.to_string(), value.to_string()))
    });
    let configs: BTreeMap<String, String> = set.collect();
    cluster.set_topic_configs(&resource.resource_name, configs, validate_only)
}

/// What altering these resources, by kind and name, needs.
pub(super) fn access<'a>(resources: impl Iterator<Item = (i8, &'a str)>) -> Vec<Access> {
    let needs = resources.map(|(kind, name)| match kind {
        describe_configs::TOPIC => Access::new(Operation::AlterConfigs, Resource::Topic, name),
        _ => Access::to_cluster(Operation::AlterConfigs),
    });
    needs.collect()
}

/// The topic to alter; brokers of this cluster are configured where they are started.
pub(super) fn topic<'a>(cluster: &'a Cluster, kind: i8, name: &str) -> Result<&'a Topic, Refusal> {
    if kind != describe_configs::TOPIC {
        let message = "Only the configuration of topics can be changed.";
        return Err(Refusal::new(ResponseError::InvalidRequest, message));
    }
    cluster.topics.get(name).ok_or_else(|| {
        Refusal::new(ResponseError::UnknownTopicOrPartition, format!("Topic {name} does not exist."))
    })
}

fn result(resource: &AlterConfigsResource, refusal: Option<&Refusal>) -> AlterConfigsResourceResponse {
    let (code, message) = told(refusal);
    AlterConfigsResourceResponse::default()
        .with_error_code(code)
        .with_error_message(message)
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}
