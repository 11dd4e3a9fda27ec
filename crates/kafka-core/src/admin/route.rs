//! The way of every key of a batch call: looked up (which broker answers for it), grouped by broker, fulfilled, and back
//! to lookup where the broker was the wrong one. Pure: no waiting, no clock; what the keys are and what comes back for them
//! is known in `stage` only. Kafka's own admin client has the same two stages.

use std::collections::BTreeMap;
use std::time::Duration;

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

/// One key on its way.
#[derive(Debug, Default)]
struct Progress {
    /// What stood in its way last.
    last: Option<Error>,
    /// The answer to a request was lost: the broker may have done the work.
    in_doubt: bool,
    done: Option<Result<()>>,
}

/// The keys of one call on their way, by number: `0` is the first key of the call.
#[derive(Debug)]
pub(crate) struct Route {
    keys: Vec<Progress>,
    waiting: Vec<usize>,
    ready: BTreeMap<i32, (Target, Vec<usize>)>,
}

impl Route {
    /// All of `count` keys start at the lookup.
    pub(crate) fn new(count: usize) -> Self {
        let keys = std::iter::repeat_with(Progress::default).take(count).collect();
        Self { keys, waiting: (0..count).collect(), ready: BTreeMap::new() }
    }

    /// Takes the keys that have to be looked up.
    pub(crate) fn take_waiting(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.waiting)
    }

    /// Takes what a lookup found out about a key.
    pub(crate) fn handle_located(&mut self, key: usize, located: Located) {
        match located {
            Located::At(target) => {
                self.ready.entry(target.id()).or_insert_with(|| (target, Vec::new())).1.push(key);
            }
            Located::Later(error) => {
                self.keys[key].last = Some(error);
                self.waiting.push(key);
            }
            Located::Never(error) => self.finish(key, Err(error)),
        }
    }

    /// Takes one request to send: a broker and at most `limit` of its keys.
    pub(crate) fn poll(&mut self, limit: usize) -> Option<(Target, Vec<usize>)> {
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
    pub(crate) fn handle_answer(&mut self, key: usize, result: Result<()>) {
        match result {
            Err(error) if error.is_retriable() => {
                let progress = &mut self.keys[key];
                progress.in_doubt |= matches!(error, Error::Request { .. });
                progress.last = Some(error);
                self.waiting.push(key);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.keys[key].in_doubt => {
                self.finish(key, Err(with_doubt(error)));
            }
            result => self.finish(key, result),
        }
    }

    fn finish(&mut self, key: usize, result: Result<()>) {
        self.keys[key] = Progress { done: Some(result), ..Progress::default() };
    }

    /// Whether keys wait for a lookup.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Something that stands in the way of a key that is not done.
    pub(crate) fn trouble(&self) -> Option<&Error> {
        self.keys.iter().find_map(|key| key.last.as_ref())
    }

    /// Every key's result. What is not done by now took longer than `limit`.
    pub(crate) fn into_results(self, what: &str, limit: Duration) -> Vec<Result<()>> {
        let result = |key: Progress| {
            key.done.unwrap_or_else(|| {
                let last = key.last.map(Box::new);
                Err(Error::Timeout { what: what.to_owned(), after: limit, last })
            })
        };
        self.keys.into_iter().map(result).collect()
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
        let mut route = Route::new(3);
        for key in route.take_waiting() {
            route.handle_located(key, Located::At(broker(if key == 1 { 2 } else { 1 })));
        }
        assert_eq!(route.poll(usize::MAX), Some((broker(1), vec![0, 2])));
        assert_eq!(route.poll(usize::MAX), Some((broker(2), vec![1])));
        assert_eq!(route.poll(usize::MAX), None);
    }

    #[test]
    fn a_limit_splits_the_keys_of_a_broker() {
        let mut route = Route::new(2);
        for key in route.take_waiting() {
            route.handle_located(key, Located::At(Target::Any));
        }
        assert_eq!(route.poll(1), Some((Target::Any, vec![0])));
        assert_eq!(route.poll(1), Some((Target::Any, vec![1])));
    }

    #[test]
    fn a_key_whose_broker_was_the_wrong_one_is_looked_up_again() {
        let mut route = Route::new(1);
        let key = route.take_waiting().remove(0);
        route.handle_located(key, Located::At(broker(1)));
        route.poll(usize::MAX);
        route.handle_answer(key, Err(error(ErrorCode::NOT_LEADER_OR_FOLLOWER)));
        assert_eq!(route.take_waiting(), [key]);
        route.handle_located(key, Located::At(broker(2)));
        route.poll(usize::MAX);
        route.handle_answer(key, Ok(()));
        assert!(!route.has_waiting());
        assert!(route.into_results("a test", LIMIT)[0].is_ok());
    }

    #[test]
    fn a_final_error_of_one_key_leaves_the_others_alone() {
        let mut route = Route::new(2);
        route.take_waiting();
        route.handle_located(0, Located::Never(error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)));
        route.handle_located(1, Located::At(Target::Any));
        route.poll(usize::MAX);
        route.handle_answer(1, Ok(()));
        let results = route.into_results("a test", LIMIT);
        assert!(results[0].is_err());
        assert!(results[1].is_ok());
    }

    #[test]
    fn what_is_not_done_in_time_names_what_stood_in_the_way() {
        let mut route = Route::new(1);
        route.take_waiting();
        route.handle_located(0, Located::Later(error(ErrorCode::COORDINATOR_NOT_AVAILABLE)));
        assert!(route.trouble().is_some());
        let result = route.into_results("a test", LIMIT).remove(0);
        let said = result.unwrap_err().to_string();
        assert!(said.contains("longer than 3s") && said.contains("COORDINATOR_NOT_AVAILABLE"), "{said}");
    }

    #[test]
    fn after_a_lost_answer_exists_already_says_that_it_may_be_our_own_work() {
        let mut route = Route::new(1);
        route.take_waiting();
        route.handle_located(0, Located::At(Target::Any));
        route.poll(usize::MAX);
        route.handle_answer(0, Err(lost()));
        route.take_waiting();
        route.handle_located(0, Located::At(Target::Any));
        route.poll(usize::MAX);
        route.handle_answer(0, Err(error(ErrorCode::TOPIC_ALREADY_EXISTS)));
        let said = route.into_results("a test", LIMIT).remove(0).unwrap_err().to_string();
        assert!(said.contains("earlier try"), "{said}");
    }
}
