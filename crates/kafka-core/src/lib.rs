//! A Kafka client library: producer, consumer groups and admin, on tokio.
//!
//! It never prints and never reads flags or the environment; the tools built on it do.
//!
//! Waiting happens in the public handles, in each folder's `driver.rs` and in `wire`; everything else is data or a pure
//! state machine that takes the time, the randomness and the broker's answers as arguments.

pub mod admin;
mod backoff;
mod client;
pub mod cluster;
pub mod config;
pub mod consumer;
mod error;
mod error_code;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod metrics;
pub mod producer;
mod record;
mod topic_partition;
pub mod wire;

pub use backoff::Backoff;
pub use client::Client;
pub use config::Config;
pub use error::{ConnectFailure, Error, ErrorKind, RequestFailure, Result};
pub use error_code::{ErrorCode, Reaction};
pub use kafka_compression as compression;
pub use metrics::{Metric, Metrics};
pub use record::{Header, Record, RecordRef};
pub use topic_partition::TopicPartition;
