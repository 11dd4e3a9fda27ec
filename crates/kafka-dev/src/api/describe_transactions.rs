//! DescribeTransactions, version 0 (KIP-664).

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_transactions_response::{
    DescribeTransactionsResponse, TopicData, TransactionState,
};
use kafka_protocol::messages::{DescribeTransactionsRequest, ProducerId, TopicName, TransactionalId};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::txn::Transaction;

impl Serve for DescribeTransactionsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 0 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeTransactionsResponse {
        let states = self.transactional_ids.iter().map(|id| {
            if let Err(error) = call.check_coordinator(id) {
                return failure(id, error);
            }
            match call.cluster().transactions.get(id) {
                Some(transaction) => describe(id, transaction),
                None => failure(id, ResponseError::TransactionalIdNotFound),
            }
        });
        DescribeTransactionsResponse::default().with_transaction_states(states.collect())
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DescribeTransactionsResponse {
        let states = self.transactional_ids.iter().map(|id| failure(id, error));
        DescribeTransactionsResponse::default().with_transaction_states(states.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        let ids = self.transactional_ids.iter();
        ids.map(|id| Access::new(Operation::Describe, Resource::TransactionalId, id)).collect()
    }
}

fn describe(id: &TransactionalId, transaction: &Transaction) -> TransactionState {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &transaction.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        TopicData::default().with_topic(TopicName(text(topic))).with_partitions(partitions)
    });
    TransactionState::default()
        .with_transactional_id(id.clone())
        .with_transaction_state(text(transaction.state.name()))
        .with_transaction_timeout_ms(i32::try_from(transaction.timeout.as_millis()).unwrap_or(i32::MAX))
        .with_transaction_start_time_ms(transaction.started_ms)
        .with_producer_id(ProducerId(transaction.producer_id))
        .with_producer_epoch(transaction.epoch)
        .with_topics(topics.collect())
}

fn failure(id: &TransactionalId, error: ResponseError) -> TransactionState {
    TransactionState::default().with_transactional_id(id.clone()).with_error_code(error.code())
}
