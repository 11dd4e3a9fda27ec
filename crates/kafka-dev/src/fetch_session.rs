//! Fetch sessions (KIP-227): the broker remembers what a client fetches, and both sides tell only what changed.
//!
//! Pure: no sockets, no logs. Reading is `api::fetch`.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use uuid::Uuid;

/// Sessions kept, as Kafka's `max.incremental.fetch.session.cache.slots`. Beyond it, answers are full.
const MAX_SESSIONS: usize = 1000;
/// Epochs of a request that wants no session, or a new one.
const NO_SESSION: i32 = -1;
const NEW_SESSION: i32 = 0;

/// What the client was last told about a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    high_watermark: i64,
    last_stable_offset: i64,
    log_start_offset: i64,
}

#[derive(Debug)]
struct Entry {
    topic: TopicName,
    topic_id: Uuid,
    partition: FetchPartition,
    told: Option<Told>,
}

impl Entry {
    fn is(&self, topic: &TopicName, topic_id: Uuid, partition: i32) -> bool {
        self.topic == *topic && self.topic_id == topic_id && self.partition.partition == partition
    }
}

#[derive(Debug)]
struct Session {
    broker: i32,
    /// Of the next request.
    epoch: i32,
    /// In the order of reading: who got records last comes last.
    entries: Vec<Entry>,
}

/// All sessions of the cluster.
#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    by_id: BTreeMap<i32, Session>,
    last_id: i32,
}

/// How a request is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything asked for, without a session.
    Full,
    /// Everything, as the first answer of this session.
    First(i32),
    /// What changed since the last answer of this session.
    Changes(i32),
}

impl FetchSessions {
    /// Fills in what the client left out because the session knows it.
    pub(crate) fn open(&mut self, broker: i32, request: &mut FetchRequest) -> Result<Scope, ResponseError> {
        let id = request.session_id;
        if request.session_epoch == NO_SESSION || request.session_epoch == NEW_SESSION {
            self.by_id.remove(&id);
            if request.session_epoch == NO_SESSION || self.by_id.len() >= MAX_SESSIONS {
                return Ok(Scope::Full);
            }
            return Ok(Scope::First(self.begin(broker, request)));
        }
        let session = self.by_id.get_mut(&id).filter(|session| session.broker == broker);
        let session = session.ok_or(ResponseError::FetchSessionIdNotFound)?;
        if request.session_epoch != session.epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        session.epoch = next_epoch(session.epoch);
        session.update(request);
        request.topics = session.topics();
        Ok(Scope::Changes(id))
    }

    fn begin(&mut self, broker: i32, request: &FetchRequest) -> i32 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let mut session = Session { broker, epoch: 1, entries: Vec::new() };
        session.update(request);
        self.by_id.insert(self.last_id, session);
        self.last_id
    }

    /// Leaves out of an answer what the client knows already.
    pub(crate) fn close(&mut self, scope: Scope, response: FetchResponse) -> FetchResponse {
        let (id, only_changes) = match scope {
            Scope::Full => return response,
            Scope::First(id) => (id, false),
            Scope::Changes(id) => (id, true),
        };
        let Some(session) = self.by_id.get_mut(&id) else { return response };
        let mut response = response.with_session_id(id);
        for topic in &mut response.responses {
            let (name, topic_id) = (topic.topic.clone(), topic.topic_id);
            topic.partitions.retain(|data| session.tell(&name, topic_id, data) || !only_changes);
        }
        response.responses.retain(|topic: &FetchableTopicResponse| !topic.partitions.is_empty());
        response
    }

    /// Forgets the sessions of a broker that stopped.
    pub(crate) fn forget_broker(&mut self, broker: i32) {
        self.by_id.retain(|_, session| session.broker != broker);
    }
}

impl Session {
    fn update(&mut self, request: &FetchRequest) {
        for gone in &request.forgotten_topics_data {
            for partition in &gone.partitions {
                self.entries.retain(|entry| !entry.is(&gone.topic, gone.topic_id, *partition));
            }
        }
        for topic in &request.topics {
            for partition in &topic.partitions {
                self.set(&topic.topic, topic.topic_id, partition);
            }
        }
    }

    fn set(&mut self, topic: &TopicName, topic_id: Uuid, partition: &FetchPartition) {
        let mut known = self.entries.iter_mut();
        match known.find(|entry| entry.is(topic, topic_id, partition.partition)) {
            Some(entry) => entry.partition = partition.clone(),
            None => self.entries.push(Entry {
                topic: TopicName(kafka_protocol::protocol::StrBytes::from_string(topic.to_string())),
                topic_id,
                partition: partition.clone(),
                told: None,
            }),
        }
    }

    /// All partitions, in the order of reading.
    fn topics(&self) -> Vec<FetchTopic> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        for entry in &self.entries {
            let same =
                |topic: &&mut FetchTopic| topic.topic == entry.topic && topic.topic_id == entry.topic_id;
            match topics.last_mut().filter(same) {
                Some(topic) => topic.partitions.push(entry.partition.clone()),
                None => topics.push(
                    FetchTopic::default()
                        .with_topic(entry.topic.clone())
                        .with_topic_id(entry.topic_id)
                        .with_partitions(vec![entry.partition.clone()]),
                ),
            }
        }
        topics
    }

    /// Notes what the client is told; whether any of it is new.
    fn tell(&mut self, topic: &TopicName, topic_id: Uuid, data: &PartitionData) -> bool {
        let at = self.entries.iter().position(|entry| entry.is(topic, topic_id, data.partition_index));
        let Some(at) = at else { return true };
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        let now = Told {
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
        };
        let mut entry = self.entries.remove(at);
        // An error is told again as long as it lasts.
        let news = has_records || data.error_code != 0 || entry.told != Some(now);
        entry.told = Some(now).filter(|_| data.error_code == 0);
        let back = if has_records { self.entries.len() } else { at };
        self.entries.insert(back, entry);
        news
    }
}

/// Epochs wrap to 1: 0 asks for a new session.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use kafka_protocol::messages::fetch_request::ForgottenTopic;
    use kafka_protocol::protocol::StrBytes;

    fn name() -> TopicName {
        TopicName(StrBytes::from_static_str("t"))
    }

    fn request(id: i32, epoch: i32, partitions: &[i32]) -> FetchRequest {
        let partitions = partitions.iter().map(|at| FetchPartition::default().with_partition(*at)).collect();
        let topic = FetchTopic::default().with_topic(name()).with_partitions(partitions);
        FetchRequest::default().with_session_id(id).with_session_epoch(epoch).with_topics(vec![topic])
    }

    fn answer(partitions: &[(i32, i64, &'static [u8])]) -> FetchResponse {
        let partitions = partitions.iter().map(|(at, high_watermark, records)| {
            PartitionData::default()
                .with_partition_index(*at)
                .with_high_watermark(*high_watermark)
                .with_records(Some(Bytes::from_static(records)))
        });
        let topic =
            FetchableTopicResponse::default().with_topic(name()).with_partitions(partitions.collect());
        FetchResponse::default().with_responses(vec![topic])
    }

    fn told(response: &FetchResponse) -> Vec<i32> {
        response
            .responses
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|data| data.partition_index)
            .collect()
    }

    fn begun() -> (FetchSessions, i32) {
        let mut sessions = FetchSessions::default();
        let scope = sessions.open(1, &mut request(0, 0, &[0, 1])).unwrap();
        let response = sessions.close(scope, answer(&[(0, 5, b""), (1, 5, b"")]));
        assert_eq!(told(&response), [0, 1]);
        (sessions, response.session_id)
    }

    #[test]
    fn later_answers_tell_only_what_changed() {
        let (mut sessions, id) = begun();
        let mut next = request(id, 1, &[]);
        let scope = sessions.open(1, &mut next).unwrap();
        assert_eq!(next.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>(), 2);
        let response = sessions.close(scope, answer(&[(0, 5, b""), (1, 6, b"x")]));
        assert_eq!((told(&response), response.session_id), (vec![1], id));
    }

    #[test]
    fn who_got_records_is_read_last_the_next_time() {
        let (mut sessions, id) = begun();
        let scope = sessions.open(1, &mut request(id, 1, &[])).unwrap();
        sessions.close(scope, answer(&[(0, 6, b"x"), (1, 5, b"")]));
        let mut next = request(id, 2, &[]);
        sessions.open(1, &mut next).unwrap();
        let order: Vec<i32> = next.topics[0].partitions.iter().map(|partition| partition.partition).collect();
        assert_eq!(order, [1, 0]);
    }

    #[test]
    fn a_wrong_epoch_and_an_unknown_session_are_refused() {
        let (mut sessions, id) = begun();
        let wrong = sessions.open(1, &mut request(id, 7, &[]));
        assert_eq!(wrong, Err(ResponseError::InvalidFetchSessionEpoch));
        let unknown = sessions.open(1, &mut request(id + 1, 1, &[]));
        assert_eq!(unknown, Err(ResponseError::FetchSessionIdNotFound));
        let elsewhere = sessions.open(2, &mut request(id, 1, &[]));
        assert_eq!(elsewhere, Err(ResponseError::FetchSessionIdNotFound));
    }

    #[test]
    fn forgotten_partitions_are_read_no_more() {
        let (mut sessions, id) = begun();
        let forgotten = ForgottenTopic::default().with_topic(name()).with_partitions(vec![0]);
        let mut next = request(id, 1, &[]).with_forgotten_topics_data(vec![forgotten]);
        sessions.open(1, &mut next).unwrap();
        assert_eq!(next.topics[0].partitions[0].partition, 1);
    }

    #[test]
    fn closing_a_session_ends_it() {
        let (mut sessions, id) = begun();
        assert_eq!(sessions.open(1, &mut request(id, -1, &[0])), Ok(Scope::Full));
        let gone = sessions.open(1, &mut request(id, 1, &[]));
        assert_eq!(gone, Err(ResponseError::FetchSessionIdNotFound));
    }
}
