//! One of our tools against every broker that lies ([`hostile`](crate::hostile)): whatever the broker does, the tool ends
//! within `--timeout`, in bounded memory, without spinning, without flooding stderr and without passing escapes on.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::hostile::{FRAME_LIES, HostileBroker, Lie, METADATA_LIES};
use crate::program::{Finished, Program, binary};

/// What `--timeout` says.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The most memory a tool may reserve: thread stacks and the allocator's arenas included.
const MEMORY_KIB: u32 = 512 * 1024;
/// A tool that spins uses this up while it waits.
const CPU_SECONDS: u32 = 1;
const STDERR_LINES: usize = 8;

/// Lets a tool meet every lie. `slack` is what a loaded machine may take on top of its time; `judge` says what else has to
/// hold: it gets the words that name the lie, where it has to be named, and the run as failures show it.
///
/// # Panics
/// Where the tool does not come through a lie.
pub fn survive_all(
    tool: &str,
    arguments: &[&str],
    slack: Duration,
    judge: impl Fn(Option<&str>, &Finished, &str) + Sync,
) {
    // Built before the clock runs.
    binary(tool);
    // The tools wait most of the time: several at once.
    let lies: Vec<_> = FRAME_LIES.iter().chain(METADATA_LIES).collect();
    for some in lies.chunks(8) {
        std::thread::scope(|scope| {
            for lie in some {
                scope.spawn(|| survive(tool, arguments, slack, lie, &judge));
            }
        });
    }
}

fn survive(
    tool: &str,
    arguments: &[&str],
    slack: Duration,
    (name, words, script): &Lie,
    judge: impl Fn(Option<&str>, &Finished, &str),
) {
    let broker = HostileBroker::start(*script);
    let mut command = Command::new("sh");
    let limits = format!("ulimit -v {MEMORY_KIB}; ulimit -t {CPU_SECONDS}; exec \"$0\" \"$@\"");
    command.args(["-c", &limits]).arg(binary(tool)).args(arguments);
    command.args(["--bootstrap-server", &broker.address(), "--timeout", "1s"]);
    command.env("HOME", "/nonexistent").env_remove("XDG_CONFIG_HOME").env("MALLOC_ARENA_MAX", "2");
    let started = Instant::now();
    let finished = Program::start_command(command).finish_with_input("a line\n", TIMEOUT + slack * 2);
    let took = started.elapsed();
    let shown = format!("{tool}, {name}: {finished:?} after {took:?}");
    assert!(took < TIMEOUT + slack, "{shown}");
    assert!(finished.code.is_some_and(|code| (0..=7).contains(&code)), "{shown}");
    assert!(finished.stderr.lines().count() <= STDERR_LINES, "{shown}");
    assert!(!finished.stderr.contains('\u{1b}') && !finished.stdout.contains('\u{1b}'), "{shown}");
    assert!(!finished.stderr.contains("panicked"), "{shown}");
    judge(*words, &finished, &shown);
}
