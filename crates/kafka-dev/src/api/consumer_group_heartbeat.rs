//! ConsumerGroupHeartbeat, versions 0 and 1 (KIP-848, 1082 member id from the client).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ConsumerGroupHeartbeatRequest;
use kafka_protocol::messages::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use kafka_protocol::protocol::VersionRange;
use uuid::Uuid;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::group::next_gen::assignor::Slot;
use crate::group::next_gen::{Beat, Heard};

/// `group.consumer.heartbeat.interval.ms`.
const HEARTBEAT_INTERVAL_MS: i32 = 5000;

impl Serve for ConsumerGroupHeartbeatRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 1 };

    async fn serve(self, call: &mut Call<'_>) -> ConsumerGroupHeartbeatResponse {
        let checked = if self.group_id.is_empty() {
            Err(ResponseError::InvalidRequest)
        } else {
            call.check_coordinator(&self.group_id)
        };
        if let Err(error) = checked {
            return self.refuse(call.version, error);
        }
        let now = call.shared().clock.now();
        let beat = read(&self, call);
        let mut cluster = call.cluster();
        let topics = cluster.topic_index();
        let heard = cluster.groups.heartbeat(&self.group_id, &beat, &topics, now);
        drop(cluster);
        call.shared().timers.notify_one();
        match heard {
            Ok(heard) => respond(heard),
            Err(error) => self.refuse(call.version, error),
        }
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> ConsumerGroupHeartbeatResponse {
        let message = match error {
            // It is there, and has classic members.
            ResponseError::GroupIdNotFound => format!("Group {} is not a consumer group.", &*self.group_id),
            error => error.to_string(),
        };
        ConsumerGroupHeartbeatResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(message)))
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::new(Operation::Read, Resource::Group, &self.group_id)]
    }
}

fn read(request: &ConsumerGroupHeartbeatRequest, call: &Call<'_>) -> Beat {
    let member_id = match request.member_id.as_str() {
        "" => Uuid::new_v4().to_string(),
        given => given.to_owned(),
    };
    let topics = request.subscribed_topic_names.as_ref();
    let owned = request.topic_partitions.as_ref().map(|owned| {
        owned.iter().flat_map(|one| one.partitions.iter().map(|index| (one.topic_id, *index))).collect()
    });
    Beat {
        member_id,
        epoch: request.member_epoch,
        instance: request.instance_id.as_ref().map(|id| id.to_string()),
        rack: request.rack_id.as_ref().map(|id| id.to_string()),
        client_id: call.client_id.clone(),
        client_host: call.client_host(),
        rebalance_timeout: u64::try_from(request.rebalance_timeout_ms).ok().map(Duration::from_millis),
        topics: topics.map(|names| names.iter().map(|name| name.to_string()).collect()),
        regex: request.subscribed_topic_regex.as_ref().map(|pattern| pattern.to_string()),
        assignor: request.server_assignor.as_ref().map(|name| name.to_string()),
        owned,
    }
}

fn respond(heard: Heard) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default()
        .with_error_message(None)
        .with_member_id(Some(text(heard.member_id)))
        .with_member_epoch(heard.epoch)
        .with_heartbeat_interval_ms(HEARTBEAT_INTERVAL_MS)
        .with_assignment(heard.assignment.map(|slots| assignment(&slots)))
}

fn assignment(slots: &BTreeSet<Slot>) -> Assignment {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in slots {
        topics.entry(*topic).or_default().push(*partition);
    }
    let topics = topics.into_iter();
    let topics = topics.map(|(id, list)| TopicPartitions::default().with_topic_id(id).with_partitions(list));
    Assignment::default().with_topic_partitions(topics.collect())
}
