//! Consumer groups of `kafka-consume` on a real Kafka: who reads what, and what happens to the partitions of a member
//! that leaves, dies or comes back. Assignments are taken from Apache's own tool, records from stdout.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_testkit::{Program, RealKafka, Signal, eventually, run, unique};

const START: Duration = Duration::from_secs(30);
const PROTOCOLS: [&str; 2] = ["classic", "consumer"];

struct Group<'a> {
    kafka: &'a RealKafka,
    topic: String,
    name: String,
    protocol: &'static str,
}

impl<'a> Group<'a> {
    fn new(kafka: &'a RealKafka, protocol: &'static str) -> Self {
        let group = Self { kafka, topic: unique("riders"), name: unique("group"), protocol };
        kafka.create_topic(&group.topic, 2, &[]);
        group
    }

    fn member(&self) -> Program {
        self.member_with(&[])
    }

    /// One with a name of its own, and time enough to be started again.
    fn static_member(&self, name: &str) -> Program {
        match self.protocol {
            "classic" => self.member_with(&["--instance-id", name, "-X", "session.timeout.ms=30000"]),
            _ => self.member_with(&["--instance-id", name]),
        }
    }

    fn member_with(&self, more: &[&str]) -> Program {
        let mut arguments =
            vec!["-b".to_owned(), self.kafka.bootstrap(), self.name.clone(), self.topic.clone()];
        arguments.extend(["--group-protocol", self.protocol].map(str::to_owned));
        if self.protocol == "classic" {
            arguments.extend(["-X", "session.timeout.ms=6000"].map(str::to_owned));
        }
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        Program::start("kafka-consume", arguments)
    }

    /// Sends riders with these numbers, each to the north (partition 0) and to the south (partition 1).
    fn send(&self, numbers: impl Iterator<Item = u32>) {
        let lines: String = numbers.map(|number| format!("r{number} north\nr{number} south\n")).collect();
        let arguments = ["-b", &self.kafka.bootstrap(), &self.topic];
        let _ = run("kafka-produce", arguments, lines, START).expect_code(0);
    }

    /// How many partitions each member has, smallest first, as Apache's tool sees it.
    fn partitions_per_member(&self) -> Vec<u32> {
        let arguments = ["--describe", "--members", "--group", &self.name];
        let said = self.kafka.tool("consumer-groups", &arguments, "").stdout;
        // Static members have a column more.
        let header = said.lines().find(|line| line.contains("#PARTITIONS")).unwrap_or_default();
        let column = header.split_whitespace().position(|word| word == "#PARTITIONS").unwrap_or(0);
        let members = said.lines().filter(|line| line.starts_with(&self.name));
        let mut counts: Vec<u32> =
            members.filter_map(|line| line.split_whitespace().nth(column)?.parse().ok()).collect();
        counts.sort_unstable();
        counts
    }

    fn wait_for_partitions(&self, expected: &[u32]) {
        let what = format!("members with {expected:?} partitions");
        eventually(&what, Duration::from_secs(60), || self.partitions_per_member() == expected);
    }
}

/// `r17 north` for each line that a member printed.
fn riders(output: &str) -> Vec<String> {
    let word = |line: &str, field: &str| {
        line.split(&format!("\"{field}\":\""))
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .map(str::to_owned)
    };
    output
        .lines()
        .filter_map(|line| Some(format!("{} {}", word(line, "name")?, word(line, "location")?)))
        .collect()
}

fn expected(numbers: impl Iterator<Item = u32>) -> BTreeSet<String> {
    numbers.flat_map(|number| [format!("r{number} north"), format!("r{number} south")]).collect()
}

#[test]
fn three_members_share_two_partitions_and_one_of_them_waits() {
    let Some(kafka) = RealKafka::one_node() else { return };
    for protocol in PROTOCOLS {
        let group = Group::new(&kafka, protocol);
        let members = [group.member(), group.member(), group.member()];
        group.wait_for_partitions(&[0, 1, 1]);
        group.send(0..50);
        let read = || members.iter().map(|member| riders(&member.stdout())).collect::<Vec<_>>();
        eventually("all records", START, || read().concat().len() >= 100);
        let read = read();
        assert_eq!(read.concat().len(), 100, "{protocol}: nothing twice");
        assert_eq!(read.concat().into_iter().collect::<BTreeSet<_>>(), expected(0..50), "{protocol}");
        let mut counts: Vec<usize> = read.iter().map(Vec::len).collect();
        counts.sort_unstable();
        assert_eq!(counts, [0, 50, 50], "{protocol}");
    }
}

#[test]
fn other_groups_get_everything() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let first = Group::new(&kafka, "classic");
    let second = Group { name: unique("other"), topic: first.topic.clone(), ..first };
    first.send(0..20);
    for group in [&first, &second] {
        let mut member = group.member();
        member.wait_stdout(START, |output| riders(output).len() >= 40);
        assert_eq!(riders(&member.stdout()).into_iter().collect::<BTreeSet<_>>(), expected(0..20));
    }
}

#[test]
fn a_member_ended_by_sigterm_hands_over_at_once_and_nothing_is_read_twice() {
    let Some(kafka) = RealKafka::one_node() else { return };
    for protocol in PROTOCOLS {
        let group = Group::new(&kafka, protocol);
        let (mut stays, mut leaves) = (group.member(), group.member());
        group.wait_for_partitions(&[1, 1]);
        group.send(0..20);
        stays.wait_stdout(START, |output| riders(output).len() >= 20);
        leaves.wait_stdout(START, |output| riders(output).len() >= 20);

        let told = Instant::now();
        leaves.signal(Signal::Terminate);
        let left = leaves.finish(Duration::from_secs(5)).expect_code(0);
        assert!(told.elapsed() < Duration::from_secs(1), "{protocol}: leaving took {:?}", told.elapsed());
        group.send(20..40);
        stays.wait_stdout(Duration::from_secs(5), |output| riders(output).len() >= 60);
        let all = [riders(&left.stdout), riders(&stays.stdout())].concat();
        assert_eq!(all.len(), 80, "{protocol}: nothing twice");
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected(0..40), "{protocol}");
    }
}

#[test]
fn a_member_that_was_killed_hands_over_after_the_session_timeout_and_nothing_is_lost() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let group = Group::new(&kafka, "classic");
    let (stays, mut dies) = (group.member(), group.member());
    group.wait_for_partitions(&[1, 1]);
    group.send(0..20);
    dies.wait_stdout(START, |output| riders(output).len() >= 20);
    dies.signal(Signal::Kill);
    let killed = Instant::now();
    group.send(20..40);
    let dead = dies.finish(START);
    let all =
        || [riders(&dead.stdout), riders(&stays.stdout())].concat().into_iter().collect::<BTreeSet<_>>();
    eventually("the records of the dead member's partition", START, || all() == expected(0..40));
    assert!(killed.elapsed() < Duration::from_secs(6 + 5), "hand-over took {:?}", killed.elapsed());
}

#[test]
fn a_group_that_comes_back_goes_on_where_it_stopped() {
    let Some(kafka) = RealKafka::one_node() else { return };
    for protocol in PROTOCOLS {
        let group = Group::new(&kafka, protocol);
        for (numbers, signal) in [(0..20, Signal::Interrupt), (20..40, Signal::Terminate)] {
            group.send(numbers.clone());
            let mut member = group.member();
            member.wait_stdout(START, |output| riders(output).len() >= 40);
            member.signal(signal);
            let ended = member.finish(Duration::from_secs(5)).expect_code(0);
            assert_eq!(riders(&ended.stdout).len(), 40, "{protocol}: nothing twice");
            let read: BTreeSet<_> = riders(&ended.stdout).into_iter().collect();
            assert_eq!(read, expected(numbers), "{protocol}");
        }
    }
}

#[test]
fn a_static_member_that_comes_back_within_its_session_has_its_partitions_again_and_nobody_rebalances() {
    let Some(kafka) = RealKafka::one_node() else { return };
    for protocol in PROTOCOLS {
        let group = Group::new(&kafka, protocol);
        let (mut stays, restarts) = (group.static_member("a"), group.static_member("b"));
        group.wait_for_partitions(&[1, 1]);
        group.send(0..20);
        stays.wait_stdout(START, |output| riders(output).len() >= 20);
        let rebalances = |member: &Program| member.stderr().matches(": assigned ").count();
        let before = rebalances(&stays);
        restarts.signal(Signal::Terminate);
        let first = restarts.finish(Duration::from_secs(10)).expect_code(0);
        let mut again = group.static_member("b");
        group.send(20..40);
        again.wait_stdout(START, |output| riders(output).len() >= 20);
        stays.wait_stdout(START, |output| riders(output).len() >= 40);
        assert_eq!(rebalances(&stays), before, "{protocol}: {}", stays.stderr());
        let all = [riders(&first.stdout), riders(&again.stdout()), riders(&stays.stdout())].concat();
        assert_eq!(all.len(), 80, "{protocol}: nothing twice");
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected(0..40), "{protocol}");
    }
}

#[test]
fn of_two_members_with_one_name_the_coordinator_keeps_one_and_the_other_is_told_why() {
    let Some(kafka) = RealKafka::one_node() else { return };
    for protocol in PROTOCOLS {
        let group = Group::new(&kafka, protocol);
        let mut older = group.static_member("a");
        group.wait_for_partitions(&[2]);
        let mut newer = group.static_member("a");
        let (stays, told) = if protocol == "classic" {
            let ended = older.finish(START).expect_code(1);
            (&mut newer, ended.stderr)
        } else {
            // The older one holds the name; the newer one waits for a while whether it lets go.
            newer.wait_stderr(START, |said| said.contains("UNRELEASED_INSTANCE_ID"));
            (&mut older, newer.stderr())
        };
        assert!(told.contains("instance"), "{protocol}: {told}");
        group.send(0..20);
        stays.wait_stdout(START, |output| riders(output).len() >= 40);
    }
}
