//! A coordinator of the classic protocol, written from the protocol's description: generations, and the states of a
//! group (Empty, PreparingRebalance, CompletingRebalance, Stable).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages as m;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::protocol::StrBytes;

use super::super::event::{Answer, Request};
use super::super::protocol::decode_assignment;
use super::world::{Model, NOT_COORDINATOR, REBALANCE, Route, SESSION};
use crate::ErrorCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Empty,
    Preparing,
    Completing,
    Stable,
}

#[derive(Debug)]
struct Seat {
    session_until: Instant,
    protocols: Vec<(String, Bytes)>,
    joining: Option<Route>,
    syncing: Option<Route>,
    part: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct ClassicModel {
    generation: i32,
    phase: Phase,
    phase_until: Option<Instant>,
    seats: BTreeMap<String, Seat>,
    promised: BTreeSet<String>,
    leader: String,
    protocol: String,
    ids: u32,
}

type Answers = Vec<(Route, Answer)>;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn join_error(code: ErrorCode, id: &str) -> Answer {
    Answer::Join(m::JoinGroupResponse::default().with_error_code(code.0).with_member_id(text(id)))
}

fn sync_answer(code: ErrorCode, part: Bytes) -> Answer {
    Answer::Sync(m::SyncGroupResponse::default().with_error_code(code.0).with_assignment(part))
}

fn heartbeat_answer(code: ErrorCode) -> Answer {
    Answer::Heartbeat(m::HeartbeatResponse::default().with_error_code(code.0))
}

impl ClassicModel {
    fn join(&mut self, route: Route, request: &m::JoinGroupRequest, now: Instant) -> Answers {
        let id = request.member_id.to_string();
        if id.is_empty() {
            self.ids += 1;
            let id = format!("m{:03}", self.ids);
            self.promised.insert(id.clone());
            return vec![(route, join_error(ErrorCode::MEMBER_ID_REQUIRED, &id))];
        }
        let protocols: Vec<_> =
            request.protocols.iter().map(|p| (p.name.to_string(), p.metadata.clone())).collect();
        let is_new = self.promised.remove(&id);
        let Some(seat) = self.seats.get_mut(&id) else {
            if !is_new {
                return vec![(route, join_error(ErrorCode::UNKNOWN_MEMBER_ID, &id))];
            }
            let session_until = now + SESSION;
            let seat =
                Seat { session_until, protocols, joining: Some(route), syncing: None, part: Bytes::new() };
            self.seats.insert(id, seat);
            return self.prepare(now);
        };
        let is_same = seat.protocols == protocols;
        let keeps_generation = match self.phase {
            Phase::Completing => is_same,
            Phase::Stable => is_same && self.leader != id,
            Phase::Empty | Phase::Preparing => false,
        };
        if keeps_generation {
            return vec![(route, self.joined(&id))];
        }
        (seat.protocols, seat.joining) = (protocols, Some(route));
        self.prepare(now)
    }

    /// Starts a rebalance unless one is waiting for members already.
    fn prepare(&mut self, now: Instant) -> Answers {
        let mut answers = Vec::new();
        if self.phase != Phase::Preparing {
            for seat in self.seats.values_mut() {
                seat.session_until = now + SESSION;
                let syncing = seat.syncing.take();
                let refusal = sync_answer(ErrorCode::REBALANCE_IN_PROGRESS, Bytes::new());
                answers.extend(syncing.map(|route| (route, refusal)));
            }
            (self.phase, self.phase_until) = (Phase::Preparing, Some(now + REBALANCE));
        }
        answers.extend(self.complete_if_all_joined(now));
        answers
    }

    fn complete_if_all_joined(&mut self, now: Instant) -> Answers {
        if self.phase != Phase::Preparing || self.seats.values().any(|seat| seat.joining.is_none()) {
            return Vec::new();
        }
        self.generation += 1;
        if self.seats.is_empty() {
            (self.phase, self.phase_until) = (Phase::Empty, None);
            return Vec::new();
        }
        if !self.seats.contains_key(&self.leader) {
            self.leader = self.seats.keys().next().cloned().unwrap_or_default();
        }
        self.protocol = self.vote();
        (self.phase, self.phase_until) = (Phase::Completing, Some(now + REBALANCE));
        let mut answers = Vec::new();
        for id in self.seats.keys().cloned().collect::<Vec<_>>() {
            let answer = self.joined(&id);
            if let Some(seat) = self.seats.get_mut(&id) {
                (seat.session_until, seat.part) = (now + SESSION, Bytes::new());
                answers.extend(seat.joining.take().map(|route| (route, answer)));
            }
        }
        answers
    }

    /// Everybody votes for the first of its protocols that all have.
    fn vote(&self) -> String {
        let is_common =
            |name: &str| self.seats.values().all(|seat| seat.protocols.iter().any(|(p, _)| p == name));
        let mut votes = BTreeMap::<&str, usize>::new();
        for seat in self.seats.values() {
            if let Some((name, _)) = seat.protocols.iter().find(|(name, _)| is_common(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned()).unwrap_or_default()
    }

    fn joined(&self, id: &str) -> Answer {
        let metadata = |seat: &Seat| {
            seat.protocols.iter().find(|(name, _)| *name == self.protocol).map(|(_, m)| m.clone())
        };
        let member = |(id, seat): (&String, &Seat)| {
            JoinGroupResponseMember::default()
                .with_member_id(text(id))
                .with_metadata(metadata(seat).unwrap_or_default())
        };
        let members = if id == self.leader { self.seats.iter().map(member).collect() } else { Vec::new() };
        Answer::Join(
            m::JoinGroupResponse::default()
                .with_generation_id(self.generation)
                .with_protocol_name(Some(text(&self.protocol)))
                .with_leader(text(&self.leader))
                .with_member_id(text(id))
                .with_members(members),
        )
    }

    fn sync(&mut self, route: Route, request: &m::SyncGroupRequest, now: Instant) -> Answers {
        let (generation, phase) = (self.generation, self.phase);
        let is_leader = *self.leader == *request.member_id;
        let Some(seat) = self.seats.get_mut(&*request.member_id) else {
            return vec![(route, sync_answer(ErrorCode::UNKNOWN_MEMBER_ID, Bytes::new()))];
        };
        if request.generation_id != generation {
            return vec![(route, sync_answer(ErrorCode::ILLEGAL_GENERATION, Bytes::new()))];
        }
        seat.session_until = now + SESSION;
        match phase {
            Phase::Empty | Phase::Preparing => {
                vec![(route, sync_answer(ErrorCode::REBALANCE_IN_PROGRESS, Bytes::new()))]
            }
            Phase::Stable => vec![(route, sync_answer(ErrorCode::NONE, seat.part.clone()))],
            Phase::Completing => {
                seat.syncing = Some(route);
                if is_leader { self.share_out(request) } else { Vec::new() }
            }
        }
    }

    fn share_out(&mut self, request: &m::SyncGroupRequest) -> Answers {
        let mut given = BTreeSet::new();
        for part in &request.assignments {
            for partition in decode_assignment(part.assignment.clone()).unwrap() {
                assert!(given.insert(partition.clone()), "{partition} is given away twice in one generation");
            }
            if let Some(seat) = self.seats.get_mut(&*part.member_id) {
                seat.part = part.assignment.clone();
            }
        }
        (self.phase, self.phase_until) = (Phase::Stable, None);
        let answer =
            |seat: &mut Seat| Some((seat.syncing.take()?, sync_answer(ErrorCode::NONE, seat.part.clone())));
        self.seats.values_mut().filter_map(answer).collect()
    }

    fn heartbeat(&mut self, request: &m::HeartbeatRequest, now: Instant) -> ErrorCode {
        let Some(seat) = self.seats.get_mut(&*request.member_id) else { return ErrorCode::UNKNOWN_MEMBER_ID };
        if request.generation_id != self.generation {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        seat.session_until = now + SESSION;
        if self.phase == Phase::Preparing { ErrorCode::REBALANCE_IN_PROGRESS } else { ErrorCode::NONE }
    }

    fn remove(&mut self, ids: &[String], now: Instant) -> Answers {
        let before = self.seats.len();
        self.seats.retain(|id, _| !ids.contains(id));
        if self.seats.len() == before { Vec::new() } else { self.prepare(now) }
    }
}

impl Model for ClassicModel {
    fn handle(&mut self, route: Route, request: Request, now: Instant) -> Answers {
        match request {
            Request::Join(request) => self.join(route, &request, now),
            Request::Sync(request) => self.sync(route, &request, now),
            Request::Heartbeat(request) => {
                vec![(route, heartbeat_answer(self.heartbeat(&request, now)))]
            }
            Request::Leave(request) => {
                let ids: Vec<_> = request.members.iter().map(|member| member.member_id.to_string()).collect();
                let mut answers = self.remove(&ids, now);
                answers.push((route, Answer::Left));
                answers
            }
            Request::Describe(_) => vec![(route, Answer::Describe(m::DescribeGroupsResponse::default()))],
            Request::ConsumerHeartbeat(_) | Request::ConsumerDescribe(_) => Vec::new(),
        }
    }

    fn tick(&mut self, now: Instant) -> Answers {
        let waits = |seat: &Seat| seat.joining.is_some() || seat.syncing.is_some();
        let expired: Vec<_> = self
            .seats
            .iter()
            .filter(|(_, seat)| !waits(seat) && seat.session_until <= now)
            .map(|(id, _)| id.clone())
            .collect();
        let mut answers = self.remove(&expired, now);
        if self.phase_until.is_some_and(|until| until <= now) {
            let phase = self.phase;
            let late = |seat: &Seat| match phase {
                Phase::Preparing => seat.joining.is_none(),
                _ => seat.syncing.is_none(),
            };
            let late: Vec<_> =
                self.seats.iter().filter(|(_, seat)| late(seat)).map(|(id, _)| id.clone()).collect();
            self.phase_until = Some(now + REBALANCE);
            answers.extend(self.remove(&late, now));
            answers.extend(self.complete_if_all_joined(now));
        }
        answers
    }

    fn moved(&mut self, now: Instant) {
        self.promised.clear();
        // What was not finished was not written down: members find out by their next heartbeat.
        for seat in self.seats.values_mut() {
            (seat.joining, seat.syncing, seat.session_until) = (None, None, now + SESSION);
        }
        if !self.seats.is_empty() && self.phase != Phase::Stable {
            (self.phase, self.phase_until) = (Phase::Preparing, Some(now + REBALANCE));
        }
    }

    fn counts_in(&self, member_id: &str) -> bool {
        self.seats.contains_key(member_id)
    }

    fn elsewhere(&self, request: &Request) -> Option<Answer> {
        match request {
            Request::Join(_) => Some(join_error(ErrorCode(NOT_COORDINATOR), "")),
            Request::Sync(_) => Some(sync_answer(ErrorCode(NOT_COORDINATOR), Bytes::new())),
            Request::Heartbeat(_) => Some(heartbeat_answer(ErrorCode(NOT_COORDINATOR))),
            _ => None,
        }
    }

    fn is_classic(&self) -> bool {
        true
    }
}
