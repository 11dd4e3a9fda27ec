//! What a partition remembers of its idempotent producers (KIP-98), to tell duplicates from gaps.
//!
//! The last five batches of each producer id are kept, as many as a producer may have in flight. Pure: no clock, no log.

use std::collections::{HashMap, VecDeque};

use kafka_protocol::error::ResponseError;

use super::batch::{BatchHeader, add_sequence};

/// Batches remembered per producer: `max.in.flight.requests.per.connection` of an idempotent producer.
const REMEMBERED_BATCHES: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remembered {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    last_timestamp: i64,
}

/// One producer id in one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProducerEntry {
    pub(crate) epoch: i16,
    batches: VecDeque<Remembered>,
    /// First offset of the open transaction.
    pub(crate) transaction_start: Option<i64>,
    pub(crate) last_timestamp: i64,
}

impl ProducerEntry {
    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }
}

/// What to do with a batch that came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Next in sequence: append.
    Append,
    /// Already in the log at this base offset: acknowledge again.
    Duplicate { base_offset: i64, timestamp: i64 },
}

/// All producers of one partition, by producer id.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    entries: HashMap<i64, ProducerEntry>,
}

impl Producers {
    /// Decides on a batch with a producer id, as Kafka's `ProducerAppendInfo` does.
    pub(crate) fn check(&self, batch: &BatchHeader) -> Result<Verdict, ResponseError> {
        let Some(entry) = self.entries.get(&batch.producer_id) else { return Ok(Verdict::Append) };
        let same = |known: &&Remembered| {
            known.first_sequence == batch.base_sequence && known.last_sequence == batch.last_sequence()
        };
        if batch.producer_epoch < entry.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if batch.producer_epoch > entry.epoch {
            return match batch.base_sequence {
                0 => Ok(Verdict::Append),
                _ => Err(ResponseError::OutOfOrderSequenceNumber),
            };
        }
        if let Some(known) = entry.batches.iter().find(same) {
            return Ok(Verdict::Duplicate {
                base_offset: known.base_offset,
                timestamp: known.last_timestamp,
            });
        }
        let expected = entry.batches.back().map_or(0, |last| add_sequence(last.last_sequence, 1));
        if batch.base_sequence == expected {
            Ok(Verdict::Append)
        } else {
            Err(ResponseError::OutOfOrderSequenceNumber)
        }
    }

    /// Remembers a data batch that is now in the log.
    pub(crate) fn appended(&mut self, batch: &BatchHeader) {
        let entry = self.entries.entry(batch.producer_id).or_default();
        if batch.producer_epoch != entry.epoch {
            entry.batches.clear();
            entry.epoch = batch.producer_epoch;
        }
        if entry.batches.len() == REMEMBERED_BATCHES {
            entry.batches.pop_front();
        }
        entry.batches.push_back(Remembered {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset,
            last_timestamp: batch.max_timestamp,
        });
        entry.last_timestamp = batch.max_timestamp;
        if batch.is_transactional() && entry.transaction_start.is_none() {
            entry.transaction_start = Some(batch.base_offset);
        }
    }

    /// Ends the producer's transaction at a marker; the offset it began at, if it wrote here.
    /// A marker with a newer epoch fences the older one.
    pub(crate) fn marker(&mut self, producer_id: i64, epoch: i16) -> Option<i64> {
        let entry = self.entries.entry(producer_id).or_default();
        if epoch > entry.epoch {
            entry.batches.clear();
        }
        entry.epoch = entry.epoch.max(epoch);
        entry.transaction_start.take()
    }

    /// The first offset of the oldest open transaction.
    pub(crate) fn first_open_offset(&self) -> Option<i64> {
        self.entries.values().filter_map(|entry| entry.transaction_start).min()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, sequence: i32, records: i32, base_offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset,
            size: 100,
            leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence: sequence,
            record_count: records,
        }
    }

    fn after(batches: &[BatchHeader]) -> Producers {
        let mut producers = Producers::default();
        for batch in batches {
            assert_eq!(producers.check(batch), Ok(Verdict::Append));
            producers.appended(batch);
        }
        producers
    }

    #[test]
    fn a_repeated_batch_is_acknowledged_with_its_first_offset() {
        let producers = after(&[batch(0, 0, 3, 10), batch(0, 3, 2, 13)]);
        let verdict = producers.check(&batch(0, 0, 3, 0));
        assert_eq!(verdict, Ok(Verdict::Duplicate { base_offset: 10, timestamp: 0 }));
    }

    #[test]
    fn a_gap_is_out_of_order() {
        let producers = after(&[batch(0, 0, 3, 10)]);
        assert_eq!(producers.check(&batch(0, 4, 1, 0)), Err(ResponseError::OutOfOrderSequenceNumber));
    }

    #[test]
    fn a_duplicate_older_than_five_batches_is_out_of_order() {
        let batches: Vec<_> = (0..6).map(|n| batch(0, n, 1, i64::from(n))).collect();
        let producers = after(&batches);
        assert_eq!(producers.check(&batches[0]), Err(ResponseError::OutOfOrderSequenceNumber));
        assert!(matches!(producers.check(&batches[1]), Ok(Verdict::Duplicate { .. })));
    }

    #[test]
    fn an_older_epoch_is_fenced_and_a_newer_one_starts_at_zero() {
        let producers = after(&[batch(3, 0, 1, 0)]);
        assert_eq!(producers.check(&batch(2, 1, 1, 0)), Err(ResponseError::InvalidProducerEpoch));
        assert_eq!(producers.check(&batch(4, 1, 1, 0)), Err(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(producers.check(&batch(4, 0, 1, 0)), Ok(Verdict::Append));
    }

    #[test]
    fn an_unknown_producer_may_start_anywhere_because_retention_may_have_taken_its_past() {
        assert_eq!(Producers::default().check(&batch(0, 99, 1, 0)), Ok(Verdict::Append));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let producers = after(&[batch(0, i32::MAX, 1, 0)]);
        assert_eq!(producers.check(&batch(0, 0, 1, 0)), Ok(Verdict::Append));
    }
}
