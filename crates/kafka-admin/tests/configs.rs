//! Settings of everything that has some: groups, client metrics, all brokers, loggers; as Apache's tool sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use common::{LIMIT, admin, apache, assert_holds, said};
use kafka_testkit::{RealKafka, eventually, unique};

#[test]
fn settings_of_groups_and_client_metrics_are_set_listed_and_taken_back() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (group, metrics) = (unique("group"), unique("metrics"));
    let set = said(admin(&kafka, &["set-config", "group", &group, "consumer.session.timeout.ms=50s"]));
    assert_holds(&set, &["consumer.session.timeout.ms: 45000 -> 50000"]);
    let subscribe =
        ["set-config", "client-metrics", &metrics, "metrics=org.apache.kafka.producer.", "interval.ms=30s"];
    let _ = said(admin(&kafka, &subscribe));
    for (kind, theirs, name, setting) in [
        ("group", "groups", &group, "consumer.session.timeout.ms=50000"),
        ("client-metrics", "client-metrics", &metrics, "interval.ms=30000"),
    ] {
        let described = ["--describe", "--entity-type", theirs, "--entity-name", name];
        assert_holds(&apache(&kafka, "configs", &described), &[setting]);
        assert_holds(&said(admin(&kafka, &["list-config-resources", kind, "-o", "name"])), &[name]);
    }
    let _ = said(admin(&kafka, &["unset-config", "group", &group, "consumer.session.timeout.ms"]));
    let _ = said(admin(&kafka, &["unset-config", "client-metrics", &metrics, "metrics", "interval.ms"]));
    eventually("nothing is left of them", LIMIT, || {
        let own = |kind: &str, name: &str| said(admin(&kafka, &["get-config", kind, name, "-o", "name"]));
        own("group", &group).is_empty() && own("client-metrics", &metrics).is_empty()
    });
    let wrong =
        admin(&kafka, &["set-config", "group", &group, "consumer.session.timeout.ms=1ms"]).expect_code(1);
    assert_holds(&wrong.stderr, &["consumer.session.timeout.ms"]);
}

#[test]
fn a_default_of_all_brokers_applies_to_each_until_it_is_taken_back() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let value = |broker: &str| {
        let shown =
            said(admin(&kafka, &["get-config", "broker", broker, "log.cleaner.threads", "-o", "csv"]));
        shown.lines().nth(1).map(|line| line.split(',').take(3).collect::<Vec<_>>().join(","))
    };
    let dry = ["set-config", "broker", "", "log.cleaner.threads=2", "--dry-run"];
    let _ = said(admin(&kafka, &dry));
    let _ = said(admin(&kafka, &["set-config", "broker", "", "log.cleaner.threads=2"]));
    eventually("every broker has it", LIMIT, || {
        ["1", "2", "3"].iter().all(|id| value(id).as_deref() == Some("log.cleaner.threads,2,default_broker"))
    });
    let theirs = apache(&kafka, "configs", &["--describe", "--entity-type", "brokers", "--entity-default"]);
    assert_holds(&theirs, &["log.cleaner.threads=2"]);
    // A list can be added to and taken from.
    let topic = unique("listed");
    let _ = said(admin(&kafka, &["create-topic", &topic]));
    let _ = said(admin(&kafka, &["set-config", "topic", &topic, "--append", "cleanup.policy=compact"]));
    let policy = || said(admin(&kafka, &["get-config", "topic", &topic, "cleanup.policy", "-o", "csv"]));
    eventually("both policies apply", LIMIT, || policy().contains("\"delete,compact\""));
    let _ = said(admin(&kafka, &["set-config", "topic", &topic, "--subtract", "cleanup.policy=delete"]));
    eventually("one is left", LIMIT, || policy().contains("cleanup.policy,compact,topic"));
    let _ = said(admin(&kafka, &["delete-topic", &topic, "--yes"]));
    let _ = said(admin(&kafka, &["unset-config", "broker", "", "log.cleaner.threads"]));
    eventually("it is gone", LIMIT, || value("1").as_deref() == Some("log.cleaner.threads,1,default"));

    // Which loggers there are depends on how this Kafka logs; the root is always one.
    let root = || said(admin(&kafka, &["get-config", "broker-logger", "2", "root", "-o", "csv"]));
    assert_holds(&root(), &["root,", "broker_logger"]);
    let unknown = admin(&kafka, &["set-config", "broker-logger", "2", "no.such.Logger=DEBUG"]).expect_code(1);
    assert_holds(&unknown.stderr, &["broker-logger 2", "no.such.Logger"]);
}
