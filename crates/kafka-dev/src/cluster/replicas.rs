//! Where partitions live and who leads them: placing, moving, electing, and brokers that come and go.
//!
//! The brokers share every log, so a replica is in sync as soon as its broker is up, and a move is done at once.

use kafka_protocol::error::ResponseError;

use super::topic::{Partition, Topic};
use super::{Cluster, Refusal, storage_error, storage_refusal};

impl Cluster {
    /// Takes a broker out: its partitions get other leaders.
    pub(crate) fn broker_down(&mut self, broker: i32) {
        if let Some(node) = self.nodes.get_mut(&broker) {
            node.is_up = false;
        }
        self.fetch_sessions.forget_broker(broker);
        self.each_partition(|partition| partition.broker_down(broker));
    }

    /// Brings a broker back.
    pub(crate) fn broker_up(&mut self, broker: i32) {
        if let Some(node) = self.nodes.get_mut(&broker) {
            node.is_up = true;
        }
        self.each_partition(|partition| partition.broker_up(broker));
    }

    /// Gives the lead of a partition to one of its replicas that is up; false if that cannot be.
    pub(crate) fn move_leader(&mut self, topic: &str, partition: i32, to: i32) -> bool {
        let found = self.topics.get_mut(topic).and_then(|topic| topic.partition_mut(partition));
        match found {
            Some(partition) if partition.isr.contains(&to) => {
                partition.lead(Some(to));
                self.save_topic(topic).map_err(storage_error).is_ok()
            }
            _ => false,
        }
    }

    /// Changes who leads, and writes it down where it changed.
    fn each_partition(&mut self, mut change: impl FnMut(&mut Partition)) {
        let mut changed = Vec::new();
        for (name, topic) in &mut self.topics {
            let epochs =
                |topic: &Topic| topic.partitions.iter().map(|p| i64::from(p.leader_epoch)).sum::<i64>();
            let before = epochs(topic);
            topic.partitions.iter_mut().for_each(&mut change);
            if epochs(topic) != before {
                changed.push(name.clone());
            }
        }
        for name in changed {
            if let Err(error) = self.save_topic(&name) {
                storage_error(error);
            }
        }
    }

    /// Spreads replicas over the live brokers, round robin.
    pub(super) fn place(&mut self, partitions: usize, replication: usize) -> Result<Vec<Vec<i32>>, Refusal> {
        let live: Vec<i32> = self.live_nodes().map(|(id, _)| id).collect();
        if replication == 0 || replication > live.len() {
            let message = format!(
                "Unable to replicate the partition {replication} time(s): The target replication factor of \
                 {replication} cannot be reached because only {} broker(s) are registered.",
                live.len()
            );
            return Err(Refusal::new(ResponseError::InvalidReplicationFactor, message));
        }
        let first = self.next_leader;
        self.next_leader = (first + partitions) % live.len();
        let replicas = |partition| {
            (0..replication).map(|replica| live[(first + partition + replica) % live.len()]).collect()
        };
        Ok((0..partitions).map(replicas).collect())
    }

    pub(super) fn check_assignments(&self, assignments: &[Vec<i32>]) -> Result<(), Refusal> {
        let refuse = |message: &str| Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message));
        let Some(first) = assignments.first() else { return refuse("The assignment names no partition.") };
        for replicas in assignments {
            let mut unique = replicas.clone();
            unique.sort_unstable();
            unique.dedup();
            if unique.is_empty() || unique.len() != replicas.len() || replicas.len() != first.len() {
                return refuse("Every partition needs the same number of different replicas.");
            }
            if unique.iter().any(|id| !self.nodes.contains_key(id)) {
                return refuse("The assignment names a broker that is not in the cluster.");
            }
        }
        Ok(())
    }

    /// Gives the lead of a partition back to its first replica.
    pub(crate) fn elect_preferred(&mut self, topic: &str, partition: i32) -> Result<(), ResponseError> {
        let found = self.topics.get(topic).and_then(|topic| topic.partition(partition));
        let found = found.ok_or(ResponseError::UnknownTopicOrPartition)?;
        let preferred = found.replicas.first().copied().ok_or(ResponseError::PreferredLeaderNotAvailable)?;
        if found.leader == Some(preferred) {
            return Err(ResponseError::ElectionNotNeeded);
        }
        if self.move_leader(topic, partition, preferred) {
            Ok(())
        } else {
            Err(ResponseError::PreferredLeaderNotAvailable)
        }
    }

    /// Elects any replica of a partition without a leader. There is none to be had: who is up is in sync, and leads.
    pub(crate) fn elect_unclean(&self, topic: &str, partition: i32) -> Result<(), ResponseError> {
        let found = self.topics.get(topic).and_then(|topic| topic.partition(partition));
        match found.ok_or(ResponseError::UnknownTopicOrPartition)?.leader {
            Some(_) => Err(ResponseError::ElectionNotNeeded),
            None => Err(ResponseError::EligibleLeadersNotAvailable),
        }
    }

    /// Moves a partition to other brokers.
    pub(crate) fn reassign(&mut self, name: &str, index: i32, replicas: Vec<i32>) -> Result<(), Refusal> {
        self.check_assignments(std::slice::from_ref(&replicas))?;
        let live: Vec<i32> = self.live_nodes().map(|(id, _)| id).collect();
        let found = self.topics.get_mut(name).and_then(|topic| topic.partition_mut(index));
        let partition = found.ok_or(ResponseError::UnknownTopicOrPartition)?;
        partition.isr = replicas.iter().filter(|id| live.contains(id)).copied().collect();
        partition.replicas = replicas;
        if !partition.leader.is_some_and(|leader| partition.isr.contains(&leader)) {
            partition.lead(partition.isr.first().copied());
        }
        self.save_topic(name).map_err(storage_refusal)
    }
}
