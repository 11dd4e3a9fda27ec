//! What the answer to a produce request means for each batch in it: done, again, in parts, in a new epoch, or never.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use super::accumulator::{Accumulator, ClosedBatch, Slot, Waiter};
use super::batch::{BatchBuilder, Stamp};
use super::output::{Written, done};
use super::pending::{Body, Pending};
use super::report::read_back;
use super::sender::{Sender, pack_or_pass};
use crate::error::{Error, RequestFailure, Result};
use crate::record::RecordRef;
use crate::wire::Api;
use crate::{ErrorCode, Header, Reaction, TopicPartition};

/// What is to be done with a batch.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Written(Written),
    /// `unknown`: a broker may have it.
    Retry {
        unknown: bool,
    },
    OutOfOrder,
    TooLarge,
    Fail {
        possibly_written: bool,
    },
}

impl Sender {
    /// The answer to a request, or why there is none.
    pub(crate) fn handle_answer(
        &mut self,
        request: u64,
        answer: &Result<ProduceResponse>,
        accumulator: &mut Accumulator,
        now: Instant,
    ) {
        let Some(request_sent) = self.requests.remove(&request) else { return };
        if let Some(broker) = self.brokers.get_mut(&request_sent.broker) {
            broker.in_flight = broker.in_flight.saturating_sub(1);
            if answer.is_ok() {
                broker.heard_at = now;
            }
            let throttle = answer.as_ref().map_or(0, |answer| answer.throttle_time_ms);
            if let Ok(millis @ 1..) = u64::try_from(throttle) {
                broker.not_before = Some(now + Duration::from_millis(millis));
            }
        }
        if let Err(error) = answer
            && error.is_retriable()
        {
            self.handle_connection(request_sent.broker, Err(error.clone()), now);
        }
        if request_sent.batches.is_empty() {
            // Nobody waits for this answer, but a leader that moved shows itself in it.
            self.wants_refresh |= answer.as_ref().is_ok_and(has_error);
        }
        for (slot, batch, stamp) in request_sent.batches {
            let Some(partition) = self.partitions.get(&slot) else { continue };
            let (verdict, error) = match answer {
                Ok(response) => judge(response, &partition.name),
                Err(error) => (judge_failure(error), Some(error.clone())),
            };
            self.settle(slot, batch, (request, stamp), verdict, error, accumulator, now);
        }
    }

    /// A request that was made and could not be handed to its connection, which had ended.
    pub(crate) fn handle_unsent(&mut self, request: u64, error: Error, now: Instant) {
        let Some(unsent) = self.requests.remove(&request) else { return };
        if let Some(broker) = self.brokers.get_mut(&unsent.broker) {
            broker.in_flight = broker.in_flight.saturating_sub(1);
        }
        self.handle_connection(unsent.broker, Err(error), now);
        for (slot, batch, _) in unsent.batches {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.queue.unsent(batch);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one call, which names everything an answer is about")]
    fn settle(
        &mut self,
        slot: Slot,
        id: u64,
        (request, stamp): (u64, Stamp),
        verdict: Verdict,
        error: Option<Error>,
        accumulator: &mut Accumulator,
        now: Instant,
    ) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let Some(batch) = partition.queue.get_mut(id) else { return };
        let is_current = batch.in_flight == Some(request);
        let error = error.unwrap_or(Error::Closed("the request"));
        match verdict {
            // Also from a leader that was already given up: acknowledged is acknowledged.
            Verdict::Written(written) if is_current || batch.stamp == Some(stamp) => {
                self.finish_written(slot, id, written, now);
            }
            // The batch is under way again; the answer to that decides.
            _ if !is_current => {}
            Verdict::Written(_) => {}
            Verdict::Retry { unknown } => {
                self.wants_refresh = true;
                partition.queue.retry(id, unknown, error, now, &mut self.rng);
            }
            Verdict::OutOfOrder if self.options.idempotent => {
                partition.queue.out_of_order(id, error, now, &mut self.rng);
            }
            Verdict::TooLarge if batch.count > 1 => self.split(slot, id, accumulator, error),
            Verdict::TooLarge | Verdict::OutOfOrder => self.finish_lost(slot, id, error, false),
            Verdict::Fail { possibly_written } => self.finish_lost(slot, id, error, possibly_written),
        }
    }

    pub(super) fn finish_written(&mut self, slot: Slot, id: u64, written: Written, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        if let Some(batch) = partition.queue.acknowledge(id, now) {
            self.outputs.push_back(done(partition.name.clone(), batch, Ok(written)));
        }
    }

    fn finish_lost(&mut self, slot: Slot, id: u64, error: Error, possibly_written: bool) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        if let Some(batch) = partition.queue.get_mut(id) {
            batch.in_flight = None;
            batch.maybe_written |= possibly_written;
        }
        let name = partition.name.clone();
        if let Some(batch) = partition.queue.give_up(id) {
            self.lose(name, batch, error);
        }
    }

    /// Cuts a batch that the broker finds too large into halves. They keep its place and its sequence numbers.
    fn split(&mut self, slot: Slot, id: u64, accumulator: &mut Accumulator, error: Error) {
        let ids = (self.next_batch_id(), self.next_batch_id());
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let Some(batch) = partition.queue.get_mut(id) else { return };
        accumulator.shrink(slot.topic, batch.plain_bytes / 2);
        let Some(mut parts) = halves(batch, &partition.name, ids) else {
            return self.finish_lost(slot, id, error, false);
        };
        for part in &mut parts {
            pack_or_pass(part, slot, &self.options, &mut self.outputs);
        }
        partition.queue.replace(id, parts);
    }
}

fn has_error(response: &ProduceResponse) -> bool {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.into_iter().any(|partition| partition.error_code != 0)
}

/// What the broker says about the partition.
fn judge(response: &ProduceResponse, partition: &TopicPartition) -> (Verdict, Option<Error>) {
    let topic = response.responses.iter().find(|topic| **topic.name == *partition.topic);
    let found = topic.and_then(|topic| {
        topic.partition_responses.iter().find(|answer| answer.index == partition.partition)
    });
    let Some(answer) = found else {
        let failure = RequestFailure::Malformed(format!("it says nothing about {partition}"));
        let error = Error::Request { broker: "the leader".into(), api: ProduceRequest::NAME, failure };
        return (Verdict::Retry { unknown: true }, Some(error));
    };
    let code = ErrorCode(answer.error_code);
    let verdict = judge_code(code, answer);
    let message = answer.error_message.as_ref().map(ToString::to_string);
    let message = answer
        .record_errors
        .first()
        .and_then(|record| {
            let text = record.batch_index_error_message.as_ref()?;
            Some(format!("record {} of the batch: {}", record.batch_index, &**text))
        })
        .or(message);
    (
        verdict,
        code.check()
            .err()
            .map(|code| Error::broker(ProduceRequest::NAME, partition.to_string(), code, message)),
    )
}

fn judge_code(code: ErrorCode, answer: &PartitionProduceResponse) -> Verdict {
    let some = |number: i64| Some(number).filter(|number| *number >= 0);
    match code {
        ErrorCode::NONE => Verdict::Written(Written {
            base_offset: some(answer.base_offset),
            append_time: some(answer.log_append_time_ms),
        }),
        // The broker has it and does not remember where.
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
            Verdict::Written(Written { base_offset: None, append_time: None })
        }
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => Verdict::TooLarge,
        // The leader has it, the replicas perhaps not.
        ErrorCode::REQUEST_TIMED_OUT | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
            Verdict::Retry { unknown: true }
        }
        ErrorCode::UNKNOWN_SERVER_ERROR => Verdict::Fail { possibly_written: true },
        ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::CORRUPT_MESSAGE => Verdict::Retry { unknown: false },
        code => match code.reaction() {
            Reaction::ResetSequence => Verdict::OutOfOrder,
            // The leader may have appended it before it lost its office.
            Reaction::Retry | Reaction::RefreshMetadata | Reaction::FindCoordinator => {
                Verdict::Retry { unknown: true }
            }
            Reaction::RejoinGroup | Reaction::Fail => Verdict::Fail { possibly_written: false },
        },
    }
}

/// What it means that there is no answer.
fn judge_failure(error: &Error) -> Verdict {
    match error {
        Error::Request {
            failure: RequestFailure::Unsupported(_) | RequestFailure::Unencodable(_), ..
        } => Verdict::Fail { possibly_written: false },
        Error::Request { .. } => Verdict::Retry { unknown: true },
        error if error.is_retriable() => Verdict::Retry { unknown: true },
        _ => Verdict::Fail { possibly_written: true },
    }
}

/// Two batches with the records of one.
fn halves(batch: &mut Pending, partition: &TopicPartition, ids: (u64, u64)) -> Option<Vec<Pending>> {
    let Body::Sealed(sealed) = &batch.body else { return None };
    let records = read_back(partition, sealed).ok()?;
    let first = batch.count / 2;
    let mut builders = [BatchBuilder::new(Vec::new()), BatchBuilder::new(Vec::new())];
    for opened in records.batches() {
        for (place, view) in opened.ok()?.records().enumerate() {
            let view = view.ok()?;
            let headers: Vec<Header> = view.headers().map(own_header).collect();
            let record = RecordRef { key: view.key, value: view.value, headers: &headers, timestamp: None };
            let half = usize::from(i32::try_from(place).is_ok_and(|place| place >= first));
            builders[half].push(&record, view.timestamp);
        }
    }
    let [left, right] = builders;
    if left.count() + right.count() != batch.count {
        return None;
    }
    let waiters = std::mem::take(&mut batch.waiters);
    let (of_left, of_right): (Vec<Waiter>, Vec<Waiter>) =
        waiters.into_iter().partition(|(place, _)| *place < first);
    let of_right = of_right.into_iter().map(|(place, waiter)| (place - first, waiter)).collect();
    let charged = batch.charged;
    Some(vec![part(batch, left, ids.0, of_left, charged), part(batch, right, ids.1, of_right, 0)])
}

fn own_header((name, value): (&[u8], Option<&[u8]>)) -> Header {
    Header { name: Bytes::copy_from_slice(name), value: value.map(Bytes::copy_from_slice) }
}

fn part(whole: &Pending, builder: BatchBuilder, id: u64, waiters: Vec<Waiter>, charged: usize) -> Pending {
    let count = builder.count();
    let bytes = builder.finish();
    let closed = ClosedBatch { id: whole.order, count, created: whole.created, charged, bytes, waiters };
    Pending { id, ..Pending::new(closed) }
}
