//! The classic machine, driven by hand: every code and every silence has a way on.

use kafka_protocol::messages as m;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::protocol::StrBytes;

use super::super::assignor::Racks;
use super::super::event::{Rebalance, Told};
use super::super::{GroupOptions, GroupProtocol};
use super::*;
use crate::TopicPartition;
use crate::error::RequestFailure;

const SECOND: Duration = Duration::from_secs(1);

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn parts(numbers: &[i32]) -> Vec<TopicPartition> {
    numbers.iter().map(|number| TopicPartition::new("t", *number)).collect()
}

/// A machine, its clock, and what it has asked for.
struct Bench {
    machine: Classic,
    now: Instant,
    rng: fastrand::Rng,
    sent: Vec<(u64, Request)>,
    told: Vec<Told>,
    lookups: usize,
    changes: usize,
}

impl Bench {
    fn new(assignors: &[Assignor]) -> Self {
        Self::with(GroupOptions::of_a_test(GroupProtocol::Classic, assignors))
    }

    fn with(options: GroupOptions) -> Self {
        let now = Instant::now();
        let may_change = options.protocol == GroupProtocol::Auto;
        let machine = Classic::new(Arc::new(options), BTreeSet::from(["t".into()]), may_change, now);
        let rng = fastrand::Rng::with_seed(1);
        let mut bench =
            Self { machine, now, rng, sent: Vec::new(), told: Vec::new(), lookups: 0, changes: 0 };
        bench.machine.handle_topics(Topics::from([("t".into(), vec![Racks::new(); 4])]), false, now);
        bench.drain();
        bench
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.poll(self.now, &mut self.rng) {
            match action {
                Action::FindCoordinator => self.lookups += 1,
                Action::Send { token, request, .. } => self.sent.push((token, *request)),
                Action::Tell(told) => self.told.push(*told),
                Action::ChangeProtocol => self.changes += 1,
                Action::Disconnect | Action::LearnTopics(_) | Action::LearnNames => {}
            }
        }
    }

    fn found(&mut self, node: i32) {
        self.machine.handle_coordinator(Ok(node), self.now, &mut self.rng);
        self.drain();
    }

    fn answer(&mut self, answer: Answer) {
        let (token, _) = self.sent.last().unwrap();
        self.machine.handle_answer(*token, Ok(answer), self.now, &mut self.rng);
        self.drain();
    }

    fn hang_up(&mut self) {
        let failure = RequestFailure::Disconnected("test".into());
        let error = Error::Request { broker: "b".into(), api: "any", failure };
        let (token, _) = self.sent.last().unwrap();
        self.machine.handle_answer(*token, Err(error), self.now, &mut self.rng);
        self.drain();
    }

    fn refuse(&mut self, code: ErrorCode) {
        let answer = match self.last() {
            Request::Join(_) => Answer::Join(m::JoinGroupResponse::default().with_error_code(code.0)),
            Request::Sync(_) => Answer::Sync(m::SyncGroupResponse::default().with_error_code(code.0)),
            _ => Answer::Heartbeat(m::HeartbeatResponse::default().with_error_code(code.0)),
        };
        self.answer(answer);
    }

    /// Lets seconds pass, awake.
    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now += SECOND;
            self.drain();
        }
    }

    /// Lets time pass up to the next thing that is due, once.
    fn wait(&mut self) {
        self.now = self.machine.next_deadline().unwrap().max(self.now);
        self.drain();
    }

    fn last(&self) -> &Request {
        &self.sent.last().unwrap().1
    }

    /// Is let into generation `generation` as a follower.
    fn follow(&mut self, generation: i32, assignor: Assignor) {
        assert!(matches!(self.last(), Request::Join(_)), "{:?}", self.last());
        let joined = m::JoinGroupResponse::default()
            .with_generation_id(generation)
            .with_protocol_name(Some(text(assignor.name())))
            .with_leader(text("other"))
            .with_member_id(text("me"));
        self.answer(Answer::Join(joined));
    }

    /// Joins generation `generation` as a follower, and gets these partitions.
    fn join(&mut self, generation: i32, assignor: Assignor, numbers: &[i32]) {
        self.follow(generation, assignor);
        let part = protocol::encode_assignment(&parts(numbers));
        self.answer(Answer::Sync(m::SyncGroupResponse::default().with_assignment(part)));
        // The description is for the story only.
        self.answer(Answer::Describe(m::DescribeGroupsResponse::default()));
    }

    fn stable(assignor: Assignor, numbers: &[i32]) -> Self {
        let mut bench = Self::new(&[assignor]);
        bench.found(1);
        bench.join(1, assignor, numbers);
        bench.told.clear();
        bench
    }

    fn heartbeat(&mut self) {
        self.wait();
        assert!(matches!(self.last(), Request::Heartbeat(_)), "{:?}", self.last());
    }

    fn state(&self) -> MemberState {
        self.machine.member().state()
    }

    fn revocation(&self) -> Option<(u64, Vec<TopicPartition>)> {
        self.told.iter().rev().find_map(|told| match told {
            Told::Revoke { number, partitions } => Some((*number, partitions.clone())),
            _ => None,
        })
    }

    fn has_lost(&self, numbers: &[i32]) -> bool {
        let wanted = parts(numbers);
        self.told.iter().any(|told| matches!(told, Told::Lost { partitions } if *partitions == wanted))
    }

    fn failure(&self) -> Option<&Error> {
        self.told.iter().find_map(|told| match told {
            Told::Failed(error) => Some(error),
            _ => None,
        })
    }

    fn story(&self) -> Option<&Rebalance> {
        self.told.iter().rev().find_map(|told| match told {
            Told::Rebalanced(story) => Some(story),
            _ => None,
        })
    }
}

#[test]
fn a_new_member_joins_again_at_once_with_the_id_it_is_given() {
    let mut bench = Bench::new(&[Assignor::Range]);
    bench.found(1);
    let answer = m::JoinGroupResponse::default()
        .with_error_code(ErrorCode::MEMBER_ID_REQUIRED.0)
        .with_member_id(text("me"));
    bench.answer(Answer::Join(answer));
    assert!(matches!(bench.last(), Request::Join(request) if &*request.member_id == "me"));
    bench.join(3, Assignor::Range, &[0, 1]);
    assert_eq!(bench.state(), MemberState::Stable);
    assert_eq!(bench.machine.identity().generation, 3);
    assert_eq!(bench.story().unwrap().came, parts(&[0, 1]));
}

#[test]
fn a_leader_shares_out_and_knows_which_member_of_how_many_it_is() {
    let mut bench = Bench::new(&[Assignor::Range]);
    bench.found(1);
    let subscription = protocol::Subscription { topics: vec!["t".into()], ..Default::default() }.encode();
    let member = |id: &str| {
        JoinGroupResponseMember::default().with_member_id(text(id)).with_metadata(subscription.clone())
    };
    let joined = m::JoinGroupResponse::default()
        .with_generation_id(1)
        .with_protocol_name(Some(text("range")))
        .with_leader(text("me"))
        .with_member_id(text("me"))
        .with_members(vec![member("you"), member("me")]);
    bench.answer(Answer::Join(joined));
    let Request::Sync(request) = bench.last() else { panic!("{:?}", bench.last()) };
    let given = |index: usize| protocol::decode_assignment(request.assignments[index].assignment.clone());
    assert_eq!((given(0).unwrap(), given(1).unwrap()), (parts(&[0, 1]), parts(&[2, 3])));
    let part = protocol::encode_assignment(&parts(&[0, 1]));
    bench.answer(Answer::Sync(m::SyncGroupResponse::default().with_assignment(part)));
    assert_eq!(bench.story().unwrap().position, Some((1, 2)));
}

#[test]
fn a_leader_starts_over_when_a_topic_grows() {
    let mut bench = Bench::new(&[Assignor::CooperativeSticky]);
    bench.found(1);
    let subscription = protocol::Subscription { topics: vec!["t".into()], ..Default::default() }.encode();
    let me = JoinGroupResponseMember::default().with_member_id(text("me")).with_metadata(subscription);
    let joined = m::JoinGroupResponse::default()
        .with_generation_id(1)
        .with_protocol_name(Some(text("cooperative-sticky")))
        .with_leader(text("me"))
        .with_member_id(text("me"))
        .with_members(vec![me]);
    bench.answer(Answer::Join(joined));
    let part = protocol::encode_assignment(&parts(&[0, 1, 2, 3]));
    bench.answer(Answer::Sync(m::SyncGroupResponse::default().with_assignment(part)));
    bench.machine.handle_topics(Topics::from([("t".into(), vec![Racks::new(); 6])]), false, bench.now);
    bench.drain();
    assert!(matches!(bench.last(), Request::Join(_)));
    assert!(bench.revocation().is_none(), "a cooperative member goes on reading");
}

#[test]
fn an_eager_member_gives_everything_up_before_it_joins_again() {
    let mut bench = Bench::stable(Assignor::Range, &[0, 1]);
    bench.heartbeat();
    bench.refuse(ErrorCode::REBALANCE_IN_PROGRESS);
    let (number, given_up) = bench.revocation().unwrap();
    assert_eq!(given_up, parts(&[0, 1]));
    bench.heartbeat();
    bench.refuse(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.state(), MemberState::Revoking, "heartbeats go on while the user finishes");
    bench.machine.handle_revoked(number, bench.now, &mut bench.rng);
    bench.drain();
    bench.join(2, Assignor::Range, &[1]);
    let story = bench.story().unwrap();
    assert_eq!((&story.came, &story.went, &story.stayed), (&parts(&[]), &parts(&[0]), &parts(&[1])));
}

#[test]
fn a_cooperative_member_gives_up_only_what_moves_and_joins_again() {
    let mut bench = Bench::stable(Assignor::CooperativeSticky, &[0, 1]);
    bench.heartbeat();
    bench.refuse(ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(bench.revocation().is_none());
    bench.join(2, Assignor::CooperativeSticky, &[0]);
    let (number, given_up) = bench.revocation().unwrap();
    assert_eq!(given_up, parts(&[1]));
    bench.machine.handle_revoked(number, bench.now, &mut bench.rng);
    bench.drain();
    bench.join(3, Assignor::CooperativeSticky, &[0]);
    assert_eq!(bench.state(), MemberState::Stable);
}

#[test]
fn a_user_that_does_not_give_up_in_time_loses_everything() {
    let mut bench = Bench::stable(Assignor::Range, &[0, 1]);
    bench.heartbeat();
    bench.refuse(ErrorCode::REBALANCE_IN_PROGRESS);
    for _ in 0..31 {
        bench.now += SECOND;
        bench.machine.handle_polled(bench.now);
        bench.drain();
    }
    assert!(bench.has_lost(&[0, 1]));
    assert!(matches!(bench.last(), Request::Join(_)));
}

#[test]
fn whoever_is_not_known_any_more_loses_everything_and_joins_anew() {
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION] {
        let mut bench = Bench::stable(Assignor::CooperativeSticky, &[0, 1]);
        bench.heartbeat();
        bench.refuse(code);
        assert!(bench.has_lost(&[0, 1]), "{code}");
        let Request::Join(request) = bench.last() else { panic!("{code}: {:?}", bench.last()) };
        assert_eq!(request.member_id.is_empty(), code == ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(bench.machine.identity().generation, -1, "nothing may be committed");
    }
}

#[test]
fn a_coordinator_that_moved_is_looked_up_and_the_membership_goes_on() {
    for code in [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_NOT_AVAILABLE] {
        let mut bench = Bench::stable(Assignor::Range, &[0]);
        bench.heartbeat();
        let lookups = bench.lookups;
        bench.refuse(code);
        assert_eq!(bench.lookups, lookups + 1, "{code}");
        bench.found(2);
        assert!(matches!(bench.last(), Request::Heartbeat(request) if request.generation_id == 1));
        assert!(!bench.has_lost(&[0]));
    }
}

#[test]
fn a_coordinator_that_loads_is_asked_again_after_a_pause() {
    let mut bench = Bench::stable(Assignor::Range, &[0]);
    bench.heartbeat();
    let sent = bench.sent.len();
    bench.refuse(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    assert_eq!(bench.sent.len(), sent);
    bench.heartbeat();
    assert!(bench.sent.len() > sent);
}

#[test]
fn a_connection_that_breaks_costs_no_membership() {
    let mut bench = Bench::stable(Assignor::Range, &[0]);
    bench.heartbeat();
    bench.hang_up();
    bench.found(1);
    assert!(matches!(bench.last(), Request::Heartbeat(_)));
    assert_eq!(bench.state(), MemberState::Stable);
}

#[test]
fn a_broken_join_and_a_broken_sync_are_joined_again() {
    let mut bench = Bench::new(&[Assignor::Range]);
    bench.found(1);
    bench.hang_up();
    bench.found(1);
    bench.follow(1, Assignor::Range);
    assert!(matches!(bench.last(), Request::Sync(_)));
    bench.hang_up();
    bench.found(1);
    assert!(matches!(bench.last(), Request::Join(request) if &*request.member_id == "me"));
}

#[test]
fn a_sync_that_meets_the_next_rebalance_is_joined_again() {
    let mut bench = Bench::new(&[Assignor::Range]);
    bench.found(1);
    bench.follow(1, Assignor::Range);
    bench.refuse(ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(matches!(bench.last(), Request::Join(_)));
}

#[test]
fn a_frozen_coordinator_is_doubted_and_left_when_another_one_has_taken_over() {
    let mut bench = Bench::stable(Assignor::Range, &[0]);
    bench.heartbeat();
    let lookups = bench.lookups;
    bench.pass(2);
    assert_eq!(bench.lookups, lookups + 1, "silence for a third of the session is suspicious");
    let sent = bench.sent.len();
    bench.found(1);
    assert_eq!(bench.sent.len(), sent, "the same one: it may still answer");
    bench.pass(2);
    bench.found(2);
    assert!(matches!(bench.last(), Request::Heartbeat(_)) && bench.sent.len() > sent);
}

#[test]
fn a_join_that_waits_on_a_frozen_coordinator_is_sent_to_the_one_that_took_over() {
    let mut bench = Bench::new(&[Assignor::Range]);
    bench.found(1);
    let sent = bench.sent.len();
    bench.wait();
    bench.found(2);
    assert!(matches!(bench.last(), Request::Join(_)) && bench.sent.len() == sent + 1);
}

#[test]
fn a_process_that_stood_still_for_a_session_owns_nothing_when_it_goes_on() {
    let mut bench = Bench::stable(Assignor::CooperativeSticky, &[0, 1]);
    bench.now += 7 * SECOND;
    bench.drain();
    assert!(bench.has_lost(&[0, 1]));
    assert!(matches!(bench.last(), Request::Join(_)));
}

#[test]
fn what_a_join_brought_during_a_standstill_of_a_session_is_not_taken() {
    let mut bench = Bench::new(&[Assignor::Range]);
    bench.found(1);
    let asked = bench.sent.len();
    bench.now += 7 * SECOND;
    let joined = m::JoinGroupResponse::default()
        .with_generation_id(1)
        .with_protocol_name(Some(text("range")))
        .with_member_id(text("me"));
    bench.answer(Answer::Join(joined));
    assert!(matches!(bench.last(), Request::Join(_)) && bench.sent.len() == asked + 1);
}

#[test]
fn a_join_may_wait_for_longer_than_a_session() {
    let mut bench = Bench::new(&[Assignor::Range]);
    bench.found(1);
    let sent = bench.sent.len();
    let until = bench.now + 20 * SECOND;
    while bench.now < until {
        bench.wait();
        bench.found(1);
    }
    assert_eq!(bench.sent.len(), sent);
    bench.join(1, Assignor::Range, &[0]);
    assert_eq!(bench.state(), MemberState::Stable);
}

#[test]
fn a_process_that_stood_still_for_a_while_asks_at_once_and_holds_back_what_it_has_until_it_is_told() {
    for (code, is_lost) in [(ErrorCode::NONE, false), (ErrorCode::UNKNOWN_MEMBER_ID, true)] {
        let mut bench = Bench::stable(Assignor::CooperativeSticky, &[0, 1]);
        bench.heartbeat();
        let (old, _) = *bench.sent.last().unwrap();
        bench.now += 4 * SECOND;
        bench.drain();
        let is_held_back = |bench: &Bench| bench.machine.member().awake_until().0 <= bench.now;
        assert!(is_held_back(&bench));
        let (asked, _) = *bench.sent.last().unwrap();
        assert!(asked > old && matches!(bench.last(), Request::Heartbeat(_)));
        let answer = Answer::Heartbeat(m::HeartbeatResponse::default());
        bench.machine.handle_answer(old, Ok(answer), bench.now, &mut bench.rng);
        bench.drain();
        assert!(is_held_back(&bench), "that answer is from before");
        bench.refuse(code);
        assert_eq!(bench.has_lost(&[0, 1]), is_lost);
        assert!(!is_held_back(&bench));
    }
}

#[test]
fn a_user_that_takes_no_records_leaves_the_group_and_comes_back() {
    let mut bench = Bench::stable(Assignor::Range, &[0]);
    for _ in 0..31 {
        bench.now += SECOND;
        bench.drain();
        if matches!(bench.last(), Request::Heartbeat(_)) {
            bench.refuse(ErrorCode::NONE);
        }
    }
    assert!(bench.has_lost(&[0]));
    assert!(bench.sent.iter().any(|(_, request)| matches!(request, Request::Leave(_))));
    assert_eq!(bench.state(), MemberState::Away);
    bench.machine.handle_polled(bench.now);
    bench.drain();
    assert!(matches!(bench.last(), Request::Join(_)));
}

#[test]
fn leaving_says_goodbye_at_once_and_needs_no_answer() {
    let mut bench = Bench::stable(Assignor::Range, &[0]);
    bench.machine.handle_leave(bench.now);
    bench.drain();
    assert!(matches!(bench.last(), Request::Leave(request) if &*request.members[0].member_id == "me"));
    assert_eq!(bench.state(), MemberState::Leaving);
    bench.wait();
    bench.wait();
    assert_eq!(bench.state(), MemberState::Left);
}

#[test]
fn a_static_member_keeps_its_place_when_it_goes() {
    let mut options = (*Bench::new(&[Assignor::Range]).machine.member.options).clone();
    options.instance_id = Some("i".into());
    let mut bench = Bench::with(options);
    bench.found(1);
    bench.join(1, Assignor::Range, &[0]);
    bench.machine.handle_leave(bench.now);
    bench.drain();
    assert!(!bench.sent.iter().any(|(_, request)| matches!(request, Request::Leave(_))));
    assert_eq!(bench.state(), MemberState::Left);
}

#[test]
fn what_cannot_pass_is_final_and_loses_everything() {
    for code in [
        ErrorCode::FENCED_INSTANCE_ID,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_SESSION_TIMEOUT,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
    ] {
        let mut bench = Bench::new(&[Assignor::Range]);
        bench.found(1);
        bench.refuse(code);
        assert_eq!(bench.failure().and_then(Error::code), Some(code));
        assert_eq!(bench.state(), MemberState::Failed);
    }
}

#[test]
fn a_group_that_does_not_take_classic_members_is_tried_the_other_way_once() {
    let mut options = (*Bench::new(&[Assignor::Range]).machine.member.options).clone();
    options.protocol = GroupProtocol::Auto;
    let mut bench = Bench::with(options);
    bench.found(1);
    bench.refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!((bench.changes, bench.failure().is_none()), (1, true));
}

#[test]
fn an_error_without_an_explanation_is_believed_after_a_while() {
    let mut bench = Bench::new(&[Assignor::Range]);
    bench.found(1);
    for _ in 0..4 {
        bench.refuse(ErrorCode::UNKNOWN_SERVER_ERROR);
        assert!(bench.failure().is_none());
        bench.wait();
    }
    bench.refuse(ErrorCode::UNKNOWN_SERVER_ERROR);
    assert!(bench.failure().is_some());
}

#[test]
fn other_topics_mean_another_rebalance_without_what_is_not_wanted_any_more() {
    let mut bench = Bench::stable(Assignor::CooperativeSticky, &[0, 1]);
    bench.machine.handle_subscribe(BTreeSet::from(["u".into()]), bench.now);
    bench.drain();
    let (number, given_up) = bench.revocation().unwrap();
    assert_eq!(given_up, parts(&[0, 1]));
    bench.machine.handle_revoked(number, bench.now, &mut bench.rng);
    bench.drain();
    assert!(matches!(bench.last(), Request::Join(_)));
}
