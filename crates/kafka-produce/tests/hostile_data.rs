//! Input that nobody wants to meet, outputs that cannot be written, and signals at any moment, on the embedded broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![cfg(unix)]

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use kafka_dev::{ApiKey, Broker, Config, Fault, Handle};
use kafka_testkit::{Finished, Program, Signal, binary, eventually, run};

const LIMIT: Duration = Duration::from_secs(60);
/// Address space of the program that gets a line of 100 MB: far less than two copies of it.
const MEMORY_KIB: u32 = 180 * 1024;

fn broker() -> Handle {
    Broker::start(Config::in_memory().topic("t", 1)).unwrap()
}

fn produce(broker: &Handle, arguments: &[&str], input: &[u8]) -> Finished {
    let bootstrap = broker.bootstrap();
    run("kafka-produce", [&["t", "--raw", "-b", &bootstrap], arguments].concat(), input, LIMIT)
}

/// Runs a line of bash in which `"$0" "$@"` is kafka-produce with the topic and these arguments.
fn produce_in_bash(broker: &Handle, line: &str, arguments: &[&str], input: &[u8]) -> Finished {
    let mut command = Command::new("bash");
    command.args(["-c", line]).arg(binary("kafka-produce")).args(["t", "--raw", "-b", &broker.bootstrap()]);
    command.args(arguments).env("MALLOC_ARENA_MAX", "2");
    Program::start_command(command).finish_with_input(input, LIMIT)
}

fn values(broker: &Handle) -> Vec<Vec<u8>> {
    let records = broker.records("t", 0).unwrap();
    records.into_iter().map(|record| record.value.map(|value| value.to_vec()).unwrap()).collect()
}

#[test]
fn a_line_of_a_hundred_megabytes_is_named_and_takes_no_memory() {
    let broker = broker();
    let input = [b"a\n", &vec![b'x'; 100_000_000][..], b"\nb\n"].concat();
    let limited = format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\"");
    let done = produce_in_bash(&broker, &limited, &[], &input).expect_code(1);
    assert!(done.stderr.contains("line 2: too long for a record"), "{}", done.stderr);
    assert!(done.stderr.contains("not read: 1 line\n"), "{}", done.stderr);
    assert_eq!(values(&broker), [b"a", b"b"]);
}

#[test]
fn bytes_of_every_kind_arrive_as_they_are() {
    let broker = broker();
    let _ = produce(&broker, &[], b"nul \0 byte\n\xff\xfe\n\n\x1b[2J\r\nno end").expect_code(0);
    assert_eq!(values(&broker), [&b"nul \0 byte"[..], b"\xff\xfe", b"", b"\x1b[2J\r", b"no end"]);
}

#[test]
fn escapes_in_a_line_never_reach_the_terminal() {
    let broker = broker();
    broker.faults().on(ApiKey::Produce).always().then(Fault::CloseConnection);
    let limits = ["-X", "delivery.timeout.ms=800", "-X", "request.timeout.ms=400"];
    let done = produce(&broker, &limits, b"\x1b[2J\x1b]0;owned\x07\n").expect_code(1);
    assert!(done.stderr.contains("owned") && !done.stderr.contains('\x1b'), "{:?}", done.stderr);
}

#[test]
fn input_that_is_no_file_ends_with_1_and_its_name() {
    let broker = broker();
    let folder = produce_in_bash(&broker, "exec \"$0\" \"$@\" < /", &[], b"").expect_code(1);
    assert!(folder.stderr.contains("reading stdin: Is a directory"), "{}", folder.stderr);
    let missing = produce(&broker, &["--file", "-", "/no/such/file"], b"a\n").expect_code(1);
    assert!(missing.stderr.contains("/no/such/file: No such file"), "{}", missing.stderr);
    assert!(values(&broker).is_empty(), "it is known before anything is read");
}

#[test]
fn named_pipes_are_read_as_files_are() {
    let (broker, folder) = (broker(), tempfile::tempdir().unwrap());
    let pipe = folder.path().join("pipe");
    let fed = format!("mkfifo {0}; echo a > {0} & exec \"$0\" \"$@\"", pipe.display());
    let _ = produce_in_bash(&broker, &fed, &["--file", pipe.to_str().unwrap()], b"").expect_code(0);
    assert_eq!(values(&broker), [b"a"]);
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_and_everything_is_sent() {
    let broker = broker();
    let full = produce_in_bash(&broker, "exec \"$0\" \"$@\" > /dev/full", &["-o", "json"], b"a\n");
    assert!(full.expect_code(1).stderr.contains("writing to stdout: No space left"));
    let _ = produce_in_bash(&broker, "exec \"$0\" \"$@\" 2> /dev/full", &["-v"], b"b\n").expect_code(0);
    assert_eq!(values(&broker), [b"a", b"b"]);
}

#[test]
fn a_reader_of_the_report_who_leaves_does_not_change_what_the_exit_code_says() {
    let broker = broker();
    let piped = "\"$0\" \"$@\" | true; exit ${PIPESTATUS[0]}";
    let lines = "line\n".repeat(20_000);
    let done = produce_in_bash(&broker, piped, &["-o", "json"], lines.as_bytes()).expect_code(0);
    assert!(done.stderr.contains("sent 20000 records"), "{}", done.stderr);
    let long = format!("{lines}{}\n", "x".repeat(5000));
    let flags = ["-o", "json", "-X", "max.request.size=3000"];
    let failed = produce_in_bash(&broker, piped, &flags, long.as_bytes()).expect_code(1);
    assert!(failed.stderr.contains("line 20001: the record takes"), "{}", failed.stderr);
    let teed = produce_in_bash(&broker, piped, &["--tee"], lines.as_bytes()).expect_code(1);
    assert!(teed.stderr.contains("stopped behind line "), "{}", teed.stderr);
}

#[test]
fn a_signal_at_any_moment_ends_with_all_that_was_taken_sent_and_counted() {
    for (round, signal) in [Signal::Interrupt, Signal::Terminate].into_iter().cycle().take(8).enumerate() {
        let broker = broker();
        let mut program = Program::start("kafka-produce", ["t", "--raw", "-b", &broker.bootstrap()]);
        let mut stdin = program.take_stdin();
        let writer = std::thread::spawn(move || {
            // The producer leaves while we write.
            let _ = (0..).try_for_each(|number| writeln!(stdin, "line {number}"));
        });
        // Each round at another point of the run.
        eventually("enough was sent", LIMIT, || values(&broker).len() > round * 500);
        program.signal(signal);
        let done = program.finish(LIMIT).expect_code(0);
        writer.join().unwrap();
        let stored = values(&broker);
        let expected: Vec<_> =
            (0..stored.len()).map(|number| format!("line {number}").into_bytes()).collect();
        assert!(stored == expected, "what is there is the beginning of the input, each line once");
        let said = format!("sent {} record", stored.len());
        assert!(done.stderr.contains(&said), "{said}: {}", done.stderr);
    }
}

#[test]
fn a_second_signal_ends_at_once_what_waits_for_an_answer_that_never_comes() {
    let broker = broker();
    broker.faults().on(ApiKey::Produce).always().then(Fault::NeverAnswer);
    let mut program = Program::start("kafka-produce", ["t", "--raw", "-b", &broker.bootstrap()]);
    program.write("a\n");
    eventually("a request that nobody answers", LIMIT, || broker.faults().hits() > 0);
    eventually("the end", LIMIT, || {
        if program.is_running() {
            program.signal(Signal::Interrupt);
        }
        !program.is_running()
    });
    let _ = program.finish(LIMIT).expect_code(130);
}
