//! The consumer: from a subscription to records, and from what was dealt with to committed offsets.
//!
//! `handle` is what an application holds, `driver` the task that waits; the rest are machines and data without waiting.

pub(crate) mod decode;
mod driver;
mod fetch;
pub(crate) mod group;
mod handle;
mod lookup;
pub(crate) mod offsets;
mod options;
mod position;
mod queue;
pub(crate) mod reset;
mod subscription;

pub(crate) use fetch::TOPIC_IDS_FROM;

pub use decode::{Headers, PartitionRecords, RecordBatch, RecordView, TimestampType};
pub use group::{Assignor, GroupOptions, GroupProtocol, Rebalance};
pub use handle::{Closer, Consumer, Source};
pub use lookup::list_offsets;
pub use offsets::{Committed, OffsetQuery, OffsetToCommit};
pub use options::{AutoCommit, ConsumerOptions};
pub use position::{Notice, Start};
pub use queue::Event;
pub use reset::ResetPolicy;
pub use subscription::{Subscription, TopicPattern};
