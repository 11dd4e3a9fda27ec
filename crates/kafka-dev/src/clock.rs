//! Time as the broker sees it: the machine's clocks plus what a test has added with `Handle::advance`.
//!
//! Group sessions, transaction time limits and retention read this clock; socket waits do not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Both clocks, moved forward together.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    advanced_ms: AtomicU64,
}

impl Clock {
    /// Monotonic time, for deadlines.
    pub(crate) fn now(&self) -> Instant {
        Instant::now() + self.advanced()
    }

    /// Milliseconds since the epoch, for record timestamps and retention.
    pub(crate) fn wall_ms(&self) -> i64 {
        let wall = SystemTime::now() + self.advanced();
        let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    /// Lets both clocks jump ahead.
    pub(crate) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.advanced_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn advanced(&self) -> Duration {
        Duration::from_millis(self.advanced_ms.load(Ordering::Relaxed))
    }
}
