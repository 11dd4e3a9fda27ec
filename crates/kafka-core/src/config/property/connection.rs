//! How every client finds its cluster, connects, waits and tries again.

use std::time::Duration;

use super::Kind::{Int, List, Millis, Text};

const MAX_MILLIS: i64 = i32::MAX as i64;

#[rustfmt::skip]
super::properties! { Client;
    BOOTSTRAP_SERVERS: Vec<String> = "bootstrap.servers", List, Some("localhost:9092"), "Brokers to ask first, host:port with commas; the rest of the cluster is learnt from them.", "metadata.broker.list";
    CLIENT_ID: String = "client.id", Text, Some("kafka-core"), "How the broker's logs, metrics and quotas name this client.";
    CLIENT_RACK: Option<String> = "client.rack", Text, None, "Where this client runs; with follower fetching on the broker, the consumer reads from a replica in the same rack (KIP-392).";
    REQUEST_TIMEOUT_MS: Duration = "request.timeout.ms", Millis(1, MAX_MILLIS), Some("30000"), "How long one request waits for its answer; too short retries what would have worked, too long hides a frozen broker.", "socket.timeout.ms";
    DEFAULT_API_TIMEOUT_MS: Duration = "default.api.timeout.ms", Millis(1, MAX_MILLIS), Some("60000"), "How long one operation may take with all its retries.";
    SOCKET_CONNECTION_SETUP_TIMEOUT_MS: Duration = "socket.connection.setup.timeout.ms", Millis(1, MAX_MILLIS), Some("10000"), "How long one attempt to connect may take: name lookup, TCP, TLS, versions and authentication together.";
    RECONNECT_BACKOFF_MS: Duration = "reconnect.backoff.ms", Millis(0, MAX_MILLIS), Some("50"), "The pause before connecting to the same broker again; doubles with every failure.";
    RECONNECT_BACKOFF_MAX_MS: Duration = "reconnect.backoff.max.ms", Millis(0, MAX_MILLIS), Some("1000"), "The longest pause before connecting to the same broker again.";
    RETRY_BACKOFF_MS: Duration = "retry.backoff.ms", Millis(0, MAX_MILLIS), Some("100"), "The pause before a failed request is sent again; doubles with every failure (KIP-580).";
    RETRY_BACKOFF_MAX_MS: Duration = "retry.backoff.max.ms", Millis(0, MAX_MILLIS), Some("1000"), "The longest pause before a failed request is sent again.";
    METADATA_MAX_AGE_MS: Duration = "metadata.max.age.ms", Millis(1, MAX_MILLIS), Some("300000"), "Leaders and brokers are learnt anew at least this often, also when nothing failed.", "topic.metadata.refresh.interval.ms";
    RECEIVE_MESSAGE_MAX_BYTES: usize = "receive.message.max.bytes", Int(1000, 2_147_483_647), Some("104923136"), "The longest answer that is read; a broker that announces a longer one is cut off before anything is allocated.";
}
