//! A member in the world, with the user behind it: what it reads, what it believes, whether it stands still. And what can
//! happen to it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::assignor::{Assignor, Racks, Topics};
use super::super::classic::Classic;
use super::super::event::{Answer, Request};
use super::super::machine::Machine;
use super::super::next_gen::NextGen;
use super::super::{GroupOptions, GroupProtocol};
use super::world::{PARTITIONS, REBALANCE, Route, SESSION, TOPIC, TOPIC_ID};
use crate::TopicPartition;
use crate::error::Error;

/// What happens in the world.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Start,
    Wake(usize),
    Request { route: Route, node: i32, request: Box<Request> },
    Answer { route: Route, answer: Result<Box<Answer>, Error> },
    Coordinator { member: usize, found: Result<i32, Error> },
    Topics(usize),
    GivenUp { member: usize, number: u64, partitions: Vec<TopicPartition> },
    Tick,
    Trouble,
}

pub(super) struct Player {
    pub(super) machine: Machine,
    /// What its user reads.
    pub(super) reads: BTreeSet<TopicPartition>,
    /// The node it takes for the coordinator.
    pub(super) believes: i32,
    pub(super) frozen_until: Option<Instant>,
    pub(super) is_dead: bool,
    /// Its user takes no records.
    pub(super) busy_until: Instant,
    /// What happened while it stood still.
    pub(super) waiting: Vec<Event>,
    /// The revocation that its user is busy with.
    pub(super) giving_up: Option<u64>,
    /// Its last request arrives then: requests of one member keep their order.
    pub(super) sent_until: Instant,
    /// The wake-up that counts; others are old.
    pub(super) wakes_at: Option<Instant>,
}

impl Player {
    pub(super) fn classic(assignors: &[Assignor], now: Instant) -> Self {
        let machine = Classic::new(Arc::new(options(assignors)), wanted(), false, now);
        Self::with(Machine::Classic(Box::new(machine)), now)
    }

    pub(super) fn next_gen(now: Instant, rng: &mut fastrand::Rng) -> Self {
        let options = Arc::new(options(&[Assignor::Range]));
        let machine = NextGen::new(options, wanted(), None, false, now, rng);
        Self::with(Machine::NextGen(Box::new(machine)), now)
    }

    fn with(machine: Machine, now: Instant) -> Self {
        Self {
            machine,
            reads: BTreeSet::new(),
            believes: 0,
            frozen_until: None,
            is_dead: false,
            busy_until: now,
            waiting: Vec::new(),
            giving_up: None,
            sent_until: now,
            wakes_at: Some(now),
        }
    }

    /// Takes what happens to it. A user who is not busy, and in peace none is, asks for records first.
    pub(super) fn handle(&mut self, event: Event, is_peaceful: bool, now: Instant, rng: &mut fastrand::Rng) {
        if is_peaceful || self.busy_until <= now {
            self.machine.handle_polled(now);
        }
        match event {
            Event::Answer { route: (_, token), answer } => {
                self.machine.handle_answer(token, answer.map(|answer| *answer), now, rng);
            }
            Event::Coordinator { found, .. } => {
                self.believes = *found.as_ref().unwrap_or(&self.believes);
                self.machine.handle_coordinator(found, now, rng);
            }
            Event::Topics(_) => match &mut self.machine {
                Machine::Classic(machine) => {
                    let topics = Topics::from([(TOPIC.into(), vec![Racks::new(); PARTITIONS as usize])]);
                    machine.handle_topics(topics, true, now);
                }
                Machine::NextGen(machine) => {
                    machine.handle_names([(TOPIC_ID, TOPIC.into())].into(), true, now);
                }
            },
            Event::GivenUp { number, partitions, .. } => {
                if self.giving_up.take_if(|pending| *pending == number).is_some() {
                    self.reads.retain(|read| !partitions.contains(read));
                }
                self.machine.handle_revoked(number, now, rng);
            }
            Event::Start | Event::Wake(_) | Event::Request { .. } | Event::Tick | Event::Trouble => {}
        }
    }
}

fn wanted() -> BTreeSet<Arc<str>> {
    BTreeSet::from([Arc::from(TOPIC)])
}

fn options(assignors: &[Assignor]) -> GroupOptions {
    let options = GroupOptions::of_a_test(GroupProtocol::Classic, assignors);
    GroupOptions { session_timeout: SESSION, max_poll_interval: REBALANCE, ..options }
}
