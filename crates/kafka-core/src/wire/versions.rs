//! The one table of the APIs this client speaks: key, versions, and the first version with tagged fields (KIP-482).
//!
//! It says what we can speak; what a broker can is learnt per connection ([`ApiRange`]). Message layouts are
//! `kafka-protocol`'s.

use kafka_protocol::messages as m;
use kafka_protocol::protocol::{Decodable, Encodable};

/// A version number that no API reaches: "never flexible".
pub(super) const NEVER: i16 = i16::MAX;

/// A request message together with what the wire has to know of it.
pub trait Api: Encodable + Send + Sync + 'static {
    /// The message that answers it.
    type Response: Decodable + Send + 'static;
    /// Kafka's API key, <https://kafka.apache.org/protocol#protocol_api_keys>.
    const KEY: i16;
    /// Kafka's name of the API.
    const NAME: &'static str;
    /// The lowest version this client speaks.
    const MIN: i16;
    /// The highest version this client speaks.
    const MAX: i16;
    /// The first version whose request header carries tagged fields.
    const FLEXIBLE_REQUEST: i16;
    /// The first version whose response header carries tagged fields.
    const FLEXIBLE_RESPONSE: i16;
}

/// An API of the table, for callers that handle APIs by number (`kafka-admin api-versions`, traces).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiInfo {
    /// API key.
    pub key: i16,
    /// Kafka's name of the API.
    pub name: &'static str,
    /// Lowest version this client speaks.
    pub min: i16,
    /// Highest version this client speaks.
    pub max: i16,
}

/// The versions of one API that a broker offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiRange {
    /// Lowest offered version.
    pub min: i16,
    /// Highest offered version.
    pub max: i16,
}

impl ApiRange {
    /// The highest version that both sides speak, `None` where there is none.
    #[must_use]
    pub fn common(self, min: i16, max: i16) -> Option<i16> {
        let highest = self.max.min(max);
        (highest >= self.min && highest >= min).then_some(highest)
    }
}

/// One row: message, answer, key, versions, first flexible version of the request header and of the response header.
macro_rules! apis {
    ($($name:literal $request:ident $response:ident $key:literal, $min:literal..=$max:literal, $flex_req:expr, $flex_resp:expr;)*) => {
        $(impl Api for m::$request {
            type Response = m::$response;
            const KEY: i16 = $key;
            const NAME: &'static str = $name;
            const MIN: i16 = $min;
            const MAX: i16 = $max;
            const FLEXIBLE_REQUEST: i16 = $flex_req;
            const FLEXIBLE_RESPONSE: i16 = $flex_resp;
        })*

        /// Every API that this client speaks, by key.
        pub const APIS: &[ApiInfo] = &[$(ApiInfo { key: $key, name: $name, min: $min, max: $max },)*];

        /// Decodes an answer of any API.
        #[cfg(any(test, feature = "fuzzing"))]
        pub(crate) fn decode_any(key: i16, version: i16, body: bytes::Bytes) -> Result<(), String> {
            match key {
                $($key => super::codec::decode::<m::$request>(body, version).map(drop),)*
                _ => Err("this client does not speak it".to_owned()),
            }
        }

        #[cfg(test)]
        fn message_facts() -> Vec<(ApiInfo, [i16; 2], [i16; 2], [i16; 2])> {
            use kafka_protocol::protocol::{HeaderVersion, Message};
            let first = |is_flexible: &dyn Fn(i16) -> bool| (0..100).find(|v| is_flexible(*v)).unwrap_or(NEVER);
            vec![$((
                ApiInfo { key: $key, name: $name, min: $min, max: $max },
                [m::$request::VERSIONS.min, m::$request::VERSIONS.max],
                [first(&|v| m::$request::header_version(v) >= 2), first(&|v| m::$response::header_version(v) >= 1)],
                [$flex_req, $flex_resp],
            ),)*]
        }
    };
}

// Metadata starts at version 4: before it, asking for a topic could create it. Produce stops at version 12: 13 names topics by id, and a producer that follows a recreated topic by name is what
// the tools promise. SaslHandshake and OffsetDelete never became flexible; ApiVersions answers always with header 0.
#[rustfmt::skip]
apis! {
    "Produce" ProduceRequest ProduceResponse 0, 3..=12, 9, 9;
    "Fetch" FetchRequest FetchResponse 1, 4..=18, 12, 12;
    "ListOffsets" ListOffsetsRequest ListOffsetsResponse 2, 1..=10, 6, 6;
    "Metadata" MetadataRequest MetadataResponse 3, 4..=13, 9, 9;
    "OffsetCommit" OffsetCommitRequest OffsetCommitResponse 8, 2..=9, 8, 8;
    "OffsetFetch" OffsetFetchRequest OffsetFetchResponse 9, 1..=9, 6, 6;
    "FindCoordinator" FindCoordinatorRequest FindCoordinatorResponse 10, 0..=6, 3, 3;
    "JoinGroup" JoinGroupRequest JoinGroupResponse 11, 0..=9, 6, 6;
    "Heartbeat" HeartbeatRequest HeartbeatResponse 12, 0..=4, 4, 4;
    "LeaveGroup" LeaveGroupRequest LeaveGroupResponse 13, 0..=5, 4, 4;
    "SyncGroup" SyncGroupRequest SyncGroupResponse 14, 0..=5, 4, 4;
    "DescribeGroups" DescribeGroupsRequest DescribeGroupsResponse 15, 0..=6, 5, 5;
    "ListGroups" ListGroupsRequest ListGroupsResponse 16, 0..=5, 3, 3;
    "SaslHandshake" SaslHandshakeRequest SaslHandshakeResponse 17, 0..=1, NEVER, NEVER;
    "ApiVersions" ApiVersionsRequest ApiVersionsResponse 18, 0..=4, 3, NEVER;
    "CreateTopics" CreateTopicsRequest CreateTopicsResponse 19, 2..=7, 5, 5;
    "DeleteTopics" DeleteTopicsRequest DeleteTopicsResponse 20, 1..=6, 4, 4;
    "DeleteRecords" DeleteRecordsRequest DeleteRecordsResponse 21, 0..=2, 2, 2;
    "InitProducerId" InitProducerIdRequest InitProducerIdResponse 22, 0..=5, 2, 2;
    "OffsetForLeaderEpoch" OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse 23, 2..=4, 4, 4;
    "AddPartitionsToTxn" AddPartitionsToTxnRequest AddPartitionsToTxnResponse 24, 0..=5, 3, 3;
    "AddOffsetsToTxn" AddOffsetsToTxnRequest AddOffsetsToTxnResponse 25, 0..=4, 3, 3;
    "EndTxn" EndTxnRequest EndTxnResponse 26, 0..=5, 3, 3;
    "WriteTxnMarkers" WriteTxnMarkersRequest WriteTxnMarkersResponse 27, 1..=1, 0, 0;
    "TxnOffsetCommit" TxnOffsetCommitRequest TxnOffsetCommitResponse 28, 0..=5, 3, 3;
    "DescribeAcls" DescribeAclsRequest DescribeAclsResponse 29, 1..=3, 2, 2;
    "CreateAcls" CreateAclsRequest CreateAclsResponse 30, 1..=3, 2, 2;
    "DeleteAcls" DeleteAclsRequest DeleteAclsResponse 31, 1..=3, 2, 2;
    "DescribeConfigs" DescribeConfigsRequest DescribeConfigsResponse 32, 1..=4, 4, 4;
    "AlterConfigs" AlterConfigsRequest AlterConfigsResponse 33, 0..=2, 2, 2;
    "DescribeLogDirs" DescribeLogDirsRequest DescribeLogDirsResponse 35, 1..=4, 2, 2;
    "SaslAuthenticate" SaslAuthenticateRequest SaslAuthenticateResponse 36, 0..=2, 2, 2;
    "CreatePartitions" CreatePartitionsRequest CreatePartitionsResponse 37, 0..=3, 2, 2;
    "CreateDelegationToken" CreateDelegationTokenRequest CreateDelegationTokenResponse 38, 1..=3, 2, 2;
    "RenewDelegationToken" RenewDelegationTokenRequest RenewDelegationTokenResponse 39, 1..=2, 2, 2;
    "ExpireDelegationToken" ExpireDelegationTokenRequest ExpireDelegationTokenResponse 40, 1..=2, 2, 2;
    "DescribeDelegationToken" DescribeDelegationTokenRequest DescribeDelegationTokenResponse 41, 1..=3, 2, 2;
    "DeleteGroups" DeleteGroupsRequest DeleteGroupsResponse 42, 0..=2, 2, 2;
    "ElectLeaders" ElectLeadersRequest ElectLeadersResponse 43, 0..=2, 2, 2;
    "IncrementalAlterConfigs" IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse 44, 0..=1, 1, 1;
    "AlterPartitionReassignments" AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse 45, 0..=1, 0, 0;
    "ListPartitionReassignments" ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse 46, 0..=0, 0, 0;
    "OffsetDelete" OffsetDeleteRequest OffsetDeleteResponse 47, 0..=0, NEVER, NEVER;
    "DescribeClientQuotas" DescribeClientQuotasRequest DescribeClientQuotasResponse 48, 0..=1, 1, 1;
    "AlterClientQuotas" AlterClientQuotasRequest AlterClientQuotasResponse 49, 0..=1, 1, 1;
    "DescribeUserScramCredentials" DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse 50, 0..=0, 0, 0;
    "AlterUserScramCredentials" AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse 51, 0..=0, 0, 0;
    "DescribeQuorum" DescribeQuorumRequest DescribeQuorumResponse 55, 0..=2, 0, 0;
    "UpdateFeatures" UpdateFeaturesRequest UpdateFeaturesResponse 57, 0..=2, 0, 0;
    "DescribeCluster" DescribeClusterRequest DescribeClusterResponse 60, 0..=2, 0, 0;
    "DescribeProducers" DescribeProducersRequest DescribeProducersResponse 61, 0..=0, 0, 0;
    "UnregisterBroker" UnregisterBrokerRequest UnregisterBrokerResponse 64, 0..=0, 0, 0;
    "DescribeTransactions" DescribeTransactionsRequest DescribeTransactionsResponse 65, 0..=0, 0, 0;
    "ListTransactions" ListTransactionsRequest ListTransactionsResponse 66, 0..=2, 0, 0;
    "ConsumerGroupHeartbeat" ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse 68, 0..=1, 0, 0;
    "ConsumerGroupDescribe" ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse 69, 0..=1, 0, 0;
    "ListConfigResources" ListConfigResourcesRequest ListConfigResourcesResponse 74, 0..=1, 0, 0;
    "DescribeTopicPartitions" DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse 75, 0..=0, 0, 0;
    "ShareGroupDescribe" ShareGroupDescribeRequest ShareGroupDescribeResponse 77, 1..=1, 0, 0;
    "AddRaftVoter" AddRaftVoterRequest AddRaftVoterResponse 80, 0..=0, 0, 0;
    "RemoveRaftVoter" RemoveRaftVoterRequest RemoveRaftVoterResponse 81, 0..=0, 0, 0;
    "DescribeShareGroupOffsets" DescribeShareGroupOffsetsRequest DescribeShareGroupOffsetsResponse 90, 0..=0, 0, 0;
    "AlterShareGroupOffsets" AlterShareGroupOffsetsRequest AlterShareGroupOffsetsResponse 91, 0..=0, 0, 0;
    "DeleteShareGroupOffsets" DeleteShareGroupOffsetsRequest DeleteShareGroupOffsetsResponse 92, 0..=0, 0, 0;
}

/// Kafka's name of an API key, `None` for a key this client does not speak.
#[must_use]
pub fn api_name(key: i16) -> Option<&'static str> {
    APIS.iter().find(|api| api.key == key).map(|api| api.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_generated_messages() {
        for (api, [min, max], flexible, stated) in message_facts() {
            assert!(api.min >= min && api.max <= max, "{}: versions {min} to {max}", api.name);
            assert_eq!(flexible, stated, "{}: first flexible versions", api.name);
        }
    }

    #[test]
    fn the_common_version_is_the_highest_that_both_sides_speak() {
        let broker = ApiRange { min: 2, max: 5 };
        assert_eq!(broker.common(0, 9), Some(5));
        assert_eq!(broker.common(3, 4), Some(4));
        assert_eq!(broker.common(6, 9), None);
        assert_eq!(broker.common(0, 1), None);
    }
}
