//! What a membership tells its user, and what it asks of its driver. Data only.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages as m;

use crate::TopicPartition;
use crate::error::Error;

/// One rebalance as one member saw it, for the line that tells the story.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebalance {
    /// The group.
    pub group: Arc<str>,
    /// `classic` or `consumer`.
    pub protocol: &'static str,
    /// The assignor in use; under KIP-848 the one asked for, where one was.
    pub assignor: Option<Arc<str>>,
    /// Generation (classic) or member epoch (KIP-848).
    pub generation: i32,
    /// This member's id.
    pub member_id: Arc<str>,
    /// Which member of how many this is, counted from 1 in the order of member ids, where the broker tells.
    pub position: Option<(usize, usize)>,
    /// Whether this member shared the partitions out (classic).
    pub is_leader: bool,
    /// What came, sorted.
    pub came: Vec<TopicPartition>,
    /// What went, sorted.
    pub went: Vec<TopicPartition>,
    /// What stayed, sorted. Under an eager assignor it stood still meanwhile.
    pub stayed: Vec<TopicPartition>,
    /// From the moment this member learnt of the rebalance until it had its part: as long as this, at least, nobody
    /// read what moved.
    pub took: Duration,
}

/// What a machine tells its user, in this order.
#[derive(Debug, Clone)]
pub(super) enum Told {
    Assigned {
        added: Vec<TopicPartition>,
    },
    /// To be answered by `handle_revoked` with the same number.
    Revoke {
        number: u64,
        partitions: Vec<TopicPartition>,
    },
    Lost {
        partitions: Vec<TopicPartition>,
    },
    Rebalanced(Rebalance),
    Trouble(Error),
    Failed(Error),
}

/// What a machine asks of its driver.
#[derive(Debug)]
pub(super) enum Action {
    /// Ask who the coordinator is, forgetting what was known.
    FindCoordinator,
    /// Send to the coordinator; the answer or failure comes back with the same token.
    Send { token: u64, request: Box<Request>, limit: Duration },
    /// Nothing under way will be answered: close the connection to the coordinator.
    Disconnect,
    /// Learn the partitions of these topics and go on following them.
    LearnTopics(Vec<Arc<str>>),
    /// Learn the names of topics that are only known by id.
    LearnNames,
    /// Tell the user.
    Tell(Box<Told>),
    /// The group does not take members of this protocol: go on with the other one.
    ChangeProtocol,
}

/// A request to the coordinator.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Request {
    Join(m::JoinGroupRequest),
    Sync(m::SyncGroupRequest),
    Heartbeat(m::HeartbeatRequest),
    Leave(m::LeaveGroupRequest),
    ConsumerHeartbeat(m::ConsumerGroupHeartbeatRequest),
    Describe(m::DescribeGroupsRequest),
    ConsumerDescribe(m::ConsumerGroupDescribeRequest),
}

/// Its answer.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Join(m::JoinGroupResponse),
    Sync(m::SyncGroupResponse),
    Heartbeat(m::HeartbeatResponse),
    Left,
    ConsumerHeartbeat(m::ConsumerGroupHeartbeatResponse),
    Describe(m::DescribeGroupsResponse),
    ConsumerDescribe(m::ConsumerGroupDescribeResponse),
}

/// Under what name and number offsets are committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) member_id: Arc<str>,
    /// Generation, or member epoch; -1 outside the group.
    pub(super) generation: i32,
    pub(super) is_next_gen: bool,
}

impl Identity {
    pub(super) fn outside(is_next_gen: bool) -> Self {
        Self { member_id: "".into(), generation: -1, is_next_gen }
    }
}
