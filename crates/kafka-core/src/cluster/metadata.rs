//! What the client knows of the cluster: brokers, topics, partitions, leaders. Data only; how it is learnt stands in
//! `driver`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use uuid::Uuid;

use crate::wire::Address;
use crate::{ErrorCode, TopicPartition};

/// A broker as the cluster advertises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// The advertised address.
    pub address: Address,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Number, from 0.
    pub id: i32,
    /// The leader's node id, `None` while there is none.
    pub leader: Option<i32>,
    /// Grows with every election; -1 where the broker does not say.
    pub leader_epoch: i32,
    /// Node ids of all replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids of the replicas in sync.
    pub isr: Vec<i32>,
    /// Node ids of the replicas that are down.
    pub offline: Vec<i32>,
    /// Why the partition cannot be used at the moment, where it cannot.
    pub error: ErrorCode,
}

/// One topic. Its partitions are sorted by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name.
    pub name: Arc<str>,
    /// Id (KIP-516); nil where the broker has none. A topic that is created anew under its old name has another id.
    pub id: Uuid,
    /// Whether Kafka keeps its own state in it.
    pub internal: bool,
    /// Why the topic cannot be used, where it cannot: it does not exist, or there is no permission.
    pub error: ErrorCode,
    /// The partitions.
    pub partitions: Vec<Partition>,
    /// When this was learnt.
    pub learnt: Instant,
}

impl Topic {
    /// The partition with the number `id`.
    #[must_use]
    pub fn partition(&self, id: i32) -> Option<&Partition> {
        let index = self.partitions.binary_search_by_key(&id, |partition| partition.id).ok()?;
        self.partitions.get(index)
    }
}

/// A snapshot of the cluster. Never changed, only replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// How many answers went into it; 0 means that nothing is known.
    pub version: u64,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// Node id of a broker that takes admin requests for the controller.
    pub controller: Option<i32>,
    /// Brokers by node id.
    pub brokers: BTreeMap<i32, Broker>,
    topics: HashMap<Arc<str>, Arc<Topic>>,
}

impl Metadata {
    /// The topic `name`, where the broker was asked about it. It may carry an error.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// The topic with this id.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.values().find(|topic| topic.id == id)
    }

    /// All topics that were asked about, in no order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The partition's current state.
    #[must_use]
    pub fn partition(&self, of: &TopicPartition) -> Option<&Partition> {
        self.topic(&of.topic)?.partition(of.partition)
    }

    /// The partition's leader, where it has one that is known.
    #[must_use]
    pub fn leader(&self, of: &TopicPartition) -> Option<&Broker> {
        self.brokers.get(&self.partition(of)?.leader?)
    }

    /// This snapshot brought up to date by an answer about some topics, or about all of them.
    ///
    /// Brokers answer from what they have heard so far. An answer with an older leader epoch than the one known would
    /// lead back to a leader that is gone (KIP-320), so it does not replace that partition.
    #[must_use]
    pub(crate) fn merged(&self, response: MetadataResponse, all_topics: bool, now: Instant) -> Self {
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let address = Address { host: (*broker.host).into(), port: u16::try_from(broker.port).ok()? };
            let rack = broker.rack.map(|rack| rack.to_string());
            Some((broker.node_id.0, Broker { id: broker.node_id.0, address, rack }))
        });
        let mut next = Self {
            version: self.version + 1,
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller: Some(response.controller_id.0).filter(|id| *id >= 0),
            brokers: brokers.collect(),
            topics: if all_topics { HashMap::new() } else { self.topics.clone() },
        };
        for answer in response.topics {
            let Some(name) = answer.name.as_ref().map(|name| Arc::<str>::from(&***name)) else { continue };
            let topic = read_topic(Arc::clone(&name), answer, self.topics.get(&name), now);
            next.topics.insert(name, Arc::new(topic));
        }
        next
    }
}

fn read_topic(
    name: Arc<str>,
    answer: MetadataResponseTopic,
    known: Option<&Arc<Topic>>,
    now: Instant,
) -> Topic {
    let known = known.filter(|known| known.id == answer.topic_id);
    let mut partitions: Vec<_> = answer
        .partitions
        .into_iter()
        .map(|partition| {
            let fresh = read_partition(partition);
            let known = known.and_then(|topic| topic.partition(fresh.id));
            known.filter(|known| known.leader_epoch > fresh.leader_epoch).cloned().unwrap_or(fresh)
        })
        .collect();
    partitions.sort_by_key(|partition| partition.id);
    partitions.dedup_by_key(|partition| partition.id);
    Topic {
        name,
        id: answer.topic_id,
        internal: answer.is_internal,
        error: ErrorCode(answer.error_code),
        partitions,
        learnt: now,
    }
}

fn read_partition(answer: MetadataResponsePartition) -> Partition {
    let ids = |nodes: Vec<kafka_protocol::messages::BrokerId>| nodes.into_iter().map(|id| id.0).collect();
    Partition {
        id: answer.partition_index,
        leader: Some(answer.leader_id.0).filter(|id| *id >= 0),
        leader_epoch: answer.leader_epoch,
        replicas: ids(answer.replica_nodes),
        isr: ids(answer.isr_nodes),
        offline: ids(answer.offline_replicas),
        error: ErrorCode(answer.error_code),
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
    use kafka_protocol::messages::{BrokerId, TopicName};
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    fn answer(id: Uuid, leader: i32, epoch: i32) -> MetadataResponse {
        let partition = MetadataResponsePartition::default()
            .with_partition_index(0)
            .with_leader_id(BrokerId(leader))
            .with_leader_epoch(epoch);
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
            .with_topic_id(id)
            .with_partitions(vec![partition]);
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(leader))
            .with_host(StrBytes::from_static_str("h"))
            .with_port(9092);
        MetadataResponse::default().with_topics(vec![topic]).with_brokers(vec![broker])
    }

    fn leader_after(answers: Vec<MetadataResponse>) -> Option<i32> {
        let merge = |known: Metadata, answer| known.merged(answer, false, Instant::now());
        let metadata = answers.into_iter().fold(Metadata::default(), merge);
        metadata.partition(&TopicPartition::new("t", 0)).and_then(|partition| partition.leader)
    }

    #[test]
    fn a_leader_of_an_older_epoch_does_not_come_back() {
        let id = Uuid::from_u128(1);
        assert_eq!(leader_after(vec![answer(id, 1, 5), answer(id, 2, 4)]), Some(1));
        assert_eq!(leader_after(vec![answer(id, 1, 5), answer(id, 2, 6)]), Some(2));
    }

    #[test]
    fn a_topic_that_was_created_anew_starts_its_epochs_over() {
        let answers = vec![answer(Uuid::from_u128(1), 1, 5), answer(Uuid::from_u128(2), 2, 0)];
        assert_eq!(leader_after(answers), Some(2));
    }

    #[test]
    fn a_partition_without_a_leader_has_none() {
        assert_eq!(leader_after(vec![answer(Uuid::from_u128(1), -1, 5)]), None);
    }
}
