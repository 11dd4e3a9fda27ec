//! The producer: records in, acknowledgements out. This file is the handle; the parts behind it each have their own.

mod accumulator;
mod batch;
mod driver;
mod epochs;
mod links;
mod losses;
mod options;
mod output;
mod partitioner;
mod pending;
mod report;
mod sender;
mod sequence;
mod settle;
#[cfg(test)]
mod simulation;
mod transaction;
mod transactional;

use std::future::Future;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use self::accumulator::{Accumulator, Refusal};
use self::batch::{BatchBuilder, Stamp};
pub use self::driver::DeliveryHandler;
use self::driver::{Command, Driver, Shared};
pub use self::options::{Acks, ProducerOptions};
pub use self::partitioner::{Partitioner, Routes};
pub use self::report::{Delivery, RecordFailure, RecordPlace};
pub use self::transactional::{GroupMember, TransactionalProducer};
use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::compression::{Codec, Compression};
use crate::error::{Error, Result};
use crate::record::RecordRef;
use crate::{Client, ErrorCode};

/// A topic that a producer sends to, as [`Producer::topic`] found it.
#[derive(Debug, Clone)]
pub struct ProducerTopic {
    name: Arc<str>,
    index: usize,
    partitions: u32,
}

impl ProducerTopic {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How many partitions it had when it was looked up.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partitions
    }
}

/// Sends records. Cheap to clone; clones share everything.
///
/// By default each record is in the log exactly once, in the order in which its partition's records were handed over,
/// through retries, leader changes and restarts of brokers. A record counts as sent only when the broker has
/// acknowledged it. What has no acknowledgement within `delivery.timeout.ms` is reported as failed, and as "possibly
/// written" where it was sent and nobody knows.
///
/// When the last clone is dropped, what was taken is still sent as long as the runtime runs; [`close`](Self::close)
/// waits for that.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    cluster: Cluster,
    options: Arc<ProducerOptions>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Producer {
    /// A producer on this client's cluster. Must be called within a tokio runtime. `handler` hears of every batch.
    ///
    /// # Errors
    /// [`Error::Config`]: options contradict each other.
    pub fn new(client: &Client, options: ProducerOptions, handler: Option<DeliveryHandler>) -> Result<Self> {
        options.check()?;
        let accumulator = Accumulator::new(options.limits(), options.partitioner, fastrand::Rng::new());
        let shared = Arc::new(Shared::new(accumulator));
        let (commands, received) = mpsc::unbounded_channel();
        let cluster = client.cluster().clone();
        let driver = Driver::new(Arc::clone(&shared), cluster.clone(), options.clone(), received, handler);
        tokio::spawn(driver.run());
        Ok(Self { shared, cluster, options: Arc::new(options), commands })
    }

    /// Looks up a topic, for at most `max.block.ms`. Nothing is created by asking.
    ///
    /// # Errors
    /// The topic does not exist (also not a second later: a new topic takes its time to be known everywhere), there is
    /// no permission, or no broker answers.
    pub async fn topic(&self, name: &str) -> Result<ProducerTopic> {
        const PROPAGATION: std::time::Duration = std::time::Duration::from_secs(1);
        let (name, started) = (Arc::<str>::from(name), Instant::now());
        let (first, max) = self.cluster.options().retry_backoff;
        let mut backoff = Backoff::new(first, max);
        loop {
            let error = match self.find_topic(&name).await {
                Ok(topic) => return Ok(topic),
                Err(error) => error,
            };
            let is_unknown = error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            let limit = if is_unknown { PROPAGATION } else { self.options.max_block };
            if !error.is_retriable() || started.elapsed() >= limit {
                self.cluster.unwant(&[name]);
                return Err(error);
            }
            tokio::time::sleep(backoff.next_pause(&mut fastrand::Rng::new())).await;
        }
    }

    async fn find_topic(&self, name: &Arc<str>) -> Result<ProducerTopic> {
        let metadata = self.cluster.topics(std::slice::from_ref(name)).await?;
        let failed = |code: ErrorCode| Error::broker("Metadata", format!("topic {name}"), code, None);
        let topic = metadata.topic(name).ok_or_else(|| failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
        topic.error.check().map_err(failed)?;
        if topic.partitions.is_empty() {
            return Err(failed(ErrorCode::LEADER_NOT_AVAILABLE));
        }
        let available = topic.partitions.iter().filter(|partition| partition.leader.is_some());
        let available = available.map(|partition| partition.id).collect();
        let index = self.shared.lock().topic(name, topic.partitions.len(), available);
        self.shared.work.notify_one();
        let partitions = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        Ok(ProducerTopic { name: Arc::clone(name), index, partitions })
    }

    /// Hands one record over, from a thread that may wait: for room in the buffer, for at most `max.block.ms`. `None` lets
    /// the partitioner choose. Returns the record's partition; its outcome goes to the delivery handler.
    ///
    /// # Errors
    /// The record is larger than `max.request.size`, there is no such partition, the buffer stayed full, or nothing can be
    /// sent any more. The record was not taken then.
    pub fn append(
        &self,
        topic: &ProducerTopic,
        partition: Option<i32>,
        record: RecordRef<'_>,
    ) -> Result<i32> {
        self.append_all(topic, [(partition, record)])
    }

    /// Hands over a run of records, as [`append`](Self::append) does one, and cheaper: the buffer is locked once and the
    /// clock is read once. Returns the last record's partition.
    ///
    /// # Errors
    /// As for [`append`](Self::append); the records before the one in question were taken.
    pub fn append_all<'a>(
        &self,
        topic: &ProducerTopic,
        records: impl IntoIterator<Item = (Option<i32>, RecordRef<'a>)>,
    ) -> Result<i32> {
        let mut times = clocks();
        let (mut last, mut wake) = (-1, false);
        let mut accumulator = self.shared.lock();
        for (partition, record) in records {
            let mut deadline = None;
            last = loop {
                match accumulator.append(topic.index, partition, &record, times, None) {
                    Ok(taken) => {
                        wake |= taken.wake;
                        break taken.partition;
                    }
                    Err(refusal @ (Refusal::NoRoom | Refusal::NoLeader)) => {
                        self.ask_for_help(refusal);
                        let deadline = *deadline.get_or_insert_with(|| later(self.options.max_block));
                        if let Some(failure) = self.shared.failure() {
                            return Err(failure);
                        }
                        if Instant::now() >= deadline {
                            return Err(self.refused(topic, refusal));
                        }
                        accumulator = self.shared.wait_for_room(accumulator, deadline);
                        times = clocks();
                    }
                    Err(refusal) => return Err(self.refused(topic, refusal)),
                }
            };
        }
        drop(accumulator);
        if wake {
            self.shared.work.notify_one();
        }
        self.shared.failure().map_or(Ok(last), Err)
    }

    /// Hands one record over, waiting for room like [`append`](Self::append) but without holding up a thread. The result
    /// is a future of its own: the record's place, once it is acknowledged.
    ///
    /// # Errors
    /// As for [`append`](Self::append).
    pub async fn send(
        &self,
        topic: &ProducerTopic,
        partition: Option<i32>,
        record: RecordRef<'_>,
    ) -> Result<impl Future<Output = Result<RecordPlace, RecordFailure>> + Send + use<>> {
        let deadline = later(self.options.max_block);
        loop {
            let room = self.shared.room_for_tasks.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if let Some(failure) = self.shared.failure() {
                return Err(failure);
            }
            let (outcome, awaited) = oneshot::channel();
            let taken = self.shared.lock().append(topic.index, partition, &record, clocks(), Some(outcome));
            match taken {
                Ok(taken) => {
                    if taken.wake {
                        self.shared.work.notify_one();
                    }
                    return Ok(resolve(awaited, topic.name.clone(), taken.partition));
                }
                Err(refusal @ (Refusal::NoRoom | Refusal::NoLeader)) => {
                    self.ask_for_help(refusal);
                    if tokio::time::timeout_at(deadline.into(), room).await.is_err() {
                        return Err(self.refused(topic, refusal));
                    }
                }
                Err(refusal) => return Err(self.refused(topic, refusal)),
            }
        }
    }

    /// What ends the wait of an appender is asked for.
    fn ask_for_help(&self, refusal: Refusal) {
        if refusal == Refusal::NoLeader {
            self.cluster.request_refresh();
        }
        self.shared.work.notify_one();
    }

    fn refused(&self, topic: &ProducerTopic, refusal: Refusal) -> Error {
        let timeout = |what: String| Error::Timeout { what, after: self.options.max_block, last: None };
        match refusal {
            Refusal::NoRoom => timeout("waiting for room in the buffer (buffer.memory)".into()),
            Refusal::NoLeader => timeout(format!("waiting for a leader of topic {}", topic.name)),
            Refusal::TooLarge(bytes) => Error::Config(format!(
                "the record takes {bytes} bytes, above max.request.size ({})",
                self.options.max_request_bytes
            )),
            Refusal::NoSuchPartition(count) => {
                Error::Config(format!("topic {} has only {count} partitions, from 0", topic.name))
            }
        }
    }

    /// Waits until every record that was handed over before has its outcome, good or bad; `delivery.timeout.ms` is
    /// the longest it takes.
    pub async fn flush(&self) {
        self.ask(Command::Flush).await;
    }

    /// Flushes and lets go.
    pub async fn close(self) {
        self.flush().await;
    }

    /// Bytes of records that have no outcome yet.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.shared.lock().used()
    }

    /// Asks the driver; `None` where it is gone, which only the end of the runtime brings about.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, awaited) = oneshot::channel();
        self.commands.send(command(answer)).ok()?;
        awaited.await.ok()
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("options", &self.options).finish_non_exhaustive()
    }
}

/// One record batch (format 2) with these records, as the producer would send it without idempotence: for programs that
/// write batches themselves. `now` is the timestamp of records that have none, in milliseconds since 1970.
pub fn encode_batch<'a>(
    records: impl IntoIterator<Item = RecordRef<'a>>,
    now: i64,
    compression: Compression,
) -> Bytes {
    let mut builder = BatchBuilder::new(Vec::new());
    for record in records {
        builder.push(&record, record.timestamp.unwrap_or(now));
    }
    let mut batch = builder.finish();
    if compression.codec != Codec::None {
        batch = batch::pack(&batch, compression);
    }
    batch::seal(&mut batch, Stamp::NONE, false);
    batch.into()
}

async fn resolve(
    awaited: oneshot::Receiver<Result<RecordPlace, RecordFailure>>,
    topic: Arc<str>,
    partition: i32,
) -> Result<RecordPlace, RecordFailure> {
    let gone = || RecordFailure {
        partition: crate::TopicPartition { topic, partition },
        error: Arc::new(Error::Closed("the producer")),
        possibly_written: true,
    };
    awaited.await.unwrap_or_else(|_| Err(gone()))
}

/// Now, for waiting and for timestamps.
fn clocks() -> (Instant, i64) {
    let millis =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    (Instant::now(), i64::try_from(millis).unwrap_or(i64::MAX))
}

/// This much later, or a year, where that would be beyond what clocks can say.
fn later(wait: std::time::Duration) -> Instant {
    let year = std::time::Duration::from_secs(365 * 24 * 3600);
    Instant::now() + wait.min(year)
}
