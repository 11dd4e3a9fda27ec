//! The consumer: from a subscription to records, and from what was dealt with to committed offsets.

#[allow(dead_code, reason = "the driver that calls it comes next")]
mod decode;
#[allow(dead_code, reason = "the driver that calls it comes next")]
pub(crate) mod offsets;

pub use decode::{Headers, PartitionRecords, RecordBatch, RecordView, TimestampType};
pub use offsets::{Committed, OffsetQuery, OffsetToCommit};
