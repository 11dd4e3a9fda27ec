//! When records were written: the timestamp of the first record at or after an offset, which only the record itself
//! tells. One small Fetch per leader; a partition whose batch is larger than that is asked again for more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{BrokerId, FetchRequest};
use uuid::Uuid;

use super::driver::Call;
use super::names::{by_topic, check, topic_name};
use super::stage::{Lookup, Stage};
use super::{Admin, OffsetSpec, Outcome};
use crate::consumer::TOPIC_IDS_FROM;
use crate::consumer::decode::{Answer, decode};
use crate::error::{Error, Result};
use crate::wire::Api;
use crate::{ErrorCode, TopicPartition};

/// Bytes per partition and partitions per request, round by round; the last one again and again.
const ROUNDS: [(i32, usize); 3] = [(16 * 1024, 1_000), (256 * 1024, 50), (1024 * 1024, 1)];
/// A broker sends the first batch of a request whole, however large it is (KIP-74): a request for one partition always gets
/// on. Only markers of transactions, batch after batch, can use up so many rounds.
const MAX_ROUNDS: usize = 6;

type Positions = BTreeMap<TopicPartition, i64>;

/// What one answer told of a partition.
#[derive(Debug)]
enum Step {
    /// The record's timestamp.
    Found(i64),
    /// No record is there.
    Nothing,
    /// No record before this offset: markers of transactions, or what compaction left.
    From(i64),
    /// The batch was cut off.
    More(Error),
    /// The offset lies before the first record.
    Deleted,
}

impl Admin {
    /// The timestamp (milliseconds since 1970) of the first record at or after each offset; `None` where no record is
    /// there (yet). Offsets whose records were deleted stand for the first record that is left. Needs the permission to
    /// read the topics.
    pub async fn record_times(&self, positions: Positions) -> Vec<Outcome<TopicPartition, Option<i64>>> {
        let call = self.call("reading the time of records");
        let ids = match self.topic_ids(&positions).await {
            Ok(ids) => ids,
            Err(error) => {
                return positions.into_keys().map(|key| Outcome::new(key, Err(error.clone()))).collect();
            }
        };
        let ids = Arc::new(ids);
        let mut search = Search { left: positions, ..Search::default() };
        let rounds = ROUNDS.into_iter().chain(std::iter::repeat(ROUNDS[ROUNDS.len() - 1]));
        for (max_bytes, batch) in rounds.take(MAX_ROUNDS) {
            let round = Round { positions: search.left.clone(), ids: Arc::clone(&ids), max_bytes };
            let deleted = search.handle_steps(round.fetch(&call, batch).await);
            search.handle_first_offsets(self.first_offsets(deleted).await);
        }
        search.into_outcomes()
    }

    async fn topic_ids(&self, positions: &Positions) -> Result<HashMap<Arc<str>, Uuid>> {
        let mut names: Vec<_> = positions.keys().map(|key| Arc::clone(&key.topic)).collect();
        names.dedup();
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let metadata = self.snapshot(Some(&names)).await?;
        Ok(metadata.topics().map(|topic| (Arc::clone(&topic.name), topic.id)).collect())
    }

    async fn first_offsets(&self, keys: Vec<TopicPartition>) -> Vec<Outcome<TopicPartition, Option<i64>>> {
        let specs = keys.into_iter().map(|key| (key, OffsetSpec::Earliest)).collect();
        let listed = self.list_offsets(specs, Default::default()).await;
        listed.into_iter().map(|one| Outcome::new(one.key, one.result.map(|listed| listed.offset))).collect()
    }
}

/// The partitions of one call: where each goes on, and what became of those that are through. Pure.
#[derive(Debug, Default)]
struct Search {
    left: Positions,
    done: BTreeMap<TopicPartition, Result<Option<i64>>>,
    /// Why the last answer about a partition was not enough.
    cut: HashMap<TopicPartition, Error>,
}

impl Search {
    /// Takes the answers of a round; those whose record was deleted, so that its successor has to be found.
    fn handle_steps(&mut self, outcomes: Vec<Outcome<TopicPartition, Step>>) -> Vec<TopicPartition> {
        let mut deleted = Vec::new();
        for Outcome { key, result } in outcomes {
            match result {
                // A record without a timestamp says -1.
                Ok(Step::Found(time)) => self.finish(key, Ok(Some(time).filter(|ms| *ms >= 0))),
                Ok(Step::Nothing) => self.finish(key, Ok(None)),
                Ok(Step::From(offset)) => drop(self.left.insert(key, offset)),
                Ok(Step::More(error)) => drop(self.cut.insert(key, error)),
                Ok(Step::Deleted) => deleted.push(key),
                Err(error) => self.finish(key, Err(error)),
            }
        }
        deleted
    }

    /// Takes the first offsets of partitions whose records were deleted.
    fn handle_first_offsets(&mut self, firsts: Vec<Outcome<TopicPartition, Option<i64>>>) {
        for Outcome { key, result } in firsts {
            match result {
                Ok(Some(offset)) => drop(self.left.insert(key, offset)),
                Ok(None) => self.finish(key, Ok(None)),
                Err(error) => self.finish(key, Err(error)),
            }
        }
    }

    fn finish(&mut self, key: TopicPartition, result: Result<Option<i64>>) {
        self.left.remove(&key);
        self.done.insert(key, result);
    }

    fn into_outcomes(mut self) -> Vec<Outcome<TopicPartition, Option<i64>>> {
        for key in std::mem::take(&mut self.left).into_keys() {
            let error = self.cut.remove(&key).unwrap_or_else(|| Error::Corrupt {
                subject: key.to_string(),
                reason: "there are only markers of transactions, for as far as was read".into(),
            });
            self.done.insert(key, Err(error));
        }
        self.done.into_iter().map(|(key, result)| Outcome { key, result }).collect()
    }
}

/// One look at partitions: where each of them is looked at, and how much is taken of it.
struct Round {
    positions: Positions,
    ids: Arc<HashMap<Arc<str>, Uuid>>,
    max_bytes: i32,
}

impl Round {
    async fn fetch(self, call: &Call, batch: usize) -> Vec<Outcome<TopicPartition, Step>> {
        let keys: Vec<_> = self.positions.keys().cloned().collect();
        let round = Arc::new(self);
        let asking = Arc::clone(&round);
        let build = move |keys: &[TopicPartition], version| Ok(asking.request(keys, version));
        let read = move |keys: &[TopicPartition], answer| round.read(keys, answer);
        call.run(Stage::new(Lookup::Leader(Clone::clone), build, read).at_most(batch), keys).await
    }

    /// A full fetch outside of any session, which does not wait for records.
    fn request(&self, keys: &[TopicPartition], version: i16) -> FetchRequest {
        let partition = |key: &TopicPartition| {
            let partition = FetchPartition::default()
                .with_partition(key.partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(self.positions.get(key).copied().unwrap_or_default())
                .with_log_start_offset(-1)
                .with_partition_max_bytes(self.max_bytes);
            (Arc::clone(&key.topic), partition)
        };
        let topic = |(name, partitions): (Arc<str>, Vec<_>)| {
            let topic = FetchTopic::default().with_partitions(partitions);
            if version >= TOPIC_IDS_FROM {
                topic.with_topic_id(self.ids.get(&name).copied().unwrap_or_default())
            } else {
                topic.with_topic(topic_name(&name))
            }
        };
        let total = self.max_bytes.saturating_mul(i32::try_from(keys.len()).unwrap_or(i32::MAX));
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(0)
            .with_min_bytes(0)
            .with_max_bytes(total)
            .with_session_epoch(-1)
            .with_topics(by_topic(keys.iter().map(partition)).into_iter().map(topic).collect())
    }

    fn read(
        &self,
        keys: &[TopicPartition],
        answer: <FetchRequest as Api>::Response,
    ) -> Vec<(TopicPartition, Result<Step>)> {
        if let Err(error) = check::<FetchRequest>("fetch", answer.error_code, None) {
            return keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect();
        }
        let mut results = Vec::new();
        for topic in answer.responses {
            let Some(name) = self.name(&topic) else { continue };
            for data in topic.partitions {
                let key = TopicPartition { topic: Arc::clone(&name), partition: data.partition_index };
                let Some(offset) = self.positions.get(&key) else { continue };
                let step = step(&key, *offset, data);
                results.push((key, step));
            }
        }
        results
    }

    /// The topic's name, which newer versions leave out.
    fn name(&self, topic: &FetchableTopicResponse) -> Option<Arc<str>> {
        if topic.topic.is_empty() {
            self.ids.iter().find(|(_, id)| **id == topic.topic_id).map(|(name, _)| Arc::clone(name))
        } else {
            Some((&**topic.topic).into())
        }
    }
}

fn step(key: &TopicPartition, offset: i64, data: PartitionData) -> Result<Step> {
    if ErrorCode(data.error_code) == ErrorCode::OFFSET_OUT_OF_RANGE {
        return Ok(Step::Deleted);
    }
    check::<FetchRequest>(key.to_string(), data.error_code, None)?;
    let bytes = data.records.unwrap_or_default();
    if bytes.is_empty() {
        return Ok(if offset < data.high_watermark {
            // The whole answer was full before it was this partition's turn.
            Step::From(offset)
        } else {
            Step::Nothing
        });
    }
    let answer = Answer { bytes, end_offset: data.high_watermark, ..Answer::default() };
    let records = match decode(key, offset, answer) {
        Ok(records) => records,
        Err(error) => return Ok(Step::More(error)),
    };
    for batch in records.batches() {
        if let Some(record) = batch?.records().next() {
            return Ok(Step::Found(record?.timestamp));
        }
    }
    let next = records.next_offset();
    Ok(if next < data.high_watermark { Step::From(next) } else { Step::Nothing })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// An uncompressed batch of one record at `offset`, or a marker of a transaction where `control`.
    fn batch(offset: i64, timestamp: i64, control: bool) -> Vec<u8> {
        let record: &[u8] = &[12, 0, 0, 0, 1, 1, 0];
        let attributes: i16 = if control { 0x30 } else { 0 };
        let mut checked = [&attributes.to_be_bytes()[..], &0_i32.to_be_bytes()].concat();
        checked.extend([timestamp.to_be_bytes(), timestamp.to_be_bytes(), (-1_i64).to_be_bytes()].concat());
        checked.extend([&[0xff; 2][..], &[0xff; 4], &1_i32.to_be_bytes(), record].concat());
        let crc = crc32c::crc32c(&checked);
        let length = i32::try_from(9 + checked.len()).unwrap();
        let head = [&offset.to_be_bytes()[..], &length.to_be_bytes(), &[0; 4], &[2], &crc.to_be_bytes()];
        [&head.concat()[..], &checked].concat()
    }

    fn stepped(offset: i64, end: i64, bytes: Vec<u8>, code: i16) -> Step {
        let data = PartitionData::default().with_error_code(code).with_high_watermark(end);
        step(&TopicPartition::new("t", 0), offset, data.with_records(Some(Bytes::from(bytes)))).unwrap()
    }

    #[test]
    fn the_first_record_at_or_after_the_offset_tells_the_time() {
        let two = [batch(4, 400, false), batch(5, 500, false)].concat();
        assert!(matches!(stepped(4, 6, two.clone(), 0), Step::Found(400)));
        assert!(matches!(stepped(5, 6, two, 0), Step::Found(500)));
    }

    #[test]
    fn a_search_goes_on_from_where_it_was_led_and_ends_with_a_result_for_each() {
        let key = |partition| TopicPartition::new("t", partition);
        let left = (0..5).map(|partition| (key(partition), 10)).collect();
        let mut search = Search { left, ..Search::default() };
        let cut = || Error::Corrupt { subject: "t[2]".into(), reason: "cut off".into() };
        let steps = [Step::Found(7), Step::From(12), Step::More(cut()), Step::Deleted, Step::Nothing];
        let outcomes = (0..).map(key).zip(steps).map(|(key, step)| Outcome::new(key, Ok(step)));
        let deleted = search.handle_steps(outcomes.collect());
        assert_eq!(deleted, [key(3)]);
        search.handle_first_offsets(vec![Outcome::new(key(3), Ok(Some(40)))]);
        assert_eq!(search.left, Positions::from([(key(1), 12), (key(2), 10), (key(3), 40)]));
        search.handle_steps(vec![Outcome::new(key(1), Ok(Step::Found(8)))]);
        let ended: Vec<_> = search.into_outcomes().into_iter().map(|one| one.result.ok()).collect();
        assert_eq!(ended, [Some(Some(7)), Some(Some(8)), None, None, Some(None)]);
    }

    #[test]
    fn markers_of_transactions_are_no_records() {
        let marker = batch(4, 400, true);
        assert!(matches!(stepped(4, 5, marker.clone(), 0), Step::Nothing));
        assert!(matches!(stepped(4, 9, marker.clone(), 0), Step::From(5)));
        assert!(matches!(stepped(4, 6, [marker, batch(5, 500, false)].concat(), 0), Step::Found(500)));
    }

    #[test]
    fn a_batch_that_was_cut_off_is_asked_for_again() {
        let mut whole = batch(4, 400, false);
        whole.truncate(whole.len() - 1);
        assert!(matches!(stepped(4, 5, whole, 0), Step::More(_)));
    }

    #[test]
    fn an_empty_answer_is_the_end_or_one_that_was_full_already() {
        assert!(matches!(stepped(4, 4, Vec::new(), 0), Step::Nothing));
        assert!(matches!(stepped(4, 5, Vec::new(), 0), Step::From(4)));
        assert!(matches!(stepped(4, -1, Vec::new(), 1), Step::Deleted));
    }
}
