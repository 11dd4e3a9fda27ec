//! Faults on request: which request is hit, and what happens to it instead of a plain answer.
//!
//! Rules are looked at in the order they were made; the first that matches a request decides. Not here: carrying it out
//! (`api::answer`, `server`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;

/// What happens to a request that a rule hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The request is handled after this time.
    Delay(Duration),
    /// Nothing is done, and the answer carries this error wherever the API has room for one.
    Error(ResponseError),
    /// The work is done, then the connection is closed instead of answering.
    DropResponse,
    /// The connection is closed before anything is done.
    CloseConnection,
    /// Nothing is done, and nothing more is answered on this connection, which stays open: a frozen broker.
    NeverAnswer,
    /// As [`Fault::NeverAnswer`], but the work is done.
    WorkThenNeverAnswer,
    /// The work is done; every byte of the answer after the correlation id is inverted.
    Corrupt,
    /// The answer ends half-way, then the connection is closed.
    Truncate,
    /// Before the request is handled, the lead of the partition goes to another broker.
    MoveLeader {
        /// Name of the topic.
        topic: String,
        /// Index of the partition.
        partition: i32,
        /// Id of the broker that leads from then on.
        to: i32,
    },
    /// Before the request is handled, this broker stops: connections close, leaders move.
    StopBroker(i32),
    /// Before the request is handled, this broker, stopped before, is started.
    StartBroker(i32),
    /// Before the request is handled, all members of this group lose their sessions.
    ExpireGroup(String),
}

/// What of a request a rule can look at.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) key: ApiKey,
    pub(crate) broker: i32,
    pub(crate) client_id: &'a str,
    /// Topics the request names; empty where the API names none.
    pub(crate) topics: &'a [String],
}

#[derive(Debug)]
struct Entry {
    rule: Matcher,
    fault: Fault,
    seen: u64,
    hits: u64,
}

#[derive(Debug, Clone, Default)]
struct Matcher {
    key: Option<ApiKey>,
    broker: Option<i32>,
    client_id: Option<String>,
    topic: Option<String>,
    /// 1 is the first request that matches the rest.
    first: u64,
    /// How many in a row are hit.
    times: u64,
}

impl Matcher {
    fn matches(&self, target: &Target<'_>) -> bool {
        self.key.is_none_or(|key| key == target.key)
            && self.broker.is_none_or(|broker| broker == target.broker)
            && self.client_id.as_deref().is_none_or(|id| id == target.client_id)
            && self.topic.as_ref().is_none_or(|topic| target.topics.contains(topic))
    }
}

/// The rules of one cluster. Cheap to clone; all clones share the rules.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Faults {
    /// Begins a rule for requests of one API.
    pub fn on(&self, key: ApiKey) -> Rule {
        self.rule(Some(key))
    }

    /// Begins a rule for requests of every API.
    pub fn on_any(&self) -> Rule {
        self.rule(None)
    }

    /// Forgets all rules. Connections that went silent stay so.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How many requests all rules together have hit since they were made.
    pub fn hits(&self) -> u64 {
        self.lock().iter().map(|entry| entry.hits).sum()
    }

    /// Whether no rule exists: the common case, asked before anything is computed for matching.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Counts a request against every rule before the one that hits it.
    pub(crate) fn strike(&self, target: &Target<'_>) -> Option<Fault> {
        for entry in self.lock().iter_mut() {
            if entry.rule.matches(target) {
                entry.seen += 1;
                let last = entry.rule.first.saturating_add(entry.rule.times);
                if (entry.rule.first..last).contains(&entry.seen) {
                    entry.hits += 1;
                    return Some(entry.fault.clone());
                }
            }
        }
        None
    }

    fn rule(&self, key: Option<ApiKey>) -> Rule {
        let matcher = Matcher { key, first: 1, times: 1, ..Matcher::default() };
        Rule { faults: self.clone(), matcher }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rule being made; it takes effect with [`Rule::then`]. Without further words it hits the first request only.
#[derive(Debug)]
#[must_use = "a rule takes effect with `then`"]
pub struct Rule {
    faults: Faults,
    matcher: Matcher,
}

impl Rule {
    /// Hits the nth request that matches, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.matcher.first = n.max(1);
        self
    }

    /// Hits this many requests in a row.
    pub fn times(mut self, times: u64) -> Self {
        self.matcher.times = times;
        self
    }

    /// Hits every request from the nth on, until [`Faults::clear`].
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Only requests to this broker.
    pub fn broker(mut self, id: i32) -> Self {
        self.matcher.broker = Some(id);
        self
    }

    /// Only requests with this client id.
    pub fn client(mut self, client_id: impl Into<String>) -> Self {
        self.matcher.client_id = Some(client_id.into());
        self
    }

    /// Only requests that name this topic. Known for Produce, Fetch, ListOffsets, Metadata, OffsetCommit and the requests
    /// that create, delete or change topics.
    pub fn topic(mut self, name: impl Into<String>) -> Self {
        self.matcher.topic = Some(name.into());
        self
    }

    /// Puts the rule in force.
    pub fn then(self, fault: Fault) {
        self.faults.lock().push(Entry { rule: self.matcher, fault, seen: 0, hits: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn produce_to(broker: i32) -> Target<'static> {
        Target { key: ApiKey::Produce, broker, client_id: "c", topics: &[] }
    }

    #[test]
    fn only_the_nth_request_is_hit() {
        let faults = Faults::default();
        faults.on(ApiKey::Produce).nth(2).then(Fault::DropResponse);
        let struck: Vec<bool> = (0..4).map(|_| faults.strike(&produce_to(1)).is_some()).collect();
        assert_eq!(struck, [false, true, false, false]);
        assert_eq!(faults.hits(), 1);
    }

    #[test]
    fn requests_to_other_brokers_do_not_count() {
        let faults = Faults::default();
        faults.on(ApiKey::Produce).nth(2).broker(1).then(Fault::CloseConnection);
        assert_eq!(faults.strike(&produce_to(1)), None);
        assert_eq!(faults.strike(&produce_to(2)), None);
        assert_eq!(faults.strike(&produce_to(1)), Some(Fault::CloseConnection));
    }

    #[test]
    fn a_rule_for_a_topic_needs_a_request_that_names_it() {
        let faults = Faults::default();
        faults.on_any().topic("a").always().then(Fault::NeverAnswer);
        assert_eq!(faults.strike(&produce_to(1)), None);
        let topics = ["a".to_owned()];
        let target = Target { topics: &topics, ..produce_to(1) };
        assert_eq!(faults.strike(&target), Some(Fault::NeverAnswer));
    }
}
