//! Transactions from the command line, by what a reader of committed records sees, on the embedded broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::io::Write;
use std::time::Duration;

use kafka_dev::{ApiKey, Broker, Config, Fault, Handle, ResponseError};
use kafka_testkit::{Finished, Program, Terminal, eventually, run};

const LIMIT: Duration = Duration::from_secs(60);

fn broker() -> Handle {
    Broker::start(Config::in_memory().topic("t", 1)).unwrap()
}

fn produce(broker: &Handle, arguments: &[&str], input: &[u8]) -> Finished {
    let bootstrap = broker.bootstrap();
    run("kafka-produce", [arguments, &["-b", &bootstrap]].concat(), input, LIMIT)
}

/// What a reader of committed records sees of the topic `t`.
fn committed(broker: &Handle) -> String {
    let bootstrap = broker.bootstrap();
    let flags = ["t", "--no-group", "--exit", "-X", "isolation.level=read_committed", "-f", r"%v\n"];
    run("kafka-consume", [&flags[..], &["-b", &bootstrap]].concat(), b"", LIMIT).expect_code(0).stdout
}

#[test]
fn a_transaction_is_committed_whole_or_not_at_all() {
    let broker = broker();
    for id in [["--transactional-id", "x-1"], ["-X", "transactional.id=x-1"]] {
        let flags = [&["t", "--raw"][..], &id].concat();
        let done = produce(&broker, &flags, b"a\nb\n").expect_code(0);
        assert!(done.stderr.contains("committed 2 records to t: [0] 2"), "{}", done.stderr);
        let flags = [&["t", "--raw", "-K", ":"][..], &id].concat();
        let aborted = produce(&broker, &flags, b"k:v\nwrong\n").expect_code(1);
        assert!(aborted.stderr.contains("the transaction was aborted"), "{}", aborted.stderr);
        assert!(
            aborted.stderr.contains("committed 0 records to t\naborted: 1 record,"),
            "{}",
            aborted.stderr
        );
    }
    assert_eq!(broker.records("t", 0).unwrap().len(), 6);
    assert_eq!(committed(&broker), "a\nb\na\nb\n");
}

#[test]
fn a_long_input_is_committed_piece_by_piece() {
    let broker = broker();
    for id in [["--transactional-id", "x-1"], ["-X", "transactional.id=x-1"]] {
        let flags = [&["t", "--raw", "--commit-every", "2"][..], &id].concat();
        let _ = produce(&broker, &flags, b"a\nb\nc\nd\ne\n").expect_code(0);
    }
    assert_eq!(committed(&broker), "a\nb\nc\nd\ne\n".repeat(2));
    let nameless = produce(&broker, &["t", "--raw", "--commit-every", "2"], b"a\n").expect_code(2);
    assert!(nameless.stderr.contains("--transactional-id"), "{}", nameless.stderr);
}

fn start_committing(broker: &Handle) -> Program {
    let (id, bootstrap) = (["--transactional-id", "x-1"], broker.bootstrap());
    let flags = ["t", "--raw", "--commit-every", "50ms", "-b", &bootstrap];
    Program::start("kafka-produce", [&flags[..], &id].concat())
}

#[test]
fn records_are_committed_in_time_while_no_more_input_comes() {
    let broker = broker();
    let mut program = start_committing(&broker);
    program.write("a\n");
    eventually("the record is visible", LIMIT, || committed(&broker) == "a\n");
    assert!(program.is_running());
    let _ = program.finish_with_input("b\n", LIMIT).expect_code(0);
    assert_eq!(committed(&broker), "a\nb\n");
}

#[test]
fn a_commit_that_fails_ends_the_run_though_no_more_input_comes() {
    let broker = broker();
    broker.faults().on(ApiKey::EndTxn).always().then(Fault::Error(ResponseError::ProducerFenced));
    let mut program = start_committing(&broker);
    let mut stdin = program.take_stdin();
    stdin.write_all(b"a\n").unwrap();
    let done = program.finish(LIMIT).expect_code(1);
    drop(stdin);
    assert!(done.stderr.contains("PRODUCER_FENCED"), "{}", done.stderr);
    assert!(done.stderr.contains("committed 0 records"), "{}", done.stderr);
    assert!(done.stderr.contains("not known to be committed: 1 record"), "{}", done.stderr);
    assert_eq!(committed(&broker), "");
}

#[test]
fn every_line_at_the_prompt_is_a_transaction() {
    let (broker, home) = (broker(), tempfile::tempdir().unwrap());
    let (bootstrap, state) = (broker.bootstrap(), home.path().to_str().unwrap());
    let flags = ["t", "--raw", "--transactional-id", "x-1", "-b", &bootstrap];
    let mut terminal = Terminal::start("kafka-produce", flags, &[("XDG_STATE_HOME", state)]);
    terminal.expect(">", LIMIT);
    for (line, seen) in [("one", "one\n"), ("two", "one\ntwo\n")] {
        terminal.type_line(line);
        eventually("the line is visible", LIMIT, || committed(&broker) == seen);
    }
    terminal.control_d();
    assert_eq!(terminal.finish(LIMIT), Some(0));
}
