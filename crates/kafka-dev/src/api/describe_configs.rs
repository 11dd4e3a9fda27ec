//! DescribeConfigs, versions 1 to 4: topics and brokers (KIP-133, 226 synonyms, 569 types and documentation).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::settings::{self, Setting};
use crate::cluster::{Cluster, Refusal};

/// Kinds of resources.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
/// Where a value comes from.
const DYNAMIC_TOPIC_CONFIG: i8 = 1;
const STATIC_BROKER_CONFIG: i8 = 4;
const DEFAULT_CONFIG: i8 = 5;

impl Serve for DescribeConfigsRequest {
    const SERVED: VersionRange = VersionRange { min: 1, max: 4 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeConfigsResponse {
        let cluster = call.cluster();
        let results = self.resources.iter().map(|resource| {
            let wanted = |name: &str| match &resource.configuration_keys {
                Some(keys) => keys.iter().any(|key| key.as_str() == name),
                None => true,
            };
            match describe(&cluster, resource) {
                Ok(configs) => {
                    let wanted = configs.into_iter().filter(|config| wanted(config.setting.name));
                    let configs = wanted.map(|config| config.for_wire(&self)).collect();
                    result(resource).with_configs(configs)
                }
                Err(refusal) => failure(resource, &refusal),
            }
        });
        let results = results.collect();
        DescribeConfigsResponse::default().with_results(results)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DescribeConfigsResponse {
        let refusal = Refusal::new(error, error.to_string());
        let refused = self.resources.iter().map(|resource| failure(resource, &refusal));
        DescribeConfigsResponse::default().with_results(refused.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        let resources = self.resources.iter();
        let needs = resources.map(|resource| match resource.resource_type {
            TOPIC => Access::new(Operation::DescribeConfigs, Resource::Topic, &resource.resource_name),
            _ => Access::to_cluster(Operation::DescribeConfigs),
        });
        needs.collect()
    }
}

/// A setting and the value in force.
struct Value {
    setting: &'static Setting,
    value: String,
    source: i8,
    read_only: bool,
}

impl Value {
    fn for_wire(self, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
        let about = request.include_documentation.then(|| text(self.setting.about));
        let mut synonyms = Vec::new();
        if request.include_synonyms {
            synonyms.push(synonym(self.setting.name, &self.value, self.source));
            if self.source != DEFAULT_CONFIG {
                synonyms.push(synonym(self.setting.name, self.setting.default, DEFAULT_CONFIG));
            }
        }
        DescribeConfigsResourceResult::default()
            .with_name(text(self.setting.name))
            .with_value(Some(text(self.value)))
            .with_read_only(self.read_only)
            .with_config_source(self.source)
            .with_synonyms(synonyms)
            .with_config_type(self.setting.kind.code())
            .with_documentation(about)
    }
}

fn synonym(name: &str, value: &str, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default().with_name(text(name)).with_value(Some(text(value))).with_source(source)
}

fn describe(cluster: &Cluster, resource: &DescribeConfigsResource) -> Result<Vec<Value>, Refusal> {
    match resource.resource_type {
        TOPIC => topic(cluster, &resource.resource_name),
        BROKER => broker(cluster, &resource.resource_name),
        other => {
            let message = format!("Resource type {other} is not supported.");
            Err(Refusal::new(ResponseError::InvalidRequest, message))
        }
    }
}

fn topic(cluster: &Cluster, name: &str) -> Result<Vec<Value>, Refusal> {
    let unknown =
        || Refusal::new(ResponseError::UnknownTopicOrPartition, format!("Topic {name} does not exist."));
    let topic = cluster.topics.get(name).ok_or_else(unknown)?;
    let value = |setting: &'static Setting| {
        let is_set = topic.configs.contains_key(setting.name);
        let source = if is_set { DYNAMIC_TOPIC_CONFIG } else { DEFAULT_CONFIG };
        Value { setting, value: topic.setting(setting.name).to_owned(), source, read_only: false }
    };
    Ok(settings::TOPIC.iter().map(value).collect())
}

fn broker(cluster: &Cluster, name: &str) -> Result<Vec<Value>, Refusal> {
    let is_known = name.is_empty() || name.parse().is_ok_and(|id: i32| cluster.nodes.contains_key(&id));
    if !is_known {
        let message = format!("Unexpected broker id, but received {name}");
        return Err(Refusal::new(ResponseError::InvalidRequest, message));
    }
    let value = |setting: &'static Setting| {
        let value = cluster.broker_setting(setting.name);
        let source = if value == setting.default { DEFAULT_CONFIG } else { STATIC_BROKER_CONFIG };
        Value { setting, value, source, read_only: true }
    };
    Ok(settings::BROKER.iter().map(value).collect())
}

fn result(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult::default()
        .with_error_message(None)
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

fn failure(resource: &DescribeConfigsResource, refusal: &Refusal) -> DescribeConfigsResult {
    result(resource).with_error_code(refusal.error.code()).with_error_message(Some(text(&refusal.message)))
}
