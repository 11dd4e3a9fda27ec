//! `kafka-consume` where things go wrong: members that die and freeze, a coordinator that is killed, a pipe that blocks,
//! other people's members in the same group. Everything arrives; nothing but a dead member's uncommitted records twice.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use kafka_testkit::{
    FaultProxy, Program, RealKafka, Signal, binary, eventually, kcat, run, skip_without_kcat, unique,
};

const START: Duration = Duration::from_secs(40);
const SESSION: Duration = Duration::from_secs(6);
/// How much longer than a session a member may be without progress.
const MORE: Duration = Duration::from_secs(5);

fn fill(kafka: &RealKafka, topic: &str, numbers: std::ops::Range<u32>) {
    let lines: String = numbers.map(|number| format!("line {number}\n")).collect();
    let flags = ["-P", "-b", &kafka.bootstrap(), "-t", topic, "-X", "sticky.partitioning.linger.ms=0"];
    let _ = kcat(&flags, lines).expect_code(0);
}

fn member(kafka: &RealKafka, group: &str, topic: &str) -> Program {
    member_at(&kafka.bootstrap(), group, topic, "classic")
}

/// Under the consumer protocol the broker says how long the session is: as long (`scripts/test.sh`).
fn member_at(bootstrap: &str, group: &str, topic: &str, protocol: &str) -> Program {
    let session = format!("session.timeout.ms={}", SESSION.as_millis());
    let mut flags = vec!["-b", bootstrap, group, topic, "-f", "%v\\n", "--group-protocol", protocol];
    if protocol == "classic" {
        flags.extend(["-X", &session]);
    }
    Program::start("kafka-consume", flags)
}

fn fill_partition(kafka: &RealKafka, topic: &str, partition: usize, numbers: std::ops::Range<u32>) {
    let lines: String = numbers.map(|number| format!("line {number}\n")).collect();
    let flags = ["-P", "-b", &kafka.bootstrap(), "-t", topic, "-p", &partition.to_string()];
    let _ = kcat(&flags, lines).expect_code(0);
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

/// Fills until `is_enough`, a hundred lines each time; how many there are then.
fn fill_until(
    kafka: &RealKafka,
    topic: &str,
    mut count: u32,
    limit: Duration,
    is_enough: impl Fn() -> bool,
) -> u32 {
    eventually("progress", limit, || {
        fill(kafka, topic, count..count + 100);
        count += 100;
        sleep(Duration::from_millis(300));
        is_enough()
    });
    count
}

/// A member is cut off from its coordinator, which leads a third of the partitions as well, and another one is not: the
/// cluster lives on, so the coordinator stays where it is and gives the member up. The other one takes over; the first one
/// comes back when it is let through again.
fn a_member_is_cut_off_from_its_coordinator(protocol: &str) {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, group, proxy) = (unique("cut-off"), unique("group"), FaultProxy::start(&kafka));
    kafka.create_topic(&topic, 6, &[]);
    let cut_off = member_at(proxy.bootstrap(), &group, &topic, protocol);
    let other = member_at(&kafka.bootstrap(), &group, &topic, protocol);
    let printed = |program: &Program| numbers(&program.stdout()).len();
    let count = fill_until(&kafka, &topic, 0, START, || printed(&cut_off) > 50 && printed(&other) > 50);
    let all = || tally([cut_off.stdout().as_str(), other.stdout().as_str()]).len() as u32;

    let node = kafka.coordinator(&group);
    let (link, left) = (proxy.link(node), Instant::now());
    link.freeze();
    fill(&kafka, &topic, count..count + 600);
    let count = count + 600;
    eventually("the other one takes over", SESSION + MORE, || all() == count);
    sleep((SESSION * 2).saturating_sub(left.elapsed()));
    link.thaw();
    let before = printed(&cut_off);
    let count = fill_until(&kafka, &topic, count, SESSION + MORE, || printed(&cut_off) > before + 50);
    eventually("every record", SESSION + MORE, || all() == count);
    for member in [cut_off, other] {
        member.signal(Signal::Terminate);
        let _ = member.finish(Duration::from_secs(10)).expect_code(0);
    }
    assert_eq!(kafka.lag(&group), 0);
}

#[test]
fn a_classic_member_cut_off_from_its_coordinator_comes_back_by_itself_and_nothing_is_skipped() {
    a_member_is_cut_off_from_its_coordinator("classic");
}

#[test]
fn a_member_under_the_consumer_protocol_cut_off_from_its_coordinator_comes_back_by_itself() {
    a_member_is_cut_off_from_its_coordinator("consumer");
}

#[test]
fn partitions_of_a_leader_in_a_black_hole_are_read_when_it_is_back_the_others_meanwhile_and_nothing_twice() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, proxy) = (unique("hole"), FaultProxy::start(&kafka));
    kafka.create_topic(&topic, 3, &[]);
    let groups = ["classic", "consumer"].map(|protocol| (protocol, unique(protocol)));
    let members =
        groups.each_ref().map(|(protocol, group)| member_at(proxy.bootstrap(), group, &topic, protocol));
    fill(&kafka, &topic, 0..300);
    eventually("the first records", START, || {
        members.iter().all(|member| numbers(&member.stdout()).len() == 300)
    });
    // One that coordinates neither group: their memberships are not touched.
    let coordinators = groups.each_ref().map(|(_, group)| kafka.coordinator(group));
    let leaders = kafka.leaders(&topic);
    let at = (1..=3).find(|node| !coordinators.contains(node)).expect("three nodes");
    let partition = leaders.iter().position(|leader| *leader == Some(at)).expect("each leads one");

    let link = proxy.link(at);
    link.freeze();
    for (other, base) in (0..3).filter(|other| *other != partition).zip([300, 400]) {
        fill_partition(&kafka, &topic, other, base..base + 100);
    }
    fill_partition(&kafka, &topic, partition, 500..600);
    let count = || members.each_ref().map(|member| numbers(&member.stdout()).len());
    eventually("the other partitions' records", MORE, || count() == [500, 500]);
    sleep(SESSION * 2);
    assert_eq!(count(), [500, 500]);
    link.thaw();
    eventually("the rest", SESSION + MORE, || count() == [600, 600]);
    for member in members {
        member.signal(Signal::Terminate);
        let ended = member.finish(Duration::from_secs(10)).expect_code(0);
        assert!(tally([ended.stdout.as_str()]).values().all(|times| *times == 1), "nothing twice");
        assert!(!ended.stderr.contains("lost "), "{}", ended.stderr);
    }
}

/// A broker answers with an empty fetch and leaves the connection alone for a while (KIP-219).
#[test]
fn a_consumer_over_its_quota_waits_and_says_nothing_of_trouble() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, client) = (unique("quota"), unique("slow"));
    kafka.create_topic(&topic, 1, &[]);
    let quota = ["--alter", "--add-config", "consumer_byte_rate=6000"];
    let whose = ["--entity-type", "clients", "--entity-name", &client];
    let _ = kafka.tool("configs", &[&quota[..], &whose].concat(), "").expect_code(0);
    // In batches far below what the quota lets through at once.
    let lines: String = (0..6000).map(|number| format!("line {number}\n")).collect();
    let batches = ["-P", "-b", &kafka.bootstrap(), "-t", &topic, "-X", "batch.num.messages=100"];
    let _ = kcat(&batches, lines).expect_code(0);
    let name = format!("client.id={client}");
    let sizes = "max.partition.fetch.bytes=20000";
    let flags =
        ["-b", &kafka.bootstrap(), "--no-group", &topic, "--exit", "-f", "%v\\n", "-X", &name, "-X", sizes];
    let started = Instant::now();
    let read = run("kafka-consume", flags, "", Duration::from_secs(60)).expect_code(0);
    assert!(started.elapsed() > Duration::from_secs(2), "the quota was felt");
    assert_eq!(numbers(&read.stdout), (0..6000).collect::<Vec<_>>());
    assert!(!read.stderr.contains("trying again"), "{}", read.stderr);
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
