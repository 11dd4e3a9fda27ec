//! The coordinator as one member sees it: known, being asked for, or in doubt. Says when to ask; whom to ask and what
//! comes of it is the driver's.

use std::time::{Duration, Instant};

use crate::Backoff;

/// What a member knows of its coordinator.
#[derive(Debug)]
pub(super) struct Link {
    node: Option<i32>,
    asking: bool,
    ask_at: Option<Instant>,
    backoff: Backoff,
}

impl Link {
    pub(super) fn new((pause, max_pause): (Duration, Duration), now: Instant) -> Self {
        Self { node: None, asking: false, ask_at: Some(now), backoff: Backoff::new(pause, max_pause) }
    }

    /// Whether requests have somewhere to go.
    pub(super) fn is_known(&self) -> bool {
        self.node.is_some()
    }

    /// Whether it is time to ask. The answer comes to [`found`](Self::found) or [`not_found`](Self::not_found).
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        let due = !self.asking && self.ask_at.is_some_and(|at| at <= now);
        if due {
            (self.asking, self.ask_at) = (true, None);
        }
        due
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.ask_at.filter(|_| !self.asking)
    }

    /// The coordinator is this node. True where requests under way went to another one, and are lost.
    pub(super) fn found(&mut self, node: i32) -> bool {
        self.asking = false;
        self.node.replace(node).is_some_and(|known| known != node)
    }

    /// Nobody could tell. What was known stays: it may be right.
    pub(super) fn not_found(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        self.asking = false;
        self.ask_at = Some(now + self.backoff.next_pause(rng));
    }

    /// The known one is wrong, gone or not ready: ask anew, the first time at once.
    pub(super) fn lost(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        let first = self.backoff.failures() == 0;
        let pause = self.backoff.next_pause(rng);
        self.node = None;
        self.ask_at = Some(if first { now } else { now + pause });
    }

    /// The known one is silent: it may be frozen, and another one may have taken over. It stays known meanwhile.
    pub(super) fn doubt(&mut self, now: Instant) {
        if self.ask_at.is_none() {
            self.ask_at = Some(now);
        }
    }

    /// The known one answered, so it is the right one.
    pub(super) fn answered(&mut self) {
        self.backoff.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(now: Instant) -> (Link, fastrand::Rng) {
        (Link::new((Duration::from_millis(100), Duration::from_secs(1)), now), fastrand::Rng::with_seed(1))
    }

    #[test]
    fn a_coordinator_that_is_lost_again_and_again_is_asked_for_with_growing_pauses() {
        let mut now = Instant::now();
        let (mut link, mut rng) = link(now);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            assert!(link.poll(now));
            link.found(1);
            link.lost(now, &mut rng);
            let at = link.next_deadline().unwrap();
            pauses.push(at - now);
            now = at;
        }
        assert_eq!(pauses[0], Duration::ZERO);
        assert!(pauses[1] < pauses[2] && pauses[2] < pauses[3], "{pauses:?}");
    }

    #[test]
    fn a_doubted_coordinator_stays_known_until_another_one_is_named() {
        let now = Instant::now();
        let (mut link, mut rng) = link(now);
        assert!(link.poll(now) && !link.found(1));
        link.doubt(now);
        assert!(link.poll(now) && link.is_known());
        link.not_found(now, &mut rng);
        assert!(link.is_known());
        assert!(!link.found(1), "the same one: what is under way may still be answered");
        assert!(link.found(2), "another one: what is under way is lost");
    }
}
