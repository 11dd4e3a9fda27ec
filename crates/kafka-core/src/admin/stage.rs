//! One kind of batch request, and what is typed about a call of it: its keys and the values that came back. The way of
//! the keys through lookup and fulfilment, which is the same for all kinds, is in `driver` and `route`.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::Outcome;
use super::lookup::Places;
use crate::TopicPartition;
use crate::cluster::CoordinatorKind;
use crate::error::{Error, RequestFailure, Result};
use crate::wire::{AnyMessage, Api, Question, answer_of};

/// How a key's broker is found.
pub(crate) enum Lookup<K> {
    /// Any broker answers.
    Any,
    /// Any broker passes it on to the controller; before KRaft only the controller itself took it.
    Controller,
    /// The broker of that id, or any where there is none.
    Broker(fn(&K) -> Option<i32>),
    /// The leader of the partition.
    Leader(fn(&K) -> TopicPartition),
    /// The coordinator of the group or transactional id.
    Coordinator(CoordinatorKind, fn(&K) -> &str),
}

impl<K> Lookup<K> {
    fn places(&self, keys: &[K]) -> Places {
        match self {
            Self::Any => Places::Any,
            Self::Controller => Places::Controller,
            Self::Broker(id) => Places::Brokers(keys.iter().map(id).collect()),
            Self::Leader(of) => Places::Leaders(keys.iter().map(of).collect()),
            Self::Coordinator(kind, of) => {
                Places::Coordinators(*kind, keys.iter().map(|key| of(key).to_owned()).collect())
            }
        }
    }
}

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

/// The version in which the request goes out, or the error that there is none.
fn version<R: Api>(connection: &crate::wire::Connection) -> Result<i16> {
    connection.version::<R>().ok_or_else(|| Error::Request {
        broker: Arc::clone(connection.broker()),
        api: R::NAME,
        failure: RequestFailure::Unsupported("it and this client share no version of the API".into()),
    })
}

/// A call as its driver sees it: keys are numbers, and what came back for them is kept here.
pub(super) trait Work: Send {
    /// How many keys there are.
    fn count(&self) -> usize;

    /// What decides which broker answers for which key.
    fn places(&self) -> Places;

    /// Whether brokers change something.
    fn changes(&self) -> bool;

    /// How many keys a request may have.
    fn batch_limit(&self) -> usize;

    /// The request for these keys.
    fn question(&self, keys: &[usize]) -> Question;

    /// Takes an answer to the request for `keys`: a result for each of them, in their order.
    fn read(&mut self, keys: &[usize], answer: AnyMessage) -> Result<Vec<Result<()>>>;
}

/// The keys of one call and their values.
pub(super) struct Keyed<K, V> {
    stage: Stage<K, V>,
    keys: Vec<K>,
    values: Vec<Option<V>>,
}

impl<K: Clone + Eq + Hash, V> Keyed<K, V> {
    /// A key that is given twice is handled once.
    pub(super) fn new(stage: Stage<K, V>, keys: impl IntoIterator<Item = K>) -> Self {
        let mut seen = HashSet::new();
        let keys: Vec<K> = keys.into_iter().filter(|key| seen.insert(key.clone())).collect();
        let values = keys.iter().map(|_| None).collect();
        Self { stage, keys, values }
    }

    /// What became of every key, in the order of the call.
    pub(super) fn into_outcomes(self, results: Vec<Result<()>>) -> Vec<Outcome<K, V>> {
        let api = self.stage.api;
        let found = self.keys.into_iter().zip(self.values).zip(results);
        let outcome = |((key, value), result): ((K, Option<V>), Result<()>)| {
            Outcome::new(key, result.and_then(|()| value.ok_or_else(|| left_out(api))))
        };
        found.map(outcome).collect()
    }

    fn some(&self, keys: &[usize]) -> Arc<[K]> {
        keys.iter().map(|key| self.keys[*key].clone()).collect()
    }
}

impl<K, V> Work for Keyed<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send,
{
    fn count(&self) -> usize {
        self.keys.len()
    }

    fn places(&self) -> Places {
        self.stage.lookup.places(&self.keys)
    }

    fn changes(&self) -> bool {
        self.stage.changes
    }

    fn batch_limit(&self) -> usize {
        self.stage.batch_limit
    }

    fn question(&self, keys: &[usize]) -> Question {
        (self.stage.build)(self.some(keys))
    }

    fn read(&mut self, keys: &[usize], answer: AnyMessage) -> Result<Vec<Result<()>>> {
        let asked = self.some(keys);
        let mut found: HashMap<K, Result<V>> = (self.stage.read)(&asked, answer)?.into_iter().collect();
        let mut results = Vec::with_capacity(keys.len());
        for (number, key) in keys.iter().zip(&*asked) {
            let result = found.remove(key).unwrap_or_else(|| Err(left_out(self.stage.api)));
            results.push(result.map(|value| self.values[*number] = Some(value)));
        }
        Ok(results)
    }
}

fn left_out(api: &'static str) -> Error {
    let failure = RequestFailure::Malformed("it leaves out what was asked for".into());
    Error::Request { broker: "the broker".into(), api, failure }
}
