//! Positions driven by hand: every way in which a partition could be left without progress, or moved wrongly.

use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::*;

const NOW_MS: i64 = 1_000_000;

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// Metadata in which broker `leader` leads `t[0]` under `epoch`; without a leader where it is negative.
fn led_by(leader: i32, epoch: i32, topic_id: u128) -> Metadata {
    let led = MetadataResponsePartition::default().with_leader_id(BrokerId(leader)).with_leader_epoch(epoch);
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
        .with_topic_id(Uuid::from_u128(topic_id))
        .with_partitions(vec![led]);
    let broker = |id| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(id))
            .with_host(StrBytes::from_static_str("h"))
            .with_port(9)
    };
    let response =
        MetadataResponse::default().with_topics(vec![topic]).with_brokers(vec![broker(1), broker(2)]);
    Metadata::default().merged(response, true, Instant::now())
}

fn without_the_topic() -> Metadata {
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
        .with_error_code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0);
    Metadata::default().merged(MetadataResponse::default().with_topics(vec![topic]), true, Instant::now())
}

struct Bench {
    positions: Positions,
    now: Instant,
    rng: fastrand::Rng,
}

impl Bench {
    fn new(policy: ResetPolicy, start: Start) -> Self {
        let pauses = (Duration::from_millis(100), Duration::from_secs(1));
        let mut positions = Positions::new(policy, pauses);
        positions.add(partition(), start);
        Self { positions, now: Instant::now(), rng: fastrand::Rng::with_seed(1) }
    }

    /// Read up to `offset` under the epoch 3 of leader 1.
    fn reading(offset: i64) -> Self {
        let mut bench = Self::new(ResetPolicy::Earliest, Start::Offset(offset - 1));
        bench.poll(&led_by(1, 3, 7));
        bench.positions.handle_fetched(&partition(), offset - 1, offset, 3);
        bench
    }

    fn poll(&mut self, metadata: &Metadata) -> (Questions, Vec<Said>) {
        self.positions.poll(metadata, self.now)
    }

    fn listed(&mut self, metadata: &Metadata) -> (i32, Token, OffsetQuery) {
        let (questions, _) = self.poll(metadata);
        let (broker, asked) = questions.lists.into_iter().next().expect("a question for an offset");
        (broker, asked[0].1, asked[0].2.0)
    }

    fn wanted(&self, metadata: &Metadata) -> Option<(i32, i64)> {
        let plan = self.positions.fetchable(metadata, self.now);
        let (broker, wanted) = plan.into_iter().next()?;
        Some((broker, wanted[&partition()].offset))
    }

    fn fetch_failed(&mut self, wanted: i64, code: ErrorCode) -> (bool, Option<Said>) {
        let error = Error::broker("Fetch", "t[0]", code, None);
        self.positions.handle_fetch_error(&partition(), wanted, error, (self.now, NOW_MS), &mut self.rng)
    }
}

#[test]
fn a_group_without_a_committed_offset_begins_as_the_policy_says() {
    let metadata = led_by(1, 3, 7);
    for (policy, query) in [
        (ResetPolicy::Earliest, OffsetQuery::Earliest),
        (ResetPolicy::Latest, OffsetQuery::Latest),
        (ResetPolicy::ByDuration(Duration::from_secs(10)), OffsetQuery::Time(NOW_MS - 10_000)),
    ] {
        let mut bench = Bench::new(policy, Start::Committed);
        let (questions, _) = bench.poll(&metadata);
        let token = questions.committed[0].1;
        assert!(bench.positions.handle_committed(&partition(), token, None, NOW_MS).is_none());
        let (broker, token, asked) = bench.listed(&metadata);
        assert_eq!((broker, asked), (1, query));
        bench.positions.handle_listed(&partition(), token, Some(42));
        bench.poll(&metadata);
        assert_eq!(bench.wanted(&metadata), Some((1, 42)));
    }
}

#[test]
fn without_a_policy_a_missing_offset_is_an_error_that_names_the_partition() {
    let mut bench = Bench::new(ResetPolicy::Fail, Start::Committed);
    let (questions, _) = bench.poll(&led_by(1, 3, 7));
    let said = bench.positions.handle_committed(&partition(), questions.committed[0].1, None, NOW_MS);
    let Some(Said::Failed(error)) = said else { panic!("{said:?}") };
    assert!(error.to_string().starts_with("t[0] without a committed offset"), "{error}");
    assert_eq!(bench.wanted(&led_by(1, 3, 7)), None);
}

#[test]
fn a_time_after_the_last_record_leads_to_the_end() {
    let metadata = led_by(1, 3, 7);
    let mut bench = Bench::new(ResetPolicy::Earliest, Start::Query(OffsetQuery::Time(5)));
    let (_, token, query) = bench.listed(&metadata);
    assert_eq!(query, OffsetQuery::Time(5));
    bench.positions.handle_listed(&partition(), token, None);
    assert_eq!(bench.listed(&metadata).2, OffsetQuery::Latest);
}

#[test]
fn an_answer_to_an_older_question_moves_nothing() {
    let metadata = led_by(1, 3, 7);
    let mut bench = Bench::new(ResetPolicy::Earliest, Start::Query(OffsetQuery::Latest));
    let (_, stale, _) = bench.listed(&metadata);
    bench.positions.seek(&partition(), Start::Offset(5));
    assert!(bench.positions.handle_listed(&partition(), stale, Some(99)).is_none());
    bench.poll(&metadata);
    assert_eq!(bench.wanted(&metadata), Some((1, 5)));
    // Records of a fetch that began elsewhere move nothing either.
    bench.positions.handle_fetched(&partition(), 3, 4, 3);
    assert_eq!(bench.wanted(&metadata), Some((1, 5)));
}

#[test]
fn a_new_leader_is_asked_where_the_old_epoch_ended_before_it_is_read_from() {
    let mut bench = Bench::reading(10);
    let moved = led_by(2, 4, 7);
    let (questions, _) = bench.poll(&moved);
    let (_, token, question) = questions.epochs[&2][0].clone();
    assert_eq!(question, EpochQuestion { read_under: 3, current: 4 });
    assert_eq!(bench.wanted(&moved), None, "nothing is fetched before the answer");
    let end = EpochEnd { epoch: 3, end_offset: 10 };
    assert!(bench.positions.handle_epoch(&partition(), token, 4, end, NOW_MS).is_none());
    assert_eq!(bench.wanted(&moved), Some((2, 10)));
    assert!(bench.poll(&moved).0.epochs.is_empty(), "once is enough");
}

#[test]
fn a_log_that_was_cut_off_is_gone_on_with_at_its_end_and_that_is_said() {
    let mut bench = Bench::reading(10);
    let moved = led_by(2, 4, 7);
    let token = bench.poll(&moved).0.epochs[&2][0].1;
    let end = EpochEnd { epoch: 2, end_offset: 8 };
    let said = bench.positions.handle_epoch(&partition(), token, 4, end, NOW_MS);
    let truncated = matches!(said, Some(Said::Notice(_, Notice::Truncated { wanted: 10, now_at: 8 })));
    assert!(truncated, "{said:?}");
    assert_eq!(bench.wanted(&moved), Some((2, 8)));
}

#[test]
fn an_offset_that_is_gone_is_found_anew_and_that_is_said() {
    let metadata = led_by(1, 3, 7);
    let mut bench = Bench::reading(10);
    assert!(matches!(bench.fetch_failed(10, ErrorCode::OFFSET_OUT_OF_RANGE), (false, None)));
    let (_, token, query) = bench.listed(&metadata);
    assert_eq!(query, OffsetQuery::Earliest);
    let said = bench.positions.handle_listed(&partition(), token, Some(50));
    let moved = matches!(said, Some(Said::Notice(_, Notice::OutOfRange { wanted: 10, now_at: 50 })));
    assert!(moved, "{said:?}");
}

#[test]
fn a_follower_that_lags_does_not_reset_the_position_and_the_leader_is_asked() {
    let metadata = led_by(1, 3, 7);
    let mut bench = Bench::reading(10);
    bench.positions.handle_replica(&partition(), 2, bench.now);
    assert_eq!(bench.wanted(&metadata), Some((2, 10)));
    bench.fetch_failed(10, ErrorCode::OFFSET_OUT_OF_RANGE);
    bench.poll(&metadata);
    assert_eq!(bench.wanted(&metadata), Some((1, 10)));
}

#[test]
fn a_leader_that_moved_costs_a_pause_and_fresh_metadata() {
    let metadata = led_by(1, 3, 7);
    let mut bench = Bench::reading(10);
    assert!(matches!(bench.fetch_failed(10, ErrorCode::NOT_LEADER_OR_FOLLOWER), (true, None)));
    assert_eq!(bench.wanted(&metadata), None);
    bench.now = bench.positions.next_deadline(bench.now).unwrap();
    assert_eq!(bench.wanted(&metadata), Some((1, 10)));
}

#[test]
fn a_partition_without_a_leader_asks_for_metadata() {
    let mut bench = Bench::new(ResetPolicy::Earliest, Start::Query(OffsetQuery::Earliest));
    let (questions, _) = bench.poll(&led_by(-1, 3, 7));
    assert!(questions.needs_metadata && questions.lists.is_empty());
}

#[test]
fn a_topic_that_was_deleted_is_waited_for_and_read_from_its_start_when_it_is_another_one() {
    let mut bench = Bench::reading(10);
    let (questions, said) = bench.poll(&without_the_topic());
    assert!(questions.needs_metadata);
    assert!(matches!(said[..], [Said::Notice(_, Notice::Gone)]), "{said:?}");
    assert!(bench.poll(&without_the_topic()).1.is_empty(), "said once");
    let (questions, said) = bench.poll(&led_by(1, 0, 8));
    assert!(matches!(said[..], [Said::Notice(_, Notice::Recreated)]), "{said:?}");
    assert_eq!(questions.lists[&1][0].2.0, OffsetQuery::Earliest);
}

#[test]
fn damaged_bytes_are_fetched_again_twice_before_the_partition_is_given_up() {
    let mut bench = Bench::reading(10);
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let error = Error::Corrupt { subject: "t[0] @10".into(), reason: "checksum".into() };
        let times = (bench.now, NOW_MS);
        let (_, said) = bench.positions.handle_fetch_error(&partition(), 10, error, times, &mut bench.rng);
        outcomes.push(matches!(said, Some(Said::Failed(_))));
    }
    assert_eq!(outcomes, [false, false, true]);
}

#[test]
fn what_no_retry_can_help_is_final_at_once() {
    let mut bench = Bench::reading(10);
    let (_, said) = bench.fetch_failed(10, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert!(matches!(said, Some(Said::Failed(_))));
}

#[test]
fn a_paused_partition_is_not_fetched_until_it_is_resumed() {
    let metadata = led_by(1, 3, 7);
    let mut bench = Bench::reading(10);
    bench.positions.set_paused(&partition(), true);
    assert_eq!(bench.wanted(&metadata), None);
    bench.positions.set_paused(&partition(), false);
    assert_eq!(bench.wanted(&metadata), Some((1, 10)));
}
