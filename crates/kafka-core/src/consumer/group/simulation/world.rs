//! The world that members live in: a clock, a network, users, and one coordinator.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::super::assignor::Assignor;
use super::super::event::{Action, Answer, Request, Told};
use super::super::state::MemberState;
use super::player::{Event, Player};
use crate::error::{Error, RequestFailure};
use crate::{ErrorCode, TopicPartition};

pub(super) const TOPIC: &str = "t";
pub(super) const TOPIC_ID: Uuid = Uuid::from_u128(7);
pub(super) const PARTITIONS: i32 = 7;
pub(super) const SESSION: Duration = Duration::from_secs(6);
pub(super) const REBALANCE: Duration = Duration::from_secs(10);

/// Where an answer goes: member, token.
pub(super) type Route = (usize, u64);

/// A coordinator.
pub(super) trait Model {
    /// Answers now, or keeps the route and answers later; one request may answer many.
    fn handle(&mut self, route: Route, request: Request, now: Instant) -> Vec<(Route, Answer)>;
    /// Lets time pass.
    fn tick(&mut self, now: Instant) -> Vec<(Route, Answer)>;
    /// Its broker is gone and another one has read its state: who waited waits in vain, sessions start over.
    fn moved(&mut self, now: Instant);
    /// Whether the group counts this id in.
    fn counts_in(&self, member_id: &str) -> bool;
    /// The answer of a broker that is not the coordinator.
    fn elsewhere(&self, request: &Request) -> Option<Answer>;
    /// Whether members speak the classic protocol.
    fn is_classic(&self) -> bool;
}

pub(super) struct World {
    seed: u64,
    rng: fastrand::Rng,
    now: Instant,
    start: Instant,
    order: u64,
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    events: BTreeMap<u64, Event>,
    model: Box<dyn Model>,
    node: i32,
    silent_until: Instant,
    /// What the coordinator was sent while it was frozen: it does it when it thaws, in that order.
    held: Vec<(Route, i32, Request)>,
    loss: f64,
    is_peaceful: bool,
    players: Vec<Player>,
    assignors: Vec<Vec<Assignor>>,
    log: Vec<String>,
}

pub(super) fn all_partitions() -> BTreeSet<TopicPartition> {
    (0..PARTITIONS).map(|number| TopicPartition::new(TOPIC, number)).collect()
}

fn lost_connection() -> Error {
    let failure = RequestFailure::Disconnected("simulated".into());
    Error::Request { broker: "b".into(), api: "any", failure }
}

impl World {
    pub(super) fn new(seed: u64, model: Box<dyn Model>, assignors: &[&[Assignor]]) -> Self {
        let now = Instant::now();
        let mut rng = fastrand::Rng::with_seed(seed);
        let loss = if rng.bool() { 0.0 } else { rng.f64() * 0.1 };
        let mut world = Self {
            seed,
            rng,
            now,
            start: now,
            order: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            model,
            node: 1,
            silent_until: now,
            held: Vec::new(),
            loss,
            is_peaceful: false,
            players: Vec::new(),
            assignors: assignors.iter().map(|list| list.to_vec()).collect(),
            log: Vec::new(),
        };
        for _ in 0..world.rng.usize(1..5) {
            let at = world.soon(3000);
            world.schedule(at, Event::Start);
        }
        let (tick, trouble) = (world.soon(50), world.soon(2000));
        world.schedule(tick, Event::Tick);
        world.schedule(trouble, Event::Trouble);
        world
    }

    fn soon(&mut self, max_ms: u64) -> Instant {
        self.now + Duration::from_micros(self.rng.u64(100..=max_ms * 1000))
    }

    /// A message takes a few milliseconds, now and then seconds.
    fn latency(&mut self) -> Instant {
        let slow = !self.is_peaceful && self.rng.u8(..) < 5;
        self.soon(if slow { 3000 } else { 20 })
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order)));
        self.events.insert(self.order, event);
    }

    fn note(&mut self, text: &str) {
        let at = (self.now - self.start).as_millis();
        self.log.push(format!("{at:>6} {text}"));
    }

    fn fail(&self, what: &str) -> ! {
        for line in self.log.iter().rev().take(150).rev() {
            eprintln!("{line}");
        }
        panic!("seed {}: {what}", self.seed);
    }

    // Time.

    pub(super) fn cause_trouble(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// The trouble is over; everything must be read again within `time`, and stay so.
    pub(super) fn settle(&mut self, time: Duration) {
        (self.is_peaceful, self.loss, self.silent_until) = (true, 0.0, self.now);
        if self.players.iter().all(|player| player.is_dead) {
            self.start();
        }
        self.note("peace");
        for index in 0..self.players.len() {
            self.players[index].busy_until = self.now;
            if self.players[index].frozen_until.is_some() {
                self.players[index].frozen_until = Some(self.now);
            }
            self.schedule(self.now, Event::Wake(index));
        }
        let until = self.now + time;
        while self.step(until) {}
        let read: BTreeSet<_> = self.living().flat_map(|player| player.reads.iter().cloned()).collect();
        let states: Vec<_> = self.living().map(|player| player.machine.member().state()).collect();
        if read != all_partitions() || states.iter().any(|state| *state != MemberState::Stable) {
            let reads: Vec<_> = self.living().map(|player| &player.reads).collect();
            self.fail(&format!("not everything is read: {states:?} {reads:?}"));
        }
    }

    fn living(&self) -> impl Iterator<Item = &Player> {
        self.players.iter().filter(|player| !player.is_dead)
    }

    fn step(&mut self, until: Instant) -> bool {
        match self.queue.peek() {
            Some(Reverse((at, _))) if *at <= until => {}
            _ => {
                self.now = until;
                return false;
            }
        }
        let Some(Reverse((at, order))) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        if let Some(event) = self.events.remove(&order) {
            self.happen(event);
            self.check();
        }
        true
    }

    /// No partition is read by two members that the coordinator counts in.
    fn check(&self) {
        let mut readers = BTreeMap::new();
        for (index, player) in self.players.iter().enumerate() {
            if player.is_dead || !self.model.counts_in(&player.machine.identity().member_id) {
                continue;
            }
            for partition in &player.reads {
                if let Some(other) = readers.insert(partition, index) {
                    self.fail(&format!("{partition} is read by {other} and {index}"));
                }
            }
        }
    }

    // What happens.

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start => self.start(),
            Event::Tick => {
                if self.silent_until <= self.now {
                    for (route, node, request) in std::mem::take(&mut self.held) {
                        self.arrive(route, node, request);
                    }
                }
                let answers = self.model.tick(self.now);
                self.deliver(answers);
                self.schedule(self.now + Duration::from_millis(50), Event::Tick);
            }
            Event::Trouble => self.trouble(),
            Event::Request { route, node, request } => {
                let is_frozen = self.silent_until > self.now || !self.held.is_empty();
                if is_frozen && node == self.node {
                    return self.held.push((route, node, *request));
                }
                self.arrive(route, node, *request);
            }
            Event::Wake(member)
            | Event::Topics(member)
            | Event::Answer { route: (member, _), .. }
            | Event::Coordinator { member, .. }
            | Event::GivenUp { member, .. } => self.happen_to(member, event),
        }
    }

    fn happen_to(&mut self, index: usize, event: Event) {
        let (now, is_peaceful) = (self.now, self.is_peaceful);
        let player = &mut self.players[index];
        let is_old = matches!(event, Event::Wake(_)) && player.wakes_at.is_some_and(|at| at > now);
        if player.is_dead || is_old {
            return;
        }
        if player.frozen_until.is_some_and(|until| until > now) {
            return player.waiting.push(event);
        }
        let mut waiting = std::mem::take(&mut player.waiting);
        if player.frozen_until.take().is_some() {
            self.rng.shuffle(&mut waiting);
        }
        for event in waiting.into_iter().chain([event]) {
            self.players[index].handle(event, is_peaceful, now, &mut self.rng);
            self.drain(index);
        }
        let deadline = self.players[index].machine.next_deadline();
        let deadline = deadline.map(|at| at.max(now + Duration::from_micros(100)));
        if let Some(at) = deadline.filter(|at| self.players[index].wakes_at != Some(*at)) {
            self.players[index].wakes_at = Some(at);
            self.schedule(at, Event::Wake(index));
        }
    }

    fn drain(&mut self, index: usize) {
        let now = self.now;
        for round in 0.. {
            let player = &mut self.players[index];
            let Some(action) = player.machine.poll(now, &mut self.rng) else { break };
            if round > 1000 {
                self.fail(&format!("{index} never comes to rest: {action:?}"));
            }
            self.act(index, action);
        }
    }

    fn act(&mut self, index: usize, action: Action) {
        match action {
            Action::FindCoordinator => {
                let is_wrong = !self.is_peaceful && self.rng.u8(..) < 25;
                let found = if is_wrong && self.rng.bool() {
                    Err(Error::broker("FindCoordinator", "group g", 15, None))
                } else if is_wrong {
                    Ok(self.rng.i32(1..4))
                } else {
                    Ok(self.node)
                };
                let at = self.latency();
                self.schedule(at, Event::Coordinator { member: index, found });
            }
            Action::Send { token, request, limit } => self.send((index, token), request, limit),
            Action::LearnTopics(_) | Action::LearnNames => {
                let at = self.latency();
                self.schedule(at, Event::Topics(index));
            }
            Action::Tell(told) => self.tell(index, *told),
            Action::Disconnect => {}
            Action::ChangeProtocol => self.fail("nobody offered another protocol"),
        }
    }

    fn send(&mut self, route: Route, request: Box<Request>, limit: Duration) {
        let silence = Event::Answer { route, answer: Err(lost_connection()) };
        self.schedule(self.now + limit, silence.clone());
        let node = self.players[route.0].believes;
        if self.rng.f64() < self.loss {
            let at = self.soon(3000);
            return self.schedule(at, silence);
        }
        let at = self.latency().max(self.players[route.0].sent_until);
        self.players[route.0].sent_until = at;
        self.schedule(at, Event::Request { route, node, request });
    }

    fn arrive(&mut self, route: Route, node: i32, request: Request) {
        if node != self.node {
            let answer = self.model.elsewhere(&request);
            let answers = answer.into_iter().map(|answer| (route, answer)).collect();
            return self.deliver(answers);
        }
        let answers = self.model.handle(route, request, self.now);
        self.deliver(answers);
    }

    fn deliver(&mut self, answers: Vec<(Route, Answer)>) {
        for (route, answer) in answers {
            let is_lost = self.rng.f64() < self.loss;
            let answer = if is_lost { Err(lost_connection()) } else { Ok(Box::new(answer)) };
            let at = self.latency();
            self.schedule(at, Event::Answer { route, answer });
        }
    }

    fn tell(&mut self, index: usize, told: Told) {
        match told {
            Told::Assigned { added } => {
                self.note(&format!("{index} + {added:?}"));
                for partition in added {
                    if !self.players[index].reads.insert(partition.clone()) {
                        self.fail(&format!("{index} is given {partition} twice"));
                    }
                }
            }
            Told::Revoke { number, partitions } => {
                self.note(&format!("{index} - {partitions:?}"));
                self.players[index].giving_up = Some(number);
                let is_slow = !self.is_peaceful && self.rng.u8(..) < 20;
                let at = self.soon(if is_slow { 12_000 } else { 500 });
                self.schedule(at, Event::GivenUp { member: index, number, partitions });
            }
            Told::Lost { partitions } => {
                self.note(&format!("{index} loses {partitions:?}"));
                self.players[index].giving_up = None;
                self.players[index].reads.retain(|read| !partitions.contains(read));
            }
            Told::Rebalanced(story) => self.note(&format!("{index} generation {}", story.generation)),
            Told::Trouble(error) => self.note(&format!("{index} {error}")),
            Told::Failed(error) => self.fail(&format!("{index} failed: {error}")),
        }
    }

    // Members and trouble.

    fn start(&mut self) {
        let index = self.players.len();
        let now = self.now;
        let player = if self.model.is_classic() {
            let assignors = &self.assignors[self.rng.usize(0..self.assignors.len())];
            Player::classic(assignors, now)
        } else {
            Player::next_gen(now, &mut self.rng)
        };
        self.players.push(player);
        self.note(&format!("{index} starts"));
        self.schedule(now, Event::Wake(index));
    }

    fn trouble(&mut self) {
        if self.is_peaceful {
            return;
        }
        let next = self.soon(6000);
        self.schedule(next, Event::Trouble);
        let count = self.players.len();
        match self.rng.u8(0..8) {
            0 | 1 if count < 12 => self.start(),
            2 => self.move_coordinator(),
            3 => {
                self.silent_until = self.silent_until.max(self.soon(15_000));
                self.note("the coordinator freezes");
            }
            _ if count == 0 => {}
            what => {
                let index = self.rng.usize(0..count);
                if !self.players[index].is_dead {
                    self.trouble_for(index, what);
                }
            }
        }
    }

    fn move_coordinator(&mut self) {
        self.node = self.node % 3 + 1;
        self.silent_until = self.now;
        self.model.moved(self.now);
        self.note(&format!("the coordinator moves to {}", self.node));
    }

    fn trouble_for(&mut self, index: usize, what: u8) {
        let now = self.now;
        match what {
            4 => {
                self.note(&format!("{index} dies"));
                self.players[index].is_dead = true;
            }
            5 => {
                self.note(&format!("{index} leaves"));
                self.players[index].reads.clear();
                self.players[index].machine.handle_leave(now);
                self.drain(index);
                self.players[index].is_dead = true;
            }
            6 => {
                let until = self.soon(15_000);
                self.note(&format!("{index} freezes"));
                self.players[index].frozen_until = Some(until);
                self.schedule(until, Event::Wake(index));
            }
            _ => {
                self.players[index].busy_until = self.soon(20_000);
                self.note(&format!("{index} is busy"));
            }
        }
    }
}

/// An answer that only says where the coordinator is not.
pub(super) const NOT_COORDINATOR: i16 = ErrorCode::NOT_COORDINATOR.0;
