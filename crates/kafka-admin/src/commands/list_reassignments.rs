//! `list-reassignments`: what is being moved, and taking the limits off topics that are not moved any more.

use std::collections::BTreeMap;

use anyhow::Result;
use kafka_cli::render::{Column, Table, View};
use kafka_cli::{Exit, Failure};
use kafka_core::TopicPartition;
use kafka_core::admin::Reassignment;
use serde::Serialize;

use crate::context::{Context, WatchArgs, note};
use crate::show::ids;
use crate::throttle;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin list-reassignments --watch
  kafka-admin list-reassignments --clear-throttle orders payments")]
pub(crate) struct Args {
    /// Only these topics
    #[arg(value_name = "TOPIC", required_if_eq("clear_throttle", "true"))]
    topics: Vec<String>,
    /// Take away the limits of these topics that reassign --throttle set, and those of brokers where no other topic is
    /// limited; refuses while one of the topics is being moved
    #[arg(long, conflicts_with = "watch")]
    clear_throttle: bool,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    if args.clear_throttle {
        return clear(context, &args.topics).await;
    }
    context.watch(&args.watch, async || show(context, &args.topics).await).await
}

/// What is being moved of these topics, or of all.
async fn moving(context: &Context, topics: &[String]) -> Result<BTreeMap<TopicPartition, Reassignment>> {
    let mut moving = context.admin.list_reassignments().await?;
    moving.retain(|key, _| topics.is_empty() || topics.iter().any(|topic| **topic == *key.topic));
    Ok(moving)
}

async fn show(context: &Context, topics: &[String]) -> Result<Exit> {
    let moving = moving(context, topics).await?;
    let row = |(key, moving): (TopicPartition, Reassignment)| Row {
        topic: key.topic.to_string(),
        partition: key.partition,
        replicas: moving.replicas,
        adding: moving.adding,
        removing: moving.removing,
    };
    let rows: Vec<_> = moving.into_iter().map(row).collect();
    let columns = [
        Column::new("TOPIC", |row: &Row| row.topic.clone()),
        Column::new("PARTITION", |row: &Row| row.partition.to_string()).right(),
        Column::new("REPLICAS", |row: &Row| ids(&row.replicas)),
        Column::new("ADDING", |row: &Row| ids(&row.adding)),
        Column::new("REMOVING", |row: &Row| ids(&row.removing)),
    ];
    let names = rows.iter().map(|row| format!("{}[{}]", row.topic, row.partition));
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(Exit::Done)
}

async fn clear(context: &Context, topics: &[String]) -> Result<Exit> {
    if let Some(key) = moving(context, topics).await?.into_keys().next() {
        return Err(Failure::new(Exit::Failed, format!("{key} is still being moved")).into());
    }
    throttle::clear(context, topics).await?;
    note(&format!("limits of {} removed", topics.join(", ")));
    Ok(Exit::Done)
}
