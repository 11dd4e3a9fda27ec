//! Where replicas are and shall be: reassignments, elections, eligible leaders.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, DescribeTopicPartitionsRequest, ElectLeadersRequest,
    ListPartitionReassignmentsRequest,
};

use super::names::{by_topic, check, topic_name};
use super::stage::{Lookup, Stage};
use super::{Admin, Outcome};
use crate::TopicPartition;
use crate::error::Result;
use crate::wire::Api;

/// A reassignment that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// All replicas at the moment.
    pub replicas: Vec<i32>,
    /// Those that are being added.
    pub adding: Vec<i32>,
    /// Those that will go.
    pub removing: Vec<i32>,
}

/// Replicas that may become the leader beyond those in sync (KIP-966).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EligibleLeaders {
    /// Replicas with everything up to the high watermark.
    pub eligible: Vec<i32>,
    /// The last ones that were, before they were lost.
    pub last_known: Vec<i32>,
}

/// What kind of election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Election {
    /// The first replica becomes the leader, if it is in sync.
    Preferred,
    /// Any replica becomes the leader where there is none; records that only the lost ones had are gone.
    Unclean,
}

fn ids(nodes: Vec<BrokerId>) -> Vec<i32> {
    nodes.into_iter().map(|id| id.0).collect()
}

impl Admin {
    /// Starts moving partitions to these replicas; `None` cancels a move that is under way.
    pub async fn reassign(
        &self,
        targets: BTreeMap<TopicPartition, Option<Vec<i32>>>,
    ) -> Vec<Outcome<TopicPartition>> {
        let call = self.call("reassigning partitions");
        let (keys, timer) = (targets.keys().cloned().collect::<Vec<_>>(), call.clone());
        let build = move |keys: &[TopicPartition], _| {
            let partition = |key: &TopicPartition| {
                let replicas = targets.get(key).cloned().flatten();
                let replicas = replicas.map(|ids| ids.into_iter().map(BrokerId).collect());
                let partition = ReassignablePartition::default().with_partition_index(key.partition);
                (key.topic.clone(), partition.with_replicas(replicas))
            };
            let topic = |(name, partitions): (Arc<str>, Vec<_>)| {
                ReassignableTopic::default().with_name(topic_name(&name)).with_partitions(partitions)
            };
            let topics = by_topic(keys.iter().map(partition)).into_iter().map(topic).collect();
            Ok(AlterPartitionReassignmentsRequest::default()
                .with_timeout_ms(timer.left_ms())
                .with_topics(topics))
        };
        let read = |keys: &[TopicPartition],
                    answer: <AlterPartitionReassignmentsRequest as Api>::Response| {
            type R = AlterPartitionReassignmentsRequest;
            if let Err(error) = check::<R>("reassignment", answer.error_code, answer.error_message.as_ref()) {
                return keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect();
            }
            let mut results = Vec::new();
            for topic in answer.responses {
                for partition in topic.partitions {
                    let key = TopicPartition::new(&**topic.name, partition.partition_index);
                    let (code, message) = (partition.error_code, partition.error_message.as_ref());
                    let result = check::<R>(key.to_string(), code, message);
                    results.push((key, result.map_err(super::topics::never_there)));
                }
            }
            results
        };
        call.run(Stage::new(Lookup::Controller, build, read).changing(), keys).await
    }

    /// All reassignments that are under way.
    ///
    /// # Errors
    /// Where the controller did not answer in time.
    pub async fn list_reassignments(&self) -> Result<BTreeMap<TopicPartition, Reassignment>> {
        let call = self.call("listing reassignments");
        let timer = call.clone();
        let build = move |_: i16| {
            let request = ListPartitionReassignmentsRequest::default().with_topics(None);
            Ok(request.with_timeout_ms(timer.left_ms()))
        };
        let read = |answer: <ListPartitionReassignmentsRequest as Api>::Response| {
            let (code, message) = (answer.error_code, answer.error_message.as_ref());
            check::<ListPartitionReassignmentsRequest>("reassignments", code, message)?;
            let mut found = BTreeMap::new();
            for topic in answer.topics {
                for partition in topic.partitions {
                    let key = TopicPartition::new(&**topic.name, partition.partition_index);
                    let (adding, removing) =
                        (ids(partition.adding_replicas), ids(partition.removing_replicas));
                    found.insert(key, Reassignment { replicas: ids(partition.replicas), adding, removing });
                }
            }
            Ok(found)
        };
        super::single(call.run(super::whole(Lookup::Controller, build, read), [()]).await)
    }

    /// Elects leaders of partitions. "Not needed" is a failure of that partition with a code of its own.
    pub async fn elect_leaders(
        &self,
        partitions: Vec<TopicPartition>,
        election: Election,
    ) -> Vec<Outcome<TopicPartition>> {
        let call = self.call("electing leaders");
        let timer = call.clone();
        let build = move |keys: &[TopicPartition], _| {
            let topic = |(name, partitions): (Arc<str>, Vec<i32>)| {
                TopicPartitions::default().with_topic(topic_name(&name)).with_partitions(partitions)
            };
            let wanted = by_topic(keys.iter().map(|key| (key.topic.clone(), key.partition)));
            Ok(ElectLeadersRequest::default()
                .with_election_type(i8::from(election == Election::Unclean))
                .with_topic_partitions(Some(wanted.into_iter().map(topic).collect()))
                .with_timeout_ms(timer.left_ms()))
        };
        let read = |keys: &[TopicPartition], answer: <ElectLeadersRequest as Api>::Response| {
            if let Err(error) = check::<ElectLeadersRequest>("election", answer.error_code, None) {
                return keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect();
            }
            let mut results = Vec::new();
            for topic in answer.replica_election_results {
                for partition in topic.partition_result {
                    let key = TopicPartition::new(&**topic.topic, partition.partition_id);
                    let (code, message) = (partition.error_code, partition.error_message.as_ref());
                    let result = check::<ElectLeadersRequest>(key.to_string(), code, message);
                    results.push((key, result.map_err(super::topics::never_there)));
                }
            }
            results
        };
        call.run(Stage::new(Lookup::Controller, build, read).changing(), partitions).await
    }

    /// Which replicas may still become the leader, for all partitions of some topics (Kafka 4.0; up to 2,000 partitions).
    ///
    /// # Errors
    /// Where no broker answered in time or none knows the question.
    pub async fn eligible_leaders(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<TopicPartition, EligibleLeaders>> {
        let topics = topics.to_vec();
        let build = move |_: i16| {
            let topic = |name: &String| TopicRequest::default().with_name(topic_name(name));
            let request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(2000);
            Ok(request.with_topics(topics.iter().map(topic).collect()).with_cursor(None))
        };
        let read = |answer: <DescribeTopicPartitionsRequest as Api>::Response| {
            let mut found = BTreeMap::new();
            for topic in answer.topics {
                let Some(name) = topic.name else { continue };
                for partition in topic.partitions {
                    let key = TopicPartition::new(&**name, partition.partition_index);
                    let eligible = ids(partition.eligible_leader_replicas.unwrap_or_default());
                    let last_known = ids(partition.last_known_elr.unwrap_or_default());
                    found.insert(key, EligibleLeaders { eligible, last_known });
                }
            }
            Ok(found)
        };
        self.ask("asking for eligible leaders", build, read).await
    }
}
