//! The cluster handle: learns metadata and coordinators, keeps them fresh, hands out connections.
//!
//! Questions that any broker can answer go to the broker that answered last. Where it stays silent for
//! [`PATIENCE`], another one is asked as well and the first answer wins: a frozen broker must not keep the client from
//! learning that its leaders have moved.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::coordinator::{self, CoordinatorKind, Coordinators};
use super::{Broker, Metadata};
use crate::backoff::Backoff;
use crate::error::{Error, Result};
use crate::wire::{
    Address, AnyMessage, Api, ConnectOptions, Connection, InFlight, Lane, Pool, Question, answer_of,
};
use crate::{ConnectFailure, ErrorCode};

/// How long one broker may stay silent before another one is asked the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a client finds and follows its cluster.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// `bootstrap.servers`: asked in order until one answers, and again when all known brokers are gone (KIP-899).
    pub bootstrap: Vec<Address>,
    /// How connections are made.
    pub connect: ConnectOptions,
    /// `metadata.max.age.ms`: metadata is learnt anew at least this often.
    pub metadata_max_age: Duration,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`: pauses between tries of the same question.
    pub retry_backoff: (Duration, Duration),
}

impl ClusterOptions {
    /// The defaults of the Java client for everything but the addresses.
    #[must_use]
    pub fn new(bootstrap: Vec<Address>) -> Self {
        Self {
            bootstrap,
            connect: ConnectOptions::default(),
            metadata_max_age: Duration::from_secs(300),
            retry_backoff: (Duration::from_millis(100), Duration::from_secs(1)),
        }
    }
}

/// A cluster as one client sees it. Cheap to clone; all clones share connections and metadata.
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClusterOptions,
    pool: Pool,
    metadata: watch::Sender<Arc<Metadata>>,
    trouble: watch::Sender<Option<Error>>,
    /// Topics that every refresh asks about.
    wanted: Mutex<BTreeSet<Arc<str>>>,
    coordinators: Mutex<Coordinators>,
    /// The broker that answered last.
    preferred: Mutex<Option<Address>>,
    refreshing: AsyncMutex<()>,
    refresh_now: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// A handle that connects when it is first asked something. Must be called within a tokio runtime: a background
    /// task refreshes metadata by age and on [`request_refresh`](Self::request_refresh), until the last clone is gone.
    #[must_use]
    pub fn new(options: ClusterOptions) -> Self {
        let inner = Arc::new(Inner {
            pool: Pool::new(options.connect.clone()),
            options,
            metadata: watch::Sender::default(),
            trouble: watch::Sender::default(),
            wanted: Mutex::default(),
            coordinators: Mutex::default(),
            preferred: Mutex::default(),
            refreshing: AsyncMutex::default(),
            refresh_now: Notify::new(),
        });
        tokio::spawn(keep_fresh(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &ClusterOptions {
        &self.inner.options
    }

    /// What is known now, without asking anybody.
    #[must_use]
    pub fn metadata(&self) -> Arc<Metadata> {
        Arc::clone(&self.inner.metadata.borrow())
    }

    /// Follows the metadata: the receiver sees every newer snapshot.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Metadata>> {
        self.inner.metadata.subscribe()
    }

    /// Follows what keeps the background task from learning metadata; `None` when all is well.
    #[must_use]
    pub fn watch_trouble(&self) -> watch::Receiver<Option<Error>> {
        self.inner.trouble.subscribe()
    }

    /// Adds topics to those that every refresh asks about. Nothing is created by asking.
    pub fn want(&self, topics: impl IntoIterator<Item = Arc<str>>) {
        lock(&self.inner.wanted).extend(topics);
    }

    /// Takes topics out of those that every refresh asks about.
    pub fn unwant(&self, topics: &[Arc<str>]) {
        lock(&self.inner.wanted).retain(|topic| !topics.contains(topic));
    }

    /// Asks the background task for fresh metadata soon; requests that come together make one question.
    pub fn request_refresh(&self) {
        self.inner.refresh_now.notify_one();
    }

    /// Learns the metadata of all wanted topics now, once. Callers that come together share one question.
    ///
    /// # Errors
    /// The last failure, where no broker answered.
    pub async fn refresh(&self) -> Result<Arc<Metadata>> {
        let seen = self.metadata().version;
        let _turn = self.inner.refreshing.lock().await;
        let current = self.metadata();
        if current.version > seen {
            return Ok(current);
        }
        let wanted = lock(&self.inner.wanted).iter().cloned().collect();
        self.learn(Some(wanted)).await
    }

    /// Learns about these topics now and keeps following them. A topic that does not exist is in the result with its
    /// error.
    ///
    /// # Errors
    /// The last failure, where no broker answered.
    pub async fn topics(&self, names: &[Arc<str>]) -> Result<Arc<Metadata>> {
        self.want(names.iter().cloned());
        let known = self.metadata();
        let is_good = |name: &Arc<str>| known.topic(name).is_some_and(|topic| topic.error.is_ok());
        if names.iter().all(is_good) { Ok(known) } else { self.refresh().await }
    }

    /// Learns about every topic of the cluster, once; later refreshes ask about the wanted ones only.
    ///
    /// # Errors
    /// The last failure, where no broker answered.
    pub async fn all_topics(&self) -> Result<Arc<Metadata>> {
        let _turn = self.inner.refreshing.lock().await;
        self.learn(None).await
    }

    /// `None` asks for all topics.
    async fn learn(&self, topics: Option<Vec<Arc<str>>>) -> Result<Arc<Metadata>> {
        let response = self.look(topics.as_deref()).await?;
        let merged = self.metadata().merged(response, topics.is_none(), std::time::Instant::now());
        let merged = Arc::new(merged);
        self.inner.metadata.send_replace(Arc::clone(&merged));
        Ok(merged)
    }

    /// The cluster as one broker sees it now, with these topics, or with all of them; nothing is kept of it.
    pub(crate) async fn look_up(&self, topics: Option<&[Arc<str>]>) -> Result<Metadata> {
        let response = self.look(topics).await?;
        Ok(Metadata::default().merged(response, true, std::time::Instant::now()))
    }

    async fn look(&self, topics: Option<&[Arc<str>]>) -> Result<MetadataResponse> {
        let by_name = |name: &Arc<str>| {
            let name = TopicName(StrBytes::from_string(name.to_string()));
            MetadataRequestTopic::default().with_name(Some(name))
        };
        let names = topics.map(|names| names.iter().map(by_name).collect());
        let request = MetadataRequest::default().with_topics(names).with_allow_auto_topic_creation(false);
        let response = self.ask_any(move |_| Ok(request.clone())).await?;
        ErrorCode(response.error_code)
            .check()
            .map_err(|code| Error::broker(MetadataRequest::NAME, "cluster", code, None))?;
        Ok(response)
    }

    /// Asks one broker after the other until one answers. `question` sees the connection, for its versions.
    ///
    /// # Errors
    /// The last failure, where no broker answered. Wrong credentials end it at once.
    pub async fn ask_any<R: Api>(
        &self,
        question: impl Fn(&Connection) -> Result<R> + Send + Sync + 'static,
    ) -> Result<R::Response> {
        answer_of::<R>(self.ask_candidates(Question::new(question)).await?)
    }

    pub(crate) fn ask_candidates(&self, question: Question) -> InFlight<AnyMessage> {
        let cluster = self.clone();
        Box::pin(async move {
            let mut waiting = cluster.candidates().into_iter();
            let mut asked = JoinSet::new();
            let mut last = Error::Config("bootstrap.servers names no broker".into());
            let mut next_at = Instant::now();
            loop {
                tokio::select! {
                    Some(answer) = asked.join_next() => match answer {
                        Ok((address, Ok(response))) => {
                            *lock(&cluster.inner.preferred) = Some(address);
                            return Ok(response);
                        }
                        Ok((_, Err(error))) if is_final(&error) => return Err(error),
                        Ok((_, Err(error))) => (last, next_at) = (error, Instant::now()),
                        Err(_) => next_at = Instant::now(),
                    },
                    () = tokio::time::sleep_until(next_at), if waiting.len() > 0 => {
                        if let Some((address, name)) = waiting.next() {
                            asked.spawn(cluster.clone().ask(address, name, question.clone()));
                        }
                        next_at = Instant::now() + PATIENCE;
                    }
                    else => return Err(last),
                }
            }
        })
    }

    async fn ask(
        self,
        address: Address,
        name: Arc<str>,
        question: Question,
    ) -> (Address, Result<AnyMessage>) {
        let answer = match self.inner.pool.get(&address, &name, Lane::General).await {
            Ok(connection) => question.ask(&connection, None).await,
            Err(error) => Err(error),
        };
        (address, answer)
    }

    /// Every address worth asking, the likeliest first: who answered last, who is connected, who is known, bootstrap.
    fn candidates(&self) -> Vec<(Address, Arc<str>)> {
        let metadata = self.metadata();
        let mut known: Vec<_> =
            metadata.brokers.values().map(|b| (b.address.clone(), broker_name(b))).collect();
        fastrand::shuffle(&mut known);
        let preferred = lock(&self.inner.preferred).clone();
        known.sort_by_key(|(address, _)| {
            let is_open = self.inner.pool.get_open(address, Lane::General).is_some();
            (Some(address) != preferred.as_ref(), !is_open)
        });
        for address in &self.inner.options.bootstrap {
            if !known.iter().any(|(known, _)| known == address) {
                known.push((address.clone(), address.to_string().into()));
            }
        }
        known
    }

    /// A connection to some broker, an open one where there is one.
    ///
    /// # Errors
    /// The last failure, where none can be reached.
    pub async fn any(&self) -> Result<Arc<Connection>> {
        let mut last = Error::Config("bootstrap.servers names no broker".into());
        for (address, name) in self.candidates() {
            match self.inner.pool.get(&address, &name, Lane::General).await {
                Ok(connection) => return Ok(connection),
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A connection that is open right now, to whichever broker.
    #[must_use]
    pub fn any_open(&self) -> Option<Arc<Connection>> {
        self.candidates().iter().find_map(|(address, _)| self.inner.pool.get_open(address, Lane::General))
    }

    /// A connection to the broker `id`.
    ///
    /// # Errors
    /// [`Error::Connect`] where it cannot be reached, or where metadata does not know it (any more).
    pub async fn broker(&self, id: i32, lane: Lane) -> Result<Arc<Connection>> {
        let broker = self.metadata().brokers.get(&id).cloned();
        let broker = broker.ok_or_else(|| Error::Connect {
            broker: format!("broker {id}").into(),
            failure: ConnectFailure::Resolve("metadata does not list it: it is down or removed".into()),
        })?;
        self.connect(&broker, lane).await
    }

    /// A connection to a broker whose address is known.
    ///
    /// # Errors
    /// [`Error::Connect`].
    pub async fn connect(&self, broker: &Broker, lane: Lane) -> Result<Arc<Connection>> {
        self.inner.pool.get(&broker.address, &broker_name(broker), lane).await
    }

    /// Closes the connections of one lane.
    pub fn close_lane(&self, lane: Lane) {
        self.inner.pool.close_lane(lane);
    }

    /// The coordinator of a group or transactional id: from memory, or by asking once.
    ///
    /// # Errors
    /// [`Error::Broker`], retriable while the coordinator is being elected; connection failures.
    pub async fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<Broker> {
        if let Some(known) = lock(&self.inner.coordinators).get(kind, key) {
            return Ok(known);
        }
        let asked_for = key.to_owned();
        let answer = self
            .ask_any(move |connection| {
                let version = connection.version::<FindCoordinatorRequest>().unwrap_or(0);
                Ok(coordinator::question(kind, &asked_for, version))
            })
            .await?;
        let broker = coordinator::read_answer(kind, key, answer)?;
        lock(&self.inner.coordinators).insert(kind, key, broker.clone());
        Ok(broker)
    }

    /// Forgets a coordinator that turned out to be wrong or gone, so that the next call asks again.
    pub fn forget_coordinator(&self, kind: CoordinatorKind, key: &str) {
        lock(&self.inner.coordinators).forget(kind, key);
    }
}

fn broker_name(broker: &Broker) -> Arc<str> {
    format!("{} (node {})", broker.address, broker.id).into()
}

/// Asking another broker would not help.
fn is_final(error: &Error) -> bool {
    matches!(error, Error::Connect { failure: ConnectFailure::Authentication(_), .. })
}

/// Refreshes by age and on request, with a pause after each try, until the handle is gone.
async fn keep_fresh(inner: Weak<Inner>) {
    let Some((max_age, (pause, max_pause))) =
        inner.upgrade().map(|inner| (inner.options.metadata_max_age, inner.options.retry_backoff))
    else {
        return;
    };
    let mut backoff = Backoff::new(pause, max_pause);
    let mut rng = fastrand::Rng::new();
    let mut failed = false;
    while wait_for_turn(&inner, max_age, failed).await {
        let Some(inner) = inner.upgrade() else { return };
        let outcome = Cluster { inner: Arc::clone(&inner) }.refresh().await;
        failed = outcome.is_err();
        if !failed {
            backoff.reset();
        }
        inner.trouble.send_replace(outcome.err());
        drop(inner);
        tokio::time::sleep(backoff.next_pause(&mut rng)).await;
    }
}

/// Waits until a refresh is asked for or due; false when the handle is gone.
async fn wait_for_turn(inner: &Weak<Inner>, max_age: Duration, failed: bool) -> bool {
    /// How often the task looks whether anybody is left to refresh for.
    const CHECK: Duration = Duration::from_secs(1);
    let due = Instant::now() + if failed { Duration::ZERO } else { max_age };
    loop {
        let Some(inner) = inner.upgrade() else { return false };
        if Instant::now() >= due {
            return true;
        }
        let wait = CHECK.min(due.saturating_duration_since(Instant::now()));
        if tokio::time::timeout(wait, inner.refresh_now.notified()).await.is_ok() {
            return true;
        }
    }
}
