//! A hostile network between the library and an honest broker: links that go dead, crawl or break in the middle of a
//! frame, a cluster that comes back elsewhere. Nothing is lost, nothing waits for ever, and the counters tell of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use kafka_core::consumer::{
    Consumer, ConsumerOptions, Event, GroupOptions, PartitionRecords, Source, Start, Subscription,
};
use kafka_core::producer::{Producer, ProducerOptions};
use kafka_core::{Client, Config, Metric, RecordRef, TopicPartition};
use kafka_dev::{Broker, Handle};
use kafka_testkit::{FaultProxy, Rule, api};

const STEP: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(60);
const RECORDS: usize = 200;

/// A broker that clients reach through a link only.
fn behind_a_link() -> (Handle, FaultProxy) {
    let link = FaultProxy::without_target();
    let config = kafka_dev::Config::in_memory().advertise("127.0.0.1", link.port()).topic("t", 1);
    let broker = Broker::start(config).unwrap();
    link.pass_to(broker.listening_port(1).unwrap());
    (broker, link)
}

fn client(link: &FaultProxy, properties: &[(&str, &str)]) -> Client {
    let mut config = Config::new();
    let step = STEP.as_millis().to_string();
    let always = [
        ("bootstrap.servers", link.bootstrap()),
        ("request.timeout.ms", &step),
        ("socket.connection.setup.timeout.ms", &step),
        ("linger.ms", "0"),
    ];
    for (name, value) in always.iter().chain(properties) {
        config.set(name, value).unwrap();
    }
    Client::new(config).unwrap()
}

/// Sends numbers, each in a batch of its own.
async fn send_numbers(client: &Client) {
    let producer =
        Producer::new(client, ProducerOptions::from_config(client.config()).unwrap(), None).unwrap();
    let topic = producer.topic("t").await.unwrap();
    for number in 0..RECORDS {
        let value = number.to_string();
        let record = RecordRef { value: Some(value.as_bytes()), ..RecordRef::default() };
        producer.append(&topic, Some(0), record).unwrap();
        if number % 10 == 9 {
            producer.flush().await;
        }
    }
    producer.close().await;
}

fn stored(broker: &Handle) -> Vec<usize> {
    let number =
        |record: kafka_dev::Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap().parse();
    broker.records("t", 0).unwrap().into_iter().map(|record| number(record).unwrap()).collect()
}

fn numbers(records: &PartitionRecords) -> Vec<usize> {
    let mut numbers = Vec::new();
    for batch in records.batches() {
        for record in batch.unwrap().records() {
            numbers.push(std::str::from_utf8(record.unwrap().value.unwrap()).unwrap().parse().unwrap());
        }
    }
    numbers
}

fn alone() -> Source {
    Source::Partitions(vec![(TopicPartition::new("t", 0), Start::Offset(0))])
}

/// Reads until all numbers came, or fails after a while.
async fn read_numbers(client: &Client, source: Source) -> Vec<usize> {
    let consumer =
        Consumer::start(client, ConsumerOptions::from_config(client.config()).unwrap(), source).unwrap();
    let mut read = Vec::new();
    let reading = async {
        while read.len() < RECORDS {
            if let Event::Records(records) = consumer.next().await.expect("it goes on") {
                read.extend(numbers(&records));
                consumer.mark(records.partition(), records.next_offset());
            }
        }
    };
    tokio::time::timeout(LIMIT, reading).await.expect("everything is read");
    let _ = consumer.close().await;
    read
}

#[tokio::test]
async fn a_link_that_goes_dead_is_found_by_the_time_limit_and_replaced() {
    let (_broker, link) = behind_a_link();
    let client = client(&link, &[]);
    client.cluster().refresh().await.unwrap();
    link.freeze();
    let started = Instant::now();
    let error = client.cluster().refresh().await.unwrap_err().to_string();
    assert!(started.elapsed() < STEP * 6, "{:?}: {error}", started.elapsed());
    assert!(error.contains(link.bootstrap()), "{error}");
    link.cut();
    link.thaw();
    client.cluster().refresh().await.unwrap();
}

#[tokio::test]
async fn a_link_that_crawls_delays_and_loses_nothing() {
    let (broker, link) = behind_a_link();
    link.limit_bytes_per_second(40_000);
    let client = client(&link, &[("request.timeout.ms", "20000"), ("fetch.max.bytes", "2000")]);
    send_numbers(&client).await;
    let expected: Vec<_> = (0..RECORDS).collect();
    assert_eq!(stored(&broker), expected);
    assert_eq!(read_numbers(&client, alone()).await, expected);
}

#[tokio::test]
async fn links_that_break_in_the_middle_of_a_frame_lose_and_repeat_nothing() {
    let (broker, link) = behind_a_link();
    for api in [api::PRODUCE, api::FETCH] {
        link.add(Rule::TruncateEvery { api, nth: 3 });
    }
    let client = client(&link, &[("max.partition.fetch.bytes", "500")]);
    send_numbers(&client).await;
    let expected: Vec<_> = (0..RECORDS).collect();
    assert_eq!(stored(&broker), expected);
    assert_eq!(read_numbers(&client, alone()).await, expected);
    assert!(link.swallowed() > 3, "{} frames were cut", link.swallowed());
    let retries = client.metrics().get(Metric::Retries, "Produce");
    assert!(retries > 0, "what was sent again is counted");
}

#[tokio::test]
async fn a_fetch_whose_answer_never_comes_costs_seconds_and_not_its_time_limit() {
    let (_broker, link) = behind_a_link();
    send_numbers(&client(&link, &[])).await;
    link.add(Rule::SwallowEvery { api: api::FETCH, nth: 2, cut: false });
    let client = client(&link, &[("request.timeout.ms", "600000"), ("max.partition.fetch.bytes", "3000")]);
    let started = Instant::now();
    assert_eq!(read_numbers(&client, alone()).await, (0..RECORDS).collect::<Vec<_>>());
    assert!(link.swallowed() > 0, "some answers were swallowed");
    assert!(started.elapsed() < LIMIT / 2, "{:?} for {} answers", started.elapsed(), link.swallowed());
}

#[tokio::test]
async fn a_cluster_that_came_back_elsewhere_is_found_by_the_bootstrap_servers() {
    let bootstrap = FaultProxy::without_target();
    let first = Broker::start(kafka_dev::Config::in_memory()).unwrap();
    bootstrap.pass_to(first.listening_port(1).unwrap());
    let client = client(&bootstrap, &[]);
    client.cluster().refresh().await.unwrap();
    first.shutdown();
    bootstrap.cut();
    assert!(client.cluster().refresh().await.is_err());
    let second = Broker::start(kafka_dev::Config::in_memory()).unwrap();
    bootstrap.pass_to(second.listening_port(1).unwrap());
    let metadata = client.cluster().refresh().await.unwrap();
    assert_eq!(metadata.brokers[&1].address.to_string(), second.bootstrap());
}

#[tokio::test]
async fn the_counters_tell_of_rebalances_and_of_what_is_still_to_be_read() {
    let (_broker, link) = behind_a_link();
    let client = client(
        &link,
        &[("group.id", "readers"), ("auto.offset.reset", "earliest"), ("max.partition.fetch.bytes", "500")],
    );
    send_numbers(&client).await;
    let consumer = Consumer::start(
        &client,
        ConsumerOptions::from_config(client.config()).unwrap(),
        Source::Group {
            options: GroupOptions::from_config(client.config()).unwrap(),
            subscription: Subscription::Topics(vec!["t".into()]),
        },
    )
    .unwrap();
    let lag = || client.metrics().get(Metric::Lag, "t[0]");
    let mut most = 0;
    let mut read = 0;
    while read < RECORDS {
        if let Event::Records(records) = consumer.next().await.unwrap() {
            read += numbers(&records).len();
            most = most.max(lag());
        }
    }
    assert!(most > 0, "{most} records were seen to be behind");
    assert_eq!((lag(), client.metrics().get(Metric::Rebalances, "readers")), (0, 1));
    let told = client.metrics().to_prometheus();
    for line in [
        "kafka_client_lag_records{partition=\"t[0]\"} 0",
        "kafka_client_rebalances_total{group=\"readers\"} 1",
    ] {
        assert!(told.lines().any(|one| one == line), "{line} is not in\n{told}");
    }
    consumer.close().await.unwrap();
    let told = client.metrics().to_prometheus();
    assert!(!told.contains("t[0]"), "who has left does not tell of the lag:\n{told}");
}

/// Something in between has forgotten the connections, and nobody says so: neither end hears of the other again.
#[tokio::test]
async fn connections_that_lead_nowhere_are_replaced_before_the_session_ends_and_nothing_is_lost() {
    const SESSION: Duration = Duration::from_secs(6);
    let (broker, link) = behind_a_link();
    let properties = [
        ("group.id", "readers"),
        ("group.protocol", "classic"),
        ("auto.offset.reset", "earliest"),
        ("session.timeout.ms", "6000"),
    ];
    let client = client(&link, &properties);
    let producer =
        Producer::new(&client, ProducerOptions::from_config(client.config()).unwrap(), None).unwrap();
    let topic = producer.topic("t").await.unwrap();
    let source = Source::Group {
        options: GroupOptions::from_config(client.config()).unwrap(),
        subscription: Subscription::Topics(vec!["t".into()]),
    };
    let consumer =
        Consumer::start(&client, ConsumerOptions::from_config(client.config()).unwrap(), source).unwrap();
    let mut read = Vec::new();
    for part in 0..2 {
        for number in part * RECORDS..(part + 1) * RECORDS {
            let value = number.to_string();
            let record = RecordRef { value: Some(value.as_bytes()), ..RecordRef::default() };
            producer.append(&topic, Some(0), record).unwrap();
        }
        producer.flush().await;
        let until = Instant::now() + (SESSION + STEP) * part as u32;
        while read.len() < (part + 1) * RECORDS || Instant::now() < until {
            assert!(Instant::now() < until + LIMIT, "{} records were read", read.len());
            let Ok(event) = tokio::time::timeout(STEP, consumer.next()).await else { continue };
            match event.expect("it goes on") {
                Event::Records(records) => {
                    read.extend(numbers(&records));
                    consumer.mark(records.partition(), records.next_offset());
                }
                event @ (Event::Lost(_) | Event::Failed(_)) => panic!("{event:?}"),
                _ => {}
            }
        }
        link.strand();
    }
    let expected: Vec<_> = (0..2 * RECORDS).collect();
    assert_eq!((stored(&broker), &read), (expected.clone(), &expected));
    consumer.close().await.unwrap();
    assert_eq!(client.metrics().get(Metric::Rebalances, "readers"), 1);
    producer.close().await;
}
