//! The batches of one partition between accumulator and acknowledgement, and the rules that keep each of them in the log
//! exactly once and in order.
//!
//! What the broker does: it knows the last five batches of each producer in each partition. It answers a batch that it
//! has with the old offset, takes the one that follows, and refuses any other as out of order.
//! <https://cwiki.apache.org/confluence/display/KAFKA/KIP-98>
//!
//! What follows from it here:
//! - At most five batches of a partition are without an outcome, so the broker still knows each of them.
//! - A batch keeps its stamp when it is sent again. Whatever happened to the first try, the log holds it once.
//! - Batches are pipelined only behind an acknowledged one. A broker that knows nothing of a producer takes any
//!   sequence, so if the first batch failed, the second one would be taken and the first never again.
//! - While a batch has to be sent again, it goes alone, and nothing new goes before it has its outcome: else the broker
//!   might have forgotten it by then.
//! - A batch that follows everything acknowledged and is refused as out of order proves a gap: an earlier one was given
//!   up. Then a new epoch begins at sequence 0, but only when no batch is left whose outcome is unknown: the broker
//!   would not recognise it under its new stamp. A batch with an unknown outcome is asked about, under its old stamp,
//!   until there is an answer (KIP-360). One refusal is no answer yet: the request that was never answered may still lie
//!   in the broker's socket, behind the one that closes the gap. It has to be refused again a while later.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::batch::Stamp;
use super::pending::Pending;
use crate::backoff::Backoff;
use crate::error::Error;

/// How many batches of one producer a broker remembers for each partition.
pub(crate) const MAX_UNRESOLVED: usize = 5;
/// How long an acknowledgement tells that the broker knows this producer; brokers forget an idle one
/// (`producer.id.expiration.ms`, a day by default).
const ESTABLISHED_FOR: Duration = Duration::from_secs(300);
/// How long after a first refusal a batch with an unanswered request has to be refused again.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// A producer id and its epoch: what stamps are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

/// The batches of one partition, in the order in which their records came.
#[derive(Debug)]
pub(crate) struct PartitionQueue {
    batches: VecDeque<Pending>,
    idempotent: bool,
    /// What the partition's batches are stamped with; others may be ahead.
    identity: Option<Identity>,
    next_sequence: i32,
    acknowledged_at: Option<Instant>,
    /// The broker lacks something before the first batch: only a new epoch helps.
    gap: bool,
    not_before: Option<Instant>,
    backoff: Backoff,
}

impl PartitionQueue {
    pub(crate) fn new(idempotent: bool, backoff: Backoff) -> Self {
        Self {
            batches: VecDeque::new(),
            idempotent,
            identity: None,
            next_sequence: 0,
            acknowledged_at: None,
            gap: false,
            not_before: None,
            backoff,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether another batch may come in from the accumulator.
    pub(crate) fn has_room(&self) -> bool {
        self.batches.len() < MAX_UNRESOLVED
    }

    pub(crate) fn push(&mut self, batch: Pending) {
        self.batches.push_back(batch);
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Pending> {
        self.batches.iter_mut().find(|batch| batch.id == id)
    }

    pub(crate) fn batches(&self) -> impl Iterator<Item = &Pending> {
        self.batches.iter()
    }

    /// A batch that is older than this.
    pub(crate) fn oldest_before(&self, created_before: Instant) -> Option<u64> {
        self.batches.iter().find(|batch| batch.created < created_before).map(|batch| batch.id)
    }

    /// The batch that may be sent now. The rules are in the file's head.
    pub(crate) fn candidate(&self, now: Instant) -> Option<&Pending> {
        if self.not_before.is_some_and(|instant| now < instant) {
            return None;
        }
        let in_flight = self.in_flight();
        if self.gap {
            let unknown = self.batches.iter().find(|batch| batch.maybe_written);
            return unknown.filter(|batch| in_flight == 0 && batch.is_ready());
        }
        let next = self.batches.iter().find(|batch| batch.in_flight.is_none())?;
        let may_go =
            if next.attempts > 0 { in_flight == 0 } else { in_flight == 0 || self.may_pipeline(now) };
        (may_go && next.is_ready()).then_some(next)
    }

    /// Whether a batch that came from the accumulator now could be sent at once.
    pub(crate) fn wants_more(&self, now: Instant) -> bool {
        let is_held = self.gap || self.not_before.is_some_and(|instant| now < instant);
        let all_in_flight = self.batches.iter().all(|batch| batch.in_flight.is_some());
        !is_held && all_in_flight && self.has_room() && (self.is_empty() || self.may_pipeline(now))
    }

    fn may_pipeline(&self, now: Instant) -> bool {
        let is_established = || self.acknowledged_at.is_some_and(|instant| now < instant + ESTABLISHED_FOR);
        let is_retrying = || self.batches.iter().any(|batch| batch.attempts > 1 || batch.maybe_written);
        !self.idempotent || (is_established() && !is_retrying())
    }

    fn in_flight(&self) -> usize {
        self.batches.iter().filter(|batch| batch.in_flight.is_some()).count()
    }

    /// When a batch may be sent that has to wait now.
    pub(crate) fn not_before(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.is_empty())
    }

    /// Seals the batch `id` for request `request`, under the next sequence where it has none yet.
    pub(crate) fn send(
        &mut self,
        id: u64,
        request: u64,
        newest: Option<Identity>,
        transactional: bool,
    ) -> Option<(Bytes, Stamp)> {
        let stamp = match newest {
            Some(newest) if self.idempotent => {
                let identity = *self.identity.get_or_insert(newest);
                let next = self.next_sequence;
                let batch = self.get_mut(id)?;
                let stamp = batch.stamp.unwrap_or(Stamp {
                    producer_id: identity.producer_id,
                    epoch: identity.epoch,
                    base_sequence: next,
                });
                let is_new = batch.stamp.is_none();
                let count = batch.count;
                if is_new {
                    self.next_sequence = advance(next, count);
                }
                stamp
            }
            _ => Stamp::NONE,
        };
        let batch = self.get_mut(id)?;
        batch.in_flight = Some(request);
        batch.attempts += 1;
        Some((batch.seal(stamp, transactional), stamp))
    }

    /// The broker has the batch: takes it out.
    pub(crate) fn acknowledge(&mut self, id: u64, now: Instant) -> Option<Pending> {
        let done = self.remove(id)?;
        self.acknowledged_at = Some(now);
        self.not_before = None;
        self.backoff.reset();
        Some(done)
    }

    /// The batch is given up: takes it out. Where it is certain that no broker has it, its sequence numbers are missing.
    pub(crate) fn give_up(&mut self, id: u64) -> Option<Pending> {
        let given_up = self.remove(id)?;
        let is_possible = given_up.maybe_written || given_up.in_flight.is_some();
        self.gap |= self.idempotent && given_up.stamp.is_some() && !is_possible;
        Some(given_up)
    }

    /// Gives up the batches for which this is true.
    pub(crate) fn give_up_where(&mut self, is_given_up: impl Fn(&Pending) -> bool) -> Vec<Pending> {
        let ids: Vec<u64> = self.batches.iter().filter(|b| is_given_up(b)).map(|batch| batch.id).collect();
        ids.into_iter().filter_map(|id| self.give_up(id)).collect()
    }

    fn remove(&mut self, id: u64) -> Option<Pending> {
        let index = self.batches.iter().position(|batch| batch.id == id)?;
        self.batches.remove(index)
    }

    /// The batch has to be sent again after a pause. `unknown`: a broker may have it.
    pub(crate) fn retry(
        &mut self,
        id: u64,
        unknown: bool,
        error: Error,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) {
        let Some(batch) = self.get_mut(id) else { return };
        batch.in_flight = None;
        batch.maybe_written |= unknown;
        batch.last_error = Some(error);
        self.pause(now, rng);
    }

    /// Batches that fail together wait once.
    fn pause(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        if self.not_before.is_none_or(|instant| instant <= now) {
            self.not_before = Some(now + self.backoff.next_pause(rng));
        }
    }

    /// The broker does not take the batch where it stands, so it does not have it.
    pub(crate) fn out_of_order(&mut self, id: u64, error: Error, now: Instant, rng: &mut fastrand::Rng) {
        let is_first = self.batches.front().is_some_and(|batch| batch.id == id);
        let Some(batch) = self.get_mut(id) else { return };
        batch.in_flight = None;
        batch.last_error = Some(error);
        let refused_at = *batch.refused_at.get_or_insert(now);
        let is_settled = !batch.maybe_written || now >= refused_at + SETTLED_AFTER;
        batch.maybe_written &= !is_settled;
        self.gap |= is_first && is_settled;
        if is_first || !is_settled {
            self.pause(now, rng);
        }
    }

    /// Nothing was sent after all.
    pub(crate) fn unsent(&mut self, id: u64) {
        if let Some(batch) = self.get_mut(id) {
            batch.in_flight = None;
        }
    }

    /// Replaces a batch that is too large by its parts, which share its stamp's numbers between them.
    pub(crate) fn replace(&mut self, id: u64, parts: Vec<Pending>) -> Option<Pending> {
        let index = self.batches.iter().position(|batch| batch.id == id)?;
        let whole = self.batches.remove(index)?;
        let mut stamp = whole.stamp;
        for (offset, mut part) in parts.into_iter().enumerate() {
            part.stamp = stamp;
            part.attempts = whole.attempts;
            if let Some(stamp) = stamp.as_mut().filter(|stamp| **stamp != Stamp::NONE) {
                stamp.base_sequence = advance(stamp.base_sequence, part.count);
            }
            self.batches.insert(index + offset, part);
        }
        self.not_before = None;
        Some(whole)
    }

    /// The partition has a new leader, or its old one a new term: what is under way to the old one may have arrived or
    /// not, so it is asked about at the new one at once.
    pub(crate) fn leader_changed(&mut self) {
        self.not_before = None;
        if !self.idempotent {
            // Sending again what is still under way would make duplicates here.
            return;
        }
        for batch in &mut self.batches {
            batch.maybe_written |= batch.in_flight.take().is_some();
        }
    }

    /// Whether only a new epoch helps, and nothing stands against it.
    pub(crate) fn wants_new_epoch(&self) -> bool {
        self.gap && self.batches.iter().all(|batch| batch.in_flight.is_none() && !batch.maybe_written)
    }

    /// Begins anew at sequence 0 with the next batch. `None` takes the newest identity there is by then.
    pub(crate) fn begin_epoch(&mut self, identity: Option<Identity>) {
        self.identity = identity;
        self.next_sequence = 0;
        self.acknowledged_at = None;
        self.gap = false;
        for batch in &mut self.batches {
            batch.stamp = None;
        }
    }
}

/// Sequences run from 0 to `i32::MAX` and start over.
fn advance(sequence: i32, count: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(count);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::accumulator::ClosedBatch;
    use crate::producer::pending::Body;

    const FIRST: Identity = Identity { producer_id: 7, epoch: 0 };

    fn queue(batches: u64) -> PartitionQueue {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut queue = PartitionQueue::new(true, backoff);
        for id in 0..batches {
            let mut batch = Pending::new(ClosedBatch {
                id,
                bytes: vec![0; 100],
                count: 10,
                created: Instant::now(),
                charged: 100,
                waiters: Vec::new(),
            });
            batch.body = Body::Packed(vec![0; 100]);
            queue.push(batch);
        }
        queue
    }

    fn next(queue: &PartitionQueue, now: Instant) -> Option<u64> {
        queue.candidate(now).map(|batch| batch.id)
    }

    fn sequence(queue: &mut PartitionQueue, id: u64) -> i32 {
        queue.send(id, id, Some(FIRST), false).unwrap().1.base_sequence
    }

    fn error() -> Error {
        Error::broker("Produce", "t[0]", 7, None)
    }

    #[test]
    fn nothing_is_pipelined_before_the_first_acknowledgement() {
        let (mut queue, now) = (queue(3), Instant::now());
        assert_eq!(sequence(&mut queue, 0), 0);
        assert_eq!(next(&queue, now), None);
        queue.acknowledge(0, now);
        assert_eq!(sequence(&mut queue, 1), 10);
        assert_eq!(next(&queue, now), Some(2));
    }

    #[test]
    fn a_batch_that_is_sent_again_keeps_its_sequence_and_goes_alone() {
        let (mut queue, now, mut rng) = (queue(3), Instant::now(), fastrand::Rng::with_seed(1));
        sequence(&mut queue, 0);
        queue.acknowledge(0, now);
        sequence(&mut queue, 1);
        sequence(&mut queue, 2);
        queue.retry(1, true, error(), now, &mut rng);
        assert_eq!(next(&queue, now), None, "there is a pause");
        let later = now + Duration::from_secs(1);
        assert_eq!(next(&queue, later), None, "batch 2 is still under way");
        queue.out_of_order(2, error(), now, &mut rng);
        assert_eq!(next(&queue, later), Some(1));
        assert_eq!(sequence(&mut queue, 1), 10);
        assert_eq!(next(&queue, later), None);
        queue.acknowledge(1, later);
        assert_eq!(sequence(&mut queue, 2), 20);
    }

    #[test]
    fn a_gap_begins_a_new_epoch_only_when_every_outcome_is_known() {
        let (mut queue, now, mut rng) = (queue(3), Instant::now(), fastrand::Rng::with_seed(1));
        sequence(&mut queue, 0);
        queue.acknowledge(0, now);
        sequence(&mut queue, 1);
        sequence(&mut queue, 2);
        queue.retry(2, true, error(), now, &mut rng);
        queue.out_of_order(1, error(), now, &mut rng);
        assert!(!queue.wants_new_epoch(), "batch 2 may have been written");
        let later = now + Duration::from_secs(1);
        assert_eq!(next(&queue, later), Some(2), "so it is asked about under its old stamp");
        assert_eq!(sequence(&mut queue, 2), 20);
        queue.out_of_order(2, error(), later, &mut rng);
        assert!(!queue.wants_new_epoch(), "its first request may still arrive");
        let much_later = later + SETTLED_AFTER;
        assert_eq!(next(&queue, much_later), Some(2));
        assert_eq!(sequence(&mut queue, 2), 20);
        queue.out_of_order(2, error(), much_later, &mut rng);
        assert!(queue.wants_new_epoch());
        queue.begin_epoch(Some(Identity { producer_id: 7, epoch: 1 }));
        let (_, stamp) = queue.send(1, 9, Some(FIRST), false).unwrap();
        assert_eq!((stamp.epoch, stamp.base_sequence), (1, 0));
    }

    #[test]
    fn giving_up_what_was_certainly_not_written_leaves_a_gap_and_the_possible_does_not() {
        let (mut queue, now, mut rng) = (queue(2), Instant::now(), fastrand::Rng::with_seed(1));
        sequence(&mut queue, 0);
        queue.retry(0, true, error(), now, &mut rng);
        queue.give_up(0);
        assert!(!queue.wants_new_epoch());
        sequence(&mut queue, 1);
        queue.retry(1, false, error(), now, &mut rng);
        queue.give_up(1);
        assert!(queue.wants_new_epoch());
    }

    #[test]
    fn the_parts_of_a_split_batch_share_its_numbers() {
        let (mut whole, mut parts) = (queue(1), queue(2));
        assert_eq!(sequence(&mut whole, 0), 0);
        whole.replace(0, parts.batches.drain(..).collect());
        let sequences: Vec<_> = whole.batches().map(|part| part.stamp.unwrap().base_sequence).collect();
        assert_eq!(sequences, [0, 10]);
    }

    #[test]
    fn sequences_start_over_behind_the_greatest_number() {
        assert_eq!(advance(i32::MAX - 4, 5), 0);
        assert_eq!(advance(i32::MAX - 4, 4), i32::MAX);
        assert_eq!(advance(i32::MAX, 1), 0);
    }
}
