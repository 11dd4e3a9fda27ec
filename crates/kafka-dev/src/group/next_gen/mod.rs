//! A group under the consumer protocol of KIP-848: members send heartbeats, the broker assigns, each member walks to its
//! target at its own pace.
//!
//! Pure: heartbeats, topics and the time come in, answers go out. Committed offsets are not here.

pub(crate) mod assignor;
mod heartbeat;
mod member;
mod persist;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;

use assignor::{Assignor, Slot, Target, Topics};
pub(crate) use heartbeat::{Beat, Heard};
pub(crate) use member::{Member, MemberState};

/// `group.consumer.session.timeout.ms`.
const SESSION_TIMEOUT: Duration = Duration::from_secs(45);

/// One group.
#[derive(Debug, Default)]
pub(crate) struct NextGenGroup {
    /// Goes up with every change of members, subscriptions or topics.
    epoch: i32,
    /// The group epoch the target was computed for.
    target_epoch: i32,
    target: Target,
    members: BTreeMap<String, Member>,
    /// The topics the target was computed for.
    topics: Topics,
    /// Set when something changed that is worth keeping.
    changed: bool,
}

impl NextGenGroup {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(crate) fn target_epoch(&self) -> i32 {
        self.target_epoch
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// What a member is to have in the end.
    pub(crate) fn target_of(&self, member: &str) -> BTreeSet<Slot> {
        self.target.get(member).cloned().unwrap_or_default()
    }

    pub(crate) fn subscribes_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| subscribed(member, topic))
    }

    /// As `ListGroups` and `ConsumerGroupDescribe` name it.
    pub(crate) fn state_name(&self) -> &'static str {
        let settled = |m: &Member| m.is_away() || (m.state == MemberState::Stable && m.epoch == self.epoch);
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(settled) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// The assignor most members ask for; `uniform` if none does.
    pub(crate) fn assignor(&self) -> Assignor {
        let votes = self.members.values().filter(|member| member.assignor == Some(Assignor::Range)).count();
        let others = self.members.values().filter(|m| m.assignor == Some(Assignor::Uniform)).count();
        if votes > others { Assignor::Range } else { Assignor::Uniform }
    }

    /// Whether a commit or fetch of offsets by this member of this epoch may stand. Those from outside carry no epoch.
    pub(crate) fn check_epoch(&self, member: &str, epoch: i32) -> Result<(), ResponseError> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member).ok_or(ResponseError::UnknownMemberId)?;
        if member.epoch == epoch { Ok(()) } else { Err(ResponseError::StaleMemberEpoch) }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.members.values().flat_map(|member| [Some(member.deadline), member.revoke_by]);
        deadlines.flatten().min()
    }

    /// Removes members that were silent, or kept partitions, for too long.
    pub(crate) fn tick(&mut self, now: Instant) {
        let late = |m: &Member| m.deadline <= now || m.revoke_by.is_some_and(|by| by <= now);
        let late: Vec<String> = self.members.values().filter(|m| late(m)).map(|m| m.id.clone()).collect();
        for id in late {
            self.remove(&id);
        }
    }

    /// Throws everyone out, as a session time-out would.
    pub(crate) fn expire_all(&mut self) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            self.remove(&id);
        }
    }

    /// Whether something worth keeping changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn remove(&mut self, id: &str) {
        if self.members.remove(id).is_some() {
            self.target.remove(id);
            self.bump();
            self.changed = true;
        }
    }

    /// Begins a new group epoch; changes before the next target share one.
    fn bump(&mut self) {
        self.epoch = self.target_epoch + 1;
    }

    /// Computes the target anew if the group or the topics it reads have changed.
    fn refresh_target(&mut self, topics: &Topics) {
        let read: Topics = topics
            .iter()
            .filter(|(name, _)| self.subscribes_to(name))
            .map(|(n, t)| (n.clone(), *t))
            .collect();
        if read != self.topics {
            self.topics = read;
            self.bump();
        }
        if self.target_epoch == self.epoch {
            return;
        }
        let names = |member: &Member| -> BTreeSet<String> {
            self.topics.keys().filter(|name| subscribed(member, name)).cloned().collect()
        };
        let subscriptions = self.members.values().map(|member| (member.id.clone(), names(member))).collect();
        self.target = self.assignor().assign(&subscriptions, &self.topics, &self.target);
        self.target_epoch = self.epoch;
        self.changed = true;
    }
}

fn subscribed(member: &Member, topic: &str) -> bool {
    let matches = |pattern: &String| {
        regex_lite::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(topic))
    };
    member.topics.contains(topic) || member.regex.as_ref().is_some_and(matches)
}
