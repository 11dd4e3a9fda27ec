//! What lies between the driver and the application: events that wait to be taken, and how far the application has
//! come with them. Data behind one lock; nobody waits while holding it.
//!
//! Records are held back when the membership has not shown itself for too long: the process has stood still then, and the
//! application's thread may be the first to go on.
//!
//! Marks belong to one assignment of a partition. One that was made for an earlier assignment is never committed: in
//! between another member may have gone further.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::decode::PartitionRecords;
use super::group::Rebalance;
use super::offsets::OffsetToCommit;
use super::position::Notice;
use crate::TopicPartition;
use crate::error::Error;

/// What a consumer tells its application.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Records of one partition.
    Records(PartitionRecords),
    /// Everything there was has been handed out, up to this offset. Told again after more records came.
    EndOfPartition(TopicPartition, i64),
    /// These partitions are read from now on.
    Assigned(Vec<TopicPartition>),
    /// These partitions go to another member. The application finishes what it has of them and marks it; asking for
    /// the next event says that it is done, and what was marked is committed then.
    Revoking(Vec<TopicPartition>),
    /// These partitions were taken away: nothing can be committed for them any more.
    Lost(Vec<TopicPartition>),
    /// A rebalance is over.
    Rebalanced(Rebalance),
    /// Offsets were committed.
    Committed(Vec<(TopicPartition, i64)>),
    /// A partition's position changed, or it is gone for now.
    Notice(TopicPartition, Notice),
    /// Something failed and is tried again.
    Trouble(Error),
    /// A partition was given up: it is not read any more. The others are.
    GaveUp(Error),
    /// The consumer cannot go on. The last event.
    Failed(Error),
}

/// One assignment of a partition.
pub(super) type Incarnation = u64;

/// What taking an event changes.
#[derive(Debug)]
enum OnTake {
    Nothing,
    Own(Incarnation),
    Disown,
    /// The application deals with this revocation until it takes the next event.
    Revocation(u64),
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    incarnation: Incarnation,
    offset: i64,
    leader_epoch: i32,
    committed: Option<i64>,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<(Event, OnTake)>,
    /// The partitions that the application knows of.
    owned: HashMap<TopicPartition, Incarnation>,
    marks: HashMap<TopicPartition, Mark>,
    /// Behind the records that were handed out last: offset and leader epoch.
    handed_out: HashMap<TopicPartition, (i64, i32)>,
    /// Records are handed out until then; for ever where there is no group.
    awake_until: Option<Instant>,
    busy_with: Option<u64>,
    finished: Vec<u64>,
    ended: bool,
}

/// Shared by the handle and the driver.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Something to take.
    pub(super) filled: Notify,
    /// The application finished a revocation, or gave memory back.
    pub(super) drained: Arc<Notify>,
    held_bytes: Arc<AtomicUsize>,
}

/// Memory that counts as used until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    bytes: usize,
    held_bytes: Arc<AtomicUsize>,
    drained: Arc<Notify>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.drained.notify_one();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes as used.
    pub(super) fn hold(&self, bytes: usize) -> Arc<Held> {
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        let (held_bytes, drained) = (Arc::clone(&self.held_bytes), Arc::clone(&self.drained));
        Arc::new(Held { bytes, held_bytes, drained })
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn push(&self, event: Event) {
        let on_take = match &event {
            Event::Lost(_) => OnTake::Disown,
            _ => OnTake::Nothing,
        };
        self.push_with(event, on_take);
    }

    pub(super) fn push_assigned(&self, partitions: Vec<TopicPartition>, incarnation: Incarnation) {
        self.push_with(Event::Assigned(partitions), OnTake::Own(incarnation));
    }

    /// `number` comes back from [`finished`](Self::finished).
    pub(super) fn push_revoking(&self, partitions: Vec<TopicPartition>, number: u64) {
        self.push_with(Event::Revoking(partitions), OnTake::Revocation(number));
    }

    fn push_with(&self, event: Event, on_take: OnTake) {
        self.lock().events.push_back((event, on_take));
        self.filled.notify_one();
    }

    /// No more events come after those that wait.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        (inner.ended, inner.awake_until) = (true, None);
        drop(inner);
        self.filled.notify_one();
    }

    /// Records may be handed out until then.
    pub(super) fn set_awake(&self, until: Instant) {
        let before = self.lock().awake_until.replace(until);
        if before.is_some_and(|before| before < until) {
            self.filled.notify_one();
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        let inner = self.lock();
        inner.ended && inner.events.is_empty()
    }

    /// Takes out what waits for these partitions: it was not dealt with, so it is to be read again, by whomever. Where
    /// that begins stands in the result.
    pub(super) fn purge(&self, partitions: &HashSet<TopicPartition>) -> HashMap<TopicPartition, i64> {
        let mut inner = self.lock();
        let is_purged = |(event, _): &(Event, OnTake)| match event {
            Event::Records(records) => partitions.contains(records.partition()),
            Event::EndOfPartition(partition, _) => partitions.contains(partition),
            _ => false,
        };
        let events = std::mem::take(&mut inner.events);
        let (purged, kept): (Vec<_>, Vec<_>) = events.into_iter().partition(is_purged);
        inner.events = kept.into();
        // Dropping records wakes the driver; not while holding the lock.
        drop(inner);
        let mut first = HashMap::new();
        for (event, _) in &purged {
            if let Event::Records(records) = event {
                first.entry(records.partition().clone()).or_insert(records.from());
            }
        }
        first
    }

    /// The next event that may be handed out now. Asking for it says that the application is done with the last one.
    pub(super) fn take(&self, now: Instant) -> Option<Event> {
        let mut inner = self.lock();
        if let Some(number) = inner.busy_with.take() {
            inner.finished.push(number);
            self.drained.notify_one();
        }
        let is_asleep = inner.awake_until.is_some_and(|until| until <= now);
        if is_asleep && matches!(inner.events.front(), Some((Event::Records(_), _))) {
            return None;
        }
        let (event, on_take) = inner.events.pop_front()?;
        match (&event, on_take) {
            (Event::Records(records), _) => {
                let behind = (records.next_offset(), records.last_epoch());
                inner.handed_out.insert(records.partition().clone(), behind);
            }
            (Event::Assigned(partitions), OnTake::Own(incarnation)) => {
                inner.owned.extend(partitions.iter().map(|partition| (partition.clone(), incarnation)));
            }
            (Event::Lost(partitions), OnTake::Disown) => {
                for partition in partitions {
                    inner.forget(partition);
                }
            }
            (_, OnTake::Revocation(number)) => inner.busy_with = Some(number),
            _ => {}
        }
        Some(event)
    }

    /// The revocations that the application is done with.
    pub(super) fn finished(&self) -> Vec<u64> {
        std::mem::take(&mut self.lock().finished)
    }

    /// Everything before `offset` is dealt with.
    pub(super) fn mark(&self, partition: &TopicPartition, offset: i64) {
        let mut inner = self.lock();
        let Some(&incarnation) = inner.owned.get(partition) else { return };
        let leader_epoch = inner.handed_out.get(partition).filter(|(next, _)| *next == offset);
        let leader_epoch = leader_epoch.map_or(-1, |(_, epoch)| *epoch);
        let last = inner.marks.get(partition).filter(|mark| mark.incarnation == incarnation);
        let committed = last.and_then(|mark| mark.committed);
        inner.marks.insert(partition.clone(), Mark { incarnation, offset, leader_epoch, committed });
    }

    /// What is marked and not committed, of those assignments that still stand.
    pub(super) fn to_commit(
        &self,
        standing: &HashMap<TopicPartition, Incarnation>,
    ) -> Vec<(TopicPartition, OffsetToCommit)> {
        let inner = self.lock();
        let is_due = |(partition, mark): &(&TopicPartition, &Mark)| {
            standing.get(*partition) == Some(&mark.incarnation) && mark.committed != Some(mark.offset)
        };
        let to_commit = |(partition, mark): (&TopicPartition, &Mark)| {
            let metadata = String::new();
            let offset = OffsetToCommit { offset: mark.offset, leader_epoch: mark.leader_epoch, metadata };
            (partition.clone(), offset)
        };
        inner.marks.iter().filter(is_due).map(to_commit).collect()
    }

    /// These are committed.
    pub(super) fn set_committed(&self, offsets: &[(TopicPartition, OffsetToCommit)]) {
        let mut inner = self.lock();
        for (partition, offset) in offsets {
            if let Some(mark) = inner.marks.get_mut(partition) {
                mark.committed = Some(offset.offset);
            }
        }
    }

    /// The application gave these up.
    pub(super) fn disown(&self, partitions: &[TopicPartition]) {
        let mut inner = self.lock();
        for partition in partitions {
            inner.forget(partition);
        }
    }

    /// The offset behind what was handed out last.
    pub(super) fn handed_out(&self, partition: &TopicPartition) -> Option<i64> {
        self.lock().handed_out.get(partition).map(|(offset, _)| *offset)
    }

    pub(super) fn owned(&self) -> Vec<TopicPartition> {
        self.lock().owned.keys().cloned().collect()
    }
}

impl Inner {
    fn forget(&mut self, partition: &TopicPartition) {
        self.owned.remove(partition);
        self.marks.remove(partition);
        self.handed_out.remove(partition);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::consumer::decode::{Answer, decode};

    const LIMIT: Duration = Duration::from_secs(3);

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    fn standing(incarnation: Incarnation) -> HashMap<TopicPartition, Incarnation> {
        HashMap::from([(partition(0), incarnation)])
    }

    fn offsets(queue: &Queue, incarnation: Incarnation) -> Vec<i64> {
        queue.to_commit(&standing(incarnation)).iter().map(|(_, offset)| offset.offset).collect()
    }

    #[test]
    fn only_what_is_marked_is_committed_and_only_once() {
        let queue = Queue::default();
        queue.push_assigned(vec![partition(0)], 1);
        queue.mark(&partition(0), 5);
        assert_eq!(
            offsets(&queue, 1),
            Vec::<i64>::new(),
            "the application does not own it before it took the event"
        );
        assert!(matches!(queue.take(Instant::now()), Some(Event::Assigned(_))));
        assert_eq!(offsets(&queue, 1), Vec::<i64>::new());
        queue.mark(&partition(0), 5);
        assert_eq!(offsets(&queue, 1), [5]);
        queue.set_committed(&queue.to_commit(&standing(1)));
        assert_eq!(offsets(&queue, 1), Vec::<i64>::new());
        queue.mark(&partition(0), 6);
        assert_eq!(offsets(&queue, 1), [6]);
    }

    #[test]
    fn a_mark_for_an_earlier_assignment_is_never_committed() {
        let queue = Queue::default();
        queue.push_assigned(vec![partition(0)], 1);
        queue.take(Instant::now());
        queue.mark(&partition(0), 5);
        // Lost and assigned again, of which the application knows nothing yet.
        queue.push(Event::Lost(vec![partition(0)]));
        queue.push_assigned(vec![partition(0)], 2);
        queue.mark(&partition(0), 9);
        assert_eq!(offsets(&queue, 2), Vec::<i64>::new());
        queue.take(Instant::now());
        queue.take(Instant::now());
        assert_eq!(offsets(&queue, 2), Vec::<i64>::new());
        queue.mark(&partition(0), 3);
        assert_eq!(offsets(&queue, 2), [3]);
    }

    #[test]
    fn a_revocation_is_finished_when_the_next_event_is_asked_for() {
        let queue = Queue::default();
        queue.push_revoking(vec![partition(0)], 7);
        assert!(matches!(queue.take(Instant::now()), Some(Event::Revoking(_))));
        assert_eq!(queue.finished(), Vec::<u64>::new());
        assert!(queue.take(Instant::now()).is_none());
        assert_eq!(queue.finished(), [7]);
        assert!(queue.take(Instant::now()).is_none());
        assert_eq!(queue.finished(), Vec::<u64>::new());
    }

    fn records() -> Event {
        let answer = Answer {
            bytes: Bytes::new(),
            aborted: Vec::new(),
            read_committed: false,
            control_records: false,
            end_offset: 0,
        };
        Event::Records(decode(&partition(0), 0, answer).unwrap())
    }

    #[test]
    fn records_wait_while_nobody_knows_whose_the_partitions_are() {
        let (queue, now) = (Queue::default(), Instant::now());
        queue.set_awake(now + LIMIT);
        queue.push(records());
        queue.push_assigned(vec![partition(1)], 1);
        queue.push(records());
        queue.push(Event::EndOfPartition(partition(0), 0));
        assert!(queue.take(now + LIMIT).is_none(), "the process stood still");
        assert!(matches!(queue.take(now), Some(Event::Records(_))));
        assert!(matches!(queue.take(now + LIMIT), Some(Event::Assigned(_))), "other news do not wait");
        assert!(queue.take(now + LIMIT).is_none());
        queue.purge(&HashSet::from([partition(0)]));
        queue.push(Event::Lost(vec![partition(0)]));
        queue.set_awake(now + LIMIT + LIMIT);
        assert!(matches!(queue.take(now + LIMIT), Some(Event::Lost(_))), "they were others'");
    }

    #[test]
    fn memory_is_given_back_when_records_are_dropped() {
        let queue = Queue::default();
        let held = queue.hold(100);
        let again = Arc::clone(&held);
        drop(held);
        assert_eq!(queue.held_bytes(), 100);
        drop(again);
        assert_eq!(queue.held_bytes(), 0);
    }
}
