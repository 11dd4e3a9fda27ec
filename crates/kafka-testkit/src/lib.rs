//! What the tests of all crates share: a real Kafka to run against ([`RealKafka`]), or whichever of it and the embedded
//! broker is asked for ([`EitherKafka`]), our own built programs
//! ([`Program`]), a terminal to type into ([`Terminal`]) and a proxy that loses, delays and freezes traffic
//! ([`FaultProxy`]).
//!
//! It knows nothing of `kafka-core`, so that a test can never agree with the client by sharing a mistake with it.
//! Everything blocks, and everything has a time limit: a test calls it as it stands, from `#[test]` functions.
//! A failure panics, as a failed assertion does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support fails by panicking")]
#![allow(clippy::print_stderr, reason = "a skipped test says so where test output goes")]

mod cluster;
mod document;
mod either;
pub mod hostile;
pub mod ordeal;
mod program;
mod proxy;
mod signal;
mod snapshot;
mod terminal;
mod wait;

pub use cluster::{RealKafka, kcat, skip_without, skip_without_kcat};
pub use document::{Document, Stage};
pub use either::{EitherKafka, skip_without_apache_tools};
pub use program::{Finished, Program, binary, repository, run};
pub use proxy::{FaultProxy, Link, Rule, api};
pub use signal::Signal;
pub use snapshot::check_snapshot;
pub use terminal::Terminal;
pub use wait::{eventually, unique};
