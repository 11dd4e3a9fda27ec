//! Decoding against batches written by hand, independently of the producer.

use proptest::prelude::*;

use super::*;

const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

type OwnedHeaders = Vec<(Vec<u8>, Option<Vec<u8>>)>;

#[derive(Debug, Clone, Default, PartialEq)]
struct Owned {
    offset_delta: i32,
    timestamp_delta: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
}

fn value(offset_delta: i32, value: &str) -> Owned {
    Owned { offset_delta, value: Some(value.into()), ..Owned::default() }
}

fn varlong(out: &mut Vec<u8>, number: i64) {
    let mut raw = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push(u8::try_from(raw & 0x7f).unwrap() | 0x80);
        raw >>= 7;
    }
    out.push(u8::try_from(raw).unwrap());
}

fn nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    varlong(out, bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap()));
    out.extend_from_slice(bytes.unwrap_or_default());
}

fn encode_record(record: &Owned) -> Vec<u8> {
    let mut body = vec![0];
    varlong(&mut body, record.timestamp_delta);
    varlong(&mut body, i64::from(record.offset_delta));
    nullable(&mut body, record.key.as_deref());
    nullable(&mut body, record.value.as_deref());
    varlong(&mut body, i64::try_from(record.headers.len()).unwrap());
    for (name, value) in &record.headers {
        nullable(&mut body, Some(name));
        nullable(&mut body, value.as_deref());
    }
    let mut framed = Vec::new();
    varlong(&mut framed, i64::try_from(body.len()).unwrap());
    framed.extend_from_slice(&body);
    framed
}

#[derive(Debug, Clone)]
struct TestBatch {
    base_offset: i64,
    last_offset_delta: i32,
    attributes: i16,
    producer_id: i64,
    count: i32,
    records: Vec<u8>,
}

impl TestBatch {
    fn new(base_offset: i64, records: &[Owned]) -> Self {
        Self {
            base_offset,
            last_offset_delta: records.last().map_or(0, |record| record.offset_delta),
            attributes: 0,
            producer_id: -1,
            count: i32::try_from(records.len()).unwrap(),
            records: records.iter().flat_map(encode_record).collect(),
        }
    }

    fn of(mut self, producer_id: i64, attributes: i16) -> Self {
        (self.producer_id, self.attributes) = (producer_id, attributes);
        self
    }

    fn marker(base_offset: i64, producer_id: i64, kind: u8) -> Self {
        let record = Owned { key: Some(vec![0, 0, 0, kind]), value: Some(vec![0; 6]), ..Owned::default() };
        Self::new(base_offset, &[record]).of(producer_id, TRANSACTIONAL | CONTROL)
    }

    fn encode(&self) -> Vec<u8> {
        let mut checked = Vec::new();
        checked.extend_from_slice(&self.attributes.to_be_bytes());
        checked.extend_from_slice(&self.last_offset_delta.to_be_bytes());
        checked.extend_from_slice(&1_000_i64.to_be_bytes());
        checked.extend_from_slice(&9_000_i64.to_be_bytes());
        checked.extend_from_slice(&self.producer_id.to_be_bytes());
        checked.extend_from_slice(&0_i16.to_be_bytes());
        checked.extend_from_slice(&(-1_i32).to_be_bytes());
        checked.extend_from_slice(&self.count.to_be_bytes());
        checked.extend_from_slice(&self.records);
        let mut batch = self.base_offset.to_be_bytes().to_vec();
        batch.extend_from_slice(&i32::try_from(checked.len() + 9).unwrap().to_be_bytes());
        batch.extend_from_slice(&7_i32.to_be_bytes());
        batch.push(2);
        batch.extend_from_slice(&crc32c::crc32c(&checked).to_be_bytes());
        batch.extend_from_slice(&checked);
        batch
    }
}

fn answer(batches: &[TestBatch]) -> Answer {
    Answer { bytes: batches.iter().flat_map(TestBatch::encode).collect(), ..Answer::default() }
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn read(records: &PartitionRecords) -> Result<Vec<(i64, Owned)>> {
    let mut all = Vec::new();
    for batch in records.batches() {
        let batch = batch?;
        for record in batch.records() {
            let record = record?;
            let headers = record.headers().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)));
            let owned = Owned {
                offset_delta: 0,
                timestamp_delta: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: headers.collect(),
            };
            all.push((record.offset, owned));
        }
    }
    Ok(all)
}

fn values(from: i64, answer: Answer) -> (Vec<(i64, String)>, i64) {
    let decoded = decode(&partition(), from, answer).unwrap();
    let text = |owned: Owned| String::from_utf8(owned.value.unwrap()).unwrap();
    let all = read(&decoded).unwrap().into_iter().map(|(offset, owned)| (offset, text(owned))).collect();
    (all, decoded.next_offset())
}

fn pairs(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(offset, text)| (*offset, (*text).to_owned())).collect()
}

#[test]
fn records_before_the_wanted_offset_are_left_out() {
    let batch = TestBatch::new(40, &[value(0, "a"), value(1, "b"), value(2, "c")]);
    assert_eq!(values(41, answer(&[batch])), (pairs(&[(41, "b"), (42, "c")]), 43));
}

#[test]
fn a_truncated_last_batch_is_kept_out_and_fetched_again() {
    let mut cut = answer(&[TestBatch::new(0, &[value(0, "a")]), TestBatch::new(1, &[value(0, "b")])]);
    for length in cut.bytes.len() / 2 + 1..cut.bytes.len() {
        let bytes = cut.bytes.slice(..length);
        assert_eq!(values(0, Answer { bytes, ..Answer::default() }), (pairs(&[(0, "a")]), 1));
    }
    cut.bytes.truncate(30);
    let error = decode(&partition(), 0, cut).unwrap_err();
    assert_eq!(error.to_string(), "t[0] @0: the answer holds no whole batch");
}

#[test]
fn the_position_passes_a_compacted_tail_that_holds_no_record() {
    let mut batch = TestBatch::new(10, &[value(0, "a")]);
    batch.last_offset_delta = 9;
    assert_eq!(values(10, answer(&[batch.clone()])), (pairs(&[(10, "a")]), 20));
    (batch.count, batch.records) = (0, Vec::new());
    assert_eq!(values(10, answer(&[batch])), (vec![], 20));
}

#[test]
fn log_append_time_gives_every_record_the_greatest_timestamp_of_the_batch() {
    let record = Owned { timestamp_delta: 5, ..value(0, "a") };
    let created =
        decode(&partition(), 0, answer(&[TestBatch::new(0, std::slice::from_ref(&record))])).unwrap();
    assert_eq!(read(&created).unwrap()[0].1.timestamp_delta, 1_005);
    let appended = TestBatch::new(0, &[record]).of(-1, LOG_APPEND_TIME);
    let appended = decode(&partition(), 0, answer(&[appended])).unwrap();
    assert_eq!(read(&appended).unwrap()[0].1.timestamp_delta, 9_000);
}

#[test]
fn control_batches_are_never_records_but_the_position_passes_them() {
    let batches = [TestBatch::new(0, &[value(0, "a")]).of(5, TRANSACTIONAL), TestBatch::marker(1, 5, 1)];
    assert_eq!(values(0, answer(&batches)), (pairs(&[(0, "a")]), 2));
    assert_eq!(values(1, answer(&batches[1..])), (vec![], 2));
}

#[test]
fn control_batches_are_handed_out_where_they_are_asked_for() {
    let batches = [TestBatch::new(0, &[value(0, "a")]).of(5, TRANSACTIONAL), TestBatch::marker(1, 5, 1)];
    let asked = Answer { control_records: true, ..answer(&batches) };
    let found = decode(&partition(), 0, asked).unwrap();
    let are_control: Vec<_> = found.batches().map(|batch| batch.unwrap().is_control()).collect();
    assert_eq!(are_control, [false, true]);
}

#[test]
fn only_committed_transactions_are_read_under_read_committed() {
    let batches = [
        TestBatch::new(0, &[value(0, "plain")]),
        TestBatch::new(1, &[value(0, "aborted")]).of(5, TRANSACTIONAL),
        TestBatch::new(2, &[value(0, "of another")]).of(6, TRANSACTIONAL),
        TestBatch::marker(3, 5, 0),
        TestBatch::new(4, &[value(0, "next")]).of(5, TRANSACTIONAL),
        TestBatch::new(5, &[value(0, "aborted later")]).of(6, TRANSACTIONAL),
        TestBatch::marker(6, 5, 1),
        TestBatch::marker(7, 6, 0),
    ];
    let committed = Answer { read_committed: true, aborted: vec![(6, 5), (5, 1)], ..answer(&batches) };
    let expected = pairs(&[(0, "plain"), (2, "of another"), (4, "next")]);
    assert_eq!(values(0, committed), (expected, 8));
    let all = Answer { aborted: vec![(5, 1)], ..answer(&batches) };
    assert_eq!(values(0, all).0.len(), 5);
}

#[test]
fn an_aborted_transaction_is_known_from_a_batch_before_the_wanted_offset() {
    let batches = [
        TestBatch::new(0, &[value(0, "x"), value(1, "y")]).of(5, TRANSACTIONAL),
        TestBatch::marker(2, 5, 0),
        TestBatch::new(3, &[value(0, "kept")]).of(5, TRANSACTIONAL),
    ];
    let committed = Answer { read_committed: true, aborted: vec![(5, 0)], ..answer(&batches) };
    assert_eq!(values(1, committed), (pairs(&[(3, "kept")]), 4));
}

#[test]
fn a_flipped_bit_is_noticed_and_what_stands_before_it_is_still_read() {
    let batches = [TestBatch::new(0, &[value(0, "a")]), TestBatch::new(1, &[value(0, "b")])];
    let mut bytes = answer(&batches).bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let both = Answer { bytes: bytes.clone().into(), ..Answer::default() };
    assert_eq!(values(0, both), (pairs(&[(0, "a")]), 1));
    let second = bytes.split_off(bytes.len() / 2);
    let error = decode(&partition(), 1, Answer { bytes: second.into(), ..Answer::default() }).unwrap_err();
    assert!(error.to_string().starts_with("t[0] @1: the checksum is "), "{error}");
}

#[test]
fn an_old_format_is_refused_by_name() {
    let mut bytes = TestBatch::new(0, &[value(0, "a")]).encode();
    bytes[16] = 1;
    let error = decode(&partition(), 0, Answer { bytes: bytes.into(), ..Answer::default() }).unwrap_err();
    assert!(error.to_string().contains("old format 1"), "{error}");
}

#[test]
fn an_answer_that_brings_the_partition_no_further_is_an_error_and_not_a_loop() {
    let error = decode(&partition(), 9, answer(&[TestBatch::new(0, &[value(0, "a")])])).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }));
    let empty = decode(&partition(), 9, Answer::default()).unwrap();
    assert_eq!((empty.next_offset(), empty.count_bound()), (9, 0));
}

#[test]
fn a_record_count_beyond_the_records_is_an_error_at_the_end() {
    let mut batch = TestBatch::new(0, &[value(0, "a")]);
    batch.count = i32::MAX;
    let decoded = decode(&partition(), 0, answer(&[batch])).unwrap();
    assert!(read(&decoded).unwrap_err().to_string().contains("record length"));
}

#[test]
fn records_beyond_the_count_are_an_error_and_not_dropped() {
    let mut batch = TestBatch::new(0, &[value(0, "a"), value(1, "b")]);
    batch.count = 1;
    let decoded = decode(&partition(), 0, answer(&[batch])).unwrap();
    assert!(read(&decoded).unwrap_err().to_string().contains("left over after the batch"));
}

#[test]
fn a_record_outside_its_batch_is_an_error() {
    let mut batch = TestBatch::new(0, &[value(3, "a")]);
    batch.last_offset_delta = 2;
    let decoded = decode(&partition(), 0, answer(&[batch])).unwrap();
    assert!(read(&decoded).unwrap_err().to_string().contains("claims offset 3"));
}

fn any_record() -> impl Strategy<Value = Owned> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let header = (proptest::collection::vec(any::<u8>(), 0..10), bytes());
    let headers = proptest::collection::vec(header, 0..4);
    (0i64..100_000, bytes(), bytes(), headers).prop_map(|(timestamp_delta, key, value, headers)| Owned {
        offset_delta: 0,
        timestamp_delta,
        key,
        value,
        headers,
    })
}

proptest! {
    #[test]
    fn records_come_out_as_they_went_in(mut records in proptest::collection::vec(any_record(), 1..20), base in 0i64..1 << 40) {
        for (index, record) in records.iter_mut().enumerate() {
            record.offset_delta = i32::try_from(index).unwrap();
        }
        let decoded = decode(&partition(), base, answer(&[TestBatch::new(base, &records)])).unwrap();
        let expected: Vec<_> = records.iter().enumerate().map(|(index, record)| {
            let plain = Owned { offset_delta: 0, timestamp_delta: 1_000 + record.timestamp_delta, ..record.clone() };
            (base + i64::try_from(index).unwrap(), plain)
        }).collect();
        prop_assert_eq!(read(&decoded).unwrap(), expected);
    }

    #[test]
    fn hostile_records_under_a_good_checksum_never_panic(
        records in proptest::collection::vec(any::<u8>(), 0..300),
        count in 0i32..50,
        attributes in 0i16..64,
        last_offset_delta in 0i32..100,
    ) {
        let batch = TestBatch { base_offset: 3, last_offset_delta, attributes, producer_id: 1, count, records };
        let hostile = Answer { read_committed: true, aborted: vec![(1, 0)], ..answer(&[batch]) };
        if let Ok(decoded) = decode(&partition(), 3, hostile) {
            let _ = read(&decoded);
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>, from in 0i64..10) {
        let _ = decode(&partition(), from, Answer { bytes: bytes.into(), ..Answer::default() });
    }

    #[test]
    fn any_flipped_bit_is_an_error_or_shows_only_in_what_the_checksum_leaves_out(bit in 0usize..800) {
        let mut bytes = TestBatch::new(0, &[value(0, "abcdefghijklmnopqrstuvwxyz0123456789")]).encode();
        prop_assume!(bit / 8 < bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        let decoded = decode(&partition(), 0, Answer { bytes: bytes.into(), ..Answer::default() });
        // Base offset and leader epoch stand outside the checksum, as the broker fills them in.
        prop_assert!(decoded.is_err() || bit / 8 < 8 || (12..16).contains(&(bit / 8)));
    }
}
