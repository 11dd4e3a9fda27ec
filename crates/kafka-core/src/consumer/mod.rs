//! The consumer: from a subscription to records, and from what was dealt with to committed offsets.

#[allow(dead_code, reason = "the driver that calls it comes next")]
mod decode;

pub use decode::{Headers, PartitionRecords, RecordBatch, RecordView, TimestampType};
