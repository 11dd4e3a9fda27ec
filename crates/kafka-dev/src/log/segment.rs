//! One segment of a log: consecutive record batches and a sparse index over them.
//!
//! The index lives in memory and is rebuilt by walking the headers when a segment is opened.

use std::io;

use bytes::Bytes;

use super::batch::{BatchHeader, HEADER_BYTES};
use super::storage::Storage;

/// Bytes between two index entries, as Kafka's `index.interval.bytes`.
const INDEX_INTERVAL_BYTES: u64 = 4096;

#[derive(Debug, Clone, Copy)]
struct IndexEntry {
    offset: i64,
    position: u64,
}

/// Batches from `base_offset` on.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: i64,
    pub(crate) storage: Storage,
    index: Vec<IndexEntry>,
    /// The largest timestamp in it, -1 if it is empty.
    pub(crate) max_timestamp: i64,
    /// When its first batch was appended, by the broker's clock.
    pub(crate) first_append_ms: Option<i64>,
    /// One after the last offset in it.
    pub(crate) next_offset: i64,
}

impl Segment {
    pub(crate) fn new(base_offset: i64, storage: Storage) -> Self {
        Self {
            base_offset,
            storage,
            index: Vec::new(),
            max_timestamp: -1,
            first_append_ms: None,
            next_offset: base_offset,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.storage.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a batch whose offsets are assigned.
    pub(crate) fn append(&mut self, header: &BatchHeader, batch: &[u8], now_ms: i64) -> io::Result<()> {
        let position = self.len();
        self.storage.append(batch)?;
        self.note(header, position);
        self.first_append_ms.get_or_insert(now_ms);
        Ok(())
    }

    /// Takes up a batch that is in the storage at `position`.
    pub(crate) fn note(&mut self, header: &BatchHeader, position: u64) {
        let due = self.index.last().is_none_or(|last| position - last.position >= INDEX_INTERVAL_BYTES);
        if due {
            self.index.push(IndexEntry { offset: header.base_offset, position });
        }
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
        self.next_offset = header.last_offset() + 1;
    }

    /// The header at `position`, if a batch is there.
    pub(crate) fn header_at(&self, position: u64) -> io::Result<Option<BatchHeader>> {
        Ok(BatchHeader::read(&self.storage.read(position, HEADER_BYTES)?))
    }

    /// All batches from `position` on, with where they are.
    pub(crate) fn batches(&self, position: u64) -> Batches<'_> {
        Batches { segment: self, position }
    }

    /// The first batch that ends at or after `offset`.
    pub(crate) fn find(&self, offset: i64) -> io::Result<Option<(u64, BatchHeader)>> {
        let entry = self.index.partition_point(|entry| entry.offset <= offset);
        let from = entry.checked_sub(1).map_or(0, |before| self.index[before].position);
        for found in self.batches(from) {
            let (position, header) = found?;
            if header.last_offset() >= offset {
                return Ok(Some((position, header)));
            }
        }
        Ok(None)
    }

    /// The bytes of one batch.
    pub(crate) fn batch_bytes(&self, position: u64, header: &BatchHeader) -> io::Result<Bytes> {
        self.storage.read(position, header.size)
    }
}

/// Walks the headers of a segment.
pub(crate) struct Batches<'a> {
    segment: &'a Segment,
    position: u64,
}

impl Iterator for Batches<'_> {
    type Item = io::Result<(u64, BatchHeader)>;

    fn next(&mut self) -> Option<Self::Item> {
        let position = self.position;
        if position >= self.segment.len() {
            return None;
        }
        match self.segment.header_at(position) {
            Ok(Some(header)) => {
                self.position += header.size as u64;
                Some(Ok((position, header)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}
