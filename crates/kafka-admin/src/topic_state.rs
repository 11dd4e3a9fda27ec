//! What several commands want to know of topics: offsets of all their partitions, sizes on disk, who reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use kafka_core::admin::{IsolationLevel, ListedOffset, OffsetSpec, Outcome};
use kafka_core::cluster::Topic;
use kafka_core::{Error, TopicPartition};

use crate::context::Context;

/// Offsets of all partitions that have a leader now; one without is left out rather than waited for. With the first
/// failure, where there is one: a leader that does not answer leaves all its partitions open.
pub(crate) async fn offsets(
    context: &Context,
    topics: &[Arc<Topic>],
    spec: OffsetSpec,
) -> (BTreeMap<TopicPartition, i64>, Option<Error>) {
    let led = topics.iter().flat_map(|topic| {
        let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
        led.map(|p| (TopicPartition::new(topic.name.clone(), p.id), spec))
    });
    let outcomes = context.admin.list_offsets(led.collect(), IsolationLevel::default()).await;
    let (found, failed) = known(outcomes);
    (found, failed.into_iter().next().map(|(_, error)| error))
}

/// The offsets that are known, and the failures.
pub(crate) fn known(
    outcomes: Vec<Outcome<TopicPartition, ListedOffset>>,
) -> (BTreeMap<TopicPartition, i64>, Vec<(TopicPartition, Error)>) {
    let (mut found, mut failed) = (BTreeMap::new(), Vec::new());
    for outcome in outcomes {
        match outcome.result {
            Ok(ListedOffset { offset: Some(offset), .. }) => drop(found.insert(outcome.key, offset)),
            Ok(_) => {}
            Err(error) => failed.push((outcome.key, error)),
        }
    }
    (found, failed)
}

/// Bytes on disk of every partition, all replicas together.
pub(crate) async fn sizes(context: &Context) -> Result<BTreeMap<TopicPartition, i64>> {
    let brokers = broker_ids(context).await?;
    let mut sizes = BTreeMap::new();
    for outcome in context.admin.log_dirs(&brokers).await {
        let replicas = outcome.result?.into_iter().flat_map(|dir| dir.replicas);
        for replica in replicas.filter(|replica| !replica.is_future) {
            *sizes.entry(replica.partition).or_default() += replica.size_bytes;
        }
    }
    Ok(sizes)
}

/// Node ids of the brokers that run.
pub(crate) async fn broker_ids(context: &Context) -> Result<Vec<i32>> {
    Ok(context.admin.snapshot(Some(&[])).await?.brokers.keys().copied().collect())
}

/// For each topic the groups that have committed offsets of it, or read it now.
pub(crate) async fn readers(context: &Context) -> Result<BTreeMap<String, Vec<String>>> {
    let brokers = broker_ids(context).await?;
    let mut groups = Vec::new();
    for outcome in context.admin.list_groups(&brokers).await {
        groups.extend(outcome.result?.into_iter().map(|group| group.id));
    }
    let mut readers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for outcome in context.admin.group_offsets(&groups).await {
        let topics: std::collections::BTreeSet<_> =
            outcome.result?.into_keys().map(|key| key.topic).collect();
        for topic in topics {
            readers.entry(topic.to_string()).or_default().push(outcome.key.clone());
        }
    }
    readers.values_mut().for_each(|groups| groups.sort());
    Ok(readers)
}
