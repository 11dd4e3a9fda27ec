//! The producer.

use std::time::Duration;

use super::Kind::{Bool, Choice, Int, Millis, Text};

const MAX_MILLIS: i64 = i32::MAX as i64;
const MAX_INT: i64 = i32::MAX as i64;

#[rustfmt::skip]
super::properties! { Producer;
    ACKS: &'static str = "acks", Choice(&["all|-1", "1", "0"]), Some("all"), "Who must have a record before it counts as sent: all in-sync replicas, the leader alone (1, may be lost with it), nobody (0, lost without notice).", "request.required.acks";
    ENABLE_IDEMPOTENCE: bool = "enable.idempotence", Bool, Some("true"), "Retries neither duplicate nor reorder records; needs acks=all and at most five requests in flight.";
    LINGER_MS: Duration = "linger.ms", Millis(0, 900_000), Some("5"), "How long a batch waits for more records; 0 sends at once, more makes larger batches and later records.", "queue.buffering.max.ms";
    BATCH_SIZE: usize = "batch.size", Int(1, MAX_INT), Some("1000000"), "The bytes at which a batch is full and leaves without waiting for linger.ms; smaller ones cost more requests, larger ones more memory per partition.";
    BUFFER_MEMORY: usize = "buffer.memory", Int(1_048_576, 1_099_511_627_776), Some("33554432"), "The bytes of records that may wait to be acknowledged; a full buffer makes sending wait for max.block.ms.";
    MAX_BLOCK_MS: Duration = "max.block.ms", Millis(0, MAX_MILLIS), Some("60000"), "How long sending a record may wait for metadata and for room in the buffer.";
    DELIVERY_TIMEOUT_MS: Duration = "delivery.timeout.ms", Millis(1, MAX_MILLIS), Some("120000"), "How long a record may take from being sent to being acknowledged, all retries included; at least linger.ms plus request.timeout.ms.", "message.timeout.ms";
    MAX_REQUEST_SIZE: usize = "max.request.size", Int(1000, MAX_INT), Some("1048576"), "The bytes of the largest record or batch that is sent; the broker has a limit of its own (message.max.bytes).", "message.max.bytes";
    MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION: usize = "max.in.flight.requests.per.connection", Int(1, 1_000_000), Some("5"), "Requests to one broker that wait for their answer; idempotent producing keeps order with up to five.", "max.in.flight";
    COMPRESSION_TYPE: &'static str = "compression.type", Choice(&["none|uncompressed", "gzip", "snappy", "lz4", "zstd"]), Some("none"), "How batches are compressed.", "compression.codec";
    COMPRESSION_LEVEL: i64 = "compression.level", Int(-7, 22), Some("-1"), "The level for gzip (1 to 9), and for zstd in a build with the feature zstd-c; -1 is each one's default.", "compression.gzip.level", "compression.lz4.level", "compression.zstd.level";
    PARTITIONER: &'static str = "partitioner", Choice(&["murmur2|murmur2_random|org.apache.kafka.clients.producer.internals.DefaultPartitioner", "crc32|consistent|consistent_random", "fnv1a|fnv1a_random", "random", "round_robin|org.apache.kafka.clients.producer.RoundRobinPartitioner"]), Some("murmur2"), "How a record's key decides its partition: murmur2 as in Java, crc32 as in librdkafka and kcat, fnv1a as in Sarama; without a key, batch by batch.", "partitioner.class";
    PARTITIONER_IGNORE_KEYS: bool = "partitioner.ignore.keys", Bool, Some("false"), "Spreads records with keys as those without.";
    TRANSACTIONAL_ID: Option<String> = "transactional.id", Text, None, "Makes the producer transactional under this name; one that starts with the same name shuts the earlier one out.";
    TRANSACTION_TIMEOUT_MS: Duration = "transaction.timeout.ms", Millis(1, MAX_MILLIS), Some("60000"), "The broker aborts a transaction that lasts longer.";
}
