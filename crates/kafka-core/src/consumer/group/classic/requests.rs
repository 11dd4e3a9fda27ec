//! The classic member's requests, as messages, and what is read from the description of a group.

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::super::assignor::{Assignor, Parts};
use super::super::event::{Answer, Request};
use super::super::protocol::{self, PROTOCOL_TYPE, Subscription};
use super::Classic;
use crate::error::Result;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn millis(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

impl Classic {
    fn group_id(&self) -> GroupId {
        GroupId(text(&self.member.options.group_id))
    }

    fn instance_id(&self) -> Option<StrBytes> {
        self.member.options.instance_id.as_deref().map(text)
    }

    pub(super) fn join_group(&self) -> Request {
        let options = &self.member.options;
        let offer = |assignor: &Assignor| {
            JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_static_str(assignor.name()))
                .with_metadata(self.subscription(*assignor).encode())
        };
        let request = JoinGroupRequest::default()
            .with_group_id(self.group_id())
            .with_session_timeout_ms(millis(options.session_timeout))
            .with_rebalance_timeout_ms(millis(options.max_poll_interval))
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id())
            .with_protocol_type(StrBytes::from_static_str(PROTOCOL_TYPE))
            .with_protocols(options.assignors.iter().map(offer).collect());
        Request::Join(request)
    }

    fn subscription(&self, assignor: Assignor) -> Subscription {
        let (remembered, generation) = &self.remembered;
        Subscription {
            topics: self.member.topics.iter().cloned().collect(),
            user_data: assignor.notes(remembered, *generation),
            owned: self.member.owned.iter().cloned().collect(),
            generation: self.generation,
            rack: self.member.options.rack.clone(),
        }
    }

    pub(super) fn sync_group(&self, parts: Parts) -> Request {
        let part = |(id, partitions): (std::sync::Arc<str>, Vec<crate::TopicPartition>)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(&id))
                .with_assignment(protocol::encode_assignment(&partitions))
        };
        let request = SyncGroupRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id())
            .with_protocol_type(Some(StrBytes::from_static_str(PROTOCOL_TYPE)))
            .with_protocol_name(self.assignor.map(|assignor| StrBytes::from_static_str(assignor.name())))
            .with_assignments(parts.into_iter().map(part).collect());
        Request::Sync(request)
    }

    pub(super) fn heartbeat_request(&self) -> Request {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id());
        Request::Heartbeat(request)
    }

    pub(super) fn leave_group(&self) -> Request {
        let leaver = MemberIdentity::default()
            .with_member_id(text(&self.member_id))
            .with_reason(Some(StrBytes::from_static_str("the consumer is closed")));
        Request::Leave(LeaveGroupRequest::default().with_group_id(self.group_id()).with_members(vec![leaver]))
    }

    pub(super) fn describe(&self) -> Request {
        Request::Describe(DescribeGroupsRequest::default().with_groups(vec![self.group_id()]))
    }
}

/// The ids of the group's members, where the answer is a description that succeeded.
pub(super) fn described_members(answer: &Result<Answer>) -> Option<Vec<String>> {
    let Ok(Answer::Describe(answer)) = answer else { return None };
    let group = answer.groups.first().filter(|group| group.error_code == 0)?;
    Some(group.members.iter().map(|member| member.member_id.to_string()).collect())
}
