//! What became of records: per batch for whoever counts, per record for whoever waits. Data only.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::batch::{self, Stamp};
use crate::TopicPartition;
use crate::consumer::PartitionRecords;
use crate::consumer::decode::{self, Answer};
use crate::error::{Error, Result};

/// Where a record lies, once the broker has acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPlace {
    /// Its partition.
    pub partition: TopicPartition,
    /// Its offset. `None` where the broker says that it has the record already and not where, or where nobody was asked
    /// (`acks=0`).
    pub offset: Option<i64>,
    /// Milliseconds since 1970 at which the broker appended it, where the topic counts that time.
    pub append_time: Option<i64>,
}

impl fmt::Display for RecordPlace {
    /// `rider-updates[0] @42`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{} @{offset}", self.partition),
            None => write!(f, "{}", self.partition),
        }
    }
}

/// Why a record does not count as sent.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{partition}: {}{error}", if *possibly_written { "possibly written: " } else { "" })]
pub struct RecordFailure {
    /// Its partition.
    pub partition: TopicPartition,
    /// What went wrong last.
    pub error: Arc<Error>,
    /// Whether a broker may have it nevertheless: it was sent, and no answer came. `false` is certain.
    pub possibly_written: bool,
}

/// The outcome of one batch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The place of the first record (the others follow it), or why none of them counts as sent.
    pub outcome: Result<RecordPlace, RecordFailure>,
    /// How many records.
    pub records: usize,
    /// Their bytes in the batch, before compression.
    pub bytes: usize,
    /// From its first record to its outcome.
    pub latency: Duration,
    pub(super) batch: Bytes,
}

impl Delivery {
    /// The partition.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        match &self.outcome {
            Ok(place) => &place.partition,
            Err(failure) => &failure.partition,
        }
    }

    /// The records themselves, in the order in which they were handed over; offsets in it count from 0.
    ///
    /// # Errors
    /// [`Error::Corrupt`] would be a fault of this library.
    pub fn records(&self) -> Result<PartitionRecords> {
        read_back(self.partition(), &self.batch)
    }
}

/// The records of a batch of ours, sent or not.
pub(super) fn read_back(partition: &TopicPartition, bytes: &Bytes) -> Result<PartitionRecords> {
    let mut copy = bytes.to_vec();
    batch::seal(&mut copy, Stamp::NONE, false);
    decode::decode(partition, 0, Answer { bytes: copy.into(), ..Answer::default() })
}
