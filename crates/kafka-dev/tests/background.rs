//! `kafka-dev &` at a shell's prompt: it runs on, since it does not read the terminal that is not its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::Duration;

use kafka_testkit::Terminal;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn in_the_background_of_a_shell_it_runs_and_stops_when_told_to() {
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]).env("PS1", "prompt> ");
    let mut terminal = Terminal::start_command(&shell);
    terminal.expect("prompt>", LIMIT);
    terminal.type_line(&format!("{} --memory --listen 127.0.0.1:0 &", env!("CARGO_BIN_EXE_kafka-dev")));
    terminal.expect("kafka-dev listens on", LIMIT);
    terminal.type_line("sleep 0.3; jobs");
    terminal.expect("Running", LIMIT);
    terminal.type_line("kill %1; wait %1; echo \"ended with $?\"");
    terminal.expect("ended with 0", LIMIT);
}
