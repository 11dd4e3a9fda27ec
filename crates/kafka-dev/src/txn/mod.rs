//! The transaction coordinator (KIP-98, 360, 447, 890): who may write under a transactional id, and what its transaction
//! consists of.
//!
//! Pure apart from the journal it is written to: it decides, and `cluster::transaction` writes the markers and
//! offsets it asks for. A decision is in the journal before the first marker, so that a crash in between is finished
//! at the next start.

mod persist;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;

use crate::group::offsets::Committed;
use crate::journal::Journal;

/// `transaction.max.timeout.ms`.
const MAX_TIMEOUT: Duration = Duration::from_secs(900);
/// The last epoch of a producer id; the next one needs a new id.
const LAST_EPOCH: i16 = i16::MAX - 1;

/// Where a transaction stands, named as `DescribeTransactions` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
}

impl State {
    pub(crate) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }
}

/// An offset to commit with the transaction: group, topic, partition.
pub(crate) type OffsetKey = (String, String, i32);

/// One transactional id.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) timeout: Duration,
    pub(crate) state: State,
    pub(crate) partitions: BTreeSet<(String, i32)>,
    pub(crate) offsets: BTreeMap<OffsetKey, Committed>,
    /// When the open transaction began, by the broker's clock.
    pub(crate) started_ms: i64,
    deadline: Option<Instant>,
    /// The producer and epoch before the last end under KIP-890, for a client whose answer was lost.
    previous: Option<(i64, i16)>,
}

/// Who asks: the producer as it knows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// What has to be written to end a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) transactional_id: String,
    pub(crate) commit: bool,
    /// Producer and epoch on the markers.
    pub(crate) producer: Producer,
    pub(crate) partitions: Vec<(String, i32)>,
    pub(crate) offsets: Vec<(OffsetKey, Committed)>,
}

/// What EndTxn leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndStep {
    /// Nothing is left to do.
    Done(Producer),
    /// This has to be written first.
    Write(Ending, Producer),
}

/// The time of a request by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) wall_ms: i64,
}

/// All transactional ids.
#[derive(Debug)]
pub(crate) struct Transactions {
    by_id: BTreeMap<String, Transaction>,
    journal: Journal,
}

impl Transactions {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { by_id: BTreeMap::new(), journal }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Transaction> {
        self.by_id.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Transaction)> {
        self.by_id.iter().map(|(id, transaction)| (id.as_str(), transaction))
    }

    /// Whether an offset waits for a transaction to end.
    pub(crate) fn has_pending_offset(&self, group: &str, topic: &str, partition: i32) -> bool {
        let key = (group.to_owned(), topic.to_owned(), partition);
        self.by_id.values().any(|transaction| transaction.offsets.contains_key(&key))
    }

    /// What must be aborted before the id can be taken over by a new producer.
    pub(crate) fn to_abort_before_init(&self, id: &str) -> Option<Producer> {
        let transaction = self.by_id.get(id).filter(|transaction| transaction.state == State::Ongoing)?;
        Some(transaction.producer())
    }

    /// Gives the id to a producer, with an epoch that fences the ones before. `given` is set when the producer renews
    /// itself (KIP-360); `fresh_id` is used for a new id or when the epochs of the old one are used up.
    pub(crate) fn init(
        &mut self,
        id: &str,
        timeout: Duration,
        given: Option<Producer>,
        fresh_id: i64,
    ) -> Result<Producer, ResponseError> {
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        let next = match self.by_id.get(id) {
            None => Producer { id: fresh_id, epoch: 0 },
            Some(known) => {
                if let Some(given) = given {
                    known.check_renewal(given)?;
                }
                known.next_producer(fresh_id)
            }
        };
        let transaction = Transaction {
            producer_id: next.id,
            epoch: next.epoch,
            timeout,
            state: State::Empty,
            partitions: BTreeSet::new(),
            offsets: BTreeMap::new(),
            started_ms: -1,
            deadline: None,
            previous: given.map(|given| (given.id, given.epoch)),
        };
        self.by_id.insert(id.to_owned(), transaction);
        self.save(id).map_err(crate::cluster::storage_error)?;
        Ok(next)
    }

    /// Checks that the producer owns the id and has not been fenced.
    pub(crate) fn check(&self, id: &str, producer: Producer) -> Result<&Transaction, ResponseError> {
        let known = self.by_id.get(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        if known.producer_id != producer.id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if known.epoch == producer.epoch { Ok(known) } else { Err(ResponseError::ProducerFenced) }
    }

    /// Adds partitions, which begins the transaction.
    pub(crate) fn add_partitions(
        &mut self,
        id: &str,
        producer: Producer,
        partitions: impl IntoIterator<Item = (String, i32)>,
        now: Now,
    ) -> Result<(), ResponseError> {
        self.check(id, producer)?;
        let Some(transaction) = self.by_id.get_mut(id) else { return Ok(()) };
        let before = (transaction.state, transaction.partitions.len());
        transaction.begin(now);
        transaction.partitions.extend(partitions);
        if before != (transaction.state, transaction.partitions.len()) {
            self.save(id).map_err(crate::cluster::storage_error)?;
        }
        Ok(())
    }

    /// Adds offsets to commit with the transaction.
    pub(crate) fn add_offsets(
        &mut self,
        id: &str,
        producer: Producer,
        offsets: impl IntoIterator<Item = (OffsetKey, Committed)>,
        now: Now,
    ) -> Result<(), ResponseError> {
        self.check(id, producer)?;
        if let Some(transaction) = self.by_id.get_mut(id) {
            transaction.begin(now);
            transaction.offsets.extend(offsets);
        }
        self.save(id).map_err(crate::cluster::storage_error)
    }

    /// Decides on the end. Under KIP-890 (`bump`) the producer leaves with a new epoch.
    pub(crate) fn end(
        &mut self,
        id: &str,
        producer: Producer,
        commit: bool,
        bump: bool,
        fresh_id: i64,
    ) -> Result<EndStep, ResponseError> {
        let known = self.by_id.get(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let complete = if commit { State::CompleteCommit } else { State::CompleteAbort };
        if bump && known.previous == Some((producer.id, producer.epoch)) && known.state == complete {
            return Ok(EndStep::Done(known.producer()));
        }
        match self.check(id, producer)?.state {
            State::Ongoing => self.prepare(id, commit, bump, fresh_id),
            State::CompleteCommit | State::CompleteAbort if !bump => {
                let same = self.get(id).is_some_and(|known| known.state == complete);
                if same { Ok(EndStep::Done(producer)) } else { Err(ResponseError::InvalidTxnState) }
            }
            State::PrepareCommit | State::PrepareAbort => Err(ResponseError::ConcurrentTransactions),
            // A client that aborts without having written anything only wants its epoch renewed.
            _ if bump && !commit => self.prepare(id, commit, bump, fresh_id),
            _ => Err(ResponseError::InvalidTxnState),
        }
    }

    fn prepare(
        &mut self,
        id: &str,
        commit: bool,
        bump: bool,
        fresh_id: i64,
    ) -> Result<EndStep, ResponseError> {
        let transaction = self.by_id.get_mut(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let old = transaction.producer();
        transaction.previous = Some((old.id, old.epoch));
        let mut on_markers = old;
        if bump {
            let next = transaction.next_producer(fresh_id);
            on_markers.epoch = old.epoch + 1;
            (transaction.producer_id, transaction.epoch) = (next.id, next.epoch);
        }
        transaction.state = if commit { State::PrepareCommit } else { State::PrepareAbort };
        transaction.deadline = None;
        let ending = transaction.ending(id, on_markers);
        let left = transaction.producer();
        self.save(id).map_err(crate::cluster::storage_error)?;
        Ok(EndStep::Write(ending, left))
    }

    /// What an ending asked for is written.
    pub(crate) fn complete(&mut self, id: &str) -> io::Result<()> {
        if let Some(transaction) = self.by_id.get_mut(id) {
            transaction.state = match transaction.state {
                State::PrepareCommit => State::CompleteCommit,
                _ => State::CompleteAbort,
            };
            transaction.partitions.clear();
            transaction.offsets.clear();
            transaction.started_ms = -1;
        }
        self.save(id)
    }

    /// Decisions that an earlier run did not get to carry out.
    pub(crate) fn unfinished(&self) -> Vec<Ending> {
        let decided = |t: &Transaction| matches!(t.state, State::PrepareCommit | State::PrepareAbort);
        let unfinished = self.by_id.iter().filter(|(_, transaction)| decided(transaction));
        let ending = |(id, transaction): (&String, &Transaction)| {
            let (producer_id, epoch) =
                transaction.previous.unwrap_or((transaction.producer_id, transaction.epoch));
            let bumped = (producer_id, epoch) != (transaction.producer_id, transaction.epoch);
            let on_markers = Producer { id: producer_id, epoch: epoch + i16::from(bumped) };
            transaction.ending(id, on_markers)
        };
        unfinished.map(ending).collect()
    }

    /// Transactions that were open for too long, with the producer to fence.
    pub(crate) fn expired(&self, now: Instant) -> Vec<(String, Producer)> {
        let late = self.by_id.iter().filter(|(_, t)| t.deadline.is_some_and(|deadline| deadline <= now));
        late.map(|(id, transaction)| (id.clone(), transaction.producer())).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_id.values().filter_map(|transaction| transaction.deadline).min()
    }
}

impl Transaction {
    pub(crate) fn producer(&self) -> Producer {
        Producer { id: self.producer_id, epoch: self.epoch }
    }

    fn begin(&mut self, now: Now) {
        if self.state != State::Ongoing {
            self.state = State::Ongoing;
            self.started_ms = now.wall_ms;
            self.deadline = Some(now.instant + self.timeout);
        }
    }

    fn next_producer(&self, fresh_id: i64) -> Producer {
        if self.epoch >= LAST_EPOCH {
            return Producer { id: fresh_id, epoch: 0 };
        }
        Producer { id: self.producer_id, epoch: self.epoch + 1 }
    }

    /// A producer may renew itself from its own epoch, or from the one before if the answer to that was lost.
    fn check_renewal(&self, given: Producer) -> Result<(), ResponseError> {
        let is_current = given == self.producer();
        let is_retry = self.previous == Some((given.id, given.epoch));
        if is_current || is_retry { Ok(()) } else { Err(ResponseError::ProducerFenced) }
    }

    fn ending(&self, id: &str, on_markers: Producer) -> Ending {
        Ending {
            transactional_id: id.to_owned(),
            commit: self.state == State::PrepareCommit,
            producer: on_markers,
            partitions: self.partitions.iter().cloned().collect(),
            offsets: self.offsets.iter().map(|(key, offset)| (key.clone(), offset.clone())).collect(),
        }
    }
}
