//! One hundred consumer groups in one process, on one client, against a real Kafka: every group gets every record once,
//! and goes on where it stopped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use kafka_core::consumer::{
    Consumer, ConsumerOptions, Event, GroupOptions, PartitionRecords, ResetPolicy, Source, Subscription,
};
use kafka_core::{Client, Config};
use kafka_testkit::{RealKafka, kcat, skip_without_kcat, unique};

const GROUPS: u32 = 100;
const LIMIT: Duration = Duration::from_secs(120);

fn numbers(records: &PartitionRecords) -> Vec<u32> {
    let mut numbers = Vec::new();
    for batch in records.batches() {
        for record in batch.unwrap().records() {
            let value = record.unwrap().value.expect("a value").to_vec();
            numbers.push(String::from_utf8(value).unwrap().parse().unwrap());
        }
    }
    numbers
}

/// Reads as a member of the group until there are so many records, commits and leaves.
async fn read(client: Client, group: String, topic: String, count: usize) -> Vec<u32> {
    let mut config = Config::clone(client.config());
    config.set("group.id", &group).unwrap();
    let options = GroupOptions::from_config(&config).unwrap();
    let reading =
        ConsumerOptions { reset: ResetPolicy::Earliest, ..ConsumerOptions::from_config(&config).unwrap() };
    let subscription = Subscription::Topics(vec![topic.into()]);
    let consumer = Consumer::start(&client, reading, Source::Group { options, subscription }).unwrap();
    let mut read = Vec::new();
    while read.len() < count {
        match consumer.next().await.expect("it goes on") {
            Event::Records(records) => {
                read.extend(numbers(&records));
                consumer.mark(records.partition(), records.next_offset());
            }
            Event::Failed(error) | Event::GaveUp(error) => panic!("{group}: {error}"),
            _ => {}
        }
    }
    consumer.close().await.unwrap();
    read.sort_unstable();
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_groups_in_one_process_get_every_record_once_each() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, group) = (unique("hundred"), unique("group"));
    kafka.create_topic(&topic, 2, &[]);
    let send = |numbers: std::ops::Range<u32>| {
        let lines: String = numbers.map(|number| format!("{number}\n")).collect();
        let flags = ["-P", "-b", &kafka.bootstrap(), "-t", &topic, "-X", "sticky.partitioning.linger.ms=0"];
        let _ = kcat(&flags, lines).expect_code(0);
    };
    for protocol in ["classic", "consumer"] {
        let mut config = Config::new();
        config.set("bootstrap.servers", &kafka.bootstrap()).unwrap();
        config.set("group.protocol", protocol).unwrap();
        let client = Client::new(config).unwrap();
        let first = if protocol == "classic" { 0 } else { 200 };
        for (round, numbers) in [(0, first..first + 100), (1, first + 100..first + 200)] {
            send(numbers.clone());
            // Whoever reads the topic for the first time finds what the other protocol's groups read before.
            let expected: Vec<_> = if round == 0 { 0..numbers.end } else { numbers }.collect();
            let readers: Vec<_> = (0..GROUPS)
                .map(|number| {
                    let group = format!("{group}-{protocol}-{number}");
                    tokio::spawn(read(client.clone(), group, topic.clone(), expected.len()))
                })
                .collect();
            for reader in readers {
                let read = tokio::time::timeout(LIMIT, reader).await.expect("it ends in time").unwrap();
                assert_eq!(read, expected, "{protocol}, round {round}");
            }
        }
    }
}
