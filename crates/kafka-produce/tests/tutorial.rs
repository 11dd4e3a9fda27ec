//! The tutorial's use, as a person and a pipe have it, on the embedded broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::time::Duration;

use kafka_dev::{Broker, Config, Handle, Record};
use kafka_testkit::{Finished, Program, Signal, Terminal, run};

const LIMIT: Duration = Duration::from_secs(30);
const TOPIC: &str = "rider-updates";

fn broker() -> Handle {
    Broker::start(Config::in_memory().topic(TOPIC, 2)).unwrap()
}

fn produce(broker: &Handle, arguments: &[&str], input: &str) -> Finished {
    let bootstrap = broker.bootstrap();
    run("kafka-produce", [&["-b", &bootstrap], arguments].concat(), input, LIMIT)
}

fn stored(broker: &Handle, topic: &str, partition: i32) -> Vec<Record> {
    broker.records(topic, partition).unwrap()
}

fn text(bytes: Option<&[u8]>) -> &str {
    std::str::from_utf8(bytes.unwrap()).unwrap()
}

fn values(broker: &Handle, partition: i32) -> Vec<String> {
    let records = stored(broker, TOPIC, partition);
    records.iter().map(|record| text(record.value.as_deref()).to_owned()).collect()
}

/// A prompt whose history is in a folder of its own.
fn prompt(broker: &Handle, home: &tempfile::TempDir, arguments: &[&str]) -> Terminal {
    let bootstrap = broker.bootstrap();
    let state = home.path().to_str().unwrap();
    let terminal = Terminal::start(
        "kafka-produce",
        [&["-b", &bootstrap], arguments].concat(),
        &[("XDG_STATE_HOME", state)],
    );
    terminal.expect(">", LIMIT);
    terminal
}

#[test]
fn piped_lines_become_the_tutorials_records_byte_for_byte() {
    let broker = broker();
    let done = produce(&broker, &[], "tony north\nTom South\nana NORTH\nmax \"x\"").expect_code(0);
    assert_eq!(
        values(&broker, 0),
        [r#"{"name":"tony","location":"north"}"#, r#"{"name":"ana","location":"NORTH"}"#]
    );
    assert_eq!(
        values(&broker, 1),
        [r#"{"name":"Tom","location":"South"}"#, r#"{"name":"max","location":"\"x\""}"#]
    );
    assert!(stored(&broker, TOPIC, 0).iter().all(|record| text(record.key.as_deref()) == "location-update"));
    assert_eq!(done.stdout, "", "stdout is for data that was asked for");
    assert_eq!(done.stderr, "sent 4 records to rider-updates: [0] 2, [1] 2\n");
}

#[test]
fn lines_that_cannot_be_read_are_named_and_the_others_are_sent() {
    let broker = broker();
    let done = produce(&broker, &[], "tony\n\nana north\na b c\n").expect_code(1);
    assert_eq!(values(&broker, 0).len(), 1);
    assert!(done.stderr.contains("line 1: one word where 2 are needed"), "{}", done.stderr);
    assert!(done.stderr.contains("line 4: 3 words"), "{}", done.stderr);
    assert!(done.stderr.contains("sent 1 record "), "{}", done.stderr);
}

#[test]
fn a_mistyped_topic_ends_with_4_and_the_name_that_was_meant_and_is_not_created() {
    let broker = broker();
    let done = produce(&broker, &["rider-update"], "tony north\n").expect_code(4);
    assert!(done.stderr.contains("did you mean rider-updates?"), "{}", done.stderr);
    assert!(broker.records("rider-update", 0).is_err());
    let _ = produce(&broker, &["rider-update", "--allow-create"], "tony west\n").expect_code(0);
    assert_eq!(stored(&broker, "rider-update", 1).len(), 1);
}

#[test]
fn no_broker_ends_with_3_soon() {
    let done = run("kafka-produce", ["-b", "127.0.0.1:1", "--timeout", "1s"], "tony north\n", LIMIT);
    assert!(done.expect_code(3).stderr.contains("127.0.0.1:1"));
}

#[test]
fn a_typed_line_is_acknowledged_above_the_line_that_is_being_typed() {
    let (broker, home) = (broker(), tempfile::tempdir().unwrap());
    let mut terminal = prompt(&broker, &home, &[]);
    terminal.type_line("tony north");
    terminal.expect("rider-updates[0] @0", LIMIT);
    terminal.type_line("tony south");
    terminal.expect("rider-updates[1] @0", LIMIT);
    terminal.type_line("tony");
    terminal.expect("a line is name location, for example: tony north", LIMIT);
    terminal.type_line("maria North");
    terminal.expect("rider-updates[0] @1", LIMIT);
    terminal.control_d();
    terminal.expect("sent 3 records to rider-updates: [0] 2, [1] 1", LIMIT);
    assert_eq!(terminal.finish(LIMIT), Some(0));
    assert_eq!(values(&broker, 0)[1], r#"{"name":"maria","location":"North"}"#);
}

#[test]
fn everything_typed_ahead_is_sent_and_every_acknowledgement_shown_before_the_end() {
    let (broker, home) = (broker(), tempfile::tempdir().unwrap());
    let mut terminal = prompt(&broker, &home, &[]);
    terminal.type_text("a north\rb north\rc north\rd south\r\x04");
    assert_eq!(terminal.finish(LIMIT), Some(0));
    terminal.expect("sent 4 records", LIMIT);
    let screen = terminal.screen();
    for place in ["rider-updates[0] @0", "rider-updates[0] @1", "rider-updates[0] @2", "rider-updates[1] @0"]
    {
        assert!(screen.contains(place), "{place} is not on the screen:\n{screen}");
    }
}

#[test]
fn control_c_at_the_prompt_ends_it_as_control_d_does() {
    let (broker, home) = (broker(), tempfile::tempdir().unwrap());
    let mut terminal = prompt(&broker, &home, &[]);
    terminal.type_line("tony north");
    terminal.control_c();
    assert_eq!(terminal.finish(LIMIT), Some(0));
    terminal.expect("sent 1 record to", LIMIT);
    assert_eq!(values(&broker, 0).len(), 1);
}

#[test]
fn a_signal_ends_the_prompt_with_everything_sent_and_the_terminal_as_it_was() {
    let (broker, home) = (broker(), tempfile::tempdir().unwrap());
    let mut terminal = prompt(&broker, &home, &[]);
    terminal.type_line("tony north");
    terminal.expect("rider-updates[0] @0", LIMIT);
    terminal.signal(Signal::Terminate);
    assert_eq!(terminal.finish(LIMIT), Some(0));
    terminal.expect("sent 1 record to", LIMIT);
}

#[test]
fn a_signal_ends_a_pipe_that_stays_open_and_what_was_read_is_sent() {
    let broker = broker();
    let mut program = Program::start("kafka-produce", ["-b", &broker.bootstrap(), "-v"]);
    program.write("tony north\n");
    program.wait_stderr(LIMIT, |text| text.contains("rider-updates[0] @0"));
    let _stdin = program.take_stdin();
    program.signal(Signal::Interrupt);
    let done = program.finish(LIMIT).expect_code(0);
    assert!(done.stderr.contains("sent 1 record "), "{}", done.stderr);
}

#[test]
fn commands_at_the_prompt_change_where_records_go() {
    let (broker, home) = (broker(), tempfile::tempdir().unwrap());
    broker.create_topic("other", 3).unwrap();
    let mut terminal = prompt(&broker, &home, &[]);
    for line in ["/topic other", "/key k1", "/partition 2", "/header a=1", "tony north"] {
        terminal.type_line(line);
    }
    terminal.expect("other[2] @0", LIMIT);
    terminal.type_line("/topc x");
    terminal.expect("no command /topc", LIMIT);
    terminal.type_line("/help");
    terminal.expect("/partition N", LIMIT);
    terminal.control_d();
    assert_eq!(terminal.finish(LIMIT), Some(0));
    let record = &stored(&broker, "other", 2)[0];
    assert_eq!(text(record.key.as_deref()), "k1");
    assert_eq!(record.headers.len(), 1);
}

#[test]
fn history_is_kept_for_its_owner_only_and_without_secrets() {
    let (broker, home) = (broker(), tempfile::tempdir().unwrap());
    let mut terminal = prompt(&broker, &home, &[]);
    terminal.type_line("tony north");
    terminal.type_line("mypassword south");
    terminal.expect("rider-updates[1] @0", LIMIT);
    terminal.control_d();
    assert_eq!(terminal.finish(LIMIT), Some(0));
    let history = std::fs::read_to_string(home.path().join("kafka-produce/history")).unwrap();
    assert!(history.contains("tony north") && !history.contains("password"), "{history}");
    let mut again = prompt(&broker, &home, &[]);
    again.type_text("\x1b[A\r");
    again.expect("rider-updates[0] @1", LIMIT);
    again.type_text("to\t\r");
    again.expect("a line is name location", LIMIT);
    again.control_d();
    assert_eq!(again.finish(LIMIT), Some(0));
}
