//! The declared state: `export`, `diff` and `apply` make a cluster what a file says, and take away only what they are told
//! to. The three-node cluster is lent to one test at a time, so pruning meets nobody else's topics.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::time::Duration;

use common::{admin, apache, assert_holds, said};
use kafka_testkit::{RealKafka, eventually, unique};

/// What the command says once the brokers have heard of the last change, which the controller tells them in its own time.
fn once_heard_of(kafka: &RealKafka, command: &[&str], change: &str) -> String {
    let mut output = String::new();
    eventually(change, Duration::from_secs(10), || {
        output = said(admin(kafka, command));
        output.contains(change)
    });
    output
}

#[test]
fn what_was_exported_is_brought_back_and_what_came_since_is_pruned() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let (kept, grown, later) = (unique("kept"), unique("grown"), unique("later"));
    let user = unique("user");
    let _ = said(admin(&kafka, &["create-topic", &kept, &grown, "-p", "2", "-c", "retention.ms=7d"]));
    let _ = said(admin(&kafka, &["set-quota", "--user", &user, "producer_byte_rate=1000"]));
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let path = file.path().to_str().unwrap();
    let exported = once_heard_of(&kafka, &["export"], "producer_byte_rate: 1000");
    assert_holds(&exported, &[&kept, "retention.ms: \"604800000\""]);
    std::fs::write(path, &exported).unwrap();
    let same = ["diff", path, "--prune", "--detailed-exitcode"];
    assert_eq!(said(admin(&kafka, &same)), "");
    let unchanged = admin(&kafka, &["apply", path, "--prune", "--yes"]).expect_code(0);
    assert_holds(&unchanged.stderr, &["nothing to change"]);

    let _ = said(admin(&kafka, &["create-topic", &later]));
    let _ = said(admin(&kafka, &["alter-topic", &kept, "--unset", "retention.ms", "-c", "segment.ms=1d"]));
    let _ = said(admin(
        &kafka,
        &["set-quota", "--user", &user, "producer_byte_rate=2000", "consumer_byte_rate=5"],
    ));

    let quota = format!("~ quota of user {user}: producer_byte_rate: 2000 -> 1000\n");
    let drift = once_heard_of(&kafka, &["diff", path], &quota);
    assert_holds(&drift, &[&format!("~ topic {kept}: retention.ms: - -> 604800000\n")]);
    assert!(
        !drift.contains(&later) && !drift.contains("segment.ms") && !drift.contains("consumer"),
        "{drift}"
    );
    let _ = admin(&kafka, &["diff", path, "--detailed-exitcode"]).expect_code(7);
    let pruned = said(admin(&kafka, &["apply", path, "--prune", "--dry-run"]));
    assert_holds(
        &pruned,
        &[
            &format!("- topic {later}\n"),
            &format!("~ topic {kept}: segment.ms: 86400000 -> -\n"),
            &format!("~ quota of user {user}: consumer_byte_rate: 5 -> -\n"),
        ],
    );
    // Taking topics away is asked about, or said on the command line.
    let refused = admin(&kafka, &["apply", path, "--prune"]).expect_code(2);
    assert_holds(&refused.stderr, &[&format!("- topic {later}"), "--yes"]);
    assert_holds(&said(admin(&kafka, &["list-topics", "-o", "name"])), &[&later]);

    let _ = said(admin(&kafka, &["apply", path, "--prune", "--yes"]));
    assert!(!apache(&kafka, "topics", &["--list"]).contains(&later));
    let settings = ["--describe", "--entity-type", "topics", "--entity-name", &kept];
    let settings = apache(&kafka, "configs", &settings);
    assert!(settings.contains("retention.ms=604800000") && !settings.contains("segment.ms"), "{settings}");
    assert_eq!(said(admin(&kafka, &same)), "", "the second time there is nothing to do");

    let more = format!("topics:\n- name: {grown}\n  partitions: 3\n  replication_factor: 2\n");
    std::fs::write(path, more).unwrap();
    let grow = said(admin(&kafka, &["apply", path]));
    assert_holds(&grow, &["partitions: 2 -> 3", "replication factor: 3 -> 2"]);
    std::fs::write(path, format!("topics:\n- name: {grown}\n  partitions: 1\n")).unwrap();
    let impossible = admin(&kafka, &["apply", path]).expect_code(1);
    assert_holds(&impossible.stderr, &["Kafka cannot take any away"]);
    std::fs::write(path, "topics:\n- nam: typo\n").unwrap();
    let typo = admin(&kafka, &["diff", path]).expect_code(2);
    assert_holds(&typo.stderr, &["nam"]);

    let quota = ["set-quota", "--user", &user, "--remove", "producer_byte_rate"];
    let _ = said(admin(&kafka, &quota));
    let _ = said(admin(&kafka, &["delete-topic", &kept, &grown, "--yes"]));
}

#[test]
fn rules_that_a_file_does_not_name_are_pruned_only_where_the_file_has_rules() {
    let Some(kafka) = RealKafka::secure() else { return };
    let (topic, user) = (unique("ruled"), unique("user"));
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let path = file.path().to_str().unwrap();
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    let allow = ["create-acl", "--allow", &user, "--operation", "read,write", "--topic", &topic];
    let _ = said(admin(&kafka, &allow));
    std::fs::write(path, format!("topics:\n- name: {topic}\n")).unwrap();
    let silent = said(admin(&kafka, &["diff", path, "--prune"]));
    assert!(!silent.contains("ACL"), "{silent}");
    // The cluster's rules as they are, without one of ours: other tests' rules stay in the file.
    let exported = said(admin(&kafka, &["export", "-o", "json"]));
    let mut state: serde_json::Value = serde_json::from_str(&exported).unwrap();
    let mut rules = state["acls"].take();
    let ours = |rule: &serde_json::Value| rule["principal"] == format!("User:{user}");
    rules.as_array_mut().unwrap().retain(|rule| !(ours(rule) && rule["operation"] == "write"));
    let only_rules = serde_json::json!({ "acls": rules.clone() });
    std::fs::write(path, only_rules.to_string()).unwrap();
    let line = format!("- ACL allow User:{user} write topic {topic} (literal) from *");
    let plan = said(admin(&kafka, &["diff", path, "--prune"]));
    assert_holds(&plan, &[&line]);

    rules.as_array_mut().unwrap().retain(ours);
    std::fs::write(path, serde_json::json!({ "acls": rules }).to_string()).unwrap();
    let _ = said(admin(&kafka, &["delete-acl", "--allow", &user, "--yes"]));
    let applied = said(admin(&kafka, &["apply", path]));
    assert_holds(&applied, &[&format!("+ ACL allow User:{user} read topic {topic} (literal) from *")]);
    let theirs = apache(&kafka, "acls", &["--list", "--topic", &topic]);
    assert_holds(
        &theirs,
        &[&format!("(principal=User:{user}, host=*, operation=READ, permissionType=ALLOW)")],
    );
    assert!(!theirs.contains("WRITE"), "{theirs}");
    let _ = said(admin(&kafka, &["delete-acl", "--allow", &user, "--yes"]));
    let _ = said(admin(&kafka, &["delete-topic", &topic, "--yes"]));
}
