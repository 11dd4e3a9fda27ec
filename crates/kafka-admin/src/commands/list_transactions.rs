//! `list-transactions`: transactional ids with their state.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::report::Tally;
use crate::topic_state::broker_ids;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those in this state, such as Ongoing
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Serialize)]
struct Row {
    transactional_id: String,
    producer_id: i64,
    state: String,
    coordinator: i32,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    context.watch(&args.watch, async || show(&args, context).await).await
}

async fn show(args: &Args, context: &Context) -> Result<Exit> {
    let (mut tally, mut rows) = (Tally::default(), Vec::new());
    for outcome in context.admin.list_transactions(&broker_ids(context).await?).await {
        match outcome.result {
            Ok(found) => rows.extend(found.into_iter().map(|listed| Row {
                transactional_id: listed.id,
                producer_id: listed.producer_id,
                state: listed.state,
                coordinator: listed.coordinator,
            })),
            Err(error) => tally.fail(error),
        }
    }
    rows.retain(|row| {
        args.state.is_empty() || args.state.iter().any(|state| state.eq_ignore_ascii_case(&row.state))
    });
    rows.sort_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
    let columns = [
        Column::new("TRANSACTIONAL ID", |row: &Row| row.transactional_id.clone()),
        Column::new("PRODUCER", |row: &Row| row.producer_id.to_string()).right(),
        Column::new("STATE", |row: &Row| row.state.clone()),
        Column::new("COORDINATOR", |row: &Row| row.coordinator.to_string()).right(),
    ];
    let names = rows.iter().map(|row| row.transactional_id.clone());
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(tally.exit())
}
