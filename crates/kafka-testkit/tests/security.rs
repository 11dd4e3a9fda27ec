//! All three tools against listeners with TLS, SASL and ACLs: each way in works with the file that Apache's tools take, and
//! each way of being refused has its own words and comes at once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::{Duration, Instant};

use kafka_testkit::{Finished, RealKafka, run, unique};

const LIMIT: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::from_secs(2);

/// The listener, and the client file that opens it.
const WAYS_IN: [(&str, &str); 7] = [
    ("SSL", "ssl.properties"),
    ("MTLS", "mtls.properties"),
    ("SASL_PLAINTEXT", "sasl-plaintext-plain-admin.properties"),
    ("SASL_PLAINTEXT", "sasl-plaintext-scram-sha-256-admin.properties"),
    ("SASL_PLAINTEXT", "sasl-plaintext-scram-sha-512-admin.properties"),
    ("SASL_SSL", "sasl-ssl-plain-admin.properties"),
    ("SASL_SSL", "sasl-ssl-scram-sha-512-admin.properties"),
];

/// One of our tools through a listener with a client file.
fn through(
    kafka: &RealKafka,
    (listener, file): (&str, &str),
    tool: &str,
    more: &[&str],
    input: &str,
) -> Finished {
    let (address, file) = (kafka.listener(listener), kafka.file(file));
    let flags = ["-b", &address, "-F", file.to_str().unwrap()];
    run(tool, [&flags[..], more].concat(), input, LIMIT)
}

/// Lets a principal do everything with topics and groups.
fn allow(kafka: &RealKafka, principal: &str) {
    let flags = ["--add", "--force", "--allow-principal", principal, "--operation", "All"];
    let _ = kafka
        .tool("acls", &[&flags[..], &["--topic", "*", "--group", "*", "--cluster"]].concat(), "")
        .expect_code(0);
}

#[test]
fn all_three_tools_work_through_every_listener_with_apaches_client_files() {
    let Some(kafka) = RealKafka::secure() else { return };
    allow(&kafka, "User:CN=client");
    for way in WAYS_IN {
        let topic = unique("secure");
        let _ = through(&kafka, way, "kafka-admin", &["create-topic", &topic, "--partitions", "1"], "")
            .expect_code(0);
        let _ = through(&kafka, way, "kafka-produce", &[&topic, "--raw"], "secret\n").expect_code(0);
        let read = ["--no-group", &topic, "--exit", "-f", "%v\\n"];
        let read = through(&kafka, way, "kafka-consume", &read, "").expect_code(0);
        assert_eq!(read.stdout, "secret\n", "{way:?}");
    }
}

/// Runs `list-topics` and expects a refusal at once, with these words in lower case on stderr, and no password.
fn refused(kafka: &RealKafka, way: (&str, &str), more: &[&str], words: &[&str]) -> Finished {
    let started = Instant::now();
    let ended = through(kafka, way, "kafka-admin", &[more, &["list-topics"]].concat(), "");
    let took = started.elapsed();
    assert_ne!(ended.code, Some(0), "{way:?}");
    assert!(took < AT_ONCE, "{way:?} took {took:?}: {}", ended.stderr);
    let said = ended.stderr.to_lowercase();
    assert!(words.iter().any(|word| said.contains(word)), "{way:?} should say one of {words:?}: {said}");
    assert!(
        !ended.stderr.contains("wrong-secret") && !ended.stderr.contains("admin-secret"),
        "{}",
        ended.stderr
    );
    ended
}

#[test]
fn a_wrong_password_is_final_at_once() {
    let Some(kafka) = RealKafka::secure() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (mechanism, protocol) in
        [("PLAIN", "SASL_PLAINTEXT"), ("SCRAM-SHA-256", "SASL_PLAINTEXT"), ("SCRAM-SHA-512", "SASL_SSL")]
    {
        let file = folder.path().join(mechanism);
        let ca = kafka.file("ca.pem");
        let text = format!(
            "security.protocol={protocol}\nssl.ca.location={}\nsasl.mechanism={mechanism}\nsasl.username=admin\nsasl.password=wrong-secret\n",
            ca.display()
        );
        std::fs::write(&file, text).unwrap();
        let address = kafka.listener(protocol);
        let started = Instant::now();
        let flags = ["-b", &address, "-F", file.to_str().unwrap(), "list-topics"];
        let ended = run("kafka-admin", flags, "", LIMIT).expect_code(6);
        assert!(started.elapsed() < AT_ONCE, "{mechanism} took {:?}", started.elapsed());
        assert!(!ended.stderr.contains("wrong-secret"), "{}", ended.stderr);
    }
}

#[test]
fn each_certificate_problem_is_called_by_its_name() {
    let Some(kafka) = RealKafka::secure() else { return };
    let _ = refused(
        &kafka,
        ("SSL", "ssl-wrong-ca.properties"),
        &[],
        &["unknown issuer", "not trusted", "unknown authority"],
    );
    let _ = refused(&kafka, ("EXPIRED", "ssl.properties"), &[], &["expired"]);
    let _ = refused(&kafka, ("WRONGNAME", "ssl.properties"), &[], &["elsewhere.example"]);
    let _ = refused(&kafka, ("MTLS", "ssl.properties"), &[], &["certificate"]);
}

#[test]
fn what_the_access_control_list_does_not_allow_is_refused_with_exit_6() {
    let Some(kafka) = RealKafka::secure() else { return };
    let topic = unique("forbidden");
    kafka.create_topic(&topic, 1, &[]);
    let alice = ("SASL_PLAINTEXT", "sasl-plaintext-scram-sha-256-alice.properties");
    let produced = through(&kafka, alice, "kafka-produce", &[&topic, "--raw"], "x\n").expect_code(6);
    assert!(produced.stderr.contains(&topic), "{}", produced.stderr);
    let read = through(&kafka, alice, "kafka-consume", &["--no-group", &topic, "--exit"], "").expect_code(6);
    assert!(read.stderr.contains(&topic), "{}", read.stderr);
    let group = unique("forbidden-group");
    let reader =
        ["--add", "--force", "--allow-principal", "User:alice", "--operation", "Read", "--topic", &topic];
    let _ = kafka.tool("acls", &reader, "").expect_code(0);
    let joined = through(&kafka, alice, "kafka-consume", &[&group, &topic], "").expect_code(6);
    assert!(joined.stderr.contains(&group), "{}", joined.stderr);
    let created = through(&kafka, alice, "kafka-admin", &["create-topic", &unique("no")], "").expect_code(6);
    assert!(!created.stderr.is_empty());
}
