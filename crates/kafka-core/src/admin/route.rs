//! The way of every key of a batch call: looked up (which broker answers for it), grouped by broker, fulfilled, and back
//! to lookup where the broker was the wrong one. Pure: no waiting, no clock. Kafka's own admin client has the same two
//! stages.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use super::Outcome;
use crate::cluster::Broker;
use crate::{Error, ErrorKind, Result};

/// Who answers for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Whichever broker answers.
    Any,
    /// This one.
    Broker(Broker),
}

impl Target {
    /// What requests are grouped by; -1 stands for any broker.
    fn id(&self) -> i32 {
        match self {
            Self::Any => -1,
            Self::Broker(broker) => broker.id,
        }
    }
}

/// What a lookup found out about a key.
#[derive(Debug)]
pub(crate) enum Located {
    /// It is there.
    At(Target),
    /// Not now; a later lookup may find it.
    Later(Error),
    /// There is no such thing.
    Never(Error),
}

/// The keys of one call on their way.
#[derive(Debug)]
pub(crate) struct Route<K, V> {
    order: Vec<K>,
    waiting: Vec<K>,
    ready: BTreeMap<i32, (Target, Vec<K>)>,
    last: HashMap<K, Error>,
    /// Keys of a request whose answer was lost: the broker may have done the work.
    in_doubt: HashSet<K>,
    done: HashMap<K, Result<V>>,
}

impl<K: Clone + Eq + Hash, V> Route<K, V> {
    /// All keys start at the lookup; a key that is given twice is handled once.
    pub(crate) fn new(keys: impl IntoIterator<Item = K>) -> Self {
        let mut seen = HashSet::new();
        let order: Vec<K> = keys.into_iter().filter(|key| seen.insert(key.clone())).collect();
        Self {
            waiting: order.clone(),
            order,
            ready: BTreeMap::new(),
            last: HashMap::new(),
            in_doubt: HashSet::new(),
            done: HashMap::new(),
        }
    }

    /// Takes the keys that have to be looked up.
    pub(crate) fn take_waiting(&mut self) -> Vec<K> {
        std::mem::take(&mut self.waiting)
    }

    /// Takes what a lookup found out about a key.
    pub(crate) fn handle_located(&mut self, key: K, located: Located) {
        match located {
            Located::At(target) => {
                self.ready.entry(target.id()).or_insert_with(|| (target, Vec::new())).1.push(key);
            }
            Located::Later(error) => {
                self.last.insert(key.clone(), error);
                self.waiting.push(key);
            }
            Located::Never(error) => self.finish(key, Err(error)),
        }
    }

    /// Takes one request to send: a broker and at most `limit` of its keys.
    pub(crate) fn poll(&mut self, limit: usize) -> Option<(Target, Vec<K>)> {
        let mut entry = self.ready.first_entry()?;
        let (target, keys) = entry.get_mut();
        let target = target.clone();
        let batch = keys.drain(..keys.len().min(limit.max(1))).collect::<Vec<_>>();
        if keys.is_empty() {
            entry.remove();
        }
        Some((target, batch))
    }

    /// Takes a key's answer: final, or back to the lookup.
    pub(crate) fn handle_answer(&mut self, key: K, result: Result<V>) {
        match result {
            Err(error) if error.is_retriable() => {
                if matches!(error, Error::Request { .. }) {
                    self.in_doubt.insert(key.clone());
                }
                self.last.insert(key.clone(), error);
                self.waiting.push(key);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.in_doubt.contains(&key) => {
                self.finish(key, Err(with_doubt(error)));
            }
            result => self.finish(key, result),
        }
    }

    fn finish(&mut self, key: K, result: Result<V>) {
        self.last.remove(&key);
        self.done.insert(key, result);
    }

    /// Whether keys wait for a lookup.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The last thing that stood in the way of a key that is not done.
    pub(crate) fn trouble(&self) -> Option<&Error> {
        self.last.values().next()
    }

    /// Every key's result in the order of the call. What is not done by now took longer than `limit`.
    pub(crate) fn into_outcomes(mut self, what: &str, limit: Duration) -> Vec<Outcome<K, V>> {
        let outcome = |key: K| {
            let result = self.done.remove(&key).unwrap_or_else(|| {
                let last = self.last.remove(&key).map(Box::new);
                Err(Error::Timeout { what: what.to_owned(), after: limit, last })
            });
            Outcome { key, result }
        };
        self.order.into_iter().map(outcome).collect()
    }
}

/// After an answer was lost, "it exists already" may well be the work of the earlier try.
fn with_doubt(error: Error) -> Error {
    match error {
        Error::Broker { subject, api, code, message } => {
            let said = message.unwrap_or_else(|| code.reason().to_owned());
            let message =
                Some(format!("{said} The answer to an earlier try was lost; that try may have made it."));
            Error::Broker { subject, api, code, message }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Address;
    use crate::{ErrorCode, RequestFailure};

    fn broker(id: i32) -> Target {
        Target::Broker(Broker { id, address: Address { host: "b".into(), port: 9092 }, rack: None })
    }

    fn error(code: ErrorCode) -> Error {
        Error::broker("Test", "topic t", code, None)
    }

    fn lost() -> Error {
        let failure = RequestFailure::Disconnected("gone".into());
        Error::Request { broker: "b".into(), api: "Test", failure }
    }

    const LIMIT: Duration = Duration::from_secs(3);

    #[test]
    fn keys_of_one_broker_travel_in_one_request() {
        let mut route = Route::<_, ()>::new(["a", "b", "c", "a"]);
        for key in route.take_waiting() {
            route.handle_located(key, Located::At(broker(if key == "b" { 2 } else { 1 })));
        }
        assert_eq!(route.poll(usize::MAX), Some((broker(1), vec!["a", "c"])));
        assert_eq!(route.poll(usize::MAX), Some((broker(2), vec!["b"])));
        assert_eq!(route.poll(usize::MAX), None);
    }

    #[test]
    fn a_limit_splits_the_keys_of_a_broker() {
        let mut route = Route::<_, ()>::new(["a", "b"]);
        for key in route.take_waiting() {
            route.handle_located(key, Located::At(Target::Any));
        }
        assert_eq!(route.poll(1), Some((Target::Any, vec!["a"])));
        assert_eq!(route.poll(1), Some((Target::Any, vec!["b"])));
    }

    #[test]
    fn a_key_whose_broker_was_the_wrong_one_is_looked_up_again() {
        let mut route = Route::<_, ()>::new(["a"]);
        let key = route.take_waiting().remove(0);
        route.handle_located(key, Located::At(broker(1)));
        route.poll(usize::MAX);
        route.handle_answer("a", Err(error(ErrorCode::NOT_LEADER_OR_FOLLOWER)));
        assert_eq!(route.take_waiting(), ["a"]);
        route.handle_located("a", Located::At(broker(2)));
        route.poll(usize::MAX);
        route.handle_answer("a", Ok(()));
        assert!(!route.has_waiting());
        assert!(route.into_outcomes("a test", LIMIT)[0].result.is_ok());
    }

    #[test]
    fn a_final_error_of_one_key_leaves_the_others_alone() {
        let mut route = Route::new(["a", "b"]);
        route.take_waiting();
        route.handle_located("a", Located::Never(error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)));
        route.handle_located("b", Located::At(Target::Any));
        route.poll(usize::MAX);
        route.handle_answer("b", Ok(7));
        let outcomes = route.into_outcomes("a test", LIMIT);
        assert!(outcomes[0].result.is_err());
        assert_eq!(outcomes[1].result.as_ref().ok(), Some(&7));
    }

    #[test]
    fn what_is_not_done_in_time_names_what_stood_in_the_way() {
        let mut route = Route::<_, ()>::new(["a"]);
        route.take_waiting();
        route.handle_located("a", Located::Later(error(ErrorCode::COORDINATOR_NOT_AVAILABLE)));
        let outcome = route.into_outcomes("a test", LIMIT).remove(0);
        let said = outcome.result.unwrap_err().to_string();
        assert!(said.contains("longer than 3s") && said.contains("COORDINATOR_NOT_AVAILABLE"), "{said}");
    }

    #[test]
    fn after_a_lost_answer_exists_already_says_that_it_may_be_our_own_work() {
        let mut route = Route::<_, ()>::new(["a"]);
        route.take_waiting();
        route.handle_located("a", Located::At(Target::Any));
        route.poll(usize::MAX);
        route.handle_answer("a", Err(lost()));
        route.take_waiting();
        route.handle_located("a", Located::At(Target::Any));
        route.poll(usize::MAX);
        route.handle_answer("a", Err(error(ErrorCode::TOPIC_ALREADY_EXISTS)));
        let said = route.into_outcomes("a test", LIMIT).remove(0).result.unwrap_err().to_string();
        assert!(said.contains("earlier try"), "{said}");
    }
}
