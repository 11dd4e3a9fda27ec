//! Control batches that end a transaction: written by the broker, skipped by consumers (KIP-98).

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::{BatchHeader, CONTROL, TRANSACTIONAL};
use super::records::{Record, read_records, write_batch};

const ABORT: i16 = 0;
const COMMIT: i16 = 1;
const VERSION: i16 = 0;
/// Coordinators here are never elected.
const COORDINATOR_EPOCH: i32 = 0;

/// A marker without its offset.
pub(super) fn write(producer_id: i64, producer_epoch: i16, commit: bool, now_ms: i64) -> BytesMut {
    let mut key = BytesMut::new();
    key.put_i16(VERSION);
    key.put_i16(if commit { COMMIT } else { ABORT });
    let mut value = BytesMut::new();
    value.put_i16(VERSION);
    value.put_i32(COORDINATOR_EPOCH);
    let header = BatchHeader {
        base_offset: 0,
        size: 0,
        leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: TRANSACTIONAL | CONTROL,
        last_offset_delta: 0,
        base_timestamp: now_ms,
        max_timestamp: now_ms,
        producer_id,
        producer_epoch,
        base_sequence: -1,
        record_count: 1,
    };
    let (key, value) = (Some(key.freeze()), Some(value.freeze()));
    write_batch(&header, &[Record { offset: 0, timestamp: now_ms, key, value, headers: Vec::new() }])
}

/// Whether a control batch says that the transaction was aborted.
pub(super) fn is_abort(batch: &[u8]) -> bool {
    let records = read_records(&Bytes::copy_from_slice(batch)).unwrap_or_default();
    let key = records.first().and_then(|record| record.key.as_ref());
    key.is_some_and(|key| key.get(2..4) == Some(&ABORT.to_be_bytes()))
}
