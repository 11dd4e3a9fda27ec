//! Carries one request of a member to its coordinator.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use kafka_protocol::messages::{JoinGroupRequest, LeaveGroupRequest};
use kafka_protocol::protocol::StrBytes;

use super::super::event::{Answer, Request};
use super::Driver;
use crate::cluster::{Broker, Cluster};
use crate::error::{ConnectFailure, Error, Result};
use crate::wire::{Connection, Lane};

impl Driver {
    /// Sends `request`; its answer comes back among `sends`.
    pub(super) fn send(&mut self, token: u64, request: Request, limit: Duration) {
        let (cluster, coordinator) = (self.cluster.clone(), self.coordinator.clone());
        let lane = if waits_for_nobody(&request) { Lane::General } else { self.lane };
        self.sends.spawn(async move { (token, carry(&cluster, coordinator, lane, request, limit).await) });
    }
}

/// Whether it may go ahead of a JoinGroup that waits on the broker.
fn waits_for_nobody(request: &Request) -> bool {
    matches!(request, Request::Leave(_) | Request::Describe(_) | Request::ConsumerDescribe(_))
}

async fn carry(
    cluster: &Cluster,
    coordinator: Option<Broker>,
    lane: Lane,
    request: Request,
    limit: Duration,
) -> Result<Answer> {
    let coordinator = coordinator.ok_or_else(|| Error::Connect {
        broker: "the group's coordinator".into(),
        failure: ConnectFailure::Resolve("it is not known".into()),
    })?;
    // Connecting counts: a coordinator that takes no connection is as silent as one that does not answer. The rest of the
    // time is the connection's to watch, so that one that leads nowhere is given up with the request.
    let until = Instant::now() + limit;
    let late = |_| Error::Timeout { what: "reaching the coordinator".into(), after: limit, last: None };
    let connection = timeout_at(until, cluster.connect(&coordinator, lane)).await.map_err(late)??;
    let limit = until.saturating_duration_since(Instant::now());
    match request {
        Request::Join(request) => {
            let request = join_for(request, &connection);
            connection.send_within(request, limit).await.map(Answer::Join)
        }
        Request::Leave(request) => {
            let request = leave_for(request, &connection);
            connection.send_within(request, limit).await.map(|_| Answer::Left)
        }
        Request::Sync(request) => connection.send_within(request, limit).await.map(Answer::Sync),
        Request::Heartbeat(request) => connection.send_within(request, limit).await.map(Answer::Heartbeat),
        Request::ConsumerHeartbeat(request) => {
            connection.send_within(request, limit).await.map(Answer::ConsumerHeartbeat)
        }
        Request::Describe(request) => connection.send_within(request, limit).await.map(Answer::Describe),
        Request::ConsumerDescribe(request) => {
            connection.send_within(request, limit).await.map(Answer::ConsumerDescribe)
        }
    }
}

/// Says why it joins, for the broker's log, where the version has room for it (KIP-800).
fn join_for(request: JoinGroupRequest, connection: &Arc<Connection>) -> JoinGroupRequest {
    let version = connection.version::<JoinGroupRequest>().unwrap_or(0);
    let reason = if request.member_id.is_empty() { "a new member" } else { "the group rebalances" };
    request.with_reason((version >= 8).then(|| StrBytes::from_static_str(reason)))
}

/// Before version 3 a request names one member outside of the list, and before version 5 there is no reason.
fn leave_for(mut request: LeaveGroupRequest, connection: &Arc<Connection>) -> LeaveGroupRequest {
    let version = connection.version::<LeaveGroupRequest>().unwrap_or(0);
    if version < 5 {
        for member in &mut request.members {
            member.reason = None;
        }
    }
    match request.members.first() {
        Some(leaver) if version < 3 => {
            let leaver = leaver.member_id.clone();
            request.with_member_id(leaver).with_members(Vec::new())
        }
        _ => request,
    }
}
