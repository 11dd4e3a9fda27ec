//! Carries a batch call: looks brokers up, sends, waits, tries again by the error table, all within one deadline.

use std::collections::HashMap;
use std::hash::Hash;
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
use crate::wire::{Api, Lane};

/// How long a broker may take over a question that changes nothing, before its keys are looked up again: a frozen
/// leader must not use up the whole call.
const READ_PATIENCE: Duration = Duration::from_secs(5);

type Build<K, R> = dyn Fn(&[K], i16) -> Result<R> + Send + Sync;
type Read<K, R, V> = dyn Fn(&[K], <R as Api>::Response) -> Vec<(K, Result<V>)> + Send + Sync;

/// One kind of batch request: who answers for a key, the request for some keys, the results in its answer.
pub(crate) struct Stage<K, R: Api, V> {
    lookup: Lookup<K>,
    build: Arc<Build<K, R>>,
    read: Box<Read<K, R, V>>,
    changes: bool,
    batch_limit: usize,
}

impl<K, R: Api, V> Stage<K, R, V> {
    /// A question that changes nothing, and so may be asked of another broker when one stays silent.
    ///
    /// `build` sees the keys and the version; `read` gives a result for every key it finds in the answer.
    pub(crate) fn new(
        lookup: Lookup<K>,
        build: impl Fn(&[K], i16) -> Result<R> + Send + Sync + 'static,
        read: impl Fn(&[K], R::Response) -> Vec<(K, Result<V>)> + Send + Sync + 'static,
    ) -> Self {
        let (build, read) = (Arc::new(build), Box::new(read));
        Self { lookup, build, read, changes: false, batch_limit: usize::MAX }
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
    pub(crate) async fn run<K, R, V>(
        &self,
        stage: Stage<K, R, V>,
        keys: impl IntoIterator<Item = K>,
    ) -> Vec<Outcome<K, V>>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        R: Api + Clone,
    {
        let mut route = Route::new(keys);
        // What is not done by then says so itself.
        let _ = timeout_at(self.deadline, self.drive(&stage, &mut route)).await;
        route.into_outcomes(self.what, self.limit)
    }

    async fn drive<K, R, V>(&self, stage: &Stage<K, R, V>, route: &mut Route<K, V>)
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        R: Api + Clone,
    {
        let (initial, max) = self.cluster.options().retry_backoff;
        let (mut backoff, mut rng) = (Backoff::new(initial, max), fastrand::Rng::new());
        let mut asked = JoinSet::new();
        let mut tries = 0_u32;
        while !route.is_finished() {
            for (key, located) in lookup::locate(self, &stage.lookup, tries, route.take_waiting()).await {
                route.handle_located(key, located);
            }
            while let Some((target, keys)) = route.poll(stage.batch_limit) {
                let (call, build, changes) = (self.clone(), Arc::clone(&stage.build), stage.changes);
                asked.spawn(async move {
                    let answer = call.ask(target, &keys, build, changes).await;
                    (keys, answer)
                });
            }
            while route.has_in_flight() {
                let Some(Ok((keys, answer))) = asked.join_next().await else { break };
                take_answer(stage, route, &keys, answer);
            }
            if route.has_waiting() {
                tries += 1;
                route.trouble().into_iter().for_each(|error| self.say(error));
                tokio::time::sleep(backoff.next_pause(&mut rng)).await;
            }
        }
    }

    async fn ask<K, R>(
        self,
        target: Target,
        keys: &[K],
        build: Arc<Build<K, R>>,
        changes: bool,
    ) -> Result<R::Response>
    where
        K: Clone + Send + Sync + 'static,
        R: Api + Clone,
    {
        let connection = match target {
            Target::Any if !changes => {
                let keys = keys.to_vec();
                return self.cluster.ask_any(move |to| build(&keys, version::<R>(to)?)).await;
            }
            Target::Any => {
                // Whoever answers this now is awake, and is the one that `any` prefers.
                lookup::metadata(&self.cluster, Some(&[])).await?;
                self.cluster.any().await?
            }
            Target::Broker(broker) => self.cluster.connect(&broker, Lane::General).await?,
        };
        let request = build(keys, version::<R>(&connection)?)?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = left.min(self.cluster.options().connect.request_timeout);
        connection.send_within(request, if changes { limit } else { limit.min(READ_PATIENCE) }).await
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
fn take_answer<K, R, V>(
    stage: &Stage<K, R, V>,
    route: &mut Route<K, V>,
    keys: &[K],
    answer: Result<R::Response>,
) where
    K: Clone + Eq + Hash,
    R: Api,
{
    let mut results: HashMap<K, Result<V>> = match answer {
        Ok(response) => (stage.read)(keys, response).into_iter().collect(),
        Err(error) => keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect(),
    };
    for key in keys {
        let missing = || {
            let failure = RequestFailure::Malformed("it leaves out what was asked for".into());
            Err(Error::Request { broker: "the broker".into(), api: R::NAME, failure })
        };
        route.handle_answer(key.clone(), results.remove(key).unwrap_or_else(missing));
    }
}
