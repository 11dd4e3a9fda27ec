//! All groups of the cluster, and the requests that wait for one of them to decide.
//!
//! The group machines are pure (`classic`); this hands their answers to whoever waits.

pub(crate) mod classic;
pub(crate) mod offsets;
mod persist;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;

use crate::journal::Journal;
use classic::{Answer, ClassicGroup, JoinRequest, Joined, SyncRequest, Synced, Token};
use offsets::Offsets;

/// One group: members under some protocol, and offsets.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) classic: ClassicGroup,
    pub(crate) offsets: Offsets,
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
            offsets: Offsets::default(),
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(id, group)| (id.as_str(), group))
    }

    /// Forgets a group that has no members.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), ResponseError> {
        let group = self.groups.get(id).ok_or(ResponseError::GroupIdNotFound)?;
        if !group.classic.is_empty() {
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
        self.get_or_create(group).classic.join(request, now);
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

    /// Writes down and sends out what the machine of this group has decided.
    pub(crate) fn deliver(&mut self, id: &str) {
        let Some(group) = self.groups.get_mut(id) else { return };
        if group.classic.take_decided()
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
        self.groups.values().filter_map(|group| group.classic.next_deadline()).min()
    }

    /// Lets time pass for every group.
    pub(crate) fn tick(&mut self, now: Instant) {
        let due: Vec<String> = self
            .groups
            .iter()
            .filter(|(_, group)| group.classic.next_deadline().is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            if let Some(group) = self.groups.get_mut(&id) {
                group.classic.tick(now);
            }
            self.deliver(&id);
        }
    }
}
