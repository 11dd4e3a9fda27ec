//! Carries a batch call: looks brokers up, sends, waits, tries again by the error table, all within one deadline.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Outcome;
use super::lookup::{self, Lookup};
use super::route::{Route, Target};
use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::error::{Error, RequestFailure, Result};
use crate::wire::{AnyMessage, Api, Lane, Question, answer_of};

/// How long a broker may take over a question that changes nothing, before its keys are looked up again: a frozen
/// leader must not use up the whole call.
const READ_PATIENCE: Duration = Duration::from_secs(5);

type Build<K> = dyn Fn(Arc<[K]>) -> Question + Send + Sync;
type Read<K, V> = dyn Fn(&[K], AnyMessage) -> Result<Vec<(K, Result<V>)>> + Send + Sync;

/// One kind of batch request: who answers for a key, the request for some keys, the results in its answer.
pub(crate) struct Stage<K, V> {
    api: &'static str,
    lookup: Lookup<K>,
    build: Box<Build<K>>,
    read: Box<Read<K, V>>,
    changes: bool,
    batch_limit: usize,
}

impl<K: Send + Sync + 'static, V> Stage<K, V> {
    /// A question that changes nothing, and so may be asked of another broker when one stays silent.
    ///
    /// `build` sees the keys and the version; `read` gives a result for every key it finds in the answer.
    pub(crate) fn new<R: Api>(
        lookup: Lookup<K>,
        build: impl Fn(&[K], i16) -> Result<R> + Send + Sync + 'static,
        read: impl Fn(&[K], R::Response) -> Vec<(K, Result<V>)> + Send + Sync + 'static,
    ) -> Self {
        let build = Arc::new(build);
        let build = move |keys: Arc<[K]>| {
            let build = Arc::clone(&build);
            Question::new(move |connection| build(&keys, version::<R>(connection)?))
        };
        let read = move |keys: &[K], answer| Ok(read(keys, answer_of::<R>(answer)?));
        let (build, read) = (Box::new(build), Box::new(read));
        Self { api: R::NAME, lookup, build, read, changes: false, batch_limit: usize::MAX }
    }

    /// The request changes something: it is sent to one broker at a time.
    pub(crate) fn changing(mut self) -> Self {
        self.changes = true;
        self
    }

    /// At most this many keys in a request.
    pub(crate) fn at_most(mut self, keys: usize) -> Self {
        self.batch_limit = keys;
        self
    }
}

/// One call: the cluster, the time it has, and what it is called when that runs out.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) cluster: Cluster,
    pub(crate) what: &'static str,
    pub(crate) limit: Duration,
    pub(crate) deadline: Instant,
    /// Where it says what keeps it waiting.
    pub(crate) trouble: Arc<tokio::sync::watch::Sender<Option<Error>>>,
}

impl Call {
    /// Milliseconds that are left, as requests carry them to the broker.
    pub(crate) fn left_ms(&self) -> i32 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1)
    }

    /// Lets followers know what keeps this call waiting. What brokers answer for a moment (elections, a topic that is
    /// new) is no trouble of the user's.
    fn say(&self, error: &Error) {
        if !matches!(error, Error::Broker { .. }) {
            self.trouble.send_replace(Some(error.clone()));
        }
    }

    /// Asks again, with growing pauses, while that may help and time is left.
    pub(crate) async fn retrying<T>(&self, question: impl AsyncFn() -> Result<T>) -> Result<T> {
        let (initial, max) = self.cluster.options().retry_backoff;
        let (mut backoff, mut rng) = (Backoff::new(initial, max), fastrand::Rng::new());
        let mut last = None;
        let asking = async {
            loop {
                match question().await {
                    Err(error) if error.is_retriable() => {
                        self.say(&error);
                        last = Some(Box::new(error));
                    }
                    done => return done,
                }
                tokio::time::sleep(backoff.next_pause(&mut rng)).await;
            }
        };
        let done = timeout_at(self.deadline, asking).await;
        done.unwrap_or_else(|_| Err(Error::Timeout { what: self.what.to_owned(), after: self.limit, last }))
    }

    /// Takes every key through lookup and fulfilment until it has its result or the time is up.
    pub(crate) async fn run<K, V>(
        &self,
        stage: Stage<K, V>,
        keys: impl IntoIterator<Item = K>,
    ) -> Vec<Outcome<K, V>>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        let mut route = Route::new(keys);
        // What is not done by then says so itself.
        let _ = timeout_at(self.deadline, self.drive(&stage, &mut route)).await;
        route.into_outcomes(self.what, self.limit)
    }

    async fn drive<K, V>(&self, stage: &Stage<K, V>, route: &mut Route<K, V>)
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        let (initial, max) = self.cluster.options().retry_backoff;
        let (mut backoff, mut rng) = (Backoff::new(initial, max), fastrand::Rng::new());
        let mut tries = 0_u32;
        loop {
            for (key, located) in lookup::locate(self, &stage.lookup, tries, route.take_waiting()).await {
                route.handle_located(key, located);
            }
            let (mut asked, mut batches) = (JoinSet::new(), Vec::new());
            while let Some((target, keys)) = route.poll(stage.batch_limit) {
                let keys: Arc<[K]> = keys.into();
                asked.spawn(self.clone().ask(
                    batches.len(),
                    target,
                    (stage.build)(Arc::clone(&keys)),
                    stage.changes,
                ));
                batches.push(keys);
            }
            while let Some(answered) = asked.join_next().await {
                let Ok((batch, answer)) = answered else { continue };
                if let Some(keys) = batches.get(batch) {
                    take_answer(stage, route, keys, answer);
                }
            }
            if !route.has_waiting() {
                return;
            }
            tries += 1;
            route.trouble().into_iter().for_each(|error| self.say(error));
            tokio::time::sleep(backoff.next_pause(&mut rng)).await;
        }
    }

    /// Asks `target`; the answer comes with the number of the batch.
    fn ask(
        self,
        batch: usize,
        target: Target,
        question: Question,
        changes: bool,
    ) -> Pin<Box<dyn Future<Output = (usize, Result<AnyMessage>)> + Send>> {
        Box::pin(async move { (batch, self.answer(target, question, changes).await) })
    }

    async fn answer(self, target: Target, question: Question, changes: bool) -> Result<AnyMessage> {
        let connection = match target {
            Target::Any if !changes => return self.cluster.ask_candidates(question).await,
            Target::Any => {
                // Whoever answers this now is awake, and is the one that `any` prefers.
                self.cluster.look_up(Some(&[])).await?;
                self.cluster.any().await?
            }
            Target::Broker(broker) => self.cluster.connect(&broker, Lane::General).await?,
        };
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = left.min(self.cluster.options().connect.request_timeout);
        question.ask(&connection, Some(if changes { limit } else { limit.min(READ_PATIENCE) })).await
    }
}

/// The version in which the request goes out, or the error that there is none.
fn version<R: Api>(connection: &crate::wire::Connection) -> Result<i16> {
    connection.version::<R>().ok_or_else(|| Error::Request {
        broker: Arc::clone(connection.broker()),
        api: R::NAME,
        failure: RequestFailure::Unsupported("it and this client share no version of the API".into()),
    })
}

/// Gives every key of a request its result; a key that the answer leaves out got none.
fn take_answer<K, V>(stage: &Stage<K, V>, route: &mut Route<K, V>, keys: &[K], answer: Result<AnyMessage>)
where
    K: Clone + Eq + Hash,
{
    let mut results: HashMap<K, Result<V>> = match answer.and_then(|answer| (stage.read)(keys, answer)) {
        Ok(results) => results.into_iter().collect(),
        Err(error) => keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect(),
    };
    for key in keys {
        let missing = || {
            let failure = RequestFailure::Malformed("it leaves out what was asked for".into());
            Err(Error::Request { broker: "the broker".into(), api: stage.api, failure })
        };
        route.handle_answer(key.clone(), results.remove(key).unwrap_or_else(missing));
    }
}
