//! Groups: who may join, commit and go, and what everybody else is told.

use bytes::Bytes;
use kafka_dev::ResponseError as E;
use kafka_protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use super::support::{Wire, name};
use super::{GROUP, code, group_id, stage, text};

fn join_request(group: &str, member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(Bytes::from_static(b"\0\0\0\0\0\0\xff\xff\xff\xff"));
    JoinGroupRequest::default()
        .with_group_id(group_id(group))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_member_id(text(member))
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol])
}

/// Joins as the only member and takes an assignment; the member id and the generation.
fn member(wire: &mut Wire, group: &str) -> (String, i32) {
    let asked = wire.call(&join_request(group, ""), 7);
    assert_eq!(asked.error_code, code(E::MemberIdRequired));
    let joined = wire.call(&join_request(group, &asked.member_id), 7);
    assert_eq!(joined.error_code, 0);
    assert_eq!((&joined.leader, joined.protocol_name.as_deref()), (&asked.member_id, Some("range")));
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(asked.member_id.clone())
        .with_assignment(Bytes::from_static(b"mine"));
    let sync = SyncGroupRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id(joined.generation_id)
        .with_member_id(asked.member_id.clone())
        .with_assignments(vec![assignment]);
    let synced = wire.call(&sync, 4);
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"mine"[..]));
    (asked.member_id.to_string(), joined.generation_id)
}

fn commit(wire: &mut Wire, group: &str, member: (&str, i32), topic: &str, partition: i32) -> i16 {
    wire.call(&commit_request(group, member, topic, partition), 8).topics[0].partitions[0].error_code
}

fn commit_request(group: &str, member: (&str, i32), topic: &str, partition: i32) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(42)
        .with_committed_metadata(Some(StrBytes::from_static_str("note")));
    let topic = OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text(member.0))
        .with_generation_id_or_member_epoch(member.1)
        .with_topics(vec![topic])
}

/// What is committed for partition 0: code, offset, metadata.
fn committed(wire: &mut Wire, group: &str, topic: &str) -> (i16, i64, String) {
    let asked = OffsetFetchRequestTopic::default().with_name(name(topic)).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(Some(vec![asked]));
    let found = wire.call(&request, 7).topics[0].partitions[0].clone();
    (found.error_code, found.committed_offset, found.metadata.unwrap_or_default().to_string())
}

fn heartbeat(wire: &mut Wire, group: &str, member: (&str, i32)) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text(member.0))
        .with_generation_id(member.1);
    wire.call(&request, 4).error_code
}

fn leave(wire: &mut Wire, group: &str, member: &str) -> i16 {
    let identity = MemberIdentity::default().with_member_id(text(member));
    let request = LeaveGroupRequest::default().with_group_id(group_id(group)).with_members(vec![identity]);
    wire.call(&request, 5).members[0].error_code
}

#[test]
fn a_member_lives_in_its_generation_until_it_leaves() {
    let Some(mut stage) = stage() else { return };
    let group = stage.coordinated(GROUP);
    let wire = &mut stage.wire;
    let (id, generation) = member(wire, &group);
    assert_eq!(heartbeat(wire, &group, (&id, generation)), 0);
    assert_eq!(heartbeat(wire, &group, (&id, generation + 1)), code(E::IllegalGeneration));
    assert_eq!(heartbeat(wire, &group, ("nobody", generation)), code(E::UnknownMemberId));
    assert_eq!(commit(wire, &group, (&id, generation), &stage.topic, 0), 0);
    assert_eq!(commit(wire, &group, (&id, generation + 1), &stage.topic, 0), code(E::IllegalGeneration));
    assert_eq!(commit(wire, &group, ("nobody", generation), &stage.topic, 0), code(E::UnknownMemberId));
    assert_eq!(commit(wire, &group, ("", -1), &stage.topic, 0), code(E::UnknownMemberId), "it has members");
    assert_eq!(committed(wire, &group, &stage.topic), (0, 42, "note".to_owned()));
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group_id(&group)]);
    assert_eq!(wire.call(&delete, 2).results[0].error_code, code(E::NonEmptyGroup));
    let mut leave = |member: &str| leave(wire, &group, member);
    assert_eq!(
        [leave("nobody"), leave(&id), leave(&id)],
        [code(E::UnknownMemberId), 0, code(E::UnknownMemberId)]
    );
    assert_eq!(wire.call(&delete, 2).results[0].error_code, 0);
    assert_eq!(wire.call(&delete, 2).results[0].error_code, code(E::GroupIdNotFound));
    assert_eq!(committed(wire, &group, &stage.topic).1, -1);
}

#[test]
fn who_cannot_join_is_told_why() {
    let Some(mut stage) = stage() else { return };
    let group = stage.coordinated(GROUP);
    let good = join_request(&group, "");
    for (request, error) in [
        (good.clone().with_session_timeout_ms(1), E::InvalidSessionTimeout),
        (good.clone().with_session_timeout_ms(i32::MAX), E::InvalidSessionTimeout),
        (good.clone().with_group_id(group_id("")), E::InvalidGroupId),
        (good.clone().with_member_id(text("nobody")), E::UnknownMemberId),
        (good.clone().with_protocols(vec![]), E::InconsistentGroupProtocol),
    ] {
        assert_eq!(stage.wire.call(&request, 7).error_code, code(error), "{request:?}");
    }
    let (_, _) = member(&mut stage.wire, &group);
    let other = JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("other"));
    let other = good.with_protocols(vec![other]);
    assert_eq!(stage.wire.call(&other, 7).error_code, code(E::InconsistentGroupProtocol));
}

#[test]
fn a_group_without_members_takes_offsets_from_anybody() {
    let Some(mut stage) = stage() else { return };
    let group = stage.coordinated(GROUP);
    let wire = &mut stage.wire;
    assert_eq!(committed(wire, &group, &stage.topic), (0, -1, String::new()));
    assert_eq!(commit(wire, &group, ("", -1), &stage.topic, 0), 0);
    assert_eq!(committed(wire, &group, &stage.topic), (0, 42, "note".to_owned()));
    assert_eq!(commit(wire, &group, ("", -1), &stage.topic, 9), code(E::UnknownTopicOrPartition));
    let absent = format!("{group}-absent");
    assert_eq!(commit(wire, &absent, ("somebody", 3), &stage.topic, 0), code(E::IllegalGeneration));
}

#[test]
fn a_group_that_is_not_there_is_described_as_such() {
    let Some(mut stage) = stage() else { return };
    let group = stage.coordinated(GROUP);
    let describe = DescribeGroupsRequest::default().with_groups(vec![group_id(&group)]);
    let old = stage.wire.call(&describe, 5).groups[0].clone();
    assert_eq!((old.error_code, old.group_state.as_str()), (0, "Dead"));
    assert_eq!(stage.wire.call(&describe, 6).groups[0].error_code, code(E::GroupIdNotFound));
    let describe = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(&group)]);
    assert_eq!(stage.wire.call(&describe, 0).groups[0].error_code, code(E::GroupIdNotFound));
}

fn consumer(group: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text(member))
        .with_member_epoch(epoch)
}

/// The first heartbeat of a member that reads the topic.
fn joining(group: &str, member: &str, topic: &str) -> ConsumerGroupHeartbeatRequest {
    consumer(group, member, 0)
        .with_rebalance_timeout_ms(10_000)
        .with_subscribed_topic_names(Some(vec![name(topic)]))
        .with_topic_partitions(Some(vec![]))
}

#[test]
fn a_member_by_the_new_protocol_is_admitted_fenced_and_let_go() {
    let Some(mut stage) = stage() else { return };
    let group = stage.coordinated(GROUP);
    let wire = &mut stage.wire;
    let first = joining(&group, "m-1", &stage.topic);
    let unknown = first.clone().with_server_assignor(Some(text("dice")));
    assert_eq!(wire.call(&unknown, 1).error_code, code(E::UnsupportedAssignor));
    let joined = wire.call(&first, 1);
    assert_eq!((joined.error_code, joined.member_id.as_deref()), (0, Some("m-1")));
    let held: usize =
        joined.assignment.iter().flat_map(|a| &a.topic_partitions).map(|t| t.partitions.len()).sum();
    assert_eq!(held, 1, "the only member gets the only partition");
    let beat =
        |wire: &mut Wire, member: &str, epoch: i32| wire.call(&consumer(&group, member, epoch), 1).error_code;
    assert_eq!(beat(wire, "m-1", joined.member_epoch), 0);
    assert_eq!(beat(wire, "m-1", joined.member_epoch + 7), code(E::FencedMemberEpoch));
    assert_eq!(beat(wire, "m-2", 5), code(E::UnknownMemberId));
    assert_eq!(beat(wire, "m-1", -1), 0, "-1 leaves");
    assert_eq!(beat(wire, "m-1", joined.member_epoch), code(E::UnknownMemberId));
}

/// The code for the group, and that for the partition where there is one.
fn delete_offset(wire: &mut Wire, group: &str, topic: &str, partition: i32) -> (i16, Option<i16>) {
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(partition);
    let topic = OffsetDeleteRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default().with_group_id(group_id(group)).with_topics(vec![topic]);
    let answer = wire.call(&request, 0);
    (answer.error_code, answer.topics.first().map(|topic| topic.partitions[0].error_code))
}

#[test]
fn an_offset_is_deleted_unless_the_group_reads_the_topic() {
    let Some(mut stage) = stage() else { return };
    let group = stage.coordinated(GROUP);
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    assert_eq!(delete_offset(wire, &group, topic, 0), (code(E::GroupIdNotFound), None));
    assert_eq!(commit(wire, &group, ("", -1), topic, 0), 0);
    let unknown = (0, Some(code(E::UnknownTopicOrPartition)));
    assert_eq!(delete_offset(wire, &group, topic, 9), unknown);
    assert_eq!(delete_offset(wire, &group, topic, 0), (0, Some(0)));
    assert_eq!(committed(wire, &group, topic).1, -1);
    let joined = wire.call(&joining(&group, "m-1", topic), 1);
    assert_eq!(joined.error_code, 0);
    assert_eq!(delete_offset(wire, &group, topic, 0), (0, Some(code(E::GroupSubscribedToTopic))));
    assert_eq!(wire.call(&consumer(&group, "m-1", -1), 1).error_code, 0);
    assert_eq!(delete_offset(wire, &group, topic, 0), (0, Some(0)));
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let Some(mut stage) = stage() else { return };
    let (classic, newer) = (stage.coordinated(GROUP), stage.coordinated(GROUP));
    let wire = &mut stage.wire;
    let _ = member(wire, &classic);
    assert_eq!(wire.call(&joining(&newer, "m-1", &stage.topic), 1).error_code, 0);
    let listed = |wire: &mut Wire, states: &[&str], types: &[&str]| {
        let words = |words: &[&str]| words.iter().copied().map(text).collect();
        let request = ListGroupsRequest::default();
        let answer = wire.call(&request.with_states_filter(words(states)).with_types_filter(words(types)), 5);
        assert_eq!(answer.error_code, 0);
        let ours =
            answer.groups.into_iter().filter(|one| [&classic, &newer].contains(&&one.group_id.to_string()));
        let mut ours: Vec<_> = ours
            .map(|one| {
                [
                    one.group_id.to_string(),
                    one.protocol_type.to_string(),
                    one.group_state.to_string(),
                    one.group_type.to_string(),
                ]
            })
            .collect();
        ours.sort();
        ours
    };
    let row = |group: &str, kind: &str| [group, "consumer", "Stable", kind].map(str::to_owned);
    let (old, new) = (row(&classic, "classic"), row(&newer, "consumer"));
    let mut both = vec![old.clone(), new.clone()];
    both.sort();
    assert_eq!(listed(wire, &[], &[]), both);
    assert_eq!(listed(wire, &["stable"], &["CLASSIC"]), [old]);
    assert_eq!(listed(wire, &["Empty", "Stable"], &["consumer"]), [new]);
    assert!(listed(wire, &["Empty"], &[]).is_empty());
    assert!(listed(wire, &[], &["share"]).is_empty());
}

#[test]
fn a_member_by_the_new_protocol_commits_in_its_epoch_and_in_requests_that_know_epochs() {
    let Some(mut stage) = stage() else { return };
    let group = stage.coordinated(GROUP);
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    let epoch = wire.call(&joining(&group, "m-1", topic), 1).member_epoch;
    let mut commit = |member: (&str, i32), version: i16| {
        let request = commit_request(&group, member, topic, 0);
        wire.call(&request, version).topics[0].partitions[0].error_code
    };
    assert_eq!(commit(("m-1", epoch), 9), 0);
    assert_eq!(commit(("m-1", epoch), 8), code(E::UnsupportedVersion));
    assert_eq!(commit(("m-1", epoch + 1), 9), code(E::StaleMemberEpoch));
    assert_eq!(commit(("m-2", epoch), 9), code(E::UnknownMemberId));
    assert_eq!(commit(("", -1), 9), code(E::UnknownMemberId), "it has members");
}

#[test]
fn a_group_that_its_members_have_left_can_be_of_the_other_type() {
    let Some(mut stage) = stage() else { return };
    let group = stage.coordinated(GROUP);
    let (wire, topic) = (&mut stage.wire, stage.topic.as_str());
    for _ in 0..2 {
        let (id, generation) = member(wire, &group);
        assert_eq!(commit(wire, &group, (&id, generation), topic, 0), 0);
        assert_eq!(leave(wire, &group, &id), 0);
        let epoch = wire.call(&joining(&group, "m-1", topic), 1).member_epoch;
        let committed = wire.call(&commit_request(&group, ("m-1", epoch), topic, 0), 9);
        assert_eq!(committed.topics[0].partitions[0].error_code, 0);
        assert_eq!(wire.call(&consumer(&group, "m-1", -1), 1).error_code, 0);
    }
}
