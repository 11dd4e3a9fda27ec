//! What a consumer is told before it starts.

use std::time::Duration;

use super::reset::ResetPolicy;
use crate::config::{Config, property};
use crate::error::Result;

/// When offsets are committed without being asked to. Only what was marked is ever committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoCommit {
    /// Every so often (`auto.commit.interval.ms`); `None` for never.
    pub interval: Option<Duration>,
    /// When partitions are given up and when the consumer is closed.
    pub on_release: bool,
}

/// What a consumer is told before it starts.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// `auto.offset.reset`.
    pub reset: ResetPolicy,
    /// `enable.auto.commit` and `auto.commit.interval.ms`.
    pub auto_commit: AutoCommit,
    /// `isolation.level=read_committed`.
    pub read_committed: bool,
    /// Hands out the records that end transactions as well, in batches of their own.
    pub control_records: bool,
    /// `fetch.max.wait.ms`: how long a broker may wait for `fetch.min.bytes`.
    pub fetch_max_wait: Duration,
    /// `fetch.min.bytes`.
    pub fetch_min_bytes: i32,
    /// The most bytes of all answers that are on their way at one time, and as much again may wait to be read
    /// (`fetch.max.bytes`; 16 MiB where it is not set). A single larger batch is still read.
    pub fetch_max_bytes: i32,
    /// `max.partition.fetch.bytes`.
    pub max_partition_fetch_bytes: i32,
    /// `client.rack`: replicas in the same rack are read from where the brokers allow it (KIP-392).
    pub rack: Option<String>,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub retry_backoff: (Duration, Duration),
}

impl ConsumerOptions {
    /// The options that a configuration asks for.
    ///
    /// # Errors
    /// None today; values were checked when they were set.
    pub fn from_config(config: &Config) -> Result<Self> {
        /// Enough to keep a fast link busy, little enough to stay small in memory.
        const FETCH_MAX_BYTES: i32 = 16 * 1024 * 1024;
        let is_limited = config.is_set(&property::FETCH_MAX_BYTES);
        Ok(Self {
            // What cannot be read was refused when it was set.
            reset: ResetPolicy::parse(&config.get(property::AUTO_OFFSET_RESET))
                .unwrap_or(ResetPolicy::Latest),
            auto_commit: match config.get(property::ENABLE_AUTO_COMMIT) {
                true => AutoCommit {
                    interval: Some(config.get(property::AUTO_COMMIT_INTERVAL_MS)),
                    on_release: true,
                },
                false => AutoCommit { interval: None, on_release: false },
            },
            read_committed: config.get(property::ISOLATION_LEVEL) == "read_committed",
            control_records: false,
            fetch_max_wait: config.get(property::FETCH_MAX_WAIT_MS),
            fetch_min_bytes: config.get(property::FETCH_MIN_BYTES),
            fetch_max_bytes: if is_limited { config.get(property::FETCH_MAX_BYTES) } else { FETCH_MAX_BYTES },
            max_partition_fetch_bytes: config.get(property::MAX_PARTITION_FETCH_BYTES),
            rack: config.get(property::CLIENT_RACK),
            request_timeout: config.get(property::REQUEST_TIMEOUT_MS),
            retry_backoff: (
                config.get(property::RETRY_BACKOFF_MS),
                config.get(property::RETRY_BACKOFF_MAX_MS),
            ),
        })
    }
}
