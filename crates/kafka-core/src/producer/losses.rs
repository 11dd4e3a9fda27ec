//! What the sender gives up: batches that ran out of time, that an aborted transaction needs no more, or that nothing can
//! send any more. Each is told to whoever waits for it.

use std::time::Instant;

use super::accumulator::Accumulator;
use super::output::{Lost, done, timed_out};
use super::pending::Pending;
use super::sender::Sender;
use crate::TopicPartition;
use crate::error::Error;

impl Sender {
    /// Batches whose `delivery.timeout.ms` is over.
    pub(super) fn give_up_old(&mut self, accumulator: &mut Accumulator, now: Instant) {
        let limit = self.options.delivery_timeout;
        let Some(created_before) = now.checked_sub(limit) else { return };
        let mut given_up = Vec::new();
        for partition in self.partitions.values_mut() {
            while let Some(id) = partition.queue.oldest_before(created_before)
                && let Some(batch) = partition.queue.give_up(id)
            {
                given_up.push((partition.name.clone(), partition.leader, batch));
            }
        }
        for slot in accumulator.filled().collect::<Vec<_>>() {
            let leader = self.partitions.get(&slot).and_then(|partition| partition.leader);
            while let Some(old) = accumulator.take_older(slot, created_before) {
                given_up.push((accumulator.name(slot), leader, Pending::new(old)));
            }
        }
        for (partition, leader, mut batch) in given_up {
            let broker = leader.and_then(|leader| self.brokers.get(&leader));
            let last = batch.last_error.take().or_else(|| broker?.last_error.clone());
            let last = last.or_else(|| self.identity_error.clone());
            let error = timed_out(&partition, limit, last);
            self.lose(partition, batch, error);
        }
    }

    /// Gives up the batches for which `is_dropped`, and all that wait in the accumulator.
    pub(super) fn drop_queued(
        &mut self,
        accumulator: &mut Accumulator,
        error: &Error,
        is_dropped: impl Fn(&Pending) -> bool,
    ) {
        let mut dropped = Vec::new();
        for partition in self.partitions.values_mut() {
            let given_up = partition.queue.give_up_where(&is_dropped).into_iter();
            dropped.extend(given_up.map(|batch| (partition.name.clone(), batch)));
        }
        for slot in accumulator.filled().collect::<Vec<_>>() {
            while let Some(batch) = accumulator.take(slot) {
                dropped.push((accumulator.name(slot), Pending::new(batch)));
            }
        }
        for (partition, batch) in dropped {
            self.lose(partition, batch, error.clone());
        }
    }

    /// A batch was taken out of its queue and will never be sent again. It dooms its transaction.
    pub(super) fn lose(&mut self, partition: TopicPartition, batch: Pending, error: Error) {
        self.transaction_error.get_or_insert_with(|| error.clone());
        let possibly_written = batch.maybe_written || batch.in_flight.is_some();
        self.outputs.push_back(done(partition, batch, Err(Lost { error, possibly_written })));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::producer::ProducerOptions;
    use crate::producer::output::Output;
    use crate::record::RecordRef;

    #[test]
    fn what_is_dropped_when_nothing_can_be_sent_any_more_dooms_the_transaction() {
        let options = ProducerOptions { transactional_id: Some("x".into()), ..ProducerOptions::default() };
        let backoff = (Duration::from_millis(100), Duration::from_secs(1));
        let mut sender = Sender::new(options.sender(backoff), fastrand::Rng::with_seed(1));
        let rng = fastrand::Rng::with_seed(1);
        let mut accumulator = Accumulator::new(options.limits(), options.partitioner, rng);
        let (topic, now) = (accumulator.topic(&Arc::from("t"), 1, vec![0]), Instant::now());
        accumulator.append(topic, Some(0), &RecordRef::default(), (now, 0), None).unwrap();
        sender.fail(Error::Closed("the connection"));
        assert!(
            matches!(sender.poll(&mut accumulator, now), Some(Output::Done(done)) if done.outcome.is_err())
        );
        assert!(sender.transaction_error().is_some());
    }
}
