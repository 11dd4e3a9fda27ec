//! `kafka-admin`: everything an operator does. One file per command in `commands`; each is arguments, a call on
//! [`kafka_core::admin::Admin`], and rows to a renderer.

mod cli;
mod commands;
mod config_value;
mod context;
mod names;
mod report;
mod show;
mod topic_state;

use std::process::ExitCode;

fn main() -> ExitCode {
    kafka_cli::run(|cli: cli::Cli| {
        let context = context::Context::start(&cli)?;
        context.run(cli.command.run(&context))
    })
}
