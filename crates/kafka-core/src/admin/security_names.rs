//! The words of ACLs and SCRAM, with the protocol's numbers. One table each.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// An enum whose variants have a number in the protocol and a name for people; names are read in any case, with `-` or
/// `_` or nothing between words.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident $what:literal { $($(#[$vmeta:meta])* $variant:ident $code:literal $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub(crate) fn code(self) -> i8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// `None` for a number that is newer than this client.
            pub(crate) fn from_code(code: i8) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.code() == code)
            }

            /// As people write it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
                Self::ALL.iter().copied().find(|one| plain(one.name()) == plain(text)).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|one| one.name()).collect();
                    Error::Config(format!("{text:?} is no {}; one of {}", $what, known.join(", ")))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// What an ACL protects.
    AclResourceKind "kind of resource" {
        /// Only in filters: every kind.
        Any 1 "any",
        /// A topic.
        Topic 2 "topic",
        /// A group.
        Group 3 "group",
        /// The cluster; its name is always `kafka-cluster`.
        Cluster 4 "cluster",
        /// A transactional id.
        TransactionalId 5 "transactional-id",
        /// A delegation token.
        DelegationToken 6 "delegation-token",
        /// A user, for tokens in the user's name.
        User 7 "user",
    }
}

named! {
    /// How an ACL's resource name is compared.
    AclPattern "kind of pattern" {
        /// Only in filters: every kind.
        Any 1 "any",
        /// Only in filters: all that apply to the name (literal, prefixed and `*`).
        Match 2 "match",
        /// The name itself, or `*` for all.
        Literal 3 "literal",
        /// Names that begin with it.
        Prefixed 4 "prefixed",
    }
}

named! {
    /// What an ACL is about.
    AclOperation "operation" {
        /// Only in filters: every operation.
        Any 1 "any",
        /// All operations.
        All 2 "all",
        /// Consume, join, commit.
        Read 3 "read",
        /// Produce.
        Write 4 "write",
        /// Create.
        Create 5 "create",
        /// Delete.
        Delete 6 "delete",
        /// Change.
        Alter 7 "alter",
        /// See.
        Describe 8 "describe",
        /// Between brokers.
        ClusterAction 9 "cluster-action",
        /// See the configuration.
        DescribeConfigs 10 "describe-configs",
        /// Change the configuration.
        AlterConfigs 11 "alter-configs",
        /// Produce idempotently (not needed since Kafka 3.0).
        IdempotentWrite 12 "idempotent-write",
        /// Create tokens in another user's name.
        CreateTokens 13 "create-tokens",
        /// See another user's tokens.
        DescribeTokens 14 "describe-tokens",
        /// End a transaction by two-phase commit.
        TwoPhaseCommit 15 "two-phase-commit",
    }
}

named! {
    /// Whether an ACL allows or forbids. Forbidding wins.
    AclPermission "permission" {
        /// Only in filters: both.
        Any 1 "any",
        /// Forbids.
        Deny 2 "deny",
        /// Allows.
        Allow 3 "allow",
    }
}

named! {
    /// A SCRAM mechanism.
    ScramMechanism "SCRAM mechanism" {
        /// With SHA-256.
        Sha256 1 "SCRAM-SHA-256",
        /// With SHA-512.
        Sha512 2 "SCRAM-SHA-512",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_however_they_are_spelled() {
        for text in ["describe-configs", "DescribeConfigs", "DESCRIBE_CONFIGS"] {
            assert_eq!(text.parse::<AclOperation>().ok(), Some(AclOperation::DescribeConfigs), "{text}");
        }
        assert!("fly".parse::<AclOperation>().unwrap_err().to_string().contains("one of any, all, read"));
    }

    #[test]
    fn every_number_leads_back_to_its_name() {
        for operation in AclOperation::ALL {
            assert_eq!(AclOperation::from_code(operation.code()), Some(*operation));
        }
        assert_eq!(AclOperation::from_code(99), None);
    }
}
