//! Waiting for a condition with a limit, and names that no other test uses.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Asks `condition` every 20 ms until it says yes.
///
/// # Panics
/// After `limit`, naming `what` was waited for.
pub fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// A name for a topic or group that no other test, and no earlier run on the same cluster, uses.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    format!("{prefix}-{millis:x}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
