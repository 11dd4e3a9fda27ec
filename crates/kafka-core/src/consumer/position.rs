//! Where each partition is being read: finding the first offset, moving on, noticing that the log below was cut off
//! (KIP-320), that the offset is gone, that the topic was created anew. Pure: it says what to ask, and takes answers.
//!
//! Every partition carries a token that changes whenever its position is set from outside of the normal course; an
//! answer that belongs to an older token is ignored, so a late answer can never move a partition. What becomes of a
//! single partition stands in `partition`.

mod partition;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use uuid::Uuid;

use self::partition::{Position, State};
use super::offsets::{Committed, EpochEnd, EpochQuestion, Listing, OffsetQuery};
use super::reset::ResetPolicy;
use crate::cluster::Metadata;
use crate::error::Error;
use crate::{ErrorCode, Reaction, TopicPartition};

/// How often a partition that does not exist is looked for.
const GONE_PAUSE: Duration = Duration::from_secs(1);
/// How long a follower that the leader named is read from before the leader is asked again (`metadata.max.age.ms`).
const REPLICA_LEASE: Duration = Duration::from_secs(300);

/// Where the reading of a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Where the group stands; without a group or a committed offset, as [`ResetPolicy`] says.
    Committed,
    /// At this offset.
    Offset(i64),
    /// Where this question leads.
    Query(OffsetQuery),
}

/// Something about a partition's position that a user wants to know.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Notice {
    /// The offset is not there (any more), so reading went on elsewhere as the reset policy says.
    OutOfRange {
        /// The offset that was wanted.
        wanted: i64,
        /// Where reading goes on.
        now_at: i64,
    },
    /// Records that were read are not part of the log any more: their leader died before others had them.
    Truncated {
        /// The offset that was wanted.
        wanted: i64,
        /// The end of what is left.
        now_at: i64,
    },
    /// The topic was deleted and created again under the same name; the new one is read from its first record.
    Recreated,
    /// The partition is not there at the moment. It is read again when it comes back.
    Gone,
}

/// What a partition's machine says beyond its questions.
#[derive(Debug)]
pub(crate) enum Said {
    Notice(TopicPartition, Notice),
    /// The partition is not read any more.
    Failed(Error),
}

/// A number for one question about one partition.
pub(crate) type Token = u64;

/// What to ask for, by broker.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// The group is asked for these.
    pub(crate) committed: Vec<(TopicPartition, Token)>,
    pub(crate) lists: BTreeMap<i32, Vec<(TopicPartition, Token, Listing)>>,
    pub(crate) epochs: BTreeMap<i32, Vec<(TopicPartition, Token, EpochQuestion)>>,
    /// Some partition has no leader that is known.
    pub(crate) needs_metadata: bool,
}

/// What to fetch of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) topic_id: Uuid,
    pub(crate) offset: i64,
    /// The epoch under which the leader is known; -1 where it is not.
    pub(crate) leader_epoch: i32,
}

/// The positions of all partitions that are assigned.
#[derive(Debug)]
pub(crate) struct Positions {
    policy: ResetPolicy,
    pauses: (Duration, Duration),
    partitions: HashMap<TopicPartition, Position>,
    next_token: Token,
}

impl Positions {
    pub(crate) fn new(policy: ResetPolicy, pauses: (Duration, Duration)) -> Self {
        Self { policy, pauses, partitions: HashMap::new(), next_token: 1 }
    }

    pub(crate) fn add(&mut self, partition: TopicPartition, start: Start) {
        self.partitions.insert(partition, Position::new(start, self.pauses));
    }

    pub(crate) fn remove(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// Sets a partition's position anew. What is in flight for it is ignored when it comes.
    pub(crate) fn seek(&mut self, partition: &TopicPartition, start: Start) {
        if let Some(position) = self.partitions.get_mut(partition) {
            position.restart(start.into());
        }
    }

    pub(crate) fn set_paused(&mut self, partition: &TopicPartition, paused: bool) {
        if let Some(position) = self.partitions.get_mut(partition) {
            position.paused = paused;
        }
    }

    /// What is to be asked now. A partition has at most one question in flight.
    pub(crate) fn poll(&mut self, metadata: &Metadata, now: Instant) -> (Questions, Vec<Said>) {
        let (mut questions, mut said) = (Questions::default(), Vec::new());
        for (partition, position) in &mut self.partitions {
            position.follow(partition, metadata, &mut said);
            if position.asked.is_some()
                || position.state == State::Stopped
                || position.not_before.is_some_and(|at| now < at)
            {
                continue;
            }
            let token = self.next_token;
            if position.state == State::Committed {
                questions.committed.push((partition.clone(), token));
            } else {
                let leader =
                    metadata.partition(partition).and_then(|known| Some((known.leader?, known.leader_epoch)));
                let Some((leader, current)) = leader else {
                    questions.needs_metadata = true;
                    // One that is not there may stay away for long.
                    position.not_before = position.is_gone.then(|| now + GONE_PAUSE);
                    continue;
                };
                position.validate_under(current);
                match position.state {
                    State::Listing { query, .. } => {
                        let of_broker = questions.lists.entry(leader).or_default();
                        of_broker.push((partition.clone(), token, (query, current)));
                    }
                    State::Validating { epoch, .. } => {
                        let question = EpochQuestion { read_under: epoch, current };
                        questions.epochs.entry(leader).or_default().push((
                            partition.clone(),
                            token,
                            question,
                        ));
                    }
                    State::Committed | State::Ready { .. } | State::Stopped => continue,
                }
            }
            position.asked = Some(token);
            self.next_token += 1;
        }
        (questions, said)
    }

    /// What can be fetched now, by the broker to fetch it from.
    pub(crate) fn fetchable(
        &self,
        metadata: &Metadata,
        now: Instant,
    ) -> BTreeMap<i32, BTreeMap<TopicPartition, Wanted>> {
        let mut plan: BTreeMap<i32, BTreeMap<TopicPartition, Wanted>> = BTreeMap::new();
        for (partition, position) in &self.partitions {
            let State::Ready { offset, .. } = position.state else { continue };
            if position.paused || position.not_before.is_some_and(|at| now < at) {
                continue;
            }
            let Some(known) = metadata.partition(partition) else { continue };
            let Some(leader) = known.leader else { continue };
            let follower =
                position.replica.filter(|(id, until)| now < *until && metadata.brokers.contains_key(id));
            let wanted = Wanted { topic_id: position.topic_id, offset, leader_epoch: known.leader_epoch };
            let broker = follower.map_or(leader, |(id, _)| id);
            plan.entry(broker).or_default().insert(partition.clone(), wanted);
        }
        plan
    }

    /// The offset that is fetched next.
    pub(crate) fn offset(&self, partition: &TopicPartition) -> Option<i64> {
        match self.partitions.get(partition)?.state {
            State::Ready { offset, .. } | State::Validating { offset, .. } => Some(offset),
            _ => None,
        }
    }

    /// When something that waits may go on.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.partitions.values().filter_map(|position| position.not_before).filter(|at| *at > now).min()
    }

    /// Takes the position out of a question, where it is the one that was asked.
    fn answered(&mut self, partition: &TopicPartition, token: Token) -> Option<&mut Position> {
        let position = self.partitions.get_mut(partition)?;
        if position.asked != Some(token) {
            return None;
        }
        position.asked = None;
        Some(position)
    }

    /// The group's answer.
    pub(crate) fn handle_committed(
        &mut self,
        partition: &TopicPartition,
        token: Token,
        committed: Option<Committed>,
        now_ms: i64,
    ) -> Option<Said> {
        let policy = self.policy;
        let position = self.answered(partition, token)?;
        if let Some(found) = committed {
            let epoch = found.leader_epoch;
            position.state = State::Ready { offset: found.offset, epoch, valid_under: epoch };
            return None;
        }
        position.reset(partition, policy, None, now_ms)
    }

    /// An answer to ListOffsets. A time after the last record leads to the end.
    pub(crate) fn handle_listed(
        &mut self,
        partition: &TopicPartition,
        token: Token,
        found: Option<i64>,
    ) -> Option<Said> {
        let position = self.answered(partition, token)?;
        let State::Listing { wanted, query } = position.state else { return None };
        let Some(offset) = found else {
            if matches!(query, OffsetQuery::Time(_)) {
                position.state = State::Listing { query: OffsetQuery::Latest, wanted };
            }
            return None;
        };
        position.backoff.reset();
        position.state = State::Ready { offset, epoch: -1, valid_under: -1 };
        let wanted = wanted.filter(|wanted| *wanted != offset)?;
        Some(Said::Notice(partition.clone(), Notice::OutOfRange { wanted, now_at: offset }))
    }

    /// An answer to OffsetForLeaderEpoch, given under the leader epoch `current`.
    pub(crate) fn handle_epoch(
        &mut self,
        partition: &TopicPartition,
        token: Token,
        current: i32,
        end: EpochEnd,
        now_ms: i64,
    ) -> Option<Said> {
        let policy = self.policy;
        let position = self.answered(partition, token)?;
        let State::Validating { offset, epoch } = position.state else { return None };
        position.backoff.reset();
        if end.end_offset < 0 {
            // The leader knows nothing as old as that.
            return position.reset(partition, policy, Some(offset), now_ms);
        }
        if end.end_offset >= offset {
            position.state = State::Ready { offset, epoch, valid_under: current };
            return None;
        }
        position.state = State::Ready { offset: end.end_offset, epoch: end.epoch, valid_under: current };
        let notice = Notice::Truncated { wanted: offset, now_at: end.end_offset };
        Some(Said::Notice(partition.clone(), notice))
    }

    /// A question that got no answer, or an error for one. Final errors stop the partition.
    pub(crate) fn handle_trouble(
        &mut self,
        partition: &TopicPartition,
        token: Token,
        error: Error,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Said> {
        let position = self.answered(partition, token)?;
        position.fail_or_wait(error, now, rng)
    }

    /// Records came: reading goes on behind them.
    pub(crate) fn handle_fetched(
        &mut self,
        partition: &TopicPartition,
        from: i64,
        next_offset: i64,
        last_epoch: i32,
    ) {
        if let Some(position) = self.partitions.get_mut(partition)
            && let State::Ready { offset, epoch, .. } = &mut position.state
            && *offset == from
        {
            *offset = next_offset;
            *epoch = if last_epoch >= 0 { last_epoch } else { *epoch };
            position.backoff.reset();
            position.not_before = None;
        }
    }

    /// The leader asks to read from this follower (KIP-392).
    pub(crate) fn handle_replica(&mut self, partition: &TopicPartition, replica: i32, now: Instant) {
        if let Some(position) = self.partitions.get_mut(partition) {
            position.replica = Some((replica, now + REPLICA_LEASE));
        }
    }

    /// A fetch of the partition at `wanted` from `broker` failed. Whether metadata should be learnt anew stands in the
    /// first half.
    pub(crate) fn handle_fetch_error(
        &mut self,
        partition: &TopicPartition,
        wanted: i64,
        error: Error,
        (now, now_ms): (Instant, i64),
        rng: &mut fastrand::Rng,
    ) -> (bool, Option<Said>) {
        let policy = self.policy;
        let Some(position) = self.partitions.get_mut(partition) else { return (false, None) };
        if !matches!(position.state, State::Ready { offset, .. } if offset == wanted) {
            return (false, None);
        }
        let was_follower = position.replica.take().is_some();
        let code = error.code();
        if code == Some(ErrorCode::OFFSET_OUT_OF_RANGE) {
            // A follower may lag behind: only the leader's word counts.
            let said =
                if was_follower { None } else { position.reset(partition, policy, Some(wanted), now_ms) };
            return (false, said);
        }
        let refresh = match code {
            Some(code) => code.reaction() == Reaction::RefreshMetadata,
            None => error.is_retriable(),
        };
        (refresh, position.fail_or_wait(error, now, rng))
    }
}
