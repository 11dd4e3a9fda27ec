//! Which topics are read: named, or all whose names match a pattern. Data; who looks for them is `lookup`, the group's
//! driver and the broker.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex_lite::Regex;

use crate::cluster::{Metadata, Topic};
use crate::error::{Error, Result};
use crate::{ErrorCode, TopicPartition};

/// Which topics are read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subscription {
    /// These topics. One that does not exist yet is waited for.
    Topics(Vec<Arc<str>>),
    /// All topics that match, those included that are created later. Kafka's own are not.
    Pattern(TopicPattern),
}

/// A regular expression that has to match the whole name of a topic.
///
/// Under KIP-848 brokers do the matching, in RE2's syntax; elsewhere it is done here. What Rust's and RE2's syntax have
/// in common is more than names of topics need.
#[derive(Debug, Clone)]
pub struct TopicPattern {
    text: Arc<str>,
    regex: Regex,
}

impl TopicPattern {
    /// Reads a pattern, e.g. `orders-.*`.
    ///
    /// # Errors
    /// [`Error::Config`]: what is wrong with it.
    pub fn new(text: &str) -> Result<Self> {
        let wrong = |error| Error::Config(format!("the pattern {text:?}: {error}"));
        // By itself first: what is only right within brackets is not right for a broker.
        Regex::new(text).map_err(wrong)?;
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(wrong)?;
        Ok(Self { text: text.into(), regex })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches all of this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TopicPattern {}

impl Subscription {
    /// The topics that are meant, as far as the metadata shows them; named ones also where it does not.
    #[must_use]
    pub fn topics(&self, metadata: &Metadata) -> BTreeSet<Arc<str>> {
        match self {
            Self::Topics(topics) => topics.iter().cloned().collect(),
            Self::Pattern(pattern) => {
                let is_meant = |topic: &&Arc<Topic>| {
                    let is_gone = topic.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    !topic.internal && !is_gone && pattern.matches(&topic.name)
                };
                metadata.topics().filter(is_meant).map(|topic| Arc::clone(&topic.name)).collect()
            }
        }
    }

    /// All partitions of these topics.
    pub(crate) fn partitions(&self, metadata: &Metadata) -> Vec<TopicPartition> {
        let of = |name: Arc<str>| {
            let numbers = metadata.topic(&name).into_iter().flat_map(|topic| &topic.partitions);
            numbers.map(|known| TopicPartition::new(Arc::clone(&name), known.id)).collect::<Vec<_>>()
        };
        self.topics(metadata).into_iter().flat_map(of).collect()
    }

    /// Whether a topic is named that is known not to exist.
    pub(crate) fn misses_some(&self, metadata: &Metadata) -> bool {
        let is_missing =
            |name: &Arc<str>| metadata.topic(name).is_some_and(|topic| topic.partitions.is_empty());
        matches!(self, Self::Topics(topics) if topics.iter().any(is_missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_only() {
        let pattern = TopicPattern::new("a.b|c-[0-9]+").unwrap();
        let matched: Vec<_> = ["a.b", "axb", "xa.b", "a.bx", "c-10", "c-1x", "c-"]
            .into_iter()
            .filter(|name| pattern.matches(name))
            .collect();
        assert_eq!(matched, ["a.b", "axb", "c-10"]);
    }

    #[test]
    fn a_pattern_that_is_none_says_so() {
        for wrong in ["a(", "a)|(b", "*"] {
            let error = TopicPattern::new(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
