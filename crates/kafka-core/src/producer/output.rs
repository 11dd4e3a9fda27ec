//! What the sender goes by and what it wants done: the words between it, the driver and the simulation. Data only.

use std::time::Duration;

use bytes::Bytes;

use super::accumulator::Slot;
use super::pending::Pending;
use crate::TopicPartition;
use crate::error::Error;

/// What the sender goes by, in Kafka's names.
#[derive(Debug, Clone)]
pub(crate) struct SenderOptions {
    /// `enable.idempotence`
    pub(crate) idempotent: bool,
    /// `transactional.id` is set
    pub(crate) transactional: bool,
    /// `acks` is not 0
    pub(crate) wait_for_answers: bool,
    /// `compression.type` is not `none`
    pub(crate) compress: bool,
    /// `max.in.flight.requests.per.connection`
    pub(crate) max_in_flight: usize,
    /// `max.request.size`
    pub(crate) max_request_bytes: usize,
    /// `delivery.timeout.ms`
    pub(crate) delivery_timeout: Duration,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`
    pub(crate) retry_backoff: (Duration, Duration),
}

/// What the sender wants done.
#[derive(Debug)]
pub(crate) enum Output {
    /// Connect to this broker; then `Sender::handle_connection`.
    Connect(i32),
    /// Send these batches in one request, behind what was sent before; then `Sender::handle_answer`.
    Send { broker: i32, request: u64, batches: Vec<(TopicPartition, Bytes)> },
    /// Compress this batch; then `Sender::handle_packed`.
    Pack { slot: Slot, batch: u64, bytes: Bytes },
    /// Learn the leaders anew; then `Sender::handle_metadata`.
    RefreshMetadata,
    /// Get a producer id; then `Sender::handle_identity`.
    Identify,
    /// A batch has its outcome.
    Done(Box<Done>),
}

/// A batch with its outcome.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) partition: TopicPartition,
    pub(crate) batch: Pending,
    pub(crate) outcome: Result<Written, Lost>,
}

/// Where the broker put a batch, as far as it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) base_offset: Option<i64>,
    pub(crate) append_time: Option<i64>,
}

/// Why a batch was given up.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) error: Error,
    pub(crate) possibly_written: bool,
}

/// The last word on a batch.
pub(super) fn done(partition: TopicPartition, batch: Pending, outcome: Result<Written, Lost>) -> Output {
    Output::Done(Box::new(Done { partition, batch, outcome }))
}

/// The end of a batch whose `delivery.timeout.ms` is over.
pub(super) fn timed_out(partition: &TopicPartition, after: Duration, last: Option<Error>) -> Error {
    Error::Timeout { what: format!("sending to {partition}"), after, last: last.map(Box::new) }
}
