//! Names and groupings in the shape of the protocol's messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::Error;
use crate::wire::Api;

/// Any text as the protocol carries it.
pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Text that may be null.
pub(crate) fn some_text(value: Option<&str>) -> Option<StrBytes> {
    value.map(text)
}

/// A topic's name.
pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A group's id.
pub(crate) fn group_id(id: &str) -> GroupId {
    GroupId(text(id))
}

/// Items by their topic, since most requests nest partitions in topics.
pub(crate) fn by_topic<T>(items: impl IntoIterator<Item = (Arc<str>, T)>) -> BTreeMap<Arc<str>, Vec<T>> {
    let mut topics: BTreeMap<_, Vec<T>> = BTreeMap::new();
    for (topic, item) in items {
        topics.entry(topic).or_default().push(item);
    }
    topics
}

/// `Ok` for code 0, else the broker's error about `subject`.
pub(crate) fn check<R: Api>(
    subject: impl Into<String>,
    code: i16,
    message: Option<&StrBytes>,
) -> Result<(), Error> {
    if code == 0 {
        return Ok(());
    }
    Err(Error::broker(R::NAME, subject, code, message.map(ToString::to_string)))
}
