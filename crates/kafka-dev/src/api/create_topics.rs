//! CreateTopics, versions 2 to 7 (KIP-4, 464 broker defaults, 525 configs in the answer, 516 topic ids).

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use kafka_protocol::protocol::VersionRange;
use uuid::Uuid;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation};
use crate::cluster::topic::Topic;
use crate::cluster::{Cluster, NewTopic, Refusal, settings};

/// Where a config value comes from, as `DescribeConfigs` numbers it.
const DYNAMIC_TOPIC_CONFIG: i8 = 1;
const DEFAULT_CONFIG: i8 = 5;

impl Serve for CreateTopicsRequest {
    const SERVED: VersionRange = VersionRange { min: 2, max: 7 };

    async fn serve(self, call: &mut Call<'_>) -> CreateTopicsResponse {
        let mut cluster = call.cluster();
        let mut named: HashMap<&str, usize> = HashMap::new();
        for topic in &self.topics {
            *named.entry(topic.name.as_str()).or_default() += 1;
        }
        let results = self.topics.iter().map(|topic| {
            if named.get(topic.name.as_str()).copied().unwrap_or(0) > 1 {
                let message = "Duplicate topic in request.";
                return failure(topic, &Refusal::new(ResponseError::InvalidRequest, message));
            }
            match create(&mut cluster, topic, self.validate_only) {
                Ok(result) if call.version >= 5 => result,
                Ok(result) => result.with_configs(Some(Vec::new())),
                Err(refusal) => failure(topic, &refusal),
            }
        });
        let response = CreateTopicsResponse::default().with_topics(results.collect());
        drop(cluster);
        call.shared().changed.notify_waiters();
        response
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> CreateTopicsResponse {
        let refusal = error.into();
        let refused = self.topics.iter().map(|topic| failure(topic, &refusal));
        CreateTopicsResponse::default().with_topics(refused.collect())
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Create, self.topics(cluster))
    }
}

fn create(
    cluster: &mut Cluster,
    asked: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusal> {
    let new = read(asked)?;
    let placed = cluster.plan_topic(&new)?;
    let (partitions, replication) = (placed.len(), placed.first().map_or(0, Vec::len));
    let configs = new.configs.clone();
    let id = if validate_only { Uuid::nil() } else { cluster.create_topic(new)? };
    let planned = Topic { id, partitions: Vec::new(), configs };
    Ok(CreatableTopicResult::default()
        .with_name(asked.name.clone())
        .with_topic_id(id)
        .with_error_message(None)
        .with_num_partitions(i32::try_from(partitions).unwrap_or(i32::MAX))
        .with_replication_factor(i16::try_from(replication).unwrap_or(i16::MAX))
        .with_configs(Some(described(&planned))))
}

fn read(asked: &CreatableTopic) -> Result<NewTopic, Refusal> {
    let assignments = assignments(asked)?;
    let configs = asked.configs.iter().map(|config| {
        let name = config.name.to_string();
        let missing = || {
            Refusal::new(
                ResponseError::InvalidConfig,
                format!("Null value not supported for topic configs: {name}"),
            )
        };
        let value = config.value.as_ref().ok_or_else(missing)?.to_string();
        Ok((name, value))
    });
    Ok(NewTopic {
        name: asked.name.to_string(),
        partitions: number(asked.num_partitions, ResponseError::InvalidPartitions)?,
        replication: number(asked.replication_factor.into(), ResponseError::InvalidReplicationFactor)?,
        assignments,
        configs: configs.collect::<Result<BTreeMap<_, _>, Refusal>>()?,
    })
}

/// -1 stands for the broker's default (KIP-464).
fn number(asked: i32, error: ResponseError) -> Result<Option<usize>, Refusal> {
    match asked {
        -1 => Ok(None),
        1.. => Ok(usize::try_from(asked).ok()),
        _ => Err(Refusal::new(error, "Number must be larger than 0, or -1 for the default.")),
    }
}

fn assignments(asked: &CreatableTopic) -> Result<Option<Vec<Vec<i32>>>, Refusal> {
    if asked.assignments.is_empty() {
        return Ok(None);
    }
    if asked.num_partitions != -1 || asked.replication_factor != -1 {
        let message = "A manual assignment cannot be combined with a number of partitions or replicas.";
        return Err(Refusal::new(ResponseError::InvalidRequest, message));
    }
    let mut sorted: Vec<_> = asked.assignments.iter().collect();
    sorted.sort_by_key(|assignment| assignment.partition_index);
    if sorted.iter().zip(0..).any(|(assignment, index)| assignment.partition_index != index) {
        let message = "Partitions should be a consecutive 0-based integer sequence.";
        return Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message));
    }
    Ok(Some(sorted.iter().map(|assignment| assignment.broker_ids.iter().map(|id| id.0).collect()).collect()))
}

fn described(topic: &Topic) -> Vec<CreatableTopicConfigs> {
    let config = |setting: &settings::Setting| {
        let is_set = topic.configs.contains_key(setting.name);
        CreatableTopicConfigs::default()
            .with_name(text(setting.name))
            .with_value(Some(text(topic.setting(setting.name))))
            .with_config_source(if is_set { DYNAMIC_TOPIC_CONFIG } else { DEFAULT_CONFIG })
    };
    settings::TOPIC.iter().map(config).collect()
}

fn failure(asked: &CreatableTopic, refusal: &Refusal) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(asked.name.clone())
        .with_error_code(refusal.error.code())
        .with_error_message(Some(text(&refusal.message)))
        .with_configs(Some(Vec::new()))
}
