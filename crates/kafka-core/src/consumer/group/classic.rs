//! The classic protocol as one member plays it: join, share out where it leads, sync, heartbeats, leave. Pure: time,
//! chance and the coordinator's answers are arguments, requests are [`Action`]s.
//!
//! A member is eager or cooperative (KIP-429) by the assignor that the group agreed on last, not by what it offers. So
//! one that offers both keeps reading through a rebalance as long as the group is cooperative, and stands still with
//! the others where an eager member has joined. What a rebalance takes away is given up first and joined for again
//! afterwards, under either kind.

mod requests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use super::assignor::{self, Assignor, Topics};
use super::event::{Action, Answer, Identity, Request};
use super::member::Member;
use super::options::GroupOptions;
use super::protocol;
use super::state::MemberState;
use super::steps::Steps;
use super::story::{Ending, position};
use crate::ErrorCode;
use crate::error::{Error, Result};

/// What the leader of a generation remembers of it.
#[derive(Debug)]
struct Leading {
    members: Vec<assignor::Member>,
    assignor: Assignor,
    /// The coordinator has an assignment already (KIP-814): a static leader that came back gives out none.
    skip: bool,
    /// The number of partitions of each topic when they were shared out.
    counts: BTreeMap<Arc<str>, usize>,
}

/// One member under the classic protocol.
#[derive(Debug)]
pub(super) struct Classic {
    member: Member,
    member_id: Arc<str>,
    generation: i32,
    /// What the group agreed on last.
    assignor: Option<Assignor>,
    /// The last assignment and its generation: the sticky assignor's notes.
    remembered: (Vec<crate::TopicPartition>, i32),
    leading: Option<Leading>,
    /// The partitions of all topics that matter, as far as they are known.
    known: Topics,
    /// The subscription changed while the group was rebalancing.
    must_rejoin: bool,
    /// Whether the other protocol may be tried.
    may_change: bool,
}

impl Steps for Classic {
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
            MemberState::Unjoined if self.member.retry_at <= now => self.join(now),
            state if state.is_in_group() && self.member.heartbeat_at <= now => self.heartbeat(now),
            _ => {}
        }
    }

    fn handle_reply(&mut self, answer: Answer, now: Instant, rng: &mut fastrand::Rng) {
        match answer {
            Answer::Join(answer) => self.joined(answer, now, rng),
            Answer::Sync(answer) => self.synced(answer, now, rng),
            Answer::Heartbeat(answer) => match ErrorCode(answer.error_code) {
                ErrorCode::NONE => self.member.heard(now),
                code => self.refused("Heartbeat", code, now, rng),
            },
            _ => {}
        }
    }

    /// What was under way is lost: who was joining joins again, who is in shows itself at once.
    fn try_again(&mut self, now: Instant) {
        match self.member.state() {
            MemberState::Joining | MemberState::Assigning | MemberState::Syncing => {
                self.member.retry_at = now;
                self.member.become_(MemberState::Unjoined);
            }
            _ => self.member.heartbeat_at = now,
        }
    }

    /// The coordinator does not count this member in any more: what it had is others'.
    fn expelled(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        self.member.begin_story(now);
        self.forget_membership();
        self.member.lose_all();
        self.member.retry_at = now + self.member.pause(rng);
        self.member.become_(MemberState::Unjoined);
    }

    fn step_away(&mut self) {
        let request = self.leave_request();
        self.forget_membership();
        self.member_id = "".into();
        self.member.step_away(request);
    }
}

impl Classic {
    /// A member that will join. `may_change`: where the group does not take it, it asks for the other protocol.
    pub(super) fn new(
        options: Arc<GroupOptions>,
        topics: BTreeSet<Arc<str>>,
        may_change: bool,
        now: Instant,
    ) -> Self {
        let mut member = Member::new(options, topics, now);
        member.act(Action::LearnTopics(member.topics.iter().cloned().collect()));
        Self {
            member,
            member_id: "".into(),
            generation: -1,
            assignor: None,
            remembered: (Vec::new(), -1),
            leading: None,
            known: Topics::new(),
            must_rejoin: false,
            may_change,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { member_id: Arc::clone(&self.member_id), generation: self.generation, is_next_gen: false }
    }

    /// Whether it shares the partitions out.
    pub(super) fn leads(&self) -> bool {
        self.leading.is_some()
    }

    /// The topics whose partitions this member has to know.
    pub(super) fn topics_of_interest(&self) -> BTreeSet<Arc<str>> {
        let of_members = self.leading.iter().flat_map(|leading| &leading.members).flat_map(|m| &m.topics);
        self.member.topics.iter().chain(of_members).cloned().collect()
    }

    // Inputs.

    /// The partitions of the topics of interest; `asked` where they answer [`Action::LearnTopics`].
    pub(super) fn handle_topics(&mut self, topics: Topics, asked: bool, now: Instant) {
        self.known = topics;
        match self.member.state() {
            MemberState::Assigning if asked => self.share_out(now),
            MemberState::Stable if self.topics_changed() => self.begin_rebalance(now),
            _ => {}
        }
    }

    /// Other topics from now on.
    pub(super) fn handle_subscribe(&mut self, topics: BTreeSet<Arc<str>>, now: Instant) {
        if topics == self.member.topics {
            return;
        }
        self.member.topics = topics;
        self.member.act(Action::LearnTopics(self.topics_of_interest().into_iter().collect()));
        match self.member.state() {
            MemberState::Stable => self.begin_rebalance(now),
            _ => self.must_rejoin = true,
        }
    }

    /// The user has given up what it was told to, and committed.
    pub(super) fn handle_revoked(&mut self, number: u64, now: Instant, rng: &mut fastrand::Rng) {
        self.wake(now, rng);
        if self.member.revoked(number) {
            self.member.retry_at = now;
            self.member.become_(MemberState::Unjoined);
        }
    }

    /// The user wants out.
    pub(super) fn handle_leave(&mut self, now: Instant) {
        let request = self.leave_request();
        self.generation = -1;
        self.member.leave(request, now);
    }

    // Steps.

    /// `None` where there is nobody to be missed: not a member yet, or a static one, whose place is kept.
    fn leave_request(&self) -> Option<Request> {
        let is_known = !self.member_id.is_empty() && self.member.options.instance_id.is_none();
        is_known.then(|| self.leave_group())
    }

    fn join(&mut self, now: Instant) {
        let limit = self.member.options.max_poll_interval + Duration::from_secs(5);
        self.must_rejoin = false;
        self.member.become_(MemberState::Joining);
        let request = self.join_group();
        self.member.send(request, limit, now);
    }

    fn heartbeat(&mut self, now: Instant) {
        let limit = self.member.heartbeat_limit();
        let request = self.heartbeat_request();
        self.member.send(request, limit, now);
    }

    fn joined(&mut self, answer: JoinGroupResponse, now: Instant, rng: &mut fastrand::Rng) {
        match ErrorCode(answer.error_code) {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.member_id = (&*answer.member_id).into();
                return self.member.become_(MemberState::Unjoined);
            }
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL if self.may_change => {
                return self.member.act(Action::ChangeProtocol);
            }
            code => return self.refused("JoinGroup", code, now, rng),
        }
        self.member.counted_in();
        let name = answer.protocol_name.as_deref().unwrap_or_default();
        let Some(assignor) = Assignor::by_name(name) else {
            let reason = format!("the group agreed on the assignor {name:?}, which was not offered");
            let subject = format!("group {}", self.member.options.group_id);
            return self.member.fail(Error::Corrupt { subject, reason });
        };
        self.member_id = (&*answer.member_id).into();
        self.generation = answer.generation_id;
        self.assignor = Some(assignor);
        self.member.heartbeat_at = now + self.member.pace.interval(now);
        if answer.leader == answer.member_id {
            self.lead(answer, assignor, now);
        } else {
            self.leading = None;
            self.sync(BTreeMap::new(), now);
        }
    }

    fn lead(&mut self, answer: JoinGroupResponse, assignor: Assignor, now: Instant) {
        let skip = answer.skip_assignment;
        let members = answer.members.into_iter().map(|member| {
            let id = Arc::<str>::from(&*member.member_id);
            let instance_id = member.group_instance_id.map(|id| Arc::from(&*id));
            // Whose words cannot be read gets nothing; the others go on.
            assignor::Member::read(Arc::clone(&id), instance_id, assignor, member.metadata)
                .unwrap_or(assignor::Member { id, ..assignor::Member::default() })
        });
        let members: Vec<_> = members.collect();
        self.member.pace.set_members(members.len());
        self.leading = Some(Leading { members, assignor, skip, counts: BTreeMap::new() });
        self.member.become_(MemberState::Assigning);
        let topics = self.topics_of_interest();
        if topics.iter().all(|topic| self.known.contains_key(topic)) {
            self.share_out(now);
        } else {
            self.member.act(Action::LearnTopics(topics.into_iter().collect()));
        }
    }

    fn share_out(&mut self, now: Instant) {
        let counts = self.counts();
        let Some(leading) = &mut self.leading else { return };
        leading.counts = counts;
        let parts = if leading.skip {
            BTreeMap::new()
        } else {
            leading.assignor.assign(&leading.members, &self.known)
        };
        self.sync(parts, now);
    }

    fn sync(&mut self, parts: assignor::Parts, now: Instant) {
        let limit = self.member.options.max_poll_interval + Duration::from_secs(5);
        self.member.become_(MemberState::Syncing);
        let request = self.sync_group(parts);
        self.member.send(request, limit, now);
    }

    fn synced(&mut self, answer: SyncGroupResponse, now: Instant, rng: &mut fastrand::Rng) {
        let code = ErrorCode(answer.error_code);
        if !code.is_ok() {
            return self.refused("SyncGroup", code, now, rng);
        }
        let target: BTreeSet<_> = match protocol::decode_assignment(answer.assignment) {
            Ok(partitions) => partitions.into_iter().collect(),
            Err(malformed) => {
                let subject = format!("group {}: the assignment", self.member.options.group_id);
                return self.member.fail(Error::Corrupt { subject, reason: malformed.to_string() });
            }
        };
        self.member.settled();
        self.member.heard(now);
        self.remembered = (target.iter().cloned().collect(), self.generation);
        let surplus = self.member.adopt(&target);
        self.end_story(target.clone(), now);
        if !surplus.is_empty() {
            self.member.story.go_on(target, now);
            return self.member.revoke(surplus, now);
        }
        self.member.become_(MemberState::Stable);
        if self.must_rejoin || self.topics_changed() {
            self.begin_rebalance(now);
        }
    }

    fn end_story(&mut self, target: BTreeSet<crate::TopicPartition>, now: Instant) {
        let ids = self.leading.as_ref().map(|leading| leading.members.iter().map(|member| &*member.id));
        let ending = Ending {
            protocol: "classic",
            assignor: self.assignor.map(|assignor| assignor.name().into()),
            generation: self.generation,
            member_id: Arc::clone(&self.member_id),
            position: ids.and_then(|ids| position(&self.member_id, ids)),
            is_leader: self.leading.is_some(),
            target,
        };
        let describe = self.leading.is_none().then(|| self.describe());
        self.member.end_story(ending, describe, now);
    }

    /// The group starts over, or this member makes it: gives up what must not be kept, then joins again.
    fn begin_rebalance(&mut self, now: Instant) {
        self.member.begin_story(now);
        self.member.pace.changed(now);
        let keeps = self.assignor.is_some_and(Assignor::is_cooperative);
        let is_kept = |owned: &&crate::TopicPartition| keeps && self.member.topics.contains(&owned.topic);
        let given_up: Vec<_> = self.member.owned.iter().filter(|owned| !is_kept(owned)).cloned().collect();
        if given_up.is_empty() {
            self.member.retry_at = now;
            self.member.become_(MemberState::Unjoined);
        } else {
            self.member.revoke(given_up, now);
        }
    }

    /// A request was refused with this code.
    fn refused(&mut self, api: &'static str, code: ErrorCode, now: Instant, rng: &mut fastrand::Rng) {
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => return self.rebalancing(now, rng),
            ErrorCode::UNKNOWN_MEMBER_ID => self.member_id = "".into(),
            _ => {}
        }
        let error = self.member.error(api, code, None);
        self.follow(code, error, now, rng);
    }

    fn rebalancing(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        match self.member.state() {
            // It is known, and joined for again as soon as the user is done.
            MemberState::Revoking => self.member.heard(now),
            MemberState::Joining => {
                self.member.retry_at = now + self.member.full_pause(rng);
                self.member.become_(MemberState::Unjoined);
            }
            _ => {
                self.member.counted_in();
                self.begin_rebalance(now);
            }
        }
    }

    fn forget_membership(&mut self) {
        self.generation = -1;
        self.leading = None;
    }

    fn counts(&self) -> BTreeMap<Arc<str>, usize> {
        let known = |topic: &Arc<str>| Some((Arc::clone(topic), self.known.get(topic)?.len()));
        self.topics_of_interest().iter().filter_map(known).collect()
    }

    /// Whether topics came, grew or went since this member shared them out.
    fn topics_changed(&self) -> bool {
        self.leading.as_ref().is_some_and(|leading| leading.counts != self.counts())
    }
}
