//! The sender's view of each broker: connected or not, how much is in flight, whether it has to be left alone for a while;
//! and what follows from the silence of one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::accumulator::Accumulator;
use super::output::Output;
use super::sender::Sender;
use crate::error::Error;

/// How long a broker may stay silent, with requests in flight or while it is being connected to, before the client asks
/// whether its partitions have moved, and sends what may go to any partition elsewhere.
pub(super) const SILENCE: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Down,
    Connecting,
    Up,
}

#[derive(Debug)]
pub(super) struct Broker {
    pub(super) link: Link,
    pub(super) in_flight: usize,
    /// Throttled by the broker (KIP-219), or just failed to connect.
    pub(super) not_before: Option<Instant>,
    /// When it was heard of last, or the first of the requests in flight left, or connecting began.
    pub(super) heard_at: Instant,
    pub(super) last_error: Option<Error>,
}

impl Broker {
    pub(super) fn can_take(&self, now: Instant, max_in_flight: usize) -> bool {
        self.link == Link::Up && !self.is_left_alone(now) && self.in_flight < max_in_flight
    }

    fn is_left_alone(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|instant| now < instant)
    }

    /// When its silence is long enough to be noticed; none where nothing is to be heard of it.
    pub(super) fn silent_at(&self, now: Instant) -> Option<Instant> {
        let is_pausing = self.link == Link::Down && self.is_left_alone(now);
        let is_awaited = self.in_flight > 0 || self.link == Link::Connecting || is_pausing;
        is_awaited.then(|| self.heard_at + SILENCE)
    }
}

/// The broker `id`, which is not connected where nothing is known of it.
pub(super) fn broker(brokers: &mut BTreeMap<i32, Broker>, id: i32, now: Instant) -> &mut Broker {
    brokers.entry(id).or_insert_with(|| Broker {
        link: Link::Down,
        in_flight: 0,
        not_before: None,
        heard_at: now,
        last_error: None,
    })
}

/// Has a connection made, where there is none and it is time.
pub(super) fn connect(broker: &mut Broker, id: i32, now: Instant, outputs: &mut VecDeque<Output>) {
    if broker.link == Link::Down && !broker.is_left_alone(now) {
        broker.link = Link::Connecting;
        if broker.last_error.is_none() {
            broker.heard_at = now;
        }
        outputs.push_back(Output::Connect(id));
    }
}

impl Sender {
    pub(super) fn listen_for_silence(&mut self, accumulator: &mut Accumulator, now: Instant) {
        let is_silent = |broker: &Broker| broker.silent_at(now).is_some_and(|at| at <= now);
        let silent = self.brokers.iter().filter(|(_, broker)| is_silent(broker));
        let silent: BTreeSet<i32> = silent.map(|(id, _)| *id).collect();
        self.wants_refresh |= !silent.is_empty();
        if silent != self.silent {
            self.silent = silent;
            self.steer(accumulator);
        }
    }

    /// Records that may go to any partition go to one whose leader answers, where there is one.
    pub(super) fn steer(&self, accumulator: &mut Accumulator) {
        let mut led: BTreeMap<usize, (Vec<i32>, Vec<i32>)> = BTreeMap::new();
        for (slot, partition) in &self.partitions {
            let Some(leader) = partition.leader else { continue };
            let (all, answering) = led.entry(slot.topic).or_default();
            all.push(partition.name.partition);
            if !self.silent.contains(&leader) {
                answering.push(partition.name.partition);
            }
        }
        for (topic, (all, answering)) in led {
            accumulator.set_available(topic, if answering.is_empty() { all } else { answering });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kafka_protocol::messages::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };
    use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
    use kafka_protocol::messages::{BrokerId, MetadataResponse, ProduceResponse, TopicName};
    use kafka_protocol::protocol::StrBytes;

    use super::*;
    use crate::cluster::Metadata;
    use crate::error::ConnectFailure;
    use crate::producer::sequence::Identity;
    use crate::producer::{Partitioner, ProducerOptions};
    use crate::record::RecordRef;

    /// Two partitions, led by brokers 1 and 2, and records that go to each in turn.
    struct World {
        sender: Sender,
        accumulator: Accumulator,
        topic: usize,
        now: Instant,
    }

    fn topic_name() -> TopicName {
        TopicName(StrBytes::from_static_str("t"))
    }

    fn metadata() -> Metadata {
        let partition = |number| {
            MetadataResponsePartition::default()
                .with_partition_index(number)
                .with_leader_id(BrokerId(number + 1))
                .with_leader_epoch(1)
        };
        let topic = MetadataResponseTopic::default()
            .with_name(Some(topic_name()))
            .with_partitions(vec![partition(0), partition(1)]);
        let broker = |id| {
            let host = StrBytes::from_static_str("h");
            MetadataResponseBroker::default().with_node_id(BrokerId(id)).with_host(host).with_port(1)
        };
        let answer =
            MetadataResponse::default().with_topics(vec![topic]).with_brokers(vec![broker(1), broker(2)]);
        Metadata::default().merged(answer, false, Instant::now())
    }

    impl World {
        fn new() -> Self {
            let options = ProducerOptions {
                linger: Duration::ZERO,
                partitioner: Partitioner::RoundRobin,
                ..ProducerOptions::default()
            };
            let pauses = (Duration::from_millis(100), Duration::from_secs(1));
            let mut rng = fastrand::Rng::with_seed(1);
            let mut accumulator = Accumulator::new(options.limits(), options.partitioner, rng.fork());
            let topic = accumulator.topic(&Arc::from("t"), 2, vec![0, 1]);
            let mut sender = Sender::new(options.sender(pauses), rng);
            sender.handle_metadata(&metadata(), &mut accumulator);
            sender.handle_identity(Ok(Identity { producer_id: 1, epoch: 0 }));
            Self { sender, accumulator, topic, now: Instant::now() }
        }

        fn append(&mut self, partition: Option<i32>) -> i32 {
            let record = RecordRef::default();
            let taken = self.accumulator.append(self.topic, partition, &record, (self.now, 0), None);
            taken.unwrap().partition
        }

        fn outputs(&mut self) -> Vec<Output> {
            std::iter::from_fn(|| self.sender.poll(&mut self.accumulator, self.now)).collect()
        }

        /// Where the next records go.
        fn chosen(&mut self) -> BTreeSet<i32> {
            (0..4).map(|_| self.append(None)).collect()
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
            self.outputs();
        }

        /// Connects to broker 1 and sends it one record; the number of the request.
        fn send(&mut self) -> u64 {
            self.append(Some(0));
            self.outputs();
            self.sender.handle_connection(1, Ok(()), self.now);
            let sent = self.outputs().into_iter().find_map(|output| match output {
                Output::Send { broker: 1, request, .. } => Some(request),
                _ => None,
            });
            sent.unwrap()
        }
    }

    #[test]
    fn records_without_a_place_go_past_a_broker_that_does_not_answer_and_back_to_it_when_it_does() {
        let mut world = World::new();
        let request = world.send();
        world.wait(SILENCE / 2);
        assert_eq!(world.chosen(), BTreeSet::from([0, 1]));
        world.wait(SILENCE);
        assert_eq!(world.chosen(), BTreeSet::from([1]));
        let written = PartitionProduceResponse::default().with_index(0);
        let topic =
            TopicProduceResponse::default().with_name(topic_name()).with_partition_responses(vec![written]);
        let answer = Ok(ProduceResponse::default().with_responses(vec![topic]));
        world.sender.handle_answer(request, &answer, &mut world.accumulator, world.now);
        world.outputs();
        assert_eq!(world.chosen(), BTreeSet::from([0, 1]));
    }

    #[test]
    fn a_broker_that_takes_no_connection_gets_no_records_that_may_go_elsewhere() {
        let mut world = World::new();
        world.append(Some(0));
        world.outputs();
        world.wait(SILENCE);
        assert_eq!(world.chosen(), BTreeSet::from([1]));
        // It fails, is tried again after a pause, and is as silent as before.
        let refused = Error::Connect { broker: "b".into(), failure: ConnectFailure::Tcp("refused".into()) };
        world.sender.handle_connection(1, Err(refused), world.now);
        world.wait(Duration::from_millis(1));
        assert_eq!(world.chosen(), BTreeSet::from([1]));
        world.wait(Duration::from_secs(1));
        assert_eq!(world.chosen(), BTreeSet::from([1]));
        world.sender.handle_connection(1, Ok(()), world.now);
        world.wait(Duration::from_millis(1));
        assert_eq!(world.chosen(), BTreeSet::from([0, 1]));
    }

    #[test]
    fn where_nobody_answers_every_partition_will_do() {
        let mut world = World::new();
        for partition in [0, 1] {
            world.append(Some(partition));
        }
        world.outputs();
        world.wait(SILENCE);
        assert_eq!(world.chosen(), BTreeSet::from([0, 1]));
    }
}
