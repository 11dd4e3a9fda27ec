//! What happens to the members of a storm, and when: seeded, so that a bad day can be repeated.
//!
//! A killed or frozen member keeps the others waiting for its session under the classic protocol. So the next one comes
//! to harm when that wait is over: what each member may be without progress has a limit then.

use std::time::{Duration, Instant};

/// As many members as there are at most, and at least.
const MEMBERS: std::ops::RangeInclusive<usize> = 3..=10;

/// What happens to a member that is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A new one starts.
    Join,
    /// SIGTERM.
    Leave,
    /// SIGKILL.
    Kill,
    /// SIGSTOP for so long.
    Freeze(Duration),
}

pub(crate) struct Weather {
    rng: fastrand::Rng,
    seed: u64,
    session: Duration,
    next_at: Instant,
    /// The next one comes to harm from then on.
    harm_at: Instant,
}

impl Weather {
    pub(crate) fn new(session: Duration) -> Self {
        let seed = std::env::var("KAFKA_TEST_STORM_SEED").ok();
        let seed = seed.map(|text| text.parse().expect("KAFKA_TEST_STORM_SEED is a number"));
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        let now = Instant::now();
        let (next_at, harm_at) = (now + Duration::from_secs(2), now + Duration::from_secs(2));
        Self { rng: fastrand::Rng::with_seed(seed), seed, session, next_at, harm_at }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// One of so many.
    pub(crate) fn choose(&mut self, count: usize) -> usize {
        self.rng.usize(..count)
    }

    /// What happens now, `strong` members being there to whom it can.
    pub(crate) fn poll(&mut self, strong: usize, now: Instant) -> Option<Event> {
        if now < self.next_at {
            return None;
        }
        self.next_at = now + Duration::from_millis(self.rng.u64(200..1500));
        if strong <= *MEMBERS.start() {
            return Some(Event::Join);
        }
        if now >= self.harm_at {
            // Beyond the session and within it, a member thrown out and one that was missed by nobody.
            let frozen = Duration::from_millis(self.rng.u64(500..2 * self.session.as_millis() as u64));
            self.harm_at = now + self.session + Duration::from_secs(2);
            return Some(if self.rng.bool() { Event::Kill } else { Event::Freeze(frozen) });
        }
        Some(if strong < *MEMBERS.end() && self.rng.bool() { Event::Join } else { Event::Leave })
    }
}
