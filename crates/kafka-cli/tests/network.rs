//! The tools on a hostile network: links that go dead, crawl or break, names that stand for several addresses and change
//! their meaning. They wait without spinning, say each cause once, and go on where they stood.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::{Duration, Instant};

use kafka_dev::{Broker, Config, Handle};
use kafka_testkit::{FaultProxy, Finished, Program, Rule, Signal, api, binary, eventually, run};

const LIMIT: Duration = Duration::from_secs(40);
/// How long a link stays dead; the tools wait meanwhile.
const DEAD: Duration = Duration::from_secs(3);
/// What a tool may use of the processor in that time.
const IDLE_CPU: Duration = Duration::from_millis(300);
/// What it may say in that time: each cause once (heartbeat, fetch, metadata, coordinator, connection).
const LINES: usize = 6;

/// A broker that clients reach through a link only.
fn behind_a_link() -> (Handle, FaultProxy) {
    let link = FaultProxy::without_target();
    let broker =
        Broker::start(Config::in_memory().advertise("127.0.0.1", link.port()).topic("t", 1)).unwrap();
    link.pass_to(broker.listening_port(1).unwrap());
    (broker, link)
}

fn start(tool: &str, link: &FaultProxy, arguments: &[&str]) -> Program {
    let flags = ["-b", link.bootstrap(), "-X", "request.timeout.ms=1000"];
    Program::start(tool, flags.iter().chain(arguments))
}

fn tool(tool: &str, link: &FaultProxy, arguments: &[&str], input: &str) -> Finished {
    start(tool, link, arguments).finish_with_input(input, LIMIT)
}

fn stored(broker: &Handle) -> Vec<String> {
    let text = |record: kafka_dev::Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    broker.records("t", 0).unwrap().into_iter().map(text).collect()
}

/// Lets a tool wait on whatever `breaks` does to its link: it neither spins nor floods.
fn waits_quietly(program: &mut Program, what: &str, breaks: impl FnOnce()) {
    let (used, said) = (program.cpu_time(), program.stderr().lines().count());
    breaks();
    let until = Instant::now() + DEAD;
    eventually(what, DEAD * 2, || Instant::now() >= until);
    assert!(program.is_running(), "{what}: {}", program.stderr());
    let (used, stderr) = (program.cpu_time() - used, program.stderr());
    assert!(used < IDLE_CPU, "{what}: it used {used:?} of the processor in {DEAD:?}");
    assert!(stderr.lines().count() <= said + LINES, "{what}: {stderr}");
}

#[test]
fn a_consumer_waits_quietly_on_dead_links_and_goes_on_where_it_stood() {
    let (_broker, link) = behind_a_link();
    let _ = run("kafka-produce", ["-b", link.bootstrap(), "t", "--raw"], "before\n", LIMIT).expect_code(0);
    let mut member = start("kafka-consume", &link, &["g", "t", "-f", "%v\\n"]);
    member.wait_stdout(LIMIT, |out| out == "before\n");
    waits_quietly(&mut member, "a silent link", || link.freeze());
    link.cut();
    link.thaw();
    waits_quietly(&mut member, "links that are closed at once", || {
        link.refuse(true);
        link.cut();
    });
    link.refuse(false);
    let _ = run("kafka-produce", ["-b", link.bootstrap(), "t", "--raw"], "after\n", LIMIT).expect_code(0);
    member.wait_stdout(LIMIT, |out| out == "before\nafter\n");
    member.signal(Signal::Interrupt);
    let _ = member.finish(LIMIT).expect_code(0);
}

#[test]
fn a_producer_waits_quietly_on_dead_links_and_sends_everything_once() {
    let (broker, link) = behind_a_link();
    let mut producer = start("kafka-produce", &link, &["t", "--raw", "-X", "linger.ms=0"]);
    producer.write("one\n");
    eventually("the first record", LIMIT, || stored(&broker) == ["one"]);
    waits_quietly(&mut producer, "a silent link", || link.freeze());
    producer.write("two\n");
    link.cut();
    link.thaw();
    eventually("the second record", LIMIT, || stored(&broker) == ["one", "two"]);
    link.refuse(true);
    link.cut();
    producer.write("three\n");
    waits_quietly(&mut producer, "links that are closed at once", || {});
    link.refuse(false);
    let _ = producer.finish(LIMIT).expect_code(0);
    assert_eq!(stored(&broker), ["one", "two", "three"]);
}

#[test]
fn links_that_break_in_the_middle_of_a_frame_lose_and_repeat_nothing() {
    let (broker, link) = behind_a_link();
    for api in [api::PRODUCE, api::FETCH] {
        link.add(Rule::TruncateEvery { api, nth: 3 });
    }
    let lines: String = (0..2_000).map(|number| format!("{number}\n")).collect();
    let _ = tool("kafka-produce", &link, &["t", "--raw", "-X", "batch.size=500"], &lines).expect_code(0);
    assert_eq!(stored(&broker), lines.lines().collect::<Vec<_>>());
    let small = ["--no-group", "t", "--exit", "-f", "%v\\n", "-X", "max.partition.fetch.bytes=500"];
    let read = tool("kafka-consume", &link, &small, "").expect_code(0);
    assert_eq!(read.stdout, lines);
    assert!(link.swallowed() > 3, "{} frames were cut", link.swallowed());
}

#[test]
fn a_link_that_crawls_is_slow_and_nothing_else() {
    let (_broker, link) = behind_a_link();
    link.limit_bytes_per_second(2_000);
    let listed = tool("kafka-admin", &link, &["list-topics", "-X", "request.timeout.ms=30000"], "");
    assert!(listed.expect_code(0).stdout.contains('t'));
    let sent = tool("kafka-produce", &link, &["t", "--raw", "-X", "request.timeout.ms=30000"], "slow\n");
    let _ = sent.expect_code(0);
    let flags = ["--no-group", "t", "--exit", "-f", "%v\\n", "-X", "request.timeout.ms=30000"];
    assert_eq!(tool("kafka-consume", &link, &flags, "").expect_code(0).stdout, "slow\n");
}

/// A tool that takes this file for `/etc/hosts`; none where the system allows no namespaces.
fn with_hosts(hosts: &std::path::Path, tool: &str, arguments: &[&str]) -> Option<Command> {
    let allowed = Command::new("unshare").args(["-rm", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: unshare -rm is not allowed here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]);
    command.arg(hosts).arg(binary(tool)).args(arguments);
    Some(command)
}

#[test]
fn a_name_with_a_dead_address_is_reached_and_one_that_moved_is_looked_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    let port = {
        let broker = Broker::start(Config::in_memory().listen("127.0.0.3", 0)).unwrap();
        broker.listening_port(1).unwrap()
    };
    let at = |host: &str| {
        let config = Config::in_memory().listen(host, port).advertise("kafka.test", port);
        Broker::start(config.topic("t", 1)).unwrap()
    };
    let first = at("127.0.0.3");
    // Nobody listens on the first address.
    std::fs::write(&hosts, "127.0.0.2 kafka.test\n127.0.0.3 kafka.test\n").unwrap();
    let server = format!("kafka.test:{port}");
    let arguments = ["-b", &server, "g", "t", "-f", "%v\\n", "-X", "request.timeout.ms=1000"];
    let Some(command) = with_hosts(&hosts, "kafka-consume", &arguments) else { return };
    let mut member = Program::start_command(command);
    let send = |to: &str, line: &str| {
        let moved = folder.path().join(format!("hosts-{to}"));
        std::fs::write(&moved, format!("{to} kafka.test\n")).unwrap();
        let command = with_hosts(&moved, "kafka-produce", &["-b", &server, "t", "--raw"]).unwrap();
        let _ = Program::start_command(command).finish_with_input(line, LIMIT).expect_code(0);
    };
    send("127.0.0.3", "at the second address\n");
    member.wait_stdout(LIMIT, |out| out == "at the second address\n");
    first.shutdown();
    std::fs::write(&hosts, "127.0.0.4 kafka.test\n").unwrap();
    let _second = at("127.0.0.4");
    send("127.0.0.4", "again\nelsewhere\n");
    member.wait_stdout(LIMIT, |out| out.ends_with("elsewhere\n"));
    // The new broker knows neither group nor member; until the member has joined anew, it cannot commit what it printed.
    member.wait_stderr(LIMIT, |err| err.matches("assigned t[0]").count() == 2);
    member.signal(Signal::Interrupt);
    let _ = member.finish(LIMIT).expect_code(0);
}
