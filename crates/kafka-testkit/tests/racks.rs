//! Members and followers in the same rack come first, on a real Kafka whose three nodes stand in racks `rack-1` to
//! `rack-3` (`scripts/test.sh`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::Duration;

use kafka_testkit::{Program, RealKafka, eventually, kcat, run, skip_without_kcat, unique};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_range_assignor_gives_partitions_to_members_in_the_racks_of_their_replicas() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let (topic, group, bootstrap) = (unique("racked"), unique("group"), kafka.bootstrap());
    // Partition 0 on node 3, partition 1 on node 1, partition 2 on node 2.
    let arguments = ["--create", "--topic", &topic, "--replica-assignment", "3,1,2"];
    let _ = kafka.tool("topics", &arguments, "").expect_code(0);
    let member = |rack: u32| {
        let rack = format!("client.rack=rack-{rack}");
        let flags = ["--group-protocol", "classic", "--assignor", "range", "-X", &rack];
        Program::start("kafka-consume", ["-b", &bootstrap, &group, &topic].into_iter().chain(flags))
    };
    let members = [1, 2, 3].map(member);
    // The last word of each member: "… assigned racked[1]; revoked -; kept -; took …", or with what it kept.
    let part = |member: &Program| {
        let said = member.stderr();
        let last = said.lines().rfind(|line| line.contains(": assigned "))?;
        let (assigned, rest) = last.split_once(": assigned ")?.1.split_once("; revoked ")?;
        let kept = rest.split_once("; kept ")?.1.split_once("; took")?.0;
        let mut names = [assigned, kept].into_iter().filter(|names| *names != "-");
        let (name, is_only) = (names.next()?, names.next().is_none());
        let number = name.strip_prefix(&format!("{topic}["))?.strip_suffix(']')?;
        number.parse::<u32>().ok().filter(|_| is_only)
    };
    eventually("one partition for each, of its own rack", LIMIT, || {
        members.iter().map(part).collect::<Vec<_>>() == [Some(1), Some(2), Some(0)]
    });
}

#[test]
fn records_are_fetched_from_the_follower_in_the_clients_rack() {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, bootstrap) = (unique("followed"), kafka.bootstrap());
    // Node 1 leads; node 2 follows.
    let arguments = ["--create", "--topic", &topic, "--replica-assignment", "1:2:3"];
    let _ = kafka.tool("topics", &arguments, "").expect_code(0);
    let lines: String = (0..1000).map(|number| format!("{number}\n")).collect();
    let _ = kcat(&["-P", "-b", &bootstrap, "-t", &topic], lines.as_str()).expect_code(0);
    let arguments = ["-b", &bootstrap, "--no-group", &topic, "--exit", "--trace", "-X", "client.rack=rack-2"];
    let ended = run("kafka-consume", arguments, "", LIMIT).expect_code(0);
    assert_eq!(ended.stdout, lines);
    let is_fetch = |line: &&str| line.contains("api=Fetch ") && line.contains("(node 2)");
    assert!(ended.stderr.lines().any(|line| is_fetch(&line)), "{}", ended.stderr);
}
