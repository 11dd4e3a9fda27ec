//! The consumer and its group.

use std::time::Duration;

use super::Kind::{Bool, Choice, Int, List, Millis, OffsetReset, Text};

const MAX_MILLIS: i64 = i32::MAX as i64;
const MAX_INT: i64 = i32::MAX as i64;

#[rustfmt::skip]
super::properties! { Consumer;
    GROUP_ID: Option<String> = "group.id", Text, None, "The group whose members share the partitions and whose offsets are committed.";
    GROUP_INSTANCE_ID: Option<String> = "group.instance.id", Text, None, "A static member's name: coming back within session.timeout.ms it gets its partitions without a rebalance (KIP-345).";
    GROUP_PROTOCOL: &'static str = "group.protocol", Choice(&["auto", "classic", "consumer"]), Some("auto"), "How the group agrees: by its members (classic), by the broker (consumer, KIP-848), or by the broker where it and the group allow it (auto).";
    GROUP_REMOTE_ASSIGNOR: Option<String> = "group.remote.assignor", Text, None, "With group.protocol=consumer, the broker's assignor to use: uniform or range.";
    PARTITION_ASSIGNMENT_STRATEGY: Vec<String> = "partition.assignment.strategy", List, Some("cooperative-sticky,range"), "The assignors this member offers, the preferred first: range, roundrobin, sticky, cooperative-sticky, or their Java classes.";
    SESSION_TIMEOUT_MS: Duration = "session.timeout.ms", Millis(1, MAX_MILLIS), Some("45000"), "The broker takes a member's partitions away when it has heard nothing for so long; the broker limits it (group.min.session.timeout.ms).";
    HEARTBEAT_INTERVAL_MS: Duration = "heartbeat.interval.ms", Millis(1, MAX_MILLIS), Some("3000"), "How often a member shows that it lives; at most a third of session.timeout.ms.";
    MAX_POLL_INTERVAL_MS: Duration = "max.poll.interval.ms", Millis(1, MAX_MILLIS), Some("300000"), "A member that takes no records for so long leaves the group, so that another one can.";
    AUTO_OFFSET_RESET: String = "auto.offset.reset", OffsetReset, Some("latest"), "Where to begin when the group has no offset or it is out of range: the first record, the end, the first one of an age at most (KIP-1106), or an error.";
    ENABLE_AUTO_COMMIT: bool = "enable.auto.commit", Bool, Some("true"), "Commits what was handed out and done with, every auto.commit.interval.ms and when leaving.", "auto.commit.enable";
    AUTO_COMMIT_INTERVAL_MS: Duration = "auto.commit.interval.ms", Millis(1, MAX_MILLIS), Some("5000"), "How often offsets are committed.";
    FETCH_MIN_BYTES: i32 = "fetch.min.bytes", Int(0, MAX_INT), Some("1"), "The broker waits until it has so many bytes, for at most fetch.max.wait.ms.";
    FETCH_MAX_BYTES: i32 = "fetch.max.bytes", Int(1, MAX_INT), Some("52428800"), "The most bytes of one fetch answer; a single larger batch is still sent.";
    FETCH_MAX_WAIT_MS: Duration = "fetch.max.wait.ms", Millis(0, MAX_MILLIS), Some("500"), "How long the broker waits for fetch.min.bytes.", "fetch.wait.max.ms";
    MAX_PARTITION_FETCH_BYTES: i32 = "max.partition.fetch.bytes", Int(1, MAX_INT), Some("1048576"), "The most bytes of one partition in a fetch answer; a single larger batch is still sent.", "fetch.message.max.bytes";
    ISOLATION_LEVEL: &'static str = "isolation.level", Choice(&["read_uncommitted", "read_committed"]), Some("read_uncommitted"), "read_committed leaves out records of aborted and unfinished transactions.";
}
