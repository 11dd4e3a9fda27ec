//! One file per command.

pub(crate) mod config;
pub(crate) mod create_topic;
pub(crate) mod delete_topic;
pub(crate) mod describe_topic;
pub(crate) mod list_topics;
pub(crate) mod profile;
