//! The seam to the library's producer: records in from a plain thread, nothing else of it known elsewhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use kafka_cli::{Exit, Failure, Session};
use kafka_core::config::property;
use kafka_core::producer::{
    Acks, Partitioner, Producer, ProducerOptions, ProducerTopic, TransactionalProducer,
};
use kafka_core::{Error, RecordRef};
use tokio::runtime::Handle;

use crate::deliveries::Deliveries;
use crate::gate::Gate;
use crate::tally::TransactionEnd;

/// `buffer.memory` where the user says nothing: room for five full requests and for what is read meanwhile.
const BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// Why a record was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is at fault itself: too large, or for a partition that is not there.
    Record(String),
    /// Nothing can be sent any more.
    Ended(Error),
    /// The user asked to stop while it waited for room.
    Stopped,
}

/// Takes records and sends them. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    producer: Producer,
    /// Where there is a transactional id.
    transactions: Option<Arc<Mutex<TransactionalProducer>>>,
    deliveries: Deliveries,
    network: Handle,
    gate: Arc<Gate>,
    record_limit: usize,
}

impl Sink {
    /// Nothing is sent yet. `deliveries` hears of every batch and of the end of every transaction.
    ///
    /// # Errors
    /// Options that contradict each other; the transactional id cannot be used.
    pub(crate) fn open(
        session: &Session,
        partitioner: Option<Partitioner>,
        gate: Arc<Gate>,
        deliveries: Deliveries,
    ) -> Result<Self> {
        let mut options = ProducerOptions::from_config(session.client.config())?;
        options.partitioner = partitioner.unwrap_or(options.partitioner);
        if !session.client.config().is_set(&property::BUFFER_MEMORY) {
            options.buffer_bytes = BUFFER_BYTES;
        }
        let network = session.runtime.handle().clone();
        let record_limit = options.max_request_bytes;
        let handler = deliveries.handler()?;
        if options.acks == Acks::None {
            deliveries.tally().expect_no_answers();
        }
        let (producer, transactions) = {
            let _inside = network.enter();
            if options.transactional_id.is_some() {
                deliveries.tally().expect_transactions();
                let init = TransactionalProducer::init(&session.client, options, Some(handler));
                let transactions = session.runtime.block_on(async {
                    tokio::select! {
                        done = init => done.map_err(anyhow::Error::from),
                        () = session.stop.requested() => {
                            Err(Failure::new(Exit::Failed, "starting transactions: interrupted").into())
                        }
                    }
                })?;
                (transactions.producer().clone(), Some(Arc::new(Mutex::new(transactions))))
            } else {
                (Producer::new(&session.client, options, Some(handler))?, None)
            }
        };
        Ok(Self { producer, transactions, deliveries, network, gate, record_limit })
    }

    /// The bytes of the largest record (`max.request.size`).
    pub(crate) fn record_limit(&self) -> usize {
        self.record_limit
    }

    /// The topic, looked up.
    ///
    /// # Errors
    /// It does not exist, or no broker answers.
    pub(crate) fn topic(&self, name: &str) -> Result<ProducerTopic> {
        Ok(self.network.block_on(self.producer.topic(name))?)
    }

    /// Hands one record over; waits for room as long as it takes, or until the user wants to stop.
    ///
    /// # Errors
    /// The record was not taken.
    pub(crate) fn append(
        &self,
        topic: &ProducerTopic,
        partition: Option<i32>,
        record: RecordRef<'_>,
    ) -> Result<(), Refusal> {
        loop {
            match self.producer.append(topic, partition, record) {
                Ok(_) => return Ok(()),
                Err(error) => self.judge(error)?,
            }
        }
    }

    /// Hands a run of records over under one lock. The last one that `records` gave was not taken where this fails.
    ///
    /// # Errors
    /// `None`: it waited for room in vain; hand the record over again. Else as for [`append`](Self::append).
    pub(crate) fn append_all<'a>(
        &self,
        topic: &ProducerTopic,
        records: impl IntoIterator<Item = (Option<i32>, RecordRef<'a>)>,
    ) -> Result<(), Option<Refusal>> {
        match self.producer.append_all(topic, records) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.judge(error).err()),
        }
    }

    /// Whether it may be tried again.
    fn judge(&self, error: Error) -> Result<(), Refusal> {
        match error {
            Error::Config(why) => Err(Refusal::Record(why)),
            Error::Timeout { .. } if self.gate.is_closing() => Err(Refusal::Stopped),
            // A full buffer is how the brokers' pace reaches whoever writes to our stdin.
            Error::Timeout { .. } => Ok(()),
            error => Err(Refusal::Ended(error)),
        }
    }

    /// The transactions, where there is a transactional id.
    fn transactions(&self) -> Option<MutexGuard<'_, TransactionalProducer>> {
        let transactions = self.transactions.as_ref()?;
        Some(transactions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether records become visible by transactions.
    pub(crate) fn is_transactional(&self) -> bool {
        self.transactions.is_some()
    }

    /// Begins a transaction, where there is a transactional id.
    ///
    /// # Errors
    /// Another producer of the same id has begun.
    pub(crate) fn begin(&self) -> Result<()> {
        self.transactions().map_or(Ok(()), |mut transactions| Ok(transactions.begin()?))
    }

    /// Waits for every record of the transaction and commits it. Where that fails, it is aborted.
    ///
    /// # Errors
    /// Nothing of the transaction is visible, or, after a time-out, that is not known.
    pub(crate) fn commit(&self) -> Result<()> {
        let Some(mut transactions) = self.transactions() else { return Ok(()) };
        let outcome = self.network.block_on(transactions.commit());
        let end = match outcome {
            Ok(()) => TransactionEnd::Committed,
            // The first error says more than that of an abort that fails as well.
            Err(_) => self.end_by_abort(&mut transactions).0,
        };
        self.deliveries.tally().end_transaction(end);
        Ok(outcome?)
    }

    /// Makes the transaction's records invisible for good.
    ///
    /// # Errors
    /// No answer: the broker aborts it when `transaction.timeout.ms` is over.
    pub(crate) fn abort(&self) -> Result<()> {
        let Some(mut transactions) = self.transactions() else { return Ok(()) };
        let (end, outcome) = self.end_by_abort(&mut transactions);
        self.deliveries.tally().end_transaction(end);
        Ok(outcome?)
    }

    fn end_by_abort(
        &self,
        transactions: &mut TransactionalProducer,
    ) -> (TransactionEnd, kafka_core::Result<()>) {
        let outcome = self.network.block_on(transactions.abort());
        (if outcome.is_ok() { TransactionEnd::Aborted } else { TransactionEnd::Unknown }, outcome)
    }

    /// Commits and begins the next transaction.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    pub(crate) fn commit_and_go_on(&self) -> Result<()> {
        self.commit()?;
        self.begin()
    }

    /// Waits until every record that was taken has its outcome.
    pub(crate) fn flush(&self) {
        self.network.block_on(self.producer.flush());
    }

    /// Bytes of records that have no outcome yet.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.producer.buffered_bytes()
    }
}
