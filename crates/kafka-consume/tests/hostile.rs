//! kafka-consume where it meets ill will or bad luck: brokers that lie, bytes that would play tricks on a terminal, huge
//! records, a full disk, Ctrl-C at any moment.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![cfg(unix)]

use std::fs::File;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use kafka_dev::{Broker, Config, Handle};
use kafka_testkit::ordeal::survive_all;
use kafka_testkit::{Program, RealKafka, Signal, Terminal, binary, kcat, run, skip_without_kcat, unique};

const LIMIT: Duration = Duration::from_secs(60);
/// What a loaded machine may take on top of `--timeout`.
const SLACK: Duration = Duration::from_secs(4);

fn names_every_lie(arguments: &[&str]) {
    survive_all("kafka-consume", arguments, SLACK, |words, finished, shown| {
        assert!(finished.code != Some(0), "{shown}");
        // What silence is, the time limit says.
        let is_named =
            |words: &str| finished.stderr.contains(words) || finished.stderr.contains("took longer than 1s");
        assert!(words.is_none_or(is_named), "{words:?} is not named: {shown}");
        assert!(finished.stdout.is_empty(), "{shown}");
    });
}

#[test]
fn every_lie_ends_in_time_and_is_named_without_a_group() {
    names_every_lie(&["--no-group", "t", "--exit"]);
}

#[test]
fn every_lie_ends_in_time_and_is_named_with_a_group() {
    names_every_lie(&["g", "t"]);
}

fn broker() -> Handle {
    Broker::start(Config::in_memory().topic("t", 1)).unwrap()
}

fn write(servers: &str, topic: &str, input: impl Into<Vec<u8>>, more: &[&str]) {
    let flags = [&["-P", "-b", servers, "-t", topic, "-p", "0"], more].concat();
    let _ = kcat(&flags, input).expect_code(0);
}

#[test]
fn no_byte_of_a_record_plays_tricks_on_a_terminal_and_a_pipe_gets_all_of_them() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    let servers = broker.bootstrap();
    // A title, a cleared screen, a bell, a NUL, bytes that are no UTF-8, and CSI as a single character.
    let tricks = b"start \x1b]0;title\x07 \x1b[2J \x00 \xff\xfe \xc2\x9b31m end\n";
    write(&servers, "t", &tricks[..], &[]);
    for form in
        [&[][..], &["-f", "%k %v %h\\n"], &["--output", "json"], &["--output", "hex"], &["--output", "line"]]
    {
        let arguments = [&["-b", &servers, "--no-group", "t", "--exit", "-q"], form].concat();
        let mut terminal = Terminal::start("kafka-consume", &arguments, &[]);
        assert_eq!(terminal.finish(LIMIT), Some(0), "{form:?}: {}", terminal.screen());
        let raw = terminal.raw();
        let is_harmless = |byte: &u8| matches!(byte, b'\r' | b'\n' | b' '..=b'~' | 0xa0..);
        let text = String::from_utf8_lossy(&raw);
        assert!(raw.iter().all(|byte| is_harmless(byte) || *byte >= 0x80), "{form:?}: {raw:?}");
        assert!(!text.contains('\u{9b}'), "{form:?}: {text:?}");
    }
    let mut piped = Command::new(binary("kafka-consume"));
    piped.args(["-b", &servers, "--no-group", "t", "--exit"]);
    assert_eq!(piped.output().unwrap().stdout, tricks);
}

#[test]
fn a_record_of_50_megabytes_is_read_whole() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let (topic, servers) = (unique("huge"), kafka.bootstrap());
    kafka.create_topic(&topic, 1, &["--config", "max.message.bytes=70000000"]);
    let value = b"0123456789abcdef".repeat(50_000_000 / 16);
    // A file is one record; kcat takes minutes over a line of that length.
    let file = std::env::temp_dir().join(&topic);
    std::fs::write(&file, &value).unwrap();
    let path = file.to_str().expect("a path of ASCII");
    write(&servers, &topic, "", &["-X", "message.max.bytes=60000000", path]);
    std::fs::remove_file(&file).unwrap();
    write(&servers, &topic, "a small one\n", &[]);
    let mut consume = Command::new(binary("kafka-consume"));
    consume.args(["-b", &servers, "--no-group", &topic, "--exit"]);
    let output = consume.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = [&value[..], b"\na small one\n"].concat();
    assert!(output.stdout == expected, "{} bytes came", output.stdout.len());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_nothing_that_was_not_written_is_committed() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    let servers = broker.bootstrap();
    write(&servers, "t", "one\ntwo\n", &[]);
    let mut consume = Command::new(binary("kafka-consume"));
    consume
        .args(["-b", &servers, "full", "t"])
        .stdout(File::options().write(true).open("/dev/full").unwrap());
    let output = consume.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    let again = run("kafka-consume", ["-b", &servers, "full", "t", "--exit", "--output", "raw"], "", LIMIT);
    assert_eq!(again.expect_code(0).stdout, "one\ntwo\n");
}

#[test]
fn an_interrupt_at_any_moment_ends_it_soon_and_skips_nothing() {
    if skip_without_kcat() {
        return;
    }
    let broker = broker();
    let servers = broker.bootstrap();
    let lines: String = (0..2000).map(|number| format!("{number}\n")).collect();
    write(&servers, "t", lines.as_str(), &[]);
    let mut all = String::new();
    for pause in (0..12).map(|round| Duration::from_millis(round * 12)) {
        let member = Program::start(
            "kafka-consume",
            ["-b", &servers, "interrupted", "t", "--output", "raw", "-c", "150"],
        );
        sleep(pause);
        member.signal(Signal::Interrupt);
        let ended = member.finish(Duration::from_secs(15));
        // Before it listens to signals, one ends it as it ends any program.
        assert!(matches!(ended.code, Some(0) | None), "after {pause:?}: {ended:?}");
        all.push_str(&ended.stdout);
    }
    all.push_str(
        &run("kafka-consume", ["-b", &servers, "interrupted", "t", "--output", "raw", "--exit"], "", LIMIT)
            .stdout,
    );
    assert_eq!(all, lines, "each once, in order");
}
