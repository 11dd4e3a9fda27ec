//! `man`: the manual page of the tool, or of one command, as roff.

use std::io::Write;

use anyhow::{Context as _, Result};
use clap::CommandFactory;
use kafka_cli::{Exit, Failure};

use crate::cli::Cli;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin man | man -l -
  kafka-admin man describe-topic > kafka-admin-describe-topic.1")]
pub(crate) struct Args {
    /// The command; without one: the tool
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<Exit> {
    let mut tool = Cli::command();
    tool.build();
    let command = match &args.command {
        None => tool,
        Some(name) => {
            let known = tool.find_subcommand(name).cloned();
            known.ok_or_else(|| Failure::usage(format!("there is no command {name}")))?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    std::io::stdout().lock().write_all(&page).context("writing to stdout")?;
    Ok(Exit::Done)
}
