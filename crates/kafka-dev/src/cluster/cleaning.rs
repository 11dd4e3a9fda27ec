//! Retention and compaction of all partitions, as the settings of their topics say.

use super::topic::Topic;
use super::{Cluster, storage_error};
use crate::log::compaction::Compaction;
use crate::log::retention::Retention;

impl Cluster {
    /// One round over all partitions.
    pub(crate) fn clean(&mut self, now_ms: i64) {
        for topic in self.topics.values_mut() {
            let (retention, compaction) = (retention(topic), compaction(topic, now_ms));
            for partition in &mut topic.partitions {
                let retained = partition.log.enforce_retention(retention, now_ms).map(drop);
                let compacted =
                    compaction.as_ref().map_or(Ok(false), |options| partition.log.compact(options));
                for result in [retained, compacted.map(drop)] {
                    if let Err(error) = result {
                        storage_error(error);
                    }
                }
            }
        }
    }
}

/// Topics that are only compacted keep records of any age.
fn retention(topic: &Topic) -> Retention {
    if !topic.is_deleting() {
        return Retention::default();
    }
    Retention {
        ms: Some(topic.number("retention.ms")).filter(|ms| *ms >= 0),
        bytes: u64::try_from(topic.number("retention.bytes")).ok(),
    }
}

fn compaction(topic: &Topic, now_ms: i64) -> Option<Compaction> {
    topic.is_compacted().then(|| Compaction {
        min_dirty_ratio: topic.setting("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
        delete_retention_ms: topic.number("delete.retention.ms"),
        now_ms,
    })
}
