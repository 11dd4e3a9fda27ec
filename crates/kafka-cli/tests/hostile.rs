//! The tools against brokers that lie: whatever the broker does, they end within `--timeout`, with an exit code of
//! theirs, in bounded memory, without spinning and without flooding stderr.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![cfg(unix)]

use std::process::Command;
use std::time::{Duration, Instant};

use kafka_testkit::hostile::{FRAME_LIES, HostileBroker, Lie, METADATA_LIES};
use kafka_testkit::{Program, binary};

/// What `--timeout` says.
const TIMEOUT: Duration = Duration::from_secs(1);
/// And what a loaded machine may take on top.
const SLACK: Duration = Duration::from_secs(3);
/// The most memory a tool may reserve: thread stacks and the allocator's arenas included.
const MEMORY_KIB: u32 = 512 * 1024;
/// A tool that spins uses this up while it waits.
const CPU_SECONDS: u32 = 1;
const STDERR_LINES: usize = 8;

fn survive(tool: &str, arguments: &[&str], (name, _, script): &Lie) {
    let broker = HostileBroker::start(*script);
    let mut command = Command::new("sh");
    let limits = format!("ulimit -v {MEMORY_KIB}; ulimit -t {CPU_SECONDS}; exec \"$0\" \"$@\"");
    command.args(["-c", &limits]).arg(binary(tool)).args(arguments);
    command.args(["--bootstrap-server", &broker.address(), "--timeout", "1s"]);
    command.env("HOME", "/nonexistent").env_remove("XDG_CONFIG_HOME").env("MALLOC_ARENA_MAX", "2");
    let started = Instant::now();
    let finished = Program::start_command(command).finish_with_input("a line\n", TIMEOUT + SLACK * 2);
    let took = started.elapsed();
    let shown = format!("{tool}, {name}: {finished:?} after {took:?}");
    assert!(took < TIMEOUT + SLACK, "{shown}");
    assert!(finished.code.is_some_and(|code| (0..=7).contains(&code)), "{shown}");
    assert!(finished.stderr.lines().count() <= STDERR_LINES, "{shown}");
    assert!(!finished.stderr.contains('\u{1b}') && !finished.stdout.contains('\u{1b}'), "{shown}");
}

fn survive_all(tool: &str, arguments: &[&str]) {
    // Built before the clock runs.
    binary(tool);
    // The tools wait most of the time: several at once.
    let lies: Vec<_> = FRAME_LIES.iter().chain(METADATA_LIES).collect();
    for some in lies.chunks(8) {
        std::thread::scope(|scope| {
            for lie in some {
                scope.spawn(|| survive(tool, arguments, lie));
            }
        });
    }
}

#[test]
fn kafka_admin_survives_every_lie() {
    survive_all("kafka-admin", &["list-topics"]);
}

#[test]
fn kafka_produce_survives_every_lie() {
    survive_all("kafka-produce", &["a", "--raw"]);
}
