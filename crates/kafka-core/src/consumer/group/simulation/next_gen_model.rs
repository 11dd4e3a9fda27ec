//! A coordinator of the KIP-848 protocol, written from the KIP: group epoch, target assignment, member epochs, and a
//! partition that is handed on only when its last owner has said that it gave it up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use kafka_protocol::messages as m;
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};

use super::super::event::{Answer, Request};
use super::world::{Model, NOT_COORDINATOR, PARTITIONS, REBALANCE, Route, SESSION, TOPIC_ID};
use crate::ErrorCode;

#[derive(Debug)]
struct Seat {
    epoch: i32,
    last_epoch: i32,
    session_until: Instant,
    /// What it may own.
    part: BTreeSet<i32>,
    /// What it has to give up, and until when.
    leaving: BTreeSet<i32>,
    leaving_until: Option<Instant>,
    target: BTreeSet<i32>,
}

#[derive(Debug, Default)]
pub(super) struct NextGenModel {
    group_epoch: i32,
    seats: BTreeMap<String, Seat>,
}

fn refusal(code: ErrorCode) -> Answer {
    Answer::ConsumerHeartbeat(m::ConsumerGroupHeartbeatResponse::default().with_error_code(code.0))
}

impl NextGenModel {
    fn bump(&mut self) {
        self.group_epoch += 1;
        let count = self.seats.len();
        if count == 0 {
            return;
        }
        let mut free: BTreeSet<_> = (0..PARTITIONS).collect();
        let (each, extra) = (PARTITIONS as usize / count, PARTITIONS as usize % count);
        for (index, seat) in self.seats.values_mut().enumerate() {
            let quota = each + usize::from(index < extra);
            seat.target = seat.target.intersection(&free).copied().take(quota).collect();
            free.retain(|number| !seat.target.contains(number));
        }
        for (index, seat) in self.seats.values_mut().enumerate() {
            let quota = each + usize::from(index < extra);
            while seat.target.len() < quota
                && let Some(number) = free.pop_first()
            {
                seat.target.insert(number);
            }
        }
    }

    fn heartbeat(&mut self, request: &m::ConsumerGroupHeartbeatRequest, now: Instant) -> Answer {
        let id = request.member_id.to_string();
        if request.member_epoch < 0 {
            if self.seats.remove(&id).is_some() {
                self.bump();
            }
            let left = m::ConsumerGroupHeartbeatResponse::default().with_member_epoch(request.member_epoch);
            return Answer::ConsumerHeartbeat(left);
        }
        let owned: Option<BTreeSet<i32>> = request
            .topic_partitions
            .as_ref()
            .map(|topics| topics.iter().flat_map(|topic| topic.partitions.iter().copied()).collect());
        let is_new = !self.seats.contains_key(&id);
        if is_new && request.member_epoch > 0 {
            return refusal(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        let seat = self.seats.entry(id.clone()).or_insert_with(|| Seat {
            epoch: 0,
            last_epoch: 0,
            session_until: now,
            part: BTreeSet::new(),
            leaving: BTreeSet::new(),
            leaving_until: None,
            target: BTreeSet::new(),
        });
        let repeats = request.member_epoch == seat.last_epoch
            && owned.as_ref().is_some_and(|owned| owned.is_subset(&seat.part));
        if request.member_epoch != seat.epoch && !(request.member_epoch < seat.epoch && repeats) {
            return refusal(ErrorCode::FENCED_MEMBER_EPOCH);
        }
        seat.session_until = now + SESSION;
        if is_new {
            self.bump();
        }
        let is_full = request.subscribed_topic_names.is_some();
        self.reconcile(&id, owned.as_ref(), is_full, now)
    }

    fn reconcile(&mut self, id: &str, owned: Option<&BTreeSet<i32>>, is_full: bool, now: Instant) -> Answer {
        let group_epoch = self.group_epoch;
        let Some(mut seat) = self.seats.remove(id) else { return refusal(ErrorCode::UNKNOWN_MEMBER_ID) };
        let before = seat.part.clone();
        if owned.is_some_and(|owned| owned.is_disjoint(&seat.leaving)) {
            (seat.leaving, seat.leaving_until) = (BTreeSet::new(), None);
        }
        if seat.leaving.is_empty() {
            seat.leaving = seat.part.difference(&seat.target).copied().collect();
            seat.part.retain(|number| seat.target.contains(number));
            if seat.leaving.is_empty() {
                (seat.last_epoch, seat.epoch) = match seat.epoch == group_epoch {
                    true => (seat.last_epoch, group_epoch),
                    false => (seat.epoch, group_epoch),
                };
                let is_held = |number: &i32| {
                    self.seats
                        .values()
                        .any(|seat| seat.part.contains(number) || seat.leaving.contains(number))
                };
                seat.part = seat.target.iter().copied().filter(|number| !is_held(number)).collect();
            } else {
                seat.leaving_until = Some(now + REBALANCE);
            }
        }
        let topic = TopicPartitions::default()
            .with_topic_id(TOPIC_ID)
            .with_partitions(seat.part.iter().copied().collect());
        let assignment = Assignment::default().with_topic_partitions(vec![topic]);
        let response = m::ConsumerGroupHeartbeatResponse::default()
            .with_member_epoch(seat.epoch)
            .with_heartbeat_interval_ms(1000)
            .with_assignment((is_full || before != seat.part).then_some(assignment));
        self.seats.insert(id.to_owned(), seat);
        Answer::ConsumerHeartbeat(response)
    }
}

impl Model for NextGenModel {
    fn handle(&mut self, route: Route, request: Request, now: Instant) -> Vec<(Route, Answer)> {
        match request {
            Request::ConsumerHeartbeat(request) => vec![(route, self.heartbeat(&request, now))],
            Request::ConsumerDescribe(_) => {
                vec![(route, Answer::ConsumerDescribe(m::ConsumerGroupDescribeResponse::default()))]
            }
            _ => Vec::new(),
        }
    }

    fn tick(&mut self, now: Instant) -> Vec<(Route, Answer)> {
        let before = self.seats.len();
        let is_late = |seat: &Seat| seat.leaving_until.is_some_and(|until| until <= now);
        self.seats.retain(|_, seat| seat.session_until > now && !is_late(seat));
        if self.seats.len() != before {
            self.bump();
        }
        Vec::new()
    }

    fn moved(&mut self, now: Instant) {
        for seat in self.seats.values_mut() {
            seat.session_until = now + SESSION;
        }
    }

    fn counts_in(&self, member_id: &str) -> bool {
        self.seats.contains_key(member_id)
    }

    fn elsewhere(&self, request: &Request) -> Option<Answer> {
        matches!(request, Request::ConsumerHeartbeat(_)).then(|| refusal(ErrorCode(NOT_COORDINATOR)))
    }

    fn is_classic(&self) -> bool {
        false
    }
}
