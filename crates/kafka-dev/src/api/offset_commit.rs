//! OffsetCommit, versions 2 to 9 (KIP-211, 320 leader epoch, 345 static members, 848 member epoch).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code_of};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::group::offsets::Committed;

/// Longest metadata of one offset, as Kafka's `offset.metadata.max.bytes`.
const MAX_METADATA_BYTES: usize = 4096;

/// The first version in which members of the new protocol can commit.
const EPOCH_VERSION: i16 = 9;

impl Serve for OffsetCommitRequest {
    const SERVED: VersionRange = VersionRange { min: 2, max: 9 };

    async fn serve(self, call: &mut Call<'_>) -> OffsetCommitResponse {
        let now = call.shared().clock.now();
        let checked = call.check_coordinator(&self.group_id).and_then(|()| {
            let mut cluster = call.cluster();
            if self.group_id.is_empty() {
                return Err(ResponseError::InvalidGroupId);
            }
            let generation = self.generation_id_or_member_epoch;
            if generation >= 0 && cluster.groups.get(&self.group_id).is_none() {
                return Err(ResponseError::IllegalGeneration);
            }
            let group = cluster.groups.get_or_create(&self.group_id);
            let has_epochs = group.next_gen.as_ref().is_some_and(|group| !group.is_empty());
            if has_epochs && generation >= 0 && call.version < EPOCH_VERSION {
                return Err(ResponseError::UnsupportedVersion);
            }
            group.check_commit(&self.member_id, self.group_instance_id.as_deref(), generation, now)
        });
        if let Err(error) = checked {
            return self.refuse(call.version, error);
        }
        let mut cluster = call.cluster();
        respond(&self, |topic, asked| commit(&mut cluster, &self.group_id, topic, asked))
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> OffsetCommitResponse {
        respond(self, |_, _| Err(error))
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        access(self.topics(cluster), &self.group_id)
    }
}

fn commit(
    cluster: &mut Cluster,
    group: &str,
    topic: &str,
    asked: &OffsetCommitRequestPartition,
) -> Result<(), ResponseError> {
    let metadata = check_offset(cluster, topic, asked.partition_index, asked.committed_metadata.as_deref())?;
    let committed =
        Committed { offset: asked.committed_offset, leader_epoch: asked.committed_leader_epoch, metadata };
    let written = cluster.groups.commit(group, topic, asked.partition_index, committed);
    written.map_err(|error| {
        tracing::error!(%error, group, "cannot write the journal");
        ResponseError::UnknownServerError
    })
}

/// Whether an offset can be committed for the partition with this note; the note.
pub(super) fn check_offset(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    metadata: Option<&str>,
) -> Result<String, ResponseError> {
    let known = cluster.topics.get(topic).and_then(|topic| topic.partition(partition));
    known.ok_or(ResponseError::UnknownTopicOrPartition)?;
    match metadata.unwrap_or_default() {
        long if long.len() > MAX_METADATA_BYTES => Err(ResponseError::OffsetMetadataTooLarge),
        metadata => Ok(metadata.to_owned()),
    }
}

/// What committing a group's offsets for these topics needs.
pub(super) fn access(topics: Vec<String>, group: &str) -> Vec<Access> {
    let mut needs = Access::to_topics(Operation::Read, topics);
    needs.push(Access::new(Operation::Read, Resource::Group, group));
    needs
}

fn respond(
    request: &OffsetCommitRequest,
    mut outcome: impl FnMut(&str, &OffsetCommitRequestPartition) -> Result<(), ResponseError>,
) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(code_of(&outcome(&topic.name, asked)))
        });
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
