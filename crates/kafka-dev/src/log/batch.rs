//! Views of one record batch (magic 2, KIP-98) as bytes: header fields, CRC, and the fields a leader assigns.
//!
//! Batches are stored as received; only the base offset, the leader epoch and, for `LogAppendTime`, the timestamp are
//! written in place. Not here: reading the records inside (`records.rs`).

use bytes::{Buf, BufMut};

/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 61;
/// The base offset and the length, which the length itself does not count.
pub(crate) const PREFIX_BYTES: usize = 12;
const LEADER_EPOCH_AT: usize = 12;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

pub(crate) const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
pub(super) const TRANSACTIONAL: i16 = 0x10;
pub(super) const CONTROL: i16 = 0x20;

/// What the header of a batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) base_offset: i64,
    /// Of the whole batch, in bytes.
    pub(crate) size: usize,
    pub(crate) leader_epoch: i32,
    pub(crate) magic: i8,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`; none if they are too short or no batch.
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES {
            return None;
        }
        let base_offset = bytes.get_i64();
        let size = usize::try_from(bytes.get_i32()).ok()?.checked_add(PREFIX_BYTES)?;
        let header = Self {
            base_offset,
            size,
            leader_epoch: bytes.get_i32(),
            magic: bytes.get_i8(),
            crc: bytes.get_u32(),
            attributes: bytes.get_i16(),
            last_offset_delta: bytes.get_i32(),
            base_timestamp: bytes.get_i64(),
            max_timestamp: bytes.get_i64(),
            producer_id: bytes.get_i64(),
            producer_epoch: bytes.get_i16(),
            base_sequence: bytes.get_i32(),
            record_count: bytes.get_i32(),
        };
        (size >= HEADER_BYTES).then_some(header)
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.producer_id >= 0
    }

    pub(crate) fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub(crate) fn compression(&self) -> i16 {
        self.attributes & COMPRESSION_MASK
    }

    /// The sequence number of the last record; sequences wrap at 2^31.
    pub(crate) fn last_sequence(&self) -> i32 {
        add_sequence(self.base_sequence, self.last_offset_delta)
    }
}

/// Adds to a sequence number, wrapping from `i32::MAX` to 0 as the protocol does.
pub(crate) fn add_sequence(sequence: i32, delta: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(delta);
    i32::try_from(sum & i64::from(i32::MAX)).unwrap_or(0)
}

/// Whether the checksum of the whole batch holds.
pub(crate) fn crc_holds(batch: &[u8]) -> bool {
    BatchHeader::read(batch).is_some_and(|header| {
        header.size <= batch.len() && crc32c::crc32c(&batch[ATTRIBUTES_AT..header.size]) == header.crc
    })
}

/// Writes what the leader decides. Neither field is covered by the checksum.
pub(crate) fn assign(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    (&mut batch[..8]).put_i64(base_offset);
    (&mut batch[LEADER_EPOCH_AT..]).put_i32(leader_epoch);
}

/// Marks a batch as stamped by the broker and renews its checksum.
pub(crate) fn stamp_append_time(batch: &mut [u8], now_ms: i64) {
    let attributes = (&batch[ATTRIBUTES_AT..]).get_i16() | LOG_APPEND_TIME;
    (&mut batch[ATTRIBUTES_AT..]).put_i16(attributes);
    (&mut batch[MAX_TIMESTAMP_AT..]).put_i64(now_ms);
    renew_crc(batch);
}

/// Recomputes the checksum after a change to what it covers.
pub(crate) fn renew_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    (&mut batch[CRC_AT..]).put_u32(crc);
}
