//! A group under the classic protocol (KIP-62, 345, 394, 429): members join, the leader assigns, all sync.
//!
//! Pure: requests and the time come in, answers go out through [`ClassicGroup::poll`]. Committed offsets are not
//! here (`offsets.rs`), nor is which broker coordinates.

mod join;
mod member;
mod persist;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

pub(crate) use join::JoinRequest;
pub(crate) use member::{Member, Token};
pub(crate) use sync::SyncRequest;

/// Where a group stands, named as `DescribeGroups` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// What a JoinGroup is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) error: Option<ResponseError>,
    pub(crate) member_id: String,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    /// Filled for the leader: member, instance, metadata.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

/// What a SyncGroup is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) error: Option<ResponseError>,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignment: Bytes,
}

/// An answer to a request that came in earlier, or just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Join(Token, Joined),
    Sync(Token, Synced),
}

/// One group.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    state: State,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Member ids handed out with MEMBER_ID_REQUIRED (KIP-394) and until when they may join.
    pending: BTreeMap<String, Instant>,
    /// When the rebalance goes on without those who have not joined or synced.
    rebalance_deadline: Option<Instant>,
    /// A rebalance that starts from an empty group waits this long for more members (KIP-134).
    initial_delay: Duration,
    in_initial_delay: bool,
    /// Set when an assignment was handed in or the group became empty.
    decided: bool,
    answers: VecDeque<Answer>,
}

impl ClassicGroup {
    pub(crate) fn new(initial_delay: Duration) -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            pending: BTreeMap::new(),
            rebalance_deadline: None,
            initial_delay,
            in_initial_delay: false,
            decided: false,
            answers: VecDeque::new(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// The assignor in use.
    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Whether nothing but committed offsets would be lost with the group.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    /// The next answer to send.
    pub(crate) fn poll(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// When [`Self::tick`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let sessions = self.members.values().filter(|m| m.joining.is_none() && m.syncing.is_none());
        let sessions = sessions.map(|member| member.deadline);
        sessions.chain(self.pending.values().copied()).chain(self.rebalance_deadline).min()
    }

    /// Expires sessions and rebalances whose time is over.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.pending.retain(|_, deadline| *deadline > now);
        let expired: Vec<String> =
            self.members.values().filter(|m| m.is_expired(now)).map(|m| m.id.clone()).collect();
        for id in expired {
            self.remove(&id, now);
        }
        if self.rebalance_deadline.is_some_and(|deadline| deadline <= now) {
            match self.state {
                State::PreparingRebalance => self.give_up_on_absent(now),
                State::CompletingRebalance => self.give_up_on_unsynced(now),
                State::Empty | State::Stable => self.rebalance_deadline = None,
            }
        } else {
            self.complete_join_if_all_here(now);
        }
    }

    /// A sign of life; the error tells the member what to do.
    pub(crate) fn heartbeat(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        self.check_member(member_id, instance)?;
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        if let Some(member) = self.members.get_mut(member_id) {
            member.heard(now);
        }
        match self.state {
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// Takes a member out at its own wish; static members are named by instance alone (KIP-345).
    pub(crate) fn leave(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let id = match instance {
            Some(instance) if member_id.is_empty() => {
                let id = self.member_of_instance(instance).ok_or(ResponseError::UnknownMemberId)?;
                id.to_owned()
            }
            _ => {
                if self.pending.remove(member_id).is_some() {
                    self.complete_join_if_all_here(now);
                    return Ok(());
                }
                self.check_member(member_id, instance)?;
                member_id.to_owned()
            }
        };
        self.remove(&id, now);
        Ok(())
    }

    /// Whether a commit by this member of this generation may stand. Commits from outside carry no generation and are
    /// welcome only while nobody is in the group.
    pub(crate) fn check_commit(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance.is_none() {
            return Err(ResponseError::UnknownMemberId);
        }
        self.check_member(member_id, instance)?;
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        if self.state == State::CompletingRebalance {
            return Err(ResponseError::RebalanceInProgress);
        }
        if let Some(member) = self.members.get_mut(member_id) {
            member.heard(now);
        }
        Ok(())
    }

    /// Throws everyone out, as a session time-out would; tests ask for it.
    pub(crate) fn expire_all(&mut self, now: Instant) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            self.remove(&id, now);
        }
    }

    /// Whether a member of a group of consumers reads this topic.
    pub(crate) fn subscribes_to(&self, topic: &str) -> bool {
        let reads = |member: &Member| {
            let metadata = self.protocol.as_deref().map(|protocol| member.metadata(protocol));
            metadata.is_some_and(|metadata| subscription::topics(metadata).iter().any(|name| name == topic))
        };
        self.protocol_type.as_deref() == Some("consumer") && self.members.values().any(reads)
    }

    fn member_of_instance(&self, instance: &str) -> Option<&str> {
        let member = self.members.values().find(|member| member.instance.as_deref() == Some(instance))?;
        Some(&member.id)
    }

    fn check_member(&self, member_id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        if let Some(instance) = instance {
            return match self.member_of_instance(instance) {
                Some(known) if known == member_id => Ok(()),
                Some(_) => Err(ResponseError::FencedInstanceId),
                None => Err(ResponseError::UnknownMemberId),
            };
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    /// Takes a member out and rebalances the rest.
    fn remove(&mut self, id: &str, now: Instant) {
        let Some(member) = self.members.remove(id) else { return };
        if let Some(token) = member.joining {
            self.answers.push_back(Answer::Join(token, Joined::refused(id, ResponseError::UnknownMemberId)));
        }
        if let Some(token) = member.syncing {
            self.answers.push_back(Answer::Sync(token, Synced::refused(ResponseError::UnknownMemberId)));
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(now),
            State::PreparingRebalance => self.complete_join_if_all_here(now),
            State::Empty => {}
        }
    }

    /// Calls for a new round of joins.
    fn prepare_rebalance(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            member.synced = false;
            if let Some(token) = member.syncing.take() {
                let refused = Synced::refused(ResponseError::RebalanceInProgress);
                self.answers.push_back(Answer::Sync(token, refused));
                member.heard(now);
            }
        }
        let longest = self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
        self.in_initial_delay = self.state == State::Empty && !self.initial_delay.is_zero();
        self.state = State::PreparingRebalance;
        self.rebalance_deadline =
            Some(now + if self.in_initial_delay { self.initial_delay } else { longest });
        self.complete_join_if_all_here(now);
    }

    /// The assignors that every member knows.
    fn common_protocols(&self) -> BTreeSet<&str> {
        let mut members = self.members.values();
        let names = |member: &'_ Member| -> BTreeSet<String> {
            member.protocols.iter().map(|(name, _)| name.clone()).collect()
        };
        let Some(first) = members.next() else { return BTreeSet::new() };
        let others: Vec<BTreeSet<String>> = members.map(names).collect();
        let known = first.protocols.iter().map(|(name, _)| name.as_str());
        known.filter(|name| others.iter().all(|other| other.contains(*name))).collect()
    }

    /// Each member votes for its best assignor among the common ones.
    fn elect_protocol(&self) -> Option<String> {
        let common = self.common_protocols();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let best = member.protocols.iter().find(|(name, _)| common.contains(name.as_str()));
            if let Some((name, _)) = best {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned())
    }
}
