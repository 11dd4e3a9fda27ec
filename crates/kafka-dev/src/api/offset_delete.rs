//! OffsetDelete, version 0 (KIP-496): committed offsets of topics nobody in the group reads.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::OffsetDeleteRequest;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code_of};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::{Cluster, storage_error};

impl Serve for OffsetDeleteRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 0 };

    async fn serve(self, call: &mut Call<'_>) -> OffsetDeleteResponse {
        if let Err(error) = call.check_coordinator(&self.group_id) {
            return self.refuse(call.version, error);
        }
        let mut cluster = call.cluster();
        if cluster.groups.get(&self.group_id).is_none() {
            return self.refuse(call.version, ResponseError::GroupIdNotFound);
        }
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let deleted = delete(&mut cluster, &self.group_id, &topic.name, asked.partition_index);
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(asked.partition_index)
                    .with_error_code(code_of(&deleted))
            });
            let partitions = partitions.collect();
            OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
        });
        let topics = topics.collect();
        OffsetDeleteResponse::default().with_topics(topics)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> OffsetDeleteResponse {
        OffsetDeleteResponse::default().with_error_code(error.code())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::new(Operation::Delete, Resource::Group, &self.group_id)]
    }
}

fn delete(cluster: &mut Cluster, id: &str, topic: &str, partition: i32) -> Result<(), ResponseError> {
    let known = cluster.topics.get(topic).and_then(|topic| topic.partition(partition));
    known.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let group = cluster.groups.get(id).ok_or(ResponseError::GroupIdNotFound)?;
    if group.subscribes_to(topic) {
        return Err(ResponseError::GroupSubscribedToTopic);
    }
    cluster.groups.forget_offset(id, topic, partition).map_err(storage_error)
}
