//! Carrying out what the transaction coordinator decides: markers into the logs, offsets into the groups.

use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::{Cluster, storage_error};
use crate::group::offsets::Committed;
use crate::txn::{EndStep, Ending, Now, OffsetKey, Producer};

impl Cluster {
    /// Gives a transactional id to a producer, after aborting what its predecessor left open.
    pub(crate) fn init_transactional(
        &mut self,
        id: &str,
        timeout: Duration,
        given: Option<Producer>,
        now_ms: i64,
    ) -> Result<Producer, ResponseError> {
        if let Some(open) = self.transactions.to_abort_before_init(id) {
            self.end_transaction(id, open, false, false, now_ms)?;
        }
        let fresh_id = self.fresh_producer_id()?;
        self.transactions.init(id, timeout, given, fresh_id)
    }

    /// Ends a transaction for good; the producer as it goes on.
    pub(crate) fn end_transaction(
        &mut self,
        id: &str,
        producer: Producer,
        commit: bool,
        bump: bool,
        now_ms: i64,
    ) -> Result<Producer, ResponseError> {
        let fresh_id = self.fresh_producer_id()?;
        match self.transactions.end(id, producer, commit, bump, fresh_id)? {
            EndStep::Done(left) => Ok(left),
            EndStep::Write(ending, left) => {
                self.carry_out(ending, now_ms)?;
                Ok(left)
            }
        }
    }

    /// Finishes what an earlier run had decided but not written.
    pub(crate) fn finish_transactions(&mut self, now_ms: i64) -> Result<(), ResponseError> {
        for ending in self.transactions.unfinished() {
            self.carry_out(ending, now_ms)?;
        }
        Ok(())
    }

    /// Aborts what was open for too long, and fences the producer.
    pub(crate) fn expire_transactions(&mut self, now: Now) {
        for (id, producer) in self.transactions.expired(now.instant) {
            if let Err(error) = self.end_transaction(&id, producer, false, true, now.wall_ms) {
                tracing::error!(%error, transaction = id, "cannot abort an expired transaction");
            }
        }
    }

    fn carry_out(&mut self, ending: Ending, now_ms: i64) -> Result<(), ResponseError> {
        let Producer { id, epoch } = ending.producer;
        for (topic, partition) in &ending.partitions {
            let found = self.topics.get_mut(topic).and_then(|topic| topic.partition_mut(*partition));
            if let Some(partition) = found {
                let leader_epoch = partition.leader_epoch;
                let written = partition.log.append_marker(id, epoch, ending.commit, leader_epoch, now_ms);
                written.map_err(storage_error)?;
            }
        }
        if ending.commit {
            self.commit_all(ending.offsets)?;
        }
        self.transactions.complete(&ending.transactional_id).map_err(storage_error)
    }

    fn commit_all(&mut self, offsets: Vec<(OffsetKey, Committed)>) -> Result<(), ResponseError> {
        for ((group, topic, partition), committed) in offsets {
            self.groups.commit(&group, &topic, partition, committed).map_err(storage_error)?;
        }
        Ok(())
    }
}
