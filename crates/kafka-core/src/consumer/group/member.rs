//! What a member is under either protocol: its state, its partitions, its coordinator, what is under way and what is to
//! be done next. The protocols' own steps stand in `classic` and `next_gen`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::{Action, Request, Told};
use super::link::Link;
use super::options::GroupOptions;
use super::pace::Pace;
use super::standstill::{Slept, Standstill};
use super::state::MemberState;
use super::story::{Ending, Story};
use crate::error::{ConnectFailure, Error, RequestFailure};
use crate::{Backoff, ErrorCode, Reaction, TopicPartition};

/// How long a good-bye may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);
/// How long the description of the group may take; it is for the story only.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(2);
/// How often a broker may answer "unknown server error" in a row before it is believed.
const UNEXPLAINED_LIMIT: u32 = 5;

/// A request whose answer decides what comes next. There is one at a time.
#[derive(Debug)]
struct Outstanding {
    token: u64,
    /// When silence becomes suspicious.
    doubt_at: Instant,
}

/// Partitions that the user was told to give up.
#[derive(Debug)]
struct Revocation {
    number: u64,
    partitions: Vec<TopicPartition>,
    until: Instant,
}

/// What to do about an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same again, later.
    Again,
    /// Elsewhere.
    Elsewhere,
    /// The membership is gone: lose everything, join again.
    Expelled,
    /// Final.
    Fail,
}

/// What both protocols have in common.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) options: Arc<GroupOptions>,
    pub(super) topics: BTreeSet<Arc<str>>,
    pub(super) owned: BTreeSet<TopicPartition>,
    pub(super) link: Link,
    pub(super) pace: Pace,
    pub(super) story: Story,
    pub(super) heartbeat_at: Instant,
    /// Before this instant nobody asks to be let in.
    pub(super) retry_at: Instant,
    pub(super) polled_at: Instant,
    state: MemberState,
    backoff: Backoff,
    unexplained: u32,
    outstanding: Option<Outstanding>,
    revocation: Option<Revocation>,
    leave_until: Option<Instant>,
    standstill: Standstill,
    numbers: u64,
    /// The request that was answered last.
    answered: u64,
    actions: VecDeque<Action>,
}

impl Member {
    pub(super) fn new(options: Arc<GroupOptions>, topics: BTreeSet<Arc<str>>, now: Instant) -> Self {
        let (pause, max_pause) = options.retry_backoff;
        Self {
            topics,
            owned: BTreeSet::new(),
            link: Link::new(options.retry_backoff, now),
            pace: Pace::new(options.heartbeat_interval, now),
            story: Story::new(now),
            heartbeat_at: now,
            retry_at: now,
            polled_at: now,
            state: MemberState::Unjoined,
            backoff: Backoff::new(pause, max_pause),
            unexplained: 0,
            outstanding: None,
            revocation: None,
            leave_until: None,
            standstill: Standstill::new(now),
            numbers: 0,
            answered: 0,
            actions: VecDeque::new(),
            options,
        }
    }

    pub(super) fn state(&self) -> MemberState {
        self.state
    }

    pub(super) fn become_(&mut self, next: MemberState) {
        debug_assert!(self.state.may_become(next), "{:?} to {next:?}", self.state);
        if self.state != next {
            tracing::debug!(target: "kafka_core::group", group = &*self.options.group_id, from = ?self.state, to = ?next);
        }
        if next == MemberState::Unjoined {
            // Whatever is under way belongs to what was.
            self.outstanding = None;
        }
        self.state = next;
    }

    // Actions.

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn tell(&mut self, told: Told) {
        self.act(Action::Tell(Box::new(told)));
    }

    pub(super) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.outstanding = None;
        if !self.state.is_final() && self.state != MemberState::Leaving {
            self.lose_all();
            self.tell_untold();
            self.tell(Told::Failed(error));
            self.become_(MemberState::Failed);
        }
    }

    // Requests under way.

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Sends the request whose answer decides what comes next; an earlier one is not waited for any more.
    pub(super) fn send(&mut self, request: Request, limit: Duration, now: Instant) {
        let token = self.number();
        self.outstanding = Some(Outstanding { token, doubt_at: now + self.patience() });
        self.act(Action::Send { token, request: Box::new(request), limit });
    }

    /// Whether this is the answer that is waited for.
    pub(super) fn takes(&mut self, token: u64) -> bool {
        let is_awaited = self.outstanding.take_if(|waiting| waiting.token == token).is_some();
        self.answered = if is_awaited { token } else { self.answered };
        is_awaited
    }

    /// How long the coordinator may be silent before it is asked whether another one has taken over.
    fn patience(&self) -> Duration {
        (self.options.session_timeout / 3).clamp(Duration::from_millis(500), Duration::from_secs(3))
    }

    /// How long an answer to a heartbeat is waited for. Then the next one goes over a new connection, while the session
    /// lasts: the old one may lead nowhere, though nobody has closed it.
    pub(super) fn heartbeat_limit(&self) -> Duration {
        self.options.request_timeout.min(self.patience() * 2)
    }

    /// What follows from the time alone, under either protocol. True where the user has been away too long.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let patience = self.patience();
        if let Some(waiting) = self.outstanding.as_mut().filter(|waiting| waiting.doubt_at <= now) {
            waiting.doubt_at = now + patience;
            self.link.doubt(now);
        }
        if self.link.poll(now) {
            self.act(Action::FindCoordinator);
        }
        if self.leave_until.is_some_and(|until| until <= now) {
            self.left();
        }
        let is_present = self.state.is_in_group() || self.state == MemberState::Joining;
        is_present && self.polled_at + self.options.max_poll_interval <= now
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let heartbeat = self.heartbeat_at;
        let can_send = self.outstanding.is_none() && self.link.is_known();
        let nap = self.standstill.next_look(self.standstill_limit());
        [
            self.link.next_deadline(),
            self.outstanding.as_ref().map(|waiting| waiting.doubt_at),
            self.revocation.as_ref().map(|revocation| revocation.until),
            self.leave_until,
            (can_send && self.state.is_in_group()).then_some(heartbeat),
            (can_send && self.state == MemberState::Unjoined).then_some(self.retry_at),
            self.state.is_in_group().then_some(self.polled_at + self.options.max_poll_interval),
            self.has_something_at_stake().then_some(nap),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn standstill_limit(&self) -> Duration {
        Standstill::limit(self.options.session_timeout, self.pace.slowest())
    }

    /// Whether this process itself stood still, while it owned something or was about to.
    pub(super) fn look_at_clock(&mut self, now: Instant) -> Slept {
        let (limit, session) = (self.standstill_limit(), self.options.session_timeout);
        let slept = self.standstill.look(now, limit, session, self.numbers);
        if self.has_something_at_stake() {
            return slept;
        }
        self.standstill.forget();
        Slept::Briefly
    }

    /// Whether a standstill would matter: others may have what is owned by now, or what an answer says that has come
    /// meanwhile.
    fn has_something_at_stake(&self) -> bool {
        !self.owned.is_empty() || self.outstanding.is_some()
    }

    /// The answer that is waited for would say nothing about now.
    pub(super) fn forget_outstanding(&mut self) {
        self.outstanding = None;
    }

    /// Until when what was fetched may be handed out, if nothing is heard from here; and how often that is to be told.
    pub(super) fn awake_until(&self) -> (Instant, Duration) {
        let limit = self.standstill_limit();
        (self.standstill.awake_until(limit), limit / 4)
    }

    // Time, errors.

    /// What an error code means here; `UNKNOWN_SERVER_ERROR` is tried again a few times, since a group member that
    /// gives up is worse than one that is late.
    pub(super) fn verdict(&mut self, code: ErrorCode) -> Verdict {
        if code == ErrorCode::UNKNOWN_SERVER_ERROR {
            self.unexplained += 1;
            return if self.unexplained < UNEXPLAINED_LIMIT { Verdict::Again } else { Verdict::Fail };
        }
        match code.reaction() {
            Reaction::Retry | Reaction::RefreshMetadata => Verdict::Again,
            Reaction::FindCoordinator => Verdict::Elsewhere,
            Reaction::RejoinGroup => Verdict::Expelled,
            Reaction::ResetSequence | Reaction::Fail => Verdict::Fail,
        }
    }

    /// The request failed on its way. True where trying again makes no sense.
    pub(super) fn is_final(error: &Error) -> bool {
        match error {
            Error::Connect { failure, .. } => matches!(failure, ConnectFailure::Authentication(_)),
            Error::Request { failure, .. } => {
                matches!(failure, RequestFailure::Unsupported(_) | RequestFailure::Unencodable(_))
            }
            Error::Broker { code, .. } => !code.is_retriable() && *code != ErrorCode::UNKNOWN_SERVER_ERROR,
            Error::Config(_) | Error::NotFound { .. } => true,
            Error::Timeout { .. } | Error::Corrupt { .. } | Error::Closed(_) => false,
        }
    }

    pub(super) fn error(&self, api: &'static str, code: ErrorCode, message: Option<String>) -> Error {
        Error::broker(api, format!("group {}", self.options.group_id), code, message)
    }

    /// All is well: pauses start over.
    pub(super) fn settled(&mut self) {
        self.backoff.reset();
        self.unexplained = 0;
    }

    /// The pause before the next try: none for the first failure.
    pub(super) fn pause(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let first = self.backoff.failures() == 0;
        let pause = self.backoff.next_pause(rng);
        if first { Duration::ZERO } else { pause }
    }

    /// A pause even after the first failure: the coordinator said that it is not ready.
    pub(super) fn full_pause(&mut self, rng: &mut fastrand::Rng) -> Duration {
        self.backoff.next_pause(rng)
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.counted_in();
        self.unexplained = 0;
        self.heartbeat_at = now + self.pace.interval(now);
    }

    /// The answer that came last is one to a member.
    pub(super) fn counted_in(&mut self) {
        self.link.answered();
        self.standstill.counted_in(self.answered);
    }

    /// The coordinator is known. True where what was under way went to another one and is lost.
    pub(super) fn handle_coordinator(
        &mut self,
        found: Result<i32, Error>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> bool {
        match found {
            Ok(node) => {
                let moved = self.link.found(node);
                if moved && self.outstanding.take().is_some() {
                    self.act(Action::Disconnect);
                }
                self.heartbeat_at = if moved { now } else { self.heartbeat_at };
                moved
            }
            Err(error) if Self::is_final(&error) => {
                self.fail(error);
                false
            }
            Err(error) => {
                self.link.not_found(now, rng);
                self.tell(Told::Trouble(error));
                false
            }
        }
    }

    // Partitions.

    /// Everything is gone, without a chance to commit.
    pub(super) fn lose_all(&mut self) {
        self.revocation = None;
        self.standstill.forget();
        self.story.lose_all();
        if !self.owned.is_empty() {
            let partitions = std::mem::take(&mut self.owned).into_iter().collect();
            self.tell(Told::Lost { partitions });
        }
    }

    pub(super) fn revoke(&mut self, partitions: Vec<TopicPartition>, now: Instant) {
        let number = self.number();
        let until = now + self.options.max_poll_interval;
        self.tell(Told::Revoke { number, partitions: partitions.clone() });
        self.revocation = Some(Revocation { number, partitions, until });
        self.become_(MemberState::Revoking);
    }

    /// The user has given them up. False for a revocation that is no more.
    pub(super) fn revoked(&mut self, number: u64) -> bool {
        let Some(done) = self.revocation.take_if(|asked| asked.number == number) else { return false };
        for partition in done.partitions {
            self.owned.remove(&partition);
        }
        true
    }

    pub(super) fn revocation_is_overdue(&self, now: Instant) -> bool {
        self.revocation.as_ref().is_some_and(|revocation| revocation.until <= now)
    }

    /// Takes what is new in `target`, and returns what is owned beyond it.
    pub(super) fn adopt(&mut self, target: &BTreeSet<TopicPartition>) -> Vec<TopicPartition> {
        let added: Vec<_> = target.difference(&self.owned).cloned().collect();
        let surplus = self.owned.difference(target).cloned().collect();
        self.owned.extend(added.iter().cloned());
        self.tell(Told::Assigned { added });
        surplus
    }

    // The story.

    pub(super) fn begin_story(&mut self, now: Instant) {
        self.story.begin(&self.owned, now);
    }

    /// The rebalance is over. `describe` asks for the group's members where they are not known.
    pub(super) fn end_story(&mut self, ending: Ending, describe: Option<Request>, now: Instant) {
        let group = Arc::clone(&self.options.group_id);
        let Some(rebalance) = self.story.end(group, ending, now) else { return };
        self.pace.changed(now);
        self.tell_untold();
        match describe {
            Some(request) => {
                let token = self.number();
                self.story.wait_for_description(token, rebalance);
                self.act(Action::Send { token, request: Box::new(request), limit: DESCRIBE_LIMIT });
            }
            None => self.tell(Told::Rebalanced(rebalance)),
        }
    }

    /// The group's members as the coordinator lists them, or nothing where it would not. False for another token.
    pub(super) fn described(&mut self, token: u64, members: Option<&[String]>) -> bool {
        let Some(rebalance) = self.story.described(token, members) else { return false };
        if let Some(members) = members {
            self.pace.set_members(members.len());
        }
        self.tell(Told::Rebalanced(rebalance));
        true
    }

    fn tell_untold(&mut self) {
        if let Some(rebalance) = self.story.take_untold() {
            self.tell(Told::Rebalanced(rebalance));
        }
    }

    // Going.

    /// Says good-bye with `request`, where there is one to be said.
    pub(super) fn leave(&mut self, request: Option<Request>, now: Instant) {
        if self.state.is_final() || self.state == MemberState::Leaving {
            return;
        }
        self.outstanding = None;
        self.revocation = None;
        match request.filter(|_| self.link.is_known()) {
            Some(request) => {
                self.become_(MemberState::Leaving);
                self.send(request, LEAVE_LIMIT, now);
                self.leave_until = Some(now + LEAVE_LIMIT);
            }
            None => self.left(),
        }
    }

    pub(super) fn left(&mut self) {
        self.leave_until = None;
        self.outstanding = None;
        self.tell_untold();
        self.become_(MemberState::Left);
    }

    /// Says good-bye without waiting for an answer, since the user is not there.
    pub(super) fn step_away(&mut self, request: Option<Request>) {
        self.outstanding = None;
        if let Some(request) = request {
            self.send_aside(request);
        }
        self.lose_all();
        self.become_(MemberState::Away);
    }

    /// Sends what nobody waits for.
    pub(super) fn send_aside(&mut self, request: Request) {
        if self.link.is_known() {
            let token = self.number();
            self.act(Action::Send { token, request: Box::new(request), limit: LEAVE_LIMIT });
        }
    }
}
