//! The tools on every listener of a secured real Kafka: what works, and what every refusal says, in time and with its
//! exit code.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::{Duration, Instant};

use kafka_testkit::{Finished, Program, RealKafka, binary, repository, unique};

/// A refusal is said in this time.
const AT_ONCE: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "hunter2-the-secret";

/// Runs a tool against a listener; `more` are its arguments and properties.
fn run(kafka: &RealKafka, tool: &str, listener: &str, more: &[&str]) -> (Finished, Duration) {
    run_with(kafka, tool, listener, more, "")
}

fn run_with(
    kafka: &RealKafka,
    tool: &str,
    listener: &str,
    more: &[&str],
    input: &str,
) -> (Finished, Duration) {
    let mut command = Command::new(binary(tool));
    command.args(more).args(["-b", &kafka.listener(listener), "--timeout", "10s"]);
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    let started = Instant::now();
    let finished = Program::start_command(command).finish_with_input(input, LIMIT);
    (finished, started.elapsed())
}

fn file(kafka: &RealKafka, name: &str) -> String {
    kafka.file(&format!("{name}.properties")).to_str().unwrap().to_owned()
}

fn assert_refused((finished, took): (Finished, Duration), exit: i32, words: &str) {
    let finished = finished.expect_code(exit);
    assert!(finished.stderr.contains(words), "{finished:?}");
    assert!(took < AT_ONCE, "took {took:?}");
    assert!(finished.stderr.lines().count() <= 4, "{finished:?}");
}

#[test]
fn the_files_of_apaches_tools_drive_ours_on_every_listener() {
    let Some(kafka) = RealKafka::secure() else { return };
    let topic = unique("same-file");
    let made_by_apache = &file(&kafka, "sasl-ssl-scram-sha-512-admin");
    let mut apache = Command::new(repository().join("scripts/kafka.sh"));
    apache.args(["tool", "topics", "--bootstrap-server", &kafka.listener("SASL_SSL"), "--create"]);
    apache.args(["--command-config", made_by_apache, "--topic", &topic]);
    let _ = Program::start_command(apache).finish(Duration::from_secs(60)).expect_code(0);
    for (listener, name) in [
        ("SSL", "ssl"),
        ("MTLS", "mtls"),
        ("SASL_PLAINTEXT", "sasl-plaintext-plain-admin"),
        ("SASL_PLAINTEXT", "sasl-plaintext-scram-sha-256-admin"),
        ("SASL_SSL", "sasl-ssl-plain-admin"),
        ("SASL_SSL", "sasl-ssl-scram-sha-512-admin"),
    ] {
        let (finished, _) = run(&kafka, "kafka-admin", listener, &["list-topics", "-F", &file(&kafka, name)]);
        let seen = finished.expect_code(0).stdout;
        // mTLS authenticates as a user without permissions; it gets in all the same.
        assert!(seen.contains(&topic) || name == "mtls" || name == "ssl", "{name}: {seen}");
    }
}

#[test]
fn every_way_to_be_refused_has_its_words_and_its_exit_code() {
    let Some(kafka) = RealKafka::secure() else { return };
    let (ssl, stranger) = (&file(&kafka, "ssl"), &file(&kafka, "ssl-wrong-ca"));
    let scram = &file(&kafka, "sasl-plaintext-scram-sha-512-alice");
    let list =
        |listener, more: &[&str]| run(&kafka, "kafka-admin", listener, &[&["list-topics"], more].concat());
    assert_refused(list("SSL", &["-F", stranger]), 3, "unknown issuer");
    assert_refused(list("EXPIRED", &["-F", ssl]), 3, "expired on 2024-02-01");
    assert_refused(list("WRONGNAME", &["-F", ssl]), 3, "is for elsewhere.example, not for localhost");
    assert_refused(list("MTLS", &["-F", ssl]), 3, "wants a client certificate");
    assert_refused(list("SSL", &[]), 3, "set security.protocol=SSL");
    let wrong = &["-X", "sasl.password=${command:echo wrong}", "-X", "sasl.username=alice"];
    assert_refused(list("SASL_PLAINTEXT", &[&["-F", scram], &wrong[..]].concat()), 6, "invalid credentials");
    let unknown_user = &[
        "-X",
        "security.protocol=SASL_PLAINTEXT",
        "-X",
        "sasl.mechanism=PLAIN",
        "-X",
        "sasl.username=x",
        "-X",
        "sasl.password=${command:echo y}",
    ];
    assert_refused(list("SASL_PLAINTEXT", unknown_user), 6, "Invalid username or password");
    let kerberos = &["-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=GSSAPI"];
    assert_refused(list("SASL_PLAINTEXT", kerberos), 2, "use SCRAM-SHA-512");
}

#[test]
fn what_a_user_may_not_do_is_denied_with_the_permission_that_is_missing() {
    let Some(kafka) = RealKafka::secure() else { return };
    let bob = &file(&kafka, "sasl-ssl-scram-sha-256-bob");
    let topic = unique("denied");
    let denied = run(&kafka, "kafka-admin", "SASL_SSL", &["create-topic", &topic, "-F", bob]);
    assert_refused(denied, 6, "AUTHORIZATION_FAILED");
    for (tool, command, words) in [
        ("kafka-consume", &["g", "denied"][..], "TOPIC_AUTHORIZATION_FAILED"),
        ("kafka-produce", &["denied"], "TOPIC_AUTHORIZATION_FAILED"),
        ("kafka-admin", &["describe-group", "g"], "GROUP_AUTHORIZATION_FAILED"),
        ("kafka-admin", &["list-log-dirs"], "CLUSTER_AUTHORIZATION_FAILED"),
    ] {
        assert_refused(run(&kafka, tool, "SASL_SSL", &[command, &["-F", bob]].concat()), 6, words);
    }
}

/// A command of each tool that has to ask the broker something.
const ASKING: [(&str, &[&str]); 3] =
    [("kafka-admin", &["list-topics"]), ("kafka-consume", &["g", "t"]), ("kafka-produce", &["t"])];

#[test]
fn a_wrong_password_is_final_at_once_for_all_three_tools() {
    let Some(kafka) = RealKafka::secure() else { return };
    for (tool, command) in ASKING {
        for (listener, name, words) in [
            ("SASL_PLAINTEXT", "sasl-plaintext-plain-admin", "Invalid username or password"),
            ("SASL_PLAINTEXT", "sasl-plaintext-scram-sha-256-admin", "invalid credentials"),
            ("SASL_SSL", "sasl-ssl-scram-sha-512-admin", "invalid credentials"),
        ] {
            let wrong =
                ["-F", &file(&kafka, name), "-X", "sasl.username=admin", "-X", "sasl.password=wrong-secret"];
            let refused = run(&kafka, tool, listener, &[command, &wrong].concat());
            assert!(!refused.0.stderr.contains("wrong-secret"), "{refused:?}");
            assert_refused(refused, 6, words);
        }
    }
}

#[test]
fn a_transactional_id_a_group_and_a_cluster_without_permission_are_each_named() {
    let Some(kafka) = RealKafka::secure() else { return };
    let (bob, topic, name) =
        (&file(&kafka, "sasl-ssl-scram-sha-256-bob"), unique("allowed"), unique("denied"));
    kafka.create_topic(&topic, 1, &[]);
    let everything =
        ["--add", "--force", "--allow-principal", "User:bob", "--operation", "All", "--topic", &topic];
    let _ = kafka.tool("acls", &everything, "").expect_code(0);
    for (tool, command, words) in [
        (
            "kafka-produce",
            &[&topic, "--raw", "--transactional-id", &name][..],
            "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        ),
        ("kafka-consume", &[&name, &topic], "GROUP_AUTHORIZATION_FAILED"),
        ("kafka-admin", &["create-topic", &name], "AUTHORIZATION_FAILED"),
    ] {
        let refused = run_with(&kafka, tool, "SASL_SSL", &[command, &["-F", bob]].concat(), "a line\n");
        assert!(refused.0.stderr.contains(&name), "{refused:?}");
        assert_refused(refused, 6, words);
    }
}

#[test]
fn all_three_tools_say_what_is_wrong_with_a_certificate() {
    let Some(kafka) = RealKafka::secure() else { return };
    for (tool, command) in ASKING {
        for (listener, name, words) in [
            ("SSL", "ssl-wrong-ca", "unknown issuer"),
            ("EXPIRED", "ssl", "expired on 2024-02-01"),
            ("WRONGNAME", "ssl", "is for elsewhere.example, not for localhost"),
            ("MTLS", "ssl", "wants a client certificate"),
        ] {
            let file = file(&kafka, name);
            let arguments = [command, &["-F", &file]].concat();
            assert_refused(run(&kafka, tool, listener, &arguments), 3, words);
        }
    }
}

#[test]
fn no_output_at_any_level_holds_the_password() {
    let Some(kafka) = RealKafka::secure() else { return };
    let password = format!("sasl.password={PASSWORD}");
    let jaas =
        format!("sasl.jaas.config=a.PlainLoginModule required username=\"x\" password=\"{PASSWORD}\";");
    let sasl = ["-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.username=alice", "--trace"];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "OAUTHBEARER", "nonsense"] {
        let mechanism = format!("sasl.mechanism={mechanism}");
        for (secret, command) in [
            (&password, &["list-topics"][..]),
            (&jaas, &["list-topics"]),
            (&password, &["config", "show", "--all", "--origin"]),
            (&jaas, &["config", "show", "-o", "json"]),
        ] {
            let arguments = [command, &sasl, &["-X", &mechanism, "-X", secret]].concat();
            let (finished, _) = run(&kafka, "kafka-admin", "SASL_PLAINTEXT", &arguments);
            assert!(
                !finished.stdout.contains(PASSWORD) && !finished.stderr.contains(PASSWORD),
                "{finished:?}"
            );
        }
    }
}

#[test]
fn no_command_line_of_ours_or_of_a_child_holds_a_password_that_stands_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (password, seen) = ("correct-horse-battery", at("seen"));
    std::fs::write(at("password"), password).unwrap();
    // Looks at every command line of the machine while the tool waits for the secret, then gives it away.
    let spy = format!("cat /proc/[0-9]*/cmdline > {} ; cat {}", seen.display(), at("password").display());
    std::fs::write(at("spy.sh"), spy).unwrap();
    let properties = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=alice\n\
         sasl.password=${{command:sh {}}}\n",
        at("spy.sh").display()
    );
    std::fs::write(at("client.properties"), properties).unwrap();
    let mut command = Command::new(binary("kafka-admin"));
    command.args(["-b", "127.0.0.1:1", "--timeout", "1s", "--trace", "list-topics", "-F"]);
    command.arg(at("client.properties"));
    let refused = Program::start_command(command).finish(LIMIT).expect_code(3);
    let lines = String::from_utf8_lossy(&std::fs::read(&seen).unwrap()).into_owned();
    assert!(lines.contains("kafka-admin") && lines.contains("spy.sh"), "nothing was seen: {refused:?}");
    assert!(!lines.contains(password) && !refused.stderr.contains(password), "{lines} {refused:?}");
}
