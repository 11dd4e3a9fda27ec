//! Requests to answers: which APIs are served, one file each, and what all of them go through.
//!
//! A file per API implements [`Serve`] for its request and states the versions it answers. This one decodes, checks
//! access, looks for faults, and encodes.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod api_versions;
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
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
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
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Request, StrBytes, VersionRange};

use crate::auth::Users;
use crate::auth::acl::{Access, Resource};
use crate::auth::sasl::Sasl;
use crate::cluster::Cluster;
use crate::fault::{Fault, Target};
use crate::frame::{self, RequestFrame};
use crate::guard::{self, DecodeError};
use crate::shared::{Control, Shared};
use crate::txn::Now;

/// How often a fault yields to the control task before it goes on regardless.
const MAX_TURNS: usize = 10_000;

/// What the connection does next.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Sends this frame.
    Respond(BytesMut),
    /// Sends this frame and closes.
    RespondAndClose(BytesMut),
    /// The client does not want an answer (`acks=0`).
    NoResponse,
    Close(String),
    /// Keeps the connection and never answers again.
    Silence,
}

/// One client connection to one broker.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) broker: i32,
    pub(crate) peer: SocketAddr,
    pub(crate) sasl: Sasl,
    /// `User:name` once the client has authenticated.
    principal: Option<String>,
    /// When it has to do so again.
    expires: Option<Instant>,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, broker: i32, peer: SocketAddr) -> Self {
        Self { shared, broker, peer, sasl: Sasl::default(), principal: None, expires: None }
    }

    pub(crate) fn users(&self) -> Arc<Users> {
        Arc::clone(&self.shared.users)
    }

    /// The client has shown who it is.
    pub(crate) fn authenticated(&mut self, user: &str, now: Instant) {
        self.principal = Some(format!("User:{user}"));
        self.expires = self.shared.users.session_lifetime.map(|lifetime| now + lifetime);
    }

    /// Whether requests of this kind may be looked at before, or without, authentication.
    fn admits(&self, key: ApiKey) -> bool {
        let is_expired = self.expires.is_some_and(|expires| expires <= self.shared.clock.now());
        let is_known = self.principal.is_some() && !is_expired;
        let opens = matches!(key, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
        is_known || opens || !self.shared.users.is_required()
    }

    /// Whether the access rules let this client do something.
    pub(crate) fn may(&self, cluster: &Cluster, access: &Access) -> bool {
        match &self.principal {
            Some(principal) if !self.shared.users.is_super(principal) => {
                cluster.acls.allows(principal, &self.peer.ip().to_string(), access)
            }
            _ => true,
        }
    }
}

/// One request on its way, as its handler sees it.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    /// Set where the connection is to be closed instead of answering, with the reason.
    pub(crate) disconnect: Option<String>,
    /// Set where it is to be closed after the answer.
    pub(crate) close_after: bool,
}

impl Call<'_> {
    pub(crate) fn broker(&self) -> i32 {
        self.connection.broker
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.connection.shared
    }

    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.connection.shared.cluster()
    }

    /// The broker's time by both clocks.
    pub(crate) fn now(&self) -> Now {
        let clock = &self.connection.shared.clock;
        Now { instant: clock.now(), wall_ms: clock.wall_ms() }
    }

    /// The client's address as Kafka shows it.
    pub(crate) fn client_host(&self) -> String {
        format!("/{}", self.connection.peer.ip())
    }

    /// Whether this broker coordinates the group or transaction.
    pub(crate) fn check_coordinator(&self, key: &str) -> Result<(), ResponseError> {
        match self.cluster().coordinator(key) {
            Some(broker) if broker == self.broker() => Ok(()),
            Some(_) => Err(ResponseError::NotCoordinator),
            None => Err(ResponseError::CoordinatorNotAvailable),
        }
    }
}

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
}

async fn handle<R: Serve>(connection: &mut Connection, key: ApiKey, frame: RequestFrame) -> Outcome
where
    R::Response: Send,
{
    let RequestFrame { version, correlation_id, client_id, body, .. } = frame;
    if version < R::SERVED.min || version > R::SERVED.max {
        return unsupported_version(key, version, correlation_id);
    }
    if !connection.admits(key) {
        return Outcome::Close(format!("{key:?} before authentication"));
    }
    let request: R = match decode(key, version, &body) {
        Ok(request) => request,
        Err(error) => return Outcome::Close(format!("malformed {key:?} request: {error}")),
    };
    drop(body);
    let fault = strike(connection, key, &client_id, &request);
    let forbidden = forbidden(connection, &request);
    let mut call = Call { connection, version, client_id, disconnect: None, close_after: false };
    if let Some(early) = before(&mut call, fault.as_ref()).await {
        return early;
    }
    let wants_answer = request.wants_answer();
    let refusal = match fault {
        Some(Fault::Error(error)) => Some(error),
        _ => forbidden,
    };
    let response = match refusal {
        Some(error) => request.refuse(version, error),
        None => request.serve(&mut call).await,
    };
    if let Some(reason) = call.disconnect {
        return Outcome::Close(reason);
    }
    if !wants_answer {
        return Outcome::NoResponse;
    }
    match frame::response_frame(key, version, correlation_id, &response) {
        Ok(frame) if call.close_after => Outcome::RespondAndClose(frame),
        Ok(frame) => after(frame, fault.as_ref()),
        Err(error) => {
            tracing::error!(?key, version, error, "cannot encode an answer");
            Outcome::Close(format!("cannot encode {key:?} version {version}: {error}"))
        }
    }
}

fn decode<R: Serve>(key: ApiKey, version: i16, body: &Bytes) -> Result<R, DecodeError> {
    guard::decode(body, version, key.request_header_version(version) >= 2)
}

/// The error of the first thing the client may not do.
fn forbidden<R: Serve>(connection: &Connection, request: &R) -> Option<ResponseError> {
    connection.principal.as_ref()?;
    let cluster = connection.shared.cluster();
    let needs = request.access(&cluster);
    let missing = needs.iter().find(|access| !connection.may(&cluster, access))?;
    Some(match missing.resource {
        Resource::Topic => ResponseError::TopicAuthorizationFailed,
        Resource::Group => ResponseError::GroupAuthorizationFailed,
        Resource::Cluster => ResponseError::ClusterAuthorizationFailed,
        Resource::TransactionalId => ResponseError::TransactionalIdAuthorizationFailed,
    })
}

fn strike<R: Serve>(connection: &Connection, key: ApiKey, client_id: &str, request: &R) -> Option<Fault> {
    let shared = &connection.shared;
    if shared.faults.is_empty() {
        return None;
    }
    let topics = request.topics(&shared.cluster());
    let target = Target { key, broker: connection.broker, client_id, topics: &topics };
    let fault = shared.faults.strike(&target)?;
    tracing::info!(?key, broker = connection.broker, client_id, ?fault, "fault");
    Some(fault)
}

/// The part of a fault that comes before the work.
async fn before(call: &mut Call<'_>, fault: Option<&Fault>) -> Option<Outcome> {
    let shared = call.shared();
    match fault? {
        Fault::Delay(time) => tokio::time::sleep(*time).await,
        Fault::CloseConnection => return Some(Outcome::Close("fault".to_owned())),
        Fault::NeverAnswer => return Some(Outcome::Silence),
        Fault::MoveLeader { topic, partition, to } => {
            shared.move_leader(topic, *partition, *to);
        }
        Fault::StopBroker(id) => {
            let _ = shared.control.send(Control::StopBroker(*id, None));
            if *id == call.broker() {
                // This connection is about to be closed; nothing more happens on it.
                return std::future::pending().await;
            }
            wait_until(shared, *id, false).await;
        }
        Fault::StartBroker(id) => {
            let _ = shared.control.send(Control::StartBroker(*id, None));
            wait_until(shared, *id, true).await;
        }
        Fault::ExpireGroup(group) => shared.expire_group(group),
        Fault::Error(_)
        | Fault::DropResponse
        | Fault::WorkThenNeverAnswer
        | Fault::Corrupt
        | Fault::Truncate => {}
    }
    None
}

/// Lets the cluster's control task work until a broker is up or down, or it seems that this cannot be.
async fn wait_until(shared: &Shared, broker: i32, up: bool) {
    for _ in 0..MAX_TURNS {
        if shared.cluster().nodes.get(&broker).is_none_or(|node| node.is_up == up) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The part of a fault that comes after it.
fn after(mut frame: BytesMut, fault: Option<&Fault>) -> Outcome {
    match fault {
        Some(Fault::DropResponse) => Outcome::Close("fault".to_owned()),
        Some(Fault::WorkThenNeverAnswer) => Outcome::Silence,
        Some(Fault::Corrupt) => {
            let body = frame.iter_mut().skip(frame::LENGTH_BYTES + 4);
            body.for_each(|byte| *byte = !*byte);
            Outcome::Respond(frame)
        }
        Some(Fault::Truncate) => {
            frame.truncate(frame.len() / 2);
            Outcome::RespondAndClose(frame)
        }
        _ => Outcome::Respond(frame),
    }
}

/// An API that has no file here.
fn unsupported(frame: &RequestFrame) -> Outcome {
    tracing::debug!(key = frame.key, version = frame.version, "unsupported API");
    let error = ResponseError::UnsupportedVersion.code();
    Outcome::Respond(frame::unknown_api_frame(frame.correlation_id, error))
}

/// A version out of range: ApiVersions answers in its oldest form, so that clients can step down (KIP-511).
fn unsupported_version(key: ApiKey, version: i16, correlation_id: i32) -> Outcome {
    if key != ApiKey::ApiVersions {
        let error = ResponseError::UnsupportedVersion.code();
        tracing::debug!(?key, version, "unsupported version");
        return Outcome::Respond(frame::unknown_api_frame(correlation_id, error));
    }
    let response = api_versions::response(0, Some(ResponseError::UnsupportedVersion));
    match frame::response_frame(key, 0, correlation_id, &response) {
        Ok(frame) => Outcome::Respond(frame),
        Err(error) => Outcome::Close(error),
    }
}

/// The code of an outcome: 0 for success.
fn code(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |error| error.code())
}

/// The code of a result: 0 for success.
fn code_of<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, |error| error.code())
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
