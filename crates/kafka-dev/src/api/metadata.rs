//! Metadata, versions 0 to 13: brokers, topics and who leads them (KIP-4, 392, 516 topic ids, 700, 1102).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, TopicName};
use kafka_protocol::protocol::VersionRange;
use uuid::Uuid;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::topic::{Partition, Topic};
use crate::cluster::{Cluster, NewTopic, check_name};

impl Serve for MetadataRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 13 };

    async fn serve(self, call: &mut Call<'_>) -> MetadataResponse {
        let mut cluster = call.cluster();
        let auto_create = cluster.limits.auto_create_topics && self.allow_auto_topic_creation;
        let every = |topics: &Vec<MetadataRequestTopic>| call.version == 0 && topics.is_empty();
        let topics = match self.topics.filter(|topics| !every(topics)) {
            None => {
                let visible = |name: &str| {
                    let access = Access::new(Operation::Describe, Resource::Topic, name);
                    call.connection.may(&cluster, &access)
                };
                let topics = cluster.topics.iter().filter(|(name, _)| visible(name));
                topics.map(|(name, topic)| describe(name, topic)).collect()
            }
            Some(asked) => asked.iter().map(|topic| find(&mut cluster, topic, auto_create)).collect(),
        };
        let brokers = cluster.live_nodes().map(|(id, node)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(text(&node.host))
                .with_port(node.port.into())
                .with_rack(None)
        });
        MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_cluster_id(Some(text(&cluster.id)))
            .with_controller_id(BrokerId(cluster.controller()))
            .with_topics(topics)
    }

    fn refuse(&self, version: i16, error: ResponseError) -> MetadataResponse {
        let refused = |topic: &MetadataRequestTopic| {
            MetadataResponseTopic::default()
                .with_error_code(error.code())
                .with_name(topic.name.clone())
                .with_topic_id(topic.topic_id)
        };
        let topics = self.topics.iter().flatten().map(refused).collect();
        let top_level = if version >= 13 { error.code() } else { 0 };
        MetadataResponse::default().with_topics(topics).with_cluster_id(None).with_error_code(top_level)
    }

    fn topics(&self, cluster: &Cluster) -> Vec<String> {
        let name = |topic: &MetadataRequestTopic| match &topic.name {
            Some(name) => Some(name.to_string()),
            None => cluster.topic_name(topic.topic_id).map(str::to_owned),
        };
        self.topics.iter().flatten().filter_map(name).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Describe, self.topics(cluster))
    }
}

fn find(cluster: &mut Cluster, asked: &MetadataRequestTopic, auto_create: bool) -> MetadataResponseTopic {
    let missing = |error: ResponseError| {
        MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(asked.name.clone())
            .with_topic_id(asked.topic_id)
    };
    let name = if asked.topic_id == Uuid::nil() {
        asked.name.as_ref().map(|name| name.to_string())
    } else {
        cluster.topic_name(asked.topic_id).map(str::to_owned)
    };
    let Some(name) = name else { return missing(ResponseError::UnknownTopicId) };
    if let Err(refusal) = check_name(&name) {
        return missing(refusal.error);
    }
    if !cluster.topics.contains_key(&name) && auto_create {
        let new = NewTopic { name: name.clone(), ..NewTopic::default() };
        if let Err(refusal) = cluster.create_topic(new) {
            return missing(refusal.error);
        }
    }
    match cluster.topics.get(&name) {
        Some(topic) => describe(&name, topic),
        None => missing(ResponseError::UnknownTopicOrPartition),
    }
}

fn describe(name: &str, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().zip(0..).map(|(partition, index)| placed(partition, index));
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(name))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

fn placed(partition: &Partition, index: i32) -> MetadataResponsePartition {
    let error = if partition.leader.is_none() { ResponseError::LeaderNotAvailable.code() } else { 0 };
    MetadataResponsePartition::default()
        .with_error_code(error)
        .with_partition_index(index)
        .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&partition.isr))
        .with_offline_replicas(ids(&partition.offline()))
}

/// Broker ids for the wire.
pub(super) fn ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId).collect()
}
