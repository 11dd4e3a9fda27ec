//! One table: broker error code -> name, what a client does about it, and why. Nothing else decides by codes.
//!
//! The codes are the protocol's (<https://kafka.apache.org/protocol#protocol_error_codes>). A state machine may still
//! name a code where the protocol gives it a meaning of its own there (an idempotent producer and
//! `DUPLICATE_SEQUENCE_NUMBER`, say); what to do in general is said only here.

use std::fmt;

/// What a client does about an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// Send the same again after a pause.
    Retry,
    /// Learn leaders (or the controller) anew, then send again.
    RefreshMetadata,
    /// Look the coordinator up again, then send again.
    FindCoordinator,
    /// The group membership is not valid any more: join again.
    RejoinGroup,
    /// The idempotent producer starts a new epoch or id.
    ResetSequence,
    /// Final: sending it again will not help.
    Fail,
}

/// An error code of the Kafka protocol; 0 is "no error".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i16);

struct Row {
    code: ErrorCode,
    name: &'static str,
    reaction: Reaction,
    reason: &'static str,
}

macro_rules! error_codes {
    ($($code:literal $name:ident $reaction:ident $reason:literal;)*) => {
        #[allow(missing_docs)] // The reason in the table is the documentation.
        impl ErrorCode {
            pub const NONE: Self = Self(0);
            $(pub const $name: Self = Self($code);)*
        }

        const TABLE: &[Row] = &[$(Row {
            code: ErrorCode($code),
            name: stringify!($name),
            reaction: Reaction::$reaction,
            reason: $reason,
        },)*];
    };
}

#[rustfmt::skip]
error_codes! {
    -1 UNKNOWN_SERVER_ERROR Fail "the broker met an error it has no code for; its log says which";
    1 OFFSET_OUT_OF_RANGE Fail "the offset lies before the first or after the last record of the partition";
    2 CORRUPT_MESSAGE Retry "the batch's checksum does not match its bytes: damaged on the way";
    3 UNKNOWN_TOPIC_OR_PARTITION RefreshMetadata "this broker does not host the topic or partition; it may be new, moved or gone";
    4 INVALID_FETCH_SIZE Fail "the requested size is negative";
    5 LEADER_NOT_AVAILABLE RefreshMetadata "the partition has no leader at the moment; an election is under way";
    6 NOT_LEADER_OR_FOLLOWER RefreshMetadata "the leader moved to another broker";
    7 REQUEST_TIMED_OUT Retry "the replicas did not answer in the time that the request allowed";
    8 BROKER_NOT_AVAILABLE RefreshMetadata "the broker is not available";
    9 REPLICA_NOT_AVAILABLE RefreshMetadata "the replica asked for is not there; another one may be";
    10 MESSAGE_TOO_LARGE Fail "the batch or record is larger than max.message.bytes allows";
    11 STALE_CONTROLLER_EPOCH Fail "the controller has been replaced";
    12 OFFSET_METADATA_TOO_LARGE Fail "the text stored with a committed offset is too long";
    13 NETWORK_EXCEPTION RefreshMetadata "the broker lost a connection it needed";
    14 COORDINATOR_LOAD_IN_PROGRESS Retry "the coordinator is still reading its state after it took over";
    15 COORDINATOR_NOT_AVAILABLE FindCoordinator "the coordinator is not running yet";
    16 NOT_COORDINATOR FindCoordinator "the coordinator moved to another broker";
    17 INVALID_TOPIC_EXCEPTION Fail "the topic's name is not allowed";
    18 RECORD_LIST_TOO_LARGE Fail "the batch is larger than the broker's segment size";
    19 NOT_ENOUGH_REPLICAS Retry "fewer replicas are in sync than min.insync.replicas asks for; nothing was written";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retry "the record was written, but to fewer replicas than min.insync.replicas asks for";
    21 INVALID_REQUIRED_ACKS Fail "acks must be -1, 0 or 1";
    22 ILLEGAL_GENERATION RejoinGroup "the group has moved on to another generation";
    23 INCONSISTENT_GROUP_PROTOCOL Fail "the group's members use another protocol type or share no assignor";
    24 INVALID_GROUP_ID Fail "the group's name is not allowed";
    25 UNKNOWN_MEMBER_ID RejoinGroup "the coordinator does not know this member (any more)";
    26 INVALID_SESSION_TIMEOUT Fail "session.timeout.ms is outside the broker's limits (group.min/max.session.timeout.ms)";
    27 REBALANCE_IN_PROGRESS RejoinGroup "the group is rebalancing: join again";
    28 INVALID_COMMIT_OFFSET_SIZE Fail "the commit is larger than the broker accepts";
    29 TOPIC_AUTHORIZATION_FAILED Fail "no permission for the topic";
    30 GROUP_AUTHORIZATION_FAILED Fail "no permission for the group";
    31 CLUSTER_AUTHORIZATION_FAILED Fail "no permission for the cluster";
    32 INVALID_TIMESTAMP Fail "the record's timestamp is further from the broker's clock than the topic allows";
    33 UNSUPPORTED_SASL_MECHANISM Fail "the broker does not offer this SASL mechanism";
    34 ILLEGAL_SASL_STATE Fail "the request is not allowed before or after authentication";
    35 UNSUPPORTED_VERSION Fail "the broker does not speak this version of the API";
    36 TOPIC_ALREADY_EXISTS Fail "the topic exists already";
    37 INVALID_PARTITIONS Fail "the number of partitions is not allowed";
    38 INVALID_REPLICATION_FACTOR Fail "the replication factor is below 1 or above the number of brokers";
    39 INVALID_REPLICA_ASSIGNMENT Fail "the replica assignment is not valid";
    40 INVALID_CONFIG Fail "the broker rejects the configuration";
    41 NOT_CONTROLLER RefreshMetadata "the controller moved to another broker";
    42 INVALID_REQUEST Fail "the request contradicts itself or the broker's state";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Fail "the partition's record format is too old for this request";
    44 POLICY_VIOLATION Fail "a policy of the cluster forbids it";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER ResetSequence "the batch does not follow the last one the broker has of this producer";
    46 DUPLICATE_SEQUENCE_NUMBER Fail "the broker has this batch already";
    47 INVALID_PRODUCER_EPOCH ResetSequence "a newer producer uses this id, or the transaction was ended by the broker";
    48 INVALID_TXN_STATE Fail "the transaction is in a state that does not allow this";
    49 INVALID_PRODUCER_ID_MAPPING Fail "the transactional id belongs to another producer id";
    50 INVALID_TRANSACTION_TIMEOUT Fail "transaction.timeout.ms is above the broker's transaction.max.timeout.ms";
    51 CONCURRENT_TRANSACTIONS Retry "the last transaction of this id is still being finished";
    52 TRANSACTION_COORDINATOR_FENCED Fail "the transaction coordinator has been replaced";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Fail "no permission for the transactional id";
    54 SECURITY_DISABLED Fail "security is not switched on in this cluster";
    55 OPERATION_NOT_ATTEMPTED Fail "another part of the same request failed, so this one was not tried";
    56 KAFKA_STORAGE_ERROR RefreshMetadata "the leader's disk failed; another replica takes over";
    57 LOG_DIR_NOT_FOUND Fail "the log directory does not exist";
    58 SASL_AUTHENTICATION_FAILED Fail "wrong user name or password, or the user does not exist";
    59 UNKNOWN_PRODUCER_ID ResetSequence "the broker has forgotten this producer: its records were all deleted or it was idle too long";
    60 REASSIGNMENT_IN_PROGRESS Fail "a reassignment of this partition is under way";
    61 DELEGATION_TOKEN_AUTH_DISABLED Fail "delegation tokens are not switched on";
    62 DELEGATION_TOKEN_NOT_FOUND Fail "the delegation token does not exist";
    63 DELEGATION_TOKEN_OWNER_MISMATCH Fail "only the owner or a renewer may do this";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Fail "delegation tokens cannot be handled over this kind of connection";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Fail "no permission for the delegation token";
    66 DELEGATION_TOKEN_EXPIRED Fail "the delegation token has expired";
    67 INVALID_PRINCIPAL_TYPE Fail "the principal's type is not supported";
    68 NON_EMPTY_GROUP Fail "the group has members";
    69 GROUP_ID_NOT_FOUND Fail "the group does not exist";
    70 FETCH_SESSION_ID_NOT_FOUND Retry "the broker dropped the fetch session; a new one starts it over";
    71 INVALID_FETCH_SESSION_EPOCH Retry "the fetch session is out of step; a new one starts it over";
    72 LISTENER_NOT_FOUND RefreshMetadata "the leader has no listener of the kind this client is connected to";
    73 TOPIC_DELETION_DISABLED Fail "the cluster forbids deleting topics (delete.topic.enable=false)";
    74 FENCED_LEADER_EPOCH RefreshMetadata "the client's leader epoch is older than the broker's";
    75 UNKNOWN_LEADER_EPOCH RefreshMetadata "the client's leader epoch is newer than the broker's; the broker will learn it";
    76 UNSUPPORTED_COMPRESSION_TYPE Fail "the broker or topic does not accept this compression";
    77 STALE_BROKER_EPOCH Fail "the broker was restarted in between";
    78 OFFSET_NOT_AVAILABLE Retry "the leader is too new to know the last committed offset";
    79 MEMBER_ID_REQUIRED RejoinGroup "the coordinator handed out a member id to join again with (KIP-394)";
    80 PREFERRED_LEADER_NOT_AVAILABLE Fail "the preferred replica is not in sync";
    81 GROUP_MAX_SIZE_REACHED Fail "the group has as many members as the broker allows";
    82 FENCED_INSTANCE_ID Fail "another member with the same group.instance.id has joined";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE Fail "no replica may become the leader";
    84 ELECTION_NOT_NEEDED Fail "the partition has the wanted leader already";
    85 NO_REASSIGNMENT_IN_PROGRESS Fail "no reassignment is under way";
    86 GROUP_SUBSCRIBED_TO_TOPIC Fail "a member of the group is subscribed to the topic";
    87 INVALID_RECORD Fail "the broker rejects a record: a compacted topic wants keys, for example";
    88 UNSTABLE_OFFSET_COMMIT Retry "an open transaction may still commit offsets for this partition";
    89 THROTTLING_QUOTA_EXCEEDED Retry "a quota for changing the cluster is used up for the moment";
    90 PRODUCER_FENCED Fail "a newer producer with the same transactional id has taken over";
    91 RESOURCE_NOT_FOUND Fail "it does not exist";
    92 DUPLICATE_RESOURCE Fail "it exists already";
    93 UNACCEPTABLE_CREDENTIAL Fail "the credential does not meet the broker's rules";
    94 INCONSISTENT_VOTER_SET Fail "the voters do not match the quorum's";
    95 INVALID_UPDATE_VERSION Fail "the version cannot be updated so";
    96 FEATURE_UPDATE_FAILED Fail "the feature could not be changed";
    97 PRINCIPAL_DESERIALIZATION_FAILURE Fail "the forwarded principal could not be read";
    98 SNAPSHOT_NOT_FOUND Fail "the snapshot does not exist";
    99 POSITION_OUT_OF_RANGE Fail "the position lies outside the snapshot";
    100 UNKNOWN_TOPIC_ID RefreshMetadata "this broker does not know the topic's id: recreated, or metadata is behind";
    101 DUPLICATE_BROKER_REGISTRATION Fail "a broker with this id is registered";
    102 BROKER_ID_NOT_REGISTERED Fail "no broker with this id is registered";
    103 INCONSISTENT_TOPIC_ID RefreshMetadata "the topic was deleted and created again";
    104 INCONSISTENT_CLUSTER_ID Fail "the broker belongs to another cluster";
    105 TRANSACTIONAL_ID_NOT_FOUND Fail "the transactional id does not exist";
    106 FETCH_SESSION_TOPIC_ID_ERROR Retry "a topic's id changed within the fetch session; a new one starts it over";
    107 INELIGIBLE_REPLICA Fail "the replica may not join the in-sync replicas";
    108 NEW_LEADER_ELECTED RefreshMetadata "the in-sync replicas changed and so did the leader";
    109 OFFSET_MOVED_TO_TIERED_STORAGE Fail "the records were moved to tiered storage";
    110 FENCED_MEMBER_EPOCH RejoinGroup "the group coordinator has another epoch for this member";
    111 UNRELEASED_INSTANCE_ID Retry "the last member with this group.instance.id has not left yet";
    112 UNSUPPORTED_ASSIGNOR Fail "the broker does not have this assignor";
    113 STALE_MEMBER_EPOCH Retry "the member's epoch moved on; the next heartbeat brings the new one";
    114 MISMATCHED_ENDPOINT_TYPE Fail "the request went to the wrong kind of listener";
    115 UNSUPPORTED_ENDPOINT_TYPE Fail "this kind of listener is not supported";
    116 UNKNOWN_CONTROLLER_ID Fail "the controller's id is not known";
    117 UNKNOWN_SUBSCRIPTION_ID Fail "the telemetry subscription is not known";
    118 TELEMETRY_TOO_LARGE Fail "the telemetry is larger than the broker accepts";
    119 INVALID_REGISTRATION Fail "the registration is not valid";
    120 TRANSACTION_ABORTABLE Fail "the transaction can only be aborted (KIP-890)";
    121 INVALID_RECORD_STATE Fail "the record's state does not allow this";
    122 SHARE_SESSION_NOT_FOUND Retry "the share session is gone";
    123 INVALID_SHARE_SESSION_EPOCH Retry "the share session is out of step";
    124 FENCED_STATE_EPOCH Fail "the share coordinator's state has moved on";
    125 INVALID_VOTER_KEY Fail "the voter's key does not match";
    126 DUPLICATE_VOTER Fail "the voter is part of the quorum already";
    127 VOTER_NOT_FOUND Fail "the voter is not part of the quorum";
    128 INVALID_REGULAR_EXPRESSION Fail "the broker cannot read the regular expression (RE2 syntax)";
    129 REBOOTSTRAP_REQUIRED RefreshMetadata "the broker asks the client to start over from the bootstrap servers (KIP-1102)";
    130 STREAMS_INVALID_TOPOLOGY Fail "the streams topology is not valid";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Fail "the streams topology's epoch is not valid";
    132 STREAMS_TOPOLOGY_FENCED Fail "the streams topology has been replaced";
    133 SHARE_SESSION_LIMIT_REACHED Retry "the broker has as many share sessions as it allows";
}

impl ErrorCode {
    fn row(self) -> Option<&'static Row> {
        TABLE.binary_search_by_key(&self, |row| row.code).ok().map(|index| &TABLE[index])
    }

    /// Whether this is "no error".
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::NONE
    }

    /// `Ok` for 0, else the code as the error.
    ///
    /// # Errors
    /// The code itself, where it is not 0.
    pub fn check(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }

    /// Kafka's name, such as `NOT_COORDINATOR`; `UNKNOWN` for a code that is not in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        if self.is_ok() { "NONE" } else { self.row().map_or("UNKNOWN", |row| row.name) }
    }

    /// What a client does about it. An unknown code is final: nothing says that a retry is safe.
    #[must_use]
    pub fn reaction(self) -> Reaction {
        self.row().map_or(Reaction::Fail, |row| row.reaction)
    }

    /// The meaning in a few words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.row().map_or("an error code that this client does not know", |row| row.reason)
    }

    /// Whether the same request may succeed later, perhaps elsewhere.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        matches!(self.reaction(), Reaction::Retry | Reaction::RefreshMetadata | Reaction::FindCoordinator)
    }

    /// Whether it says that the user is not known or not allowed.
    #[must_use]
    pub fn is_denied(self) -> bool {
        self.name().ends_with("AUTHORIZATION_FAILED") || self == Self::SASL_AUTHENTICATION_FAILED
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for ErrorCode {
    /// `the leader moved to another broker (NOT_LEADER_OR_FOLLOWER)`; an unknown code shows its number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => write!(f, "{} ({})", row.reason, row.name),
            None => write!(f, "{} (code {})", self.reason(), self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_binary_search_finds_every_code() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert_eq!(ErrorCode(16).name(), "NOT_COORDINATOR");
        assert_eq!(ErrorCode(-1).name(), "UNKNOWN_SERVER_ERROR");
    }

    #[test]
    fn the_table_differs_from_the_protocols_retriable_flag_only_where_it_means_to() {
        use kafka_protocol::ResponseError;
        let differs = |row: &&Row| match ResponseError::try_from_code(row.code.0) {
            None | Some(ResponseError::Unknown(_)) => false,
            Some(known) => row.code.is_retriable() != known.is_retriable(),
        };
        let names: Vec<_> = TABLE.iter().filter(differs).map(|row| row.name).collect();
        let final_here =
            ["PREFERRED_LEADER_NOT_AVAILABLE", "ELIGIBLE_LEADERS_NOT_AVAILABLE", "ELECTION_NOT_NEEDED"];
        let retried_here = [
            "BROKER_NOT_AVAILABLE",
            "CONCURRENT_TRANSACTIONS",
            "NEW_LEADER_ELECTED",
            "UNRELEASED_INSTANCE_ID",
            "STALE_MEMBER_EPOCH",
            "REBOOTSTRAP_REQUIRED",
        ];
        let mut meant: Vec<_> = final_here.into_iter().chain(retried_here).collect();
        meant.sort_by_key(|name| TABLE.iter().position(|row| row.name == *name));
        assert_eq!(names, meant);
    }

    #[test]
    fn an_unknown_code_is_final_and_shows_its_number() {
        let code = ErrorCode(9999);
        assert_eq!(code.reaction(), Reaction::Fail);
        assert_eq!(code.to_string(), "an error code that this client does not know (code 9999)");
    }
}
