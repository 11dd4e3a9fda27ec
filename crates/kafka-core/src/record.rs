//! A record as a program hands it to the producer. Data only; how records lie in a batch stands in `producer/batch.rs`
//! and `consumer/decode`, and a record that was read is a view into its batch there.

use bytes::Bytes;

/// One header. A record's headers are a list: they keep their order, and a name may come more than once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Header {
    /// The name, UTF-8 by Kafka's convention; the protocol does not check it.
    pub name: Bytes,
    /// The value; null and empty differ.
    pub value: Option<Bytes>,
}

impl Header {
    /// The header `name` with `value`, which `None` makes null.
    pub fn new(name: impl Into<Bytes>, value: Option<impl Into<Bytes>>) -> Self {
        Self { name: name.into(), value: value.map(Into::into) }
    }
}

/// A record that owns its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The key; null and empty differ.
    pub key: Option<Bytes>,
    /// The value; null (a tombstone in a compacted topic) and empty differ.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<Header>,
    /// Milliseconds since 1970; `None` is the time at which the producer takes the record.
    pub timestamp: Option<i64>,
}

impl Record {
    /// The same record, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
            timestamp: self.timestamp,
        }
    }
}

/// A record whose bytes lie elsewhere: making one allocates nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// The key; null and empty differ.
    pub key: Option<&'a [u8]>,
    /// The value; null and empty differ.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [Header],
    /// Milliseconds since 1970; `None` is the time at which the producer takes the record.
    pub timestamp: Option<i64>,
}

impl RecordRef<'_> {
    /// The same record with bytes of its own.
    #[must_use]
    pub fn to_owned(&self) -> Record {
        Record {
            key: self.key.map(Bytes::copy_from_slice),
            value: self.value.map(Bytes::copy_from_slice),
            headers: self.headers.to_vec(),
            timestamp: self.timestamp,
        }
    }
}
