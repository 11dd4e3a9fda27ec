//! rskafka's own client, made from our configuration, against the embedded broker: what it writes we read, and what we
//! write it reads.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_core::consumer::{Consumer, ConsumerOptions, Event, Source, Start};
use kafka_core::producer::{Producer, ProducerOptions};
use kafka_core::{Client, Config, RecordRef, TopicPartition};
use kafka_dev::Broker;
use rskafka::client::partition::{Compression, OffsetAt, UnknownTopicHandling};
use rskafka::record::Record;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn rskafkas_client_administers_writes_and_reads_and_both_agree_on_the_records() {
    let broker = Broker::start(kafka_dev::Config::in_memory()).unwrap();
    let mut config = Config::new();
    config.set("bootstrap.servers", &broker.bootstrap()).unwrap();
    let ours = Client::new(config).unwrap();
    let theirs = ours.rskafka().await.unwrap();
    let controller = theirs.controller_client().unwrap();
    controller.create_topic("t", 2, 1, 5_000).await.unwrap();
    assert_eq!(theirs.list_topics().await.unwrap()[0].partitions.len(), 2);

    let partition = theirs.partition_client("t", 1, UnknownTopicHandling::Error).await.unwrap();
    let headers = BTreeMap::from([("who".to_owned(), b"rskafka".to_vec())]);
    let record = Record {
        key: Some(b"k".to_vec()),
        value: Some(b"theirs".to_vec()),
        headers,
        timestamp: Default::default(),
    };
    assert_eq!(partition.produce(vec![record], Compression::NoCompression).await.unwrap(), [0]);

    let producer = Producer::new(&ours, ProducerOptions::from_config(ours.config()).unwrap(), None).unwrap();
    let topic = producer.topic("t").await.unwrap();
    let record = RecordRef { value: Some(b"ours"), ..RecordRef::default() };
    producer.append(&topic, Some(1), record).unwrap();
    producer.close().await;

    let (records, high_watermark) = partition.fetch_records(0, 1..1_000_000, 1_000).await.unwrap();
    let values: Vec<_> = records.into_iter().map(|read| read.record.value.unwrap()).collect();
    assert_eq!((values, high_watermark), (vec![b"theirs".to_vec(), b"ours".to_vec()], 2));
    assert_eq!(partition.get_offset(OffsetAt::Latest).await.unwrap(), 2);
    assert_eq!(read_ours(&ours).await, [b"theirs".to_vec(), b"ours".to_vec()]);

    partition.delete_records(1, 5_000).await.unwrap();
    assert_eq!(partition.get_offset(OffsetAt::Earliest).await.unwrap(), 1);
    controller.delete_topic("t", 5_000).await.unwrap();
    assert!(theirs.list_topics().await.unwrap().is_empty());
}

async fn read_ours(client: &Client) -> Vec<Vec<u8>> {
    let source = Source::Partitions(vec![(TopicPartition::new("t", 1), Start::Offset(0))]);
    let options = ConsumerOptions::from_config(client.config()).unwrap();
    let consumer = Consumer::start(client, options, source).unwrap();
    let mut values = Vec::new();
    while values.len() < 2 {
        let event = tokio::time::timeout(LIMIT, consumer.next()).await.expect("records").expect("it goes on");
        if let Event::Records(records) = event {
            for batch in records.batches() {
                values.extend(batch.unwrap().records().map(|record| record.unwrap().value.unwrap().to_vec()));
            }
        }
    }
    values
}
