//! One file per command.

pub(crate) mod check_lag;
pub(crate) mod config;
pub(crate) mod create_topic;
pub(crate) mod delete_group;
pub(crate) mod delete_offsets;
pub(crate) mod delete_topic;
pub(crate) mod describe_group;
pub(crate) mod describe_topic;
pub(crate) mod lag;
pub(crate) mod list_groups;
pub(crate) mod list_topics;
pub(crate) mod profile;
pub(crate) mod remove_member;
pub(crate) mod reset_offsets;
