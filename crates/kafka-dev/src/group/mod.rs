//! All groups of the cluster, and the requests that wait for one of them to decide.
//!
//! The group machines are pure (`classic`, `next_gen`); this hands their answers to whoever waits.

pub(crate) mod classic;
pub(crate) mod next_gen;
pub(crate) mod offsets;
mod persist;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;

use crate::journal::Journal;
use classic::{Answer, ClassicGroup, JoinRequest, Joined, SyncRequest, Synced, Token};
use next_gen::assignor::Topics;
use next_gen::{Beat, Heard, NextGenGroup};
use offsets::Offsets;

/// One group: members under some protocol, and offsets.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) classic: ClassicGroup,
    /// Set once a member came by KIP-848; the classic machine has no members then.
    pub(crate) next_gen: Option<NextGenGroup>,
    pub(crate) offsets: Offsets,
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.classic.is_empty() && self.next_gen.as_ref().is_none_or(NextGenGroup::is_empty)
    }

    pub(crate) fn state_name(&self) -> &'static str {
        self.next_gen.as_ref().map_or_else(|| self.classic.state().name(), NextGenGroup::state_name)
    }

    /// As `ListGroups` names it.
    pub(crate) fn kind_name(&self) -> &'static str {
        if self.next_gen.is_some() { "consumer" } else { "classic" }
    }

    pub(crate) fn protocol_type(&self) -> &str {
        if self.next_gen.is_some() { "consumer" } else { self.classic.protocol_type().unwrap_or("") }
    }

    pub(crate) fn subscribes_to(&self, topic: &str) -> bool {
        self.classic.subscribes_to(topic)
            || self.next_gen.as_ref().is_some_and(|group| group.subscribes_to(topic))
    }

    /// Whether this member may commit.
    pub(crate) fn check_commit(
        &mut self,
        member: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        match &self.next_gen {
            Some(group) => group.check_epoch(member, generation),
            None => self.classic.check_commit(member, instance, generation, now),
        }
    }

    pub(crate) fn expire_all(&mut self, now: Instant) {
        self.classic.expire_all(now);
        if let Some(group) = &mut self.next_gen {
            group.expire_all();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let next_gen = self.next_gen.as_ref().and_then(NextGenGroup::next_deadline);
        self.classic.next_deadline().into_iter().chain(next_gen).min()
    }

    fn tick(&mut self, now: Instant) {
        self.classic.tick(now);
        if let Some(group) = &mut self.next_gen {
            group.tick(now);
        }
    }

    /// Whether something worth keeping changed since this was last asked.
    fn take_changed(&mut self) -> bool {
        let next_gen = self.next_gen.as_mut().is_some_and(NextGenGroup::take_changed);
        self.classic.take_decided() || next_gen
    }
}

/// Groups by id.
#[derive(Debug)]
pub(crate) struct Groups {
    groups: BTreeMap<String, Group>,
    journal: Journal,
    initial_delay: Duration,
    next_token: Token,
    joins: HashMap<Token, oneshot::Sender<Box<Joined>>>,
    syncs: HashMap<Token, oneshot::Sender<Synced>>,
}

impl Groups {
    pub(crate) fn new(initial_delay: Duration, journal: Journal) -> Self {
        Self {
            groups: BTreeMap::new(),
            journal,
            initial_delay,
            next_token: 0,
            joins: HashMap::new(),
            syncs: HashMap::new(),
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.groups.get_mut(id)
    }

    pub(crate) fn get_or_create(&mut self, id: &str) -> &mut Group {
        let initial_delay = self.initial_delay;
        self.groups.entry(id.to_owned()).or_insert_with(|| Group {
            classic: ClassicGroup::new(initial_delay),
            next_gen: None,
            offsets: Offsets::default(),
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(id, group)| (id.as_str(), group))
    }

    /// Forgets a group that has no members.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), ResponseError> {
        let group = self.groups.get(id).ok_or(ResponseError::GroupIdNotFound)?;
        if !group.is_empty() {
            return Err(ResponseError::NonEmptyGroup);
        }
        let offsets: Vec<(String, i32)> =
            group.offsets.iter().map(|(topic, partition, _)| (topic.to_owned(), partition)).collect();
        for (topic, partition) in offsets {
            self.forget_offset(id, &topic, partition).map_err(|_| ResponseError::UnknownServerError)?;
        }
        self.groups.remove(id);
        self.save(id).map_err(|_| ResponseError::UnknownServerError)
    }

    /// Forgets what was committed for a topic that is no more.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        let mut lost = Vec::new();
        for (id, group) in &mut self.groups {
            lost.extend(
                group.offsets.remove_topic(topic).into_iter().map(|partition| (id.clone(), partition)),
            );
        }
        for (id, partition) in lost {
            if let Err(error) = self.forget_offset(&id, topic, partition) {
                tracing::error!(%error, group = id, "cannot write the journal");
            }
        }
    }

    /// A token for a request that will wait.
    fn token(&mut self) -> Token {
        self.next_token += 1;
        self.next_token
    }

    /// Enters a JoinGroup; `request.token` is set here.
    pub(crate) fn join(
        &mut self,
        group: &str,
        mut request: JoinRequest,
        now: Instant,
    ) -> oneshot::Receiver<Box<Joined>> {
        let (sender, receiver) = oneshot::channel();
        request.token = self.token();
        self.joins.insert(request.token, sender);
        let found = self.get_or_create(group);
        // Once its members are gone, a group can be of the other kind.
        found.next_gen.take_if(|next_gen| next_gen.is_empty());
        found.classic.join(request, now);
        self.deliver(group);
        receiver
    }

    /// Enters a SyncGroup; `request.token` is set here. None if there is no such group.
    pub(crate) fn sync(
        &mut self,
        group: &str,
        mut request: SyncRequest,
        now: Instant,
    ) -> Option<oneshot::Receiver<Synced>> {
        let (sender, receiver) = oneshot::channel();
        request.token = self.token();
        let token = request.token;
        self.groups.get_mut(group)?.classic.sync(request, now);
        self.syncs.insert(token, sender);
        self.deliver(group);
        Some(receiver)
    }

    /// Takes a heartbeat of KIP-848. A classic group becomes one of the new kind once its members are gone.
    pub(crate) fn heartbeat(
        &mut self,
        id: &str,
        beat: &Beat,
        topics: &Topics,
        now: Instant,
    ) -> Result<Heard, ResponseError> {
        if beat.epoch != 0 && self.groups.get(id).is_none_or(|group| group.next_gen.is_none()) {
            return Err(ResponseError::UnknownMemberId);
        }
        let group = self.get_or_create(id);
        if !group.classic.is_empty() {
            return Err(ResponseError::GroupIdNotFound);
        }
        let heard = group.next_gen.get_or_insert_default().heartbeat(beat, topics, now);
        self.deliver(id);
        heard
    }

    /// Writes down and sends out what the machine of this group has decided.
    pub(crate) fn deliver(&mut self, id: &str) {
        let Some(group) = self.groups.get_mut(id) else { return };
        if group.take_changed()
            && let Err(error) = self.save(id)
        {
            tracing::error!(%error, group = id, "cannot write the journal");
        }
        let Some(group) = self.groups.get_mut(id) else { return };
        while let Some(answer) = group.classic.poll() {
            // A receiver that is gone is a connection that closed; the member's session tells.
            match answer {
                Answer::Join(token, joined) => {
                    if let Some(waiting) = self.joins.remove(&token) {
                        let _ = waiting.send(Box::new(joined));
                    }
                }
                Answer::Sync(token, synced) => {
                    if let Some(waiting) = self.syncs.remove(&token) {
                        let _ = waiting.send(synced);
                    }
                }
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.groups.values().filter_map(Group::next_deadline).min()
    }

    /// Lets time pass for every group.
    pub(crate) fn tick(&mut self, now: Instant) {
        let due: Vec<String> = self
            .groups
            .iter()
            .filter(|(_, group)| group.next_deadline().is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            if let Some(group) = self.groups.get_mut(&id) {
                group.tick(now);
            }
            self.deliver(&id);
        }
    }
}
