//! kafka-consume as a program, against the embedded broker; what is read was written by kcat.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_dev::{Broker, Config, Handle};
use kafka_testkit::{Finished, Program, Signal, binary, kcat, run, skip_without_kcat};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
/// A clean end takes a second; the rest is for a loaded machine.
const CLEAN_END: Duration = Duration::from_secs(10);

fn broker() -> Handle {
    Broker::start(Config::in_memory().topic("rider-updates", 2).topic("t", 3)).unwrap()
}

/// Writes lines to one partition.
fn write(broker: &Handle, topic: &str, partition: i32, lines: &str, more: &[&str]) {
    let (servers, partition) = (broker.bootstrap(), partition.to_string());
    let mut arguments = vec!["-P", "-b", &servers, "-t", topic, "-p", &partition];
    arguments.extend_from_slice(more);
    let _ = kcat(&arguments, lines).expect_code(0);
}

fn consume(broker: &Handle, arguments: &[&str]) -> Finished {
    let servers = broker.bootstrap();
    run("kafka-consume", ["-b", &servers].into_iter().chain(arguments.iter().copied()), "", LIMIT)
}

fn member(broker: &Handle, arguments: &[&str]) -> Program {
    let servers = broker.bootstrap();
    Program::start("kafka-consume", ["-b", &servers].into_iter().chain(arguments.iter().copied()))
}

fn end(program: Program, signal: Signal) -> Finished {
    program.signal(signal);
    program.finish(CLEAN_END)
}

#[test]
fn the_tutorials_line_appears_at_once_and_a_restart_goes_on_where_the_group_stood() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    write(&broker, "rider-updates", 0, "{\"name\":\"tony\",\"location\":\"north\"}\n", &[]);
    let line = "user-1: [rider-updates]: PART:0: {\"name\":\"tony\",\"location\":\"north\"}\n";
    let mut first = member(&broker, &["user-1"]);
    first.wait_stdout(LIMIT, |out| out == line);
    first.wait_stderr(LIMIT, |err| err.contains("assigned rider-updates[0-1]"));
    let _ = end(first, Signal::Interrupt).expect_code(0);

    write(&broker, "rider-updates", 1, "south\n", &[]);
    let mut again = member(&broker, &["user-1"]);
    again.wait_stdout(LIMIT, |out| !out.is_empty());
    let finished = end(again, Signal::Terminate).expect_code(0);
    assert_eq!(finished.stdout, "user-1: [rider-updates]: PART:1: south\n");
}

#[test]
fn a_topic_that_does_not_exist_ends_with_4_names_its_neighbour_and_is_not_created() {
    let broker = broker();
    for arguments in [&["g", "rider-update"][..], &["--no-group", "rider-update"]] {
        let finished = consume(&broker, arguments).expect_code(4);
        assert!(finished.stderr.contains("rider-updates"), "{}", finished.stderr);
    }
    let again = consume(&broker, &["--no-group", "rider-update"]).expect_code(4);
    assert!(again.stdout.is_empty());
}

#[test]
fn places_ranges_and_partitions_say_what_is_read() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    let lines: String = (0..10).map(|n| format!("v{n}\n")).collect();
    write(&broker, "t", 0, &lines, &[]);
    write(&broker, "t", 2, "other\n", &[]);
    let read = |arguments: &[&str]| {
        let all = [&["--no-group", "t", "-p", "0", "--exit", "-f", "%o "], arguments].concat();
        consume(&broker, &all).expect_code(0).stdout
    };
    assert_eq!(read(&[]), "0 1 2 3 4 5 6 7 8 9 ");
    assert_eq!(read(&["-o", "7"]), "7 8 9 ");
    assert_eq!(read(&["-o", "-2"]), "8 9 ");
    assert_eq!(read(&["-o", "+8"]), "8 9 ");
    assert_eq!(read(&["-o", "3:5"]), "3 4 ");
    assert_eq!(read(&["--until", "2"]), "0 1 ");
    assert_eq!(read(&["-o", "latest"]), "");
    assert_eq!(read(&["-c", "3"]), "0 1 2 ");
    assert_eq!(read(&["-o", "@-1h"]), "0 1 2 3 4 5 6 7 8 9 ");
    let both = consume(&broker, &["--no-group", "t", "-p", "0-2", "-o", "-1", "--exit", "-f", "%p@%o\n"]);
    let mut both: Vec<_> = both.expect_code(0).stdout.lines().map(str::to_owned).collect();
    both.sort();
    assert_eq!(both, ["0@9", "2@0"]);
    let _ = consume(&broker, &["--no-group", "t", "-p", "9", "--exit"]).expect_code(4);
}

#[test]
fn the_tail_is_in_the_order_of_times_over_all_partitions() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    for (partition, line) in [(0, "first\n"), (1, "second\n"), (0, "third\n"), (2, "fourth\n")] {
        write(&broker, "t", partition, line, &[]);
    }
    let finished = consume(&broker, &["--tail", "3", "t"]).expect_code(0);
    assert_eq!(finished.stdout, "second\nthird\nfourth\n");
}

#[test]
fn json_keeps_nulls_duplicate_headers_and_bytes_apart() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    write(&broker, "t", 0, "k:v\n", &["-K:", "-H", "a=1", "-H", "a=2"]);
    write(&broker, "t", 0, "k:\n", &["-K:", "-Z"]);
    let finished = consume(&broker, &["--no-group", "t", "--exit", "--output", "json"]).expect_code(0);
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", finished.stdout);
    assert!(lines[0].contains(r#""key":"k","value":"v","headers":[["a","1"],["a","2"]]"#), "{}", lines[0]);
    assert!(lines[1].contains(r#""key":"k","value":null"#), "{}", lines[1]);
}

#[test]
fn filters_choose_what_is_written() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    write(&broker, "t", 0, "a:apple\nb:banana\nb:cherry\n", &["-K:"]);
    let read = |arguments: &[&str]| {
        consume(&broker, &[&["--no-group", "t", "--exit"], arguments].concat()).expect_code(0).stdout
    };
    assert_eq!(read(&["--grep", "an+a"]), "banana\n");
    assert_eq!(read(&["--key", "b"]), "banana\ncherry\n");
    assert_eq!(read(&["--header", "none"]), "");
    assert_eq!(read(&["--since", "-1h", "--grep", "^a"]), "apple\n");
}

#[test]
fn every_codec_that_kcat_writes_is_read() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    let line = "the same line again ".repeat(20) + "\n";
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        write(&broker, "t", 1, &line.repeat(50), &["-z", codec]);
    }
    let finished = consume(&broker, &["--no-group", "t", "--exit"]).expect_code(0);
    assert_eq!(finished.stdout, line.repeat(250));
}

#[test]
fn a_pipe_that_nobody_reads_any_more_is_a_normal_end_and_only_what_was_written_is_committed() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    write(&broker, "t", 0, "one\ntwo\nthree\nfour\n", &[]);
    let mut command = Command::new("sh");
    let consume = format!(
        "{} -b {} piped t -f '%v\\n'; echo \"code $?\" >&2",
        binary("kafka-consume").display(),
        broker.bootstrap()
    );
    command.arg("-c").arg(format!("({consume}) | head -n 1"));
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(started.elapsed() < LIMIT);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("code 0"), "{output:?}");
}

#[test]
fn a_member_that_is_killed_skips_nothing() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    let lines: String = (0..5_000).map(|n| format!("{n}\n")).collect();
    write(&broker, "t", 0, &lines, &[]);
    let arguments =
        ["killed", "t", "-f", "%v\n", "-X", "session.timeout.ms=6000", "-X", "auto.commit.interval.ms=1"];
    let mut first = member(&broker, &arguments);
    first.wait_stdout(LIMIT, |out| !out.is_empty());
    first.signal(Signal::Kill);
    let seen = first.finish(CLEAN_END).stdout;
    // One more, since the first member may have written and committed everything before it died.
    write(&broker, "t", 0, "5000\n", &[]);
    let mut second = member(&broker, &arguments);
    second.wait_stdout(LIMIT, |out| out.ends_with("5000\n"));
    let all = seen + &end(second, Signal::Terminate).expect_code(0).stdout;
    let read: std::collections::BTreeSet<u32> = all.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(read.len(), 5_001);
}

#[test]
fn two_members_share_and_the_one_that_stays_takes_over() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    let mut first = member(&broker, &["shared"]);
    first.wait_stderr(LIMIT, |err| err.contains("assigned rider-updates[0-1]"));
    let mut second = member(&broker, &["shared"]);
    second.wait_stderr(LIMIT, |err| {
        err.contains("assigned rider-updates[0]") || err.contains("assigned rider-updates[1]")
    });
    write(&broker, "rider-updates", 0, "north\n", &[]);
    write(&broker, "rider-updates", 1, "south\n", &[]);
    first.wait_stdout(LIMIT, |out| !out.is_empty());
    second.wait_stdout(LIMIT, |out| !out.is_empty());
    let gone = end(second, Signal::Terminate).expect_code(0);
    write(&broker, "rider-updates", 0, "north again\n", &[]);
    write(&broker, "rider-updates", 1, "south again\n", &[]);
    first.wait_stdout(LIMIT, |out| out.contains("north again") && out.contains("south again"));
    let stayed = end(first, Signal::Terminate).expect_code(0);
    let mut all: Vec<_> = gone.stdout.lines().chain(stayed.stdout.lines()).collect();
    all.sort_unstable();
    let line = |partition, value| format!("shared: [rider-updates]: PART:{partition}: {value}");
    assert_eq!(all, [line(0, "north"), line(0, "north again"), line(1, "south"), line(1, "south again")]);
}

#[test]
fn a_group_begins_where_it_committed_and_says_so_when_asked_for_an_offset() {
    let finished = consume(&broker(), &["g", "-o", "42"]).expect_code(2);
    assert!(finished.stderr.contains("reset-offsets"), "{}", finished.stderr);
}

#[test]
fn the_ends_of_transactions_are_shown_on_request_only() {
    let broker = broker();
    let servers = broker.bootstrap();
    let flags = ["-b", &servers, "t", "--raw", "-p", "0", "--transactional-id", "id", "--commit-every", "2"];
    let _ = run("kafka-produce", flags, "1\n2\n3\n", LIMIT).expect_code(0);
    let flags = ["--no-group", "t", "--exit", "-f", "%o %k=%v\\n"];
    assert_eq!(consume(&broker, &flags).expect_code(0).stdout, "0 =1\n1 =2\n3 =3\n");
    let with_ends = consume(&broker, &[&flags[..], &["--control-records"]].concat()).expect_code(0);
    assert_eq!(with_ends.stdout, "0 =1\n1 =2\n2 COMMIT=\n3 =3\n4 COMMIT=\n");
}

#[test]
fn the_form_of_the_output_in_the_place_of_an_offset_is_told_its_flag() {
    let broker = broker();
    let finished = consume(&broker, &["--no-group", "t", "-o", "json"]).expect_code(2);
    assert!(finished.stderr.contains("hint: --output json "), "{}", finished.stderr);
}

#[test]
fn with_json_what_is_said_is_json_too_with_the_fields_of_each_event() {
    let broker = broker();
    let _ = run("kafka-produce", ["-b", &broker.bootstrap(), "t", "--raw", "-p", "1"], "1\n2\n", LIMIT)
        .expect_code(0);
    let mut reader = member(&broker, &["g", "t", "--output", "jsonl", "-v"]);
    reader.wait_stdout(LIMIT, |out| out.lines().count() == 2);
    let said = end(reader, Signal::Terminate).expect_code(0).stderr;
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let event =
        |name: &str| events.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("{said}"));
    let rebalance = event("rebalance");
    assert_eq!((&rebalance["group"], &rebalance["members"]), (&json!("g"), &json!(1)));
    let places = [0, 1, 2].map(|partition| json!({"topic": "t", "partition": partition}));
    assert_eq!(rebalance["assigned"], json!(places));
    assert!(rebalance["text"].as_str().unwrap().starts_with("g: "), "{said}");
    assert_eq!(event("commit")["offsets"], json!([{"topic": "t", "partition": 1, "offset": 2}]));
    let stats = event("stats");
    assert_eq!((&stats["records"], &stats["lag"]), (&json!(2), &json!(0)));
    assert!(stats["heartbeats"].as_u64().unwrap() > 0, "{said}");
    assert_eq!(stats["commits"], json!(1), "the last one, on leaving, counts: {said}");
}
