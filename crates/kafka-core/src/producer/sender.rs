//! Decides what is sent when: takes due batches from the accumulator, follows leaders, keeps the limit on requests in
//! flight. Pure: it asks for connections, metadata and producer ids by its outputs, and is told what came of it. What an
//! answer means for a batch stands in `settle`, what is given up in `losses`, producer ids and epochs in `epochs`.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::accumulator::{Accumulator, Slot};
use super::batch::Stamp;
use super::epochs::Identification;
use super::links::{Broker, Link, broker, connect};
use super::output::{Output, SenderOptions, Written};
use super::pending::{Body, Pending};
use super::sequence::{Identity, PartitionQueue};
use crate::TopicPartition;
use crate::backoff::Backoff;
use crate::cluster::Metadata;
use crate::error::Error;

/// Bytes of a request besides its batches, at most, for a few partitions.
const REQUEST_OVERHEAD_BYTES: usize = 1024;

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) name: TopicPartition,
    pub(super) queue: PartitionQueue,
    pub(super) leader: Option<i32>,
    leader_epoch: i32,
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) broker: i32,
    pub(super) batches: Vec<(Slot, u64, Stamp)>,
}

/// The producer's side of all partitions and brokers.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(super) options: SenderOptions,
    pub(super) partitions: BTreeMap<Slot, Partition>,
    pub(super) brokers: BTreeMap<i32, Broker>,
    /// Brokers that have been awaited for too long.
    pub(super) silent: BTreeSet<i32>,
    pub(super) requests: HashMap<u64, Request>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) rng: fastrand::Rng,
    pub(super) identity: Identification,
    /// Why there is no identity yet.
    pub(super) identity_error: Option<Error>,
    next_batch: u64,
    next_request: u64,
    /// The earliest time for the next question for metadata.
    refresh_not_before: Option<Instant>,
    pub(super) wants_refresh: bool,
    /// Nothing can be sent any more: refused credentials, a fenced transactional id.
    failure: Option<Error>,
    /// Why the open transaction can only be aborted.
    pub(super) transaction_error: Option<Error>,
    pub(super) wrote_in_transaction: bool,
    /// The open transaction is being aborted: what is not under way is given up.
    pub(super) aborting: bool,
}

impl Sender {
    pub(crate) fn new(options: SenderOptions, rng: fastrand::Rng) -> Self {
        Self {
            options,
            partitions: BTreeMap::new(),
            brokers: BTreeMap::new(),
            silent: BTreeSet::new(),
            requests: HashMap::new(),
            outputs: VecDeque::new(),
            rng,
            identity: Identification::Unasked,
            identity_error: None,
            next_batch: 0,
            next_request: 0,
            refresh_not_before: None,
            wants_refresh: false,
            failure: None,
            transaction_error: None,
            wrote_in_transaction: false,
            aborting: false,
        }
    }

    /// The next thing to do; call until `None`, after everything that is handled and at every deadline.
    pub(crate) fn poll(&mut self, accumulator: &mut Accumulator, now: Instant) -> Option<Output> {
        if self.outputs.is_empty() {
            self.give_up_old(accumulator, now);
            if let Some(error) = self.failure.clone() {
                self.drop_queued(accumulator, &error, |_| true);
            } else if self.aborting {
                let aborted = Error::Closed("the aborted transaction");
                self.drop_queued(accumulator, &aborted, |batch| batch.in_flight.is_none());
            } else {
                self.begin_epochs();
                self.take_due(accumulator, now);
                self.send(now);
                self.listen_for_silence(accumulator, now);
            }
            self.ask_for_metadata(now);
        }
        self.outputs.pop_front()
    }

    /// Moves batches from the accumulator into their partition's queue.
    fn take_due(&mut self, accumulator: &mut Accumulator, now: Instant) {
        for slot in accumulator.filled().collect::<Vec<_>>() {
            while self.has_use_for(slot, accumulator, now)
                && let Some(partition) = self.partitions.get_mut(&slot)
                && let Some(batch) = accumulator.take(slot)
            {
                self.next_batch += 1;
                let mut batch = Pending { id: self.next_batch, ..Pending::new(batch) };
                pack_or_pass(&mut batch, slot, &self.options, &mut self.outputs);
                partition.queue.push(batch);
            }
        }
    }

    /// Whether the slot's next batch shall be taken: a full one early, so that it is compressed by its turn; an open one
    /// only when it can leave at once, since it may still grow.
    fn has_use_for(&mut self, slot: Slot, accumulator: &Accumulator, now: Instant) -> bool {
        let Some(partition) = self.partitions.get(&slot) else {
            self.wants_refresh = true;
            return false;
        };
        if accumulator.has_full(slot) {
            return partition.queue.has_room();
        }
        if accumulator.due(slot, now).is_none() {
            return false;
        }
        let Some(leader) = partition.leader else {
            self.wants_refresh = true;
            return false;
        };
        let broker = broker(&mut self.brokers, leader, now);
        connect(broker, leader, now, &mut self.outputs);
        broker.can_take(now, self.options.max_in_flight) && partition.queue.wants_more(now)
    }

    /// Makes requests of what may go: for each broker the oldest batches first, one for each partition.
    fn send(&mut self, now: Instant) {
        let identity = self.identity();
        if self.options.idempotent && identity.is_none() {
            return;
        }
        loop {
            let mut ready: BTreeMap<i32, Vec<(Instant, Slot, u64, usize)>> = BTreeMap::new();
            for (slot, partition) in
                self.partitions.iter().filter(|(_, partition)| !partition.queue.is_empty())
            {
                match (partition.leader, partition.queue.candidate(now)) {
                    (Some(leader), Some(batch)) => {
                        ready.entry(leader).or_default().push((batch.created, *slot, batch.id, batch.len()));
                    }
                    (None, _) => self.wants_refresh = true,
                    _ => {}
                }
            }
            let mut sent = false;
            for (id, mut candidates) in ready {
                let broker = broker(&mut self.brokers, id, now);
                connect(broker, id, now, &mut self.outputs);
                if broker.can_take(now, self.options.max_in_flight) {
                    candidates.sort_unstable();
                    self.send_one(id, &candidates, identity, now);
                    sent = true;
                }
            }
            if !sent {
                return;
            }
        }
    }

    fn send_one(
        &mut self,
        id: i32,
        candidates: &[(Instant, Slot, u64, usize)],
        identity: Option<Identity>,
        now: Instant,
    ) {
        let request = self.next_request;
        self.next_request += 1;
        let (mut bytes, mut sent, mut batches) = (REQUEST_OVERHEAD_BYTES, Vec::new(), Vec::new());
        for (_, slot, batch, len) in candidates {
            if !sent.is_empty() && bytes + len > self.options.max_request_bytes {
                continue;
            }
            bytes += len;
            let Some(partition) = self.partitions.get_mut(slot) else { continue };
            let transactional = self.options.transactional;
            if let Some((sealed, stamp)) = partition.queue.send(*batch, request, identity, transactional) {
                batches.push((partition.name.clone(), sealed));
                sent.push((*slot, *batch, stamp));
            }
        }
        let broker = broker(&mut self.brokers, id, now);
        if broker.in_flight == 0 {
            broker.heard_at = now;
        }
        broker.in_flight += 1;
        self.wrote_in_transaction = true;
        self.outputs.push_back(Output::Send { broker: id, request, batches });
        if !self.options.wait_for_answers {
            let unheard = Written { base_offset: None, append_time: None };
            for (slot, batch, _) in sent.drain(..) {
                self.finish_written(slot, batch, unheard, now);
            }
        }
        self.requests.insert(request, Request { broker: id, batches: sent });
    }

    fn ask_for_metadata(&mut self, now: Instant) {
        let is_early = self.refresh_not_before.is_some_and(|instant| now < instant);
        if std::mem::take(&mut self.wants_refresh) && !is_early {
            // Enough time for an answer; while something still wants it, it is asked for again.
            self.refresh_not_before =
                Some(now + self.options.retry_backoff.0.max(Duration::from_millis(250)));
            self.outputs.push_back(Output::RefreshMetadata);
        }
    }

    /// When to call [`poll`](Self::poll) even if nothing happens.
    pub(crate) fn next_deadline(&self, accumulator: &Accumulator, now: Instant) -> Option<Instant> {
        let delivery = |batch: &Pending| batch.created + self.options.delivery_timeout;
        let queues = self.partitions.values().map(|partition| &partition.queue);
        let batches = queues.clone().filter_map(|queue| queue.batches().map(delivery).min());
        let pauses = queues.filter_map(PartitionQueue::not_before);
        let links = self.brokers.values().filter_map(|broker| broker.not_before);
        let silences = self.brokers.values().filter_map(|broker| broker.silent_at(now));
        let lingering = accumulator.next_due();
        // Batches that are due and cannot leave wait for an answer, a leader or their end.
        let overdue = lingering.filter(|due| *due <= now).map(|due| due + self.options.delivery_timeout);
        let refresh = self.refresh_not_before;
        let all = batches.chain(pauses).chain(links).chain(silences).chain(lingering).chain(overdue);
        all.chain(refresh).filter(|instant| *instant > now).min()
    }

    /// The number of the oldest batch without an outcome, for those that wait for a flush.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.partitions.values().flat_map(|partition| partition.queue.batches()).map(|b| b.order).min()
    }

    /// Whether requests are in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    pub(crate) fn handle_metadata(&mut self, metadata: &Metadata, accumulator: &mut Accumulator) {
        for name in accumulator.topic_names().cloned().collect::<Vec<_>>() {
            let Some(topic) = metadata.topic(&name) else { continue };
            let available = topic.partitions.iter().filter(|one| one.leader.is_some());
            let available = available.map(|partition| partition.id).collect();
            let index = accumulator.topic(&name, topic.partitions.len(), available);
            for found in &topic.partitions {
                let Ok(number) = usize::try_from(found.id) else { continue };
                let slot = Slot { topic: index, partition: number };
                let known = self.partitions.entry(slot).or_insert_with(|| {
                    let (first, max) = self.options.retry_backoff;
                    Partition {
                        name: TopicPartition { topic: name.clone(), partition: found.id },
                        queue: PartitionQueue::new(self.options.idempotent, Backoff::new(first, max)),
                        leader: None,
                        leader_epoch: -1,
                    }
                });
                let has_moved = found.leader.is_some()
                    && (found.leader != known.leader || found.leader_epoch > known.leader_epoch);
                if has_moved {
                    known.queue.leader_changed();
                }
                known.leader = found.leader;
                known.leader_epoch = found.leader_epoch;
            }
        }
        self.steer(accumulator);
    }

    /// Gives up everything that is not under way, until the next transaction begins.
    pub(crate) fn abort(&mut self) {
        self.aborting = true;
    }

    /// Why the open transaction can only be aborted, where it can.
    pub(crate) fn transaction_error(&self) -> Option<&Error> {
        self.transaction_error.as_ref()
    }

    /// Whether records were sent since the transaction began.
    pub(crate) fn wrote_in_transaction(&self) -> bool {
        self.wrote_in_transaction
    }

    /// Nothing can be sent any more.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// Why nothing can be sent any more.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// A connection was made, or not; or one that was there has ended.
    pub(crate) fn handle_connection(&mut self, id: i32, outcome: Result<(), Error>, now: Instant) {
        let broker = broker(&mut self.brokers, id, now);
        match outcome {
            Ok(()) => {
                broker.link = Link::Up;
                broker.heard_at = now;
                broker.last_error = None;
            }
            Err(error) => {
                broker.link = Link::Down;
                broker.not_before = Some(now + self.options.retry_backoff.0);
                broker.last_error = Some(error.clone());
                self.wants_refresh = true;
                if !error.is_retriable() {
                    self.fail(error);
                }
            }
        }
    }

    /// A batch was compressed; returns it as it was before.
    pub(crate) fn handle_packed(&mut self, slot: Slot, batch: u64, bytes: Vec<u8>) -> Option<Bytes> {
        let batch = self.partitions.get_mut(&slot)?.queue.get_mut(batch)?;
        Some(std::mem::replace(&mut batch.body, Body::Packed(bytes)).into_bytes())
    }

    /// A number for a batch that came out of another one.
    pub(super) fn next_batch_id(&mut self) -> u64 {
        self.next_batch += 1;
        self.next_batch
    }
}

/// Has a batch compressed, where batches are.
pub(super) fn pack_or_pass(
    batch: &mut Pending,
    slot: Slot,
    options: &SenderOptions,
    outputs: &mut VecDeque<Output>,
) {
    match std::mem::replace(&mut batch.body, Body::Plain(Vec::new())) {
        Body::Plain(bytes) if options.compress => {
            let bytes = Bytes::from(bytes);
            batch.body = Body::Packing(bytes.clone());
            outputs.push_back(Output::Pack { slot, batch: batch.id, bytes });
        }
        Body::Plain(bytes) => batch.body = Body::Packed(bytes),
        other => batch.body = other,
    }
}
