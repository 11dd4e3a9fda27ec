//! The encoding of keys and values in the journal: numbers big-endian, texts and bytes with their length.
//! Reading checks every length.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Fields being written, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Fields(BytesMut);

impl Fields {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Null is told apart from empty.
    pub(crate) fn optional(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.long(1).text(text),
            None => self.long(0),
        }
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.put_slice(bytes);
        self
    }

    pub(crate) fn long(mut self, number: impl Into<i64>) -> Self {
        self.0.put_i64(number.into());
        self
    }

    /// A count, then each element.
    pub(crate) fn list<T>(self, items: impl IntoIterator<Item = T>, write: impl Fn(Self, T) -> Self) -> Self {
        let items: Vec<T> = items.into_iter().collect();
        let counted = self.long(i64::try_from(items.len()).unwrap_or(i64::MAX));
        items.into_iter().fold(counted, write)
    }

    /// Fields written elsewhere.
    pub(crate) fn append(mut self, more: Self) -> Self {
        self.0.unsplit(more.0);
        self
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

pub(crate) fn text(from: &mut Bytes) -> io::Result<String> {
    String::from_utf8(bytes(from)?.to_vec()).map_err(|_| malformed())
}

pub(crate) fn optional(from: &mut Bytes) -> io::Result<Option<String>> {
    if long(from)? == 0 { Ok(None) } else { text(from).map(Some) }
}

pub(crate) fn bytes(from: &mut Bytes) -> io::Result<Bytes> {
    let length = from.try_get_u32().map_err(|_| malformed())? as usize;
    if length > from.len() { Err(malformed()) } else { Ok(from.split_to(length)) }
}

pub(crate) fn long(from: &mut Bytes) -> io::Result<i64> {
    from.try_get_i64().map_err(|_| malformed())
}

pub(crate) fn int(from: &mut Bytes) -> io::Result<i32> {
    i32::try_from(long(from)?).map_err(|_| malformed())
}

pub(crate) fn list<T>(from: &mut Bytes, read: impl Fn(&mut Bytes) -> io::Result<T>) -> io::Result<Vec<T>> {
    let count = long(from)?;
    (0..count).map(|_| read(from)).collect()
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed journal entry")
}
