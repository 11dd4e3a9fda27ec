//! `diff`: what would have to change to make the cluster what a file says.

use std::path::PathBuf;

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Block, View};

use crate::context::Context;
use crate::state::{of_cluster, read};
use crate::state_diff::{Change, diff};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0, and with --detailed-exitcode 7 where the cluster differs.")]
pub(crate) struct Args {
    /// YAML or JSON as export writes it; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also what is there and not in the file
    #[arg(long)]
    prune: bool,
    /// End with 7 where the cluster differs
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let wanted = read(&args.file)?;
    let changes = diff(&of_cluster(context).await?, &wanted, args.prune);
    context.show(&changes, || view(&changes))?;
    Ok(if args.detailed_exitcode && !changes.is_empty() { Exit::CheckFailed } else { Exit::Done })
}

/// One line per change.
pub(crate) fn view(changes: &[Change]) -> View {
    let lines = changes.iter().map(ToString::to_string);
    let view = lines.clone().fold(View::default(), |view, line| view.and(Block::Line(line)));
    view.named(lines)
}
