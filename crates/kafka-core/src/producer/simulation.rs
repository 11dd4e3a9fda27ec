//! The sender against a model of a cluster, under thousands of random schedules: lost and late answers, connections that
//! are cut, brokers that freeze, leaders that move, batches refused for a while. The model's rules for sequences are
//! written from Kafka's documentation, apart from the sender's.
//!
//! What must hold for every seed: each record has exactly one outcome; what was acknowledged lies in the log once, where
//! the acknowledgement says; what was reported as not written does not lie there; nothing lies there twice or out of order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{BrokerId, MetadataResponse, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::accumulator::{Accumulator, Limits};
use super::output::{Done, Output, SenderOptions};
use super::partitioner::Partitioner;
use super::report::read_back;
use super::sender::Sender;
use super::sequence::Identity;
use crate::cluster::Metadata;
use crate::error::{ConnectFailure, Error, RequestFailure};
use crate::record::RecordRef;
use crate::{ErrorCode, TopicPartition};

const BROKERS: i32 = 3;
const PARTITIONS: usize = 3;
const RECORDS: u64 = 150;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// When faults end.
const CALM: Duration = Duration::from_secs(40);

/// What the broker of a partition remembers of a producer.
#[derive(Default)]
struct Remembered {
    epoch: i16,
    /// First and last sequence and offset of its last five batches.
    batches: VecDeque<(i32, i32, i64)>,
}

#[derive(Default)]
struct Log {
    leader: i32,
    epoch: i32,
    values: Vec<u64>,
    producers: HashMap<i64, Remembered>,
}

impl Log {
    /// Kafka's check of a batch, and the append.
    fn append(&mut self, header: &BatchHeader, values: &[u64]) -> Result<i64, ErrorCode> {
        let last = header.sequence.wrapping_add(header.count - 1) & i32::MAX;
        let offset = i64::try_from(self.values.len()).unwrap();
        let known = self.producers.get_mut(&header.producer_id);
        match known {
            None => {}
            Some(known) if header.epoch < known.epoch => return Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            Some(known) if header.epoch > known.epoch => {
                if header.sequence != 0 {
                    return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
                }
                known.batches.clear();
            }
            Some(known) => {
                let same = known.batches.iter().find(|batch| (batch.0, batch.1) == (header.sequence, last));
                if let Some((_, _, offset)) = same {
                    return Ok(*offset);
                }
                let newest = known.batches.back().map(|batch| batch.1);
                if newest.is_some_and(|newest| newest.wrapping_add(1) & i32::MAX != header.sequence) {
                    return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
                }
            }
        }
        let known = self.producers.entry(header.producer_id).or_default();
        known.epoch = header.epoch;
        known.batches.push_back((header.sequence, last, offset));
        if known.batches.len() > 5 {
            known.batches.pop_front();
        }
        self.values.extend_from_slice(values);
        Ok(offset)
    }
}

struct BatchHeader {
    producer_id: i64,
    epoch: i16,
    sequence: i32,
    count: i32,
}

impl BatchHeader {
    fn read(batch: &[u8]) -> Self {
        Self {
            producer_id: i64::from_be_bytes(batch[43..51].try_into().unwrap()),
            epoch: i16::from_be_bytes(batch[51..53].try_into().unwrap()),
            sequence: i32::from_be_bytes(batch[53..57].try_into().unwrap()),
            count: i32::from_be_bytes(batch[57..61].try_into().unwrap()),
        }
    }
}

fn values(batch: &Bytes) -> Vec<u64> {
    let records = read_back(&TopicPartition::new("t", 0), batch).unwrap();
    let mut found = Vec::new();
    for opened in records.batches() {
        for record in opened.unwrap().records() {
            let value = record.unwrap().value.unwrap();
            found.push(u64::from_be_bytes(value[..8].try_into().unwrap()));
        }
    }
    found
}

type Sent = Vec<(TopicPartition, Bytes)>;

enum Event {
    Append,
    AtBroker { broker: i32, connection: u64, request: u64, batches: Sent },
    AtClient { connection: u64, request: u64, answer: Box<ProduceResponse> },
    TimedOut { broker: i32, connection: u64, request: u64 },
    Connected { broker: i32 },
    Metadata(Box<MetadataResponse>),
    Identity,
    Fault,
}

struct World {
    seed: u64,
    rng: fastrand::Rng,
    start: Instant,
    now: Instant,
    events: BinaryHeap<Reverse<(Instant, u64)>>,
    payloads: HashMap<u64, Event>,
    next_event: u64,
    logs: Vec<Log>,
    frozen_until: Vec<Instant>,
    /// For each broker: the connection's number and the times up to which each direction is taken, in order.
    connections: BTreeMap<i32, (u64, Instant, Instant)>,
    next_connection: u64,
    in_flight: BTreeMap<u64, (i32, u64)>,
    largest_batch: usize,
    sender: Sender,
    accumulator: Accumulator,
    metadata: Metadata,
    appended: Vec<Vec<u64>>,
    outcomes: BTreeMap<u64, Result<(), (bool, String)>>,
    next_value: u64,
}

impl World {
    fn new(seed: u64, delivery_timeout: Duration) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let start = Instant::now() + Duration::from_secs(1_000);
        let options = SenderOptions {
            idempotent: true,
            transactional: false,
            wait_for_answers: true,
            compress: false,
            max_in_flight: rng.usize(1..=5),
            max_request_bytes: 4_000,
            delivery_timeout,
            retry_backoff: (Duration::from_millis(100), Duration::from_secs(1)),
        };
        let limits = Limits {
            batch_bytes: rng.usize(100..1_500),
            buffer_bytes: 1 << 24,
            record_bytes: 1 << 20,
            linger: Duration::from_millis(rng.u64(0..20)),
        };
        let leader = |n: usize| Log { leader: i32::try_from(n).unwrap() % BROKERS, ..Log::default() };
        let mut accumulator = Accumulator::new(limits, Partitioner::Murmur2, rng.fork());
        accumulator.topic(&"t".into(), PARTITIONS, (0..i32::try_from(PARTITIONS).unwrap()).collect());
        let mut world = Self {
            seed,
            start,
            now: start,
            events: BinaryHeap::new(),
            payloads: HashMap::new(),
            next_event: 0,
            logs: (0..PARTITIONS).map(leader).collect(),
            frozen_until: vec![start; usize::try_from(BROKERS).unwrap()],
            connections: BTreeMap::new(),
            next_connection: 0,
            in_flight: BTreeMap::new(),
            largest_batch: if rng.u8(..4) == 0 { 400 } else { usize::MAX },
            sender: Sender::new(options, rng.fork()),
            accumulator,
            metadata: Metadata::default(),
            appended: vec![Vec::new(); PARTITIONS],
            outcomes: BTreeMap::new(),
            next_value: 0,
            rng,
        };
        world.at(start, Event::Append);
        world.at(start + Duration::from_millis(50), Event::Fault);
        world
    }

    fn at(&mut self, when: Instant, event: Event) {
        self.next_event += 1;
        self.events.push(Reverse((when, self.next_event)));
        self.payloads.insert(self.next_event, event);
    }

    fn soon(&mut self, event: Event) {
        let delay = Duration::from_micros(self.rng.u64(200..8_000));
        self.at(self.now + delay, event);
    }

    fn is_calm(&self) -> bool {
        self.now >= self.start + CALM
    }

    fn run(mut self) -> Self {
        let limit = self.start + Duration::from_secs(600);
        loop {
            self.drain_outputs();
            if self.next_value == RECORDS && self.outcomes.len() as u64 == RECORDS {
                return self;
            }
            let deadline = self.sender.next_deadline(&self.accumulator, self.now);
            let event = self.events.peek().map(|Reverse((when, _))| *when);
            let Some(next) = deadline.into_iter().chain(event).min() else {
                panic!("seed {}: nothing is left to happen, and records have no outcome", self.seed);
            };
            assert!(next < limit, "seed {}: records have no outcome after ten minutes", self.seed);
            self.now = self.now.max(next);
            if event == Some(next) {
                let Some(Reverse((_, id))) = self.events.pop() else { continue };
                let Some(event) = self.payloads.remove(&id) else { continue };
                self.happen(event);
            }
        }
    }

    fn drain_outputs(&mut self) {
        let mut rounds = 0;
        while let Some(output) = self.sender.poll(&mut self.accumulator, self.now) {
            rounds += 1;
            assert!(rounds < 10_000, "seed {}: the sender never rests", self.seed);
            match output {
                Output::Connect(broker) => self.soon(Event::Connected { broker }),
                Output::Send { broker, request, batches } => self.carry(broker, request, batches),
                Output::RefreshMetadata => {
                    let answer = self.metadata_answer();
                    self.soon(Event::Metadata(Box::new(answer)));
                }
                Output::Identify => self.soon(Event::Identity),
                Output::Pack { .. } => unreachable!("compression is off"),
                Output::Done(done) => self.note(*done),
            }
        }
    }

    fn note(&mut self, done: Done) {
        let log = &self.logs[usize::try_from(done.partition.partition).unwrap()];
        let (count, charged) = (done.batch.count, done.batch.charged);
        let values = values(&done.batch.into_bytes());
        assert_eq!(values.len(), usize::try_from(count).unwrap());
        if let Ok(written) = &done.outcome
            && let Some(offset) = written.base_offset
        {
            let from = usize::try_from(offset).unwrap();
            assert_eq!(log.values[from..from + values.len()], values, "seed {}", self.seed);
        }
        for value in values {
            let outcome = done
                .outcome
                .as_ref()
                .map(|_| ())
                .map_err(|lost| (lost.possibly_written, lost.error.to_string()));
            let before = self.outcomes.insert(value, outcome);
            assert!(before.is_none(), "seed {}: record {value} has two outcomes", self.seed);
        }
        self.accumulator.release(charged);
    }

    /// Puts a request on its connection: behind those before it, after a delay, or nowhere.
    fn carry(&mut self, broker: i32, request: u64, batches: Sent) {
        let arrival = Duration::from_micros(self.rng.u64(200..6_000));
        let Some((connection, taken_until, _)) = self.connections.get_mut(&broker) else {
            let failure = ConnectFailure::Tcp("it has ended".into());
            let error = Error::Connect { broker: "b".into(), failure };
            self.sender.handle_unsent(request, error, self.now);
            return;
        };
        *taken_until = (*taken_until).max(self.now + arrival);
        let (connection, when) = (*connection, *taken_until);
        self.in_flight.insert(request, (broker, connection));
        self.at(when, Event::AtBroker { broker, connection, request, batches });
        self.at(self.now + REQUEST_TIMEOUT, Event::TimedOut { broker, connection, request });
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Append => self.append(),
            Event::AtBroker { broker, connection, request, batches } => {
                self.reach_broker(broker, connection, request, batches);
            }
            Event::AtClient { connection, request, answer } => {
                if self.in_flight.get(&request).is_some_and(|(_, of)| *of == connection) {
                    self.in_flight.remove(&request);
                    self.sender.handle_answer(request, &Ok(*answer), &mut self.accumulator, self.now);
                }
            }
            Event::TimedOut { broker, connection, request } => {
                if self.in_flight.contains_key(&request) {
                    self.cut(broker, connection);
                }
            }
            Event::Connected { broker } => self.connected(broker),
            Event::Metadata(answer) => {
                self.metadata = self.metadata.merged(*answer, false, self.now);
                self.sender.handle_metadata(&self.metadata, &mut self.accumulator);
            }
            Event::Identity => self.sender.handle_identity(Ok(Identity { producer_id: 1, epoch: 0 })),
            Event::Fault => self.fault(),
        }
    }

    fn append(&mut self) {
        for _ in 0..self.rng.usize(1..8) {
            if self.next_value == RECORDS {
                return;
            }
            let partition = self.rng.usize(..PARTITIONS);
            let mut value = self.next_value.to_be_bytes().to_vec();
            value.resize(8 + self.rng.usize(..60), b'.');
            let record = RecordRef { value: Some(&value), ..RecordRef::default() };
            let chosen = i32::try_from(partition).unwrap();
            self.accumulator.append(0, Some(chosen), &record, (self.now, 1), None).unwrap();
            self.appended[partition].push(self.next_value);
            self.next_value += 1;
        }
        let pause = Duration::from_millis(self.rng.u64(0..1_500));
        self.at(self.now + pause, Event::Append);
    }

    fn connected(&mut self, broker: i32) {
        let is_frozen = self.frozen_until[usize::try_from(broker).unwrap()] > self.now;
        let outcome = if is_frozen && self.rng.bool() {
            let failure = ConnectFailure::TimedOut(Duration::from_secs(1));
            Err(Error::Connect { broker: "b".into(), failure })
        } else {
            self.next_connection += 1;
            self.connections.insert(broker, (self.next_connection, self.now, self.now));
            Ok(())
        };
        self.sender.handle_connection(broker, outcome, self.now);
    }

    fn reach_broker(&mut self, broker: i32, connection: u64, request: u64, batches: Sent) {
        let thaw = self.frozen_until[usize::try_from(broker).unwrap()];
        if thaw > self.now {
            // What lies in a frozen broker's socket is read when it thaws, also from connections that have ended.
            self.at(thaw, Event::AtBroker { broker, connection, request, batches });
            return;
        }
        let mut partitions = Vec::new();
        for (at, batch) in batches {
            let (code, offset) = self.decide(broker, &at, &batch);
            partitions.push(
                PartitionProduceResponse::default()
                    .with_index(at.partition)
                    .with_error_code(code.0)
                    .with_base_offset(offset),
            );
        }
        let topic = TopicProduceResponse::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partition_responses(partitions);
        let throttle = if self.rng.u8(..40) == 0 { self.rng.i32(1..500) } else { 0 };
        let answer = ProduceResponse::default().with_responses(vec![topic]).with_throttle_time_ms(throttle);
        let delay = Duration::from_micros(self.rng.u64(200..6_000));
        if let Some((open, _, given_until)) = self.connections.get_mut(&broker)
            && *open == connection
        {
            *given_until = (*given_until).max(self.now + delay);
            let when = *given_until;
            self.at(when, Event::AtClient { connection, request, answer: Box::new(answer) });
        }
    }

    /// What the broker does with one batch.
    fn decide(&mut self, broker: i32, at: &TopicPartition, batch: &Bytes) -> (ErrorCode, i64) {
        let trouble = if self.is_calm() { 255 } else { self.rng.u8(..) };
        let log = &mut self.logs[usize::try_from(at.partition).unwrap()];
        if log.leader != broker {
            return (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
        }
        if batch.len() > self.largest_batch {
            return (ErrorCode::MESSAGE_TOO_LARGE, -1);
        }
        if trouble < 10 {
            return (ErrorCode::NOT_ENOUGH_REPLICAS, -1);
        }
        match log.append(&BatchHeader::read(batch), &values(batch)) {
            Err(code) => (code, -1),
            Ok(_) if trouble < 14 => (ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, -1),
            Ok(_) if trouble < 18 => (ErrorCode::REQUEST_TIMED_OUT, -1),
            Ok(_) if trouble < 21 => (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1),
            Ok(offset) => (ErrorCode::NONE, offset),
        }
    }

    fn fault(&mut self) {
        if self.is_calm() {
            return;
        }
        match self.rng.u8(..10) {
            0..5 => {
                let partition = self.rng.usize(..PARTITIONS);
                self.move_leader(partition);
            }
            5..8 => {
                let broker = self.rng.i32(0..BROKERS);
                if let Some((connection, ..)) = self.connections.get(&broker).copied() {
                    self.cut(broker, connection);
                }
            }
            _ => {
                let broker = self.rng.usize(..usize::try_from(BROKERS).unwrap());
                self.frozen_until[broker] = self.now + Duration::from_millis(self.rng.u64(100..15_000));
            }
        }
        let pause = Duration::from_millis(self.rng.u64(20..2_500));
        self.at(self.now + pause, Event::Fault);
    }

    fn move_leader(&mut self, partition: usize) {
        let next = self.rng.i32(0..BROKERS);
        self.logs[partition].leader = next;
        self.logs[partition].epoch += 1;
    }

    /// Ends a connection: what is under way to the broker may still arrive, what is under way back is lost.
    fn cut(&mut self, broker: i32, connection: u64) {
        if self.connections.get(&broker).is_some_and(|(open, ..)| *open == connection) {
            self.connections.remove(&broker);
        }
        let lost: Vec<u64> =
            self.in_flight.iter().filter(|(_, (_, of))| *of == connection).map(|(id, _)| *id).collect();
        for request in lost {
            self.in_flight.remove(&request);
            let failure = RequestFailure::Disconnected("cut".into());
            let error = Error::Request { broker: "b".into(), api: "Produce", failure };
            self.sender.handle_answer(request, &Err(error), &mut self.accumulator, self.now);
        }
    }

    fn metadata_answer(&mut self) -> MetadataResponse {
        let partition = |(index, log): (usize, &Log)| {
            MetadataResponsePartition::default()
                .with_partition_index(i32::try_from(index).unwrap())
                .with_leader_id(BrokerId(log.leader))
                .with_leader_epoch(log.epoch)
        };
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
            .with_partitions(self.logs.iter().enumerate().map(partition).collect());
        let broker = |id| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_static_str("h"))
                .with_port(1)
        };
        MetadataResponse::default().with_topics(vec![topic]).with_brokers((0..BROKERS).map(broker).collect())
    }

    fn check(&self, all_must_arrive: bool) {
        let seed = self.seed;
        for (partition, log) in self.logs.iter().enumerate() {
            let is_in_order = log.values.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(is_in_order, "seed {seed}: [{partition}] twice or out of order: {:?}", log.values);
            let there: BTreeSet<u64> = log.values.iter().copied().collect();
            for value in &self.appended[partition] {
                match &self.outcomes[value] {
                    Ok(()) => {
                        assert!(there.contains(value), "seed {seed}: {value} was acknowledged and is lost");
                    }
                    Err((false, _)) => {
                        assert!(
                            !there.contains(value),
                            "seed {seed}: {value} was said not to be written and is"
                        );
                    }
                    Err((true, _)) => {}
                }
                let outcome = &self.outcomes[value];
                assert!(
                    outcome.is_ok() || !all_must_arrive,
                    "seed {seed}: {value} had time enough: {outcome:?}"
                );
            }
        }
        assert_eq!(self.accumulator.used(), 0, "seed {seed}: memory comes back");
    }
}

#[test]
fn with_time_enough_every_record_arrives_once_and_in_order() {
    for seed in 0..1_000 {
        World::new(seed, Duration::from_secs(300)).run().check(true);
    }
}

#[test]
fn what_runs_out_of_time_is_reported_truly() {
    for seed in 10_000..11_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        World::new(seed, Duration::from_millis(rng.u64(500..8_000))).run().check(false);
    }
}
