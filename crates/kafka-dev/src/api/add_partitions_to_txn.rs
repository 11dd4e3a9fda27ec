//! AddPartitionsToTxn, versions 0 to 5: from clients up to 3, in batches and to verify from 4 (KIP-98, 890).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::AddPartitionsToTxnRequest;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;
use crate::txn::{Now, Producer};

/// First version with several transactions.
const BATCH_VERSION: i16 = 4;
/// First version whose clients know PRODUCER_FENCED.
const FENCED_VERSION: i16 = 2;

impl Serve for AddPartitionsToTxnRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 5 };

    async fn serve(self, call: &mut Call<'_>) -> AddPartitionsToTxnResponse {
        let now = call.now();
        let version = call.version;
        let coordinates = |id: &str| call.check_coordinator(id);
        let transactions = transactions(&self, version);
        let checked: Vec<_> = transactions.iter().map(|t| coordinates(&t.transactional_id)).collect();
        let mut cluster = call.cluster();
        let results = transactions.iter().zip(checked).map(|(transaction, checked)| match checked {
            Ok(()) => add(&mut cluster, transaction, now, version),
            Err(error) => all(transaction, |_, _| error.code()),
        });
        let results = results.collect();
        drop(cluster);
        call.shared().timers.notify_one();
        respond(results, version)
    }

    fn refuse(&self, version: i16, error: ResponseError) -> AddPartitionsToTxnResponse {
        let transactions = transactions(self, version);
        let results = transactions.iter().map(|transaction| all(transaction, |_, _| error.code()));
        respond(results.collect(), version)
    }

    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        let topics = self.transactions.iter().flat_map(|transaction| &transaction.topics);
        topics.chain(&self.v3_and_below_topics).map(|topic| topic.name.to_string()).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Write, self.topics(cluster))
    }
}

/// What is asked for, in the form of the newest version.
fn transactions(request: &AddPartitionsToTxnRequest, version: i16) -> Vec<AddPartitionsToTxnTransaction> {
    if version >= BATCH_VERSION {
        return request.transactions.clone();
    }
    let only = AddPartitionsToTxnTransaction::default()
        .with_transactional_id(request.v3_and_below_transactional_id.clone())
        .with_producer_id(request.v3_and_below_producer_id)
        .with_producer_epoch(request.v3_and_below_producer_epoch)
        .with_topics(request.v3_and_below_topics.clone());
    vec![only]
}

/// All partitions or none: if one is unknown, the others are not attempted.
fn add(
    cluster: &mut Cluster,
    asked: &AddPartitionsToTxnTransaction,
    now: Now,
    version: i16,
) -> AddPartitionsToTxnResult {
    let known = |topic: &str, index: i32| {
        cluster.topics.get(topic).is_some_and(|topic| topic.partition(index).is_some())
    };
    let pairs = |topic: &AddPartitionsToTxnTopic| {
        let name = topic.name.to_string();
        topic.partitions.iter().map(|index| (name.clone(), *index)).collect::<Vec<_>>()
    };
    let partitions: Vec<(String, i32)> = asked.topics.iter().flat_map(pairs).collect();
    if partitions.iter().any(|(topic, index)| !known(topic, *index)) {
        return all(asked, |topic, index| {
            if known(topic, index) {
                ResponseError::OperationNotAttempted.code()
            } else {
                ResponseError::UnknownTopicOrPartition.code()
            }
        });
    }
    let producer = Producer { id: asked.producer_id.0, epoch: asked.producer_epoch };
    let id = &asked.transactional_id;
    let added = if asked.verify_only {
        cluster.transactions.check(id, producer).and_then(|known| {
            let all_in = partitions.iter().all(|partition| known.partitions.contains(partition));
            if all_in { Ok(()) } else { Err(ResponseError::TransactionAbortable) }
        })
    } else {
        cluster.transactions.add_partitions(id, producer, partitions, now)
    };
    let code = match added {
        Ok(()) => 0,
        Err(ResponseError::ProducerFenced) if version < FENCED_VERSION => {
            ResponseError::InvalidProducerEpoch.code()
        }
        Err(error) => error.code(),
    };
    all(asked, |_, _| code)
}

fn all(asked: &AddPartitionsToTxnTransaction, code: impl Fn(&str, i32) -> i16) -> AddPartitionsToTxnResult {
    let topics = asked.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code(&topic.name, *index))
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    AddPartitionsToTxnResult::default()
        .with_transactional_id(asked.transactional_id.clone())
        .with_topic_results(topics.collect())
}

fn respond(results: Vec<AddPartitionsToTxnResult>, version: i16) -> AddPartitionsToTxnResponse {
    if version >= BATCH_VERSION {
        return AddPartitionsToTxnResponse::default().with_results_by_transaction(results);
    }
    let topics = results.into_iter().flat_map(|result| result.topic_results).collect();
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics)
}
