//! Topics: create, delete, list, describe, more partitions, and waiting until a new one can be used.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest,
};
use uuid::Uuid;

use super::names::{check, some_text, text, topic_name};
use super::security_names::AclOperation;
use super::stage::{Lookup, Stage};
use super::{Admin, OffsetSpec, Outcome};
use crate::cluster::{Metadata, Topic};
use crate::error::{Error, Result};
use crate::wire::Api;
use crate::{ErrorCode, ErrorKind, TopicPartition};

/// A topic to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name, taken literally.
    pub name: String,
    /// Number of partitions; `None`: the broker's `num.partitions`. Not together with `assignments`.
    pub partitions: Option<i32>,
    /// Replicas of each partition; `None`: the broker's `default.replication.factor`. Not together with `assignments`.
    pub replication_factor: Option<i16>,
    /// The replicas of each partition by node id, the preferred leader first; empty: the broker chooses.
    pub assignments: BTreeMap<i32, Vec<i32>>,
    /// Configuration that differs from the broker's.
    pub configs: Vec<(String, String)>,
}

/// What was created. Where a broker keeps a number to itself (no permission, or too old), it is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Topic id, `None` before Kafka 2.8.
    pub id: Option<Uuid>,
    /// Number of partitions.
    pub partitions: Option<i32>,
    /// Replicas of each partition.
    pub replication_factor: Option<i16>,
}

/// A topic that shall have more partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic's name.
    pub topic: String,
    /// The number of partitions it shall have in the end; never fewer than it has.
    pub total: i32,
    /// The replicas of each additional partition; empty: the broker chooses.
    pub assignments: Vec<Vec<i32>>,
}

fn subject(topic: &str) -> String {
    format!("topic {topic}")
}

fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().map(|id| BrokerId(*id)).collect()
}

impl Admin {
    /// Creates topics, or only checks whether they could be created.
    pub async fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Vec<Outcome<String, CreatedTopic>> {
        let call = self.call("creating topics");
        let (names, timer) =
            (topics.iter().map(|topic| topic.name.clone()).collect::<Vec<_>>(), call.clone());
        let build = move |names: &[String], _| {
            let chosen = topics.iter().filter(|topic| names.contains(&topic.name)).map(creatable).collect();
            let request = CreateTopicsRequest::default().with_topics(chosen);
            Ok(request.with_timeout_ms(timer.left_ms()).with_validate_only(validate_only))
        };
        let read = |_: &[String], answer: <CreateTopicsRequest as Api>::Response| {
            answer.topics.into_iter().map(|topic| (topic.name.to_string(), read_created(&topic))).collect()
        };
        call.run(Stage::new(Lookup::Controller, build, read).changing(), names).await
    }

    /// Deletes topics by their literal names. A topic that does not exist is an error of its own.
    pub async fn delete_topics(&self, topics: &[String]) -> Vec<Outcome<String>> {
        let call = self.call("deleting topics");
        let timer = call.clone();
        let build = move |names: &[String], version| {
            let request = DeleteTopicsRequest::default().with_timeout_ms(timer.left_ms());
            let state = |name: &String| DeleteTopicState::default().with_name(Some(topic_name(name)));
            Ok(if version >= 6 {
                request.with_topics(names.iter().map(state).collect())
            } else {
                request.with_topic_names(names.iter().map(|name| topic_name(name)).collect())
            })
        };
        let read = |_: &[String], answer: <DeleteTopicsRequest as Api>::Response| {
            let read = |topic: kafka_protocol::messages::delete_topics_response::DeletableTopicResult| {
                let name = topic.name?.to_string();
                let (code, message) = (topic.error_code, topic.error_message.as_ref());
                let result = check::<DeleteTopicsRequest>(subject(&name), code, message);
                Some((name, result.map_err(never_there)))
            };
            answer.responses.into_iter().filter_map(read).collect()
        };
        call.run(Stage::new(Lookup::Controller, build, read).changing(), topics.to_vec()).await
    }

    /// Every topic this user may see, sorted by name; internal ones (`__consumer_offsets`) only when asked for.
    ///
    /// # Errors
    /// Where no broker answered in time.
    pub async fn list_topics(&self, include_internal: bool) -> Result<Vec<Arc<Topic>>> {
        let metadata = self.snapshot(None).await?;
        let mut topics: Vec<_> =
            metadata.topics().filter(|topic| include_internal || !topic.internal).cloned().collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// The topics' partitions, leaders and replicas, each topic once. A topic that does not exist is an error, and is not
    /// created.
    pub async fn describe_topics(&self, topics: &[String]) -> Vec<Outcome<String, Arc<Topic>>> {
        let mut seen = HashSet::new();
        let names: Vec<Arc<str>> =
            topics.iter().filter(|name| seen.insert(*name)).map(|name| name.as_str().into()).collect();
        let metadata = self.snapshot(Some(&names)).await;
        let outcome = |name: &Arc<str>| {
            let result = metadata.as_ref().map_err(Clone::clone).and_then(|found| described(found, name));
            Outcome::new(name.to_string(), result)
        };
        names.iter().map(outcome).collect()
    }

    /// What this user may do with a topic (Kafka 2.3).
    ///
    /// # Errors
    /// The topic does not exist or may not be seen, or no answer in time.
    pub async fn allowed_operations(&self, topic: &str) -> Result<Vec<AclOperation>> {
        let name = topic.to_owned();
        let build = move |_: i16| {
            let wanted = MetadataRequestTopic::default().with_name(Some(topic_name(&name)));
            Ok(MetadataRequest::default()
                .with_topics(Some(vec![wanted]))
                .with_allow_auto_topic_creation(false)
                .with_include_topic_authorized_operations(true))
        };
        let name = topic.to_owned();
        let read = move |answer: <MetadataRequest as Api>::Response| {
            let missing = || Error::NotFound { subject: subject(&name), api: MetadataRequest::NAME };
            let topic = answer.topics.into_iter().next().ok_or_else(missing)?;
            check::<MetadataRequest>(subject(&name), topic.error_code, None).map_err(never_there)?;
            let bits = topic.topic_authorized_operations;
            let is_set = |operation: &AclOperation| bits >> operation.code() & 1 == 1;
            Ok(AclOperation::ALL.iter().copied().filter(is_set).collect())
        };
        self.ask("asking for permissions", build, read).await
    }

    /// Adds partitions to topics, or only checks whether they could be added.
    pub async fn create_partitions(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Vec<Outcome<String>> {
        let call = self.call("adding partitions");
        let (names, timer) =
            (topics.iter().map(|topic| topic.topic.clone()).collect::<Vec<_>>(), call.clone());
        let build = move |names: &[String], _| {
            let chosen = topics.iter().filter(|topic| names.contains(&topic.topic)).map(enlarged).collect();
            let request = CreatePartitionsRequest::default().with_topics(chosen);
            Ok(request.with_timeout_ms(timer.left_ms()).with_validate_only(validate_only))
        };
        let read = |_: &[String], answer: <CreatePartitionsRequest as Api>::Response| {
            let read =
                |topic: kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult| {
                    let (code, message) = (topic.error_code, topic.error_message.as_ref());
                    let result = check::<CreatePartitionsRequest>(subject(&topic.name), code, message);
                    (topic.name.to_string(), result.map_err(never_there))
                };
            answer.results.into_iter().map(read).collect()
        };
        call.run(Stage::new(Lookup::Controller, build, read).changing(), names).await
    }

    /// Waits until the leader of every partition of a topic answers, as it does shortly after creation.
    ///
    /// # Errors
    /// [`Error::Timeout`] with what is missing, and errors that waiting does not mend.
    pub async fn wait_until_led(&self, topic: &str) -> Result<()> {
        let call = self.call("waiting for the topic's leaders");
        let waiting = async || {
            self.leaders_answer(topic).await.map_err(|error| match error.kind() {
                // A topic that is new is not known everywhere yet.
                ErrorKind::NotFound => {
                    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    Error::broker(MetadataRequest::NAME, subject(topic), code, None)
                }
                _ => error,
            })
        };
        call.retrying(waiting).await
    }

    /// Waits until the broker that is asked has heard that these topics are deleted: the controller's answer to
    /// [`delete_topics`](Self::delete_topics) comes a moment before that.
    ///
    /// # Errors
    /// [`Error::Timeout`] where one of them is still (or again) there, and errors that waiting does not mend.
    pub async fn wait_until_gone(&self, topics: &[String]) -> Result<()> {
        let names: Vec<Arc<str>> = topics.iter().map(|name| name.as_str().into()).collect();
        let call = self.call("waiting until the topics are gone");
        let look = async || {
            let metadata = self.cluster.look_up(Some(&names)).await?;
            let is_there = |name: &&Arc<str>| metadata.topic(name).is_some_and(|topic| topic.error.is_ok());
            names.iter().find(is_there).map_or(Ok(()), |name| {
                let why = "its deletion is still under way".to_owned();
                let code = ErrorCode::LEADER_NOT_AVAILABLE;
                Err(Error::broker(MetadataRequest::NAME, subject(name), code, Some(why)))
            })
        };
        call.retrying(look).await
    }

    async fn leaders_answer(&self, topic: &str) -> Result<()> {
        let names = [topic.to_owned()];
        let Some(described) = self.describe_topics(&names).await.into_iter().next() else { return Ok(()) };
        let described = described.result?;
        if let Some(leaderless) = described.partitions.iter().find(|partition| partition.leader.is_none()) {
            let subject = TopicPartition::new(topic, leaderless.id).to_string();
            let code = ErrorCode::LEADER_NOT_AVAILABLE;
            return Err(Error::broker(MetadataRequest::NAME, subject, code, None));
        }
        let latest = |id: i32| (TopicPartition::new(topic, id), OffsetSpec::Latest);
        let asked = described.partitions.iter().map(|partition| latest(partition.id)).collect();
        super::all_ok(self.list_offsets(asked, Default::default()).await).map(|_| ())
    }

    /// The cluster as it is now, with these topics (`None`: all). Nothing is created by asking.
    ///
    /// # Errors
    /// Where no broker answered in time.
    pub async fn snapshot(&self, topics: Option<&[Arc<str>]>) -> Result<Metadata> {
        let call = self.call("asking for metadata");
        call.retrying(async || self.cluster.look_up(topics).await).await
    }
}

/// An unknown topic, named by the user, is final: the retriable code would only delay the bad news.
pub(crate) fn never_there(error: Error) -> Error {
    match error {
        Error::Broker { subject, api, code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, .. } => {
            Error::NotFound { subject, api }
        }
        other => other,
    }
}

fn described(metadata: &Metadata, name: &str) -> Result<Arc<Topic>> {
    let missing = || Error::NotFound { subject: subject(name), api: MetadataRequest::NAME };
    let topic = metadata.topic(name).ok_or_else(missing)?;
    let failed = |code| never_there(Error::broker(MetadataRequest::NAME, subject(name), code, None));
    topic.error.check().map(|()| Arc::clone(topic)).map_err(failed)
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let assigned = !topic.assignments.is_empty();
    let assignment = |(index, ids): (&i32, &Vec<i32>)| {
        CreatableReplicaAssignment::default().with_partition_index(*index).with_broker_ids(brokers(ids))
    };
    let config = |(name, value): &(String, String)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(some_text(Some(value)))
    };
    CreatableTopic::default()
        .with_name(topic_name(&topic.name))
        .with_num_partitions(topic.partitions.filter(|_| !assigned).unwrap_or(-1))
        .with_replication_factor(topic.replication_factor.filter(|_| !assigned).unwrap_or(-1))
        .with_assignments(topic.assignments.iter().map(assignment).collect())
        .with_configs(topic.configs.iter().map(config).collect())
}

fn read_created(topic: &CreatableTopicResult) -> Result<CreatedTopic> {
    check::<CreateTopicsRequest>(subject(&topic.name), topic.error_code, topic.error_message.as_ref())?;
    Ok(CreatedTopic {
        id: Some(topic.topic_id).filter(|id| !id.is_nil()),
        partitions: Some(topic.num_partitions).filter(|count| *count > 0),
        replication_factor: Some(topic.replication_factor).filter(|count| *count > 0),
    })
}

fn enlarged(topic: &NewPartitions) -> CreatePartitionsTopic {
    let assignment = |ids: &Vec<i32>| CreatePartitionsAssignment::default().with_broker_ids(brokers(ids));
    let assignments = topic.assignments.iter().map(assignment).collect::<Vec<_>>();
    CreatePartitionsTopic::default()
        .with_name(topic_name(&topic.topic))
        .with_count(topic.total)
        .with_assignments(Some(assignments).filter(|assignments| !assignments.is_empty()))
}
