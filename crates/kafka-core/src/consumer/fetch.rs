//! Fetch requests and answers: one incremental session with each broker (KIP-227), topics by id from version 13 on
//! (KIP-516). Pure.
//!
//! Within a session only what changed is sent, and the broker answers only for partitions with news. Requests of a
//! session are numbered, so one is in flight at a time; the records that came are read meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::decode::Answer;
use super::position::Wanted;
use crate::{ErrorCode, TopicPartition};

/// The first version that names topics by id.
pub(crate) const TOPIC_IDS_FROM: i16 = 13;

/// What every fetch of a consumer has in common.
#[derive(Debug, Clone)]
pub(crate) struct FetchLimits {
    /// `fetch.max.wait.ms`.
    pub(crate) max_wait_ms: i32,
    /// `fetch.min.bytes`.
    pub(crate) min_bytes: i32,
    /// `max.partition.fetch.bytes`.
    pub(crate) max_partition_bytes: i32,
    /// `isolation.level=read_committed`.
    pub(crate) read_committed: bool,
    /// Whether control records are wanted.
    pub(crate) control_records: bool,
    /// `client.rack`.
    pub(crate) rack: String,
}

/// The session with one broker.
#[derive(Debug, Default)]
pub(crate) struct Session {
    id: i32,
    /// 0 opens a new session with a full request.
    epoch: i32,
    /// What the broker believes we want, by the last request.
    sent: BTreeMap<TopicPartition, Wanted>,
}

/// What a broker says of one partition.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) partition: TopicPartition,
    /// What was asked for.
    pub(crate) wanted: Wanted,
    pub(crate) code: ErrorCode,
    /// The follower that the leader asks us to read from.
    pub(crate) preferred_replica: Option<i32>,
    pub(crate) answer: Answer,
}

impl Session {
    /// The next request: everything when a session opens, else the difference to the last one.
    pub(crate) fn request(
        &mut self,
        wanted: BTreeMap<TopicPartition, Wanted>,
        limits: &FetchLimits,
        max_bytes: i32,
        version: i16,
    ) -> FetchRequest {
        let is_full = self.epoch == 0;
        let changed =
            wanted.iter().filter(|(partition, wanted)| is_full || self.sent.get(partition) != Some(wanted));
        let topics = fetch_topics(changed, limits.max_partition_bytes, version);
        // A topic that was created anew is another topic: the old one has to be forgotten.
        let is_gone = |(partition, sent): &(&TopicPartition, &Wanted)| {
            wanted.get(*partition).is_none_or(|wanted| wanted.topic_id != sent.topic_id)
        };
        let forgotten =
            if is_full { Vec::new() } else { forgotten_topics(self.sent.iter().filter(is_gone), version) };
        self.sent = wanted;
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(limits.max_wait_ms)
            .with_min_bytes(limits.min_bytes)
            .with_max_bytes(max_bytes)
            .with_isolation_level(i8::from(limits.read_committed))
            .with_session_id(if version >= 7 { self.id } else { 0 })
            .with_session_epoch(if version >= 7 { self.epoch } else { -1 })
            .with_topics(topics)
            .with_forgotten_topics_data(forgotten)
            .with_rack_id(if version >= 11 { text(&limits.rack) } else { StrBytes::default() })
    }

    /// Reads the answer to the last request.
    ///
    /// # Errors
    /// The code of the whole answer. The session then starts over.
    pub(crate) fn handle(
        &mut self,
        response: FetchResponse,
        limits: &FetchLimits,
    ) -> Result<Vec<Fetched>, ErrorCode> {
        if let Err(code) = ErrorCode(response.error_code).check() {
            self.reset();
            return Err(code);
        }
        if response.session_id == 0 {
            // The broker keeps no session for us: every request is a full one.
            (self.id, self.epoch) = (0, 0);
        } else {
            self.id = response.session_id;
            self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        }
        Ok(self.read(response, limits))
    }

    /// Starts over with a full request, after an error or a lost connection.
    pub(crate) fn reset(&mut self) {
        (self.id, self.epoch) = (0, 0);
        self.sent.clear();
    }

    fn read(&self, response: FetchResponse, limits: &FetchLimits) -> Vec<Fetched> {
        let names: HashMap<Uuid, &Arc<str>> =
            self.sent.iter().map(|(partition, wanted)| (wanted.topic_id, &partition.topic)).collect();
        let mut all = Vec::new();
        for topic in response.responses {
            let name: Arc<str> = if topic.topic.is_empty() {
                // A topic that was not asked for is no concern of ours.
                let Some(name) = names.get(&topic.topic_id) else { continue };
                Arc::clone(name)
            } else {
                (**topic.topic).into()
            };
            for data in topic.partitions {
                let partition = TopicPartition { topic: Arc::clone(&name), partition: data.partition_index };
                let Some(wanted) = self.sent.get(&partition).copied() else { continue };
                all.push(read_partition(partition, wanted, data, limits));
            }
        }
        all
    }
}

fn read_partition(
    partition: TopicPartition,
    wanted: Wanted,
    data: PartitionData,
    limits: &FetchLimits,
) -> Fetched {
    let aborted = data.aborted_transactions.unwrap_or_default();
    let end_offset = if limits.read_committed { data.last_stable_offset } else { data.high_watermark };
    Fetched {
        partition,
        wanted,
        code: ErrorCode(data.error_code),
        preferred_replica: Some(data.preferred_read_replica.0).filter(|id| *id >= 0),
        answer: Answer {
            bytes: data.records.unwrap_or_default(),
            aborted: aborted.into_iter().map(|one| (one.producer_id.0, one.first_offset)).collect(),
            read_committed: limits.read_committed,
            control_records: limits.control_records,
            end_offset,
        },
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn fetch_topics<'a>(
    partitions: impl Iterator<Item = (&'a TopicPartition, &'a Wanted)>,
    max_bytes: i32,
    version: i16,
) -> Vec<FetchTopic> {
    let mut topics: Vec<(&Arc<str>, FetchTopic)> = Vec::new();
    for (partition, wanted) in partitions {
        // The map is sorted, so partitions of one topic come one after the other.
        if topics.last().is_none_or(|(name, _)| **name != partition.topic) {
            let topic = if version >= TOPIC_IDS_FROM {
                FetchTopic::default().with_topic_id(wanted.topic_id)
            } else {
                FetchTopic::default().with_topic(TopicName(text(&partition.topic)))
            };
            topics.push((&partition.topic, topic));
        }
        let entry = FetchPartition::default()
            .with_partition(partition.partition)
            .with_current_leader_epoch(if version >= 9 { wanted.leader_epoch } else { -1 })
            .with_fetch_offset(wanted.offset)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(max_bytes);
        if let Some((_, topic)) = topics.last_mut() {
            topic.partitions.push(entry);
        }
    }
    topics.into_iter().map(|(_, topic)| topic).collect()
}

fn forgotten_topics<'a>(
    partitions: impl Iterator<Item = (&'a TopicPartition, &'a Wanted)>,
    version: i16,
) -> Vec<ForgottenTopic> {
    let mut topics: BTreeMap<(&Arc<str>, Uuid), Vec<i32>> = BTreeMap::new();
    for (partition, sent) in partitions {
        topics.entry((&partition.topic, sent.topic_id)).or_default().push(partition.partition);
    }
    let forgotten = |((name, id), partitions): ((&Arc<str>, Uuid), Vec<i32>)| {
        let topic = ForgottenTopic::default().with_partitions(partitions);
        if version >= TOPIC_IDS_FROM {
            topic.with_topic_id(id)
        } else {
            topic.with_topic(TopicName(text(name)))
        }
    };
    topics.into_iter().map(forgotten).collect()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::fetch_response::FetchableTopicResponse;
    use kafka_protocol::protocol::Encodable;

    use super::*;
    use crate::wire::Api;

    fn limits() -> FetchLimits {
        FetchLimits {
            max_wait_ms: 500,
            min_bytes: 1,
            max_partition_bytes: 1024,
            read_committed: false,
            control_records: false,
            rack: "r".into(),
        }
    }

    fn wants(offsets: &[(i32, i64)]) -> BTreeMap<TopicPartition, Wanted> {
        let wanted = |offset| Wanted { topic_id: Uuid::from_u128(1), offset, leader_epoch: 3 };
        offsets
            .iter()
            .map(|(partition, offset)| (TopicPartition::new("t", *partition), wanted(*offset)))
            .collect()
    }

    fn asked(request: &FetchRequest) -> Vec<(i32, i64)> {
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| (partition.partition, partition.fetch_offset)).collect()
    }

    fn answer(session_id: i32) -> FetchResponse {
        FetchResponse::default().with_session_id(session_id)
    }

    #[test]
    fn a_session_opens_with_everything_and_then_sends_what_changed() {
        let mut session = Session::default();
        let first = session.request(wants(&[(0, 5), (1, 5), (2, 5)]), &limits(), 9, 17);
        assert_eq!((first.session_id, first.session_epoch), (0, 0));
        assert_eq!(asked(&first), [(0, 5), (1, 5), (2, 5)]);
        session.handle(answer(77), &limits()).unwrap();
        let second = session.request(wants(&[(0, 5), (1, 8)]), &limits(), 9, 17);
        assert_eq!((second.session_id, second.session_epoch), (77, 1));
        assert_eq!(asked(&second), [(1, 8)]);
        assert_eq!(second.forgotten_topics_data[0].partitions, [2]);
        session.handle(answer(77), &limits()).unwrap();
        let third = session.request(wants(&[(0, 5), (1, 8)]), &limits(), 9, 17);
        assert_eq!((third.session_epoch, asked(&third)), (2, vec![]));
    }

    #[test]
    fn a_lost_session_starts_over_with_everything() {
        let mut session = Session::default();
        session.request(wants(&[(0, 5)]), &limits(), 9, 17);
        session.handle(answer(77), &limits()).unwrap();
        session.request(wants(&[(0, 6)]), &limits(), 9, 17);
        let lost = answer(0).with_error_code(ErrorCode::FETCH_SESSION_ID_NOT_FOUND.0);
        assert_eq!(session.handle(lost, &limits()).unwrap_err(), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        let again = session.request(wants(&[(0, 6)]), &limits(), 9, 17);
        assert_eq!((again.session_id, again.session_epoch, asked(&again)), (0, 0, vec![(0, 6)]));
    }

    #[test]
    fn a_broker_that_keeps_no_session_is_asked_for_everything_each_time() {
        let mut session = Session::default();
        for _ in 0..2 {
            let request = session.request(wants(&[(0, 5)]), &limits(), 9, 17);
            assert_eq!((request.session_epoch, asked(&request)), (0, vec![(0, 5)]));
            session.handle(answer(0), &limits()).unwrap();
        }
    }

    #[test]
    fn a_topic_created_anew_is_forgotten_under_its_old_id_and_asked_for_under_the_new_one() {
        let mut session = Session::default();
        session.request(wants(&[(0, 5)]), &limits(), 9, 17);
        session.handle(answer(77), &limits()).unwrap();
        let mut anew = wants(&[(0, 0)]);
        anew.values_mut().for_each(|wanted| wanted.topic_id = Uuid::from_u128(2));
        let request = session.request(anew, &limits(), 9, 17);
        assert_eq!(request.forgotten_topics_data[0].topic_id, Uuid::from_u128(1));
        assert_eq!(request.topics[0].topic_id, Uuid::from_u128(2));
    }

    #[test]
    fn partitions_that_nobody_asked_for_are_ignored() {
        let mut session = Session::default();
        session.request(wants(&[(0, 5)]), &limits(), 9, 17);
        let topic = |id| {
            let partitions = vec![
                PartitionData::default().with_partition_index(0),
                PartitionData::default().with_partition_index(9),
            ];
            FetchableTopicResponse::default().with_topic_id(Uuid::from_u128(id)).with_partitions(partitions)
        };
        let response = answer(1).with_responses(vec![topic(1), topic(5)]);
        let fetched = session.handle(response, &limits()).unwrap();
        assert_eq!(fetched.len(), 1);
        assert_eq!(fetched[0].partition, TopicPartition::new("t", 0));
    }

    #[test]
    fn the_request_can_be_written_in_every_version_we_speak() {
        for version in <FetchRequest as Api>::MIN..=<FetchRequest as Api>::MAX {
            let mut session = Session::default();
            session.request(wants(&[(0, 5), (1, 5)]), &limits(), 9, version);
            session.handle(answer(77), &limits()).unwrap();
            let request = session.request(wants(&[(0, 6)]), &limits(), 9, version);
            if version < 7 {
                continue;
            }
            let encoded = request.encode(&mut BytesMut::new(), version);
            assert!(encoded.is_ok(), "version {version}: {encoded:?}");
        }
    }
}
