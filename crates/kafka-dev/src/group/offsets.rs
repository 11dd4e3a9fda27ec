//! Committed offsets of one group, whatever its protocol. Knows no members.

use std::collections::BTreeMap;

/// One committed position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    /// -1 where the client did not say.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// By topic and partition.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: BTreeMap<(String, i32), Committed>,
}

impl Offsets {
    pub(crate) fn commit(&mut self, topic: &str, partition: i32, committed: Committed) {
        self.committed.insert((topic.to_owned(), partition), committed);
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.committed.get(&(topic.to_owned(), partition))
    }

    pub(crate) fn remove(&mut self, topic: &str, partition: i32) {
        self.committed.remove(&(topic.to_owned(), partition));
    }

    /// Forgets a topic; the partitions that had an offset.
    pub(crate) fn remove_topic(&mut self, topic: &str) -> Vec<i32> {
        let of_topic = self.committed.keys().filter(|(name, _)| name == topic);
        let partitions: Vec<i32> = of_topic.map(|(_, partition)| *partition).collect();
        self.committed.retain(|(name, _), _| name != topic);
        partitions
    }

    /// All, in order of topic and partition.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, i32, &Committed)> {
        self.committed.iter().map(|((topic, partition), committed)| (topic.as_str(), *partition, committed))
    }
}
