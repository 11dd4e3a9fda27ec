//! A member under one protocol or the other, for a driver that does not mind which. Only passes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::assignor::Topics;
use super::classic::Classic;
use super::event::{Action, Answer, Identity};
use super::member::Member;
use super::next_gen::NextGen;
use super::steps::Steps;
use crate::cluster::Metadata;
use crate::error::Result;

/// One of the two machines.
#[derive(Debug)]
pub(super) enum Machine {
    Classic(Box<Classic>),
    NextGen(Box<NextGen>),
}

macro_rules! either {
    ($self:ident, $machine:ident => $call:expr) => {
        match $self {
            Self::Classic($machine) => $call,
            Self::NextGen($machine) => $call,
        }
    };
}

impl Machine {
    pub(super) fn member(&self) -> &Member {
        either!(self, machine => machine.member())
    }

    /// Whether this member shares the partitions out, and so has to know how many there are.
    pub(super) fn leads(&self) -> bool {
        match self {
            Self::Classic(machine) => machine.leads(),
            Self::NextGen(_) => false,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        either!(self, machine => machine.identity())
    }

    pub(super) fn poll(&mut self, now: Instant, rng: &mut fastrand::Rng) -> Option<Action> {
        either!(self, machine => machine.poll(now, rng))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        either!(self, machine => machine.next_deadline())
    }

    pub(super) fn handle_coordinator(&mut self, found: Result<i32>, now: Instant, rng: &mut fastrand::Rng) {
        either!(self, machine => machine.handle_coordinator(found, now, rng));
    }

    pub(super) fn handle_answer(
        &mut self,
        token: u64,
        answer: Result<Answer>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) {
        either!(self, machine => machine.handle_answer(token, answer, now, rng));
    }

    /// What is known of the cluster; `asked` where it answers [`Action::LearnTopics`] or [`Action::LearnNames`].
    pub(super) fn handle_metadata(&mut self, metadata: &Metadata, asked: bool, now: Instant) {
        match self {
            Self::Classic(machine) => {
                let topics = topics(metadata, &machine.topics_of_interest());
                machine.handle_topics(topics, asked, now);
            }
            Self::NextGen(machine) => machine.handle_names(names(metadata), asked, now),
        }
    }

    pub(super) fn handle_subscribe(
        &mut self,
        topics: BTreeSet<Arc<str>>,
        pattern: Option<String>,
        now: Instant,
    ) {
        match self {
            Self::Classic(machine) => machine.handle_subscribe(topics, now),
            Self::NextGen(machine) => machine.handle_subscribe(topics, pattern, now),
        }
    }

    pub(super) fn handle_revoked(&mut self, number: u64, now: Instant, rng: &mut fastrand::Rng) {
        either!(self, machine => machine.handle_revoked(number, now, rng));
    }

    pub(super) fn handle_polled(&mut self, at: Instant) {
        either!(self, machine => machine.handle_polled(at));
    }

    pub(super) fn handle_commit_refused(&mut self, now: Instant) {
        either!(self, machine => machine.handle_commit_refused(now));
    }

    pub(super) fn handle_leave(&mut self, now: Instant) {
        either!(self, machine => machine.handle_leave(now));
    }
}

fn topics(metadata: &Metadata, wanted: &BTreeSet<Arc<str>>) -> Topics {
    let rack_of = |node: &i32| metadata.brokers.get(node)?.rack.as_deref().map(Arc::from);
    let known = |name: &Arc<str>| {
        let topic = metadata.topic(name).filter(|topic| !topic.partitions.is_empty())?;
        let racks =
            |partition: &crate::cluster::Partition| partition.replicas.iter().filter_map(rack_of).collect();
        Some((Arc::clone(name), topic.partitions.iter().map(racks).collect()))
    };
    wanted.iter().filter_map(known).collect()
}

fn names(metadata: &Metadata) -> BTreeMap<Uuid, Arc<str>> {
    let known = metadata.topics().filter(|topic| !topic.id.is_nil());
    known.map(|topic| (topic.id, Arc::clone(&topic.name))).collect()
}
