//! The task that waits for everything a consumer waits for, and carries answers to the machines and from them.
//!
//! One fetch is in flight to each broker while what came before is being read. Answers are decoded here as far as
//! finding batches and checking them; opening compressed ones is left to the reader's thread.

mod fetching;
mod following;
mod group;
mod questions;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::FetchResponse;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::fetching::Source;
use self::following::Following;
use self::group::{CommitDone, Group};
use self::questions::CommittedAnswers;
use super::fetch::FetchLimits;
use super::group::{GroupOptions, Membership};
use super::lookup::{EpochAnswers, ListAnswers};
use super::options::ConsumerOptions;
use super::position::{Notice, Positions, Said, Start, Token};
use super::queue::{Event, Incarnation, Queue};
use super::subscription::Subscription;
use crate::cluster::{Cluster, Metadata};
use crate::error::Result;
use crate::wire::{Connection, Lane};
use crate::{Metrics, TopicPartition};

/// How much longer than it may wait for records a broker may stay silent before it is doubted: metadata is learnt anew
/// then, and where it names another leader the answer is not waited for; where not, another connection is tried.
const PATIENCE: Duration = Duration::from_secs(2);
/// The shortest time between two requests for fresh metadata.
const REFRESH_PAUSE: Duration = Duration::from_millis(200);

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Subscribe(Subscription),
    Seek(TopicPartition, Start),
    Pause(Vec<TopicPartition>),
    Resume(Vec<TopicPartition>),
    /// Commits what is marked.
    Commit(oneshot::Sender<Result<()>>),
    /// Ends it all.
    Close(oneshot::Sender<Result<()>>),
}

/// A task that is over.
enum Done {
    Connected { broker: i32, lane: Lane, result: Result<Arc<Connection>> },
    Fetched { broker: i32, number: u64, result: Result<FetchResponse> },
    Listed { asked: Vec<(TopicPartition, Token)>, result: Result<ListAnswers> },
    Epochs { asked: Vec<(TopicPartition, Token, i32)>, result: Result<EpochAnswers> },
    Committed { asked: Vec<(TopicPartition, Token)>, result: Result<CommittedAnswers> },
    Commit(CommitDone),
    Learnt(Result<Arc<Metadata>>),
    Looked(Result<Arc<Metadata>>),
}

pub(super) struct Driver {
    cluster: Cluster,
    options: ConsumerOptions,
    limits: FetchLimits,
    queue: Arc<Queue>,
    commands: mpsc::UnboundedReceiver<Command>,
    metadata: watch::Receiver<Arc<Metadata>>,
    positions: Positions,
    sources: HashMap<i32, Source>,
    tasks: JoinSet<Done>,
    standing: HashMap<TopicPartition, Incarnation>,
    at_end: HashSet<TopicPartition>,
    next_number: u64,
    refreshed: Option<Instant>,
    learning: bool,
    following: Option<Following>,
    group: Option<Group>,
    rng: fastrand::Rng,
}

impl Driver {
    pub(super) fn new(
        cluster: Cluster,
        options: ConsumerOptions,
        queue: Arc<Queue>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let limits = FetchLimits {
            max_wait_ms: i32::try_from(options.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: options.fetch_min_bytes,
            max_partition_bytes: options.max_partition_fetch_bytes,
            read_committed: options.read_committed,
            control_records: options.control_records,
            rack: options.rack.clone().unwrap_or_default(),
        };
        Self {
            metadata: cluster.watch(),
            positions: Positions::new(options.reset, options.retry_backoff),
            cluster,
            options,
            limits,
            queue,
            commands,
            sources: HashMap::new(),
            tasks: JoinSet::new(),
            standing: HashMap::new(),
            at_end: HashSet::new(),
            next_number: 1,
            refreshed: None,
            learning: false,
            following: None,
            group: None,
            rng: fastrand::Rng::new(),
        }
    }

    /// Reads these partitions, without a group.
    pub(super) fn assign(&mut self, partitions: Vec<(TopicPartition, Start)>) {
        let names = partitions.iter().map(|(partition, _)| partition.clone()).collect();
        self.add(partitions, names);
    }

    /// Joins a group and reads what it assigns.
    pub(super) fn join(&mut self, options: GroupOptions, subscription: Subscription) -> Membership {
        let (membership, events) = Membership::start(self.cluster.clone(), options, subscription);
        self.group = Some(Group::new(membership.clone(), events));
        membership
    }

    fn add(&mut self, partitions: Vec<(TopicPartition, Start)>, names: Vec<TopicPartition>) {
        let incarnation = self.number();
        self.cluster.want(names.iter().map(|partition| Arc::clone(&partition.topic)));
        for (partition, start) in partitions {
            self.standing.insert(partition.clone(), incarnation);
            self.positions.add(partition, start);
        }
        self.queue.push_assigned(names, incarnation);
    }

    fn metrics(&self) -> &Metrics {
        &self.cluster.options().connect.metrics
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Works until the consumer is closed, its handle is gone, or nothing more can be done.
    pub(super) async fn run(mut self) {
        let drained = Arc::clone(&self.queue.drained);
        loop {
            self.advance();
            let deadline = self.next_deadline();
            tokio::select! {
                command = self.commands.recv() => match command {
                    None => break,
                    Some(Command::Close(done)) => {
                        self.tasks.shutdown().await;
                        self.end();
                        // The handle may be gone.
                        let _ = done.send(self.leave().await);
                        break;
                    }
                    Some(command) => self.handle_command(command),
                },
                event = group::next_event(self.group.as_mut()) => match event {
                    Some(event) => self.handle_group_event(event),
                    // It said why.
                    None => break,
                },
                Some(done) = self.tasks.join_next() => {
                    // A task ends without a result only when it was aborted.
                    if let Ok(done) = done {
                        self.handle_done(done);
                    }
                }
                changed = self.metadata.changed() => if changed.is_err() { break },
                () = drained.notified() => {}
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
        }
        self.end();
    }

    fn end(&self) {
        self.queue.end();
        self.standing.keys().for_each(|partition| self.metrics().forget_lag(partition));
    }

    /// Starts whatever can be started.
    fn advance(&mut self) {
        let now = Instant::now();
        let metadata = self.metadata.borrow_and_update().clone();
        self.read_what_is_new(&metadata, now);
        let (questions, said) = self.positions.poll(&metadata, now);
        self.tell_all(said);
        self.ask(questions, now);
        self.fetch(&metadata, now);
        self.commit_what_is_due(now);
    }

    fn next_deadline(&self) -> Instant {
        /// Nothing is due; a look around now and then does no harm.
        const IDLE: Duration = Duration::from_secs(10);
        let now = Instant::now();
        let of_sources = self.sources.values().flat_map(|source| {
            let doubted = source.silent_at().map(|at| at.max(now + REFRESH_PAUSE));
            let settled = source.flight.as_ref().map(|flight| flight.started + fetching::SETTLED);
            [source.not_before, doubted, settled].into_iter().flatten()
        });
        let refresh = self.refreshed.map(|at| at + REFRESH_PAUSE);
        let commit = self.group.as_ref().and_then(Group::next_deadline);
        let look = self.following.as_ref().map(Following::next_deadline);
        let due =
            of_sources.chain(self.positions.next_deadline(now)).chain(refresh).chain(commit).chain(look);
        due.filter(|at| *at > now).min().unwrap_or(now + IDLE)
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Seek(partition, start) => {
                self.queue.purge(&HashSet::from([partition.clone()]));
                self.at_end.remove(&partition);
                self.positions.seek(&partition, start);
            }
            Command::Pause(partitions) => {
                // What waits is fetched again later: otherwise it would be handed out during the pause.
                for (partition, offset) in self.queue.purge(&partitions.iter().cloned().collect()) {
                    self.positions.seek(&partition, Start::Offset(offset));
                }
                for partition in partitions {
                    self.positions.set_paused(&partition, true);
                }
            }
            Command::Resume(partitions) => {
                for partition in partitions {
                    self.positions.set_paused(&partition, false);
                }
            }
            Command::Subscribe(subscription) => self.follow_another(subscription),
            Command::Commit(done) => self.commit_marked(done),
            Command::Close(_) => {}
        }
    }

    fn handle_done(&mut self, done: Done) {
        match done {
            Done::Connected { broker, lane, result } => self.handle_connected(broker, lane, result),
            Done::Fetched { broker, number, result } => self.handle_fetched(broker, number, result),
            Done::Listed { asked, result } => self.handle_listed(asked, result),
            Done::Epochs { asked, result } => self.handle_epochs(asked, result),
            Done::Committed { asked, result } => self.handle_committed(asked, result),
            Done::Commit(done) => self.handle_commit(done),
            Done::Looked(result) => self.looked(result),
            Done::Learnt(result) => {
                self.learning = false;
                if let Err(error) = result {
                    self.queue.push(Event::Trouble(error));
                }
            }
        }
    }

    fn tell_all(&mut self, said: impl IntoIterator<Item = Said>) {
        for said in said {
            let event = match said {
                Said::Notice(partition, notice) => {
                    if matches!(notice, Notice::Recreated) {
                        self.own_anew(&partition);
                    }
                    Event::Notice(partition, notice)
                }
                Said::Failed(error) => Event::GaveUp(error),
            };
            self.queue.push(event);
        }
    }

    /// Marks made in the old topic must not be committed for the new one of that name.
    fn own_anew(&mut self, partition: &TopicPartition) {
        let incarnation = self.number();
        self.standing.insert(partition.clone(), incarnation);
        self.queue.push_assigned(vec![partition.clone()], incarnation);
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
