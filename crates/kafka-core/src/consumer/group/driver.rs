//! The task behind a membership: carries requests to the coordinator and time to the machine, and decides nothing.
//!
//! The member's own requests have a connection of their own, since JoinGroup waits on the broker. Offsets, descriptions
//! and good-byes take the general one, so that none of them waits behind it.

mod choice;
mod offsets;
mod send;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::classic::Classic;
use super::event::{Action, Answer, Identity, Told};
use super::machine::Machine;
use super::next_gen::NextGen;
use super::options::GroupOptions;
use super::state::MemberState;
use super::{GroupEvent, GroupProtocol, Subscribed};
use crate::TopicPartition;
use crate::cluster::{Broker, Cluster, CoordinatorKind, Metadata};
use crate::error::{Error, Result};
use crate::wire::Lane;

/// How long learning topics may keep the leader from sharing out what it knows.
const LEARN_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait before asking for a topic's name again.
const NAME_PAUSE: Duration = Duration::from_millis(200);
/// How often topics that are subscribed to but do not exist are looked for.
const MISSING_PAUSE: Duration = Duration::from_secs(3);

/// The handle of a membership. Clones share it; when the last one is dropped, the member vanishes without leaving.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cluster: Cluster,
    options: Arc<GroupOptions>,
    commands: mpsc::UnboundedSender<Command>,
    standing: watch::Receiver<Standing>,
    polls: Arc<Polls>,
}

/// When the application last asked for records.
#[derive(Debug)]
struct Polls {
    start: Instant,
    last_ms: AtomicU64,
    /// The member left because there were none.
    is_away: AtomicBool,
}

/// Under what name a member may commit, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    identity: Identity,
    owned: Arc<BTreeSet<TopicPartition>>,
}

#[derive(Debug)]
enum Command {
    Subscribe(Subscribed),
    CameBack,
    CommitRefused,
    Leave(oneshot::Sender<()>),
}

impl Membership {
    /// Joins the group in a task of its own. Must be called within a tokio runtime.
    pub(crate) fn start(
        cluster: Cluster,
        options: GroupOptions,
        subscribed: Subscribed,
    ) -> (Self, mpsc::UnboundedReceiver<GroupEvent>) {
        let (commands, orders) = mpsc::unbounded_channel();
        let (events, happened) = mpsc::unbounded_channel();
        let standing = Standing { identity: Identity::outside(false), owned: Arc::default() };
        let (stand, standing) = watch::channel(standing);
        let (start, last_ms, is_away) = (Instant::now(), AtomicU64::new(0), AtomicBool::new(false));
        let polls = Arc::new(Polls { start, last_ms, is_away });
        let options = Arc::new(options);
        let driver =
            Driver::new(cluster.clone(), Arc::clone(&options), subscribed, events, stand, Arc::clone(&polls));
        tokio::spawn(driver.run(orders));
        (Self { shared: Arc::new(Shared { cluster, options, commands, standing, polls }) }, happened)
    }

    fn order(&self, command: Command) {
        // Where the task is gone, it has said why.
        let _ = self.shared.commands.send(command);
    }

    /// Other topics from now on.
    pub(crate) fn subscribe(&self, subscribed: Subscribed) {
        self.order(Command::Subscribe(subscribed));
    }

    /// The application came for records: `max.poll.interval.ms` starts over.
    pub(crate) fn polled(&self) {
        let polls = &self.shared.polls;
        let elapsed = u64::try_from(polls.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        polls.last_ms.store(elapsed, Ordering::Relaxed);
        if polls.is_away.load(Ordering::Relaxed) {
            self.order(Command::CameBack);
        }
    }

    /// Leaves the group, in a second at most. What is to be committed has been committed before. A static member of a
    /// classic group says nothing: its place is kept for `session.timeout.ms`.
    pub(crate) async fn leave(&self) {
        let (done, left) = oneshot::channel();
        self.order(Command::Leave(done));
        let _ = left.await;
    }
}

/// What the tasks of a driver bring back.
enum Done {
    Coordinator(Result<Broker>),
    Learnt(Option<Error>),
}

struct Driver {
    cluster: Cluster,
    options: Arc<GroupOptions>,
    subscribed: Subscribed,
    machine: Option<Machine>,
    lane: Lane,
    coordinator: Option<Broker>,
    has_asked: bool,
    sends: JoinSet<(u64, Result<Answer>)>,
    lookups: JoinSet<Done>,
    revocation: Option<(u64, oneshot::Receiver<()>)>,
    leaving: Vec<oneshot::Sender<()>>,
    missing_at: Option<Instant>,
    events: mpsc::UnboundedSender<GroupEvent>,
    stand: watch::Sender<Standing>,
    polls: Arc<Polls>,
    rng: fastrand::Rng,
}

/// Topics and pattern, as the machines take them.
fn split(subscribed: &Subscribed) -> (BTreeSet<Arc<str>>, Option<String>) {
    match subscribed {
        Subscribed::Topics(topics) => (topics.iter().cloned().collect(), None),
        Subscribed::Pattern(pattern) => (BTreeSet::new(), Some(pattern.clone())),
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl Driver {
    fn new(
        cluster: Cluster,
        options: Arc<GroupOptions>,
        subscribed: Subscribed,
        events: mpsc::UnboundedSender<GroupEvent>,
        stand: watch::Sender<Standing>,
        polls: Arc<Polls>,
    ) -> Self {
        static LANES: AtomicU64 = AtomicU64::new(0);
        Self {
            cluster,
            options,
            subscribed,
            machine: None,
            lane: Lane::Group(LANES.fetch_add(1, Ordering::Relaxed)),
            coordinator: None,
            has_asked: false,
            sends: JoinSet::new(),
            lookups: JoinSet::new(),
            revocation: None,
            leaving: Vec::new(),
            missing_at: None,
            events,
            stand,
            polls,
            rng: fastrand::Rng::new(),
        }
    }

    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Command>) {
        let mut metadata = self.cluster.watch();
        self.learn_topics(split(&self.subscribed).0.into_iter().collect());
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
        let chosen = choice::choose(&cluster, &options, lane, &events);
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
                    Some(Command::Subscribe(subscribed)) => self.subscribed = subscribed,
                    Some(Command::CameBack | Command::CommitRefused) => {}
                    Some(Command::Leave(_)) | None => return None,
                },
            }
        }
    }

    fn enter(&mut self, protocol: GroupProtocol, may_change: bool) {
        let (topics, pattern) = split(&self.subscribed);
        let options = Arc::clone(&self.options);
        let mut machine = match (protocol, &pattern) {
            (GroupProtocol::Classic, Some(pattern)) => {
                return self.event(GroupEvent::Failed(Error::Config(format!(
                    "the pattern {pattern:?} is for the broker to match, which only group.protocol=consumer can"
                ))));
            }
            (GroupProtocol::Classic, None) => {
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
        let last_poll = Duration::from_millis(self.polls.last_ms.load(Ordering::Relaxed));
        let polled_at = (self.polls.start + last_poll).into_std();
        loop {
            let Some(machine) = &mut self.machine else { return false };
            machine.handle_polled(polled_at);
            let Some(action) = machine.poll(now(), &mut self.rng) else { break };
            self.act(action);
        }
        self.publish()
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
        self.polls.is_away.store(state == MemberState::Away, Ordering::Relaxed);
        !state.is_final()
    }

    async fn step(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<Command>,
        metadata: &mut watch::Receiver<Arc<Metadata>>,
    ) -> bool {
        let deadline = self.machine.as_ref().and_then(Machine::next_deadline).map(Instant::from_std);
        let deadline = deadline.into_iter().chain(self.missing_at).min();
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
                let snapshot = Arc::clone(&metadata.borrow_and_update());
                machine.handle_metadata(&snapshot, false, now());
                self.look_for_missing(&snapshot);
            }
            number = given_up(&mut self.revocation) => {
                self.revocation = None;
                machine.handle_revoked(number, now(), &mut self.rng);
            }
            () = sleep_until(deadline) => {
                if self.missing_at.take_if(|at| *at <= Instant::now()).is_some() {
                    self.cluster.request_refresh();
                }
            }
        }
        true
    }

    fn obey(&mut self, command: Command) {
        let Some(machine) = &mut self.machine else { return };
        match command {
            Command::Subscribe(subscribed) => {
                let (topics, pattern) = split(&subscribed);
                self.subscribed = subscribed;
                machine.handle_subscribe(topics, pattern, now());
                machine.handle_metadata(&self.cluster.metadata(), false, now());
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
            Done::Learnt(error) => {
                let snapshot = self.cluster.metadata();
                machine.handle_metadata(&snapshot, true, now());
                self.look_for_missing(&snapshot);
                if let Some(error) = error {
                    self.event(GroupEvent::Trouble(error));
                }
            }
        }
    }

    /// A topic that does not exist may be created later: somebody has to look.
    fn look_for_missing(&mut self, metadata: &Metadata) {
        let Subscribed::Topics(topics) = &self.subscribed else { return };
        let is_missing = |name: &Arc<str>| metadata.topic(name).is_some_and(|t| t.partitions.is_empty());
        self.missing_at = topics.iter().any(is_missing).then(|| Instant::now() + MISSING_PAUSE);
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

    fn learn_topics(&mut self, topics: Vec<Arc<str>>) {
        let cluster = self.cluster.clone();
        self.lookups.spawn(async move {
            let learnt = tokio::time::timeout(LEARN_LIMIT, cluster.topics(&topics)).await;
            Done::Learnt(learnt.ok().and_then(Result::err))
        });
    }

    fn learn_names(&mut self) {
        let cluster = self.cluster.clone();
        let is_pattern = matches!(self.subscribed, Subscribed::Pattern(_));
        self.lookups.spawn(async move {
            let learn = async {
                tokio::time::sleep(NAME_PAUSE).await;
                if is_pattern { cluster.all_topics().await } else { cluster.refresh().await }
            };
            let learnt = tokio::time::timeout(LEARN_LIMIT, learn).await;
            Done::Learnt(learnt.ok().and_then(Result::err))
        });
    }

    fn tell(&mut self, told: Told) {
        let event = match told {
            Told::Assigned { added, kept } => GroupEvent::Assigned { added, kept },
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
