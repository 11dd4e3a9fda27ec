//! `describe-quorum`: the controllers, who leads them, who is behind.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_cli::time::format_time;
use kafka_core::admin::QuorumReplica;
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
    leader: i32,
    leader_epoch: i32,
    high_watermark: i64,
    replicas: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    node: i32,
    directory_id: String,
    status: &'static str,
    log_end_offset: i64,
    lag: i64,
    last_fetch: Option<i64>,
    last_caught_up: Option<i64>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    context.watch(&args.watch, async || show(context).await).await
}

async fn show(context: &Context) -> Result<Exit> {
    let quorum = context.admin.describe_quorum().await?;
    let end = quorum.voters.iter().find(|voter| voter.id == quorum.leader).map(|voter| voter.log_end_offset);
    let row = |replica: &QuorumReplica, status| Row {
        node: replica.id,
        directory_id: replica.directory_id.to_string(),
        status: if replica.id == quorum.leader { "leader" } else { status },
        log_end_offset: replica.log_end_offset,
        lag: end.map_or(0, |end| (end - replica.log_end_offset).max(0)),
        last_fetch: replica.last_fetch,
        last_caught_up: replica.last_caught_up,
    };
    let voters = quorum.voters.iter().map(|voter| row(voter, "voter"));
    let replicas = voters.chain(quorum.observers.iter().map(|observer| row(observer, "observer"))).collect();
    let document = Document {
        leader: quorum.leader,
        leader_epoch: quorum.leader_epoch,
        high_watermark: quorum.high_watermark,
        replicas,
    };
    context.show_one(&document, || view(&document))?;
    Ok(Exit::Done)
}

fn view(document: &Document) -> View {
    let facts = vec![
        ("Leader", document.leader.to_string()),
        ("Leader epoch", document.leader_epoch.to_string()),
        ("High watermark", document.high_watermark.to_string()),
    ];
    let columns = [
        Column::new("NODE", |row: &Row| row.node.to_string()).right(),
        Column::new("STATUS", |row: &Row| row.status.to_owned()),
        Column::new("END", |row: &Row| row.log_end_offset.to_string()).right(),
        Column::new("LAG", |row: &Row| row.lag.to_string()).right(),
        Column::new("LAST CAUGHT UP", |row: &Row| or_dash(row.last_caught_up.map(format_time))),
        Column::new("LAST FETCH", |row: &Row| or_dash(row.last_fetch.map(format_time))).wide(),
        Column::new("DIRECTORY", |row: &Row| row.directory_id.clone()).wide(),
    ];
    let names = document.replicas.iter().map(|row| row.node.to_string());
    let table = Table::of(&columns, &document.replicas);
    View::default().and(Block::Facts(facts)).and(Block::Table(table)).named(names)
}
