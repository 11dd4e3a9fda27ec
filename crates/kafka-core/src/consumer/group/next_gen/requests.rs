//! The KIP-848 member's requests, as messages, and what is read from the description of a group.

use std::collections::BTreeMap;

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, GroupId, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::super::event::{Answer, Request};
use super::NextGen;
use crate::error::Result;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl NextGen {
    fn request(&self, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.member.options.group_id)))
            .with_member_id(text(&self.member_id))
            .with_member_epoch(epoch)
            .with_instance_id(self.member.options.instance_id.as_deref().map(text))
            .with_rack_id(None)
            .with_rebalance_timeout_ms(-1)
            .with_subscribed_topic_names(None)
            .with_subscribed_topic_regex(None)
            .with_server_assignor(None)
            .with_topic_partitions(None)
    }

    /// `everything`: who joins, or what the coordinator may have missed. What did not change stays null.
    pub(super) fn heartbeat_request(&self, everything: bool, owned: bool) -> Request {
        let options = &self.member.options;
        let mut request = self.request(self.epoch);
        if everything {
            let timeout = i32::try_from(options.max_poll_interval.as_millis()).unwrap_or(i32::MAX);
            let names = self.member.topics.iter().map(|topic| TopicName(text(topic))).collect();
            request = request
                .with_rack_id(options.rack.as_deref().map(text))
                .with_rebalance_timeout_ms(timeout)
                .with_subscribed_topic_names(Some(names))
                .with_subscribed_topic_regex(self.pattern.as_deref().map(text))
                .with_server_assignor(options.server_assignor.as_deref().map(text));
        }
        if owned {
            request = request.with_topic_partitions(Some(self.owned_by_id()));
        }
        Request::ConsumerHeartbeat(request)
    }

    pub(super) fn leave_heartbeat(&self, epoch: i32) -> Request {
        Request::ConsumerHeartbeat(self.request(epoch))
    }

    fn owned_by_id(&self) -> Vec<TopicPartitions> {
        // A topic that was created anew has several: what is owned is of the one that the coordinator speaks of.
        let (meant, others): (Vec<_>, Vec<_>) =
            self.names.iter().partition(|(id, _)| self.target.contains_key(*id));
        let ids: BTreeMap<_, _> = others.into_iter().chain(meant).map(|(id, name)| (name, id)).collect();
        let mut by_id = BTreeMap::<Uuid, Vec<i32>>::new();
        for owned in &self.member.owned {
            // A topic that is gone has no id to be named by.
            if let Some(id) = ids.get(&owned.topic) {
                by_id.entry(**id).or_default().push(owned.partition);
            }
        }
        let entry = |(id, numbers)| TopicPartitions::default().with_topic_id(id).with_partitions(numbers);
        by_id.into_iter().map(entry).collect()
    }

    pub(super) fn describe(&self) -> Request {
        let group = GroupId(text(&self.member.options.group_id));
        Request::ConsumerDescribe(ConsumerGroupDescribeRequest::default().with_group_ids(vec![group]))
    }
}

/// The ids of the group's members, where the answer is a description that succeeded.
pub(super) fn described_members(answer: &Result<Answer>) -> Option<Vec<String>> {
    let Ok(Answer::ConsumerDescribe(answer)) = answer else { return None };
    let group = answer.groups.first().filter(|group| group.error_code == 0)?;
    Some(group.members.iter().map(|member| member.member_id.to_string()).collect())
}
