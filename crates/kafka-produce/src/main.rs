//! `kafka-produce`: lines from a prompt, a pipe or files become records.

mod args;
mod deliveries;
mod explain;
mod failed;
mod form;
mod gate;
mod input;
mod job;
mod pace;
mod placement;
mod progress;
mod prompt;
mod run;
mod sink;
mod stream;
mod tally;
mod topic;
mod voice;

use std::process::ExitCode;

fn main() -> ExitCode {
    kafka_cli::run(run::run)
}
