//! Requests to answers: which APIs are served, one file each, and what all of them go through.
//!
//! A file per API implements [`Serve`] for its request and states the versions it answers. How a request is decoded,
//! checked and answered is in `exchange`; what handlers see is in `call`.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_user_scram_credentials;
mod api_versions;
mod call;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod exchange;
mod faults;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
#[cfg(test)]
mod tests;
mod txn_offset_commit;

use std::future::Future;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Request, StrBytes, VersionRange};

pub(crate) use self::call::{Call, Connection, Outcome};
use self::exchange::{decode, handle, unsupported};
use crate::auth::acl::Access;
use crate::cluster::{Cluster, Refusal};
use crate::frame::RequestFrame;

/// A request this broker answers.
pub(crate) trait Serve: Request {
    /// The versions answered.
    const SERVED: VersionRange;

    /// Does the work.
    fn serve(self, call: &mut Call<'_>) -> impl Future<Output = Self::Response> + Send;

    /// Answers with this error wherever the response has room for one.
    fn refuse(&self, version: i16, error: ResponseError) -> Self::Response;

    /// The topics it names, for fault rules.
    fn topics(&self, _cluster: &Cluster) -> Vec<String> {
        Vec::new()
    }

    /// What the client must be allowed to do.
    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        Vec::new()
    }

    /// Whether the client waits for an answer.
    fn wants_answer(&self) -> bool {
        true
    }
}

macro_rules! served {
    ($($key:ident => $request:ty,)*) => {
        /// Every API answered, with its versions, as ApiVersions lists them.
        pub(crate) fn versions() -> Vec<(ApiKey, VersionRange)> {
            vec![$((ApiKey::$key, <$request as Serve>::SERVED),)*]
        }

        /// Whether the body is what its header claims.
        pub(crate) fn decodes(frame: &RequestFrame) -> bool {
            match ApiKey::try_from(frame.key) {
                $(Ok(key @ ApiKey::$key) => decode::<$request>(key, frame.version, &frame.body).is_ok(),)*
                _ => false,
            }
        }

        #[cfg(test)]
        async fn try_every_version(connection: &mut Connection) {
            $(tests::try_versions::<$request>(connection, ApiKey::$key).await;)*
        }

        /// Handles one request of a connection.
        pub(crate) async fn answer(connection: &mut Connection, frame: RequestFrame) -> Outcome {
            match ApiKey::try_from(frame.key) {
                $(Ok(ApiKey::$key) => handle::<$request>(connection, ApiKey::$key, frame).await,)*
                _ => unsupported(&frame),
            }
        }
    };
}

served! {
    Produce => ProduceRequest,
    Fetch => FetchRequest,
    ListOffsets => ListOffsetsRequest,
    Metadata => MetadataRequest,
    OffsetCommit => OffsetCommitRequest,
    OffsetFetch => OffsetFetchRequest,
    FindCoordinator => FindCoordinatorRequest,
    JoinGroup => JoinGroupRequest,
    Heartbeat => HeartbeatRequest,
    LeaveGroup => LeaveGroupRequest,
    SyncGroup => SyncGroupRequest,
    ApiVersions => ApiVersionsRequest,
    CreateTopics => CreateTopicsRequest,
    DeleteTopics => DeleteTopicsRequest,
    InitProducerId => InitProducerIdRequest,
    OffsetForLeaderEpoch => OffsetForLeaderEpochRequest,
    DescribeConfigs => DescribeConfigsRequest,
    AddPartitionsToTxn => AddPartitionsToTxnRequest,
    AddOffsetsToTxn => AddOffsetsToTxnRequest,
    EndTxn => EndTxnRequest,
    TxnOffsetCommit => TxnOffsetCommitRequest,
    DescribeTransactions => DescribeTransactionsRequest,
    ListTransactions => ListTransactionsRequest,
    CreateAcls => CreateAclsRequest,
    DescribeAcls => DescribeAclsRequest,
    DeleteAcls => DeleteAclsRequest,
    SaslHandshake => SaslHandshakeRequest,
    SaslAuthenticate => SaslAuthenticateRequest,
    DescribeGroups => DescribeGroupsRequest,
    ListGroups => ListGroupsRequest,
    DeleteGroups => DeleteGroupsRequest,
    OffsetDelete => OffsetDeleteRequest,
    DeleteRecords => DeleteRecordsRequest,
    AlterConfigs => AlterConfigsRequest,
    IncrementalAlterConfigs => IncrementalAlterConfigsRequest,
    CreatePartitions => CreatePartitionsRequest,
    DescribeLogDirs => DescribeLogDirsRequest,
    DescribeCluster => DescribeClusterRequest,
    DescribeProducers => DescribeProducersRequest,
    ConsumerGroupHeartbeat => ConsumerGroupHeartbeatRequest,
    ConsumerGroupDescribe => ConsumerGroupDescribeRequest,
    DescribeTopicPartitions => DescribeTopicPartitionsRequest,
    ElectLeaders => ElectLeadersRequest,
    AlterPartitionReassignments => AlterPartitionReassignmentsRequest,
    ListPartitionReassignments => ListPartitionReassignmentsRequest,
    DescribeUserScramCredentials => DescribeUserScramCredentialsRequest,
    AlterUserScramCredentials => AlterUserScramCredentialsRequest,
    DescribeClientQuotas => DescribeClientQuotasRequest,
    AlterClientQuotas => AlterClientQuotasRequest,
}

/// The code of an outcome: 0 for success.
fn code(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |error| error.code())
}

/// The code of a result: 0 for success.
fn code_of<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, |error| error.code())
}

/// Code and message of a refusal; 0 and none where there is none.
fn told(refusal: Option<&Refusal>) -> (i16, Option<StrBytes>) {
    refusal.map_or((0, None), |refusal| (refusal.error.code(), Some(text(&refusal.message))))
}

/// Compares the leader epoch a client knows, -1 for none, with the one in force (KIP-320).
fn check_epoch(known: i32, current: i32) -> Result<(), ResponseError> {
    match known {
        -1 => Ok(()),
        _ if known < current => Err(ResponseError::FencedLeaderEpoch),
        _ if known > current => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// A string for the wire.
fn text(string: impl Into<String>) -> StrBytes {
    StrBytes::from_string(string.into())
}
