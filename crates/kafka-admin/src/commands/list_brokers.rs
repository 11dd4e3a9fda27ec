//! `list-brokers`: registered brokers, running or not.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::View;

use super::describe_cluster::{row, table};
use crate::context::{Context, WatchArgs};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    watch: WatchArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    context.watch(&args.watch, async || show(context).await).await
}

async fn show(context: &Context) -> Result<Exit> {
    let rows: Vec<_> = context.admin.describe_cluster().await?.brokers.into_iter().map(row).collect();
    let names = rows.iter().map(|row| row.id.to_string());
    context.show(&rows, || View::table(table(&rows)).named(names))?;
    Ok(Exit::Done)
}
