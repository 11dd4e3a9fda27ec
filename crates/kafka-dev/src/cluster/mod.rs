//! What the brokers of the cluster share: which of them are up, topics with their logs, groups, producer ids.
//!
//! One lock guards it all (`Shared`); nothing here waits or knows the protocol's messages.

mod cleaning;
pub(crate) mod persist;
pub(crate) mod quotas;
mod replicas;
pub(crate) mod settings;
pub(crate) mod topic;
mod transaction;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use crate::auth::acl::Acls;
use crate::auth::credentials::Credentials;
use crate::config::Config;
use crate::fetch_session::FetchSessions;
use crate::group::Groups;
use crate::group::next_gen::assignor::Topics;
use crate::txn::Transactions;
use persist::Store;
use quotas::Quotas;
use topic::{Partition, Topic};

/// Longest topic name Kafka accepts, in characters.
const MAX_TOPIC_NAME: usize = 249;
/// More partitions than this in one topic are refused.
const MAX_PARTITIONS: usize = 10_000;

/// One broker of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// What clients are told.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where it listens.
    pub(crate) listens_on: (String, u16),
    pub(crate) is_up: bool,
}

/// A topic to create.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    /// None for the default.
    pub(crate) partitions: Option<usize>,
    /// None for the default.
    pub(crate) replication: Option<usize>,
    /// Replicas of each partition, where the client wants to choose.
    pub(crate) assignments: Option<Vec<Vec<i32>>>,
    pub(crate) configs: BTreeMap<String, String>,
}

/// Why the cluster refused, with words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: ResponseError,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }
}

/// Told by its name alone.
impl From<ResponseError> for Refusal {
    fn from(error: ResponseError) -> Self {
        Self::new(error, error.to_string())
    }
}

/// Settings of the brokers that clients meet.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) auto_create_topics: bool,
    /// Sessions that a group member may ask for.
    pub(crate) session_timeout_ms: RangeInclusive<i32>,
    pub(crate) initial_rebalance_delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            auto_create_topics: true,
            session_timeout_ms: 6_000..=1_800_000,
            initial_rebalance_delay: Duration::ZERO,
        }
    }
}

/// The whole state.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) id: String,
    pub(crate) nodes: BTreeMap<i32, Node>,
    pub(crate) topics: BTreeMap<String, Topic>,
    names: HashMap<Uuid, String>,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) acls: Acls,
    pub(crate) credentials: Credentials,
    pub(crate) quotas: Quotas,
    pub(crate) fetch_sessions: FetchSessions,
    store: Store,
    pub(crate) limits: Limits,
    next_producer_id: i64,
    /// Ids below this are written down as given.
    reserved_producer_ids: i64,
    /// Where the replicas of the next partition start, so that leaders spread.
    next_leader: usize,
}

impl Cluster {
    pub(crate) fn new(id: String, nodes: BTreeMap<i32, Node>, groups: Groups, store: Store) -> Self {
        Self {
            id,
            nodes,
            topics: BTreeMap::new(),
            names: HashMap::new(),
            groups,
            transactions: Transactions::new(store.journal.clone()),
            acls: Acls::new(store.journal.clone()),
            credentials: Credentials::new(store.journal.clone()),
            quotas: Quotas::new(store.journal.clone()),
            fetch_sessions: FetchSessions::default(),
            store,
            limits: Limits::default(),
            next_producer_id: 1000,
            reserved_producer_ids: 1000,
            next_leader: 0,
        }
    }

    /// Takes over what the configuration says about limits.
    pub(crate) fn configure(&mut self, config: &Config) {
        let shortest = i32::try_from(config.min_session_timeout.as_millis()).unwrap_or(i32::MAX);
        self.limits.auto_create_topics = config.auto_create_topics;
        self.limits.session_timeout_ms = shortest..=*self.limits.session_timeout_ms.end();
        self.limits.initial_rebalance_delay = config.initial_rebalance_delay;
    }

    /// The value in force of a broker setting.
    pub(crate) fn broker_setting(&self, name: &str) -> String {
        match name {
            "auto.create.topics.enable" => self.limits.auto_create_topics.to_string(),
            "default.replication.factor" => self.default_replication().to_string(),
            "group.initial.rebalance.delay.ms" => self.limits.initial_rebalance_delay.as_millis().to_string(),
            "group.max.session.timeout.ms" => self.limits.session_timeout_ms.end().to_string(),
            "group.min.session.timeout.ms" => self.limits.session_timeout_ms.start().to_string(),
            _ => settings::broker(name).map_or("", |setting| setting.default).to_owned(),
        }
    }

    pub(crate) fn live_nodes(&self) -> impl Iterator<Item = (i32, &Node)> {
        self.nodes.iter().filter(|(_, node)| node.is_up).map(|(id, node)| (*id, node))
    }

    /// The broker that answers as controller, -1 if none is up.
    pub(crate) fn controller(&self) -> i32 {
        self.live_nodes().next().map_or(-1, |(id, _)| id)
    }

    /// The broker that coordinates a group or transaction: the same one as long as it is up.
    pub(crate) fn coordinator(&self, key: &str) -> Option<i32> {
        let hash = key.bytes().fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let preferred = *self.nodes.keys().nth(hash % self.nodes.len().max(1))?;
        let from = self.nodes.range(preferred..).chain(self.nodes.range(..preferred));
        from.into_iter().find(|(_, node)| node.is_up).map(|(id, _)| *id)
    }

    /// The default of topics created without a replication factor.
    pub(crate) fn default_replication(&self) -> usize {
        self.nodes.len().min(3)
    }

    /// Topics as the assignors see them.
    pub(crate) fn topic_index(&self) -> Topics {
        let indexed = |(name, topic): (&String, &Topic)| (name.clone(), (topic.id, topic.partitions.len()));
        self.topics.iter().map(indexed).collect()
    }

    pub(crate) fn topic_name(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// The partition, if this broker leads it.
    pub(crate) fn led_by(
        &mut self,
        broker: i32,
        topic: &str,
        partition: i32,
    ) -> Result<&mut Partition, ResponseError> {
        let topic = self.topics.get_mut(topic).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let partition = topic.partition_mut(partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
        match partition.leader {
            Some(leader) if leader == broker => Ok(partition),
            Some(_) => Err(ResponseError::NotLeaderOrFollower),
            None => Err(ResponseError::LeaderNotAvailable),
        }
    }

    /// A producer id that was never given before.
    pub(crate) fn fresh_producer_id(&mut self) -> Result<i64, ResponseError> {
        if self.next_producer_id >= self.reserved_producer_ids {
            self.reserved_producer_ids += persist::PRODUCER_ID_BLOCK;
            self.save_producer_ids().map_err(storage_error)?;
        }
        self.next_producer_id += 1;
        Ok(self.next_producer_id - 1)
    }

    /// Checks a topic to create without creating it; the replicas it would get.
    pub(crate) fn plan_topic(&mut self, new: &NewTopic) -> Result<Vec<Vec<i32>>, Refusal> {
        check_name(&new.name)?;
        if self.topics.contains_key(&new.name) {
            let message = format!("Topic '{}' already exists.", new.name);
            return Err(Refusal::new(ResponseError::TopicAlreadyExists, message));
        }
        for (name, value) in &new.configs {
            if let Some(objection) = settings::objection(settings::TOPIC, name, value) {
                return Err(Refusal::new(ResponseError::InvalidConfig, objection));
            }
        }
        if let Some(assignments) = &new.assignments {
            self.check_assignments(assignments)?;
            return Ok(assignments.clone());
        }
        let partitions = new.partitions.unwrap_or(1);
        if partitions == 0 || partitions > MAX_PARTITIONS {
            let message = format!("Number of partitions must be between 1 and {MAX_PARTITIONS}.");
            return Err(Refusal::new(ResponseError::InvalidPartitions, message));
        }
        let replication = new.replication.unwrap_or_else(|| self.default_replication());
        self.place(partitions, replication)
    }

    /// Creates a topic.
    pub(crate) fn create_topic(&mut self, new: NewTopic) -> Result<Uuid, Refusal> {
        let placed = self.plan_topic(&new)?;
        let id = Uuid::new_v4();
        let partitions = placed.into_iter().zip(0..);
        let partitions = partitions.map(|(replicas, index)| self.new_partition(id, index, replicas));
        let partitions = partitions.collect::<io::Result<Vec<_>>>().map_err(storage_refusal)?;
        self.names.insert(id, new.name.clone());
        self.topics.insert(new.name.clone(), Topic { id, partitions, configs: new.configs });
        self.save_topic(&new.name).map_err(storage_refusal)?;
        Ok(id)
    }

    fn new_partition(&self, topic: Uuid, index: i32, replicas: Vec<i32>) -> io::Result<Partition> {
        let mut partition = Partition::new(self.store.new_log(topic, index, 0)?, replicas);
        for (id, node) in &self.nodes {
            if !node.is_up {
                partition.broker_down(*id);
            }
        }
        Ok(partition)
    }

    /// Adds partitions up to `count`, with the replicas given for the new ones or placed.
    pub(crate) fn create_partitions(
        &mut self,
        name: &str,
        count: i32,
        assignments: Option<Vec<Vec<i32>>>,
        validate_only: bool,
    ) -> Result<(), Refusal> {
        let unknown = || Refusal::new(ResponseError::UnknownTopicOrPartition, "The topic does not exist.");
        let topic = self.topics.get(name).ok_or_else(unknown)?;
        let (id, current) = (topic.id, topic.partitions.len());
        let replication = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
        let wanted = usize::try_from(count).unwrap_or(0);
        if wanted <= current || wanted > MAX_PARTITIONS {
            let message = format!(
                "The topic {name} currently has {current} partition(s); {count} would not be an increase."
            );
            return Err(Refusal::new(ResponseError::InvalidPartitions, message));
        }
        let placed = match assignments {
            Some(assignments) if assignments.len() == wanted - current => {
                self.check_assignments(&assignments)?;
                assignments
            }
            Some(assignments) => {
                let message = format!("{} assignments given for {}.", assignments.len(), wanted - current);
                return Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message));
            }
            None => self.place(wanted - current, replication)?,
        };
        if validate_only {
            return Ok(());
        }
        for (replicas, index) in placed.into_iter().zip(i32::try_from(current).unwrap_or(i32::MAX)..) {
            let partition = self.new_partition(id, index, replicas).map_err(storage_refusal)?;
            if let Some(topic) = self.topics.get_mut(name) {
                topic.partitions.push(partition);
            }
        }
        self.save_topic(name).map_err(storage_refusal)
    }

    /// Replaces what is set for a topic, after checking every value.
    pub(crate) fn set_topic_configs(
        &mut self,
        name: &str,
        configs: BTreeMap<String, String>,
        validate_only: bool,
    ) -> Result<(), Refusal> {
        for (config, value) in &configs {
            if let Some(objection) = settings::objection(settings::TOPIC, config, value) {
                return Err(Refusal::new(ResponseError::InvalidConfig, objection));
            }
        }
        if !validate_only && let Some(topic) = self.topics.get_mut(name) {
            topic.configs = configs;
            self.save_topic(name).map_err(storage_refusal)?;
        }
        Ok(())
    }

    /// Deletes the records of a partition before an offset, -1 for all; where the log starts then.
    pub(crate) fn delete_records(
        &mut self,
        broker: i32,
        name: &str,
        index: i32,
        offset: i64,
    ) -> Result<i64, ResponseError> {
        let partition = self.led_by(broker, name, index)?;
        let end = partition.log.end_offset();
        let before = if offset == -1 { end } else { offset };
        if before < 0 || before > end {
            return Err(ResponseError::OffsetOutOfRange);
        }
        partition.log.delete_before(before).map_err(storage_error)?;
        let start = partition.log.start_offset();
        let id = self.topics.get(name).map(|topic| topic.id).unwrap_or_default();
        self.save_log_start(id, index, start).map_err(storage_error)?;
        Ok(start)
    }

    /// The folder of the logs, as `DescribeLogDirs` tells it.
    pub(crate) fn log_dir(&self) -> String {
        self.store.log_dir()
    }

    /// Deletes a topic and what groups committed for it.
    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<Uuid, ResponseError> {
        let topic = self.topics.remove(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        self.names.remove(&topic.id);
        self.groups.forget_topic(name);
        self.save_topic(name).map_err(storage_error)?;
        self.forget_logs(&topic).map_err(storage_error)?;
        Ok(topic.id)
    }
}

/// Tells the operator what the client is not told.
#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn storage_error(error: io::Error) -> ResponseError {
    tracing::error!(%error, "cannot write the data folder");
    ResponseError::KafkaStorageError
}

/// The same for a client that is told in words.
pub(crate) fn storage_refusal(error: io::Error) -> Refusal {
    let message = format!("cannot write the data folder: {error}");
    Refusal::new(storage_error(error), message)
}

/// Kafka's rules for topic names.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let reason = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        "'.' or '..' is not allowed".to_owned()
    } else if name.len() > MAX_TOPIC_NAME {
        format!("the length of '{name}' is longer than the max allowed length {MAX_TOPIC_NAME}")
    } else if !name.chars().all(legal) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err(Refusal::new(ResponseError::InvalidTopicException, format!("Topic name is invalid: {reason}")))
}
