//! The records inside a batch (magic 2): read for timestamps look-ups, compaction and assertions of tests.
//! The produce and fetch paths do not come here: they move whole batches.

use std::io;

use bytes::{Buf, Bytes};

use super::batch::{BatchHeader, HEADER_BYTES};
use super::compression::decompress;

/// One record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// None for a null key.
    pub key: Option<Bytes>,
    /// None for a null value (a tombstone).
    pub value: Option<Bytes>,
    /// In the order written, duplicates included; a value may be null.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// Decodes all records of a batch.
pub(crate) fn read_records(batch: &Bytes) -> io::Result<Vec<Record>> {
    let header = BatchHeader::read(batch).ok_or_else(malformed)?;
    let mut body = decompress(header.compression(), &batch.slice(HEADER_BYTES..header.size))?;
    let count = usize::try_from(header.record_count).map_err(|_| malformed())?;
    let mut records = Vec::with_capacity(count.min(body.len()));
    for _ in 0..count {
        let length = read_length(&mut body)?.ok_or_else(malformed)?;
        records.push(read_record(take(&mut body, length)?, &header)?);
    }
    Ok(records)
}

fn read_record(mut bytes: Bytes, header: &BatchHeader) -> io::Result<Record> {
    let _attributes = take(&mut bytes, 1)?;
    let timestamp_delta = read_varint(&mut bytes)?;
    let offset_delta = read_varint(&mut bytes)?;
    let key = read_field(&mut bytes)?;
    let value = read_field(&mut bytes)?;
    let header_count = read_length(&mut bytes)?.ok_or_else(malformed)?;
    let mut headers = Vec::with_capacity(header_count.min(bytes.len()));
    for _ in 0..header_count {
        let name = read_field(&mut bytes)?.ok_or_else(malformed)?;
        headers.push((name, read_field(&mut bytes)?));
    }
    let timestamp = if header.is_log_append_time() {
        header.max_timestamp
    } else {
        header.base_timestamp.wrapping_add(timestamp_delta)
    };
    Ok(Record { offset: header.base_offset.wrapping_add(offset_delta), timestamp, key, value, headers })
}

fn read_field(bytes: &mut Bytes) -> io::Result<Option<Bytes>> {
    read_length(bytes)?.map(|length| take(bytes, length)).transpose()
}

/// A length; none for -1.
fn read_length(bytes: &mut Bytes) -> io::Result<Option<usize>> {
    match read_varint(bytes)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| malformed()),
    }
}

/// A zigzag varint of up to 64 bits.
fn read_varint(bytes: &mut Bytes) -> io::Result<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().map_err(|_| malformed())?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(malformed())
}

fn take(bytes: &mut Bytes, length: usize) -> io::Result<Bytes> {
    if length > bytes.len() { Err(malformed()) } else { Ok(bytes.split_to(length)) }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed record batch")
}
