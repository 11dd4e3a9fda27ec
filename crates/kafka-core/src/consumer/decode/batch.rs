//! Record batches (magic 2, KIP-98) as they lie in a fetch answer: found, checked against their CRC-32C, opened.
//!
//! What a batch holds is read by `record`; which batches count is decided in the parent module.

use bytes::Bytes;

use super::Malformed;
use crate::compression::{self, Codec};

/// Base offset and length: what stands before the part that the length counts.
const PREFIX: usize = 12;
/// Everything up to the first record.
pub(super) const HEADER: usize = 61;
/// Where the part begins that the CRC covers: the attributes.
const CHECKED_FROM: usize = 21;

/// What stands before the records of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) base_offset: i64,
    pub(super) leader_epoch: i32,
    attributes: i16,
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) producer_id: i64,
    pub(super) count: u32,
}

impl Header {
    fn parse(bytes: &[u8; HEADER]) -> Result<Self, Malformed> {
        fn field<const N: usize>(bytes: &[u8; HEADER], at: usize) -> [u8; N] {
            std::array::from_fn(|index| bytes[at + index])
        }
        let header = Self {
            base_offset: i64::from_be_bytes(field(bytes, 0)),
            leader_epoch: i32::from_be_bytes(field(bytes, 12)),
            attributes: i16::from_be_bytes(field(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            count: u32::try_from(i32::from_be_bytes(field(bytes, 57)))
                .map_err(|_| Malformed::Negative("record count"))?,
        };
        // The position after the batch must be a number that can be asked for.
        let fits = header.base_offset >= 0
            && header.last_offset_delta >= 0
            && header.base_offset < i64::MAX - i64::from(i32::MAX) - 1;
        if fits { Ok(header) } else { Err(Malformed::Negative("offset")) }
    }

    /// The offset after the batch's last one, whether or not a record still has that one (compaction removes records,
    /// not their place).
    pub(super) fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    pub(super) fn is_log_append_time(&self) -> bool {
        self.attributes & 0x08 != 0
    }

    pub(super) fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    pub(super) fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    pub(super) fn codec(&self) -> Result<Codec, Malformed> {
        let bits = self.attributes & 0x07;
        Codec::from_attributes(bits).ok_or(Malformed::UnknownCodec(bits))
    }
}

/// A whole batch, its records as the broker sent them.
#[derive(Debug, Clone)]
pub(super) struct RawBatch {
    pub(super) header: Header,
    records: Bytes,
}

impl RawBatch {
    /// Cuts the first batch off `bytes`. `None` where they end before it does: a fetch answer may stop in the middle
    /// of its last batch.
    pub(super) fn split_from(bytes: &mut Bytes) -> Result<Option<Self>, Malformed> {
        let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let length = i32::from_be_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]);
        let length = usize::try_from(length).map_err(|_| Malformed::Negative("batch length"))?;
        // The magic stands at the same place in every format there ever was.
        match rest.get(4) {
            Some(2) | None => {}
            Some(&magic) => return Err(Malformed::OldFormat(magic.cast_signed())),
        }
        if length < HEADER - PREFIX {
            return Err(Malformed::CutOff("batch header"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let batch = bytes.split_to(PREFIX + length);
        let Some(header) = batch.first_chunk::<HEADER>() else {
            return Err(Malformed::CutOff("batch header"));
        };
        let stated = u32::from_be_bytes([header[17], header[18], header[19], header[20]]);
        let actual = crc32c::crc32c(&batch[CHECKED_FROM..]);
        if stated != actual {
            return Err(Malformed::Checksum { stated, actual });
        }
        Ok(Some(Self { header: Header::parse(header)?, records: batch.slice(HEADER..) }))
    }

    pub(super) fn bytes(&self) -> usize {
        self.records.len()
    }

    /// The records, decompressed to at most `max_bytes`.
    pub(super) fn open(&self, max_bytes: usize) -> Result<Bytes, Malformed> {
        match self.header.codec()? {
            Codec::None => Ok(self.records.clone()),
            codec => compression::decompress(codec, &self.records, max_bytes)
                .map(Bytes::from)
                .map_err(|error| Malformed::Compression(codec, error.to_string())),
        }
    }
}
