//! From the bytes of a fetch answer to records: which batches count, and where the partition goes on.
//!
//! Records stay slices of the answer. Checksums are checked here, when an answer arrives; a compressed batch is opened
//! when it is read, on the reader's thread, so that one batch at most lies in memory opened.

mod batch;
mod cursor;
mod record;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use self::batch::{Header, RawBatch};
use self::record::BatchRecords;
pub use self::record::{Headers, RecordView, TimestampType};
use super::queue::Held;
use crate::TopicPartition;
use crate::compression::Codec;
use crate::error::{Error, Result};

/// The most that one batch may grow to when it is decompressed. Brokers bound the compressed size only; this is far
/// above what producers send and far below what hurts.
const MAX_OPENED_BYTES: usize = 256 * 1024 * 1024;

/// Why the bytes of a batch cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the {0} goes beyond the end of the bytes")]
    CutOff(&'static str),
    #[error("the {0} is negative or null")]
    Negative(&'static str),
    #[error("the {0} is too long a number")]
    TooLong(&'static str),
    #[error("bytes are left over after the {0}")]
    LeftOver(&'static str),
    #[error("a record claims offset {0} of its batch, which does not reach so far")]
    OffsetDelta(i32),
    #[error("the checksum is {actual:08x} and should be {stated:08x}")]
    Checksum { stated: u32, actual: u32 },
    #[error("unknown compression {0}")]
    UnknownCodec(i16),
    #[error("{0} does not decompress: {1}")]
    Compression(Codec, String),
    #[error(
        "the batch is in the old format {0}, which Kafka 4 does not have any more; only format 2 (Kafka 0.11) is read"
    )]
    OldFormat(i8),
    #[error("the answer holds no whole batch")]
    NoWholeBatch,
}

impl Malformed {
    fn at(self, partition: &TopicPartition, offset: i64) -> Error {
        Error::Corrupt { subject: format!("{partition} @{offset}"), reason: self.to_string() }
    }
}

/// The batches of one partition that came in one answer.
#[derive(Debug, Clone)]
pub struct PartitionRecords {
    partition: TopicPartition,
    batches: Vec<RawBatch>,
    from: i64,
    next_offset: i64,
    last_epoch: i32,
    /// Where the partition ended when the broker answered: the next offset to be written, as far as this isolation
    /// level reads.
    end_offset: i64,
    /// Says that the memory is in use.
    held: Option<Arc<Held>>,
}

impl PartitionRecords {
    /// The partition they come from.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The offset that was asked for: what is before it is left out.
    #[must_use]
    pub fn from(&self) -> i64 {
        self.from
    }

    /// Where reading goes on behind them: what to pass to `Consumer::mark` once all of them
    /// are dealt with. It may lie beyond the last record, and there may be no record at all (control batches, aborted
    /// transactions, compaction).
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The end of the partition when the broker answered: the high watermark, or the last stable offset under
    /// `isolation.level=read_committed`.
    #[must_use]
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// The leader epoch of the last batch; -1 where the broker does not say.
    pub(crate) fn last_epoch(&self) -> i32 {
        self.last_epoch
    }

    /// How many records there are at most. Records before the wanted offset count as well.
    #[must_use]
    pub fn count_bound(&self) -> usize {
        self.batches.iter().map(|batch| batch.header.count as usize).sum()
    }

    /// The bytes that these records keep in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.batches.iter().map(RawBatch::bytes).sum()
    }

    /// Counts as used what `held` stands for until these records are dropped.
    pub(super) fn hold(&mut self, held: Arc<Held>) {
        self.held = Some(held);
    }

    /// The batches in their order, each decompressed when it is reached.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a batch that does not decompress.
    pub fn batches(&self) -> impl Iterator<Item = Result<RecordBatch<'_>>> {
        self.batches.iter().map(|raw| {
            let plain = raw.open(MAX_OPENED_BYTES);
            let plain = plain.map_err(|malformed| malformed.at(&self.partition, raw.header.base_offset))?;
            Ok(RecordBatch { partition: &self.partition, header: &raw.header, plain, from: self.from })
        })
    }
}

/// One opened batch.
#[derive(Debug, Clone)]
pub struct RecordBatch<'a> {
    partition: &'a TopicPartition,
    header: &'a Header,
    plain: Bytes,
    from: i64,
}

impl RecordBatch<'_> {
    /// Whether its one record is the broker's: the end of a transaction. Comes only where it is asked for
    /// (`ConsumerOptions::control_records`). The key is a version and a type of 16 bits each; type 0 aborts, 1 commits.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.header.is_control()
    }

    /// The records, by offset. They borrow from the batch; nothing is copied.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the first record that cannot be read; it is the last item then.
    pub fn records(&self) -> impl Iterator<Item = Result<RecordView<'_>>> {
        BatchRecords::new(self.header, &self.plain, self.from)
            .map(|record| record.map_err(|malformed| malformed.at(self.partition, self.header.base_offset)))
    }
}

/// What a broker answered about one partition, as far as decoding needs it.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The record batches.
    pub(crate) bytes: Bytes,
    /// Producer id and first offset of the transactions in it that were aborted; used where `read_committed`.
    pub(crate) aborted: Vec<(i64, i64)>,
    /// Whether aborted transactions are left out.
    pub(crate) read_committed: bool,
    /// Whether control batches are handed out as well.
    pub(crate) control_records: bool,
    /// The end of the partition.
    pub(crate) end_offset: i64,
}

/// Finds the batches with something at `from` or after it.
///
/// A batch that cannot be read ends the walk: what stands before it is handed out, and the next fetch, which starts at
/// that batch, meets it first.
///
/// # Errors
/// [`Error::Corrupt`] where the answer brings the partition no further.
pub(crate) fn decode(partition: &TopicPartition, from: i64, answer: Answer) -> Result<PartitionRecords> {
    let mut found = PartitionRecords {
        partition: partition.clone(),
        batches: Vec::new(),
        from,
        next_offset: from,
        last_epoch: -1,
        end_offset: answer.end_offset,
        held: None,
    };
    let mut aborted = Aborted::new(answer.aborted);
    let mut rest = answer.bytes;
    let is_empty = rest.is_empty();
    let stopped_by = loop {
        let batch = match RawBatch::split_from(&mut rest) {
            Ok(Some(batch)) => batch,
            Ok(None) => break Malformed::NoWholeBatch,
            Err(malformed) => break malformed,
        };
        let is_wanted = !answer.read_committed || aborted.keeps(&batch);
        // Answers begin with the batch that holds the wanted offset, or earlier.
        if batch.header.next_offset() <= found.next_offset {
            continue;
        }
        found.next_offset = batch.header.next_offset();
        found.last_epoch = batch.header.leader_epoch;
        let is_shown = is_wanted || batch.header.is_control();
        if is_shown && (answer.control_records || !batch.header.is_control()) && batch.header.count > 0 {
            found.batches.push(batch);
        }
    };
    if found.next_offset == from && !is_empty {
        return Err(stopped_by.at(partition, from));
    }
    Ok(found)
}

/// The aborted transactions of one answer, walked along with its batches.
struct Aborted {
    /// By first offset.
    ahead: VecDeque<(i64, i64)>,
    open: BTreeSet<i64>,
}

impl Aborted {
    fn new(mut transactions: Vec<(i64, i64)>) -> Self {
        transactions.sort_by_key(|(_, first_offset)| *first_offset);
        Self { ahead: transactions.into(), open: BTreeSet::new() }
    }

    /// Whether the batch belongs to no aborted transaction.
    fn keeps(&mut self, batch: &RawBatch) -> bool {
        let header = &batch.header;
        while let Some(&(producer, first)) = self.ahead.front()
            && first < header.next_offset()
        {
            self.ahead.pop_front();
            self.open.insert(producer);
        }
        if header.is_control() && is_abort_marker(batch) {
            self.open.remove(&header.producer_id);
        }
        !(header.is_transactional() && self.open.contains(&header.producer_id))
    }
}

/// A control record's key is a version and a type, both 16 bits; type 0 aborts a transaction.
fn is_abort_marker(batch: &RawBatch) -> bool {
    /// A control batch holds one record of a few bytes.
    const MAX_BYTES: usize = 64 * 1024;
    let Ok(plain) = batch.open(MAX_BYTES) else { return false };
    let first = BatchRecords::new(&batch.header, &plain, 0).next();
    matches!(first, Some(Ok(RecordView { key: Some([_, _, 0, 0, ..]), .. })))
}

#[cfg(test)]
mod tests;
