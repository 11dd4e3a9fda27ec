//! The producer over real connections to the embedded broker, which loses answers, freezes and moves leaders on request;
//! and, where there is one, a real Kafka. Each test looks at the broker's log, not at what the client believes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_core::compression::Codec;
use kafka_core::consumer::OffsetToCommit;
use kafka_core::producer::{
    Delivery, GroupMember, Producer, ProducerOptions, ProducerTopic, TransactionalProducer,
};
use kafka_core::{Client, Config, ErrorCode, ErrorKind, RecordRef, TopicPartition};
use kafka_dev::{ApiKey, Broker, Fault, Handle, ResponseError};
use kafka_testkit::RealKafka;

const RECORDS: usize = 2_000;

fn config(bootstrap: &str, properties: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    config.set("bootstrap.servers", bootstrap).unwrap();
    for (name, value) in properties {
        config.set(name, value).unwrap();
    }
    config
}

fn cluster(brokers: usize, partitions: usize) -> Handle {
    Broker::start(kafka_dev::Config::in_memory().brokers(brokers).topic("t", partitions)).unwrap()
}

type Outcomes = Arc<Mutex<Vec<Delivery>>>;

async fn producer(config: Config) -> (Producer, ProducerTopic, Outcomes) {
    let outcomes = Outcomes::default();
    let noted = Arc::clone(&outcomes);
    let options = ProducerOptions::from_config(&config).unwrap();
    let note = move |delivery: &Delivery| noted.lock().unwrap().push(delivery.clone());
    let producer = Producer::new(&Client::new(config).unwrap(), options, Some(Arc::new(note))).unwrap();
    let topic = producer.topic("t").await.unwrap();
    (producer, topic, outcomes)
}

/// Sends numbered records, some at a time, so that there are many batches.
async fn send_numbers(producer: &Producer, topic: &ProducerTopic, count: usize) {
    for number in 0..count {
        let text = format!("{number:06}");
        let partition = i32::try_from(number % topic.partitions() as usize).unwrap();
        producer.append(topic, Some(partition), value(&text)).unwrap();
        if number % 25 == 24 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    producer.flush().await;
}

fn value(text: &str) -> RecordRef<'_> {
    RecordRef { value: Some(text.as_bytes()), ..RecordRef::default() }
}

fn stored(cluster: &Handle, partition: i32) -> Vec<String> {
    let text = |record: kafka_dev::Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    cluster.records("t", partition).unwrap().into_iter().map(text).collect()
}

/// Every number once, each partition's in order.
fn assert_exactly_once(cluster: &Handle, partitions: usize, count: usize, about: &str) {
    for partition in 0..partitions {
        let expected: Vec<_> =
            (0..count).filter(|n| n % partitions == partition).map(|n| format!("{n:06}")).collect();
        assert_eq!(stored(cluster, i32::try_from(partition).unwrap()), expected, "{about}, [{partition}]");
    }
}

fn failures(outcomes: &Outcomes) -> Vec<String> {
    let outcomes = outcomes.lock().unwrap();
    outcomes.iter().filter_map(|one| one.outcome.as_ref().err()).map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_record_is_there_once_and_in_order_whatever_befalls_its_requests() {
    let faults = [
        Fault::DropResponse,
        Fault::CloseConnection,
        Fault::Truncate,
        Fault::Corrupt,
        Fault::Delay(Duration::from_millis(50)),
        Fault::Error(ResponseError::NotLeaderOrFollower),
        Fault::Error(ResponseError::NotEnoughReplicas),
        Fault::Error(ResponseError::RequestTimedOut),
        Fault::Error(ResponseError::CorruptMessage),
        Fault::MoveLeader { topic: "t".into(), partition: 0, to: 2 },
        Fault::StopBroker(1),
    ];
    for fault in faults {
        let cluster = cluster(3, 2);
        for nth in [1, 3, 4, 9, 20, 21, 22] {
            cluster.faults().on(ApiKey::Produce).nth(nth).then(fault.clone());
        }
        let (producer, topic, outcomes) = producer(config(&cluster.bootstrap(), &[("linger.ms", "0")])).await;
        send_numbers(&producer, &topic, RECORDS).await;
        let about = format!("{fault:?}");
        assert_eq!(failures(&outcomes), Vec::<String>::new(), "{about}");
        assert_exactly_once(&cluster, 2, RECORDS, &about);
        let acknowledged: usize = outcomes.lock().unwrap().iter().map(|one| one.records).sum();
        assert_eq!(acknowledged, RECORDS, "{about}");
    }
}

#[tokio::test]
async fn what_a_frozen_leader_holds_is_sent_to_the_new_one_without_waiting_for_the_time_out() {
    for fault in [Fault::NeverAnswer, Fault::WorkThenNeverAnswer] {
        let cluster = cluster(3, 1);
        let leader = cluster.leader("t", 0).unwrap().unwrap();
        let next = cluster.brokers().into_iter().find(|id| *id != leader).unwrap();
        let (producer, topic, outcomes) = producer(config(&cluster.bootstrap(), &[("linger.ms", "0")])).await;
        send_numbers(&producer, &topic, 100).await;
        cluster.faults().on(ApiKey::Produce).broker(leader).always().then(fault);
        let started = Instant::now();
        producer.append(&topic, Some(0), value("last")).unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.move_leader("t", 0, next).unwrap();
        producer.flush().await;
        assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
        assert_eq!(failures(&outcomes), Vec::<String>::new());
        assert_eq!(stored(&cluster, 0).iter().filter(|text| *text == "last").count(), 1);
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_split_until_it_fits() {
    let cluster = cluster(1, 1);
    for nth in [1, 2, 3, 7] {
        cluster.faults().on(ApiKey::Produce).nth(nth).then(Fault::Error(ResponseError::MessageTooLarge));
    }
    let (producer, topic, outcomes) = producer(config(&cluster.bootstrap(), &[("linger.ms", "50")])).await;
    for number in 0..1_000 {
        producer.append(&topic, Some(0), value(&format!("{number:06}"))).unwrap();
    }
    producer.flush().await;
    assert_eq!(failures(&outcomes), Vec::<String>::new());
    assert_exactly_once(&cluster, 1, 1_000, "split");
}

#[tokio::test]
async fn what_runs_out_of_time_is_named_and_said_to_be_possibly_written() {
    let cluster = cluster(1, 1);
    cluster.faults().on(ApiKey::Produce).always().then(Fault::WorkThenNeverAnswer);
    let limits = [("linger.ms", "0"), ("delivery.timeout.ms", "1000"), ("request.timeout.ms", "400")];
    let (producer, topic, outcomes) = producer(config(&cluster.bootstrap(), &limits)).await;
    let started = Instant::now();
    producer.append(&topic, Some(0), value("lost?")).unwrap();
    producer.close().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let outcomes = outcomes.lock().unwrap();
    let [delivery] = &outcomes[..] else { panic!("{outcomes:?}") };
    let failure = delivery.outcome.as_ref().unwrap_err();
    assert!(failure.possibly_written, "{failure}");
    assert_eq!(failure.error.kind(), ErrorKind::Unreachable);
    let records = delivery.records().unwrap();
    let batch = records.batches().next().unwrap().unwrap();
    let record = batch.records().next().unwrap().unwrap();
    assert_eq!(record.value, Some(&b"lost?"[..]), "the record comes back");
}

#[tokio::test]
async fn a_refused_record_fails_at_once_and_the_next_ones_go_on() {
    let cluster = cluster(1, 1);
    cluster.faults().on(ApiKey::Produce).nth(2).then(Fault::Error(ResponseError::InvalidTimestamp));
    let (producer, topic, outcomes) = producer(config(&cluster.bootstrap(), &[("linger.ms", "0")])).await;
    for text in ["a", "b", "c", "d"] {
        producer.append(&topic, Some(0), value(text)).unwrap();
        producer.flush().await;
    }
    assert_eq!(stored(&cluster, 0), ["a", "c", "d"]);
    let said = failures(&outcomes);
    assert!(
        said.len() == 1 && said[0].contains("INVALID_TIMESTAMP") && !said[0].contains("possibly"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_future_tells_where_its_record_lies() {
    let cluster = cluster(1, 2);
    let (producer, topic, _) = producer(config(&cluster.bootstrap(), &[])).await;
    let first = producer.send(&topic, Some(1), value("a")).await.unwrap();
    let second = producer.send(&topic, Some(1), value("b")).await.unwrap();
    assert_eq!(second.await.unwrap().to_string(), "t[1] @1");
    assert_eq!(first.await.unwrap().to_string(), "t[1] @0");
}

#[tokio::test]
async fn an_unknown_topic_and_an_impossible_record_are_refused() {
    let cluster = cluster(1, 2);
    let (producer, topic, _) = producer(config(&cluster.bootstrap(), &[])).await;
    assert_eq!(producer.topic("riders").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(producer.append(&topic, Some(2), value("a")).unwrap_err().kind(), ErrorKind::Usage);
    let large = "x".repeat(2_000_000);
    assert_eq!(producer.append(&topic, Some(0), value(&large)).unwrap_err().kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn every_codec_is_read_by_the_broker() {
    for codec in Codec::ALL {
        let cluster = cluster(1, 1);
        let compression = [("compression.type", codec.name()), ("linger.ms", "20")];
        let (producer, topic, outcomes) = producer(config(&cluster.bootstrap(), &compression)).await;
        send_numbers(&producer, &topic, 500).await;
        assert_eq!(failures(&outcomes), Vec::<String>::new());
        assert_exactly_once(&cluster, 1, 500, codec.name());
    }
}

#[tokio::test]
async fn a_small_buffer_makes_the_appender_wait_and_loses_nothing() {
    let cluster = cluster(1, 1);
    let limits = [("buffer.memory", "1048576"), ("linger.ms", "1000"), ("batch.size", "100000")];
    let (producer, topic, outcomes) = producer(config(&cluster.bootstrap(), &limits)).await;
    let (appender, its_topic) = (producer.clone(), topic.clone());
    let text = "x".repeat(1_000);
    tokio::task::spawn_blocking(move || {
        for _ in 0..5_000 {
            appender.append(&its_topic, Some(0), value(&text)).unwrap();
        }
    })
    .await
    .unwrap();
    producer.flush().await;
    assert_eq!((stored(&cluster, 0).len(), failures(&outcomes).len()), (5_000, 0));
    assert_eq!(producer.buffered_bytes(), 0);
}

async fn transactional(config: &Config, topic: &str) -> (TransactionalProducer, ProducerTopic) {
    let options = ProducerOptions::from_config(config).unwrap();
    let client = Client::new(config.clone()).unwrap();
    let producer = TransactionalProducer::init(&client, options, None).await.unwrap();
    let topic = producer.producer().topic(topic).await.unwrap();
    (producer, topic)
}

/// The same course of transactions on any broker; the values that `read_committed` must see afterwards.
async fn play_transactions(config: &Config, name: &str) -> Vec<String> {
    let (mut producer, topic) = transactional(config, name).await;
    let mut visible = Vec::new();
    for round in 0..6 {
        producer.begin().unwrap();
        for number in 0..20 {
            let text = format!("{round}-{number:02}");
            producer.producer().append(&topic, Some(number % 2), value(&text)).unwrap();
            if round % 2 == 0 {
                visible.push(text);
            }
        }
        if round == 2 {
            let member =
                GroupMember { group_id: "g".into(), member_id: "".into(), generation: -1, instance_id: None };
            let offset = OffsetToCommit { offset: 7, leader_epoch: -1, metadata: String::new() };
            producer.send_offsets(&member, [(TopicPartition::new(name, 0), offset)]).await.unwrap();
        }
        if round % 2 == 0 {
            producer.commit().await.unwrap();
        } else {
            // What is under way is aborted as well as what is not sent yet.
            if round == 3 {
                producer.producer().flush().await;
            }
            producer.abort().await.unwrap();
        }
    }
    producer.begin().unwrap();
    producer.commit().await.unwrap();
    visible.sort();
    visible
}

#[tokio::test]
async fn transactions_are_committed_and_aborted_with_their_offsets() {
    let cluster = cluster(1, 2);
    let config = config(&cluster.bootstrap(), &[("transactional.id", "x")]);
    let visible = play_transactions(&config, "t").await;
    let mut there: Vec<String> = (0..2).flat_map(|partition| stored(&cluster, partition)).collect();
    there.retain(|text| visible.contains(text));
    there.sort();
    assert_eq!(there, visible);
    assert_eq!(cluster.committed("g", "t", 0), Some(7));
}

#[tokio::test]
async fn a_producer_that_was_shut_out_stops_with_a_clear_error() {
    let cluster = cluster(1, 2);
    let config = config(&cluster.bootstrap(), &[("transactional.id", "x"), ("linger.ms", "0")]);
    let (mut first, topic) = transactional(&config, "t").await;
    first.begin().unwrap();
    first.producer().append(&topic, Some(0), value("a")).unwrap();
    first.producer().flush().await;
    let (mut second, _) = transactional(&config, "t").await;
    first.producer().append(&topic, Some(0), value("b")).unwrap();
    let error = first.commit().await.unwrap_err();
    let fenced = [ErrorCode::PRODUCER_FENCED, ErrorCode::INVALID_PRODUCER_EPOCH];
    assert!(error.code().is_some_and(|code| fenced.contains(&code)), "{error}");
    assert!(first.begin().is_err());
    second.begin().unwrap();
    second.producer().append(&topic, Some(0), value("c")).unwrap();
    second.commit().await.unwrap();
}

#[tokio::test]
async fn java_sees_committed_transactions_only() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let topic = format!("produce-transactions-{}", std::process::id());
    kafka.create_topic(&topic, 2, &[]);
    let config = config(&kafka.bootstrap(), &[("transactional.id", &topic)]);
    let visible = play_transactions(&config, &topic).await;
    // Aborted rounds lie between the committed ones; a loaded machine needs its time to start Java.
    let count = visible.len().to_string();
    let words = ["--topic", &topic, "--from-beginning", "--timeout-ms", "60000", "--max-messages", &count];
    let words = [&words[..], &["--isolation-level", "read_committed"]].concat();
    let read = kafka.tool("console-consumer", &words, "");
    let mut seen: Vec<&str> = read.stdout.lines().collect();
    seen.sort_unstable();
    assert_eq!(seen, visible, "{}", read.stderr);
}
