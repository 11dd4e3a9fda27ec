//! The task that waits for everything a consumer waits for, and carries answers to the machines and from them.
//!
//! One fetch is in flight to each broker while what came before is being read. Answers are decoded here as far as
//! finding batches and checking them; opening compressed ones is left to the reader's thread.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::decode;
use super::fetch::{FetchLimits, Fetched, Session};
use super::lookup::{self, EpochAnswers, ListAnswers};
use super::options::ConsumerOptions;
use super::position::{Notice, Positions, Questions, Said, Start, Token, Wanted};
use super::queue::{Event, Incarnation, Queue};
use crate::backoff::Backoff;
use crate::cluster::{Cluster, Metadata};
use crate::error::{Error, Result};
use crate::wire::{Connection, Lane};
use crate::{ErrorCode, TopicPartition};

/// How much longer than it may wait for records a broker may stay silent before it is doubted: metadata is learnt anew
/// then, and where it names another leader the answer is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// The shortest time between two requests for fresh metadata.
const REFRESH_PAUSE: Duration = Duration::from_millis(200);

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Command {
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
    Connected { broker: i32, result: Result<Arc<Connection>> },
    Fetched { broker: i32, number: u64, result: Result<FetchResponse> },
    Listed { asked: Vec<(TopicPartition, Token)>, result: Result<ListAnswers> },
    Epochs { asked: Vec<(TopicPartition, Token, i32)>, result: Result<EpochAnswers> },
    Learnt(Result<Arc<Metadata>>),
}

/// One fetch on its way.
struct Flight {
    number: u64,
    started: Instant,
    partitions: HashMap<TopicPartition, i64>,
    abort: AbortHandle,
}

/// What goes on with one broker.
struct Source {
    session: Session,
    connection: Option<Arc<Connection>>,
    connecting: bool,
    flight: Option<Flight>,
    not_before: Option<Instant>,
    backoff: Backoff,
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
            rng: fastrand::Rng::new(),
        }
    }

    /// Reads these partitions, without a group.
    pub(super) fn assign(&mut self, partitions: Vec<(TopicPartition, Start)>) {
        let names = partitions.iter().map(|(partition, _)| partition.clone()).collect();
        self.add(partitions, names);
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
                        self.tasks.abort_all();
                        self.queue.end();
                        // The handle may be gone.
                        let _ = done.send(self.close().await);
                        break;
                    }
                    Some(command) => self.handle_command(command),
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
        self.queue.end();
    }

    /// Starts whatever can be started.
    fn advance(&mut self) {
        let now = Instant::now();
        let metadata = self.metadata.borrow_and_update().clone();
        let (questions, said) = self.positions.poll(&metadata, now);
        self.tell_all(said);
        self.ask(questions, now);
        self.fetch(&metadata, now);
    }

    fn ask(&mut self, questions: Questions, now: Instant) {
        for (partition, token) in questions.committed {
            // Without a group nothing is committed, and the reset policy says where to begin.
            let said = self.positions.handle_committed(&partition, token, None, now_ms());
            self.tell_all(said);
            self.queue.drained.notify_one();
        }
        if questions.needs_metadata {
            self.refresh(now);
        }
        for (broker, questions) in questions.lists {
            let asked = questions.iter().map(|(partition, token, _)| (partition.clone(), *token)).collect();
            let listings =
                questions.into_iter().map(|(partition, _, listing)| (partition, listing)).collect();
            let cluster = self.cluster.clone();
            let read_committed = self.options.read_committed;
            self.tasks.spawn(async move {
                let result = lookup::list_from(&cluster, broker, read_committed, listings).await;
                Done::Listed { asked, result }
            });
        }
        for (broker, questions) in questions.epochs {
            let current =
                |(partition, token, question): &(TopicPartition, Token, super::offsets::EpochQuestion)| {
                    (partition.clone(), *token, question.current)
                };
            let asked = questions.iter().map(current).collect();
            let questions =
                questions.into_iter().map(|(partition, _, question)| (partition, question)).collect();
            let cluster = self.cluster.clone();
            self.tasks.spawn(async move {
                let result = lookup::epochs_from(&cluster, broker, questions).await;
                Done::Epochs { asked, result }
            });
        }
    }

    /// Asks for fresh metadata: the first time at once and awaited, later by the cluster's own task.
    fn refresh(&mut self, now: Instant) {
        if self.learning || self.refreshed.is_some_and(|at| now < at + REFRESH_PAUSE) {
            return;
        }
        self.refreshed = Some(now);
        self.learning = true;
        let cluster = self.cluster.clone();
        self.tasks.spawn(async move { Done::Learnt(cluster.refresh().await) });
    }

    fn fetch(&mut self, metadata: &Metadata, now: Instant) {
        let plan = self.positions.fetchable(metadata, now);
        self.doubt_silent_brokers(&plan, now);
        let share = share_of(self.options.fetch_max_bytes, plan.len());
        for (broker, wanted) in plan {
            if self.is_full() {
                break;
            }
            self.fetch_from(broker, wanted, share, now);
        }
    }

    /// Whether as much waits to be read as is allowed to.
    fn is_full(&self) -> bool {
        let limit = usize::try_from(self.options.fetch_max_bytes).unwrap_or(usize::MAX);
        self.queue.held_bytes() >= limit
    }

    fn fetch_from(
        &mut self,
        broker: i32,
        wanted: BTreeMap<TopicPartition, Wanted>,
        share: i32,
        now: Instant,
    ) {
        let pauses = self.options.retry_backoff;
        let source = self.sources.entry(broker).or_insert_with(|| Source::new(pauses));
        if source.connecting || source.flight.is_some() || source.not_before.is_some_and(|at| now < at) {
            return;
        }
        let Some(connection) = source.connection.take().filter(|connection| !connection.is_closed()) else {
            source.session.reset();
            source.connecting = true;
            let cluster = self.cluster.clone();
            self.tasks.spawn(async move {
                Done::Connected { broker, result: cluster.broker(broker, Lane::Fetch).await }
            });
            return;
        };
        let version = connection.version::<FetchRequest>().unwrap_or(0);
        let partitions =
            wanted.iter().map(|(partition, wanted)| (partition.clone(), wanted.offset)).collect();
        let request = source.session.request(wanted, &self.limits, share, version);
        let limit = self.options.fetch_max_wait + self.options.request_timeout;
        let answer = connection.start(request, limit);
        source.connection = Some(connection);
        self.next_number += 1;
        let number = self.next_number;
        let abort = self.tasks.spawn(async move { Done::Fetched { broker, number, result: answer.await } });
        source.flight = Some(Flight { number, started: now, partitions, abort });
    }

    /// A broker that stays silent may be frozen. Where its partitions are led by another one by now, they are fetched
    /// there and its answer is not waited for.
    fn doubt_silent_brokers(&mut self, plan: &BTreeMap<i32, BTreeMap<TopicPartition, Wanted>>, now: Instant) {
        let silence = self.options.fetch_max_wait + PATIENCE;
        let mut is_doubted = false;
        for (broker, source) in &mut self.sources {
            let Some(flight) = &source.flight else { continue };
            let still_here = plan
                .get(broker)
                .is_some_and(|here| flight.partitions.keys().any(|partition| here.contains_key(partition)));
            if now >= flight.started + silence {
                is_doubted = true;
                if !still_here {
                    source.give_up();
                }
            }
        }
        if is_doubted {
            self.refresh(now);
        }
    }

    fn next_deadline(&self) -> Instant {
        /// Nothing is due; a look around now and then does no harm.
        const IDLE: Duration = Duration::from_secs(10);
        let now = Instant::now();
        let silence = self.options.fetch_max_wait + PATIENCE;
        let of_sources = self.sources.values().flat_map(|source| {
            let doubted =
                source.flight.as_ref().map(|flight| (flight.started + silence).max(now + REFRESH_PAUSE));
            [source.not_before, doubted].into_iter().flatten()
        });
        let refresh = self.refreshed.map(|at| at + REFRESH_PAUSE);
        let due = of_sources.chain(self.positions.next_deadline(now)).chain(refresh);
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
                self.queue.purge(&partitions.iter().cloned().collect());
                for partition in partitions {
                    if let Some(offset) = self.queue.handed_out(&partition) {
                        self.positions.seek(&partition, Start::Offset(offset));
                    }
                    self.positions.set_paused(&partition, true);
                }
            }
            Command::Resume(partitions) => {
                for partition in partitions {
                    self.positions.set_paused(&partition, false);
                }
            }
            Command::Commit(done) => drop(done.send(Ok(()))),
            Command::Close(_) => {}
        }
    }

    fn handle_done(&mut self, done: Done) {
        match done {
            Done::Connected { broker, result } => self.handle_connected(broker, result),
            Done::Fetched { broker, number, result } => self.handle_fetched(broker, number, result),
            Done::Listed { asked, result } => self.handle_listed(asked, result),
            Done::Epochs { asked, result } => self.handle_epochs(asked, result),
            Done::Learnt(result) => {
                self.learning = false;
                if let Err(error) = result {
                    self.queue.push(Event::Trouble(error));
                }
            }
        }
    }

    fn handle_connected(&mut self, broker: i32, result: Result<Arc<Connection>>) {
        let now = Instant::now();
        let Some(source) = self.sources.get_mut(&broker) else { return };
        source.connecting = false;
        match result {
            Ok(connection) => source.connection = Some(connection),
            Err(error) => self.source_failed(broker, error, now),
        }
    }

    fn source_failed(&mut self, broker: i32, error: Error, now: Instant) {
        if let Some(source) = self.sources.get_mut(&broker) {
            source.session.reset();
            source.not_before = Some(now + source.backoff.next_pause(&mut self.rng));
        }
        let event = if error.is_retriable() { Event::Trouble(error) } else { Event::Failed(error) };
        self.queue.push(event);
        self.refresh(now);
    }

    fn handle_fetched(&mut self, broker: i32, number: u64, result: Result<FetchResponse>) {
        let now = Instant::now();
        let Some(source) = self.sources.get_mut(&broker) else { return };
        // An answer that was given up on: the partitions may have been fetched elsewhere.
        if source.flight.as_ref().is_none_or(|flight| flight.number != number) {
            return;
        }
        source.flight = None;
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.source_failed(broker, error, now),
        };
        match source.session.handle(response, self.limits.read_committed) {
            Ok(all) => {
                source.backoff.reset();
                for fetched in all {
                    self.handle_partition(fetched, now);
                }
            }
            // Sessions are dropped by brokers as they please; a new one is opened at once.
            Err(code) if code.is_retriable() => {}
            Err(code) => {
                let error = Error::broker("Fetch", format!("broker {broker}"), code, None);
                self.source_failed(broker, error, now);
            }
        }
    }

    fn handle_partition(&mut self, fetched: Fetched, now: Instant) {
        let Fetched { partition, wanted, code, preferred_replica, answer } = fetched;
        // The position was set elsewhere meanwhile, or the partition was given up.
        if self.positions.offset(&partition) != Some(wanted.offset) {
            return;
        }
        if let Some(replica) = preferred_replica {
            self.positions.handle_replica(&partition, replica, now);
        }
        let decoded = match code {
            ErrorCode::NONE => decode::decode(&partition, wanted.offset, answer),
            code => Err(Error::broker("Fetch", partition.to_string(), code, None)),
        };
        let mut records = match decoded {
            Ok(records) => records,
            Err(error) => return self.handle_partition_error(&partition, wanted.offset, error, now),
        };
        let (next_offset, end_offset) = (records.next_offset(), records.end_offset());
        if next_offset > wanted.offset {
            self.positions.handle_fetched(&partition, wanted.offset, next_offset, records.last_epoch());
            records.hold(self.queue.hold(records.bytes()));
            self.at_end.remove(&partition);
            self.queue.push(Event::Records(records));
        }
        if next_offset >= end_offset && end_offset >= 0 && self.at_end.insert(partition.clone()) {
            self.queue.push(Event::EndOfPartition(partition, next_offset));
        }
    }

    fn handle_partition_error(
        &mut self,
        partition: &TopicPartition,
        wanted: i64,
        error: Error,
        now: Instant,
    ) {
        let times = (now, now_ms());
        let (refresh, said) =
            self.positions.handle_fetch_error(partition, wanted, error, times, &mut self.rng);
        self.tell_all(said);
        if refresh {
            self.refresh(now);
        }
    }

    fn handle_listed(&mut self, asked: Vec<(TopicPartition, Token)>, result: Result<ListAnswers>) {
        let (mut answers, failure) = split(result);
        for (partition, token) in asked {
            let said = match answers.remove(&partition) {
                Some(Ok(found)) => self.positions.handle_listed(&partition, token, found),
                answer => self.question_failed(
                    "ListOffsets",
                    &partition,
                    token,
                    answer.and_then(Result::err),
                    failure.as_ref(),
                ),
            };
            self.tell_all(said);
        }
    }

    fn handle_epochs(&mut self, asked: Vec<(TopicPartition, Token, i32)>, result: Result<EpochAnswers>) {
        let (mut answers, failure) = split(result);
        for (partition, token, current) in asked {
            let said = match answers.remove(&partition) {
                Some(Ok(end)) => self.positions.handle_epoch(&partition, token, current, end, now_ms()),
                answer => {
                    let code = answer.and_then(Result::err);
                    self.question_failed("OffsetForLeaderEpoch", &partition, token, code, failure.as_ref())
                }
            };
            self.tell_all(said);
        }
    }

    /// A question about a partition was answered with an error, or not at all.
    fn question_failed(
        &mut self,
        api: &'static str,
        partition: &TopicPartition,
        token: Token,
        code: Option<ErrorCode>,
        failure: Option<&Error>,
    ) -> Option<Said> {
        let now = Instant::now();
        let error = match (code, failure) {
            (Some(code), _) => Error::broker(api, partition.to_string(), code, None),
            (None, Some(failure)) => failure.clone(),
            // An answer without the partition: its leader does not know it.
            (None, None) => {
                Error::broker(api, partition.to_string(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None)
            }
        };
        self.refresh(now);
        self.positions.handle_trouble(partition, token, error, now, &mut self.rng)
    }

    fn tell_all(&mut self, said: impl IntoIterator<Item = Said>) {
        for said in said {
            let event = match said {
                Said::Notice(partition, notice) => {
                    if matches!(notice, Notice::Recreated | Notice::Truncated { .. }) {
                        self.queue.purge(&HashSet::from([partition.clone()]));
                    }
                    Event::Notice(partition, notice)
                }
                Said::Failed(error) => Event::Trouble(error),
            };
            self.queue.push(event);
        }
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Source {
    fn new((pause, max_pause): (Duration, Duration)) -> Self {
        Self {
            session: Session::default(),
            connection: None,
            connecting: false,
            flight: None,
            not_before: None,
            backoff: Backoff::new(pause, max_pause),
        }
    }

    /// The answer is not waited for, and the connection is not used again.
    fn give_up(&mut self) {
        if let Some(flight) = self.flight.take() {
            flight.abort.abort();
        }
        self.connection = None;
        self.session.reset();
    }
}

/// What one of several brokers may send at a time.
fn share_of(bytes: i32, brokers: usize) -> i32 {
    bytes / i32::try_from(brokers.max(1)).unwrap_or(i32::MAX).max(1)
}

type Answers<T> = HashMap<TopicPartition, Result<T, ErrorCode>>;

/// Answers by partition, and what stands for the missing ones.
fn split<T>(result: Result<Vec<(TopicPartition, Result<T, ErrorCode>)>>) -> (Answers<T>, Option<Error>) {
    match result {
        Ok(answers) => (answers.into_iter().collect(), None),
        Err(error) => (HashMap::new(), Some(error)),
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
