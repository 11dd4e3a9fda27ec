//! Which protocol to begin with, where the user leaves it open: the new one if the coordinator speaks it, unless that
//! would change a group that others run (docs/decisions/0011-auto-group-protocol.md).

use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::mpsc;

use super::super::member::Member;
use super::super::options::{GroupOptions, GroupProtocol};
use super::super::protocol::PROTOCOL_TYPE;
use super::super::{Assignor, GroupEvent};
use crate::Backoff;
use crate::cluster::{Cluster, CoordinatorKind};
use crate::error::Result;
use crate::wire::Lane;

/// Never answers `Auto`.
pub(super) async fn choose(
    cluster: &Cluster,
    options: &GroupOptions,
    lane: Lane,
    events: &mpsc::UnboundedSender<GroupEvent>,
) -> Result<GroupProtocol> {
    if options.protocol != GroupProtocol::Auto {
        return Ok(options.protocol);
    }
    let mut backoff = Backoff::new(options.retry_backoff.0, options.retry_backoff.1);
    loop {
        match look(cluster, options, lane).await {
            Ok(protocol) => return Ok(protocol),
            Err(error) if Member::is_final(&error) => return Err(error),
            Err(error) => {
                // Nobody listens where the user is gone.
                let _ = events.send(GroupEvent::Trouble(error));
                cluster.forget_coordinator(CoordinatorKind::Group, &options.group_id);
                tokio::time::sleep(backoff.next_pause(&mut fastrand::Rng::new())).await;
            }
        }
    }
}

async fn look(cluster: &Cluster, options: &GroupOptions, lane: Lane) -> Result<GroupProtocol> {
    let coordinator = cluster.coordinator(CoordinatorKind::Group, &options.group_id).await?;
    let connection = cluster.connect(&coordinator, lane).await?;
    if connection.version::<ConsumerGroupHeartbeatRequest>().is_none() {
        return Ok(GroupProtocol::Classic);
    }
    let group = GroupId(StrBytes::from_string(options.group_id.to_string()));
    let described = connection.send(DescribeGroupsRequest::default().with_groups(vec![group])).await?;
    Ok(if is_classic_with_members(&described) { GroupProtocol::Classic } else { GroupProtocol::Consumer })
}

/// A group of the new kind, an empty one and one that does not exist show no classic members.
fn is_classic_with_members(answer: &DescribeGroupsResponse) -> bool {
    let is_classic = |name: &str| Assignor::by_name(name).is_some() || name.is_empty();
    answer.groups.iter().any(|group| {
        group.error_code == 0
            && !group.members.is_empty()
            && (*group.protocol_type == *PROTOCOL_TYPE || !is_classic(&group.protocol_data))
    })
}
