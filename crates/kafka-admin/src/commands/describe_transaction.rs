//! `describe-transaction`: the state of transactional ids.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_cli::time::format_time;
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::report::Tally;
use crate::show::or_dash;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Transactional ids
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Serialize)]
struct Row {
    transactional_id: String,
    state: String,
    producer_id: i64,
    producer_epoch: i16,
    timeout_ms: i32,
    started: Option<i64>,
    partitions: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    context.watch(&args.watch, async || show(&args, context).await).await
}

async fn show(args: &Args, context: &Context) -> Result<Exit> {
    let (mut tally, mut rows) = (Tally::default(), Vec::new());
    for outcome in context.admin.describe_transactions(&args.ids).await {
        match outcome.result {
            Ok(found) => rows.push(Row {
                transactional_id: outcome.key,
                state: found.state,
                producer_id: found.producer_id,
                producer_epoch: found.producer_epoch,
                timeout_ms: found.timeout_ms,
                started: found.started,
                partitions: found.partitions.iter().map(ToString::to_string).collect(),
            }),
            Err(error) => tally.fail(error),
        }
    }
    let columns = [
        Column::new("TRANSACTIONAL ID", |row: &Row| row.transactional_id.clone()),
        Column::new("STATE", |row: &Row| row.state.clone()),
        Column::new("PRODUCER", |row: &Row| row.producer_id.to_string()).right(),
        Column::new("EPOCH", |row: &Row| row.producer_epoch.to_string()).right(),
        Column::new("STARTED", |row: &Row| or_dash(row.started.map(format_time))),
        Column::new("TIMEOUT MS", |row: &Row| row.timeout_ms.to_string()).right(),
        Column::new("PARTITIONS", |row: &Row| row.partitions.join(",")),
    ];
    let names = rows.iter().map(|row| row.transactional_id.clone());
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(tally.exit())
}
