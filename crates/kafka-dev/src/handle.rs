//! The holder of a running cluster: addresses, brokers down and up, leaders, faults, and what is stored.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cluster::NewTopic;
use crate::fault::Faults;
use crate::log::records::Record;
use crate::shared::{Control, Shared};

/// A running cluster. Dropping it stops the cluster and closes every connection.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Why something asked of the handle was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// There is no such topic or partition.
    #[error("there is no partition {partition} of topic {topic}")]
    NoPartition {
        /// Name of the topic.
        topic: String,
        /// Index of the partition.
        partition: i32,
    },
    /// The broker is no replica of the partition, or not up.
    #[error("broker {broker} cannot lead partition {partition} of topic {topic}")]
    CannotLead {
        /// Name of the topic.
        topic: String,
        /// Index of the partition.
        partition: i32,
        /// Id of the broker.
        broker: i32,
    },
    /// The topic cannot be created.
    #[error("cannot create the topic: {0}")]
    Topic(String),
    /// The system refused, for example because the port was taken in the meantime.
    #[error("broker {broker}: {source}")]
    Io {
        /// Id of the broker.
        broker: i32,
        /// What the system said.
        source: io::Error,
    },
    /// The log cannot be read.
    #[error("cannot read the log: {0}")]
    Log(#[from] io::Error),
    /// The cluster was shut down.
    #[error("the cluster is not running")]
    Stopped,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, thread: JoinHandle<()>) -> Self {
        Self { shared, thread: Some(thread) }
    }

    /// `host:port` of every broker as clients are told, separated by commas, whether up or not.
    pub fn bootstrap(&self) -> String {
        let cluster = self.shared.cluster();
        let addresses = cluster.nodes.values().map(|node| format!("{}:{}", node.host, node.port));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Where one broker listens; not what clients are told where something stands in front of it
    /// ([`Config::advertise`](crate::Config::advertise)).
    pub fn listening_port(&self, broker: i32) -> Option<u16> {
        self.shared.cluster().nodes.get(&broker).map(|node| node.listens_on.1)
    }

    /// `host:port` of one broker as clients are told.
    pub fn address(&self, broker: i32) -> Option<String> {
        let cluster = self.shared.cluster();
        cluster.nodes.get(&broker).map(|node| format!("{}:{}", node.host, node.port))
    }

    /// Ids of all brokers, from 1.
    pub fn brokers(&self) -> Vec<i32> {
        self.shared.cluster().nodes.keys().copied().collect()
    }

    /// Ids of the brokers that are up.
    pub fn live_brokers(&self) -> Vec<i32> {
        self.shared.cluster().live_nodes().map(|(id, _)| id).collect()
    }

    /// The rules that make requests fail.
    pub fn faults(&self) -> Faults {
        self.shared.faults.clone()
    }

    /// Stops a broker as a crash would: its connections close, its listener too, its partitions get other leaders. Returns
    /// when that is done. What was acknowledged stays, since brokers share their logs.
    ///
    /// # Errors
    /// When the cluster is not running.
    pub fn stop_broker(&self, broker: i32) -> Result<(), HandleError> {
        let (done, wait) = sync_channel(1);
        self.send(Control::StopBroker(broker, Some(done)))?;
        wait.recv().map_err(|_| HandleError::Stopped)
    }

    /// Starts a broker again on the port it had. It is in sync at once and leads only where nobody did.
    ///
    /// # Errors
    /// When the port was taken in the meantime or the cluster is not running.
    pub fn start_broker(&self, broker: i32) -> Result<(), HandleError> {
        let (done, wait) = sync_channel(1);
        self.send(Control::StartBroker(broker, Some(done)))?;
        let started = wait.recv().map_err(|_| HandleError::Stopped)?;
        started.map_err(|source| HandleError::Io { broker, source })
    }

    /// Gives the lead of a partition to another of its replicas; a new leader epoch begins.
    ///
    /// # Errors
    /// When the broker is no live replica of the partition.
    pub fn move_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<(), HandleError> {
        if self.shared.move_leader(topic, partition, broker) {
            return Ok(());
        }
        Err(HandleError::CannotLead { topic: topic.to_owned(), partition, broker })
    }

    /// The broker that leads a partition; none while no replica is up.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<Option<i32>, HandleError> {
        let cluster = self.shared.cluster();
        let found = cluster.topics.get(topic).and_then(|topic| topic.partition(partition));
        found.map(|partition| partition.leader).ok_or_else(|| no_partition(topic, partition))
    }

    /// The broker that coordinates a group or a transactional id; none while no broker is up.
    pub fn coordinator(&self, key: &str) -> Option<i32> {
        self.shared.cluster().coordinator(key)
    }

    /// Creates a topic with as many replicas as there are live brokers, at most 3.
    ///
    /// # Errors
    /// When the name is taken or not legal, or the number of partitions is not possible.
    pub fn create_topic(&self, name: &str, partitions: usize) -> Result<(), HandleError> {
        let new = NewTopic { name: name.to_owned(), partitions: Some(partitions), ..NewTopic::default() };
        let created = self.shared.cluster().create_topic(new);
        self.shared.changed.notify_waiters();
        created.map(drop).map_err(|refusal| HandleError::Topic(refusal.message))
    }

    /// Every record of a partition, in order of offset. Control records are left out; records of aborted transactions are not.
    ///
    /// # Errors
    /// When there is no such partition or its log cannot be read.
    pub fn records(&self, topic: &str, partition: i32) -> Result<Vec<Record>, HandleError> {
        let cluster = self.shared.cluster();
        let found = cluster.topics.get(topic).and_then(|topic| topic.partition(partition));
        Ok(found.ok_or_else(|| no_partition(topic, partition))?.log.all_records()?)
    }

    /// The offset a group has committed for a partition.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let cluster = self.shared.cluster();
        let group = cluster.groups.get(group)?;
        group.offsets.get(topic, partition).map(|committed| committed.offset)
    }

    /// Ends the sessions of all members of a group, as if they had been silent for too long.
    pub fn expire_group(&self, group: &str) {
        self.shared.expire_group(group);
    }

    /// Lets the broker's clock jump ahead: sessions, transactions and retention see the time pass at once.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        self.shared.timers.notify_one();
    }

    /// Stops the cluster and waits until every connection is closed. Dropping the handle does the same.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        let _ = self.shared.control.send(Control::Shutdown);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn send(&self, command: Control) -> Result<(), HandleError> {
        self.shared.control.send(command).map_err(|_| HandleError::Stopped)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

fn no_partition(topic: &str, partition: i32) -> HandleError {
    HandleError::NoPartition { topic: topic.to_owned(), partition }
}
