//! `kafka-admin`: everything an operator does. One file per command in `commands`; each is arguments, a call on
//! [`kafka_core::admin::Admin`], and rows to a renderer.

mod acl_args;
mod cli;
mod commands;
mod completion;
mod config_change;
mod config_value;
mod context;
mod exporter;
mod group_state;
mod names;
mod offset_plan;
mod partitions;
mod raw;
mod reassign_plan;
mod report;
mod show;
mod state;
mod state_diff;
mod streams_group;
mod throttle;
mod token_view;
mod topic_state;
mod trend;

use std::process::ExitCode;

use cli::{Cli, Task};

fn main() -> ExitCode {
    kafka_cli::run(|cli: Cli| match cli.command {
        Task::Profile(ref command) => commands::profile::run(command, &cli),
        Task::Config(ref command) => commands::config::run(command, &cli),
        Task::Completions(ref args) => commands::completions::run(args),
        Task::Man(ref args) => commands::man::run(args),
        Task::Cluster(command) => {
            let context = context::Context::start(&cli.connection, cli.output)?;
            context.run(command.run(&context))
        }
    })
}
