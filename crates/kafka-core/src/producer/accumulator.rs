//! Where records wait: one open batch for each partition, encoded as records come, and the full ones behind it.
//!
//! It knows limits on memory and time and nothing of brokers, sequences or sockets. One mutex guards it; what happens per
//! record happens here, without allocation.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::batch::{BatchBuilder, HEADER_BYTES};
use super::partitioner::{Partitioner, Spread};
use super::report::{RecordFailure, RecordPlace};
use crate::TopicPartition;
use crate::record::RecordRef;

/// Memory of full batches that is kept for the next ones.
const SPARE_BATCHES: usize = 8;
/// The first room of a batch of which nothing is known.
const FIRST_ROOM_BYTES: usize = 4 * 1024;

/// One partition of one topic, by the numbers that the accumulator gave them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    pub(crate) topic: usize,
    pub(crate) partition: usize,
}

/// Who waits for the outcome of one record: its place in the batch, and the way to tell.
pub(crate) type Waiter = (i32, oneshot::Sender<Result<RecordPlace, RecordFailure>>);

/// A batch that takes no more records.
#[derive(Debug)]
pub(crate) struct ClosedBatch {
    /// Grows with every batch.
    pub(crate) id: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: i32,
    /// When its first record came.
    pub(crate) created: Instant,
    /// The bytes it counts for in `buffer.memory`.
    pub(crate) charged: usize,
    pub(crate) waiters: Vec<Waiter>,
}

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `buffer.memory` is used up: wait until batches are done.
    NoRoom,
    /// It is larger than `max.request.size`; its size.
    TooLarge(usize),
    /// The topic has fewer partitions; how many.
    NoSuchPartition(usize),
    /// No partition of the topic has a leader at the moment.
    NoLeader,
}

/// What happened to a record that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) partition: i32,
    /// Whether the sender has a reason to look: a batch was begun or is full.
    pub(crate) wake: bool,
}

/// The limits, by Kafka's names.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// `batch.size`
    pub(crate) batch_bytes: usize,
    /// `buffer.memory`
    pub(crate) buffer_bytes: usize,
    /// `max.request.size`
    pub(crate) record_bytes: usize,
    /// `linger.ms`
    pub(crate) linger: Duration,
}

#[derive(Debug)]
struct OpenBatch {
    id: u64,
    builder: BatchBuilder,
    created: Instant,
    waiters: Vec<Waiter>,
}

#[derive(Debug, Default)]
struct PartitionBuffer {
    full: VecDeque<ClosedBatch>,
    open: Option<OpenBatch>,
    /// The size of the last batch: the next one is likely to be as large.
    last_bytes: usize,
}

#[derive(Debug)]
struct TopicBuffer {
    name: Arc<str>,
    partitions: Vec<PartitionBuffer>,
    /// The partitions that have a leader which answers.
    available: Vec<i32>,
    spread: Spread,
    /// `batch.size`, or less where the topic turned out to take only smaller ones.
    batch_bytes: usize,
}

/// All records that are not sent yet.
#[derive(Debug)]
pub(crate) struct Accumulator {
    limits: Limits,
    partitioner: Partitioner,
    topics: Vec<TopicBuffer>,
    by_name: HashMap<Arc<str>, usize>,
    /// Slots with at least one record.
    filled: BTreeSet<Slot>,
    used: usize,
    next_id: u64,
    /// Somebody waits for room, so nothing else waits for company.
    pressed: bool,
    /// Batches below this number do not linger: somebody flushes.
    flush_below: u64,
    spare: Vec<Vec<u8>>,
    rng: fastrand::Rng,
}

impl Accumulator {
    pub(crate) fn new(limits: Limits, partitioner: Partitioner, rng: fastrand::Rng) -> Self {
        Self {
            limits,
            partitioner,
            topics: Vec::new(),
            by_name: HashMap::new(),
            filled: BTreeSet::new(),
            used: 0,
            next_id: 0,
            pressed: false,
            flush_below: 0,
            spare: Vec::new(),
            rng,
        }
    }

    /// The topic's number; `partitions` is how many it has now, `available` those with a leader.
    pub(crate) fn topic(&mut self, name: &Arc<str>, partitions: usize, available: Vec<i32>) -> usize {
        let batch_bytes = self.limits.batch_bytes;
        let index = *self.by_name.entry(Arc::clone(name)).or_insert_with(|| {
            self.topics.push(TopicBuffer {
                name: Arc::clone(name),
                partitions: Vec::new(),
                available: Vec::new(),
                spread: Spread::default(),
                batch_bytes,
            });
            self.topics.len() - 1
        });
        let topic = &mut self.topics[index];
        // Partitions are added, never taken away.
        if partitions > topic.partitions.len() {
            topic.partitions.resize_with(partitions, PartitionBuffer::default);
        }
        self.set_available(index, available);
        index
    }

    /// Records that may go to any partition go to one of these from now on.
    pub(crate) fn set_available(&mut self, topic: usize, available: Vec<i32>) {
        let topic = &mut self.topics[topic];
        if topic.spread.is_elsewhere(&available) {
            topic.spread.move_on(&available, &mut self.rng);
        }
        topic.available = available;
    }

    /// The name and number of every topic that was asked for.
    pub(crate) fn topic_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.iter().map(|topic| &topic.name)
    }

    pub(crate) fn name(&self, slot: Slot) -> TopicPartition {
        let partition = i32::try_from(slot.partition).unwrap_or(i32::MAX);
        TopicPartition { topic: Arc::clone(&self.topics[slot.topic].name), partition }
    }

    /// Takes a record for `partition`, or for the one that the partitioner chooses.
    ///
    /// # Errors
    /// A [`Refusal`]; the record was not taken.
    #[inline]
    pub(crate) fn append(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        record: &RecordRef<'_>,
        (now, now_ms): (Instant, i64),
        waiter: Option<oneshot::Sender<Result<RecordPlace, RecordFailure>>>,
    ) -> Result<Taken, Refusal> {
        let bytes = BatchBuilder::bound(record);
        if self.used + bytes > self.limits.buffer_bytes && self.used > 0 {
            self.pressed = true;
            return Err(Refusal::NoRoom);
        }
        if bytes + HEADER_BYTES > self.limits.record_bytes {
            return Err(Refusal::TooLarge(bytes + HEADER_BYTES));
        }
        let partition = self.choose(topic, partition, record)?;
        let slot = Slot { topic, partition: usize::try_from(partition).unwrap_or(usize::MAX) };
        let count = self.topics[topic].partitions.len();
        if slot.partition >= count {
            return Err(Refusal::NoSuchPartition(count));
        }
        let mut wake = self.close_where_full(slot, bytes);
        wake |= self.open_batch(slot, bytes, now);
        let topic = &mut self.topics[slot.topic];
        if let Some(open) = &mut topic.partitions[slot.partition].open {
            let before = open.builder.len();
            let place = open.builder.count();
            open.builder.push(record, record.timestamp.unwrap_or(now_ms));
            self.used += open.builder.len() - before;
            if let Some(waiter) = waiter {
                open.waiters.push((place, waiter));
            }
        }
        Ok(Taken { partition, wake })
    }

    #[inline]
    fn choose(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        record: &RecordRef<'_>,
    ) -> Result<i32, Refusal> {
        if let Some(partition) = partition {
            return Ok(partition);
        }
        let topic = &mut self.topics[topic];
        let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        if let Some(by_key) = record.key.and_then(|key| self.partitioner.for_key(key, count)) {
            return Ok(by_key);
        }
        let chosen = match self.partitioner {
            Partitioner::RoundRobin => topic.spread.round_robin(&topic.available),
            Partitioner::Random => self.rng.choice(&topic.available).copied(),
            _ => topic.spread.sticky(&topic.available, &mut self.rng),
        };
        chosen.ok_or(Refusal::NoLeader)
    }

    /// Closes the open batch where `bytes` more would be too much for it.
    #[inline]
    fn close_where_full(&mut self, slot: Slot, bytes: usize) -> bool {
        let topic = &mut self.topics[slot.topic];
        let open = topic.partitions[slot.partition].open.as_ref();
        if open.is_none_or(|open| open.builder.len() + bytes <= topic.batch_bytes) {
            return false;
        }
        self.close(slot);
        true
    }

    fn close(&mut self, slot: Slot) {
        let topic = &mut self.topics[slot.topic];
        let buffer = &mut topic.partitions[slot.partition];
        let Some(open) = buffer.open.take() else { return };
        let count = open.builder.count();
        let bytes = open.builder.finish();
        buffer.last_bytes = bytes.len();
        buffer.full.push_back(ClosedBatch {
            id: open.id,
            count,
            created: open.created,
            charged: bytes.len(),
            bytes,
            waiters: open.waiters,
        });
        let partition = i32::try_from(slot.partition).unwrap_or(i32::MAX);
        if topic.spread.is_at(partition) {
            topic.spread.move_on(&topic.available, &mut self.rng);
        }
    }

    /// Opens a batch where none is; whether one was opened.
    #[inline]
    fn open_batch(&mut self, slot: Slot, bytes: usize, now: Instant) -> bool {
        let topic = &mut self.topics[slot.topic];
        let buffer = &mut topic.partitions[slot.partition];
        if buffer.open.is_some() {
            return false;
        }
        let likely = (buffer.last_bytes + buffer.last_bytes / 8).max(bytes + HEADER_BYTES);
        let room = likely.clamp(FIRST_ROOM_BYTES, topic.batch_bytes.max(FIRST_ROOM_BYTES));
        let room = room + BatchBuilder::SLACK_BYTES;
        let fits = |memory: &Vec<u8>| memory.capacity() >= room;
        let memory = match self.spare.iter().position(fits) {
            Some(index) => self.spare.swap_remove(index),
            None => Vec::with_capacity(room),
        };
        let (id, builder) = (self.next_id, BatchBuilder::new(memory));
        self.next_id += 1;
        self.used += HEADER_BYTES;
        buffer.open = Some(OpenBatch { id, builder, created: now, waiters: Vec::new() });
        self.filled.insert(slot);
        true
    }

    /// Slots with at least one record.
    pub(crate) fn filled(&self) -> impl Iterator<Item = Slot> {
        self.filled.iter().copied()
    }

    /// Since when the slot's first batch waits, where it has one that may leave now.
    pub(crate) fn due(&self, slot: Slot, now: Instant) -> Option<Instant> {
        let buffer = &self.topics[slot.topic].partitions[slot.partition];
        if let Some(full) = buffer.full.front() {
            return Some(full.created);
        }
        let open = buffer.open.as_ref()?;
        let is_due = self.pressed || open.id < self.flush_below || now >= open.created + self.limits.linger;
        is_due.then_some(open.created)
    }

    /// Whether the slot has a batch that takes no more records.
    pub(crate) fn has_full(&self, slot: Slot) -> bool {
        !self.topics[slot.topic].partitions[slot.partition].full.is_empty()
    }

    /// When the next batch has lingered long enough.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let open = self.filled.iter().filter_map(|slot| {
            let buffer = &self.topics[slot.topic].partitions[slot.partition];
            buffer.open.as_ref().map(|open| open.created + self.limits.linger)
        });
        open.min()
    }

    /// The slot's first batch, closed where it was still open.
    pub(crate) fn take(&mut self, slot: Slot) -> Option<ClosedBatch> {
        if !self.has_full(slot) {
            self.close(slot);
        }
        let buffer = &mut self.topics[slot.topic].partitions[slot.partition];
        let taken = buffer.full.pop_front();
        if buffer.full.is_empty() && buffer.open.is_none() {
            self.filled.remove(&slot);
        }
        taken
    }

    /// The slot's first batch that is older than `created_before`, for batches that ran out of time.
    pub(crate) fn take_older(&mut self, slot: Slot, created_before: Instant) -> Option<ClosedBatch> {
        let buffer = &self.topics[slot.topic].partitions[slot.partition];
        let full = buffer.full.front().map(|batch| batch.created);
        let oldest = full.or_else(|| buffer.open.as_ref().map(|open| open.created))?;
        if oldest < created_before { self.take(slot) } else { None }
    }

    /// Gives back what a finished batch counted for.
    pub(crate) fn release(&mut self, charged: usize) {
        self.used = self.used.saturating_sub(charged);
        self.pressed = false;
    }

    /// Keeps the memory of a batch for the next ones, where nobody else holds it and it is large enough.
    pub(crate) fn keep(&mut self, batch: Bytes) {
        let Ok(mut batch) = batch.try_into_mut() else { return };
        // Contents would be copied.
        batch.clear();
        let memory = Vec::from(batch);
        if memory.capacity() >= self.limits.batch_bytes && self.spare.len() < SPARE_BATCHES {
            self.spare.push(memory);
        }
    }

    /// From now on batches of this topic hold at most `bytes` (but one record at least).
    pub(crate) fn shrink(&mut self, topic: usize, bytes: usize) {
        let limit = &mut self.topics[topic].batch_bytes;
        *limit = (*limit).min(bytes.max(HEADER_BYTES));
    }

    /// Lets every batch that has begun leave without lingering. All batches with lower numbers than the result are the
    /// ones that a flush waits for.
    pub(crate) fn flush(&mut self) -> u64 {
        self.flush_below = self.next_id;
        self.next_id
    }

    /// The number of the oldest batch that waits here.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let oldest_of = |slot: &Slot| {
            let buffer = &self.topics[slot.topic].partitions[slot.partition];
            buffer.full.front().map(|batch| batch.id).or_else(|| buffer.open.as_ref().map(|open| open.id))
        };
        self.filled.iter().filter_map(oldest_of).min()
    }

    /// Bytes of records that were taken and not finished.
    pub(crate) fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests;
