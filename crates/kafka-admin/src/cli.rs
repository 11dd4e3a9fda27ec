//! The command line: global flags and the list of commands.

use anyhow::Result;
use clap::{Parser, Subcommand};
use kafka_cli::render::Format;
use kafka_cli::{ConnectionArgs, Exit};

use crate::commands as c;
use crate::context::Context;

/// Everything an operator does with a Kafka cluster
#[derive(Debug, Parser)]
#[command(name = "kafka-admin", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(
    help_template = "{about-with-newline}\n{usage-heading} {usage}\n\n{after-help}\nOptions:\n{options}"
)]
#[command(after_help = include_str!("commands.txt"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Task,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// How results are written
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t, global = true)]
    pub(crate) output: Format,
}

/// What to do: a command on the cluster, or on this client's own configuration.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
pub(crate) enum Task {
    #[command(flatten)]
    Cluster(Command),
    /// Named sets of connection properties
    #[command(subcommand)]
    Profile(c::profile::Command),
    /// This client's own properties
    #[command(subcommand)]
    Config(c::config::Command),
    /// Print a completion script for a shell
    Completions(c::completions::Args),
    /// Print a manual page
    Man(c::man::Args),
}

/// One row per command: its name and its file. `commands!` makes the subcommands and sends each to its `run`.
macro_rules! commands {
    ($($(#[$meta:meta])* $variant:ident $module:ident,)*) => {
        /// What to do.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $($(#[$meta])* $variant(c::$module::Args),)*
        }

        impl Command {
            /// Does it.
            pub(crate) async fn run(self, context: &Context) -> Result<Exit> {
                // Boxed: the stack must not hold the largest command's state when the smallest runs.
                match self {
                    $(Self::$variant(args) => Box::pin(c::$module::run(args, context)).await,)*
                }
            }
        }
    };
}

commands! {
    /// Create topics and wait until they can be used
    CreateTopic create_topic,
    /// Delete topics
    DeleteTopic delete_topic,
    /// List topics
    ListTopics list_topics,
    /// Show partitions, leaders, replicas, offsets and configuration of topics
    DescribeTopic describe_topic,
    /// Change partitions, replication and configuration of topics
    AlterTopic alter_topic,
    /// Delete the records of topics up to an offset or time
    TrimTopic trim_topic,
    /// Delete all records of topics
    EmptyTopic empty_topic,
    /// Create a topic as another one is defined
    CloneTopic clone_topic,
    /// Show offsets of partitions, first, last or by time
    ListOffsets list_offsets,
    /// Show which partition keys go to
    PartitionFor partition_for,
    /// Show settings of topics, brokers, loggers, groups and client metrics
    GetConfig get_config,
    /// Change settings
    SetConfig set_config,
    /// Take settings back to their default
    UnsetConfig unset_config,
    /// List what has a configuration of its own
    ListConfigResources list_config_resources,
    /// List groups with state and lag
    ListGroups list_groups,
    /// Show state, members, assignments, offsets and lag of groups
    DescribeGroup describe_group,
    /// Show how far groups are behind, with trends; serve it to Prometheus
    Lag lag,
    /// Tell by the exit code whether a group keeps up
    CheckLag check_lag,
    /// Set where a group goes on reading; shows a plan first
    ResetOffsets reset_offsets,
    /// Delete groups with their offsets
    DeleteGroup delete_group,
    /// Delete committed offsets of a group
    DeleteOffsets delete_offsets,
    /// Take members out of a group
    RemoveMember remove_member,
    /// Show the cluster's id, controller and brokers
    DescribeCluster describe_cluster,
    /// Tell by the exit code whether every partition is led and replicated
    CheckHealth check_health,
    /// List brokers, running or not
    ListBrokers list_brokers,
    /// Show which APIs brokers speak
    ApiVersions api_versions,
    /// List features that brokers support and the cluster agreed on
    ListFeatures list_features,
    /// Change the level of cluster features
    SetFeature set_feature,
    /// Show the controllers' quorum
    DescribeQuorum describe_quorum,
    /// List log directories and the replicas in them
    ListLogDirs list_log_dirs,
    /// Take a dead broker out of the cluster
    UnregisterBroker unregister_broker,
    /// Move replicas to other brokers; shows a plan first
    Reassign reassign,
    /// Show which replicas are being moved
    ListReassignments list_reassignments,
    /// Stop moving replicas
    CancelReassignment cancel_reassignment,
    /// Elect leaders of partitions
    ElectLeaders elect_leaders,
    /// List access rules
    ListAcls list_acls,
    /// Add access rules
    CreateAcl create_acl,
    /// Delete access rules
    DeleteAcl delete_acl,
    /// List SCRAM users
    ListUsers list_users,
    /// Create a SCRAM user or change the password
    SetUser set_user,
    /// Delete SCRAM credentials of a user
    DeleteUser delete_user,
    /// List quotas
    ListQuotas list_quotas,
    /// Set or remove quotas
    SetQuota set_quota,
    /// List delegation tokens
    ListTokens list_tokens,
    /// Create a delegation token
    CreateToken create_token,
    /// Let a delegation token last longer
    RenewToken renew_token,
    /// End a delegation token
    ExpireToken expire_token,
    /// List transactional ids with their state
    ListTransactions list_transactions,
    /// Show the state of transactional ids
    DescribeTransaction describe_transaction,
    /// List producers of partitions; find hanging transactions
    ListProducers list_producers,
    /// End a hanging transaction
    AbortTransaction abort_transaction,
    /// Write what the cluster is as one document
    Export export,
    /// Show what differs from a document
    Diff diff,
    /// Make the cluster what a document says
    Apply apply,
    /// Send any request of the protocol, written as JSON
    Raw raw,
    /// Check everything between this machine and the cluster
    Doctor doctor,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_stands_in_the_help_with_its_own_words() {
        let listed: Vec<_> =
            include_str!("commands.txt").lines().filter_map(|line| line.strip_prefix("  ")).collect();
        for command in Cli::command().get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let line = format!("{:<24}{about}", command.get_name());
            assert!(listed.contains(&line.as_str()), "commands.txt lacks the line\n  {line}");
        }
        assert_eq!(
            listed.len(),
            Cli::command().get_subcommands().count(),
            "commands.txt names what is not there"
        );
    }
}
