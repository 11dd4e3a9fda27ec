//! `list-log-dirs`: directories of brokers with their size and, with `--replicas`, every replica in them.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_core::admin::LogDir;
use serde::Serialize;

use crate::context::Context;
use crate::report::Tally;
use crate::show::{bytes, or_dash};
use crate::topic_state::broker_ids;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Brokers by node id; without any: all
    #[arg(value_name = "BROKER")]
    brokers: Vec<i32>,
    /// Only replicas of this topic; may be repeated
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// One row for each replica
    #[arg(long)]
    replicas: bool,
}

#[derive(Serialize)]
struct Row {
    broker: i32,
    path: String,
    error: Option<&'static str>,
    total_bytes: Option<i64>,
    usable_bytes: Option<i64>,
    used_bytes: i64,
    replicas: Vec<Replica>,
}

#[derive(Serialize)]
struct Replica {
    #[serde(skip)]
    broker: i32,
    #[serde(skip)]
    path: String,
    topic: String,
    partition: i32,
    size_bytes: i64,
    lag: i64,
    is_future: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let brokers = if args.brokers.is_empty() { broker_ids(context).await? } else { args.brokers.clone() };
    let (mut tally, mut rows) = (Tally::default(), Vec::new());
    for outcome in context.admin.log_dirs(&brokers).await {
        match outcome.result {
            Ok(dirs) => rows.extend(dirs.into_iter().map(|dir| row(outcome.key, dir, &args.topic))),
            Err(error) => tally.fail(error),
        }
    }
    context.show(&rows, || {
        let names = rows.iter().map(|row| format!("{}:{}", row.broker, row.path));
        View::table(if args.replicas { replicas(&rows) } else { directories(&rows) }).named(names)
    })?;
    Ok(tally.exit())
}

fn row(broker: i32, dir: LogDir, topics: &[String]) -> Row {
    let wanted = |topic: &str| topics.is_empty() || topics.iter().any(|wanted| wanted == topic);
    let kept = dir.replicas.into_iter().filter(|replica| wanted(&replica.partition.topic));
    let replicas: Vec<_> = kept
        .map(|replica| Replica {
            broker,
            path: dir.path.clone(),
            topic: replica.partition.topic.to_string(),
            partition: replica.partition.partition,
            size_bytes: replica.size_bytes,
            lag: replica.lag,
            is_future: replica.is_future,
        })
        .collect();
    Row {
        broker,
        path: dir.path,
        error: Some(dir.error).filter(|error| !error.is_ok()).map(|error| error.name()),
        total_bytes: dir.total_bytes,
        usable_bytes: dir.usable_bytes,
        used_bytes: replicas.iter().map(|replica| replica.size_bytes).sum(),
        replicas,
    }
}

fn directories(rows: &[Row]) -> Table {
    let columns = [
        Column::new("BROKER", |row: &Row| row.broker.to_string()).right(),
        Column::new("DIRECTORY", |row: &Row| row.path.clone()),
        Column::new("REPLICAS", |row: &Row| row.replicas.len().to_string()).right(),
        Column::new("USED", |row: &Row| bytes(row.used_bytes)).right(),
        Column::new("FREE", |row: &Row| or_dash(row.usable_bytes.map(bytes))).right(),
        Column::new("TOTAL", |row: &Row| or_dash(row.total_bytes.map(bytes))).right(),
        Column::new("ERROR", |row: &Row| or_dash(row.error)),
    ];
    Table::of(&columns, rows)
}

fn replicas(rows: &[Row]) -> Table {
    let columns = [
        Column::new("BROKER", |replica: &Replica| replica.broker.to_string()).right(),
        Column::new("TOPIC", |replica: &Replica| replica.topic.clone()),
        Column::new("PARTITION", |replica: &Replica| replica.partition.to_string()).right(),
        Column::new("SIZE", |replica: &Replica| bytes(replica.size_bytes)).right(),
        Column::new("LAG", |replica: &Replica| replica.lag.to_string()).right(),
        Column::new("MOVING", |replica: &Replica| replica.is_future.to_string()).wide(),
        Column::new("DIRECTORY", |replica: &Replica| replica.path.clone()).wide(),
    ];
    Table::of(&columns, rows.iter().flat_map(|row| &row.replicas))
}
