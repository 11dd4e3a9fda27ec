//! Whether this process itself stood still (SIGSTOP, a machine with no time for it): its partitions may be others' by now,
//! though nobody has told it yet. Pure.

use std::time::{Duration, Instant};

/// What a member makes of the time since it looked around last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slept {
    /// As long as anybody may.
    Briefly,
    /// The coordinator has to say whether it has given the member up.
    Suspiciously,
    /// Longer than the session: the coordinator has.
    TooLong,
}

/// A member's own clock. It is to be looked at every half [`limit`](Self::limit) while a standstill would matter.
#[derive(Debug)]
pub(super) struct Standstill {
    seen_at: Instant,
    doubt: Option<Doubt>,
}

/// It stood still, and has not heard since whether it is a member.
#[derive(Debug)]
struct Doubt {
    /// Requests up to this number left before it did.
    after: u64,
    /// Where nobody answers for a session, it goes on as if nothing had been.
    until: Instant,
}

impl Standstill {
    pub(super) fn new(now: Instant) -> Self {
        Self { seen_at: now, doubt: None }
    }

    /// How long nobody has to wonder. A coordinator that is missed for a few heartbeats does not wait for the end of the
    /// session that the member believes in: under KIP-848 the broker alone knows how long that is.
    pub(super) fn limit(session: Duration, heartbeat: Duration) -> Duration {
        (session / 2).min(heartbeat * 2)
    }

    /// Looks at the clock. `last_request` is the number of the last request that was made.
    pub(super) fn look(
        &mut self,
        now: Instant,
        limit: Duration,
        session: Duration,
        last_request: u64,
    ) -> Slept {
        let slept = now.saturating_duration_since(self.seen_at);
        self.seen_at = self.seen_at.max(now);
        self.doubt.take_if(|doubt| doubt.until <= now);
        if slept < limit {
            return Slept::Briefly;
        }
        self.doubt = Some(Doubt { after: last_request, until: now + session });
        if slept < session { Slept::Suspiciously } else { Slept::TooLong }
    }

    /// The coordinator counts the member in, by its answer to this request.
    pub(super) fn counted_in(&mut self, request: u64) {
        self.doubt.take_if(|doubt| request > doubt.after);
    }

    /// There is nothing left that could be others'.
    pub(super) fn forget(&mut self) {
        self.doubt = None;
    }

    /// Until when what was fetched may be handed out, if nothing is heard from here.
    pub(super) fn awake_until(&self, limit: Duration) -> Instant {
        if self.doubt.is_some() { self.seen_at } else { self.seen_at + limit }
    }

    /// When to look again.
    pub(super) fn next_look(&self, limit: Duration) -> Instant {
        let nap = self.seen_at + limit / 2;
        self.doubt.as_ref().map_or(nap, |doubt| nap.min(doubt.until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMIT: Duration = Duration::from_secs(3);
    const SESSION: Duration = Duration::from_secs(6);

    #[test]
    fn what_was_fetched_is_held_back_after_a_standstill_until_a_later_request_is_answered() {
        let mut now = Instant::now();
        let mut standstill = Standstill::new(now);
        assert_eq!(standstill.awake_until(LIMIT), now + LIMIT);
        now += 4 * SECOND;
        assert_eq!(standstill.look(now, LIMIT, SESSION, 7), Slept::Suspiciously);
        assert!(standstill.awake_until(LIMIT) <= now);
        standstill.counted_in(7);
        assert!(standstill.awake_until(LIMIT) <= now, "that one left before");
        standstill.counted_in(8);
        assert_eq!(standstill.awake_until(LIMIT), now + LIMIT);
    }

    #[test]
    fn where_nobody_answers_it_is_not_held_back_for_ever() {
        let start = Instant::now();
        let mut standstill = Standstill::new(start);
        let mut now = start + 4 * SECOND;
        standstill.look(now, LIMIT, SESSION, 7);
        while standstill.awake_until(LIMIT) <= now {
            let next = standstill.next_look(LIMIT);
            assert!(next > now && next <= start + 4 * SECOND + SESSION);
            now = next;
            assert_eq!(standstill.look(now, LIMIT, SESSION, 7), Slept::Briefly);
        }
    }

    #[test]
    fn a_standstill_of_a_session_is_the_end_of_it() {
        let now = Instant::now();
        let mut standstill = Standstill::new(now);
        assert_eq!(standstill.look(now + SECOND, LIMIT, SESSION, 0), Slept::Briefly);
        assert_eq!(standstill.look(now + SECOND + SESSION, LIMIT, SESSION, 0), Slept::TooLong);
    }
}
