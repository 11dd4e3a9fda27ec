//! `kafka-admin` against the embedded broker or a real Kafka, as `KAFKA_TEST_CONFORMANCE` says: what it says and how it
//! ends, compared with Apache's own tools where they can say it.

use kafka_testkit::{EitherKafka, Finished, Program, skip_without_apache_tools, unique};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A broker, where the tools are here that ours is compared with.
fn kafka() -> Option<EitherKafka> {
    if skip_without_apache_tools() { None } else { EitherKafka::one_node() }
}

/// Runs the tool against the plain listeners, with nothing on its stdin.
fn admin(kafka: &EitherKafka, arguments: &[&str]) -> Finished {
    let all = ["-b", kafka.bootstrap()].into_iter().chain(arguments.iter().copied());
    Program::start("kafka-admin", all).finish_with_input("", LIMIT)
}

#[test]
fn the_tutorials_topic_is_created_once_and_described_as_apaches_tool_sees_it() {
    let Some(kafka) = kafka() else { return };
    let topic = unique("rider-updates");
    let created = admin(&kafka, &["create-topic", &topic, "--partitions", "2"]).expect_code(0);
    assert!(
        created.stdout.starts_with(&format!("topic {topic} created (2 partitions")),
        "{}",
        created.stdout
    );
    let again = admin(&kafka, &["create-topic", &topic, "--partitions", "2"]).expect_code(5);
    assert!(again.stderr.contains("already exists"), "{}", again.stderr);
    assert_eq!(again.stdout, "");
    let _ = admin(&kafka, &["create-topic", &topic, "--if-not-exists"]).expect_code(0);

    let theirs = kafka.tool("topics", &["--describe", "--topic", &topic], "").expect_code(0).stdout;
    assert!(theirs.contains("PartitionCount: 2"), "{theirs}");
    let ours = admin(&kafka, &["describe-topic", &topic, "-o", "csv"]).expect_code(0).stdout;
    let lines: Vec<_> = ours.lines().collect();
    assert_eq!(lines.len(), 3, "{ours}");
    assert!(lines[1].starts_with(&format!("{topic},0,1,1,1,0,0")), "{ours}");
    let _ = admin(&kafka, &["delete-topic", &topic, "--yes"]).expect_code(0);
}

#[test]
fn deleting_a_name_with_a_dot_leaves_its_neighbour_alone() {
    let Some(kafka) = kafka() else { return };
    let (dotted, dashed) = (unique("a.b"), unique("a-b"));
    let neighbour = dotted.replace('.', "-");
    let _ = admin(&kafka, &["create-topic", &dotted, &neighbour, &dashed]).expect_code(0);
    let refused = admin(&kafka, &["delete-topic", &dotted]).expect_code(2);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    let _ = admin(&kafka, &["delete-topic", &dotted, "--yes"]).expect_code(0);
    let names = admin(&kafka, &["list-topics", "-o", "name"]).expect_code(0).stdout;
    assert!(!names.lines().any(|name| name == dotted), "{names}");
    assert!(names.lines().any(|name| name == neighbour), "{names}");
    let _ = admin(&kafka, &["delete-topic", &neighbour, &dashed, "--yes"]).expect_code(0);
}

#[test]
fn looking_at_what_does_not_exist_creates_nothing_and_ends_with_4() {
    let Some(kafka) = kafka() else { return };
    let name = unique("never-made");
    for arguments in [
        vec!["describe-topic", &name],
        vec!["list-offsets", &name],
        vec!["get-config", "topic", &name],
        vec!["partition-for", &name, "key"],
        vec!["trim-topic", &name, "--before", "latest", "--yes"],
        vec!["delete-topic", &name, "--yes"],
        vec!["describe-group", &name],
        vec!["lag", &name],
        vec!["reset-offsets", &name, "--to", "earliest"],
        vec!["delete-group", &name, "--yes"],
    ] {
        let said = admin(&kafka, &arguments).expect_code(4).stderr;
        assert!(said.contains("does not exist"), "{arguments:?}: {said}");
    }
    let names = admin(&kafka, &["list-topics", "--internal", "-o", "name"]).expect_code(0).stdout;
    assert!(!names.contains(&name), "{names}");
}

#[test]
fn a_partial_failure_does_the_rest_and_says_what_failed() {
    let Some(kafka) = kafka() else { return };
    let (there, missing) = (unique("there"), unique("missing"));
    let _ = admin(&kafka, &["create-topic", &there]).expect_code(0);
    let described = admin(&kafka, &["describe-topic", &there, &missing, "-o", "name"]).expect_code(4);
    assert_eq!(described.stdout, format!("{there}\n"));
    let deleted = admin(&kafka, &["delete-topic", &missing, &there, "--yes", "-o", "jsonl"]).expect_code(4);
    assert!(
        deleted.stdout.contains(&format!("{{\"name\":\"{there}\",\"status\":\"deleted\"")),
        "{}",
        deleted.stdout
    );
    assert!(
        deleted.stdout.contains(&format!("{{\"name\":\"{missing}\",\"status\":\"failed\"")),
        "{}",
        deleted.stdout
    );
}

#[test]
fn a_dead_broker_is_said_at_once_and_ends_with_3_in_time() {
    let arguments = ["-b", "127.0.0.1:1", "--timeout", "2s", "list-topics"];
    let started = std::time::Instant::now();
    let ended = Program::start("kafka-admin", arguments).finish(LIMIT).expect_code(3);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(ended.stderr.contains("connection refused"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_mistyped_command_gets_a_suggestion_and_ends_with_2() {
    let ended = Program::start("kafka-admin", ["list-topcis"]).finish(LIMIT).expect_code(2);
    assert!(ended.stderr.contains("list-topics"), "{}", ended.stderr);
}

#[test]
fn a_group_is_described_reset_and_deleted_as_apaches_tool_sees_it() {
    let Some(kafka) = kafka() else { return };
    let (topic, group) = (unique("offsets"), unique("readers"));
    kafka.create_topic(&topic, 1);
    let lines: String = (0..10).map(|n| format!("{n}\n")).collect();
    let _ = kafka.tool("console-producer", &["--topic", &topic], lines).expect_code(0);
    let started = admin(&kafka, &["reset-offsets", &group, "--topic", &topic, "--to", "4", "--execute"]);
    let _ = started.expect_code(0);
    let lag = admin(&kafka, &["lag", &group, "-o", "csv"]).expect_code(0).stdout;
    assert_eq!(lag.lines().nth(1), Some(format!("{group},{topic},0,4,10,6").as_str()), "{lag}");
    let theirs = kafka.tool("consumer-groups", &["--describe", "--group", &group], "").expect_code(0).stdout;
    let row = theirs.lines().find(|line| line.starts_with(&group)).expect("Apache's tool lists the group");
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(&words[3..6], ["4", "10", "6"], "{theirs}");

    let _ = admin(&kafka, &["check-lag", &group, "--max-lag", "6"]).expect_code(0);
    let _ = admin(&kafka, &["check-lag", &group, "--max-lag", "5"]).expect_code(7);
    let plan =
        admin(&kafka, &["reset-offsets", &group, "--shift-by", "-2", "-o", "jsonl"]).expect_code(0).stdout;
    assert!(plan.contains("\"from\":4,\"to\":2"), "{plan}");
    let unchanged = admin(&kafka, &["lag", &group, "-o", "csv"]).expect_code(0).stdout;
    assert_eq!(unchanged, lag, "a plan changes nothing");
    let _ = admin(&kafka, &["delete-group", &group, "--yes"]).expect_code(0);
    let _ = admin(&kafka, &["delete-topic", &topic, "--yes"]).expect_code(0);
}

#[test]
fn settings_have_units_and_show_before_and_after() {
    let Some(kafka) = kafka() else { return };
    let topic = unique("settings");
    let _ = admin(&kafka, &["create-topic", &topic, "-c", "retention.ms=7d"]).expect_code(0);
    let changed = admin(&kafka, &["set-config", "topic", &topic, "retention.ms=1h"]).expect_code(0).stdout;
    assert!(changed.contains("retention.ms: 604800000 -> 3600000"), "{changed}");
    let shown = ["--describe", "--entity-type", "topics", "--entity-name", &topic];
    let theirs = kafka.tool("configs", &shown, "").expect_code(0).stdout;
    assert!(theirs.contains("retention.ms=3600000"), "{theirs}");
    let wrong = admin(&kafka, &["set-config", "topic", &topic, "nonsense=1"]).expect_code(1);
    assert!(wrong.stderr.contains("nonsense"), "{}", wrong.stderr);
    let _ = admin(&kafka, &["delete-topic", &topic, "--yes"]).expect_code(0);
}

#[test]
fn what_was_exported_needs_no_change_when_applied() {
    let Some(kafka) = kafka() else { return };
    let topic = unique("declared");
    let wanted =
        format!("topics:\n- name: {topic}\n  partitions: 2\n  configs: {{retention.ms: \"3600000\"}}\n");
    let file = std::env::temp_dir().join(format!("{topic}.yaml"));
    std::fs::write(&file, wanted).expect("the temporary folder is writable");
    let path = file.to_string_lossy().into_owned();
    let _ = admin(&kafka, &["diff", &path, "--detailed-exitcode"]).expect_code(7);
    let _ = admin(&kafka, &["apply", &path]).expect_code(0);
    let _ = admin(&kafka, &["diff", &path, "--detailed-exitcode"]).expect_code(0);
    let _ = std::fs::remove_file(&file);
    let _ = admin(&kafka, &["delete-topic", &topic, "--yes"]).expect_code(0);
}
