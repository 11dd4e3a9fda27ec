//! Transactions (KIP-664): list, describe, who produces to a partition, abort one that hangs.

use std::sync::Arc;

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, ListTransactionsRequest, ProducerId,
    TransactionalId, WriteTxnMarkersRequest,
};

use super::names::{by_topic, check, text, topic_name};
use super::stage::{Lookup, Stage};
use super::{Admin, Outcome, single};
use crate::TopicPartition;
use crate::cluster::CoordinatorKind;
use crate::error::{Error, Result};
use crate::wire::Api;

/// A transactional id as its coordinator lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTransaction {
    /// Transactional id.
    pub id: String,
    /// Producer id.
    pub producer_id: i64,
    /// State in Kafka's word (`Ongoing`, `CompleteCommit`, …).
    pub state: String,
    /// Node id of the coordinator.
    pub coordinator: i32,
}

/// A transactional id with its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDescription {
    /// State in Kafka's word.
    pub state: String,
    /// Producer id.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i16,
    /// `transaction.timeout.ms`.
    pub timeout_ms: i32,
    /// When the transaction that is open was begun, in milliseconds since 1970.
    pub started: Option<i64>,
    /// The partitions it has written to.
    pub partitions: Vec<TopicPartition>,
}

/// A producer that a partition remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Producer id.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i32,
    /// Sequence number of its last record.
    pub last_sequence: i32,
    /// Timestamp of its last record, in milliseconds since 1970.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that ended its last transaction; `None` before the first.
    pub coordinator_epoch: Option<i32>,
    /// First offset of its open transaction.
    pub transaction_start: Option<i64>,
}

impl Admin {
    /// The transactional ids of every broker, by broker, as [`list_groups`](Self::list_groups) does.
    pub async fn list_transactions(&self, brokers: &[i32]) -> Vec<Outcome<i32, Vec<ListedTransaction>>> {
        let build = |_: &[i32], _| {
            let request = ListTransactionsRequest::default().with_duration_filter(-1);
            Ok(request.with_transactional_id_pattern(None))
        };
        let read = |brokers: &[i32], answer: <ListTransactionsRequest as Api>::Response| {
            let broker = brokers.first().copied().unwrap_or(-1);
            let subject = format!("transactions of broker {broker}");
            let checked = check::<ListTransactionsRequest>(subject, answer.error_code, None);
            let read = |state: &kafka_protocol::messages::list_transactions_response::TransactionState| {
                ListedTransaction {
                    id: state.transactional_id.to_string(),
                    producer_id: state.producer_id.0,
                    state: state.transaction_state.to_string(),
                    coordinator: broker,
                }
            };
            vec![(broker, checked.map(|()| answer.transaction_states.iter().map(read).collect()))]
        };
        let stage = Stage::new(Lookup::Broker(|id| Some(*id)), build, read).at_most(1);
        self.call("listing transactions").run(stage, brokers.to_vec()).await
    }

    /// The state of transactional ids. One that does not exist is an error.
    pub async fn describe_transactions(
        &self,
        ids: &[String],
    ) -> Vec<Outcome<String, TransactionDescription>> {
        let build = |ids: &[String], _| {
            let ids = ids.iter().map(|id| TransactionalId(text(id))).collect();
            Ok(DescribeTransactionsRequest::default().with_transactional_ids(ids))
        };
        let read = |_: &[String], answer: <DescribeTransactionsRequest as Api>::Response| {
            answer.transaction_states.iter().map(read_transaction).collect()
        };
        let lookup = Lookup::Coordinator(CoordinatorKind::Transaction, String::as_str);
        self.call("describing transactions").run(Stage::new(lookup, build, read), ids.to_vec()).await
    }

    /// The producers that partitions remember, asked of each leader.
    pub async fn active_producers(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> Vec<Outcome<TopicPartition, Vec<ActiveProducer>>> {
        let build = |keys: &[TopicPartition], _| {
            let topic = |(name, partitions): (Arc<str>, Vec<i32>)| {
                TopicRequest::default().with_name(topic_name(&name)).with_partition_indexes(partitions)
            };
            let topics = by_topic(keys.iter().map(|key| (key.topic.clone(), key.partition)));
            Ok(DescribeProducersRequest::default().with_topics(topics.into_iter().map(topic).collect()))
        };
        let read = |_: &[TopicPartition], answer: <DescribeProducersRequest as Api>::Response| {
            let mut results = Vec::new();
            for topic in answer.topics {
                for partition in topic.partitions {
                    let key = TopicPartition::new(&**topic.name, partition.partition_index);
                    let (code, message) = (partition.error_code, partition.error_message.as_ref());
                    let checked = check::<DescribeProducersRequest>(key.to_string(), code, message);
                    let producers = partition.active_producers.iter().map(read_producer).collect();
                    results.push((key, checked.map(|()| producers)));
                }
            }
            results
        };
        self.call("asking for producers")
            .run(Stage::new(Lookup::Leader(Clone::clone), build, read), partitions)
            .await
    }

    /// Writes an abort marker for the open transaction of a producer into one partition, as Apache's tool does for a
    /// transaction that no coordinator knows any more. Readers of committed records get past it afterwards.
    ///
    /// # Errors
    /// The leader refuses, or no answer in time.
    pub async fn abort_transaction(
        &self,
        partition: TopicPartition,
        producer: &ActiveProducer,
    ) -> Result<()> {
        let producer_epoch = i16::try_from(producer.producer_epoch)
            .map_err(|_| Error::Config(format!("{} is no producer epoch", producer.producer_epoch)))?;
        let marker = WritableTxnMarker::default()
            .with_producer_id(ProducerId(producer.producer_id))
            .with_producer_epoch(producer_epoch)
            .with_transaction_result(false)
            .with_coordinator_epoch(producer.coordinator_epoch.unwrap_or(0));
        let build = move |keys: &[TopicPartition], _| {
            let topic = |key: &TopicPartition| {
                let topic = WritableTxnMarkerTopic::default().with_name(topic_name(&key.topic));
                topic.with_partition_indexes(vec![key.partition])
            };
            let marker = marker.clone().with_topics(keys.iter().map(topic).collect());
            Ok(WriteTxnMarkersRequest::default().with_markers(vec![marker]))
        };
        let read = |_: &[TopicPartition], answer: <WriteTxnMarkersRequest as Api>::Response| {
            let mut results = Vec::new();
            for topic in answer.markers.into_iter().flat_map(|marker| marker.topics) {
                for partition in topic.partitions {
                    let key = TopicPartition::new(&**topic.name, partition.partition_index);
                    let checked =
                        check::<WriteTxnMarkersRequest>(key.to_string(), partition.error_code, None);
                    results.push((key, checked));
                }
            }
            results
        };
        let stage = Stage::new(Lookup::Leader(Clone::clone), build, read).changing();
        single(self.call("aborting a transaction").run(stage, [partition]).await)
    }
}

fn read_transaction(
    state: &kafka_protocol::messages::describe_transactions_response::TransactionState,
) -> (String, Result<TransactionDescription>) {
    let id = state.transactional_id.to_string();
    let checked =
        check::<DescribeTransactionsRequest>(format!("transactional id {id}"), state.error_code, None);
    let partitions = state.topics.iter().flat_map(|topic| {
        let name: Arc<str> = (&**topic.topic).into();
        topic.partitions.iter().map(move |partition| TopicPartition::new(Arc::clone(&name), *partition))
    });
    let description = TransactionDescription {
        state: state.transaction_state.to_string(),
        producer_id: state.producer_id.0,
        producer_epoch: state.producer_epoch,
        timeout_ms: state.transaction_timeout_ms,
        started: Some(state.transaction_start_time_ms).filter(|ms| *ms >= 0),
        partitions: partitions.collect(),
    };
    (id, checked.map(|()| description))
}

fn read_producer(
    state: &kafka_protocol::messages::describe_producers_response::ProducerState,
) -> ActiveProducer {
    ActiveProducer {
        producer_id: state.producer_id.0,
        producer_epoch: state.producer_epoch,
        last_sequence: state.last_sequence,
        last_timestamp: state.last_timestamp,
        coordinator_epoch: Some(state.coordinator_epoch).filter(|epoch| *epoch >= 0),
        transaction_start: Some(state.current_txn_start_offset).filter(|offset| *offset >= 0),
    }
}
