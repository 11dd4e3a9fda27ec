//! Members of both group protocols at the door of one group, on the embedded broker, which converts no group from one
//! protocol to the other (as Apache Kafka with `group.consumer.migration.policy=disabled`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use kafka_dev::{Broker, Config, Handle};
use kafka_testkit::{Program, Signal, eventually, run};

const LIMIT: Duration = Duration::from_secs(60);
const PROTOCOLS: [&str; 2] = ["classic", "consumer"];

fn broker() -> Handle {
    Broker::start(Config::in_memory().topic("t", 2)).unwrap()
}

/// A member of the group `g`, by the protocol that is given or else by the one it chooses itself.
fn member(broker: &Handle, protocol: Option<&str>) -> Program {
    let bootstrap = broker.bootstrap();
    let flags = ["-b", &bootstrap, "g", "t", "-f", "%v\\n"];
    let protocol = protocol.map(|protocol| ["--group-protocol", protocol]);
    Program::start("kafka-consume", flags.into_iter().chain(protocol.into_iter().flatten()))
}

/// Waits until the member says that it has joined.
fn joined(member: &mut Program) {
    member.wait_stderr(LIMIT, |said| said.contains(": assigned "));
}

fn send(broker: &Handle, lines: &str) {
    let _ = run("kafka-produce", ["-b", &broker.bootstrap(), "t", "-K", ":"], lines, LIMIT).expect_code(0);
}

#[test]
fn a_member_that_has_the_choice_shares_the_group_whichever_protocol_it_has() {
    for protocol in PROTOCOLS {
        let broker = broker();
        let mut first = member(&broker, Some(protocol));
        joined(&mut first);
        let second = member(&broker, None);
        eventually("a part for the second one", LIMIT, || second.stderr().contains(" of 2: assigned t["));
        // With two partitions the key north goes to 0, south to 1.
        send(&broker, "north:a\nsouth:b\n");
        let read = || [first.stdout(), second.stdout()];
        eventually("one record for each", LIMIT, || {
            let mut read = read();
            read.sort();
            read == ["a\n", "b\n"]
        });
        for member in [first, second] {
            member.signal(Signal::Terminate);
            let _ = member.finish(LIMIT).expect_code(0);
        }
    }
}

#[test]
fn a_member_that_insists_on_the_other_protocol_is_refused_by_name_and_the_group_goes_on() {
    for (there, comes, code, words) in [
        ("classic", "consumer", 4, "Group g is not a consumer group."),
        ("consumer", "classic", 1, "INCONSISTENT_GROUP_PROTOCOL"),
    ] {
        let broker = broker();
        let mut first = member(&broker, Some(there));
        joined(&mut first);
        let refused = member(&broker, Some(comes)).finish(LIMIT).expect_code(code);
        let is_named = refused.stderr.contains("group g: ") && refused.stderr.contains(words);
        assert!(is_named, "{comes} to {there}: {}", refused.stderr);
        send(&broker, "north:a\nsouth:b\n");
        first.wait_stdout(LIMIT, |out| out.lines().count() == 2);
        first.signal(Signal::Terminate);
        let _ = first.finish(LIMIT).expect_code(0);
        // Nobody is in the group any more: it can be of the other kind.
        let mut later = member(&broker, Some(comes));
        joined(&mut later);
        send(&broker, "north:c\n");
        later.wait_stdout(LIMIT, |out| out == "c\n");
    }
}
