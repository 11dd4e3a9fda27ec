//! Records as views into the batch they lie in: nothing is copied or allocated per record.

use super::Malformed;
use super::batch::Header as BatchHeader;
use super::cursor::Cursor;

/// What a record's timestamp means (`message.timestamp.type` of its topic).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's clock when the record was made.
    CreateTime,
    /// The broker's clock when the record was appended.
    LogAppendTime,
}

/// One record, borrowed from the answer it came in.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; -1 where the producer gave none.
    pub timestamp: i64,
    /// Which clock the timestamp comes from.
    pub timestamp_type: TimestampType,
    /// The epoch of the leader that took the record; -1 where the broker does not say.
    pub leader_epoch: i32,
    /// The key; null and empty differ.
    pub key: Option<&'a [u8]>,
    /// The value; null (a tombstone in a compacted topic) and empty differ.
    pub value: Option<&'a [u8]>,
    headers: &'a [u8],
    header_count: u32,
}

impl<'a> RecordView<'a> {
    /// The headers in their order; a name may come more than once, and a value may be null.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers { cursor: Cursor::new(self.headers), left: self.header_count }
    }

    /// How many headers the record has.
    #[must_use]
    pub fn header_count(&self) -> usize {
        self.header_count as usize
    }
}

/// The headers of one record: name and value.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // The record was handed out only after its headers had been read once, so neither can fail here.
        let name = self.cursor.bytes("header name").ok()?;
        let value = self.cursor.nullable("header value").ok()?;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}

/// Iterates over the records of one opened batch.
#[derive(Debug, Clone)]
pub(super) struct BatchRecords<'a> {
    header: &'a BatchHeader,
    cursor: Cursor<'a>,
    left: u32,
    from: i64,
    timestamp_type: TimestampType,
}

impl<'a> BatchRecords<'a> {
    /// The records in `plain` whose offset is `from` or above.
    pub(super) fn new(header: &'a BatchHeader, plain: &'a [u8], from: i64) -> Self {
        let timestamp_type = if header.is_log_append_time() {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        };
        Self { header, cursor: Cursor::new(plain), left: header.count, from, timestamp_type }
    }

    #[inline]
    fn read(&mut self) -> Result<RecordView<'a>, Malformed> {
        let length = self.cursor.varint("record length")?;
        let length = usize::try_from(length).map_err(|_| Malformed::Negative("record length"))?;
        let mut fields = Cursor::new(self.cursor.take(length, "record")?);
        fields.take(1, "record attributes")?;
        let timestamp_delta = fields.varlong("timestamp delta")?;
        let offset_delta = fields.varint("offset delta")?;
        if !(0..=self.header.last_offset_delta).contains(&offset_delta) {
            return Err(Malformed::OffsetDelta(offset_delta));
        }
        let key = fields.nullable("key")?;
        let value = fields.nullable("value")?;
        let header_count = fields.varint("header count")?;
        let header_count = u32::try_from(header_count).map_err(|_| Malformed::Negative("header count"))?;
        let headers = fields.rest();
        check_headers(fields, header_count)?;
        let timestamp = match self.timestamp_type {
            TimestampType::CreateTime => self.header.base_timestamp.wrapping_add(timestamp_delta),
            // The batch's greatest timestamp is every record's; the deltas are what the producer wrote.
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        Ok(RecordView {
            offset: self.header.base_offset + i64::from(offset_delta),
            timestamp,
            timestamp_type: self.timestamp_type,
            leader_epoch: self.header.leader_epoch,
            key,
            value,
            headers,
            header_count,
        })
    }
}

/// Reads the headers once, so that handing them out cannot fail; they must end where the record does.
#[inline]
fn check_headers(mut fields: Cursor<'_>, count: u32) -> Result<(), Malformed> {
    for _ in 0..count {
        fields.bytes("header name")?;
        fields.nullable("header value")?;
    }
    if fields.is_empty() { Ok(()) } else { Err(Malformed::LeftOver("record")) }
}

impl<'a> Iterator for BatchRecords<'a> {
    type Item = Result<RecordView<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(left) = self.left.checked_sub(1) else {
                let over = !std::mem::replace(&mut self.cursor, Cursor::new(&[])).is_empty();
                return over.then_some(Err(Malformed::LeftOver("batch")));
            };
            match self.read() {
                Ok(record) => {
                    self.left = left;
                    if record.offset >= self.from {
                        return Some(Ok(record));
                    }
                }
                Err(malformed) => {
                    (self.left, self.cursor) = (0, Cursor::new(&[]));
                    return Some(Err(malformed));
                }
            }
        }
    }
}
