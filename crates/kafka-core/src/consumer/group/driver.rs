//! The task behind a membership: carries requests to the coordinator and time to the machine, and decides nothing.
//!
//! The member's own requests have a connection of their own, since JoinGroup waits on the broker. Offsets, descriptions
//! and good-byes take the general one, so that none of them waits behind it.

mod choice;
mod send;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::classic::Classic;
use super::event::{Action, Answer, Told};
use super::machine::Machine;
use super::membership::{Command, Polls, Standing};
use super::next_gen::NextGen;
use super::options::GroupOptions;
use super::state::MemberState;
use super::{GroupEvent, GroupProtocol};
use crate::cluster::{Broker, Cluster, CoordinatorKind, Metadata};
use crate::consumer::subscription::Subscription;
use crate::error::Result;
use crate::wire::Lane;

/// What the tasks of a driver bring back.
enum Done {
    Coordinator(Result<Broker>),
    /// The machine asked for it.
    Learnt(Result<()>),
    /// It was time to look.
    Looked(Result<()>),
}

pub(super) struct Driver {
    cluster: Cluster,
    options: Arc<GroupOptions>,
    subscription: Subscription,
    machine: Option<Machine>,
    lane: Lane,
    coordinator: Option<Broker>,
    has_asked: bool,
    sends: JoinSet<(u64, Result<Answer>)>,
    lookups: JoinSet<Done>,
    revocation: Option<(u64, oneshot::Receiver<()>)>,
    leaving: Vec<oneshot::Sender<()>>,
    /// When topics were looked for last, and how long that took.
    looked: (Instant, Duration),
    events: mpsc::UnboundedSender<GroupEvent>,
    stand: watch::Sender<Standing>,
    polls: Arc<Polls>,
    /// As it was told last.
    awake_until: std::time::Instant,
    rng: fastrand::Rng,
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl Driver {
    pub(super) fn new(
        cluster: Cluster,
        options: Arc<GroupOptions>,
        subscription: Subscription,
        events: mpsc::UnboundedSender<GroupEvent>,
        stand: watch::Sender<Standing>,
        polls: Arc<Polls>,
    ) -> Self {
        static LANES: AtomicU64 = AtomicU64::new(0);
        Self {
            cluster,
            options,
            subscription,
            machine: None,
            lane: Lane::Group(LANES.fetch_add(1, Ordering::Relaxed)),
            coordinator: None,
            has_asked: false,
            sends: JoinSet::new(),
            lookups: JoinSet::new(),
            revocation: None,
            leaving: Vec::new(),
            looked: (Instant::now(), Duration::ZERO),
            events,
            stand,
            polls,
            awake_until: now(),
            rng: fastrand::Rng::new(),
        }
    }

    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Command>) {
        let mut metadata = self.cluster.watch();
        if let Some(protocol) = self.choose(&mut orders).await {
            self.enter(protocol, self.options.protocol == GroupProtocol::Auto);
            while self.drain() && self.step(&mut orders, &mut metadata).await {}
        }
        self.cluster.close_lane(self.lane);
    }

    /// The protocol to begin with; `None` where the user has gone meanwhile, or it cannot be known.
    async fn choose(&mut self, orders: &mut mpsc::UnboundedReceiver<Command>) -> Option<GroupProtocol> {
        let cluster = self.cluster.clone();
        let options = Arc::clone(&self.options);
        let (lane, events) = (self.lane, self.events.clone());
        let subscription = self.subscription.clone();
        let chosen = async {
            // What there is to subscribe to is known before anybody joins: a group that learns it later rebalances twice.
            let (learnt, chosen) = tokio::join!(
                topics::learn(&cluster, &subscription),
                choice::choose(&cluster, &options, lane, &events)
            );
            if let Err(error) = learnt {
                let _ = events.send(GroupEvent::Trouble(error));
            }
            chosen
        };
        tokio::pin!(chosen);
        loop {
            tokio::select! {
                chosen = &mut chosen => match chosen {
                    Ok(protocol) => return Some(protocol),
                    Err(error) => {
                        self.event(GroupEvent::Failed(error));
                        return None;
                    }
                },
                order = orders.recv() => match order {
                    Some(Command::Subscribe(subscription)) => self.subscription = subscription,
                    Some(Command::CameBack | Command::CommitRefused) => {}
                    Some(Command::Leave(_)) | None => return None,
                },
            }
        }
    }

    fn enter(&mut self, protocol: GroupProtocol, may_change: bool) {
        let options = Arc::clone(&self.options);
        let (topics, pattern) = self.subscribed_under(protocol);
        let mut machine = match protocol {
            GroupProtocol::Classic => {
                Machine::Classic(Box::new(Classic::new(options, topics, may_change, now())))
            }
            _ => {
                let machine = NextGen::new(options, topics, pattern, may_change, now(), &mut self.rng);
                Machine::NextGen(Box::new(machine))
            }
        };
        machine.handle_metadata(&self.cluster.metadata(), false, now());
        self.machine = Some(machine);
    }

    /// Does everything that is to be done now. False when nothing will follow.
    fn drain(&mut self) -> bool {
        let polled_at = self.polls.last();
        loop {
            let Some(machine) = &mut self.machine else { return false };
            machine.handle_polled(polled_at);
            let Some(action) = machine.poll(now(), &mut self.rng) else { break };
            self.act(action);
        }
        // Behind what it says of partitions that were lost in a standstill.
        self.tell_awake();
        self.publish()
    }

    fn tell_awake(&mut self) {
        let Some(machine) = &self.machine else { return };
        let (until, step) = machine.member().awake_until();
        if until < self.awake_until || until >= self.awake_until + step {
            self.awake_until = until;
            self.event(GroupEvent::Awake { until });
        }
    }

    fn publish(&mut self) -> bool {
        let Some(machine) = &self.machine else { return false };
        let (identity, owned) = (machine.identity(), &machine.member().owned);
        self.stand.send_if_modified(|standing| {
            let changed = standing.identity != identity || *standing.owned != *owned;
            if changed {
                *standing = Standing { identity, owned: Arc::new(owned.clone()) };
            }
            changed
        });
        let state = machine.member().state();
        self.polls.set_away(state == MemberState::Away);
        !state.is_final()
    }

    async fn step(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<Command>,
        metadata: &mut watch::Receiver<Arc<Metadata>>,
    ) -> bool {
        let deadline = self.machine.as_ref().and_then(Machine::next_deadline).map(Instant::from_std);
        let deadline = deadline.into_iter().chain(self.look_due()).min();
        let Some(machine) = &mut self.machine else { return false };
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => self.obey(order),
                None => return false,
            },
            Some(Ok((token, answer))) = self.sends.join_next() => {
                machine.handle_answer(token, answer, now(), &mut self.rng);
            }
            Some(Ok(done)) = self.lookups.join_next() => self.learnt(done),
            _ = metadata.changed() => {
                metadata.mark_unchanged();
                self.handle_metadata(false);
            }
            number = given_up(&mut self.revocation) => {
                self.revocation = None;
                machine.handle_revoked(number, now(), &mut self.rng);
            }
            () = sleep_until(deadline) => self.look_where_due(),
        }
        true
    }

    fn obey(&mut self, command: Command) {
        let Some(machine) = &mut self.machine else { return };
        match command {
            Command::Subscribe(subscription) => {
                self.subscription = subscription;
                self.look();
                self.handle_metadata(false);
            }
            Command::CameBack => {}
            Command::CommitRefused => machine.handle_commit_refused(now()),
            Command::Leave(done) => {
                self.leaving.push(done);
                machine.handle_leave(now());
            }
        }
    }

    fn learnt(&mut self, done: Done) {
        let Some(machine) = &mut self.machine else { return };
        match done {
            Done::Coordinator(found) => {
                let found = found.map(|broker| {
                    let id = broker.id;
                    self.coordinator = Some(broker);
                    id
                });
                machine.handle_coordinator(found, now(), &mut self.rng);
            }
            Done::Learnt(result) => self.learnt_topics(result, true),
            Done::Looked(result) => self.learnt_topics(result, false),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::FindCoordinator => self.find_coordinator(),
            Action::Send { token, request, limit } => self.send(token, *request, limit),
            Action::Disconnect => {
                self.sends.abort_all();
                self.cluster.close_lane(self.lane);
            }
            Action::LearnTopics(topics) => self.learn_topics(topics),
            Action::LearnNames => self.learn_names(),
            Action::Tell(told) => self.tell(*told),
            Action::ChangeProtocol => {
                let other = match self.machine {
                    Some(Machine::Classic(_)) => GroupProtocol::Consumer,
                    _ => GroupProtocol::Classic,
                };
                self.enter(other, false);
            }
        }
    }

    fn find_coordinator(&mut self) {
        if std::mem::replace(&mut self.has_asked, true) {
            self.cluster.forget_coordinator(CoordinatorKind::Group, &self.options.group_id);
        }
        let (cluster, group) = (self.cluster.clone(), Arc::clone(&self.options.group_id));
        self.lookups.spawn(async move {
            Done::Coordinator(cluster.coordinator(CoordinatorKind::Group, &group).await)
        });
    }

    fn tell(&mut self, told: Told) {
        let event = match told {
            Told::Assigned { added } => GroupEvent::Assigned { added },
            Told::Revoke { number, partitions } => {
                let (done, asked) = oneshot::channel();
                self.revocation = Some((number, asked));
                GroupEvent::Revoke { partitions, done }
            }
            Told::Lost { partitions } => GroupEvent::Lost { partitions },
            Told::Rebalanced(story) => GroupEvent::Rebalanced(story),
            Told::Trouble(error) => GroupEvent::Trouble(error),
            Told::Failed(error) => GroupEvent::Failed(error),
        };
        // What is lost must not be committed, and what is new may be: before anybody hears of it.
        self.publish();
        self.event(event);
    }

    fn event(&self, event: GroupEvent) {
        // Nobody listens any more where the user is gone; then the orders end as well.
        let _ = self.events.send(event);
    }
}

/// The number of the revocation that the user is done with; for ever where there is none.
async fn given_up(revocation: &mut Option<(u64, oneshot::Receiver<()>)>) -> u64 {
    match revocation {
        Some((number, done)) => {
            let number = *number;
            let _ = done.await;
            number
        }
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
