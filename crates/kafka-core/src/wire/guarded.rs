//! A read buffer that refuses lengths the frame cannot hold.
//!
//! `kafka-protocol` reserves memory for as many array elements as a message claims to have, before it reads the first
//! one: four bytes from a broker would end the process. Its decoders are generic over the buffer, so the check can
//! stand here. In flexible versions every length is an unsigned varint, and only those (and booleans) are read with
//! `try_get_u8`: the buffer puts the varint together again and compares it with the bytes that are left. In older
//! versions array lengths are plain 32-bit integers that look like any other; the limit for these is far looser.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::{ByteBuf, NotEnoughBytesError};

/// Elements that may be claimed beyond the bytes left: an element has at least one byte, but a tag's number has not.
const VARINT_SLACK: u64 = 64 * 1024;
/// The same for old, inflexible versions, where node ids, generations and throttle times are read the same way: such a
/// number may be as large as this. What a lie makes the decoder reserve, and never touch, stays below
/// [`MAX_RESERVED_BYTES`].
const INT32_SLACK: u64 = 1024 * 1024;
/// The most memory that the length of one array can reserve beyond what its frame pays for.
#[cfg(test)]
const MAX_RESERVED_BYTES: usize = 256 * 1024 * 1024;

/// [`Bytes`] whose reads fail where a length goes beyond the frame.
#[derive(Debug)]
pub(crate) struct GuardedBuf {
    bytes: Bytes,
    flexible: bool,
    varint: u64,
    varint_bytes: u32,
    /// Plain integers still to let through unchecked: Fetch answers carry a random session id.
    unchecked_int32s: u32,
}

impl GuardedBuf {
    /// A buffer over one message body; `flexible` tells how this version of the message writes lengths.
    pub(crate) fn new(bytes: Bytes, flexible: bool, unchecked_int32s: u32) -> Self {
        Self { bytes, flexible, varint: 0, varint_bytes: 0, unchecked_int32s }
    }

    /// Follows one byte of a varint; an error where the finished number cannot be a length.
    fn follow(&mut self, byte: u8) -> Result<(), TryGetError> {
        self.varint |= u64::from(byte & 0x7f) << (7 * self.varint_bytes);
        self.varint_bytes += 1;
        if byte < 0x80 || self.varint_bytes == 5 {
            let claimed = std::mem::take(&mut self.varint);
            self.varint_bytes = 0;
            return self.check(claimed, VARINT_SLACK);
        }
        Ok(())
    }

    fn check(&self, claimed: u64, slack: u64) -> Result<(), TryGetError> {
        let available = self.bytes.remaining();
        if claimed > available as u64 + slack {
            let requested = usize::try_from(claimed).unwrap_or(usize::MAX);
            return Err(TryGetError { requested, available });
        }
        Ok(())
    }
}

impl Buf for GuardedBuf {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        self.bytes.copy_to_bytes(len)
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.bytes.try_get_u8()?;
        if self.flexible {
            self.follow(byte)?;
        }
        Ok(byte)
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        let value = self.bytes.try_get_i32()?;
        if !self.flexible {
            match self.unchecked_int32s.checked_sub(1) {
                Some(left) => self.unchecked_int32s = left,
                None => self.check(u64::try_from(value).unwrap_or(0), INT32_SLACK)?,
            }
        }
        Ok(value)
    }
}

impl ByteBuf for GuardedBuf {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.bytes.split_to(size)
    }

    fn try_get_bytes(&mut self, size: usize) -> Result<Bytes, NotEnoughBytesError> {
        if size > self.bytes.len() { Err(NotEnoughBytesError) } else { Ok(self.bytes.split_to(size)) }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{MetadataResponse, SaslHandshakeResponse};
    use kafka_protocol::protocol::Decodable;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_array_longer_than_its_frame_is_an_error_in_flexible_versions() {
        // throttle time, then a broker array that claims 2^32 - 2 elements
        let body = Bytes::from_static(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(MetadataResponse::decode(&mut GuardedBuf::new(body, true, 0), 12).is_err());
    }

    #[test]
    fn an_array_longer_than_its_frame_is_an_error_in_old_versions() {
        let body = Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff]);
        assert!(SaslHandshakeResponse::decode(&mut GuardedBuf::new(body, false, 0), 1).is_err());
    }

    #[test]
    fn what_a_length_can_reserve_is_bounded() {
        use kafka_protocol::messages::describe_groups_response::DescribedGroup;
        use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
        use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
        // The largest elements that the arrays of old versions have.
        let largest = [
            size_of::<DescribedGroup>(),
            size_of::<FetchableTopicResponse>(),
            size_of::<PartitionData>(),
            size_of::<MetadataResponseTopic>(),
            size_of::<MetadataResponsePartition>(),
        ];
        let largest = largest.into_iter().max().unwrap_or_default();
        let slack = usize::try_from(INT32_SLACK.max(VARINT_SLACK)).unwrap();
        assert!(largest * slack <= MAX_RESERVED_BYTES, "{largest} bytes each");
    }

    proptest! {
        #[test]
        fn no_bytes_whatever_make_a_decoder_reserve_more_than_the_slack(body: Vec<u8>, version in 0i16..=13) {
            let flexible = version >= 9;
            // Without the guard about every tenth of these aborts the process.
            let _ = MetadataResponse::decode(&mut GuardedBuf::new(Bytes::from(body), flexible, 0), version);
        }
    }
}
