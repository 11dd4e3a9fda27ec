//! ConsumerGroupHeartbeat: joining, staying, leaving, and the assignment that comes back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;

use super::assignor::{Assignor, Slot, Topics};
use super::member::AWAY_EPOCH;
use super::{Member, NextGenGroup, SESSION_TIMEOUT};

const JOIN_EPOCH: i32 = 0;
const LEAVE_EPOCH: i32 = -1;

/// A heartbeat as the machine needs it. None means unchanged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beat {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) instance: Option<String>,
    pub(crate) rack: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout: Option<Duration>,
    pub(crate) topics: Option<BTreeSet<String>>,
    /// An empty pattern ends the subscription by pattern.
    pub(crate) regex: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) owned: Option<BTreeSet<Slot>>,
}

/// What the member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    /// None where nothing changed for it.
    pub(crate) assignment: Option<BTreeSet<Slot>>,
}

impl NextGenGroup {
    /// Takes a heartbeat.
    pub(crate) fn heartbeat(
        &mut self,
        beat: &Beat,
        topics: &Topics,
        now: Instant,
    ) -> Result<Heard, ResponseError> {
        match beat.epoch {
            LEAVE_EPOCH | AWAY_EPOCH => return self.leave(beat, now),
            JOIN_EPOCH => self.enter(beat, now)?,
            _ => self.check(beat)?,
        }
        let before = self.members.get(&beat.member_id).map(|member| (member.epoch, member.assigned.clone()));
        self.update(beat, now)?;
        self.refresh_target(topics);
        self.reconcile(beat, now);
        let member = self.members.get(&beat.member_id).ok_or(ResponseError::UnknownMemberId)?;
        let moved = before != Some((member.epoch, member.assigned.clone()));
        self.changed |= moved;
        let tells = beat.epoch == JOIN_EPOCH || beat.is_full() || moved;
        Ok(Heard {
            member_id: member.id.clone(),
            epoch: member.epoch,
            assignment: tells.then(|| member.assigned.clone()),
        })
    }

    fn enter(&mut self, beat: &Beat, now: Instant) -> Result<(), ResponseError> {
        let complete = beat.rebalance_timeout.is_some() && (beat.topics.is_some() || beat.regex.is_some());
        if !complete || beat.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return Err(ResponseError::InvalidRequest);
        }
        if beat.assignor.as_deref().is_some_and(|name| Assignor::named(name).is_none()) {
            return Err(ResponseError::UnsupportedAssignor);
        }
        let holder = beat.instance.as_ref().and_then(|instance| self.of_instance(instance));
        match holder.filter(|holder| *holder != beat.member_id) {
            Some(holder) => self.replace(&holder, beat),
            None if self.members.contains_key(&beat.member_id) => Ok(()),
            None => {
                self.members.insert(beat.member_id.clone(), Member::new(&beat.member_id, now));
                self.bump();
                Ok(())
            }
        }
    }

    /// A static member that was away comes back under a new id and finds its partitions again.
    fn replace(&mut self, holder: &str, beat: &Beat) -> Result<(), ResponseError> {
        if !self.members.get(holder).is_some_and(Member::is_away) {
            return Err(ResponseError::UnreleasedInstanceId);
        }
        if let Some(mut member) = self.members.remove(holder) {
            member.id.clone_from(&beat.member_id);
            member.epoch = self.target_epoch;
            if let Some(target) = self.target.remove(holder) {
                self.target.insert(beat.member_id.clone(), target);
            }
            self.members.insert(beat.member_id.clone(), member);
            self.changed = true;
        }
        Ok(())
    }

    fn of_instance(&self, instance: &str) -> Option<String> {
        let holder = self.members.values().find(|member| member.instance.as_deref() == Some(instance))?;
        Some(holder.id.clone())
    }

    fn check(&self, beat: &Beat) -> Result<(), ResponseError> {
        if let Some(instance) = &beat.instance {
            match self.of_instance(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(holder) if holder != beat.member_id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        let member = self.members.get(&beat.member_id).ok_or(ResponseError::UnknownMemberId)?;
        // A member whose last answer was lost is one epoch behind; that is fine as long as it owns nothing that it lost.
        let repeats = beat.epoch == member.previous_epoch
            && beat.owned.as_ref().is_some_and(|owned| owned.is_subset(&member.assigned));
        if beat.epoch == member.epoch || repeats { Ok(()) } else { Err(ResponseError::FencedMemberEpoch) }
    }

    fn leave(&mut self, beat: &Beat, now: Instant) -> Result<Heard, ResponseError> {
        let holder = beat.instance.as_ref().and_then(|instance| self.of_instance(instance));
        let id = holder.unwrap_or_else(|| beat.member_id.clone());
        if id != beat.member_id {
            return Err(ResponseError::FencedInstanceId);
        }
        let member = self.members.get_mut(&id).ok_or(ResponseError::UnknownMemberId)?;
        if beat.epoch == AWAY_EPOCH && member.instance.is_some() {
            member.epoch = AWAY_EPOCH;
            member.deadline = now + SESSION_TIMEOUT;
            self.changed = true;
        } else {
            self.remove(&id);
        }
        Ok(Heard { member_id: id, epoch: beat.epoch, assignment: None })
    }

    /// Takes over what the heartbeat changes about the member.
    fn update(&mut self, beat: &Beat, now: Instant) -> Result<(), ResponseError> {
        let regex = beat.regex.clone().map(|pattern| Some(pattern).filter(|pattern| !pattern.is_empty()));
        if let Some(Some(pattern)) = &regex
            && regex_lite::Regex::new(pattern).is_err()
        {
            return Err(ResponseError::InvalidRegularExpression);
        }
        let member = self.members.get_mut(&beat.member_id).ok_or(ResponseError::UnknownMemberId)?;
        member.deadline = now + SESSION_TIMEOUT;
        member.client_id.clone_from(&beat.client_id);
        member.client_host.clone_from(&beat.client_host);
        member.instance = beat.instance.clone().or(member.instance.take());
        member.rack = beat.rack.clone().or(member.rack.take());
        member.rebalance_timeout = beat.rebalance_timeout.unwrap_or(member.rebalance_timeout);
        let before = (member.topics.clone(), member.regex.clone(), member.assignor);
        if let Some(topics) = &beat.topics {
            member.topics.clone_from(topics);
        }
        if let Some(regex) = regex {
            member.regex = regex;
        }
        if let Some(name) = &beat.assignor {
            member.assignor = Some(Assignor::named(name).ok_or(ResponseError::UnsupportedAssignor)?);
        }
        if before != (member.topics.clone(), member.regex.clone(), member.assignor) {
            self.bump();
        }
        Ok(())
    }

    fn reconcile(&mut self, beat: &Beat, now: Instant) {
        let target = self.target_of(&beat.member_id);
        let target_epoch = self.target_epoch;
        let held: BTreeSet<Slot> = self
            .members
            .values()
            .filter(|other| other.id != beat.member_id)
            .flat_map(|other| other.assigned.union(&other.revoking).copied())
            .collect();
        if let Some(member) = self.members.get_mut(&beat.member_id) {
            member.reconcile(&target, target_epoch, beat.owned.as_ref(), |slot| !held.contains(slot), now);
        }
    }
}

impl Beat {
    /// Whether the client told everything, which asks for everything back.
    fn is_full(&self) -> bool {
        let subscription = self.topics.is_some() || self.regex.is_some();
        self.rebalance_timeout.is_some() && subscription && self.owned.is_some()
    }
}
