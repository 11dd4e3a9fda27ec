//! A member of a classic group and what is waiting for it.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// Names the request that waits for an answer; given by the driver, handed back with the answer.
pub(crate) type Token = u64;

/// One member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: String,
    /// `group.instance.id` (KIP-345).
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// Assignors it knows, best first, with its metadata for each.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    /// A JoinGroup that waits for the rebalance to complete.
    pub(crate) joining: Option<Token>,
    /// A SyncGroup that waits for the leader's assignment.
    pub(crate) syncing: Option<Token>,
    /// Whether it has sent SyncGroup in this generation.
    pub(crate) synced: bool,
    /// When it is taken for dead unless heard of.
    pub(crate) deadline: Instant,
}

impl Member {
    /// A waiting request counts as a sign of life.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.joining.is_none() && self.syncing.is_none() && now >= self.deadline
    }

    pub(crate) fn heard(&mut self, now: Instant) {
        self.deadline = now + self.session_timeout;
    }

    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let known = self.protocols.iter().find(|(name, _)| name == protocol);
        known.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}
