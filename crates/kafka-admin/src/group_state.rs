//! What several commands want to know of groups: which there are, what they committed, how far behind they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use kafka_cli::time::now_ms;
use kafka_core::admin::{GroupKind, IsolationLevel, ListedGroup, OffsetSpec};
use kafka_core::{Error, ErrorCode, ErrorKind, TopicPartition};
use serde::Serialize;

use crate::context::Context;
use crate::report::Tally;
use crate::topic_state::{broker_ids, known};

/// Every group of the cluster, sorted by name. A broker that does not answer is said and counted.
pub(crate) async fn list(context: &Context, tally: &mut Tally) -> Result<Vec<ListedGroup>> {
    let mut groups = Vec::new();
    for outcome in context.admin.list_groups(&broker_ids(context).await?).await {
        match outcome.result {
            Ok(found) => groups.extend(found),
            Err(error) => tally.fail(error),
        }
    }
    groups.sort_by(|a, b| a.id.cmp(&b.id));
    // While a coordinator moves, two brokers may list the same group.
    groups.dedup_by(|a, b| a.id == b.id);
    Ok(groups)
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PartitionLag {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The next record it would read.
    pub(crate) committed: i64,
    /// The end of the partition; `None` where the topic is gone or its leader did not answer.
    pub(crate) end: Option<i64>,
    /// Records between the two.
    pub(crate) lag: Option<i64>,
    /// How long ago the oldest record that it has not read was written, in milliseconds; `None` where there is none, or
    /// it was not asked for.
    pub(crate) age_ms: Option<i64>,
    /// Text that was committed along.
    pub(crate) metadata: Option<String>,
}

impl PartitionLag {
    pub(crate) fn key(&self) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), self.partition)
    }
}

/// The sum of what is known.
pub(crate) fn total(partitions: &[PartitionLag]) -> i64 {
    partitions.iter().filter_map(|partition| partition.lag).sum()
}

/// What was found about each group, and what was not.
pub(crate) type Lags = BTreeMap<String, Result<Vec<PartitionLag>, Error>>;

/// How far groups are behind in every partition that they committed an offset of: one question per coordinator, and one
/// per leader. The first failure to learn the end of a partition that is there is said and counted.
pub(crate) async fn lags(context: &Context, groups: &[(String, GroupKind)], tally: &mut Tally) -> Lags {
    let of = |share: bool| {
        let chosen = groups.iter().filter(move |(_, kind)| (*kind == GroupKind::Share) == share);
        chosen.map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    let mut committed = context.admin.group_offsets(&of(false)).await;
    committed.extend(context.admin.share_group_offsets(&of(true)).await);
    let offsets = committed.iter().filter_map(|outcome| outcome.result.as_ref().ok());
    let keys: BTreeSet<_> = offsets.flat_map(|offsets| offsets.keys().cloned()).collect();
    let (ends, failed) = ends(context, keys).await;
    tally.fail_if(failed);
    let lag = |(key, committed): (TopicPartition, kafka_core::admin::CommittedOffset)| {
        let end = ends.get(&key).copied();
        PartitionLag {
            topic: key.topic.to_string(),
            partition: key.partition,
            committed: committed.offset,
            end,
            lag: end.map(|end| (end - committed.offset).max(0)),
            age_ms: None,
            metadata: committed.metadata,
        }
    };
    committed
        .into_iter()
        .map(|outcome| (outcome.key, outcome.result.map(|offsets| offsets.into_iter().map(lag).collect())))
        .collect()
}

/// The ends of partitions. Those of topics that are gone are left out; a partition without a leader is a failure at once
/// rather than something to wait for.
async fn ends(
    context: &Context,
    keys: BTreeSet<TopicPartition>,
) -> (BTreeMap<TopicPartition, i64>, Option<Error>) {
    let mut names: Vec<_> = keys.iter().map(|key| Arc::clone(&key.topic)).collect();
    names.dedup();
    if names.is_empty() {
        return (BTreeMap::new(), None);
    }
    let metadata = match context.admin.snapshot(Some(&names)).await {
        Ok(metadata) => metadata,
        Err(error) => return (BTreeMap::new(), Some(error)),
    };
    let (led, leaderless): (BTreeSet<_>, BTreeSet<_>) =
        keys.into_iter().partition(|key| metadata.leader(key).is_some());
    let is_there = |key: &&TopicPartition| metadata.partition(key).is_some();
    let without = leaderless
        .iter()
        .find(is_there)
        .map(|key| Error::broker("Metadata", key.to_string(), ErrorCode::LEADER_NOT_AVAILABLE, None));
    let wanted = led.into_iter().map(|key| (key, OffsetSpec::Latest)).collect();
    let (ends, failed) = known(context.admin.list_offsets(wanted, IsolationLevel::default()).await);
    let mut failed = failed.into_iter().map(|(_, error)| error);
    (ends, without.or_else(|| failed.find(|error| error.kind() != ErrorKind::NotFound)))
}

/// Adds the ages of the oldest unread records, which takes one small read per leader and the permission for it. With the
/// first failure, where there is one.
pub(crate) async fn add_ages(context: &Context, lags: &mut Lags) -> Option<Error> {
    let mut behind: Vec<&mut PartitionLag> = lags.values_mut().flatten().flatten().collect();
    behind.retain(|lag| lag.lag.is_some_and(|lag| lag > 0));
    let mut failed = None;
    // A request names a partition once: groups at different places of it take turns.
    while !behind.is_empty() {
        let mut turn: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        for lag in &behind {
            turn.entry(lag.key()).or_insert(lag.committed);
        }
        let mut times = BTreeMap::new();
        for outcome in context.admin.record_times(turn.clone()).await {
            match outcome.result {
                Ok(time) => drop(times.insert(outcome.key, time)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let now = now_ms();
        behind.retain_mut(|lag| {
            let is_done = turn.get(&lag.key()) == Some(&lag.committed);
            if is_done {
                lag.age_ms = times.get(&lag.key()).copied().flatten().map(|time| (now - time).max(0));
            }
            !is_done
        });
    }
    failed
}
