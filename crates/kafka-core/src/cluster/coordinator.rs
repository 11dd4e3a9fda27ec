//! Which broker coordinates which group or transactional id: the messages to find out, and what was found. No waiting.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::Broker;
use crate::error::{Error, Result};
use crate::wire::{Address, Api};

/// What a coordinator coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CoordinatorKind {
    /// A group, by its id.
    Group,
    /// A transactional id.
    Transaction,
}

impl CoordinatorKind {
    pub(crate) fn key_type(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }

    pub(crate) fn subject(self, key: &str) -> String {
        match self {
            Self::Group => format!("group {key}"),
            Self::Transaction => format!("transactional id {key}"),
        }
    }
}

/// The coordinators found so far.
#[derive(Debug, Default)]
pub(crate) struct Coordinators {
    found: HashMap<(CoordinatorKind, Arc<str>), Broker>,
}

impl Coordinators {
    pub(crate) fn get(&self, kind: CoordinatorKind, key: &str) -> Option<Broker> {
        self.found.get(&(kind, key.into())).cloned()
    }

    pub(crate) fn insert(&mut self, kind: CoordinatorKind, key: &str, broker: Broker) {
        self.found.insert((kind, key.into()), broker);
    }

    pub(crate) fn forget(&mut self, kind: CoordinatorKind, key: &str) {
        self.found.remove(&(kind, key.into()));
    }
}

/// The question for the coordinator of `key`, in both layouts: one key, and (from version 4) a list of them.
pub(crate) fn question(kind: CoordinatorKind, key: &str, version: i16) -> FindCoordinatorRequest {
    let key = StrBytes::from_string(key.to_owned());
    let question = FindCoordinatorRequest::default().with_key_type(kind.key_type());
    if version >= 4 { question.with_coordinator_keys(vec![key]) } else { question.with_key(key) }
}

/// The coordinator that an answer names.
///
/// # Errors
/// [`Error::Broker`] about the group or transactional id; retriable while the coordinator is being elected or loaded.
pub(crate) fn read_answer(
    kind: CoordinatorKind,
    key: &str,
    answer: FindCoordinatorResponse,
) -> Result<Broker> {
    let (code, message, id, host, port) = match answer.coordinators.into_iter().next() {
        Some(one) => (one.error_code, one.error_message, one.node_id, one.host, one.port),
        None => (answer.error_code, answer.error_message, answer.node_id, answer.host, answer.port),
    };
    let failed = |code: i16, message: Option<StrBytes>| {
        let message = message.map(|text| text.to_string());
        Error::broker(FindCoordinatorRequest::NAME, kind.subject(key), code, message)
    };
    if code != 0 {
        return Err(failed(code, message));
    }
    // A coordinator without an address is one that is not available yet.
    let port =
        u16::try_from(port).ok().filter(|_| id.0 >= 0 && !host.is_empty()).ok_or_else(|| failed(15, None))?;
    Ok(Broker { id: id.0, address: Address { host: (*host).into(), port }, rack: None })
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::BrokerId;
    use kafka_protocol::messages::find_coordinator_response::Coordinator;

    use super::*;

    #[test]
    fn both_layouts_of_the_answer_are_read() {
        let host = StrBytes::from_static_str("b");
        let old = FindCoordinatorResponse::default()
            .with_node_id(BrokerId(3))
            .with_host(host.clone())
            .with_port(9092);
        let entry = Coordinator::default().with_node_id(BrokerId(3)).with_host(host).with_port(9092);
        let new = FindCoordinatorResponse::default().with_coordinators(vec![entry]);
        let read = |answer| read_answer(CoordinatorKind::Group, "g", answer).unwrap();
        assert_eq!(read(old), read(new));
    }

    #[test]
    fn a_coordinator_without_an_address_is_not_available_yet() {
        let entry = Coordinator::default().with_node_id(BrokerId(-1)).with_port(-1);
        let answer = FindCoordinatorResponse::default().with_coordinators(vec![entry]);
        let error = read_answer(CoordinatorKind::Group, "g", answer).unwrap_err();
        assert!(error.is_retriable());
        assert!(error.to_string().starts_with("group g: "), "{error}");
    }
}
