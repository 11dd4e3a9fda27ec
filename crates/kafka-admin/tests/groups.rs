//! What `kafka-admin` says of groups over time: age of what is unread, trends, the exporter, checks; groups of every type.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::{LIMIT, admin, admin_with_input, apache, assert_holds, rows, said};
use kafka_testkit::{Program, RealKafka, Signal, eventually, run, unique};
use serde_json::{Value, json};

/// Writes lines with our producer.
fn produce(kafka: &RealKafka, topic: &str, lines: &str) {
    let _ = run("kafka-produce", ["-b", &kafka.bootstrap(), topic, "--raw"], lines, LIMIT).expect_code(0);
}

/// Sets where a group stands, which makes it.
fn set_offset(kafka: &RealKafka, group: &str, topic: &str, to: &str) {
    let _ = said(admin(kafka, &["reset-offsets", group, "--topic", topic, "--to", to, "--execute"]));
}

fn forget(kafka: &RealKafka, topic: &str, group: &str) {
    let _ = said(admin(kafka, &["delete-group", group, "--yes"]));
    let _ = said(admin(kafka, &["delete-topic", topic, "--yes"]));
}

/// The number behind `"name":` in a line of JSON.
fn number(json: &str, name: &str) -> Option<f64> {
    let (_, rest) = json.split_once(&format!("\"{name}\":"))?;
    rest.split([',', '}']).next()?.parse().ok()
}

#[test]
fn the_age_of_the_oldest_unread_record_is_that_of_the_record_at_the_committed_offset() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, group) = (unique("aged"), unique("readers"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "2"]));
    // A record says its own time: half an hour ago; the later one is of now.
    let half_an_hour_ago = std::time::SystemTime::now() - Duration::from_secs(1800);
    let ms = half_an_hour_ago.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let json = ["-b", &kafka.bootstrap(), &topic, "--input", "jsonl"];
    let old = format!("{{\"partition\":0,\"timestamp\":{ms},\"value\":\"old\"}}\n");
    let _ = run("kafka-produce", json, old, LIMIT).expect_code(0);
    let _ = run("kafka-produce", json, "{\"partition\":0,\"value\":\"new\"}\n", LIMIT).expect_code(0);

    set_offset(&kafka, &group, &topic, "0");
    let of = |offset: &str| {
        set_offset(&kafka, &group, &topic, offset);
        let lag = said(admin(&kafka, &["lag", &group, "--age", "-o", "jsonl"]));
        let line = lag.lines().find(|line| line.contains("\"partition\":0,")).unwrap().to_owned();
        number(&line, "age_ms")
    };
    let old = of("0").expect("an old record waits");
    assert!((1_800_000.0..1_900_000.0).contains(&old), "{old}");
    let new = of("1").expect("a new record waits");
    assert!((0.0..120_000.0).contains(&new), "{new}");
    assert_eq!(of("2"), None, "nothing waits");

    set_offset(&kafka, &group, &topic, "0");
    let described = said(admin(&kafka, &["describe-group", &group]));
    assert_holds(&described, &["AGE", "30m"]);
    let _ = said(admin(&kafka, &["check-lag", &group, "--max-age", "1h"]));
    let late = admin(&kafka, &["check-lag", &group, "--max-age", "20m", "-o", "json"]).expect_code(7).stdout;
    assert_holds(&late, &["\"ok\": false", "\"max_age_ms\": 1200000", "\"age_ms\": 18"]);
    let both = ["check-lag", &group, "--max-age", "20m", "--max-lag", "9", "--nagios"];
    let plugin = admin(&kafka, &both).expect_code(2).stdout;
    assert_holds(&plugin, &[&format!("LAG CRITICAL - group {group}: 2 behind, for 30m"), "lag=2;;9 age=18"]);
    let _ = admin(&kafka, &["check-lag", &group]).expect_code(2);
    let unknown = admin(&kafka, &["check-lag", "nobody-reads", "--max-age", "1h", "--nagios"]).expect_code(3);
    assert_holds(&unknown.stdout, &["LAG UNKNOWN"]);

    // Records that were deleted no longer wait; the first one that is left does.
    let _ = said(admin(&kafka, &["trim-topic", &format!("{topic}:0"), "--before", "1", "--yes"]));
    let left = said(admin(&kafka, &["lag", &group, "--age", "-o", "jsonl"]));
    let left = left.lines().find(|line| line.contains("\"partition\":0,")).unwrap();
    assert!(number(left, "age_ms").expect("one is left") < 120_000.0, "{left}");
    forget(&kafka, &topic, &group);
}

#[test]
fn a_plan_that_was_exported_can_be_applied_to_another_group() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, group, other) = (unique("exported"), unique("from"), unique("to"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    produce(&kafka, &topic, "a\nb\nc\n");
    set_offset(&kafka, &group, &topic, "2");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), said(admin(&kafka, &["lag", &group, "-o", "csv"]))).unwrap();
    let path = file.path().to_str().unwrap();
    let _ = said(admin(&kafka, &["reset-offsets", &other, "--from-file", path, "--execute"]));
    let lag = said(admin(&kafka, &["lag", &other, "-o", "csv"]));
    assert_holds(&lag, &[&format!("{other},{topic},0,2,3,1")]);
    let _ = said(admin(&kafka, &["delete-group", &other, "--yes"]));
    forget(&kafka, &topic, &group);
}

#[test]
fn watching_shows_how_fast_a_group_reads_and_ends_well_on_ctrl_c() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, group) = (unique("watched"), unique("readers"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    produce(&kafka, &topic, &"x\n".repeat(100));
    set_offset(&kafka, &group, &topic, "10");
    for command in ["lag", "describe-group"] {
        let flags = ["-b", &kafka.bootstrap(), command, &group, "--watch", "200ms", "-o", "jsonl"];
        let mut watch = Program::start("kafka-admin", flags);
        watch.wait_stdout(LIMIT, |text| text.lines().count() >= 2);
        let before = watch.stdout().lines().count();
        assert_holds(watch.stdout().lines().next().unwrap(), &["\"rate\":null", "\"committed\":10"]);
        set_offset(&kafka, &group, &topic, "50");
        watch.wait_stdout(LIMIT, |text| text.contains("\"committed\":50"));
        let seen = watch.stdout();
        let step = seen.lines().find(|line| line.contains("\"committed\":50")).unwrap();
        assert!(number(step, "rate").unwrap() > 0.0, "{step}");
        assert!(number(step, "seconds_to_zero").unwrap() > 0.0, "{step}");
        assert!(seen.lines().count() > before);
        watch.signal(Signal::Interrupt);
        let ended = watch.finish(LIMIT).expect_code(0);
        assert!(
            ended.stdout.lines().all(|line| line.starts_with('[') && line.ends_with(']')),
            "{}",
            ended.stdout
        );
        set_offset(&kafka, &group, &topic, "10");
    }
    forget(&kafka, &topic, &group);
}

/// One scrape, as Prometheus does it.
fn scrape(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn prometheus_gets_the_lag_of_the_moment() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, group) = (unique("scraped"), unique("readers"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    produce(&kafka, &topic, "a\nb\nc\n");
    set_offset(&kafka, &group, &topic, "1");
    let flags = ["-b", &kafka.bootstrap(), "lag", &group, "--age", "--prometheus-listen", "127.0.0.1:0"];
    let mut exporter = Program::start("kafka-admin", flags);
    exporter.wait_stderr(LIMIT, |text| text.contains("/metrics"));
    let said = exporter.stderr();
    let address = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    let labels = format!("{{group=\"{group}\",topic=\"{topic}\",partition=\"0\"}}");
    let first = scrape(&address, "/metrics");
    assert!(first.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"), "{first}");
    let figures = [("committed_offset", 1), ("end_offset", 3), ("lag", 2)];
    for (name, value) in figures {
        assert_holds(
            &first,
            &[&format!("# TYPE kafka_group_{name} gauge"), &format!("kafka_group_{name}{labels} {value}\n")],
        );
    }
    assert_holds(&first, &[&format!("kafka_group_oldest_unread_age_seconds{labels} ")]);
    produce(&kafka, &topic, "d\n");
    eventually("the next scrape sees the new record", LIMIT, || {
        scrape(&address, "/metrics").contains(&format!("kafka_group_lag{labels} 3\n"))
    });
    assert!(scrape(&address, "/").starts_with("HTTP/1.1 404"));
    exporter.signal(Signal::Terminate);
    let _ = exporter.finish(LIMIT).expect_code(0);
    forget(&kafka, &topic, &group);
}

#[test]
fn share_and_streams_groups_are_listed_as_apaches_tools_see_them() {
    // The level of a feature is changed here, so the cluster is this test's own meanwhile.
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let (topic, group, classic) = (unique("shared"), unique("sharers"), unique("classic"));
    let level = said(admin(&kafka, &["list-features", "-o", "csv"]));
    let before = level.lines().find_map(|line| line.strip_prefix("share.version,1,0,1,")).unwrap().to_owned();
    let _ = said(admin(&kafka, &["set-feature", "share.version=1", "--dry-run"]));
    let changed = admin(&kafka, &["set-feature", "share.version=1"]).expect_code(2);
    assert_holds(&changed.stderr, &["--yes"]);
    let _ = said(admin(&kafka, &["set-feature", "share.version=1", "--yes"]));
    assert_holds(&apache(&kafka, "features", &["describe"]), &["FinalizedVersionLevel: 1"]);
    let refused = admin(&kafka, &["set-feature", "share.version=99", "--yes"]).expect_code(1);
    assert_holds(&refused.stderr, &["share.version"]);

    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    produce(&kafka, &topic, "a\nb\n");
    set_offset(&kafka, &classic, &topic, "1");
    let earliest = ["--alter", "--entity-type", "groups", "--entity-name", &group, "--add-config"];
    let _ = apache(&kafka, "configs", &[&earliest[..], &["share.auto.offset.reset=earliest"]].concat());
    // It ends by itself: now and then a signal does not end it (its wake-up is lost).
    let arguments = ["--topic", &topic, "--group", &group, "--max-messages", "3"];
    let consumer = kafka.tool_command("console-share-consumer", &arguments);
    let mut consumer = Program::start_command(consumer);
    consumer.wait_stdout(LIMIT, |text| text.contains('b'));
    let listed = said(admin(&kafka, &["list-groups", "--type", "share", "-o", "csv"]));
    assert_holds(&listed, &[&format!("{group},share,Stable")]);
    assert!(!listed.contains(&classic), "{listed}");
    assert_holds(&apache(&kafka, "share-groups", &["--list"]), &[&group]);
    let described = said(admin(&kafka, &["describe-group", &group, "-o", "json"]));
    assert_holds(
        &described,
        &["\"type\": \"share\"", "\"state\": \"Stable\"", &format!("\"topic\": \"{topic}\"")],
    );
    produce(&kafka, &topic, "c\n");
    let _ = consumer.finish(LIMIT).expect_code(0);

    // No application of Kafka Streams runs here: both lists are empty.
    let streams = said(admin(&kafka, &["list-groups", "--type", "streams", "-o", "name"]));
    assert_eq!(streams, "");
    let theirs = apache(&kafka, "groups", &["--list"]);
    for name in [&group, &classic] {
        assert_holds(&theirs, &[name]);
    }
    eventually("the share group is empty", LIMIT, || {
        said(admin(&kafka, &["list-groups", "--type", "share", "-o", "csv"]))
            .contains(&format!("{group},share,Empty"))
    });
    let _ = said(admin(&kafka, &["delete-group", &group, &classic, "--yes"]));
    let _ = said(admin(&kafka, &["delete-topic", &topic, "--yes"]));
    if before == "-" {
        let _ = said(admin(&kafka, &["set-feature", "share.version=0", "--downgrade", "--yes"]));
    }
}

/// A member of a streams group, played by requests of the protocol. Its application has one subtopology, which reads `topic`.
fn streams_member(kafka: &RealKafka, group: &str, id: &str, epoch: i32, topic: &str) -> Option<Value> {
    let topology = json!({"epoch": 0, "subtopologies": [{"subtopology_id": "0", "source_topics": [topic]}]});
    let joins = epoch == 0;
    let tasks = if joins { json!([]) } else { Value::Null };
    let request = json!({
        "group_id": group, "member_id": id, "member_epoch": epoch, "process_id": id, "rebalance_timeout_ms": 45_000,
        "topology": if joins { topology } else { Value::Null },
        "active_tasks": tasks, "standby_tasks": tasks, "warmup_tasks": tasks,
    });
    let flags = ["raw", "StreamsGroupHeartbeat", "--group", group];
    let ended = admin_with_input(kafka, &flags, &request.to_string());
    (ended.code == Some(0)).then(|| serde_json::from_str(&ended.stdout).unwrap())
}

#[test]
fn streams_groups_and_their_members_are_described_and_kept_from_harm_as_apaches_tool_sees_them() {
    let Some(kafka) = RealKafka::secure() else { return };
    let (topic, group) = (unique("streamed"), unique("streamers"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "2"]));
    let members = ["AAAAAAAAAAAAAAAAAAAAAQ", "AAAAAAAAAAAAAAAAAAAAAg"];
    // The second one also makes the broker tell the topology, which Kafka 4.1 keeps to itself until it writes again.
    for member in members {
        eventually("the member has joined", LIMIT, || {
            let joined = streams_member(&kafka, &group, member, 0, &topic);
            joined.is_some_and(|answer| answer["member_epoch"].as_i64() > Some(0))
        });
    }
    let listed = said(admin(&kafka, &["list-groups", "--type", "streams", "-o", "csv"]));
    assert_holds(&listed, &[&format!("{group},streams,")]);
    let described: Value =
        serde_json::from_str(&said(admin(&kafka, &["describe-group", &group, "-o", "json"]))).unwrap();
    let theirs =
        apache(&kafka, "streams-groups", &["--describe", "--members", "--verbose", "--group", &group]);
    for (member, id) in described[0]["members"].as_array().unwrap().iter().zip(members) {
        let assigned = member["assignment"].as_array().unwrap();
        let their_row = rows(&theirs, id)[0].join(" ");
        assert_eq!((&member["member_id"], &member["host"]), (&json!(id), &json!("/127.0.0.1")));
        assert_holds(&their_row, &[&format!(" streams {} ", member["epoch"])]);
        let ids: Vec<_> = assigned.iter().map(|one| one["partition"].to_string()).collect();
        assert_eq!(
            their_row.contains(&format!(" ACTIVE: 0:[{}]", ids.join(","))),
            !ids.is_empty(),
            "{theirs}"
        );
        assert!(assigned.iter().all(|one| one["topic"] == json!(topic)), "{described}");
    }
    assert_eq!(described[0]["members"].as_array().map(Vec::len), Some(2), "{described}");

    let refused = admin(&kafka, &["delete-group", &group, "--yes"]).expect_code(1);
    assert_holds(&refused.stderr, &["NON_EMPTY_GROUP"]);
    let reset = ["reset-offsets", &group, "--topic", &topic, "--to", "earliest", "--execute"];
    let refused = admin(&kafka, &reset).expect_code(1);
    assert_holds(&refused.stderr, &["has 2 members", "kafka-admin at /127.0.0.1"]);

    for member in members {
        assert!(streams_member(&kafka, &group, member, -1, &topic).is_some(), "{member} leaves");
    }
    eventually("the group is empty", LIMIT, || {
        said(admin(&kafka, &["describe-group", &group])).contains("State:   Empty")
    });
    let _ = said(admin(&kafka, &reset));
    let described = said(admin(&kafka, &["lag", &group, "-o", "csv"]));
    assert_holds(&described, &[&format!("{group},{topic},0,0,0,0"), &format!("{group},{topic},1,0,0,0")]);
    forget(&kafka, &topic, &group);
    let theirs = apache(&kafka, "streams-groups", &["--list"]);
    assert!(!theirs.contains(&group), "{theirs}");
}
