//! Requests written as JSON, against the embedded broker and a real Kafka: what is answered, how it ends, and what is said
//! about requests that cannot be sent.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use common::{LIMIT, assert_holds};
use kafka_testkit::{EitherKafka, Finished, RealKafka, eventually, run, unique};
use serde_json::{Value, json};

/// Runs the test on the embedded broker, and on a real Kafka where there is one.
fn everywhere(test: impl Fn(&str)) {
    if let Some(kafka) = EitherKafka::one_node() {
        test(kafka.bootstrap());
    }
    if let Some(kafka) = RealKafka::one_node() {
        test(&kafka.bootstrap());
    }
}

fn raw(bootstrap: &str, line: &str, request: &str) -> Finished {
    let flags = ["-b", bootstrap, "raw"].into_iter().chain(line.split(' '));
    run("kafka-admin", flags, request, LIMIT)
}

fn answer(bootstrap: &str, line: &str, request: &Value) -> Value {
    let ended = raw(bootstrap, line, &request.to_string()).expect_code(0);
    serde_json::from_str(&ended.stdout).expect("the answer is JSON")
}

/// What ApiVersions wants to be told since version 3.
fn who_asks() -> Value {
    json!({"client_software_name": "raw", "client_software_version": "1"})
}

#[test]
fn requests_written_as_json_are_answered_as_json() {
    everywhere(|bootstrap| {
        let topic = unique("raw");
        let new = json!({"topics": [{"name": topic, "num_partitions": 2, "replication_factor": 1}], "timeout_ms": 9000});
        let created = answer(bootstrap, "CreateTopics --controller", &new);
        assert_eq!(
            (&created["topics"][0]["name"], &created["topics"][0]["error_code"]),
            (&json!(topic), &json!(0))
        );

        // In every version: old and compact lengths, with and without tagged fields.
        for version in 4..=12 {
            let asked = json!({"topics": [{"name": topic}]});
            let known = answer(bootstrap, &format!("Metadata -V {version}"), &asked);
            assert_eq!(
                known["topics"][0]["partitions"].as_array().unwrap().len(),
                2,
                "version {version}: {known}"
            );
        }
        let node = &answer(bootstrap, "metadata", &json!({"topics": []}))["brokers"][0]["node_id"];
        for (version, asked) in [(0, json!({})), (2, json!({})), (3, who_asks())] {
            let versions = answer(bootstrap, &format!("18 -V {version} --broker {node}"), &asked);
            let produce = versions["api_keys"].as_array().unwrap().iter().find(|api| api["api_key"] == 0);
            assert!(produce.is_some(), "version {version}: {versions}");
        }

        let resource =
            json!({"resource_type": 2, "resource_name": topic, "configuration_keys": ["retention.ms"]});
        let configs = answer(bootstrap, "DescribeConfigs", &json!({"resources": [resource]}));
        assert_eq!(configs["results"][0]["configs"][0]["name"], "retention.ms", "{configs}");

        // The first to ask for a coordinator may have to wait for it.
        let asked = json!({"coordinator_keys": ["group"]});
        let found = || raw(bootstrap, "FindCoordinator -V 4", &asked.to_string()).code;
        eventually("there is a coordinator", LIMIT, || found() == Some(0));
        let found = answer(bootstrap, "FindCoordinator -V 4", &asked);
        assert_eq!(
            (&found["coordinators"][0]["key"], &found["coordinators"][0]["node_id"]),
            (&json!("group"), node)
        );

        let gone = json!({"topics": [{"name": topic}], "timeout_ms": 9000});
        assert_eq!(answer(bootstrap, "DeleteTopics -V 6", &gone)["responses"][0]["error_code"], 0);
    });
}

#[test]
fn an_error_code_anywhere_in_the_answer_is_named_and_decides_how_it_ends() {
    everywhere(|bootstrap| {
        let topic = unique("raw-missing");
        let asked = json!({"topics": [{"name": topic}]}).to_string();
        let ended = raw(bootstrap, "Metadata -V 9 -o jsonl", &asked).expect_code(4);
        assert_holds(&ended.stderr, &["error: topics[0]: ", "UNKNOWN_TOPIC_OR_PARTITION"]);
        assert_holds(&ended.stdout, &["\"error_code\":3", &topic]);
        let names = run("kafka-admin", ["-b", bootstrap, "list-topics", "-o", "name"], "", LIMIT).stdout;
        assert!(!names.contains(&topic), "looking made it: {names}");

        let wrong =
            json!({"topics": [{"name": topic, "num_partitions": 0, "replication_factor": 1}]}).to_string();
        let ended = raw(bootstrap, "CreateTopics", &wrong).expect_code(1);
        assert_holds(&ended.stderr, &["error: topics[0]: ", "INVALID_PARTITIONS"]);
    });
}

#[test]
fn what_cannot_be_sent_is_said_before_anything_is() {
    let Some(kafka) = EitherKafka::one_node() else { return };
    for (line, request, parts) in [
        ("Metadat", "{}", &["no API Metadat", "did you mean Metadata?"][..]),
        ("Metadata -V 99", "{}", &["Metadata has no version 99, only 0 to 13"]),
        ("Metadata", "", &["not JSON", "{} is a request with every default"]),
        ("Metadata", "{\"topic\": []}", &["topic: there is no such field; did you mean topics?", "--layout"]),
        ("Metadata -V 0", "{\"topics\": null}", &["topics: version 0 does not allow null"]),
        ("Produce", "{\"timeout_ms\": 1}", &["acks", "do not answer"]),
    ] {
        let ended = raw(kafka.bootstrap(), line, request).expect_code(2);
        assert_holds(&ended.stderr, parts);
        assert_eq!(ended.stdout, "", "{line}");
    }
    let ended = raw(kafka.bootstrap(), "Metadata --broker 4711", "{}").expect_code(3);
    assert_holds(&ended.stderr, &["broker 4711"]);
    let ended = raw(kafka.bootstrap(), "Vote", "{}").expect_code(1);
    assert_holds(&ended.stderr, &["does not offer Vote", "kafka-admin api-versions"]);
}

#[test]
fn a_request_can_be_listed_shown_edited_and_sent() {
    let offline = |line: &str| raw("127.0.0.1:1", line, "").expect_code(0).stdout;
    assert_holds(&offline("--list"), &["KEY  API", " 18  ApiVersions", " 88  StreamsGroupHeartbeat"]);
    assert_holds(&offline("FindCoordinator --layout"), &["  request\n    key string 0-3\n", "  response\n"]);
    let example = offline("DescribeCluster --example");
    assert_eq!(
        serde_json::from_str::<Value>(&example).unwrap(),
        json!({"include_cluster_authorized_operations": false, "endpoint_type": 1, "include_fenced_brokers": false})
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    std::fs::write(
        &file,
        example.replace("\"include_fenced_brokers\": false", "\"includeFencedBrokers\": true"),
    )
    .unwrap();
    let line = format!("DescribeCluster -V 2 -o yaml --file {}", file.display());
    let Some(real) = RealKafka::one_node() else { return };
    assert_holds(
        &raw(&real.bootstrap(), &line, "").expect_code(0).stdout,
        &["cluster_id: ", "is_fenced: false"],
    );
}

/// Whatever a broker of that version offers can be written. (Only the highest version is looked at: brokers say that they
/// know old versions of Produce, for the sake of an old client, and do not.)
#[test]
fn the_table_has_every_api_and_version_that_a_real_kafka_offers() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let listed = raw("127.0.0.1:1", "--list -o json", "").expect_code(0).stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let offered = answer(&kafka.bootstrap(), "ApiVersions", &who_asks());
    for api in offered["api_keys"].as_array().unwrap() {
        let ours = listed.iter().find(|row| row["key"] == api["api_key"]).unwrap_or(&Value::Null);
        let within = ours["max"].as_i64() >= api["max_version"].as_i64();
        assert!(ours.is_object() && within, "{api} is offered, the table has {ours}");
    }
}

#[test]
fn a_request_reaches_the_broker_that_it_is_meant_for() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let bootstrap = kafka.bootstrap();
    // Only the broker itself knows its configuration.
    let of_two = json!({"resources": [{"resource_type": 4, "resource_name": "2"}]}).to_string();
    let _ = raw(&bootstrap, "DescribeConfigs --broker 2", &of_two).expect_code(0);
    let _ = raw(&bootstrap, "DescribeConfigs --broker 3", &of_two).expect_code(1);
    // Only its coordinator knows a group.
    for _ in 0..4 {
        let group = unique("anywhere");
        let asked = json!({"groups": [{"group_id": group, "topics": null}]}).to_string();
        let at = |recipient: &str| raw(&bootstrap, &format!("OffsetFetch -V 8 {recipient}"), &asked);
        eventually("there is a coordinator", LIMIT, || at(&format!("--group {group}")).code == Some(0));
        let answers = (1..=3).map(|id| at(&format!("--broker {id}")));
        let (found, refused): (Vec<_>, Vec<_>) = answers.partition(|ended| ended.code == Some(0));
        assert_eq!((found.len(), refused.len()), (1, 2), "{group}");
        assert_holds(&refused[0].stderr, &["NOT_COORDINATOR"]);
    }
    let id = unique("anywhere");
    let asked = json!({"transactional_ids": [id]}).to_string();
    eventually("there is a coordinator", LIMIT, || {
        // At its coordinator it is unknown; anywhere else this would end with 1.
        raw(&bootstrap, &format!("DescribeTransactions --transactional-id {id}"), &asked).code == Some(4)
    });
}
