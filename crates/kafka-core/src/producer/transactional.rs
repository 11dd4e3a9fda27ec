//! The transactional producer: the calls to the coordinators around the records of a transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    EndTxnRequest, GroupId, InitProducerIdRequest, ProducerId, TopicName, TransactionalId,
    TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::driver::Command;
use super::links::SILENCE;
use super::sequence::Identity;
use super::transaction::State;
use super::{DeliveryHandler, Producer, ProducerOptions};
use crate::backoff::Backoff;
use crate::cluster::{Cluster, CoordinatorKind};
use crate::consumer::OffsetToCommit;
use crate::error::{Error, RequestFailure, Result};
use crate::wire::{Api, Connection, Lane};
use crate::{Client, ErrorCode, Reaction, TopicPartition};

/// The level of the feature `transaction.version` from which partitions join a transaction by being written to, and
/// every transaction has an epoch of its own (KIP-890).
const NEEDED_LEVEL: i16 = 2;

/// Who a consumer is in its group, for offsets that are committed with a transaction (KIP-447): a member that lost
/// its partitions in between is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The group.
    pub group_id: Arc<str>,
    /// The member's id; empty for none, which switches the check off.
    pub member_id: Arc<str>,
    /// Generation or member epoch; -1 for none.
    pub generation: i32,
    /// `group.instance.id`
    pub instance_id: Option<Arc<str>>,
}

/// A producer whose records become visible to `read_committed` consumers transaction by transaction.
///
/// Between [`begin`](Self::begin) and [`commit`](Self::commit) or [`abort`](Self::abort), records are handed to
/// [`producer`](Self::producer). Starting one shuts out any earlier producer of the same transactional id and ends its
/// open transaction. Needs Kafka 4 (`transaction.version` 2).
#[derive(Debug)]
pub struct TransactionalProducer {
    producer: Producer,
    id: Arc<str>,
    state: State,
    has_offsets: bool,
}

impl TransactionalProducer {
    /// Starts under `options.transactional_id`, within `max.block.ms`.
    ///
    /// # Errors
    /// There is no transactional id, no permission for it, no coordinator, or the cluster is too old.
    pub async fn init(
        client: &Client,
        options: ProducerOptions,
        handler: Option<DeliveryHandler>,
    ) -> Result<Self> {
        let id = options.transactional_id.clone();
        let id = id.ok_or_else(|| Error::Config("transactional.id is not set".into()))?;
        let timeout = i32::try_from(options.transaction_timeout.as_millis()).unwrap_or(i32::MAX);
        let producer = Producer::new(client, options, handler)?;
        let this = Self { producer, id, state: State::default(), has_offsets: false };
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(this.wire_id()))
            .with_transaction_timeout_ms(timeout)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let answer = this.coordinate(request, |answer| answer.error_code).await?;
        this.adopt(answer.producer_id.0, answer.producer_epoch).await?;
        Ok(this)
    }

    /// Takes records, while a transaction is open.
    #[must_use]
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Begins a transaction. The broker hears of it with its first record.
    ///
    /// # Errors
    /// One is open already, or this producer was shut out.
    pub fn begin(&mut self) -> Result<()> {
        self.has_offsets = false;
        self.state.begin()
    }

    /// Commits what a consumer has dealt with as part of the transaction.
    ///
    /// # Errors
    /// No transaction is open, the member has lost its partitions, this producer was shut out. The transaction can
    /// only be aborted then.
    pub async fn send_offsets(
        &mut self,
        member: &GroupMember,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetToCommit)>,
    ) -> Result<()> {
        self.state.check_commit()?;
        let outcome = self.commit_offsets(member, offsets.into_iter().collect()).await;
        self.remember(outcome)
    }

    async fn commit_offsets(
        &mut self,
        member: &GroupMember,
        offsets: Vec<(TopicPartition, OffsetToCommit)>,
    ) -> Result<()> {
        let (identity, ..) = self.sender_state().await?;
        self.has_offsets = true;
        let request = offsets_request(self.wire_id(), identity, member, offsets);
        let group = Arc::clone(&member.group_id);
        let first_error = |answer: &kafka_protocol::messages::TxnOffsetCommitResponse| {
            let codes = answer.topics.iter().flat_map(|topic| &topic.partitions);
            codes.map(|partition| partition.error_code).find(|code| *code != 0).unwrap_or(0)
        };
        self.ask(CoordinatorKind::Group, &group, request, first_error).await.map(drop)
    }

    /// Waits until every record of the transaction is acknowledged, and commits.
    ///
    /// # Errors
    /// A record failed, or the commit was refused: nothing of the transaction is visible, abort it. A time-out leaves
    /// it open whether it was committed.
    pub async fn commit(&mut self) -> Result<()> {
        self.state.check_commit()?;
        self.producer.flush().await;
        let (_, error, _) = self.sender_state().await?;
        if let Some(error) = error {
            return self.remember(Err(error));
        }
        self.end(true).await
    }

    /// Gives up what is not sent yet, and makes what was sent invisible for good.
    ///
    /// # Errors
    /// No transaction is open, this producer was shut out, no coordinator answers.
    pub async fn abort(&mut self) -> Result<()> {
        self.state.check_abort()?;
        self.producer.ask(Command::Abort).await.ok_or(Error::Closed("the producer"))?;
        self.end(false).await
    }

    async fn end(&mut self, committed: bool) -> Result<()> {
        let (identity, _, wrote) = self.sender_state().await?;
        if wrote || self.has_offsets {
            let request = EndTxnRequest::default()
                .with_transactional_id(self.wire_id())
                .with_producer_id(ProducerId(identity.producer_id))
                .with_producer_epoch(identity.epoch)
                .with_committed(committed);
            let answer = self.coordinate(request, |answer| answer.error_code).await;
            let answer = self.remember(answer)?;
            self.adopt(answer.producer_id.0, answer.producer_epoch).await?;
        } else {
            self.adopt(identity.producer_id, identity.epoch).await?;
        }
        self.state.ended();
        Ok(())
    }

    /// What was handed over outside of transactions is waited for as well.
    pub async fn close(self) {
        self.producer.close().await;
    }

    fn remember<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            self.state.failed(error);
        }
        outcome
    }

    async fn adopt(&self, producer_id: i64, epoch: i16) -> Result<()> {
        let identity = Identity { producer_id, epoch };
        let told = self.producer.ask(|done| Command::BeginTransaction(identity, done)).await;
        told.ok_or(Error::Closed("the producer"))
    }

    /// The identity of the open transaction, why it can only be aborted, whether records were sent in it.
    async fn sender_state(&self) -> Result<(Identity, Option<Error>, bool)> {
        let state = self.producer.ask(Command::TransactionState).await;
        let state = state.ok_or(Error::Closed("the producer"))?;
        Ok((state.identity.ok_or(Error::Closed("the producer"))?, state.error, state.wrote))
    }

    fn wire_id(&self) -> TransactionalId {
        TransactionalId(StrBytes::from_string(self.id.to_string()))
    }

    /// Asks the coordinator of the transactional id.
    async fn coordinate<R: Api + Clone>(
        &self,
        request: R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response> {
        self.ask(CoordinatorKind::Transaction, &self.id, request, code).await
    }

    /// Asks a coordinator until it answers for good, for at most `max.block.ms`.
    async fn ask<R: Api + Clone>(
        &self,
        kind: CoordinatorKind,
        key: &str,
        request: R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response> {
        let cluster = &self.producer.cluster;
        let limit = self.producer.options.max_block;
        let (started, (first, max)) = (Instant::now(), cluster.options().retry_backoff);
        // A coordinator that finishes the last transaction needs some milliseconds.
        let mut backoff = Backoff::new(first.min(Duration::from_millis(20)), max);
        loop {
            let error = match self.ask_once(kind, key, request.clone(), &code).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.is_retriable() {
                return Err(error);
            }
            if error.code().is_none_or(|code| code.reaction() == Reaction::FindCoordinator) {
                cluster.forget_coordinator(kind, key);
            }
            if started.elapsed() >= limit {
                let what = format!("{} for transactional id {}", R::NAME, self.id);
                return Err(Error::Timeout { what, after: limit, last: Some(Box::new(error)) });
            }
            tokio::time::sleep(backoff.next_pause(&mut fastrand::Rng::new())).await;
        }
    }

    async fn ask_once<R: Api>(
        &self,
        kind: CoordinatorKind,
        key: &str,
        request: R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response> {
        let cluster = &self.producer.cluster;
        let broker = cluster.coordinator(kind, key).await?;
        let exchange = async {
            let connection = cluster.connect(&broker, Lane::Produce).await?;
            check_level::<R>(&connection)?;
            connection.send_within(request, self.producer.options.request_timeout).await
        };
        let answer = tokio::select! {
            answer = exchange => answer?,
            () = another_coordinator(cluster, kind, key, broker.id) => {
                let failure = RequestFailure::Disconnected("it is silent, and another broker coordinates now".into());
                let broker = format!("{} (node {})", broker.address, broker.id).into();
                return Err(Error::Request { broker, api: R::NAME, failure });
            }
        };
        let subject = || format!("transactional id {}", self.id);
        let failed = |code| Error::broker(R::NAME, subject(), code, None);
        ErrorCode(code(&answer)).check().map_err(failed)?;
        Ok(answer)
    }
}

/// Waits until another broker than `known` coordinates: a frozen one must not hold up what its successor can answer.
async fn another_coordinator(cluster: &Cluster, kind: CoordinatorKind, key: &str, known: i32) {
    loop {
        tokio::time::sleep(SILENCE).await;
        cluster.forget_coordinator(kind, key);
        if cluster.coordinator(kind, key).await.is_ok_and(|broker| broker.id != known) {
            return;
        }
    }
}

fn check_level<R: Api>(connection: &Connection) -> Result<()> {
    let features = &connection.api_versions().finalized_features;
    let level = features.iter().find(|feature| &*feature.name == "transaction.version");
    if level.is_some_and(|level| level.max_version_level >= NEEDED_LEVEL) {
        return Ok(());
    }
    let text = "transactions need Kafka 4 with the feature transaction.version at level 2".to_owned();
    let failure = RequestFailure::Unsupported(text);
    Err(Error::Request { broker: Arc::clone(connection.broker()), api: R::NAME, failure })
}

fn offsets_request(
    transactional_id: TransactionalId,
    identity: Identity,
    member: &GroupMember,
    offsets: Vec<(TopicPartition, OffsetToCommit)>,
) -> TxnOffsetCommitRequest {
    let mut topics: BTreeMap<Arc<str>, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
    for (at, offset) in offsets {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(at.partition)
            .with_committed_offset(offset.offset)
            .with_committed_leader_epoch(offset.leader_epoch)
            .with_committed_metadata(Some(StrBytes::from_string(offset.metadata)));
        topics.entry(at.topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (Arc<str>, _)| {
        TxnOffsetCommitRequestTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.to_string())))
            .with_partitions(partitions)
    };
    let text = |text: &Arc<str>| StrBytes::from_string(text.to_string());
    TxnOffsetCommitRequest::default()
        .with_transactional_id(transactional_id)
        .with_group_id(GroupId(text(&member.group_id)))
        .with_producer_id(ProducerId(identity.producer_id))
        .with_producer_epoch(identity.epoch)
        .with_generation_id(member.generation)
        .with_member_id(text(&member.member_id))
        .with_group_instance_id(member.instance_id.as_ref().map(text))
        .with_topics(topics.into_iter().map(topic).collect())
}
