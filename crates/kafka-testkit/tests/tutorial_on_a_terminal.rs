//! The tutorial as a person plays it: `kafka-admin`, `kafka-produce` at its prompt and `kafka-consume`, on terminals,
//! against a real Kafka of one node and of three.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::Duration;

use kafka_testkit::{RealKafka, Terminal, run, unique};

const SOON: Duration = Duration::from_secs(20);

fn play(kafka: &RealKafka, replicas: &str) {
    let bootstrap = kafka.bootstrap();
    let topic = unique("rider-updates");
    let create = ["-b", &bootstrap, "create-topic", &topic, "--partitions", "2"];
    let created = run("kafka-admin", create, "", SOON).expect_code(0);
    assert!(format!("{}{}", created.stdout, created.stderr).contains(&topic), "says so");
    let again = run("kafka-admin", create, "", SOON).expect_code(5);
    assert!(again.stderr.contains("exists"), "{}", again.stderr);
    let described = run("kafka-admin", ["-b", &bootstrap, "describe-topic", &topic], "", SOON).expect_code(0);
    assert!(described.stdout.contains(replicas), "{}", described.stdout);

    let environment = [("KAFKA_BOOTSTRAP_SERVERS", bootstrap.as_str())];
    let mut reader = Terminal::start("kafka-consume", ["user-1-of", &topic], &environment);
    let mut prompt = Terminal::start("kafka-produce", [&topic], &environment);
    prompt.expect("> ", SOON);
    prompt.type_line("tony north");
    prompt.expect(&format!("{topic}[0] @0"), SOON);
    prompt.type_line("tony SOUTH");
    prompt.expect(&format!("{topic}[1] @0"), SOON);
    prompt.type_line("nonsense");
    prompt.type_line("Maria North");
    prompt.expect(&format!("{topic}[0] @1"), SOON);

    let line = |partition: u32, value: &str| format!("user-1-of: [{topic}]: PART:{partition}: {value}");
    reader.expect(&line(0, r#"{"name":"tony","location":"north"}"#), SOON);
    reader.expect(&line(1, r#"{"name":"tony","location":"SOUTH"}"#), SOON);
    reader.expect(&line(0, r#"{"name":"Maria","location":"North"}"#), SOON);

    prompt.control_d();
    assert_eq!(prompt.finish(SOON), Some(0));
    assert!(prompt.screen().contains('3'), "says how many were sent: {}", prompt.screen());
    reader.control_c();
    assert_eq!(reader.finish(Duration::from_secs(2)), Some(0));
    let delete = ["-b", &bootstrap, "delete-topic", &topic, "--yes"];
    let _ = run("kafka-admin", delete, "", SOON).expect_code(0);
}

#[test]
fn the_tutorial_runs_on_one_node() {
    let Some(kafka) = RealKafka::one_node() else { return };
    play(&kafka, "1");
}

#[test]
fn the_tutorial_runs_on_three_nodes() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    play(&kafka, "3");
}

#[test]
fn lines_from_a_pipe_are_all_acknowledged_before_the_end() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let topic = unique("riders");
    kafka.create_topic(&topic, 2, &[]);
    let lines: String = (0..1000).map(|n| format!("rider{n} {}\n", ["north", "south"][n % 2])).collect();
    let sent = run("kafka-produce", ["-b", &kafka.bootstrap(), &topic], lines, SOON).expect_code(0);
    assert!(!sent.stdout.contains("> ") && !sent.stderr.contains("> "), "no prompt off a terminal: {sent:?}");
    let offsets = kafka.tool("get-offsets", &["--topic", &topic], "").expect_code(0).stdout;
    assert_eq!(offsets.lines().collect::<Vec<_>>(), [format!("{topic}:0:500"), format!("{topic}:1:500")]);
}
