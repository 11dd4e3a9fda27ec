//! Fetching: one request on its way to each broker that has something for us, bounded by what waits to be read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::task::AbortHandle;

use super::{Done, Driver, PATIENCE, now_ms};
use crate::backoff::Backoff;
use crate::cluster::{Cluster, Metadata};
use crate::consumer::decode;
use crate::consumer::fetch::{Fetched, Session};
use crate::consumer::position::Wanted;
use crate::consumer::queue::Event;
use crate::error::{Error, Result};
use crate::wire::{Connection, Lane};
use crate::{ErrorCode, TopicPartition};

/// A fetch that is out for so long found no records yet and waits for some.
pub(super) const SETTLED: Duration = Duration::from_millis(20);

/// One fetch on its way.
pub(super) struct Flight {
    number: u64,
    pub(super) started: Instant,
    /// When something came on the connection last, as far as anybody looked: a large answer takes its time.
    heard_at: Instant,
    /// The bytes that had come by then.
    received: u64,
    pub(super) partitions: HashMap<TopicPartition, i64>,
    abort: AbortHandle,
}

/// What goes on with one broker.
pub(super) struct Source {
    session: Session,
    /// A connection of its own; a fetch that is given up leaves it to the broker.
    lane: Lane,
    connection: Option<Arc<Connection>>,
    connecting: bool,
    second: Option<Second>,
    pub(super) flight: Option<Flight>,
    shortest_silence: Duration,
    /// How long nothing may come before the connection is doubted.
    silence: Duration,
    pub(super) not_before: Option<Instant>,
    backoff: Backoff,
}

/// Another connection to a broker whose flight is silent. If the broker can be reached that way, the first one leads
/// nowhere: something in between has forgotten it, or an answer was lost.
struct Second {
    lane: Lane,
    connecting: bool,
    /// No other one before then.
    until: Instant,
}

impl Driver {
    pub(super) fn fetch(&mut self, metadata: &Metadata, now: Instant) {
        let plan = self.positions.fetchable(metadata, now);
        self.doubt_silent_brokers(&plan, now);
        let share = share_of(self.options.fetch_max_bytes, plan.len());
        for (broker, wanted) in plan {
            if self.is_full() {
                break;
            }
            self.fetch_from(broker, wanted, share, now);
        }
    }

    /// Whether as much waits to be read as is allowed to.
    fn is_full(&self) -> bool {
        let limit = usize::try_from(self.options.fetch_max_bytes).unwrap_or(usize::MAX);
        self.queue.held_bytes() >= limit
    }

    fn fetch_from(
        &mut self,
        broker: i32,
        wanted: BTreeMap<TopicPartition, Wanted>,
        share: i32,
        now: Instant,
    ) {
        let (pauses, silence) = (self.options.retry_backoff, self.options.fetch_max_wait + PATIENCE);
        let source = self.sources.entry(broker).or_insert_with(|| Source::new(pauses, silence));
        if source.connecting || source.not_before.is_some_and(|at| now < at) {
            return;
        }
        if let Some(flight) = &source.flight {
            if !flight.keeps_waiting(&wanted, now) {
                return;
            }
            source.give_up(&self.cluster);
        }
        let Some(connection) = source.connection.take().filter(|connection| !connection.is_closed()) else {
            source.session.reset();
            source.connecting = true;
            let lane = source.lane;
            self.connect(broker, lane);
            return;
        };
        let version = connection.version::<FetchRequest>().unwrap_or(0);
        let partitions =
            wanted.iter().map(|(partition, wanted)| (partition.clone(), wanted.offset)).collect();
        let request = source.session.request(wanted, &self.limits, share, version);
        let limit = self.options.fetch_max_wait + self.options.request_timeout;
        let (received, _) = connection.bytes();
        let answer = connection.start(request, limit);
        source.connection = Some(connection);
        self.next_number += 1;
        let number = self.next_number;
        let abort = self.tasks.spawn(async move { Done::Fetched { broker, number, result: answer.await } });
        source.flight = Some(Flight { number, started: now, heard_at: now, received, partitions, abort });
    }

    fn connect(&mut self, broker: i32, lane: Lane) {
        let cluster = self.cluster.clone();
        self.tasks.spawn(async move {
            Done::Connected { broker, lane, result: cluster.broker(broker, lane).await }
        });
    }

    /// A broker that stays silent may be frozen. Where its partitions are led by another one by now, they are fetched
    /// there and its answer is not waited for; else it may be to be reached on another connection.
    fn doubt_silent_brokers(&mut self, plan: &BTreeMap<i32, BTreeMap<TopicPartition, Wanted>>, now: Instant) {
        let (mut is_doubted, mut second) = (false, Vec::new());
        for (broker, source) in &mut self.sources {
            if !source.is_silent(now) {
                continue;
            }
            is_doubted = true;
            let is_needed = |flight: &Flight| {
                let here = plan.get(broker);
                here.is_some_and(|here| {
                    flight.partitions.keys().any(|partition| here.contains_key(partition))
                })
            };
            if !source.flight.as_ref().is_some_and(is_needed) {
                source.give_up(&self.cluster);
            } else if source.second.as_ref().is_none_or(|second| !second.connecting && second.until <= now) {
                let lane = new_lane();
                source.second = Some(Second { lane, connecting: true, until: now + PATIENCE });
                second.push((*broker, lane));
            }
        }
        for (broker, lane) in second {
            self.connect(broker, lane);
        }
        if is_doubted {
            self.refresh(now);
        }
    }

    pub(super) fn handle_connected(&mut self, broker: i32, lane: Lane, result: Result<Arc<Connection>>) {
        let now = Instant::now();
        let Some(source) = self.sources.get_mut(&broker) else { return };
        if lane != source.lane {
            return source.handle_second(lane, result, &self.cluster, now);
        }
        source.connecting = false;
        match result {
            Ok(connection) => source.connection = Some(connection),
            Err(error) => self.source_failed(broker, error, now),
        }
    }

    fn source_failed(&mut self, broker: i32, error: Error, now: Instant) {
        if let Some(source) = self.sources.get_mut(&broker) {
            source.session.reset();
            source.not_before = Some(now + source.backoff.next_pause(&mut self.rng));
        }
        let event = if error.is_retriable() { Event::Trouble(error) } else { Event::Failed(error) };
        self.queue.push(event);
        self.refresh(now);
    }

    pub(super) fn handle_fetched(&mut self, broker: i32, number: u64, result: Result<FetchResponse>) {
        let now = Instant::now();
        let Some(source) = self.sources.get_mut(&broker) else { return };
        // An answer that was given up on: the partitions may have been fetched elsewhere.
        if source.flight.as_ref().is_none_or(|flight| flight.number != number) {
            return;
        }
        let took = source.flight.take().map_or(Duration::ZERO, |flight| now - flight.started);
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.source_failed(broker, error, now),
        };
        source.answered_within(took);
        if let Ok(millis @ 1..) = u64::try_from(response.throttle_time_ms) {
            // The broker leaves the connection alone for so long (KIP-219).
            source.not_before = Some(now + Duration::from_millis(millis));
        }
        match source.session.handle(response, &self.limits) {
            Ok(all) => {
                source.backoff.reset();
                for fetched in all {
                    self.handle_partition(fetched, now);
                }
            }
            // Sessions are dropped by brokers as they please; a new one is opened at once.
            Err(code) if code.is_retriable() => {}
            Err(code) => {
                let error = Error::broker("Fetch", format!("broker {broker}"), code, None);
                self.source_failed(broker, error, now);
            }
        }
    }

    fn handle_partition(&mut self, fetched: Fetched, now: Instant) {
        let Fetched { partition, wanted, code, preferred_replica, answer } = fetched;
        // The position was set elsewhere meanwhile, or the partition was given up.
        if self.positions.offset(&partition) != Some(wanted.offset) {
            return;
        }
        if let Some(replica) = preferred_replica {
            self.positions.handle_replica(&partition, replica, now);
        }
        let decoded = match code {
            ErrorCode::NONE => decode::decode(&partition, wanted.offset, answer),
            code => Err(Error::broker("Fetch", partition.to_string(), code, None)),
        };
        let mut records = match decoded {
            Ok(records) => records,
            Err(error) => return self.handle_partition_error(&partition, wanted.offset, error, now),
        };
        let (next_offset, end_offset) = (records.next_offset(), records.end_offset());
        self.metrics().set_lag(&partition, end_offset.saturating_sub(next_offset));
        if next_offset > wanted.offset {
            self.positions.handle_fetched(&partition, wanted.offset, next_offset, records.last_epoch());
            records.hold(self.queue.hold(records.bytes()));
            self.at_end.remove(&partition);
            self.queue.push(Event::Records(records));
        }
        if next_offset >= end_offset && end_offset >= 0 && self.at_end.insert(partition.clone()) {
            self.queue.push(Event::EndOfPartition(partition, next_offset));
        }
    }

    fn handle_partition_error(
        &mut self,
        partition: &TopicPartition,
        wanted: i64,
        error: Error,
        now: Instant,
    ) {
        let times = (now, now_ms());
        let (refresh, said) =
            self.positions.handle_fetch_error(partition, wanted, error, times, &mut self.rng);
        self.tell_all(said);
        if refresh {
            self.refresh(now);
        }
    }
}

impl Source {
    fn new((pause, max_pause): (Duration, Duration), shortest_silence: Duration) -> Self {
        Self {
            session: Session::default(),
            lane: new_lane(),
            connection: None,
            connecting: false,
            second: None,
            flight: None,
            shortest_silence,
            silence: shortest_silence,
            not_before: None,
            backoff: Backoff::new(pause, max_pause),
        }
    }

    /// When the flight has been silent for too long.
    pub(super) fn silent_at(&self) -> Option<Instant> {
        self.flight.as_ref().map(|flight| flight.heard_at + self.silence)
    }

    /// Whether nothing has come for too long. Looks at what has come on the connection.
    fn is_silent(&mut self, now: Instant) -> bool {
        let Some(flight) = &mut self.flight else { return false };
        let received = self.connection.as_ref().map_or(0, |connection| connection.bytes().0);
        if received != flight.received {
            (flight.received, flight.heard_at) = (received, now);
        }
        now >= flight.heard_at + self.silence
    }

    /// A broker that is known to be slow is given time.
    fn answered_within(&mut self, took: Duration) {
        self.silence = self.shortest_silence.max(took * 2);
        self.second = None;
    }

    /// The answer is not waited for, and the connection, which brings no other before it, is not used again.
    fn give_up(&mut self, cluster: &Cluster) {
        if let Some(flight) = self.flight.take() {
            flight.abort.abort();
        }
        cluster.close_lane(self.lane);
        self.lane = new_lane();
        self.connection = None;
        self.session.reset();
    }

    /// Another connection than the one in use is there, or cannot be had.
    fn handle_second(
        &mut self,
        lane: Lane,
        result: Result<Arc<Connection>>,
        cluster: &Cluster,
        now: Instant,
    ) {
        let second = self.second.as_mut().filter(|second| second.lane == lane);
        let is_wanted = second.is_some_and(|second| std::mem::take(&mut second.connecting));
        match result {
            Ok(connection) if is_wanted && self.is_silent(now) => self.change_to(connection, lane, cluster),
            // An answer came after all; or why there is no connection the first one will tell.
            _ => cluster.close_lane(lane),
        }
    }

    /// Goes on with another connection. If the broker is as silent there, it is slow.
    fn change_to(&mut self, connection: Arc<Connection>, lane: Lane, cluster: &Cluster) {
        self.give_up(cluster);
        (self.connection, self.lane, self.second) = (Some(connection), lane, None);
        self.silence *= 2;
    }
}

impl Flight {
    /// Whether it waits for news of other partitions while there is one to be read that it did not ask for: one that
    /// was assigned just now, or set elsewhere.
    fn keeps_waiting(&self, wanted: &BTreeMap<TopicPartition, Wanted>, now: Instant) -> bool {
        let is_new = |(partition, wanted): (&TopicPartition, &Wanted)| {
            self.partitions.get(partition) != Some(&wanted.offset)
        };
        now >= self.started + SETTLED && wanted.iter().any(is_new)
    }
}

fn new_lane() -> Lane {
    static LANES: AtomicU64 = AtomicU64::new(0);
    Lane::Fetch(LANES.fetch_add(1, Ordering::Relaxed))
}

/// What one of several brokers may send at a time.
fn share_of(bytes: i32, brokers: usize) -> i32 {
    bytes / i32::try_from(brokers.max(1)).unwrap_or(i32::MAX).max(1)
}
