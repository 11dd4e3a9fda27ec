//! Decoding of requests that refuses lengths the request cannot hold, before anything is allocated for them.
//!
//! `kafka-protocol` reserves `Vec::with_capacity(length claimed by the client)`, so a hostile length would abort
//! the process. Flexible versions (KIP-482) read every length as an unsigned varint, byte by byte: [`GuardedBytes`] puts
//! the varint back together and fails the read that completes an impossible one. Older versions read lengths as
//! `i32`, as they do plain numbers such as `max_bytes`: there a first pass hands out large numbers capped at one
//! more than what follows. A length so capped runs out of bytes and fails; a plain number does not change how the
//! rest is read. Only what survives that pass is decoded with its true numbers.
//! Not here: what the fields mean.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::{ByteBuf, NotEnoughBytesError};

/// A varint may exceed what follows by this much: tag numbers share the encoding of lengths.
const VARINT_SLACK: usize = 1 << 16;
const VARINT_MAX_BYTES: u32 = 5;

/// Decodes one message; trailing bytes are an error.
pub(crate) fn decode<T: Decodable>(bytes: &Bytes, version: i16, flexible: bool) -> Result<T, DecodeError> {
    let first = if flexible { Lengths::Varint } else { Lengths::CappedI32 };
    let mut guarded = GuardedBytes::new(bytes.clone(), first);
    let mut message = T::decode(&mut guarded, version).map_err(|error| DecodeError(error.to_string()))?;
    if guarded.capped {
        guarded = GuardedBytes::new(bytes.clone(), Lengths::CheckedI32);
        message = T::decode(&mut guarded, version).map_err(|error| DecodeError(error.to_string()))?;
    }
    match guarded.remaining() {
        0 => Ok(message),
        trailing => Err(DecodeError(format!("{trailing} bytes after the end of the message"))),
    }
}

/// A request that is not what its header claims.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DecodeError(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    Varint,
    CappedI32,
    CheckedI32,
}

/// Bytes of one message, read front to back.
#[derive(Debug)]
pub(crate) struct GuardedBytes {
    bytes: Bytes,
    lengths: Lengths,
    capped: bool,
    varint: u64,
    varint_bytes: u32,
}

impl GuardedBytes {
    fn new(bytes: Bytes, lengths: Lengths) -> Self {
        Self { bytes, lengths, capped: false, varint: 0, varint_bytes: 0 }
    }

    fn refusal(&self) -> TryGetError {
        TryGetError { requested: usize::MAX, available: self.bytes.len() }
    }

    /// Takes one byte of what may be a varint; false if it completes, or would have to end, beyond the bound.
    /// A boolean is read by the same call: 0 and 1 are complete varints, any other value only makes the bound
    /// stricter, because it is taken for the low bits of the length that follows.
    fn follow(&mut self, byte: u8) -> bool {
        if self.lengths != Lengths::Varint {
            return true;
        }
        self.varint |= u64::from(byte & 0x7f) << (7 * self.varint_bytes);
        self.varint_bytes += 1;
        if byte & 0x80 != 0 {
            return self.varint_bytes < VARINT_MAX_BYTES;
        }
        self.varint_bytes = 0;
        std::mem::take(&mut self.varint) <= (self.bytes.len() + VARINT_SLACK) as u64
    }
}

impl Buf for GuardedBytes {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.bytes.try_get_u8()?;
        if self.follow(byte) { Ok(byte) } else { Err(self.refusal()) }
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        if self.varint_bytes != 0 {
            return Err(self.refusal());
        }
        let value = self.bytes.try_get_i32()?;
        let cap = i32::try_from(self.bytes.len() + 1).unwrap_or(i32::MAX);
        if self.lengths == Lengths::CappedI32 && value > cap {
            self.capped = true;
            return Ok(cap);
        }
        Ok(value)
    }
}

impl ByteBuf for GuardedBytes {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.bytes.split_to(size)
    }

    fn try_get_bytes(&mut self, size: usize) -> Result<Bytes, NotEnoughBytesError> {
        if self.bytes.len() < size { Err(NotEnoughBytesError) } else { Ok(self.bytes.split_to(size)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::messages::{FetchRequest, MetadataRequest};
    use kafka_protocol::protocol::Encodable;

    #[test]
    fn a_compact_array_that_claims_four_billion_elements_is_refused() {
        let bytes = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(decode::<MetadataRequest>(&bytes, 12, true).is_err());
    }

    #[test]
    fn an_old_array_that_claims_two_billion_elements_is_refused() {
        let mut bytes = BytesMut::new();
        bytes.put_i32(i32::MAX);
        bytes.put_slice(&[0; 64]);
        assert!(decode::<MetadataRequest>(&bytes.freeze(), 1, false).is_err());
    }

    #[test]
    fn an_old_fetch_that_asks_for_more_bytes_than_it_has_keeps_its_numbers() {
        let request = FetchRequest::default().with_max_bytes(i32::MAX).with_session_id(1 << 30);
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, 11).unwrap();
        let decoded: FetchRequest = decode(&bytes.freeze(), 11, false).unwrap();
        assert_eq!((decoded.max_bytes, decoded.session_id), (i32::MAX, 1 << 30));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = BytesMut::new();
        MetadataRequest::default().encode(&mut bytes, 12).unwrap();
        bytes.put_u8(0);
        assert!(decode::<MetadataRequest>(&bytes.freeze(), 12, true).is_err());
    }
}
