//! The cluster itself: brokers, versions, features, the controllers' quorum, removing a dead broker's registration.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::describe_quorum_response::ReplicaState;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{
    ApiVersionsRequest, BrokerId, DescribeClusterRequest, DescribeQuorumRequest, UnregisterBrokerRequest,
    UpdateFeaturesRequest,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::names::{check, text, topic_name};
use super::stage::{Lookup, Stage};
use super::{Admin, Outcome, whole};
use crate::ErrorCode;
use crate::cluster::Broker;
use crate::error::{Error, Result};
use crate::wire::{Address, Api, ApiRange};

/// The cluster and its brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Cluster id.
    pub cluster_id: String,
    /// Node id of the controller, or of a broker that stands for it; `None` while there is none.
    pub controller: Option<i32>,
    /// Brokers, sorted by node id.
    pub brokers: Vec<ListedBroker>,
}

/// A broker that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBroker {
    /// Node id and address.
    pub broker: Broker,
    /// Registered but not (or not any more) part of the running cluster (KIP-1073).
    pub fenced: bool,
}

/// What a broker says it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerVersions {
    /// Versions of each API, by key.
    pub apis: BTreeMap<i16, ApiRange>,
    /// Versions of each feature that the software supports.
    pub supported_features: BTreeMap<String, (i16, i16)>,
    /// The level of each feature that the cluster agreed on.
    pub finalized_features: BTreeMap<String, i16>,
}

/// How a feature's level may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureChange {
    /// Only upwards.
    Upgrade,
    /// Downwards where nothing is lost.
    SafeDowngrade,
    /// Downwards even where metadata is lost.
    UnsafeDowngrade,
}

/// The controllers' quorum (KIP-595).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// Node id of the leader.
    pub leader: i32,
    /// Its epoch.
    pub leader_epoch: i32,
    /// Offset up to which metadata is committed.
    pub high_watermark: i64,
    /// Those who vote.
    pub voters: Vec<QuorumReplica>,
    /// Those who follow: brokers.
    pub observers: Vec<QuorumReplica>,
}

/// A member or follower of the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Node id.
    pub id: i32,
    /// Directory id (KIP-853); nil where it has none.
    pub directory_id: Uuid,
    /// The end of its log.
    pub log_end_offset: i64,
    /// When it last fetched, in milliseconds since 1970, where the leader knows.
    pub last_fetch: Option<i64>,
    /// When it last had everything, likewise.
    pub last_caught_up: Option<i64>,
}

impl Admin {
    /// The cluster's id, controller and brokers, with those that are registered but not running where the broker can say.
    ///
    /// # Errors
    /// Where no broker answered in time.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription> {
        let build = |version: i16| {
            let request = DescribeClusterRequest::default().with_endpoint_type(1);
            Ok(request.with_include_fenced_brokers(version >= 2))
        };
        self.ask("describing the cluster", build, read_cluster).await
    }

    /// The versions of APIs and features of brokers, each asked itself.
    pub async fn api_versions(&self, brokers: &[i32]) -> Vec<Outcome<i32, BrokerVersions>> {
        let build = |_: &[i32], _| {
            let request = ApiVersionsRequest::default();
            let name = StrBytes::from_static_str(env!("CARGO_PKG_NAME"));
            let version = StrBytes::from_static_str(env!("CARGO_PKG_VERSION"));
            Ok(request.with_client_software_name(name).with_client_software_version(version))
        };
        let read = |brokers: &[i32], answer: <ApiVersionsRequest as Api>::Response| {
            let broker = brokers.first().copied().unwrap_or(-1);
            let checked = check::<ApiVersionsRequest>(format!("broker {broker}"), answer.error_code, None);
            vec![(broker, checked.map(|()| read_versions(&answer)))]
        };
        let stage = Stage::new(Lookup::Broker(|id| Some(*id)), build, read).at_most(1);
        self.call("asking for versions").run(stage, brokers.to_vec()).await
    }

    /// Changes the finalized levels of features (0 takes a feature away), or only checks whether they could be changed.
    ///
    /// # Errors
    /// Where the controller refuses or does not answer in time.
    pub async fn update_features(
        &self,
        levels: Vec<(String, i16)>,
        how: FeatureChange,
        validate_only: bool,
    ) -> Result<()> {
        let call = self.call("updating features");
        let timer = call.clone();
        let build = move |_: i16| {
            let update = |(name, level): &(String, i16)| {
                let upgrade_type = match how {
                    FeatureChange::Upgrade => 1,
                    FeatureChange::SafeDowngrade => 2,
                    FeatureChange::UnsafeDowngrade => 3,
                };
                let key = FeatureUpdateKey::default().with_feature(text(name)).with_max_version_level(*level);
                key.with_upgrade_type(upgrade_type)
            };
            let request = UpdateFeaturesRequest::default().with_timeout_ms(timer.left_ms());
            let request = request.with_feature_updates(levels.iter().map(update).collect());
            Ok(request.with_validate_only(validate_only))
        };
        let read = |answer: <UpdateFeaturesRequest as Api>::Response| {
            let (code, message) = (answer.error_code, answer.error_message.as_ref());
            check::<UpdateFeaturesRequest>("features", code, message)?;
            answer.results.iter().try_for_each(|result| {
                let subject = format!("feature {}", &*result.feature);
                check::<UpdateFeaturesRequest>(subject, result.error_code, result.error_message.as_ref())
            })
        };
        super::single(call.run(whole(Lookup::Controller, build, read).changing(), [()]).await)
    }

    /// The state of the controllers' quorum.
    ///
    /// # Errors
    /// Where no broker answered in time, or there is no permission.
    pub async fn describe_quorum(&self) -> Result<Quorum> {
        let build = |_: i16| {
            let partition = PartitionData::default().with_partition_index(0);
            let topic = TopicData::default().with_topic_name(topic_name("__cluster_metadata"));
            Ok(DescribeQuorumRequest::default().with_topics(vec![topic.with_partitions(vec![partition])]))
        };
        self.ask("describing the quorum", build, read_quorum).await
    }

    /// Takes the registration of a broker out of the cluster; the broker must not run.
    ///
    /// # Errors
    /// Where the controller refuses or does not answer in time.
    pub async fn unregister_broker(&self, broker: i32) -> Result<()> {
        let build = move |_: i16| Ok(UnregisterBrokerRequest::default().with_broker_id(BrokerId(broker)));
        let read = move |answer: <UnregisterBrokerRequest as Api>::Response| {
            let (code, message) = (answer.error_code, answer.error_message.as_ref());
            check::<UnregisterBrokerRequest>(format!("broker {broker}"), code, message)
        };
        let call = self.call("unregistering a broker");
        super::single(call.run(whole(Lookup::Controller, build, read).changing(), [()]).await)
    }
}

fn read_cluster(answer: <DescribeClusterRequest as Api>::Response) -> Result<ClusterDescription> {
    check::<DescribeClusterRequest>("cluster", answer.error_code, answer.error_message.as_ref())?;
    let broker = |broker: kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker| {
        let address = Address { host: (&*broker.host).into(), port: u16::try_from(broker.port).ok()? };
        let rack = broker.rack.map(|rack| rack.to_string());
        let fenced = broker.is_fenced;
        Some(ListedBroker { broker: Broker { id: broker.broker_id.0, address, rack }, fenced })
    };
    let mut brokers: Vec<_> = answer.brokers.into_iter().filter_map(broker).collect();
    brokers.sort_by_key(|broker| broker.broker.id);
    Ok(ClusterDescription {
        cluster_id: answer.cluster_id.to_string(),
        controller: Some(answer.controller_id.0).filter(|id| *id >= 0),
        brokers,
    })
}

fn read_versions(answer: &<ApiVersionsRequest as Api>::Response) -> BrokerVersions {
    let api = |api: &kafka_protocol::messages::api_versions_response::ApiVersion| {
        (api.api_key, ApiRange { min: api.min_version, max: api.max_version })
    };
    let supported = answer.supported_features.iter();
    let finalized = answer.finalized_features.iter();
    BrokerVersions {
        apis: answer.api_keys.iter().map(api).collect(),
        supported_features: supported.map(|f| (f.name.to_string(), (f.min_version, f.max_version))).collect(),
        finalized_features: finalized.map(|f| (f.name.to_string(), f.max_version_level)).collect(),
    }
}

fn read_quorum(answer: <DescribeQuorumRequest as Api>::Response) -> Result<Quorum> {
    check::<DescribeQuorumRequest>("quorum", answer.error_code, answer.error_message.as_ref())?;
    let partition = answer.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let missing =
        || Error::broker(DescribeQuorumRequest::NAME, "quorum", ErrorCode::UNKNOWN_SERVER_ERROR, None);
    let partition = partition.ok_or_else(missing)?;
    check::<DescribeQuorumRequest>("quorum", partition.error_code, partition.error_message.as_ref())?;
    let known = |ms: i64| Some(ms).filter(|ms| *ms >= 0);
    let replica = |replica: ReplicaState| QuorumReplica {
        id: replica.replica_id.0,
        directory_id: replica.replica_directory_id,
        log_end_offset: replica.log_end_offset,
        last_fetch: known(replica.last_fetch_timestamp),
        last_caught_up: known(replica.last_caught_up_timestamp),
    };
    Ok(Quorum {
        leader: partition.leader_id.0,
        leader_epoch: partition.leader_epoch,
        high_watermark: partition.high_watermark,
        voters: partition.current_voters.into_iter().map(replica).collect(),
        observers: partition.observers.into_iter().map(replica).collect(),
    })
}
