//! What `kafka-admin` does to a cluster of three nodes: moving replicas under a limit, electing leaders, brokers that stop
//! and freeze. Compared with what Apache's own tools say.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{LIMIT, admin, apache, assert_holds, said};
use kafka_testkit::{Program, RealKafka, eventually, repository, run, unique};

/// A topic with two partitions, on brokers 1 and 2.
fn topic_on_two(kafka: &RealKafka, prefix: &str) -> String {
    let topic = unique(prefix);
    let _ = said(admin(kafka, &["create-topic", &topic, "--replica-assignment", "1:2,2:1"]));
    topic
}

fn own_settings(kafka: &RealKafka, kind: &str, name: &str) -> String {
    said(admin(kafka, &["get-config", kind, name, "-o", "csv"]))
}

#[test]
fn replicas_move_under_a_limit_that_is_added_to_and_taken_off_again() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let (topic, other) = (topic_on_two(&kafka, "moved"), topic_on_two(&kafka, "limited-by-others"));
    // Somebody else limits a replica of another topic on broker 1.
    let theirs = "leader.replication.throttled.replicas=0:1";
    let _ = said(admin(&kafka, &["set-config", "topic", &other, theirs]));
    let rate = "leader.replication.throttled.rate=12345678";
    let _ = said(admin(&kafka, &["set-config", "broker", "1", rate]));
    eventually("the broker has heard of it", LIMIT, || {
        own_settings(&kafka, "broker", "1").contains("12345678")
    });

    let plan = said(admin(&kafka, &["reassign", &topic, "--brokers", "1,3", "-o", "csv"]));
    assert_eq!(
        plan,
        format!("topic,partition,from,to\n{topic},0,\"1,2\",\"1,3\"\n{topic},1,\"2,1\",\"1,3\"\n")
    );
    let go = ["reassign", &topic, "--brokers", "1,3", "--throttle", "10MiB", "--execute", "--yes"];
    let moving = admin(&kafka, &go).expect_code(0);
    assert_holds(&moving.stderr, &["broker 1: leader.replication.throttled.rate was 12345678"]);
    assert_holds(&moving.stderr, &[&format!("list-reassignments --clear-throttle {topic}")]);
    let described =
        apache(&kafka, "configs", &["--describe", "--entity-type", "topics", "--entity-name", &topic]);
    assert_holds(&described, &["follower.replication.throttled.replicas=0:3,1:3"]);
    eventually("the copying is limited", LIMIT, || {
        own_settings(&kafka, "broker", "3").contains("follower.replication.throttled.rate,10485760")
    });
    eventually("the replicas are there", LIMIT, || {
        said(admin(&kafka, &["list-reassignments", &topic, "-o", "name"])).is_empty()
    });
    assert_holds(&apache(&kafka, "topics", &["--describe", "--topic", &topic]), &["Replicas: 1,3", "Isr: "]);

    let _ = admin(&kafka, &["list-reassignments", "--clear-throttle"]).expect_code(2);
    let _ = said(admin(&kafka, &["list-reassignments", "--clear-throttle", &topic]));
    let is_limited = |kind: &str, name: &str| own_settings(&kafka, kind, name).contains("throttled");
    eventually("the limits are gone", LIMIT, || {
        !is_limited("topic", &topic) && !is_limited("broker", "2") && !is_limited("broker", "3")
    });
    assert!(is_limited("topic", &other) && is_limited("broker", "1"), "those of others stay");
    let _ = said(admin(&kafka, &["list-reassignments", "--clear-throttle", &other]));
    eventually("those, too", LIMIT, || !is_limited("topic", &other) && !is_limited("broker", "1"));
    let _ = said(admin(&kafka, &["delete-topic", &topic, &other, "--yes"]));
}

#[test]
fn a_move_that_cannot_end_is_seen_and_cancelled() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let topic = topic_on_two(&kafka, "stuck");
    // Broker 3 is to get a replica while it is down.
    kafka.stop(3);
    let file = tempfile::NamedTempFile::new().unwrap();
    let plan = format!(
        "{{\"version\":1,\"partitions\":[{{\"topic\":\"{topic}\",\"partition\":0,\"replicas\":[1,3]}}]}}"
    );
    std::fs::write(file.path(), plan).unwrap();
    let path = file.path().to_str().unwrap();
    let _ = said(admin(&kafka, &["reassign", &topic, "--from-file", path, "--execute", "--yes"]));
    let ours = said(admin(&kafka, &["list-reassignments", "-o", "csv"]));
    assert_holds(&ours, &[&format!("{topic},0,"), ",3,2"]);
    let theirs = apache(&kafka, "reassign-partitions", &["--list"]);
    assert_holds(&theirs, &[&format!("{topic}-0: replicas: "), "adding: 3. removing: 2."]);
    let _ = admin(&kafka, &["list-reassignments", "--clear-throttle", &topic]).expect_code(1);
    let _ = admin(&kafka, &["cancel-reassignment", &topic]).expect_code(2);
    let dry = said(admin(&kafka, &["cancel-reassignment", &topic, "--dry-run"]));
    assert_holds(&dry, &[&format!("would cancel moving {topic}[0]")]);
    let _ = said(admin(&kafka, &["cancel-reassignment", &topic, "--yes"]));
    assert_eq!(said(admin(&kafka, &["list-reassignments", &topic, "-o", "name"])), "");
    assert_holds(&apache(&kafka, "topics", &["--describe", "--topic", &topic]), &["Replicas: 1,2"]);

    // While it is down: the broker is fenced, it is said to be, and its registration can be taken away.
    eventually("the broker is fenced", LIMIT, || {
        said(admin(&kafka, &["list-brokers", "-o", "jsonl"])).contains("\"id\":3,\"host\":\"127.0.0.1\"")
            && said(admin(&kafka, &["list-brokers"])).contains("fenced")
    });
    let health = admin(&kafka, &["check-health", "-o", "json"]).expect_code(7).stdout;
    assert_holds(&health, &["\"ok\": false", "\"fenced_brokers\": [\n    3\n  ]"]);
    let refused = admin(&kafka, &["unregister-broker", "1", "--yes"]).expect_code(1);
    assert_holds(&refused.stderr, &["broker 1 runs"]);
    let _ = said(admin(&kafka, &["unregister-broker", "3", "--yes"]));
    eventually("the registration is gone", LIMIT, || {
        !said(admin(&kafka, &["list-brokers", "-o", "name"])).lines().any(|id| id == "3")
    });
    // This tool wants its subcommand first.
    let mut theirs = Command::new(repository().join("scripts/kafka.sh"));
    theirs.args(["tool", "cluster", "list-endpoints", "--bootstrap-server", &kafka.bootstrap()]);
    let theirs = Program::start_command(theirs).finish(LIMIT).expect_code(0).stdout;
    assert!(!theirs.lines().any(|line| line.starts_with("3 ")), "{theirs}");
    let again = admin(&kafka, &["unregister-broker", "3", "--yes"]);
    assert_ne!(again.code, Some(0), "{}", again.stdout);
    kafka.start(3);
    eventually("it has registered itself again", LIMIT, || {
        said(admin(&kafka, &["list-brokers", "-o", "csv"])).lines().any(|line| line.starts_with("3,"))
    });
    let _ = said(admin(&kafka, &["delete-topic", &topic, "--yes"]));
}

#[test]
fn a_partition_without_a_leader_is_said_at_once_and_hides_no_other() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let (topic, group) = (unique("half-led"), unique("readers"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "--replica-assignment", "1,3"]));
    let _ = said(admin(&kafka, &["reset-offsets", &group, "--topic", &topic, "--to", "0", "--execute"]));
    kafka.stop(3);
    eventually("the partition is without a leader", LIMIT, || kafka.leader(&topic, 1).is_none());
    let leaderless = format!("{topic}[1]: ");
    for (arguments, code) in [
        (vec!["lag", &group], 1),
        (vec!["describe-group", &group], 1),
        (vec!["list-groups"], 1),
        (vec!["check-lag", &group, "--max-lag", "5"], 7),
        (vec!["check-health"], 7),
        (vec!["describe-topic", &topic], 0),
    ] {
        let started = Instant::now();
        let ended = admin(&kafka, &arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        // Well below the time-out, which is ten seconds.
        assert!(started.elapsed() < Duration::from_secs(8), "{arguments:?}: {:?}", started.elapsed());
        if code == 1 {
            assert_holds(&ended.stderr, &["LEADER_NOT_AVAILABLE"]);
            // A list of all groups may meet another one first.
            assert!(ended.stderr.contains(&leaderless) || arguments[0] == "list-groups", "{}", ended.stderr);
            assert!(ended.stdout.lines().count() > 1, "the rest is shown: {}", ended.stdout);
        }
    }
    let unled = said(admin(&kafka, &["describe-topic", &topic, "--unavailable", "-o", "csv"]));
    assert_holds(&unled, &[&format!("{topic},1,none,3,")]);
    kafka.start(3);
    eventually("it is led again", LIMIT, || kafka.leader(&topic, 1) == Some(3));
    let _ = said(admin(&kafka, &["lag", &group]));
    let _ = said(admin(&kafka, &["delete-group", &group, "--yes"]));
    let _ = said(admin(&kafka, &["delete-topic", &topic, "--yes"]));
}

#[test]
fn the_preferred_leader_is_elected_once_it_is_back() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let topic = unique("led");
    let _ = said(admin(&kafka, &["create-topic", &topic, "--replica-assignment", "2:1:3"]));
    kafka.stop(2);
    eventually("another leads", LIMIT, || kafka.leader(&topic, 0).is_some_and(|leader| leader != 2));
    kafka.start(2);
    eventually("it is in sync again", LIMIT, || {
        said(admin(&kafka, &["describe-topic", &topic, "--under-replicated", "-o", "name"])).is_empty()
    });
    let of = format!("{topic}:0");
    let elected = said(admin(&kafka, &["elect-leaders", &of]));
    // The broker may have done it by itself meanwhile.
    let done = [format!("{topic}[0]: leader elected"), format!("{topic}[0]: has the wanted leader already")];
    assert!(done.iter().any(|line| elected.contains(line)), "{elected}");
    eventually("the preferred one leads", LIMIT, || kafka.leader(&topic, 0) == Some(2));
    let again = said(admin(&kafka, &["elect-leaders", &of]));
    assert_holds(&again, &["has the wanted leader already"]);
    let unclean = admin(&kafka, &["elect-leaders", &of, "--unclean"]).expect_code(2);
    assert_holds(&unclean.stderr, &["--yes"]);
    let _ = said(admin(&kafka, &["delete-topic", &topic, "--yes"]));
}

#[test]
fn a_broker_that_is_frozen_is_found_although_the_cluster_still_lists_it() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let _ = said(admin(&kafka, &["check-health"]));
    kafka.freeze(3);
    let health = admin(&kafka, &["check-health", "-o", "json"]).expect_code(7);
    let is_found = ["\"silent_brokers\": [\n    3\n  ]", "\"fenced_brokers\": [\n    3\n  ]"];
    assert!(is_found.iter().any(|found| health.stdout.contains(found)), "{}", health.stdout);
    kafka.thaw(3);
}

/// How often each API was asked, by `--trace`.
fn requests(kafka: &RealKafka, arguments: &[&str]) -> BTreeMap<String, usize> {
    let ended = admin(kafka, &[arguments, &["--trace"]].concat()).expect_code(0);
    let mut counts = BTreeMap::new();
    for line in ended.stderr.lines() {
        if let Some(api) = line.split("api=").nth(1).and_then(|rest| rest.split(' ').next()) {
            *counts.entry(api.to_owned()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn a_question_about_many_things_is_one_request_for_each_broker() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let names: Vec<_> = (0..12).map(|_| unique("many")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let _ = said(admin(&kafka, &[&["create-topic", "-p", "3"][..], &names].concat()));
    for group in &names {
        let _ = said(admin(&kafka, &["reset-offsets", group, "--topic", group, "--to", "0", "--execute"]));
    }
    for (command, apis) in [
        ("lag", &["FindCoordinator", "OffsetFetch", "ListOffsets"][..]),
        ("describe-group", &["ConsumerGroupDescribe", "DescribeGroups", "OffsetFetch", "ListOffsets"]),
        ("describe-topic", &["DescribeConfigs", "DescribeTopicPartitions", "DescribeLogDirs", "OffsetFetch"]),
        ("list-offsets", &["ListOffsets"]),
    ] {
        let counts = requests(&kafka, &[&[command][..], &names].concat());
        for api in apis {
            let count = counts.get(*api).copied().unwrap_or_default();
            assert!((1..=3).contains(&count), "{command}: {count} times {api}: {counts:?}");
        }
    }
    let _ = said(admin(&kafka, &[&["delete-group", "--yes"][..], &names].concat()));
    let _ = said(admin(&kafka, &[&["delete-topic", "--yes"][..], &names].concat()));
}

#[test]
fn doctor_names_the_advertised_listener_that_does_not_work() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    // The proxied listeners advertise ports where nothing listens unless a test's proxy does.
    let bootstrap = kafka.listener("PROXIED");
    let ended = run("kafka-admin", ["-b", &bootstrap, "--timeout", "5s", "doctor", "-o", "jsonl"], "", LIMIT);
    let ended = ended.expect_code(7);
    let line =
        ended.stdout.lines().find(|line| line.contains("advertised listener")).expect("it is examined");
    assert_holds(line, &["\"verdict\":\"failed\"", "set advertised.listeners of broker", "refused"]);
}
