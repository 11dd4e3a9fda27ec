//! Carries out what the sender wants: connections, requests in their order, compression off the event loop, reports.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    InitProducerIdRequest, ProduceRequest, ProduceResponse, ProducerId, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::accumulator::{Accumulator, Slot};
use super::batch;
use super::options::{Acks, ProducerOptions};
use super::output::{Done, Output};
use super::report::{Delivery, RecordFailure, RecordPlace};
use super::sender::Sender;
use super::sequence::Identity;
use crate::backoff::Backoff;
use crate::cluster::{Cluster, Metadata};
use crate::error::{ConnectFailure, Error, Result};
use crate::wire::{Api, Connection, Lane};
use crate::{ErrorCode, Metric, TopicPartition};

/// Called for every batch that has its outcome, on the producer's task: it must not wait.
pub type DeliveryHandler = Arc<dyn Fn(&Delivery) + Send + Sync>;

/// What the handles and the driver share.
pub(super) struct Shared {
    accumulator: Mutex<Accumulator>,
    /// Wakes appenders that wait for room, in threads and in tasks.
    room: Condvar,
    pub(super) room_for_tasks: Notify,
    /// Wakes the driver: a batch was begun or is full.
    pub(super) work: Notify,
    /// Why nothing is taken any more.
    failure: Mutex<Option<Error>>,
}

impl Shared {
    pub(super) fn new(accumulator: Accumulator) -> Self {
        Self {
            accumulator: Mutex::new(accumulator),
            room: Condvar::new(),
            room_for_tasks: Notify::new(),
            work: Notify::new(),
            failure: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Accumulator> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits in a thread until there may be room, or until `deadline`.
    pub(super) fn wait_for_room<'a>(
        &self,
        accumulator: MutexGuard<'a, Accumulator>,
        deadline: Instant,
    ) -> MutexGuard<'a, Accumulator> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.room.wait_timeout(accumulator, left).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wake_appenders(&self) {
        self.room.notify_all();
        self.room_for_tasks.notify_waiters();
    }
}

/// What a handle asks the driver for.
#[derive(Debug)]
pub(super) enum Command {
    /// Answer when every record that was taken before has its outcome.
    Flush(oneshot::Sender<()>),
    /// Stamp the next batches with this identity.
    BeginTransaction(Identity, oneshot::Sender<()>),
    /// Give up what is not under way; answer when nothing is under way any more.
    Abort(oneshot::Sender<()>),
    /// How the open transaction stands.
    TransactionState(oneshot::Sender<TransactionState>),
}

/// The open transaction, as the sender sees it.
#[derive(Debug)]
pub(super) struct TransactionState {
    pub(super) identity: Option<Identity>,
    /// Why it can only be aborted.
    pub(super) error: Option<Error>,
    /// Whether records were sent in it.
    pub(super) wrote: bool,
}

enum Event {
    Connected(i32, Result<Arc<Connection>>),
    Answered(u64, Result<ProduceResponse>),
    Packed(Slot, u64, Vec<u8>),
    Identified(Result<Identity>),
}

pub(super) struct Driver {
    shared: Arc<Shared>,
    cluster: Cluster,
    options: ProducerOptions,
    sender: Sender,
    connections: HashMap<i32, Arc<Connection>>,
    metadata: watch::Receiver<Arc<Metadata>>,
    events: (mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
    commands: mpsc::UnboundedReceiver<Command>,
    handler: Option<DeliveryHandler>,
    flushes: Vec<(u64, oneshot::Sender<()>)>,
    aborts: Vec<oneshot::Sender<()>>,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        cluster: Cluster,
        options: ProducerOptions,
        commands: mpsc::UnboundedReceiver<Command>,
        handler: Option<DeliveryHandler>,
    ) -> Self {
        let sender = Sender::new(options.sender(cluster.options().retry_backoff), fastrand::Rng::new());
        Self {
            shared,
            metadata: cluster.watch(),
            cluster,
            options,
            sender,
            connections: HashMap::new(),
            events: mpsc::unbounded_channel(),
            commands,
            handler,
            flushes: Vec::new(),
            aborts: Vec::new(),
        }
    }

    /// Runs until all handles are gone and everything that was taken has its outcome.
    pub(super) async fn run(mut self) {
        let mut is_closing = false;
        self.take_metadata();
        loop {
            let deadline = self.step();
            if is_closing && self.flushes.is_empty() {
                return;
            }
            let sleep = tokio::time::sleep_until(deadline.into());
            let shared = Arc::clone(&self.shared);
            tokio::select! {
                () = shared.work.notified() => {}
                Some(event) = self.events.1.recv() => {
                    self.handle_event(event);
                    while let Ok(event) = self.events.1.try_recv() {
                        self.handle_event(event);
                    }
                }
                changed = self.metadata.changed() => if changed.is_ok() { self.take_metadata() },
                command = self.commands.recv(), if !is_closing => match command {
                    Some(command) => self.handle_command(command),
                    None => {
                        is_closing = true;
                        let (done, _) = oneshot::channel();
                        self.handle_command(Command::Flush(done));
                    }
                },
                () = sleep => {}
            }
        }
    }

    /// Does everything there is to do now; the time by which to look again.
    fn step(&mut self) -> Instant {
        loop {
            let now = Instant::now();
            let mut outputs = Vec::new();
            let mut accumulator = self.shared.lock();
            while let Some(output) = self.sender.poll(&mut accumulator, now) {
                outputs.push(output);
            }
            let deadline = self.sender.next_deadline(&accumulator, now);
            let oldest = accumulator.oldest().into_iter().chain(self.sender.oldest()).min();
            drop(accumulator);
            if outputs.is_empty() {
                self.answer_waiting(oldest);
                return deadline.unwrap_or_else(|| now + self.options.delivery_timeout);
            }
            self.carry_out(outputs);
        }
    }

    fn answer_waiting(&mut self, oldest: Option<u64>) {
        let is_done = |below: u64| oldest.is_none_or(|oldest| oldest >= below);
        for (_, done) in self.flushes.extract_if(.., |(below, _)| is_done(*below)) {
            let _ = done.send(());
        }
        if oldest.is_none() && self.sender.is_idle() {
            for done in self.aborts.drain(..) {
                let _ = done.send(());
            }
        }
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        let mut finished = Vec::new();
        for output in outputs {
            match output {
                Output::Connect(broker) => self.connect(broker),
                Output::Send { broker, request, batches } => self.send(broker, request, batches),
                Output::Pack { slot, batch, bytes } => self.pack(slot, batch, bytes),
                Output::RefreshMetadata => self.cluster.request_refresh(),
                Output::Identify => self.identify(),
                Output::Done(done) => finished.push(*done),
            }
        }
        if finished.is_empty() {
            return;
        }
        let released: Vec<_> = finished.into_iter().map(|done| self.report(done)).collect();
        let mut accumulator = self.shared.lock();
        for (charged, batch) in released {
            accumulator.release(charged);
            accumulator.keep(batch);
        }
        drop(accumulator);
        if let Some(error) = self.sender.failure() {
            *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        self.shared.wake_appenders();
    }

    fn connect(&self, id: i32) {
        let (cluster, events) = (self.cluster.clone(), self.events.0.clone());
        tokio::spawn(async move {
            let _ = events.send(Event::Connected(id, cluster.broker(id, Lane::Produce).await));
        });
    }

    fn send(&mut self, broker: i32, request: u64, batches: Vec<(TopicPartition, Bytes)>) {
        let open = self.connections.get(&broker).filter(|connection| !connection.is_closed());
        let Some(connection) = open else {
            self.connections.remove(&broker);
            let failure = ConnectFailure::Tcp("the connection has ended".into());
            let error = Error::Connect { broker: format!("broker {broker}").into(), failure };
            self.sender.handle_unsent(request, error, Instant::now());
            return;
        };
        let answer = connection.start(produce_request(batches, &self.options), self.options.request_timeout);
        let events = self.events.0.clone();
        tokio::spawn(async move {
            let _ = events.send(Event::Answered(request, answer.await));
        });
    }

    fn pack(&self, slot: Slot, batch: u64, bytes: Bytes) {
        let (events, compression) = (self.events.0.clone(), self.options.compression);
        tokio::task::spawn_blocking(move || {
            let packed = batch::pack(&bytes, compression);
            // The sender has the last hold on it when it hears of this: it can be used again.
            drop(bytes);
            let _ = events.send(Event::Packed(slot, batch, packed));
        });
    }

    fn identify(&self) {
        let (cluster, events) = (self.cluster.clone(), self.events.0.clone());
        let timeout = self.options.transaction_timeout;
        tokio::spawn(async move {
            let (first, max) = cluster.options().retry_backoff;
            let mut backoff = Backoff::new(first, max);
            loop {
                let answer = init_producer_id(&cluster, timeout).await;
                let is_last = answer.as_ref().map_or_else(|error| !error.is_retriable(), |_| true);
                if events.send(Event::Identified(answer)).is_err() || is_last {
                    return;
                }
                tokio::time::sleep(backoff.next_pause(&mut fastrand::Rng::new())).await;
            }
        });
    }

    /// Tells whoever wants to know; returns what the batch counted for, and its bytes.
    fn report(&self, done: Done) -> (usize, Bytes) {
        let (partition, mut pending) = (done.partition, done.batch);
        if pending.attempts > 1 {
            let metrics = &self.cluster.options().connect.metrics;
            metrics.add(Metric::Retries, ProduceRequest::NAME, (pending.attempts - 1).into());
        }
        let outcome = match done.outcome {
            Ok(written) => {
                Ok(RecordPlace { partition, offset: written.base_offset, append_time: written.append_time })
            }
            Err(lost) => Err(RecordFailure {
                partition,
                error: Arc::new(lost.error),
                possibly_written: lost.possibly_written,
            }),
        };
        for (place, waiter) in pending.waiters.drain(..) {
            let one = outcome.clone().map(|mut first| {
                first.offset = first.offset.map(|offset| offset + i64::from(place));
                first
            });
            let _ = waiter.send(one);
        }
        let charged = pending.charged;
        let delivery = Delivery {
            outcome,
            records: usize::try_from(pending.count).unwrap_or(0),
            bytes: pending.plain_bytes,
            latency: pending.created.elapsed(),
            batch: pending.into_bytes(),
        };
        if let Some(handler) = &self.handler {
            handler(&delivery);
        }
        (charged, delivery.batch)
    }

    fn handle_event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Connected(broker, Ok(connection)) => {
                self.connections.insert(broker, connection);
                self.sender.handle_connection(broker, Ok(()), now);
            }
            Event::Connected(broker, Err(error)) => self.sender.handle_connection(broker, Err(error), now),
            Event::Answered(request, answer) => {
                let mut accumulator = self.shared.lock();
                self.sender.handle_answer(request, &answer, &mut accumulator, now);
            }
            Event::Packed(slot, batch, bytes) => {
                if let Some(plain) = self.sender.handle_packed(slot, batch, bytes) {
                    self.shared.lock().keep(plain);
                }
            }
            Event::Identified(answer) => self.sender.handle_identity(answer),
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Flush(done) => {
                let below = self.shared.lock().flush();
                self.flushes.push((below, done));
            }
            Command::BeginTransaction(identity, done) => {
                self.sender.begin_transaction(identity);
                let _ = done.send(());
            }
            Command::Abort(done) => {
                self.sender.abort();
                self.aborts.push(done);
            }
            Command::TransactionState(answer) => {
                let _ = answer.send(TransactionState {
                    identity: self.sender.identity(),
                    error: self.sender.transaction_error().cloned(),
                    wrote: self.sender.wrote_in_transaction(),
                });
            }
        }
    }

    fn take_metadata(&mut self) {
        let metadata = Arc::clone(&self.metadata.borrow_and_update());
        self.sender.handle_metadata(&metadata, &mut self.shared.lock());
        self.shared.wake_appenders();
    }
}

fn produce_request(batches: Vec<(TopicPartition, Bytes)>, options: &ProducerOptions) -> ProduceRequest {
    let mut topics: Vec<(Arc<str>, Vec<PartitionProduceData>)> = Vec::new();
    for (at, bytes) in batches {
        let data = PartitionProduceData::default().with_index(at.partition).with_records(Some(bytes));
        match topics.iter_mut().find(|(name, _)| *name == at.topic) {
            Some((_, partitions)) => partitions.push(data),
            None => topics.push((at.topic, vec![data])),
        }
    }
    let by_name = |(name, partitions): (Arc<str>, Vec<PartitionProduceData>)| {
        let name = TopicName(StrBytes::from_string(name.to_string()));
        TopicProduceData::default().with_name(name).with_partition_data(partitions)
    };
    let transactional_id = options.transactional_id.as_ref();
    ProduceRequest::default()
        .with_transactional_id(
            transactional_id.map(|id| TransactionalId(StrBytes::from_string(id.to_string()))),
        )
        // An answer is asked for in any case: it is what tells a moved leader and a refused request.
        .with_acks(if options.acks == Acks::All { -1 } else { 1 })
        .with_timeout_ms(i32::try_from(options.request_timeout.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(topics.into_iter().map(by_name).collect())
}

/// A producer id without a transactional id, from any broker.
async fn init_producer_id(cluster: &Cluster, timeout: std::time::Duration) -> Result<Identity> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let answer = cluster.ask_any(move |_| Ok(request.clone())).await?;
    let refused = |code| Error::broker(InitProducerIdRequest::NAME, "producer id", code, None);
    ErrorCode(answer.error_code).check().map_err(refused)?;
    Ok(Identity { producer_id: answer.producer_id.0, epoch: answer.producer_epoch })
}
