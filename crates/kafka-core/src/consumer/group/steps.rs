//! What a member does alike under either protocol: when it looks around, what it makes of silence, of failed requests and
//! of a user that is away. What the protocols' own messages mean stands in `classic` and `next_gen`.

use std::time::Instant;

use super::event::{Action, Answer, Told};
use super::member::{Member, Verdict};
use super::standstill::Slept;
use super::state::MemberState;
use crate::ErrorCode;
use crate::error::{Error, Result};

/// A machine of one protocol: what it has to bring, and what all machines do.
pub(super) trait Steps {
    fn member(&self) -> &Member;

    fn member_mut(&mut self) -> &mut Member;

    /// The ids of the group's members, where the answer is a description that succeeded.
    fn described_members(answer: &Result<Answer>) -> Option<Vec<String>>;

    /// Sends what is due. The coordinator is known, and nothing else is under way.
    fn send_due(&mut self, now: Instant);

    /// The coordinator's answer to the request that was under way.
    fn handle_reply(&mut self, answer: Answer, now: Instant, rng: &mut fastrand::Rng);

    /// What was under way is lost.
    fn try_again(&mut self, now: Instant);

    /// The membership is gone, and what it had is others'.
    fn expelled(&mut self, now: Instant, rng: &mut fastrand::Rng);

    /// The user is away: leaves until it comes back.
    fn step_away(&mut self);

    /// What is to be done now; to be asked until there is nothing.
    fn poll(&mut self, now: Instant, rng: &mut fastrand::Rng) -> Option<Action> {
        self.advance(now, rng);
        self.member_mut().next_action()
    }

    /// When to poll again where nothing happens.
    fn next_deadline(&self) -> Option<Instant> {
        self.member().next_deadline()
    }

    fn advance(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        if self.member().state().is_final() {
            return;
        }
        self.wake(now, rng);
        if self.member_mut().tick(now) {
            return self.step_away();
        }
        if self.member().revocation_is_overdue(now) {
            return self.expelled(now, rng);
        }
        if !self.member().is_waiting() && self.member().link.is_known() {
            self.send_due(now);
        }
    }

    /// A process that stood still for longer than its session is a member no more; one that stood still for a while asks
    /// at once, since the answer that may be on its way is as old as that.
    fn wake(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        let state = self.member().state();
        match self.member_mut().look_at_clock(now) {
            Slept::TooLong if state != MemberState::Leaving => self.expelled(now, rng),
            Slept::Suspiciously if matches!(state, MemberState::Stable | MemberState::Revoking) => {
                self.member_mut().forget_outstanding();
                self.try_again(now);
            }
            _ => {}
        }
    }

    /// Who the coordinator is.
    fn handle_coordinator(&mut self, found: Result<i32>, now: Instant, rng: &mut fastrand::Rng) {
        if self.member_mut().handle_coordinator(found, now, rng) {
            self.try_again(now);
        }
    }

    /// The answer to a request, or why there is none.
    fn handle_answer(&mut self, token: u64, answer: Result<Answer>, now: Instant, rng: &mut fastrand::Rng) {
        self.wake(now, rng);
        if self.member_mut().described(token, Self::described_members(&answer).as_deref())
            || !self.member_mut().takes(token)
        {
            return;
        }
        if self.member().state() == MemberState::Leaving {
            return self.member_mut().left();
        }
        match answer {
            Ok(answer) => self.handle_reply(answer, now, rng),
            Err(error) => self.handle_failure(error, now, rng),
        }
    }

    fn handle_failure(&mut self, error: Error, now: Instant, rng: &mut fastrand::Rng) {
        if Member::is_final(&error) {
            return self.member_mut().fail(error);
        }
        self.member_mut().link.lost(now, rng);
        self.member_mut().tell(Told::Trouble(error));
        self.try_again(now);
    }

    /// A request was refused with this code: does what the verdict on it says.
    fn follow(&mut self, code: ErrorCode, error: Error, now: Instant, rng: &mut fastrand::Rng) {
        match self.member_mut().verdict(code) {
            Verdict::Again => {
                let at = now + self.member_mut().full_pause(rng);
                self.try_again(now);
                let member = self.member_mut();
                (member.retry_at, member.heartbeat_at) = (at, at);
            }
            Verdict::Elsewhere => {
                self.member_mut().link.lost(now, rng);
                self.try_again(now);
            }
            Verdict::Expelled => return self.expelled(now, rng),
            Verdict::Fail => return self.member_mut().fail(error),
        }
        self.member_mut().tell(Told::Trouble(error));
    }

    /// The user took records at this instant.
    fn handle_polled(&mut self, at: Instant) {
        let member = self.member_mut();
        member.polled_at = member.polled_at.max(at);
        if member.state() == MemberState::Away {
            member.retry_at = at;
            member.become_(MemberState::Unjoined);
        }
    }

    /// A commit was refused: something has happened to the membership.
    fn handle_commit_refused(&mut self, now: Instant) {
        self.member_mut().heartbeat_at = now;
    }
}
