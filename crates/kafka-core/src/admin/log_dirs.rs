//! Log directories: how much of each partition a broker stores, and where.

use std::sync::Arc;

use kafka_protocol::messages::DescribeLogDirsRequest;
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;

use super::names::check;
use super::stage::{Lookup, Stage};
use super::{Admin, Outcome};
use crate::error::Result;
use crate::wire::Api;
use crate::{ErrorCode, TopicPartition};

/// A log directory of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDir {
    /// Its path on the broker.
    pub path: String,
    /// `NONE`, or why it cannot be used (a failed disk).
    pub error: ErrorCode,
    /// Size of the volume in bytes, where the broker knows it (Kafka 3.3).
    pub total_bytes: Option<i64>,
    /// Bytes left on the volume, likewise.
    pub usable_bytes: Option<i64>,
    /// The replicas stored there.
    pub replicas: Vec<StoredReplica>,
}

/// A replica on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReplica {
    /// Which partition.
    pub partition: TopicPartition,
    /// Bytes of its log segments.
    pub size_bytes: i64,
    /// Records it is behind the high watermark (or, for a future replica, behind the current one).
    pub lag: i64,
    /// Whether it is being moved here from another directory.
    pub is_future: bool,
}

impl Admin {
    /// The log directories of brokers, each asked itself.
    pub async fn log_dirs(&self, brokers: &[i32]) -> Vec<Outcome<i32, Vec<LogDir>>> {
        let build = |_: &[i32], _| Ok(DescribeLogDirsRequest::default().with_topics(None));
        let read = |brokers: &[i32], answer: <DescribeLogDirsRequest as Api>::Response| {
            let broker = brokers.first().copied().unwrap_or(-1);
            vec![(broker, read_dirs(broker, answer))]
        };
        let stage = Stage::new(Lookup::Broker(|id| Some(*id)), build, read).at_most(1);
        self.call("asking for log directories").run(stage, brokers.to_vec()).await
    }
}

fn read_dirs(broker: i32, answer: <DescribeLogDirsRequest as Api>::Response) -> Result<Vec<LogDir>> {
    check::<DescribeLogDirsRequest>(format!("log directories of broker {broker}"), answer.error_code, None)?;
    Ok(answer.results.into_iter().map(read_dir).collect())
}

fn read_dir(dir: DescribeLogDirsResult) -> LogDir {
    let mut replicas = Vec::new();
    for topic in dir.topics {
        let name: Arc<str> = (&**topic.name).into();
        replicas.extend(topic.partitions.into_iter().map(|stored| StoredReplica {
            partition: TopicPartition::new(Arc::clone(&name), stored.partition_index),
            size_bytes: stored.partition_size,
            lag: stored.offset_lag,
            is_future: stored.is_future_key,
        }));
    }
    let known = |bytes: i64| Some(bytes).filter(|bytes| *bytes >= 0);
    LogDir {
        path: dir.log_dir.to_string(),
        error: ErrorCode(dir.error_code),
        total_bytes: known(dir.total_bytes),
        usable_bytes: known(dir.usable_bytes),
        replicas,
    }
}
