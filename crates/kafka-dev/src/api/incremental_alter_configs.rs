//! IncrementalAlterConfigs, versions 0 and 1 (KIP-339): set, delete, append to and subtract from settings of topics.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, alter_configs, told};
use crate::auth::acl::Access;
use crate::cluster::topic::Topic;
use crate::cluster::{Cluster, Refusal};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

impl Serve for IncrementalAlterConfigsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 1 };

    async fn serve(self, call: &mut Call<'_>) -> IncrementalAlterConfigsResponse {
        let mut cluster = call.cluster();
        let results = self.resources.iter().map(|resource| {
            let altered = alter(&mut cluster, resource, self.validate_only);
            result(resource, altered.err().as_ref())
        });
        let results = results.collect();
        IncrementalAlterConfigsResponse::default().with_responses(results)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> IncrementalAlterConfigsResponse {
        let refusal = error.into();
        let results = self.resources.iter().map(|resource| result(resource, Some(&refusal)));
        IncrementalAlterConfigsResponse::default().with_responses(results.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        let resources = self.resources.iter();
        alter_configs::access(resources.map(|resource| (resource.resource_type, &*resource.resource_name)))
    }
}

fn alter(cluster: &mut Cluster, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let topic = alter_configs::topic(cluster, resource.resource_type, &resource.resource_name)?;
    let mut configs = topic.configs.clone();
    for config in &resource.configs {
        apply(topic, &mut configs, config)?;
    }
    cluster.set_topic_configs(&resource.resource_name, configs, validate_only)
}

fn apply(
    topic: &Topic,
    configs: &mut BTreeMap<String, String>,
    config: &AlterableConfig,
) -> Result<(), Refusal> {
    let name = config.name.to_string();
    if config.config_operation == DELETE {
        configs.remove(&name);
        return Ok(());
    }
    let missing =
        || Refusal::new(ResponseError::InvalidRequest, format!("Null value not supported for {name}"));
    let value = config.value.as_ref().ok_or_else(missing)?.to_string();
    let given: Vec<&str> = value.split(',').map(str::trim).collect();
    let old = configs.get(&name).cloned().unwrap_or_else(|| topic.setting(&name).to_owned());
    let mut words: Vec<&str> = old.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    match config.config_operation {
        SET => {
            configs.insert(name, value);
            return Ok(());
        }
        APPEND => {
            let new: Vec<&str> = given.into_iter().filter(|word| !words.contains(word)).collect();
            words.extend(new);
        }
        SUBTRACT => words.retain(|word| !given.contains(word)),
        other => {
            let message = format!("Unknown operation {other}.");
            return Err(Refusal::new(ResponseError::InvalidRequest, message));
        }
    }
    let joined = words.join(",");
    configs.insert(name, joined);
    Ok(())
}

fn result(resource: &AlterConfigsResource, refusal: Option<&Refusal>) -> AlterConfigsResourceResponse {
    let (code, message) = told(refusal);
    AlterConfigsResourceResponse::default()
        .with_error_code(code)
        .with_error_message(message)
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}
