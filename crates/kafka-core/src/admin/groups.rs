//! Groups of every type: list, delete, remove members, permission to join. What a group is made of stands in
//! `group_description`.

use std::fmt;

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{DeleteGroupsRequest, HeartbeatRequest, LeaveGroupRequest, ListGroupsRequest};

use super::names::{check, group_id, some_text, text};
use super::stage::{Lookup, Stage};
use super::{Admin, Outcome};
use crate::ErrorCode;
use crate::cluster::CoordinatorKind;
use crate::error::Result;
use crate::wire::Api;

/// The type of a group: the protocol its members speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupKind {
    /// JoinGroup and SyncGroup; the members assign.
    Classic,
    /// KIP-848; the broker assigns.
    Consumer,
    /// KIP-932; records are shared one by one.
    Share,
    /// KIP-1071; Kafka Streams.
    Streams,
    /// The broker does not say (before Kafka 3.8), or it is a newer type.
    Unknown,
}

impl GroupKind {
    fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "classic" => Self::Classic,
            "consumer" => Self::Consumer,
            "share" => Self::Share,
            "streams" => Self::Streams,
            _ => Self::Unknown,
        }
    }

    /// In lower case, as Kafka names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A group as its coordinator lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// Name.
    pub id: String,
    /// Type.
    pub kind: GroupKind,
    /// State in Kafka's word (`Stable`, `Empty`, …); `None` before Kafka 2.6.
    pub state: Option<String>,
    /// What a classic group is for: `consumer`, `connect`, or nothing for one that only stores offsets.
    pub protocol_type: String,
    /// Node id of the coordinator.
    pub coordinator: i32,
}

/// What errors about a group call it.
pub(super) fn subject(group: &str) -> String {
    format!("group {group}")
}

/// How a key that is a group's name finds its coordinator.
pub(super) fn by_group() -> Lookup<String> {
    Lookup::Coordinator(CoordinatorKind::Group, String::as_str)
}

/// A request about one group, whose coordinator answers it.
pub(super) fn of_group<R: Api + Clone, V>(
    group: &str,
    request: R,
    read: impl Fn(R::Response) -> Result<V> + Send + Sync + 'static,
) -> Stage<String, V> {
    let name = group.to_owned();
    let read = move |_: &[String], answer| vec![(name.clone(), read(answer))];
    Stage::new(by_group(), move |_, _| Ok(request.clone()), read)
}

impl Admin {
    /// The groups of every broker, by broker; `brokers` as [`describe_cluster`](Self::describe_cluster) or a
    /// [`snapshot`](Self::snapshot) lists them. A broker that does not answer is a failure of its own.
    pub async fn list_groups(&self, brokers: &[i32]) -> Vec<Outcome<i32, Vec<ListedGroup>>> {
        let build = |_: &[i32], _| Ok(ListGroupsRequest::default());
        let read = |brokers: &[i32], answer: <ListGroupsRequest as Api>::Response| {
            let broker = brokers.first().copied().unwrap_or(-1);
            let checked =
                check::<ListGroupsRequest>(format!("groups of broker {broker}"), answer.error_code, None);
            let read = |group: &kafka_protocol::messages::list_groups_response::ListedGroup| ListedGroup {
                id: group.group_id.to_string(),
                kind: GroupKind::from_name(&group.group_type),
                state: Some(group.group_state.to_string()).filter(|state| !state.is_empty()),
                protocol_type: group.protocol_type.to_string(),
                coordinator: broker,
            };
            vec![(broker, checked.map(|()| answer.groups.iter().map(read).collect()))]
        };
        let stage = Stage::new(Lookup::Broker(|id| Some(*id)), build, read).at_most(1);
        self.call("listing groups").run(stage, brokers.to_vec()).await
    }

    /// Whether this user may join the group (`READ` on it), asked by the heartbeat of a member that does not exist: that
    /// changes nothing, and the broker looks at the permission first.
    ///
    /// # Errors
    /// Where no broker answered in time.
    pub async fn may_join_group(&self, group: &str) -> Result<bool> {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(group))
            .with_generation_id(0)
            .with_member_id(text("nobody"))
            .with_group_instance_id(None);
        let read = |answer: <HeartbeatRequest as Api>::Response| {
            Ok(ErrorCode(answer.error_code) != ErrorCode::GROUP_AUTHORIZATION_FAILED)
        };
        let call = self.call("asking for permissions");
        let asked = super::single(call.run(of_group(group, request, read), [group.to_owned()]).await);
        match asked {
            // Not even the coordinator may be asked for.
            Err(error) if error.code() == Some(ErrorCode::GROUP_AUTHORIZATION_FAILED) => Ok(false),
            asked => asked,
        }
    }

    /// Deletes groups with their offsets. A group with members is not deleted.
    pub async fn delete_groups(&self, groups: &[String]) -> Vec<Outcome<String>> {
        let build = |groups: &[String], _| {
            Ok(DeleteGroupsRequest::default()
                .with_groups_names(groups.iter().map(|id| group_id(id)).collect()))
        };
        let read = |_: &[String], answer: <DeleteGroupsRequest as Api>::Response| {
            let read = |group: kafka_protocol::messages::delete_groups_response::DeletableGroupResult| {
                let name = group.group_id.to_string();
                let checked = check::<DeleteGroupsRequest>(subject(&name), group.error_code, None);
                (name, checked)
            };
            answer.results.into_iter().map(read).collect()
        };
        self.call("deleting groups")
            .run(Stage::new(by_group(), build, read).changing(), groups.to_vec())
            .await
    }

    /// Makes members leave their group; `reason` shows up in the broker's log. Members are named by member id.
    ///
    /// # Errors
    /// Where the group is unknown or its coordinator did not answer in time.
    pub async fn remove_members(
        &self,
        group: &str,
        members: Vec<String>,
        reason: &str,
    ) -> Result<Vec<Outcome<String>>> {
        let identity = |member: String| {
            MemberIdentity::default()
                .with_member_id(text(&member))
                .with_group_instance_id(None)
                .with_reason(some_text(Some(reason)))
        };
        let request = LeaveGroupRequest::default()
            .with_group_id(group_id(group))
            .with_members(members.into_iter().map(identity).collect());
        let subject = subject(group);
        let read = move |answer: <LeaveGroupRequest as Api>::Response| {
            check::<LeaveGroupRequest>(subject.clone(), answer.error_code, None)?;
            let member = |member: kafka_protocol::messages::leave_group_response::MemberResponse| {
                let name = member.member_id.to_string();
                let result = check::<LeaveGroupRequest>(format!("member {name}"), member.error_code, None);
                Outcome::new(name, result)
            };
            Ok(answer.members.into_iter().map(member).collect())
        };
        let stage = of_group(group, request, read).changing();
        super::single(self.call("removing members").run(stage, [group.to_owned()]).await)
    }
}
