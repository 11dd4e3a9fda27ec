//! The protocol of KIP-848 as one member plays it: the broker decides who reads what, and one request, the heartbeat,
//! carries everything. Pure: time, chance and the coordinator's answers are arguments, requests are [`Action`]s.
//!
//! The member says what it owns; the coordinator says what it may own. What is not in that answer is given up first,
//! and only when the member has said so does the coordinator hand it to another one.

mod requests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::ConsumerGroupHeartbeatResponse;
use uuid::Uuid;

use super::event::{Action, Answer, Identity, Request};
use super::member::Member;
use super::options::GroupOptions;
use super::state::MemberState;
use super::steps::Steps;
use super::story::Ending;
use crate::error::Result;
use crate::{ErrorCode, TopicPartition};

/// How long a static member waits for its name to become free: a broker's session time-out and something.
const UNRELEASED_LIMIT: Duration = Duration::from_secs(60);
/// Leaving for good.
const LEAVE_EPOCH: i32 = -1;
/// Leaving as a static member, whose place is kept.
const LEAVE_STATIC_EPOCH: i32 = -2;

/// What the coordinator says this member may own: topic ids and partition numbers.
type Target = BTreeMap<Uuid, BTreeSet<i32>>;

/// One member under the KIP-848 protocol.
#[derive(Debug)]
pub(super) struct NextGen {
    member: Member,
    member_id: Arc<str>,
    epoch: i32,
    pattern: Option<String>,
    target: Target,
    names: BTreeMap<Uuid, Arc<str>>,
    /// The coordinator may not know all about this member: the next heartbeat says everything.
    say_all: bool,
    /// What is owned has changed since the coordinator was told.
    say_owned: bool,
    /// The coordinator has given a part since this member joined.
    has_part: bool,
    first_refused_at: Option<Instant>,
    /// Whether the other protocol may be tried.
    may_change: bool,
}

impl Steps for NextGen {
    fn member(&self) -> &Member {
        &self.member
    }

    fn member_mut(&mut self) -> &mut Member {
        &mut self.member
    }

    fn described_members(answer: &Result<Answer>) -> Option<Vec<String>> {
        requests::described_members(answer)
    }

    fn send_due(&mut self, now: Instant) {
        match self.member.state() {
            MemberState::Unjoined if self.member.retry_at <= now => {
                self.member.become_(MemberState::Joining);
                self.say_all = true;
                self.heartbeat(now);
            }
            state if state.is_in_group() && self.member.heartbeat_at <= now => self.heartbeat(now),
            _ => {}
        }
    }

    fn handle_reply(&mut self, answer: Answer, now: Instant, rng: &mut fastrand::Rng) {
        let Answer::ConsumerHeartbeat(answer) = answer else { return };
        match ErrorCode(answer.error_code) {
            ErrorCode::NONE => self.beat(answer, now),
            code => self.refused(code, answer.error_message.map(|text| text.to_string()), now, rng),
        }
    }

    /// What was under way is lost: who was joining joins again, who is in says everything at once.
    fn try_again(&mut self, now: Instant) {
        self.say_all = true;
        match self.member.state() {
            MemberState::Joining => {
                self.member.retry_at = now;
                self.member.become_(MemberState::Unjoined);
            }
            _ => self.member.heartbeat_at = now,
        }
    }

    /// The membership is gone, and what it had is others'. It joins again under a new id: the coordinator may still
    /// know the old one, and would refuse it at epoch 0 until its session ends. So that one says good-bye.
    fn expelled(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        self.member.begin_story(now);
        let goodbye = self.leave_request();
        self.member.send_aside(goodbye);
        self.forget_membership();
        self.member_id = random_id(rng);
        self.member.lose_all();
        self.member.retry_at = now + self.member.pause(rng);
        self.member.become_(MemberState::Unjoined);
    }

    fn step_away(&mut self) {
        let request = self.leave_request();
        self.forget_membership();
        self.member.step_away(Some(request));
    }
}

impl NextGen {
    /// A member that will join under a random id. With a `pattern` (RE2 syntax) the broker finds the topics.
    pub(super) fn new(
        options: Arc<GroupOptions>,
        topics: BTreeSet<Arc<str>>,
        pattern: Option<String>,
        may_change: bool,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let mut member = Member::new(options, topics, now);
        member.act(Action::LearnTopics(member.topics.iter().cloned().collect()));
        Self {
            member,
            member_id: random_id(rng),
            epoch: 0,
            pattern,
            target: Target::new(),
            names: BTreeMap::new(),
            say_all: true,
            say_owned: false,
            has_part: false,
            first_refused_at: None,
            may_change,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        match self.epoch {
            1.. => {
                Identity { member_id: Arc::clone(&self.member_id), generation: self.epoch, is_next_gen: true }
            }
            _ => Identity::outside(true),
        }
    }

    // Inputs.

    /// Topic names by id, as far as they are known; what was known before stays. `asked` where they answer
    /// [`Action::LearnNames`].
    pub(super) fn handle_names(&mut self, names: BTreeMap<Uuid, Arc<str>>, asked: bool, now: Instant) {
        let before = self.names.len();
        self.names.extend(names);
        let may_help = asked || self.names.len() > before;
        if may_help && self.has_part && self.member.state() == MemberState::Stable {
            self.reconcile(now);
        }
    }

    /// Other topics from now on.
    pub(super) fn handle_subscribe(
        &mut self,
        topics: BTreeSet<Arc<str>>,
        pattern: Option<String>,
        now: Instant,
    ) {
        if topics == self.member.topics && pattern == self.pattern {
            return;
        }
        (self.member.topics, self.pattern) = (topics, pattern);
        self.member.act(Action::LearnTopics(self.member.topics.iter().cloned().collect()));
        (self.say_all, self.member.heartbeat_at) = (true, now);
    }

    /// The user has given up what it was told to, and committed.
    pub(super) fn handle_revoked(&mut self, number: u64, now: Instant, rng: &mut fastrand::Rng) {
        self.wake(now, rng);
        if self.member.revoked(number) {
            self.member.become_(MemberState::Stable);
            self.say_owned_now(now);
            // The coordinator may have asked for something else meanwhile.
            self.reconcile(now);
        }
    }

    /// The user wants out.
    pub(super) fn handle_leave(&mut self, now: Instant) {
        let is_member = self.epoch > 0 || self.member.state() == MemberState::Joining;
        let request = is_member.then(|| self.leave_request());
        self.epoch = 0;
        self.member.leave(request, now);
    }

    // Steps.

    fn heartbeat(&mut self, now: Instant) {
        let limit = self.member.heartbeat_limit();
        let request = self.heartbeat_request(self.say_all, self.say_all || self.say_owned);
        (self.say_all, self.say_owned) = (false, false);
        self.member.send(request, limit, now);
    }

    fn beat(&mut self, answer: ConsumerGroupHeartbeatResponse, now: Instant) {
        let interval = Duration::from_millis(u64::try_from(answer.heartbeat_interval_ms).unwrap_or(0));
        if !interval.is_zero() {
            self.member.pace.set_slowest(interval);
        }
        self.first_refused_at = None;
        self.member.settled();
        self.member.heard(now);
        self.epoch = answer.member_epoch;
        if let Some(id) = answer.member_id.filter(|id| !id.is_empty()) {
            self.member_id = (&*id).into();
        }
        if self.member.state() == MemberState::Joining {
            self.member.become_(MemberState::Stable);
        }
        if let Some(assignment) = answer.assignment {
            let parts = assignment.topic_partitions.into_iter();
            let parts = parts.map(|topic| (topic.topic_id, topic.partitions.into_iter().collect()));
            let before = std::mem::replace(&mut self.target, parts.collect());
            self.has_part = true;
            if self.member.state() == MemberState::Stable {
                self.reconcile(now);
            }
            // A topic that was created anew has the names of what is owned already, under another id.
            self.say_owned |= !before.is_empty() && !before.keys().eq(self.target.keys());
        }
        if self.say_all || self.say_owned {
            self.member.heartbeat_at = now;
        }
    }

    /// Brings what is owned to what may be owned: takes what is new, asks the user to give up what is not in it.
    fn reconcile(&mut self, now: Instant) {
        let target = self.named_target();
        if target == self.member.owned && !self.member.story.is_going_on() {
            return;
        }
        self.member.begin_story(now);
        let changes = target != self.member.owned;
        let surplus = self.member.adopt(&target);
        self.end_story(target, now);
        if !surplus.is_empty() {
            self.member.revoke(surplus, now);
        } else if changes {
            self.say_owned_now(now);
        }
    }

    fn say_owned_now(&mut self, now: Instant) {
        (self.say_owned, self.member.heartbeat_at) = (true, now);
    }

    /// What of the target has a name; the names of the rest are asked for.
    fn named_target(&mut self) -> BTreeSet<TopicPartition> {
        let mut named = BTreeSet::new();
        let mut is_complete = true;
        for (id, numbers) in &self.target {
            match self.names.get(id) {
                Some(name) => {
                    named.extend(numbers.iter().map(|number| TopicPartition::new(Arc::clone(name), *number)));
                }
                None => is_complete = false,
            }
        }
        if !is_complete {
            self.member.act(Action::LearnNames);
        }
        named
    }

    fn end_story(&mut self, target: BTreeSet<TopicPartition>, now: Instant) {
        let ending = Ending {
            protocol: "consumer",
            assignor: self.member.options.server_assignor.as_deref().map(Arc::from),
            generation: self.epoch,
            member_id: Arc::clone(&self.member_id),
            position: None,
            is_leader: false,
            target,
        };
        let describe = self.describe();
        self.member.end_story(ending, Some(describe), now);
    }

    /// The heartbeat was refused with this code.
    fn refused(&mut self, code: ErrorCode, message: Option<String>, now: Instant, rng: &mut fastrand::Rng) {
        let is_joining = self.member.state() == MemberState::Joining;
        let is_other_kind = matches!(
            code,
            ErrorCode::UNSUPPORTED_VERSION
                | ErrorCode::GROUP_ID_NOT_FOUND
                | ErrorCode::INCONSISTENT_GROUP_PROTOCOL
        );
        if is_joining && is_other_kind && self.may_change {
            return self.member.act(Action::ChangeProtocol);
        }
        let error = self.member.error("ConsumerGroupHeartbeat", code, message);
        if code == ErrorCode::UNRELEASED_INSTANCE_ID {
            let since = *self.first_refused_at.get_or_insert(now);
            if now.saturating_duration_since(since) >= UNRELEASED_LIMIT {
                return self.member.fail(error);
            }
        }
        self.say_all = true;
        self.follow(code, error, now, rng);
    }

    fn forget_membership(&mut self) {
        self.epoch = 0;
        self.target.clear();
        self.has_part = false;
        self.say_all = true;
    }
}

/// A random UUID, as members name themselves.
pub(super) fn random_id(rng: &mut fastrand::Rng) -> Arc<str> {
    uuid::Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid().to_string().into()
}

impl NextGen {
    fn leave_request(&self) -> Request {
        let is_static = self.member.options.instance_id.is_some();
        self.leave_heartbeat(if is_static { LEAVE_STATIC_EPOCH } else { LEAVE_EPOCH })
    }
}
