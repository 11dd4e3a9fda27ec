//! How long to wait before the next try: exponential with jitter (KIP-580). Pure: the caller brings the randomness.

use std::time::Duration;

/// The pauses between tries, doubling from `initial` up to `max`, each spread by a fifth either way so that clients
/// that failed together do not come back together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from `initial` (`retry.backoff.ms`) to `max` (`retry.backoff.max.ms`).
    #[must_use]
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max: max.max(initial), failures: 0 }
    }

    /// The pause after one more failure.
    pub fn next_pause(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let doubled =
            self.initial.saturating_mul(1_u32.checked_shl(self.failures.min(20)).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.max).mul_f64(0.8 + 0.4 * rng.f64())
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures came since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_start_over_after_a_success() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for expected in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next_pause(&mut rng).as_secs_f64() * 1000.0;
            let expected = f64::from(expected);
            assert!((0.8 * expected..=1.2 * expected).contains(&pause), "{pause} for {expected}");
        }
        backoff.reset();
        assert!(backoff.next_pause(&mut rng) <= Duration::from_millis(120));
    }
}
