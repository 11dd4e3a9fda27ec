//! The seam to the library's producer: records in from a plain thread, nothing else of it known elsewhere.

use std::sync::Arc;

use anyhow::Result;
use kafka_cli::Session;
use kafka_core::config::property;
use kafka_core::producer::{DeliveryHandler, Partitioner, Producer, ProducerOptions, ProducerTopic};
use kafka_core::{Error, RecordRef};
use tokio::runtime::Handle;

use crate::gate::Gate;

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
    network: Handle,
    gate: Arc<Gate>,
    record_limit: usize,
}

impl Sink {
    /// Nothing is sent yet. `handler` hears of every batch.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub(crate) fn open(
        session: &Session,
        partitioner: Option<Partitioner>,
        gate: Arc<Gate>,
        handler: DeliveryHandler,
    ) -> Result<Self> {
        let mut options = ProducerOptions::from_config(session.client.config())?;
        options.partitioner = partitioner.unwrap_or(options.partitioner);
        if !session.client.config().is_set(&property::BUFFER_MEMORY) {
            options.buffer_bytes = BUFFER_BYTES;
        }
        let network = session.runtime.handle().clone();
        let record_limit = options.max_request_bytes;
        let producer = {
            let _inside = network.enter();
            Producer::new(&session.client, options, Some(handler))?
        };
        Ok(Self { producer, network, gate, record_limit })
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

    /// Waits until every record that was taken has its outcome.
    pub(crate) fn flush(&self) {
        self.network.block_on(self.producer.flush());
    }

    /// Bytes of records that have no outcome yet.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.producer.buffered_bytes()
    }
}
