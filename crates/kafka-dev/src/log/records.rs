//! The records inside a batch (magic 2): read for look-ups by time, compaction and
//! assertions of tests; written by compaction.
//! The produce and fetch paths do not come here: they move whole batches.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::batch::{BatchHeader, COMPRESSION_MASK, HEADER_BYTES, PREFIX_BYTES, renew_crc};
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

/// Writes records under the header of the batch they came from, uncompressed; offsets and producer stay.
pub(crate) fn write_batch(header: &BatchHeader, records: &[Record]) -> BytesMut {
    let mut batch = BytesMut::new();
    batch.put_i64(header.base_offset);
    batch.put_i32(0);
    batch.put_i32(header.leader_epoch);
    batch.put_i8(header.magic);
    batch.put_u32(0);
    batch.put_i16(header.attributes & !COMPRESSION_MASK);
    batch.put_i32(header.last_offset_delta);
    batch.put_i64(header.base_timestamp);
    batch.put_i64(header.max_timestamp);
    batch.put_i64(header.producer_id);
    batch.put_i16(header.producer_epoch);
    batch.put_i32(header.base_sequence);
    batch.put_i32(i32::try_from(records.len()).unwrap_or(i32::MAX));
    for record in records {
        write_record(&mut batch, header, record);
    }
    let length = i32::try_from(batch.len() - PREFIX_BYTES).unwrap_or(i32::MAX);
    (&mut batch[8..PREFIX_BYTES]).put_i32(length);
    renew_crc(&mut batch);
    batch
}

fn write_record(batch: &mut BytesMut, header: &BatchHeader, record: &Record) {
    let mut body = BytesMut::new();
    body.put_i8(0);
    write_varint(&mut body, record.timestamp.wrapping_sub(header.base_timestamp));
    write_varint(&mut body, record.offset - header.base_offset);
    write_field(&mut body, record.key.as_ref());
    write_field(&mut body, record.value.as_ref());
    write_length(&mut body, record.headers.len());
    for (name, value) in &record.headers {
        write_field(&mut body, Some(name));
        write_field(&mut body, value.as_ref());
    }
    write_length(batch, body.len());
    batch.put_slice(&body);
}

fn write_field(out: &mut BytesMut, field: Option<&Bytes>) {
    match field {
        None => write_varint(out, -1),
        Some(bytes) => {
            write_length(out, bytes.len());
            out.put_slice(bytes);
        }
    }
}

fn write_length(out: &mut BytesMut, length: usize) {
    write_varint(out, i64::try_from(length).unwrap_or(i64::MAX));
}

fn write_varint(out: &mut BytesMut, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while zigzag >= 0x80 {
        out.put_u8((zigzag & 0x7f) as u8 | 0x80);
        zigzag >>= 7;
    }
    out.put_u8(zigzag as u8);
}
