//! Where things are: brokers, leaders, coordinators, and the connections to them. Knows no producer and no consumer.

mod coordinator;
mod driver;
mod metadata;

pub use coordinator::CoordinatorKind;
pub use driver::{Cluster, ClusterOptions};
pub use metadata::{Broker, Metadata, Partition, Topic};
