//! The tools against brokers that lie (`kafka_testkit::ordeal`); kafka-consume has a test of its own, which asks for more.

#![cfg(unix)]

use std::time::Duration;

use kafka_testkit::ordeal::survive_all;

/// What a loaded machine may take on top of `--timeout`.
const SLACK: Duration = Duration::from_secs(3);

#[test]
fn kafka_admin_survives_every_lie() {
    survive_all("kafka-admin", &["list-topics"], SLACK, |_, _, _| {});
}

#[test]
fn kafka_produce_survives_every_lie() {
    survive_all("kafka-produce", &["a", "--raw"], SLACK, |_, _, _| {});
}
