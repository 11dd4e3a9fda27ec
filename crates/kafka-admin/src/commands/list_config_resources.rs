//! `list-config-resources`: the names of what has a configuration of its own.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_core::admin::ConfigKind;
use serde::Serialize;

use crate::context::Context;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// topic, broker, broker-logger, group, client-metrics
    #[arg(value_name = "KIND")]
    kind: ConfigKind,
}

#[derive(Serialize)]
struct Row {
    kind: &'static str,
    name: String,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let names = context.admin.list_config_resources(args.kind).await?;
    let rows: Vec<_> = names.into_iter().map(|name| Row { kind: args.kind.name(), name }).collect();
    let columns = [
        Column::new("KIND", |row: &Row| row.kind.to_owned()),
        Column::new("NAME", |row: &Row| row.name.clone()),
    ];
    let names = rows.iter().map(|row| row.name.clone());
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(Exit::Done)
}
