//! The KIP-848 machine, driven by hand: every code and every silence has a way on.

use kafka_protocol::messages::ConsumerGroupHeartbeatRequest;
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::protocol::StrBytes;

use super::super::Assignor;
use super::super::event::Told;
use super::super::{GroupOptions, GroupProtocol};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const TOPIC: Uuid = Uuid::from_u128(7);

fn parts(numbers: &[i32]) -> Vec<TopicPartition> {
    numbers.iter().map(|number| TopicPartition::new("t", *number)).collect()
}

struct Bench {
    machine: NextGen,
    now: Instant,
    rng: fastrand::Rng,
    sent: Vec<(u64, ConsumerGroupHeartbeatRequest)>,
    told: Vec<Told>,
    lookups: usize,
    changes: usize,
    name_lookups: usize,
}

impl Bench {
    fn new(protocol: GroupProtocol, instance_id: Option<&str>) -> Self {
        let options = GroupOptions {
            instance_id: instance_id.map(Into::into),
            server_assignor: Some("uniform".into()),
            ..GroupOptions::of_a_test(protocol, &[Assignor::Range])
        };
        let (now, mut rng) = (Instant::now(), fastrand::Rng::with_seed(1));
        let topics = BTreeSet::from(["t".into()]);
        let may_change = protocol == GroupProtocol::Auto;
        let machine = NextGen::new(Arc::new(options), topics, None, may_change, now, &mut rng);
        let (sent, told) = (Vec::new(), Vec::new());
        let mut bench = Self { machine, now, rng, sent, told, lookups: 0, changes: 0, name_lookups: 0 };
        bench.drain();
        bench.machine.handle_coordinator(Ok(1), now, &mut bench.rng);
        bench.drain();
        bench
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.poll(self.now, &mut self.rng) {
            match action {
                Action::FindCoordinator => self.lookups += 1,
                Action::Send { token, request, .. } => {
                    if let Request::ConsumerHeartbeat(request) = *request {
                        self.sent.push((token, request));
                    }
                }
                Action::Tell(told) => self.told.push(*told),
                Action::ChangeProtocol => self.changes += 1,
                Action::LearnNames => self.name_lookups += 1,
                Action::Disconnect | Action::LearnTopics(_) => {}
            }
        }
    }

    fn named(mut self) -> Self {
        self.machine.handle_names([(TOPIC, "t".into())].into(), false, self.now);
        self.drain();
        self
    }

    fn beat(&mut self, epoch: i32, numbers: Option<&[i32]>) {
        let assignment = numbers.map(|numbers| {
            let topic = TopicPartitions::default().with_topic_id(TOPIC).with_partitions(numbers.to_vec());
            Assignment::default().with_topic_partitions(vec![topic])
        });
        let answer = ConsumerGroupHeartbeatResponse::default()
            .with_member_epoch(epoch)
            .with_heartbeat_interval_ms(5000)
            .with_assignment(assignment);
        self.answer(answer);
    }

    fn refuse(&mut self, code: ErrorCode) {
        let message = Some(StrBytes::from_static_str("the broker's words"));
        let answer =
            ConsumerGroupHeartbeatResponse::default().with_error_code(code.0).with_error_message(message);
        self.answer(answer);
    }

    fn answer(&mut self, answer: ConsumerGroupHeartbeatResponse) {
        let (token, _) = self.sent.last().unwrap();
        let answer = Ok(Answer::ConsumerHeartbeat(answer));
        self.machine.handle_answer(*token, answer, self.now, &mut self.rng);
        self.drain();
    }

    fn last(&self) -> &ConsumerGroupHeartbeatRequest {
        &self.sent.last().unwrap().1
    }

    /// Lets seconds pass, awake.
    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now += SECOND;
            self.drain();
        }
    }

    /// Lets time pass until something is sent.
    fn wait(&mut self) {
        let sent = self.sent.len();
        for _ in 0..20 {
            self.now = self.machine.next_deadline().unwrap().max(self.now);
            self.machine.handle_polled(self.now);
            self.drain();
            if self.sent.len() > sent {
                return;
            }
        }
        panic!("nothing is sent");
    }

    fn owned_as_said(&self) -> Option<Vec<i32>> {
        let topics = self.last().topic_partitions.as_ref()?;
        Some(topics.iter().flat_map(|topic| topic.partitions.clone()).collect())
    }

    fn state(&self) -> MemberState {
        self.machine.member().state()
    }

    fn has_lost(&self, numbers: &[i32]) -> bool {
        let wanted = parts(numbers);
        self.told.iter().any(|told| matches!(told, Told::Lost { partitions } if *partitions == wanted))
    }

    fn failure(&self) -> Option<ErrorCode> {
        self.told.iter().find_map(|told| match told {
            Told::Failed(error) => error.code(),
            _ => None,
        })
    }
}

fn stable(numbers: &[i32]) -> Bench {
    let mut bench = Bench::new(GroupProtocol::Consumer, None).named();
    bench.beat(4, Some(numbers));
    bench.beat(4, None);
    bench
}

#[test]
fn joining_says_everything_and_what_came_is_confirmed_at_once() {
    let mut bench = Bench::new(GroupProtocol::Consumer, None).named();
    let first = bench.last();
    assert_eq!((first.member_epoch, first.rebalance_timeout_ms), (0, 30_000));
    assert_eq!(first.server_assignor.as_deref(), Some("uniform"));
    assert_eq!(bench.owned_as_said(), Some(vec![]));
    bench.beat(4, Some(&[0, 1]));
    assert_eq!(bench.last().member_epoch, 4);
    assert_eq!(bench.owned_as_said(), Some(vec![0, 1]));
    assert!(bench.last().subscribed_topic_names.is_none(), "what did not change stays unsaid");
    assert_eq!(bench.machine.identity().generation, 4);
}

#[test]
fn a_topic_created_anew_is_owned_under_its_new_id() {
    for (old, new) in [(7, 8), (8, 7)].map(|(old, new)| (Uuid::from_u128(old), Uuid::from_u128(new))) {
        let mut bench = Bench::new(GroupProtocol::Consumer, None);
        let answer = |epoch, id| {
            let topic = TopicPartitions::default().with_topic_id(id).with_partitions(vec![0]);
            let part = Assignment::default().with_topic_partitions(vec![topic]);
            ConsumerGroupHeartbeatResponse::default().with_member_epoch(epoch).with_assignment(Some(part))
        };
        bench.machine.handle_names([(old, "t".into())].into(), false, bench.now);
        bench.answer(answer(4, old));
        bench.beat(4, None);
        bench.wait();
        bench.machine.handle_names([(new, "t".into())].into(), false, bench.now);
        bench.answer(answer(5, new));
        let owned = bench.last().topic_partitions.as_ref().unwrap();
        assert_eq!((owned[0].topic_id, &owned[0].partitions[..]), (new, &[0][..]));
    }
}

#[test]
fn what_has_to_go_is_given_up_before_the_coordinator_hears_of_it() {
    let mut bench = stable(&[0, 1]);
    bench.wait();
    bench.beat(4, Some(&[0]));
    let number = bench.told.iter().find_map(|told| match told {
        Told::Revoke { number, partitions } if *partitions == parts(&[1]) => Some(*number),
        _ => None,
    });
    bench.wait();
    assert_eq!(bench.owned_as_said(), None, "heartbeats go on and say nothing yet");
    bench.beat(4, None);
    bench.machine.handle_revoked(number.unwrap(), bench.now, &mut bench.rng);
    bench.drain();
    assert_eq!(bench.owned_as_said(), Some(vec![0]));
}

#[test]
fn a_member_that_is_fenced_or_forgotten_loses_everything_and_joins_under_a_new_id() {
    for code in [ErrorCode::FENCED_MEMBER_EPOCH, ErrorCode::UNKNOWN_MEMBER_ID] {
        let mut bench = stable(&[0, 1]);
        let old = bench.last().member_id.clone();
        bench.wait();
        bench.refuse(code);
        assert!(bench.has_lost(&[0, 1]), "{code}");
        let goodbye = &bench.sent[bench.sent.len() - 2].1;
        assert_eq!((goodbye.member_epoch, &goodbye.member_id), (LEAVE_EPOCH, &old));
        assert_eq!(bench.last().member_epoch, 0);
        assert_ne!(bench.last().member_id, old);
        assert_eq!(bench.machine.identity().generation, -1, "nothing may be committed");
    }
}

#[test]
fn after_a_move_of_the_coordinator_everything_is_said_again_in_the_same_epoch() {
    let mut bench = stable(&[0, 1]);
    bench.wait();
    let lookups = bench.lookups;
    bench.refuse(ErrorCode::NOT_COORDINATOR);
    assert_eq!(bench.lookups, lookups + 1);
    bench.machine.handle_coordinator(Ok(2), bench.now, &mut bench.rng);
    bench.drain();
    assert_eq!(bench.last().member_epoch, 4);
    assert_eq!(bench.owned_as_said(), Some(vec![0, 1]));
    assert!(bench.last().subscribed_topic_names.is_some());
}

#[test]
fn a_frozen_coordinator_is_left_when_another_one_has_taken_over() {
    let mut bench = stable(&[0]);
    bench.wait();
    let (lookups, sent) = (bench.lookups, bench.sent.len());
    bench.pass(3);
    assert_eq!(bench.lookups, lookups + 1);
    bench.machine.handle_coordinator(Ok(2), bench.now, &mut bench.rng);
    bench.drain();
    assert_eq!(bench.sent.len(), sent + 1);
}

#[test]
fn a_static_member_waits_for_its_name_but_not_for_ever() {
    let mut bench = Bench::new(GroupProtocol::Consumer, Some("i")).named();
    let began = bench.now;
    while bench.failure().is_none() {
        assert!(bench.now < began + 90 * SECOND);
        bench.refuse(ErrorCode::UNRELEASED_INSTANCE_ID);
        if bench.failure().is_none() {
            bench.wait();
        }
    }
    assert!(bench.now >= began + 45 * SECOND, "a session has to be waited for");
}

#[test]
fn going_says_how_for_good_or_as_a_static_member() {
    for (instance_id, epoch) in [(None, LEAVE_EPOCH), (Some("i"), LEAVE_STATIC_EPOCH)] {
        let mut bench = Bench::new(GroupProtocol::Consumer, instance_id).named();
        bench.beat(4, Some(&[0]));
        bench.machine.handle_leave(bench.now);
        bench.drain();
        assert_eq!((bench.last().member_epoch, bench.state()), (epoch, MemberState::Leaving));
        bench.beat(epoch, None);
        assert_eq!(bench.state(), MemberState::Left);
    }
}

#[test]
fn a_group_or_broker_that_does_not_take_it_is_tried_the_classic_way() {
    for code in [ErrorCode::UNSUPPORTED_VERSION, ErrorCode::GROUP_ID_NOT_FOUND] {
        let mut auto = Bench::new(GroupProtocol::Auto, None);
        auto.refuse(code);
        assert_eq!((auto.changes, auto.failure()), (1, None));
        let mut asked_for = Bench::new(GroupProtocol::Consumer, None);
        asked_for.refuse(code);
        assert_eq!((asked_for.changes, asked_for.failure()), (0, Some(code)));
    }
}

#[test]
fn what_cannot_pass_is_final_in_the_brokers_words() {
    for code in [
        ErrorCode::UNSUPPORTED_ASSIGNOR,
        ErrorCode::INVALID_REGULAR_EXPRESSION,
        ErrorCode::FENCED_INSTANCE_ID,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
    ] {
        let mut bench = Bench::new(GroupProtocol::Consumer, None);
        bench.refuse(code);
        assert_eq!(bench.failure(), Some(code));
        assert!(bench.told.iter().any(|told| format!("{told:?}").contains("the broker's words")));
    }
}

#[test]
fn a_topic_without_a_name_is_asked_for_and_read_when_it_has_one() {
    let mut bench = Bench::new(GroupProtocol::Consumer, None);
    bench.beat(4, Some(&[0]));
    assert_eq!((bench.name_lookups, bench.owned_as_said()), (1, Some(vec![])));
    bench.machine.handle_names([(TOPIC, "t".into())].into(), true, bench.now);
    bench.drain();
    assert_eq!(bench.owned_as_said(), Some(vec![0]));
}

#[test]
fn a_process_that_stood_still_for_a_session_owns_nothing_when_it_goes_on() {
    let mut bench = stable(&[0, 1]);
    bench.now += 7 * SECOND;
    bench.drain();
    assert!(bench.has_lost(&[0, 1]));
    assert_eq!(bench.last().member_epoch, 0);
}

#[test]
fn what_a_join_brought_during_a_standstill_of_a_session_is_not_taken() {
    let mut bench = Bench::new(GroupProtocol::Consumer, None).named();
    let id = bench.last().member_id.clone();
    bench.now += 7 * SECOND;
    bench.beat(4, Some(&[0, 1]));
    assert!(bench.told.iter().all(|told| !matches!(told, Told::Assigned { .. })), "{:?}", bench.told);
    assert!(bench.last().member_epoch == 0 && bench.last().member_id != id);
}

#[test]
fn a_process_that_stood_still_for_a_while_says_everything_at_once_and_learns_that_it_was_fenced() {
    let mut bench = stable(&[0, 1]);
    bench.now += 4 * SECOND;
    bench.drain();
    assert!(bench.machine.member().awake_until().0 <= bench.now);
    assert_eq!(bench.owned_as_said(), Some(vec![0, 1]));
    bench.refuse(ErrorCode::FENCED_MEMBER_EPOCH);
    assert!(bench.has_lost(&[0, 1]));
}

#[test]
fn a_user_that_takes_no_records_leaves_the_group_and_comes_back() {
    let mut bench = stable(&[0]);
    for _ in 0..31 {
        bench.now += SECOND;
        bench.drain();
        if bench.state() == MemberState::Stable {
            bench.beat(4, None);
        }
    }
    assert_eq!((bench.state(), bench.last().member_epoch), (MemberState::Away, LEAVE_EPOCH));
    bench.machine.handle_polled(bench.now);
    bench.drain();
    assert_eq!(bench.last().member_epoch, 0);
}
