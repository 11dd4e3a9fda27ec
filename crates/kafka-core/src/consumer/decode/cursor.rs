//! Reads the primitive fields of a record batch from a slice. Every read checks the bytes that are left, so no length
//! that a broker claims is ever believed; the error says which field was cut off.

use super::Malformed;

/// A reader over borrowed bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    #[inline]
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        match self.rest.split_at_checked(length) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(Malformed::CutOff(field)),
        }
    }

    /// A zigzag varint of at most 32 bits. Most fields of a record are one byte long, so that case comes first.
    #[inline]
    pub(super) fn varint(&mut self, field: &'static str) -> Result<i32, Malformed> {
        match self.rest {
            [byte @ 0..=0x7f, tail @ ..] => {
                self.rest = tail;
                Ok(zigzag_i32(u32::from(*byte)))
            }
            [first, second @ 0..=0x7f, tail @ ..] => {
                self.rest = tail;
                Ok(zigzag_i32(u32::from(first & 0x7f) | (u32::from(*second) << 7)))
            }
            _ => {
                let raw = self.unsigned(5, field)?;
                u32::try_from(raw).map(zigzag_i32).map_err(|_| Malformed::TooLong(field))
            }
        }
    }

    /// A zigzag varint of at most 64 bits.
    #[inline]
    pub(super) fn varlong(&mut self, field: &'static str) -> Result<i64, Malformed> {
        if let [byte @ 0..=0x7f, tail @ ..] = self.rest {
            self.rest = tail;
            return Ok(zigzag_i64(u64::from(*byte)));
        }
        self.unsigned(10, field).map(zigzag_i64)
    }

    fn unsigned(&mut self, max_bytes: usize, field: &'static str) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().take(max_bytes).enumerate() {
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit only.
            if index == 9 && bits > 1 {
                return Err(Malformed::TooLong(field));
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < max_bytes { Malformed::CutOff(field) } else { Malformed::TooLong(field) })
    }

    /// Bytes behind a varint length; -1 is null, anything else below 0 is malformed.
    #[inline]
    pub(super) fn nullable(&mut self, field: &'static str) -> Result<Option<&'a [u8]>, Malformed> {
        let length = self.varint(field)?;
        match usize::try_from(length) {
            Ok(length) => self.take(length, field).map(Some),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Malformed::Negative(field)),
        }
    }

    /// Bytes behind a varint length that cannot be null.
    #[inline]
    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        self.nullable(field)?.ok_or(Malformed::Negative(field))
    }
}

#[inline]
fn zigzag_i32(raw: u32) -> i32 {
    (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()
}

#[inline]
fn zigzag_i64(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zigzag_varints_are_read_at_every_length() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x01], -1),
            (&[0x7f], -64),
            (&[0x80, 0x01], 64),
            (&[0xfe, 0xff, 0xff, 0xff, 0x0f], i32::MAX),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], i32::MIN),
        ] {
            assert_eq!(Cursor::new(bytes).varint("x"), Ok(value), "{bytes:x?}");
            assert_eq!(Cursor::new(bytes).varlong("x"), Ok(i64::from(value)), "{bytes:x?}");
        }
        let lowest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Cursor::new(&lowest).varlong("x"), Ok(i64::MIN));
    }

    #[test]
    fn a_varint_that_does_not_end_or_does_not_fit_is_malformed() {
        assert_eq!(Cursor::new(&[0x80]).varint("x"), Err(Malformed::CutOff("x")));
        assert_eq!(Cursor::new(&[0xff; 6]).varint("x"), Err(Malformed::TooLong("x")));
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).varint("x"), Err(Malformed::TooLong("x")));
        assert_eq!(Cursor::new(&[0xff; 11]).varlong("x"), Err(Malformed::TooLong("x")));
    }

    #[test]
    fn a_length_beyond_the_bytes_is_cut_off_and_null_is_not_empty() {
        assert_eq!(Cursor::new(&[0x04, 1]).nullable("key"), Err(Malformed::CutOff("key")));
        assert_eq!(Cursor::new(&[0x01]).nullable("key"), Ok(None));
        assert_eq!(Cursor::new(&[0x00]).nullable("key"), Ok(Some(&[][..])));
        assert_eq!(Cursor::new(&[0x03]).nullable("key"), Err(Malformed::Negative("key")));
        assert_eq!(Cursor::new(&[0x01]).bytes("header name"), Err(Malformed::Negative("header name")));
    }
}
