//! `partition-for`: which partition a key goes to.

use anyhow::Result;
use kafka_cli::render::{Column, Table, View};
use kafka_cli::{Exit, Failure};
use kafka_core::producer::Partitioner;
use serde::Serialize;

use crate::context::Context;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin partition-for rider-updates north south
  kafka-admin partition-for rider-updates north --partitioner crc32")]
pub(crate) struct Args {
    /// Topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Keys
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
    /// murmur2 (Java and this client), crc32 (librdkafka, kcat), fnv1a (Sarama)
    #[arg(long, value_name = "NAME", default_value = "murmur2")]
    partitioner: String,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    key: String,
    partition: i32,
    leader: Option<i32>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let found = Partitioner::ALL.into_iter().find(|partitioner| partitioner.name() == args.partitioner);
    let usable = found.filter(|partitioner| partitioner.for_key(b"", 1).is_some());
    let partitioner = usable.ok_or_else(|| {
        Failure::usage(format!("--partitioner {}: write murmur2, crc32 or fnv1a", args.partitioner))
    })?;
    let topic = match context.admin.describe_topics(std::slice::from_ref(&args.topic)).await.remove(0).result
    {
        Ok(topic) => topic,
        Err(error) => return Err(context.explain_topic(&args.topic, error).await),
    };
    let count = u32::try_from(topic.partitions.len())?;
    let place = |key: &String| {
        let partition = partitioner.for_key(key.as_bytes(), count)?;
        let leader = topic.partition(partition).and_then(|partition| partition.leader);
        Some(Row { topic: args.topic.clone(), key: key.clone(), partition, leader })
    };
    let rows: Vec<_> = args.keys.iter().filter_map(place).collect();
    let columns = [
        Column::new("KEY", |row: &Row| row.key.clone()),
        Column::new("PARTITION", |row: &Row| row.partition.to_string()).right(),
        Column::new("LEADER", |row: &Row| crate::show::or_dash(row.leader)).right().wide(),
    ];
    let names = rows.iter().map(|row| format!("{}[{}]", row.topic, row.partition));
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(Exit::Done)
}
