//! Record batches, format 2 (KIP-98): records are encoded straight into the open batch; sealing stamps the header.
//! Which partition and when is decided elsewhere. <https://kafka.apache.org/documentation/#recordbatch>

use crate::compression::{Codec, Compression, compress};
use crate::record::RecordRef;

/// The bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 61;
/// What a record takes at most besides key, value and headers: seven numbers of varying length.
const RECORD_OVERHEAD_BYTES: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;
/// What the length field does not count: base offset and the length itself.
const LENGTH_COUNTS_FROM: usize = 12;
/// Where the part begins that the checksum covers.
const CHECKED_FROM: usize = 21;
const TRANSACTIONAL: i16 = 0x10;

/// Who sent a batch, and its place in the sender's order: what the broker tells duplicates and gaps by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// The first record's number; the records behind it count on.
    pub(crate) base_sequence: i32,
}

impl Stamp {
    /// For batches of a producer that is not idempotent.
    pub(crate) const NONE: Self = Self { producer_id: -1, epoch: -1, base_sequence: -1 };
}

/// A batch that still takes records.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    bytes: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// Room behind the last record that encoding uses for a moment.
    pub(crate) const SLACK_BYTES: usize = Scratch::BYTES;

    /// An empty batch in `memory`, whose contents are dropped and whose room is used.
    pub(crate) fn new(mut memory: Vec<u8>) -> Self {
        memory.clear();
        memory.resize(HEADER_BYTES, 0);
        Self { bytes: memory, count: 0, base_timestamp: 0, max_timestamp: 0 }
    }

    /// An upper bound for what the record takes, at most 36 bytes above what it does.
    #[inline]
    pub(crate) fn bound(record: &RecordRef<'_>) -> usize {
        let mut bytes = RECORD_OVERHEAD_BYTES;
        bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        for header in record.headers {
            bytes += 10 + header.name.len() + header.value.as_ref().map_or(0, bytes::Bytes::len);
        }
        bytes
    }

    /// Adds a record. Lengths above `i32::MAX` must not get here; the accumulator's limit on records sees to that.
    #[inline]
    pub(crate) fn push(&mut self, record: &RecordRef<'_>, timestamp: i64) {
        if self.count == 0 {
            (self.base_timestamp, self.max_timestamp) = (timestamp, timestamp);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let key = Field::new(record.key);
        let value = Field::new(record.value);
        let headers = encoded_headers_len(record);
        let body = 1
            + varint_len(timestamp_delta)
            + varint_len(i64::from(self.count))
            + key.len()
            + value.len()
            + varint_len(record.headers.len() as i64)
            + headers;
        self.bytes.reserve(body + 5 + Self::SLACK_BYTES);
        let mut head = Scratch::new();
        head.varint(body as i64);
        head.byte(0);
        head.varint(timestamp_delta);
        head.varint(i64::from(self.count));
        key.write(&mut head, &mut self.bytes);
        value.write(&mut head, &mut self.bytes);
        head.varint(record.headers.len() as i64);
        head.drain_to(&mut self.bytes);
        if !record.headers.is_empty() {
            self.push_headers(record);
        }
        self.count += 1;
    }

    fn push_headers(&mut self, record: &RecordRef<'_>) {
        for header in record.headers {
            let mut head = Scratch::new();
            Field::new(Some(&header.name)).write(&mut head, &mut self.bytes);
            Field::new(header.value.as_deref()).write(&mut head, &mut self.bytes);
            head.drain_to(&mut self.bytes);
        }
    }

    /// Bytes so far, header included.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Records so far.
    #[inline]
    pub(crate) fn count(&self) -> i32 {
        self.count
    }

    /// The batch as it is before compression and stamp.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let header = &mut self.bytes;
        put(header, 12, (-1_i32).to_be_bytes());
        put(header, 16, [2]);
        put(header, 23, (self.count - 1).to_be_bytes());
        put(header, 27, self.base_timestamp.to_be_bytes());
        put(header, 35, self.max_timestamp.to_be_bytes());
        put(header, 57, self.count.to_be_bytes());
        self.bytes
    }
}

/// The finished batch with its records compressed. Where they would grow, they stay as they are.
pub(crate) fn pack(plain: &[u8], compression: Compression) -> Vec<u8> {
    if compression.codec == Codec::None {
        return plain.to_vec();
    }
    let mut packed = Vec::with_capacity(plain.len() / 2 + HEADER_BYTES);
    packed.extend_from_slice(&plain[..HEADER_BYTES]);
    match compress(compression, &plain[HEADER_BYTES..], &mut packed) {
        Ok(()) if packed.len() < plain.len() => {
            put(&mut packed, 21, compression.codec.id().to_be_bytes());
            packed
        }
        _ => plain.to_vec(),
    }
}

/// Makes a finished batch ready to send under `stamp`; it can be sealed again under another one.
pub(crate) fn seal(batch: &mut [u8], stamp: Stamp, transactional: bool) {
    let length = i32::try_from(batch.len() - LENGTH_COUNTS_FROM).unwrap_or(i32::MAX);
    put(batch, 8, length.to_be_bytes());
    let codec = i16::from_be_bytes([batch[21], batch[22]]) & 0x07;
    put(batch, 21, (codec | if transactional { TRANSACTIONAL } else { 0 }).to_be_bytes());
    put(batch, 43, stamp.producer_id.to_be_bytes());
    put(batch, 51, stamp.epoch.to_be_bytes());
    put(batch, 53, stamp.base_sequence.to_be_bytes());
    let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
    put(batch, 17, checksum.to_be_bytes());
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// The length of a number in zigzag base 128, at most 10.
#[inline]
fn varint_len(number: i64) -> usize {
    let bits = 64 - (zigzag(number) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn encoded_headers_len(record: &RecordRef<'_>) -> usize {
    let one = |header: &crate::Header| {
        Field::new(Some(&header.name)).len() + Field::new(header.value.as_deref()).len()
    };
    record.headers.iter().map(one).sum()
}

/// Bytes behind their length; -1 is null.
struct Field<'a>(Option<&'a [u8]>);

impl<'a> Field<'a> {
    #[inline]
    fn new(bytes: Option<&'a [u8]>) -> Self {
        Self(bytes)
    }

    #[inline]
    fn len(&self) -> usize {
        self.0.map_or(1, |bytes| varint_len(bytes.len() as i64) + bytes.len())
    }

    /// Small numbers gather in `head`; they move to `out` when bytes follow.
    // Twice per record; as a call it shows.
    #[inline(always)]
    fn write(&self, head: &mut Scratch, out: &mut Vec<u8>) {
        match self.0 {
            None => head.varint(-1),
            Some(bytes) => {
                head.varint(bytes.len() as i64);
                head.drain_to(out);
                out.extend_from_slice(bytes);
            }
        }
    }
}

/// Room for the numbers of one record between its bytes.
struct Scratch {
    bytes: [u8; Scratch::BYTES],
    len: usize,
}

impl Scratch {
    /// A record's numbers up to the first bytes take 28 at most.
    const BYTES: usize = 32;

    #[inline]
    fn new() -> Self {
        Self { bytes: [0; Self::BYTES], len: 0 }
    }

    /// Moves what is here to the end of `out`. All of the room is copied and cut off again: a copy of a fixed length is a
    /// few instructions, one of a few bytes is a call.
    #[inline]
    fn drain_to(&mut self, out: &mut Vec<u8>) {
        let end = out.len() + self.len;
        out.extend_from_slice(&self.bytes);
        out.truncate(end);
        self.len = 0;
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    fn varint(&mut self, number: i64) {
        let mut rest = zigzag(number);
        while rest >= 0x80 {
            self.byte((rest as u8 & 0x7f) | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::TopicPartition;
    use crate::consumer::decode::{Answer, decode};
    use crate::record::{Header, Record};

    /// What the consumer's decoder, which is written on its own, reads from our batch.
    fn read(bytes: Vec<u8>) -> Vec<Record> {
        let partition = TopicPartition::new("t", 0);
        let decoded = decode(&partition, 0, Answer { bytes: bytes.into(), ..Answer::default() }).unwrap();
        let mut found = Vec::new();
        for batch in decoded.batches() {
            for view in batch.unwrap().records() {
                let view = view.unwrap();
                assert_eq!(view.offset, i64::try_from(found.len()).unwrap());
                let headers = view.headers().map(|(name, value)| {
                    Header::new(Bytes::copy_from_slice(name), value.map(Bytes::copy_from_slice))
                });
                found.push(Record {
                    key: view.key.map(Bytes::copy_from_slice),
                    value: view.value.map(Bytes::copy_from_slice),
                    headers: headers.collect(),
                    timestamp: Some(view.timestamp),
                });
            }
        }
        found
    }

    fn batch(records: &[Record]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Vec::new());
        for record in records {
            let before = builder.len();
            builder.push(&record.as_ref(), record.timestamp.unwrap());
            assert!(builder.len() - before <= BatchBuilder::bound(&record.as_ref()));
        }
        builder.finish()
    }

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
    }

    fn record() -> impl Strategy<Value = Record> {
        let header = (bytes(), prop::option::of(bytes())).prop_map(|(name, value)| Header { name, value });
        let headers = prop::collection::vec(header, 0..4);
        let parts = (prop::option::of(bytes()), prop::option::of(bytes()), headers, any::<i64>());
        parts.prop_map(|(key, value, headers, timestamp)| Record {
            key,
            value,
            headers,
            timestamp: Some(timestamp),
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_what_is_read_with_every_codec(
            records in prop::collection::vec(record(), 1..30),
            producer_id: i64,
            epoch: i16,
            base_sequence: i32,
        ) {
            for codec in Codec::ALL {
                let mut bytes = pack(&batch(&records), codec.into());
                seal(&mut bytes, Stamp { producer_id, epoch, base_sequence }, true);
                prop_assert_eq!(&read(bytes), &records);
            }
        }
    }

    #[test]
    fn a_batch_lies_as_the_protocol_says() {
        let record = Record { value: Some("v".into()), timestamp: Some(1000), ..Record::default() };
        let later = Record { timestamp: Some(1003), ..record.clone() };
        let mut bytes = batch(&[record, later]);
        seal(&mut bytes, Stamp { producer_id: 7, epoch: 3, base_sequence: 9 }, false);
        let expected: Vec<u8> = [
            &[0; 8][..],             // base offset
            &[0, 0, 0, 65],          // length: 49 of header, 2 records of 8
            &[0xff; 4],              // leader epoch
            &[2],                    // magic
            &bytes[17..21],          // checksum
            &[0, 0],                 // attributes
            &[0, 0, 0, 1],           // last offset delta
            &1000_i64.to_be_bytes(), // first timestamp
            &1003_i64.to_be_bytes(), // greatest timestamp
            &7_i64.to_be_bytes(),    // producer id
            &[0, 3, 0, 0, 0, 9],     // epoch, base sequence
            &[0, 0, 0, 2],           // records
            &[14, 0, 0, 0, 1, 2, b'v', 0],
            &[14, 0, 6, 2, 1, 2, b'v', 0],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn sealing_again_changes_the_stamp_and_nothing_else() {
        let record = Record { value: Some("v".into()), timestamp: Some(1), ..Record::default() };
        let mut once = batch(std::slice::from_ref(&record));
        seal(&mut once, Stamp::NONE, true);
        let mut twice = once.clone();
        seal(&mut twice, Stamp { producer_id: 1, epoch: 2, base_sequence: 3 }, false);
        seal(&mut twice, Stamp::NONE, true);
        assert_eq!(once, twice);
    }
}
