//! How often a member shows itself. A member learns that the group changed by its next heartbeat, so the pause between
//! two is how long a partition lies unread after somebody left (docs/decisions/0010-heartbeat-pace.md).

use std::time::{Duration, Instant};

/// The shortest pause.
const FASTEST: Duration = Duration::from_millis(100);
/// A group's heartbeats together stay under 100 a second: each member adds this to the pause of all.
const PER_MEMBER: Duration = Duration::from_millis(10);
/// The size that is assumed where it is not known.
const UNKNOWN_SIZE: u32 = 10;
/// A group that has not changed for so long slows down: the pause is this fraction of the time it has been quiet.
const QUIET_FRACTION: u32 = 1000;

/// The pause between heartbeats.
#[derive(Debug)]
pub(super) struct Pace {
    slowest: Duration,
    members: Option<usize>,
    changed_at: Instant,
}

impl Pace {
    /// `slowest` is `heartbeat.interval.ms`, or what the broker asks for.
    pub(super) fn new(slowest: Duration, now: Instant) -> Self {
        Self { slowest, members: None, changed_at: now }
    }

    pub(super) fn set_slowest(&mut self, slowest: Duration) {
        self.slowest = slowest;
    }

    /// The longest pause.
    pub(super) fn slowest(&self) -> Duration {
        self.slowest
    }

    /// The group changed.
    pub(super) fn changed(&mut self, now: Instant) {
        self.changed_at = now;
    }

    /// The group has so many members.
    pub(super) fn set_members(&mut self, members: usize) {
        self.members = Some(members);
    }

    pub(super) fn interval(&self, now: Instant) -> Duration {
        let members = self.members.map_or(UNKNOWN_SIZE, |count| u32::try_from(count).unwrap_or(u32::MAX));
        let quiet = now.saturating_duration_since(self.changed_at) / QUIET_FRACTION;
        FASTEST.max(PER_MEMBER.saturating_mul(members)).max(quiet).min(self.slowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_group_that_has_just_changed_hears_of_the_next_change_within_a_tenth_of_a_second() {
        let now = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(3), now);
        pace.set_members(3);
        assert_eq!(pace.interval(now + Duration::from_secs(60)), Duration::from_millis(100));
    }

    #[test]
    fn a_group_sends_at_most_a_hundred_heartbeats_a_second_together() {
        let now = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(3), now);
        for members in [1_u32, 5, 20, 100, 300] {
            pace.set_members(members as usize);
            let each_second = 1.0 / pace.interval(now).as_secs_f64();
            assert!(each_second * f64::from(members) <= 100.0 + 1e-6, "{members}");
        }
    }

    #[test]
    fn a_quiet_group_slows_down_to_the_configured_interval_and_no_further() {
        let now = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(3), now);
        pace.set_members(2);
        assert_eq!(pace.interval(now + Duration::from_secs(1000)), Duration::from_secs(1));
        let later = now + Duration::from_secs(100_000);
        assert_eq!(pace.interval(later), Duration::from_secs(3));
        pace.changed(later);
        assert_eq!(pace.interval(later), Duration::from_millis(100));
    }
}
