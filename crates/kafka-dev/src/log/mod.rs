//! The log of one partition: segments of record batches, what idempotent producers wrote, and the offsets that
//! bound reading. No network, no topics; time comes in as an argument.

pub(crate) mod batch;
pub(crate) mod compaction;
mod compression;
mod marker;
pub(crate) mod producers;
pub(crate) mod records;
mod recovery;
pub(crate) mod retention;
mod segment;
mod storage;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;

use batch::BatchHeader;
use producers::{Producers, Verdict};
use segment::Segment;
use storage::Storage;

/// How a batch got into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// -1 unless the broker stamps records.
    pub(crate) append_time: i64,
    /// False for a duplicate that was in the log before.
    pub(crate) is_new: bool,
}

/// What the append needs to know of the topic and of now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppendOptions {
    pub(crate) leader_epoch: i32,
    pub(crate) log_append_time: bool,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_ms: i64,
    pub(crate) now_ms: i64,
}

/// An aborted transaction, as read-committed fetches are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Of the abort marker.
    pub(crate) last_offset: i64,
}

/// A record found by its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimedOffset {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
}

const SEGMENT_SUFFIX: &str = ".log";
const CLEANED_SUFFIX: &str = ".cleaned";

/// One partition's records.
#[derive(Debug)]
pub(crate) struct Log {
    /// None for a log in memory.
    dir: Option<PathBuf>,
    /// Whether every append waits for the disk.
    sync: bool,
    /// In offset order, never empty; the last one is written to.
    segments: Vec<Segment>,
    start_offset: i64,
    /// Where each leader epoch began.
    epochs: Vec<(i32, i64)>,
    pub(crate) producers: Producers,
    aborted: Vec<Aborted>,
    /// Up to where compaction has been.
    compacted_to: i64,
}

impl Log {
    /// An empty log kept in memory.
    pub(crate) fn in_memory() -> Self {
        let mut log = Self::empty(None, false);
        log.segments.push(Segment::new(0, Storage::Memory(Vec::new())));
        log
    }

    fn empty(dir: Option<PathBuf>, sync: bool) -> Self {
        Self {
            dir,
            sync,
            segments: Vec::new(),
            start_offset: 0,
            epochs: Vec::new(),
            producers: Producers::default(),
            aborted: Vec::new(),
            compacted_to: 0,
        }
    }

    fn segment_path(&self, base: i64) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(format!("{base:020}{SEGMENT_SUFFIX}")))
    }

    fn new_segment(&self, base: i64) -> io::Result<Segment> {
        let storage = match self.segment_path(base) {
            Some(path) => Storage::open(&path)?,
            None => Storage::Memory(Vec::new()),
        };
        Ok(Segment::new(base, storage))
    }

    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// One after the last record: the high watermark too, since replicas share this log.
    pub(crate) fn end_offset(&self) -> i64 {
        self.segments.last().map_or(0, |segment| segment.next_offset)
    }

    /// Up to where a read-committed consumer may read.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        self.producers.first_open_offset().unwrap_or_else(|| self.end_offset())
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    /// Appends a batch from a client whose checksum was verified.
    pub(crate) fn append(
        &mut self,
        batch: &[u8],
        options: &AppendOptions,
    ) -> Result<Appended, ResponseError> {
        let header = BatchHeader::read(batch).ok_or(ResponseError::CorruptMessage)?;
        if header.is_idempotent()
            && let Verdict::Duplicate { base_offset, timestamp } = self.producers.check(&header)?
        {
            let append_time = if options.log_append_time { timestamp } else { -1 };
            return Ok(Appended { base_offset, append_time, is_new: false });
        }
        let mut stored = BytesMut::from(batch);
        if options.log_append_time {
            batch::stamp_append_time(&mut stored, options.now_ms);
        }
        let base_offset = self.store(&mut stored, options).map_err(|error| {
            tracing::error!(%error, "cannot write the log");
            ResponseError::KafkaStorageError
        })?;
        let append_time = if options.log_append_time { options.now_ms } else { -1 };
        Ok(Appended { base_offset, append_time, is_new: true })
    }

    /// Gives a batch its offsets and writes it; its base offset.
    fn store(&mut self, batch: &mut [u8], options: &AppendOptions) -> io::Result<i64> {
        let base_offset = self.end_offset();
        batch::assign(batch, base_offset, options.leader_epoch);
        let header = BatchHeader::read(batch).ok_or_else(|| io::Error::other("not a batch"))?;
        if self.is_full(header.size as u64, options) {
            self.roll()?;
        }
        let sync = self.sync;
        let active = self.segments.last_mut().ok_or_else(|| io::Error::other("no segment"))?;
        active.append(&header, batch, options.now_ms)?;
        if sync {
            active.storage.sync()?;
        }
        self.note(&header, batch);
        Ok(base_offset)
    }

    /// Ends a producer's transaction in this partition (KIP-98).
    pub(crate) fn append_marker(
        &mut self,
        producer_id: i64,
        producer_epoch: i16,
        commit: bool,
        leader_epoch: i32,
        now_ms: i64,
    ) -> io::Result<()> {
        let mut marker = marker::write(producer_id, producer_epoch, commit, now_ms);
        let options = AppendOptions {
            leader_epoch,
            log_append_time: false,
            segment_bytes: u64::MAX,
            segment_ms: i64::MAX,
            now_ms,
        };
        self.store(&mut marker, &options).map(drop)
    }

    /// Updates what is derived from the batches. The bytes are looked at only for control batches.
    fn note(&mut self, header: &BatchHeader, batch: &[u8]) {
        if self.epochs.last().is_none_or(|(epoch, _)| *epoch < header.leader_epoch) {
            self.epochs.push((header.leader_epoch, header.base_offset));
        }
        if header.is_control() {
            self.note_marker(header, batch);
        } else if header.is_idempotent() {
            self.producers.appended(header);
        }
    }

    fn note_marker(&mut self, header: &BatchHeader, batch: &[u8]) {
        let began = self.producers.marker(header.producer_id, header.producer_epoch);
        if let Some(first_offset) = began
            && marker::is_abort(batch)
        {
            let (producer_id, last_offset) = (header.producer_id, header.base_offset);
            self.aborted.push(Aborted { producer_id, first_offset, last_offset });
        }
    }

    fn is_full(&self, more: u64, options: &AppendOptions) -> bool {
        let Some(active) = self.segments.last().filter(|active| !active.is_empty()) else { return false };
        let age = options.now_ms - active.first_append_ms.unwrap_or(options.now_ms);
        active.len() + more > options.segment_bytes || age > options.segment_ms
    }

    /// Begins a new segment.
    fn roll(&mut self) -> io::Result<()> {
        if let Some(active) = self.segments.last().filter(|_| self.sync) {
            active.storage.sync()?;
        }
        let next = self.new_segment(self.end_offset())?;
        self.segments.push(next);
        Ok(())
    }

    /// Where the first batch is that ends at or after `offset`: segment, position, header.
    fn locate(&self, offset: i64) -> io::Result<Option<(usize, u64, BatchHeader)>> {
        let from = self.segments.partition_point(|segment| segment.next_offset <= offset);
        // Compaction may have taken the end of a segment: the next batch is then in a later one.
        for at in from..self.segments.len() {
            if let Some((position, header)) = self.segments[at].find(offset)? {
                return Ok(Some((at, position, header)));
            }
        }
        Ok(None)
    }

    /// Bytes from the batch that holds `offset`, below `end`, cut at `max_bytes` as Kafka cuts: possibly within
    /// a batch. With `whole_first`, the first batch comes whole however large it is.
    pub(crate) fn read(
        &self,
        offset: i64,
        end: i64,
        max_bytes: usize,
        whole_first: bool,
    ) -> io::Result<Bytes> {
        if offset >= end {
            return Ok(Bytes::new());
        }
        let Some((at, position, first)) = self.locate(offset)? else { return Ok(Bytes::new()) };
        if first.base_offset >= end {
            return Ok(Bytes::new());
        }
        let segment = &self.segments[at];
        let limit = if whole_first { max_bytes.max(first.size) } else { max_bytes };
        let until = if end < segment.next_offset {
            segment.find(end)?.map_or(segment.len(), |(position, _)| position)
        } else {
            segment.len()
        };
        let available = usize::try_from(until - position).unwrap_or(usize::MAX);
        segment.storage.read(position, limit.min(available))
    }

    /// About how many bytes a fetch at `offset` could have, for `min_bytes`.
    pub(crate) fn bytes_from(&self, offset: i64) -> u64 {
        let Ok(Some((at, position, _))) = self.locate(offset) else { return 0 };
        let later: u64 = self.segments[at + 1..].iter().map(Segment::len).sum();
        self.segments[at].len() - position + later
    }

    /// Aborted transactions that a reader of `from..to` has to skip.
    pub(crate) fn aborted_between(&self, from: i64, to: i64) -> Vec<Aborted> {
        self.aborted.iter().filter(|a| a.last_offset >= from && a.first_offset < to).copied().collect()
    }

    /// The first record at or after a time.
    pub(crate) fn offset_for_time(&self, timestamp: i64) -> io::Result<Option<TimedOffset>> {
        for segment in self.segments.iter().filter(|segment| segment.max_timestamp >= timestamp) {
            for found in segment.batches(0) {
                let (position, header) = found?;
                if header.max_timestamp < timestamp || header.last_offset() < self.start_offset {
                    continue;
                }
                let records = records::read_records(&segment.batch_bytes(position, &header)?)?;
                let hit = records.iter().find(|record| {
                    record.timestamp >= timestamp
                        && record.offset >= self.start_offset
                        && !header.is_control()
                });
                if let Some(record) = hit {
                    return Ok(Some(TimedOffset {
                        offset: record.offset,
                        timestamp: record.timestamp,
                        leader_epoch: header.leader_epoch,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp (KIP-734).
    pub(crate) fn max_timestamp(&self) -> io::Result<Option<TimedOffset>> {
        let largest = self.segments.iter().map(|segment| segment.max_timestamp).max().unwrap_or(-1);
        if largest < 0 { Ok(None) } else { self.offset_for_time(largest) }
    }

    /// The leader epoch in which an offset was written, -1 if it was not yet.
    pub(crate) fn epoch_at(&self, offset: i64) -> i32 {
        let after = self.epochs.partition_point(|(_, start)| *start <= offset);
        after.checked_sub(1).and_then(|at| self.epochs.get(at)).map_or(-1, |(epoch, _)| *epoch)
    }

    /// The largest epoch at or below the one asked for, and where it ended (KIP-101, KIP-320).
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let after = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let found = self.epochs.get(after.checked_sub(1)?)?.0;
        let end = self.epochs.get(after).map_or_else(|| self.end_offset(), |(_, start)| *start);
        Some((found, end))
    }

    /// Every record from the start, control batches left out.
    pub(crate) fn all_records(&self) -> io::Result<Vec<records::Record>> {
        let mut all = Vec::new();
        for segment in &self.segments {
            for found in segment.batches(0) {
                let (position, header) = found?;
                if !header.is_control() {
                    let records = records::read_records(&segment.batch_bytes(position, &header)?)?;
                    all.extend(records.into_iter().filter(|record| record.offset >= self.start_offset));
                }
            }
        }
        Ok(all)
    }
}
