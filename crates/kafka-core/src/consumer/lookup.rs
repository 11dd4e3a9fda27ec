//! Asks brokers which topics there are, and where offsets are: by place or time, and where epochs ended. One question to
//! one broker, or one to all leaders with retries within a time limit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::ListOffsetsRequest;

use super::offsets::{self, EpochEnd, EpochQuestion, Listing, OffsetQuery};
use super::subscription::Subscription;
use crate::backoff::Backoff;
use crate::cluster::{Cluster, Metadata};
use crate::error::{Error, Result};
use crate::wire::{Api, Lane};
use crate::{ErrorCode, Reaction, TopicPartition};

pub(super) type ListAnswers = Vec<(TopicPartition, Result<Option<i64>, ErrorCode>)>;
pub(super) type EpochAnswers = Vec<(TopicPartition, Result<EpochEnd, ErrorCode>)>;

/// Learns about the topics that are subscribed to now: of all topics where a pattern has to find its own.
pub(super) async fn learn(cluster: &Cluster, subscription: &Subscription) -> Result<Arc<Metadata>> {
    match subscription {
        Subscription::Topics(topics) => {
            cluster.want(topics.iter().cloned());
            cluster.refresh().await
        }
        Subscription::Pattern(_) => cluster.all_topics().await,
    }
}

/// How long to wait before looking for new topics and partitions again, where the last time took so long.
pub(super) fn pause_after(subscription: &Subscription, took: Duration) -> Duration {
    /// A few names cost a broker nothing.
    const NAMED: Duration = Duration::from_secs(3);
    /// All topics of a large cluster do: so this share of the time is for asking, at most.
    const MATCHED: Duration = Duration::from_secs(5);
    const SHARE: u32 = 100;
    match subscription {
        Subscription::Topics(_) => NAMED,
        Subscription::Pattern(_) => MATCHED.max(took.saturating_mul(SHARE)),
    }
}

/// One broker's word on the offsets of partitions it leads.
pub(super) async fn list_from(
    cluster: &Cluster,
    broker: i32,
    read_committed: bool,
    questions: Vec<(TopicPartition, Listing)>,
) -> Result<ListAnswers> {
    let connection = cluster.broker(broker, Lane::General).await?;
    let response = connection.send(offsets::list_request(read_committed, questions)).await?;
    Ok(offsets::read_list(response))
}

/// One broker's word on where epochs ended.
pub(super) async fn epochs_from(
    cluster: &Cluster,
    broker: i32,
    questions: Vec<(TopicPartition, EpochQuestion)>,
) -> Result<EpochAnswers> {
    let connection = cluster.broker(broker, Lane::General).await?;
    Ok(offsets::read_epochs(connection.send(offsets::epoch_request(questions)).await?))
}

/// Where these partitions begin, end or have a time; `None` where no record has such a time or a later one. Leaders
/// that moved are followed.
///
/// # Errors
/// The first error that no retry can help; [`Error::Timeout`] with the last one after `limit`.
pub async fn list_offsets(
    cluster: &Cluster,
    read_committed: bool,
    questions: impl IntoIterator<Item = (TopicPartition, OffsetQuery)>,
    limit: Duration,
) -> Result<HashMap<TopicPartition, Option<i64>>> {
    let mut found = HashMap::new();
    let mut open: Vec<_> = questions.into_iter().collect();
    let mut last = None;
    let asking = ask_until_answered(cluster, read_committed, &mut open, &mut found, &mut last);
    match tokio::time::timeout(limit, asking).await {
        Ok(done) => done.map(|()| found),
        Err(_) => {
            Err(Error::Timeout { what: "finding offsets".into(), after: limit, last: last.map(Box::new) })
        }
    }
}

async fn ask_until_answered(
    cluster: &Cluster,
    read_committed: bool,
    open: &mut Vec<(TopicPartition, OffsetQuery)>,
    found: &mut HashMap<TopicPartition, Option<i64>>,
    last: &mut Option<Error>,
) -> Result<()> {
    let (pause, max_pause) = cluster.options().retry_backoff;
    let mut backoff = Backoff::new(pause, max_pause);
    let topics: Vec<_> = open.iter().map(|(partition, _)| partition.topic.clone()).collect();
    cluster.topics(&topics).await?;
    loop {
        let metadata = cluster.metadata();
        let mut by_leader: BTreeMap<i32, Vec<(TopicPartition, Listing)>> = BTreeMap::new();
        for (partition, query) in open.iter() {
            match metadata.partition(partition).and_then(|known| Some((known.leader?, known.leader_epoch))) {
                Some((leader, epoch)) => {
                    by_leader.entry(leader).or_default().push((partition.clone(), (*query, epoch)));
                }
                None => *last = Some(failed(partition, ErrorCode::LEADER_NOT_AVAILABLE)),
            }
        }
        for (leader, questions) in by_leader {
            match list_from(cluster, leader, read_committed, questions).await {
                Ok(answers) => sort_out(answers, found, last)?,
                Err(error) if error.is_retriable() => *last = Some(error),
                Err(error) => return Err(error),
            }
        }
        open.retain(|(partition, _)| !found.contains_key(partition));
        if open.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(backoff.next_pause(&mut fastrand::Rng::new())).await;
        if let Err(error) = cluster.refresh().await {
            *last = Some(error);
        }
    }
}

fn sort_out(
    answers: ListAnswers,
    found: &mut HashMap<TopicPartition, Option<i64>>,
    last: &mut Option<Error>,
) -> Result<()> {
    for (partition, answer) in answers {
        match answer {
            Ok(offset) => drop(found.insert(partition, offset)),
            Err(code) if code.reaction() == Reaction::Fail => return Err(failed(&partition, code)),
            Err(code) => *last = Some(failed(&partition, code)),
        }
    }
    Ok(())
}

fn failed(partition: &TopicPartition, code: ErrorCode) -> Error {
    Error::broker(ListOffsetsRequest::NAME, partition.to_string(), code, None)
}
