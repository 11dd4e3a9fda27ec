//! The classic group as a table of exchanges, without a network or a clock.

use std::collections::HashMap;

use super::*;

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

struct Bench {
    group: ClassicGroup,
    now: Instant,
    token: Token,
}

impl Bench {
    fn new() -> Self {
        Self { group: ClassicGroup::new(Duration::ZERO), now: Instant::now(), token: 0 }
    }

    fn request(&mut self, member_id: &str, fresh_id: &str) -> JoinRequest {
        self.token += 1;
        JoinRequest {
            token: self.token,
            member_id: member_id.into(),
            fresh_id: fresh_id.into(),
            instance: None,
            client_id: "test".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: SESSION,
            rebalance_timeout: REBALANCE,
            protocol_type: "consumer".into(),
            protocols: vec![("range".into(), Bytes::from_static(b"topics"))],
            member_id_required: false,
            can_skip_assignment: false,
        }
    }

    fn join(&mut self, member_id: &str, fresh_id: &str) -> Token {
        let request = self.request(member_id, fresh_id);
        let token = request.token;
        self.group.join(request, self.now);
        token
    }

    fn sync(&mut self, member_id: &str, generation: i32, assignments: &[(&str, &'static [u8])]) -> Token {
        self.token += 1;
        let assignments: HashMap<String, Bytes> =
            assignments.iter().map(|(id, bytes)| ((*id).to_owned(), Bytes::from_static(bytes))).collect();
        let request = SyncRequest {
            token: self.token,
            member_id: member_id.into(),
            instance: None,
            generation,
            protocol_type: None,
            protocol: None,
            assignments,
        };
        self.group.sync(request, self.now);
        self.token
    }

    fn joined(&mut self, token: Token) -> Joined {
        self.answers()
            .into_iter()
            .find_map(|answer| match answer {
                Answer::Join(to, joined) if to == token => Some(joined),
                _ => None,
            })
            .expect("join was answered")
    }

    fn answers(&mut self) -> Vec<Answer> {
        std::iter::from_fn(|| self.group.poll()).collect()
    }

    /// A group of two in generation 2, both synced.
    fn stable_pair() -> Self {
        let mut bench = Self::new();
        bench.join("", "a");
        bench.join("", "b");
        bench.join("a", "");
        bench.sync("b", 2, &[]);
        bench.sync("a", 2, &[("a", b"0"), ("b", b"1")]);
        bench.answers();
        assert_eq!(bench.group.state(), State::Stable);
        bench
    }
}

#[test]
fn the_first_member_leads_generation_one() {
    let mut bench = Bench::new();
    let token = bench.join("", "a");
    let joined = bench.joined(token);
    assert_eq!((joined.generation, joined.leader.as_str(), joined.members.len()), (1, "a", 1));
}

#[test]
fn a_second_member_waits_until_the_first_has_joined_again() {
    let mut bench = Bench::new();
    bench.join("", "a");
    bench.answers();
    let second = bench.join("", "b");
    assert!(bench.answers().is_empty());
    let heartbeat = bench.group.heartbeat("a", None, 1, bench.now);
    assert_eq!(heartbeat, Err(ResponseError::RebalanceInProgress));
    bench.join("a", "");
    assert_eq!(bench.joined(second).generation, 2);
}

#[test]
fn followers_receive_what_the_leader_assigned() {
    let mut bench = Bench::new();
    bench.join("", "a");
    bench.join("", "b");
    bench.join("a", "");
    bench.answers();
    let follower = bench.sync("b", 2, &[]);
    assert!(bench.answers().is_empty(), "the follower waits for the leader");
    bench.sync("a", 2, &[("a", b"0"), ("b", b"1")]);
    let assignment = bench.answers().into_iter().find_map(|answer| match answer {
        Answer::Sync(token, synced) if token == follower => Some(synced.assignment),
        _ => None,
    });
    assert_eq!(assignment, Some(Bytes::from_static(b"1")));
}

#[test]
fn a_silent_member_is_thrown_out_after_its_session_and_the_rest_rebalances() {
    let mut bench = Bench::stable_pair();
    bench.now += SESSION / 2;
    bench.group.heartbeat("a", None, 2, bench.now).unwrap();
    bench.now += SESSION / 2;
    bench.group.tick(bench.now);
    assert_eq!(bench.group.members().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(bench.group.state(), State::PreparingRebalance);
}

#[test]
fn a_member_that_does_not_join_again_is_left_behind_at_the_rebalance_timeout() {
    let mut bench = Bench::stable_pair();
    let token = bench.join("", "c");
    for _ in 0..12 {
        bench.now += REBALANCE / 12;
        let _ = bench.group.heartbeat("a", None, 2, bench.now);
        let _ = bench.group.heartbeat("b", None, 2, bench.now);
        bench.group.tick(bench.now);
    }
    let joined = bench.joined(token);
    assert_eq!((joined.generation, joined.leader.as_str()), (3, "c"));
}

#[test]
fn leaving_frees_the_place_at_once() {
    let mut bench = Bench::stable_pair();
    bench.group.leave("b", None, bench.now).unwrap();
    let token = bench.join("a", "");
    assert_eq!(bench.joined(token).members.len(), 1);
}

#[test]
fn a_new_member_is_first_told_its_id_where_the_version_asks_for_it() {
    let mut bench = Bench::new();
    let request = JoinRequest { member_id_required: true, ..bench.request("", "a") };
    let token = request.token;
    bench.group.join(request, bench.now);
    let refused = bench.joined(token);
    assert_eq!((refused.error, refused.member_id.as_str()), (Some(ResponseError::MemberIdRequired), "a"));
    let token = bench.join("a", "");
    assert_eq!(bench.joined(token).generation, 1);
}

#[test]
fn an_id_that_never_joins_does_not_hold_the_group_for_ever() {
    let mut bench = Bench::new();
    let request = JoinRequest { member_id_required: true, ..bench.request("", "ghost") };
    bench.group.join(request, bench.now);
    let token = bench.join("", "a");
    bench.now += SESSION;
    bench.group.tick(bench.now);
    assert_eq!(bench.joined(token).generation, 1);
}

#[test]
fn a_static_member_that_returns_keeps_its_assignment_without_a_rebalance() {
    let mut bench = Bench::new();
    let first = JoinRequest { instance: Some("i".into()), ..bench.request("", "a") };
    bench.group.join(first, bench.now);
    bench.sync("a", 1, &[("a", b"0")]);
    bench.answers();
    let again =
        JoinRequest { instance: Some("i".into()), can_skip_assignment: true, ..bench.request("", "a2") };
    let token = again.token;
    bench.group.join(again, bench.now);
    let joined = bench.joined(token);
    assert_eq!((joined.generation, joined.skip_assignment), (1, true));
    let fenced = bench.group.heartbeat("a", Some("i"), 1, bench.now);
    assert_eq!(fenced, Err(ResponseError::FencedInstanceId));
}

#[test]
fn a_stranger_to_the_protocol_is_refused() {
    let mut bench = Bench::stable_pair();
    let request = JoinRequest { protocols: vec![("sticky".into(), Bytes::new())], ..bench.request("", "c") };
    let token = request.token;
    bench.group.join(request, bench.now);
    assert_eq!(bench.joined(token).error, Some(ResponseError::InconsistentGroupProtocol));
}

#[test]
fn commits_from_outside_stand_only_while_the_group_is_empty() {
    let mut bench = Bench::new();
    let now = bench.now;
    assert_eq!(bench.group.check_commit("", None, -1, now), Ok(()));
    let mut bench = Bench::stable_pair();
    assert_eq!(bench.group.check_commit("", None, -1, now), Err(ResponseError::UnknownMemberId));
    assert_eq!(bench.group.check_commit("a", None, 1, now), Err(ResponseError::IllegalGeneration));
    assert_eq!(bench.group.check_commit("a", None, 2, now), Ok(()));
}

#[test]
fn the_last_member_to_leave_leaves_an_empty_group() {
    let mut bench = Bench::stable_pair();
    bench.group.leave("a", None, bench.now).unwrap();
    bench.group.leave("b", None, bench.now).unwrap();
    assert_eq!(bench.group.state(), State::Empty);
    assert_eq!(bench.group.next_deadline(), None);
}
