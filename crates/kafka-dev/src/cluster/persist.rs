//! Topics, their partitions' leader epochs and log starts, and producer ids, to and from the journal and the data folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::Cluster;
use super::topic::{Partition, Topic};
use crate::journal::fields::{self, Fields};
use crate::journal::{Journal, Kind};
use crate::log::Log;

/// Producer ids are reserved in blocks, so that not every one is written.
pub(super) const PRODUCER_ID_BLOCK: i64 = 1000;

/// Where a cluster keeps its logs; none in memory mode.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) journal: Journal,
    /// Held while the folder is in use.
    _lock: Option<Arc<fs::File>>,
    topics: Option<PathBuf>,
    /// Whether appends wait for the disk.
    sync: bool,
}

impl Store {
    pub(crate) fn in_memory() -> Self {
        Self { journal: Journal::in_memory(), _lock: None, topics: None, sync: false }
    }

    /// Opens the data folder, which is created if need be.
    pub(crate) fn open(dir: &Path, sync: bool) -> io::Result<Self> {
        let topics = dir.join("topics");
        fs::create_dir_all(&topics)?;
        let lock = fs::File::create(dir.join("lock"))?;
        lock.try_lock().map_err(|_| io::Error::other("another kafka-dev is using it"))?;
        let journal = Journal::open(&dir.join("cluster.journal"), sync)?;
        Ok(Self { journal, _lock: Some(Arc::new(lock)), topics: Some(topics), sync })
    }

    pub(super) fn new_log(&self, topic: Uuid, partition: i32, start: i64) -> io::Result<Log> {
        match self.topic_dir(topic) {
            Some(dir) => Log::open(&dir.join(partition.to_string()), start, self.sync),
            None => Ok(Log::in_memory()),
        }
    }

    fn delete_logs(&self, topic: Uuid) -> io::Result<()> {
        match self.topic_dir(topic) {
            Some(dir) if dir.exists() => fs::remove_dir_all(dir),
            _ => Ok(()),
        }
    }

    pub(super) fn log_dir(&self) -> String {
        self.topics.as_ref().map_or_else(|| "/memory".to_owned(), |topics| topics.display().to_string())
    }

    /// Folders carry the id: a topic created again under its name must not find old records.
    fn topic_dir(&self, topic: Uuid) -> Option<PathBuf> {
        self.topics.as_ref().map(|topics| topics.join(topic.simple().to_string()))
    }

    /// Removes the folders of topics whose deletion did not finish.
    fn delete_strays(&self, known: impl Fn(&str) -> bool) -> io::Result<()> {
        let Some(topics) = &self.topics else { return Ok(()) };
        for entry in fs::read_dir(topics)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(&known) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Cluster {
    /// Takes up what an earlier run has left.
    pub(crate) fn restore(&mut self, now_ms: i64) -> io::Result<()> {
        let journal = self.store.journal.clone();
        match journal.entries(Kind::Cluster).into_iter().next() {
            Some((_, mut value)) => self.id = fields::text(&mut value)?,
            None => journal.put(Kind::Cluster, Fields::new(), Fields::new().text(&self.id))?,
        }
        if let Some((_, mut value)) = journal.entries(Kind::ProducerIds).into_iter().next() {
            self.next_producer_id = fields::long(&mut value)?;
            self.reserved_producer_ids = self.next_producer_id;
        }
        let mut starts = BTreeMap::new();
        for (mut key, mut value) in journal.entries(Kind::LogStart) {
            let topic = Uuid::from_slice(&fields::bytes(&mut key)?).map_err(io::Error::other)?;
            starts.insert((topic, fields::int(&mut key)?), fields::long(&mut value)?);
        }
        for (mut key, value) in journal.entries(Kind::Topic) {
            let name = fields::text(&mut key)?;
            let topic = self.read_topic(value, &starts)?;
            self.names.insert(topic.id, name.clone());
            self.topics.insert(name.clone(), topic);
            self.save_topic(&name)?;
        }
        let ids: Vec<String> = self.names.keys().map(|id| id.simple().to_string()).collect();
        self.store.delete_strays(|name| ids.iter().any(|id| id == name))?;
        self.groups.restore()?;
        self.acls.restore()?;
        self.credentials.restore()?;
        self.quotas.restore()?;
        self.transactions.restore()?;
        self.finish_transactions(now_ms).map_err(io::Error::other)
    }

    fn read_topic(&self, mut value: Bytes, starts: &BTreeMap<(Uuid, i32), i64>) -> io::Result<Topic> {
        let id = Uuid::from_slice(&fields::bytes(&mut value)?).map_err(io::Error::other)?;
        let configs = fields::list(&mut value, |from| Ok((fields::text(from)?, fields::text(from)?)))?;
        let placed =
            fields::list(&mut value, |from| Ok((fields::int(from)?, fields::list(from, fields::int)?)))?;
        let mut partitions = Vec::with_capacity(placed.len());
        for ((epoch, replicas), index) in placed.into_iter().zip(0..) {
            let start = starts.get(&(id, index)).copied().unwrap_or(0);
            let mut partition = Partition::new(self.store.new_log(id, index, start)?, replicas);
            // A restart is an election; clients must never see an epoch go back.
            partition.leader_epoch = epoch + 1;
            for id in partition.replicas.clone() {
                if !self.nodes.contains_key(&id) {
                    partition.broker_down(id);
                }
            }
            partitions.push(partition);
        }
        Ok(Topic { id, partitions, configs: configs.into_iter().collect() })
    }

    /// Writes down a topic as it is now.
    pub(super) fn save_topic(&self, name: &str) -> io::Result<()> {
        let Some(topic) = self.topics.get(name) else {
            return self.store.journal.remove(Kind::Topic, Fields::new().text(name));
        };
        let value = Fields::new()
            .bytes(topic.id.as_bytes())
            .list(&topic.configs, |out, (name, value)| out.text(name).text(value))
            .list(&topic.partitions, |out, partition| {
                out.long(partition.leader_epoch).list(&partition.replicas, |out, id| out.long(*id))
            });
        self.store.journal.put(Kind::Topic, Fields::new().text(name), value)
    }

    /// Writes down where the log of a partition starts.
    pub(super) fn save_log_start(&self, topic: Uuid, partition: i32, start: i64) -> io::Result<()> {
        self.store.journal.put(Kind::LogStart, log_start_key(topic, partition), Fields::new().long(start))
    }

    /// Forgets a deleted topic: its log starts and its folder.
    pub(super) fn forget_logs(&self, topic: &Topic) -> io::Result<()> {
        for (_, index) in topic.partitions.iter().zip(0..) {
            self.store.journal.remove(Kind::LogStart, log_start_key(topic.id, index))?;
        }
        self.store.delete_logs(topic.id)
    }

    pub(super) fn save_producer_ids(&self) -> io::Result<()> {
        let value = Fields::new().long(self.reserved_producer_ids);
        self.store.journal.put(Kind::ProducerIds, Fields::new(), value)
    }
}

fn log_start_key(topic: Uuid, partition: i32) -> Fields {
    Fields::new().bytes(topic.as_bytes()).long(partition)
}
