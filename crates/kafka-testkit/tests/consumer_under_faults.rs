//! `kafka-consume` where things go wrong: members that die and freeze, a coordinator that is killed, a pipe that blocks,
//! other people's members in the same group. Everything arrives; nothing but a dead member's uncommitted records twice.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use kafka_testkit::{Program, RealKafka, Signal, binary, eventually, kcat, run, skip_without_kcat, unique};

const START: Duration = Duration::from_secs(40);
const SESSION: Duration = Duration::from_secs(6);

fn fill(kafka: &RealKafka, topic: &str, numbers: std::ops::Range<u32>) {
    let lines: String = numbers.map(|number| format!("line {number}\n")).collect();
    let flags = ["-P", "-b", &kafka.bootstrap(), "-t", topic, "-X", "sticky.partitioning.linger.ms=0"];
    let _ = kcat(&flags, lines).expect_code(0);
}

fn member(kafka: &RealKafka, group: &str, topic: &str) -> Program {
    let (bootstrap, session) = (kafka.bootstrap(), format!("session.timeout.ms={}", SESSION.as_millis()));
    let flags =
        ["-b", &bootstrap, group, topic, "-f", "%v\\n", "--group-protocol", "classic", "-X", &session];
    Program::start("kafka-consume", flags)
}

fn numbers(output: &str) -> Vec<u32> {
    output.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect()
}

/// How often each number was printed, over all outputs.
fn tally<'a>(outputs: impl IntoIterator<Item = &'a str>) -> BTreeMap<u32, u32> {
    let mut times = BTreeMap::new();
    for number in outputs.into_iter().flat_map(numbers) {
        *times.entry(number).or_insert(0) += 1;
    }
    times
}

#[test]
fn a_closed_pipe_ends_the_consumer_at_once_and_commits_only_what_was_written() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, group) = (unique("head"), unique("group"));
    kafka.create_topic(&topic, 1, &[]);
    fill(&kafka, &topic, 0..1000);
    let mut consumer = Command::new(binary("kafka-consume"));
    consumer.args(["-b", &kafka.bootstrap(), &group, &topic, "-f", "%v\\n"]);
    let mut child = consumer.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let mut first = [0; 7];
    pipe.read_exact(&mut first).unwrap();
    drop(pipe);
    // The pipe is closed; the next write meets it.
    fill(&kafka, &topic, 1000..1010);
    let mut code = None;
    eventually("the end of the consumer", Duration::from_secs(10), || {
        code = child.try_wait().unwrap().map(|status| status.code());
        code.is_some()
    });
    assert_eq!(code, Some(Some(0)));
}

#[test]
fn a_consumer_whose_output_is_blocked_for_longer_than_its_session_loses_nothing() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, group) = (unique("blocked"), unique("group"));
    kafka.create_topic(&topic, 2, &[]);
    fill(&kafka, &topic, 0..50_000);
    let mut consumer = Command::new(binary("kafka-consume"));
    let session = format!("session.timeout.ms={}", SESSION.as_millis());
    let flags = ["-f", "%v\\n", "--group-protocol", "classic", "-X", &session];
    consumer.args(["-b", &kafka.bootstrap(), &group, &topic]).args(flags);
    let mut child = consumer.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let (mut seen, mut chunk) = (Vec::new(), vec![0; 1000]);
    let length = pipe.read(&mut chunk).unwrap();
    seen.extend_from_slice(&chunk[..length]);
    sleep(SESSION * 2);
    let reader = std::thread::spawn(move || {
        pipe.read_to_end(&mut seen).unwrap();
        seen
    });
    sleep(SESSION);
    Signal::Terminate.send(child.id());
    let seen = reader.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let times = tally([String::from_utf8(seen).unwrap().as_str()]);
    assert_eq!(times.len(), 50_000);
}

#[test]
fn a_member_killed_at_any_moment_skips_nothing_that_was_not_printed() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, group) = (unique("killed"), unique("group"));
    kafka.create_topic(&topic, 2, &[]);
    fill(&kafka, &topic, 0..5000);
    let mut outputs = Vec::new();
    for round in 0..4 {
        let mut victim = member(&kafka, &group, &topic);
        let wanted = (round + 1) * 200;
        eventually("some records", START, || {
            !victim.is_running() || numbers(&victim.stdout()).len() >= wanted
        });
        victim.signal(Signal::Kill);
        outputs.push(victim.finish(START).stdout);
        fill(&kafka, &topic, 5000 + round as u32 * 100..5100 + round as u32 * 100);
    }
    let last = member(&kafka, &group, &topic);
    let all = || tally(outputs.iter().map(String::as_str).chain([last.stdout().as_str()]));
    eventually("every record once at least", START, || all().len() == 5400);
}

#[test]
fn a_group_of_ours_kcats_and_javas_members_shares_a_topic() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, group) = (unique("mixed"), unique("group"));
    kafka.create_topic(&topic, 3, &[]);
    let (bootstrap, range) = (kafka.bootstrap(), "partition.assignment.strategy=range");
    let flags = ["-b", &bootstrap, &group, &topic, "-f", "%v\\n", "--group-protocol", "classic", "-X", range];
    let ours = Program::start("kafka-consume", flags);
    let mut kcat_member = Command::new("kcat");
    kcat_member.args(["-q", "-u", "-b", &bootstrap, "-X", range, "-X", "auto.offset.reset=earliest"]);
    kcat_member.args(["-G", &group, &topic]);
    let theirs = Program::start_command(kcat_member);
    let java = ["--topic", &topic, "--group", &group, "--from-beginning", "--consumer-property"];
    let strategy = "partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor";
    let java =
        Program::start_command(kafka.tool_command("console-consumer", &[&java[..], &[strategy]].concat()));

    let describe = ["--describe", "--members", "--group", &group];
    eventually("a partition for each", Duration::from_secs(90), || {
        let said = kafka.tool("consumer-groups", &describe, "").stdout;
        let members = said.lines().filter(|line| line.starts_with(&group));
        let counts: Vec<_> = members.filter_map(|line| line.split_whitespace().nth(4)).collect();
        counts == ["1", "1", "1"]
    });
    for partition in ["0", "1", "2"] {
        let lines = format!("line {partition}0\nline {partition}1\n");
        let _ = kcat(&["-P", "-b", &bootstrap, "-t", &topic, "-p", partition], lines).expect_code(0);
    }
    let outputs = || [ours.stdout(), theirs.stdout(), java.stdout()];
    eventually("two records for each", START, || outputs().iter().all(|output| numbers(output).len() == 2));
    assert_eq!(tally(outputs().iter().map(String::as_str)).len(), 6);
}

#[test]
fn a_group_goes_on_when_its_coordinator_is_killed() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    for protocol in ["classic", "consumer"] {
        let (topic, group) = (unique("coordinated"), unique("group"));
        kafka.create_topic(&topic, 3, &[]);
        let flags = ["-b", &kafka.bootstrap(), &group, &topic, "-f", "%v\\n", "--group-protocol", protocol];
        let mut consumer = Program::start("kafka-consume", flags);
        fill(&kafka, &topic, 0..100);
        consumer.wait_stdout(START, |output| numbers(output).len() >= 100);
        let coordinator = kafka.coordinator(&group);
        kafka.kill(coordinator);
        fill(&kafka, &topic, 100..200);
        consumer.wait_stdout(Duration::from_secs(60), |output| numbers(output).len() >= 200);
        kafka.start(coordinator);
        consumer.signal(Signal::Terminate);
        let ended = consumer.finish(Duration::from_secs(10)).expect_code(0);
        assert_eq!(numbers(&ended.stdout).len(), 200, "{protocol}: nothing twice");
    }
}

#[test]
fn reading_an_unknown_topic_fails_and_creates_nothing() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let topic = unique("never");
    let arguments = ["-b", &kafka.bootstrap(), "--no-group", &topic, "--exit"];
    let _ = run("kafka-consume", arguments, "", START).expect_code(4);
    let listed = kafka.tool("topics", &["--list"], "").expect_code(0).stdout;
    assert!(!listed.contains(&topic), "reading created a topic");
}
