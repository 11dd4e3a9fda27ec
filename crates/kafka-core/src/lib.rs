//! A Kafka client library: producer, consumer groups and admin, on tokio.
//!
//! It never prints and never reads flags or the environment; the tools built on it do.
