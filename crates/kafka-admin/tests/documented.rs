//! docs/commands.md names every flag of Apache's tools, with our command or the reason why there is none.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::collections::BTreeSet;

use common::assert_all_right;
use kafka_testkit::{RealKafka, repository};

const TOOLS: [&str; 16] = [
    "topics",
    "configs",
    "consumer-groups",
    "groups",
    "share-groups",
    "streams-groups",
    "acls",
    "get-offsets",
    "delete-records",
    "leader-election",
    "reassign-partitions",
    "transactions",
    "metadata-quorum",
    "features",
    "log-dirs",
    "delegation-tokens",
];

/// Flags that say how a tool reaches the cluster, or about itself: docs/configuration.md has ours.
const CONNECTION: [&str; 6] = [
    "--help",
    "--version",
    "--bootstrap-server",
    "--bootstrap-controller",
    "--command-config",
    "--admin.config",
];

/// The long flags that begin a line of a tool's help.
fn flags(help: &str) -> BTreeSet<String> {
    let first = help.lines().filter_map(|line| line.split_whitespace().next());
    let long = first.filter(|word| word.starts_with("--") && !word.starts_with("---"));
    long.map(|word| word.trim_end_matches([',', ':', '.']).to_owned()).collect()
}

#[test]
fn every_flag_of_apaches_tools_stands_in_the_table_of_commands() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let table = std::fs::read_to_string(repository().join("docs/commands.md")).unwrap();
    assert_all_right(&TOOLS, |tool| {
        let ended = kafka.tool(tool, &["--help"], "");
        let found = flags(&format!("{}{}", ended.stdout, ended.stderr));
        assert!(!found.is_empty(), "{tool} says nothing of itself");
        let unknown = found.iter().filter(|flag| !CONNECTION.contains(&flag.as_str()));
        let unknown = unknown.filter(|flag| !table.contains(flag.as_str()));
        unknown.map(|flag| format!("docs/commands.md leaves out {tool} {flag}")).collect()
    });
}
