//! `list-reassignments`: what is being moved, and taking the throttle off when nothing is.

use anyhow::Result;
use kafka_cli::render::{Column, Table, View};
use kafka_cli::{Exit, Failure};
use kafka_core::admin::{ConfigChange, ConfigKind, ConfigResource};
use serde::Serialize;

use super::reassign::{BROKER_THROTTLES, TOPIC_THROTTLES};
use crate::context::{Context, WatchArgs, note};
use crate::report::Tally;
use crate::show::ids;
use crate::topic_state::broker_ids;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove the limits that reassign --throttle set; refuses while something moves
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
        return clear(context).await;
    }
    context.watch(&args.watch, async || show(context).await).await
}

async fn show(context: &Context) -> Result<Exit> {
    let moving = context.admin.list_reassignments().await?;
    let row = |(key, moving): (kafka_core::TopicPartition, kafka_core::admin::Reassignment)| Row {
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

async fn clear(context: &Context) -> Result<Exit> {
    if !context.admin.list_reassignments().await?.is_empty() {
        return Err(Failure::new(Exit::Failed, "replicas are still being moved").into());
    }
    let unset = |names: [&str; 2]| names.map(|name| (name.to_owned(), ConfigChange::Unset)).to_vec();
    let topics = context.admin.list_topics(true).await?;
    let topics = topics
        .iter()
        .map(|topic| (ConfigResource::new(ConfigKind::Topic, &*topic.name), unset(TOPIC_THROTTLES)));
    let brokers = broker_ids(context).await?;
    let brokers = brokers
        .into_iter()
        .map(|id| (ConfigResource::new(ConfigKind::Broker, id.to_string()), unset(BROKER_THROTTLES)));
    let mut tally = Tally::default();
    for outcome in context.admin.alter_configs(topics.chain(brokers).collect(), false).await {
        if let Err(error) = outcome.result {
            tally.fail(error);
        }
    }
    if tally.exit() == Exit::Done {
        note("throttles removed");
    }
    Ok(tally.exit())
}
