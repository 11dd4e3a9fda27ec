//! What a member is told before it joins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::assignor::Assignor;
use crate::config::{Config, property};
use crate::error::{Error, Result};

/// How the group agrees on who reads what (`group.protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupProtocol {
    /// `Consumer` where the broker and the group allow it, else `Classic`.
    Auto,
    /// The members agree among themselves: JoinGroup and SyncGroup.
    Classic,
    /// The broker decides (KIP-848).
    Consumer,
}

/// What a member is told before it joins.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// `group.id`.
    pub group_id: Arc<str>,
    /// `group.instance.id`: a static member's name (KIP-345).
    pub instance_id: Option<Arc<str>>,
    /// `group.protocol`.
    pub protocol: GroupProtocol,
    /// `partition.assignment.strategy`: offered in this order; classic only.
    pub assignors: Vec<Assignor>,
    /// `group.remote.assignor`: the broker's assignor, the broker's choice where none is named; KIP-848 only.
    pub server_assignor: Option<String>,
    /// `client.rack` (KIP-881).
    pub rack: Option<Arc<str>>,
    /// `session.timeout.ms`; under KIP-848 the broker has its own.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`: the longest pause between heartbeats; they come faster while the group is small or
    /// has just changed. Under KIP-848 the broker names the longest pause.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: also how long the group waits for a member that is giving partitions up.
    pub max_poll_interval: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub retry_backoff: (Duration, Duration),
}

impl GroupOptions {
    /// The options that a configuration asks for.
    ///
    /// Under `auto`, a property that only the classic protocol knows (`session.timeout.ms`, `heartbeat.interval.ms`,
    /// `partition.assignment.strategy`) asks for that one, and `group.remote.assignor` for the other.
    ///
    /// # Errors
    /// [`Error::Config`]: there is no `group.id`, an assignor is unknown, or the intervals contradict each other.
    pub fn from_config(config: &Config) -> Result<Self> {
        let group_id = config.get(property::GROUP_ID).filter(|id| !id.is_empty());
        let group_id = group_id.ok_or_else(|| Error::Config("group.id is not set".into()))?;
        let names = config.get(property::PARTITION_ASSIGNMENT_STRATEGY);
        let options = Self {
            group_id: group_id.into(),
            instance_id: config.get(property::GROUP_INSTANCE_ID).map(Into::into),
            protocol: protocol(config),
            assignors: names.iter().map(|name| name.parse()).collect::<Result<_>>()?,
            server_assignor: config.get(property::GROUP_REMOTE_ASSIGNOR),
            rack: config.get(property::CLIENT_RACK).map(Into::into),
            session_timeout: config.get(property::SESSION_TIMEOUT_MS),
            heartbeat_interval: config.get(property::HEARTBEAT_INTERVAL_MS),
            max_poll_interval: config.get(property::MAX_POLL_INTERVAL_MS),
            request_timeout: config.get(property::REQUEST_TIMEOUT_MS),
            retry_backoff: (
                config.get(property::RETRY_BACKOFF_MS),
                config.get(property::RETRY_BACKOFF_MAX_MS),
            ),
        };
        options.checked()
    }

    fn checked(mut self) -> Result<Self> {
        if self.assignors.is_empty() {
            return Err(Error::Config("partition.assignment.strategy names no assignor".into()));
        }
        let mut seen = BTreeSet::new();
        self.assignors.retain(|assignor| seen.insert(assignor.name()));
        if self.heartbeat_interval >= self.session_timeout {
            return Err(Error::Config(format!(
                "heartbeat.interval.ms ({:?}) must be shorter than session.timeout.ms ({:?})",
                self.heartbeat_interval, self.session_timeout
            )));
        }
        Ok(self)
    }
}

#[cfg(test)]
impl GroupOptions {
    /// A member of the group `g` with short times.
    pub(super) fn of_a_test(protocol: GroupProtocol, assignors: &[Assignor]) -> Self {
        let second = Duration::from_secs(1);
        Self {
            group_id: "g".into(),
            instance_id: None,
            protocol,
            assignors: assignors.to_vec(),
            server_assignor: None,
            rack: None,
            session_timeout: 6 * second,
            heartbeat_interval: second,
            max_poll_interval: 30 * second,
            request_timeout: 5 * second,
            retry_backoff: (second / 10, second),
        }
    }
}

fn protocol(config: &Config) -> GroupProtocol {
    let asks_for_classic = config.is_set(&property::SESSION_TIMEOUT_MS)
        || config.is_set(&property::HEARTBEAT_INTERVAL_MS)
        || config.is_set(&property::PARTITION_ASSIGNMENT_STRATEGY);
    match config.get(property::GROUP_PROTOCOL) {
        "classic" => GroupProtocol::Classic,
        "consumer" => GroupProtocol::Consumer,
        _ if config.is_set(&property::GROUP_REMOTE_ASSIGNOR) => GroupProtocol::Consumer,
        _ if asks_for_classic => GroupProtocol::Classic,
        _ => GroupProtocol::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(settings: &[(&str, &str)]) -> Result<GroupOptions> {
        let mut config = Config::new();
        config.set("group.id", "g").unwrap();
        for (name, value) in settings {
            config.set(name, value).unwrap();
        }
        GroupOptions::from_config(&config)
    }

    #[test]
    fn a_property_of_one_protocol_asks_for_that_protocol() {
        let protocol = |settings: &[(&str, &str)]| options(settings).unwrap().protocol;
        assert_eq!(protocol(&[]), GroupProtocol::Auto);
        assert_eq!(protocol(&[("session.timeout.ms", "6000")]), GroupProtocol::Classic);
        assert_eq!(protocol(&[("partition.assignment.strategy", "range")]), GroupProtocol::Classic);
        assert_eq!(protocol(&[("group.remote.assignor", "uniform")]), GroupProtocol::Consumer);
        let both = [("group.protocol", "consumer"), ("session.timeout.ms", "6000")];
        assert_eq!(protocol(&both), GroupProtocol::Consumer);
    }

    #[test]
    fn a_heartbeat_interval_as_long_as_the_session_is_refused() {
        assert!(options(&[("session.timeout.ms", "3000")]).is_err());
        assert!(options(&[("session.timeout.ms", "3001")]).is_ok());
    }

    #[test]
    fn an_assignor_named_twice_is_offered_once() {
        let named = options(&[("partition.assignment.strategy", "range,roundrobin,RangeAssignor")]).unwrap();
        assert_eq!(named.assignors, [Assignor::Range, Assignor::RoundRobin]);
    }
}
