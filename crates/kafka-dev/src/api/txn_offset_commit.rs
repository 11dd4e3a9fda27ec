//! TxnOffsetCommit, versions 0 to 5: offsets that count once the transaction commits (KIP-98, 447, 890).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code_of, offset_commit};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::group::offsets::Committed;
use crate::txn::{OffsetKey, Producer};

impl Serve for TxnOffsetCommitRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 5 };

    async fn serve(self, call: &mut Call<'_>) -> TxnOffsetCommitResponse {
        if let Err(error) = check_member(&self, call) {
            return self.refuse(call.version, error);
        }
        let now = call.now();
        let mut cluster = call.cluster();
        let offsets = good_offsets(&self, &cluster);
        let producer = Producer { id: self.producer_id.0, epoch: self.producer_epoch };
        if let Err(error) = cluster.transactions.add_offsets(&self.transactional_id, producer, offsets, now) {
            return self.refuse(call.version, error);
        }
        respond(&self, |topic, asked| check(&cluster, topic, asked).map(drop))
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> TxnOffsetCommitResponse {
        // Clients of this API know only the older name of a fenced producer.
        let error = match error {
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
            error => error,
        };
        respond(self, |_, _| Err(error))
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        let mut needs = offset_commit::access(self.topics(cluster), &self.group_id);
        needs.push(Access::new(Operation::Write, Resource::TransactionalId, &self.transactional_id));
        needs
    }
}

/// From version 3 on a member may only commit for its own generation (KIP-447).
fn check_member(request: &TxnOffsetCommitRequest, call: &Call<'_>) -> Result<(), ResponseError> {
    call.check_coordinator(&request.group_id)?;
    let from_member = request.generation_id >= 0 || !request.member_id.is_empty();
    if !from_member {
        return Ok(());
    }
    let now = call.shared().clock.now();
    let mut cluster = call.cluster();
    let group = cluster.groups.get_mut(&request.group_id).ok_or(ResponseError::IllegalGeneration)?;
    let instance = request.group_instance_id.as_deref();
    group.check_commit(&request.member_id, instance, request.generation_id, now)
}

fn check(
    cluster: &Cluster,
    topic: &str,
    asked: &TxnOffsetCommitRequestPartition,
) -> Result<String, ResponseError> {
    offset_commit::check_offset(cluster, topic, asked.partition_index, asked.committed_metadata.as_deref())
}

fn good_offsets(request: &TxnOffsetCommitRequest, cluster: &Cluster) -> Vec<(OffsetKey, Committed)> {
    let mut offsets = Vec::new();
    for topic in &request.topics {
        for asked in &topic.partitions {
            let Ok(metadata) = check(cluster, &topic.name, asked) else { continue };
            let key = (request.group_id.to_string(), topic.name.to_string(), asked.partition_index);
            let (offset, leader_epoch) = (asked.committed_offset, asked.committed_leader_epoch);
            offsets.push((key, Committed { offset, leader_epoch, metadata }));
        }
    }
    offsets
}

fn respond(
    request: &TxnOffsetCommitRequest,
    outcome: impl Fn(&str, &TxnOffsetCommitRequestPartition) -> Result<(), ResponseError>,
) -> TxnOffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(code_of(&outcome(&topic.name, asked)))
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}
