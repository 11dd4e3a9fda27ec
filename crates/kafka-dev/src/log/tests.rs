//! What the tests of the log have in common, and the log as a whole.

use bytes::{Bytes, BytesMut};

use super::batch::BatchHeader;
use super::records::{Record, write_batch};
use super::{AppendOptions, Log};

pub(super) const NOW_MS: i64 = 1_700_000_000_000;

pub(super) fn options() -> AppendOptions {
    AppendOptions {
        leader_epoch: 0,
        log_append_time: false,
        segment_bytes: 1 << 30,
        segment_ms: i64::MAX,
        now_ms: NOW_MS,
    }
}

fn batch(records: &[Record], producer_id: i64, base_sequence: i32) -> BytesMut {
    let count = i32::try_from(records.len()).unwrap();
    let header = BatchHeader {
        base_offset: 0,
        size: 0,
        leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: NOW_MS,
        max_timestamp: NOW_MS,
        producer_id,
        producer_epoch: if producer_id < 0 { -1 } else { 0 },
        base_sequence,
        record_count: count,
    };
    write_batch(&header, records)
}

fn record(offset: i64, key: Option<Bytes>, value: Option<Bytes>) -> Record {
    Record { offset, timestamp: NOW_MS, key, value, headers: Vec::new() }
}

/// A batch as a producer sends it; -1 for a producer without an id.
pub(super) fn batch_of(values: &[&'static [u8]], producer_id: i64, base_sequence: i32) -> BytesMut {
    let values = values.iter().zip(0..);
    let records = values.map(|(value, at)| record(at, None, Some(Bytes::from_static(value))));
    batch(&records.collect::<Vec<_>>(), producer_id, base_sequence)
}

pub(super) fn keyed(pairs: &[(&'static str, Option<&'static str>)]) -> BytesMut {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let records =
        pairs.iter().zip(0..).map(|((key, value), at)| record(at, Some(bytes(key)), value.map(bytes)));
    batch(&records.collect::<Vec<_>>(), -1, -1)
}

pub(super) fn append(log: &mut Log, values: &[&'static [u8]]) -> i64 {
    log.append(&batch_of(values, -1, -1), &options()).unwrap().base_offset
}

#[test]
fn offsets_count_up_over_batches() {
    let mut log = Log::in_memory();
    assert_eq!((append(&mut log, &[b"a", b"b"]), append(&mut log, &[b"c"])), (0, 2));
    assert_eq!(log.end_offset(), 3);
}

#[test]
fn reading_starts_at_the_batch_that_holds_the_offset() {
    let mut log = Log::in_memory();
    append(&mut log, &[b"a", b"b"]);
    append(&mut log, &[b"c"]);
    let read = log.read(1, 3, 1 << 20, true).unwrap();
    assert_eq!(BatchHeader::read(&read).map(|header| header.base_offset), Some(0));
    let read = log.read(2, 3, 1 << 20, true).unwrap();
    assert_eq!(BatchHeader::read(&read).map(|header| header.base_offset), Some(2));
}

#[test]
fn the_first_batch_comes_whole_and_the_next_may_be_cut() {
    let mut log = Log::in_memory();
    append(&mut log, &[b"a"]);
    append(&mut log, &[b"b"]);
    let first = usize::try_from(log.size_bytes() / 2).unwrap();
    assert_eq!(log.read(0, 2, 1, true).unwrap().len(), first);
    assert_eq!(log.read(0, 2, first + 5, true).unwrap().len(), first + 5);
}

#[test]
fn nothing_is_read_at_or_past_the_bound() {
    let mut log = Log::in_memory();
    append(&mut log, &[b"a"]);
    append(&mut log, &[b"b"]);
    let read = log.read(0, 1, 1 << 20, true).unwrap();
    assert_eq!(read.len() as u64, log.size_bytes() / 2);
    assert!(log.read(1, 1, 1 << 20, true).unwrap().is_empty());
}

#[test]
fn a_record_is_found_by_its_time() {
    let mut log = Log::in_memory();
    append(&mut log, &[b"a"]);
    assert_eq!(log.offset_for_time(NOW_MS).unwrap().map(|found| found.offset), Some(0));
    assert_eq!(log.offset_for_time(NOW_MS + 1).unwrap(), None);
}

#[test]
fn an_epoch_ends_where_the_next_began() {
    let mut log = Log::in_memory();
    append(&mut log, &[b"a", b"b"]);
    let next = AppendOptions { leader_epoch: 3, ..options() };
    log.append(&batch_of(&[b"c"], -1, -1), &next).unwrap();
    assert_eq!(log.end_of_epoch(0), Some((0, 2)));
    assert_eq!(log.end_of_epoch(2), Some((0, 2)));
    assert_eq!(log.end_of_epoch(3), Some((3, 3)));
}

#[test]
fn append_time_replaces_the_producers_time_and_keeps_the_checksum_right() {
    let mut log = Log::in_memory();
    let stamping = AppendOptions { log_append_time: true, now_ms: NOW_MS + 5, ..options() };
    log.append(&batch_of(&[b"a"], -1, -1), &stamping).unwrap();
    assert_eq!(log.all_records().unwrap()[0].timestamp, NOW_MS + 5);
    assert!(super::batch::crc_holds(&log.read(0, 1, 1 << 20, true).unwrap()));
}
