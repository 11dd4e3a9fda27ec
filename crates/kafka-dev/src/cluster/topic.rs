//! A topic: its partitions, who leads them, and its settings.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::settings::{self, Setting};
use crate::log::Log;

/// One partition as every broker of the cluster sees it: the brokers share its log.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) log: Log,
    /// None while no replica's broker is up.
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    /// Replicas whose broker is up.
    pub(crate) isr: Vec<i32>,
}

impl Partition {
    pub(crate) fn new(log: Log, replicas: Vec<i32>) -> Self {
        Self { log, leader: replicas.first().copied(), leader_epoch: 0, isr: replicas.clone(), replicas }
    }

    /// Gives the lead to a broker, which starts a new leader epoch.
    pub(crate) fn lead(&mut self, leader: Option<i32>) {
        if self.leader != leader {
            self.leader = leader;
            self.leader_epoch += 1;
        }
    }

    pub(crate) fn offline(&self) -> Vec<i32> {
        self.replicas.iter().filter(|id| !self.isr.contains(id)).copied().collect()
    }

    /// A broker went away: the first other replica that is up leads.
    pub(crate) fn broker_down(&mut self, broker: i32) {
        self.isr.retain(|id| *id != broker);
        if self.leader == Some(broker) {
            let next = self.replicas.iter().find(|id| self.isr.contains(id)).copied();
            self.lead(next);
        }
    }

    /// A broker came back: in sync at once, and leader only where nobody led.
    pub(crate) fn broker_up(&mut self, broker: i32) {
        if self.replicas.contains(&broker) && !self.isr.contains(&broker) {
            self.isr.push(broker);
            if self.leader.is_none() {
                self.lead(Some(broker));
            }
        }
    }
}

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Partition>,
    /// What was set, by name; what was not has its default.
    pub(crate) configs: BTreeMap<String, String>,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }

    /// The value in force.
    pub(crate) fn setting(&self, name: &str) -> &str {
        let default = || settings::topic(name).map_or("", |setting: &Setting| setting.default);
        self.configs.get(name).map_or_else(default, String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        self.setting(name).parse().unwrap_or(-1)
    }

    pub(crate) fn stamps_records(&self) -> bool {
        self.setting("message.timestamp.type") == "LogAppendTime"
    }

    pub(crate) fn is_compacted(&self) -> bool {
        self.has_policy("compact")
    }

    pub(crate) fn is_deleting(&self) -> bool {
        self.has_policy("delete")
    }

    fn has_policy(&self, wanted: &str) -> bool {
        self.setting("cleanup.policy").split(',').any(|policy| policy.trim() == wanted)
    }
}
