//! The bytes that classic members pass each other through the coordinator: subscriptions and assignments of the
//! "consumer" protocol, versions 0 to 3 (ConsumerProtocolSubscription.json, ConsumerProtocolAssignment.json in Apache
//! Kafka), and the sticky assignor's notes. The coordinator does not look at them, so they are as untrusted as anything
//! another program wrote. A higher version is read as version 3: fields are only ever added at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::TopicPartition;

/// The protocol type of consumer groups.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";

/// The version that is written; readers of lower versions skip what follows what they know.
const VERSION: i16 = 3;

/// What a member tells the leader about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Topics it wants to read.
    pub(crate) topics: Vec<Arc<str>>,
    /// The assignor's own notes.
    pub(crate) user_data: Bytes,
    /// From version 1: what it goes on reading while the group rebalances.
    pub(crate) owned: Vec<TopicPartition>,
    /// From version 2: the generation that `owned` comes from, -1 where there is none.
    pub(crate) generation: i32,
    /// From version 3: where it runs (KIP-881).
    pub(crate) rack: Option<Arc<str>>,
}

impl Subscription {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(VERSION);
        put_len(&mut out, self.topics.len());
        for topic in &self.topics {
            put_string(&mut out, topic);
        }
        put_bytes(&mut out, &self.user_data);
        put_partitions(&mut out, &self.owned);
        out.put_i32(self.generation);
        match &self.rack {
            Some(rack) => put_string(&mut out, rack),
            None => out.put_i16(-1),
        }
        out.freeze()
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut input = Reader(bytes);
        let version = input.version()?;
        let count = input.len(2)?;
        let topics = (0..count).map(|_| input.string()).collect::<Result<_, _>>()?;
        let user_data = input.nullable_bytes()?;
        let owned = if version >= 1 { input.partitions()? } else { Vec::new() };
        let generation = if version >= 2 { input.i32()? } else { -1 };
        let rack = if version >= 3 { input.nullable_string()? } else { None };
        Ok(Self { topics, user_data, owned, generation, rack })
    }
}

/// What the leader gives to a member.
pub(crate) fn encode_assignment(partitions: &[TopicPartition]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(VERSION);
    put_partitions(&mut out, partitions);
    out.put_i32(-1);
    out.freeze()
}

/// A member's part. No bytes at all means nothing: the coordinator sends that where the leader named no part.
pub(crate) fn decode_assignment(bytes: Bytes) -> Result<Vec<TopicPartition>, Malformed> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut input = Reader(bytes);
    input.version()?;
    input.partitions()
}

/// The notes of the `sticky` assignor, as Java's and librdkafka's write them: the last assignment and its generation.
pub(crate) fn encode_sticky_notes(partitions: &[TopicPartition], generation: i32) -> Bytes {
    let mut out = BytesMut::new();
    put_partitions(&mut out, partitions);
    out.put_i32(generation);
    out.freeze()
}

/// Reads the notes; the oldest ones carry no generation, which counts as -1.
pub(crate) fn decode_sticky_notes(bytes: Bytes) -> Result<(Vec<TopicPartition>, i32), Malformed> {
    let mut input = Reader(bytes);
    let partitions = input.partitions()?;
    let generation = if input.0.has_remaining() { input.i32()? } else { -1 };
    Ok((partitions, generation))
}

/// Bytes of another member that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub(crate) struct Malformed(&'static str);

fn put_len(out: &mut BytesMut, len: usize) {
    out.put_i32(i32::try_from(len).unwrap_or(i32::MAX));
}

/// Topic names and racks came from the broker as Kafka strings, so they fit.
fn put_string(out: &mut BytesMut, text: &str) {
    out.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
    out.put_slice(&text.as_bytes()[..text.len().min(i16::MAX as usize)]);
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    if bytes.is_empty() {
        out.put_i32(-1);
    } else {
        put_len(out, bytes.len());
        out.put_slice(bytes);
    }
}

fn put_partitions(out: &mut BytesMut, partitions: &[TopicPartition]) {
    let mut by_topic = BTreeMap::<&str, Vec<i32>>::new();
    for one in partitions {
        by_topic.entry(&one.topic).or_default().push(one.partition);
    }
    put_len(out, by_topic.len());
    for (topic, numbers) in by_topic {
        put_string(out, topic);
        put_len(out, numbers.len());
        for number in numbers {
            out.put_i32(number);
        }
    }
}

/// Reads with every length checked against the bytes at hand.
struct Reader(Bytes);

impl Reader {
    fn version(&mut self) -> Result<i16, Malformed> {
        let version = self.0.try_get_i16().map_err(|_| Malformed("version"))?;
        if version < 0 { Err(Malformed("version")) } else { Ok(version) }
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        self.0.try_get_i32().map_err(|_| Malformed("number"))
    }

    /// The length of an array whose elements take at least `element` bytes each.
    fn len(&mut self, element: usize) -> Result<usize, Malformed> {
        let claimed = self.i32()?;
        let len = usize::try_from(claimed).map_err(|_| Malformed("length"))?;
        if len > self.0.remaining() / element { Err(Malformed("length")) } else { Ok(len) }
    }

    fn take(&mut self, len: usize) -> Result<Bytes, Malformed> {
        if len > self.0.remaining() { Err(Malformed("length")) } else { Ok(self.0.split_to(len)) }
    }

    fn nullable_string(&mut self) -> Result<Option<Arc<str>>, Malformed> {
        let claimed = self.0.try_get_i16().map_err(|_| Malformed("string"))?;
        if claimed == -1 {
            return Ok(None);
        }
        let bytes = self.take(usize::try_from(claimed).map_err(|_| Malformed("string"))?)?;
        std::str::from_utf8(&bytes).map(|text| Some(text.into())).map_err(|_| Malformed("string"))
    }

    fn string(&mut self) -> Result<Arc<str>, Malformed> {
        self.nullable_string()?.ok_or(Malformed("string"))
    }

    fn nullable_bytes(&mut self) -> Result<Bytes, Malformed> {
        match self.i32()? {
            -1 => Ok(Bytes::new()),
            claimed => self.take(usize::try_from(claimed).map_err(|_| Malformed("length"))?),
        }
    }

    fn partitions(&mut self) -> Result<Vec<TopicPartition>, Malformed> {
        let mut all = Vec::new();
        for _ in 0..self.len(6)? {
            let topic = self.string()?;
            for _ in 0..self.len(4)? {
                all.push(TopicPartition::new(Arc::clone(&topic), self.i32()?));
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
    use kafka_protocol::protocol::Decodable;
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Subscription {
        Subscription {
            topics: vec!["a".into(), "b".into()],
            user_data: Bytes::from_static(&[0, 0, 0, 7]),
            owned: vec![TopicPartition::new("a", 0), TopicPartition::new("a", 3)],
            generation: 7,
            rack: Some("r1".into()),
        }
    }

    #[test]
    fn a_subscription_is_read_by_an_implementation_that_others_wrote() {
        let mut bytes = sample().encode();
        assert_eq!(bytes.get_i16(), VERSION);
        let theirs = ConsumerProtocolSubscription::decode(&mut bytes, VERSION).unwrap();
        assert_eq!(theirs.topics.iter().map(|t| t.to_string()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(theirs.user_data.as_deref(), Some(&[0, 0, 0, 7][..]));
        assert_eq!(theirs.owned_partitions[0].partitions, [0, 3]);
        assert_eq!((theirs.generation_id, theirs.rack_id.as_deref()), (7, Some("r1")));
        assert!(bytes.is_empty());
    }

    #[test]
    fn an_assignment_is_read_by_an_implementation_that_others_wrote() {
        let mut bytes = encode_assignment(&sample().owned);
        assert_eq!(bytes.get_i16(), VERSION);
        let theirs = ConsumerProtocolAssignment::decode(&mut bytes, VERSION).unwrap();
        assert_eq!(theirs.assigned_partitions[0].partitions, [0, 3]);
        assert!(theirs.user_data.is_none() && bytes.is_empty());
    }

    #[test]
    fn a_subscription_of_version_0_owns_nothing() {
        let mut bytes = BytesMut::new();
        bytes.put_slice(&[0, 0, 0, 0, 0, 1, 0, 1, b'a', 0xff, 0xff, 0xff, 0xff]);
        let read = Subscription::decode(bytes.freeze()).unwrap();
        assert_eq!(
            read,
            Subscription { topics: vec!["a".into()], generation: -1, ..Subscription::default() }
        );
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let mut bytes = BytesMut::from(&sample().encode()[..]);
        bytes[1] = 9;
        bytes.put_slice(b"something new");
        assert_eq!(Subscription::decode(bytes.freeze()), Ok(sample()));
    }

    #[test]
    fn a_length_that_the_bytes_cannot_hold_is_refused_before_anything_is_allocated() {
        let bytes = Bytes::from_static(&[0, 1, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(Subscription::decode(bytes.clone()), Err(Malformed("length")));
        assert_eq!(decode_assignment(bytes), Err(Malformed("length")));
    }

    #[test]
    fn no_bytes_are_an_empty_part() {
        assert_eq!(decode_assignment(Bytes::new()), Ok(Vec::new()));
    }

    #[test]
    fn sticky_notes_come_back_with_and_without_a_generation() {
        let bytes = encode_sticky_notes(&sample().owned, 4);
        assert_eq!(decode_sticky_notes(bytes.clone()), Ok((sample().owned, 4)));
        assert_eq!(decode_sticky_notes(bytes.slice(..bytes.len() - 4)), Ok((sample().owned, -1)));
    }

    proptest! {
        #[test]
        fn whatever_another_member_wrote_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            let _ = Subscription::decode(bytes.clone());
            let _ = decode_assignment(bytes.clone());
            let _ = decode_sticky_notes(bytes);
        }
    }
}
