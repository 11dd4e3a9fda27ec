//! Carries a batch call: looks brokers up, sends, waits, tries again by the error table, all within one deadline.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Outcome;
use super::lookup;
use super::route::{Route, Target};
use super::stage::{Keyed, Stage, Work};
use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::wire::{AnyMessage, Lane, Question};

/// How long a broker may take over a question that changes nothing, before its keys are looked up again: a frozen
/// leader must not use up the whole call.
const READ_PATIENCE: Duration = Duration::from_secs(5);

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
        V: Send,
    {
        let mut keyed = Keyed::new(stage, keys);
        let results = self.carry(&mut keyed).await;
        keyed.into_outcomes(results)
    }

    /// What became of each key.
    async fn carry(&self, work: &mut dyn Work) -> Vec<Result<()>> {
        let mut route = Route::new(work.count());
        // What is not done by then says so itself.
        let _ = timeout_at(self.deadline, self.drive(work, &mut route)).await;
        route.into_results(self.what, self.limit)
    }

    async fn drive(&self, work: &mut dyn Work, route: &mut Route) {
        let (initial, max) = self.cluster.options().retry_backoff;
        let (mut backoff, mut rng) = (Backoff::new(initial, max), fastrand::Rng::new());
        let (places, mut tries) = (work.places(), 0_u32);
        loop {
            for (key, located) in lookup::locate(self, &places, tries, route.take_waiting()).await {
                route.handle_located(key, located);
            }
            let (mut asked, mut batches) = (JoinSet::new(), Vec::new());
            while let Some((target, keys)) = route.poll(work.batch_limit()) {
                let (call, question, changes) = (self.clone(), work.question(&keys), work.changes());
                let batch = batches.len();
                asked.spawn(async move { (batch, call.answer(target, question, changes).await) });
                batches.push(keys);
            }
            while let Some(answered) = asked.join_next().await {
                let Ok((batch, answer)) = answered else { continue };
                if let Some(keys) = batches.get(batch) {
                    take_answer(work, route, keys, answer);
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

/// Gives every key of a request its result.
fn take_answer(work: &mut dyn Work, route: &mut Route, keys: &[usize], answer: Result<AnyMessage>) {
    let results = answer.and_then(|answer| work.read(keys, answer));
    let results = results.unwrap_or_else(|error| keys.iter().map(|_| Err(error.clone())).collect());
    for (key, result) in keys.iter().zip(results) {
        route.handle_answer(*key, result);
    }
}
