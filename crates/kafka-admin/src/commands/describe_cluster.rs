//! `describe-cluster`: id, controller, brokers with their state.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_core::admin::ListedBroker;
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::show::or_dash;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Serialize)]
struct Document {
    cluster_id: String,
    controller: Option<i32>,
    brokers: Vec<Row>,
}

/// A broker as people and programs see it.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) rack: Option<String>,
    pub(super) fenced: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    context.watch(&args.watch, async || show(context).await).await
}

async fn show(context: &Context) -> Result<Exit> {
    let cluster = context.admin.describe_cluster().await?;
    let document = Document {
        cluster_id: cluster.cluster_id,
        controller: cluster.controller,
        brokers: cluster.brokers.into_iter().map(row).collect(),
    };
    context.show_one(&document, || {
        let facts = vec![
            ("Cluster id", document.cluster_id.clone()),
            ("Controller", or_dash(document.controller)),
            ("Brokers", document.brokers.len().to_string()),
        ];
        let names = document.brokers.iter().map(|row| row.id.to_string());
        View::default().and(Block::Facts(facts)).and(Block::Table(table(&document.brokers))).named(names)
    })?;
    Ok(Exit::Done)
}

pub(super) fn row(broker: ListedBroker) -> Row {
    let address = broker.broker.address;
    let (host, port) = (address.host.to_string(), address.port);
    Row { id: broker.broker.id, host, port, rack: broker.broker.rack, fenced: broker.fenced }
}

pub(super) fn table(rows: &[Row]) -> Table {
    let columns = [
        Column::new("BROKER", |row: &Row| row.id.to_string()).right(),
        Column::new("HOST", |row: &Row| row.host.clone()),
        Column::new("PORT", |row: &Row| row.port.to_string()).right(),
        Column::new("RACK", |row: &Row| or_dash(row.rack.as_ref())),
        Column::new("STATE", |row: &Row| if row.fenced { "fenced" } else { "running" }.to_owned()),
    ];
    Table::of(&columns, rows)
}
